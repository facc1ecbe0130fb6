"""Other libraries' ways to train the same network, written as a good user of each would write them.

Every peer has the same network (ReLU, softmax with cross-entropy), the same initial weights, Adam with the same
numbers, batches of the same size in a new random order each epoch, and tells the mean loss of each epoch.
``fit(epochs)`` begins with the initial weights and fresh moments. What is compiled is compiled once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module, util
from typing import Any, NamedTuple

__all__ = ["PEERS", "STACKED", "STEPS", "Peer", "device_stopwatch", "fix_precision"]


class Peer(NamedTuple):
    """Where a peer is written, and how it was set.

    Attributes
    ----------
    name : str
        Such as ``"torch eager"``.
    library : str
        The module that it needs.
    place, cls : str
        Its own module and class; the class is called with a `Start` and the batch size.
    settings : str
        One line on what it does.
    devices : bool
        Whether it takes a device other than the processor.
    long_compilation : bool
        Whether it compiles for so long that only the whole grid has it.
    """

    name: str
    library: str
    place: str
    cls: str
    settings: str
    devices: bool = True
    long_compilation: bool = False

    @property
    def installed(self) -> bool:
        """Whether its library is there; nothing is imported for this."""
        return util.find_spec(self.library) is not None

    def load(self) -> Any:
        """Return its class."""
        return getattr(import_module(self.place), self.cls)


PEERS = (
    Peer(
        "scikit-learn",
        "sklearn",
        "mlpx.bench.peers.scikit_learn",
        "Classifier",
        "MLPClassifier.fit with warm_start, max_iter = epochs, tol=0, alpha=0; one logistic output for two classes",
        devices=False,
    ),
    Peer(
        "torch eager",
        "torch",
        "mlpx.bench.peers.torch",
        "Eager",
        "nn.Sequential, cross_entropy, Adam(fused=True), rows by index_select in the order of randperm",
    ),
    Peer(
        "torch.compile",
        "torch",
        "mlpx.bench.peers.torch",
        "Compiled",
        "the whole step as one graph (default mode, static shapes): index_select, grad_and_value, Adam in place",
        long_compilation=True,
    ),
    Peer(
        "jax jit",
        "jax",
        "mlpx.bench.peers.jax",
        "Stepwise",
        "jit of the whole step, state donated, rows in NumPy's order handed in batch by batch",
    ),
    Peer(
        "jax scan",
        "jax",
        "mlpx.bench.peers.jax",
        "Scanned",
        "jit of an epoch as a scan over its steps, state donated, rows in NumPy's order (faster than JAX's own)",
    ),
)
STACKED = Peer(
    "jax vmap",
    "jax",
    "mlpx.bench.peers.jax",
    "Stacked",
    "jit of the scan of an epoch, vmapped over members with orders of their own, state donated",
)
#: Where the steps of each library on a device are written, with its events and its ways to fix the precision.
STEPS = {
    "cupy": "mlpx.bench.peers.cupy",
    "torch": "mlpx.bench.peers.torch_steps",
    "jax": "mlpx.bench.peers.jax_steps",
}


def device_stopwatch(backend: str, device: str) -> Callable[[], Any] | None:
    """Return what makes stopwatches of a backend's library; None where its device has no events."""
    if backend not in STEPS or not device.startswith("cuda"):
        return None
    events = getattr(import_module(STEPS[backend]), "Events", None)
    return None if events is None else partial(events, device)


def fix_precision(backend: str, precision: str) -> None:
    """Let the float32 products of a backend's library run in TF32 or not, where that is the process's matter."""
    if backend in STEPS:
        fix = getattr(import_module(STEPS[backend]), "fix_precision", None)
        if fix is not None:
            fix(precision)
