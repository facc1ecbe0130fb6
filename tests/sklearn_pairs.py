"""mlpx's estimators beside scikit-learn's: both get the same data, settings and calls, and must do the same."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn import neural_network as theirs

from mlpx import sklearn as own

__all__ = ["DATA", "Outcome", "Pair", "assert_same", "assert_same_weights", "both", "data", "make_pair", "outcome"]

#: How near float64 results must be: relative, and absolute for what is near zero.
TOLERANCE = 1e-10
#: What is trained on which data. Three outputs have no penalty: scikit-learn divides their loss by three, but not it.
DATA: dict[str, tuple[str, dict[str, Any]]] = {
    "binary": ("MLPClassifier", {}),
    "classes": ("MLPClassifier", {}),
    "labels": ("MLPClassifier", {}),
    "indicators": ("MLPClassifier", {}),
    "sparse": ("MLPClassifier", {}),
    "numbers": ("MLPRegressor", {}),
    "outputs": ("MLPRegressor", {"alpha": 0.0}),
    "counts": ("MLPRegressor", {"loss": "poisson"}),
    "several counts": ("MLPRegressor", {"loss": "poisson"}),
}
ROWS, FEATURES = 60, 5


@cache
def data(name: str) -> tuple[Any, np.ndarray]:
    """Draw 60 rows of a kind of data, the same in every call."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((ROWS, FEATURES))
    signal = X @ rng.standard_normal((FEATURES, 3)) + 0.3 * rng.standard_normal((ROWS, 3))
    classes = signal.argmax(axis=1)
    targets = {
        "binary": (classes == 1).astype(int),
        "classes": classes,
        "labels": np.array(["pear", "apple", "fig"])[classes],
        "indicators": (signal > 0).astype(int),
        "sparse": classes,
        "numbers": signal[:, 0],
        "outputs": signal,
        "counts": rng.poisson(np.exp(0.5 * signal[:, 0])).astype(float),
        "several counts": rng.poisson(np.exp(0.5 * signal)),
    }
    return (sparse.csr_array(np.where(X > 0, X, 0.0)) if name == "sparse" else X), targets[name]


class Pair(NamedTuple):
    """An estimator of mlpx and the one of scikit-learn with its settings."""

    own: Any
    theirs: Any


def make_pair(name: str, **settings: Any) -> Pair:
    """Return both estimators of a class's name; a settings value that is a function makes one for each."""
    made = [{key: value() if callable(value) else value for key, value in settings.items()} for _ in range(2)]
    return Pair(getattr(own, name)(**made[0]), getattr(theirs, name)(**made[1]))


class Outcome(NamedTuple):
    """What a call came to: its value or its exception, and what it warned of."""

    value: Any
    error: tuple[type[BaseException], str] | None
    warned: list[tuple[type[Warning], str]]


def outcome(call: Callable[[Any], Any], estimator: Any) -> Outcome:
    """Make a call and keep whatever comes of it."""
    value = error = None
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            value = call(estimator)
        except Exception as raised:
            error = type(raised), str(raised)
    return Outcome(value, error, [(each.category, str(each.message)) for each in seen])


def both(pair: Pair, call: Callable[[Any], Any]) -> Pair:
    """Make a call of both, which neither may refuse, with the same warnings; return both values."""
    found = [outcome(call, estimator) for estimator in pair]
    assert [each.error for each in found] == [None, None]
    assert found[0].warned == found[1].warned
    return Pair(found[0].value, found[1].value)


def assert_same(pair: Pair, X: Any, y: Any = None, tolerance: float = TOLERANCE) -> None:
    """Compare every public attribute that a fit has left, and what the methods say of some rows."""
    fitted = [name for name in vars(pair.theirs) if name.endswith("_") and not name.startswith("_")]
    for name in [*fitted, "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"]:
        assert hasattr(pair.own, name) == hasattr(pair.theirs, name), name
        if hasattr(pair.theirs, name):
            expected = getattr(pair.theirs, name)
            factor = _outputs(pair.theirs) if name in ("loss_", "loss_curve_", "best_loss_") else 1
            _assert_close(name, getattr(pair.own, name), expected, factor, tolerance)
    for name in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(pair.theirs, name):
            _assert_close(name, getattr(pair.own, name)(X), getattr(pair.theirs, name)(X), 1, tolerance)
    if y is not None:
        _assert_close("score", pair.own.score(X, y), pair.theirs.score(X, y), 1, tolerance)


def assert_same_weights(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """Compare the weights of two networks."""
    for each, other in zip(found.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(each, other, rtol=tolerance, atol=tolerance)


def _outputs(estimator: Any) -> int:
    """Return by what scikit-learn divides the loss that its updates follow."""
    return estimator.n_outputs_ if getattr(estimator, "loss", "") == "squared_error" else 1


def _assert_close(name: str, found: Any, expected: Any, factor: int, tolerance: float) -> None:
    if isinstance(expected, list):
        assert type(found) is list, name
        assert len(found) == len(expected), name
        for each, other in zip(found, expected, strict=True):
            _assert_close(name, each, other, factor, tolerance)
    elif expected is None or isinstance(expected, (str, int)):
        assert type(found) is type(expected), name
        assert found == expected, name
    elif isinstance(expected, numbers.Real):
        assert isinstance(found, numbers.Real), name
        np.testing.assert_allclose(found, factor * expected, rtol=tolerance, atol=tolerance, err_msg=name)
    elif sparse.issparse(expected):
        assert type(found) is type(expected), name
        np.testing.assert_array_equal(found.toarray(), expected.toarray(), err_msg=name)
    else:
        assert found.dtype == expected.dtype, name
        if expected.dtype.kind == "f":
            assert found.shape == expected.shape, name
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=name)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=name)
