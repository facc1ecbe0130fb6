"""What the estimators take beyond scikit-learn's: weights of classes, validation data, any score and activation."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")

from sklearn.metrics import log_loss, roc_auc_score
from sklearn.utils.class_weight import compute_sample_weight

from mlpx.activations import custom, leaky_relu
from mlpx.sklearn import MLPClassifier, MLPRegressor
from sklearn_pairs import ROWS, assert_same_weights, data

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
        (
            np.tanh,
            TypeError,
            r"`activation` must be a function of \(z, xp\) .* it failed with TypeError",
        ),
        (["relu", "tanh"], ValueError, "`activation` must be one, or a list of 1, one a hidden layer; got 2"),
        ([], ValueError, "a list of 1, one a hidden layer; got 0"),
        (["tahn"], ValueError, "`activation` must be one of .*; got 'tahn'"),
        (["step"], ValueError, "`activation` 'step' has no derivative to train with"),
        (["softmax"], ValueError, "'softmax' is for the output alone"),
        (["custom"], ValueError, "`activation` 'custom' needs its parameters"),
    ],
    ids=["function", "two", "none", "unknown", "step", "softmax", "custom"],
)
def test_activations_that_there_are_not(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        classifier(activation=given).fit(X, classes)
