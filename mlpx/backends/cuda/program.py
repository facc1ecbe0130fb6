"""Programs: a recorded step on a device, as launches into fixed memory.

A program holds the block in which all intermediate arrays lie and room for the batches of a run of steps. A counter on
the device says which of them a step is to take, so that nothing of a batch, be it a learning rate, is written into a
launch: the launches of several steps are captured as one graph, which is then launched again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod
from typing import Any, Protocol

import numpy as np

from mlpx._typing import Array
from mlpx.backends import trees
from mlpx.backends.cuda import philox
from mlpx.backends.cuda.fusion import Bits, Kernel, Node, Plan, Product, fused, with_copies
from mlpx.backends.cuda.memory import Memory, Slot
from mlpx.backends.cuda.products import TYPES, NotMapped, mapped, with_one_stack
from mlpx.backends.cuda.sharing import shared_out
from mlpx.backends.cuda.source import Source, module_text, written
from mlpx.backends.cuda.writing import Argument
from mlpx.backends.notes import NotRecordable, Recording, Variable, blank

__all__ = ["Device", "Graph", "Program", "compiled"]

Launch = Callable[[int], None]
"""Makes a launch, given the number of the step in its graph."""

UNROLLED = 16
"""Steps in one graph."""

_ALIGNMENT = 256


class Graph(Protocol):
    """Launches that were captured."""

    def launch(self) -> None:
        """Make them all."""

    def text(self) -> str:
        """Return what they are, in words."""


class Device(Protocol):
    """What runs a program: CUDA, or the host where tests look on."""

    def running(self) -> AbstractContextManager[None]:
        """Return the context in which a program runs."""

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array of zeros on the device."""

    def in_rows(self, x: Array) -> Array:
        """Return an array that lies in rows, without a copy where `x` does."""

    def view(self, block: Array, start: int, like: Array) -> Array:
        """Return an array in a block of bytes, with the type, shape and strides of another."""

    def address(self, x: Array) -> int:
        """Return where an array begins."""

    def kernel(self, text: str, name: str) -> Any:
        """Return a kernel of a module, which is compiled once."""

    def launch(self, kernel: Any, grid: tuple[int, ...], block: int, arguments: Sequence[Any]) -> None:
        """Launch a kernel; the arguments are NumPy's scalars."""

    def product(self, a: Array, b: Array, out: Array) -> None:
        """Make a matrix product."""

    def copy(self, out: Array, x: Array) -> None:
        """Copy an array of the device, or of the host, to one of the same shape and type."""

    def upload(self, parts: Sequence[tuple[Array, Array]]) -> None:
        """Copy arrays of the host to those of the device, without waiting."""

    def capture(self, launches: Callable[[], None]) -> Graph:
        """Return what a function launches, without launching it."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """What of a program depends on the shapes alone.

    Attributes
    ----------
    plan : Plan
        The nodes.
    memory : Memory
        Where arrays lie.
    sources : dict
        The kernels.
    text : str
        The module in which they are.
    """

    plan: Plan
    memory: Memory
    sources: dict[Kernel, Source]
    text: str


_COUNT = 'extern "C" __global__ void count_steps(long long* counter, long long by) { *counter += by; }\n'


@lru_cache(maxsize=64)
def compiled(recording: Recording) -> Compiled:
    """Return the kernels of a recorded step.

    Raises
    ------
    NotRecordable
        Where an operation has none.
    """
    recording = with_copies(recording)
    plan = fused(recording)
    memory = Memory(plan, recording)
    steps = set(recording.inputs[2])
    sources = {node: written(node, memory, steps) for node in plan.nodes if isinstance(node, Kernel)}
    for node in plan.nodes:
        if isinstance(node, Product):
            _check_product(node, memory, steps)
    drawn = philox.FACTOR + philox.BITS if any(isinstance(node, Bits) for node in plan.nodes) else ""
    return Compiled(plan, memory, sources, module_text(list(sources.values()), drawn + _COUNT))


def _check_product(node: Product, memory: Memory, steps: set[Variable]) -> None:
    slots = [memory.slot(v) for v in (*node.inputs, node.output)]
    if any(slot.root in steps for slot in slots):
        msg = "a product with an array that has an entry for each step"
        raise NotRecordable(msg)
    types = {slot.array.dtype.name for slot in slots}
    if len(types) > 1 or not types <= TYPES.keys():
        msg = f"a product of {', '.join(sorted(types))}"
        raise NotRecordable(msg)
    try:
        for each in with_one_stack(*(slot.array for slot in slots)):
            mapped(*each)
    except NotMapped as error:
        raise NotRecordable(str(error)) from error


class Program:
    """A recorded step in the memory of a device.

    Parameters
    ----------
    recording : Recording
        The notes.
    device : Device
        What runs it.
    fixed : list of array
        Fixed arguments, which stay where they lie.
    state : list of array
        Room for the state, which every step updates.
    capacity : int
        The most steps of a run.
    block : array, optional
        Bytes in which intermediate arrays may lie, shared with programs that do not run at the same time.

    Attributes
    ----------
    capacity : int
    nodes : int
        Kernels, products and copies of a step.
    block : array
        Where intermediate arrays lie.
    graphs : dict
        The captured graphs, by how many steps they make.
    """

    def __init__(
        self,
        recording: Recording,
        device: Device,
        fixed: Sequence[Array],
        state: Sequence[Array],
        capacity: int,
        block: Array | None = None,
    ) -> None:
        self.capacity = capacity
        self._device = device
        self._compiled = made = compiled(recording)
        self._recording = recording
        self._counter = device.zeros((1,), np.int64)
        self._owned: list[Array] = []
        large = block is not None and block.nbytes >= made.memory.size
        self.block: Array = block if large else device.zeros((made.memory.size,), np.uint8)
        self._arrays: dict[Variable, Array] = dict(
            zip((v for part in recording.inputs[:2] for v in part), (*fixed, *state), strict=True)
        )
        for variable, constant in made.memory.constants.items():
            self._arrays[variable] = room = device.zeros(constant.shape, constant.dtype)
            device.copy(room, constant)
        self._make_room(recording.inputs[2])
        self._launches = [launch for node in made.plan.nodes for launch in self._bound(node)]
        self._launches += [self._bound_copy(new, old) for new, old in made.memory.copies]
        self._count = device.kernel(made.text, "count_steps")
        self._warm = False
        self.graphs: dict[int, Graph] = {}

    @property
    def nodes(self) -> int:
        """Kernels, products and copies of a step."""
        return len(self._launches)

    def debug(self) -> str:
        """Return the nodes of the largest graph that was captured, as CUDA prints them."""
        return self.graphs[max(self.graphs)].text() if self.graphs else ""

    def _make_room(self, batch: Sequence[Variable]) -> None:
        """Lay the batches of a run out in one piece, so that one copy brings them."""
        starts, end = [], 0
        for v in batch:
            starts.append(end)
            end += -(-self.capacity * v.value.nbytes // _ALIGNMENT) * _ALIGNMENT
        room = self._device.zeros((end,), np.uint8)
        self._batches = []
        for v, start in zip(batch, starts, strict=True):
            like = np.broadcast_to(v.value, (self.capacity, *v.value.shape))
            self._batches.append(self._device.view(room, start, blank(like.shape, like.dtype)))
            self._arrays[v] = self._batches[-1]

    # Launches.

    def _place(self, slot: Slot) -> Array:
        """Return the array of a slot."""
        made = self._compiled
        if slot.root in made.memory.places:
            start = made.memory.places[slot.root] + slot.offset * slot.array.itemsize
            return self._device.view(self.block, start, slot.array)
        return self._device.view(self._arrays[slot.root], slot.offset * slot.array.itemsize, slot.array)

    def _bound(self, node: Node) -> list[Launch]:
        """Return a node as calls that take the number of the step in its graph."""
        if isinstance(node, Kernel):
            return [self._bound_kernel(node)]
        if isinstance(node, Bits):
            return [self._bound_bits(node)]
        a, b, out = (self._place(self._compiled.memory.slot(v)) for v in (*node.inputs, node.output))
        return [partial(self._product, each) for each in with_one_stack(a, b, out)]

    def _product(self, arrays: tuple[Array, Array, Array], ahead: int) -> None:
        self._device.product(*arrays)

    def _bound_copy(self, new: Variable, old: Variable) -> Launch:
        source, target = (self._place(self._compiled.memory.slot(v)) for v in (new, old))
        return lambda _: self._device.copy(target, source)

    def _bound_kernel(self, node: Kernel) -> Launch:
        device, source = self._device, self._compiled.sources[node]
        kernel = device.kernel(self._compiled.text, source.name)
        share = shared_out(node)
        arguments = [self._argument(argument) for argument in source.arguments]
        arguments += [self._own((share.room,), dtype) for dtype in source.partials]
        arguments += [self._own((share.tickets,), np.int32)] if share.tickets else []
        rows = np.int64(prod(node.rows))
        if not source.by_step:
            return lambda _: device.launch(kernel, share.grid, share.block, (*arguments, rows))
        counter = np.uint64(device.address(self._counter))
        return lambda ahead: device.launch(
            kernel, share.grid, share.block, (*arguments, counter, np.int32(ahead), rows)
        )

    def _argument(self, argument: Argument) -> Any:
        if argument.stride:
            return np.int64(argument.slot.root.value.size)
        return np.uint64(self._device.address(self._place(argument.slot)))

    def _own(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the address of an array that one kernel has for itself; what it needs zeroed it leaves so."""
        self._owned.append(self._device.zeros(shape, dtype))
        return np.uint64(self._device.address(self._owned[-1]))

    def _bound_bits(self, node: Bits) -> Launch:
        device = self._device
        words, bits = (self._compiled.memory.slot(v) for v in (node.inputs[0], node.output))
        kernel = device.kernel(self._compiled.text, "dropout_bits")
        groups = bits.array.shape[-1]
        members = bits.array.size // groups
        grid = (philox.grid(groups, members),)
        arguments: list[Any] = [np.uint64(device.address(self._place(slot))) for slot in (words, bits)]
        arguments += [np.int64(groups), np.int64(members), np.uint64(device.address(self._counter))]
        stride = np.int64(words.root.value.size)
        return lambda ahead: device.launch(kernel, grid, philox.THREADS, (*arguments, stride, np.int32(ahead)))

    # Runs.

    def __call__(self, batches: Any) -> None:
        """Make the steps of a run."""
        self._device.upload([(self._counter, np.zeros(1, np.int64)), *self._entries(trees.leaves(batches))])
        n = trees.length(batches)
        for size, count in ((UNROLLED, n // UNROLLED), (1, n % UNROLLED)):
            for _ in range(count):
                self._make(size)

    def _entries(self, leaves: list[Array]) -> list[tuple[Array, Array]]:
        return [(room[: leaf.shape[0]], leaf) for room, leaf in zip(self._batches, leaves, strict=True)]

    def _make(self, size: int) -> None:
        """Make some steps: the first ones as they stand, so that all code is loaded before any is captured."""
        if not self._warm:
            self._warm = True
            self.launch(size)
            return
        if size not in self.graphs:
            self.graphs[size] = self._device.capture(lambda: self.launch(size))
        self.graphs[size].launch()

    def launch(self, size: int) -> None:
        """Launch what some steps do, and count them."""
        for ahead in range(size):
            for launch in self._launches:
                launch(ahead)
        counter = np.uint64(self._device.address(self._counter))
        self._device.launch(self._count, (1,), 1, (counter, np.int64(size)))
