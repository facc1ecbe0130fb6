"""Checkpoints: what is written down, what a resumed run does with it, and what becomes of it when the disk fails."""

import contextlib
import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlpx
from kill import killed_runs_end_alike
from mlpx import watching
from mlpx.callbacks import checkpoint
from mlpx.exceptions import ModelFileError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(300, 6)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


BITWISE = ["numpy", "torch", "array_api_strict"]
"""Backends on which a resumed run ends with the same bits."""


class BrokenError(RuntimeError):
    pass


class BreakAt(mlpx.Callback):
    """Break training off at a batch, as often as it is resumed."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def batch(self, run: Any) -> None:
        self.left -= 1
        if not self.left:
            raise BrokenError


def fit(folder: Path | None, *more: mlpx.Callback, net: dict[str, Any] | None = None, **options: Any):
    one = mlpx.MLP([6, 10, 2], **{"dropout": 0.25, "seed": 1, **(net or {})})
    saved = [] if folder is None else [mlpx.Checkpoint(folder, steps=3, resume=True)]
    settings = {"epochs": 5, "batch_size": 32, "progress": False, **options}
    return one, one.fit(X, Y, callbacks=[*saved, *more], **settings)


def bits(net: mlpx.Network) -> bytes:
    return mlpx.to_numpy(net.vector).tobytes()


RUNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sgd with momentum, no shuffle": {"optimizer": mlpx.SGD(0.05, momentum=0.9), "shuffle": False},
    "warm-up and cosine": {"optimizer": mlpx.AdamW(mlpx.schedules.WarmupCosine(0.01, warmup_steps=8))},
    "plateau": {"optimizer": mlpx.Adam(mlpx.schedules.OnPlateau(0.05, patience=1)), "validation": 0.2, "epochs": 12},
    "patience": {"validation": 0.3, "patience": 2, "epochs": 40, "optimizer": mlpx.Adam(0.03)},
    "stack": {"net": {"members": 3}, "validation": 0.3, "patience": 2, "epochs": 30, "optimizer": mlpx.Adam(0.03)},
    "half precision": {"net": {"dtype": "float16"}},
    "sample weights": {"sample_weight": RNG.uniform(0, 1, size=300).round(1)},
    "clipped": {"clip_norm": 0.1, "metrics": "accuracy"},
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("at", [2, 4, 10, 27])
def test_a_run_that_was_broken_off_ends_as_one_that_was_not(tmp_path: Path, name: str, at: int) -> None:
    alone, history = fit(None, **RUNS[name])
    with pytest.raises(BrokenError):
        fit(tmp_path, BreakAt(at), **RUNS[name])
    resumed, gone_on = fit(tmp_path, **RUNS[name])
    assert bits(resumed) == bits(alone)
    np.testing.assert_equal(gone_on.to_dict(), history.to_dict())
    assert (gone_on.best_epoch, gone_on.stopped) == (history.best_epoch, history.stopped)
    assert (resumed.epochs_seen, resumed.steps_seen) == (alone.epochs_seen, alone.steps_seen)


@pytest.mark.parametrize("at", [2, 20])
def test_on_every_backend(tmp_path: Path, backend: mlpx.Backend, at: int) -> None:
    options = {"net": {"backend": backend, "members": 2}, "validation": 0.2}
    alone, _ = fit(None, **options)
    with pytest.raises(BrokenError):
        fit(tmp_path, BreakAt(at), **options)
    resumed, _ = fit(tmp_path, **options)
    if backend.name in BITWISE:
        assert bits(resumed) == bits(alone)
    else:  # runs of another length are compiled into another loop, which may add in another order
        np.testing.assert_allclose(mlpx.to_numpy(resumed.vector), mlpx.to_numpy(alone.vector), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("name", BITWISE)
def test_killed_at_random_moments(name: str) -> None:
    if name not in {info.name for info in mlpx.available_backends() if info.available}:
        pytest.skip(f"{name} is not installed")
    killed_runs_end_alike(name, kills=20, seed=int.from_bytes(os.urandom(2)), seconds=0.3)


def test_a_run_that_was_complete_is_not_trained_again(tmp_path: Path) -> None:
    options = {"validation": 0.3, "patience": 2, "epochs": 80, "optimizer": mlpx.Adam(0.1)}
    first, before = fit(tmp_path, **options)
    epochs: list[int] = []
    again, history = fit(tmp_path, mlpx.callbacks.FunctionCallback(lambda run: epochs.append(run.epoch)), **options)
    assert bits(again) == bits(first)
    assert epochs == []
    assert history.stopped == before.stopped == "patience"


def test_more_epochs_may_be_asked_for(tmp_path: Path) -> None:
    fit(tmp_path, epochs=2)
    assert bits(fit(tmp_path, epochs=5)[0]) == bits(fit(None, epochs=5)[0])


def test_but_not_where_the_learning_rate_depends_on_them(tmp_path: Path) -> None:
    optimizer = mlpx.Adam(mlpx.schedules.OneCycle(0.01))
    fit(tmp_path, epochs=2, optimizer=optimizer)
    with pytest.raises(ModelFileError, match="epochs was 2 and is 3"):
        fit(tmp_path, epochs=3, optimizer=optimizer)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch_size": 16}, "batch_size was 32 and is 16"),
        ({"net": {"seed": 2}}, r"seeds\[0\]\[0\] was 1 and is 2"),
        ({"optimizer": mlpx.SGD(0.1)}, "optimizer.name was"),
        ({"shuffle": False}, "shuffle was true and is false"),
        ({"validation": 0.5}, "rows was 300 and is 150"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    fit(tmp_path, epochs=1)
    with pytest.raises(ModelFileError, match=said):
        fit(tmp_path, **change)


def test_other_data_are_refused(tmp_path: Path) -> None:
    fit(tmp_path)
    net = mlpx.MLP([6, 10, 2], dropout=0.25, seed=1)
    with pytest.raises(ModelFileError, match="the first rows of training are others"):
        net.fit(X + 1, Y, epochs=5, batch_size=32, callbacks=mlpx.Checkpoint(tmp_path, resume=True))


def test_nothing_is_written_over_unless_asked(tmp_path: Path) -> None:
    fit(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="resume=True"):
        mlpx.MLP([6, 10, 2]).fit(X, Y, callbacks=mlpx.Checkpoint(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_only_the_latest_stay(tmp_path: Path) -> None:
    fit(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step-000000000048.checkpoint",
        "step-000000000050.checkpoint",
    ]


def test_a_spoiled_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    with pytest.raises(BrokenError):
        fit(tmp_path, BreakAt(30))
    latest = max(tmp_path.iterdir())
    content = bytearray(latest.read_bytes())
    content[-5] ^= 1
    latest.write_bytes(content)
    with pytest.warns(RuntimeWarning, match="Going on from step-000000000024"):
        resumed, _ = fit(tmp_path)
    assert bits(resumed) == bits(fit(None)[0])


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    (tmp_path / ".0123.part").write_bytes(b"half")
    fit(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_ends_in_an_error_that_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokenError):
        fit(tmp_path, BreakAt(20))
    good = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="step-0000000000") as caught:
            fit(tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == good
    assert bits(fit(tmp_path)[0]) == bits(fit(None)[0])


LIMITED = """
import resource, signal, sys
import numpy as np, mlpx
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
net = mlpx.MLP([4, 30, 2])
try:
    net.fit(np.ones((20, 4)), [0, 1] * 10, epochs=3, callbacks=mlpx.Checkpoint(sys.argv[1], epochs=1), progress=False)
