"""What a search and a cross-validation consist of: one estimator on one split of the data, fitted and scored, many times.

All networks of all trials are trained by one call of `fit_many`. Transformers in front of a network are fitted once a
split and once for each setting of their parameters. What is no network of ours is fitted one by one, as scikit-learn
does it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from mlpx.sklearn.estimators import MLPClassifier, MLPRegressor
from mlpx.sklearn.fitting import fit_many
from mlpx.sklearn.internals import (
    MultimetricScorer,
    check_method_params,
    routing_enabled,
    safe_split,
    score,
)
from mlpx.sklearn.recalling import recalling

__all__ = ["Scoring", "Split", "Trial", "fit_trials", "network_of", "score_trials", "seed_list", "with_settings"]


@dataclass(eq=False)
class Split:
    """One division of the data, each part cut out once, when first needed.

    Parameters
    ----------
    estimator : estimator
        Says whether X is pairwise, so that columns are cut too.
    X, y : data
        All of it.
    train, test : array of int
        Rows.
    fit_params, score_params : dict
        What goes to `fit` and to the scorer; what has a row a sample is cut as X is.
    """

    estimator: Any
    X: Any
    y: Any
    train: Any
    test: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]

    @cached_property
    def training(self) -> tuple[Any, Any]:
        """X and y to train on."""
        return safe_split(self.estimator, self.X, self.y, self.train)

    @cached_property
    def held_out(self) -> tuple[Any, Any]:
        """X and y to score."""
        return safe_split(self.estimator, self.X, self.y, self.test, self.train)

    @cached_property
    def training_params(self) -> dict[str, Any]:
        """The parameters of `fit` for the rows to train on."""
        return check_method_params(self.X, params=self.fit_params, indices=self.train)

    def scoring_params(self, rows: Any) -> dict[str, Any]:
        """Return the scorer's parameters for some rows."""
        return check_method_params(self.X, params=self.score_params, indices=rows)


@dataclass(eq=False)
class Trial:
    """An estimator, the split that it is tried on, and what came of it.

    Parameters
    ----------
    estimator : estimator
        A clone with its parameters set; fitted in place, or replaced by its fitted copy.
    split : Split
        Where it is fitted and scored.
    parameters : dict
        What was set on it.
    """

    estimator: Any
    split: Split
    parameters: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    fit_time: float = 0.0
    score_time: float = 0.0
    test_scores: Any = None
    train_scores: Any = None

    def result(self, *, train: bool) -> dict[str, Any]:
        """Return what scikit-learn's searches make their tables of."""
        trace = None if self.error is None else "".join(traceback.format_exception(self.error))
        found = {"fit_error": trace, "test_scores": self.test_scores, "n_test_samples": len(self.split.test),
                 "fit_time": self.fit_time, "score_time": self.score_time}  # fmt: skip
        return {**found, "train_scores": self.train_scores} if train else found


def network_of(estimator: Any) -> Any:
    """Return the network that an estimator is, or that a pipeline ends in, where stacks can train it; else None."""
    if type(estimator) is Pipeline and estimator.steps and getattr(estimator, "transform_input", None) is None:
        estimator = estimator.steps[-1][1]
    own = getattr(type(estimator), "fit", None) in (MLPClassifier.fit, MLPRegressor.fit)
    return estimator if own else None


def seed_list(seeds: int | Sequence[Any] | None) -> list[Any]:
    """Return the seeds that are meant: one None, 0 to n - 1 for a number, or those that are given."""
    if seeds is None:
        return [None]
    counted = list(range(int(seeds))) if isinstance(seeds, Integral) else list(seeds)  # type: ignore[call-overload]
    if not counted:
        msg = f"`seeds` must be a number of at least 1 or hold at least one seed, got {seeds!r}."
        raise ValueError(msg)
    return counted


