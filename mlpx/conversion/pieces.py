"""Pieces of the program that `mlpx.conversion.to_standalone` writes. They are texts: nothing of them runs here."""

__all__ = [
    "COLUMNS", "EMBED", "ERF", "HEAD", "HEAD_OF_COLUMNS", "MAIN", "MAIN_CLASSES", "MAIN_NUMBERS", "NAMED", "PREDICT",
    "PREDICT_CLASSES", "PREDICT_LABELS", "PREDICT_NUMBERS", "PREPARE", "READ", "SECOND", "TAKEN", "VALUES",
]  # fmt: skip

TAKEN = {
    "ABOUT", "KINDS", "MISSING", "P", "category", "csv", "date", "datetime", "embed", "embedded", "is_missing", "json",
    "main", "network", "np", "number", "predict", "prepare", "read", "scaled", "seconds", "sys", "text", "x", "z",
}  # fmt: skip

_LOAD = """
import csv
import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

P = dict(np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False))
ABOUT = json.loads(str(P.pop("description")))
"""

_DATES = "from datetime import datetime, timezone\n"

HEAD = '''"""A multi-layer perceptron in NumPy alone, written by mlpx <VERSION>.

Layers: <LAYERS>.

In Python: `from <NAME> import predict` and `predict(X)`, with one row a sample. On the command line:
`python <NAME>.py data.csv > predictions.csv`, where the columns of the file are those of X.
The parameters are in <NAME>.npz, beside this file.
"""
''' + _LOAD.replace(_DATES, "")

HEAD_OF_COLUMNS = '''"""Predict <TARGET> from a table, in NumPy alone; written by mlpx <VERSION>.

Layers: <LAYERS>.

In Python: `from <NAME> import predict` and `predict({<COLUMN>: [...], ...})`, with a list for each column.
On the command line: `python <NAME>.py data.csv > predictions.csv`.
The parameters and the description of the columns are in <NAME>.npz, beside this file.
"""
''' + _LOAD.replace(_DATES, f"{_DATES}from itertools import zip_longest\n")

ERF = '''
# erf(x) = 1 - exp(-x^2) P(x)/Q(x) for 0 <= x <= 6.5, and 1 beyond; it is odd
<P>
<Q>


def erf(x):
    """Return the error function."""
    size = np.minimum(np.abs(x), 6.5)
    ratio = np.polynomial.polynomial.polyval(size, ERF_P) / np.polynomial.polynomial.polyval(size, ERF_Q)
    return np.sign(x) * (1 - np.exp(-size * size) * ratio).astype(x.dtype)
'''

EMBED = '''
def embed(x, tables):
    """Put the vectors of categories behind the inputs that are no codes; what is no code gives zeros."""
    vectors = []
    for column, table in tables:
        code = x[..., column]
        index = np.where((code >= 0) & (code < table.shape[-2]), code, 0).astype(int)
        vectors.append(table[..., index, :] * (index == code)[..., None].astype(x.dtype))
    passed = np.delete(x, [column for column, _ in tables], axis=-1)
    passed = np.broadcast_to(passed, (*vectors[0].shape[:-1], passed.shape[-1]))
    return np.concatenate([passed, *vectors], axis=-1)
'''

# Without columns.

PREDICT = '''
def predict(X):
    """Return the outputs of each row."""
    return network(np.asarray(X, dtype=ABOUT["dtype"]))
'''

_OUTPUTS = '''
def predict_proba(X):
    """Return the outputs of each row."""
    return network(np.asarray(X, dtype=ABOUT["dtype"]))


def predict(X):
    """Return the label of each row."""
'''

NAMED = 'np.array(ABOUT["classes"])[decided]'
PREDICT_LABELS = {
    "classes": _OUTPUTS + "    decided = np.argmax(predict_proba(X), axis=-1)\n    return <NAMED>",
    "binary": _OUTPUTS + "    decided = (predict_proba(X)[..., 0] > 0.5).astype(int)\n    return <NAMED>",
    "labels": _OUTPUTS + "    decided = (predict_proba(X) > 0.5).astype(int)\n    return <NAMED>",
}

MAIN = '''
def main():
    """Read a CSV file with a header, and write the predictions as another."""
    with open(sys.argv[1], newline="", encoding="utf-8-sig") as file:
        predicted = predict([[float(number) for number in row] for row in list(csv.reader(file))[1:]])
    rows = predicted.reshape(len(predicted), -1)
    csv.writer(sys.stdout, lineterminator="\\n").writerows([[f"y{i}" for i in range(rows.shape[1])], *rows.tolist()])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} data.csv > predictions.csv")
    main()
'''

# With columns.

_IS_MISSING = '''
def is_missing(value):
    """Tell whether a value is None or NaN."""
    return value is None or value != value
'''

_TEXT = '''
def text(value):
    """Return a category as a text; 3.0 is the text 3."""
    return str(int(value)) if isinstance(value, (float, np.floating)) and float(value).is_integer() else str(value)
'''

_SCALED = '''
def numbers(values, convert):
    """Return values as numbers, with NaN where one is missing."""
    return np.array([np.nan if is_missing(value) else convert(value) for value in values], dtype=float)
'''

