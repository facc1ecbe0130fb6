"""``mlpx train``: from a table to a model file, saying what is inferred on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlpx
from mlpx.cli import describe, measure, models
from mlpx.cli.console import note, say, say_fields, say_wrapped
from mlpx.cli.data import choose_target, drop_unlabelled, dropped_columns, load_table
from mlpx.tables import Table, infer_task
from mlpx.tables.report.words import best_epochs
from mlpx.tables.requirements import counted, plural, whole
from mlpx.tables.values import kind_of

if TYPE_CHECKING:
    import argparse

    import pandas as pd

TEST_FRACTION = 0.2


def run(options: argparse.Namespace) -> None:
    """Train, measure and save."""
    backend = mlpx.get_backend(options.backend, options.device)
    table = load_table(options.data)
    target = choose_target(table, options.target)
    path = models.choose_output(options.output, table, target, force=options.force)
    measure.check_report(options.report)
    callbacks = choose_callbacks(options)
    table = choose_rows(options, table, target)
    say_task(options, table, table.frame[target])
    model = make_model(options, backend)
    try:
        fit(model, table, target, options, [Announcement(model, options.data, table, quiet=options.quiet), *callbacks])
    except mlpx.DivergenceError as error:
        assert model.training is not None, "it diverges once it has begun"
        raise ValueError(divergence(error, model.training.recipe.learning_rate)) from error
    assert model.history is not None, "it has learnt"
    if not model.history.epochs:
        note("stopped before the first epoch was over; no model is written")
        raise KeyboardInterrupt
    model.save(path)
    say_results(model, path, callbacks)
    say_report(model, options)


def say_task(options: argparse.Namespace, table: Table, target: pd.Series) -> None:
    """Say what the target asks for, where that could be seen otherwise."""
    doubtful = options.task == "auto" and table.target is None and kind_of(target) == "number"
    if doubtful and infer_task(target) == "classification":
        number = f"{target.nunique()} different whole numbers"
        note(f"`{target.name}` holds {number}, which are taken as classes; `--task regression` overrules that")


def choose_rows(options: argparse.Namespace, table: Table, target: str) -> Table:
    """Give the table with the rows that have a target, and with the test rows that were asked for."""
    if table.test is not None and options.test_fraction is not None:
        msg = f"`--test-fraction` does not go with `{options.data}`, which has test rows of its own"
        raise ValueError(msg)
    test = load_table(options.test).frame if options.test else None if options.split else table.test
    kept = None if test is None else drop_unlabelled(test, target)
    return replace(table, frame=drop_unlabelled(table.frame, target), test=kept)


def choose_callbacks(options: argparse.Namespace) -> list[mlpx.Callback]:
    """Give what is done while training goes on; refuse at the beginning what would fail later."""
    found: list[mlpx.Callback] = []
    if options.log:
        found.append(choose_log(options.log))
    if options.time_limit:
        found.append(mlpx.TimeLimit(minutes=options.time_limit))
    if options.checkpoint:
        check_checkpoints(Path(options.checkpoint), resume=options.resume)
        found.append(mlpx.Checkpoint(options.checkpoint, seconds=options.checkpoint_seconds, resume=options.resume))
    elif options.resume:
        msg = "`--resume` needs `--checkpoint DIR`, the folder of the run to go on with"
        raise ValueError(msg)
    return found


def choose_log(path: str) -> mlpx.Callback:
    """Give the logger whose format the name's ending says."""
    loggers: dict[str, type[mlpx.CSVLogger | mlpx.JSONLogger]] = {
        ".csv": mlpx.CSVLogger,
        ".json": mlpx.JSONLogger,
        ".jsonl": mlpx.JSONLogger,
    }
    models.check_folder("--log", Path(path))
    if Path(path).suffix not in loggers:
        msg = f"`--log` must name a file that ends in .csv, .json or .jsonl; got `{path}`"
        raise ValueError(msg)
    return loggers[Path(path).suffix](path)


def check_checkpoints(folder: Path, *, resume: bool) -> None:
    """Refuse to mix two runs in a folder."""
    if not resume and folder.is_dir() and any(folder.glob("step-*.checkpoint")):
        msg = f"`{folder}` holds checkpoints of an earlier run; go on with it by `--resume`, or give another folder"
        raise ValueError(msg)