def with_settings(estimator: Any, parameters: dict[str, Any], seed: Any = None) -> Any:
    """Return a clone with parameters set, and with a seed as the `random_state` of the estimator or of the last step."""
    made = clone(estimator).set_params(**clone(parameters, safe=False))
    if seed is not None:
        name = f"{made.steps[-1][0]}__random_state" if isinstance(made, Pipeline) else "random_state"
        if name not in made.get_params():
            msg = f"`seeds` needs an estimator with the parameter {name!r}, got {made!r}. Leave `seeds` out."
            raise ValueError(msg)
        made.set_params(**{name: seed})
    return made


# Fitting.


def fit_trials(trials: Sequence[Trial], *, n_jobs: int | None = None, pre_dispatch: int | str | None = None) -> None:
    """Fit all trials in place; an exception is kept in the trial.

    Parameters
    ----------
    trials : sequence of Trial
        All with the same data and parameters of `fit`.
    n_jobs, pre_dispatch
        For trials that are fitted one by one.
    """
    together, alone = [], []
    for trial in trials:
        (together if _stackable(trial) else alone).append(trial)
    if together:
        _fit_together(together)
    if alone:
        _fit_alone(alone, n_jobs, pre_dispatch)


def _stackable(trial: Trial) -> bool:
    """Return whether nothing but the rows differs from trial to trial in what goes to the network's `fit`."""
    given, lined = trial.split.fit_params, isinstance(trial.estimator, Pipeline)
    if network_of(trial.estimator) is None or (lined and given and routing_enabled()):
        return False
    own = _own_params(trial.estimator, given)
    cut = _own_params(trial.estimator, trial.split.training_params)
    weighted = own.get("sample_weight") is not None
    return {name for name in own if cut[name] is not own[name]} == ({"sample_weight"} if weighted else set())


def _own_params(estimator: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that are for the network, by their names there."""
    if not isinstance(estimator, Pipeline):
        return params
    prefix = f"{estimator.steps[-1][0]}__"
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


def _fit_together(trials: Sequence[Trial]) -> None:
    lined = [trial for trial in trials if isinstance(trial.estimator, Pipeline)]
    direct = [trial for trial in trials if not isinstance(trial.estimator, Pipeline)]
    if direct:
        split = direct[0].split
        X, y = (np.asarray(part) if isinstance(part, list) else part for part in (split.X, split.y))
        _train(direct, X, y, rows=[trial.split.train for trial in direct], **split.fit_params)
    ready, inner = _fit_transformers(lined)
    if ready:
        params = [_own_params(trial.estimator, trial.split.training_params) for trial in ready]
        weights = [each.pop("sample_weight", None) for each in params]
        weight = None if weights[0] is None else weights
        _train(ready, inner, [trial.split.training[1] for trial in ready], sample_weight=weight, **params[0])


def _train(trials: Sequence[Trial], X: Any, y: Any, **params: Any) -> None:
    start = time.perf_counter()
    errors = fit_many([network_of(trial.estimator) for trial in trials], X, y, **params)
    share = (time.perf_counter() - start) / len(trials)
    for trial, error in zip(trials, errors, strict=True):
        trial.error = error
        trial.fit_time += share


def _fit_transformers(trials: Iterable[Trial]) -> tuple[list[Trial], list[Any]]:
    """Fit the steps before the networks; return the trials that are ready for training, and each one's features."""
    groups: dict[Hashable, list[Trial]] = {}
    for trial in trials:
        groups.setdefault((id(trial.split), _setting(trial)), []).append(trial)
    ready, inner = [], []
    for group in groups.values():
        start = time.perf_counter()
        try:
            steps, X = _fit_steps(group[0])
        except Exception as error:  # whatever a user's transformer raises belongs to its trials
            for trial in group:
                trial.error = error
        else:
            ready += group
            inner += [X] * len(group)
            for trial in group:
                trial.estimator.steps = [*steps, trial.estimator.steps[-1]]
        for trial in group:
            trial.fit_time = (time.perf_counter() - start) / len(group)
    return ready, inner


def _fit_steps(trial: Trial) -> tuple[list[tuple[str, Any]], Any]:
    """Return the fitted steps before the network and what they make of the training rows."""
    X, y = trial.split.training
    if len(trial.estimator.steps) == 1:
        return [], X
    before = trial.estimator[:-1]
    prefix = f"{trial.estimator.steps[-1][0]}__"
    params = {name: value for name, value in trial.split.training_params.items() if not name.startswith(prefix)}
    X = before.fit_transform(X, y, **params)
    return before.steps, X


def _setting(trial: Trial) -> Hashable:
    """Return what tells apart the settings of the steps before the network, from one search's parameters."""
    last = trial.estimator.steps[-1][0]
    others = {k: v for k, v in trial.parameters.items() if k != last and not k.startswith(f"{last}__")}
    return tuple((name, _identity(others[name])) for name in sorted(others))


def _identity(value: Any) -> Hashable:
    return (type(value), value) if value is None or isinstance(value, bool | int | float | str) else id(value)


def _fit_alone(trials: Sequence[Trial], n_jobs: int | None, pre_dispatch: int | str | None) -> None:
    parallel = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)
    jobs = (delayed(_fitted)(trial.estimator, *trial.split.training, trial.split.training_params) for trial in trials)
    for trial, done in zip(trials, parallel(jobs), strict=True):
        trial.estimator, trial.error, trial.fit_time = done


