"""What a fit reports: one row an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["History"]

_SHOWN = 24


class History(Mapping[str, list[Any]]):
    """Numbers by epoch, as columns.

    ``history["loss"]`` is the mean over the epoch of the batches' losses (penalty included) before each update;
    ``history["validation_loss"]`` the loss of the data alone after the epoch. With a stack every entry is a list with
    one number a member, NaN once a member has stopped.

    Attributes
    ----------
    best_epoch : int or list of int
        Epoch (from 1) of the best monitored score; 0 where there was none.
    best_score : float or list of float
        That score; NaN where there was none.
    monitor : str
        The column that was watched, such as ``"validation_loss"``.
    stopped : str
        Why training ended: ``"epochs"`` (all were made), ``"patience"``, ``"interrupted"``, ``"callback"``, or
        ``"divergence"`` or ``"error"``.
    seconds : float
        Wall-clock time.
    loss_scale : float or list of float, optional
        In float16 the loss scale at the end; else None.
    skipped_steps : int or list of int, optional
        In float16 how many steps were skipped, since their gradient was not finite; else None.

    Examples
    --------
    >>> import mlpx
    >>> history = mlpx.History("loss")
    >>> history.append({"loss": 0.5})
    >>> history.append({"loss": 0.25})
    >>> history["loss"]
    [0.5, 0.25]
    >>> history.to_dict()
    {'epoch': [1, 2], 'loss': [0.5, 0.25]}
    """

    def __init__(self, monitor: str) -> None:
        self._columns: dict[str, list[Any]] = {}
        self.monitor = monitor
        self.best_epoch: int | list[int] = 0
        self.best_score: float | list[float] = float("nan")
        self.stopped = "epochs"
        self.seconds = 0.0
        self.loss_scale: float | list[float] | None = None
        self.skipped_steps: int | list[int] | None = None

    def append(self, row: Mapping[str, Any]) -> None:
        """Add the numbers of an epoch.

        Parameters
        ----------
        row : mapping
            A number, or a list with one a member, by column.
        """
        for name, value in row.items():
            self._columns.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._columns:
            msg = f"The history has the columns {', '.join(map(repr, self._columns))}; got {name!r}."
            raise KeyError(msg)
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return max(map(len, self._columns.values()), default=0)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended training."""
        return self.stopped == "interrupted"

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the columns as a plain dict, such as ``pandas.DataFrame`` takes.

        Returns
        -------
        dict of list
            ``"epoch"`` (from 1) is the first.
        """
        return {"epoch": list(range(1, self.epochs + 1)), **{k: list(v) for k, v in self._columns.items()}}

    def __str__(self) -> str:
        """Return a table with one line an epoch (the middle of a long one left out; a stack's numbers averaged)."""
        if not self.epochs:
            how = {"epochs": "", "interrupted": "interrupted "}.get(self.stopped, f"stopped by {self.stopped} ")
            return f"{how}before the end of epoch 1"
        table = self.to_dict()
        rows = list(zip(*([_number(v) for v in column] for column in table.values()), strict=True))
        if len(rows) > _SHOWN:
            half = _SHOWN // 2
            rows = [*rows[:half], ("…",) * len(table), *rows[-half:]]
        widths = [max(map(len, (name, *cells))) for name, *cells in zip(table, *rows, strict=True)]
        lines = [tuple(table), *rows]
        if isinstance(self.best_epoch, list):
            note = [f"means over the members that were left, of {len(self.best_epoch)}"]
            return "\n".join(
                [*note, *("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines)]
            )
        return "\n".join("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines)

    def __repr__(self) -> str:
        return f"<History of {self.epochs} epochs: {', '.join(self)}; stopped by {self.stopped}>"


def _number(value: Any) -> str:
    if isinstance(value, list):
        finite = [v for v in value if v == v]
        value = sum(finite) / len(finite) if finite else float("nan")
    return str(value) if isinstance(value, int) else f"{value:.5g}"
