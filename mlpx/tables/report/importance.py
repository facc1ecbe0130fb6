"""How much a model needs each column: what it loses where the values of one are shuffled among the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlpx.tables.preprocessing import Preprocessing

#: Rows are left out of the shuffling where more predictions than this would be made, but so many stay at least.
MOST_PREDICTIONS, FEWEST_ROWS = 200_000, 500
#: With more columns than this nothing is shuffled unless it is asked for.
MOST_COLUMNS = 100


@dataclass(frozen=True)
class Importance:
    """What a model loses without one column.

    Attributes
    ----------
    column : str
        The column, with all its inputs.
    loss, loss_std : float
        By how much the log loss or the RMSE rises: mean and standard deviation over the repeats.
    score, score_std : float
        By how much the accuracy or R2 falls.
    """

    column: str
    loss: float
    loss_std: float
    score: float
    score_std: float

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return asdict(self)


def shuffled_rows(rows: int, columns: int, repeats: int) -> int:
    """Tell how many of the rows are shuffled."""
    return min(rows, max(FEWEST_ROWS, MOST_PREDICTIONS // max(columns * repeats, 1)))


def permutation_importance(
    preprocessing: Preprocessing,
    inputs: NDArray[Any],
    losses: Callable[[NDArray[Any]], tuple[float, float]],
    *,
    repeats: int,
    seed: int = 0,
) -> tuple[Importance, ...]:
    """Shuffle the inputs of each column, and measure.

    Parameters
    ----------
    preprocessing : Preprocessing
        The columns.
    inputs : array of shape (n, width)
        The network's inputs.
    losses : callable
        Gives for inputs the loss, and the score with a minus: less is better in both.
    repeats : int
        How often each column is shuffled.
    seed : int
        Of the shuffles, which are the same for each column.

    Returns
    -------
    tuple of Importance
        The column that the model needs most is the first.
    """
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(len(inputs)) for _ in range(repeats)]
    before, work, start, found = np.asarray(losses(inputs)), inputs.copy(), 0, []
    for column in preprocessing.columns:
        own = slice(start, start + column.width)
        after = []
        for order in orders:
            work[:, own] = inputs[order, own]
            after.append(losses(work))
        work[:, own] = inputs[:, own]
        rise = np.asarray(after) - before
        (loss, score), (loss_std, score_std) = rise.mean(axis=0).tolist(), rise.std(axis=0).tolist()
        found.append(Importance(column.name, loss, loss_std, score, score_std))
        start = own.stop
    return tuple(sorted(found, key=lambda item: -item.loss))
