"""Reverse mode: random expressions against PyTorch and duals, structure, networks, second derivatives, losses."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpx
from mlpx.differentiation import directional_derivative, gradient, hessian_product, value_and_gradient

# Random expressions: trees over two matrices and a vector, bounded so that nothing overflows.

UNARY = {
    "tanh": lambda a, xp: xp.tanh(a),
    "sin": lambda a, xp: xp.sin(a),
    "exp": lambda a, xp: xp.exp(xp.tanh(a)),
    "sqrt": lambda a, xp: xp.sqrt(1 + a * a),
    "log": lambda a, xp: xp.log(2 + xp.cos(a)),
    "abs": lambda a, xp: xp.abs(a) + a,
    "relu": lambda a, xp: xp.maximum(a, 0.1),
    "square": lambda a, xp: xp.square(a) / (1 + xp.square(a)),
    "transpose": lambda a, xp: xp.tanh(xp.matrix_transpose(a)),
    "rows": lambda a, xp: a - xp.mean(a, axis=-1, keepdims=True),
    "softmax": lambda a, xp: xp.exp(a - xp.max(a, axis=-1, keepdims=True)),
    "cumulative": lambda a, xp: xp.tanh(xp.cumulative_sum(a, axis=0)),
    "shift": lambda a, xp: xp.concat([a[1:, :], a[:1, :]], axis=0),
    "flip": lambda a, xp: xp.flip(a, axis=1),
}
BINARY = {
    "add": lambda a, b, xp: a + b,
    "subtract": lambda a, b, xp: a - b,
    "multiply": lambda a, b, xp: a * xp.tanh(b),
    "divide": lambda a, b, xp: a / (1 + b * b),
    "matmul": lambda a, b, xp: xp.tanh(xp.matmul(a, b)),
    "minimum": lambda a, b, xp: xp.minimum(a, b + 0.01),
    "where": lambda a, b, xp: xp.where(a > b, a, 2 * b),
    "logaddexp": lambda a, b, xp: xp.logaddexp(a, b),
    "atan2": lambda a, b, xp: xp.atan2(a, 2 + xp.abs(b)),
    "stack": lambda a, b, xp: xp.sum(xp.stack([a, b], axis=1), axis=1),
}
LEAVES = st.sampled_from(["x", "y", "v"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(sorted(UNARY)), inner), st.tuples(st.sampled_from(sorted(BINARY)), inner, inner)
    ),
    max_leaves=8,
)
SHAPES = ((3, 3), (3, 3), (3,))


def scalar(tree):
    """Return the function of (x, y, v, xp) that a tree stands for, added up with weights."""

    def value(node, found, xp):
        if isinstance(node, str):
            return found[node] if node != "v" else xp.broadcast_to(found["v"], (3, 3))
        inputs = [value(part, found, xp) for part in node[1:]]
        return (UNARY if len(inputs) == 1 else BINARY)[node[0]](*inputs, xp)

    def function(x, y, v, xp):
        result = value(tree, {"x": x, "y": y, "v": v}, xp)
        return xp.sum(result * xp.sin(result + 1)) + xp.sum(0 * x) + xp.sum(0 * y) + xp.sum(0 * v)

    return function


def numbers(seed, count=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in (*SHAPES, *SHAPES)[:count]]


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(tree=TREES, seed=st.integers(0, 10**6))
def test_fifty_random_expressions_agree_with_pytorch(tree, seed):
    torch = pytest.importorskip("torch")
    function, arrays, xp = scalar(tree), numbers(seed), mlpx.get_backend("torch").xp
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = function(*tensors, xp)
    expected.backward()
    value, slopes = value_and_gradient(function)(*arrays)
    assert float(value) == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    for slope, tensor in zip(slopes, tensors, strict=True):
        np.testing.assert_allclose(slope, tensor.grad.numpy(), rtol=1e-12, atol=1e-12)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(tree=TREES, seed=st.integers(0, 10**6))
def test_the_tape_agrees_with_duals(tree, seed):
    function, (x, y, v, dx, dy, dv) = scalar(tree), numbers(seed, 6)
    slopes = gradient(function)(x, y, v)
    _, change = directional_derivative(function)([x, y, v], [dx, dy, dv])
    along = sum(float(np.sum(slope * d)) for slope, d in zip(slopes, (dx, dy, dv), strict=True))
    assert float(change) == pytest.approx(along, rel=1e-11, abs=1e-11)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(tree=TREES, seed=st.integers(0, 10**6))
def test_the_tape_on_duals_agrees_with_the_tape_on_itself(tree, seed):
    function, (x, y, v, dx, dy, dv) = scalar(tree), numbers(seed, 6)
    by_duals = hessian_product(function)([x, y, v], [dx, dy, dv])

    def along(x, y, v, xp):
        return sum(xp.sum(g * d) for g, d in zip(gradient(function)(x, y, v, xp), (dx, dy, dv), strict=True))

    for one, other in zip(by_duals, gradient(along)(x, y, v), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


# Structure: each function of the standard, on every backend, against central differences.

WEIGHTS = np.random.default_rng(5).normal(size=(64,))
STRUCTURE = {
    "reshape": lambda x, xp: xp.reshape(x, (2, 6)),
    "permute_dims": lambda x, xp: xp.permute_dims(xp.reshape(x, (2, 3, 2)), (2, 0, 1)),
    "expand_dims": lambda x, xp: xp.expand_dims(x, axis=1),
    "squeeze": lambda x, xp: xp.squeeze(x[:, None, :], axis=1),
    "broadcast_to": lambda x, xp: xp.broadcast_to(x[:, :1], (3, 5)),
    "mT": lambda x, xp: x.mT,
    "concat": lambda x, xp: xp.concat([x, 2 * x, xp.ones_like(x)], axis=1),
    "concat flat": lambda x, xp: xp.concat([x, x[:1, :]], axis=None),
    "stack": lambda x, xp: xp.stack([x, x * x], axis=-1),
    "sum": lambda x, xp: xp.sum(x, axis=0),
    "sum of two": lambda x, xp: xp.sum(xp.reshape(x, (2, 3, 2)), axis=(0, 2)),
    "mean": lambda x, xp: xp.mean(x, axis=-1, keepdims=True),
    "var": lambda x, xp: xp.var(x, axis=0, correction=1),
    "std": lambda x, xp: xp.std(x, axis=1),
    "max": lambda x, xp: xp.max(x, axis=0),
    "min": lambda x, xp: xp.min(x, axis=1, keepdims=True),
    "max of all": lambda x, xp: xp.max(x),
    "prod": lambda x, xp: xp.prod(x, axis=0),
    "prod of all": lambda x, xp: xp.prod(x),
    "cumulative_sum": lambda x, xp: xp.cumulative_sum(x, axis=1),
    "flip": lambda x, xp: xp.flip(x, axis=0),
    "roll": lambda x, xp: xp.roll(x, 2, axis=1),
    "tril": lambda x, xp: xp.tril(x),
    "triu": lambda x, xp: xp.triu(x, k=1),
    "take": lambda x, xp: xp.take(x, xp.asarray([2, 0, 2]), axis=0),
    "take last": lambda x, xp: xp.take(x, xp.asarray([1, 1, 3]), axis=-1),
    "row": lambda x, xp: x[1, ...],
    "last row": lambda x, xp: x[-1, :],
    "slice": lambda x, xp: x[1:, :3],
    "steps": lambda x, xp: x[::2, 1::2],
    "empty slice": lambda x, xp: xp.concat([x[:, 3:1], x], axis=1),
    "ellipsis": lambda x, xp: x[..., 0],
    "none": lambda x, xp: x[None, :, None, 1],
    "vecdot": lambda x, xp: xp.vecdot(x, x * x),
    "matmul": lambda x, xp: xp.matmul(x, xp.matrix_transpose(x)),
    "matrix by vector": lambda x, xp: xp.matmul(x, x[0, :]),
    "vector by matrix": lambda x, xp: xp.matmul(x[:, 0], x),
    "vector by vector": lambda x, xp: xp.matmul(x[0, :], x[1, :]),
    "stack of matrices": lambda x, xp: xp.matmul(xp.reshape(x, (2, 1, 3, 2)), xp.reshape(x, (3, 2, 2))),
    "astype": lambda x, xp: xp.astype(x, xp.float32),
    "broadcasting": lambda x, xp: x[:, :1] * x[:1, :] + x[0, 0],
    "rows one by one": lambda x, xp: sum(x[i, ...] * (i + 1) for i in range(3)),
}  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURE)
def test_structure(name, ops):
    x = np.random.default_rng(3).normal(size=(3, 4))

    def function(x, xp):
        flat = xp.reshape(STRUCTURE[name](x, xp), (-1,))
        return xp.sum(xp.sin(flat) * xp.asarray(WEIGHTS[: flat.shape[0]].tolist(), dtype=flat.dtype))

    got = mlpx.to_numpy(gradient(function)(ops.asarray(x), ops.xp))
    h, expected = (1e-2 if name == "astype" else 1e-6), np.zeros_like(x)
    for i, j in itertools.product(range(3), range(4)):
        step = np.zeros_like(x)
        step[i, j] = h
        ends = [float(function(ops.asarray(x + side * step), ops.xp)) for side in (1, -1)]
        expected[i, j] = (ends[0] - ends[1]) / (2 * h)
    tolerance = 1e-3 if name == "astype" else 1e-8
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_a_product_is_exact_where_entries_are_zero(ops):
    for x, slope in (([2.0, 0.0, 3.0], [0.0, 6.0, 0.0]), ([0.0, 0.0, 3.0], [0.0, 0.0, 0.0])):
        got = gradient(lambda x, xp: xp.prod(x))(ops.asarray(np.asarray(x)))
        assert mlpx.to_numpy(got).tolist() == slope
    mixed = hessian_product(lambda x, xp: xp.prod(x))
    x, v = (ops.asarray(np.asarray(a)) for a in ([0.0, 0.0, 3.0], [1.0, 0.0, 0.0]))
    assert mlpx.to_numpy(mixed([x], [v])).tolist() == [0.0, 3.0, 0.0]


def test_equal_extremes_share(ops):
    got = gradient(lambda x, xp: xp.max(x))(ops.asarray(np.asarray([1.0, 3.0, 3.0])))
    assert mlpx.to_numpy(got).tolist() == [0.0, 0.5, 0.5]


def test_kinks_that_cancel_give_the_derivative_of_the_smooth_function(ops):
    def cross_entropy(z, xp):  # log(1 + e^z) - 0.25 z
        return xp.sum(xp.maximum(z, 0.0) - 0.25 * z + xp.log1p(xp.exp(-xp.abs(z))))

    z = ops.asarray(np.asarray([0.0, 1.0]))
    expected = 1 / (1 + np.exp(-np.asarray([0.0, 1.0]))) - 0.25
    np.testing.assert_allclose(mlpx.to_numpy(gradient(cross_entropy)(z)), expected, rtol=1e-15)


# Networks: the hand-derived gradients against the tape on the risk, written once more.


def outputs_and_losses():
    def softplus(z, xp):
        return xp.maximum(z, 0.0) + xp.log1p(xp.exp(-xp.abs(z)))

    def log_softmax(z, xp):
        shifted = z - xp.max(z, axis=-1, keepdims=True)
        return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))

    return {
        "squared_error": ("linear", lambda z, y, xp: xp.sum((z - y) ** 2, axis=-1) / 2),
        "huber": ("linear", lambda z, y, xp: xp.sum(
            xp.where(xp.abs(z - y) < 1, (z - y) ** 2 / 2, xp.abs(z - y) - 0.5), axis=-1)),
        "absolute_error": ("linear", lambda z, y, xp: xp.sum(xp.abs(z - y), axis=-1)),
        "binary_cross_entropy": ("sigmoid", lambda z, y, xp: xp.sum(softplus(z, xp) - y * z, axis=-1)),
        "cross_entropy": ("softmax", lambda z, y, xp: -xp.sum(y * log_softmax(z, xp), axis=-1)),
        "poisson": ("exp", lambda z, y, xp: xp.sum(xp.exp(z) - y * z + y * np.log(2.0) - y, axis=-1)),
        "mean_squared_error": ("softmax", lambda z, y, xp: xp.mean((xp.exp(log_softmax(z, xp)) - y) ** 2, axis=-1)),
    }  # fmt: skip


OUTPUTS = outputs_and_losses()


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu", "selu"])
@pytest.mark.parametrize("hidden", [[], [5], [6, 4]])
def test_hand_derived_gradients_equal_those_of_the_tape(loss, activation, hidden):
    output, per_sample = OUTPUTS[loss]
    rng, sizes = np.random.default_rng(len(hidden)), [3, *hidden, 2]
    net = mlpx.MLP(sizes, activation=activation, output=output, loss=loss, l2=0.1, dtype="float64", seed=4)
    f, X = mlpx.activations.get(activation), rng.normal(size=(7, 3))
    y = {"softmax": np.eye(2)[rng.integers(0, 2, 7)], "sigmoid": rng.uniform(size=(7, 2))}.get(output)
    y = y if y is not None else rng.normal(size=(7, 2)) if output == "linear" else np.full((7, 2), 2.0)

    def risk(*parameters_and_xp):
        *parameters, xp = parameters_and_xp
        weights, biases = parameters[::2], parameters[1::2]
        a = X
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = xp.matmul(a, w) + b
            a = f(z, xp) if i < len(weights) - 1 else z
        return xp.mean(per_sample(a, y, xp)) + 0.05 * sum(xp.sum(w * w) for w in weights)

    rows = [np.asarray(a) for pair in zip(net.weights, net.biases, strict=True) for a in pair]
    value, slopes = value_and_gradient(risk)(*rows)
    grads = net.backward(net.forward(X), y)
    assert float(value) == pytest.approx(float(grads.loss), rel=1e-12)
    for got, exact in zip(slopes, [g for p in zip(grads.weights, grads.biases, strict=True) for g in p], strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-12, atol=1e-13)


def test_the_hessian_product_of_a_quadratic_form_is_its_matrix(ops):
    rng = np.random.default_rng(0)
    a, x, v = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)
    matrix = ops.asarray(a)
    product = hessian_product(lambda x, xp: xp.vecdot(x, xp.matmul(matrix, x[:, None])[:, 0]))
    got = product([ops.asarray(x)], [ops.asarray(v)])
    np.testing.assert_allclose(mlpx.to_numpy(got), (a + a.T) @ v, rtol=1e-13)


def test_third_derivatives_by_three_tapes():
    def once(f):
        return lambda x, xp=None: gradient(f)(x, xp=xp)

    cube = once(once(once(lambda x, xp: x**4 / 4)))
    assert float(cube(np.asarray(2.0))) == 12.0


def test_under_a_compiler_and_on_its_arrays():
    jax = pytest.importorskip("jax")
    x = np.asarray([0.3, -1.0])

    def f(x, xp):
        return xp.sum(xp.where(x > 0, xp.tanh(x), x * x))

    with mlpx.get_backend("jax").context():
        got = jax.jit(gradient(f))(jax.numpy.asarray(x))
    np.testing.assert_allclose(np.asarray(got), gradient(f)(x), rtol=1e-14)


def test_float64_stays_float64_on_jax():
    pytest.importorskip("jax")
    ops = mlpx.get_backend("jax")
    with ops.context():
        x = ops.asarray(np.asarray([0.3, -1.0]))
    assert str(gradient(lambda x, xp: xp.sum(xp.exp(x)))(x).dtype) == "float64"


def test_which_arguments_are_differentiated_by(ops):
    w, x = (ops.asarray(np.asarray(a)) for a in ([1.0, 2.0], [3.0, 4.0]))
    index = ops.asarray(np.asarray([1]))

    def f(w, x, index, xp):
        return xp.sum(xp.take(w * x, index, axis=0))

    both = gradient(f)(w, x, index)
    assert [mlpx.to_numpy(g).tolist() for g in both] == [[0.0, 4.0], [0.0, 2.0]]
    assert mlpx.to_numpy(gradient(f, wrt=1)(w, x, index)).tolist() == [0.0, 2.0]
    assert len(gradient(f, wrt=[0])(w, x, index)) == 1
    assert mlpx.to_numpy(gradient(lambda w, x, xp: xp.sum(w))(w, x)[1]).tolist() == [0.0, 0.0]
    assert float(gradient(lambda x, xp: x * x)(3.0)) == 6.0
    with pytest.raises(ValueError, match="`wrt` must name positions of the 3 arguments"):
        gradient(f, wrt=3)(w, x, index)
    with pytest.raises(TypeError, match="needs arguments of floating type"):
        gradient(f, wrt=2)(w, x, index)
    for wrt in ("w", 1.5, [0.5]):
        with pytest.raises(TypeError, match="`wrt` must be a position of an argument, such as 0"):
            gradient(f, wrt=wrt)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x, xp: x, ValueError, r"one number, got an array of shape \(2,\); add it up with xp.sum"),
        (lambda x, xp: None, TypeError, "must return one number"),
        (lambda x, xp: xp.sum(xp.sort(x)), TypeError, "`xp.sort` has no rule"),
        (lambda x, xp: xp.sum(xp.concatenate([x, x])), TypeError, "Write it with xp.concat;"),
        (lambda x, xp: xp.sum(x[x > 0]), TypeError, "indexed by whole numbers, slices"),
        (lambda x, xp: x.sum(), AttributeError, r"no 'sum': write functions of `xp`"),
        (lambda x, xp: float(x[0]), TypeError, "an array was to become a number"),
        (lambda x, xp: x[0] if x[0] > 0 else x[1], TypeError, "cannot decide by the values"),
        (lambda x, xp: np.sum(np.asarray(x)), TypeError, "an array was to become a number"),
        (lambda x, xp: xp.sum(np.sin(x)), TypeError, r"`function` must be .*functions of `xp`.*Write xp.sin\(z\) for"),
        (lambda x: x, TypeError, r"`function` must be a function of \(\*arrays, xp\), xp the namespace.*got <lambda>"),
        (lambda x, xp: xp.linalg.det(x), TypeError, "`xp.linalg.det` has no rule"),
        (lambda x, xp: xp.sum(xp.linalg.matmul(x, x)), TypeError, "Write it with xp.matmul;"),
    ],
)
def test_what_cannot_be_differentiated_is_refused(function, error, message):
    with pytest.raises(error, match=message):
        gradient(function)(np.asarray([1.0, 2.0]))


def test_arguments_that_are_no_arrays_are_refused():
    with pytest.raises(TypeError, match=r"must be an array, a number or a list|must hold numbers"):
        gradient(lambda x, xp: x)("text")
    with pytest.raises(TypeError, match=r"`function` must be a function of \(\*arrays, xp\)"):
        gradient(3)


# Losses.


def log_cosh(y_hat, y, xp):
    return xp.sum(xp.log(xp.cosh(y_hat - y)), axis=-1)


def squared(y_hat, y, xp):
    return xp.sum((y_hat - y) ** 2, axis=-1) / 2


def data(n=40):
    X = np.random.default_rng(0).normal(size=(n, 3))
    return X, np.stack([np.sin(X[:, 0]), X[:, 1]], axis=1)


@pytest.mark.parametrize("settings", [{}, {"members": 3}, {"l2": 0.1}])
def test_a_function_as_loss_trains_as_the_loss_by_hand(settings, backend):
    X, y = data()
    weight = np.random.default_rng(1).uniform(size=40)
    nets = [
        mlpx.MLP([3, 8, 2], output="tanh", loss=loss, dtype="float64", backend=backend, **settings)
        for loss in (squared, "squared_error")
    ]
    found = [net.fit(X, y, sample_weight=weight, epochs=3, batch_size=8, progress=False)["loss"] for net in nets]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    ends = [net.evaluate(X, y)["loss"] for net in nets]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)


def test_the_gradient_of_a_loss_of_ones_own(ops):
    loss = mlpx.losses.get(log_cosh)
    x, y = (ops.asarray(a) for a in data(6)[1][None].repeat(2, 0) * np.asarray([[[1.0]], [[0.3]]]))
    value, slope = loss.value_and_gradient(x, y, ops.xp)
    r = mlpx.to_numpy(x) - mlpx.to_numpy(y)
    np.testing.assert_allclose(mlpx.to_numpy(value), np.sum(np.log(np.cosh(r)), axis=-1), rtol=1e-12)
    np.testing.assert_allclose(mlpx.to_numpy(slope), np.tanh(r), rtol=1e-12)


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_a_plan_goes_through_the_loss_once(name):
    if not {info.name: info for info in mlpx.available_backends()}[name].available:
        pytest.skip(f"{name} is not installed")
    calls = []

    def counted(y_hat, y, xp):
        calls.append(1)
        return xp.sum(xp.exp(xp.abs(y_hat - y)), axis=-1)

    X, y = data(400)
    net = mlpx.MLP([3, 8, 2], output="linear", loss=counted, backend=name)
    net.fit(X, y, epochs=20, batch_size=8, progress=False)
    assert 1 <= len(calls) <= 5  # 1000 steps


def test_a_loss_may_need_a_certain_number_of_outputs():
    net = mlpx.MLP([3, 5], output="linear", loss=lambda y_hat, y, xp: (y_hat[..., 4] - y[..., 4]) ** 2)
    assert net.loss.name == "automatic"


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda y_hat, y: y, TypeError, r"`loss` must be a function of \(y_hat, y, xp\)"),
        (lambda y_hat, y, xp: (y_hat - y) ** 2, ValueError, r"`loss` must return one number a sample: .* got \(2, 2\)"),
        (
            lambda y_hat, y, xp: xp.sum((y_hat - y) ** 2),
            ValueError,
            r"ask for \(2,\), got \(\). Add up over",
        ),
        (
            lambda y_hat, y, xp: xp.sum((y_hat - xp.mean(y, axis=0)) ** 2, axis=-1),
            ValueError,
            "`loss` must give each sample a number that depends on its own row alone",
        ),
        (lambda y_hat, y, xp: np.sum(y_hat - y, axis=-1), TypeError, r"`loss` must .*see mlpx.losses.Loss"),
        (mlpx.losses.huber, TypeError, "`loss` must be a name or an object such as huber"),
    ],
)
def test_what_is_no_loss_is_refused(loss, error, message):
    with pytest.raises(error, match=message):
        mlpx.MLP([3, 4, 2], output="linear", loss=loss)


def test_an_estimator_takes_a_function_as_loss():
    pytest.importorskip("sklearn")
    from mlpx.sklearn import MLPRegressor

    X, y = data(80)
    models = [
        MLPRegressor(loss=loss, hidden_layer_sizes=(8,), solver="lbfgs", max_iter=500, random_state=0)
        for loss in (squared, "squared_error")
    ]
    scores = [model.fit(X, y).score(X, y) for model in models]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    assert scores[0] > 0.99


def test_slices_that_go_backwards():
    x = np.arange(12.0).reshape(3, 4)
    got = gradient(lambda x, xp: xp.sum(x[::-1, 3:0:-2] * xp.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])))(x)
    assert got.tolist() == [[0, 6, 0, 5], [0, 4, 0, 3], [0, 2, 0, 1]]


@pytest.mark.parametrize("size", range(7))
def test_every_slice_of_a_vector(size):
    ends = [None, *range(-8, 9, 2)]
    for start, stop, step in itertools.product(ends, ends, (-9, -3, -2, -1, 2, 3, 9)):
        own = slice(start, stop, step)
        expected, weight = np.zeros(size), np.arange(1.0, len(range(*own.indices(size))) + 1)
        expected[own] = weight
        got = gradient(lambda x, xp, own=own, weight=weight: xp.sum(x[own] * weight))(np.ones(size))
        np.testing.assert_array_equal(got, expected)


def test_long_slices_and_rows_that_are_taken_need_no_large_memory(monkeypatch):
    n = 200_000  # a matrix of all places by all places would have 4e10 entries
    assert np.all(gradient(lambda x, xp: xp.sum(x[::-1] * x))(np.ones(n)) == 2.0)
    x, index = np.random.default_rng(0).normal(size=(5, 4)), np.asarray([4, 0, -1, 2, 2, 1, 0])
    for axis in (0, 1):
        once = gradient(lambda x, xp, a=axis: xp.sum(xp.take(x, index % 4, axis=a) ** 3))
        expected = once(x)
        monkeypatch.setattr("mlpx.differentiation.transposes._LARGEST_MASK", 12)
        np.testing.assert_allclose(once(x), expected, rtol=1e-14)
        monkeypatch.undo()


def test_whole_numbers_of_a_library_are_indices():
    x = np.asarray([1.0, 2.0, 3.0])
    got = gradient(lambda x, xp: sum(x[i] * float(i) for i in np.arange(3)))(x)
    assert got.tolist() == [0.0, 1.0, 2.0]
    assert gradient(lambda x, xp: xp.sum(xp.reshape(x, -1)))(x[None]).shape == (1, 3)
    with pytest.raises(TypeError, match="indexed by whole numbers"):
        gradient(lambda x, xp: xp.sum(x[True]))(x)


def test_extensions_serve_arrays_beside_those_that_are_differentiated():
    a = np.asarray([[2.0, 0.0], [0.0, 3.0]])
    slope = gradient(lambda x, xp: xp.sum(x * xp.linalg.det(a)))(np.asarray([1.0, 2.0]))
    np.testing.assert_allclose(slope, [6.0, 6.0])


def test_products_with_the_hessian_take_lists():
    x = np.asarray([1.0, 2.0])
    product = hessian_product(lambda x, xp: xp.sum(x * x))
    with pytest.raises(TypeError, match=r"`arrays` must be a list with one array for each argument, such as \[x\]"):
        product(x, x)
    with pytest.raises(ValueError, match="`directions` must hold one array for each of `arrays`: 2 are not 1"):
        product([x], [x, x])
    with pytest.raises(TypeError, match=r"`function` must be a function of \(\*arrays, xp\), got 3"):
        hessian_product(3)
    with pytest.raises(TypeError, match=r"Write xp\.sin"):
        hessian_product(lambda x, xp: xp.sum(np.sin(x)))([x], [x])
