"""Networks to and from PyTorch's `torch.nn.Sequential` of linear layers and activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlpx import activations
from mlpx.activations import Activation
from mlpx.backends import to_numpy
from mlpx.conversion._checks import check_single, refuse_layer, refuse_missing
from mlpx.conversion.torch_modules import EXACT_THRESHOLD, Reader, common_dtype, unrolled
from mlpx.layers import Dense, Dropout, Layer
from mlpx.losses import Loss
from mlpx.model import Network

__all__ = ["from_torch", "to_torch"]

# by our name; None where PyTorch has no such module
_TO_TORCH: dict[str, Callable[[Any, Any], Any]] = {
    "elu": lambda nn, f: nn.ELU(f.gamma),
    "gelu": lambda nn, f: nn.GELU(f.approximate) if f.approximate != "logistic" else None,
    "hard_tanh": lambda nn, f: nn.Hardtanh(),
    "leaky_relu": lambda nn, f: nn.LeakyReLU(f.gamma),
    "logistic": lambda nn, f: nn.Sigmoid(),
    "mish": lambda nn, f: nn.Mish(),
    "relu": lambda nn, f: nn.ReLU(),
    "selu": lambda nn, f: nn.SELU(),
    "softmax": lambda nn, f: nn.Softmax(dim=-1),
    "softplus": lambda nn, f: nn.Softplus(threshold=EXACT_THRESHOLD),
    "swish": lambda nn, f: nn.SiLU() if f.beta == 1 else None,
    "tanh": lambda nn, f: nn.Tanh(),
}


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        refuse_missing("PyTorch", "pip install torch", error)
    return torch


def from_torch(
    sequential: Any,
    *,
    output: str | Activation | None = None,
    loss: str | Loss | None = None,
    **options: Any,
) -> Network:
    """Return a network with the parameters of a PyTorch model.

    Parameters
    ----------
    sequential : torch.nn.Sequential
        Of `Linear`, at most one activation after each, and `Dropout`; `Sequential` within it is unrolled. `Identity`
        and a `Flatten` in front are left out: inputs are of shape (N, M).
    output : str or Activation, optional
        Activation of the output where the model ends without one: ``"softmax"`` for a model that was trained with
        `CrossEntropyLoss`, ``"sigmoid"`` for `BCEWithLogitsLoss`, ``"exp"`` for `PoissonNLLLoss`. By default the
        outputs are those of the model.
    loss : str or Loss, optional
        As for `mlpx.Network`.
    **options
        Further arguments of `mlpx.Network`, such as `backend`, `device`, `seed` and `l2`; also `dtype`, by default
        that of the model's parameters.

    Returns
    -------
    Network
        With copies of the parameters, on the network's own backend, wherever the model is.

    Raises
    ------
    TypeError
        For something else than a `Sequential`.
    ValueError
        For a module that cannot be converted; the message says where it stands, and what to do.
    ImportError
        Where PyTorch is not installed.

    Notes
    -----
    Predictions equal those of the model in evaluation mode. `LogSoftmax` at the end becomes softmax, so that the
    outputs are probabilities instead of their logarithms. A `Softplus` of PyTorch differs from its formula by up to
    2e-9 above its threshold. A bias alone that requires no gradient becomes ``bias="frozen"``; weights are trained
    further, whether they required gradients or not. A module that stands in two places becomes two.

    Examples
    --------
    >>> import torch
    >>> from mlpx.conversion import from_torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> from_torch(model, output="softmax")
    <Network 4 - 8 relu - 3 softmax; loss cross_entropy; 67 parameters float32 on numpy, cpu>
    """
    torch = _torch()
    if not isinstance(sequential, torch.nn.Sequential):
        msg = f"`sequential` must be a torch.nn.Sequential, got {type(sequential).__name__}."
        raise TypeError(msg)
    modules = list(unrolled(sequential, torch.nn))
    linears = [(place, module) for place, module in modules if isinstance(module, torch.nn.Linear)]
    if not linears:
        msg = "`sequential` must hold at least one Linear, and there is none."
        raise ValueError(msg)
    layers = Reader(torch.nn).read(modules)
    if output is not None:
        layers[-1] = _with_output(layers[-1], output)
    net = Network(layers, loss=loss, **{"dtype": common_dtype(linears), **options})
    biases = [module.bias for _, module in linears]
    net.set_weights(
        [to_numpy(module.weight).T for _, module in linears], [None if b is None else to_numpy(b) for b in biases]
    )
    return net


def _with_output(layer: Layer, output: str | Activation) -> Dense:
    """Return the last layer with the activation that the user says it has."""
    assert isinstance(layer, Dense)
    try:
        chosen = activations.get(output)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("`activation`", "`output`")) from None
    if layer.activation not in (activations.identity(), chosen):
        came = layer.activation.name  # type: ignore[union-attr]
        msg = f"`output` must be left out, since the model ends with {came!r} already; got {output!r}."
        raise ValueError(msg)
    return replace(layer, activation=chosen)


def to_torch(net: Network, *, logits: bool = False) -> Any:
    """Return a PyTorch model with the parameters of a network.

    Parameters
    ----------
    net : Network
        A single network of dense layers and dropout.
    logits : bool
        Whether the activation of the output is left out, as `CrossEntropyLoss` and `BCEWithLogitsLoss` want it.

    Returns
    -------
    torch.nn.Sequential
        With copies of the parameters, on the processor, in the network's type and in evaluation mode: call its
        `train` before it is trained further.

    Raises
    ------
    ValueError
        For a layer or an activation that PyTorch has no module for; the message says which, and what to do.
    ImportError
        Where PyTorch is not installed.

    Notes
    -----
    Loss and penalty are no part of a `Sequential`, and neither are the labels in `net.classes`. A `mask` and a
    `max_norm` act in training alone and are gone: what a mask has left out is 0, and further training changes it.

    Examples
    --------
    >>> import torch
    >>> import mlpx
    >>> from mlpx.conversion import to_torch
    >>> net = mlpx.MLP([4, 8, 3], dropout=0.5)
    >>> to_torch(net, logits=True)
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
      (2): Dropout(p=0.5, inplace=False)
      (3): Linear(in_features=8, out_features=3, bias=True)
    )
    """
    net = check_single(net, "a torch.nn.Sequential")
    torch = _torch()
    parameters = iter(zip(net.weights, net.biases, strict=True))
    dtype = getattr(torch, net.dtype_name)
    last = len(net.layers) - 1
    modules: list[Any] = []
    for position, layer in enumerate(net.layers):
        # a subclass may compute something else
        if type(layer) is Dropout:
            modules.append(_dropout(position, layer, torch.nn))
        elif type(layer) is Dense:
            modules.append(_linear(layer, *next(parameters), torch, dtype))
            if not (logits and position == last):
                modules.extend(_activation(position, layer, torch.nn, last=position == last))
        else:
            refuse_layer(position, layer.name, "only Dense and Dropout can be converted.")
    return torch.nn.Sequential(*modules).eval()


def _dropout(position: int, layer: Dropout, nn: Any) -> Any:
    if layer.scale is not None:
        refuse_layer(position, layer, f"PyTorch's Dropout has its own scale; take Dropout({layer.rate}).")
    return nn.Dropout(layer.rate)


def _linear(layer: Dense, weights: Any, bias: Any, torch: Any, dtype: Any) -> Any:
    # without initial values, which would be drawn from the user's generator
    linear = torch.nn.utils.skip_init(
        torch.nn.Linear, layer.fan_in, layer.fan_out, bias=bool(layer.bias), device="cpu", dtype=dtype
    )
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(to_numpy(weights).T.copy()))
        if layer.bias:
            linear.bias.copy_(torch.from_numpy(to_numpy(bias).copy()))
            linear.bias.requires_grad_(layer.bias is True)
    return linear


def _activation(position: int, layer: Dense, nn: Any, *, last: bool) -> list[Any]:
    """Return the module of an activation; none for the identity."""
    function: Any = layer.activation
    if function.name == "identity":
        return []
    make = _TO_TORCH.get(function.name)
    module = None if make is None else make(nn, function)
    if module is None:
        remedy = " Give logits=True and apply it to what comes out." if last else ""
        refuse_layer(position, f"the activation {function!r}", f"PyTorch has no module for that.{remedy}")
    return [module]
