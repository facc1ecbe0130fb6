"""When a network stops: what counts as an improvement, and how long training waits for one."""

from __future__ import annotations

from dataclasses import dataclass

from mlpx._typing import Array
from mlpx.backends.host import xp as hxp

__all__ = ["Patience", "Stopping"]


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
