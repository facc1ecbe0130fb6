"""Whole training steps: the products alone, mlpx on each backend, and its peers, in one interleaved run.

A run trains for some epochs from the same initial weights with a fresh optimizer, in shuffled mini-batches; its time is
divided by its steps. What is paid once a process stays outside: the data, the compilation by JAX and PyTorch. What each
call of ``fit`` costs is inside: mlpx and scikit-learn check the data there, and mlpx lays out its plan.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import mlpx
from mlpx.bench.case import Case, Contender
from mlpx.bench.networks import NETWORKS, Workload, random_products
from mlpx.bench.peers import PEERS, Peer
from mlpx.bench.places import default_backends, find_backend

__all__ = ["cases"]

Run = Callable[[], object]

#: An epoch of fewer steps is a short one.
FEW_STEPS = 8


def cases(
    *, full: bool = False, backends: Sequence[str] | None = None, dtypes: Sequence[str] = ("float32",), **_: object
) -> list[Case]:
    """List the networks, each with everybody that can train it.

    Parameters
    ----------
    full : bool
        Whether runs are longer, so that what a call of ``fit`` costs counts less, and whether peers that take long to
        compile take part.
    backends : sequence of str, optional
        By default those that are installed. The peers run on the same devices.
    dtypes : sequence of str
        ``"float32"``, ``"float64"``.

    Examples
    --------
    >>> case = cases(backends=["numpy"])[0]
    >>> case.name, case.per, [contender.name for contender in case.contenders][:2]
    ('20-32-32-2, batch 32', 'step', ['products', 'mlpx numpy'])
    """
    places = default_backends() if backends is None else backends
    works = [replace(_longer(work) if full else work, dtype=dtype) for dtype in dtypes for work in NETWORKS]
    return [_case(work, places, full=full) for work in works]


def _longer(work: Workload) -> Workload:
    """Return a longer run: five times as many epochs, or where one has few steps twice as many of four times the rows.

    What is paid once a call of ``fit``, and once an epoch, then counts as it does in use.
    """
    if work.rows // work.batch_size < FEW_STEPS:
        return replace(work, rows=4 * work.rows, epochs=2 * work.epochs)
    return replace(work, epochs=5 * work.epochs)


def _case(work: Workload, backends: Sequence[str], *, full: bool) -> Case:
    """Return the case of one network."""
    parameters = {
        "network": work.network,
        "batch": work.batch_size,
        "rows": work.rows,
        "epochs": work.epochs,
        "dtype": work.dtype,
    }
    own = [mlpx_contender(work, place) for place in backends]
    contenders = (_products(work), *own, *peers(work, backends, full=full))
    return Case("training", work.name, contenders, "step", work.steps, work.flop, parameters=parameters)


def _products(work: Workload) -> Contender:
    return Contender("products", partial(random_products, work), "NumPy's dot into buffers, nothing else")


def mlpx_contender(work: Workload, place: str) -> Contender:
    """Return mlpx on a backend, with the settings that a user would take."""
    backend = find_backend(place)
    settings = f"MLP.fit with Adam(1e-3) on {backend.name} {backend.version}"
    return Contender(f"mlpx {place}", partial(prepare_mlpx, work, place), settings, backend.device_name)


def prepare_mlpx(work: Workload, place: str, members: int | None = None) -> Run:
    """Return a run of ``fit`` on a fresh copy of a network, or of a stack."""
    start = work.start()
    net = mlpx.MLP(work.sizes, dtype=work.dtype, members=members, backend=find_backend(place))

    def run() -> object:
        return copy.copy(net).fit(
            start.X,
            start.y,
            epochs=work.epochs,
            batch_size=work.batch_size,
            optimizer=mlpx.Adam(1e-3),
            progress=False,
        )

    return run


def peers(work: Workload, backends: Sequence[str], *, full: bool) -> Iterator[Contender]:
    """Yield the peers that are installed, on the devices of the backends."""
    for device in sorted({find_backend(place).device_name for place in backends}):
        for peer in PEERS:
            here = device == "cpu"
            if peer.installed and (here or peer.devices) and (full or not peer.long_compilation):
                name = peer.name if here else f"{peer.name} {device}"
                yield Contender(name, partial(prepare_peer, work, peer, device), peer.settings, device)


def prepare_peer(work: Workload, peer: Peer, device: str, **stack: int) -> Run:
    """Return a run of a peer's ``fit``."""
    where = {"device": device} if peer.devices else {}
    net = peer.load()(work.start(), work.batch_size, **where, **stack)
    return partial(net.fit, work.epochs)
