"""What was taken for granted of a table, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpx.tables.requirements import NO_BREAK, counted, named, plural, whole
from mlpx.tables.targets import ClassTarget

if TYPE_CHECKING:
    from mlpx.tables.preprocessing import Preprocessing
    from mlpx.tables.splits import Split


def columns_inferred(preprocessing: Preprocessing) -> tuple[str, ...]:
    """Tell the task and what every column becomes.

    Parameters
    ----------
    preprocessing : Preprocessing
        The columns and the target.

    Returns
    -------
    tuple of str
    """
    target = preprocessing.target
    what = f"the classes {named(target.classes, 5)}" if isinstance(target, ClassTarget) else "numbers"
    task = f"task: {preprocessing.task}; `{target.name}` holds {what}"
    return (task, *(f"`{name}`: {sentence}" for name, sentence in preprocessing.describe()))


def rows_inferred(split: Split) -> str:
    """Tell in one line how the rows are divided.

    Parameters
    ----------
    split : Split
        The rows.

    Returns
    -------
    str
    """
    parts = [f"{counted(len(split.train), 'row')} to learn from"]
    if len(split.validation):
        parts.append(f"{whole(len(split.validation))} to choose the best epoch by")
    if len(split.test):
        parts.append(f"{whole(len(split.test))} kept for a test ({split.source})")
    return ", ".join(parts).replace(NO_BREAK, " ")


def unlabelled(count: int, target: str) -> str:
    """Tell how many rows are left out for want of a target.

    Parameters
    ----------
    count : int
        How many; of none there is nothing to tell.
    target : str
        The column.

    Returns
    -------
    str
    """
    return f"left out {plural(count, 'row')} whose target `{target}` is missing" if count else ""
