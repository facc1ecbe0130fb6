"""Tables of pandas, polars, Arrow and files: the same table gives the same inputs."""

from __future__ import annotations

import datetime
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pd = pytest.importorskip("pandas", reason="tables need pandas")
pa = pytest.importorskip("pyarrow", reason="Arrow comes with pyarrow")
pl = pytest.importorskip("polars", reason="one of the tables is of polars")

from mlpx.tables import Preprocessing, as_frame  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Values = dict[str, list[Any]]


def columns(rows: int) -> st.SearchStrategy[Values]:
    """Draw a table with a column of each kind, with gaps, as lists of Python's own values."""
    years = {"min_value": datetime.datetime(1950, 1, 1), "max_value": datetime.datetime(2050, 1, 1)}
    kinds = {
        "float": st.floats(-1e9, 1e9),
        "whole": st.integers(-(2**53), 2**53),
        "truth": st.booleans(),
        "text": st.sampled_from(["red", "white", "deep blue", 'ä,"b"', "k1"]),
        "day": st.dates(datetime.date(1950, 1, 1), datetime.date(2050, 1, 1)),
        "moment": st.datetimes(**years),
    }
    drawn = {name: st.lists(st.none() | kind, min_size=rows, max_size=rows) for name, kind in kinds.items()}
    return st.fixed_dictionaries(drawn)


def as_polars(values: Values) -> Any:
    """Make a frame of polars with its own types."""
    schema = {
        "float": pl.Float64,
        "whole": pl.Int64,
        "truth": pl.Boolean,
        "text": pl.String,
        "day": pl.Date,
        "moment": pl.Datetime,
    }
    names = values.keys()
    return pl.DataFrame(values, schema_overrides={name: schema[name] for name in names if name in schema})


def forms(values: Values, folder: Path) -> Iterator[tuple[str, Any]]:
    """Give one table in every form that mlpx takes."""
    frame, objects = as_polars(values), pd.DataFrame(values, dtype=object)
    yield "dictionary", values
    yield "polars", frame
    yield "polars, lazy", frame.lazy()
    text, moment = pl.col("text"), pl.col("moment")
    yield "polars, categorical", frame.with_columns(text.cast(pl.Categorical), moment.cast(pl.Datetime("ns")))
    enum = pl.Enum(["k1", "white", "deep blue", "red", 'ä,"b"', "never"])
    yield "polars, enum", frame.with_columns(text.cast(enum), moment.dt.replace_time_zone("UTC"))
    zone = moment.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    yield "polars, zone", frame.with_columns(zone)
    yield "Arrow", frame.to_arrow()
    yield "record batch", frame.to_arrow().combine_chunks().to_batches()[0]
    yield "pandas, objects", objects
    yield "pandas", objects.infer_objects().set_axis(objects.index[::-1] * 3)
    yield "pandas, nullable", objects.convert_dtypes()
    yield "pandas, Arrow-backed", frame.to_pandas(use_pyarrow_extension_array=True)
    yield "pandas, categorical", objects.astype({"text": "category"})
    frame.write_csv(folder / "polars.csv")
    objects.to_csv(folder / "pandas.csv.gz", index=False)
    frame.write_parquet(folder / "polars.parquet")
    objects.convert_dtypes().to_parquet(folder / "pandas.parquet")
    for path in folder.iterdir():
        yield path.name, path


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=12)
@given(values=st.integers(4, 12).flatmap(columns))
def test_one_table_in_any_form_gives_the_same_inputs(values: Values) -> None:
    rows = len(values["float"])
    whole = values | {"x": [i % 3 for i in range(rows)], "y": [i + 0.5 for i in range(rows)]}
    fitted = Preprocessing.fit(whole, "y")
    wanted = fitted.transform(whole, dtype="float64", note=pytest.fail)
    with tempfile.TemporaryDirectory() as folder:
        for name, table in forms(whole, Path(folder)):
            assert Preprocessing.fit(table, "y").columns == fitted.columns, name
            np.testing.assert_array_equal(fitted.transform(table, dtype="float64", note=pytest.fail), wanted, name)
            np.testing.assert_array_equal(fitted.transform_target(table), fitted.transform_target(whole), name)


def test_the_interchange_protocol_is_enough() -> None:
    class Foreign:
        def __dataframe__(self, **options: Any) -> Any:
            return frame.__dataframe__(**options)

    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", "y"]})
    pd.testing.assert_frame_equal(as_frame(Foreign()), frame)


