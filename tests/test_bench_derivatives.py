"""The benchmark of the roads to a derivative: all lead to the same numbers. No test says how fast any is."""

import json

import numpy as np
import pytest

from mlpx.bench import derivatives, measure

EXACT = {"by hand": 0, "reverse": 1e-13, "forward": 1e-13, "differences": 1e-8}


def test_all_roads_give_the_gradient_of_the_network() -> None:
    problem = derivatives.Problem((4, 5, 4, 3))
    expected = problem.net.backward(problem.net.forward(problem.X), problem.y)
    blocks = zip(expected.weights, expected.biases, strict=True)
    vector = np.concatenate([np.concatenate([w.ravel(), b]) for w, b in blocks])
    assert np.abs(vector).max() > 1e-3
    roads = dict(derivatives.NETWORK_ROADS)
    value = roads.pop("loss alone")(problem)()
    assert float(value) == pytest.approx(float(expected.data_loss), rel=1e-13)
    assert set(roads) == set(EXACT)
    for name, road in roads.items():
        np.testing.assert_allclose(road(problem)(), vector, rtol=0, atol=EXACT[name], err_msg=name)


def test_all_roads_give_the_derivative_of_the_activation() -> None:
    z = np.linspace(-5, 5, 101)
    roads = dict(derivatives.ACTIVATION_ROADS)
    roads.pop("symbolic")
    _, expected = roads.pop("by hand")(z)()
    assert set(roads) == set(EXACT) - {"by hand"}
    for name, road in roads.items():
        np.testing.assert_allclose(road(z)()[1], expected, rtol=0, atol=EXACT[name], err_msg=name)


def test_the_symbolic_road_gives_the_derivative_of_the_activation() -> None:
    pytest.importorskip("sympy")
    if not hasattr(derivatives.import_module("mlpx.differentiation"), "activation_from_formula"):
        pytest.skip("there are no formulas yet")
    z = np.linspace(-5, 5, 101)
    found, expected = (derivatives.ACTIVATION_ROADS[name](z)() for name in ("symbolic", "by hand"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_the_command_writes_tables_and_a_file(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(derivatives, "NETWORKS", ((2, 3, 2), (3, 4, 2), (4, 4, 2)))
    monkeypatch.setattr(derivatives, "POINTS", 10)
    monkeypatch.setattr(derivatives, "measure", lambda case, seconds: measure(case, seconds=0.01))
    assert derivatives.main(["--quick", "--out", str(tmp_path / "found.json")]) == 0
    out = capsys.readouterr().out
    header, *rows = (line.split() for line in out[out.index("network ") :].split("\n\n")[0].splitlines())
    assert header == ["network", "P", "by", "hand", "loss", "alone", "reverse", "forward", "differences"]
    assert [row[:2] for row in rows] == [["2-3-2", "17"], ["3-4-2", "26"]]
    assert max(len(line) for line in out.splitlines() if not line.startswith("wrote ")) <= 80
    record = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert [case["name"] for case in record["cases"]] == ["2-3-2", "3-4-2", "swish"]
    assert all(result["median"] > 0 for case in record["cases"] for result in case["results"])


def test_a_road_that_failed_has_a_dash(monkeypatch) -> None:
    monkeypatch.setitem(derivatives.NETWORK_ROADS, "forward", lambda problem: 1 / 0)
    found = measure(derivatives.network_case((2, 2, 2)), seconds=0.01)
    [row] = derivatives.rows([found])
    assert row[0] == "2-2-2"
    assert row[5] == "-"
    assert "ZeroDivisionError" in found.failures["forward"]
