"""Arrays that know how they were made, and the namespace in which functions of them are written.

A `Tracer` stands for an array in a function that is differentiated. What is done to it goes to its level: forward mode
keeps the derivative beside the value (`mlpx.differentiation.forward`), reverse mode writes a tape
(`mlpx.differentiation.reverse`). Every call of `derivative` or `gradient` opens a level of its own, later ones above
earlier ones, and an operation belongs to the highest level among its inputs: so derivatives of derivatives never take
one's change for the other's.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any, Protocol

from array_api_compat import device

from mlpx._typing import Array, Namespace
from mlpx.differentiation.rules import CONSTANT, RULES

__all__ = ["Constant", "Level", "Operation", "Tracer", "TracingNamespace", "apply", "constant", "stripped"]

_numbers = itertools.count()


class Operation(Protocol):
    """Something that is done to arrays, and its derivatives; see `mlpx.differentiation.operations`."""

    def value(self, xp: Namespace, *inputs: Any) -> Array:
        """Return the result."""

    @property
    def has_kink(self) -> bool:
        """Whether changes to the left and to the right can differ."""

    def push(self, xp: Namespace, inputs: Sequence[Any], y: Array, changes: Sequence[Any], side: int) -> Any:
        """Return the change of the result from those of the inputs, None for inputs that are constant."""

    def pull(self, xp: Namespace, inputs: Sequence[Any], y: Array, dy: Array, i: int) -> Array:
        """Return the derivative by input i of a scalar whose derivative by the result is `dy`."""


class Level:
    """One run of forward or reverse mode.

    Parameters
    ----------
    xp : namespace
        That of the arrays, or of the function around.
    """

    def __init__(self, xp: Namespace) -> None:
        self.xp = xp if isinstance(xp, TracingNamespace) else TracingNamespace(xp)
        self.number = next(_numbers)

    def record(self, operation: Operation, inputs: tuple[Any, ...]) -> Tracer:
        """Return the result of an operation on inputs, of which at least one belongs to this level."""
        raise NotImplementedError

    def owns(self, x: Any) -> bool:
        """Say whether an array belongs to this level."""
        return isinstance(x, Tracer) and x.level is self

    def below(self, x: Any) -> Any:
        """Return an array as the levels below see it."""
        return x.value if self.owns(x) or isinstance(x, Constant) else x


class Tracer:
    """An array in a function that is differentiated.

    Attributes
    ----------
    value : array
        What it stands for; itself a `Tracer` where derivatives are nested.
    level : Level
        The run to which it belongs.
    """

    __array_priority__ = 2000.0
    __array_ufunc__ = None  # NumPy then leaves the operators to this class

    def __init__(self, value: Array, level: Level) -> None:
        self.value = value
        self.level = level

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: len(self.value.shape))
    size = property(lambda self: stripped(self).size)
    device = property(lambda self: device(stripped(self)))
    mT = property(lambda self: self.level.xp.matrix_transpose(self))  # noqa: N815
    T = property(lambda self: self.level.xp.permute_dims(self, tuple(range(self.ndim))[::-1]))

    def __array_namespace__(self, api_version: str | None = None) -> TracingNamespace:
        return self.level.xp

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    def __getitem__(self, index: Any) -> Any:
        return self.level.xp.getitem(self, index)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __iter__(self) -> Any:
        return (self[i, ...] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        msg = (
            f"An array that is differentiated has no {name!r}: write functions of `xp`, such as xp.sum(x) for x.sum()."
        )
        raise AttributeError(msg)

    def __bool__(self) -> bool:
        msg = "A function that is differentiated cannot decide by the values of an array; use xp.where."
        raise TypeError(msg)

    def _no_number(self, *_: Any, **__: Any) -> Any:
        msg = "A function that is differentiated must keep to functions of `xp`; here an array was to become a number."
        raise TypeError(msg)

    __float__ = __int__ = __index__ = __complex__ = __array__ = _no_number


class Constant(Tracer):
    """What does not change with the arguments, such as the sign of one: below all levels, with the same operators."""


class Fixed(Level):
    """The level of constants."""

    def __init__(self, xp: Namespace) -> None:
        super().__init__(xp)
        self.number = -1

    def record(self, operation: Operation, inputs: tuple[Any, ...]) -> Constant:
        """Return the result, which is constant too."""
        return Constant(operation.value(self.xp, *(self.below(x) for x in inputs)), self)


def constant(x: Any, xp: Namespace) -> Any:
    """Return an array that a function gets beside those it is differentiated by, with the operators of these.

    Not every library's own operators leave the place to those of the other operand.
    """
    return x if isinstance(x, Tracer) else Constant(x, Fixed(xp))


def _left(name: str) -> Callable[[Tracer, Any], Any]:
    return lambda self, other: getattr(self.level.xp, name)(self, other)


def _right(name: str) -> Callable[[Tracer, Any], Any]:
    return lambda self, other: getattr(self.level.xp, name)(other, self)


_TWO_SIDED = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow", "mod": "remainder",
    "floordiv": "floor_divide", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
}  # fmt: skip
_COMPARISONS = {
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}  # fmt: skip
for _operator, _name in _TWO_SIDED.items():
    setattr(Tracer, f"__{_operator}__", _left(_name))
    setattr(Tracer, f"__r{_operator}__", _right(_name))
for _operator, _name in _COMPARISONS.items():
    setattr(Tracer, f"__{_operator}__", _left(_name))
for _operator, _name in {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "bitwise_invert"}.items():
    setattr(Tracer, f"__{_operator}__", lambda self, _name=_name: getattr(self.level.xp, _name)(self))
Tracer.__hash__ = object.__hash__  # type: ignore[method-assign]


def _tracers(values: Iterable[Any]) -> list[Tracer]:
    found = []
    for value in values:
        if isinstance(value, Tracer):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found.extend(_tracers(value))
    return found


def stripped(x: Any) -> Any:
    """Return the plain array beneath all levels; tuples and lists entry by entry."""
    if isinstance(x, (list, tuple)) and _tracers(x):
        return type(x)(stripped(part) for part in x)
    while isinstance(x, Tracer):
        x = x.value
    return x


def apply(operation: Operation, xp: Namespace, *inputs: Any) -> Any:
    """Return the result of an operation, noted by the highest level among its inputs."""
    tracers = _tracers(inputs)
    if not tracers:
        return operation.value(xp, *inputs)
    return max((x.level for x in tracers), key=lambda level: level.number).record(operation, inputs)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "pow": operator.pow, "remainder": operator.mod, "negative": operator.neg, "positive": operator.pos,
    "floor_divide": operator.floordiv, "less": operator.lt, "less_equal": operator.le, "greater": operator.gt,
    "greater_equal": operator.ge, "equal": operator.eq, "not_equal": operator.ne,
}  # fmt: skip
"""What operators do as well; unlike functions of older libraries they take Python's numbers."""


