"""TabularModel: from a table to a model, its predictions, its scores and its file."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas", reason="tables need pandas")
pytest.importorskip("safetensors", reason="models are saved as safetensors")
datasets = pytest.importorskip("sklearn.datasets", reason="the tables are scikit-learn's")

import mlpx  # noqa: E402 - after the skips
from mlpx.tables import NumberColumn, Preprocessing  # noqa: E402
from mlpx.tables.knots import choose_knots  # noqa: E402
from mlpx.tables.predicting import predict_table  # noqa: E402
from mlpx.tables.recipe import Recipe  # noqa: E402
from mlpx.tables.scores import roc_auc, score_classes, score_numbers  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

QUICK: dict[str, Any] = {"members": 2, "epochs": 8, "hidden": (32,), "progress": False}


def wines() -> Any:
    """Give scikit-learn's wines, their classes as texts, with a column of categories."""
    frame = datasets.load_wine(as_frame=True).frame
    frame["cellar"] = np.where(frame["hue"] > 1, "north", "south")
    return frame.assign(target=frame["target"].map({0: "red", 1: "rosé", 2: "white"}))


def patients() -> Any:
    """Give scikit-learn's diabetes, a regression, with a group and a day for every row."""
    frame = datasets.load_diabetes(as_frame=True, scaled=False).frame
    days = pd.date_range("2020-01-01", periods=len(frame), freq="D")
    return frame.assign(clinic=np.arange(len(frame)) % 20, day=days)


@pytest.fixture(scope="module")
def classifier() -> mlpx.TabularModel:
    """Fit a model of the wines."""
    return mlpx.TabularModel(seed=3, **QUICK).fit(wines(), "target", test=0.25)


@pytest.fixture(scope="module")
def regressor() -> mlpx.TabularModel:
    """Fit a model of the patients."""
    return mlpx.TabularModel(seed=3, **QUICK).fit(patients(), "target", test=0.25, drop=["clinic", "day"])


# Learning


def test_classes_are_learnt_better_than_the_commonest(classifier: mlpx.TabularModel) -> None:
    scores = classifier.evaluate(classifier.test)
    assert scores["accuracy"] > 0.9
    assert scores["log_loss"] < 0.5
    assert scores["roc_auc"] > 0.95


def test_numbers_are_learnt_better_than_their_mean(regressor: mlpx.TabularModel) -> None:
    assert regressor.evaluate(regressor.test)["r2"] > 0.3


def test_test_rows_are_kept_from_each_class(classifier: mlpx.TabularModel) -> None:
    assert classifier.test["target"].value_counts().to_dict() == {"rosé": 18, "red": 15, "white": 12}


def test_a_model_is_a_stack_whose_members_are_averaged(classifier: mlpx.TabularModel) -> None:
    inputs = classifier.preprocessing.transform(classifier.test)
    of_members = classifier.network.predict(inputs)
    assert of_members.shape == (2, 45, 3)
    expected = of_members.mean(axis=0)
    assert np.array_equal(classifier.predict_proba(classifier.test).to_numpy(), expected)
    assert not np.array_equal(of_members[0], of_members[1])


def test_one_member_is_no_stack() -> None:
    model = mlpx.TabularModel(**{**QUICK, "members": 1}).fit(wines(), "target")
    assert model.network.members is None
    assert model.predict_proba(wines()).shape == (178, 3)


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    first, second, other = (mlpx.TabularModel(seed=seed, **QUICK).fit(wines(), "target") for seed in (5, 5, 6))
    assert np.array_equal(first.network.vector, second.network.vector)
    assert first.preprocessing == second.preprocessing
    assert not np.array_equal(first.network.vector, other.network.vector)


def test_a_second_fit_starts_over() -> None:
    model = mlpx.TabularModel(**QUICK)
    before = model.fit(wines(), "target").network.vector
    assert np.array_equal(before, model.fit(wines(), "target").network.vector)


def test_what_was_inferred_is_told(classifier: mlpx.TabularModel) -> None:
    told = "\n".join(classifier.inferred)
    assert told.startswith("task: classification; `target` holds the classes `red`, `rosé`, `white`")
    assert "`cellar`: categories, 2 inputs" in told
    assert "45 kept for a test (25% drawn from each class)" in told
    assert "2 networks, whose predictions are averaged: 32 - 3 units, 8 epochs" in told