except OSError as error:
    print(error, net.epochs_seen)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of files are Linux's")
def test_a_limit_of_the_system_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert str(tmp_path) in done.stdout
    assert "[1]" in done.stdout  # the epoch that was made stays made
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_folder_that_cannot_be_written_is_refused_at_the_start() -> None:
    net = mlpx.MLP([6, 10, 2])
    before = bits(net)
    with pytest.raises(OSError, match="/proc/mlpx"):
        net.fit(X, Y, callbacks=mlpx.Checkpoint("/proc/mlpx"))
    assert bits(net) == before


def test_a_state_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    net = mlpx.MLP([1, 1], output="linear")
    with pytest.raises(mlpx.DivergenceError):
        net.fit([[1e3]], [1.0], epochs=100, optimizer=mlpx.SGD(10.0), callbacks=mlpx.Checkpoint(tmp_path, steps=1))
    for path in tmp_path.iterdir():
        found = checkpoint.read(path).tensors
        assert all(np.isfinite(found[name]).all() for name in found if name.startswith("state"))


@pytest.mark.parametrize(
    ("tensors", "facts"),
    [({"state.0": np.zeros(3)}, {}), ({}, {"epoch": None}), ({}, {"callbacks": 3})],
)
def test_a_checkpoint_that_does_not_hang_together_is_refused(tmp_path: Path, tensors: Any, facts: Any) -> None:
    fit(tmp_path)
    latest = max(tmp_path.iterdir())
    snapshot = checkpoint.read(latest)
    checkpoint.CHECKPOINT.write(latest, snapshot.facts | facts, snapshot.tensors | tensors)
    with pytest.raises(ModelFileError):
        fit(tmp_path, epochs=9)


