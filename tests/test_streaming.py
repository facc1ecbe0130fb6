"""Rows that stay on the host: the same numbers as from memory, and memory that stays near the buffers."""

import threading
import time
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpx
from mlpx.backends import Backend
from mlpx.backends.gathering import HostRows, gather, is_mapped
from mlpx.backends.staging import Gathered, Stager, Transfers

N, M, K = 300, 6, 3


def on_file(path: Path, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the array as a mapped file that cannot be written to."""
    mapped = np.memmap(path, dtype=array.dtype, mode="w+", shape=array.shape)
    mapped[...] = array
    mapped.flush()
    return np.memmap(path, dtype=array.dtype, mode="r", shape=array.shape)


def data(kind: str = "classes", *, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, M)).astype(np.float32)
    if kind == "classes":
        return X, rng.integers(0, K, N)
    if kind == "text":
        return X, np.asarray(["a", "b", "c"])[rng.integers(0, K, N)]
    return X, (X @ rng.standard_normal((M, K))).astype(np.float32)


WEIGHT = np.random.default_rng(5).random(N) * (np.arange(N) % 7 > 0)
FOLDS = [np.setdiff1d(np.arange(N), np.arange(s, N, 4)[: 70 + s]) for s in range(4)]
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "in order": {"shuffle": False},
    "validation": {"validation": 0.2, "metrics": ["accuracy"]},
    "roc_auc": {"validation": 0.2, "metrics": ["roc_auc"]},
    "weights": {"sample_weight": WEIGHT, "class_weight": "balanced", "validation": 0.3},
    "smoothed": {"label_smoothing": 0.1, "metrics": ["accuracy"]},
    "text": {"class_weight": {"a": 2.0}},
    "batch larger than the data": {"batch_size": 1000},
    "values": {"metrics": ["r2"], "patience": 2},
    "smoothed probabilities": {"label_smoothing": 0.2, "class_weight": "balanced"},
    "stack": {"members": 4},
    "stack, one order": {"members": 4, "shared_order": True, "label_smoothing": 0.1},
    "stack of folds": {"members": 4, "subsets": FOLDS, "validation": 0.2, "patience": 1, "sample_weight": WEIGHT},
    "stack, own targets": {"members": 4},
    "stack, own features": {"members": 4, "patience": 1, "validation": 0.25},
    "stack, own features, one order": {"members": 4, "shared_order": True},
    "stack, own values": {"members": 4, "metrics": ["r2"]},
}

SOME = {"plain", "weights", "stack of folds", "stack, own values"}


def case_of(name: str) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """Return features, targets, and what network and fit are given."""
    fit = {"epochs": 3, "batch_size": 32, "progress": False, **CASES[name]}
    net: dict[str, Any] = {"members": fit.pop("members", None), "seed": 3}
    values = "values" in name
    X, y = data("values" if values else "text" if name == "text" else "classes")
    if name == "smoothed probabilities":
        y = np.eye(K, dtype=np.float32)[y]
    if "own features" in name:
        X = np.stack([np.roll(X, s, axis=0) for s in range(4)])
        y = np.stack([np.roll(y, s, axis=0) for s in range(4)])
    if "own targets" in name or "own values" in name:
        X, y = np.stack([X] * 4), np.stack([np.roll(y, s, axis=0) for s in range(4)])
    return X, y, {**net, "output": "linear" if values else "softmax"}, fit


def fitted(X: Any, y: Any, net: dict[str, Any], fit: dict[str, Any], backend: Any) -> tuple[mlpx.Network, Any]:
    network = mlpx.MLP([M, 8, K], backend=backend, **net)
    return network, network.fit(X, y, **fit)


@pytest.fixture
def short_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots of a few batches, so that there are many runs."""
    monkeypatch.setattr(Transfers, "nbytes", 4000)


@pytest.mark.usefixtures("short_slots")
@pytest.mark.parametrize("name", CASES)
def test_a_mapped_file_trains_as_memory_does(name: str, backend: Backend, tmp_path: Path) -> None:
    if backend.name == "jax" and name not in SOME:
        pytest.skip("compiling takes long, and some cases are enough")
    X, y, net, fit = case_of(name)
    own, history = fitted(X, y, net, fit, backend)
    mapped = on_file(tmp_path / "x", X)
    streamed, other = fitted(mapped, y, net, fit, backend)
    close = 0.0 if backend.name == "numpy" else 1e-6
    np.testing.assert_allclose(
        mlpx.to_numpy(streamed.vector), mlpx.to_numpy(own.vector), rtol=close, atol=close, err_msg=name
    )
    for column in history:
        np.testing.assert_allclose(other[column], history[column], rtol=1e-12 if not close else 1e-5)
    np.testing.assert_array_equal(mlpx.to_numpy(streamed.predict(mapped)), mlpx.to_numpy(streamed.predict(X)))
    for metric, value in streamed.evaluate(X, y).items():
        np.testing.assert_allclose(streamed.evaluate(mapped, y)[metric], value, rtol=1e-12)
    if net["output"] == "softmax":
        np.testing.assert_array_equal(streamed.predict_labels(mapped), streamed.predict_labels(X))


@pytest.mark.usefixtures("short_slots")
@pytest.mark.parametrize("kind", ["float64", ">f4", "float16", "uint8", "columns", "part", "backwards"])
def test_any_type_and_layout_is_gathered(kind: str, tmp_path: Path) -> None:
    X, y = data("values")
    X = np.abs(X * 50).astype(kind if kind in ("float64", ">f4", "float16", "uint8") else "float32")
    if kind == "columns":
        mapped = on_file(tmp_path / "x", np.ascontiguousarray(X.T)).T
    elif kind == "part":
        mapped = on_file(tmp_path / "x", np.concatenate([X, X], axis=1))[:, :M]
    elif kind == "backwards":
        mapped = on_file(tmp_path / "x", X[::-1])[::-1]
    else:
        mapped = on_file(tmp_path / "x", X)
    assert is_mapped(mapped)
    net, fit = {"seed": 1, "output": "linear"}, {"epochs": 2, "batch_size": 16, "progress": False}
    own, _ = fitted(X, y, net, fit, "numpy")
    streamed, _ = fitted(mapped, on_file(tmp_path / "y", y), net, fit, "numpy")
    np.testing.assert_array_equal(streamed.vector, own.vector)


def test_what_is_a_mapped_file(tmp_path: Path) -> None:
    mapped = on_file(tmp_path / "x", np.ones((4, 2)))
    assert all(map(is_mapped, (mapped, mapped[1:], np.asarray(mapped), mapped.T, mapped.reshape(-1)[::2])))
    assert not any(map(is_mapped, (np.array(mapped), mapped[[0, 1]], mapped + 1, np.ones(3), [1.0], None)))


@pytest.mark.usefixtures("short_slots")
def test_arrays_stay_on_the_host_where_the_device_is_too_small(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, net, fit = case_of("validation")
    own, _ = fitted(X, y, net, fit, backend)
    asked = []
    monkeypatch.setattr(type(backend), "fits", lambda self, nbytes: bool(asked.append(nbytes)))
    sent = []
    transfers = type(backend).transfers
    monkeypatch.setattr(type(backend), "transfers", lambda self: sent.append(1) or transfers(self))
    streamed, _ = fitted(X, y, net, fit, backend)
    assert sent
    assert asked[0] == X.nbytes + X.size  # as it is, and a flag for each number
    np.testing.assert_allclose(mlpx.to_numpy(streamed.vector), mlpx.to_numpy(own.vector), rtol=1e-6, atol=1e-6)


def test_many_targets_on_file_keep_few_features_on_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((50, 2)), rng.standard_normal((50, 20)).astype(np.float32)
    nets = [mlpx.MLP([2, 20], output="linear") for _ in range(2)]
    nets[0].fit(X, Y, epochs=2, progress=False)
    taken: list[Any] = []
    take = HostRows.part
    monkeypatch.setattr(HostRows, "part", lambda self, member: taken.append(self) or take(self, member))
    nets[1].fit(X, on_file(tmp_path / "y", Y), epochs=2, progress=False)
    assert taken
    np.testing.assert_array_equal(nets[0].vector, nets[1].vector)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300, None])
