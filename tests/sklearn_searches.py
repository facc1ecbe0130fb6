"""What the tests of searches share: small networks, a grid, and how two tables of results are compared."""

from typing import Any

import numpy as np

from mlpx.sklearn import MLPClassifier, MLPRegressor

__all__ = ["GRID", "assert_same_results", "classifier", "regressor"]

GRID = {"learning_rate_init": [0.003, 0.03], "alpha": [1e-4, 0.1]}


def classifier(**parameters: Any) -> MLPClassifier:
    return MLPClassifier(
        **{"hidden_layer_sizes": (6,), "max_iter": 4, "batch_size": 32, "random_state": 0} | parameters
    )


def regressor(**parameters: Any) -> MLPRegressor:
    return MLPRegressor(**{"hidden_layer_sizes": (6,), "max_iter": 4, "batch_size": 32, "random_state": 0} | parameters)


def assert_same_results(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for name, column in expected.items():
        if name == "params" or name.startswith("param_"):
            assert list(found[name]) == list(column)
        elif "time" not in name:
            np.testing.assert_allclose(found[name], column, rtol=1e-6, atol=1e-9, err_msg=name)
        assert type(found[name]) is type(column)
        assert getattr(found[name], "dtype", None) == getattr(column, "dtype", None)
