"""Replaying: the calls of a recorded step, laid out once in fixed buffers and made again and again.

`Replayed` runs a step for batch after batch. The first batch of new shapes is recorded (`mlpx.backends.recording`) and
laid out (`mlpx.backends.layout`) as a `Program`; every other one walks through its list of calls, which allocates
nothing and decides nothing. The members of a stack do not depend on each other: they are taken in groups small enough
for the cache, each of which makes all steps before the next one begins, and the groups are spread over the cores.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from mlpx._typing import Array
from mlpx.backends import trees
from mlpx.backends.layout import Layout
from mlpx.backends.recording import NotRecordable, Recorded, Recorder, RecordingBackend, Variable
from mlpx.backends.threads import Workers

__all__ = ["Program", "Replayed"]

_GROUP, _LEAST = 2**22, 2**20
"""Bytes that the members of a group use together, and the fewest for which a thread of its own pays: its calls must be
long beside the time in which the interpreter's lock changes hands."""


class Replayed:
    """A step that is recorded once for each set of shapes and then replayed.

    Parameters
    ----------
    step : dataclass with a field ``backend``, callable
        The step, as for `mlpx.backends.Backend.fold`.
    """

    def __init__(self, step: Any) -> None:
        self.step = step
        self._programs: dict[Any, Program | None] = {}
        self._workers = Workers()
        self._bytes = 0

    def __call__(self, fixed: tuple[Any, ...], state: Any, batches: Any, members: int | None = None) -> Any:
        """Make the steps, and return the state."""
        if members is None:
            return self._run(fixed, state, batches, _places((fixed, state)))
        shared = _places(fixed)

        def run(group: slice | int, worker: int) -> None:
            own, its_state, its_batches = self.step.part(fixed, state, batches, group)
            if members == 1 or self._bytes > _GROUP:
                # a large network is worked on where it lies; small ones go through the buffers of a worker
                self._run(own, its_state, its_batches, _places((own, its_state)), ("member", group))
            else:
                self._run(own, its_state, its_batches, shared, worker)

        self._workers(run, self._groups(fixed, state, batches, members))
        return state

    def _groups(self, fixed: tuple[Any, ...], state: Any, batches: Any, members: int) -> list[slice | int]:
        """Return the members in groups of nearly equal size, which fit the cache and occupy the cores.

        A group of one is its member's number: without the axis of members the calls are faster.
        """
        if not self._bytes:
            own, its_state, its_batches = self.step.part(fixed, state, batches, 0)
            one = self._program(own, its_state, its_batches, _places(fixed), 0)
            self._bytes = one.touched if one else _GROUP
        whole = members * self._bytes
        count = min(members, max(1, round(whole / _GROUP), min(self._workers.count, whole // _LEAST)))
        stops = [members * (i + 1) // count for i in range(count)]
        groups = zip([0, *stops], stops, strict=False)
        return [slice(start, stop) if stop > start + 1 else start for start, stop in groups]

    def _run(self, fixed: tuple[Any, ...], state: Any, batches: Any, bound: set[Any], slot: Any = 0) -> Any:
        program = self._program(fixed, state, batches, bound, slot)
        if program is not None:
            return program(fixed, state, batches)
        new = state
        for i in range(trees.length(batches)):
            new = self.step(*fixed, new, trees.entry(batches, i))
        return new

    def _program(self, fixed: tuple[Any, ...], state: Any, batches: Any, bound: set[Any], slot: Any) -> Program | None:
        """Return the program for these shapes, one a slot; None where the step cannot be recorded."""
        places = [_place(leaf) for leaf in trees.leaves(fixed)]
        key = (
            slot,
            tuple(place if place in bound else place[1:3] for place in places),
            tuple((leaf.shape, leaf.dtype) for leaf in trees.leaves(state)),
            tuple(None if leaf is None else (leaf.shape[1:], leaf.dtype) for leaf in _all(batches)),
        )
        if key not in self._programs:
            try:
                self._programs[key] = Program(self.step, fixed, state, trees.entry(batches, 0), bound)
            except NotRecordable:
                self._programs[key] = None
        return self._programs[key]


def _place(leaf: Array) -> tuple[Any, ...]:
    """Return what tells an array from another: where it lies and what it looks like."""
    return leaf.__array_interface__["data"][0], leaf.shape, leaf.dtype, leaf.strides


def _places(tree: Any) -> set[Any]:
    return {_place(leaf) for leaf in trees.leaves(tree)}


def _all(tree: Any) -> list[Any]:
    """Return the leaves of a tree, None among them."""
    return [leaf for part in tree for leaf in _all(part)] if isinstance(tree, tuple) else [tree]


class Program:
    """A recorded step with its buffers.

    Parameters
    ----------
    step : callable
        As for `Replayed`.
    fixed, state, batch
        Arguments of the first call.
    bound : set
        Places of the arrays, fixed or of the state, that stay where they are; others are copied in.

    Attributes
    ----------
    allocated : int
        Bytes of the buffers.
    touched : int
        Bytes of the buffers, the state and what else is copied in.
    """

    def __init__(self, step: Any, fixed: tuple[Any, ...], state: Any, batch: Any, bound: set[Any]) -> None:
        recorder = Recorder()

        def own(tree: Any) -> tuple[Any, list[Variable]]:
            new = [recorder.input(x if _place(x) in bound else x.copy()) for x in trees.leaves(tree)]
            return trees.rebuilt(tree, iter(new)), [x.variable for x in new]

        traced, inputs = zip(*(own(tree) for tree in (fixed, state, batch)), strict=True)
        result = dataclasses.replace(step, backend=RecordingBackend(recorder))(*traced[0], *traced[1:])
        outputs = [_variable(x) for x in trees.leaves(result)]
        layout = Layout(recorder.operations, [v for part in inputs for v in part], outputs, inputs[1])
        self.calls = layout.calls
        self.allocated = layout.allocated
        self._fixed, self._state, self._batch = ([v.value for v in part] for part in inputs)
        self.touched = self.allocated + sum(
            array.nbytes for array in (*self._fixed, *self._state, *self._batch) if _place(array) not in bound
        )

    def __call__(self, fixed: tuple[Any, ...], state: Any, batches: Any) -> Any:
        """Make the steps; the state that came is written over."""
        moved = _moved(self._state, state)
        for buffer, leaf in (*_moved(self._fixed, fixed), *moved):
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


def _moved(buffers: list[Array], tree: Any) -> list[tuple[Array, Array]]:
    """Return each buffer with its array, where that lies elsewhere."""
    pairs = zip(buffers, trees.leaves(tree), strict=True)
    return [(buffer, leaf) for buffer, leaf in pairs if _place(buffer) != _place(leaf)]


def _variable(x: Any) -> Variable:
    if not isinstance(x, Recorded):
        msg = "a result that depends on no argument"
        raise NotRecordable(msg)
    return x.variable
