"""Model files: one safetensors file, with everything that is no array as JSON in its metadata. No pickle.

Tensors are named by layer: ``layers.0.theta`` is the block of weights with the bias as the last row. A file does not
know the backend that wrote it. Reading trusts nothing: sizes that the JSON claims are compared with the header before
any array is made, and a description is rebuilt through the same checks as one that a user writes.
"""

from __future__ import annotations

import json
import math
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from mlpx._checks import check_choice
from mlpx._typing import Array
from mlpx.backends import Backend, get_backend, to_numpy
from mlpx.backends.host import Key
from mlpx.exceptions import ModelFileError
from mlpx.layers import Layer
from mlpx.losses import Loss
from mlpx.network import Architecture
from mlpx.precision import MASTER, check_dtype, check_precision

__all__ = ["FORMAT_VERSION", "load", "read", "save"]

FORMAT_VERSION = 1
_KIND = "mlpx"
_MOST_JSON = 64 * 2**20
_MOST_NESTED = 100


def save(net: Any, path: Path) -> None:
    """Write a network to a file; an existing file is replaced only when the new one is complete."""
    from safetensors.numpy import save as to_bytes

    if path.is_dir():
        msg = f"`path` must name a file, but {path} is a folder."
        raise IsADirectoryError(msg)
    if not path.parent.is_dir():
        msg = f"There is no folder {path.parent} to save the model in; make it first."
        raise FileNotFoundError(msg)
    arrays = {_tensor_name(s): _tensor(net, s) for s in net.architecture.segments}
    metadata = {"kind": _KIND, "format_version": str(FORMAT_VERSION), "model": _to_json(_describe(net))}
    content = to_bytes(arrays, metadata)
    temporary = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _to_json(model: dict[str, Any]) -> str:
    try:
        text = json.dumps(model, allow_nan=False)
        if _is_deep(model):
            msg = f"nested more than {_MOST_NESTED} deep"
            raise ValueError(msg)
        return text
    except (TypeError, ValueError, RecursionError) as error:
        # all but this is checked where it comes in
        msg = f"`preprocessing` must hold what JSON can: texts, finite numbers, None, lists and dicts ({error})."
        raise ValueError(msg) from error


def _tensor_name(segment: Any) -> str:
    return f"layers.{segment.name}"


def _tensor(net: Any, segment: Any) -> Array:
    vector = to_numpy(net.vector)
    block = vector[..., segment.start : segment.stop]
    return np.ascontiguousarray(block.reshape(*vector.shape[:-1], *segment.shape))


def _describe(net: Any) -> dict[str, Any]:
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
    if _is_deep([described]):
        msg = f"`layers` are nested too deep to be saved: a file's description may go {_MOST_NESTED} levels down."
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
    path = Path(path)
    if path.is_dir():
        msg = f"{path} is a folder, not a model file."
        raise ModelFileError(msg)
    if not path.exists():
        msg = f"There is no file {path}."
        raise FileNotFoundError(msg)
    try:
        net, vector = _read(path, backend)
    except ModelFileError as error:
        msg = f"{path} is no readable mlpx model: {error}"
        raise ModelFileError(msg) from error.__cause__
    if dtype is not None:
        for layer in net.architecture.layers:
            layer.check_dtype(dtype)
        net.dtype_name = dtype
    net._set_vector(vector)
    return net


def _read(path: Path, backend: Backend) -> tuple[Any, Array]:
    """Return a network without parameters, and these as a vector."""
    from safetensors import SafetensorError, safe_open

    _check_size(path)
    try:
        with safe_open(path, framework="numpy") as file:
            model = _metadata(file.metadata() or {})
            net, shapes = _build(model, backend)
            _compare(file, shapes, model)
            vector = _vector(file, net, shapes)
    except (SafetensorError, OSError, MemoryError, OverflowError, UnicodeDecodeError) as error:
        msg = f"it is broken, truncated or of another format ({error})."
        raise ModelFileError(msg) from error
    return net, vector


