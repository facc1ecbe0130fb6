"""Words and numbers as a report writes them. What comes from a table may be long, or steer a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mlpx.tables.requirements import NO_BREAK

#: A name from a table that is longer than this is cut.
LONGEST_NAME = 40

#: Measures by their short name: as it is written, and whether more is better.
MEASURES = {
    "accuracy": ("accuracy", True),
    "log_loss": ("log loss", False),
    "roc_auc": ("ROC AUC", True),
    "rmse": ("RMSE", False),
    "mae": ("MAE", False),
    "r2": ("R2", True),
}
#: The measure by which columns are ranked, and one that is told beside it.
RANKED_BY = {"classification": ("log_loss", "accuracy"), "regression": ("rmse", "r2")}

#: Networks whose best epochs are named one by one.
MOST_EPOCHS = 4


def plain(text: str) -> str:
    """Escape what is no printable letter."""
    return "".join(c if c.isprintable() or c == NO_BREAK else c.encode("unicode_escape").decode("ascii") for c in text)


def short(name: str, most: int = LONGEST_NAME) -> str:
    """Give a name from a table, printable and not too long."""
    text = plain(str(name))
    return text if len(text) <= most else text[: most - 1] + "…"


def figure(number: float, digits: int = 5) -> str:
    """Write a number with so many digits, and without an exponent where that is short."""
    if number == 0 or not math.isfinite(number) or not 1e-3 <= abs(number) < 1e7:
        return f"{number:.{digits}g}"
    return f"{number:z.{max(0, digits - 1 - math.floor(math.log10(abs(number))))}f}"


def decimals(numbers: Iterable[float], digits: int = 3) -> int:
    """Tell how many decimals a column of numbers needs so that its largest has so many digits."""
    largest = max((abs(number) for number in numbers if math.isfinite(number)), default=0.0)
    return min(12, max(0, digits - 1 - math.floor(math.log10(largest)))) if largest else 0


def measured(name: str, value: float) -> str:
    """Write a measure: errors in the target's unit with five digits, the others with four decimals."""
    return figure(value) if name in ("rmse", "mae") else f"{value:z.4f}"


def percent(share: float) -> str:
    """Write a share, with one decimal where it is small."""
    return f"{share:.0%}" if share >= 0.0995 or share == 0 else f"{share:.1%}"


def mean(value: Any) -> float:
    """Give a number of the history, of a stack the mean over the members that were left; NaN where none was."""
    left = [v for v in value if v == v] if isinstance(value, list) else [value]
    return float(sum(left) / len(left)) if left else math.nan


def best_epochs(best: int | list[int]) -> str:
    """Tell the best epoch, of networks side by side that of each; nothing where none is."""
    found = sorted(set(best if isinstance(best, list) else [best]) - {0})
    if len(found) < 2:
        return f"best: {found[0]}" if found else ""
    if len(found) > MOST_EPOCHS:
        return f"best of each network: {found[0]} to {found[-1]}"
    return f"best of each network: {', '.join(map(str, found[:-1]))} and {found[-1]}"
