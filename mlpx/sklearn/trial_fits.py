"""Fitting of all trials: networks by one call of `fit_many`, transformers once a split and setting, others singly."""

from __future__ import annotations

import time
import warnings
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from mlpx.sklearn.fitting import fit_many
from mlpx.sklearn.internals import routing_enabled
from mlpx.sklearn.trials import Trial, network_of

__all__ = ["fit_trials"]

_INTERRUPTED = "Training interrupted by user"
"""How the warning begins with which networks, scikit-learn's too, end a fit on Ctrl-C."""


def fit_trials(trials: Sequence[Trial], *, n_jobs: int | None = None, pre_dispatch: int | str | None = None) -> None:
    """Fit all trials in place; an exception is kept in the trial.

    Parameters
    ----------
    trials : sequence of Trial
        All with the same data and parameters of `fit`.
    n_jobs, pre_dispatch
        For trials that are fitted one by one.

    Raises
    ------
    KeyboardInterrupt
        Where the user has interrupted a fit: a network that is half trained is an estimator, but no candidate.
    """
    together: list[Trial] = []
    alone: list[Trial] = []
    for trial in trials:
        (together if _stackable(trial) else alone).append(trial)
    if together:
        _fit_together(together)
        if all(trial.error is not None for trial in together):
            for trial in together:
                trial.renew()
            alone += together  # something is wrong with rows that not all of them are trained on
    if alone:
        _fit_alone(alone, n_jobs, pre_dispatch)


def _stackable(trial: Trial) -> bool:
    """Return whether rows and their weights are all that goes to the network's `fit`."""
    given, lined = trial.split.fit_params, isinstance(trial.estimator, Pipeline)
    if network_of(trial.estimator) is None or (lined and given and routing_enabled()):
        return False
    own = _own_params(trial.estimator, given)
    if any(value is not None for name, value in own.items() if name != "sample_weight"):
        return False
    weight = own.get("sample_weight")
    return weight is None or _own_params(trial.estimator, trial.split.training_params)["sample_weight"] is not weight


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
        rows = [trial.split.train for trial in direct]
        _train(direct, X, y, rows=rows, sample_weight=split.fit_params.get("sample_weight"))
    ready, inner = _fit_transformers(lined)
    if ready:
        weights = [_own_params(t.estimator, t.split.training_params).get("sample_weight") for t in ready]
        weight = None if weights[0] is None else weights
        _train(ready, inner, [trial.split.training[1] for trial in ready], sample_weight=weight)


def _train(trials: Sequence[Trial], X: Any, y: Any, **params: Any) -> None:
    start = time.perf_counter()
    with _interruptions_raised():
        errors = fit_many([network_of(trial.estimator) for trial in trials], X, y, **params)
    for error in errors:
        _refuse_interruption(error)
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
        with _interruptions_raised():
            estimator.fit(*((X,) if y is None else (X, y)), **params)
    except Exception as raised:  # whatever an estimator raises belongs to its trial
        _refuse_interruption(raised)
        error = raised
    return estimator, error, time.perf_counter() - start


@contextmanager
def _interruptions_raised() -> Iterator[None]:
    """Let fits raise what else they warn of: that the user has interrupted them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", _INTERRUPTED, UserWarning)
        yield


def _refuse_interruption(error: Exception | None) -> None:
    if isinstance(error, UserWarning) and str(error).startswith(_INTERRUPTED):
        raise KeyboardInterrupt from error
