"""Activations and their derivatives against high precision, central differences, PyTorch and their limits."""

import math

import mpmath
import numpy as np
import pytest

import mlpx
from mlpx import activations as f

mp = mpmath.mp.clone()
mp.dps = 40

LAMBDA, GAMMA = mp.mpf("1.0507009873554805"), mp.mpf("1.6732632423543772")


def sigma(z):
    return 1 / (1 + mp.exp(-z))


def soft(z):
    return mp.log1p(mp.exp(z)) if z < 0 else z + mp.log1p(mp.exp(-z))


def phi(z):
    return mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)


def normal(z):
    return mp.ncdf(z) if abs(z) < 1e5 else mp.mpf(float(z > 0))  # mpmath's erfc overflows further out


def cubic(z):
    return mp.sqrt(2 / mp.pi) * (z + mp.mpf("0.044715") * z**3)


def elu(gamma, z):
    return z if z > 0 else gamma * mp.expm1(z)


def swish(beta, z):
    return z * sigma(beta * z)


def swish_slope(beta, z):
    s = sigma(beta * z)
    return s + beta * z * s * sigma(-beta * z)


def one(z):
    return mp.mpf(1)


# activation, the table of the specification in high precision, and where its derivative jumps
TABLE = {
    "identity": (f.identity(), lambda z: z, one, []),
    "logistic": (f.logistic(), sigma, lambda z: sigma(z) * sigma(-z), []),
    "tanh": (f.tanh(), mp.tanh, lambda z: mp.sech(z) ** 2, []),
    "hard_logistic": (f.hard_logistic(), lambda z: max(min(z / 4 + 0.5, 1), 0), lambda z: 0.25 * (abs(z) < 2), [-2, 2]),
    "hard_tanh": (f.hard_tanh(), lambda z: max(min(z, 1), -1), lambda z: float(abs(z) < 1), [-1, 1]),
    "relu": (f.relu(), lambda z: max(0, z), lambda z: float(z > 0), [0]),
    "leaky_relu": (f.leaky_relu(), lambda z: max(0, z) + 0.01 * min(0, z), lambda z: 1 if z > 0 else 0.01, [0]),
    "leaky_relu(0.3)": (f.leaky_relu(0.3), lambda z: max(0, z) + 0.3 * min(0, z), lambda z: 1 if z > 0 else 0.3, [0]),
    "elu": (f.elu(), lambda z: elu(1, z), lambda z: 1 if z > 0 else mp.exp(z), []),
    "elu(0.4)": (f.elu(0.4), lambda z: elu(0.4, z), lambda z: 1 if z > 0 else 0.4 * mp.exp(z), [0]),
    "selu": (
        f.selu(),
        lambda z: LAMBDA * elu(GAMMA, z),
        lambda z: LAMBDA * (1 if z > 0 else GAMMA * mp.exp(z)),
        [0],
    ),
    "softplus": (f.softplus(), soft, sigma, []),
    "swish": (f.swish(), lambda z: swish(1, z), lambda z: swish_slope(1, z), []),
    "swish(0)": (f.swish(0.0), lambda z: z / 2, lambda z: mp.mpf(0.5), []),
    "swish(2.5)": (f.swish(2.5), lambda z: swish(2.5, z), lambda z: swish_slope(2.5, z), []),
    "gelu": (f.gelu(), lambda z: z * normal(z), lambda z: normal(z) + z * phi(z), []),
    "gelu(logistic)": (
        f.gelu("logistic"),
        lambda z: swish(mp.mpf(1.702), z),
        lambda z: swish_slope(mp.mpf(1.702), z),
        [],
    ),
    "gelu(tanh)": (
        f.gelu("tanh"),
        lambda z: z / 2 * (1 + mp.tanh(cubic(z))),
        lambda z: (
            (1 + mp.tanh(cubic(z))) / 2
            + z / 2 * mp.sech(cubic(z)) ** 2 * mp.sqrt(2 / mp.pi) * (1 + 3 * mp.mpf("0.044715") * z * z)
        ),
        [],
    ),
    "mish": (
        f.mish(),
        lambda z: z * mp.tanh(soft(z)),
        lambda z: mp.tanh(soft(z)) + z * sigma(z) * mp.sech(soft(z)) ** 2,
        [],
    ),
    "exp": (f.exp(), mp.exp, mp.exp, []),
}
EVERY = pytest.mark.parametrize(("activation", "value", "slope", "kinks"), TABLE.values(), ids=TABLE)
POINTS = np.concatenate([np.linspace(-9, 9, 60), [-30.0, -17.3, -1e-9, 1e-9, 17.3, 30.0]])  # 0 and no kink among them


