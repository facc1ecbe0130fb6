"""HTML that cannot be broken by what stands in a table: every text is escaped unless it is `Markup` already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from mlpx.tables.report.words import plain


class Markup(str):
    """A piece of HTML, to be taken over as it is."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Markup:
    """Give an element.

    Parameters
    ----------
    name : str
        Such as ``"p"``.
    *children : str or Markup
        What stands in it; a plain text is escaped.
    **attributes : str
        Attributes; ``class_`` is ``class``.

    Returns
    -------
    Markup

    Examples
    --------
    >>> from mlpx.tables.report.markup import tag
    >>> print(tag("p", "a < b", tag("b", "c"), class_="note"))
    <p class="note">a &lt; b<b>c</b></p>
    """
    given = "".join(f' {key.rstrip("_")}="{escape(plain(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Give pieces one after another, the plain ones escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(plain(part)) for part in parts))


def prose(sentence: str) -> Markup:
    """Give a sentence with what stands in backticks as ``code``."""
    parts = sentence.split("`")
    return join(tag("code", part) if i % 2 else part for i, part in enumerate(parts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False) -> Markup:
    """Give a table that can be moved sideways where the screen is narrow.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : iterable of sequence of str or Markup
        Cells; the first of a row names it. A cell that is a whole ``td`` is taken as it is.
    words : bool
        Whether the cells are words, which stand to the left, not numbers.

    Returns
    -------
    Markup
    """
    top = tag("tr", *(tag("th", name, scope="col") for name in head))
    body = (tag("tr", tag("th", first, scope="row"), *map(_cell, others)) for first, *others in rows)
    inner = tag("table", tag("thead", top), tag("tbody", *body), class_="words" if words else "numbers")
    return tag("div", inner, class_="wide")


def _cell(text: str) -> Markup:
    return text if isinstance(text, Markup) and text.startswith("<td") else tag("td", text)
