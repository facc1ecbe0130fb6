"""A step that is recorded and replayed computes what the step as it stands computes, and allocates nothing."""

import time
import tracemalloc
from dataclasses import dataclass
from threading import Barrier

import numpy as np
import pytest
from numpy.testing import assert_allclose

import elementwise
import mlpx
from mlpx import batches
from mlpx.backends import numpy_calls, replay, threads
from mlpx.backends.base import Backend as Reference
from mlpx.backends.numpy import NumPyBackend
from mlpx.backends.numpy_calls import NumPyCalls
from mlpx.backends.recording import record
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


def unplanned_torch():
    class UnplannedTorch(type(mlpx.get_backend("torch"))):
        fold = Reference.fold

    return UnplannedTorch()


def learned(backend, y=CLASSES, *, x=X, layers=None, settings=None, **arguments):
    """Return the parameters and the history after a fit of three epochs with a shorter last batch."""
    layers = layers or [mlpx.Dense(M, 6, "tanh"), mlpx.Dense(6, K, "softmax")]
    net = mlpx.Network(layers, backend=backend, dtype="float64", **(settings or {}))
    options = {"epochs": 3, "batch_size": 5, "optimizer": mlpx.Adam(0.01)} | arguments
    history = net.fit(x, y, **options)
    return net.vector, history.to_dict()


def assert_same(y=CLASSES, **options):
    (planned, rows), (plain, plain_rows) = (learned(backend, y, **options) for backend in BACKENDS)
    assert_allclose(mlpx.to_numpy(planned), mlpx.to_numpy(plain), rtol=1e-12, atol=1e-13)
    for name, column in rows.items():
        assert_allclose(column, plain_rows[name], rtol=1e-11, err_msg=name)


BACKENDS = (mlpx.get_backend("numpy"), Unplanned())
"""With a plan and without."""


@pytest.fixture(params=["whole", "in blocks", "torch"], autouse=True)
def way(request, monkeypatch):
    """Run everything with blocks of the usual size, which these arrays do not fill, with tiny ones, and on PyTorch."""
    if request.param == "in blocks":
        monkeypatch.setattr(numpy_calls, "_BLOCK", 8)
    if request.param == "torch":
        pytest.importorskip("torch")
        monkeypatch.setattr(request.module, "BACKENDS", (mlpx.get_backend("torch"), unplanned_torch()))
    return request.param


@pytest.mark.parametrize("activation", elementwise.NAMES)
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
        ("step", None, BITS),
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


GROUPS = {"one group": (2**22, 2**20), "groups": (2**14, 2**10), "each by itself": (2**10, 2**10)}


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("case", STACKS)
def test_stacks(case, groups, monkeypatch):
    monkeypatch.setattr(threads, "_blas_threads", lambda: 2)
    for name, size in zip(("_GROUP", "_LEAST"), GROUPS[groups], strict=True):
        monkeypatch.setattr(replay, name, size)
    layers = [mlpx.Dense(M, 6, "swish"), mlpx.Dropout([0.1, 0.2, 0.5]), mlpx.Dense(6, K, "softmax")]
    assert_same(layers=layers, settings={"members": S, "l2": [0.0, 0.01, 0.1]}, **STACKS[case])


@pytest.mark.parametrize("members", [None, S])
def test_few_steps_run_as_they_stand(members, way, monkeypatch):
    recorded = []
    monkeypatch.setattr(replay, "record", lambda *arguments: recorded.append(arguments) or record(*arguments))
    options = {"settings": {"members": members}, "optimizer": mlpx.Adam(0.01)}
    assert_same(epochs=replay.FEW, batch_size=N, **options)
    assert not recorded
    assert_same(epochs=replay.FEW + 1, batch_size=N, **options)
    assert recorded


def test_the_most_steps_count_where_members_have_rows_of_their_own(monkeypatch):
    asked = []
    fold = NumPyBackend.fold
    monkeypatch.setattr(NumPyBackend, "fold", lambda self, step, steps: asked.append(steps) or fold(self, step, steps))
    net = mlpx.MLP([M, 6, K], members=2)
    net.fit(X, CLASSES, subsets=[range(4), range(11)], epochs=2, batch_size=5, progress=False)
    assert asked == [6]


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


