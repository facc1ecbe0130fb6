"""What it costs to leave `mlpx.Diagnostics` on: the same fit without and with it, in one interleaved run.

The runs are as long as it takes for the looks at the start and at the end to count as they do in use: a few hundred
steps at least.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import mlpx
from mlpx.bench.case import Case, Contender
from mlpx.bench.networks import DIGITS, NETWORKS, TINY, Workload
from mlpx.bench.places import default_backends, find_backend

__all__ = ["cases"]

SHORT = (replace(TINY, epochs=15), replace(DIGITS, epochs=80), replace(NETWORKS[3], rows=16384, epochs=10))
FULL = tuple(replace(work, epochs=4 * work.epochs) for work in SHORT)


def cases(
    *, full: bool = False, backends: Sequence[str] | None = None, dtypes: Sequence[str] = ("float32",), **_: object
) -> list[Case]:
    """List three networks on each backend, each trained without and with a look now and then.

    Parameters
    ----------
    full : bool
        Whether runs are four times as long.
    backends : sequence of str, optional
        By default those that are installed.
    dtypes : sequence of str
        ``"float32"``, ``"float64"``.

    Examples
    --------
    >>> case = cases(backends=["numpy"])[0]
    >>> case.name, [contender.name for contender in case.contenders]
    ('20-32-32-2, batch 32', ['without', 'with'])
    """
    places = default_backends() if backends is None else backends
    works = [replace(work, dtype=dtype) for dtype in dtypes for work in (FULL if full else SHORT)]
    return [_case(work, place) for place in places for work in works]


def _case(work: Workload, place: str) -> Case:
    """Return the case of one network on one backend."""
    backend = find_backend(place)
    settings = f"MLP.fit with Adam(1e-3) on {backend.name} {backend.version}"
    contenders = (
        Contender("without", partial(_prepare, work, place, looks=False), settings, backend.device_name),
        Contender(
            "with", partial(_prepare, work, place, looks=True), f"{settings}, Diagnostics()", backend.device_name
        ),
    )
    parameters = {"network": work.network, "batch": work.batch_size, "rows": work.rows, "epochs": work.epochs,
                  "dtype": work.dtype}  # fmt: skip
    return Case("diagnostics", work.name, contenders, "step", work.steps, parameters=parameters, group=place)


def _prepare(work: Workload, place: str, *, looks: bool) -> Callable[[], object]:
    """Return a run of ``fit`` on a fresh copy of a network."""
    start = work.start()
    net = mlpx.MLP(work.sizes, dtype=work.dtype, backend=find_backend(place))

    def run() -> object:
        return copy.copy(net).fit(
            start.X,
            start.y,
            epochs=work.epochs,
            batch_size=work.batch_size,
            optimizer=mlpx.Adam(1e-3),
            callbacks=(mlpx.Diagnostics(),) if looks else (),
            progress=False,
        )

    return run
