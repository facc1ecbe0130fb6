"""What stands in the place of a data set where a source is trained on, scored or predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

from mlpx import inputs
from mlpx._typing import Array
from mlpx.backends import Backend
from mlpx.backends.gathering import HostRows
from mlpx.backends.host import xp as hxp
from mlpx.data import Rows
from mlpx.evaluation import Sample
from mlpx.exceptions import SourceError
from mlpx.metrics import Metric
from mlpx.optimizers import Optimizer
from mlpx.plan import Data
from mlpx.schedules import Point
from mlpx.sources.base import Source
from mlpx.sources.intake import Intake, Taken
from mlpx.sources.windows import Shuffle, Window, Windows

__all__ = ["UNKNOWN", "AsRead", "HeldOut", "Stream", "check_arguments", "check_metrics",
           "check_schedules", "outputs"]  # fmt: skip

UNKNOWN = 2**40
"""Stands for a number of rows that is not known."""

_AT_ONCE = 8192
_MOST_BYTES = 2**22
"""Of rows that are scored or predicted at once."""


@dataclass(frozen=True)
class AsRead:
    """The order of rows that a window already has; see `mlpx.batches.Order`.

    Parameters
    ----------
    shuffle : bool
        Whether the window has been shuffled.
    """

    shuffle: bool
    shared = True

    ahead = False
    resumable = True

    def __call__(self, rows: Rows, members: Array, epoch: int) -> Rows:
        """Return the rows as they are."""
        return rows


class Stream:
    """What is trained on, window by window; used as a context, at whose end nothing is read any more.

    It has what a `mlpx.evaluation.Sample` has: fields, of its first rows, and windows.

    Parameters
    ----------
    net : mlpx.Network
        The network.
    source : Source
        What is read.
    intake : Intake
        What takes its pieces in.
    shuffle : bool
        Whether to shuffle.
    batch_size, epochs : int
        As in `mlpx.Network.fit`.
    smoothing : float
        As ``label_smoothing`` there.
    """

    def __init__(
        self, net: Any, source: Source, intake: Intake, *, shuffle: bool, batch_size: int, epochs: int, smoothing: float
    ) -> None:
        self._ops, self._output, self._dtype = net.backend, net.architecture.output, net.master_dtype
        self._smoothing, self._batch_size = smoothing, batch_size
        first = Taken(*(None if a is None else hxp.asarray(a[:1, ...], copy=True) for a in intake(source.first())))
        order = Shuffle(net.keys[0], net.epochs_seen[0], shuffle)
        self._windows = Windows(source, intake, first, order, batch_size, epochs)
        self.samples = source.rows
        self._origin = self._sample(first, hxp.arange(1)).data.origin

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._windows.close()

    def _sample(self, rows: Taken, order: Array) -> Sample:
        """Return rows as a sample."""
        x, y = HostRows(rows.x, rows.x.dtype), HostRows(rows.y, rows.y.dtype)  # type: ignore[union-attr]
        truth = None
        if self._smoothing:
            y, truth = inputs.smooth(y, self._smoothing, self._ops, self._dtype, self._output)
        return Sample.of(self._ops, x, y, Rows(order, hxp.asarray(order.shape[0])), rows.weight, truth)

    def windows(self, epoch: int) -> Iterator[Sample]:
        """Yield the windows of an epoch as samples in their order; each is valid until the next is asked for."""
        weight = 0.0
        for window in _told(self._windows(epoch), epoch):
            sample = self._sample(window.rows, window.order)
            weight += 1.0 if sample.weight is None else float(hxp.sum(sample.weight))
            yield sample._replace(data=sample.data._replace(origin=self._origin))
        if weight == 0:
            msg = f"`weight` times `class_weight` is 0 on every row of epoch {epoch + 1}."
            raise ValueError(msg)

    # As a sample.

    @cached_property
    def _head(self) -> Sample:
        """The first rows of the first epoch, in its order, for callbacks that look at some."""
        window = next(_told(map(Windows.peek, [self._windows]), 0))
        order = window.order[: max(1024, self._batch_size)]
        rows = Taken(*(None if a is None else hxp.take(a, order, axis=0) for a in window.rows))
        return self._sample(rows, hxp.arange(order.shape[0]))

    @property
    def data(self) -> Data:
        """Features and targets of the first rows."""
        return self._head.data

    @property
    def weight(self) -> Array | None:
        """Their weights."""
        return self._head.weight

    @property
    def rows(self) -> Rows:
        """Their numbers; `count` is that of all rows."""
        return Rows(self._head.rows.index, hxp.asarray(UNKNOWN if self.samples is None else self.samples))

    def select(self, ops: Backend, members: Array) -> Stream:
        """Return the part of some members: all share the rows."""
        return self


def _told(windows: Iterator[Window], epoch: int) -> Iterator[Window]:
    """Yield windows; whatever goes wrong where they are read is told as one kind of error."""
    while True:
        try:
            window = next(windows, None)
        except Exception as error:
            msg = f"The source could not be read on in epoch {epoch + 1}. {error}"
            raise SourceError(msg) from error
        if window is None:
            return
        yield window


class HeldOut:
    """What is scored, piece by piece; it has what `mlpx.evaluation.score` asks of a `mlpx.evaluation.Sample`.

    Parameters
    ----------
    ops : Backend
        Where it runs.
    source : Source
        What is read.
    intake : Intake
        What takes its pieces in.
    """

    def __init__(self, ops: Backend, source: Source, intake: Intake) -> None:
        self._source, self._intake = source, intake
        first = intake(source.first())
        self.rows = Rows(hxp.arange(1), hxp.asarray(UNKNOWN if source.rows is None else source.rows))
        self._most = max(1, min(_AT_ONCE, _MOST_BYTES // first.x[0, ...].nbytes))
        y: Any = first.y
        origin = None if hxp.isdtype(y.dtype, "integral") else ops.asarray(hxp.asarray(y[:1, ...], copy=True))
        self.data = Data(None, None, origin)
        self.samples = source.rows

    def pieces(self, ops: Backend, size: int) -> Iterator[tuple[Array, Array, Array, Array]]:
        """Yield features and targets on the device, and on the host weights with the sum 1 and what it was."""
        for piece in self._source.pieces(min(size, self._most)):
            x, y, weight = self._intake(piece)
            n = x.shape[0]
            total = hxp.asarray(float(n)) if weight is None else hxp.sum(weight)
            share = hxp.full(n, 1 / n) if weight is None else weight / hxp.where(total > 0, total, 1.0)
            yield ops.asarray(x), ops.asarray(y), share, total

    def select(self, ops: Backend, members: Array) -> HeldOut:
        """Return the part of some members: all share the rows."""
        return self


def outputs(net: Any, source: Source, function: Callable[[Array], Array]) -> Array:
    """Return what a function of features on the device gives for all rows of a source, as a NumPy array.

    Parameters
    ----------
    net : mlpx.Network
        The network.
    source : Source
        What is read.
    function : callable
        ``function(x) -> array``, with the axis of rows after that of members.
    """
    ops, intake = net.backend, Intake(net, None, targets=False)
    size = max(1, min(_AT_ONCE, _MOST_BYTES // (8 * net.architecture.widths[0])))
    parts = [ops.to_numpy(function(ops.asarray(intake(piece).x))) for piece in source.pieces(size)]
    if not parts:
        msg = "`X` must give at least one row; the source gives none."
        raise ValueError(msg)
    return hxp.concat(parts, axis=0 if net.members is None else 1)


# What a fit may be asked for.


class _Endless(Point):
    """A point of a fit whose number of steps is not known."""

    @property
    def steps(self) -> Array:
        """Say that nobody knows."""
        msg = (
            "The schedule needs the number of steps of the fit, so the source must say how many rows it has: give it "
            "`rows=`, or the schedule its `steps=`."
        )
        raise ValueError(msg)


def check_schedules(optimizer: Optimizer, source: Source) -> None:
    """Refuse a schedule that needs the number of steps where the number of rows is not known."""
    if source.rows is None:
        point = _Endless(hxp.asarray([[1]]), 0, hxp.asarray(0))
        optimizer.schedule(point, optimizer.schedule.start(hxp), hxp)
        optimizer.at(point, hxp)


def check_arguments(given: Mapping[str, Any]) -> None:
    """Refuse what needs all rows at once, each with what to do instead."""
    for name, remedy in _REMEDIES.items():
        if given.get(name) is not None:
            msg = f"`{name}` does not go with a source. {remedy}"
            raise ValueError(msg)
    if given.get("class_weight") is not None and not isinstance(given["class_weight"], Mapping):
        msg = (
            f"`class_weight` must be a dict from label to weight with a source, whose classes nobody has counted, got "
            f"{given['class_weight']!r}."
        )
        raise ValueError(msg)
    if isinstance(given.get("validation"), Real):
        msg = (
            "`validation` must be (X, y), (X, y, sample_weight) or a source when a source is trained on: a fraction of "
            f"rows that are not in memory cannot be drawn, got {given['validation']!r}. Keep some rows, files or row "
            "groups apart and give them."
        )
        raise ValueError(msg)


_REMEDIES = {
    "y": "Targets come from the source: leave `y` out.",
    "sample_weight": "Give the weights to the source, beside `X` and `y`.",
    "subsets": "All members of a stack see all rows of it. Give a source with the rows that are meant.",
}


def check_metrics(metrics: Sequence[Metric], name: str) -> None:
    """Refuse metrics that need all outputs at once."""
    whole = [metric.name for metric in metrics if not metric.additive]
    if whole:
        msg = (
            f"`metrics` {whole[0]!r} needs all outputs at once, which a source does not give: give `{name}` as arrays."
        )
        raise ValueError(msg)
