"""The benchmarks' own parts, on made-up contenders, clocks and machines: no test here says how fast anything is."""

from __future__ import annotations

import dataclasses
import gc
import json
import re
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mlpx
from mlpx.bench import (
    Case,
    CaseResult,
    Contender,
    Result,
    compare,
    guard,
    measure,
    outer,
    page,
    products,
    quantities,
    ratios,
    records,
    report,
    results,
    roofline,
    running,
    suites,
)
from mlpx.bench.machine import Blas, Gpu, Machine, describe_machine
from mlpx.bench.results import Results, Settings
from mlpx.bench.roofline import Copy, Peak, Roofline
from mlpx.cli import main

LAYERS = {"20-32-32-2, batch 32": 1e-6, "784-256-128-10, batch 256": 1322e-6}
TIMES = {"mlpx numpy": 1.1, "scikit-learn": 2.5, "torch eager": 1.7, "jax jit": 1.6, "products": 1.0}


def made_up_machine(processor: str = "Imaginary 9000", cores: int = 2) -> Machine:
    return Machine(
        processor, "x86_64", ("avx2",), cores, cores, {"L1": 2**15, "L3": 2**25}, 2**34, "Linux 6.1", "CPython 3.11.7",
        Blas("openblas", "0.3.31", cores, "Zen"), {"mlpx": "0.1.0", "numpy": "2.4.6"}, (), {},
    )  # fmt: skip


def made_up_roofline(speed: float = 1.0) -> Roofline:
    peaks = [Peak("cpu", "numpy", dtype, rate * speed, 1024) for dtype, rate in (("float32", 2e11), ("float64", 1e11))]
    return Roofline(tuple(peaks), (Copy("cpu", 2**20, 1e11 * speed), Copy("cpu", 2**29, 2e10 * speed)))


def result_of(name: str, median: float, reference: float, spread: float = 0.02) -> Result:
    return Result(
        name, median, median * (1 - spread), median * (1 + spread), median / reference, 31, 4, f"{name} as is"
    )


def case_result(case: Case, times: dict[str, float]) -> CaseResult:
    first = next(iter(times.values()))
    found = tuple(result_of(name, time, first) for name, time in times.items())
    return CaseResult(
        case.suite, case.group, case.name, case.per, case.unit, case.flop, case.bytes, dict(case.parameters), found
    )


def made_up_results(processor: str = "Imaginary 9000", cores: int = 2, slower: float = 1.0) -> Results:
    """Return results as a machine might give them that runs at a share of its roofline which grows with the work."""
    speed, roofline = cores / 2, made_up_roofline(cores / 2)
    cases = []
    for case in suites.make_cases(["products", "outer"], backends=["numpy"]):
        if case.unit == "B":
            times = {c.name: float(c.prepare()()) for c in case.contenders}
        else:
            bound = roofline.bound(case, "cpu")
            times = {c.name: 2e-6 + bound * (1.2 + i) * slower for i, c in enumerate(case.contenders)}
        cases.append(case_result(case, times))
    for name, time in LAYERS.items():
        case = Case("training", name, (), "step", parameters={"dtype": "float32"})
        cases.append(case_result(case, {who: (2e-5 + time) / speed * t for who, t in TIMES.items()}))
    settings = Settings(False, ("products", "outer", "training"), ("numpy",), ("float32",), 45.0, 0.1)
    machine = made_up_machine(processor, cores)
    return Results("2026-01-02T03:04:05+00:00", machine, settings, roofline, tuple(cases))


