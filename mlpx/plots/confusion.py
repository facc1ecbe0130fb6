"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpx._checks import check_choice
from mlpx.plots import data, style

__all__ = ["confusion_matrix"]


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    labels: Sequence[Any] | None = None,
    normalize: str | None = None,
    *,
    ax: Any = None,
) -> Any:
    """Draw how often each class was decided for each true class.

    Parameters
    ----------
    y_true, y_pred : array of shape (N,)
        True and decided labels.
    labels : sequence, optional
        The classes in the order in which to draw them; rows of other classes are left out. By default all, sorted.
    normalize : {"true", "pred", "all"}, optional
        Show shares of each true class, of each decided class, or of all rows; by default counts.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib Axes
        Its image is the matrix of shape (K, K), a row for each true class.

    Raises
    ------
    ValueError
        For labels that differ in number, a `labels` of which none occurs in `y_true`, or an unknown `normalize`.

    Examples
    --------
    >>> from mlpx import plots
    >>> ax = plots.confusion_matrix(["cat", "cat", "dog"], ["cat", "dog", "dog"])
    >>> ax.get_images()[0].get_array().tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    true, decided = data.labels("y_true", y_true), data.labels("y_pred", y_pred)
    if len(true) != len(decided):
        msg = f"`y_pred` must hold one label for each of the {len(true)} of `y_true`, got {len(decided)}."
        raise ValueError(msg)
    if normalize is not None:
        check_choice("normalize", normalize, ("true", "pred", "all"))
    classes = _classes(labels, true, decided)
    matrix = _normalized(_counts(true, decided, classes), normalize)
    style.check_axes(ax)
    ax = style.panel(ax)
    image = ax.imshow(matrix, cmap="Blues", vmin=0, vmax=matrix.max() or 1.0)
    _write(ax, image, matrix, whole=normalize is None)
    names = [str(name) for name in classes.tolist()]
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    room = 0.75 * _cell(ax, len(names))
    if room < 10:
        ax.tick_params(labelsize=room)
    if max(map(len, names)) > 3 or sum(len(name) + 0.5 for name in names) > 40:
        short = len(names) * max(map(len, names)) <= 80 and len(names) <= 20
        ax.tick_params(axis="x", rotation=45 if short else 90)
    what = {
        None: "rows",
        "true": "share of the true class",
        "pred": "share of the decided class",
        "all": "share of rows",
    }
    ax.set(xlabel=f"decided class ({what[normalize]})", ylabel="true class")
    return ax


def _classes(labels: Any, true: np.ndarray[Any, Any], decided: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if labels is None:
        try:
            return np.unique(np.concatenate([true, decided]))
        except TypeError as error:
            msg = f"`y_true` and `y_pred` must hold labels of one kind, got {true.dtype} and {decided.dtype}."
            raise TypeError(msg) from error
    classes = data.labels("labels", labels)
    if len(set(classes.tolist())) != len(classes):
        msg = f"`labels` must name each class once, got {classes.tolist()!r}."
        raise ValueError(msg)
    if not set(classes.tolist()) & set(true.tolist()):
        msg = f"`labels` must name at least one class of `y_true`, got {classes.tolist()!r}."
        raise ValueError(msg)
    return classes


def _counts(true: np.ndarray[Any, Any], decided: np.ndarray[Any, Any], classes: Any) -> np.ndarray[Any, Any]:
    place = {label: i for i, label in enumerate(classes.tolist())}
    counts = np.zeros((len(place), len(place)))
    for t, d in zip(true.tolist(), decided.tolist(), strict=True):
        if t in place and d in place:
            counts[place[t], place[d]] += 1
    return counts


def _normalized(counts: np.ndarray[Any, Any], normalize: str | None) -> np.ndarray[Any, Any]:
    """Return shares; 0 where a class does not occur."""
    axis = {"true": 1, "pred": 0, "all": None}
    if normalize is None:
        return counts
    total = counts.sum(axis=axis[normalize], keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.zeros_like(counts), where=total > 0))


def _cell(ax: Any, count: int) -> float:
    """Return the size of a cell in points."""
    box = ax.get_window_extent()
    return float(min(box.width, box.height) / count * 72 / ax.figure.dpi)


def _write(ax: Any, image: Any, matrix: np.ndarray[Any, Any], *, whole: bool) -> None:
    """Write the numbers into the cells, light on dark and dark on light, as small as the cells ask for."""
    texts = [[f"{value:.0f}" if whole else f"{value:.2f}" for value in row] for row in matrix]
    longest = max(len(text) for row in texts for text in row)
    cell = _cell(ax, len(matrix))
    size = min(10.0, 0.5 * cell, 1.35 * cell / max(longest, 1))
    for row, column in np.ndindex(matrix.shape):
        red, green, blue, _ = image.cmap(image.norm(matrix[row, column]))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        color = "white" if dark else "black"
        ax.text(column, row, texts[row][column], ha="center", va="center", color=color, fontsize=size)
