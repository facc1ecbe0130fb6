"""What the docstring of every public name says: shapes, units, results, errors, sources and an example.

`tests/test_docs.py` runs the examples; this file walks over the public names and asks for the sections.
"""

import ast
import importlib
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import mlpx

ALL = [
    "mlpx", "mlpx.activations", "mlpx.bench", "mlpx.conversion", "mlpx.differentiation", "mlpx.initializers",
    "mlpx.losses", "mlpx.metrics", "mlpx.optimizers", "mlpx.plots", "mlpx.schedules", "mlpx.sklearn",
]  # fmt: skip
PUBLIC = [name for name in ALL if importlib.util.find_spec(name)]

# Formulas come from the literature; these have no single source to name, or their base class names none.
WITHOUT_SOURCE = {
    "Activation": "a base class", "Initializer": "a base class", "Loss": "a base class", "Optimizer": "a base class",
    "Schedule": "a base class", "Point": "a record", "custom": "the user's own formula", "identity": "f(z) = z",
    "exp": "the exponential function", "constant": "a number", "zeros": "a number", "uniform": "a distribution",
    "normal": "a distribution", "squared_error": "Gauss and Legendre; every textbook", "Constant": "a number",
    "mean_squared_error": "squared error by another factor", "get": "a choice by name", "error_rate": "1 - accuracy",
}  # fmt: skip
SOURCED = {"activations", "initializers", "losses", "optimizers", "schedules"}

# Records and exceptions: the functions that make or raise them show them.
WITHOUT_EXAMPLE = {
    "MlpxError": "the base, never raised itself",
    "BackendUnavailableError": "raised only where a library is missing",
    "CaseResult": "`measure` shows one",
    "Result": "`measure` shows one",
}
# Methods whose example is the class's: accessors, hooks that a subclass fills, and parts of a protocol.
PROTOCOLS = {"Backend", "Callback", "Layer", "Schedule", "Metric", "Optimizer", "Activation", "Loss", "Initializer"}


class Public(NamedTuple):
    """A public function or class, or a method of a public class."""

    name: str
    value: Any
    owner: type | None = None


def load(name: str) -> ModuleType | None:
    """Import a module; None where its optional library is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if (error.name or "mlpx").startswith("mlpx"):
            raise
        return None


def own_members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield public methods and properties that this package defines, also in private bases."""
    seen = set()
    for base in cls.__mro__:
        if base.__module__.startswith("mlpx."):
            for name, value in vars(base).items():
                if name not in seen and (not name.startswith("_") or name == "__call__"):
                    seen.add(name)
                    if isinstance(value, (property, staticmethod, classmethod)) or inspect.isfunction(value):
                        yield name, getattr(value, "__func__", value)


def public_names() -> Iterator[Public]:
    """Yield every public function, class and method once."""
    seen = set()
    for module in filter(None, map(load, PUBLIC)):
        for name in module.__all__:
            value = getattr(module, name)
            if id(value) in seen or isinstance(value, (ModuleType, str)):
                continue
            seen.add(id(value))
            yield Public(f"{module.__name__}.{name}", value)
            if inspect.isclass(value):
                for member, function in own_members(value):
                    yield Public(f"{module.__name__}.{name}.{member}", function, value)


NAMES = list(public_names())


def sections(docstring: str | None) -> dict[str, str]:
    """Return the text under each heading of a numpydoc docstring; the beginning is ``""``."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", inspect.cleandoc(docstring or ""), flags=re.MULTILINE)
    return {"": parts[0].strip(), **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(section: str) -> dict[str, str]:
    """Return name and type of what a section lists."""
    found = {}
    for line in section.splitlines():
        if line and not line.startswith(" "):
            names, _, kind = line.partition(" : ")
            found.update({name.strip(" *"): kind for name in names.split(",")})
    return found


def overrides(public: Public) -> bool:
    """Say whether a method fills in what a base class of this package documents."""
    member = public.name.rpartition(".")[2]
    bases = public.owner.__mro__[1:] if public.owner else ()
    return any(member in vars(base) and vars(base)[member].__doc__ for base in bases if base is not object)


def arguments(public: Public) -> set[str]:
    """Return the names of the arguments that a caller gives."""
    try:
        signature = inspect.signature(public.value)
    except (TypeError, ValueError):
        return set()
    hidden = {"self", "cls"}
    return {name for name in signature.parameters if name not in hidden and not name.startswith("_")}


def bodies(value: Any) -> Iterator[ast.AST]:
    """Yield the syntax tree of a function, or of what a class runs to make an object."""
    found = [vars(value).get(name) for name in ("__init__", "__post_init__")] if inspect.isclass(value) else [value]
    for function in filter(inspect.isfunction, found):
        written = inspect.unwrap(function)
        if written.__code__.co_filename != "<string>":  # a dataclass's own __init__
            yield ast.parse(textwrap.dedent(inspect.getsource(written)))


def raises(value: Any) -> bool:
    """Say whether its own code raises, or checks its arguments by functions that do."""
    nodes = [node for tree in bodies(value) for node in ast.walk(tree)]
    raised = (ast.unparse(node.exc) for node in nodes if isinstance(node, ast.Raise) and node.exc)
    called = (ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call))
    return any(name != "NotImplementedError" for name in raised) or any(
        name.startswith(("check_", "self._check")) for name in called
    )


def missing(public: Public) -> Iterator[str]:
    """Yield what a docstring lacks."""
    found = sections(public.value.__doc__)
    name = public.name.rpartition(".")[2]
    if not found[""]:
        yield "a summary"
    if isinstance(public.value, property) or overrides(public):
        return
    listed = entries(found.get("Parameters", "")) | entries(found.get("Attributes", ""))
    if lacking := arguments(public) - set(listed):
        yield f"Parameters: {', '.join(sorted(lacking))}"
    for argument, kind in {**listed, **entries(found.get("Returns", ""))}.items():
        if re.match(r"(integer |boolean )?array", f"{kind or argument}") and "shape" not in f"{kind or argument}":
            yield f"the shape of {argument}"
    if inspect.isfunction(public.value):
        returned = inspect.signature(public.value).return_annotation
        if returned not in (None, "None", inspect.Signature.empty) and not {"Returns", "Yields"} & found.keys():
            yield "Returns"
    if raises(public.value) and "Raises" not in found:
        yield "Raises"
    if public.owner is None or public.owner.__name__ not in PROTOCOLS:
        if name not in WITHOUT_EXAMPLE and ">>> " not in found.get("Examples", ""):
            yield "Examples"
    family = public.value.__module__.rpartition(".")[2] if public.owner is None else ""
    if family in SOURCED and name not in WITHOUT_SOURCE and "References" not in found:
        yield "References"


@pytest.mark.parametrize("public", NAMES, ids=[public.name for public in NAMES])
def test_the_docstring_says_all(public: Public) -> None:
    assert list(missing(public)) == []
