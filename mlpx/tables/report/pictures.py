"""The pictures of a report, as SVG that takes its colors from the page around it. matplotlib draws them."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx.plots import style
from mlpx.tables.report.classes import Classes
from mlpx.tables.report.markup import Markup
from mlpx.tables.report.words import MEASURES, RANKED_BY, mean, short

if TYPE_CHECKING:
    from mlpx.history import History
    from mlpx.tables.report.numbers import Numbers
    from mlpx.tables.report.report import Report

#: Colors that stand for those of the page: its ink, and two that are told apart on light and dark ground.
INK, FIRST, SECOND = "#010203", "#010204", "#010205"
SHADES = {INK: "currentColor", FIRST: "var(--first)", SECOND: "var(--second)"}
LABELS = {
    "training": "Loss by epoch",
    "predicted": "Predicted against true",
    "residuals": "Histogram of the residuals",
    "calibration": "Share of rows against probability",
    "importance": "Importance of the columns",
}
#: Points and bars that are drawn at most.
MOST_POINTS, MOST_BARS = 1000, 20
SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "text.parse_math": False,
}


def pictures(report: Report) -> dict[str, Markup]:
    """Draw what a report can show, by name: training, errors, calibration, importance.

    Raises
    ------
    ImportError
        Where matplotlib is missing; the message holds the install command.
    """
    drawn: dict[str, Callable[[Any], None]] = {}
    history, findings = report.history, report.findings
    if history is not None and history.epochs > 1:
        drawn["training"] = partial(_training, history=history)
    if not isinstance(findings, Classes):
        drawn["predicted"] = partial(_predicted, findings=findings, target=report.target)
        drawn["residuals"] = partial(_residuals, findings=findings)
    elif findings.calibration:
        drawn["calibration"] = partial(_calibration, findings=findings)
    if report.importance:
        drawn["importance"] = partial(_importance, report=report)
    return {name: _svg(name, draw, _height(name, report)) for name, draw in drawn.items()}


def _height(name: str, report: Report) -> float:
    if name == "importance":
        return 1 + 0.26 * min(len(report.importance), MOST_BARS)
    return 3.2 if name in ("training", "residuals") else 4.2


def _svg(name: str, draw: Callable[[Any], None], height: float) -> Markup:
    """Draw on axes of their own, and give the element ``svg`` alone."""
    pyplot, figures = style.matplotlib(), style.matplotlib("figure")
    with pyplot.rc_context(SETTINGS | {"svg.hashsalt": name}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font lacks is the reader's font's matter
        figure = figures.Figure(figsize=(6.4, height), layout="constrained")
        ax = figure.add_subplot()
        draw(ax)
        ax.spines[["top", "right"]].set_visible(False)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' id="(?!p[0-9a-f]{10}|m[0-9a-f]{10})[^"]*"', "", text)  # the pictures of a page share these
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', rf'\1 role="img" aria-label="{LABELS[name]}"', text, count=1)
    for color, shade in SHADES.items():
        text = text.replace(color, shade)
    return Markup(text)


def _grid(ax: Any, axis: str = "both") -> None:
    ax.grid(axis=axis, color=INK, alpha=0.15, linewidth=0.6)
    ax.set_axisbelow(True)


def _training(ax: Any, history: History) -> None:
    """Draw the losses by epoch, of a stack the mean over its members."""
    epochs = range(1, history.epochs + 1)
    for name, color in (("loss", FIRST), ("validation_loss", SECOND)):
        if name in history:
            label = "training rows" if name == "loss" else "validation rows"
            ax.plot(epochs, [mean(value) for value in history[name]], color=color, label=label, linewidth=1.8)
    values = [mean(value) for value in history["loss"]]
    if min(values) > 0 and max(values) > 20 * min(values):
        ax.set_yscale("log")
    style.whole_numbers(ax.xaxis)
    ax.set(xlabel="epoch", ylabel="loss")
    ax.legend(frameon=False)
    _grid(ax)


def _predicted(ax: Any, findings: Numbers, target: str) -> None:
    """Draw predicted against true; of many rows, some."""
    rows = np.random.default_rng(0).permutation(len(findings.true))[:MOST_POINTS]
    true, predicted = findings.true[rows], findings.predicted[rows]
    ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
    ax.plot(ends, ends, color=INK, linewidth=0.8, alpha=0.6)
    ax.scatter(true, predicted, s=9, color=FIRST, alpha=0.45, linewidths=0)
    some = f" ({MOST_POINTS} of {len(findings.true)} rows)" if len(findings.true) > MOST_POINTS else ""
    ax.set(xlabel=f"true {short(target, 30)}{some}", ylabel="predicted")
    _grid(ax)


def _residuals(ax: Any, findings: Numbers) -> None:
    """Draw how often residuals come, without the rarest at both ends."""
    low, high = np.quantile(findings.residuals, (0.005, 0.995)).tolist()
    ax.hist(findings.residuals, bins=40, range=(low, high) if high > low else None, color=FIRST)
    ax.axvline(0, color=INK, linewidth=0.8, alpha=0.6)
    ax.set(xlabel="predicted less true", ylabel="rows")
    _grid(ax, "y")


def _calibration(ax: Any, findings: Classes) -> None:
    """Draw how often it was the second class, against how probable the model said that was."""
    said, seen = [part.said for part in findings.calibration], [part.seen for part in findings.calibration]
    most = max(part.rows for part in findings.calibration)
    ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, alpha=0.6)
    ax.plot(said, seen, color=FIRST, linewidth=1.2)
    ax.scatter(said, seen, s=[15 + 120 * part.rows / most for part in findings.calibration], color=FIRST)
    ax.set(xlabel=f"probability of {short(findings.classes[1], 30)}", ylabel="share of the rows")
    ax.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    _grid(ax)


def _importance(ax: Any, report: Report) -> None:
    """Draw by how much the loss rises without each column, and its spread."""
    shown = report.importance[:MOST_BARS]
    places = range(len(shown))
    ax.barh(places, [item.loss for item in shown], color=FIRST, height=0.7)
    spread = [item.loss_std for item in shown]
    ax.errorbar([item.loss for item in shown], places, xerr=spread, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    ax.set_yticks(places, [short(item.column, 24) for item in shown])
    ax.invert_yaxis()
    ax.set_xlabel(f"{MEASURES[RANKED_BY[report.task][0]][0]} rises by")
    ax.tick_params(axis="y", length=0)
    _grid(ax, "x")
