"""What the modules of a PyTorch model become: layers of a network, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NoReturn

from mlpx import activations
from mlpx.activations import Activation
from mlpx.layers import Dense, Dropout, Layer
from mlpx.precision import MASTER

__all__ = ["EXACT_THRESHOLD", "Reader", "common_dtype", "unrolled"]

# PyTorch's Softplus goes on as a line from its threshold on. Above 40 that is log(1 + e^z) to the last bit of float64,
# above 20, its default, to 2e-9.
EXACT_THRESHOLD, _LEAST_THRESHOLD = 40, 20

# by the name of PyTorch's class; None where its parameters have no counterpart
_FROM_TORCH: dict[str, Callable[[Any], Activation | None]] = {
    "ELU": lambda module: activations.elu(module.alpha),
    "GELU": lambda module: activations.gelu(module.approximate),
    "Hardtanh": lambda module: activations.hard_tanh() if (module.min_val, module.max_val) == (-1, 1) else None,
    "LeakyReLU": lambda module: activations.leaky_relu(module.negative_slope),
    "LogSoftmax": lambda module: activations.softmax() if module.dim in (-1, 1) else None,
    "Mish": lambda module: activations.mish(),
    "ReLU": lambda module: activations.relu(),
    "SELU": lambda module: activations.selu(),
    "SiLU": lambda module: activations.swish(),
    "Sigmoid": lambda module: activations.logistic(),
    "Softmax": lambda module: activations.softmax() if module.dim in (-1, 1) else None,
    "Softplus": lambda module: (
        activations.softplus() if module.beta == 1 and module.threshold >= _LEAST_THRESHOLD else None
    ),
    "Tanh": lambda module: activations.tanh(),
}

_RULES = {
    "BatchNorm1d": "fold it into the Linear before it with torch.nn.utils.fusion.fuse_linear_bn_eval",
    "Flatten": "only a plain Flatten() before the first Linear can be left out; reshape the inputs yourself",
    "Hardsigmoid": "its slope is 1/6, and that of hard_logistic is 1/4; use Sigmoid",
    "Hardtanh": "hard_tanh has min_val=-1 and max_val=1",
    "LogSoftmax": "the softmax is over the last axis; give dim=-1",
    "PReLU": "no slope is learned here; use LeakyReLU",
    "Softmax": "the softmax is over the last axis; give dim=-1",
    "Softplus": f"softplus has beta=1 and no threshold; give one of {_LEAST_THRESHOLD} or more",
}
_KNOWN = f"it has no counterpart; use Linear, Dropout, Identity, {', '.join(_FROM_TORCH)}"


def _refuse(place: str, module: Any, rule: str) -> NoReturn:
    what = type(module).__name__ if list(module.children()) else repr(module)
    msg = f"`sequential` has {what} at position {place}, which cannot be converted: {rule}."
    raise ValueError(msg)


def unrolled(sequential: Any, nn: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the modules in their order, each with its place, such as ``2`` or ``0.1``."""
    _check_as_written(above.rstrip(".") or "(the model itself)", sequential, nn)
    for name, module in sequential._modules.items():
        place = f"{above}{name}"
        if isinstance(module, nn.Sequential):
            yield from unrolled(module, nn, f"{place}.")
        else:
            _check_as_written(place, module, nn)
            yield place, module


def _check_as_written(place: str, module: Any, nn: Any) -> None:
    """Refuse a module that does something else than its class says."""
    if isinstance(module, nn.Linear) and nn.parameter.is_lazy(module.weight):
        _refuse(place, module, "its size is not known yet; run the model once")
    if isinstance(module, nn.Linear) and module.weight.is_meta:
        _refuse(place, module, "it is on the meta device and has no numbers; load them first")
    for base in (nn.Sequential, nn.Linear):
        if isinstance(module, base) and type(module).forward is not base.forward:
            _refuse(place, module, f"it is a {base.__name__} with a forward of its own")
    if module._forward_hooks or module._forward_pre_hooks:
        _refuse(place, module, "it has hooks, which may change what it computes; remove them first")


class Reader:
    """The way through the modules of a model.

    Parameters
    ----------
    nn : module
        ``torch.nn``.
    """

    def __init__(self, nn: Any) -> None:
        self.nn = nn
        self.layers: list[Layer] = []
        self.origin: tuple[str, Any] = ("", None)  # place and module of the last layer
        self.last: int | None = None  # position of the last Dense among the layers
        self.activated = False

    def read(self, modules: list[tuple[str, Any]]) -> list[Layer]:
        """Return the layers.

        Parameters
        ----------
        modules : list of (str, torch.nn.Module)
            What `unrolled` gives.

        Raises
        ------
        ValueError
            For a module that has no counterpart, or stands where it cannot.
        """
        nn = self.nn
        for place, module in modules:
            if isinstance(module, nn.Linear):
                self._linear(place, module)
            elif type(module) is nn.Dropout:
                self._append(_built(place, module, lambda module: Dropout(module.p)), place, module)
            elif type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1) and self.last is None:
                continue
            elif type(module) is not nn.Identity:
                self._activation(place, module)
        if isinstance(self.layers[-1], Dropout):
            _refuse(*self.origin, "a network ends with its output; leave it out, which changes no prediction")
        return self.layers

    def _linear(self, place: str, module: Any) -> None:
        """Begin a layer."""
        if self.last is not None and self._dense(self.last).activation == activations.softmax():
            _refuse(place, module, "a softmax stands before it, which is for the output alone")
        bias: Any = module.bias is not None
        if bias and module.weight.requires_grad and not module.bias.requires_grad:
            bias = "frozen"
        self.last, self.activated = len(self.layers), False
        self._append(Dense(module.in_features, module.out_features, bias=bias), place, module)

    def _append(self, layer: Layer, place: str, module: Any) -> None:
        self.layers.append(layer)
        self.origin = place, module

    def _activation(self, place: str, module: Any) -> None:
        """Give the last `Dense` its activation."""
        name = type(module).__name__
        make = _FROM_TORCH.get(name) if type(module) is getattr(self.nn, name, None) else None
        function = None if make is None else _built(place, module, make)
        if function is None:
            _refuse(place, module, _RULES.get(name, _KNOWN))
        if self.last is None:
            _refuse(place, module, "an activation belongs to a Linear before it, and there is none")
        if self.activated:
            _refuse(place, module, "the Linear before it has an activation already, and there can be one only")
        # these two commute with dropout's factors, which are not negative
        if self.last < len(self.layers) - 1 and function.name not in ("relu", "leaky_relu"):
            _refuse(place, module, "a Dropout stands before it; put that after it, which changes no prediction")
        self.layers[self.last] = replace(self._dense(self.last), activation=function)
        self.activated = True

    def _dense(self, position: int) -> Dense:
        layer = self.layers[position]
        assert isinstance(layer, Dense)
        return layer


def _built(place: str, module: Any, make: Callable[[Any], Any]) -> Any:
    """Return what a module becomes, or say where the one stands whose numbers are refused."""
    try:
        return make(module)
    except ValueError as error:
        _refuse(place, module, str(error).rstrip("."))


def common_dtype(linears: list[tuple[str, Any]]) -> str:
    """Return the one type of all parameters."""
    first = str(linears[0][1].weight.dtype).rpartition(".")[2]
    for place, module in linears:
        for parameter in module.parameters():
            name = str(parameter.dtype).rpartition(".")[2]
            if name not in MASTER:
                _refuse(place, module, f"its parameters are {name}; cast it with .to(torch.float32)")
            if name != first:
                _refuse(place, module, f"its parameters are {name}, others are {first}; cast the model with .to(…)")
    return first
