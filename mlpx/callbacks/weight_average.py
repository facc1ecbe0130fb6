"""`WeightAverage`: the mean of the weights on the way, in place of the last."""

from __future__ import annotations

from typing import Any

from mlpx._checks import check_count, check_flag, check_number
from mlpx._notes import warn
from mlpx.callbacks.base import Callback

__all__ = ["WeightAverage"]


class WeightAverage(Callback):
    r"""Average the weights over the steps; the average is validated, and stays in the end.

    The optimizer goes on from its own weights as it would without. Validation scores, the best weights and the final
    weights are those of the average, as soon as there is one.

    Parameters
    ----------
    decay : float or None
        How much of the average stays in a step, of an exponential moving average; None: all steps have equal weight.
    start_epoch : int
        After how many epochs averaging begins.
    every : int
        How many steps lie between two that are averaged.
    debias : bool
        Whether the weights of the first steps are taken as the beginning of a mean, instead of as the mean of all that
        came before them.

    Attributes
    ----------
    steps : int
        How many steps are in the average.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit.

    Notes
    -----
    With the weights :math:`w_t` after the t-th of the steps that are averaged, and :math:`d` the `decay`,

    .. math:: a_t = a_{t-1} + s_t (w_t - a_{t-1}), \qquad s_t = \frac{1 - d}{1 - d^t},

    which is the mean of :math:`w_1, …, w_t` with the shares :math:`(1 - d) d^{t-i} / (1 - d^t)`. Without `debias`
    :math:`a_1 = w_1`, and :math:`s_t = 1 - d` from then on, so that :math:`w_1` has the share :math:`d^{t-1}`. With
    ``decay=None`` it is Polyak's and Ruppert's average [1]_: :math:`s_t = 1 / t`, from `start_epoch` on.

    A mean over the last :math:`1 / (1 - d)` steps or so: 1000 of them with 0.999. With fewer steps in all, take less.
    A member of a stack that stops keeps its average. With ``every=1`` the steps are handed to the device one by one,
    which costs a small network half as much again on NumPy; ``every=10`` is hardly felt, and its average is nearly as
    good: then let `decay` be that of ten steps, 0.99 in place of 0.999.

    References
    ----------
    .. [1] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on
       Control and Optimization 30, 1992.

    Examples
    --------
    >>> import mlpx
    >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0]
    >>> net = mlpx.MLP([1, 8, 1], output="linear", seed=1)
    >>> average = mlpx.WeightAverage(0.9)
    >>> history = net.fit(X, y, validation=(X, y), epochs=20, callbacks=average)
    >>> average.steps
    20
    """

    def __init__(
        self, decay: float | None = 0.999, *, start_epoch: int = 0, every: int = 1, debias: bool = True
    ) -> None:
        self.decay = None if decay is None else check_number("decay", decay, above=0, below=1)
        self.start_epoch = check_count("start_epoch", start_epoch, least=0)
        self.every = check_count("every", every)
        self.debias = check_flag("debias", debias)
        self.steps = 0

    def start(self, run: Any) -> None:
        """Begin anew."""
        self.steps = 0

    def batch(self, run: Any) -> None:
        """Take in the weights of a step."""
        if run.epoch < self.start_epoch:
            return
        self.steps += 1
        now, average = run.parameters, run.averaged
        run.averaged = run.net.backend.copy(now) if average is None else average + self._share() * (now - average)

    def end(self, run: Any) -> None:
        """Warn where nothing was averaged."""
        if not self.steps and 0 < run.epoch <= self.start_epoch:
            msg = (
                f"nothing was averaged: `start_epoch` is {self.start_epoch}, and training ended after epoch {run.epoch}"
            )
            warn(f"{msg}; take a smaller `start_epoch`")

    def state(self) -> dict[str, Any]:
        """Return of how many steps the average is; the average itself is the run's."""
        return {"steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.steps = check_count("steps", state["steps"], least=0)

    def _share(self) -> float:
        """Return the share of the present weights in the average."""
        if self.decay is None:
            return 1 / self.steps
        return (1 - self.decay) / (1 - self.decay**self.steps if self.debias else 1.0)
