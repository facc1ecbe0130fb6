"""The learning-rate range test: where it ends, what it suggests, and that the network stays as it is."""

import dataclasses

import numpy as np
import pytest

import mlpx
from mlpx.backends import Backend

RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 4)) * np.asarray([3.0, 1.0, 1.0, 0.5])
T = X @ RNG.normal(size=(4, 1)) + 0.5
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


def linear(**options: object) -> mlpx.Network:
    return mlpx.MLP([4, 1], output="linear", dtype="float64", **options)


def largest_eigenvalue(net: mlpx.Network) -> float:
    """Return that of the Hessian of the mean loss, which is quadratic: its columns are differences of gradients."""
    w, b = np.zeros((4, 1)), np.zeros(1)
    columns = []
    for i in range(-1, 5):
        at = np.zeros(5)
        at[i] = 0.0 if i < 0 else 1.0
        net.set_weights([at[:4, None] + w], [at[4:] + b])
        found = net.backward(net.forward(X), T)
        columns.append(np.concat([mlpx.to_numpy(found.weights[0])[:, 0], mlpx.to_numpy(found.biases[0])]))
    return float(np.linalg.eigvalsh(np.stack(columns[1:]) - columns[0]).max())


def test_descent_on_a_quadratic_diverges_beyond_two_by_the_curvature(backend: Backend) -> None:
    found = mlpx.learning_rate_range_test(
        linear(backend=backend), X, T, optimizer="sgd", batch_size=60, lowest=1e-5, highest=100, steps=150
    )
    threshold = 2 / largest_eigenvalue(linear())
    assert found.diverged
    assert found.suggestion < threshold < found.learning_rates[-1]
    assert found.learning_rates[-1] < 100 * threshold
    assert found.suggestion > threshold / 100


def test_the_losses_are_those_of_training_by_hand() -> None:
    net = mlpx.MLP([4, 6, 2], activation="tanh", dtype="float64", l2=0.01)
    found = mlpx.learning_rate_range_test(
        net, X, Y, optimizer=mlpx.SGD(5.0), batch_size=60, lowest=1e-3, highest=1, steps=20
    )
    rates = 1e-3 * 1000 ** (np.arange(20) / 19)
    np.testing.assert_allclose(found.learning_rates, rates, rtol=1e-12)
    losses = []
    for rate in rates:
        gradients = net.backward(net.forward(X), Y)
        losses.append(float(gradients.loss))
        net.set_weights(
            [W - rate * g for W, g in zip(net.weights, gradients.weights, strict=True)],
            [b - rate * g for b, g in zip(net.biases, gradients.biases, strict=True)],
        )
    np.testing.assert_allclose(found.losses, losses, rtol=1e-10)
    weights = 0.9 ** np.arange(20)
    means = [np.average(losses[: t + 1], weights=weights[t::-1]) for t in range(20)]
    np.testing.assert_allclose(found.smoothed, means, rtol=1e-10)
    assert not found.diverged
    assert found.suggestion == found.learning_rates[np.argmin(means)] / 10


def test_each_row_is_seen_once_in_each_pass() -> None:
    # the network gives 0 throughout, so that the loss of a batch of one row tells which it was
    net = linear()
    net.set_weights([[[0.0]] * 4], [[0.0]])
    targets = np.arange(10.0, 20.0)[:, None]
    found = mlpx.learning_rate_range_test(
        net, X[:10], targets, optimizer="sgd", batch_size=1, lowest=1e-30, highest=1e-29, steps=20
    )
    scale = found.losses.max() / 19**2
    seen: list[float] = np.round(np.sqrt(found.losses / scale)).tolist()
    assert sorted(seen[:10]) == list(range(10, 20))
    assert sorted(seen[10:]) == list(range(10, 20))
    assert seen[:10] != seen[10:]


def test_the_network_stays_as_it_is(backend: Backend) -> None:
    net = mlpx.MLP([4, 6, 2], dropout=0.2, backend=backend)
    net.fit(X, Y, epochs=2)
    before = net.__getstate__()
    vector = before["vector"].tobytes()
    first = mlpx.learning_rate_range_test(net, X, Y, steps=30, batch_size=8)
    after = net.__getstate__()
    assert after["vector"].tobytes() == vector
    for name in ("keys", "epochs_seen", "steps_seen", "classes", "preprocessing"):
        assert after[name] == before[name]
    again = mlpx.learning_rate_range_test(net, X, Y, steps=30, batch_size=8)
    np.testing.assert_array_equal(first.losses, again.losses)


