"""Benchmarks on a device: everybody makes the same steps, times are told apart, files and tables say what was found.

What needs a CUDA device runs there alone; all else runs on the processor.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module, util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import cuda_host
import mlpx
from mlpx.bench.gpu import __main__ as command
from mlpx.bench.gpu import page, questions, report, results, running, targets, tested
from mlpx.bench.gpu.cases import PEERS, Case, cases
from mlpx.bench.gpu.own import OwnSteps, allocations, plan_facts
from mlpx.bench.gpu.products import Calls, Product
from mlpx.bench.gpu.results import CaseFigures, GpuResults
from mlpx.bench.gpu.steps import Steps
from mlpx.bench.gpu.timing import LATE, Contender, Figures, Spread, Turns, measure
from mlpx.bench.gpu.work import Job, beginning
from mlpx.bench.machine import Gpu, describe_machine
from mlpx.bench.peers import STEPS
from mlpx.bench.places import find_backend

JOB = Job((5, 16, 12, 3), 20, 5, block=10)
STACK = replace(JOB, members=3)
CUDA = any(info.name == "cupy" and info.available for info in mlpx.available_backends())
ON_CUDA = [pytest.mark.gpu, pytest.mark.skipif(not CUDA, reason="CuPy finds no CUDA device")]
BY_NAME = {peer.name: peer for peer in PEERS}

pytestmark = [
    # PyTorch's compiler warns about itself
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:torch.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.*"),
]


@pytest.fixture(autouse=True)
def _compilers_forget() -> Iterator[None]:
    libraries = {name: import_module(name) for name in ("jax", "torch") if util.find_spec(name)}
    if jax := libraries.get("jax"):
        before = jax.config.jax_default_matmul_precision
    if torch := libraries.get("torch"):
        precision = torch.get_float32_matmul_precision()
    yield
    # the contenders set the precision of products for the whole process
    if jax:
        jax.config.update("jax_default_matmul_precision", before)
    if torch:
        torch.set_float32_matmul_precision(precision)
    if STEPS["torch"] in sys.modules:
        sys.modules[STEPS["torch"]].release()


def contender(name: str, job: Job, device: str = "cpu") -> Steps:
    peer = BY_NAME[name]
    try:
        find_backend(f"{peer.library}:{device}")
    except (ValueError, mlpx.BackendUnavailableError) as error:
        pytest.skip(str(error))
    return getattr(import_module(STEPS[peer.library]), peer.cls)(job, device)


def own(job: Job, place: str) -> OwnSteps:
    if util.find_spec(place.partition(":")[0]) is None:
        pytest.skip(f"{place} is not installed")
    return OwnSteps(job, place)


def losses(steps: Steps, block: int = JOB.block) -> tuple[float, float]:
    """Return the loss of the first step, and the mean over a block of steps."""
    found = []
    for count in (1, block):
        steps.restart()
        steps.issue(count)
        steps.wait()
        found.append(steps.loss())
    return found[0], found[1]


# Everybody makes the same steps.


@pytest.mark.parametrize("job", [JOB, STACK], ids=["one network", "stack"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_mlpx_s_steps_are_those_of_fit(job: Job, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(job, precision=precision)
    start = beginning(job)
    net = mlpx.MLP(list(job.sizes), dtype=precision, members=job.members, backend="numpy")
    net.set_weights(start.weights, start.biases)
    first = net.evaluate(start.X[start.order[0].reshape(-1)[:20]], start.y[start.order[0].reshape(-1)[:20]])["loss"]
    found = losses(own(job, "numpy"))
    if job.members:
        assert found[0] == pytest.approx(found[1], rel=0.2)
    else:
        assert found[0] == pytest.approx(first, rel=1e-6)
    assert found[1] < found[0] * 1.1
    assert found == losses(own(job, "numpy"))


@pytest.mark.parametrize("job", [JOB, STACK], ids=["one network", "stack"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    "name",
    [pytest.param(peer.name, marks=pytest.mark.slow if peer.compiles else ()) for peer in PEERS if not peer.cuda],
)
def test_a_peer_makes_mlpx_s_steps(name: str, job: Job, precision: str) -> None:
    job = replace(job, precision=precision)
    expected = losses(own(job, "numpy"))
    np.testing.assert_allclose(losses(contender(name, job)), expected, rtol=1e-6 if precision == "float32" else 1e-12)


@pytest.mark.parametrize("place", ["torch", "jax"])
@pytest.mark.parametrize("job", [JOB, STACK], ids=["one network", "stack"])
def test_mlpx_makes_the_same_steps_on_every_backend(place: str, job: Job) -> None:
    np.testing.assert_allclose(losses(own(job, place)), losses(own(job, "numpy")), rtol=1e-6)


def test_the_captured_step_is_the_eager_one_on_the_rows_in_the_buffer() -> None:
    eager = contender("torch eager", JOB)
    steps = import_module(STEPS["torch"])

    class Replayed(steps.Graphed):
        def prepare(self) -> None:
            steps.Eager.prepare(self)
            self.made, self.rows = 0, self.order[0].clone()
            self.captured()  # moments are there before a capture
            self.graph = SimpleNamespace(replay=self.replay)

        def replay(self) -> None:
            self.optimizer.zero_grad(set_to_none=True)  # a captured backward writes and adds to nothing
            self.captured()

    replayed = Replayed(JOB, "cpu")
    assert losses(replayed) == losses(eager)
    for mine, theirs in zip(replayed.parameters()[0], eager.parameters()[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_graph_needs_a_cuda_device() -> None:
    with pytest.raises(ValueError, match="needs a CUDA device, got 'cpu'"):
        contender("torch graph", JOB)


@pytest.mark.parametrize(
    ("name", "job"), [("torch eager", JOB), ("torch eager", STACK), ("jax jit", STACK), ("jax scan", JOB)]
)
def test_half_precision_is_near_and_not_the_same(name: str, job: Job) -> None:
    full, half = (losses(contender(name, replace(job, precision=p))) for p in ("float32", "bfloat16"))
    np.testing.assert_allclose(half, full, rtol=2e-2)
    assert abs(half[0] - full[0]) > 1e-6
    weights, biases = contender(name, replace(job, precision="bfloat16")).parameters()
    assert {str(array.dtype) for array in (*weights, *biases)} == {"float32"}


@pytest.mark.parametrize("name", ["torch eager", "jax jit", "jax scan"])
def test_a_peer_without_a_scaled_loss_refuses_float16(name: str) -> None:
    with pytest.raises(ValueError, match="float16 needs a scaled loss"):
        contender(name, replace(JOB, precision="float16"))


def test_tf32_is_set_and_taken_back() -> None:
    torch = pytest.importorskip("torch")
    contender("torch eager", replace(JOB, precision="tf32"))
    assert torch.get_float32_matmul_precision() == "high"
    contender("torch eager", JOB)
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("name", [peer.name for peer in PEERS if not peer.compiles and not peer.cuda])
def test_steps_go_through_the_epoch_and_begin_again(name: str) -> None:
    steps = contender(name, JOB)
    first = losses(steps)
    steps.issue(20)
    steps.wait()
    assert losses(steps) == first


def test_the_orders_have_every_row_once_an_epoch_and_differ_by_member() -> None:
    start = beginning(STACK)
    assert start.order.shape == (5, 3, 20)
    for member in range(3):
        np.testing.assert_array_equal(np.sort(start.order[:, member].ravel()), np.arange(100))
    assert np.any(start.order[:, 0] != start.order[:, 1])
    assert beginning(JOB).order.shape == (5, 20)


# On a card.


@pytest.mark.parametrize("peer", [pytest.param(p, id=p.name, marks=ON_CUDA) for p in PEERS])
def test_a_peer_makes_mlpx_s_steps_on_the_card(peer) -> None:
    steps = contender(peer.name, JOB, "cuda:0")
    np.testing.assert_allclose(losses(steps), losses(own(JOB, "numpy")), rtol=1e-5)


@pytest.mark.parametrize("place", [pytest.param("cupy", marks=ON_CUDA)])
@pytest.mark.parametrize("job", [JOB, STACK], ids=["one network", "stack"])
def test_mlpx_makes_its_steps_on_the_card(place: str, job: Job) -> None:
    np.testing.assert_allclose(losses(own(job, place)), losses(own(job, "numpy")), rtol=1e-5)


@pytest.mark.parametrize("letter", [pytest.param(letter, marks=ON_CUDA) for letter in "abcdefg"])
def test_every_question_has_an_answer_on_the_card(letter: str) -> None:
    answer = questions.answers("cuda:0")[letter]
    assert isinstance(answer, dict) or letter == "e", answer


# Times.


class Device(Steps):
    """A device with a queue, by its own clock: a step costs the host `host` seconds and the device `work`."""

    def __init__(self, host: float, work: float) -> None:
        self.host, self.work = host, work
        self.now = self.busy = 0.0

    def issue(self, count: int) -> None:
        for _ in range(count):
            self.now += self.host
            self.busy = max(self.busy, self.now) + self.work

    def wait(self) -> None:
        self.now = max(self.now, self.busy)

    def stopwatch(self):
        from mlpx.bench.gpu.steps import HostWatch

        return HostWatch(self.wait, lambda: self.now)


@pytest.mark.parametrize(("host", "work"), [(1e-5, 1e-4), (1e-4, 1e-5)])
def test_latency_throughput_and_enqueue_time_are_told_apart(host: float, work: float) -> None:
    device = Device(host, work)
    found, failures = measure([Contender("one", lambda: device)], seconds=0.1, clock=lambda: device.now)
    assert not failures
    assert found[0].latency.median == pytest.approx(host + work)
    assert found[0].enqueue.median == pytest.approx(host)
    assert found[0].throughput.median == pytest.approx(max(host, work), rel=0.01)
    assert found[0].wall == pytest.approx(found[0].throughput.median)
    assert found[0].steps >= 200


def test_events_that_miss_the_work_are_not_believed() -> None:
    class Elsewhere(Device):
        clock = "events"

        def stopwatch(self):
            return SimpleNamespace(start=lambda: None, stop=lambda: None, seconds=lambda: 1e-9)

    device = Elsewhere(1e-5, 1e-3)
    (found,), _ = measure([Contender("one", lambda: device)], seconds=0.1, clock=lambda: device.now)
    assert found.clock == "host"
    assert found.throughput.median == found.wall == pytest.approx(1e-3, rel=0.01)


def test_long_steps_are_fewer_and_whole_blocks() -> None:
    device = Device(1e-4, 0.05)
    device.block = 4
    (found,), _ = measure([Contender("one", lambda: device)], seconds=0.1, clock=lambda: device.now)
    assert found.steps == 12
    assert found.block == 4


def test_contenders_take_turns_and_are_divided_by_the_first() -> None:
    now = SimpleNamespace(time=0.0)
    taken: list[str] = []

    def ready(name: str, seconds: float) -> Contender:
        def call() -> None:
            taken.append(name)
            now.time += seconds

        return Contender(name, lambda: Calls(call, lambda: None))

    found, _ = measure([ready("a", 1.0), ready("b", 3.0)], seconds=1.0, clock=lambda: now.time)
    assert [figures.name for figures in found] == ["a", "b"]
    # the span of the library's own clock is not this one, so that only order is looked at
    changes = [name for i, name in enumerate(taken) if i == 0 or taken[i - 1] != name]
    assert changes[:6] == ["a", "b", "a", "b", "a", "b"] or changes[:4] == ["a", "b", "a", "b"]
    assert found[0].ratio == 1.0


def test_what_fails_is_named_and_the_others_go_on() -> None:
    class Late(Device):
        def issue(self, count: int) -> None:
            if count > 100:
                msg = "no memory\nleft"
                raise MemoryError(msg)
            super().issue(count)

    def broken() -> Steps:
        msg = "no such device"
        raise RuntimeError(msg)

    good, late = Device(1e-4, 1e-4), Late(1e-2, 1e-2)
    ways = [Contender("broken", broken), Contender("late", lambda: late), Contender("good", lambda: good)]
    found, failures = measure(ways, seconds=0.01)
    assert [figures.name for figures in found][-1] == "good"
    assert failures["broken"] == "failed: RuntimeError: no such device"
    assert found[-1].ratio is None
    assert failures.get("late", "failed: MemoryError: no memory") == "failed: MemoryError: no memory"


def test_what_compiles_long_is_left_out_near_the_end() -> None:
    device = Device(1e-4, 1e-4)
    slow = Contender("slow", lambda: Device(1, 1), compiles=True)
    found, failures = measure(
        [Contender("one", lambda: device), slow], seconds=0.01, deadline=50.0, clock=lambda: device.now
    )
    assert [figures.name for figures in found] == ["one"]
    assert failures == {"slow": "not run: the time was used up"}


def test_a_step_that_is_too_long_for_the_time_ends_the_case() -> None:
    """Blocks of 64 steps of ten seconds each would take far longer than the hundred that there are."""
    device = Device(1e-4, 10.0)

    def with_work(work: float, block: int) -> Steps:
        device.work, device.block = work, block
        return device

    ways = [Contender("long", lambda: with_work(10.0, 64)), Contender("after", lambda: with_work(1e-3, 1))]
    found, failures = measure(ways, seconds=1.0, deadline=100.0, clock=lambda: device.now)
    assert failures == {"long": LATE}
    assert [figures.name for figures in found] == ["after"]
    assert device.now < 100.0


def test_rounds_end_at_the_deadline() -> None:
    device = Device(1e-4, 1.0)
    ways = [Contender("one", lambda: device), Contender("two", lambda: device)]
    # warming up takes ten steps each, and a round thirteen
    found, failures = measure(ways, seconds=1000.0, deadline=50.0, clock=lambda: device.now)
    assert not failures
    assert [figures.rounds for figures in found] == [1, 1]
    assert device.now <= 50.0
    device.now = device.busy = 0.0
    found, failures = measure(ways, seconds=1000.0, deadline=36.0, clock=lambda: device.now)
    assert [figures.name for figures in found] == ["one"]
    assert failures == {"two": LATE}
    assert device.now <= 36.0


def test_those_who_are_ready_get_a_round_before_another_is_warmed_up() -> None:
    device = Device(1e-4, 1.0)
    ways = [Contender(name, lambda: device) for name in ("one", "two")]
    found, failures = measure(ways, seconds=1000.0, deadline=25.5, clock=lambda: device.now)
    assert [figures.name for figures in found] == ["one"]
    assert failures == {"two": LATE}
    assert device.now <= 25.5


# Runs and files.


def spread(median: float) -> Spread:
    return Spread(median, 0.9 * median, 0.95 * median, 1.1 * median)


def figures(name: str, seconds: float, **other: object) -> Figures:
    made = Figures(
        name,
        f"how {name} was set",
        spread(2 * seconds),
        spread(seconds),
        spread(0.1 * seconds),
        seconds,
        seconds / 38e-6,
        5.5,
        "events",
        200,
        1,
        9,
        1.5,
    )
    return replace(made, **other)


def made_up() -> GpuResults:
    """Return results that nobody measured, for proving that they are shown."""
    machine = replace(describe_machine(), gpus=(Gpu("Made-Up 1", 2**37, "1.2"),))
    names = ("mlpx torch", "mlpx jax", "torch graph", "jax scan", "jax jit", "torch eager", "torch.compile reduced")
    others = [figures(name, 1e-4 * (i + 1)) for i, name in enumerate(names)]
    small = CaseFigures(
        "training",
        "256-256-256-256, batch 256, float32",
        "float32",
        "step",
        1,
        2.7e8,
        0.0,
        (figures("mlpx cupy", 38e-6, facts={"nodes": 19, "allocation nodes": 0}), *others),
        {"torch.compile": "failed: RuntimeError: " + "no compiler " * 20},
    )
    stack = replace(
        small,
        group="stacks",
        name="20-32-32-2, batch 32, 1000 members, float32",
        per="member-step",
        count=1000,
        results=(figures("mlpx cupy", 4e-4), figures("jax scan", 3e-4, first_loss=7.0)),
        failures={},
    )
    product = CaseFigures(
        "products",
        "8192 x 8192 x 8192, forward, float32",
        "float32",
        "call",
        1,
        1.1e12,
        0.0,
        (figures("mlpx cupy", 0.02), figures("torch", 0.021)),
        {},
    )
    copy = replace(product, group="copies", name="copy of 8192 MiB", precision="", flop=0.0, bytes=2.0**33)
    answers = {"a": {"nodes": 10, "allocation nodes": 0}, "b": {"µs a node, element-wise": 1.234}, "e": "not asked"}
    return GpuResults(
        "2000-01-01T00:00:00+00:00",
        "cuda:0",
        machine,
        {"cuBLAS": "1"},
        540.0,
        321.0,
        quick=False,
        cases=(small, product, copy, stack),
        skipped=("64-100-10",),
        questions=answers,
    )


def test_results_survive_the_file(tmp_path: Path) -> None:
    # numbers are written to six digits
    found = results.load(results.save(made_up(), tmp_path / "deep" / "one-bench.json"))
    assert found.cases[0].results[0].throughput.median == pytest.approx(38e-6)
    assert results.load(results.save(found, tmp_path / "deep" / "one-bench.json")) == found
    assert results.load_folder(tmp_path / "deep") == [found]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["one-bench.json"]


@pytest.mark.parametrize(("text", "said"), [("{}", "`format`"), ("[", "Expecting"), ('{"format": 1}', "`format`")])
def test_a_file_of_something_else_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x-bench.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"cannot be used: .*{said}.*python -m mlpx.bench.gpu"):
        results.load(path)


def test_the_file_is_written_after_every_case_and_what_had_no_time_is_named(tmp_path: Path) -> None:
    path, device = tmp_path / "x.json", Device(1e-3, 1e-3)
    held: list[int] = []

    def prepare() -> Steps:
        held.append(len(results.load(path).cases) if path.exists() else 0)
        return device

    def slow() -> Steps:
        device.now += 1000.0
        return device

    def case(name: str, prepare) -> Case:
        return Case("training", name, "float32", (Contender("one", prepare),), flop=1.0, seconds=0.1)

    start = running.described("", 100.0, quick=True)
    work = [case("a", prepare), case("b", prepare), case("c", slow), case("d", prepare)]
    found = running.run(work, start, path, clock=lambda: device.now)
    assert held == [0, 1]
    assert [each.name for each in found.cases] == ["a", "b", "c"]
    assert found.skipped == ("d",)
    assert results.load(path).skipped == ("d",)
    assert found.cases[2].failures == {"one": LATE}
    late = running.run([case("c", slow)], start, tmp_path / "late.json", clock=lambda: device.now)
    assert not late.measured
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
    assert found.spent > 1000


def test_the_committed_results_are_for_devices() -> None:
    inside = Path("benchmarks/results/gpu/x.json")
    with pytest.raises(ValueError, match="`--output` must lie outside benchmarks/results where no CUDA device"):
        targets.check_output("--output", inside, cuda=False)
    assert targets.check_output("--output", inside, cuda=True) == inside
    assert targets.check_output("--output", Path("elsewhere/x.json"), cuda=False)


def test_only_a_file_of_the_same_format_is_replaced(tmp_path: Path) -> None:
    new, ours, other = (tmp_path / name for name in ("new.json", "ours.json", "other.json"))
    results.save(made_up(), ours)
    other.write_text('{"format": "of somebody else"}', encoding="utf-8")
    for path in (new, ours):
        assert targets.check_replaceable("--output", path, results.FORMAT) == path
    for path in (other, tmp_path):
        with pytest.raises(ValueError, match='`--output` replaces only a file of the format "mlpx GPU benchmark res'):
            targets.check_replaceable("--output", path, results.FORMAT)


@pytest.mark.parametrize("name", ["README.md", "data.json", "missing/x.json"])
def test_the_command_refuses_a_file_before_it_measures(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text("# read me", encoding="utf-8")
    (tmp_path / "data.json").write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        command.main(["--device", "cpu", "--quick", "--output", str(tmp_path / name)])
    assert "error: `--output` " in (said := capsys.readouterr().err)
    assert said.endswith("Nothing was measured and no file was written.\n")
    assert "training: " not in said
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "# read me"
    assert (tmp_path / "data.json").read_text(encoding="utf-8") == "[1, 2]"
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("asked", [["--quick", "--seconds", "1e-6"], ["--questions"]])
def test_where_nothing_was_measured_no_file_is_written(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--device", "cpu", *asked, "--output", str(tmp_path / "x.json")]) == 1
    assert capsys.readouterr().err.endswith("Nothing was measured and no file was written.\n")
    assert not list(tmp_path.iterdir())


# Tables and the page.


def test_the_tables_fit_80_columns_and_hold_everything() -> None:
    lines = list(report.lines(made_up()))
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "torch.compile: failed: RuntimeError" in text
    small = next(line for line in lines if line.startswith("  mlpx cupy"))
    assert small.split()[:9] == ["mlpx", "cupy", "76.0", "µs", "38.0", "µs", "3.80", "µs", "7.5"]
    assert "torch.compile reduced" in text
    assert "first loss 7, but mlpx cupy has 5.5: not the same step" in text
    assert "no time was left for: 64-100-10" in text
    assert "copy of 8192 MiB" in text
    last = lines[lines.index("") :][-5:]
    assert any(line.startswith("20-32-32-2") and line.split()[-1] == "1.33" for line in last)
    assert "400 ns" in text


def test_nothing_is_divided_by_mlpx_where_it_did_not_run() -> None:
    found = made_up()
    case = replace(found.cases[0], results=found.cases[0].results[3:])
    assert {row[5] for row in (report.row(case, result, found) for result in case.results)} == {""}


def test_the_peak_is_the_best_product_of_the_precision() -> None:
    found = made_up()
    assert found.peak("float32") == pytest.approx(1.1e12 / 0.02)
    assert found.peak("tf32") is None
    assert report.rate(found.cases[0], found.cases[0].results[0], found).endswith("13 %")


def test_the_page_says_not_yet_measured_until_there_is_a_file(tmp_path: Path) -> None:
    assert page.write_gpu(tmp_path).startswith("Not yet measured")
    results.save(replace(made_up(), cases=()), tmp_path / "empty-bench.json")
    assert page.write_gpu(tmp_path).startswith("Not yet measured")
    results.save(made_up(), tmp_path / "made-up-bench.json")
    text = page.write_gpu(tmp_path)
    assert "Not yet measured" not in text
    assert "### Made-Up 1" in text
    assert "| **mlpx cupy** | 76.0 µs | 38.0 µs | 3.80 µs |" in text
    assert "256-256-256-256, batch 256, float32, mlpx cupy: nodes: 19, allocation nodes: 0" in text
    assert "- torch graph: how torch graph was set" in text
    assert "- torch.compile: failed" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_measurements_page_asks_for_the_section() -> None:
    docs = Path(__file__).parents[1] / "docs"
    if not docs.exists():
        pytest.skip("the documentation is not here")
    assert "<!-- GPU results -->" in (docs / "measurements.md").read_text(encoding="utf-8")
    assert '"<!-- GPU results -->", write_gpu(' in (docs / "conf.py").read_text(encoding="utf-8")


# The report of the tests.


def reports() -> dict[str, list[SimpleNamespace]]:
    crash = SimpleNamespace(reprcrash=SimpleNamespace(message="assert 1 == 2"))

    def of(name: str, longrepr: object = None, **keywords: int) -> SimpleNamespace:
        return SimpleNamespace(nodeid=name, longrepr=longrepr, keywords=keywords, duration=0.5)

    return {
        "passed": [of("a", gpu=1), of("b")],
        "failed": [of("c", crash, gpu=1), of("d", crash)],
        "error": [of("e", "broken fixture", gpu=1)],
        "skipped": [of("f", ("file", 1, "Skipped: no device"), gpu=1)],
    }


def test_the_report_counts_the_tests_that_need_a_device(tmp_path: Path) -> None:
    path = tested.write(reports(), tmp_path / "gpu", "cuda:0")
    assert path.name.endswith("-tests.json")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["counts"] == {"passed": 1, "failed": 2, "skipped": 1}
    assert found["failures"] == [
        {"name": "c", "message": "assert 1 == 2"},
        {"name": "e", "message": "broken fixture"},
    ]
    assert found["skipped"] == [{"name": "f", "message": "Skipped: no device"}]
    assert "Tests on cuda:0" in page.write_gpu(tmp_path / "gpu")
    assert "1 passed, 2 failed, 1 skipped.\n- c\n- e" in page.write_gpu(tmp_path / "gpu")


def test_no_report_is_written_without_a_device(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no CUDA device answers, so no GPU test ran \(1 skipped\)"):
        tested.write(reports(), tmp_path / "x-tests.json", "")
    assert not list(tmp_path.iterdir())


def test_a_report_replaces_only_a_report(tmp_path: Path) -> None:
    path = tmp_path / "x-tests.json"
    assert tested.check_place(tested.write(reports(), path, "cuda:0")) == path
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match='`--gpu-report` replaces only a file of the format "mlpx GPU test report"'):
        tested.check_place(path)
    with pytest.raises(ValueError, match="`--gpu-report` must lie in a folder that exists"):
        tested.check_place(tmp_path / "missing" / "x.json")
    (tmp_path / "README.md").write_text("# read me", encoding="utf-8")
    with pytest.raises(ValueError, match="`--gpu-report` must be a JSON file or a folder"):
        tested.check_place(tmp_path / "README.md")


def test_a_report_of_something_else_is_none_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "y-tests.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="`format` must be"):
        tested.load_folder(tmp_path)


@pytest.mark.skipif(CUDA, reason="there is a CUDA device")
def test_a_run_without_a_device_says_so_in_a_few_lines_and_fails(tmp_path: Path) -> None:
    chosen = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(Path(__file__)), "-p", "no:cacheprovider"]
    root = Path(__file__).parents[1]
    place = f"--gpu-report={tmp_path / 'found.json'}"
    plain, asked = (
        subprocess.run([*chosen, *more], capture_output=True, text=True, timeout=120, cwd=root, check=False)
        for more in ([], [place])
    )
    assert (plain.returncode, asked.returncode) == (0, 1), plain.stderr + asked.stderr
    said = asked.stdout.splitlines()
    count = int(said[-2].split()[0])
    assert count > 10
    assert said[-2] == f"{count} tests need a CUDA device and did not run"
    assert said[-3] == f"no report was written: no CUDA device answers, so no GPU test ran ({count} skipped)"
    assert [line for line in said if line.startswith("SKIPPED")] == [said[-4]]
    assert said[-4].startswith(f"SKIPPED [{count}] tests/conftest.py: cupy: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["README.md", "data.json"])
def test_a_place_for_the_report_is_refused_before_any_test(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}", encoding="utf-8")
    here, root = str(Path(__file__)), Path(__file__).parents[1]
    run = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", here, f"--gpu-report={tmp_path / name}"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, cwd=root, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: `--gpu-report` " in done.stderr
    assert (tmp_path / name).read_text(encoding="utf-8") == "{}"


# The cases and the command.


def test_listing_the_cases_imports_no_library() -> None:
    code = """
