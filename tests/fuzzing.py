"""Fuzzers: many cases, each made from a seed and its number alone, and what must hold for every one of them."""

import argparse
import contextlib
import functools
import resource
import signal
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

MOST_SECONDS = 30.0
"""What breaks a case off that hangs, by the clock."""
ROOM = 2**30
"""Address space beyond that of the start: more is refused by the system."""

Rng = np.random.Generator


class Bounds(NamedTuple):
    """What a case may take: a constant, and a part that grows with its file.

    Attributes
    ----------
    seconds, seconds_a_megabyte : float
        Of computing.
    memory, times_the_file : int
        Bytes.
    """

    seconds: float = 2.0
    seconds_a_megabyte: float = 0.3
    memory: int = 8 * 2**20
    times_the_file: int = 30


BOUNDS = Bounds()


class Fault(AssertionError):  # noqa: N818
    """A case for which the rule does not hold."""


def _break_off(*_: int | FrameType | None) -> None:
    msg = f"took more than {MOST_SECONDS} s"
    raise Fault(msg)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Break off what hangs, turn warnings into errors, and bound the address space."""
    kept = signal.signal(signal.SIGALRM, _break_off)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    limits = resource.getrlimit(resource.RLIMIT_AS)
    if pages:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, limits[1]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, kept)


def run_case(check: Callable[[Path], str], path: Path, bounds: Bounds, *, measured: bool = False) -> str:
    """Return what became of one file; a `Fault` tells of whatever the rule forbids."""
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    if measured:
        tracemalloc.start()
    started = time.process_time()
    try:
        outcome = check(path)
        peak = tracemalloc.get_traced_memory()[1] if measured else 0
    except Fault:
        raise
    except Exception as error:
        msg = f"raised {type(error).__name__}: {str(error)[:300]}"
        raise Fault(msg) from error
    finally:
        tracemalloc.stop()
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds, size = time.process_time() - started, path.stat().st_size
    if seconds > (bounds.seconds + bounds.seconds_a_megabyte * size / 1e6) * (5 if measured else 1):
        msg = f"took {seconds:.1f} s"
        raise Fault(msg)
    if peak > bounds.memory + bounds.times_the_file * size:
        msg = f"took {peak / 2**20:.1f} MiB of memory for a file of {size} bytes"
        raise Fault(msg)
    return outcome


def run(
    make: Callable[[Rng], bytes],
    check: Callable[[Path], str],
    cases: range,
    seed: int,
    *,
    name: str = "case",
    bounds: Bounds = BOUNDS,
    keep: Path | None = None,
    tell: Callable[[str], Any] = lambda _: None,
) -> tuple[Counter[str], list[str]]:
    """Return how often each outcome came, and the faults; files of cases at fault are kept where that is asked for.

    Memory is measured in one case of twenty.
    """
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    with TemporaryDirectory() as folder, watched():
        for i in cases:
            path = Path(folder) / name
            path.write_bytes(make(np.random.default_rng([seed, i])))
            try:
                outcomes[run_case(check, path, bounds, measured=i % 20 == 0)] += 1
            except Fault as fault:
                outcomes["FAULT"] += 1
                faults.append(f"case {i}: {fault}")
                tell(faults[-1])
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{i}-{name}").write_bytes(path.read_bytes())
            if (i + 1) % 5000 == 0:
                tell(f"{i + 1} cases: {dict(outcomes)}")
    return outcomes, faults


def main(
    make: Callable[[Rng], bytes], check: Callable[[Path], str], description: str, name: str, bounds: Bounds = BOUNDS
) -> int:
    """Run the command line of a fuzzer; 1 where there were faults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cases", type=int, default=1000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=0, help="all cases follow from it")
    parser.add_argument("--keep", type=Path, help="a folder for the files of cases at fault")
    options = parser.parse_args()
    started = time.perf_counter()
    cases = range(options.start, options.start + options.cases)
    tell = functools.partial(print, flush=True)
    outcomes, faults = run(make, check, cases, options.seed, name=name, bounds=bounds, keep=options.keep, tell=tell)
    print(f"{options.cases} cases, {len(faults)} faults, {time.perf_counter() - started:.0f} s: {dict(outcomes)}")
    return 1 if faults else 0
