"""The products of back-propagation by themselves, and plain copies: what a step cannot be faster than."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlpx.bench.gpu.steps import Steps, Stopwatch

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Product:
    """A product of a layer with a batch of rows.

    Attributes
    ----------
    kind : str
        ``"forward"`` is A W, ``"error term"`` is delta Wᵀ, ``"weight gradient"`` is Aᵀ delta.
    batch, fan_in, fan_out : int
        Rows, and units before and after.
    precision : str
        As for `mlpx.bench.gpu.work.Job`.
    members : int or None
        Products side by side.

    Examples
    --------
    >>> Product("error term", 8, 3, 2, "float32").shapes
    ((8, 2), (3, 2), (8, 3))
    """

    kind: str
    batch: int
    fan_in: int
    fan_out: int
    precision: str
    members: int | None = None

    @property
    def name(self) -> str:
        """Shape, kind and precision in a few words."""
        stack = f"{self.members} x " if self.members else ""
        return f"{stack}{self.batch} x {self.fan_in} x {self.fan_out}, {self.kind}, {self.precision}"

    @property
    def transposed(self) -> tuple[bool, bool]:
        """Whether the first and the second matrix are read transposed."""
        return self.kind == "weight gradient", self.kind == "error term"

    @property
    def shapes(self) -> tuple[Shape, Shape, Shape]:
        """The matrices as they lie in memory, and the result."""
        front = (self.members,) if self.members else ()
        a, w, delta = (self.batch, self.fan_in), (self.fan_in, self.fan_out), (self.batch, self.fan_out)
        found = {"forward": (a, w, delta), "error term": (delta, w, a), "weight gradient": (a, delta, w)}[self.kind]
        return front + found[0], front + found[1], front + found[2]

    @property
    def flop(self) -> float:
        """Operations."""
        return 2.0 * (self.members or 1) * self.batch * self.fan_in * self.fan_out


class Calls(Steps):
    """One call again and again, such as a product into a buffer.

    Parameters
    ----------
    call : callable
        Issues the work once.
    wait : callable
        Waits for the device.
    watch : callable, optional
        Makes the library's stopwatch.
    """

    def __init__(
        self, call: Callable[[], object], wait: Callable[[], object], watch: Callable[[], Stopwatch] | None = None
    ) -> None:
        self._call, self._wait, self._watch = call, wait, watch
        self.clock = "host" if watch is None else "events"

    def issue(self, count: int) -> None:
        """Issue the call."""
        call = self._call
        for _ in range(count):
            call()

    def wait(self) -> Any:
        """Wait for the device."""
        self._wait()

    def stopwatch(self) -> Stopwatch:
        """Return the library's events, where it has some."""
        return super().stopwatch() if self._watch is None else self._watch()
