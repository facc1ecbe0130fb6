"""CUDA C++ compiled to machine code by NVRTC, which needs no driver and no card.

The library comes from the wheel ``nvidia-cuda-nvrtc``, the headers of half and bfloat16 from ``nvidia-cuda-runtime``.
"""

import ctypes
import functools
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

_LIBRARY, _HEADERS = "nvidia-cuda-nvrtc", "nvidia-cuda-runtime"


def available() -> bool:
    """Say whether NVRTC and its headers are installed."""
    return _find(_LIBRARY, "libnvrtc.so") is not None and _find(_HEADERS, "cuda_fp16.h") is not None


def compile(source: str, arch: str, options: Sequence[str] = ()) -> bytes:
    """Return the CUBIN of a source for an architecture such as ``"sm_90"``; an error holds the compiler's log."""
    include = _find(_HEADERS, "cuda_fp16.h")
    given = [f"--gpu-architecture={arch}", f"--include-path={include.parent if include else '.'}", *options]
    library, program = _library(), ctypes.c_void_p()
    _call("nvrtcCreateProgram", ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    try:
        words = (ctypes.c_char_p * len(given))(*(option.encode() for option in given))
        if library.nvrtcCompileProgram(program, len(given), words):
            log = _text("nvrtcGetProgramLog", program).rstrip(b"\0").decode()
            raise RuntimeError(f"The kernels do not compile for {arch}.\n{log}")
        return _text("nvrtcGetCUBIN", program)
    finally:
        _call("nvrtcDestroyProgram", ctypes.byref(program))


def _find(distribution: str, start: str) -> Path | None:
    """Return the file of an installed distribution whose name starts so."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name.startswith(start)), None)


@functools.cache
def _library() -> ctypes.CDLL:
    # NVRTC opens this one by its name alone
    builtins = _find(_LIBRARY, "libnvrtc-builtins.so")
    if builtins:
        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(_find(_LIBRARY, "libnvrtc.so")))
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def _call(name: str, *arguments: object) -> None:
    status = getattr(_library(), name)(*arguments)
    if status:
        raise RuntimeError(f"{name}: {_library().nvrtcGetErrorString(status).decode()}")


def _text(name: str, program: ctypes.c_void_p) -> bytes:
    """Return what NVRTC hands out in two calls, the size and the bytes."""
    size = ctypes.c_size_t()
    _call(f"{name}Size", program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    _call(name, program, buffer)
    return buffer.raw
