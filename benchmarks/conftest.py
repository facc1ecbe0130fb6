"""The cases of `mlpx bench` under pytest-benchmark, one benchmark a contender, on every installed backend.

pytest-benchmark times contenders one after another. For ratios that hold on a busy machine use `mlpx bench`, which lets
them take turns.
"""

import pytest

from mlpx.bench.places import default_backends
from mlpx.bench.suites import make_cases


def pytest_addoption(parser):
    """Let the whole grid be asked for."""
    parser.addoption("--full", action="store_true", help="the whole grid of each suite")


def pytest_generate_tests(metafunc):
    """Give every contender of the module's suite a benchmark of its own."""
    if "contender" in metafunc.fixturenames:
        cases = make_cases([metafunc.module.SUITE], full=metafunc.config.option.full, backends=default_backends())
        pairs = [pytest.param(case, who, id=f"{case.title}, {who.name}") for case in cases for who in case.contenders]
        metafunc.parametrize(("case", "contender"), pairs)


@pytest.fixture
def measure(benchmark, case, contender):
    """Return a function that times a contender's run, the wait for its result included."""

    def call():
        run = contender.prepare()
        benchmark.group = f"{case.suite}: {case.title}"
        benchmark.extra_info.update(per=case.per, count=case.count, flop=case.flop, settings=contender.settings)
        if case.unit == "B":
            benchmark.extra_info["bytes"] = benchmark.pedantic(run, rounds=1)
        else:
            benchmark.pedantic(run, rounds=5, warmup_rounds=2)

    return call
