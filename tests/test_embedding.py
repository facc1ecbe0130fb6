"""The layer that looks up vectors for codes of categories."""

import json

import numpy as np
import pytest

import mlpx
from mlpx import Adam, AdamW, Dense, Dropout, Embedding, Network, Skip
from mlpx.backends import replay
from mlpx.conversion import to_sklearn, to_torch
from mlpx.differentiation import check_gradients
from mlpx.exceptions import ModelFileError
from mlpx.layers import Layer

RNG = np.random.default_rng(0)
N = 60
X = np.stack([RNG.normal(size=N), RNG.integers(0, 7, N), RNG.normal(size=N), RNG.integers(0, 4, N)], axis=1)
X[:3, 1] = [-1.0, 7.0, 2.5]  # which are no codes
LABELS = RNG.integers(0, 3, N)
STACKED = np.stack([X, X[::-1], X[RNG.permutation(N)]])

pytestmark = pytest.mark.filterwarnings("error")


def layers():
    return [Embedding(4, [(3, 4, 2), (1, 7, 3)]), Dense(7, 6, "tanh"), Dense(6, 3, "softmax")]


def network(**settings):
    return Network(layers(), **{"dtype": "float64", "l2": 0.1, "seed": 5, **settings})


def fitted(x=X, y=LABELS, *, epochs=3, fit=None, **settings):
    net = network(**settings)
    net.fit(x, y, epochs=epochs, batch_size=8, progress=False, **{"optimizer": Adam(0.01), **(fit or {})})
    return net


def vector(net):
    return mlpx.to_numpy(net.vector)


# What it computes.


def test_vectors_follow_what_passes_through_in_the_order_of_the_tables(backend):
    net = network(backend=backend)
    y = mlpx.to_numpy(net.forward(X).layers[0].y)
    first, second = (mlpx.to_numpy(net.parameters[f"0.table{i}"]) for i in range(2))
    np.testing.assert_array_equal(y[:, :2], X[:, [0, 2]])
    np.testing.assert_array_equal(y[:, 2:4], first[X[:, 3].astype(int)])
    np.testing.assert_array_equal(y[3:, 4:], second[X[3:, 1].astype(int)])


@pytest.mark.parametrize("members", [None, 3])
def test_what_is_no_code_gives_zeros_and_moves_no_table(members, backend):
    net = network(backend=backend, l2=0.0, members=members)
    x = np.tile([[0.5, 0.0, -0.5, 1.0]], (6, 1))
    x[:, 1] = [-1.0, -0.5, 0.5, 6.5, 7.0, 1e30]
    trace = net.forward(x)
    assert not mlpx.to_numpy(trace.layers[0].y)[..., 4:].any()
    grads = net.backward(trace, [0, 1, 2, 0, 1, 2])
    assert not mlpx.to_numpy(grads.parameters["0.table1"]).any()
    assert mlpx.to_numpy(grads.parameters["0.table0"]).any()


