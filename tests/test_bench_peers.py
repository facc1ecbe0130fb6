"""The peers do mlpx's work, step by step, and the suites that compare them count it right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

import mlpx
from mlpx.bench import Case, Contender, measure, memory, networks, stacks, training
from mlpx.bench.networks import NETWORKS, TINY, Start, Workload, random_products
from mlpx.bench.peers import PEERS, STACKED, Peer
from mlpx.bench.training import prepare_mlpx, prepare_peer

WORK = Workload((5, 16, 12, 3), batch_size=20, rows=200, epochs=3)

pytestmark = [
    # PyTorch's compiler warns about itself
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:torch.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.*"),
]
ALL = [pytest.param(p, id=p.name, marks=pytest.mark.slow if "compile" in p.name else ()) for p in PEERS]


def separable(work: Workload = WORK) -> Start:
    """Return data in which the largest of the first features is the class."""
    start = work.start()
    return start._replace(y=np.argmax(start.X[:, : work.sizes[-1]], axis=1))


def make(peer: Peer, start: Start, work: Workload = WORK, **settings: object):
    if not peer.installed:
        pytest.skip(f"{peer.library} is not installed")
    return peer.load()(start, work.batch_size, **settings)


def trained_by_mlpx(start: Start, work: Workload = WORK, **adam: object) -> tuple[mlpx.MLP, list[float]]:
    net = mlpx.MLP(work.sizes, dtype=work.dtype, backend="numpy")
    net.set_weights(start.weights, start.biases)
    optimizer = mlpx.Adam(1e-3, **adam)
    history = net.fit(
        start.X,
        start.y,
        epochs=work.epochs,
        batch_size=work.batch_size,
        optimizer=optimizer,
        shuffle=False,
        progress=False,
    )
    return net, history["loss"]


@pytest.mark.parametrize("peer", ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_peer_and_mlpx_make_the_same_steps(peer: Peer, dtype: str) -> None:
    work = replace(WORK, dtype=dtype)
    start = separable(work)
    net = make(peer, start, work, shuffle=False)
    losses = net.fit(work.epochs)
    # scikit-learn adds epsilon before the moments are corrected
    expected, expected_losses = trained_by_mlpx(start, work, epsilon_hat=peer.library == "sklearn")
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(losses, expected_losses, rtol=tolerance)
    weights, biases = net.parameters()
    for mine, theirs in zip((*weights, *biases), (*expected.weights, *expected.biases), strict=True):
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine, theirs, atol=tolerance)
    moved = max(np.max(np.abs(W - W_0)) for W, W_0 in zip(weights, start.weights, strict=True))
    assert moved > 1e-2


@pytest.mark.parametrize("peer", ALL)
def test_a_peer_learns_and_begins_again(peer: Peer) -> None:
    net = make(peer, separable())
    losses = net.fit(40)
    assert len(losses) == 40
    assert losses[-1] < 0.6 * losses[0]
    again = net.fit(2)
    assert again[0] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize("peer", [p for p in ALL if p.values[0].library in ("torch", "jax")])
def test_an_epoch_has_every_row_once_in_a_new_order(peer: Peer) -> None:
    net = make(peer, separable())
    draw = (lambda: np.stack(list(net.batches()))) if peer.library == "torch" else net.order
    first, second = draw(), draw()
    assert first.shape == (10, 20)
    np.testing.assert_array_equal(np.sort(first, axis=None), np.arange(WORK.rows))
    np.testing.assert_array_equal(np.sort(second, axis=None), np.arange(WORK.rows))
    assert np.any(first != second)


def test_every_member_of_jax_s_stack_is_trained_as_one_network() -> None:
    start = separable()
    net = make(STACKED, start, members=3, shuffle=False)
    losses = net.fit(WORK.epochs)
    expected, expected_losses = trained_by_mlpx(start)
    np.testing.assert_allclose(losses, np.tile(np.asarray(expected_losses)[:, None], 3), rtol=1e-5)
    weights, _ = net.parameters()
    for mine, theirs in zip(weights, expected.weights, strict=True):
        assert mine.shape == (3, *theirs.shape)
        np.testing.assert_allclose(mine, np.broadcast_to(theirs, mine.shape), atol=1e-5)


def test_the_members_of_jax_s_stack_have_orders_of_their_own() -> None:
    net = make(STACKED, separable(), members=3)
    losses = np.asarray(net.fit(20))
    assert losses.shape == (20, 3)
    assert len(set(losses[-1])) == 3
    assert np.all(losses[-1] < losses[0])


# The networks.


@pytest.mark.parametrize("work", NETWORKS, ids=lambda work: work.network)
def test_a_network_is_counted_as_mlpx_counts_it(work: Workload) -> None:
    assert work.n_parameters == mlpx.MLP(work.sizes, backend="numpy").n_parameters
    assert work.rows % work.batch_size == 0
    assert work.steps == work.rows // work.batch_size * work.epochs


def test_the_products_are_those_of_the_counted_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def dot(a, b, out):
        made.append((*a.shape, b.shape[1]))
        return np.matmul(a, b, out=out)

    monkeypatch.setattr(networks.np, "dot", dot)
    random_products(WORK)()
    monkeypatch.undo()
    assert len(made) == WORK.steps * (3 + 3 + 2)
    assert sum(2.0 * m * k * n for m, k, n in made) == WORK.steps * WORK.flop
    assert {(20, 5, 16), (5, 20, 16), (20, 12, 16)} <= set(made)
    assert (20, 16, 5) not in made  # nobody needs the error term of the features


def test_a_start_is_always_the_same_and_holds_mlpx_s_own_weights() -> None:
    first, second = WORK.start(), WORK.start()
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.y, second.y)
    assert first.X.shape == (200, 5)
    assert set(first.y) == {0, 1, 2}
    net = mlpx.MLP(WORK.sizes, backend="numpy")
    for mine, theirs in zip((*first.weights, *first.biases), (*net.weights, *net.biases), strict=True):
        np.testing.assert_array_equal(mine, theirs)


# The suites.


def test_every_network_has_its_contenders() -> None:
    found = training.cases(backends=["numpy"])
    assert [case.parameters["network"] for case in found] == [work.network for work in NETWORKS]
    assert len({case.key for case in found}) == len(found)
    for case, work in zip(found, NETWORKS, strict=True):
        names = [contender.name for contender in case.contenders]
        assert names == [
            "products",
            "mlpx numpy",
            *(peer.name for peer in PEERS if peer.installed and not peer.long_compilation),
        ]
        assert all(contender.settings for contender in case.contenders)
        assert (case.suite, case.per, case.count, case.flop) == ("training", "step", work.steps, work.flop)


def test_the_whole_grid_has_longer_runs_and_more_members() -> None:
    for short, full in zip(
        training.cases(backends=["numpy"]), training.cases(full=True, backends=["numpy"]), strict=True
    ):
        assert full.key == short.key
        assert full.count > short.count
    members = [case.parameters["members"] for case in stacks.cases(full=True, backends=["numpy"])]
    assert members == [1, 8, 64, 256, 1000] * 2


def test_a_peer_whose_library_is_missing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peer, "installed", property(lambda peer: False))
    for case in training.cases(backends=["numpy"]):
        assert [contender.name for contender in case.contenders] == ["products", "mlpx numpy"]
    for case in stacks.cases(backends=["numpy"]):
        assert [contender.name for contender in case.contenders] == ["products", "mlpx numpy", "mlpx numpy separate"]


def test_listing_cases_imports_no_library() -> None:
    code = """
