"""Tables in files, read through Arrow: numeric columns as they are, any table through a description of its columns."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mlpx._checks import check_count
from mlpx._optional import require
from mlpx._typing import Array
from mlpx.sources.base import BUFFER, Block, Piece, Source

__all__ = ["Parquet"]

_INSTALL = 'pip install "mlpx[cli]"'
_FOOTERS = 4
"""Of how many files the end is kept."""

_CHUNK_BYTES = 1000
"""What it needs in memory for each column of each row group, about."""

_READ_AHEAD = 2**16
"""Bytes that are read at once of each column of a file elsewhere."""


class _Footer(NamedTuple):
    """The end of a Parquet file, and the names of its columns."""

    metadata: Any
    names: frozenset[str]


class _Part(NamedTuple):
    """A file, or a row group of it."""

    fragment: Any
    group: int | None = None

    @property
    def name(self) -> str:
        """What errors call it."""
        path = os.path.basename(getattr(self.fragment, "path", None) or "a table")
        return path if self.group is None else f"{path}, row group {self.group}"


class Parquet(Source):
    """A Parquet file, a folder of them, or any data set of Arrow.

    Parameters
    ----------
    data : str, path or pyarrow.dataset.Dataset
        A file, or a folder with files of one schema; for CSV or Feather files, partitions or remote stores a data set
        that Arrow has opened.
    target : str or sequence of str, optional
        The column of targets, or several columns of numbers; not needed to predict.
    columns : sequence of str, optional
        The columns of features, in the order of the network's inputs: numbers, truth values, or lists of numbers of
        one length. By default all but targets and weights.
    weight : str, optional
        A column of weights of the samples.
    preprocessing : mlpx.tables.Preprocessing or True, optional
        Turns any table into inputs and targets; it names the columns, then. True fits one on `sample`.
    sample : int
        Rows on which a preprocessing is fitted, taken from all parts of the data.
    classes : sequence, optional
        The labels, where the target holds labels; a preprocessing brings its own.
    buffer : int
        Bytes that may be kept in memory while a network is trained. What Arrow unpacks of a row group comes on top, so
        let row groups be small beside it.

    Attributes
    ----------
    preprocessing : mlpx.tables.Preprocessing or None
        What turns the table into inputs; ``net.preprocessing = source.preprocessing.to_dict()`` lets it travel with
        the network.

    Raises
    ------
    ValueError, TypeError
        For columns that are not there or hold no numbers, and for arguments that do not fit.
    OSError
        For files that cannot be read.
    ImportError
        Where pyarrow is not installed.

    Examples
    --------
    >>> import mlpx
    >>> source = mlpx.sources.Parquet("clicks/", target="clicked", preprocessing=True)  # doctest: +SKIP
    >>> net = mlpx.MLP([source.preprocessing.width, 64, 2])  # doctest: +SKIP
    >>> history = net.fit(source, epochs=3, validation=mlpx.sources.Parquet(  # doctest: +SKIP
    ...     "clicks-of-may/", target="clicked", preprocessing=source.preprocessing))
    """

    def __init__(
        self,
        data: Any,
        target: str | Sequence[str] | None = None,
        *,
        columns: Sequence[str] | None = None,
        weight: str | None = None,
        preprocessing: Any = None,
        sample: int = 100_000,
        classes: Any = None,
        buffer: int = BUFFER,
    ) -> None:
        self._dataset = _opened(data)
        self._one_target = target is None or isinstance(target, str)
        self.target = () if target is None else (target,) if isinstance(target, str) else tuple(target)
        self.weight = weight
        self._warned: set[str] = set()
        self._footers: dict[str, _Footer] = {}
        self._check_present([*self.target, *([weight] if weight else []), *(columns or ())])
        super().__init__(classes=classes, buffer=buffer)
        self.rows = sum(block.rows or 0 for block in self.blocks(1))
        if preprocessing is True:
            preprocessing = self._fitted(check_count("sample", sample))
        self.preprocessing = preprocessing
        if preprocessing is not None:
            self._take_over(preprocessing, columns)
        else:
            used = {*self.target, weight}
            self.columns = tuple(columns or (name for name in self._dataset.schema.names if name not in used))
            self._check_numbers()

    def _take_over(self, preprocessing: Any, columns: Any) -> None:
        """Read the columns that a preprocessing uses."""
        if not hasattr(preprocessing, "transform_target") or columns is not None:
            msg = (
                "`preprocessing` must be an mlpx.tables.Preprocessing, which names its columns itself, so that "
                f"`columns` is None; got {type(preprocessing).__name__} and columns={columns!r}."
            )
            raise TypeError(msg)
        own = preprocessing.target.name
        if self.target not in ((), (own,)):
            msg = f"`target` must be that of the preprocessing, {own!r}, got {self.target!r}."
            raise ValueError(msg)
        self.columns = tuple(column.name for column in preprocessing.columns)
        self._check_present(self.columns)
        if self.target and self.classes is None:
            self.classes = getattr(preprocessing.target, "classes", None)

    @cached_property
    def _parts(self) -> tuple[Block, ...]:
        """What can be read on its own: row groups, or files without them."""
        kind = require("pyarrow.dataset", "reading Parquet", _INSTALL).ParquetFileFragment
        found, ends = [], []
        for fragment in self._dataset.get_fragments():
            if isinstance(fragment, kind):
                footer = self._footer(fragment)
                groups = range(footer.metadata.num_row_groups)
                ends.append(_CHUNK_BYTES * len(groups) * footer.metadata.num_columns)
                found += [Block(footer.metadata.row_group(i).num_rows, _Part(fragment, i)) for i in groups]
            else:
                found.append(Block(fragment.count_rows(), _Part(fragment)))
        self.held = sum(sorted(ends)[-_FOOTERS:])
        return tuple(block for block in found if block.rows)

    def blocks(self, size: int) -> Sequence[Block]:
        """Return the row groups.

        Parameters
        ----------
        size : int
            Ignored.

        Returns
        -------
        tuple of Block
        """
        if not self._parts:
            msg = "`data` holds no rows. Give a file or a folder with at least one."
            raise ValueError(msg)
        return self._parts

    def read(self, block: Block, size: int) -> Iterator[Piece]:
        """Yield the rows of a row group.

        Parameters
        ----------
        block : Block
            One of `blocks`.
        size : int
            How many rows a piece has at most.

        Yields
        ------
        Piece
        """
        names = [*self.columns, *(name for name in (*self.target, self.weight) if name and name not in self.columns)]
        start = 0
        for batch in self._batches(block.place, names, size):
            name = f"{block.place.name}, rows {start} to {start + batch.num_rows - 1}"
            start += batch.num_rows
            yield self._piece(batch, name)

    def _batches(self, part: _Part, names: Sequence[str], size: int) -> Iterator[Any]:
        """Yield the rows of a part as Arrow's record batches."""
        if part.group is None or not set(names) <= self._footer(part.fragment).names:
            # of a partition some columns are known from the file's place alone
            some = part.fragment if part.group is None else part.fragment.subset(row_group_ids=[part.group])
            ahead = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
            for batch in some.to_batches(self._dataset.schema, columns=list(names), batch_size=size, **ahead):
                yield from (batch.slice(start, size) for start in range(0, batch.num_rows, size))
            return
        with self._file(part.fragment, self._footer(part.fragment).metadata) as file:
            # whole row groups may be large, so they are unpacked page by page
            yield from file.iter_batches(size, row_groups=[part.group], columns=list(names), use_threads=False)

    def _footer(self, fragment: Any) -> _Footer:
        """Return what the end of a Parquet file says; kept of the last files alone, since it may be large."""
        found = self._footers.pop(fragment.path, None)
        if found is None:
            with self._file(fragment) as file:
                found = _Footer(file.metadata, frozenset(file.schema_arrow.names))
        self._footers[fragment.path] = found
        if len(self._footers) > _FOOTERS:
            del self._footers[next(iter(self._footers))]
        return found

    def _file(self, fragment: Any, metadata: Any = None) -> Any:
        """Return a Parquet file, opened."""
        arrow = require("pyarrow", "reading Parquet", _INSTALL)
        parquet = require("pyarrow.parquet", "reading Parquet", _INSTALL)
        local = fragment.filesystem.type_name == "local"
        opened = arrow.memory_map(fragment.path) if local else fragment.open()
        return parquet.ParquetFile(opened, metadata=metadata, buffer_size=0 if local else _READ_AHEAD)

    def _piece(self, batch: Any, name: str) -> Piece:
        """Return a record batch as a piece."""
        weight = _matrix(batch, [self.weight], name)[:, 0] if self.weight else None
        if self.preprocessing is None:
            y = None
            if self.target:
                y = _one_column(batch.column(self.target[0])) if self._one_target else _matrix(batch, self.target, name)
            return Piece(_matrix(batch, self.columns, name), y, weight, name)
        frame = batch.to_pandas()
        y = None
        if self.target:
            if frame[self.target[0]].isna().any():
                msg = f"`{self.target[0]}` must be known in every row, but in {name} it is missing. Drop such rows."
                raise ValueError(msg)
            y = self.preprocessing.transform_target(frame)
            frame = frame.drop(columns=self.target[0]) if self.target[0] not in self.columns else frame
        return Piece(self.preprocessing.transform(frame, note=self._warn_once), y, weight, name)

    def _warn_once(self, sentence: str) -> None:
        """Pass on what the preprocessing notes of the first rows that give cause for it."""
        kind = sentence.partition(" ")[2].partition(":")[0]
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(sentence, UserWarning, stacklevel=2)

    def _fitted(self, sample: int) -> Any:
        """Return a preprocessing that is fitted on rows from all parts of the data."""
        tables = require("mlpx.tables", "preprocessing", _INSTALL)
        if not (self.target and self._one_target):
            msg = "`target` must name one column for `preprocessing` to be fitted."
            raise ValueError(msg)
        frame = tables.preprocessing.labelled_rows(self.sample(sample), self.target[0])
        return tables.Preprocessing.fit(frame, self.target[0], drop=[self.weight] if self.weight else [])

    def sample(self, rows: int) -> Any:
        """Return some rows from all parts of the data, as a table.

        Parameters
        ----------
        rows : int
            How many, about.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ValueError, TypeError
            For a number that is none, and where there are no rows.

        Examples
        --------
        >>> import mlpx
        >>> mlpx.sources.Parquet("clicks/").sample(1000)  # doctest: +SKIP
        """
        arrow = require("pyarrow", "reading Parquet", _INSTALL)
        blocks = self.blocks(rows)
        some = [blocks[i] for i in np.unique(np.linspace(0, len(blocks) - 1, min(len(blocks), 50)).astype(int))]
        share = -(-check_count("rows", rows) // len(some))
        names = self._dataset.schema.names
        found = [next(self._batches(block.place, names, share)) for block in some]
        return arrow.Table.from_batches(found).to_pandas()

    def _check_present(self, names: Sequence[str]) -> None:
        known = self._dataset.schema.names
        missing = [name for name in names if name not in known]
        if missing:
            some = ", ".join(map(repr, known[:10])) + (", …" if len(known) > 10 else "")
            msg = f"`data` has no column {', '.join(map(repr, missing))}; it has {some}."
            raise ValueError(msg)

    def _check_numbers(self) -> None:
        """Refuse columns that hold no numbers."""
        types = require("pyarrow", "reading Parquet", _INSTALL).types
        for name in self.columns:
            kind = self._dataset.schema.field(name).type
            inner = kind.value_type if types.is_fixed_size_list(kind) else kind
            if not (types.is_integer(inner) or types.is_floating(inner) or types.is_boolean(inner)):
                msg = (
                    f"`columns` must hold numbers, but {name!r} is {kind}. Name the columns to use, or give "
                    "`preprocessing=True` for a table of any kind."
                )
                raise TypeError(msg)


def _opened(data: Any) -> Any:
    """Return a data set of Arrow."""
    dataset = require("pyarrow.dataset", "reading Parquet", _INSTALL)
    if isinstance(data, dataset.Dataset):
        return data
    if not isinstance(data, (str, os.PathLike)):
        msg = f"`data` must be a path or a pyarrow.dataset.Dataset, got {type(data).__name__}."
        raise TypeError(msg)
    try:
        return dataset.dataset(data, format="parquet")
    except OSError as error:
        error.add_note(f"`data` is {os.fspath(data)!r}: it must be a Parquet file, or a folder of them.")
        raise


def _matrix(batch: Any, names: Sequence[str], where: str) -> Array:
    """Return columns side by side."""
    columns = [_numbers(batch.column(name), name, where) for name in names]
    if len(columns) == 1 and columns[0].ndim == 2:
        return columns[0]
    widths = [1 if column.ndim == 1 else column.shape[1] for column in columns]
    out = np.empty((batch.num_rows, sum(widths)), np.result_type(*columns))
    start = 0
    for column, width in zip(columns, widths, strict=True):
        out[:, start : start + width] = column[:, None] if column.ndim == 1 else column
        start += width
    return out


def _numbers(column: Any, name: str, where: str) -> Array:
    """Return a column of numbers, shape (n,), or of lists of one length, shape (n, width)."""
    width = getattr(column.type, "list_size", None)
    flat = column if width is None else column.flatten()
    if column.null_count or flat.null_count:
        msg = f"`{name}` has missing values in {where}. Fill them, or give `preprocessing=True`."
        raise ValueError(msg)
    numbers = _one_column(flat)
    return numbers if width is None else np.reshape(numbers, (len(column), width))


def _one_column(column: Any) -> Array:
    return column.to_numpy(zero_copy_only=False)
