"""Formulas: equal to the built-in functions, stable, trained, saved; and what is no formula is refused."""

import copy
import json
import math
import pickle
import struct
import subprocess
import sys

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mlpx
from mlpx import activations, losses
from mlpx.backends.cuda.listing import listing
from mlpx.differentiation import (
    FUNCTIONS,
    activation_from_formula,
    check_derivative,
    check_gradients,
    loss_from_formula,
)
from mlpx.differentiation.formula import Algebra, walk

sympy = pytest.importorskip("sympy")

mp = mpmath.mp.clone()
mp.dps = 30
POINTS = np.concatenate([np.linspace(-9, 9, 61), [-30.0, -1e-9, 1e-9, 30.0]])

# a formula, its parameters, the built-in function, and whether both have the same derivative at 0 and at +-1
SAME = [
    ("z", {}, activations.identity()),
    ("sigmoid(x)", {}, activations.logistic()),
    ("1/(1 + exp(-x))", {}, activations.logistic()),
    ("exp(x)/(exp(x) + 1)", {}, activations.logistic()),
    ("tanh(x)", {}, activations.tanh()),
    ("2*logistic(2*x) - 1", {}, activations.tanh()),
    ("max(0, x)", {}, activations.relu()),
    ("relu(x)", {}, activations.relu()),
    ("max(0, x) + gamma*min(0, x)", {"gamma": 0.3}, activations.leaky_relu(0.3)),
    ("max(x, gamma*x)", {"gamma": 0.01}, activations.leaky_relu()),
    ("max(0, x) + min(0, gamma*expm1(x))", {"gamma": 0.4}, activations.elu(0.4)),
    ("max(0, x) + min(0, exp(x) - 1)", {}, activations.elu()),
    ("softplus(x)", {}, activations.softplus()),
    ("log(1 + exp(x))", {}, activations.softplus()),
    ("x * sigmoid(beta*x)", {"beta": 1.7}, activations.swish(1.7)),
    ("x/(1 + exp(-x))", {}, activations.swish()),
    ("x/2 * (1 + erf(x/sqrt(2)))", {}, activations.gelu()),
    ("0.5*x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))", {}, activations.gelu("tanh")),
    ("x * tanh(softplus(x))", {}, activations.mish()),
    ("exp(x)", {}, activations.exp()),
]
BY_FORMULA = pytest.mark.parametrize(("text", "parameters", "known"), SAME, ids=[s[0] for s in SAME])


