"""The column to predict: classes or numbers, and the way back from the network's outputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlpx.tables.requirements import named, plural
from mlpx.tables.values import kind_of, to_numbers, to_texts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Task = Literal["classification", "regression"]
LabelKind = Literal["text", "whole", "number", "truth"]

#: Whole numbers with at most this many different values are classes unless the user says otherwise.
MOST_INTEGER_CLASSES = 20
#: More classes than this in more than half of the rows are no classes but names or numbers.
FEW_CLASSES = 20
#: With more classes than this, numbers with a decimal comma are numbers that were not read as such.
MANY_CLASSES = 50
#: Longer texts are no labels, and would be stored for every row.
LONGEST_LABEL = 1000
#: Whole numbers beyond this are not all told apart by float64, and stay texts.
MOST_WHOLE = 2**53
REAL = (int, float, np.integer, np.floating)


@dataclass(frozen=True)
class ClassTarget:
    """A target of classes, known by their labels as texts.

    Attributes
    ----------
    name : str
        The column.
    classes : tuple of str
        Labels, sorted as ``numpy.unique`` sorts them.
    counts : tuple of int
        Training rows of each class: the baseline for every later report.
    kind : {"text", "whole", "number", "truth"}
        What the labels are in the table.
    """

    name: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    kind: LabelKind = "text"

    @property
    def labels(self) -> NDArray[Any]:
        """The labels as the table has them: texts, whole or other numbers, or truth values."""
        return np.asarray([LABELS[self.kind](text) for text in self.classes])

    @property
    def width(self) -> int:
        """Number of the network's outputs."""
        return len(self.classes)

    @property
    def majority(self) -> str:
        """The commonest class of the training rows."""
        return self.classes[int(np.argmax(self.counts))]

    def encode(self, series: pd.Series) -> NDArray[np.str_]:
        """Give the labels of shape (n,); a missing one, or one that training did not have, is refused."""
        _refuse_missing(series)
        codes, texts = to_texts(series)
        unknown = sorted(set(texts) - set(self.classes))
        if unknown:
            known = f"the classes are {named(self.classes)}"
            msg = f"column `{self.name}` holds {named(unknown)}, which the training rows do not have; {known}"
            raise ValueError(msg)
        return np.array(texts)[codes]


