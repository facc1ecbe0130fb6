"""What would run on CUDA, run on the host: fused kernels, products on raw memory, captured steps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cuda_host
import mlpx
from host_device import HostBackend, HostDevice
from mlpx import activations
from mlpx.backends.cuda.captured import Captured
from mlpx.backends.cuda.listing import listing
from mlpx.backends.notes import NotRecordable
from mlpx.backends.numpy import NumPyBackend

pytestmark = [
    pytest.mark.kernels,
    pytest.mark.skipif(not cuda_host.available(), reason="needs a C++ compiler"),
]

OPTIMIZERS = [
    mlpx.SGD(0.1),
    mlpx.SGD(0.1, momentum=0.9),
    mlpx.SGD(0.1, momentum=0.9, nesterov=True),
    mlpx.Adam(0.01),
    mlpx.AdamW(0.01, weight_decay=0.1),
    mlpx.RMSProp(0.01),
]
HIDDEN = [
    name for name in activations.__all__
    if isinstance(getattr(activations, name), type)
    and name not in ("Activation", "Formula", "softmax", "step", "exp", "automatic", "custom", "formula")
]  # fmt: skip
PAIRS = [
    ("softmax", None, 3),
    ("sigmoid", None, 1),
    ("sigmoid", None, 3),
    ("identity", None, 2),
    ("identity", "absolute_error", 2),
    ("identity", mlpx.losses.huber(0.5), 1),
    ("identity", mlpx.losses.quantile(0.3), 1),
    ("exp", None, 1),
    ("step", None, 1),
    ("step", None, 3),
    ("tanh", "mean_squared_error", 3),
]


def fit(backend, X, y, widths, fit_settings, **settings):
    net = mlpx.MLP(widths, **{"seed": 3, "dtype": "float64", "backend": backend, **settings})
    history = net.fit(X, y, **{"epochs": 2, "batch_size": 16, "progress": False, **fit_settings})
    return net, history


def check(X, y, widths, fit_settings=None, tolerance=1e-12, **settings):
    """Assert that training as on CUDA gives NumPy's weights and history; return the captured step."""
    backend = HostBackend()
    ours, history = fit(backend, X, y, widths, fit_settings or {}, **settings)
    theirs, expected = fit("numpy", X, y, widths, fit_settings or {}, **settings)
    before = mlpx.MLP(widths, **{"seed": 3, "dtype": "float64", **settings})
    assert np.abs(theirs.vector - before.vector).max() > 1e-4
    scale = max(1, np.abs(theirs.vector).max())
    np.testing.assert_allclose(ours.vector, theirs.vector, rtol=0, atol=tolerance * scale)
    for name in expected:
        np.testing.assert_allclose(history[name], expected[name], rtol=100 * tolerance, atol=100 * tolerance)
    [captured] = backend.captured
    assert captured.programs
    assert all(program is not None for program in captured.programs.values())
    return captured


def data(n, widths, output="softmax"):
    rng = np.random.default_rng(7)
    X = rng.standard_normal((n, widths[0]))
    if output == "softmax":
        return X, rng.integers(0, widths[-1], n)
    if output in ("sigmoid", "step"):
        return X, rng.integers(0, 2, (n, widths[-1])).astype(float)
    return X, rng.random((n, widths[-1])) + 0.1


@pytest.mark.parametrize("activation", HIDDEN)
def test_every_activation_becomes_a_kernel(activation):
    widths = [5, 17, 9, 3]
    check(*data(32, widths), widths, activation=activation)


@pytest.mark.parametrize(("output", "loss", "units"), PAIRS)
def test_every_output_becomes_a_kernel(output, loss, units):
    widths = [4, 11, units]
    check(*data(32, widths, output), widths, {"optimizer": mlpx.SGD(0.01)}, output=output, loss=loss)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_every_optimizer_becomes_a_kernel(optimizer):
    widths = [4, 11, 3]
    check(*data(32, widths), widths, {"optimizer": optimizer, "clip_norm": 0.5}, l2=1e-2)


def test_an_own_activation_needs_nothing_more():
    def f(z, xp):
        return z / (1 + xp.abs(z))

    def derivative(z, xp):
        return 1 / (1 + xp.abs(z)) ** 2

    widths = [5, 12, 3]
    check(*data(32, widths), widths, activation=activations.custom(f, derivative))


WIDTHS = [4, 12, 10, 3]


