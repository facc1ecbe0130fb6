"""Writing: the values of a fused kernel as lines of CUDA C++, and the arguments that they need.

Shapes stand in the source as numbers, except the first axis, so that a stack that shrinks needs no new kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mlpx._typing import Array
from mlpx.backends.cuda.expressions import computed, converted, expression, literal, loaded, stored, type_name
from mlpx.backends.cuda.fusion import Kernel, Role, axis_of, is_reduction, strides_over
from mlpx.backends.cuda.memory import Memory, Slot
from mlpx.backends.notes import Call, Filled, NotRecordable, Operation, Variable, is_one_number

__all__ = ["Argument", "Writer", "name_of"]


@dataclass(frozen=True)
class Argument:
    """What a kernel gets.

    Attributes
    ----------
    name : str
        In the source.
    slot : Slot
        The array whose start it is.
    stride : bool
        Whether it is instead the number of elements from one step's entry of that array to the next.
    """

    name: str
    slot: Slot
    stride: bool = False


class Writer:
    """Writes what one kernel reads, makes and keeps.

    In the lines, ``r`` is the number of a row, ``c`` that of a column, and ``step`` the number of the step in its run.

    Parameters
    ----------
    kernel : Kernel
        What is made.
    memory : Memory
        Where arrays lie.
    steps : set of Variable
        Arrays that have an entry for each step.

    Attributes
    ----------
    arguments : list of Argument
        What the lines so far need.
    names : dict
        What each output is called.
    loads : dict or None
        Where several elements are made at once: what is loaded for all of them before the first is made, with its name
        and type. The compiler would not do so itself where the results go over what is loaded.
    """

    def __init__(self, kernel: Kernel, memory: Memory, steps: set[Variable]) -> None:
        self.kernel, self.memory = kernel, memory
        self.arguments: list[Argument] = []
        self.names = {op.output: f"v{i}" for i, op in enumerate(kernel.operations)}
        self.loads: dict[str, tuple[str, str]] | None = None
        self._steps = steps
        self._pointers: dict[tuple[Variable, int], str] = {}
        self._strides: dict[Variable, str] = {}
        self._written = {memory.slot(op.output).root for op in kernel.operations if op.output in memory.kept}

    @property
    def by_step(self) -> bool:
        """Whether something is read of which there is an entry for each step."""
        return bool(self._strides)

    @property
    def largest(self) -> int:
        """The most elements of what is walked through or read from."""
        read = [int(argument.slot.root.value.size) for argument in self.arguments]
        return max([prod(self.kernel.rows) * self.kernel.columns, *read])

    def declared(self) -> list[str]:
        """Return the arguments as they are declared."""
        return [self._declared(argument) for argument in self.arguments]

    def _declared(self, argument: Argument) -> str:
        if argument.stride:
            return f"long long {argument.name}"
        root = argument.slot.root
        written = root in self._written
        alone = not written or sum(key[0] is root for key in self._pointers) == 1
        const, restrict = "" if written else "const ", " __restrict__" if alone else ""
        return f"{const}{type_name(argument.slot.array.dtype)}*{restrict} {argument.name}"

    # Places.

    def pointer(self, slot: Slot) -> str:
        """Return the start of an array, in a step's entry where it has one for each."""
        key = (slot.root, slot.offset)
        if key not in self._pointers:
            self._pointers[key] = name = f"p{len(self._pointers)}"
            self.arguments.append(Argument(name, slot))
            if slot.root in self._steps and slot.root not in self._strides:
                self._strides[slot.root] = f"s{len(self._strides)}"
                self.arguments.append(Argument(self._strides[slot.root], slot, stride=True))
        name = self._pointers[key]
        stride = self._strides.get(slot.root)
        return f"({name} + step * {stride})" if stride else name

    def _index(self, strides: Sequence[int]) -> str:
        """Return the number of an element, by its strides over the rows and columns."""
        *by_row, by_column = strides
        terms = [*self._row_terms(by_row), *([] if not by_column else ["c" if by_column == 1 else f"c * {by_column}"])]
        return " + ".join(terms) or "0"

    def _row_terms(self, strides: Sequence[int]) -> list[str]:
        merged: list[tuple[int, int, int]] = []  # extent, stride, and how many rows lie within one of its entries
        inner = 1
        for extent, stride in zip(reversed(self.kernel.rows), reversed(strides), strict=True):
            if extent > 1:
                last = merged[-1] if merged else None
                if last and stride == last[1] * last[0]:
                    merged[-1] = (last[0] * extent, last[1], last[2])
                else:
                    merged.append((extent, stride, inner))
            inner *= extent
        terms = []
        for extent, stride, inner in merged:
            if stride:
                number = "r" if inner == 1 else f"(r / {inner})"
                number = number if extent * inner == prod(self.kernel.rows) else f"({number} % {extent})"
                terms.append(number if stride == 1 else f"{number} * {stride}")
        return terms[::-1]

    # Values.

    def read(self, value: Any, i: int, op: Operation) -> tuple[str, np.dtype[Any]]:
        """Return an input of an operation as an expression, and its type."""
        if isinstance(value, Filled):
            return literal(value.number, value.dtype), value.dtype
        if isinstance(value, np.ndarray) and is_one_number(value):
            return literal(value.flat[0], value.dtype), value.dtype
        if isinstance(value, Variable) and value.root in self.names:
            return self.names[value.root], value.value.dtype
        slot = self.memory.slot(value)
        strides = strides_over(slot.array, i, op, self.kernel.roles[op.output], self.kernel)
        return self._loaded(slot, self._index(strides)), slot.array.dtype

    def _loaded(self, slot: Slot, index: str) -> str:
        """Return a number from memory, which may have been loaded before."""
        value = loaded(slot.array.dtype, f"{self.pointer(slot)}[{index}]")
        if self.loads is None or index == "0":
            return value
        name = f"x{len(self.loads)}", type_name(computed(slot.array.dtype))
        return f"{self.loads.setdefault(value, name)[0]}[k]"

    def _value(self, op: Operation) -> str:
        """Return an element-wise operation as an expression."""
        name, dtype = name_of(op), op.output.value.dtype
        if name == "take":
            return self._taken(op)
        if name == "dropout":
            return self._dropped(op)
        inputs = [self.read(v, i, op) for i, v in enumerate(op.inputs)]
        if name != "one_hot":
            return expression(name, inputs, dtype)
        if self.kernel.roles[op.output] is not Role.FULL:
            msg = "classes that are compared with something else than the columns"
            raise NotRecordable(msg)
        return converted(f"({inputs[0][0]} == c)", np.dtype(np.bool_), dtype)

    def _taken(self, op: Operation) -> str:
        """Return an element of the rows that an index names."""
        source, index = op.inputs
        number, _ = self.read(index, 1, op)
        slot = self.memory.slot(source)
        dims = op.output.value.ndim - (slot.array.ndim - 1)
        rest = _stretched(slot.array, op.output.value.shape, dims)
        strides = _strides_of_output(rest, op, self.kernel)
        first = slot.array.strides[0] // slot.array.itemsize
        place = " + ".join([f"Index({number}) * {first}", *([i] if (i := self._index(strides)) != "0" else [])])
        return self._loaded(slot, place)

    def _dropped(self, op: Operation) -> str:
        """Return a factor of dropout, from the bits of its lanes."""
        bits, words = (self.memory.slot(v) for v in op.inputs)
        rows, columns = op.output.value.shape[-2:]
        if (*self.kernel.rows[-1:], self.kernel.columns) != (rows, columns) or self.kernel.roles[op.output] is Role.ROW:
            msg = "factors of dropout that are not read element by element"
            raise NotRecordable(msg)
        member = f"(r / {rows})" if op.output.value.ndim == 3 else "0"
        own_bits = f"{self.pointer(bits)} + {member} * {bits.array.shape[-1]}ll"
        own_words = f"{self.pointer(words)} + {member} * {words.array.shape[-1]}"
        kind = type_name(computed(op.output.value.dtype))
        return f"dropout_factor<{kind}>({own_bits}, {own_words}, (r % {rows}) * {columns} + c)"

    def made(self, op: Operation) -> str:
        """Return the line that makes an operation's output."""
        dtype = computed(op.output.value.dtype)
        return f"const {type_name(dtype)} {self.names[op.output]} = {self._value(op)};"

    def kept(self, op: Operation, guard: str = "") -> list[str]:
        """Return the line that writes an output to memory, where others read it there."""
        if op.output not in self.memory.kept:
            return []
        slot = self.memory.slot(op.output)
        strides = _strides_of_output(slot.array, op, self.kernel)
        place = f"{self.pointer(slot)}[{self._index(strides)}]"
        return [f"{guard}{place} = {stored(op.output.value.dtype, self.names[op.output])};"]


def name_of(op: Operation) -> str:
    """Return the name of a call."""
    assert isinstance(op.call, Call)
    return op.call.name


def _stretched(array: Array, shape: tuple[int, ...], dims: int) -> Array:
    """Return an array whose rows an index of some axes takes, over the axes of what is taken."""
    return np.lib.stride_tricks.as_strided(array, shape, (*(0,) * dims, *array.strides[1:]))


def _strides_of_output(array: Array, op: Operation, kernel: Kernel) -> tuple[int, ...]:
    """Return the strides of an array, shaped as an operation's output, over the rows and columns of its kernel."""
    strides = [s // array.itemsize if n > 1 else 0 for s, n in zip(array.strides, array.shape, strict=True)]
    if kernel.roles[op.output] is not Role.ROW:
        return tuple(strides)
    if len(strides) > len(kernel.rows):
        del strides[axis_of(op) if is_reduction(op) else -1]
    return (*strides, 0)
