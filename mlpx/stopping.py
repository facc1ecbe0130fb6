"""When a network stops: what counts as an improvement, and how long training waits for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mlpx._typing import Array
from mlpx.backends.host import xp as hxp

__all__ = ["Patience", "Standing", "Stopping"]


class Stopping:
    """The rule that never stops: training makes all its epochs.

    Scores are such that less is better. Every array has one number a member, of shape (S,), and lies on the host.
    """

    def improves(self, score: Array, best: Array) -> Array:
        """Say whether a score is an improvement upon the best before, so that waiting begins anew."""
        return score < best

    def over(self, waited: Array, epoch: int) -> Array:
        """Say whether to stop after `epoch` epochs, of which the last `waited` were without an improvement."""
        return hxp.zeros(waited.shape, dtype=hxp.bool)


@dataclass(frozen=True)
class Patience(Stopping):
    """Stop after so many epochs in a row without a score that is strictly better than ever.

    Parameters
    ----------
    epochs : int
        How many.
    """

    epochs: int

    def over(self, waited: Array, epoch: int) -> Array:
        """Say whether to stop."""
        return waited >= self.epochs


class Standing(NamedTuple):
    """How the members stand by what is watched, of which less is better; each of shape (S,).

    Attributes
    ----------
    best : array
        The best score so far.
    epoch : integer array
        The epoch of that score, from 1; 0 where there was none in this fit.
    waited : integer array
        Epochs since the last improvement.
    """

    best: Array
    epoch: Array
    waited: Array

    def after(self, score: Array, epoch: int, rule: Stopping, present: Array) -> Standing:
        """Return how they stand after an epoch; those who are not present stay as they left."""
        better = score < self.best
        waited = hxp.where(rule.improves(score, self.best), 0, self.waited + 1)
        return Standing(
            hxp.where(better, score, self.best),
            hxp.where(better, epoch, self.epoch),
            hxp.where(present, waited, self.waited),
        )
