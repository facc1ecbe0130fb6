"""Scores: what an estimator's `score` returns, and what training may watch instead of its loss.

Accuracy and R² are the training loop's own metrics, computed for all members of a stack where the rows are. Any other
scorer of scikit-learn, or a callable ``scorer(estimator, X, y)``, is shown an estimator that predicts with the weights
of the epoch that just ended.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, check_scoring, r2_score

from mlpx._typing import Array
from mlpx.backends import library_of, to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.sklearn.arrays import on_host
from mlpx.sklearn.predictions import labels, probabilities
from mlpx.sklearn.sparse import dense_rows

__all__ = ["EpochScores", "HeldOut", "Present", "PresentClassifier", "PresentRegressor", "metric_name", "score"]


def metric_name(estimator: Any, scoring: Any) -> str | None:
    """Return the training loop's metric that a scorer stands for: ``"accuracy"``, ``"r2"``, or None for any other.

    Examples
    --------
    >>> from sklearn.neural_network import MLPClassifier
    >>> metric_name(MLPClassifier(), None), metric_name(MLPClassifier(), "roc_auc")
    ('accuracy', None)
    """
    default = "accuracy" if is_classifier(estimator) else "r2"
    return default if scoring is None or (isinstance(scoring, str) and scoring == default) else None


def score(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Return the accuracy of a classifier, the R² of a regressor; for arrays of any library and device.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X, y : array
        Rows and their true labels or values.
    sample_weight : array of shape (N,), optional
        Weights.
    """
    function = accuracy_score if is_classifier(estimator) else r2_score
    return float(function(on_host(y), on_host(estimator.predict(X)), sample_weight=on_host(sample_weight)))


# Any scorer, epoch by epoch.


class Present:
    """An estimator as it is while it is fitted: the present weights, and for all else the estimator itself.

    Its predictions are NumPy arrays.

    Parameters
    ----------
    estimator : estimator
        What is fitted; it has the attributes that are known before training, such as ``classes_``.
    net : mlpx.Network
        A single network with the present weights.
    """

    def __init__(self, estimator: Any, net: Any) -> None:
        self._estimator, self._net = estimator, net
        self._seen: tuple[Any, Array | None] = (None, None)

    def __getattr__(self, name: str) -> Any:
        if name == "_estimator":  # of a copy, before it has its attributes
            raise AttributeError(name)
        return getattr(self._estimator, name)

    def __sklearn_tags__(self) -> Any:
        return self._estimator.__sklearn_tags__()

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def network_(self) -> Any:
        """The network with the present weights."""
        return self._net

    @property
    def coefs_(self) -> list[Array]:
        """The present weights of each layer."""
        return [to_numpy(weights) for weights in self._net.weights]

    @property
    def intercepts_(self) -> list[Array]:
        """The present biases of each layer."""
        return [to_numpy(bias) for bias in self._net.biases]

    def predict(self, X: Any) -> Array:
        """Return labels or values."""
        raise NotImplementedError

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, the R² of a regressor."""
        return score(self, X, y, sample_weight)

    def _outputs(self, X: Any) -> Array:
        """Return the outputs, computed once for all that is asked of the same rows."""
        seen, outputs = self._seen
        if outputs is None or seen is not X:
            outputs = to_numpy(self._net.predict(dense_rows(X)))
            self._seen = X, outputs
        return outputs


class PresentRegressor(Present):
    """A regressor while it is fitted."""

    def predict(self, X: Any) -> Array:
        """Return the values."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


class PresentClassifier(Present):
    """A classifier while it is fitted."""

    def predict(self, X: Any) -> Array:
        """Return the labels."""
        return labels(self._outputs(X), self.classes_, self._net.architecture.output.activation.name, None)

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the classes."""
        return probabilities(self._outputs(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return their logarithms."""
        return hxp.log(self.predict_proba(X))


class HeldOut:
    """Validation rows and the scorer that judges an estimator by them.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    scoring : str or callable
        A scorer of scikit-learn, by name or as it is, or ``scorer(estimator, X, y)``.
    X : array or SciPy sparse matrix
        The rows, checked.
    y : array
        Their labels or values, on the host.
    sample_weight : array of shape (N,), optional
        Weights, for scorers that take them.

    Raises
    ------
    TypeError, ValueError
        For what is no scorer, or several.
    """

    def __init__(self, estimator: Any, scoring: Any, X: Any, y: Array, sample_weight: Array | None = None) -> None:
        if not (isinstance(scoring, str) or callable(scoring)):
            msg = f"`scoring` must be one scorer: a name, or a callable scorer(estimator, X, y); got {scoring!r}."
            raise TypeError(msg)
        self.estimator, self.X, self.y = estimator, X, y
        self._scorer = check_scoring(estimator, scoring)
        takes_weights = sample_weight is not None and _takes_weights(self._scorer)
        self._weights = {"sample_weight": sample_weight} if takes_weights else {}

    def __call__(self, net: Any) -> float:
        """Return the score of a network's weights; NaN where it cannot be computed.

        Raises
        ------
        ValueError
            Where the scorer gives anything but a number.
        """
        present = (PresentClassifier if is_classifier(self.estimator) else PresentRegressor)(self.estimator, net)
        value = self._scorer(present, self.X, self.y, **self._weights)
        if library_of(value) is not None and math.prod(value.shape) == 1:
            value = to_numpy(value).item()
        if not isinstance(value, Real):
            msg = f"`scoring` must return a number, got {value!r} ({type(value).__name__}) from {self._scorer!r}."
            raise ValueError(msg)
        return float(value)


def _takes_weights(scorer: Any) -> bool:
    """Say whether a scorer, or the metric that it is made of, takes weights."""
    return "sample_weight" in inspect.signature(getattr(scorer, "_score_func", scorer)).parameters


class EpochScores:
    """The column ``"validation_score"`` of a run, by any scorer; what `mlpx.training.Settings` takes as its `scorer`.

    Parameters
    ----------
    members : sequence of HeldOut
        One a member of the stack; of a single network one.
    """

    column = "validation_score"

    def __init__(self, members: Sequence[HeldOut]) -> None:
        self.members = tuple(members)

    def __call__(self, run: Any) -> dict[str, Array]:
        """Return the score of each member that is left, NaN for the others."""
        net, left = run.net, set(run.left)
        scores = [
            held_out(net if net.members is None else net.member(s)) if s in left else math.nan
            for s, held_out in enumerate(self.members)
        ]
        return {self.column: hxp.asarray(scores)}
