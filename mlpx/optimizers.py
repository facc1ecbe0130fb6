"""Optimizers: the update of all parameters as one formula over one vector.

``w`` are the parameters of a network as a vector (with a stack: one row a member), ``g`` the gradient of loss and
penalty, ``t = 1, 2, …`` the step. An optimizer is a frozen description. `moments` names the vectors that it remembers,
`coefficients` turns the learning rate and the step into numbers on the host, in float64, and `update` is the
element-wise formula on the device.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from mlpx import schedules
from mlpx._checks import check_flag, check_members, check_numbers
from mlpx._typing import Array, Namespace, Numbers
from mlpx.description import Description
from mlpx.schedules import Point, Schedule

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSProp", "get"]


class Optimizer(Description):
    """A rule by which gradients change parameters.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.Adam(1e-3).moments
    ('m', 'v')
    """

    family: ClassVar[str] = "optimizer"
    learning_rate: Numbers | Schedule

    @property
    def moments(self) -> tuple[str, ...]:
        """Names of the vectors, zero at the start, that the update remembers."""
        raise NotImplementedError

    @property
    def schedule(self) -> Schedule:
        """The learning rate as a schedule."""
        return schedules.get(self.learning_rate)

    @property
    def scheduled(self) -> dict[str, Schedule]:
        """The schedules of its numbers other than the learning rate, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in values.items() if isinstance(value, Schedule) and name != _RATE}

    @property
    def constant(self) -> bool:
        """Whether its numbers at a step are the same in every epoch."""
        return all(schedule.constant for schedule in (self.schedule, *self.scheduled.values()))

    def at(self, point: Point, xp: Namespace) -> Optimizer:
        """Return the optimizer as it is at a point of training: with numbers in the place of `scheduled`.

        Parameters
        ----------
        point : Point
            Where training stands.
        xp : namespace
            The host's functions.

        Returns
        -------
        Optimizer

        Raises
        ------
        ValueError
            Where a scheduled number leaves its bounds.
        """
        now = copy(self)
        for name, schedule in self.scheduled.items():
            value = schedule(point, None, xp)
            if not xp.all((value >= 0) & (value <= 1)):
                msg = (
                    f"`{name}` must stay from 0 to 1, got {float(xp.max(value)):g} from {schedule} in epoch "
                    f"{point.epoch + 1}; choose the schedule's numbers so that it does."
                )
                raise ValueError(msg)
            now._store(name, value)
        return now

    def coefficients(self, alpha: Array, t: Array, xp: Namespace) -> tuple[Array, ...]:
        """Return the numbers of a step, each one number or one a member.

        Parameters
        ----------
        alpha : array of shape () or (S,)
            The learning rate of the step.
        t : array of shape () or (S,)
            The step, from 1.
        xp : namespace
            The host's functions.

        Returns
        -------
        tuple of array of shape () or (S,)
            What `update` needs, in float64.
        """
        raise NotImplementedError

    def update(
        self, w: Array, g: Array, moments: tuple[Array, ...], coefficients: tuple[Any, ...], decay: Array, xp: Namespace
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the new parameters and moments.

        Parameters
        ----------
        w, g : array of shape (..., P)
            Parameters and gradient.
        moments : tuple of array of shape (..., P)
            As `moments` names them.
        coefficients : tuple
            What `coefficients` gave, each a number or an array of shape (..., 1).
        decay : array of shape (P,)
            1 where weight decay acts, 0 on biases.
        xp : namespace
            The device's functions.

        Returns
        -------
        w : array of shape (..., P)
            The new parameters.
        moments : tuple of array of shape (..., P)
            The new moments, in the same order.
        """
        raise NotImplementedError

    def without_rate(self) -> Optimizer:
        """Return the description with a learning rate of 1: it shapes no step, which gets `coefficients`.

        Returns
        -------
        Optimizer
        """
        return replace(self, learning_rate=1.0)  # type: ignore[type-var]

    def check_stack(self, members: int | None) -> None:
        """Refuse numbers by member whose count is not the stack's.

        Parameters
        ----------
        members : int or None
            Number of networks in the stack; None for a single network.

        Raises
        ------
        ValueError
            Where a field holds another count of numbers.
        """
        for owner in (self, self.learning_rate, *self.scheduled.values()):
            if isinstance(owner, Description):
                for field in fields(owner):  # type: ignore[arg-type]
                    check_members(field.name, getattr(owner, field.name), members)

    def check_dtype(self, smallest: float) -> None:
        """Refuse an epsilon that the network's type does not hold: it would be 0 or infinite there.

        Parameters
        ----------
        smallest : float
            The smallest normal number of the type.

        Raises
        ------
        ValueError
            Where an epsilon is below it, or above its inverse.
        """
        epsilon, least = getattr(self, "epsilon", 1.0), float(smallest)
        if not all(least <= e <= 1 / least for e in (epsilon if isinstance(epsilon, tuple) else (epsilon,))):
            bounds = f"at least {least:.2g} and at most {1 / least:.2g}"
            msg = f"`epsilon` must be {bounds} in the network's dtype, got {epsilon!r}."
            raise ValueError(msg)

    def _check(self, **bounds: dict[str, float]) -> None:
        if not isinstance(self.learning_rate, Schedule):
            self._store("learning_rate", check_numbers("learning_rate", self.learning_rate, above=0))
        for name, bound in bounds.items():
            self._store(name, check_numbers(name, getattr(self, name), **bound))

    def _check_momentum(self, momentum: Numbers | Schedule, **bounds: float) -> None:
        if not isinstance(momentum, Schedule):
            self._check(momentum=bounds)
        elif type(momentum).observe is not Schedule.observe:
            msg = f"`momentum` cannot follow the monitored score, got {momentum}; give another, such as Linear."
            raise ValueError(msg)


_RATE = "learning_rate"
_SHARE = {"least": 0.0, "below": 1.0}
_POSITIVE = {"above": 0.0}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, ``w <- w - alpha g``; with momentum ``v <- mu v - alpha g``, ``w <- w + v`` [1]_.

    With Nesterov's correction ``w <- w + mu v - alpha g`` with the new v [2]_.

    Parameters
    ----------
    learning_rate : float, sequence of float or Schedule
        Alpha; one number, one a member, or a schedule.
    momentum : float, sequence of float or Schedule
        Mu, from 0 to 1; one number, one a member, or a schedule.
    nesterov : bool
        Whether to look ahead; needs momentum.

    Raises
    ------
    ValueError
        Where a number is outside its bounds, or `nesterov` is asked for without momentum.
    TypeError
        Where a number is none.

    References
    ----------
    .. [1] B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Computational
       Mathematics and Mathematical Physics 4, 1964.
    .. [2] I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and momentum in deep
       learning", ICML 2013.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear", initializer="zeros", dtype="float64")
    >>> history = net.fit([[1.0]], [1.0], epochs=2, optimizer=mlpx.SGD(0.1, momentum=0.9))
    >>> net.weights[0]
    array([[0.27]])
    """

    learning_rate: Numbers | Schedule = 0.01
    momentum: Numbers | Schedule = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        self._check()
        self._check_momentum(self.momentum, least=0.0, most=1.0)
        self._store("nesterov", check_flag("nesterov", self.nesterov))
        if self.nesterov and not self.moments:
            msg = "`nesterov` needs momentum: give `momentum` above 0, such as 0.9."
            raise ValueError(msg)

    @property
    def moments(self) -> tuple[str, ...]:
        """Names of the vectors that the update remembers."""
        return ("v",) if self.momentum != 0 else ()

    def coefficients(self, alpha: Array, t: Array, xp: Namespace) -> tuple[Array, ...]:
        """Return alpha and mu."""
        return alpha, xp.asarray(self.momentum)

    def update(
        self, w: Array, g: Array, moments: tuple[Array, ...], coefficients: tuple[Any, ...], decay: Array, xp: Namespace
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the new parameters and moments."""
        alpha, mu = coefficients
        if not moments:
            return w - alpha * g, ()
        v = mu * moments[0] - alpha * g
        return (w + mu * v - alpha * g if self.nesterov else w + v), (v,)


@dataclass(frozen=True)
class Adam(Optimizer):
    """``m <- b1 m + (1-b1) g``, ``v <- b2 v + (1-b2) g²``, ``w <- w - alpha m^ / (sqrt(v^) + epsilon)``.

    Source: [1]_.

    ``m^ = m / (1 - b1^t)`` and ``v^ = v / (1 - b2^t)`` correct for the start at zero. The moments are kept without the
    factors ``1-b1`` and ``1-b2``, which go into the rate and into epsilon: two operations less a parameter.

    Parameters
    ----------
    learning_rate : float, sequence of float or Schedule
        Alpha.
    beta_1, beta_2 : float or sequence of float
        b1 and b2, the memories of the two moments, from 0 to below 1.
    epsilon : float or sequence of float
        Above 0.
    epsilon_hat : bool
        Whether epsilon is added before the correction, ``w - alpha sqrt(1-b2^t)/(1-b1^t) m / (sqrt(v) + epsilon)``:
        the form of the paper's section 2, and scikit-learn's.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear", initializer="zeros", dtype="float64")
    >>> history = net.fit([[1.0]], [1.0], epochs=2, optimizer=mlpx.Adam(0.1))
    >>> net.weights[0]
    array([[0.19881258]])
    """

    learning_rate: Numbers | Schedule = 1e-3
    beta_1: Numbers = 0.9
    beta_2: Numbers = 0.999
    epsilon: Numbers = 1e-8
    epsilon_hat: bool = False

    def __post_init__(self) -> None:
        self._check(beta_1=_SHARE, beta_2=_SHARE, epsilon=_POSITIVE)
        self._store("epsilon_hat", check_flag("epsilon_hat", self.epsilon_hat))

    @property
    def moments(self) -> tuple[str, ...]:
        """Names of the vectors that the update remembers."""
        return ("m", "v")

    def coefficients(self, alpha: Array, t: Array, xp: Namespace) -> tuple[Array, ...]:
        """Return the memories, the rate and epsilon for moments without the factors ``1-b1`` and ``1-b2``."""
        b1, b2, epsilon = (xp.asarray(x) for x in (self.beta_1, self.beta_2, self.epsilon))
        # with M = m/(1-b1) and V = v/(1-b2): m^ = M (1-b1)/(1-b1^t), and v^ = V/root²
        root = xp.sqrt((1 - b2**t) / (1 - b2))
        rate = alpha * root * (1 - b1) / (1 - b1**t)
        return b1, b2, rate, epsilon / xp.sqrt(1 - b2) if self.epsilon_hat else epsilon * root

    def update(
        self, w: Array, g: Array, moments: tuple[Array, ...], coefficients: tuple[Any, ...], decay: Array, xp: Namespace
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the new parameters and moments."""
        b1, b2, rate, epsilon = coefficients
        m = b1 * moments[0] + g
        v = b2 * moments[1] + g * g
        return w - rate * m / (xp.sqrt(v) + epsilon), (m, v)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, ``w <- w - alpha (m^ / (sqrt(v^) + epsilon) + lambda w)``.

    Source: [1]_.

    The decay acts on weights, not on biases. The network's `l2` is another thing: it stays in the gradient.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, epsilon_hat
        As for `Adam`.
    weight_decay : float or sequence of float
        Lambda, not negative.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear", initializer="zeros", dtype="float64")
    >>> history = net.fit([[1.0]], [1.0], epochs=2, optimizer=mlpx.AdamW(0.1, weight_decay=0.1))
    >>> net.weights[0]
    array([[0.19781258]])
    """

    weight_decay: Numbers = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(weight_decay={"least": 0.0})

    def coefficients(self, alpha: Array, t: Array, xp: Namespace) -> tuple[Array, ...]:
        """Return the numbers of Adam and ``alpha lambda``."""
        return *super().coefficients(alpha, t, xp), alpha * xp.asarray(self.weight_decay)

    def update(
        self, w: Array, g: Array, moments: tuple[Array, ...], coefficients: tuple[Any, ...], decay: Array, xp: Namespace
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the new parameters and moments."""
        *adam, shrink = coefficients
        new, moments = super().update(w, g, moments, tuple(adam), decay, xp)
        return new - shrink * decay * w, moments


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """``v <- rho v + (1-rho) g²``, ``w <- w - alpha g / (sqrt(v) + epsilon)``.

    Source: [1]_.

    With momentum ``u <- mu u - alpha g / (sqrt(v) + epsilon)``, ``w <- w + u``.

    Parameters
    ----------
    learning_rate : float, sequence of float or Schedule
        Alpha.
    rho : float or sequence of float
        The memory of the squares, from 0 to below 1.
    momentum : float, sequence of float or Schedule
        Mu, from 0 to below 1.
    epsilon : float or sequence of float
        Above 0.

    Raises
    ------
    ValueError
        Where a number is outside its bounds.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] T. Tieleman and G. Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning, 2012.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear", initializer="zeros", dtype="float64")
    >>> history = net.fit([[1.0]], [1.0], epochs=2, optimizer=mlpx.RMSProp(0.1))
    >>> net.weights[0]
    array([[0.43046851]])
    """

    learning_rate: Numbers | Schedule = 1e-3
    rho: Numbers = 0.9
    momentum: Numbers | Schedule = 0.0
    epsilon: Numbers = 1e-8

    def __post_init__(self) -> None:
        self._check(rho=_SHARE, epsilon=_POSITIVE)
        self._check_momentum(self.momentum, **_SHARE)

    @property
    def moments(self) -> tuple[str, ...]:
        """Names of the vectors that the update remembers."""
        return ("v", "u") if self.momentum != 0 else ("v",)

    def coefficients(self, alpha: Array, t: Array, xp: Namespace) -> tuple[Array, ...]:
        """Return alpha, rho, its complement, mu and epsilon."""
        rho, mu, epsilon = (xp.asarray(x) for x in (self.rho, self.momentum, self.epsilon))
        return alpha, rho, 1 - rho, mu, epsilon

    def update(
        self, w: Array, g: Array, moments: tuple[Array, ...], coefficients: tuple[Any, ...], decay: Array, xp: Namespace
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the new parameters and moments."""
        alpha, rho, gain, mu, epsilon = coefficients
        v = rho * moments[0] + gain * g * g
        step = alpha * g / (xp.sqrt(v) + epsilon)
        if len(moments) == 1:
            return w - step, (v,)
        u = mu * moments[1] - step
        return w + u, (v, u)


def get(optimizer: str | Optimizer) -> Optimizer:
    """Return an optimizer from its name (in any case), or as it is.

    Parameters
    ----------
    optimizer : str or Optimizer
        ``"sgd"``, ``"adam"``, ``"adamw"`` or ``"rmsprop"``, with its defaults; or an object with its numbers.

    Returns
    -------
    Optimizer

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For what is neither a name nor an optimizer.

    Examples
    --------
    >>> get("sgd")
    SGD(learning_rate=0.01, momentum=0.0, nesterov=False)
    """
    if isinstance(optimizer, str):
        optimizer = {name.lower(): name for name in Optimizer.known}.get(optimizer.lower(), optimizer)
    return Optimizer.get(optimizer)
