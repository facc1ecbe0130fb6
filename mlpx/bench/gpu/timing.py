"""Latency, throughput and enqueue time of contenders that take turns.

Every contender is built, takes its first step (whose loss is kept, so that all can be seen to do the same) and is
warmed up. Then rounds begin, each with another contender first. A round of a contender is: single steps with a wait
after each (latency), a few steps by the host's clock from an idle device (enqueue), and many steps in a row
(throughput). What would not end before the deadline, as far as the steps so far can tell, is not begun.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median, quantiles

from mlpx.bench.gpu.steps import Steps

Clock = Callable[[], float]

#: A span of throughput has so many steps at least, unless they take longer than these seconds.
MANY_STEPS, LONG_SPAN = 200, 0.5
SHORT_SPAN = 0.02
FEWEST_STEPS = 4
#: Steps of one measurement of latency and of enqueuing, which must not fill the device's queue.
SINGLE_STEPS, FEW_STEPS = 10, 8
FEWEST_ROUNDS, MOST_ROUNDS = 3, 31
#: Events see at least this part of what the host waits for, but for a wait's own seconds.
SEEN, SETTLING = 0.8, 2e-4
LATE = "not run: the time was used up"


class OutOfTime(Exception):  # noqa: N818
    """What comes next would not end before the deadline."""


@dataclass(frozen=True)
class Contender:
    """One way of making the steps of a case.

    Attributes
    ----------
    name, settings : str
        Such as ``"torch graph"``, and how it was set.
    prepare : callable
        Returns the `Steps`.
    compiles : bool
        Whether it compiles for so long that it is left out where little time is left.
    """

    name: str
    prepare: Callable[[], Steps]
    settings: str = ""
    compiles: bool = False


@dataclass(frozen=True)
class Spread:
    """Median, least and quartiles over the rounds, in seconds a step."""

    median: float
    least: float
    low: float
    high: float

    @staticmethod
    def of(times: list[float]) -> Spread:
        """Sum up the times of some rounds."""
        low, middle, high = quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
        return Spread(middle, min(times), low, high)

    @property
    def share(self) -> float:
        """Half the distance of the quartiles, divided by the median."""
        return (self.high - self.low) / (2 * self.median) if self.median else 0.0


@dataclass(frozen=True)
class Figures:
    """What one contender took, in seconds a step or a call.

    Attributes
    ----------
    name, settings : str
        As the contender says.
    latency, throughput, enqueue : Spread
        One step with the wait; many in a row; the host's part.
    wall : float
        Throughput by the host's clock, the wait at the end included.
    ratio : float or None
        Median over the rounds of its throughput time over that of the case's first contender.
    first_loss : float or None
        Loss of the first step.
    clock : str
        Whose clock measured throughput: ``"events"`` is the device's.
    steps, block, rounds : int
        Steps of a span of throughput, steps that are handed over at once, and rounds.
    preparation : float
        Seconds until it was warm, compilation included.
    facts : dict
        What else it told.
    """

    name: str
    settings: str
    latency: Spread
    throughput: Spread
    enqueue: Spread
    wall: float
    ratio: float | None
    first_loss: float | None
    clock: str
    steps: int
    block: int
    rounds: int
    preparation: float
    facts: dict[str, object] = field(default_factory=dict)


class Turns:
    """A prepared contender, and what its rounds took.

    Parameters
    ----------
    contender : Contender
        Whom to measure.
    clock : callable
        Gives seconds.
    deadline : float
        The clock's time at which it has to be warm.
    span : float
        Seconds that many steps in a row take about.

    Raises
    ------
    OutOfTime
        Where the warm-up would not end before the deadline.
    """

    def __init__(self, contender: Contender, clock: Clock, deadline: float = math.inf, span: float = LONG_SPAN) -> None:
        begin = clock()
        self.contender, self._clock, self._deadline = contender, clock, deadline
        self.steps = contender.prepare()
        self.clock = self.steps.clock
        self._check(0.0)
        self.steps.restart()
        self._issue_and_wait(1)
        self.first_loss = self.steps.loss()
        self.count = self._warm_up(span)
        self.preparation = clock() - begin
        self.latency: list[float] = []
        self.enqueue: list[float] = []
        self.throughput: list[float] = []
        self.wall: list[float] = []

    def _issue_and_wait(self, count: int) -> float:
        begin = self._clock()
        self.steps.issue(count)
        self.steps.wait()
        return self._clock() - begin

    def _check(self, seconds: float) -> None:
        if self._clock() + seconds > self._deadline:
            raise OutOfTime

    def _warm_up(self, span: float) -> int:
        """Make some steps, and return how many a span of throughput has.

        A captured plan makes its first steps as they stand and is captured after that, by the number of steps: single
        steps come once more behind two blocks.
        """
        block = self.steps.block
        times: list[float] = []
        for count in (1, block, block, 1, block):
            self._check(count * min(times, default=0.0))
            times.append(self._issue_and_wait(count) / count)
        self.each = each = max(times[-1], 1e-9)
        wanted = min(MANY_STEPS, max(FEWEST_STEPS, span / each))
        wanted = max(wanted, SHORT_SPAN / each)
        count = math.ceil(wanted / block) * block
        few = min(count, math.ceil(MANY_STEPS / block) * block)
        self._check(few * each)
        self._issue_and_wait(few)
        return count

    @property
    def single(self) -> int:
        """Single steps of a round."""
        return max(1, min(SINGLE_STEPS, int(SHORT_SPAN / self.each)))

    @property
    def few(self) -> int:
        """Steps whose enqueuing is measured."""
        return self.steps.block if self.steps.block > 1 else FEW_STEPS

    @property
    def expected(self) -> float:
        """Seconds that a round takes about."""
        return (self.single + self.few + self.count) * self.each

    def turn(self) -> None:
        """Take one round."""
        self.steps.wait()
        self.latency.append(median(self._issue_and_wait(1) for _ in range(self.single)))
        begin = self._clock()
        self.steps.issue(self.few)
        self.enqueue.append((self._clock() - begin) / self.few)
        self.steps.wait()
        self._span()

    def _span(self) -> None:
        watch = self.steps.stopwatch()
        begin = self._clock()
        watch.start()
        self.steps.issue(self.count)
        watch.stop()
        spanned = watch.seconds()
        self.steps.wait()
        wall = self._clock() - begin
        if spanned < SEEN * wall - SETTLING:
            # work on a stream that the events are not ordered with; the host's clock sees it
            self.clock, spanned = "host", wall
        self.wall.append(wall / self.count)
        self.throughput.append(spanned / self.count)

    def figures(self, reference: list[float]) -> Figures:
        """Sum up the rounds; `reference` has the throughput times of the first contender."""
        quotients = [own / other for own, other in zip(self.throughput, reference, strict=False) if other]
        return Figures(
            self.contender.name,
            self.contender.settings,
            Spread.of(self.latency),
            Spread.of(self.throughput),
            Spread.of(self.enqueue),
            median(self.wall),
            median(quotients) if quotients else None,
            self.first_loss,
            self.clock,
            self.count,
            self.steps.block,
            len(self.throughput),
            self.preparation,
            self.steps.facts(),
        )


def measure(
    contenders: list[Contender],
    *,
    seconds: float,
    deadline: float = math.inf,
    reserve: float = 60.0,
    span: float = LONG_SPAN,
    clock: Clock = time.perf_counter,
) -> tuple[list[Figures], dict[str, str]]:
    """Measure contenders in turn.

    Parameters
    ----------
    contenders : list of Contender
        The first is the reference.
    seconds : float
        What the rounds may take together; there are three at least.
    deadline : float
        The clock's time at which all has to be done: what would take longer is not begun.
    reserve : float
        Seconds that must be left for a contender that compiles long.
    span : float
        Seconds that many steps in a row take about.
    clock : callable
        Gives seconds.

    Returns
    -------
    figures : list of Figures
        Of those that ran.
    failures : dict
        Why the others did not, by name.
    """
    failures: dict[str, str] = {}
    ready: list[Turns] = []
    for contender in contenders:
        if clock() + (reserve if contender.compiles else 0.0) >= deadline:
            failures[contender.name] = LATE
            continue
        # those who are ready get a round
        latest = deadline - sum(turns.expected for turns in ready)
        _guarded(partial(_make_ready, ready, contender, clock, latest, span), contender.name, failures)
    _take_rounds(ready, seconds, deadline, failures, clock)
    failures |= {turns.contender.name: LATE for turns in ready if not turns.throughput} | failures
    measured = [turns for turns in ready if turns.contender.name not in failures and turns.throughput]
    first = contenders[0].name if contenders else ""
    reference = next((turns.throughput for turns in measured if turns.contender.name == first), [])
    return [turns.figures(reference) for turns in measured], failures


def _make_ready(ready: list[Turns], contender: Contender, clock: Clock, deadline: float, span: float) -> None:
    ready.append(Turns(contender, clock, deadline, span))


def _guarded(act: Callable[[], object], name: str, failures: dict[str, str]) -> None:
    """Act, and note what is raised as the failure of a contender."""
    try:
        act()
    except OutOfTime:
        failures[name] = LATE
    except Exception as error:
        lines = str(error).strip().splitlines()
        failures[name] = f"failed: {type(error).__name__}: {lines[0][:200] if lines else ''}".rstrip(": ")


def _take_rounds(ready: list[Turns], seconds: float, deadline: float, failures: dict[str, str], clock: Clock) -> None:
    end = min(clock() + seconds, deadline)
    for round_ in range(MOST_ROUNDS):
        if round_ >= FEWEST_ROUNDS and clock() >= end:
            break
        for i in range(len(ready)):
            turns = ready[(i + round_) % len(ready)]
            if turns.contender.name not in failures and clock() + turns.expected <= deadline:
                _guarded(turns.turn, turns.contender.name, failures)
