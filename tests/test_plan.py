"""A step that is recorded and replayed computes what the step as it stands computes, and allocates nothing."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mlpx
from mlpx.backends import numpy_calls
from mlpx.backends.base import Backend as Reference
from mlpx.backends.numpy import NumPyBackend
from mlpx.backends.numpy_calls import NumPyCalls
from mlpx.backends.replay import Replayed
from mlpx.backends.threads import Workers

RNG = np.random.default_rng(5)
N, M, K, S = 23, 5, 3, 3
X, X_EACH = RNG.normal(size=(N, M)), RNG.normal(size=(S, N, M))
CLASSES, VALUES, COUNTS = RNG.integers(0, K, N), RNG.normal(size=(N, K)), RNG.poisson(2.0, size=(N, K))
BITS = RNG.integers(0, 2, size=(N, K))


class Unplanned(NumPyBackend):
    """NumPy without a plan: each step runs as it stands."""

    fold = Reference.fold


def learned(backend, y=CLASSES, *, x=X, layers=None, settings=None, **arguments):
    """Return the parameters and the history after a fit of three epochs with a shorter last batch."""
    layers = layers or [mlpx.Dense(M, 6, "tanh"), mlpx.Dense(6, K, "softmax")]
    net = mlpx.Network(layers, backend=backend, dtype="float64", **(settings or {}))
    options = {"epochs": 3, "batch_size": 5, "optimizer": mlpx.Adam(0.01)} | arguments
    history = net.fit(x, y, **options)
    return net.vector, history.to_dict()


def assert_same(y=CLASSES, **options):
    (planned, rows), (plain, plain_rows) = (
        learned(mlpx.get_backend("numpy"), y, **options),
        learned(Unplanned(), y, **options),
    )
    assert_allclose(planned, plain, rtol=1e-12, atol=1e-13)
    for name, column in rows.items():
        assert_allclose(column, plain_rows[name], rtol=1e-11, err_msg=name)


@pytest.fixture(params=["whole", "in blocks"], autouse=True)
def blocks(request, monkeypatch):
    """Run everything with blocks of the usual size, which these arrays do not fill, and with tiny ones."""
    if request.param == "in blocks":
        monkeypatch.setattr(numpy_calls, "_BLOCK", 8)


@pytest.mark.parametrize("activation", sorted({*mlpx.activations.Activation.known} - {"step", "softmax", "custom"}))
def test_every_activation(activation):
    assert_same(layers=[mlpx.Dense(M, 6, activation), mlpx.Dense(6, 4, activation), mlpx.Dense(4, K, "softmax")])


@pytest.mark.parametrize("approximate", ["tanh", "logistic"])
def test_the_forms_of_gelu(approximate):
    assert_same(layers=[mlpx.Dense(M, 6, mlpx.activations.gelu(approximate)), mlpx.Dense(6, K, "softmax")])


@pytest.mark.parametrize(
    ("output", "loss", "y"),
    [
        ("softmax", None, CLASSES),
        ("softmax", None, np.eye(K)[CLASSES]),
        ("softmax", "squared_error", np.eye(K)[CLASSES]),
        ("sigmoid", None, BITS),
        ("exp", None, COUNTS),
        *(("linear", loss, VALUES) for loss in ("squared_error", "mean_squared_error", "absolute_error", "huber")),
        ("linear", "quantile", VALUES),
        ("tanh", "squared_error", VALUES),
    ],
)
def test_every_output_and_loss(output, loss, y):
    metrics = "r2" if output in ("linear", "exp", "tanh") else "accuracy"
    layers = [mlpx.Dense(M, 6, "tanh"), mlpx.Dense(6, K, output)]
    assert_same(y, layers=layers, settings={"loss": loss}, metrics=metrics)


@pytest.mark.parametrize(
    "optimizer",
    [
        mlpx.SGD(0.1),
        mlpx.SGD(0.1, momentum=0.9),
        mlpx.SGD(0.1, momentum=0.9, nesterov=True),
        mlpx.Adam(0.01, epsilon_hat=True),
        mlpx.AdamW(0.01, weight_decay=0.1),
        mlpx.RMSProp(0.01),
        mlpx.RMSProp(0.01, momentum=0.9),
        mlpx.SGD(mlpx.schedules.InverseScaling(0.1)),
    ],
    ids=repr,
)
def test_every_optimizer(optimizer):
    assert_same(optimizer=optimizer, clip_norm=0.1, settings={"l2": 0.01}, sample_weight=RNG.uniform(size=N))


@pytest.mark.parametrize("bias", [True, False, "frozen"])
def test_every_kind_of_bias_and_dropout(bias):
    layers = [mlpx.Dropout(0.2), mlpx.Dense(M, 6, "relu", bias), mlpx.Dropout(0.5), mlpx.Dense(6, K, "softmax", bias)]
    assert_same(layers=layers, validation=0.25, patience=1, metrics=("accuracy", "roc_auc"))


STACKS = {
    "shared rows": {"shared_order": True},
    "rows of their own": {"x": X_EACH},
    "folds": {"subsets": [range(4), range(3, 20), range(23)], "patience": 1, "validation": 0.3, "epochs": 6},
    "numbers": {"optimizer": mlpx.Adam([0.1, 0.01, 0.001], beta_1=[0.5, 0.9, 0.95]), "clip_norm": [0.1, 1, 10]},
    "schedule": {"optimizer": mlpx.SGD(mlpx.schedules.WarmupCosine([0.1, 0.2, 0.3], warmup_steps=3))},
}


@pytest.mark.parametrize("case", STACKS)
def test_stacks(case):
    layers = [mlpx.Dense(M, 6, "swish"), mlpx.Dropout([0.1, 0.2, 0.5]), mlpx.Dense(6, K, "softmax")]
    assert_same(layers=layers, settings={"members": S, "l2": [0.0, 0.01, 0.1]}, **STACKS[case])


def test_a_function_that_cannot_be_recorded_runs_as_it_stands():
    def cumulative(z, xp):
        return xp.cumulative_sum(z * 0, axis=-1) + xp.tanh(z)

    activation = mlpx.activations.custom(cumulative, lambda z, xp: 1 - xp.tanh(z) ** 2)
    assert_same(layers=[mlpx.Dense(M, 6, activation), mlpx.Dense(6, K, "softmax")])


def test_a_formula_of_ones_own_is_recorded():
    sine = mlpx.activations.custom(
        lambda z, xp: xp.where(z > 0, xp.sin(z), 0.1 * z), lambda z, xp: xp.where(z > 0, xp.cos(z), 0.1)
    )
    assert_same(layers=[mlpx.Dense(M, 6, sine), mlpx.Dense(6, K, "softmax")])


class Steps(NumPyBackend):
    """NumPy that keeps the planned step, to be looked at, and notes the peak of each run of steps."""

    def fold(self, step):
        self.replayed = Replayed(step, NumPyCalls(), Workers())
        self.peaks = []

        def run(*arguments):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            result = self.replayed(*arguments)
            self.peaks.append(tracemalloc.get_traced_memory()[1] - before)
            return result

        return run


@pytest.mark.parametrize("activation", ["relu", "swish", "gelu", "mish", "elu"])
def test_a_step_allocates_nothing_whatever_the_batch_size(activation, monkeypatch):
    monkeypatch.setattr(numpy_calls, "_BLOCK", 131072)
    backend = Steps()
    x, y = RNG.normal(size=(40_000, 20)).astype("float32"), RNG.integers(0, K, 40_000)
    net = mlpx.Network([mlpx.Dense(20, 64, activation), mlpx.Dense(64, K, "softmax")], backend=backend)
    tracemalloc.start()
    try:
        net.fit(x, y, epochs=4, batch_size=10_000, metrics="accuracy", progress=False)
    finally:
        tracemalloc.stop()
    assert len(backend.peaks) == 4  # runs of four steps each
    assert backend.peaks[0] > 2**20  # recording does allocate: the measure can fail
    assert max(backend.peaks[1:]) < 2**20


def test_the_state_is_updated_where_it_lies():
    backend = Steps()
    net = mlpx.MLP([M, 6, K], backend=backend)
    net.fit(X, CLASSES, epochs=2, batch_size=23, progress=False)
    (program,) = backend.replayed._programs.values()
    copies = [call for call in program.calls if getattr(call, "func", None) is np.copyto and call.args[0].ndim == 1]
    assert not [call for call in copies if call.args[0].size == net.n_parameters]
