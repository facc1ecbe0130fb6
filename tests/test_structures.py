"""Maxout, PReLU, skip connections, sparse connection, alpha dropout and bounded norms."""

import numpy as np
import pytest

import mlpx
from mlpx import Adam, AdamW, AlphaDropout, Dense, Dropout, Maxout, Network, PReLU, RMSProp, Skip
from mlpx.differentiation import check_gradients

RNG = np.random.default_rng(0)
MASK = (RNG.random((5, 6)) < 0.5).astype(int)
X = RNG.normal(size=(40, 5))
LABELS = RNG.integers(0, 3, 40)

STRUCTURES = {
    "maxout": lambda: [Maxout(5, 6, pieces=3), Dense(6, 3, "softmax")],
    "maxout twice": lambda: [Maxout(5, 4), Maxout(4, 4, pieces=4, bias=False), Dense(4, 3, "softmax")],
    "prelu": lambda: [Dense(5, 6), PReLU(6), Dense(6, 3, "softmax")],
    "prelu first": lambda: [PReLU(5), Dense(5, 3, "softmax")],
    "masked": lambda: [Dense(5, 6, "tanh", mask=MASK), Dense(6, 3, "softmax", mask=np.eye(6)[:, :3])],
    "masked, frozen": lambda: [Dense(5, 6, "relu", bias="frozen", mask=MASK), Dense(6, 3, "softmax")],
    "identity": lambda: [Dense(5, 6, "tanh"), Skip(Dense(6, 4, "tanh"), Dense(4, 6)), Dense(6, 3, "softmax")],
    "projection": lambda: [Skip(Dense(5, 7, "swish"), Dense(7, 6), activation="tanh"), Dense(6, 3, "softmax")],
    "nested": lambda: [
        Skip(Dense(5, 6, mask=MASK), Skip(PReLU(6), Maxout(6, 4), projection=Dense(6, 4, bias=True)), Dense(4, 5)),
        Skip(Skip(Dense(5, 5, "tanh"))),
        Dense(5, 3, "softmax"),
    ],
    "norms": lambda: [Dense(5, 6, "tanh", max_norm=0.7), Maxout(6, 4, max_norm=0.5), Dense(4, 3, "softmax")],
    "random": lambda: [
        Dropout(0.2),
        Dense(5, 6, "selu"),
        AlphaDropout(0.3),
        Skip(Dropout(0.4, scale=1.0), Dense(6, 6, "relu"), AlphaDropout(0.1)),
        Dense(6, 3, "softmax"),
    ],
}
pytestmark = pytest.mark.filterwarnings("error")


def network(name, **settings):
    return Network(STRUCTURES[name](), **{"dtype": "float64", "l2": 0.1, "seed": 5, **settings})


def fitted(name, *, optimizer=None, epochs=3, **settings):
    net = network(name, **settings)
    net.fit(X, LABELS, epochs=epochs, batch_size=8, optimizer=optimizer or Adam(0.01), progress=False)
    return net


def vector(net):
    return mlpx.to_numpy(net.vector)


# Gradients.


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("name", STRUCTURES)
def test_every_gradient_is_the_central_difference_of_the_risk(name, members, backend):
    net = network(name, members=members, backend=backend)
    found = net.architecture.connections()
    # away from biases of zero, which lie on kinks
    shift = 0.1 * np.random.default_rng(1).normal(size=vector(net).shape) * (1 if found is None else found)
    moved = vector(net) + shift
    net.set_parameters({s.name: moved[..., s.start : s.stop].reshape(*moved.shape[:-1], *s.shape)
                        for s in net.architecture.segments})  # fmt: skip
    check_gradients(net, X, LABELS, sample=4, tolerance=1e-6, training=True).assert_passed()


# One algorithm: backends, stacks, plans and files.


