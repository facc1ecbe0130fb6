"""Public constructors and `fit` with whatever may come: a sentence that names the argument, or a network that works."""

import contextlib
import inspect
import re
import signal
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mlpx

X = np.random.default_rng(2).normal(size=(12, 2))
Y = np.arange(12) % 2
WHOLE = [0, 1, -1, 2, 3, 7, 2**31, 2**32, 2**63, 2**64, 10**10, 10**400]
REAL = [0.5, -0.5, 1.0, 1e-320, 1e-30, 1e19, 1e39, 1e308, float("nan"), float("inf"), float("-inf"), 1j]
NAMES = [None, True, False, "", "relu", "auto", "x" * 300, "\0", b"a", object()]
ARRAYS = [
    np.array(2),
    np.array([1.0, np.nan]),
    np.zeros((2, 2)),
    np.array("a"),
    np.float32(0.5),
    np.int64(3),
    np.bool_(1),
]
NESTED = [[], [[]], (), {}, {"a": 1}, [1, 2], [1, [2, 3]], [None], ["a", "b"], (0.1, 0.2), {1, 2}, range(3)]
ODD = [mlpx.Dense, mlpx.MLP, slice(2), np.random.default_rng(0), Ellipsis]
JUNK = st.sampled_from([*WHOLE, *REAL, *NAMES, *ARRAYS, *NESTED, *ODD])
ALLOWED = (ValueError, TypeError, mlpx.MlpxError)
SECONDS = 20
MANY = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Break off what hangs; warnings are errors."""

    def fail(*_):
        pytest.fail(f"it takes more than {SECONDS} s")

    kept = signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, kept)


def parameters(call: Any, *without: str) -> list[str]:
    """Return the arguments of a call that can be given by name."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(call).parameters.values() if p.kind in kinds and p.name not in without]


def attempt(call: Any, arguments: dict[str, Any], named: dict[str, Any]) -> Any:
    """Return what a call gives, or None where it refuses with a sentence that names an argument."""
    with bounded():
        try:
            return call(**(arguments | named))
        except ALLOWED as error:
            sentence = str(error) if type(error) in (ValueError, TypeError) else "`its own`"
    assert re.search("`[A-Za-z_]", sentence), f"{named}: {sentence}"
    return None


def some(names: list[str]) -> Any:
    return st.dictionaries(st.sampled_from(names), JUNK, min_size=1, max_size=2)


@MANY
@given(st.data())
def test_networks(data: Any) -> None:
    named = data.draw(some(parameters(mlpx.MLP.__init__, "self")))
    net = attempt(mlpx.MLP, {"sizes": [2, 3, 2]}, named)
    if net is not None and net.sizes[0] == 2:
        net.predict(X)


@MANY
@given(st.lists(JUNK, min_size=1, max_size=4))
def test_sizes(sizes: list[Any]) -> None:
    net = attempt(mlpx.MLP, {}, {"sizes": sizes})
    if net is not None:
        net.predict(np.zeros((1, net.sizes[0])))


BASES: dict[Any, dict[str, Any]] = {
    mlpx.Dense: {"fan_in": 2, "fan_out": 2},
    mlpx.Maxout: {"fan_in": 2, "fan_out": 2},
    mlpx.PReLU: {"units": 2},
    mlpx.Dropout: {"rate": 0.1},
    mlpx.AlphaDropout: {"rate": 0.1},
}


@MANY
@given(st.sampled_from(list(BASES)), st.data())
def test_layers(cls: Any, data: Any) -> None:
    named = data.draw(some(parameters(cls)))
    layer = attempt(cls, BASES[cls], named)
    if layer is not None:
        repr(layer)
        with bounded():
            assert type(layer).from_config(layer.to_config()) == layer


FAMILIES = [mlpx.activations, mlpx.losses, mlpx.initializers, mlpx.metrics]
CLASSES = [
    found
    for module in FAMILIES
    for found in (getattr(module, name) for name in module.__all__)
    # what takes a function calls it
    if inspect.isclass(found) and parameters(found) and "function" not in parameters(found)
]


@MANY
@given(st.sampled_from(CLASSES), st.data())
def test_functions(cls: Any, data: Any) -> None:
    first, *_ = parameters(cls)
    attempt(cls, {}, {first: data.draw(JUNK)} | data.draw(some(parameters(cls))))


RATES = [
    getattr(mlpx, name)
    for name in mlpx.__all__
    if inspect.isclass(getattr(mlpx, name)) and getattr(mlpx, name).__module__ in ("mlpx.optimizers", "mlpx.schedules")
]


@MANY
@given(st.sampled_from(RATES), st.data())
def test_optimizers_and_schedules(cls: Any, data: Any) -> None:
    required = {
        p.name: JUNK for p in inspect.signature(cls).parameters.values() if p.default is inspect.Parameter.empty
    }
    named = data.draw(st.fixed_dictionaries(required)) | (data.draw(some(parameters(cls))) if parameters(cls) else {})
    made = attempt(cls, {}, named)
    if isinstance(made, (mlpx.SGD, mlpx.Adam, mlpx.RMSProp)):
        attempt(mlpx.MLP([2, 3, 2]).fit, {"X": X, "y": Y, "epochs": 1}, {"optimizer": made})


@MANY
@given(some(parameters(mlpx.MLP.fit, "self", "progress", "callbacks")), st.sampled_from([None, 2]))
def test_fit(named: dict[str, Any], members: int | None) -> None:
    wishes = {name for name in ("epochs", "batch_size") if isinstance(named.get(name), int) and named[name] > 2**20}
    named = {name: value for name, value in named.items() if name not in wishes}
    net = mlpx.MLP([2, 3, 2], members=members)
    attempt(net.fit, {"X": X, "y": Y, "epochs": 2, "progress": False}, named)
    assert np.all(np.isfinite(net.vector))


@pytest.mark.parametrize(
    ("sizes", "options"),
    [([10**9, 10**9], {}), ([2, 2**40], {}), ([2, 2], {"members": 2**40}), ([10**400, 2], {}), ([2, 10**400], {})],
)
def test_a_network_larger_than_the_machine_is_refused_before_it_is_made(sizes: list[int], options: dict) -> None:
    with bounded(), pytest.raises(ValueError, match=r"`layers` ask for .* GiB"):
        mlpx.MLP(sizes, **options)


@pytest.mark.parametrize("epsilon", [1e-39, 1e39, 1e308, (1e-8, 1e39)])
def test_an_epsilon_that_the_type_does_not_hold_is_refused(epsilon: Any) -> None:
    net = mlpx.MLP([2, 3, 2], members=2)
    with pytest.raises(ValueError, match="`epsilon` must be at least"):
        net.fit(X, Y, epochs=1, optimizer=mlpx.Adam(epsilon=epsilon))
