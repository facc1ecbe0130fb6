"""The picture of a computational graph: steps in columns by depth, arguments just before their first use.

The layout is that of Sugiyama, Tagawa and Toda [1]_: a way that passes columns gets a place in each of them, the order
within a column follows the mean place of the neighbors, and heights then draw near those of the neighbors.

References
----------
.. [1] K. Sugiyama, S. Tagawa and M. Toda, "Methods for visual understanding of hierarchical system structures", IEEE
   Transactions on Systems, Man, and Cybernetics 11, 1981.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from mlpx._optional import require
from mlpx.differentiation.graphs import Graph, Node, number_text

__all__ = ["columns", "draw", "layout"]

_SWEEPS = 60
_WIDEST = 8  # columns, from which on depth goes down the page
_WIDTH, _HEIGHT = 0.72, 0.62  # of a box, where columns and rows lie 1 apart

Place = tuple[int, ...]
"""A node, ``(i,)``, or the passage of the way from node i to node j through a column, ``(i, j, column)``."""


def columns(graph: Graph) -> list[int]:
    """Return the column of each node: one more than the last of its inputs; arguments stand before their first use."""
    depth: list[int] = []
    for node in graph.nodes:
        depth.append(1 + max((depth[i] for i in node.inputs), default=-1))
    for i, node in enumerate(graph.nodes):
        users = [depth[j] for j, other in enumerate(graph.nodes) if i in other.inputs]
        if not node.inputs and users:
            depth[i] = min(users) - 1
    return depth


def layout(graph: Graph) -> dict[Place, tuple[float, float]]:
    """Return where each node lies, and where each way between nodes passes a column: column and height."""
    depth = columns(graph)
    grid: list[list[Place]] = [[] for _ in range(max(depth) + 1)]
    neighbors: dict[Place, list[Place]] = {}
    for i, x in enumerate(depth):
        grid[x].append((i,))
        neighbors[(i,)] = []
    for way in _ways(graph, depth):
        for place in way[1:-1]:
            grid[place[2]].append(place)
            neighbors[place] = []
        for one, other in pairwise(way):
            neighbors[one].append(other)
            neighbors[other].append(one)
    height = {place: float(row) for column in grid for row, place in enumerate(column)}
    for sweep in range(_SWEEPS):
        for column in grid[:: 1 if sweep % 2 else -1]:
            wanted = {place: _mean([height[other] for other in neighbors[place]], height[place]) for place in column}
            column.sort(key=lambda place: (wanted[place], height[place]))
            height.update(zip(column, _apart([wanted[place] for place in column]), strict=True))
    return {place: (float(x), height[place]) for x, column in enumerate(grid) for place in column}


def _ways(graph: Graph, depth: Sequence[int]) -> Iterable[list[Place]]:
    for j, node in enumerate(graph.nodes):
        for i in node.inputs:
            yield [(i,), *((i, j, column) for column in range(depth[i] + 1, depth[j])), (j,)]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _apart(wanted: Sequence[float]) -> list[float]:
    """Return heights in the given order, at least 1 apart, with the mean of the wanted ones."""
    heights: list[float] = []
    for value in wanted:
        heights.append(value if not heights else max(value, heights[-1] + 1))
    shift = _mean(wanted, 0.0) - _mean(heights, 0.0)
    return [height + shift for height in heights]


def draw(graph: Graph, ax: Any = None) -> Any:
    """Draw a graph and return its axes."""
    plt = require("matplotlib.pyplot", "show_graph", 'pip install "mlpx[plot]"')
    places, depth = layout(graph), columns(graph)
    down = max(depth) >= _WIDEST
    if down:
        places = {place: (y, -x) for place, (x, y) in places.items()}
    xs, ys = zip(*places.values(), strict=True)
    width, height = max(xs) - min(xs) + 1, max(ys) - min(ys) + 1
    longest = max(len(label) for node in graph.nodes for label in _labels(node, graph.nodes[-1].name))
    if ax is None:
        box = max(1.55, 0.105 * longest)
        _, ax = plt.subplots(figsize=(box * width + 0.3, (0.95 if down else 1.05) * height + 0.4), layout="constrained")
    ax.set(xlim=(min(xs) - 0.5, max(xs) + 0.5), ylim=(min(ys) - 0.5, max(ys) + 0.5))
    ax.axis("off")
    for way in _ways(graph, depth):
        _draw_way(ax, [places[place] for place in way], (0, -_HEIGHT / 2) if down else (_WIDTH / 2, 0))
    size = _font_size(ax, longest, width, height)
    for i, node in enumerate(graph.nodes):
        _draw_node(ax, node, places[(i,)], graph.nodes[-1].name, size)
    return ax


def _draw_way(ax: Any, points: list[tuple[float, float]], edge: tuple[float, float]) -> None:
    """Draw a line with an arrow from one box to another; `edge` leads from the middle of a box to its edge."""
    (x, y), (last_x, last_y) = points[0], points[-1]
    corners = [(x + edge[0], y + edge[1]), *points[1:-1], (last_x - edge[0], last_y - edge[1])]
    if len(corners) > 2:
        ax.plot(*zip(*corners[:-1], strict=True), color="0.55", linewidth=1.0, zorder=1)
    ax.annotate(
        "",
        xy=corners[-1],
        xytext=corners[-2],
        arrowprops={"arrowstyle": "-|>", "color": "0.55", "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0},
        zorder=1,
    )


def _labels(node: Node, result: str) -> tuple[str, str, str]:
    title = f"{node.name} = {node.formula}" if node.formula else node.name
    return title, number_text(node.value), f"d{result}/d{node.name} = {number_text(node.derivative)}"


def _font_size(ax: Any, longest: int, width: float, height: float) -> float:
    """Return the size in points at which the longest label fits its box."""
    box = ax.get_window_extent()
    points = 72 / ax.figure.dpi
    room = _WIDTH * box.width * points / width / (0.62 * longest)
    return float(min(10.0, room, _HEIGHT * box.height * points / height / 4.2))


def _draw_node(ax: Any, node: Node, place: tuple[float, float], result: str, size: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = place
    kind = "#fff3d6" if not node.formula else "#dcefe1" if node.name == result else "#eef2f8"
    ax.add_patch(
        FancyBboxPatch(
            (x - _WIDTH / 2, y - _HEIGHT / 2),
            _WIDTH,
            _HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=kind,
            edgecolor="0.4",
            zorder=2,
        )
    )
    styles = (("black", "bold"), ("#1f4e8c", "normal"), ("#a02c2c", "normal"))
    for line, (label, (color, weight)) in enumerate(zip(_labels(node, result), styles, strict=True)):
        ax.text(
            x,
            y + _HEIGHT * (0.28 - 0.28 * line),
            label,
            ha="center",
            va="center",
            fontsize=size,
            color=color,
            weight=weight,
            zorder=3,
        )
