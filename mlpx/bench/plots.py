"""Pictures of results, with matplotlib: roofline, time over batch size, outer products, ratios to peers, stacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mlpx.bench import quantities
from mlpx.bench.compare import labels
from mlpx.bench.ratios import FLOORS, best_peer, is_own, quotient
from mlpx.bench.results import Results, picture_prefixes
from mlpx.bench.timing import CaseResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colors and markers that differ in lightness too, and are told apart by those who see fewer colors.
COLORS = ("#0b5394", "#d95f02", "#1b9e77", "#c2185b", "#7a5195", "#8c6d00", "#555555", "#00a2c7")
MARKERS = "osD^vPX*"
#: Inches of a panel, such that three stand side by side in the documentation at their own size.
WIDTH, HEIGHT = 3.2, 2.8
STYLE: dict[Any, Any] = {
    "font.size": 9.0, "axes.titlesize": 10.0, "legend.fontsize": 8.5, "svg.fonttype": "path", "svg.hashsalt": "mlpx",
}  # fmt: skip
DTYPE = "float32"


def save_all(machines: Sequence[Results], folder: Path, suffix: str = ".png") -> list[Path]:
    """Write every picture that the results have data for, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures(machines):
        paths.append(folder / f"{name}{suffix}")
        figure.savefig(paths[-1], dpi=150, metadata={"Date": None} if suffix == ".svg" else None)
    return paths


def figures(machines: Sequence[Results]) -> Iterator[tuple[str, Figure]]:
    """Yield pictures of each machine, and of all together where there are several."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        for prefix, results in zip(picture_prefixes(machines), machines, strict=True):
            for kind, draw in SINGLE.items():
                if (figure := draw(results)) is not None:
                    yield f"{prefix}-{kind}", figure
        for kind, draw_all in TOGETHER.items() if len(machines) > 1 else ():
            if (figure := draw_all(machines)) is not None:
                yield f"machines-{kind}", figure


def _panels(count: int, columns: int = 3) -> tuple[Figure, list[Any]]:
    """Make a figure with so many panels of one size."""
    columns = min(count, columns)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for surplus in axes[count:]:
        surplus.remove()
    return figure, axes[:count]


def _style(i: int) -> dict[str, Any]:
    return {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)], "markersize": 4.5}


def _frame(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _plain_ticks(axis: Any, values: Sequence[float]) -> None:
    """Put ticks at these values and nowhere else."""
    axis.set_ticks(values, [f"{value:g}" for value in values])
    axis.set_minor_formatter(NullFormatter())
    axis.set_ticks([], minor=True)


def _time_axis(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,), numticks=12))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short_time(value)))


def _short_time(value: float) -> str:
    return f"{float(quantities.seconds(value).split()[0]):g} {quantities.seconds(value).split()[1]}"


def roofline(results: Results) -> Figure | None:
    """Draw the rate of every product over its operations a byte, under the roofs of peak rate and bandwidth."""
    cases = [case for case in results.of("products") if case.parameters.get("dtype") == DTYPE]
    devices = list(dict.fromkeys(result.device for case in cases for result in case.results))
    if not devices:
        return None
    figure, panels = _panels(len(devices))
    figure.set_size_inches(6.2 * len(devices), 3.8)
    for device, axes in zip(devices, panels, strict=True):
        _roofs(axes, results, device, _intensities(cases))
        backends = dict.fromkeys(r.name for case in cases for r in case.results if r.device == device)
        for i, name in enumerate(backends):
            points = [(c.flop / c.bytes, c.flop / r.median) for c, r in _with(cases, name) if c.flop and c.bytes]
            axes.scatter(*zip(*points, strict=True), s=16, alpha=0.75, label=name, **_only(i))
        title = f"Products of a layer in {DTYPE}, {device}"
        _frame(axes, title, "operations a byte (FLOP/B)", "rate (GFLOP/s)")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e9:g}"))
        axes.legend(loc="lower right")
    return figure


def _only(i: int) -> dict[str, Any]:
    return {name: value for name, value in _style(i).items() if name != "markersize"}


def _with(cases: Sequence[CaseResult], name: str) -> Iterator[tuple[CaseResult, Any]]:
    return ((case, result) for case in cases if (result := case.result(name)) is not None)


def _intensities(cases: Sequence[CaseResult]) -> tuple[float, float]:
    found = [case.flop / case.bytes for case in cases if case.flop and case.bytes]
    return min(found), max(found)


def _roofs(axes: Axes, results: Results, device: str, ends: tuple[float, float]) -> None:
    """Draw the peak rate, and the slopes of memory and caches."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    peak = results.roofline.peak(device, DTYPE)
    intensity = np.geomspace(ends[0] / 1.5, ends[1] * 1.5, 200)
    for size, name, dashes in ((float("inf"), "memory", "-"), (0.0, "caches", "--")):
        bandwidth = results.roofline.bandwidth(device, size)
        if peak and bandwidth:
            text = f"{name} {quantities.rate(bandwidth, 'B/s')}"
            axes.plot(intensity, np.minimum(peak, bandwidth * intensity), dashes, color="black", lw=1.2, label=text)
    if peak:
        text = f"peak {quantities.rate(peak, 'FLOP/s')}"
        axes.annotate(text, (intensity[-1], peak), xytext=(0, 4), textcoords="offset points", ha="right")


