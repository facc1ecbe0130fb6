"""The guard against getting slower: ``python -m mlpx.bench.guard benchmarks/results``.

It runs the short grid of the suites that time mlpx itself and compares ratios with those in the file of the machine
most alike. Absolute times are never compared. What looks slower is measured once more, with three times the time, and
only what is slower again is reported. The tolerance of a ratio grows with the scatter of its times, and where the runs
have another length than those of the file.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mlpx.bench import roofline
from mlpx.bench.machine import Machine
from mlpx.bench.places import default_backends
from mlpx.bench.ratios import BOUND, Ratio, ratios
from mlpx.bench.results import FOLDER, Results, load_folder
from mlpx.bench.roofline import Roofline
from mlpx.bench.running import measure_all, run
from mlpx.bench.suites import make_cases
from mlpx.bench.timing import CaseResult
from mlpx.cli.console import note, say, say_table, say_wrapped
from mlpx.tables.requirements import counted

#: A ratio may be larger by this part without a word.
TOLERANCE = 0.15
#: The roofline is not measured in turn with the cases.
TOLERANCE_OF_BOUNDS = 0.4
#: Runs of another length pay other shares of what a call of ``fit`` and an epoch cost.
TOLERANCE_OF_LENGTHS = 1.0
#: The suites that stand for mlpx; products and outer products are the hardware's and the libraries'.
GUARDED = ("training", "stacks", "memory")
#: Another processor has other ratios.
TOLERANCE_ELSEWHERE = 0.5
#: Half distances of the quartiles that count as scatter.
SCATTER = 2.0

Key = tuple[tuple[str, str, str], str]
"""A case and a kind of ratio."""


@dataclass(frozen=True)
class Slower:
    """A ratio that has grown by more than its tolerance."""

    key: Key
    now: Ratio
    then: Ratio
    tolerance: float

    @property
    def factor(self) -> float:
        """How many times slower."""
        return self.now.value / self.then.value


def likeness(machine: Machine, other: Machine) -> int:
    """Count what two machines have in common, what decides the speed first."""
    same = {
        16: machine.processor == other.processor,
        8: machine.cores == other.cores,
        4: [gpu.name for gpu in machine.gpus] == [gpu.name for gpu in other.gpus],
        2: machine.architecture == other.architecture,
        1: machine.blas.name == other.blas.name,
    }
    return sum(points for points, holds in same.items() if holds)


def most_alike(machine: Machine, committed: Sequence[Results]) -> Results | None:
    """Return the results of the machine most alike, the latest of equals."""
    return max(committed, key=lambda results: (likeness(machine, results.machine), results.date), default=None)


def all_ratios(cases: Iterable[CaseResult], roof: Roofline) -> dict[Key, Ratio]:
    """Return the ratios of all cases by case and kind."""
    return {(case.key, ratio.kind): ratio for case in cases for ratio in ratios(case, roof)}


def of_other_lengths(results: Results, reference: Results) -> set[tuple[str, str, str]]:
    """Return the keys of the cases whose runs are not those of the reference."""
    then = reference.by_key
    return {case.key for case in results.cases if case.key in then and case.parameters != then[case.key].parameters}


def find_slower(
    now: dict[Key, Ratio],
    then: dict[Key, Ratio],
    *,
    same_processor: bool,
    unlike: Collection[tuple[str, str, str]] = (),
) -> list[Slower]:
    """Return the ratios that have grown by more than their tolerance, the worst first; `unlike` cases have more."""
    found = []
    for key, ratio in now.items():
        if (before := then.get(key)) is not None:
            tolerance = tolerance_of(ratio, before, same_processor=same_processor)
            tolerance += TOLERANCE_OF_LENGTHS if key[0] in unlike else 0.0
            if ratio.value > before.value * (1 + tolerance):
                found.append(Slower(key, ratio, before, tolerance))
    return sorted(found, key=lambda slower: -slower.factor)


def tolerance_of(now: Ratio, then: Ratio, *, same_processor: bool) -> float:
    """Return by which part a ratio may have grown."""
    fixed = TOLERANCE_OF_BOUNDS if now.over == BOUND else TOLERANCE
    elsewhere = 0.0 if same_processor else TOLERANCE_ELSEWHERE
    return fixed + elsewhere + SCATTER * math.hypot(now.spread, then.spread)


def confirm(
    suspects: Sequence[Slower],
    results: Results,
    then: dict[Key, Ratio],
    *,
    same: bool,
    unlike: Collection[tuple[str, str, str]] = (),
) -> list[Slower]:
    """Measure suspects once more, the roofline too, and keep those that are slower again."""
    settings = results.settings
    names = {slower.key[0] for slower in suspects}
    grid = make_cases(settings.suites, full=settings.full, backends=settings.backends, dtypes=settings.dtypes)
    cases = [case for case in grid if case.key in names]
    roof = roofline.join(part() for _, part in roofline.parts(settings.backends, settings.dtypes))
    again = all_ratios(measure_all(cases, 3.0 * len(cases)), roof)
    suspected = {slower.key for slower in suspects}
    found = find_slower(again, then, same_processor=same, unlike=unlike)
    return [slower for slower in found if slower.key in suspected]


def check(results: Results, committed: Sequence[Results]) -> bool:
    """Compare a run with the committed results, say what got slower, and return whether nothing did."""
    reference = most_alike(results.machine, committed)
    if reference is None:
        say_wrapped("No results are committed, so there is nothing to compare with: `mlpx bench --save` writes them.")
        return True
    same = reference.machine.processor == results.machine.processor
    if not same:
        note(f"no committed machine has this processor; compared with {reference.machine.title}, tolerances wider")
    now, then = (all_ratios(found.cases, found.roofline) for found in (results, reference))
    unlike = of_other_lengths(results, reference)
    slower = find_slower(now, then, same_processor=same, unlike=unlike)
    if slower:
        note(f"measuring {counted(len(slower), 'suspected ratio')} again")
        slower = confirm(slower, results, then, same=same, unlike=unlike)
    say_verdict(slower, reference, compared=len(now.keys() & then.keys()), new=len(now.keys() - then.keys()))
    return not slower


def say_verdict(slower: Sequence[Slower], reference: Results, *, compared: int, new: int) -> None:
    """Write what got slower, or that nothing did."""
    what = f"{counted(compared, 'ratio')} compared with {reference.machine.title} of {reference.date[:10]}"
    rest = f"; {counted(new, 'ratio')} not measured then" if new else ""
    say_wrapped(f"{what}{rest}: {counted(len(slower), 'ratio') + ' got worse' if slower else 'nothing got slower'}.")
    if not slower:
        return
    rows = [("slower", "ratio", "then", "now", "times", "allowed")]
    for item in slower:
        (suite, group, name), kind = item.key
        where = ", ".join(filter(None, (suite, group, name)))
        figures = f"{item.then.value:.2f}", f"{item.now.value:.2f}", f"{item.factor:.2f}", f"{1 + item.tolerance:.2f}"
        rows.append((where, kind, *figures))
    say()
    say_table(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the short suites and return 1 where something got slower.

    Parameters
    ----------
    arguments : sequence of str, optional
        The folder of the committed results; by default that of a clone.
    """
    parser = argparse.ArgumentParser(prog="python -m mlpx.bench.guard", description="Say what got slower.")
    parser.add_argument("folder", nargs="?", default=FOLDER, help=f"folder of the committed results ({FOLDER})")
    committed = load_folder(parser.parse_args(arguments).folder)
    results = run(GUARDED, full=False, backends=default_backends(), dtypes=["float32"])
    return 0 if check(results, committed) else 1


if __name__ == "__main__":
    sys.exit(main())
