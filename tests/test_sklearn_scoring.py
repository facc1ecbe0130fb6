"""Scores of estimators, and any scorer as what training watches."""

import copy
import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import accuracy_score, get_scorer, log_loss, make_scorer, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor

import mlpx
from mlpx.backends import Backend
from mlpx.batches import Drawn
from mlpx.data import choose_rows
from mlpx.evaluation import Sample
from mlpx.sklearn import scoring, sparse
from mlpx.sklearn.scoring import EpochScores, HeldOut, PresentClassifier, PresentRegressor, metric_name
from mlpx.stopping import Patience, Stopping
from mlpx.training import Run, Settings

RNG = np.random.default_rng(7)
X = RNG.standard_normal((50, 4))
TWO = np.where(X[:, 0] + 0.5 * RNG.standard_normal(50) > 0, "yes", "no")
THREE = np.asarray(["a", "b", "c"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0)]
VALUES = X @ RNG.standard_normal((4, 2))
WEIGHT = RNG.random(50)


def blank(cls: Any, classes: Any = None) -> Any:
    """Return an estimator of scikit-learn as it is before training, but for its labels."""
    estimator = cls()
    if classes is not None:
        estimator.classes_ = np.asarray(classes)
    return estimator


def fitted(reference: Any) -> mlpx.Network:
    """Return a network with the parameters of a fitted estimator of scikit-learn."""
    sizes = [reference.coefs_[0].shape[0], *(w.shape[1] for w in reference.coefs_)]
    output = {"identity": "linear"}.get(reference.out_activation_, reference.out_activation_)
    net = mlpx.MLP(sizes, activation=reference.activation, output=output, dtype="float64")
    net.set_weights(reference.coefs_, reference.intercepts_)
    return net


def classifier(y: Any) -> tuple[Any, Any]:
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        reference = MLPClassifier((6,), max_iter=3, random_state=0).fit(X, y)
    return reference, PresentClassifier(blank(MLPClassifier, reference.classes_), fitted(reference))


# What `score` returns.


