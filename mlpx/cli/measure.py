"""What was measured, on the terminal and as a page."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mlpx.cli import models
from mlpx.cli.console import note, say, width
from mlpx.tables.report import text
from mlpx.tables.report.page import INSTALL
from mlpx.tables.requirements import counted

if TYPE_CHECKING:
    from mlpx.tables.report import Report


def check_report(path: str | None) -> None:
    """Refuse at the beginning what could not be written at the end; an earlier report is written over."""
    if path is None:
        return
    if Path(path).suffix.lower() not in (".html", ".htm"):
        msg = f"`--report` must name a file that ends in .html; got `{path}`"
        raise ValueError(msg)
    models.check_folder("--report", Path(path))


def say_report(report: Report, title: str) -> None:
    """Write scores, errors and the columns that the model needs."""
    parts = text.sections(report, width(), f"{title}, {counted(report.rows, 'row')}")
    say("\n\n".join("\n".join(part) for part in parts))


def write_report(report: Report, path: str | None) -> None:
    """Write the page, where one is asked for."""
    if path is not None:
        report.to_html(path)
        note(f"wrote the report `{path}`")
        if find_spec("matplotlib") is None:
            note(f"it has no pictures, which matplotlib draws: {INSTALL}")
