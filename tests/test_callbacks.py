"""Callbacks: what each does, with stacks, on every backend, in estimators, after an interruption and after an error."""

import csv
import io
import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlpx
from mlpx.backends import Backend

RNG = np.random.default_rng(5)
X = RNG.standard_normal((60, 3))
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
HELD_OUT = (X[40:], Y[40:])
TRAIN = (X[:40], Y[:40])
ADAM = mlpx.Adam(0.05)
# members stop at different epochs
LEAVING: dict[str, Any] = {"validation": HELD_OUT, "epochs": 300, "patience": 3, "optimizer": mlpx.Adam(0.1)}


def fitted(callbacks: Any = (), *, members: int | None = None, backend: Any = None, **options: Any) -> Any:
    """Return a network after a fit, and the history."""
    net = mlpx.MLP([3, 8, 1], output="sigmoid", seed=3, members=members, backend=backend)
    settings = {"epochs": 6, "batch_size": 16, "optimizer": ADAM, "progress": False, **options}
    return net, net.fit(*TRAIN, callbacks=callbacks, **settings)


def vector(net: Any) -> Any:
    return mlpx.to_numpy(net.vector)


class Recorder(mlpx.Callback):
    """Keep the weights after each epoch."""

    def start(self, run: Any) -> None:
        self.vectors: list[Any] = []

    def epoch(self, run: Any) -> None:
        self.vectors.append(vector(run.net))


class Steps(mlpx.Callback):
    """Keep the weights after each step, as the backend has them."""

    def __init__(self, every: int = 1) -> None:
        self.every = every

    def start(self, run: Any) -> None:
        self.kept: list[Any] = []

    def batch(self, run: Any) -> None:
        self.kept.append(run.net.backend.copy(run.parameters))


# Early stopping.


def test_early_stopping_by_the_validation_loss_is_patience(backend: Backend) -> None:
    options = {"validation": HELD_OUT, "epochs": 200, "backend": backend.name}
    plain, expected = fitted(patience=4, **options)
    stopping = mlpx.EarlyStopping("validation_loss", patience=4)
    net, history = fitted(stopping, **options)
    assert expected.stopped == "patience"
    assert history["validation_loss"] == expected["validation_loss"]
    assert stopping.stopped_epoch == history.epochs < 200
    assert (stopping.best_epoch, stopping.best_score) == (expected.best_epoch, expected.best_score)
    np.testing.assert_array_equal(vector(net), vector(plain))


def test_early_stopping_watches_what_fit_does_not_monitor(backend: Backend) -> None:
    stopping, recorder = mlpx.EarlyStopping("validation_accuracy", patience=3), Recorder()
    net, history = fitted(
        [recorder, stopping], validation=HELD_OUT, metrics="accuracy", epochs=100, backend=backend.name
    )
    scores = history["validation_accuracy"]
    assert history.monitor == "validation_loss"
    assert stopping.best_score == max(scores)
    assert stopping.best_epoch == 1 + int(np.argmax(scores)) == history.epochs - 3
    np.testing.assert_array_equal(vector(net), recorder.vectors[stopping.best_epoch - 1])


def test_early_stopping_leaves_the_weights_to_fit_where_it_is_asked_to() -> None:
    recorder = Recorder()
    stopping = mlpx.EarlyStopping("loss", 1, mode="max", restore_best=False)
    net, history = fitted([recorder, stopping])
    assert history.epochs == 2
    np.testing.assert_array_equal(vector(net), recorder.vectors[-1])


class Scores(mlpx.Callback):
    """Put other losses in place of those that were."""

    def __init__(self, scores: list[Any]) -> None:
        self.scores = scores

    def epoch(self, run: Any) -> None:
        scores = self.scores[run.epoch - 1]
        if isinstance(scores, list):
            scores = [score if member in run.left else math.nan for member, score in enumerate(scores)]
        run.row["loss"] = scores