import sys
from mlpx.bench import memory, stacks, training
for suite in training, stacks, memory:
    suite.cases(full=True, backends=["numpy"])
print(*{name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert {"torch", "jax", "sklearn"} & set(done.stdout.split()) == set()


def test_runs_of_mlpx_and_of_a_peer_are_repeatable() -> None:
    run = prepare_mlpx(WORK, "numpy")
    first, second = run(), run()
    assert len(first["loss"]) == WORK.epochs
    assert first["loss"] == second["loss"]
    peer = PEERS[0]
    if peer.installed:
        assert len(prepare_peer(WORK, peer, "cpu")()) == WORK.epochs


def test_a_stack_s_run_has_the_counted_steps() -> None:
    case = stacks.cases(backends=["numpy"])[1]
    by_name = {contender.name: contender for contender in case.contenders}
    assert (case.parameters["members"], case.per) == (8, "member-step")
    history = by_name["mlpx numpy"].prepare()()
    assert np.asarray(history["loss"]).size * TINY.rows / TINY.batch_size == case.count
    assert by_name["mlpx numpy separate"].count == stacks.SEPARATE * TINY.steps
    assert by_name["products"].count == TINY.steps


def test_separate_training_trains_every_network() -> None:
    numbers: Iterator[int] = count()
    calls: list[int] = []

    def prepare() -> Callable[[], None]:
        mine = next(numbers)
        return lambda: calls.append(mine)

    run = stacks.repeated(prepare, 3)
    run()
    run()
    assert calls == [0, 1, 2, 0, 1, 2]


def test_a_contender_may_count_otherwise_than_its_case() -> None:
    ticks = count()
    ways = (
        Contender("all", lambda: lambda: None),
        Contender("a tenth", lambda: lambda: None, count=10),
    )
    case = Case("stacks", "100", ways, "member-step", 100)
    whole, tenth = measure(case, seconds=20.0, clock=lambda: float(next(ticks))).results
    assert whole.median == pytest.approx(0.01)
    assert tenth.median == pytest.approx(0.1)
    assert tenth.ratio == pytest.approx(10)


# Memory.

LINUX = pytest.mark.skipif(not memory.PEAK.exists(), reason="the system does not let a process set its peak back")


@LINUX
def test_the_peak_is_that_of_a_run() -> None:
    kept, passing = 2**23, 2**25

    def prepare():
        own = np.ones(kept, dtype=np.uint8)
        return lambda: int(np.ones(passing, dtype=np.uint8)[0]) + int(own[0])

    found = memory.peak_bytes(prepare)
    assert kept + passing - 2**20 < found < kept + passing + 2**22


def test_the_plan_s_bytes_grow_with_the_batch_and_hold_the_parameters() -> None:
    small, large = (memory.planned_bytes(replace(WORK, batch_size=size)) for size in (20, 100))
    start = WORK.start()
    vector = 4 * WORK.n_parameters
    assert small > start.X.nbytes + start.y.nbytes + 4 * vector
    assert large - small > 4 * 80 * sum(WORK.sizes[1:])


@LINUX
def test_memory_is_measured_in_a_process_of_its_own() -> None:
    work = Workload((64, 512, 10), batch_size=512, rows=1024, epochs=1)
    found = memory._measurement(work, "mlpx", "numpy")()
    assert 4 * work.n_parameters < found < 2**28
    with pytest.raises(RuntimeError, match="nobody"):
        memory._measurement(work, "mlpx", "nobody")()


@LINUX
def test_every_case_of_memory_begins_with_the_plan() -> None:
    for full in (False, True):
        for case in memory.cases(full=full, backends=["numpy"]):
            assert [contender.name for contender in case.contenders][:2] == ["mlpx plan", "mlpx numpy"]
            assert (case.unit, case.per) == ("B", "run")
