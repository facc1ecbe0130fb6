"""The report of the tests that need a CUDA device, which ``pytest --gpu-report`` writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlpx.bench.gpu.results import GpuResults
from mlpx.bench.gpu.running import described
from mlpx.bench.gpu.targets import check_folder, check_replaceable
from mlpx.bench.machine import describe_machine
from mlpx.bench.records import to_record

FORMAT = "mlpx GPU test report"
VERSION = 1
MARK = "gpu"
OPTION = "--gpu-report"
LONGEST = 500


def marked(reports: Iterable[Any]) -> list[Any]:
    """Return the reports of tests that need a CUDA device."""
    return [report for report in reports if MARK in getattr(report, "keywords", ())]


def record(stats: Mapping[str, Sequence[Any]], device: str, about: GpuResults) -> dict[str, Any]:
    """Return counts, failures and skips of the tests that need a device, beside what they ran on.

    Parameters
    ----------
    stats : mapping
        pytest's reports by outcome.
    device : str
        What they ran on; empty where there is none.
    about : GpuResults
        The machine and its software.
    """
    by_outcome = {name: marked(stats.get(name, ())) for name in ("passed", "failed", "error", "skipped")}
    failed = by_outcome["failed"] + by_outcome["error"]
    return {
        "format": FORMAT,
        "version": VERSION,
        "date": about.date,
        "device": device,
        "machine": to_record(about.machine),
        "software": about.software,
        "seconds": round(sum(getattr(report, "duration", 0.0) for group in by_outcome.values() for report in group), 1),
        "counts": {
            "passed": len(by_outcome["passed"]),
            "failed": len(failed),
            "skipped": len(by_outcome["skipped"]),
        },
        "failures": [{"name": report.nodeid, "message": message(report)} for report in failed],
        "skipped": [{"name": report.nodeid, "message": message(report)} for report in by_outcome["skipped"]],
    }


def message(report: Any) -> str:
    """Return what a test said last: the error, or why it was skipped."""
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):  # file, line and reason of a skip
        return str(longrepr[2])[:LONGEST]
    crash = getattr(longrepr, "reprcrash", None)
    return str(getattr(crash, "message", longrepr))[:LONGEST]


def check_place(path: str | Path) -> Path:
    """Return the file to write: that of a JSON file's name, or in a folder under the machine's name.

    Raises
    ------
    ValueError
        For a file that is no report, and for a file in a folder that is not there.
    """
    place = Path(path)
    if place.suffix == ".json" and not place.is_dir():
        return check_replaceable(OPTION, check_folder(OPTION, place), FORMAT)
    if place.exists() and not place.is_dir():
        msg = f"`{OPTION}` must be a JSON file or a folder, got {path}; name another."
        raise ValueError(msg)
    return check_replaceable(OPTION, place / f"{describe_machine().slug}-tests.json", FORMAT)


def write(stats: Mapping[str, Sequence[Any]], path: str | Path, device: str) -> Path:
    """Write the report, into a folder under the machine's name, and return its path.

    Raises
    ------
    ValueError
        Where there is no CUDA device, and for a place that is none.
    """
    if not device:
        skipped = len(marked(stats.get("skipped", ())))
        msg = f"no CUDA device answers, so no GPU test ran ({skipped} skipped)"
        raise ValueError(msg)
    place = check_place(path)
    about = described("", 0.0, quick=False)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(record(stats, device, about), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return place


def load_folder(folder: str | Path) -> list[dict[str, Any]]:
    """Read the reports of a folder that come from a CUDA device.

    Raises
    ------
    ValueError
        For a file that is no report.
    """
    found = []
    for path in sorted(Path(folder).glob("*-tests.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        if (report.get("format"), report.get("version")) != (FORMAT, VERSION):
            msg = f"{path} cannot be used: `format` must be {FORMAT!r}, version {VERSION}; write it again."
            raise ValueError(msg)
        found += [report] if report["device"] else []
    return found
