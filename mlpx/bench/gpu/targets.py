"""Where results may be written: what is refused is refused before anything is measured."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mlpx.bench import results


def check_output(option: str, path: Path, *, cuda: bool) -> Path:
    """Return the file to write, which must not be among the committed results where no CUDA device was used."""
    committed = Path(results.FOLDER).parts
    parts = path.resolve().parts
    inside = any(parts[i : i + len(committed)] == committed for i in range(len(parts)))
    if inside and not cuda:
        msg = (
            f"`{option}` must lie outside {results.FOLDER} where no CUDA device is measured, got {path}; name another."
        )
        raise ValueError(msg)
    return path


def check_folder(option: str, path: Path) -> Path:
    """Return the file to write, whose folder must be there and take files."""
    if not path.parent.is_dir():
        msg = f"`{option}` must lie in a folder that exists, got {path}; make {path.parent} first."
        raise ValueError(msg)
    if not os.access(path.parent, os.W_OK):
        msg = f"`{option}` must lie in a folder that can be written into, got {path}; name another."
        raise ValueError(msg)
    return path


def check_replaceable(option: str, path: Path, format_: str) -> Path:
    """Return the file to write; what it replaces must be a file of the same format."""
    if path.exists() and _format(path) != format_:
        msg = f'`{option}` replaces only a file of the format "{format_}", and {path} is none; name another.'
        raise ValueError(msg)
    return path


def _format(path: Path) -> object:
    """Return what a file says that it is; None where it says nothing."""
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError):
        return None
    return record.get("format") if isinstance(record, dict) else None
