"""The results on the terminal, 80 columns wide: a table a case, and what the ratios come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from mlpx.bench import quantities
from mlpx.bench.gpu.questions import worded
from mlpx.bench.gpu.results import OWN, CaseFigures, GpuResults
from mlpx.bench.gpu.timing import Figures, Spread

WIDTH = 80
HEADER = ("", "latency", "throughput", "enqueue", "±", "/ mlpx", "FLOP/s")
#: Groups of single calls, which are told by their rates.
CALLS = ("products", "copies")
#: First losses that differ by more, relatively, are not those of the same step.
AGREEMENT = {"float64": 1e-10, "float32": 1e-4, "tf32": 1e-2, "float16": 3e-2, "bfloat16": 3e-2}


def lines(found: GpuResults) -> Iterator[str]:
    """Yield everything that a run found, the short table last."""
    for letter, answer in found.questions.items():
        yield from _wrapped(f"question {worded(letter)} {told(answer)}")
    yield from calls(found)
    for case in trained(found):
        yield ""
        yield from case_lines(case, found)
    if found.skipped:
        yield ""
        yield from _wrapped(f"no time was left for: {'; '.join(found.skipped)}")
    yield from short(found)
    yield ""
    yield f"{len(found.cases)} cases in {found.spent:.0f} of {found.seconds:.0f} s on {found.device}"
    if found.measured:
        yield from _caution(found)


def _caution(found: GpuResults) -> Iterator[str]:
    """Say where the figures are none of a GPU at work."""
    cpu = found.device == "cpu"
    if found.quick or cpu:
        sizes, place = "small sizes" if found.quick else "sizes of a GPU", " on the processor" if cpu else ""
        yield f"{sizes}{place}: this says nothing about a GPU"


def told(answer: object) -> str:
    """Write the answer to a question in one line."""
    if not isinstance(answer, dict):
        return str(answer)
    return ", ".join(f"{name}: {_number(value)}" for name, value in answer.items())


def _number(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return quantities.three_digits(value) if abs(value) < 1e6 else f"{value:.3g}"


def trained(found: GpuResults) -> list[CaseFigures]:
    """Return the cases of training."""
    return [case for case in found.cases if case.group not in CALLS]


def calls(found: GpuResults) -> Iterator[str]:
    """Yield the rates of products and copies, a line each."""
    rows = call_rows(found)
    if len(rows) > 1:
        yield ""
        yield from _aligned(rows)
    for case in found.cases:
        if case.group in CALLS:
            yield from _failures(case)


def call_rows(found: GpuResults) -> list[tuple[str, ...]]:
    """Return rates of products and copies by contender."""
    cases = [case for case in found.cases if case.group in CALLS and case.results]
    names = list(dict.fromkeys(result.name for case in cases for result in case.results))
    rows = [("operations or bytes a second", *names)]
    for case in cases:
        found_by = [case.result(name) for name in names]
        rows.append((case.name, *(rate(case, result, found) if result else "-" for result in found_by)))
    return rows


def short(found: GpuResults) -> Iterator[str]:
    """Yield a line for each network and each of its contenders that is mlpx: its time, and who is the best peer."""
    rows = [("in short: throughput, by network", "mlpx on", "time", "best peer", "over it")]
    for case in trained(found):
        peer = case.best_peer
        for result in case.results:
            if result.name.split()[0] == OWN:
                time = quantities.seconds(result.throughput.median / case.count)
                over = result.throughput.median / peer.throughput.median if peer else None
                name = peer.name if peer else ""
                rows.append((case.name, result.name.partition(" ")[2], time, name, quantities.ratio(over)))
    if len(rows) > 1:
        yield ""
        yield from _aligned(rows)


def case_lines(case: CaseFigures, found: GpuResults) -> Iterator[str]:
    """Yield the table of a case, its times for one `per`."""
    yield f"{case.name}: time a {case.per}"[:WIDTH]
    if case.results:
        yield from _aligned([HEADER, *(row(case, result, found) for result in case.results)])
    yield from _failures(case)
    yield from disagreements(case)


def _failures(case: CaseFigures) -> Iterator[str]:
    for name, reason in case.failures.items():
        yield f"  {name}: {reason}"[:WIDTH]


def row(case: CaseFigures, result: Figures, found: GpuResults) -> tuple[str, ...]:
    """Return the figures of a contender; the last cell is its rate, and the share of the measured peak."""
    times = [quantities.seconds(spread.median / case.count) for spread in spreads(result)]
    spread = quantities.share(result.throughput.share)
    # a ratio to anybody else is none to mlpx
    over = quantities.ratio(result.ratio) if case.results[0].name.split()[0] == OWN else ""
    return (f"  {result.name}", *times, spread, over, rate(case, result, found))


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
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - len(gap) * (len(widths) - 1))
    for first, *others in rows:
        cells = [
            first[: widths[0]].ljust(widths[0]),
            *(cell.rjust(size) for cell, size in zip(others, widths[1:], strict=True)),
        ]
        yield gap.join(cells).rstrip()


def _wrapped(text: str) -> Iterator[str]:
    yield from wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
