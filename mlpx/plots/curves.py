"""Lines over time: losses and metrics by epoch, norms of error terms by step, losses by learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpx._checks import check_flag
from mlpx.plots import data, style

__all__ = ["error_norms", "range_test", "training_curves"]

_LABELS = {
    "loss": "loss (mean over rows)",
    "accuracy": "accuracy (share of rows)",
    "error_rate": "error rate (share of rows)",
    "r2": "R² (1 is perfect)",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "roc_auc": "area under the ROC curve",
}
_VALIDATION = "validation_"
_LISTED = 6
"""So many layers are listed in a legend; more are told by a color bar."""


def training_curves(
    history: Any,
    names: str | Sequence[str] = "loss",
    *,
    member: int | None = None,
    log: bool = False,
    best: bool = True,
    ax: Any = None,
) -> Any:
    """Draw a quantity by epoch, on the training rows and on the validation rows.

    Parameters
    ----------
    history : History or mapping
        What `mlpx.Network.fit` returned, or columns by name.
    names : str or sequence of str
        The quantity, such as ``"loss"`` or ``"accuracy"``: the column of that name and the one with ``validation_``
        before it, as far as they are there. With a sequence each quantity has axes of its own.
    member : int, optional
        Which member of a stack to draw. By default all: thin lines, and their median as a thick one (over those that
        are still in training).
    log : bool
        Whether the vertical axis is logarithmic.
    best : bool
        Whether to mark the best epoch, as `history` has it.
    ax : matplotlib Axes or sequence of Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib Axes, or array of Axes
        One for a name, an array of shape ``(len(names),)`` for a sequence of names.

    Raises
    ------
    ValueError
        For a column that there is not, an empty history, or axes whose number is not that of the names.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx import plots
    >>> net = mlpx.MLP([2, 8, 1], activation="tanh", output="sigmoid", seed=1)
    >>> history = net.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], epochs=20)
    >>> ax = plots.training_curves(history)
    >>> ax.get_ylabel()
    'loss (mean over rows)'
    """
    if not isinstance(history, Mapping):
        msg = f"`history` must be a History or columns by name, got {type(history).__name__}."
        raise TypeError(msg)
    quantities = [names] if isinstance(names, str) else list(names)
    log, best = check_flag("log", log), check_flag("best", best)
    found = [_columns(history, name, member) for name in quantities]
    bests = _best_epochs(history, member) if best else None
    axes = style.panels(ax, len(quantities))
    for one, name, columns in zip(axes, quantities, found, strict=True):
        _draw_columns(one, columns, bests)
        style.frame(one, "epoch", _LABELS.get(name, name.replace("_", " ")))
        style.whole_numbers(one.xaxis)
        if log:
            one.set_yscale("log")
        style.legend(one)
    if isinstance(names, str):
        return axes[0]
    array = np.empty(len(axes), dtype=object)
    array[:] = axes
    return array


def _columns(history: Mapping[str, Any], name: str, member: int | None) -> dict[str, np.ndarray[Any, Any]]:
    """Return what is drawn in one panel, by column: shape (epochs,), for all members (epochs, S)."""
    found = [column for column in (name, _VALIDATION + str(name)) if column in history]
    if not found:
        known = ", ".join(map(repr, history)) or "no columns"
        msg = f"`names` must be columns of the history ({known}), got {name!r}."
        raise ValueError(msg)
    columns = {column: data.numbers(f"history[{column!r}]", history[column], 1, 2) for column in found}
    for column, values in columns.items():
        chosen = data.check_member(member, values.shape[1] if values.ndim == 2 else None)
        columns[column] = values if chosen is None else values[:, chosen]
    return columns


def _best_epochs(history: Any, member: int | None) -> np.ndarray[Any, Any] | None:
    """Return the best epochs (from 1) of what is drawn; 0 where there was none."""
    found = getattr(history, "best_epoch", None)
    if found is None:
        return None
    epochs = np.atleast_1d(np.asarray(found, dtype=np.int64))
    return epochs if member is None else epochs[[member]]


def _draw_columns(ax: Any, columns: dict[str, np.ndarray[Any, Any]], bests: np.ndarray[Any, Any] | None) -> None:
    for i, (column, values) in enumerate(columns.items()):
        epochs = np.arange(1, len(values) + 1)
        label = "validation" if column.startswith(_VALIDATION) else "training"
        dot = style.marker(i) if len(values) == 1 else None  # a line of one point would not be seen
        color = style.color(i)
        if values.ndim == 2:
            ax.plot(epochs, values, color=color, marker=dot, **style.THIN)
            label = f"{label} (median)"
        middle = data.median(values) if values.ndim == 2 else values
        ax.plot(epochs, middle, color=color, marker=dot, linewidth=1.6, label=label)
    if bests is not None:
        _mark_best(ax, values, bests, color)


def _mark_best(ax: Any, values: np.ndarray[Any, Any], bests: np.ndarray[Any, Any], color: str) -> None:
    """Mark the best epoch of each member on the last column: that of the validation rows where there is one."""
    by_member = values[:, None] if values.ndim == 1 else values
    points = [(epoch, by_member[epoch - 1, i]) for i, epoch in enumerate(bests) if 1 <= epoch <= len(values)]
    if points:
        label = f"best epoch: {points[0][0]}" if len(bests) == 1 else "best epoch of each"
        size = 6 if len(bests) == 1 else 4
        ax.plot(*zip(*points, strict=True), "o", color=color, markersize=size, markeredgecolor="white", label=label)


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


def range_test(result: Any, *, ax: Any = None) -> Any:
    """Draw the loss over the learning rate, as a range test found them.

    Parameters
    ----------
    result : object
        With the attributes ``learning_rates`` and ``losses``, arrays of shape (steps,), and ``suggestion``, a learning
        rate or None.
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
    for attribute in ("learning_rates", "losses", "suggestion"):
        if not hasattr(result, attribute):
            msg = f"`result` must have the attribute {attribute!r}, as a learning-rate range test returns it."
            raise TypeError(msg)
    rates, losses = (data.numbers(f"result.{name}", getattr(result, name), 1) for name in ("learning_rates", "losses"))
    if rates.shape != losses.shape:
        msg = f"`result.losses` must hold one number a learning rate, {len(rates)}; got {len(losses)}."
        raise ValueError(msg)
    style.check_axes(ax)
    ax = style.panel(ax)
    ax.plot(rates, losses, color=style.color(0), linewidth=1.4, label="loss")
    ax.set_xscale("log")
    _bound(ax, losses)
    if result.suggestion is not None:
        rate = float(result.suggestion)
        ax.axvline(rate, color=style.color(1), linestyle="--", linewidth=1.2, label=f"suggested: {rate:.2g}")
        style.legend(ax)
    style.frame(ax, "learning rate", "loss (mean over the batch)")
    return ax


def _bound(ax: Any, losses: np.ndarray[Any, Any]) -> None:
    """Leave out what is far above the first loss, so that the descent is seen."""
    seen = losses[np.isfinite(losses)]
    if seen.size and seen.max() > seen.min():
        reach = max(seen[0] - seen.min(), 0.1 * (seen.max() - seen.min()) if seen[0] == seen.min() else 0.0)
        top = min(seen.max(), seen[0] + 0.5 * reach)
        ax.set_ylim(seen.min() - 0.05 * (top - seen.min()), top + 0.05 * (top - seen.min()))
