"""Losses: each value beside its exact gradient, in one pass and in functions of the Array API standard.

A loss gives the term of every sample, summed over its outputs (`mean_squared_error`: averaged), and the derivative of
that term. The average over the samples, by weight, is taken in `mlpx.output`. Most losses take the outputs ``y_hat``.
Those that name an `output` take its net input ``z`` instead, because the formula from ``z`` neither overflows nor
loses digits, and their gradient is the error term itself: ``y_hat - y``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from array_api_compat import device

from mlpx._checks import check_number
from mlpx._typing import Array, Formula, Namespace
from mlpx.activations import softmax, step
from mlpx.description import Description, name_of
from mlpx.special import indicator, sigmoid
from mlpx.written import Written

__all__ = [
    "Loss",
    "absolute_error",
    "automatic",
    "binary_cross_entropy",
    "cross_entropy",
    "formula",
    "get",
    "huber",
    "mean_squared_error",
    "perceptron",
    "poisson",
    "quantile",
    "squared_error",
]


class Loss(Description):
    """The error of one sample as a function of what the network puts out.

    Examples
    --------
    >>> import numpy as np
    >>> import mlpx
    >>> loss = mlpx.losses.squared_error()
    >>> value, gradient = loss.value_and_gradient(np.asarray([[3.0, 1.0]]), np.asarray([[1.0, 1.0]]), np)
    >>> value, gradient
    (array([2.]), array([[2., 0.]]))
    """

    family: ClassVar[str] = "loss"
    hints: ClassVar[Mapping[str, str]] = {
        "mse": "mean_squared_error",
        "l2": "squared_error",
        "mae": "absolute_error",
        "l1": "absolute_error",
        "bce": "binary_cross_entropy",
        "log_loss": "cross_entropy",
        "nll": "cross_entropy",
        "categorical_crossentropy": "cross_entropy",
        "pinball": "quantile",
    }
    output: ClassVar[str | None] = None
    """The output activation whose net input the loss takes; None: it takes the outputs of any activation."""

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the loss of each sample and its derivative by `x`.

        Parameters
        ----------
        x : array of shape (..., N, K)
            Outputs; for losses that name an `output`, its net input.
        y : array of shape (..., N, K)
            Targets; for `cross_entropy` also integer class indices of shape (..., N).
        xp : namespace
            The functions to compute with.

        Returns
        -------
        value : array of shape (..., N)
        gradient : array of shape (..., N, K)
        """
        raise NotImplementedError

    def check_targets(self, y: Array, xp: Namespace) -> None:
        """Refuse targets outside the loss's domain; this one takes all.

        Parameters
        ----------
        y : array of shape (..., N, K) or (..., N)
            Targets, as `value_and_gradient` takes them.
        xp : namespace
            The functions to compute with.

        Raises
        ------
        ValueError
            Where a target is outside.
        """

    def check_units(self, units: int) -> None:
        """Refuse a number of outputs that the loss cannot take; this one takes any.

        Parameters
        ----------
        units : int
            Number of outputs.

        Raises
        ------
        ValueError
            For such a number.
        """


def _require(condition: Array, rule: str, xp: Namespace) -> None:
    if not bool(xp.all(condition)):
        msg = f"`y` must {rule}."
        raise ValueError(msg)


@dataclass(frozen=True)
class squared_error(Loss):
    """``1/2 sum_k (y_hat_k - y_k)²``.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.losses.squared_error().value_and_gradient(np.asarray([[3.0, 1.0]]), np.asarray([[1.0, 1.0]]), np)
    (array([2.]), array([[2., 0.]]))
    """

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and ``y_hat - y``."""
        r = x - y
        return 0.5 * xp.sum(r * r, axis=-1), r


@dataclass(frozen=True)
class mean_squared_error(Loss):
    """``1/K sum_k (y_hat_k - y_k)²``: the mean over the K outputs, with no factor 1/2.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.losses.mean_squared_error().value_and_gradient(np.asarray([[3.0, 1.0]]), np.asarray([[1.0, 1.0]]), np)
    (array([2.]), array([[2., 0.]]))
    """

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and ``2/K (y_hat - y)``."""
        r = x - y
        return xp.sum(r * r, axis=-1) / r.shape[-1], r * (2 / r.shape[-1])


