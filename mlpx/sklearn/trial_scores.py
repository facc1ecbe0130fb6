"""Scoring of all trials, split by split, with scikit-learn's own scorers and its treatment of what fails."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpx.sklearn.internals import MultimetricScorer, score
from mlpx.sklearn.recalling import recalling
from mlpx.sklearn.trials import Split, Trial, network_of

__all__ = ["Scoring", "score_trials"]


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

    scorer: Any
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
        split.release()


def _score_split(
    trials: list[Trial], data: tuple[Any, Any], params: dict[str, Any], part: str, scoring: Scoring
) -> None:
    start = time.perf_counter()
    doubles = _recalling([trial.estimator for trial in trials], data[0])
    share = (time.perf_counter() - start) / max(len(trials), 1)
    for trial, double in zip(trials, doubles, strict=True):
        start = time.perf_counter()
        setattr(trial, part, score(double, *data, scoring.scorer, params, scoring.error_score))
        if part == "test_scores":
            trial.score_time = share + time.perf_counter() - start


def _recalling(estimators: list[Any], X: Any) -> list[Any]:
    """Return doubles that know their outputs for X of what was trained in stacks."""
    stacked = [i for i, estimator in enumerate(estimators) if network_of(estimator) is not None]
    doubles = list(estimators)
    for i, double in zip(stacked, recalling([estimators[i] for i in stacked], X), strict=True):
        doubles[i] = double
    return doubles
