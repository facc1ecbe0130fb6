"""Libraries that only tables need, imported when first used."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from mlpx import _optional

if TYPE_CHECKING:
    from collections.abc import Iterable

INSTALL = 'pip install "mlpx[cli]"'


def require(module: str, purpose: str) -> Any:
    """Import an optional library, or say what to install.

    Parameters
    ----------
    module : str
        Name of the module, such as ``"pandas"`` or ``"sklearn.datasets"``.
    purpose : str
        What needs it, as the subject of the sentence: ``"reading a CSV file"``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the library is not installed; the message holds the install command.
    """
    return _optional.require(module, purpose, INSTALL)


def named(names: Iterable[str], most: int = 12) -> str:
    """Names in backticks, separated by commas, the first `most` of them."""
    names = list(names)
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Give `` (did you mean `…`?)`` for a near match among the known names, else nothing."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=0.6)
    return f" (did you mean `{by_folded[near[0]]}`?)" if near else ""


#: What stands between the groups of a number, so that no line break divides it.
NO_BREAK = "\u00a0"


def whole(number: int) -> str:
    """Write a whole number in groups of three digits, ``48 842``."""
    return f"{number:,}".replace(",", NO_BREAK)


def counted(number: int, noun: str) -> str:
    """Write ``1 row`` or ``48 842 rows``."""
    return f"{whole(number)} {noun if number == 1 else noun + 's'}"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Write ``1 row`` or ``12 rows``, or ``2 categories`` where the plural is given."""
    return f"{count} {noun if count == 1 else nouns or noun + 's'}"
