"""Matrix products on CUDA: cuBLAS through a handle of our own.

CuPy sends its products through a handle that it shares, refuses them while a stream is captured, and copies operands
that are padded views. Here a product is one call of cuBLAS on memory as it lies. cuBLAS counts elements column by
column; memory that holds a matrix row by row holds its transpose column by column, so that ``out = a @ b`` is computed
as ``outᵀ = bᵀ aᵀ``: what cuBLAS calls A is `b`, and its B is `a`.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mlpx._typing import Array
from mlpx.backends.cuda.installation import missing
from mlpx.exceptions import BackendUnavailableError

__all__ = ["TYPES", "Mapping", "NotMapped", "Products", "check_library", "mapped"]

_AS_IT_LIES, _TRANSPOSED = 0, 1
_LARGEST = 2**31 - 1


class NotMapped(ValueError):  # noqa: N818
    """An operand of a product would have to be copied first."""


class Mapping(NamedTuple):
    """A product in cuBLAS's terms: its A is `b`, its B is `a`, its C is `out`; all in elements.

    Attributes
    ----------
    transa, transb : int
        Whether cuBLAS has to transpose A and B: 0 or 1.
    m, n, k : int
        The columns of `out`, its rows, and the length of the sums.
    lda, ldb, ldc : int
        From one column of A, B and C in memory to the next.
    stride_a, stride_b, stride_c : int
        From one matrix of a stack to the next; 0 where there is no stack, or all its matrices are the same one.
    count : int
        How many matrices are stacked.
    """

    transa: int
    transb: int
    m: int
    n: int
    k: int
    lda: int
    ldb: int
    ldc: int
    stride_a: int
    stride_b: int
    stride_c: int
    count: int  # type: ignore[assignment]  # tuples count too, which nobody needs here


class _Matrices(NamedTuple):
    """A matrix or a stack of them, with its strides in elements."""

    name: str
    rows: int
    columns: int
    row: int
    column: int
    count: int  # type: ignore[assignment]
    stack: int


def mapped(a: Array, b: Array, out: Array) -> Mapping:
    """Say how cuBLAS computes ``out = a @ b`` without a copy.

    Parameters
    ----------
    a, b : array
        Of shapes (…, M, K) and (…, K, N): contiguous, transposed or padded. Only `shape`, `strides` and `itemsize` are
        read. At most one axis of a stack stands in front; it may be missing in one of them, or stretched (stride 0).
    out : array
        Of shape (…, M, N), its rows contiguous.

    Returns
    -------
    Mapping
        The arguments for cuBLAS.

    Raises
    ------
    NotMapped
        If an operand would need a copy, or has sizes beyond 32 bits.
    ValueError
        If the shapes do not belong together.
    """
    left, right, result = (_matrices(name, x) for name, x in (("a", a), ("b", b), ("out", out)))
    _check_shapes(a.shape, b.shape, out.shape)
    transa, lda = _layout(right)
    transb, ldb = _layout(left)
    transposed, ldc = _layout(result)
    if transposed:
        raise _not_mapped(result, "its rows must be contiguous")
    if _overlaps(result, ldc):
        raise _not_mapped(result, "its elements share memory")
    mapping = Mapping(
        transa=transa, transb=transb, m=result.columns, n=result.rows, k=left.columns, lda=lda, ldb=ldb, ldc=ldc,
        stride_a=right.stack, stride_b=left.stack, stride_c=result.stack, count=result.count,
    )  # fmt: skip
    if max(mapping.m, mapping.n, mapping.k, lda, ldb, ldc, mapping.count) > _LARGEST:
        msg = f"cuBLAS takes sizes and leading dimensions up to {_LARGEST}, got {mapping}; split the product."
        raise NotMapped(msg)
    return mapping


def with_one_stack(a: Array, b: Array, out: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Yield the products, of which each has one axis of a stack at most, that make up one with several.

    Parameters
    ----------
    a, b, out : array
        As for `mapped`, with any number of axes of stacks in front.
    """
    sizes = out.shape[:-2]
    if sum(size > 1 for size in sizes) < 2:
        yield a, b, out
        return
    shortest = min((size, axis) for axis, size in enumerate(sizes) if size > 1)[1]
    behind = len(sizes) - shortest + 1
    for i in range(sizes[shortest]):
        yield from with_one_stack(*(_entry(x, i, behind) for x in (a, b, out)))


def _entry(x: Array, i: int, behind: int) -> Array:
    """Return the i-th entry along the axis behind which so many stand; those of a stretched one are the same."""
    axis = x.ndim - 1 - behind
    if axis < 0:
        return x
    return x[(slice(None),) * axis + (i if x.shape[axis] > 1 else 0,)]


