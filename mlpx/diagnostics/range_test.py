"""The learning-rate range test: a short run in which the rate grows from step to step."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlpx import optimizers
from mlpx._checks import check_count, check_members, check_number, check_numbers
from mlpx._typing import Array, Namespace, Numbers
from mlpx.backends.host import xp as hxp
from mlpx.batches import Drawn
from mlpx.callbacks import Callback
from mlpx.data import Rows, ordered, padded
from mlpx.evaluation import Sample
from mlpx.model import check_network
from mlpx.optimizers import Optimizer
from mlpx.schedules import Point, Schedule
from mlpx.training import Run, Settings

__all__ = ["RangeTest", "learning_rate_range_test"]

_MEMORY, _AT_START, _DIVERGED = 0.9, 10, 4.0
"""How much of the smoothed loss a step leaves, which part of the steps makes the loss at the start, and how many times
that is too much."""

_UNUSED = Drawn((), (), shuffle=False, shared=False, stack=False)
"""The order in which validation rows would be drawn."""


@dataclass(frozen=True, eq=False)
class RangeTest:
    """What a learning-rate range test found.

    Attributes
    ----------
    learning_rates : array of shape (T,)
        The rate of each step, up to the last before the loss diverged.
    losses : array of shape (T,), with a stack (T, S)
        The loss of the batch of each step, before its update; NaN where that of a member of the stack had diverged.
    smoothed : array of the same shape
        Their exponential mean, in which a step has the weight 0.1 and what came before 0.9.
    suggestion : float, with a stack an array of shape (S,)
        A tenth of the rate at which `smoothed` is lowest; NaN where that would be below `lowest`, or where the loss
        still fell at `highest`: then the test has not seen the whole curve.
    diverged : bool, with a stack a boolean array of shape (S,)
        Whether the loss diverged; else `highest` was reached.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 8, 1], output="linear", seed=1)
    >>> found = mlpx.learning_rate_range_test(net, [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0])
    >>> found.losses.shape == found.learning_rates.shape
    True
    >>> sorted(found.to_dict())
    ['learning_rates', 'losses', 'smoothed']
    """

    learning_rates: Array
    losses: Array
    smoothed: Array
    suggestion: Any
    diverged: Any

    def to_dict(self) -> dict[str, list[Any]]:
        """Return rates, losses and smoothed losses, such as ``pandas.DataFrame`` takes.

        Returns
        -------
        dict of list
            With a stack the losses are lists with one number a member.
        """
        names = ("learning_rates", "losses", "smoothed")
        return {name: getattr(self, name).tolist() for name in names}

    def __str__(self) -> str:
        """Return what was found in words, one line a member."""
        if self.losses.ndim == 1:
            return self._line(self.smoothed, self.suggestion, self.diverged)
        members = zip(self.smoothed.T, self.suggestion, self.diverged, strict=True)
        return "\n".join(f"member {i}: {self._line(*member)}" for i, member in enumerate(members))

    def _line(self, smoothed: Array, suggestion: float, diverged: bool) -> str:
        there = int(hxp.sum(~hxp.isnan(smoothed)))
        if not there:
            return "the loss was not finite at the first step; no learning rate to suggest"
        last = self.learning_rates[there - 1]
        end = f"it diverged beyond {last:.2g}" if diverged else f"it did not diverge up to {last:.2g}"
        at = int(hxp.argmin(smoothed[:there])) if there else 0
        if not at:
            return f"the loss never fell; {end}; no learning rate to suggest: take a fresh network, or a lower `lowest`"
        least = f"the loss is lowest, {smoothed[at]:.3g}, at a learning rate of {self.learning_rates[at]:.2g}; {end}"
        if suggestion == suggestion:
            return f"{least}; suggested: {suggestion:.2g}"
        if at == there - 1 and not diverged:
            return f"{least} and may fall further; no learning rate to suggest: take a higher `highest`"
        return (
            f"{least}; no learning rate to suggest, since a tenth of that was not tested: take a fresh network (one "
            "that has been trained hardly gets better), or a lower `lowest`"
        )


def learning_rate_range_test(
    net: Any,
    X: Any,
    y: Any,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 200,
    batch_size: int = 128,
    optimizer: str | Optimizer = "adam",
    sample_weight: Any = None,
    class_weight: Mapping[Any, float] | str | None = None,
    label_smoothing: float = 0.0,
    clip_norm: Numbers | None = None,
    subsets: Sequence[Any] | None = None,
) -> RangeTest:
    """Train a copy of a network for some steps with a learning rate that grows, and say at which rate it learns best.

    At step t of T the rate is ``lowest (highest / lowest)^((t - 1) / (T - 1))``. While it is too small the loss stays;
    then it falls; then it rises, and the test ends where the smoothed loss is above four times that of the start (the
    mean of the first tenth of the steps), or not finite. The idea is Smith's [1]_; the suggestion is on the safe side
    of the lowest loss, since the loss goes on falling for some steps at rates that diverge in the long run. There is
    none where the lowest loss lies at an end of the range: take a network that has not been trained, or a wider range.

    Parameters
    ----------
    net : Network
        It stays as it is, counters too; with a stack each member has its own test.
    X, y
        As for `Network.fit`.
    lowest, highest : float
        The first and the last rate.
    steps : int
        T, at least 10.
    batch_size : int
        Rows a step; where the rows are through, a new order begins.
    optimizer : str or Optimizer
        Whose learning rate is replaced.
    sample_weight, class_weight, label_smoothing, clip_norm, subsets
        As for `Network.fit`.

    Returns
    -------
    RangeTest
        Rates, losses and a suggestion.

    Raises
    ------
    ValueError, TypeError
        For arguments that do not fit.

    References
    ----------
    .. [1] L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import mlpx
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 4))
    >>> found = mlpx.learning_rate_range_test(mlpx.MLP([4, 16, 3]), X, X[:, :3].argmax(axis=1))
    >>> 1e-4 < found.suggestion < 1, bool(found.losses[0] > found.smoothed.min())
    (True, True)
    """
    lowest = check_number("lowest", lowest, above=0)
    highest = check_number("highest", highest, above=lowest)
    steps = check_count("steps", steps, least=10)
    one = copy.copy(check_network(net))
    one._require_derivatives()
    clip = None if clip_norm is None else check_numbers("clip_norm", clip_norm, above=0)
    if clip is not None:
        check_members("clip_norm", clip, net.members)
    smoothing = check_number("label_smoothing", label_smoothing, least=0, below=1)
    size = check_count("batch_size", batch_size)
    curve = _Curve(steps)
    with net.backend.context():
        sample, _, one.classes = one._samples(X, y, None, sample_weight, class_weight, smoothing, subsets, _UNUSED)
        sample = sample._replace(rows=_with_weight(sample, net.members))
        size = min(size, int(hxp.min(sample.rows.count)))
        settings = Settings(
            epochs=steps,
            batch_size=size,
            optimizer=_with_ramp(optimizers.get(optimizer), lowest, highest, steps, one),
            order=_StepByStep(one, size),
            clip_norm=clip,
            callbacks=(curve,),
            finite=False,
        )
        history = Run(one, settings, sample, None)()
    rates = hxp.asarray(history["learning_rate"])
    return curve.result(rates if net.members is None else rates[:, 0])


def _with_weight(sample: Sample, members: int | None) -> Rows:
    """Return the rows without those of weight zero, so that no batch is without any weight."""
    weight = sample.weight
    if weight is None or hxp.all(weight > 0):
        return sample.rows
    own = sample.rows.by_member(members or 1)
    lists = [rows[hxp.take(weight[s] if weight.ndim == 2 else weight, rows) > 0] for s, rows in enumerate(own)]
    return Rows(lists[0], hxp.asarray(lists[0].shape[0])) if members is None else padded(lists)


def _with_ramp(optimizer: Optimizer, lowest: float, highest: float, steps: int, net: Any) -> Optimizer:
    """Return the optimizer with the rate that grows, checked as for a fit."""
    ramped: Optimizer = replace(optimizer, learning_rate=_Ramp(lowest, highest, steps))  # type: ignore[type-var]
    ramped.check_stack(net.members)
    ramped.check_dtype(hxp.finfo(getattr(hxp, net.master_dtype_name)).smallest_normal)
    return ramped


@dataclass(frozen=True)
class _Ramp(Schedule):
    """``lowest (highest / lowest)^((t - 1) / (T - 1))`` at step t of T."""

    learning_rate: Numbers
    highest: float
    steps: int

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point."""
        share = xp.clip((point.step - 1) / (self.steps - 1), 0.0, 1.0)
        lowest = xp.asarray(self.learning_rate)
        return lowest * (self.highest / lowest) ** share


