"""Training, compared with a loop written by hand, and everything that ends it."""

import math
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mlpx
from mlpx.backends import Backend

SIZES, SEED, N = [3, 5, 3], 7, 23
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(N, 3)), RNG.integers(0, 3, size=N)
WEIGHT = RNG.uniform(0.1, 2.0, size=N)
SGD = mlpx.SGD(0.3)


def make(backend: Backend | str = "numpy", **options) -> mlpx.MLP:
    return mlpx.MLP(SIZES, **{"activation": "tanh", "dtype": "float64", "seed": SEED, "backend": backend} | options)


def parameters(net: mlpx.Network) -> list[np.ndarray]:
    return [mlpx.to_numpy(array).copy() for array in (*net.weights, *net.biases)]


def assert_same(found: list[np.ndarray], wanted: list[np.ndarray], rtol: float = 0.0) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert_allclose(a, b, rtol=rtol, atol=rtol)


def permutation(purpose: int, epoch: int, n: int, seed: int = SEED, member: int = 0) -> np.ndarray:
    """Draw an order as the documentation says: where raw words of the named Philox stream stand in ascending order."""
    key = np.array([seed, (purpose << 32) + member], dtype=np.uint64)
    return np.argsort(np.random.Philox(key=key, counter=[0, 0, epoch, 0]).random_raw(n))


SHUFFLE, SPLIT = 1, 3


