"""Results of several machines side by side, as tables for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from string import ascii_uppercase

from mlpx.bench import quantities
from mlpx.bench.ratios import best_peer, is_own, quotient
from mlpx.bench.results import Results
from mlpx.bench.timing import CaseResult

Row = tuple[str, ...]
#: Times that differ by less are as good as equal.
NEARLY = 0.1


@dataclass(frozen=True)
class Table:
    """A title, a sentence that says what the figures are, and rows, the header first."""

    title: str
    text: str
    rows: tuple[Row, ...]


def labels(machines: Sequence[Results]) -> list[str]:
    """Return the letters that stand for the machines, ``A``, ``B``, …; numbers where they do not suffice."""
    return [ascii_uppercase[i] if len(machines) <= 26 else str(i + 1) for i in range(len(machines))]


def legend(machines: Sequence[Results]) -> list[tuple[str, str]]:
    """Say what each letter stands for."""
    return [(label, _who(results)) for label, results in zip(labels(machines), machines, strict=True)]


def _who(results: Results) -> str:
    machine = results.machine
    blas, version = f"{machine.blas.name} {machine.blas.version}", machine.libraries.get("mlpx", "")
    load = results.settings.load
    busy = "" if load is None else f"; load {load:g}"
    return f"{machine.title}; {machine.system}; {blas}; mlpx {version}, {results.date[:16].replace('T', ' ')}{busy}"


def tables(machines: Sequence[Results]) -> list[Table]:
    """Return every table that has a row."""
    made = [_roofline(machines), _products(machines), _outer(machines), _training(machines)]
    return [table for table in made if len(table.rows) > 1]


def _table(
    title: str, text: str, corner: str, machines: Sequence[Results], rows: Iterable[tuple[str, Sequence[str]]]
) -> Table:
    """Make a table with a column a machine; rows without a figure are left out."""
    body = [(name, *(cell or "-" for cell in cells)) for name, cells in rows if any(cells)]
    return Table(title, text, ((corner, *labels(machines)), *body))


def _roofline(machines: Sequence[Results]) -> Table:
    peaks = dict.fromkeys((p.device, p.dtype) for results in machines for p in results.roofline.peaks)
    devices = dict.fromkeys(c.device for results in machines for c in results.roofline.copies)

    def rows() -> Iterator[tuple[str, list[str]]]:
        for device, dtype in peaks:
            rates = [results.roofline.peak(device, dtype) for results in machines]
            yield f"{device}, products in {dtype}", [quantities.rate(r, "FLOP/s") for r in rates]
        for device in devices:
            for name, size in (("in the caches", 0.0), ("in memory", float("inf"))):
                rates = [results.roofline.bandwidth(device, size) for results in machines]
                yield f"{device}, copies {name}", [quantities.rate(r, "B/s") for r in rates]

    return _table("Rooflines", "The best rates of large products and of copies.", "device", machines, rows())


def _products(machines: Sequence[Results]) -> Table:
    kinds = _kinds(machines, "products")
    text = "Median over the sizes that all machines measured of the share of the roofline's bound that is reached."
    common = set.intersection(*({case.key for case in results.of("products")} for results in machines))
    rows = (
        (f"{group}, {name}", [_median_share(results, group, name, common) for results in machines])
        for group, name in kinds
    )
    return _table("Products of a layer", text, "product", machines, rows)


def _median_share(results: Results, group: str, name: str, common: set[tuple[str, str, str]]) -> str:
    shares = [
        share
        for case in results.of("products")
        for result in [case.result(name)]
        if case.group == group and case.key in common and result and (share := results.roofline.share(case, result))
    ]
    return quantities.share(median(shares) if shares else None)


def _kinds(machines: Sequence[Results], suite: str) -> list[tuple[str, str]]:
    """Return the groups of a suite with their contenders."""
    return list(dict.fromkeys((c.group, r.name) for results in machines for c in results.of(suite) for r in c.results))


def _outer(machines: Sequence[Results]) -> Table:
    text = "The fastest way, and the batch size from which on it is."
    found = [dict(fastest_ways(results)) for results in machines]
    names = dict.fromkeys(name for ways in found for name in ways)
    rows = ((name, [ways.get(name, "") for ways in found]) for name in names)
    return _table("Outer-product gradients", text, "sizes", machines, rows)


def fastest_ways(results: Results) -> Iterator[tuple[str, str]]:
    """Yield the sizes of each group of outer products, and which way wins from which batch size on."""
    curves: dict[str, list[tuple[int, CaseResult]]] = {}
    for case in results.of("outer"):
        batch = case.parameters.get("batch")
        if case.unit == "s" and isinstance(batch, int):
            curves.setdefault(case.title.rpartition(", batch")[0], []).append((batch, case))
    for name, points in curves.items():
        yield name, ", ".join(f"{way} from {batch}" for batch, way in _changes(sorted(points, key=lambda p: p[0])))


def _changes(points: Iterable[tuple[int, CaseResult]]) -> Iterator[tuple[int, str]]:
    """Yield where another way becomes the fastest; one that is nearly as fast takes no turn."""
    way = ""
    for batch, case in points:
        fastest, present = min(case.results, key=lambda result: result.median), case.result(way)
        if present is None or present.median > (1 + NEARLY) * fastest.median:
            way = fastest.name
            yield batch, way


def _training(machines: Sequence[Results]) -> Table:
    text = "Time or memory, and in brackets its ratio to the best peer's in the same run: below 1 is better than all."
    keys = dict.fromkeys(case.key for results in machines for case in results.cases if best_peer(case))

    def rows() -> Iterator[tuple[str, list[str]]]:
        for key in keys:
            found = [results.by_key.get(key) for results in machines]
            names = dict.fromkeys(r.name for case in found if case for r in case.results if is_own(r))
            for name in names:
                yield ", ".join(filter(None, (*key[1:], name))), [over_peer(case, name) for case in found]

    return _table("mlpx and the best peer", text, "case", machines, rows())


def over_peer(case: CaseResult | None, name: str) -> str:
    """Return a figure of mlpx and its ratio to the best peer's; nothing where either is missing."""
    result, peer = (case.result(name), best_peer(case)) if case else (None, None)
    if case is None or result is None or peer is None:
        return ""
    return f"{quantities.quantity(result.median, case.unit)} ({quantities.ratio(quotient(result, peer))})"