@pytest.mark.parametrize("name", STRUCTURES)
def test_training_agrees_with_numpy(name, backend):
    np.testing.assert_allclose(vector(fitted(name, backend=backend)), vector(fitted(name)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_stack_is_its_members(name):
    stack = fitted(name, members=3, seed=[4, 5, 6])
    for i, seed in enumerate([4, 5, 6]):
        np.testing.assert_allclose(vector(stack)[i], vector(fitted(name, seed=seed)), rtol=0, atol=1e-12)
    member = stack.member(1)
    np.testing.assert_allclose(member.predict(X), mlpx.to_numpy(stack.predict(X))[1], rtol=1e-13)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_plan_makes_the_step_as_it_stands(name, monkeypatch):
    planned = vector(fitted(name))
    monkeypatch.setattr("mlpx.backends.numpy.NumPyBackend.fold", mlpx.Backend.fold)
    np.testing.assert_allclose(vector(fitted(name)), planned, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("members", [None, 2])
def test_a_file_brings_it_back(name, members, tmp_path):
    net = fitted(name, members=members)
    net.save(tmp_path / "model.mlpx")
    again = mlpx.load(tmp_path / "model.mlpx")
    assert again.layers == net.layers
    np.testing.assert_array_equal(vector(again), vector(net))
    for each in (net, again):  # and it goes on as if nothing had been
        each.fit(X, LABELS, epochs=1, batch_size=8, progress=False)
    np.testing.assert_array_equal(vector(again), vector(net))


@pytest.mark.parametrize("name", STRUCTURES)
def test_half_precision_trains(name):
    net = fitted(name, dtype="float16", epochs=30, l2=0.0)
    assert net.evaluate(X, LABELS)["loss"] < network(name, l2=0.0).evaluate(X, LABELS)["loss"]


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_maxout_in_bfloat16_finds_its_winners(library):
    # JAX may hold a net input and their largest at two precisions, so that equality of the two finds no winner
    pytest.importorskip(library)
    half, full = (
        fitted("maxout", epochs=20, l2=0.0, **settings)
        for settings in ({"dtype": "bfloat16", "backend": library}, {"dtype": "float32"})
    )
    np.testing.assert_allclose(vector(half), vector(full), rtol=0, atol=0.02)


# Maxout.


def test_maxout_by_hand():
    net = Network([Maxout(1, 1, pieces=3), Dense(1, 1, bias=False)], dtype="float64", l2=0.0)
    # |x| and 1: max(x, -x, 1)
    net.set_weights([[[[1.0]], [[-1.0]], [[0.0]]], [[1.0]]], [[[0.0], [0.0], [1.0]], None])
    x = [[-3.0], [0.5], [2.0], [1.0]]
    np.testing.assert_array_equal(net.predict(x)[:, 0], [3.0, 1.0, 2.0, 1.0])
    trace = net.forward(x)
    assert trace.z[0].shape == (3, 4, 1)
    delta = net.backward(trace, [[0.0]] * 4).delta[0]
    # each row's gradient goes to the winner; the tie at 1 to the first piece
    np.testing.assert_array_equal(delta[..., 0] != 0, [[False, False, True, True], [True] + [False] * 3,
                                                       [False, True, False, False]])  # fmt: skip


def test_maxout_of_two_pieces_can_be_relu():
    rng = np.random.default_rng(3)
    relu = Network([Dense(5, 6, "relu"), Dense(6, 2)], dtype="float64")
    w, b = rng.normal(size=(5, 6)), rng.normal(size=6)
    relu.set_weights([w, relu.weights[1]], [b, relu.biases[1]])
    maxout = Network([Maxout(5, 6), Dense(6, 2)], dtype="float64")
    maxout.set_weights([np.stack([w, 0 * w]), relu.weights[1]], [np.stack([b, 0 * b]), relu.biases[1]])
    np.testing.assert_array_equal(maxout.predict(X), relu.predict(X))
    y = rng.normal(size=(40, 2))
    ours, theirs = (net.backward(net.forward(X), y) for net in (maxout, relu))
    np.testing.assert_allclose(ours.weights[0][0], theirs.weights[0], rtol=1e-13)


def test_maxout_against_torch():
    torch = pytest.importorskip("torch")
    net = network("maxout", l2=0.0)
    grads = net.backward(net.forward(X), LABELS)
    w, b = (torch.tensor(np.asarray(p), requires_grad=True) for p in (net.weights[0], net.biases[0]))
    v, c = (torch.tensor(np.asarray(p), requires_grad=True) for p in (net.weights[1], net.biases[1]))
    hidden = (torch.tensor(X) @ w + b[:, None, :]).amax(dim=0)
    torch.nn.functional.cross_entropy(hidden @ v + c, torch.tensor(LABELS)).backward()
    np.testing.assert_allclose(grads.weights[0], w.grad.numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(grads.biases[0], b.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_initial_weights_of_maxout_are_he_normal_for_the_fan_in():
    net = Network([Maxout(300, 50, pieces=5), Dense(50, 2)], dtype="float64")
    w = net.weights[0]
    assert w.shape == (5, 300, 50)
    assert np.var(w) == pytest.approx(2 / 300, rel=0.03)
    assert np.abs(np.corrcoef(w[0].ravel(), w[1].ravel())[0, 1]) < 0.03


# PReLU.


def test_prelu_against_torch():
    torch = pytest.importorskip("torch")
    net = network("prelu", l2=0.0)
    net.set_parameters({"1.gamma": [0.25, -0.5, 1.0, 0.0, 2.0, 0.1]})
    grads = net.backward(net.forward(X), LABELS)
    w, b, gamma, v, c = (
        torch.tensor(np.asarray(p), requires_grad=True)
        for p in (net.weights[0], net.biases[0], net.parameters["1.gamma"], net.weights[1], net.biases[1])
    )
    hidden = torch.nn.functional.prelu(torch.tensor(X) @ w + b, gamma)
    torch.nn.functional.cross_entropy(hidden @ v + c, torch.tensor(LABELS)).backward()
    np.testing.assert_allclose(grads.parameters["1.gamma"], gamma.grad.numpy(), rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(grads.weights[0], w.grad.numpy(), rtol=1e-12, atol=1e-16)


def test_prelu_at_zero_takes_gamma(ops):
    layer = PReLU(2)
    params = {"gamma": ops.asarray(np.asarray([0.25, 3.0]))}
    zero, ones = (ops.asarray(make((1, 2))) for make in (np.zeros, np.ones))
    _, saved = layer.forward(ops, params, zero, training=True, draw=None)
    dx, _ = layer.backward(ops, params, saved, ones)
    np.testing.assert_array_equal(mlpx.to_numpy(dx), [[0.25, 3.0]])


def test_penalty_and_decay_leave_gamma_alone():
    for optimizer, l2 in ((mlpx.SGD(0.1), 0.5), (AdamW(1e-9, weight_decay=0.5), 0.0)):
        net = Network([Dense(5, 6), PReLU(6), Dense(6, 1)], dtype="float64", l2=l2)
        net.set_weights([np.zeros((5, 6)), np.zeros((6, 1))], [np.zeros(6), np.zeros(1)])
        net.fit(X, np.zeros(40), epochs=2, optimizer=optimizer, progress=False)
        np.testing.assert_allclose(net.parameters["1.gamma"], 0.25, rtol=1e-8)


def test_what_stands_before_prelu_starts_as_before_relu():
    before, relu = ([Dense(200, 300), PReLU(300), Dense(300, 2)], [Dense(200, 300, "relu"), Dense(300, 2)])
    np.testing.assert_array_equal(Network(before).weights[0], Network(relu).weights[0])
    np.testing.assert_array_equal(mlpx.MLP([200, 300, 2], activation="prelu").weights[0], Network(relu).weights[0])


def test_what_has_an_activation_of_its_own_starts_as_that_asks():
    before = Network([Dense(200, 300, "tanh"), PReLU(300), Dense(300, 2)])
    np.testing.assert_array_equal(before.weights[0], Network([Dense(200, 300, "tanh"), Dense(300, 2)]).weights[0])


def test_the_names_prelu_and_maxout_in_mlp():
    net = mlpx.MLP([4, 5, 6, 7, 2], activation=["prelu", "maxout", "tanh"], dropout=0.5, input_dropout=0.1, max_norm=2)
    d = Dropout(0.5)
    he = {"max_norm": 2.0}
    assert net.layers == (
        Dropout(0.1), Dense(4, 5, **he), PReLU(5), d, Maxout(5, 6, **he), d, Dense(6, 7, "tanh", **he), d,
        Dense(7, 2, "softmax", **he),
    )  # fmt: skip
    assert net.sizes == [4, 5, 6, 7, 2]


PLAIN = [Dense(5, 6), Dense(6, 3, "softmax")]


@pytest.mark.parametrize(
    "other",
    [
        [Dense(5, 6), PReLU(6), Dense(6, 3, "softmax")],
        [Maxout(5, 6), Dense(6, 3, "softmax")],
        [Dropout(0.1), Dense(5, 6), Dense(6, 3, "softmax")],
        [Skip(Dense(5, 6)), Dense(6, 3, "softmax")],
    ],
)
def test_a_trace_of_other_layers_is_refused(other):
    for ours, theirs in ((PLAIN, other), (other, PLAIN)):
        with pytest.raises(ValueError, match=r"`trace` must come from this network's forward"):
            Network(ours).backward(Network(theirs).forward(X), LABELS)


def test_a_trace_of_other_pieces_or_members_is_refused():
    pieces = [Network([Maxout(5, 6, pieces=k), Dense(6, 3, "softmax")]) for k in (2, 3)]
    members = [Network(PLAIN, members=s) for s in (None, 2)]
    for net, other in (pieces, members):
        with pytest.raises(ValueError, match="it is of other layers, or of another number of members"):
            net.backward(other.forward(X), LABELS)


# Skip connections.


def test_a_skip_adds_what_goes_around():
    net = Network([Skip(Dense(5, 5, "tanh")), Dense(5, 2)], dtype="float64")
    plain = Network([Dense(5, 5, "tanh"), Dense(5, 2)], dtype="float64")
    np.testing.assert_array_equal(net.weights[0], plain.weights[0])
    hidden = net.forward(X).layers[0].y
    np.testing.assert_array_equal(hidden, plain.forward(X).a[1] + X)


def test_a_projection_stands_in_where_widths_differ():
    skip = Skip(Dense(5, 3, "relu"))
    assert skip.projection == Dense(5, 3, bias=False)
    assert Skip(Dense(5, 5)).projection is None
    assert Skip(Dense(5, 5), projection=True).projection == Dense(5, 5, bias=False)
    assert list(Network([skip, Dense(3, 1)]).parameters) == ["0.layers.0.theta", "0.projection.theta", "1.theta"]


def test_a_skip_prints_as_it_is_written():
    skip = Skip(Dense(5, 3), PReLU(3))
    projection = repr(Dense(5, 3, bias=False))
    assert repr(skip) == f"Skip({Dense(5, 3)!r}, {PReLU(3)!r}, projection={projection}, activation=identity())"


def test_a_mask_shows_where_a_layer_is_printed():
    layer = Dense(4, 8, "tanh", mask=np.eye(4, 8))
    assert layer.label == "8 tanh (12.5 % of connections)"
    assert repr(layer).endswith("max_norm=None, mask=<12.5 % of 32 connections>)")
    assert "mask" not in repr(Dense(4, 8))


def test_functions_of_your_own_show_by_their_names(tmp_path):
    def bent(z, xp):
        return z * xp.tanh(z)

    def log_cosh(y_hat, y, xp):
        return xp.sum(xp.log(xp.cosh(y_hat - y)), axis=-1)

    own = mlpx.activations.custom(bent, lambda z, xp: xp.tanh(z))
    net = Network([Dense(2, 3, bent), Dense(3, 4, lambda z, xp: xp.sin(z)), Dense(4, 5, own), Dense(5, 1)],
                  loss=log_cosh)  # fmt: skip
    assert "2 - 3 bent - 4 automatic - 5 bent - 1 identity; loss log_cosh;" in repr(net)
    with pytest.raises(ValueError, match="custom activation cannot be saved, here 'bent'"):
        net.save(tmp_path / "net.mlpx")


def test_blocks_that_are_nested_too_deep_for_a_file_are_refused(tmp_path):
    layer = Dense(2, 2)
    for _ in range(60):
        layer = Skip(layer)
    net = Network([layer, Dense(2, 1)])
    with pytest.raises(ValueError, match="`layers` are nested too deep to be saved"):
        net.save(tmp_path / "model.mlpx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "block",
    [
        lambda f: Skip(Dense(2, 2, f)),
        lambda f: Skip(Skip(Dense(2, 2), activation=f)),
        lambda f: Skip(Dense(2, 2), projection=Dense(2, 2, f)),
    ],
)
def test_custom_activations_within_blocks_cannot_be_saved(block, tmp_path):
    net = Network([block(lambda z, xp: z * z), Dense(2, 1)])
    with pytest.raises(ValueError, match="A network with a custom activation cannot be saved"):
        net.save(tmp_path / "model.mlpx")


def test_names_of_parameters_that_are_no_texts_are_refused():
    with pytest.raises(ValueError, match=r"`parameters` must be a mapping with names from .*; got \[0, 'x'\]"):
        network("maxout").set_parameters({0: 1.0, "x": 2.0})


def test_nested_skips_against_torch():
    torch = pytest.importorskip("torch")
    inner = Skip(Dense(6, 6, "relu"))
    net = Network([Skip(Dense(5, 6), inner, Dense(6, 4), activation="tanh"), Dense(4, 3, "softmax")], dtype="float64")
    grads = net.backward(net.forward(X), LABELS)
    ws = [torch.tensor(np.asarray(w), requires_grad=True) for w in net.weights]
    x = torch.tensor(X)
    h = x @ ws[0]
    h = h + torch.relu(h @ ws[1])
    h = torch.tanh(h @ ws[2] + x @ ws[3])
    torch.nn.functional.cross_entropy(h @ ws[4], torch.tensor(LABELS)).backward()
    for ours, theirs in zip(grads.weights, ws, strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Skip(Dense(5, 3), projection=False), r"`projection` must be .*Dense\(5, 3\).* got False"),
        (lambda: Skip(Dense(5, 3), projection=Dense(5, 4)), r"`projection` must be .*Dense\(5, 3\)"),
        (lambda: Skip(Dense(5, 3), Dense(4, 5)), "`layers` do not fit: 3 units go into Dense"),
        (lambda: Skip(), "`layers` of Skip must hold a layer with units"),
        (lambda: Skip(Dropout(0.5)), "`layers` of Skip must hold a layer with units"),
        (lambda: Network([Dense(4, 6), Skip(Dense(5, 5)), Dense(5, 1)]), "`layers` do not fit: 6 units go into a Skip"),
        (lambda: Network([Skip(Dense(4, 4, "softmax")), Dense(4, 1)]), "`activation` 'softmax' is for the output"),
        (lambda: Network([Dense(4, 3), PReLU(4), Dense(4, 1)]), r"`layers` do not fit: 3 units go into PReLU\(4\)"),
        (lambda: Maxout(4, 3, pieces=0), "`pieces` must be at least 1, got 0"),
        (lambda: Dense(4, 3, max_norm=0), "`max_norm` must be above 0, got 0"),
        (lambda: Dense(2, 3, mask=np.ones((3, 2))), r"`mask` must be .* \(2, 3\) .* got an array of shape \(3, 2\)"),
        (lambda: Dense(2, 1, mask=[[1], [2]]), "`mask` must be of zeros and ones"),
        (lambda: Dense(2, 1, mask=[[1], [2, 3]]), "`mask` must be of zeros and ones"),
        (lambda: Dense(2, 1, mask="01"), "`mask` must be of zeros and ones"),
        (lambda: AlphaDropout(1.0), "`rate` must be"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_backward_pass_without_names_is_refused():
    class Gain(mlpx.Layer, abstract=True):
        def shapes(self):
            return {"gain": (3,)}

        def initialize(self, stream):
            return {"gain": stream.xp.ones((3,))}

        def masks(self, xp):
            return {"gain": (xp.zeros((3,)), xp.ones((3,)))}

        def forward(self, ops, params, x, *, training, draw):
            return x * params["gain"][..., None, :], x

        def backward(self, ops, params, saved, dy, *, need_dx=True, out=None):
            return dy * params["gain"][..., None, :], (ops.xp.sum(dy * saved, axis=-2),)

    net = Network([Dense(2, 3), Gain(), Dense(3, 1)])
    with pytest.raises(TypeError, match=r"`backward` of Gain must return a named tuple .*field 'gain'.*got a tuple"):
        net.fit([[0.0, 1.0]], [[1.0]], epochs=1)


def test_what_is_no_layer_is_refused():
    with pytest.raises(TypeError, match=r"one by one: Skip\(a, b\)"):
        Skip([Dense(2, 2), Dense(2, 2)])
    with pytest.raises(TypeError, match=r"`layers\[1\]` of Skip must be a layer such as Dense\(64, 64\), got 'relu'"):
        Skip(Dense(4, 4), "relu")


def test_divergence_within_a_block_is_found():
    net = Network([Dense(5, 4), Skip(Skip(Dense(4, 4, "exp"))), Dense(4, 1)], dtype="float64")
    with pytest.raises(mlpx.DivergenceError, match=r"activation of layers\[1\]\.layers\[0\]\.layers\[0\] \(Dense\)"):
        net.fit(X * 1e5, LABELS, epochs=1, progress=False)


# Sparse connection.


@pytest.mark.parametrize(
    "optimizer",
    [mlpx.SGD(0.1), mlpx.SGD(0.1, momentum=0.9), mlpx.SGD(0.1, momentum=0.9, nesterov=True), Adam(0.01),
     Adam(0.01, epsilon_hat=True), AdamW(0.01, weight_decay=0.1), RMSProp(0.01), RMSProp(0.01, momentum=0.9)],
    ids=repr,
)  # fmt: skip
def test_a_mask_holds_through_every_optimizer(optimizer, backend):
    net = fitted("masked", optimizer=optimizer, backend=backend, members=2)
    weights = mlpx.to_numpy(net.weights[0])
    assert np.all((weights != 0) == (MASK == 1))
    start = mlpx.to_numpy(network("masked", members=2).weights[0])
    assert np.all(np.abs(weights - start)[:, MASK == 1] > 1e-4)


def test_a_mask_is_the_network_with_these_weights_zero():
    masked = network("masked")
    full = Network([Dense(5, 6, "tanh"), Dense(6, 3, "softmax")], dtype="float64", l2=0.1, seed=5)
    full.set_weights(masked.weights, masked.biases)
    assert np.all(np.asarray(masked.weights[0])[MASK == 0] == 0)
    np.testing.assert_array_equal(masked.predict(X), full.predict(X))
    ours, theirs = (net.backward(net.forward(X), LABELS) for net in (masked, full))
    np.testing.assert_allclose(ours.weights[0], theirs.weights[0] * MASK, rtol=1e-13)


def test_weights_where_a_mask_has_no_connection_are_refused(tmp_path):
    net = network("masked")
    before = vector(net).copy()
    with pytest.raises(ValueError, match="Weights must be 0 where a `mask` has left the connection out"):
        net.set_weights([np.ones((5, 6)), net.weights[1]], net.biases)
    np.testing.assert_array_equal(vector(net), before)


def test_a_file_with_such_weights_is_refused(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    net = network("masked")
    net.save(tmp_path / "model.mlpx")
    with safe_open(tmp_path / "model.mlpx", framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {key: value for key, value in file.metadata().items() if key != "sha256"}
    tensors["layers.0.theta"] = np.ones_like(tensors["layers.0.theta"])
    save_file(tensors, tmp_path / "model.mlpx", metadata)
    with pytest.raises(mlpx.ModelFileError, match="Weights must be 0 where a `mask`"):
        mlpx.load(tmp_path / "model.mlpx")


@pytest.mark.parametrize("mask", [MASK, MASK.astype(bool), MASK.astype("float32"), MASK.tolist()])
def test_a_mask_may_be_of_any_kind(mask):
    assert Dense(5, 6, mask=mask) == Dense(5, 6, mask=MASK)
    assert hash(Dense(5, 6, mask=mask)) == hash(Dense(5, 6, mask=MASK))
    assert Dense(5, 6, mask=mask) != Dense(5, 6)


# Bounded norms.


def column_norms(w):
    return np.sqrt(np.sum(np.asarray(w) ** 2, axis=-2))


def test_norms_stay_bounded_and_biases_free(backend):
    net = fitted("norms", optimizer=mlpx.SGD(3.0), backend=backend, members=2)
    for weights, bound in zip(net.weights, (0.7, 0.5), strict=False):
        norms = column_norms(mlpx.to_numpy(weights))
        assert np.max(norms) <= bound * (1 + 1e-12)
        assert np.max(norms) > bound * (1 - 1e-9)
    assert np.max(column_norms(mlpx.to_numpy(net.weights[2]))) > 1
    assert np.max(np.abs(mlpx.to_numpy(net.biases[0]))) > 0.7


def test_a_step_with_a_bound_is_the_step_and_then_the_bound():
    def one_step(**bound):
        net = Network([Dense(5, 6, "tanh", **bound), Dense(6, 3, "softmax")], dtype="float64")
        net.fit(X, LABELS, epochs=1, batch_size=40, optimizer=mlpx.SGD(2.0), progress=False)
        return net

    free = one_step()
    w = np.asarray(free.weights[0])
    norms = column_norms(w)
    bound = float(np.median(norms))  # half of the units are over it
    bounded = one_step(max_norm=bound)
    np.testing.assert_allclose(bounded.weights[0], w * np.minimum(1, bound / norms), rtol=1e-14)
    np.testing.assert_array_equal(bounded.biases[0], free.biases[0])
    np.testing.assert_array_equal(bounded.weights[1], free.weights[1])


# Alpha dropout.


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_alpha_dropout_keeps_mean_and_variance(rate):
    x = np.random.default_rng(0).normal(size=(20000, 20))
    net = Network([AlphaDropout(rate), Dense(20, 1)], dtype="float64")
    x_after = net.forward(x, training=True).layers[1].x
    assert np.mean(x_after) == pytest.approx(0, abs=0.01)
    assert np.var(x_after) == pytest.approx(1, abs=0.02)
    kept = net.forward(x, training=True).layers[0].mask != 0
    assert np.mean(kept) == pytest.approx(1 - rate, abs=0.005)
    lowest = -1.0507009873554805 * 1.6732632423543772
    q = 1 - round(65536 * rate) / 65536
    a = (q + lowest**2 * q * (1 - q)) ** -0.5
    b = -a * (1 - q) * lowest
    np.testing.assert_allclose(x_after, a * np.where(kept, x, lowest) + b, rtol=1e-12, atol=1e-14)


def test_alpha_dropout_predicts_without():
    net = network("random")
    trace = net.forward(X)
    np.testing.assert_array_equal(trace.layers[3].layers[2].mask is None, True)
    np.testing.assert_array_equal(trace.layers[1].y, trace.layers[3].layers[1].x)


def test_each_member_has_its_own_rate_of_alpha_dropout():
    stack = Network([Dense(5, 6), AlphaDropout([0.0, 0.5]), Dense(6, 1)], members=2, dtype="float64", seed=[1, 1])
    np.testing.assert_array_equal(stack.weights[0][0], stack.weights[0][1])
    x = stack.forward(X, training=True).layers[2].x
    np.testing.assert_allclose(x[0], stack.forward(X).layers[2].x[0], rtol=1e-13)
    alone = stack.member(1)
    np.testing.assert_array_equal(alone.forward(X, training=True).layers[2].x, x[1])


def test_layers_within_blocks_draw_their_own_numbers():
    net = Network([Dropout(0.5), Skip(Dropout(0.5), Dropout(0.5), Dense(5, 5)), Dropout(0.5), Dense(5, 1)])
    trace = net.forward(np.ones((200, 5)), training=True)
    masks = [trace.layers[0], *trace.layers[1].layers[:2], trace.layers[2]]
    flat = np.asarray([mask.mask.ravel() for mask in masks])
    assert np.max(np.abs(np.corrcoef(flat) - np.eye(4))) < 0.15
