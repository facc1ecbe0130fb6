"""How a model of a table is built and trained; what the user leaves open follows one rule for all tables.

The numbers were chosen by measurement on six public tables, for all of them at once and by other divisions of their
rows than results are measured with; see the guide's page "Tables" and ``benchmarks/tables.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlpx._checks import check_count, check_number
from mlpx.activations import Activation
from mlpx.layers.dropout import MOST_DROPPED
from mlpx.tables.requirements import plural

#: Adam's memory of squared gradients, shorter than the usual 0.999, for a training of few steps.
BETA_2 = 0.95
#: Pieces along a column of numbers, at most, and the training rows that there must be for each.
MOST_BINS, ROWS_PER_BIN = 32, 50
#: The greatest rate at so many rows a step as there are at most; it falls with the square root, as the noise grows.
LEARNING_RATE = 8e-3
#: Fewer training rows than this get narrower layers.
SMALL = 1000
#: Rows a step, at least and at most, and the steps of an epoch between these.
FEWEST_ROWS_A_STEP, MOST_ROWS_A_STEP, STEPS_AN_EPOCH = 16, 256, 32
#: Passes through a table of so many rows; through a quarter of the rows twice as many, between a least and a most.
EPOCHS, ROWS, FEWEST_EPOCHS, MOST_EPOCHS = 20, 16_000, 8, 40


@dataclass(frozen=True)
class Recipe:
    """What a model is built of and how it is trained.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    bins : int
        Pieces along a column of numbers.
    epochs, batch_size : int
        Passes through the rows, and rows a step.
    members : int
        Networks whose predictions are averaged.
    activation : str or Activation
        Of the hidden layers.
    learning_rate, weight_decay, l2, dropout, label_smoothing : float
        As for `mlpx.TabularModel`.
    class_weight : dict, "balanced" or None
        Weight by class.
    patience : int or None
        Epochs without a better validation loss.

    Raises
    ------
    ValueError, TypeError
        For an argument out of its range.
    """

    hidden: tuple[int, ...]
    bins: int
    epochs: int
    batch_size: int
    learning_rate: float
    members: int = 2
    activation: str | Activation = "mish"
    weight_decay: float = 0.01
    l2: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    class_weight: Mapping[Any, float] | str | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.hidden, str) or not isinstance(self.hidden, Iterable):
            msg = f"`hidden` must be a list of units, one number a hidden layer; got {self.hidden!r}"
            raise TypeError(msg)
        units = tuple(check_count(f"hidden[{i}]", size) for i, size in enumerate(self.hidden))
        object.__setattr__(self, "hidden", units)
        for name, least in (("bins", 0), ("epochs", 1), ("batch_size", 1), ("members", 1)):
            check_count(name, getattr(self, name), least=least)
        if self.patience is not None:
            check_count("patience", self.patience)
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("weight_decay", self.weight_decay, least=0)
        check_number("l2", self.l2, least=0)
        check_number("dropout", self.dropout, least=0, below=MOST_DROPPED)
        check_number("label_smoothing", self.label_smoothing, least=0, below=1)

    @classmethod
    def for_rows(cls, rows: int, **wishes: Any) -> Recipe:
        """Give the recipe for a number of training rows.

        Parameters
        ----------
        rows : int
            Number of training rows.
        **wishes
            Attributes that the user chose; those that are None are left to the rule.

        Returns
        -------
        Recipe

        Examples
        --------
        >>> from mlpx.tables.recipe import Recipe
        >>> chosen = Recipe.for_rows(16_000, epochs=5)
        >>> chosen.hidden, chosen.bins, chosen.epochs, chosen.batch_size
        ((128, 128), 32, 5, 256)
        """
        wish = wishes.get("batch_size")
        batch_size = _batch_size(rows) if wish is None else check_count("batch_size", wish)
        rule: dict[str, Any] = {
            "hidden": _hidden(rows),
            "bins": min(MOST_BINS, rows // ROWS_PER_BIN),
            "epochs": max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(EPOCHS * math.sqrt(ROWS / rows)))),
            "batch_size": batch_size,
            "learning_rate": LEARNING_RATE * math.sqrt(batch_size / MOST_ROWS_A_STEP),
        }
        return cls(**rule | {name: wish for name, wish in wishes.items() if wish is not None})

    def describe(self, outputs: int) -> str:
        """Tell in one line what is built and how it is trained.

        Parameters
        ----------
        outputs : int
            Units of the output.

        Returns
        -------
        str
        """
        units = " - ".join(str(size) for size in (*self.hidden, outputs))
        networks = "one network" if self.members == 1 else f"{self.members} networks, whose predictions are averaged"
        steps = f"{plural(self.epochs, 'epoch')}, {self.batch_size} rows a step, rate {self.learning_rate:.2g}"
        return f"{networks}: {units} units, {steps}"


def _hidden(rows: int) -> tuple[int, ...]:
    return (64, 64) if rows < SMALL else (128, 128)


def _batch_size(rows: int) -> int:
    """Choose the greatest power of two that leaves enough steps to an epoch."""
    return max(FEWEST_ROWS_A_STEP, min(MOST_ROWS_A_STEP, 1 << max(rows // STEPS_AN_EPOCH, 1).bit_length() - 1))
