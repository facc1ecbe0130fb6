"""Back-propagation against central differences of the reported loss, and against PyTorch's automatic derivatives.

The full product of activations, outputs with their losses, stack or none and sample weights runs on NumPy; the other
backends run a subset in which every activation and every pair occurs.
"""

from functools import partial

import numpy as np
import pytest

import mlpx
from elementwise import NAMES
from mlpx import AlphaDropout, Dense, Dropout, Embedding, Maxout, Network, PReLU, Skip, activations, losses
from mlpx.backends import trees
from mlpx.backends.host import Key, StepKeys
from mlpx.differentiation import check_gradients
from mlpx.layers import Layer
from mlpx.layers.base import at, nested

VARIANTS = {
    "leaky_relu(0.3)": activations.leaky_relu(0.3),
    "elu(0.4)": activations.elu(0.4),
    "swish(1.7)": activations.swish(1.7),
    "gelu(tanh)": activations.gelu("tanh"),
    "gelu(logistic)": activations.gelu("logistic"),
    "custom": activations.custom(lambda z, xp: xp.sin(z) + z, lambda z, xp: xp.cos(z) + 1),
}
FREE = {
    "squared_error": losses.squared_error(),
    "mean_squared_error": losses.mean_squared_error(),
    "absolute_error": losses.absolute_error(),
    "huber(0.5)": losses.huber(0.5),
    "quantile(0.8)": losses.quantile(0.8),
}
OWN = [("softmax", losses.cross_entropy()), ("logistic", losses.binary_cross_entropy()), ("exp", losses.poisson()),
       ("step", losses.perceptron())]  # fmt: skip
PAIRS = [(output, loss) for output in [*NAMES, "softmax", *VARIANTS] for loss in FREE.values()] + OWN
KINKS = {
    "step": [0],
    "hard_logistic": [-2, 2],
    "hard_tanh": [-1, 1],
    "relu": [0],
    "leaky_relu": [0],
    "elu": [0],
    "selu": [0],
}
RESIDUALS = {"absolute_error": [0], "huber": [-0.5, 0.5], "quantile": [0]}
MARGIN, H = 1e-3, 1e-5
SIZES, ROWS, STACK = (2, 4, 3, 2), 6, 2


def network(hidden, output, loss, members, backend, **options):
    hidden, output = VARIANTS.get(hidden, hidden), VARIANTS.get(output, output)
    return mlpx.MLP(SIZES, activation=hidden, output=output, loss=loss, members=members,
                    dtype="float64", backend=backend, initializer="zeros", **options)  # fmt: skip


def shapes(net):
    return [w.shape[-2:] for w in net.weights], [None if b is None else b.shape[-1:] for b in net.biases]


def fill(net, vector):
    """Set the weights and biases of all layers from vectors of shape (..., P)."""
    parts, start = ([], []), 0
    for w, b in zip(*shapes(net), strict=True):
        for kind, shape in enumerate((w, b)):
            stop = start + (0 if shape is None else int(np.prod(shape)))
            block = vector[..., start:stop]
            parts[kind].append(None if shape is None else block.reshape(*vector.shape[:-1], *shape))
            start = stop
    net.set_weights(*parts)


def flat(weights, biases, stack):
    """Return arrays by layer as vectors of shape (..., P), and as a list of blocks."""
    blocks = [mlpx.to_numpy(x) for pair in zip(weights, biases, strict=True) for x in pair if x is not None]
    return [block.reshape(*stack, -1) for block in blocks]


def targets(output, loss, shape, rng):
    if loss.name in ("cross_entropy", "binary_cross_entropy"):
        y = rng.uniform(0.1, 0.9, size=shape)
        return y / y.sum(-1, keepdims=True) if loss.name == "cross_entropy" else y
    if loss.name == "perceptron":
        return rng.integers(0, 2, size=shape).astype(float)
    return rng.poisson(2, size=shape).astype(float) if loss.name == "poisson" else rng.normal(size=shape) * 1.5


