"""What is asked of a fit, and what a later one goes on from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mlpx._typing import Array
from mlpx.backends.host import xp as hxp
from mlpx.batches import Order
from mlpx.callbacks import Callback
from mlpx.metrics import Metric
from mlpx.optimizers import Optimizer
from mlpx.stopping import Stopping

__all__ = ["Carried", "Settings"]


@dataclass(frozen=True)
class Settings:
    """What is asked of a fit, checked.

    Parameters
    ----------
    epochs, batch_size, optimizer
        As in `mlpx.Network.fit`.
    order : Order
        In which the rows are taken.
    metrics, held_out_metrics : tuple of Metric
        What is reported beside the loss, of the training rows and of the validation rows.
    monitor : str
        The column of the history that is watched.
    stopping : Stopping
        When a member stops, by what is watched.
    keep_best : bool
        Whether the weights of the best epoch stay in the end, instead of the last.
    clip_norm : float or tuple of float, optional
        Bound on the norm of the gradient.
    callbacks : tuple of Callback
        Called while training goes on.
    progress : bool
        Whether to show a bar.
    l2_by_batch, by_row : bool
        As in `mlpx.batches.Batches`.
    finite : bool
        Whether members leave, and training ends, where loss or weights are not finite.
    scorer : callable, optional
        ``scorer(run)`` gives more numbers of an epoch: by name an array with one number a member, of which more is
        better.
    """

    epochs: int
    batch_size: int
    optimizer: Optimizer
    order: Order
    metrics: tuple[Metric, ...] = ()
    held_out_metrics: tuple[Metric, ...] = ()
    monitor: str = "loss"
    stopping: Stopping = field(default_factory=Stopping)
    keep_best: bool = False
    clip_norm: float | tuple[float, ...] | None = None
    callbacks: tuple[Callback, ...] = ()
    progress: bool = False
    l2_by_batch: bool = False
    by_row: bool = False
    finite: bool = True
    scorer: Callable[[Any], dict[str, Array]] | None = None


class Carried(NamedTuple):
    """What a later fit goes on from, where it shall go on as if it were the same.

    Attributes
    ----------
    moments : tuple of array of shape (..., P)
        What the optimizer remembers; empty: zeros.
    steps : integer array of shape (S,)
        The steps that were made.
    best_score : array of shape (S,)
        The best score so far, less being better.
    waited : integer array of shape (S,)
        Epochs since the last improvement.
    schedule : Any
        What the learning-rate schedule remembers; None: it starts anew.
    """

    moments: tuple[Array, ...]
    steps: Array
    best_score: Array
    waited: Array
    schedule: Any = None

    @classmethod
    def start(cls, members: int) -> Carried:
        """Return what a first fit goes on from."""
        zeros = hxp.zeros(members, dtype=hxp.int64)
        return cls((), zeros, hxp.full(members, hxp.inf), zeros)
