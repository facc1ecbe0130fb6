"""``mlpx train``: from a table to a model file, saying what is inferred on the way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlpx
from mlpx.cli import describe, measure, models
from mlpx.cli.console import counted, note, say, say_fields, whole
from mlpx.cli.data import (
    FEWEST_FOR_VALIDATION,
    Rows,
    check_rows,
    choose_target,
    divide_by_column,
    divide_by_fraction,
    drop_unlabelled,
    load_table,
)
from mlpx.tables import ClassTarget, Preprocessing, Table, infer_task
from mlpx.tables.preprocessing import check_columns
from mlpx.tables.requirements import plural
from mlpx.tables.values import kind_of

if TYPE_CHECKING:
    import argparse

    import pandas as pd

    from mlpx.tables.targets import Task

TEST_FRACTION = 0.2
VALIDATION = 0.1
#: Its networks have no embedding: a column of so many categories still becomes an input each.
MOST_ONE_HOT = 200


def run(options: argparse.Namespace) -> None:
    """Train, measure and save."""
    backend = mlpx.get_backend(options.backend, options.device)
    table = load_table(options.data)
    target = choose_target(table, options.target)
    path = models.choose_output(options.output, table, target, force=options.force)
    frame = drop_unlabelled(table.frame, target)
    task = choose_task(options, table, frame[target])
    rows = choose_rows(options, table, frame, target, by_class=task == "classification")
    preprocessing = fit_preprocessing(options, table, rows, target, task)
    net = make_network(options, preprocessing, len(rows.train), backend)
    if not options.quiet:
        say_fields([*describe_run(options, table, rows), *describe.columns(preprocessing)])
        say_fields([("network", describe.network(net))])
        say()
    try:
        history = fit(net, preprocessing, rows, options)
    except mlpx.DivergenceError as error:
        raise ValueError(divergence(error, options.learning_rate)) from error
    if not history.epochs:
        note("stopped before the first epoch was over; no model is written")
        raise KeyboardInterrupt
    net.preprocessing = preprocessing.to_dict()
    net.save(path)
    say_results(net, preprocessing, rows, history, path)


def choose_task(options: argparse.Namespace, table: Table, target: pd.Series) -> Task:
    """Give the task that was asked for, or that the target asks for; say so where that could be seen otherwise."""
    if options.task != "auto":
        return "classification" if options.task == "classification" else "regression"
    task = infer_task(target)
    if task == "classification" and kind_of(target) == "number" and table.target is None:
        number = f"{target.nunique()} different whole numbers"
        note(f"`{target.name}` holds {number}, which are taken as classes; `--task regression` overrules that")
    return task


def choose_rows(options: argparse.Namespace, table: Table, frame: pd.DataFrame, target: str, *, by_class: bool) -> Rows:
    """Divide the rows into training and test rows, in the way that was asked for."""
    if options.split:
        return check_rows(divide_by_column(frame, options.split))
    test, source = table.test, "test rows of the file"
    if options.test:
        test, source = load_table(options.test).frame, Path(options.test).name
    elif test is not None and options.test_fraction is not None:
        msg = f"`--test-fraction` does not go with `{options.data}`, which has test rows of its own"
        raise ValueError(msg)
    if test is not None:
        return check_rows(Rows(frame, drop_unlabelled(test, target), source))
    fraction = TEST_FRACTION if options.test_fraction is None else options.test_fraction
    return check_rows(divide_by_fraction(frame, target, fraction, options.seed, by_class=by_class))


def fit_preprocessing(options: argparse.Namespace, table: Table, rows: Rows, target: str, task: Task) -> Preprocessing:
    """Learn the columns from the training rows, and see that the test rows can be read by them."""
    drop = dropped_columns(options.drop, table)
    preprocessing = Preprocessing.fit(
        rows.train,
        target,
        task=task,
        drop=drop,
        split=options.split,
        most_one_hot=MOST_ONE_HOT,
        one_scale=table.one_scale,
        source=table.source,
    )
    if options.class_weight and not isinstance(preprocessing.target, ClassTarget):
        msg = f"`--class-weight` is for classification; predicting `{target}` is a regression"
        raise ValueError(msg)
    if rows.test is not None:
        preprocessing.transform(rows.test, note=str)  # the notes come with the report
        preprocessing.transform_target(rows.test)
    return preprocessing


def dropped_columns(parts: list[str], table: Table) -> list[str]:
    """Read ``--drop a,b --drop c``; a name that holds a comma may stand alone."""
    names = [name for part in parts for name in ([part] if part in table.frame.columns else part.split(","))]
    names = [name.strip() for name in names if name.strip()]
    check_columns(table.frame, names)
    return names


def make_network(
    options: argparse.Namespace, preprocessing: Preprocessing, rows: int, backend: mlpx.Backend
) -> mlpx.MLP:
    """Build the network that fits the columns; without ``--hidden`` its size follows the table's."""
    hidden = default_hidden(rows) if options.hidden is None else options.hidden
    return mlpx.MLP(
        [preprocessing.width, *hidden, preprocessing.target.width],
        activation=options.activation,
        output="softmax" if isinstance(preprocessing.target, ClassTarget) else "linear",
        l2=options.l2,
        dropout=options.dropout,
        dtype=options.dtype,
        seed=options.seed,
        backend=backend,
    )