import sys
from mlpx.bench.gpu.cases import cases
for device in "cuda:0", "cpu":
    assert len(cases(device)) > 20
print(*{name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert {"torch", "jax", "cupy"} & set(done.stdout.split()) == set()


def test_every_network_that_has_an_aim_is_among_the_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: name)
    found = {case.name: case for case in cases("cuda:0")}
    assert next(iter(found)) == "256-256-256-256, batch 256, float32"
    for precision in ("tf32", "bfloat16"):
        assert f"1024-1024-1024-1024-1024, batch 8192, {precision}" in found
    for precision in ("bfloat16", "float32"):
        assert f"4096-4096-4096-4096-4096, batch 8192, {precision}" in found
    assert "20-32-32-2, batch 32, 1000 members, float32" in found
    names = [who.name for who in found["256-256-256-256, batch 256, float32"].contenders]
    assert names == ["mlpx cupy", "mlpx torch", "mlpx jax", *(peer.name for peer in PEERS)]
    peaks = {case.precision for case in found.values() if case.name.startswith("8192 x 8192 x 8192")}
    assert peaks == {"float64", "float32", "tf32", "float16", "bfloat16"}
    assert sum(case.group == "training" for case in found.values()) == 9


@pytest.mark.parametrize("kind", ["forward", "error term", "weight gradient"])
@pytest.mark.parametrize("members", [None, 2])
def test_a_product_is_that_of_its_kind(kind: str, members: int | None) -> None:
    torch = pytest.importorskip("torch")
    product = Product(kind, 4, 3, 2, "float32", members)
    calls: list[tuple[object, ...]] = []
    steps = import_module(STEPS["torch"]).products(product, "cpu")
    matmul = torch.matmul
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "matmul", lambda a, b, out: calls.append((a.shape, b.shape, matmul(a, b, out=out).shape)))
        steps.issue(1)
    sizes = {"forward": (4, 3, 2), "error term": (4, 2, 3), "weight gradient": (3, 4, 2)}[kind]
    front = (members,) if members else ()
    n, k, m = sizes
    assert calls == [((*front, n, k), (*front, k, m), (*front, n, m))]
    assert product.flop == 2 * n * k * m * (members or 1)


