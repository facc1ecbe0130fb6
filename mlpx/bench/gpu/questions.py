"""Small questions that only a device answers, each by itself: one that fails leaves the others."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from mlpx.bench.gpu.results import NOT_ASKED

#: Where the answers are measured.
PLACE = "mlpx.bench.peers.cupy_questions"
LATER = {"e": f"{NOT_ASKED}: epilogues need cublasLt, which mlpx does not call"}
#: What each asks.
WORDS = {
    "a": "are our products captured and replayed right, with no node that allocates?",
    "b": "what does a node of a graph cost, and what a launch?",
    "c": "what do CuPy's own calls cost the host?",
    "d": "which rate do large products keep up for a second?",
    "e": "what do fused epilogues gain?",
    "f": "is CuPy's generator captured, and does each replay draw new numbers?",
    "g": "does an element-wise kernel take bfloat16 arrays?",
}


def answers(device: str) -> dict[str, object]:
    """Return an answer to every question, or why there is none."""
    if not device.startswith("cuda"):
        return dict.fromkeys(WORDS, f"{NOT_ASKED}: needs a CUDA device")
    found: dict[str, object] = dict(LATER)
    try:
        asked = import_module(PLACE).QUESTIONS
    except Exception as error:
        return dict.fromkeys(WORDS, reason(error))
    for letter, question in asked.items():
        found[letter] = answer(question)
    return dict(sorted(found.items()))


def worded(letter: str) -> str:
    """Return a question by its letter, in words."""
    return f"{letter}, {WORDS[letter]}" if letter in WORDS else letter


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