class Time:
    """A clock that only contenders move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def contender(self, name: str, *seconds: float, log: list[str] | None = None) -> Contender:
        """Return a contender whose runs take these seconds, the last of them again and again."""
        left = list(seconds)

        def run() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]
            if log is not None:
                log.append(name)

        return Contender(name, lambda: run, f"settings of {name}")


# Timing.


def test_figures_are_medians_of_one_per() -> None:
    time = Time()
    case = Case("made up", "two", (time.contender("slow", 0.4), time.contender("fast", 0.1)), per="step", count=10)
    slow, fast = measure(case, seconds=20, clock=time).results
    assert (slow.median, slow.low, slow.high) == pytest.approx((0.04, 0.04, 0.04))
    assert (fast.median, fast.ratio, slow.ratio) == pytest.approx((0.01, 0.25, 1.0))
    assert slow.spread == pytest.approx(0, abs=1e-9)
    assert fast.settings == "settings of fast"


def test_contenders_take_turns_and_each_begins() -> None:
    time, log = Time(), []
    names = "abc"
    case = Case("made up", "three", tuple(time.contender(name, 1.0, log=log) for name in names), per="call")
    measured = measure(case, seconds=30, clock=time)
    rounds = measured.results[0].rounds
    turns = "".join(log[-3 * rounds :])
    assert rounds == 10
    assert turns == "".join(("abc", "bca", "cab")[i % 3] for i in range(rounds))


def test_warming_up_is_not_timed() -> None:
    time = Time()
    case = Case("made up", "compiled", (time.contender("compiled", 50.0, 0.5, 0.1),), per="call")
    assert measure(case, seconds=1, clock=time).results[0].high == pytest.approx(0.1)


def test_a_turn_takes_two_milliseconds_at_least() -> None:
    time = Time()
    quick, slow = time.contender("quick", 1e-6), time.contender("slow", 1e-2)
    first, second = measure(Case("made up", "pair", (quick, slow), per="call"), seconds=1, clock=time).results
    assert first.repetitions * 1e-6 >= 2e-3
    assert second.repetitions == 1
    assert (first.median, second.median) == pytest.approx((1e-6, 1e-2))


def test_there_are_some_rounds_whatever_they_take() -> None:
    time = Time()
    case = Case("made up", "long", (time.contender("long", 1000.0),), per="call")
    assert measure(case, seconds=1, clock=time).results[0].rounds >= 3


def test_the_ratio_is_taken_within_rounds() -> None:
    """A machine that runs at half its speed now and then changes times, and no ratio."""
    time = Time()
    weather = [1.0, 1.0, *(1.0, 3.0, 2.0, 5.0, 1.0) * 30]
    ways = time.contender("a", *weather), time.contender("b", *(2 * seconds for seconds in weather))
    found = measure(Case("made up", "weather", ways, per="call"), seconds=100, clock=time)
    assert found.results[1].ratio == pytest.approx(2.0)
    assert found.results[1].spread > 0.2


def test_a_contender_that_fails_is_named_and_the_others_go_on() -> None:
    time = Time()

    def broken() -> Callable[[], object]:
        msg = "no such device\nand more"
        raise RuntimeError(msg)

    case = Case("made up", "two", (Contender("broken", broken), time.contender("sound", 0.1)), per="call")
    found = measure(case, seconds=1, clock=time)
    assert found.failures == {"broken": "RuntimeError: no such device"}
    assert [(result.name, result.ratio) for result in found.results] == [("sound", 1.0)]


def test_bytes_are_counted_once() -> None:
    calls = []
    ways = [Contender(name, lambda n=n: lambda: calls.append(n) or n) for name, n in (("a", 1000), ("b", 250))]
    found = measure(Case("made up", "memory", tuple(ways), per="run", unit="B"))
    assert calls == [1000, 250]
    assert [(r.median, r.ratio, r.rounds) for r in found.results] == [(1000, 1, 1), (250, 0.25, 1)]


def test_garbage_is_collected_afterwards_as_before() -> None:
    time, seen = Time(), []
    way = Contender("a", lambda: lambda: seen.append(gc.isenabled()) or setattr(time, "now", time.now + 1))
    measure(Case("made up", "one", (way,), per="call"), seconds=1, clock=time)
    assert not any(seen)
    assert gc.isenabled()


# Roofline.


def test_the_bound_is_the_slower_of_products_and_copies() -> None:
    roofline = made_up_roofline()
    work = Case("made up", "work", (), "call", flop=2e9, bytes=1e6, parameters={"dtype": "float32"})
    assert roofline.bound(work, "cpu") == pytest.approx(1e-2)
    assert roofline.bound(dataclasses.replace(work, parameters={"dtype": "float64"}), "cpu") == pytest.approx(2e-2)
    assert roofline.bound(dataclasses.replace(work, bytes=2e9), "cpu") == pytest.approx(0.1)
    assert roofline.bound(work, "cuda:0") is None
    assert roofline.bound(dataclasses.replace(work, unit="B"), "cpu") is None


def test_the_bandwidth_is_the_best_at_a_size_or_above() -> None:
    roofline = Roofline(copies=(Copy("cpu", 100, 5.0), Copy("cpu", 1000, 9.0), Copy("cpu", 10000, 2.0)))
    assert [roofline.bandwidth("cpu", size) for size in (1, 100, 101, 1001, 10001)] == [9.0, 9.0, 9.0, 2.0, 2.0]


def test_a_roofline_is_measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "WIDTHS", (64, 128))
    monkeypatch.setattr(roofline, "SIZES", (2**16, 2**20))
    monkeypatch.setattr(roofline, "REPEATING", 0.01)
    found = roofline.join(part() for _, part in roofline.parts(["numpy"], ["float32"]))
    assert found.peak("cpu", "float32") > 0
    assert found.bandwidth("cpu", 2**20) > 0


# Products and outer products.


@pytest.mark.parametrize("work", products.WORK)
def test_products_are_those_of_a_layer(work: str, ops: mlpx.Backend) -> None:
    rng = np.random.default_rng(0)
    a, w, delta = (rng.standard_normal(shape) for shape in ((5, 3), (3, 4), (5, 4)))
    expected = {"forward": a @ w, "error term": delta @ w.T, "weight gradient": a.T @ delta}[work]
    call = products.WORK[work](ops, *(ops.asarray(x) for x in (a, w, delta)))
    np.testing.assert_allclose(ops.to_numpy(call()), expected, rtol=1e-12)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("way", outer.WAYS)
def test_the_four_ways_give_the_same_gradient(way: str, members: int, ops: mlpx.Backend) -> None:
    rng = np.random.default_rng(0)
    a, delta = rng.standard_normal((members, 7, 3)), rng.standard_normal((members, 7, 2))
    found = ops.to_numpy(outer.WAYS[way](ops, ops.asarray(a), ops.asarray(delta))())
    np.testing.assert_allclose(found.reshape(members, 3, 2), np.einsum("sni,sno->sio", a, delta), rtol=1e-12)


@pytest.mark.parametrize("shape", [(s, n, 200, 150) for s, n in ((1, 1), (1, 2), (1, 9), (4, 1), (4, 5))])
@pytest.mark.parametrize("way", outer.WAYS)
def test_the_memory_of_the_four_ways_is_what_numpy_allocates(way: str, shape: outer.Shape) -> None:
    members, batch, fan_in, fan_out = shape
    backend = mlpx.get_backend("numpy")
    call = outer.WAYS[way](backend, np.ones((members, batch, fan_in)), np.ones((members, batch, fan_out)))
    tracemalloc.start()
    try:
        call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # an iteration over arrays that are not contiguous has buffers; above 256 KiB NumPy would reuse a temporary
    assert 0 <= peak - outer.peak_bytes(way, shape, 8) < 2e5


def test_the_short_grid_is_part_of_the_whole_one() -> None:
    short, full = (
        {case.key for case in suites.make_cases(["products", "outer"], full=full, backends=["numpy"])}
        for full in (False, True)
    )
    assert short < full


@pytest.mark.parametrize("full", [False, True])
def test_cases_have_names_of_their_own(full: bool) -> None:
    cases = suites.make_cases(suites.suite_names(), full=full, backends=["numpy"], dtypes=["float32", "float64"])
    keys = [case.key for case in cases]
    assert len(set(keys)) == len(keys)
    assert {case.suite for case in cases} == set(suites.suite_names())
    for case in cases:
        names = [contender.name for contender in case.contenders]
        assert len(set(names)) == len(names) > 0


def test_an_unknown_suite_is_named() -> None:
    with pytest.raises(ValueError, match=r"`suite` must be one of .*; got 'prodcts'. Did you mean 'products'"):
        suites.make_cases(["prodcts"], backends=["numpy"])


def test_products_that_take_too_long_are_left_out() -> None:
    cases = suites.make_cases(["products"], full=True, backends=["numpy"])
    assert max(case.flop for case in cases) <= products.MOST_FLOP["cpu"]
    assert max(case.bytes for case in cases) <= products.MOST_BYTES


# The machine.


def test_this_machine_can_be_described() -> None:
    machine = describe_machine()
    assert machine.processor
    assert 1 <= machine.cores <= machine.all_cores
    assert machine.libraries["numpy"] == np.__version__
    assert machine.slug == re.sub(r"[^a-z0-9-]", "", machine.slug)
    assert socket.gethostname() not in json.dumps(records.to_record(machine))


def test_the_slug_is_a_short_name() -> None:
    machine = made_up_machine("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", 16)
    assert machine.slug == "intel-xeon-platinum-8481c-2-70ghz-16-cores"
    gpus = (Gpu("NVIDIA H200", 2**37, "580.1"),) * 2
    assert dataclasses.replace(machine, gpus=gpus).slug.endswith("16-cores-2x-nvidia-h200")


# The file.


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    made_up = made_up_results()
    path = results.save(made_up, tmp_path / "folder" / "a.json")
    again = results.load(path)
    assert records.to_record(again) == records.to_record(made_up)
    assert again.machine == made_up.machine
    assert results.save(again, tmp_path / "b.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (["version"], 7, "`version` must be 1, got 7"),
        (["format"], "other", '`format` must be "mlpx benchmark results"'),
        (["machine", "cores"], "two", "`machine.cores` must be a whole number, got 'two'"),
        (["machine", "blas"], None, "`machine.blas` must be an object with names, got 'None'"),
        (["cases", 1, "results", 0, "median"], True, r"`cases\[1\].results\[0\].median` must be a finite number"),
        (["cases", 0, "results"], {}, r"`cases\[0\].results` must be a list"),
        (["roofline", "speed"], 1, "`roofline` has the field 'speed', which is not known"),
        (["settings", "load"], "high", "`settings.load` must be a finite number"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, place: list[str | int], value: object, sentence: str) -> None:
    path = results.save(made_up_results(), tmp_path / "a.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    inner = record
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"a\.json cannot be used: {sentence}.*mlpx bench --save"):
        results.load(path)


def test_a_missing_field_and_a_broken_file_are_named(tmp_path: Path) -> None:
    path = results.save(made_up_results(), tmp_path / "a.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["machine"]["memory"]
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(ValueError, match="`machine` must have the field 'memory', which is missing"):
        results.load(path)
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    with pytest.raises(ValueError, match="must be JSON, and is not"):
        results.load(path)


# Ratios, comparison, report.


def test_ratios_are_to_the_best_peer_and_to_the_products() -> None:
    case = made_up_results().of("training")[0]
    found = {ratio.kind: ratio for ratio in ratios.ratios(case, Roofline())}
    assert found["mlpx numpy over the best peer"].value == pytest.approx(1.1 / 1.6)
    assert found["mlpx numpy over the best peer"].over == "jax jit"
    assert found["mlpx numpy over products"].value == pytest.approx(1.1)


def test_where_there_is_no_peer_the_ratio_is_to_the_bound() -> None:
    made_up = made_up_results()
    case = made_up.of("products")[-1]
    (ratio,) = ratios.ratios(case, made_up.roofline)
    assert ratio.kind == "numpy over its bound"
    assert ratio.value == pytest.approx(case.results[0].median / made_up.roofline.bound(case, "cpu"))


def test_the_fastest_way_changes_only_where_it_is_clear() -> None:
    def case(batch: int, **times: float) -> CaseResult:
        name = f"8-4, 1 member, batch {batch}"
        return case_result(Case("outer", name, (), "call", parameters={"batch": batch}, group="numpy"), times)

    times = {64: (9, 1, 0.99), 1: (1, 2, 2), 8: (2, 1, 1.5)}
    cases = [case(n, **dict(zip(("loop", "batched", "stacked"), each, strict=True))) for n, each in times.items()]
    made_up = dataclasses.replace(made_up_results(), cases=tuple(cases))
    assert list(compare.fastest_ways(made_up)) == [("numpy, 8-4, 1 member", "loop from 1, batched from 8")]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_report_fits_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    report.say_results(made_up_results())
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= columns
    assert "784-256-128-10, batch 256" in text
    assert "jax jit" in text


@pytest.mark.parametrize(
    ("number", "words"),
    [(0.9996e-3, "1.00 ms"), (0.9994e-3, "999 µs"), (59.96, "60.0 s"), (3e-9, "3.00 ns"), (0.0, "0 ns")],
)
def test_times_have_three_digits(number: float, words: str) -> None:
    assert quantities.seconds(number) == words


def test_shares_and_ratios_are_short() -> None:
    assert [quantities.share(x) for x in (None, 0.001, 0.0994, 0.0996, 1.2)] == ["", "0.1 %", "9.9 %", "10 %", "120 %"]
    assert [quantities.ratio(x) for x in (None, 0.874, 12.34)] == ["", "0.87", "12.3"]


# The guard.


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> list[CaseResult]:
    """Replace the second measurement by what the test puts into this list."""
    found: list[CaseResult] = []
    monkeypatch.setattr(guard, "make_cases", lambda *_, **__: list(found))
    monkeypatch.setattr(guard, "measure_all", lambda cases, *_: list(cases))
    monkeypatch.setattr(guard.roofline, "parts", lambda *_: [("made up", made_up_roofline)])
    return found


def with_training(made_up: Results, factor: float, spread: float = 0.02) -> Results:
    """Return the results with the training of mlpx slower by a factor."""

    def change(case: CaseResult) -> CaseResult:
        first = case.results[0]
        slow = result_of(first.name, factor * first.median, first.median, spread)
        return dataclasses.replace(case, results=(slow, *case.results[1:])) if case.suite == "training" else case

    return dataclasses.replace(made_up, cases=tuple(map(change, made_up.cases)))


def test_nothing_slower_passes(again: list[CaseResult], capsys: pytest.CaptureFixture[str]) -> None:
    made_up = made_up_results()
    assert guard.check(with_training(made_up, 1.1), [made_up])
    assert "nothing got slower" in " ".join(capsys.readouterr().out.split())


def test_what_is_slower_twice_is_named(again: list[CaseResult], capsys: pytest.CaptureFixture[str]) -> None:
    made_up = made_up_results()
    slow = with_training(made_up, 1.5)
    again += slow.cases
    assert not guard.check(slow, [made_up])
    text = capsys.readouterr().out
    assert "4 ratios got worse" in " ".join(text.split())
    assert "training, 784-256-128-10, batch 256" in text
    assert "1.50" in text


def test_what_is_slower_once_is_forgiven(again: list[CaseResult]) -> None:
    made_up = made_up_results()
    again += made_up.cases
    assert guard.check(with_training(made_up, 1.5), [made_up])


def test_a_faster_machine_is_no_matter_and_scatter_is_respected(again: list[CaseResult]) -> None:
    made_up = made_up_results()
    again += with_training(made_up, 1.5, spread=0.3).cases
    assert guard.check(with_training(made_up, 1.5, spread=0.3), [made_up])
    twice = made_up_results(cores=4)
    alike = dataclasses.replace(twice, machine=made_up.machine)
    assert guard.check(alike, [made_up])


def test_nothing_to_compare_with_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert guard.check(made_up_results(), [])
    assert "No results are committed" in capsys.readouterr().out


def test_the_machine_most_alike_is_taken() -> None:
    here = made_up_machine("Imaginary 9000", 2)
    others = [made_up_results("Other 1", 2), made_up_results("Imaginary 9000", 8), made_up_results("Other 2", 4)]
    assert guard.most_alike(here, others) is others[1]
    later = dataclasses.replace(others[1], date="2027-01-01T00:00:00+00:00")
    assert guard.most_alike(here, [*others, later]) is later


@pytest.mark.parametrize(("factor", "status"), [(1.0, 0), (2.0, 1)])
def test_the_guard_leaves_with_a_status(
    factor: float, status: int, again: list[CaseResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = made_up_results()
    results.save(made_up, tmp_path / "here.json")
    slow = with_training(made_up, factor)
    again += slow.cases
    monkeypatch.setattr(guard, "run", lambda *_, **__: slow)
    assert guard.main([str(tmp_path)]) == status


# The command and the page.


def test_the_command_compares_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [
        str(results.save(made_up_results(name, cores), tmp_path / f"{cores}.json"))
        for name, cores in (("Imaginary 9000", 2), ("Imaginary 9001", 16))
    ]
    assert main(["bench", "--compare", *paths]) == 0
    text = capsys.readouterr().out
    assert "Imaginary 9001, 16 cores" in text
    assert "1.60 TFLOP/s" in text
    assert "(0.69)" in text


def test_the_command_measures_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "--suite", "outer", "--backend", "numpy", "--quiet", "--save", str(tmp_path)]
    made_up = made_up_results()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlpx.cli.bench.run_suites", lambda *_, **__: made_up)
        assert main(arguments) == 0
        (path,) = tmp_path.glob("*.json")
        assert path.stem == describe_machine().slug
        assert "Outer-product gradients" in capsys.readouterr().out
        # the file holds products and training too, which this run would lose
        assert main(arguments) == 2
        assert "also holds products, training" in capsys.readouterr().err
        assert main([*arguments, "--force"]) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--suite", "prodcts"], "`--suite` must be one of"),
        (["--dtype", "float16"], "`--dtype` must be one of"),
        (["--backend", "numpi"], "Did you mean 'numpy'"),
        (["--suite", "a,,b"], "must be names separated by commas"),
        (["--compare", "missing.json"], "missing.json"),
    ],
)
def test_mistakes_of_the_command_are_named(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["bench", *arguments])
    except SystemExit as leaving:
        status = leaving.code
    assert status == 2
    assert sentence in capsys.readouterr().err


def test_a_short_run_measures_what_it_was_asked_for() -> None:
    cases = [case for case in suites.make_cases(["outer"], backends=["numpy"]) if "batch 1" in case.name[-7:]]
    found = list(running.measure_all(cases, seconds=0.1))
    assert [case.key for case in found] == [case.key for case in cases]
    assert not any(case.failures for case in found)
    assert all(result.median > 0 for case in found for result in case.results)


def test_the_page_says_that_there_is_nothing(tmp_path: Path) -> None:
    assert page.write_page([], tmp_path / "none", "none") == "No results have been committed yet.\n"


@pytest.mark.parametrize("count", [1, 2])
def test_the_page_has_tables_and_pictures(count: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    machines = [made_up_results("Imaginary 9000", 2), made_up_results("Imaginary 9001", 16)][:count]
    text = page.write_page(machines, tmp_path, "pictures")
    assert ("## Across machines" in text) == (count > 1)
    assert "scikit-learn as is" in text
    shown = re.findall(r"^```\{figure\} pictures/(\S+)$", text, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in tmp_path.iterdir())
    assert len(shown) == 4 * count + (3 if count > 1 else 0)


def test_pictures_of_two_runs_of_one_machine_have_names_of_their_own():
    one, other = made_up_results("Imaginary 9000"), made_up_results("Real 1")
    assert len(set(results.picture_prefixes([one, one, other]))) == 3
    assert results.picture_prefixes([one, other]) == [one.machine.slug, other.machine.slug]


def test_comparing_refuses_what_says_how_to_measure(capsys):
    assert main(["bench", "--compare", "a.json", "--save", "b.json", "--suite", "training"]) == 2
    assert "--save, --suite" in capsys.readouterr().err


def test_a_target_that_takes_no_file_is_refused_before_the_measuring(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(["bench", "--suite", "products", "--save", str(blocked / "x.json")]) == 2
    assert str(blocked) in capsys.readouterr().err