@BY_FORMULA
def test_formulas_equal_the_built_in_functions(text, parameters, known, ops):
    f, xp = activation_from_formula(text, **parameters), ops.xp
    for points in (POINTS, np.asarray([-1.0, 0.0, 1.0])):
        z = ops.asarray(points)
        y = ops.evaluate(f, z)
        slopes = [a.backward(xp.ones_like(z), z, a(z, xp), xp) for a in (f, known)]
        assert y.dtype == slopes[0].dtype == z.dtype
        np.testing.assert_allclose(mlpx.to_numpy(y), mlpx.to_numpy(known(z, xp)), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(*map(mlpx.to_numpy, slopes), rtol=1e-12, atol=1e-12)


@BY_FORMULA
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_formulas_are_finite_at_ten_thousand(text, parameters, known, dtype, ops):
    z = ops.asarray(np.asarray([-1e4, -800.0, -89.0, 0.0, 89.0, 800.0, 1e4], dtype=dtype))
    f = activation_from_formula(text, **parameters)
    with np.errstate(over="ignore"):
        for got, want in ((f(z, ops.xp), known(z, ops.xp)), (f.derivative(z, ops.xp), _slope(known, z, ops.xp))):
            assert got.dtype == z.dtype
            got, want = mlpx.to_numpy(got), mlpx.to_numpy(want)
            assert not np.any(np.isnan(got))
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def _slope(activation, z, xp):
    return activation.backward(xp.ones_like(z), z, activation(z, xp), xp)


@pytest.mark.parametrize(
    ("text", "at", "slope"),
    [
        ("max(0, x)", 0, 0), ("max(x, 0)", 0, 0), ("min(0, x)", 0, 1), ("min(x, 0)", 0, 1), ("max(x, 3*x)", 0, 1),
        ("max(3*x, x)", 0, 1), ("min(3*x, x)", 0, 3), ("max(0, -x)", 0, -1), ("abs(x)", 0, 0), ("max(x, x**2)", 0, 0),
        ("max(x, x**2)", 1, 1), ("max(x**2, x, 3*x - 2)", 1, 1), ("x + sign(x)", 0, 1), ("x * step(x)", 0, 1),
        ("min(x, exp(x) - 1)", 0, 1), ("max(2*x - 3, 1, x**2/2 - 1)", 2, 0), ("max(x, x)", 5, 1),
    ],
)  # fmt: skip
def test_at_a_kink_the_derivative_is_that_from_the_left(text, at, slope, ops):
    z = ops.asarray(np.asarray([float(at)]))
    assert mlpx.to_numpy(activation_from_formula(text).derivative(z, ops.xp)).tolist() == pytest.approx([slope])


@pytest.mark.parametrize("members", [None, 2])
def test_a_network_trains_as_with_the_built_in_function(members, backend):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y, trained = np.sin(X[:, 0]), []
    for activation in (activations.swish(1.5), activation_from_formula("x * sigmoid(b*x)", b=1.5)):
        net = mlpx.MLP([3, 6, 1], activation=activation, output="linear", dtype="float64", initializer="he_normal",
                       members=members, backend=backend)  # fmt: skip
        net.fit(X, y, epochs=5, batch_size=8, progress=False)
        trained.append(mlpx.to_numpy(net.vector))
    np.testing.assert_allclose(*trained, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "text", ["x * sigmoid(x)", "max(x, 0.1*x)", "max(0, x) + min(0, exp(x) - 1)", "x**3/(1 + abs(x)**2.5)", "atan(x)"]
)
def test_formulas_are_fused_on_cuda_and_gradients_pass(text):
    net = mlpx.MLP([3, 6, 1], activation=activation_from_formula(text), output="linear", seed=1)
    assert "elements" in listing(net, batch_size=16)
    rng = np.random.default_rng(0)
    check_gradients(net, rng.normal(size=(20, 3)), rng.normal(size=20)).assert_passed()


def test_float16_is_computed_in_float32():
    f = activation_from_formula("x * tanh(softplus(x))")
    net = mlpx.MLP([3, 6, 1], activation=f, output="linear", dtype="float16")
    X = np.random.default_rng(0).normal(size=(40, 3))
    history = net.fit(X, X[:, 0], epochs=5, progress=False)
    assert history["loss"][-1] < history["loss"][0]


def test_the_description_compares_copies_and_pickles():
    f = activation_from_formula("x * sigmoid(beta*x)", beta=1.5)
    assert f == activations.formula("x * sigmoid(beta*x)", (("beta", 1.5),))
    assert f != activation_from_formula("x * sigmoid(beta*x)", beta=1.6)
    assert len({f, pickle.loads(pickle.dumps(f)), copy.deepcopy(f)}) == 1
    assert activations.Activation.from_config(json.loads(json.dumps(f.to_config()))) == f
    assert repr(f) == "formula(text='x * sigmoid(beta*x)', parameters=(('beta', 1.5),))"
    z = np.asarray([1.0, 2.0])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(f)).derivative(z, np), f.derivative(z, np))


def test_the_code_can_be_read():
    code = activation_from_formula("x * sigmoid(beta*x)", beta=1.5).code.splitlines()
    assert code[:5] == ["f(x):", "    t1 = beta * x", "    t2 = sigmoid(t1)", "    t3 = x * t2", "    return t3"]
    assert code[5] == "derivative(x):"
    assert activation_from_formula("3*z").code == "f(x):\n    t1 = 3 * x\n    return t1\nderivative(x):\n    return 3"


