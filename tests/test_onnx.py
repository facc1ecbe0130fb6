"""Networks as ONNX graphs: onnxruntime predicts what mlpx predicts, for every layer, activation and kind of column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import mlpx
from exported import ACTIVATIONS, FUNCTIONS, OUTPUTS, EveryKind, custom, networks
from mlpx import AlphaDropout, Dense, Dropout, Maxout, Network, PReLU, Skip, activations
from mlpx.conversion import to_onnx

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

TOLERANCE = 1e-5


def run(net, feeds):
    session = runtime.InferenceSession(to_onnx(net).SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feeds), strict=True))


def assert_same(net, X):
    found = run(net, {"X": X.astype(net.master_dtype_name)})
    expected = net.predict(X)
    assert found["y"].dtype == net.master_dtype_name
    assert_allclose(found["y"], expected, rtol=TOLERANCE, atol=TOLERANCE)
    if "label" in found:
        assert_array_equal(found["label"], net.predict_labels(X))
    return found


def rows(net, count=40, seed=0):
    return np.random.default_rng(seed).normal(size=(count, net.sizes[0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.label)
def test_every_activation_over_its_range(activation, dtype):
    net = Network([Dense(1, 1, activation, bias=False), Dense(1, 1, bias=False)], dtype=dtype)
    net.set_weights([[[1.0]], [[1.0]]], [None, None])
    z = np.concatenate([np.linspace(-30, 30, 2401), [0.0, 1e-9, -1e-9, 1e-3, -1e-3]])[:, None]
    assert_same(net, z)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("units", [1, 3])
def test_every_output(output, units):
    if output == "softmax" and units == 1:
        pytest.skip("a softmax has at least two units")
    net = mlpx.MLP([3, 5, units], output=output)
    found = assert_same(net, rows(net))
    assert ("label" in found) == (output in ("softmax", "sigmoid", "step"))


LAYERS = {
    "masked": [Dense(4, 6, "tanh", mask=np.arange(24).reshape(4, 6) % 2)],
    "no bias": [Dense(4, 6, "relu", bias=False)],
    "maxout": [Maxout(4, 6, pieces=3), Maxout(6, 6, bias=False)],
    "prelu": [Dense(4, 6), PReLU(6, gamma=-0.3)],
    "dropout": [Dropout(0.5), Dense(4, 6, "selu"), AlphaDropout(0.3)],
    "skip": [Dense(4, 6), Skip(Dense(6, 6, "tanh"), activation="relu")],
    "projection": [Skip(Dense(4, 5, "tanh"), Dense(5, 6), projection=Dense(4, 6, "gelu"))],
    "nested": [Skip(Dense(4, 5), Skip(Maxout(5, 3), Dense(3, 5)), PReLU(5), Dense(5, 6), activation="mish")],
    "embedding": [mlpx.Embedding(4, [(1, 3, 2), (3, 5, 3)]), Dense(7, 6, "tanh")],
}


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, members):
    net = Network([*LAYERS[name], Dense(6, 3, "softmax")], members=members, seed=3)
    X = rows(net)
    X[:, 1::2] = np.random.default_rng(1).integers(-1, 6, size=(len(X), 2))  # codes, some of which are none
    assert assert_same(net, X)["y"].shape == (*([] if members is None else [members]), len(X), 3)


@given(networks(), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_random_networks(net, count):
    assert_same(net, rows(net, count, seed=count))


@pytest.mark.parametrize(("dtype", "backend"), [("float16", "numpy"), ("bfloat16", "torch")])
def test_half_precision_becomes_float32(dtype, backend):
    pytest.importorskip(backend)
    half = mlpx.MLP([3, 5, 2], dtype=dtype, backend=backend)
    single = mlpx.MLP([3, 5, 2])
    single.set_parameters(half.parameters)
    X = rows(half).astype("float32")
    assert_allclose(run(half, {"X": X})["y"], single.predict(X), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("output", "labels"),
    [(output, labels) for output in ("softmax", "sigmoid") for labels in (["no", "yes"], [False, True])]
    + [("softmax", [0.5, 2.5]), ("sigmoid", [3, 7])],
)
def test_labels_are_those_that_fit_saw(output, labels):
    net = mlpx.MLP([2, 4, 2 if output == "softmax" else 1], output=output)
    X = rows(net)
    net.fit(X, [labels[int(x > 0)] for x in X[:, 0]], epochs=2)
    assert net.classes is not None
    assert_same(net, X)


def test_functions_of_ones_own_are_exported():
    net = Network([Dense(2, 4, lambda z, xp: xp.where(z > 1, xp.sin(z), z / (1 + xp.abs(z)))), Dense(4, 1)])
    assert_same(net, rows(net))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_of_the_namespace(name, dtype):
    function = FUNCTIONS[name]
    within = custom(lambda z, xp: xp.astype(function(0.7 / (1 + xp.exp(-z)) + 0.1, xp), z.dtype))  # from 0.1 to 0.8
    net = Network([Dense(2, 4, within), Dense(4, 1)], dtype=dtype)
    assert_same(net, rows(net))


@pytest.mark.parametrize(
    ("function", "slope", "reason"),
    [
        (lambda z, xp: np.sin(np.asarray(z)), lambda z, xp: np.cos(z), "`net` has the function 'custom'"),
        (lambda z, xp: z if z.sum() > 0 else -z, lambda z, xp: z, "cannot be exported"),
        (lambda z, xp: xp.flip(z, axis=-1), lambda z, xp: z, "calls xp.flip"),
        (lambda z, xp: z - xp.mean(z), lambda z, xp: z, "over all rows"),
        (lambda z, xp: xp.where(z > 0, z, 0.0) if z else z, lambda z, xp: z, "truth value"),
        (lambda z, xp: z[:1] + z, lambda z, xp: z, "picks single rows"),
    ],
)
def test_functions_that_are_more_than_a_formula_are_refused(function, slope, reason):
    net = Network([Dense(2, 4, activations.custom(function, slope)), Dense(4, 1)])
    with pytest.raises(ValueError, match=reason):
        to_onnx(net)


def test_the_file_is_the_model(tmp_path):
    net = mlpx.MLP([2, 3, 1], output="linear")
    model = net.to_onnx(tmp_path / "net.onnx")
    assert onnx.load(tmp_path / "net.onnx") == model
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13), ("ai.onnx.ml", 2)]
    assert {constant.name for constant in model.graph.initializer} == {"0.weights", "0.bias", "1.weights", "1.bias"}


def test_something_else_is_refused():
    with pytest.raises(TypeError, match=r"`net` must be an mlpx\.Network"):
        to_onnx("net")


# With columns.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("target", ["class", "number"])
def test_columns_are_part_of_the_graph(target, members, dtype):
    pytest.importorskip("pandas")
    case = EveryKind(target, members=members, dtype=dtype)
    found = run(case.net, case.feeds())
    expected = case.outputs()
    if target == "number":
        assert list(found) == ["prediction"]
        assert_allclose(found["prediction"], expected, rtol=TOLERANCE)
        return
    assert list(found) == ["label", "probabilities"]
    assert_allclose(found["probabilities"], expected, atol=TOLERANCE)
    assert_array_equal(found["label"], np.asarray(case.net.classes)[expected.argmax(axis=-1)])


def test_the_inputs_are_the_columns():
    pytest.importorskip("pandas")
    case = EveryKind("class")
    types = {given.name: given.type.tensor_type.elem_type for given in to_onnx(case.net).graph.input}
    text, double = onnx.TensorProto.STRING, onnx.TensorProto.DOUBLE
    assert types == {"size": double, "gaps": double, "kind": text, "code": text, "flag": text, "when": double}


def test_names_of_columns_do_not_collide_with_others():
    pd = pytest.importorskip("pandas")
    names = ["label", "prepared", "constant_0", "Cast_1", "LabelEncoder_0", "0.weights", "classes", "probabilities_"]
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.normal(size=60) for name in names} | {"probabilities": rng.choice(list("ab"), 60)})
    table["y"] = rng.choice(["a", "b"], 60)
    model = mlpx.TabularModel(epochs=1, progress=False).fit(table, "y")
    feeds = {name: table[[name]].to_numpy() for name in [*names, "probabilities"]}
    found = run(model.network, feeds)
    assert list(found) == ["label_", "probabilities__"]
    assert_allclose(found["probabilities__"], model.predict_proba(table), atol=TOLERANCE)


def test_a_column_without_a_name_is_refused():
    pytest.importorskip("pandas")
    model = mlpx.TabularModel(epochs=1, progress=False).fit({"": range(30), "y": np.arange(30) / 7}, "y")
    with pytest.raises(ValueError, match="a column whose name is empty"):
        to_onnx(model.network)


def test_huge_numbers_are_clipped():
    pytest.importorskip("pandas")
    case = EveryKind("class")
    case.test["gaps"] = np.resize([1e308, -1e308, 1e200, np.nan], len(case.test))
    assert_allclose(run(case.net, case.feeds())["probabilities"], case.outputs(), atol=TOLERANCE)
