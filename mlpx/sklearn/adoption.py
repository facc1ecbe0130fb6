"""From the outcome of training to an estimator's fitted attributes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mlpx.sklearn.problem import Outcome, Problem

__all__ = ["adopt"]


def adopt(problem: Problem, outcome: Outcome, *, incremental: bool) -> None:
    """Set the fitted attributes of a problem's estimator, and warn as scikit-learn does.

    Parameters
    ----------
    problem : Problem
        What was trained.
    outcome : Outcome
        What came out.
    incremental : bool
        Whether it was a `partial_fit`.
    """
    estimator = problem.estimator
    estimator.coefs_, estimator.intercepts_ = outcome.coefs, outcome.intercepts
    estimator.n_iter_, estimator._carried = outcome.epochs, outcome.carried
    estimator.t_ += outcome.epochs * problem.stream.rows.shape[0]
    estimator._no_improvement_count = outcome.waited
    estimator._steps_seen += outcome.steps
    estimator.history_ = outcome.columns
    if outcome.epochs:
        _add_losses(estimator, outcome.columns)
        if estimator.early_stopping:
            _add_scores(problem, outcome.columns[problem.watched])
    if outcome.interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=6)
    elif not incremental and not outcome.converged and outcome.epochs == estimator.max_iter:
        msg = (
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization hasn't "
            "converged yet."
        )
        warnings.warn(msg, ConvergenceWarning, stacklevel=6)


def _add_losses(estimator: Any, columns: dict[str, list[float]]) -> None:
    """Add the losses of the epochs to those of earlier fits."""
    losses = columns["loss"]
    estimator.loss_curve_ = [*estimator.loss_curve_, *losses]
    estimator.validation_loss_curve_ = [*estimator.validation_loss_curve_, *columns.get("validation_loss", ())]
    estimator.loss_ = losses[-1]
    if not estimator.early_stopping:
        before = np.inf if estimator.best_loss_ is None else estimator.best_loss_
        estimator.best_loss_ = min([before, *(loss for loss in losses if not np.isnan(loss))])


def _add_scores(problem: Problem, scores: list[float]) -> None:
    """Add the scores; where none is better than what there was, the parameters stay what they were."""
    estimator = problem.estimator
    before = -np.inf if estimator.best_validation_score_ is None else estimator.best_validation_score_
    best = max([before, *(score for score in scores if not np.isnan(score))])
    estimator.validation_scores_ = [*(estimator.validation_scores_ or ()), *scores]
    estimator.best_validation_score_ = best
    if best == before:
        estimator.coefs_, estimator.intercepts_ = problem.coefs, problem.intercepts
