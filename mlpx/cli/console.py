"""Words on the terminal: labelled lines, small tables and notes, wrapped to its width."""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, TextIO

from mlpx.tables.requirements import NO_BREAK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Lines longer than this are hard to read, however wide the terminal is.
WIDEST = 110
LABEL = 11


def say(text: str = "") -> None:
    """Write a line to standard output."""
    _write(sys.stdout, text)


def note(sentence: str) -> None:
    """Write a remark to standard error, where it does not mix with results."""
    _write(sys.stderr, _wrapped(f"mlpx: note: {sentence}"))


def complain(sentence: str) -> None:
    """Write what went wrong to standard error."""
    _write(sys.stderr, _wrapped(f"mlpx: error: {' '.join(sentence.split())}"))


def _wrapped(text: str) -> str:
    """Wrap a remark where somebody reads it on a terminal; in a file it stays one line."""
    if not sys.stderr.isatty():
        return text
    return textwrap.fill(printable(text), width(), break_on_hyphens=False, break_long_words=False)


def _write(stream: TextIO, text: str) -> None:
    """Write a line, with escapes for letters that the stream cannot hold."""
    encoding = stream.encoding or "utf-8"
    line = printable(text.replace(NO_BREAK, " ")) + "\n"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding))


def printable(text: str) -> str:
    """Escape what would steer the terminal: names come from files that anybody may have written."""
    return "".join(
        c if c.isprintable() or c in ("\n", NO_BREAK) else c.encode("unicode_escape").decode("ascii") for c in text
    )


def width() -> int:
    """Give the columns of the terminal that are used."""
    return max(40, min(shutil.get_terminal_size().columns, WIDEST))


def say_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Write labels and what belongs to them, with a hanging indent; fields without a text are passed over."""
    shown = [(label, text) for label, text in fields if text]
    room = max([LABEL, *(len(label) + 2 for label, _ in shown if len(label) >= LABEL)])
    for label, text in shown:
        wrapper = textwrap.TextWrapper(
            width(),
            initial_indent=label.ljust(room),
            subsequent_indent=" " * room,
            break_on_hyphens=False,
            break_long_words=False,
        )
        say(wrapper.fill(printable(text)))


def say_wrapped(text: str) -> None:
    """Write a remark among the results, wrapped."""
    say(textwrap.fill(printable(text), width(), break_on_hyphens=False, break_long_words=False))


def say_table(rows: Sequence[Sequence[str]], *, numbers: bool = True) -> None:
    """Write rows of cells under a header, the first column to the left and numbers to the right.

    Where the terminal is too narrow for that, each row becomes a few labelled lines.
    """
    align = str.rjust if numbers else str.ljust
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    if sum(widths) + 3 * len(widths) - 3 > width():
        _say_rows_apart(rows)
        return
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(align(cell, size) for cell, size in zip(others, widths[1:], strict=True))]
        say("   ".join(cells).rstrip())


def _say_rows_apart(rows: Sequence[Sequence[str]]) -> None:
    """Write a table downwards: each row's name, and below it the other cells with their column's name."""
    (corner, *header), *others = rows
    longest = max(map(len, header))
    say_wrapped(corner)
    for first, *cells in others:
        say(first)
        say_fields((f"    {name:<{longest}}", cell) for name, cell in zip(header, cells, strict=True))


def figure(number: float) -> str:
    """Write a number with five digits, and without an exponent where that is short."""
    if number == 0 or not 1e-3 <= abs(number) < 1e7:
        return f"{number:.5g}"
    return f"{number:.{max(0, 4 - math.floor(math.log10(abs(number))))}f}"


def listed(names: Sequence[str], most: int = 12) -> str:
    """Write names separated by commas, the first `most` of them."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
