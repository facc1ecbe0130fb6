"""``mlpx predict``: a table in, its target as CSV out."""

from __future__ import annotations

import contextlib
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mlpx
from mlpx.activations import Activation
from mlpx.cli import models
from mlpx.cli.console import note
from mlpx.cli.data import load_table
from mlpx.tables import NumberTarget, Preprocessing
from mlpx.tables.predicting import predict_outputs
from mlpx.tables.requirements import counted, plural
from mlpx.tables.values import kind_of, to_numbers

if TYPE_CHECKING:
    import argparse

    import pandas as pd
    from numpy.typing import NDArray

Named = tuple[str, Any]  # a column: its name and its values


def run(options: argparse.Namespace) -> None:
    """Predict, and write CSV to a file or to standard output."""
    output = choose_output(options)
    net, preprocessing = models.load(options.model, options.backend, options.device, options.dtype)
    if options.proba and not class_names(net):
        msg = "`--proba` needs a model of classes; this one predicts numbers"
        raise ValueError(msg)
    table = load_table(options.data)
    frame = table.frame if table.test is None else table.test
    if table.test is not None:
        note(f"predicting the test rows of `{options.data}`: {counted(len(frame), 'row')}")
    columns = predict(net, preprocessing, frame, proba=options.proba)
    write_csv(columns, output)


def choose_output(options: argparse.Namespace) -> Path | None:
    """Give the file to write, which must not be what is read, nor without ``--force`` one that is there."""
    if options.output is None:
        return None
    path = Path(options.output)
    if path.resolve() in (Path(options.model).resolve(), Path(options.data).resolve()):
        msg = f"`--output` must not be the file that is read; got `{path}`"
        raise ValueError(msg)
    models.check_folder("--output", path)
    if path.is_file() and not options.force:
        msg = f"`{path}` exists; choose another `--output`, or overwrite it with `--force`"
        raise ValueError(msg)
    return path


def class_names(net: mlpx.Network) -> list[str]:
    """Give the names of the classes whose probabilities the network puts out; none where it puts out numbers."""
    if net.classes is not None:
        return [str(label) for label in net.classes]
    last = net.layers[-1]
    softmax = isinstance(last, mlpx.Dense) and Activation.get(last.activation).name == "softmax"
    return [str(i) for i in range(net.sizes[-1])] if softmax else []


def write_csv(columns: list[Named], output: Path | None) -> None:
    """Write columns with a header; numbers get as many digits as their type holds."""
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(output.open("w", encoding="utf-8", newline="")) if output else sys.stdout
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([name for name, _ in columns])
        writer.writerows(zip(*(values for _, values in columns), strict=True))


def predict(net: mlpx.Network, preprocessing: Preprocessing | None, frame: pd.DataFrame, *, proba: bool) -> list[Named]:
    """Give the columns to write: the predicted target, and the probability of each class where it is asked for."""
    if preprocessing is None:
        outputs, name = np.asarray(net.predict(numbers_as_they_are(net, frame))), "prediction"
    else:
        outputs, name = predict_outputs(net, preprocessing, frame, note=note), preprocessing.target.name
    classes = class_names(net)
    if not classes:
        return decoded(outputs, preprocessing, name, net.master_dtype_name)
    if outputs.shape[1] == 1:  # one sigmoid: the probability of the second of two classes
        outputs = np.concatenate([1 - outputs, outputs], axis=1)
    probabilities = list(zip(classes, outputs.T, strict=True)) if proba else []
    return [(name, np.asarray(classes)[outputs.argmax(axis=1)]), *probabilities]


def decoded(outputs: NDArray[Any], preprocessing: Preprocessing | None, name: str, dtype: str) -> list[Named]:
    """Give the predicted numbers by column, in the network's own precision, so that no digit pretends."""
    if preprocessing is not None and isinstance(preprocessing.target, NumberTarget):
        return [(name, preprocessing.target.decode(outputs).astype(dtype))]
    if outputs.shape[1] == 1:
        return [(name, outputs[:, 0])]
    return [(f"{name}_{i}", outputs[:, i]) for i in range(outputs.shape[1])]


def numbers_as_they_are(net: mlpx.Network, frame: pd.DataFrame) -> NDArray[Any]:
    """Take the columns of numbers for a model that was saved without a description of columns."""
    names = [name for name in frame.columns if kind_of(frame[name]) == "number"]
    wanted = net.sizes[0]
    if len(names) != wanted:
        there = f"the model has {plural(wanted, 'input')} and the table {plural(len(names), 'column')} of numbers"
        msg = f"the model holds no description of columns, so their number must fit: {there}"
        raise ValueError(msg)
    note("the model holds no description of columns; taking the columns of numbers as they stand")
    inputs = np.stack([to_numbers(frame[name]) for name in names], axis=1)
    if np.isnan(inputs).any():
        msg = "the model holds no description of columns, so no value may be missing; fill the gaps of the table"
        raise ValueError(msg)
    return inputs.astype(net.master_dtype_name)