def clear(values, kinks):
    return all(np.min(np.abs(mlpx.to_numpy(values) - kink)) > MARGIN for kink in kinks)


def problem(net, stack):
    """Set weights and return features and targets at which nothing lies near a kink."""
    output, loss = net.architecture.output.activation, net.loss
    used = [layer.activation.name for layer in net.layers if isinstance(layer, Dense)]
    size = 0.2 if "exp" in used else 0.6  # of an exponential of an exponential nothing can be said by differences
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        fill(net, rng.normal(size=(*stack, net.n_parameters)) * size)
        X = rng.normal(size=(*stack, ROWS, SIZES[0]))
        y = targets(output, loss, (*stack, ROWS, SIZES[-1]), rng)
        trace = net.forward(X)
        smooth = all(clear(z, KINKS.get(name, [])) for z, name in zip(trace.z, used, strict=True))
        if smooth and clear(mlpx.to_numpy(trace.a[-1]) - y, RESIDUALS.get(loss.name, [])):
            return X, y
    raise AssertionError


def central_differences(net, vector, problem):
    """Return a function of sample weights that gives the derivative of `grads.loss` by each parameter.

    `net(members, l2)` builds a stack: it holds one network for each parameter and side, with that parameter changed.
    """
    X, y, l2 = problem
    members, size = vector.shape
    steps = H * np.concatenate([np.eye(size), -np.eye(size)])
    changed = net(2 * members * size, np.repeat(l2, 2 * size))
    fill(changed, (vector[:, None, :] + steps).reshape(-1, size))
    trace = changed.forward(np.repeat(X, 2 * size, axis=0))

    def derivative(weight):
        weight = None if weight is None else np.repeat(weight, 2 * size, axis=0)
        loss = mlpx.to_numpy(changed.backward(trace, np.repeat(y, 2 * size, axis=0), weight).loss)
        up, down = np.split(loss.reshape(members, 2 * size), 2, axis=-1)
        return (up - down) / (2 * H)

    return derivative


def vector_of(net):
    return np.concatenate(flat(net.weights, net.biases, () if net.members is None else (net.members,)), axis=-1)


def assert_blocks_agree(grads, expected, stack, tolerance, what):
    start = 0
    for got in flat(grads.weights, grads.biases, stack):
        want = expected[..., start : start + got.shape[-1]]
        start += got.shape[-1]
        error = np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-3)  # a block may be all zero
        assert error <= tolerance, f"{what}: relative error {error:.2e}"
    assert start == expected.shape[-1]


def torch_activation(name):
    import torch
    from torch.nn import functional as nn

    return {
        "identity": lambda z: z,
        "logistic": torch.sigmoid,
        "tanh": torch.tanh,
        "hard_logistic": lambda z: torch.clamp(z / 4 + 0.5, 0, 1),
        "hard_tanh": nn.hardtanh,
        "relu": torch.relu,
        "leaky_relu": nn.leaky_relu,
        "leaky_relu(0.3)": lambda z: nn.leaky_relu(z, 0.3),
        "elu": nn.elu,
        "elu(0.4)": lambda z: nn.elu(z, 0.4),
        "selu": nn.selu,
        "softplus": lambda z: torch.log(1 + torch.exp(z)),  # PyTorch's own is a line from 20 on
        "swish": nn.silu,
        "swish(1.7)": lambda z: z * torch.sigmoid(1.7 * z),
        "gelu": nn.gelu,
        "gelu(tanh)": lambda z: nn.gelu(z, approximate="tanh"),
        "gelu(logistic)": lambda z: z * torch.sigmoid(1.702 * z),
        "mish": nn.mish,
        "exp": torch.exp,
        "softmax": lambda z: torch.softmax(z, -1),
        "custom": lambda z: torch.sin(z) + z,
        "step": lambda z: z,  # its loss is written from z
    }[name]