def _check_size(path: Path) -> None:
    """Refuse a file whose header cannot be one: of another kind, or cut off."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        first = file.read(1)
    if size < 10 or first != b"{":
        msg = "it is no safetensors file."
        raise ModelFileError(msg)
    if header + 8 > size:
        msg = f"it is cut off: {size} bytes are there, its header alone needs {header + 8}."
        raise ModelFileError(msg)


def _metadata(metadata: dict[str, str]) -> dict[str, Any]:
    if metadata.get("kind") != _KIND:
        msg = "it is a safetensors file, but not of this package."
        raise ModelFileError(msg)
    version = metadata.get("format_version", "")
    if version != str(FORMAT_VERSION):
        msg = f"its format version is {version[:20]!r}, and this mlpx reads version {FORMAT_VERSION}; update mlpx."
        raise ModelFileError(msg)
    text = metadata.get("model", "")
    try:
        model = json.loads(text, parse_constant=_refuse_constant) if len(text) <= _MOST_JSON else None
    except (ValueError, RecursionError) as error:
        msg = f"its description is no JSON ({error})."
        raise ModelFileError(msg) from error
    if not isinstance(model, dict) or _is_deep(model):
        msg = f"its description is no JSON object, or one nested more than {_MOST_NESTED} deep."
        raise ModelFileError(msg)
    return model


def _is_deep(value: Any) -> bool:
    """Say whether lists and dicts are nested too deep; how deep JSON itself may go differs between Pythons."""
    level = [value]
    for _ in range(_MOST_NESTED):
        parts = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, (dict, list))]
        level = [item for part in parts for item in part]
    return any(isinstance(item, (dict, list)) for item in level)


def _refuse_constant(name: str) -> None:
    msg = f"{name} is not allowed"
    raise ValueError(msg)


def _build(model: dict[str, Any], backend: Backend) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Return a network without parameters, and the shapes that its tensors must have."""
    try:
        layers = [Layer.from_config(config) for config in model["layers"]]
        architecture = Architecture.from_layers(layers, Loss.from_config(model["loss"]))
        net = _bare_network(model, architecture, backend)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        msg = f"its description does not fit ({type(error).__name__}: {error})."
        raise ModelFileError(msg) from error
    stack = () if net.members is None else (net.members,)
    return net, {_tensor_name(s): (*stack, *s.shape) for s in architecture.segments}


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


def _compare(file: Any, shapes: dict[str, tuple[int, ...]], model: dict[str, Any]) -> None:
    """Refuse a file whose tensors are not those that the description asks for; no tensor is read yet."""
    names = set(file.keys())
    if names != set(shapes):
        msg = f"it holds the tensors {sorted(names)[:5]}, but its description needs {sorted(shapes)[:5]}."
        raise ModelFileError(msg)
    kind = {"float32": "F32", "float64": "F64"}[MASTER[model["dtype"]]]
    for name, shape in shapes.items():
        tensor = file.get_slice(name)
        if tuple(tensor.get_shape()) != shape or tensor.get_dtype() != kind:
            msg = f"its tensor {name} is {tensor.get_dtype()}{tensor.get_shape()}, but must be {kind}{list(shape)}."
            raise ModelFileError(msg)


def _vector(file: Any, net: Any, shapes: dict[str, tuple[int, ...]]) -> Array:
    stack = () if net.members is None else (net.members,)
    blocks = [file.get_tensor(name).reshape(*stack, math.prod(shape[len(stack) :])) for name, shape in shapes.items()]
    vector = np.concatenate(blocks, axis=-1)
    if not np.all(np.isfinite(vector)):
        msg = "some of its parameters are not finite."
        raise ModelFileError(msg)
    try:
        net.architecture.check_connections(vector)
    except ValueError as error:
        raise ModelFileError(str(error)) from error
    return vector
