"""The worked numbers of the literature, reproduced on every backend in float64 through the public interface."""

import numpy as np
import pytest

import mlpx
from mlpx import Dense, Network

X = [[0.05, 0.10]]
Y = [[0.01, 0.99]]
WEIGHTS = [[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]]
BIASES = [[0.35, 0.35], [0.60, 0.60]]
CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]]
XOR = [[0], [1], [1], [0]]


def digits(decimals):
    """Return the tolerance that a number printed with so many decimals allows."""
    return {"rtol": 0, "atol": 0.5000001 * 10.0**-decimals}


def agree(actual, expected, **tolerance):
    np.testing.assert_allclose(mlpx.to_numpy(actual), expected, **tolerance)


def two_by_two(backend, bias="frozen"):
    layers = [Dense(2, 2, "logistic", bias=bias), Dense(2, 2, "logistic", bias=bias)]
    net = Network(layers, loss="squared_error", dtype="float64", backend=backend)
    net.set_weights(WEIGHTS, BIASES)
    return net


def descend(net, steps):
    """Make steps of textbook gradient descent on the one sample: one row a step, all in one epoch."""
    rows = (np.tile(X, (steps, 1)), np.tile(Y, (steps, 1)))
    return net.fit(*rows, epochs=1, batch_size=1, optimizer=mlpx.SGD(0.5), shuffle=False, progress=False)


def test_2_2_2_forward_gives_the_printed_outputs_and_error(backend):
    net = two_by_two(backend)
    trace = net.forward(X)
    agree(trace.a[0], X, rtol=0)
    agree(trace.z[0], [[0.3775, 0.3925]], rtol=1e-15)
    agree(trace.a[1], 1 / (1 + np.exp([[-0.3775, -0.3925]])), rtol=1e-15)
    agree(trace.a[2], [[0.75136507, 0.77292847]], **digits(8))
    agree(net.predict(X), mlpx.to_numpy(trace.a[2]), rtol=1e-15)
    assert net.evaluate(X, Y)["loss"] == pytest.approx(0.298371109, rel=0, abs=5e-10)


def test_2_2_2_backward_gives_the_printed_error_terms_and_gradients(backend):
    net = two_by_two(backend)
    grads = net.backward(net.forward(X), Y)
    agree(grads.loss, 0.298371109, **digits(9))
    agree(grads.data_loss, 0.298371109, **digits(9))
    agree(grads.delta[1], [[0.13849856, -0.03809824]], **digits(8))
    agree(grads.delta[0], [[0.00877135, 0.00995425]], **digits(8))
    agree(grads.weights[1], [[0.08216704, -0.02260254], [0.08266763, -0.02274024]], **digits(8))
    agree(grads.weights[0], [[0.00043857, 0.00049771], [0.00087714, 0.00099543]], **digits(8))


def test_2_2_2_a_frozen_bias_shows_its_true_gradient(backend):
    net = two_by_two(backend)
    grads = net.backward(net.forward(X), Y)
    for bias, delta in zip(grads.biases, grads.delta, strict=True):
        agree(bias, mlpx.to_numpy(delta)[0], rtol=1e-15)


def test_2_2_2_one_step_gives_the_printed_weights_and_leaves_the_frozen_biases(backend):
    net = two_by_two(backend)
    history = descend(net, 1)
    assert history["loss"] == [pytest.approx(0.298371109, rel=0, abs=5e-10)]  # before the update
    agree(net.weights[1], [[0.35891648, 0.51130127], [0.40866619, 0.56137012]], **digits(8))
    agree(net.weights[0], [[0.14978072, 0.24975114], [0.19956143, 0.29950229]], **digits(8))
    agree(net.biases[0], BIASES[0], rtol=0)
    agree(net.biases[1], BIASES[1], rtol=0)
    assert net.evaluate(X, Y)["loss"] == pytest.approx(0.291027774, rel=0, abs=5e-10)


