"""Forward mode: the table of rules against central differences and PyTorch, kinks, nesting, bare functions."""

import math

import numpy as np
import pytest

import elementwise
import mlpx
from mlpx import activations as f
from mlpx.differentiation import derivative, directional_derivative, gradient, value_and_derivative
from mlpx.differentiation.rules import CONSTANT, RULES

SPECIAL = {
    "acosh": (1.1, 4.0), "log": (0.1, 4.0), "log2": (0.1, 4.0), "log10": (0.1, 4.0), "log1p": (-0.8, 4.0),
    "sqrt": (0.1, 4.0), "asin": (-0.9, 0.9), "acos": (-0.9, 0.9), "atanh": (-0.9, 0.9), "tan": (-1.2, 1.2),
    "pow": (0.2, 3.0), "reciprocal": (0.3, 3.0), "divide": (0.3, 3.0),
}  # fmt: skip
TORCH = {
    "pow": "pow", "abs": "abs", "clip": "clamp", "remainder": "remainder", "erf": "erf", "reciprocal": "reciprocal"
}  # fmt: skip
NAMES = sorted(RULES)


def arguments(name, n=23):
    """Return inputs away from kinks and poles, a different sample for each input."""
    low, high = SPECIAL.get(name, (-3.0, 3.0))
    rng = np.random.default_rng(sum(map(ord, name)))
    count = len(RULES[name].partials)
    return [rng.uniform(low, high, n) + 0.001 * i for i in range(count)]


def erf(x):
    return np.vectorize(math.erf)(x)


def numpy_value(name, *inputs):
    if name == "erf":
        return erf(*inputs)
    return getattr(mlpx.get_backend("numpy").xp, name)(*inputs)


