"""What the estimators draw, from a `numpy.random.RandomState` and in the order in which scikit-learn draws it.

First the parameters, layer by layer, then the validation split, then an order of the rows for each epoch. Where there
is dropout, a seed for its masks is drawn after the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from mlpx._typing import Array
from mlpx.data import Rows, padded

__all__ = ["Shuffles", "Stream", "initial_parameters", "split"]


def initial_parameters(
    units: Sequence[int], factors: Sequence[float], dtype: Any, random: Any
) -> tuple[list[Array], list[Array]]:
    """Return coefficients and intercepts, uniform within ``sqrt(factor / (fan_in + fan_out))``.

    Parameters
    ----------
    units : sequence of int
        Units of the input and of each layer.
    factors : sequence of float
        One a layer; Glorot's is 6.
    dtype : dtype
        What they are cast to.
    random : RandomState
        What they are drawn from.
    """
    coefs, intercepts = [], []
    for (fan_in, fan_out), factor in zip(pairwise(units), factors, strict=True):
        bound = math.sqrt(factor / (fan_in + fan_out))
        coefs.append(random.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False))
        intercepts.append(random.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
    return coefs, intercepts


def split(rows: Array, fraction: float, labels: Array | None, random: Any) -> tuple[Array, Array]:
    """Return training and validation rows, as `train_test_split` draws them; `labels` are those to stratify by."""
    train, held_out = train_test_split(rows, random_state=random, test_size=fraction, stratify=labels)
    if held_out.shape[0] < 2:
        msg = "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        raise ValueError(msg)
    return train, held_out


class Stream(NamedTuple):
    """Where the orders of one data set come from.

    Attributes
    ----------
    random : RandomState
        The generator.
    rows : array of shape (n,)
        The rows before the first epoch.
    """

    random: Any
    rows: Array

    def place(self) -> Hashable:
        """Return what tells streams with other orders from this one."""
        _, key, *rest = self.random.get_state(legacy=True)
        return self.rows.tobytes(), key.tobytes(), *rest


class Shuffles:
    """The order of the rows: each epoch shuffles that of the epoch before, as scikit-learn does.

    Members whose generators stand at the same place see the same order; it is drawn once.

    Parameters
    ----------
    streams : sequence of Stream
        One a member.
    shuffle : bool
        Whether to draw at all.
    stack : bool
        Whether there is a stack.
    """

    ahead = False
    resumable = False

    def __init__(self, streams: Sequence[Stream], *, shuffle: bool, stack: bool) -> None:
        positions: dict[Hashable, int] = {}
        self._of = [positions.setdefault(stream.place(), len(positions)) for stream in streams]
        self._distinct = [streams[self._of.index(i)] for i in range(len(positions))]
        self._rows = [stream.rows for stream in self._distinct]
        self._shuffle, self._stack = shuffle, stack

    def rows(self) -> Rows:
        """Return the rows before the first epoch."""
        return self._listed([*range(len(self._of))])

    def _listed(self, members: Sequence[int]) -> Rows:
        used = [self._of[member] for member in members]
        if len(set(used)) == 1:
            own = self._rows[used[0]]
            return Rows(own, np.asarray(own.shape[0]))
        return padded([self._rows[i] for i in used])

    def __call__(self, rows: Rows, members: Array, epoch: int) -> Rows:
        """Return the rows of the members in the order of an epoch."""
        if self._shuffle:
            for i in {self._of[member] for member in members.tolist()}:
                order = self._rows[i].copy()  # the device may still be reading the last one
                self._distinct[i].random.shuffle(order)
                self._rows[i] = order
        return self._listed(members.tolist())
