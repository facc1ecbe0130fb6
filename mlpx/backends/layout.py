"""Layout: every array of a recorded function gets its place, and every operation becomes a call.

- calls whose result nobody needs are left out, equal calls are made once;
- every array gets a buffer, which goes to a later array when its last reader is through; element-wise calls write over
  an argument that dies there; parts of a concatenation are made in their place;
- an argument that was donated (the state of training) is updated where it lies;
- long runs of calls that treat each row by itself are made block by block, so that what stands between them stays in
  the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat.numpy as standard

from mlpx._typing import Array, Namespace
from mlpx.backends.notes import (
    Call,
    Concat,
    Filled,
    Kind,
    NotRecordable,
    Operation,
    Recording,
    Variable,
    address,
    fits_in_place,
    needed,
)  # fmt: skip

__all__ = ["Calls", "Layout"]


class Calls:
    """How a library makes calls into given buffers.

    Attributes
    ----------
    xp : namespace
        Its functions as the standard names them.
    block : int or None
        Elements of a block: large enough that calls cost little, small enough for the cache; None: no blocks.
    """

    xp: Namespace
    block: int | None

    def kind(self, x: Array) -> Kind:
        """Return the shape of an array and NumPy's name for its type."""
        raise NotImplementedError

    def place(self, x: Array) -> tuple[Any, ...]:
        """Return what tells an array from another: where it lies and what it looks like."""
        raise NotImplementedError

    def raw(self, nbytes: int) -> Array:
        """Return a buffer of bytes."""
        raise NotImplementedError

    def typed(self, raw: Array, kind: Kind) -> Array:
        """Return the first bytes of a buffer as an array."""
        raise NotImplementedError

    def constant(self, value: Array) -> Array:
        """Return a NumPy array as one of this library."""
        raise NotImplementedError

    def filled(self, value: Filled, shape: tuple[int, ...]) -> Array:
        """Return an array of a number that goes with arrays of a shape."""
        raise NotImplementedError

    def bind(self, call: Call, inputs: Sequence[Array], out: Array) -> Sequence[Callable[[], Any]]:
        """Return an operation as calls ready to be made; raise `NotRecordable` where there is none."""
        raise NotImplementedError

    def copy(self, out: Array, x: Array) -> Callable[[], Any]:
        """Return the call that copies `x` to `out`."""
        raise NotImplementedError


