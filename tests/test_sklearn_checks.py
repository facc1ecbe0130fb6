"""scikit-learn's checks of what an estimator must be, over every estimator of `mlpx.sklearn`."""

import functools

import pytest

pytest.importorskip("sklearn", minversion="1.9")

from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.utils._test_common.instance_generator import PER_ESTIMATOR_CHECK_PARAMS, PER_ESTIMATOR_XFAIL_CHECKS
from sklearn.utils.estimator_checks import check_param_validation, parametrize_with_checks

import mlpx.sklearn as own

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
]
# Whose settings and expected failures, with their reasons, hold here too: those that scikit-learn keeps for its own.
LIKE = {own.MLPClassifier: TheirClassifier, own.MLPRegressor: TheirRegressor, own.MLPSearchCV: GridSearchCV}


def expected_failures(estimator: BaseEstimator) -> dict[str, str]:
    return PER_ESTIMATOR_XFAIL_CHECKS.get(LIKE.get(type(estimator)), {})


def settings_of(estimator: BaseEstimator, check: functools.partial) -> list[dict]:
    """List the settings that scikit-learn's class has for a check, such as a solver without batches for weights."""
    found = PER_ESTIMATOR_CHECK_PARAMS.get(LIKE.get(type(estimator)), {}).get(check.func.__name__, {})
    return [found] if isinstance(found, dict) else found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_the_checks_of_an_estimator_pass(estimator, check) -> None:
    for settings in settings_of(estimator, check):
        check(clone(estimator).set_params(**settings))


@pytest.mark.parametrize("estimator", [CLASSIFIER, REGRESSOR], ids=["classifier", "regressor"])
def test_parameters_are_checked_as_scikit_learn_checks_its_own(estimator) -> None:
    check_param_validation(type(estimator).__name__, estimator)


def test_nothing_is_expected_to_fail_but_what_fails_in_the_search_of_scikit_learn() -> None:
    assert not expected_failures(CLASSIFIER)
    assert not expected_failures(REGRESSOR)
