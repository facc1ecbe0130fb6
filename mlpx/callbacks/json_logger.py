"""`JSONLogger`: the history as lines of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TextIO

from mlpx.callbacks.rows import RowLogger

__all__ = ["JSONLogger"]


class JSONLogger(RowLogger):
    """Write an object of JSON on a line of its own after each epoch.

    It has the names of the history, behind ``"epoch"``; with a stack the values are lists. A number that is not finite
    is ``null``, since JSON has no other name for it. A run that is resumed from a checkpoint goes on with the file, as
    with `CSVLogger`.

    Parameters
    ----------
    path : path-like
        The file; what is in it is written over.
    append : bool
        Whether to keep what is in it; epochs count from 1 again.

    Raises
    ------
    TypeError
        For an argument that does not fit.
    OSError
        In ``fit``, where the file cannot be written.

    Examples
    --------
    >>> import json, mlpx, pathlib
    >>> net = mlpx.MLP([1, 1], output="linear")
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, callbacks=mlpx.JSONLogger("training.jsonl"))
    >>> rows = [json.loads(line) for line in pathlib.Path("training.jsonl").read_text().splitlines()]
    >>> [row["epoch"] for row in rows], [row["loss"] for row in rows] == history["loss"]
    ([1, 2, 3], True)
    """

    def _row(self, file: TextIO, epoch: int, row: Mapping[str, Any]) -> None:
        numbers = {name: _finite(value) for name, value in row.items()}
        file.write(json.dumps({"epoch": epoch, **numbers}, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(number) for number in value]
    return value if math.isfinite(value) else None
