"""Snapshots: all that a run needs in order to go on where it was, as tensors and as what JSON can hold."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from mlpx._typing import Array
from mlpx.backends import to_numpy, trees
from mlpx.callbacks.base import Callback
from mlpx.exceptions import ModelFileError

__all__ = ["Snapshot", "callback_states", "checksum", "differences", "packed", "plain", "restore_callbacks", "unpacked"]

CHECKSUM = "first rows"
"""The entry of what was asked for that is a `checksum`, of which the number says nothing to a reader."""


class Snapshot(NamedTuple):
    """A run at a moment between two steps.

    Attributes
    ----------
    facts : dict
        What JSON can hold; ``"asked"`` is what the run was asked for.
    tensors : dict of NumPy array
        By name.
    """

    facts: dict[str, Any]
    tensors: dict[str, Array]


def packed(name: str, tree: Any) -> dict[str, Array]:
    """Return the leaves of a tree as host arrays by name."""
    return {f"{name}.{i}": np.array(to_numpy(leaf)) for i, leaf in enumerate(trees.leaves(tree))}


def unpacked(name: str, like: Any, tensors: Mapping[str, Array], *, axes: int = 0) -> Any:
    """Return a tree of host arrays as `packed` had it; all but the first `axes` of their axes must fit `like`."""
    leaves = []
    for i, leaf in enumerate(trees.leaves(like)):
        found, wanted = tensors.get(f"{name}.{i}"), to_numpy(leaf)
        if found is None or found.dtype != wanted.dtype or found.shape[axes:] != wanted.shape[axes:]:
            came = "nothing" if found is None else f"{found.dtype}{list(found.shape)}"
            has = f"{wanted.dtype}{list(wanted.shape)}"
            msg = f"The checkpoint to go on from has {came} as {name}.{i}, where this run has {has}."
            raise ModelFileError(msg)
        leaves.append(found)
    return trees.rebuilt(like, iter(leaves))


# What was asked for.


def plain(value: Any) -> Any:
    """Return a value as JSON gives it back; a function is known by its name."""

    def named(other: Any) -> str:
        return str(getattr(other, "__qualname__", type(other).__qualname__))

    return json.loads(json.dumps(value, default=named))


def checksum(arrays: Iterable[Array | None]) -> int:
    """Return a number that tells these arrays from others."""
    found = 0
    for array in arrays:
        if array is not None:
            found = zlib.crc32(np.ascontiguousarray(to_numpy(array)).tobytes(), found)
    return found


def differences(asked: Mapping[str, Any], stored: Any) -> list[str]:
    """Return in words where what is asked for differs from what a snapshot says."""
    if not isinstance(stored, Mapping):
        return ["it does not say what was asked for"]
    names = [name for name in {**asked, **stored} if asked.get(name) != stored.get(name)]
    return [next(_differing(name, stored.get(name), asked.get(name))) for name in names]


def _differing(place: str, was: Any, now: Any) -> Iterator[str]:
    """Yield where two values of JSON differ: in an entry of a mapping, at a place of a list, or altogether."""
    if was == now:
        return
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in {**now, **was}:
            yield from _differing(f"{place}.{name}", was.get(name), now.get(name))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for i, (before, after) in enumerate(zip(was, now, strict=True)):
            yield from _differing(f"{place}[{i}]", before, after)
    elif isinstance(was, list) and isinstance(now, list) and any(isinstance(part, Mapping) for part in was):
        yield f"{place} were {len(was)} and are {len(now)}"
    elif place == CHECKSUM:
        yield f"the {place} of training are others"
    else:
        yield f"{place} was {_short(was)} and is {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# Callbacks.


def callback_states(callbacks: Iterable[Callback]) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Return the states of callbacks: what JSON can hold as a list, and the arrays by name."""
    facts, tensors = [], {}
    for i, callback in enumerate(callbacks):
        state = _checked(callback)
        arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
        tensors.update({f"callback.{i}.{key}": np.array(value) for key, value in arrays.items()})
        rest = {key: _finite(value) for key, value in state.items() if key not in arrays}
        facts.append({"class": type(callback).__qualname__, "state": rest, "arrays": sorted(arrays)})
    return facts, tensors


def _checked(callback: Callback) -> dict[str, Any]:
    """Return the state of a callback, which must be what a file can hold."""
    state = callback.state()
    msg = (
        f"`{type(callback).__qualname__}.state` must return a dict of names to arrays of numbers and what JSON can hold"
    )
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        msg = f"{msg}, got {state!r}."
        raise TypeError(msg)
    for key, value in state.items():
        try:
            fits = value.dtype.kind in "biuf" if isinstance(value, np.ndarray) else bool(json.dumps(value))
        except (TypeError, ValueError):
            fits = False
        if not fits:
            msg = f"{msg}, got {value!r} as {key!r}."
            raise TypeError(msg)
    return state


def restore_callbacks(callbacks: Iterable[Callback], stored: Any, tensors: Mapping[str, Array]) -> None:
    """Give callbacks their states, each that of the first not yet taken of its class."""
    left = [(i, entry) for i, entry in enumerate(stored) if entry["state"] or entry["arrays"]]
    found = []
    for callback in callbacks:
        own = next((item for item in left if item[1]["class"] == type(callback).__qualname__), None)
        if own is not None:
            left.remove(own)
            found.append((callback, *own))
    if left:
        missing = ", ".join(entry["class"] for _, entry in left)
        msg = f"The checkpoint holds what {missing} needs to go on, and there is no such callback; give it as before."
        raise ModelFileError(msg)
    for callback, i, entry in found:
        arrays = {key: tensors[f"callback.{i}.{key}"] for key in entry["arrays"]}
        callback.restore({**{key: _numbers(value) for key, value in entry["state"].items()}, **arrays})


def _finite(value: Any) -> Any:
    """Return a value with its infinite numbers and NaN as JSON can hold them."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return {"float": str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(value: Any) -> Any:
    """Return what `_finite` was given."""
    if isinstance(value, dict):
        return float(value["float"]) if set(value) == {"float"} else {k: _numbers(item) for k, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list) else value
