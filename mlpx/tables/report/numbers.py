"""Where a model of numbers errs: the distribution of its residuals, and predicted beside true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
#: Groups of equally many rows, from the smallest predictions to the largest.
GROUPS = 5


class Group(NamedTuple):
    """Rows of similar predictions.

    Attributes
    ----------
    rows : int
        How many.
    predicted, true : float
        Means.
    rmse : float
        Root mean square error.
    """

    rows: int
    predicted: float
    true: float
    rmse: float


@dataclass(frozen=True, eq=False)
class Numbers:
    """The numbers that were predicted, beside the true ones.

    Attributes
    ----------
    true, predicted : numpy.ndarray
        In the target's own unit, shape (n,).
    """

    true: NDArray[np.float64]
    predicted: NDArray[np.float64]

    @property
    def residuals(self) -> NDArray[np.float64]:
        """Predicted less true: above 0 where the model says too much."""
        return self.predicted - self.true

    def quantiles(self) -> tuple[tuple[float, float], ...]:
        """Give shares of the rows, and the residual that so many stay below."""
        return tuple(zip(QUANTILES, np.quantile(self.residuals, QUANTILES).tolist(), strict=True))

    def groups(self) -> tuple[Group, ...]:
        """Give the fifths of the rows, from the smallest predictions to the largest."""
        order = np.argsort(self.predicted, kind="stable")
        parts = [part for part in np.array_split(order, GROUPS) if len(part)]
        return tuple(self._group(part) for part in parts)

    def _group(self, rows: NDArray[np.intp]) -> Group:
        predicted, true = self.predicted[rows], self.true[rows]
        rmse = float(np.sqrt(((predicted - true) ** 2).mean()))
        return Group(len(rows), float(predicted.mean()), float(true.mean()), rmse)

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return {
            "residuals": [{"share": share, "below": value} for share, value in self.quantiles()],
            "groups": [group._asdict() for group in self.groups()],
        }