def _matrices(name: str, x: Array) -> _Matrices:
    if len(x.shape) < 2 or 0 in x.shape:
        msg = f"`{name}` must have at least two axes and no axis of size 0, got shape {x.shape}."
        raise NotMapped(msg)
    if any(stride % x.itemsize for stride in x.strides):
        msg = f"`{name}` must have strides of whole elements, got {x.strides} bytes for {x.itemsize}; copy it."
        raise NotMapped(msg)
    steps = [stride // x.itemsize for stride in x.strides]
    stacks = [(size, step) for size, step in zip(x.shape[:-2], steps, strict=False) if size > 1]
    count, stack = stacks[0] if stacks else (1, 0)
    (rows, columns), (row, column) = x.shape[-2:], steps[-2:]
    matrices = _Matrices(name, rows, columns, row, column, count, stack)
    if len(stacks) > 1 or stack < 0:
        raise _not_mapped(matrices, f"a stack has one axis and a stride of 0 or more, got shape {x.shape}")
    return matrices


def _check_shapes(a: tuple[int, ...], b: tuple[int, ...], out: tuple[int, ...]) -> None:
    stack = np.broadcast_shapes(a[:-2], b[:-2])
    if a[-1] != b[-2] or out != (*stack, a[-2], b[-1]):
        msg = f"`a`, `b` and `out` must have shapes (…, M, K), (…, K, N) and (…, M, N), got {a}, {b} and {out}."
        raise ValueError(msg)


def _layout(x: _Matrices) -> tuple[int, int]:
    """Return whether cuBLAS has to transpose a matrix, and its leading dimension.

    The stride of an axis of size 1 means nothing.
    """
    for operation, (size, inner), (others, outer) in (
        (_AS_IT_LIES, (x.columns, x.column), (x.rows, x.row)),
        (_TRANSPOSED, (x.rows, x.row), (x.columns, x.column)),
    ):
        if (size == 1 or inner == 1) and (others == 1 or outer >= size):
            return operation, size if others == 1 else outer
    raise _not_mapped(x, "its rows or its columns must be contiguous, and may not overlap")


def _overlaps(x: _Matrices, leading: int) -> bool:
    reach = 0
    for stride, size in sorted([(1, x.columns), (leading, x.rows), (x.stack, x.count)]):
        if size > 1:
            if stride <= reach:
                return True
            reach += stride * (size - 1)
    return False


def _not_mapped(x: _Matrices, why: str) -> NotMapped:
    strides = f"strides {x.row} and {x.column}" + (f" in a stack with stride {x.stack}" if x.count > 1 else "")
    return NotMapped(f"`{x.name}` would need a copy: {why}; it is {x.rows} by {x.columns} with {strides} elements.")


# numbers of cuBLAS's and CUDA's headers
TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}
_COMPUTE_32F, _COMPUTE_64F, _COMPUTE_32F_FAST_TF32 = 68, 70, 77
_DEFAULT_ALGORITHM = -1
_DEFAULT_MATH, _NO_SUMS_IN_HALF = 0, 16
_WORKSPACE = 32 * 2**20  # what NVIDIA advises for Hopper
_STATUS = {
    1: "NOT_INITIALIZED", 3: "ALLOC_FAILED", 7: "INVALID_VALUE", 8: "ARCH_MISMATCH", 11: "MAPPING_ERROR",
    13: "EXECUTION_FAILED", 14: "INTERNAL_ERROR", 15: "NOT_SUPPORTED", 16: "LICENSE_ERROR",
}  # fmt: skip
# 0 and 1 of the type in which cuBLAS computes
_FACTORS: dict[int, tuple[Any, Any]] = {
    _COMPUTE_32F: (ctypes.c_float(0), ctypes.c_float(1)),
    _COMPUTE_32F_FAST_TF32: (ctypes.c_float(0), ctypes.c_float(1)),
    _COMPUTE_64F: (ctypes.c_double(0), ctypes.c_double(1)),
}


