"""Which backend is chosen, what is said where one is missing, and that every override keeps to its reference."""

import inspect
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mlpx
from mlpx.backends import Backend, make_backend
from mlpx.backends.base import Backend as Reference
from mlpx.backends.host import Key
from mlpx.backends.numpy import NumPyBackend
from mlpx.output import pair

NAMES = [info.name for info in mlpx.available_backends()]
AVAILABLE = [info.name for info in mlpx.available_backends() if info.available]
OTHER = "array_api_strict"


def run(code: str, **environment: str) -> str:
    """Run a program in a fresh process; return what it prints."""
    variables = {k: v for k, v in os.environ.items() if k != "MLPX_BACKEND"} | environment
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Choice.


def test_the_nearest_choice_counts() -> None:
    """Argument before context before process before environment before NumPy."""
    strict = pytest.importorskip("array_api_strict")
    assert strict
    code = f"""
import mlpx
def chosen(**options): return mlpx.MLP([2, 1], output="linear", **options).backend.name
found = [chosen()]
mlpx.set_backend("numpy")
found.append(chosen())
with mlpx.use_backend("{OTHER}"):
    found += [chosen(), chosen(backend="numpy"), mlpx.get_backend().name]
    with mlpx.use_backend("numpy"):
        found.append(chosen())
    found.append(chosen())
found.append(chosen())
mlpx.set_backend(None)
found.append(chosen())
print(*found)
"""
    s, n = OTHER, "numpy"
    assert run(code, MLPX_BACKEND=OTHER).split() == [s, n, s, n, s, n, s, n, s]
    assert run(code).split() == [n, n, s, n, s, n, s, n, n]
    assert run(code, MLPX_BACKEND="").split() == [n, n, s, n, s, n, s, n, n]


def test_a_wrong_name_in_the_environment_is_named() -> None:
    code = """
import mlpx
try: mlpx.get_backend()
except ValueError as error: print(error)
"""
    message = run(code, MLPX_BACKEND="torhc")
    assert "MLPX_BACKEND" in message
    assert "Did you mean 'torch'?" in message


def test_a_choice_that_fails_changes_nothing() -> None:
    for wrong, options in (("torhc", {}), ("numpy", {"device": "cuda:7"})):
        with pytest.raises(ValueError, match=r"`backend`|`device`"):
            mlpx.set_backend(wrong, **options)
        with pytest.raises(ValueError, match=r"`backend`|`device`"), mlpx.use_backend(wrong, **options):
            pass
        assert mlpx.get_backend().name == "numpy"


def test_a_context_ends_with_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), mlpx.use_backend(OTHER):
        raise ZeroDivisionError
    assert mlpx.get_backend().name == "numpy"


def test_a_network_stays_where_it_was_made(backend: Backend) -> None:
    with mlpx.use_backend(backend.name):
        net = mlpx.MLP([2, 1], output="linear")
    net.fit([[0.0, 1.0]], [1.0], epochs=1)
    net.reset()
    assert net.backend is backend
    assert type(backend).owns(net.vector)


def test_auto_takes_cuda_where_it_answers() -> None:
    expected = "cupy" if "cupy" in AVAILABLE else "numpy"
    assert mlpx.get_backend("auto").name == expected
    assert run("import mlpx; print(mlpx.get_backend().name)", MLPX_BACKEND="auto") == expected


BLOCKED = """
import sys
for name in {blocked}:
    sys.modules[name] = None
import mlpx
for name in {blocked}:
    try:
        mlpx.MLP([2, 1], output="linear", backend=name)
    except mlpx.BackendUnavailableError as error:
        assert isinstance(error, ImportError) and isinstance(error, mlpx.MlpxError)
        print(error)
for info in mlpx.available_backends():
    print(info.name, info.available, info.reason, info.install, sep=" | ")
print(mlpx.get_backend("auto").name)
mlpx.MLP([2, 1], output="linear").fit([[0.0, 1.0]], [1.0], epochs=1)
"""


def test_a_missing_library_is_named_with_the_command_that_installs_it() -> None:
    missing = [name for name in NAMES if name != "numpy"]
    lines = run(BLOCKED.format(blocked=missing)).splitlines()
    for name, line in zip(missing, lines, strict=False):
        assert name in line
        assert "pip install" in line
    listed = [line.split(" | ") for line in lines[len(missing) : -1]]
    assert [row[0] for row in listed] == NAMES
    assert [row[1] for row in listed] == ["True"] + ["False"] * len(missing)
    assert all("not installed" in row[2] and "pip install" in row[3] for row in listed[1:])
    assert lines[-1] == "numpy"