def test_2_2_2_ten_thousand_steps_give_the_printed_error_and_outputs(backend):
    net = two_by_two(backend)
    descend(net, 10_000)
    assert net.evaluate(X, Y)["loss"] == pytest.approx(3.5102e-05, rel=0, abs=5e-10)
    agree(net.predict(X), [[0.0159136, 0.9840643]], **digits(7))
    agree(net.biases[0], BIASES[0], rtol=0)


def by_hand(steps):
    """Return error and outputs after steps with trained biases, from the formulas alone."""
    x, y, alpha = np.asarray(X), np.asarray(Y), 0.5
    (w1, w2), (b1, b2) = np.asarray(WEIGHTS), np.asarray(BIASES)
    for _ in range(steps + 1):
        a1 = 1 / (1 + np.exp(-(x @ w1 + b1)))
        a2 = 1 / (1 + np.exp(-(a1 @ w2 + b2)))
        d2 = (a2 - y) * a2 * (1 - a2)
        d1 = d2 @ w2.T * a1 * (1 - a1)
        w2, b2, w1, b1 = w2 - alpha * a1.T @ d2, b2 - alpha * d2[0], w1 - alpha * x.T @ d1, b1 - alpha * d1[0]
    return np.sum((a2 - y) ** 2) / 2, a2


def test_2_2_2_ten_thousand_steps_with_trained_biases_give_the_printed_error(backend):
    assert by_hand(10_000)[0] == pytest.approx(2.4476e-06, rel=0, abs=5e-11)
    steps = 1000 if backend.name in ("array_api_strict", "torch") else 10_000  # many seconds there, once above
    net = two_by_two(backend, bias=True)
    descend(net, steps)
    error, outputs = by_hand(steps)
    assert net.evaluate(X, Y)["loss"] == pytest.approx(error, rel=1e-9)
    agree(net.predict(X), outputs, rtol=1e-11)


def test_xor_is_solved_by_hand(backend):
    net = Network([Dense(2, 2, "relu"), Dense(2, 1)], dtype="float64", backend=backend)
    net.set_weights([[[1, 1], [1, 1]], [[1], [-2]]], [[0, -1], [0]])
    trace = net.forward(CORNERS)
    agree(trace.a[1], [[0, 0], [1, 0], [1, 0], [2, 1]], rtol=0)
    agree(trace.a[2], XOR, rtol=0)
    net.set_weights([[[1, 1], [1, 1]], [[0], [-2]]], [[0, -1], [0]])  # as a widely copied slide prints it
    assert np.any(mlpx.to_numpy(net.predict(CORNERS)) != XOR)


def test_xor_is_learned_by_a_2_5_1_logistic_network(backend):
    net = mlpx.MLP([2, 5, 1], activation="logistic", output="sigmoid", dtype="float64", seed=3, backend=backend)
    net.fit(CORNERS, XOR, epochs=300, batch_size=1, optimizer=mlpx.SGD(1.0), progress=False)
    agree(net.predict_labels(CORNERS), np.ravel(XOR), rtol=0)
    assert net.evaluate(CORNERS, XOR)["loss"] < 0.1


UNITS = {
    "and": ([1, 1], -1.5, [0, 0, 0, 1]),
    "and, where its net input is 0": ([1, 1], -2, [0, 0, 0, 1]),
    "or": ([1, 1], -0.5, [0, 1, 1, 1]),
    "not of the first": ([-1, 0], 0.5, [1, 1, 0, 0]),
}


@pytest.mark.parametrize(("w", "b", "truth"), UNITS.values(), ids=UNITS)
def test_a_threshold_unit_represents(w, b, truth, backend):
    net = Network([Dense(2, 1, "step")], dtype="float64", backend=backend)
    net.set_weights([np.reshape(w, (2, 1))], [[b]])
    agree(net.predict(CORNERS), np.reshape(truth, (4, 1)), rtol=0)


