"""The file from which a step that gave a number that is not finite can be made again.

It holds the network before the step, what the optimizer remembered, and the batch: features, targets, weights and the
numbers of that step. Random draws are made again from the network's key and the number of the step.
"""

from __future__ import annotations

import copy
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlpx import divergence, persistence
from mlpx._typing import Array
from mlpx.backends import Backend, get_backend, to_numpy, trees
from mlpx.backends.host import StepKeys
from mlpx.divergence import Found, Place
from mlpx.exceptions import ModelFileError
from mlpx.files import Format
from mlpx.layers.base import at
from mlpx.optimizers import Optimizer
from mlpx.plan import Batch, Data, State, TrainingStep, rows
from mlpx.precision import MASTER, Scaling

__all__ = ["Autopsy", "Quantity", "Replay", "replay"]

AUTOPSY = Format("mlpx-autopsy", 1, "file of a step of mlpx")

_MOST_BYTES = 2**28
"""A file larger than this is written only where somebody asks for it."""


@dataclass(frozen=True, eq=False)
class Autopsy:
    """A step that went wrong, ready to be written.

    Parameters
    ----------
    description : dict
        The network, the optimizer, and where in training it was.
    tensors : dict of array
        Parameters, moments and the batch.
    """

    description: dict[str, Any]
    tensors: dict[str, Array]

    @classmethod
    def of(cls, found: Found, net: Any, *, steps: int, where: dict[str, Any]) -> Autopsy:
        """Return what is known of a step.

        Parameters
        ----------
        found : Found
            The step.
        net : Network
            The network, or the stack, that was trained.
        steps : int
            How many steps that member had made in all before.
        where : dict
            Epoch, step, rows and member, for whoever reads it.
        """
        step, member = found.making, found.member
        fixed, state, batch = (found.data, found.masks), found.state, found.batch
        one = copy.copy(net)
        if member is not None:
            one = net.member(where["member"])
            batches = trees.mapped(lambda leaf: leaf[None, ...], batch)
            fixed, state, batches = TrainingStep.part(fixed, state, batches, member)
            batch = trees.entry(batches, 0)
        one._set_vector(to_numpy(state.parameters))
        one.steps_seen = [steps]
        x, y, _ = rows(step.backend, fixed[0], batch.index)
        arrays = {"x": x, "y": y, "weight": batch.weight, "total": batch.total, "numbers": batch.numbers}
        kept = {name: np.array(to_numpy(array)) for name, array in arrays.items() if array is not None}
        for i, moment in enumerate(state.moments):
            kept[f"moments.{i}"] = np.array(to_numpy(moment))
        for i, leaf in enumerate(state.scaling):
            kept[f"scaling.{i}"] = np.array(to_numpy(leaf))
        kept["vector"] = np.array(to_numpy(state.parameters))
        description = {
            "model": persistence.describe(one),
            "optimizer": step.optimizer.to_config(),
            "frozen": step.frozen,
            "penalized": step.penalized,
            "clipped": step.clipped,
            "layer": found.place.layer,
            "quantity": found.place.quantity,
            "where": where,
        }
        return cls(description, kept)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it, for `mlpx.replay` and ``mlpx replay``; it holds rows of data, which other users shall not read."""
        AUTOPSY.write(path, self.description, self.tensors, private=True)

    def keep(self) -> Path | None:
        """Write it into the folder for temporary files, over an earlier one of this process; None where that fails."""
        if sum(array.nbytes for array in self.tensors.values()) > _MOST_BYTES:
            return None
        path = Path(tempfile.gettempdir()) / f"mlpx-step-{os.getpid()}.safetensors"
        try:
            self.save(path)
        except (OSError, ValueError):
            return None
        return path


class Quantity(NamedTuple):
    """A quantity of a step.

    Attributes
    ----------
    layer, name : str
        In words.
    largest : float
        The largest absolute value of those that are finite.
    not_finite : int
        How many numbers are not.
    size : int
        How many there are.
    """

    layer: str
    name: str
    largest: float
    not_finite: int
    size: int


@dataclass(frozen=True)
class Replay:
    """A step that was made again.

    Attributes
    ----------
    where : dict
        Epoch and step (from 1), rows of the training data, and the member of a stack or None.
    place : Place or None
        The first quantity that was not finite: `layer`, `quantity`, and the positions of its `rows` in the batch.
        None where this time all was finite.
    quantities : tuple of Quantity
        All that the step computes, in its order.
    stored : tuple of str
        Layer and quantity that the file names.
    """

    where: dict[str, Any]
    place: Place | None
    quantities: tuple[Quantity, ...]
    stored: tuple[str, str]

    @property
    def reproduced(self) -> bool:
        """Whether the quantity is that which the file names."""
        return self.place is not None and (self.place.layer, self.place.quantity) == self.stored

    @property
    def table(self) -> tuple[tuple[str, ...], ...]:
        """The quantities as cells, below a header."""
        rows = (
            (q.layer, q.name, "-" if math.isnan(q.largest) else f"{q.largest:.5g}", f"{q.not_finite} of {q.size}")
            for q in self.quantities
        )
        return ("layer", "quantity", "largest", "not finite"), *rows

    def __str__(self) -> str:
        """Return a table with a line for each quantity, and a sentence."""
        widths = [max(map(len, column)) for column in zip(*self.table, strict=True)]
        lines = (
            "   ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]) for first, *others in self.table
        )
        return "\n".join([*lines, "", self.sentence])

    @property
    def sentence(self) -> str:
        """What was found."""
        if self.place is None:
            return f"All is finite here; the file names the {self.stored[1]} of {self.stored[0]}."
        said = f"The first that is not finite is the {self.place.quantity} of {self.place.layer}"
        return f"{said}." if self.reproduced else f"{said}; the file names the {self.stored[1]} of {self.stored[0]}."


def replay(path: str | os.PathLike[str], backend: str | Backend | None = None, device: str | None = None) -> Replay:
    """Make the step again that a `mlpx.DivergenceError` wrote to a file.

    Parameters
    ----------
    path : str or path
        The file, ``error.path`` or what ``error.save`` wrote.
    backend : str or Backend, optional
        Where; see `mlpx.get_backend`.
    device : str, optional
        Such as ``"cuda:1"``.

    Returns
    -------
    Replay
        Every quantity of the step, and the first that is not finite.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ModelFileError
        For a file that is broken or of another kind.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> try:
    ...     net.fit([[1e3]], [1.0], epochs=100, optimizer=mlpx.SGD(10.0))
    ... except mlpx.DivergenceError as error:
    ...     found = mlpx.replay(error.path)
    >>> found.where["epoch"], found.place.quantity, found.reproduced
    (4, 'loss', True)
    """
    ops = get_backend(backend, device)
    with AUTOPSY.open(path) as contents:
        tensors = contents.read(contents.types)
        facts = contents.description
        try:
            step, masks, state, data, batch = _rebuilt(facts, tensors, ops)
            stored = str(facts["layer"]), str(facts["quantity"])
            where = dict(facts["where"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            msg = f"it does not describe a step ({type(error).__name__}: {error})."
            raise ModelFileError(msg) from error
    try:
        with ops.context(), np.errstate(all="ignore"):
            place, new = divergence.inspect(step, masks, state, data, batch, None)
            return Replay(where, place, tuple(_quantities(step, masks, state, new, data, batch)), stored)
    except (LookupError, TypeError, ValueError) as error:
        msg = f"{os.fspath(path)} describes a step that cannot be made ({type(error).__name__}: {error})."
        raise ModelFileError(msg) from error


def _rebuilt(
    facts: dict[str, Any], tensors: dict[str, Array], ops: Backend
) -> tuple[TrainingStep, tuple[Array, Array], State, Data, Batch]:
    """Return the step and what it is applied to."""
    net = persistence.build(facts["model"], ops)
    master, optimizer = MASTER[net.dtype_name], Optimizer.from_config(facts["optimizer"])
    x, y, vector = tensors["x"], tensors["y"], tensors["vector"]
    n, moments = x.shape[0], [tensors[f"moments.{i}"] for i in range(len(optimizer.moments))]
    output = net.architecture.output
    fits = x.ndim == 2 and x.shape[1] == net.architecture.widths[0] and vector.shape == (net.architecture.size,)
    fits = fits and y.shape in ((n,), (n, output.units)) and all(moment.shape == vector.shape for moment in moments)
    if not fits or net.members is not None:
        msg = "its arrays do not fit its network"
        raise ValueError(msg)
    with ops.context():
        ops.dtype(net.dtype_name)
        take = ops.asarray
        scaling = [take(tensors[f"scaling.{i}"]) for i in range(3)] if "scaling.0" in tensors else []
        state = State(
            take(vector, dtype=net.master_dtype),
            tuple(take(moment, dtype=net.master_dtype) for moment in moments),
            take(np.zeros(1)),
            Scaling(*scaling) if scaling else (),
        )
        masks = tuple(take(mask, dtype=net.master_dtype) for mask in net.architecture.masks())
        targets = take(y) if y.dtype.kind in "iu" else take(y, dtype=net.master_dtype)
        step = TrainingStep(
            ops, net.architecture, optimizer, (), *(bool(facts[n]) for n in ("frozen", "penalized", "clipped"))
        )
        draws = net.architecture.draw(ops, StepKeys([0], net.keys, net.steps_seen), n, net.dtype, stack=False)
        weight = take(tensors["weight"]) if "weight" in tensors else None
        numbers = take(tensors["numbers"].astype(master))
        batch = Batch(take(np.arange(n)), weight, take(tensors["total"]), numbers, draws, None)
        origin = None if y.dtype.kind in "iu" else targets[:1, ...]  # class indices have none
        return step, masks, state, Data(take(x, dtype=net.dtype), targets, origin), batch


def _quantities(
    step: TrainingStep, masks: tuple[Array, Array], state: State, new: State, data: Data, batch: Batch
) -> Iterator[Quantity]:
    """Yield all that a step computes, in its order."""
    ops, net = step.backend, step.architecture
    x, y, _ = rows(ops, data, batch.index)
    _, saved = net.forward(ops, state.parameters, x, training=True, draws=batch.draws)
    yield _quantity("the input", "features", x)
    for path in net.weighted:
        name = divergence.name_of(step, path)
        yield _quantity(name, "net input", at(saved, path).z)
        yield _quantity(name, "activation", at(saved, path).y)
    loss, y_hat, _, by_layer = step.gradient(x, y, masks[0], state, batch)
    yield _quantity("the output", "activation", y_hat)
    yield _quantity("the output", "loss", loss)
    for path in reversed(net.weighted):
        name, own = divergence.name_of(step, path), at(by_layer, path)
        yield _quantity(name, "error term", own.delta)
        yield _quantity(name, "gradient", own.theta)
    for segment in net.segments:
        part = slice(segment.start, segment.stop)
        yield _quantity(divergence.name_of(step, segment.layer), "parameter", new.parameters[..., part])


def _quantity(layer: str, name: str, value: Array) -> Quantity:
    numbers = np.abs(to_numpy(value).astype(np.float64))
    finite = np.isfinite(numbers)
    largest = float(numbers[finite].max()) if finite.any() else float("nan")
    return Quantity(layer, name, largest, int((~finite).sum()), numbers.size)
