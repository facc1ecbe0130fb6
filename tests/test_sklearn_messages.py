"""Bad input meets the same exceptions, warnings and words as scikit-learn's estimators have for it."""

import inspect
import io
import re

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", minversion="1.9")

from scipy import sparse
from sklearn.base import clone

from sklearn_pairs import Pair, data, make_pair, outcome

pytestmark = pytest.mark.once

BOTH = ("MLPClassifier", "MLPRegressor")
X, classes = data("classes")
_, numbers = data("numbers")
SHORT = {"max_iter": 2, "random_state": 0}


def target(cls: str) -> np.ndarray:
    return classes if cls == "MLPClassifier" else numbers


def with_one(value, like=X, at=(3, 1)) -> np.ndarray:
    changed = np.array(like, dtype=float)
    changed[at if changed.ndim == 2 else at[0]] = value
    return changed


def sorted_choices(error: tuple) -> tuple:
    """Return an error with the choices that it names in order: those of a set are printed in any."""
    kind, text = error
    return kind, re.sub(r"{[^}]*}", lambda found: str(sorted(found[0].strip("{}").split(", "))), text)


def refused(pair: Pair, call) -> str:
    """Let both be asked what they must refuse in the same words, and return these."""
    own, theirs = (outcome(call, estimator) for estimator in pair)
    assert theirs.error is not None, "scikit-learn does not refuse this"
    assert sorted_choices(own.error) == sorted_choices(theirs.error)
    assert own.warned == theirs.warned
    return theirs.error[1]


def warned(pair: Pair, call) -> list[str]:
    """Let both be asked what they must warn of in the same words, and return these."""
    own, theirs = (outcome(call, estimator) for estimator in pair)
    assert own.error is None
    assert theirs.error is None
    assert own.warned == theirs.warned
    return [text for _, text in theirs.warned]


# Data.

