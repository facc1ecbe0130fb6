"""MLPSearchCV and cross_val_stack find what scikit-learn's own search and cross-validation find, in one stack."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from scipy import sparse
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, RandomizedSearchCV, StratifiedKFold, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mlpx.sklearn import MLPClassifier, MLPRegressor, MLPSearchCV, cross_val_stack, trial_fits
from mlpx.sklearn import recalling as recalling_module
from mlpx.sklearn.recalling import recalling
from mlpx.training import Run

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

GRID = {"learning_rate_init": [0.003, 0.03], "alpha": [1e-4, 0.1]}


@pytest.fixture(scope="module")
def flowers() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


@pytest.fixture(scope="module")
def patients() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return 20 * X[:120], y[:120] / 100


def classifier(**parameters: Any) -> MLPClassifier:
    return MLPClassifier(
        **{"hidden_layer_sizes": (6,), "max_iter": 4, "batch_size": 32, "random_state": 0} | parameters
    )


def regressor(**parameters: Any) -> MLPRegressor:
    return MLPRegressor(**{"hidden_layer_sizes": (6,), "max_iter": 4, "batch_size": 32, "random_state": 0} | parameters)


def assert_same_results(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for name, column in expected.items():
        if name == "params" or name.startswith("param_"):
            assert list(found[name]) == list(column)
        elif "time" not in name:
            np.testing.assert_allclose(found[name], column, rtol=1e-6, atol=1e-9, err_msg=name)
        assert type(found[name]) is type(column)
        assert getattr(found[name], "dtype", None) == getattr(column, "dtype", None)


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", ["accuracy", "roc_auc_ovr"], {"a": "accuracy"}])
def test_a_grid_finds_what_grid_search_finds(flowers: Any, scoring: Any) -> None:
    refit = next(iter(scoring)) if isinstance(scoring, list | dict) else True
    settings = {"scoring": scoring, "refit": refit, "cv": 3, "return_train_score": True}
    expected = GridSearchCV(classifier(), GRID, **settings).fit(*flowers)
    search = MLPSearchCV(classifier(), GRID, **settings).fit(*flowers)
    assert_same_results(search.cv_results_, expected.cv_results_)
    assert search.best_params_ == expected.best_params_
    assert search.best_index_ == expected.best_index_
    assert search.best_score_ == pytest.approx(expected.best_score_)
    assert search.multimetric_ == expected.multimetric_
    assert search.n_splits_ == expected.n_splits_
    assert search.n_features_in_ == 4
    np.testing.assert_array_equal(search.classes_, expected.classes_)
    np.testing.assert_allclose(search.predict_proba(flowers[0]), expected.predict_proba(flowers[0]), rtol=1e-6)
    assert search.score(*flowers) == pytest.approx(expected.score(*flowers))


def test_a_regressor_is_searched_too(patients: Any) -> None:
    grid = [{"alpha": [0.0, 1.0]}, {"hidden_layer_sizes": [(4,), (4, 3)], "activation": ["tanh"]}]
    expected = GridSearchCV(regressor(), grid, cv=3).fit(*patients)
    search = MLPSearchCV(regressor(), grid, cv=3).fit(*patients)
    assert_same_results(search.cv_results_, expected.cv_results_)
    np.testing.assert_allclose(search.predict(patients[0]), expected.predict(patients[0]), rtol=1e-6)


@pytest.mark.parametrize("how", ["by name", "in the place of the grid"])
def test_drawn_settings_are_those_of_randomized_search(flowers: Any, how: str) -> None:
    space = {"learning_rate_init": loguniform(1e-3, 1e-1), "alpha": [1e-4, 1e-2]}
    settings = {"n_iter": 5, "random_state": 3, "cv": 2}
    expected = RandomizedSearchCV(classifier(), space, **settings).fit(*flowers)
    if how == "by name":
        search = MLPSearchCV(classifier(), param_distributions=space, **settings)
    else:
        search = MLPSearchCV(classifier(), space, **settings)
    assert_same_results(search.fit(*flowers).cv_results_, expected.cv_results_)


def test_distributions_are_drawn_from_ten_times_where_nothing_is_said(flowers: Any) -> None:
    search = MLPSearchCV(classifier(max_iter=1), {"alpha": loguniform(1e-4, 1)}, cv=2, refit=False, random_state=0)
    assert len(search.fit(*flowers).cv_results_["params"]) == 10


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


def asks_for_more(estimator, X, y):
    assert isinstance(estimator, MLPClassifier)
    shifted = estimator.predict(X + 0.5)
    again = estimator.predict(np.array(X))
    return {"shifted": np.mean(shifted == y), "again": np.mean(again == y), "known": np.mean(estimator.predict(X) == y),
            "depth": float(len(estimator.coefs_))}  # fmt: skip


def test_a_scorer_may_ask_the_estimator_for_anything(flowers: Any) -> None:
    settings = {"scoring": asks_for_more, "refit": "shifted", "cv": 3}
    expected = GridSearchCV(classifier(), GRID, **settings).fit(*flowers)
    search = MLPSearchCV(classifier(), GRID, **settings).fit(*flowers)
    assert_same_results(search.cv_results_, expected.cv_results_)
    np.testing.assert_array_equal(search.cv_results_["mean_test_again"], search.cv_results_["mean_test_known"])


def test_a_scorer_that_fails_gives_the_error_score(flowers: Any) -> None:
    def scorer(estimator, X, y):
        if estimator.alpha > 0.01:
            msg = "no score for this"
            raise RuntimeError(msg)
        return estimator.score(X, y)

    with pytest.warns(UserWarning, match="no score for this|non-finite"):
        search = MLPSearchCV(classifier(), {"alpha": [1e-4, 0.1]}, scoring=scorer, cv=2).fit(*flowers)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    with pytest.raises(RuntimeError, match="no score for this"):
        MLPSearchCV(classifier(), {"alpha": [0.1]}, scoring=scorer, cv=2, error_score="raise").fit(*flowers)


def test_doubles_know_the_outputs_for_one_object_alone(flowers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = flowers
    asked = []
    networks = [classifier(random_state=seed).fit(X, y) for seed in range(3)]
    expected = [network.predict_proba(X) for network in networks]
    own = MLPClassifier._outputs
    monkeypatch.setattr(recalling_module, "outputs_many", lambda e, X, features: [own(each, X) for each in e])
    monkeypatch.setattr(MLPClassifier, "_outputs", lambda self, X: asked.append(self) or own(self, X))
    doubles = recalling(networks, X)
    for double, outputs in zip(doubles, expected, strict=True):
        np.testing.assert_allclose(double.predict_proba(X), outputs, rtol=1e-6)
        assert double.score(X, y) == np.mean(outputs.argmax(axis=1) == y)
    assert asked == []
    doubles[0].predict(X.copy())
    networks[1].predict(X)
    assert len(asked) == 2


def sets_weights(estimator, X, y):
    estimator.coefs_[0][:] = 0
    return estimator.score(X, y)


def replaces_weights(estimator, X, y):
    estimator.intercepts_ = [*estimator.intercepts_[:-1], estimator.intercepts_[-1] + [3.0, 0.0, 0.0]]
    return estimator.score(X, y)


def trains(estimator, X, y):
    return estimator.set_params(max_iter=9).fit(X, y).score(X, y)


def sets_activation(estimator, X, y):
    return estimator.set_params(activation="tanh").score(X, y)


@pytest.mark.parametrize("scorer", [sets_weights, replaces_weights, trains, sets_activation])
def test_a_scorer_may_change_its_estimator(flowers: Any, scorer: Any) -> None:
    settings = {"scoring": scorer, "cv": 3, "return_train_score": True, "refit": False}
    network = classifier(learning_rate_init=0.03)
    expected = GridSearchCV(network, {"alpha": [1e-4, 0.1]}, **settings).fit(*flowers)
    plain = GridSearchCV(network, {"alpha": [1e-4, 0.1]}, **settings | {"scoring": None}).fit(*flowers)
    search = MLPSearchCV(network, {"alpha": [1e-4, 0.1]}, **settings).fit(*flowers)
    assert_same_results(search.cv_results_, expected.cv_results_)
    assert np.any(plain.cv_results_["mean_test_score"] != search.cv_results_["mean_test_score"])


def sets_scale(pipeline, X, y):
    pipeline.score(X, y)
    pipeline[0].scale_ *= 5
    return pipeline.score(X, y)


def test_a_scorer_may_change_a_step(flowers: Any) -> None:
    settings = {"scoring": sets_scale, "cv": 3, "refit": False}
    pipeline = make_pipeline(StandardScaler(), classifier(max_iter=30))
    expected = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1]}, **settings).fit(*flowers)
    search = MLPSearchCV(pipeline, {"mlpclassifier__alpha": [0.1]}, **settings).fit(*flowers)
    assert_same_results(search.cv_results_, expected.cv_results_)


@pytest.mark.parametrize("duplicate", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("lined", [False, True])
def test_copies_of_doubles_are_estimators_that_recall_nothing(flowers: Any, duplicate: Any, lined: bool) -> None:
    X, y = flowers
    fitted = (make_pipeline(StandardScaler(), classifier()) if lined else classifier()).fit(X, y)
    expected = fitted.predict_proba(X)
    (double,) = recalling([fitted], X)
    assert isinstance(double, type(fitted))
    assert double.__class__ is type(fitted)
    made = duplicate(double)
    np.testing.assert_allclose(made.predict_proba(X), expected, rtol=1e-6)
    network, own = (made[-1], fitted[-1]) if lined else (made, fitted)
    if not (lined and duplicate is copy.copy):  # of which the steps are the same objects
        assert type(network) is MLPClassifier
        assert vars(network).keys() == vars(own).keys()
    network.partial_fit(made[:-1].transform(X) if lined else X, y)
    assert np.abs(made.predict_proba(X) - expected).max() > 1e-4
    assert type(clone(double)) is type(fitted)


def test_seeds_are_averaged_and_shown(flowers: Any) -> None:
    by_seed = [GridSearchCV(classifier(random_state=s), GRID, cv=3, refit=False).fit(*flowers) for s in (5, 8)]
    search = MLPSearchCV(classifier(), GRID, cv=3, seeds=[5, 8]).fit(*flowers)
    found = search.cv_results_
    for split in range(3):
        each = [other.cv_results_[f"split{split}_test_score"] for other in by_seed]
        np.testing.assert_allclose(found[f"split{split}_seed0_test_score"], each[0])
        np.testing.assert_allclose(found[f"split{split}_seed1_test_score"], each[1])
        np.testing.assert_allclose(found[f"split{split}_test_score"], np.mean(each, axis=0))
    means = [other.cv_results_["mean_test_score"] for other in by_seed]
    np.testing.assert_allclose(found["mean_test_score"], np.mean(means, axis=0))
    np.testing.assert_allclose(found["std_seeds_test_score"], np.std(means, axis=0))
    assert search.best_estimator_.random_state == 0


def test_seeds_reach_the_last_step_of_a_pipeline(flowers: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), classifier())
    found = cross_val_stack(pipeline, *flowers, cv=2, seeds=3, return_estimator=True)
    assert [[p[-1].random_state for p in fold] for fold in found["estimator"]] == [[0, 1, 2]] * 2


@pytest.mark.parametrize("seeds", [0, []])
def test_no_seed_is_refused(flowers: Any, seeds: Any) -> None:
    with pytest.raises(ValueError, match="`seeds` must be a number of at least 1"):
        MLPSearchCV(classifier(), GRID, seeds=seeds).fit(*flowers)


def test_seeds_need_a_random_state(patients: Any) -> None:
    with pytest.raises(ValueError, match="`seeds` needs an estimator with the parameter 'random_state'"):
        cross_val_stack(LinearRegression(), *patients, seeds=2)


@pytest.mark.parametrize("space", [{}, {"param_grid": GRID, "param_distributions": GRID}])
def test_one_space_must_be_given(flowers: Any, space: Any) -> None:
    with pytest.raises(ValueError, match="Exactly one of `param_grid` and `param_distributions`"):
        MLPSearchCV(classifier(), **space).fit(*flowers)


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


def test_groups_and_weights_are_cut_with_the_folds(flowers: Any) -> None:
    X, y = flowers
    weight, groups = np.linspace(0.1, 2.0, len(y)), np.arange(len(y)) % 7
    settings = {"cv": GroupKFold(3), "scoring": make_scorer(accuracy_score)}
    expected = GridSearchCV(classifier(), GRID, **settings).fit(X, y, groups=groups, sample_weight=weight)
    search = MLPSearchCV(classifier(), GRID, **settings).fit(X, y, groups=groups, sample_weight=weight)
    assert_same_results(search.cv_results_, expected.cv_results_)
    np.testing.assert_allclose(search.predict_proba(X), expected.predict_proba(X), rtol=1e-6)


def test_a_pipeline_takes_weights_by_the_name_of_its_step(flowers: Any) -> None:
    X, y = flowers
    weight = np.linspace(0.1, 2.0, len(y))
    pipeline = make_pipeline(StandardScaler(), classifier())
    weights = {"mlpclassifier__sample_weight": weight, "standardscaler__sample_weight": weight}
    expected = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1]}, cv=3).fit(X, y, **weights)
    search = MLPSearchCV(pipeline, {"mlpclassifier__alpha": [0.1]}, cv=3).fit(X, y, **weights)
    assert_same_results(search.cv_results_, expected.cv_results_)


@pytest.mark.parametrize("lined", [False, True])
def test_metadata_is_routed(flowers: Any, lined: bool) -> None:
    X, y = flowers
    weight, groups = np.linspace(0.1, 2.0, len(y)), np.arange(len(y)) % 7
    with config_context(enable_metadata_routing=True):
        network = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        made = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), network) if lined else network
        grid = {"mlpclassifier__alpha" if lined else "alpha": [1e-4, 1.0]}
        expected = GridSearchCV(made, grid, cv=GroupKFold(3)).fit(X, y, sample_weight=weight, groups=groups)
        search = MLPSearchCV(made, grid, cv=GroupKFold(3)).fit(X, y, sample_weight=weight, groups=groups)
        assert_same_results(search.cv_results_, expected.cv_results_)
        wanted = cross_validate(made, X, y, cv=GroupKFold(3), params={"sample_weight": weight, "groups": groups})
        found = cross_val_stack(made, X, y, cv=GroupKFold(3), params={"sample_weight": weight, "groups": groups})
        np.testing.assert_allclose(found["test_score"], wanted["test_score"])
        with pytest.raises(ValueError, match="`groups` can only be passed where metadata routing is off"):
            cross_val_stack(made, X, y, groups=groups)


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


def test_frames_keep_the_names_of_their_columns(flowers: Any) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = flowers
    frame = pandas.DataFrame(X, columns=list("abcd"))
    labels = pandas.Series(np.array(["x", "y", "z"])[y], index=np.arange(len(y)) + 9)
    expected = GridSearchCV(classifier(), GRID, cv=3).fit(frame, labels)
    search = MLPSearchCV(classifier(), GRID, cv=3).fit(frame, labels)
    assert_same_results(search.cv_results_, expected.cv_results_)
    assert search.feature_names_in_.tolist() == list("abcd")
    assert search.predict(frame).tolist() == expected.predict(frame).tolist()


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, np.ndarray.tolist])
def test_sparse_features_and_lists_are_taken(flowers: Any, kind: Any) -> None:
    X, y = flowers
    expected = GridSearchCV(classifier(), GRID, cv=3).fit(kind(X), y)
    search = MLPSearchCV(classifier(), GRID, cv=3).fit(kind(X), y.tolist())
    assert_same_results(search.cv_results_, expected.cv_results_)


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


def test_refit_may_be_a_function_or_off(flowers: Any) -> None:
    last = MLPSearchCV(classifier(), GRID, cv=2, refit=lambda results: len(results["params"]) - 1).fit(*flowers)
    assert last.best_index_ == 3
    assert not hasattr(last, "best_score_")
    none = MLPSearchCV(classifier(), GRID, cv=2, refit=False).fit(*flowers)
    assert none.best_params_ in none.cv_results_["params"]
    assert not hasattr(none, "best_estimator_")
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        MLPSearchCV(classifier(), GRID, scoring=["accuracy", "f1_macro"]).fit(*flowers)


def test_times_share_out_what_was_done_together(flowers: Any) -> None:
    search = MLPSearchCV(classifier(), GRID, cv=2).fit(*flowers)
    times = search.cv_results_["mean_fit_time"]
    assert np.ptp(times) < 1e-12
    assert times[0] > 0
    assert search.cv_results_["mean_score_time"].min() > 0


def test_a_verbose_search_says_what_it_does(flowers: Any, capsys: pytest.CaptureFixture[str]) -> None:
    MLPSearchCV(classifier(), {"alpha": [0.1]}, cv=2, verbose=2).fit(*flowers)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Fitting 2 folds for each of 1 candidates, totalling 2 fits"
    assert lines[2].startswith("[CV 2/2] END alpha=0.1; score=")


def test_a_verbose_search_names_the_seeds(flowers: Any, capsys: pytest.CaptureFixture[str]) -> None:
    MLPSearchCV(classifier(), {"alpha": [0.1]}, cv=2, verbose=2, seeds=[7, 9]).fit(*flowers)
    heads = [line.partition(";")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert heads == [f"[CV {split}/2] END alpha=0.1, seed={seed}" for split in (1, 2) for seed in (7, 9)]


@pytest.mark.parametrize("n_iter", [0, -1])
def test_less_than_one_draw_is_refused(flowers: Any, n_iter: int) -> None:
    with pytest.raises(ValueError, match=rf"The 'n_iter' parameter of MLPSearchCV must be .* Got {n_iter} instead"):
        MLPSearchCV(classifier(), {"alpha": loguniform(1e-4, 1)}, n_iter=n_iter).fit(*flowers)


def test_callbacks_hear_of_every_task(flowers: Any) -> None:
    pytest.importorskip("sklearn.callback")
    heard = []

    class Listener:
        def setup(self, estimator, context):
            heard.append("setup")

        def teardown(self, estimator, context):
            heard.append("teardown")

        def on_fit_task_begin(self, estimator, context, *, X):
            heard.append(f"{context.task_name} {context.task_id} of {len(X)}" if X is not None else context.task_name)

        def on_fit_task_end(self, estimator, context):
            heard.append(f"end {context.task_name}")

    MLPSearchCV(classifier(), {"alpha": [0.1]}, cv=3).set_callbacks(Listener()).fit(*flowers)
    assert heard == [
        "setup", "fit 0 of 150", "search", *(f"candidate-split-evaluation {i} of 100" for i in range(3)),
        *["end candidate-split-evaluation"] * 3, "end search", "refit-with-best-params 1 of 150",
        "end refit-with-best-params", "end fit", "teardown",
    ]  # fmt: skip


def test_cross_validation_finds_what_cross_validate_finds(flowers: Any) -> None:
    settings = {"cv": StratifiedKFold(4, shuffle=True, random_state=1), "scoring": ["accuracy", "neg_log_loss"],
                "return_train_score": True, "return_estimator": True, "return_indices": True}  # fmt: skip
    X, y = flowers
    params = {"sample_weight": np.linspace(0.5, 1.5, len(y))}
    expected = cross_validate(classifier(), X, y, params=params, **settings)
    found = cross_val_stack(classifier(), X, y, params=params, **settings)
    assert set(found) == set(expected)
    for name in ("test_accuracy", "train_accuracy", "test_neg_log_loss", "train_neg_log_loss"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
    for part in ("train", "test"):
        for ours, theirs in zip(found["indices"][part], expected["indices"][part], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(found["estimator"], expected["estimator"], strict=True):
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6)


def test_a_fold_that_fails_in_cross_validation_gets_the_error_score(flowers: Any) -> None:
    X, y = flowers
    rows = np.arange(len(y))
    bad = np.where(rows < 50, np.nan, X[:, 0])[:, None] * np.ones(4)
    cv = [(rows[50:100], rows[100:]), (rows[:100], rows[100:])]
    with pytest.warns(FitFailedWarning, match="1 fits failed out of a total of 2"):
        found = cross_val_stack(classifier(), bad, rows % 2, cv=cv, error_score=-2.0)
    assert found["test_score"][1] == -2.0
    assert found["test_score"][0] >= 0


CHECKED = [
    MLPSearchCV(
        MLPClassifier((8,), max_iter=40, learning_rate_init=0.01, random_state=0), {"alpha": [1e-4, 1e-3]}, cv=2
    ),
    MLPSearchCV(regressor(max_iter=40, learning_rate_init=0.05), {"alpha": [1e-4, 1e-3]}, cv=2, error_score="raise"),
]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([search.set_params(error_score="raise") for search in CHECKED])
def test_it_is_an_estimator(estimator: Any, check: Any) -> None:
    check(estimator)
