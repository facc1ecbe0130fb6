"""The loss as a landscape over two directions, two parameters or two variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpx._checks import check_choice, check_count, check_flag
from mlpx.model import Network
from mlpx.plots import data, style
from mlpx.plots.directions import Plane, given_directions, losses, parameter_plane, random_directions
from mlpx.plots.functions import interval

__all__ = ["loss_surface"]

_Values = np.ndarray[Any, Any]


def loss_surface(
    of: Network | Callable[[float, float], float],
    X: Any = None,
    y: Any = None,
    *,
    parameters: Sequence[Any] | None = None,
    directions: Sequence[Any] | None = None,
    x_limits: Sequence[float] | None = None,
    y_limits: Sequence[float] | None = None,
    points: int = 41,
    kind: str = "contour",
    levels: int = 15,
    log: bool = False,
    seed: int = 0,
    member: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw the loss over two directions of the parameter space, over two parameters, or a function of two numbers.

    Parameters
    ----------
    of : Network or callable
        A network, whose loss on the data is drawn (without the penalty, in float64; the network stays as it is), or a
        function of two floats.
    X : array of shape (N, M_0), optional
        Features; a network needs them.
    y : array of shape (N, K) or (N,), optional
        Targets, as for `mlpx.Network.fit`; a network needs them.
    parameters : sequence of two tuples, optional
        Two single parameters, each ``("weights", layer, input, unit)`` or ``("biases", layer, unit)``.
    directions : sequence of two arrays of shape (P,), optional
        Two directions as ``net.vector``. By default two random ones, in which each unit's incoming weights are scaled
        to the length that they have in the network, and biases stay [1]_.
    x_limits, y_limits : (float, float), optional
        Ends of the axes: for directions how far to go along them, with the network at 0, by default from -1 to 1; for
        single parameters and functions the values, by default 3 to both sides of the network's own, or of 0.
    points : int
        How many values on each axis.
    kind : {"contour", "surface"}
        Lines and shades of equal loss, or a surface in three dimensions.
    levels : int
        About how many shades; for contours.
    log : bool
        Whether the levels, or the heights of a surface, are logarithmic; for losses above 0.
    seed : int
        For random directions.
    member : int, optional
        Which member of a stack; a stack needs it.
    ax : matplotlib Axes, optional
        Where to draw; for a surface made with ``projection="3d"``. By default a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, IndexError
        For a network without data, a stack without `member`, directions of another shape, a parameter that there is
        not, or a loss that is not finite anywhere.

    References
    ----------
    .. [1] H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, "Visualizing the loss landscape of neural nets",
       NeurIPS 2018.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx import plots
    >>> net = mlpx.MLP([2, 4, 1], output="linear", seed=1)
    >>> ax = plots.loss_surface(net, [[0.0, 1.0], [1.0, 1.0]], [0.5, 1.5], points=5)
    >>> ax.get_xlabel()
    'random direction 1'
    >>> plots.loss_surface(lambda a, b: a**2 + 3 * b**2, points=9, kind="surface").name
    '3d'
    """
    check_choice("kind", kind, ("contour", "surface"))
    count, levels = check_count("points", points, least=2), check_count("levels", levels, least=2)
    style.check_axes(ax, projection="3d" if kind == "surface" else None)
    log = check_flag("log", log)
    if isinstance(of, Network):
        net = _single(of, X, y, member)
        plane = _plane(net, parameters, directions, seed)
        reach = 3.0 if parameters is not None else 1.0
        first, second = _axes(x_limits, y_limits, plane.center, reach, count)
        heights, names, center = losses(net, X, y, plane, first, second), plane.names, plane.center
    else:
        _check_function(of, {"X": X, "y": y, "parameters": parameters, "directions": directions, "member": member})
        first, second = _axes(x_limits, y_limits, (0.0, 0.0), 3.0, count)
        heights, names, center = _values(of, first, second), ("first argument", "second argument"), None
    heights = _drawable(heights, log=log)
    ax = style.panel(ax, projection="3d" if kind == "surface" else None)
    draw = _contours if kind == "contour" else _surface
    draw(ax, first, second, heights, levels, log, "loss (mean over rows)" if center else "value")
    style.frame(ax, *names, grid=False)
    if center and kind == "contour":
        ax.plot(*center, "o", color="white", markeredgecolor=style.DARK, markersize=6, label="network")
        ax.set(xlim=(first[0], first[-1]), ylim=(second[0], second[-1]))
    return ax


