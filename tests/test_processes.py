"""Processes: workers that are spawned on every backend, and forked ones on NumPy, get what the parent gets."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

import forking
from mlpx.backends import Backend


@pytest.fixture(scope="module")
def spawned() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_spawned_workers_train_and_predict(backend: Backend, spawned: ProcessPoolExecutor) -> None:
    """A network goes there and comes back as a pickle, which is between processes of one user."""
    there = spawned.submit(forking.both, backend.name).result(forking.SECONDS)
    for found, expected in zip(there, forking.both(backend.name), strict=True):
        assert_array_equal(found, expected)
    net, expected = forking.trained(backend.name, 2)
    assert_array_equal(spawned.submit(forking.predicted, net).result(forking.SECONDS), expected)
    back, _ = spawned.submit(forking.trained, backend.name, 2).result(forking.SECONDS)
    assert back.backend.name == backend.name
    assert_array_equal(forking.predicted(back), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("case", forking.CASES)
def test_forked_processes_train_and_predict_on_numpy(case: str) -> None:
    command = [sys.executable, str(Path(forking.__file__)), case]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=forking.SECONDS, check=False)
    assert ended.returncode == 0, ended.stderr