def test_common_parts_are_computed_once():
    f = activation_from_formula("sin(x**2 + 1)*exp(x**2 + 1) + (x**2 + 1)**3")
    code = f.code.partition("derivative")[0]
    assert code.count("x * x") == 1
    assert code.count("1 + ") == 1


# Model files.


def test_a_model_file_holds_the_formula(tmp_path, backend):
    f = activation_from_formula("x * sigmoid(beta*x)", beta=1.5)
    loss = loss_from_formula("log(cosh(c*(p - y)))", c=0.5)
    net = mlpx.MLP([3, 6, 1], activation=f, output="linear", loss=loss, backend=backend)
    net.save(tmp_path / "model.mlpx")
    loaded = mlpx.load(tmp_path / "model.mlpx", backend=backend)
    assert (loaded.layers[0].activation, loaded.loss) == (f, loss)
    X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded.predict(X), net.predict(X))


def test_a_file_is_read_where_formulas_were_never_imported(tmp_path):
    net = mlpx.MLP([3, 6, 1], activation=activation_from_formula("x*tanh(x)"), output="linear")
    net.save(tmp_path / "model.mlpx")
    code = f"""
import sys, mlpx
assert "sympy" not in sys.modules
print(mlpx.load({str(tmp_path / "model.mlpx")!r}).layers[0].activation)
sys.modules["sympy"] = None
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "formula(text='x*tanh(x)', parameters=())"


def _changed(path, change):
    """Write a file again with its description changed."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    model = json.loads(header["__metadata__"]["model"])
    change(model["layers"][0]["activation"])
    header["__metadata__"]["model"] = json.dumps(model)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "__import__('os').system('true')"}, {"text": "x.__class__"}, {"text": "x*9**9**9**9"}, {"text": None},
        {"text": 3}, {"text": ["x"]}, {"text": "x*" * 5000 + "x"}, {"text": "x"}, {"text": "x*b", "parameters": []},
        {"text": ""}, {"parameters": [["b", "1"]]}, {"parameters": [["b", 1e300]]}, {"parameters": [["b"]]},
        {"parameters": {"b": 1}}, {"parameters": "b"}, {"parameters": [["exp", 1.0]]}, {"parameters": 3},
        {"parameters": [["b", None]]}, {"parameters": [["b", [1.0]]]}, {"parameters": [["b;", 1.0]]}, {"other": 1},
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused(fields, tmp_path):
    path = tmp_path / "model.mlpx"
    mlpx.MLP([2, 3, 1], activation=activation_from_formula("b*x", b=2.0), output="linear").save(path)
    _changed(path, lambda config: None)
    assert mlpx.load(path).n_parameters == 13
    _changed(path, lambda config: config.update(fields))
    with pytest.raises(mlpx.ModelFileError):
        mlpx.load(path)


def test_without_sympy_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(ImportError, match=r'needs SymPy, which is not installed.*pip install "mlpx\[symbolic\]"'):
        activation_from_formula("x*tanh(x) + 1e-3")


# What is no formula.

