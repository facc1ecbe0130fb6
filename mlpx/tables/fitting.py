"""What a column of the training rows is, and how it becomes the network's inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlpx.tables.columns import (
    DAY,
    WEEK,
    YEAR,
    CategoryColumn,
    Column,
    DateColumn,
    EmbeddedColumn,
    LeftOut,
    NumberColumn,
)
from mlpx.tables.knots import choose_knots
from mlpx.tables.requirements import require
from mlpx.tables.values import kind_of, refuse, to_numbers, to_seconds, to_texts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Scaling = Literal["robust", "standard"]

#: A column of more categories is embedded; of up to so many, each becomes an input of its own.
MOST_ONE_HOT = 20
#: The commonest so many categories of an embedded column get vectors of their own, the others share one.
MOST_EMBEDDED = 1000
#: So do those that occur in fewer rows than this: too few to learn a vector from, and they train the shared one.
FEWEST_ROWS = 5
#: A column with more than this many different texts, if these are more than half of its rows, is an identifier.
FEW_CATEGORIES = 20
#: A column of at least this share of numbers, and a few texts among them, is taken for a mistake, not for categories.
MOSTLY_NUMBERS = 0.9
#: Bound of the smooth clipping, as RealMLP has it (Holzmuller et al. 2024, arXiv:2407.04491).
CLIP = 3.0
SAME = "the same value in every row"


@dataclass(frozen=True)
class Rules:
    """What a caller may decide about all columns; see `Preprocessing.fit`."""

    scaling: Scaling = "robust"
    most_one_hot: int = MOST_ONE_HOT
    keep_constant: bool = False
    bins: int = 0


def fit_column(series: pd.Series, rules: Rules) -> Column | LeftOut:
    """Decide how one column of the training rows becomes numbers.

    Parameters
    ----------
    series : pandas.Series
        The column, named.
    rules : Rules
        With ``keep_constant``, a column of numbers with one value only is kept, with a scale of 0 for the caller to
        replace. A network can't learn from it, and a new value would meet weights that were never trained, so it is
        left out otherwise.

    Returns
    -------
    NumberColumn, CategoryColumn, EmbeddedColumn, DateColumn or LeftOut

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
        return _fit_numbers(series, name, rules)
    if kind == "category":
        return _fit_categories(series, name, rules.most_one_hot)
    if kind == "date":
        return _fit_dates(series, name)
    return LeftOut(name, f"neither numbers nor texts nor dates ({series.dtype})")


def _fit_numbers(series: pd.Series, name: str, rules: Rules) -> Column | LeftOut:
    values = to_numbers(series)
    absent = np.isnan(values)
    present, missing = values[~absent], bool(absent.any())
    with np.errstate(over="ignore", invalid="ignore"):
        median = float(np.median(present))
        values[absent] = median
        center, scale = _robust(present) if rules.scaling == "robust" else (float(values.mean()), float(values.std()))
    if not np.isfinite([median, center, scale]).all():
        msg = f"column `{name}` holds numbers too large to standardise (up to {np.abs(values).max():.3g}); rescale it"
        raise ValueError(msg)
    if scale == 0 or present.min() == present.max():
        if rules.keep_constant:
            return NumberColumn(name, median, median, 0.0, None, missing)
        return _fit_categories(series, name, 1) if missing else LeftOut(name, SAME)
    knots = choose_knots(present, rules.bins)
    return NumberColumn(name, median, center, scale, CLIP if rules.scaling == "robust" else None, missing, knots)


def _robust(present: NDArray[np.float64]) -> tuple[float, float]:
    """Give the median and the spread of the quartiles, or half of the range where the quartiles coincide."""
    lower, median, upper = np.quantile(present, [0.25, 0.5, 0.75])
    spread = upper - lower
    return float(median), float(spread if spread > 0 else (present.max() - present.min()) / 2)


def _fit_categories(series: pd.Series, name: str, most_one_hot: int) -> Column | LeftOut:
    codes, texts = to_texts(series)
    present = codes[codes >= 0]
    missing = len(present) < len(codes)
    if len(texts) > FEW_CATEGORIES:
        _refuse_stray_texts(series)
    if len(texts) > max(FEW_CATEGORIES, len(present) / 2):
        return LeftOut(name, f"{len(texts)} different texts, as in an identifier")
    if len(texts) == 1 and not missing:
        return LeftOut(name, SAME)
    if len(texts) <= most_one_hot:
        return CategoryColumn(name, tuple(sorted(texts)), missing)
    return _fit_embedded(np.bincount(present), texts, name, missing=missing)


def _fit_embedded(counts: NDArray[np.intp], texts: list[str], name: str, *, missing: bool) -> EmbeddedColumn | LeftOut:
    """Choose the categories that are common enough for a vector of their own."""
    order = sorted(range(len(texts)), key=lambda i: (-counts[i], texts[i]))[:MOST_EMBEDDED]
    common = [i for i in order if counts[i] >= FEWEST_ROWS]
    if counts[common].sum() < counts.sum() / 2:
        return LeftOut(name, f"{len(texts)} different texts, most of them rare")
    return EmbeddedColumn(name, tuple(sorted(texts[i] for i in common)), missing, rare=len(common) < len(texts))


def _refuse_stray_texts(series: pd.Series) -> None:
    """Refuse a column of numbers with a few texts among them, rather than lose it as an identifier."""
    pandas = require("pandas", "reading a table")
    present = series.dropna()
    texts = pandas.to_numeric(present.astype(object), errors="coerce").isna().to_numpy()
    if 0 < texts.sum() <= (1 - MOSTLY_NUMBERS) * len(present):
        refuse(present, texts, f"holds numbers in {(1 - texts.mean()):.0%} of its rows and must hold nothing else")


def _fit_dates(series: pd.Series, name: str) -> DateColumn | LeftOut:
    seconds = to_seconds(series)
    seconds = seconds[~np.isnan(seconds)]
    scale = float(seconds.std())
    if scale == 0 or seconds.min() == seconds.max():
        return LeftOut(name, SAME)
    return DateColumn(name, float(seconds.mean()), scale, tuple(p for p in (YEAR, WEEK, DAY) if _covers(seconds, p)))


def _covers(seconds: NDArray[np.float64], period: float) -> bool:
    """Tell whether dates reach over a whole period and differ in their phase; days without a time have none."""
    phases = seconds % period
    return bool(seconds.max() - seconds.min() >= period and phases.min() < phases.max())