def test_by_time_and_by_epoch(tmp_path: Path) -> None:
    by_time, by_epoch = tmp_path / "time", tmp_path / "epoch"
    net = mlpx.MLP([6, 4, 2])
    net.fit(X, Y, epochs=3, callbacks=mlpx.Checkpoint(by_time, seconds=0, keep=100), progress=False)
    net.fit(X, Y, epochs=4, callbacks=mlpx.Checkpoint(by_epoch, epochs=2, keep=100), progress=False)
    assert len(list(by_time.iterdir())) >= 3
    assert [int(path.stem[5:]) for path in sorted(by_epoch.iterdir())] == [6, 12]


def test_the_estimators_refuse_it(tmp_path: Path) -> None:
    sklearn = pytest.importorskip("mlpx.sklearn")
    with pytest.raises(ValueError, match=r"Network\.fit"):
        sklearn.MLPClassifier(callbacks=mlpx.Checkpoint(tmp_path)).fit(X, Y)


@pytest.mark.parametrize("bad", [{"seconds": -1}, {"epochs": 0}, {"steps": 1.5}, {"keep": 0}, {"resume": "yes"}])
def test_arguments_are_checked(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match=f"`{next(iter(bad))}`"):
        mlpx.Checkpoint(tmp_path, **bad)


def memmap(tmp_path: Path) -> np.ndarray:
    rows = np.memmap(tmp_path / "rows.bin", dtype="float32", mode="w+", shape=X.shape)
    rows[:] = X
    return rows


def test_rows_that_stay_in_a_file_when_the_first_run_is_a_short_one(tmp_path: Path) -> None:
    rows = memmap(tmp_path)

    def train(folder: Path, *more: mlpx.Callback) -> bytes:
        net = mlpx.MLP([6, 4, 2])
        saved = [mlpx.Checkpoint(folder, seconds=0, resume=True), mlpx.WeightAverage(every=4)]
        net.fit(rows, Y, epochs=3, batch_size=32, callbacks=[*saved, *more], progress=False)
        return bits(net)

    with pytest.raises(BrokenError):
        train(tmp_path / "a", BreakAt(3))
    assert train(tmp_path / "a") == train(tmp_path / "b")


def test_validation_on_a_source(tmp_path: Path) -> None:
    held_out = mlpx.sources.Mapped(X[:50], Y[:50])
    with pytest.raises(BrokenError):
        fit(tmp_path, BreakAt(14), validation=held_out)
    assert bits(fit(tmp_path, validation=held_out)[0]) == bits(fit(None, validation=held_out)[0])


def test_the_loss_scale_of_a_complete_run(tmp_path: Path) -> None:
    _, before = fit(tmp_path, net={"dtype": "float16"})
    _, again = fit(tmp_path, net={"dtype": "float16"})
    assert before.loss_scale is not None
    assert (again.loss_scale, again.skipped_steps) == (before.loss_scale, before.skipped_steps)
    assert again.seconds >= before.seconds > 0


