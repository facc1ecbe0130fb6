"""The autopsy of a number that is not finite: where it was, and the file from which the step is made again."""

import os
import pickle
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlpx
from mlpx import watching
from mlpx.exceptions import ModelFileError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5))
Y = RNG.integers(0, 3, size=200)


class Listener(mlpx.Callback):
    """Be called after each batch, so that runs of steps are of one."""

    def batch(self, run: Any) -> None:
        pass


class Poison(mlpx.Callback):
    """Write an infinite number into the features of a row, after so many batches."""

    def __init__(self, x: np.ndarray, row: int, batch: int) -> None:
        self.x, self.row, self.batch_number, self.seen = x, row, batch, 0

    def batch(self, run: Any) -> None:
        self.seen += 1
        if self.seen == self.batch_number:
            self.x[self.row, 2] = 3e38


def poisoned(row: int, *, batch: int, members: int | None = None, **options: Any) -> mlpx.DivergenceError:
    """Train on rows one of which becomes too large for float32 sums, and return what is raised."""
    x = X.astype("float32")
    net = mlpx.MLP([5, 8, 3], seed=2, members=members, **options.pop("net", {}))
    net.set_parameters({"0.theta": np.full_like(net.parameters["0.theta"], 3.0)})
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit(x, Y, epochs=4, batch_size=20, callbacks=Poison(x, row, batch), progress=False, **options)
    return caught.value


