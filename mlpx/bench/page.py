"""The documentation's page "Measurements": Markdown and pictures from the files under ``benchmarks/results/``."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from mlpx.bench import compare, quantities, report
from mlpx.bench.ratios import best_peer, floor, is_own, quotient
from mlpx.bench.results import Results, picture_prefixes
from mlpx.bench.timing import CaseResult

NOTHING = "No results have been committed yet."
CAPTIONS = {
    "roofline": "Products of a layer under the roofline: the flat roof is the peak rate, the slopes are bandwidths.",
    "batches": "Time of a forward product over the batch size, by width; bands are quartiles.",
    "outer": "Four ways to the weight gradient, over the batch size.",
    "training": "Time of a training step, divided by that of mlpx; left of the line is faster than mlpx.",
    "stacks": "Time of a member's step over the number of members.",
}
TOGETHER = {
    "rates": "Peak rates of products, and of copies in memory.",
    "batches": "Time of a forward product over the batch size, each machine with its fastest backend.",
    "training": "Time of a training step of mlpx over that of the best peer.",
}


def write_page(machines: Sequence[Results], pictures: Path, link: str) -> str:
    """Return the part of the page that is made from results, and write its pictures.

    Parameters
    ----------
    machines : sequence of Results
        None, one or several.
    pictures : Path
        The folder for the pictures.
    link : str
        How the page refers to that folder.
    """
    if not machines:
        return f"{NOTHING}\n"
    from mlpx.bench import plots  # needs matplotlib

    drawn = {path.stem: f"{link}/{path.name}" for path in plots.save_all(machines, pictures, ".svg")}
    parts = list(across(machines, drawn)) if len(machines) > 1 else []
    for label, prefix, results in zip(compare.labels(machines), picture_prefixes(machines), machines, strict=True):
        parts += of_machine(label if len(machines) > 1 else "", prefix, results, drawn)
    return "\n\n".join(parts) + "\n"


def across(machines: Sequence[Results], drawn: dict[str, str]) -> Iterator[str]:
    """Yield the tables and pictures of all machines together."""
    yield "## Across machines"
    yield "\n".join(f"- **{label}**: {text}" for label, text in compare.legend(machines))
    yield from _pictures("machines", TOGETHER, drawn)
    for table in compare.tables(machines):
        yield f"### {table.title}"
        yield table.text
        yield markdown(table.rows)


def of_machine(label: str, prefix: str, results: Results, drawn: dict[str, str]) -> Iterator[str]:
    """Yield the section of one machine."""
    letter = f"{label}: " if label else ""
    yield f"## {letter}{results.machine.title}"
    yield _conditions(results)
    fields = [*report.machine_fields(results.machine), *report.roofline_fields(results.roofline)]
    yield markdown([("machine", ""), *((name, text) for name, text in fields if text)], numbers=False)
    for suite in dict.fromkeys(case.suite for case in results.cases if case.results):
        yield f"### {letter}{report.TITLES.get(suite, suite)}"
        kinds = ("roofline", "batches") if suite == "products" else (suite,)
        yield from _pictures(prefix, {kind: CAPTIONS[kind] for kind in kinds if kind in CAPTIONS}, drawn)
        yield from _suite(suite, results)


def _conditions(results: Results) -> str:
    settings = results.settings
    grid = "the whole grid" if settings.full else "the short grid"
    load = "" if settings.load is None else f" Load just before: {settings.load:g}."
    return f"Measured on {results.date[:10]}, {grid}, on {', '.join(settings.backends)}.{load}"


def _pictures(prefix: str, captions: dict[str, str], drawn: dict[str, str]) -> Iterator[str]:
    for kind, caption in captions.items():
        if path := drawn.get(f"{prefix}-{kind}"):
            yield f"```{{figure}} {path}\n:alt: {caption}\n\n{caption}\n```"


def _suite(suite: str, results: Results) -> Iterator[str]:
    """Yield the tables of a suite; grids are folded away."""
    cases = results.of(suite)
    if any(is_own(result) for case in cases for result in case.results):
        yield from _beside_peers(cases)
        return
    if suite == "outer":
        yield markdown([("sizes", "the fastest way, by batch size"), *compare.fastest_ways(results)], numbers=False)
    yield f"{report.heading(cases).capitalize()}:"
    for group, members in groupby(cases, key=lambda case: case.group):
        table = markdown(report.matrix("", list(members), results.roofline))
        yield f"<details><summary>{html.escape(group)}</summary>\n\n{table}\n\n</details>"


def _beside_peers(cases: Sequence[CaseResult]) -> Iterator[str]:
    """Yield one table a case, with its quotients, and how each contender was set."""
    least = report.FLOOR_OF.get(cases[0].suite, report.PRODUCTS)
    header = ("", "median", "quartiles", "over the best peer", f"over {least}")
    for case in cases:
        rows: list[tuple[str, ...]] = [header]
        for result in case.results:
            others = best_peer(case), floor(case)
            over = [quantities.ratio(quotient(result, other)) if other else "" for other in others]
            low, high, median = (quantities.quantity(n, case.unit) for n in (result.low, result.high, result.median))
            name = f"**{result.name}**" if is_own(result) else result.name
            rows.append((name, median, f"{low} to {high}" if result.rounds > 1 else "", *over))
        yield f"**{case.title}**, a {case.per}:"
        yield markdown(rows)
    yield "How each was set:"
    yield "\n".join(f"- {name}: {settings}" for name, settings in settings_of(cases))


def settings_of(cases: Iterable[CaseResult]) -> list[tuple[str, str]]:
    """Return the settings of every contender, each once."""
    found = dict.fromkeys((r.name, r.settings) for case in cases for r in case.results if r.settings)
    return list(found)


def markdown(rows: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    """Write a table in Markdown, the first column to the left and numbers to the right."""
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    align = "|---|" + ("---:|" if numbers else "---|") * (len(rows[0]) - 1)
    return "\n".join([lines[0], align, *lines[1:]])
