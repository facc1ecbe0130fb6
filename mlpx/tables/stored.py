"""The description of columns as JSON, and its way back, which trusts nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn

from mlpx.tables.columns import CategoryColumn, Column, LeftOut, NumberColumn, Source
from mlpx.tables.targets import ClassTarget, NumberTarget, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

KIND = "mlpx.tables.Preprocessing"
VERSION = 1
#: More inputs than this are no table; the bound keeps a hostile file from asking for endless memory.
MOST_INPUTS = 10_000_000


def to_dict(
    columns: Sequence[Column], left_out: Sequence[LeftOut], target: Target, split: str | None, source: Source | None
) -> dict[str, Any]:
    """Give the parts of a `Preprocessing` as one dictionary of texts, numbers, lists and dictionaries."""
    return {
        "kind": KIND,
        "version": VERSION,
        "columns": [_column_to_dict(column) for column in columns],
        "left_out": [{"name": column.name, "reason": column.reason} for column in left_out],
        "target": _target_to_dict(target),
        "split": split,
        "source": source and {"name": source.name, "rows": source.rows},
    }


def from_dict(
    entry: object,
) -> tuple[tuple[Column, ...], tuple[LeftOut, ...], Target, str | None, Source | None]:
    """Give the parts back, after a look at every one of them.

    Raises
    ------
    ValueError
        If something is absent, of another type, out of range, or named twice.
    """
    if not isinstance(entry, dict) or entry.get("kind") != KIND:
        msg = f"the stored preprocessing must be a dictionary of the kind {KIND!r}; this one is not"
        raise ValueError(msg)
    version = entry.get("version")
    if version != VERSION or isinstance(version, bool):
        msg = f"the stored preprocessing must have version {VERSION}; got {version!r}; a newer mlpx may read it"
        raise ValueError(msg)
    columns = tuple(_column(item, f"columns[{i}]") for i, item in enumerate(_list(entry, "columns", "")))
    left_out = tuple(_left_out(item, f"left_out[{i}]") for i, item in enumerate(_list(entry, "left_out", "")))
    target = _target(entry.get("target"))
    split = None if entry.get("split") is None else _text(entry, "split", "")
    _check_names([column.name for column in (*columns, *left_out)] + [target.name])
    if not 0 < sum(column.width for column in columns) <= MOST_INPUTS:
        msg = f"the stored preprocessing must describe between 1 and {MOST_INPUTS} inputs"
        raise ValueError(msg)
    return columns, left_out, target, split, _source(entry.get("source"))


def _column_to_dict(column: Column) -> dict[str, Any]:
    if isinstance(column, NumberColumn):
        return {"name": column.name, "median": column.median, "mean": column.mean, "scale": column.scale}
    return {"name": column.name, "categories": list(column.categories), "missing": column.missing}


def _target_to_dict(target: Target) -> dict[str, Any]:
    if isinstance(target, ClassTarget):
        return {"name": target.name, "classes": list(target.classes), "counts": list(target.counts)}
    return {"name": target.name, "mean": target.mean, "scale": target.scale}


def _column(item: object, where: str) -> Column:
    entry = _dictionary(item, where)
    name = _text(entry, "name", where)
    if "categories" not in entry:
        median, mean = _number(entry, "median", where), _number(entry, "mean", where)
        return NumberColumn(name, median, mean, _scale(entry, where))
    categories = _texts(entry, "categories", where)
    missing = entry.get("missing")
    if not isinstance(missing, bool):
        _refuse(where, "missing", "true or false", missing)
    return CategoryColumn(name, categories, missing)


def _left_out(item: object, where: str) -> LeftOut:
    entry = _dictionary(item, where)
    return LeftOut(_text(entry, "name", where), _text(entry, "reason", where))


def _target(item: object) -> Target:
    entry = _dictionary(item, "target")
    name = _text(entry, "name", "target")
    if "classes" not in entry:
        return NumberTarget(name, _number(entry, "mean", "target"), _scale(entry, "target"))
    classes = _texts(entry, "classes", "target")
    counts = _list(entry, "counts", "target")
    whole = all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts)
    if len(classes) < 2 or len(counts) != len(classes) or not whole:
        _refuse("target", "counts", "one count for each of at least two classes", counts)
    return ClassTarget(name, classes, tuple(counts))


def _source(item: object) -> Source | None:
    if item is None:
        return None
    entry = _dictionary(item, "source")
    rows = entry.get("rows")
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        _refuse("source", "rows", "a whole number from 1 on", rows)
    return Source(_text(entry, "name", "source"), rows)


def _dictionary(item: object, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        _refuse(where, "", "a dictionary", item)
    return item


def _list(entry: dict[str, Any], key: str, where: str) -> list[Any]:
    if not isinstance(entry.get(key), list):
        _refuse(where, key, "a list", entry.get(key))
    return list(entry[key])


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    if not isinstance(entry.get(key), str):
        _refuse(where, key, "a text", entry.get(key))
    return str(entry[key])


def _texts(entry: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Give a list of different texts."""
    values = _list(entry, key, where)
    if not all(isinstance(value, str) for value in values) or len(set(values)) < len(values):
        _refuse(where, key, "a list of different texts", values)
    return tuple(values)


def _number(entry: dict[str, Any], key: str, where: str) -> float:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
        _refuse(where, key, "a finite number", value)
    return float(value)


def _scale(entry: dict[str, Any], where: str) -> float:
    value = _number(entry, "scale", where)
    if value <= 0:
        _refuse(where, "scale", "a positive number", value)
    return value


def _finite(value: float) -> bool:
    """Tell whether a number is finite as a float; an integer of JSON may have any number of digits."""
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _check_names(names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"the stored preprocessing must name each column once; `{twice[:60]}` comes twice"
        raise ValueError(msg)


def _refuse(where: str, key: str, rule: str, value: object) -> NoReturn:
    place = ".".join(part for part in (where, key) if part)
    msg = f"the stored preprocessing is damaged: `{place}` must be {rule}; got {repr(value)[:60]}"
    raise ValueError(msg)
