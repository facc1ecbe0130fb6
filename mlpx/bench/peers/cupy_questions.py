"""Small questions about CUDA and CuPy that decide how the fast path is built, answered by measuring.

Times are in microseconds, rates in operations a second. Each question stands alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import cupy

from mlpx._typing import Array
from mlpx.bench.gpu.own import allocations
from mlpx.bench.peers.cupy import Events, element_type, handle, random

Answer = dict[str, object]
REPEATS = 15
#: Verbose descriptions of graphs name the kinds of nodes.
VERBOSE = 1


def products_in_a_graph() -> Answer:
    """Answer (a): whether our products are captured and replayed right, with no node that allocates."""
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        a, b, out = _square(256)
        multiply = handle(stream, tf32=False)
        multiply(a, b, out)
        expected = out.copy()
        graph = captured(stream, lambda: multiply(a, b, out), 10)
        out.fill(cupy.nan)
        graph.launch(stream)
        stream.synchronize()
        text = graph.debug_dot_str(VERBOSE)
        equal = bool(cupy.array_equal(out, expected))
    return {"products": 10, "nodes": nodes(text), "allocation nodes": allocations(text), "same bits as eager": equal}


def nodes_and_launches() -> Answer:
    """Answer (b): what a node costs in a graph, an element-wise one and a small product, and what a launch."""
    stream = cupy.cuda.Stream(non_blocking=True)
    found: Answer = {}
    with stream:
        a, b, out = _square(256)
        add = cupy.ElementwiseKernel("float32 x", "float32 y", "y = y + x", "add_to")
        multiply = handle(stream, tf32=False)
        multiply(a, b, out)
        for name, call in (("element-wise", partial(add, a, out)), ("product 256", partial(multiply, a, b, out))):
            call()
            few, many = (captured(stream, call, count) for count in (20, 220))
            times = [_graph_time(graph, stream) for graph in (few, many)]
            found[f"µs a node, {name}"] = 1e6 * (times[1] - times[0]) / 200
            found[f"µs of the host, launch of 220 nodes, {name}"] = 1e6 * _host_time(partial(many.launch, stream))
    return found


def eager_calls() -> Answer:
    """Answer (c): what CuPy's own calls cost the host."""
    a, b, out = _square(64)
    add = cupy.ElementwiseKernel("float32 x", "float32 y", "y = y + x", "add_to")
    calls: dict[str, Callable[[], Any]] = {
        "matmul": lambda: cupy.matmul(a, b, out=out),
        "ElementwiseKernel": lambda: add(a, out),
        "ufunc": lambda: cupy.add(a, b, out=out),
    }
    return {f"µs of the host, {name}": 1e6 * _host_time(call, 50) for name, call in calls.items()}


def sustained_rates() -> Answer:
    """Answer (d): the rate that large products keep up for a second, in float32 and in TF32."""
    stream = cupy.cuda.Stream(non_blocking=True)
    found: Answer = {}
    with stream:
        a, b, out = _square(8192)
        for name, tf32 in (("float32", False), ("tf32", True)):
            multiply = handle(stream, tf32=tf32)
            call = partial(multiply, a, b, out)
            count = max(3, int(1.0 / _span(call, 3)))
            found[name] = 2.0 * 8192**3 / _span(call, count)
    return found


def generator_in_a_graph() -> Answer:
    """Answer (f): whether CuPy's generator is captured, and each replay draws new numbers."""
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        generator = cupy.random.default_rng(0)
        out = cupy.empty(1024, dtype=cupy.float32)
        generator.random(dtype=cupy.float32, out=out)
        graph = captured(stream, lambda: generator.random(dtype=cupy.float32, out=out), 1)
        drawn = []
        for _ in range(2):
            graph.launch(stream)
            stream.synchronize()
            drawn.append(cupy.asnumpy(out))
    return {"captured": True, "replays differ": bool((drawn[0] != drawn[1]).any())}


def bfloat16_kernel() -> Answer:
    """Answer (g): whether an element-wise kernel takes bfloat16 arrays."""
    dtype = element_type("bfloat16")
    x = random((1024,), dtype, 0)
    double = cupy.ElementwiseKernel("T x", "T y", "y = x + x", "double_of")
    y = double(x)
    right = bool(cupy.array_equal(y.astype(cupy.float32), 2 * x.astype(cupy.float32)))
    return {"type of the result": str(y.dtype), "right": right}


QUESTIONS: dict[str, Callable[[], Answer]] = {
    "a": products_in_a_graph,
    "b": nodes_and_launches,
    "c": eager_calls,
    "d": sustained_rates,
    "f": generator_in_a_graph,
    "g": bfloat16_kernel,
}


def _square(width: int) -> tuple[Array, Array, Array]:
    """Return two random matrices, small enough that sums of products stay finite, and a place for the product."""
    dtype = cupy.dtype("float32")
    a, b = (random((width, width), dtype, seed) for seed in (0, 1))
    return a, b, cupy.empty_like(a)


def captured(stream: Any, call: Callable[[], object], count: int) -> Any:
    """Return a graph of `count` calls; a capture that fails is ended too."""
    stream.synchronize()
    stream.begin_capture()
    try:
        for _ in range(count):
            call()
    except BaseException:
        _end_failed(stream)
        raise
    graph = stream.end_capture()
    graph.upload(stream)
    return graph


def _end_failed(stream: Any) -> None:
    """Let a stream go whose capture is broken; ending it raises, and frees it all the same."""
    try:
        stream.end_capture()
    except Exception:
        return


def nodes(text: str) -> int:
    """Count the nodes in a graph's description."""
    return len(set(re.findall(r'"(graph_\d+_node_\d+)"\s*\[', text)))


def _graph_time(graph: Any, stream: Any) -> float:
    """Return the median of the device's seconds for a launch."""
    graph.launch(stream)
    stream.synchronize()
    return median(_span(lambda: graph.launch(stream), 1) for _ in range(REPEATS))


def _span(call: Callable[[], object], count: int) -> float:
    """Return the device's seconds for a call, from `count` of them after a first one."""
    call()
    watch = Events("cuda:0")
    watch.start()
    for _ in range(count):
        call()
    watch.stop()
    return watch.seconds() / count


def _host_time(call: Callable[[], object], count: int = 1) -> float:
    """Return the median of the host's seconds for a call, issued to an idle device."""
    stream, times = cupy.cuda.get_current_stream(), []
    call()
    for _ in range(REPEATS):
        stream.synchronize()
        begin = time.perf_counter()
        for _ in range(count):
            call()
        times.append((time.perf_counter() - begin) / count)
    stream.synchronize()
    return median(times)