def test_whole_groups_are_kept_and_the_group_is_no_input() -> None:
    model = mlpx.TabularModel(seed=1, **QUICK).fit(patients(), "target", test=0.2, group="clinic")
    assert model.test["clinic"].nunique() == 4
    assert len(model.test) == sum(patients()["clinic"].isin(model.test["clinic"]))
    assert "clinic" not in [column.name for column in model.preprocessing.columns]


def test_the_latest_rows_are_kept() -> None:
    model = mlpx.TabularModel(**QUICK).fit(patients(), "target", test=0.1, time="day")
    assert model.test["day"].min() == sorted(patients()["day"])[-44]


def test_a_column_says_which_rows_test() -> None:
    table = wines().assign(part=np.where(np.arange(178) % 4 == 0, "test", "train"))
    model = mlpx.TabularModel(**QUICK).fit(table, "target", split="part")
    assert len(model.test) == 45
    assert "part" not in [column.name for column in model.preprocessing.columns]


def test_a_table_of_its_own_may_be_the_test() -> None:
    table = wines()
    model = mlpx.TabularModel(**QUICK).fit(table[::2], "target", test=table[1::2])
    assert model.test.equals(table[1::2])


def test_test_rows_teach_nothing() -> None:
    table, spoilt = patients(), patients()
    model = mlpx.TabularModel(**QUICK).fit(table, "target", time="day", test=0.2)
    spoilt.loc[model.test.index, ["bmi", "target"]] = 1e6
    again = mlpx.TabularModel(**QUICK).fit(spoilt, "target", time="day", test=0.2)
    assert np.array_equal(model.network.vector, again.network.vector)


def test_rare_classes_weigh_more_where_balanced() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=600)
    table = pd.DataFrame({"x": x, "rare": np.where(x + generator.normal(size=600) > 1.8, "yes", "no")})
    plain, balanced, by_hand = (
        mlpx.TabularModel(class_weight=weight, **{**QUICK, "epochs": 30}).fit(table, "rare")
        for weight in (None, "balanced", {"yes": 5.0})
    )
    found = [(model.predict(table) == "yes").sum() for model in (plain, balanced, by_hand)]
    assert found[1] > 1.5 * found[0]
    assert found[2] > 1.2 * found[0]


def test_many_categories_become_vectors() -> None:
    generator = np.random.default_rng(0)
    town = generator.integers(0, 40, 1200)
    table = pd.DataFrame({"town": [f"town {i:02}" for i in town], "rent": generator.normal(size=40)[town]})
    model = mlpx.TabularModel(members=2, epochs=30, progress=False).fit(table, "rent", test=0.2)
    assert isinstance(model.network.layers[0], mlpx.Embedding)
    assert model.evaluate(model.test)["r2"] > 0.9


class StopAfterThree(mlpx.Callback):
    """Ends training after the third epoch."""

    def epoch(self, run: Any) -> None:
        """Look at the number of the epoch."""
        if run.epoch == 3:
            run.stop()


def test_a_callback_may_stop() -> None:
    model = mlpx.TabularModel(**QUICK).fit(wines(), "target", callbacks=StopAfterThree())
    assert model.history.epochs == 3


# Predicting


def test_predictions_are_labels_or_numbers(classifier: mlpx.TabularModel, regressor: mlpx.TabularModel) -> None:
    labels, numbers = classifier.predict(wines()), regressor.predict(patients())
    assert set(labels) == {"red", "rosé", "white"}
    assert numbers.shape == (442,)
    assert 80 < numbers.mean() < 220


@pytest.mark.filterwarnings("ignore:left out 10 rows")
@pytest.mark.parametrize(
    ("labels", "given"),
    [
        ([5, -1, 70], [-1, 5, 70]),
        ([1.0, 2.0, 10.0], [1, 10, 2]),
        ([True, False, True], [False, True]),
        ([0.5, 1.5, 2.5], [0.5, 1.5, 2.5]),
        (["1", "2", "10"], ["1", "10", "2"]),
        (["a", 1, 2.5], ["1", "2.5", "a"]),
        ([2**60, 1, 2], ["1", str(2**60), "2"]),
        (pd.array([3, None, 4], dtype="Int64"), [3, 4]),
        (pd.Categorical([7, 8, 9]), [7, 8, 9]),
    ],
    ids=str,
)
def test_labels_come_back_as_the_table_has_them(labels: Any, given: list[Any], tmp_path: Path) -> None:
    table = pd.DataFrame({"x": np.arange(30.0), "y": pd.Series(labels).take(np.arange(30) % 3).array})
    model = mlpx.TabularModel("classification", **QUICK).fit(table, "y")
    assert model.classes == tuple(given)
    assert {type(label) for label in model.classes} == {type(label) for label in given}
    assert list(model.predict_proba(table).columns) == given
    predicted = model.predict(table)
    assert set(predicted.tolist()) <= set(given)
    model.save(tmp_path / "model.mlpx")
    again = mlpx.TabularModel.load(tmp_path / "model.mlpx").predict(table)
    assert again.dtype == predicted.dtype
    assert (again == predicted).all()