def test_errors_are_those_of_arrays_in_memory(own: bool, bad: float | None, tmp_path: Path) -> None:
    X, y = data()
    X = X.astype(np.float64)
    if own:
        X = np.stack([X] * 2)
    if bad is None:
        X = X[..., :-1]
    else:
        X[..., 200, 3] = X[..., 250, 0] = bad
    net, small = mlpx.MLP([M, 4, K], members=2 if own else None), data()[0]
    before = net.vector.copy()

    def message(given: Any, how: str) -> str:
        calls = {
            "fit": lambda: net.fit(given, y, progress=False),
            "predict": lambda: net.predict(given),
            "validation": lambda: net.fit(small, y, validation=(given, y), progress=False),
        }
        with pytest.raises(ValueError, match=r"`X`|`validation") as caught:
            calls[how]()
        return str(caught.value)

    mapped = on_file(tmp_path / "x", X)
    for how in ("fit", "predict", "validation"):
        assert message(mapped, how) == message(X, how)
    np.testing.assert_array_equal(net.vector, before)


@pytest.mark.parametrize("case", ["not finite", "shape", "domain", "complex", "complex features"])
def test_targets_on_file_are_checked(case: str, tmp_path: Path) -> None:
    X, Y = data("values")
    Y = Y.astype(np.complex64 if case == "complex" else np.float32)
    if case == "not finite":
        Y[7, 1] = np.nan
    if case == "shape":
        Y = Y[:, :2]
    if case == "complex features":
        X = X.astype(np.complex64)
    net = mlpx.MLP([M, K], output="exp" if case == "domain" else "linear")
    messages = []
    for both in ((X, Y), (on_file(tmp_path / "x", X), on_file(tmp_path / "y", Y))):
        with pytest.raises((ValueError, TypeError)) as caught:
            net.fit(*both, progress=False)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.usefixtures("short_slots")