def high(function, points):
    return np.asarray([float(function(mp.mpf(float(z)))) for z in points])


def both(activation, z, ops):
    """Return value and derivative, as `backward` gives it, of NumPy numbers."""
    z = ops.asarray(z)
    y = ops.evaluate(activation, z)
    slope = activation.backward(ops.xp.ones_like(z), z, y, ops.xp)
    assert y.shape == slope.shape == z.shape
    assert y.dtype == slope.dtype == z.dtype
    return mlpx.to_numpy(y), mlpx.to_numpy(slope)


@EVERY
def test_the_reference_derivative_is_the_derivative_of_the_reference(activation, value, slope, kinks):
    for z in (-3.1, -1.3, -0.2, 0.4, 1.7, 4.0):
        assert float(mp.diff(value, mp.mpf(z))) == pytest.approx(float(slope(mp.mpf(z))), rel=1e-14, abs=1e-14)


@EVERY
def test_value_and_derivative_agree_with_high_precision(activation, value, slope, kinks, ops):
    y, dy = both(activation, POINTS, ops)
    scale = np.maximum(1, np.abs(POINTS))  # of the rounding where a factor z meets a number near 0
    np.testing.assert_array_less(np.abs(y - high(value, POINTS)), 1e-15 * scale + 1e-15 * np.abs(y))
    # the tanh form multiplies the rounding of 1 - tanh² by z f'(cubic z), which grows as z³
    steep = np.minimum(scale, 9) ** 3 if activation == f.gelu("tanh") else scale
    np.testing.assert_array_less(np.abs(dy - high(slope, POINTS)), 1e-15 * steep + 1e-15 * np.abs(dy))


@EVERY
def test_the_derivative_agrees_with_central_differences(activation, value, slope, kinks, ops):
    h = 1e-5
    z = np.asarray([p for p in np.linspace(-4, 4, 41) + 0.013 if all(abs(p - kink) > 2 * h for kink in kinks)])
    assert z.size >= 40
    above, below = (both(activation, z + side, ops)[0] for side in (h, -h))
    np.testing.assert_allclose(both(activation, z, ops)[1], (above - below) / (2 * h), rtol=1e-8, atol=1e-9)


@EVERY
def test_backward_multiplies_by_what_came_back(activation, value, slope, kinks, ops):
    z = ops.asarray(POINTS.reshape(3, 2, 11))
    dy = ops.asarray(np.random.default_rng(0).normal(size=(3, 2, 11)))
    y = activation(z, ops.xp)
    got = activation.backward(dy, z, y, ops.xp)
    expected = mlpx.to_numpy(dy) * mlpx.to_numpy(activation.derivative(z if activation.uses == "z" else y, ops.xp))
    np.testing.assert_allclose(mlpx.to_numpy(got), expected, rtol=1e-15)


KINKS = [
    (f.step(), 0.0, 1, None),
    (f.hard_logistic(), -2.0, 0, 0),
    (f.hard_logistic(), 2.0, 1, 0),
    (f.hard_tanh(), -1.0, -1, 0),
    (f.hard_tanh(), 1.0, 1, 0),
    (f.relu(), 0.0, 0, 0),
    (f.leaky_relu(), 0.0, 0, 0.01),
    (f.leaky_relu(0.3), 0.0, 0, 0.3),
    (f.elu(0.4), 0.0, 0, 0.4),
    (f.selu(), 0.0, 0, 1.0507009873554805 * 1.6732632423543772),
]


@pytest.mark.parametrize(("activation", "z", "value", "slope"), KINKS)
def test_at_a_kink_the_derivative_is_that_of_the_lower_branch(activation, z, value, slope, ops):
    at = ops.asarray(np.asarray([z]))
    assert mlpx.to_numpy(activation(at, ops.xp)).tolist() == [value]
    if slope is not None:
        assert both(activation, np.asarray([z]), ops)[1].tolist() == [slope]


