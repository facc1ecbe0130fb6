"""Looks into a network that trains: norms, quiet units, warnings, and when there is a look."""

import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import mlpx
from mlpx.backends import Backend
from mlpx.diagnostics.look import Look, largest_slope

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5))
Y = RNG.integers(0, 3, 40)
TARGETS = RNG.normal(size=(40, 2))


def norm(array: object) -> float:
    return float(np.linalg.norm(mlpx.to_numpy(array).astype(np.float64)))


def by_hand(net: mlpx.Network, X: object, y: object, weight: object = None) -> np.ndarray:
    """Return the three norms of each layer from the public forward and backward pass, shape (3, L)."""
    trace = net.forward(X)
    found = net.backward(trace, y, weight)
    blocks = [
        W if b is None else np.concat([mlpx.to_numpy(W), mlpx.to_numpy(b)[None, :]])
        for W, b in zip(found.weights, found.biases, strict=True)
    ]
    return np.asarray([[norm(a) for a in arrays] for arrays in (found.delta, blocks, trace.a[1:])])


def looked(net: mlpx.Network, X: object, y: object, **fit: object) -> mlpx.Diagnostics:
    """Return diagnostics whose first look sees all rows in their order."""
    diagnostics = mlpx.Diagnostics(every=1)
    net.fit(X, y, **{"epochs": 1, "shuffle": False, **fit}, callbacks=diagnostics)
    return diagnostics


def norms(diagnostics: mlpx.Diagnostics, look: int = 0) -> np.ndarray:
    names = ("delta_norms", "gradient_norms", "activation_norms")
    return np.stack([getattr(diagnostics, name)[look] for name in names], axis=-2)


def test_norms_are_those_of_forward_and_backward(backend: Backend) -> None:
    check_norms(mlpx.MLP([5, 7, 6, 3], activation=["tanh", "gelu"], dtype="float64", backend=backend), Y)


@pytest.mark.parametrize(("output", "y"), [("linear", TARGETS), ("sigmoid", TARGETS > 0)])
def test_norms_are_those_with_other_outputs(output: str, y: np.ndarray) -> None:
    check_norms(mlpx.MLP([5, 7, 6, 2], activation=["tanh", "gelu"], output=output, dtype="float64"), y.astype(float))


def check_norms(net: mlpx.Network, y: np.ndarray) -> None:
    expected = by_hand(net, X, y)
    diagnostics = looked(net, X, y)
    np.testing.assert_allclose(norms(diagnostics), expected, rtol=1e-12)
    # and of the weights that came out, at the last look
    np.testing.assert_allclose(norms(diagnostics, -1), by_hand(net, X, y), rtol=1e-12)
    assert diagnostics.epochs == [0, 1]
    np.testing.assert_array_equal(diagnostics.ratios, diagnostics.delta_norms[:, 0] / diagnostics.delta_norms[:, -1])


def test_weights_of_the_samples_count(backend: Backend) -> None:
    weight = np.where(np.arange(40) < 9, 0.0, RNG.uniform(size=40))
    net = mlpx.MLP([5, 7, 3], dtype="float64", backend=backend)
    expected = by_hand(net, X, Y, weight)
    found = norms(looked(net, X, Y, sample_weight=weight))
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-12)


def test_members_of_a_stack_are_looked_at_as_single_networks(backend: Backend) -> None:
    stack = mlpx.MLP([5, 7, 3], activation="tanh", dtype="float64", members=3, backend=backend)
    rows = [np.arange(40), np.arange(5, 30), np.arange(12)]
    singles = [looked(stack.member(s), X[own], Y[own], epochs=2) for s, own in enumerate(rows)]
    together = looked(stack, X, Y, subsets=rows, epochs=2)
    assert together.delta_norms.shape == (3, 3, 2)
    for s, single in enumerate(singles):
        for name in ("delta_norms", "gradient_norms", "dead", "saturated"):
            np.testing.assert_allclose(getattr(together, name)[:, s], getattr(single, name), rtol=1e-9, atol=1e-15)


