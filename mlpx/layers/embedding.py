"""Vectors that are looked up for the codes of categories, and learned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from mlpx import initializers
from mlpx._checks import check_count
from mlpx._typing import Array, Namespace
from mlpx.backends import Backend
from mlpx.backends.host import Stream
from mlpx.initializers import Initializer
from mlpx.layers.base import Layer, Parameters
from mlpx.precision import EXACT

__all__ = ["Embedding", "EmbeddingSaved"]

_SHOWN = 3
"""Tables that the label lists; of more it tells the number."""


class EmbeddingSaved(NamedTuple):
    """What `Embedding` keeps for its backward pass: its input and, to look at, its output."""

    x: Array
    y: Array


@dataclass(frozen=True)
class Embedding(Layer):
    """Columns that hold the codes of categories become vectors, which are learned [1]_; it is the first layer.

    With the code k of a row in a table's column, its vector is row k of the table ``T``: ``Y = H T``, where H has a 1
    at the code's place in each row and 0 elsewhere. So it is a layer without a bias on one-hot inputs that are never
    made in the forward pass. Columns that belong to no table pass through in their order, and the vectors follow in the
    order of the tables. A code that is no whole number from 0 to below the number of categories gives a vector of
    zeros. Penalty and weight decay act on the tables as they do on weights.

    Parameters
    ----------
    fan_in : int
        Number of inputs.
    tables : sequence of (int, int, int)
        For each table the position of its column among the inputs, the number of categories and the number of units of
        a vector. Their parameters are ``table0``, ``table1``, …, of shape ``(categories, units)``.
    initializer : str or Initializer
        Initial values of each table, see `mlpx.initializers`; ``"auto"`` is normal with variance ``1 / units``: the
        mean square norm of a vector is then 1, which is that of a one-hot or of a standardized input [2]_.

    Raises
    ------
    ValueError, TypeError
        For an argument out of its range.

    References
    ----------
    .. [1] C. Guo and F. Berkhahn, "Entity embeddings of categorical variables", arXiv:1604.06737, 2016.
    .. [2] Y. Gorishniy, I. Rubachev, V. Khrulkov and A. Babenko, "Revisiting deep learning models for tabular data",
       NeurIPS 2021; there they are uniform within ``±1 / sqrt(units)``, whose variance falls in the same way.

    Examples
    --------
    >>> import mlpx
    >>> layer = mlpx.Embedding(3, [(1, 5, 2)])
    >>> layer.fan_out, layer.shapes()
    (4, {'table0': (5, 2)})
    >>> net = mlpx.Network([layer, mlpx.Dense(layer.fan_out, 1)])
    >>> trace = net.forward([[0.5, 3, -1.0]])
    >>> bool((trace.layers[0].y[0, 2:] == net.parameters["0.table0"][3]).all())
    True
    """

    fan_in: int
    tables: tuple[tuple[int, int, int], ...]
    initializer: str | Initializer = "auto"

    def __post_init__(self) -> None:
        self._store("fan_in", check_count("fan_in", self.fan_in))
        self._store("tables", _check_tables(self.tables, self.fan_in))
        if self.initializer != "auto":
            self._store("initializer", initializers.get(self.initializer))

    @property
    def fan_out(self) -> int:
        """Number of units that come out: inputs that pass through, and the units of all vectors."""
        return self._stops[-1]

    @property
    def _stops(self) -> list[int]:
        """Where what passes through ends in the output, and where each table's vector does."""
        passed = self.fan_in - len(self.tables)
        return [*accumulate((units for _, _, units in self.tables), initial=passed)]

    @property
    def _between(self) -> list[tuple[int, int]]:
        """Where the runs of inputs that pass through begin and end."""
        edges = [-1, *sorted(column for column, _, _ in self.tables), self.fan_in]
        return [(low + 1, high) for low, high in pairwise(edges) if low + 1 < high]

    @property
    def label(self) -> str:
        """Units, and the sizes of the tables, or how many there are."""
        sizes = ", ".join(f"{categories} x {units}" for _, categories, units in self.tables)
        return f"{self.fan_out} embedding({sizes if len(self.tables) <= _SHOWN else f'{len(self.tables)} tables'})"

    def width(self, fan_in: int) -> int:
        """Return `fan_out`."""
        if fan_in != self.fan_in:
            msg = f"`layers` do not fit: {fan_in} units go into Embedding({self.fan_in}, …)."
            raise ValueError(msg)
        return self.fan_out

    def check_dtype(self, dtype: str) -> None:
        """Refuse a type that does not hold all codes exactly."""
        for i, (_, categories, _) in enumerate(self.tables):
            if categories > EXACT[dtype]:
                wider = "float64" if dtype == "float32" else "float32"
                msg = (
                    f"`tables[{i}]` of Embedding must have at most {EXACT[dtype]} categories where `dtype` is "
                    f"{dtype!r}, which holds no larger whole numbers exactly, got {categories}; take "
                    f'dtype="{wider}" or put rare categories together.'
                )
                raise ValueError(msg)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the tables."""
        return {f"table{i}": (categories, units) for i, (_, categories, units) in enumerate(self.tables)}

    def initialize(self, stream: Stream) -> Parameters:
        """Return the initial tables."""
        sizes = [(categories, units) for _, categories, units in self.tables]
        return {f"table{i}": self._initializer(size[1])(stream, size) for i, size in enumerate(sizes)}

    def _initializer(self, units: int) -> Initializer:
        if isinstance(self.initializer, Initializer):
            return self.initializer
        return initializers.normal(1 / math.sqrt(units))

    def masks(self, xp: Namespace) -> dict[str, tuple[Array, Array]]:
        """Return the masks: decay and training everywhere."""
        return {name: (xp.ones(shape), xp.ones(shape)) for name, shape in self.shapes().items()}

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: None
    ) -> tuple[Array, EmbeddingSaved]:
        """Return what passes through and ``H T`` of each table, shape ``(..., N, fan_out)``, and what was saved."""
        vectors = [_rows(ops, params[f"table{i}"], x[..., column]) for i, (column, _, _) in enumerate(self.tables)]
        passed = [_like(x[..., low:high], vectors[0], ops.xp) for low, high in self._between]
        y = ops.concat([*passed, *vectors], axis=-1)
        return y, EmbeddingSaved(x, y)

    def backward(
        self,
        ops: Backend,
        params: Parameters,
        saved: EmbeddingSaved,
        dy: Array,
        *,
        need_dx: bool = True,
        out: dict[str, Array] | None = None,
    ) -> tuple[Array | None, dict[str, Array]]:
        """Return what passes through of ``dy``, with 0 for the codes, and ``dT = Hᵀ dy`` of each table's units."""
        gradients, stops = {}, self._stops
        for i, (column, categories, units) in enumerate(self.tables):
            delta = dy[..., stops[i] : stops[i] + units]
            H = _one_hot(saved.x[..., column], categories, ops)
            gradients[f"table{i}"] = ops.weight_gradient(H, delta, bias=False)
        return (self._to_inputs(ops, dy) if need_dx else None), gradients

    def _to_inputs(self, ops: Backend, dy: Array) -> Array:
        """Return the gradient by the inputs."""
        runs = {column: ops.xp.zeros_like(dy[..., :1]) for column, _, _ in self.tables}
        start = 0
        for low, high in self._between:
            runs[low] = dy[..., start : start + high - low]
            start += high - low
        return ops.concat([runs[first] for first in sorted(runs)], axis=-1)


