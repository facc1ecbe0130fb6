"""Fuzzing of checkpoints and of files of steps: ``python tests/fuzz_run_files.py --cases 20000 --seed 0``.

A run goes on from every spoiled checkpoint, or it raises `mlpx.ModelFileError`; so does `mlpx.replay` with every
spoiled file. A run whose numbers were spoiled may diverge. No other exception, no warning, no hang, no memory out of
proportion to the file.
"""

import functools
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fuzzing
import mlpx
from fuzzing import Fault, Rng
from mutations import changed, mutated, pick

X = np.linspace(-1, 1, 24).reshape(12, 2)
Y = np.arange(12) % 3
MARK = b"checkpoint "


class Cut(Exception):  # noqa: N818
    """Breaks a run off, as a kill would."""


class CutAt(mlpx.Callback):
    """Break off after so many steps."""

    last = True
    every = 1

    def batch(self, run: Any) -> None:
        if run.step >= 5:
            raise Cut


def start(kind: int, *callbacks: mlpx.Callback) -> mlpx.Network:
    """Train in one of a few ways."""
    members = 2 if kind % 2 else None
    net = mlpx.MLP([2, 3, 3], seed=kind, members=members, dropout=0.2, dtype="float16" if kind == 2 else "float32")
    options: dict[str, Any] = {"validation": 0.25, "patience": 2} if kind < 2 else {"optimizer": mlpx.SGD(0.1)}
    others = [mlpx.WeightAverage(), mlpx.EarlyStopping()] if kind == 0 else []
    net.fit(X, Y, epochs=3, batch_size=4, callbacks=[*others, *callbacks], progress=False, **options)
    return net


KINDS = 4


@functools.cache
def checkpoints() -> list[bytes]:
    """Return a checkpoint of each way of training."""
    found = []
    for kind in range(KINDS):
        with tempfile.TemporaryDirectory() as folder:
            try:
                start(kind, mlpx.Checkpoint(folder, steps=2), CutAt())
            except Cut:
                (path, *_) = sorted(Path(folder).glob("*.checkpoint"), reverse=True)
                found.append(path.read_bytes())
    return found


@functools.cache
def steps() -> list[bytes]:
    """Return files of steps that went wrong."""
    return list(_steps())


def _steps() -> Iterator[bytes]:
    losses: list[dict[str, Any]] = [{"output": "linear"}, {"output": "softmax", "dropout": 0.3}, {"members": 2}]
    for options in losses:
        net = mlpx.MLP([2, 4, 3], seed=1, **options)
        y = np.stack([X[:, 0]] * 3, axis=1) if options.get("output") == "linear" else Y
        try:
            net.fit(1e30 * X, y, epochs=50, optimizer=mlpx.SGD(1e8, momentum=0.9), clip_norm=1e30, progress=False)
        except mlpx.DivergenceError as error:
            yield Path(str(error.path)).read_bytes()


def make(rng: Rng) -> bytes:
    """Return the bytes of one case: behind a mark, the way of training and a checkpoint; else a file of a step."""
    if rng.integers(2):
        kind = int(rng.integers(KINDS))
        return MARK + bytes([kind]) + mutated(rng, checkpoints()[kind], "description", [spoiled_facts])
    return mutated(rng, pick(rng, steps()), "description")


def spoiled_facts(rng: Rng, facts: dict[str, Any]) -> None:
    """Change what a run goes on from, and not what it was asked for."""
    kept = facts.pop("asked", None)
    changed(rng, facts)
    facts["asked"] = kept


def check(path: Path) -> str:
    """Return what became of a file."""
    content = path.read_bytes()
    try:
        return goes_on(content[len(MARK) :]) if content.startswith(MARK) else replayed(path)
    except mlpx.ModelFileError as error:
        if isinstance(error.__cause__, MemoryError):
            msg = "asked for more memory than there is"
            raise Fault(msg) from error
        str(error).encode()
        return "refused"


def goes_on(content: bytes) -> str:
    """Let a run go on from a checkpoint."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training of member")  # one of two may diverge
        (Path(folder) / "step-000000000004.checkpoint").write_bytes(content[1:])
        try:
            net = start(content[0], mlpx.Checkpoint(folder, resume=True))
        except mlpx.DivergenceError:
            return "diverged"
    if not np.all(np.isfinite(net.vector)):
        msg = "left weights that are not finite"
        raise Fault(msg)
    return "went on"


def replayed(path: Path) -> str:
    """Make a step again."""
    str(mlpx.replay(path, "numpy"))
    return "replayed"


if __name__ == "__main__":
    sys.exit(fuzzing.main(make, check, "Spoils checkpoints and files of steps.", "run"))
