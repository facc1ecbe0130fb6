"""Fuzzing of the way from a CSV file to a network: ``python tests/fuzz_tables.py --cases 10000 --seed 0``.

Every case either ends in a network that was trained on the file and predicts numbers that are finite, or in a
`ValueError` with a sentence: no other exception, no hang, no memory out of proportion to the file.
"""

import sys
from pathlib import Path

import numpy as np

import fuzzing
import mlpx
from fuzzing import Bounds, Fault, Rng
from mlpx.tables import Preprocessing, predict_table
from mlpx.tables.reading import read_table
from mlpx.tables.targets import infer_task
from mutations import BYTES, pick

BOUNDS = Bounds(seconds=4.0, seconds_a_megabyte=30.0, memory=40 * 2**20, times_the_file=60)
"""Of a table of very many columns, pandas makes one object each."""
KINDS = {
    "whole": ["0", "1", "2", "-3", "007", "+5"],
    "huge": ["9223372036854775807", "9223372036854775808", "1e400", "-1e308", "1e308", "9" * 400, "1e-320", "0x1F"],
    "real": ["0.5", "-1.25", "1e3", ".5", "5.", "1,5", "3.14159", "1_000", "1 000"],
    "text": [
        "red",
        "blue",
        "green",
        "a b",
        "ü",
        "日本",
        "🙂",
        "'",
        "=1+1",
        "x" * 50,
        "None",
        "\u202e",
        "\x07",
        "e\u0301",
    ],
    "truth": ["True", "False", "true", "FALSE", "yes", "no", "0"],
    "date": [
        "2020-01-31",
        "2021-02-28 12:30",
        "31.12.1999",
        "1900-01-01",
        "2262-04-12",
        "9999-12-31",
        "2020-13-45",
        "12:30",
    ],
    "missing": ["", "NA", "nan", "?", "null", " ", "-", "NaT"],
    "infinite": ["inf", "-inf", "Infinity", "+inf", "1e999"],
    "nasty": [
        '"',
        '""',
        '"a""b"',
        '"a\nb"',
        '"a,b"',
        '"unclosed',
        "a\0b",
        "\r",
        "\ufeff",
        "\\N",
        "\\",
        "#",
        "x" * 70000,
    ],
}
NAMES = [
    "a",
    "b",
    "a",
    "",
    " ",
    "target",
    "Unnamed: 0",
    "1",
    "1.0",
    "nan",
    "ü",
    '"q,r"',
    "x" * 300,
    "a.1",
    "index",
    "None",
    "\t",
]
ENCODINGS = ["utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-32", "cp1252", "shift_jis"]


def column(rng: Rng, rows: int) -> list[str]:
    """Return the cells of a column: mostly of one kind, with missing values or others among them."""
    kind = pick(rng, list(KINDS))
    cells = [str(round(float(v), 3)) if kind == "real" else pick(rng, KINDS[kind]) for v in rng.normal(size=rows)]
    share = float(pick(rng, [0.0, 0.0, 0.05, 0.5]))
    other = pick(rng, ["missing", "missing", *KINDS])
    return [pick(rng, KINDS[other]) if rng.random() < share else cell for cell in cells]


def make(rng: Rng) -> bytes:
    """Return the bytes of one case."""
    if rng.integers(100) == 0:
        return pick(
            rng,
            [b"", b"\n", b",", b"a", b"a\n", b"\0" * 100, b"\xff\xfe", b'"', rng.bytes(500), wide(rng)],
        )
    rows, count = int(pick(rng, [1, 2, 3, 10, 40, 40, 300])), int(rng.integers(1, 7))
    names = [pick(rng, NAMES) if rng.integers(3) == 0 else f"c{i}" for i in range(count)]
    separator = pick(rng, [",", ",", ",", ";", "\t", "|", ", "])
    lines = [separator.join(row) for row in [names, *zip(*(column(rng, rows) for _ in range(count)), strict=True)]]
    if rng.integers(10) == 0:  # ragged
        i = int(rng.integers(len(lines)))
        lines[i] = pick(rng, [lines[i] + separator + "more", lines[i].rpartition(separator)[0], "", separator * 20])
    text = pick(rng, ["\n", "\n", "\r\n", "\r"]).join(lines) + pick(rng, ["\n", "", "\n\n\n"])
    content = text.encode(pick(rng, ENCODINGS), errors="replace")
    return pick(rng, BYTES)(rng, content) if content and rng.integers(4) == 0 else content


def wide(rng: Rng) -> bytes:
    """Return a table of very many columns."""
    count = int(pick(rng, [1000, 10_000]))
    rows = [",".join(f"c{i}" for i in range(count)), *(",".join(["1"] * count) for _ in range(2))]
    return "\n".join(rows).encode()


def check(path: Path) -> str:
    """Return what became of a file."""
    notes: list[str] = []
    try:
        frame = read_table(path, note=notes.append).frame
    except ValueError as error:
        return _sentence(error, "not read")
    target = str(frame.columns[-1])
    try:
        labelled = frame[frame[target].notna()].reset_index(drop=True)
        if not len(labelled):
            return "no target"
        prepared = Preprocessing.fit(labelled, target, task=infer_task(labelled[target]))
        inputs = prepared.transform(labelled, note=notes.append)
    except ValueError as error:
        return _sentence(error, "not prepared")
    if inputs.shape != (len(labelled), prepared.width) or not np.all(np.isfinite(inputs)):
        msg = f"inputs of shape {inputs.shape} that are not all finite"
        raise Fault(msg)
    return _train(prepared, inputs, labelled, target)


def _train(prepared: Preprocessing, inputs: np.ndarray, frame: object, target: str) -> str:
    classes = prepared.target.width > 1
    net = mlpx.MLP(
        [prepared.width, 3, prepared.target.width], output="softmax" if classes else "linear", dtype="float64"
    )
    try:
        net.fit(inputs, prepared.target.encode(frame[target]), epochs=1, progress=False)  # type: ignore[index]
    except (ValueError, mlpx.DivergenceError) as error:
        return _sentence(error, "not trained")
    net.preprocessing = Preprocessing.from_dict(prepared.to_dict()).to_dict()
    predicted = predict_table(net, frame, note=lambda _: None)  # type: ignore[arg-type]
    if len(predicted) != len(inputs):
        msg = f"{len(predicted)} predictions for {len(inputs)} rows"
        raise Fault(msg)
    return "trained"


def _sentence(error: Exception, outcome: str) -> str:
    text = str(error)
    if len(text) < 15 or len(text) > 2000 or "Traceback" in text:
        msg = f"is no sentence: {text[:300]!r}"
        raise Fault(msg) from error
    return outcome


if __name__ == "__main__":
    sys.exit(fuzzing.main(make, check, "Writes strange CSV files and trains on them.", "table.csv", BOUNDS))
