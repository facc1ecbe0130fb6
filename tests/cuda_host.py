"""CUDA kernels run by the host's C++ compiler, so that what they compute can be tested without a card.

A kernel's source is compiled with headers that give CUDA's words a meaning on the host. The threads of a block are
fibers that take turns, so barriers, shuffles and shared memory mean what they say; one block runs after the other. Runs
are deterministic. What is not shown: races that the order of threads hides (``reverse=True`` turns it round), and the
rounding of CUDA's own mathematical functions.
"""

import ctypes
import functools
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_HERE = Path(__file__).parent
_OPTIONS = [
    "-std=gnu++17",
    "-O1",
    "-shared",
    "-fPIC",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-U_FORTIFY_SOURCE",  # it forbids jumps from stack to stack
]
# CUDA's own headers, whose contents are in ours
_EMPTY_HEADERS = ["cuda_fp16.h", "cuda_bf16.h", "cuda_runtime.h"]
_KERNEL = re.compile(r"__global__\s+(?:__launch_bounds__\([^)]*\)\s*)?void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)")
_MARGIN = 4096
_MOST_BLOCKS = (2**31 - 1, 2**16 - 1, 2**16 - 1)
_MOST_THREADS = (1024, 1024, 64)


def compiler() -> str | None:
    """Return the path of a C++ compiler: $CXX, or the first that is found."""
    names = [os.environ.get("CXX", ""), "g++", "c++", "clang++"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def available() -> bool:
    """Say whether kernels can be compiled here."""
    return os.uname().sysname == "Linux" and compiler() is not None


@functools.lru_cache(maxsize=64)
def compile(source: str) -> "Module":
    """Compile CUDA C++ with kernels ``extern "C" __global__ void name(…)``; an error holds what the compiler says."""
    names = _KERNEL.findall(source)
    with tempfile.TemporaryDirectory() as folder:
        for header in _EMPTY_HEADERS:
            Path(folder, header).touch()
        entries = "\n".join(f"CUDA_HOST_KERNEL({name})" for name in names)
        kernels, library = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        kernels.write_text(f"{source}\n{entries}\n", encoding="utf-8")
        command = [compiler() or "c++", *_OPTIONS, "-I", folder, "-include", str(_HERE / "cuda_host_entry.hpp")]
        done = subprocess.run([*command, str(kernels), "-o", str(library)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"The kernels do not compile.\n{done.stderr}")
        return Module(ctypes.CDLL(str(library)), names)


class Module:
    """Compiled kernels; `parameters` holds the types of each kernel's parameters in words."""

    def __init__(self, library: ctypes.CDLL, names: Sequence[str]) -> None:
        self._library = library
        self.parameters = {name: self._types(name) for name in names}

    def _types(self, name: str) -> list[str]:
        function = self._library[f"types_of_{name}"]
        function.restype = ctypes.c_char_p
        return function().decode().split(",")[:-1]

    def launch(
        self,
        name: str,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        args: Sequence[Any] = (),
        *,
        guard: bool = False,
        reverse: bool = False,
    ) -> None:
        """Run a kernel on NumPy arrays, NumPy scalars of the exact type, and addresses as integers.

        With `guard`, every array is replaced by a copy with margins around it, and a write into a margin is an error
        (for arrays that do not overlap). With `reverse`, threads and blocks run in the opposite order.
        """
        shape = [*_sizes("grid", grid, _MOST_BLOCKS), *_sizes("block", block, _MOST_THREADS)]
        if math.prod(shape[3:]) > 1024:
            raise ValueError(f"`block` may have 1024 threads, got {block}.")
        types = self.parameters[name]
        if len(args) != len(types):
            raise TypeError(f"`{name}` takes {len(types)} arguments ({', '.join(types)}), got {len(args)}.")
        guards = [Guarded(a) if guard and isinstance(a, np.ndarray) else a for a in args]
        words = [f"argument {i} of `{name}`" for i in range(len(args))]
        values = [_value(*each) for each in zip(guards, types, words, strict=True)]
        pointers = (ctypes.c_void_p * len(values))(*(v.ctypes.data for v in values))
        function = self._library[f"launch_{name}"]
        function.restype = ctypes.c_char_p
        problem = function(pointers, (ctypes.c_uint * 6)(*shape), int(reverse))
        if problem is not None:
            raise RuntimeError(f"`{name}` cannot go on: {problem.decode()}.")
        for a, word in zip(guards, words, strict=True):
            if isinstance(a, Guarded):
                a.check(word)


class Guarded:
    """A copy of an array within margins that nobody may write."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        # signalling NaNs: what is computed from them is another NaN, so that a write shows
        self.blank = np.full(array.nbytes // 4 + 1 + _MARGIN // 2, 0xFFBFFFFF, np.uint32).view(np.uint8)
        self.memory = self.blank.copy()
        inner = self.memory[_MARGIN : _MARGIN + array.nbytes]
        self.copy = inner.view(array.dtype).reshape(array.shape)
        self.copy[...] = array

    def check(self, name: str) -> None:
        """Copy what was computed back; raise if a margin was written."""
        written = self.memory != self.blank
        for margin, where in (
            (written[_MARGIN + self.array.nbytes :], "after its end"),
            (written[:_MARGIN][::-1], "before its start"),
        ):
            if margin.any():
                raise RuntimeError(f"{name} was written {np.argmax(margin)} bytes {where}.")
        if self.array.flags.writeable:
            self.array[...] = self.copy


def _sizes(name: str, sizes: int | Sequence[int], most: Sequence[int]) -> list[int]:
    given = (sizes,) if isinstance(sizes, (int, np.integer)) else tuple(sizes)
    full = [int(n) for n in (*given, 1, 1, 1)[:3]]
    if len(given) > 3 or not all(1 <= n <= limit for n, limit in zip(full, most, strict=True)):
        raise ValueError(f"`{name}` has at most three sizes from 1 to {most}, got {sizes}.")
    return full


def _value(arg: Any, kind: str, name: str) -> np.ndarray:
    """Return an array of one element that holds the argument as the kernel takes it."""
    if kind.endswith("*"):
        return np.asarray(_address(arg, kind, name), np.uint64)
    given = f"struct{arg.itemsize}" if isinstance(arg, np.void) else getattr(arg, "dtype", None)
    if not isinstance(arg, np.generic) or str(given) != kind:
        raise TypeError(f"{name} must be a NumPy scalar of type {kind}, got {arg!r} ({type(arg).__name__}).")
    return np.asarray(arg)


def _address(arg: Any, kind: str, name: str) -> int:
    array = arg.copy if isinstance(arg, Guarded) else arg
    if not isinstance(array, np.ndarray):
        return int(array)
    pointee = kind.removeprefix("const ").removesuffix("*")
    if pointee != "void" and not pointee.startswith("struct") and array.dtype.name != pointee:
        raise TypeError(f"{name} must be an array of {pointee}, got {array.dtype.name}.")
    if not array.flags.writeable and not kind.startswith("const "):
        raise TypeError(f"{name} is written to, but the array is read-only.")
    return array.ctypes.data
