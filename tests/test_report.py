"""Reports on models of tables: what they measure, and what they look like as text and page."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas", reason="tables are read with pandas")

import mlpx  # noqa: E402 - after the skip
from mlpx.tables.report import Classes, Numbers, Report  # noqa: E402
from mlpx.tables.report.classes import calibrate  # noqa: E402
from mlpx.tables.report.importance import FEWEST_ROWS, shuffled_rows  # noqa: E402
from mlpx.tables.report.markup import join, prose, tag  # noqa: E402
from mlpx.tables.report.words import figure, short  # noqa: E402

QUICK: dict[str, Any] = {"hidden": (16,), "members": 2, "epochs": 15, "progress": False}
SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"

#: A rare town may be one that training did not have.
pytestmark = pytest.mark.filterwarnings("ignore:.*rarely or not at all")


def flowers(n: int = 400) -> Any:
    """Give a table whose classes follow `height`, a little `town`, and not `noise`."""
    generator = np.random.default_rng(0)
    height, noise = generator.normal(size=n), generator.normal(size=n)
    town = generator.integers(0, 30, n)
    kind = np.where(height + 0.3 * (town % 2) > 0.2, "tall", "low")
    return pd.DataFrame({"noise": noise, "height": height, "town": [f"town {i}" for i in town], "kind": kind})


def lines(n: int = 400) -> Any:
    """Give a table whose target is a line, and a little noise."""
    generator = np.random.default_rng(1)
    x, z = generator.normal(size=n), generator.normal(size=n)
    return pd.DataFrame({"x": x, "z": z, "y": 30 * x + 1000 + generator.normal(size=n)})


@pytest.fixture(scope="module")
def classified() -> tuple[mlpx.TabularModel, Report]:
    model = mlpx.TabularModel(**QUICK).fit(flowers(), "kind", test=0.25)
    return model, model.report(repeats=3, note=str)


@pytest.fixture(scope="module")
def regressed() -> tuple[mlpx.TabularModel, Report]:
    model = mlpx.TabularModel(**QUICK).fit(lines(), "y", test=0.25)
    return model, model.report(repeats=3)


# What is measured


def test_the_model_stands_beside_the_shares_of_the_classes(classified: tuple[mlpx.TabularModel, Report]) -> None:
    model, report = classified
    assert report.scores["model"] == model.evaluate(model.test)
    target = model.preprocessing.target
    shares = np.asarray(target.counts) / sum(target.counts)
    rows = model.test["kind"].value_counts(normalize=True).reindex(target.classes).to_numpy()
    trivial = report.scores["baseline"]
    assert trivial["log_loss"] == pytest.approx(-(rows * np.log(shares)).sum())
    assert trivial["accuracy"] == rows[shares.argmax()]
    assert trivial["roc_auc"] == 0.5
    assert f"`{target.majority}`" in report.baseline


def test_the_baseline_of_a_regression_is_the_mean_of_the_training_rows(
    regressed: tuple[mlpx.TabularModel, Report],
) -> None:
    model, report = regressed
    assert model.training is not None
    split, frame = model.training.split, model.training.frame
    mean = frame["y"].iloc[np.union1d(split.train, split.validation)].mean()
    assert report.scores["baseline"]["rmse"] == pytest.approx(np.sqrt(((model.test["y"] - mean) ** 2).mean()))
    assert report.scores["linear model"]["rmse"] == pytest.approx(1, rel=0.3)  # the noise


def test_the_linear_model_does_as_scikit_learn_does() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    from mlpx.datasets import load_dataset

    table = load_dataset("breast_cancer")
    model = mlpx.TabularModel(**QUICK | {"epochs": 1}).fit(table, str(table.target), test=0.3)
    ours = model.report(importance=False).scores["linear model"]
    assert model.training is not None
    plain = mlpx.tables.Preprocessing.fit(model.training.frame.drop(index=model.test.index), str(table.target))
    train = model.training.frame.drop(index=model.test.index)
    theirs = linear_model.LogisticRegression(max_iter=1000).fit(plain.transform(train), plain.transform_target(train))
    accuracy = theirs.score(plain.transform(model.test), plain.transform_target(model.test))
    assert ours["accuracy"] > accuracy - 0.03


def test_a_column_without_meaning_is_not_needed(classified: tuple[mlpx.TabularModel, Report]) -> None:
    _, report = classified
    needed = {item.column: item for item in report.importance}
    assert report.importance[0].column == "height"
    assert set(needed) == {"height", "town", "noise"}
    assert needed["height"].score > 0.3
    assert abs(needed["noise"].score) < 0.1
    assert needed["height"].loss > 5 * abs(needed["noise"].loss)
    assert all(item.loss_std > 0 for item in report.importance)


def test_shuffling_leaves_the_model_as_it_was(regressed: tuple[mlpx.TabularModel, Report]) -> None:
    model, report = regressed
    again = model.report(repeats=3)
    assert again.to_dict() == report.to_dict()
    x = report.importance[0]
    assert x.column == "x"
    spread = 30 * model.test["x"].std() * np.sqrt(2)  # of the difference of two draws
    assert report.scores["model"]["rmse"] + x.loss == pytest.approx(spread, rel=0.2)


def test_importance_keeps_within_bounds(classified: tuple[mlpx.TabularModel, Report]) -> None:
    assert shuffled_rows(100, 10, 5) == 100
    assert shuffled_rows(10**6, 1000, 5) == FEWEST_ROWS
    model, _ = classified
    asked = model.report(importance=False)
    assert asked.importance == ()
    assert "rises by" not in str(asked)
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 101))).assign(y=["a", "b"] * 20)
    report = mlpx.TabularModel(**QUICK | {"epochs": 1}).fit(wide, "y", test=0.5).report()
    assert "no column was shuffled: there are 101" in str(report).replace("\n", " ")


def test_a_loaded_model_has_a_report(classified: tuple[mlpx.TabularModel, Report], tmp_path: Path) -> None:
    model, report = classified
    model.save(tmp_path / "kind.mlpx")
    loaded = mlpx.TabularModel.load(tmp_path / "kind.mlpx").report(model.test, importance=False)
    assert loaded.scores == {name: report.scores[name] for name in ("model", "baseline")}
    assert loaded.history is None
    with pytest.raises(ValueError, match="`table` must give rows"):
        mlpx.TabularModel.load(tmp_path / "kind.mlpx").report()
    with pytest.raises(ValueError, match="has not learnt"):
        mlpx.TabularModel().report(model.test)


def test_what_was_passed_over_is_told(classified: tuple[mlpx.TabularModel, Report]) -> None:
    model, _ = classified
    rows = model.test.assign(height=[np.nan, *model.test["height"][1:]])
    told: list[str] = []
    report = model.report(rows, importance=False, note=told.append)
    assert report.notes == tuple(told)
    assert "`height` 1" in str(report)


# Errors


def test_the_largest_confusions_come_first() -> None:
    truth = np.asarray([0] * 10 + [1] * 5 + [2] * 5)
    decided = np.asarray([0] * 7 + [1] * 3 + [1] * 4 + [2] + [2] * 5)
    found = Classes.of(("a", "b", "c"), truth, np.eye(3)[decided])
    assert found.counts.tolist() == [[7, 3, 0], [0, 4, 1], [0, 0, 5]]
    assert found.confusions() == (
        "`a` is taken for `b` in 3 of 10 rows (30%)",
        "`b` is taken for `c` in 1 of 5 rows (20%)",
    )
    assert [round(share, 3) for _, _, share in found.shares()] == [1.0, 0.571, 0.833]
    assert found.calibration == ()


def test_probabilities_that_mean_what_they_say_are_calibrated() -> None:
    generator = np.random.default_rng(0)
    probability = generator.random(20_000)
    parts = calibrate(generator.random(20_000) < probability, probability)
    assert [part.rows for part in parts] == pytest.approx([2000] * 10, rel=0.1)
    assert max(abs(part.said - part.seen) for part in parts) < 0.03
    (certain,) = calibrate(np.asarray([True, False]), np.asarray([1.0, 1.0]))
    assert certain == (2, 1.0, 0.5)
    sure = Classes.of(("no", "yes"), np.asarray([1, 0]), np.asarray([[0.0, 1.0], [0.0, 1.0]]))
    assert sure.calibration_error == 0.5


def test_residuals_are_predicted_less_true() -> None:
    true = np.arange(101.0)
    found = Numbers(true, true + 2)
    assert [value for _, value in found.quantiles()] == pytest.approx([2] * 7)
    assert [group.rows for group in found.groups()] == [21, 20, 20, 20, 20]
    assert found.groups()[0].true == 10
    assert found.groups()[0].rmse == pytest.approx(2)
    assert len(Numbers(true[:2], true[:2]).groups()) == 2


# Text and dictionary


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("kind", ["classified", "regressed"])
def test_text_fits_its_width(kind: str, width: int, request: pytest.FixtureRequest) -> None:
    _, report = request.getfixturevalue(kind)
    text = report.to_text(width)
    assert max(map(len, text.splitlines())) <= width
    for word in ["baseline", "linear model", "rises by", "epochs in", "columns", report.target]:
        assert word in text
    assert str(report) == report.to_text(80)


def test_many_classes_fit_as_text() -> None:
    names = tuple(f"a class with a long name {i}" for i in range(30))
    findings = Classes.of(names, np.arange(30), np.eye(30))
    scores = {"accuracy": 1.0, "log_loss": 0.0}
    report = Report("t", "classification", 30, {"model": scores, "baseline": scores}, "x", findings)
    assert max(map(len, str(report).splitlines())) <= 80
    assert "every row is in its class" in str(report)


def test_the_dictionary_is_json(classified: tuple[mlpx.TabularModel, Report]) -> None:
    model, report = classified
    report.to_dict()
    entry = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert entry["scores"]["model"]["accuracy"] == report.scores["model"]["accuracy"]
    assert np.sum(entry["confusion"]) == len(model.test) == entry["rows"]
    assert entry["importance"][0]["column"] == "height"
    assert len(entry["history"]["loss"]) == 15
    broken = mlpx.History("loss")
    broken.append({"loss": [1.0, float("nan")]})
    assert Report(**{**report.__dict__, "history": broken}).to_dict()["history"]["loss"] == [[1.0, None]]


def test_numbers_and_names_are_written_shortly() -> None:
    assert [figure(x) for x in (0.0, 1e-9, 123.456789, 1e9, -0.00001, float("nan"))] == [
        "0", "1e-09", "123.46", "1e+09", "-1e-05", "nan",
    ]  # fmt: skip
    assert short("x" * 50, 10) == "x" * 9 + "…"
    assert short("\x1b[2J") == "\\x1b[2J"


# The page


class Tags(HTMLParser):
    """What is in a page: elements with attributes, and texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the page of a table whose every name would do harm."""
    pytest.importorskip("matplotlib")
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(200, 2)), columns=[SCRIPT, "$x^{ & \"q\" \x1b[2J' style='"])
    frame["</table>"] = generator.choice(["<b>", "</td>", "&amp;"], 200)
    frame[IMAGE] = np.where(frame[SCRIPT] > 0, f"</title>{SCRIPT}", np.where(frame["</table>"] == "<b>", "`", "$_$"))
    model = mlpx.TabularModel(**QUICK).fit(frame, IMAGE, test=0.3)
    path = tmp_path_factory.mktemp("evil") / "evil.html"
    model.report(model.test.assign(**{"</table>": IMAGE}), repeats=1, note=str).to_html(path)
    return path.read_text(encoding="utf-8")


def test_names_of_a_table_do_no_harm(evil: str) -> None:
    page = Tags(evil)
    assert page.open == []
    names = {name for name, _ in page.elements}
    assert not names & {"script", "img", "b", "link", "iframe", "object", "a"}
    attributes = {name for _, found in page.elements for name in found}
    assert not {name for name in attributes if name.startswith("on")}
    assert attributes <= SAFE | {name for tag, found in page.elements if tag in DRAWN for name in found}
    words = "".join(page.words)
    for name in (SCRIPT, IMAGE, f"</title>{SCRIPT}", "$_$", "\\x1b[2J"):
        assert name in words


SAFE = {"lang", "charset", "name", "content", "http-equiv", "class", "scope", "style", "role", "aria-label", "viewbox"}
DRAWN = {"svg", "g", "path", "use", "defs", "clippath", "rect", "text", "style"}


def test_a_page_asks_nothing_of_the_network(evil: str) -> None:
    page = Tags(evil)
    links = [value for _, found in page.elements for name, value in found.items() if name.endswith(("href", "src"))]
    assert links
    assert all(str(link).startswith("#") for link in links)
    for _, found in page.elements:
        values = " ".join(str(value) for name, value in found.items() if not name.startswith("xmlns"))
        assert "http:" not in values
        assert "https:" not in values
    assert "@import" not in evil
    assert evil.count("<!DOCTYPE") == 1
    assert "default-src 'none'" in evil
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert {str(link)[1:] for link in links} <= set(ids)


def test_pictures_take_the_colors_of_the_page(evil: str) -> None:
    assert "prefers-color-scheme: dark" in evil
    assert "currentColor" in evil
    assert "var(--first)" in evil
    assert "#0102" not in evil
    assert Tags(evil).elements.count(("svg", {})) == 0
    labels = [found.get("aria-label") for name, found in Tags(evil).elements if name == "svg"]
    assert labels == ["Importance of the columns", "Loss by epoch"]


@pytest.mark.parametrize("kind", ["classified", "regressed"])
def test_a_page_without_matplotlib_says_how_to_get_pictures(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, report = request.getfixturevalue(kind)
    monkeypatch.setattr("mlpx.tables.report.page.util.find_spec", lambda name: None)
    report.to_html(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<svg" not in page
    assert "pip install &quot;mlpx[plot]&quot;" in page
    assert "linear model" in page


def test_matplotlib_is_imported_for_pages_alone(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    script = f"""
import sys, mlpx
table = {{"x": [i / 50 for i in range(60)], "y": [i / 50 for i in range(60)]}}
report = mlpx.TabularModel(epochs=2, members=1).fit(table, "y", test=0.3).report()
str(report), report.to_dict()
assert "matplotlib" not in sys.modules
report.to_html({str(tmp_path / "r.html")!r})
assert "matplotlib.figure" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    assert (tmp_path / "r.html").read_text(encoding="utf-8").count("<svg") == 4


def test_markup_escapes_what_is_no_markup() -> None:
    assert tag("p", "<", tag("b", "&"), title='"\x00') == '<p title="&quot;\\x00">&lt;<b>&amp;</b></p>'
    assert join(["a", "<"]) == "a&lt;"
    assert prose("`<` is taken for `b`") == "<code>&lt;</code> is taken for <code>b</code>"