def test_divergence_is_found_in_staged_rows(tmp_path: Path) -> None:
    X, y = data("values")
    messages = []
    for rows in (X, on_file(tmp_path / "x", X)):
        with pytest.raises(mlpx.DivergenceError) as caught:
            fitted(rows, y * 1e4, {"output": "linear"}, {"optimizer": mlpx.SGD(1e4), "progress": False}, "numpy")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_forward_takes_a_mapped_file_in(tmp_path: Path) -> None:
    X, y = data()
    net = mlpx.MLP([M, 5, K])
    gradients = [
        net.backward(net.forward(rows), y).weights[0] for rows in (X, on_file(tmp_path / "x", X.astype(">f8")))
    ]
    np.testing.assert_array_equal(*gradients)


@pytest.mark.usefixtures("short_slots")
def test_no_thread_stays_behind(tmp_path: Path) -> None:
    X, y = data()

    def stop(run: Any) -> None:
        raise RuntimeError

    before = threading.active_count()
    mapped = on_file(tmp_path / "x", X)
    mlpx.MLP([M, K]).fit(mapped, y, epochs=2, progress=False)
    with pytest.raises(RuntimeError):
        mlpx.MLP([M, K]).fit(mapped, y, epochs=2, callbacks=stop, progress=False)
    assert threading.active_count() <= before


# Memory.