def _fitted(estimator: Any, X: Any, y: Any, params: dict[str, Any]) -> tuple[Any, Exception | None, float]:
    start, error = time.perf_counter(), None
    try:
        estimator.fit(*((X,) if y is None else (X, y)), **params)
    except Exception as raised:  # whatever an estimator raises belongs to its trial
        error = raised
    return estimator, error, time.perf_counter() - start


# Scoring.


@dataclass
class Scoring:
    """How trials are scored.

    Parameters
    ----------
    scorer : callable
        scikit-learn's, for one metric or several.
    error_score : float or "raise"
        What stands where fitting or scoring failed.
    train : bool
        Whether the training rows are scored too.
    """

    scorer: Callable[..., Any]
    error_score: Any
    train: bool

    def failed(self) -> Any:
        """Return the scores of a trial that could not be fitted."""
        several = isinstance(self.scorer, MultimetricScorer)
        return dict.fromkeys(self.scorer._scorers, self.error_score) if several else self.error_score


def score_trials(trials: Sequence[Trial], scoring: Scoring) -> None:
    """Score all trials in place.

    Parameters
    ----------
    trials : sequence of Trial
        Fitted.
    scoring : Scoring
        How.

    Raises
    ------
    Exception
        What a fit or a scorer raised, if ``error_score`` is ``"raise"``.
    """
    by_split: dict[Split, list[Trial]] = {}
    for trial in trials:
        by_split.setdefault(trial.split, []).append(trial)
        if trial.error is not None:
            if scoring.error_score == "raise":
                raise trial.error
            trial.test_scores, trial.train_scores = scoring.failed(), scoring.failed()
    for split, group in by_split.items():
        fitted = [trial for trial in group if trial.error is None]
        _score_split(fitted, split.held_out, split.scoring_params(split.test), "test_scores", scoring)
        if scoring.train:
            _score_split(fitted, split.training, split.scoring_params(split.train), "train_scores", scoring)


def _score_split(trials: list[Trial], data: tuple[Any, Any], params: dict[str, Any], part: str, scoring: Scoring) -> None:
    start = time.perf_counter()
    doubles = _recalling([trial.estimator for trial in trials], data[0])
    share = (time.perf_counter() - start) / max(len(trials), 1)
    for trial, double in zip(trials, doubles, strict=True):
        start = time.perf_counter()
        setattr(trial, part, score(double, *data, scoring.scorer, params, scoring.error_score))
        if part == "test_scores":
            trial.score_time = share + time.perf_counter() - start


def _recalling(estimators: list[Any], X: Any) -> list[Any]:
    """Return doubles that know their outputs for X where they can be had at once."""
    stacked = [i for i, estimator in enumerate(estimators) if network_of(estimator) is not None]
    doubles = list(estimators)
    try:
        for i, double in zip(stacked, recalling([estimators[i] for i in stacked], X), strict=True):
            doubles[i] = double
    except Exception:  # it comes again when the scorer asks the estimator itself, and is handled as `error_score` says
        return estimators
    return doubles
