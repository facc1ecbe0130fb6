"""``python -m mlpx.bench.gpu``: measure on a CUDA device, and write a JSON file."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlpx.bench.gpu import questions
from mlpx.bench.gpu.cases import CUDA, Case, cases
from mlpx.bench.gpu.report import WIDTH, lines
from mlpx.bench.gpu.results import FOLDER, GpuResults, check_output, save
from mlpx.bench.gpu.running import described, missing, run

SECONDS = 540.0
#: JAX takes three quarters of a device's memory for itself unless it is told not to.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write and show."""
    begin = time.perf_counter()
    parser = make_parser()
    options = parser.parse_args(arguments)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if options.device.startswith(CUDA) and (why := missing(options.device)):
        parser.error(f"`--device` {options.device} is not there ({why}); --device cpu --quick tries out the program")
    start = described(options.device, options.seconds, quick=options.quick)
    try:
        output = target(options, start)
    except ValueError as error:
        parser.error(str(error))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
    found = measured(options, start, output, begin)
    for line in lines(found):
        sys.stdout.write(f"{line}\n")
    if output is not None:
        sys.stderr.write(f"wrote {output}\n")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser("python -m mlpx.bench.gpu", description="Measure training on a CUDA device.")
    parser.add_argument("--device", default="cuda:0", help="where to measure (cuda:0); cpu tries out the program")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"the time for all ({SECONDS:.0f})")
    parser.add_argument("--case", metavar="TEXT", action="append", help="only cases with this text in group or name")
    parser.add_argument("--contender", metavar="TEXT", action="append", help="only contenders with this text")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try out the program")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--questions", action="store_true", help="only the small questions about the device")
    parser.add_argument("--output", metavar="FILE", type=Path, help=f"the JSON file ({FOLDER}/…-bench.json)")
    return parser


def target(options: argparse.Namespace, start: GpuResults) -> Path | None:
    """Return the file to write; without a CUDA device, or in part, there is none unless it is named."""
    cuda = options.device.startswith(CUDA)
    if options.output is not None:
        return check_output("--output", options.output, cuda=cuda and not options.quick)
    if not cuda or options.quick or options.case or options.contender:
        return None
    kind = "questions" if options.questions else "bench"
    return Path(FOLDER) / f"{start.machine.slug}-{kind}.json"


def measured(options: argparse.Namespace, start: GpuResults, output: Path | None, begin: float) -> GpuResults:
    """Return what was asked for: the cases and then the questions, or the questions alone."""
    asked = [] if options.questions else chosen(options)
    found = run(asked, start, output, report=announce, begin=begin)
    if options.questions or (not options.case and not options.contender and found.spent < found.seconds):
        announce("questions")
        found = replace(found, questions=questions.answers(options.device))
        if output is not None:
            save(found, output)
    return found


def chosen(options: argparse.Namespace) -> list[Case]:
    """Return the cases and contenders that were asked for."""
    compilers = not options.no_compile and options.device.startswith(CUDA)
    found = cases(options.device, quick=options.quick, compilers=compilers)
    if options.case:
        found = [case for case in found if any(text in f"{case.group}: {case.name}" for text in options.case)]
    if options.contender:
        kept = [[c for c in case.contenders if any(text in c.name for text in options.contender)] for case in found]
        found = [replace(case, contenders=tuple(who)) for case, who in zip(found, kept, strict=True) if who]
    return found


def announce(text: str) -> None:
    """Say on standard error what is measured next."""
    sys.stderr.write(f"{text}\n"[: WIDTH + 1])
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
