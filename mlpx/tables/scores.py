"""Measures of predictions, as scikit-learn has them, for the mean of a stack's members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: No probability counts as smaller than this in the logarithmic loss: one certain mistake must not hide all others.
SMALLEST = float(np.finfo(np.float32).eps)


def score_classes(truth: NDArray[np.intp], probabilities: NDArray[Any]) -> dict[str, float]:
    """Give accuracy, logarithmic loss and, where every class occurs, the area under the ROC curve.

    Parameters
    ----------
    truth : array of shape (n,)
        Number of each row's class.
    probabilities : array of shape (n, K)
        Probability of each class. The area is that of the second of two classes, or the mean over the classes of each
        against the others.

    Returns
    -------
    dict of str to float
        ``accuracy``, ``log_loss`` and ``roc_auc``.

    Examples
    --------
    >>> import numpy as np
    >>> from mlpx.tables.scores import score_classes
    >>> score_classes(np.asarray([0, 1]), np.asarray([[0.5, 0.5], [0.75, 0.25]]))["accuracy"]
    0.5
    """
    rows = np.arange(len(truth))
    loss = -np.log(np.clip(probabilities[rows, truth].astype(np.float64), SMALLEST, 1))
    scores = {"accuracy": float(np.mean(probabilities.argmax(1) == truth)), "log_loss": float(loss.mean())}
    classes = probabilities.shape[1]
    if len(np.unique(truth)) < classes:
        return scores
    areas = [roc_auc(truth == k, probabilities[:, k]) for k in ([1] if classes == 2 else range(classes))]
    return scores | {"roc_auc": float(np.mean(areas))}


def roc_auc(positive: Sequence[bool] | NDArray[np.bool_], score: NDArray[Any]) -> float:
    """Give the chance that a positive row scores above a negative one; equal scores count half.

    Parameters
    ----------
    positive : array of bool of shape (n,)
        Whether a row is positive; both kinds must occur.
    score : array of shape (n,)
        Greater for rows taken to be positive.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from mlpx.tables.scores import roc_auc
    >>> roc_auc(np.asarray([True, False, True]), np.asarray([0.5, 0.5, 0.9]))
    0.75
    """
    chosen = np.asarray(positive)
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place.reshape(-1)]  # equal scores share their mean rank
    n = int(chosen.sum())
    return float((rank[chosen].sum() - n * (n + 1) / 2) / (n * (len(chosen) - n)))


def score_numbers(truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    """Give root mean square error, mean absolute error and, where the truth varies, R².

    Parameters
    ----------
    truth, predicted : array of shape (n,)
        In the target's own unit.

    Returns
    -------
    dict of str to float
        ``rmse``, ``mae`` and ``r2``.

    Examples
    --------
    >>> import numpy as np
    >>> from mlpx.tables.scores import score_numbers
    >>> score_numbers(np.asarray([1.0, 3.0]), np.asarray([2.0, 2.0]))
    {'rmse': 1.0, 'mae': 1.0, 'r2': 0.0}
    """
    error = np.asarray(predicted, dtype=np.float64) - truth
    spread = float(((truth - np.mean(truth)) ** 2).sum())
    scores = {"rmse": float(np.sqrt((error**2).mean())), "mae": float(np.abs(error).mean())}
    return scores | {"r2": 1 - float((error**2).sum()) / spread} if spread else scores