@pytest.mark.parametrize(
    ("options", "scores", "stopped", "best"),
    [
        ({}, [5, 4, 4, 4, 3, 9], 4, 2),
        ({"min_delta": 0.5}, [5, 4.7, 4.6, 9, 9, 9], 3, 3),
        ({"min_delta": 0.5}, [5, 4.7, 4.4, 3.8, 9, 9], 3, 3),
        ({"baseline": 2}, [5, 4, 3, 1, 1, 1], 2, 2),
        ({"baseline": 4.5}, [5, 4, 4, 4, 3, 9], 4, 2),
        ({"mode": "max"}, [1, 2, 2, 2, 9, 9], 4, 2),
        ({"mode": "max", "baseline": 3}, [1, 4, 4, 4, 9, 9], 4, 2),
        ({}, [math.nan, math.nan, 1, 1, 1, 1], 2, 0),
        ({}, [6, 5, 4, 3, 2, 1], 0, 6),
    ],
)
def test_when_early_stopping_stops(options: dict[str, Any], scores: list[float], stopped: int, best: int) -> None:
    stopping, recorder = mlpx.EarlyStopping("loss", 2, **options), Recorder()
    net, history = fitted([recorder, Scores(scores), stopping])
    assert (stopping.stopped_epoch, stopping.best_epoch) == (stopped, best)
    assert history.stopped == ("callback" if stopped else "epochs")
    assert stopping.best_score == scores[best - 1] if best else math.isnan(stopping.best_score)  # type: ignore[arg-type]
    np.testing.assert_array_equal(vector(net), recorder.vectors[best - 1])


def test_early_stopping_of_a_stack_waits_for_all_and_gives_each_its_own(backend: Backend) -> None:
    nan = math.nan
    scores = [[5.0, 1.0, nan], [4.0, 2.0, nan], [6.0, 3.0, nan], [7.0, 0.5, nan], [7.0, 9.0, nan], [7.0, 9.0, nan]]
    stopping, recorder = mlpx.EarlyStopping("loss", 2), Recorder()
    net, history = fitted([recorder, Scores(scores), stopping], members=3, backend=backend.name)
    assert history.epochs == stopping.stopped_epoch == 6
    assert stopping.best_epoch == [2, 4, 0]
    assert stopping.best_score[:2] == [4.0, 0.5]  # type: ignore[index]
    for member, epoch in enumerate([2, 4, 6]):
        np.testing.assert_array_equal(vector(net)[member], recorder.vectors[epoch - 1][member])


def test_members_that_left_keep_nobody_waiting() -> None:
    # the third gets better until it leaves, after epoch 4; the others have waited for five epochs after epoch 6
    stopping = mlpx.EarlyStopping("loss", 5)
    _, history = fitted([Scores([[1.0, 1.0, 9.0 - i] for i in range(40)]), stopping], members=3, **LEAVING)
    assert (history.stopped, history.epochs, stopping.best_epoch) == ("callback", 6, [1, 1, 4])


def test_early_stopping_says_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match=r"`monitor` must be a column of the history: 'loss', 'learning_rate'; got 'v"):
        fitted(mlpx.EarlyStopping("validation_loss"))
    with pytest.raises(ValueError, match=r"`mode` must be \"min\" or \"max\" for `monitor='learning_rate'`, whose"):
        fitted(mlpx.EarlyStopping("learning_rate"))
    with pytest.raises(ValueError, match=r"`mode` must be one of 'auto', 'max', 'min'; got 'less'"):
        mlpx.EarlyStopping(mode="less")
    with pytest.raises(ValueError, match=r"`patience` must be at least 1, got 0"):
        mlpx.EarlyStopping(patience=0)
    with pytest.raises(TypeError, match=r"`monitor` must be the name of a column of the history, got 3"):
        mlpx.EarlyStopping(3)  # type: ignore[arg-type]


# Files with a row an epoch.


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_holds_the_history(tmp_path: Path, backend: Backend) -> None:
    path = tmp_path / "a.csv"
    path.write_text("what was there\n")
    _, history = fitted(mlpx.CSVLogger(path), backend=backend.name, validation=HELD_OUT, metrics="accuracy")
    rows = table(path)
    assert list(rows[0]) == ["epoch", *history]
    assert {name: [float(row[name]) for row in rows] for name in history} == {k: list(v) for k, v in history.items()}
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]


def test_each_member_has_its_columns_and_those_that_left_have_nan(tmp_path: Path) -> None:
    paths = tmp_path / "a.csv", tmp_path / "a.jsonl"
    _, history = fitted(
        [mlpx.CSVLogger(paths[0]), mlpx.JSONLogger(paths[1])],
        members=2,
        **LEAVING,
    )
    rows, lines = table(paths[0]), [json.loads(line) for line in paths[1].read_text().splitlines()]
    assert list(rows[0])[:3] == ["epoch", "loss[0]", "loss[1]"]
    assert history.epochs == len(rows) == len(lines)
    left = [sum(row["loss[0]"] != "nan" for row in rows), sum(row["loss[1]"] != "nan" for row in rows)]
    assert max(left) == history.epochs > min(left)
    assert [list(map(float, (row["loss[0]"], row["loss[1]"]))) for row in rows[: min(left)]] == history["loss"][
        : min(left)
    ]
    assert [None in line["loss"] for line in lines] == [False] * min(left) + [True] * (max(left) - min(left))


