"""Running suites within a given time: first the roofline, then case after case."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from mlpx.bench import roofline
from mlpx.bench.case import Case
from mlpx.bench.machine import describe_machine
from mlpx.bench.results import Results, Settings
from mlpx.bench.suites import make_cases
from mlpx.bench.timing import CaseResult, measure

#: Seconds for all cases together, of the short grid and of the whole one.
SECONDS = {False: 45.0, True: 600.0}
#: A suite whose figures matter more, or scatter more, gets more time a contender.
WEIGHT = {"training": 5.0, "stacks": 5.0, "memory": 0.0}
LEAST_SECONDS, MOST_SECONDS = 0.05, 20.0
#: Seconds a contender beyond which the rounds of a small piece of work gain nothing, on either grid.
ENOUGH = {False: 0.06, True: 0.5}
LIGHT = ("products", "outer")

Report = Callable[[str], None]
"""Told what has just been measured."""


def run(
    suites: Sequence[str], *, full: bool, backends: Sequence[str], dtypes: Sequence[str], progress: bool = True
) -> Results:
    """Run some suites.

    Parameters
    ----------
    suites, full, backends, dtypes
        As for `mlpx.bench.suites.make_cases`.
    progress : bool
        Whether to show a bar, where standard error is a terminal.

    Returns
    -------
    Results
    """
    load, start = _load(), datetime.now(UTC)
    settings = Settings(full, tuple(suites), tuple(backends), tuple(dtypes), SECONDS[full], load)
    cases = make_cases(suites, full=full, backends=backends, dtypes=dtypes)
    parts = roofline.parts(backends, dtypes)
    with _bar(len(parts) + len(cases), show=progress) as (announce, advance):
        roof = roofline.join(_each(parts, announce, advance))
        found = tuple(measure_all(cases, SECONDS[full], announce, advance, enough=ENOUGH[full]))
    return Results(start.isoformat(timespec="seconds"), describe_machine(), settings, roof, found)


def _each(
    parts: Sequence[tuple[str, Callable[[], roofline.Roofline]]], announce: Report, advance: Callable[[], object]
) -> Iterator[roofline.Roofline]:
    for name, part in parts:
        announce(name)
        yield part()
        advance()


def measure_all(
    cases: Sequence[Case],
    seconds: float,
    announce: Report = lambda _: None,
    advance: Callable[[], object] = lambda: None,
    *,
    enough: float = ENOUGH[True],
) -> Iterator[CaseResult]:
    """Measure cases one after another; what one takes too long, the others give back."""
    end = time.perf_counter() + seconds
    weights = [len(case.contenders) * WEIGHT.get(case.suite, 1.0) for case in cases]
    for i, case in enumerate(cases):
        announce(f"{case.suite}: {case.title}")
        part = (end - time.perf_counter()) * weights[i] / (sum(weights[i:]) or 1.0)
        most = enough * len(case.contenders) if case.suite in LIGHT else MOST_SECONDS
        yield measure(case, seconds=max(min(part, most), LEAST_SECONDS))
        advance()


@contextmanager
def _bar(total: int, *, show: bool) -> Iterator[tuple[Report, Callable[[], object]]]:
    """Show how many parts are done and which one is under way; nothing where standard error is no terminal."""
    from tqdm import tqdm  # imported when first used

    form = "{percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} {elapsed} {desc}"
    with tqdm(total=total, disable=None if show else True, bar_format=form, dynamic_ncols=True, leave=False) as bar:
        yield lambda name: bar.set_description_str(name), bar.update


def _load() -> float | None:
    """Return how many processes have wanted a core in the last minute, where the system tells."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
