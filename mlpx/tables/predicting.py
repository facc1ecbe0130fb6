"""From a table to predictions in the table's own words, for a model that holds a description of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx._notes import Note, warn
from mlpx.tables.preprocessing import Preprocessing
from mlpx.tables.targets import ClassTarget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    import mlpx


def predict_table(net: mlpx.Network, table: Any, *, note: Note = warn) -> NDArray[Any]:
    """Predict the target of every row of a table, as ``mlpx predict`` does.

    Parameters
    ----------
    net : Network
        A network with a description of columns in ``net.preprocessing``, such as `mlpx.load` gives of a file that
        ``mlpx train`` wrote; of a stack the members' outputs are averaged.
    table : table
        With the columns of the training table, in any order; the target may be absent. See `as_frame`.
    note : callable
        Takes a sentence for everything that was passed over; see `Preprocessing.transform`.

    Returns
    -------
    numpy.ndarray
        Shape (n,): labels as texts, or numbers in the target's own unit.

    Raises
    ------
    ValueError
        If the model holds no description of columns, or the table does not fit it.
    """
    if net.preprocessing is None:
        msg = "`net` must hold a description of columns in `net.preprocessing`; this one holds none"
        raise ValueError(msg)
    preprocessing = Preprocessing.from_dict(net.preprocessing)
    target = preprocessing.target
    outputs = predict_outputs(net, preprocessing, table, note=note)
    if isinstance(target, ClassTarget):
        return decide(outputs, target)
    with np.errstate(over="ignore"):  # what the type does not hold is infinite
        return target.decode(outputs).astype(net.master_dtype_name)


def predict_outputs(net: mlpx.Network, preprocessing: Preprocessing, table: Any, *, note: Note = warn) -> NDArray[Any]:
    """Give the network's outputs for every row of a table, of a stack the mean over its members.

    Parameters
    ----------
    net : Network
        A network or a stack.
    preprocessing : Preprocessing
        The description of the table's columns.
    table : table
        See `mlpx.tables.as_frame`.
    note : callable
        As for `predict_table`.

    Returns
    -------
    numpy.ndarray
        Shape (n, K): probabilities of the classes, or standardised numbers.
    """
    inputs = preprocessing.transform(table, dtype=net.master_dtype_name, note=note)
    if not len(inputs):
        return np.empty((0, preprocessing.target.width), dtype=net.master_dtype_name)
    outputs = np.asarray(net.predict(inputs))
    return outputs if net.members is None else outputs.mean(axis=0)


def choose(outputs: NDArray[Any]) -> NDArray[np.intp]:
    """Give the place of the most probable class; one output is the probability of the second of two classes.

    Parameters
    ----------
    outputs : array of shape (n, K) or (n, 1)
        Probabilities.

    Returns
    -------
    numpy.ndarray
        Places among the classes, shape (n,).
    """
    chosen = outputs[:, 0] > 0.5 if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return chosen.astype(np.intp)


def decide(outputs: NDArray[Any], target: ClassTarget) -> NDArray[np.str_]:
    """Give the label of the most probable class as a text.

    Parameters
    ----------
    outputs : array of shape (n, K) or (n, 1)
        Probabilities.
    target : ClassTarget
        The classes.

    Returns
    -------
    numpy.ndarray
        Labels, shape (n,).
    """
    return np.asarray(target.classes)[choose(outputs)]