@pytest.mark.parametrize("order", ["rows", "columns"])
def test_memory_stays_near_the_buffers(order: str, tmp_path: Path) -> None:
    shape = (50_000, 1000)  # 200 MB
    mapped = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=shape, order="C" if order == "rows" else "F")
    mapped[:, 0] = np.arange(shape[0]) % 97
    y = np.arange(shape[0]) % 2
    net = mlpx.MLP([shape[1], 2], output="softmax")
    few = mapped[:5000] if order == "columns" else mapped  # columns are slow to gather rows from
    net.fit(few[:600], y[:600], epochs=1, batch_size=256, progress=False)  # imports
    tracemalloc.start()
    try:
        net.fit(few, y[: len(few)], epochs=1, batch_size=256, validation=0.1, progress=False)
        net.evaluate(few[:20_000], y[: len(few)][:20_000])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    chunk = 8192 * shape[1] * 4  # what evaluation takes at once
    assert peak < 2 * Transfers.nbytes + chunk + 2 * chunk // 2 + 2**23


def test_gathering_from_columns_copies_no_more_than_blocks() -> None:
    array = np.ones((1000, 20_000), dtype=np.float32).T
    index = np.random.default_rng(0).permutation(len(array))[:2000]
    out = np.empty((2000, 1000), dtype=np.float32)
    tracemalloc.start()
    try:
        gather(array, index, out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20
    np.testing.assert_array_equal(out, 1)


# The rotation of slots, on a device that is as late as it may be.


class Late(Transfers):
    """A device with two lines that run only when somebody waits, or as a schedule says; it forgets some waits.

    An event is a list: how often it was recorded, and how often that came to pass.
    """

    def __init__(self, schedule: list[str], forgotten: str = "", threads: int = 1) -> None:
        self.lines: dict[str, list[Any]] = {"copies": [], "work": []}
        self.schedule, self.forgotten, self.threads = schedule, forgotten, threads
        self.lock, self.turn = threading.RLock(), 0

    def device_buffer(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return np.full(shape, -1, dtype)

    def deliver(self, host: Any, device: Any) -> Any:
        return device

    def event(self) -> Any:
        return [0, 0]

    def put(self, line: str, ready: Any, action: Any) -> None:
        with self.lock:
            self.lines[line].append((ready, action))
            self.turn += 1
            for name in self.schedule[self.turn % len(self.schedule)].split():
                while self.step(name):
                    pass

    def step(self, line: str) -> bool:
        """Do what is next in a line, where it need not wait."""
        if not self.lines[line] or not self.lines[line][0][0]():
            return False
        self.lines[line].pop(0)[1]()
        return True

    def copy(self, host: Any, device: Any) -> None:
        self.put("copies", lambda: True, lambda: np.copyto(device, host))

    def record(self, event: Any, line: str) -> None:
        with self.lock:
            event[0] += 1
            count = event[0]
        self.put(line, lambda: True, lambda: event.__setitem__(1, count))

    def wait(self, event: Any, line: str) -> None:
        if self.forgotten != f"wait of {line}":
            count = event[0]
            self.put(line, lambda: event[1] >= count, lambda: None)

    def synchronize(self, event: Any) -> None:
        with self.lock:
            if self.forgotten != "synchronize":
                while event[1] < event[0]:
                    assert self.step("copies") or self.step("work"), "two lines wait for each other"

    def finish(self) -> None:
        while self.step("copies") or self.step("work"):
            pass
        assert self.lines == {"copies": [], "work": []}


def trained(device: Late, runs: list[Any], epochs: int = 2, slots: int = 2) -> list[Any]:
    """Return what the steps of some runs read, when they are done."""
    source = HostRows(np.arange(1000.0), np.float64)
    stager, seen = Stager(device, [((8,), np.float64)], slots), []

    def read(x: Any, n: int) -> None:
        seen.append(x[:n].copy())

    for _ in range(epochs):
        with stager:
            stager.stage([Gathered(source, runs[0], 0)])
            for i, run in enumerate(runs):
                if i + 1 < len(runs):
                    stager.stage([Gathered(source, runs[i + 1], 0)])
                (x,) = stager.arrays()
                device.put("work", lambda: True, partial(read, x, len(run)))
                stager.release()
                time.sleep(0)
    device.finish()
    return seen


RUNS = [np.arange(8 * i, 8 * i + (8 if i < 6 else 3)) for i in range(7)]
ALL_AT_ONCE, COPIES_FIRST, WORK_FIRST, LAZY = "copies work", "copies", "work", ""


@given(
    schedule=st.lists(st.sampled_from([ALL_AT_ONCE, COPIES_FIRST, WORK_FIRST, LAZY]), min_size=1, max_size=12),
    slots=st.sampled_from([2, 3]),
    threads=st.sampled_from([1, 3]),
)
@settings(max_examples=60, deadline=None)
def test_steps_read_their_own_rows_whatever_is_late(schedule: list[str], slots: int, threads: int) -> None:
    seen = trained(Late(schedule, threads=threads), RUNS, slots=slots)
    for rows, expected in zip(seen, RUNS * 2, strict=True):
        np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize(
    ("forgotten", "schedule"),
    [("wait of work", WORK_FIRST), ("wait of copies", COPIES_FIRST), ("synchronize", LAZY)],
)
def test_the_late_device_finds_each_wait_that_is_missing(forgotten: str, schedule: str) -> None:
    seen = trained(Late([schedule], forgotten), RUNS)
    right = [np.array_equal(rows, run) for rows, run in zip(seen, RUNS * 2, strict=True)]
    assert not all(right)


def test_a_slot_is_not_staged_before_it_is_released() -> None:
    source = HostRows(np.arange(10.0), np.float64)
    stager = Stager(Transfers(mlpx.get_backend("numpy")), [((4,), np.float64)])
    with pytest.raises(RuntimeError, match="context"):
        stager.stage([Gathered(source, np.arange(4), 0)])
    with stager:
        for _ in range(2):
            stager.stage([Gathered(source, np.arange(4), 0)])
        with pytest.raises(RuntimeError, match="free"):
            stager.stage([Gathered(source, np.arange(4), 0)])


def test_an_error_in_the_thread_is_raised_where_the_rows_are_asked_for() -> None:
    source = HostRows(np.arange(10.0), np.float64, convert=lambda rows: rows.no_such_thing)
    with Stager(Transfers(mlpx.get_backend("numpy")), [((4,), np.float64)]) as stager:
        stager.stage([Gathered(source, np.arange(4), 0)])
        with pytest.raises(AttributeError, match="no_such_thing"):
            stager.arrays()


# On a card.

INFO = {info.name: info for info in mlpx.available_backends()}["cupy"]


@pytest.fixture
def card() -> Backend:
    if not INFO.available:
        pytest.skip(f"cupy: {INFO.reason}")
    return mlpx.get_backend("cupy")


@pytest.mark.gpu
def test_a_card_trains_on_a_mapped_file_bit_for_bit(card: Backend, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200_000, 256), dtype=np.float32), rng.integers(0, 10, 200_000)
    nets = [mlpx.MLP([256, 128, 10], backend=card) for _ in range(2)]
    for net, rows in zip(nets, (X, on_file(tmp_path / "x", X)), strict=True):
        net.fit(rows, y, epochs=2, batch_size=256, validation=0.1, progress=False)
    np.testing.assert_array_equal(mlpx.to_numpy(nets[0].vector), mlpx.to_numpy(nets[1].vector))


@pytest.mark.gpu
def test_a_card_stages_in_the_same_memory_again_and_again(
    card: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data()
    kind = type(card.transfers())
    made: dict[str, list[Any]] = {"host_buffer": [], "device_buffer": []}
    given_out: set[int] = set()
    monkeypatch.setattr(kind, "nbytes", 4000)
    for name, found in made.items():
        make = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda *a, make=make, found=found: found.append(make(*a)) or found[-1])
    arrays = Stager.arrays
    monkeypatch.setattr(Stager, "arrays", lambda self: [given_out.add(a.data.ptr) or a for a in arrays(self)])
    mlpx.MLP([M, 8, K], backend=card).fit(on_file(tmp_path / "x", X), y, epochs=5, batch_size=16, progress=False)
    assert len(made["host_buffer"]) == len(made["device_buffer"]) == 4  # features and targets of two slots
    assert given_out == {a.data.ptr for a in made["device_buffer"]}
