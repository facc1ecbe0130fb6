"""Reading a table: CSV, Parquet and npz, with one sentence for everything that may be wrong with a file."""

from __future__ import annotations

import csv
import gzip
import re
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpx._notes import Note, warn
from mlpx.tables.columns import Source
from mlpx.tables.requirements import named, plural, require

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

#: Cells of a CSV file that mean "missing". "None" is not among them: it is a common name of a class or category.
MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null")
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Table:
    """A table, and what its source tells about it.

    Attributes
    ----------
    name : str
        Short name: the file's name without its endings.
    frame : pandas.DataFrame
        Rows numbered from 0, columns named by text.
    target : str or None
        The column to predict, where the source itself says so (npz files and shipped data sets).
    test : pandas.DataFrame or None
        Rows that the source keeps apart for testing (``x_test`` and ``y_test`` of an npz file).
    one_scale : bool
        Whether all columns are measured in one unit, such as the pixels of images, and share mean and scale.
    """

    name: str
    frame: pd.DataFrame
    target: str | None = None
    test: pd.DataFrame | None = None
    one_scale: bool = False

    @property
    def source(self) -> Source:
        """What tells this table from others."""
        return Source(self.name, len(self.frame))


def read_table(path: str | Path, *, note: Note = warn) -> Table:
    """Read a table from a file.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` or ``.csv.gz`` file with a header line (its fields separated by commas, or by semicolons, tabs or
        bars, and then also with decimal commas), a ``.parquet`` file, or an ``.npz`` file with the arrays ``X`` and
        ``y``, or ``x_train``, ``y_train``, ``x_test`` and ``y_test``; arrays of images are flattened.
    note : callable
        Takes a sentence for what is doubtful: names of columns that come twice in a CSV file. A warning by default.

    Returns
    -------
    Table
        At least one row and one column.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the ending is unknown, the file cannot be read, or it holds no rows.
    ImportError
        If pandas (or pyarrow, for Parquet) is missing; the message holds the install command.
    """
    path = Path(path)
    reader = _reader(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        msg = f"the file `{path}` {what}; give the path of a table"
        raise FileNotFoundError(msg)
    require("pandas", "reading a table")
    try:
        table, doubts = reader(path), _doubts(path)
    except (OSError, ValueError, EOFError, KeyError, zlib.error, csv.Error, zipfile.BadZipFile, Warning) as error:
        msg = f"the file `{path}` cannot be read as {_ending(path)}: {_reason(error)}"
        raise ValueError(msg) from error
    if not len(table.frame):
        msg = f"the file `{path}` has no rows; a table needs a header and at least one row"
        raise ValueError(msg)
    for sentence in doubts:
        note(sentence)
    return table


def _reader(path: Path) -> Callable[[Path], Table]:
    """Give the reader that belongs to the ending."""
    ending = _ending(path)
    if ending not in READERS:
        what = f"the ending `{ending}`" if ending else "no ending"
        msg = f"`{path}` has {what}; tables are read from {', '.join(READERS)}"
        raise ValueError(msg)
    return READERS[ending]


def _ending(path: Path) -> str:
    """Give the ending in lower case, ``.csv.gz`` in full."""
    name = path.name.lower()
    return ".csv.gz" if name.endswith(".csv.gz") else Path(name).suffix


def _reason(error: BaseException) -> str:
    """Tell why in words of our own where we know, else in the first line of the library's message."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text; save it in that encoding"
    if isinstance(error, Warning):
        return "its rows have more fields than its header"
    if type(error).__name__ == "EmptyDataError":
        return "it is empty; a table needs a header and at least one row"
    ragged = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if ragged:
        expected, line, fields = ragged.groups()
        return f"line {line} has {fields} fields, where the lines above have {expected}"
    if "EOF inside string" in str(error):
        return "a quotation mark is opened and never closed"
    lines = str(error).removeprefix("Error tokenizing data. C error: ").strip().splitlines()
    return lines[0].rstrip(". ") if lines else type(error).__name__


def _tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Count the rows from 0 and make every column's name a text."""
    frame = frame.reset_index(drop=True)
    frame.columns = frame.columns.map(str)
    twice = [name for name, count in Counter(frame.columns).items() if count > 1]
    if twice:
        msg = f"the names of columns must differ; more than one is called {named(twice)}"
        raise ValueError(msg)
    return frame


def _read_csv(path: Path) -> Table:
    delimiter = _delimiter(path)
    frame = _parse_csv(path, delimiter)
    if delimiter != "," and any(_decimal_commas(frame[name]) for name in frame):
        frame = _parse_csv(path, delimiter, decimal=",")
    return Table(_stem(path), _tidy(frame))


def _parse_csv(path: Path, delimiter: str, decimal: str = ".") -> pd.DataFrame:
    pandas = require("pandas", "reading a CSV file")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pandas.errors.ParserWarning)
        frame: pd.DataFrame = pandas.read_csv(
            path,
            sep=delimiter,
            decimal=decimal,
            compression="gzip" if _ending(path) == ".csv.gz" else None,
            keep_default_na=False,
            na_values=list(MISSING),
            skipinitialspace=True,
            low_memory=False,  # else one column may come in chunks of different types
            index_col=False,  # else rows with one field too many would push every value into the next column
        )
    return frame