def torch_loss(loss, y_hat, y):
    import torch
    from torch.nn import functional as nn

    r = y_hat - y
    return {
        "squared_error": lambda: 0.5 * r**2,
        "mean_squared_error": lambda: r**2 / r.shape[-1],
        "absolute_error": lambda: torch.abs(r),
        "huber": lambda: nn.huber_loss(y_hat, y, reduction="none", delta=0.5),
        "quantile": lambda: torch.maximum(-0.8 * r, 0.2 * r),
        "cross_entropy": lambda: -y * torch.log(y_hat),
        "binary_cross_entropy": lambda: nn.binary_cross_entropy(y_hat, y, reduction="none"),
        "perceptron": lambda: nn.relu(y_hat) - y * y_hat,
        "poisson": lambda: y_hat - y * torch.log(y_hat) + torch.xlogy(y, y) - y,
    }[loss.name]().sum(-1)


def by_autograd(net, hidden, output, X, y, weight, l2):
    """Return the risk and its gradient as vectors of shape (..., P) by PyTorch, from the formulas alone."""
    import torch

    def leaf(x):
        return torch.tensor(mlpx.to_numpy(x), dtype=torch.float64, requires_grad=True)

    with torch.enable_grad():
        weights, biases = [leaf(w) for w in net.weights], [leaf(b) for b in net.biases]
        a = torch.tensor(X)
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            a = torch_activation(hidden if i < 2 else output)(a @ w + b[..., None, :])
        w = torch.ones(ROWS, dtype=torch.float64) if weight is None else torch.tensor(weight)
        risk = torch.sum(w * torch_loss(net.loss, a, torch.tensor(y)), -1) / torch.sum(w, -1)
        risk = risk + sum(torch.tensor(l2, dtype=torch.float64) / 2 * torch.sum(w**2, (-2, -1)) for w in weights)
        risk.sum().backward()
    blocks = flat([w.grad for w in weights], [b.grad for b in biases], X.shape[:-2])
    return risk.detach().numpy(), np.concatenate(blocks, axis=-1)


def check(hidden, output, loss, backend):
    """Compare a stack, with and without sample weights, and its first member as a network of its own."""
    pytest.importorskip("torch")

    def build(members, l2, backend=backend):
        return network(hidden, output, loss, members, backend, l2=l2)

    l2 = [0.3, 0.02]
    stack, single = build(STACK, l2), build(None, l2[0])
    X, y = problem(stack, (STACK,))
    vector = vector_of(stack)
    fill(single, vector[0])
    # differences of NumPy's loss serve all: that losses are equal is asserted below
    numerical = central_differences(partial(build, backend="numpy"), vector, (X, y, l2))
    for weight in (None, np.random.default_rng(1).uniform(0, 3, size=(STACK, ROWS)) * ([1] * (ROWS - 1) + [0])):
        what = f"{hidden} hidden, {output} with {loss}, weights {weight is not None}"
        grads = stack.backward(stack.forward(X), y, weight)
        alone = single.backward(single.forward(X[0]), y[0], None if weight is None else weight[0])
        risk, automatic = by_autograd(stack, hidden, output, X, y, weight, l2)
        np.testing.assert_allclose(mlpx.to_numpy(grads.loss), risk, rtol=1e-12)
        np.testing.assert_allclose(mlpx.to_numpy(alone.loss), risk[0], rtol=1e-12)
        for expected, tolerance in ((numerical(weight), 1e-6), (automatic, 1e-10)):
            assert_blocks_agree(grads, expected, (STACK,), tolerance, what)
            assert_blocks_agree(alone, expected[0], (), tolerance, what)


@pytest.mark.parametrize("number", range(len(PAIRS)), ids=[f"{output}-{loss}" for output, loss in PAIRS])
def test_gradients_agree_with_differences_and_autograd(number, backend):
    output, loss = PAIRS[number]
    if output in VARIANTS:
        several = [output]
    elif backend.name == "numpy":
        several = NAMES
    else:
        several = [NAMES[number % len(NAMES)]]
    for hidden in several:
        check(hidden, output, loss, backend)


# Structure: layers without bias, dropout, penalty.


