"""What was done to a table, as plain data that every export reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["column_entries", "target_entry"]


def column_entries(preprocessing: Any) -> list[dict[str, Any]]:
    """Return the columns in the order of the network's inputs, as JSON can hold them.

    Parameters
    ----------
    preprocessing : mlpx.tables.Preprocessing
        The description.

    Returns
    -------
    list of dict
        Each with ``"name"`` and ``"kind"``: ``"number"`` with `fill`, `center`, `scale`, `clip` (None for none),
        `missing` and `knots`; ``"category"`` with `categories` and `missing`; ``"embedded"`` with `categories`;
        ``"date"`` with `center`, `scale` and `phases`.
    """
    return [_entry(column) for column in preprocessing.columns]


def _entry(column: Any) -> dict[str, Any]:
    kind = _KINDS.get(type(column).__name__)
    if kind is None:
        msg = f"`net` has the column {column.name!r} of the kind {type(column).__name__}, which cannot be exported."
        raise ValueError(msg)
    return {"name": column.name, "kind": kind, **_FIELDS[kind](column)}


def _number(column: Any) -> dict[str, Any]:
    fields = {name: getattr(column, name) for name in ("fill", "center", "scale", "clip", "missing")}
    return {**fields, "knots": list(column.knots)}


_KINDS = {
    "NumberColumn": "number", "CategoryColumn": "category", "EmbeddedColumn": "embedded", "DateColumn": "date",
}  # fmt: skip
_FIELDS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "number": _number,
    "category": lambda column: {"categories": list(column.categories), "missing": column.missing},
    "embedded": lambda column: {"categories": list(column.categories)},
    "date": lambda column: {"center": column.center, "scale": column.scale, "phases": list(column.phases)},
}


def target_entry(preprocessing: Any) -> dict[str, Any]:
    """Return the target: ``"name"`` with ``"classes"``, or with ``"mean"`` and ``"scale"`` of its numbers.

    Parameters
    ----------
    preprocessing : mlpx.tables.Preprocessing
        The description.
    """
    target = preprocessing.target
    if hasattr(target, "classes"):
        return {"name": target.name, "classes": list(target.classes)}
    return {"name": target.name, "mean": target.mean, "scale": target.scale}
