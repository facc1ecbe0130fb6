"""What a gradient check found, as a table to read and as a verdict for tests."""

from __future__ import annotations

from dataclasses import dataclass

from mlpx.layers.base import shortened

__all__ = ["BlockCheck", "Entry", "GradientReport"]


_WIDEST = 68
"""Letters of a name, so that a line of the table fits into 120."""


@dataclass(frozen=True)
class Entry:
    """One derivative by both roads.

    Parameters
    ----------
    index : tuple of int
        Where it stands in the block; with a stack the member comes first.
    exact, numerical : float
        By back-propagation (or by the formula), and by central differences.
    error : float
        Relative error.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx.differentiation import check_derivative
    >>> wrong = mlpx.activations.custom(lambda z, xp: z * z, lambda z, xp: 3 * z)
    >>> report = check_derivative(wrong, [1.0, 2.0])
    >>> entry = report.blocks[0].worst
    >>> entry.index, round(entry.exact, 6), round(entry.numerical, 6)
    ((0,), 3.0, 2.0)
    """

    index: tuple[int, ...]
    exact: float
    numerical: float
    error: float

    def __str__(self) -> str:
        where = f"at {list(self.index)}: " if self.index else ""
        return f"{where}exact {self.exact:.9g}, differences {self.numerical:.9g}"


@dataclass(frozen=True)
class BlockCheck:
    """The check of one block of parameters.

    Parameters
    ----------
    name : str
        Layer and parameter, such as ``"0.Dense.theta"``.
    shape : tuple of int
        Of the block, without the axis of members.
    checked : int
        Number of entries that were looked at.
    kinks : int
        Number of those that agree but for a kink within the step.
    failed : int
        Number of those that disagree.
    worst : Entry
        The entry that disagrees most; of kinks, those alone that do not agree.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx.differentiation import check_derivative
    >>> wrong = mlpx.activations.custom(lambda z, xp: z * z, lambda z, xp: 3 * z)
    >>> report = check_derivative(wrong, [1.0, 2.0])
    >>> block = report.blocks[0]
    >>> block.name, block.checked, block.failed, block.passed
    ('custom', 2, 2, False)
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    kinks: int
    failed: int
    worst: Entry

    @property
    def passed(self) -> bool:
        """Whether no entry disagrees."""
        return not self.failed


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` or `check_derivative` found. It is true where all agrees, and prints as a table.

    Parameters
    ----------
    blocks : tuple of BlockCheck
        One for each block of parameters, then one for a random direction over all of them.
    tolerance : float
        The largest relative error that passes.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx.differentiation import check_derivative
    >>> wrong = mlpx.activations.custom(lambda z, xp: z * z, lambda z, xp: 3 * z)
    >>> report = check_derivative(wrong, [1.0, 2.0])
    >>> bool(report), report.blocks[0].failed
    (False, 2)
    >>> try:
    ...     report.assert_passed()
    ... except AssertionError as error:
    ...     print(str(error).splitlines()[0])
    derivatives disagree in custom
    """

    blocks: tuple[BlockCheck, ...]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every block agrees."""
        return all(block.passed for block in self.blocks)

    def __bool__(self) -> bool:
        return self.passed

    def assert_passed(self) -> None:
        """Do nothing where all agrees; for tests.

        Raises
        ------
        AssertionError
            Where a block disagrees, with the table and both values of the worst entries.
        """
        if not self.passed:
            wrong = ", ".join(block.name for block in self.blocks if not block.passed)
            msg = f"derivatives disagree in {wrong}\n{self}"
            raise AssertionError(msg)

    def __str__(self) -> str:
        width = max(len("block"), *(min(len(block.name), _WIDEST) for block in self.blocks))
        head = f"{'block':{width}}  {'shape':>12} {'checked':>8} {'kinks':>6} {'rel. error':>11}  verdict"
        lines = [f"Gradient check: {'passed' if self else 'FAILED'} (tolerance {self.tolerance:g})", head]
        for block in self.blocks:
            shape = "x".join(map(str, block.shape)) or "-"
            lines.append(
                f"{shortened(block.name, _WIDEST):{width}}  {shape:>12} {block.checked:>8} {block.kinks:>6} "
                f"{block.worst.error:>11.1e}  {'ok' if block.passed else 'WRONG'}"
            )
            lines.append(f"  worst {block.worst}")
        return "\n".join(lines)
