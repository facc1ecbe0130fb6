"""How the pictures look: colors, frames, and the axes that they are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpx._optional import require

__all__ = ["COLORS", "DIVERGING", "MARKERS", "SEQUENTIAL", "frame", "legend", "matplotlib", "panel", "panels"]

#: Colors that differ in lightness too, and are told apart by those who see fewer colors (Okabe and Ito's).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#595959", "#F0E442")
MARKERS = "osD^vPX*"
SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"
DARK = "#333333"
THIN: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.4}


def matplotlib(module: str = "pyplot") -> Any:
    """Import a module of matplotlib, or say what to install."""
    return require(f"matplotlib.{module}", "mlpx.plots", 'pip install "mlpx[plot]"')


def check_axes(ax: Any, *, projection: str | None = None) -> None:
    """Refuse what a picture cannot be drawn on."""
    if ax is None:
        return
    if not isinstance(ax, matplotlib("axes").Axes):
        msg = f"`ax` must be one matplotlib Axes, got {type(ax).__name__}; leave it out for a new figure."
        raise TypeError(msg)
    if (ax.name != "3d") if projection == "3d" else ax.name in ("3d", "polar"):
        wanted = 'made with projection="3d"' if projection == "3d" else "flat, without a projection"
        msg = f"`ax` must be {wanted} for this picture, got {type(ax).__name__}."
        raise ValueError(msg)


def panel(ax: Any, *, projection: str | None = None) -> Any:
    """Return the axes to draw on: those given, else those of a new figure."""
    if ax is not None:
        return ax
    return matplotlib().figure(layout="constrained").add_subplot(projection=projection)


def panels(ax: Any, count: int) -> list[Any]:
    """Return so many axes to draw on: those given, else side by side in a new figure."""
    if ax is None:
        plt = matplotlib()
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width * (1 + 0.7 * (count - 1)), height), layout="constrained")
        return list(figure.subplots(1, count, squeeze=False)[0])
    given = list(ax.flat) if hasattr(ax, "flat") else list(ax) if isinstance(ax, Sequence) else [ax]
    if len(given) != count:
        msg = f"`ax` must hold {count} Axes, one for each of `names`; got {len(given)}."
        raise ValueError(msg)
    for one in given:
        check_axes(one)
    return given


def frame(ax: Any, x: str, y: str, *, grid: bool = True) -> None:
    """Label the axes; leave out what carries no data."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if ax.name != "3d":
        ax.spines[["top", "right"]].set_visible(False)
        if grid:
            ax.grid(which="major", color="#dddddd", linewidth=0.6)
            ax.set_axisbelow(True)


def legend(ax: Any, **options: Any) -> None:
    """Draw a legend where the axes are emptiest, on a pale ground, for lines that it cannot avoid."""
    ax.legend(fontsize="small", framealpha=0.8, edgecolor="none", **options)


def whole_numbers(axis: Any) -> None:
    """Put ticks at whole numbers alone: epochs, units."""
    axis.set_major_locator(matplotlib("ticker").MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))


def color(i: int) -> str:
    """Return a color of the cycle."""
    return COLORS[i % len(COLORS)]


def marker(i: int) -> str:
    """Return a marker of the cycle."""
    return MARKERS[i % len(MARKERS)]
