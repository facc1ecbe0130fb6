"""What the documentation shows runs, and the reference is whole: Python blocks of the pages and of the READMEs."""

import doctest
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mlpx
from public_modules import PUBLIC, load

ROOT = Path(__file__).parents[1]
READMES = sorted(ROOT.glob("README*.md"))
PAGES = sorted([*READMES, *(p for p in ROOT.glob("docs/**/*.md") if "_build" not in p.parts)])
API = sorted(ROOT.glob("docs/api/*.md"))
BLOCK = re.compile(r"^(?P<fence>```+)python[^\n]*\n(?P<code>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(
    r"^\.\. (auto(?:class|data|function|exception|module)|currentmodule|py:data):: ([\w.]+)", re.MULTILINE
)
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
    for library in ("sklearn", "pandas", "torch", "onnx", "onnxruntime"):
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


def test_readmes_show_the_same_code() -> None:
    """A translation has the blocks of the original, shell commands too."""
    fences = re.compile(r"^```\w+\n.*?^```$", re.MULTILINE | re.DOTALL)
    blocks = [fences.findall(readme.read_text(encoding="utf-8")) for readme in READMES]
    assert len(READMES) == 2
    assert len(blocks[0]) >= 5
    assert blocks[0] == blocks[1]


def documented() -> set[str]:
    """Return what the API pages document, by full name: classes, functions, exceptions, data and modules."""
    found = set()
    for page in API:
        module = ""
        for kind, name in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if kind in ("currentmodule", "automodule"):
                module = name
            found.add(name if name.startswith("mlpx") else f"{module}.{name}")
    return found


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    """The API pages document what `__all__` lists, wherever it can be imported from."""
    module = load(name)
    if module is None:
        pytest.skip(f"{name} needs a library that is not installed")
    in_the_reference = {id(value) for value in map(lookup, documented()) if value is not None}
    public = {public: getattr(module, public) for public in module.__all__}
    assert [f"{name}.{public}" for public, value in public.items() if id(value) not in in_the_reference] == []


def lookup(path: str) -> Any:
    """Return what a full name stands for; None where it cannot be imported here."""
    try:
        return pkgutil.resolve_name(path)
    except (ImportError, AttributeError):
        return None


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "export", "info", "bench"])
def test_every_option_is_in_the_guide(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The page on the command line names every option that ``--help`` shows."""
    from mlpx.cli import main

    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = set(re.findall(r"--[a-z][a-z0-9-]+", capsys.readouterr().out))
    text = (ROOT / "docs/guide/command-line.md").read_text(encoding="utf-8")
    assert sorted(option for option in shown if option not in text) == []
