"""Captured steps: training on a device, a graph of many steps at a time.

`Captured` runs a step for batch after batch. The first batch of new shapes is recorded (`mlpx.backends.recording`) and
becomes a `mlpx.backends.cuda.program.Program`; after that a run of steps is one transfer of their batches and some
launches of graphs. Nothing waits for the device.
"""

from __future__ import annotations

import warnings
from typing import Any

from mlpx._typing import Array
from mlpx.backends import trees
from mlpx.backends.cuda.program import Device, Program
from mlpx.backends.notes import Kind, NotRecordable
from mlpx.backends.recording import record

__all__ = ["Captured"]

_MOST_PROGRAMS = 8
"""Programs that are kept: one for each size of batch, and for each of two buffers into which data are streamed."""


class Captured:
    """A step that is captured once for each set of shapes and then launched.

    Parameters
    ----------
    step : dataclass with a field ``backend``, callable
        The step, as for ``Backend.fold``.
    device : Device
        What runs it.
    """

    def __init__(self, step: Any, device: Device) -> None:
        self.step = step
        self.programs: dict[Any, Program | None] = {}
        self._device = device
        self._states: dict[Any, list[Array]] = {}
        self._block: Array | None = None
        self._came: list[Array] = []
        self._fixed: list[Array] = []

    def __call__(self, fixed: tuple[Any, ...], state: Any, batches: Any, members: int | None = None) -> Any:
        """Make the steps; return the state, which the next call writes over."""
        with self._device.running():
            own = self._own_state(state)
            program = self._program(fixed, state, batches, own)
            if program is None:
                return self._step_by_step(fixed, state, batches)
            for room, leaf in zip(own, trees.leaves(state), strict=True):
                if room is not leaf:
                    self._device.copy(room, leaf)
            program(batches)
        return trees.rebuilt(state, iter(own))

    def _own_state(self, state: Any) -> list[Array]:
        """Return room for the state, which programs for other batches share."""
        leaves = trees.leaves(state)
        key = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in self._states:
            self._states.clear()
            self.programs.clear()  # they worked on the old one
            self._states[key] = [self._device.zeros(leaf.shape, leaf.dtype) for leaf in leaves]
        return self._states[key]

    def _lying_in_rows(self, fixed: tuple[Any, ...]) -> list[Array]:
        """Return the fixed arrays, those that lie otherwise as copies that are made once."""
        leaves = trees.leaves(fixed)
        known = {id(came): old for came, old in zip(self._came, self._fixed, strict=True)}
        self._fixed = [known[id(leaf)] if id(leaf) in known else self._device.in_rows(leaf) for leaf in leaves]
        self._came = leaves
        return self._fixed

    def _program(self, fixed: tuple[Any, ...], state: Any, batches: Any, own: list[Array]) -> Program | None:
        """Return the program for these shapes and places; None where the step cannot be captured."""
        held, n = self._lying_in_rows(fixed), trees.length(batches)
        kinds = trees.mapped(_kind, (fixed, state, trees.mapped(lambda leaf: leaf[0], batches)))
        key = kinds, tuple(self._device.address(leaf) for leaf in held)
        known = self.programs.get(key)
        if key not in self.programs or (known is not None and known.capacity < n):
            while len(self.programs) >= _MOST_PROGRAMS:
                del self.programs[next(iter(self.programs))]
            self.programs[key] = self._made(kinds, held, own, n)
        return self.programs[key]

    def _made(self, kinds: Any, held: list[Array], own: list[Array], n: int) -> Program | None:
        recording = record(self.step, kinds)
        try:
            if recording is None:
                msg = "its formulas do more than back-propagation can record"
                raise NotRecordable(msg)
            program = Program(recording, self._device, held, own, n, self._block)
        except NotRecordable as reason:
            warnings.warn(
                f"The training step cannot be captured as a CUDA graph ({reason}); it runs operation by operation.",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        self._block = program.block
        return program

    def _step_by_step(self, fixed: tuple[Any, ...], state: Any, batches: Any) -> Any:
        batches = trees.mapped(self.step.backend.asarray, batches)
        for i in range(trees.length(batches)):
            state = self.step(*fixed, state, trees.entry(batches, i))
        return state


def _kind(x: Array) -> Kind:
    return Kind(tuple(x.shape), x.dtype)
