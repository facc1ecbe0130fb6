"""Which rows of a table a model learns from, which choose its best epoch and which are kept for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpx.tables.requirements import plural
from mlpx.tables.splits import Split, split_by_column, split_by_fraction, split_by_group, split_by_time

if TYPE_CHECKING:
    import pandas as pd

#: Fewer training rows than this are too few to give up some of them for validation.
FEWEST_FOR_VALIDATION = 20


def divide(
    frame: pd.DataFrame,
    *,
    classes: pd.Series | None,
    test: float,
    validation: float,
    split: str | None,
    group: str | None,
    time: str | None,
    seed: int,
) -> Split:
    """Divide the rows of a table; validation rows are chosen from the training rows in the way that test rows are.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table.
    classes : pandas.Series or None
        The class of each row, of which random draws take equal shares.
    test, validation : float
        Shares, 0 for none; `validation` of the rows that do not test.
    split, group, time : str or None
        The column that says which rows test, or by whose groups or times rows are chosen; at most one.
    seed : int
        Seed of the draws.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If more than one way is given, or nothing is left to learn from.
    """
    _check_ways(split=split, group=group, time=time, test=test)
    if split:
        outer = split_by_column(frame[split])
        if len(outer.validation):
            return _checked(outer)
    else:
        outer = _drawn(frame, classes, test, group, time, seed)
        _check_test(outer, test)
    rest, by = outer.train, group or time
    alike = by is not None and frame[by].iloc[rest].nunique(dropna=False) < 2  # one group or time is not to be divided
    if not validation or len(rest) < FEWEST_FOR_VALIDATION or alike:
        return _checked(outer)
    inner = _drawn(frame.iloc[rest], None if classes is None else classes.iloc[rest], validation, group, time, seed)
    return _checked(Split(rest[inner.train], outer.test, rest[inner.test], outer.source))


def _drawn(
    frame: pd.DataFrame, classes: pd.Series | None, share: float, group: str | None, time: str | None, seed: int
) -> Split:
    if group and share:
        return split_by_group(frame[group], share, seed=seed)
    if time and share:
        return split_by_time(frame[time], share)
    return split_by_fraction(len(frame), share, classes=classes, seed=seed)


def _check_ways(*, split: str | None, group: str | None, time: str | None, test: float) -> None:
    """Refuse two ways at once."""
    given = {"split": split, "group": group, "time": time}
    names = [f"`{name}={column!r}`" for name, column in given.items() if column]
    names += [f"`test={test}`"] if split and test else []
    if len(names) > 1:
        msg = f"rows are divided in one way; got {' and '.join(names)}; give one of them"
        raise ValueError(msg)


def _check_test(split: Split, share: float) -> None:
    """Refuse a share so small that no row tests."""
    if share and not len(split.test):
        each = f"a share of {share:g} of {plural(len(split.train), 'row')}, the same of each class, is no row"
        msg = f"`test` must keep rows: {each}; take a larger share, or give a table of test rows"
        raise ValueError(msg)


def _checked(split: Split) -> Split:
    if len(split.train) < 2:
        msg = f"training needs at least two rows; {plural(len(split.train), 'row')} came"
        raise ValueError(msg)
    return split
