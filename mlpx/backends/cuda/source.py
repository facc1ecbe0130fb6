"""Source: a fused kernel as CUDA C++, in one of the four ways to share the work (`mlpx.backends.cuda.sharing`)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpx.backends.cuda.expressions import computed, converted, literal, stored, type_name
from mlpx.backends.cuda.fusion import Kernel, Role, is_reduction
from mlpx.backends.cuda.memory import Memory
from mlpx.backends.cuda.prelude import ACROSS, ELEMENT
from mlpx.backends.cuda.sharing import BLOCK, Scheme, elements_each, lanes_of, scheme_of, tiles_of
from mlpx.backends.cuda.writing import Argument, Writer, name_of
from mlpx.backends.notes import Operation, Variable

__all__ = ["Source", "module_text", "written"]

_HEADERS = {"__half": "cuda_fp16.h", "__nv_bfloat16": "cuda_bf16.h"}
_COMBINE = {"sum": "sum_of", "max": "larger", "min": "smaller", "all": "both"}


@dataclass(frozen=True)
class Source:
    """A kernel's text and what it is called with.

    Attributes
    ----------
    name, text : str
        The function.
    arguments : list of Argument
        The first arguments. Then follow room for the sums of blocks, of each type in `partials`, and counters of blocks
        (where the work is split or by columns), the counter of steps and the number of this one in its graph (where
        something is read by step), and the number of rows.
    by_step : bool
        Whether something is read of which there is an entry for each step.
    partials : list of dtype
        Types of the sums of blocks.
    """

    name: str
    text: str
    arguments: list[Argument]
    by_step: bool
    partials: list[np.dtype[Any]]


def module_text(sources: Sequence[Source], more: str = "") -> str:
    """Return the text of all kernels of a program, each once, and more functions before them."""
    body = "\n".join({source.name: source.text for source in sources}.values())
    headers = "".join(f"#include <{name}>\n" for key, name in _HEADERS.items() if key in body)
    return f"{headers}{ELEMENT}{ACROSS}{more}\n{body}"


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

    Raises
    ------
    NotRecordable
        For an operation that has no expression in CUDA C++.
    """
    scheme = scheme_of(kernel)
    body = _BODIES[scheme](kernel, memory, steps)
    lines, writer = body.lines(), body.writer
    declared = [*writer.declared(), *(f"{type_name(t)}* partial{i}" for i, t in enumerate(body.partials))]
    declared += ["int* tickets"] if body.partials else []
    declared += ["const long long* counter", "int ahead"] if writer.by_step else []
    start = [f"typedef {'int' if writer.largest < 2**30 else 'long long'} Index;"]
    start += ["const long long step = *counter + ahead;"] if writer.by_step else []
    indented = "\n".join(_indented([*start, *lines]))
    text = f"({', '.join([*declared, 'long long rows'])}) {{\n{indented}\n}}\n"
    name = f"{scheme.value}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    threads = f"__launch_bounds__({max(BLOCK, lanes_of(kernel)) if scheme is Scheme.ROWS else BLOCK})"
    whole = f'extern "C" __global__ void {threads} {name}{text}'
    return Source(name, whole, writer.arguments, writer.by_step, body.partials)