@dataclass(frozen=True)
class absolute_error(Loss):
    """``sum_k |y_hat_k - y_k|``; the gradient at 0 is 0.

    Source: [1]_.

    References
    ----------
    .. [1] P. Bloomfield and W. L. Steiger, "Least absolute deviations: theory, applications, and algorithms",
       Birkhäuser, 1983.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.losses.absolute_error().value_and_gradient(np.asarray([[3.0, 1.0]]), np.asarray([[1.0, 1.0]]), np)
    (array([2.]), array([[1., 0.]]))
    """

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and ``sign(y_hat - y)``."""
        r = x - y
        return xp.sum(xp.abs(r), axis=-1), xp.sign(r)


@dataclass(frozen=True)
class huber(Loss):
    """With ``r = y_hat - y`` the sum over k of ``r²/2`` for ``|r| <= delta``, else ``delta (|r| - delta/2)``.

    Source: [1]_.

    Parameters
    ----------
    delta : float
        Where the square turns into a line; above 0, in the unit of the target.

    Raises
    ------
    ValueError
        Where `delta` is not above 0.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.losses.huber(delta=1.0).value_and_gradient(np.asarray([[3.0, 1.5]]), np.asarray([[1.0, 1.0]]), np)
    (array([1.625]), array([[1. , 0.5]]))
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        self._store("delta", check_number("delta", self.delta, above=0))

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and ``clip(y_hat - y, -delta, delta)``."""
        r = x - y
        g = xp.clip(r, -self.delta, self.delta)
        # inside g = r and the term is r²/2; outside |g| = delta and it is delta |r| - delta²/2
        return xp.sum(g * (r - 0.5 * g), axis=-1), g


@dataclass(frozen=True)
class quantile(Loss):
    """With ``r = y_hat - y`` the sum over k of ``max(-tau r, (1 - tau) r)``; the gradient at 0 is 0.

    Source: [1]_.

    Its minimum is the quantile of order tau; the loss is also called pinball.

    Parameters
    ----------
    tau : float
        The order, between 0 and 1.

    Raises
    ------
    ValueError
        Where `tau` is not between 0 and 1.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.losses.quantile(tau=0.75).value_and_gradient(np.asarray([[3.0, 0.0]]), np.asarray([[1.0, 1.0]]), np)
    (array([1.25]), array([[ 0.25, -0.75]]))
    """

    tau: float = 0.5

    def __post_init__(self) -> None:
        self._store("tau", check_number("tau", self.tau, above=0, below=1))

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and ``1 - tau`` above the target, ``-tau`` below."""
        r = x - y
        above, below = indicator(r > 0, r, xp), indicator(r < 0, r, xp)
        g = (1 - self.tau) * above - self.tau * below
        return xp.sum(g * r, axis=-1), g