def test_the_groups_are_those_that_were_meant(monkeypatch):
    seen = {}
    for name, sizes in GROUPS.items():
        for constant, size in zip(("_GROUP", "_LEAST"), sizes, strict=True):
            monkeypatch.setattr(replay, constant, size)
        monkeypatch.setattr(threads, "_blas_threads", lambda: 2)
        backend = Steps()
        net = mlpx.MLP([M, 6, K], members=S, backend=backend)
        net.fit(X, CLASSES, epochs=1, batch_size=5, progress=False)
        fixed, state, batches, members = backend.last
        seen[name] = backend.replayed._groups(fixed, state, batches, members, 2)
    assert seen == {"one group": [slice(0, 3)], "groups": [0, slice(1, 3)], "each by itself": [0, 1, 2]}


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_results_do_not_depend_on_how_many_steps_are_handed_over_at_once(name, members, monkeypatch):
    if name == "jax":
        pytest.importorskip("jax")
    settings = {"settings": {"members": members}, "metrics": "accuracy", "sample_weight": RNG.uniform(size=N)}
    layers = [mlpx.Dense(M, 6, "tanh"), mlpx.Dropout(0.3), mlpx.Dense(6, K, "softmax")]
    together, rows = learned(mlpx.get_backend(name), layers=layers, **settings)
    monkeypatch.setattr(batches, "_MOST_STEPS", 3)
    apart, same_rows = learned(mlpx.get_backend(name), layers=layers, **settings)
    assert_allclose(mlpx.to_numpy(together), mlpx.to_numpy(apart), rtol=0 if name == "numpy" else 1e-13)
    assert_allclose(rows["loss"], same_rows["loss"], rtol=1e-13)


class Steps(NumPyBackend):
    """NumPy that keeps the planned step, to be looked at, and notes the peak of each run of steps."""

    def fold(self, step, steps=None):
        self.replayed = Replayed(step, NumPyCalls(), Workers())
        self.peaks = []

        def run(*arguments):
            self.last = arguments
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            result = self.replayed(*arguments)
            self.peaks.append(tracemalloc.get_traced_memory()[1] - before)
            return result

        return run


def ten_operations(z, xp):
    return xp.tanh(xp.exp(-z * z) * 0.5 + xp.sin(z) / (1.0 + xp.abs(z))) + 0.1 * z


TEN = mlpx.activations.custom(ten_operations, lambda z, xp: xp.where(z > 0, ten_operations(z, xp), 0.1))


@pytest.mark.parametrize("activation", [*elementwise.NAMES, TEN], ids=[*elementwise.NAMES, "ten operations"])
def test_a_step_allocates_nothing_whatever_the_batch_size(activation, way, monkeypatch):
    if way != "whole":
        pytest.skip("one way is enough")
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


def test_threads_share_the_pieces_and_limit_blas(monkeypatch):
    monkeypatch.setattr(threads, "_blas_threads", lambda: 2)
    done, limits, gate = [], [], Barrier(2)

    def work(piece, worker):
        if piece < 2:
            gate.wait(timeout=30)  # only two threads together get through
        limits.extend(library["num_threads"] for library in threads._blas().info())
        done.append(piece)

    Workers()(work, range(7))
    assert sorted(done) == list(range(7))
    assert set(limits) <= {1}


def test_blas_has_its_threads_back_when_the_last_stack_is_done():
    def count():
        return [library["num_threads"] for library in threads._blas().info()]

    with threads._blas().limit(limits=2):
        before = count()
        with threads._single_threaded_blas:
            with threads._single_threaded_blas:
                assert set(count()) <= {1}
            assert set(count()) <= {1}  # the other one is still at work
        assert count() == before


@pytest.mark.parametrize("error", [ArithmeticError, IndexError, KeyboardInterrupt])
def test_an_exception_in_a_thread_stops_the_others_and_is_raised(error, monkeypatch):
    monkeypatch.setattr(threads, "_blas_threads", lambda: 2)
    done = []

    def work(piece, worker):
        if piece == 1:
            raise error("piece 1")
        time.sleep(0.01)
        done.append(piece)

    with pytest.raises(error, match="piece 1"):
        Workers()(work, range(200))
    assert len(done) < 100