class _Body:
    """The lines of a kernel; a subclass for each way to share the work."""

    def __init__(self, kernel: Kernel, memory: Memory, steps: set[Variable]) -> None:
        self.kernel, self.memory = kernel, memory
        self.writer = Writer(kernel, memory, steps)
        self.partials: list[np.dtype[Any]] = []

    def lines(self) -> list[str]:
        raise NotImplementedError

    def _are(self, role: Role) -> list[Operation]:
        return [op for op in self.kernel.operations if self.kernel.roles[op.output] is role]

    def _stored(self, role: Role) -> list[Operation]:
        """Return the operations of a role whose outputs others read."""
        return [op for op in self._are(role) if op.output in self.memory.kept]

    def _plain_rows(self, level: int | None = None) -> list[Operation]:
        """Return what is made of a row's numbers, of one level or of all."""
        levels = self.kernel.levels
        ops = [op for op in self._are(Role.ROW) if not is_reduction(op)]
        return [op for op in ops if level is None or levels[op.output] == level]

    def _walked(self, reductions: Sequence[Operation], kept: Sequence[Operation], guard: str = "") -> list[str]:
        """Return what is done for one element: it is taken into reductions, and what is kept is written."""
        lines = [self.writer.made(op) for op in self._needed([*reductions, *kept])]
        # before what is kept, which may be written over what a reduction reads
        lines += [self._gathered(op) for op in reductions]
        for op in kept:
            lines += self.writer.kept(op, guard)
        return lines

    def _needed(self, wanted: Sequence[Operation]) -> list[Operation]:
        """Return the operations on elements that some operations need, with those among them."""
        full = self._are(Role.FULL)
        needed = {v.root for op in wanted for v in op.inputs if isinstance(v, Variable)}
        needed |= {op.output for op in wanted}
        for op in reversed(full):
            if op.output in needed:
                needed |= {v.root for v in op.inputs if isinstance(v, Variable)}
        return [op for op in full if op.output in needed]

    def _loops(self, each: int, start: Sequence[str], made: Sequence[str]) -> list[str]:
        """Return the lines that make some elements: one loop that loads what they need, and one that makes them."""
        loads = self.writer.loads or {}
        loop = ["#pragma unroll", f"for (int k = 0; k < {each}; k++) {{"]
        lines = [f"{kind} {name}[{each}];" for name, kind in loads.values()]
        if loads:
            loading = [f"{name}[k] = {value};" for value, (name, _) in loads.items()]
            lines += [*loop, *_indented([*start, *loading]), "}"]
        return [*lines, *loop, *_indented([*start, *made]), "}"]

    def _start(self, op: Operation) -> str:
        """Return the line from which a reduction starts."""
        kind = _reduced_type(op)
        if name_of(op) == "argmax":
            return f"Place<{type_name(kind)}> a{self._name(op)} = {{{_identity('max', kind)}, 0x7fffffff}};"
        return f"{type_name(kind)} a{self._name(op)} = {_identity(name_of(op), kind)};"

    def _gathered(self, op: Operation) -> str:
        """Return the line that takes an element into a reduction."""
        name, kind = self._name(op), _reduced_type(op)
        value = converted(*self.writer.read(op.inputs[0], 0, op), kind)
        if name_of(op) == "argmax":
            return f"a{name} = first_of(a{name}, Place<{type_name(kind)}>{{{value}, int(c)}});"
        return f"a{name} = {_COMBINE[name_of(op)]}(a{name}, ({type_name(kind)})({value}));"

    def _agreed(self, op: Operation, lanes: int) -> str:
        """Return the line after which all threads of a row know what they reduced."""
        kind = type_name(computed(op.output.value.dtype))
        return f"const {kind} {self._name(op)} = {self._across(op, lanes)};"

    def _across(self, op: Operation, lanes: int) -> str:
        # threads do not hand each other truth values
        value = f"int(a{self._name(op)})" if name_of(op) == "all" else f"a{self._name(op)}"
        return f"across_{name_of(op)}<{lanes}>({value})"

    def _partial(self, kind: np.dtype[Any]) -> str:
        """Return the name of room for the sums of blocks."""
        self.partials.append(kind)
        return f"partial{len(self.partials) - 1}"

    def _name(self, op: Operation) -> str:
        return self.writer.names[op.output]


class _Elements(_Body):
    def lines(self) -> list[str]:
        columns, each = self.kernel.columns, elements_each(self.kernel)
        self.writer.loads = {} if each > 1 else None
        made = [self.writer.made(op) for op in self.kernel.operations]
        for op in self.kernel.operations:
            made += self.writer.kept(op, "" if self.kernel.roles[op.output] is Role.FULL else "if (c == 0) ")
        start = [
            f"const Index i = start + k * {BLOCK};",
            f"if (i >= rows * {columns}) break;",
            f"const Index r = i / {columns}, c = i % {columns};",
        ]
        return [
            f"const Index start = Index(blockIdx.x) * {BLOCK * each} + threadIdx.x;",
            *self._loops(each, start, made),
        ]


