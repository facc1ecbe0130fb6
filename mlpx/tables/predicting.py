"""From a table to predictions in the table's own words, for a model that holds a description of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx.tables.preprocessing import Note, Preprocessing, warn
from mlpx.tables.targets import ClassTarget

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    import mlpx


def predict_table(net: mlpx.Network, frame: pd.DataFrame, *, note: Note = warn) -> NDArray[Any]:
    """Predict the target of every row of a table, as ``mlpx predict`` does.

    Parameters
    ----------
    net : Network
        One network with a description of columns in ``net.preprocessing``, such as `mlpx.load` gives of a file that
        ``mlpx train`` wrote.
    frame : pandas.DataFrame
        A table with the columns of the training table, in any order; the target may be absent.
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
    inputs = preprocessing.transform(frame, dtype=net.master_dtype_name, note=note)
    if isinstance(preprocessing.target, ClassTarget):
        return np.asarray(net.predict_labels(inputs))
    values = preprocessing.target.decode(net.predict(inputs))
    with np.errstate(over="ignore"):  # what the type does not hold is infinite
        return values.astype(net.master_dtype_name)
