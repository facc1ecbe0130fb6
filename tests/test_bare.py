"""The package with nothing but its run-time dependencies: `nox -s bare` runs this file alone."""

import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest

import mlpx


def test_a_network_trains_saves_and_loads(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = np.where(X[:, 0] > X[:, 1], "left", "right")
    net = mlpx.MLP([3, 16, 2], seed=1)
    history = net.fit(X, y, epochs=60, optimizer=mlpx.Adam(0.02), metrics="accuracy", validation=0.2)
    assert history["validation_accuracy"][-1] > 0.9
    net.save(tmp_path / "model.mlpx")
    again = mlpx.load(tmp_path / "model.mlpx")
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    assert set(again.predict_labels(X)) == {"left", "right"}


PACKAGES = {"cupy": "cupy-cuda1", "torch": "torch", "jax": "jax", "array_api_strict": "array-api-strict"}


def test_missing_libraries_are_named_with_their_install_command():
    for info in mlpx.available_backends():
        if importlib.util.find_spec(info.name) is not None:
            assert info.install is None
            assert info.available or info.reason
            continue
        assert not info.available
        assert info.reason == f"{info.name} is not installed"
        assert re.match(f'pip install "?{PACKAGES[info.name]}', info.install)
        with pytest.raises(mlpx.BackendUnavailableError, match=re.escape(info.install)):
            mlpx.get_backend(info.name)


HIDDEN = """
import sys
sys.modules.update(dict.fromkeys(["cupy", "torch", "jax", "array_api_strict"]))
import mlpx
for info in mlpx.available_backends():
    print(info.name, info.available, info.install, sep=";")
"""


def test_every_library_that_can_be_missing_has_an_install_command():
    out = subprocess.run([sys.executable, "-c", HIDDEN], capture_output=True, text=True, check=True).stdout
    numpy, *others = (line.split(";") for line in out.splitlines())
    assert numpy == ["numpy", "True", "None"]
    assert [(name, available) for name, available, _ in others] == [(name, "False") for name in PACKAGES]
    for name, _, install in others:
        assert re.match(f'pip install "?{PACKAGES[name]}', install)


CONVERT = """
import sys
sys.modules.update(dict.fromkeys(["torch", "sklearn"]))
import mlpx
from mlpx.conversion import from_torch, to_sklearn, to_torch
net = mlpx.MLP([2, 3])
for convert in (from_torch, to_sklearn, to_torch):
    try:
        convert(net)
    except ImportError as error:
        print(error)
"""


def test_a_conversion_says_what_to_install():
    out = subprocess.run([sys.executable, "-c", CONVERT], capture_output=True, text=True, check=True).stdout
    assert [line.partition("install it with: ")[2] for line in out.splitlines()] == [
        "pip install torch",
        'pip install "mlpx[sklearn]"',
        "pip install torch",
    ]
