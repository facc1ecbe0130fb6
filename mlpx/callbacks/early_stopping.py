"""`EarlyStopping`: patience with any column of the history, any direction, and a least improvement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpx._checks import check_choice, check_count, check_flag, check_number
from mlpx._typing import Array
from mlpx.backends import to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.callbacks.base import Callback
from mlpx.metrics import Metric, full_name
from mlpx.stopping import Patience, Standing

__all__ = ["EarlyStopping"]


class EarlyStopping(Callback):
    """Stop when a column of the history has not improved for so many epochs, for what ``fit(patience=…)`` cannot do.

    It watches any column beside the one that ``fit`` monitors, asks for a least improvement, and compares with a score
    that must be beaten.

    Parameters
    ----------
    monitor : str
        The column of the history, such as ``"loss"`` or ``"validation_accuracy"``.
    patience : int
        Stop after so many epochs in a row without an improvement.
    min_delta : float
        By how much a score must be better than the best before to count as an improvement.
    mode : str
        ``"min"`` or ``"max"``, whichever is better; ``"auto"`` takes the direction of the loss or metric of that name.
    baseline : float, optional
        An improvement must also be better than this, so that training which does not get there in time ends.
    restore_best : bool
        Whether the weights of the epoch with the best score stay in the end. False leaves it to ``fit``, which keeps
        the best by its own ``monitor`` where there is `validation` or `patience`, else the last.

    Attributes
    ----------
    best_epoch : int, with a stack a list of int
        Epoch (from 1) of the best score; 0 where there was none.
    best_score : float, with a stack a list of float
        That score; NaN where there was none.
    stopped_epoch : int
        The epoch after which it ended training; 0 where it did not.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit; in ``fit``, for a column that is not there or whose direction is not known.

    Notes
    -----
    The best score is the best of all; `min_delta` and `baseline` decide only whether waiting begins anew.

    A stack is trained until each of its members has waited long enough, and each gets the weights of its own best
    epoch. Where a member shall leave as soon as it has waited long enough, so that it costs nothing more, take
    ``fit(patience=…)``.

    Examples
    --------
    >>> import mlpx
    >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0]
    >>> stopping = mlpx.EarlyStopping("loss", patience=5, min_delta=1e-3)
    >>> net = mlpx.MLP([1, 8, 1], output="linear", seed=1)
    >>> history = net.fit(X, y, epochs=5000, optimizer=mlpx.Adam(0.01), callbacks=stopping)
    >>> history.stopped, stopping.stopped_epoch == history.epochs < 5000
    ('callback', True)
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 10,
        *,
        min_delta: float = 0.0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best: bool = True,
    ) -> None:
        if not isinstance(monitor, str):
            msg = f"`monitor` must be the name of a column of the history, got {monitor!r}."
            raise TypeError(msg)
        self.monitor = monitor
        self.patience = check_count("patience", patience)
        self.min_delta = check_number("min_delta", min_delta, least=0)
        self.mode = check_choice("mode", mode, ("auto", "max", "min"))
        self.baseline = None if baseline is None else check_number("baseline", baseline)
        self.restore_best = check_flag("restore_best", restore_best)
        self._begin(1, stack=False)

    def _begin(self, members: int, *, stack: bool) -> None:
        zeros = hxp.zeros(members, dtype=hxp.int64)
        self._standing = Standing(hxp.full(members, hxp.inf), zeros, zeros)
        self._stack, self._sign = stack, 1.0
        self._ops: Any = None
        self._weights: Any = None
        self.stopped_epoch = 0

    # While training goes on.

    def start(self, run: Any) -> None:
        """Forget an earlier training."""
        self._begin(run.net.members or 1, stack=run.net.members is not None)
        self._shape = run.net.vector.shape
        self._ops, self._sign = run.net.backend, self._direction(run.settings)
        bound = math.inf if self.baseline is None else self._sign * self.baseline
        self._rule = _Rule(self.patience, self.min_delta, bound)

    def epoch(self, run: Any) -> None:
        """Look at the score; stop where everyone has waited long enough."""
        present = hxp.zeros(self._standing.best.shape, dtype=hxp.bool)
        present[run.left] = True
        score = self._sign * self._watched(run.row)
        self._standing = self._standing.after(score, run.epoch, self._rule, present)
        if self.restore_best:
            self._keep(self._standing.epoch == run.epoch, run.net.vector)
        if hxp.all(self._rule.over(self._standing.waited, run.epoch) | ~present):
            self.stopped_epoch = run.epoch
            run.stop()

    def end(self, run: Any) -> None:
        """Give the network the best weights."""
        if self._weights is not None and self._ops is not None:  # else they are of an earlier training
            run.net.vector = self._chosen(self._standing.epoch > 0, self._weights, run.net.vector)
            self._weights = to_numpy(self._weights)  # a checkpoint of the end holds them too
        self._ops = None

    def state(self) -> dict[str, Any]:
        """Return how the members stand, and the best weights."""
        weights = {} if self._weights is None else {"weights": to_numpy(self._weights)}
        return {**self._standing._asdict(), **weights, "stopped_epoch": self.stopped_epoch}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        standing = Standing(*(hxp.asarray(state[name]) for name in Standing._fields))
        weights = state.get("weights")
        pairs = list(zip(standing, self._standing, strict=True))
        fits = all(found.shape == now.shape and found.dtype == now.dtype for found, now in pairs)
        sound = weights is None or (weights.shape == self._shape and bool(hxp.all(hxp.isfinite(weights))))
        if not fits or not sound:
            msg = "what EarlyStopping noted is not of a network like this one"
            raise ValueError(msg)
        self._standing = standing
        self._weights = None if weights is None else self._ops.asarray(weights)
        self.stopped_epoch = state["stopped_epoch"]

    def _direction(self, settings: Any) -> float:
        """Return the factor that makes less better."""
        higher = {metric.name: metric.higher_is_better for metric in (*settings.metrics, *settings.held_out_metrics)}
        higher["loss"] = False
        mode, name = self.mode, full_name(self.monitor)
        if name not in higher and name in Metric.known:
            msg = f'`monitor={self.monitor!r}` needs `metrics="{name}"` in `fit`, which did not ask for it.'
            raise ValueError(msg)
        if mode == "auto" and name not in higher:
            msg = (
                f'`mode` must be "min" or "max" for `monitor={self.monitor!r}`, whose direction is not known; known is '
                f"that of {', '.join(map(repr, sorted(higher)))}, each also with validation_ in front."
            )
            raise ValueError(msg)
        return -1.0 if mode == "max" or (mode == "auto" and higher[name]) else 1.0

    def _watched(self, row: Mapping[str, Any]) -> Array:
        """Return the score of each member."""
        if self.monitor not in row:
            msg = f"`monitor` must be a column of the history: {', '.join(map(repr, row))}; got {self.monitor!r}."
            raise ValueError(msg)
        return hxp.reshape(hxp.asarray(row[self.monitor], dtype=hxp.float64), (-1,))

    def _keep(self, better: Array, now: Array) -> None:
        """Keep the present weights of the members whose score is better than ever."""
        if hxp.any(better):
            self._weights = now if self._weights is None else self._chosen(better, now, self._weights)

    def _chosen(self, condition: Array, yes: Array, no: Array) -> Array:
        """Return the vectors `yes` of the members for which the condition holds, `no` of the others."""
        if hxp.all(condition):
            return yes
        return self._ops.xp.where(self._ops.asarray(condition[:, None]), yes, no) if self._stack else no

    # What was seen.

    @property
    def best_epoch(self) -> int | list[int]:
        """Epoch of the best score."""
        epochs: list[int] = self._standing.epoch.tolist()
        return epochs if self._stack else epochs[0]

    @property
    def best_score(self) -> float | list[float]:
        """The best score."""
        best = hxp.where(self._standing.epoch > 0, self._sign * self._standing.best, hxp.nan)
        scores: list[float] = best.tolist()
        return scores if self._stack else scores[0]


@dataclass(frozen=True)
class _Rule(Patience):
    """Patience for which an improvement is a score better than the best by `least`, and better than `bound`."""

    least: float
    bound: float

    def improves(self, score: Array, best: Array) -> Array:
        """Say whether a score is an improvement."""
        return (score < best - self.least) & (score < self.bound)
