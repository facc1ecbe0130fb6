"""How the estimators train beyond scikit-learn's: with dropout, any loss, penalty and optimizer."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")


import mlpx
from mlpx import losses
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
