"""Model files: `mlpx.files` with the parameters of a network and its description.

Tensors are named by layer: ``layers.0.theta`` is the block of weights with the bias as the last row. A file does not
know the backend that wrote it. Sizes that the description claims are compared with the tensors before any array is
made, and it is rebuilt through the same checks as one that a user writes.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from mlpx._checks import check_choice
from mlpx._typing import Array
from mlpx.backends import Backend, get_backend, to_numpy
from mlpx.backends.host import Key
from mlpx.exceptions import ModelFileError
from mlpx.files import Contents, Format, as_json, is_deep
from mlpx.layers import Layer
from mlpx.losses import Loss
from mlpx.network import Architecture
from mlpx.precision import MASTER, check_dtype, check_precision

__all__ = ["FORMAT_VERSION", "MODEL", "build", "describe", "load", "read", "save"]

FORMAT_VERSION = 1
MODEL = Format("mlpx", FORMAT_VERSION, "mlpx model", key="model")


def save(net: Any, path: Path) -> None:
    """Write a network to a file; an existing file is replaced only when the new one is complete."""
    as_json("preprocessing", {"preprocessing": net.preprocessing})
    MODEL.write(path, describe(net), {_tensor_name(s): _tensor(net, s) for s in net.architecture.segments})


def _tensor_name(segment: Any) -> str:
    return f"layers.{segment.name}"


def _tensor(net: Any, segment: Any) -> Array:
    vector = to_numpy(net.vector)
    block = vector[..., segment.start : segment.stop]
    return np.ascontiguousarray(block.reshape(*vector.shape[:-1], *segment.shape))


def describe(net: Any) -> dict[str, Any]:
    """Return all of a network but its parameters, as JSON can hold it."""
    from mlpx.mlp import MLP

    layers = (*net.architecture.nodes.values(), net.layers[-1])
    for layer in layers:
        if getattr(getattr(layer, "activation", None), "name", "") in ("custom", "automatic"):
            msg = (
                f"A network with a custom activation cannot be saved, here {layer.activation.label!r}: a file holds "
                "activations by name, and no functions. Write it as a "
                "text, mlpx.differentiation.activation_from_formula, or as a class of its own."
            )
            raise ValueError(msg)
    if net.loss.name == "automatic":
        msg = (
            f"A network with a function as `loss` cannot be saved, here {net.loss.label!r}: a file holds losses by "
            "name. Write a class."
        )
        raise ValueError(msg)
    described = [layer.to_config() for layer in net.layers]
    if is_deep([described]):
        msg = "`layers` are nested too deep to be saved; leave some blocks out."
        raise ValueError(msg)
    return {
        "class": "MLP" if isinstance(net, MLP) else "Network",
        "layers": described,
        "loss": net.loss.to_config(),
        "l2": list(net.l2) if isinstance(net.l2, tuple) else net.l2,
        "dtype": net.dtype_name,
        "members": net.members,
        "keys": [list(key) for key in net.keys],
        "epochs_seen": net.epochs_seen,
        "steps_seen": net.steps_seen,
        "classes": None if net.classes is None else list(net.classes),
        "preprocessing": net.preprocessing,
    }


def load(
    path: str | os.PathLike[str],
    backend: str | Backend | None = None,
    device: str | None = None,
    *,
    dtype: str | None = None,
    precision: str | None = None,
) -> Any:
    """Read a network from a file that `mlpx.Network.save` wrote.

    Parameters
    ----------
    path : str or path
        The file.
    backend : str or Backend, optional
        Where the network shall live; see `mlpx.get_backend`. The file does not say.
    device : str, optional
        Such as ``"cuda:1"``.
    dtype : str, optional
        What the network shall compute in; by default what the file says. A network that was trained in bfloat16 runs
        in float32 where there is no bfloat16.
    precision : "tf32", optional
        As for `mlpx.Network`. The file does not say.

    Returns
    -------
    Network

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ModelFileError
        For a file that is broken, truncated, of another kind or of a later version.
    BackendUnavailableError
        For a backend that is not there.
    ValueError
        For a type that the backend does not have, such as bfloat16 on NumPy; take dtype="float32" there.

    Examples
    --------
    >>> import mlpx, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.mlpx"
    >>> mlpx.MLP([2, 3, 1], output="linear").save(path)
    >>> mlpx.load(path).n_parameters
    13
    """
    if dtype is not None:
        check_precision(precision, check_dtype(dtype))
    net = read(path, get_backend(backend, device, precision), dtype)
    net.backend.dtype(net.dtype_name)  # refuses one that is not there
    check_precision(net.backend.precision, net.dtype_name)
    return net


def read(path: str | os.PathLike[str], backend: Backend, dtype: str | None = None) -> Any:
    """Return a network as its file describes it, which may be of a type in which this backend cannot compute."""
    with MODEL.open(path) as contents:
        net = build(contents.description, backend)
        vector = _vector(contents, net)
    if dtype is not None:
        for layer in net.architecture.layers:
            layer.check_dtype(dtype)
        net.dtype_name = dtype
    net._set_vector(vector)
    return net


def build(model: dict[str, Any], backend: Backend) -> Any:
    """Return a network without parameters."""
    try:
        layers = [Layer.from_config(config) for config in model["layers"]]
        architecture = Architecture.from_layers(layers, Loss.from_config(model["loss"]))
        return _bare_network(model, architecture, backend)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError) as error:
        msg = f"its description does not fit ({type(error).__name__}: {error})."
        raise ModelFileError(msg) from error


def _bare_network(model: dict[str, Any], architecture: Architecture, backend: Backend) -> Any:
    from mlpx._checks import check_count, check_members, check_numbers
    from mlpx.mlp import MLP
    from mlpx.model import Network

    net: Network = object.__new__(
        {"MLP": MLP, "Network": Network}[check_choice("class", model["class"], ("MLP", "Network"))]
    )
    members = model["members"]
    net.architecture, net.backend = architecture, backend
    net.members = None if members is None else check_count("members", members)
    net.l2 = check_numbers("l2", model["l2"], least=0)
    check_members("l2", net.l2, net.members)
    for layer in architecture.layers:
        layer.check_stack(net.members)
    net.dtype_name = check_choice("dtype", model["dtype"], MASTER)
    for layer in architecture.layers:
        layer.check_dtype(net.dtype_name)
    count = net.members or 1
    net.keys = [Key(*(check_count("keys", part, least=0) for part in key)) for key in model["keys"]]
    net.epochs_seen = [check_count("epochs_seen", value, least=0) for value in model["epochs_seen"]]
    net.steps_seen = [check_count("steps_seen", value, least=0) for value in model["steps_seen"]]
    if not len(net.keys) == len(net.epochs_seen) == len(net.steps_seen) == count:
        msg = f"keys and counters must be given for {count} members"
        raise ValueError(msg)
    if any(key.seed >= 2**64 or key.member >= 2**32 for key in net.keys):
        msg = "a key is out of range"
        raise ValueError(msg)
    if max(*net.epochs_seen, *net.steps_seen) >= 2**62:
        msg = "a counter is out of range"
        raise ValueError(msg)
    net.classes = _classes(model["classes"], architecture)
    net.preprocessing = model["preprocessing"]
    if net.preprocessing is not None and not isinstance(net.preprocessing, dict):
        msg = "preprocessing must be an object"
        raise ValueError(msg)
    return net


def _classes(classes: Any, architecture: Architecture) -> tuple[Any, ...] | None:
    if classes is None:
        return None
    if not isinstance(classes, list) or len(classes) != max(architecture.output.units, 2):
        msg = "classes must be a list with one label a class"
        raise ValueError(msg)
    if any(not isinstance(label, (str, int, float)) or label in (math.inf, -math.inf) for label in classes) or len(
        set(classes)
    ) != len(classes):
        msg = "classes must be different texts or numbers"
        raise ValueError(msg)
    return tuple(classes)


def _vector(contents: Contents, net: Any) -> Array:
    """Return the parameters, whose tensors must be those that the description asks for."""
    stack = () if net.members is None else (net.members,)
    master = MASTER[net.dtype_name]
    tensors = contents.read({_tensor_name(s): (master, (*stack, *s.shape)) for s in net.architecture.segments})
    vector = np.concatenate([tensor.reshape(*stack, -1) for tensor in tensors.values()], axis=-1)
    if not np.all(np.isfinite(vector)):
        msg = "some of its parameters are not finite."
        raise ModelFileError(msg)
    try:
        net.architecture.check_connections(vector)
    except ValueError as error:
        raise ModelFileError(str(error)) from error
    return vector
