"""The same seed gives the same numbers: on every backend, in any order of fits, in any thread."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mlpx
from mlpx.backends import Backend

RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(30, 5)), RNG.integers(0, 3, size=30)


def make(backend: Backend | str | None = "numpy", seed: int = 4, **options) -> mlpx.MLP:
    return mlpx.MLP([5, 8, 3], seed=seed, backend=backend, **{"dtype": "float64", "dropout": 0.4} | options)


def parameters(net: mlpx.Network) -> list[np.ndarray]:
    return [mlpx.to_numpy(array).copy() for array in (*net.weights, *net.biases)]


def trained(backend: Backend | str | None = "numpy", seed: int = 4, **options) -> list[np.ndarray]:
    net = make(backend, seed, **options)
    net.fit(X, Y, epochs=3, batch_size=7, validation=0.2)
    return parameters(net)


def assert_equal(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    for one, other in zip(a, b, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("initializer", ["auto", "glorot_uniform", "he_normal", "lecun_normal", "orthogonal"])
@pytest.mark.parametrize("members", [None, 3])
def test_initial_weights_are_the_same_everywhere(backend: Backend, dtype: str, initializer: str, members) -> None:
    options = {"dtype": dtype, "initializer": initializer, "members": members}
    assert_equal(parameters(make(backend, **options)), parameters(make("numpy", **options)))


def dropout_lanes(member: int) -> np.ndarray:
    """Return the 16-bit lanes that decide in the fourth step at layer 1, as the documentation orders them."""
    key = np.array([4, (2 << 32) + member], dtype=np.uint64)
    words = np.random.Philox(key=key, counter=[0, 1, 3, 0]).random_raw(30 * 8 // 4)
    return np.stack([(words >> np.uint64(16 * lane)) & np.uint64(0xFFFF) for lane in range(4)], axis=1).reshape(30, 8)


FIRST_LANE = int(dropout_lanes(0)[0, 0])  # as a threshold it is just kept


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("rate", [0.4, 1 / 3, 0.999, FIRST_LANE / 65536])
def test_dropout_masks_are_the_same_everywhere_and_as_documented(backend: Backend, members, rate: float) -> None:
    net = make(backend, members=members, dropout=rate)
    net.fit(X, Y, epochs=1, batch_size=10)  # three steps, so that the counter is not zero
    mask = mlpx.to_numpy(net.forward(X, training=True).layers[1].mask)
    for member, own in enumerate(mask if members else [mask]):
        threshold = round(65536 * rate)
        kept = dropout_lanes(member) >= threshold
        assert_array_equal(own, kept * (65536 / (65536 - threshold)))
    assert net.forward(X).layers[1].mask is None


def test_shuffles_are_the_same_everywhere(backend: Backend) -> None:
    """With batches of one row the losses tell which row came when."""
    nets = [make(one, dropout=0.0) for one in (backend, "numpy")]
    losses = [net.fit(X, Y, epochs=3, batch_size=1, optimizer=mlpx.SGD(0.5))["loss"] for net in nets]
    assert_allclose(*losses, rtol=1e-13)


def test_ten_epochs_of_digits_agree_with_numpy(backend: Backend) -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn ships the digits")
    features, labels = datasets.load_digits(return_X_y=True)
    nets = [mlpx.MLP([64, 32, 10], dtype="float64", dropout=0.1, l2=1e-4, backend=b) for b in (backend, "numpy")]
    histories = [net.fit(features / 16, labels, epochs=10, validation=0.1) for net in nets]
    for a, b in zip(*map(parameters, nets), strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-10)
    for name, column in histories[1].items():
        assert_allclose(histories[0][name], column, rtol=1e-10)
    for a in (*nets[0].weights, nets[0].predict(features[:3])):
        assert mlpx.to_numpy(a).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_seed_twice_is_bitwise_equal(backend: Backend, dtype: str) -> None:
    assert_equal(trained(backend, dtype=dtype), trained(backend, dtype=dtype))


def test_different_seeds_differ() -> None:
    found = [trained(seed=seed)[0].tobytes() for seed in (0, 1, 2**32, 2**63, 2**64 - 1)]
    assert len(set(found)) == 5


def test_other_networks_and_global_generators_do_not_matter() -> None:
    expected = trained()
    np.random.seed(0)  # noqa: NPY002 - the global generator must not matter
    net, other = make(), make(seed=5)
    other.fit(X, Y, epochs=1)
    np.random.rand(7)  # noqa: NPY002
    net.predict(X)
    net.forward(X, training=True)
    net.evaluate(X, Y)
    net.fit(X, Y, epochs=3, batch_size=7, validation=0.2)
    assert_equal(parameters(net), expected)


def test_threads_with_backends_of_their_own_do_not_disturb_each_other() -> None:
    names = [info.name for info in mlpx.available_backends() if info.available] * 2
    barrier, results, errors = threading.Barrier(len(names)), {}, []

    def work(position: int, name: str) -> None:
        try:
            with mlpx.use_backend(name):
                barrier.wait(timeout=60)
                net = make(None, seed=position)
                net.fit(X, Y, epochs=3, batch_size=7, validation=0.2)
                barrier.wait(timeout=60)
                results[position] = (net.backend.name, mlpx.get_backend().name, parameters(net))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for position, name in enumerate(names):
        *found, own = results[position]
        assert found == [name, name]
        assert_equal(own, trained(name, seed=position))
    assert mlpx.get_backend().name == "numpy"
