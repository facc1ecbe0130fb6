"""Losses and metrics by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpx._checks import check_flag
from mlpx.plots import data, style

__all__ = ["training_curves"]

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
    quantities = [names] if isinstance(names, str) else list(names or ())
    if not quantities:
        msg = f"`names` must be a column of the history such as 'loss', or several, got {names!r}."
        raise ValueError(msg)
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
