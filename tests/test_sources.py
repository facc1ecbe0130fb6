"""Sources: the numbers of in-memory training, every row once an epoch, bounded memory, and errors that say where."""

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpx
from mlpx.backends import Backend
from mlpx.backends.host import Key
from mlpx.sources import Batches, Block, Mapped, Piece, Source
from mlpx.sources.intake import Intake, Taken
from mlpx.sources.windows import Shuffle, Windows

N, M, K = 500, 6, 3
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, M)).astype(np.float32)
Y = RNG.integers(0, K, N)
WEIGHT = RNG.random(N) * (np.arange(N) % 7 > 0)
SMALL = 12_000  # bytes of a buffer that holds two windows of three batches of 32 rows


def network(backend: Any = None, **options: Any) -> mlpx.Network:
    return mlpx.MLP([M, 8, K], backend=backend, **{"seed": 3, **options})


def fitted(data: tuple[Any, ...], backend: Any = None, net: dict[str, Any] | None = None, **fit: Any) -> Any:
    own = network(backend, **(net or {}))
    history = own.fit(*data, **{"epochs": 3, "batch_size": 32, "progress": False, **fit})
    return mlpx.to_numpy(own.vector), history, own


def cut(size: int, *arrays: Any) -> list[Any]:
    return [tuple(array[i : i + size] for array in arrays) for i in range(0, N, size)]


def parquet(path: Path, **columns: Any) -> Path:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table(columns), path, row_group_size=70)
    return path


def source_of(kind: str, folder: Path, weight: Any = None, buffer: int = SMALL) -> Source:
    beside = () if weight is None else (weight,)
    if kind == "mapped":
        X.tofile(folder / "x")
        mapped = np.memmap(folder / "x", dtype=np.float32, mode="r", shape=X.shape)
        return Mapped(mapped, Y, weight, buffer=buffer)
    if kind == "parquet":
        columns = {**{f"x{i}": X[:, i] for i in range(M)}, "y": Y}
        columns |= {} if weight is None else {"w": weight}
        path = parquet(folder / "table.parquet", **columns)
        return mlpx.sources.Parquet(path, "y", weight=None if weight is None else "w", buffer=2 * buffer)
    return Batches(cut(37, X, Y, *beside), buffer=buffer)


KINDS = ["mapped", "parquet", "iterable"]


# The same numbers.


