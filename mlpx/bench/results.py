"""What a run of the benchmarks found, and the file that holds it: one JSON a machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpx.bench.machine import Machine
from mlpx.bench.records import RecordError, from_record, to_record, to_text
from mlpx.bench.roofline import Roofline
from mlpx.bench.timing import CaseResult

FORMAT = "mlpx benchmark results"
VERSION = 1
#: Where a clone of the repository keeps the files.
FOLDER = "benchmarks/results"


@dataclass(frozen=True)
class Settings:
    """How the benchmarks were run.

    Attributes
    ----------
    full : bool
        Whether it was the whole grid.
    suites, backends, dtypes : tuple of str
        What was measured.
    seconds : float
        How long all cases together were to take.
    load : float or None
        Processes that wanted a core just before, where the system tells: more than a few tenths is other work.
    """

    full: bool
    suites: tuple[str, ...]
    backends: tuple[str, ...]
    dtypes: tuple[str, ...]
    seconds: float
    load: float | None


@dataclass(frozen=True)
class Results:
    """What was found on a machine.

    Attributes
    ----------
    date : str
        When it was measured, UTC, as ISO 8601 writes it.
    machine : Machine
        What it was measured on.
    settings : Settings
        How.
    roofline : Roofline
        What the machine's devices reach.
    cases : tuple of CaseResult
        In the order in which they were measured.
    """

    date: str
    machine: Machine
    settings: Settings
    roofline: Roofline
    cases: tuple[CaseResult, ...]

    def of(self, suite: str) -> tuple[CaseResult, ...]:
        """Return the cases of one suite that have a result."""
        return tuple(case for case in self.cases if case.suite == suite and case.results)

    @property
    def by_key(self) -> dict[tuple[str, str, str], CaseResult]:
        """The cases by suite, group and name."""
        return {case.key: case for case in self.cases}


def picture_prefixes(machines: Sequence[Results]) -> list[str]:
    """Return what the names of each machine's pictures begin with: its slug, numbered where that is not its own."""
    slugs = [results.machine.slug for results in machines]
    return [slug if slugs.count(slug) == 1 else f"{slug}-{i}" for i, slug in enumerate(slugs, 1)]


def save(results: Results, path: str | Path) -> Path:
    """Write results as JSON, one case a line; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_text({"format": FORMAT, "version": VERSION, **to_record(results)}), encoding="utf-8")
    return path


def load(path: str | Path) -> Results:
    """Read results.

    Raises
    ------
    ValueError
        For a file that holds no results, results of another version, or a field that is not what it should be.
    OSError
        For a file that cannot be read.
    """
    remedy = "write it again with `mlpx bench --save`"
    try:
        record = _check_format(json.loads(Path(path).read_text(encoding="utf-8")))
        return from_record(Results, record, "")
    except RecordError as error:
        msg = f"{path} cannot be used: {error}; {remedy}."
        raise ValueError(msg) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be used: it must be JSON, and is not ({error}); {remedy}."
        raise ValueError(msg) from error


def _check_format(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        msg = f'`format` must be "{FORMAT}"'
        raise RecordError(msg)
    if record.get("version") != VERSION:
        msg = f"`version` must be {VERSION}, got {record.get('version')!r}"
        raise RecordError(msg)
    return {name: value for name, value in record.items() if name not in ("format", "version")}


def load_folder(folder: str | Path) -> list[Results]:
    """Read every file of a folder, in the order of their names; a folder that is not there holds none."""
    return [load(path) for path in sorted(Path(folder).glob("*.json"))]


def path_for(results_of: Machine, wanted: str | Path | None) -> Path:
    """Return the file for a machine's results: `wanted`, or the machine's own name in that folder."""
    path = Path(wanted or FOLDER)
    return path if path.suffix == ".json" else path / f"{results_of.slug}.json"
