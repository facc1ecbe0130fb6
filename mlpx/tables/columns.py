"""One column of a table: how its values become numbers, learnt from the training rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx.tables.requirements import plural, require

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Hashable

    import pandas as pd
    from numpy.typing import NDArray

#: A text column with more different values than this is left out: one-hot columns of it would only be learnt by heart.
MOST_CATEGORIES = 200
#: So is one with more than this many different values, if these are more than half of its rows: an identifier.
FEW_CATEGORIES = 20
#: A column of at least this share of numbers, and a few texts among them, is taken for a mistake, not for categories.
MOSTLY_NUMBERS = 0.9
SAME = "the same value in every row"


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers: missing values become the median, then (value - mean) / scale."""

    name: str
    median: float
    mean: float
    scale: float

    @property
    def width(self) -> int:
        """Number of inputs that the column becomes."""
        return 1

    def encode(self, series: pd.Series, out: NDArray[Any], unknown: Counter[str]) -> None:
        """Write the standardised values into `out` of shape (n, 1)."""
        values = to_numbers(series)
        values[np.isnan(values)] = self.median
        with np.errstate(over="ignore"):  # what the type does not hold is infinite, and refused with the inputs
            out[:, 0] = (values - self.mean) / self.scale


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories: one input a category, and one for "missing" where that occurred in training."""

    name: str
    categories: tuple[str, ...]
    missing: bool

    @property
    def width(self) -> int:
        """Number of inputs that the column becomes."""
        return len(self.categories) + self.missing

    def encode(self, series: pd.Series, out: NDArray[Any], unknown: Counter[str]) -> None:
        """Write ones and zeros into `out` of shape (n, width); unknown values give zeros and are counted."""
        codes, texts = to_texts(series)
        position = {text: i for i, text in enumerate(self.categories)}
        places = np.array([position.get(text, -1) for text in texts] + [len(self.categories) if self.missing else -1])
        where = places[codes]  # a missing value has the code -1: the last place
        rows = np.flatnonzero(where >= 0)
        out[:] = 0
        out[rows, where[rows]] = 1
        for code, count in zip(*np.unique(codes[where < 0], return_counts=True), strict=True):
            unknown["a missing value" if code < 0 else f"`{texts[code]}`"] += int(count)


@dataclass(frozen=True)
class LeftOut:
    """A column that the network does not see, and why."""

    name: str
    reason: str
    width: int = field(default=0, init=False)


@dataclass(frozen=True)
class Source:
    """The table whose rows were learnt from, by its short name and its number of rows."""

    name: str
    rows: int


Column = NumberColumn | CategoryColumn


def fit_column(series: pd.Series, *, keep_constant: bool = False) -> Column | LeftOut:
    """Decide how one column of the training rows becomes numbers.

    Parameters
    ----------
    series : pandas.Series
        The column, named.
    keep_constant : bool
        Whether a column with one value only is kept, with a scale of 0 for the caller to replace. A network can't learn
        from it, and a new value would meet weights that were never trained, so it is left out otherwise.

    Returns
    -------
    NumberColumn, CategoryColumn or LeftOut

    Raises
    ------
    ValueError
        If a number is infinite or too large, or a few texts stand in a column that otherwise holds numbers.
    """
    name = str(series.name)
    if series.isna().all():
        return LeftOut(name, "only missing values")
    if name.startswith("Unnamed: "):  # what pandas calls a column whose header is empty
        return LeftOut(name, "no name in the header")
    kind = kind_of(series)
    if kind == "number":
        return _fit_numbers(series, name, keep_constant)
    if kind == "category":
        return _fit_categories(series, name)
    return LeftOut(name, f"neither numbers nor texts ({series.dtype})")


def kind_of(series: pd.Series) -> str:
    """Tell whether a column holds numbers (``"number"``), categories (``"category"``) or something else."""
    types = require("pandas", "reading a table").api.types
    dtype = series.dtype
    if types.is_bool_dtype(dtype) or (types.is_string_dtype(dtype) and not types.is_object_dtype(dtype)):
        return "category"
    if types.is_numeric_dtype(dtype):
        return "other" if types.is_complex_dtype(dtype) else "number"
    inferred = types.infer_dtype(series, skipna=True)
    if inferred in ("integer", "floating", "mixed-integer-float", "decimal") and not hasattr(dtype, "categories"):
        return "number"
    return "category" if inferred in ("string", "boolean", "categorical", "mixed-integer") else "other"


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
    elif types.is_datetime64_any_dtype(series.dtype):
        msg = f"column `{series.name}` must hold numbers; it holds dates ({series.dtype})"
        raise ValueError(msg)
    else:
        values = pandas.to_numeric(series.astype(object), errors="coerce").to_numpy(dtype=np.float64, copy=True)
        _refuse(series, np.isnan(values) & ~series.isna().to_numpy(dtype=bool), "must hold numbers")
    _refuse(series, np.isinf(values), "must hold finite numbers")
    return values


def to_texts(series: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """Give a column as codes, -1 where a value is missing, and the text that belongs to each code."""
    pandas = require("pandas", "reading a table")
    codes, values = pandas.factorize(series.astype(object))
    texts = [text_of(value) for value in values]
    merged = list(dict.fromkeys(texts))  # 1 and 1.0 are two values and one text
    if len(merged) < len(texts):
        place = {text: i for i, text in enumerate(merged)}
        codes = np.array([*(place[text] for text in texts), -1])[codes]
    return codes, merged


def text_of(value: Hashable) -> str:
    """Give the text of a category; 3.0 becomes "3", so that a missing value elsewhere does not rename a class."""
    if isinstance(value, (float, np.floating)) and value == np.trunc(value):
        return str(int(value))
    return str(value)


def _refuse(series: pd.Series, bad: NDArray[np.bool_], rule: str) -> None:
    """Raise for the first row that breaks a rule, with its number counted from 1."""
    rows = np.flatnonzero(bad)
    if len(rows):
        value, row = series.iloc[rows[0]], _row(series, rows[0])
        more = f", and {plural(len(rows) - 1, 'row')} more" if len(rows) > 1 else ""
        msg = f"column `{series.name}` {rule}; data row {row} holds {str(value)[:60]!r}{more}"
        raise ValueError(msg)


def _row(series: pd.Series, position: int) -> int:
    """Give the number of a row in its file, counted from 1 after the header."""
    label = series.index[position]
    return int(label) + 1 if isinstance(label, (int, np.integer)) else position + 1


def _fit_numbers(series: pd.Series, name: str, keep_constant: bool) -> NumberColumn | LeftOut:
    values = to_numbers(series)
    missing = np.isnan(values)
    median = float(np.median(values[~missing]))
    values[missing] = median
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not (np.isfinite(mean) and np.isfinite(scale)):
        msg = f"column `{name}` holds numbers too large to standardise (up to {np.abs(values).max():.3g}); rescale it"
        raise ValueError(msg)
    if scale == 0 or values.min() == values.max():
        return NumberColumn(name, median, median, 0.0) if keep_constant else LeftOut(name, SAME)
    return NumberColumn(name, median, mean, scale)


def _fit_categories(series: pd.Series, name: str) -> CategoryColumn | LeftOut:
    codes, texts = to_texts(series)
    missing = bool((codes < 0).any())
    if len(texts) > FEW_CATEGORIES:
        _refuse_stray_texts(series)
    if len(texts) > MOST_CATEGORIES or len(texts) > max(FEW_CATEGORIES, (codes >= 0).sum() / 2):
        return LeftOut(name, f"{len(texts)} different texts, as in an identifier")
    if len(texts) == 1 and not missing:
        return LeftOut(name, SAME)
    return CategoryColumn(name, tuple(sorted(texts)), missing)


def _refuse_stray_texts(series: pd.Series) -> None:
    """Refuse a column of numbers with a few texts among them, rather than lose it as an identifier."""
    pandas = require("pandas", "reading a table")
    present = series.dropna()
    texts = pandas.to_numeric(present.astype(object), errors="coerce").isna().to_numpy()
    if 0 < texts.sum() <= (1 - MOSTLY_NUMBERS) * len(present):
        _refuse(present, texts, f"holds numbers in {(1 - texts.mean()):.0%} of its rows and must hold nothing else")
