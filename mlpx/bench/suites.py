"""The suites by name. Each is a module with a function ``cases``, imported when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, util

from mlpx._checks import check_choice
from mlpx.bench.case import Case

SUITES = {
    "products": "mlpx.bench.products",
    "outer": "mlpx.bench.outer",
    "training": "mlpx.bench.training",
    "stacks": "mlpx.bench.stacks",
    "memory": "mlpx.bench.memory",
    "estimators": "mlpx.bench.estimators",
    "diagnostics": "mlpx.bench.diagnostics",
}


def suite_names() -> list[str]:
    """Name the suites that are there."""
    return [name for name, module in SUITES.items() if util.find_spec(module)]


def make_cases(
    suites: Sequence[str], *, full: bool = False, backends: Sequence[str], dtypes: Sequence[str] = ("float32",)
) -> list[Case]:
    """List the cases of some suites; nothing is built or run yet.

    Parameters
    ----------
    suites : sequence of str
        Names from `SUITES`.
    full : bool
        The whole grid, or a short one.
    backends, dtypes : sequence of str
        What is measured.
    """
    found: list[Case] = []
    for suite in suites:
        module = import_module(SUITES[check_choice("suite", suite, suite_names())])
        found += module.cases(full=full, backends=backends, dtypes=dtypes)
    return found
