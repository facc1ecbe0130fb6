"""``python -m mlpx.bench.gpu``: measure on a CUDA device, and write a JSON file."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import wrap

from mlpx.bench.gpu import questions
from mlpx.bench.gpu.cases import CUDA, Case, cases
from mlpx.bench.gpu.report import WIDTH, lines
from mlpx.bench.gpu.results import FOLDER, FORMAT, GpuResults, save
from mlpx.bench.gpu.running import described, missing, run
from mlpx.bench.gpu.targets import check_folder, check_output, check_replaceable

#: The time for all, and that for small sizes.
SECONDS, QUICK_SECONDS = 540.0, 60.0
#: JAX takes three quarters of a device's memory for itself unless it is told not to.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
NOTHING = "Nothing was measured and no file was written."


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write and show."""
    begin = time.perf_counter()
    parser = make_parser()
    options = parser.parse_args(arguments)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        check(options)
        asked = [] if options.questions else chosen(options)
        start = described(options.device, options.seconds, quick=options.quick)
        output = target(options, start)
    except ValueError as error:
        parser.exit(2, f"error: {error}\n{NOTHING}\n")
    for line in announcements(options):
        announce(line)
    found = measured(options, asked, start, output, begin)
    for line in lines(found):
        sys.stdout.write(f"{line}\n")
    if not found.measured:
        sys.stderr.write(f"{NOTHING}\n")
    elif output is not None:
        sys.stderr.write(f"wrote {output}\n")
    return 0 if found.measured else 1


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    times = f"({SECONDS:.0f}; with --quick {QUICK_SECONDS:.0f})"
    parser = argparse.ArgumentParser("python -m mlpx.bench.gpu", description="Measure training on a CUDA device.")
    parser.add_argument("--device", default="cuda:0", help="where to measure (cuda:0); cpu tries out the program")
    parser.add_argument("--seconds", type=float, help=f"the time for all {times}")
    parser.add_argument("--case", metavar="TEXT", action="append", help="only cases with this text in group or name")
    parser.add_argument("--contender", metavar="TEXT", action="append", help="only contenders with this text")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try out the program")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--questions", action="store_true", help="only the small questions about the device")
    parser.add_argument("--output", metavar="FILE", type=Path, help=f"the JSON file ({FOLDER}/…-bench.json)")
    return parser


def check(options: argparse.Namespace) -> None:
    """Fill in what depends on other options, and refuse a device or a time that is none."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", options.device):
        msg = f'`--device` must be "cpu" or "cuda:0", "cuda:1", …; got {options.device!r}.'
        raise ValueError(msg)
    if options.device == CUDA:
        options.device = f"{CUDA}:0"
    if options.seconds is None:
        options.seconds = QUICK_SECONDS if options.quick else SECONDS
    if not 0 < options.seconds < math.inf:
        msg = f"`--seconds` must be positive and finite, got {options.seconds:g}."
        raise ValueError(msg)
    if options.device.startswith(CUDA) and (why := missing(options.device)):
        reasons = [wrapped for reason in why for wrapped in indented(reason)]
        remedy = "`--device cpu --quick` tries out the program on the processor."
        raise ValueError("\n".join([f"`--device` {options.device} is not there:", *reasons, remedy]))


def indented(text: str) -> list[str]:
    """Return the lines of a text under a heading."""
    return wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def announcements(options: argparse.Namespace) -> Iterator[str]:
    """Yield what to know before the measuring begins."""
    if options.questions:
        return
    if options.device == "cpu" and not options.quick:
        yield "warning: the sizes are for a GPU; a processor does few in time; add --quick"
    yield f"this takes {options.seconds:.0f} s at most"


def target(options: argparse.Namespace, start: GpuResults) -> Path | None:
    """Return the file to write; without a CUDA device, or in part, there is none unless it is named."""
    cuda = options.device.startswith(CUDA)
    if options.output is not None:
        check_output("--output", options.output, cuda=cuda and not options.quick)
        return check_replaceable("--output", check_folder("--output", options.output), FORMAT)
    if not cuda or options.quick or options.case or options.contender:
        return None
    kind = "questions" if options.questions else "bench"
    return check_replaceable("--output", Path(FOLDER) / f"{start.machine.slug}-{kind}.json", FORMAT)


def measured(
    options: argparse.Namespace, asked: Sequence[Case], start: GpuResults, output: Path | None, begin: float
) -> GpuResults:
    """Return what was asked for: the cases and then the questions, or the questions alone."""
    found = run(asked, start, output, report=announce, begin=begin)
    whole = options.device.startswith(CUDA) and not options.case and not options.contender
    if options.questions or (whole and found.spent < found.seconds):
        announce("questions")
        found = replace(found, questions=questions.answers(options.device))
        if output is not None and found.measured:
            save(found, output)
    return found


def chosen(options: argparse.Namespace) -> list[Case]:
    """Return the cases and contenders that were asked for.

    Raises
    ------
    ValueError
        Where there are none.
    """
    compilers = not options.no_compile and options.device.startswith(CUDA)
    found = cases(options.device, quick=options.quick, compilers=compilers)
    groups = list(dict.fromkeys(case.group for case in found))
    for text in options.case or ():
        _check_found("case", text, [f"{case.group}: {case.name}" for case in found], groups)
    if options.case:
        found = [case for case in found if any(text in f"{case.group}: {case.name}" for text in options.case)]
    names = list(dict.fromkeys(contender.name for case in found for contender in case.contenders))
    for text in options.contender or ():
        _check_found("contender", text, names, names)
    if options.contender:
        found = [_with_contenders(case, options.contender) for case in found]
    return [case for case in found if case.contenders]


def _check_found(kind: str, text: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a text that no name contains."""
    if not any(text in name for name in names):
        kinds = {"case": "groups", "contender": "contenders"}[kind]
        msg = f"no {kind} contains {text!r}; {kinds} are {', '.join(known)}"
        raise ValueError(msg)


def _with_contenders(case: Case, texts: Sequence[str]) -> Case:
    return replace(case, contenders=tuple(c for c in case.contenders if any(text in c.name for text in texts)))


def announce(text: str) -> None:
    """Say on standard error what is measured next."""
    sys.stderr.write(f"{text[:WIDTH]}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
