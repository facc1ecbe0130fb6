"""The benchmarks' own parts, on made-up contenders, clocks and machines: no test here says how fast anything is."""

from __future__ import annotations

from mlpx.bench import Case, CaseResult, Result, suites
from mlpx.bench.machine import Blas, Machine
from mlpx.bench.results import Results, Settings
from mlpx.bench.roofline import Copy, Peak, Roofline

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