HOSTILE = [
    "__import__('os').system('id')", "__import__", "__builtins__", "x.__class__", "x.real", "().__class__", "(x).a",
    "open('/etc/passwd')", "open(x)", "eval(x)", "exec(x)", "compile(x)", "globals()", "getattr(x, x)", "print(x)",
    "lambda: x", "lambda x: x", "(lambda x: x)(x)", "[x for x in x]", "[x]", "{x}", "{x: x}", "(x, x)", "x,", "x[0]",
    "x[::]", "'x'", '"x"', "f'{x}'", "b'x'", "x if x else x", "x and x", "not x", "x or x", "x < 1", "x == x",
    "x in x", "x is x", "x := 1", "(x := 1)", "x = 1", "x; x", "x\\\nx", "import os", "x # y", "x @ x", "x % 2",
    "x // 2", "x ^ 2", "x & x", "x | x", "~x", "x << 2", "*x", "max(*x)", "max(x, key=x)", "sin(x=x)", "sin(**x)",
    "await x", "yield x", "True * x", "None", "False", "...", "1j * x", "0x10 * x", "0b1*x", "1_000*x", "1e999 * x",
    "nan * x", "inf * x", "1e31 * x", "x * 1e20 * 1e20", "9**9**9**9", "x**9**9", "9**9**9 * x", "x**65", "(x**9)**9",
    "((x**4)**5)**6", "2**(3**(4**5))*x", "10**64*x", "x**1e9", "(" * 300 + "x" + ")" * 300, "-" * 400 + "x",
    "sin(" * 60 + "x" + ")" * 60, "x+" * 600 + "x", "+".join(["x*x"] * 60), "", " ", "\x00", "x\x00", "x\r", "\ufeffx",
    "\u0445", "\u217b", "x²", "\u2179", "\u0445*2", "x\uff0b1", "\uff12*x", "\uff45xp(x)", "sin", "x sin(x)", "x(2)",
    "2(x)", "2x", "1if x else 2", "sin()", "sin(x, x)", "max(x)", "max()", "x +", "* x", "((x)", "x)", "alpha * x",
    "sqrt(-1)*x", "log(0)*x", "x/0", "0/0 + x", "(-8)**x", "3", "pi", "x - x", "x/x", "step(x)", "sign(x)", "sin(2)",
    "gamma(x)", "zeta(x)", "diff(x)", "Symbol(x)", "x*nan", "Function(x)", "sympify(x)", "x.subs(x)", "Lambda(x, x)",
    "E", "I*x", "oo*x", "zoo", "y*x", "p*x", "_ + x", "__x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(ValueError, match="`text`") as caught:
        activation_from_formula(text)
    assert len(str(caught.value)) < 500


ATOMS = st.sampled_from(["x", "z", "x", "b", "1", "2", "0.5", "3.7", "pi", "1e3", "0", "y", "1e-9"])
FORMULAS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([*"+-*/,", "**", "//"]), inner).map("({0[0]} {0[1]} {0[2]})".format),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map("{0[0]}({0[1]})".format),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map("{0[0]}({0[1]}, {0[2]})".format),
        inner.map("-{}".format),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=30), st.text(alphabet="x0123456789.eE+-*/(), sincoxp_", max_size=40), FORMULAS))
def test_any_text_is_a_formula_or_a_value_error(text):
    try:
        f = activation_from_formula(text)
    except ValueError:
        return
    z = np.asarray([-2.0, -0.5, 0.0, 0.3, 1.7])
    with np.errstate(all="ignore"):
        assert f(z, np).shape == f.derivative(z, np).shape == z.shape


