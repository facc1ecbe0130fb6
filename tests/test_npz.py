"""Parameters as plain npz files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_array_equal

import mlpx
from exported import EveryKind, networks
from mlpx import Dense, Maxout, Network, PReLU, Skip
from mlpx.conversion import to_npz


def loaded(path):
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("description"))), arrays


def test_names_and_shapes(tmp_path):
    block = Skip(Maxout(5, 4, pieces=3), Dense(4, 6, bias=False), projection=True)
    net = Network([Dense(3, 5), PReLU(5), block, Dense(6, 2, "softmax")])
    net.to_npz(tmp_path / "net.npz")
    about, arrays = loaded(tmp_path / "net.npz")
    assert {name: array.shape for name, array in arrays.items()} == {
        "0.weights": (3, 5),
        "0.bias": (5,),
        "1.gamma": (5,),
        "2.layers.0.weights": (3, 5, 4),
        "2.layers.0.bias": (3, 4),
        "2.layers.1.weights": (4, 6),
        "2.projection.weights": (5, 6),
        "3.weights": (6, 2),
        "3.bias": (2,),
    }
    assert [layer["name"] for layer in about["layers"]] == ["Dense", "PReLU", "Skip", "Dense"]
    assert about["layers"][-1]["activation"]["name"] == "softmax"
    assert about["loss"]["name"] == "cross_entropy"


@given(net=networks())
@settings(max_examples=20, deadline=None)
def test_parameters_come_back(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("npz") / "net"
    to_npz(net, path)  # under just this name
    about, arrays = loaded(path)
    assert about["dtype"] == net.dtype_name
    found = {path.removesuffix(".weights"): array for path, array in arrays.items() if path.endswith(".weights")}
    for path, weights in zip(net.architecture.weighted, net.weights, strict=True):
        assert_array_equal(found[path], weights)
    assert sum(array.size for array in arrays.values()) == net.n_parameters


def test_a_stack_has_an_axis_more(tmp_path):
    mlpx.MLP([3, 4, 2], members=5).to_npz(tmp_path / "net.npz")
    about, arrays = loaded(tmp_path / "net.npz")
    assert about["members"] == 5
    assert arrays["1.bias"].shape == (5, 2)


def test_columns_and_classes_are_described(tmp_path):
    pytest.importorskip("pandas")
    EveryKind("class").net.to_npz(tmp_path / "net.npz")
    about, arrays = loaded(tmp_path / "net.npz")
    assert about["classes"] == about["target"]["classes"] == ["no", "perhaps", "yes"]
    assert {column["name"]: column["kind"] for column in about["columns"]} == {
        "size": "number",
        "gaps": "number",
        "kind": "category",
        "code": "embedded",
        "flag": "category",
        "when": "date",
    }
    assert arrays["0.table0"].shape[1] == 3


def test_functions_of_ones_own_are_told_by_name(tmp_path):
    def waves(z, xp):
        return xp.sin(z)

    Network([Dense(2, 3, waves), Dense(3, 1)]).to_npz(tmp_path / "net.npz")
    assert loaded(tmp_path / "net.npz")[0]["layers"][0] == {"name": "Dense", "label": "3 waves"}