def test_ragged_batches_and_many_steps_a_run():
    captured = check(*data(37 * 4 + 3, WIDTHS), WIDTHS, {"batch_size": 4, "metrics": ["accuracy"]})
    sizes = sorted(sorted(program.graphs) for program in captured.programs.values())
    assert sizes == [[1], [1, 16]]


def test_sample_weights_penalty_and_accuracy():
    X, y = data(64, WIDTHS)
    weight = np.random.default_rng(1).random(64)
    check(X, y, WIDTHS, {"sample_weight": weight, "metrics": ["accuracy"]}, l2=1e-2)


def test_a_stack():
    X, y = data(48, WIDTHS)
    settings = {"optimizer": mlpx.Adam([0.01, 0.02, 0.03]), "metrics": ["accuracy"], "clip_norm": 1.0}
    check(X, y, WIDTHS, settings, members=3, l2=1e-2)


def test_a_stack_with_rows_of_its_own_whose_members_stop():
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((3, 40, 4)), rng.integers(0, 3, (3, 40))
    subsets = [np.arange(40), np.arange(30), np.arange(33)]
    settings = {"subsets": subsets, "optimizer": mlpx.SGD([0.1, 0.2, 2.0]), "patience": 1, "epochs": 6}
    check(X, y, WIDTHS, {**settings, "validation": 0.25}, members=3)


def test_a_shared_order():
    X, y = data(48, WIDTHS)
    check(X, y, WIDTHS, {"shared_order": True}, members=3)


@pytest.mark.parametrize("members", [None, 3])
def test_dropout(members):
    check(*data(48, WIDTHS), WIDTHS, {"epochs": 3}, dropout=0.4, members=members)


def test_frozen_biases():
    X, y = data(32, [4, 6, 3])
    layers = [mlpx.Dense(4, 6, "tanh", bias="frozen"), mlpx.Dense(6, 3, "softmax", bias=False)]
    backend = HostBackend()
    nets = [mlpx.Network(layers, dtype="float64", seed=1, backend=each) for each in (backend, "numpy")]
    for net in nets:
        net.fit(X, y, epochs=2, batch_size=16, progress=False)
    np.testing.assert_allclose(nets[0].vector, nets[1].vector, rtol=0, atol=1e-13)
    [captured] = backend.captured
    assert all(captured.programs.values())


STRUCTURES = {
    "maxout": lambda: [
        mlpx.Dropout(0.2), mlpx.Maxout(4, 6, pieces=3, max_norm=0.6), mlpx.Maxout(6, 5), mlpx.Dense(5, 3, "softmax")
    ],
    "prelu": lambda: [mlpx.Dense(4, 6), mlpx.PReLU(6), mlpx.Dense(6, 3, "softmax", max_norm=0.8)],
    "skip": lambda: [
        mlpx.Skip(mlpx.Dense(4, 6, "tanh"), mlpx.Skip(mlpx.AlphaDropout(0.2), mlpx.Dense(6, 6)), activation="swish"),
        mlpx.Dense(6, 3, "softmax"),
    ],
    "embedding": lambda: [mlpx.Embedding(4, [(2, 5, 3), (0, 3, 2)]), mlpx.Dense(7, 3, "softmax")],
    "mask": lambda: [mlpx.Dense(4, 6, "tanh", mask=np.arange(24).reshape(4, 6) % 2), mlpx.Dense(6, 3, "softmax")],
}  # fmt: skip


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_becomes_kernels(name, members):
    X, y = data(48, [4, 3])
    X = np.round(2 * X) if name == "embedding" else X  # codes, and numbers that are none
    backend = HostBackend()
    settings = {"dtype": "float64", "seed": 1, "members": members}
    nets = [mlpx.Network(STRUCTURES[name](), backend=each, **settings) for each in (backend, "numpy")]
    for net in nets:
        net.fit(X, y, epochs=2, batch_size=16, progress=False)
    np.testing.assert_allclose(nets[0].vector, nets[1].vector, rtol=0, atol=1e-12)
    [captured] = backend.captured
    assert captured.programs
    assert all(captured.programs.values())


def test_label_smoothing_and_class_weights():
    check(*data(48, WIDTHS), WIDTHS, {"label_smoothing": 0.1, "class_weight": "balanced", "metrics": ["accuracy"]})


def test_regression_metrics():
    widths = [4, 12, 2]
    check(*data(48, widths, "identity"), widths, {"metrics": ["r2", "rmse"]}, output="identity")


