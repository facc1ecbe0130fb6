"""The page on exports, followed as it is printed: from a CSV file to a server that does not have mlpx."""

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

for library in ("pandas", "onnx", "onnxruntime"):
    pytest.importorskip(library)

PAGE = Path(__file__).parents[1] / "docs/guide/export.md"
STEP = re.compile(r"^```(?:\{code-block\} python\n:caption: (?P<file>\S+)\n|bash\n)(?P<text>.*?)^```$", re.M | re.S)
# runs a program in which mlpx cannot be imported
ALONE = (
    "import runpy, sys; sys.modules['mlpx'] = None; "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def command(line):
    name, *arguments = line.split()
    start = {"mlpx": ["-m", "mlpx"], "python": ["-c", ALONE]}[name]
    return [sys.executable, *start, *arguments]


def run(line, folder):
    line, _, output = line.partition(" > ")
    done = subprocess.run(command(line), capture_output=True, text=True, cwd=folder, timeout=120)
    assert done.returncode == 0, f"{line}: {done.stderr}"
    if output:
        (folder / output).write_text(done.stdout, encoding="utf-8")
    return done.stdout


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port, process):
    for _ in range(300):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    pytest.fail("the server does not answer")


def test_the_page(tmp_path):
    port, answers, server = free_port(), [], None
    try:
        for step in STEP.finditer(PAGE.read_text(encoding="utf-8")):
            if step["file"]:
                (tmp_path / step["file"]).write_text(step["text"].replace("8000", str(port)), encoding="utf-8")
                continue
            for line in step["text"].splitlines():
                if line == "python server.py":
                    server = subprocess.Popen(command(line), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
                    wait_for(port, server)
                else:
                    answers.append((line, run(line, tmp_path)))
    finally:
        if server is not None:
            server.kill()
            server.communicate()
    found = dict(answers)
    first, second = json.loads(found["python ask.py"])
    assert first == pytest.approx(1430, abs=150)
    assert 0 < second < first
    predicted = (tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert (predicted[0], len(predicted)) == ("rent", 1001)
    assert predicted == run("mlpx predict flats.mlpx flats.csv", tmp_path).splitlines()