def test_the_command_measures_and_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tried-bench.json"
    chosen = ["--case", "16-20-10", "--contender", "mlpx numpy", "--output", str(path)]
    for _ in range(2):  # earlier results are replaced
        assert command.main(["--device", "cpu", "--quick", *chosen]) == 0
    (case,) = results.load(path).cases
    assert [result.name for result in case.results] == ["mlpx numpy"]
    assert case.results[0].first_loss > 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert "16-20-10, batch 28, float32: time a step" in lines
    assert lines[-1] == "small sizes on the processor: this says nothing about a GPU"
    assert lines[-2].endswith(" of 60 s on cpu")
    assert "this takes 60 s at most" in said.err
    assert max(map(len, lines)) <= 80


@pytest.mark.skipif(CUDA, reason="there is a CUDA device")
def test_the_command_refuses_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main([])
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "error: `--device` cuda:0 is not there:"
    assert [line.split()[0] for line in said if line[:3].strip()][1:4] == ["cupy:", "torch:", "jax:"]
    assert said[-1] == "Nothing was measured and no file was written."
    assert max(map(len, said)) <= 80


@pytest.mark.parametrize("device", ["tpu", "gpu", "CUDA:0", "0", "nonsense", "cuda:", "cuda:x", "cpu:0", ""])
def test_the_command_refuses_what_is_no_device(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--device", device])
    message = f'error: `--device` must be "cpu" or "cuda:0", "cuda:1", …; got {device!r}.'
    assert capsys.readouterr().err.splitlines()[0] == message


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf"])
def test_the_command_refuses_a_time_that_is_none(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--device", "cpu", "--seconds", seconds])
    assert f"error: `--seconds` must be positive and finite, got {seconds}." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--case", "nonsense"], "no case contains 'nonsense'; groups are training, products, copies, stacks"),
        (["--case", "training", "--case", "nonsense"], "no case contains 'nonsense'; groups are training,"),
        (["--contender", "nonsense"], "no contender contains 'nonsense'; contenders are mlpx numpy,"),
    ],
)
def test_the_command_refuses_what_chooses_nothing(
    asked: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--device", "cpu", "--quick", *asked])
    assert f"error: {said}" in capsys.readouterr().err


def test_sizes_of_a_gpu_on_the_processor_are_warned_of() -> None:
    options = command.make_parser().parse_args(["--device", "cpu"])
    command.check(options)
    assert list(command.announcements(options)) == [
        "warning: the sizes are for a GPU; a processor does few in time; add --quick",
        "this takes 540 s at most",
    ]


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_no_two_cases_have_one_name(device: str, quick: bool) -> None:
    names = [case.name for case in cases(device, quick=quick)]
    assert len(names) > 30
    assert len(set(names)) == len(names)


def test_the_command_keeps_tries_out_of_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--device", "cpu", "--quick", "--output", "benchmarks/results/gpu/x.json"])
    assert "`--output` must lie outside benchmarks/results" in capsys.readouterr().err
    assert not Path("benchmarks/results/gpu/x.json").exists()


def test_questions_without_a_device_are_told_in_words_and_not_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(questions.answers("cpu").values()) == {"not asked: needs a CUDA device"}
    command.main(["--device", "cpu", "--questions"])
    said = " ".join(capsys.readouterr().out.split())
    for letter, words in questions.WORDS.items():
        assert f"question {letter}, {words} not asked: needs a CUDA device" in said


def test_a_question_that_fails_says_why() -> None:
    def question() -> object:
        msg = "driver\nis old"
        raise OSError(msg)

    assert questions.answer(question) == "failed: OSError: driver"


@pytest.mark.parametrize("block", [4, 16, 32, 40])
def test_every_graph_is_captured_before_the_clock_runs(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not cuda_host.available():
        pytest.skip("no C++ compiler")
    from host_device import HostBackend

    backend = HostBackend()
    monkeypatch.setattr("mlpx.bench.gpu.own.find_backend", lambda place: backend)
    job = replace(JOB, block=block)
    turns = Turns(Contender("mlpx cupy", lambda: OwnSteps(job, "cupy")), time.perf_counter, span=0.0)
    (program,) = backend.captured[-1].programs.values()
    captured = set(program.graphs)
    assert captured == {1, 16} - ({16} if block < 16 else set())
    before = backend.host_device.graphs
    turns.turn()
    assert backend.host_device.graphs == before
    (same,) = backend.captured[-1].programs.values()
    assert same is program
    assert turns.steps.facts() == {"nodes": program.nodes, "allocation nodes": 0}
    assert program.nodes > 5
    assert turns.first_loss == pytest.approx(losses(own(JOB, "numpy"))[0], rel=1e-6)


def test_a_plan_s_nodes_are_counted_where_it_tells_them() -> None:
    text = '"graph_1_node_0" [label="KERNEL"]; "graph_1_node_1" [label="MEM_ALLOC"]'
    program = SimpleNamespace(nodes=["a", "b"], debug=lambda: text)
    assert plan_facts(SimpleNamespace(programs=[None, program])) == {"nodes": 2, "allocation nodes": 1}
    assert plan_facts(SimpleNamespace(_programs={1: SimpleNamespace(nodes=7)})) == {"nodes": 7}
    assert plan_facts(lambda: None) == {}
    assert allocations("nothing") == 0