def test_members_with_data_of_their_own(backend: Backend) -> None:
    stack = mlpx.MLP([5, 7, 3], dtype="float64", members=2, backend=backend)
    apart = np.stack([X, 2 * X[::-1]])
    found = norms(looked(stack, apart, np.stack([Y, Y[::-1]])))
    for s, (x, y) in enumerate([(X, Y), (2 * X[::-1], Y[::-1])]):
        alone = mlpx.MLP([5, 7, 3], dtype="float64", members=2, backend=backend).member(s)
        np.testing.assert_allclose(found[s], by_hand(alone, x, y), rtol=1e-12)


def test_a_member_that_stopped_leaves_the_table(backend: Backend) -> None:
    stack = mlpx.MLP([5, 4, 3], members=2, l2=(0.0, 0.0), backend=backend)
    rates = mlpx.SGD((1e-3, 1e-30))  # the second never gets better
    diagnostics = looked(stack, np.stack([X, X]), Y, epochs=6, optimizer=rates, patience=2)
    assert np.isfinite(diagnostics.delta_norms[:, 0]).all()
    assert np.isfinite(diagnostics.delta_norms[:3, 1]).all()
    assert np.isnan(diagnostics.delta_norms[-1, 1]).all()
    assert "means over the 1 members that were left, of 2" in str(diagnostics)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_looked_at_in_float32(backend: Backend, dtype: str) -> None:
    try:
        net = mlpx.MLP([5, 7, 3], dtype=dtype, backend=backend)
    except ValueError:
        pytest.skip(f"no {dtype} on {backend.name}")
    wide = mlpx.MLP([5, 7, 3], backend=backend)
    wide.set_weights([mlpx.to_numpy(W) for W in net.weights], [mlpx.to_numpy(b) for b in net.biases])
    exact = np.round(4 * X) / 4  # as the half types hold them
    np.testing.assert_allclose(norms(looked(net, exact, Y)), by_hand(wide, exact, Y), rtol=1e-5)


# Units that have gone quiet.


def with_biases(activation: object, biases: list[float], backend: Backend, **options: object) -> mlpx.Network:
    """Return a network whose first layer has units with the net inputs ``x_0 + bias``."""
    net = mlpx.MLP([1, len(biases), 2], activation=activation, output="linear", backend=backend, **options)
    _, second = net.weights
    net.set_weights([np.ones((1, len(biases))), mlpx.to_numpy(second)], [np.asarray(biases), np.zeros(2)])
    return net


ONE = np.linspace(-1, 1, 40)[:, None]


def test_exactly_the_dead_units_are_counted(backend: Backend) -> None:
    net = with_biases("relu", [-2.0, -1.5, -1.0, -0.99, 0.0, 0.5, 2.0, 3.0], backend)
    diagnostics = looked(net, ONE, TARGETS)
    assert diagnostics.dead[0].tolist() == [3 / 8, 0]
    # the unit that is on in one row of 40 is as good as dead
    assert diagnostics.saturated[0].tolist() == [4 / 8, 0]


@pytest.mark.parametrize(("activation", "biases", "share"), [
    ("logistic", [0.0, 2.0, -7.0, 8.0], 2 / 4),
    ("tanh", [0.0, 1.0, -4.0, 4.0, 5.0], 3 / 5),
    ("gelu", [0.0, 3.0, -6.0, 1.0], 1 / 4),
    ("leaky_relu", [-5.0, 5.0], 1 / 2),
    ("softplus", [-9.0, 9.0, 0.0, 1.0], 1 / 4),
    ("identity", [-9.0, 9.0], 0.0),
])  # fmt: skip
def test_exactly_the_saturated_units_are_counted(activation: str, biases: list[float], share: float) -> None:
    diagnostics = looked(with_biases(activation, biases, mlpx.get_backend("numpy")), ONE, TARGETS)
    assert diagnostics.saturated[0].tolist() == pytest.approx([share, 0])
    assert diagnostics.dead[0].tolist() == [0, 0]


