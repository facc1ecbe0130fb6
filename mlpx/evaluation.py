"""Loss and metrics of a data set, without training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mlpx._typing import Array
from mlpx.backends import Backend
from mlpx.backends.gathering import HostRows
from mlpx.backends.host import xp as hxp
from mlpx.data import Rows, Slices, slices
from mlpx.metrics import Metric
from mlpx.output import Output
from mlpx.plan import Data, Evaluation, compiled
from mlpx.streaming import fetch, rows_at_once

__all__ = ["Sample", "score", "summarize"]

_CHUNK = 8192
_CHUNK_OF_ALL = 65536
"""Rows that are evaluated at once, of one member and of all."""


class Sample(NamedTuple):
    """A data set with its rows and weights: what is trained on, or validated on.

    Attributes
    ----------
    data : Data
        Features and targets on the device, or as `HostRows`.
    rows : Rows
        Which rows, of all members or of each.
    weight : array of shape (N,) or (S, N), optional
        Weights by row, on the host.
    """

    data: Data
    rows: Rows
    weight: Array | None

    @classmethod
    def of(
        cls, ops: Backend, x: Array, y: Array, rows: Rows, weight: Array | None, truth: Array | None = None
    ) -> Sample:
        """Return the sample of features and targets that were taken in."""
        row = rows.typical(weight)
        if isinstance(y, HostRows):
            one = ops.asarray(y.take(hxp.asarray([row])))
            origin = None if hxp.isdtype(y.dtype, "integral") else one
        else:
            origin = None if ops.xp.isdtype(y.dtype, "integral") else y[..., row : row + 1, :]
        return cls(Data(x, y, origin, truth), rows, weight)

    def select(self, ops: Backend, members: Array) -> Sample:
        """Return the part of some members."""
        index = ops.asarray(members)
        own_x, own_y = self.data.by_member

        def part(array: Any, own: bool) -> Any:
            if isinstance(array, HostRows):
                return array.select(members)
            return ops.xp.take(array, index, axis=0) if own and array is not None else array

        x, y, origin, truth = self.data
        weight = self.weight
        if weight is not None and weight.ndim == 2:
            weight = hxp.take(weight, members, axis=0)
        data = Data(part(x, own_x), part(y, own_y), part(origin, own_y), part(truth, own_y))
        return Sample(data, self.rows.select(members), weight)

    @property
    def samples(self) -> int | None:
        """How many rows an epoch has, those of the member that has most; None where nobody knows."""
        return int(hxp.max(self.rows.count))

    def windows(self, epoch: int) -> Iterator[Sample]:
        """Yield the parts of an epoch that are trained on one after the other: all rows at once."""
        yield self

    def pieces(self, ops: Backend, size: int) -> Iterator[tuple[Array, Array, Array, Array]]:
        """Yield features and targets on the device, and on the host weights with the sum 1 and what it was."""
        for piece in _pieces(self, rows_at_once(self.data.x, size)):
            x, y = fetch(ops, self.data, piece.index)
            n = piece.index.shape[-1]
            yield x, y, hxp.full(n, 1 / n) if piece.weight is None else piece.weight, piece.total


def score(
    ops: Backend, architecture: Any, sample: Sample, parameters: Array, metrics: Sequence[Metric]
) -> dict[str, Array]:
    """Return the loss of the data and the metrics, each as a host array with one number a member.

    Parameters
    ----------
    ops : Backend
        Where it runs.
    architecture : Architecture
        The network.
    sample : Sample
        The data.
    parameters : array of shape (..., P)
        The parameters.
    metrics : sequence of Metric
        What is computed beside the loss.
    """
    additive = tuple(metric for metric in metrics if metric.additive)
    evaluate = compiled(Evaluation(ops, architecture, additive))
    terms: Any = 0.0
    weight: Any = 0.0
    outputs, truths = [], []
    members = parameters.shape[0] if parameters.ndim == 2 else 1
    for x, y, share, total in sample.pieces(ops, min(_CHUNK, max(256, _CHUNK_OF_ALL // members))):
        sums, y_hat = evaluate(parameters, x, y, ops.asarray(share), ops.asarray(total), sample.data.origin)
        terms, weight = terms + sums, weight + total
        if len(additive) < len(metrics):
            outputs.append(y_hat)
            truths.append(y)
    means = hxp.reshape(ops.to_numpy(terms), (-1, terms.shape[-1])) / hxp.reshape(hxp.asarray(weight), (-1, 1))
    result = summarize(means, additive, architecture.output)
    for metric in metrics:
        if not metric.additive:
            whole = _joined(ops, truths, outputs)
            result[metric.name] = _whole(ops, metric, architecture.output, sample, *whole)
    return result


def _pieces(sample: Sample, size: int) -> Iterator[Slices]:
    """Yield the rows in pieces of at most this size."""
    for pieces in slices(sample.rows, size, sample.weight):
        for i in range(pieces.total.shape[0]):
            yield pieces.select(i)


def summarize(means: Array, metrics: Sequence[Metric], output: Output) -> dict[str, Array]:
    """Return loss and additive metrics from the means of their terms, shape (S, T), on the host."""
    result, start = {"loss": means[:, 0]}, 1
    for metric in metrics:
        stop = start + metric.size(output)
        result[metric.name] = metric.value(means[:, start:stop], hxp)
        start = stop
    return result


def _joined(ops: Backend, truths: list[Array], outputs: list[Array]) -> tuple[Array, Array]:
    axis = -1 if ops.xp.isdtype(truths[0].dtype, "integral") else -2
    return ops.xp.concat(truths, axis=axis), ops.xp.concat(outputs, axis=-2)


def _whole(ops: Backend, metric: Any, output: Output, sample: Sample, y: Array, y_hat: Array) -> Array:
    """Return a metric that needs all outputs at once, member by member."""
    if y_hat.ndim == 2:
        y_hat = y_hat[None, ...]
    shared = y.ndim == (1 if ops.xp.isdtype(y.dtype, "integral") else 2)
    values = []
    for s, own in enumerate(sample.rows.by_member(y_hat.shape[0])):
        n = own.shape[0]
        weight = hxp.ones(n) if sample.weight is None else hxp.take(sample.weight[..., :], own, axis=-1)
        weight = weight[s] if weight.ndim == 2 else weight
        truth = y if shared else y[s, ...]
        value = metric.score(output, y_hat[s, :n, :], truth[:n, ...], ops.asarray(weight), ops.xp)
        values.append(float(value))
    return hxp.asarray(values)
