"""Memory: where the arrays of a fused step lie.

Everything that a kernel or a product makes for another one gets a place in one block of device memory, which goes to a
later array when its last reader is through; parts of a concatenation lie in their place in it; a new state is written
over the old one where nothing reads that any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import array_api_compat.numpy as standard
import numpy as np

from mlpx._typing import Array
from mlpx.backends.cuda.fusion import Kernel, Plan, Role, by_element, contiguous, is_reduction, offset_of, strides_over
from mlpx.backends.notes import Recording, Variable, address

__all__ = ["Memory", "Slot"]

_ALIGNMENT = 256


@dataclass(frozen=True)
class Slot:
    """Where an array lies.

    Attributes
    ----------
    root : Variable
        Whose memory it is in.
    offset : int
        Elements after the start of that.
    array : array
        Has its shape, type and strides; its numbers mean nothing.
    """

    root: Variable
    offset: int
    array: Array


class Memory:
    """Gives every array of a plan its place.

    Parameters
    ----------
    plan : Plan
        The nodes.
    recording : Recording
        What they were made of.

    Attributes
    ----------
    places : dict
        Byte in the block at which each memory begins, for what the nodes make.
    size : int
        Bytes of the block.
    constants : dict
        Arrays that never change.
    kept : set of Variable
        What the nodes make that is read from memory.
    donors : dict
        For each new part of the state that is written over the old one: that. Likewise for what is written over an
        input that nobody needs any more, whose place in the card's cache it takes.
    copies : list of (Variable, Variable)
        New and old parts of the state, where the new one must be copied at the end of the step.
    """

    def __init__(self, plan: Plan, recording: Recording) -> None:
        self._plan, self._recording = plan, recording
        self.constants: dict[Variable, Array] = {}
        self._constant_of: dict[int, Variable] = {}
        self._slots: dict[Variable, Slot] = {}
        self.kept = self._find_kept()
        self.donors: dict[Variable, Variable] = {}
        self._find_donors()
        self._find_overwritten()
        self.copies = [
            (new, old)
            for new, old in zip(recording.outputs, recording.inputs[1], strict=True)
            if new is not old and self.donors.get(new) is not old
        ]
        self.places, self.size = self._allocate()

    def slot(self, value: Any) -> Slot:
        """Return the place of a variable or a constant array."""
        if not isinstance(value, Variable):
            value = self._constant(value)
        if value not in self._slots:
            self._slots[value] = self._found(value)
        return self._slots[value]

    def _constant(self, value: Array) -> Variable:
        if id(value) not in self._constant_of:
            variable = Variable(np.ascontiguousarray(value))
            self._constant_of[id(value)] = variable
            self.constants[variable] = variable.value
        return self._constant_of[id(value)]

    def _found(self, v: Variable) -> Slot:
        if v.base is not None:
            assert v.way is not None
            parent = self.slot(v.base)
            array = v.way(standard, parent.array)
            offset = parent.offset + (address(array) - address(parent.array)) // array.itemsize
            return Slot(parent.root, offset, array)
        if v in self._plan.inside:
            whole, concat, i = self._plan.inside[v]
            parent = self.slot(whole)
            part = concat.part(parent.array, i).reshape(v.value.shape)
            return Slot(parent.root, parent.offset + (address(part) - address(parent.array)) // part.itemsize, part)
        if v in self.donors:
            return self.slot(self.donors[v])
        return Slot(v, 0, v.value)

    def owner(self, v: Any) -> Variable:
        """Return the variable that has the memory in which another one lies."""
        root: Variable = v.root
        if root in self._plan.inside:
            return self.owner(self._plan.inside[root][0])
        return self.owner(self.donors[root]) if root in self.donors else root

    def _find_kept(self) -> set[Variable]:
        """Return what nodes make and others, or the state, need."""
        kept = {v.root for v in self._recording.outputs} | set(self._plan.inside)
        for node in self._plan.nodes:
            kept |= {v.root for v in node.inputs if isinstance(v, Variable)}
        return kept

    def _find_donors(self) -> None:
        """Choose the new parts of the state that are written over the old ones."""
        for new, old in zip(self._recording.outputs, self._recording.inputs[1], strict=True):
            writer = self._writer(new)
            alone = self._recording.outputs.count(new) == 1
            if writer is not None and alone and _alike(new, old) and self._is_free(old, writer, new):
                self.donors[new] = old

    def _find_overwritten(self) -> None:
        """Choose what is written over an input of its kernel."""
        nodes = self._plan.nodes
        made = {v for node in nodes for v in node.outputs}
        given = {v.root for v in self._recording.outputs} | set(self._plan.inside)
        for i, node in enumerate(nodes):
            if not isinstance(node, Kernel):
                continue
            for new in node.outputs:
                if new not in self.kept - given or node.roles[new] is not Role.FULL:
                    continue
                free = made - given - set(self.donors.values())
                inputs = [v for v in node.inputs if isinstance(v, Variable) and v in free and _alike(new, v)]
                old = next((v for v in inputs if self._is_free(v, i, new)), None)
                if old is not None:
                    self.donors[new] = old

    def _writer(self, new: Variable) -> int | None:
        if new.base is not None or new in self._plan.inside:
            return None
        nodes = self._plan.nodes
        return next((i for i, n in enumerate(nodes) if isinstance(n, Kernel) and n.roles.get(new) is Role.FULL), None)

    def _is_free(self, old: Variable, writer: int, new: Variable) -> bool:
        """Say whether nothing reads an array after its place was written."""
        nodes = self._plan.nodes
        if any(v.root is old for v in self._recording.outputs):
            return False
        later = [v for node in nodes[writer + 1 :] for v in node.inputs if isinstance(v, Variable)]
        if any(v.root is old for v in later):
            return False
        kernel = nodes[writer]
        assert isinstance(kernel, Kernel)
        whole = contiguous((*kernel.rows, kernel.columns))
        for op in kernel.operations:
            for i, v in enumerate(op.inputs):
                if isinstance(v, Variable) and v.root is old:
                    role, level = kernel.roles[op.output], kernel.levels[op.output]
                    same = by_element(op, i) and offset_of(v) == 0
                    same = same and strides_over(v.value, i, op, role, kernel) == whole
                    if not same or (level > kernel.levels[new] and not is_reduction(op)):
                        return False
        # what is made again in a later pass would read what an earlier one has written
        return kernel.passes - 1 <= kernel.levels[new]

    def _allocate(self) -> tuple[dict[Variable, int], int]:
        """Return the place of each memory, first fit, and how large the block is."""
        first, last = self._lifetimes()
        places: dict[Variable, int] = {}
        size = 0
        for v in sorted(first, key=lambda v: (-v.value.nbytes, first[v])):
            taken = sorted(
                (places[o], places[o] + o.value.nbytes) for o in places if first[o] <= last[v] and first[v] <= last[o]
            )
            start = 0
            for low, high in taken:
                if start + v.value.nbytes <= low:
                    break
                start = max(start, -(-high // _ALIGNMENT) * _ALIGNMENT)
            places[v] = start
            size = max(size, start + v.value.nbytes)
        return places, size

    def _lifetimes(self) -> tuple[dict[Variable, int], dict[Variable, int]]:
        """Return for each memory that nodes make the first and the last of them that need it."""
        first: dict[Variable, int] = {}
        last: dict[Variable, int] = {}
        nodes = self._plan.nodes
        given = {v for part in self._recording.inputs for v in part}
        for i, node in enumerate(nodes):
            for output in node.outputs:
                if output in self.kept and self.owner(output) not in given:
                    first.setdefault(self.owner(output), i)
            for v in (*node.outputs, *(v for v in node.inputs if isinstance(v, Variable))):
                last[self.owner(v)] = i
        end = {self.owner(v): len(nodes) for v in self._recording.outputs}
        last |= end
        return first, last


def _alike(a: Variable, b: Variable) -> bool:
    return bool(a.value.shape == b.value.shape and a.value.dtype == b.value.dtype)
