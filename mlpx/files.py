"""Files of this package: tensors, and beside them a description as JSON, in one safetensors file. No pickle.

A file is written whole or not at all. Reading trusts nothing: what the header claims is compared with the size of the
file before anything is read, the description's size and depth are bounded, and a checksum tells of spoiled bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlpx._typing import Array
from mlpx.exceptions import ModelFileError

__all__ = ["Contents", "Format", "as_json", "is_deep"]

_MOST_CHARACTERS = 64 * 2**20
_MOST_PARTS = 4_000_000
_MOST_NESTED = 100
_CHECKSUM = "sha256"
_TYPES = {
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U32": "uint32",
    "U64": "uint64",
    "BOOL": "bool",
}
"""What tensors may be of: names of safetensors, and NumPy's."""


class Contents(NamedTuple):
    """An open file.

    Attributes
    ----------
    description : dict
        Texts, finite numbers, None, lists and dicts, nested not too deep; else nothing is known of it.
    types : dict of (str, tuple of int)
        Type and shape of each tensor; all of them lie within the file.
    """

    description: dict[str, Any]
    types: dict[str, tuple[str, tuple[int, ...]]]
    file: Any
    text: str
    checksum: str | None

    def read(self, wanted: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, Array]:
        """Return the tensors by name, which must be those that are wanted, of these types and shapes.

        Parameters
        ----------
        wanted : mapping of (str, tuple of int)
            Type, such as ``"float32"``, and shape of each tensor by name.

        Returns
        -------
        dict of array
            Host arrays.

        Raises
        ------
        ModelFileError
            Where there are others, before any is read; or where the checksum says that bytes are spoiled.
        """
        if set(self.types) != set(wanted):
            msg = f"it holds the tensors {_first(self.types)}, but its description needs {_first(wanted)}."
            raise ModelFileError(msg)
        for name, (dtype, shape) in wanted.items():
            if self.types[name] != (dtype, tuple(shape)):
                came, found = self.types[name]
                msg = f"its tensor {name} is {came}{list(found)}, but must be {dtype}{list(shape)}."
                raise ModelFileError(msg)
        tensors = {name: self.file.get_tensor(name) for name in wanted}
        if self.checksum is not None and self.checksum != _checksum(self.text, tensors):
            msg = "its checksum does not fit: bytes of it are spoiled."
            raise ModelFileError(msg)
        return tensors


@dataclass(frozen=True)
class Format:
    """A kind of files.

    Parameters
    ----------
    kind : str
        What such a file says that it is, such as ``"mlpx"``.
    version : int
        Raised when older readers could misread a file.
    noun : str
        What it is called in messages, such as ``"mlpx model"``.
    key : str
        Where the description stands in the metadata.
    """

    kind: str
    version: int
    noun: str
    key: str = "description"

    def write(
        self,
        path: str | os.PathLike[str],
        description: dict[str, Any],
        tensors: Mapping[str, Array],
        *,
        private: bool = False,
    ) -> None:
        """Write a file; one that is there is replaced only when the new one lies on the disk.

        Parameters
        ----------
        path : str or path
            In a folder that exists.
        description : dict
            What JSON can hold.
        tensors : mapping of array
            NumPy arrays by name.
        private : bool
            Whether other users may not read it.

        Raises
        ------
        ValueError
            For a description that `open` would refuse.
        OSError
            Where the file cannot be written, such as on a full disk; the message names the path.
        """
        from safetensors.numpy import save as to_bytes

        path = Path(path)
        _check_place(path)
        text = as_json("description", description)
        arrays = {name: _plain(np.asarray(array)) for name, array in tensors.items()}
        metadata = {"kind": self.kind, "format_version": str(self.version), self.key: text}
        _replace(path, to_bytes(arrays, metadata | {_CHECKSUM: _checksum(text, arrays)}), private=private)

    @contextlib.contextmanager
    def open(self, path: str | os.PathLike[str]) -> Iterator[Contents]:
        """Open a file; a `ModelFileError` on the way gets the path in front.

        Parameters
        ----------
        path : str or path
            The file.

        Yields
        ------
        Contents
            What is read when it is asked for.

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ModelFileError
            For a file that is broken, truncated, of another kind or of a later version.
        """
        from safetensors import SafetensorError, safe_open

        path = Path(path)
        try:
            _check_size(path)
            try:
                with safe_open(path, framework="numpy") as file:
                    yield self._contents(file)
            except (SafetensorError, OSError, MemoryError, OverflowError, UnicodeDecodeError) as error:
                msg = f"it is broken, truncated or of another format ({error})."
                raise ModelFileError(msg) from error
        except ModelFileError as error:
            msg = f"{path} is no readable {self.noun}: {error}"
            raise ModelFileError(msg) from error.__cause__

    def _contents(self, file: Any) -> Contents:
        metadata = file.metadata() or {}
        self._check_metadata(metadata)
        text = metadata[self.key]
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        types = {
            name: (_TYPES.get(part.get_dtype(), part.get_dtype()), tuple(part.get_shape()))
            for name, part in slices.items()
        }
        return Contents(_from_json(text), types, file, text, metadata.get(_CHECKSUM))

    def _check_metadata(self, metadata: dict[str, str]) -> None:
        if metadata.get("kind") != self.kind:
            msg = f"it is a safetensors file, but no {self.noun}."
            raise ModelFileError(msg)
        version = metadata.get("format_version", "")
        if version != str(self.version):
            msg = f"its format version is {version[:20]!r}, and this mlpx reads version {self.version}; update mlpx."
            raise ModelFileError(msg)
        # a spoiled name must not hide the checksum
        if set(metadata) - {_CHECKSUM} != {"kind", "format_version", self.key}:
            msg = f"its metadata are {_first(metadata)}, not what a file of version {self.version} has."
            raise ModelFileError(msg)


