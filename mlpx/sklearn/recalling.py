"""Predictions of many fitted estimators at once, handed to scorers through the estimators' own methods.

A scorer may be any function of an estimator and data, and asks for predictions one estimator at a time. Each time, the
data would be checked and the network called. Here the outputs of all networks of a fold come from one call, and every
scorer gets a shallow copy of its estimator in which the innermost method knows the answer for this one object X. All
else (decisions, labels, probabilities, `score`, other data) is the estimator's own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

from sklearn.pipeline import Pipeline

from mlpx.sklearn import arrays
from mlpx.sklearn.outputs import outputs_many

__all__ = ["recalling"]


def recalling(estimators: Sequence[Any], X: Any) -> list[Any]:
    """Return doubles of fitted estimators that know what comes out for X.

    Parameters
    ----------
    estimators : sequence of MLPClassifier, MLPRegressor or Pipeline
        Fitted; pipelines that share their transformers have the same objects in their steps.
    X : array, DataFrame or sparse matrix of shape (n_samples, n_features)
        The object for which the answers are known; an equal one is computed again.

    Returns
    -------
    list of estimators
        Those that refuse X, in a step or in the network, are returned themselves. Not to be kept longer than `X`.
    """
    doubles = list(estimators)
    for members in _by_transformers(estimators):
        networks = [_last(estimators[i]) for i in members]
        prepared = _prepared(estimators[members[0]], X)
        if prepared is None:
            continue
        before, inner, features = prepared
        for i, network, outputs in zip(members, networks, outputs_many(networks, inner, features), strict=True):
            double = _knowing(network, "_outputs", inner, outputs)
            doubles[i] = double if estimators[i] is network else _with_steps(estimators[i], before, double)
    return doubles


def _last(estimator: Any) -> Any:
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def _by_transformers(estimators: Sequence[Any]) -> list[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, estimator in enumerate(estimators):
        steps = estimator.steps[:-1] if isinstance(estimator, Pipeline) else []
        groups.setdefault(tuple(id(step) for _, step in steps), []).append(i)
    return list(groups.values())


def _prepared(estimator: Any, X: Any) -> tuple[list[tuple[str, Any]], Any, Any] | None:
    """Return what `_transformed` does and the features checked, or None where X is refused.

    The estimators refuse it again, themselves, when they are asked.
    """
    try:
        before, inner = _transformed(estimator, X)
    except Exception:  # whatever a user's transformer raises
        return None
    try:
        return before, inner, arrays.check_features(_last(estimator), inner)
    except ValueError:
        return None


def _transformed(estimator: Any, X: Any) -> tuple[list[tuple[str, Any]], Any]:
    """Return doubles of a pipeline's transformers that know their part of X, and what comes out of the last."""
    doubles = []
    for name, step in estimator.steps[:-1] if isinstance(estimator, Pipeline) else []:
        if step is not None and step != "passthrough":
            known, X = X, step.transform(X)
            step = _knowing(step, "transform", known, X)
        doubles.append((name, step))
    return doubles, X


def _with_steps(pipeline: Any, before: list[tuple[str, Any]], last: Any) -> Any:
    double = _shallow(pipeline)
    double.steps = [*before, (pipeline.steps[-1][0], last)]
    return double


def _shallow(estimator: Any) -> Any:
    # not copy.copy: an estimator's __getstate__ is made for files
    double = object.__new__(type(estimator))
    double.__dict__.update(estimator.__dict__)
    return double


def _knowing(estimator: Any, method: str, known: Any, answer: Any) -> Any:
    """Return a shallow copy whose method gives the answer for the very object that is known."""
    own = getattr(estimator, method)

    @wraps(own)
    def recalled(X: Any, *args: Any, **params: Any) -> Any:
        return answer if X is known and not args and not params else own(X, *args, **params)

    double = _shallow(estimator)
    double.__dict__[method] = recalled
    return double
