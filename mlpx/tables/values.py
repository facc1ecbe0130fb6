"""The values of one column of a table: what kind they are, and as numbers, texts or seconds."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlpx.tables.requirements import plural, require

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Kind = Literal["number", "category", "date", "other"]

#: A day, alone or with a time, of which the seconds and the time zone may be absent.
ISO_DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z| ?[+-]\d\d:?\d\d)?)?"


def kind_of(series: pd.Series) -> Kind:
    """Tell whether a column holds numbers, categories, dates or something else.

    Texts are dates if every one of them is a day of ISO 8601, such as ``2024-02-29`` or ``2024-02-29T12:30:00Z``.
    """
    types = require("pandas", "reading a table").api.types
    dtype = series.dtype
    if types.is_bool_dtype(dtype):
        return "category"
    if types.is_numeric_dtype(dtype):
        return "other" if types.is_complex_dtype(dtype) else "number"
    if types.is_datetime64_any_dtype(dtype):
        return "date"
    inferred = _inferred(series)
    if inferred in ("string", "categorical"):
        return "date" if _all_iso(series) else "category"
    return KINDS.get(inferred, "other")


#: What pandas infers of the objects in a column, and the kind that they are.
KINDS: dict[str, Kind] = {
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "boolean": "category",
    "mixed-integer": "category",
    "date": "date",
    "datetime": "date",
    "datetime64": "date",
}


def _inferred(series: pd.Series) -> str:
    """Give the word of pandas for what stands in a column of no numeric type."""
    types = require("pandas", "reading a table").api.types
    dtype = series.dtype
    if types.is_string_dtype(dtype) and not types.is_object_dtype(dtype):
        return "string"
    if hasattr(dtype, "pyarrow_dtype"):  # pandas does not look into dictionaries of Arrow
        series = series.astype(object)
    return str(types.infer_dtype(series, skipna=True))


def _all_iso(series: pd.Series) -> bool:
    """Tell whether a column of texts holds dates and nothing else; the first text settles it in most columns."""
    pandas = require("pandas", "reading a table")
    present = pandas.Series(series.dropna().unique(), dtype=object)
    if not len(present) or not all(isinstance(value, str) for value in present):
        return False
    if not present[:1].str.fullmatch(ISO_DATE).all() or not present.str.fullmatch(ISO_DATE).all():
        return False
    return bool(_parsed(present).notna().all())


def _parsed(texts: pd.Series) -> pd.Series:
    """Give the moments of ISO texts, those without a time zone as UTC; what is no date becomes missing."""
    pandas = require("pandas", "reading a table")
    parsed: pd.Series = pandas.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    return parsed


def to_numbers(series: pd.Series) -> NDArray[np.float64]:
    """Give a column's numbers, missing ones as NaN, in a new array.

    Raises
    ------
    ValueError
        If a value is a text, a date or infinite; the message names the column and the row of the data, counted from 1.
    """
    pandas = require("pandas", "reading a table")
    types = pandas.api.types
    if types.is_numeric_dtype(series.dtype) and not types.is_complex_dtype(series.dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    elif types.is_datetime64_any_dtype(series.dtype) and series.notna().any():
        msg = f"column `{series.name}` must hold numbers; it holds dates ({series.dtype})"
        raise ValueError(msg)
    else:
        values = _parsed_numbers(series)
        refuse(series, np.isnan(values) & ~series.isna().to_numpy(dtype=bool), "must hold numbers")
    refuse(series, np.isinf(values), "must hold finite numbers")
    return values


def _parsed_numbers(series: pd.Series) -> NDArray[np.float64]:
    """Give the numbers among objects, NaN for all others, in a new array."""
    pandas = require("pandas", "reading a table")
    try:
        parsed = pandas.to_numeric(series.astype(object), errors="coerce")
        return np.array(parsed, dtype=np.float64)
    except OverflowError as error:
        msg = f"column `{series.name}` must hold numbers that float64 can hold; one is larger"
        raise ValueError(msg) from error


def to_texts(series: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """Give a column as codes, -1 where a value is missing, and the text that belongs to each code.

    Raises
    ------
    ValueError
        If a value is a list or something else of many parts.
    """
    codes, values = _factorized(series, "must hold texts, numbers or truth values")
    texts = [text_of(value) for value in values]
    merged = list(dict.fromkeys(texts))  # 1 and 1.0 are two values and one text
    if len(merged) < len(texts):
        place = {text: i for i, text in enumerate(merged)}
        codes = np.array([*(place[text] for text in texts), -1])[codes]
    return codes, merged


def _factorized(series: pd.Series, rule: str) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Give codes, -1 where a value is missing, and the different values."""
    pandas = require("pandas", "reading a table")
    try:
        codes, values = pandas.factorize(series.astype(object))
    except TypeError:  # what cannot be told apart by a hash
        refuse(series, np.array([not isinstance(value, Hashable) for value in series], dtype=bool), rule)
        raise
    return codes, values


def text_of(value: Hashable) -> str:
    """Give the text of a category; 3.0 becomes "3", so that a missing value elsewhere does not rename a class."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def to_seconds(series: pd.Series) -> NDArray[np.float64]:
    """Give a column's dates in seconds since 1970-01-01 UTC, to a microsecond, missing ones as NaN.

    A date without a time zone counts as UTC.

    Raises
    ------
    ValueError
        If a value is no date; the message names the column and the row of the data, counted from 1.
    """
    pandas = require("pandas", "reading a table")
    types = pandas.api.types
    if types.is_datetime64_any_dtype(series.dtype):
        moments = pandas.to_datetime(series, utc=True)
    elif types.is_numeric_dtype(series.dtype) and series.notna().any():
        msg = f"column `{series.name}` must hold dates; it holds numbers ({series.dtype})"
        raise ValueError(msg)
    else:
        codes, values = _factorized(series, "must hold dates as 2024-02-29")
        moments = _parsed(pandas.Series([str(value) for value in values], dtype=object))
        moments = moments.reindex(codes)  # the code -1 of a missing value has no moment
    micro = pandas.DatetimeIndex(moments).as_unit("us")
    refuse(series, np.asarray(micro.isna()) & ~series.isna().to_numpy(dtype=bool), "must hold dates as 2024-02-29")
    seconds: NDArray[np.float64] = np.where(micro.isna(), np.nan, micro.asi8 / 1e6)
    return seconds


def refuse(series: pd.Series, bad: NDArray[np.bool_], rule: str) -> None:
    """Raise for the first row that breaks a rule, with its number counted from 1.

    Raises
    ------
    ValueError
        If any row is bad.
    """
    if bad.any():
        rows = np.flatnonzero(bad)
        value, row = series.iloc[rows[0]], _row(series, rows[0])
        more = f", and {plural(len(rows) - 1, 'row')} more" if len(rows) > 1 else ""
        msg = f"column `{series.name}` {rule}; {row} holds {str(value)[:60]!r}{more}"
        raise ValueError(msg)


def _row(series: pd.Series, position: Any) -> str:
    """Name a row: by its number, counted from 1 after the header, or where the index is another, by that."""
    label = series.index[position]
    return f"data row {position + 1}" if label == position else f"the row with index {label}"