@pytest.mark.parametrize("code", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_no_codes_either(code, ops):
    layer = Embedding(1, [(0, 3, 2)])
    params = {"table0": ops.asarray(np.ones((3, 2)))}
    y, _ = layer.forward(ops, params, ops.asarray(np.asarray([[code], [1.0]])), training=True, draw=None)
    np.testing.assert_array_equal(mlpx.to_numpy(y), [[0.0, 0.0], [1.0, 1.0]])


def test_against_torch(backend):
    torch = pytest.importorskip("torch")
    net = network(backend=backend, l2=0.0)
    rows = slice(3, None)  # PyTorch has no unknown codes
    trace = net.forward(X[rows])
    grads = net.backward(trace, LABELS[rows])
    tables = [torch.nn.Embedding(*shape, dtype=torch.float64) for shape in ((4, 2), (7, 3))]
    w, b, v, c = (
        torch.tensor(mlpx.to_numpy(p), requires_grad=True)
        for p in (net.weights[0], net.biases[0], net.weights[1], net.biases[1])
    )
    with torch.no_grad():
        for i, table in enumerate(tables):
            table.weight.copy_(torch.tensor(mlpx.to_numpy(net.parameters[f"0.table{i}"])))
    x = torch.tensor(X[rows])
    y = torch.cat([x[:, [0, 2]], tables[0](x[:, 3].long()), tables[1](x[:, 1].long())], dim=1)
    torch.nn.functional.cross_entropy(torch.tanh(y @ w + b) @ v + c, torch.tensor(LABELS[rows])).backward()
    np.testing.assert_array_equal(mlpx.to_numpy(trace.layers[0].y), y.detach().numpy())
    for found, wanted in (
        *((grads.parameters[f"0.table{i}"], table.weight.grad) for i, table in enumerate(tables)),
        (grads.weights[0], w.grad),
    ):
        np.testing.assert_allclose(mlpx.to_numpy(found), wanted.numpy(), rtol=1e-12, atol=1e-15)


def test_it_is_a_layer_without_bias_on_one_hot_inputs():
    net = network()
    table = net.parameters["0.table1"]
    one_hot = (X[:, 1:2] == np.arange(7)).astype(float)
    np.testing.assert_allclose(net.forward(X).layers[0].y[:, 4:], one_hot @ table, rtol=1e-15)


def test_the_gradient_by_the_inputs_passes_by_the_codes(ops):
    layer = layers()[0]
    params = {name: ops.asarray(RNG.normal(size=shape)) for name, shape in layer.shapes().items()}
    _, saved = layer.forward(ops, params, ops.asarray(X), training=True, draw=None)
    dy = RNG.normal(size=(N, 7))
    dx, _ = layer.backward(ops, params, saved, ops.asarray(dy))
    np.testing.assert_array_equal(mlpx.to_numpy(dx)[:, [0, 2]], dy[:, :2])
    assert not mlpx.to_numpy(dx)[:, [1, 3]].any()


@pytest.mark.parametrize("members", [None, 2])
def test_every_gradient_is_the_central_difference_of_the_risk(members, backend):
    report = check_gradients(network(members=members, backend=backend), X, LABELS, sample=5, tolerance=1e-6)
    report.assert_passed()
    assert [block.name for block in report.blocks[:2]] == ["0.Embedding.table0", "0.Embedding.table1"]


@pytest.mark.parametrize(
    "tables", [[(0, 3, 2)], [(2, 3, 2)], [(1, 3, 2), (0, 2, 1)], [(1, 3, 1), (2, 2, 2), (0, 4, 1)]]
)
def test_columns_may_stand_anywhere(tables, ops):
    layer = Embedding(3, tables)
    x = RNG.integers(0, 2, (5, 3)).astype(float)
    values = {name: RNG.normal(size=shape) for name, shape in layer.shapes().items()}
    params = {name: ops.asarray(value) for name, value in values.items()}
    y, saved = layer.forward(ops, params, ops.asarray(x), training=True, draw=None)
    left = [i for i in range(3) if i not in [column for column, _, _ in tables]]
    vectors = [values[f"table{i}"][x[:, column].astype(int)] for i, (column, _, _) in enumerate(tables)]
    wanted = np.concatenate([x[:, left], *vectors], axis=1)
    np.testing.assert_array_equal(mlpx.to_numpy(y), wanted)
    dx, _ = layer.backward(ops, params, saved, y)
    np.testing.assert_array_equal(mlpx.to_numpy(dx), [[v if i in left else 0.0 for i, v in enumerate(r)] for r in x])


# One algorithm: backends, stacks, plans and files.


@pytest.mark.parametrize("members", [None, 2])
def test_training_agrees_with_numpy(members, backend):
    ours, theirs = (fitted(members=members, backend=each) for each in (backend, "numpy"))
    np.testing.assert_allclose(vector(ours), vector(theirs), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("x", "shared_order"), [(X, False), (X, True), (STACKED, False)])
def test_a_stack_is_its_members(x, shared_order, backend):
    fit = {"shared_order": True, "shuffle": False} if shared_order else {}
    stack = fitted(x, members=3, seed=[4, 5, 6], backend=backend, fit=fit)
    for i, seed in enumerate([4, 5, 6]):
        own = x if x.ndim == 2 else x[i]
        alone = fitted(own, seed=seed, backend=backend, fit={"shuffle": not shared_order})
        np.testing.assert_allclose(vector(stack)[i], vector(alone), rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            mlpx.to_numpy(stack.member(i).predict(own)), mlpx.to_numpy(stack.predict(x))[i], rtol=1e-12
        )


@pytest.mark.parametrize("x", [X, STACKED], ids=["shared rows", "rows of each"])
@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_plan_makes_the_step_as_it_stands(library, members, x, monkeypatch):
    pytest.importorskip(library)
    if x.ndim == 3 and members is None:
        pytest.skip("a single network has no rows of each member")
    noted, record = [], replay.record
    monkeypatch.setattr(replay, "record", lambda *arguments: noted.append(record(*arguments)) or noted[-1])
    planned = vector(fitted(x, members=members, backend=library))
    assert noted
    assert all(recording is not None for recording in noted)
    monkeypatch.setattr(type(mlpx.get_backend(library)), "fold", mlpx.Backend.fold)
    np.testing.assert_allclose(vector(fitted(x, members=members, backend=library)), planned, atol=1e-13)


@pytest.mark.parametrize("members", [None, 2])
def test_a_file_brings_it_back(members, tmp_path):
    net = fitted(members=members)
    net.save(tmp_path / "model.mlpx")
    again = mlpx.load(tmp_path / "model.mlpx")
    assert again.layers == net.layers
    np.testing.assert_array_equal(vector(again), vector(net))
    assert {"0.table0", "0.table1"} < set(again.parameters)


@pytest.mark.parametrize(
    "fields",
    [
        {"tables": [[3, 4, 2], [1, 7000, 3]]},
        {"tables": [[3, 4, 2], [1, 10**30, 10**30]]},
        {"tables": [[3, 4, 2], [3, 7, 3]]},
        {"tables": [[3, 4, 2], [1, 7.0, 3]]},
        {"tables": [[3, 4, 2], [1, 7]]},
        {"tables": [[3, 4, 2], 5]},
        {"tables": [[3, 4, 2], "abc"]},
        {"tables": [[3, 4, 2], [1, True, 3]]},
        {"tables": [[3, 4, 2], None]},
        {"tables": "abc"},
        {"tables": {}},
        {"tables": []},
        {"fan_in": 10**30},
        {"fan_in": 2},
        {"initializer": 5},
    ],
    ids=lambda fields: str(fields)[:50],
)
def test_a_file_with_other_tables_is_refused(fields, tmp_path):
    from safetensors.numpy import load_file, save_file

    network().save(tmp_path / "model.mlpx")
    content = (tmp_path / "model.mlpx").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    model = json.loads(header["__metadata__"]["model"])
    model["layers"][0].update(fields)
    metadata = {**header["__metadata__"], "model": json.dumps(model)}
    save_file(load_file(tmp_path / "model.mlpx"), tmp_path / "broken.mlpx", metadata)
    with pytest.raises(ModelFileError):
        mlpx.load(tmp_path / "broken.mlpx")


# What else of a network knows it.


def test_its_tables_are_parameters_and_no_weights():
    net = network()
    assert [w.shape for w in net.weights] == [(7, 6), (6, 3)]
    assert len(net.biases) == 2
    assert {name: p.shape for name, p in net.parameters.items() if "table" in name} == {
        "0.table0": (4, 2),
        "0.table1": (7, 3),
    }
    assert net.sizes == [4, 6, 3]
    assert net.n_parameters == 8 + 21 + 48 + 21
    assert repr(net).startswith("<Network 4 - 7 embedding(4 x 2, 7 x 3) - 6 tanh - 3 softmax;")
    assert Embedding(4, [(i, 5, 2) for i in range(4)]).label == "8 embedding(4 tables)"


def test_a_table_can_be_set():
    net = network()
    net.set_parameters({"0.table0": np.arange(8).reshape(4, 2)})
    np.testing.assert_array_equal(net.forward([[0.0, 1, 0.0, 3]]).layers[0].y[0, 2:4], [6.0, 7.0])


def test_penalty_and_decay_act_on_the_tables():
    x, y = np.tile([[0.0, 1.0, 0.0, 1.0]], (8, 1)), np.zeros(8, dtype=int)
    plain, penalized = (network(l2=l2).backward(network().forward(x), y) for l2 in (0.0, 0.5))
    table = network().parameters["0.table0"]
    np.testing.assert_allclose(penalized.parameters["0.table0"] - plain.parameters["0.table0"], 0.5 * table, rtol=1e-12)
    decayed = network(l2=0.0)
    decayed.fit(x, y, epochs=1, batch_size=8, optimizer=AdamW(0.01, weight_decay=0.5), progress=False)
    np.testing.assert_allclose(decayed.parameters["0.table0"][0], (1 - 0.005) * table[0], rtol=1e-12)


def test_initial_vectors_have_a_mean_square_norm_of_one():
    layer = Embedding(2, [(0, 4000, 16), (1, 4000, 5)])
    net = Network([layer, Dense(layer.fan_out, 1)], dtype="float64")
    for i in range(2):
        table = net.parameters[f"0.table{i}"]
        assert np.mean(np.sum(table**2, axis=1)) == pytest.approx(1.0, rel=0.03)
        assert abs(table.mean()) < 0.01
    first, second = (net.parameters[f"0.table{i}"][:, :5].ravel() for i in range(2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_an_initializer_of_ones_own():
    layer = Embedding(1, [(0, 3000, 4)], initializer=mlpx.initializers.normal(0.01))
    assert np.std(Network([layer, Dense(4, 1)]).parameters["0.table0"]) == pytest.approx(0.01, rel=0.05)
    assert not Network([Embedding(1, [(0, 3, 4)], "zeros"), Dense(4, 1)]).parameters["0.table0"].any()


def test_diagnostics_show_the_layers_with_weights():
    diagnostics = mlpx.Diagnostics(every=1)
    fitted(epochs=1, fit={"callbacks": diagnostics})
    assert diagnostics.layers == ["layers[1] (tanh)", "layers[2] (softmax)"]
    assert np.all(np.isfinite(diagnostics.gradient_norms))


def test_divergence_is_told_of_the_layer_behind():
    net = network()
    with pytest.raises(mlpx.DivergenceError, match=r"epoch 1, step \d+: the .* is not finite"):
        net.fit(X, LABELS, batch_size=8, optimizer=mlpx.SGD(1e200), progress=False)


def test_it_learns_what_only_codes_tell():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 50, 2000)
    y = rng.integers(0, 2, 50)[codes]
    net = Network([Embedding(1, [(0, 50, 4)]), Dense(4, 1, "sigmoid")], seed=1)
    net.fit(codes[:, None], y, epochs=40, batch_size=50, optimizer=Adam(0.03), progress=False)
    assert net.evaluate(codes[:, None], y)["accuracy"] > 0.99


def test_other_models_have_no_such_layer():
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    for convert in (to_torch, to_sklearn):
        with pytest.raises(ValueError, match=r"`net` has Embedding at layers\[0\], but"):
            convert(network())


# Half precision.

MOST = {"float16": 2048, "bfloat16": 256}


@pytest.mark.parametrize(("dtype", "library"), [("float16", "numpy"), ("float16", "torch"), ("bfloat16", "torch"),
                                                ("bfloat16", "jax")])  # fmt: skip
def test_all_codes_that_half_precision_holds_find_their_rows(dtype, library):
    pytest.importorskip(library)
    most = MOST[dtype]
    net = Network([Embedding(1, [(0, most, 1)]), Dense(1, 1)], dtype=dtype, backend=library)
    net.set_parameters({"0.table0": np.arange(most)[:, None]})
    codes = np.arange(most + 8)[:, None]
    y = mlpx.to_numpy(net.forward(codes).layers[0].y).astype(float)
    np.testing.assert_array_equal(y, np.where(codes < most, codes, 0))


@pytest.mark.parametrize(("dtype", "library"), [("float16", "numpy"), ("float16", "torch"), ("bfloat16", "torch"),
                                                ("bfloat16", "jax")])  # fmt: skip
def test_half_precision_trains(dtype, library):
    pytest.importorskip(library)
    half, full = (
        fitted(epochs=30, l2=0.0, backend=library, dtype=each).evaluate(X, LABELS)["loss"]
        for each in (dtype, "float32")
    )
    assert half == pytest.approx(full, rel=0.1)
    assert half < network(l2=0.0).evaluate(X, LABELS)["loss"]


def test_codes_that_a_type_does_not_hold_are_refused(tmp_path):
    def make(categories, dtype, **settings):
        return Network([Embedding(1, [(0, categories, 1)]), Dense(1, 1)], dtype=dtype, **settings)

    rule = r"`tables\[0\]` of Embedding must have at most 2048 categories where `dtype` is 'float16', .* got 2049; "
    with pytest.raises(ValueError, match=rule + 'take dtype="float32"'):
        make(2049, "float16")
    make(2049, "float32").save(tmp_path / "model.mlpx")
    with pytest.raises(ValueError, match=rule):
        mlpx.load(tmp_path / "model.mlpx", dtype="float16")


# What is refused.


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Embedding(0, [(0, 2, 2)]), ValueError, "`fan_in` must be at least 1, got 0"),
        (lambda: Embedding(4, []), ValueError, "`tables` must hold at least one table"),
        (lambda: Embedding(4, 5), TypeError, r"`tables` must be a list of \(column, categories, units\)"),
        (lambda: Embedding(4, (0, 5, 2)), ValueError, r"`tables\[0\]` must be \(column, categories, units\)"),
        (lambda: Embedding(4, [(4, 5, 2)]), ValueError, r"`tables\[0\]\[0\]` must be the position of one of the 4"),
        (lambda: Embedding(4, [(-1, 5, 2)]), ValueError, r"`tables\[0\]\[0\]` must be at least 0, got -1"),
        (lambda: Embedding(4, [(1, 0, 2)]), ValueError, r"`tables\[0\]\[1\]` must be at least 1, got 0"),
        (lambda: Embedding(4, [(1, 2, 0)]), ValueError, r"`tables\[0\]\[2\]` must be at least 1, got 0"),
        (lambda: Embedding(4, [(1, 2.0, 2)]), TypeError, r"`tables\[0\]\[1\]` must be a whole number, got 2.0"),
        (lambda: Embedding(4, [(1, 2, 2), (1, 3, 1)]), ValueError, "name each column once, got the column 1 2 times"),
        (lambda: Embedding(4, [(1, 2, 2)], "nothing"), ValueError, "`initializer` must be one of"),
        (lambda: Network([Dense(4, 4), layers()[0], Dense(7, 1)]), ValueError, r"`layers\[1\]` is an Embedding"),
        (
            lambda: Network([Dropout(0.1), layers()[0], Dense(7, 1)]),
            ValueError,
            r"`layers\[1\]` is an Embedding, which reads codes of the input; it must be the first layer",
        ),
        (
            lambda: Network([Skip(layers()[0], Dense(7, 4)), Dense(4, 1)]),
            ValueError,
            r"`layers\[0\].layers\[0\]` is an Embedding",
        ),
        (lambda: Network([layers()[0], Dense(5, 1)]), ValueError, r"`layers` do not fit: 7 units go into Dense\(5"),
        (lambda: layers()[0].width(3), ValueError, r"`layers` do not fit: 3 units go into Embedding\(4, …\)"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_it_prints_as_it_is_written():
    layer = layers()[0]
    assert repr(layer) == "Embedding(fan_in=4, tables=((3, 4, 2), (1, 7, 3)), initializer='auto')"
    assert Layer.from_config(json.loads(json.dumps(layer.to_config()))) == layer
