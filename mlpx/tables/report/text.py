"""A report as text: sections of labelled lines and small tables, none wider than the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mlpx.tables.report.classes import Classes
from mlpx.tables.report.importance import Importance
from mlpx.tables.report.words import (
    MEASURES,
    RANKED_BY,
    best_epochs,
    decimals,
    figure,
    mean,
    measured,
    percent,
    plain,
    short,
)
from mlpx.tables.requirements import NO_BREAK, counted, plural, whole

if TYPE_CHECKING:
    from mlpx.history import History
    from mlpx.tables.report.numbers import Numbers
    from mlpx.tables.report.report import Report

#: Lines that are shown: of columns, of those that the model needs most, and of epochs.
MOST_COLUMNS, MOST_NEEDED, MOST_EPOCHS = 30, 15, 6


def write(report: Report, width: int) -> str:
    """Write the whole report."""
    title = wrap(f"`{short(report.target)}` on {counted(report.rows, 'row')}", width)
    parts = [[*title, "=" * max(map(len, title))], *sections(report, width), inferred(report, width)]
    if report.notes:
        parts.insert(2, [line for note in report.notes for line in wrap(note, width)])
    if report.history is not None and report.history.epochs:
        parts.insert(-1, training(report.history, width))
    return "\n\n".join("\n".join(part) for part in parts).replace(NO_BREAK, " ")


def sections(report: Report, width: int, title: str = "") -> list[list[str]]:
    """Give what was measured: scores, errors and columns, each as lines."""
    parts = [scores(report, width, title), errors(report, width), importance(report, width)]
    return [part for part in parts if part]


def errors(report: Report, width: int) -> list[str]:
    """Write where the model errs."""
    findings = report.findings
    return classes(findings, width) if isinstance(findings, Classes) else numbers(findings, width)


def scores(report: Report, width: int, title: str = "") -> list[str]:
    """Write the measures of the model beside those of simpler ones."""
    head = (title, *report.scores)
    rows = [
        (MEASURES[name][0], *(measured(name, of[name]) for of in report.scores.values()))
        for name in report.scores["model"]
    ]
    return [*table([head, *rows], width), *wrap(f"baseline: {report.baseline}", width)]


def classes(findings: Classes, width: int) -> list[str]:
    """Write which classes are taken for which."""
    lines = _matrix(findings, width)
    found = findings.confusions()
    lines += [line for sentence in found for line in wrap(sentence, width)] or ["every row is in its class"]
    if findings.calibration:
        name = short(findings.classes[1])
        lines += ["", *wrap(f"probabilities of `{name}` are {findings.calibration_note()}:", width)]
        rows = [(f"{p.said:.3f}", f"{p.seen:.3f}", whole(p.rows)) for p in findings.calibration]
        lines += table([("mean probability", f"share of {short(name, 16)}", "rows"), *rows], width)
    return lines


def _matrix(findings: Classes, width: int) -> list[str]:
    """Write the matrix where it fits, else the recall of each class."""
    names = [short(name, 12) for name in findings.classes]
    cells = [[whole(count) for count in row] for row in findings.counts.tolist()]
    found = [("-" if share != share else percent(share)) for _, share, _ in findings.shares()]
    rows = [("true \\ predicted", *names, "recall")]
    rows += [(name, *row, share) for name, row, share in zip(names, cells, found, strict=True)]
    if _size(rows) <= width:
        return [*table(rows, width), ""]
    listed = [f"{name} {share}" for name, share in zip(names, found, strict=True)]
    return [*wrap(f"recall of each class: {', '.join(listed)}", width), ""]


def numbers(findings: Numbers, width: int) -> list[str]:
    """Write the quantiles of the residuals, and predicted beside true."""
    quantiles = findings.quantiles()
    head = ("share of rows", *(f"{share:.0%}" for share, _ in quantiles))
    places = decimals(value for _, value in quantiles)
    lines = table([head, ("residual below", *(f"{value:z.{places}f}" for _, value in quantiles))], width)
    rows = [(whole(g.rows), figure(g.predicted), figure(g.true), figure(g.rmse)) for g in findings.groups()]
    lines = ["residuals: predicted less true", *lines, ""]
    lines += wrap("from the smallest predictions to the largest:", width)
    return lines + table([("rows", "predicted", "true", "RMSE"), *rows], width)


def importance(report: Report, width: int) -> list[str]:
    """Write what the model loses without each column."""
    note = wrap(report.importance_note, width)
    if not report.importance:
        return note
    loss, score = (MEASURES[name][0] for name in RANKED_BY[report.task])
    rows = [("column", f"{loss} rises by", f"{score} falls by")]
    places = decimals((item.loss for item in report.importance), 4)
    rows += [_needed(item, places) for item in report.importance[:MOST_NEEDED]]
    more = len(report.importance) - MOST_NEEDED
    return [*table(rows, width), *([f"and {more} more"] if more > 0 else []), *note]


def _needed(item: Importance, places: int) -> tuple[str, str, str]:
    loss = f"{item.loss:z.{places}f} ± {item.loss_std:.{places}f}"
    return (short(item.column, 32), loss, f"{item.score:z.4f} ± {item.score_std:.4f}")


def training(history: History, width: int) -> list[str]:
    """Write some of the epochs."""
    best = best_epochs(history.best_epoch)
    columns = {name: column for name, column in history.items() if name != "learning_rate"}
    last = history.epochs - 1
    shown = sorted({round(i * last / (MOST_EPOCHS - 1)) for i in range(MOST_EPOCHS)})
    rows = [("epoch", *(name.replace("_", " ") for name in columns))]
    rows += [(str(i + 1), *(figure(mean(column[i]), 4) for column in columns.values())) for i in shown]
    epochs = f"{plural(history.epochs, 'epoch')} in {history.seconds:.1f} s"
    chosen = f", {best}" if best else ""
    return [*wrap(f"training: {epochs}{chosen}", width), *table(rows, width)]


def inferred(report: Report, width: int) -> list[str]:
    """Write what was inferred: the task, the rows, the columns."""
    lines = fields(report.inferred, width)
    lines.append("columns")
    lines += fields(((f"  {short(name)}", what) for name, what in report.columns[:MOST_COLUMNS]), width)
    more = len(report.columns) - MOST_COLUMNS
    return [*lines, *([f"  and {more} more"] if more > 0 else [])]


def fields(labelled: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Write labels and what belongs to them, with a hanging indent."""
    lines: list[str] = []
    pairs = list(labelled)
    room = min(max((len(label) + 2 for label, _ in pairs), default=0), width // 3)
    for label, words in pairs:
        first = label.ljust(room) if len(label) < room else f"{label}  "
        lines += wrap(words, width, first, " " * room)
    return lines


def wrap(words: str, width: int, first: str = "", later: str = "") -> list[str]:
    """Break a sentence into lines."""
    return textwrap.wrap(plain(words), width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Write rows of cells under a header, the first column to the left; as labelled lines where it is too narrow."""
    if _size(rows) > width:
        return list(_apart(rows))
    widths = _widths(rows)
    return [
        "   ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]).rstrip() for first, *others in rows
    ]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _size(rows: Sequence[Sequence[str]]) -> int:
    widths = _widths(rows)
    return sum(widths) + 3 * (len(widths) - 1)


def _apart(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write a table downwards: each row's name, and below it the other cells with their column's name."""
    (_, *header), *others = rows
    longest = max(map(len, header))
    for first, *cells in others:
        yield first
        yield from (f"    {name:<{longest}}  {cell}" for name, cell in zip(header, cells, strict=True))