class _Rows(_Body):
    def lines(self) -> list[str]:
        lanes = lanes_of(self.kernel)
        lines = [
            f"const Index row = Index(blockIdx.x) * {max(1, BLOCK // lanes)} + threadIdx.x / {lanes};",
            "const bool inside = row < rows;",
            "const Index r = inside ? row : rows - 1;",
            f"const int lane = threadIdx.x % {lanes};",
        ]
        for level in range(self.kernel.passes + 1):
            lines += [self.writer.made(op) for op in self._plain_rows(level)]
            lines += self._pass(level, lanes)
        for op in self._stored(Role.ROW):
            lines += self.writer.kept(op, "if (inside && lane == 0) ")
        return lines

    def _pass(self, level: int, lanes: int) -> list[str]:
        """Return a walk through the row: what is reduced and what is kept at a level."""
        levels = self.kernel.levels
        reductions = [op for op in self._are(Role.ROW) if is_reduction(op) and levels[op.output] == level + 1]
        kept = [op for op in self._stored(Role.FULL) if levels[op.output] == level]
        if not reductions and not kept:
            return []
        return [
            *[self._start(op) for op in reductions],
            f"for (Index c = lane; c < {self.kernel.columns}; c += {lanes}) {{",
            *_indented(self._walked(reductions, kept, "if (inside) ")),
            "}",
            *[self._agreed(op, lanes) for op in reductions],
        ]


class _Split(_Body):
    def lines(self) -> list[str]:
        reductions = [op for op in self._are(Role.ROW) if is_reduction(op)]
        lines = [
            "const Index r = blockIdx.x;",
            *[self.writer.made(op) for op in self._plain_rows(0)],
            *[self._start(op) for op in reductions],
            f"for (Index c = Index(blockIdx.y) * {BLOCK} + threadIdx.x; c < {self.kernel.columns}; "
            f"c += Index(gridDim.y) * {BLOCK}) {{",
            *_indented(self._walked(reductions, self._stored(Role.FULL))),
            "}",
            *[line for op in reductions for line in self._handed_over(op)],
            *_last_block("tickets + r", "gridDim.y"),
            *[line for i, op in enumerate(reductions) for line in self._put_together(i, op)],
            *[self.writer.made(op) for op in self._plain_rows() if self.kernel.levels[op.output]],
        ]
        for op in self._stored(Role.ROW):
            lines += self.writer.kept(op, "if (threadIdx.x == 0) ")
        return lines

    def _handed_over(self, op: Operation) -> list[str]:
        """Return the lines by which a block hands over its part of a reduction."""
        kind = _reduced_type(op)
        return [
            f"const {type_name(kind)} b{self._name(op)} = {self._across(op, BLOCK)};",
            f"if (threadIdx.x == 0) {self._partial(kind)}[r * gridDim.y + blockIdx.y] = b{self._name(op)};",
        ]

    def _put_together(self, i: int, op: Operation) -> list[str]:
        """Return the lines by which the last block reduces the parts of all, in their order."""
        name, kind = f"a{self._name(op)}", type_name(_reduced_type(op))
        part = f"((volatile {kind}*)partial{i})[r * gridDim.y + i]"
        return [
            f"{name} = {_identity(name_of(op), _reduced_type(op))};",
            f"for (int i = threadIdx.x; i < gridDim.y; i += {BLOCK}) "
            f"{name} = {_COMBINE[name_of(op)]}({name}, ({kind}){part});",
            self._agreed(op, BLOCK),
        ]


