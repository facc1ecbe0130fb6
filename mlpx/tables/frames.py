"""Any table as a pandas frame, with which the rest works."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpx.tables.reading import read_table
from mlpx.tables.requirements import named, require

if TYPE_CHECKING:
    import pandas as pd


def as_frame(table: Any) -> pd.DataFrame:
    """Give a table as a pandas frame whose columns are named by different texts.

    Parameters
    ----------
    table : table
        A frame of pandas (returned as it is, but for names that are no texts) or polars, lazy or not; a table or record
        batch of Arrow, or anything else that offers the Arrow stream or the data-frame interchange protocol; a
        dictionary of columns; the path of a file that `read_table` reads.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If two columns have one name, or the table cannot be read.
    ImportError
        If pandas or PyArrow is missing; the message holds the install command.

    Examples
    --------
    >>> from mlpx.tables import as_frame
    >>> as_frame({"height": [50.0, 61.5], "colour": ["red", None]}).shape
    (2, 2)
    """
    pandas = require("pandas", "reading a table")
    if isinstance(table, pandas.DataFrame):
        return with_text_names(table)
    if isinstance(table, (str, Path)):
        return read_table(table).frame
    if isinstance(table, pandas.Series):
        remedy = "give `series.to_frame()` of a column, or `series.to_frame().T` of a row"
        msg = f"`table` must be a table; got a Series, which is one column or one row of one; {remedy}"
        raise TypeError(msg)
    if hasattr(table, "collect_schema") and hasattr(table, "collect"):  # a lazy frame of polars
        table = table.collect()
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        return with_text_names(_from_arrow(table))
    if hasattr(table, "__dataframe__"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas would rather have Arrow
            return with_text_names(pandas.api.interchange.from_dataframe(table))
    if isinstance(table, Mapping):
        return with_text_names(_from_columns(table))
    msg = (
        "`table` must be a frame of pandas or polars, a table of Arrow, a dictionary of columns or the path of a file; "
        f"got {type(table).__name__}"
    )
    raise TypeError(msg)


def with_text_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the frame with every column's name as a text.

    Raises
    ------
    ValueError
        If two columns then have one name.
    """
    names = [str(name) for name in frame.columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        msg = f"the names of columns must differ; more than one is called {named(twice)}"
        raise ValueError(msg)
    return frame if all(isinstance(name, str) for name in frame.columns) else frame.set_axis(names, axis=1)


def _from_columns(columns: Mapping[Any, Any]) -> pd.DataFrame:
    """Make a frame of a dictionary."""
    pandas = require("pandas", "reading a table")
    if columns and all(pandas.api.types.is_scalar(values) for values in columns.values()):
        name, value = next(iter(columns.items()))
        msg = f"`table` must be a dictionary of columns, each a list, as {{{name!r}: [{value!r}]}}; got values alone"
        raise ValueError(msg)
    try:
        frame: pd.DataFrame = pandas.DataFrame(dict(columns))
    except (TypeError, ValueError) as error:
        msg = f"`table` must be a dictionary of columns, each a list of equally many values; got another ({error})"
        raise ValueError(msg) from error
    return frame


def _from_arrow(table: Any) -> pd.DataFrame:
    """Take a table over from Arrow; dates stay dates, which pandas would make objects of."""
    pyarrow = require("pyarrow", "a table of Arrow or polars")
    try:
        arrow = pyarrow.table(table)
        names = arrow.column_names
        numbered = arrow.rename_columns([str(i) for i in range(len(names))])  # names may come twice
        frame: pd.DataFrame = numbered.to_pandas(date_as_object=False, ignore_metadata=True)
    except pyarrow.ArrowException as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        msg = f"`table` must be a table that Arrow can hand over; this {type(table).__name__} is not: {reason}"
        raise ValueError(msg) from error
    return frame.set_axis(names, axis=1)
