"""Fitting estimators, one or many: those whose networks are of one kind are trained as one stack."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from mlpx._typing import Array
from mlpx.sklearn import lbfgs
from mlpx.sklearn.adoption import adopt
from mlpx.sklearn.intake import Intake
from mlpx.sklearn.planning import Request, descends, problem_of
from mlpx.sklearn.problem import Outcome, Problem
from mlpx.sklearn.stacks import train

__all__ = ["fit_many", "fit_together"]


def fit_many(
    estimators: Sequence[Any],
    X: Any,
    y: Any,
    rows: Sequence[Array | None] | None = None,
    sample_weight: Any = None,
) -> list[Exception | None]:
    """Fit many estimators in place.

    Each comes out as ``estimator.fit(X[rows], y[rows], sample_weight[rows])`` would leave it, to rounding. Two things
    are otherwise: those that were trained as a stack begin a later `partial_fit` with a fresh memory of the optimizer,
    and estimators that share one `RandomState` object draw from it in another order than one fit after the other.

    Parameters
    ----------
    estimators : sequence of MLPClassifier or MLPRegressor
        What is fitted.
    X, y : array, or list of arrays with one an estimator
        The data; an array that is given several times is taken in once.
    rows : sequence of integer or boolean arrays, optional
        The rows of each estimator; by default all of them. An array that is given several times is looked at once.
    sample_weight : array, or list of arrays with one an estimator, optional
        Weights of all rows of X.

    Returns
    -------
    list
        For each estimator the exception that its fit raised, or None.
    """
    n = len(estimators)
    if len({id(estimator) for estimator in estimators}) < n:
        msg = "`estimators` must be different objects, but one is given twice; give a clone of it."
        raise ValueError(msg)
    each_X, each_y, each_weight = (_one_each(given, n) for given in (X, y, sample_weight))
    intakes: dict[tuple[int, int], Intake] = {}
    requests = []
    for i in range(n):
        intake = intakes.setdefault((id(each_X[i]), id(each_y[i])), Intake(each_X[i], each_y[i]))
        own = None if rows is None or rows[i] is None else _indices(rows[i])
        requests.append(Request(intake, own, each_weight[i]))
    return fit_together(estimators, requests, validate=True)


def _one_each(given: Any, n: int) -> list[Any]:
    """Return what is given for each of n estimators."""
    several = isinstance(given, list) and len(given) == n and all(x is None or hasattr(x, "shape") for x in given)
    return given if several else [given] * n


def _indices(rows: Any) -> Array:
    """Return rows as integers; an array of integers as it is, since it is known by its identity."""
    index = np.asarray(rows)
    return np.nonzero(index)[0] if index.dtype.kind == "b" else index


def fit_together(
    estimators: Sequence[Any], requests: Sequence[Request], *, validate: bool = False
) -> list[Exception | None]:
    """Fit estimators in place; return what each fit raised, or None.

    Parameters
    ----------
    estimators : sequence of MLPClassifier or MLPRegressor
        What is fitted.
    requests : sequence of Request
        What each is asked for.
    validate : bool
        Whether their parameters are still to be checked.
    """
    errors: list[Exception | None] = [None] * len(estimators)
    problems: dict[int, Problem] = {}
    for i, (estimator, request) in enumerate(zip(estimators, requests, strict=True)):
        try:
            if validate:
                estimator._validate_params()
            problems[i] = problem_of(estimator, request)
        except Exception as error:
            errors[i] = error
    descending = {i: problem for i, problem in problems.items() if descends(problem.estimator)}
    outcomes = _trained(descending)
    for i, problem in problems.items():
        try:
            outcome = outcomes.get(i)
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is not None:
                adopt(problem, outcome, incremental=requests[i].incremental)
            else:
                lbfgs.minimize(problem)
            _check_finite(problem.estimator)
        except Exception as error:
            errors[i] = error
    return errors


def _trained(problems: dict[int, Problem]) -> dict[int, Outcome | Exception]:
    """Return what came out of each training; what a user's own function raises is of those alone that call it."""
    groups: dict[Hashable, list[int]] = {}
    for i, problem in problems.items():
        functions = tuple(getattr(layer, "activation", None) for layer in problem.layers)
        groups.setdefault((functions, problem.loss, problem.estimator._kind_of_training()), []).append(i)
    outcomes: dict[int, Outcome | Exception] = {}
    for members in groups.values():
        try:
            found: Sequence[Outcome | Exception] = train([problems[i] for i in members])
        except Exception as error:
            found = [error] * len(members)
        if len(groups) > 1 and any(isinstance(one, Outcome) and one.interrupted for one in found):
            raise KeyboardInterrupt  # the others are not trained
        outcomes.update(zip(members, found, strict=True))
    return outcomes


def _check_finite(estimator: Any) -> None:
    """Refuse a network that has diverged."""
    if not all(np.isfinite(array).all() for array in (*estimator.coefs_, *estimator.intercepts_)):
        msg = (
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
            "preprocessed."
        )
        raise ValueError(msg)