def _check_tables(tables: Any, fan_in: int) -> tuple[tuple[int, int, int], ...]:
    """Return the tables as tuples of three numbers, in their order."""
    if isinstance(tables, (str, bytes)) or not isinstance(tables, Iterable):
        msg = f"`tables` must be a list of (column, categories, units), such as [(0, 1000, 16)]; got {tables!r}."
        raise TypeError(msg)
    checked = tuple(_check_table(f"tables[{i}]", table, fan_in) for i, table in enumerate(tables))
    if not checked:
        msg = "`tables` must hold at least one table (column, categories, units); leave the layer out, got none."
        raise ValueError(msg)
    column, count = Counter(column for column, _, _ in checked).most_common(1)[0]
    if count > 1:
        msg = f"`tables` must name each column once, got the column {column} {count} times; give one table all units."
        raise ValueError(msg)
    return checked


def _check_table(name: str, table: Any, fan_in: int) -> tuple[int, int, int]:
    if not hasattr(table, "__len__") or isinstance(table, str) or len(table) != 3:
        msg = f"`{name}` must be (column, categories, units), such as (0, 1000, 16); got {table!r}."
        raise ValueError(msg)
    column, categories, units = table
    column = check_count(f"{name}[0]", column, least=0)
    if column >= fan_in:
        msg = f"`{name}[0]` must be the position of one of the {fan_in} inputs, from 0 to {fan_in - 1}; got {column}."
        raise ValueError(msg)
    return column, check_count(f"{name}[1]", categories), check_count(f"{name}[2]", units)


def _rows(ops: Backend, table: Array, code: Array) -> Array:
    """Return the rows of a table that codes name, shape (..., N, M), and zeros for what is no code."""
    xp = ops.xp
    within = (code >= 0.0) & (code <= table.shape[-2] - 1.0)
    index = xp.astype(xp.where(within, code, xp.zeros_like(code)), xp.int64)
    rows = ops.take_rows(table, index) if table.ndim == 2 else ops.take_member_rows(table, index)
    return rows * xp.astype(xp.astype(index, code.dtype) == code, table.dtype)[..., None]


def _one_hot(code: Array, categories: int, ops: Backend) -> Array:
    """Return H: rows with a 1 at the place of the code, and of zeros for what is no code."""
    places = ops.xp.arange(categories, dtype=code.dtype, device=ops.device)
    return ops.xp.astype(code[..., None] == places, code.dtype)


def _like(x: Array, vectors: Array, xp: Namespace) -> Array:
    """Return inputs with the stack axes of vectors."""
    return x if x.ndim == vectors.ndim else xp.broadcast_to(x, (*vectors.shape[:-1], x.shape[-1]))
