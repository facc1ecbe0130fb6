"""Schedules: the learning rate, or the momentum, of each step as a formula of the step and the epoch.

Steps are counted from 1 and epochs from 0, both within a fit. Every number may be one number a member of a stack, and
members that had fewer steps are at an earlier point of their schedule. A schedule is evaluated on the host, in float64;
it holds no state: what `OnPlateau` must remember is handed to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from mlpx._checks import check_choice, check_count, check_number, check_numbers
from mlpx._typing import Array, Namespace, Numbers
from mlpx.description import Description

__all__ = ["Constant", "Exponential", "InverseScaling", "InverseTime", "Linear", "OnPlateau", "OneCycle", "Point",
           "Schedule", "Step", "WarmupCosine", "get"]  # fmt: skip


class Point(NamedTuple):
    """Where training stands.

    Attributes
    ----------
    step : array of shape () or (S,)
        The step about to be made, from 1; one a member with a stack.
    epoch : int
        The epoch, from 0.
    steps : array of shape () or (S,)
        The steps of the whole fit, were it to run all its epochs.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> point = mlpx.schedules.Point(step=np.asarray(21), epoch=2, steps=np.asarray(100))
    >>> float(mlpx.schedules.Exponential(0.1, decay=0.5)(point, None, np))
    0.025
    """

    step: Array
    epoch: int
    steps: Array


_COUNTED = ("epoch", "step")


def _passed(point: Point, counted: str) -> Array:
    """Return how many epochs, or steps, lie before a point."""
    return point.epoch if counted == "epoch" else point.step - 1


class Schedule(Description):
    """A number that changes while training goes on: the learning rate of an optimizer, or its momentum.

    Examples
    --------
    >>> import mlpx
    >>> optimizer = mlpx.SGD(mlpx.schedules.Exponential(0.1, decay=0.95), momentum=0.9)
    >>> optimizer = mlpx.SGD(0.1, momentum=mlpx.schedules.Linear(0.5, 0.9, over=20))
    """

    family: ClassVar[str] = "schedule"
    constant: ClassVar[bool] = False
    """Whether the rate is the same at every point."""

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point, a number or one a member.

        Parameters
        ----------
        point : Point
            Where training stands.
        state : object
            What the schedule remembers: of `start`, or of the last `observe`.
        xp : namespace
            The host's functions.

        Returns
        -------
        array of shape () or (S,)
            The rate of the step, in float64.
        """
        raise NotImplementedError

    def start(self, xp: Namespace) -> Any:
        """Return what the schedule remembers at the start of a fit.

        Parameters
        ----------
        xp : namespace
            The host's functions.

        Returns
        -------
        object
            None, a number, an array or a tuple of these.
        """
        return None

    def observe(self, state: Any, better: Array, xp: Namespace) -> Any:
        """Return what it remembers after an epoch.

        Parameters
        ----------
        state : object
            What the schedule remembers: of `start`, or of the last `observe`.
        better : boolean array of shape () or (S,)
            Whether the monitored score was better than ever before.
        xp : namespace
            The host's functions.

        Returns
        -------
        object
            Of the same form as `state`.
        """
        return state

    def exhausted(self, state: Any) -> Array | bool:
        """Say whether it has nothing more to give, so that training ends.

        Parameters
        ----------
        state : object
            What the schedule remembers: of `start`, or of the last `observe`.

        Returns
        -------
        bool or boolean array of shape (S,)
        """
        return False

    def _check(self, *positive: str) -> None:
        for name in ("learning_rate", *positive):
            value = check_numbers(name, getattr(self, name), above=0)
            self._store(name, value)


