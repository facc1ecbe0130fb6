"""Nested tuples of arrays and None: the arguments of a step, leaf by leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["entry", "leaves", "length", "mapped", "rebuilt"]


def leaves(tree: Any) -> list[Any]:
    """Return what a tree holds, None left out."""
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in leaves(part)]
    return [] if tree is None else [tree]


def rebuilt(tree: Any, new: Iterator[Any]) -> Any:
    """Return a tree of the same structure with other leaves."""
    if isinstance(tree, tuple):
        parts = [rebuilt(part, new) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return None if tree is None else next(new)


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return the tree with a function applied to each leaf."""
    return rebuilt(tree, iter([function(leaf) for leaf in leaves(tree)]))


def length(tree: Any) -> int:
    """Return the number of entries along the first axis, which all leaves share."""
    return int(leaves(tree)[0].shape[0])


def entry(tree: Any, i: int) -> Any:
    """Return the i-th entry of every leaf along the first axis."""
    return mapped(lambda leaf: leaf[i, ...], tree)
