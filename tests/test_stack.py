"""A stack learns exactly what its members learn alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mlpx
from mlpx import schedules
from mlpx.backends import Backend

S, N = 3, 24
RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(N, 4)), RNG.integers(0, 3, size=N)
X_EACH, Y_EACH = RNG.normal(size=(S, N, 4)), RNG.integers(0, 3, size=(S, N))
WEIGHTS = RNG.uniform(0.1, 2.0, size=(S, N))
SUBSETS = (np.arange(20), np.arange(7, 18), np.arange(24) % 2 * 11)  # of unequal size, the last with repeated rows
RATES = (0.1, 0.01, 0.3)

Pick = Callable[[Any], Any]
"""Gives the stack all values of the members, and a member alone its own."""

# Each case gives arguments of the network and of `fit`.
CASES: dict[str, Callable[[Pick], tuple[dict, dict]]] = {
    "seeds": lambda i: ({"seed": i([11, 2, 2**40])}, {}),
    "penalties": lambda i: ({"l2": i((0.0, 0.1, 1.0))}, {}),
    "dropout rates": lambda i: ({"dropout": i((0.1, 0.25, 0.5))}, {}),
    "clip norms": lambda i: ({}, {"clip_norm": i((0.1, 1.0, 100.0))}),
    "sgd": lambda i: ({}, {"optimizer": mlpx.SGD(i(RATES))}),
    "momentum": lambda i: ({}, {"optimizer": mlpx.SGD(i(RATES), momentum=i((0.0, 0.5, 0.9)))}),
    "nesterov": lambda i: ({}, {"optimizer": mlpx.SGD(0.1, momentum=i((0.3, 0.5, 0.9)), nesterov=True)}),
    "adam": lambda i: ({}, {"optimizer": mlpx.Adam(i(RATES), i((0.9, 0.5, 0.0)), i((0.9, 0.99, 0.999)))}),
    "epsilon hat": lambda i: ({}, {"optimizer": mlpx.Adam(epsilon=i((1e-3, 1e-2, 1e-8)), epsilon_hat=True)}),
    "adamw": lambda i: ({}, {"optimizer": mlpx.AdamW(weight_decay=i((0.0, 0.1, 0.5)))}),
    "rmsprop": lambda i: ({}, {"optimizer": mlpx.RMSProp(0.01, i((0.9, 0.5, 0.99)), i((0.0, 0.9, 0.5)))}),
    "step": lambda i: ({}, {"optimizer": mlpx.SGD(schedules.Step(i(RATES), i((0.5, 0.1, 1.0)), 2))}),
    "exponential": lambda i: ({}, {"optimizer": mlpx.SGD(schedules.Exponential(i(RATES), i((0.5, 0.9, 1.0))))}),
    "warm-up, cosine": lambda i: (
        {},
        {"optimizer": mlpx.SGD(schedules.WarmupCosine(i(RATES), 3)), "subsets": i(SUBSETS)},
    ),
    "one cycle": lambda i: ({}, {"optimizer": mlpx.SGD(schedules.OneCycle(i(RATES))), "subsets": i(SUBSETS)}),
    "on plateau": lambda i: (
        {},
        {"optimizer": mlpx.SGD(schedules.OnPlateau(i((9.0, 1.0, 0.1)), 0.5, 1)), "validation": 0.25},
    ),
    "inverse scaling": lambda i: ({}, {"optimizer": mlpx.SGD(schedules.InverseScaling(i(RATES), i((0.5, 0.2, 1.0))))}),
    "subsets": lambda i: ({"dropout": 0.25}, {"subsets": i(SUBSETS), "sample_weight": WEIGHTS[0]}),
    "subsets, not shuffled": lambda i: ({}, {"subsets": i(SUBSETS), "shuffle": False, "validation": 0.3}),
    "features": lambda i: ({}, {"X": i(X_EACH), "metrics": "accuracy"}),
    "features and targets": lambda i: (
        {},
        {"X": i(X_EACH), "y": i(Y_EACH), "subsets": i(SUBSETS), "class_weight": "balanced"},
    ),
    "rows of one hot": lambda i: ({}, {"X": i(X_EACH), "y": i(np.eye(3)[Y_EACH]), "validation": 0.25}),
    "targets beside shared features": lambda i: ({}, {"y": i(np.eye(3)[Y_EACH])}),
    "validation by member": lambda i: (
        {},
        {"validation": (i(X_EACH), i(Y_EACH), i(WEIGHTS)), "patience": 1, "epochs": 9, "optimizer": mlpx.SGD(2.0)},
    ),
    "balanced classes": lambda i: ({}, {"X": i(X_EACH), "y": i(Y_EACH), "class_weight": "balanced"}),
    "sample weights": lambda i: ({}, {"sample_weight": i(WEIGHTS), "validation": 0.25, "metrics": "accuracy"}),
    "patience": lambda i: (
        {"dropout": i((0.5, 0.1, 0.25))},
        {"optimizer": mlpx.SGD(i((0.5, 0.01, 2.0))), "epochs": 12, "patience": 2}
        | {"validation": (X[::-1], Y), "metrics": "accuracy", "subsets": i(SUBSETS)},
    ),
}


def make(backend: Backend, **options) -> mlpx.MLP:
    settings = {"activation": "tanh", "dtype": "float64", "backend": backend}
    return mlpx.MLP([4, 6, 3], **settings | options)


def fit(net: mlpx.Network, options: dict) -> mlpx.History:
    """Fit with the arguments of a case; what is a subset in a stack is the data itself alone."""
    settings = {"X": X, "y": Y, "epochs": 3, "batch_size": 4, "optimizer": mlpx.SGD(0.2)} | options
    if net.members is None and "subsets" in settings:
        rows = settings.pop("subsets")
        settings |= {k: settings[k][rows] for k in ("X", "y", "sample_weight") if k in settings}
    return net.fit(settings.pop("X"), settings.pop("y"), **settings)


def parameters(net: mlpx.Network) -> list[np.ndarray]:
    return [mlpx.to_numpy(array) for array in (*net.weights, *net.biases)]


def assert_member(stack, history, i: int, net, own, tolerance: float) -> None:
    """Compare a member of a stack, and its column of the history, with a network that was fitted alone."""
    for a, b in zip(parameters(stack), parameters(net), strict=True):
        assert_allclose(a[i], b, rtol=tolerance, atol=tolerance)
    for name, column in own.items():
        found = np.array(history[name])[:, i]
        assert_allclose(found[: own.epochs], column, rtol=tolerance, err_msg=name)
        assert np.all(np.isnan(found[own.epochs :]))
    assert history.best_epoch[i] == own.best_epoch
    assert (stack.epochs_seen[i], stack.steps_seen[i]) == (net.epochs_seen[0], net.steps_seen[0])


@pytest.mark.parametrize("case", CASES)
def test_a_stack_learns_what_its_members_learn_alone(backend: Backend, case: str) -> None:
    seeds = {"seed": [5, 9, 2]}
    options, arguments = CASES[case](lambda values: values)
    stack = make(backend, members=S, **seeds | options)
    history = fit(stack, arguments)
    for i in range(S):
        own_options, own_arguments = CASES[case](lambda values, i=i: values[i])
        alone = make(backend, **{"seed": seeds["seed"][i]} | own_options)
        own = fit(alone, own_arguments)
        assert_member(stack, history, i, alone, own, 1e-12 if backend.name == "numpy" else 1e-10)


def test_members_stop_at_different_epochs() -> None:
    """Else the case of patience above would show nothing."""
    options, arguments = CASES["patience"](lambda values: values)
    history = fit(make("numpy", members=S, seed=[5, 9, 2], **options), arguments)
    epochs = np.sum(np.isfinite(history["loss"]), axis=0)
    assert len(set(epochs.tolist())) > 1
    assert max(epochs) < 12
    assert history.stopped == "patience"


def test_the_order_of_the_rows_may_be_shared(backend: Backend) -> None:
    """Then every member sees the rows as the first one does."""
    stack = make(backend, members=S, seed=[5, 9, 2], l2=(0.0, 0.1, 1.0))
    history = fit(stack, {"shared_order": True, "validation": 0.25})
    for i, l2 in enumerate((0.0, 0.1, 1.0)):
        alone = make(backend, seed=5, l2=l2)
        alone.set_weights(*(make(backend, seed=[5, 9, 2][i]).__getattribute__(k) for k in ("weights", "biases")))
        own = fit(alone, {"validation": 0.25})
        assert_member(stack, history, i, alone, own, 1e-10)


@pytest.mark.parametrize("seed", [7, [3, 1, 4]])
def test_a_member_goes_on_as_it_would_in_the_stack(backend: Backend, seed: Any) -> None:
    stack = make(backend, members=S, seed=seed, dropout=(0.0, 0.5, 0.25), l2=(0.1, 0.0, 0.2))
    fit(stack, {"subsets": SUBSETS})
    members = [stack.member(i) for i in range(S)]
    assert_array_equal(*(mlpx.to_numpy(net.weights[0]) for net in (stack.member(-1), members[2])))
    for i, net in enumerate(members):
        assert net.members is None
        assert_allclose(net.predict(X), stack.predict(X)[i], rtol=1e-13)
        assert_array_equal(net.predict_labels(X), stack.predict_labels(X)[i])
        assert_allclose(net.evaluate(X, Y)["loss"], stack.evaluate(X, Y)["loss"][i], rtol=1e-13)
    history = fit(stack, {"subsets": SUBSETS, "validation": 0.25})
    for i, net in enumerate(members):
        own = fit(net, {"subsets": SUBSETS[i], "validation": 0.25})
        assert_member(stack, history, i, net, own, 1e-12 if backend.name == "numpy" else 1e-10)


def test_a_member_is_a_copy() -> None:
    stack = make("numpy", members=2)
    before = [array.copy() for array in parameters(stack)]
    member = stack.member(1)
    fit(member, {})
    for a, b in zip(parameters(stack), before, strict=True):
        assert_array_equal(a, b)
    for index in (2, -3):
        with pytest.raises(IndexError, match="`index`"):
            stack.member(index)
    with pytest.raises(ValueError, match="`members`"):
        member.member(0)


def test_members_of_one_seed_differ_and_each_has_its_stream() -> None:
    weights = make("numpy", members=4, seed=7).weights[0]
    assert len({w.tobytes() for w in weights}) == 4
    assert_array_equal(weights[0], make("numpy", seed=7).weights[0])
    assert_array_equal(weights[:2], make("numpy", members=2, seed=7).weights[0])


def test_numbers_of_a_stack_have_one_entry_a_member(backend: Backend) -> None:
    net = make(backend, members=S, l2=0.1)
    grads = net.backward(net.forward(X), Y, sample_weight=WEIGHTS)
    assert tuple(grads.loss.shape) == tuple(grads.data_loss.shape) == (S,)
    assert tuple(grads.weights[0].shape) == (S, 4, 6)
    history = fit(net, {"metrics": ("accuracy", "error_rate"), "validation": (X, Y)})
    assert all(np.shape(column) == (3, S) for column in history.values())
    values = net.evaluate(X, Y, metrics=("accuracy", "roc_auc"), sample_weight=WEIGHTS)
    assert {name: value.shape for name, value in values.items()} == dict.fromkeys(("loss", "accuracy", "roc_auc"), (S,))
    assert tuple(net.predict(X).shape) == (S, N, 3)
    assert tuple(net.predict_labels(X).shape) == (S, N)


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_targets_of_one_output_may_lack_the_last_axis(backend: Backend, output: str) -> None:
    y = (Y_EACH > 1).astype(float)
    nets = [mlpx.MLP([4, 1], output=output, dtype="float64", members=S, backend=backend) for _ in range(2)]
    nets[0].fit(X_EACH, y, epochs=2)
    nets[1].fit(X_EACH, y[..., None], epochs=2)
    for a, b in zip(parameters(nets[0]), parameters(nets[1]), strict=True):
        assert_array_equal(a, b)


WRONG = {
    "`l2`": {"l2": (0.1, 0.2)},
    "`seed`": {"seed": [1, 2]},
    "`dropout`|`rate`": {"dropout": (0.1, 0.2)},
}


@pytest.mark.parametrize("name", WRONG)
def test_one_number_a_member_must_be_one_a_member(name: str) -> None:
    for members in (None, S):
        with pytest.raises(ValueError, match=name):
            make("numpy", members=members, **WRONG[name])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("`learning_rate`", {"optimizer": mlpx.SGD((0.1, 0.2))}),
        ("`factor`", {"optimizer": mlpx.SGD(schedules.Step(0.1, (0.1, 0.2)))}),
        ("`clip_norm`", {"clip_norm": (1.0, 2.0)}),
        ("`subsets`", {"subsets": [[0], [1]]}),
        (r"`subsets\[1\]`", {"subsets": [[0], [24], [1]]}),
        (r"`subsets\[2\]`", {"subsets": [[0], [1], []]}),
        ("`sample_weight`", {"sample_weight": np.ones((2, N))}),
        ("`X`", {"X": X_EACH[:2]}),
        ("`y`", {"y": Y_EACH}),  # beside shared features
        ("`y`", {"X": X_EACH, "y": Y_EACH[:2]}),
    ],
)
def test_arguments_of_fit_must_fit_the_members(name: str, options: dict) -> None:
    net = make("numpy", members=S)
    before = [array.copy() for array in parameters(net)]
    with pytest.raises(ValueError, match=name):
        fit(net, options)
    for a, b in zip(parameters(net), before, strict=True):
        assert_array_equal(a, b)
