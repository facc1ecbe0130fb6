"""What the estimators have beyond scikit-learn's: class weights, validation data, any loss, activation and optimizer."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")

from sklearn.metrics import log_loss, roc_auc_score
from sklearn.utils.class_weight import compute_sample_weight

import mlpx
from mlpx import losses
from mlpx.activations import custom, leaky_relu
from mlpx.sklearn import MLPClassifier, MLPRegressor
from sklearn_pairs import ROWS, data

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, classes = data("classes")
_, binary = data("binary")
_, numbers = data("numbers")
_, outputs = data("outputs")
_, indicators = data("indicators")
SHORT = {"hidden_layer_sizes": (6,), "max_iter": 4, "batch_size": 16, "random_state": 0}
# one step with all rows
STEP = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.5, "max_iter": 1, "batch_size": ROWS}


def classifier(**settings: Any) -> MLPClassifier:
    return MLPClassifier(**SHORT | settings)


def regressor(**settings: Any) -> MLPRegressor:
    return MLPRegressor(**SHORT | settings)


def assert_same_weights(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    for own, other in zip(found.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(own, other, rtol=tolerance, atol=tolerance)


def first_network(estimator: Any, y: Any) -> mlpx.Network:
    """Return the network from which an estimator starts, trained as `mlpx.Network.fit` trains it."""

    class Start(mlpx.Callback):
        def start(self, run: Any) -> None:
            run.net.vector  # noqa: B018 - as it is before the first epoch
            self.weights = [np.array(array) for array in run.net.weights]
            self.biases = [np.array(array) for array in run.net.biases]

    start = Start()
    estimator.set_params(callbacks=[start]).fit(X, y)
    net = estimator.network_
    net.set_weights(start.weights, start.biases)
    return net


# Weights of classes.

WEIGHTS = np.random.default_rng(3).uniform(0.2, 3.0, ROWS)


@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["", "times those of samples"])
@pytest.mark.parametrize("by_class", ["balanced", {0: 1.0, 1: 4.0, 2: 0.5}, {1: 3.0}], ids=str)
def test_class_weights_are_weights_of_samples(by_class: Any, weight: Any) -> None:
    found = classifier(class_weight=by_class).fit(X, classes, sample_weight=weight)
    each = compute_sample_weight(by_class, classes) * (1 if weight is None else weight)
    assert_same_weights(found, classifier().fit(X, classes, sample_weight=each))


def test_class_weights_by_label() -> None:
    labels = np.array(["a", "b", "c"])[classes]
    found = classifier(class_weight={"b": 3.0}).fit(X, labels)
    assert_same_weights(found, classifier(class_weight={1: 3.0}).fit(X, classes))


def test_class_weights_of_several_labels_are_multiplied() -> None:
    each = [{0: 1.0, 1: 2.0}, {0: 1.0, 1: 3.0}, {0: 1.0, 1: 1.0}]
    found = classifier(class_weight=each).fit(X, indicators)
    weight = 2.0 ** indicators[:, 0] * 3.0 ** indicators[:, 1]
    assert_same_weights(found, classifier().fit(X, indicators, sample_weight=weight))


def test_class_weights_in_partial_fit_where_a_class_is_missing() -> None:
    some = classes < 2
    found = classifier(class_weight={1: 2.0, 2: 5.0}).partial_fit(X[some], classes[some], classes=[0, 1, 2])
    expected = classifier().partial_fit(X[some], classes[some], 1.0 + classes[some], classes=[0, 1, 2])
    assert_same_weights(found, expected)


def test_balanced_weights_need_all_rows() -> None:
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        classifier(class_weight="balanced").partial_fit(X, classes, classes=[0, 1, 2])


@pytest.mark.parametrize("wrong", [{0: -1.0}, {0: np.nan}, {0: np.inf}, dict.fromkeys(range(3), 0)], ids=str)
def test_class_weights_that_are_none(wrong: Any) -> None:
    with pytest.raises(ValueError, match="`class_weight` must hold finite numbers of at least 0, and not 0 alone"):
        classifier(class_weight=wrong).fit(X, classes)


def test_a_list_of_class_weights_is_for_several_labels() -> None:
    with pytest.raises(ValueError, match="`class_weight` must be a dict or 'balanced'; a list is for several labels"):
        classifier(class_weight=[1.0, 2.0, 3.0]).fit(X, classes)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_negative_weights_of_samples(cls: type) -> None:
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        cls(**SHORT).fit(X, classes, sample_weight=np.r_[-1.0, np.ones(ROWS - 1)])


# Validation data.


@pytest.mark.parametrize(
    ("estimator", "y"),
    [(classifier(), classes), (classifier(), binary), (classifier(), indicators), (regressor(), outputs)],
    ids=["classes", "binary", "indicators", "outputs"],
)
def test_the_loss_of_validation_data_is_recorded(estimator: Any, y: Any) -> None:
    expected: list[float] = []
    estimator.set_params(callbacks=lambda run: expected.append(run.net.evaluate(X[:20], targets)["loss"]))
    targets = y[:20] if y.ndim == 2 else y[:20, None] if y is binary else y[:20]
    estimator.fit(X[20:], y[20:], X_val=X[:20], y_val=y[:20])
    np.testing.assert_allclose(estimator.validation_loss_curve_, expected, rtol=1e-12)
    assert estimator.history_["validation_loss"] == estimator.validation_loss_curve_
    assert_same_weights(estimator, type(estimator)(**SHORT).fit(X[20:], y[20:]))


def test_early_stopping_watches_validation_data() -> None:
    model = classifier(early_stopping=True, max_iter=60, n_iter_no_change=3, learning_rate_init=0.05)
    model.fit(X[20:], classes[20:], X_val=X[:20], y_val=classes[:20])
    assert model.n_iter_ < 60
    assert model.t_ == model.n_iter_ * 40
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.score(X[:20], classes[:20]) == pytest.approx(model.best_validation_score_)


def test_labels_of_validation_data_are_those_of_training() -> None:
    labels = np.array(["a", "b", "c"])
    model = classifier().fit(X, labels[classes], X_val=X, y_val=labels[classes])
    expected = classifier().fit(X, classes, X_val=X, y_val=classes)
    assert model.validation_loss_curve_ == expected.validation_loss_curve_


VALIDATION = {
    "no labels": (classifier, classes, {"X_val": X}, "`X_val` and `y_val` must be given together; y_val is None"),
    "no features": (classifier, classes, {"y_val": classes}, "must be given together; X_val is None"),
    "new labels": (classifier, classes, {"X_val": X, "y_val": classes + 1}, "`y_val` has classes not in"),
    "indicators": (classifier, classes, {"X_val": X, "y_val": indicators}, "`y_val` must be labels of shape"),
    "no indicators": (classifier, indicators, {"X_val": X, "y_val": classes}, "`y_val` must be indicators of shape"),
    "fewer features": (classifier, classes, {"X_val": X[:, :2], "y_val": classes}, "X has 2 features"),
    "fewer rows": (classifier, classes, {"X_val": X[:9], "y_val": classes}, "inconsistent numbers of samples"),
    "one output": (regressor, outputs, {"X_val": X, "y_val": numbers}, "`y_val` must have as many outputs as `y`"),
    "several outputs": (regressor, numbers, {"X_val": X, "y_val": outputs}, "which has 1, got 3"),
}


@pytest.mark.parametrize("case", VALIDATION)
def test_validation_data_that_do_not_go_with_the_training_data(case: str) -> None:
    make, y, given, message = VALIDATION[case]
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, **given)


def test_validation_targets_that_the_loss_cannot_take() -> None:
    with pytest.raises(ValueError, match="`y_val` must hold counts of at least 0"):
        regressor(loss="poisson").fit(X, abs(numbers), X_val=X, y_val=numbers)


SCORERS = {
    "roc_auc": lambda model, X, y: roc_auc_score(y, model.predict_proba(X)[:, 1]),
    "neg_log_loss": lambda model, X, y: -log_loss(y, model.predict_proba(X)),
}


@pytest.mark.parametrize("name", SCORERS)
def test_early_stopping_by_any_score(name: str) -> None:
    how = {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 2, "learning_rate_init": 0.05}
    found = classifier(scoring=name, **how).fit(X, binary, X_val=X[:30], y_val=binary[:30])
    expected = classifier(scoring=SCORERS[name], **how).fit(X, binary, X_val=X[:30], y_val=binary[:30])
    assert found.validation_scores_ == expected.validation_scores_
    assert found.n_iter_ == len(found.validation_scores_)
    assert SCORERS[name](found, X[:30], binary[:30]) == pytest.approx(found.best_validation_score_, abs=1e-12)


# Activations.


def sine(z: Any, xp: Any) -> Any:
    return xp.sin(z)


def cosine(z: Any, xp: Any) -> Any:
    return xp.cos(z)


def test_an_activation_a_layer() -> None:
    chosen = ["tanh", leaky_relu(0.3), custom(sine, cosine)]
    model = classifier(hidden_layer_sizes=(5, 4, 3), activation=chosen).fit(X, classes)
    a = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    a = a @ model.coefs_[1] + model.intercepts_[1]
    a = np.sin(np.where(a > 0, a, 0.3 * a) @ model.coefs_[2] + model.intercepts_[2])
    z = a @ model.coefs_[3] + model.intercepts_[3]
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)


def test_an_activation_of_ones_own_learns_as_the_one_of_the_package() -> None:
    own = custom(lambda z, xp: xp.tanh(z), lambda z, xp: 1 - xp.tanh(z) ** 2)
    assert_same_weights(classifier(activation=own).fit(X, classes), classifier(activation="tanh").fit(X, classes))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.tanh, TypeError, r"Give its derivative too: mlpx\.activations\.custom\(function, derivative\)"),
        (["relu", "tanh"], ValueError, "`activation` must be one, or a list of 1, one a hidden layer; got 2"),
        ([], ValueError, "a list of 1, one a hidden layer; got 0"),
        (["sine"], ValueError, "`activation` must be one of .*; got 'sine'"),
        ("step", ValueError, "`activation` 'step' has no derivative to train with"),
        ("softmax", ValueError, "'softmax' is for the output alone"),
        ("custom", ValueError, "`activation` 'custom' needs its parameters"),
    ],
    ids=["function", "two", "none", "unknown", "step", "softmax", "custom"],
)
def test_activations_that_there_are_not(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        classifier(activation=given).fit(X, classes)


# Dropout.


def test_dropout_is_drawn_from_the_random_state() -> None:
    first = classifier(dropout=0.4).fit(X, classes)
    assert_same_weights(first, classifier(dropout=0.4).fit(X, classes), tolerance=0)
    other = classifier(dropout=0.4, random_state=1).fit(X, classes)
    assert not np.allclose(first.loss_curve_, other.loss_curve_)
    assert not np.allclose(first.loss_curve_, classifier().fit(X, classes).loss_curve_)


def test_dropout_is_that_of_a_network() -> None:
    how = {"dropout": 0.4, "shuffle": False, "alpha": 0.0}
    model = classifier(**how, optimizer=mlpx.SGD(0.1, 0.9))
    net = first_network(model, classes)
    draws = np.random.RandomState(0)
    draws.uniform(size=sum(array.size for array in (*model.coefs_, *model.intercepts_)))
    twin = mlpx.Network(
        net.layers, loss="cross_entropy", dtype="float64", seed=int(draws.randint(np.iinfo(np.int32).max))
    )
    twin.set_weights(net.weights, net.biases)
    twin.fit(X, classes, epochs=4, batch_size=16, optimizer=mlpx.SGD(0.1, 0.9), shuffle=False)
    for own, other in zip(model.coefs_, twin.weights, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12)


def test_dropout_goes_on_from_one_partial_fit_to_the_next() -> None:
    how = {"dropout": 0.4, "shuffle": False}
    whole, pieces = classifier(**how).fit(X, classes), classifier(**how)
    for _ in range(4):
        pieces.partial_fit(X, classes, classes=[0, 1, 2])
    assert_same_weights(pieces, whole, tolerance=0)
    assert pieces.loss_curve_ == whole.loss_curve_


def test_predictions_are_without_dropout() -> None:
    model = classifier(dropout=0.5).fit(X, classes)
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))
    assert_same_weights(classifier(dropout=0.5, hidden_layer_sizes=()).fit(X, classes),
                        classifier(hidden_layer_sizes=()).fit(X, classes))  # fmt: skip


# Losses.

LOSSES = ["squared_error", "absolute_error", "huber", "quantile", losses.quantile(0.8), losses.huber(0.3)]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_any_loss_is_followed_as_a_network_follows_it(loss: Any) -> None:
    model = regressor(loss=loss, shuffle=False, alpha=0.0, optimizer=mlpx.SGD(0.02))
    net = first_network(model, outputs)
    assert net.loss == losses.get(loss)
    net.fit(X, outputs, epochs=4, batch_size=16, optimizer=mlpx.SGD(0.02), shuffle=False)
    for own, other in zip(model.coefs_, net.weights, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_so_many_targets_lie_below_a_quantile(solver: str, q: float) -> None:
    y = np.random.default_rng(0).normal(size=400)
    model = MLPRegressor(losses.quantile(q), (), solver=solver, max_iter=400, learning_rate_init=0.05, alpha=0.0,
                         tol=1e-6, n_iter_no_change=50, random_state=0)  # fmt: skip
    predicted = model.fit(np.zeros((400, 1)), y).predict([[0.0]])[0]
    assert np.mean(y < predicted) == pytest.approx(q, abs=0.03)


def test_huber_and_absolute_error_do_not_follow_outliers() -> None:
    x = np.linspace(-1, 1, 200)[:, None]
    line = 3 * x[:, 0] + 1
    y = np.where(np.arange(200) % 10 == 0, 500.0, line)
    wrong = {
        loss: np.max(abs(MLPRegressor(loss, (), solver="lbfgs", max_iter=2000, tol=1e-8, random_state=0)
                         .fit(x, y).predict(x) - line))
        for loss in ("squared_error", "huber", "absolute_error")
    }  # fmt: skip
    assert wrong["squared_error"] > 30
    assert wrong["huber"] < 0.5
    assert wrong["absolute_error"] < 0.5


def test_the_output_goes_with_the_loss() -> None:
    shares = regressor(loss=losses.binary_cross_entropy()).fit(X, binary.astype(float))
    assert shares.out_activation_ == "logistic"
    assert np.all((shares.predict(X) > 0) & (shares.predict(X) < 1))
    with pytest.raises(ValueError, match="`y` must lie between 0 and 1 for the loss 'binary_cross_entropy'"):
        regressor(loss=losses.binary_cross_entropy()).fit(X, numbers)


# What the loss of several outputs is, and what smoothing and penalties add to it.


def risk(net: mlpx.Network, targets: Any, coefs: Any, intercepts: Any) -> float:
    net.set_weights(coefs, intercepts)
    return net.evaluate(X, targets)["loss"]


@pytest.mark.parametrize(("loss", "y"), [("squared_error", outputs), ("poisson", np.abs(outputs))])
def test_the_reported_loss_is_the_one_whose_gradient_is_followed(loss: str, y: Any) -> None:
    settings = {"loss": loss, "activation": "tanh", "alpha": 0.3, **STEP, "learning_rate_init": 1e-3}
    model = regressor(**settings)
    net = first_network(model, y)
    coefs, intercepts = [np.array(w) for w in net.weights], [np.array(b) for b in net.biases]

    def reported(coefs: list[Any]) -> float:
        penalty = 0.5 * 0.3 * sum(np.sum(w**2) for w in coefs) / ROWS
        return risk(net, y, coefs, intercepts) + penalty

    assert model.loss_ == pytest.approx(reported(coefs), rel=1e-12)
    step = [(own - before) / -1e-3 for own, before in zip(model.coefs_, coefs, strict=True)]
    direction = [np.random.default_rng(i).normal(size=w.shape) for i, w in enumerate(coefs)]
    ahead, behind = ([w + h * d for w, d in zip(coefs, direction, strict=True)] for h in (1e-6, -1e-6))
    slope = (reported(ahead) - reported(behind)) / 2e-6
    assert sum(np.sum(g * d) for g, d in zip(step, direction, strict=True)) == pytest.approx(slope, rel=1e-6)


def test_lbfgs_reports_the_loss_of_several_outputs() -> None:
    model = regressor(solver="lbfgs", activation="tanh", alpha=0.3, max_iter=3).fit(X, outputs)
    squares = 0.5 * np.sum((model.predict(X) - outputs) ** 2, axis=1).mean()
    assert model.loss_ == pytest.approx(squares + 0.15 * sum(np.sum(w**2) for w in model.coefs_) / ROWS, rel=1e-10)


@pytest.mark.parametrize("batch_size", [10, 30, 60])
@pytest.mark.parametrize("mode", ["risk", "batch"])
def test_the_penalty_of_a_step(mode: str, batch_size: int) -> None:
    # without a signal a step multiplies the weights by one minus rate times penalty
    settings = STEP | {"batch_size": batch_size, "learning_rate_init": 0.1, "hidden_layer_sizes": ()}
    model = regressor(**settings, alpha=2.0, alpha_mode=mode, shuffle=False)
    zeros = np.zeros((ROWS, 5))
    before = np.random.RandomState(0).uniform(-1, 1, (5, 1))
    model.fit(zeros, np.zeros(ROWS))
    decay = 0.1 * (2.0 if mode == "risk" else 2.0 / batch_size)
    np.testing.assert_allclose(model.coefs_[0], before * (1 - decay) ** (ROWS // batch_size), rtol=1e-12)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_smoothed_labels_are_targets_between_the_classes(solver: str) -> None:
    how = {**STEP, "solver": solver, "shuffle": False}
    smoothed = classifier(label_smoothing=0.2, **how).fit(X, classes)
    targets = 0.8 * np.eye(3)[classes] + 0.2 / 3
    assert_same_weights(smoothed, regressor(loss=losses.cross_entropy(), **how).fit(X, targets), tolerance=1e-10)


# Optimizers.


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "AdamW", "rmsprop"])
def test_optimizers_by_name(name: str) -> None:
    found = classifier(optimizer=name).fit(X, classes)
    assert_same_weights(found, classifier(optimizer=mlpx.optimizers.get(name)).fit(X, classes), tolerance=0)


def test_an_optimizer_stands_in_place_of_the_solver() -> None:
    rate = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05}
    found = classifier(optimizer=mlpx.SGD(0.05), solver="lbfgs").fit(X, classes)
    assert_same_weights(found, classifier(**rate).fit(X, classes))
    assert hasattr(found, "partial_fit")


def test_a_schedule_sets_the_rate_of_each_step() -> None:
    schedule = mlpx.schedules.Step(0.1, factor=0.5, every=1)
    model = classifier(optimizer=mlpx.SGD(schedule)).fit(X, classes)
    rates = model.history_["learning_rate"]
    np.testing.assert_allclose(np.divide(rates[1:], rates[:-1]), 0.5)


def test_a_bound_on_the_gradient() -> None:
    how = {**STEP, "alpha": 0.0, "learning_rate_init": 1.0}
    model = regressor(**how, clip_norm=0.01)
    net = first_network(model, 1e3 * numbers)
    moved = [np.sum((own - np.array(w)) ** 2) for own, w in zip(model.coefs_, net.weights, strict=True)]
    moved += [np.sum((own - np.array(b)) ** 2) for own, b in zip(model.intercepts_, net.biases, strict=True)]
    assert np.sqrt(sum(moved)) == pytest.approx(0.01, rel=1e-10)


@pytest.mark.parametrize(
    "settings", [{"dropout": 0.5}, {"clip_norm": 1.0}, {"callbacks": [print]}, {"callbacks": print}], ids=str
)
def test_lbfgs_refuses_what_it_does_not_do(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=f"`{name}` is for gradient descent, not for solver='lbfgs'"):
        classifier(solver="lbfgs", **settings).fit(X, classes)
    with pytest.raises(ValueError, match="`X_val` is for gradient descent"):
        classifier(solver="lbfgs").fit(X, classes, X_val=X, y_val=classes)