def outputs(p: list[np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the hidden activation and the logarithm of the softmax."""
    w1, w2, b1, b2 = p
    a = np.tanh(x @ w1 + b1)
    z = a @ w2 + b2
    return a, z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))


def mean_loss(p: list[np.ndarray], x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> float:
    return -np.average(outputs(p, x)[1][np.arange(len(y)), y], weights=weight)


def epoch_by_hand(p, order, targets, weight, *, batch_size, rate=0.3, l2=0.0, clip=math.inf):
    """Make one epoch of section 2 of the specification; return the parameters and the epoch's loss."""
    total_loss = 0.0
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        share = weight[rows] / weight[rows].sum()
        a, log_p = outputs(p, X[rows])
        w1, w2 = p[:2]
        loss = -share @ np.sum(targets[rows] * log_p, axis=1) + l2 / 2 * (np.sum(w1**2) + np.sum(w2**2))
        delta2 = share[:, None] * (np.exp(log_p) - targets[rows])
        delta1 = (1 - a**2) * (delta2 @ w2.T)
        gradient = [X[rows].T @ delta1 + l2 * w1, a.T @ delta2 + l2 * w2, delta1.sum(axis=0), delta2.sum(axis=0)]
        rate_now = rate * min(1.0, clip / np.sqrt(sum(np.sum(g**2) for g in gradient)))
        p = [value - rate_now * g for value, g in zip(p, gradient, strict=True)]
        total_loss += loss * weight[rows].sum()
    return p, total_loss / weight[order].sum()


ONE_HOT, ONES = np.eye(3)[Y], np.ones(N)
BALANCED = (N / (3 * np.bincount(Y)))[Y]
CASES = {
    "one row a batch": {"batch_size": 1},
    "a shorter last batch": {"batch_size": 5},
    "one batch": {"batch_size": N},
    "a batch larger than the data": {"batch_size": 1000},
    "no shuffling": {"batch_size": 5, "shuffle": False},
    "sample weights": {"batch_size": 5, "sample_weight": WEIGHT},
    "class weights by name": {"batch_size": 5, "class_weight": {0: 2.0, 2: 0.5}},
    "balanced, times sample weights": {"batch_size": 5, "class_weight": "balanced", "sample_weight": WEIGHT},
    "label smoothing": {"batch_size": 5, "label_smoothing": 0.3},
    "penalty": {"batch_size": 5, "l2": 0.1},
    "gradients bounded, penalty included": {"batch_size": 5, "l2": 0.1, "clip_norm": 0.2},
}
EFFECTIVE = {
    "sample weights": WEIGHT,
    "class weights by name": np.array([2.0, 1.0, 0.5])[Y],
    "balanced, times sample weights": BALANCED * WEIGHT,
}


@pytest.mark.parametrize("case", CASES)
def test_training_equals_the_loop_written_by_hand(backend: Backend, case: str) -> None:
    options = CASES[case].copy()
    net = make(backend, l2=(l2 := options.pop("l2", 0.0)))
    p, losses = parameters(net), []
    smoothing = options.get("label_smoothing", 0.0)
    targets = (1 - smoothing) * ONE_HOT + smoothing / 3
    for epoch in range(3):
        order = permutation(SHUFFLE, epoch, N) if options.get("shuffle", True) else np.arange(N)
        known = {"batch_size": options["batch_size"], "l2": l2, "clip": options.get("clip_norm", math.inf)}
        p, loss = epoch_by_hand(p, order, targets, EFFECTIVE.get(case, ONES), **known)
        losses.append(loss)
    history = net.fit(X, Y, epochs=3, optimizer=SGD, validation=None, **options)
    assert_same(parameters(net), p, rtol=1e-12)
    assert_allclose(history["loss"], losses, rtol=1e-12)
    assert history["learning_rate"] == [0.3] * 3
    assert (net.epochs_seen, net.steps_seen) == ([3], [3 * math.ceil(N / options["batch_size"])])


def test_sigmoids_are_smoothed_towards_one_half(backend: Backend) -> None:
    nets = [mlpx.MLP([3, 3], output="sigmoid", dtype="float64", backend=backend) for _ in range(2)]
    nets[0].fit(X, ONE_HOT, epochs=2, label_smoothing=0.2)
    nets[1].fit(X, 0.8 * ONE_HOT + 0.1, epochs=2)
    assert_same(parameters(nets[0]), parameters(nets[1]), rtol=1e-13)


# Validation.


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("fraction", [0.25, 0.3])
def test_a_fraction_holds_out_the_rounded_up_number_of_rows(backend: Backend, fraction: float, shuffle: bool) -> None:
    net = make(backend)
    before, held = parameters(net), math.ceil(fraction * N)
    order = permutation(SPLIT, 0, N) if shuffle else np.arange(N)
    train, out = order[:-held], order[-held:]
    history = net.fit(
        X, Y, validation=fraction, epochs=1, batch_size=4, optimizer=SGD, shuffle=shuffle, sample_weight=WEIGHT
    )
    rows = train[permutation(SHUFFLE, 0, len(train))] if shuffle else train
    p, loss = epoch_by_hand(before, rows, ONE_HOT, WEIGHT, batch_size=4)
    assert_allclose(history["loss"], [loss], rtol=1e-12)
    assert_allclose(history["validation_loss"], [mean_loss(p, X[out], Y[out], WEIGHT[out])], rtol=1e-12)


def test_a_fraction_leaves_a_row_for_each_part() -> None:
    history = make().fit(X[:2], Y[:2], validation=0.01, epochs=1)
    assert set(history) == {"loss", "validation_loss", "learning_rate"}
    for rows, fraction in ((1, 0.5), (4, 0.9)):
        with pytest.raises(ValueError, match="`validation`"):
            make().fit(X[:rows], Y[:rows], validation=fraction)


@pytest.mark.parametrize("weight", [None, WEIGHT[:9]])
def test_validation_loss_is_of_the_data_alone(backend: Backend, weight: np.ndarray | None) -> None:
    net = make(backend, l2=0.5, dropout=0.5)
    held_out = (X[:9], Y[:9]) if weight is None else (X[:9], Y[:9], weight)
    history = net.fit(
        X, Y, validation=held_out, epochs=2, label_smoothing=0.4, class_weight={0: 9.0}, metrics="accuracy"
    )
    # the weights of the best epoch are back, so its numbers must come out again
    best = history.best_epoch - 1
    p = parameters(net)
    assert_allclose(history["validation_loss"][best], mean_loss(p, X[:9], Y[:9], weight), rtol=1e-12)
    hits = np.argmax(outputs(p, X[:9])[1], axis=1) == Y[:9]
    assert_allclose(history["validation_accuracy"][best], np.average(hits, weights=weight), rtol=1e-12)
    assert "accuracy" in history
    assert net.evaluate(X[:9], Y[:9], sample_weight=weight)["loss"] == history["validation_loss"][best]


class Recorder(mlpx.Callback):
    """Keeps what a run shows."""

    def __init__(self) -> None:
        self.events, self.weights = [], []

    def start(self, run) -> None:
        self.events.append("start")

    def epoch(self, run) -> None:
        self.events.append(run.epoch)
        self.weights.append(parameters(run.net))

    def end(self, run) -> None:
        self.events.append("end")


def expected_end(scores: list[float], patience: int | None, sign: int) -> tuple[int, int]:
    """Return the best epoch, and the one after which training stops: better means strictly better."""
    best, waited, best_epoch = math.inf, 0, 0
    for epoch, score in enumerate(scores, 1):
        waited = 0 if sign * score < best else waited + 1
        if waited == 0:
            best, best_epoch = sign * score, epoch
        if waited == patience:
            return best_epoch, epoch
    return best_epoch, len(scores)


@pytest.mark.parametrize("patience", [None, 1, 3])
@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize(("monitor", "sign"), [("loss", 1), ("accuracy", -1), ("error_rate", 1)])
def test_patience_stops_and_the_best_weights_come_back(monitor: str, sign: int, patience, validated: bool) -> None:
    net, seen = make(), Recorder()
    options = {"epochs": 40, "batch_size": 2, "optimizer": mlpx.SGD(0.8), "monitor": monitor, "callbacks": seen}
    # labels that say nothing about the validation rows, so that validation gets worse
    history = net.fit(X, Y, validation=(X[::-1], Y) if validated else None, patience=patience, **options)
    scores = history[("validation_" if validated else "") + monitor]
    best, last = expected_end(scores, patience, sign)
    assert history.epochs == len(seen.weights) == last
    assert history.best_epoch == best
    assert history.stopped == ("epochs" if last == 40 else "patience")
    restored = validated or patience is not None
    assert_same(parameters(net), seen.weights[best - 1 if restored else -1])
    if patience is not None and validated:
        assert best < last < 40, "the case shows nothing"


# Weights.


def test_integer_sample_weights_equal_repeated_rows(backend: Backend) -> None:
    times = np.arange(N) % 4
    weighted, repeated = make(backend, l2=0.1), make(backend, l2=0.1)
    a = weighted.fit(X, Y, sample_weight=times, batch_size=N, epochs=5)
    rows = np.repeat(np.arange(N), times)
    b = repeated.fit(X[rows], Y[rows], batch_size=len(rows), epochs=5)
    assert_same(parameters(weighted), parameters(repeated), rtol=1e-11)
    assert_allclose(a["loss"], b["loss"], rtol=1e-12)


@pytest.mark.parametrize("schedule", [1e-2, mlpx.schedules.InverseScaling(1e-2, 0.5)])
def test_a_batch_of_zero_weight_changes_nothing(backend: Backend, schedule) -> None:
    weight = np.where(np.arange(16) % 8 < 4, 0.0, 1.0)
    real = weight > 0
    with_zeros, without = make(backend, dropout=0.5), make(backend, dropout=0.5)
    options = {"batch_size": 4, "epochs": 3, "shuffle": False, "optimizer": mlpx.Adam(schedule)}
    a = with_zeros.fit(X[:16], Y[:16], sample_weight=weight, **options)
    b = without.fit(X[:16][real], Y[:16][real], **options)
    assert_same(parameters(with_zeros), parameters(without), rtol=1e-14)
    assert with_zeros.steps_seen == without.steps_seen == [6]
    assert_allclose(a["loss"], b["loss"], rtol=1e-13)


def test_a_batch_of_zero_weight_of_one_member_leaves_the_others_alone(backend: Backend) -> None:
    weight = np.ones((2, 12))
    weight[0, 4:8] = 0
    stack = make(backend, members=2, dropout=0.5)
    alone = [stack.member(i) for i in range(2)]
    options = {"batch_size": 4, "epochs": 3, "shuffle": False}
    stack.fit(X[:12], Y[:12], sample_weight=weight, **options)
    for i, net in enumerate(alone):
        net.fit(X[:12][weight[i] > 0], Y[:12][weight[i] > 0], **options)
        assert_same(parameters(stack.member(i)), parameters(net), rtol=1e-10)
    assert stack.steps_seen == [6, 9]


# More than one fit.


def test_a_second_fit_goes_on(backend: Backend) -> None:
    once, twice = make(backend, dropout=0.5), make(backend, dropout=0.5)
    once.fit(X, Y, epochs=4, batch_size=5, optimizer=SGD)
    for _ in range(2):
        twice.fit(X, Y, epochs=2, batch_size=5, optimizer=SGD)
    assert_same(parameters(twice), parameters(once))
    assert (twice.epochs_seen, twice.steps_seen) == ([4], [20])


def test_a_second_fit_has_a_fresh_optimizer_and_schedule(backend: Backend) -> None:
    options = {"epochs": 3, "shuffle": False, "optimizer": mlpx.Adam(mlpx.schedules.InverseScaling(0.1, 0.5))}
    net, fresh = make(backend), make(backend, seed=99)
    net.fit(X, Y, **options)
    fresh.set_weights(net.weights, net.biases)
    net.fit(X, Y, **options)
    fresh.fit(X, Y, **options)
    assert_same(parameters(net), parameters(fresh))


def test_a_second_split_is_another_one() -> None:
    net = make()
    first = net.fit(X, Y, validation=0.25, epochs=1, optimizer=mlpx.SGD(1e-12))
    second = net.fit(X, Y, validation=0.25, epochs=1, optimizer=mlpx.SGD(1e-12))
    out = permutation(SPLIT, 1, N)[-6:]
    assert_allclose(second["validation_loss"], [mean_loss(parameters(net), X[out], Y[out])], rtol=1e-9)
    assert first["validation_loss"] != second["validation_loss"]


def test_reset_starts_over(backend: Backend) -> None:
    net = make(backend, dropout=0.5)
    net.fit(X, np.array(["a", "b", "c"])[Y], epochs=2)
    first = parameters(net)
    net.reset()
    assert (net.epochs_seen, net.steps_seen, net.classes) == ([0], [0], None)
    assert_same(parameters(net), parameters(make(backend, dropout=0.5)))
    net.fit(X, Y, epochs=2)
    assert_same(parameters(net), first)


# What happens on the way.


@pytest.mark.parametrize("callbacks", [mlpx.Diagnostics, [mlpx.Diagnostics]])
def test_a_class_is_no_callback(callbacks: object) -> None:
    with pytest.raises(TypeError, match=r"`callbacks\[0\]` must be an object, not a class: give Diagnostics\(...\)"):
        make().fit(X, Y, epochs=1, callbacks=callbacks)


def test_callbacks_are_called_in_order() -> None:
    net, seen, losses = make(), Recorder(), []
    history = net.fit(X, Y, epochs=3, callbacks=[seen, lambda run: losses.append(run.row["loss"])])
    assert seen.events == ["start", 1, 2, 3, "end"]
    assert losses == history["loss"]
    assert_same(parameters(net), seen.weights[-1])
    assert history.to_dict().keys() == {"epoch", "loss", "learning_rate"}
    assert history.to_dict()["epoch"] == [1, 2, 3]


class Interrupting(mlpx.Callback):
    """Ctrl-C before the first epoch is over."""

    def start(self, run) -> None:
        raise KeyboardInterrupt


def test_a_history_without_an_epoch_says_how_it_ended() -> None:
    history = make().fit(X, Y, callbacks=Interrupting())
    assert history.interrupted
    assert str(history) == "interrupted before the end of epoch 1"
    history.stopped = "divergence"
    assert str(history) == "stopped by divergence before the end of epoch 1"


def test_a_callback_stops_training() -> None:
    history = make().fit(X, Y, epochs=9, callbacks=lambda run: run.stop() if run.epoch == 4 else None)
    assert (history.epochs, history.stopped) == (4, "callback")


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_a_callback_keeps_the_best_weights(error: type[BaseException], validated: bool) -> None:
    net, seen = make(), Recorder()

    def fail(run) -> None:
        if run.epoch == 20:
            raise error

    options = {"epochs": 50, "batch_size": 2, "optimizer": mlpx.SGD(0.8), "callbacks": [seen, fail]}
    held_out = (X[::-1], Y) if validated else None
    if error is KeyboardInterrupt:
        history = net.fit(X, Y, validation=held_out, **options)
        assert history.interrupted
        assert history.epochs == 20
    else:
        with pytest.raises(error):
            net.fit(X, Y, validation=held_out, **options)
    reference = make().fit(X, Y, validation=held_out, **options | {"epochs": 20, "callbacks": ()})
    best = reference.best_epoch if validated else 20
    assert best < 20 or not validated, "the case shows nothing"
    assert_same(parameters(net), seen.weights[best - 1])
    assert seen.events[-1] == "end"
    assert (net.epochs_seen, net.steps_seen) == ([20], [20 * 12])


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that Ctrl-C is ignored
import numpy as np, mlpx
rng = np.random.default_rng(0)
X, y = rng.normal(size=(500, 20)), rng.integers(0, 2, size=500)
net = mlpx.MLP([20, 64, 2], dtype="float64")
kept = {}
def keep(run):
    kept[run.epoch] = mlpx.to_numpy(run.net.weights[0]).copy()
    if run.epoch == 5:
        print("ready", flush=True)
history = net.fit(X, y, epochs=10**6, validation=0.2, callbacks=keep)
assert history.interrupted and 5 <= history.epochs < 10**6
assert np.array_equal(kept[history.best_epoch], net.weights[0])
assert history["validation_loss"][history.best_epoch - 1] == min(history["validation_loss"])
print("kept")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_control_c_keeps_the_best_weights() -> None:
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate()
        guard.cancel()
    assert (process.returncode, out) == (0, "kept\n")


# Divergence.


def test_divergence_of_a_later_epoch_keeps_the_weights_before_it(backend: Backend) -> None:
    """One leap to -1e20, whose residual has no square."""
    net = mlpx.Network([mlpx.Dense(1, 1)], backend=backend)
    net.set_weights([[[1.0]]], [[0.0]])
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit([[1e10]], [0.0], epochs=50, optimizer=mlpx.SGD(1.0))
    error = caught.value
    assert isinstance(error, ArithmeticError)
    assert (error.epoch, error.step, error.layer, error.quantity) == (2, 1, "the output", "loss")
    for part in ("epoch 2", "step 1", "the loss of the output"):
        assert part in str(error)
    assert_allclose(error.history["loss"], [0.5e20], rtol=1e-6)
    assert_same(parameters(net), [np.float32([[-1e20]]), np.float32([-1e10])], rtol=1e-6)
    assert (net.epochs_seen, error.history.epochs) == ([1], 1)


def linear(*activations: str) -> list[mlpx.Dense]:
    return [mlpx.Dense(1, 1, activation) for activation in activations]


# layers, loss, weights, biases, features and target of the one row that is too much, rate; then layer and quantity
PLACES = {
    "net input of the first": (linear("identity", "identity"), "squared_error", [1e30, 1], [0, 0], 1e30, 0, 1,
                               "layers[0] (Dense)", "net input"),
    "net input of the second": (linear("identity", "identity"), "squared_error", [1e30, 1e30], [0, 0], 1, 0, 1,
                                "layers[1] (Dense)", "net input"),
    "net input of the output": (linear("relu", "relu", "identity"), "squared_error", [1, 1e30, 1e30], [0, 0, 0], 1, 0,
                                1, "layers[2] (Dense)", "net input"),
    "activation": (linear("exp", "identity"), "squared_error", [1, 0], [0, 0], 100, 0, 1,
                   "layers[0] (Dense)", "activation"),
    "output": (linear("identity", "exp"), "absolute_error", [1, 1], [0, -1e3], 2e3, 0, 1, "the output", "activation"),
    "loss": (linear("identity", "identity"), "squared_error", [1e30, 1], [0, 0], 1, 0, 1, "the output", "loss"),
    "error term": (linear("identity", "identity", "identity"), "absolute_error", [0, 1e30, 1e30], [0, 0, 0], 1, 1, 1,
                   "layers[0] (Dense)", "error term"),
    "gradient of the first": (linear("identity", "identity"), "absolute_error", [0, 1e30], [0, 0], 1e20, 1, 1,
                              "layers[0] (Dense)", "gradient"),
    "parameter of the first": (linear("identity", "identity"), "absolute_error", [0, 1], [0, 0], 1e20, 1, 1e30,
                               "layers[0] (Dense)", "parameter"),
    "parameter of the second": (linear("identity", "identity"), "absolute_error", [1, 0], [0, 0], 1e20, 1, 1e30,
                                "layers[1] (Dense)", "parameter"),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("step", [1, 3])
def test_divergence_names_epoch_step_layer_and_quantity(backend: Backend, place: str, step: int) -> None:
    """Rows before the one that is too much are met exactly, so that they move nothing."""
    layers, loss, weights, biases, x, y, rate, layer, quantity = PLACES[place]
    net = mlpx.Network(layers, loss=loss, backend=backend)
    net.set_weights([[[w]] for w in weights], [[b] for b in biases])
    before, good = parameters(net), float(mlpx.to_numpy(net.predict([[0.0]]))[0, 0])
    X, Y = np.zeros((4, 1)), np.full(4, good)
    X[step - 1], Y[step - 1] = x, y
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit(X, Y, epochs=9, batch_size=1, optimizer=mlpx.SGD(rate), shuffle=False)
    error = caught.value
    assert (error.epoch, error.step, error.layer, error.quantity) == (1, step, layer, quantity)
    for part in (f"epoch 1, step {step}", f"the {quantity} of {layer}"):
        assert part in str(error)
    assert error.history.epochs == 0
    assert_same(parameters(net), before)


def test_after_divergence_the_best_weights_are_back() -> None:
    net, seen = mlpx.MLP([3, 5, 1], output="linear", seed=SEED), Recorder()
    leap = mlpx.schedules.Step(1e-3, factor=1e30, every=3)
    with pytest.raises(mlpx.DivergenceError) as caught:
        net.fit(X, Y, validation=(X, -Y), epochs=9, batch_size=5, optimizer=mlpx.SGD(leap), callbacks=seen)
    assert caught.value.epoch == 4
    best = int(np.argmin(caught.value.history["validation_loss"]))
    assert best < 2, "the case shows nothing"
    assert_same(parameters(net), seen.weights[best])


def test_a_diverging_member_is_dropped_and_the_others_go_on(backend: Backend) -> None:
    rates = [0.01, 1e200, 0.02]
    stack = make(backend, output="linear", members=3, dropout=0.25)
    alone = [stack.member(i) for i in range(3)]
    options = {"epochs": 3, "batch_size": 5}
    with pytest.warns(RuntimeWarning, match=r"member 1 diverged in epoch 1, step 2"):
        history = stack.fit(X, ONE_HOT, optimizer=mlpx.SGD(rates), **options)
    assert [[math.isnan(loss) for loss in row] for row in history["loss"]] == [[False, True, False]] * 3
    assert_same(parameters(stack.member(1)), parameters(alone[1]))
    for i in (0, 2):
        alone[i].fit(X, ONE_HOT, optimizer=mlpx.SGD(rates[i]), **options)
        assert_same(parameters(stack.member(i)), parameters(alone[i]), rtol=1e-10)


# Real data.


def test_digits_are_learned_with_default_settings(backend: Backend) -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn ships the digits")
    features, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:1437], order[1437:]
    net = mlpx.MLP([64, 128, 10], backend=backend)
    net.fit(features[train] / 16, labels[train])
    assert net.evaluate(features[test] / 16, labels[test])["accuracy"] >= 0.97


def test_the_last_member_may_diverge_after_others_have_stopped() -> None:
    """One learns nothing and stops by patience; the other's rate leaps in the fifth epoch. Nothing is lost."""
    net = mlpx.MLP([2, 4, 1], output="linear", members=2, seed=SEED)
    x = RNG.normal(size=(8, 2))
    leap = mlpx.schedules.Step([1e-30, 1e-3], factor=[1.0, 1e20], every=4)
    with pytest.warns(RuntimeWarning, match="of member 1 diverged"):
        history = net.fit(x, x[:, 0], epochs=20, patience=2, optimizer=mlpx.SGD(leap))
    assert history.stopped == "divergence"
    assert np.all(np.isfinite(net.vector))
