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

_CACHE = 2**20
"""Bytes that the members of a group may use together: about a core's own cache."""


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
        self._group: int | None = None

    def __call__(self, fixed: tuple[Any, ...], state: Any, batches: Any, members: int | None = None) -> Any:
        """Make the steps, and return the state."""
        if members is None or members == 1:
            return self._run(fixed, state, batches, trees.leaves((fixed, state)))
        shared = trees.leaves(fixed)
        groups = self._groups(fixed, state, batches, members)

        def run(group: slice, worker: int) -> None:
            own, its_state, its_batches = self.step.part(fixed, state, batches, group)
            self._run(own, its_state, its_batches, shared, worker)

        self._workers(run, groups)
        return state

    def _groups(self, fixed: tuple[Any, ...], state: Any, batches: Any, members: int) -> list[slice]:
        """Return the members in groups of nearly equal size, which fit the cache, at least one for each core."""
        if self._group is None:
            own, its_state, its_batches = self.step.part(fixed, state, batches, slice(0, 1))
            one = self._program(own, its_state, its_batches, trees.leaves(fixed), 0)
            self._group = members if one is None else max(1, _CACHE // one.touched)
        count = min(members, max(self._workers.count, -(-members // self._group)))
        stops = [members * (i + 1) // count for i in range(count)]
        return [slice(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]

    def _run(self, fixed: tuple[Any, ...], state: Any, batches: Any, shared: list[Any], worker: int = 0) -> Any:
        program = self._program(fixed, state, batches, shared, worker)
        if program is not None:
            return program(fixed, state, batches)
        new = state
        for i in range(trees.length(batches)):
            new = self.step(*fixed, new, trees.entry(batches, i))
        return new

    def _program(
        self, fixed: tuple[Any, ...], state: Any, batches: Any, shared: list[Any], worker: int
    ) -> Program | None:
        """Return the program for these shapes, one a worker; None where the step cannot be recorded."""
        bound = {id(leaf) for leaf in shared}
        key = (
            worker,
            tuple(id(leaf) if id(leaf) in bound else _kind(leaf) for leaf in trees.leaves(fixed)),
            tuple(map(_kind, trees.leaves(state))),
            tuple(None if leaf is None else _kind(leaf, 1) for leaf in _all(batches)),
        )
        if key not in self._programs:
            try:
                self._programs[key] = Program(self.step, fixed, state, trees.entry(batches, 0), bound)
            except NotRecordable:
                self._programs[key] = None
        return self._programs[key]


def _kind(leaf: Array, skipped: int = 0) -> tuple[Any, ...]:
    return leaf.shape[skipped:], leaf.dtype


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
    bound : set of int
        Identities of the arrays, fixed or of the state, that lie where they are; others are copied in.

    Attributes
    ----------
    allocated : int
        Bytes of the buffers.
    touched : int
        Bytes of the buffers, the state and what else is copied in.
    """

    def __init__(self, step: Any, fixed: tuple[Any, ...], state: Any, batch: Any, bound: set[int]) -> None:
        recorder = Recorder()
        self._keep = [
            leaf for leaf in trees.leaves((fixed, state)) if id(leaf) in bound
        ]  # known by identity: must stay alive

        def own(tree: Any, known: set[int]) -> tuple[Any, list[Variable]]:
            new = [recorder.input(x if id(x) in known else x.copy()) for x in trees.leaves(tree)]
            return trees.rebuilt(tree, iter(new)), [x.variable for x in new]

        traced, inputs = zip(*(own(tree, bound) for tree in (fixed, state, batch)), strict=True)
        result = dataclasses.replace(step, backend=RecordingBackend(recorder))(*traced[0], *traced[1:])
        outputs = [_variable(x) for x in trees.leaves(result)]
        layout = Layout(recorder.operations, [v for part in inputs for v in part], outputs, inputs[1])
        self.calls = layout.calls
        self.allocated = layout.allocated
        self._fixed, self._state, self._batch = ([v.value for v in part] for part in inputs)
        self.touched = self.allocated + sum(
            array.nbytes for array in (*self._fixed, *self._state, *self._batch) if id(array) not in bound
        )

    def __call__(self, fixed: tuple[Any, ...], state: Any, batches: Any) -> Any:
        """Make the steps; the state that came is written over."""
        for buffer, leaf in zip(self._fixed, trees.leaves(fixed), strict=True):
            if leaf is not buffer:
                buffer[...] = leaf
        pairs = zip(self._state, trees.leaves(state), strict=True)
        moved = [(buffer, leaf) for buffer, leaf in pairs if leaf is not buffer]
        for buffer, leaf in moved:
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


def _variable(x: Any) -> Variable:
    if not isinstance(x, Recorded):
        msg = "a result that depends on no argument"
        raise NotRecordable(msg)
    return x.variable