FEATURES = {
    "NaN": with_one(np.nan),
    "infinity": with_one(np.inf),
    "one-dimensional": X[:, 0],
    "three-dimensional": X[None],
    "a number": 3.0,
    "no rows": X[:0],
    "no columns": X[:, :0],
    "a row too few": X[:-1],
    "complex": X + 1j,
    "strings": np.full(X.shape, "pear"),
    "mixed strings": [["pear", 1.0]] * 60,
    "ragged": [[1.0, 2.0], [3.0]] * 30,
    "sparse with NaN": sparse.csr_array(with_one(np.nan)),
    "a table with words": pd.DataFrame({"fruit": ["pear"] * 60}),
    "None": None,
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("given", FEATURES)
@pytest.mark.parametrize("cls", BOTH)
def test_features_that_cannot_be_trained_on(cls: str, given: str, method: str) -> None:
    first = {"classes": [0, 1, 2]} if (cls, method) == ("MLPClassifier", "partial_fit") else {}
    refused(make_pair(cls, **SHORT), lambda each: getattr(each, method)(FEATURES[given], target(cls), **first))


TARGETS = {
    "classes as fractions": ("MLPClassifier", numbers),
    "NaN among classes": ("MLPClassifier", with_one(np.nan, classes)),
    "several classes of several outputs": ("MLPClassifier", np.column_stack([classes, classes])),
    "classes with words and numbers": ("MLPClassifier", np.array(["a", 1.0, None] * 20, dtype=object)),
    "three-dimensional": ("MLPClassifier", classes.reshape(-1, 1, 1)),
    "None": ("MLPClassifier", None),
    "a class too few": ("MLPClassifier", classes[:-1]),
    "NaN among numbers": ("MLPRegressor", with_one(np.nan, numbers)),
    "infinity among numbers": ("MLPRegressor", with_one(np.inf, numbers)),
    "numbers of three dimensions": ("MLPRegressor", numbers.reshape(-1, 1, 1)),
    "no numbers": ("MLPRegressor", None),
    "a number too few": ("MLPRegressor", numbers[:-1]),
    "sparse numbers": ("MLPRegressor", sparse.csr_array(numbers.reshape(-1, 1))),
}


@pytest.mark.parametrize("given", TARGETS)
def test_targets_that_cannot_be_learned(given: str) -> None:
    cls, y = TARGETS[given]
    refused(make_pair(cls, **SHORT), lambda each: each.fit(X, y))


@pytest.mark.parametrize("cls", BOTH)
def test_targets_in_a_column_are_taken_with_a_warning(cls: str) -> None:
    said = warned(make_pair(cls, **SHORT), lambda each: each.fit(X, target(cls).reshape(-1, 1)))
    assert "A column-vector y was passed" in said[0]


WEIGHTS = {
    "NaN": with_one(np.nan, np.ones(60)),
    "too few": np.ones(59),
    "of two dimensions": np.ones((60, 2)),
    "words": np.full(60, "heavy"),
}


@pytest.mark.parametrize("given", WEIGHTS)
@pytest.mark.parametrize("cls", BOTH)
def test_sample_weights_that_are_none(cls: str, given: str) -> None:
    refused(make_pair(cls, **SHORT), lambda each: each.fit(X, target(cls), sample_weight=WEIGHTS[given]))


# Parameters.

VALUES = {
    "hidden_layer_sizes": [None, "wide", 0, -3, 1.5],
    "solver": ["newton", None],
    "alpha": [-1e-3, "auto", None],
    "batch_size": [0, 1.5, "all", None],
    "learning_rate": ["fast", 0.1],
    "learning_rate_init": [0.0, -1.0, "auto"],
    "power_t": [-0.5, None],
    "max_iter": [0, 1.5, None],
    "shuffle": ["yes", 2, None],
    "random_state": ["seed", -1.5],
    "tol": [-1e-4, None],
    "verbose": ["loud", -1],
    "warm_start": ["yes", None],
    "momentum": [-0.1, 1.1],
    "nesterovs_momentum": ["yes", 1],
    "early_stopping": ["yes", None],
    "validation_fraction": [-0.1, 1.0, None],
    "beta_1": [1.0, -0.1],
    "beta_2": [1.0, None],
    "epsilon": [0.0, -1e-8],
    "n_iter_no_change": [0, 2.5, None],
    "max_fun": [0, 1e3],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in VALUES.items() for value in values])
@pytest.mark.parametrize("cls", BOTH)
def test_parameters_out_of_their_range(cls: str, name: str, value) -> None:
    said = refused(make_pair(cls, **{name: value}), lambda each: each.fit(X, target(cls)))
    assert said.startswith(f"The '{name}' parameter of {cls} must be")


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        ("MLPClassifier", "activation", "sine"),
        ("MLPClassifier", "activation", None),
        ("MLPRegressor", "activation", 1),
        ("MLPRegressor", "loss", "gini"),
        ("MLPRegressor", "loss", None),
    ],
)
def test_parameters_that_take_more_here_begin_and_end_alike(cls: str, name: str, value) -> None:
    own, theirs = (outcome(lambda each: each.fit(X, target(cls)), each) for each in make_pair(cls, **{name: value}))
    assert own.error[0] is theirs.error[0]
    for said in (own.error[1], theirs.error[1]):
        assert re.fullmatch(rf"The '{name}' parameter of {cls} must be .*\. Got {value!r} instead\.", said)


@pytest.mark.parametrize("sizes", [(5, 0), (-1,), [3, -2, 4], (0,)])
def test_layers_without_units(sizes) -> None:
    said = refused(make_pair("MLPClassifier", hidden_layer_sizes=sizes), lambda each: each.fit(X, classes))
    assert said == f"hidden_layer_sizes must be > 0, got {list(sizes)}."


@pytest.mark.parametrize("cls", BOTH)
def test_a_parameter_that_is_none(cls: str) -> None:
    own, theirs = (outcome(lambda each: each.set_params(hidden_layers=3), each).error for each in make_pair(cls))
    assert own[0] is theirs[0]
    # the names that are valid follow, of which ours has more
    assert own[1].partition("[")[0] == theirs[1].partition("[")[0]


