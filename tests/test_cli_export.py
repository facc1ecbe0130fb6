"""``mlpx export``: files, refusals, and the sentence at the end."""

import subprocess
import sys

import numpy as np
import pytest

import mlpx
from mlpx.cli import main


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mlpx.MLP([3, 4, 2]).save("net.mlpx")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "files", "sentence"),
    [
        ([], ["net.onnx"], "session = InferenceSession('net.onnx'); session.run(['y', 'label'], inputs)"),
        (["--onnx", "-o", "graph"], ["graph"], "an array of shape (n, 3) as 'X'"),
        (["--numpy"], ["net.npz", "net.py"], "python net.py data.csv > predictions.csv"),
        (["-o", "other.py"], ["other.npz", "other.py"], "which belong together and need NumPy alone"),
        (["--npz"], ["net.npz"], "numpy.load('net.npz')"),
        (["-o", "net.pt"], ["net.pt"], "torch.load('net.pt', weights_only=False)"),
    ],
)
def test_files_and_sentences(model, arguments, files, sentence, capsys):
    for library in {".onnx": ["onnx"], "": ["onnx"], ".pt": ["torch"]}.get(files[0][len("net") :], []):
        pytest.importorskip(library)
    assert main(["export", "net.mlpx", *arguments]) == 0
    assert sorted(path.name for path in model.iterdir()) == sorted([*files, "net.mlpx"])
    assert sentence in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.mlpx"], "the file `none.mlpx` does not exist"),
        (["net.mlpx", "-o", "net.txt"], "`--output` must have one of the endings .onnx, .py, .npz, .pt"),
        (["net.mlpx", "--npz", "-o", "net.mlpx", "--force"], "must not be the file that is read"),
        (["net.mlpx", "--npz", "-o", "none/net.npz"], "the folder `none` does not exist"),
        (["net.mlpx", "--npz", "-o", "."], "must name a file"),
        (["net.mlpx", "--npz", "-o", "there.npz"], "`there.npz` exists; choose another `--output`, or overwrite"),
        (["net.mlpx", "--numpy", "-o", "there.py"], "`there.npz` exists"),
        (["net.mlpx", "--numpy", "-o", "net.txt"], "`--output` must end in .py"),
        (["net.mlpx", "--npz", "--onnx"], "not allowed with argument"),
    ],
)
def test_refusals(model, arguments, sentence, capsys):
    (model / "there.npz").write_bytes(b"kept")
    try:
        status = main(["export", *arguments])
    except SystemExit as left:
        status = left.code
    assert status == 2
    assert sentence in capsys.readouterr().err
    assert (model / "there.npz").read_bytes() == b"kept"


def test_force_overwrites(model):
    (model / "there.npz").write_bytes(b"old")
    assert main(["export", "net.mlpx", "--npz", "-o", "there.npz", "--force"]) == 0
    with np.load("there.npz") as file:
        assert "0.weights" in file


def test_without_onnx_a_sentence_says_what_to_install(model):
    code = "import sys; sys.modules['onnx'] = None; from mlpx.cli import main; sys.exit(main(['export', 'net.mlpx']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert 'pip install "mlpx[onnx]"' in done.stderr


def test_a_stack_is_no_module_of_torch(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = {"x": list(range(40)), "y": ["a", "b"] * 20}
    mlpx.TabularModel(epochs=1, progress=False).fit(table, "y").save("m.mlpx")
    assert main(["export", "m.mlpx", "--torch"]) == 2
    assert "train with `--members 1`" in capsys.readouterr().err


def test_a_program_without_a_file_tells_its_usage(model):
    assert main(["export", "net.mlpx", "--numpy"]) == 0
    done = subprocess.run([sys.executable, "net.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: python ")