@pytest.mark.parametrize(("row", "batch"), [(7, 3), (123, 14), (199, 29)])
def test_the_row_is_named(row: int, batch: int) -> None:
    # NumPy trains on the user's own array where its type is the network's, which makes the poison work
    error = poisoned(row, batch=batch)
    assert error.rows == [row]
    assert (error.layer, error.quantity) == ("layers[0] (Dense)", "net input")
    assert f"in row {row}." in str(error)
    assert error.epoch in (batch // 10 + 1, batch // 10 + 2)


def test_the_step_is_made_again(tmp_path: Path) -> None:
    error = poisoned(50, batch=12, net={"dropout": 0.4}, clip_norm=1.0, class_weight="balanced")
    assert error.path is not None
    assert f"mlpx replay {error.path}" in str(error)
    found = mlpx.replay(error.path)
    assert found.reproduced
    assert found.where == {"epoch": error.epoch, "step": error.step, "rows": [50], "member": None}
    assert found.place is not None
    quantities = {(q.layer, q.name): q for q in found.quantities}
    assert quantities["the input", "features"].largest == pytest.approx(3e38, rel=1e-6)
    assert quantities["layers[0] (Dense)", "net input"].not_finite == 8
    assert "net input" in str(found)


@pytest.mark.parametrize(
    "optimizer", [mlpx.SGD(1e4), mlpx.SGD(1e4, momentum=0.9), mlpx.SGD(1e4, momentum=0.5, nesterov=True)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_what_diverges_by_itself_is_reproduced(optimizer: Any, dtype: str) -> None:
    net = mlpx.MLP([5, 8, 1], output="linear", dtype=dtype, dropout=0.5, seed=4)
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit(X, X[:, :1] * 1e3, epochs=500, optimizer=optimizer, progress=False)
    error = caught.value
    found = mlpx.replay(error.path)
    assert found.reproduced
    assert found.place is not None
    assert (found.place.layer, found.place.quantity) == (error.layer, error.quantity)


def test_on_every_backend(backend: mlpx.Backend) -> None:
    net = mlpx.MLP([5, 8, 1], output="linear", dropout=0.5, seed=4, backend=backend)
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit(X, X[:, :1] * 1e3, epochs=500, optimizer=mlpx.SGD(1e4), progress=False)
    assert mlpx.replay(caught.value.path, backend).reproduced
    assert mlpx.replay(caught.value.path, "numpy").reproduced


def test_of_the_last_member_of_a_stack() -> None:
    net = mlpx.MLP([5, 8, 1], output="linear", members=2, dropout=0.5, seed=4)
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit(X, X[:, :1] * 1e3, epochs=500, optimizer=mlpx.SGD((1e4, 1e5)), progress=False)
    found = mlpx.replay(caught.value.path)
    assert found.reproduced
    assert found.where["member"] in (0, 1)


def test_long_epochs_are_looked_at_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "WATCHED", 4)
    steps: list[int] = []
    net = mlpx.MLP([5, 3, 1], output="linear", seed=1)

    class Count(mlpx.Callback):
        def batch(self, run: Any) -> None:
            steps.append(run.step)

    before = mlpx.to_numpy(net.vector).copy()
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit(X, X[:, :1], epochs=1, batch_size=2, optimizer=mlpx.SGD(30.0), callbacks=Count(), progress=False)
    error = caught.value
    assert error.step > 4
    assert len(steps) < error.step + 8 < 100
    assert f"The weights from before step {4 * ((error.step - 1) // 4) + 1} of this epoch are kept" in str(error)
    assert np.isfinite(mlpx.to_numpy(net.vector)).all()
    assert not np.array_equal(net.vector, before)
    assert mlpx.replay(error.path).reproduced


def test_looking_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def weights() -> bytes:
        net = mlpx.MLP([5, 8, 3], dropout=0.2)
        net.fit(X, Y, epochs=3, batch_size=8, progress=False)
        return mlpx.to_numpy(net.vector).tobytes()

    alone = weights()
    monkeypatch.setattr(watching, "WATCHED", 1)
    assert weights() == alone


def test_in_a_stack_only_those_that_diverge_leave_when_the_epoch_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "WATCHED", 4)
    target, rates = X[:, :1], (0.01, 1.2, 0.02)
    net = mlpx.MLP([5, 3, 1], output="linear", members=3, seed=[1, 2, 3])
    with pytest.warns(RuntimeWarning, match=r"of member 1 diverged in epoch 1.*from before step \d+ of this epoch"):
        net.fit(X, target, epochs=2, batch_size=2, optimizer=mlpx.SGD(rates), callbacks=Listener(), progress=False)
    for member in (0, 2):
        one = mlpx.MLP([5, 3, 1], output="linear", seed=member + 1)
        one.fit(X, target, epochs=2, batch_size=2, optimizer=mlpx.SGD(rates[member]), progress=False)
        np.testing.assert_allclose(net.member(member).vector, one.vector, rtol=2e-5, atol=1e-6)


def test_a_network_with_functions_of_the_user_has_no_file() -> None:
    net = mlpx.MLP([5, 8, 1], activation=mlpx.activations.custom(lambda z, xp: z * 9, lambda z, xp: z * 0 + 9),
                   output="linear")  # fmt: skip
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit(X, X[:, :1], epochs=50, optimizer=mlpx.SGD(1e4), progress=False)
    assert caught.value.path is None
    assert "replay" not in str(caught.value)


def test_the_error_can_be_pickled() -> None:
    error = poisoned(7, batch=3)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.rows, again.path, again.layer) == (str(error), error.rows, error.path, error.layer)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mlpx.replay(tmp_path / "none")
    (tmp_path / "text").write_text("no step")
    with pytest.raises(ModelFileError, match="no readable"):
        mlpx.replay(tmp_path / "text")
    mlpx.MLP([2, 3]).save(tmp_path / "model.mlpx")
    with pytest.raises(ModelFileError, match=re.escape("no file of a step")):
        mlpx.replay(tmp_path / "model.mlpx")


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_only_its_owner_reads_the_file() -> None:
    assert stat.S_IMODE(os.stat(poisoned(7, batch=3).path).st_mode) == 0o600


def test_a_source_that_can_be_read_once_diverges_too() -> None:
    net = mlpx.MLP([5, 1], output="linear")
    pieces = ((X[i : i + 50], X[i : i + 50, :1] * 1e9) for i in range(0, 200, 50))
    with pytest.raises(mlpx.DivergenceError, match="Where it began is not known") as caught:
        net.fit(mlpx.sources.Batches(pieces), epochs=1, batch_size=2, optimizer=mlpx.SGD(1e9), progress=False)
    assert caught.value.path is None
    assert np.isfinite(mlpx.to_numpy(net.vector)).all()


def test_an_error_with_a_note_can_be_pickled() -> None:
    error = poisoned(7, batch=3)
    error.add_note("seen on a Monday")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