def test_units_that_rows_push_to_either_side_are_saturated() -> None:
    net = with_biases("tanh", [0.0, 0.0], mlpx.get_backend("numpy"))
    diagnostics = looked(net, 100 * ONE, TARGETS)
    assert diagnostics.saturated[0, 0] == 1
    assert diagnostics.dead[0, 0] == 0


def test_what_has_no_share_is_not_a_number(backend: Backend) -> None:
    diagnostics = looked(mlpx.MLP([5, 4, 3], activation="exp", backend=backend), X, Y)
    assert np.isnan(diagnostics.saturated).all()
    assert diagnostics.dead[0, 0] == 0
    assert np.isnan(diagnostics.dead[0, 1])


def test_an_activation_of_your_own(backend: Backend) -> None:
    square = mlpx.activations.custom(lambda z, xp: z * z / 2, lambda z, xp: z)
    sine = mlpx.activations.custom(lambda z, xp: xp.sin(z), lambda z, xp: xp.cos(z))
    assert largest_slope(square) == float("inf")
    assert largest_slope(sine) == pytest.approx(1, abs=1e-6)
    assert looked(with_biases(sine, [0.0, 1.0], backend), ONE, TARGETS).saturated[0, 0] == 0


@pytest.mark.parametrize(("name", "slope"), [
    ("logistic", 0.25), ("tanh", 1), ("relu", 1), ("softplus", 1), ("gelu", 1.1289), ("swish", 1.0998),
    ("hard_logistic", 0.25), ("selu", 1.7581), ("softmax", None), ("exp", float("inf")),
])  # fmt: skip
def test_the_largest_slopes(name: str, slope: float | None) -> None:
    assert largest_slope(mlpx.activations.get(name)) == (slope if slope is None else pytest.approx(slope, abs=2e-4))


# Warnings.


def test_ten_logistic_layers_vanish_and_ten_relu_layers_do_not() -> None:
    deep = [5, *[16] * 10, 3]
    with pytest.warns(RuntimeWarning, match="Gradients vanish before the first epoch") as caught:
        found = looked(mlpx.MLP(deep, activation="logistic"), X, Y, epochs=3)
    message = str(caught[0].message)
    assert len(caught) == 1
    assert f"layers[0] (logistic) is {found.ratios[0]:.2g} times that of layers[10] (softmax)" in message
    assert "relu" in message
    assert "skip" in message
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        looked(mlpx.MLP(deep, activation="relu"), X, Y, epochs=3)


def test_huge_weights_explode() -> None:
    net = mlpx.MLP([5, *[16] * 5, 3], initializer=mlpx.initializers.normal(20.0))
    with pytest.warns(
        RuntimeWarning, match=r"Gradients explode before the first epoch.*above 10000.*clip_norm"
    ) as caught:
        looked(net, X, Y, optimizer=mlpx.SGD(1e-12))
    assert len(caught) == 1


def test_a_warning_names_the_member() -> None:
    stack = mlpx.MLP([5, *[16] * 8, 3], activation="logistic", members=4)
    weights = [mlpx.to_numpy(W).copy() for W in stack.weights]
    for W in weights:
        W[:2] *= 4
    stack.set_weights(weights, [mlpx.to_numpy(b) for b in stack.biases])
    diagnostics = mlpx.Diagnostics()
    with pytest.warns(RuntimeWarning, match=r"Gradients of member 2 \(2 members in all\) vanish before"):
        stack.fit(X, Y, epochs=1, callbacks=diagnostics)
    assert (diagnostics.ratios[0, :2] > 1e-4).all()
    assert (diagnostics.ratios[0, 2:] < 1e-4).all()