def _decimal_commas(column: pd.Series) -> bool:
    """Tell whether a column holds numbers such as ``1,5``, as spreadsheets write them in many countries."""
    texts = column.dropna()
    if texts.dtype.kind in "biufc" or not len(texts):
        return False
    return bool(texts.astype(str).str.fullmatch(r"[-+]?\d+(,\d+)?").all())


def _doubts(path: Path) -> list[str]:
    """Tell of names that the header of a CSV file has more than once; pandas gives all but the first new ones."""
    if READERS[_ending(path)] is not _read_csv:
        return []
    names = next(csv.reader([_header(path)], delimiter=_delimiter(path), skipinitialspace=True))
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if not twice:
        return []
    return [f"the header of `{path}` has {named(twice)} more than once; the later ones are read as `{twice[0]}.1`, …"]


def _header(path: Path) -> str:
    """Give the first line of a CSV file."""
    opener = gzip.open if _ending(path) == ".csv.gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
        header = stream.readline(1_000_000)
    if "\x00" in header:
        msg = "it is no text"
        raise ValueError(msg)
    return header


def _delimiter(path: Path) -> str:
    """Give the separator that occurs most often in the header; quoted text does not count."""
    unquoted = "".join(_header(path).split('"')[::2])
    return max(DELIMITERS, key=unquoted.count)


def _read_parquet(path: Path) -> Table:
    require("pyarrow", "reading a Parquet file")
    pandas = require("pandas", "reading a Parquet file")
    return Table(_stem(path), _tidy(pandas.read_parquet(path, engine="pyarrow")))


def _read_npz(path: Path) -> Table:
    if not zipfile.is_zipfile(path):
        msg = "it is no archive of arrays, as numpy.savez writes them"
        raise ValueError(msg)
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name.lower(): name for name in archive}
        parts = [_npz_part(archive, arrays, suffix) for suffix in ("", "_train", "_test") if f"x{suffix}" in arrays]
    if not parts:
        msg = f"it needs the arrays `X` and `y`, or `x_train` and `y_train`; it holds {named(arrays.values())}"
        raise ValueError(msg)
    (frame, one_scale), *rest = parts
    target = "y" if "y" in frame.columns else None
    return Table(_stem(path), frame, target, rest[0][0] if rest else None, one_scale)


def _npz_part(archive: Mapping[str, Any], arrays: Mapping[str, str], suffix: str) -> tuple[pd.DataFrame, bool]:
    """Make a frame of one pair of arrays; the columns are called x0, x1, … and y."""
    x = archive[arrays[f"x{suffix}"]]
    if x.ndim == 0 or x.dtype.kind not in "buif":
        msg = f"`{arrays[f'x{suffix}']}` must be an array of numbers, one row a sample; got {x.dtype}, shape {x.shape}"
        raise ValueError(msg)
    one_scale = x.ndim > 2 or x.dtype.kind == "b" or x.dtype == np.uint8
    x = x.reshape(len(x), -1)
    x = x.astype(np.uint8) if x.dtype.kind == "b" else x
    pandas = require("pandas", "reading an npz file")
    frame = pandas.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
    if f"y{suffix}" in arrays:
        frame["y"] = _npz_target(archive[arrays[f"y{suffix}"]], len(x), arrays[f"y{suffix}"])
    return frame, one_scale


def _npz_target(y: np.ndarray[Any, Any], rows: int, name: str) -> np.ndarray[Any, Any]:
    """Check that there is one target a row."""
    if y.shape not in ((rows,), (rows, 1)):
        msg = f"`{name}` must hold one value for each of the {plural(rows, 'row')}; got the shape {y.shape}"
        raise ValueError(msg)
    return y.reshape(-1)


def _stem(path: Path) -> str:
    """Give the name without its ending, ``adult`` for ``adult.csv.gz``."""
    return path.name[: -len(_ending(path))] or path.name


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": _read_parquet,
    ".npz": _read_npz,
}
