"""Facts about the package as a whole: what it imports, what it exports, and that its examples run."""

import ast
import doctest
import importlib
import importlib.metadata
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import mlpx

ROOT = Path(mlpx.__file__).parent
MODULES = [
    "mlpx",
    *sorted(info.name for info in pkgutil.walk_packages([str(ROOT)], "mlpx.") if "__main__" not in info.name),
]
NAMES = {info.name for info in mlpx.available_backends()}
LIBRARIES = NAMES | {"jaxlib", "cupyx"}

# Edges that may import an array library, each with its reason.
EDGES = {
    "mlpx.inputs": {"numpy"},  # takes in lists, tables and labels, which are host data
    "mlpx.files": {"numpy"},  # safetensors reads and writes NumPy arrays
    "mlpx.snapshots": {"numpy"},  # what goes into such files
    "mlpx.autopsy": {"numpy"},  # and this
    "mlpx.persistence": {"numpy"},  # what such files hold
    "mlpx.sources": {"numpy"},  # Arrow's columns become NumPy arrays
    "mlpx.tables": {"numpy"},  # tables are host data before there is a network
    "mlpx.sklearn": {"numpy"},  # scikit-learn's attributes and tables are NumPy's
    "mlpx.bench": {"numpy"},  # draws its data on the host, and times NumPy's own products
    "mlpx.bench.peers": {"torch", "jax", "cupy"},  # measures these libraries
    "mlpx.conversion": {"numpy", "torch"},  # networks of other libraries, which are made there
    "mlpx.plots": {"numpy"},  # matplotlib draws NumPy arrays
    "mlpx.cli": {"numpy"},  # and what the command line reads and prints
}


def file_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def tree_of(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


def imports(nodes: Iterator[ast.AST] | list[ast.stmt]) -> Iterator[str]:
    """Yield what import statements name, ``from a import b`` as ``a.b``."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_edge(module: str, library: str) -> bool:
    return any((module + ".").startswith(edge + ".") and library in allowed for edge, allowed in EDGES.items())


OUTSIDE = [module for module in MODULES if not module.startswith("mlpx.backends")]


@pytest.mark.parametrize("module", OUTSIDE)
def test_array_libraries_are_imported_in_backends_alone(module: str) -> None:
    found = {name.partition(".")[0] for name in imports(ast.walk(tree_of(module)))} & LIBRARIES
    assert {library for library in found if not is_edge(module, library)} == set()


def test_every_edge_is_still_one() -> None:
    for edge, allowed in EDGES.items():
        own = [module for module in MODULES if (module + ".").startswith(edge + ".")]
        used = {name.partition(".")[0] for module in own for name in imports(ast.walk(tree_of(module)))}
        assert allowed <= used or not own, f"{edge} needs no entry any more"


@pytest.mark.parametrize("module", OUTSIDE)
def test_no_branch_on_a_backend_by_name(module: str) -> None:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, (ast.Compare, ast.MatchValue)):
            constants = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
            assert not constants & NAMES, f"{file_of(module).name}:{node.lineno}"


def top_level(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported."""
    for node in nodes:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from top_level([*node.body, *node.orelse])
        if isinstance(node, ast.Try):
            yield from top_level(
                [*node.body, *node.orelse, *node.finalbody, *(s for h in node.handlers for s in h.body)]
            )


def test_the_import_graph_has_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        named = [name for name in imports(top_level(tree_of(module).body)) if name.startswith("mlpx")]
        # a package's own name in ``from package import module`` loads nothing that is not loaded
        edges = {name if name in MODULES else name.rpartition(".")[0] for name in named}
        graph[module] = edges - {module}
        assert edges <= set(MODULES)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for other in sorted(graph[module]):
                visit(other, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())
    assert len(done) > 20


def test_importing_loads_nothing_but_numpy_and_array_api_compat() -> None:
    code = """
import sys, numpy, array_api_compat.numpy
before = set(sys.modules)
import mlpx
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "mlpx" in loaded
    assert loaded - {"mlpx", "numpy", "array_api_compat"} - set(sys.stdlib_module_names) == set()


def test_the_public_names_are_sorted_and_complete() -> None:
    exported = mlpx.__all__
    assert len(set(exported)) == len(exported)
    # constants, then classes, then the rest, as linters sort them
    assert exported == sorted(exported, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n))
    imported = {
        alias.asname or alias.name
        for node in tree_of("mlpx").body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert {name for name in imported if not name.startswith("_")} | {"__version__"} == set(exported)


def load(module: str) -> ModuleType:
    """Import a module, or skip where its optional library is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if (error.name or "mlpx").startswith("mlpx"):
            raise
        pytest.skip(f"{module} needs {error.name}")


@pytest.mark.parametrize("module", MODULES)
def test_all_names_that_a_module_exports_exist_and_say_what_they_are(module: str) -> None:
    loaded = load(module)
    assert loaded.__doc__
    for name in getattr(loaded, "__all__", ()):
        value = getattr(loaded, name)
        assert value.__doc__ or isinstance(value, ModuleType), f"{module}.{name}"


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_docstrings_run(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(module)
    if module.startswith("mlpx.plots"):
        pytest.importorskip("matplotlib").use("Agg")
    for library in ("onnx", "sklearn", "tensorboard", "torch"):  # which an example may show
        if f">>> import {library}" in inspect.getsource(loaded) or f">>> from {library}" in inspect.getsource(loaded):
            pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLPX_BACKEND", raising=False)
    result = doctest.testmod(loaded)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    assert result.failed == 0


def test_the_version_is_that_of_the_metadata() -> None:
    assert mlpx.__version__ == importlib.metadata.version("mlpx")


def test_types_are_declared() -> None:
    assert (ROOT / "py.typed").is_file()