class Answers(BaseEstimator):
    """Predicts what it was given."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def fit(self, X: Any, y: Any) -> "Answers":
        return self

    def predict(self, X: Any) -> Any:
        return self.answer


class Labels(ClassifierMixin, Answers):
    pass


class Values(RegressorMixin, Answers):
    pass


@pytest.mark.parametrize("dispatch", [False, True])
def test_scores_are_scikit_learns_for_arrays_of_any_library(backend: Backend, dispatch: bool) -> None:
    y, guess = RNG.integers(0, 3, 50), RNG.integers(0, 3, 50)
    with backend.context():
        x, truth, answer, weight = (backend.asarray(a) for a in (X, y, guess, WEIGHT))
    with sklearn.config_context(array_api_dispatch=dispatch):
        for given in (truth, y, y.tolist()):
            found = scoring.score(Labels(answer), x, given, weight)
            assert found == accuracy_score(y, guess, sample_weight=WEIGHT)
            assert scoring.score(Values(answer), x, given) == r2_score(y, guess)


def test_the_default_is_the_training_loops_own() -> None:
    assert metric_name(MLPClassifier(), None) == metric_name(MLPClassifier(), "accuracy") == "accuracy"
    assert metric_name(MLPRegressor(), None) == metric_name(MLPRegressor(), "r2") == "r2"
    for other in ("r2", "roc_auc", get_scorer("accuracy"), lambda estimator, X, y: 0.0):
        assert metric_name(MLPClassifier(), other) is None


@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_the_loops_accuracy_is_scikit_learns(y: Any) -> None:
    reference, _ = classifier(y)
    index = np.searchsorted(reference.classes_, y)
    for weight in (None, WEIGHT):
        own = fitted(reference).evaluate(X, index, metrics="accuracy", sample_weight=weight)["accuracy"]
        assert own == pytest.approx(reference._score(X, y, sample_weight=weight), rel=1e-15)


def test_the_loops_r2_is_scikit_learns() -> None:
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        reference = MLPRegressor(hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(X, VALUES)
    net = fitted(reference)
    for weight in (None, WEIGHT):
        own = net.evaluate(X, VALUES, metrics="r2", sample_weight=weight)["r2"]
        assert own == pytest.approx(reference._score(X, VALUES, sample_weight=weight), rel=1e-12)


# An estimator with the present weights.


@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_a_classifier_predicts_with_the_present_weights(y: Any) -> None:
    reference, present = classifier(y)
    np.testing.assert_array_equal(present.predict(X), reference.predict(X))
    np.testing.assert_allclose(present.predict_proba(X), reference.predict_proba(X), rtol=1e-12)
    np.testing.assert_allclose(present.predict_log_proba(X), reference.predict_log_proba(X), rtol=1e-12)
    assert present.score(X, y) == reference.score(X, y)
    assert present.score(X, y, WEIGHT) == reference.score(X, y, WEIGHT)
    np.testing.assert_array_equal(present.coefs_[0], reference.coefs_[0])
    np.testing.assert_array_equal(present.intercepts_[1], reference.intercepts_[1])
    assert present.hidden_layer_sizes == (100,)  # the estimator's own
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = present.no_such_thing


def test_several_labels_are_predicted_as_scikit_learn_predicts_them() -> None:
    _, y = make_multilabel_classification(50, n_classes=3, random_state=0)
    reference, present = classifier(y)
    np.testing.assert_array_equal(present.predict(X), reference.predict(X))
    np.testing.assert_allclose(present.predict_proba(X), reference.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("y", [VALUES, VALUES[:, 0]], ids=["two outputs", "one output"])
def test_a_regressor_predicts_with_the_present_weights(y: Any) -> None:
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        reference = MLPRegressor(hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(X, y)
    present = PresentRegressor(blank(MLPRegressor), fitted(reference))
    np.testing.assert_allclose(present.predict(X), reference.predict(X), rtol=1e-12)
    assert not hasattr(present, "predict_proba")


def test_outputs_are_computed_once_for_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    _, present = classifier(TWO)
    calls = []
    predict = mlpx.Network.predict
    monkeypatch.setattr(mlpx.Network, "predict", lambda self, X: calls.append(1) or predict(self, X))
    present.predict(X)
    present.predict_proba(X)
    assert len(calls) == 1
    present.predict(X[:5])
    assert len(calls) == 2


def test_a_view_can_be_copied() -> None:
    _, present = classifier(TWO)
    np.testing.assert_array_equal(copy.copy(present).predict(X), present.predict(X))


# Any scorer.

NAMES = [
    "roc_auc",
    "neg_log_loss",
    "f1_macro",
    "balanced_accuracy",
    "neg_brier_score",
    "roc_auc_ovr",
    "average_precision",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighted", [False, True])
def test_scorers_by_name_give_what_they_give_of_a_fitted_estimator(name: str, weighted: bool) -> None:
    y = (TWO == "yes").astype(int)
    reference, present = classifier(y)
    weights = {"sample_weight": WEIGHT} if weighted else {}
    judge = HeldOut(present._estimator, name, X, y, **weights)
    wanted = get_scorer(name)(reference, X, y, **weights)
    assert judge(present.network_) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", ["neg_mean_absolute_error", "neg_max_error", "explained_variance"])
def test_scorers_of_regressors(name: str) -> None:
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        reference = MLPRegressor(hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(X, VALUES[:, 0])
    # the largest error takes no weights
    weights = {} if name == "neg_max_error" else {"sample_weight": WEIGHT}
    found = HeldOut(blank(MLPRegressor), name, X, VALUES[:, 0], WEIGHT)(fitted(reference))
    assert found == pytest.approx(get_scorer(name)(reference, X, VALUES[:, 0], **weights), rel=1e-12)


def test_a_callable_sees_rows_labels_and_weights(backend: Backend) -> None:
    reference, _ = classifier(THREE)
    estimator, seen = blank(MLPClassifier, reference.classes_), []
    with backend.context():
        x = backend.asarray(X)

    def judge(estimator: Any, X: Any, y: Any) -> Any:
        seen.append((X, y))
        return -log_loss(y, estimator.predict_proba(X)) - 0.1 * np.sum(estimator.coefs_[0] ** 2)

    net = fitted(reference)
    found = HeldOut(estimator, judge, x, THREE, WEIGHT)(net)
    assert seen[0][0] is x
    assert seen[0][1] is THREE
    assert found == pytest.approx(judge(reference, X, THREE), rel=1e-10)
    assert HeldOut(estimator, lambda e, X, y, sample_weight: sum(sample_weight), x, THREE, WEIGHT)(net) == sum(WEIGHT)


def test_scorers_see_sparse_rows_and_arrays_of_other_libraries(backend: Backend, monkeypatch: Any) -> None:
    monkeypatch.setattr(sparse, "MOST_DENSE", 0)
    reference, present = classifier(TWO)
    with backend.context():
        x = backend.asarray(X)
    wanted = get_scorer("roc_auc")(reference, X, TWO)
    for rows in (x, sp.csr_array(X)):
        assert HeldOut(present._estimator, "roc_auc", rows, TWO)(present.network_) == pytest.approx(wanted, rel=1e-12)


def test_what_is_no_scorer_is_refused() -> None:
    reference, present = classifier(TWO)
    for several in (["accuracy", "f1"], {"a": "accuracy"}, 3):
        with pytest.raises(TypeError, match="`scoring` must be one scorer"):
            HeldOut(reference, several, X, TWO)
    with pytest.raises(ValueError, match="no_such"):
        HeldOut(reference, "no_such", X, TWO)
    with pytest.raises(ValueError, match="metric function rather than a scorer"):
        HeldOut(reference, accuracy_score, X, TWO)
    with pytest.raises(ValueError, match=r"`scoring` must return a number, got \{\} \(dict\)"):
        HeldOut(reference, lambda e, X, y: {}, X, TWO)(present.network_)


def test_a_number_may_be_an_array_of_one(backend: Backend) -> None:
    reference, present = classifier(TWO)
    with backend.context():
        one = backend.asarray(np.asarray(0.5))
    assert HeldOut(reference, lambda e, X, y: one, X, TWO)(present.network_) == 0.5
    assert HeldOut(reference, lambda e, X, y: np.float32(0.5), X, TWO)(present.network_) == 0.5
    assert math.isnan(HeldOut(reference, lambda e, X, y: math.nan, X, TWO)(present.network_))


# In training.


def trained(members: int | None, scorer: Any, stopping: Stopping) -> tuple[Any, mlpx.Network]:
    net = mlpx.MLP([4, 5, 2], dtype="float64", members=members)
    index = np.searchsorted(np.unique(TWO), TWO)
    with net.backend.context():
        sample = Sample.of(net.backend, X, index, choose_rows(50, None, members), None)
        asked = Settings(
            epochs=6,
            batch_size=10,
            optimizer=mlpx.Adam(0.01),
            order=Drawn(tuple(net.keys), tuple(net.epochs_seen), True, False, members is not None),
            scorer=scorer,
            monitor=scorer.column,
            keep_best=True,
            stopping=stopping,
        )
        return Run(net, asked, sample, None)(), net


def held_out(scorer: Any = "roc_auc") -> HeldOut:
    return HeldOut(blank(MLPClassifier, np.unique(TWO)), scorer, X, TWO)


def test_training_watches_any_scorer() -> None:
    history, net = trained(None, EpochScores([held_out()]), Stopping())
    scores = history["validation_score"]
    assert len(scores) == 6
    assert history.best_score == max(scores)
    assert history.best_epoch == 1 + scores.index(max(scores))
    assert held_out()(net) == max(scores)  # the best weights stay


def test_training_stops_where_the_score_does_not_grow() -> None:
    numbers = iter([0.5, 0.7, 0.6, 0.9])
    history, _ = trained(None, EpochScores([held_out(lambda e, X, y: next(numbers))]), Patience(1))
    assert history["validation_score"] == [0.5, 0.7, 0.6]
    assert history.stopped == "patience"
    assert history.best_epoch == 2


def test_every_member_of_a_stack_has_its_own_score_and_stops_by_itself() -> None:
    calls = {0: 0, 1: 0, 2: 0}

    def judge(member: int) -> Any:
        def scorer(estimator: Any, X: Any, y: Any) -> float:
            calls[member] += 1
            return -float(calls[member]) if member == 1 else get_scorer("roc_auc")(estimator, X, y) + calls[member]

        return scorer

    scores = EpochScores([held_out(judge(s)) for s in range(3)])
    history, net = trained(3, scores, Patience(1))
    assert calls == {0: 6, 1: 2, 2: 6}
    assert history.best_epoch == [6, 1, 6]
    assert np.isnan([row[1] for row in history["validation_score"][2:]]).all()
    last = history["validation_score"][-1]
    plain = held_out()
    assert last[0] == pytest.approx(6 + plain(net.member(0)))
    assert last[2] == pytest.approx(6 + plain(net.member(2)))


def test_scorers_with_a_threshold_and_routing_enabled() -> None:
    reference, present = classifier(TWO)
    scorer = make_scorer(accuracy_score)
    with sklearn.config_context(enable_metadata_routing=True):
        found = HeldOut(present._estimator, scorer, X, TWO, WEIGHT)(present.network_)
    assert found == reference.score(X, TWO, WEIGHT)