def default_hidden(rows: int) -> list[int]:
    """Choose the hidden layers by the number of training rows."""
    return [32] if rows < 500 else [128] if rows < 5000 else [128, 64] if rows < 50_000 else [256, 128]


def default_batch_size(rows: int) -> int:
    """Choose a power of two from 16 to 256 so that an epoch has some dozens of steps."""
    return max(16, min(256, 1 << (rows // 64).bit_length()))


def validation_share(rows: Rows) -> float | None:
    """Give the share of the training rows that decides when to stop: none where rows are few, or others decide."""
    if rows.validation is not None:
        return None
    return VALIDATION if len(rows.train) >= FEWEST_FOR_VALIDATION else None


def fit(net: mlpx.MLP, preprocessing: Preprocessing, rows: Rows, options: argparse.Namespace) -> mlpx.History:
    """Train the network on the training rows."""
    inputs, y = encoded(preprocessing, rows.train, net.master_dtype_name)
    held_out = None if rows.validation is None else encoded(preprocessing, rows.validation, net.master_dtype_name)
    return net.fit(
        inputs,
        y,
        validation=held_out or validation_share(rows),
        epochs=options.epochs,
        batch_size=min(options.batch_size or default_batch_size(len(y)), len(y)),
        optimizer=mlpx.Adam(options.learning_rate),
        patience=options.patience,
        metrics=("accuracy",) if preprocessing.task == "classification" else ("r2",),
        class_weight=options.class_weight,
        progress=not options.quiet,
    )


def encoded(preprocessing: Preprocessing, frame: pd.DataFrame, dtype: str) -> tuple[Any, Any]:
    """Give inputs and targets of rows."""
    return preprocessing.transform(frame, dtype=dtype, note=note), preprocessing.transform_target(frame)


def divergence(error: mlpx.DivergenceError, learning_rate: float) -> str:
    """Tell where training diverged, and what may be done from here."""
    place = f"in epoch {error.epoch}, step {error.step}, {error.layer}: {error.quantity} not finite"
    return f"training diverged ({place}); no model is written; lower `--learning-rate`, which was {learning_rate:g}"


def describe_run(options: argparse.Namespace, table: Table, rows: Rows) -> list[describe.Field]:
    """Tell what was read, and how the rows are divided."""
    count = len(rows.train)
    share = validation_share(rows)
    validation = f", {share:.0%} of them for validation" if share else ""
    if rows.validation is not None:
        validation = f", {whole(len(rows.validation))} for validation"
    test = "none" if rows.test is None else whole(len(rows.test))
    source = f" ({rows.source})" if rows.source else ""
    size = f"{counted(len(table.frame), 'row')}, {counted(len(table.frame.columns), 'column')}"
    return [
        ("data", f"{Path(options.data).name}: {size}"),
        ("rows", f"{whole(count)} for training{validation}; {test} for testing{source}"),
    ]


def say_results(net: mlpx.MLP, preprocessing: Preprocessing, rows: Rows, history: mlpx.History, path: Path) -> None:
    """Report the measures on the test rows, what training took, and the file."""
    if history.interrupted:
        note("stopped by Ctrl-C; the best model so far is kept")
    if rows.test is None:
        say("no test rows were kept: nothing was measured")
    else:
        measure.report(net, preprocessing, rows.test, "test")
    seen = len(rows.train) - math.ceil((validation_share(rows) or 0) * len(rows.train))
    speed = whole(round(seen * history.epochs / history.seconds))
    epochs = f"{plural(history.epochs, 'epoch')} (best: {history.best_epoch})"
    course = f"{epochs} in {history.seconds:.1f} s, {speed} samples a second"
    say()
    say_fields([("training", course), ("model", str(path))])