# Order of calls.


@pytest.mark.parametrize(
    ("cls", "method"),
    [
        ("MLPClassifier", "predict"),
        ("MLPClassifier", "predict_proba"),
        ("MLPClassifier", "predict_log_proba"),
        ("MLPRegressor", "predict"),
    ],
)
def test_predictions_before_a_fit(cls: str, method: str) -> None:
    said = refused(make_pair(cls), lambda each: getattr(each, method)(X))
    assert said.startswith(f"This {cls} instance is not fitted yet.")


@pytest.mark.parametrize("cls", BOTH)
def test_scores_before_a_fit(cls: str) -> None:
    refused(make_pair(cls), lambda each: each.score(X, target(cls)))


UNKNOWN_ROWS = {
    "a column too few": X[:, :-1],
    "a column too many": np.hstack([X, X]),
    "NaN": with_one(np.nan),
    "one-dimensional": X[0],
    "words": np.full(X.shape, "pear"),
    "no rows": X[:0],
}


@pytest.mark.parametrize("method", ["predict", "predict_proba", "partial_fit"])
@pytest.mark.parametrize("given", UNKNOWN_ROWS)
def test_rows_that_a_fitted_classifier_cannot_take(given: str, method: str) -> None:
    pair = make_pair("MLPClassifier", **SHORT)
    warned(pair, lambda each: each.fit(X, classes))
    y = {"partial_fit": (classes,)}.get(method, ())
    refused(pair, lambda each: getattr(each, method)(UNKNOWN_ROWS[given], *y))


NAMES = list("abcde")
TABLES = {
    "other names": pd.DataFrame(X, columns=list("abcdx")),
    "another order": pd.DataFrame(X, columns=list("edcba")),
    "a name too few": pd.DataFrame(X[:, :-1], columns=list("abcd")),
}


@pytest.mark.parametrize("given", TABLES)
@pytest.mark.parametrize("cls", BOTH)
def test_tables_with_other_columns(cls: str, given: str) -> None:
    pair = make_pair(cls, **SHORT)
    warned(pair, lambda each: each.fit(pd.DataFrame(X, columns=NAMES), target(cls)))
    refused(pair, lambda each: each.predict(TABLES[given]))


@pytest.mark.parametrize("cls", BOTH)
def test_names_on_one_side_alone(cls: str) -> None:
    pair, table = make_pair(cls, **SHORT), pd.DataFrame(X, columns=NAMES)
    warned(pair, lambda each: each.fit(table, target(cls)))
    assert "does not have valid feature names" in warned(pair, lambda each: each.predict(X))[0]
    warned(pair, lambda each: each.fit(X, target(cls)))
    assert "was fitted without feature names" in warned(pair, lambda each: each.predict(table))[0]


def test_partial_fit_wants_the_classes_at_first() -> None:
    refused(make_pair("MLPClassifier"), lambda each: each.partial_fit(X, classes))


def test_partial_fit_with_other_classes() -> None:
    pair = make_pair("MLPClassifier", **SHORT)
    warned(pair, lambda each: each.partial_fit(X, classes, classes=[0, 1, 2]))
    refused(pair, lambda each: each.partial_fit(X, classes, classes=[0, 1, 2, 3]))
    refused(pair, lambda each: each.partial_fit(X, classes + 1))


def test_partial_fit_without_a_stochastic_solver() -> None:
    pair = make_pair("MLPClassifier", solver="lbfgs")
    refused(pair, lambda each: each.partial_fit(X, classes))
    assert [hasattr(each, "partial_fit") for each in pair] == [False, False]


def test_a_regressors_partial_fit_without_a_stochastic_solver() -> None:
    # scikit-learn's has it nonetheless, and trains by L-BFGS to the end
    own = make_pair("MLPRegressor", solver="lbfgs").own
    assert not hasattr(own, "partial_fit")
    said = "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as caught:
        own.partial_fit(X, numbers)
    assert str(caught.value.__cause__) == said
    assert hasattr(own.set_params(optimizer="adam"), "partial_fit")


