"""Benchmarks: the same work done in several ways, timed in one interleaved run, beside what the hardware allows.

A `Case` names the work and its `Contender` s; `measure` times them in turn, so that whatever else the machine does
falls on all of them. ``mlpx bench`` runs whole suites of cases, and ``benchmarks/results/`` holds what it found.
"""

from mlpx.bench.case import Case, Contender
from mlpx.bench.timing import CaseResult, Result, measure

__all__ = ["Case", "CaseResult", "Contender", "Result", "measure"]
