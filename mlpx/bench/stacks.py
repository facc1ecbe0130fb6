"""Stacks: what a member's step costs when many networks of one shape are trained.

The same networks are trained side by side by mlpx (``members=S``), one after the other by mlpx and by scikit-learn, and
side by side by JAX's `vmap`. All have the same data, and orders of their own. One after the other, every network costs
what the first does, so only a few are trained; and for ten epochs whatever the stack does, so that what a call of
``fit`` costs is not held against them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from mlpx.bench.case import Case, Contender
from mlpx.bench.networks import DIGITS, TINY, Workload, random_products
from mlpx.bench.peers import PEERS, STACKED
from mlpx.bench.places import default_backends, find_backend
from mlpx.bench.training import Run, prepare_mlpx, prepare_peer

__all__ = ["cases"]

SHORT, FULL = {TINY.sizes: (1, 8, 64), DIGITS.sizes: (8,)}, (1, 8, 64, 256, 1000)
#: A run makes at most so many steps of a member, or one epoch.
MOST_STEPS = 8192
SEPARATE = 3


def cases(
    *, full: bool = False, backends: Sequence[str] | None = None, dtypes: Sequence[str] = ("float32",), **_: object
) -> list[Case]:
    """List the sizes of stacks of two networks, each with the ways to train them.

    Parameters
    ----------
    full : bool
        Whether stacks of hundreds are measured too.
    backends : sequence of str, optional
        By default those that are installed. Training one after the other is measured on the first alone, and
        `vmap` on its device.
    dtypes : sequence of str
        ``"float32"``, ``"float64"``.

    Examples
    --------
    >>> [case.name for case in cases(backends=["numpy"])][:2]
    ['1 member', '8 members']
    """
    places = default_backends() if backends is None else backends
    works = [replace(work, dtype=dtype) for dtype in dtypes for work in (TINY, DIGITS)]
    return [_case(work, members, places) for work in works for members in (FULL if full else SHORT[work.sizes])]


def _case(work: Workload, members: int, backends: Sequence[str]) -> Case:
    """Return the case of one network and one size of the stack."""
    stacked = replace(work, epochs=epochs(work, members))
    parameters = {"network": work.network, "batch": work.batch_size, "members": members, "dtype": work.dtype}
    return Case(
        "stacks",
        "1 member" if members == 1 else f"{members} members",
        tuple(_contenders(work, stacked, members, backends)),
        "member-step",
        members * stacked.steps,
        work.flop,
        parameters=parameters,
        group=work.name,
    )


def epochs(work: Workload, members: int) -> int:
    """Return the epochs of a run: fewer for a larger stack.

    Examples
    --------
    >>> [epochs(TINY, members) for members in (1, 8, 64, 1000)]
    [10, 10, 2, 1]
    """
    each = members * work.rows // work.batch_size
    return min(work.epochs, max(1, MOST_STEPS // each))


def _contenders(work: Workload, stacked: Workload, members: int, backends: Sequence[str]) -> Iterator[Contender]:
    """Yield the ways; `work` is what one network does by itself."""
    first = backends[0]
    device = find_backend(first).device_name
    yield Contender("products", partial(random_products, work), "NumPy's dot, one network", count=work.steps)
    for place in backends:
        settings = f"MLP(members=S).fit, {stacked.epochs} epochs"
        prepare = partial(prepare_mlpx, stacked, place, members)
        yield Contender(f"mlpx {place}", prepare, settings, find_backend(place).device_name)
    few = min(members, SEPARATE)
    settings = f"MLP.fit one after the other, {work.epochs} epochs; {few} of them are trained"
    prepare = partial(repeated, partial(prepare_mlpx, work, first), few)
    yield Contender(f"mlpx {first} separate", prepare, settings, device, few * work.steps)
    if (own := PEERS[0]).installed:
        settings = f"{own.settings}; one after the other, {work.epochs} epochs; one of them is trained"
        yield Contender(own.name, partial(prepare_peer, work, own, "cpu"), settings, count=work.steps)
    if STACKED.installed:
        prepare = partial(prepare_peer, stacked, STACKED, device, members=members)
        yield Contender(STACKED.name, prepare, f"{STACKED.settings}, {stacked.epochs} epochs", device)


def repeated(prepare: Callable[[], Run], times: int) -> Run:
    """Return a run of some separate runs, one after the other."""
    runs = [prepare() for _ in range(times)]

    def run() -> None:
        for each in runs:
            each()

    return run