def batches(results: Results) -> Figure | None:
    """Draw the time of a forward product over the batch size, one panel a width."""
    return _curves(_forward(results), "batch size", _widths, "time of a forward product")


def _forward(results: Results) -> list[CaseResult]:
    return [case for case in results.of("products") if case.group == f"forward, {DTYPE}"]


def _widths(case: CaseResult) -> str:
    return case.name.partition(",")[0]


def outer(results: Results) -> Figure | None:
    """Draw the time of the four ways over the batch size, one panel a backend and size."""
    cases = [c for c in results.of("outer") if c.unit == "s" and c.parameters.get("dtype") == DTYPE]

    def title(case: CaseResult) -> str:
        return f"{case.parameters.get('backend')}: {case.name.rpartition(', batch')[0]}"

    return _curves(cases, "batch size", title, "time of a gradient")


def stacks(results: Results) -> Figure | None:
    """Draw the time of a member's step over the number of members, one panel a network."""
    cases = [c for c in results.of("stacks") if c.unit == "s" and isinstance(c.parameters.get("members"), int)]

    def title(case: CaseResult) -> str:
        return str(case.parameters.get("network", case.group or "networks"))

    return _curves(cases, "members", title, "time of a member's step", "members")


def _curves(
    cases: Sequence[CaseResult], x: str, title: Callable[[CaseResult], str], y: str, parameter: str = "batch"
) -> Figure | None:
    """Draw one panel a title and one line a contender, with its quartiles."""
    grouped: dict[str, list[CaseResult]] = {}
    for case in cases:
        grouped.setdefault(title(case), []).append(case)
    if not grouped:
        return None
    figure, panels = _panels(len(grouped))
    names = list(dict.fromkeys(result.name for case in cases for result in case.results))
    for (heading, members), axes in zip(grouped.items(), panels, strict=True):
        for i, name in enumerate(names):
            points = sorted((_number(c, parameter), r.median, r.low, r.high) for c, r in _with(members, name))
            if points:
                at, middle, low, high = zip(*points, strict=True)
                axes.plot(at, middle, lw=1.4, label=name, **_style(i))
                axes.fill_between(at, low, high, color=_style(i)["color"], alpha=0.15, lw=0)
        axes.set_xscale("log", base=2)
        _plain_ticks(axes.xaxis, sorted({_number(case, parameter) for case in members}))
        _time_axis(axes)
        _frame(axes, heading, x, y)
    lines, texts = panels[0].get_legend_handles_labels()
    figure.legend(lines, texts, loc="outside lower center", ncols=min(len(texts), 4), frameon=False)
    return figure


def _number(case: CaseResult, parameter: str) -> float:
    return float(str(case.parameters[parameter]))