MP = {
    "sigmoid": lambda u: 1 / (1 + mp.exp(-u)), "softplus": lambda u: mp.log1p(mp.exp(u)), "tanh": mp.tanh,
    "sin": mp.sin, "atan": mp.atan, "erf": mp.erf, "exp": mp.exp, "cosh": mp.cosh, "expm1": mp.expm1,
}  # fmt: skip
SMOOTH = st.recursive(
    st.sampled_from(["x", "x", "b", "1", "2", "0.7"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map("({0[0]} {0[1]} {0[2]})".format),
        st.tuples(st.sampled_from(sorted(MP.keys() - {"exp", "cosh", "expm1"})), inner).map("{0[0]}({0[1]})".format),
        inner.map("exp(-({})**2)".format),
        inner.map("1/(1 + ({})**2)".format),
        inner.map("sqrt(1 + ({})**2)".format),
        inner.map("({})**3".format),
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(SMOOTH)
def test_value_and_derivative_agree_with_high_precision(text):
    try:
        f = activation_from_formula(text + " + x*b", b=0.3)
    except ValueError:  # the sum may be constant
        assume(False)
    for z in (-1.3, 0.4, 2.1):

        def exact(u):
            functions = {**dict.fromkeys(FUNCTIONS.values()), **MP, "sqrt": mp.sqrt}
            return walk(text + " + x*b", Algebra({"x": u, "b": mp.mpf(0.3)}, functions, mp.mpf))

        value, slope = float(exact(mp.mpf(z))), float(mp.diff(exact, mp.mpf(z)))
        at = np.asarray([z])
        assert f(at, np)[0] == pytest.approx(value, rel=1e-10, abs=1e-10)
        assert f.derivative(at, np)[0] == pytest.approx(slope, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"x": 1.0}, ValueError, "not taken, got 'x'"),
        ({"exp": 1.0}, ValueError, "not taken, got 'exp'"),
        ({"pi": 3.0}, ValueError, "not taken, got 'pi'"),
        ({"lambda": 3.0}, ValueError, "not taken"),
        ({"_a": 3.0}, ValueError, "not taken"),
        ({"b": math.nan}, ValueError, "`b` must be"),
        ({"b": 1e31}, ValueError, "`b` must be"),
        ({"b": "2"}, TypeError, "`b` must be a number"),
        ({"c": 2.0}, ValueError, "must occur in the formula"),
        ({f"c{i}": 1.0 for i in range(21)}, ValueError, "at most 20"),
    ],
)
def test_wrong_parameters_are_refused(parameters, error, message):
    text = "b * x" if "b" in parameters else "x * tanh(x)"
    with pytest.raises(error, match=message):
        activation_from_formula(text, **parameters)


# Expressions of SymPy.


def test_an_expression_of_sympy_is_taken_as_its_text():
    x, b = sympy.symbols("x beta")
    f = activation_from_formula(x * sympy.tanh(b * x) + sympy.Max(0, x) / 3 + sympy.Float(0.1) * sympy.Abs(x), beta=2)
    z = np.asarray([-2.0, 0.5])
    np.testing.assert_allclose(f(z, np), z * np.tanh(2 * z) + np.maximum(z, 0) / 3 + 0.1 * np.abs(z), rtol=1e-15)
    check_derivative(f).assert_passed()
    exact = 0.1234567890123456
    assert activation_from_formula(sympy.Float(exact) * x).text == f"{exact}*x"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: sympy.gamma(x), ValueError, "got 'gamma'"),
        (lambda x: sympy.Piecewise((x, x > 0), (0, True)), ValueError, "`text` must hold"),
        (lambda x: sympy.Integral(x, x), ValueError, "Integral"),
        (lambda x: sympy.Symbol("__import__('os')") * x, ValueError, "`text` must hold"),
        (lambda x: sympy.Function("f")(x), ValueError, "got 'f'"),
        (lambda x: sympy.Symbol("t") * x, ValueError, "the name 't'"),
        (lambda x: sympy.I * x, ValueError, "the name 'I'"),
        (lambda x: x > 0, TypeError, "an expression of SymPy"),
        (lambda x: np.tanh, TypeError, "an expression of SymPy"),
        (lambda x: 3.0, TypeError, "an expression of SymPy"),
    ],
)
def test_foreign_expressions_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        activation_from_formula(make(sympy.Symbol("x")))


# Losses.


@pytest.mark.parametrize(
    ("text", "parameters", "known"),
    [
        ("(p - y)**2 / 2", {}, losses.squared_error()),
        ("abs(p - y)", {}, losses.absolute_error()),
        ("max((1 - t)*(p - y), t*(y - p))", {"t": 0.8}, losses.quantile(0.8)),
        ("min(max(p - y, -d), d)*(p - y - min(max(p - y, -d), d)/2)", {"d": 0.5}, losses.huber(0.5)),
    ],
)
def test_losses_equal_the_built_in_ones(text, parameters, known, ops):
    rng = np.random.default_rng(0)
    p, y = (ops.asarray(rng.normal(size=(2, 5, 3))) for _ in range(2))
    loss = loss_from_formula(text, **parameters)
    for got, want in zip(*(which.value_and_gradient(p, y, ops.xp) for which in (loss, known)), strict=True):
        np.testing.assert_allclose(mlpx.to_numpy(got), mlpx.to_numpy(want), rtol=1e-12, atol=1e-12)


