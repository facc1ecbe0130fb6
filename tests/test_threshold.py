"""Threshold units: what they represent, what a search proves, and the perceptron learning rule."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpx
from mlpx import threshold

CORNERS, AND, XOR = threshold.rows(2), [0, 0, 0, 1], [0, 1, 1, 0]


# Units and networks of units.


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_and_is_1_where_all_inputs_are_and_or_where_any_is(n, backend):
    inputs = threshold.rows(n)
    with mlpx.use_backend(backend.name):
        every, some = threshold.conjunction(n), threshold.disjunction(n)
    assert every.backend.name == backend.name
    assert every.predict_labels(inputs).tolist() == inputs.all(1).astype(int).tolist()
    assert some.predict_labels(inputs).tolist() == inputs.any(1).astype(int).tolist()


def test_not_is_1_where_its_input_is_0(backend):
    with mlpx.use_backend(backend.name):
        assert threshold.negation().predict_labels([[0], [1]]).tolist() == [1, 0]


def test_xor_takes_two_layers(backend):
    with mlpx.use_backend(backend.name):
        net = threshold.exclusive_or()
    trace = net.forward(CORNERS)
    hidden = np.stack([CORNERS.any(1), CORNERS.all(1)], axis=1)
    assert mlpx.to_numpy(trace.a[1]).tolist() == hidden.tolist()
    assert net.predict(CORNERS)[:, 0].tolist() == XOR


def test_a_unit_goes_through_a_file(tmp_path):
    threshold.unit([2, -1, 1], -1.5).save(tmp_path / "unit.mlpx")
    back = mlpx.load(tmp_path / "unit.mlpx")
    assert (back.weights[0][:, 0].tolist(), back.biases[0].tolist()) == ([2, -1, 1], [-1.5])
    assert back.predict_labels([[1, 0, 0], [0, 0, 1]]).tolist() == [1, 0]


def test_rows_count_up_in_binary():
    for n in (1, 2, 3, 5):
        assert [tuple(row) for row in threshold.rows(n).tolist()] == list(itertools.product((0, 1), repeat=n))


# The search.


def hadamard(n):
    """The bound of Muroga, Toda and Takasu in floating point."""
    return (n + 1) ** ((n + 1) / 2) / 2**n


def test_weights_are_tried_up_to_the_bound():
    assert [threshold.largest_weight(n) for n in range(1, 9)] == [int(hadamard(n) + 1e-9) for n in range(1, 9)]


@pytest.mark.parametrize(("n", "expected"), [(1, 4), (2, 14), (3, 104), (4, 1882)])
def test_as_many_functions_are_found_as_there_are_threshold_functions(n, expected):
    """The numbers of A000609 in the On-Line Encyclopedia of Integer Sequences."""
    assert threshold.count(n) == expected


@pytest.mark.parametrize("n", [1, 2, 3])
def test_each_function_has_a_unit_or_a_contradiction(n):
    """A linear program finds, independently, whether there are weights; and each unit found computes its table."""
    optimize = pytest.importorskip("scipy.optimize")
    inputs, found = threshold.rows(n), 0
    for table in itertools.product((0, 1), repeat=2**n):
        net = threshold.represent(table)
        signs = 2 * np.asarray(table) - 1
        program = -signs[:, None] * np.hstack([inputs, np.ones((2**n, 1))])
        solved = optimize.linprog(np.zeros(n + 1), program, -np.ones(2**n), bounds=(None, None))
        assert (net is not None) == solved.success
        if net is not None:
            found += 1
            assert tuple(net.predict_labels(inputs).tolist()) == table
            assert np.abs(net.weights[0]).max() <= threshold.largest_weight(n)
            assert np.all(net.weights[0] == np.round(net.weights[0]))
    assert found == threshold.count(n)


def test_xor_and_its_negation_are_the_two_that_no_unit_of_two_inputs_has():
    none = [table for table in itertools.product((0, 1), repeat=4) if threshold.represent(table) is None]
    assert none == [tuple(XOR), (1, 0, 0, 1)]


def test_the_weights_are_the_least_and_the_threshold_lies_halfway():
    def of(table):
        net = threshold.represent(table)
        return net.weights[0][:, 0].tolist(), net.biases[0].tolist()

    assert of(AND) == ([1, 1], [-1.5])
    assert of([0, 1, 1, 1]) == ([1, 1], [-0.5])
    assert of([1, 0]) == ([-1], [0.5])
    assert of([0, 0, 0, 0]) == ([0, 0], [-0.5])
    assert of([1, 1]) == ([0], [0.5])
    assert of([False, False, False, False, False, True, True, True]) == ([2, 1, 1], [-2.5])  # x1 and (x2 or x3)


@settings(max_examples=15, deadline=None)
@given(weights=st.lists(st.integers(-9, 9), min_size=5, max_size=5), bias=st.integers(-9, 9))
def test_whatever_a_unit_of_five_inputs_computes_is_found_again(weights, bias):
    inputs = threshold.rows(5)
    table = inputs @ weights + bias >= 0
    net = threshold.represent(table)
    assert net is not None
    assert net.predict_labels(inputs).tolist() == table.astype(int).tolist()


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_parity_has_no_unit(n):
    assert threshold.represent(threshold.rows(n).sum(1) % 2) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: threshold.represent([0, 1, 1]), r"`truth_table` must list 2\*\*n values.*got the shape \(3,\)"),
        (lambda: threshold.represent([0]), r"`truth_table` must list 2\*\*n values"),
        (lambda: threshold.represent([[0, 1], [1, 0]]), r"got the shape \(2, 2\)"),
        (lambda: threshold.represent([0, 2, 0, 1]), r"`truth_table` must hold nothing but 0 and 1.*\[0, 2, 0, 1\]"),
        (lambda: threshold.represent(["0", "1"]), "`truth_table` must hold nothing but 0 and 1"),
        (lambda: threshold.represent([0] * 64), "`truth_table` must mean at most 5 inputs, got 6"),
        (lambda: threshold.count(6), "`n` must mean at most 5 inputs, got 6"),
        (lambda: threshold.rows(0), "`n` must"),
        (lambda: threshold.unit([1, float("nan")], 0), r"`weights\[0\]` must hold real numbers"),
    ],
)
def test_what_is_no_truth_table_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# The perceptron learning rule.


def separable(n, m, margin):
    """Return rows in [-1, 1] that a hyperplane parts with a margin, and the margin of all in the space of (x, 1)."""
    rng = np.random.default_rng(n)
    u = np.append(rng.normal(size=m), 0.1)
    u /= np.linalg.norm(u)
    X = rng.uniform(-1, 1, size=(40 * n, m))
    z = X @ u[:m] + u[m]
    X, z = X[np.abs(z) > margin][:n], z[np.abs(z) > margin][:n]
    assert len(X) == n
    assert 0 < np.mean(z > 0) < 1
    return X, (z > 0).astype(int), float(np.abs(z).min())


def perceptron(m, backend, **settings):
    return mlpx.MLP([m, 1], output="step", initializer="zeros", dtype="float64", backend=backend, **settings)


def by_hand(X, y, rate, epochs):
    """The rule as the textbook has it; return weights, bias and the mistakes of each epoch."""
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, []
    for _ in range(epochs):
        errors = 0
        for x, target in zip(X, y, strict=True):
            output = 1 if x @ w + b >= 0 else 0
            w, b = w + rate * (target - output) * x, b + rate * (target - output)
            errors += output != target
        mistakes.append(errors)
    return w, b, mistakes


RULE = {"batch_size": 1, "shuffle": False, "metrics": "error_rate", "progress": False}


@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_gradient_descent_on_the_loss_is_the_perceptron_rule_update_for_update(rate, backend):
    X, y, _ = separable(30, 3, 0.1)
    y[::7] = 1 - y[::7]  # so that there are mistakes to the end
    net = perceptron(3, backend)
    history = net.fit(X, y, epochs=4, optimizer=mlpx.SGD(rate), **RULE)
    w, b, mistakes = by_hand(X, y, rate, 4)
    np.testing.assert_allclose(mlpx.to_numpy(net.weights[0])[:, 0], w, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(mlpx.to_numpy(net.biases[0]), b, rtol=1e-13, atol=1e-15)
    assert np.round(np.asarray(history["error_rate"]) * 30).tolist() == mistakes
    assert min(mistakes) > 0


def test_whole_numbers_are_learned_exactly(backend):
    X, y = threshold.rows(4), (threshold.rows(4) @ [3, -2, 1, 1] >= 2).astype(int)
    net = perceptron(4, backend)
    net.fit(X, y, epochs=15, optimizer=mlpx.SGD(1.0), **RULE)
    w, b, mistakes = by_hand(X, y, 1, 15)
    assert mistakes[-1] == 0
    assert (mlpx.to_numpy(net.weights[0])[:, 0].tolist(), mlpx.to_numpy(net.biases[0]).tolist()) == (w.tolist(), [b])
    assert net.predict_labels(X).tolist() == y.tolist()


@pytest.mark.parametrize("margin", [0.3, 0.1, 0.03])
def test_mistakes_are_at_most_the_square_of_radius_over_margin(margin):
    """The convergence theorem, in the space of (x, 1): Novikoff 1962."""
    X, y, gamma = separable(50, 3, margin)
    bound = np.max(np.sum(X**2, axis=1) + 1) / gamma**2
    net = perceptron(3, "numpy")
    history = net.fit(X, y, epochs=1000, optimizer=mlpx.SGD(1.0), callbacks=faultless, **RULE)
    mistakes = np.sum(np.asarray(history["error_rate"]) * 50)
    assert 0 < mistakes <= bound
    assert len(history["loss"]) < 1000
    assert net.evaluate(X, y)["accuracy"] == 1


def faultless(run):
    """Stop after an epoch without a mistake."""
    if run.row["error_rate"] == 0:
        run.stop()


def test_on_xor_no_epoch_is_without_a_mistake():
    history = perceptron(2, "numpy").fit(CORNERS, XOR, epochs=200, optimizer=mlpx.SGD(1.0), callbacks=faultless, **RULE)
    assert len(history["loss"]) == 200
    assert min(history["error_rate"]) >= 0.25


def test_patience_keeps_the_best_weights_where_no_line_parts_the_classes():
    X, y, _ = separable(60, 2, 0.2)
    y[:6] = 1 - y[:6]
    net = perceptron(2, "numpy")
    history = net.fit(X, y, validation=(X, y), epochs=60, optimizer=mlpx.SGD(1.0), patience=30,
                      monitor="error_rate", batch_size=1, progress=False)  # fmt: skip
    assert net.evaluate(X, y, metrics="error_rate")["error_rate"] == min(history["validation_error_rate"])
    assert min(history["validation_error_rate"]) < history["validation_error_rate"][-1]


def test_members_of_a_stack_learn_as_networks_of_their_own(backend):
    X, y, _ = separable(25, 3, 0.05)
    stack = perceptron(3, backend, members=3)
    stack.fit(X, y, epochs=3, optimizer=mlpx.SGD([1.0, 0.5, 0.1]), **RULE)
    for i, rate in enumerate((1.0, 0.5, 0.1)):
        w, b, _ = by_hand(X, y, rate, 3)
        np.testing.assert_allclose(mlpx.to_numpy(stack.weights[0])[i, :, 0], w, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(mlpx.to_numpy(stack.biases[0])[i], b, rtol=1e-12, atol=1e-15)


def test_it_is_the_perceptron_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, _ = separable(40, 4, 0.02)
    order = np.argsort(y, kind="stable")  # at the first net input, 0, scikit-learn corrects both classes
    X, y = X[order], y[order]
    theirs = linear_model.Perceptron(max_iter=7, tol=None, shuffle=False).fit(X, y)
    net = perceptron(4, "numpy")
    net.fit(X, y, epochs=7, optimizer=mlpx.SGD(1.0), **RULE)
    np.testing.assert_allclose(net.weights[0].T, theirs.coef_, rtol=1e-12)
    np.testing.assert_allclose(net.biases[0], theirs.intercept_, rtol=1e-12)
    assert net.predict_labels(X).tolist() == theirs.predict(X).tolist()


def test_a_target_missed_at_a_net_input_of_zero_is_corrected_at_no_loss(backend):
    net = perceptron(2, backend)
    grads = net.backward(net.forward([[2.0, 3.0]]), [0])
    assert float(grads.loss) == 0
    assert mlpx.to_numpy(grads.weights[0]).ravel().tolist() == [2, 3]
    assert net.evaluate([[2.0, 3.0]], [0])["accuracy"] == 0
    assert mlpx.to_numpy(net.backward(net.forward([[2.0, 3.0]]), [1]).weights[0]).ravel().tolist() == [0, 0]


def test_labels_and_weights_of_classes_are_as_for_a_sigmoid():
    net = perceptron(2, "numpy")
    net.fit(CORNERS, ["off", "off", "off", "on"], epochs=30, optimizer=mlpx.SGD(1.0), class_weight="balanced", **RULE)
    assert net.classes == ("off", "on")
    assert net.predict_labels(CORNERS).tolist() == ["off", "off", "off", "on"]
    signs = perceptron(2, "numpy")
    signs.fit(CORNERS, [-1, -1, -1, 1], epochs=30, optimizer=mlpx.SGD(1.0), **RULE)
    assert signs.predict_labels(CORNERS).tolist() == [-1, -1, -1, 1]


def test_several_units_learn_several_labels(backend):
    y = np.stack([CORNERS.all(1), CORNERS.any(1), CORNERS[:, 0] == 0], axis=1).astype(int)
    net = mlpx.MLP([2, 3], output="step", initializer="zeros", backend=backend)
    net.fit(CORNERS, y, epochs=20, optimizer=mlpx.SGD(1.0), **RULE)
    assert net.predict_labels(CORNERS).tolist() == y.tolist()
    assert net.evaluate(CORNERS, y) == {"loss": 0, "accuracy": 1}


def test_what_the_rule_cannot_do_is_refused():
    net = mlpx.MLP([2, 1], output="step")
    with pytest.raises(ValueError, match="`label_smoothing` needs a softmax or sigmoid output, got 'step'"):
        net.fit(CORNERS, AND, label_smoothing=0.1)
    with pytest.raises(ValueError, match="`y` must hold nothing but 0 and 1 for the loss 'perceptron'"):
        net.fit(CORNERS, [0, 0, 0.5, 1.0])
    with pytest.raises(ValueError, match="'step' as the output alone, with the loss 'perceptron'"):
        threshold.exclusive_or().fit(CORNERS, XOR)
    with pytest.raises(ValueError, match="'step' has no derivative"):
        mlpx.MLP([2, 1], output="step", loss="squared_error").fit(CORNERS, AND)


def test_hidden_layers_learn_from_the_error_of_a_step_by_back_propagation():
    net = mlpx.MLP([2, 8, 1], activation="tanh", output="step", seed=2)
    net.fit(CORNERS, XOR, epochs=300, batch_size=4, optimizer=mlpx.Adam(0.05), progress=False)
    assert net.predict_labels(CORNERS).tolist() == XOR
