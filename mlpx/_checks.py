"""Checks of arguments: each raises one sentence that names the argument, the rule, what came and the remedy."""

import difflib
import functools
import math
import operator
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., None])


def check_count(name: str, value: Any, *, least: int = 1) -> int:
    """Return `value` as an int of at least `least`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError as error:  # an array or a class has the method, and no use for it
        msg = f"`{name}` must be a whole number, got {value!r}."
        raise TypeError(msg) from error
    if count < least:
        msg = f"`{name}` must be at least {least}, got {count}."
        raise ValueError(msg)
    return count


def check_flag(name: str, value: Any) -> bool:
    """Return `value`, which must be True or False."""
    # NumPy's own truth values come from comparisons
    if not isinstance(value, bool) and not (getattr(value, "ndim", None) == 0 and str(value.dtype) == "bool"):
        msg = f"`{name}` must be True or False, got {value!r}."
        raise TypeError(msg)
    return bool(value)


def check_number(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """Return `value` as a finite float with ``above < value < below`` and ``least <= value <= most``."""
    try:
        if isinstance(value, (str, bool)):
            raise TypeError
        number = float(value)
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError) as error:
        msg = f"`{name}` must be a number, got {value!r}."
        raise TypeError(msg) from error
    if not (math.isfinite(number) and above < number < below and least <= number <= most):
        rules = [
            f"{word} {bound:g}"
            for word, bound in (("above", above), ("at least", least), ("below", below), ("at most", most))
            if math.isfinite(bound)
        ]
        msg = f"`{name}` must be {' and '.join(rules) or 'finite'}, got {value!r}."
        raise ValueError(msg)
    return number


def check_numbers(name: str, value: Any, **bounds: float) -> float | tuple[float, ...]:
    """Return `value` as a float, or as a tuple of floats where one number a member was given."""
    if getattr(value, "ndim", None) == 0 or not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        return check_number(name, value, **bounds)
    numbers = tuple(check_number(f"{name}[{i}]", item, **bounds) for i, item in enumerate(value))
    if not numbers:
        msg = f"`{name}` must be a number or one number a member, got an empty sequence."
        raise ValueError(msg)
    return numbers


def check_members(name: str, value: float | tuple[float, ...], members: int | None) -> None:
    """Refuse a sequence whose length is not the number of members."""
    if isinstance(value, tuple) and len(value) != members:
        rule = "one number, since the network is no stack (`members=None`)" if members is None else f"{members} numbers"
        msg = f"`{name}` must hold {rule}, got {len(value)} numbers."
        raise ValueError(msg)


def check_choice(name: str, value: Any, choices: Iterable[str], aliases: Mapping[str, str] | None = None) -> str:
    """Return `value` where it is one of `choices`; else name them, and the nearest, or what an alias stands for."""
    known = sorted(choices)
    if isinstance(value, str) and value in known:
        return value
    alias = (aliases or {}).get(str(value))
    near = [alias] if alias else difflib.get_close_matches(str(value), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    msg = f"`{name}` must be one of {', '.join(map(repr, known))}; got {value!r}.{hint}"
    raise ValueError(msg)


def check_memory(name: str, parameters: int, members: int | None) -> None:
    """Refuse a network that the machine has not the memory for, rather than ask for it."""
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        there = sys.maxsize
    needed = min(8 * parameters * (members or 1), 2**100)
    if needed > there:
        msg = (
            f"`{name}` ask for {needed / 2**30:.3g} GiB of parameters, drawn in float64; the machine "
            f"has {there / 2**30:.3g}. Take fewer units{'' if members is None else ', or fewer `members`'}."
        )
        raise ValueError(msg)


def member_of(value: float | tuple[float, ...], index: int) -> float:
    """Return the number of one member."""
    return value[index] if isinstance(value, tuple) else value


def one_by_position(argument: str, example: str) -> Callable[[F], F]:
    """Return a decorator of a constructor that says what to do where its one list came as several arguments."""

    def decorated(constructor: F) -> F:
        @functools.wraps(constructor)
        def checked(self: Any, *arguments: Any, **options: Any) -> None:
            if len(arguments) > 1:
                msg = (
                    f"`{argument}` must be one list, such as {example}, and all other arguments are given by name; got "
                    f"{len(arguments)} arguments without a name."
                )
                raise TypeError(msg)
            constructor(self, *arguments, **options)

        return cast("F", checked)

    return decorated
