"""Threads: many at once get what each would get alone, bit for bit."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import mlpx
from mlpx.backends import Backend
from mlpx.tables import Preprocessing, predict_table

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 5)).astype(np.float32)
Y = np.arange(60) % 3
SECONDS = 120
NAMES = [info.name for info in mlpx.available_backends() if info.available]


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Return what the calls return, each in a thread, all of which set out together; a hang is an error."""
    results: list[Any] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(i: int) -> None:
        barrier.wait(SECONDS)
        try:
            results[i] = calls[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive(), f"still at work after {SECONDS} s"
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def make(backend: Backend | str, members: int | None = None, **options) -> mlpx.MLP:
    return mlpx.MLP([5, 8, 3], members=members, backend=backend, dropout=0.2, seed=4, **options)


@pytest.mark.parametrize("members", [None, 4])
def test_one_network_predicts_in_eight_threads(backend: Backend, members) -> None:
    net = make(backend, members)
    parts = [X[i : i + 20] for i in range(0, 40, 5)]
    expected = [mlpx.to_numpy(net.predict(part)) for part in parts]
    found = at_once(*(lambda part=part: [mlpx.to_numpy(net.predict(part)) for _ in range(15)] for part in parts))
    for several, one in zip(found, expected, strict=True):
        for each in several:
            assert_array_equal(each, one)


@pytest.mark.parametrize("members", [None, 3])
def test_one_network_gives_gradients_in_eight_threads(backend: Backend, members) -> None:
    net = make(backend, members)

    def gradients(start: int) -> list[np.ndarray]:
        grads = net.backward(net.forward(X[start : start + 20]), Y[start : start + 20])
        return [mlpx.to_numpy(grads.loss), *(mlpx.to_numpy(weights) for weights in grads.weights)]

    starts = range(0, 40, 5)
    expected = [gradients(start) for start in starts]
    found = at_once(*(lambda start=start: gradients(start) for start in starts))
    for several, one in zip(found, expected, strict=True):
        for a, b in zip(several, one, strict=True):
            assert_array_equal(a, b)


def test_one_network_predicts_tables_in_eight_threads(backend: Backend) -> None:
    frame = pd.DataFrame({"size": X[:, 0], "colour": np.array(["red", "blue", "green"])[Y], "price": X[:, 1]})
    prepared = Preprocessing.fit(frame, "price")
    net = mlpx.MLP([prepared.width, 4, 1], output="linear", backend=backend)
    net.preprocessing = prepared.to_dict()
    parts = [frame.iloc[i : i + 10] for i in range(0, 40, 5)]
    expected = [predict_table(net, part) for part in parts]
    found = at_once(*(lambda part=part: predict_table(net, part) for part in parts))
    for each, one in zip(found, expected, strict=True):
        assert_array_equal(each, one)


def trained(name: Backend | str, members: int | None, seed: int) -> list[np.ndarray]:
    """Return parameters and losses after some epochs with what else draws and keeps state."""
    net = mlpx.MLP([5, 16, 3], members=members, backend=name, dropout=0.2, seed=seed)
    history = net.fit(X, Y, epochs=4, batch_size=16, validation=0.2, patience=3, optimizer=mlpx.Adam(0.01))
    return [mlpx.to_numpy(net.vector), np.asarray(history["loss"])]


@pytest.mark.parametrize("members", [(None, None), (None, 4), (4, 4)])
def test_two_trainings_side_by_side_do_not_disturb_each_other(backend: Backend, members) -> None:
    alone = [trained(backend, count, seed) for seed, count in enumerate(members)]
    together = at_once(*(lambda i=i, n=n: trained(backend, n, i) for i, n in enumerate(members)))
    for a, b in zip(together, alone, strict=True):
        assert_array_equal(a[0], b[0])
        assert_array_equal(a[1], b[1])


@pytest.mark.parametrize("other", [name for name in NAMES if name != "numpy"])
def test_trainings_on_two_backends_do_not_disturb_each_other(other: str) -> None:
    names = ["numpy", other]
    alone = [trained(name, 2, 1) for name in names]
    together = at_once(*(lambda name=name: trained(name, 2, 1) for name in names))
    for a, b in zip(together, alone, strict=True):
        assert_array_equal(a[0], b[0])
        assert_array_equal(a[1], b[1])


def test_the_backend_of_a_context_is_that_of_its_thread() -> None:
    entered = threading.Barrier(len(NAMES) + 1)

    def within(name: str) -> str:
        with mlpx.use_backend(name):
            entered.wait(SECONDS)
            return mlpx.MLP([1, 2]).backend.name

    def outside() -> str:
        entered.wait(SECONDS)
        return mlpx.MLP([1, 2]).backend.name

    *inside, plain = at_once(*(lambda name=name: within(name) for name in NAMES), outside)
    assert inside == NAMES
    assert plain == mlpx.get_backend().name


def test_floating_point_warnings_are_as_they_were_in_every_thread() -> None:
    net = make("numpy", 4)

    def states() -> tuple[dict, dict]:
        with np.errstate(all="raise"):
            net.predict(X)
            net.member(0).fit(X, Y, epochs=1)
            inside = np.geterr()
        return inside, np.geterr()

    for inside, after in at_once(states, states, states):
        assert set(inside.values()) == {"raise"}
        assert after == np.geterr()


def test_an_interrupt_of_one_training_leaves_the_other_alone() -> None:
    expected = trained("numpy", 4, 1)

    class Interrupting:
        def on_epoch_end(self, *_, **__):
            raise KeyboardInterrupt

    def interrupted() -> str:
        net = make("numpy", 4)
        try:
            history = net.fit(X, Y, epochs=50, callbacks=[_interrupt])
        except KeyboardInterrupt:
            return "raised"
        return f"stopped after {len(history['loss'])}"

    how, found = at_once(interrupted, lambda: trained("numpy", 4, 1))
    assert how in ("raised", "stopped after 0", "stopped after 1")
    assert_array_equal(found[0], expected[0])


def _interrupt(*_) -> None:
    raise KeyboardInterrupt