class Products:
    """Matrix products on one CUDA stream.

    A handle belongs to the device that is current when it is made, and that must be current whenever it is used; it
    serves one thread at a time. Its workspace is fixed, so that products can be captured in a graph without an
    allocation; the object must live as long as such a graph is launched.

    float32 is true float32 unless `tf32` is given; float16 and bfloat16 are added up in float32. The environment can
    overrule that: with ``NVIDIA_TF32_OVERRIDE=0`` no library of NVIDIA uses TF32, whatever a program asks for, and
    ``CUBLAS_EMULATE_SINGLE_PRECISION=1`` lets cuBLAS compute float32 from pieces in bfloat16.

    Parameters
    ----------
    stream : cupy.cuda.Stream
        Where the products run, whichever stream is current.
    tf32 : bool
        Whether float32 operands may be rounded to TF32, with 10 bits after the point, which is many times faster.
    """

    def __init__(self, stream: Any, *, tf32: bool = False) -> None:
        import cupy

        self._library = _library()
        self._tf32 = tf32
        self._stream = stream
        workspace = cupy.cuda.alloc(_WORKSPACE)
        handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(handle))
        # at the interpreter's end the driver frees it
        weakref.finalize(self, _destroy, self._library, handle, cupy.cuda.Device(), workspace).atexit = False
        self._handle = handle
        # in this order: a new stream takes the workspace away
        self._call("cublasSetStream_v2", handle, stream.ptr)
        self._call("cublasSetWorkspace_v2", handle, workspace.ptr, _WORKSPACE)
        self._call("cublasSetMathMode", handle, _DEFAULT_MATH | _NO_SUMS_IN_HALF)

    def __call__(self, a: Array, b: Array, out: Array, *, accumulate: bool = False) -> Array:
        """Compute ``out = a @ b``, or ``out += a @ b``.

        Parameters
        ----------
        a, b : cupy.ndarray
            As for `mapped`, both of one type.
        out : cupy.ndarray
            As for `mapped`, of that type; float32 is possible where the others are float16 or bfloat16.
        accumulate : bool
            Whether the product is added to what `out` holds.

        Returns
        -------
        cupy.ndarray
            `out`.

        Raises
        ------
        NotMapped
            If an operand would need a copy.
        TypeError
            If cuBLAS has no such product.
        RuntimeError
            If cuBLAS reports an error.
        """
        m = mapped(a, b, out)
        compute = self._compute_type(a.dtype.name, b.dtype.name, out.dtype.name)
        zero, one = _FACTORS[compute]
        alpha, beta = ctypes.byref(one), ctypes.byref(one if accumulate else zero)
        sizes = (self._handle, m.transa, m.transb, m.m, m.n, m.k, alpha)
        x, y, z = ((array.data.ptr, TYPES[array.dtype.name]) for array in (b, a, out))
        if m.count == 1:
            self._call("cublasGemmEx", *sizes, *x, m.lda, *y, m.ldb, beta, *z, m.ldc, compute, _DEFAULT_ALGORITHM)
        else:
            self._call(
                "cublasGemmStridedBatchedEx", *sizes, *x, m.lda, m.stride_a, *y, m.ldb, m.stride_b,
                beta, *z, m.ldc, m.stride_c, m.count, compute, _DEFAULT_ALGORITHM,
            )  # fmt: skip
        return out

    def _compute_type(self, a: str, b: str, out: str) -> int:
        halves = ("float16", "bfloat16")
        if a != b or a not in TYPES or not (out == a or (out == "float32" and a in halves)):
            msg = (
                f"`a` and `b` must be of one type of {', '.join(TYPES)}, and `out` of the same, or of float32 where "
                f"these are halves; got {a}, {b} and {out}."
            )
            raise TypeError(msg)
        if a == "float64":
            return _COMPUTE_64F
        return _COMPUTE_32F_FAST_TF32 if self._tf32 and a == "float32" else _COMPUTE_32F

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            msg = f"{name} failed with CUBLAS_STATUS_{_STATUS.get(status, status)}."
            raise RuntimeError(msg)


def _destroy(library: Any, handle: ctypes.c_void_p, device: Any, workspace: Any) -> None:
    # the workspace is an argument because it has to be there until now
    with device:
        library.cublasDestroy_v2(handle)


_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
_SIZES = [_POINTER, *[_INT] * 5, _POINTER]
_MATRIX = [_POINTER, _INT, _INT]
_PARAMETERS: dict[str, list[Any]] = {
    "cublasCreate_v2": [_POINTER],
    "cublasDestroy_v2": [_POINTER],
    "cublasSetStream_v2": [_POINTER, _POINTER],
    "cublasSetWorkspace_v2": [_POINTER, _POINTER, ctypes.c_size_t],
    "cublasSetMathMode": [_POINTER, _INT],
    "cublasGemmEx": [*_SIZES, *_MATRIX, *_MATRIX, _POINTER, *_MATRIX, _INT, _INT],
    "cublasGemmStridedBatchedEx": [
        *_SIZES, *_MATRIX, _LONG, *_MATRIX, _LONG, _POINTER, *_MATRIX, _LONG, _INT, _INT, _INT
    ],
}  # fmt: skip


def check_library() -> None:
    """Raise `BackendUnavailableError` where cuBLAS is not found."""
    _library()


@functools.cache
def _library() -> Any:
    """Return cuBLAS with its functions' parameters declared."""
    try:
        library = ctypes.CDLL(_path())
    except OSError as error:
        raise BackendUnavailableError(missing("cuBLAS", "products", error)) from error
    for name, parameters in _PARAMETERS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = parameters, ctypes.c_int
    return library


def _path() -> str:
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return str(load_nvidia_dynamic_lib("cublas").abs_path)
    except (ImportError, RuntimeError):
        # what the system's loader finds, of the CUDA that CuPy is made for
        import cupy

        return f"libcublas.so.{cupy.cuda.runtime.runtimeGetVersion() // 1000}"
