"""float16 and bfloat16 with float32 master weights, the loss scale of float16, and TF32."""

import copy
import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cuda_host
import mlpx
from host_device import HostBackend
from mlpx import plan, precision
from mlpx.backends import recording, replay
from mlpx.backends.base import Backend as Reference
from mlpx.backends.numpy import NumPyBackend
from mlpx.precision import Scaling

UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Largest relative error of one rounding."""

RNG = np.random.default_rng(11)
N, M, K, S = 32, 6, 3, 3
X, CLASSES, VALUES = RNG.normal(size=(N, M)), RNG.integers(0, K, N), RNG.normal(size=(N, K))


@pytest.fixture(params=UNIT)
def half(request, backend):
    """Each type of half precision that the backend has."""
    try:
        backend.dtype(request.param)
    except ValueError as error:
        pytest.skip(f"{backend.name}: {error}")
    return request.param


@pytest.fixture
def float16(backend):
    """Only backends that have float16."""
    if backend.name == "array_api_strict":
        pytest.skip("array_api_strict has no float16")


def host(array):
    return mlpx.to_numpy(array)


def network(backend, dtype, **options):
    return mlpx.MLP([M, 8, 7, K], activation=["tanh", "swish"], dtype=dtype, backend=backend, seed=1, **options)


# Forward and backward in half precision.


def test_the_gradient_is_that_of_float32_to_roundings_of_its_type(backend, half):
    wide, low = network(backend, "float32"), network(backend, half)
    wanted = wide.backward(wide.forward(X), CLASSES)
    found = low.backward(low.forward(X), CLASSES)
    for a, b in zip(found.weights + found.biases, wanted.weights + wanted.biases, strict=True):
        a, b = host(a), host(b)
        assert a.dtype == np.float32
        error = np.linalg.norm(a - b) / np.linalg.norm(b)
        # through three layers and back a number is rounded some 25 times (parameter, product, sum, activation), at
        # random, so that errors add up as their squares do
        assert UNIT[half] / 32 < error < 5 * UNIT[half]
    assert_allclose(host(found.loss), host(wanted.loss), rtol=5 * UNIT[half])


def test_what_is_of_which_type(backend, half):
    net = network(backend, half)
    trace = net.forward(X)
    grads = net.backward(trace, CLASSES)
    low, wide = backend.dtype(half), backend.dtype("float32")
    assert [a.dtype == low for a in (*trace.a[:-1], *trace.z, *grads.delta)] == [True] * 9
    assert [a.dtype == wide for a in (trace.a[-1], *grads.weights, *net.weights, net.vector, grads.loss)] == [True] * 9
    assert net.predict(X).dtype == np.float32
    assert (net.dtype, net.master_dtype) == (low, wide)


def test_predictions_are_those_of_the_network_that_was_trained(backend, half):
    net = network(backend, half)
    outputs = net.predict(X)
    # a compiled prediction rounds the outputs' softmax, which is float32, otherwise
    assert_allclose(outputs, host(net.forward(X).a[-1]), rtol=1e-6)
    difference = np.abs(outputs - network(backend, "float32").predict(X)).max()
    assert 0 < difference < 5 * UNIT[half]


def test_a_formula_that_float16_cannot_hold_on_the_way(backend, half):
    # the polynomials of the error function reach 276 000
    z = np.linspace(-9, 9, 50)
    with backend.context():
        low = backend.asarray(z, dtype=backend.dtype(half))
        found = host(backend.evaluate(mlpx.activations.gelu(), low)).astype(np.float64)
        wanted = mlpx.activations.gelu()(host(low).astype(np.float64), np)
    assert_allclose(found, wanted, rtol=2 * UNIT[half], atol=2.0**-24)


def test_sums_over_rows_add_up_in_float32(backend, half):
    # in half precision itself a sum of ones ends at 2048 or 256
    with backend.context():
        low = backend.dtype(half)
        ones = backend.xp.ones((4096, 2), dtype=low, device=backend.device)
        found = host(backend.weight_gradient(ones, ones, bias=True))
    assert_array_equal(found.astype(np.float64), np.full((3, 2), 4096.0))


def test_numpy_multiplies_float16_in_float32():
    ops = mlpx.get_backend("numpy")
    for stack in ((), (S,)):
        a, b = (RNG.normal(size=(*stack, *shape)).astype(np.float16) for shape in ((N, M), (M, K)))
        found, wanted = ops.product(a, b), Reference.product(ops, a, b)
        assert found.dtype == wanted.dtype
        assert_allclose(found, wanted, rtol=0, atol=2 * UNIT["float16"] * np.abs(wanted).max())


def test_features_of_half_precision_are_taken_in(backend, half):
    net = mlpx.MLP([M, K], dtype=half, backend=backend)
    with backend.context():
        x = backend.asarray(X, dtype=backend.dtype(half))
    assert_array_equal(host(net.predict(x)), net.predict(host(x)))
    assert host(mlpx.MLP([M, K], backend="numpy").predict(x)).dtype == np.float32


def test_what_float16_cannot_hold_is_refused(backend, float16):
    with pytest.raises(ValueError, match=r"too large for .*float16"):
        mlpx.MLP([M, K], dtype="float16", backend=backend).predict(1e5 * X)


# Master weights.


def test_updates_smaller_than_the_spacing_add_up(backend, half):
    rate, steps = 2.0**-20, 100
    net = mlpx.Network([mlpx.Dense(1, 1, "linear", bias=False)], dtype=half, backend=backend)
    net.set_weights([[[0.5]]], [None])
    # seen in half precision the weight stays 1/2, so the gradient of (w - 0)²/2 does
    net.fit([[1.0]] * steps, [[0.0]] * steps, epochs=1, batch_size=1, optimizer=mlpx.SGD(rate), progress=False)
    assert float(host(net.weights[0])[0, 0]) == 0.5 - 0.5 * steps * rate
    assert net.predict([[1.0]])[0, 0] == 0.5


# The loss scale: the pure step, driven directly.

WIDE = 1e9
"""A target so far away that its error term is beyond float16 as soon as the scale is above 6e-5."""
SGD = mlpx.SGD(2.0**-10)


def drive(backend, index, optimizer=SGD, members=None, scaling=None):
    """Return the state before and after steps on single rows of ``x = 1``, ``y = 0`` and ``x = 1, y = WIDE``."""
    net = mlpx.Network([mlpx.Dense(1, 1, "linear")], dtype="float16", backend=backend, members=members)
    step = plan.TrainingStep(
        backend, net.architecture, optimizer.without_rate(), (), frozen=False, penalized=False, clipped=False
    )
    index = np.asarray(index)
    stack, n = net.vector.shape[:-1], index.shape[0]
    coefficients = optimizer.coefficients(np.asarray(optimizer.learning_rate), np.asarray(1.0), np)
    numbers = np.tile(np.asarray([0.0, 0.0, *map(float, coefficients)], dtype=np.float32), (n, 1))
    with backend.context():
        to = backend.asarray
        x, y = to(np.ones((2, 1)), dtype=net.dtype), to(np.asarray([[0.0], [WIDE]], dtype=np.float32))
        data = plan.Data(x, y, y[:1, :])
        masks = tuple(to(np.ones(net.n_parameters, dtype=np.float32)) for _ in range(2))
        moments = tuple(to(np.zeros(net.vector.shape, dtype=np.float32)) for _ in optimizer.moments)
        scaling = scaling or Scaling.start(backend, stack)
        start = plan.State(backend.copy(net.vector), moments, to(np.zeros((*stack, 1))), scaling)
        before = plan.trees.mapped(lambda leaf: host(leaf).copy(), start)
        batch = plan.Batch(index, None, np.ones(n), numbers, (None,), None)
        after = backend.fold(step)((data, masks), start, batch, members)
        return before, plan.trees.mapped(lambda leaf: host(leaf).copy(), after)


def at(backend, scale, good=0.0, stack=()):
    with backend.context():
        return Scaling(*(backend.asarray(np.full((*stack, 1), v, dtype=np.float32)) for v in (scale, good, 0.0)))


@pytest.mark.parametrize(("steps", "doublings"), [(1999, 0), (2000, 1), (4001, 2)])
def test_the_scale_doubles_after_2000_good_steps(backend, float16, steps, doublings):
    before, after = drive(backend, np.zeros((steps, 1), dtype=np.int64), scaling=at(backend, 2.0**4))
    assert after.scaling.scale == 2.0 ** (4 + doublings)
    assert after.scaling.good == steps - 2000 * doublings
    assert after.scaling.skipped == 0
    assert not np.array_equal(before.parameters, after.parameters)


def test_the_scale_starts_at_2_16_and_ends_at_2_24(backend, float16):
    before, _ = drive(backend, [[0]])
    assert before.scaling.scale == 2.0**16
    scaling = Scaling.after(at(NumPyBackend(), 2.0**24, good=1999.0), np.asarray([True]), np)
    assert (scaling.scale, scaling.good) == (2.0**24, 0)


def test_a_step_that_overflows_is_skipped_and_halves_the_scale(backend, float16):
    optimizer = mlpx.Adam(0.01)
    before, after = drive(backend, [[1]], optimizer=optimizer, scaling=at(backend, 2.0**10, good=7.0))
    assert_array_equal(after.parameters, before.parameters)
    for old, new in zip(before.moments, after.moments, strict=True):
        assert_array_equal(old, new)
    assert (after.scaling.scale, after.scaling.good, after.scaling.skipped) == (2.0**9, 0, 1)
    assert after.terms > before.terms  # the loss, in float32, counts


def test_moments_stay_as_they_were_after_a_skip(backend, float16):
    optimizer = mlpx.Adam(0.01)
    _, good = drive(backend, [[0]], optimizer=optimizer, scaling=at(backend, 2.0**4))
    _, skipped = drive(backend, [[0], [1]], optimizer=optimizer, scaling=at(backend, 2.0**4))
    assert np.all(good.moments[0] != 0)
    assert_array_equal(skipped.parameters, good.parameters)
    for one, other in zip(good.moments, skipped.moments, strict=True):
        assert_array_equal(one, other)


def test_each_member_of_a_stack_has_its_own_scale(backend, float16):
    index = np.asarray([[[1], [0], [0]], [[1], [1], [0]]])
    before, after = drive(backend, index, members=S, scaling=at(backend, 2.0**6, stack=(S,)))
    assert_array_equal(after.scaling.scale[:, 0], [2.0**4, 2.0**5, 2.0**6])
    assert_array_equal(after.scaling.skipped[:, 0], [2, 1, 0])
    assert_array_equal(after.parameters[0], before.parameters[0])
    assert np.all(after.parameters[1:] != before.parameters[1:])
    for s in range(S):
        _, alone = drive(backend, index[:, s], scaling=at(backend, 2.0**6))
        assert_array_equal(alone.scaling.scale, after.scaling.scale[s])


def test_scaled_and_unscaled_gradients_agree_where_nothing_underflows(backend, float16):
    # of powers of two, only numbers below the smallest normal one lose digits
    _, one = drive(backend, [[0]], optimizer=mlpx.SGD(1.0), scaling=at(backend, 1.0))
    _, other = drive(backend, [[0]], optimizer=mlpx.SGD(1.0), scaling=at(backend, 2.0**8))
    assert_array_equal(one.parameters, other.parameters)


def test_the_scale_keeps_error_terms_that_float16_would_lose(backend, float16):
    rows, gradient = 64, 2.0**-20
    net = mlpx.Network([mlpx.Dense(1, 1, "linear", bias=False)], dtype="float16", backend=backend)
    net.set_weights([[[1.0]]], [None])
    x, y = np.ones((rows, 1)), np.full((rows, 1), 1 - gradient)
    unscaled = net.backward(net.forward(x), y)  # 2^-26 a row
    assert host(unscaled.weights[0])[0, 0] == 0
    net.fit(x, y, epochs=1, batch_size=rows, optimizer=mlpx.SGD(1.0), progress=False)
    assert host(net.weights[0])[0, 0] == 1 - gradient


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_only_float16_has_a_scale(backend, dtype):
    try:
        net = network(backend, dtype)
    except ValueError as error:
        pytest.skip(str(error))
    seen = []
    history = net.fit(X, CLASSES, epochs=1, progress=False, callbacks=lambda run: seen.append(run._state.scaling))
    assert seen == [()]
    assert (history.loss_scale, history.skipped_steps) == (None, None)


def test_the_history_tells_scale_and_skipped_steps(backend, float16):
    net = mlpx.MLP([1, 1], output="linear", dtype="float16", backend=backend, members=2)
    net.set_weights([np.full((2, 1, 1), 0.5)], [np.zeros((2, 1))])
    x, y = np.ones((2, 4, 1)), np.zeros((2, 4, 1))
    y[0, 2] = 2.0**13  # beyond float16 with a scale of 2^3
    history = net.fit(x, y, epochs=2, batch_size=1, shuffle=False, optimizer=SGD, progress=False)
    assert history.skipped_steps == [2, 0]
    assert history.loss_scale == [2.0**14, 2.0**16]


def test_a_gradient_that_no_scale_can_hold_is_divergence(backend, float16):
    net = mlpx.MLP([2, 3, 1], output="linear", dtype="float16", backend=backend)
    before = host(net.vector).copy()
    x, y = RNG.normal(size=(64, 2)), np.full(64, 1e15)
    with pytest.raises(mlpx.DivergenceError, match=r"least loss scale.*bfloat16") as caught:
        net.fit(x, y, epochs=5, batch_size=1, progress=False)
    # 2^16 is halved 41 times until it is below 2^-24
    assert (caught.value.epoch, caught.value.step, caught.value.quantity) == (1, 41, "error term")
    assert_array_equal(host(net.vector), before)


def test_a_member_whose_gradient_no_scale_can_hold_leaves_the_stack(backend, float16):
    net = mlpx.MLP([2, 3, 1], output="linear", dtype="float16", backend=backend, members=2)
    x, y = RNG.normal(size=(2, 64, 2)), np.zeros((2, 64))
    y[1] = 1e15
    with pytest.warns(RuntimeWarning, match="member 1"):
        history = net.fit(x, y, epochs=3, batch_size=1, progress=False)
    assert np.isnan(history["loss"][-1][1])
    assert history["loss"][-1][0] < history["loss"][0][0]
    assert history.loss_scale[0] >= 1


def test_overflow_in_the_forward_pass_names_the_layer(backend, float16):
    net = mlpx.MLP([2, 3, 1], output="linear", dtype="float16", backend=backend)
    net.set_weights([np.full((2, 3), 6e4), np.ones((3, 1))], [np.zeros(3), np.zeros(1)])
    with pytest.raises(mlpx.DivergenceError, match="net input of layers") as caught:
        net.fit(np.full((4, 2), 3.0), np.zeros(4), epochs=1, progress=False)
    assert caught.value.layer.startswith("layers[0]")


# Training.


@pytest.fixture(scope="module")
def digits():
    data = pytest.importorskip("sklearn.datasets", reason="the digits come from scikit-learn")
    x, y = data.load_digits(return_X_y=True)
    return x / 16, y


def test_digits_are_learnt_as_in_float32(backend, half, digits):
    x, y = digits

    def accuracy(dtype):
        net = mlpx.MLP([64, 32, 10], dtype=dtype, backend=backend)
        net.fit(x[:1400], y[:1400], epochs=20, batch_size=50, optimizer=mlpx.Adam(3e-3), progress=False)
        return net.evaluate(x[1400:], y[1400:])["accuracy"]

    wanted = accuracy("float32")
    assert wanted > 0.88
    assert abs(accuracy(half) - wanted) <= 0.01


def everything(backend, dtype, **options):
    layers = [
        mlpx.Dropout(0.1),
        mlpx.Dense(M, 8, "gelu"),
        mlpx.Dropout(0.3),
        mlpx.Dense(8, 7, "swish", bias="frozen"),
        mlpx.Dense(7, K, "softmax"),
    ]
    return mlpx.Network(layers, dtype=dtype, backend=backend, l2=0.01, **options)


def learned(net, **options):
    return net.fit(
        X, CLASSES, epochs=4, batch_size=5, optimizer=mlpx.Adam(0.01), clip_norm=1.0, metrics="accuracy",
        progress=False, **options,
    )  # fmt: skip


def test_a_stack_learns_what_its_members_learn_alone(backend, half):
    stack = everything(backend, half, members=S, seed=[3, 4, 5])
    history = learned(stack, validation=0.25, patience=2)
    for s, seed in enumerate((3, 4, 5)):
        alone = everything(backend, half, seed=seed)
        own = learned(alone, validation=0.25, patience=2)
        assert_allclose(host(stack.vector)[s], host(alone.vector), atol=4 * UNIT[half])
        if half == "float16":
            assert (history.loss_scale[s], history.skipped_steps[s]) == (own.loss_scale, own.skipped_steps)


def plain(name):
    class Plain(type(mlpx.get_backend(name))):
        fold = Reference.fold

    return Plain()


@pytest.mark.parametrize("members", [None, S])
@pytest.mark.parametrize(("name", "dtype"), [("numpy", "float16"), ("torch", "float16"), ("torch", "bfloat16")])
def test_a_step_is_recorded_and_its_replay_computes_the_same(name, dtype, members, monkeypatch):
    if name == "torch":
        pytest.importorskip("torch")
    seen = []

    def noted(*arguments):
        seen.append(recording.record(*arguments))
        return seen[-1]

    monkeypatch.setattr(replay, "record", noted)
    one, other = (everything(backend, dtype, members=members) for backend in (name, plain(name)))
    first, second = learned(one), learned(other)
    assert seen
    assert None not in seen
    assert_allclose(host(one.vector), host(other.vector), atol=1e-6)
    assert_allclose(first["loss"], second["loss"], rtol=1e-6)
    assert (first.loss_scale, first.skipped_steps) == (second.loss_scale, second.skipped_steps)


def cuda_on_the_host():
    """Return what CUDA would run, on the host; bfloat16 is that of ml_dtypes, as on CuPy."""
    ml_dtypes = pytest.importorskip("ml_dtypes")

    class WithBfloat16(HostBackend):
        def dtype(self, name):
            return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else super().dtype(name)

    return WithBfloat16()


@pytest.mark.kernels
@pytest.mark.skipif(not cuda_host.available(), reason="needs a C++ compiler")
@pytest.mark.parametrize("members", [None, S])
@pytest.mark.parametrize(("name", "dtype"), [("numpy", "float16"), ("torch", "bfloat16")])
def test_the_captured_step_of_cuda_computes_the_same(name, dtype, members):
    if name == "torch":
        pytest.importorskip("torch")
    ops = cuda_on_the_host()
    one, other = (everything(backend, dtype, members=members) for backend in (ops, name))
    first, second = learned(one), learned(other)
    assert all(program is not None for captured in ops.captured for program in captured.programs.values())
    # bias and sum are rounded in one place more or less
    assert_allclose(host(one.vector), host(other.vector), atol=4 * UNIT[dtype])
    assert_allclose(first["loss"], second["loss"], rtol=4 * UNIT[dtype])
    assert (first.loss_scale, first.skipped_steps) == (second.loss_scale, second.skipped_steps)


def test_the_recorded_step_of_float32_casts_nothing(monkeypatch):
    seen = []
    monkeypatch.setattr(replay, "record", lambda *a: seen.append(recording.record(*a)) or seen[-1])
    targets = np.full((N, K), 1 / K)  # class indices are made numbers by a cast of their own
    network("numpy", "float32").fit(X, targets, epochs=9, progress=False)
    casts = [op for op in seen[0].operations if getattr(op.call, "name", "") == "cast"]
    # of the loss, into the sums
    assert {str(op.output.value.dtype) for op in casts} == {"float64"}


@pytest.mark.parametrize("members", [None, S])
@pytest.mark.parametrize(("output", "y"), [("softmax", CLASSES), ("linear", VALUES)])
def test_rows_that_stay_on_the_host_are_learnt_in_half_precision(backend, half, output, y, members, tmp_path):
    if half == "bfloat16":
        pytest.importorskip("ml_dtypes")
    mapped = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=X.shape)
    mapped[...] = X

    def outcome(x):
        net = mlpx.MLP([M, 8, K], output=output, dtype=half, backend=backend, members=members)
        net.fit(x, y, epochs=2, batch_size=5, validation=0.2, progress=False)
        return host(net.vector), net.predict(x), net.evaluate(x, y)["loss"]

    for found, wanted in zip(outcome(mapped), outcome(X.astype(np.float32)), strict=True):
        assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


# Files, copies, places.


def test_a_file_holds_the_master_weights(backend, half, tmp_path):
    net = network(backend, half)
    learned(net)
    net.save(tmp_path / "net.mlpx")
    again = mlpx.load(tmp_path / "net.mlpx", backend=backend)
    assert again.dtype_name == half
    assert_array_equal(host(again.vector), host(net.vector))
    assert_array_equal(again.predict(X), net.predict(X))
    wide = mlpx.load(tmp_path / "net.mlpx", backend="numpy", dtype="float32")
    assert wide.dtype_name == "float32"
    assert_array_equal(host(wide.vector), host(net.vector))


def test_a_file_of_bfloat16_says_what_to_do_on_numpy(tmp_path):
    pytest.importorskip("torch")
    network("torch", "bfloat16").save(tmp_path / "net.mlpx")
    with pytest.raises(
        ValueError, match=r"'bfloat16' does not exist on the backend 'numpy'.*float32\", also in `mlpx.load"
    ):
        mlpx.load(tmp_path / "net.mlpx", backend="numpy")
    assert mlpx.load(tmp_path / "net.mlpx", backend="numpy", dtype="float32").predict(X).shape == (N, K)


def test_the_command_shows_a_file_of_bfloat16_and_puts_another_in_its_place(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("pandas", reason="the command line reads tables with pandas")
    from mlpx.cli import main, models

    path = tmp_path / "net.mlpx"
    network("torch", "bfloat16").save(path)
    assert main(["info", str(path)]) == 0
    assert "parameters, bfloat16" in " ".join(capsys.readouterr().out.split())
    assert models._worth_keeping(path, "species") == "was not written by `mlpx train`"


WITHOUT_ML_DTYPES = """
import sys
sys.modules["ml_dtypes"] = None
import numpy as np
import mlpx
X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
net = mlpx.MLP([4, 8, 3], backend="torch", dtype="bfloat16")
history = net.fit(X, y, epochs=2, validation=(X, y), label_smoothing=0.1, progress=False)
assert history.epochs == 2 and net.predict(X).shape == (60, 3) and net.evaluate(X, y)["loss"] > 0
file = np.memmap(sys.argv[1], dtype="float32", mode="w+", shape=X.shape)
try:
    net.fit(file, y, progress=False)
