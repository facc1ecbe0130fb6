"""A linear model of the same columns: logistic regression, or regression by least squares."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx.exceptions import DivergenceError
from mlpx.tables.columns import Column, NumberColumn
from mlpx.tables.recipe import Recipe
from mlpx.tables.splits import Split
from mlpx.tables.training import Training, build_network, train_network

if TYPE_CHECKING:
    from mlpx.model import Network
    from mlpx.tables.preprocessing import Preprocessing

Linear = tuple["Network", "Preprocessing"]
#: So many rows are seen, in so many passes at least and at most, at a greatest rate that hidden layers would not bear:
#: it ends where scikit-learn's solvers do, to 0.002 of accuracy or R2 on five tables of hundreds of rows and more.
ROWS_SEEN, FEWEST_EPOCHS, MOST_EPOCHS, LEARNING_RATE = 800_000, 8, 240, 0.1


def train_linear(training: Training, **where: Any) -> Linear | None:
    """Train a network without hidden layers, with one weight a column of numbers, on the rows that the model had.

    Those that chose the model's best epoch are among them: a line needs no such choice. The numbers are taken clipped
    smoothly, as the model takes them, and as they are; what fits the rows better stays.

    Parameters
    ----------
    training : Training
        What the model was trained with.
    **where
        Seed and backend, as for `Network`.

    Returns
    -------
    tuple of Network and Preprocessing, or None
        Softmax or identity of one layer, and its columns; None where it cannot be trained.
    """
    found: list[tuple[float, Linear]] = []
    for clipped in (True, False):
        columns = tuple(_straight(column, clipped=clipped) for column in training.preprocessing.columns)
        if not found or columns != found[0][1][1].columns:
            try:
                found.append(_train(training, replace(training.preprocessing, columns=columns), where))
            except (DivergenceError, ValueError):  # numbers that are not clipped may be too large
                continue
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _straight(column: Column, *, clipped: bool) -> Column:
    if not isinstance(column, NumberColumn):
        return column
    return replace(column, knots=(), clip=column.clip if clipped else None)


def _train(training: Training, preprocessing: Preprocessing, where: dict[str, Any]) -> tuple[float, Linear]:
    """Give the loss in the end, and what was trained."""
    known = Split(np.union1d(training.split.train, training.split.validation), training.split.test)
    rows = len(known.train)
    recipe = Recipe.for_rows(
        rows,
        hidden=(),
        members=1,
        epochs=max(FEWEST_EPOCHS, min(MOST_EPOCHS, ROWS_SEEN // rows)),
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
        l2=1 / rows,  # a standard normal distribution of the weights, as scikit-learn's C = 1
        class_weight=training.recipe.class_weight,
    )
    net = build_network(preprocessing, recipe, **where)
    history = train_network(net, preprocessing, recipe, training.frame, known, progress=False)
    if history.interrupted:
        raise KeyboardInterrupt  # it is no model that is worth keeping
    return float(history["loss"][-1]), (net, preprocessing)
