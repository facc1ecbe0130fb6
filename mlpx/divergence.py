"""Where a number that is not finite came from: the steps of an epoch are made again, with checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from mlpx._typing import Array
from mlpx.layers.base import at, named
from mlpx.plan import Batch, Data, State, TrainingStep, rows
from mlpx.precision import LEAST_SCALE

__all__ = ["Place", "find"]


class Place(NamedTuple):
    """The first quantity that was not finite.

    Attributes
    ----------
    step : int
        Step within the epoch, from 1.
    layer, quantity : str
        In words.
    scaled : bool
        Whether it is one that the loss scale of float16 multiplies.
    """

    step: int
    layer: str
    quantity: str
    scaled: bool = False

    def message(self, epoch: int, *, half: bool, best: bool, member: int | None, count: int) -> str:
        """Return what happened, and what to do, in words.

        Parameters
        ----------
        epoch : int
            The epoch, from 1.
        half : bool
            Whether the network computes in float16.
        best : bool
            Whether the weights of the best epoch stay.
        member : int, optional
            Whose it is, in a stack.
        count : int
            How many members diverged in that epoch.
        """
        whose = "" if member is None else f" of member {member}"
        others = f" ({count} members in all)" if count > 1 else ""
        kept = "The weights of the best epoch are kept." if best else "The weights from before this epoch are kept."
        scaled = " in float16, even with the least loss scale" if self.scaled else ""
        remedy = ', or take dtype="bfloat16"' if half else ""
        return (
            f"Training{whose}{others} diverged in epoch {epoch}, step {self.step}: the {self.quantity} of {self.layer} "
            f"is not finite{scaled}. Lower the learning rate, bound the gradient with `clip_norm`, or scale the "
            f"features{remedy}. {kept}"
        )


def find(
    step: TrainingStep,
    masks: tuple[Array, Array],
    state: State,
    batches: Iterable[tuple[Data, Batch]],
    member: int | None,
) -> Place:
    """Repeat the steps of an epoch and return the first place that was not finite.

    Parameters
    ----------
    step : TrainingStep
        The step.
    masks
        Its masks.
    state : State
        The state before the epoch.
    batches : iterable of (Data, Batch)
        Those of the epoch, one a step, with their data.
    member : int, optional
        Position in the stack of the member in question.
    """
    number = 0
    for number, (data, batch) in enumerate(batches, 1):
        new = step(data, masks, state, batch)
        bad = _inspect(step, data, masks, state, batch, member, backward=_must_fit(step, new, member))
        if bad is not None:
            return Place(number, *bad)
        state = new
        for segment in step.architecture.segments:
            if not _finite(step, state.parameters[..., segment.start : segment.stop], member):
                return Place(number, _name(step, segment.layer), "parameter")
            if not all(_finite(step, moment[..., segment.start : segment.stop], member) for moment in state.moments):
                return Place(number, _name(step, segment.layer), "moment")
    return Place(number, "the output", "loss")


def _inspect(
    step: TrainingStep,
    data: Data,
    masks: tuple[Array, Array],
    state: State,
    batch: Batch,
    member: int | None,
    *,
    backward: bool,
) -> tuple[str, str, bool] | None:
    ops, net = step.backend, step.architecture
    x, y, _ = rows(ops, data, batch.index)
    _, saved = net.forward(ops, state.parameters, x, training=True, draws=batch.draws)
    for path in net.weighted:
        for quantity, value in (("net input", at(saved, path).z), ("activation", at(saved, path).y)):
            if not _finite(step, value, member):
                return _name(step, path), quantity, False
    loss, y_hat, _, by_layer = step.gradient(x, y, masks[0], state, batch)
    for quantity, value in (("activation", y_hat), ("loss", loss)):
        if not _finite(step, value, member):
            return "the output", quantity, False
    for path in reversed(net.weighted) if backward else ():
        own = at(by_layer, path)
        for quantity, value in (("error term", own.delta), ("gradient", own.theta)):
            if not _finite(step, value, member):
                return _name(step, path), quantity, bool(state.scaling)
    return None


def _must_fit(step: TrainingStep, new: State, member: int | None) -> bool:
    """Say whether a gradient that is not finite is a fault: a loss scale that can still be lowered mends it."""
    if not new.scaling:
        return True
    scale = step.backend.to_numpy(new.scaling.scale)
    return bool(scale[0 if member is None else member, ...].min() < LEAST_SCALE)


def _finite(step: TrainingStep, value: Any, member: int | None) -> bool:
    if member is not None:
        value = value[member, ...]
    return bool(step.backend.xp.all(step.backend.xp.isfinite(value)))


def _name(step: TrainingStep, path: str) -> str:
    """Return the layer at a path in words, such as ``layers[1].layers[0] (Dense)``."""
    return f"{named(path)} ({step.architecture.nodes[path].name})"
