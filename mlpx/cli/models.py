"""Model files on the command line: where to write them, how to read them back with their columns."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import mlpx
from mlpx.tables import Preprocessing, Table
from mlpx.tables.requirements import plural


def choose_output(output: str | None, table: Table, *, force: bool) -> Path:
    """Give the file to write, after a look whether it may be written; training should not end in a refusal."""
    path = Path(output) if output else Path(f"{table.name}.mlpx")
    if path.is_dir():
        msg = f"`--output` must name a file; `{path}` is a folder"
        raise ValueError(msg)
    if not path.parent.is_dir():
        msg = f"the folder `{path.parent}` does not exist; make it, or choose another `--output`"
        raise ValueError(msg)
    if not os.access(path.parent, os.W_OK):
        msg = f"the folder `{path.parent}` cannot be written to; choose another `--output`"
        raise ValueError(msg)
    if path.exists() and not force and not _is_model(path):
        msg = f"`{path}` exists and is no model of mlpx; choose another `--output`, or overwrite it with `--force`"
        raise ValueError(msg)
    return path


def _is_model(path: Path) -> bool:
    try:
        mlpx.load(path, backend="numpy")
    except (mlpx.ModelFileError, OSError):
        return False
    return True


def save(net: Any, path: Path) -> None:
    """Write a model beside its place first, so that a full disk or Ctrl-C never leaves half a file in it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        net.save(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load(path: str, backend: str | None, device: str | None) -> tuple[Any, Preprocessing | None]:
    """Read a model and the description of its columns, None where it has none."""
    if not Path(path).is_file():
        msg = f"the model file `{path}` does not exist; `mlpx train` writes one"
        raise FileNotFoundError(msg)
    net = mlpx.load(path, backend=mlpx.get_backend(backend, device))
    if net.preprocessing is None:
        return net, None
    preprocessing = Preprocessing.from_dict(net.preprocessing)
    _check_widths(net, preprocessing)
    return net, preprocessing


def _check_widths(net: Any, preprocessing: Preprocessing) -> None:
    """Refuse a file whose columns and network do not belong together."""
    wanted, there = (preprocessing.width, preprocessing.target.width), (net.n_inputs, net.n_outputs)
    if wanted != there:
        inputs = f"{plural(wanted[0], 'input')} and {plural(wanted[1], 'output')}"
        msg = f"the model file is damaged: its columns ask for {inputs}, its network has {there[0]} and {there[1]}"
        raise ValueError(msg)