def make_model(options: argparse.Namespace, backend: mlpx.Backend) -> mlpx.TabularModel:
    """Give the model that was asked for."""
    return mlpx.TabularModel(
        options.task,
        hidden=options.hidden,
        members=options.members,
        activation=options.activation,
        bins=options.bins,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        l2=options.l2,
        dropout=options.dropout,
        class_weight=options.class_weight,
        validation=options.validation,
        patience=options.patience,
        seed=options.seed,
        backend=backend,
        dtype=options.dtype,
        progress=not options.quiet,
    )


def fit(model: mlpx.TabularModel, table: Table, target: str, options: argparse.Namespace, callbacks: Any) -> None:
    """Train; where no test rows are given, some are kept."""
    fraction = TEST_FRACTION if options.test_fraction is None else options.test_fraction
    drawn = table.test is None and not options.split
    model.fit(
        table,
        target,
        test=fraction if drawn and fraction else None,
        split=options.split,
        group=options.group,
        time=options.time,
        drop=dropped_columns(options.drop, table),
        callbacks=callbacks,
    )


class Announcement(mlpx.Callback):
    """Tell what is trained, on what, as soon as that is known."""

    def __init__(self, model: mlpx.TabularModel, data: str, table: Table, *, quiet: bool) -> None:
        self.model, self.data, self.table, self.quiet = model, data, table, quiet

    def start(self, run: Any) -> None:
        """Write what was inferred."""
        training = self.model.training
        if self.quiet or training is None:
            return
        recipe = training.recipe
        rate = f"rate {recipe.learning_rate:.2g}"
        say_fields(
            [
                ("data", f"{Path(self.data).name}: {size(self.table.frame)}"),
                ("rows", rows(self.model)),
                *describe.columns(training.preprocessing),
                ("network", describe.network(run.net)),
                ("training", f"{plural(recipe.epochs, 'epoch')}, {recipe.batch_size} rows a step, {rate}"),
            ]
        )
        say()


def size(frame: pd.DataFrame) -> str:
    """Tell how large a table is, and how many of its cells are empty."""
    empty = int(frame.isna().to_numpy().sum())
    gaps = f", {counted(empty, 'empty cell')}" if empty else ""
    return f"{counted(len(frame), 'row')}, {counted(len(frame.columns), 'column')}{gaps}"


def rows(model: mlpx.TabularModel) -> str:
    """Tell how the rows are divided."""
    assert model.training is not None
    split = model.training.split
    parts = [f"{whole(len(split.train))} to learn from"]
    if len(split.validation):
        parts.append(f"{whole(len(split.validation))} to choose the best epoch by")
    test = "none" if model.test is None else whole(len(model.test))
    source = split.source or ("given" if model.test is not None else "")
    return ", ".join([*parts, f"{test} to test" + (f" ({source})" if source else "")])


def divergence(error: mlpx.DivergenceError, learning_rate: float) -> str:
    """Tell where training diverged, and what may be done from here."""
    place = f"in epoch {error.epoch}, step {error.step}, {error.layer}: {error.quantity} not finite"
    again = f"; `mlpx replay {error.path}` makes that step again" if error.path else ""
    remedy = f"lower `--learning-rate`, which was {learning_rate:g}"
    return f"training diverged ({place}); no model is written; {remedy}{again}"


def say_results(model: mlpx.TabularModel, path: Path, callbacks: list[mlpx.Callback]) -> None:
    """Tell what training took, and the file."""
    history, training = model.history, model.training
    assert history is not None
    assert training is not None
    if history.interrupted:
        note("stopped by Ctrl-C; the best model so far is kept")
    if any(isinstance(callback, mlpx.TimeLimit) and callback.reached for callback in callbacks):
        note("stopped by the time limit; the best model so far is kept")
    best = best_epochs(history.best_epoch)
    speed = whole(round(len(training.split.train) * history.epochs / max(history.seconds, 1e-9)))
    chosen = f" ({best})" if best else ""
    course = f"{plural(history.epochs, 'epoch')}{chosen} in {history.seconds:.1f} s, {speed} samples a second"
    say_fields([("trained", course), ("model", str(path))])
    say()


def say_report(model: mlpx.TabularModel, options: argparse.Namespace) -> None:
    """Write how good the model is, where there are test rows."""
    if model.test is None:
        say_wrapped("no test rows were kept: nothing was measured")
        if options.report:
            note("no report is written, since there are no test rows")
        return
    report = model.report(importance=False if options.no_importance else None, note=note)
    measure.say_report(report, "test")
    measure.write_report(report, options.report)