def small(layers, backend, **options):
    """Return a network with random parameters, features and targets."""
    net = Network(layers, dtype="float64", backend=backend, **options)
    rng = np.random.default_rng(4)
    stack = () if net.members is None else (net.members,)
    fill(net, rng.normal(size=(*stack, net.n_parameters)))
    return net, rng.normal(size=(8, 2)), rng.normal(size=(8, 2))


@pytest.mark.parametrize("bias", [False, "frozen", True])
def test_gradients_of_layers_without_bias_and_with_a_frozen_one_are_true(bias, backend):
    net, X, y = small([Dense(2, 3, "tanh", bias=bias), Dense(3, 2, bias=bias)], backend, l2=0.2)
    grads = net.backward(net.forward(X), y)
    assert [b is None for b in grads.biases] == [b is None for b in net.biases] == [bias is False] * 2
    check_gradients(net, X, y, sample=None, tolerance=1e-6).assert_passed()


@pytest.mark.parametrize("scale", [None, 0.8])
def test_gradients_with_dropout_are_those_of_the_thinned_network(scale, backend):
    layers = [Dropout(0.3), Dense(2, 6, "tanh"), Dropout(0.5, scale), Dense(6, 3, "relu"), Dropout(0.2), Dense(3, 2)]
    net, X, y = small(layers, backend, l2=0.2)
    trace = net.forward(X, training=True)
    masks = [mlpx.to_numpy(trace.layers[i].mask) for i in (0, 2, 4)]
    assert all(0 < np.mean(mask == 0) < 1 for mask in masks)
    grads = net.backward(trace, y)
    check_gradients(net, X, y, sample=None, tolerance=1e-6, training=True).assert_passed()
    unmasked = net.backward(net.forward(X), y)
    assert abs(float(grads.loss) - float(unmasked.loss)) > 1e-3


def test_the_reported_loss_is_the_mean_over_samples_of_the_sum_over_outputs(backend):
    net, X, y = small([Dense(2, 3, "tanh"), Dense(3, 2)], backend)
    trace = net.forward(X)
    r = mlpx.to_numpy(trace.a[-1]) - y
    grads = net.backward(trace, y)
    assert float(grads.loss) == pytest.approx(np.mean(np.sum(r * r / 2, axis=1)), rel=1e-14)
    np.testing.assert_allclose(mlpx.to_numpy(grads.delta[-1]), r / len(r), rtol=1e-14)
    weight = np.asarray([3.0, 0, 1, 2, 0, 0, 1, 1])
    weighted = net.backward(trace, y, weight)
    assert float(weighted.loss) == pytest.approx(np.average(np.sum(r * r / 2, axis=1), weights=weight), rel=1e-14)
    np.testing.assert_allclose(mlpx.to_numpy(weighted.delta[-1]), r * (weight / 8)[:, None], rtol=1e-14)


def test_the_penalty_acts_on_weights_alone_and_does_not_depend_on_the_batch_size(backend):
    layers = [Dense(2, 3, "tanh"), Dense(3, 2)]
    plain, X, y = small(layers, backend)
    penalized, _, _ = small(layers, backend, l2=0.7)
    size = sum(np.sum(mlpx.to_numpy(w) ** 2) for w in plain.weights)
    for n in (1, 3, 8):
        without, having = (net.backward(net.forward(X[:n]), y[:n]) for net in (plain, penalized))
        assert float(having.loss) - float(having.data_loss) == pytest.approx(0.35 * size, rel=1e-12)
        assert float(having.data_loss) == float(without.loss) == float(without.data_loss)
        for i, w in enumerate(plain.weights):
            added = mlpx.to_numpy(having.weights[i]) - mlpx.to_numpy(without.weights[i])
            np.testing.assert_allclose(added, 0.7 * mlpx.to_numpy(w), rtol=1e-12)
            np.testing.assert_array_equal(mlpx.to_numpy(having.biases[i]), mlpx.to_numpy(without.biases[i]))
            np.testing.assert_array_equal(mlpx.to_numpy(having.delta[i]), mlpx.to_numpy(without.delta[i]))


