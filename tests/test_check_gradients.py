"""The public gradient check: right derivatives pass, wrong ones are found and named, kinks neither fail nor hide."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpx
from elementwise import NAMES
from mlpx import Dense, Dropout, Network, activations, losses
from mlpx.differentiation import check_derivative, check_gradients

PAIRS = [
    ("linear", "squared_error"), ("tanh", "mean_squared_error"), ("linear", "absolute_error"),
    ("linear", losses.huber(0.5)), ("linear", losses.quantile(0.8)), ("exp", "poisson"),
    ("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy"), ("softmax", "squared_error"),
]  # fmt: skip


def data(output="linear", rows=20, outputs=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 4))
    if output == "softmax":
        return X, rng.dirichlet(np.ones(outputs), size=rows)
    return X, rng.uniform(0.1, 0.9, size=(rows, outputs))


@dataclass(frozen=True)
class _Tilted(activations.Activation):
    """tanh, whose derivative is wrong by a factor."""

    factor: float = 1.01
    uses = "y"

    def __call__(self, z, xp):
        return xp.tanh(z)

    def derivative(self, v, xp):
        return self.factor * (1 - v * v)


@dataclass(frozen=True)
class _HalfError(losses.Loss):
    """The squared error with the gradient of twice it."""

    def value_and_gradient(self, x, y, xp):
        r = x - y
        return xp.sum(r * r, axis=-1) / 2, 2 * r


class _Saved(NamedTuple):
    x: np.ndarray


class _Gradients(NamedTuple):
    gain: np.ndarray


@dataclass(frozen=True)
class _Gain(mlpx.Layer):
    """A factor for every unit, whose gradient may forget a row."""

    units: int
    forgets: bool = False

    def shapes(self):
        return {"gain": (self.units,)}

    def initialize(self, stream):
        return {"gain": stream.xp.ones(self.units)}

    def masks(self, xp):
        return {"gain": (xp.zeros(self.units), xp.ones(self.units))}

    def forward(self, ops, params, x, *, training, draw):
        return x * params["gain"][..., None, :], _Saved(x)

    def backward(self, ops, params, saved, dy, *, need_dx=True, out=None):
        rows = (dy * saved.x)[..., 1:, :] if self.forgets else dy * saved.x
        return dy * params["gain"][..., None, :], _Gradients(ops.xp.sum(rows, axis=-2))


@pytest.mark.parametrize("activation", NAMES)
def test_every_activation_passes(activation, backend):
    X, y = data()
    net = mlpx.MLP([4, 5, 3], activation=activation, output="linear", backend=backend, l2=0.1)
    before = mlpx.to_numpy(net.vector)
    report = check_gradients(net, X, y, sample=8)
    report.assert_passed()
    assert net.dtype_name == "float32"
    np.testing.assert_array_equal(mlpx.to_numpy(net.vector), before)


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_every_loss_passes_also_in_a_stack_and_with_weights(output, loss, backend):
    X, y = data(output)
    weight = np.random.default_rng(1).uniform(0, 2, size=20)
    stack = mlpx.MLP([4, 5, 3], activation="gelu", output=output, loss=loss, members=2, l2=[0.0, 0.2], backend=backend)
    report = check_gradients(stack, X, y, sample_weight=weight, sample=6)
    report.assert_passed()
    assert [block.checked for block in report.blocks] == [12, 12, 2]
    check_gradients(stack.member(1), X, y, sample_weight=weight, sample=6).assert_passed()


def test_all_entries_are_checked_where_no_sample_is_asked_for():
    X, y = data()
    layers = [Dense(4, 6, "tanh", bias="frozen"), Dense(6, 6, "relu", bias=False), Dense(6, 3)]
    report = check_gradients(Network(layers), X, y, sample=None)
    assert [(b.name, b.shape, b.checked) for b in report.blocks] == [
        ("0.Dense.theta", (5, 6), 30),
        ("1.Dense.theta", (6, 6), 36),
        ("2.Dense.theta", (7, 3), 21),
        ("random direction", (), 1),
    ]
    report.assert_passed()


def test_dropout_acts_with_the_same_draws_on_both_sides():
    X, y = data()
    net = Network([Dropout(0.2), Dense(4, 20, "tanh"), Dropout(0.5), Dense(20, 3)], seed=3)
    drawn, plain = check_gradients(net, X, y, training=True), check_gradients(net, X, y)
    drawn.assert_passed()
    plain.assert_passed()
    assert drawn.blocks[-1].worst.exact != plain.blocks[-1].worst.exact


def test_the_worked_example_has_its_numbers():
    net = Network([Dense(2, 2, "logistic", bias="frozen"), Dense(2, 2, "logistic", bias="frozen")],
                  loss="squared_error", dtype="float64")  # fmt: skip
    net.set_weights([[[0.15, 0.25], [0.2, 0.3]], [[0.4, 0.5], [0.45, 0.55]]], [[0.35, 0.35], [0.6, 0.6]])
    report = check_gradients(net, [[0.05, 0.1]], [[0.01, 0.99]], sample=None)
    report.assert_passed()
    assert report.blocks[0].worst.error < 1e-7
    known = [[0.08216704, -0.02260254], [0.08266763, -0.02274024], [0.13849856, -0.03809824]]
    worst = report.blocks[1].worst
    assert worst.numerical == pytest.approx(known[worst.index[0]][worst.index[1]], abs=1e-8)


def test_a_wrong_derivative_is_found_in_the_layers_before_it():
    X, y = data()
    net = Network([Dense(4, 6, "tanh"), Dense(6, 6, _Tilted()), Dense(6, 3)])
    report = check_gradients(net, X, y)
    assert [(b.name, b.passed) for b in report.blocks] == [
        ("0.Dense.theta", False),
        ("1.Dense.theta", False),
        ("2.Dense.theta", True),
        ("random direction", False),
    ]
    assert not report
    assert report.blocks[0].worst.exact / report.blocks[0].worst.numerical == pytest.approx(1.01, rel=1e-6)
    with pytest.raises(AssertionError) as caught:
        report.assert_passed()
    worst = report.blocks[1].worst
    for shown in ("0.Dense.theta, 1.Dense.theta, random direction", f"{worst.exact:.9g}", f"{worst.numerical:.9g}"):
        assert shown in str(caught.value)


def test_a_wrong_gradient_of_a_loss_is_found_in_all_blocks():
    X, y = data()
    report = check_gradients(mlpx.MLP([4, 5, 3], output="linear", loss=_HalfError()), X, y)
    assert [b.passed for b in report.blocks] == [False] * 3
    assert all(b.worst.exact == pytest.approx(2 * b.worst.numerical, rel=1e-5) for b in report.blocks)


@pytest.mark.parametrize("members", [None, 3])
def test_a_wrong_layer_is_named(members):
    X, y = data()

    def network(forgets):
        return Network([Dense(4, 5, "tanh"), _Gain(5, forgets), Dense(5, 3)], members=members)

    check_gradients(network(False), X, y).assert_passed()
    report = check_gradients(network(True), X, y)
    assert [b.name for b in report.blocks if not b.passed] == ["1._Gain.gain", "random direction"]


def test_kinks_do_not_fail_and_are_counted():
    # a row of zeros with biases of zero lies on the kink of every unit
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    for members in (None, 3):
        net = mlpx.MLP([2, 8, 1], activation="relu", output="sigmoid", members=members)
        report = check_gradients(net, X, y)
        report.assert_passed()
        assert report.blocks[0].kinks >= 8 * (members or 1)
        assert report.blocks[1].kinks == 0
    # thousands of rows lie near kinks
    rng = np.random.default_rng(0)
    net = mlpx.MLP([4, 20, 1], activation="relu", output="linear", loss="absolute_error")
    report = check_gradients(net, rng.normal(size=(5000, 4)), rng.normal(size=5000), sample=None)
    report.assert_passed()
    assert sum(block.kinks for block in report.blocks) > 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.9, 0.999, 1.0005, 1.5, -1.0]), st.booleans())
def test_kinks_do_not_hide_a_wrong_derivative(seed, factor, zeros):
    def slope(z, xp):
        return factor * xp.astype(z > 0, z.dtype)

    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    wrong = activations.custom(lambda z, xp: xp.maximum(z, 0.0), slope)
    net = mlpx.MLP([3, 6, 1], activation=wrong, output="linear", seed=seed)
    report = check_gradients(net, np.where(np.arange(30)[:, None] < 10, 0, X) if zeros else X, y, seed=seed)
    assert not report.blocks[0].passed
    assert report.blocks[1].passed


def test_derivatives_of_activations_are_checked_at_points():
    for name in NAMES:
        check_derivative(name).assert_passed()
        check_derivative(name, [-2.0, -1.0, 0.0, 0.5, 1.0, 2.0]).assert_passed()
    assert check_derivative("relu", [-1.0, 0.0, 1.0]).blocks[0].kinks == 1
    wrong = check_derivative(_Tilted(1 + 2e-5), [[0.0, 0.5]])
    assert (wrong.passed, wrong.blocks[0].failed, wrong.blocks[0].checked) == (False, 2, 2)
    broken = check_derivative(activations.custom(lambda z, xp: xp.sqrt(z), lambda z, xp: 0.5 / xp.sqrt(z)), [4.0, 9.0])
    broken.assert_passed()


def test_what_is_not_finite_fails():
    nan = activations.custom(lambda z, xp: z * z, lambda z, xp: xp.log(z - z - 1))
    with np.errstate(invalid="ignore"):
        assert not check_derivative(nan, [1.0])


def test_the_table_fits_80_columns():
    X, y = data()
    net = Network([Dense(4, 6, "tanh"), Dense(6, 6, _Tilted()), Dense(6, 3)], members=2)
    lines = str(check_gradients(net, X, y)).splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) <= 80
    assert "FAILED" in lines[0]
    assert lines[2].split() == ["0.Dense.theta", "5x6", "60", "0", lines[2].split()[4], "WRONG"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"step": 0}, ValueError, "`step` must be above 0"),
        ({"tolerance": 2}, ValueError, "`tolerance` must be"),
        ({"sample": 0}, ValueError, "`sample` must be at least 1"),
        ({"seed": -1}, ValueError, "`seed` must be at least 0"),
        ({"training": 1}, TypeError, "`training` must be True or False"),
    ],
)
def test_wrong_arguments_are_refused(options, error, message):
    X, y = data()
    with pytest.raises(error, match=message):
        check_gradients(mlpx.MLP([4, 5, 3], output="linear"), X, y, **options)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("net", r"`net` must be an mlpx\.Network, got str\. Build one, such as"),
        (mlpx.MLP, "got the class MLP"),
    ],
)
def test_what_is_no_network_is_refused(net, message):
    with pytest.raises(TypeError, match=message):
        check_gradients(net, *data())


def test_an_estimator_is_told_to_give_its_network():
    pytest.importorskip("sklearn")
    from mlpx.sklearn import MLPClassifier

    with pytest.raises(TypeError, match=r"got MLPClassifier\. Give its network_"):
        check_gradients(MLPClassifier(), *data())


def test_a_network_without_derivative_is_refused():
    X, y = data()
    with pytest.raises(ValueError, match="'step' has no derivative"):
        check_gradients(mlpx.MLP([4, 5, 3], activation="step", output="linear"), X, y)


def test_a_steep_function_is_no_kink():
    wrong = activations.custom(lambda z, xp: xp.sin(500 * z), lambda z, xp: 500.2 * xp.cos(500 * z))
    report = check_derivative(wrong)
    assert report.blocks[0].failed > 190
    assert report.blocks[0].kinks == 0


def test_names_of_nested_blocks_stand_whole():
    block = mlpx.Skip(mlpx.Skip(mlpx.Dense(2, 2, "tanh")))
    net = mlpx.Network([block, mlpx.Dense(2, 1)])
    assert "0.layers.0.layers.0.Dense.theta  " in str(check_gradients(net, [[0.5, 1.0]], [[1.0]]))
