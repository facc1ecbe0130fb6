"""The fits of a search: which are made together, what each is given, and what becomes of those that fail."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpx.sklearn import MLPSearchCV, cross_val_stack, trial_fits
from mlpx.training import Run
from sklearn_searches import GRID, assert_same_results, classifier, regressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def flowers() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


@pytest.fixture(scope="module")
def patients() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return 20 * X[:120], y[:120] / 100


def test_all_networks_are_trained_by_one_call(flowers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    own = trial_fits.fit_many
    monkeypatch.setattr(trial_fits, "fit_many", lambda e, *a, **k: calls.append(len(e)) or own(e, *a, **k))
    MLPSearchCV(classifier(), GRID, cv=3, seeds=2).fit(*flowers)
    assert calls == [4 * 3 * 2]


class CountingScaler(TransformerMixin, BaseEstimator):
    fits = 0

    def __init__(self, factor: float = 1.0):
        self.factor = factor

    def fit(self, X, y=None):
        type(self).fits += 1
        self.scale_ = self.factor / X.std(axis=0)
        return self

    def transform(self, X):
        return X * self.scale_


def test_a_pipeline_fits_its_transformers_once_a_fold_and_setting(flowers: Any) -> None:
    pipeline = make_pipeline(CountingScaler(), "passthrough", StandardScaler(with_std=False), classifier())
    grid = {"mlpclassifier__alpha": [1e-4, 0.1], "mlpclassifier__learning_rate_init": [0.003, 0.03],
            "countingscaler__factor": [0.5, 2.0]}  # fmt: skip
    expected = GridSearchCV(pipeline, grid, cv=3, scoring=["accuracy", "neg_log_loss"], refit="accuracy").fit(*flowers)
    CountingScaler.fits = 0
    search = MLPSearchCV(pipeline, grid, cv=3, scoring=["accuracy", "neg_log_loss"], refit="accuracy").fit(*flowers)
    assert CountingScaler.fits == 3 * 2 + 1
    assert_same_results(search.cv_results_, expected.cv_results_)


def test_a_transformer_that_fails_fails_its_trials_alone(flowers: Any) -> None:
    pipeline = make_pipeline(CountingScaler(), classifier())
    search = MLPSearchCV(pipeline, {"countingscaler__factor": [1.0, "two"]}, cv=2)
    with pytest.warns((FitFailedWarning, UserWarning), match="fits failed|non-finite"):
        search.fit(*flowers)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]


def test_a_setting_that_cannot_be_fitted_gets_the_error_score(flowers: Any) -> None:
    grid = {"hidden_layer_sizes": [(4,), (-1,)]}
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
        search = MLPSearchCV(classifier(), grid, cv=3, error_score=-1.0, return_train_score=True).fit(*flowers)
    assert search.cv_results_["mean_test_score"][1] == search.cv_results_["mean_train_score"][1] == -1.0
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0"):
        MLPSearchCV(classifier(), grid, cv=3, error_score="raise").fit(*flowers)
    with pytest.raises(ValueError, match="All the 3 fits failed"):
        MLPSearchCV(classifier(), {"hidden_layer_sizes": [(-1,)]}, cv=3).fit(*flowers)


SPLITS = [(np.flatnonzero(np.arange(150) % 3 != k), np.flatnonzero(np.arange(150) % 3 == k)) for k in range(2)]
FORMS = {
    "masks": [tuple(np.isin(np.arange(150), rows) for rows in split) for split in SPLITS],
    "lists": [tuple(rows.tolist() for rows in split) for split in SPLITS],
    "rows that repeat": [(np.repeat(train, 2), test) for train, test in SPLITS],
}


@pytest.mark.parametrize("lined", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_splits_may_come_in_any_form(flowers: Any, form: str, lined: bool) -> None:
    made = make_pipeline(StandardScaler(), classifier()) if lined else classifier()
    grid = {"mlpclassifier__alpha" if lined else "alpha": [1e-4, 1.0]}
    X, y = flowers
    settings = {"cv": FORMS[form], "return_train_score": True, "scoring": "neg_log_loss"}
    params = {"mlpclassifier__sample_weight" if lined else "sample_weight": np.linspace(0.1, 2.0, len(y))}
    for given in ({}, params):
        expected = GridSearchCV(made, grid, **settings).fit(X, y, **given)
        assert_same_results(MLPSearchCV(made, grid, **settings).fit(X, y, **given).cv_results_, expected.cv_results_)
    wanted, found = cross_validate(made, X, y, **settings), cross_val_stack(made, X, y, **settings)
    np.testing.assert_allclose(found["test_score"], wanted["test_score"])


def test_a_weight_that_fits_no_row_fails_as_in_grid_search(flowers: Any) -> None:
    with pytest.raises(ValueError, match="All the 6 fits failed"):
        MLPSearchCV(classifier(), {"alpha": [1, 2]}, cv=3).fit(*flowers, sample_weight=np.ones(3))


@pytest.mark.parametrize("count", [30, 150])
@pytest.mark.parametrize("lined", [False, True])
def test_validation_data_go_to_each_fit_as_grid_search_hands_them_on(flowers: Any, count: int, lined: bool) -> None:
    X, y = flowers
    network = classifier(early_stopping=True, random_state=0)
    # a pipeline of one step: the steps of another would not see the validation data
    made, prefix = (make_pipeline(network), "mlpclassifier__") if lined else (network, "")
    rows = np.random.RandomState(0).permutation(150)[:count]
    validation = {f"{prefix}X_val": X[rows], f"{prefix}y_val": y[rows]}
    grid = {f"{prefix}alpha": [1e-4, 1.0]}
    expected = GridSearchCV(made, grid, cv=3).fit(X, y, **validation)
    search = MLPSearchCV(made, grid, cv=3).fit(X, y, **validation)
    assert_same_results(search.cv_results_, expected.cv_results_)
    wanted = cross_validate(made, X, y, cv=3, params=validation)
    found = cross_val_stack(made, X, y, cv=3, params=validation, return_estimator=True)
    np.testing.assert_allclose(found["test_score"], wanted["test_score"])
    network = found["estimator"][0][-1] if lined else found["estimator"][0]
    assert len(network.validation_loss_curve_) == network.n_iter_


def test_no_validation_data_are_no_reason_to_train_one_by_one(flowers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    own = trial_fits.fit_many
    monkeypatch.setattr(trial_fits, "fit_many", lambda e, *a, **k: calls.append(len(e)) or own(e, *a, **k))
    MLPSearchCV(classifier(), GRID, cv=2).fit(*flowers, X_val=None, y_val=None)
    assert calls == [8]


def test_a_second_attempt_draws_what_the_first_would_have_drawn(flowers: Any) -> None:
    failures = []

    def fails_once(run: Any) -> None:
        if not failures:
            failures.append(run.epoch)
            msg = "only once"
            raise RuntimeError(msg)

    network = classifier(random_state=np.random.RandomState(3), callbacks=[fails_once])
    settings = {"cv": [(np.arange(0, 150, 2), np.arange(1, 150, 2))], "refit": False, "scoring": "neg_log_loss"}
    search = MLPSearchCV(network, {"alpha": [0.1]}, **settings).fit(*flowers)
    assert failures == [1]
    expected = GridSearchCV(network, {"alpha": [0.1]}, **settings).fit(*flowers)
    assert_same_results(search.cv_results_, expected.cv_results_)


def interrupt(*args: Any) -> None:
    raise KeyboardInterrupt


def interrupting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second epoch of every training be interrupted."""
    own = Run._train_epoch

    def train_epoch(run: Any, *args: Any) -> Any:
        if run.epoch == 1:
            raise KeyboardInterrupt
        return own(run, *args)

    monkeypatch.setattr(Run, "_train_epoch", train_epoch)