except mlpx.BackendUnavailableError as error:
    print(error)
"""


def test_bfloat16_on_torch_needs_another_library_only_for_rows_of_a_file(tmp_path):
    pytest.importorskip("torch")
    command = [sys.executable, "-c", WITHOUT_ML_DTYPES, str(tmp_path / "rows")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "rows that stay on the host (numpy.memmap), needs the library ml_dtypes: pip install" in done.stdout


def test_copies_compute_the_same(backend, half):
    net = network(backend, half, members=2)
    for other in (copy.copy(net), pickle.loads(pickle.dumps(net))):
        assert_array_equal(other.predict(X), net.predict(X))
    assert_array_equal(net.member(1).predict(X), net.predict(X)[1])


# Refusals, and TF32.


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("half", "float16"),
        ("fp16", "float16"),
        ("bf16", "bfloat16"),
        (np.float16, "float16"),
        (np.dtype("f8"), "float64"),
    ],
)
def test_other_spellings_of_a_type_are_answered_by_its_name(wrong, meant, tmp_path):
    mlpx.MLP([2, 3]).save(tmp_path / "net.mlpx")
    for call in (lambda: mlpx.MLP([2, 3], dtype=wrong), lambda: mlpx.load(tmp_path / "net.mlpx", dtype=wrong)):
        with pytest.raises(ValueError, match=f"`dtype` must be .*Did you mean '{meant}'") as caught:
            call()
        assert isinstance(wrong, str) or "must be a string" in str(caught.value)


def test_tf32_of_another_type_is_refused_before_the_device_is_looked_at(tmp_path):
    mlpx.MLP([2, 3]).save(tmp_path / "net.mlpx")
    options = {"precision": "tf32", "dtype": "float64", "backend": "numpy"}
    for call in (lambda: mlpx.MLP([2, 3], **options), lambda: mlpx.load(tmp_path / "net.mlpx", **options)):
        with pytest.raises(ValueError, match="`dtype` is 'float64'"):
            call()


@pytest.mark.parametrize(
    ("name", "dtype"), [("numpy", "bfloat16"), ("array_api_strict", "float16"), ("array_api_strict", "bfloat16")]
)
def test_a_type_that_a_library_does_not_have_is_refused(name, dtype):
    if name != "numpy":
        pytest.importorskip(name)
    with pytest.raises(ValueError, match=f"`dtype` '{dtype}' does not exist on the backend '{name}'.*jax and torch"):
        mlpx.MLP([2, 3], dtype=dtype, backend=name)


def test_an_unknown_type_or_precision_is_refused():
    with pytest.raises(ValueError, match="`dtype` must be one of"):
        mlpx.MLP([2, 3], dtype="float8")
    with pytest.raises(ValueError, match="`precision` must be None"):
        mlpx.MLP([2, 3], precision="high")


def test_tf32_is_refused_without_cuda(backend):
    if backend.device_name.startswith("cuda"):
        pytest.skip("a CUDA device has TF32")
    with pytest.raises(ValueError, match=r"`precision` 'tf32' needs a CUDA device.*Leave it at None"):
        mlpx.MLP([2, 3], precision="tf32", backend=backend)
    with pytest.raises(ValueError, match="needs a CUDA device"):
        mlpx.get_backend(backend.name, precision="tf32")


class TensorCores(NumPyBackend):
    """A backend that says that it multiplies in TF32."""

    precision = "tf32"


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_tf32_is_for_float32_alone(dtype, tmp_path):
    with pytest.raises(ValueError, match=f"`precision` 'tf32' .* `dtype` is '{dtype}'"):
        mlpx.MLP([2, 3], dtype=dtype, backend=TensorCores())
    mlpx.MLP([2, 3], dtype=dtype, backend="numpy").save(tmp_path / "net.mlpx")
    with pytest.raises(ValueError, match="`precision` 'tf32'"):
        mlpx.load(tmp_path / "net.mlpx", backend=TensorCores())
    assert "float32 (tf32)" in repr(mlpx.MLP([2, 3], backend=TensorCores()))


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_torch_multiplies_as_asked_and_the_setting_of_the_process_comes_back(tf32, before):
    torch = pytest.importorskip("torch")
    ops = type(mlpx.get_backend("torch"))()
    ops.device, ops.precision = torch.device("cuda:0"), "tf32" if tf32 else None
    matmul = torch.backends.cuda.matmul
    name = "fp32_precision" if hasattr(matmul, "fp32_precision") else "allow_tf32"
    found, was = [], matmul.allow_tf32
    matmul.allow_tf32 = before
    try:
        with ops.context():
            found.append(getattr(matmul, name) in ("tf32", True))
            assert not torch.is_grad_enabled()
        assert matmul.allow_tf32 is before
        with pytest.raises(KeyError), ops.context():
            raise KeyError
        assert matmul.allow_tf32 is before
    finally:
        matmul.allow_tf32 = was
    assert found == [tf32]
    with mlpx.get_backend("torch", "cpu").context():
        assert matmul.allow_tf32 is was


@pytest.mark.parametrize(("asked", "set_to"), [(None, "highest"), ("tf32", "tensorfloat32")])
def test_jax_multiplies_in_float32_on_a_gpu_unless_tf32_is_asked_for(asked, set_to):
    jax = pytest.importorskip("jax")
    ops = type(mlpx.get_backend("jax"))()
    before = jax.config.jax_default_matmul_precision
    with ops.context():
        assert jax.config.jax_default_matmul_precision == before
    ops.device, ops.precision = SimpleNamespace(platform="gpu"), asked
    with ops.context():
        assert jax.config.jax_default_matmul_precision == set_to
        assert jax.config.jax_enable_x64
    assert jax.config.jax_default_matmul_precision == before


def test_the_command_trains_in_half_precision(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas", reason="the command line reads tables with pandas")
    pytest.importorskip("sklearn", reason="the table comes from scikit-learn")
    from mlpx.cli import main

    monkeypatch.chdir(tmp_path)
    options = ["--dtype", "float16", "--epochs", "60", "--quiet", "-o", "iris.mlpx"]
    assert main(["train", "iris", *options]) == 0
    assert main(["info", "iris.mlpx"]) == 0
    assert "float16" in capsys.readouterr().out
    assert main(["evaluate", "iris.mlpx", "iris"]) == 0
    half = capsys.readouterr().out
    assert main(["evaluate", "iris.mlpx", "iris", "--dtype", "float32"]) == 0
    assert "accuracy" in half
    assert main(["train", "iris", "--dtype", "bfloat16", "--quiet", "-o", "other.mlpx"]) == 2
    assert "does not exist on the backend 'numpy'" in capsys.readouterr().err
    assert set(precision.MASTER) == {"float32", "float64", "float16", "bfloat16"}
