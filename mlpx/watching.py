"""Whether training is finite: the last state that was, and what came of the steps after it where one is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from mlpx import divergence
from mlpx._typing import Array
from mlpx.autopsy import Autopsy
from mlpx.backends import Backend, trees
from mlpx.backends.host import xp as hxp
from mlpx.evaluation import Sample
from mlpx.exceptions import DivergenceError, SourceError
from mlpx.plan import Finite, State, compiled

__all__ = ["Mark", "Watch", "diagnosed"]

WATCHED = 1024
"""After so many steps of an epoch the sums of the loss are read, and the state is kept to come back to."""


class Mark(NamedTuple):
    """A state that was seen to be finite, and how many batches of the epoch had been made by then."""

    state: State
    done: int


class Watch:
    """Looks at states from time to time, and keeps a copy of the last that was finite.

    Parameters
    ----------
    ops : Backend
        Where they lie.
    state : State
        The first.
    on : bool
        Whether to look on the way.

    Attributes
    ----------
    mark : Mark
        The last finite state.
    sound : bool
        Whether to look on: not after some number was not finite, until a mark is set.
    """

    def __init__(self, ops: Backend, state: State, *, on: bool) -> None:
        self._ops, self.mark, self.sound = ops, Mark(state, 0), on

    def steps_left(self, done: int) -> int:
        """Return after how many more batches to look, when so many of the epoch have been made."""
        return WATCHED - done % WATCHED

    def is_time(self, done: int) -> bool:
        """Say whether to look: at the same steps of an epoch wherever it was interrupted."""
        return self.sound and done % WATCHED == 0

    def look(self, state: State, done: int) -> Array:
        """Say for each member whether its loss and weights are finite; set the mark where those of all are."""
        finite = self.are_finite(state)
        if hxp.all(finite):
            self.set_mark(state, done)
        else:
            self.sound = False
        return finite

    def are_finite(self, state: State) -> Array:
        """Say for each member whether its loss and weights are finite."""
        terms = self._ops.to_numpy(state.terms)
        losses = hxp.reshape(terms, (-1, terms.shape[-1]))[:, 0]
        return hxp.isfinite(losses) & self.finite(state.parameters, *state.moments)

    def set_mark(self, state: State, done: int) -> None:
        """Keep a copy of a state, over that of the last mark."""
        old = self.mark.state if self.mark.state is not state else None
        new = trees.leaves(state)
        places = [None] * len(new) if old is None else trees.leaves(old)
        self.mark, self.sound = Mark(trees.rebuilt(state, map(self._ops.copy, new, places)), done), True

    def finite(self, *vectors: Array) -> Array:
        """Say for each member whether vectors are finite, on the host."""
        return hxp.reshape(self._ops.to_numpy(compiled(Finite(self._ops))(vectors)), (-1,))


def diagnosed(run: Any, position: int, count: int, *, last: bool) -> DivergenceError:
    """Make the steps of a run from its mark on again, with checks, and return what happened to a member.

    Parameters
    ----------
    run : mlpx.training.Run
        The run, in the epoch in which it happened.
    position : int
        The member's among those that are left.
    count : int
        How many members diverged.
    last : bool
        Whether the run ends with it, so that a file is written.
    """
    mark, member = run._watch.mark, run.left[position]
    try:
        found = _found(run, mark, position)
    except SourceError as error:  # of what can be gone through once
        made = int(hxp.max(run._steps - run._epoch_steps))
        return divergence.unknown(run.epoch + 1, made, run.history, str(error))
    step = mark.done + found.step
    batch, _, after = next(steps for _, runs in run._windows(step - 1, most=1) for steps in runs)
    index = batch.index[0, ...]
    where = {
        "epoch": run.epoch + 1,
        "step": step,
        # those of a source have no numbers
        "rows": (index[position, :] if index.ndim == 2 else index)[found.place.rows].tolist()
        if isinstance(run._train, Sample)
        else [],
        "member": None if run.net.members is None else member,
    }
    before = run.net.steps_seen[member] + int(after[position if after.shape[0] > 1 else 0]) - 1
    return divergence.error(
        found,
        **where,
        mark=mark.done,
        best=run.settings.keep_best and bool(run._standing.epoch[member] > 0),
        count=count,
        net=run.net,
        history=run.history,
        path=_kept_step(found, run.net, before, where) if last else None,
    )


def _found(run: Any, mark: Mark, position: int) -> divergence.Found:
    ops = run.net.backend
    runs = ((data, trees.mapped(ops.asarray, steps)) for data, steps, *_ in run._runs(mark.done))
    batches = ((data, trees.entry(steps, i)) for data, steps in runs for i in range(trees.length(steps)))
    return divergence.find(run._step, run._masks, mark.state, batches, None if run.net.members is None else position)


def _kept_step(found: divergence.Found, net: Any, steps: int, where: dict[str, Any]) -> Path | None:
    """Write the file from which a step can be made again; None where that is not possible."""
    try:
        return Autopsy.of(found, net, steps=steps, where=where).keep()
    except ValueError:  # functions of the user's own
        return None
