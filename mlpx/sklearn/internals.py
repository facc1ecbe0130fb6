"""The private names of scikit-learn that searches and ensembles take: what its own searches are made of.

The networks take their own, each where it is needed: the checks of data and of parameters that scikit-learn's networks
are made with.
"""

from __future__ import annotations

from typing import Any

from sklearn import base
from sklearn.metrics import _scorer
from sklearn.model_selection import _search, _validation
from sklearn.utils import _array_api, _param_validation, metadata_routing, metaestimators, validation

__all__ = ["Task"]

BaseSearchCV = _search.BaseSearchCV
MultimetricScorer = _scorer._MultimetricScorer

fit_context = base._fit_context
Interval = _param_validation.Interval
routing_enabled = metadata_routing._routing_enabled

check_method_params = validation._check_method_params
num_samples = validation._num_samples
safe_split = metaestimators._safe_split

score = _validation._score
report_failures = _validation._warn_or_raise_about_fit_failures
insert_error_scores = _validation._insert_error_scores


def rows_like(X: Any, rows: Any) -> Any:
    """Return row numbers in the library and on the device of X, where scikit-learn's dispatch is on."""
    xp, found = _array_api.get_namespace(X)
    return xp.asarray(rows, device=_array_api.device(X)) if found else rows


class Task:
    """A part of a fit, told to scikit-learn's callbacks where its version has them (from 1.9 on).

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    context : CallbackContext or None
        scikit-learn's node of the tree of tasks.
    **data
        X, y and metadata of the task.
    """

    def __init__(self, estimator: Any, context: Any, **data: Any) -> None:
        self._estimator, self._context, self._data = estimator, context, data
        if context is not None:
            context.call_on_fit_task_begin(estimator=estimator, **data)

    @classmethod
    def root(cls, estimator: Any, *, max_subtasks: int, **data: Any) -> Task:
        """Begin the fit itself."""
        begin = getattr(estimator, "_init_callback_context", None)
        return cls(estimator, begin and begin(max_subtasks=max_subtasks), **data)

    def subtask(self, name: str, task_id: int | None = None, max_subtasks: int = 0, **data: Any) -> Task:
        """Begin a part of this task; its own parts have numbers where there are any."""
        context = self._context and self._context.subcontext(
            task_name=name, task_id=task_id, max_subtasks=max_subtasks, sequential_subtasks=max_subtasks == 0
        )
        return Task(self._estimator, context, **data)

    def fit(self, inner: Any, X: Any, y: Any, params: dict[str, Any]) -> None:
        """Fit another estimator as this task; callbacks that spread over estimators go along."""
        arguments = (X,) if y is None else (X, y)
        if self._context is None:
            inner.fit(*arguments, **params)
            return
        with self._context.propagate_callback_context(inner):
            inner.fit(*arguments, **params)

    def end(self) -> None:
        """Say that it is done."""
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._estimator, **self._data)
