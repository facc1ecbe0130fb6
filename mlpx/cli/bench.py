"""``mlpx bench``: measure this machine, or show what was measured on several."""

from __future__ import annotations

from importlib import import_module, util
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from mlpx._checks import check_choice
from mlpx.bench import results as files
from mlpx.bench.compare import legend, tables
from mlpx.bench.machine import describe_machine
from mlpx.bench.places import default_backends, find_backend
from mlpx.bench.report import say_results
from mlpx.bench.running import run as run_suites
from mlpx.bench.suites import suite_names
from mlpx.cli.console import note, say, say_fields, say_table, say_wrapped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mlpx.bench.results import Results

DTYPES = ["float32", "float64"]


def run(options: argparse.Namespace) -> None:
    """Measure and show, or only show."""
    check_plots(options.plots)
    if options.compare:
        check_compare(options)
        shown = [files.load(path) for path in options.compare]
        say_comparison(shown)
    else:
        shown = [measure_and_show(options)]
    if options.plots:
        draw(shown, options.plots)


def check_plots(folder: str | None) -> None:
    """Refuse at the beginning what would fail at the end."""
    if folder is not None and util.find_spec("matplotlib") is None:
        msg = '`--plots` needs matplotlib, which is not installed; install it with: pip install "mlpx[plot]"'
        raise ImportError(msg)


def check_compare(options: argparse.Namespace) -> None:
    """Refuse what says how to measure where nothing is measured."""
    given = {"--save": options.save is not None, "--full": options.full, "--suite": options.suite}
    given |= {"--backend": options.backend, "--dtype": options.dtype}
    if names := [name for name, value in given.items() if value]:
        msg = f"`--compare` measures nothing, so {', '.join(names)} has no meaning beside it; leave it out"
        raise ValueError(msg)


def measure_and_show(options: argparse.Namespace) -> Results:
    """Run the suites that were asked for, show what came out and write the file."""
    suites, backends, dtypes = what_to_measure(options)
    target = None
    if options.save is not None:
        target = check_target(files.path_for(describe_machine(), options.save), suites, force=options.force)
    found = run_suites(suites, full=options.full, backends=backends, dtypes=dtypes, progress=not options.quiet)
    say_results(found)
    if target is not None:
        note(f"wrote {files.save(found, target)}")
    return found


def what_to_measure(options: argparse.Namespace) -> tuple[list[str], list[str], list[str]]:
    """Return suites, backends and dtypes, each checked by name."""
    suites = [check_choice("--suite", name, suite_names()) for name in options.suite or suite_names()]
    backends = options.backend or default_backends()
    for place in backends:
        find_backend(place)
    dtypes = [check_choice("--dtype", name, DTYPES) for name in options.dtype or DTYPES[: 1 + options.full]]
    return suites, backends, dtypes


def check_target(path: Path, suites: Sequence[str], *, force: bool) -> Path:
    """Return the file to write; what it would lose, and a folder that takes no file, are found before the measuring."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=path.parent):
        pass
    if not force and path.exists():
        held = files.load(path).settings
        if lost := [name for name in held.suites if name not in suites]:
            msg = f"`--save`: {path} also holds {', '.join(lost)}, not measured now; measure all, or add `--force`"
            raise ValueError(msg)
    return path


def say_comparison(shown: Sequence[Results]) -> None:
    """Write what each machine is, and the tables across them."""
    say_fields(legend(shown))
    for table in tables(shown):
        say()
        say_wrapped(f"{table.title}. {table.text}")
        say()
        say_table(table.rows)


def draw(shown: Sequence[Results], folder: str) -> None:
    """Write the pictures."""
    for path in import_module("mlpx.bench.plots").save_all(shown, Path(folder)):
        note(f"wrote {path}")
