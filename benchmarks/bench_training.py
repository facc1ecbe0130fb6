"""Whole epochs of training, beside scikit-learn's on the same data: compare medians within one run only."""

import numpy as np
import pytest

import mlpx

NETWORKS = {
    "64-100-10, batch 200": ([64, 100, 10], 200, 2000),
    "784-256-128-10, batch 256": ([784, 256, 128, 10], 256, 2048),
}


def data(sizes, n):
    """Return random features and class indices."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, sizes[0]), dtype=np.float32), rng.integers(0, sizes[-1], n)


@pytest.mark.parametrize("name", NETWORKS)
def bench_epoch(benchmark, backend, name):
    """One epoch of Adam."""
    sizes, batch, n = NETWORKS[name]
    X, y = data(sizes, n)
    net = mlpx.MLP(sizes, backend=backend)
    benchmark.group = name
    benchmark.extra_info["backend"] = repr(backend)
    benchmark.pedantic(
        lambda: net.fit(X, y, epochs=1, batch_size=batch, progress=False), rounds=7, iterations=1, warmup_rounds=2
    )


@pytest.mark.parametrize("name", NETWORKS)
def bench_epoch_of_scikit_learn(benchmark, name):
    """One epoch of Adam by scikit-learn's classifier."""
    neural_network = pytest.importorskip("sklearn.neural_network")
    sizes, batch, n = NETWORKS[name]
    X, y = data(sizes, n)
    net = neural_network.MLPClassifier(sizes[1:-1], batch_size=batch, random_state=0)
    benchmark.group = name
    benchmark.extra_info["backend"] = "scikit-learn"
    benchmark.pedantic(
        lambda: net.partial_fit(X, y, classes=np.arange(sizes[-1])), rounds=7, iterations=1, warmup_rounds=2
    )
