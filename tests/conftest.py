"""Every numerical test runs on every installed backend, through one fixture."""

from collections.abc import Iterator

import pytest

import mlpx
from mlpx.backends import Backend

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