@pytest.mark.parametrize("kind", ["stacked", "in a pipeline", "one by one", "scikit-learn's"])
def test_an_interrupted_fit_ends_the_search(flowers: Any, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    made = classifier()
    if kind == "in a pipeline":
        made = make_pipeline(StandardScaler(), made)
    elif kind == "one by one":
        made = OneVsRestClassifier(made)
    if kind == "scikit-learn's":
        made = TheirClassifier((6,), max_iter=4)
        monkeypatch.setattr(TheirClassifier, "_backprop", interrupt)
    else:
        interrupting(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        MLPSearchCV(made, [{}], cv=2).fit(*flowers)
    with pytest.raises(KeyboardInterrupt):
        cross_val_stack(made, *flowers, cv=2)


def test_what_is_no_network_is_fitted_one_by_one(flowers: Any, patients: Any) -> None:
    grid = {"C": [0.1, 1.0]}
    expected = GridSearchCV(LogisticRegression(), grid, cv=3).fit(*flowers)
    assert_same_results(MLPSearchCV(LogisticRegression(), grid, cv=3).fit(*flowers).cv_results_, expected.cv_results_)
    wrapped = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    grid = {"regressor__alpha": [0.1, 1.0]}
    expected = GridSearchCV(wrapped, grid, cv=3).fit(*patients)
    assert_same_results(MLPSearchCV(wrapped, grid, cv=3).fit(*patients).cv_results_, expected.cv_results_)


def test_the_last_step_itself_may_be_searched(flowers: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), classifier())
    grid = {"mlpclassifier": [classifier(alpha=0.1), LogisticRegression()]}
    expected = GridSearchCV(pipeline, grid, cv=3).fit(*flowers)
    assert_same_results(
        {k: v for k, v in MLPSearchCV(pipeline, grid, cv=3).fit(*flowers).cv_results_.items() if "param" not in k},
        {k: v for k, v in expected.cv_results_.items() if "param" not in k},
    )


def test_times_share_out_what_was_done_together(flowers: Any) -> None:
    search = MLPSearchCV(classifier(), GRID, cv=2).fit(*flowers)
    times = search.cv_results_["mean_fit_time"]
    assert np.ptp(times) < 1e-12
    assert times[0] > 0
    assert search.cv_results_["mean_score_time"].min() > 0


def test_a_fold_that_fails_in_cross_validation_gets_the_error_score(flowers: Any) -> None:
    X, y = flowers
    rows = np.arange(len(y))
    bad = np.where(rows < 50, np.nan, X[:, 0])[:, None] * np.ones(4)
    cv = [(rows[50:100], rows[100:]), (rows[:100], rows[100:])]
    with pytest.warns(FitFailedWarning, match="1 fits failed out of a total of 2"):
        found = cross_val_stack(classifier(), bad, rows % 2, cv=cv, error_score=-2.0)
    assert found["test_score"][1] == -2.0
    assert found["test_score"][0] >= 0


@pytest.mark.parametrize("name", ["hidden_layer_sizes", "activation"])
def test_after_an_interrupted_stack_no_other_is_trained(
    flowers: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    interrupting(monkeypatch)
    begun, own = [], Run.__call__
    monkeypatch.setattr(Run, "__call__", lambda run: begun.append(run) or own(run))
    values = {"hidden_layer_sizes": [(4,), (5,)], "activation": ["relu", "tanh"]}[name]
    with pytest.raises(KeyboardInterrupt):
        MLPSearchCV(classifier(), {name: values}, cv=2).fit(*flowers)
    assert len(begun) == 1