def test_step_is_one_from_zero_on_and_has_no_derivative(ops):
    z = ops.asarray(np.asarray([-math.inf, -1.0, -5e-324, -0.0, 0.0, 5e-324, 2.0]))
    if ops.name != "jax":  # whose compiler flushes the smallest numbers to zero
        assert mlpx.to_numpy(f.step()(z, ops.xp)).tolist() == [0, 0, 0, 1, 1, 1, 1]
    with pytest.raises(ValueError, match="'step' has no derivative"):
        f.step().derivative(z, ops.xp)
    assert not f.step().differentiable


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_right_and_finite_at_the_ends_of_the_numbers(activation, value, slope, kinks, dtype, ops):
    info = np.finfo(dtype)
    ends = [0.0, info.tiny, 1e-6, 50.0, 1e2, 1e4, info.max / 4, info.max]
    z = np.asarray([-x for x in ends] + ends, dtype=dtype)
    with np.errstate(over="ignore"):
        expected = [high(g, z).astype(dtype) for g in (value, slope)]
    eps = 8 * float(info.eps)
    scale = np.minimum(np.maximum(1, np.abs(z.astype(float))), 60)  # as above, where the bell has not died out yet
    for got, want in zip(both(activation, z, ops), expected, strict=True):
        assert got.dtype == z.dtype
        infinite = np.isinf(want)
        np.testing.assert_array_equal(got[infinite], want[infinite])
        got, want = got[~infinite].astype(float), want[~infinite].astype(float)
        np.testing.assert_array_less(np.abs(got - want), eps * (np.abs(want) + scale[~infinite]) + 1e-300)


@EVERY
def test_no_floating_point_warning_is_raised_at_ten_thousand(activation, value, slope, kinks):
    ops = mlpx.get_backend("numpy")  # outside its context, which would hide the warnings
    z = np.asarray([-1e4, 1e4] if activation.name != "exp" else [-1e4, 80.0], dtype=np.float32)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        both(activation, z, ops)


def test_erf_is_exact_to_1e_15(ops):
    x = np.concatenate([np.linspace(-7, 7, 2001), [0.0, -0.0, 1e-300, 1e4, -1e4, 1e300]])
    got = mlpx.to_numpy(f.erf(ops.asarray(x), ops.xp))
    assert np.max(np.abs(got - high(mp.erf, x))) <= 1e-15
    assert np.all(np.sign(got) == -np.sign(mlpx.to_numpy(f.erf(ops.asarray(-x), ops.xp))))


def test_tanh_is_a_stretched_logistic_and_swish_lies_between_a_line_and_relu(ops):
    xp, z = ops.xp, ops.asarray(POINTS)
    tanh, stretched = f.tanh()(z, xp), 2 * f.logistic()(2 * z, xp) - 1
    np.testing.assert_allclose(mlpx.to_numpy(tanh), mlpx.to_numpy(stretched), atol=3e-16)
    np.testing.assert_array_equal(mlpx.to_numpy(f.swish(0.0)(z, xp)), POINTS / 2)
    np.testing.assert_allclose(mlpx.to_numpy(f.swish(1e12)(z, xp)), np.maximum(POINTS, 0), atol=1e-15)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_softmax_gives_rows_of_probabilities_and_its_jacobian(shape, ops):
    xp, rng = ops.xp, np.random.default_rng(2)
    z, dy = rng.normal(size=shape), rng.normal(size=shape)
    s = np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True)
    jacobian = s[..., :, None] * (np.eye(4) - s[..., None, :])
    y = f.softmax()(ops.asarray(z), xp)
    np.testing.assert_allclose(mlpx.to_numpy(y), s, rtol=1e-14)
    got = f.softmax().backward(ops.asarray(dy), ops.asarray(z), y, xp)
    np.testing.assert_allclose(mlpx.to_numpy(got), np.einsum("...c,...cd->...d", dy, jacobian), rtol=1e-12, atol=1e-15)
    with pytest.raises(ValueError, match="no element-wise derivative"):
        f.softmax().derivative(y, xp)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_stays_finite_at_the_ends_of_the_numbers(dtype, ops):
    big = np.finfo(dtype).max
    z = np.asarray([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4], [big, big, -big], [-big, -big, big]], dtype=dtype)
    expected = [[0.5, 0, 0.5], [1 / 3] * 3, [0.5, 0.5, 0], [0, 0, 1]]
    with np.errstate(over="ignore"):
        got = mlpx.to_numpy(f.softmax()(ops.asarray(z), ops.xp))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["logistic", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus", "swish", "mish",
                                  "hard_tanh", "gelu", "gelu(tanh)"])  # fmt: skip