@dataclass(frozen=True)
class poisson(Loss):
    """Half the Poisson deviance of counts, ``sum_k e^z - y z + y log y - y`` with ``0 log 0 = 0``.

    Source: [1]_.

    The output is ``exp``: the network's outputs are the expected counts ``e^z``.

    References
    ----------
    .. [1] P. McCullagh and J. A. Nelder, "Generalized linear models", second edition, Chapman and Hall, 1989.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.losses.poisson().value_and_gradient(np.asarray([[0.0, 0.0]]), np.asarray([[1.0, 3.0]]), np)
    (array([1.29583687]), array([[ 0., -2.]]))
    """

    output = "exp"

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and ``e^z - y``."""
        mean = xp.exp(x)
        # with d = z - log y the term is y (e^d - 1 - d): large parts that cancel are never formed
        d = x - xp.log(xp.where(y > 0, y, xp.ones_like(y)))
        return xp.sum(xp.where(y > 0, y * (xp.expm1(d) - d), mean), axis=-1), mean - y

    def check_targets(self, y: Array, xp: Namespace) -> None:
        """Refuse negative counts."""
        _require(y >= 0, "hold counts of at least 0 for the loss 'poisson'", xp)


@dataclass(frozen=True)
class perceptron(Loss):
    """``sum_k (y_hat_k - y_k) z_k``: how far ``z`` lies on the wrong side of 0, and 0 where it lies on the right one.

    The output is ``step``; targets are 0 or 1. Gradient descent with ``batch_size=1`` makes the update
    ``w <- w + learning_rate (y - y_hat) x``, which is the perceptron learning rule [1]_. Where ``z = 0`` the unit puts
    out 1: a target of 0 is then missed, and corrected, though the loss is 0. Count errors with ``"error_rate"``.

    References
    ----------
    .. [1] F. Rosenblatt, "The perceptron: a probabilistic model for information storage and organization in the
       brain", Psychological Review 65, 1958.

    Examples
    --------
    >>> import mlpx
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
    >>> net = mlpx.MLP([2, 1], output="step", initializer="zeros")
    >>> history = net.fit(X, y, epochs=20, batch_size=1, optimizer=mlpx.SGD(1.0))
    >>> net.predict_labels(X)
    array([0, 0, 0, 1])
    """

    output = "step"

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and ``y_hat - y``."""
        wrong = step()(x, xp) - y  # 1: should be off; -1: should be on
        return xp.sum(wrong * x, axis=-1), wrong

    def check_targets(self, y: Array, xp: Namespace) -> None:
        """Refuse targets other than 0 and 1."""
        _require((y == 0) | (y == 1), "hold nothing but 0 and 1 for the loss 'perceptron'", xp)


@dataclass(frozen=True)
class binary_cross_entropy(Loss):
    """``-sum_k y log y_hat + (1 - y) log(1 - y_hat)``, computed as ``softplus(z) - y z``.

    Source: [1]_.

    The output is ``logistic``; targets lie between 0 and 1.

    References
    ----------
    .. [1] D. R. Cox, "The regression analysis of binary sequences", Journal of the Royal Statistical Society B 20,
       1958.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.losses.binary_cross_entropy().value_and_gradient(np.asarray([[0.0, 0.0]]), np.asarray([[1.0, 0.0]]), np)
    (array([1.38629436]), array([[-0.5,  0.5]]))
    """

    output = "logistic"

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and ``y_hat - y``."""
        # softplus(z) - y z, with the large parts of both taken from each other first: at y = 1 they cancel exactly
        value = xp.maximum(x, 0.0) - y * x + xp.log1p(xp.exp(-xp.abs(x)))
        return xp.sum(value, axis=-1), sigmoid(x, xp) - y

    def check_targets(self, y: Array, xp: Namespace) -> None:
        """Refuse targets outside [0, 1]."""
        _require((y >= 0) & (y <= 1), "lie between 0 and 1 for the loss 'binary_cross_entropy'", xp)


@dataclass(frozen=True)
class cross_entropy(Loss):
    """``-sum_k y_k log y_hat_k``, computed as ``sum_k y_k (log sum_c e^z_c - z_k)``; the output is ``softmax``.

    Source: [1]_.

    Targets are integer class indices, or rows of probabilities (not negative, with the sum 1).

    References
    ----------
    .. [1] J. S. Bridle, "Training stochastic model recognition algorithms as networks can lead to maximum mutual
       information estimation of parameters", NIPS 1989.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.losses.cross_entropy().value_and_gradient(np.asarray([[0.0, 0.0]]), np.asarray([[1.0, 0.0]]), np)
    (array([0.69314718]), array([[-0.5,  0.5]]))
    """

    output = "softmax"

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and ``y_hat - y``."""
        probabilities = softmax()(x, xp)
        shifted = x - xp.max(x, axis=-1, keepdims=True)
        log_sum = xp.log(xp.sum(xp.exp(shifted), axis=-1))
        if xp.isdtype(y.dtype, "integral"):
            classes = xp.arange(x.shape[-1], dtype=y.dtype, device=device(y))
            y = xp.astype(y[..., None] == classes, x.dtype)
        else:
            total = xp.sum(y, axis=-1)  # 1 but for rounding
            log_sum, probabilities = log_sum * total, probabilities * total[..., None]
        return log_sum - xp.sum(y * shifted, axis=-1), probabilities - y

    def check_targets(self, y: Array, xp: Namespace) -> None:
        """Refuse rows that are no probabilities."""
        if not xp.isdtype(y.dtype, "integral"):
            near_one = xp.abs(xp.sum(y, axis=-1) - 1) < 1e-4
            _require(y >= 0, "hold probabilities of at least 0 for the loss 'cross_entropy'", xp)
            _require(near_one, "have rows with the sum 1 for the loss 'cross_entropy'", xp)


