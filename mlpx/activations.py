"""Activations: each formula beside its exact derivative, in functions of the Array API standard.

An activation is called with the net input and a namespace, ``f(z, xp)``. Its `derivative` takes what its class names
in `uses`: the net input ``z``, or the value ``y = f(z)``, so that a training step need keep only one of the two. All
formulas stay finite wherever the mathematics is: no exponential of a large positive number is ever taken.

Class names are the names by which activations are chosen, hence in lower case: ``activation="leaky_relu"`` and
``activation=mlpx.activations.leaky_relu(gamma=0.2)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mlpx import special
from mlpx._checks import check_choice, check_number
from mlpx._typing import Array, Formula, Namespace
from mlpx.description import Description, name_of
from mlpx.special import erf, indicator
from mlpx.written import Written

__all__ = [
    "Activation",
    "automatic",
    "custom",
    "elu",
    "erf",
    "exp",
    "formula",
    "gelu",
    "get",
    "hard_logistic",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "logistic",
    "mish",
    "relu",
    "selu",
    "softmax",
    "softplus",
    "step",
    "swish",
    "tanh",
]


class Activation(Description):
    """An element-wise function and its derivative.

    Attributes
    ----------
    uses : {"z", "y"}
        Whether `derivative` takes the net input or the value.
    differentiable : bool
        Whether a network with it can be trained.

    Examples
    --------
    >>> import numpy as np
    >>> import mlpx
    >>> mlpx.activations.relu()(np.asarray([-1.0, 2.0]), np)
    array([0., 2.])
    """

    family: ClassVar[str] = "activation"
    aliases = {"sigmoid": "logistic", "linear": "identity", "silu": "swish"}  # noqa: RUF012
    also = ", or one of the layers PReLU and Maxout"
    uses: ClassVar[Literal["z", "y"]] = "z"
    differentiable: ClassVar[bool] = True

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``.

        Parameters
        ----------
        z : array of shape (..., N, M)
            Net input.
        xp : namespace
            The functions to compute with.

        Returns
        -------
        array of shape (..., N, M)
        """
        raise NotImplementedError

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'``, from the net input or from the value, as `uses` says.

        Parameters
        ----------
        v : array of shape (..., N, M)
            The net input ``z``, or the value ``y = f(z)`` where `uses` is ``"y"``.
        xp : namespace
            The functions to compute with.

        Returns
        -------
        array of shape (..., N, M)

        Raises
        ------
        ValueError
            Where there is no element-wise derivative.
        """
        raise NotImplementedError

    def backward(self, dy: Array, z: Array, y: Array, xp: Namespace) -> Array:
        """Return the error term ``dy * f'(z)``.

        Parameters
        ----------
        dy : array of shape (..., N, M)
            Derivative of the loss by the value.
        z, y : array of shape (..., N, M)
            Net input and value.
        xp : namespace
            The functions to compute with.

        Returns
        -------
        array of shape (..., N, M)
            Derivative of the loss by the net input.
        """
        return dy * self.derivative(z if self.uses == "z" else y, xp)


@dataclass(frozen=True)
class identity(Activation):
    """``f(z) = z``.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.identity()(np.asarray([-2.0, 0.0, 2.0]), np)
    array([-2.,  0.,  2.])
    """

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return z

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return 1."""
        return xp.ones_like(v)

    def backward(self, dy: Array, z: Array, y: Array, xp: Namespace) -> Array:
        """Return `dy`."""
        return dy


