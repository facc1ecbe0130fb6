"""Fusion: the operations of a recorded step, gathered into few kernels between its matrix products.

A kernel runs over rows and columns: `rows` are the leading axes and `columns` is the length of the last one. What it
makes is *full*, a number for each element; a *row* value, a number for each row, such as a reduction along the columns
gives; or a *column* sum over the rows. An operation joins a kernel where it reads what that makes element for element,
or a row's number for all elements of the row. Everything else goes through memory, from one kernel to a later one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from mlpx._typing import Array
from mlpx.backends.notes import (
    Call,
    Concat,
    NotRecordable,
    Operation,
    Recording,
    Variable,
    address,
    blank,
    fits_in_place,
    needed,
)  # fmt: skip

__all__ = [
    "LONG", "Bits", "Kernel", "Node", "Plan", "Product", "Role", "axis_of", "by_element", "contiguous", "fused",
    "is_column_sum", "is_reduction", "offset_of", "strides_over", "with_copies",
]  # fmt: skip

LONG = 8192
"""Columns up to which one block takes a whole row, so that what it reduces can be read for each element again."""

_MOST_SUMS = 16
"""Column sums of one kernel: each takes two kilobytes of the memory that a block shares."""

_REDUCTIONS = ("sum", "max", "min", "all", "argmax")


class Role(Enum):
    """What an operation makes in its kernel: numbers for all elements, for each row, or sums over the rows."""

    FULL = "full"
    ROW = "row"
    COLUMN = "column"


@dataclass(eq=False)
class _One:
    """A node that makes one array.

    Attributes
    ----------
    inputs : tuple
        What it reads.
    output : Variable
        What it makes.
    """

    inputs: tuple[Any, ...]
    output: Variable

    @property
    def outputs(self) -> list[Variable]:
        """What it makes."""
        return [self.output]


class Product(_One):
    """A matrix product ``output = a b``."""


class Bits(_One):
    """The random bits of dropout, which a kernel of their own draws from the words that name a stream."""


@dataclass(eq=False)
class Kernel:
    """Operations that one launch makes.

    Attributes
    ----------
    rows : tuple of int
        Leading axes.
    columns : int
        Length of the last axis.
    operations : list of Operation
        In an order in which they can be made.
    roles : dict
        What each output is here.
    levels : dict
        How many reductions, one upon the other, an output waits for.
    sealed : bool
        Whether a product came after it: what is large should then not join any more, for it would have to be kept.
    """

    rows: tuple[int, ...]
    columns: int
    operations: list[Operation] = field(default_factory=list)
    roles: dict[Variable, Role] = field(default_factory=dict)
    levels: dict[Variable, int] = field(default_factory=dict)
    sealed: bool = False

    @property
    def outputs(self) -> list[Variable]:
        """What it makes."""
        return [op.output for op in self.operations]

    @property
    def inputs(self) -> tuple[Any, ...]:
        """What it reads and does not make itself."""
        read = [v for op in self.operations for v in op.inputs]
        return tuple(v for v in read if not (isinstance(v, Variable) and v.root in self.roles))

    @property
    def reduces(self) -> bool:
        """Whether something is reduced along the columns."""
        return any(is_reduction(op) for op in self.operations)

    @property
    def sums_columns(self) -> bool:
        """Whether something is summed over the rows."""
        return Role.COLUMN in self.roles.values()

    @property
    def split(self) -> bool:
        """Whether several blocks share a row, so that what they reduce is known only when all are through."""
        return self.columns > LONG and self.reduces and not any(_name(op) == "argmax" for op in self.operations)

    @property
    def passes(self) -> int:
        """How often a row is walked through: once for each level of what is made of elements."""
        needed = [self.levels[op.output] + 1 for op in self.operations if self.roles[op.output] is not Role.ROW]
        return max([*needed, *(self.levels[op.output] for op in self.operations if is_reduction(op)), 1])

    def add(self, op: Operation, role: Role, level: int) -> None:
        """Take an operation in."""
        self.operations.append(op)
        self.roles[op.output] = role
        self.levels[op.output] = level


Node = Kernel | Product | Bits


@dataclass(frozen=True)
class Plan:
    """A recorded step as nodes.

    Attributes
    ----------
    nodes : list of Node
        In their order.
    inside : dict
        For what is made in its place in a concatenation: that, how it is cut, and which part this is.
    """

    nodes: list[Node] = field(default_factory=list)
    inside: dict[Variable, tuple[Variable, Concat, int]] = field(default_factory=dict)


def is_reduction(op: Operation) -> bool:
    """Say whether an operation reduces an axis."""
    return _name(op) in _REDUCTIONS


def is_column_sum(op: Operation) -> bool:
    """Say whether an operation is a product with a row of ones, which sums over the rows."""
    ones = op.inputs[0]
    return (
        _name(op) == "matmul"
        and isinstance(ones, np.ndarray)
        and ones.ndim == 2
        and len(ones) == 1
        and bool(np.all(ones == 1))
    )


def _name(op: Operation) -> str:
    return op.call.name if isinstance(op.call, Call) else "concat"


def with_copies(recording: Recording) -> Recording:
    """Return a recording in which no part of the new state lies in an argument, except what stays as it was."""
    inputs = {v for part in recording.inputs for v in part}
    operations, outputs = list(recording.operations), []
    for new, old in zip(recording.outputs, recording.inputs[1], strict=True):
        if new is old or new.root not in inputs:
            outputs.append(new)
            continue
        outputs.append(Variable(blank(new.value.shape, new.value.dtype)))
        operations.append(Operation(Call("copy"), (new,), outputs[-1], rowwise=True, elementwise=True, broadcasts=True))
    return Recording(operations, recording.inputs, outputs)


def fused(recording: Recording) -> Plan:
    """Return the nodes that make a recorded step."""
    operations = needed(recording.operations, recording.outputs)
    return _Fusion(operations, recording.outputs).plan


class _Fusion:
    """Puts operation after operation into nodes."""

    def __init__(self, operations: list[Operation], outputs: list[Variable]) -> None:
        self.plan = Plan()
        self._ready: dict[Variable, int] = {}
        """The first node that may read a memory that a node makes."""
        self._made = {op.output for op in operations}
        self._outputs = {v.root for v in outputs}
        # bits come first: they need nothing of the step, and who reads them can then join others
        for op in sorted(operations, key=lambda op: _name(op) != "dropout_bits"):
            self._add(op)

    def _add(self, op: Operation) -> None:
        if not all(v.value.size for v in (op.output, *op.inputs) if isinstance(v, Variable)):
            msg = "arrays without elements"
            raise NotRecordable(msg)
        if isinstance(op.call, Concat):
            self._concat(op, op.call)
        elif _name(op) == "take" and axis_of(op):
            msg = "taking along another axis than the first"
            raise NotRecordable(msg)
        elif _name(op) == "dropout_bits":
            self._append(Bits(op.inputs, op.output))
        elif _name(op) == "matmul" and not is_column_sum(op):
            for node in self.plan.nodes:
                if isinstance(node, Kernel):
                    node.sealed = True
            self._append(Product(op.inputs, op.output))
        else:
            self._join(op)

    def _append(self, node: Node) -> None:
        self.plan.nodes.append(node)
        for output in node.outputs:
            self._ready[output] = len(self.plan.nodes)

    def _concat(self, op: Operation, concat: Concat) -> None:
        """Let each part be made in its place; those that lie elsewhere are copied there."""
        parts = []
        for i, part in enumerate(op.inputs):
            root = part.root if isinstance(part, Variable) else None
            if root in self._made - self._outputs and root not in self.plan.inside and fits_in_place(op, i, part):
                assert root is not None
            else:
                root = Variable(blank(concat.part(op.output.value, i).shape, op.output.value.dtype))
                self._join(Operation(Call("copy"), (part,), root, rowwise=True, elementwise=True, broadcasts=True))
            self.plan.inside[root] = (op.output, concat, i)
            parts.append(self._ready[root])
        self._ready[op.output] = max(parts)

    def _join(self, op: Operation) -> None:
        """Put an operation into the last kernel that can take it, else into a new one."""
        read = [v.root for v in op.inputs if isinstance(v, Variable)]
        for position in reversed(range(len(self.plan.nodes))):
            node = self.plan.nodes[position]
            outside = [v for v in read if not (isinstance(node, Kernel) and v in node.roles)]
            if any(self._ready.get(v, 0) > position for v in outside):
                break
            if isinstance(node, Kernel) and (found := _fit(op, node)):
                node.add(op, *found)
                self._ready[op.output] = position + 1
                return
        kernel = Kernel(*_space(op))
        found = _fit(op, kernel)
        assert found is not None
        kernel.add(op, *found)
        self._append(kernel)


def offset_of(variable: Variable) -> int:
    """Return how many elements after the start of its memory a view begins."""
    return (address(variable.value) - address(variable.root.value)) // int(variable.value.itemsize)


def _space(op: Operation) -> tuple[tuple[int, ...], int]:
    """Return rows and columns of the kernel that an operation would have for itself."""
    if is_reduction(op):
        shape, axis = op.inputs[0].value.shape, axis_of(op)
        return (*shape[:axis], *shape[axis + 1 :]), shape[axis]
    shape = op.inputs[1].value.shape if is_column_sum(op) else op.output.value.shape
    return (shape[:-1], shape[-1]) if shape else ((), 1)


def axis_of(op: Operation) -> int:
    """Return the axis that a reduction reduces."""
    assert isinstance(op.call, Call)
    axis: int = op.call.parameters[0]
    return axis


def _fit(op: Operation, kernel: Kernel) -> tuple[Role, int] | None:
    """Return role and level of an operation in a kernel; None where it cannot be made there."""
    role = _role(op, kernel)
    if role is None or not all(_is_aligned(i, op, role, kernel) for i in range(len(op.inputs))):
        return None
    made = [v.root for v in op.inputs if isinstance(v, Variable) and v.root in kernel.roles]
    level = max((kernel.levels[v] for v in made), default=0)
    long = kernel.columns > LONG and (kernel.reduces or is_reduction(op)) and _name(op) != "argmax"
    if level and long and (role is Role.FULL or is_reduction(op)):
        return None
    return role, level + is_reduction(op)


def _role(op: Operation, kernel: Kernel) -> Role | None:
    rows = _space(op) == (kernel.rows, kernel.columns)
    by_row = Role.ROW in kernel.roles.values()
    if is_column_sum(op):
        sums = sum(each is Role.COLUMN for each in kernel.roles.values())
        return Role.COLUMN if rows and not by_row and sums < _MOST_SUMS else None
    if is_reduction(op):
        return Role.ROW if rows and not kernel.sums_columns else None
    shape = op.output.value.shape
    if shape == (*kernel.rows, kernel.columns) and not kernel.sealed:
        return Role.FULL
    if _name(op) in ("one_hot", "dropout"):  # they need to know the column
        return None
    return Role.ROW if shape in (kernel.rows, (*kernel.rows, 1)) and not kernel.sums_columns else None


def by_element(op: Operation, i: int) -> bool:
    """Say whether an operation reads its i-th input element by element, and not where an index or a number points."""
    return _name(op) != "dropout" and not (_name(op) == "take" and i == 0)


def _is_aligned(i: int, op: Operation, role: Role, kernel: Kernel) -> bool:
    """Say whether an operation reads an input, where the kernel makes that, element for element."""
    v = op.inputs[i]
    if not isinstance(v, Variable) or v.root not in kernel.roles:
        return True
    made = kernel.roles[v.root]
    if made is Role.COLUMN or (made is Role.FULL and role is Role.ROW and not is_reduction(op)):
        return False
    if not by_element(op, i):
        return False
    shape = (*kernel.rows, kernel.columns if made is Role.FULL else 1)
    return offset_of(v) == 0 and strides_over(v.value, i, op, role, kernel) == contiguous(shape)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides, in elements, of an array that lies in rows; those of axes of length one are 0."""
    strides, size = [], 1
    for length in reversed(shape):
        strides.append(size if length > 1 else 0)
        size *= length
    return tuple(strides[::-1])


def strides_over(value: Array, i: int, op: Operation, role: Role, kernel: Kernel) -> tuple[int, ...]:
    """Return the strides, in elements, of an operation's i-th input over the rows and columns of its kernel."""
    if is_reduction(op):
        value = np.moveaxis(value, axis_of(op), -1)
    elif not is_column_sum(op):
        shape = op.output.value.shape
        if _name(op) == "take":
            value = value[(..., *(None,) * (len(shape) - value.ndim))]
        value = np.broadcast_to(value, shape)
        if role is Role.ROW and len(shape) == len(kernel.rows):
            value = value[..., None]
    space = (*kernel.rows, kernel.columns if role is not Role.ROW or is_reduction(op) else 1)
    return tuple(s // value.itemsize if n > 1 else 0 for s, n in zip(value.strides, space, strict=True))