def test_a_loss_trains_in_a_stack_and_passes_the_check(backend):
    loss = loss_from_formula("c**2*(sqrt(1 + ((p - y)/c)**2) - 1)", c=0.5)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
    net = mlpx.MLP([3, 5, 2], output="tanh", loss=loss, members=2, backend=backend)
    check_gradients(net, X, y, sample=5).assert_passed()
    history = net.fit(X, y, epochs=4, batch_size=10, progress=False)
    assert np.all(np.asarray(history["loss"][-1]) < np.asarray(history["loss"][0]))


@pytest.mark.parametrize("text", ["y**2", "x - y", "p - p + y", "sum(p)", "p.mean()", "3"])
def test_what_is_no_loss_is_refused(text):
    with pytest.raises(ValueError, match="`text`"):
        loss_from_formula(text)


def test_estimators_take_formulas():
    pytest.importorskip("sklearn")
    from sklearn.base import clone

    from mlpx.sklearn import MLPRegressor

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    f = activation_from_formula("x * sigmoid(beta*x)", beta=1.5)
    model = clone(MLPRegressor(hidden_layer_sizes=(8,), activation=f, solver="lbfgs", random_state=0))
    assert model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.5
    assert clone(model).activation == f


@pytest.mark.parametrize(
    "text",
    [
        "sin(atan(" * 24 + "x" + "))" * 24,  # SymPy's own sin(atan(u)) holds u twice
        "(1 + " * 24 + "x*x" + ")**0.9" * 24,
        "sqrt(2 + sin(" * 12 + "x" + "))" * 12,
        "cosh(log(2 + tanh(" * 8 + "x" + ")))" * 8,
        "(2 + sin(x))**((1.5 + cos(x)**2)**0.5)**0.5",
        "*".join(f"(x + {i})" for i in range(9, 40)),
    ],
)
def test_deep_and_long_formulas_come_to_an_end(text):
    check_derivative(activation_from_formula(text), np.linspace(-0.9, 0.93, 20)).assert_passed()


def test_a_root_of_a_root_of_a_root_is_the_power():
    f = activation_from_formula(
        "((x**0.5)**0.5)**0.5 + ((x**1.5 + 1)**0.5 + 1)**1.5 + (((x**1.5 + 1)**0.5 + 1)**1.5)**x"
    )
    x = np.linspace(0.2, 3.0, 7)
    inner = (np.sqrt(x**1.5 + 1) + 1) ** 1.5
    np.testing.assert_allclose(f(x, np), x**0.125 + inner + inner**x, rtol=1e-12)
    check_derivative(f, x).assert_passed()


def test_a_power_with_a_named_exponent_has_a_derivative_at_0():
    x = np.asarray([-1.0, 0.0, 0.5, 2.0])
    f = activation_from_formula("relu(x)**a", a=2.5)
    np.testing.assert_allclose(f.derivative(x, np), 2.5 * np.maximum(x, 0) ** 1.5, rtol=1e-12)
    np.testing.assert_allclose(activation_from_formula("relu(x)**pi").derivative(x[:2], np), 0.0)
    np.testing.assert_allclose(
        activation_from_formula("x**x").derivative(x[2:], np), x[2:] ** x[2:] * (1 + np.log(x[2:]))
    )


def test_a_parameter_that_no_float_can_hold_is_refused():
    with pytest.raises(ValueError, match="`a` must be"):
        activation_from_formula("a*x", a=10**400)
