"""Going on after an interruption: what a run was asked for, its state between two steps, and how that is put back.

Part of `mlpx.training.Run`, whose fields are read and written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mlpx import snapshots
from mlpx._checks import check_count, check_flag, check_number
from mlpx._typing import Array
from mlpx.backends import trees
from mlpx.backends.host import xp as hxp
from mlpx.exceptions import ModelFileError
from mlpx.plan import State
from mlpx.snapshots import Snapshot
from mlpx.stopping import Standing
from mlpx.watching import Mark

__all__ = ["asked", "check", "put_back", "taken"]


# What was asked for.


def asked(run: Any) -> dict[str, Any]:
    """Return what a run was asked for: only one that was asked for the same may go on from it.

    More epochs may be asked for where the learning rate does not depend on their number.
    """
    net, settings = run.net, run.settings
    if not settings.order.resumable:
        msg = "Checkpoints are for Network.fit: they do not hold the random stream of a scikit-learn estimator."
        raise ValueError(msg)
    return snapshots.plain(  # type: ignore[no-any-return]
        {
            "layers": [layer.to_config() for layer in net.layers],
            "loss": net.loss.to_config(),
            "l2": net.l2,
            "dtype": net.dtype_name,
            "members": net.members,
            "seeds": net.keys,
            "epochs before": net.epochs_seen,
            "steps before": net.steps_seen,
            "optimizer": settings.optimizer.to_config(),
            "epochs": None if settings.optimizer.constant else settings.epochs,
            "batch_size": settings.batch_size,
            "clip_norm": settings.clip_norm,
            "shuffle": getattr(settings.order, "shuffle", None),
            "shared_order": getattr(settings.order, "shared", None),
            "monitor": settings.monitor,
            "metrics": [metric.name for metric in settings.metrics],
            "patience": getattr(settings.stopping, "epochs", None),
            "keep_best": settings.keep_best,
            "rows": run._train.rows.count.tolist(),
            "validation rows": None if run._validation is None else run._validation.samples,
            snapshots.CHECKSUM: snapshots.checksum(run.fetch(run.first_rows(256))),
        }
    )


def check(run: Any, snapshot: Snapshot) -> None:
    """Refuse a snapshot of a run that was asked for something else."""
    found = snapshots.differences(run.asked, snapshot.facts.get("asked"))
    if found:
        msg = f"it is of a run that was asked for something else: {'; '.join(found)}. Ask for the same again."
        raise ModelFileError(msg)
    done = snapshot.facts.get("epoch")
    if isinstance(done, int) and done > run.epochs:
        msg = f"it is of a run that has made {done} epochs, and `epochs` asks for {run.epochs}. Ask for as many."
        raise ModelFileError(msg)


# The state between two steps.


def taken(run: Any) -> Snapshot:
    """Return all that is needed to go on from here."""
    history = run.history
    callbacks, arrays = snapshots.callback_states(run.callbacks)
    facts = {
        "asked": run.asked,
        "epoch": run.epoch,
        "done": run._done,
        "made_before": run._made_before,
        "diverged": run._diverged,
        "stopped": run._stop_asked and not run._may_go_on,
        "epochs_seen": list(run.net.epochs_seen),
        "seconds": run.seconds,
        "columns": list(history),
        "callbacks": callbacks,
        "finished": sorted(run._finished),
        "marked": run._watch.mark.done,
    }
    present = (run._alive, run._steps, run._epoch_steps, hxp.asarray(run._weight), run._batches.rate)
    tensors = {
        **snapshots.packed("state", run._state),
        **snapshots.packed("schedule", run._schedule_state),
        **snapshots.packed("present", present),
        **snapshots.packed("standing", run._standing),
        **snapshots.packed("best", run._best),
        **snapshots.packed("scaling", run._scaling),
        **snapshots.packed("averaged", run.averaged),
        # between two epochs the mark is set anew
        **(snapshots.packed("mark", run._watch.mark.state) if run._done and run.settings.finite else {}),
        **snapshots.packed("finished", tuple(run._finished[member] for member in sorted(run._finished))),
        **{f"history.{i}": hxp.asarray(history[name], dtype=hxp.float64) for i, name in enumerate(history)},
        **arrays,
    }
    return Snapshot(facts, tensors)


class _Restored(NamedTuple):
    """What a snapshot holds, checked."""

    alive: Array
    state: State
    mark: Mark | None
    schedule: Any
    steps: tuple[Array, Array]
    weight: Array
    rate: Array
    standing: Standing
    best: Array
    scaling: Array
    averaged: Array | None
    finished: dict[int, Array]
    counts: tuple[int, int, int, int]
    stopped: bool
    epochs_seen: list[int]
    rows: list[dict[str, Any]]
    seconds: float


def put_back(run: Any, snapshot: Snapshot) -> None:
    """Put everything back as it was; where that fails nothing but callbacks has changed."""
    facts, tensors = snapshot
    try:
        found = _checked(run, facts, tensors)
        snapshots.restore_callbacks(run.callbacks, facts["callbacks"], tensors)
    except ModelFileError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        msg = f"The checkpoint to go on from is no whole one ({type(error).__name__}: {error})."
        raise ModelFileError(msg) from error
    _assign(run, found)


def _assign(run: Any, found: _Restored) -> None:
    take = run.net.backend.asarray
    run._keep(found.alive)
    run._state, run._schedule_state = trees.mapped(take, found.state), found.schedule
    if found.mark is not None:
        run._watch.mark = found.mark._replace(state=trees.mapped(take, found.mark.state))
    run._steps, run._epoch_steps = found.steps
    run._weight, run._batches.rate = found.weight, found.rate
    run._standing, run._best, run._scaling = found.standing, take(found.best), found.scaling
    run.averaged = None if found.averaged is None else take(found.averaged)
    run._finished = {member: take(vector) for member, vector in found.finished.items()}
    run.epoch, run._done, run._made_before, run._diverged = found.counts
    run._stop_asked, run.net.epochs_seen = found.stopped, found.epochs_seen
    for row in found.rows:
        run.row = row
        run.history.append(row)
    run.history.seconds = found.seconds
    if run._state.scaling:
        run._report_scaling()


def _checked(run: Any, facts: dict[str, Any], tensors: dict[str, Array]) -> _Restored:
    """Return what a snapshot holds; refuse what does not fit the run."""
    members, axes = run._members, 0 if run.net.members is None else 1
    alive = _array(tensors, "present.0", "int64")
    finished = [check_count("finished", member, least=0) for member in facts["finished"]]
    if sorted([*alive.tolist(), *finished]) != list(range(members)) or alive.tolist() != sorted(alive.tolist()):
        msg = f"it tells of the members {alive.tolist()} and {finished}, of {members}"
        raise ValueError(msg)
    state = snapshots.unpacked("state", run._state, tensors, axes=axes)
    best = snapshots.unpacked("best", run._best, tensors, axes=axes)
    schedule = snapshots.unpacked("schedule", run._schedule_state, tensors, axes=1)
    left = alive.shape[0] or state.parameters.shape[0]  # when the last leave, their state stays
    mark = None
    if "mark.0" in tensors:
        marked = min(check_count("marked", facts["marked"], least=0), facts["done"])
        mark = Mark(snapshots.unpacked("mark", run._state, tensors, axes=axes), marked)
    if axes and any(leaf.shape[0] != left for leaf in trees.leaves((state, best, mark and mark.state))):
        msg = f"its arrays are not those of {left} members"
        raise ValueError(msg)
    if any(leaf.shape not in ((), (1,), (members,)) for leaf in trees.leaves(schedule)):
        msg = f"the state of its schedule is not that of {members} members"
        raise ValueError(msg)
    counts = (check_count(name, facts[name], least=0) for name in ("epoch", "done", "made_before", "diverged"))
    epoch, done, made_before, diverged = counts
    vector, one = state.parameters, state.parameters.shape[axes:]
    steps = [_array(tensors, f"present.{i}", "int64", (1,), (members,)) for i in (1, 2)]
    averaged = _array(tensors, "averaged.0", str(vector.dtype), vector.shape) if "averaged.0" in tensors else None
    left_before = {m: _array(tensors, f"finished.{i}", str(vector.dtype), one) for i, m in enumerate(finished)}
    if run.settings.finite:
        marks = [state] if mark is None else [state, mark.state]
        kept = [leaf for one_state in marks for leaf in (one_state.parameters, *one_state.moments)]
        _check_finite([*kept, best, averaged, *left_before.values()])
    return _Restored(
        alive=alive,
        state=state,
        mark=mark,
        schedule=schedule,
        steps=(steps[0], steps[1]),
        weight=_array(tensors, "present.3", "float64", (), (left,)),
        rate=_array(tensors, "present.4", "float64", (), (1,), (members,)),
        standing=snapshots.unpacked("standing", run._standing, tensors),
        best=best,
        scaling=_array(tensors, "scaling.0", "float64", (2, members)),
        averaged=averaged,
        finished=left_before,
        counts=(epoch, done, made_before, diverged),
        stopped=check_flag("stopped", facts["stopped"]),
        epochs_seen=_counts(facts["epochs_seen"], members),
        rows=list(_rows(facts["columns"], tensors, (epoch, members) if axes else (epoch,))),
        seconds=check_number("seconds", facts["seconds"], least=0, most=1e12),
    )


def _array(tensors: dict[str, Array], name: str, dtype: str, *shapes: tuple[int, ...]) -> Array:
    """Return an array of one of some shapes, or else with one axis."""
    found = tensors[name]
    if str(found.dtype) != dtype or (found.shape not in shapes if shapes else found.ndim != 1):
        msg = f"{name} is {found.dtype}{list(found.shape)}"
        raise ValueError(msg)
    return found


def _check_finite(vectors: Iterable[Array | None]) -> None:
    """Refuse weights and moments that no sound run has."""
    if not all(hxp.all(hxp.isfinite(vector)) for vector in vectors if vector is not None):
        msg = "some of its weights or moments are not finite"
        raise ValueError(msg)


def _counts(values: Any, members: int) -> list[int]:
    """Return counters, one a member."""
    found = [check_count("epochs_seen", value, least=0) for value in values]
    if len(found) != members:
        msg = f"it counts the epochs of {len(found)} members, of {members}"
        raise ValueError(msg)
    return found


def _rows(columns: Any, tensors: dict[str, Array], shape: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the history."""
    found = [_array(tensors, f"history.{i}", "float64", shape).tolist() for i in range(len(columns))]
    for values in zip(*found, strict=True):
        yield dict(zip(columns, values, strict=True))