def test_values_and_derivatives_agree_with_pytorch(name, ops):
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional
    theirs = {"logistic": torch.sigmoid, "tanh": torch.tanh, "swish": nn.silu, "hard_tanh": nn.hardtanh,
              "gelu(tanh)": lambda z: nn.gelu(z, approximate="tanh")}  # fmt: skip
    with torch.enable_grad():
        z = torch.tensor(POINTS, requires_grad=True)
        y = (theirs[name] if name in theirs else getattr(nn, name))(z)
        y.sum().backward()
    value, slope = both(TABLE[name][0], POINTS, ops)
    np.testing.assert_allclose(value, y.detach().numpy(), rtol=1e-13, atol=1e-14)
    # PyTorch's softplus is the line from z = 20 on; the rounding of the tanh form is that of the test above
    atol = {"softplus": 3e-9, "gelu(tanh)": 1e-13}.get(name, 1e-14)
    np.testing.assert_allclose(slope, z.grad.numpy(), rtol=1e-13, atol=atol)


def test_a_custom_activation_is_used_as_it_is(ops):
    sine = f.custom(lambda z, xp: xp.sin(z), lambda z, xp: xp.cos(z))
    y, dy = both(sine, POINTS, ops)
    np.testing.assert_allclose(y, np.sin(POINTS), rtol=1e-13)
    np.testing.assert_allclose(dy, np.cos(POINTS), rtol=1e-13)
    assert f.get(sine) is sine
    with pytest.raises(TypeError, match="`derivative_function` must be a function"):
        f.custom(np.sin, "cos")


def test_names_and_aliases_give_the_activations():
    assert f.get("sigmoid") == f.get("logistic") == f.logistic()
    assert f.get("linear") == f.get("identity") == f.identity()
    assert f.get("silu") == f.get("swish") == f.swish(1.0)
    assert f.get("leaky_relu") == f.leaky_relu(0.01)
    assert f.get("elu") == f.elu(1.0)
    assert f.get("gelu") == f.gelu("none")
    for name in f.Activation.known.keys() - {"automatic", "custom", "formula"}:
        assert f.get(name).name == name


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: f.get("rellu"), ValueError, "Did you mean 'relu'"),
        (lambda: f.get("prelu"), ValueError, "'prelu' is a layer of its own: put PReLU"),
        (lambda: f.get("maxout"), ValueError, "'maxout' is a layer of its own: put Maxout"),
        (lambda: mlpx.MLP([4, 16, 2], activation=mlpx.PReLU(16)), ValueError, "give MLP activation='prelu'"),
        (lambda: f.get(mlpx.Maxout), ValueError, "give MLP activation='maxout'"),
        (lambda: f.get("zzz"), ValueError, "one of elu, exp.*, or one of the layers PReLU and Maxout; got 'zzz'"),
        (lambda: f.get("custom"), ValueError, "needs its parameters"),
        (lambda: f.get(3), TypeError, "`activation`"),
        (lambda: f.get(np.tanh), TypeError, r"Write xp.sin\(z\)"),
        (lambda: f.leaky_relu(math.nan), ValueError, "`gamma`"),
        (lambda: f.leaky_relu("0.1"), TypeError, "`gamma`"),
        (lambda: f.elu(-1.0), ValueError, "`gamma` must be at least 0"),
        (lambda: f.swish(math.inf), ValueError, "`beta`"),
        (lambda: f.gelu("erf"), ValueError, "`approximate`"),
    ],
)
def test_wrong_names_and_parameters_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
