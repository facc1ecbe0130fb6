"""Results on the terminal: the machine, its roofline, and a table or a few lines for every case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from mlpx.bench import quantities
from mlpx.bench.machine import Machine
from mlpx.bench.ratios import best_peer, floor, is_own, quotient
from mlpx.bench.results import Results
from mlpx.bench.roofline import Roofline
from mlpx.bench.timing import CaseResult, Result
from mlpx.cli.console import note, say, say_fields, say_table, say_wrapped, width
from mlpx.tables.requirements import counted

Row = tuple[str, ...]

TITLES = {
    "products": "Products of a layer",
    "outer": "Outer-product gradients, four ways",
    "training": "Training",
    "stacks": "Stacks of networks",
    "memory": "Memory",
    "estimators": "Estimators and their search, beside scikit-learn's own",
    "diagnostics": "Training with and without diagnostics",
}
#: What a suite's figures cannot be below.
PRODUCTS = "the products alone"
FLOOR_OF = {"memory": "the bytes of the plan"}
#: More other work than this, and times scatter.
BUSY = 0.5


def say_results(results: Results) -> None:
    """Write everything that a run found."""
    say_machine(results)
    for suite in dict.fromkeys(case.suite for case in results.cases):
        say()
        say_suite(suite, results)
    say_short(results)
    if results.settings.load is not None and results.settings.load > BUSY:
        note(f"other work was running (load {results.settings.load}): trust the ratios less, and the times not at all")


def say_machine(results: Results) -> None:
    """Write what was measured on, and what it reaches."""
    say_fields([*machine_fields(results.machine), *roofline_fields(results.roofline)])


def machine_fields(machine: Machine) -> list[tuple[str, str]]:
    """Describe a machine in labelled lines."""
    blas, threads = machine.blas, machine.blas.threads
    cores = f"{machine.cores} of {machine.all_cores} cores" if machine.cores < machine.all_cores else ""
    caches = ", ".join(f"{level} {quantities.size(size)}" for level, size in machine.caches.items())
    return [
        ("processor", "; ".join(filter(None, [machine.title.partition(", N")[0], cores, caches]))),
        ("memory", quantities.size(machine.memory) if machine.memory else ""),
        ("GPU", ", ".join(f"{gpu.name} (driver {gpu.driver})" for gpu in machine.gpus)),
        ("system", f"{machine.system}, {machine.python}"),
        ("BLAS", f"{blas.name} {blas.version}" + (f", {counted(threads, 'thread')}" if threads else "")),
        ("libraries", ", ".join(f"{name} {version}" for name, version in machine.libraries.items())),
        ("variables", ", ".join(f"{name}={value}" for name, value in machine.variables.items())),
    ]


def roofline_fields(roofline: Roofline) -> list[tuple[str, str]]:
    """Tell the measured peaks and bandwidths in labelled lines."""
    peaks = [f"{p.backend} {p.dtype} {quantities.rate(p.rate, 'FLOP/s')}" for p in roofline.peaks]
    copies = [f"{quantities.size(c.size)} at {quantities.rate(c.rate, 'B/s')}" for c in roofline.copies]
    return [("products", ", ".join(peaks)), ("copies", ", ".join(copies))]


def say_suite(suite: str, results: Results) -> None:
    """Write the cases of a suite, by their groups."""
    cases = results.of(suite)
    say_wrapped(f"{TITLES.get(suite, suite)}: {heading(cases)}" if cases else f"{TITLES.get(suite, suite)}: no results")
    for group, members in groupby(cases, key=lambda case: case.group):
        say()
        say_group(group, list(members), results.roofline)
    for case in results.cases:
        for name, reason in case.failures.items() if case.suite == suite else ():
            say_wrapped(f"{case.title}, {name}: did not run ({reason})")


def heading(cases: Sequence[CaseResult]) -> str:
    """Say what the figures of a table are."""
    per = ", ".join(dict.fromkeys(case.per for case in cases))
    units = {case.unit for case in cases}
    what = " and ".join(word for unit, word in (("s", "time"), ("B", "memory")) if unit in units)
    bound = ", and the share of what the roofline allows" if any(case.flop for case in cases) else ""
    return f"{what} a {per}{bound}"


def say_group(group: str, cases: Sequence[CaseResult], roofline: Roofline) -> None:
    """Write a column a contender where the terminal has room, without shares where it has less, else a line each."""
    several = any(len(case.results) > 1 for case in cases)
    for table in (matrix(group, cases, roofline), matrix(group, cases, Roofline())) if several else ():
        if fits(table):
            say_table(table)
            return
    if group:
        say(group)
    for case in cases:
        say_table(lines(case, roofline))


def fits(table: Sequence[Row]) -> bool:
    """Say whether a table can be written as one."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return sum(widths) + 3 * len(widths) - 3 <= width()


def matrix(group: str, cases: Sequence[CaseResult], roofline: Roofline) -> list[Row]:
    """Return one row a case and one column a contender."""
    names = list(dict.fromkeys(result.name for case in cases for result in case.results))
    rows = [(group, *names)]
    for case in cases:
        rows.append((case.name, *(_cell(case, case.result(name), roofline) for name in names)))
    return rows


def _cell(case: CaseResult, result: Result | None, roofline: Roofline) -> str:
    if result is None:
        return "-"
    part = roofline.share(case, result)
    time = quantities.quantity(result.median, case.unit)
    return time if part is None else f"{time} {quantities.share(part):>5}"


def lines(case: CaseResult, roofline: Roofline) -> list[Row]:
    """Return one row a contender: figure, quartiles, ratio, share of the bound."""
    rows = [(case.name, "memory" if case.unit == "B" else "time", "spread", "ratio", "of bound")]
    for result in case.results:
        part = quantities.share(roofline.share(case, result))
        spread = f"±{quantities.share(result.spread)}" if result.rounds > 1 else ""
        figure = quantities.quantity(result.median, case.unit)
        rows.append((f"  {result.name}", figure, spread, quantities.ratio(result.ratio), part))
    kept = [i for i in range(5) if i == 0 or any(row[i] for row in rows[1:])]
    return [tuple(row[i] for i in kept) for row in rows]


def say_short(results: Results) -> None:
    """Write the ratios that count, one line a case and backend of mlpx."""
    for suite in dict.fromkeys(case.suite for case in results.cases):
        tables = [(group, list(short_rows(cases))) for group, cases in groupby(results.of(suite), lambda c: c.group)]
        if any(rows for _, rows in tables):
            say()
            least = FLOOR_OF.get(suite, PRODUCTS)
            over = f", and to {least}" if any(map(floor, results.of(suite))) else ""
            say_wrapped(f"{TITLES.get(suite, suite)} in short: the ratio of mlpx to the best peer{over}")
            for group, rows in tables:
                say()
                say_table(
                    [
                        (group or "below 1 is faster", "mlpx on", "best peer", "over it", f"over {least.split()[-1]}"),
                        *rows,
                    ]
                )


def short_rows(cases: Iterable[CaseResult]) -> Iterator[Row]:
    """Yield case, backend, best peer, and the ratios to it and to the floor."""
    for case in cases:
        peer, least = best_peer(case), floor(case)
        for result in case.results:
            if is_own(result) and (peer or least):
                over = [quantities.ratio(quotient(result, other)) if other else "" for other in (peer, least)]
                yield (case.name, result.name.partition(" ")[2], peer.name if peer else "", *over)
