"""Source: a fused kernel as CUDA C++.

There are four ways to share the work, by what a kernel holds:

- *elements*: one thread an element;
- *rows*: some threads of a block walk through a row together, once for each level of reductions, and agree on what they
  reduced;
- *split*: many blocks share a long row; the last of them that is through puts their parts together, in their order;
- *columns*: blocks of 32 columns walk through some rows each; again the last one puts the sums together.

Shapes stand in the source as numbers, except the first axis, so that a stack that shrinks needs no new kernels. The
order of additions depends on shapes alone: the same numbers give the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import prod
from typing import Any

import numpy as np

from mlpx._typing import Array
from mlpx.backends.cuda.expressions import PRELUDE, computed, converted, expression, literal, loaded, stored, type_name
from mlpx.backends.cuda.fusion import Kernel, Role, is_column_sum, is_reduction, strides_over
from mlpx.backends.cuda.memory import Memory, Slot
from mlpx.backends.notes import Call, Filled, NotRecordable, Operation, Variable

__all__ = ["Argument", "Scheme", "Source", "module_text", "written"]

BLOCK = 256
"""Threads of a block."""

_COMBINE = {"sum": "sum_of", "max": "larger", "min": "smaller", "all": "both"}

ACROSS = """
#define ACROSS(NAME, COMBINE) \\
template <int LANES, typename T> __device__ __forceinline__ T NAME(T value) { \\
  for (int lane = (LANES < 32 ? LANES : 32) / 2; lane > 0; lane /= 2) \\
    value = COMBINE(value, __shfl_xor_sync(0xffffffffu, value, lane)); \\
  if (LANES > 32) { \\
    __shared__ T parts[LANES / 32 + 1]; \\
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value; \\
    __syncthreads(); \\
    value = parts[0]; \\
    for (int i = 1; i < LANES / 32; i++) value = COMBINE(value, parts[i]); \\
    __syncthreads(); \\
  } \\
  return value; \\
}
ACROSS(across_sum, sum_of)
ACROSS(across_max, larger)
ACROSS(across_min, smaller)
ACROSS(across_all, both)
template <typename T> struct Place { T value; int index; };
template <typename T> __device__ __forceinline__ Place<T> first_of(Place<T> a, Place<T> b) {
  const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  if (a_nan || b_nan ? a_nan != b_nan : a.value != b.value) return (a_nan || (!b_nan && a.value > b.value)) ? a : b;
  return a.index < b.index ? a : b;
}
template <int LANES, typename T> __device__ __forceinline__ int across_argmax(Place<T> best) {
  for (int lane = (LANES < 32 ? LANES : 32) / 2; lane > 0; lane /= 2) {
    Place<T> other;
    other.value = __shfl_xor_sync(0xffffffffu, best.value, lane);
    other.index = __shfl_xor_sync(0xffffffffu, best.index, lane);
    best = first_of(best, other);
  }
  if (LANES > 32) {
    __shared__ T values[LANES / 32 + 1];
    __shared__ int indices[LANES / 32 + 1];
    if (threadIdx.x % 32 == 0) { values[threadIdx.x / 32] = best.value; indices[threadIdx.x / 32] = best.index; }
    __syncthreads();
    for (int i = 0; i < LANES / 32; i++) best = first_of(best, Place<T>{values[i], indices[i]});
    __syncthreads();
  }
  return best.index;
}
"""


class Scheme(Enum):
    """How the threads share a kernel's work."""

    ELEMENTS = "elements"
    ROWS = "rows"
    SPLIT = "split"
    COLUMNS = "columns"


@dataclass(frozen=True)
class Argument:
    """What a kernel gets.

    Attributes
    ----------
    name : str
        In the source.
    slot : Slot, optional
        The array whose start it is.
    stride : bool
        Whether it is instead the number of elements from one step's entry of that array to the next.
    """

    name: str
    slot: Slot | None = None
    stride: bool = False


@dataclass(frozen=True)
class Source:
    """A kernel's text and what it is called with.

    Attributes
    ----------
    name, text : str
        The function.
    arguments : list of Argument
        In order: arrays, then those named ``partial`` (room for the sums of blocks, by their number), ``tickets``,
        ``counter``, ``ahead`` (which step this is), and ``rows``.
    scheme : Scheme
        How the work is shared.
    lanes : int
        Threads that share a row.
    partials : list of dtype
        Types of the sums of blocks.
    """

    name: str
    text: str
    arguments: list[Argument]
    scheme: Scheme
    lanes: int
    partials: list[np.dtype[Any]]


