"""To and from scikit-learn: equal predictions and labels, an estimator that works as a fitted one, clear refusals."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mlpx
from mlpx import Dense, Dropout, Layer, Network, activations
from mlpx.conversion import from_sklearn, to_sklearn

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

RNG = np.random.default_rng(4)
X = RNG.normal(size=(60, 5))
CLASS = (np.argmax(X[:, :3], axis=1) + 1) % 3
HIDDEN = ["identity", "logistic", "relu", "tanh"]
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}

POISSON = pytest.mark.skipif("loss" not in MLPRegressor().get_params(), reason="scikit-learn before 1.7 has no loss")

TARGETS = {
    "binary": CLASS == 1,
    "binary 0 1": (CLASS == 1).astype(int),
    "binary -1 1": np.where(CLASS == 1, 1, -1),
    "binary text": np.where(CLASS == 1, "no", "maybe"),
    "multiclass": CLASS,
    "multiclass 5 7 9": 2 * CLASS + 5,
    "multiclass text": np.asarray(["b", "c", "a"])[CLASS],
    "multiclass objects": np.asarray(["bb", "c", "a"], dtype=object)[CLASS],
    "multiclass floats": CLASS + 1.0,
    "multilabel": (X[:, :4] > 0).astype(int),
}
VALUES = {"one": X[:, 0], "several": X[:, :3], "poisson": np.abs(X[:, 0])}


def fitted(kind, y, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations
        return kind(**{"max_iter": 15, "random_state": 0, **parameters}).fit(X, y)


def probabilities(estimator, x=X):
    """Return the outputs in the form of a network's."""
    found = estimator.predict_proba(x)
    return found[:, 1:] if estimator.coefs_[-1].shape[1] == 1 else found


def trained(sizes, y, x=X, **options):
    net = mlpx.MLP(sizes, **{"dtype": "float64", "seed": 2, **options})
    net.fit(x, y, epochs=15, optimizer=mlpx.Adam(0.02), progress=False)
    return net


# From scikit-learn.


