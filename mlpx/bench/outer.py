"""The weight gradient as a sum of outer products, taken in four ways.

The gradient of a layer is ``sum_n outer(a_n, delta_n)``. For the same members of a stack, each with its own batch, it
is taken by

- a loop that adds one outer product after the other;
- one ``einsum`` (``sni,sno->snio``) that holds every sample's gradient, then their sum;
- a batched product ``Aᵀ delta``, one member after the other;
- one stacked product over all members.

Beside the time stands the memory that each way needs at its peak, the result included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

from mlpx._typing import Array
from mlpx.backends import Backend
from mlpx.bench.case import Case, Contender
from mlpx.bench.places import find_backend
from mlpx.bench.products import repeated
from mlpx.bench.roofline import random_numbers

#: Batch sizes, and (members, width before, width after).
SHORT = (1, 16, 256), ((1, 128, 64), (16, 128, 64))
FULL = (1, 4, 16, 64, 256, 1024), ((1, 128, 64), (16, 128, 64), (64, 32, 32), (1, 784, 256), (8, 784, 256))
#: Samples of a loop and bytes beyond which a way is left out.
MOST_LOOPS = 4096
MOST_BYTES = 2**30

Shape = tuple[int, int, int, int]
"""Members, batch, width before and width after."""


def loop(backend: Backend, a: Array, delta: Array) -> Callable[[], Array]:
    """Add up one outer product after the other."""
    first, add = backend.compile(_outer), backend.compile(_add_outer)

    def gradient(x: Array, d: Array) -> Array:
        total = first(x[0, ...], d[0, ...])
        for n in range(1, x.shape[0]):
            total = add(total, x[n, ...], d[n, ...])
        return total

    return _each_member(backend, gradient, a, delta)


def every_sample(backend: Backend, a: Array, delta: Array) -> Callable[[], Array]:
    """Hold the gradient of every sample, then take the sum; apart, so that no compiler merges the two."""
    outer, add = backend.compile(_outer), backend.compile(partial(backend.xp.sum, axis=-3))
    return lambda: add(outer(a, delta))


def batched(backend: Backend, a: Array, delta: Array) -> Callable[[], Array]:
    """Take one product a member."""
    return _each_member(backend, backend.compile(_product(backend)), a, delta)


def stacked(backend: Backend, a: Array, delta: Array) -> Callable[[], Array]:
    """Take one product for all members."""
    multiply = backend.compile(_product(backend))
    return lambda: multiply(a, delta)


def _outer(x: Array, delta: Array) -> Array:
    """Return the outer product of every row of two batches, or of two rows."""
    return x[..., :, None] * delta[..., None, :]


def _add_outer(total: Array, x: Array, delta: Array) -> Array:
    return total + _outer(x, delta)


def _product(backend: Backend) -> Callable[[Array, Array], Array]:
    return lambda x, d: backend.weight_gradient(x, d, bias=False)


def _each_member(
    backend: Backend, gradient: Callable[[Array, Array], Array], a: Array, delta: Array
) -> Callable[[], Array]:
    """Return the call that takes the gradients of one member after the other."""
    stack = backend.xp.stack
    if a.shape[0] == 1:
        return lambda: gradient(a[0, ...], delta[0, ...])
    return lambda: stack([gradient(a[s, ...], delta[s, ...]) for s in range(a.shape[0])])


WAYS: dict[str, Callable[[Backend, Array, Array], Callable[[], Array]]] = {
    "batched": batched,
    "loop": loop,
    "einsum": every_sample,
    "stacked": stacked,
}


def peak_bytes(way: str, shape: Shape, itemsize: int) -> int:
    """Return the bytes that a way holds at its peak, the result included and the two operands not.

    Examples
    --------
    >>> from mlpx.bench.outer import peak_bytes
    >>> peak_bytes("einsum", (1, 256, 128, 64), 4) // peak_bytes("stacked", (1, 256, 128, 64), 4)
    257
    """
    members, batch, fan_in, fan_out = shape
    gradients = {
        "einsum": members * batch + members,
        "stacked": members,
        # the gradients of all members, and the stack that they are copied into
        "batched": 1 if members == 1 else 2 * members,
        # while a sample is added: the old sum, its outer product, the new sum
        "loop": min(batch, 2) + 1 if members == 1 else max(members - 1 + min(batch, 2) + 1, 2 * members),
    }
    # a single sample is not added to anything
    gradients["loop"] -= members == 1 and batch == 1
    return gradients[way] * fan_in * fan_out * itemsize


def cases(
    *, full: bool = False, backends: Sequence[str], dtypes: Sequence[str] = ("float32",), **_: object
) -> list[Case]:
    """List the sizes, each with the four ways: their time on every backend, and their memory."""
    batches, sizes = FULL if full else SHORT
    shapes = [(members, batch, fan_in, fan_out) for members, fan_in, fan_out in sizes for batch in batches]
    times = [_time(place, shape, dtype) for dtype, place, shape in product(dtypes, backends, shapes)]
    return times + [_memory(shape, dtype) for dtype, shape in product(dtypes, shapes)]


def _time(place: str, shape: Shape, dtype: str) -> Case:
    members, batch, fan_in, fan_out = shape
    itemsize = _itemsize(dtype)
    device = find_backend(place).device_name
    contenders = [
        Contender(way, _preparation(way, place, shape, dtype), (WAYS[way].__doc__ or "").rstrip("."), device)
        for way in WAYS
        if peak_bytes(way, shape, itemsize) <= MOST_BYTES and (way != "loop" or members * batch <= MOST_LOOPS)
    ]
    parameters = {"backend": place, **_parameters(shape, dtype)}
    flop = 2.0 * members * batch * fan_in * fan_out
    moved = float(itemsize * members * (batch * (fan_in + fan_out) + fan_in * fan_out))
    group = f"{place}, {dtype}"
    return Case("outer", _name(shape), tuple(contenders), "call", 1, flop, moved, parameters, group=group)


def _memory(shape: Shape, dtype: str) -> Case:
    """Return the case of the bytes that are held, which the ways themselves decide and no backend."""
    counts = {way: peak_bytes(way, shape, _itemsize(dtype)) for way in WAYS}
    contenders = tuple(Contender(way, partial(_constant, count), "counted") for way, count in counts.items())
    group = f"memory, {dtype}"
    return Case("outer", _name(shape), contenders, "call", 1, None, None, _parameters(shape, dtype), "B", group)


def _constant(count: int) -> Callable[[], int]:
    return lambda: count


def _name(shape: Shape) -> str:
    members, batch, fan_in, fan_out = shape
    return f"{fan_in}-{fan_out}, {members} {'member' if members == 1 else 'members'}, batch {batch}"


def _parameters(shape: Shape, dtype: str) -> dict[str, object]:
    return {**dict(zip(("members", "batch", "fan_in", "fan_out"), shape, strict=True)), "dtype": dtype}


def _itemsize(dtype: str) -> int:
    return int(dtype.removeprefix("float")) // 8


def _preparation(way: str, place: str, shape: Shape, dtype: str) -> Callable[[], Callable[[], object]]:
    """Return the function that draws the matrices and returns the run."""

    def prepare() -> Callable[[], object]:
        backend = find_backend(place)
        members, batch, fan_in, fan_out = shape
        with backend.context():
            a = backend.asarray(random_numbers((members, batch, fan_in), dtype, 0))
            delta = backend.asarray(random_numbers((members, batch, fan_out), dtype, 1))
            call = WAYS[way](backend, a, delta)
        return repeated(backend, call, 1)

    return prepare
