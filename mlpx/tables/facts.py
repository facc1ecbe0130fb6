"""What was inferred of each column, and why, in one line each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlpx.tables.columns import DAY, WEEK, YEAR, CategoryColumn, Column, DateColumn, EmbeddedColumn, NumberColumn
from mlpx.tables.requirements import named, plural
from mlpx.tables.targets import NumberTarget, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlpx.tables.columns import LeftOut

PERIODS = {YEAR: "year", WEEK: "week", DAY: "day"}


def facts(columns: Iterable[Column], left_out: Iterable[LeftOut], target: Target) -> tuple[tuple[str, str], ...]:
    """Give pairs of a column's name and what it becomes: the used ones, those left out, the target."""
    return (
        *((column.name, fact(column)) for column in columns),
        *((column.name, f"left out: {column.reason}") for column in left_out),
        (target.name, _target(target)),
    )


def fact(column: Column) -> str:
    """Tell what one column becomes."""
    inputs = plural(column.width, "input")
    if isinstance(column, NumberColumn):
        return f"numbers, {inputs}: {_number(column)}"
    if isinstance(column, DateColumn):
        return f"dates, {inputs}: {_date(column)}"
    number = plural(len(column.categories), "category", "categories")
    if isinstance(column, CategoryColumn):
        missing = ', one for "missing"' if column.missing else ""
        return f"categories, {inputs}: one for each of {number}{missing} ({named(column.categories, 3)})"
    return f"categories, {inputs}: {_embedded(column, number)}"


def _number(column: NumberColumn) -> str:
    scaled = _scaled(column.center, column.scale)
    clipped = "" if column.clip is None else f", clipped smoothly at {column.clip:g}"
    missing = f"; {column.fill:.6g} where missing, and an input that says so" if column.missing else ""
    pieces = f"; and how far it is along each of {plural(len(column.knots) - 1, 'piece')}" if column.knots else ""
    return scaled + clipped + pieces + missing


def _scaled(center: float, scale: float) -> str:
    sign = "+" if center < 0 else "-"
    return f"(value {sign} {abs(center):.6g}) / {scale:.6g}"


def _embedded(column: EmbeddedColumn, number: str) -> str:
    shared = "unknown, missing" if column.missing else "unknown"
    shared = f"rare, {shared}" if column.rare else shared
    return f"{number}, too many for one input each, are vectors of length {column.units}; one more for {shared}"


def _date(column: DateColumn) -> str:
    periods = [PERIODS.get(period, f"{period:g} s") for period in column.phases]
    phases = f", and the phase of {' and '.join(periods)}" if periods else ""
    return f"the time about {_day(column.center)} in units of {column.scale / DAY:.4g} days{phases}"


def _day(seconds: float) -> str:
    """Write a moment as a day, where the calendar reaches so far."""
    try:
        return str((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).date())
    except OverflowError:
        return f"{seconds:g} s"


def _target(target: Target) -> str:
    if isinstance(target, NumberTarget):
        return f"target, regression: {_scaled(target.mean, target.scale)}"
    return f"target, classification: {len(target.classes)} classes ({named(target.classes, 3)})"
