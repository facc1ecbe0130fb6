"""The description of a table's columns: fitted on training rows, stored with the model, applied to any later table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from mlpx._notes import Note, warn
from mlpx.tables import stored
from mlpx.tables.columns import Column, EmbeddedColumn, LeftOut, NumberColumn, Source
from mlpx.tables.facts import facts
from mlpx.tables.fitting import MOST_ONE_HOT, Rules, Scaling, fit_column
from mlpx.tables.frames import as_frame
from mlpx.tables.requirements import named, plural, suggestion
from mlpx.tables.targets import Target, Task, fit_target, infer_task

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Preprocessing:
    """How a table becomes the network's inputs and target.

    Attributes
    ----------
    columns : tuple of NumberColumn, CategoryColumn, EmbeddedColumn or DateColumn
        The columns that are used, in the order of the network's inputs.
    left_out : tuple of LeftOut
        The columns of the training table that are not used, and why.
    target : ClassTarget or NumberTarget
        The column to predict.
    split : str or None
        The column that told training rows from test rows, if there was one.
    source : Source or None
        The table that the training rows came from, if it is known.

    Notes
    -----
    Numbers: missing values become the median of the training rows, and a second input says 1 there; then the column
    is scaled by its median and quartiles and clipped smoothly (`NumberColumn`). Texts, truth values and categories: one
    input a category, and one for "missing" where a training row had it; many categories become one input, a number
    for `mlpx.Embedding` to look up (`EmbeddedColumn`). Dates, and texts that are dates of ISO 8601: the trend and the
    phases of year, week and day (`DateColumn`). Left out: columns of one value only, columns of missing values only,
    texts that differ from row to row as identifiers do, and whatever else is no number, text or date.

    The table may be a frame of pandas or polars, of Arrow, or anything else that `as_frame` takes; the same table gives
    the same inputs.

    Examples
    --------
    >>> from mlpx.tables import Preprocessing
    >>> flowers = {"height": [50.0, 61.5, None, 43.0], "colour": ["red", "red", "white", "red"], "wild": [1, 2, 3, 4]}
    >>> preprocessing = Preprocessing.fit(flowers, "wild", task="regression")
    >>> for name, becomes in preprocessing.describe():
    ...     print(f"{name}: {becomes}")
    height: numbers, 2 inputs: (value - 50) / 9.25, clipped smoothly at 3; 50 where missing, and an input that says so
    colour: categories, 2 inputs: one for each of 2 categories (`red`, `white`)
    wild: target, regression: (value - 2.5) / 1.11803
    >>> preprocessing.transform({"colour": ["white"], "height": [50.0]})
    array([[0., 0., 0., 1.]], dtype=float32)
    """

    columns: tuple[Column, ...]
    left_out: tuple[LeftOut, ...]
    target: Target
    split: str | None = None
    source: Source | None = None

    @classmethod
    def fit(
        cls,
        table: Any,
        target: str,
        *,
        task: Task | Literal["auto"] = "auto",
        drop: Collection[str] = (),
        split: str | None = None,
        scaling: Scaling = "robust",
        most_one_hot: int = MOST_ONE_HOT,
        bins: int = 0,
        one_scale: bool = False,
        source: Source | None = None,
    ) -> Preprocessing:
        """Learn the columns from training rows.

        Parameters
        ----------
        table : table
            Training rows only: what test rows hold must not be known. See `as_frame` for what it may be.
        target : str
            The column to predict; no row of it may be missing (see `labelled_rows`).
        task : {"auto", "classification", "regression"}
            ``"auto"`` follows the target, see `infer_task`.
        drop : str or collection of str
            Columns to leave out.
        split : str, optional
            The column that tells training rows from test rows; left out as well.
        scaling : {"robust", "standard"}
            How numbers are scaled: by median and quartiles, with the smooth clipping, or to mean 0 and variance 1 (with
            the divisor n), without.
        most_one_hot : int
            A column of more categories is embedded.
        bins : int
            Number of pieces along each column of numbers that get inputs of their own, see `NumberColumn`; 0 for none.
        one_scale : bool
            Standardise all numbers by one mean and one scale, as for pixels, whatever `scaling` says. Columns of one
            value are then kept.
        source : Source, optional
            The table that the rows come from.

        Returns
        -------
        Preprocessing

        Raises
        ------
        ValueError
            If a named column is not there, the target shall be left out, nothing is left to learn from, or a column
            cannot be used as it stands.
        """
        frame = as_frame(table)
        target, drop = str(target), [str(name) for name in ([drop] if isinstance(drop, str) else drop)]
        _check_arguments(frame, target, drop, split, scaling)
        rules = Rules(
            "standard" if one_scale else scaling, most_one_hot, keep_constant=one_scale, bins=0 if one_scale else bins
        )
        fitted = [
            LeftOut(name, "as asked") if name in drop else fit_column(frame[name], rules)
            for name in frame.columns
            if name not in (target, split)
        ]
        columns = tuple(column for column in fitted if not isinstance(column, LeftOut))
        left_out = tuple(column for column in fitted if isinstance(column, LeftOut))
        if not columns:
            why = "; ".join(f"`{column.name}`: {column.reason}" for column in left_out[:5]) or "there is no other"
            msg = f"no column is left to predict `{target}` from ({why})"
            raise ValueError(msg)
        chosen = infer_task(frame[target]) if task == "auto" else task
        shared = _share_scale(columns) if one_scale else columns
        return cls(shared, left_out, fit_target(frame[target], chosen), split, source)

    @property
    def width(self) -> int:
        """Number of the network's inputs."""
        return sum(column.width for column in self.columns)

    @property
    def task(self) -> Task:
        """``"classification"`` or ``"regression"``."""
        return "regression" if hasattr(self.target, "mean") else "classification"

    @property
    def embeddings(self) -> tuple[tuple[int, int, int], ...]:
        """The `tables` of `mlpx.Embedding`: position of the input, numbers that it takes, length of the vectors.

        Empty where no column has many categories.
        """
        tables, start = [], 0
        for column in self.columns:
            if isinstance(column, EmbeddedColumn):
                tables.append((start, len(column.categories) + 1, column.units))
            start += column.width
        return tuple(tables)

    def describe(self) -> tuple[tuple[str, str], ...]:
        """Tell of every column of the training table what it becomes and why, as pairs of name and sentence."""
        return facts(self.columns, self.left_out, self.target)

    def transform(self, table: Any, *, dtype: str = "float32", note: Note = warn) -> NDArray[Any]:
        """Turn a table into the network's inputs.

        Parameters
        ----------
        table : table
            With the columns of the training table, in any order; the target may be absent. See `as_frame`.
        dtype : str
            Type of the result.
        note : callable
            Takes a sentence for everything that was passed over: columns that are not used, categories that the
            training rows did not have (or, of a column with many, had rarely), missing numbers where they had none
            (taken as the median). A warning by default.

        Returns
        -------
        numpy.ndarray
            Shape (n, width).

        Raises
        ------
        ValueError
            If columns are missing, or a column of numbers or dates holds something else.
        """
        frame = as_frame(table)
        self._check_present(frame, note)
        out = np.empty((len(frame), self.width), dtype=dtype)
        unknown: dict[str, Counter[str]] = {}
        start = 0
        for column in self.columns:
            stop = start + column.width
            column.encode(frame[column.name], out[:, start:stop], unknown.setdefault(column.name, Counter()))
            start = stop
        _note_missing(self.columns, unknown, note)
        _note_unknown(self.columns, unknown, note)
        return out

    def transform_target(self, table: Any) -> NDArray[Any]:
        """Give the labels as texts, or the standardised numbers, of shape (n,); no row may be missing."""
        frame = as_frame(table)
        check_columns(frame, [self.target.name])
        return self.target.encode(frame[self.target.name])

    def to_dict(self) -> dict[str, Any]:
        """Give a dictionary that JSON can hold."""
        return stored.to_dict(self.columns, self.left_out, self.target, self.split, self.source)

    @classmethod
    def from_dict(cls, entry: object) -> Preprocessing:
        """Make the description from `to_dict`'s dictionary.

        Raises
        ------
        ValueError
            If anything in it has the wrong type, length or range.
        """
        return cls(*stored.from_dict(entry))

    def _check_present(self, frame: pd.DataFrame, note: Note) -> None:
        """Refuse a table without the columns that are used; tell of columns that training did not have."""
        check_columns(frame, [column.name for column in self.columns])
        known = {column.name for column in (*self.columns, *self.left_out)} | {self.target.name, self.split}
        extra = [name for name in frame.columns if name not in known]
        if extra:
            note(f"ignoring {plural(len(extra), 'column')} that the training table did not have: {named(extra)}")


