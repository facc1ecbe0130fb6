"""What a fit leaves equals what scikit-learn's leaves: same data, settings and random state, to 1e-10 in float64."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")

from sklearn.model_selection import train_test_split

from sklearn_pairs import DATA, ROWS, Pair, assert_same, both, data, make_pair

pytestmark = pytest.mark.once

SOLVERS = {
    "sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.02},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.02},
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
}
# 60 rows make three batches of 16 and one of 12
SHORT = {"hidden_layer_sizes": (8,), "batch_size": 16, "max_iter": 5, "alpha": 0.01, "random_state": 0}


def make(name: str, **settings) -> Pair:
    """Return both estimators for a kind of data, with settings for a short fit."""
    cls, special = DATA[name]
    return make_pair(cls, **(SHORT | special | settings))


def fit(pair: Pair, name: str, **given) -> Pair:
    X, y = data(name)
    both(pair, lambda estimator: estimator.fit(X, y, **given))
    return pair


def weights(zeros: bool = False) -> np.ndarray:
    drawn = np.random.default_rng(3).uniform(0.2, 3.0, ROWS)
    return np.where(np.arange(ROWS) % 5 == 0, 0.0, drawn) if zeros else drawn


# Five epochs.


@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in order"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", DATA)
def test_five_epochs(name: str, solver: str, shuffle: bool) -> None:
    assert_same(fit(make(name, shuffle=shuffle, **SOLVERS[solver]), name), *data(name))


@pytest.mark.parametrize("solver", ["nesterov", "adam"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("name", ["binary", "classes", "numbers"])
def test_every_activation(name: str, activation: str, solver: str) -> None:
    pair = make(name, activation=activation, hidden_layer_sizes=(7, 6), **SOLVERS[solver])
    assert_same(fit(pair, name), *data(name))


@pytest.mark.parametrize("sizes", [(), (1,), (6, 5, 4), 5, [4, 3], np.array([3, 4])], ids=str)
@pytest.mark.parametrize("name", ["classes", "numbers"])
def test_hidden_layers(name: str, sizes) -> None:
    assert_same(fit(make(name, hidden_layer_sizes=sizes), name), *data(name))


@pytest.mark.parametrize("batch_size", [1, 7, 59, 60, 100, "auto"])
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
def test_batches(batch_size, solver: str) -> None:
    # a batch of more than all rows is clipped with a warning, which both must give
    assert_same(fit(make("classes", batch_size=batch_size, **SOLVERS[solver]), "classes"), *data("classes"))


@pytest.mark.parametrize("alpha", [0.0, 1e-4, 3.0])
@pytest.mark.parametrize("name", ["indicators", "numbers", "counts"])
def test_penalties(name: str, alpha: float) -> None:
    assert_same(fit(make(name, alpha=alpha), name), *data(name))


@pytest.mark.parametrize("zeros", [False, True], ids=["positive", "some zero"])
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
@pytest.mark.parametrize("name", DATA)
def test_sample_weights(name: str, solver: str, zeros: bool) -> None:
    pair = fit(make(name, **SOLVERS[solver]), name, sample_weight=weights(zeros))
    assert_same(pair, *data(name))


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "sgd", "momentum": 0.5},
        {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-3},
        {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False},
        {"solver": "adam", "beta_1": 0.0, "beta_2": 0.0},
        {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    ],
    ids=str,
)
def test_settings_of_solvers(settings) -> None:
    assert_same(fit(make("classes", **settings), "classes"), *data("classes"))


@pytest.mark.parametrize("name", ["binary", "indicators", "numbers", "outputs"])
def test_float32(name: str) -> None:
    X, y = data(name)
    X = X.astype(np.float32)
    y = y.astype(np.float32) if y.dtype.kind == "f" else y
    pair = make(name)
    both(pair, lambda estimator: estimator.fit(X, y))
    assert pair.own.coefs_[0].dtype == np.float32
    assert_same(pair, X, tolerance=1e-4)


def test_integers_are_computed_in_float64() -> None:
    X, y = data("classes")
    pair = make("classes")
    both(pair, lambda estimator: estimator.fit(np.round(3 * X).astype(int), y))
    assert_same(pair, X)


# Several outputs: the loss that is told is the one whose gradient is followed.


@pytest.mark.parametrize("solver", SOLVERS)
def test_several_outputs_with_a_penalty_are_trained_alike(solver: str) -> None:
    pair = fit(make("outputs", alpha=0.5, **SOLVERS[solver]), "outputs")
    for found, expected in zip(pair.own.coefs_, pair.theirs.coefs_, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_the_loss_of_several_outputs_is_that_of_all_of_them() -> None:
    X, y = data("outputs")
    pair = fit(make("outputs", alpha=0.5, solver="sgd", learning_rate_init=1e-13, batch_size=60), "outputs")
    residuals = 0.5 * np.sum((y - pair.theirs.predict(X)) ** 2, axis=1).mean()
    penalty = 0.25 * sum(np.sum(W**2) for W in pair.theirs.coefs_) / ROWS
    assert pair.own.loss_ == pytest.approx(residuals + penalty, rel=1e-10)


# Stopping.


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
@pytest.mark.parametrize("name", DATA)
def test_early_stopping(name: str, solver: str, weighted: bool) -> None:
    settings = {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 3, "validation_fraction": 0.2}
    pair = fit(make(name, **settings, **SOLVERS[solver]), name, **({"sample_weight": weights()} if weighted else {}))
    assert len(pair.theirs.validation_scores_) > 3
    assert_same(pair, *data(name))


def test_early_stopping_goes_back_to_the_best_epoch() -> None:
    pair = fit(make("classes", early_stopping=True, max_iter=200, learning_rate_init=0.05), "classes")
    scores = pair.own.validation_scores_
    assert scores[-1] < max(scores) or scores.index(max(scores)) < len(scores) - 1
    assert_same(pair, *data("classes"))


@pytest.mark.parametrize("tol", [0.0, 1e-4, 0.1])
@pytest.mark.parametrize("name", ["binary", "numbers"])
def test_training_stops_in_the_same_epoch(name: str, tol: float) -> None:
    pair = fit(make(name, max_iter=150, tol=tol, n_iter_no_change=4, learning_rate_init=0.03), name)
    assert_same(pair, *data(name))


def test_training_without_an_end() -> None:
    pair = fit(make("numbers", max_iter=30, tol=0.5, n_iter_no_change=np.inf), "numbers")
    assert pair.own.n_iter_ == 30
    assert_same(pair, *data("numbers"))


@pytest.mark.parametrize("early_stopping", [False, True], ids=["by loss", "by score"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("name", ["classes", "numbers"])
def test_learning_rates_and_what_is_printed(name: str, learning_rate: str, early_stopping: bool, capsys) -> None:
    settings = {"solver": "sgd", "learning_rate": learning_rate, "learning_rate_init": 0.1, "power_t": 0.4}
    stopping = {"early_stopping": early_stopping, "tol": 0.02, "n_iter_no_change": 2, "max_iter": 80}
    pair = make(name, **settings, **stopping, verbose=True)
    said = []
    for estimator in pair:
        both(Pair(estimator, copy.deepcopy(estimator)), lambda each: each.fit(*data(name)))
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert ("Setting learning rate to" in said[0]) == (learning_rate == "adaptive")
    assert_same(pair, *data(name))


# Going on.


@pytest.mark.parametrize("seed", [lambda: 0, lambda: np.random.RandomState(4)], ids=["int", "RandomState"])
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
def test_warm_starts(solver: str, seed) -> None:
    pair = make("classes", warm_start=True, random_state=seed, **SOLVERS[solver])
    for max_iter in (2, 3, 1):
        for estimator in pair:
            estimator.max_iter = max_iter
        assert_same(fit(pair, "classes"), *data("classes"))


# A warm start of scikit-learn's trains in the arrays that it keeps as the best ones, and loses these where no epoch
# is better. Ours keeps them, so the weights of such fits are not compared.
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
def test_warm_starts_keep_the_weights_of_the_best_score(solver: str) -> None:
    X, y = data("classes")
    pair = make("classes", warm_start=True, early_stopping=True, validation_fraction=0.3, **SOLVERS[solver])
    kept = None
    for _ in range(4):
        before = getattr(pair.own, "best_validation_score_", -np.inf)
        fit(pair, "classes")
        assert pair.own.best_validation_score_ == max(pair.own.validation_scores_)
        if pair.own.best_validation_score_ > before:
            kept = copy.deepcopy(pair.own.coefs_)
        for found, expected in zip(pair.own.coefs_, kept, strict=True):
            np.testing.assert_array_equal(found, expected)
    # a warm start draws no parameters before the split
    held_out = train_test_split(np.arange(ROWS), random_state=0, test_size=0.3)[1]
    assert pair.own.score(X[held_out], y[held_out]) == pytest.approx(pair.own.best_validation_score_)


def test_a_fit_without_warm_start_begins_again() -> None:
    pair = fit(fit(make("numbers"), "numbers"), "numbers")
    assert pair.own.t_ == 5 * ROWS
    assert_same(pair, *data("numbers"))


@pytest.mark.parametrize("seed", [lambda: 0, lambda: np.random.RandomState(4)], ids=["int", "RandomState"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
@pytest.mark.parametrize("name", ["binary", "labels", "indicators", "numbers"])
def test_sequences_of_partial_fit(name: str, solver: str, learning_rate: str, seed) -> None:
    X, y = data(name)
    pair = make(name, learning_rate=learning_rate, random_state=seed, **SOLVERS[solver])
    labels = np.arange(3) if y.ndim == 2 else np.unique(y)
    classes = {"classes": labels} if DATA[name][0] == "MLPClassifier" else {}
    for start, stop in [(0, 30), (30, 60), (0, 17), (20, 60)]:
        some = slice(start, stop)
        given = classes if start == 0 else {}
        if stop == 17:
            given = given | {"sample_weight": weights()[some]}
        both(pair, lambda each, some=some, given=given: each.partial_fit(X[some], y[some], **given))
        assert_same(pair, X, y)


def test_partial_fit_after_fit_begins_with_a_fresh_solver_only_where_there_was_none() -> None:
    X, y = data("classes")
    pair = fit(make("classes"), "classes")
    for _ in range(3):
        both(pair, lambda each: each.partial_fit(X, y))
    assert_same(fit(pair, "classes"), X, y)


def test_parameters_that_are_written_are_read_again() -> None:
    X, y = data("numbers")
    pair = fit(make("numbers"), "numbers")
    for estimator in pair:
        estimator.coefs_[0][:] = 0.1
        estimator.intercepts_[1] = np.full(1, -0.5)
        estimator.alpha = 1.0
    assert_same(pair, X, y)
    both(pair, lambda each: each.partial_fit(X, y))
    assert_same(pair, X, y)
    for estimator in pair:
        estimator.coefs_ = [W + 0.01 for W in estimator.coefs_]
        estimator.set_params(warm_start=True)
    assert_same(fit(pair, "numbers"), X, y)


@pytest.mark.parametrize(
    "through", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copy", "file"]
)
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
def test_copies_go_on_where_the_original_stood(through, solver: str) -> None:
    X, y = data("classes")
    pair = make("classes", random_state=lambda: np.random.RandomState(1), **SOLVERS[solver])
    both(pair, lambda each: each.partial_fit(X, y, classes=[0, 1, 2]))
    pair = Pair(*map(through, pair))
    both(pair, lambda each: each.partial_fit(X, y))
    assert_same(pair, X, y)


@pytest.mark.parametrize("settings", [{}, {"shuffle": False}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_a_random_state_is_left_where_scikit_learn_leaves_it(settings) -> None:
    pair = fit(make("classes", random_state=lambda: np.random.RandomState(5), **settings), "classes")
    left = [estimator.random_state.random_sample(3) for estimator in pair]
    np.testing.assert_array_equal(*left)


def test_the_global_random_state_is_drawn_from_where_none_is_given() -> None:
    pair = make("classes", random_state=None)
    for estimator in pair:
        np.random.seed(11)  # noqa: NPY002 - what random_state=None stands for
        both(Pair(estimator, make("classes").theirs), lambda each: each.fit(*data("classes")))
    assert_same(pair, *data("classes"))


# L-BFGS: a line search takes what it is told to the last digit, so a few steps agree, and many need not.


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu"])
@pytest.mark.parametrize("name", [name for name in DATA if name != "outputs"])
def test_lbfgs(name: str, activation: str, weighted: bool) -> None:
    pair = make(name, solver="lbfgs", activation=activation, max_iter=8, alpha=0.1)
    fit(pair, name, **({"sample_weight": weights()} if weighted else {}))
    assert_same(pair, *data(name), tolerance=1e-6)


def test_lbfgs_goes_on_with_warm_start() -> None:
    pair = make("binary", solver="lbfgs", max_iter=4, warm_start=True)
    for _ in range(3):
        assert_same(fit(pair, "binary"), *data("binary"), tolerance=1e-6)


def test_lbfgs_with_several_outputs_gets_the_loss_whose_gradient_it_gets() -> None:
    X, y = data("outputs")
    settings = {"solver": "lbfgs", "max_iter": 500, "activation": "identity", "alpha": 0.0, "tol": 1e-8}
    pair = make("outputs", **settings)
    pair.own.fit(X, y)
    design = np.column_stack([X, np.ones(ROWS)])
    best = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    assert pair.own.loss_ == pytest.approx(0.5 * np.sum((y - best) ** 2, axis=1).mean(), rel=1e-8)
    np.testing.assert_allclose(pair.own.predict(X), best, atol=1e-4)
