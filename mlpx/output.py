"""The output: activation and loss in one place, with value and error term from the net input in one pass."""

from __future__ import annotations

from dataclasses import dataclass

from mlpx import activations, losses
from mlpx._typing import Array, Formula, Namespace
from mlpx.activations import Activation
from mlpx.losses import Loss

__all__ = ["Output", "pair"]

_LOSS_OF = {"logistic": "binary_cross_entropy", "softmax": "cross_entropy", "exp": "poisson", "step": "perceptron"}


@dataclass(frozen=True)
class Output:
    """The end of a network: ``y_hat = f(z)`` and a loss.

    Parameters
    ----------
    activation : Activation
        The function f.
    loss : Loss
        What is averaged over the samples.
    units : int
        The number K of outputs.
    """

    activation: Activation
    loss: Loss
    units: int

    def __post_init__(self) -> None:
        name, needed = self.activation.name, self.loss.output
        if needed is not None and name != needed:
            msg = f"`loss` {self.loss.name!r} needs the output {needed!r}, got the output {name!r}."
            raise ValueError(msg)
        if name == "softmax" and self.units < 2:
            msg = "`output` 'softmax' needs at least 2 units; for two classes in one unit use 'sigmoid'."
            raise ValueError(msg)
        self.loss.check_units(self.units)

    @property
    def task(self) -> str:
        """What the outputs stand for: ``"classes"``, ``"binary"``, ``"labels"`` (several yes or no) or ``"values"``."""
        if self.activation.name in ("logistic", "step"):
            return "binary" if self.units == 1 else "labels"
        return "classes" if self.activation.name == "softmax" else "values"

    def __call__(self, z: Array, xp: Namespace) -> Array:
        """Return the outputs ``f(z)``."""
        return self.activation(z, xp)

    def loss_and_delta(self, z: Array, y: Array, weight: Array | None, xp: Namespace) -> tuple[Array, Array, Array]:
        """Return the averaged loss, its derivative by z, and the outputs.

        Parameters
        ----------
        z : array of shape (..., N, K)
            Net input of the output.
        y : array of shape (..., N, K) or (..., N)
            Targets.
        weight : array of shape (..., N), optional
            Weight of each sample, with the sum 1; by default 1/N each.
        xp : namespace
            The functions to compute with.

        Returns
        -------
        loss : array of shape (...)
        delta : array of shape (..., N, K)
        y_hat : array of shape (..., N, K)
        """
        y_hat = self.activation(z, xp)
        if self.loss.output is not None:
            value, delta = self.loss.value_and_gradient(z, y, xp)
        else:
            value, gradient = self.loss.value_and_gradient(y_hat, y, xp)
            delta = self.activation.backward(gradient, z, y_hat, xp)
        if weight is None:
            return xp.mean(value, axis=-1), delta / delta.shape[-2], y_hat
        weight = xp.astype(weight, z.dtype, copy=False)
        return xp.sum(value * weight, axis=-1), delta * weight[..., None], y_hat

    def decide(self, y_hat: Array, xp: Namespace) -> Array:
        """Return the decision: a class index of shape (..., N), or 0/1 of shape (..., N, K)."""
        if self.task == "classes":
            return xp.argmax(y_hat, axis=-1)
        if self.task == "values":
            msg = f"`output` {self.activation.name!r} gives values, not labels; use predict()."
            raise ValueError(msg)
        return xp.astype(y_hat > 0.5, xp.int64)

    def truth(self, y: Array, xp: Namespace) -> Array:
        """Return the targets in the form of `decide`."""
        return y if xp.isdtype(y.dtype, "integral") else self.decide(y, xp)


def pair(activation: str | Activation, loss: str | Loss | Formula | None, units: int) -> Output:
    """Return the output for an activation and a loss; ``loss=None`` takes the loss that belongs to the activation.

    Examples
    --------
    >>> pair("softmax", None, 10).loss
    cross_entropy()
    """
    chosen = activations.get(activation)
    return Output(chosen, losses.get(loss if loss is not None else _LOSS_OF.get(chosen.name, "squared_error")), units)