def peers(results: Results) -> Figure | None:
    """Draw the time of every contender divided by that of mlpx on its first backend, one panel a network."""
    cases = [case for case in results.of("training") if best_peer(case) and any(map(is_own, case.results))]
    if not cases:
        return None
    names = list(dict.fromkeys(result.name for case in cases for result in case.results))
    figure = Figure(figsize=(1.3 + 1.65 * len(cases), 1.1 + 0.24 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(cases), squeeze=False, sharey=True)[0]
    for case, axes in zip(cases, panels, strict=True):
        _lollipops(axes, case, names)
        _frame(axes, case.name.replace(", ", "\n"), "", "")
    figure.supxlabel(f"time over that of {_first_own(cases[0]).name} (log scale)", fontsize=9)
    return figure


def _lollipops(axes: Axes, case: CaseResult, names: Sequence[str]) -> None:
    """Draw the ratio of every contender as a line from 1 to a point, with its number."""
    for row, name in enumerate(names):
        result = case.result(name)
        over = quotient(result, _first_own(case)) if result else None
        if result and over:
            color = "#000000" if name in FLOORS else COLORS[0] if is_own(result) else COLORS[1]
            axes.plot([1, over], [row, row], color=color, lw=1.6)
            axes.plot([over], [row], "o", color=color, markersize=5)
            side = {"xytext": (6, 0), "ha": "left"} if over >= 1 else {"xytext": (-6, 0), "ha": "right"}
            axes.annotate(quantities.ratio(over), (over, row), textcoords="offset points", va="center", **side)
    axes.axvline(1, color="#888888", lw=0.8, zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    _ratio_axis(axes)


def _first_own(case: CaseResult) -> Any:
    return next(result for result in case.results if is_own(result))


def _ratio_axis(axes: Axes) -> None:
    """Put round ratios on a logarithmic axis, as many as there is room for, and leave room for numbers."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    low, high = low / (high / low) ** 0.25 / 1.2, high * (high / low) ** 0.25 * 1.2
    axes.set_xlim(low, high)
    steps = [0.1, 1, 10, 100] if high / low > 20 else [0.5, 1, 2, 5] if high / low > 4 else [0.5, 0.7, 1, 1.5, 2, 3]
    _plain_ticks(axes.xaxis, [step for step in steps if low <= step <= high])


def machines_peers(machines: Sequence[Results]) -> Figure | None:
    """Draw the ratio of mlpx to the best peer on every machine, one row a network."""
    keys = dict.fromkeys(c.key for results in machines for c in results.of("training") if best_peer(c))
    if not keys:
        return None
    figure = Figure(figsize=(7.6, 1.3 + 0.4 * len(keys)), layout="constrained")
    axes = figure.subplots()
    for i, results in enumerate(machines):
        found = [(row, results.by_key.get(key)) for row, key in enumerate(keys)]
        points = [(quotient(_first_own(c), peer), row) for row, c in found if c and (peer := best_peer(c))]
        if points:
            axes.scatter(*zip(*points, strict=True), s=40, label=_long_labels(machines)[i], **_only(i))
    axes.axvline(1, color="#888888", lw=0.8, zorder=0)
    axes.set_yticks(range(len(keys)), [key[2] for key in keys])
    axes.invert_yaxis()
    _ratio_axis(axes)
    _frame(axes, "Training: mlpx over the best peer", "times as long (log scale), left of 1 is faster", "")
    figure.legend(loc="outside lower left", frameon=False)
    return figure


def machines_batches(machines: Sequence[Results]) -> Figure | None:
    """Draw the time of a forward product over the batch size by each machine's fastest backend."""
    found: dict[tuple[str, str, str], CaseResult] = {}
    for label, results in zip(labels(machines), machines, strict=True):
        for case in _forward(results):
            fastest = replace(min(case.results, key=lambda result: result.median), name=label)
            so_far = found.get(case.key, replace(case, results=()))
            found[case.key] = replace(so_far, results=(*so_far.results, fastest))
    return _curves(list(found.values()), "batch size", _widths, "time of a forward product")


def machines_rates(machines: Sequence[Results]) -> Figure | None:
    """Draw peak rates and bandwidths of all machines as bars."""
    figure, panels = _panels(3)
    figure.set_size_inches(9.6, 0.8 + 0.4 * len(machines))
    names = labels(machines)
    for axes, (title, unit, value) in zip(panels, _rates(), strict=True):
        values = [max((value(results, device) for device in _devices(results)), default=0.0) for results in machines]
        bars = axes.barh(names, values, color=[COLORS[i % len(COLORS)] for i in range(len(names))], height=0.6)
        axes.bar_label(bars, [quantities.rate(v, unit) for v in values], padding=3)
        axes.set_xlim(0, 2.0 * max(*values, 1.0))
        axes.set_yticks(range(len(names)), _long_labels(machines) if axes is panels[0] else names)
        axes.invert_yaxis()
        _frame(axes, title, "", "")
        axes.set_xticks([])
        axes.grid(visible=False)
    return figure


def _long_labels(machines: Sequence[Results]) -> list[str]:
    return [f"{label}: {results.machine.title}" for label, results in zip(labels(machines), machines, strict=True)]


def _devices(results: Results) -> list[str]:
    return list(dict.fromkeys(peak.device for peak in results.roofline.peaks))


def _rates() -> list[tuple[str, str, Callable[[Results, str], float]]]:
    return [
        ("Products in float32", "FLOP/s", lambda results, device: results.roofline.peak(device, "float32") or 0.0),
        ("Products in float64", "FLOP/s", lambda results, device: results.roofline.peak(device, "float64") or 0.0),
        ("Copies in memory", "B/s", lambda results, device: results.roofline.bandwidth(device, float("inf")) or 0.0),
    ]


SINGLE: dict[str, Callable[[Results], Figure | None]] = {
    "roofline": roofline,
    "batches": batches,
    "outer": outer,
    "training": peers,
    "stacks": stacks,
}
TOGETHER: dict[str, Callable[[Sequence[Results]], Figure | None]] = {
    "rates": machines_rates,
    "batches": machines_batches,
    "training": machines_peers,
}
