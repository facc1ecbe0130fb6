"""`MLP`: a network whose layers are built from a few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpx import activations
from mlpx._checks import check_count, check_members, check_numbers, one_by_position
from mlpx._typing import Formula, Numbers
from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.initializers import Initializer
from mlpx.layers import Dense, Dropout, Layer, Maxout, PReLU
from mlpx.layers.dropout import MOST_DROPPED
from mlpx.losses import Loss
from mlpx.model import Network

__all__ = ["MLP"]


class MLP(Network):
    """A network of dense layers, from their sizes.

    Parameters
    ----------
    sizes : sequence of int
        Units of the input, of each hidden layer and of the output.
    activation : str, Activation, callable or a list of these
        Of the hidden layers; a list gives one a layer. Also ``"prelu"`` and ``"maxout"``, which are layers of their
        own, `PReLU` and `Maxout` of two pieces.
    output : str or Activation
        ``"softmax"`` for classes, ``"sigmoid"`` for two classes in one unit or for several labels at once, ``"linear"``
        for values, ``"exp"`` for counts, ``"step"`` for threshold units.
    loss, l2, dtype, seed, members, backend, device, precision
        As for `Network`.
    dropout : float or sequence of float
        Rate after every hidden activation; with a stack also one number a member.
    input_dropout : float or sequence of float
        Rate at the input.
    max_norm : float, optional
        Bound on the norm of the weights that come into a unit, kept after each update.
    initializer : str or Initializer
        Of the weights; see `mlpx.initializers`.

    Raises
    ------
    ValueError, TypeError
        For arguments that do not fit.
    BackendUnavailableError
        For a backend whose library or device is not there.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.MLP([784, 256, 128, 10])
    <MLP 784 - 256 relu - 128 relu - 10 softmax; loss cross_entropy; 235146 parameters float32 on numpy, cpu>
    """

    @one_by_position("sizes", "[64, 128, 10]")
    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str | Activation | Formula | Sequence[str | Activation | Formula] = "relu",
        output: str | Activation = "softmax",
        loss: str | Loss | Formula | None = None,
        l2: Numbers = 0.0,
        dropout: Numbers = 0.0,
        input_dropout: Numbers = 0.0,
        max_norm: float | None = None,
        initializer: str | Initializer = "auto",
        dtype: str = "float32",
        seed: int | Sequence[int] = 0,
        members: int | None = None,
        backend: str | Backend | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> None:
        rates = {
            name: check_numbers(name, rate, least=0, below=MOST_DROPPED)
            for name, rate in (("dropout", dropout), ("input_dropout", input_dropout))
        }
        for name, rate in rates.items():
            check_members(name, rate, members)
        functions = _mlp_activations(sizes, activation)
        super().__init__(
            _mlp_layers(
                sizes, functions, _mlp_output(output), rates, {"initializer": initializer, "max_norm": max_norm}
            ),
            loss=loss,
            l2=l2,
            dtype=dtype,
            seed=seed,
            members=members,
            backend=backend,
            device=device,
            precision=precision,
        )


def _mlp_activations(sizes: Any, activation: Any) -> list[Any]:
    """Return the activation of each hidden layer."""
    listed = hasattr(sizes, "__len__") and not isinstance(sizes, (str, bytes, dict)) and getattr(sizes, "ndim", 1) == 1
    if not listed or len(sizes) < 2:
        msg = f"`sizes` must list the units of the input and of every layer, such as [64, 128, 10]; got {sizes!r}."
        raise ValueError(msg)
    hidden = len(sizes) - 2
    functions = list(activation) if isinstance(activation, (list, tuple)) else [activation] * hidden
    if len(functions) != hidden:
        msg = f"`activation` must be one, or a list of {hidden}, one a hidden layer; got {len(functions)}."
        raise ValueError(msg)
    return functions


def _mlp_output(output: Any) -> Activation:
    try:
        return activations.get(output)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("`activation`", "`output`")) from None


def _mlp_layers(
    sizes: Any, functions: list[Any], output: Activation, rates: dict[str, Any], options: dict[str, Any]
) -> list[Layer]:
    """Return the layers of an `MLP`."""
    units = [check_count(f"sizes[{i}]", size) for i, size in enumerate(sizes)]
    layers = _dropped(rates["input_dropout"])
    for fan_in, fan_out, function in zip(units, units[1:-1], functions, strict=False):
        name = function if isinstance(function, str) else ""
        if name == "maxout":
            layers.append(Maxout(fan_in, fan_out, **options))
        else:
            learned = name == "prelu"
            layers.append(Dense(fan_in, fan_out, "identity" if learned else function, **options))
            layers.extend([PReLU(fan_out)] if learned else [])
        layers.extend(_dropped(rates["dropout"]))
    return [*layers, Dense(units[-2], units[-1], output, **options)]


def _dropped(rate: float | tuple[float, ...]) -> list[Layer]:
    """Return the dropout layer, where there is any dropout."""
    return [Dropout(rate)] if (any(rate) if isinstance(rate, tuple) else rate) else []