class _Columns(_Body):
    """The last axis of `rows` is summed over; those before it are members."""

    def lines(self) -> list[str]:
        columns, count, sums = self.kernel.columns, self.kernel.rows[-1], self._are(Role.COLUMN)
        self.writer.loads = {}
        made = self._walked(sums, self._stored(Role.FULL))
        start = [
            "const Index row = first + k * Index(gridDim.y) * 8;",
            f"if (row >= {count}) break;",
            f"const Index r = member * {count} + row;",
        ]
        return [
            f"const Index c = Index(blockIdx.x % {tiles_of(self.kernel)}) * 32 + threadIdx.x % 32;",
            "const int lane = threadIdx.x / 32;",
            f"const Index member = blockIdx.x / {tiles_of(self.kernel)};",
            *[f"{type_name(_reduced_type(op))} a{self._name(op)} = 0;" for op in sums],
            f"if (c < {columns}) {{",
            f"  for (Index first = Index(blockIdx.y) * 8 + lane; first < {count}; first += Index(gridDim.y) * 32) {{",
            *_indented(self._loops(4, start, made), 2),
            "  }",
            "}",
            *[line for op in sums for line in self._handed_over(op)],
            *_last_block("tickets + blockIdx.x", "gridDim.y", f"c < {columns} && lane == 0"),
            *[line for i, op in enumerate(sums) for line in self._put_together(i, op)],
        ]

    def _gathered(self, op: Operation) -> str:
        value = converted(*self.writer.read(op.inputs[1], 1, op), _reduced_type(op))
        return f"a{self._name(op)} += {value};"

    def _handed_over(self, op: Operation) -> list[str]:
        """Return the lines by which the threads of a block add up what they found in a column, and hand it over."""
        name, kind = self._name(op), _reduced_type(op)
        partial = self._partial(kind)
        return [
            f"__shared__ {type_name(kind)} parts{name}[8][32];",
            f"parts{name}[lane][threadIdx.x % 32] = a{name};",
            "__syncthreads();",
            f"if (lane == 0 && c < {self.kernel.columns}) {{",
            f"  for (int i = 1; i < 8; i++) a{name} += parts{name}[i][threadIdx.x % 32];",
            f"  {partial}[(member * gridDim.y + blockIdx.y) * {self.kernel.columns} + c] = a{name};",
            "}",
        ]

    def _member_terms(self, strides: list[int]) -> list[str]:
        """Return where a member's sums lie, in terms of its number; a stack of stacks has several axes of members."""
        terms, inner = [], 1
        for extent, stride in zip(reversed(self.kernel.rows[:-1]), reversed(strides), strict=True):
            terms.append(f"member / {inner} % {extent} * {stride}")
            inner *= extent
        return terms if len(terms) > 1 else [f"member * {stride}" for stride in strides]

    def _put_together(self, i: int, op: Operation) -> list[str]:
        """Return the lines by which the last block adds up the parts of all, in their order."""
        name, kind, dtype = f"a{self._name(op)}", _reduced_type(op), op.output.value.dtype
        slot = self.memory.slot(op.output)
        *by_member, _, by_column = [s // slot.array.itemsize for s in slot.array.strides]
        member = "".join(f"{term} + " for term in self._member_terms(by_member))
        part = f"((volatile {type_name(kind)}*)partial{i})[(member * gridDim.y + i) * {self.kernel.columns} + c]"
        return [
            f"{name} = 0;",
            f"for (int i = 0; i < gridDim.y; i++) {name} += {part};",
            f"{self.writer.pointer(slot)}[{member}c * {by_column}] = {stored(dtype, converted(name, kind, dtype))};",
        ]


_BODIES = {Scheme.ELEMENTS: _Elements, Scheme.ROWS: _Rows, Scheme.SPLIT: _Split, Scheme.COLUMNS: _Columns}


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


def _reduced_type(op: Operation) -> np.dtype[Any]:
    """Return the type in which a reduction adds up or compares."""
    return computed(op.inputs[0].value.dtype if name_of(op) == "argmax" else op.output.value.dtype)


def _identity(name: str, dtype: np.dtype[Any]) -> str:
    """Return the number that changes nothing in a reduction."""
    if name in ("sum", "all"):
        return literal(name == "all", dtype)
    if dtype == np.bool_:
        return literal(name == "min", dtype)
    sign = -1 if name == "max" else 1
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    return literal(sign * np.inf if limits is None else (limits.min if sign < 0 else limits.max), dtype)


def _indented(lines: Sequence[str], times: int = 1) -> list[str]:
    return ["  " * times + line for line in lines]