def slopes(name, xp, inputs):
    """Return the derivative by each input, the others held."""
    found = []
    for i, x in enumerate(inputs):

        def one(z, xp, i=i):
            return getattr(xp, name)(*inputs[:i], z, *inputs[i + 1 :])

        found.append((derivative(one)(x, xp), gradient(lambda z, xp, one=one: xp.sum(one(z, xp)))(x, xp)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_agrees_with_central_differences_in_both_modes(name, ops):
    if getattr(ops.xp, name, None) is None:
        pytest.skip(f"{ops.name} has no {name}")
    inputs = arguments(name)
    h = 1e-6
    if name == "clip":
        inputs[1], inputs[2] = np.full(23, -1.0), np.full(23, 1.0)
    found = slopes(name, ops.xp, [ops.asarray(x) for x in inputs])
    for i, (forward, reverse) in enumerate(found):
        above, below = (numpy_value(name, *inputs[:i], inputs[i] + side, *inputs[i + 1 :]) for side in (h, -h))
        expected = (above - below) / (2 * h)
        np.testing.assert_allclose(mlpx.to_numpy(forward), expected, rtol=2e-7, atol=2e-8)
        np.testing.assert_allclose(mlpx.to_numpy(reverse), mlpx.to_numpy(forward), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_agrees_with_pytorch(name):
    torch = pytest.importorskip("torch")
    xp, inputs = mlpx.get_backend("torch").xp, arguments(name)
    if name == "clip":
        inputs[1], inputs[2] = np.full(23, -1.0), np.full(23, 1.0)
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    torch.sum(getattr(xp, name)(*tensors)).backward()
    found = slopes(name, xp, [torch.tensor(x) for x in inputs])
    for (forward, reverse), tensor in zip(found, tensors, strict=True):
        np.testing.assert_allclose(forward.numpy(), tensor.grad.numpy(), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(reverse.numpy(), tensor.grad.numpy(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"remainder", "copysign"}))
def test_second_derivatives_agree_with_central_differences_of_the_first(name):
    xp, h = mlpx.get_backend("numpy").xp, 1e-6
    if getattr(xp, name, None) is None:
        pytest.skip(f"NumPy has no {name}")
    inputs = arguments(name)

    def one(z, xp):
        return getattr(xp, name)(z, *inputs[1:])

    z = inputs[0]
    expected = (derivative(one)(z + h) - derivative(one)(z - h)) / (2 * h)
    by_duals = derivative(derivative(one))(z)
    by_tapes = gradient(lambda z, xp: xp.sum(gradient(lambda z, xp: xp.sum(one(z, xp)))(z, xp)))(z)
    np.testing.assert_allclose(by_duals, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(by_tapes, by_duals, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", sorted({"sign", "floor", "ceil", "round", "trunc"} & CONSTANT))
def test_steps_have_the_derivative_0(name, ops):
    z = ops.asarray(np.asarray([-1.3, 0.2, 2.7]))
    slope = derivative(lambda z, xp: z * getattr(xp, name)(z))(z)
    np.testing.assert_array_equal(mlpx.to_numpy(slope), mlpx.to_numpy(getattr(ops.xp, name)(z)))


EVERY = [
    *(pytest.param(f.get(name), id=name) for name in elementwise.NAMES),
    *(pytest.param(a, id=repr(a)) for a in (f.gelu("tanh"), f.gelu("logistic"), f.elu(0.4), f.swish(0.0))),
]


@pytest.mark.parametrize("activation", EVERY)
def test_every_activation_agrees_with_its_hand_derived_derivative_at_its_kinks_too(activation, ops):
    z = ops.asarray(np.concatenate([np.linspace(-5, 5, 41), [-2.0, -1.0, -0.0, 0.0, 1.0, 2.0, 30.0, -30.0]]))
    y = activation(z, ops.xp)
    exact = mlpx.to_numpy(activation.backward(ops.xp.ones_like(z), z, y, ops.xp))
    own = f.automatic(activation)
    value, slope = value_and_derivative(activation)(z, ops.xp)
    np.testing.assert_array_equal(mlpx.to_numpy(value), mlpx.to_numpy(y))
    np.testing.assert_allclose(mlpx.to_numpy(slope), exact, rtol=0, atol=1e-12)
    np.testing.assert_allclose(mlpx.to_numpy(own.derivative(z, ops.xp)), exact, rtol=0, atol=1e-12)


KINKS = [
    (lambda z, xp: xp.maximum(z, 0.0), 0.0, 0.0),
    (lambda z, xp: xp.maximum(0.0, z), 0.0, 0.0),
    (lambda z, xp: xp.maximum(-z, 0.0), 0.0, -1.0),  # from the left the slope is -1
    (lambda z, xp: xp.minimum(z, 0.0), 0.0, 1.0),
    (lambda z, xp: xp.abs(z), 0.0, 0.0),
    (lambda z, xp: xp.abs(3 * z - 6), 2.0, 0.0),
    (lambda z, xp: xp.clip(z, -1.0, 1.0), 1.0, 0.0),
    (lambda z, xp: xp.clip(z, -1.0, 1.0), -1.0, 0.0),
    (lambda z, xp: xp.maximum(z, z), 2.0, 1.0),
    (lambda z, xp: xp.maximum(z, 2.0) + xp.minimum(z, 2.0), 2.0, 1.0),
    (lambda z, xp: xp.maximum(-z, 0.0) + xp.log1p(xp.exp(-xp.abs(z))), 0.0, -0.5),
    (lambda z, xp: xp.where(z > 0, z, 0.1 * z), 0.0, 0.1),
]


@pytest.mark.parametrize(("function", "z", "slope"), KINKS)
def test_at_kinks(function, z, slope, ops):
    assert mlpx.to_numpy(derivative(function)(ops.asarray(np.asarray([z, z])), ops.xp)).tolist() == [slope, slope]


@pytest.mark.parametrize(
    ("function", "z", "slope"),
    [
        (lambda z, xp: xp.where(z > 0, xp.sqrt(z), 0.0 * z), [-1.0, 0.0, 4.0], [0.0, 0.0, 0.25]),
        (lambda z, xp: xp.where(z > 0, z * xp.log(z), z), [-2.0, 0.0, 1.0], [1.0, 1.0, 1.0]),
        (lambda z, xp: xp.where(z > 0, z, xp.exp(z) - 1), [1e4, -1.0, 1.0], [1.0, math.exp(-1), 1.0]),
        (lambda z, xp: xp.sqrt(xp.maximum(z, 0.0)), [-1.0, 4.0], [0.0, 0.25]),
        (lambda z, xp: 1 / (1 + xp.exp(-z)), [-1e3, 0.0, 1e3], [0.0, 0.25, 0.0]),
        (lambda z, xp: xp.pow(z, 0.0 * z), [0.0, 2.0], [0.0, 0.0]),
    ],
)
def test_what_is_not_taken_leaves_no_nan(function, z, slope, ops):
    z = ops.asarray(np.asarray(z))
    np.testing.assert_allclose(mlpx.to_numpy(derivative(function)(z)), slope, rtol=1e-15, atol=1e-15)
    got = gradient(lambda z, xp: xp.sum(function(z, xp)))(z)
    np.testing.assert_allclose(mlpx.to_numpy(got), slope, rtol=1e-12, atol=1e-15)


def test_changes_of_nested_derivatives_are_not_taken_for_each_other(ops):
    x = ops.asarray(np.asarray(3.0))
    inner = derivative(lambda x, xp: x * derivative(lambda y, xp: x + y)(x))
    assert float(inner(x)) == 1.0
    inner = derivative(lambda x, xp: x * derivative(lambda y, xp: x * y * y)(x))  # x * 2 x²
    assert float(inner(x)) == 54.0


def test_python_numbers_and_plain_arrays_stand_on_both_sides():
    for name in ("numpy", "torch", "jax"):
        if not {info.name: info for info in mlpx.available_backends()}[name].available:
            continue
        ops = mlpx.get_backend(name)
        with ops.context():
            c, z = ops.asarray(np.asarray([2.0, 3.0])), ops.asarray(np.asarray([0.5, 1.5]))
            for function in (
                lambda z, xp, c=c: c * z + z * c,
                lambda z, xp, c=c: (c - z) * 2 - (z - c) * 2 + 4 * z + 2 * c * z,
                lambda z, xp, c=c: 2**z * c / c - z**2 - (2**z - z**2) + 2 * c * z,
                lambda z, xp, c=c: c * z + xp.where(c > z, c * z, 0.0 * z),
            ):
                got = mlpx.to_numpy(derivative(function)(z))
                np.testing.assert_allclose(got, [4.0, 6.0], rtol=1e-14)


def test_the_change_along_a_direction_is_the_product_with_the_jacobian(ops):
    rng = np.random.default_rng(0)
    a, b, da, db = (rng.normal(size=s) for s in ((3, 4), (4, 2), (3, 4), (4, 2)))
    arrays, directions = [ops.asarray(a), ops.asarray(b)], [ops.asarray(da), ops.asarray(db)]
    value, change = directional_derivative(lambda a, b, xp: xp.matmul(a, b))(arrays, directions)
    np.testing.assert_allclose(mlpx.to_numpy(value), a @ b, rtol=1e-14)
    np.testing.assert_allclose(mlpx.to_numpy(change), da @ b + a @ db, rtol=1e-14)
    with pytest.raises(ValueError, match=r"`directions` must have the shapes .*\(4, 2\) is not \(3, 4\)"):
        directional_derivative(lambda a, xp: a)([arrays[0]], [arrays[1]])


def test_the_type_stays(ops):
    z = ops.asarray(np.asarray([0.5, 1.0], dtype=np.float32))
    for function in (lambda z, xp: xp.exp(z) * 2, lambda z, xp: 3 * z, lambda z, xp: xp.ones_like(z), lambda z, xp: z):
        assert derivative(function)(z).dtype == z.dtype


# In networks.


def softsign(z, xp):
    return z / (1 + xp.abs(z))


softsign_by_hand = f.custom(softsign, lambda z, xp: 1 / (1 + xp.abs(z)) ** 2)


def data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)


@pytest.mark.parametrize("settings", [{}, {"members": 3}, {"dropout": 0.2}, {"l2": 0.1}])
def test_a_bare_function_trains_as_one_with_a_derivative_by_hand(settings, backend):
    X, y = data()
    nets = [
        mlpx.MLP([3, 8, 8, 2], activation=a, output="linear", dtype="float64", backend=backend, **settings)
        for a in (softsign, softsign_by_hand)
    ]
    losses = [net.fit(X, y, epochs=3, batch_size=8, progress=False)["loss"] for net in nets]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-12)


def test_a_bare_function_is_an_output_too(backend):
    X, y = data()
    nets = [mlpx.MLP([3, 8, 2], output=a, dtype="float64", backend=backend) for a in (softsign, softsign_by_hand)]
    losses = [net.fit(X, y, epochs=2, progress=False)["loss"] for net in nets]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-12)


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_a_plan_goes_through_the_function_once_and_not_in_every_step(name):
    if not {info.name: info for info in mlpx.available_backends()}[name].available:
        pytest.skip(f"{name} is not installed")
    calls = []

    def counted(z, xp):
        calls.append(type(z).__name__)
        return xp.tanh(z) + 0.1 * z

    X, y = data(400)
    counts = []
    for epochs in (1, 20):
        net = mlpx.MLP([3, 8, 8, 2], activation=counted, output="linear", backend=name, seed=epochs)
        calls.clear()
        net.fit(X, y, epochs=epochs, batch_size=8, progress=False)
        counts.append(len(calls))
    assert counts[1] <= counts[0] <= 12  # 50 steps an epoch, in each of which two layers go forward and back


@pytest.mark.parametrize(("name", "dtype"), [("numpy", "float16"), ("torch", "float16"), ("jax", "bfloat16")])
def test_a_bare_function_in_half_precision(name, dtype):
    if not {info.name: info for info in mlpx.available_backends()}[name].available:
        pytest.skip(f"{name} is not installed")
    X, y = data()
    nets = [
        mlpx.MLP([3, 8, 2], activation=a, output="linear", dtype=dtype, backend=name)
        for a in (softsign, softsign_by_hand)
    ]
    losses = [net.fit(X, y, epochs=2, batch_size=8, progress=False)["loss"] for net in nets]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_a_bare_function_becomes_part_of_a_cuda_kernel():
    listing = pytest.importorskip("mlpx.backends.cuda.listing").listing
    text = listing(
        mlpx.MLP([3, 8, 2], activation=lambda z, xp: xp.where(z > 0, xp.sin(z), xp.expm1(z)), output="linear")
    )
    assert "sin" in text
    assert "cos" in text


def test_an_estimator_takes_a_bare_function():
    pytest.importorskip("sklearn")
    from sklearn.base import clone

    from mlpx.sklearn import MLPRegressor

    X, y = data(80)
    settings = {"hidden_layer_sizes": (8,), "max_iter": 5, "tol": 0, "random_state": 0}
    fits = [clone(MLPRegressor(activation=a, **settings)) for a in (softsign, softsign_by_hand)]
    with pytest.warns(Warning, match="onverge"):
        predictions = [model.fit(X, y).predict(X) for model in fits]
    np.testing.assert_allclose(predictions[0], predictions[1], rtol=1e-10)


def test_a_network_with_a_bare_function_is_not_saved(tmp_path):
    net = mlpx.MLP([3, 4, 1], activation=softsign, output="linear")
    with pytest.raises(ValueError, match="activation_from_formula"):
        net.save(tmp_path / "net.mlpx")
    net = mlpx.MLP([3, 4, 1], output="linear", loss=lambda y_hat, y, xp: xp.sum((y_hat - y) ** 2, axis=-1))
    with pytest.raises(ValueError, match="`loss` cannot be saved"):
        net.save(tmp_path / "net.mlpx")


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda z: z, TypeError, r"`activation` must be a function of \(z, xp\).* got <lambda>\(z\)"),
        (lambda z, xp, more: z, TypeError, r"`activation` must be a function of \(z, xp\)"),
        (lambda z, xp: np.sin(z), TypeError, r"`activation` .* Write xp.sin\(z\) for np.sin\(z\)"),
        (lambda z, xp: xp.sum(z, axis=-1), ValueError, r"`activation` must work element by element"),
        (lambda z, xp: z - xp.max(z, axis=-1, keepdims=True), ValueError, r"`activation` must work element by element"),
        (lambda z, xp: z - xp.min(z), ValueError, r"`activation` must work element by element"),
        (lambda z, xp: xp.cumulative_sum(z, axis=-1), ValueError, r"`activation` must work element by element"),
        (lambda z, xp: xp.sort(z), TypeError, r"`activation` .*`xp.sort` has no rule"),
        (lambda z, xp: xp.power(z, 2), TypeError, r"Write it with xp.pow"),
        (lambda z, xp: z if z > 0 else 0 * z, TypeError, r"`activation` .*xp.where"),
        (lambda z, xp: z.exp(), TypeError, r"`activation` .*has no 'exp'"),
        (lambda z, xp: math.sin(z), TypeError, r"`activation` .*functions of `xp`"),
        (lambda z, xp: 3.0, ValueError, r"`activation` must depend on z"),
        (lambda z, xp: z > 0, ValueError, r"`activation` must depend on z"),
        (lambda z, xp: "text", TypeError, r"`activation` must return an array"),
        (lambda z, xp: None, TypeError, r"`activation` must return an array"),
    ],
)
def test_what_is_no_such_function_is_refused_when_the_network_is_made(function, error, message):
    with pytest.raises(error, match=message):
        mlpx.MLP([2, 3, 1], activation=function, output="linear")
    with pytest.raises(error):
        mlpx.Dense(2, 3, function)


