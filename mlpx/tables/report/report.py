"""`Report`: what was measured, as text, dictionary or page."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpx.tables.report import text
from mlpx.tables.report.classes import Classes
from mlpx.tables.report.importance import Importance
from mlpx.tables.report.numbers import Numbers

if TYPE_CHECKING:
    from mlpx.history import History
    from mlpx.tables.targets import Task


@dataclass(frozen=True, eq=False)
class Report:
    """How good a model of a table is; see `mlpx.TabularModel.report`.

    Attributes
    ----------
    target : str
        The column that is predicted.
    task : {"classification", "regression"}
        What is predicted.
    rows : int
        How many rows were measured.
    scores : dict
        Measures as of `mlpx.TabularModel.evaluate`, under ``"model"``, ``"baseline"`` and, for a model that was trained
        in this process, ``"linear model"``.
    baseline : str
        What the baseline says.
    findings : Classes or Numbers
        Where the model errs.
    importance : tuple of Importance
        The columns, the one that is needed most first; empty where none was shuffled.
    importance_note : str
        How that was measured, or why not.
    inferred : tuple of (str, str)
        Task, rows and network.
    columns : tuple of (str, str)
        What each column becomes, or why it is left out.
    notes : tuple of str
        What was passed over in the rows that were measured.
    history : History or None
        Numbers by epoch, for a model that was trained in this process.
    """

    target: str
    task: Task
    rows: int
    scores: dict[str, dict[str, float]]
    baseline: str
    findings: Classes | Numbers
    importance: tuple[Importance, ...] = ()
    importance_note: str = ""
    inferred: tuple[tuple[str, str], ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())
    history: History | None = None

    def __str__(self) -> str:
        """Return the report as text of 80 columns."""
        return self.to_text()

    def to_text(self, width: int = 80) -> str:
        """Give the report as text.

        Parameters
        ----------
        width : int
            Columns that it may take, 40 at least.

        Returns
        -------
        str
        """
        return text.write(self, max(width, 40))

    def to_dict(self) -> dict[str, Any]:
        """Give the report as a dictionary that JSON can hold; what is not finite is None.

        Returns
        -------
        dict
        """
        entry = {
            "target": self.target,
            "task": self.task,
            "rows": self.rows,
            "scores": {name: dict(scores) for name, scores in self.scores.items()},
            "baseline": self.baseline,
            **self.findings.to_dict(),
            "importance": [item.to_dict() for item in self.importance],
            "inferred": dict(self.inferred),
            "columns": dict(self.columns),
            "notes": list(self.notes),
            "history": None if self.history is None else self.history.to_dict(),
        }
        finite: dict[str, Any] = _finite(entry)
        return finite

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the report as one page, which needs no other file, no network and no script.

        Without matplotlib the page has no pictures, and says so.

        Parameters
        ----------
        path : str or path
            By convention it ends in ``.html``.

        Raises
        ------
        OSError
            Where the file cannot be written.
        """
        from mlpx.tables.report.page import page  # pictures are drawn where somebody wants them

        Path(path).write_text(page(self), encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
