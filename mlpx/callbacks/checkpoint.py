"""Checkpoints: a run that is killed goes on where it was."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlpx._checks import check_count, check_flag, check_number
from mlpx.callbacks.base import Callback
from mlpx.exceptions import ModelFileError
from mlpx.files import Format
from mlpx.snapshots import Snapshot

__all__ = ["Checkpoint"]

CHECKPOINT = Format("mlpx-checkpoint", 1, "checkpoint of mlpx")
_NAME = re.compile(r"step-(\d{12})\.checkpoint")


class Checkpoint(Callback):
    """Write down all that training needs to go on, so that a run that was killed ends as if it had not been.

    Run the same script again with ``resume=True``: the run goes on from the last checkpoint, and ends with bitwise the
    same weights as one that was never interrupted, on the same machine with the same libraries and number of threads.
    A checkpoint holds parameters, moments of the optimizer, schedule, counters of the random generators, position in
    the data, sums of the epoch under way, best weights and patience, loss scale, averaged weights, members that have
    stopped, history, and the states of other callbacks. Each is a file of its own, written beside the others under
    another name and renamed once it lies on the disk, so that a good one is always there.

    Parameters
    ----------
    folder : str or path
        Where checkpoints lie; it is made where it is missing. One run needs one for itself.
    seconds : float, optional
        Write one whenever so much time has passed, by default 60; in the middle of an epoch too.
    epochs : int, optional
        Write one after each so many epochs; then not by time, unless `seconds` is given.
    steps : int, optional
        Write one after each so many steps; then not by time, unless `seconds` is given.
    keep : int
        How many of the latest stay.
    resume : bool
        Whether to go on from the latest checkpoint in the folder, where there is one.

    Raises
    ------
    ValueError
        Where the folder holds checkpoints and `resume` is False: nothing is written over.
    ModelFileError
        Where the checkpoints are of a run that was asked for something else, or none of them can be read.
    OSError
        Where one cannot be written, such as on a full disk: training ends, the error names the file, and the
        checkpoints before it are as they were.

    Notes
    -----
    More epochs may be asked for than before, where the learning rate does not depend on their number. That the data
    are the same is looked at in the first rows alone.

    Examples
    --------
    >>> import mlpx, tempfile
    >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0]
    >>> def train(epochs, folder):
    ...     net = mlpx.MLP([1, 8, 1], output="linear")
    ...     net.fit(X, y, epochs=epochs, callbacks=mlpx.Checkpoint(folder, resume=True))
    ...     return net
    >>> folder = tempfile.mkdtemp()
    >>> _ = train(3, folder)
    >>> bool((train(5, folder).vector == train(5, tempfile.mkdtemp()).vector).all())
    True
    """

    every: int | None = None
    last = True

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        seconds: float | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        keep: int = 2,
        resume: bool = False,
    ) -> None:
        self.folder = Path(folder)
        if seconds is None and epochs is None and steps is None:
            seconds = 60.0
        self.seconds = None if seconds is None else check_number("seconds", seconds, least=0)
        self.epochs = None if epochs is None else check_count("epochs", epochs)
        self.steps = None if steps is None else check_count("steps", steps)
        self.keep = check_count("keep", keep)
        self.resume = check_flag("resume", resume)
        self.every = self.steps
        self._written = time.monotonic()

    def start(self, run: Any) -> None:
        """Look at the folder, and have the run go on from the latest checkpoint."""
        self._prepare_folder()
        _ = run.asked  # what is asked for, before anything changes
        if any(self._files()):
            if not self.resume:
                msg = (
                    f"`folder` {self.folder} holds checkpoints of an earlier run: go on from them with resume=True, "
                    "or give another folder."
                )
                raise ValueError(msg)
            self._go_on(run)
        self._written = time.monotonic()

    def _go_on(self, run: Any) -> None:
        path, snapshot = self._latest()
        try:
            run.resume(snapshot)
        except ModelFileError as error:
            msg = f"{path} does not fit: {error}"
            raise ModelFileError(msg) from None

    def begin(self, run: Any) -> None:
        """Write a checkpoint after an epoch, when all that belongs to it is settled."""
        if (self.epochs is not None and run.epoch and run.epoch % self.epochs == 0) or self._is_time():
            self._write(run)

    def batch(self, run: Any) -> None:
        """Write a checkpoint after a batch, where it is time."""
        if self.steps is not None or self._is_time():
            self._write(run)

    def end(self, run: Any) -> None:
        """Write the last checkpoint, of a run that was not broken off."""
        if run.history.stopped in ("epochs", "patience", "callback"):
            self._write(run)

    def _is_time(self) -> bool:
        return self.seconds is not None and time.monotonic() - self._written >= self.seconds

    def _write(self, run: Any) -> None:
        snapshot = run.snapshot()
        if snapshot is None:  # it diverges; the last good one stays
            return
        CHECKPOINT.write(self.folder / f"step-{run.step:012}.checkpoint", snapshot.facts, snapshot.tensors)
        for old in list(self._files())[self.keep :]:
            old.unlink(missing_ok=True)
        self._written = time.monotonic()

    def _prepare_folder(self) -> None:
        """Make the folder, and see that files can be written there; what a killed run left half written goes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".*.part"):
            left.unlink(missing_ok=True)
        probe = self.folder / ".probe.part"
        probe.touch()
        probe.unlink()

    def _files(self) -> Iterator[Path]:
        """Yield the checkpoints, the latest first."""
        yield from sorted((p for p in self.folder.iterdir() if _NAME.fullmatch(p.name)), reverse=True)

    def _latest(self) -> tuple[Path, Snapshot]:
        """Return the latest checkpoint that can be read, with a warning where that is not the latest of all."""
        errors: list[ModelFileError] = []
        for path in self._files():
            try:
                snapshot = read(path)
            except ModelFileError as error:
                errors.append(error)
                continue
            if errors:
                warnings.warn(f"{errors[0]} Going on from {path.name} instead.", RuntimeWarning, stacklevel=2)
            return path, snapshot
        raise errors[0]


def read(path: str | os.PathLike[str]) -> Snapshot:
    """Return what a checkpoint holds."""
    with CHECKPOINT.open(path) as contents:
        return Snapshot(contents.description, contents.read(contents.types))
