"""Losses and error terms against PyTorch, scikit-learn, central differences and their limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpx
from mlpx import losses
from mlpx.output import pair

RNG = np.random.default_rng(7)
N, K = 6, 3
SCORES = RNG.normal(size=(N, K)) * 2
VALUES = RNG.normal(size=(N, K)) * 2
COUNTS = np.asarray([[0, 1, 4], [2, 0, 1], [7, 3, 0], [0.5, 1.5, 2], [1, 1, 1], [0, 0, 0]], dtype=float)
SHARES = 1 / (1 + np.exp(-VALUES))
BITS = np.round(SHARES)
ROWS = np.exp(VALUES) / np.sum(np.exp(VALUES), axis=-1, keepdims=True)
CLASSES = np.asarray([0, 2, 1, 1, 0, 2])


def xlogy(x, y):
    return x * np.log(np.where(x > 0, y, 1))


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True)


def residuals(function):
    return lambda z, y: np.sum(function(z - y), axis=-1)


def huber(delta):
    return residuals(lambda r: np.where(abs(r) <= delta, r * r / 2, delta * (abs(r) - delta / 2)))


def pinball(tau):
    return residuals(lambda r: np.maximum(-tau * r, (1 - tau) * r))


def bernoulli(z, y):
    p = 1 / (1 + np.exp(-z))
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p), axis=-1)


# loss, targets, the value of each sample as the specification writes it, from the net input
TABLE = {
    "squared_error": (losses.squared_error(), VALUES, residuals(lambda r: r * r / 2)),
    "mean_squared_error": (losses.mean_squared_error(), VALUES, residuals(lambda r: r * r / K)),
    "absolute_error": (losses.absolute_error(), VALUES, residuals(np.abs)),
    "huber": (losses.huber(), VALUES, huber(1)),
    "huber(2.5)": (losses.huber(2.5), VALUES, huber(2.5)),
    "quantile": (losses.quantile(), VALUES, pinball(0.5)),
    "quantile(0.9)": (losses.quantile(0.9), VALUES, pinball(0.9)),
    "poisson": (losses.poisson(), COUNTS, lambda z, y: np.sum(np.exp(z) - y * z + xlogy(y, y) - y, axis=-1)),
    "perceptron": (losses.perceptron(), BITS, lambda z, y: np.sum(np.where((z >= 0) == (y == 1), 0, abs(z)), axis=-1)),
    "binary_cross_entropy": (losses.binary_cross_entropy(), SHARES, bernoulli),
    "binary_cross_entropy of bits": (losses.binary_cross_entropy(), BITS, bernoulli),
    "cross_entropy": (losses.cross_entropy(), ROWS, lambda z, y: -np.sum(y * np.log(softmax(z)), axis=-1)),
}
EVERY = pytest.mark.parametrize(("loss", "y", "formula"), TABLE.values(), ids=TABLE)


def evaluate(loss, z, y, ops):
    """Return value and gradient of NumPy arrays."""
    value, gradient = loss.value_and_gradient(ops.asarray(z), ops.asarray(y), ops.xp)
    assert gradient.shape == z.shape
    assert value.shape == z.shape[:-1]
    assert value.dtype == gradient.dtype == ops.asarray(z).dtype
    return mlpx.to_numpy(value), mlpx.to_numpy(gradient)


@EVERY
def test_the_value_of_a_sample_is_the_formula_summed_over_outputs(loss, y, formula, ops):
    np.testing.assert_allclose(evaluate(loss, SCORES, y, ops)[0], formula(SCORES, y), rtol=1e-13)


@EVERY
def test_the_gradient_agrees_with_central_differences(loss, y, formula, ops):
    h, gradient = 1e-5, evaluate(loss, SCORES, y, ops)[1]
    for k in range(K):
        side = h * np.eye(K)[k]
        above, below = (evaluate(loss, SCORES + s, y, ops)[0] for s in (side, -side))
        np.testing.assert_allclose(gradient[:, k], (above - below) / (2 * h), rtol=1e-8, atol=1e-9)


@EVERY
def test_a_stack_and_samples_one_by_one_give_the_same(loss, y, formula, ops):
    value, gradient = evaluate(loss, SCORES, y, ops)
    stacked = evaluate(loss, SCORES.reshape(2, 3, K), y.reshape(2, 3, K), ops)
    np.testing.assert_allclose(stacked[0].ravel(), value, rtol=1e-15)
    np.testing.assert_allclose(stacked[1].reshape(N, K), gradient, rtol=1e-15)
    single = evaluate(loss, SCORES[2:3], y[2:3], ops)
    np.testing.assert_allclose(single[0], value[2:3], rtol=1e-15)


@pytest.mark.parametrize("name", ["squared_error", "mean_squared_error", "absolute_error", "huber(2.5)", "poisson",
                                  "perceptron", "binary_cross_entropy", "cross_entropy"])  # fmt: skip
def test_values_and_gradients_agree_with_pytorch(name, ops):
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional
    theirs = {
        "squared_error": lambda z, y: nn.mse_loss(z, y, reduction="sum") / 2,
        "mean_squared_error": lambda z, y: nn.mse_loss(z, y, reduction="sum") / K,
        "absolute_error": lambda z, y: nn.l1_loss(z, y, reduction="sum"),
        "huber(2.5)": lambda z, y: nn.huber_loss(z, y, reduction="sum", delta=2.5),
        "poisson": lambda z, y: nn.poisson_nll_loss(z, y, reduction="sum") + torch.sum(torch.xlogy(y, y) - y),
        "perceptron": lambda z, y: torch.sum(nn.relu(z) - y * z),
        "binary_cross_entropy": lambda z, y: nn.binary_cross_entropy_with_logits(z, y, reduction="sum"),
        "cross_entropy": lambda z, y: nn.cross_entropy(z, y, reduction="sum"),
    }
    loss, y, _ = TABLE[name]
    with torch.enable_grad():
        z = torch.tensor(SCORES, requires_grad=True)
        total = theirs[name](z, torch.tensor(y))
        total.backward()
    value, gradient = evaluate(loss, SCORES, y, ops)
    np.testing.assert_allclose(value.sum(), total.item(), rtol=1e-13)
    np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_values_agree_with_scikit_learn(ops):
    metrics = pytest.importorskip("sklearn.metrics")

    def mean(loss, y, z=SCORES):
        return evaluate(loss, z, y, ops)[0].mean()

    mu = np.exp(SCORES)
    p = softmax(SCORES)
    assert mean(losses.mean_squared_error(), VALUES) == pytest.approx(metrics.mean_squared_error(VALUES, SCORES))
    assert mean(losses.absolute_error(), VALUES) == pytest.approx(K * metrics.mean_absolute_error(VALUES, SCORES))
    pinballs = K * metrics.mean_pinball_loss(VALUES, SCORES, alpha=0.9)
    assert mean(losses.quantile(0.9), VALUES) == pytest.approx(pinballs)
    deviance = sum(metrics.mean_poisson_deviance(COUNTS[:, k], mu[:, k]) for k in range(K))
    assert mean(losses.poisson(), COUNTS) == pytest.approx(deviance / 2)
    assert mean(losses.cross_entropy(), np.eye(K)[CLASSES]) == pytest.approx(metrics.log_loss(CLASSES, p))
    sigmoids = sum(metrics.log_loss(BITS[:, k], 1 / (1 + np.exp(-SCORES[:, k])), labels=[0, 1]) for k in range(K))
    assert mean(losses.binary_cross_entropy(), BITS) == pytest.approx(sigmoids)


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8"])
def test_class_indices_equal_one_hot_rows(dtype, ops):
    value, gradient = evaluate(losses.cross_entropy(), SCORES, np.eye(K)[CLASSES], ops)
    by_index = evaluate(losses.cross_entropy(), SCORES, CLASSES.astype(dtype), ops)
    np.testing.assert_array_equal(by_index[0], value)
    np.testing.assert_array_equal(by_index[1], gradient)
    np.testing.assert_allclose(value, -np.log(softmax(SCORES)[np.arange(N), CLASSES]), rtol=1e-13)


def test_gradients_at_a_residual_of_zero_and_at_the_edge_of_huber(ops):
    at = np.asarray([[0.0, 1.0, -1.0]])
    zero = np.zeros((1, 3))
    assert evaluate(losses.absolute_error(), at, zero, ops)[1].tolist() == [[0, 1, -1]]
    assert evaluate(losses.quantile(0.9), at, zero, ops)[1] == pytest.approx(np.asarray([[0, 0.1, -0.9]]))
    value, gradient = evaluate(losses.huber(), at, zero, ops)
    assert (value.tolist(), gradient.tolist()) == ([1.0], [[0, 1, -1]])


def test_a_count_of_zero_costs_its_expectation(ops):
    z = np.asarray([[0.5], [-40.0], [-1e4]])
    value, gradient = evaluate(losses.poisson(), z, np.zeros((3, 1)), ops)
    np.testing.assert_allclose(value, np.exp(z[:, 0]), rtol=1e-15)
    np.testing.assert_allclose(gradient, np.exp(z), rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_keeps_its_digits_and_stays_finite(dtype, ops):
    big = float(np.finfo(dtype).max)
    z = np.asarray([[20.0], [-20.0], [1e4], [-1e4], [1e4], [-1e4], [big], [-big], [big], [1.5]], dtype=dtype)
    y = np.asarray([[1.0], [0.0], [1.0], [0.0], [0.0], [1.0], [1.0], [0.0], [0.0], [0.25]], dtype=dtype)
    small, middle = math.log1p(math.exp(-20)), math.log1p(math.exp(1.5)) - 0.25 * 1.5
    value, gradient = evaluate(losses.binary_cross_entropy(), z, y, ops)
    rtol = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(value, [small, small, 0, 0, 1e4, 1e4, 0, 0, big, middle], rtol=rtol)
    assert np.all(np.isfinite(gradient))
    assert gradient[2:9, 0].tolist() == [0, 0, 1, -1, 0, 0, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_stays_finite_at_the_ends_of_the_numbers(dtype, ops):
    big = float(np.finfo(dtype).max)
    z = np.asarray(
        [[1e4, -1e4, 0], [1e4, -1e4, 0], [big / 2, -big / 2, 0], [big / 4, -big / 4, 0], [big] * 3], dtype=dtype
    )
    y = [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    value, gradient = evaluate(losses.cross_entropy(), np.asarray(z, dtype=dtype), np.asarray(y, dtype=dtype), ops)
    np.testing.assert_allclose(value, [0, 2e4, 0, big / 2, math.log(3)], rtol=1e-6)
    expected = np.asarray([[1, 0, 0]] * 4 + [[1 / 3] * 3]) - np.asarray(y)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


@EVERY
def test_every_loss_is_finite_for_net_inputs_of_ten_thousand(loss, y, formula, ops):
    z = np.asarray([[-1e4] * K, [1e4 if loss.name != "poisson" else 80.0] * K, [-1e4, 0, 80.0]], dtype=np.float32)
    value, gradient = evaluate(loss, z, y[:3].astype(np.float32), ops)
    assert np.all(np.isfinite(value)) and np.all(np.isfinite(gradient))  # noqa: PT018


@settings(max_examples=30, deadline=None)
@given(z=st.lists(st.floats(-50, 50), min_size=2, max_size=5), index=st.integers(0, 4), data=st.data())
def test_cross_entropies_are_what_log_probabilities_give_where_those_are_exact(z, index, data):
    ops = mlpx.get_backend("numpy")
    scores, k = np.asarray([z]), index % len(z)
    log_sum = math.log(math.fsum(math.exp(v - max(z)) for v in z)) + max(z)
    value, gradient = evaluate(losses.cross_entropy(), scores, np.asarray([k]), ops)
    assert value[0] == pytest.approx(log_sum - z[k], rel=1e-12, abs=1e-14)
    assert np.sum(gradient) == pytest.approx(0, abs=1e-15)
    y = data.draw(st.floats(0, 1))
    one = evaluate(losses.binary_cross_entropy(), scores[:, :1], np.asarray([[y]]), ops)[0][0]
    two = evaluate(losses.cross_entropy(), np.asarray([[z[0], 0.0]]), np.asarray([[y, 1 - y]]), ops)[0][0]
    assert one == pytest.approx(two, rel=1e-12, abs=1e-14)


# The pairing of outputs and losses.


@pytest.mark.parametrize(
    ("output", "loss"),
    [("linear", "squared_error"), ("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy"), ("exp", "poisson"),
     ("tanh", "squared_error"), ("relu", "squared_error"), ("softplus", "squared_error"), ("step", "perceptron")],
)  # fmt: skip
def test_no_loss_means_the_one_that_belongs_to_the_output(output, loss):
    assert pair(output, None, 2).loss == losses.get(loss)
    assert mlpx.MLP([2, 3, 2], output=output).loss == losses.get(loss)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "poisson", "perceptron"])
@pytest.mark.parametrize("output", ["identity", "logistic", "softmax", "exp", "step", "tanh", "softplus"])
def test_a_loss_from_net_inputs_takes_only_its_own_output(output, loss):
    needed = losses.get(loss).output
    assert needed in ("softmax", "logistic", "exp", "step")
    if output == needed:
        assert pair(output, loss, 2).loss.name == loss
    else:
        with pytest.raises(ValueError, match=f"`loss` '{loss}' needs the output '{needed}'"):
            mlpx.MLP([2, 3, 2], output=output, loss=loss)


def test_one_softmax_unit_is_refused():
    with pytest.raises(ValueError, match="at least 2 units"):
        mlpx.MLP([2, 3, 1], output="softmax")
    with pytest.raises(ValueError, match="at least 2 units"):
        mlpx.MLP([2, 3, 1], output="softmax", loss="squared_error")


@pytest.mark.parametrize(
    ("output", "y", "message"),
    [
        ("softmax", [[0.5, 0.4, 0.0]], "sum 1"),
        ("softmax", [[1.5, -0.5, 0.0]], "at least 0"),
        ("softmax", [3], "class indices from 0 to 2"),
        ("softmax", [-1], "class indices from 0 to 2"),
        ("sigmoid", [[0.0, 1.0, 1.1]], "between 0 and 1"),
        ("sigmoid", [[0.0, 1.0, -0.1]], "between 0 and 1"),
        ("exp", [[0.0, 1.0, -1.0]], "at least 0"),
        ("step", [[0.0, 1.0, 0.5]], "nothing but 0 and 1"),
        ("step", [[0.0, 1.0, -1.0]], "nothing but 0 and 1"),
        ("linear", [[0.0, math.nan, -1.0]], "finite"),
        ("linear", [[0.0, -1.0]], "shape"),
    ],
)
def test_targets_outside_the_domain_are_refused(output, y, message, backend):
    net = mlpx.MLP([2, 3], output=output, backend=backend)
    X = np.zeros((1, 2))
    with pytest.raises(ValueError, match=f"`y` must .*{message}"):
        net.fit(X, y, progress=False)
    with pytest.raises(ValueError, match=f"`y` must .*{message}"):
        net.backward(net.forward(X), y)


def test_targets_on_the_edge_of_the_domain_are_taken(backend):
    for output, y in (("softmax", [[0.25, 0.0, 0.75]]), ("sigmoid", [[0.0, 1.0, 0.5]]), ("exp", [[0.0, 1.0, 2.5]])):
        net = mlpx.MLP([2, 3], output=output, backend=backend)
        assert math.isfinite(float(net.backward(net.forward(np.zeros((1, 2))), y).loss))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.get("hubber"), "Did you mean 'huber'"),
        (lambda: losses.get("mse"), "got 'mse'. Did you mean 'mean_squared_error'"),
        (lambda: losses.get("MAE"), "Did you mean 'absolute_error'"),
        (lambda: losses.huber(0.0), "`delta` must be above 0"),
        (lambda: losses.quantile(1.0), "`tau` must be above 0 and below 1"),
        (lambda: losses.quantile(0.0), "`tau` must be above 0 and below 1"),
    ],
)
def test_wrong_names_and_parameters_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# The average over samples.


@EVERY
def test_the_average_weighs_samples_and_delta_carries_their_share(loss, y, formula, ops):
    output = pair(loss.output or "identity", loss, K)
    value, gradient = evaluate(loss, SCORES, y, ops)
    z, target = ops.asarray(SCORES), ops.asarray(y)
    mean, delta, y_hat = output.loss_and_delta(z, target, None, ops.xp)
    np.testing.assert_allclose(mlpx.to_numpy(mean), value.mean(), rtol=1e-14)
    np.testing.assert_allclose(mlpx.to_numpy(delta), gradient / N, rtol=1e-14)
    np.testing.assert_allclose(mlpx.to_numpy(y_hat), mlpx.to_numpy(output.activation(z, ops.xp)), rtol=1e-15)
    share = np.asarray([0.5, 0.25, 0, 0.125, 0.125, 0])
    mean, delta, _ = output.loss_and_delta(z, target, ops.asarray(share), ops.xp)
    np.testing.assert_allclose(mlpx.to_numpy(mean), np.sum(share * value), rtol=1e-14)
    np.testing.assert_allclose(mlpx.to_numpy(delta), gradient * share[:, None], rtol=1e-14)


def test_label_smoothing_acts_on_the_training_loss_alone(backend):
    X, e = RNG.normal(size=(N, 2)), 0.2
    for output, y, smooth in (
        ("softmax", CLASSES, (1 - e) * np.eye(K)[CLASSES] + e / K),
        ("sigmoid", BITS, (1 - e) * BITS + e / 2),
    ):
        net = mlpx.MLP([2, K], output=output, dtype="float64", backend=backend)
        z, loss = mlpx.to_numpy(net.forward(X).z[-1]), net.evaluate(X, y)["loss"]
        history = net.fit(X, y, epochs=1, label_smoothing=e, validation=(X, y), progress=False)
        formula = TABLE[net.loss.name][2]
        assert history["loss"][0] == pytest.approx(formula(z, smooth).mean(), rel=1e-12)
        assert history["validation_loss"][0] == pytest.approx(net.evaluate(X, y)["loss"], rel=1e-12)
        assert loss == pytest.approx(formula(z, np.eye(K)[y] if y.ndim == 1 else y).mean(), rel=1e-12)
