"""Notes: sentences on what was passed over, which become warnings where nobody else takes them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

Note = Callable[[str], object]


def warn(sentence: str) -> None:
    """Give a note as a warning of the line that called the package."""
    package, level, frame = str(Path(__file__).parent), 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        level, frame = level + 1, frame.f_back
    warnings.warn(sentence, UserWarning, stacklevel=level)
