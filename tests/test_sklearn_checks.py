"""scikit-learn's checks of what an estimator must be, over every estimator of `mlpx.sklearn`."""

import functools
import os
import subprocess
import sys

import pytest

pytest.importorskip("sklearn", minversion="1.9")

from sklearn.base import BaseEstimator, clone
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.utils._test_common.instance_generator import PER_ESTIMATOR_CHECK_PARAMS
from sklearn.utils.estimator_checks import check_param_validation, parametrize_with_checks

import mlpx
import mlpx.sklearn as own

pytestmark = pytest.mark.once

# scikit-learn leaves out what is not installed; CuPy may be there without a device.
CUPY = next(info for info in mlpx.available_backends() if info.name == "cupy").available

# Few epochs, as scikit-learn sets its own for the same checks.
CLASSIFIER, REGRESSOR = own.MLPClassifier(max_iter=100), own.MLPRegressor(max_iter=100)
# The checks give an estimator its random_state, but not the estimator within it.
WITHIN = {"max_iter": 100, "random_state": 0}
SEARCH = {"param_grid": {"alpha": [1e-4, 1e-1]}, "cv": 2, "error_score": "raise"}
ESTIMATORS = [
    CLASSIFIER,
    REGRESSOR,
    own.MLPSearchCV(own.MLPClassifier(**WITHIN), **SEARCH),
    own.MLPSearchCV(own.MLPRegressor(**WITHIN), **SEARCH),
    own.MLPEnsembleClassifier(own.MLPClassifier(**WITHIN), n_members=3),
    own.MLPEnsembleRegressor(own.MLPRegressor(**WITHIN), n_members=3),
]
# Where a check needs other settings, such as a solver without batches for weights: those that scikit-learn's own have.
LIKE = {own.MLPClassifier: TheirClassifier, own.MLPRegressor: TheirRegressor}


def settings_of(estimator: BaseEstimator, check: functools.partial) -> list[dict]:
    found = PER_ESTIMATOR_CHECK_PARAMS.get(LIKE.get(type(estimator)), {}).get(check.func.__name__, {})
    return [found] if isinstance(found, dict) else found


# A check that is about warnings collects them itself. None of them is expected to fail.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_the_checks_of_an_estimator_pass(estimator, check) -> None:
    if check.keywords.get("array_namespace") == "cupy" and not CUPY:
        pytest.skip("no CUDA device answers")
    for settings in settings_of(estimator, check):
        check(clone(estimator).set_params(**settings))


@pytest.mark.parametrize("estimator", [CLASSIFIER, REGRESSOR], ids=["classifier", "regressor"])
def test_parameters_are_checked_as_scikit_learn_checks_its_own(estimator) -> None:
    check_param_validation(type(estimator).__name__, estimator)


def test_the_checks_of_the_array_api_pass_where_scipy_allows_it() -> None:
    # SciPy reads its variable when it is imported
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-k",
        "array_api and the_checks_of_an",
        __file__,
    ]
    done = subprocess.run(
        command, env=os.environ | {"SCIPY_ARRAY_API": "1"}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
    assert "SCIPY_ARRAY_API" not in done.stdout
