"""A report as one page of HTML: no script, no network, readable on a phone, light or dark as the reader has it."""

from __future__ import annotations

from importlib import util
from typing import TYPE_CHECKING

import mlpx._version
from mlpx.tables.report.classes import Classes
from mlpx.tables.report.markup import Markup, join, prose, table, tag
from mlpx.tables.report.words import MEASURES, RANKED_BY, best_epochs, decimals, figure, mean, measured, percent, short
from mlpx.tables.requirements import counted, plural, whole

if TYPE_CHECKING:
    from mlpx.history import History
    from mlpx.tables.report.importance import Importance
    from mlpx.tables.report.numbers import Numbers
    from mlpx.tables.report.report import Report

INSTALL = 'pip install "mlpx[plot]"'
#: Classes up to which the whole matrix is shown, and rows of the table of epochs.
MOST_CLASSES, MOST_EPOCHS = 40, 12
STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c1e21; --quiet: #5a6068; --line: #d9dce0; --first: #0072b2;
  --second: #d55e00; --cell: 0 114 178; }
@media (prefers-color-scheme: dark) { :root { --ground: #15171a; --ink: #e6e8ea; --quiet: #a3a9b0; --line: #383d43;
  --first: #5db3e6; --second: #f0904a; --cell: 93 179 230; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 52rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
p, ul { margin: .5rem 0; } .quiet { color: var(--quiet); font-size: .9rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .92rem; margin: .5rem 0; }
th, td { padding: .25rem .7rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
.numbers td, .numbers thead th + th { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.numbers td, .numbers th { padding: .25rem .5rem; overflow-wrap: normal; } tbody th { font-weight: 500; }
.numbers tbody th { min-width: 4rem; max-width: 14rem; overflow-wrap: break-word; }
.words tbody th { min-width: 8rem; max-width: 14rem; overflow-wrap: break-word; }
.model { font-weight: 700; } svg { display: block; width: 100%; max-width: 40rem; height: auto; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(report: Report) -> str:
    """Write the page.

    Parameters
    ----------
    report : Report
        What was measured.

    Returns
    -------
    str
        A whole document.
    """
    title = f"{short(report.target)}: report of a model"
    head = tag(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        tag("title", title),
        Markup(f"<style>{STYLE}</style>"),
    )
    drawn = _pictures(report)
    parts = [_top(report), _scores(report), _errors(report, drawn), _importance(report, drawn)]
    if report.history is not None and report.history.epochs:
        parts.append(_training(report.history, drawn))
    parts += [_inferred(report), tag("p", f"Written by mlpx {mlpx._version.__version__}.", class_="quiet")]
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', *parts), lang='en')}\n"


def _pictures(report: Report) -> dict[str, Markup]:
    """Draw, where matplotlib is there."""
    if util.find_spec("matplotlib") is None:
        return {}
    from mlpx.tables.report.pictures import pictures  # the rest of the page needs no matplotlib

    return pictures(report)


def _section(title: str, *parts: str) -> Markup:
    return tag("section", tag("h2", title), *parts)


def _top(report: Report) -> Markup:
    said = f"{report.task}, measured on {counted(report.rows, 'row')}"
    parts = [tag("h1", "Model of ", tag("code", short(report.target))), tag("p", said)]
    if util.find_spec("matplotlib") is None:
        parts.append(tag("p", "This page has no pictures: matplotlib draws them. ", tag("code", INSTALL)))
    return join(parts)


def _scores(report: Report) -> Markup:
    first, *others = report.scores.values()
    rows = []
    for measure, value in first.items():
        label, more = MEASURES[measure]
        own = tag("td", measured(measure, value), class_="model")
        rows.append((f"{label} {'↑' if more else '↓'}", own, *(measured(measure, of[measure]) for of in others)))
    notes = ["↑ more is better, ↓ less is better.", f"Baseline: {report.baseline}.", *(f"{n}." for n in report.notes)]
    return _section(
        "Scores", table(["", *report.scores], rows), *(tag("p", prose(note), class_="quiet") for note in notes)
    )


def _errors(report: Report, drawn: dict[str, Markup]) -> Markup:
    if isinstance(report.findings, Classes):
        return _classes(report.findings, drawn)
    return _numbers(report.findings, drawn)


def _classes(findings: Classes, drawn: dict[str, Markup]) -> Markup:
    sentences = findings.confusions() or ("every row is in its class",)
    parts: list[str] = [tag("ul", *(tag("li", prose(sentence)) for sentence in sentences))]
    if len(findings.classes) <= MOST_CLASSES:
        parts += [tag("p", "Rows by true class (down) and predicted class (across):"), _matrix(findings)]
    parts.append(_shares(findings))
    if findings.calibration:
        parts.append(_calibration(findings, drawn))
    return _section("Errors", *parts)


def _matrix(findings: Classes) -> Markup:
    """Write counts on a ground that is the deeper, the larger the share of the true class."""
    names = [short(name, 16) for name in findings.classes]
    shares = findings.counts / findings.counts.sum(axis=1, keepdims=True).clip(min=1)
    rows = []
    for name, counts, share in zip(names, findings.counts.tolist(), shares.tolist(), strict=True):
        cells = [
            tag("td", whole(count), style=f"background: rgb(var(--cell) / {0.6 * part:.2f})")
            for count, part in zip(counts, share, strict=True)
        ]
        rows.append((name, *cells))
    return table(["true", *names], rows)


def _shares(findings: Classes) -> Markup:
    rows = [
        (short(name), whole(count), _share(recall), _share(precision))
        for name, (count, recall, precision) in zip(findings.classes, findings.shares(), strict=True)
    ]
    return table(["class", "rows", "recall", "precision"], rows)


def _share(share: float) -> str:
    return "" if share != share else percent(share)


def _calibration(findings: Classes, drawn: dict[str, Markup]) -> Markup:
    name = short(findings.classes[1])
    rows = [(f"{part.said:.3f}", f"{part.seen:.3f}", whole(part.rows)) for part in findings.calibration]
    said = f"How probable the model says that `{name}` is, and how often it was: "
    said += f"{findings.calibration_note()}."
    return join(
        [
            tag("p", prose(said)),
            drawn.get("calibration", Markup()),
            table(["mean probability", f"share of {name}", "rows"], rows),
        ]
    )


def _numbers(findings: Numbers, drawn: dict[str, Markup]) -> Markup:
    quantiles = findings.quantiles()
    places = decimals(value for _, value in quantiles)
    groups = [(whole(g.rows), figure(g.predicted), figure(g.true), figure(g.rmse)) for g in findings.groups()]
    return _section(
        "Errors",
        drawn.get("predicted", Markup()),
        tag("p", "Rows from the smallest predictions to the largest:"),
        table(["rows", "predicted", "true", "RMSE"], groups),
        drawn.get("residuals", Markup()),
        tag("p", "Residuals, predicted less true: such a share of the rows lies below"),
        table([f"{share:.0%}" for share, _ in quantiles], [[f"{value:z.{places}f}" for _, value in quantiles]]),
    )


def _importance(report: Report, drawn: dict[str, Markup]) -> Markup:
    if not report.importance_note:
        return Markup()
    note = tag("p", f"{report.importance_note[:1].upper()}{report.importance_note[1:]}.", class_="quiet")
    if not report.importance:
        return _section("Columns that the model needs", note)
    loss, score = (MEASURES[name][0] for name in RANKED_BY[report.task])
    places = decimals((item.loss for item in report.importance), 4)
    rows = [_needed(item, places) for item in report.importance]
    shown = table(["column", f"{loss} rises by", f"{score} falls by"], rows)
    return _section("Columns that the model needs", drawn.get("importance", Markup()), shown, note)


def _needed(item: Importance, places: int) -> tuple[str, str, str]:
    loss = f"{item.loss:z.{places}f} ± {item.loss_std:.{places}f}"
    return short(item.column), loss, f"{item.score:z.4f} ± {item.score_std:.4f}"


def _training(history: History, drawn: dict[str, Markup]) -> Markup:
    columns = {name: column for name, column in history.items() if name != "learning_rate"}
    last = history.epochs - 1
    shown = sorted({round(i * last / (MOST_EPOCHS - 1)) for i in range(MOST_EPOCHS)})
    rows = [(str(i + 1), *(figure(mean(column[i]), 4) for column in columns.values())) for i in shown]
    best = best_epochs(history.best_epoch)
    said = f"{plural(history.epochs, 'epoch')} in {history.seconds:.1f} s" + (f", {best}" if best else "")
    names = ["epoch", *(name.replace("_", " ") for name in columns)]
    return _section("Training", tag("p", f"{said}."), drawn.get("training", Markup()), table(names, rows))


def _inferred(report: Report) -> Markup:
    columns = [(short(name), prose(what)) for name, what in report.columns]
    return _section(
        "What was inferred",
        table(["", ""], [(name, prose(what)) for name, what in report.inferred], words=True),
        table(["column", "becomes"], columns, words=True),
    )
