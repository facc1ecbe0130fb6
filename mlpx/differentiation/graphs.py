"""The computational graph of a function: every step with its value, and the derivative of the result by it."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

from mlpx._typing import Array, Formula, Namespace
from mlpx.backends import to_numpy
from mlpx.differentiation.edge import arrays_of, context_of, split
from mlpx.differentiation.reverse import Reverse, Taped, check_scalar
from mlpx.differentiation.tracing import Tracer, constant, stripped

__all__ = ["Graph", "Node", "graph", "show_graph"]


class Node(NamedTuple):
    """One step of a computation.

    Attributes
    ----------
    name : str
        That of the argument, ``v1``, ``v2``, … for a step, or that of the function for the result.
    formula : str
        What was computed, such as ``"v1 + b"``; empty for an argument.
    value : NumPy array
        What came out.
    derivative : NumPy array
        The derivative of the result by it, of the same shape.
    inputs : tuple of int
        Positions of the nodes that went in.

    Examples
    --------
    >>> from mlpx.differentiation import graph
    >>> found = graph(lambda x, xp: xp.exp(2 * x), 0.0)
    >>> node = found["v1"]
    >>> node.formula, float(node.value), float(node.derivative)
    ('2 * x', 0.0, 1.0)
    """

    name: str
    formula: str
    value: Array
    derivative: Array
    inputs: tuple[int, ...]


class Graph(NamedTuple):
    """A computation, step by step: the arguments first, the result last.

    Attributes
    ----------
    nodes : tuple of Node
        In the order in which they were computed.

    Examples
    --------
    >>> from mlpx.differentiation import graph
    >>> found = graph(lambda x, xp: xp.exp(2 * x), 0.0)
    >>> [node.name for node in found.nodes]
    ['x', 'v1', 'f']
    >>> float(found["x"].derivative)
    2.0
    """

    nodes: tuple[Node, ...]

    def __str__(self) -> str:
        head = ("step", "from", "value", f"d {self.nodes[-1].name} / d step")
        return "\n".join([_line(head), *(_line(_texts(node)) for node in self.nodes)])

    def __getitem__(self, name: Any) -> Any:
        """Return a node by its name, or by its position."""
        if not isinstance(name, str):
            return self.nodes[name]
        for node in self.nodes:
            if node.name == name:
                return node
        msg = f"`name` must be one of {', '.join(node.name for node in self.nodes)}; got {name!r}."
        raise KeyError(msg)


def _texts(node: Node) -> tuple[str, str, str, str]:
    return node.name, node.formula or "argument", number_text(node.value), number_text(node.derivative)


def _line(texts: tuple[str, ...]) -> str:
    return "".join(_fit(text, width) for text, width in zip(texts, (8, 28, -20, -20), strict=True)).rstrip()


def _fit(text: str, width: int) -> str:
    """Return a text cut to a width, and one blank less, so that columns stay apart; to the right where negative."""
    room = abs(width) - 1
    short = text if len(text) <= room else text[: room - 1] + "…"
    return f"{short:<{width}}" if width > 0 else f"{short:>{-width}}"


def number_text(x: Array) -> str:
    """Return an array in few characters: its numbers, or shape and norm where there are many."""
    if x.size <= 3:
        numbers = ", ".join(f"{float(value) + 0.0:.{3 if x.shape else 4}g}" for value in x.reshape(-1))
        return numbers if not x.shape else f"[{numbers}]"
    norm = float((x.astype("float64") ** 2).sum()) ** 0.5
    return f"{_shape(x)}, norm {norm:.3g}"


def _shape(x: Array) -> str:
    return " x ".join(map(str, x.shape)) if len(x.shape) > 1 else f"{x.shape[0]} numbers"


def graph(function: Formula, *arguments: Any, xp: Namespace | None = None) -> Graph:
    """Return the computational graph of a scalar function, with values and derivatives by reverse mode.

    Parameters
    ----------
    function : callable
        ``function(*arrays, xp)`` returns one number, written in functions of the standard.
    *arguments : array of shape (...), or float
        Its arguments; the namespace may stand behind them.
    xp : namespace, optional
        The functions to compute with; by default those of the arrays.

    Returns
    -------
    Graph
        Its `str` is a table of 80 columns; ``graph["w"]`` is a node.

    Raises
    ------
    TypeError, ValueError
        As for `mlpx.differentiation.gradient`; also where the result does not depend on the arguments.

    Examples
    --------
    >>> def f(x, w, b, xp):
    ...     return 1 / (xp.exp(-(w * x + b)) + 1)
    >>> print(graph(f, 1.0, 0.0, 0.0))
    step    from                                       value        d f / d step
    x       argument                                       1                   0
    w       argument                                       0                0.25
    b       argument                                       0                0.25
    v1      w * x                                          0                0.25
    v2      v1 + b                                         0                0.25
    v3      -v2                                            0               -0.25
    v4      exp(v3)                                        1               -0.25
    v5      v4 + 1                                         2               -0.25
    f       1 / v5                                       0.5                   1
    """
    arrays, xp = arrays_of(*split(arguments, xp))
    with context_of(arrays):
        level = Reverse(xp)
        floating = [level.xp.isdtype(x.dtype, "real floating") for x in arrays]
        inputs = [Taped(x, level) if f else constant(x, level.xp) for x, f in zip(arrays, floating, strict=True)]
        result = function(*inputs, level.xp)
        _check_result(result, level)
        found = level.derivatives(result, level.xp.ones_like(level.below(result)))
        taped = [x for x in inputs if isinstance(x, Taped)]
        steps = [x for x in reversed(level.tape(result)) if x.operation is not None]
        names = dict(zip(map(id, inputs), _argument_names(function, len(inputs)), strict=True))
        names |= {id(x): f"v{i}" for i, x in enumerate(steps, 1)}
        names[id(result)] = _function_name(function, set(names.values()))
        return Graph(tuple(_nodes([*taped, *steps], names, found)))


def show_graph(function: Formula, *arguments: Any, xp: Namespace | None = None, ax: Any = None) -> Any:
    """Draw the computational graph of a scalar function: each step with its value and the derivative by it.

    Parameters
    ----------
    function, *arguments, xp
        As for `graph`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure, as large as the graph needs.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    TypeError, ValueError
        As for `graph`.

    Examples
    --------
    >>> def f(x, w, b, xp):
    ...     return 1 / (xp.exp(-(w * x + b)) + 1)
    >>> ax = show_graph(f, 1.0, 0.0, 0.0)  # doctest: +SKIP
    """
    from mlpx.differentiation.drawing import draw

    return draw(graph(function, *arguments, xp=xp), ax)


def _check_result(result: Any, level: Reverse) -> None:
    check_scalar(level.below(result))
    if not level.owns(result):
        msg = "`function` must return a number that depends on its arguments; there is no graph to show."
        raise ValueError(msg)


def _nodes(taped: list[Taped], names: dict[int, str], found: dict[int, Array]) -> list[Node]:
    places = {x.position: i for i, x in enumerate(taped)}
    nodes = []
    for x in taped:
        value = to_numpy(stripped(x))
        slope = found.get(x.position)
        derivative = value * 0.0 if slope is None else to_numpy(stripped(slope))
        own = [part for part in x.inputs if isinstance(part, Taped) and part.level is x.level]
        inputs = tuple(dict.fromkeys(places[part.position] for part in own))
        nodes.append(Node(names[id(x)], _formula(x, names), value, derivative, inputs))
    return nodes


def _argument_names(function: Formula, count: int) -> list[str]:
    """Return the names of the arguments."""
    try:
        given = [p.name for p in inspect.signature(function).parameters.values() if p.kind != p.VAR_POSITIONAL]
    except (TypeError, ValueError):
        given = []
    return given[:count] if len(given) > count else [f"x{i + 1}" for i in range(count)]


def _function_name(function: Formula, taken: set[str]) -> str:
    name = getattr(function, "__name__", "f")
    if name.isidentifier() and name not in taken and len(name) < 8:
        return name
    return "result" if "f" in taken else "f"


_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "pow": "**", "remainder": "%", "matmul": "@"}


def _formula(x: Taped, names: dict[int, str]) -> str:
    operation: Any = x.operation
    if operation is None:
        return ""
    parts = [names.get(id(part)) or _short(part) for part in x.inputs]
    if operation.name in _SIGNS:
        return f" {_SIGNS[operation.name]} ".join(parts)
    if operation.name == "negative":
        return f"-{parts[0]}"
    if operation.name == "getitem":
        return f"{parts[0]}[{', '.join(map(_index, operation.arguments[0]))}]"
    return f"{operation.name}({', '.join([*parts, *_settings(operation)])})"


def _settings(operation: Any) -> list[str]:
    """Return what else an operation was told, such as an axis."""
    told = [_short(argument) for argument in getattr(operation, "arguments", ())]
    options = {**getattr(operation, "options", {})}
    for name in ("axis", "keepdims"):
        if hasattr(operation, name):
            options[name] = getattr(operation, name)
    return told + [
        f"{key}={_short(value)}" for key, value in options.items() if value is not None and value is not False
    ]


def _short(part: Any) -> str:
    part = stripped(part) if isinstance(part, Tracer) else part
    if isinstance(part, (int, float)):
        return f"{part:.4g}" if part >= 0 else f"({part:.4g})"
    if hasattr(part, "shape"):
        array = to_numpy(part)
        return number_text(array) if array.size <= 3 else f"({_shape(array)})"
    return str(part)


def _index(part: Any) -> str:
    if not isinstance(part, slice):
        return str(part)
    ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
    return ":".join(ends) + ("" if part.step in (None, 1) else f":{part.step}")
