"""Model files on the command line: where to write them, how to read them back with their columns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import mlpx
from mlpx.backends import make_backend
from mlpx.persistence import read
from mlpx.tables import ClassTarget, Preprocessing, Table
from mlpx.tables.requirements import plural

if TYPE_CHECKING:
    from collections.abc import Callable


def choose_output(output: str | None, table: Table, target: str, *, force: bool) -> Path:
    """Give the file to write, after a look whether it may be written; training should not end in a refusal."""
    path = Path(output) if output else Path(f"{table.name}.mlpx")
    check_folder("--output", path)
    what = _worth_keeping(path, target) if path.exists() and not force else ""
    if what:
        msg = f"`{path}` exists and {what}; choose another `--output`, or overwrite it with `--force`"
        raise ValueError(msg)
    return path


def check_folder(option: str, path: Path) -> None:
    """Refuse a path where no file can be written."""
    if path.is_dir():
        msg = f"`{option}` must name a file; `{path}` is a folder"
        raise ValueError(msg)
    if not path.parent.is_dir():
        msg = f"the folder `{path.parent}` does not exist; make it, or choose another `{option}`"
        raise ValueError(msg)
    if not os.access(path.parent, os.W_OK):
        msg = f"the folder `{path.parent}` cannot be written to; choose another `{option}`"
        raise ValueError(msg)


def _worth_keeping(path: Path, target: str) -> str:
    """Say what a file is; nothing where it is a model of the same target, which a further training replaces."""
    try:
        net: mlpx.Network = read(path, make_backend("numpy"))
    except (mlpx.ModelFileError, OSError):
        return "is no model of mlpx"
    try:
        stored = Preprocessing.from_dict(net.preprocessing).target.name
    except ValueError:
        return "was not written by `mlpx train`"
    return "" if stored == target else f"predicts `{stored}`, not `{target}`"


def load(
    path: str, backend: str | None = None, device: str | None = None, dtype: str | None = None
) -> tuple[mlpx.Network, Preprocessing | None]:
    """Read a model and the description of its columns, None where it has none."""
    return _checked(path, lambda: mlpx.load(path, backend, device, dtype=dtype))


def look(path: str) -> tuple[mlpx.Network, Preprocessing | None]:
    """Read a model only to look at it: no other library is needed, and not the type that it computes in."""
    return _checked(path, lambda: read(path, make_backend("numpy")))


def _checked(path: str, reading: Callable[[], mlpx.Network]) -> tuple[mlpx.Network, Preprocessing | None]:
    """Return what was read, and the description of its columns, once it is seen that they belong together."""
    if not Path(path).is_file():
        what = "is a folder, not a file" if Path(path).is_dir() else "does not exist"
        msg = f"the file `{path}` {what}; give the path of a model"
        raise FileNotFoundError(msg)
    try:
        net = reading()
    except mlpx.ModelFileError as error:
        sentence = str(error).removeprefix(f"{Path(path)} ")
        msg = f"the file `{path}` {sentence}"
        raise mlpx.ModelFileError(msg) from error
    if net.preprocessing is None:
        if net.members is not None:
            msg = f"`{path}` holds a stack of {net.members} networks; save one of them with `net.member(i).save(…)`"
            raise ValueError(msg)
        return net, None
    preprocessing = Preprocessing.from_dict(net.preprocessing)
    _check_fit(net, preprocessing)
    return net, preprocessing


def _check_fit(net: mlpx.Network, preprocessing: Preprocessing) -> None:
    """Refuse a file whose columns and network do not belong together."""
    inputs, *_, outputs = net.sizes
    wanted = f"{plural(preprocessing.width, 'input')} and {plural(preprocessing.target.width, 'output')}"
    if (inputs, outputs) != (preprocessing.width, preprocessing.target.width):
        msg = f"the model file is damaged: its columns ask for {wanted}, its network has {inputs} and {outputs}"
        raise ValueError(msg)
    if isinstance(preprocessing.target, ClassTarget) and net.classes != preprocessing.target.classes:
        msg = "the model file is damaged: the classes of its network are not those of its target"
        raise ValueError(msg)
