"""Programs that predict with NumPy alone: the same numbers as mlpx, where mlpx cannot be imported."""

import csv
import io
import runpy
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import mlpx
from exported import ACTIVATIONS, FUNCTIONS, OUTPUTS, EveryKind, custom, networks
from mlpx import AlphaDropout, Dense, Dropout, Layer, Maxout, Network, PReLU, Skip
from mlpx.conversion import to_standalone

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}

# imports all programs of a folder in one process, in which mlpx is not to be had, and writes what each predicts
RUN = """
import importlib, pathlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"mlpx", "pandas", "array_api_compat", "safetensors"}:
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import numpy as np

folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))
for path in sorted(folder.glob("*.py")):
    program = importlib.import_module(path.stem)
    X = np.load(folder / (path.stem + ".X.npy"))
    np.save(folder / (path.stem + ".y.npy"), getattr(program, "predict_proba", program.predict)(X))
    np.save(folder / (path.stem + ".label.npy"), program.predict(X))
"""


def run(*arguments, **options):
    """Run Python without the folder of this test, the user's packages and its variables."""
    done = subprocess.run(
        [sys.executable, "-I", *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same(nets, folder, rows=25):
    """Write a program for each network, run them all and compare."""
    inputs = {}
    for i, net in enumerate(nets):
        name = f"program_{i}"
        net.to_standalone(folder / f"{name}.py")
        X = inputs[name] = np.random.default_rng(i).normal(size=(rows, net.sizes[0]))
        X[:, 1::2] = np.round(X[:, 1::2] * 2)  # which may be codes
        np.save(folder / f"{name}.X.npy", X)
        assert_short((folder / f"{name}.py").read_text(encoding="utf-8"))
    run("-c", RUN, folder)
    for (name, X), net in zip(inputs.items(), nets, strict=True):
        expected, tolerance = net.predict(X), TOLERANCE[net.master_dtype_name]
        found = np.load(folder / f"{name}.y.npy")
        assert found.dtype == expected.dtype, repr(net)
        assert_allclose(found, expected, rtol=tolerance * 10, atol=tolerance, err_msg=repr(net))
        if net.architecture.output.task != "values":
            assert_array_equal(np.load(folder / f"{name}.label.npy"), net.predict_labels(X))


def assert_short(text):
    lines = text.splitlines()
    assert len(lines) < 200
    assert max(map(len, lines)) <= 120
    assert "mlpx" not in text.partition('"""')[2].partition('"""')[2]
    compile(text, "program", "exec")


def test_every_activation(tmp_path):
    assert_same(
        [Network([Dense(4, 6, f), Dense(6, 5, f), Dense(5, 2)], dtype=d) for f in ACTIVATIONS for d in TOLERANCE],
        tmp_path,
    )


def test_every_function_of_the_namespace(tmp_path):
    def within(function):  # arguments from 0.1 to 0.8
        return custom(lambda z, xp: xp.astype(function(0.7 / (1 + xp.exp(-z)) + 0.1, xp), z.dtype))

    assert_same([Network([Dense(2, 4, within(f)), Dense(4, 1)]) for f in FUNCTIONS.values()], tmp_path)


def test_every_output(tmp_path):
    cases = [(output, units) for output in OUTPUTS for units in (1, 3) if (output, units) != ("softmax", 1)]
    assert_same([mlpx.MLP([3, 5, units], output=output) for output, units in cases], tmp_path)


def test_every_layer(tmp_path):
    layers = [
        [Dense(4, 6, "tanh", mask=np.arange(24).reshape(4, 6) % 2)],
        [Dense(4, 6, "relu", bias=False)],
        [Maxout(4, 6, pieces=3), Maxout(6, 6, bias=False)],
        [Dense(4, 6), PReLU(6, gamma=-0.3)],
        [Dropout(0.5), Dense(4, 6, "selu"), AlphaDropout(0.3)],
        [Dense(4, 6), Skip(Dense(6, 6, "tanh"), activation="relu")],
        [Skip(Dense(4, 5, "tanh"), Dense(5, 6), projection=Dense(4, 6, "gelu"))],
        [Skip(Dense(4, 5), Skip(Maxout(5, 3), Dense(3, 5)), PReLU(5), Dense(5, 6), activation="mish")],
        [mlpx.Embedding(4, [(1, 3, 2), (3, 5, 3)]), Dense(7, 6, "tanh")],
    ]
    assert_same([Network([*some, Dense(6, 3, "softmax")]) for some in layers], tmp_path)


@given(nets=st.lists(networks(), min_size=12, max_size=12))
@settings(max_examples=3, deadline=None)
def test_random_networks(nets, tmp_path_factory):
    assert_same(nets, tmp_path_factory.mktemp("programs"))


def test_functions_of_one_name_stay_apart(tmp_path):
    def main(z, xp):
        return xp.sin(z)

    slopes = [Dense(2, 2, mlpx.activations.leaky_relu(slope)) for slope in (0.1, 0.2, 0.1)]
    assert_same([Network([*slopes, Dense(2, 2, main), Dense(2, 1)])], tmp_path)
    text = (tmp_path / "program_0.py").read_text(encoding="utf-8")
    assert text.count("def leaky_relu") == 2
    assert text.count("def main(") == 1


def test_labels(tmp_path):
    net = mlpx.MLP([2, 4, 1], output="sigmoid")
    X = np.random.default_rng(0).normal(size=(30, 2))
    net.fit(X, np.where(X[:, 0] > 0, "right", "left"), epochs=2)
    assert_same([net], tmp_path)


def test_the_command_of_a_plain_network(tmp_path):
    net = mlpx.MLP([2, 4, 3], output="linear")
    net.to_standalone(tmp_path / "net.py")
    X = np.random.default_rng(0).normal(size=(7, 2))
    np.savetxt(tmp_path / "X.csv", X, delimiter=",", header="a,b", comments="")
    header, *rows = csv.reader(io.StringIO(run(tmp_path / "net.py", tmp_path / "X.csv")))
    assert header == ["y0", "y1", "y2"]
    assert_allclose(np.array(rows, dtype=float), net.predict(X), atol=1e-6)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("target", ["class", "number"])
def test_columns(target, members, dtype, tmp_path):
    pytest.importorskip("pandas")
    case = EveryKind(target, members=members, dtype=dtype)
    case.net.to_standalone(tmp_path / "model.py")
    assert_short((tmp_path / "model.py").read_text(encoding="utf-8"))
    case.test.to_csv(tmp_path / "data.csv", index=False)
    header, *rows = csv.reader(io.StringIO(run(tmp_path / "model.py", tmp_path / "data.csv")))
    expected = case.outputs()
    if target == "number":
        assert header == ["number"]
        assert_allclose(np.array(rows, dtype=float)[:, 0], expected, rtol=TOLERANCE[dtype])
        return
    assert header == ["class", *case.net.classes]
    assert_allclose(np.array([row[1:] for row in rows], dtype=float), expected, atol=TOLERANCE[dtype])
    assert [row[0] for row in rows] == [case.net.classes[i] for i in expected.argmax(axis=-1)]


def test_the_program_reads_what_mlpx_reads(tmp_path):
    pandas = pytest.importorskip("pandas")
    from mlpx.tables import read_table

    case = EveryKind("class")
    case.net.to_standalone(tmp_path / "model.py")
    head = "when;size; flag;code;kind;gaps;more\n"
    lines = ["2020-02-29T12:00:00;1e1;true;code 3;?;NA;1", '2020-02-29;-5;false;;"a;b";3;2', ";7;;code 1;plain;.5;3"]
    (tmp_path / "data.csv").write_text(head + "\n".join(lines), encoding="utf-8-sig")
    found = pandas.read_csv(io.StringIO(run(tmp_path / "model.py", tmp_path / "data.csv")))
    case.test = read_table(tmp_path / "data.csv").frame
    assert_allclose(found.iloc[:, 1:].to_numpy(), case.outputs(), atol=1e-6)


def test_a_missing_column_is_named(tmp_path):
    pytest.importorskip("pandas")
    EveryKind("class").net.to_standalone(tmp_path / "model.py")
    (tmp_path / "data.csv").write_text("size,gaps\n1,2\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="these columns are missing: kind, code, flag, when"):
        run(tmp_path / "model.py", tmp_path / "data.csv")


class Twice(Layer):
    """A layer that no program knows."""


@pytest.mark.parametrize(
    ("net", "path", "reason"),
    [
        (mlpx.MLP([2, 3, 2]), "model.txt", r"`path` must end in \.py"),
        (mlpx.MLP([2, 3, 2], members=2), "model.py", r"give net\.member\(0\)"),
        (Network([Dense(2, 2, custom(lambda z, xp: z * z[..., :1])), Dense(2, 1)]), "model.py", "mixes units"),
        (Network([Twice(), Dense(2, 1)]), "model.py", r"has the layer Twice at layers\.0"),
    ],
)
def test_what_cannot_be_a_program_is_refused(net, path, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        to_standalone(net, tmp_path / path)
    assert list(tmp_path.iterdir()) == []


HOSTILE = ['"""; import os; os.abort(); """', "\\N{x", "\\", 'x"', '""""', "<NAME>", "a\nb"]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_texts_stay_data(text, tmp_path):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({text: rng.normal(size=60), "kind": rng.choice([text, "b"], 60)})
    table[f"y{text}"] = rng.choice([text, "c"], 60)
    model = mlpx.TabularModel(epochs=1, progress=False).fit(table, f"y{text}")
    path = tmp_path / f"{text}.py"
    model.network.to_standalone(path)
    program = runpy.run_path(str(path))
    columns = {name: table[name].tolist() for name in (text, "kind")}
    assert_allclose(program["predict_proba"](columns), model.predict_proba(table), atol=TOLERANCE["float32"])
    assert program["predict"](columns).tolist() == model.predict(table).tolist()


def test_csv_files_are_read_as_mlpx_reads_them(tmp_path):
    pytest.importorskip("pandas")
    x = np.arange(40) / 7
    name = "a;b;c;d"
    mlpx.TabularModel(epochs=1, progress=False).fit({name: x, "z": x**2, "y": x}, "y").save(tmp_path / "net.mlpx")
    model = mlpx.TabularModel.load(tmp_path / "net.mlpx")
    model.network.to_standalone(tmp_path / "net.py")
    (tmp_path / "rows.csv").write_text(f'"{name}",z\n1.5,2\n2.5\n', encoding="utf-8")  # the last row is short
    found = runpy.run_path(str(tmp_path / "net.py"))
    predicted = found["predict"](found["read"](tmp_path / "rows.csv"))
    assert_allclose(predicted, model.predict(tmp_path / "rows.csv", note=str), rtol=TOLERANCE["float32"])
