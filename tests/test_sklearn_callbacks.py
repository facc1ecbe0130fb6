"""scikit-learn's callback protocol, driven from the training loop, and what `verbose` prints."""

import io
import re
import warnings
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")

from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as Reference
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlpx
from mlpx.sklearn import MLPClassifier
from mlpx.sklearn.callbacks import CallbackSupportMixin, FitTask, present_parameters
from mlpx.sklearn.verbose import Verbose

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")


class Small(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """The smallest estimator that trains a network and has callbacks."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, max_iter: int = 5, learning_rate: float = 0.05, own: Any = ()) -> None:
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.own = own

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Small":
        task = FitTask(self, X, y, self.max_iter, sample_weight=sample_weight)
        self.classes_, index = np.unique(y, return_inverse=True)
        self._net = mlpx.MLP([X.shape[1], 4, 2])
        history = self._net.fit(
            X,
            index,
            epochs=self.max_iter,
            batch_size=16,
            optimizer=mlpx.Adam(self.learning_rate),
            sample_weight=sample_weight,
            callbacks=[*task.callbacks(), *self.own],
            progress=False,
        )
        self.coefs_, self.intercepts_ = list(self._net.weights), list(self._net.biases)
        self.n_iter_ = history.epochs
        task.close()
        return self

    def predict_proba(self, X: Any) -> Any:
        net = mlpx.MLP(self._net.sizes)
        net.set_weights(self.coefs_, self.intercepts_)
        return net.predict(X)

    def predict(self, X: Any) -> Any:
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]


class Recorder:
    """Writes down what it is told."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self.stop_at = stop_at

    def setup(self, estimator: Any, context: Any) -> None:
        self.note("setup", context)

    def teardown(self, estimator: Any, context: Any) -> None:
        self.note("teardown", context)

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.note("begin", context)

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        self.note("end", context)
        return context.task_id == self.stop_at and context.task_name == "epoch"

    def note(self, what: str, context: Any) -> None:
        self.calls.append((what, context.task_name, context.task_id))


class Propagated(Recorder):
    max_propagation_depth = None


class Keeper(Recorder):
    """Asks for everything that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[dict[str, Any]] = []

    def on_fit_task_end(  # type: ignore[override]
        self, estimator: Any, context: Any, *, X: Any, y: Any, metadata: Any, fitted_estimator: Any
    ) -> None:
        task = context.task_name
        self.got.append({"task": task, "X": X, "y": y, "metadata": metadata, "fitted": fitted_estimator})


def test_a_fit_is_a_task_with_one_below_it_for_each_epoch() -> None:
    recorder = Recorder()
    Small(max_iter=2).set_callbacks(recorder).fit(X, Y)
    assert recorder.calls == [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        ("begin", "epoch", 0),
        ("end", "epoch", 0),
        ("begin", "epoch", 1),
        ("end", "epoch", 1),
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]


def test_an_epoch_begins_before_its_first_step() -> None:
    seen = []

    class Watching(Recorder):
        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            if context.task_name == "epoch":
                seen.append(estimator._net.steps_seen[0] + estimator._net.epochs_seen[0])

    Small(max_iter=3).set_callbacks(Watching()).fit(X, Y)
    assert seen == [0, 1, 2]  # steps are counted at the end of the fit


def test_training_stops_where_a_callback_asks_for_it() -> None:
    recorder = Recorder(stop_at=1)
    estimator = Small(max_iter=5).set_callbacks(recorder).fit(X, Y)
    assert estimator.n_iter_ == 2
    assert recorder.calls[-3:] == [("end", "epoch", 1), ("end", "fit", 0), ("teardown", "fit", 0)]
    plain = Small(max_iter=2).fit(X, Y)
    np.testing.assert_array_equal(estimator.coefs_[0], plain.coefs_[0])


def test_a_callback_gets_the_data_and_an_estimator_ready_to_predict() -> None:
    keeper, weight = Keeper(), np.linspace(0.5, 1, len(X))
    estimator = Small(max_iter=3).set_callbacks(keeper).fit(X, Y, sample_weight=weight)
    assert [got["task"] for got in keeper.got] == ["epoch"] * 3 + ["fit"]
    for got in keeper.got:
        assert got["X"] is X
        assert got["y"] is Y
        assert got["metadata"] == {"sample_weight": weight}
    fitted = [got["fitted"] for got in keeper.got]
    assert [one.n_iter_ for one in fitted] == [1, 2, 3, 3]
    assert [len(one.loss_curve_) for one in fitted[:3]] == [1, 2, 3]
    probabilities = [one.predict_proba(X) for one in fitted]
    assert not np.allclose(probabilities[0], probabilities[1])
    np.testing.assert_array_equal(probabilities[2], estimator.predict_proba(X))
    np.testing.assert_array_equal(probabilities[3], estimator.predict_proba(X))
    early = Small(max_iter=1).fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(probabilities[0], early.predict_proba(X))


def test_nothing_is_computed_that_no_callback_asks_for() -> None:
    asked = []
    recorder = Recorder()
    estimator = Small().set_callbacks(recorder)

    def data() -> Any:
        asked.append("data")
        return X

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = FitTask(estimator, data, data, 2)
        for _ in range(3):
            task.begin()
            assert task.end(lambda: asked.append("attributes")) is False  # type: ignore[func-returns-value]
        task.close()
    assert asked == []
    assert sum(call[:2] == ("end", "epoch") for call in recorder.calls) == 2  # more than `most` there are not


def test_an_iteration_that_was_broken_off_is_closed_without_an_estimator() -> None:
    keeper = Keeper()

    class Interrupting(mlpx.Callback):
        def begin(self, run: Any) -> None:
            if run.epoch == 1:
                raise KeyboardInterrupt

    estimator = Small(max_iter=4, own=[Interrupting()]).set_callbacks(keeper).fit(X, Y)
    assert estimator.n_iter_ == 1
    assert [(got["task"], got["fitted"] is None) for got in keeper.got] == [
        ("epoch", False),
        ("epoch", True),
        ("fit", False),
    ]


def test_an_error_reaches_the_user_and_callbacks_are_taken_down() -> None:
    class Failing(Recorder):
        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            super().on_fit_task_begin(estimator, context)
            if context.task_name == "epoch":
                raise ValueError("not today")

    recorder = Failing()
    estimator = Small().set_callbacks(recorder)
    with pytest.raises(ValueError, match="not today"):
        estimator.fit(X, Y)
    assert recorder.calls[-2:] == [("begin", "epoch", 0), ("teardown", "fit", 0)]
    assert not hasattr(estimator, "_callback_fit_ctx")


def test_without_callbacks_there_are_no_epochs_to_look_at() -> None:
    estimator = Small()
    task = FitTask(estimator, X, Y, 3)
    assert not task.watched
    assert task.callbacks() == ()
    task.begin()
    assert task.end(lambda: pytest.fail("nobody asked")) is False
    assert list(estimator._callback_fit_ctx) == [estimator._callback_fit_ctx]


def test_an_estimator_without_support_is_fitted_as_ever() -> None:
    class Plain:
        pass

    task = FitTask(Plain(), X, Y, 3)
    task.begin()
    assert task.end() is False
    task.close()


def test_the_attributes_of_an_epoch_stay_when_training_goes_on() -> None:
    kept = []

    class Watching(mlpx.Callback):
        def epoch(self, run: Any) -> None:
            kept.append(present_parameters(run))

    net = mlpx.MLP([3, 4, 2])
    net.fit(X, (Y == "yes").astype(int), epochs=3, callbacks=Watching(), progress=False)
    np.testing.assert_array_equal(kept[2]["coefs_"][0], mlpx.to_numpy(net.weights[0]))
    assert not np.array_equal(kept[0]["coefs_"][0], kept[2]["coefs_"][0])
    assert all(weights.flags.writeable for weights in kept[0]["coefs_"])


def test_a_scoring_monitor_scores_every_epoch() -> None:
    monitor = ScoringMonitor(scoring="accuracy")
    estimator = Small(max_iter=3).set_callbacks(monitor).fit(X, Y)
    log = monitor.get_logs().data
    epochs = [row for row in log if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in epochs] == [0, 1, 2]
    assert epochs[-1]["accuracy"] == estimator.score(X, Y)


def test_a_search_over_a_pipeline_hands_its_callbacks_down() -> None:
    monitor = ScoringMonitor(scoring="accuracy")
    pipeline = make_pipeline(StandardScaler(), Small(max_iter=3).set_callbacks(monitor))
    search = GridSearchCV(pipeline, {"small__learning_rate": [0.001, 0.05]}, cv=2)
    recorder = Propagated()
    search.set_callbacks(recorder)
    search.fit(X, Y)
    # four fits of a fold and the last one
    assert sum(call[:2] == ("end", "epoch") for call in recorder.calls) == 3 * (2 * 2 + 1)
    assert sum(call[0] == "setup" for call in recorder.calls) == 1
    assert search.best_params_ == {"small__learning_rate": 0.05}
    scores = [row for row in monitor.get_logs(select="all")[0].data if row["task_name"] == "epoch"]
    assert len(scores) == 3 * (2 * 2 + 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_callbacks_hear_of_fits_in_other_processes() -> None:
    monitor = ScoringMonitor(scoring="accuracy")
    network = MLPClassifier((4,), max_iter=3, random_state=0).set_callbacks(monitor)
    GridSearchCV(network, {"learning_rate_init": [0.001, 0.05]}, cv=2, n_jobs=2).fit(X, Y)
    scores = [row for row in monitor.get_logs(select="all")[0].data if row["task_name"] == "epoch"]
    assert len(scores) == 3 * (2 * 2 + 1)


def test_a_progress_bar_shows_the_epochs_of_a_search() -> None:
    pytest.importorskip("rich", reason="the progress bar is drawn by rich")
    search = GridSearchCV(make_pipeline(StandardScaler(), Small(max_iter=2)), {"small__max_iter": [2, 3]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    shown = io.StringIO()
    with redirect_stdout(shown):
        search.fit(X, Y)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    assert "GridSearchCV - fit" in text
    assert "Small - fit" in text
    assert "100%" in text


# What `verbose` prints.


def printed(function: Any) -> str:
    out = io.StringIO()
    with redirect_stdout(out), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        function()
    return out.getvalue()


def tell(callback: mlpx.Callback, reference: Any, rates: list[float]) -> None:
    """Tell a callback the numbers of scikit-learn's own fit."""
    scores = reference.validation_scores_ or [np.nan] * len(reference.loss_curve_)
    for i, (loss, score, rate) in enumerate(zip(reference.loss_curve_, scores, rates, strict=True)):
        row = {"loss": loss, "validation_accuracy": score, "learning_rate": rate}
        callback.epoch(SimpleNamespace(epoch=i + 1, row=row))


CASES: dict[str, dict[str, Any]] = {
    "all epochs": {"max_iter": 3},
    "loss": {"max_iter": 100, "tol": 0.01, "n_iter_no_change": 2},
    "score": {"max_iter": 100, "early_stopping": True, "n_iter_no_change": 3},
    "adaptive": {"max_iter": 200, "solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2},
    "adaptive, by score": {
        "max_iter": 20,
        "solver": "sgd",
        "learning_rate": "adaptive",
        "early_stopping": True,
        "n_iter_no_change": 3,
    },
    "lowered in the last epoch": {
        "max_iter": 4,
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 0.5,
        "n_iter_no_change": 2,
    },
}


@pytest.mark.parametrize("kind", CASES)
def test_verbose_prints_what_scikit_learn_prints(kind: str) -> None:
    reference = Reference((4,), random_state=0, verbose=True, **CASES[kind])
    wanted = printed(lambda: reference.fit(X, Y))
    rates, rate = [], reference.learning_rate_init
    for line in wanted.splitlines():
        if line.startswith("Iteration"):
            rates.append(rate)
        if "Setting" in line:
            rate /= 5
    assert (" Stopping." in wanted) == (kind in ("loss", "score", "adaptive"))
    assert (" Setting" in wanted) == ("adaptive" in kind or "lowered" in kind)
    verbose = Verbose(
        reference.tol,
        reference.n_iter_no_change,
        score="validation_accuracy" if reference.early_stopping else None,
        adaptive=reference.learning_rate == "adaptive",
    )
    assert printed(lambda: tell(verbose, reference, rates)) == wanted


def test_verbose_goes_on_where_an_earlier_fit_ended() -> None:
    reference = Reference((4,), random_state=0, warm_start=True, max_iter=2, tol=1.0, n_iter_no_change=3)
    printed(lambda: reference.fit(X, Y))
    best, seen = reference.best_loss_, len(reference.loss_curve_)
    wanted = printed(lambda: reference.set_params(verbose=True, max_iter=9).fit(X, Y))
    assert "Stopping" in wanted
    reference.loss_curve_ = reference.loss_curve_[seen:]
    verbose = Verbose(1.0, 3, best=best, waited=1)
    assert printed(lambda: tell(verbose, reference, [0.001] * len(reference.loss_curve_))) == wanted


def test_verbose_in_a_real_fit() -> None:
    verbose = Verbose(0.0, 2)
    lines = printed(
        lambda: mlpx.MLP([3, 4, 2], seed=1).fit(
            X, (Y == "yes").astype(int), epochs=2, callbacks=verbose, progress=False
        )
    ).splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"Iteration 1, loss = \d\.\d{8}", lines[0])