@dataclass(frozen=True)
class Constant(Schedule):
    """``alpha``.

    Parameters
    ----------
    learning_rate : float or sequence of float
        Above 0.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> optimizer = mlpx.SGD(mlpx.schedules.Constant(0.1))
    >>> history = net.fit([[1.0], [2.0]], [1.0, 2.0], epochs=3, batch_size=2, optimizer=optimizer)
    >>> [round(rate, 4) for rate in history["learning_rate"]]
    [0.1, 0.1, 0.1]
    """

    constant: ClassVar[bool] = True
    learning_rate: Numbers

    def __post_init__(self) -> None:
        self._check()

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point."""
        return xp.asarray(self.learning_rate)


@dataclass(frozen=True)
class Step(Schedule):
    """``alpha f^floor(e / k)`` in epoch e.

    Source: [1]_.

    Parameters
    ----------
    learning_rate : float or sequence of float
        The first rate.
    factor : float or sequence of float
        What it is multiplied by.
    every : int
        After how many epochs.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR 2016.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> optimizer = mlpx.SGD(mlpx.schedules.Step(0.1, factor=0.5, every=2))
    >>> history = net.fit([[1.0], [2.0]], [1.0, 2.0], epochs=5, batch_size=2, optimizer=optimizer)
    >>> [round(rate, 4) for rate in history["learning_rate"]]
    [0.1, 0.1, 0.05, 0.05, 0.025]
    """

    learning_rate: Numbers
    factor: Numbers = 0.1
    every: int = 10

    def __post_init__(self) -> None:
        self._check("factor")
        self._store("every", check_count("every", self.every))

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point."""
        return xp.asarray(self.learning_rate) * xp.asarray(self.factor) ** (point.epoch // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """``alpha gamma^e`` in epoch e, or ``alpha gamma^(t-1)`` at step t; not below a minimum.

    Source: [1]_.

    Parameters
    ----------
    learning_rate : float or sequence of float
        The first rate.
    decay : float or sequence of float
        Gamma, the factor of each epoch or step.
    by : "epoch" or "step"
        What is counted.
    minimum : float or sequence of float
        The rate does not fall below it.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] A. Senior, G. Heigold, M. Ranzato and K. Yang, "An empirical study of learning rates in deep neural networks
       for speech recognition", ICASSP 2013.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> optimizer = mlpx.SGD(mlpx.schedules.Exponential(0.1, decay=0.5))
    >>> history = net.fit([[1.0], [2.0]], [1.0, 2.0], epochs=4, batch_size=2, optimizer=optimizer)
    >>> [round(rate, 4) for rate in history["learning_rate"]]
    [0.1, 0.05, 0.025, 0.0125]
    """

    learning_rate: Numbers
    decay: Numbers = 0.95
    by: Literal["epoch", "step"] = "epoch"
    minimum: Numbers = 0.0

    def __post_init__(self) -> None:
        self._check("decay")
        self._store("by", check_choice("by", self.by, _COUNTED))
        self._store("minimum", check_numbers("minimum", self.minimum, least=0))

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point."""
        rate = xp.asarray(self.learning_rate) * xp.asarray(self.decay) ** _passed(point, self.by)
        return xp.maximum(rate, xp.asarray(self.minimum))


@dataclass(frozen=True)
class Linear(Schedule):
    """In a line from the number of the first epoch, or step, to that of the last; then it stays.

    It is ``a + (b - a) min(e / (k - 1), 1)`` in epoch e, where the line is over k of them. With
    ``by="step"`` the steps before the present one stand in the place of e.

    Parameters
    ----------
    first, last : float or sequence of float
        The first and the last number; at least 0.
    over : int
        Length k of the line, at least 2: as many epochs (or steps) as it has numbers.
    by : "epoch" or "step"
        What is counted.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    Examples
    --------
    Momentum that rises from 0.5 in the first epoch to 0.9 in the twentieth:

    >>> import mlpx
    >>> optimizer = mlpx.SGD(0.1, momentum=mlpx.schedules.Linear(0.5, 0.9, over=20))
    """

    first: Numbers
    last: Numbers
    over: int
    by: Literal["epoch", "step"] = "epoch"

    def __post_init__(self) -> None:
        for name in ("first", "last"):
            self._store(name, check_numbers(name, getattr(self, name), least=0))
        self._store("over", check_count("over", self.over, least=2))
        self._store("by", check_choice("by", self.by, _COUNTED))

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the number at a point."""
        first, last = xp.asarray(self.first), xp.asarray(self.last)
        share = xp.clip(xp.asarray(_passed(point, self.by) / (self.over - 1)), 0.0, 1.0)
        return first + (last - first) * share


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """``alpha / t^p`` at step t.

    Source: [1]_.

    Parameters
    ----------
    learning_rate : float or sequence of float
        The first rate.
    power : float or sequence of float
        The exponent p.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] H. Robbins and S. Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22, 1951.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> optimizer = mlpx.SGD(mlpx.schedules.InverseScaling(0.1))
    >>> history = net.fit([[1.0], [2.0]], [1.0, 2.0], epochs=4, batch_size=2, optimizer=optimizer)
    >>> [round(rate, 4) for rate in history["learning_rate"]]
    [0.1, 0.0707, 0.0577, 0.05]
    """

    learning_rate: Numbers
    power: Numbers = 0.5

    def __post_init__(self) -> None:
        self._check("power")

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point."""
        return xp.asarray(self.learning_rate) / point.step ** xp.asarray(self.power)


