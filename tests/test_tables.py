"""Tables: reading files, deciding what columns are, and the description that is stored with a model."""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pd = pytest.importorskip("pandas", reason="tables need pandas")

from mlpx.datasets import TARGETS, load_dataset  # noqa: E402 - after the skip
from mlpx.tables import (  # noqa: E402
    CategoryColumn,
    ClassTarget,
    NumberColumn,
    NumberTarget,
    Preprocessing,
    Source,
    infer_task,
    read_table,
)
from mlpx.tables.preprocessing import labelled_rows  # noqa: E402
from mlpx.tables.requirements import require  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


def flowers(rows: int = 40) -> Any:
    """Make a table with a column of each kind."""
    generator = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "height": generator.normal(50, 10, rows),
            "petals": generator.integers(3, 9, rows),
            "colour": generator.choice(["red", "white", "blue"], rows),
            "wild": generator.choice([True, False], rows),
            "species": generator.choice(["rose", "aster"], rows),
        }
    )
    frame.loc[3, "height"] = np.nan
    frame.loc[5, "colour"] = None
    return frame


@pytest.fixture
def fitted() -> Preprocessing:
    """Fit the description of `flowers`."""
    return Preprocessing.fit(flowers(), "species")


# Reading


def test_csv_keeps_types_and_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,x,t,b\n1,0.5,red,True\n2,,?,False\n3,NA,None,True\n", encoding="utf-8")
    frame = read_table(path).frame
    assert [kind.kind if hasattr(kind, "kind") else str(kind) for kind in frame.dtypes[["n", "x", "b"]]] == [*"ifb"]
    assert frame["x"].isna().tolist() == [False, True, True]
    assert frame["t"].isna().tolist() == [False, True, False]  # "None" is a name, not a gap


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_separator_is_found(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufeff" + separator.join(["a", '"b,;|c"', "d"]) + "\n" + separator.join("123") + "\n", "utf-8")
    assert read_table(path).frame.columns.tolist() == ["a", "b,;|c", "d"]


def test_decimal_commas_are_numbers_where_they_do_not_separate(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a;b;c\n1,5;x,y;2\n-20,25;;3\n;z;4\n")
    frame = read_table(path).frame
    np.testing.assert_array_equal(frame["a"], [1.5, -20.25, np.nan])
    assert frame["b"].tolist()[::2] == ["x,y", "z"]


def test_compressed_csv_and_parquet_equal_the_plain_table(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    frame = flowers()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.PARQUET")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    plain, *others = (read_table(tmp_path / name) for name in ("a.csv", "a.PARQUET", "b.csv.gz"))
    assert [table.name for table in (plain, *others)] == ["a", "a", "b"]
    X = Preprocessing.fit(plain.frame, "species").transform(plain.frame)
    for other in others:
        np.testing.assert_allclose(Preprocessing.fit(other.frame, "species").transform(other.frame), X, rtol=1e-6)


def test_npz_of_images_is_flattened_and_keeps_its_test_part(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    train, test = (generator.integers(0, 255, (n, 4, 3), np.uint8) for n in (9, 5))
    np.savez(tmp_path / "a.npz", x_train=train, y_train=np.arange(9) % 3, x_test=test, y_test=np.arange(5) % 3)
    table = read_table(tmp_path / "a.npz")
    assert table.test is not None
    assert (table.frame.shape, table.test.shape, table.target, table.one_scale) == ((9, 13), (5, 13), "y", True)
    np.testing.assert_array_equal(table.frame.drop(columns="y"), train.reshape(9, 12))
    fitted = Preprocessing.fit(table.frame, "y", one_scale=True)
    pixels = train.astype(float)
    first = fitted.columns[0]
    assert isinstance(first, NumberColumn)
    assert (first.center, first.scale) == pytest.approx((pixels.mean(), pixels.std()))


def test_npz_without_a_target_can_be_predicted(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", X=np.ones((3, 2)))
    table = read_table(tmp_path / "a.npz")
    assert (table.frame.columns.tolist(), table.target, table.one_scale) == (["x0", "x1"], None, False)


BROKEN: dict[str, tuple[bytes, str]] = {
    "a.txt": (b"a\n1\n", r"has the ending `\.txt`; tables are read from \.csv, \.csv\.gz, \.parquet, \.npz"),
    "a": (b"a\n1\n", "has no ending"),
    "empty.csv": (b"", "it is empty"),
    "rows.csv": (b"a,b\n", "has no rows"),
    "wide.csv": (b"a,b\n1,2,3\n4,5,6\n", "more fields than its header"),
    "wider.csv": (b"a,b\n1,2\n4,5,6\n", "line 3 has 3 fields, where the lines above have 2$"),
    "open.csv": (b'a,b\n1,"2\n4,5\n', "never closed"),
    "latin.csv": (b"a,b\n1,\xe4\n", "not UTF-8"),
    "binary.csv": (b"\x00\x01\n", "no text"),
    "gz.csv.gz": (b"a,b\n1,2\n", "gzip"),
    "cut.csv.gz": (gzip.compress(b"a,b\n1,2\n" * 99)[:-9], "cannot be read as .csv.gz"),
    "a.parquet": (b"PAR1", "cannot be read as .parquet"),
    "a.npz": (b"text", "no archive of arrays"),
    "b.npz": (b"PK\x05\x06" + bytes(18), "needs the arrays `X` and `y`"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    content, sentence = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_names_that_come_twice_are_told(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text('a;"b;c";a;;\n1;2;3;4;5\n', encoding="utf-8")
    with pytest.warns(UserWarning, match=r"twice\.csv` has `a` more than once; the later ones are read as `a\.1`"):
        table = read_table(path)
    assert table.frame.columns[:3].tolist() == ["a", "b;c", "a.1"]


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.csv` does not exist"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_table(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"X": np.array([{}, 1], dtype=object)}, "allow_pickle"),
        ({"X": np.ones((3, 2)), "y": np.ones((3, 2))}, "one value for each of the 3 rows"),
        ({"X": np.array(["a"])}, "array of numbers"),
        ({"images": np.ones((3, 2))}, "it holds `images`"),
    ],
)
def test_npz_of_the_wrong_arrays_is_refused(tmp_path: Path, arrays: dict[str, Any], sentence: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=sentence):
        read_table(tmp_path / "a.npz")


@pytest.mark.parametrize("name", TARGETS)
def test_shipped_data_sets_have_a_named_target(name: str) -> None:
    pytest.importorskip("sklearn", reason="the data sets come with scikit-learn")
    table = load_dataset(name)
    assert table.frame.columns[-1] == table.target
    assert infer_task(table.frame[table.target]) == ("regression" if name == "diabetes" else "classification")


def test_an_unknown_data_set_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match="did you mean `iris`"):
        load_dataset("irsi")


# Fitting


def test_standardising_imputing_and_encoding_equal_scikit_learn() -> None:
    compose = pytest.importorskip("sklearn.compose", reason="scikit-learn is the outside reference")
    impute, pipeline, scaling = map(
        pytest.importorskip, ["sklearn.impute", "sklearn.pipeline", "sklearn.preprocessing"]
    )
    generator = np.random.default_rng(3)
    frame = pd.DataFrame(generator.normal(5, [1, 100, 0.1], (200, 3)), columns=["a", "b", "c"])
    frame = frame.mask(generator.random(frame.shape) < 0.1)
    frame["k"] = generator.choice(["x", "y", "zz"], 200)
    frame["l"] = pd.Series(generator.choice(["u", "v"], 200)).mask(generator.random(200) < 0.2)
    frame["y"] = generator.normal(size=200)
    train, test = frame[:150], frame[150:]
    standardised = pipeline.make_pipeline(impute.SimpleImputer(strategy="median"), scaling.StandardScaler())
    names = ["a", "b", "c"]
    reference = compose.ColumnTransformer(
        [
            ("numbers", standardised, names),
            ("gaps", impute.MissingIndicator(), names),
            ("texts", scaling.OneHotEncoder(sparse_output=False), ["k", "l"]),
        ]
    ).fit(train)
    fitted = Preprocessing.fit(train, "y", scaling="standard")
    order = [0, 3, 1, 4, 2, 5, *range(6, fitted.width)]  # ours puts each indicator behind its number
    for part in (train, test):
        wanted = reference.transform(part)[:, order]
        np.testing.assert_allclose(fitted.transform(part, dtype="float64"), wanted, rtol=1e-9, atol=1e-12)


numbers = st.lists(st.none() | st.floats(-1e6, 1e6, width=32), min_size=3, max_size=30)
texts = st.none() | st.text("abcé ,\n\"'", max_size=3)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(values=numbers, data=st.data())
def test_training_rows_become_finite_inputs_and_survive_json(values: list[float | None], data: st.DataObject) -> None:
    words = data.draw(st.lists(texts, min_size=len(values), max_size=len(values)))
    frame = pd.DataFrame({"n": pd.Series(values, dtype=float), "t": pd.Series(words, dtype=object)})
    frame["always"] = np.arange(len(values), dtype=float) % 2
    frame["y"] = np.arange(len(values)) + 0.5
    scaling = data.draw(st.sampled_from(["robust", "standard"]))
    fitted = Preprocessing.fit(frame, "y", scaling=scaling, source=Source("words", len(values)))
    X = fitted.transform(frame, dtype="float64", note=pytest.fail)
    assert X.shape == (len(values), fitted.width)
    assert np.isfinite(X).all()
    stored = json.loads(json.dumps(fitted.to_dict(), allow_nan=False))
    assert Preprocessing.from_dict(stored) == fitted
    for column, start in _starts(fitted):
        block = X[:, start : start + column.width]
        if isinstance(column, CategoryColumn):
            assert (block.sum(axis=1) == 1).all()
        elif scaling == "standard":
            np.testing.assert_allclose([block[:, 0].mean(), block[:, 0].var()], [0, 1], atol=1e-6)
        else:
            assert abs(np.median(block[:, 0])) < 1e-9
            assert np.abs(block[:, 0]).max() <= 3


def _starts(fitted: Preprocessing) -> list[tuple[Any, int]]:
    widths = [column.width for column in fitted.columns]
    return list(zip(fitted.columns, np.cumsum([0, *widths[:-1]]).tolist(), strict=True))


def test_columns_that_teach_nothing_are_left_out_with_a_reason() -> None:
    rows = 60
    frame = pd.DataFrame(
        {
            "void": [None] * rows,
            "constant": 7,
            "word": "same",
            "name": [f"person {i}" for i in range(rows)],
            "day": pd.Timestamp("2024-01-01"),
            "hours": pd.to_timedelta(np.arange(rows), unit="h"),
            "list": [[i] for i in range(rows)],
            "Unnamed: 0": range(rows),
            "mine": range(rows),
            "x": np.arange(rows) % 7,
            "y": np.arange(rows) * 1.5,
        }
    )
    fitted = Preprocessing.fit(frame, "y", drop=["mine"])
    reasons = {column.name: column.reason for column in fitted.left_out}
    assert [column.name for column in fitted.columns] == ["x"]
    assert list(reasons) == [*frame.columns[:-2]]
    assert reasons["void"] == "only missing values"
    assert reasons["constant"] == reasons["word"] == reasons["day"] == "the same value in every row"
    assert reasons["name"] == "60 different texts, as in an identifier"
    assert reasons["mine"] == "as asked"
    assert reasons["hours"].startswith("neither numbers nor texts nor dates (timedelta64")
    assert reasons["list"] == "neither numbers nor texts nor dates (object)"


def test_nothing_left_to_learn_from_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no column is left to predict `y` from .*`a`: the same value"):
        Preprocessing.fit(pd.DataFrame({"a": 1, "y": [1.5, 2.5]}), "y")


def test_a_few_texts_among_numbers_are_taken_for_a_mistake() -> None:
    frame = pd.DataFrame({"age": [*map(str, range(99)), "young"], "y": np.arange(100) + 0.5})
    with pytest.raises(ValueError, match=r"column `age` holds numbers in 99% .* data row 100 holds 'young'"):
        Preprocessing.fit(frame, "y")


@pytest.mark.parametrize(("value", "scaling"), [(np.inf, "robust"), (1.7e308, "robust"), (1e300, "standard")])
def test_numbers_that_cannot_be_scaled_are_refused(value: float, scaling: Any) -> None:
    frame = pd.DataFrame({"a": [1.0, value, -value, value, -value], "y": np.arange(5) + 0.5})
    with pytest.raises(ValueError, match="column `a`"):
        Preprocessing.fit(frame, "y", scaling=scaling)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        ([3, 4, 9], "classification"),
        ([1.0, 2.0, np.nan], "classification"),
        (list(range(21)), "regression"),
        ([0.5, 1.0], "regression"),
        (pd.Categorical([1, 2, 1]), "classification"),
    ],
)
def test_task_follows_the_target(values: Any, task: str) -> None:
    assert infer_task(pd.Series(values)) == task


def test_classes_are_texts_sorted_with_their_counts() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3, 4], "y": [2.0, 1.0, 2.0, 2.0]})
    fitted = Preprocessing.fit(frame, "y")
    assert fitted.target == ClassTarget("y", ("1", "2"), (1, 3), "whole")
    assert fitted.transform_target(frame).tolist() == ["2", "1", "2", "2"]
    with pytest.raises(ValueError, match="column `y` holds `3`, which the training rows do not have"):
        fitted.transform_target(pd.DataFrame({"y": [1, 3]}))


def test_numbers_of_a_target_go_there_and_back() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [1.5, 2.5, 9.0]})
    target = Preprocessing.fit(frame, "y").target
    assert isinstance(target, NumberTarget)
    scaled = target.encode(frame["y"])
    np.testing.assert_allclose([scaled.mean(), scaled.std()], [0, 1], atol=1e-12)
    np.testing.assert_allclose(target.decode(scaled[:, None]), frame["y"])


@pytest.mark.parametrize(
    ("values", "task", "sentence"),
    [
        (["a"] * 50, "auto", "at least two classes"),
        ([f"name {i}" for i in range(50)], "auto", "50 different values in 50 rows"),
        ([1.5] * 50, "auto", "must vary"),
        (["1.5"] * 48 + ["high", "low"], "regression", "row 49 holds 'high', and 1 row more"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(values: list[Any], task: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Preprocessing.fit(pd.DataFrame({"x": range(50), "y": values}), "y", task=task)


def test_rows_without_a_target_are_not_labelled() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "y": ["a", None, "b"]})
    assert labelled_rows(frame, "y").index.tolist() == [0, 2]
    with pytest.raises(ValueError, match="missing in every row"):
        labelled_rows(frame.assign(y=None), "y")
    with pytest.raises(ValueError, match="the target `y` must be there in every row; it is missing in 1 row; leave"):
        Preprocessing.fit(frame, "y")
    with pytest.raises(ValueError, match="the target `y` must be there in every row"):
        Preprocessing.fit(frame[::2].assign(x=[1, 2]), "y").transform_target(frame)


# Applying to later tables


def test_order_of_columns_does_not_matter_and_extra_ones_are_named(fitted: Preprocessing) -> None:
    frame, notes = flowers(), list[str]()
    X = fitted.transform(frame, note=pytest.fail)
    other = frame[frame.columns[::-1]].drop(columns="species").assign(new=1, newer=2)
    np.testing.assert_array_equal(fitted.transform(other, note=notes.append), X)
    assert notes == ["ignoring 2 columns that the training table did not have: `new`, `newer`"]


def test_one_missing_column_gets_a_suggestion(fitted: Preprocessing) -> None:
    with pytest.raises(ValueError, match=r"has no column `height` \(did you mean `Height`\?\); the columns are"):
        fitted.transform(flowers().rename(columns={"height": "Height"}))
    with pytest.raises(ValueError, match="lacks 2 columns: `height`, `wild`"):
        fitted.transform(flowers().drop(columns=["height", "wild"]))


def test_a_text_among_numbers_is_refused_with_column_and_row(fitted: Preprocessing) -> None:
    frame = flowers().astype({"height": object})
    frame.loc[7, "height"] = "tall"
    with pytest.raises(ValueError, match="column `height` must hold numbers; data row 8 holds 'tall'"):
        fitted.transform(frame)
    frame.loc[7, "height"] = "51.5"
    assert np.isfinite(fitted.transform(frame)).all()
    with pytest.raises(ValueError, match="it holds dates"):
        fitted.transform(frame.assign(height=pd.Timestamp("2024-01-01")))


def test_unknown_categories_are_zeros_and_counted_in_one_line(fitted: Preprocessing) -> None:
    frame, notes = flowers(), list[str]()
    frame["colour"] = ["green", "green", *frame["colour"][2:]]
    frame["wild"] = [None, *frame["wild"][1:]]
    X = fitted.transform(frame, note=notes.append)
    (_, colour), (_, wild) = _starts(fitted)[2:4]
    assert not X[:2, colour:wild].any()
    assert not X[0, wild:].any()
    assert X[2:, colour:wild].any(axis=1).all()
    said = "3 values that training did not have, taken as none of the known ones"
    sentence = f"{said}: `colour` 2 (`green`), `wild` 1 (a missing value)"
    assert notes == [sentence]
    with pytest.warns(UserWarning, match="3 values that training did not have"):
        fitted.transform(frame)


def test_missing_is_a_category_only_where_training_had_it(fitted: Preprocessing) -> None:
    kinds = {c.name: c for c in fitted.columns if isinstance(c, CategoryColumn)}
    assert kinds["colour"] == CategoryColumn("colour", ("blue", "red", "white"), missing=True)
    assert kinds["wild"] == CategoryColumn("wild", ("False", "True"), missing=False)


@pytest.mark.parametrize("other", [["1", "2", "A"], [1, 2, "A"], [1.0, 2.0, "A"]])
def test_a_code_is_the_same_category_as_text_and_as_number(other: list[Any]) -> None:
    frame = pd.DataFrame({"code": ["1", "2", "A"] * 5, "y": np.arange(15) + 0.5})
    fitted = Preprocessing.fit(frame, "y")
    X = fitted.transform(pd.DataFrame({"code": pd.Series(other, dtype=object)}), note=pytest.fail)
    np.testing.assert_array_equal(X, np.eye(3))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "category", "string", "int8", "bool"])
def test_every_type_of_column_is_taken(dtype: str) -> None:
    values = pd.Series([0, 1, 1, 0, 1, 0]).astype("str" if dtype == "string" else "int8").astype(dtype)
    if dtype not in ("int8", "bool"):
        values = values.where([True, True, True, True, True, False])
    frame = pd.DataFrame({"a": values, "b": np.arange(6), "y": np.arange(6) + 0.5})
    fitted = Preprocessing.fit(frame, "y")
    assert np.isfinite(fitted.transform(frame, note=pytest.fail)).all()
    assert isinstance(fitted.columns[0], NumberColumn) == (dtype in ("Int64", "Float64", "int8"))


# The stored form

DAMAGES: list[tuple[list[Any], Any]] = [
    (["kind"], "pickle"),
    (["version"], 3),
    (["version"], 0),
    (["version"], 1.5),
    (["version"], True),
    (["columns"], {}),
    (["columns"], []),
    (["columns", 0], "height"),
    (["columns", 0, "name"], 3),
    (["columns", 0, "name"], "wild"),
    (["columns", 0, "kind"], "object"),
    (["columns", 0, "kind"], ["number"]),
    (["columns", 0, "fill"], "0"),
    (["columns", 0, "fill"], True),
    (["columns", 0, "center"], float("nan")),
    (["columns", 0, "center"], 10**400),
    (["columns", 0, "clip"], 0),
    (["columns", 0, "missing"], None),
    (["columns", 0, "scale"], 0),
    (["columns", 0, "scale"], float("inf")),
    (["columns", 2, "categories"], "red"),
    (["columns", 2, "categories"], ["red", "red"]),
    (["columns", 2, "categories"], [["red"]]),
    (["columns", 2, "missing"], 1),
    (["left_out"], None),
    (["left_out"], [{"name": "a"}]),
    (["target"], None),
    (["target", "classes"], ["rose"]),
    (["target", "counts"], [1]),
    (["target", "counts"], [1, -1]),
    (["target", "counts"], [1, 1.5]),
    (["split"], 1),
    (["source"], "a.csv"),
    (["source"], {"name": "a", "rows": 0}),
    (["source"], {"name": 1, "rows": 3}),
]


@pytest.mark.parametrize(("place", "value"), DAMAGES, ids=lambda part: repr(part)[:30])
def test_damaged_descriptions_are_refused(fitted: Preprocessing, place: list[Any], value: Any) -> None:
    entry = fitted.to_dict()
    inner: Any = entry
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(ValueError, match="the stored preprocessing"):
        Preprocessing.from_dict(entry)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(entry=json_values, place=st.sampled_from([None, "version", "columns", "left_out", "target", "split", "source"]))
def test_any_json_is_read_or_refused_with_a_sentence(entry: Any, place: str | None) -> None:
    whole = Preprocessing((NumberColumn("a", 0, 0, 1, 3, missing=True),), (), NumberTarget("y", 0, 1)).to_dict()
    with contextlib.suppress(ValueError):
        Preprocessing.from_dict(entry if place is None else whole | {place: entry})


# Missing libraries


def test_a_missing_library_gets_its_install_command() -> None:
    with pytest.raises(ImportError, match=r'needs no_such_library, .*pip install "mlpx\[cli\]"'):
        require("no_such_library", "reading a table")


def test_pandas_is_imported_only_when_a_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    script = (
        "import sys, mlpx.tables, mlpx.datasets\n"
        "assert not {'pandas', 'pyarrow', 'sklearn'} & set(sys.modules)\n"
        "sys.modules['pandas'] = None\n"
        f"mlpx.tables.read_table({str(tmp_path / 'a.csv')!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith('install it with: pip install "mlpx[cli]"'), done.stderr
