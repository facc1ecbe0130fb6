"""`TensorBoard`: event files, which TensorBoard draws while training goes on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlpx._checks import check_count
from mlpx._optional import require
from mlpx._typing import Array
from mlpx.backends.host import xp as hxp
from mlpx.callbacks.base import Callback
from mlpx.callbacks.rows import naming

__all__ = ["TensorBoard"]

_BINS = 50


class TensorBoard(Callback):
    """Write the history as event files for TensorBoard, with the epoch as the step.

    The numbers of the training rows go into the folder ``train``, those of the validation rows into ``validation``
    under the same name, so that TensorBoard draws the two as curves in one picture; with a stack each member has its
    own folder around these, such as ``member0``. ``tensorboard --logdir`` takes the folder, or one above it. It needs
    the package tensorboard, ``pip install "mlpx[tensorboard]"``, and nothing of TensorFlow.

    Parameters
    ----------
    folder : path-like
        Where to write; made where there is none. Take a new one for each training, whose curves are else drawn as one.
    histograms : int, optional
        Write histograms of the parameters of each layer after every so many epochs; by default none. A layer's block
        such as ``0.theta`` holds its weights with the bias as the last row, as in a model file.

    Raises
    ------
    ImportError
        Where the package tensorboard is not installed.
    ValueError, TypeError
        For an argument that does not fit.
    OSError
        In ``fit``, where the folder cannot be written to.

    Notes
    -----
    Every epoch is in the files as soon as it is over. A run that is resumed from a checkpoint begins new files beside
    the old ones and says in them from which epoch on the old ones no longer count: curves go on without doubled points.

    Examples
    --------
    >>> import mlpx
    >>> log = mlpx.TensorBoard("runs/first", histograms=10)
    >>> net = mlpx.MLP([1, 8, 1], output="linear")
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, callbacks=log)

    What TensorBoard reads:

    >>> from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    >>> [event.step for event in EventAccumulator("runs/first/train").Reload().Scalars("loss")]
    [1, 2, 3]
    """

    def __init__(self, folder: str | os.PathLike[str], *, histograms: int | None = None) -> None:
        self.folder = Path(folder)
        self.histograms = None if histograms is None else check_count("histograms", histograms)
        _library()
        self._files: dict[Path, _EventFile] = {}
        self._resumed: int | None = None

    def start(self, run: Any) -> None:
        """Make the folder."""
        self._files, self._resumed = {}, None
        self.folder.mkdir(parents=True, exist_ok=True)

    def begin(self, run: Any) -> None:
        """Note after how many epochs the files begin."""
        if self._resumed is None:
            self._resumed = run.epoch

    def epoch(self, run: Any) -> None:
        """Write the numbers of an epoch."""
        for member, place in self._places(run):
            for name, value in run.row.items():
                kind, tag = ("validation", name[11:]) if name.startswith("validation_") else ("train", name)
                number = value if member is None else value[member]
                self._file(place / kind).write(run.epoch, tag, simple_value=number)
            if self.histograms is not None and run.epoch % self.histograms == 0:
                self._write_histograms(run, member, self._file(place / "train"))
        for file in self._files.values():
            file.flush()

    def end(self, run: Any) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def _places(self, run: Any) -> Iterator[tuple[int | None, Path]]:
        """Yield the members that are left and their folders; of a network that is no stack, its own."""
        if run.net.members is None:
            yield None, self.folder
        else:
            yield from ((member, self.folder / f"member{member}") for member in run.left)

    def _file(self, folder: Path) -> _EventFile:
        if folder not in self._files:
            self._files[folder] = _EventFile(folder, self._resumed)
        return self._files[folder]

    def _write_histograms(self, run: Any, member: int | None, file: _EventFile) -> None:
        for name, block in run.net.parameters.items():
            values = run.net.backend.to_numpy(block if member is None else block[member, ...])
            file.write(run.epoch, f"parameters/{name}", histo=_histogram(values))


class _EventFile:
    """A file of events.

    Parameters
    ----------
    folder : Path
        Where it lies.
    resumed : int or None
        After how many epochs it goes on; what other files of the folder tell of later ones is void.
    """

    def __init__(self, folder: Path, resumed: int | None) -> None:
        self._library = _library()
        # TensorBoard reads the files of a folder in the order of their names
        self._path = folder / f"events.out.tfevents.{time.time():.6f}.{platform.node()}.{os.getpid()}"
        with naming(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("xb")
        self._records = self._library.RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        if resumed:
            started = self._library.SessionLog(status=self._library.SessionLog.START)
            self._write(step=resumed + 1, session_log=started)

    def write(self, step: int, tag: str, **value: Any) -> None:
        """Write a value."""
        library = self._library
        self._write(step=step, summary=library.Summary(value=[library.Summary.Value(tag=tag, **value)]))

    def _write(self, **fields: Any) -> None:
        with naming(self._path):
            self._records.write(self._library.Event(wall_time=time.time(), **fields).SerializeToString())

    def flush(self) -> None:
        """Let readers see what was written."""
        with naming(self._path):
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with naming(self._path):
            self._file.close()


def _histogram(values: Array) -> Any:
    """Return how numbers are distributed; those that are not finite are left out."""
    finite = hxp.astype(values[hxp.isfinite(values)], hxp.float64)
    counts, edges = hxp.histogram(finite, bins=_BINS)
    return _library().HistogramProto(
        min=float(edges[0]),
        max=float(edges[-1]),
        num=finite.shape[0],
        sum=float(hxp.sum(finite)),
        sum_squares=float(hxp.sum(finite**2)),
        bucket_limit=edges[1:].tolist(),
        bucket=counts.tolist(),
    )


def _library() -> Any:
    """Return the classes of tensorboard that write event files."""
    writer, event, summary = (
        require(f"tensorboard.{module}", "`TensorBoard`", 'pip install "mlpx[tensorboard]"')
        for module in ("summary.writer.record_writer", "compat.proto.event_pb2", "compat.proto.summary_pb2")
    )
    return SimpleNamespace(
        RecordWriter=writer.RecordWriter,
        Event=event.Event,
        SessionLog=event.SessionLog,
        Summary=summary.Summary,
        HistogramProto=summary.HistogramProto,
    )
