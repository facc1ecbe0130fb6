"""Pieces at the data's edge: checked and cast as `mlpx.inputs` does it with whole data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlpx import inputs
from mlpx._typing import Array
from mlpx.backends import make_backend, to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.sources.base import Piece

__all__ = ["Intake", "Taken"]


class Taken(NamedTuple):
    """Rows as the network takes them, on the host.

    Attributes
    ----------
    x : array of shape (n, M_0)
        Features in the network's type.
    y : array of shape (n, K) or (n,), optional
        Targets, or class indices.
    weight : array of shape (n,), optional
        Weights in float64.
    """

    x: Array
    y: Array | None
    weight: Array | None

    def part(self, rows: slice) -> Taken:
        """Return some of the rows."""
        return Taken(*(None if array is None else array[rows, ...] for array in self))


class Intake:
    """Takes in the pieces of a source for a network.

    Parameters
    ----------
    net : mlpx.Network
        The network.
    classes : tuple, optional
        The labels that targets may hold.
    class_weight : dict, optional
        Weight by class.
    name : str
        What errors call the source.
    targets : bool
        Whether there must be targets.
    """

    def __init__(
        self,
        net: Any,
        classes: tuple[Any, ...] | None,
        class_weight: Mapping[Any, float] | None = None,
        name: str = "X",
        *,
        targets: bool = True,
    ) -> None:
        self._ops, self._output = make_backend("numpy"), net.architecture.output
        self._dtype, self._master = net.backend.host_dtype(net.dtype), net.backend.host_dtype(net.master_dtype)
        self._width, self._classes = net.architecture.widths[0], classes
        self._class_weight, self._name, self._targets = class_weight, name, targets
        self._weighted: bool | None = None

    def __call__(self, piece: Piece) -> Taken:
        """Return a piece as the network takes it; an error names the piece."""
        try:
            with self._ops.context():
                return self._taken(piece)
        except (ValueError, TypeError) as error:
            msg = f"In {piece.name} of `{self._name}`: {error}"
            raise (TypeError if isinstance(error, TypeError) else ValueError)(msg) from error

    def _taken(self, piece: Piece) -> Taken:
        x = inputs.features(piece.X, self._ops, self._dtype, self._width, None, "X")
        if not self._targets:
            return Taken(x, None, None)
        if piece.y is None:
            msg = "`y` is missing. Give the source targets."
            raise ValueError(msg)
        y = inputs.targets(piece.y, self._ops, self._master, self._output, x, None, self._classes).y
        weight = None if piece.weight is None else _weights(piece.weight, x.shape[0])
        if self._weighted is None:
            self._weighted = weight is not None
        if self._weighted is not (weight is not None):
            msg = "`weight` must be there in all pieces or in none. Give weights of 1 where all count alike."
            raise ValueError(msg)
        return Taken(x, y, self._by_class(y, weight))

    def _by_class(self, y: Array, weight: Array | None) -> Array | None:
        """Return the weights, times those of the classes."""
        rows = [hxp.arange(y.shape[0])]
        own = inputs.class_weights(self._class_weight, y, self._output, self._classes, rows)
        return weight if own is None else own if weight is None else own * weight


def _weights(weight: Any, n: int) -> Array:
    """Return weights of samples in float64, checked; unlike those of a whole data set they may all be 0."""
    raw = to_numpy(weight)
    if raw.dtype.kind not in "biuf" or raw.shape != (n,):
        msg = f"`weight` must hold one number for each of the {n} rows, got the shape {raw.shape}, dtype {raw.dtype}."
        raise ValueError(msg)
    found = hxp.astype(raw, hxp.float64)
    if not hxp.all(hxp.isfinite(found) & (found >= 0)):
        msg = f"`weight` must be finite and at least 0; the smallest is {hxp.min(found)}."
        raise ValueError(msg)
    return found