FORMULAS = {
    "cumulative": lambda z, xp: xp.tanh(z) + 0 * xp.cumulative_sum(z * 0, axis=-1),
    "by keyword": lambda z, xp: xp.clip(z, min=-1.0, max=1.0),
    "method": lambda z, xp: +z * 0.5,
    "twice in one": lambda z, xp: xp.sum(xp.stack([xp.tanh(z), xp.tanh(z)], axis=-1), axis=-1),
    "signs of zero": lambda z, xp: xp.copysign(xp.tanh(z), 0.0) + 0.5 * xp.copysign(xp.tanh(z), -0.0),
    "across rows": lambda z, xp: 0.5 * xp.broadcast_to(xp.tanh(z)[..., :1, :], z.shape) + xp.sin(xp.tanh(z)),
    "whole classes": lambda z, xp: xp.astype(xp.astype(z, xp.int64)[..., :1] == xp.arange(6), z.dtype) + z,
}


@pytest.mark.parametrize("members", [None, 1, 3])
@pytest.mark.parametrize("name", FORMULAS)
def test_any_formula_gives_what_it_gives_as_it_stands(name, members, way):
    if way == "torch" and name in ("whole classes", "by keyword"):
        pytest.skip("PyTorch's own functions refuse it")
    activation = mlpx.activations.custom(FORMULAS[name], lambda z, xp: 1 / (1 + z * z))
    layers = [mlpx.Dense(M, 6, activation), mlpx.Dense(6, K, "softmax")]
    assert_same(layers=layers, settings={"members": members})


@dataclass(frozen=True)
class Extrapolating(mlpx.optimizers.Optimizer):
    """Reads the old moment after the new one is made."""

    learning_rate: float = 0.1
    moments = ("m",)

    def coefficients(self, alpha, t, xp):
        return (alpha,)

    def update(self, w, g, moments, coefficients, decay, xp):
        m = 0.5 * moments[0] + g
        return w - coefficients[0] * (g + 0.5 * (g - moments[0])), (m,)


@dataclass(frozen=True)
class Swapping(mlpx.optimizers.Optimizer):
    """Hands one moment on as the other."""

    learning_rate: float = 0.1
    moments = ("a", "b")

    def coefficients(self, alpha, t, xp):
        return (alpha,)

    def update(self, w, g, moments, coefficients, decay, xp):
        return w - coefficients[0] * moments[1], (moments[1] + g, moments[0])


@dataclass(frozen=True)
class share_of_first_two(mlpx.metrics.Metric):  # noqa: N801
    """How often the class is one of the first two."""

    def size(self, output):
        return 1

    def terms(self, output, y_hat, y, weight, xp):
        first = xp.astype(y[..., None] == xp.arange(2), y_hat.dtype)
        return xp.sum(xp.sum(first, axis=-1) * weight, axis=-1)[..., None]

    def value(self, terms, xp):
        return terms[..., 0]


@pytest.mark.parametrize("optimizer", [Extrapolating(), Swapping()])
def test_an_optimizer_may_read_what_it_replaces(optimizer):
    assert_same(optimizer=optimizer)


def test_a_metric_may_ask_for_some_of_the_classes():
    _, rows = learned(BACKENDS[0], metrics=(share_of_first_two(),))
    assert_allclose(rows["share_of_first_two"], np.mean(CLASSES < 2), rtol=1e-12)


@pytest.mark.parametrize("activation", elementwise.NAMES)
def test_what_is_built_in_is_recorded(activation, way):
    if way != "whole":
        pytest.skip("one way is enough")
    backend = Steps()
    layers = [mlpx.Dense(M, 6, activation), mlpx.Dropout(0.5), mlpx.Dense(6, K, "softmax")]
    learned(backend, layers=layers, metrics="accuracy", clip_norm=1.0, sample_weight=RNG.uniform(size=N))
    assert None not in backend.replayed._programs.values()


def test_features_in_columns_are_laid_out_in_rows_once():
    x = np.asfortranarray(X)
    assert mlpx.get_backend("numpy").asarray(x).flags.c_contiguous
    assert_same(x=x)