def _plain(array: Array) -> Array:
    """Return an array as files hold it: row by row, the low bytes first."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _first(names: Any) -> str:
    """Return the first names, and not more of each than a message can take."""
    return ", ".join([repr(name[:40]) for name in sorted(names)[:5]]) or "none"


def _checksum(text: str, tensors: Mapping[str, Array]) -> str:
    """Return the SHA-256 of the description and of all tensors with their names."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].data)
    return digest.hexdigest()


# Descriptions.


def as_json(name: str, value: Any) -> str:
    """Return what a file can hold as JSON; refuse what could not be read again."""
    rule = "must hold what JSON can: texts, finite numbers, None, lists and dicts"
    try:
        text = json.dumps(value, allow_nan=False)
        _check_texts(value, text)
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"`{name}` {rule} ({error})."
        raise ValueError(msg) from error
    if _is_large(text) or is_deep(value):
        msg = (
            f"`{name}` {rule}, of at most {_MOST_CHARACTERS} characters and {_MOST_PARTS} parts, nested at most "
            f"{_MOST_NESTED} deep."
        )
        raise ValueError(msg)
    return text


def _from_json(text: str) -> dict[str, Any]:
    if _is_large(text):
        msg = f"its description has more than {_MOST_CHARACTERS} characters or {_MOST_PARTS} parts."
        raise ModelFileError(msg)
    try:
        description = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        _check_texts(description, text)
    except (ValueError, RecursionError) as error:
        msg = f"its description is no JSON ({error})."
        raise ModelFileError(msg) from error
    if not isinstance(description, dict) or is_deep(description):
        msg = f"its description is no JSON object, or one nested more than {_MOST_NESTED} deep."
        raise ModelFileError(msg)
    return description


def _is_large(text: str) -> bool:
    """Say whether a text is too long, or would become too many objects: each takes some 60 bytes."""
    return len(text) > _MOST_CHARACTERS or sum(map(text.count, "[{,")) > _MOST_PARTS


def is_deep(value: Any) -> bool:
    """Say whether lists and dicts are nested too deep; how deep JSON itself may go differs between Pythons."""
    level = [value]
    for _ in range(_MOST_NESTED):
        parts = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, (dict, list))]
        level = [item for part in parts for item in part]
    return any(isinstance(item, (dict, list)) for item in level)


def _check_texts(value: Any, text: str) -> None:
    """Refuse halves of surrogate pairs, which are no characters: nothing that holds one can be written out."""
    if "\\ud" in text.lower():
        json.dumps(value, ensure_ascii=False).encode()


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _refuse(name: str) -> float:
    msg = f"{name[:40]} is not allowed"
    raise ValueError(msg)


# The disk.


def _check_place(path: Path) -> None:
    if path.is_dir():
        msg = f"`path` must name a file, but {path} is a folder."
        raise IsADirectoryError(msg)
    if not path.parent.is_dir():
        msg = f"There is no folder {path.parent} to save in; make it first."
        raise FileNotFoundError(msg)


def _check_size(path: Path) -> None:
    """Refuse a file whose header cannot be one: of another kind, or cut off."""
    if not path.exists():
        msg = f"There is no file {path}."
        raise FileNotFoundError(msg)
    if not path.is_file():  # to open a pipe would wait for ever
        msg = f"it is {'a folder' if path.is_dir() else 'a device'}, not a file."
        raise ModelFileError(msg)
    size = path.stat().st_size
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        first = file.read(1)
    if size < 10 or first != b"{":
        msg = "it is no safetensors file."
        raise ModelFileError(msg)
    if header + 8 > size:
        msg = f"it is cut off: {size} bytes are there, its header alone needs {header + 8}."
        raise ModelFileError(msg)


def _replace(path: Path, content: bytes, *, private: bool) -> None:
    """Put a file in its place by a renaming, once all of it lies on the disk."""
    temporary = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if private else 0o666))
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        _discard(temporary)
        msg = f"The file cannot be written, and what was there is as it was: {error.strerror or error}"
        raise OSError(error.errno, msg, str(path)) from error
    except BaseException:
        _discard(temporary)
        raise


def _discard(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _flush(folder: Path) -> None:
    """Wait until a renaming lies on the disk, where the system can open folders."""
    if hasattr(os, "O_DIRECTORY"):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
