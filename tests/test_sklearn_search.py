"""MLPSearchCV and cross_val_stack find what scikit-learn's own search and cross-validation find, in one stack."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from scipy import sparse
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, RandomizedSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpx.sklearn import MLPSearchCV, cross_val_stack
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


def test_refit_may_be_a_function_or_off(flowers: Any) -> None:
    last = MLPSearchCV(classifier(), GRID, cv=2, refit=lambda results: len(results["params"]) - 1).fit(*flowers)
    assert last.best_index_ == 3
    assert not hasattr(last, "best_score_")
    none = MLPSearchCV(classifier(), GRID, cv=2, refit=False).fit(*flowers)
    assert none.best_params_ in none.cv_results_["params"]
    assert not hasattr(none, "best_estimator_")
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        MLPSearchCV(classifier(), GRID, scoring=["accuracy", "f1_macro"]).fit(*flowers)


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
