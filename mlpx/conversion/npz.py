"""Parameters as a plain npz file, which NumPy alone reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from mlpx._version import __version__
from mlpx.backends import to_numpy
from mlpx.conversion.columns import column_entries, target_entry
from mlpx.model import Network, check_network

__all__ = ["DESCRIPTION", "arrays", "to_npz"]

DESCRIPTION = "description"
_VERSION = 1


def to_npz(net: Network, path: str | os.PathLike[str]) -> None:
    """Write the parameters of a network as a plain npz file, with a description in JSON beside them.

    Parameters
    ----------
    net : Network
        A network or a stack.
    path : str or path
        A file to write; by convention it ends in ``.npz``.

    Raises
    ------
    TypeError
        For something else than a network.
    OSError
        Where the file cannot be written.

    Notes
    -----
    The names of the arrays are paths in the network: ``0.weights`` of shape (M_in, M_out) and ``0.bias`` of shape
    (M_out,) belong to the first layer, ``1.layers.0.weights`` to the first within the block that stands second, and
    ``1.projection.weights`` to its projection. `Maxout` has weights of shape (pieces, M_in, M_out) and a bias of shape
    (pieces, M_out); `PReLU` has ``2.gamma``, and an embedding ``0.table0``, ``0.table1``, …. Those of a stack have one
    axis more in front. The array ``description`` is one text, JSON, with ``layers``, ``loss``, ``classes``, ``dtype``
    and ``members``, and where the network has columns also ``columns`` and ``target``.

    Examples
    --------
    >>> import mlpx, numpy, json
    >>> from mlpx.conversion import to_npz
    >>> to_npz(mlpx.MLP([2, 3, 2]), "net.npz")
    >>> with numpy.load("net.npz") as file:
    ...     print(*file, file["0.weights"].shape, json.loads(str(file["description"]))["dtype"])
    description 0.weights 0.bias 1.weights 1.bias (2, 3) float32
    """
    net = check_network(net)
    content: dict[str, Any] = {DESCRIPTION: np.array(json.dumps(_described(net))), **arrays(net)}
    with Path(path).open("wb") as file:  # given a path, NumPy would add its own ending
        np.savez(file, **content)


def arrays(net: Network) -> dict[str, Any]:
    """Return all parameters on the host, weights and biases apart.

    Examples
    --------
    >>> import mlpx
    >>> {name: array.shape for name, array in arrays(mlpx.MLP([2, 3, 2])).items()}
    {'0.weights': (2, 3), '0.bias': (3,), '1.weights': (3, 2), '1.bias': (2,)}
    """
    found = {}
    for name, array in net.parameters.items():
        path = name.rpartition(".")[0]
        block, layer = np.asarray(to_numpy(array)), net.architecture.weighted.get(path)
        if layer is None:
            found[name] = block
        else:
            weights, bias = layer.split(block)
            found[f"{path}.weights"] = weights
            if bias is not None:
                found[f"{path}.bias"] = bias
    return found


def _described(net: Network) -> dict[str, Any]:
    """Return what the network is, as JSON can hold it."""
    described = {
        "mlpx": __version__,
        "version": _VERSION,
        "dtype": net.master_dtype_name,
        "members": net.members,
        "layers": [_config(layer) for layer in net.layers],
        "loss": _config(net.loss),
        "classes": net.classes,
    }
    if net.preprocessing is None:
        return described
    from mlpx.tables import Preprocessing

    preprocessing = Preprocessing.from_dict(net.preprocessing)
    return {**described, "columns": column_entries(preprocessing), "target": target_entry(preprocessing)}


def _config(part: Any) -> Any:
    """Return the description of a layer or loss; its name where a user's own function is in it."""
    config = part.to_config()
    try:
        json.dumps(config)
    except TypeError:
        return {"name": part.name, "label": part.label}
    return config
