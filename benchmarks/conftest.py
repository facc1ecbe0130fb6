"""Backends for the benchmarks: each installed one, array_api_strict left out (it is made for proofs, not for speed)."""

import pytest

import mlpx

NAMES = [info.name for info in mlpx.available_backends() if info.available and info.name != "array_api_strict"]


@pytest.fixture(params=NAMES)
def backend(request):
    """Each installed backend in turn, under its context."""
    chosen = mlpx.get_backend(request.param)
    with chosen.context():
        yield chosen
