"""Many estimators fitted together come out as each would alone, whatever their settings, rows and weights."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone

import mlpx
from mlpx.sklearn import MLPClassifier, MLPRegressor
from mlpx.sklearn.draws import Stream
from mlpx.sklearn.fitting import fit_many
from sklearn_pairs import ROWS, data

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size`"),
]

X, classes = data("classes")
_, numbers = data("numbers")
SHORT = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}
LONG = SHORT | {"max_iter": 30}
FOLDS = [np.arange(45), np.arange(15, 60), np.arange(31)]
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2.0, ROWS)
NUMBERS = ["loss_", "best_loss_", "loss_curve_", "validation_loss_curve_", "validation_scores_"]


def classifiers(settings: dict[str, Any], **values: list[Any]) -> list[MLPClassifier]:
    """Return classifiers that differ in some parameters, by lists of the same length."""
    return [
        MLPClassifier(**settings | dict(zip(values, each, strict=True))) for each in zip(*values.values(), strict=True)
    ]


def own_part(given: Any, i: int) -> Any:
    return given[i] if isinstance(given, list) else given


def assert_as_alone(estimators: list[Any], X: Any = X, y: Any = classes, rows: Any = None, weight: Any = None) -> None:
    """Compare a fit of all together with a fit of each."""
    together, alone = [clone(each) for each in estimators], [clone(each) for each in estimators]
    assert fit_many(together, X, y, rows=rows, sample_weight=weight) == [None] * len(estimators)
    for i, (found, expected) in enumerate(zip(together, alone, strict=True)):
        own = slice(None) if rows is None or rows[i] is None else rows[i]
        w = own_part(weight, i)
        expected.fit(own_part(X, i)[own], own_part(y, i)[own], None if w is None else w[own])
        assert_same(found, expected)


def assert_same(found: Any, expected: Any) -> None:
    assert vars(found).keys() == vars(expected).keys()
    assert (found.n_iter_, getattr(found, "t_", 0)) == (expected.n_iter_, getattr(expected, "t_", 0))
    for name in NUMBERS:
        value = getattr(expected, name, None)
        assert (getattr(found, name, None) is None) == (value is None), name
        if value is not None:
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-12, atol=1e-12, err_msg=name)
    for name in ("coefs_", "intercepts_"):
        for own, other in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-12, err_msg=name)


MIXED = {
    "rates": classifiers(SHORT, learning_rate_init=[1e-3, 1e-2, 0.1]),
    "rates of gradient descent": classifiers(SHORT | {"solver": "sgd"}, learning_rate_init=[1e-3, 1e-2, 0.1]),
    "penalties": classifiers(SHORT, alpha=[0.0, 1e-2, 10.0]),
    "modes of penalties": classifiers(SHORT | {"alpha": 1.0}, alpha_mode=["batch", "risk"]),
    "layers": classifiers(SHORT, hidden_layer_sizes=[(6,), (4, 4), (), 6]),
    "batches": classifiers(SHORT, batch_size=[7, 20, 60]),
    "seeds": classifiers(SHORT, random_state=[0, 1, 2]),
    "solvers": classifiers(SHORT, solver=["sgd", "adam", "lbfgs"]),
    "betas": classifiers(SHORT, beta_1=[0.0, 0.9, 0.5], beta_2=[0.9, 0.99, 0.9], epsilon=[1e-3, 1e-8, 1e-8]),
    "activations": classifiers(SHORT, activation=["relu", "tanh", ["relu"], mlpx.activations.leaky_relu(0.2)]),
    "dropout": classifiers(SHORT | {"batch_size": 20}, dropout=[0.0, 0.2, 0.5]),
    "bounds": classifiers(SHORT, clip_norm=[None, 0.1, 1.0]),
    "smoothing": classifiers(SHORT, label_smoothing=[0.0, 0.1, 0.1, 0.2]),
    "weights of classes": classifiers(SHORT, class_weight=[None, "balanced", {0: 1, 1: 5, 2: 1}]),
    "scorers": classifiers(SHORT | {"early_stopping": True}, scoring=["neg_log_loss", "accuracy", None]),
    "optimizers": classifiers(SHORT, optimizer=[mlpx.AdamW(1e-2), mlpx.AdamW(1e-2), mlpx.SGD(0.1), None]),
    "types": classifiers(SHORT, dtype=["float64", None]),
    "momenta": classifiers(
        SHORT | {"solver": "sgd", "learning_rate_init": 0.05},
        momentum=[0.0, 0.0, 0.5, 0.5, 0.9],
        nesterovs_momentum=[True, False, False, True, True],
    ),
    "ends by score": classifiers(
        LONG | {"early_stopping": True, "learning_rate_init": 0.02},
        n_iter_no_change=[2, 5, 2, 5],
        max_iter=[5, 30, 30, 4],
        tol=[0.0, 0.0, 0.1, 0.1],
    ),
    "ends by loss": classifiers(
        LONG | {"learning_rate_init": 0.02},
        n_iter_no_change=[2, 5, 2, 5],
        max_iter=[5, 30, 30, 4],
        tol=[0, 0, 0.1, 0.1],
    ),
    "rates that adapt": classifiers(
        LONG | {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1},
        n_iter_no_change=[1, 3, 1],
        tol=[0.01, 0.1, 0.1],
    ),
    "rates that fall": classifiers(
        SHORT | {"solver": "sgd", "learning_rate": "invscaling"}, power_t=[0.1, 0.5], learning_rate_init=[0.1, 0.3]
    ),
}


@pytest.mark.parametrize("what", MIXED)
def test_settings_that_differ(what: str) -> None:
    assert_as_alone(MIXED[what])


FOLDED = {
    "Adam": {"batch_size": 10},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 30, "n_iter_no_change": 2},
    "a rate that adapts": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2},
    "a rate that falls": {"solver": "sgd", "learning_rate": "invscaling"},
    "dropout": {"dropout": 0.3, "batch_size": 10},
    "balanced classes": {"class_weight": "balanced"},
    "the penalty of a batch": {"alpha": 1.0, "batch_size": 17},
    "L-BFGS": {"solver": "lbfgs"},
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("how", FOLDED)
def test_folds_of_other_lengths(how: str, weighted: bool) -> None:
    estimators = [MLPClassifier(**SHORT | FOLDED[how]) for _ in FOLDS]
    assert_as_alone(estimators, rows=FOLDS, weight=WEIGHTS if weighted else None)


def test_folds_of_numbers() -> None:
    how = {"early_stopping": True, "validation_fraction": 0.2}
    estimators = [MLPRegressor(**LONG | how, n_iter_no_change=n) for n in (2, 3, 5)]
    assert_as_alone(estimators, y=numbers, rows=FOLDS)


def test_rows_as_masks_and_lists() -> None:
    estimators = [MLPClassifier(**SHORT) for _ in range(4)]
    assert_as_alone(estimators, rows=[X[:, 0] > -0.5, list(range(40)), None, np.r_[np.arange(60), np.arange(9)]])


def test_losses_that_differ() -> None:
    names = ["squared_error", "huber", "absolute_error", mlpx.losses.quantile(0.9), mlpx.losses.quantile(0.1)]
    assert_as_alone([MLPRegressor(**SHORT, loss=loss) for loss in names], y=numbers)


def test_data_that_differ() -> None:
    three = [MLPClassifier(**SHORT) for _ in range(3)]
    assert_as_alone(three, X=[X, 2 * X, X[:40]], y=[classes, classes, classes[:40]])
    assert_as_alone(three, X=[X, X[:, :3], X[:40]], y=[classes, classes, classes[:40]])
    assert_as_alone(three, X=[X, X, X], y=[classes, (classes > 0).astype(int), (classes + 1) % 3])
    assert_as_alone(three, weight=[WEIGHTS, None, WEIGHTS**2])


@pytest.mark.parametrize("backend", ["torch", "array_api_strict"])
def test_backends_that_differ(backend: str) -> None:
    pytest.importorskip(backend)
    assert_as_alone(classifiers(SHORT, backend=[backend, "numpy", backend]), rows=FOLDS)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(draw=st.data())
def test_any_mixture(draw: st.DataObject) -> None:
    one = st.fixed_dictionaries(
        {
            "hidden_layer_sizes": st.sampled_from([(3,), (2, 3)]),
            "solver": st.sampled_from(["adam", "sgd"]),
            "alpha": st.sampled_from([0.0, 0.5]),
            "batch_size": st.sampled_from([9, 30]),
            "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
            "learning_rate_init": st.floats(1e-4, 0.2),
            "momentum": st.sampled_from([0.0, 0.9]),
            "nesterovs_momentum": st.booleans(),
            "early_stopping": st.booleans(),
            "n_iter_no_change": st.integers(1, 4),
            "max_iter": st.integers(1, 12),
            "tol": st.sampled_from([0.0, 0.05]),
            "shuffle": st.booleans(),
            "dropout": st.sampled_from([0.0, 0.3]),
            "class_weight": st.sampled_from([None, "balanced"]),
            "random_state": st.integers(0, 2),
        }
    )
    each = draw.draw(st.lists(st.tuples(one, st.sampled_from([None, *FOLDS])), min_size=2, max_size=5))
    weight = draw.draw(st.sampled_from([None, WEIGHTS]))
    estimators = [MLPClassifier(validation_fraction=0.3, **chosen) for chosen, _ in each]
    assert_as_alone(estimators, rows=[rows for _, rows in each], weight=weight)


# One that fails.


def failing(run: Any) -> None:
    msg = "boo"
    raise RuntimeError(msg)


FAILING = {
    "a parameter": ({"alpha": -1}, "'alpha' parameter of MLPClassifier must be"),
    "its activations": ({"activation": ["relu", "tanh"]}, "`activation` must be one, or a list of 1"),
    "its split": ({"early_stopping": True, "validation_fraction": 0.01}, "validation set is too small"),
    "its callback": ({"callbacks": [failing]}, "boo"),
    "its scorer": ({"early_stopping": True, "scoring": lambda model, X, y: failing(model)}, "boo"),
    "its backend": ({"backend": "abacus"}, "`backend` must be one of"),
    "its activation": ({"activation": mlpx.activations.custom(lambda z, xp: z, lambda z, xp: failing(z))}, "boo"),
    "its weights": ({"class_weight": {0: -1}}, "`class_weight` must hold finite numbers of at least 0"),
}


@pytest.mark.parametrize("why", FAILING)
def test_one_that_fails_leaves_the_others(why: str) -> None:
    wrong, message = FAILING[why]
    good = MLPClassifier(**SHORT)
    estimators = [clone(good), MLPClassifier(**SHORT | wrong), clone(good).set_params(alpha=2.0)]
    before, error, after = fit_many(estimators, X, classes)
    assert before is after is None
    assert message in str(error)
    assert_same(estimators[0], good.fit(X, classes))
    with pytest.raises(type(error)) as alone:
        clone(estimators[1]).fit(X, classes)
    assert str(alone.value) == str(error)


def test_one_that_diverges_leaves_the_others() -> None:
    settings = {"solver": "sgd", "activation": "identity", "random_state": 0, "max_iter": 5}
    rates = [MLPRegressor(**settings, learning_rate_init=rate) for rate in (1e-3, 1e200, 1e-2)]
    errors = fit_many(rates, X, numbers)
    assert [error is None for error in errors] == [True, False, True]
    assert "Solver produced non-finite parameter weights" in str(errors[1])


def test_rows_that_cannot_be_trained_on() -> None:
    rows = [np.arange(30), np.arange(30, 60), np.arange(0), np.arange(50, 70)]
    weight = np.r_[np.zeros(30), np.ones(30)]
    errors = fit_many([MLPClassifier(**SHORT) for _ in rows], X, classes, rows=rows, sample_weight=weight)
    assert str(errors[0]) == "Sample weights must contain at least one non-zero number."
    assert errors[1] is None
    assert str(errors[2]) == "`rows` must hold at least one row of each estimator, got none."
    assert isinstance(errors[3], IndexError)


def test_of_none_there_is_nothing() -> None:
    assert fit_many([], X, classes) == []


def test_one_object_is_not_fitted_twice() -> None:
    X, y = data("classes")
    one = MLPClassifier(max_iter=2)
    with pytest.raises(ValueError, match="`estimators` must be different objects, but one is given twice"):
        fit_many([one, one], X, y)


def test_each_generator_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = data("classes")
    places, own = [], Stream.place
    monkeypatch.setattr(Stream, "place", lambda stream: places.append(stream) or own(stream))
    seeds = [0, 1, 0, 2, 1, 0]
    stack = [MLPClassifier((3,), max_iter=3, random_state=seed) for seed in seeds]
    assert fit_many(stack, X, y) == [None] * len(seeds)
    assert len(places) == len(seeds)
    for i, seed in enumerate(seeds):
        np.testing.assert_array_equal(stack[i].coefs_[0], stack[seeds.index(seed)].coefs_[0])
    assert not np.array_equal(stack[0].coefs_[0], stack[1].coefs_[0])