def test_factors_that_are_comparisons_or_small_integers_count_as_numbers():
    z, small = np.asarray([-2.0, -0.5, 1.0]), np.full(3, 100, np.int8)
    cases = [(lambda z, xp: z * (z > 0) + z * (z > -1), [0.0, 1.0, 2.0]), (lambda z, xp: z * small * small, [1e4] * 3)]
    for function, wanted in cases:
        slope = derivative(function)(z)
        assert slope.dtype == np.float64
        np.testing.assert_array_equal(slope, wanted)


@pytest.mark.parametrize("function", [derivative, lambda f: derivative(derivative(f))], ids=["first", "second"])
def test_functions_of_another_form_are_refused(function):
    z = np.asarray([1.0, 2.0])
    with pytest.raises(
        TypeError, match=r"`function` must be a function of \(z, xp\), xp the namespace.*got <lambda>\(z\)"
    ):
        function(lambda z: z)(z)
    with pytest.raises(
        TypeError, match=r"`function` must be .*it failed with TypeError: .*Write xp.sin\(z\) for np.sin"
    ):
        function(lambda z, xp: np.sin(z))(z)
    with pytest.raises(TypeError, match=r"`function` must be a function of \(z, xp\), got 3"):
        function(3)


def test_clip_with_one_end(ops):
    z = ops.asarray(np.asarray([-2.0, -1.0, 0.0, 1.0, 2.0]))
    for ends, wanted in (({"max": 1.0}, [1, 1, 1, 0, 0]), ({"min": -1.0}, [0, 0, 1, 1, 1]), ({}, [1, 1, 1, 1, 1])):
        slope = derivative(lambda z, xp, ends=ends: xp.clip(z, **ends))(z, ops.xp)
        assert mlpx.to_numpy(slope).tolist() == wanted


def test_clip_by_keyword_becomes_part_of_a_cuda_kernel():
    from mlpx.backends.cuda.listing import listing

    net = mlpx.MLP([3, 6, 2], activation=lambda z, xp: xp.clip(z, max=2.0), output="linear")
    assert "elements" in listing(net, batch_size=16)
