"""mlpx's own steps on a device: what `fit` hands to the backend, handed over again and again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import cycle, islice
from operator import itemgetter
from typing import Any

import numpy as np

import mlpx
from mlpx._typing import Array
from mlpx.backends import trees
from mlpx.bench.gpu.steps import Steps, Stopwatch
from mlpx.bench.gpu.work import PRECISIONS, Job, beginning
from mlpx.bench.peers import device_stopwatch, fix_precision
from mlpx.bench.places import find_backend

__all__ = ["OwnSteps"]


class Held(mlpx.Callback):
    """Keeps the run of a `fit` that is prepared and trains nothing."""

    def start(self, run: Any) -> None:
        """Take the run, and leave it no epoch."""
        self.run, run.epochs = run, 0


class OwnSteps(Steps):
    """Steps through the backend's ``fold``, a block at once, as `fit` makes them.

    The data lies on the device. The batches of a block (rows, learning rates) are drawn beforehand, and go over with
    each block.

    Parameters
    ----------
    job : Job
        What is trained.
    place : str
        Backend and device, such as ``"cupy"`` or ``"torch:cuda:0"``.
    """

    def __init__(self, job: Job, place: str) -> None:
        self.backend, self.block = find_backend(place), job.block
        self._watch = device_stopwatch(self.backend.name, self.backend.device_name)
        self.clock = "host" if self._watch is None else "events"
        fix_precision(self.backend.name, job.precision)
        start = beginning(job)
        settings: dict[str, Any] = {"members": job.members, "backend": self.backend, **PRECISIONS[job.precision]}
        net = mlpx.MLP(list(job.sizes), **settings)
        net.set_weights(start.weights, start.biases)
        self._run = held_run(net, start.X, start.y, job.batch)
        with self.backend.context():
            self._state = self._run._state
            self._first = trees.mapped(self.backend.copy, self._state)
            orders = np.stack(list(islice(cycle(start.order), job.block)))
            block = drawn(self._run, orders)
            self._blocks = {count: trees.mapped(itemgetter(slice(count)), block) for count in {1, job.block}}
        self._weight = job.batch
        self.restart()

    def restart(self) -> None:
        """Begin again with the first parameters, written where the present ones lie."""
        with self.backend.context():
            copies = map(self.backend.copy, trees.leaves(self._first), trees.leaves(self._state))
            self._state = trees.rebuilt(self._first, copies)
        self._made = 0

    def issue(self, count: int) -> None:
        """Hand over one step, or block after block."""
        run, size = self._run, 1 if count == 1 else self.block
        with self.backend.context():
            for _ in range(count // size):
                fixed = run._train.data, run._masks
                self._state = run._fold(fixed, self._state, self._blocks[size], run.net.members)
        self._made += count

    def wait(self) -> None:
        """Wait for the device."""
        with self.backend.context():
            self.backend.synchronize(*trees.leaves(self._state))

    def loss(self) -> float:
        """Return the mean loss since `restart`."""
        with self.backend.context():
            terms = np.asarray(self.backend.to_numpy(self._state.terms))
        return float(np.mean(terms[..., 0])) / (self._weight * self._made)

    def stopwatch(self) -> Stopwatch:
        """Return the library's events, where it has some."""
        return super().stopwatch() if self._watch is None else self._watch()

    def facts(self) -> dict[str, object]:
        """Return what the plan tells of itself."""
        return plan_facts(self._run._fold)


def held_run(net: mlpx.Network, X: Array, y: Array, batch_size: int) -> Any:
    """Return the run that `fit` would make, with data, state and plan in place."""
    held = Held()
    adam = mlpx.Adam(1e-3)
    # as of a long training: few steps would be made as they stand
    net.fit(X, y, epochs=100, batch_size=batch_size, optimizer=adam, callbacks=[held], progress=False)
    return held.run


def drawn(run: Any, orders: Array) -> Any:
    """Return the batches of the first steps of a run, with the rows of `orders`."""
    parts: list[Any] = []
    while sum(map(trees.length, parts)) < len(orders):
        runs = [steps for _, some in run._windows(0) for steps in some]
        parts += [batches for batches, *_ in runs]
        run._epoch_steps = runs[-1][2]
    leaves = zip(*map(trees.leaves, parts), strict=True)
    joined = trees.rebuilt(parts[0], (np.concatenate(each)[: len(orders)] for each in leaves))
    return joined._replace(index=orders.astype(joined.index.dtype))


def plan_facts(fold: Any) -> dict[str, object]:
    """Return the numbers of nodes of a captured plan, where its program tells them."""
    found: dict[str, object] = {}
    for program in programs(fold):
        if (nodes := getattr(program, "nodes", None)) is not None:
            found["nodes"] = nodes if isinstance(nodes, int) else len(nodes)
        if (debug := getattr(program, "debug", None)) is not None:
            found["allocation nodes"] = allocations(debug() if callable(debug) else debug)
    return found


def programs(fold: Any) -> Iterable[Any]:
    """Return the programs of a fold, however it keeps them, the longest known last."""
    kept = getattr(fold, "programs", None) or getattr(fold, "_programs", None) or ()
    return [program for program in (kept.values() if isinstance(kept, dict) else kept) if program is not None]


def allocations(text: object) -> int:
    """Count the nodes of a graph's description that allocate memory."""
    return len(re.findall(r"MEM_?ALLOC", str(text), re.IGNORECASE))