def test_json_lines_hold_the_history(tmp_path: Path, backend: Backend) -> None:
    path = tmp_path / "a.jsonl"
    _, history = fitted(mlpx.JSONLogger(path), backend=backend.name)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"epoch": i + 1, **{k: v[i] for k, v in history.items()}} for i in range(6)]


def test_a_row_is_in_the_file_as_soon_as_its_epoch_is_over(tmp_path: Path) -> None:
    path, seen = tmp_path / "a.csv", []
    fitted([mlpx.CSVLogger(path), lambda run: seen.append(len(table(path)))])
    assert seen == [1, 2, 3, 4, 5, 6]


def test_rows_are_appended_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for _ in range(2):
        fitted(mlpx.CSVLogger(path, append=True), epochs=2)
    assert [row["epoch"] for row in table(path)] == ["1", "2", "1", "2"]
    with pytest.raises(ValueError, match=r"`path` must name a file with the columns epoch, loss, accuracy, learning_r"):
        fitted(mlpx.CSVLogger(path, append=True), metrics="accuracy")
    assert len(table(path)) == 4
    lines = tmp_path / "a.jsonl"
    for _ in range(2):
        fitted(mlpx.JSONLogger(lines, append=True), epochs=2)
    assert len(lines.read_text().splitlines()) == 4


@pytest.mark.parametrize("kind", [mlpx.CSVLogger, mlpx.JSONLogger])
def test_a_place_that_cannot_be_written_to_is_refused_before_training(tmp_path: Path, kind: Any) -> None:
    recorder = Recorder()
    with pytest.raises(FileNotFoundError, match="missing"):
        fitted([kind(tmp_path / "missing" / "a.csv"), recorder])
    assert not getattr(recorder, "vectors", None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_is_an_error_that_names_the_file_and_keeps_the_weights() -> None:
    net = mlpx.MLP([3, 8, 1], output="sigmoid", seed=3)
    initial, logger = vector(net), mlpx.CSVLogger("/dev/full")
    logger.begin = lambda run: setattr(logger, "_file", open("/dev/full", "a"))  # type: ignore[method-assign]  # noqa: SIM115
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        net.fit(*TRAIN, epochs=6, callbacks=logger, progress=False)
    assert net.epochs_seen == [1]
    assert not np.array_equal(vector(net), initial)


# TensorBoard.


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves of a folder as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder))
    reader.Reload()
    return {
        tag: [(e.step, float(np.float32(e.value))) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]
    }


def curve(values: list[float]) -> list[tuple[int, float]]:
    return [(i + 1, float(np.float32(value))) for i, value in enumerate(values)]


def test_tensorboard_reads_the_history(tmp_path: Path, backend: Backend) -> None:
    pytest.importorskip("tensorboard")
    log = mlpx.TensorBoard(tmp_path / "new" / "run", histograms=3)
    _, history = fitted(log, validation=HELD_OUT, metrics="accuracy", backend=backend.name)
    train, held_out = scalars(log.folder / "train"), scalars(log.folder / "validation")
    assert train == {name: curve(history[name]) for name in ("loss", "accuracy", "learning_rate")}
    assert held_out == {name: curve(history[f"validation_{name}"]) for name in ("loss", "accuracy")}


