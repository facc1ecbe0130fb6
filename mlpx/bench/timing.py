"""Timing: contenders take turns, so that what the machine does besides falls on all of them alike.

Before the first round every contender runs until it is warm (compilation, caches), and the number of its runs a turn
is set so that a turn takes at least two milliseconds. Then each round gives every contender one turn, beginning with
another one each time, until the time is spent. A figure is the median over the rounds, with its quartiles; a ratio is
the median of the quotients within the rounds.
"""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles

from mlpx.bench.case import Case, Contender

Clock = Callable[[], float]

#: A turn takes at least so many seconds: far more than the clock's resolution and an interrupt.
SHORTEST_TURN = 2e-3
#: A run shorter than this is made once untimed at the beginning of a turn, until other contenders' threads sleep.
SHORT_RUN = 20e-3
FEWEST_ROUNDS, MOST_ROUNDS = 3, 101


@dataclass(frozen=True)
class Result:
    """What one contender took.

    Attributes
    ----------
    name, settings, device : str
        As the contender says.
    median, low, high : float
        Median and quartiles over the rounds, in the case's unit, for one `per`.
    ratio : float or None
        Median over the rounds of its time divided by that of the case's first contender; None where that is zero.
    rounds, repetitions : int
        Rounds, and runs a turn.
    """

    name: str
    median: float
    low: float
    high: float
    ratio: float | None
    rounds: int
    repetitions: int
    settings: str = ""
    device: str = "cpu"

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, divided by the median."""
        return (self.high - self.low) / (2 * self.median) if self.median else 0.0


@dataclass(frozen=True)
class CaseResult:
    """What was measured of a case.

    Attributes
    ----------
    suite, group, name, per, unit, flop, bytes, parameters
        As the case says.
    results : tuple of Result
        One a contender that ran, the reference first.
    failures : dict
        Why a contender did not run, by its name.
    """

    suite: str
    group: str
    name: str
    per: str
    unit: str
    flop: float | None
    bytes: float | None
    parameters: dict[str, object]
    results: tuple[Result, ...]
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the case in every run."""
        return self.suite, self.group, self.name

    @property
    def title(self) -> str:
        """Group and name."""
        return ", ".join(filter(None, (self.group, self.name)))

    def result(self, name: str) -> Result | None:
        """Return what the contender of this name took.

        Parameters
        ----------
        name : str
            As the contender is called.

        Returns
        -------
        Result or None
            None where it did not run.
        """
        return next((result for result in self.results if result.name == name), None)


class _Runner:
    """A prepared contender."""

    def __init__(self, contender: Contender, count: int, clock: Clock) -> None:
        self.contender = contender
        self.clock = clock
        self.run = contender.prepare()
        self.count = contender.count or count
        self.repetitions = 1

    def turn(self) -> float:
        """Return the seconds of one run, from as many as a turn has."""
        run, repetitions = self.run, range(self.repetitions)
        start = self.clock()
        for _ in repetitions:
            run()
        return (self.clock() - start) / self.repetitions

    def warm_up(self, seconds: float) -> None:
        """Run until warm, at least twice, and set the runs a turn."""
        end = self.clock() + seconds
        self.run()
        each = self.turn()
        while each * self.repetitions < SHORTEST_TURN or self.clock() < end:
            wanted = math.ceil(1.2 * SHORTEST_TURN / each) if each > 0 else 10 * self.repetitions
            self.repetitions = max(self.repetitions, min(wanted, 10 * self.repetitions))
            each = self.turn()
        self.settles = each < SHORT_RUN

    def settled_turn(self) -> float:
        """Return the seconds of one `per`; what another contender left in caches and thread pools is over by then."""
        if self.settles:
            self.run()
        return self.turn() / self.count


def measure(case: Case, *, seconds: float = 1.0, clock: Clock = time.perf_counter) -> CaseResult:
    """Measure the contenders of a case in turn.

    Parameters
    ----------
    case : Case
        What to measure.
    seconds : float
        How long the rounds may take together; there are three at least, whatever they take. Preparation and
        compilation come on top.
    clock : callable
        Gives seconds.

    Returns
    -------
    CaseResult
        A contender that cannot be prepared or run is named among its `failures`, and the others go on.

    Examples
    --------
    >>> from mlpx.bench import Case, Contender, measure
    >>> ways = Contender("sum", lambda: lambda: sum(range(100))), Contender("max", lambda: lambda: max(range(100)))
    >>> found = measure(Case("examples", "100 numbers", ways, per="call"), seconds=0.01)
    >>> [result.name for result in found.results], found.results[0].ratio
    (['sum', 'max'], 1.0)
    """
    failures: dict[str, str] = {}
    if case.unit == "B":
        return _case_result(case, _count_bytes(case, failures), failures)
    with _garbage_kept():
        runners = _prepare(case, seconds, clock, failures)
        turns = _take_rounds(runners, seconds, clock)
    return _case_result(case, _summarize(runners, turns), failures)


@contextlib.contextmanager
def _garbage_kept() -> Iterator[None]:
    """Collect garbage now, and not while the clock runs."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _prepare(case: Case, seconds: float, clock: Clock, failures: dict[str, str]) -> list[_Runner]:
    """Prepare and warm every contender; what one raises keeps it out, and is noted."""
    runners = []
    for contender in case.contenders:
        try:
            runner = _Runner(contender, case.count, clock)
            runner.warm_up(0.1 * seconds / len(case.contenders))
            runners.append(runner)
        except Exception as error:
            failures[contender.name] = _reason(error)
    return runners


def _reason(error: Exception) -> str:
    """Tell an exception in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _take_rounds(runners: list[_Runner], seconds: float, clock: Clock) -> list[list[float]]:
    """Return the seconds of one `per`, by runner and round."""
    turns: list[list[float]] = [[] for _ in runners]
    end = clock() + seconds
    for round_ in range(MOST_ROUNDS if runners else 0):
        if round_ >= FEWEST_ROUNDS and clock() >= end:
            break
        for i in range(len(runners)):
            at = (i + round_) % len(runners)
            turns[at].append(runners[at].settled_turn())
    return turns


def _summarize(runners: list[_Runner], turns: list[list[float]]) -> list[Result]:
    """Return medians, quartiles and ratios."""
    results = []
    for runner, times in zip(runners, turns, strict=True):
        low, middle, high = quantiles(times, n=4, method="inclusive")
        quotients = [own / reference for own, reference in zip(times, turns[0], strict=True) if reference]
        who = runner.contender
        figures = middle, low, high, median(quotients) if quotients else None
        results.append(Result(who.name, *figures, len(times), runner.repetitions, who.settings, who.device))
    return results


def _count_bytes(case: Case, failures: dict[str, str]) -> list[Result]:
    """Return the bytes that each contender reports; a count needs no second run."""
    counts: list[tuple[Contender, float]] = []
    for contender in case.contenders:
        try:
            counts.append((contender, float(contender.prepare()()) / case.count))  # type: ignore[arg-type]
        except Exception as error:
            failures[contender.name] = _reason(error)
    reference = counts[0][1] if counts else 0.0
    return [
        Result(who.name, n, n, n, n / reference if reference else None, 1, 1, who.settings, who.device)
        for who, n in counts
    ]


def _case_result(case: Case, results: list[Result], failures: Mapping[str, str]) -> CaseResult:
    description = case.suite, case.group, case.name, case.per, case.unit, case.flop, case.bytes, dict(case.parameters)
    return CaseResult(*description, tuple(results), dict(failures))
