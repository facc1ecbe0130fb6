"""One column of a table: how its values become the network's inputs.

Each kind is a frozen description, learnt from the training rows by `mlpx.tables.fitting` and stored with the model. It
has a ``name``, a ``width`` (the number of inputs that the column becomes) and ``encode``, which writes these inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx.tables.knots import encode_pieces
from mlpx.tables.values import refuse, to_numbers, to_seconds, to_texts

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

DAY = 86_400.0
WEEK = 7 * DAY
YEAR = 365.2425 * DAY
#: Far beyond any standardised number, and its quotients are still finite.
HUGE = 1e300
#: Length of the vector that stands for a category, as RealMLP has it (Holzmuller et al. 2024, arXiv:2407.04491).
UNITS = 8


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers: ``u = (value - center) / scale``, then the smooth clipping ``u / sqrt(1 + (u / clip)**2)``.

    With knots ``k[0] < ... < k[m]`` there are m further inputs, ``min(max((value - k[i]) / (k[i+1] - k[i]), 0), 1)``:
    how far the value has come from one knot to the next. A weight for each piece lets the first layer bend along the
    column [1]_.

    Attributes
    ----------
    name : str
        The column.
    fill : float
        What stands for a missing value: the median.
    center, scale : float
        Median and spread between the quartiles, or mean and standard deviation.
    clip : float or None
        No input is further from 0 than this; None leaves ``u`` as it is.
    missing : bool
        Whether a second input says 1 where the value was missing.
    knots : tuple of float
        Ascending, or none; see `mlpx.tables.knots`.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in tabular deep learning",
       NeurIPS 2022, arXiv:2203.05556: the piecewise linear encoding.
    """

    name: str
    fill: float
    center: float
    scale: float
    clip: float | None
    missing: bool
    knots: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """Number of inputs that the column becomes."""
        return 1 + self.missing + max(len(self.knots) - 1, 0)

    def encode(self, series: pd.Series, out: NDArray[Any], unknown: Counter[str]) -> None:
        """Write the scaled values into `out` of shape (n, width); missing ones without an input of theirs are counted.

        Raises
        ------
        ValueError
            If a value is no finite number, or an input is too large for the type of `out`.
        """
        values = to_numbers(series)
        missing = np.isnan(values)
        if missing.any():
            values[missing] = self.fill
            if not self.missing:
                unknown["a missing value"] += int(missing.sum())
        encode_pieces(values, self.knots, out[:, 1 + self.missing :])
        with np.errstate(over="ignore"):
            values -= self.center
            values /= self.scale
            if self.clip is not None:
                values = np.clip(values, -HUGE, HUGE)
                values /= np.hypot(1, values / self.clip)  # the square of a large number would overflow
        _refuse_overflow(series, values, out.dtype)
        out[:, 0] = values
        if self.missing:
            out[:, 1] = missing


@dataclass(frozen=True)
class CategoryColumn:
    """A column of few categories: one input a category, and one for "missing" where that occurred in training."""

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
        missing = len(self.categories) if self.missing else -1
        where = np.array([*_places(texts, self.categories), missing])[codes]  # a missing value has the code -1
        rows = np.flatnonzero(where >= 0)
        out[:] = 0
        out[rows, where[rows]] = 1
        _count(unknown, codes[where < 0], texts)


@dataclass(frozen=True)
class EmbeddedColumn:
    """A column of many categories: one input, the number of the category, for `mlpx.Embedding` to look up.

    The input is ``i + 1`` for ``categories[i]`` and 0 for everything else: categories that were rare in training,
    unknown ones and missing values.

    Attributes
    ----------
    name : str
        The column.
    categories : tuple of str
        Those that have a number of their own.
    missing : bool
        Whether training rows had missing values; where they had none, a missing value is told as unknown.
    rare : bool
        Whether training rows had further categories; where they had none, a further category is surely unknown.
    """

    name: str
    categories: tuple[str, ...]
    missing: bool = False
    rare: bool = False
    width: int = field(default=1, init=False)

    @property
    def units(self) -> int:
        """Length of the vector that should stand for a category."""
        return min(UNITS, math.ceil(len(self.categories) / 2))

    def encode(self, series: pd.Series, out: NDArray[Any], unknown: Counter[str]) -> None:
        """Write the numbers of the categories into `out` of shape (n, 1); unknown values give 0 and are counted."""
        codes, texts = to_texts(series)
        where = np.array([*_places(texts, self.categories), -1])[codes]
        out[:, 0] = where + 1
        others = codes[where < 0]
        _count(unknown, others[others >= 0] if self.missing else others, texts)


@dataclass(frozen=True)
class DateColumn:
    """A column of dates: the trend, and sine and cosine of the phase in each period.

    With the time t in seconds since 1970-01-01 UTC the inputs are ``(t - center) / scale`` and, for each period p,
    ``sin(2 pi t / p)`` and ``cos(2 pi t / p)``; all are 0 where the date is missing.

    Attributes
    ----------
    name : str
        The column.
    center, scale : float
        Mean and standard deviation of t, in seconds.
    phases : tuple of float
        Periods in seconds: those of year, week and day that the training rows cover.
    """

    name: str
    center: float
    scale: float
    phases: tuple[float, ...]

    @property
    def width(self) -> int:
        """Number of inputs that the column becomes."""
        return 1 + 2 * len(self.phases)

    def encode(self, series: pd.Series, out: NDArray[Any], unknown: Counter[str]) -> None:
        """Write trend and phases into `out` of shape (n, width).

        Raises
        ------
        ValueError
            If a value is no date.
        """
        seconds = to_seconds(series)
        missing = np.isnan(seconds)
        seconds[missing] = self.center
        out[:, 0] = (seconds - self.center) / self.scale
        for i, period in enumerate(self.phases):
            angle = 2 * np.pi * (seconds % period / period)  # sine and cosine of a large angle lose digits
            out[:, 1 + 2 * i] = np.sin(angle)
            out[:, 2 + 2 * i] = np.cos(angle)
        out[missing] = 0


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


Column = NumberColumn | CategoryColumn | EmbeddedColumn | DateColumn


def _refuse_overflow(series: pd.Series, values: NDArray[np.float64], dtype: np.dtype[Any]) -> None:
    """Refuse inputs that would become infinite."""
    most = float(np.finfo(dtype).max)
    if len(values) and max(values.max(), -values.min()) > most:
        refuse(series, np.abs(values) > most, f"must hold numbers that {dtype} can hold")


def _places(texts: Sequence[str], categories: Sequence[str]) -> list[int]:
    """Give the place of each text among the categories, -1 where it is none of them."""
    position = {text: i for i, text in enumerate(categories)}
    return [position.get(text, -1) for text in texts]


def _count(unknown: Counter[str], codes: NDArray[np.intp], texts: Sequence[str]) -> None:
    """Count values by their text."""
    for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
        unknown["a missing value" if code < 0 else f"`{texts[code]}`"] += int(count)