def test_available_backends_tell_version_and_device() -> None:
    for info in mlpx.available_backends():
        if info.available:
            backend = mlpx.get_backend(info.name)
            assert (info.version, info.device) == (backend.version, backend.device_name)
            assert (info.reason, info.install) == (None, None)
            assert backend is make_backend(info.name)
        else:
            assert info.reason
            # what is installed may still find no device, which no command mends
            assert (info.install is None) == ("is not installed" not in info.reason)
            assert "pip install" in (info.install or "pip install")


# Overrides are accelerations, never other algorithms.

RNG = np.random.default_rng(7)
N, M, K, S = 7, 5, 3, 2
SOFTMAX = pair("softmax", None, K)


def host(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def stacks(*shapes: tuple[int, ...]) -> list[list[np.ndarray]]:
    """Return arrays of some shapes without a stack, with one, and with the first shared by all members."""
    return [
        [host(*s) for s in shapes],
        [host(S, *s) for s in shapes],
        [host(*shapes[0]), *(host(S, *s) for s in shapes[1:])],
    ]


ROWS, INDEX = host(S, N, M), RNG.integers(0, N, size=(S, 4))
ADAM = mlpx.Adam()
COEFFICIENTS = (0.9, 0.999, 0.01, 1e-8)
CALLS = {
    "product": [
        *((args, {}) for args in stacks((N, M), (M, K))),
        ((host(M, N).T, host(K, M).T), {}),
        ((host(N, M + 2)[:, 1:-1], host(S, M, K + 3)[..., :K]), {}),
        ((host(N, 2 * M)[:, ::2], host(M, K)), {}),
    ],
    "net_input": [(args, {}) for args in stacks((N, M), (M, K), (K,))] + [((host(N, M), host(M, K), None), {})],
    "concat": [(((host(S, 2, M), host(S, 1, M)), -2), {}), (((host(3), host(4), host(1)), -1), {})],
    "sum_of_rows": [(args, {}) for args in stacks((N, K))],
    "error_term": [(args, {}) for args in stacks((N, K), (M, K))],
    "weight_gradient": [(args, {"bias": bias}) for args in stacks((N, M), (N, K)) for bias in (True, False)],
    "evaluate": [((mlpx.activations.get(name), host(N, M)), {}) for name in ("tanh", "gelu", "softmax", "mish")],
    "take_rows": [((ROWS[0], INDEX[0]), {}), ((ROWS[0], INDEX), {})],
    "take_member_rows": [((ROWS, INDEX), {}), ((ROWS, INDEX[0]), {})],
    "dropout_draws": [
        (([Key(3), Key(3, 1)], 2, steps, (N, M), [100, 40000], [1.0, 2.5]), {"dtype": "float64"})
        for steps in ([5, 0], [[5, 0], [6, 1], [7, 1]])
    ],
    "dropout_factors": [((host(N, M), (N, M), "float64"), {})],
    "loss_and_delta": [
        ((SOFTMAX, host(*stack, N, K), y, w), {})
        for stack in ((), (S,))
        for y in (RNG.integers(0, K, size=N), np.eye(K)[RNG.integers(0, K, size=N)])
        for w in (None, np.full(N, 1 / N))
    ],
    "update": [((ADAM, host(9), host(9), (host(9), host(9) ** 2), COEFFICIENTS, np.ones(9)), {})],
}
NOT_COMPUTING = {"__init__", "owns", "to_numpy", "asarray", "from_foreign", "array_device", "read_only", "context"}
NOT_COMPUTING |= {
    "compile",
    "fold",
    "copy",
    "synchronize",
    "dtype",
    "host_dtype",
    "is_half",
    "fits",
    "rows_at_once",
    "transfers",
    "check_device",
}


def overrides(cls: type) -> list[str]:
    """Return the names of the reference's methods that a backend replaces."""
    methods = [name for name, _ in inspect.getmembers(Reference, inspect.isfunction)]
    return [
        name for name in methods if getattr(cls, name) is not getattr(Reference, name) and name not in NOT_COMPUTING
    ]


def moved(value: object, ops: Backend) -> object:
    """Return a value with its arrays on a backend."""
    if isinstance(value, np.ndarray):
        return ops.asarray(value)
    if isinstance(value, tuple) and not isinstance(value, Key):
        return tuple(moved(item, ops) for item in value)
    return getattr(ops.xp, value) if value == "float64" else value


def on_host(value: object, ops: Backend) -> list[np.ndarray]:
    if isinstance(value, tuple):
        return [array for item in value for array in on_host(item, ops)]
    return [ops.to_numpy(value)]


def test_every_primitive_has_a_call_to_compare() -> None:
    primitives = [name for name, _ in inspect.getmembers(Reference, inspect.isfunction) if not name.startswith("__")]
    assert set(CALLS) == set(primitives) - NOT_COMPUTING


def test_dropout_makes_the_factors_of_the_reference_from_what_was_drawn(ops: Backend) -> None:
    for args, options in CALLS["dropout_draws"]:
        options = {k: moved(v, ops) for k, v in options.items()}
        draws, wanted = ops.dropout_draws(*args, **options), Reference.dropout_draws(ops, *args, **options)
        single = wanted.ndim == 3
        for i in range(1 if single else wanted.shape[0]):
            draw, factors = (draws, wanted) if single else (draws[i, ...], wanted[i, ...])
            found = ops.to_numpy(ops.dropout_factors(draw, (N, M), options["dtype"]))
            assert found.tobytes() == ops.to_numpy(factors).tobytes()


@pytest.mark.parametrize("name", [name for name in CALLS if name != "dropout_draws"])  # which is looked at above
def test_every_override_computes_what_the_reference_does(ops: Backend, name: str) -> None:
    if name not in overrides(type(ops)):
        assert getattr(type(ops), name) is getattr(Reference, name)
        return
    for args, options in CALLS[name]:
        args, options = moved(tuple(args), ops), {k: moved(v, ops) for k, v in options.items()}
        found = on_host(getattr(ops, name)(*args, **options), ops)
        wanted = on_host(getattr(Reference, name)(ops, *args, **options), ops)
        for a, b in zip(found, wanted, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_an_override_takes_the_buffer_as_a_hint() -> None:
    ops, x, delta = mlpx.get_backend("numpy"), host(N, M), host(N, K)
    out = np.empty((M + 1, K))
    found = ops.weight_gradient(x, delta, bias=True, out=out)
    assert_allclose(found, Reference.weight_gradient(ops, x, delta, bias=True), rtol=1e-13)


# Nothing is written to that was not created.


class ReadOnlyBackend(NumPyBackend):
    """NumPy whose primitives take and give nothing but arrays that cannot be written to."""

    name = "read-only"
    fold, copy = Reference.fold, Reference.copy

    def __getattribute__(self, name: str) -> object:
        value = super().__getattribute__(name)
        if name not in CALLS and name not in ("asarray", "copy", "from_foreign"):
            return value
        return lambda *args, **options: locked(value(*locked(args), **options))


def locked(value: object) -> object:
    """Return a value with its arrays made read-only."""
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(locked, value))
    return value


@pytest.mark.parametrize("members", [None, 3])
def test_a_whole_fit_writes_to_no_array_that_it_was_given(members: int | None) -> None:
    x, y = host(20, 4), RNG.integers(0, 3, size=20)
    nets = []
    for backend in (ReadOnlyBackend(), mlpx.get_backend("numpy")):
        net = mlpx.MLP([4, 6, 3], dropout=0.25, l2=0.1, dtype="float64", members=members, backend=backend)
        for optimizer in (mlpx.Adam(), mlpx.SGD(momentum=0.9, nesterov=True), mlpx.RMSProp(momentum=0.5), mlpx.AdamW()):
            net.fit(
                x, y, epochs=2, batch_size=6, optimizer=optimizer, validation=0.25, metrics="accuracy", clip_norm=1.0
            )
        net.fit(x, y, epochs=1, batch_size=6)
        net.backward(net.forward(x, training=True), y)
        nets.append(net)
    assert not nets[0].vector.flags.writeable  # it was the read-only arrays that were trained
    assert_allclose(nets[0].predict(x), nets[1].predict(x), rtol=1e-12)


def test_weights_cannot_be_written_through() -> None:
    net = mlpx.MLP([4, 3])
    for array in (*net.weights, *net.biases):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("members", [None, 3])
def test_everything_lies_on_the_devices_of_the_network(members: int | None) -> None:
    # the strict library has devices that refuse to meet, as two cards would
    strict = pytest.importorskip("array_api_strict")
    from mlpx.backends.array_api_strict import StrictBackend

    class Second(StrictBackend):
        def __init__(self) -> None:
            super().__init__()
            self.device = strict.Device("device1")

        def asarray(self, x: Any, dtype: Any = None) -> Any:
            return strict.asarray(x, dtype=dtype).to_device(self.device)

    X, y, weight = RNG.normal(size=(60, 5)), RNG.integers(0, 3, size=60), RNG.random(60)
    net = mlpx.MLP([5, 8, 3], dropout=0.2, l2=1e-2, members=members, backend=Second())
    settings = {"metrics": ["accuracy"], "label_smoothing": 0.1, "clip_norm": 1.0, "patience": 1}
    net.fit(X, y, validation=0.2, sample_weight=weight, epochs=3, batch_size=16, progress=False, **settings)
    trace = net.forward(X, training=True)
    grads = net.backward(trace, y)
    arrays = [net.vector, *net.weights, *trace.a, *trace.z, *grads.delta, *grads.weights, grads.loss]
    assert {array.device for array in arrays} == {strict.Device("device1")}
    assert net.predict(X).shape[-2:] == (60, 3)
    assert "accuracy" in net.evaluate(X, y)
