"""Listing: what a network's training step becomes on CUDA, to be read on any machine."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from mlpx._typing import Array
from mlpx.backends import host, trees
from mlpx.backends.cuda.fusion import Kernel, Product
from mlpx.backends.cuda.program import Compiled, compiled
from mlpx.backends.cuda.sharing import scheme_of
from mlpx.backends.cuda.writing import name_of
from mlpx.backends.notes import Kind, NotRecordable
from mlpx.backends.numpy import NumPyBackend
from mlpx.backends.recording import record

__all__ = ["listing"]


class _Seen(Exception):  # noqa: N818
    """Carries what training was about to do."""

    def __init__(self, step: Any, arguments: Any) -> None:
        self.step, self.arguments = step, arguments


class _Onlooker(NumPyBackend):
    """NumPy up to the first step, which draws as on CUDA."""

    draws_in_step = True

    def dropout_draws(
        self, keys: Any, layer: int, steps: Any, shape: Any, thresholds: Any, scales: Any, dtype: Any
    ) -> Array:
        return host.dropout_words(keys, layer, steps, thresholds, scales)

    def fold(self, step: Any, steps: int | None = None) -> Any:
        def run(fixed: Any, state: Any, batches: Any, members: int | None = None) -> Any:
            raise _Seen(step, (fixed, state, trees.entry(batches, 0)))

        return run


def listing(net: Any, batch_size: int = 128, *, source: bool = True, **settings: Any) -> str:
    """Return the nodes of a network's training step and its kernels in CUDA C++; neither a card nor CuPy is needed.

    Parameters
    ----------
    net : mlpx.Network
        A network on NumPy with the `dtype` float32, float64 or float16; it is not changed.
    batch_size : int
        Rows of a step.
    source : bool
        Whether to add the kernels' source.
    **settings
        Of `mlpx.Network.fit`, such as the optimizer.

    Raises
    ------
    mlpx.backends.notes.NotRecordable
        Where the step cannot be captured; the message says why.

    Examples
    --------
    >>> import mlpx
    >>> print(listing(mlpx.MLP([4, 8, 2], output="linear"), batch_size=16, source=False))
    elements  16 x 4      take
    elements  16 x 2      take
    product   16 x 8
    elements  16 x 8      add, maximum
    product   16 x 2
    rows      16 x 2      add, subtract, multiply, sum, multiply, divide
    rows      1 x 16      sum, divide
    product   8 x 2
    columns   16 x 2      sum over rows
    product   16 x 8
    columns   16 x 8      greater, cast, multiply, sum over rows
    product   4 x 8
    elements  1 x 58      multiply, add, multiply, multiply, add, multiply, sqrt, add, divide, subtract, cast
    elements  1 x 1       multiply, add
    """
    own = copy.copy(net)
    own.backend = _Onlooker()
    own.vector = own.vector.copy()
    x = np.zeros((batch_size, net.architecture.widths[0]), np.float32)
    classes = net.architecture.output.task == "classes" and net.architecture.output.loss.output is not None
    y = np.zeros(batch_size, np.int64) if classes else np.zeros((batch_size, net.architecture.output.units))
    try:
        own.fit(x, y, epochs=1, batch_size=batch_size, progress=False, **settings)
    except _Seen as seen:
        kinds = trees.mapped(lambda leaf: Kind(leaf.shape, leaf.dtype), seen.arguments)
        recording = record(seen.step, kinds)
    else:
        msg = "training without a step"
        raise NotRecordable(msg)
    if recording is None:
        msg = "its formulas do more than back-propagation can record"
        raise NotRecordable(msg)
    made = compiled(recording)
    return _nodes(made) + (f"\n\n{made.text}" if source else "")


def _nodes(made: Compiled) -> str:
    return "\n".join(_line(node).rstrip() for node in made.plan.nodes)


def _line(node: Any) -> str:
    if isinstance(node, Kernel):
        calls = ["sum over rows" if name_of(op) == "matmul" else name_of(op) for op in node.operations]
        size = " x ".join(map(str, (*(node.rows or (1,)), node.columns)))
        return f"{scheme_of(node).value:9} {size:11} {', '.join(calls)}"
    kind = "product" if isinstance(node, Product) else "bits"
    return f"{kind:9} {' x '.join(map(str, node.output.value.shape))}"
