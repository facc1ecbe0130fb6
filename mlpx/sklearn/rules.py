"""When scikit-learn's estimators stop, and how their learning rate changes, as rules of mlpx's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpx._typing import Array, Namespace
from mlpx.schedules import Point, Schedule
from mlpx.stopping import Stopping

__all__ = ["NoImprovement", "adaptive", "inverse_scaling"]

_DIVISOR, _SMALLEST = 5.0, 1e-6


@dataclass(frozen=True, eq=False)
class NoImprovement(Stopping):
    """Stop once more than so many epochs in a row were not better than the best by at least a tolerance.

    Parameters
    ----------
    tolerance, epochs : array of shape (S,)
        ``tol`` and ``n_iter_no_change`` of each member.
    most : integer array of shape (S,)
        ``max_iter`` of each member.
    """

    tolerance: Array
    epochs: Array
    most: Array

    def improves(self, score: Array, best: Array) -> Array:
        """Say whether waiting begins anew; it does after NaN."""
        return ~(score > best - self.tolerance)

    def over(self, waited: Array, epoch: int) -> Array:
        """Say whether to stop."""
        return self.too_long(waited) | (epoch >= self.most)

    def too_long(self, waited: Array) -> Array:
        """Say whether members have waited too long for an improvement."""
        return waited > self.epochs


@dataclass(frozen=True, eq=False)
class _InverseScaling(Schedule):
    learning_rate: Array
    power: Array
    samples: Array
    seen: Array
    first: Array

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate of each member."""
        if point.epoch == 0:
            return self.first
        return self.learning_rate / (self.seen + point.epoch * self.samples + 1) ** self.power


@dataclass(frozen=True, eq=False)
class _Adaptive(Schedule):
    learning_rate: Array
    epochs: Array
    waited: Array

    def __call__(self, point: Point, state: Any, xp: Namespace) -> Array:
        """Return the learning rate of each member."""
        rate: Array = state[1]
        return rate

    def start(self, xp: Namespace) -> Any:
        """Return epochs waited, rate, and whether the rate cannot fall any more."""
        return self.waited, self.learning_rate, np.zeros(self.waited.shape, dtype=bool)

    def observe(self, state: Any, better: Array, xp: Namespace) -> Any:
        """Return them after an epoch."""
        waited, rate, _ = state
        waited = np.where(better, 0, waited + 1)
        due = waited > self.epochs
        spent = due & (rate <= _SMALLEST)
        lowered = due & ~spent
        return np.where(lowered, 0, waited), np.where(lowered, rate / _DIVISOR, rate), spent

    def exhausted(self, state: Any) -> Array:
        """Say whether the rate is due to fall and cannot."""
        spent: Array = state[2]
        return spent


def inverse_scaling(learning_rate: Array, power: Array, samples: Array, seen: Array, first: Array) -> Schedule:
    """Return ``alpha / (n + 1)^p`` with the number n of samples seen, set after each epoch.

    Parameters
    ----------
    learning_rate, power : array of shape (S,)
        Alpha and p of each member.
    samples : array of shape (S,)
        Samples an epoch.
    seen : array of shape (S,)
        Samples seen before the fit.
    first : array of shape (S,)
        The rate of the first epoch.
    """
    return _InverseScaling(learning_rate, power, samples, seen, first)


def adaptive(learning_rate: Array, epochs: Array, waited: Array) -> Schedule:
    """Return a rate that is divided by 5 whenever there was no improvement for too long; at 1e-6 training ends.

    Parameters
    ----------
    learning_rate : array of shape (S,)
        The first rate.
    epochs : array of shape (S,)
        ``n_iter_no_change`` of each member.
    waited : array of shape (S,)
        Epochs without improvement before the fit.
    """
    return _Adaptive(learning_rate, epochs, waited)
