"""Kinds of columns: what each becomes, number by number, and the stored form of each."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pd = pytest.importorskip("pandas", reason="tables need pandas")

from mlpx.tables import CategoryColumn, DateColumn, EmbeddedColumn, NumberColumn, Preprocessing  # noqa: E402
from mlpx.tables.columns import DAY, WEEK, YEAR  # noqa: E402
from mlpx.tables.values import kind_of, to_seconds  # noqa: E402


def fit(values: Any, **options: Any) -> Preprocessing:
    """Fit one column, called a, beside a target of numbers."""
    return Preprocessing.fit(pd.DataFrame({"a": values, "y": np.arange(len(values)) + 0.5}), "y", **options)


def inputs(fitted: Preprocessing, values: Any, note: Any = pytest.fail) -> Any:
    """Transform one column."""
    return fitted.transform(pd.DataFrame({"a": values}), dtype="float64", note=note)


# Numbers


def test_robust_scaling_and_smooth_clipping_follow_their_formulas() -> None:
    values = np.random.default_rng(0).standard_cauchy(500)
    fitted = fit(values)
    lower, median, upper = np.percentile(values, [25, 50, 75])
    assert fitted.columns == (NumberColumn("a", median, median, upper - lower, 3.0, missing=False),)
    u = (values - median) / (upper - lower)
    np.testing.assert_allclose(inputs(fitted, values)[:, 0], u / np.sqrt(1 + (u / 3) ** 2), rtol=1e-12)


def test_the_range_stands_in_where_the_quartiles_coincide() -> None:
    values = [0.0] * 20 + [10.0, -30.0]
    fitted = fit(values)
    assert fitted.columns == (NumberColumn("a", 0.0, 0.0, 20.0, 3.0, missing=False),)


def test_a_missing_number_is_the_median_and_an_input_of_its_own() -> None:
    fitted = fit([1.0, 2.0, np.nan, 4.0, 9.0])
    X = inputs(fitted, [np.nan, 3.0])
    np.testing.assert_array_equal(X, [[0, 1], [0, 0]])
    notes: list[str] = []
    np.testing.assert_array_equal(inputs(fit([1.0, 2.0, 4.0]), [None, 2.0], notes.append), [[0], [0]])
    assert notes == ["1 missing value of numbers, taken as the median: `a` 1"]


def test_one_value_and_gaps_become_an_input_for_each() -> None:
    fitted = fit([7.0, np.nan, 7.0, 7.0])
    assert fitted.columns == (CategoryColumn("a", ("7",), missing=True),)
    np.testing.assert_array_equal(inputs(fitted, [7, None]), [[1, 0], [0, 1]])


def test_clipped_inputs_are_finite_however_large_the_number() -> None:
    fitted = fit([0.0, 1e-300, 2e-300, 3e-300])
    np.testing.assert_allclose(inputs(fitted, [1.7e308, -1.7e308, 1e200]), [[3], [-3], [3]])


def test_numbers_beyond_the_type_are_refused_where_nothing_clips() -> None:
    fitted = fit([1.0, 2.0, 3.0], scaling="standard")
    with pytest.raises(ValueError, match="column `a` must hold numbers that float32 can hold; data row 2 holds '1e"):
        fitted.transform(pd.DataFrame({"a": [1.0, 1e300]}))


def test_scaling_has_two_names() -> None:
    with pytest.raises(ValueError, match="`scaling` must be 'robust' or 'standard'; got 'minmax'"):
        fit([1.0, 2.0], scaling="minmax")


def test_a_table_without_rows_teaches_nothing_but_can_be_predicted() -> None:
    with pytest.raises(ValueError, match="must have rows to learn from"):
        fit([])
    assert inputs(fit([1.0, 2.0, 3.0]), []).shape == (0, 1)


# Categories

MANY = [f"k{i:02}" for i in range(30)]


def test_many_categories_are_numbers_to_look_up() -> None:
    fitted = fit([*MANY * 6, None])
    assert fitted.columns == (EmbeddedColumn("a", tuple(MANY), missing=True, rare=False),)
    notes: list[str] = []
    X = inputs(fitted, ["k00", "k29", None, "new", "new"], notes.append)
    np.testing.assert_array_equal(X, [[1], [30], [0], [0], [0]])
    assert notes == ["2 values that training did not have, taken as none of the known ones: `a` 2 (`new`)"]


def test_rare_categories_share_the_number_of_the_unknown() -> None:
    fitted = fit([*MANY * 6, "rare", *["seldom"] * 4, *["common"] * 5])
    assert fitted.columns == (EmbeddedColumn("a", ("common", *MANY), missing=False, rare=True),)
    notes: list[str] = []
    np.testing.assert_array_equal(inputs(fitted, ["rare", "new", "common"], notes.append), [[0], [0], [1]])
    assert notes == [
        "2 values that training had rarely or not at all, taken as none of the common ones: `a` 2 (`rare`, `new`)"
    ]
    assert inputs(fit([*MANY * 6]), [None], str).item() == 0


def test_a_missing_value_is_told_where_an_embedding_has_not_seen_it() -> None:
    notes: list[str] = []
    inputs(fit([*MANY * 6, "rare"]), [None, "new"], notes.append)
    said = "2 values that training had rarely or not at all, taken as none of the common ones"
    assert notes == [f"{said}: `a` 2 (a missing value, `new`)"]


def test_the_number_of_categories_decides_and_the_caller_over_it() -> None:
    twenty, more = MANY[:20] * 6, MANY[:21] * 6
    assert isinstance(fit(twenty).columns[0], CategoryColumn)
    assert isinstance(fit(more).columns[0], EmbeddedColumn)
    assert isinstance(fit(more, most_one_hot=21).columns[0], CategoryColumn)
    assert isinstance(fit(twenty, most_one_hot=19).columns[0], EmbeddedColumn)


def test_texts_of_which_most_are_rare_are_left_out() -> None:
    names = [*["Smith"] * 10, *[f"name {i // 2}" for i in range(90)]]
    frame = pd.DataFrame({"a": names, "x": np.arange(100.0), "y": np.arange(100) + 0.5})
    (left_out,) = Preprocessing.fit(frame, "y").left_out
    assert left_out.reason == "46 different texts, most of them rare"


def test_embeddings_name_position_categories_and_units() -> None:
    values = MANY * 6
    frame = pd.DataFrame(
        {"n": np.arange(180.0) % 7, "a": values, "c": ["x", "y"] * 90, "b": values[::-1], "y": np.arange(180) + 0.5}
    )
    fitted = Preprocessing.fit(frame, "y")
    assert fitted.embeddings == ((1, 31, 8), (4, 31, 8))
    codes = fitted.transform(frame)[:, [1, 4]]
    np.testing.assert_array_equal(codes, np.stack([np.arange(180) % 30 + 1, (np.arange(180) % 30)[::-1] + 1], axis=1))
    assert fit(np.arange(9.0)).embeddings == ()


# Dates


def test_dates_become_trend_and_phases() -> None:
    times = pd.Series(pd.date_range("2020-01-01 06:00", periods=1000, freq="13h"))
    fitted = fit(times.where(np.arange(1000) != 3))
    (column,) = fitted.columns
    assert isinstance(column, DateColumn)
    assert column.phases == (YEAR, WEEK, DAY)
    X = inputs(fitted, times)
    t = times.astype("datetime64[s]").astype("int64").to_numpy()
    np.testing.assert_allclose(X[:, 0], (t - column.center) / column.scale, rtol=1e-12)
    for i, period in enumerate(column.phases):
        np.testing.assert_allclose(
            X[:, 1 + 2 * i : 3 + 2 * i].T, [f(2 * np.pi * t / period) for f in (np.sin, np.cos)], atol=1e-9
        )
    assert not inputs(fitted, [None, pd.NaT]).any()


@pytest.mark.parametrize(
    ("start", "step", "count", "phases"),
    [
        ("2020-01-01", "1D", 3, ()),
        ("2020-01-01", "1D", 8, (WEEK,)),
        ("2020-01-01", "7D", 60, (YEAR,)),
        ("2020-01-01 12:00", "1D", 400, (YEAR, WEEK)),
        ("2020-01-01", "1h", 30, (DAY,)),
    ],
)
def test_phases_are_those_that_the_rows_cover(start: str, step: str, count: int, phases: Any) -> None:
    (column,) = fit(pd.date_range(start, periods=count, freq=step)).columns
    assert isinstance(column, DateColumn)
    assert column.phases == phases


@pytest.mark.parametrize(
    "text",
    ["2024-02-29T12:30:00Z", "2024-02-29 13:30+01:00", "2024-02-29T12:30", "2024-02-29 07:30:00.000-0500"],
)
def test_texts_of_iso_dates_are_moments_of_utc(text: str) -> None:
    series = pd.Series([text, None, "2024-02-29"], name="a")
    assert kind_of(series) == "date"
    np.testing.assert_array_equal(to_seconds(series), [1709209800, np.nan, 1709164800])


@pytest.mark.parametrize(
    "text", ["2024-02-30", "29.02.2024", "2024-2-9", "2024-02", "20240229", "2024-02-29 late", "24"]
)
def test_other_texts_are_no_dates(text: str) -> None:
    assert kind_of(pd.Series(["2024-02-28", text])) == "category"
    assert kind_of(pd.Series([text, "2024-02-28"])) == "category"


def test_what_is_no_date_is_refused_with_its_row() -> None:
    fitted = fit(pd.date_range("2024-01-01", periods=9).astype(str))
    with pytest.raises(ValueError, match="column `a` must hold dates as 2024-02-29; data row 2 holds 'soon'"):
        inputs(fitted, ["2024-01-01", "soon"])
    with pytest.raises(ValueError, match=r"column `a` must hold dates; it holds numbers \(int64\)"):
        inputs(fitted, [1, 2])
    with pytest.raises(ValueError, match="column `a` must hold numbers; it holds dates"):
        inputs(fit([1.0, 2.0]), pd.date_range("2024-01-01", periods=2))


# In words, and stored


@pytest.fixture
def every_kind() -> Preprocessing:
    """Fit a column of each kind."""
    rows = 240
    frame = pd.DataFrame(
        {
            "size": [None, *np.arange(1, rows) % 50],
            "colour": ["red", "blue", None, "red"] * 60,
            "town": MANY * 8,
            "day": pd.date_range("2020-01-01", periods=rows, freq="2D"),
            "name": [f"person {i}" for i in range(rows)],
            "y": np.arange(rows) - 300.5,
        }
    )
    return Preprocessing.fit(frame, "y")


def test_every_column_is_described_in_one_line(every_kind: Preprocessing) -> None:
    scaled = "(value - 24) / 23.5, clipped smoothly at 3; 24 where missing, and an input that says so"
    town = "30 categories, too many for one input each, are vectors of length 8; one more for unknown"
    assert dict(every_kind.describe()) == {
        "size": f"numbers, 2 inputs: {scaled}",
        "colour": 'categories, 3 inputs: one for each of 2 categories, one for "missing" (`blue`, `red`)',
        "town": f"categories, 1 input: {town}",
        "day": "dates, 5 inputs: the time about 2020-08-27 in units of 138.6 days, and the phase of year and week",
        "name": "left out: 240 different texts, as in an identifier",
        "y": "target, regression: (value + 181) / 69.2814",
    }


def test_every_kind_survives_json(every_kind: Preprocessing) -> None:
    stored = json.loads(json.dumps(every_kind.to_dict(), allow_nan=False))
    assert [column["kind"] for column in stored["columns"]] == ["number", "category", "embedded", "date"]
    assert Preprocessing.from_dict(stored) == every_kind


def test_no_rows_become_no_inputs(every_kind: Preprocessing) -> None:
    frame = pd.DataFrame({column.name: [] for column in every_kind.columns})
    for empty in (frame, frame.astype(object), frame.astype("datetime64[ns]")):
        assert every_kind.transform(empty, note=pytest.fail).shape == (0, 2 + 3 + 1 + 5)


@pytest.mark.parametrize("dtype", [float, object, "Float64", "datetime64[ns]", "str", "category"])
def test_columns_without_any_value_are_missing_whatever_their_type(every_kind: Preprocessing, dtype: Any) -> None:
    frame = pd.DataFrame({column.name: [None, None] for column in every_kind.columns}, dtype=dtype)
    X = every_kind.transform(frame, note=str)
    np.testing.assert_array_equal(X, [[0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]] * 2)


DAMAGES: list[tuple[int, str, Any]] = [
    (2, "categories", []),
    (2, "categories", ["a", "a"]),
    (2, "categories", [1]),
    (2, "missing", 0),
    (2, "rare", None),
    (2, "kind", "number"),
    (3, "center", "1970"),
    (3, "center", 1e300),
    (3, "scale", -1),
    (3, "scale", 1e-300),
    (3, "phases", None),
    (3, "phases", [0.5]),
    (3, "phases", [1e300]),
    (3, "phases", [10**400]),
    (3, "phases", [float("nan")]),
    (3, "phases", [True]),
    (3, "phases", ["86400"]),
    (3, "phases", [86400.0] * 9),
]


@pytest.mark.parametrize(("place", "key", "value"), DAMAGES, ids=lambda part: repr(part)[:20])
def test_damaged_kinds_are_refused(every_kind: Preprocessing, place: int, key: str, value: Any) -> None:
    entry = every_kind.to_dict()
    entry["columns"][place][key] = value
    with pytest.raises(ValueError, match=rf"the stored preprocessing is damaged: `columns\[{place}\]"):
        Preprocessing.from_dict(entry)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
extremes = st.sampled_from([0, -1, 10**400, 1e308, -1e308, 5e-324, True, None, "", [], ["a"] * 2, float("nan")])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(data=st.data(), value=json_values | extremes)
def test_a_description_with_one_part_replaced_is_refused_or_works(
    every_kind: Preprocessing, data: st.DataObject, value: Any
) -> None:
    entry = every_kind.to_dict()
    inner = data.draw(st.sampled_from([entry, entry["target"], *entry["columns"], *entry["left_out"]]))
    inner[data.draw(st.sampled_from(sorted(inner)))] = value
    frame = pd.DataFrame({"size": [1e308, -3, None], "colour": "red", "town": "k01", "day": "1900-01-01"})
    with contextlib.suppress(ValueError):
        X = Preprocessing.from_dict(entry).transform(frame, note=str)
        assert np.isfinite(X).all()


def test_version_1_is_read_as_it_was_meant() -> None:
    entry = {
        "kind": "mlpx.tables.Preprocessing",
        "version": 1,
        "columns": [
            {"name": "height", "median": 2.0, "mean": 3.0, "scale": 4.0},
            {"name": "colour", "categories": ["blue", "red"], "missing": True},
        ],
        "left_out": [{"name": "day", "reason": "neither numbers nor texts"}],
        "target": {"name": "y", "mean": 0.0, "scale": 1.0},
        "split": None,
        "source": None,
    }
    fitted = Preprocessing.from_dict(entry)
    frame = pd.DataFrame({"height": [7.0, np.nan], "colour": ["red", None], "day": "2024-01-01"})
    np.testing.assert_array_equal(fitted.transform(frame, note=str), [[1, 0, 1, 0], [-0.25, 0, 0, 1]])
    assert Preprocessing.from_dict(fitted.to_dict()) == fitted
