"""Spoiled files for fuzzers: bytes of any kind, and files of `mlpx.files` whose parts are changed one by one."""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Rng = np.random.Generator
Mutation = Callable[[Rng, dict[str, Any]], Any]
HUGE = 2**40
DEEP = 60
WORDS = ["Dense", "Skip", "relu", "softmax", "x", "", "\0", "ü" * 30, "a" * 2000, "\ud800", "1", "nan", "__class__"]
NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    7,
    63,
    64,
    2**31,
    2**32,
    2**63,
    2**64,
    HUGE,
    10**300,
    10**400,
    0.5,
    -0.0,
    1e-320,
    1e38,
    1e308,
]
JUNK = [None, True, False, [], {}, [[]], [None], {"name": []}, [1, 2, 3], ["a", "b"], [HUGE, HUGE], *WORDS, *NUMBERS]
TEXTS = [
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 5000,
    "[" * 3000 + "]" * 3000,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    '{"a":1,"a":2}',
]
"""Pieces of JSON that Python would not write."""


def pick(rng: Rng, choices: Any) -> Any:
    """Return one of a list."""
    return choices[int(rng.integers(len(choices)))]


# Bytes.


def flipped(rng: Rng, content: bytes) -> bytes:
    spoiled = bytearray(content)
    for place in rng.integers(0, len(spoiled), size=rng.integers(1, 9)):
        spoiled[place] ^= 1 << int(rng.integers(8))
    return bytes(spoiled)


def written_over(rng: Rng, content: bytes) -> bytes:
    spoiled, start = bytearray(content), int(rng.integers(len(content)))
    size = int(rng.integers(1, 20))
    spoiled[start : start + size] = pick(rng, [rng.bytes(size), bytes(size), b"\xff" * size])
    return bytes(spoiled)


def cut(rng: Rng, content: bytes) -> bytes:
    return content[: int(rng.integers(len(content)))]


def cut_out(rng: Rng, content: bytes) -> bytes:
    start, stop = sorted(int(i) for i in rng.integers(0, len(content), size=2))
    return content[:start] + content[min(stop, start + 200) :]


def inserted(rng: Rng, content: bytes) -> bytes:
    place = int(rng.integers(len(content)))
    return content[:place] + rng.bytes(int(rng.integers(1, 100))) + content[place:]


def repeated(rng: Rng, content: bytes) -> bytes:
    start, stop = sorted(int(i) for i in rng.integers(0, len(content), size=2))
    return content[:stop] + content[start:stop] + content[stop:]


def number_changed(rng: Rng, content: bytes) -> bytes:
    """Change a digit somewhere: sizes, offsets, shapes and values."""
    digits = [i for i, byte in enumerate(content[:4000]) if 48 <= byte < 58]
    if not digits:
        return flipped(rng, content)
    place = pick(rng, digits)
    return (
        content[:place] + pick(rng, [b"0", b"1", b"9", b"99999999999999999999", b"-1", b"1e5"]) + content[place + 1 :]
    )


BYTES: list[Callable[[Rng, bytes], bytes]] = [
    flipped,
    flipped,
    written_over,
    cut,
    cut_out,
    inserted,
    repeated,
    number_changed,
    number_changed,
]


# Trees.


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield owner and key of everything within a tree of lists and dicts."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from places(item)


def changed(rng: Rng, tree: Any, junk: Any = JUNK) -> None:
    """Change something in a tree, where it stands."""
    found = list(places(tree))
    if not found:
        return
    owner, key = pick(rng, found)
    other, other_key = pick(rng, found)
    match int(rng.integers(10)):
        case 0 | 1:
            owner[key] = pick(rng, junk)
        case 2 | 8 | 9:
            owner[key] = _near(rng, owner[key])
        case 3:
            del owner[key]
        case 4 if isinstance(owner, list):
            owner.insert(key, json.loads(json.dumps(owner[key])))
        case 5 if isinstance(owner, dict):
            owner[pick(rng, WORDS)] = pick(rng, junk)
        case 6:  # a copy, since nothing may hold itself
            owner[key] = json.loads(json.dumps(other[other_key]))
        case _:
            owner[key] = [owner[key]] * int(rng.integers(0, 4))


def _near(rng: Rng, value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + int(rng.integers(-2, 3))
    if isinstance(value, float):
        return value * float(pick(rng, [-1.0, 0.0, 0.5, 1e10, 1e-10]))
    if isinstance(value, str):
        place = int(rng.integers(len(value) + 1))
        return value[:place] + pick(rng, WORDS) + value[place + int(rng.integers(2)) :]
    return value


# Files.


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the tensors of a safetensors file."""
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header: Any, tensors: bytes) -> bytes:
    """Return a safetensors file."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def with_other_header(rng: Rng, content: bytes) -> bytes:
    """Change the entries of tensors, or what stands in the metadata, as JSON."""
    header, tensors = parts(content)
    for _ in range(int(rng.integers(1, 4))):
        changed(rng, header, [*JUNK, [0, HUGE], [4, 0], [0, 4], "F32", "F64", "I8", "BF16", "BOOL"])
    if rng.integers(20) == 0:
        empty = {"dtype": "F32", "shape": [0], "data_offsets": [len(tensors)] * 2}
        header |= {f"t{i}": empty for i in range(int(pick(rng, [1, 10, 2000])))}
    return joined(header, tensors)


def with_other_tensors(rng: Rng, content: bytes) -> bytes:
    """Change numbers, to such as are not finite or too large among others."""
    header, tensors = parts(content)
    spoiled = bytearray(tensors)
    for _ in range(int(rng.integers(1, 5))):
        if len(spoiled) < 8:
            break
        place = 4 * int(rng.integers(len(spoiled) // 4 - 1))
        kind = pick(rng, ["<f4", "<f8"])
        number = np.array(pick(rng, [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 1e308, 0.0]))
        with np.errstate(all="ignore"):
            new = number.astype(kind).tobytes()
        spoiled[place : place + len(new)] = new
    return joined(_unsigned(header), bytes(spoiled))


def with_other_description(rng: Rng, content: bytes, key: str, mutations: Sequence[Mutation] = ()) -> bytes:
    """Change the description; the checksum is left out, as whoever means harm would make a new one."""
    header, tensors = parts(content)
    metadata = header["__metadata__"]
    description = json.loads(metadata[key])
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        mutation = pick(rng, [changed, *mutations])
        mutation(rng, description)
    text = json.dumps(description)
    if rng.integers(10) == 0:
        numbers = [part for part in (": 1", ": 0", "null", "true", "0.5") if part in text]
        if numbers:
            text = text.replace(pick(rng, numbers), f": {pick(rng, TEXTS)}", 1)
    metadata[key] = text
    return joined(_unsigned(header), tensors)


def _unsigned(header: dict[str, Any]) -> dict[str, Any]:
    header["__metadata__"] = {key: value for key, value in header["__metadata__"].items() if key != "sha256"}
    return header


def mutated(rng: Rng, content: bytes, key: str, mutations: Sequence[Mutation] = ()) -> bytes:
    """Return a file of `mlpx.files` with something changed; most often its description, which is under `key`."""
    match int(rng.integers(10)):
        case 0 | 1:
            return pick(rng, BYTES)(rng, content)
        case 2:
            header, tensors = parts(content)
            return pick(rng, BYTES)(rng, joined(_unsigned(header), tensors))
        case 3:
            return with_other_header(rng, content)
        case 4:
            return with_other_tensors(rng, content)
    return with_other_description(rng, content, key, mutations)