@dataclass(frozen=True)
class NumberTarget:
    """A target of numbers; the network learns (value - mean) / scale."""

    name: str
    mean: float
    scale: float

    @property
    def width(self) -> int:
        """Number of the network's outputs."""
        return 1

    def encode(self, series: pd.Series) -> NDArray[np.float64]:
        """Give the standardised values, shape (n,); a missing one is refused."""
        _refuse_missing(series)
        return (to_numbers(series) - self.mean) / self.scale

    def decode(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Turn the network's outputs, (n, 1) or (n,), back into the target's own unit, shape (n,)."""
        return np.asarray(outputs, dtype=np.float64).reshape(-1) * self.scale + self.mean


Target = ClassTarget | NumberTarget
#: What makes a label of its text.
LABELS: dict[LabelKind, Callable[[str], Any]] = {
    "text": str,
    "whole": int,
    "number": float,
    "truth": {"False": False, "True": True}.__getitem__,
}


def infer_task(series: pd.Series) -> Task:
    """Tell what a target asks for.

    Texts, truth values and whole numbers with few different values ask for classification, all other numbers for
    regression.

    Raises
    ------
    ValueError
        If it holds dates, which are neither classes nor numbers, or numbers with a decimal comma.
    """
    kind = kind_of(series)
    if kind == "date":
        remedy = "turn them into a number such as days, or name the task classification"
        msg = f"the target `{series.name}` must hold classes or numbers; it holds dates; {remedy}"
        raise ValueError(msg)
    if kind != "number":
        _refuse_commas(series)
        return "classification"
    values = to_numbers(series)
    values = values[~np.isnan(values)]
    whole = bool((values == np.trunc(values)).all())
    return "classification" if whole and len(np.unique(values)) <= MOST_INTEGER_CLASSES else "regression"


def _refuse_commas(series: pd.Series) -> None:
    """Refuse many different texts that are numbers with a decimal comma, rather than take each for a class."""
    texts = series.dropna().astype(str)
    values = texts.unique()
    commas = [text for text in values if re.fullmatch(r"\s*[-+]?\d+(\.\d{3})*,\d+\s*", text)]
    if len(values) > MANY_CLASSES and len(commas) > len(values) / 2:
        remedy = 'read it with `pandas.read_csv(…, decimal=",")`, or name the task classification'
        msg = f"the target `{series.name}` must hold classes or numbers; it holds texts such as {commas[0]!r}; {remedy}"
        raise ValueError(msg)


def fit_target(series: pd.Series, task: Task) -> Target:
    """Describe the target of the training rows.

    Raises
    ------
    ValueError
        If it is missing in a row, if there is only one class or value, if nearly every row is a class of its own, or if
        a text stands among the numbers of a regression.
    """
    _refuse_missing(series)
    return _fit_classes(series) if task == "classification" else _fit_numbers(series)


def _refuse_missing(series: pd.Series) -> None:
    missing = series.isna().to_numpy(dtype=bool)
    if missing.any():
        row = plural(int(missing.sum()), "row")
        msg = f"the target `{series.name}` must be there in every row; it is missing in {row}; leave them out"
        raise ValueError(msg)


def _fit_classes(series: pd.Series) -> ClassTarget:
    codes, texts = to_texts(series)
    counts = dict(zip(texts, np.bincount(codes, minlength=len(texts)).tolist(), strict=True))
    if len(counts) < 2:
        msg = f"the target `{series.name}` must have at least two classes; every training row is {named(counts)}"
        raise ValueError(msg)
    if len(counts) > max(FEW_CLASSES, len(series) / 2):
        number = f"{plural(len(counts), 'different value')} in {plural(len(series), 'row')}"
        remedy = "choose another target, or regression if they are numbers"
        msg = f"the target `{series.name}` must have classes that repeat; it has {number}; {remedy}"
        raise ValueError(msg)
    _refuse_texts(series, counts)
    classes = sorted(counts)
    return ClassTarget(str(series.name), tuple(classes), tuple(counts[label] for label in classes), _label_kind(series))


def _refuse_texts(series: pd.Series, texts: Iterable[str]) -> None:
    """Refuse labels that an array of texts cannot hold."""
    long = next((text for text in texts if len(text) > LONGEST_LABEL), None)
    if long:
        rule = f"labels of at most {LONGEST_LABEL} characters; one has {len(long)}"
        msg = f"the target `{series.name}` must have {rule}; texts of that kind are no classes"
        raise ValueError(msg)
    cut = next((text for text in texts if text.endswith("\0")), None)
    if cut:
        msg = f"the target `{series.name}` must have labels that do not end in a NUL character; got {cut[:60]!r}"
        raise ValueError(msg)


def _label_kind(series: pd.Series) -> LabelKind:
    """Tell what the labels of a column are."""
    values = series.astype(object).unique().tolist()
    if all(isinstance(value, (bool, np.bool_)) for value in values):
        return "truth"
    if any(isinstance(value, bool) or not isinstance(value, REAL) for value in values):
        return "text"
    if all(float(value).is_integer() for value in values):
        return "whole" if max(map(abs, values)) <= MOST_WHOLE else "text"
    return "number" if np.isfinite(values).all() else "text"


def _fit_numbers(series: pd.Series) -> NumberTarget:
    values = to_numbers(series)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not (np.isfinite(mean) and np.isfinite(scale)):
        msg = f"the target `{series.name}` holds numbers too large to standardise; rescale it"
        raise ValueError(msg)
    if scale == 0 or values.min() == values.max():
        msg = f"the target `{series.name}` must vary; it is {values[0]:g} in every training row"
        raise ValueError(msg)
    return NumberTarget(str(series.name), mean, scale)
