"""Where a model of classes errs: which are taken for which, and whether its probabilities mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpx.tables.report.words import percent, short
from mlpx.tables.requirements import counted, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Equal parts of the probabilities from 0 to 1 in which they are compared with what was.
PARTS = 10


class Part(NamedTuple):
    """Rows whose probability lies in one part of 0 to 1.

    Attributes
    ----------
    rows : int
        How many.
    said : float
        The mean of their probabilities.
    seen : float
        The share of them that were of the class.
    """

    rows: int
    said: float
    seen: float


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes that were decided, beside the true ones.

    Attributes
    ----------
    classes : tuple of str
        Labels.
    counts : numpy.ndarray
        Rows by true class (down) and predicted class (across), shape (K, K).
    calibration : tuple of Part
        For two classes, by the probability of the second; else empty.
    weighted : bool
        Whether training had class weights, which shift the probabilities.
    """

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    calibration: tuple[Part, ...]
    weighted: bool = False

    @classmethod
    def of(
        cls, classes: tuple[str, ...], truth: NDArray[np.intp], probabilities: NDArray[Any], *, weighted: bool = False
    ) -> Classes:
        """Count.

        Parameters
        ----------
        classes : tuple of str
            Labels.
        truth : integer array of shape (n,)
            Number of each row's class.
        probabilities : array of shape (n, K)
            Probability of each class.
        weighted : bool
            Whether training had class weights.
        """
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (truth, probabilities.argmax(axis=1)), 1)
        parts = calibrate(truth == 1, probabilities[:, 1]) if len(classes) == 2 else ()
        return cls(classes, counts, parts, weighted)

    @property
    def calibration_error(self) -> float:
        """Mean distance of what was said from what was seen, by rows (the expected calibration error)."""
        rows = sum(part.rows for part in self.calibration)
        return sum(part.rows * abs(part.said - part.seen) for part in self.calibration) / rows if rows else float("nan")

    def calibration_note(self) -> str:
        """Tell how far the probabilities are off."""
        expected = ", as is expected with class weights" if self.weighted else ""
        return f"off by {percent(self.calibration_error)} in the mean{expected}"

    def shares(self) -> tuple[tuple[int, float, float], ...]:
        """Give for each class its rows, its recall and its precision.

        Where there are no rows, or no decisions, the share is NaN.
        """
        right, rows, decided = np.diag(self.counts), self.counts.sum(axis=1), self.counts.sum(axis=0)
        with np.errstate(invalid="ignore"):
            return tuple(zip(rows.tolist(), (right / rows).tolist(), (right / decided).tolist(), strict=True))

    def confusions(self, most: int = 5) -> tuple[str, ...]:
        """Tell the largest confusions, one sentence each."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        places = np.argsort(wrong, axis=None, kind="stable")[::-1][:most]
        found = [divmod(int(place), len(self.classes)) for place in places if wrong.flat[place]]
        return tuple(self._confusion(true, decided) for true, decided in found)

    def _confusion(self, true: int, decided: int) -> str:
        count, rows = int(self.counts[true, decided]), int(self.counts[true].sum())
        names = f"`{short(self.classes[true])}` is taken for `{short(self.classes[decided])}`"
        return f"{names} in {whole(count)} of {counted(rows, 'row')} ({percent(count / rows)})"

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        entry: dict[str, Any] = {"classes": list(self.classes), "confusion": self.counts.tolist()}
        if self.calibration:
            entry["calibration"] = [part._asdict() for part in self.calibration]
        return entry


def calibrate(of_class: NDArray[np.bool_], probability: NDArray[Any]) -> tuple[Part, ...]:
    """Compare the probabilities of a class with how often it was the class.

    Parameters
    ----------
    of_class : array of bool of shape (n,)
        Whether a row is of the class.
    probability : array of shape (n,)
        What the model said.

    Returns
    -------
    tuple of Part
        The tenths that have rows.

    Examples
    --------
    >>> import numpy as np
    >>> from mlpx.tables.report.classes import calibrate
    >>> calibrate(np.asarray([True, False, True]), np.asarray([0.75, 0.75, 1.0]))[0]
    Part(rows=2, said=0.75, seen=0.5)
    """
    place = np.minimum((probability * PARTS).astype(np.intp), PARTS - 1)
    chosen = [place == part for part in range(PARTS)]
    return tuple(
        Part(int(rows.sum()), float(probability[rows].mean()), float(of_class[rows].mean()))
        for rows in chosen
        if rows.any()
    )
