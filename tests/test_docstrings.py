"""What the docstring of every public name says: shapes, results, errors, the source of a formula and an example.

Whether the examples run is asked in `tests/test_package.py`.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from public_modules import PUBLIC, load

# Formulas come from the literature, and their docstrings name it. These name none:
SOURCED = {"activations", "initializers", "losses", "optimizers", "schedules"}
WITHOUT_SOURCE = {
    "Activation": "a base class", "Initializer": "a base class", "Loss": "a base class", "Optimizer": "a base class",
    "Schedule": "a base class", "Point": "a record", "get": "a choice by name", "custom": "the user's own formula",
    "identity": "f(z) = z", "exp": "the exponential function", "Constant": "one number", "constant": "one number",
    "zeros": "one number", "uniform": "a distribution", "normal": "a distribution",
    "automatic": "the user's own function", "formula": "the user's own formula", "Linear": "a line",
    "squared_error": "older than its sources", "mean_squared_error": "the same by another factor",
}  # fmt: skip

WITHOUT_EXAMPLE = {
    "BackendUnavailableError": "raised only where a library is missing",
    "CaseResult": "that of `measure` shows it",
    "MlpxError": "the base, never raised itself",
    "Result": "that of `measure` shows it",
}
# Their methods are called by the package, not by users; the pages "Writing your own" show how to fill them in.
PROTOCOLS = {
    "Activation",
    "Backend",
    "Callback",
    "Initializer",
    "Layer",
    "Loss",
    "Metric",
    "Optimizer",
    "Schedule",
    "Source",
}


BY_OTHERS = PROTOCOLS | WITHOUT_EXAMPLE.keys()


class Public(NamedTuple):
    """A public function or class, or a member of a public class."""

    path: str
    value: Any
    owner: type | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties of a class that this package defines, in private bases too."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("mlpx."):
            found.update(vars(base))
    for name, value in found.items():
        if name == "__call__" or not name.startswith("_"):
            function = getattr(value, "__func__", value)
            if isinstance(function, property) or inspect.isfunction(function):
                yield name, function


def public_names() -> Iterator[Public]:
    """Yield every public function and class once, each with its members."""
    seen = set()
    for module in filter(None, map(load, PUBLIC)):
        for name in module.__all__:
            value = getattr(module, name)
            found = [Public(f"{module.__name__}.{name}", value)]
            if inspect.isclass(value):
                found += [Public(f"{found[0].path}.{member}", own, value) for member, own in members(value)]
            for public in found if inspect.isclass(value) or inspect.isfunction(value) else ():
                if id(public.value) not in seen:  # what is inherited stands once
                    seen.add(id(public.value))
                    yield public


NAMES = list(public_names())


def sections(docstring: str | None) -> dict[str, str]:
    """Return the text under each heading of a numpydoc docstring; what stands before them is ``""``."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", inspect.cleandoc(docstring or ""), flags=re.MULTILINE)
    return {"": parts[0].strip(), **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(section: str) -> dict[str, str]:
    """Return the types by name that a section lists; a type without a name stands for itself."""
    found = {}
    for line in section.splitlines():
        if line and not line.startswith(" "):
            names, _, kind = line.partition(" : ")
            found.update({name.strip(" *"): kind or names for name in names.split(",")})
    return found


def documented_above(public: Public) -> bool:
    """Say whether a member fills in what a base class of this package documents."""
    bases = public.owner.__mro__ if public.owner else ()
    own = next((i for i, base in enumerate(bases) if public.name in vars(base)), 0)
    return any(getattr(vars(base).get(public.name), "__doc__", None) for base in bases[own + 1 :])


def trees(value: Any) -> Iterator[ast.AST]:
    """Yield the syntax tree of a function, or of what a class runs to make an object."""
    found = [vars(value).get(name) for name in ("__init__", "__post_init__")] if inspect.isclass(value) else [value]
    for function in map(inspect.unwrap, filter(inspect.isfunction, found)):
        if function.__code__.co_filename != "<string>":  # a dataclass's own
            yield ast.parse(textwrap.dedent(inspect.getsource(function)))


def may_raise(value: Any) -> bool:
    """Say whether its code raises, or calls the checks of arguments that do."""
    nodes = [node for tree in trees(value) for node in ast.walk(tree)]
    raised = {ast.unparse(node.exc) for node in nodes if isinstance(node, ast.Raise) and node.exc}
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    return bool(raised - {"NotImplementedError"}) or any(name.startswith(("check_", "self._check")) for name in called)


def lacks_arguments(public: Public, found: dict[str, str]) -> Iterator[str]:
    listed = entries(found.get("Parameters", "")) | entries(found.get("Attributes", ""))
    try:
        given = set(inspect.signature(public.value).parameters) - {"self", "cls"}
    except (TypeError, ValueError):
        return
    yield from (f"the argument {name}" for name in sorted(given) if name not in listed and not name.startswith("_"))


def lacks_shapes(found: dict[str, str]) -> Iterator[str]:
    for section in ("Parameters", "Attributes", "Returns"):
        for name, kind in entries(found.get(section, "")).items():
            if re.match(r"((integer|boolean) )?array\b(?!-like)", kind) and "shape" not in kind:
                yield f"the shape of {name}"


def lacks_result(public: Public, found: dict[str, str]) -> Iterator[str]:
    if inspect.isfunction(public.value):
        returned = inspect.signature(public.value).return_annotation
        if returned not in (None, "None", inspect.Signature.empty) and not {"Returns", "Yields"} & found.keys():
            yield "what it returns"


def lacks_example(public: Public, found: dict[str, str]) -> Iterator[str]:
    if public.owner is None:
        shown = ">>> " in found.get("Examples", "") or public.name in WITHOUT_EXAMPLE
    else:
        example = sections(public.owner.__doc__).get("Examples", "") + found.get("Examples", "")
        shown = f".{public.name}(" in example or any(base.__name__ in BY_OTHERS for base in public.owner.__mro__)
    if not shown:
        yield "an example"


def lacks_source(public: Public, found: dict[str, str]) -> Iterator[str]:
    family = public.value.__module__.rpartition(".")[2]
    if family in SOURCED and public.owner is None and public.name not in WITHOUT_SOURCE and "References" not in found:
        yield "its source"


def lacks(public: Public) -> Iterator[str]:
    """Yield what a docstring does not say; a member that fills in a documented one may be brief."""
    found = sections(public.value.__doc__)
    if documented_above(public):
        return
    if isinstance(public.value, property):
        listed = entries(sections(getattr(public.owner, "__doc__", None)).get("Attributes", ""))
        yield from () if found[""] or public.name in listed else ("a summary",)
        return
    if not found[""]:
        yield "a summary"
    yield from lacks_arguments(public, found)
    yield from lacks_shapes(found)
    yield from lacks_result(public, found)
    if may_raise(public.value) and "Raises" not in found:
        yield "what it raises"
    yield from lacks_source(public, found)
    yield from lacks_example(public, found)


@pytest.mark.parametrize("public", NAMES, ids=[public.path for public in NAMES])
def test_the_docstring_says_all(public: Public) -> None:
    assert list(lacks(public)) == []


def test_every_exemption_is_still_one() -> None:
    by_name = {public.name: public for public in NAMES if public.owner is None}
    assert {*WITHOUT_SOURCE, *WITHOUT_EXAMPLE, *PROTOCOLS} <= by_name.keys()
    assert [
        name for name in WITHOUT_EXAMPLE if ">>> " in sections(by_name[name].value.__doc__).get("Examples", "")
    ] == []
    with_source = [name for name in WITHOUT_SOURCE if "References" in sections(by_name[name].value.__doc__)]
    assert with_source == []


def brief(x: Any) -> int:
    """Return something."""
    msg = "always"
    raise ValueError(msg)


def test_what_a_brief_docstring_lacks() -> None:
    wanted = ["the argument x", "what it returns", "what it raises", "an example"]
    assert list(lacks(Public("tests.brief", brief))) == wanted
