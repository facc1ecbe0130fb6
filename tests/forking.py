"""What is asked of processes: ``python tests/forking.py NAME`` runs one of the cases below, and fails where it does.

Forks have a script of their own, since JAX and PyTorch, which the tests load, do not bear them.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

import mlpx
from mlpx.backends.threads import Workers, _single_threaded_blas

X = np.random.default_rng(8).normal(size=(40, 4)).astype(np.float32)
Y = np.arange(40) % 3
SECONDS = 200


def trained(name: str, members: int | None) -> tuple[mlpx.Network, np.ndarray]:
    """Return a network after some epochs, and its predictions."""
    net = mlpx.MLP([4, 8, 3], members=members, dropout=0.2, seed=5, backend=name)
    net.fit(X, Y, epochs=2, batch_size=16)
    return net, predicted(net)


def predicted(net: mlpx.Network) -> np.ndarray:
    return mlpx.to_numpy(net.predict(X))


def both(name: str) -> list[np.ndarray]:
    return [trained(name, members)[1] for members in (None, 3)]


def in_fork(call: Callable[[], Any]) -> None:
    """Run a call in a forked process; what fails there fails here."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            call()
            status = 0
        except BaseException as error:
            print(f"in the child: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0, "the child failed"


def network() -> None:
    for members in (None, 3):
        net, expected = trained("numpy", members)

        def child(net=net, members=members, expected=expected) -> None:
            assert_array_equal(predicted(net), expected)
            assert_array_equal(trained("numpy", members)[1], expected)

        in_fork(child)
        child()


def workers() -> None:
    """Threads that have worked in the parent are made anew in the child."""
    pool, done = Workers(), []
    assert pool.count == 2

    def use() -> None:
        done.clear()
        pool(lambda piece, _: done.append(piece), range(10))
        assert sorted(done) == list(range(10))

    use()
    in_fork(use)
    use()


def busy() -> None:
    """The child has neither the thread that worked nor its lock, and as many threads of BLAS as there were before."""
    working, finish = threading.Event(), threading.Event()

    def work(*_: Any) -> None:
        working.set()
        finish.wait(SECONDS)

    def child() -> None:
        assert _single_threaded_blas.count == 0
        assert Workers().count == 2
        trained("numpy", 3)

    threading.Thread(target=lambda: Workers()(work, range(2)), daemon=True).start()
    assert working.wait(SECONDS)
    with _single_threaded_blas._lock:
        in_fork(child)
    finish.set()


def pool() -> None:
    net, expected = trained("numpy", 3)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as processes:
        for future in [processes.submit(predicted, net) for _ in range(4)]:
            assert_array_equal(future.result(SECONDS), expected)


CASES = {case.__name__: case for case in (network, workers, busy, pool)}

if __name__ == "__main__":
    # two threads wherever it runs, so that stacks are spread over workers
    with threadpool_limits(2, user_api="blas"):
        CASES[sys.argv[1]]()