@pytest.mark.parametrize("kind", KINDS)
def test_in_order_a_source_trains_bit_for_bit_as_memory_does(kind: str, backend: Backend, tmp_path: Path) -> None:
    own, history, _ = fitted((X, Y), backend, shuffle=False, metrics="accuracy")
    streamed, other, net = fitted((source_of(kind, tmp_path),), backend, shuffle=False, metrics="accuracy")
    np.testing.assert_array_equal(streamed, own)
    np.testing.assert_allclose(other["loss"], history["loss"], rtol=1e-12)
    assert other["accuracy"] == pytest.approx(history["accuracy"])
    source = source_of(kind, tmp_path)
    np.testing.assert_allclose(net.predict(source), mlpx.to_numpy(net.predict(X)), rtol=1e-5, atol=1e-6)
    assert net.evaluate(source)["loss"] == pytest.approx(net.evaluate(X, Y)["loss"], rel=1e-6)
    np.testing.assert_array_equal(net.predict_labels(source), mlpx.to_numpy(net.predict_labels(X)))


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "dropout": ({"dropout": 0.3}, {}),
    "stack": ({"members": 3, "l2": [0.0, 0.1, 0.2]}, {}),
    "smoothed": ({}, {"label_smoothing": 0.1, "metrics": "accuracy"}),
    "weights by class": ({}, {"class_weight": {0: 2.0, 2: 0.5}}),
    "schedule": ({}, {"optimizer": mlpx.SGD(mlpx.schedules.OneCycle(0.1))}),
    "one batch": ({}, {"batch_size": 1000}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_fits_into_a_window_is_shuffled_as_memory_is(case: str) -> None:
    net, fit = CASES[case]
    own, _, _ = fitted((X, Y), net=net, shared_order=True, **fit)
    streamed, _, _ = fitted((Mapped(X, Y),), net=net, **fit)
    np.testing.assert_array_equal(streamed, own)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_samples(kind: str, tmp_path: Path) -> None:
    own, history, _ = fitted((X, Y), shuffle=False, sample_weight=WEIGHT, metrics="accuracy")
    streamed, other, net = fitted((source_of(kind, tmp_path, WEIGHT),), shuffle=False, metrics="accuracy")
    np.testing.assert_array_equal(streamed, own)
    np.testing.assert_allclose(other["loss"], history["loss"])
    found = net.evaluate(source_of(kind, tmp_path, WEIGHT))
    assert found["accuracy"] == pytest.approx(net.evaluate(X, Y, sample_weight=WEIGHT)["accuracy"])


def test_values_as_targets() -> None:
    y = X[:, :K] * 2
    own, history, _ = fitted((X, y), net={"output": "linear"}, shuffle=False, metrics="r2", validation=(X, y))
    data = Mapped(X, y, buffer=20_000)
    streamed, other, net = fitted((data,), net={"output": "linear"}, shuffle=False, metrics="r2", validation=data)
    np.testing.assert_array_equal(streamed, own)
    assert other["validation_r2"] == pytest.approx(history["validation_r2"])
    assert net.evaluate(data)["r2"] == pytest.approx(history["validation_r2"][-1])


def test_validation_rows_of_a_source_beside_arrays() -> None:
    _, history, _ = fitted((X, Y), validation=(X, Y), patience=2)
    _, other, _ = fitted((X, Y), validation=Mapped(X, Y), patience=2)
    assert other["validation_loss"] == pytest.approx(history["validation_loss"])


def test_labels() -> None:
    names = np.asarray(["a", "b", "c"])[Y]
    own, _, _ = fitted((X, names), shuffle=False)
    source = Mapped(X, names, classes=["a", "b", "c"], buffer=SMALL)
    streamed, _, net = fitted((source,), shuffle=False)
    np.testing.assert_array_equal(streamed, own)
    assert net.classes == ("a", "b", "c")
    assert set(net.predict_labels(source)) <= {"a", "b", "c"}


def test_members_leave_a_stack() -> None:
    data = Mapped(X, Y, buffer=SMALL)
    rates = mlpx.SGD([0.1, 1e4])
    with pytest.warns(RuntimeWarning, match="member 1"):
        streamed, _, _ = fitted((data,), net={"members": 2, "activation": "exp"}, optimizer=rates, epochs=4)
    assert np.isfinite(streamed).all()


# The order.


class Numbers(Source):
    """Rows that hold their number, in blocks of some size, in pieces of some size."""

    def __init__(self, n: int, block: int, piece: int, buffer: int) -> None:
        super().__init__(rows=n, buffer=buffer)
        self.n, self.block, self.piece = n, block, piece

    def blocks(self, size: int) -> list[Block]:
        return [Block(min(self.block, self.n - i), i) for i in range(0, self.n, self.block)]

    def read(self, block: Block, size: int) -> Iterator[Piece]:
        end = block.place + (block.rows or 0)
        for start in range(block.place, end, self.piece):
            x = np.arange(start, min(start + self.piece, end), dtype=np.float64)[:, None]
            yield Piece(x, x, None, f"from {start}")


def orders(source: Source, batch_size: int, epochs: int = 2, shuffle: bool = True, first: int = 0) -> list[list[float]]:
    """Return the rows of each epoch in the order in which they are trained on."""
    net = mlpx.MLP([1, 1], output="linear", dtype="float64")
    intake = Intake(net, None)
    windows = Windows(
        source, intake, Taken(np.zeros((1, 1)), np.zeros((1, 1)), None), Shuffle(Key(7), 0, shuffle), batch_size, epochs
    )
    found = []
    for epoch in range(first, epochs):
        seen: list[float] = []
        for window in windows(epoch):
            np.testing.assert_array_equal(window.rows.x, window.rows.y)
            assert window.last or len(window.order) % batch_size == 0
            seen += window.rows.x[window.order, 0].tolist()
        found.append(seen)
    windows.close()
    return found


@given(
    n=st.integers(1, 200),
    block=st.integers(1, 80),
    piece=st.integers(1, 50),
    batch_size=st.integers(1, 40),
    windows=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_every_row_comes_once_an_epoch(n: int, block: int, piece: int, batch_size: int, windows: int) -> None:
    buffer = 2 * 48 * batch_size * windows  # of rows of 48 bytes
    first, second = orders(Numbers(n, block, piece, buffer), batch_size)
    assert sorted(first) == sorted(second) == list(range(n))
    assert orders(Numbers(n, block, piece, buffer), batch_size) == [first, second]
    assert orders(Numbers(n, block, piece, buffer), batch_size, first=1) == [second]
    assert orders(Numbers(n, block, piece, buffer), batch_size, 1, shuffle=False) == [list(range(n))]


def test_blocks_from_everywhere_meet_in_a_window() -> None:
    first, second = orders(Numbers(1000, 10, 5, 2 * 48 * 100), 10)
    assert first != second
    head = np.asarray(first[:100])
    assert head.min() < 300
    assert head.max() > 700
    assert len(set((head // 10).tolist())) < 40  # of blocks, not of single rows


def test_an_epoch_can_be_taken_up_at_a_window() -> None:
    net = mlpx.MLP([1, 1], output="linear", dtype="float64")
    like = Taken(np.zeros((1, 1)), np.zeros((1, 1)), None)
    windows = Windows(Numbers(100, 7, 3, 2 * 48 * 20), Intake(net, None), like, Shuffle(Key(1), 0, True), 10, 1)
    whole = [window.rows.x[window.order, 0].tolist() for window in windows(0)]
    again = [window.rows.x[window.order, 0].tolist() for window in windows(0, 2)]
    windows.close()
    assert len(whole) == 5
    assert again == whole[2:]


def test_the_same_seed_gives_the_same_network(tmp_path: Path) -> None:
    one, two = (fitted((source_of("parquet", tmp_path),))[0] for _ in range(2))
    other, _, _ = fitted((source_of("parquet", tmp_path),), net={"seed": 4})
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


class Killed(BaseException):
    """What ends a run at once."""


class Kill(mlpx.Callback):
    """Ends a run after some batches, as a signal would."""

    every = 1

    def __init__(self, batches: int) -> None:
        self.left = batches

    def batch(self, run: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batches", [1, 4, 20, 37])
def test_a_run_goes_on_in_the_middle_of_an_epoch(kind: str, batches: int, tmp_path: Path) -> None:
    fit = {"validation": Mapped(X, Y), "batch_size": 32, "epochs": 3, "progress": False}
    whole, _, _ = fitted((source_of(kind, tmp_path),), **fit)
    with pytest.raises(Killed):
        network().fit(
            source_of(kind, tmp_path), callbacks=[mlpx.Checkpoint(tmp_path / "c", steps=1), Kill(batches)], **fit
        )
    net = network()
    net.fit(source_of(kind, tmp_path), callbacks=mlpx.Checkpoint(tmp_path / "c", steps=1, resume=True), **fit)
    np.testing.assert_array_equal(mlpx.to_numpy(net.vector), whole)


def test_a_second_fit_draws_other_orders() -> None:
    nets = [network() for _ in range(2)]
    nets[0].fit(Mapped(X, Y, buffer=SMALL), epochs=4, progress=False, optimizer=mlpx.SGD(0.1), batch_size=32)
    for _ in range(2):
        nets[1].fit(Mapped(X, Y, buffer=SMALL), epochs=2, progress=False, optimizer=mlpx.SGD(0.1), batch_size=32)
    np.testing.assert_array_equal(nets[0].vector, nets[1].vector)


# Memory, and threads.


def test_memory_stays_near_the_buffer(tmp_path: Path) -> None:
    n, width, buffer = 60_000, 64, 2_000_000
    big = np.memmap(tmp_path / "big", dtype=np.float32, mode="w+", shape=(n, width))
    big[:] = 1.0
    net = mlpx.MLP([width, 4, 1], output="sigmoid")
    net.fit(big[:2000], np.zeros(2000), epochs=1, batch_size=50, progress=False)  # what is imported first
    tracemalloc.start()
    net.fit(Mapped(big, np.zeros(n), buffer=buffer), epochs=2, batch_size=50, progress=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < buffer + 3_000_000  # and the runs of steps on their way, below 2 MB here
    assert big.nbytes > 7 * buffer


def test_no_thread_stays() -> None:
    before = set(threading.enumerate())
    fitted((Mapped(X, Y, buffer=SMALL),))
    with pytest.raises(mlpx.SourceError):
        fitted((Batches((piece for piece in cut(50, X, Y)), buffer=SMALL),))
    assert set(threading.enumerate()) <= before


# Errors.


def test_a_generator_gives_one_epoch() -> None:
    net = network()
    net.fit(Batches(iter(cut(50, X, Y))), epochs=1, progress=False)
    with pytest.raises(mlpx.SourceError, match=r"epoch 2.*gone through once.*function") as caught:
        net.fit(Batches(iter(cut(50, X, Y))), epochs=3, progress=False)
    assert len(caught.value.history["loss"]) == 1
    assert net.epochs_seen == [2]


def test_a_callable_is_called_for_each_epoch() -> None:
    calls = []
    own, _, _ = fitted((X, Y), shuffle=False)
    streamed, _, _ = fitted((Batches(lambda: calls.append(1) or iter(cut(50, X, Y)), N, buffer=SMALL),), shuffle=False)
    np.testing.assert_array_equal(streamed, own)
    assert len(calls) == 3


BAD = np.full((10, M), np.nan)


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        ((BAD, Y[:10]), r"piece 12 .*of `X`.*finite.*\[0, 0\]"),
        ((X[:10, :4], Y[:10]), r"piece 12 .*of `X`.*shape \(n_samples, 6\)"),
        ((X[:10].astype(str), Y[:10]), "piece 12 .*of `X`.*real numbers, got text"),
        ((X[:10], Y[:9]), "piece 12 .*of `X`.*10 samples"),
        ((X[:10], Y[:10] + 5), "piece 12 .*of `X`.*`y`"),
        ((X[:10], Y[:10], np.ones(10)), "piece 12.*`weight` must be there in all pieces or in none"),
        ((X[:10], Y[:10], 1, 2), "piece 12 has 4 parts"),
        (3.0, "piece 12 is float"),
    ],
)
def test_a_bad_piece_is_named_and_nothing_is_lost(piece: Any, message: str) -> None:
    epochs = iter([cut(50, X, Y), [*cut(50, X, Y), (X[:1], Y[:1]), piece]])
    net = network()
    start = mlpx.to_numpy(net.vector).copy()
    with pytest.raises(mlpx.SourceError, match=message) as caught:
        net.fit(Batches(lambda: next(epochs), buffer=SMALL), epochs=2, batch_size=32, progress=False)
    assert len(caught.value.history["loss"]) == 1
    assert caught.value.history.stopped == "error"
    assert np.isfinite(net.vector).all()
    assert not np.array_equal(net.vector, start)


def test_an_error_of_the_first_piece_changes_nothing() -> None:
    net = network()
    start = mlpx.to_numpy(net.vector).copy()
    with pytest.raises(ValueError, match=r"rows 0 to 0.*finite"):
        net.fit(Mapped(np.full((20, M), np.inf), Y[:20]))
    np.testing.assert_array_equal(net.vector, start)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "y": ({"y": Y}, "leave `y` out"),
    "fraction": ({"validation": 0.2}, "`validation` must be.*a source.*0.2.*apart"),
    "weights": ({"sample_weight": WEIGHT}, "Give the weights to the source"),
    "balanced": ({"class_weight": "balanced"}, "must be a dict"),
    "subsets": ({"subsets": [[1]]}, "`subsets` does not go with a source"),
    "roc_auc": ({"metrics": "roc_auc", "validation": Mapped(X, Y)}, "needs all outputs at once"),
    "large batches": ({"batch_size": 400}, r"`buffer` of 12000 bytes.*lower `batch_size`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_needs_all_rows_is_refused(case: str) -> None:
    fit, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        network().fit(Mapped(X, Y, buffer=SMALL), **fit)


@pytest.mark.parametrize("schedule", [mlpx.schedules.OneCycle(0.1), mlpx.schedules.WarmupCosine(0.1)])
def test_schedules_that_end_need_the_number_of_rows(schedule: Any) -> None:
    pieces = cut(50, X, Y)
    with pytest.raises(ValueError, match="`rows=`"):
        network().fit(Batches(pieces), optimizer=mlpx.SGD(schedule))
    network().fit(Batches(pieces, rows=N), optimizer=mlpx.SGD(schedule), epochs=1, progress=False)


@pytest.mark.parametrize("promised", [N - 1, N + 1])
def test_a_wrong_number_of_rows_is_told(promised: int) -> None:
    with pytest.raises(mlpx.SourceError, match=f"`rows` must be the rows of an epoch.*{promised}"):
        network().fit(Batches(cut(50, X, Y), rows=promised), epochs=1, progress=False)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Mapped([[1.0]]), TypeError, "`X` must be an array with a shape"),
        (lambda: Mapped(X, Y[:5]), ValueError, "`y` must have as many rows as `X`, 500, got 5"),
        (lambda: Mapped(X[:0]), ValueError, "at least one row"),
        (lambda: Mapped(X, Y, buffer=0), ValueError, "`buffer` must be at least 1"),
        (lambda: Mapped(X, Y, classes=["a"]), ValueError, "two different labels"),
        (lambda: Batches(3), TypeError, "`pieces` must be an iterable"),  # type: ignore[arg-type]
        (lambda: network().fit(Batches([])), ValueError, "at least one piece"),
        (lambda: network().fit(Mapped(X)), ValueError, "`y` is missing"),
        (lambda: network().fit(Mapped(X, Y.astype(str))), ValueError, "holds labels"),
        (lambda: network().fit(Mapped(X, Y, -WEIGHT)), ValueError, "`weight` must be finite and at least 0"),
        (lambda: network().fit(Batches([(X, Y, 0 * WEIGHT)])), ValueError, "is 0 on every row"),
    ],
)
def test_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


# Tables.


def test_parquet_of_any_columns_goes_through_a_preprocessing(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    side = np.asarray(["left", "right"])[(X[:, 0] > 0).astype(int)]
    path = parquet(tmp_path / "t.parquet", a=X[:, 1].astype(np.float64), side=side, kind=np.asarray(["u", "v", "w"])[Y])
    source = mlpx.sources.Parquet(path, "side", preprocessing=True)
    net = mlpx.MLP([source.preprocessing.width, 4, 2])
    net.fit(source, epochs=2, progress=False)
    assert net.classes == ("left", "right")
    alone = mlpx.sources.Parquet(path, preprocessing=source.preprocessing)
    assert net.predict(alone).shape == (N, 2)
    frame = pytest.importorskip("pandas").read_parquet(path)
    np.testing.assert_allclose(net.predict(alone), net.predict(source.preprocessing.transform(frame)), rtol=1e-5)


def test_parquet_folders_partitions_and_columns_of_vectors(tmp_path: Path) -> None:
    pa, dataset = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.dataset")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), M)
    parquet(tmp_path / "0.parquet", v=vectors[:300], y=Y[:300])
    parquet(tmp_path / "1.parquet", v=vectors[300:], y=Y[300:])
    own, _, _ = fitted((X, Y), shuffle=False)
    streamed, _, _ = fitted((mlpx.sources.Parquet(tmp_path, "y", buffer=2 * SMALL),), shuffle=False)
    np.testing.assert_array_equal(streamed, own)
    table = pa.table({**{f"x{i}": X[:, i] for i in range(M - 1)}, "part": np.sort(Y).astype(np.int32), "y": Y})
    dataset.write_dataset(table, tmp_path / "hive", format="parquet", partitioning=["part"], partitioning_flavor="hive")
    found = dataset.dataset(tmp_path / "hive", partitioning="hive")
    _, history, _ = fitted((mlpx.sources.Parquet(found, "y"),))
    assert np.isfinite(history["loss"]).all()


def test_parquet_errors_name_the_column(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    path = parquet(tmp_path / "t.parquet", a=pa.array([1.0, None] * 100), b=["x", "y"] * 100, y=[0, 1] * 100)
    with pytest.raises(ValueError, match="no column 'z'; it has 'a', 'b', 'y'"):
        mlpx.sources.Parquet(path, "z")
    with pytest.raises(TypeError, match=r"'b' is string.*preprocessing"):
        mlpx.sources.Parquet(path, "y")
    with pytest.raises(ValueError, match=r"`a` has missing values in t.parquet, row group 0"):
        mlpx.MLP([1, 2]).fit(mlpx.sources.Parquet(path, "y", columns=["a"]))
    with pytest.raises(TypeError, match="`data` must be a path"):
        mlpx.sources.Parquet(3)
    with pytest.raises(OSError, match="nowhere"):
        mlpx.sources.Parquet(tmp_path / "nowhere")