class Layout:
    """Gives every variable of a recorded step its place and turns operations into calls.

    Parameters
    ----------
    recording : Recording
        The notes.
    arrays : list of array
        The arguments, leaf by leaf; the state is updated where it lies.
    library : Calls
        What makes the calls.

    Attributes
    ----------
    calls : list of callable
        What a replay does.
    allocated : int
        Bytes of the buffers.
    """

    def __init__(self, recording: Recording, arrays: Sequence[Array], library: Calls) -> None:
        self.calls: list[Callable[[], Any]] = []
        self.allocated = 0
        self._library = library
        self._free: list[Array] = []
        self._scratch: list[Array] = []
        self._raw: dict[Variable, Array] = {}
        inputs = [variable for part in recording.inputs for variable in part]
        self._arrays: dict[Variable, Array] = dict(zip(inputs, arrays, strict=True))
        self._constants: dict[Any, Array] = {}
        self._inside: dict[Variable, tuple[Variable, Concat, int]] = {}
        self._blocky: set[Variable] = set()
        self._crossed: set[Variable] = set()
        outputs, donors = recording.outputs, recording.inputs[1]
        operations = needed(recording.operations, outputs)
        self._place_parts(operations, outputs)
        self._last = self._last_uses(operations, outputs)
        self._target = {
            out: donor
            for out, donor in zip(outputs, donors, strict=True)
            if out.base is None and out not in self._inside and out.value.shape == donor.value.shape
        }
        start = 0
        for group in _groups(operations):
            self._emit(group, start)
            start += len(group)
        self._move_results(outputs, donors)

    def _move_results(self, outputs: list[Variable], donors: list[Variable]) -> None:
        """Add the copies of results to the state, those first that lie in the state themselves, by way of a buffer."""
        first, last = [], []
        for out, donor in zip(outputs, donors, strict=True):
            array = self.array(out)
            if array is self.array(donor):
                continue
            if out.root in donors:
                _, buffer = self._allocate(out.value, scratch=False)
                first.append(self._library.copy(buffer, array))
                array = buffer
            last.append(self._library.copy(self.array(donor), array))
        self.calls += [*first, *last]

    def array(self, variable: Variable) -> Array:
        """Return the array in which a variable lies."""
        if variable not in self._arrays:
            if variable.base is not None:
                self._arrays[variable] = variable.way(self._library.xp, self.array(variable.base))  # type: ignore[misc]
            else:
                parent, concat, i = self._inside[variable]
                self._arrays[variable] = concat.part(self.array(parent), i).reshape(variable.value.shape)
        return self._arrays[variable]

    def _place_parts(self, operations: list[Operation], outputs: list[Variable]) -> None:
        """Let what is made only to be concatenated be made in its place."""
        made = {op.output for op in operations}
        for op in reversed(operations):
            if isinstance(op.call, Concat):
                for i, part in enumerate(op.inputs):
                    root = part.root if isinstance(part, Variable) else None
                    if root in made and root not in self._inside and root not in outputs and fits_in_place(op, i, part):
                        self._inside[root] = (op.output, op.call, i)

    def _last_uses(self, operations: list[Operation], outputs: list[Variable]) -> dict[Variable, int]:
        """Return for each memory the position of the last call that reads or makes it."""
        last: dict[Variable, int] = {}
        for i, op in enumerate(operations):
            for v in (*op.inputs, op.output):
                if isinstance(v, Variable):
                    last[self._owner(v)] = i
        return last | {self._owner(v): len(operations) for v in outputs}

    def _owner(self, variable: Variable) -> Variable:
        """Return the variable whose buffer holds this one."""
        root = variable.root
        return self._owner(self._inside[root][0]) if root in self._inside else root

    # Memory.

    def _emit(self, group: list[Operation], start: int) -> None:
        """Place the outputs of some operations and add their calls, block by block where they are large."""
        rows, step = _block_rows(group, self._library.block)
        inner = self._inner(group, start) if step else set()
        self._crossed = _crossed(group) if step else set()
        dead: list[Array] = []
        for i, op in enumerate(group, start):
            self._place(op, i, step if op.output in inner else None)
            for v in {self._owner(v) for v in (*op.inputs, op.output) if isinstance(v, Variable)}:
                if self._last[v] == i and v in self._raw:
                    (self._scratch if v in self._blocky else dead if step else self._free).append(self._raw.pop(v))
            if not step:
                self._add(op, None)
        for low in range(0, rows, step or rows) if step else ():
            for op in group:
                self._add(op, slice(low, min(low + (step or rows), rows)))
        # only now: a block must not be written over what a later block still reads
        self._free += dead + self._scratch
        self._scratch = []

    def _inner(self, group: list[Operation], start: int) -> set[Variable]:
        """Return what a group makes and only it needs."""
        made = {op.output for op in group}
        return {
            v for v in made
            if self._owner(v) is v and v not in self._target and self._last[v] < start + len(group)
        }  # fmt: skip

    def _place(self, op: Operation, i: int, rows: int | None) -> None:
        """Give the output its memory; inside blocks that of `rows` rows."""
        owner = self._owner(op.output)
        if owner in self._arrays:
            return
        donor = self._target.get(owner)
        dying = [
            v
            for v in op.inputs
            if self._can_overwrite(v, op, i) and v not in self._crossed and (rows or v not in self._blocky)
        ]
        if donor is not None and self._is_free(donor, op, i) and donor not in self._crossed:
            self._arrays[owner] = self.array(donor)
        elif dying and owner is op.output:
            self._arrays[owner] = self._arrays[dying[0]]
            self._raw[owner] = self._raw.pop(dying[0])
            self._blocky |= {owner} if dying[0] in self._blocky else set()
        else:
            like = owner.value[:rows] if rows else owner.value
            self._raw[owner], self._arrays[owner] = self._allocate(like, scratch=bool(rows))
            self._blocky |= {owner} if rows else set()

    def _is_free(self, donor: Variable, op: Operation, i: int) -> bool:
        """Say whether an operation may write its result over a part of the state: nobody reads that any more."""
        last = self._last.get(donor, -1)
        return last < i or (last == i and op.elementwise and donor.value.size > 1 and _once(donor, op))

    def _can_overwrite(self, v: Any, op: Operation, i: int) -> bool:
        return (
            op.elementwise
            and isinstance(v, Variable)
            and v in self._raw
            and self._last[v] == i
            and v.value.size > 1  # NumPy takes longer to see that single numbers overlap than to copy them
            and v.value.shape == op.output.value.shape
            and v.value.dtype == op.output.value.dtype
            and _once(v, op)
        )

    def _allocate(self, like: Array, *, scratch: bool) -> tuple[Array, Array]:
        """Return a buffer, from those that are free where one fits, and its array.

        What was free within a block (`scratch`) is written again by the next, so it is only for what lives in one.
        """
        pools = [self._scratch, self._free] if scratch else [self._free]
        fitting = [raw for pool in pools for raw in pool if like.nbytes <= raw.nbytes <= 2 * like.nbytes + 64]
        if fitting:
            raw = min(fitting, key=lambda r: r.nbytes)
            for pool in pools:
                pool[:] = [r for r in pool if r is not raw]
        else:
            raw = self._library.raw(like.nbytes)
            self.allocated += like.nbytes
        return raw, self._library.typed(raw, Kind(like.shape, like.dtype))

    def _add(self, op: Operation, block: slice | None) -> None:
        """Add the call of an operation, on all rows or on those of a block."""
        inputs = [self._rows(v, op, block) for v in op.inputs]
        out = self._rows(op.output, op, block)
        if isinstance(op.call, Concat):
            for i, (v, array) in enumerate(zip(op.inputs, inputs, strict=True)):
                if not (isinstance(v, Variable) and self._inside.get(v.root) == (op.output, op.call, i)):
                    self.calls.append(self._library.copy(op.call.part(out, i), array))
        else:
            self.calls.extend(self._library.bind(op.call, inputs, out))

    def _rows(self, v: Any, op: Operation, block: slice | None) -> Array:
        """Return an argument of a call, cut to the rows of a block where it has them."""
        if isinstance(v, Filled):
            shape = op.output.value.shape
            return self._constant(v, shape if block is None else (block.stop - block.start, *shape[1:]))
        array, value = (self.array(v), v.value) if isinstance(v, Variable) else (self._constant(v), v)
        if block is None or not _aligned(value, op):
            return array
        if isinstance(v, Variable) and v.root in self._blocky:
            return array[: block.stop - block.start]
        return array[block]

    def _constant(self, value: Any, shape: tuple[int, ...] = ()) -> Array:
        """Return a constant as an array of the library; equal ones are shared."""
        key = (value if isinstance(value, Filled) else id(value), shape)
        if key not in self._constants:
            number = isinstance(value, Filled)
            self._constants[key] = self._library.filled(value, shape) if number else self._library.constant(value)
        return self._constants[key]