def test_a_frame_of_pandas_keeps_its_rows_and_gets_names_that_are_texts() -> None:
    frame = pd.DataFrame(np.ones((2, 2)), index=[7, 9])
    taken = as_frame(frame)
    assert (taken.columns.tolist(), taken.index.tolist()) == (["0", "1"], [7, 9])
    assert frame.columns.tolist() == [0, 1]
    fitted = Preprocessing.fit(frame.assign(y=[1.5, 2.5], z=[3.0, 4.0]), "y", drop=[0])
    assert [column.name for column in fitted.columns] == ["z"]


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "array": (lambda: np.ones((3, 2)), TypeError, "or the path of a file; got ndarray"),
    "nothing": (lambda: None, TypeError, "got NoneType"),
    "column": (lambda: pl.Series("a", [1]), ValueError, "this Series is not: Cannot import schema"),
    "twice": (lambda: pa.table([pa.array([1])] * 2, names=["a", "a"]), ValueError, "more than one is called `a`"),
    "texts": (lambda: pd.DataFrame([[1, 2]], columns=[1, "1"]), ValueError, "more than one is called `1`"),
    "path": (lambda: "nothing.csv", FileNotFoundError, "`nothing.csv` does not exist"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_in_a_sentence(name: str) -> None:
    make, error, sentence = REFUSED[name]
    with pytest.raises(error, match=sentence) as caught:
        as_frame(make())
    assert "\n" not in str(caught.value)


def test_columns_of_other_types_are_taken_or_left_out() -> None:
    frame = pl.DataFrame(
        {
            "decimal": [Decimal("1.5"), None, Decimal("2.5")],
            "large": pl.Series([2**64 - 1, None, 0], dtype=pl.UInt64),
            "list": [[1], [2, 3], []],
            "struct": [{"a": 1}, {"a": 2}, None],
            "clock": [datetime.time(3), datetime.time(4), None],
            "bytes": [b"a", b"b", None],
            "nothing": [None, None, None],
            "far": [datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31), None],
            "y": [0.5, 1.5, 2.5],
        }
    )
    fitted = Preprocessing.fit(frame, "y")
    assert [column.name for column in fitted.columns] == ["decimal", "large", "far"]
    assert np.isfinite(fitted.transform(frame, note=pytest.fail)).all()
    reasons = {column.name: column.reason for column in fitted.left_out}
    assert reasons == {"nothing": "only missing values"} | dict.fromkeys(
        ["list", "struct", "clock", "bytes"], "neither numbers nor texts nor dates (object)"
    )


def test_a_number_beyond_float64_is_refused() -> None:
    with pytest.raises(ValueError, match="column `a` must hold numbers that float64 can hold"):
        Preprocessing.fit({"a": [10**400, 1], "y": [1.5, 2.5]}, "y")


def test_a_target_of_dates_asks_for_a_decision() -> None:
    table = {"x": [1, 2, 3, 4], "y": ["2024-01-01", "2024-01-02"] * 2}
    with pytest.raises(ValueError, match="the target `y` must hold classes or numbers; it holds dates; turn them"):
        Preprocessing.fit(table, "y")
    assert Preprocessing.fit(table, "y", task="classification").task == "classification"


@pytest.mark.parametrize("columns", [{"x": 1}, {"x": [1, 2], "y": [1]}, {"x": np.zeros((2, 2))}])
def test_columns_of_other_lengths_are_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`table` must be a dictionary of columns, each a list"):
        as_frame(columns)


def test_lists_among_texts_are_refused_with_their_row() -> None:
    frame = pd.DataFrame({"colour": ["red", "blue"] * 5, "y": range(10)})
    fitted = Preprocessing.fit(frame, "y", task="regression")
    with pytest.raises(ValueError, match=r"column `colour` must hold texts.*data row 2 holds"):
        fitted.transform({"colour": ["red", ["blue"]]})


def test_infinite_numbers_among_texts_are_texts() -> None:
    frame = pd.DataFrame({"mixed": [1, "a", float("inf"), 2.0] * 3, "y": range(12)})
    (column,) = Preprocessing.fit(frame, "y", task="regression").columns
    assert column.categories == ("1", "2", "a", "inf")  # type: ignore[union-attr]


def test_numbers_whose_median_overflows_are_refused() -> None:
    with pytest.raises(ValueError, match="too large to standardise"):
        Preprocessing.fit({"x": [-1e308, -1.1e308], "y": ["a", "b"]}, "y")