def test_members_of_a_stack_have_tests_of_their_own(backend: Backend) -> None:
    stack = linear(members=3, backend=backend)
    rows = [np.arange(60), np.arange(30), np.arange(20, 60)]
    options = {"optimizer": "sgd", "batch_size": 20, "lowest": 1e-4, "highest": 50, "steps": 60}
    found = mlpx.learning_rate_range_test(stack, X, T, subsets=rows, **options)
    for s, own in enumerate(rows):
        single = mlpx.learning_rate_range_test(stack.member(s), X[own], T[own], **options)
        n = len(single.losses)
        np.testing.assert_allclose(found.losses[:n, s], single.losses, rtol=1e-9)
        assert np.isnan(found.losses[n:, s]).all()
        assert found.suggestion[s] == pytest.approx(single.suggestion)
        assert found.diverged[s] == single.diverged
    assert len(found.learning_rates) == len(found.losses) == max((~np.isnan(found.losses)).sum(axis=0))
    assert [line.split(":")[0] for line in str(found).splitlines()] == ["member 0", "member 1", "member 2"]


def test_what_is_not_finite_is_the_end_of_the_curve(backend: Backend) -> None:
    found = mlpx.learning_rate_range_test(
        mlpx.MLP([4, 8, 1], output="linear", backend=backend), 1e12 * X, T, optimizer="sgd", highest=1e10, steps=40
    )
    assert found.diverged
    assert np.isfinite(found.losses).all()
    assert np.isfinite(found.smoothed).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_half_precision_and_other_optimizers(dtype: str) -> None:
    for optimizer in ("adam", mlpx.AdamW(weight_decay=0.1), mlpx.RMSProp(0.1), mlpx.SGD(1.0, momentum=0.9)):
        found = mlpx.learning_rate_range_test(
            mlpx.MLP([4, 16, 2], dtype=dtype), X, Y, optimizer=optimizer, batch_size=16
        )
        assert 1e-5 < found.suggestion < 1


def test_rows_without_weight_take_no_part() -> None:
    weight = np.where(np.arange(60) < 20, 1.0, 0.0)
    options = {"batch_size": 1, "steps": 40, "optimizer": "sgd", "highest": 1e-3}
    found = mlpx.learning_rate_range_test(linear(), X, T, sample_weight=weight, **options)
    plain = mlpx.learning_rate_range_test(linear(), X[:20], T[:20], **options)
    np.testing.assert_allclose(found.losses, plain.losses, rtol=1e-12)
    labelled = mlpx.learning_rate_range_test(mlpx.MLP([4, 8, 2]), X, Y, class_weight={0: 0.0}, batch_size=1)
    assert len(labelled.losses) == 200


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    found = mlpx.learning_rate_range_test(linear(), X, T, optimizer="sgd", batch_size=60, lowest=10, highest=100)
    assert np.isnan(found.suggestion)
    assert "no learning rate to suggest" in str(found)


def test_words_and_lists() -> None:
    found = mlpx.learning_rate_range_test(linear(), X, T, optimizer="sgd", batch_size=60, highest=100)
    assert f"suggested: {found.suggestion:.2g}" in str(found)
    assert "it diverged beyond" in str(found)
    assert found.to_dict()["losses"] == found.losses.tolist()
    assert list(found.to_dict()) == ["learning_rates", "losses", "smoothed"]
    assert dataclasses.is_dataclass(found)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"lowest": 0}, "`lowest` must be above 0"),
    ({"lowest": 1, "highest": 0.5}, "`highest` must be above 1"),
    ({"steps": 3}, "`steps` must be at least 10, got 3"),
    ({"batch_size": 0}, "`batch_size` must be at least 1"),
    ({"clip_norm": (1.0, 2.0)}, "`clip_norm` must hold one number"),
])  # fmt: skip
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        mlpx.learning_rate_range_test(linear(), X, T, **arguments)


def test_a_loss_that_is_not_finite_at_the_first_step_is_said_so():
    net = mlpx.MLP([1, 3, 1], activation="exp", output="linear", seed=0)
    found = mlpx.learning_rate_range_test(net, [[1e4], [-1e4]], [0.0, 1.0], steps=10)
    assert str(found) == "the loss was not finite at the first step; no learning rate to suggest"
    assert np.isnan(found.suggestion)
    assert found.diverged
