"""The examples of the gallery run as scripts, each in a process of its own, without a warning."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(ROOT.glob("docs/examples/**/*.py"))
PICTURES = """
import runpy, sys
import matplotlib.pyplot as plt
plt.show = lambda: print("pictures:", len(plt.get_fignums()))
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, tmp_path: Path) -> None:
    """An example comes to its end, and each `plt.show()` has something to show."""
    for library in ("matplotlib", "pandas", "sklearn"):
        pytest.importorskip(library)
    variables = {**os.environ, "MPLBACKEND": "Agg"}
    command = [sys.executable, "-W", "error", "-c", PICTURES, str(example)]
    ran = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "pictures: 0" not in ran.stdout
    assert ran.stdout.count("pictures:") == example.read_text(encoding="utf-8").count("plt.show()")


def test_every_example_is_in_the_gallery() -> None:
    """sphinx-gallery runs, and so draws, the files whose names begin with ``plot_``."""
    assert EXAMPLES
    assert [path.name for path in EXAMPLES if not path.name.startswith("plot_")] == []
