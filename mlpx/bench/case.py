"""What is measured: a case, which is a piece of work, and its contenders, which are ways of doing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contender:
    """One way of doing the work of a case.

    Attributes
    ----------
    name : str
        Such as ``"mlpx numpy"``, ``"scikit-learn"`` or ``"products"``.
    prepare : callable
        Builds data and network and returns ``run()``, which does the work once and waits for the device.
    settings : str
        How this way was set (optimizer, compilation, shuffling), in one line.
    device : str
        Where it runs, which decides what the hardware allows.
    count : int or None
        How many of the case's `per` one ``run()`` does, where that differs from the case's own count.

    Examples
    --------
    >>> import numpy as np
    >>> from mlpx.bench import Contender
    >>> x = np.ones((64, 64))
    >>> run = Contender("matmul", lambda: lambda: x @ x).prepare()
    >>> run().shape
    (64, 64)
    """

    name: str
    prepare: Callable[[], Callable[[], object]]
    settings: str = ""
    device: str = "cpu"
    count: int | None = None


@dataclass(frozen=True)
class Case:
    """Work that is done in several ways and measured in one interleaved run.

    Attributes
    ----------
    suite : str
        The suite that it belongs to.
    name : str
        The work in a few words, such as ``"784-256-128-10, batch 256"``; no two cases of a group share it.
    contenders : tuple of Contender
        The first of them is the reference that the others are divided by.
    per : str
        What a figure counts: ``"call"``, ``"step"``, ``"member-step"``.
    count : int
        How many of these one ``run()`` does.
    flop : float or None
        Floating-point operations of one `per`.
    bytes : float or None
        Bytes that must at least be moved for one `per`.
    parameters : mapping
        What the case stands for in a table or a plot: batch, widths, dtype.
    unit : str
        ``"s"``, or ``"B"`` where ``run()`` returns a number of bytes, and is called once.
    group : str
        The heading within the suite under which it stands, such as ``"forward, float32"``.

    Examples
    --------
    >>> import numpy as np
    >>> from mlpx.bench import Case, Contender
    >>> x = np.ones((64, 64))
    >>> matmul = Contender("matmul", lambda: lambda: x @ x)
    >>> einsum = Contender("einsum", lambda: lambda: np.einsum("ij,jk->ik", x, x))
    >>> Case("my own", "64 x 64", (matmul, einsum), per="call", flop=2 * 64**3).title
    '64 x 64'
    """

    suite: str
    name: str
    contenders: tuple[Contender, ...]
    per: str
    count: int = 1
    flop: float | None = None
    bytes: float | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    unit: str = "s"
    group: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the case in every run."""
        return self.suite, self.group, self.name

    @property
    def title(self) -> str:
        """Group and name."""
        return ", ".join(filter(None, (self.group, self.name)))