@pytest.mark.parametrize("batch_size", [1, 4, 8])
def test_a_step_of_fit_decays_weights_by_alpha_lambda_whatever_the_batch_size(batch_size, backend):
    layers = [Dense(2, 3, "tanh"), Dense(3, 2)]
    steps = []
    for l2 in (0.0, 0.5):
        net, X, y = small(layers, backend, l2=l2)
        net.fit(
            X[:batch_size], y[:batch_size], epochs=1, batch_size=batch_size, optimizer=mlpx.SGD(0.1), progress=False
        )
        steps.append(vector_of(net))
    before = vector_of(small(layers, backend)[0])
    is_weight = np.concatenate([np.ones(6), np.zeros(3), np.ones(6), np.zeros(2)])
    np.testing.assert_allclose(steps[1], steps[0] - 0.1 * 0.5 * is_weight * before, rtol=1e-12, atol=1e-15)


def test_each_member_has_its_own_penalty(backend):
    l2 = [0.0, 0.3, 2.0]
    net, X, y = small([Dense(2, 3, "tanh"), Dense(3, 2)], backend, members=3, l2=l2)
    grads = net.backward(net.forward(X), y)
    for i, own in enumerate(l2):
        member = net.member(i)
        assert member.l2 == own
        alone = member.backward(member.forward(X), y)
        assert float(mlpx.to_numpy(grads.loss)[i]) == pytest.approx(float(alone.loss), rel=1e-13)
        for stacked, single in zip(grads.weights, alone.weights, strict=True):
            np.testing.assert_allclose(mlpx.to_numpy(stacked)[i], mlpx.to_numpy(single), rtol=1e-12, atol=1e-15)


# The invariant of layers.

LAYERS = [
    Dense(3, 4, "tanh"),
    Dense(3, 4, "softplus", bias=False),
    Dense(3, 4, "relu", bias="frozen"),
    Dropout(0.4),
    AlphaDropout(0.4),
    Embedding(3, [(2, 5, 2), (0, 4, 3)]),
    Maxout(3, 4, pieces=3),
    PReLU(3),
    Skip(Dense(3, 2, "tanh"), Dropout(0.5), Skip(PReLU(2), Dense(2, 5)), Dense(5, 4), activation="relu"),
    Skip(Dense(3, 3, "tanh")),
]


def test_the_list_of_layers_below_is_complete():
    assert {type(layer) for layer in LAYERS} == {
        known for known in Layer.known.values() if known.__module__.startswith("mlpx.layers.")
    }


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.label)
@pytest.mark.parametrize(("stack", "dtype"), [((), "float32"), ((2,), "float64")])
def test_what_comes_out_of_backward_is_like_what_went_into_forward(layer, stack, dtype, ops):
    kind, rng = getattr(ops.xp, dtype), np.random.default_rng(0)

    def random(*shape):
        return ops.asarray(rng.normal(size=(*stack, *shape)), dtype=kind)

    params = {name: random(*shape) for name, shape in layer.shapes().items()}
    x = random(5, 3)
    members = range(*(stack or (1,)))
    who = StepKeys(members, [Key(0, i) for i in members], [0 for _ in members])
    draw = layer.draw(ops, who, 1, (5, 3), kind)
    draw = draw if stack else trees.mapped(lambda leaf: leaf[0, ...], draw)
    before = mlpx.to_numpy(x).copy()
    blocks = params
    params = nested(blocks)
    y, saved = layer.forward(ops, params, x, training=True, draw=draw)
    assert y.shape == (*stack, 5, layer.width(3))
    assert y.dtype == kind
    dx, gradients = layer.backward(ops, params, saved, random(5, layer.width(3)))
    assert (dx.shape, dx.dtype) == (x.shape, x.dtype)
    for name, value in blocks.items():
        gradient = at(gradients, name)
        assert (gradient.shape, gradient.dtype) == (value.shape, value.dtype)
    np.testing.assert_array_equal(mlpx.to_numpy(x), before)
    if params:
        assert layer.backward(ops, params, saved, y, need_dx=False)[0] is None
