"""Ratios from one interleaved run: the only figures that may be compared between runs and machines.

Every ratio is a time over a time, so that larger is slower:

- mlpx on a backend over the best of its peers;
- mlpx on a backend over the matrix products alone;
- where there is neither, the time over its bound by the roofline.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mlpx.bench.roofline import Roofline
from mlpx.bench.timing import CaseResult, Result

#: How contenders that are mlpx are named, and those that are no peers but a floor.
OWN = "mlpx"
FLOORS = ("products", "mlpx plan")
BOUND = "its bound"


@dataclass(frozen=True)
class Ratio:
    """A time over a time.

    Attributes
    ----------
    name : str
        Whose time is divided.
    over : str
        By what it is divided: a peer, ``"products"``, ``"mlpx plan"`` or ``"its bound"``.
    value : float
        Larger is slower.
    spread : float
        Half the distance of the quartiles over the median, of both together.
    """

    name: str
    over: str
    value: float
    spread: float

    @property
    def kind(self) -> str:
        """What the ratio is whichever peer was the best: the same in every run."""
        return f"{self.name} over {self.over if self.over in (*FLOORS, BOUND) else 'the best peer'}"


def is_own(result: Result) -> bool:
    """Say whether a contender is mlpx."""
    return result.name.split()[0] == OWN and result.name not in FLOORS


def best_peer(case: CaseResult) -> Result | None:
    """Return the fastest contender that is neither mlpx nor a floor."""
    peers = [result for result in case.results if not is_own(result) and result.name not in FLOORS]
    return min(peers, key=lambda result: result.median, default=None)


def floor(case: CaseResult) -> Result | None:
    """Return what nobody can do with less of: the products alone, or the bytes of the plan."""
    return next((result for result in case.results if result.name in FLOORS), None)


def ratios(case: CaseResult, roofline: Roofline) -> Iterator[Ratio]:
    """Yield the ratios of a case that stand for its speed."""
    own = [result for result in case.results if is_own(result)]
    for result in own:
        for other in (best_peer(case), floor(case)):
            if other is not None and (value := quotient(result, other)):
                yield Ratio(result.name, other.name, value, math.hypot(result.spread, other.spread))
    for result in () if own else case.results:
        if (part := roofline.share(case, result)) is not None:
            yield Ratio(result.name, BOUND, 1 / part, result.spread)


def quotient(result: Result, other: Result) -> float | None:
    """Return the time of one contender over that of another of the same case, from quotients within the rounds."""
    if result.ratio is None or not other.ratio:
        return None
    return result.ratio / other.ratio
