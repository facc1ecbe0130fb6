"""Training on a card: captured graphs against NumPy, and what they hold."""

import numpy as np
import pytest

import mlpx
from test_cuda_programs import WIDTHS, data, fit

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cupy():
    """The library, imported only where a test runs."""
    import cupy

    return cupy


def captured_by(X, y, widths, settings=None, **options):
    """Return a network trained on the card, and its captured step."""
    backend = mlpx.get_backend("cupy")
    folds = []
    fold = type(backend).fold

    def kept(self, step, steps=None):
        folds.append(fold(self, step, steps))
        return folds[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(backend), "fold", kept)
        net, history = fit(backend, X, y, widths, settings or {}, **options)
    return net, history, folds[0]


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"metrics": ["accuracy"], "clip_norm": 0.5}, {"l2": 1e-2}),
        ({"optimizer": mlpx.SGD(0.1, momentum=0.9, nesterov=True)}, {"dropout": 0.3}),
        ({"optimizer": mlpx.Adam([0.01, 0.02, 0.03])}, {"members": 3, "dropout": 0.3}),
        ({"patience": 1, "validation": 0.25, "epochs": 6, "optimizer": mlpx.SGD([0.1, 0.2, 2.0])}, {"members": 3}),
    ],
)
def test_the_card_trains_as_numpy_does(cupy, settings, options):
    X, y = data(16 * 37 + 5, WIDTHS)
    ours, history, captured = captured_by(X, y, WIDTHS, settings, **options)
    theirs, expected = fit("numpy", X, y, WIDTHS, settings, **options)
    np.testing.assert_allclose(cupy.asnumpy(ours.vector), theirs.vector, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-10)
    assert captured.programs
    assert all(program is not None for program in captured.programs.values())


def test_a_graph_holds_kernels_and_no_allocation():
    _, _, captured = captured_by(*data(16 * 40, WIDTHS), WIDTHS)
    [program] = captured.programs.values()
    for steps, graph in program.graphs.items():
        assert "alloc" not in graph.text().lower()
        assert graph.text().count("->") >= steps * program.nodes - 1


def test_epochs_after_the_first_allocate_nothing_that_stays(cupy):
    X, y = data(16 * 40, WIDTHS)
    pool, totals = cupy.get_default_memory_pool(), []

    class Watch(mlpx.callbacks.Callback):
        def epoch(self, run):
            totals.append(pool.total_bytes())

    captured_by(X, y, WIDTHS, {"epochs": 6, "callbacks": [Watch()]})
    assert len(set(totals[2:])) == 1


def test_equal_runs_give_equal_bits(cupy):
    X, y = data(16 * 20, WIDTHS)
    first, second = (captured_by(X, y, WIDTHS, dtype="float32")[0].vector for _ in range(2))
    np.testing.assert_array_equal(cupy.asnumpy(first), cupy.asnumpy(second))


def test_a_learning_rate_acts_inside_a_captured_graph(cupy):
    X, y = data(16 * 40, WIDTHS)
    settings = {"epochs": 4, "optimizer": mlpx.SGD(mlpx.schedules.Exponential(0.5, 0.9))}
    ours, _, captured = captured_by(X, y, WIDTHS, settings)
    theirs, _ = fit("numpy", X, y, WIDTHS, settings)
    np.testing.assert_allclose(cupy.asnumpy(ours.vector), theirs.vector, rtol=1e-10, atol=1e-10)
    [program] = captured.programs.values()
    assert program.graphs


def test_data_in_columns_are_taken_in(cupy):
    X, y = data(64, WIDTHS)
    ours, _, _ = captured_by(cupy.asfortranarray(cupy.asarray(X)), y, WIDTHS)
    theirs, _ = fit("numpy", X, y, WIDTHS, {})
    np.testing.assert_allclose(cupy.asnumpy(ours.vector), theirs.vector, rtol=1e-10, atol=1e-10)


def test_training_on_a_stream_of_the_user(cupy):
    X, y = data(64, WIDTHS)
    with cupy.cuda.Stream(non_blocking=True):
        ours, _, _ = captured_by(X, y, WIDTHS)
        vector = cupy.asnumpy(ours.vector)
    theirs, _ = fit("numpy", X, y, WIDTHS, {})
    np.testing.assert_allclose(vector, theirs.vector, rtol=1e-10, atol=1e-10)


def test_a_second_device_is_honoured_everywhere(cupy):
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two CUDA devices")
    X, y = data(64, WIDTHS)
    net = mlpx.MLP(WIDTHS, seed=3, backend="cupy", device="cuda:1", dropout=0.2)
    net.fit(X, y, epochs=2, validation=0.2, progress=False)
    for array in (net.vector, *net.weights, net.predict(cupy.asarray(X))):
        assert array.device.id == 1
