"""Every numerical test runs on every installed backend, through one fixture."""

import os
from collections.abc import Generator, Iterator

import pytest

import mlpx
from mlpx.backends import Backend

# JAX would take three quarters of a device's memory, which others need too
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# scikit-learn's array_api_dispatch needs SciPy's, which looks here once
os.environ.setdefault("SCIPY_ARRAY_API", "1")

try:
    import array_api_strict

    # process-wide: nothing optional of the standard may be used
    array_api_strict.set_array_api_strict_flags(boolean_indexing=False, data_dependent_shapes=False)
except ImportError:
    pass

INFOS = {info.name: info for info in mlpx.available_backends()}
BACKENDS = [
    pytest.param(
        name,
        marks=[
            *([pytest.mark.gpu] if name == "cupy" else []),
            *([] if info.available else [pytest.mark.skip(reason=f"{name}: {info.reason}")]),
        ],
    )
    for name, info in INFOS.items()
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a CUDA device where CuPy finds none; that it can be imported is not enough."""
    cupy = INFOS["cupy"]
    for item in items:
        if item.get_closest_marker("gpu") and not cupy.available:
            item.add_marker(pytest.mark.skip(reason=f"cupy: {cupy.reason}"))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each installed backend in turn, outside its context: public methods must enter that themselves."""
    return mlpx.get_backend(request.param)


@pytest.fixture
def ops(backend: Backend) -> Iterator[Backend]:
    """Each installed backend within its context, for tests that call formulas and primitives directly."""
    with backend.context():
        yield backend


# The tests that need a CUDA device.


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a report of the tests on a CUDA device be asked for."""
    parser.addoption("--gpu-report", metavar="PATH", help="a JSON file or a folder for what the tests on a GPU found")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a place for the report before any test runs."""
    from mlpx.bench.gpu import tested

    if path := config.getoption("--gpu-report"):
        try:
            tested.check_place(path)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give all that is skipped for want of a device one place and reason, which pytest's summary folds into a line."""
    report = yield
    cupy = INFOS["cupy"]
    if report.skipped and item.get_closest_marker("gpu") and not cupy.available:
        report.longrepr = (__file__, None, f"Skipped: cupy: {cupy.reason}")  # type: ignore[assignment]
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where a report was asked for and there is no device to report on."""
    if session.config.getoption("--gpu-report") and not INFOS["cupy"].available and not exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    """Write the report, and say after everything else how many tests did not run for want of a device."""
    from mlpx.bench.gpu import tested

    yield
    stats, device = terminalreporter.stats, INFOS["cupy"].device or ""
    if path := config.getoption("--gpu-report"):
        try:
            terminalreporter.write_line(f"wrote {tested.write(stats, path, device)}")
        except ValueError as error:
            terminalreporter.write_line(f"no report was written: {error}")
    skipped = len(tested.marked(stats.get("skipped", ())))
    if skipped and not device:
        terminalreporter.write_line(f"{skipped} tests need a CUDA device and did not run")
