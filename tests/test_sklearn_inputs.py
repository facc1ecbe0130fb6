"""Every form of data, labels and surroundings that scikit-learn's estimators live with, with the same results."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", minversion="1.9")

from scipy import sparse
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from sklearn_pairs import Pair, assert_same, both, data, make_pair

pytestmark = pytest.mark.once

SHORT = {"hidden_layer_sizes": (6,), "batch_size": 16, "max_iter": 4, "random_state": 0}
X, classes = data("classes")
_, numbers = data("numbers")


def read_only(array: np.ndarray) -> np.ndarray:
    copied = array.copy()
    copied.flags.writeable = False
    return copied


FORMS = {
    "lists": lambda: X.tolist(),
    "a table": lambda: pd.DataFrame(X, columns=list("abcde")),
    "columns in a row": lambda: np.asfortranarray(X),
    "every second row of more": lambda: np.repeat(X, 2, axis=0)[::2],
    "backwards": lambda: np.ascontiguousarray(X[:, ::-1])[:, ::-1],
    "read-only": lambda: read_only(X),
    "big-endian": lambda: X.astype(">f8"),
    "float16": lambda: X.astype(np.float16),
    "int8": lambda: (10 * X).astype(np.int8),
    "bool": lambda: X > 0,
    "objects": lambda: X.astype(object),
    "one column": lambda: X[:, :1],
    "csr_array": lambda: sparse.csr_array(X),
    "csr_matrix": lambda: sparse.csr_matrix(X),
    "csc_array": lambda: sparse.csc_array(X),
    "coo_array": lambda: sparse.coo_array(X),
    "sparse float32": lambda: sparse.csr_array(X.astype(np.float32)),
}


@pytest.mark.parametrize("early_stopping", [False, True], ids=["", "early stopping"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("cls", "y"), [("MLPClassifier", classes), ("MLPRegressor", numbers)])
def test_forms_of_features(cls: str, y: np.ndarray, form: str, early_stopping: bool) -> None:
    given = FORMS[form]()
    pair = make_pair(cls, **SHORT, early_stopping=early_stopping, validation_fraction=0.3)
    both(pair, lambda each: each.fit(given, y))
    assert_same(pair, given, y, tolerance=1e-4 if form == "sparse float32" else 1e-10)


def test_what_is_given_is_not_written_to() -> None:
    given, weights = X.copy(), np.linspace(0.5, 2.0, 60)
    kept = weights.copy()
    pair = make_pair("MLPRegressor", **SHORT)
    both(pair, lambda each: each.fit(given, numbers, sample_weight=weights))
    np.testing.assert_array_equal(given, X)
    np.testing.assert_array_equal(weights, kept)


NAMED = np.array(["pear", "apple", "fig"])
LABELS = {
    "lists": classes.tolist(),
    "words": NAMED[classes],
    "words as objects": NAMED.astype(object)[classes],
    "words of a table": pd.Series(NAMED[classes]),
    "categories": pd.Series(NAMED[classes], dtype="category"),
    "truths": classes == 1,
    "negative numbers": 3 - 5 * classes,
    "whole numbers as floats": classes.astype(float),
    "small integers": classes.astype(np.uint8),
    "two words": NAMED[:2][(classes > 0).astype(int)],
    "a single class": np.zeros(60, dtype=int),
    "indicators of two": np.column_stack([classes == 0, classes > 0]).astype(int),
    "one indicator": np.column_stack([classes == 0]).astype(int).ravel(),
    "indicators as truths": np.column_stack([classes == 0, classes > 1]),
    "sparse indicators": sparse.csr_array(np.column_stack([classes == 0, classes > 1, classes > 0]).astype(int)),
}


@pytest.mark.parametrize("early_stopping", [False, True], ids=["", "early stopping"])
@pytest.mark.parametrize("labels", LABELS)
def test_forms_of_labels(labels: str, early_stopping: bool) -> None:
    y = LABELS[labels]
    pair = make_pair("MLPClassifier", **SHORT, early_stopping=early_stopping, validation_fraction=0.3)
    both(pair, lambda each: each.fit(X, y))
    assert_same(pair, X)


TARGETS = {
    "lists": numbers.tolist(),
    "integers": np.round(numbers).astype(int),
    "float32": numbers.astype(np.float32),
    "a series": pd.Series(numbers),
    "a table": pd.DataFrame({"a": numbers, "b": -numbers}),
    "one number again and again": np.ones(60),
}


@pytest.mark.parametrize("targets", TARGETS)
def test_forms_of_numbers(targets: str) -> None:
    pair = make_pair("MLPRegressor", **SHORT | {"alpha": 0.0})
    both(pair, lambda each: each.fit(X, TARGETS[targets]))
    assert_same(pair, X, TARGETS[targets])


@pytest.mark.parametrize(
    "weights", [[1] * 60, np.arange(1, 61), 2.5, np.float32(0.1) * np.ones(60, np.float32)], ids=type
)
def test_forms_of_weights(weights) -> None:
    pair = make_pair("MLPClassifier", **SHORT)
    both(pair, lambda each: each.fit(X, classes, sample_weight=weights))
    assert_same(pair, X)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize(("cls", "y"), [("MLPClassifier", classes), ("MLPRegressor", numbers)])
def test_very_few_rows(cls: str, y: np.ndarray, rows: int) -> None:
    pair = make_pair(cls, max_iter=3, random_state=0)
    both(pair, lambda each: each.fit(X[:rows], y[:rows]))
    assert_same(pair, X)


# Surroundings.


def wrapped(pair: Pair, wrap) -> Pair:
    return Pair(*map(wrap, pair))


@pytest.mark.parametrize(("cls", "y"), [("MLPClassifier", classes), ("MLPRegressor", numbers)])
def test_tags_say_the_same(cls: str, y: np.ndarray) -> None:
    own, theirs = map(get_tags, make_pair(cls))
    own.array_api_support = theirs.array_api_support  # ours may support more
    assert own == theirs


def test_a_pipeline_is_cross_validated_alike() -> None:
    pair = wrapped(make_pair("MLPClassifier", **SHORT), lambda each: make_pipeline(StandardScaler(), each))
    found = both(pair, lambda each: cross_val_predict(each, X, classes, cv=3, method="predict_proba"))
    np.testing.assert_allclose(*found, rtol=1e-10)


def test_grids_are_searched_alike() -> None:
    grid = {"alpha": [1e-4, 1.0], "learning_rate_init": [1e-3, 0.1]}
    pair = wrapped(make_pair("MLPRegressor", **SHORT), lambda each: GridSearchCV(each, grid, cv=3))
    both(pair, lambda each: each.fit(X, numbers))
    assert pair.own.best_params_ == pair.theirs.best_params_
    np.testing.assert_allclose(*(each.cv_results_["mean_test_score"] for each in pair), rtol=1e-10)


@pytest.mark.parametrize(
    ("cls", "y", "wrap"),
    [
        ("MLPClassifier", classes, lambda each: CalibratedClassifierCV(each, cv=2)),
        ("MLPClassifier", classes, OneVsRestClassifier),
        ("MLPRegressor", numbers, lambda each: BaggingRegressor(each, n_estimators=2, random_state=0)),
    ],
    ids=["calibrated", "one against the rest", "bagged"],
)
def test_within_other_estimators(cls: str, y: np.ndarray, wrap) -> None:
    pair = wrapped(make_pair(cls, **SHORT), wrap)
    both(pair, lambda each: each.fit(X, y))
    method = "predict_proba" if cls == "MLPClassifier" else "predict"
    np.testing.assert_allclose(*(getattr(each, method)(X) for each in pair), rtol=1e-9)


def test_importances_are_measured_alike() -> None:
    pair = make_pair("MLPRegressor", **SHORT)
    both(pair, lambda each: each.fit(X, numbers))
    found = both(pair, lambda each: permutation_importance(each, X, numbers, n_repeats=2, random_state=0))
    np.testing.assert_allclose(found.own.importances, found.theirs.importances, atol=1e-10)


def test_weights_are_routed_alike() -> None:
    weights = np.linspace(0.2, 3.0, 60)
    with config_context(enable_metadata_routing=True):
        pair = wrapped(
            make_pair("MLPRegressor", **SHORT),
            lambda each: make_pipeline(
                StandardScaler().set_fit_request(sample_weight=False),
                each.set_fit_request(sample_weight=True).set_score_request(sample_weight=True),
            ),
        )
        found = both(pair, lambda each: cross_validate(each, X, numbers, cv=3, params={"sample_weight": weights}))
        plain = both(pair, lambda each: cross_validate(each, X, numbers, cv=3))
    np.testing.assert_allclose(*(each["test_score"] for each in found), rtol=1e-10)
    assert not np.allclose(found.own["test_score"], plain.own["test_score"])


@pytest.mark.parametrize("cls", ["MLPClassifier", "MLPRegressor"])
def test_requests_for_metadata_begin_alike(cls: str) -> None:
    own, theirs = (each.get_metadata_routing() for each in make_pair(cls))
    for method in ("fit", "partial_fit", "predict", "score"):
        requested = getattr(theirs, method).requests
        assert {key: getattr(own, method).requests[key] for key in requested} == requested