_SECONDS = '''
def seconds(value):
    """Return a date in seconds since 1970-01-01; one without a time zone is in UTC."""
    if isinstance(value, np.datetime64):
        return (value - np.datetime64(0, "s")) / np.timedelta64(1, "s")
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
'''

VALUES = (
    ({"number", "category", "embedded", "date"}, _IS_MISSING),
    ({"number", "date"}, _SCALED),
    ({"category", "embedded"}, _TEXT),
    ({"date"}, _SECONDS),
)

COLUMNS = {
    "number": '''
def number(values, about):
    """Return a column of numbers: scaled, smoothly clipped where there is a bound, and as pieces between knots."""
    x = numbers(values, float)
    missing = np.isnan(x)
    x = np.where(missing, about["fill"], x)
    u = (x - about["center"]) / about["scale"]
    if about["clip"] is not None:
        u = np.clip(u, -1e300, 1e300)
        u = u / np.hypot(1, u / about["clip"])
    knots = np.array(about["knots"], dtype=float)
    pieces = [np.clip((x - low) / (high - low), 0, 1) for low, high in zip(knots, knots[1:])]
    return np.stack([u, *([missing] if about["missing"] else []), *pieces], axis=1)
''',
    "category": '''
def category(values, about):
    """Return a column of categories: a one in the place of each, and zeros for those that are unknown."""
    places = {name: i for i, name in enumerate(about["categories"])}
    last = len(places) if about["missing"] else -1
    codes = np.array([last if is_missing(value) else places.get(text(value), -1) for value in values], dtype=int)
    return codes[:, None] == np.arange(len(places) + about["missing"])
''',
    "embedded": '''
def embedded(values, about):
    """Return a column of many categories: the number of each from 1 on, and 0 for those that are unknown."""
    places = {name: i + 1 for i, name in enumerate(about["categories"])}
    return np.array([[0 if is_missing(value) else places.get(text(value), 0)] for value in values])
''',
    "date": '''
def date(values, about):
    """Return a column of dates: the trend, and sine and cosine of the phase in each period."""
    t = numbers(values, seconds)
    parts = [(t - about["center"]) / about["scale"]]
    for period in about["phases"]:
        angle = 2 * np.pi * (t % period / period)
        parts += [np.sin(angle), np.cos(angle)]
    return np.nan_to_num(np.stack(parts, axis=1), nan=0.0)
''',
}

PREPARE = '''
KINDS = {
<KINDS>
}


def prepare(columns):
    """Return the inputs of the network, of shape (rows, inputs)."""
    lacking = [about["name"] for about in ABOUT["columns"] if about["name"] not in columns]
    if lacking:
        raise ValueError(f"these columns are missing: {', '.join(lacking)}")
    parts = [KINDS[about["kind"]](columns[about["name"]], about) for about in ABOUT["columns"]]
    return np.concatenate(parts, axis=1).astype(ABOUT["dtype"])
'''

SECOND = "\n    outputs = np.concatenate([1 - outputs, outputs], axis=-1)"

PREDICT_CLASSES = '''
def predict_proba(columns):
    """Return the probability of each class of ABOUT["target"]["classes"], one row for each of the table."""
    outputs = network(prepare(columns))<MEAN><BOTH>
    return outputs


def predict(columns):
    """Return the class of each row."""
    return np.array(ABOUT["target"]["classes"])[np.argmax(predict_proba(columns), axis=-1)]
'''

PREDICT_NUMBERS = '''
def predict(columns):
    """Return the predicted number of each row, in the target's own unit."""
    outputs = network(prepare(columns))<MEAN>
    numbers = outputs[:, 0].astype(float) * ABOUT["target"]["scale"] + ABOUT["target"]["mean"]
    return numbers.astype(ABOUT["dtype"])
'''

READ = '''
TRUTH = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
MISSING = {"", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null"}


def read(path):
    """Return the columns of a CSV file, as numbers where all values of a column are numbers."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        unquoted = "".join(file.readline().split('"')[::2])
        file.seek(0)
        delimiter = max(",;\\t|", key=unquoted.count)
        names, *rows = [row for row in csv.reader(file, delimiter=delimiter, skipinitialspace=True) if row]
    return {name: converted(values) for name, values in zip(names, zip_longest(*rows, fillvalue=""))}


def converted(values):
    """Return a column of a file with None for what is missing, and numbers instead of texts where all are numbers."""
    for kind in (int, float, TRUTH.__getitem__):
        try:
            return [None if value in MISSING else kind(value) for value in values]
        except (KeyError, ValueError):
            continue
    return [None if value in MISSING else value for value in values]
'''

MAIN_CLASSES = '''
def main():
    """Read a CSV file, and write the class of each row and the probabilities as another."""
    probabilities = predict_proba(read(sys.argv[1]))
    target = ABOUT["target"]
    writer = csv.writer(sys.stdout, lineterminator="\\n")
    writer.writerow([target["name"], *target["classes"]])
    writer.writerows([target["classes"][np.argmax(row)], *row] for row in probabilities)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} data.csv > predictions.csv")
    main()
'''

MAIN_NUMBERS = '''
def main():
    """Read a CSV file, and write the prediction of each row as another."""
    predicted = predict(read(sys.argv[1]))
    csv.writer(sys.stdout, lineterminator="\\n").writerows([[ABOUT["target"]["name"]], *([y] for y in predicted)])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} data.csv > predictions.csv")
    main()
'''
