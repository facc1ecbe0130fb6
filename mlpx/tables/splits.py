"""Which rows train, which validate and which test: drawn at random, by whole groups, by time, or as a column says.

Every function gives a `Split` of positions. For validation rows the same is done again with the training rows:

>>> import pandas as pd
>>> from mlpx.tables.splits import split_by_group, split_by_time
>>> frame = pd.DataFrame({"year": range(2000, 2020), "person": list("abcde") * 4})
>>> outer = split_by_time(frame["year"], 0.2)
>>> frame["year"][outer.test].tolist()
[2016, 2017, 2018, 2019]
>>> inner = split_by_group(frame["person"][outer.train], 0.2)
>>> train, validation = outer.train[inner.train], outer.train[inner.test]
>>> set(frame["person"][train]) & set(frame["person"][validation])
set()
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx.tables.requirements import plural, require
from mlpx.tables.values import kind_of, refuse, to_numbers, to_seconds, to_texts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

#: What the column of `split_by_column` may say, and the rows that each word means.
WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def _no_rows() -> NDArray[np.intp]:
    return np.zeros(0, dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of rows, in rising order, each row in one part.

    Attributes
    ----------
    train, test, validation : numpy.ndarray of int
        Positions from 0, for ``frame.iloc``; empty where there are none.
    source : str
        Where the test rows come from, in words; empty where there are none.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    validation: NDArray[np.intp] = field(default_factory=_no_rows)
    source: str = ""


def split_by_fraction(n_rows: int, fraction: float, *, classes: pd.Series | None = None, seed: int | None = 0) -> Split:
    """Draw test rows, from each class the same share where classes are given.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    fraction : float
        Share of the rows that test, from 0 to below 1.
    classes : pandas.Series, optional
        The class of each row.
    seed : int
        Seed of the draw.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If the fraction is out of range.
    """
    _check_fraction(fraction)
    generator = np.random.default_rng(seed)
    test = np.zeros(n_rows, dtype=bool)
    for rows in [np.arange(n_rows)] if classes is None else _rows_of_classes(classes):
        test[generator.permutation(rows)[: round(fraction * len(rows))]] = True
    return _split(test, f"{fraction:.0%} drawn" + ("" if classes is None else " from each class"))


def split_by_group(groups: pd.Series, fraction: float, *, seed: int | None = 0) -> Split:
    """Draw groups, such as patients or shops, of which all rows test; no group stands on both sides.

    The draw is scikit-learn's ``GroupShuffleSplit``.

    Parameters
    ----------
    groups : pandas.Series
        The group of each row; rows without one form a group of their own.
    fraction : float
        Share of the groups that test, from 0 to below 1.
    seed : int
        Seed of the draw.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If the fraction is out of range, or there is one group only.
    ImportError
        If scikit-learn is missing; the message holds the install command.
    """
    _check_fraction(fraction)
    if not fraction:
        return _split(np.zeros(len(groups), dtype=bool), "")
    codes, _ = to_texts(groups)
    if len(np.unique(codes)) < 2:
        msg = f"the column `{groups.name}` must hold at least two groups; all {plural(len(groups), 'row')} are of one"
        raise ValueError(msg)
    selection = require("sklearn.model_selection", "a split by groups")
    shuffled = selection.GroupShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
    _, chosen = next(shuffled.split(codes, groups=codes))
    test = np.zeros(len(groups), dtype=bool)
    test[chosen] = True
    number = plural(len(np.unique(codes[chosen])), "group")
    return _split(test, f"{number} of column {groups.name}")


def split_by_time(times: pd.Series, fraction: float) -> Split:
    """Take the latest rows for testing, as a model that is used later will meet them.

    Parameters
    ----------
    times : pandas.Series
        The time of each row: dates, or numbers such as years. Rows of one time stay together, so that no test row is
        as early as a training row.
    fraction : float
        Share of the rows that test, from 0 to below 1, as nearly as rows of one time allow.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If the fraction is out of range, a time is missing, or the column holds no times or only one.
    """
    _check_fraction(fraction)
    values = _times(times)
    count = round(fraction * len(values))
    if not count:
        return _split(np.zeros(len(values), dtype=bool), "")
    ordered = np.sort(values)
    start = ordered[-count]
    if start == ordered[0]:  # the first time goes on until there: the rows after it are all that can test
        start = np.nextafter(start, np.inf)
    test = values >= start
    if not test.any():
        msg = f"the column `{times.name}` must hold different times to split by; all are {times.iloc[0]}"
        raise ValueError(msg)
    return _split(test, f"latest by column {times.name}")


def split_by_column(words: pd.Series) -> Split:
    """Divide the rows as a column says: ``train``, ``test`` and, where there are any, ``validation``.

    Parameters
    ----------
    words : pandas.Series
        One word a row; the case does not matter, and ``training``, ``testing``, ``valid``, ``val`` and ``dev`` count as
        well.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If a row says something else.
    """
    parts = parts_of(words)
    refuse(words, parts == "", "must say train, test or validation in every row to split by")
    train, validation, test = (np.flatnonzero(parts == part) for part in ("train", "validation", "test"))
    return Split(train, test, validation, f"column {words.name}" if len(test) else "")


def parts_of(words: pd.Series) -> NDArray[np.str_]:
    """Give ``train``, ``validation`` or ``test`` for each row of a column that says so, and nothing elsewhere."""
    codes, texts = to_texts(words)
    return np.array([*(WORDS.get(text.strip().lower(), "") for text in texts), ""])[codes]


def _split(test: NDArray[np.bool_], source: str) -> Split:
    return Split(np.flatnonzero(~test), np.flatnonzero(test), source=source if test.any() else "")


def _check_fraction(fraction: Any) -> None:
    if not 0 <= fraction < 1:
        msg = f"`fraction` must be a share of the rows from 0 to below 1; got {fraction!r}"
        raise ValueError(msg)


def _rows_of_classes(classes: pd.Series) -> list[NDArray[np.intp]]:
    """Give the rows of each class, the classes sorted by their text."""
    codes, texts = to_texts(classes)
    return [np.flatnonzero(codes == code) for code in [*sorted(range(len(texts)), key=texts.__getitem__), -1]]


def _times(times: pd.Series) -> NDArray[np.float64]:
    """Give the times as numbers, in whatever unit."""
    kind = kind_of(times)
    if kind not in ("date", "number"):
        msg = f"the column `{times.name}` must hold dates or numbers to split by time; it holds {times.dtype}"
        raise ValueError(msg)
    values = to_seconds(times) if kind == "date" else to_numbers(times)
    refuse(times, np.isnan(values), "must hold a time in every row to split by")
    return values
