"""What a run on a device found, and the file that holds it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlpx.bench import results
from mlpx.bench.gpu.timing import Figures
from mlpx.bench.machine import Machine
from mlpx.bench.records import RecordError, from_record, to_record, to_text

FORMAT = "mlpx GPU benchmark results"
VERSION = 1
#: Where a clone of the repository keeps the files.
FOLDER = f"{results.FOLDER}/gpu"
OWN = "mlpx"
#: What the answer to a question begins with that was none.
NOT_ASKED = "not asked"


@dataclass(frozen=True)
class CaseFigures:
    """What was measured of a case.

    Attributes
    ----------
    group, name, precision, per, count, flop, bytes
        As the case says.
    results : tuple of Figures
        Of the contenders that ran.
    failures : dict
        Why the others did not, by name.
    """

    group: str
    name: str
    precision: str
    per: str
    count: int
    flop: float
    bytes: float
    results: tuple[Figures, ...]
    failures: dict[str, str] = field(default_factory=dict)

    def result(self, name: str) -> Figures | None:
        """Return what the contender of this name took."""
        return next((result for result in self.results if result.name == name), None)

    @property
    def best_peer(self) -> Figures | None:
        """The fastest that is not mlpx, by throughput."""
        peers = [result for result in self.results if result.name.split()[0] != OWN]
        return min(peers, key=lambda result: result.throughput.median, default=None)

    def rate(self, result: Figures) -> float | None:
        """Return operations a second, or bytes a second of a copy."""
        work, seconds = self.flop or self.bytes, result.throughput.median
        return work / seconds if work and seconds else None


@dataclass(frozen=True)
class GpuResults:
    """What was found on a machine.

    Attributes
    ----------
    date : str
        When it was measured, UTC, as ISO 8601 writes it.
    device : str
        What it ran on, such as ``"cuda:0"``.
    machine : Machine
        The machine.
    software : dict
        What the libraries tell of the device, the driver and themselves.
    seconds, spent : float
        The time that it was given, and that it has taken so far.
    quick : bool
        Whether sizes were small, to try out the program: such figures say nothing.
    cases : tuple of CaseFigures
        In the order in which they were measured.
    skipped : tuple of str
        Cases for which no time was left.
    questions : dict
        Small measured answers by their letter.
    """

    date: str
    device: str
    machine: Machine
    software: dict[str, str]
    seconds: float
    spent: float
    quick: bool
    cases: tuple[CaseFigures, ...] = ()
    skipped: tuple[str, ...] = ()
    questions: dict[str, object] = field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether anything was: a contender of a case, or a question."""
        asked = (not str(answer).startswith(NOT_ASKED) for answer in self.questions.values())
        return any(case.results for case in self.cases) or any(asked)

    def peak(self, precision: str) -> float | None:
        """Return the best rate of any product in a precision."""
        rates = [
            rate
            for case in self.cases
            if (case.group, case.precision) == ("products", precision)
            for result in case.results
            if (rate := case.rate(result)) is not None
        ]
        return max(rates, default=None)

    def with_case(self, case: CaseFigures, spent: float) -> GpuResults:
        """Return the results with one more case."""
        return replace(self, cases=(*self.cases, case), spent=spent)


def save(found: GpuResults, path: Path) -> Path:
    """Write results as JSON, one case a line; what stood there is replaced at once, so that a cut run loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(to_text({"format": FORMAT, "version": VERSION, **to_record(found)}), encoding="utf-8")
    os.replace(beside, path)
    return path


def load(path: str | Path) -> GpuResults:
    """Read results.

    Raises
    ------
    ValueError
        For a file that holds no results, results of another version, or a field that is not what it should be.
    OSError
        For a file that cannot be read.
    """
    try:
        record: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(record, dict) or (record.pop("format", None), record.pop("version", None)) != (
            FORMAT,
            VERSION,
        ):
            msg = f'`format` and `version` must be "{FORMAT}" and {VERSION}'
            raise RecordError(msg)
        return from_record(GpuResults, record, "")
    except (RecordError, json.JSONDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be used: {error}; write it again with `python -m mlpx.bench.gpu`."
        raise ValueError(msg) from error


def load_folder(folder: str | Path) -> list[GpuResults]:
    """Read the benchmarks' files of a folder, in the order of their names; a folder that is not there holds none."""
    return [load(path) for path in sorted(Path(folder).glob("*-bench.json"))]
