"""The recipes of `benchmarks/mnist.py`: their hyper-parameters as built, and that they learn."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import mlpx
from mlpx.schedules import Point

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("mnist", ROOT / "benchmarks/mnist.py")
mnist = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mnist)

ONE, DROPOUT, MAXOUT = (mnist.RECIPES[name] for name in ("cross-entropy", "dropout", "maxout"))


def value(schedule, step=1, epoch=0, steps=1):
    return float(schedule(Point(np.asarray(step), epoch, np.asarray(steps)), None, np))


def digits(n):
    """Return handwritten digits with 28 x 28 pixels, from 0 to 1."""
    X, y = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    images = np.pad(np.kron(X[:n].reshape(-1, 8, 8) / 16, np.ones((3, 3))), ((0, 0), (2, 2), (2, 2)))
    return images.reshape(-1, 784).astype(np.float32), y[:n]


def test_the_recipe_of_one_layer():
    net = ONE.network(seed=0)
    assert [W.shape for W in net.weights] == [(784, 800), (800, 10)]
    assert net.layers[0].activation.name == "relu"
    assert net.layers[-1].activation.name == "softmax"
    assert net.loss.name == "cross_entropy"


def test_the_recipe_with_dropout_and_max_norm():
    net = DROPOUT.network(seed=0)
    kinds = [layer.name for layer in net.layers]
    assert kinds == ["Dropout", "Dense"] * 4
    assert [layer.rate for layer in net.layers[::2]] == [0.2, 0.5, 0.5, 0.5]
    assert [layer.scale for layer in net.layers[::2]] == [None] * 4
    assert [(layer.fan_in, layer.fan_out) for layer in net.layers[1::2]] == [
        (784, 1024),
        (1024, 1024),
        (1024, 1024),
        (1024, 10),
    ]
    assert [layer.activation.name for layer in net.layers[1::2]] == ["relu"] * 3 + ["softmax"]
    assert [layer.max_norm for layer in net.layers[1::2]] == [2.0] * 4
    assert float(np.std(net.weights[1])) == pytest.approx(1 / 32, rel=0.01)


def test_the_schedules_with_dropout_and_max_norm():
    rate, momentum = DROPOUT.optimizer.learning_rate, DROPOUT.optimizer.momentum
    assert [value(rate, step) for step in (1, 10_001, 990_001)] == pytest.approx([0.25, 0.125, 0.0025])
    steps = (1, 50_001, 100_000, 1_000_000)
    assert [value(momentum, step) for step in steps] == pytest.approx([0.5, 0.725, 0.95, 0.95], rel=1e-4)
    assert DROPOUT.epochs * 600 == pytest.approx(1_000_000, rel=1e-3)


def test_the_recipe_of_maxout():
    net = MAXOUT.network(seed=0)
    first, one, second, two, third, last = net.layers
    assert [(layer.rate, layer.scale) for layer in (first, second, third)] == [(0.2, 1.0), (0.5, None), (0.5, None)]
    assert (one.fan_in, one.fan_out, one.pieces) == (784, 240, 5)
    assert (two.fan_in, two.fan_out, two.pieces) == (240, 240, 5)
    assert (last.fan_in, last.fan_out, last.activation.name) == (240, 10, "softmax")
    assert [layer.max_norm for layer in (one, two, last)] == [1.9365] * 3
    parameters = mlpx.to_numpy(net.vector)
    assert np.max(np.abs(parameters)) <= 0.005
    assert np.max(np.abs(parameters)) > 0.00499
    weights = parameters[parameters != 0]
    assert float(np.std(weights)) == pytest.approx(0.005 / np.sqrt(3), rel=0.01)


def test_the_schedules_of_maxout():
    sgd = MAXOUT.optimizer
    assert MAXOUT.batch_size == 100
    assert [value(sgd.learning_rate, step) for step in (1, 2, 1001)] == pytest.approx(
        [0.1, 0.1 / 1.000004, 0.1 / 1.000004**1000], rel=1e-13
    )
    assert value(sgd.learning_rate, 10**8) == 1e-6
    assert [value(sgd.momentum, epoch=epoch) for epoch in (0, 249, 900)] == pytest.approx([0.5, 0.7, 0.7])


def test_maxout_goes_on_with_the_values_reached():
    """The authors report the rate 0.0615082606673 and the momentum 0.694376766682: those of epoch 243."""
    sgd = MAXOUT.reached(243, 500)
    assert value(sgd.learning_rate) == pytest.approx(0.0615082606673, rel=1e-4)
    assert sgd.momentum == pytest.approx(0.694376766682, rel=2e-6)
    assert value(sgd.learning_rate, 2) == pytest.approx(value(sgd.learning_rate) / 1.000004, rel=1e-13)


def test_maxout_trains_in_two_phases(monkeypatch):
    """The first phase sees all rows but the last sixth, the second all, until those have the loss of the others."""
    monkeypatch.setattr(MAXOUT, "network", lambda **where: mlpx.MLP([784, 16, 10], **where), raising=False)
    X, y = digits(600)
    seen = []
    monkeypatch.setattr(
        MAXOUT, "fit", lambda net, X, y, **o: seen.append((len(X), o)) or fit(net, X, y, **o), raising=False
    )
    net = MAXOUT.network(seed=0)
    first, second = MAXOUT.train(net, X, y, 200)
    assert [n for n, _ in seen] == [500, 600]
    assert seen[1][1]["optimizer"] == MAXOUT.reached(first.best_epoch, 5)
    assert second.stopped == "callback"
    assert len(second["loss"]) < 200


def fit(net, X, y, **options):
    return net.fit(X, y, batch_size=100, metrics="error_rate", progress=False, **options)


@pytest.mark.parametrize(("recipe", "rows", "epochs"), [(ONE, 600, 3), (DROPOUT, 600, 8)], ids=["one layer", "dropout"])
def test_a_recipe_learns(recipe, rows, epochs):
    X, y = digits(rows + 200)
    found = mnist.measure(recipe, (X[:rows], y[:rows]), (X[rows:], y[rows:]), epochs=epochs)
    assert found["error_percent"] < 40
    assert found["epochs"] == [epochs]
    assert not found["whole"]


@pytest.mark.slow
def test_the_recipe_of_maxout_learns():
    X, y = digits(1400)
    found = mnist.measure(MAXOUT, (X[:1200], y[:1200]), (X[1200:], y[1200:]), epochs=40)
    assert found["error_percent"] < 40


def row(recipe="cross-entropy", seed=0, error=1.5, whole=True):
    place = {"machine": "A machine, 2 cores", "backend": "numpy", "date": "2026-01-02", "seconds": 61}
    return {"recipe": recipe, "seed": seed, "error_percent": error, "whole": whole, **place}


def test_results_replace_those_of_the_same_seed_and_length(tmp_path):
    path = tmp_path / "folder" / "mnist.json"
    for found in (row(error=9.0), row(seed=1), row(error=1.4), row(error=50.0, whole=False)):
        mnist.keep(found, path)
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert [(r["seed"], r["error_percent"], r["whole"]) for r in rows] == [
        (1, 1.5, True),
        (0, 1.4, True),
        (0, 50, False),
    ]


def test_the_table_says_what_was_not_measured(tmp_path):
    for found in (row(seed=1), row(error=1.4), row("maxout", error=50.0, whole=False)):
        mnist.keep(found, tmp_path / "mnist.json")
    lines = mnist.table(tmp_path / "mnist.json").splitlines()[2:]
    found = "1.40, 1.50 (seeds 0, 1) | A machine, 2 cores, numpy, 2 min | 2026-01-02"
    assert lines[0] == f"| 800 units, cross-entropy | 1.60 | 1.60 | {found} |"
    assert all("not measured" in line for line in lines[1:])
    assert mnist.table(tmp_path / "none.json").count("not measured") == 3


def test_the_committed_results_are_of_these_recipes():
    path = ROOT / "benchmarks/results/accuracy/mnist.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert {row["recipe"] for row in rows} <= set(mnist.RECIPES)
    for row in rows:
        recipe = mnist.RECIPES[row["recipe"]]
        assert not row["whole"] or row["epochs"] == [recipe.epochs] or recipe is MAXOUT


def test_a_missing_or_wrong_file_is_said(tmp_path, capsys):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "small.npz", **{f"{a}_{part}": np.zeros((3, 5)) for a in "xy" for part in ("train", "test")})
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive", encoding="utf-8")
    (tmp_path / "empty.npz").touch()
    for name in ("other.npz", "small.npz", "array.npy", "text.npz", "empty.npz"):
        with pytest.raises(SystemExit, match="2"):
            mnist.main([str(tmp_path / name), "maxout"])
        assert f"{name} must be an npz file with x_train, y_train, x_test and y_test" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        mnist.main([str(tmp_path / "none.npz"), "maxout"])
    assert "none.npz. Give the path to mnist.npz" in capsys.readouterr().err
