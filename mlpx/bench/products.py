"""The three products of a layer: forward ``A W``, error term ``delta Wᵀ``, weight gradient ``Aᵀ delta``.

All three take ``2 N M_in M_out`` operations and move the same three matrices; how fast they run differs, since each
runs through memory in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from mlpx._typing import Array
from mlpx.backends import Backend
from mlpx.bench.case import Case, Contender
from mlpx.bench.places import find_backend
from mlpx.bench.roofline import random_numbers

#: Batch sizes, and widths of the layer before and after.
SHORT = (1, 16, 256, 1024), ((64, 64), (256, 256), (1024, 1024))
FULL = (
    (1, 4, 16, 64, 256, 1024, 4096, 16384),
    ((16, 16), (64, 64), (256, 256), (784, 256), (1024, 1024), (4096, 4096), (8192, 8192)),
)
#: Operations and bytes of a call beyond which a grid point is left out.
MOST_FLOP = {"cpu": 2e11}
MOST_FLOP_ELSEWHERE = 5e12
MOST_BYTES = 2**31

WORK: dict[str, Callable[[Backend, Array, Array, Array], Callable[[], Array]]] = {
    "forward": lambda b, a, w, _: _bind(b, lambda x, y: b.net_input(x, y, None), a, w),
    "error term": lambda b, _, w, delta: _bind(b, b.error_term, delta, w),
    "weight gradient": lambda b, a, _, delta: _bind(b, lambda x, y: b.weight_gradient(x, y, bias=False), a, delta),
}


def cases(
    *, full: bool = False, backends: Sequence[str], dtypes: Sequence[str] = ("float32",), **_: object
) -> list[Case]:
    """List the products over batch sizes and widths, each on every backend."""
    batches, widths = FULL if full else SHORT
    grid = product(dtypes, WORK, widths, batches)
    return list(filter(None, (_case(work, batch, *width, dtype, backends) for dtype, work, width, batch in grid)))


def _case(work: str, batch: int, fan_in: int, fan_out: int, dtype: str, backends: Sequence[str]) -> Case | None:
    flop = 2.0 * batch * fan_in * fan_out
    moved = float(dtype.removeprefix("float")) / 8 * (batch * fan_in + fan_in * fan_out + batch * fan_out)
    contenders = [
        Contender(place, _preparation(work, place, (batch, fan_in, fan_out), dtype), _settings(backend), device)
        for place in backends
        for backend in [find_backend(place)]
        for device in [backend.device_name]
        if flop <= MOST_FLOP.get(device, MOST_FLOP_ELSEWHERE) and moved <= MOST_BYTES
    ]
    name, group = f"{fan_in}-{fan_out}, batch {batch}", f"{work}, {dtype}"
    parameters = {"product": work, "batch": batch, "fan_in": fan_in, "fan_out": fan_out, "dtype": dtype}
    if not contenders:
        return None
    return Case("products", name, tuple(contenders), "call", _calls(flop), flop, moved, parameters, group=group)


def _calls(flop: float) -> int:
    """Return how many calls a run makes: entering a backend's context shall not count beside a small product."""
    return 64 if flop < 1e6 else 8 if flop < 1e8 else 1


def _settings(backend: Backend) -> str:
    return f"{backend.name} {backend.version} on {backend.device_name}, waiting for each result"


def _preparation(work: str, place: str, shape: tuple[int, int, int], dtype: str) -> Callable[[], Callable[[], object]]:
    """Return the function that draws the matrices and returns the run."""

    def prepare() -> Callable[[], object]:
        backend = find_backend(place)
        batch, fan_in, fan_out = shape
        with backend.context():
            a, w, delta = (
                backend.asarray(random_numbers(size, dtype, seed))
                for seed, size in enumerate([(batch, fan_in), (fan_in, fan_out), (batch, fan_out)])
            )
            call = WORK[work](backend, a, w, delta)
        return repeated(backend, call, _calls(2.0 * batch * fan_in * fan_out))

    return prepare


def _bind(backend: Backend, function: Callable[[Array, Array], Array], x: Array, y: Array) -> Callable[[], Array]:
    """Return the call of a function in its backend's fastest form."""
    fast = backend.compile(function)
    return lambda: fast(x, y)


def repeated(backend: Backend, call: Callable[[], Array], count: int) -> Callable[[], object]:
    """Return a run of `count` calls within the backend's context, which waits for each."""
    times = range(count)

    def run() -> None:
        with backend.context():
            for _ in times:
                backend.synchronize(call())

    return run
