"""Numbers with their units, in three digits."""

from __future__ import annotations

import math


def three_digits(number: float) -> str:
    """Write a number in three digits: ``1.23``, ``12.3``, ``123``.

    Examples
    --------
    >>> from mlpx.bench.quantities import three_digits
    >>> three_digits(0.999), three_digits(12.34), three_digits(1234.0)
    ('0.999', '12.3', '1234')
    """
    if not number or not math.isfinite(number):
        return f"{number:g}"
    digits = 2 - math.floor(math.log10(abs(float(f"{number:.3g}"))))
    return f"{number:.{min(max(digits, 0), 6)}f}"


def seconds(number: float) -> str:
    """Write a time in the unit that fits it.

    Examples
    --------
    >>> from mlpx.bench.quantities import seconds
    >>> seconds(2.5e-6), seconds(0.0123), seconds(3)
    ('2.50 µs', '12.3 ms', '3.00 s')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if number >= 0.9995 * size:
            return f"{three_digits(number / size)} {unit}"
    return f"{three_digits(number / 1e-9)} ns"


def size(number: float) -> str:
    """Write bytes in the unit, by powers of 1024, that fits them.

    Examples
    --------
    >>> from mlpx.bench.quantities import size
    >>> size(512), size(3 * 2**20)
    ('512 B', '3.00 MiB')
    """
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if abs(number) >= 2**power:
            return f"{three_digits(number / 2**power)} {unit}"
    return f"{number:.0f} B"


def quantity(number: float, unit: str) -> str:
    """Write seconds ("s") or bytes ("B")."""
    return size(number) if unit == "B" else seconds(number)


def share(part: float | None) -> str:
    """Write a part of 1 in percent, ``64 %``; nothing for None."""
    return "" if part is None else f"{100 * part:.0f} %" if part >= 0.0995 else f"{100 * part:.1f} %"


def ratio(number: float | None) -> str:
    """Write a ratio to two digits after the point, large ones to one or none; nothing for None."""
    return "" if number is None else f"{number:.2f}" if number < 10 else three_digits(number)


def rate(number: float | None, unit: str) -> str:
    """Write operations ("FLOP/s") or bytes ("B/s") a second in units of 10⁹ or 10¹²; nothing for None."""
    if number is None:
        return ""
    prefix, power = ("T", 1e12) if number >= 1e12 else ("G", 1e9)
    return f"{three_digits(number / power)} {prefix}{unit}"
