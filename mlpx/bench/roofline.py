"""The roofline: how fast this machine multiplies matrices and copies memory, and what that allows a case at best.

The bound of a case is ``max(flop / peak rate, bytes / bandwidth)``. The peak rate is the best that a large product
reached in any backend on the device. The bandwidth is that of a copy, all cores at work, and depends on how much is
moved, since caches are faster than memory: a case gets the best rate seen at its size or above. Work that reads much
and writes little can be faster than a copy, so that it may come out a little above its bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Barrier

import numpy as np

from mlpx._typing import Array
from mlpx.backends import Backend
from mlpx.bench.case import Case
from mlpx.bench.machine import usable_cores
from mlpx.bench.places import find_backend
from mlpx.bench.timing import CaseResult, Result

#: A product or a copy that takes longer than this is large enough.
LONG_ENOUGH = 0.05
WIDTHS = (512, 1024, 2048, 4096, 8192)
#: Bytes of source and target together.
SIZES = tuple(2**19 * 4**i for i in range(6))
REPEATS, REPEATING = 5, 0.15
"""The best of so many repetitions, and of so many seconds of them, counts."""


@dataclass(frozen=True)
class Peak:
    """The best rate of a product of two square matrices, in operations a second."""

    device: str
    backend: str
    dtype: str
    rate: float
    width: int


@dataclass(frozen=True)
class Copy:
    """The best rate of copying, in bytes read and written a second; `size` counts source and target."""

    device: str
    size: int
    rate: float


@dataclass(frozen=True)
class Roofline:
    """What a machine's devices reach."""

    peaks: tuple[Peak, ...] = ()
    copies: tuple[Copy, ...] = ()

    def peak(self, device: str, dtype: str) -> float | None:
        """Return the best rate of products on a device, whichever backend reached it."""
        return max((p.rate for p in self.peaks if (p.device, p.dtype) == (device, dtype)), default=None)

    def bandwidth(self, device: str, size: float) -> float | None:
        """Return the best rate of copying `size` bytes or more."""
        here = [copy for copy in self.copies if copy.device == device]
        large = [copy for copy in here if copy.size >= size] or sorted(here, key=lambda copy: copy.size)[-1:]
        return max((copy.rate for copy in large), default=None)

    def bound(self, case: Case | CaseResult, device: str) -> float | None:
        """Return the seconds that one `per` of a case takes at least, or None where that is not known."""
        peak = self.peak(device, str(case.parameters.get("dtype", "float32")))
        bandwidth = self.bandwidth(device, case.bytes or 0)
        times = [case.flop / peak] if case.flop and peak else []
        times += [case.bytes / bandwidth] if case.bytes and bandwidth else []
        return max(times, default=None) if case.unit == "s" else None

    def share(self, case: CaseResult, result: Result) -> float | None:
        """Return bound over time: the part of what the hardware allows that was reached."""
        bound = self.bound(case, result.device)
        return bound / result.median if bound and result.median else None


def parts(backends: Sequence[str], dtypes: Sequence[str]) -> list[tuple[str, Callable[[], Roofline]]]:
    """Return what has to be measured for a roofline, each part with its name; `join` puts them together."""
    found = [(f"peak rate of {place} in {dtype}", _peak_of(place, dtype)) for place in backends for dtype in dtypes]
    devices = {find_backend(place).device_name: place for place in backends}
    return found + [(f"copies on {device}", _copies_of(device, place)) for device, place in devices.items()]


def join(rooflines: Iterable[Roofline]) -> Roofline:
    """Put rooflines together."""
    all_of = list(rooflines)
    return Roofline(tuple(p for part in all_of for p in part.peaks), tuple(c for part in all_of for c in part.copies))


def _peak_of(place: str, dtype: str) -> Callable[[], Roofline]:
    return lambda: Roofline(peaks=(measure_peak(place, dtype),))


def _copies_of(device: str, place: str) -> Callable[[], Roofline]:
    measure = copy_on_host if device == "cpu" else copy_on_device
    return lambda: Roofline(copies=tuple(measure(find_backend(place))))


def measure_peak(place: str, dtype: str) -> Peak:
    """Multiply ever larger square matrices until one takes long enough, and keep the best rate."""
    backend = find_backend(place)
    with backend.context():
        multiply = backend.compile(backend.xp.matmul)
        best = Peak(backend.device_name, place, dtype, 0.0, 0)
        for width in WIDTHS:
            a, b = (backend.asarray(random_numbers((width, width), dtype, seed)) for seed in (0, 1))
            seconds = _shortest(partial(_apply, backend, multiply, a, b))
            if (rate := 2 * width**3 / seconds) > best.rate:
                best = Peak(backend.device_name, place, dtype, rate, width)
            if seconds > LONG_ENOUGH:
                break
    return best


def _apply(backend: Backend, function: Callable[..., Array], *arrays: Array) -> None:
    backend.synchronize(function(*arrays))


def random_numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    """Return an array of random numbers: constant ones run faster than real ones. A large one repeats a million."""
    count = min(int(np.prod(shape)), 2**20)
    return np.resize(np.random.default_rng(seed).standard_normal(count).astype(dtype), shape)


def _shortest(run: Callable[[], object]) -> float:
    """Return the shortest of some runs after a first one: what else goes on can only add."""
    run()
    times: list[float] = []
    while len(times) < REPEATS or sum(times) < REPEATING:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return max(min(times), 1e-9)


def copy_on_device(backend: Backend) -> Iterator[Copy]:
    """Read and write arrays of several sizes once; the library keeps the memory it needs for that."""
    with backend.context():
        negate = backend.compile(lambda x: -x)
        for size in SIZES:
            x = backend.asarray(random_numbers((size // 8,), "float32"))
            seconds = _shortest(partial(_apply, backend, negate, x))
            yield Copy(backend.device_name, size, size / seconds)


def copy_on_host(backend: Backend) -> Iterator[Copy]:
    """Copy in every core at once, each its own part, into memory that is there already."""
    threads = usable_cores()
    with ThreadPoolExecutor(threads) as pool:
        for size in SIZES:
            yield Copy(backend.device_name, size, max(_copy_rate(pool, threads, size) for _ in range(REPEATS)))


def _copy_rate(pool: ThreadPoolExecutor, threads: int, size: int) -> float:
    part = size // (2 * threads)
    repeats = max(1, int(2e8 / size))
    together = Barrier(threads)

    def copy() -> tuple[float, float]:
        source, target = np.ones(part, np.uint8), np.empty(part, np.uint8)
        target[:] = source
        together.wait()
        start = time.perf_counter()
        for _ in range(repeats):
            target[:] = source
        return start, time.perf_counter()

    starts, ends = zip(*(future.result() for future in [pool.submit(copy) for _ in range(threads)]), strict=True)
    return float(2 * part * threads * repeats / (max(ends) - min(starts)))
