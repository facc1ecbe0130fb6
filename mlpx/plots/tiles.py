"""Weights as colors: a matrix, or one small image a unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpx._checks import check_count
from mlpx.plots import data, style

__all__ = ["weights"]


def weights(
    net: Any,
    layer: int = 0,
    *,
    image_shape: Sequence[int] | None = None,
    columns: int | None = None,
    member: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw the weights of a dense layer: white is 0, red positive, blue negative.

    Parameters
    ----------
    net : Network, or estimator
        What has `weights` (as `mlpx.Network`) or ``coefs_`` (as scikit-learn's networks).
    layer : int
        Which of the dense layers, from 0.
    image_shape : (int, int), optional
        Height and width of the images that the layer sees: each unit's incoming weights are shown as such an image.
    columns : int, optional
        Images in a row; by default as many as make the picture about square.
    member : int, optional
        Which member of a stack; a stack needs it.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib Axes
        Its image is the matrix of shape (M_in, M_out), or the images side by side with gaps of NaN, one pixel wide.

    Raises
    ------
    ValueError, IndexError
        For a layer or a member that there is not, or an image shape whose pixels are not the layer's inputs.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx import plots
    >>> net = mlpx.MLP([6, 4, 2])
    >>> plots.weights(net, layer=0).get_images()[0].get_array().shape
    (6, 4)
    >>> plots.weights(net, layer=0, image_shape=(2, 3), columns=2).get_images()[0].get_array().shape
    (5, 7)
    """
    matrix = _matrix(net, layer, member)
    shape = None if image_shape is None else _image_shape(image_shape, matrix.shape[0])
    per_row = None if columns is None else check_count("columns", columns)
    style.check_axes(ax)
    ax = style.panel(ax)
    shown = matrix if shape is None else _mosaic(matrix, shape, per_row)
    reach = float(np.abs(matrix).max()) or 1.0
    colors = style.matplotlib().get_cmap(style.DIVERGING).with_extremes(bad="#c8c8c8")  # gaps, not to be taken for 0
    look = {"cmap": colors, "vmin": -reach, "vmax": reach, "interpolation": "nearest"}
    image = ax.imshow(shown, aspect="auto" if shape is None else "equal", **look)
    ax.figure.colorbar(image, ax=ax, label="weight", shrink=0.9)
    if shape is None:
        ax.set(xlabel="unit", ylabel="input")
        style.whole_numbers(ax.xaxis)
        style.whole_numbers(ax.yaxis)
    else:
        ax.set_axis_off()
    return ax


def _matrix(net: Any, layer: Any, member: Any) -> np.ndarray[Any, Any]:
    blocks = getattr(net, "weights", getattr(net, "coefs_", None))
    if blocks is None:
        msg = f"`net` must have `weights` or, fitted, `coefs_`; got {type(net).__name__}."
        raise TypeError(msg)
    if isinstance(layer, bool) or not hasattr(layer, "__index__"):
        msg = f"`layer` must be a whole number, got {layer!r}."
        raise TypeError(msg)
    if not -len(blocks) <= layer < len(blocks):
        msg = f"`layer` must be from 0 to {len(blocks) - 1}, one of the dense layers; got {layer}."
        raise IndexError(msg)
    if hasattr(net, "members") and blocks[layer].ndim > (2 if net.members is None else 3):
        msg = f"`layer` must be a dense layer, with one matrix of weights; layer {layer} has several pieces (Maxout)."
        raise ValueError(msg)
    matrix = data.finite("weights", data.numbers("weights", blocks[layer], 2, 3))
    chosen = data.check_member(member, matrix.shape[0] if matrix.ndim == 3 else None, needed=True)
    return matrix if chosen is None else matrix[chosen]


def _image_shape(image_shape: Any, inputs: int) -> tuple[int, int]:
    if isinstance(image_shape, str) or not hasattr(image_shape, "__len__") or len(image_shape) != 2:
        msg = f"`image_shape` must be (height, width), got {image_shape!r}."
        raise ValueError(msg)
    height, width = (check_count(f"image_shape[{i}]", size) for i, size in enumerate(image_shape))
    if height * width != inputs:
        msg = f"`image_shape` must have as many pixels as the layer has inputs, {inputs}; got {height} x {width}."
        raise ValueError(msg)
    return height, width


def _mosaic(matrix: np.ndarray[Any, Any], shape: tuple[int, int], columns: int | None) -> np.ndarray[Any, Any]:
    """Return the units' images in rows, with a gap of one pixel between them."""
    (height, width), units = shape, matrix.shape[1]
    columns = min(columns or math.ceil(math.sqrt(units * height / width)), units)
    rows = -(-units // columns)
    mosaic = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for unit in range(units):
        top, left = (unit // columns) * (height + 1), (unit % columns) * (width + 1)
        mosaic[top : top + height, left : left + width] = matrix[:, unit].reshape(shape)
    return mosaic
