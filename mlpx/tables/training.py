"""The network of a table, and its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx.exceptions import DivergenceError
from mlpx.layers import Embedding
from mlpx.mlp import MLP
from mlpx.model import Network
from mlpx.optimizers import AdamW
from mlpx.schedules import OneCycle
from mlpx.tables.recipe import BETA_2, Recipe
from mlpx.tables.requirements import named
from mlpx.tables.targets import ClassTarget, Target
from mlpx.tables.values import text_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mlpx.history import History
    from mlpx.tables.preprocessing import Preprocessing
    from mlpx.tables.splits import Split

#: Rows that an error names.
MOST_ROWS = 8


@dataclass(frozen=True, eq=False)
class Training:
    """What a model learns from, and how.

    Attributes
    ----------
    frame : pandas.DataFrame
        The rows that have a target.
    split : mlpx.tables.splits.Split
        Which of them train, validate and test.
    recipe : mlpx.tables.recipe.Recipe
        Layers, epochs, rates.
    preprocessing : Preprocessing
        What the columns become.
    """

    frame: pd.DataFrame
    split: Split
    recipe: Recipe
    preprocessing: Preprocessing


def build_network(preprocessing: Preprocessing, recipe: Recipe, **where: Any) -> Network:
    """Give the network for the columns: vectors for categories where there are many, then layers of one shape.

    Parameters
    ----------
    preprocessing : Preprocessing
        The columns and the target.
    recipe : Recipe
        Units, activation, dropout, members.
    **where
        Seed, dtype, backend and device, as for `Network`.

    Returns
    -------
    Network
        A stack where there is more than one member.
    """
    width, tables = preprocessing.width, preprocessing.embeddings
    first = [Embedding(width, tables)] if tables else []
    layers = MLP(
        [first[0].fan_out if first else width, *recipe.hidden, preprocessing.target.width],
        activation=recipe.activation,
        output="softmax" if isinstance(preprocessing.target, ClassTarget) else "linear",
        dropout=recipe.dropout,
    ).layers
    members = None if recipe.members == 1 else recipe.members
    return Network([*first, *layers], l2=recipe.l2, members=members, **where)


def train_network(
    net: Network,
    preprocessing: Preprocessing,
    recipe: Recipe,
    frame: pd.DataFrame,
    split: Split,
    **options: Any,
) -> History:
    """Train on the rows of a table, and let the file and its reader know the columns and classes.

    Parameters
    ----------
    net : Network
        From `build_network`.
    preprocessing : Preprocessing
        The columns and the target.
    recipe : Recipe
        Epochs, batch size, rates.
    frame : pandas.DataFrame
        The table.
    split : Split
        Its rows that train and validate.
    **options
        Further arguments of `Network.fit`.

    Returns
    -------
    History
    """
    target = preprocessing.target

    def sample(rows: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[Any]]:
        part = frame.iloc[rows]
        return preprocessing.transform(part, dtype=net.master_dtype_name, note=str), _numbers(target, part)

    net.preprocessing = preprocessing.to_dict()
    try:
        return net.fit(
            *sample(split.train),
            validation=sample(split.validation) if len(split.validation) else None,
            epochs=recipe.epochs,
            batch_size=min(recipe.batch_size, len(split.train)),
            optimizer=AdamW(OneCycle(recipe.learning_rate), beta_2=BETA_2, weight_decay=recipe.weight_decay),
            patience=recipe.patience,
            metrics=("accuracy",) if isinstance(target, ClassTarget) else ("r2",),
            class_weight=class_weights(recipe.class_weight, target),
            label_smoothing=recipe.label_smoothing if isinstance(target, ClassTarget) else 0.0,
            shared_order=net.members is not None,
            **options,
        )
    finally:
        net.classes = target.classes if isinstance(target, ClassTarget) else None


def _numbers(target: Target, frame: pd.DataFrame) -> NDArray[Any]:
    """Give the number of each row's class, or the standardised numbers."""
    values = target.encode(frame[target.name])
    if not isinstance(target, ClassTarget):
        return values
    return np.searchsorted(np.asarray(target.classes), values)  # the classes are sorted


def diverged(error: DivergenceError, rows: NDArray[np.intp], recipe: Recipe, *, kept: bool) -> DivergenceError:
    """Give the error of a network as one of its table.

    Parameters
    ----------
    error : DivergenceError
        Its rows are counted among the training rows.
    rows : integer array
        Positions of the training rows in the table.
    recipe : Recipe
        What was tried.
    kept : bool
        Whether there is a model of the epochs before.

    Returns
    -------
    DivergenceError
        Its rows are positions in the table.
    """
    where = f"in epoch {error.epoch}, step {error.step}: the {error.quantity} of {error.layer} is not finite"
    found = rows[error.rows].tolist()
    held = f" (rows {', '.join(map(str, found[:MOST_ROWS]))}{', …' if len(found) > MOST_ROWS else ''})" if found else ""
    remedy = f"lower `learning_rate`, which was {recipe.learning_rate:.2g}"
    stays = "the model is that of the epochs before" if kept else "nothing of this fit is kept"
    again = f"; `mlpx replay {error.path}` makes that step again" if error.path else ""
    return DivergenceError(
        f"training diverged {where}{held}; {remedy}; {stays}{again}",
        epoch=error.epoch,
        step=error.step,
        layer=error.layer,
        quantity=error.quantity,
        rows=found,
        history=error.history,
        path=error.path,
    )


def class_weights(weights: Mapping[Any, float] | str | None, target: Target) -> dict[int, float] | str | None:
    """Give the weights by the number of the class, of which a user knows the label.

    Parameters
    ----------
    weights : dict, "balanced" or None
        By label; a class that is not named weighs 1.
    target : ClassTarget or NumberTarget
        What is predicted.

    Returns
    -------
    dict, "balanced" or None

    Raises
    ------
    ValueError
        For a regression, or a label that training did not have.
    """
    if weights is None:
        return None
    if not isinstance(target, ClassTarget):
        msg = f"`class_weight` is for classification; predicting `{target.name}` is a regression; leave it out"
        raise ValueError(msg)
    if isinstance(weights, str):
        return weights
    by_text = {text_of(label): weight for label, weight in weights.items()}
    unknown = [label for label in by_text if label not in target.classes]
    if unknown:
        known = f"which are {named(target.classes)}"
        msg = f"`class_weight` must name classes of `{target.name}`, {known}; got {named(unknown)}"
        raise ValueError(msg)
    return {target.classes.index(label): weight for label, weight in by_text.items()}
