"""The progress bar of a fit."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["Progress", "mean_left"]


class Progress:
    """A bar (tqdm's) over the samples of all epochs, with the loss, the validation metric and the samples a second.

    It is quiet where standard error is neither a terminal nor a notebook's.

    Parameters
    ----------
    show : bool
        Whether to show it at all.
    epochs : int
        Epochs.
    samples : int, optional
        Samples an epoch, where that is known.
    """

    def __init__(self, show: bool, epochs: int, samples: int | None) -> None:
        self._bar: Any = None
        self._show, self._epochs, self._samples, self._made = show, epochs, samples, 0

    def epoch(self, epoch: int) -> None:
        """Say which epoch begins, from 0; the first draws the bar, below what callbacks have written at the start."""
        if self._show and self._bar is None:
            self._draw()
        if self._bar is not None:
            self._bar.set_description_str(f"epoch {epoch + 1}/{self._epochs}", refresh=False)

    def _draw(self) -> None:
        """Draw the bar, where somebody can see it."""
        from tqdm.auto import tqdm  # imported when first used

        quiet = False if "ipykernel" in sys.modules else None  # a notebook shows it, though it is no terminal
        total = None if self._samples is None else self._epochs * self._samples
        bar = tqdm(
            total=total, initial=self._made, disable=quiet, unit=" samples", unit_scale=True, dynamic_ncols=True,
            leave=True, bar_format="{desc} {percentage:3.0f}%|{bar}| {rate_fmt} {remaining}{postfix}",
        )  # fmt: skip
        self._show, self._bar = False, None if bar.disable else bar

    def advance(self, samples: int) -> None:
        """Count samples."""
        self._made += samples
        if self._bar is not None:
            self._bar.update(samples)

    def report(self, row: Mapping[str, Any]) -> None:
        """Show the loss and the last validation metric of an epoch, a stack's as their mean."""
        if self._bar is not None:
            held_out = [name for name in row if name.startswith("validation_")]
            shown = {name.replace("validation_", "val. "): mean_left(row[name]) for name in ("loss", *held_out[-1:])}
            self._bar.set_postfix_str(", ".join(f"{name} {value:.4g}" for name, value in shown.items()))

    def close(self) -> None:
        """Leave the bar as it stands; the description says in which epoch it stopped."""
        if self._bar is not None:
            self._bar.close()


def mean_left(value: Any) -> float:
    """Return a number, or the mean of those of the members that are left in a stack."""
    if not isinstance(value, list):
        return float(value)
    finite = [v for v in value if math.isfinite(v)]
    return sum(finite) / len(finite) if finite else math.nan