def test_labels_that_an_array_cannot_hold_are_refused() -> None:
    for text, reason in (("a\0", "end in a NUL"), ("a" * 2000, "at most 1000 characters")):
        with pytest.raises(ValueError, match=reason):
            mlpx.TabularModel(**QUICK).fit({"x": [1, 2, 3, 4], "y": ["a", text] * 2}, "y")


@pytest.mark.parametrize("kind", ["whole", "truth", "number", "bytes", None, []])
def test_a_stored_kind_of_labels_must_go_with_them(kind: Any) -> None:
    stored = Preprocessing.fit({"x": [1, 2, 3, 4], "y": ["a", "b"] * 2}, "y").to_dict()
    stored["target"]["kind"] = kind
    with pytest.raises(ValueError, match=r"`target.kind` must be one of text, whole, number, truth"):
        Preprocessing.from_dict(stored)
    del stored["target"]["kind"]
    assert Preprocessing.from_dict(stored).target.classes == ("a", "b")


def test_names_of_columns_may_be_numbers() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 4)))
    model = mlpx.TabularModel(**QUICK).fit(table, 3, drop=[0])  # type: ignore[arg-type]
    assert [column.name for column in model.preprocessing.columns] == ["1", "2"]
    with pytest.raises(ValueError, match="no column `7`"):
        mlpx.TabularModel(**QUICK).fit(table, 7)  # type: ignore[arg-type]


def test_what_was_learnt_stays_where_a_callback_raises() -> None:
    class Broken(mlpx.Callback):
        def epoch(self, run: Any) -> None:
            if run.epoch == 3:
                raise RuntimeError

    model = mlpx.TabularModel(**QUICK)
    with pytest.raises(RuntimeError):
        model.fit(wines(), "target", callbacks=Broken())
    assert model.predict(wines()).shape == (178,)
    assert model.network.classes == ("red", "rosé", "white")


def test_one_group_that_is_left_is_not_divided() -> None:
    table = {"x": np.arange(40.0), "y": np.arange(40) / 7, "half": [1, 2] * 20}
    for way in ("group", "time"):
        model = mlpx.TabularModel(**QUICK).fit(table, "y", test=0.5, **{way: "half"})
        assert model.inferred[-2].startswith("20 rows to learn from, 20 kept for a test")


def test_a_share_that_keeps_no_row_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`test` must keep rows: a share of 0.2 of 20 rows"):
        mlpx.TabularModel(**QUICK).fit({"x": range(20), "y": list("abcdefghij") * 2}, "y", test=0.2)


def test_probabilities_are_named_by_class_and_keep_the_index(classifier: mlpx.TabularModel) -> None:
    table = wines()[100:103]
    probabilities = classifier.predict_proba(table)
    assert probabilities.columns.tolist() == list(classifier.classes) == ["red", "rosé", "white"]
    assert probabilities.index.tolist() == [100, 101, 102]
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert probabilities.idxmax(axis=1).tolist() == classifier.predict(table).tolist()


def test_missing_and_unknown_values_are_predicted(classifier: mlpx.TabularModel) -> None:
    table = wines()[:4].copy()
    table.loc[0, "alcohol"] = np.nan
    table.loc[1, "cellar"] = "west"
    table.loc[2, "cellar"] = None
    notes: list[str] = []
    probabilities = classifier.predict_proba(table, note=notes.append)
    assert np.isfinite(probabilities.to_numpy()).all()
    assert "`west`" in " ".join(notes)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_libraries_tables_give_the_same(classifier: mlpx.TabularModel, library: str) -> None:
    module = pytest.importorskip(library)
    table = wines().drop(columns="target")
    other = module.from_pandas(table) if library == "polars" else module.Table.from_pandas(table)
    assert np.array_equal(classifier.predict_proba(table).to_numpy(), classifier.predict_proba(other).to_numpy())


