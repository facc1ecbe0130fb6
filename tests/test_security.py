"""What SECURITY.md promises of the sources: no pickle, no evaluation of texts, no network, no other programs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlpx

ROOT = Path(mlpx.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

CALLS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
MODULES = {
    "pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "copyreg", "code", "codeop", "runpy",
    "socket", "ssl", "urllib", "http", "ftplib", "smtplib", "telnetlib", "xmlrpc", "requests", "httpx", "aiohttp",
    "subprocess", "pty", "webbrowser", "ctypes", "cffi",
}  # fmt: skip
PROGRAMS = {"system", "popen", "spawnl", "spawnv", "posix_spawn", "execv", "execve", "execl", "fork"}

EXCEPTIONS = {
    ("bench/machine.py", "subprocess"): "asks nvidia-smi for the card",
    ("bench/memory.py", "subprocess"): "measures memory in a Python of its own",
    ("bench/memory.py", "ctypes"): "gives memory back to the system between measurements",
    ("backends/cuda/products.py", "ctypes"): "calls cuBLAS",
}
"""What is allowed where, with the reason."""


def found(tree: ast.AST) -> Iterator[str]:
    """Yield what a source uses of the lists above."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from {alias.name.partition(".")[0] for alias in names} & MODULES
            case ast.ImportFrom(module=str(module)):
                yield from {module.partition(".")[0]} & MODULES
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield name
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in PROGRAMS:
                yield name
            case ast.Attribute(attr="read_pickle" | "parse_expr" as name):
                yield name
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=value)) if value is not False:
                yield "allow_pickle"
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(module)), *_]):
                yield from {module.partition(".")[0]} & MODULES


def used() -> set[tuple[str, str]]:
    return {
        (path.relative_to(ROOT).as_posix(), what)
        for path in SOURCES
        for what in found(ast.parse(path.read_text(encoding="utf-8")))
    }


def test_no_source_uses_what_is_forbidden() -> None:
    assert used() - set(EXCEPTIONS) == set()


def test_every_exception_is_still_one() -> None:
    assert set(EXCEPTIONS) - used() == set()


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from urllib.request import urlopen",
        "eval('1')",
        "np.load(path, allow_pickle=True)",
        "os.system('ls')",
        "importlib.import_module('socket')",
    ],
)
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert list(found(ast.parse(text)))


def test_every_array_file_is_read_without_pickles() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load":
                owner = node.func.value
                if isinstance(owner, ast.Name) and owner.id in ("np", "numpy", "xp"):
                    given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
                    assert given.get("allow_pickle") is False, f"{path.name}:{node.lineno}"


HOOKED = """
import sys
forbidden = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "pickle.", "marshal.loads")
seen = []

def hook(event, arguments):
    # Python itself reads compiled modules with marshal
    if watching and event.startswith(forbidden) and event != "marshal.loads":
        seen.append(event)

watching = False
sys.addaudithook(hook)
import mlpx, numpy as np
formula = mlpx.differentiation.activation_from_formula("x*sigmoid(x)")
net = mlpx.MLP([2, 3, 2], activation=formula, members=2)
watching = True
net.fit(np.eye(2), [0, 1], epochs=2, progress=False)
net.save(sys.argv[1])
mlpx.load(sys.argv[1]).predict(np.eye(2))
print(seen)
"""


def test_training_saving_and_loading_open_no_connection_and_start_no_program(tmp_path: Path) -> None:
    """Python's own audit events tell, also of what libraries do."""
    command = [sys.executable, "-c", HOOKED, str(tmp_path / "model.mlpx")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.strip() == "[]"
