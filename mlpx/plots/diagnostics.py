"""What training shows inside: norms of error terms by step, losses by learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpx.plots import data, style

__all__ = ["error_norms", "range_test"]

_LISTED = 6
"""So many layers are listed in a legend; more are told by a color bar."""


def error_norms(diagnostics: Any, *, steps: Any = None, member: int | None = None, ax: Any = None) -> Any:
    """Draw the norm of each layer's error term over time, on a logarithmic axis.

    Parameters
    ----------
    diagnostics : object or array of shape (looks, layers), with a stack (looks, S, layers)
        What has the attributes ``steps`` and ``delta_norms``, or the norms themselves. Layer 1 is the one next to the
        input.
    steps : array of shape (looks,), optional
        When each look was taken, in training steps; by default those of `diagnostics`, else 1, 2, 3 …
    member : int, optional
        Which member of a stack to draw; by default the median over all.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        For arrays whose shapes do not fit.

    Examples
    --------
    >>> from mlpx import plots
    >>> ax = plots.error_norms([[1e-3, 1.0], [2e-3, 0.8]], steps=[10, 20])
    >>> ax.get_yscale()
    'log'
    """
    norms = data.numbers("delta_norms", getattr(diagnostics, "delta_norms", diagnostics), 2, 3)
    if steps is None:
        steps = getattr(diagnostics, "steps", np.arange(1, len(norms) + 1))
    at = data.numbers("steps", steps, 1)
    if len(at) != len(norms):
        msg = f"`steps` must hold one number a look, {len(norms)}; got {len(at)}."
        raise ValueError(msg)
    chosen = data.check_member(member, norms.shape[1] if norms.ndim == 3 else None)
    if norms.ndim == 3:
        norms = data.median(norms) if chosen is None else norms[:, chosen]
    style.check_axes(ax)
    ax = style.panel(ax)
    _draw_layers(ax, at, np.where(norms > 0, norms, np.nan))
    style.frame(ax, "step", "norm of the error term δ")
    return ax


def _draw_layers(ax: Any, steps: np.ndarray[Any, Any], norms: np.ndarray[Any, Any]) -> None:
    layers = norms.shape[1]
    # from dark to light with the depth; the lightest tenth is left out, since it fades on white
    shades = style.matplotlib("colors").LinearSegmentedColormap.from_list(
        "depth",
        style.matplotlib("cm").ScalarMappable(cmap=style.SEQUENTIAL).to_rgba(np.linspace(0, 0.9, 64), norm=False),
    )
    dot = "o" if len(steps) == 1 else None
    for i in range(layers):
        color = shades(i / max(layers - 1, 1))
        ax.plot(steps, norms[:, i], color=color, marker=dot, linewidth=1.4, label=f"layer {i + 1}")
    ax.set_yscale("log")
    if layers <= _LISTED:
        style.legend(ax)
        return
    edges = style.matplotlib("colors").BoundaryNorm(np.arange(0.5, layers + 1), shades.N)
    ticks = np.unique(np.linspace(1, layers, min(layers, 5)).round())
    mapped = style.matplotlib("cm").ScalarMappable(edges, shades)
    ax.figure.colorbar(mapped, ax=ax, label="layer (1 is next to the input)", ticks=ticks)


def range_test(result: Any, *, member: int | None = None, ax: Any = None) -> Any:
    """Draw the loss over the learning rate, as a range test found them.

    Parameters
    ----------
    result : object
        With the attributes ``learning_rates``, shape (T,), ``losses``, shape (T,) or with a stack (T, S), and
        ``suggestion``, a learning rate or None, with a stack S of them; ``smoothed``, shaped as the losses, is drawn
        too where it is there. ``mlpx.learning_rate_range_test`` returns such an object.
    member : int, optional
        Which member of a stack to draw. By default all: thin lines, and their median as a thick one.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib Axes
        Losses that are far above the first one are outside the picture.

    Raises
    ------
    TypeError
        For an object without these attributes.
    ValueError
        For arrays whose shapes do not fit.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from mlpx import plots
    >>> found = SimpleNamespace(learning_rates=[1e-3, 1e-2, 1e-1], losses=[0.7, 0.5, 9.0], suggestion=1e-2)
    >>> plots.range_test(found).get_xscale()
    'log'
    """
    rates, losses, smoothed, suggestion = _tested(result, member)
    style.check_axes(ax)
    ax = style.panel(ax)
    color = style.color(0)
    if smoothed is None:
        smoothed = losses
    else:
        ax.plot(rates, losses, color=color, **style.THIN)
    label = "smoothed loss" if smoothed is not losses else "loss"
    if losses.ndim == 2:
        ax.plot(rates, smoothed, color=color, **style.THIN)
        smoothed, label = data.median(smoothed), f"{label} (median)"
    ax.plot(rates, smoothed, color=color, linewidth=1.6, label=label)
    ax.set_xscale("log")
    _bound(ax, smoothed)
    for i, rate in enumerate(suggestion):
        text = f"suggested: {rate:.2g}" if len(suggestion) == 1 else "suggested, each member" if i == 0 else None
        ax.axvline(
            rate, color=style.color(1), linestyle="--", linewidth=1.2 if len(suggestion) == 1 else 0.7, label=text
        )
    style.legend(ax)
    style.frame(ax, "learning rate", "loss (mean over the batch)")
    return ax


def _tested(result: Any, member: int | None) -> tuple[Any, Any, Any, list[float]]:
    """Return rates, losses and smoothed losses of what is drawn, and the suggestions that are numbers."""
    for attribute in ("learning_rates", "losses", "suggestion"):
        if not hasattr(result, attribute):
            msg = f"`result` must have the attribute {attribute!r}, as a learning-rate range test returns it."
            raise TypeError(msg)
    rates = data.numbers("result.learning_rates", result.learning_rates, 1)
    losses = data.numbers("result.losses", result.losses, 1, 2)
    given = getattr(result, "smoothed", None)
    smoothed = None if given is None else data.numbers("result.smoothed", given, losses.ndim)
    for name, array in (("losses", losses), ("smoothed", losses if smoothed is None else smoothed)):
        if len(array) != len(rates) or array.shape != losses.shape:
            msg = f"`result.{name}` must hold one number a learning rate, {len(rates)}; got the shape {array.shape}."
            raise ValueError(msg)
    found = np.atleast_1d(np.asarray([] if result.suggestion is None else result.suggestion, dtype=np.float64))
    chosen = data.check_member(member, losses.shape[1] if losses.ndim == 2 else None)
    if chosen is not None:
        losses, smoothed = losses[:, chosen], None if smoothed is None else smoothed[:, chosen]
        found = found[[chosen]] if len(found) else found
    return rates, losses, smoothed, found[np.isfinite(found)].tolist()


def _bound(ax: Any, losses: np.ndarray[Any, Any]) -> None:
    """Leave out what is far above the first loss, so that the descent is seen."""
    seen = losses[np.isfinite(losses)]
    if seen.size and seen.max() > seen.min():
        reach = max(seen[0] - seen.min(), 0.1 * (seen.max() - seen.min()) if seen[0] == seen.min() else 0.0)
        top = min(seen.max(), seen[0] + 0.5 * reach)
        ax.set_ylim(seen.min() - 0.05 * (top - seen.min()), top + 0.05 * (top - seen.min()))