@dataclass(frozen=True)
class InverseTime(Schedule):
    """``alpha / (1 + (t - 1) / T)`` at step t: half the rate after T steps, a third after 2 T.

    Source: [1]_.

    Parameters
    ----------
    learning_rate : float or sequence of float
        The first rate.
    half_life : float or sequence of float
        T, in steps; above 0.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] C. Darken, J. Chang and J. Moody, "Learning rate schedules for faster stochastic gradient search", Neural
       Networks for Signal Processing 2, 1992.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> optimizer = mlpx.SGD(mlpx.schedules.InverseTime(0.1, half_life=2))
    >>> history = net.fit([[1.0], [2.0]], [1.0, 2.0], epochs=5, batch_size=2, optimizer=optimizer)
    >>> [round(rate, 4) for rate in history["learning_rate"]]
    [0.1, 0.0667, 0.05, 0.04, 0.0333]
    """

    learning_rate: Numbers
    half_life: Numbers

    def __post_init__(self) -> None:
        self._check("half_life")

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point."""
        return xp.asarray(self.learning_rate) / (1 + (point.step - 1) / xp.asarray(self.half_life))


@dataclass(frozen=True)
class WarmupCosine(Schedule):
    """``alpha t / T_w`` up to step T_w, then half a cosine down to the minimum at step T, then the minimum.

    Source: [1]_.

    Parameters
    ----------
    learning_rate : float or sequence of float
        The highest rate, reached at the end of the warm-up.
    warmup_steps : int
        T_w; 0 for none.
    steps : int, optional
        T; by default all steps of the fit.
    minimum : float or sequence of float
        The lowest rate.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> optimizer = mlpx.SGD(mlpx.schedules.WarmupCosine(0.1, warmup_steps=2))
    >>> history = net.fit([[1.0], [2.0]], [1.0, 2.0], epochs=6, batch_size=2, optimizer=optimizer)
    >>> [round(rate, 4) for rate in history["learning_rate"]]
    [0.05, 0.1, 0.0854, 0.05, 0.0146, 0.0]
    """

    learning_rate: Numbers
    warmup_steps: int = 0
    steps: int | None = None
    minimum: Numbers = 0.0

    def __post_init__(self) -> None:
        self._check()
        self._store("warmup_steps", check_count("warmup_steps", self.warmup_steps, least=0))
        if self.steps is not None:
            self._store("steps", check_count("steps", self.steps, least=self.warmup_steps + 1))
        self._store("minimum", check_numbers("minimum", self.minimum, least=0))

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point."""
        top, low, warm = xp.asarray(self.learning_rate), xp.asarray(self.minimum), self.warmup_steps
        end = point.steps if self.steps is None else self.steps
        share = xp.clip((point.step - warm) / xp.maximum(xp.asarray(end - warm), 1), 0.0, 1.0)
        cosine = low + 0.5 * (top - low) * (1 + xp.cos(math.pi * share))
        return xp.where(xp.asarray(point.step <= warm), top * point.step / max(warm, 1), cosine)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up along half a cosine, then down along another, the two-phase form of PyTorch's ``OneCycleLR``.

    Source: [1]_.

    From ``alpha / start_divisor`` up to ``alpha``, then down to ``alpha / (start_divisor * end_divisor)``. The momentum
    stays as it is.

    Parameters
    ----------
    learning_rate : float or sequence of float
        The highest rate.
    steps : int, optional
        Length of the cycle; by default all steps of the fit.
    rise : float
        Share of the steps that go up, above 0 and at most 1.
    start_divisor, end_divisor : float
        As above.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] L. N. Smith and N. Topin, "Super-convergence", arXiv:1708.07120, 2017.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> optimizer = mlpx.SGD(mlpx.schedules.OneCycle(0.1))
    >>> history = net.fit([[1.0], [2.0]], [1.0, 2.0], epochs=6, batch_size=2, optimizer=optimizer)
    >>> [round(rate, 4) for rate in history["learning_rate"]]
    [0.004, 0.0994, 0.0812, 0.0463, 0.0133, 0.0]
    """

    learning_rate: Numbers
    steps: int | None = None
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def __post_init__(self) -> None:
        self._check()
        self._store("rise", check_number("rise", self.rise, above=0, most=1))
        for name in ("start_divisor", "end_divisor"):
            self._store(name, check_number(name, getattr(self, name), above=0))
        if self.steps is not None:
            self._store("steps", check_count("steps", self.steps))

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point."""
        top = xp.asarray(self.learning_rate)
        first = top / self.start_divisor
        last = first / self.end_divisor
        end = point.steps if self.steps is None else self.steps
        summit = xp.asarray(self.rise * end - 1.0)  # below 0 in a short cycle, which then only falls, as PyTorch's does
        position = point.step - 1.0
        up = _half_cosine(first, top, position / xp.maximum(summit, 1e-12), xp)
        down = _half_cosine(top, last, (position - summit) / xp.maximum(end - 1 - summit, 1e-12), xp)
        return xp.where(xp.asarray(position <= summit), up, down)


