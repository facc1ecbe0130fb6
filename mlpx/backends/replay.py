"""Replaying: the calls of a recorded step, laid out once in fixed buffers and made again and again.

`Replayed` runs a step for batch after batch. The first batch of new shapes is recorded (`mlpx.backends.recording`) and
laid out (`mlpx.backends.layout`) as a `Program`; every other one walks through its list of calls, which allocates
nothing and decides nothing. The members of a stack do not depend on each other: they are taken in groups small enough
for the cache, each of which makes all steps before the next one begins, and the groups are spread over the cores.
"""

from __future__ import annotations

from typing import Any

from mlpx._typing import Array
from mlpx.backends import trees
from mlpx.backends.layout import Calls, Layout
from mlpx.backends.notes import NotRecordable, Recording
from mlpx.backends.recording import record
from mlpx.backends.threads import Workers

__all__ = ["FEW", "Program", "Replayed"]

FEW = 4
"""Steps that are made sooner as they stand than a program for them is laid out."""

_GROUP, _LEAST = 2**22, 2**20
"""Bytes that the members of a group use together, and the fewest for which a thread of its own pays: its calls must be
long beside the time in which the interpreter's lock changes hands."""


class Replayed:
    """A step that is recorded once for each set of shapes and then replayed.

    Parameters
    ----------
    step : dataclass with a field ``backend``, callable
        The step, as for `mlpx.backends.Backend.fold`.
    library : Calls
        What makes the calls.
    workers : Workers, optional
        Threads that share the members of a stack; without them all members are one group.
    """

    def __init__(self, step: Any, library: Calls, workers: Workers | None = None) -> None:
        self.step = step
        self._library = library
        self._programs: dict[Any, Program | None] = {}
        self._workers = workers
        self._bytes = 0
        self._members: int | None = None
        self._recent: dict[Any, tuple[Any, Any, Program | None]] = {}

    def __call__(self, fixed: tuple[Any, ...], state: Any, batches: Any, members: int | None = None) -> Any:
        """Make the steps, and return the state."""
        if members is None or self._workers is None:
            return self._again(fixed, state, batches)
        if members != self._members:
            self._members = members
            self._programs.clear()  # they were for other groups
        shared = self._places(fixed)

        def run(group: slice | int, worker: int) -> None:
            own, its_state, its_batches = self.step.part(fixed, state, batches, group)
            if members == 1 or self._bytes > _GROUP:
                # a large network is worked on where it lies; small ones go through the buffers of a worker
                new = self._run(own, its_state, its_batches, None, ("member", group))
            else:
                new = self._run(own, its_state, its_batches, shared, worker)
            if new is not its_state:  # the step runs as it stands
                for leaf, value in zip(trees.leaves(its_state), trees.leaves(new), strict=True):
                    leaf[...] = value

        self._workers(run, self._groups(fixed, state, batches, members, self._workers.count))
        return state

    def _again(self, fixed: tuple[Any, ...], state: Any, batches: Any) -> Any:
        """Make the steps with the last call's program where the very same arrays came: most calls of a fit are such."""
        kinds = _kinds(batches)
        last_fixed, last_state, program = self._recent.get(kinds, (None, None, None))
        if fixed is not last_fixed or state is not last_state:
            program = self._program(fixed, state, batches, None, 0)
            self._recent[kinds] = fixed, state, program
        return self._make(program, fixed, state, batches)

    def _places(self, tree: Any) -> set[Any]:
        return {self._library.place(leaf) for leaf in trees.leaves(tree)}

    @property
    def allocated(self) -> int:
        """Bytes of all buffers."""
        return sum(program.allocated for program in self._programs.values() if program is not None)

    def _groups(
        self, fixed: tuple[Any, ...], state: Any, batches: Any, members: int, workers: int
    ) -> list[slice | int]:
        """Return the members in groups of nearly equal size, which fit the cache and occupy the cores.

        A group of one is its member's number: without the axis of members the calls are faster.
        """
        if members == 1:
            return [0]
        if not self._bytes:
            own, its_state, its_batches = self.step.part(fixed, state, batches, 0)
            one = self._program(own, its_state, its_batches, self._places(fixed), 0)
            self._bytes = one.touched if one else _GROUP
        whole = members * self._bytes
        count = min(members, max(1, round(whole / _GROUP), min(workers, whole // _LEAST)))
        stops = [members * (i + 1) // count for i in range(count)]
        groups = zip([0, *stops], stops, strict=False)
        return [slice(start, stop) if stop > start + 1 else start for start, stop in groups]

    def _run(self, fixed: tuple[Any, ...], state: Any, batches: Any, bound: set[Any] | None, slot: Any = 0) -> Any:
        return self._make(self._program(fixed, state, batches, bound, slot), fixed, state, batches)

    def _make(self, program: Program | None, fixed: tuple[Any, ...], state: Any, batches: Any) -> Any:
        """Make the steps, as the program or, where there is none, as they stand."""
        if program is not None:
            return program(fixed, state, batches)
        new = state
        for i in range(trees.length(batches)):
            new = self.step(*fixed, new, trees.entry(batches, i))
        return new

    def _program(
        self, fixed: tuple[Any, ...], state: Any, batches: Any, bound: set[Any] | None, slot: Any
    ) -> Program | None:
        """Return the program for these shapes, one a slot; None where the step cannot be recorded.

        What lies at the places `bound` is worked on where it is; None: all that is fixed, and the state.
        """
        held, library = trees.leaves(fixed), self._library
        key = (
            slot,
            tuple((leaf.shape, leaf.dtype) for leaf in (*held, *trees.leaves(state))),
            _kinds(batches),
            tuple(library.place(leaf) for leaf in held if bound is None or library.place(leaf) in bound),
        )
        if key not in self._programs:
            places = self._places((fixed, state)) if bound is None else bound
            self._programs[key] = self._lay_out(fixed, state, trees.entry(batches, 0), places)
        return self._programs[key]

    def _lay_out(self, fixed: tuple[Any, ...], state: Any, batch: Any, bound: set[Any]) -> Program | None:
        recording = record(self.step, trees.mapped(self._library.kind, (fixed, state, batch)))
        if recording is None:
            return None
        try:
            return Program(recording, self._library, fixed, state, batch, bound)
        except NotRecordable:
            return None


def _kinds(batches: Any) -> tuple[Any, ...]:
    """Return shape and type of what a step is given, the axis of steps left out."""
    return tuple(None if leaf is None else (leaf.shape[1:], leaf.dtype) for leaf in _all(batches))


def _all(tree: Any) -> list[Any]:
    """Return the leaves of a tree, None among them."""
    return [leaf for part in tree for leaf in _all(part)] if isinstance(tree, tuple) else [tree]


class Program:
    """A recorded step with its buffers.

    Parameters
    ----------
    recording : Recording
        The notes.
    library : Calls
        What makes the calls.
    fixed, state, batch
        Arguments of the first call.
    bound : set
        Places of the arrays, fixed or of the state, that stay where they are; others are copied in.

    Attributes
    ----------
    calls : list of callable
        What a step does.
    allocated : int
        Bytes of the buffers.
    touched : int
        Bytes of the buffers, the state and what else is copied in.
    """

    def __init__(
        self, recording: Recording, library: Calls, fixed: Any, state: Any, batch: Any, bound: set[Any]
    ) -> None:
        self._library = library

        def own(tree: Any) -> list[Array]:
            return [x if library.place(x) in bound else _copy(library, x) for x in trees.leaves(tree)]

        self._fixed, self._state, self._batch = own(fixed), own(state), own(batch)
        self._seen: tuple[Any, ...] = (None, None, [], [])
        layout = Layout(recording, [*self._fixed, *self._state, *self._batch], library)
        self.calls = layout.calls
        self.allocated = layout.allocated
        self.touched = self.allocated + sum(
            array.nbytes for array in (*self._fixed, *self._state, *self._batch) if library.place(array) not in bound
        )

    def __call__(self, fixed: tuple[Any, ...], state: Any, batches: Any) -> Any:
        """Make the steps; the state that came is written over."""
        if fixed is not self._seen[0] or state is not self._seen[1]:
            self._seen = fixed, state, self._moved(self._fixed, fixed), self._moved(self._state, state)
        *_, copied, moved = self._seen
        for buffer, leaf in (*copied, *moved):
            buffer[...] = leaf
        sources = list(zip(self._batch, trees.leaves(batches), strict=True))
        calls = self.calls
        for i in range(trees.length(batches)):
            for buffer, leaf in sources:
                buffer[...] = leaf[i]
            for call in calls:
                call()
        for buffer, leaf in moved:
            leaf[...] = buffer
        return state

    def _moved(self, buffers: list[Array], tree: Any) -> list[tuple[Array, Array]]:
        """Return each buffer with its array, where that lies elsewhere."""
        place = self._library.place
        pairs = zip(buffers, trees.leaves(tree), strict=True)
        return [(buffer, leaf) for buffer, leaf in pairs if buffer is not leaf and place(buffer) != place(leaf)]


def _copy(library: Calls, x: Array) -> Array:
    """Return a copy that lies in rows."""
    kind = library.kind(x)
    copy = library.typed(library.raw(x.nbytes), kind)
    copy[...] = x
    return copy
