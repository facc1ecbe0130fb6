"""Rows that stay on the host: the same numbers as from memory, and memory that stays near the buffers."""

import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpx
from mlpx.backends import Backend
from mlpx.backends.gathering import HostRows, gather, is_mapped
from mlpx.backends.staging import Gathered, Stager, Transfers

N, M, K = 300, 6, 3


def on_file(path: Path, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the array as a mapped file that cannot be written to."""
    mapped = np.memmap(path, dtype=array.dtype, mode="w+", shape=array.shape)
    mapped[...] = array
    mapped.flush()
    return np.memmap(path, dtype=array.dtype, mode="r", shape=array.shape)


def data(kind: str = "classes", *, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, M)).astype(np.float32)
    if kind == "classes":
        return X, rng.integers(0, K, N)
    if kind == "text":
        return X, np.asarray(["a", "b", "c"])[rng.integers(0, K, N)]
    return X, (X @ rng.standard_normal((M, K))).astype(np.float32)


WEIGHT = np.random.default_rng(5).random(N) * (np.arange(N) % 7 > 0)
FOLDS = [np.setdiff1d(np.arange(N), np.arange(s, N, 4)[: 70 + s]) for s in range(4)]
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "in order": {"shuffle": False},
    "validation": {"validation": 0.2, "metrics": ["accuracy"]},
    "roc_auc": {"validation": 0.2, "metrics": ["roc_auc"]},
    "weights": {"sample_weight": WEIGHT, "class_weight": "balanced", "validation": 0.3},
    "smoothed": {"label_smoothing": 0.1, "metrics": ["accuracy"]},
    "text": {"class_weight": {"a": 2.0}},
    "batch larger than the data": {"batch_size": 1000},
    "values": {"metrics": ["r2"], "patience": 2},
    "smoothed probabilities": {"label_smoothing": 0.2, "class_weight": "balanced"},
    "stack": {"members": 4},
    "stack, one order": {"members": 4, "shared_order": True, "label_smoothing": 0.1},
    "stack of folds": {"members": 4, "subsets": FOLDS, "validation": 0.2, "patience": 1, "sample_weight": WEIGHT},
    "stack, own targets": {"members": 4},
    "stack, own features": {"members": 4, "patience": 1, "validation": 0.25},
    "stack, own features, one order": {"members": 4, "shared_order": True},
    "stack, own values": {"members": 4, "metrics": ["r2"]},
}


def case_of(name: str) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """Return features, targets, and what network and fit are given."""
    fit = {"epochs": 3, "batch_size": 32, "progress": False, **CASES[name]}
    net: dict[str, Any] = {"members": fit.pop("members", None), "seed": 3}
    values = "values" in name
    X, y = data("values" if values else "text" if name == "text" else "classes")
    if name == "smoothed probabilities":
        y = np.eye(K, dtype=np.float32)[y]
    if "own features" in name:
        X = np.stack([np.roll(X, s, axis=0) for s in range(4)])
        y = np.stack([np.roll(y, s, axis=0) for s in range(4)])
    if "own targets" in name or "own values" in name:
        X, y = np.stack([X] * 4), np.stack([np.roll(y, s, axis=0) for s in range(4)])
    return X, y, {**net, "output": "linear" if values else "softmax"}, fit


def fitted(X: Any, y: Any, net: dict[str, Any], fit: dict[str, Any], backend: Any) -> tuple[mlpx.Network, Any]:
    network = mlpx.MLP([M, 8, K], backend=backend, **net)
    return network, network.fit(X, y, **fit)


@pytest.fixture
def short_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots of a few batches, so that there are many runs."""
    monkeypatch.setattr(Transfers, "nbytes", 4000)


@pytest.mark.usefixtures("short_slots")
@pytest.mark.parametrize("name", CASES)
def test_a_mapped_file_trains_as_memory_does(name: str, backend: Backend, tmp_path: Path) -> None:
    X, y, net, fit = case_of(name)
    own, history = fitted(X, y, net, fit, backend)
    mapped = on_file(tmp_path / "x", X)
    streamed, other = fitted(mapped, y, net, fit, backend)
    close = 0.0 if backend.name == "numpy" else 1e-6
    np.testing.assert_allclose(
        mlpx.to_numpy(streamed.vector), mlpx.to_numpy(own.vector), rtol=close, atol=close, err_msg=name
    )
    for column in history.columns if hasattr(history, "columns") else history:
        np.testing.assert_allclose(other[column], history[column], rtol=1e-12 if not close else 1e-5)
    np.testing.assert_array_equal(mlpx.to_numpy(streamed.predict(mapped)), mlpx.to_numpy(streamed.predict(X)))
    assert streamed.evaluate(mapped, y) == pytest.approx(streamed.evaluate(X, y), rel=1e-12)
    if net["output"] == "softmax":
        np.testing.assert_array_equal(streamed.predict_labels(mapped), streamed.predict_labels(X))
