"""The command line, as a user meets it: results, notes, mistakes, interruptions."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas", reason="the command line reads tables with pandas")

import mlpx  # noqa: E402 - after the skip
from mlpx.cli import main  # noqa: E402
from mlpx.tables import Preprocessing, predict_table, read_table  # noqa: E402

QUICK = ["--epochs", "20", "--hidden", "16", "--members", "1", "--bins", "0", "--no-importance", "--quiet"]


@pytest.fixture
def flowers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a table that can be learnt, with gaps and every kind of column, and work beside it."""
    generator = np.random.default_rng(0)
    species = generator.choice(["aster", "lily", "rose"], 240)
    height = generator.normal(0, 0.4, 240) + np.select([species == "aster", species == "lily"], [1.0, 3.0], 5.0)
    frame = pd.DataFrame({"height": height, "petals": generator.integers(3, 9, 240)})
    frame["colour"] = np.where(species == "rose", "red", "white")
    frame["weight"] = 100 * height + generator.normal(0, 5, 240) + 1000
    frame["species"] = species
    frame.loc[3, "height"] = np.nan
    frame.loc[5, "colour"] = None
    frame["part"] = np.where(np.arange(240) % 4, "train", "test")
    frame.to_csv(tmp_path / "flowers.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "flowers.csv"


@pytest.fixture
def model(flowers: Path) -> Path:
    """Train on the table of flowers."""
    assert main(["train", "flowers.csv", "--target", "species", "--drop", "weight,part", *QUICK]) == 0
    return flowers.with_suffix(".mlpx")


def run(*arguments: str, status: int = 0) -> None:
    """Run a command and check its exit status."""
    assert main(arguments) == status


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail with one sentence, and give the sentence."""
    capsys.readouterr()
    try:
        status = main(arguments)
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    captured = capsys.readouterr()
    sentence = captured.err.splitlines()[-1]
    assert status == 2
    assert captured.out == ""
    assert re.match(r"mlpx: error: \S", sentence)
    assert "Traceback" not in captured.err
    return sentence


def process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start the command as a process of its own."""
    here = str(Path(mlpx.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": here}
    command = [sys.executable, "-m", "mlpx", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options
    )


def column(text: str, name: str) -> list[str]:
    """Give a column of CSV text."""
    return [row[name] for row in csv.DictReader(io.StringIO(text))]


def table_row(text: str, name: str) -> list[float]:
    """Give the numbers of a row of a report."""
    line = next(line for line in text.splitlines() if line.startswith(name))
    return [float(cell) for cell in line.removeprefix(name).split()]


# Train


def test_train_tells_what_it_inferred_and_learns(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("train", "flowers.csv", "--target", "species", "--drop", "weight", "--drop", "part", "--epochs", "30")
    out = capsys.readouterr().out
    for words in [
        "flowers.csv: 240 rows, 6 columns",
        "2: height, petals",
        "1: colour (2 and missing)",
        "weight, part (as asked)",
        "species: classification, 3 classes: aster (30%), lily (",
        "173 to learn from, 19 to choose the best epoch by, 48 to test (20% drawn from each class)",
        "2 whose predictions are averaged, each 12 - 64 mish - 64 mish - 3 softmax, 5 187 parameters",
        "baseline: always `",
        "log loss rises by",
        "flowers.mlpx",
    ]:
        assert words in " ".join(out.split())
    accuracy, baseline, linear = table_row(out, "accuracy")
    assert accuracy > 0.9 > 0.5 > baseline
    assert linear > 0.9
    assert max(map(len, out.splitlines())) <= 80
    net = mlpx.load("flowers.mlpx")
    assert list(net.classes) == ["aster", "lily", "rose"]
    assert Preprocessing.from_dict(net.preprocessing).width == 12


def test_regression_is_reported_in_the_unit_of_the_target(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("train", "flowers.csv", "--target", "weight", "--drop", "part", *QUICK, "-o", "w.mlpx")
    rmse, trivial, _ = table_row(capsys.readouterr().out, "RMSE")
    assert trivial == pytest.approx(170, rel=0.3)
    assert rmse < trivial / 2
    run("predict", "w.mlpx", "flowers.csv")
    weights = np.array(column(capsys.readouterr().out, "weight"), dtype=float)
    truth = pd.read_csv(flowers)["weight"]
    assert np.sqrt(np.mean((weights - truth) ** 2)) < trivial / 2


@pytest.mark.parametrize("extra", [["--split", "part"], ["--test", "more.csv"]])
def test_test_rows_can_be_given(flowers: Path, capsys: pytest.CaptureFixture[str], extra: list[str]) -> None:
    pd.read_csv(flowers)[:60].to_csv("more.csv", index=False)
    run("train", "flowers.csv", "--target", "species", *QUICK, *extra)
    assert "test, 60 rows" in capsys.readouterr().out


def test_a_model_trained_by_a_split_column_is_measured_on_its_test_rows(
    flowers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("train", "flowers.csv", "--target", "species", "--split", "part", *QUICK)
    trained = table_row(capsys.readouterr().out, "accuracy")
    run("evaluate", "flowers.mlpx", "flowers.csv")
    captured = capsys.readouterr()
    assert table_row(captured.out, "accuracy") == trained[:2]  # the linear model is not stored
    assert "measuring the rows that `part` calls test" in captured.err
    pd.read_csv(flowers).assign(part="later").to_csv("later.csv", index=False)
    run("evaluate", "flowers.mlpx", "later.csv")
    assert "later.csv, 240 rows" in capsys.readouterr().out


def test_a_split_column_may_name_the_rows_that_decide_when_to_stop(
    flowers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(flowers)
    frame["part"] = np.repeat(["train", "validation", "test"], [150, 40, 50])
    frame.to_csv("flowers.csv", index=False)
    run("train", "flowers.csv", "--target", "species", "--split", "part", *QUICK[:2])
    assert "150 to learn from, 40 to choose the best epoch by, 50 to test" in " ".join(capsys.readouterr().out.split())


def test_npz_of_images_trains_and_is_measured_on_its_own_test_rows(
    flowers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = (generator.integers(0, 60, (90, 4, 4)) + 90 * y[:, None, None]).astype(np.uint8)
    np.savez("images.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    run("train", "images.npz", "--epochs", "30", "--quiet")
    assert "test, 30 rows" in capsys.readouterr().out
    run("predict", "images.mlpx", "images.npz")
    captured = capsys.readouterr()
    assert np.mean(np.array(column(captured.out, "y"), dtype=int) == y[60:]) > 0.9
    assert "the test rows of `images.npz`: 30 rows" in captured.err


def test_a_folder_does_not_hide_a_data_set_of_its_name(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="the data sets come with scikit-learn")
    Path("iris").mkdir()
    run("train", "iris", *QUICK, "--epochs", "1")
    assert Path("iris.mlpx").is_file()


def test_rows_without_a_target_are_counted(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv(flowers)
    frame.loc[:4, "species"] = None
    frame.to_csv("gaps.csv", index=False)
    run("train", "gaps.csv", "--target", "species", *QUICK)
    assert "left out 5 rows whose target `species` is missing" in capsys.readouterr().err


def test_one_row_is_no_rows(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_csv("flowers.csv")[:1].to_csv("one.csv", index=False)
    run("evaluate", str(model), "one.csv")
    assert "one.csv, 1 row " in capsys.readouterr().out


def test_a_name_that_two_columns_have_is_told(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = flowers.read_text().replace("weight", "height", 1)
    Path("twice.csv").write_text(text)
    run("train", "twice.csv", "--target", "species", *QUICK, "--epochs", "1")
    assert "note: the header of `twice.csv` has `height` more than once; the later" in capsys.readouterr().err


def test_without_test_rows_nothing_is_claimed(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("train", "flowers.csv", "--target", "species", "--test-fraction", "0", *QUICK)
    out = capsys.readouterr().out
    assert "nothing was measured" in out
    assert "accuracy" not in out


def test_the_same_seed_writes_the_same_model(flowers: Path) -> None:
    for name, seed in [("a", "1"), ("b", "1"), ("c", "2")]:
        run("train", "flowers.csv", "--target", "species", "-o", f"{name}.mlpx", "--seed", seed, *QUICK)
    a, b, c = (mlpx.load(f"{name}.mlpx").weights[0] for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_tables_too_small_to_validate_still_train(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.DataFrame({"x": range(8), "y": ["a", "b"] * 4}).to_csv("tiny.csv", index=False)
    run("train", "tiny.csv", "--target", "y", "--epochs", "3")
    assert "6 to learn from, 2 to test" in capsys.readouterr().out


@pytest.mark.parametrize("backend", [item.name for item in mlpx.available_backends() if item.available])
def test_a_model_of_one_backend_predicts_on_numpy(
    flowers: Path, capsys: pytest.CaptureFixture[str], backend: str
) -> None:
    run("train", "flowers.csv", "--target", "species", *QUICK, "--epochs", "2", "--backend", backend)
    capsys.readouterr()
    run("predict", "flowers.mlpx", "flowers.csv", "--backend", "numpy")
    assert len(column(capsys.readouterr().out, "species")) == 240


@pytest.mark.parametrize("way", ["group", "time"])
def test_whole_groups_or_the_latest_rows_can_test(flowers: Path, capsys: pytest.CaptureFixture[str], way: str) -> None:
    pytest.importorskip("sklearn", reason="draws groups")
    frame = pd.read_csv(flowers)
    frame.assign(garden=np.arange(240) % 24, day=np.arange(240)).to_csv("more.csv", index=False)
    column = {"group": "garden", "time": "day"}[way]
    run("train", "more.csv", "--target", "weight", f"--{way}", column, *[o for o in QUICK if o != "--quiet"])
    out = " ".join(capsys.readouterr().out.split())
    assert {"group": "to test (5 groups of column garden)", "time": "48 to test (latest by column day)"}[way] in out


def test_members_are_averaged(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("train", "flowers.csv", "--target", "species", *QUICK, "--members", "3")
    capsys.readouterr()
    run("info", "flowers.mlpx")
    assert "3 whose predictions are averaged, each" in " ".join(capsys.readouterr().out.split())
    run("predict", "flowers.mlpx", "flowers.csv", "--proba", "-o", "p.csv")
    wanted = mlpx.TabularModel.load("flowers.mlpx").predict_proba("flowers.csv", note=str)
    np.testing.assert_allclose(pd.read_csv("p.csv")[["aster", "lily", "rose"]], wanted, rtol=1e-6, atol=1e-30)
    assert mlpx.load("flowers.mlpx").members == 3


# Long runs


def test_an_interrupted_run_goes_on_to_the_same_weights(
    flowers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "flowers.csv", "--target", "species", *QUICK, "--checkpoint-seconds", "0.000001"]
    run(*command, "--checkpoint", "alone", "-o", "alone.mlpx")
    epochs: list[Any] = []

    def report(_: Any, row: Any) -> None:
        epochs.append(row)
        if len(epochs) == 7:
            raise OSError(28, "No space left on device", "elsewhere")

    with monkeypatch.context() as patch:
        patch.setattr("mlpx.progress.Progress.report", report)
        assert "No space left on device: `elsewhere`" in mistake(capsys, *command, "--checkpoint", "broken")
    assert not Path("flowers.mlpx").exists()
    sentence = mistake(capsys, *command, "--checkpoint", "broken")
    assert "`broken` holds checkpoints of an earlier run; go on with it by `--resume`" in sentence
    run(*command, "--checkpoint", "broken", "--resume")
    assert np.array_equal(mlpx.load("flowers.mlpx").vector, mlpx.load("alone.mlpx").vector)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_each_epoch_can_be_logged(flowers: Path, ending: str) -> None:
    run("train", "flowers.csv", "--target", "species", *QUICK, "--log", f"log.{ending}")
    lines = Path(f"log.{ending}").read_text().splitlines()
    assert len(lines) == 20 + (ending == "csv")
    assert "validation_loss" in lines[0]


def test_training_ends_in_time(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("train", "flowers.csv", "--target", "species", *QUICK, "--epochs", "100000", "--time-limit", "0.005")
    captured = capsys.readouterr()
    assert "stopped by the time limit; the best model so far is kept" in captured.err
    assert "accuracy" in captured.out


# Reports


def test_a_report_is_a_page(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("train", "flowers.csv", "--target", "species", *QUICK, "--report", "trained.html")
    assert "wrote the report `trained.html`" in capsys.readouterr().err
    trained = Path("trained.html").read_text(encoding="utf-8")
    assert trained.startswith("<!DOCTYPE html>")
    assert "linear model" in trained
    run("evaluate", "flowers.mlpx", "flowers.csv", "--report", "evaluated.html")
    evaluated = Path("evaluated.html").read_text(encoding="utf-8")
    assert "log loss rises by" in evaluated
    assert "linear model" not in evaluated
    capsys.readouterr()
    run("train", "flowers.csv", "--target", "species", *QUICK, "--test-fraction", "0", "--report", "none.html")
    assert "no report is written" in capsys.readouterr().err
    assert not Path("none.html").exists()


# The file that is written


def test_a_file_that_is_no_model_is_not_overwritten(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "flowers.csv", "--target", "species", *QUICK, "--epochs", "1"]
    Path("flowers.mlpx").write_text("a letter")
    sentence = mistake(capsys, *command)
    assert "`flowers.mlpx` exists and is no model of mlpx" in sentence
    assert "--force" in sentence
    assert Path("flowers.mlpx").read_text() == "a letter"
    run(*command, "--force")
    run(*command)
    assert sorted(path.name for path in Path().iterdir()) == ["flowers.csv", "flowers.mlpx"]


def test_a_model_of_another_target_is_not_overwritten(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "flowers.csv", "--target", "petals", *QUICK, "--epochs", "1"]
    sentence = mistake(capsys, *command)
    assert "`flowers.mlpx` exists and predicts `species`, not `petals`" in sentence
    run(*command, "--force")
    assert mlpx.load(model).preprocessing["target"]["name"] == "petals"
    mlpx.MLP([2, 2]).save(model)
    assert "was not written by `mlpx train`" in mistake(capsys, *command)


# Predict


def test_predictions_do_not_need_the_target_nor_the_order_of_columns(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv("flowers.csv")
    frame[["colour", "petals", "height"]].to_csv("new.csv", index=False)
    capsys.readouterr()
    run("predict", str(model), "new.csv")
    captured = capsys.readouterr()
    labels = column(captured.out, "species")
    assert captured.err == ""
    assert np.mean(np.array(labels) == frame["species"]) > 0.9
    net = mlpx.load(model)
    X = Preprocessing.from_dict(net.preprocessing).transform(read_table("new.csv").frame)
    assert labels == list(net.predict_labels(X))


@pytest.mark.parametrize("target", ["species", "weight"])
def test_python_predicts_what_the_command_does(flowers: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    run("train", "flowers.csv", "--target", target, *QUICK)
    capsys.readouterr()
    run("predict", "flowers.mlpx", "flowers.csv")
    written = column(capsys.readouterr().out, target)
    predicted = predict_table(mlpx.load("flowers.mlpx"), read_table("flowers.csv").frame, note=str)
    assert written == [str(value) for value in predicted]
    with pytest.raises(ValueError, match="none"):
        predict_table(mlpx.MLP([2, 2]), read_table("flowers.csv").frame)


def test_probabilities_have_one_column_a_class(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("predict", str(model), "flowers.csv", "--proba", "-o", "p.csv")
    assert capsys.readouterr().out.count("\n") < 10
    frame = pd.read_csv("p.csv")
    assert frame.columns.tolist() == ["species", "aster", "lily", "rose"]
    probabilities = frame[["aster", "lily", "rose"]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert probabilities.idxmax(axis=1).tolist() == frame["species"].tolist()


def test_predictions_do_not_overwrite_a_file_unasked(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("letter.csv").write_text("dear all")
    command = ["predict", str(model), "flowers.csv", "-o", "letter.csv"]
    sentence = mistake(capsys, *command)
    assert "`letter.csv` exists; choose another `--output`, or overwrite it with `--force`" in sentence
    assert Path("letter.csv").read_text() == "dear all"
    run(*command, "--force")
    assert Path("letter.csv").read_text().startswith("species\n")
    run("predict", str(model), "flowers.csv", "-o", os.devnull)  # no file that could be lost
    same = ["predict", str(model), "flowers.csv", "-o", "flowers.csv", "--force"]
    assert "must not be the file that is read" in mistake(capsys, *same)


def test_notes_go_to_standard_error(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv("flowers.csv").assign(new=1, colour="violet")
    frame.to_csv("new.csv", index=False)
    capsys.readouterr()
    run("predict", str(model), "new.csv")
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 241
    assert captured.err.splitlines() == [
        "mlpx: note: ignoring 1 column that the training table did not have: `new`",
        "mlpx: note: 240 values that training did not have, taken as none of the known ones: `colour` 240 (`violet`)",
    ]


def test_a_model_without_columns_takes_the_numbers_as_they_stand(
    flowers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = mlpx.MLP([3, 2], output="linear")
    net.save("bare.mlpx")
    pd.DataFrame({"a": [1, 2], "t": ["x", "y"], "b": [0.5, 1], "c": [3, 4]}).to_csv("n.csv", index=False)
    run("predict", "bare.mlpx", "n.csv")
    captured = capsys.readouterr()
    assert "no description of columns; taking the columns of numbers" in captured.err
    wanted = net.predict(np.array([[1, 0.5, 3], [2, 1, 4]], dtype="float32"))
    np.testing.assert_allclose(np.array(column(captured.out, "prediction_1"), float), wanted[:, 1], rtol=1e-5)
    pd.read_csv("n.csv").assign(d=1).to_csv("wider.csv", index=False)
    assert "3 inputs and the table 4 columns of numbers" in mistake(capsys, "predict", "bare.mlpx", "wider.csv")
    assert "no target is known" in mistake(capsys, "evaluate", "bare.mlpx", "n.csv")
    run("info", "bare.mlpx")
    assert "no description is stored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sizes", "output", "y", "header"),
    [
        ([1, 3], "softmax", [0, 1, 2], "prediction,0,1,2"),
        ([1, 1], "sigmoid", ["no", "yes", "no"], "prediction,no,yes"),
    ],
)
def test_models_of_the_library_give_labels_and_probabilities(
    flowers: Path, capsys: pytest.CaptureFixture[str], sizes: list[int], output: str, y: list[Any], header: str
) -> None:
    net = mlpx.MLP(sizes, output=output)
    net.fit(np.array([[1.0], [2.0], [3.0]]), np.array(y), epochs=1, progress=False)
    net.save("bare.mlpx")
    pd.DataFrame({"a": [0.5, 1, 2]}).to_csv("n.csv", index=False)
    run("predict", "bare.mlpx", "n.csv", "--proba")
    out = capsys.readouterr().out
    assert out.splitlines()[0] == header
    rows = [[float(cell) for cell in line.split(",")[1:]] for line in out.splitlines()[1:]]
    np.testing.assert_allclose(np.sum(rows, axis=1), 1, rtol=1e-5)


def test_a_stack_of_networks_is_refused(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mlpx.MLP([3, 2], members=4).save("stack.mlpx")
    assert "holds a stack of 4 networks" in mistake(capsys, "predict", "stack.mlpx", "flowers.csv")


# Evaluate and info


def test_evaluate_shows_the_baseline_of_the_training_rows(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    run("evaluate", str(model), "flowers.csv")
    out, err = capsys.readouterr()
    assert "rows seen in training flatter it" in err
    accuracy, baseline = table_row(out, "accuracy")
    species = pd.read_csv("flowers.csv")["species"]
    assert baseline == pytest.approx(species.value_counts(normalize=True).max(), abs=1e-4)
    assert accuracy > 0.9
    assert table_row(out, "ROC AUC")[1] == 0.5


def test_evaluate_on_some_of_the_classes_leaves_out_the_area(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_csv("flowers.csv").query("species == 'rose'").to_csv("roses.csv", index=False)
    capsys.readouterr()
    run("evaluate", str(model), "roses.csv")
    out = capsys.readouterr().out
    assert table_row(out, "accuracy")[0] > 0.9
    assert "ROC" not in out


def test_info_lists_the_backends_and_marks_the_one_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    run("info")
    out = capsys.readouterr().out
    assert out.startswith(f"mlpx {mlpx.__version__}, Python ")
    with mlpx.use_backend("numpy"):
        run("info")
    assert re.search(rf"\* numpy +yes +{re.escape(np.__version__)} +cpu", capsys.readouterr().out)
    for item in mlpx.available_backends():
        assert item.name in out
        said = item.install or item.reason or ""  # what is installed but finds no device has only a reason
        assert item.available or " ".join(said.split()) in " ".join(out.split())


@pytest.mark.parametrize("columns", [44, 80])
def test_info_of_a_bare_install_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    missing = {"available": False, "reason": "array_api_strict is not installed", "install": "pip install it"}
    backends = [
        mlpx.BackendInfo("numpy", available=True, version=np.__version__, device="cpu"),
        mlpx.BackendInfo("array_api_strict", **missing),
    ]
    monkeypatch.setattr(mlpx, "available_backends", lambda: backends)
    monkeypatch.setenv("COLUMNS", str(columns))
    run("info")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= columns
    assert "array_api_strict array_api_strict is not installed: pip install it" in " ".join(out.split())
    assert re.search(r"\* numpy\s+(available )?\s*yes\s+(version )?\s*" + re.escape(np.__version__), out)


def test_info_tells_what_is_in_a_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    run("info", str(model))
    out = capsys.readouterr().out
    for words in [
        "6 - 16 mish - 3 softmax, 163 parameters, float32",
        "aster, lily, rose",
        "species: classification",
        "2: height, petals",
    ]:
        assert words in " ".join(out.split())


def test_info_tells_blocks_slopes_and_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [
        mlpx.Dense(4, 8, "tanh", mask=np.eye(4, 8)),
        mlpx.Skip(mlpx.Dense(8, 8), activation="relu"),
        mlpx.Dense(8, 8),
        mlpx.PReLU(8),
        mlpx.Dense(8, 2, "softmax"),
    ]
    mlpx.Network(layers).save(tmp_path / "net.mlpx")
    run("info", str(tmp_path / "net.mlpx"))
    told = "4 - 8 tanh (12.5 % of connections) - Skip(8 identity) relu - 8 identity - PReLU - 2 softmax, 210 parameters"
    assert told in " ".join(capsys.readouterr().out.split())


def test_names_cannot_steer_the_terminal(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_csv(flowers).rename(columns={"petals": "\x1b[2Jpetals"}).to_csv("evil.csv", index=False)
    run("train", "evil.csv", "--target", "species", "--epochs", "1")
    run("info", "evil.mlpx")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[2Jpetals" in out


# Mistakes

MISTAKES: dict[str, tuple[str, str]] = {
    "no command": ("", "COMMAND"),
    "unknown command": ("teach flowers.csv", "teach"),
    "file missing": ("train none.csv --target a", "the file `none.csv` does not exist"),
    "no ending": ("train flower", "`flower` is no file and no data set"),
    "data set misspelt": ("train digit", "did you mean `digits`?"),
    "no target": ("train flowers.csv", "`--target COLUMN` must say which"),
    "target missing": (
        "train flowers.csv --target specis",
        "no column `specis` (did you mean `species`?); the",
    ),
    "drop missing": ("train flowers.csv --target species --drop wight", "did you mean `weight`?"),
    "drop target": (
        "train flowers.csv --target species --drop petals,species",
        "the target `species` must not be among",
    ),
    "split missing": ("train flowers.csv --target species --split parts", "did you mean `part`?"),
    "split words": ("train flowers.csv --target species --split colour", "data row 1 holds 'red'"),
    "two tests": ("train flowers.csv --target species --split part --test-fraction 0.1", "not allowed with"),
    "test fraction": ("train flowers.csv --target species --test-fraction 1.5", "from 0 to below 1; got '1.5'"),
    "hidden": (
        "train flowers.csv --target species --hidden 64,x",
        "from 1 on, such as 64,32, or none for no hidden layer; got '64,x'",
    ),
    "hidden 10x10": ("train flowers.csv --target species --hidden 10x10", "such as 64,32"),
    "hidden 0": ("train flowers.csv --target species --hidden 0", "none for no hidden layer"),
    "epochs": ("train flowers.csv --target species --epochs 0", "--epochs: must be a whole number from 1 on"),
    "learning rate": ("train flowers.csv --target species --learning-rate nan", "a number above 0"),
    "activation": ("train flowers.csv --target species --activation rely", "relu"),
    "backend": ("train flowers.csv --target species --backend nunpy", "nunpy"),
    "device": ("train flowers.csv --target species --device cuda:9", "cuda:9"),
    "task": (
        "train flowers.csv --target species --task regression",
        "column `species` must hold numbers; the row with index",
    ),
    "class weight": ("train flowers.csv --target weight --class-weight balanced -o w.mlpx", "is for classification"),
    "folder": ("train flowers.csv --target species -o no/such.mlpx", "the folder `no` does not exist"),
    "log": ("train flowers.csv --target species --log log.txt", "ends in .csv, .json or .jsonl; got `log.txt`"),
    "log folder": ("train flowers.csv --target species --log no/log.csv", "choose another `--log`"),
    "report": ("train flowers.csv --target species --report r.pdf", "ends in .html; got `r.pdf`"),
    "report folder": ("evaluate flowers.mlpx flowers.csv --report no/r.html", "choose another `--report`"),
    "resume": ("train flowers.csv --target species --resume", "`--resume` needs `--checkpoint DIR`"),
    "group missing": ("train flowers.csv --target species --group garden", "no column `garden`"),
    "group and time": ("train flowers.csv --target species --group part --time petals", "not allowed with"),
    "split and time": ("train flowers.csv --target species --split part --time petals", "divided in one way"),
    "time of words": ("train flowers.csv --target species --time colour", "must hold dates or numbers"),
    "replay of nothing": ("replay none", "the file `none` does not exist"),
    "replay of a model": ("replay flowers.mlpx", "no file of a step"),
    "output is folder": ("train flowers.csv --target species -o .", "is a folder"),
    "test lacks columns": ("train flowers.csv --target species --test short.csv", "no column `colour`"),
    "test has new class": ("train flowers.csv --target species --test newer.csv", "holds `tulip`"),
    "model missing": ("predict none.mlpx flowers.csv", "the file `none.mlpx` does not exist; give the path of a model"),
    "no model": ("predict flowers.csv flowers.csv", "the file `flowers.csv` is no readable mlpx model"),
    "columns missing": ("predict flowers.mlpx short.csv", "no column `colour`"),
    "text in numbers": (
        "predict flowers.mlpx text.csv",
        "column `height` must hold numbers; data row 2 holds 'tall'",
    ),
    "output is input": ("predict flowers.mlpx flowers.csv -o flowers.csv", "must not be the file that is read"),
    "target absent": ("evaluate flowers.mlpx unlabelled.csv", "no column `species`"),
    "class unknown": ("evaluate flowers.mlpx newer.csv", "holds `tulip`, which the training rows do not have"),
    "info of no model": ("info flowers.csv", "flowers.csv"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_one_sentence(model: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    frame = pd.read_csv("flowers.csv")
    frame.drop(columns="colour").to_csv("short.csv", index=False)
    frame.drop(columns="species").to_csv("unlabelled.csv", index=False)
    frame.assign(species="tulip").to_csv("newer.csv", index=False)
    frame.astype({"height": object}).assign(height=["1", "tall", *["2"] * 238]).to_csv("text.csv", index=False)
    command, words = MISTAKES[name]
    assert words in mistake(capsys, *command.split())


def test_probabilities_of_a_regression_are_refused(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("train", "flowers.csv", "--target", "weight", *QUICK, "--epochs", "1")
    assert "`--proba` needs a model of classes" in mistake(capsys, "predict", "flowers.mlpx", "flowers.csv", "--proba")


def test_a_model_whose_columns_do_not_fit_its_network_is_refused(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = mlpx.load(model)
    for damage, words in [({"version": 99}, "version 2 or lower; got 99"), ({"left_out": 3}, "must be a list; got 3")]:
        net.preprocessing = mlpx.load(model).preprocessing | damage
        net.save("damaged.mlpx")
        assert words in mistake(capsys, "info", "damaged.mlpx")
    whole = mlpx.load(model).preprocessing
    net.preprocessing = whole | {"columns": whole["columns"][1:]}
    net.save("damaged.mlpx")
    assert "its columns ask for 4 inputs" in mistake(capsys, "predict", "damaged.mlpx", "flowers.csv")


def test_divergence_is_a_sentence(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "train flowers.csv --target weight --learning-rate 1e30 --quiet --activation linear"
    sentence = mistake(capsys, *command.split())
    assert re.search(r"training diverged \(in epoch \d+, step \d+, .+: [a-z ]+ not finite\)", sentence)
    assert "no model is written; lower `--learning-rate`, which was 1e+30; `mlpx replay " in sentence
    assert not Path("flowers.mlpx").exists()
    (path,) = re.findall("`mlpx replay (.+)`", sentence)
    run("replay", path)
    out = capsys.readouterr().out
    assert re.search(r"step +epoch \d+, step \d+, member 0", out)
    assert re.search(r"layers\[0\] \(Dense\) +net input +\S+ +\d+ of \d+", out)
    assert "The first that is not finite is the" in out
    assert max(map(len, out.splitlines())) <= 80


# Interruptions


def test_ctrl_c_in_training_keeps_the_best_model(
    flowers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    epochs = []

    def report(_: Any, row: Any) -> None:
        epochs.append(row)
        if len(epochs) == 20:
            raise KeyboardInterrupt  # a signal's own moment is up to the interpreter; test_training sends one

    monkeypatch.setattr("mlpx.progress.Progress.report", report)
    run("train", "flowers.csv", "--target", "species", "--epochs", "1000", "--patience", "1000", "--quiet")
    captured = capsys.readouterr()
    assert "stopped by Ctrl-C; the best model so far is kept" in captured.err
    assert "trained    20 epochs" in captured.out
    assert "accuracy" in captured.out
    assert mlpx.load("flowers.mlpx").classes is not None


def test_ctrl_c_elsewhere_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlpx.cli.train.load_table", interrupted)
    run("train", "digits", status=130)
    assert capsys.readouterr() == ("", "")


def test_a_closed_pipe_is_no_traceback(model: Path) -> None:
    pd.concat([pd.read_csv("flowers.csv")] * 100).to_csv("many.csv", index=False)  # more than a pipe holds
    with process("predict", str(model), "many.csv", "--proba") as predicting:
        assert predicting.stdout is not None
        assert predicting.stderr is not None
        assert predicting.stdout.readline() == "species,aster,lily,rose\n"
        predicting.stdout.close()
        assert predicting.stderr.read() == ""
    assert predicting.returncode == 141


# A bare install


def test_version_and_info_need_no_extra(tmp_path: Path) -> None:
    blocked = "import sys; sys.modules |= dict.fromkeys(['pandas', 'sklearn', 'pyarrow', 'tqdm'])\n"
    script = blocked + "from mlpx.cli import main\nassert main(['info']) == 0\nassert main(['train', 'iris']) == 2\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mlpx ")
    assert 'pip install "mlpx[cli]"' in done.stderr
    with process("--version") as asked:
        assert asked.stdout is not None
        assert asked.stdout.read().startswith(f"mlpx {mlpx.__version__} (Python 3.")


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "info", "replay"])
def test_help_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