@pytest.mark.parametrize("cls", BOTH)
def test_partial_fit_does_not_stop_early(cls: str) -> None:
    first = {"classes": [0, 1, 2]} if cls == "MLPClassifier" else {}
    refused(make_pair(cls, early_stopping=True), lambda each: each.partial_fit(X, target(cls), **first))


def test_warm_start_with_other_classes() -> None:
    pair = make_pair("MLPClassifier", warm_start=True, **SHORT)
    warned(pair, lambda each: each.fit(X, classes))
    refused(pair, lambda each: each.fit(X, classes + 1))
    refused(pair, lambda each: each.fit(X[:, :-1], classes))


@pytest.mark.parametrize("cls", BOTH)
def test_a_validation_set_that_is_too_small(cls: str) -> None:
    y = np.tile([0, 1], 5) if cls == "MLPClassifier" else np.arange(10.0)
    pair = make_pair(cls, early_stopping=True, validation_fraction=0.1)
    refused(pair, lambda each: each.fit(X[:10], y))


def test_a_class_that_cannot_be_split() -> None:
    pair = make_pair("MLPClassifier", early_stopping=True)
    refused(pair, lambda each: each.fit(X, np.arange(60) == 0))


# What comes of a fit.


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("cls", BOTH)
def test_a_fit_that_has_not_converged(cls: str, solver: str) -> None:
    assert warned(make_pair(cls, solver=solver, **SHORT), lambda each: each.fit(X, target(cls)))


def test_a_search_along_a_line_that_is_cut_short() -> None:
    pair = make_pair("MLPClassifier", solver="lbfgs", max_fun=2, random_state=0)
    assert "EVALUATIONS EXCEEDS LIMIT" in warned(pair, lambda each: each.fit(X, classes))[0]


def test_a_batch_of_more_than_all_rows() -> None:
    said = warned(make_pair("MLPClassifier", batch_size=100, **SHORT), lambda each: each.fit(X, classes))
    assert any("It is going to be clipped" in text for text in said)


def test_weights_that_are_not_finite() -> None:
    pair = make_pair("MLPRegressor", solver="sgd", learning_rate_init=1e6, activation="identity", random_state=0)
    errors = [outcome(lambda each: each.fit(1e150 * X, 1e150 * numbers), each).error for each in pair]
    assert errors[0] == errors[1]
    assert "Solver produced non-finite parameter weights" in errors[1][1]


class Interrupting(io.StringIO):
    """Standard output at which somebody presses Ctrl-C after three epochs."""

    def write(self, text: str) -> int:
        if text.startswith("Iteration 3"):
            raise KeyboardInterrupt
        return super().write(text)


def test_an_interrupted_fit_keeps_what_it_has(monkeypatch) -> None:
    def fit(each):
        with monkeypatch.context() as within:
            within.setattr("sys.stdout", Interrupting())
            return each.fit(X, classes)

    pair = make_pair("MLPClassifier", verbose=True, random_state=0)
    assert warned(pair, fit) == ["Training interrupted by user."]
    assert [each.n_iter_ for each in pair] == [3, 3]


@pytest.mark.parametrize("cls", BOTH)
def test_parameters_have_the_same_names_defaults_and_order(cls: str) -> None:
    own, theirs = (inspect.signature(type(each)).parameters.values() for each in make_pair(cls))
    shared = [(each.name, each.default, each.kind) for each in own][: len(theirs)]
    assert shared == [(each.name, each.default, each.kind) for each in theirs]


@pytest.mark.parametrize("cls", BOTH)
def test_estimators_are_shown_alike(cls: str) -> None:
    own, theirs = make_pair(cls, alpha=0.5, hidden_layer_sizes=(3, 4))
    assert repr(clone(own)) == repr(clone(theirs))