def _half_cosine(start: Array, end: Array, share: Array, xp: Namespace) -> Array:
    return end + 0.5 * (start - end) * (1 + xp.cos(math.pi * xp.clip(share, 0.0, 1.0)))


@dataclass(frozen=True)
class OnPlateau(Schedule):
    """The rate times a factor whenever the monitored score was not better for some epochs.

    Source: [1]_.

    Parameters
    ----------
    learning_rate : float or sequence of float
        The first rate.
    factor : float or sequence of float
        What it is multiplied by.
    patience : int
        After how many epochs in a row without a better score; then counting starts again.
    minimum : float or sequence of float
        The rate does not fall below it.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet classification with deep convolutional neural
       networks", NIPS 2012.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> schedule = mlpx.schedules.OnPlateau(0.1, factor=0.5, patience=2)
    >>> point, state, rates = mlpx.schedules.Point(1, 0, 4), schedule.start(np), []
    >>> for better in (True, False, False, False):
    ...     state = schedule.observe(state, better, np)
    ...     rates.append(float(schedule(point, state, np)))
    >>> rates
    [0.1, 0.1, 0.05, 0.05]
    """

    learning_rate: Numbers
    factor: Numbers = 0.1
    patience: int = 5
    minimum: Numbers = 0.0

    def __post_init__(self) -> None:
        self._check("factor")
        self._store("patience", check_count("patience", self.patience))
        self._store("minimum", check_numbers("minimum", self.minimum, least=0))

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate at a point."""
        _, reductions = state
        rate = xp.asarray(self.learning_rate) * xp.asarray(self.factor) ** reductions
        return xp.maximum(rate, xp.asarray(self.minimum))

    def start(self, xp: Namespace) -> tuple[Array, Array]:
        """Return the epochs waited and the reductions made."""
        return xp.asarray(0), xp.asarray(0)

    def observe(self, state: Any, better: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return both counters after an epoch."""
        waited, reductions = state
        waited = xp.where(xp.asarray(better), 0, waited + 1)
        due = waited >= self.patience
        return xp.where(due, 0, waited), reductions + xp.astype(xp.asarray(due), reductions.dtype)


def get(learning_rate: Numbers | Schedule) -> Schedule:
    """Return a schedule from a number, numbers, or as it is.

    Parameters
    ----------
    learning_rate : float, sequence of float or Schedule
        One number, one a member of a stack, or a schedule.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        Where a number is not above 0.
    TypeError
        Where it is no number.

    Examples
    --------
    >>> get(0.1)
    Constant(learning_rate=0.1)
    """
    return learning_rate if isinstance(learning_rate, Schedule) else Constant(learning_rate)
