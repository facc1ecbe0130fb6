"""A network as a short program that needs NumPy alone."""

from __future__ import annotations

import os
from pathlib import Path

from mlpx.conversion._checks import check_single
from mlpx.conversion.columns import column_entries, target_entry
from mlpx.conversion.npz import to_npz
from mlpx.conversion.program import Program
from mlpx.model import Network, check_network

__all__ = ["to_standalone"]


def to_standalone(net: Network, path: str | os.PathLike[str]) -> None:
    """Write a network as a Python file that predicts with NumPy alone, and its parameters beside it.

    Parameters
    ----------
    net : Network
        With a description of columns in ``net.preprocessing`` the program takes columns, and it may be a stack.
    path : str or path
        A file that ends in ``.py``; the parameters go into the file of the same name that ends in ``.npz``, which is
        what `to_npz` writes.

    Raises
    ------
    ValueError
        For another ending, for a layer of a user's own, and for a function of a user's own that is not computed element
        by element with functions of the Array API standard.

    Notes
    -----
    The program holds no more than this network needs, and stays below 200 lines up to some 60 layers. In Python it has
    ``predict``; on the command line it reads a CSV file and writes one: ``python model.py data.csv > predictions.csv``.
    Of a stack with columns it predicts the mean over the members.

    Examples
    --------
    >>> import mlpx
    >>> from pathlib import Path
    >>> from mlpx.conversion import to_standalone
    >>> to_standalone(mlpx.MLP([4, 8, 3]), "model.py")
    >>> [line for line in Path("model.py").read_text(encoding="utf-8").splitlines() if " @ " in line]
    ['    x = relu(x @ P["0.weights"] + P["0.bias"])', '    x = softmax(x @ P["1.weights"] + P["1.bias"])']
    """
    net, path = check_network(net), Path(path)
    if path.suffix != ".py":
        msg = f"`path` must end in .py, since it becomes a program; got {path}."
        raise ValueError(msg)
    text = _program(net, path.stem).text()
    to_npz(net, path.with_suffix(".npz"))
    path.write_text(text, encoding="utf-8")


def _program(net: Network, name: str) -> Program:
    if net.preprocessing is None:
        return Program(check_single(net, "a program without columns"), name, None, None)
    from mlpx.tables import Preprocessing

    preprocessing = Preprocessing.from_dict(net.preprocessing)
    return Program(net, name, column_entries(preprocessing), target_entry(preprocessing))
