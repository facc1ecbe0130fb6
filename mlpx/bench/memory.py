"""Memory: the peak of a training run in a process of its own, beside what the plan of the run says.

What is counted is the resident memory of the process at its peak during a second, equal run, less what is left when the
network, its data and everything that belongs to them are gone. Libraries' code and what they keep for good (compiled
functions, pools of threads) do not count. The kernel counts pages, so that a few hundred kilobytes are noise. It needs
Linux, which lets a process set its peak back.
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import mlpx
from mlpx.bench.case import Case, Contender
from mlpx.bench.networks import DIGITS, NETWORKS, Workload
from mlpx.bench.peers import PEERS, STACKED
from mlpx.bench.places import default_backends, find_backend
from mlpx.bench.training import prepare_mlpx, prepare_peer

__all__ = ["cases", "peak_bytes", "planned_bytes"]

Prepare = Callable[[], Callable[[], object]]

STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SETTINGS = "resident memory at the peak, less what is left when network and data are gone"
#: Smaller networks would drown in the noise.
SHORT = NETWORKS[3:4]
FULL = NETWORKS[2:]
MEMBERS = 256


def cases(
    *, full: bool = False, backends: Sequence[str] | None = None, dtypes: Sequence[str] = ("float32",), **_: object
) -> list[Case]:
    """List networks, each with the plan's own figure, and measurements of mlpx and its peers.

    Parameters
    ----------
    full : bool
        Whether the peers, more networks and a stack are measured too: each takes a process of its own.
    backends : sequence of str, optional
        By default those that are installed; only those on the processor are measured.
    dtypes : sequence of str
        ``"float32"``, ``"float64"``.

    Examples
    --------
    >>> [case.unit for case in cases(backends=["numpy"])][:1] in (["B"], [])
    True
    """
    if not PEAK.exists():
        return []
    places = default_backends() if backends is None else backends
    here = [place for place in places if find_backend(place).device_name == "cpu"]
    works = [replace(work, dtype=dtype) for dtype in dtypes for work in (FULL if full else SHORT)]
    found = [_case(work, None, _peers(work) if full else (), here) for work in works]
    for dtype in dtypes if full else ():
        work = replace(DIGITS, dtype=dtype)
        found.append(_case(work, MEMBERS, _stacked_peer(work), here))
    return found


def _case(work: Workload, members: int | None, peers: Sequence[Contender], backends: Sequence[str]) -> Case:
    """Return the case of one network, or of a stack."""
    once = replace(work, epochs=1)
    plan = Contender(
        "mlpx plan", lambda: partial(planned_bytes, once, members), "data, parameters, state and buffers, counted"
    )
    own = [
        Contender(f"mlpx {place}", partial(_measurement, once, "mlpx", place, members), SETTINGS) for place in backends
    ]
    name = work.name if members is None else f"{work.name}, {members} members"
    parameters = {
        "network": work.network,
        "batch": work.batch_size,
        "members": members or 1,
        "dtype": work.dtype,
        "n_parameters": work.n_parameters,
    }
    return Case("memory", name, (plan, *own, *peers), "run", parameters=parameters, unit="B")


def _peers(work: Workload) -> list[Contender]:
    once = replace(work, epochs=1)
    return [
        Contender(peer.name, partial(_measurement, once, "peer", peer.name), f"{SETTINGS}; {peer.settings}")
        for peer in PEERS
        if peer.installed
    ]


def _stacked_peer(work: Workload) -> list[Contender]:
    once, peer = replace(work, epochs=1), STACKED
    prepare = partial(_measurement, once, "peer", peer.name, MEMBERS)
    return [Contender(peer.name, prepare, f"{SETTINGS}; {peer.settings}")] if peer.installed else []


def planned_bytes(work: Workload, members: int | None = None) -> int:
    """Return what a run on NumPy holds: data, parameters, the state and its copy from before the epoch, buffers."""
    seen: list[Any] = []

    def first(run: Any) -> None:
        seen.append(run)
        run.stop()

    start = work.start()
    net = mlpx.MLP(work.sizes, dtype=work.dtype, members=members, backend="numpy")
    # as of a long training: few steps would be made as they stand
    net.fit(start.X, start.y, epochs=100, batch_size=work.batch_size, callbacks=first, progress=False)
    (run,) = seen
    buffers = run._fold.allocated
    state = net.vector.nbytes * (1 + len(run.settings.optimizer.moments))
    return int(start.X.nbytes + start.y.nbytes + net.vector.nbytes + 2 * state + buffers)


# The measurement.


def _measurement(work: Workload, kind: str, name: str, members: int | None = None) -> Callable[[], int]:
    """Return a run in a process of its own, which returns its bytes."""
    order = json.dumps({"work": asdict(work), "kind": kind, "name": name, "members": members})

    def run() -> int:
        command = [sys.executable, "-m", "mlpx.bench.memory", order]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
        return int(done.stdout)

    return run


def preparation(order: dict[str, Any]) -> Prepare:
    """Return the function that builds what an order names."""
    work = Workload(**{**order["work"], "sizes": tuple(order["work"]["sizes"])})
    members = order["members"]
    if order["kind"] == "mlpx":
        return partial(prepare_mlpx, work, order["name"], members)
    peer = next(peer for peer in (*PEERS, STACKED) if peer.name == order["name"])
    return partial(prepare_peer, work, peer, "cpu", **({} if members is None else {"members": members}))


def peak_bytes(prepare: Prepare) -> int:
    """Return what the second call of a run takes at its peak, all that belongs to it included."""
    run = prepare()
    run()
    _give_back()
    PEAK.write_text("5")  # sets the peak to what is resident now
    run()
    peak = _status("VmHWM")
    del run
    _give_back()
    return peak - _status("VmRSS")


def _give_back() -> None:
    """Collect garbage, and return free memory to the system, where the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status(name: str) -> int:
    """Return one of the kernel's figures on this process in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    sys.stdout.write(str(peak_bytes(preparation(json.loads(sys.argv[1])))))
