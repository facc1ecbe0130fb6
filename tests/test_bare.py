"""The package with nothing but its run-time dependencies: `nox -s bare` runs this file alone."""

import numpy as np

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


def test_missing_libraries_are_named_with_their_install_command():
    for info in mlpx.available_backends():
        assert info.available or info.reason
