"""Where a number that is not finite came from: steps are made again from the last finite state, with checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from mlpx._typing import Array
from mlpx.backends import to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.exceptions import DivergenceError
from mlpx.layers.base import at, named
from mlpx.plan import Batch, Data, State, TrainingStep, rows
from mlpx.precision import LEAST_SCALE

__all__ = ["Found", "Place", "error", "find", "inspect", "name_of", "unknown"]

_SHOWN = 8


class Place(NamedTuple):
    """The first quantity of a step that was not finite.

    Attributes
    ----------
    layer, quantity : str
        In words.
    rows : integer array
        Positions in the batch of the rows in which it was not; all of them where it belongs to none.
    scaled : bool
        Whether it is one that the loss scale of float16 multiplies.
    """

    layer: str
    quantity: str
    rows: Array
    scaled: bool = False


class Found(NamedTuple):
    """A step in which a quantity was not finite.

    Attributes
    ----------
    step : int
        Its number among those that were repeated, from 1.
    place : Place
        The quantity.
    making : TrainingStep
        The step as a function.
    masks, state, data, batch
        What it was applied to.
    member : int, optional
        Position in the stack of the member in question.
    """

    step: int
    place: Place
    making: TrainingStep
    masks: tuple[Array, Array]
    state: State
    data: Data
    batch: Batch
    member: int | None


def find(
    step: TrainingStep,
    masks: tuple[Array, Array],
    state: State,
    batches: Iterable[tuple[Data, Batch]],
    member: int | None,
) -> Found:
    """Repeat steps and return the first quantity that was not finite.

    Parameters
    ----------
    step : TrainingStep
        The step.
    masks
        Its masks.
    state : State
        The state before the steps.
    batches : iterable of (Data, Batch)
        One a step, with their data.
    member : int, optional
        Position in the stack of the member in question.
    """
    found = None
    for number, (data, batch) in enumerate(batches, 1):
        place, new = inspect(step, masks, state, data, batch, member)
        found = Found(number, place or _at_the_end(batch), step, masks, state, data, batch, member)
        if place is not None:
            break
        state = new
    assert found is not None, "an epoch has a step"
    return found


def _at_the_end(batch: Batch) -> Place:
    """Return what is said where no repeated step had a fault: a sum that was read in the end was not finite."""
    return Place("the output", "loss", hxp.arange(batch.index.shape[-1]))


def inspect(
    step: TrainingStep, masks: tuple[Array, Array], state: State, data: Data, batch: Batch, member: int | None
) -> tuple[Place | None, State]:
    """Make a step with checks; return the first quantity that is not finite, if one is, and the state after it."""
    new = step(data, masks, state, batch)
    place = _within(step, data, masks, state, batch, member, backward=_must_fit(step, new, member))
    return place or _after(step, new, batch, member), new


def _within(
    step: TrainingStep,
    data: Data,
    masks: tuple[Array, Array],
    state: State,
    batch: Batch,
    member: int | None,
    *,
    backward: bool,
) -> Place | None:
    ops, net = step.backend, step.architecture
    look = _Look(step, batch, member)
    x, y, _ = rows(ops, data, batch.index)
    _, saved = net.forward(ops, state.parameters, x, training=True, draws=batch.draws)
    for path in net.weighted:
        for quantity, value in (("net input", at(saved, path).z), ("activation", at(saved, path).y)):
            if not look.finite(value):
                return Place(name_of(step, path), quantity, look.rows(value))
    loss, y_hat, _, by_layer = step.gradient(x, y, masks[0], state, batch)
    for quantity, value in (("activation", y_hat), ("loss", loss)):
        if not look.finite(value):
            return Place("the output", quantity, look.rows(value if quantity == "activation" else None))
    for path in reversed(net.weighted) if backward else ():
        own = at(by_layer, path)
        for quantity, value in (("error term", own.delta), ("gradient", own.theta)):
            if not look.finite(value):
                by_row = value if quantity == "error term" else None
                return Place(name_of(step, path), quantity, look.rows(by_row), bool(state.scaling))
    return None


def _after(step: TrainingStep, new: State, batch: Batch, member: int | None) -> Place | None:
    """Look at the state after a step."""
    look = _Look(step, batch, member)
    for segment in step.architecture.segments:
        part = slice(segment.start, segment.stop)
        if not look.finite(new.parameters[..., part]):
            return Place(name_of(step, segment.layer), "parameter", look.rows(None))
        if not all(look.finite(moment[..., part]) for moment in new.moments):
            return Place(name_of(step, segment.layer), "moment", look.rows(None))
    return None


class _Look(NamedTuple):
    """What is looked at: the numbers of a member, or of a network that is alone."""

    step: TrainingStep
    batch: Batch
    member: int | None

    def finite(self, value: Array) -> bool:
        """Say whether all numbers are finite."""
        xp = self.step.backend.xp
        return bool(xp.all(xp.isfinite(value if self.member is None else value[self.member, ...])))

    def rows(self, value: Array | None) -> Array:
        """Return the positions of the rows with numbers that are not finite, of an array (..., B, M); None: of all."""
        if value is None:
            return hxp.arange(self.batch.index.shape[-1])
        own = to_numpy(value if self.member is None else value[self.member, ...])
        bad = ~hxp.all(hxp.isfinite(own), axis=-1)  # Maxout has an axis of pieces before that of the rows
        return hxp.nonzero(bad if bad.ndim == 1 else hxp.any(bad, axis=0))[0]


def _must_fit(step: TrainingStep, new: State, member: int | None) -> bool:
    """Say whether a gradient that is not finite is a fault: a loss scale that can still be lowered mends it."""
    if not new.scaling:
        return True
    scale = step.backend.to_numpy(new.scaling.scale)
    return bool(scale[0 if member is None else member, ...].min() < LEAST_SCALE)


def name_of(step: TrainingStep, path: str) -> str:
    """Return the layer at a path in words, such as ``layers[1].layers[0] (Dense)``."""
    return f"{named(path)} ({step.architecture.nodes[path].name})"


def error(
    found: Found,
    *,
    net: Any,
    epoch: int,
    step: int,
    rows: list[int],
    mark: int,
    best: bool,
    member: int | None,
    count: int,
    history: Any,
    path: Any = None,
) -> DivergenceError:
    """Return what happened, and what to do, as an error that can be raised.

    Parameters
    ----------
    found : Found
        The step.
    net : Network
        The network.
    epoch, step : int
        The epoch, and the step within it, from 1.
    rows : list of int
        Rows of the training data in which the quantity was not finite.
    mark : int
        Steps of the epoch that had been made when the state was last kept.
    best : bool
        Whether the weights of the best epoch stay.
    member : int, optional
        Whose it is, in a stack.
    count : int
        How many members diverged.
    history : History
        The epochs that were completed.
    path : Path, optional
        Where the step can be made again from.
    """
    place, whose = found.place, "" if member is None else f" of member {member}"
    others = f" ({count} members in all)" if count > 1 else ""
    since = f"step {mark + 1} of this epoch" if mark else "this epoch"
    kept = "The weights of the best epoch are kept." if best else f"The weights from before {since} are kept."
    scaled = " in float16, even with the least loss scale" if place.scaled else ""
    remedy = ', or take dtype="bfloat16"' if net.dtype_name == "float16" else ""
    again = f" `mlpx replay {path}` makes that step again." if path else ""
    message = (
        f"Training{whose}{others} diverged in epoch {epoch}, step {step}: the {place.quantity} of {place.layer} "
        f"is not finite{scaled}, {_rows(rows, found)}. Lower the learning rate, bound the gradient with `clip_norm`, "
        f"or scale the features{remedy}. {kept}{again}"
    )
    return DivergenceError(
        message,
        epoch=epoch,
        step=step,
        layer=place.layer,
        quantity=place.quantity,
        rows=rows,
        history=history,
        path=None if path is None else str(path),
    )


def unknown(epoch: int, step: int, history: Any, why: str) -> DivergenceError:
    """Return what is known where the steps cannot be made again: that they went wrong, by the step that is given."""
    message = (
        f"Training diverged in epoch {epoch}, by step {step}: the loss or the weights are not finite. Lower the "
        f"learning rate, bound the gradient with `clip_norm`, or scale the features. Where it began is not known: {why}"
    )
    return DivergenceError(message, epoch=epoch, step=step, layer="the output", quantity="loss", history=history)


def _rows(rows: list[int], found: Found) -> str:
    """Return which rows it was in, in words."""
    if not rows:
        return f"in a batch of {found.batch.index.shape[-1]} rows"
    size, more = found.batch.index.shape[-1], len(rows) - _SHOWN
    if len(rows) == size > 1:
        return f"in a batch of {size} rows, the first of them row {rows[0]}"
    shown = ", ".join(map(str, rows[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
    return f"in row{'s' if len(rows) > 1 else ''} {shown}"