class TracingNamespace:
    """The functions of a namespace on arrays that are differentiated; on all others they are the namespace's own.

    Parameters
    ----------
    base : namespace
        The functions of the plain arrays.
    """

    def __init__(self, base: Namespace) -> None:
        self.base = base

    def __repr__(self) -> str:
        return f"TracingNamespace({self.base!r})"

    def __getattr__(self, name: str) -> Any:
        from mlpx.differentiation.functions import FUNCTIONS

        plain = _OPERATORS.get(name) or getattr(self.base, name, None)
        traced = FUNCTIONS.get(name)
        if plain is None and (traced is None or name in RULES):
            msg = f"The namespace has no {name!r}."
            raise AttributeError(msg)
        if isinstance(plain, ModuleType):
            return Extension(plain, name)
        if plain is not None and (isinstance(plain, type) or not callable(plain)):
            return plain

        def call(*inputs: Any, **options: Any) -> Any:
            if plain is not None and not _tracers([*inputs, *options.values()]):
                return plain(*inputs, **options)
            if name in CONSTANT:
                found = plain(*stripped(inputs), **{key: stripped(x) for key, x in options.items()})  # type: ignore[misc]
                return Constant(found, Fixed(self)) if hasattr(found, "dtype") else found
            if traced is None:
                raise TypeError(_no_rule(name))
            return traced(self, *inputs, **options)

        return call


class Extension:
    """An extension of the standard, such as ``xp.linalg``: on arrays that are differentiated it has no rules.

    Parameters
    ----------
    base : module
        Its functions.
    name : str
        Its name in the namespace.
    """

    def __init__(self, base: ModuleType, name: str) -> None:
        self.base = base
        self.name = name

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self.base, name)

        def call(*inputs: Any, **options: Any) -> Any:
            if _tracers([*inputs, *options.values()]):
                raise TypeError(_no_rule(f"{self.name}.{name}"))
            return plain(*inputs, **options)

        return call if callable(plain) else plain


_OTHER_NAMES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "concatenate": "concat", "cumsum": "cumulative_sum", "dot": "matmul",
    "power": "pow", "sigmoid": "exp", "transpose": "permute_dims", "true_divide": "divide",
    "linalg.matmul": "matmul", "linalg.matrix_transpose": "matrix_transpose", "linalg.vecdot": "vecdot",
}  # fmt: skip
"""Functions beside the standard, and what is written in their place."""


def _no_rule(name: str) -> str:
    hint = f"Write it with xp.{_OTHER_NAMES[name]}" if name in _OTHER_NAMES else "Write the function with others"
    return (
        f"`xp.{name}` has no rule by which it is differentiated. {hint}; those that have one stand in the "
        "documentation of mlpx.differentiation."
    )