class _StepByStep:
    """Epochs of one step: the batches of ordinary epochs, one after the other, each of full size.

    Parameters
    ----------
    net : Network
        Whose draws give the orders of the ordinary epochs.
    size : int
        Rows a batch; no member has fewer.
    """

    ahead = True
    resumable = False

    def __init__(self, net: Any, size: int) -> None:
        self._keys, self._first, self._stack = net.keys, list(net.epochs_seen), net.members is not None
        self._size = size
        self._drawn: tuple[Any, Any] = (None, None)

    def __call__(self, rows: Rows, members: Array, epoch: int) -> Rows:
        """Return the rows of a batch, where the rows of a member are through from a new order of its own."""
        count = hxp.broadcast_to(rows.count, members.shape)
        passes, batch = hxp.divmod(hxp.asarray(epoch), -(-count // self._size))
        order = self._order(rows, members, passes)
        place = batch[:, None] * self._size + hxp.arange(self._size)
        if order.index.ndim == 1:
            return Rows(hxp.take(order.index, place[0, :] % count[0]), hxp.asarray(self._size))
        index = hxp.take_along_axis(order.index, place % count[:, None], axis=1)
        return Rows(index, hxp.full(members.shape, self._size))

    def _order(self, rows: Rows, members: Array, passes: Array) -> Rows:
        """Return the order of the rows in some pass of each member; it is kept as long as nobody begins a new one."""
        wanted = passes.tolist()
        if self._drawn[0] != wanted:
            keys, seen = ([of[member] for member in members.tolist()] for of in (self._keys, self._first))
            epochs = [first + each for first, each in zip(seen, wanted, strict=True)]
            order = ordered(rows, keys, epochs, shuffle=True, shared=False, stack=self._stack)
            self._drawn = wanted, order
        found: Rows = self._drawn[1]
        return found


class _Curve(Callback):
    """The losses by step; training ends where those of all members have diverged.

    Parameters
    ----------
    steps : int
        The most steps there will be.
    """

    def __init__(self, steps: int) -> None:
        self._first = max(1, steps // _AT_START)
        self._losses: list[Array] = []
        self._smoothed: list[Array] = []
        self._mean: Any = 0.0
        self._diverged: Any = False

    def epoch(self, run: Any) -> None:
        """Take in the loss of a step."""
        loss = hxp.asarray(run.row["loss"])
        self._stack = run.net.members is not None
        self._mean = _MEMORY * self._mean + (1 - _MEMORY) * loss
        smoothed = self._mean / (1 - _MEMORY ** (len(self._losses) + 1))
        start = sum(self._losses[: self._first], hxp.zeros_like(loss)) / min(self._first, max(1, len(self._losses)))
        begun = len(self._losses) >= self._first
        self._diverged = (
            self._diverged | ~hxp.isfinite(smoothed) | (begun & (smoothed > start + (_DIVERGED - 1) * hxp.abs(start)))
        )
        self._losses.append(hxp.where(self._diverged, hxp.nan, loss))
        self._smoothed.append(hxp.where(self._diverged, hxp.nan, smoothed))
        if hxp.all(self._diverged):
            run.stop()

    def result(self, rates: Array) -> RangeTest:
        """Return what was found."""
        losses, smoothed = hxp.stack(self._losses), hxp.stack(self._smoothed)
        there = int(hxp.sum(hxp.any(~hxp.isnan(hxp.reshape(losses, (losses.shape[0], -1))), axis=1)))
        rates, losses, smoothed = rates[:there], losses[:there, ...], smoothed[:there, ...]
        columns = hxp.reshape(smoothed, (there, losses.shape[1] if losses.ndim == 2 else 1))
        suggestions = hxp.asarray(
            [
                _suggestion(rates, columns[:, i], bool(diverged))
                for i, diverged in enumerate(hxp.reshape(hxp.asarray(self._diverged), (-1,)))
            ]
        )
        if losses.ndim == 2:
            return RangeTest(rates, losses, smoothed, suggestions, self._diverged)
        return RangeTest(rates, losses, smoothed, float(suggestions[0]), bool(self._diverged))


def _suggestion(rates: Array, smoothed: Array, diverged: bool) -> float:
    """Return a tenth of the rate of the lowest loss; NaN where that was not tested, or the loss may fall further."""
    known = hxp.where(hxp.isnan(smoothed), hxp.inf, smoothed)
    at = int(hxp.argmin(known)) if known.shape[0] else 0
    at_an_end = at == 0 or (at == known.shape[0] - 1 and not diverged)
    return float("nan") if at_an_end or rates[at] < 10 * rates[0] else float(rates[at]) / 10
