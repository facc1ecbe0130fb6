"""Where a classifier decides for which class, over two features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpx._checks import check_count, check_number
from mlpx.model import Network
from mlpx.plots import data, style

__all__ = ["decision_boundary"]

_MOST_CLASSES = 50
_STRENGTH = 0.55
"""How much of its color a class has where it is certain."""


class _Shares(NamedTuple):
    """What a classifier says: its classes, and a share of each for each row.

    Attributes
    ----------
    classes : array of shape (K,)
    shares : array of shape (S, N, K)
        Probabilities, or 1 for the decided class; one member where there is no stack.
    """

    classes: np.ndarray[Any, Any]
    shares: np.ndarray[Any, Any]


def decision_boundary(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    member: int | None = None,
    margin: float = 0.1,
    points: int = 200,
    features: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the classes that a network or an estimator decides for, over two features.

    The deeper the color, the more probable is the class than the next one; white is undecided.

    Parameters
    ----------
    model : Network or estimator
        A network with two inputs, or what has `predict_proba` or else `predict` as scikit-learn's classifiers have. One
        output that is no probability is read as such between 0 and 1.
    X : array of shape (N, 2)
        Rows that span the picture.
    y : array of shape (N,), optional
        Their classes: the rows are then drawn as points.
    member : int, optional
        Which member of a stack. By default the mean of their probabilities, and each member's boundary as a thin line.
    margin : float
        Room around the rows, as a share of their extent.
    points : int
        How many values of each feature are computed.
    features : (str, str), optional
        What to write at the axes; by default the names of the columns, else "feature 1" and "feature 2".
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        Where there are not two features, labels that the model does not know, or a network with several outputs that
        are not the probabilities of classes.
    TypeError
        For what is no classifier.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx import plots
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = mlpx.MLP([2, 8, 1], activation="tanh", output="sigmoid", seed=1)
    >>> history = net.fit(X, y, epochs=300, optimizer=mlpx.Adam(0.05))
    >>> ax = plots.decision_boundary(net, X, y)
    >>> ax.get_xlabel()
    'feature 1'
    """
    rows = data.finite("X", data.numbers("X", X, 2))
    if rows.shape[1] != 2:
        msg = f"`X` must have the shape (N, 2), since two features are drawn; got {rows.shape}."
        raise ValueError(msg)
    names = _names(features, X)
    count, margin = check_count("points", points, least=2), check_number("margin", margin, least=0)
    style.check_axes(ax)
    low, high = _ends(rows, margin)
    first, second = (np.linspace(low[i], high[i], count) for i in range(2))
    grid = np.stack(np.meshgrid(first, second), axis=-1)
    classes, shares = _shares(model, _as_given(grid.reshape(-1, 2), X), member)
    shares = shares.reshape(-1, count, count, len(classes))
    if len(classes) < 2:
        msg = f"`model` must know at least two classes, got {classes.tolist()!r}."
        raise ValueError(msg)
    known = None if y is None else _known(y, len(rows), classes)
    ax = style.panel(ax)
    colors = _colors(len(classes))
    extent = (low[0], high[0], low[1], high[1])
    ax.imshow(_shading(shares.mean(axis=0), colors), extent=extent, origin="lower", aspect="auto")
    _lines(ax, first, second, shares)
    _points(ax, rows, known, classes, colors)
    style.frame(ax, *names, grid=False)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return ax


def _names(features: Any, X: Any) -> tuple[str, str]:
    names = features if features is not None else getattr(X, "columns", ("feature 1", "feature 2"))
    if isinstance(names, str) or len(names) != 2:
        msg = f"`features` must be two names, got {features!r}."
        raise ValueError(msg)
    return str(names[0]), str(names[1])