def _once(variable: Variable, op: Operation) -> bool:
    """Say whether an operation reads a variable's memory only through the variable itself."""
    return all(v is variable for v in op.inputs if isinstance(v, Variable) and v.root is variable)


def _groups(operations: list[Operation]) -> list[list[Operation]]:
    """Cut the operations into runs that treat the same number of rows, each row by itself."""
    groups: list[list[Operation]] = []
    for op in operations:
        if groups and op.rowwise and groups[-1][-1].rowwise and _same_rows(op, groups[-1]):
            groups[-1].append(op)
        else:
            groups.append([op])
    return groups


def _block_rows(group: list[Operation], block: int | None) -> tuple[int, int | None]:
    """Return the rows of a group, and those of its blocks; None where the group is small enough as a whole."""
    size = max(op.output.value.size for op in group)
    if block is None or not group[0].rowwise or size <= 2 * block:
        return 0, None
    rows = group[0].output.value.shape[0]
    return rows, max(1, rows * block // size)


def _same_rows(op: Operation, group: list[Operation]) -> bool:
    rows = op.output.value.shape[:1]
    made = {other.output for other in group}
    read = [v for v in op.inputs if isinstance(v, Variable) and v.root in made]
    return (
        bool(rows)
        and rows == group[0].output.value.shape[:1]
        and all(_aligned(v.value, op) and (v.base is None or _keeps_rows(v)) for v in read)
    )


def _crossed(group: list[Operation]) -> set[Variable]:
    """Return the memories of which a block reads more than its own rows."""
    return {
        v.root
        for op in group
        for v in op.inputs
        if isinstance(v, Variable) and not (_aligned(v.value, op) and (v.base is None or _keeps_rows(v)))
    }


def _aligned(value: Array, op: Operation) -> bool:
    """Say whether the rows of an argument are those of the output, and not stretched over them."""
    out = op.output.value
    return value.ndim > 0 and value.shape[0] == out.shape[0] and (value.ndim == out.ndim or not op.broadcasts)


def _keeps_rows(view: Variable) -> bool:
    """Say whether the first rows of a view are the view of the first rows."""
    assert view.base is not None
    assert view.way is not None
    if view.base.base is not None:
        return False
    try:
        part = view.way(standard, view.base.value[:1])
    except (IndexError, NotRecordable, ValueError):
        return False
    wanted = view.value[:1]
    return part.shape == wanted.shape and part.strides == wanted.strides and address(part) == address(wanted)
