"""What a table, a network and a model are, in a few labelled lines."""

from __future__ import annotations

import re

import mlpx
from mlpx.cli.console import figure, listed
from mlpx.tables import CategoryColumn, DateColumn, EmbeddedColumn, NumberColumn, NumberTarget, Preprocessing
from mlpx.tables.requirements import counted, whole

Field = tuple[str, str]


def columns(preprocessing: Preprocessing) -> list[Field]:
    """Tell which columns are used and how, and which are not and why."""
    used = preprocessing.columns
    reasons: dict[str, list[str]] = {}
    for column in preprocessing.left_out:
        reasons.setdefault(column.reason, []).append(column.name)
    return [
        ("numbers", _numbers([column for column in used if isinstance(column, NumberColumn)])),
        ("categories", _counted([_category(column) for column in used if isinstance(column, CategoryColumn)])),
        ("embedded", _counted([f"{c.name} ({len(c.categories)})" for c in used if isinstance(c, EmbeddedColumn)])),
        ("dates", _counted([f"{c.name} ({c.width})" for c in used if isinstance(c, DateColumn)])),
        ("left out", "; ".join(f"{listed(names)} ({reason})" for reason, names in reasons.items())),
        ("target", target(preprocessing)),
    ]


def data(preprocessing: Preprocessing) -> str:
    """Tell the table that a model comes from, and how many of its rows were learnt from, as far as that is stored."""
    source, column = preprocessing.source, preprocessing.target
    rows = "" if isinstance(column, NumberTarget) else f"{counted(sum(column.counts), 'row')} to learn from"
    table = "" if source is None else f"{source.name}: {counted(source.rows, 'row')}"
    return ", ".join(part for part in (table, rows) if part)


def target(preprocessing: Preprocessing) -> str:
    """Tell the task, and the classes with their shares or the numbers with their spread."""
    column = preprocessing.target
    if isinstance(column, NumberTarget):
        return f"{column.name}: regression, mean {figure(column.mean)}, standard deviation {figure(column.scale)}"
    total = sum(column.counts) or 1
    shares = [f"{label} ({count / total:.0%})" for label, count in zip(column.classes, column.counts, strict=True)]
    return f"{column.name}: classification, {len(shares)} classes: {listed(shares)}"


def network(net: mlpx.Network, *, place: bool = True) -> str:
    """Tell the network's layers as its `repr` does, its size and type, and where it is."""
    *others, last = [str(net.sizes[0]), *(layer.label for layer in net.layers)]
    layers = " - ".join([*others, re.sub(r" identity\b", " linear", last)])
    where = f", {net.backend.name} on {net.backend.device_name}" if place else ""
    one = f"{layers}, {whole(net.n_parameters)} parameters, {net.dtype_name}{where}"
    return one if net.members is None else f"{net.members} whose predictions are averaged, each {one}"


def _numbers(found: list[NumberColumn]) -> str:
    """Tell the columns of numbers, and how many inputs they become."""
    widths = {column.width for column in found}
    inputs = f"{widths.pop()} each" if len(widths) == 1 else whole(sum(column.width for column in found))
    more = f", inputs: {inputs}" if any(column.width > 1 for column in found) else ""
    return f"{len(found)}: {listed([column.name for column in found])}{more}" if found else ""


def _category(column: CategoryColumn) -> str:
    return f"{column.name} ({len(column.categories)}{' and missing' if column.missing else ''})"


def _counted(names: list[str]) -> str:
    return f"{len(names)}: {listed(names)}" if names else ""
