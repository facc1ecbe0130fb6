"""A run within its time: case after case, the file written after each."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module, util
from pathlib import Path
from typing import Any

from mlpx.bench.gpu.cases import OWN, Case
from mlpx.bench.gpu.results import CaseFigures, GpuResults, save
from mlpx.bench.gpu.timing import LONG_SPAN, SHORT_SPAN, Clock, measure
from mlpx.bench.machine import describe_machine
from mlpx.bench.peers import STEPS
from mlpx.bench.places import find_backend

#: No case is begun with less time left.
LEAST_SECONDS = 5.0
#: Part of the time that is left which one case may take for its rounds.
PART = 0.25

Report = Callable[[str], None]


def run(
    cases: Sequence[Case],
    start: GpuResults,
    output: Path | None,
    *,
    report: Report = lambda _: None,
    clock: Clock = time.perf_counter,
    begin: float | None = None,
) -> GpuResults:
    """Measure cases until the time is used up.

    Parameters
    ----------
    cases : sequence of Case
        The most important first.
    start : GpuResults
        The description of the run, and its seconds.
    output : Path or None
        The file that is written after each case, once there is something to write.
    report : callable
        Told what is measured next.
    clock : callable
        Gives seconds.
    begin : float, optional
        The clock's time from which the seconds count; by default now.
    """
    begin, found = clock() if begin is None else begin, start
    deadline = begin + start.seconds
    for case in cases:
        left = deadline - clock()
        if left < LEAST_SECONDS:
            found = replace(found, skipped=(*found.skipped, case.name))
            continue
        report(f"{start.seconds - left:4.0f} s  {case.group}: {case.name}")
        seconds = min(case.seconds, PART * left)
        span = SHORT_SPAN if start.quick else LONG_SPAN
        results, failures = measure(list(case.contenders), seconds=seconds, deadline=deadline, span=span, clock=clock)
        work = case.group, case.name, case.precision, case.per, case.count, case.flop, case.bytes
        found = found.with_case(CaseFigures(*work, tuple(results), failures), clock() - begin)
        release()
        if output is not None and found.measured:
            save(found, output)
    found = replace(found, spent=clock() - begin)
    if output is not None and found.measured:
        save(found, output)
    return found


def release() -> None:
    """Let every library that is loaded give back the device's memory."""
    gc.collect()
    for place in STEPS.values():
        if place in sys.modules:
            sys.modules[place].release()


def missing(device: str) -> list[str]:
    """Say of each library why it does not find a device, or nothing where one does."""
    reasons = []
    for name in OWN[True]:
        try:
            find_backend(f"{name}:{device}")
        except Exception as error:
            reasons.append(f"{name}: {' '.join(str(error).split())}")
        else:
            return []
    return reasons


def described(device: str, seconds: float, *, quick: bool) -> GpuResults:
    """Return the description of a run that has measured nothing yet."""
    software: dict[str, str] = {}
    for library, place in STEPS.items():
        if util.find_spec(library) is not None:
            software |= _told(place)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return GpuResults(date, device, describe_machine(), software, seconds, 0.0, quick)


def _told(place: str) -> dict[str, str]:
    """Return what a library tells of itself; one that cannot be loaded says why."""
    try:
        module: Any = import_module(place)
        return dict(module.describe())
    except Exception as error:
        return {place.rpartition(".")[2]: f"failed: {type(error).__name__}: {error}"[:200]}
