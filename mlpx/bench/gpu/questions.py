"""Small questions that only a device answers, each by itself: one that fails leaves the others."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

#: Where the answers are measured.
PLACE = "mlpx.bench.peers.cupy_questions"
LATER = {"e": "not asked: epilogues need cublasLt, which mlpx does not call"}
LETTERS = "abcdefg"


def answers(device: str) -> dict[str, object]:
    """Return an answer to every question, or why there is none."""
    if not device.startswith("cuda"):
        return dict.fromkeys(LETTERS, "not asked: needs a CUDA device")
    found: dict[str, object] = dict(LATER)
    try:
        asked = import_module(PLACE).QUESTIONS
    except Exception as error:
        return dict.fromkeys(LETTERS, reason(error))
    for letter, question in asked.items():
        found[letter] = answer(question)
    return dict(sorted(found.items()))


def answer(question: Callable[[], object]) -> object:
    """Return what a question measures, or what it raises."""
    try:
        return question()
    except Exception as error:
        return reason(error)


def reason(error: Exception) -> str:
    """Tell an exception in one line."""
    lines = str(error).strip().splitlines()
    return f"failed: {type(error).__name__}: {lines[0][:200] if lines else ''}".rstrip(": ")