def check_columns(frame: pd.DataFrame, names: Collection[str]) -> None:
    """Refuse a table that lacks a column, naming all that it lacks and, for one, what it may be called here."""
    missing = [name for name in names if name not in frame.columns]
    if not missing:
        return
    there = f"the columns are {named(frame.columns, most=30)}"
    if len(missing) == 1:
        msg = f"the table has no column `{missing[0]}`{suggestion(missing[0], frame.columns)}; {there}"
    else:
        msg = f"the table lacks {plural(len(missing), 'column')}: {named(missing)}; {there}"
    raise ValueError(msg)


def _check_arguments(frame: pd.DataFrame, target: str, drop: Collection[str], split: str | None, scaling: str) -> None:
    """Refuse what `Preprocessing.fit` cannot work with."""
    check_columns(frame, [target, *drop, *([split] if split else [])])
    if not len(frame):
        msg = "the table must have rows to learn from; it has a header and no rows"
        raise ValueError(msg)
    if target in drop:
        msg = f"the target `{target}` must not be among the columns to leave out; name another, or do not drop it"
        raise ValueError(msg)
    if scaling not in get_args(Scaling):
        msg = f"`scaling` must be 'robust' or 'standard'; got {scaling!r}"
        raise ValueError(msg)


def labelled_rows(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """Give the rows whose target is not missing.

    Raises
    ------
    ValueError
        If there is no such column or row.
    """
    check_columns(frame, [target])
    kept = frame[frame[target].notna()]
    if not len(kept):
        msg = f"the target `{target}` is missing in every row; nothing can be learnt or measured"
        raise ValueError(msg)
    return kept


def _share_scale(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Give all columns of numbers the mean and the scale of all their values together."""
    numbers = [column for column in columns if isinstance(column, NumberColumn)]
    if not numbers:
        return columns
    means = np.array([column.center for column in numbers])
    variances = np.array([column.scale for column in numbers]) ** 2
    mean, scale = float(means.mean()), float(np.sqrt((variances + (means - means.mean()) ** 2).mean()))
    if scale == 0:
        msg = f"all numbers of the table are {mean:g}; there is nothing to learn from"
        raise ValueError(msg)
    return tuple(replace(c, center=mean, scale=scale) if isinstance(c, NumberColumn) else c for c in columns)


def _note_missing(columns: Iterable[Column], unknown: dict[str, Counter[str]], note: Note) -> None:
    """Tell in one line of missing numbers in columns where the training rows had none."""
    gaps = {c.name: unknown.pop(c.name).total() for c in columns if isinstance(c, NumberColumn)}
    parts = [f"`{name}` {count}" for name, count in gaps.items() if count]
    if parts:
        note(f"{plural(sum(gaps.values()), 'missing value')} of numbers, taken as the median: {', '.join(parts)}")


def _note_unknown(columns: Iterable[Column], unknown: dict[str, Counter[str]], note: Note) -> None:
    """Tell in a line each how many values training did not have, and how many it may have had, but rarely."""
    unsure = {column.name for column in columns if isinstance(column, EmbeddedColumn) and column.rare}
    counts = {name: values for name, values in unknown.items() if values}
    _note_values(
        {name: values for name, values in counts.items() if name not in unsure},
        "that training did not have, taken as none of the known ones",
        note,
    )
    _note_values(
        {name: values for name, values in counts.items() if name in unsure},
        "that training had rarely or not at all, taken as none of the common ones",
        note,
    )


def _note_values(counts: dict[str, Counter[str]], what: str, note: Note) -> None:
    """Tell how many values there are, and name some."""
    if not counts:
        return
    parts = [
        f"`{name}` {values.total()} ({', '.join(value for value, _ in values.most_common(3))}"
        f"{', …' if len(values) > 3 else ''})"
        for name, values in counts.items()
    ]
    total = plural(sum(values.total() for values in counts.values()), "value")
    note(f"{total} {what}: {', '.join(parts)}")
