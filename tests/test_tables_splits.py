"""Which rows train and which test."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pd = pytest.importorskip("pandas", reason="tables need pandas")

from mlpx.tables import Split, split_by_column, split_by_fraction, split_by_group, split_by_time  # noqa: E402


def parts(split: Split, rows: int) -> None:
    """Check that every row is in one part."""
    everything = np.concatenate([split.train, split.test, split.validation])
    assert sorted(everything.tolist()) == list(range(rows))
    assert all((np.diff(part) > 0).all() for part in (split.train, split.test, split.validation))


@given(
    classes=st.lists(st.sampled_from(["a", "b", None, 1]), min_size=1, max_size=60),
    fraction=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 9),
)
def test_each_class_gives_the_same_share(classes: list[Any], fraction: float, seed: int) -> None:
    series = pd.Series(classes, dtype=object)
    split = split_by_fraction(len(classes), fraction, classes=series, seed=seed)
    parts(split, len(classes))
    drawn = Counter(classes[i] for i in split.test)
    assert drawn == Counter({label: round(fraction * count) for label, count in Counter(classes).items()})
    again = split_by_fraction(len(classes), fraction, classes=series, seed=seed)
    np.testing.assert_array_equal(again.test, split.test)


def test_a_fraction_draws_so_many_rows_and_says_so() -> None:
    split = split_by_fraction(50, 0.3, seed=1)
    parts(split, 50)
    assert (len(split.test), split.source) == (15, "30% drawn")
    assert split.test.tolist() != split_by_fraction(50, 0.3, seed=2).test.tolist()
    assert split_by_fraction(3, 0.1).source == ""


def test_no_group_stands_on_both_sides() -> None:
    pytest.importorskip("sklearn", reason="groups are drawn by scikit-learn")
    groups = pd.Series([*np.random.default_rng(0).choice(list("abcdefghij"), 200), None, None], name="patient")
    split = split_by_group(groups, 0.3, seed=4)
    parts(split, 202)
    train, test = (set(groups.iloc[rows].fillna("none")) for rows in (split.train, split.test))
    assert not train & test
    assert (len(test), split.source) == (4, "4 groups of column patient")  # 30 % of 11, rounded up
    assert not len(split_by_group(groups, 0).test)
    with pytest.raises(ValueError, match="the column `g` must hold at least two groups; all 3 rows are of one"):
        split_by_group(pd.Series(["a"] * 3, name="g"), 0.5)


@given(times=st.lists(st.integers(0, 9), min_size=2, max_size=40).filter(lambda v: len(set(v)) > 1))
def test_test_rows_are_later_than_all_training_rows(times: list[int]) -> None:
    series = pd.Series(times)
    split = split_by_time(series, 0.5)
    parts(split, len(times))
    assert series.iloc[split.train].max() < series.iloc[split.test].min()


@pytest.mark.parametrize("kind", ["datetime64[ns]", "datetime64[us, Europe/Berlin]", "str", "object"])
def test_time_may_be_dates_of_any_type(kind: str) -> None:
    days = pd.Series(pd.date_range("2024-01-01", periods=10, freq="D", tz="UTC")).sample(frac=1, random_state=0)
    zone = days if "Berlin" in kind else days.dt.tz_localize(None)
    times = (zone.dt.strftime("%Y-%m-%d") if kind == "str" else zone.astype(kind)).rename("day")
    split = split_by_time(times, 0.2)
    assert sorted(days.iloc[split.test].dt.day) == [9, 10]
    assert split.source == "latest by column day"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1, 1, 1], "must hold different times to split by; all are 1"),
        ([1.0, np.nan, 3.0], "`when` must hold a time in every row to split by; data row 2 holds"),
        (["soon", "later", "later"], "`when` must hold dates or numbers to split by time"),
    ],
)
def test_times_that_cannot_divide_are_refused(values: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        split_by_time(pd.Series(values, name="when"), 0.4)


def test_a_column_may_say_train_validation_and_test() -> None:
    split = split_by_column(pd.Series(["train", " Test", "val", "TRAINING", "dev", "test"], name="part"))
    assert (split.train.tolist(), split.test.tolist(), split.validation.tolist()) == ([0, 3], [1, 5], [2, 4])
    assert split.source == "column part"
    with pytest.raises(ValueError, match=r"must say train, test or val.*; data row 2 holds 'later', and 1 row more"):
        split_by_column(pd.Series(["train", "later", None], name="part"))


@pytest.mark.parametrize("fraction", [-0.1, 1, np.nan])
def test_a_fraction_lies_between_0_and_1(fraction: float) -> None:
    with pytest.raises(ValueError, match="`fraction` must be a share of the rows from 0 to below 1"):
        split_by_fraction(9, fraction)
