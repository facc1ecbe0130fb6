"""The description of columns as JSON, and its way back, which trusts nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn, cast

from mlpx.tables.columns import CategoryColumn, Column, DateColumn, EmbeddedColumn, LeftOut, NumberColumn, Source
from mlpx.tables.targets import LABELS, ClassTarget, LabelKind, NumberTarget, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

KIND = "mlpx.tables.Preprocessing"
VERSION = 2
#: More inputs than this are no table; the bound keeps a hostile file from asking for endless memory.
MOST_INPUTS = 10_000_000
#: A date has no more periods than these, and none shorter than a second or longer than three centuries.
MOST_PHASES, SHORTEST_PHASE, LONGEST_PHASE = 8, 1.0, 1e10
#: In seconds: no calendar reaches so far from 1970, and no dates are so close to each other.
FURTHEST_DATE, CLOSEST_DATES = 1e13, 1e-12


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
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSION:
        read = f"version {VERSION} or lower; got {repr(version)[:60]}"
        msg = f"the stored preprocessing must have {read}; a newer mlpx may read it"
        raise ValueError(msg)
    column = _column if version > 1 else _column_of_version_1
    columns = tuple(column(item, f"columns[{i}]") for i, item in enumerate(_list(entry, "columns", "")))
    left_out = tuple(_left_out(item, f"left_out[{i}]") for i, item in enumerate(_list(entry, "left_out", "")))
    target = _target(entry.get("target"))
    split = None if entry.get("split") is None else _text(entry, "split", "")
    _check_names([column.name for column in (*columns, *left_out)] + [target.name])
    if not 0 < sum(column.width for column in columns) <= MOST_INPUTS:
        msg = f"the stored preprocessing must describe between 1 and {MOST_INPUTS} inputs"
        raise ValueError(msg)
    return columns, left_out, target, split, _source(entry.get("source"))


def _column_to_dict(column: Column) -> dict[str, Any]:
    kind = next(kind for kind, (type_, _) in KINDS.items() if isinstance(column, type_))
    values = {field.name: getattr(column, field.name) for field in fields(column) if field.init}
    listed = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {"kind": kind, **listed}


def _target_to_dict(target: Target) -> dict[str, Any]:
    if isinstance(target, ClassTarget):
        classes, counts = list(target.classes), list(target.counts)
        return {"name": target.name, "classes": classes, "counts": counts, "kind": target.kind}
    return {"name": target.name, "mean": target.mean, "scale": target.scale}


def _column(item: object, where: str) -> Column:
    entry = _dictionary(item, where)
    kind = _text(entry, "kind", where)
    if kind not in KINDS:
        _refuse(where, "kind", f"one of {', '.join(KINDS)}", kind)
    _, read = KINDS[kind]
    return read(entry, where)


def _number_column(entry: dict[str, Any], where: str) -> NumberColumn:
    clip = None if entry.get("clip") is None else _positive(entry, "clip", where)
    fill, center = _number(entry, "fill", where), _number(entry, "center", where)
    scale, missing = _positive(entry, "scale", where), _truth(entry, "missing", where)
    return NumberColumn(_text(entry, "name", where), fill, center, scale, clip, missing, _knots(entry, where))


def _knots(entry: dict[str, Any], where: str) -> tuple[float, ...]:
    """Give ascending knots; files from before there were any have none."""
    knots = _list(entry, "knots", where) if "knots" in entry else []
    real = all(isinstance(k, (int, float)) and not isinstance(k, bool) and _finite(k) for k in knots)
    values = tuple(float(k) for k in knots) if real else ()
    if not real or len(values) == 1 or any(high <= low for low, high in pairwise(values)):
        _refuse(where, "knots", "finite numbers that ascend, two or more, or none", knots)
    return values


def _category_column(entry: dict[str, Any], where: str) -> CategoryColumn:
    categories, missing = _texts(entry, "categories", where), _truth(entry, "missing", where)
    return CategoryColumn(_text(entry, "name", where), categories, missing)


def _embedded_column(entry: dict[str, Any], where: str) -> EmbeddedColumn:
    categories = _texts(entry, "categories", where)
    if not categories:
        _refuse(where, "categories", "at least one text", categories)
    missing, rare = _truth(entry, "missing", where), _truth(entry, "rare", where)
    return EmbeddedColumn(_text(entry, "name", where), categories, missing, rare)


def _date_column(entry: dict[str, Any], where: str) -> DateColumn:
    phases = _list(entry, "phases", where)
    real = all(isinstance(p, (int, float)) and not isinstance(p, bool) for p in phases)
    if len(phases) > MOST_PHASES or not real or not all(SHORTEST_PHASE <= p <= LONGEST_PHASE for p in phases):
        rule = f"at most {MOST_PHASES} numbers of seconds from {SHORTEST_PHASE:g} to {LONGEST_PHASE:g}"
        _refuse(where, "phases", rule, phases)
    center, scale = _number(entry, "center", where), _number(entry, "scale", where)
    if abs(center) > FURTHEST_DATE or scale < CLOSEST_DATES:
        rule = f"within {FURTHEST_DATE:g} seconds of 1970, with a scale of at least {CLOSEST_DATES:g}"
        _refuse(where, "center", rule, (center, scale))
    return DateColumn(_text(entry, "name", where), center, scale, tuple(float(p) for p in phases))


def _column_of_version_1(item: object, where: str) -> Column:
    """Read a column as mlpx wrote it before it knew dates, embeddings and clipping."""
    entry = _dictionary(item, where)
    if "categories" in entry:
        return _category_column(entry, where)
    fill, center = _number(entry, "median", where), _number(entry, "mean", where)
    scale = _positive(entry, "scale", where)
    return NumberColumn(_text(entry, "name", where), fill, center, scale, clip=None, missing=False)


#: The kinds of columns by their stored names, and what reads them.
KINDS: dict[str, tuple[type[Column], Callable[[dict[str, Any], str], Column]]] = {
    "number": (NumberColumn, _number_column),
    "category": (CategoryColumn, _category_column),
    "embedded": (EmbeddedColumn, _embedded_column),
    "date": (DateColumn, _date_column),
}


def _left_out(item: object, where: str) -> LeftOut:
    entry = _dictionary(item, where)
    return LeftOut(_text(entry, "name", where), _text(entry, "reason", where))


def _target(item: object) -> Target:
    entry = _dictionary(item, "target")
    name = _text(entry, "name", "target")
    if "classes" not in entry:
        return NumberTarget(name, _number(entry, "mean", "target"), _positive(entry, "scale", "target"))
    classes = _texts(entry, "classes", "target")
    counts = _list(entry, "counts", "target")
    whole = all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts)
    if len(classes) < 2 or len(counts) != len(classes) or not whole:
        _refuse("target", "counts", "one count for each of at least two classes", counts)
    return ClassTarget(name, classes, tuple(counts), _label_kind(entry, classes))


def _label_kind(entry: dict[str, Any], classes: tuple[str, ...]) -> LabelKind:
    """Give what the labels are in the table; files from before that was told have texts."""
    kind = entry.get("kind", "text")
    try:
        labels = [LABELS[kind](text) for text in classes]
        if len(set(labels)) == len(labels):
            return cast("LabelKind", kind)
    except (LookupError, TypeError, ValueError):
        pass
    return _refuse("target", "kind", f"one of {', '.join(LABELS)} that goes with the classes", kind)


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


def _positive(entry: dict[str, Any], key: str, where: str) -> float:
    value = _number(entry, key, where)
    if value <= 0:
        _refuse(where, key, "a positive number", value)
    return value


def _truth(entry: dict[str, Any], key: str, where: str) -> bool:
    value = entry.get(key)
    if not isinstance(value, bool):
        _refuse(where, key, "true or false", value)
    return value


def _finite(value: float) -> bool:
    """Tell whether a number is finite as a float; an integer of JSON may have any number of digits."""
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _check_names(names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        msg = f"the stored preprocessing must name each column once; `{twice[:60]}` comes twice"
        raise ValueError(msg)


def _refuse(where: str, key: str, rule: str, value: object) -> NoReturn:
    place = ".".join(part for part in (where, key) if part)
    msg = f"the stored preprocessing is damaged: `{place}` must be {rule}; got {repr(value)[:60]}"
    raise ValueError(msg)