def test_a_file_may_be_the_table(tmp_path: Path, classifier: mlpx.TabularModel) -> None:
    wines().to_csv(tmp_path / "wines.csv", index=False)
    model = mlpx.TabularModel(seed=3, **QUICK).fit(tmp_path / "wines.csv", "target", test=0.25)
    assert np.array_equal(model.predict(tmp_path / "wines.csv"), classifier.predict(wines()))


def test_an_absent_column_is_named(classifier: mlpx.TabularModel) -> None:
    with pytest.raises(ValueError, match="no column `hue`"):
        classifier.predict(wines().drop(columns="hue"))


# Files


@pytest.mark.parametrize("which", ["classifier", "regressor"])
def test_a_file_predicts_bitwise_the_same(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    model, table = request.getfixturevalue(which), wines() if which == "classifier" else patients()
    model.save(tmp_path / "model.mlpx")
    loaded = mlpx.TabularModel.load(tmp_path / "model.mlpx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of columns that were left out
        assert np.array_equal(loaded.predict(table), model.predict(table))
        assert loaded.evaluate(table) == model.evaluate(table)
    assert loaded.preprocessing == model.preprocessing
    assert loaded.network.members == 2
    assert loaded.inferred == model.inferred[: len(loaded.inferred)]


def test_the_file_is_a_networks_own(classifier: mlpx.TabularModel, tmp_path: Path) -> None:
    classifier.save(tmp_path / "model.mlpx")
    net = mlpx.load(tmp_path / "model.mlpx")
    assert np.array_equal(predict_table(net, wines()), classifier.predict(wines()))


def test_a_network_without_columns_is_refused(tmp_path: Path) -> None:
    mlpx.MLP([2, 1], output="linear").save(tmp_path / "net.mlpx")
    with pytest.raises(ValueError, match="without a table's columns"):
        mlpx.TabularModel.load(tmp_path / "net.mlpx")


# Messages


def test_what_does_not_fit_is_refused(regressor: mlpx.TabularModel) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({}, {"target": "price"}, "no column `price`"),
        ({}, {"drop": "bmi"}, "`drop` must be a list"),
        ({}, {"group": "ward"}, "no column `ward`"),
        ({}, {"group": "clinic", "time": "day"}, "one way"),
        ({}, {"test": 1.5}, "`test` must be"),
        ({"class_weight": "balanced"}, {}, "`class_weight` is for classification"),
        ({"hidden": (0,)}, {}, "hidden"),
        ({"task": "clustering"}, {}, "`task` must be one of"),
        ({"validation": 1.0}, {}, "`validation` must be"),
        ({"bins": -1}, {}, "`bins` must be at least 0"),
        ({"batch_size": "all"}, {}, "`batch_size` must be a whole number"),
    ]
    for options, arguments, message in cases:
        with pytest.raises((ValueError, TypeError), match=message):
            mlpx.TabularModel(**{**QUICK, **options}).fit(patients(), **{"target": "target", **arguments})
    with pytest.raises(ValueError, match="use `predict`"):
        regressor.predict_proba(patients())
    with pytest.raises(ValueError, match="call `fit` first"):
        mlpx.TabularModel().predict(patients())


def test_weights_of_unknown_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`class_weight` must name classes of `target`.*got `green`"):
        mlpx.TabularModel(class_weight={"green": 2}, **QUICK).fit(wines(), "target")


# Rules and measures


@pytest.mark.parametrize("rows", [1, 2, 20, 100, 1000, 20_000, 10**6])
def test_the_recipe_is_sensible_for_any_number_of_rows(rows: int) -> None:
    recipe = Recipe.for_rows(rows)
    assert 8 <= recipe.epochs <= 100
    assert 16 <= recipe.batch_size <= 256
    assert recipe.bins <= rows / 20
    assert 0.001 < recipe.learning_rate <= 0.008
    assert Recipe.for_rows(rows, bins=3, hidden=(5,)).bins == 3


def test_knots_follow_the_rows_and_no_value_takes_them_all() -> None:
    values = np.r_[np.zeros(900), np.linspace(1, 10, 100)]
    knots = choose_knots(values, 8)
    assert knots[0] == 0
    assert knots[-1] == 10
    assert len([knot for knot in knots if knot > 1]) >= 6  # plain quantiles would leave one
    assert choose_knots(np.asarray([0.0, 1.0, 1.0]), 8) == ()
    assert choose_knots(np.arange(9.0), 4) == (0.0, 2.0, 4.0, 6.0, 8.0)


def test_pieces_say_how_far_a_value_has_come() -> None:
    column = NumberColumn("x", 0.0, 0.0, 1.0, None, missing=False, knots=(0.0, 1.0, 3.0))
    frame = pd.DataFrame({"x": [-1.0, 0.5, 2.0, 9.0]})
    preprocessing = Preprocessing((column,), (), Preprocessing.fit(patients(), "target").target)
    assert preprocessing.transform(frame)[:, 1:].tolist() == [[0, 0], [0.5, 0], [1, 0.5], [1, 1]]
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


@pytest.mark.parametrize("knots", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, float("nan")], ["a", "b"], "ab", [True, 2.0]])
def test_damaged_knots_are_refused(knots: Any) -> None:
    entry = Preprocessing.fit(patients(), "target").to_dict()
    entry["columns"][0]["knots"] = knots
    with pytest.raises(ValueError, match="knots"):
        Preprocessing.from_dict(entry)


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_scikit_learns(classes: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(classes)
    truth = generator.integers(0, classes, 200)
    probabilities = generator.dirichlet(np.ones(classes), 200).round(2)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    scores = score_classes(truth, np.maximum(probabilities, 1e-6))
    area = metrics.roc_auc_score(truth, probabilities[:, 1] if classes == 2 else probabilities, multi_class="ovr")
    assert scores["roc_auc"] == pytest.approx(area, abs=1e-6)
    assert scores["accuracy"] == metrics.accuracy_score(truth, probabilities.argmax(axis=1))
    predicted = truth + generator.normal(size=200)
    numbers = score_numbers(truth, predicted)
    assert numbers["r2"] == pytest.approx(metrics.r2_score(truth, predicted))
    assert numbers["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, predicted))
    assert roc_auc([True, False], np.asarray([1.0, 1.0])) == 0.5


# What a newcomer meets


def test_rows_without_a_target_are_told() -> None:
    table = {"x": list(range(60)), "y": [None, *(2.0 * i for i in range(59))]}
    model = mlpx.TabularModel(epochs=1, members=1, progress=False)
    with pytest.warns(UserWarning, match="left out 1 row whose target `y` is missing") as told:
        model.fit(table, "y")
    assert told[0].filename == __file__
    assert any("left out 1 row" in sentence for sentence in model.inferred)


def test_divergence_names_rows_of_the_table_and_what_is_left() -> None:
    table = pd.DataFrame({"x": range(60), "y": [float(i) for i in range(60)]})
    model = mlpx.TabularModel(learning_rate=1e30, activation="relu", members=1, epochs=2, progress=False)
    with pytest.raises(mlpx.DivergenceError, match=r"lower `learning_rate`.*nothing of this fit is kept") as caught:
        model.fit(table, "y", test=0.2)
    assert model.training is not None
    assert caught.value.rows
    assert set(caught.value.rows) <= set(model.training.split.train.tolist())
    with pytest.raises(ValueError, match="has not learnt"):
        model.predict(table)


def test_an_empty_table_has_empty_predictions() -> None:
    numbers = mlpx.TabularModel(epochs=1, progress=False).fit(
        {"x": list(range(40)), "y": [0.5 * i for i in range(40)]}, "y"
    )
    assert numbers.predict({"x": []}).shape == (0,)
    labels = mlpx.TabularModel(epochs=1, progress=False).fit({"x": list(range(40)), "y": ["a", "b"] * 20}, "y")
    assert labels.predict({"x": []}).tolist() == []
    assert labels.predict_proba({"x": []}).shape == (0, 2)


def test_what_is_no_table_is_refused_with_a_remedy() -> None:
    model = mlpx.TabularModel(epochs=1, progress=False).fit({"x": list(range(40)), "y": ["a", "b"] * 20}, "y")
    with pytest.raises(ValueError, match=r"each a list, as \{'x': \[3\]\}"):
        model.predict({"x": 3})
    with pytest.raises(TypeError, match="got a Series"):
        model.predict(pd.Series([3]))
    with pytest.raises(ValueError, match="the row with index 38113 holds 'a'"):
        model.predict(pd.DataFrame({"x": [1, "a"]}, index=[4, 38113]))


def test_a_target_with_decimal_commas_is_refused() -> None:
    table = {"x": list(range(200)), "y": [f"{i},5" for i in range(100)] * 2}
    with pytest.raises(ValueError, match=r"such as '0,5'; read it with `pandas.read_csv\(…, decimal=\",\"\)`"):
        mlpx.TabularModel(epochs=1).fit(table, "y")
