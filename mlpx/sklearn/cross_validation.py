"""`cross_val_stack`: scikit-learn's `cross_validate`, with the networks of all folds trained as one stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from mlpx.sklearn import arrays
from mlpx.sklearn.internals import routing_enabled
from mlpx.sklearn.outcomes import by_metric, outcomes_of
from mlpx.sklearn.trial_fits import fit_trials
from mlpx.sklearn.trial_scores import Scoring, score_trials
from mlpx.sklearn.trials import Split, Trial, seed_list

__all__ = ["cross_val_stack"]


def cross_val_stack(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    params: Mapping[str, Any] | None = None,
    seeds: int | Sequence[Any] | None = None,
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: Any = np.nan,
) -> dict[str, Any]:
    """Score an estimator by cross-validation, all folds and seeds trained as one stack.

    The arguments and what comes back are those of `sklearn.model_selection.cross_validate`; the scores equal its scores
    over the same estimator, to rounding.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or Pipeline
        What to score; cloned for every fold and seed. Other estimators are fitted one by one.
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        Features.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
        Targets.
    groups : array-like of shape (n_samples,), optional
        For splitters that keep groups together. With metadata routing on they go into `params`.
    scoring : str, callable, list, tuple or dict, optional
        One metric or several; by default the estimator's `score`.
    cv : int, splitter or iterable, optional
        How to split; five folds by default, stratified for a classifier.
    n_jobs : int, optional
        Processes for what cannot be stacked.
    params : dict, optional
        For the estimator's `fit`, such as ``{"sample_weight": weight}``; with metadata routing on also for the scorer
        and the splitter.
    seeds : int or sequence, optional
        Values of `random_state`, each of which every fold is trained with; a number n stands for 0 to n - 1. By default
        the estimator's own.
    return_train_score, return_estimator, return_indices : bool
        What comes back beside the test scores.
    error_score : float or "raise"
        What stands where a fit or a score failed.

    Returns
    -------
    dict
        ``test_score`` of shape (n_splits,), or ``test_<metric>`` of several; with `seeds` the mean over them.
        ``fit_time`` and ``score_time`` in seconds: what was done together is shared out evenly.
        ``train_score``, ``estimator`` and ``indices`` where asked for. With `seeds` also ``test_score_by_seed`` of
        shape (n_splits, n_seeds), and ``estimator`` has a list for each fold.

    Raises
    ------
    ValueError
        Where all fits failed.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from mlpx.sklearn import MLPClassifier, cross_val_stack
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((8,), solver="lbfgs", max_iter=1000, random_state=0)
    >>> scores = cross_val_stack(network, X, y, cv=3, seeds=2)
    >>> scores["test_score"].shape, scores["test_score_by_seed"].shape
    ((3,), (3, 2))
    >>> bool(scores["test_score"].mean() > 0.9)
    True
    """
    X, y = indexable(X, y)
    labels = arrays.on_host(y)
    cv = check_cv(cv, labels, classifier=is_classifier(estimator))
    scorer = check_scoring(estimator, scoring=scoring, raise_exc=error_score == "raise")
    for_split, for_fit, for_score = _routed(estimator, cv, scorer, groups, dict(params or {}))
    splits = [
        Split(estimator, X, y, train, test, for_fit, for_score) for train, test in cv.split(X, labels, **for_split)
    ]
    random_states = seed_list(seeds)
    trials = [Trial(split, seed=seed) for split in splits for seed in random_states]
    fit_trials(trials, n_jobs=n_jobs)
    score_trials(trials, Scoring(scorer, error_score, return_train_score))
    outcomes = outcomes_of(trials, error_score, train=return_train_score, callable_scoring=callable(scoring))
    shape = (len(splits), len(random_states))
    found: dict[str, Any] = {
        name: np.asarray([each[name] for each in outcomes]).reshape(shape).sum(axis=1)
        for name in ("fit_time", "score_time")
    }
    if return_estimator:
        fitted = [[trial.estimator for trial in trials if trial.split is split] for split in splits]
        found["estimator"] = fitted if seeds is not None else [each for [each] in fitted]
    if return_indices:
        found["indices"] = {part: tuple(getattr(split, part) for split in splits) for part in ("train", "test")}
    for part in ("test", "train") if return_train_score else ("test",):
        for name, scores in by_metric(outcomes, part).items():
            table = scores.reshape(shape)
            found[f"{part}_{name}"] = table.mean(axis=1)
            if seeds is not None:
                found[f"{part}_{name}_by_seed"] = table
    return found


def _routed(estimator: Any, cv: Any, scorer: Any, groups: Any, params: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return the parameters for the splitter, for `fit` and for the scorer."""
    if not routing_enabled():
        return {"groups": groups}, params, {}
    if groups is not None:
        msg = "`groups` can only be passed where metadata routing is off. Pass `params={'groups': groups}` instead."
        raise ValueError(msg)
    router = MetadataRouter(owner="cross_val_stack")
    for method, receiver in (
        ("split", {"splitter": cv}),
        ("fit", {"estimator": estimator}),
        ("score", {"scorer": scorer}),
    ):
        router.add(**receiver, method_mapping=MethodMapping().add(caller="fit", callee=method))
    routed = process_routing(router, "fit", **params)
    return routed.splitter.split, routed.estimator.fit, routed.scorer.score