def test_float32():
    check(*data(48, WIDTHS), WIDTHS, tolerance=2e-6, dtype="float32")


def test_long_rows_are_shared_by_blocks():
    widths = [3, 200, 60, 2]  # more than 8192 parameters, so the norm of the gradient is summed up by several blocks
    check(*data(32, widths), widths, {"clip_norm": 0.1}, l2=1e-2)


def test_many_rows_are_shared_by_blocks():
    widths = [3, 40, 2]
    check(*data(1000, widths), widths, {"batch_size": 500})


def test_a_learning_rate_acts_inside_a_captured_graph():
    schedule = mlpx.schedules.Exponential(0.5, 0.9)
    rate = fit("numpy", *data(16 * 40, WIDTHS), WIDTHS, {"optimizer": mlpx.SGD(schedule)})[1]["learning_rate"]
    assert rate[0] != rate[1]
    captured = check(*data(16 * 40, WIDTHS), WIDTHS, {"epochs": 4, "optimizer": mlpx.SGD(schedule)})
    [program] = captured.programs.values()
    assert set(program.graphs) == {1, 16}


def test_a_replay_shows_a_number_that_was_baked_in():
    # a check of the check: where the numbers of the first run stay, the weights come out otherwise than on NumPy
    class Baked(HostDevice):
        def upload(self, parts):
            super().upload([(room, x) for room, x in parts if not (self.graphs and x.ndim == 2 and x.dtype == float)])

    backend = HostBackend()
    backend.host_device = Baked()
    X, y = data(16 * 40, WIDTHS)
    ours, _ = fit(backend, X, y, WIDTHS, {})
    theirs, _ = fit("numpy", X, y, WIDTHS, {})
    assert np.abs(ours.vector - theirs.vector).max() > 1e-6


def test_arrays_that_lie_elsewhere_are_seen():
    # a graph goes on reading where it read when it was captured, so data and states at another place must not be lost
    def formula(ops, x, state, batch):
        return (0.5 * state[0] + ops.xp.take(x, batch[0], axis=0),)

    @dataclass(frozen=True)
    class Step:
        backend: Any

        def __call__(self, *arguments):
            return formula(self.backend, *arguments)

    captured = Captured(Step(NumPyBackend()), HostDevice())
    rng = np.random.default_rng(0)
    index = (rng.integers(0, 9, (40, 4)),)
    found = expected = np.zeros((4, 3))
    for _ in range(4):
        x = rng.standard_normal((9, 3))
        (found,) = captured((x,), (found.copy(),), index)
        for rows in index[0]:
            expected = 0.5 * expected + x[rows]
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_capturing_refuses_allocations_and_transfers():
    device = HostDevice()
    with pytest.raises(AssertionError, match="allocation"):
        device.capture(lambda: device.zeros((1,), np.float64))
    with pytest.raises(AssertionError, match="transfer"):
        device.capture(lambda: device.upload([]))


def test_nothing_is_allocated_after_the_first_run():
    backend = HostBackend()
    X, y = data(64, WIDTHS)
    counts = []
    callback = type(
        "Count", (mlpx.callbacks.Callback,), {"epoch": lambda self, run: counts.append(backend.host_device.allocated)}
    )
    fit(backend, X, y, WIDTHS, {"epochs": 4, "callbacks": [callback()]})
    assert counts[0] > 0
    assert len(set(counts)) == 1


def test_equal_numbers_give_equal_bits():
    X, y = data(64, WIDTHS)
    runs = [fit(HostBackend(), X, y, WIDTHS, {})[0].vector for _ in range(2)]
    np.testing.assert_array_equal(*runs)


def test_programs_for_batches_of_two_sizes_share_their_memory():
    captured = check(*data(50, WIDTHS), WIDTHS)
    first, second = captured.programs.values()
    assert first.block is second.block


def test_the_page_shows_the_kernel_that_is_emitted():
    page = (Path(__file__).parents[1] / "docs" / "cuda.md").read_text(encoding="utf-8")
    shown = page.partition("```cpp\n")[2].partition("```")[0]
    assert shown in listing(mlpx.MLP([64, 256, 10]), batch_size=32)


def test_a_listing_says_what_cannot_be_captured():
    sorts = activations.custom(lambda z, xp: xp.sort(z, axis=-1), lambda z, xp: z)
    with pytest.raises(NotRecordable, match="record"):
        listing(mlpx.MLP([4, 8, 3], activation=sorts))