def module_text(sources: Sequence[Source], more: str = "") -> str:
    """Return the text of all kernels of a program, each once."""
    texts = {source.name: source.text for source in sources}
    body = "\n".join(texts.values())
    headers = "".join(f"#include <{name}>\n" for key, name in _HEADERS.items() if key in body)
    return f"{headers}{PRELUDE}{ACROSS}{more}\n{body}"


_HEADERS = {"__half": "cuda_fp16.h", "__nv_bfloat16": "cuda_bf16.h"}


def scheme_of(kernel: Kernel) -> Scheme:
    """Return how the threads share a kernel's work."""
    if kernel.sums_columns:
        return Scheme.COLUMNS
    if not kernel.reduces:
        return Scheme.ELEMENTS
    return Scheme.SPLIT if kernel.split else Scheme.ROWS


def _lanes(kernel: Kernel) -> int:
    """Return how many threads share a row."""
    columns, rows = kernel.columns, prod(kernel.rows)
    if rows >= 128 and columns <= 512:
        return min(32, 1 << (columns - 1).bit_length())
    if columns <= 32:
        return 32
    return BLOCK if rows >= 128 or columns <= 1024 else 1024


def elements_each(kernel: Kernel) -> int:
    """Return how many elements a thread makes: several where there are enough, so that more loads are under way."""
    return 4 if prod(kernel.rows) * kernel.columns >= 2**20 else 1


def written(kernel: Kernel, memory: Memory, steps: set[Variable]) -> Source:
    """Return the source of a kernel.

    Parameters
    ----------
    kernel : Kernel
        What it makes.
    memory : Memory
        Where arrays lie.
    steps : set of Variable
        Arrays that have an entry for each step, of which the counter chooses one.
    """
    return _Writer(kernel, memory, steps).source()


