"""Ensembles are the mean and the spread of networks that differ in their seed."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpx.sklearn import MLPClassifier, MLPEnsembleClassifier, MLPEnsembleRegressor, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = {"hidden_layer_sizes": (6,), "max_iter": 5, "learning_rate_init": 0.01}


@pytest.fixture(scope="module")
def flowers() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), np.array(["blue", "green", "red"])[y]


@pytest.fixture(scope="module")
def patients() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return 20 * X[:120], y[:120] / 100


def test_probabilities_are_the_mean_of_the_members(flowers: Any) -> None:
    X, y = flowers
    ensemble = MLPEnsembleClassifier(MLPClassifier(**QUICK), n_members=4, random_state=0).fit(X, y)
    each = np.stack([member.predict_proba(X) for member in ensemble.estimators_])
    mean, spread = ensemble.predict_proba(X, return_std=True)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(spread, each.std(axis=0), rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(ensemble.predict_proba(X), mean)
    np.testing.assert_array_equal(ensemble.predict(X), ensemble.classes_[mean.argmax(axis=1)])
    np.testing.assert_allclose(np.exp(ensemble.predict_log_proba(X)), mean)
    assert len({member.random_state for member in ensemble.estimators_}) == 4
    assert spread.max() > 1e-3


def test_predictions_are_the_mean_of_the_members(patients: Any) -> None:
    X, y = patients
    for targets in (y, np.stack([y, -y], axis=1)):
        ensemble = MLPEnsembleRegressor(MLPRegressor(**QUICK), n_members=3, random_state=0).fit(X, targets)
        each = np.stack([member.predict(X) for member in ensemble.estimators_])
        mean, spread = ensemble.predict(X, return_std=True)
        assert mean.shape == spread.shape == targets.shape
        np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(spread, each.std(axis=0), rtol=1e-5)
        np.testing.assert_array_equal(ensemble.predict(X), mean)


def test_a_member_is_what_its_seed_alone_gives(flowers: Any) -> None:
    X, y = flowers
    weight = np.linspace(0.1, 2.0, len(y))
    ensemble = MLPEnsembleClassifier(MLPClassifier(**QUICK), n_members=3, random_state=1).fit(X, y, weight)
    for member in ensemble.estimators_:
        alone = clone(member).fit(X, y, weight)
        np.testing.assert_allclose(member.predict_proba(X), alone.predict_proba(X), rtol=1e-6)


def test_the_same_random_state_gives_the_same_ensemble(patients: Any) -> None:
    X, y = patients
    first, second, third = (
        MLPEnsembleRegressor(MLPRegressor(**QUICK), n_members=2, bootstrap=True, random_state=seed).fit(X, y).predict(X)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-3


def test_bootstrap_gives_members_other_rows(patients: Any) -> None:
    X, y = patients
    network = MLPRegressor(**QUICK)
    draws = np.random.RandomState(0)
    seeds = draws.randint(np.iinfo(np.int32).max, size=2)
    ensemble = MLPEnsembleRegressor(network, n_members=2, bootstrap=True, random_state=0).fit(X, y)
    for member, seed in zip(ensemble.estimators_, seeds, strict=True):
        rows = draws.randint(len(y), size=len(y))
        alone = clone(network).set_params(random_state=int(seed)).fit(X[rows], y[rows])
        np.testing.assert_allclose(member.predict(X), alone.predict(X), rtol=1e-6)


def test_a_class_that_a_draw_of_rows_lacks_has_no_probability() -> None:
    X = np.arange(12.0)[:, None] - 6
    y = np.array([0] * 5 + [1] * 6 + [2])
    ensemble = MLPEnsembleClassifier(MLPClassifier(**QUICK), n_members=8, bootstrap=True, random_state=0).fit(X, y)
    lacking = [member for member in ensemble.estimators_ if 2 not in member.classes_]
    assert 0 < len(lacking) < 8
    each = []
    for member in ensemble.estimators_:
        full = np.zeros((12, 3))
        full[:, member.classes_] = member.predict_proba(X)
        each.append(full)
    np.testing.assert_allclose(ensemble.predict_proba(X), np.mean(each, axis=0), rtol=1e-6)
    np.testing.assert_allclose(ensemble.predict_proba(X).sum(axis=1), 1.0, rtol=1e-6)


def test_a_member_that_has_seen_one_class_is_certain_of_it() -> None:
    X, y = np.array([[-1.0], [1.0], [2.0]]), np.array([3, 5, 7])
    network = MLPClassifier(**QUICK)
    for rows in ([0, 1], [0, 1, 2]):
        ensemble = MLPEnsembleClassifier(network, n_members=12, bootstrap=True, random_state=0).fit(X[rows], y[rows])
        classes = ensemble.classes_.tolist()
        certain = [member.classes_.tolist() for member in ensemble.estimators_ if len(member.classes_) == 1]
        assert 0 < len(certain) < 12
        each = np.zeros((12, 3, len(classes)))
        for full, member in zip(each, ensemble.estimators_, strict=True):
            own = [classes.index(k) for k in member.classes_]
            full[:, own] = member.predict_proba(X) if len(own) > 1 else 1.0
        np.testing.assert_allclose(ensemble.predict_proba(X), each.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(ensemble.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("bootstrap", [False, True])
def test_several_labels_a_sample_are_each_decided(bootstrap: bool) -> None:
    X, y = make_multilabel_classification(80, 6, n_classes=3, random_state=0)
    network = MLPClassifier(**QUICK)
    ensemble = MLPEnsembleClassifier(network, n_members=3, bootstrap=bootstrap, random_state=0).fit(X, y)
    mean = np.mean([member.predict_proba(X) for member in ensemble.estimators_], axis=0)
    assert ensemble.predict(X).shape == y.shape
    np.testing.assert_array_equal(ensemble.predict(X), mean > 0.5)


@pytest.mark.parametrize("bootstrap", [False, True])
def test_sparse_indicators_are_answered_by_sparse_ones(bootstrap: bool) -> None:
    X, y = make_multilabel_classification(80, 6, n_classes=3, random_state=0)
    network = MLPClassifier(**QUICK, random_state=0)
    ensemble = MLPEnsembleClassifier(network, n_members=3, bootstrap=bootstrap, random_state=0)
    dense = clone(ensemble).fit(X, y)
    ensemble.fit(X, sparse.csr_matrix(y))
    alone = network.fit(X, sparse.csr_matrix(y)).predict(X)
    assert type(ensemble.predict(X)) is type(alone)
    assert ensemble.predict(X).dtype == alone.dtype
    np.testing.assert_array_equal(ensemble.predict(X).toarray(), dense.predict(X))
    assert ensemble.score(X, sparse.csr_matrix(y)) == dense.score(X, y)


def test_frames_keep_the_names_of_their_columns(flowers: Any) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = flowers
    frame = pandas.DataFrame(X, columns=list("abcd"))
    ensemble = MLPEnsembleClassifier(MLPClassifier(**QUICK), n_members=2, random_state=0).fit(frame, y)
    assert ensemble.feature_names_in_.tolist() == list("abcd")
    assert ensemble.n_features_in_ == 4
    assert ensemble.score(frame, y) == np.mean(ensemble.predict(frame) == y)


def test_members_have_default_parameters_where_nothing_is_said(patients: Any) -> None:
    ensemble = MLPEnsembleRegressor(n_members=1, random_state=0).fit(*patients)
    (member,) = ensemble.estimators_
    assert member.get_params() == MLPRegressor(random_state=member.random_state).get_params()


def test_a_members_settings_can_be_searched(flowers: Any) -> None:
    ensemble = MLPEnsembleClassifier(MLPClassifier(**QUICK), n_members=2, random_state=0)
    search = GridSearchCV(ensemble, {"estimator__alpha": [1e-4, 10.0], "n_members": [1, 2]}, cv=2).fit(*flowers)
    assert search.cv_results_["mean_test_score"].shape == (4,)


@pytest.mark.parametrize("wrong", [{"n_members": 0}, {"bootstrap": "yes"}])
def test_wrong_parameters_are_refused(flowers: Any, wrong: Any) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"The '{name}' parameter of MLPEnsembleClassifier must be"):
        MLPEnsembleClassifier(**wrong).fit(*flowers)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (LogisticRegression(), r"sklearn.linear_model.*LogisticRegression. Give an MLPClassifier\(...\), or nothing"),
        (MLPClassifier, r"the class mlpx.sklearn.*MLPClassifier. Give an MLPClassifier\(...\), or nothing"),
        (TheirClassifier(), r"sklearn.neural_network.*MLPClassifier. Take MLPClassifier from mlpx.sklearn, which"),
        (
            make_pipeline(StandardScaler(), MLPClassifier()),
            r"sklearn.pipeline.Pipeline. Put .* in front: make_pipeline\(StandardScaler\(\), MLPEnsembleClassifier",
        ),
    ],
    ids=["another", "a class", "scikit-learn's", "a pipeline"],
)
def test_what_is_no_network_is_refused_with_a_remedy(flowers: Any, wrong: Any, remedy: str) -> None:
    with pytest.raises(TypeError, match=r"`estimator` must be an mlpx.sklearn.MLPClassifier, got " + remedy):
        MLPEnsembleClassifier(wrong).fit(*flowers)


def test_a_classifier_makes_no_ensemble_of_regressors(patients: Any) -> None:
    with pytest.raises(
        TypeError, match=r"must be an mlpx.sklearn.MLPRegressor, got mlpx.sklearn.classifier.MLPClassifier. Give"
    ):
        MLPEnsembleRegressor(MLPClassifier()).fit(*patients)


def test_what_a_member_refuses_is_raised(flowers: Any) -> None:
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0"):
        MLPEnsembleClassifier(MLPClassifier(hidden_layer_sizes=(-1,))).fit(*flowers)