def test_no_threshold_unit_of_a_grid_represents_xor(backend):
    axis = np.linspace(-2, 2, 17)
    w1, w2, b = (part.ravel() for part in np.meshgrid(axis, axis, axis))
    net = Network([Dense(2, b.size, "step")], dtype="float64", backend=backend)
    net.set_weights([np.stack([w1, w2])], [b])
    tables = {tuple(column) for column in mlpx.to_numpy(net.predict(CORNERS)).T.astype(int).tolist()}
    assert {(0, 0, 0, 1), (0, 1, 1, 1), (1, 1, 0, 0)} <= tables  # the search finds what there is
    assert not {(0, 1, 1, 0), (1, 0, 0, 1)} & tables
    assert len(tables) == 14


def test_training_through_a_step_is_refused(backend):
    for layers in ([Dense(2, 3, "step"), Dense(3, 1)], [Dense(2, 3), Dense(3, 1, "step")]):
        net = Network(layers, loss="squared_error", backend=backend)
        with pytest.raises(ValueError, match="'step' has no derivative"):
            net.fit(CORNERS, XOR)
        with pytest.raises(ValueError, match="'step' has no derivative"):
            net.backward(net.forward(CORNERS), XOR)


def test_the_computational_graph_of_a_logistic_unit_has_the_gradient_one_quarter(backend):
    # f > 0, so that |f - (-1)| = f + 1 has the gradient of f
    net = Network([Dense(1, 1, "logistic")], loss="absolute_error", dtype="float64", backend=backend)
    net.set_weights([[[0]]], [[0]])
    grads = net.backward(net.forward([[1]]), [[-1]])
    agree(grads.weights[0], [[0.25]], rtol=0)
    agree(grads.biases[0], [0.25], rtol=0)


def deltas(activation, backend):
    net = mlpx.MLP([6] * 7, activation=activation, output="linear", dtype="float64", seed=5, backend=backend)
    rng = np.random.default_rng(0)
    grads = net.backward(net.forward(rng.normal(size=(1, 6))), rng.normal(size=(1, 6)))
    norms = [np.linalg.norm(mlpx.to_numpy(delta)) for delta in grads.delta]
    spectral = [np.linalg.norm(mlpx.to_numpy(w), 2) for w in net.weights]
    return [(norms[i], spectral[i + 1] * norms[i + 1]) for i in range(len(norms) - 1)]


def test_the_error_terms_of_logistic_units_vanish_and_those_of_relu_need_not(backend):
    assert all(0 < norm <= 0.25 * bound for norm, bound in deltas("logistic", backend))
    assert any(norm > 0.25 * bound for norm, bound in deltas("relu", backend))


def surface(loss, points, backend):
    """Return loss and gradient of logistic(w2 logistic(w1)) at points (w1, w2), one a member of a stack."""
    layers = [Dense(1, 1, "logistic", bias=False), Dense(1, 1, "logistic", bias=False)]
    net = Network(layers, loss=loss, dtype="float64", members=len(points), backend=backend)
    w = np.asarray(points, dtype=float)
    net.set_weights([w[:, :1, None], w[:, 1:, None]], [None, None])
    grads = net.backward(net.forward([[1]]), [[1]])
    return mlpx.to_numpy(grads.loss), np.stack([mlpx.to_numpy(g)[:, 0, 0] for g in grads.weights], axis=-1)


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_the_loss_surfaces_of_two_units_in_a_row_are_not_convex(loss, backend):
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-8, 8, size=(2, 100, 2))
    at_a, at_b, between = np.split(surface(loss, np.concatenate([a, b, (a + b) / 2]), backend)[0], 3)
    assert np.any(between > (at_a + at_b) / 2 + 0.01)


def test_squared_error_is_flat_where_it_is_wrong_and_cross_entropy_is_not(backend):
    wrong = [[10.0, -20.0]]
    value, gradient = surface("squared_error", wrong, backend)
    assert value[0] > 0.499
    assert np.linalg.norm(gradient) < 1e-8
    assert np.linalg.norm(surface("binary_cross_entropy", wrong, backend)[1]) > 0.9