@dataclass
class _Writer:
    """Writes one kernel."""

    kernel: Kernel
    memory: Memory
    steps: set[Variable]
    arguments: list[Argument] = field(default_factory=list)
    names: dict[Variable, str] = field(default_factory=dict)
    partials: list[np.dtype[Any]] = field(default_factory=list)

    def source(self) -> Source:
        kernel = self.kernel
        scheme = scheme_of(kernel)
        lanes = _lanes(kernel) if scheme is Scheme.ROWS else BLOCK
        self._pointers: dict[tuple[Variable, int], str] = {}
        self._written = {self.memory.slot(op.output).root for op in kernel.operations if op.output in self.memory.kept}
        self._strides: dict[Variable, str] = {}
        self.lanes = lanes
        for i, op in enumerate(kernel.operations):
            self.names[op.output] = f"v{i}"
        body = getattr(self, f"_{scheme.value}")()
        declared = [self._declared(a) for a in self.arguments]
        declared += [f"{type_name(t)}* partial{i}" for i, t in enumerate(self.partials)]
        declared += ["int* tickets"] if scheme in (Scheme.SPLIT, Scheme.COLUMNS) else []
        declared += ["const long long* counter", "int ahead"] if self._strides else []
        declared += ["long long rows"]
        large = max([prod(kernel.rows) * kernel.columns, *(a.slot.root.value.size for a in self.arguments if a.slot)])
        index = "int" if large < 2**30 else "long long"
        step = "  const long long step = *counter + ahead;\n" if self._strides else ""
        threads = f"__launch_bounds__({max(lanes, BLOCK)})"
        text = f"({', '.join(declared)}) {{\n  typedef {index} Index;\n{step}{body}}}\n"
        name = f"{scheme.value}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        return Source(
            name,
            f'extern "C" __global__ void {threads} {name}{text}',
            self.arguments,
            scheme,
            lanes,
            self.partials,
        )

    def _declared(self, argument: Argument) -> str:
        if argument.stride:
            return f"long long {argument.name}"
        assert argument.slot is not None
        root = argument.slot.root
        written = root in self._written
        alone = not written or sum(key[0] is root for key in self._pointers) == 1
        const, restrict = "" if written else "const ", " __restrict__" if alone else ""
        return f"{const}{type_name(argument.slot.array.dtype)}*{restrict} {argument.name}"

    # Places.

    def _pointer(self, slot: Slot) -> str:
        key = (slot.root, slot.offset)
        if key not in self._pointers:
            self._pointers[key] = name = f"p{len(self._pointers)}"
            self.arguments.append(Argument(name, slot))
            if slot.root in self.steps and slot.root not in self._strides:
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

    def _read(self, value: Any, i: int, op: Operation) -> tuple[str, np.dtype[Any]]:
        """Return an input of an operation as an expression, and its type."""
        if isinstance(value, Filled):
            return literal(value.number, value.dtype), value.dtype
        if isinstance(value, np.ndarray) and (value.ndim == 0 or bool(np.all(value == value.flat[0]))):
            return literal(value.flat[0], value.dtype), value.dtype
        if isinstance(value, Variable) and value.root in self.names:
            return self.names[value.root], value.value.dtype
        slot = self.memory.slot(value)
        strides = strides_over(slot.array, i, op, self.kernel.roles[op.output], self.kernel)
        place = f"{self._pointer(slot)}[{self._index(strides)}]"
        return loaded(slot.array.dtype, place), slot.array.dtype

    def _value(self, op: Operation) -> str:
        """Return an element-wise operation as an expression."""
        assert isinstance(op.call, Call)
        dtype = op.output.value.dtype
        if op.call.name == "take":
            return self._taken(op)
        if op.call.name == "dropout":
            return self._dropped(op)
        inputs = [self._read(v, i, op) for i, v in enumerate(op.inputs)]
        if op.call.name == "one_hot":
            last = op.inputs[0].value.ndim and op.output.value.shape[-1] == self.kernel.columns
            if not last or self.kernel.roles[op.output] is not Role.FULL:
                msg = "classes along another axis than the columns"
                raise NotRecordable(msg)
            return converted(f"({inputs[0][0]} == c)", np.dtype(np.bool_), dtype)
        return expression(op.call.name, inputs, dtype)

    def _taken(self, op: Operation) -> str:
        """Return an element of the rows that an index names."""
        source, index = op.inputs
        number, _ = self._read(index, 1, op)
        slot = self.memory.slot(source)
        dims = op.output.value.ndim - (slot.array.ndim - 1)
        rest = _stretched(slot.array, op.output.value.shape, dims)
        strides = strides_over_output(rest, op, self.kernel)
        first = slot.array.strides[0] // slot.array.itemsize
        place = " + ".join([f"Index({number}) * {first}", *([i] if (i := self._index(strides)) != "0" else [])])
        return loaded(slot.array.dtype, f"{self._pointer(slot)}[{place}]")

    def _dropped(self, op: Operation) -> str:
        """Return a factor of dropout, from the bits of its lanes."""
        bits, words = (self.memory.slot(v) for v in op.inputs)
        rows, columns = op.output.value.shape[-2:]
        if (*self.kernel.rows[-1:], self.kernel.columns) != (rows, columns) or self.kernel.roles[op.output] is Role.ROW:
            msg = "factors of dropout that are not read element by element"
            raise NotRecordable(msg)
        member = f"(r / {rows})" if op.output.value.ndim == 3 else "0"
        groups, fields = bits.array.shape[-1], words.array.shape[-1]
        element = f"((r % {rows}) * {columns} + c)"
        factor = (
            f"dropout_factor<{type_name(computed(op.output.value.dtype))}>({self._pointer(bits)} + {member} * {groups}ll, "
            f"{self._pointer(words)} + {member} * {fields}, {element})"
        )
        return factor

    def _made(self, op: Operation) -> str:
        """Return the line that makes an operation's output."""
        dtype = computed(op.output.value.dtype)
        return f"const {type_name(dtype)} {self.names[op.output]} = {self._value(op)};"

    def _kept(self, op: Operation, guard: str = "") -> list[str]:
        """Return the line that writes an output to memory, where others read it there."""
        if op.output not in self.memory.kept:
            return []
        slot = self.memory.slot(op.output)
        strides = strides_over_output(slot.array, op, self.kernel)
        place = f"{self._pointer(slot)}[{self._index(strides)}]"
        return [f"{guard}{place} = {stored(op.output.value.dtype, self.names[op.output])};"]

    # The four schemes.

    def _full(self, wanted: Sequence[Operation]) -> list[Operation]:
        """Return the element-wise operations that some operations need, those among them that are such included."""
        needed = set()
        for op in reversed(self.kernel.operations):
            if op in wanted or (op.output in needed and self._is(op, Role.FULL)):
                needed |= {v.root for v in op.inputs if isinstance(v, Variable)}
        chosen = {op.output for op in wanted} | needed
        return [op for op in self.kernel.operations if op.output in chosen and self._is(op, Role.FULL)]

    def _is(self, op: Operation, role: Role) -> bool:
        return self.kernel.roles[op.output] is role

    def _elements(self) -> str:
        columns, each = self.kernel.columns, elements_each(self.kernel)
        made = [self._made(op) for op in self.kernel.operations]
        for op in self.kernel.operations:
            made += self._kept(op, "" if self._is(op, Role.FULL) else "if (c == 0) ")
        lines = [
            f"const Index first = Index(blockIdx.x) * {BLOCK * each} + threadIdx.x;",
            "#pragma unroll",
            f"for (int k = 0; k < {each}; k++) {{",
            f"  const Index i = first + k * {BLOCK};",
            f"  if (i < rows * {columns}) {{",
            f"    const Index r = i / {columns}, c = i % {columns};",
            *[f"    {line}" for line in made],
            "  }",
            "}",
        ]
        return _text(lines)

    def _rows(self) -> str:
        kernel, lanes = self.kernel, self.lanes
        each = max(1, BLOCK // lanes)
        lines = [
            f"const Index row = Index(blockIdx.x) * {each} + threadIdx.x / {lanes};",
            "const bool inside = row < rows;",
            "const Index r = inside ? row : rows - 1;",
            f"const int lane = threadIdx.x % {lanes};",
        ]
        for level in range(kernel.passes + 1):
            for op in kernel.operations:
                if self._is(op, Role.ROW) and not is_reduction(op) and kernel.levels[op.output] == level:
                    lines.append(self._made(op))
            reductions = [op for op in kernel.operations if is_reduction(op) and kernel.levels[op.output] == level + 1]
            kept = [op for op in self._stored(Role.FULL) if kernel.levels[op.output] == level]
            if reductions or kept:
                lines += [self._start(op) for op in reductions]
                lines.append(f"for (Index c = lane; c < {kernel.columns}; c += {lanes}) {{")
                lines += [f"  {line}" for line in self._walked(reductions, kept, "if (inside) ")]
                lines.append("}")
                lines += [self._agreed(op) for op in reductions]
        for op in self._stored(Role.ROW):
            lines += self._kept(op, "if (inside && lane == 0) ")
        return _text(lines)

    def _stored(self, role: Role) -> list[Operation]:
        return [op for op in self.kernel.operations if self._is(op, role) and op.output in self.memory.kept]

    def _walked(self, reductions: list[Operation], kept: list[Operation], guard: str = "") -> list[str]:
        """Return what is done for one element."""
        lines = [self._made(op) for op in self._full([*reductions, *kept])]
        for op in kept:
            lines += self._kept(op, guard)
        return lines + [self._gathered(op) for op in reductions]

    def _start(self, op: Operation) -> str:
        """Return the line from which a reduction starts."""
        name, dtype = self.names[op.output], _reduced_type(op)
        if _call(op) == "argmax":
            return f"Place<{type_name(dtype)}> a{name} = {{{_least(dtype)}, 0x7fffffff}};"
        return f"{type_name(dtype)} a{name} = {_identity(_call(op), dtype)};"

    def _gathered(self, op: Operation) -> str:
        """Return the line that takes an element into a reduction."""
        name, dtype = self.names[op.output], _reduced_type(op)
        value = converted(*self._read(op.inputs[0], 0, op), dtype)
        if _call(op) == "argmax":
            return f"a{name} = first_of(a{name}, Place<{type_name(dtype)}>{{{value}, int(c)}});"
        return f"a{name} = {_COMBINE[_call(op)]}(a{name}, ({type_name(dtype)})({value}));"

    def _agreed(self, op: Operation) -> str:
        """Return the line after which all threads of a row know what they reduced."""
        name, dtype = self.names[op.output], op.output.value.dtype
        across = f"across_{_call(op)}<{self.lanes}>({_wide(_reduced_type(op), f'a{name}', _call(op))})"
        return f"const {type_name(computed(dtype))} {name} = {across};"

    def _split(self) -> str:
        kernel = self.kernel
        reductions = [op for op in kernel.operations if is_reduction(op)]
        lines = [
            "const Index r = blockIdx.y;",
            *[self._made(op) for op in self._early_rows()],
            *[self._start(op) for op in reductions],
            f"for (Index c = Index(blockIdx.x) * {BLOCK} + threadIdx.x; c < {kernel.columns}; "
            f"c += Index(gridDim.x) * {BLOCK}) {{",
            *[f"  {line}" for line in self._walked(reductions, self._stored(Role.FULL))],
            "}",
        ]
        lines += self._put_together(reductions)
        early = self._early_rows()
        lines += [
            self._made(op)
            for op in kernel.operations
            if self._is(op, Role.ROW) and not is_reduction(op) and op not in early
        ]
        for op in self._stored(Role.ROW):
            lines += self._kept(op, "if (threadIdx.x == 0) ")
        return _text(lines)

    def _early_rows(self) -> list[Operation]:
        kernel = self.kernel
        return [
            op
            for op in kernel.operations
            if self._is(op, Role.ROW) and not is_reduction(op) and kernel.levels[op.output] == 0
        ]

    def _put_together(self, reductions: list[Operation]) -> list[str]:
        """Return what the blocks of a row do with their parts: the last one adds them up in their order."""
        lines = []
        for op in reductions:
            name, dtype = self.names[op.output], _reduced_type(op)
            partial = self._partial(dtype)
            lines += [
                f"const {type_name(dtype)} b{name} = across_{_call(op)}<{BLOCK}>({_wide(dtype, f'a{name}', _call(op))});",
                f"if (threadIdx.x == 0) {partial}[r * gridDim.x + blockIdx.x] = b{name};",
            ]
        lines += [*_last_block("tickets + r", "gridDim.x")]
        for i, op in enumerate(reductions):
            name, dtype = self.names[op.output], _reduced_type(op)
            combine = _COMBINE[_call(op)]
            lines += [
                f"a{name} = {_identity(_call(op), dtype)};",
                f"for (int i = threadIdx.x; i < gridDim.x; i += {BLOCK}) "
                f"a{name} = {combine}(a{name}, ({type_name(dtype)})"
                f"((volatile {type_name(dtype)}*)partial{i})[r * gridDim.x + i]);",
                self._agreed(op),
            ]
        return lines

    def _partial(self, dtype: np.dtype[Any]) -> str:
        self.partials.append(dtype)
        return f"partial{len(self.partials) - 1}"

    def _columns(self) -> str:
        """Return the body for sums over rows: the last axis of `rows` is summed over, the others are members."""
        kernel = self.kernel
        each = kernel.rows[-1]
        sums = [op for op in kernel.operations if self._is(op, Role.COLUMN)]
        lines = [
            "const Index c = Index(blockIdx.x) * 32 + threadIdx.x % 32;",
            "const int lane = threadIdx.x / 32;",
            f"const Index member = blockIdx.z, first = member * {each};",
            *[f"{type_name(_reduced_type(op))} a{self.names[op.output]} = 0;" for op in sums],
            f"if (c < {kernel.columns}) {{",
            "  #pragma unroll 4",
            f"  for (Index k = Index(blockIdx.y) * 8 + lane; k < {each}; k += Index(gridDim.y) * 8) {{",
            "    const Index r = first + k;",
        ]
        walked = [self._made(op) for op in self._full([*sums, *self._stored(Role.FULL)])]
        for op in self._stored(Role.FULL):
            walked += self._kept(op)
        for op in sums:
            value, dtype = self._read(op.inputs[1], 1, op)
            walked.append(f"a{self.names[op.output]} += {converted(value, dtype, _reduced_type(op))};")
        lines += [*[f"    {line}" for line in walked], "  }", "}"]
        for op in sums:
            lines += self._column_parts(op)
        lines += _last_block(
            f"tickets + member * gridDim.x + blockIdx.x", "gridDim.y", f"c < {kernel.columns} && lane == 0"
        )
        for i, op in enumerate(sums):
            lines += self._column_total(i, op)
        return _text(lines)

    def _column_parts(self, op: Operation) -> list[str]:
        """Return how the threads of a block add up what they found in a column."""
        name, dtype = self.names[op.output], _reduced_type(op)
        partial = self._partial(dtype)
        return [
            f"__shared__ {type_name(dtype)} parts{name}[8][32];",
            f"parts{name}[lane][threadIdx.x % 32] = a{name};",
            "__syncthreads();",
            f"if (lane == 0 && c < {self.kernel.columns}) {{",
            f"  for (int i = 1; i < 8; i++) a{name} += parts{name}[i][threadIdx.x % 32];",
            f"  {partial}[(member * gridDim.y + blockIdx.y) * {self.kernel.columns} + c] = a{name};",
            "}",
        ]

    def _column_total(self, i: int, op: Operation) -> list[str]:
        """Return how the last block adds up the parts of all."""
        name, dtype = self.names[op.output], _reduced_type(op)
        slot = self.memory.slot(op.output)
        *by_member, _, by_column = [s // slot.array.itemsize for s in slot.array.strides]
        member = f"member * {by_member[-1]} + " if by_member else ""
        part = f"((volatile {type_name(dtype)}*)partial{i})[(member * gridDim.y + i) * {self.kernel.columns} + c]"
        value = stored(op.output.value.dtype, converted(f"a{name}", dtype, op.output.value.dtype))
        return [
            f"a{name} = 0;",
            f"for (int i = 0; i < gridDim.y; i++) a{name} += {part};",
            f"{self._pointer(slot)}[{member}c * {by_column}] = {value};",
        ]


def _last_block(ticket: str, parts: str, thread: str = "") -> list[str]:
    """Return the lines after which only the last block of those that share a sum goes on, or some of its threads."""
    return [
        "__shared__ bool last;",
        "__threadfence();",
        "__syncthreads();",
        "if (threadIdx.x == 0) {",
        f"  last = atomicAdd({ticket}, 1) == int({parts}) - 1;",
        f"  if (last) *({ticket}) = 0;",
        "}",
        "__syncthreads();",
        f"if (!(last{f' && {thread}' if thread else ''})) return;",
        "__threadfence();",
    ]


def _stretched(array: Array, shape: tuple[int, ...], dims: int) -> Array:
    """Return an array whose rows an index of some axes takes, over the axes of what is taken."""
    return np.lib.stride_tricks.as_strided(array, shape, (*(0,) * dims, *array.strides[1:]))


def strides_over_output(array: Array, op: Operation, kernel: Kernel) -> tuple[int, ...]:
    """Return the strides of an array, shaped as an operation's output, over the rows and columns of its kernel."""
    strides = [s // array.itemsize if n > 1 else 0 for s, n in zip(array.strides, array.shape, strict=True)]
    if kernel.roles[op.output] is not Role.ROW:
        return tuple(strides)
    if len(strides) > len(kernel.rows):
        assert isinstance(op.call, Call)
        del strides[op.call.parameters[0] if is_reduction(op) else -1]
    return (*strides, 0)


def _call(op: Operation) -> str:
    assert isinstance(op.call, Call)
    return op.call.name


def _reduced_type(op: Operation) -> np.dtype[Any]:
    """Return the type in which a reduction adds up or compares."""
    if _call(op) == "argmax":
        return computed(op.inputs[0].value.dtype)
    return computed(op.output.value.dtype)


def _identity(name: str, dtype: np.dtype[Any]) -> str:
    if name == "max":
        return _least(dtype)
    if name == "min":
        return literal(np.inf if dtype.kind == "f" else np.iinfo(dtype).max, dtype)
    return literal(1 if name == "all" else 0, dtype)


def _least(dtype: np.dtype[Any]) -> str:
    if dtype == np.bool_:
        return "false"
    return literal(-np.inf if dtype.kind == "f" else np.iinfo(dtype).min, dtype)


def _wide(dtype: np.dtype[Any], value: str, name: str) -> str:
    """Return a number in a type that threads can hand to each other."""
    return f"int({value})" if dtype == np.bool_ and name != "argmax" else value


def _text(lines: Sequence[str]) -> str:
    return "".join(f"  {line}\n" for line in lines)