@dataclass(frozen=True)
class formula(Written, Loss):
    """A loss from a formula as a text, summed over the outputs; `mlpx.differentiation.loss_from_formula` makes it.

    Parameters
    ----------
    text : str
        A formula in the variables ``p``, an output, and ``y``, its target.
    parameters : tuple of (str, float)
        The value of each parameter, by name.

    Raises
    ------
    ValueError
        For a formula that is not understood, with the place, or one that has no derivative.
    TypeError
        For what is no text, or parameters that are no numbers.
    ImportError
        Where SymPy is not installed.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.losses.formula("(p - y)**2").value_and_gradient(np.asarray([[3.0]]), np.asarray([[1.0]]), np)
    (array([4.]), array([[4.]]))
    """

    text: str
    parameters: tuple[tuple[str, float], ...] = ()

    variables = ("p", "y")

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and the derivative by ``p``."""
        return xp.sum(self._value(x, y, xp=xp), axis=-1), self._slope(x, y, xp=xp)


@dataclass(frozen=True)
class automatic(Loss):
    """A loss of your own, from one function: its gradient is found by reverse mode.

    Parameters
    ----------
    function : callable
        ``function(y_hat, y, xp)`` returns the loss of every sample, shape ``(..., N)``, from outputs and targets of
        shape ``(..., N, K)``, written in functions of the standard. The loss of a sample depends on its row alone.

    Raises
    ------
    TypeError
        Where it is no function of ``(y_hat, y, xp)``, or leaves the functions that have a rule.
    ValueError
        Where its result has another shape; this shows when a network is made.

    Examples
    --------
    >>> import mlpx
    >>> def log_cosh(y_hat, y, xp):
    ...     return xp.sum(xp.log(xp.cosh(y_hat - y)), axis=-1)
    >>> net = mlpx.MLP([2, 8, 1], output="linear", loss=log_cosh)
    >>> net.loss.name
    'automatic'
    """

    function: Formula

    def __post_init__(self) -> None:
        from mlpx.differentiation.callables import check_signature

        check_signature("loss", self.function)

    @property
    def label(self) -> str:
        """Name of the function, where it has one."""
        return name_of(self.function, self.name)

    def check_units(self, units: int) -> None:
        """Refuse a function that does not give one number for each row of so many outputs."""
        from mlpx.differentiation.callables import check_rowwise

        check_rowwise("loss", self.function, units)

    def value_and_gradient(self, x: Array, y: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the value and its derivative by the outputs."""
        from mlpx.differentiation.callables import rowwise

        return rowwise("loss", self.function, x, y, xp)


def get(loss: str | Loss | Formula) -> Loss:
    """Return a loss from its name, from a function of your own, or as it is.

    Parameters
    ----------
    loss : str, Loss or callable
        A name of this module; an object with its parameters; or a function ``f(y_hat, y, xp)``, which goes into
        `automatic`.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError, ValueError
        For a function that is none of ``(y_hat, y, xp)``, or cannot be differentiated.

    Examples
    --------
    >>> get("huber")
    huber(delta=1.0)
    >>> get(lambda y_hat, y, xp: xp.sum((y_hat - y) ** 4, axis=-1)).name
    'automatic'
    """
    if callable(loss) and not isinstance(loss, (Loss, type)):
        return automatic(loss)
    return Loss.get(loss)
