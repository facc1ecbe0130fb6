"""The products of a layer: forward ``A W``, error term ``delta Wᵀ``, weight gradient ``Aᵀ delta``.

The weight gradient is a sum of outer products, one a sample; `bench_outer_products` takes it in four ways. Every timed
call waits for the device. Operands are random: constant ones run faster than real ones.
"""

import numpy as np
import pytest

SHAPES = [(32, 32, 32), (128, 128, 128), (256, 784, 256), (1024, 1024, 1024)]


def operands(backend, batch, fan_in, fan_out):
    """Return activations, weights and error terms in float32 on the backend."""
    rng = np.random.default_rng(0)
    shapes = (batch, fan_in), (fan_in, fan_out), (batch, fan_out)
    return [backend.asarray(rng.standard_normal(shape, dtype=np.float32)) for shape in shapes]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("product", ["forward", "error_term", "weight_gradient"])
def bench_product(benchmark, backend, product, shape):
    """One product of a layer."""
    a, w, delta = operands(backend, *shape)
    function, arguments = {
        "forward": (lambda x, y: backend.net_input(x, y, None), (a, w)),
        "error_term": (backend.error_term, (delta, w)),
        "weight_gradient": (lambda x, y: backend.weight_gradient(x, y, bias=False), (a, delta)),
    }[product]
    measure(benchmark, backend, function, arguments, f"{product} {shape}", 2 * np.prod(shape))


def outer_loop(xp, a, delta):
    """Add up one outer product after the other."""
    total = a[0, :, None] * delta[0, None, :]
    for i in range(1, a.shape[0]):
        total = total + a[i, :, None] * delta[i, None, :]
    return total


WAYS = {
    "loop": outer_loop,
    "every sample": lambda xp, a, delta: xp.sum(a[:, :, None] * delta[:, None, :], axis=0),
    "product": lambda xp, a, delta: xp.matmul(xp.matrix_transpose(a), delta),
    "stacked product": lambda xp, a, delta: xp.sum(
        xp.matmul(xp.reshape(a, (8, -1, a.shape[1])).mT, xp.reshape(delta, (8, -1, delta.shape[1]))), axis=0
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batch", [8, 64, 256])
def bench_outer_products(benchmark, backend, way, batch):
    """Take the weight gradient of a layer of 128 x 64 units in four ways."""
    a, _, delta = operands(backend, batch, 128, 64)
    function = lambda x, y: WAYS[way](backend.xp, x, y)  # noqa: E731
    measure(benchmark, backend, function, (a, delta), f"outer products, batch {batch}", None)


def measure(benchmark, backend, function, arguments, group, flop):
    """Time a function in the backend's fastest form, the wait for its result included."""
    call = backend.compile(function)

    def run():
        backend.synchronize(call(*arguments))

    benchmark.group = group
    benchmark.extra_info.update(backend=repr(backend), flop=None if flop is None else int(flop))
    benchmark.pedantic(run, rounds=15, iterations=5, warmup_rounds=3)
