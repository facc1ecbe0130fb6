"""From trials to numbers: outcomes as scikit-learn's tables take them, and means over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpx.sklearn.internals import insert_error_scores, report_failures
from mlpx.sklearn.trials import Trial

__all__ = ["by_metric", "mean_outcome", "outcomes_of"]


def outcomes_of(
    trials: Sequence[Trial], error_score: Any, *, train: bool, callable_scoring: bool
) -> list[dict[str, Any]]:
    """Return one dict a trial, and warn of the fits that failed.

    Raises
    ------
    ValueError
        Where there is no trial, or all fits failed.
    """
    if not trials:
        msg = "No fits were performed. Was the CV iterator empty? Were there no candidates?"
        raise ValueError(msg)
    outcomes = [trial.result(train=train) for trial in trials]
    report_failures(outcomes, error_score)
    if callable_scoring:  # only now it is known whether a callable gives one score or several
        insert_error_scores(outcomes, error_score)
    return outcomes


def by_metric(outcomes: Sequence[dict[str, Any]], part: str) -> dict[str, NDArray[np.float64]]:
    """Return the scores of all trials by the metric's name, ``"score"`` where there is one without a name."""
    scores = [outcome[f"{part}_scores"] for outcome in outcomes]
    if isinstance(scores[0], dict):
        return {name: np.asarray([each[name] for each in scores], dtype=np.float64) for name in scores[0]}
    return {"score": np.asarray(scores, dtype=np.float64)}


def mean_outcome(outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the outcome of one candidate on one split from those of its seeds: mean scores, times in sum."""
    if len(outcomes) == 1:
        return outcomes[0]
    mean = dict(outcomes[0])
    for name in ("fit_time", "score_time"):
        mean[name] = sum(outcome[name] for outcome in outcomes)
    for part in ("test", "train"):
        if f"{part}_scores" in mean:
            means = {name: float(scores.mean()) for name, scores in by_metric(outcomes, part).items()}
            mean[f"{part}_scores"] = means if isinstance(mean[f"{part}_scores"], dict) else means["score"]
    return mean