@pytest.mark.parametrize("hidden", [(), 7, (6, 4), [3]], ids=str)
@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("case", TARGETS)
def test_a_classifier_becomes_a_network(case, activation, hidden):
    estimator = fitted(MLPClassifier, TARGETS[case], hidden_layer_sizes=hidden, activation=activation)
    net = from_sklearn(estimator)
    assert type(net) is mlpx.MLP
    assert net.dtype_name == "float64"
    assert_allclose(net.predict(X), probabilities(estimator), rtol=0, atol=1e-12)
    labels, expected = net.predict_labels(X), estimator.predict(X)
    assert_array_equal(labels, expected)
    assert labels.dtype.kind == expected.dtype.kind or labels.dtype.kind in "iO"
    assert net.evaluate(X, TARGETS[case])["accuracy"] == pytest.approx(estimator.score(X, TARGETS[case])) or (
        case == "multilabel"  # a share of single labels here, of whole rows there
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", ["one", "several", pytest.param("poisson", marks=POISSON)])
def test_a_regressor_becomes_a_network(case, dtype):
    loss = {"loss": "poisson"} if case == "poisson" else {}
    x = X.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = MLPRegressor(hidden_layer_sizes=(6, 4), max_iter=20, random_state=0, **loss).fit(x, VALUES[case])
    net = from_sklearn(estimator)
    assert net.dtype_name == dtype
    assert net.loss.name == loss.get("loss", "squared_error")
    expected = estimator.predict(x)
    assert_allclose(net.predict(x), expected.reshape(len(x), -1), rtol=0, atol=TOLERANCE[dtype])


def test_a_classifier_of_float32_becomes_a_network_of_float32():
    x = X.astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = MLPClassifier(max_iter=20, random_state=0).fit(x, CLASS)
    net = from_sklearn(estimator)
    assert net.dtype_name == "float32"
    assert_allclose(net.predict(x), estimator.predict_proba(x), rtol=0, atol=1e-6)


def test_the_network_has_copies_and_learns_further():
    estimator = fitted(MLPClassifier, TARGETS["multiclass text"], hidden_layer_sizes=(8,))
    before = [w.copy() for w in estimator.coefs_]
    net = from_sklearn(estimator, l2=0.01, seed=3)
    loss = net.evaluate(X, TARGETS["multiclass text"])["loss"]
    net.fit(X, TARGETS["multiclass text"], epochs=20, optimizer=mlpx.Adam(0.01), progress=False)
    assert net.evaluate(X, TARGETS["multiclass text"])["loss"] < loss
    assert net.l2 == 0.01
    for old, now in zip(before, estimator.coefs_, strict=True):
        assert_array_equal(old, now)


def test_options_go_to_the_network():
    net = from_sklearn(fitted(MLPClassifier, CLASS), dtype="float32", backend="numpy")
    assert net.dtype_name == "float32"
    with pytest.raises(TypeError, match="colour"):
        from_sklearn(fitted(MLPClassifier, CLASS), colour="red")


def test_any_object_with_the_fitted_attributes_will_do():
    class Estimator:
        coefs_ = [np.ones((2, 3)).tolist(), np.ones((3, 3)).tolist(), np.ones((3, 1)).tolist()]  # noqa: RUF012
        intercepts_ = [np.zeros(3).tolist(), np.zeros(3).tolist(), [1]]  # noqa: RUF012
        out_activation_ = "identity"
        activation = ["tanh", activations.leaky_relu(0.2)]  # noqa: RUF012
        dropout = 0.25
        loss = "huber"

    net = from_sklearn(Estimator())
    hidden = [layer.activation for layer in net.layers if isinstance(layer, Dense)][:-1]
    assert hidden == [activations.tanh(), activations.leaky_relu(0.2)]
    assert [layer.rate for layer in net.layers if isinstance(layer, Dropout)] == [0.25, 0.25]
    assert net.loss.name == "huber"
    assert_allclose(net.predict([[0.0, 0.0]]), [[1.0]])


class Wrapper:
    """What else a user may hand in."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (MLPClassifier(), ValueError, r"this MLPClassifier is not; call its fit\(\) first"),
        (LogisticRegression(), TypeError, "got LogisticRegression"),
        (make_pipeline(StandardScaler(), MLPClassifier()), TypeError, r"fitted\[-1\]"),
        (Wrapper(best_estimator_=1), TypeError, r"fitted\.best_estimator_"),
        (Wrapper(regressor_=1), TypeError, r"fitted\.regressor_"),
        (None, TypeError, "got NoneType"),
    ],
    ids=["unfitted", "other", "pipeline", "search", "transformed", "none"],
)
def test_what_is_no_fitted_perceptron_is_refused(given, error, message):
    with pytest.raises(error, match=f"`fitted` must be .*{message}"):
        from_sklearn(given)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="one class only, 'a'"):
        from_sklearn(fitted(MLPClassifier, np.full(60, "a")))


# To scikit-learn.


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("hidden", [[], [7], [6, 4]], ids=str)
@pytest.mark.parametrize("case", ["binary", "binary text", "multiclass", "multiclass text", "multilabel"])
def test_a_network_becomes_a_classifier(case, hidden, dtype):
    y = TARGETS[case]
    units, output = (1, "sigmoid") if "binary" in case else (3, "softmax") if "class" in case else (4, "sigmoid")
    net = trained([5, *hidden, units], y, activation="tanh", output=output, dtype=dtype)
    x = X.astype(dtype)
    estimator = to_sklearn(net)
    assert isinstance(estimator, MLPClassifier)
    assert [w.dtype.name for w in estimator.coefs_] == [dtype] * (len(hidden) + 1)
    assert_allclose(probabilities(estimator, x), net.predict(x), rtol=0, atol=TOLERANCE[dtype])
    assert_array_equal(estimator.predict(x), net.predict_labels(x))
    assert estimator.n_iter_ == 15
    back = from_sklearn(estimator)
    assert_array_equal(back.predict(x), net.predict(x))
    assert back.classes == net.classes or case == "binary"


@pytest.mark.parametrize("labels", [None, ("left", "right")])
def test_a_softmax_of_two_units_becomes_one_logistic_unit(labels):
    y = TARGETS["binary 0 1"]
    net = trained([5, 6, 2], y if labels is None else np.asarray(labels)[y])
    estimator = to_sklearn(net)
    assert estimator.out_activation_ == "logistic"
    assert_allclose(estimator.predict_proba(X), net.predict(X), rtol=0, atol=1e-12)
    assert_array_equal(estimator.predict(X), net.predict_labels(X))


@pytest.mark.parametrize(("units", "output"), [(1, "sigmoid"), (2, "softmax"), (3, "softmax")])
def test_labels_that_are_not_sorted_are_brought_in_order(units, output):
    net = mlpx.MLP([5, 4, units], activation="tanh", output=output, dtype="float64", seed=1)
    net.classes = ("c", "a", "b")[: max(units, 2)]
    estimator = to_sklearn(net)
    assert list(estimator.classes_) == sorted(net.classes)
    assert_array_equal(estimator.predict(X), net.predict_labels(X))
    assert len(set(net.predict_labels(X))) > 1
    expected = net.predict(X)
    expected = np.hstack([1 - expected, expected]) if units == 1 else expected
    assert_allclose(estimator.predict_proba(X), expected[:, np.argsort(net.classes)], rtol=0, atol=1e-12)


@pytest.mark.parametrize("output", ["linear", pytest.param("exp", marks=POISSON)])
@pytest.mark.parametrize("units", [1, 3])
def test_a_network_becomes_a_regressor(output, units):
    net = trained([5, 6, units], np.abs(X[:, :units]), output=output, dropout=0.2, l2=0.01)
    estimator = to_sklearn(net, solver="sgd", max_iter=3)
    assert isinstance(estimator, MLPRegressor)
    assert estimator.loss == {"linear": "squared_error", "exp": "poisson"}[output]
    assert (estimator.solver, estimator.max_iter) == ("sgd", 3)
    assert_allclose(estimator.predict(X).reshape(60, -1), net.predict(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [False, "frozen"])
def test_a_missing_bias_is_zeros(bias):
    net = Network([Dense(5, 4, "relu", bias=bias), Dense(4, 2, bias=bias)], dtype="float64")
    estimator = to_sklearn(net)
    assert [b.tolist() for b in estimator.intercepts_] == [[0.0] * 4, [0.0] * 2]
    assert_allclose(estimator.predict(X), net.predict(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", ["binary text", "multiclass", "multilabel", "several"])
def test_the_estimator_does_what_a_fitted_one_does(case):
    y = {**TARGETS, **VALUES}[case]
    units = {"binary text": 1, "multiclass": 3, "multilabel": 4, "several": 3}[case]
    output = {"multiclass": "softmax", "several": "linear"}.get(case, "sigmoid")
    net = trained([5, 6, units], y, output=output)
    estimator = to_sklearn(net, random_state=0, learning_rate_init=0.01)
    again = pickle.loads(pickle.dumps(estimator))
    assert_array_equal(again.predict(X), estimator.predict(X))
    pipeline = make_pipeline(StandardScaler().fit(X), estimator)
    assert pipeline.score(X, y) > 0.2

    first = clone(estimator)
    assert not hasattr(first, "coefs_")
    assert first.get_params() == estimator.get_params()
    assert first.hidden_layer_sizes == (6,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first.set_params(max_iter=5).fit(X, y)
        for _ in range(30):
            again.partial_fit(X, y)
    assert again.loss_curve_[-1] < again.loss_curve_[0]
    assert len(again.loss_curve_) == 30
    assert_array_equal(net.weights[0], estimator.coefs_[0])


def test_partial_fit_goes_on_from_the_network():
    net = trained([5, 6, 3], CLASS)
    estimator = to_sklearn(net, solver="sgd", momentum=0.0, alpha=0.0, learning_rate_init=0.1, batch_size=60)
    estimator.partial_fit(X, CLASS)
    net.fit(X, CLASS, epochs=1, batch_size=60, optimizer=mlpx.SGD(0.1), progress=False)
    for ours, theirs in zip(net.weights, estimator.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_warm_start_with_early_stopping_goes_on_from_the_network():
    net = trained([5, 6, 3], CLASS)
    estimator = to_sklearn(net, warm_start=True, early_stopping=True, max_iter=2, learning_rate_init=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, CLASS)
    assert len(estimator.validation_scores_) == 2
    assert_allclose(estimator.coefs_[0], net.weights[0], rtol=0, atol=1e-6)


def test_the_estimator_can_be_searched_over():
    estimator = to_sklearn(trained([5, 6, 3], CLASS), max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(estimator, {"alpha": [0.0, 0.1]}, cv=2).fit(X, CLASS)
    assert_allclose(from_sklearn(search.best_estimator_).predict(X), search.predict_proba(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [info.name for info in mlpx.available_backends() if info.available])
def test_from_and_to_every_backend(name):
    estimator = fitted(MLPClassifier, TARGETS["multiclass text"])
    net = from_sklearn(estimator, backend=name)
    assert net.backend.name == name
    assert_allclose(mlpx.to_numpy(net.predict(X)), estimator.predict_proba(X), rtol=0, atol=1e-12)
    again = to_sklearn(net)
    for ours, theirs in zip(again.coefs_, estimator.coefs_, strict=True):
        assert_array_equal(ours, theirs)
    assert_array_equal(again.predict(X), estimator.predict(X))


class doubled(Layer):  # noqa: N801
    """A layer that no other library knows."""


class Steeper(Dense):
    """A dense layer that computes something else."""


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ([Dense(5, 3, "gelu"), Dense(3, 2)], {}, r"the activation 'gelu' at layers\[0\].*Use one"),
        (
            [Dense(5, 3, "relu"), Dropout(0.1), Dense(3, 3, "tanh"), Dense(3, 2)],
            {},
            r"'tanh' at layers\[2\].*layers\[0\] has 'relu'",
        ),
        ([Dense(5, 3, "relu"), doubled(), Dense(3, 2)], {}, r"doubled at layers\[1\]"),
        ([Steeper(5, 3), Dense(3, 2)], {}, r"Steeper at layers\[0\]"),
        ([Dense(5, 2, "tanh")], {}, "the output 'tanh'.*softmax"),
        ([Dense(5, 2)], {"loss": "huber"}, "the loss 'huber'.*give loss=\"squared_error\""),
        ([Dense(5, 2, "sigmoid")], {"loss": "squared_error"}, "the loss 'squared_error'.*give loss=\"log_loss\""),
        ([Dense(5, 2)], {"members": 3}, r"a stack of 3 networks.*net\.member\(0\)"),
        ([Dense(5, 2)], {"dtype": "float16"}, 'float16.*mlpx.load.*dtype="float32"'),
    ],
    ids=["activation", "activations", "layer", "subclass", "output", "loss", "sigmoid's loss", "stack", "half"],
)
def test_what_scikit_learn_cannot_hold_is_refused(layers, options, message):
    with pytest.raises(ValueError, match=message):
        to_sklearn(Network(layers, **options))


def test_a_loss_that_scikit_learn_has_not_is_given_up_on_demand():
    net = Network([Dense(5, 2)], loss="huber", dtype="float64")
    estimator = to_sklearn(net, loss="squared_error")
    assert_allclose(estimator.predict(X), net.predict(X), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"`loss` must be 'squared_error'.*got 'poisson'"):
        to_sklearn(net, loss="poisson")


@pytest.mark.parametrize("name", ["hidden_layer_sizes", "activation"])
def test_parameters_that_the_network_settles_cannot_be_given(name):
    with pytest.raises(TypeError, match=f"`{name}` is that of the network"):
        to_sklearn(mlpx.MLP([5, 2]), **{name: "relu"})


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match=r"`net` must be an mlpx\.Network, got MLPClassifier"):
        to_sklearn(MLPClassifier())


def test_a_conversion_draws_nothing_from_the_global_generator():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    to_sklearn(mlpx.MLP([5, 4, 3]))
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
