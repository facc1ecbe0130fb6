"""scikit-learn's own tests of its two classes, run as they are against mlpx's."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

pytest.importorskip("sklearn", minversion="1.9")

THEIRS = "sklearn.neural_network.tests.test_mlp"
#: How many items that file has in scikit-learn 1.9.
ITEMS = 59
PRIVATE = (
    "test_gradient",
    "test_learning_rate_warmstart",
    "test_adaptive_learning_rate",
    "test_n_iter_no_change",
    "test_n_iter_no_change_inf",
)


def run_theirs(folder: Path) -> str:
    """Run the file in a process and a folder of its own, away from this project's settings, and return what it says."""
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    settings = ["-c", "pytest.ini", "--rootdir", ".", "-p", "no:cacheprovider", "-p", "sklearn_plugin"]
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": path, "PYTEST_ADDOPTS": "", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, "--pyargs", THEIRS],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_scikit_learns_own_tests_pass(tmp_path: Path) -> None:
    said = run_theirs(tmp_path)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", said.strip().splitlines()[-1])}
    outcomes = {word: number for word, number in counts.items() if not word.startswith("warning")}
    assert outcomes == {"passed": ITEMS - len(PRIVATE), "deselected": len(PRIVATE)}, said
    assert re.search(r"^tested: mlpx\.sklearn\S*\.MLPClassifier, mlpx\.sklearn\S*\.MLPRegressor$", said, re.MULTILINE)
    assert set(re.findall(r"^left out: (\w+)", said, re.MULTILINE)) == set(PRIVATE)


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_left_out_reads_a_private_name(name: str) -> None:
    spec = importlib.util.find_spec(THEIRS)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    test = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    assert any(isinstance(node, ast.Attribute) and node.attr.startswith("_") for node in ast.walk(test))
