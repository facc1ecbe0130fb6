"""What a contender on a device is: steps that are issued, and go on while the host does something else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Stopwatch(Protocol):
    """Measures a span of a device's time."""

    def start(self) -> None:
        """Begin the span behind everything that has been issued."""

    def stop(self) -> None:
        """End the span behind everything that has been issued."""

    def seconds(self) -> float:
        """Wait for the end of the span, and return its length."""


class HostWatch:
    """A span by the host's clock, for libraries without events: it ends when the device has done everything.

    Parameters
    ----------
    wait : callable
        Waits for the device.
    clock : callable
        Gives seconds.
    """

    def __init__(self, wait: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> None:
        self._wait, self._clock = wait, clock

    def start(self) -> None:
        """Begin; the device is idle."""
        self._begin = self._clock()

    def stop(self) -> None:
        """Wait and end."""
        self._wait()
        self._end = self._clock()

    def seconds(self) -> float:
        """Return the length."""
        return self._end - self._begin


class Steps:
    """Work on a device, a step at a time or many at once.

    Attributes
    ----------
    block : int
        How many steps one call of the library makes; `issue` takes one step or a multiple of it.
    clock : str
        ``"events"`` where the device itself measures spans, else ``"host"``.
    """

    block: int = 1
    clock: str = "host"

    def restart(self) -> None:
        """Begin again with the first parameters; nothing where the work has no state."""

    def issue(self, count: int) -> None:
        """Let the device make steps, without waiting for it."""
        raise NotImplementedError

    def wait(self) -> None:
        """Wait until the device has done everything."""
        raise NotImplementedError

    def loss(self) -> float | None:
        """Return the mean loss of the steps since `restart`, of all members; None where there is none."""
        return None

    def stopwatch(self) -> Stopwatch:
        """Return what measures spans of the device's time."""
        return HostWatch(self.wait)

    def facts(self) -> dict[str, object]:
        """Return what else is known, such as the nodes of a captured graph."""
        return {}
