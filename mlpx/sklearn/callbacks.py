"""The training loop as scikit-learn's callbacks see it.

scikit-learn (from 1.9 on) looks at a fit as a tree of tasks: the fit is one, and each of its epochs is one below it. A
search or a pipeline that fits the estimator hangs this tree into its own and hands its callbacks down. Callbacks are
told when a task begins and when it ends; at its end they may ask that the epochs stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlpx.backends import to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.callbacks import Callback

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator without scikit-learn's callbacks, which this version of it does not have."""


__all__ = ["CallbackSupportMixin", "Epochs", "FitTask", "present_parameters"]


class FitTask:
    """A fit and its iterations as tasks of scikit-learn's callbacks; free of cost where there are none.

    It must be made within the estimator's own ``fit``, which scikit-learn's ``_fit_context`` or ``with_callbacks``
    decorates: those take the callbacks down in the end, also after an error.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    X, y : array, or callable that returns it
        The training data, as the estimator takes them; a callable is only called where a callback asks for them.
    most : int
        How many iterations there are at most.
    sample_weight : array, optional
        Weights, which callbacks get as metadata.
    iteration : str
        What an iteration is called.

    Attributes
    ----------
    watched : bool
        Whether there are callbacks. Without any, `begin` and `end` do nothing.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, most: int, *, sample_weight: Any = None, iteration: str = "epoch"
    ) -> None:
        self.watched = bool(getattr(estimator, "_skl_callbacks", ()))
        self._most, self._begun, self._name = most, 0, iteration
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._iteration: Any = None
        self._fit: Any = None
        if hasattr(estimator, "_init_callback_context"):
            # also without callbacks: those of a search around it may look at the whole tree
            self._fit = estimator._init_callback_context(max_subtasks=most)
            self._fit.call_on_fit_task_begin(**self._data)

    def begin(self) -> None:
        """Begin an iteration, unless one has begun or as many as there can be are done."""
        if self.watched and self._iteration is None and self._begun < self._most:
            self._begun += 1
            self._iteration = self._fit.subcontext(task_name=self._name)
            self._iteration.call_on_fit_task_begin(**self._data)

    def end(self, attributes: Callable[[], Mapping[str, Any]] | None = None) -> bool:
        """End the iteration; return whether a callback wants to stop.

        Parameters
        ----------
        attributes : callable, optional
            Returns the fitted attributes that make a copy of the estimator ready to predict, as if training ended
            here; only called where a callback asks for that. None: nothing was learned in this iteration.
        """
        if self._iteration is None:
            return False
        iteration, self._iteration = self._iteration, None
        return bool(iteration.call_on_fit_task_end(**self._data, reconstruction_attributes=attributes))

    def callbacks(self, attributes: Callable[[Any], Mapping[str, Any]] | None = None) -> tuple[Callback, ...]:
        """Return what the run of a network is given: `Epochs`, or nothing where nobody watches."""
        return (Epochs(self, attributes),) if self.watched else ()

    def close(self) -> None:
        """End the fit, when the estimator has all its fitted attributes; first an iteration that was broken off."""
        if self._fit is not None:
            self.end()
            self._fit.call_on_fit_task_end(**self._data, reconstruction_attributes={})


class Epochs(Callback):
    """The epochs of a run as tasks of scikit-learn's callbacks; the run ends where one of these asks for it.

    Parameters
    ----------
    task : FitTask
        The fit. It is closed by the estimator, not here.
    attributes : callable, optional
        ``attributes(run)`` returns the fitted attributes at the end of an epoch; by default `present_parameters`.
    """

    def __init__(self, task: FitTask, attributes: Callable[[Any], Mapping[str, Any]] | None = None) -> None:
        self.task = task
        self.attributes = attributes or present_parameters

    def begin(self, run: Any) -> None:
        """Begin an epoch."""
        self.task.begin()

    def epoch(self, run: Any) -> None:
        """End an epoch."""
        if self.task.end(lambda: self.attributes(run)):
            run.stop()


def present_parameters(run: Any) -> dict[str, Any]:
    """Return copies of the network's present parameters, and how far training is, as fitted attributes."""
    net = run.net
    return {
        "coefs_": [_copied(weights) for weights in net.weights],
        "intercepts_": [_copied(bias) for bias in net.biases],
        "n_iter_": run.epoch,
        "loss_": run.row["loss"],
        "loss_curve_": list(run.history["loss"]),
    }


def _copied(array: Any) -> Any:
    return hxp.asarray(to_numpy(array), copy=True)