def _ends(rows: np.ndarray[Any, Any], margin: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    low, high = rows.min(axis=0), rows.max(axis=0)
    room = margin * (high - low)
    room[high == low] = 0.5
    return low - room, high + room


def _as_given(grid: np.ndarray[Any, Any], X: Any) -> Any:
    """Return the points as a table where `X` is one, so that an estimator finds its columns."""
    return type(X)(dict(zip(X.columns, grid.T, strict=True))) if hasattr(X, "columns") else grid


def _shares(model: Any, rows: Any, member: int | None) -> _Shares:
    if isinstance(model, Network):
        return _of_network(model, rows, member)
    data.check_member(member, None)
    if hasattr(model, "predict_proba"):
        shares = data.numbers("predict_proba(X)", model.predict_proba(rows), 2)
        return _Shares(np.asarray(getattr(model, "classes_", range(shares.shape[1]))), shares[None])
    if hasattr(model, "predict"):
        return _of_labels(model.predict, getattr(model, "classes_", None), rows)
    msg = f"`model` must be a Network or have predict_proba or predict, got {type(model).__name__}."
    raise TypeError(msg)


def _of_labels(predict: Callable[[Any], Any], classes: Any, rows: Any) -> _Shares:
    decided = data.labels("predict(X)", predict(rows))
    found = np.unique(decided) if classes is None else np.asarray(classes)
    if len(found) > _MOST_CLASSES:
        msg = f"`model` must decide for classes; its predict gave {len(found)} different values."
        raise TypeError(msg)
    return _Shares(found, (decided[:, None] == found).astype(np.float64)[None])


def _of_network(net: Network, rows: Any, member: int | None) -> _Shares:
    chosen = data.check_member(member, net.members)
    outputs = data.numbers("predict(X)", net.predict(np.asarray(rows)), 2, 3)
    outputs = outputs[None] if outputs.ndim == 2 else outputs if chosen is None else outputs[[chosen]]
    units = outputs.shape[-1]
    if units > 1 and net.layers[-1].activation.name != "softmax":  # type: ignore[attr-defined]
        msg = f"`model` must have one output, or softmax for several classes; got {net!r}."
        raise ValueError(msg)
    if units == 1:
        outputs = np.concatenate([1 - outputs, outputs], axis=-1).clip(0, 1)
    classes = np.arange(outputs.shape[-1]) if net.classes is None else np.asarray(net.classes)
    return _Shares(classes, outputs)


def _known(y: Any, rows: int, classes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the class index of each row."""
    given = data.host("y", y)
    if given.ndim == 2 and given.shape[1] == len(classes) > 1:  # one column a class
        given = classes[given.argmax(axis=1)]
    found = data.labels("y", given)
    if len(found) != rows:
        msg = f"`y` must hold one label for each of the {rows} rows of `X`, got {len(found)}."
        raise ValueError(msg)
    same = found[:, None] == classes
    if not np.all(same.any(axis=1)):
        strange = found[~same.any(axis=1)][0]
        msg = f"`y` must hold labels that the model knows ({', '.join(map(str, classes.tolist()))}), got {strange!r}."
        raise ValueError(msg)
    return np.asarray(same.argmax(axis=1))


def _colors(count: int) -> np.ndarray[Any, Any]:
    return np.asarray(style.matplotlib("colors").to_rgba_array([style.color(i) for i in range(count)]))[:, :3]


def _shading(shares: np.ndarray[Any, Any], colors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the color of each point: that of the first class, the paler the nearer the second comes."""
    second, first = np.moveaxis(np.partition(shares, -2, axis=-1)[..., -2:], -1, 0)
    strength = _STRENGTH * np.clip(first - second, 0, 1)[..., None]
    return np.asarray(1 - strength * (1 - colors[shares.argmax(axis=-1)]))


def _lines(ax: Any, first: np.ndarray[Any, Any], second: np.ndarray[Any, Any], shares: np.ndarray[Any, Any]) -> None:
    """Draw where the first class changes, thin for each member of several."""
    if len(shares) > 1:
        for one in shares:
            _contours(ax, first, second, one, linewidths=0.6, alpha=0.5)
    _contours(ax, first, second, shares.mean(axis=0), linewidths=1.4)


def _contours(
    ax: Any, first: np.ndarray[Any, Any], second: np.ndarray[Any, Any], shares: np.ndarray[Any, Any], **look: Any
) -> None:
    classes = shares.shape[-1]
    for k in range(classes if classes > 2 else 1):
        lead = shares[..., k] - np.delete(shares, k, axis=-1).max(axis=-1)
        if lead.min() < 0 < lead.max():
            ax.contour(first, second, lead, levels=[0.0], colors=style.DARK, **look)


def _points(ax: Any, rows: np.ndarray[Any, Any], known: Any, classes: Any, colors: np.ndarray[Any, Any]) -> None:
    """Draw the rows of each class in its color, and say which class has which."""
    size = 36 if len(rows) <= 50 else 16 if len(rows) <= 500 else 6
    for k, name in enumerate(classes.tolist()):
        own = rows[:0] if known is None else rows[known == k]
        look = {"marker": style.marker(k) if known is not None else "s", "edgecolors": "white", "linewidths": 0.5}
        ax.scatter(own[:, 0], own[:, 1], s=size, color=colors[k], label=str(name), **look)
    if len(classes) <= 10:
        style.legend(ax, title="class", title_fontsize="small")
