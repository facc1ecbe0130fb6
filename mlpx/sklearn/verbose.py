"""What `verbose` prints: the lines that scikit-learn's own multi-layer perceptrons print."""

from __future__ import annotations

import math
from typing import Any

from mlpx.callbacks import Callback

__all__ = ["Verbose"]

_SMALLEST_RATE, _DIVISOR = 1e-6, 5.0
"""Of the adaptive learning rate: it is divided as long as it is larger."""


class Verbose(Callback):
    """Prints what scikit-learn's own multi-layer perceptrons print with ``verbose=True``.

    Parameters
    ----------
    tol : float
        The least improvement.
    n_iter_no_change : int
        For how many epochs it may be missing.
    score : str, optional
        Column of the validation score that is watched, of which more is better; None: the training loss is.
    adaptive : bool
        Whether the learning rate is lowered where the improvement is missing, before training stops.
    best : float, optional
        The best score, or loss, of earlier fits that this one goes on from.
    waited : int
        Epochs without improvement at the end of those.
    """

    def __init__(
        self,
        tol: float,
        n_iter_no_change: int,
        *,
        score: str | None = None,
        adaptive: bool = False,
        best: float | None = None,
        waited: int = 0,
    ) -> None:
        self.tol, self.n_iter_no_change = tol, n_iter_no_change
        self.score, self.adaptive = score, adaptive
        # less is better
        self._sign = 1.0 if score is None else -1.0
        self._best = math.inf if best is None else self._sign * best
        self._waited = waited

    def epoch(self, run: Any) -> None:
        """Print loss and score, and what follows where they have not improved for too long."""
        row = run.row
        _say(f"Iteration {run.epoch}, loss = {row['loss']:.8f}")
        if self.score is not None:
            _say(f"Validation score: {row[self.score]:f}")
        watched = self._sign * row[self.score or "loss"]
        self._waited = self._waited + 1 if watched > self._best - self.tol else 0
        self._best = min(self._best, watched)
        if self._waited > self.n_iter_no_change:
            self._waited = 0
            _say(f"{self._missing} {self._consequence(row['learning_rate'])}")

    @property
    def _missing(self) -> str:
        what = "Training loss" if self.score is None else "Validation score"
        epochs = f"for {self.n_iter_no_change} consecutive epochs."
        return f"{what} did not improve more than tol={self.tol:f} {epochs}"

    def _consequence(self, rate: float) -> str:
        if not self.adaptive:
            return "Stopping."
        if rate <= _SMALLEST_RATE:
            return "Learning rate too small. Stopping."
        return f"Setting learning rate to {rate / _DIVISOR:f}"


def _say(line: str) -> None:
    print(line)  # noqa: T201