def test_tensorboard_reads_the_histograms(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    net, _ = fitted(mlpx.TensorBoard(tmp_path, histograms=3))
    reader = EventAccumulator(str(tmp_path / "train"), size_guidance={"histograms": 0})
    reader.Reload()
    assert reader.Tags()["histograms"] == ["parameters/0.theta", "parameters/1.theta"]
    (early, late), block = reader.Histograms("parameters/0.theta"), mlpx.to_numpy(net.parameters["0.theta"])
    assert (early.step, late.step) == (3, 6)
    found = late.histogram_value
    assert found.num == sum(found.bucket) == block.size
    np.testing.assert_allclose([found.min, found.max], [block.min(), block.max()], rtol=1e-6)
    np.testing.assert_allclose([found.sum, found.sum_squares], [block.sum(), (block**2).sum()], rtol=1e-5)
    below = [int((block <= limit).sum()) for limit in found.bucket_limit]
    assert np.abs(np.cumsum(found.bucket) - below).max() <= 1  # a number on an edge belongs to the next


def test_each_member_has_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    _, history = fitted(mlpx.TensorBoard(tmp_path, histograms=1), members=2, **LEAVING)
    curves = [scalars(tmp_path / f"member{member}" / "train")["loss"] for member in range(2)]
    for member in range(2):
        own = [row[member] for row in history["loss"] if not math.isnan(row[member])]
        assert curves[member] == curve(own)
    assert len(curves[0]) != len(curves[1])


def test_without_tensorboard_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("tensorboard.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r'needs tensorboard, .*install it with: pip install "mlpx\[tensorboard\]"'):
        mlpx.TensorBoard("a")


def test_tensorflow_is_not_imported() -> None:
    pytest.importorskip("tensorboard")
    code = """
import sys
sys.modules["tensorflow"] = None  # any attempt fails
import mlpx, tempfile
with tempfile.TemporaryDirectory() as folder:
    mlpx.MLP([1, 1], output="linear").fit([[0.0]], [0.0], epochs=1, callbacks=mlpx.TensorBoard(folder, histograms=1))
print("written")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout == "written\n", done.stderr


# Lines of progress.


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
        self.now = 1000.0
        monkeypatch.setattr(f"{module}.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, "mlpx.callbacks.progress")


def test_lines_of_progress(clock: Clock) -> None:
    log = io.StringIO()

    class Slow(mlpx.Callback):
        def batch(self, run: Any) -> None:
            clock.now += 10

    _, history = fitted([Slow(), mlpx.Progress(50, columns=["loss"], stream=log)], epochs=4)
    stamps, lines = zip(*(line.split("  ", 1) for line in log.getvalue().splitlines()), strict=True)
    assert all(datetime.fromisoformat(stamp) for stamp in stamps)
    loss = [f"loss {value:.4g}" for value in history["loss"]]
    # three steps an epoch of ten seconds each: after the first epoch, and then after fifty seconds and more
    assert lines == (
        f"epoch 1/4, 25.0 %, 0:00:30 gone, 0:01:30 left, {loss[0]}",
        f"epoch 3/4, 66.7 %, 0:01:20 gone, 0:00:40 left, {loss[1]}",
        f"ended after epoch 4 (epochs), 0:02:00 gone, {loss[3]}",
    )


def test_progress_of_a_stack_shows_means_and_says_why_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    _, history = fitted([mlpx.Progress(0), lambda run: run.stop() if run.epoch == 2 else None], members=2)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "ended after epoch 2 (callback), 0:00:00 gone, " in last
    assert f"loss {np.mean(history['loss'][-1]):.4g}, learning_rate 0.05" in last


def test_progress_refuses_a_bare_name() -> None:
    with pytest.raises(TypeError, match=r"`columns` must be a sequence of names, got 'loss'; write \['loss'\]"):
        mlpx.Progress(columns="loss")
    with pytest.raises(ValueError, match=r"`every_seconds` must be at least 0"):
        mlpx.Progress(-1)


# A limit of time.


def test_a_time_limit_ends_training_after_a_batch(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    clock = Clock(monkeypatch, "mlpx.callbacks.time_limit")

    class Slow(mlpx.Callback):
        def batch(self, run: Any) -> None:
            clock.now += 60

    limit, steps = mlpx.TimeLimit(hours=0.05, minutes=1, seconds=60, every=1), Steps()
    net, history = fitted([Slow(), steps, limit], backend=backend.name)
    assert limit.reached
    assert (history.stopped, history.epochs, net.steps_seen) == ("callback", 1, [5])
    np.testing.assert_array_equal(vector(net), mlpx.to_numpy(steps.kept[4]))
    _, history = fitted([limit], backend=backend.name)
    assert not limit.reached
    assert history.stopped == "epochs"


@pytest.mark.parametrize("zone", [None, UTC])
def test_a_time_of_day_ends_training(zone: Any) -> None:
    over, later = datetime.now(zone) - timedelta(seconds=1), datetime.now(zone) + timedelta(days=1)
    _, history = fitted(mlpx.TimeLimit(until=over))
    assert (history.stopped, history.epochs) == ("callback", 0)
    _, history = fitted(mlpx.TimeLimit(until=later))
    assert history.stopped == "epochs"


def test_a_time_limit_must_say_when() -> None:
    with pytest.raises(ValueError, match=r"`seconds`, `minutes`, `hours` or `until` must say when training ends"):
        mlpx.TimeLimit()
    with pytest.raises(ValueError, match=r"`minutes` must be at least 0, got -1"):
        mlpx.TimeLimit(minutes=-1)
    with pytest.raises(TypeError, match=r"`until` must be a datetime\.datetime, got '18:00'"):
        mlpx.TimeLimit(until="18:00")  # type: ignore[arg-type]


# Averaged weights.


def by_hand(kept: list[Any], decay: float | None, *, debias: bool = True) -> Any:
    """Return the average of the weights of steps by the formula of the documentation, with the backend's own arrays."""
    average = kept[0]
    for t in range(2, len(kept) + 1):
        share = 1 / t if decay is None else (1 - decay) / (1 - decay**t if debias else 1)
        average = average + share * (kept[t - 1] - average)
    return average


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({}, 0),
        ({"decay": 0.9}, 0),
        ({"decay": 0.9, "debias": False}, 0),
        ({"decay": None}, 0),
        ({"decay": None, "start_epoch": 2}, 2),
    ],
)
def test_averaged_weights_are_those_of_a_loop_by_hand(options: dict[str, Any], first: int, backend: Backend) -> None:
    steps, average = Steps(), mlpx.WeightAverage(**options)
    net, _ = fitted([steps, average], backend=backend.name)
    kept = steps.kept[3 * first :]
    assert average.steps == len(kept) == 18 - 3 * first
    with backend.context():
        expected = by_hand(kept, average.decay, debias=average.debias)
    np.testing.assert_array_equal(vector(net), mlpx.to_numpy(expected))
    # the mean with the shares that the documentation names
    t = np.arange(len(kept))
    shares = np.ones(len(kept)) if average.decay is None else average.decay ** (len(kept) - 1 - t)
    if not average.debias and average.decay is not None:
        shares[1:] *= 1 - average.decay
    mean = np.average([mlpx.to_numpy(one) for one in kept], axis=0, weights=shares)
    np.testing.assert_allclose(vector(net), mean, rtol=1e-5, atol=1e-6)