def _single(net: Network, X: Any, y: Any, member: Any) -> Network:
    """Return the one network whose surface is drawn."""
    chosen = data.check_member(member, net.members, needed=True)
    if X is None or y is None:
        msg = "`X` and `y` must be given with a network: the loss is that of data."
        raise ValueError(msg)
    return net if chosen is None else net.member(chosen)


def _plane(net: Network, parameters: Any, directions: Any, seed: Any) -> Plane:
    if parameters is not None and directions is not None:
        msg = "`parameters` and `directions` exclude each other; give one of them, or none for random directions."
        raise ValueError(msg)
    if parameters is not None:
        return parameter_plane(net, parameters)
    if directions is not None:
        return given_directions(net, directions)
    return random_directions(net, check_count("seed", seed, least=0))


def _check_function(function: Any, others: dict[str, Any]) -> None:
    if not callable(function):
        msg = f"`of` must be a Network or a function of two numbers, got {type(function).__name__}."
        raise TypeError(msg)
    given = [name for name, value in others.items() if value is not None]
    if given:
        msg = f"`{given[0]}` belongs to a network; leave it out for a function of two numbers."
        raise ValueError(msg)


def _axes(x: Any, y: Any, center: tuple[float, float], reach: float, count: int) -> tuple[_Values, _Values]:
    first, second = (
        np.linspace(*(interval(name, given) if given is not None else (at - reach, at + reach)), count)
        for name, given, at in (("x_limits", x, center[0]), ("y_limits", y, center[1]))
    )
    return first, second


def _values(function: Callable[[float, float], float], first: _Values, second: _Values) -> _Values:
    try:
        return np.asarray([[float(function(float(a), float(b))) for a in first] for b in second])
    except (TypeError, ValueError) as error:
        msg = f"`of` must return one number for two floats ({error})."
        raise TypeError(msg) from error


def _drawable(heights: _Values, *, log: bool) -> _Values:
    """Return the heights with what cannot be drawn as NaN."""
    fit = np.isfinite(heights) & ((heights > 0) | (not log))
    if not fit.any():
        msg = (
            "`log` needs a loss above 0 somewhere." if log else "the loss is not finite anywhere; draw a smaller part."
        )
        raise ValueError(msg)
    return np.where(fit, heights, np.nan)


def _contours(ax: Any, first: _Values, second: _Values, heights: _Values, levels: int, log: bool, label: str) -> None:
    shown = np.ma.masked_invalid(heights)
    steps = _levels(shown, levels, log=log)
    norm = style.matplotlib("colors").LogNorm(steps[0], steps[-1]) if log else None
    filled = ax.contourf(first, second, shown, levels=steps, norm=norm, cmap=style.SEQUENTIAL)
    ax.contour(first, second, shown, levels=steps, colors="white", linewidths=0.4, alpha=0.6)
    bar = ax.figure.colorbar(filled, ax=ax, label=label)
    if log:
        shown_steps = steps[:: max(1, len(steps) // 6)]
        bar.set_ticks(shown_steps, labels=[f"{step:.2g}" for step in shown_steps])
        bar.ax.minorticks_off()


def _levels(heights: Any, levels: int, *, log: bool) -> _Values:
    """Return rising levels that enclose all heights."""
    low, high = float(heights.min()), float(heights.max())
    if low == high:  # a plain
        room = max(abs(low), 1.0) * 1e-3
        low, high = (low * 0.999, high * 1.001) if log else (low - room, high + room)
    if log:
        return np.geomspace(low, high, levels + 1)
    return np.asarray(style.matplotlib("ticker").MaxNLocator(levels).tick_values(low, high))


def _surface(ax: Any, first: _Values, second: _Values, heights: _Values, levels: int, log: bool, label: str) -> None:
    a, b = np.meshgrid(first, second)
    shown = np.log10(heights) if log else heights
    low, high = np.nanmin(shown), np.nanmax(shown)
    look = {"cmap": style.SEQUENTIAL, "vmin": low, "vmax": high, "linewidth": 0, "antialiased": True}
    ax.plot_surface(a, b, shown, rcount=len(second), ccount=len(first), **look)
    ax.locator_params(nbins=5)
    name = label.partition(" (")[0]
    ax.set_zlabel(f"log₁₀ {name}" if log else name)
