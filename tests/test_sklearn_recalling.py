"""Scorers in a search get estimators that know their outputs, and may do with them what they like."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpx.sklearn import MLPClassifier, MLPSearchCV
from mlpx.sklearn import recalling as recalling_module
from mlpx.sklearn.recalling import recalling
from sklearn_searches import GRID, assert_same_results, classifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def flowers() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


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