@dataclass(frozen=True)
class step(Activation):
    """``f(z) = 1`` for ``z >= 0``, else 0: the neuron of McCulloch and Pitts.

    It has no derivative to train with. As the output alone it is trained by the rule of `mlpx.losses.perceptron`.

    Source: [1]_.

    References
    ----------
    .. [1] W. S. McCulloch and W. Pitts, "A logical calculus of the ideas immanent in nervous activity", Bulletin of
       Mathematical Biophysics 5, 1943.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.step()(np.asarray([-2.0, 0.0, 2.0]), np)
    array([0., 1., 1.])
    """

    differentiable = False

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return indicator(z >= 0, z, xp)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Refuse."""
        msg = "`activation` 'step' has no derivative to train with; use 'logistic' for a smooth step."
        raise ValueError(msg)


@dataclass(frozen=True)
class logistic(Activation):
    """``f(z) = 1 / (1 + e^-z)``, also called sigmoid; ``f' = y (1 - y)``.

    Source: [1]_.

    References
    ----------
    .. [1] D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning representations by back-propagating errors",
       Nature 323, 1986.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.logistic()(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([0.119, 0.5  , 0.881])
    """

    uses = "y"

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return special.sigmoid(z, xp)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the value."""
        return v * (1 - v)


@dataclass(frozen=True)
class tanh(Activation):
    """``f(z) = tanh z``; ``f' = 1 - y²``.

    Source: [1]_.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient backprop", Neural Networks: Tricks of the Trade,
       1998.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.tanh()(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([-0.964,  0.   ,  0.964])
    """

    uses = "y"

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return xp.tanh(z)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the value."""
        return 1 - v * v


@dataclass(frozen=True)
class hard_logistic(Activation):
    """``f(z) = max(min(z/4 + 1/2, 1), 0)``; ``f' = 1/4`` inside, 0 outside and on the edge.

    Source: [1]_.

    References
    ----------
    .. [1] C. Gulcehre, M. Moczulski, M. Denil and Y. Bengio, "Noisy activation functions", ICML 2016.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.hard_logistic()(np.asarray([-3.0, 0.0, 1.0]), np)
    array([0.  , 0.5 , 0.75])
    """

    uses = "y"

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return xp.clip(0.25 * z + 0.5, 0.0, 1.0)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the value."""
        return 0.25 * indicator((v > 0) & (v < 1), v, xp)


@dataclass(frozen=True)
class hard_tanh(Activation):
    """``f(z) = max(min(z, 1), -1)``; ``f' = 1`` inside, 0 outside and on the edge.

    Source: [1]_.

    References
    ----------
    .. [1] C. Gulcehre, M. Moczulski, M. Denil and Y. Bengio, "Noisy activation functions", ICML 2016.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.hard_tanh()(np.asarray([-2.0, 0.0, 2.0]), np)
    array([-1.,  0.,  1.])
    """

    uses = "y"

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return xp.clip(z, -1.0, 1.0)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the value."""
        return indicator(xp.abs(v) < 1, v, xp)


@dataclass(frozen=True)
class relu(Activation):
    """``f(z) = max(0, z)``; ``f' = 1`` for ``z > 0``, else 0.

    Source: [1]_.

    References
    ----------
    .. [1] V. Nair and G. E. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.relu()(np.asarray([-2.0, 0.0, 2.0]), np)
    array([0., 0., 2.])
    """

    uses = "y"

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return xp.maximum(z, 0.0)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the value."""
        return indicator(v > 0, v, xp)


@dataclass(frozen=True)
class leaky_relu(Activation):
    """``f(z) = max(0, z) + gamma min(0, z)``; ``f' = 1`` for ``z > 0``, else gamma.

    Source: [1]_.

    Parameters
    ----------
    gamma : float
        The slope below zero.

    Raises
    ------
    ValueError
        Where `gamma` is not finite.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier nonlinearities improve neural network acoustic models",
       ICML 2013, workshop on deep learning for audio, speech and language processing.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.leaky_relu(gamma=0.1)(np.asarray([-2.0, 0.0, 2.0]), np)
    array([-0.2,  0. ,  2. ])
    """

    gamma: float = 0.01

    def __post_init__(self) -> None:
        self._store("gamma", check_number("gamma", self.gamma))

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return xp.maximum(z, 0.0) + self.gamma * xp.minimum(z, 0.0)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        return self.gamma + (1 - self.gamma) * indicator(v > 0, v, xp)


@dataclass(frozen=True)
class elu(Activation):
    """``f(z) = max(0, z) + min(0, gamma (e^z - 1))``; ``f' = 1`` for ``z > 0``, else ``gamma e^z``.

    Source: [1]_.

    Parameters
    ----------
    gamma : float
        Minus the limit at minus infinity; not negative.

    Raises
    ------
    ValueError
        Where `gamma` is negative or not finite.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep network learning by exponential
       linear units (ELUs)", ICLR 2016.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.elu()(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([-0.865,  0.   ,  2.   ])
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        self._store("gamma", check_number("gamma", self.gamma, least=0))

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return xp.maximum(z, 0.0) + self.gamma * xp.expm1(xp.minimum(z, 0.0))

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        # above zero the exponential is 1, and the two terms add up to 1
        return (1 - self.gamma) * indicator(v > 0, v, xp) + self.gamma * xp.exp(xp.minimum(v, 0.0))


SELU_LAMBDA = 1.0507009873554805
SELU_GAMMA = 1.6732632423543772


@dataclass(frozen=True)
class selu(Activation):
    """``f(z) = lambda elu(z; gamma)`` with the constants that keep mean 0 and variance 1.

    Source: [1]_.

    References
    ----------
    .. [1] G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-normalizing neural networks", NIPS 2017.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.selu()(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([-1.52 ,  0.   ,  2.101])
    """

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return SELU_LAMBDA * elu(SELU_GAMMA)(z, xp)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        return SELU_LAMBDA * elu(SELU_GAMMA).derivative(v, xp)


@dataclass(frozen=True)
class softplus(Activation):
    """``f(z) = log(1 + e^z)``; ``f'`` is the logistic function.

    Source: [1]_.

    References
    ----------
    .. [1] C. Dugas, Y. Bengio, F. Bélisle, C. Nadeau and R. Garcia, "Incorporating second-order functional knowledge
       for better option pricing", NIPS 2000.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.softplus()(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([0.127, 0.693, 2.127])
    """

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return special.softplus(z, xp)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        return special.sigmoid(v, xp)


@dataclass(frozen=True)
class swish(Activation):
    """``f(z) = z s`` with ``s = logistic(beta z)``, also called SiLU; ``f' = s + beta z s (1 - s)``.

    Source: [1]_.

    Parameters
    ----------
    beta : float
        0 gives ``z / 2``, infinity would give ReLU.

    Raises
    ------
    ValueError
        Where `beta` is not finite.
    TypeError
        Where it is no number.

    References
    ----------
    .. [1] P. Ramachandran, B. Zoph and Q. V. Le, "Searching for activation functions", arXiv:1710.05941, 2017.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.swish(beta=2.0)(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([-0.036,  0.   ,  1.964])
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        self._store("beta", check_number("beta", self.beta))

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return z * special.sigmoid(self.beta * z, xp)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        scaled = self.beta * v
        s = special.sigmoid(scaled, xp)
        return s + xp.clip(scaled, -_SIGMA_BOUND, _SIGMA_BOUND) * s * (1 - s)


_SIGMA_BOUND = 1000.0  # beyond it s (1 - s) is 0 to the last bit, and infinity times 0 would be NaN


@dataclass(frozen=True)
class gelu(Activation):
    """``f(z) = z Phi(z)`` with the normal distribution function Phi; ``f' = Phi(z) + z phi(z)``.

    Source: [1]_.

    Parameters
    ----------
    approximate : {"none", "tanh", "logistic"}
        ``"none"`` is exact; ``"logistic"`` is ``z logistic(1.702 z)``; ``"tanh"`` is
        ``z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z³)))``.

    Raises
    ------
    ValueError
        For another name than these three.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.gelu()(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([-0.046,  0.   ,  1.954])
    """

    approximate: str = "none"

    def __post_init__(self) -> None:
        check_choice("approximate", self.approximate, ("none", "tanh", "logistic"))

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        if self.approximate == "logistic":
            return swish(1.702)(z, xp)
        if self.approximate == "tanh":
            return 0.5 * z * (1 + xp.tanh(_gelu_cubic(z, xp)))
        return z * _normal_distribution(z, xp)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        if self.approximate == "logistic":
            return swish(1.702).derivative(v, xp)
        bounded = xp.clip(v, -_GELU_BOUND, _GELU_BOUND)
        if self.approximate == "tanh":
            t = xp.tanh(_gelu_cubic(v, xp))
            slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * bounded * bounded)
            return 0.5 * (1 + t) + 0.5 * bounded * (1 - t * t) * slope
        density = xp.exp(-0.5 * bounded * bounded) / math.sqrt(2 * math.pi)
        return _normal_distribution(v, xp) + bounded * density


_GELU_BOUND = 50.0  # beyond it the bell and 1 - tanh² are 0 to the last bit, in float64 too


def _gelu_cubic(z: Array, xp: Namespace) -> Array:
    bounded = xp.clip(z, -_GELU_BOUND, _GELU_BOUND)
    return math.sqrt(2 / math.pi) * (bounded + 0.044715 * bounded * bounded * bounded)


def _normal_distribution(z: Array, xp: Namespace) -> Array:
    return 0.5 * (1 + erf(z * math.sqrt(0.5), xp))


@dataclass(frozen=True)
class mish(Activation):
    """``f(z) = z t`` with ``t = tanh(softplus z)``; ``f' = t + z logistic(z) (1 - t²)``.

    Source: [1]_.

    References
    ----------
    .. [1] D. Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.mish()(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([-0.253,  0.   ,  1.944])
    """

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return z * xp.tanh(special.softplus(z, xp))

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        t = xp.tanh(special.softplus(v, xp))
        return t + v * special.sigmoid(v, xp) * (1 - t * t)


@dataclass(frozen=True)
class exp(Activation):
    """``f(z) = e^z``: the output of a log-linear mean, as in Poisson regression.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.exp()(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([0.135, 1.   , 7.389])
    """

    uses = "y"

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return xp.exp(z)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the value."""
        return v


@dataclass(frozen=True)
class softmax(Activation):
    """``f(z)_c = e^z_c / sum_k e^z_k``: probabilities of classes, for the output.

    Source: [1]_.

    It is not element-wise: with ``s = f(z)`` the error term is ``s * (dy - sum_c dy_c s_c)``.

    References
    ----------
    .. [1] J. S. Bridle, "Training stochastic model recognition algorithms as networks can lead to maximum mutual
       information estimation of parameters", NIPS 1989.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> mlpx.activations.softmax()(np.asarray([[0.0, 1.0, 2.0]]), np).round(3)
    array([[0.09 , 0.245, 0.665]])
    """

    uses = "y"

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``, along the last axis."""
        e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
        return e / xp.sum(e, axis=-1, keepdims=True)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Refuse: the derivative is a matrix."""
        msg = "`softmax` has no element-wise derivative; its backward() gives the product with the Jacobian."
        raise ValueError(msg)

    def backward(self, dy: Array, z: Array, y: Array, xp: Namespace) -> Array:
        """Return the error term."""
        return y * (dy - xp.sum(dy * y, axis=-1, keepdims=True))


@dataclass(frozen=True)
class custom(Activation):
    """An activation of your own, from two functions written with the functions of the standard.

    Parameters
    ----------
    function : callable
        ``function(z, xp)`` returns ``f(z)``, element by element.
    derivative_function : callable
        ``derivative_function(z, xp)`` returns ``f'(z)``.

    Raises
    ------
    TypeError
        Where one of them is no function.

    Examples
    --------
    >>> import mlpx
    >>> sine = mlpx.activations.custom(lambda z, xp: xp.sin(z), lambda z, xp: xp.cos(z))
    >>> net = mlpx.MLP([2, 8, 1], activation=sine, output="linear")
    """

    function: Formula
    derivative_function: Formula

    def __post_init__(self) -> None:
        for name in ("function", "derivative_function"):
            if not callable(getattr(self, name)):
                msg = f"`{name}` must be a function of (z, xp), got {getattr(self, name)!r}."
                raise TypeError(msg)

    @property
    def label(self) -> str:
        """Name of the function, where it has one."""
        return name_of(self.function, self.name)

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return xp.astype(self.function(z, xp), z.dtype, copy=False)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        return xp.astype(self.derivative_function(v, xp), v.dtype, copy=False)


@dataclass(frozen=True)
class formula(Written, Activation):
    """An activation from a formula as a text; `mlpx.differentiation.activation_from_formula` makes it.

    Parameters
    ----------
    text : str
        A formula in the variable ``x`` (or ``z``).
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
    >>> mlpx.activations.formula("x * sigmoid(beta * x)", (("beta", 2.0),))(np.asarray([-2.0, 0.0, 2.0]), np).round(3)
    array([-0.036,  0.   ,  1.964])
    """

    text: str
    parameters: tuple[tuple[str, float], ...] = ()

    variables = ("x",)

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        return self._value(z, xp=xp)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        return self._slope(v, xp=xp)


@dataclass(frozen=True)
class automatic(Activation):
    """An activation of your own, from one function: its derivative is found by forward mode.

    Where the function has a kink the derivative is that from the left, or 0 where those from both sides have opposite
    signs: for ``xp.maximum(z, 0.0)`` at 0 it is 0; see `mlpx.differentiation.derivative`. A plan goes through the
    function once, when it is laid out, not in every step.

    Parameters
    ----------
    function : callable
        ``function(z, xp)`` returns ``f(z)``, element by element, written in functions of the standard.

    Raises
    ------
    TypeError
        Where it is no function of ``(z, xp)``, or leaves the functions that have a rule.
    ValueError
        Where it does not work element by element.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([2, 8, 1], activation=lambda z, xp: z * xp.sin(z), output="linear")
    >>> net.layers[0].activation.name
    'automatic'
    """

    function: Formula

    def __post_init__(self) -> None:
        from mlpx.differentiation.callables import check_elementwise

        check_elementwise("activation", self.function)

    @property
    def label(self) -> str:
        """Name of the function, where it has one."""
        return name_of(self.function, self.name)

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return ``f(z)``."""
        y = self.function(z, xp)
        return y if getattr(y, "dtype", None) == z.dtype else xp.astype(y * xp.ones_like(z), z.dtype)

    def derivative(self, v: Array, xp: Namespace) -> Array:
        """Return ``f'`` from the net input."""
        from mlpx.differentiation.forward import derivative

        return xp.astype(derivative(self.function)(v, xp), v.dtype, copy=False)


def get(activation: str | Activation | Formula) -> Activation:
    """Return an activation from its name, from a function of your own, or as it is.

    Parameters
    ----------
    activation : str, Activation or callable
        A name of this module, also ``"sigmoid"``, ``"linear"`` and ``"silu"``; an object with its parameters; or a
        function ``f(z, xp)``, which goes into `automatic`.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError, ValueError
        For a function that is none of ``(z, xp)``, or cannot be differentiated.

    Examples
    --------
    >>> get("leaky_relu")
    leaky_relu(gamma=0.01)
    >>> get(lambda z, xp: xp.sin(z)).name
    'automatic'
    """
    if callable(activation) and not isinstance(activation, (Activation, type)):
        return automatic(activation)
    _refuse_layers(activation)
    return Activation.get(activation)


def _refuse_layers(activation: Any) -> None:
    if isinstance(activation, Activation) or (isinstance(activation, str) and activation in Activation.known):
        return
    kind = activation if isinstance(activation, type) else type(activation)
    name = (activation if isinstance(activation, str) else kind.__name__).lower()
    places = {"prelu": "PReLU(units) behind a Dense without an activation", "maxout": "Maxout(...) in place of Dense"}
    if name in places:
        msg = f"`activation` {activation!r} is a layer of its own: put {places[name]}, or give MLP activation={name!r}."
        raise ValueError(msg)