def test_rows_that_are_appended_to_a_new_file_are_not_doubled(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with pytest.raises(BrokenError):
        fit(tmp_path / "a", BreakAt(25), mlpx.JSONLogger(log, append=True))
    fit(tmp_path / "a", mlpx.JSONLogger(log, append=True))
    assert [line[:11] for line in log.read_text().splitlines()] == [f'{{"epoch": {i}' for i in range(1, 6)]


class StopAfter(mlpx.Callback):
    """End training after an epoch, to go on later."""

    def __init__(self, epoch: int) -> None:
        self.at = epoch

    def epoch(self, run: Any) -> None:
        if run.epoch == self.at:
            run.stop(again=True)


def test_a_pause_where_patience_ends(tmp_path: Path) -> None:
    options = {"net": {"members": 3}, "validation": 0.3, "patience": 1, "epochs": 30, "optimizer": mlpx.Adam(0.03)}
    alone, history = fit(None, **options)
    for epoch in range(1, history.epochs + 1):
        fit(tmp_path / str(epoch), StopAfter(epoch), **options)
        resumed, gone_on = fit(tmp_path / str(epoch), **options)
        assert bits(resumed) == bits(alone)
        np.testing.assert_equal(gone_on.to_dict(), history.to_dict())


class PauseAt(mlpx.Callback):
    """End training at a step, to go on later."""

    def __init__(self, step: int) -> None:
        self.at = step

    def batch(self, run: Any) -> None:
        if run.step == self.at:
            run.stop(again=True)


@pytest.mark.parametrize("at", [2, 5, 9])
def test_a_member_that_diverges_keeps_the_same_weights(tmp_path: Path, at: int) -> None:
    options = {"net": {"members": 2, "dropout": 0.0}, "optimizer": mlpx.SGD((0.01, 1e12)), "metrics": "accuracy"}
    with pytest.warns(RuntimeWarning, match="member 1 diverged"):
        alone, _ = fit(None, **options)
    for broken in (PauseAt(at), BreakAt(at)):
        folder = tmp_path / type(broken).__name__
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            with contextlib.suppress(BrokenError):
                fit(folder, broken, **options)
            resumed, _ = fit(folder, **options)
        assert bits(resumed) == bits(alone)
        assert (resumed.epochs_seen, resumed.steps_seen) == (alone.epochs_seen, alone.steps_seen)


def test_marks_come_at_the_same_steps_wherever_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "WATCHED", 4)
    target = X[:, :1] * 1e3

    def train(folder: Path, *more: mlpx.Callback, **saved: Any) -> tuple[bytes, Any]:
        one = mlpx.MLP([6, 1], output="linear", seed=1)
        checkpoint = mlpx.Checkpoint(folder, resume=True, **saved)
        with pytest.raises((mlpx.DivergenceError, BrokenError)) as caught:
            one.fit(X, target, epochs=3, batch_size=3, optimizer=mlpx.SGD(30.0), progress=False,
                    callbacks=[checkpoint, *more])  # fmt: skip
        return bits(one), caught.value

    alone, error = train(tmp_path / "a", epochs=1)
    assert error.step > 4
    for at in (1, 5, 7):
        train(tmp_path / str(at), BreakAt(at), seconds=0)
        again, other = train(tmp_path / str(at), steps=1)
        assert again == alone
        assert (other.epoch, other.step, other.rows) == (error.epoch, error.step, error.rows)


def test_a_refused_resume_changes_nothing(tmp_path: Path) -> None:
    callbacks = (mlpx.WeightAverage(0.9), mlpx.EarlyStopping("loss"))
    fit(tmp_path, *callbacks)
    for more, message in (((mlpx.EarlyStopping("loss"),), "WeightAverage"), ((), "WeightAverage, EarlyStopping")):
        net = mlpx.MLP([6, 10, 2], dropout=0.25, seed=1)
        before = bits(net)
        with pytest.raises(ModelFileError, match=message):
            net.fit(X, Y, epochs=5, batch_size=32, callbacks=[mlpx.Checkpoint(tmp_path, resume=True), *more],
                    progress=False)  # fmt: skip
        assert (bits(net), net.epochs_seen, net.steps_seen) == (before, [0], [0])


def test_fewer_epochs_than_were_made_are_refused(tmp_path: Path) -> None:
    fit(tmp_path, epochs=3)
    with pytest.raises(ModelFileError, match="has made 3 epochs, and `epochs` asks for 2"):
        fit(tmp_path, epochs=2)


@pytest.mark.parametrize("name", ["present.0", "state.1", "scaling.0", "history.0", "callback.0.best"])
@pytest.mark.parametrize("change", [lambda a: a[:0], lambda a: np.concatenate([a, a]), lambda a: a.astype("int8")])
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, name: str, change: Any) -> None:
    options = {"net": {"members": 2, "dtype": "float16"}}
    fit(tmp_path, mlpx.EarlyStopping("loss"), **options)
    latest = max(tmp_path.iterdir())
    snapshot = checkpoint.read(latest)
    checkpoint.CHECKPOINT.write(latest, snapshot.facts, {**snapshot.tensors, name: change(snapshot.tensors[name])})
    with pytest.raises(ModelFileError):
        fit(tmp_path, mlpx.EarlyStopping("loss"), epochs=9, **options)


class Remembers(mlpx.Callback):
    def __init__(self, state: Any) -> None:
        self.given = state

    def state(self) -> Any:
        return self.given

    def restore(self, state: Any) -> None:
        self.found = state


@pytest.mark.parametrize("state", [{"a": {1, 2}}, {"a": np.array(["x"])}, {1: 2}, [1]])
def test_states_that_cannot_be_written_are_named(tmp_path: Path, state: Any) -> None:
    with pytest.raises(TypeError, match=r"`Remembers\.state` must return a dict"):
        fit(tmp_path, Remembers(state))


def test_an_array_of_the_other_byte_order(tmp_path: Path) -> None:
    fit(tmp_path, Remembers({"a": np.arange(3, dtype=">i4")}))
    again = Remembers({})
    fit(tmp_path, again)
    assert again.found["a"].tolist() == [0, 1, 2]
