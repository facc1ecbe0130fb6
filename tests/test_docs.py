"""What the documentation shows runs: the Python blocks of the pages and of the README, the examples of docstrings."""

import doctest
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mlpx

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(p for p in ROOT.glob("docs/**/*.md") if "_build" not in p.parts)])
API = sorted(ROOT.glob("docs/api/*.md"))
BLOCK = re.compile(r"^(?P<fence>```+)python[^\n]*\n(?P<code>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
MODULES = [m.name for m in pkgutil.walk_packages(mlpx.__path__, "mlpx.") if not m.name.endswith("__main__")]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in an empty folder, on NumPy, with pictures that nobody sees."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLPX_BACKEND", raising=False)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def run_examples(test: doctest.DocTest) -> None:
    """Run a doctest; its names stay in ``test.globs``."""
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append, clear_globs=False)
    assert result.failed == 0, "".join(report)


def skip_without(*codes: str) -> None:
    """Skip where the code imports a library that is not installed."""
    for library in ("sklearn", "pandas", "torch"):
        if any(re.search(rf"^(>>> )?(import|from) {library}\b", code, re.MULTILINE) for code in codes):
            pytest.importorskip(library)
    if any(
        re.search(r"^(>>> )?(from|import) (mlpx import plots|mlpx\.plots|matplotlib)", code, re.MULTILINE)
        for code in codes
    ):
        pytest.importorskip("matplotlib")


def run_block(code: str, names: dict[str, Any], page: Path, line: int) -> None:
    """Run one block, as a doctest where it has prompts; names are shared by the blocks of a page."""
    if ">>> " in code:
        test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
        run_examples(test)
        names.update(test.globs)
    else:
        exec(compile("\n" * line + code, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(page: Path) -> None:
    """The blocks of a page run one after another."""
    text = page.read_text(encoding="utf-8")
    blocks = [(m["code"], text.count("\n", 0, m.start("code"))) for m in BLOCK.finditer(text)]
    if not blocks:
        pytest.skip("the page has no Python block")
    missing = [info.name for info in mlpx.available_backends() if not info.available]
    skip_without(*(code for code, _ in blocks))
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        for code, line in blocks:
            if not any(f'"{name}"' in code for name in missing):  # a block may show a library that is not here
                run_block(code, names, page, line)
    finally:
        mlpx.set_backend(None)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    """The examples of a module's docstrings run."""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} needs {error.name}")
    tests = [test for test in doctest.DocTestFinder().find(module, name) if test.examples]
    skip_without(*(f">>> {example.source}" for test in tests for example in test.examples))
    for test in tests:
        run_examples(test)


def test_every_public_name_is_in_the_reference() -> None:
    """The API pages list what `__all__` lists."""
    listed = set(
        re.findall(
            r"^ *(?:\.\. [\w:]+:: )?([\w.]+)$",
            "\n".join(page.read_text(encoding="utf-8") for page in API),
            re.MULTILINE,
        )
    )
    names = {name.rpartition(".")[2] for name in listed}
    modules = [mlpx.activations, mlpx.initializers, mlpx.losses, mlpx.metrics, mlpx.optimizers, mlpx.schedules]
    public = {*mlpx.__all__, *(name for module in modules for name in module.__all__)}
    assert sorted(public - names) == []


def test_every_picture_is_in_the_reference() -> None:
    """The page of `mlpx.plots` documents each of its functions."""
    text = (ROOT / "docs/api/plots.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\.\. autofunction:: (\w+)$", text, re.MULTILINE))
    assert sorted(set(importlib.import_module("mlpx.plots").__all__) ^ documented) == []


def test_every_estimator_is_in_the_reference() -> None:
    """The page of `mlpx.sklearn` documents each of its classes and functions."""
    pytest.importorskip("sklearn")
    text = "".join((ROOT / f"docs/api/{page}.md").read_text(encoding="utf-8") for page in ("sklearn", "conversion"))
    documented = set(re.findall(r"^\.\. auto(?:class|function):: (\w+)$", text, re.MULTILINE))
    assert sorted(set(importlib.import_module("mlpx.sklearn").__all__) - documented) == []


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "info", "bench"])
def test_every_option_is_in_the_guide(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The page on the command line names every option that ``--help`` shows."""
    from mlpx.cli import main

    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = set(re.findall(r"--[a-z][a-z0-9-]+", capsys.readouterr().out))
    text = (ROOT / "docs/guide/command-line.md").read_text(encoding="utf-8")
    assert sorted(option for option in shown if option not in text) == []
