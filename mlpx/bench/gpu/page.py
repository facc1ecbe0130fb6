"""The part of the documentation's page "Measurements" that is about CUDA devices, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlpx.bench import quantities
from mlpx.bench import report as machines
from mlpx.bench.gpu import tested
from mlpx.bench.gpu.questions import worded
from mlpx.bench.gpu.report import CALLS, call_rows, disagreements, rate, spreads, told
from mlpx.bench.gpu.results import OWN, CaseFigures, GpuResults, load_folder
from mlpx.bench.gpu.timing import Figures
from mlpx.bench.page import markdown

NOTHING = "Not yet measured: no results of a CUDA device have been committed."
HEADER = ("", "latency", "throughput", "enqueue", "quartiles of the throughput", "over mlpx", "FLOP/s, of the peak")


def write_gpu(folder: str | Path) -> str:
    """Return the section about CUDA devices, made from the files of a folder.

    Parameters
    ----------
    folder : str or Path
        Where `mlpx.bench.gpu` and the tests on a device leave their files.
    """
    found = [results for results in load_folder(folder) if results.cases]
    parts = [part for results in found for part in of_device(results)]
    parts += [of_tests(report) for report in tested.load_folder(folder)]
    return "\n\n".join(parts or [NOTHING]) + "\n"


def of_device(results: GpuResults) -> Iterator[str]:
    """Yield the section of one run."""
    yield f"### {', '.join(gpu.name for gpu in results.machine.gpus) or results.device}"
    yield f"Measured on {results.date[:10]}, in {results.spent:.0f} seconds."
    yield markdown([("machine", ""), *fields(results)], numbers=False)
    rows = call_rows(results)
    if len(rows) > 1:
        yield "Products of one layer (rows x units before x units after) and copies, by throughput:"
        yield markdown(rows)
    for case in results.cases:
        if case.group not in CALLS:
            yield from of_case(case, results)
    yield from _remarks(results)


def fields(results: GpuResults) -> list[tuple[str, str]]:
    """Return what is known of the machine and its software."""
    known = machines.machine_fields(results.machine)
    return [(name, text) for name, text in [*known, *results.software.items()] if text]


def of_case(case: CaseFigures, results: GpuResults) -> Iterator[str]:
    """Yield the table of a network, and what did not run."""
    yield f"**{case.name}**, a {case.per}:"
    if case.results:
        yield markdown([HEADER, *(row(case, result, results) for result in case.results)])
    remarks = [f"{name}: {reason}" for name, reason in case.failures.items()]
    remarks += [line.strip() for line in disagreements(case)]
    if remarks:
        yield "\n".join(f"- {remark}" for remark in remarks)


def row(case: CaseFigures, result: Figures, results: GpuResults) -> tuple[str, ...]:
    """Return the figures of a contender."""
    own = result.name.split()[0] == OWN
    times = [quantities.seconds(spread.median / case.count) for spread in spreads(result)]
    low, high = (quantities.seconds(edge / case.count) for edge in (result.throughput.low, result.throughput.high))
    over = quantities.ratio(result.ratio) if case.results[0].name.split()[0] == OWN else ""
    name = f"**{result.name}**" if own else result.name
    return (name, *times, f"{low} to {high}", over, rate(case, result, results))


def _remarks(results: GpuResults) -> Iterator[str]:
    """Yield how each contender was set, what a captured plan holds, and the answers to the questions."""
    all_of = [(case, result) for case in results.cases for result in case.results]
    settings = dict.fromkeys((r.name, r.settings) for case, r in all_of if r.settings and case.group not in CALLS)
    if settings:
        yield "How each was set:"
        yield "\n".join(f"- {name}: {text}" for name, text in settings)
    if plans := [f"- {case.name}, {r.name}: {told(r.facts)}" for case, r in all_of if r.facts]:
        yield "What captured plans hold:"
        yield "\n".join(plans)
    if results.questions:
        yield "Small questions about the device:"
        yield "\n".join(f"- {worded(letter)} {told(answer)}" for letter, answer in results.questions.items())


def of_tests(report: Mapping[str, Any]) -> str:
    """Say how many tests passed on a device, and which failed."""
    counts = report["counts"]
    text = f"Tests on {report['device']} ({report['date'][:10]}): {counts['passed']} passed, {counts['failed']} failed"
    failed = "".join(f"\n- {each['name']}" for each in report["failures"])
    return f"{text}, {counts['skipped']} skipped.{failed}"