def test_averaging_leaves_the_optimizer_alone() -> None:
    plain, averaged = Steps(), Steps()
    fitted(plain)
    fitted([averaged, mlpx.WeightAverage(0.9)])
    for one, other in zip(plain.kept, averaged.kept, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_so_many_steps_are_averaged() -> None:
    steps, average = Steps(4), mlpx.WeightAverage(0.5, every=4)
    net, _ = fitted([steps, average])
    assert average.steps == 4  # of 18
    np.testing.assert_array_equal(vector(net), by_hand(steps.kept, 0.5))


def test_the_average_is_validated_and_the_best_one_stays() -> None:
    recorder = Recorder()
    net, history = fitted([mlpx.WeightAverage(0.8), recorder], validation=HELD_OUT, epochs=100)
    assert 0 < history.best_epoch < 100
    np.testing.assert_array_equal(vector(net), recorder.vectors[history.best_epoch - 1])
    assert net.evaluate(*HELD_OUT)["loss"] == pytest.approx(history.best_score, rel=1e-6)


def test_early_stopping_keeps_the_average() -> None:
    recorder, stopping = Recorder(), mlpx.EarlyStopping("loss", 3, mode="max")
    net, _ = fitted([mlpx.WeightAverage(0.8), recorder, stopping])
    np.testing.assert_array_equal(vector(net), recorder.vectors[stopping.best_epoch - 1])


def test_members_of_a_stack_have_their_own_averages(backend: Backend) -> None:
    net, history = fitted(mlpx.WeightAverage(0.9), members=3, backend=backend.name, **LEAVING)
    lengths = [sum(not math.isnan(row[s]) for row in history["loss"]) for s in range(3)]
    assert len(set(lengths)) > 1
    stack = mlpx.MLP([3, 8, 1], output="sigmoid", seed=3, members=3, backend=backend.name)
    for s in range(3):
        alone = stack.member(s)
        found = alone.fit(*TRAIN, batch_size=16, callbacks=mlpx.WeightAverage(0.9), progress=False, **LEAVING)
        assert found.epochs == lengths[s]
        np.testing.assert_allclose(vector(net)[s], vector(alone), rtol=1e-4, atol=1e-5)


def test_a_decay_is_between_0_and_1() -> None:
    with pytest.raises(ValueError, match=r"`decay` must be above 0 and below 1, got 1"):
        mlpx.WeightAverage(1.0)
    with pytest.raises(ValueError, match=r"`every` must be at least 1"):
        mlpx.WeightAverage(every=0)


# Going on after an interruption.


class Interrupt(mlpx.Callback):
    """Take a snapshot after some steps, let training go on for a while, and break it off."""

    last = True

    def __init__(self, step: int, more: int) -> None:
        self.step, self.more = step, more
        self.snapshot: Any = None

    def start(self, run: Any) -> None:
        assert run.asked  # settled before the first epoch

    def batch(self, run: Any) -> None:
        if run.step == self.step:
            self.snapshot = run.snapshot()
        if run.step == self.step + self.more:
            raise KeyboardInterrupt


class Resume(mlpx.Callback):
    """Go on from a snapshot."""

    def __init__(self, snapshot: Any) -> None:
        self.snapshot = snapshot

    def start(self, run: Any) -> None:
        run.resume(self.snapshot)


INTERRUPTED: dict[str, Callable[[Path], mlpx.Callback]] = {
    "early stopping": lambda _: mlpx.EarlyStopping("validation_accuracy", patience=4),
    "averaged": lambda _: mlpx.WeightAverage(0.9, start_epoch=1),
    "csv": lambda folder: mlpx.CSVLogger(folder / "rows"),
    "csv, appended": lambda folder: mlpx.CSVLogger(folder / "rows", append=True),
    "json": lambda folder: mlpx.JSONLogger(folder / "rows"),
    "progress": lambda _: mlpx.Progress(0, stream=io.StringIO()),
    "time limit": lambda _: mlpx.TimeLimit(hours=1),
}


@pytest.mark.parametrize("step", [2, 7, 12])
@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("kind", INTERRUPTED)
def test_a_resumed_run_ends_as_one_that_was_not_interrupted(
    kind: str, members: int | None, step: int, tmp_path: Path
) -> None:
    options = {"members": members, "validation": HELD_OUT, "metrics": "accuracy", "epochs": 12}
    folders = [tmp_path / "whole", tmp_path / "broken"]
    for folder in folders:
        folder.mkdir()
        if kind.endswith("appended"):
            fitted(INTERRUPTED[kind](folder), **options | {"epochs": 2})
    whole = INTERRUPTED[kind](folders[0])
    net, history = fitted(whole, **options)
    interrupt = Interrupt(step, 5)
    _, broken = fitted([INTERRUPTED[kind](folders[1]), interrupt], **options)
    assert broken.stopped == "interrupted"
    resumed = INTERRUPTED[kind](folders[1])
    again, found = fitted([resumed, Resume(interrupt.snapshot)], **options)
    np.testing.assert_array_equal(vector(again), vector(net))
    np.testing.assert_equal(found.to_dict(), history.to_dict())
    if (folders[0] / "rows").exists():
        assert (folders[1] / "rows").read_text() == (folders[0] / "rows").read_text()
    for name in ("best_epoch", "best_score", "stopped_epoch", "steps"):
        assert getattr(resumed, name, None) == getattr(whole, name, None)


def test_tensorboard_forgets_what_was_written_after_the_snapshot(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    options = {"validation": HELD_OUT, "epochs": 8}
    interrupt = Interrupt(7, 8)  # the snapshot is within the third epoch, the end within the fifth
    fitted([mlpx.TensorBoard(tmp_path), interrupt], **options)
    assert len(scalars(tmp_path / "train")["loss"]) == 4
    _, history = fitted([mlpx.TensorBoard(tmp_path), Resume(interrupt.snapshot)], **options)
    assert scalars(tmp_path / "train")["loss"] == curve(history["loss"])
    assert scalars(tmp_path / "validation")["loss"] == curve(history["validation_loss"])
    assert len(list((tmp_path / "train").iterdir())) == 2


KILLED = """
import os, signal, sys
import numpy as np
import mlpx

folder, kills = sys.argv[1], list(map(int, sys.argv[2:]))

class Kill(mlpx.Callback):
    def batch(self, run):
        if run.step in kills:
            os.kill(os.getpid(), signal.SIGKILL)

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3))
y = (X[:, 0] > 0).astype(int)
net = mlpx.MLP([3, 8, 1], output="sigmoid", seed=0, members=2)
net.fit(X, y, validation=0.3, epochs=8, batch_size=16, metrics="accuracy", progress=False, callbacks=[
    mlpx.WeightAverage(0.9, start_epoch=1),
    mlpx.EarlyStopping("validation_accuracy", 4),
    mlpx.CSVLogger(folder + "/rows.csv"),
    mlpx.JSONLogger(folder + "/rows.jsonl"),
    mlpx.Checkpoint(folder + "/checkpoints", steps=4, resume=True),
    Kill(),
])
net.save(folder + "/net.mlpx")
"""


def test_a_run_that_is_killed_and_resumed_leaves_the_same_behind(tmp_path: Path) -> None:
    def run(folder: Path, *kills: int) -> int:
        folder.mkdir(exist_ok=True)
        done = subprocess.run([sys.executable, "-c", KILLED, str(folder), *map(str, kills)], timeout=100)
        return done.returncode

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(whole) == 0
    assert [run(killed, step) for step in (6, 13)] == [-signal.SIGKILL] * 2
    assert run(killed) == 0
    for name in ("rows.csv", "rows.jsonl"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    found, expected = mlpx.load(killed / "net.mlpx"), mlpx.load(whole / "net.mlpx")
    np.testing.assert_array_equal(found.vector, expected.vector)
    assert found.steps_seen == expected.steps_seen


def test_the_best_weights_of_a_run_that_has_ended_are_there_for_a_longer_one(tmp_path: Path) -> None:
    worse = [1.0, *range(2, 10)]  # the best epoch is the first

    def train(epochs: int, folder: Path, again: list[mlpx.Callback]) -> Any:
        callbacks = [Scores(worse), mlpx.EarlyStopping("loss", 50), mlpx.Checkpoint(folder, epochs=1, resume=True)]
        return fitted([*callbacks, *again], epochs=epochs)

    recorder = Recorder()
    train(2, tmp_path / "a", [recorder])
    net, history = train(4, tmp_path / "a", [])
    assert history.epochs == 4
    np.testing.assert_array_equal(vector(net), recorder.vectors[0])


# Errors.


class Fails(mlpx.Callback):
    """Raise in one of the calls, the second time where there are several."""

    def __init__(self, where: str) -> None:
        def fail(run: Any) -> None:
            self.calls += 1
            if self.calls == 2 or where in ("start", "end"):
                msg = "out of order"
                raise RuntimeError(msg)

        self.calls = 0
        if where == "batch":
            self.fail = fail
        else:
            setattr(self, where, fail)

    def batch(self, run: Any) -> None:
        getattr(self, "fail", lambda run: None)(run)


@pytest.mark.parametrize("where", ["start", "begin", "batch", "epoch", "end"])
def test_an_error_in_a_callback_loses_no_weights(where: str, backend: Backend) -> None:
    steps, ended = Steps(), []

    class Ends(mlpx.Callback):
        def end(self, run: Any) -> None:
            ended.append(vector(run.net))

    net = mlpx.MLP([3, 8, 1], output="sigmoid", seed=3, backend=backend.name)
    initial = vector(net)
    with pytest.raises(RuntimeError, match="out of order"):
        net.fit(
            *TRAIN, epochs=4, batch_size=16, optimizer=ADAM, progress=False, callbacks=[steps, Fails(where), Ends()]
        )
    made = {"start": 0, "begin": 3, "batch": 2, "epoch": 6, "end": 12}[where]
    expected = mlpx.to_numpy(steps.kept[made - 1]) if made else initial
    np.testing.assert_array_equal(vector(net), expected)
    assert net.steps_seen == [made]
    assert len(ended) == 1
    np.testing.assert_array_equal(ended[0], expected)


@pytest.mark.parametrize("where", ["start", "begin", "batch", "epoch", "end"])
def test_after_an_error_the_best_and_the_averaged_weights_stay(where: str, tmp_path: Path) -> None:
    recorder, stopping = Recorder(), mlpx.EarlyStopping("loss", 50, mode="max")
    logger, average = mlpx.CSVLogger(tmp_path / "a.csv"), mlpx.WeightAverage(0.9)
    net = mlpx.MLP([3, 8, 1], output="sigmoid", seed=3)
    initial = vector(net)
    with pytest.raises(RuntimeError, match="out of order"):
        net.fit(
            *TRAIN,
            epochs=4,
            batch_size=16,
            optimizer=ADAM,
            progress=False,
            callbacks=[average, recorder, stopping, logger, Fails(where)],
        )
    epochs = {"start": 0, "begin": 1, "batch": 0, "epoch": 2, "end": 4}[where]
    assert len(recorder.vectors) == epochs == stopping.best_epoch or stopping.best_epoch == 1
    if epochs:
        np.testing.assert_array_equal(vector(net), recorder.vectors[stopping.best_epoch - 1])
        assert len(table(tmp_path / "a.csv")) == epochs
    else:
        assert np.array_equal(vector(net), initial) == (where == "start")


# In estimators.


@pytest.fixture
def everything(tmp_path: Path) -> list[mlpx.Callback]:
    found = [
        mlpx.EarlyStopping("loss", 3, min_delta=1e-4),
        mlpx.CSVLogger(tmp_path / "a.csv"),
        mlpx.JSONLogger(tmp_path / "a.jsonl"),
        mlpx.Progress(0, stream=io.StringIO()),
        mlpx.TimeLimit(hours=1),
        mlpx.WeightAverage(0.9),
    ]
    if "tensorboard" in sys.modules:
        found.append(mlpx.TensorBoard(tmp_path / "board"))
    return found


def test_estimators_take_callbacks(everything: list[mlpx.Callback], tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from sklearn.base import clone

    from mlpx.sklearn import MLPClassifier

    model = MLPClassifier(hidden_layer_sizes=(8,), max_iter=5, random_state=0, callbacks=everything)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, Y)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        plain = MLPClassifier(hidden_layer_sizes=(8,), max_iter=5, random_state=0).fit(X, Y)
    assert [float(row["loss"]) for row in table(tmp_path / "a.csv")] == model.loss_curve_ == plain.loss_curve_
    assert not np.array_equal(model.coefs_[0], plain.coefs_[0])  # they are averaged
    copied = clone(model)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        copied.fit(X, Y)
    np.testing.assert_array_equal(copied.coefs_[0], model.coefs_[0])


def test_early_stopping_gives_an_estimator_its_best_weights() -> None:
    pytest.importorskip("sklearn")
    from mlpx.sklearn import MLPRegressor

    stopping, recorder = mlpx.EarlyStopping("loss", 2, mode="max"), Recorder()
    model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, random_state=0, callbacks=[recorder, stopping]).fit(
        X, X[:, 0]
    )
    assert model.n_iter_ == stopping.stopped_epoch == 3
    assert stopping.best_epoch == 1
    np.testing.assert_array_equal(model.coefs_[0].ravel(), recorder.vectors[0][: model.coefs_[0].size])


def test_weights_of_an_earlier_training_do_not_come_back() -> None:
    stopping = mlpx.EarlyStopping("loss")
    fitted(stopping)
    net = mlpx.MLP([3, 8, 1], output="sigmoid", seed=8)
    before = vector(net)
    with pytest.raises(RuntimeError, match="out of order"):
        net.fit(*TRAIN, callbacks=[Fails("start"), stopping], progress=False)
    np.testing.assert_array_equal(vector(net), before)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_all_have_their_end_whatever_is_raised(kind: type[BaseException]) -> None:
    ended = []

    class Raises(mlpx.Callback):
        def end(self, run: Any) -> None:
            ended.append(self)
            raise kind

    with pytest.raises(kind):
        fitted([Raises(), Raises()])
    assert len(ended) == 2


def test_what_ended_training_is_raised_before_what_failed_at_the_end() -> None:
    class EndFails(mlpx.Callback):
        def end(self, run: Any) -> None:
            raise OSError("and the disk is full")

    with pytest.raises(RuntimeError, match="out of order") as caught:
        fitted([Fails("epoch"), EndFails()])
    assert caught.value.__notes__ == ["A callback failed at the end too, OSError: and the disk is full"]


@pytest.mark.parametrize("every", [0, -2, 1.5, "often"])
def test_every_is_a_number_of_steps(every: Any) -> None:
    callback = Steps()
    callback.every = every
    with pytest.raises((TypeError, ValueError), match=r"`callbacks\[0\]\.every`"):
        fitted(callback)


def test_progress_where_the_source_does_not_know_its_rows() -> None:
    log = io.StringIO()
    net = mlpx.MLP([3, 8, 1], output="sigmoid")
    net.fit(mlpx.sources.Batches([TRAIN]), epochs=2, progress=False, callbacks=mlpx.Progress(0, stream=log))
    assert "epoch 1/2" in log.getvalue()


def test_a_metric_that_is_not_asked_for_is_named() -> None:
    net = mlpx.MLP([1, 2, 2], seed=1)
    with pytest.raises(ValueError, match=r"needs `metrics=\"accuracy\"` in `fit`"):
        net.fit([[0.0], [1.0]], [0, 1], epochs=1, callbacks=mlpx.EarlyStopping("validation_accuracy"))


def test_an_average_that_never_began_is_told() -> None:
    net = mlpx.MLP([1, 2, 1], output="linear", seed=1)
    with pytest.warns(UserWarning, match="nothing was averaged: `start_epoch` is 5"):
        net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, callbacks=mlpx.WeightAverage(None, start_epoch=5))


def test_a_log_in_a_missing_folder_is_refused() -> None:
    net = mlpx.MLP([1, 2, 1], output="linear", seed=1)
    with pytest.raises(FileNotFoundError, match="'missing' is not; make it first"):
        net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=1, callbacks=mlpx.CSVLogger("missing/a.csv"))


def test_the_bar_is_drawn_below_what_a_callback_writes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Greeting(mlpx.Callback):
        def start(self, run: Any) -> None:
            sys.stderr.write("greeting\n")

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    net = mlpx.MLP([1, 2, 1], output="linear", seed=1)
    net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=2, callbacks=Greeting(), progress=True)
    written = capsys.readouterr().err
    assert written.startswith("greeting\n")
    assert "epoch 2/2" in written
