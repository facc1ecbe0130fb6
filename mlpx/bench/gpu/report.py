"""The results on the terminal, 80 columns wide: a table a case, and what the ratios come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlpx.bench import quantities
from mlpx.bench.gpu.results import CaseFigures, GpuResults
from mlpx.bench.gpu.timing import Figures, Spread

WIDTH = 80
HEADER = ("", "latency", "throughput", "enqueue", "±", "/ mlpx", "")
#: First losses that differ by more, relatively, are not those of the same step.
AGREEMENT = {"float64": 1e-10, "float32": 1e-4, "tf32": 1e-2, "float16": 3e-2, "bfloat16": 3e-2}


def lines(found: GpuResults) -> Iterator[str]:
    """Yield everything that a run found."""
    for case in found.cases:
        yield ""
        yield from case_lines(case, found)
    if found.skipped:
        yield from _wrapped(f"no time was left for: {'; '.join(found.skipped)}")
    for letter, answer in found.questions.items():
        yield from _wrapped(f"question {letter}: {answer}")
    yield ""
    yield f"{len(found.cases)} cases in {found.spent:.0f} of {found.seconds:.0f} s on {found.device}"


def case_lines(case: CaseFigures, found: GpuResults) -> Iterator[str]:
    """Yield the table of a case, its times for one `per`."""
    yield f"{case.name}: time a {case.per}"[:WIDTH]
    if case.results:
        yield from _aligned([HEADER, *(row(case, result, found) for result in case.results)])
    for name, reason in case.failures.items():
        yield f"  {name}: {reason}"[:WIDTH]
    yield from disagreements(case)


def row(case: CaseFigures, result: Figures, found: GpuResults) -> tuple[str, ...]:
    """Return the figures of a contender; the last cell is its rate, and the share of the measured peak."""
    times = [quantities.seconds(spread.median / case.count) for spread in spreads(result)]
    spread = quantities.share(result.throughput.share)
    return (f"  {result.name}", *times, spread, quantities.ratio(result.ratio), rate(case, result, found))


def spreads(result: Figures) -> tuple[Spread, Spread, Spread]:
    """Return latency, throughput and enqueue time."""
    return result.latency, result.throughput, result.enqueue


def rate(case: CaseFigures, result: Figures, found: GpuResults) -> str:
    """Write operations or bytes a second, with the share of the peak of the precision."""
    reached = case.rate(result)
    if reached is None:
        return ""
    if not case.flop:
        return quantities.rate(reached, "B/s")
    peak = found.peak(case.precision)
    share = f" {quantities.share(reached / peak)}" if peak and case.group != "products" else ""
    return f"{quantities.rate(reached, '')}{share}"


def disagreements(case: CaseFigures) -> Iterator[str]:
    """Yield a line for every contender whose first step has another loss than the first contender's."""
    losses = [(result.name, result.first_loss) for result in case.results if result.first_loss is not None]
    for name, loss in losses[1:]:
        first, expected = losses[0]
        if not abs(loss - expected) <= AGREEMENT.get(case.precision, 1e-4) * abs(expected):
            yield f"  {name}: first loss {loss:.6g}, but {first} has {expected:.6g}: not the same step"[:WIDTH]


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows, the first column to the left and the others to the right."""
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
    gap = "  " if sum(widths) + 2 * len(widths) - 2 <= WIDTH else " "
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(others, widths[1:], strict=True))]
        yield gap.join(cells).rstrip()


def _wrapped(text: str) -> Iterator[str]:
    from textwrap import wrap

    yield from wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