def test_a_warning_after_epochs_says_which_and_can_be_turned_off() -> None:
    net = mlpx.MLP([5, 8, 3])

    def spoil(run: object) -> None:
        run._state.parameters[...] *= 0.0  # type: ignore[attr-defined]
        run._state.parameters[..., :-27] += 1e-3  # type: ignore[attr-defined]
        run._state.parameters[..., -27:] += 1e-7  # type: ignore[attr-defined]

    with pytest.warns(RuntimeWarning, match="Gradients vanish after epoch 1: "):
        net.fit(X, Y, epochs=3, optimizer=mlpx.SGD(1e-12), callbacks=[spoil, mlpx.Diagnostics(every=1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet = mlpx.Diagnostics(warn=False)
        net.fit(X, Y, epochs=1, optimizer=mlpx.SGD(1e-12), callbacks=quiet)
    assert quiet.ratios[0] < 1e-4


# When there is a look, and that it changes nothing.


@pytest.mark.parametrize(("every", "epochs", "expected"), [
    (1, 3, [0, 1, 2, 3]),
    (10, 7, [0, 3, 6, 7]),
    (999, 4, [0, 4]),
    (None, 260, [0, 250, 260]),
])  # fmt: skip
def test_looks_are_at_the_ends_of_epochs_so_many_steps_apart(
    every: int | None, epochs: int, expected: list[int]
) -> None:
    diagnostics = mlpx.Diagnostics(every=every)
    mlpx.MLP([5, 4, 3]).fit(X, Y, epochs=epochs, batch_size=10, callbacks=diagnostics)
    assert diagnostics.epochs == expected
    assert diagnostics.steps == [4 * epoch for epoch in expected]


@pytest.mark.parametrize("members", [None, 3])
def test_training_goes_on_as_without(backend: Backend, members: int | None) -> None:
    ends = []
    for callbacks in ([], [mlpx.Diagnostics(every=1)]):
        net = mlpx.MLP([5, 8, 3], dropout=0.3, members=members, backend=backend)
        history = net.fit(X, Y, epochs=3, batch_size=16, validation=0.25, callbacks=callbacks)
        ends.append((mlpx.to_numpy(net.vector).tobytes(), history["loss"], history["validation_loss"]))
    assert ends[0] == ends[1]


def test_the_rows_are_the_first_of_the_first_order() -> None:
    net = mlpx.MLP([5, 6, 3], dtype="float64")
    few = mlpx.Diagnostics(rows=4)
    order: list[np.ndarray] = []

    class Orders(mlpx.Callback):
        def start(self, run: object) -> None:
            order.append(run.first_rows(4).index)  # type: ignore[attr-defined]

    before = copy.copy(net)
    net.fit(X, Y, epochs=1, batch_size=8, callbacks=[few, Orders()])
    assert order[0].tolist() != [0, 1, 2, 3]
    np.testing.assert_allclose(norms(few), by_hand(before, X[order[0]], Y[order[0]]), rtol=1e-12)


def test_rows_that_stay_in_a_file(tmp_path: Path, backend: Backend) -> None:
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    stays = np.load(tmp_path / "x.npy", mmap_mode="r")
    tables = []
    for features in (stays, X.astype(np.float32)):
        diagnostics = mlpx.Diagnostics(every=1)
        mlpx.MLP([5, 6, 3], backend=backend).fit(features, Y, epochs=2, batch_size=16, callbacks=diagnostics)
        tables.append(diagnostics.to_dict())
    np.testing.assert_equal(tables[0], tables[1])


def test_it_may_be_asked_for_without_dropout_in_the_way() -> None:
    dropped = looked(mlpx.MLP([5, 8, 3], dropout=0.5, dtype="float64"), X, Y)
    np.testing.assert_allclose(norms(dropped), by_hand(mlpx.MLP([5, 8, 3], dropout=0.5, dtype="float64"), X, Y))


def test_a_network_that_diverges_leaves_its_looks() -> None:
    diagnostics = mlpx.Diagnostics(every=1, warn=False)
    with pytest.raises(mlpx.DivergenceError):
        mlpx.MLP([5, 8, 1], output="linear").fit(1e3 * X, TARGETS[:, 0], optimizer=mlpx.SGD(1e3), callbacks=diagnostics)
    assert diagnostics.epochs[0] == 0
    assert len(diagnostics.epochs) < 50


# What comes out.


def test_the_table_fits_and_rows_are_a_layer_each() -> None:
    net = mlpx.MLP([5, 8, 8, 3], activation=["hard_logistic", "tanh"])
    diagnostics = looked(net, X, Y, epochs=2)
    lines = str(diagnostics).splitlines()
    assert lines[0] == "epoch 2, step 2, look 3"
    assert [line.split("  ")[0] for line in lines[2:]] == diagnostics.layers
    assert max(map(len, lines)) <= 80
    table = diagnostics.to_dict()
    assert list(table) == ["epoch", "step", "layer", "delta_norm", "gradient_norm", "activation_norm", "dead",
                           "saturated"]  # fmt: skip
    assert table["epoch"] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert table["delta_norm"] == diagnostics.delta_norms.ravel().tolist()
    assert table["layer"][:3] == ["layers[0] (hard_logistic)", "layers[1] (tanh)",
                                  "layers[2] (softmax)"]  # fmt: skip


def test_the_table_of_a_stack_has_members() -> None:
    diagnostics = looked(mlpx.MLP([5, 8, 3], members=2), X, Y)
    table = diagnostics.to_dict()
    assert table["member"] == [0, 0, 1, 1] * 2
    assert table["gradient_norm"] == diagnostics.gradient_norms.ravel().tolist()


def test_a_second_fit_begins_a_new_table_and_copies_are_apart() -> None:
    diagnostics = looked(mlpx.MLP([5, 8, 3]), X, Y, epochs=3)
    again = pickle.loads(pickle.dumps(diagnostics))
    np.testing.assert_array_equal(again.delta_norms, diagnostics.delta_norms)
    mlpx.MLP([5, 8, 8, 3]).fit(X, Y, epochs=1, callbacks=again)
    assert again.delta_norms.shape == (2, 3)
    assert diagnostics.delta_norms.shape == (4, 2)
    assert str(mlpx.Diagnostics()) == "no look yet"
    assert mlpx.Diagnostics().delta_norms.shape[0] == 0


@pytest.mark.parametrize(("arguments", "message"), [
    ({"every": 0}, "`every` must be at least 1, got 0"),
    ({"rows": 2.5}, "`rows` must be a whole number"),
    ({"warn": "yes"}, "`warn` must be True or False"),
])  # fmt: skip
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        mlpx.Diagnostics(**arguments)


def test_estimators_take_it() -> None:
    sklearn = pytest.importorskip("mlpx.sklearn")
    ends = []
    for callbacks in (None, mlpx.Diagnostics(every=1)):
        found = sklearn.MLPClassifier((8,), max_iter=4, tol=0, random_state=0, callbacks=callbacks)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found.fit(X, Y)
        ends.append(found)
    assert ends[1].callbacks.epochs == [0, 1, 2, 3, 4]
    assert ends[1].callbacks.delta_norms.shape == (5, 2)
    for one, other in zip(ends[0].coefs_, ends[1].coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_look_is_one_pure_function(ops: Backend) -> None:
    net = mlpx.MLP([5, 7, 3], members=2, backend=ops)
    look = Look(ops, net.architecture)
    x = ops.asarray(X, dtype=net.dtype)
    found = look(net.vector, x, ops.asarray(Y), None)
    assert tuple(found.shape) == (2, 5, 2)
    assert look == Look(ops, net.architecture)
    assert hash(look) == hash(Look(ops, net.architecture))


def test_before_a_fit_there_is_nothing_to_see():
    diagnostics = mlpx.Diagnostics()
    assert diagnostics.ratios.shape == (0,)
    assert diagnostics.to_dict()["layer"] == []
