"""Frozen dataclasses as JSON and back, with one sentence that says where a file is not what it should be."""

from __future__ import annotations

import dataclasses
import json
import math
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_WORDS = {str: "a text", int: "a whole number", float: "a finite number", bool: "true or false", NoneType: "null"}


class RecordError(ValueError):
    """A value is not of the kind that its place asks for."""


def to_record(value: Any) -> Any:
    """Return a dataclass as what JSON holds, numbers to six digits.

    Examples
    --------
    >>> from mlpx.bench.machine import Gpu
    >>> from mlpx.bench.records import from_record, to_record
    >>> to_record(Gpu("one", 2**30, "555.1"))
    {'name': 'one', 'memory': 1073741824, 'driver': '555.1'}
    >>> from_record(Gpu, {"name": "one", "memory": "much", "driver": ""}, "gpus[0]")
    Traceback (most recent call last):
        ...
    mlpx.bench.records.RecordError: `gpus[0].memory` must be a whole number, got 'much'
    """
    if dataclasses.is_dataclass(value):
        return {field.name: to_record(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): to_record(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_record(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def from_record(kind: type[T], value: Any, where: str) -> T:
    """Return what `to_record` wrote as the dataclass that it was.

    Parameters
    ----------
    kind : type
        A dataclass whose fields are numbers, texts, dataclasses, and tuples or dictionaries of these.
    value : object
        What stands in the file.
    where : str
        Its place in the file, for the message.

    Raises
    ------
    RecordError
        With the place, what should stand there and what does.
    """
    found: T = _read(kind, value, where)
    return found


def _read(kind: Any, value: Any, where: str) -> Any:
    if kind is object:
        return value
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, value, where)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _read(inner[0], value, where)
    if origin is tuple:
        items = _check(list, value, where, "a list")
        return tuple(_read(inner[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin is dict:
        named = _check(dict, value, where, "an object with names")
        return {name: _read(inner[1], item, f"{where}.{name}") for name, item in named.items()}
    return _read_plain(kind, value, where)


def _read_plain(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    right = type(value) is kind and not (kind is float and not math.isfinite(value))
    return value if right else _refuse(where, _WORDS[kind], value)


def _read_fields(kind: Any, value: Any, where: str) -> Any:
    named = _check(dict, value, where, "an object with names")
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if surplus := sorted(set(named) - set(fields)):
        msg = f"`{where}` has the field {surplus[0]!r}, which is not known; known are {', '.join(fields)}"
        raise RecordError(msg)
    for name, field in fields.items():
        has_default = (field.default, field.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
        if name not in named and not has_default:
            msg = f"`{where}` must have the field {name!r}, which is missing"
            raise RecordError(msg)
    return kind(**{name: _read(hints[name], item, _inside(where, name)) for name, item in named.items()})


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _check(kind: type, value: Any, where: str, words: str) -> Any:
    return value if isinstance(value, kind) else _refuse(where, words, value)


def _refuse(where: str, words: str, value: Any) -> Any:
    msg = f"`{where}` must be {words}, got {str(value)[:60]!r}"
    raise RecordError(msg)


def to_text(record: dict[str, Any]) -> str:
    """Return a record with the list ``cases`` as JSON, one case a line."""
    lines = ",\n".join(f"  {json.dumps(case, ensure_ascii=False)}" for case in record["cases"])
    rest = {name: value for name, value in record.items() if name != "cases"}
    head = json.dumps(rest, indent=1, ensure_ascii=False)
    return f'{head.removesuffix("}").rstrip()},\n "cases": [\n{lines}\n ]\n}}\n'
