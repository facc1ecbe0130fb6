"""Products on CUDA: the mapping to cuBLAS is checked on raw memory; on a card, against NumPy."""

import ctypes
import gc
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

import mlpx
from mlpx.backends.cuda import products
from mlpx.backends.cuda.products import Mapping, NotMapped, Products, mapped

CUPY = {info.name: info for info in mlpx.available_backends()}["cupy"]

# A matrix product as BLAS defines it, on flat memory: elements are counted column by column.


def element(base, i, j, leading):
    """Return where elements (i, j) lie of a column-major matrix that starts at `base`."""
    assert np.all(i < leading), "a column is longer than the leading dimension"
    return base + i + j * leading


def gemm(mapping, a, b, c, beta):
    """Run a strided batched product; cuBLAS's A, B and C are (flat memory, position of the first element)."""
    m, n, k = mapping.m, mapping.n, mapping.k
    for p in range(mapping.count):
        i, j = np.ogrid[:m, :k]
        i, j = (j, i) if mapping.transa else (i, j)
        left = a[0][element(a[1] + p * mapping.stride_a, i, j, mapping.lda)].astype(np.float64)
        i, j = np.ogrid[:k, :n]
        i, j = (j, i) if mapping.transb else (i, j)
        right = b[0][element(b[1] + p * mapping.stride_b, i, j, mapping.ldb)].astype(np.float64)
        i, j = np.ogrid[:m, :n]
        where = element(c[1] + p * mapping.stride_c, i, j, mapping.ldc)
        c[0][where] = left @ right + (beta * c[0][where] if beta else 0)


class Operand:
    """A view into flat memory, which is all NaN where the view is not."""

    def __init__(self, memory, start, shape, steps):
        self.memory, self.start = memory, start
        self.steps = steps
        self.view = as_strided(memory[start:], shape, [step * memory.itemsize for step in steps])

    def __repr__(self):
        return f"{self.memory.size} {self.memory.dtype} from {self.start}, {self.view.shape} by {self.steps}"

    @property
    def place(self):
        return self.memory, self.start


MEANINGLESS = st.sampled_from([-9, -1, 0, 1, 2, 7, 2**35])


def operand(draw, rows, columns, stack, dtype, *, layouts=("C", "padded", "T", "padded T"), stretched=True):
    layout = draw(st.sampled_from(layouts))
    kind = draw(st.sampled_from(["stacked", "absent", "single", "stretched"])) if stack and stretched else "stacked"
    inner, outer = (rows, columns) if layout.endswith("T") else (columns, rows)
    leading = inner + (draw(st.integers(1, 4)) if layout.startswith("padded") else 0)
    apart = outer * leading + draw(st.integers(0, 3))
    if stack and kind == "stacked" and draw(st.booleans()):
        leading, apart = leading * stack, leading  # matrices side by side
    row, column = (1, leading) if layout.endswith("T") else (leading, 1)
    # nobody may look at the stride of an axis of size 1
    row = draw(MEANINGLESS) if rows == 1 else row
    column = draw(MEANINGLESS) if columns == 1 else column
    start = draw(st.integers(0, 3))
    memory = np.full(start + (stack or 1) * apart + leading * outer + 1, np.nan, dtype)
    front = {"absent": (), "stacked": (stack,), "single": (1,), "stretched": (stack,)}[kind] if stack else ()
    apart = {"stretched": 0, "single": draw(MEANINGLESS)}.get(kind, apart)
    steps = (apart,) * len(front)
    made = Operand(memory, start, (*front, rows, columns), (*steps, row, column))
    made.view[...] = np.random.default_rng(draw(st.integers(0, 99))).integers(-8, 9, size=made.view.shape[-2:])
    if kind == "stacked" and front:
        made.view[...] += np.arange(stack, dtype=dtype)[:, None, None]
    return made


@st.composite
def operands(draw, dtypes=("float32", "float64", "float16")):
    m, k, n = (draw(st.integers(1, 6)) for _ in range(3))
    stack = draw(st.sampled_from([None, 1, 2, 5]))
    dtype = draw(st.sampled_from(dtypes))
    a, b = operand(draw, m, k, stack, dtype), operand(draw, k, n, stack, dtype)
    out = operand(draw, m, n, stack, dtype, layouts=("C", "padded"), stretched=False)
    if stack and max(a.view.shape[:-2], b.view.shape[:-2]) != (stack,):
        a = operand(draw, m, k, stack, dtype, stretched=False)
    return a, b, out


def check_memory(out, before, want):
    """The view holds the product, and what is beside it is as it was."""
    np.testing.assert_array_equal(out.view, want.astype(out.view.dtype))
    out.view[...] = before.view
    np.testing.assert_array_equal(out.memory, before.memory)


def copied(x):
    return Operand(x.memory.copy(), x.start, x.view.shape, x.steps)


@given(operands(), st.sampled_from([0, 1]))
@settings(max_examples=400, deadline=None)
def test_the_mapping_describes_the_product(given, beta):
    a, b, out = given
    before = copied(out)
    want = a.view.astype(np.float64) @ b.view.astype(np.float64) + beta * out.view
    gemm(mapped(a.view, b.view, out.view), b.place, a.place, out.place, beta)
    check_memory(out, before, want)


def test_a_mapping_in_full():
    a = np.zeros((4, 3, 8), np.float32)[:, :, :5]  # M = 3, K = 5, padded to 8
    b = np.zeros((7, 5), np.float32).T  # N = 7, transposed, one for all
    out = np.zeros((3, 4, 7), np.float32).transpose(1, 0, 2)  # matrices side by side
    assert mapped(a, b, out) == Mapping(
        transa=1, transb=0, m=7, n=3, k=5, lda=5, ldb=8, ldc=28, stride_a=0, stride_b=24, stride_c=7, count=4
    )


F32 = np.zeros(10_000, np.float32)


def view(shape, *steps, start=100):
    return as_strided(F32[start:], shape, [4 * step for step in steps])


REFUSED = {
    "steps in both directions": (view((3, 4), 8, 2), F32[:8].reshape(4, 2), "`a` would need a copy"),
    "overlapping rows": (view((3, 4), 2, 1), F32[:8].reshape(4, 2), "`a` would need a copy"),
    "stretched rows": (view((3, 4), 0, 1), F32[:8].reshape(4, 2), "`a` would need a copy"),
    "backward": (view((3, 4), -4, 1), F32[:8].reshape(4, 2), "`a` would need a copy"),
    "backward columns": (F32[:12].reshape(3, 4), view((4, 2), 2, -1), "`b` would need a copy"),
    "two stacks": (F32[:72].reshape(3, 2, 3, 4), F32[:8].reshape(4, 2), "`a` would need a copy: a stack has one axis"),
    "a backward stack": (view((2, 3, 4), -12, 4, 1), F32[:8].reshape(4, 2), "`a` would need a copy: a stack"),
    "half elements": (F32.view(np.int16)[: 12 * 3].view("V6").view([("x", "<f4"), ("y", "<i2")])["x"].reshape(3, 4),
                      F32[:8].reshape(4, 2), "`a` must have strides of whole elements"),
    "no rows": (F32[:0].reshape(0, 4), F32[:8].reshape(4, 2), "`a` must have at least two axes and no axis of size 0"),
    "a vector": (F32[:4], F32[:8].reshape(4, 2), "`a` must have at least two axes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_need_a_copy_is_refused(name):
    a, b, match = REFUSED[name]
    out = np.zeros((*a.shape[:-1], 2), np.float32)
    with pytest.raises(NotMapped, match=match):
        mapped(a, b, out)


@pytest.mark.parametrize(
    ("out", "match"),
    [
        (np.zeros((2, 3), np.float32).T, "`out` would need a copy: its rows must be contiguous"),
        (view((3, 2), 4, 2), "`out` would need a copy"),
        (view((3, 2), 1, 1), "`out` would need a copy"),
        (view((5, 3, 2), 0, 2, 1), "`out` would need a copy: its elements share memory"),
        (view((5, 3, 2), 1, 2, 1), "`out` would need a copy: its elements share memory"),
        (view((5, 3, 2), 5, 2, 1), "`out` would need a copy: its elements share memory"),
        (view((5, 3, 2), 2, 8, 1), "`out` would need a copy: its elements share memory"),
    ],
)
def test_a_result_that_cannot_be_written_is_refused(out, match):
    stack = out.shape[:-2]
    with pytest.raises(NotMapped, match=match):
        mapped(np.zeros((*stack, 3, 4), np.float32), np.zeros((4, 2), np.float32), out)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (5, 2), (3, 2)),
        ((3, 4), (4, 2), (3, 3)),
        ((3, 4), (4, 2), (5, 3, 2)),
        ((5, 3, 4), (4, 2), (3, 2)),
        ((5, 3, 4), (2, 4, 2), (5, 3, 2)),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(shapes):
    with pytest.raises(ValueError, match="shape") as caught:
        mapped(*(np.zeros(shape) for shape in shapes))
    assert not isinstance(caught.value, NotMapped)


@pytest.mark.parametrize("m", [2**31 - 1, 2**31])
def test_sizes_beyond_32_bits_are_refused(m):
    a, out = (SimpleNamespace(shape=(m, 2), strides=(8, 4), itemsize=4) for _ in range(2))
    b = np.zeros((2, 2), np.float32)
    if m < 2**31:
        assert mapped(a, b, out).n == m
    else:
        with pytest.raises(NotMapped, match=r"2147483647.*split the product"):
            mapped(a, b, out)


@pytest.mark.parametrize("step", [2**31 - 1, 2**31])
def test_leading_dimensions_beyond_32_bits_are_refused(step):
    a = SimpleNamespace(shape=(2, 2), strides=(4 * step, 4), itemsize=4)
    b = np.zeros((2, 2), np.float32)
    if step < 2**31:
        assert mapped(a, b, b.copy()).ldb == step
    else:
        with pytest.raises(NotMapped, match="2147483647"):
            mapped(a, b, b.copy())


def test_a_stack_may_reach_beyond_32_bits():
    a = SimpleNamespace(shape=(3, 2, 2), strides=(2**40, 8, 4), itemsize=4)
    assert mapped(a, np.zeros((2, 2)), np.zeros((3, 2, 2))).stride_b == 2**38


# The calls: a library that runs a product as cuBLAS documents its arguments, on the host's memory.

NUMBERS = {0: np.float32, 1: np.float64, 2: np.float16}
SIZES = ["handle", "transa", "transb", "m", "n", "k", "alpha"]
GEMM = [*SIZES, "A", "Atype", "lda", "B", "Btype", "ldb", "beta", "C", "Ctype", "ldc", "compute", "algorithm"]
BATCHED = [
    *SIZES, "A", "Atype", "lda", "strideA", "B", "Btype", "ldb", "strideB", "beta",
    "C", "Ctype", "ldc", "strideC", "batchCount", "compute", "algorithm",
]  # fmt: skip
HANDLE, STREAM, WORKSPACE = 1234, 77, 4096


class Cublas:
    """Notes each call, and computes."""

    def __init__(self, status=None):
        self.calls = []
        self.status = status or {}

    def note(self, name, *arguments):
        self.calls.append((name, *[a.value if isinstance(a, ctypes.c_void_p) else a for a in arguments]))
        return self.status.get(name, 0)

    def cublasCreate_v2(self, handle):  # noqa: N802
        handle._obj.value = HANDLE
        return self.note("create")

    def cublasDestroy_v2(self, handle):  # noqa: N802
        return self.note("destroy", handle)

    def cublasSetStream_v2(self, handle, stream):  # noqa: N802
        return self.note("stream", handle, stream)

    def cublasSetWorkspace_v2(self, handle, address, size):  # noqa: N802
        return self.note("workspace", handle, address, size)

    def cublasSetMathMode(self, handle, mode):  # noqa: N802
        return self.note("math", handle, mode)

    def cublasGemmEx(self, *arguments):  # noqa: N802
        named = dict(zip(GEMM, arguments, strict=True))
        return self.product("gemm", named | {"strideA": 0, "strideB": 0, "strideC": 0, "batchCount": 1})

    def cublasGemmStridedBatchedEx(self, *arguments):  # noqa: N802
        return self.product("batched", dict(zip(BATCHED, arguments, strict=True)))

    def product(self, name, given):
        alpha, beta = given["alpha"]._obj, given["beta"]._obj
        assert type(alpha) is type(beta) is (ctypes.c_double if given["compute"] == 70 else ctypes.c_float)
        assert alpha.value == 1
        mapping = Mapping(*(given[key] for key in (
            "transa", "transb", "m", "n", "k", "lda", "ldb", "ldc", "strideA", "strideB", "strideC", "batchCount",
        )))  # fmt: skip
        places = [(Raw(given[key], NUMBERS[given[f"{key}type"]]), 0) for key in "ABC"]
        gemm(mapping, *places, beta.value)
        return self.note(name, given["handle"], given["compute"], given["algorithm"], beta.value)


class Raw:
    """Memory from an address on."""

    def __init__(self, address, dtype):
        self.address, self.dtype = address, np.dtype(dtype)

    def flat(self, where):
        size = (int(np.max(where)) + 1) * self.dtype.itemsize
        return np.frombuffer((ctypes.c_char * size).from_address(self.address), self.dtype)

    def __getitem__(self, where):
        return self.flat(where)[where]

    def __setitem__(self, where, values):
        self.flat(where)[where] = values


class Device:
    entered = 0

    def __enter__(self):
        Device.entered += 1

    def __exit__(self, *_):
        pass


@pytest.fixture
def library(monkeypatch):
    library = Cublas()
    cuda = SimpleNamespace(alloc=lambda size: SimpleNamespace(ptr=WORKSPACE, size=size), Device=Device)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(products, "_library", lambda: library)
    return library


def card(x, dtype=None):
    """Return a stand-in for an array on a card."""
    data = SimpleNamespace(ptr=x.__array_interface__["data"][0])
    return SimpleNamespace(
        shape=x.shape, strides=x.strides, itemsize=x.itemsize, dtype=np.dtype(dtype or x.dtype), data=data
    )


def test_the_workspace_is_set_after_the_stream(library):
    Products(SimpleNamespace(ptr=STREAM))
    assert library.calls[:4] == [
        ("create",),
        ("stream", HANDLE, STREAM),
        ("workspace", HANDLE, WORKSPACE, 32 * 2**20),
        ("math", HANDLE, 16),
    ]


@given(given=operands(), accumulate=st.booleans())
@settings(max_examples=200, deadline=None)
def test_cublas_is_called_in_its_documented_order(given, accumulate):
    with pytest.MonkeyPatch.context() as monkeypatch:
        library = Cublas()
        cuda = SimpleNamespace(alloc=lambda size: SimpleNamespace(ptr=WORKSPACE), Device=Device)
        monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
        monkeypatch.setattr(products, "_library", lambda: library)
        product = Products(SimpleNamespace(ptr=STREAM))
        a, b, out = given
        before = copied(out)
        want = a.view.astype(np.float64) @ b.view.astype(np.float64) + accumulate * out.view
        result = card(out.view)
        assert product(card(a.view), card(b.view), result, accumulate=accumulate) is result
        check_memory(out, before, want)
        stacked = out.view.ndim == 3 and out.view.shape[0] > 1
        compute = 70 if out.memory.dtype == np.float64 else 68
        called = ("batched" if stacked else "gemm", HANDLE, compute, -1, float(accumulate))
        assert library.calls[4:] == [called]


@pytest.mark.parametrize(
    ("dtype", "tf32", "compute"),
    [("float32", True, 77), ("float32", False, 68), ("float64", True, 70), ("float16", True, 68)],
)
def test_tf32_is_for_float32_by_choice(dtype, tf32, compute, library):
    x = np.ones((2, 2), dtype)
    Products(SimpleNamespace(ptr=STREAM), tf32=tf32)(card(x), card(x), card(np.zeros_like(x)))
    assert library.calls[4] == ("gemm", HANDLE, compute, -1, 0.0)


def test_halves_may_give_float32(library):
    x, out = np.full((2, 2), 300, np.float16), np.zeros((2, 2), np.float32)
    Products(SimpleNamespace(ptr=STREAM))(card(x), card(x), card(out))
    assert (out == 180_000).all()


def test_bfloat16_has_its_own_number(library, monkeypatch):
    seen = []
    monkeypatch.setattr(Cublas, "product", lambda self, name, given: seen.append(given) or 0)
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x, out = np.ones((2, 2), bfloat16), np.zeros((2, 2), np.float32)
    Products(SimpleNamespace(ptr=STREAM))(card(x), card(x), card(out))
    assert [seen[0][key] for key in ("Atype", "Btype", "Ctype", "compute")] == [14, 14, 0, 68]


@pytest.mark.parametrize(
    "types",
    [
        ("float32", "float64", "float64"),
        ("float32", "float32", "float64"),
        ("float32", "float32", "float16"),
        ("float64", "float64", "float32"),
        ("int32", "int32", "int32"),
    ],
)
def test_types_that_cublas_does_not_mix_are_refused(types, library):
    x, y, z = (card(np.zeros((2, 2), t)) for t in types)
    with pytest.raises(TypeError, match="`a` and `b` must be of one type.*got " + ", ".join(types[:2])):
        Products(SimpleNamespace(ptr=STREAM))(x, y, z)


def test_a_status_is_told_by_name(library):
    x = card(np.ones((2, 2)))
    product = Products(SimpleNamespace(ptr=STREAM))
    for status, name in ((7, "INVALID_VALUE"), (15, "NOT_SUPPORTED"), (99, "99")):
        library.status = {"gemm": status}
        with pytest.raises(RuntimeError, match=f"cublasGemmEx failed with CUBLAS_STATUS_{name}"):
            product(x, x, card(np.ones((2, 2))))


def test_the_handle_goes_with_the_object(library):
    product = Products(SimpleNamespace(ptr=STREAM))
    entered = Device.entered
    del product
    gc.collect()
    assert library.calls[4:] == [("destroy", HANDLE)]
    assert Device.entered == entered + 1


def test_a_handle_that_cannot_be_set_up_is_destroyed(library):
    library.status = {"workspace": 3}
    with pytest.raises(RuntimeError, match="cublasSetWorkspace_v2 failed with CUBLAS_STATUS_ALLOC_FAILED"):
        Products(SimpleNamespace(ptr=STREAM))
    gc.collect()
    assert library.calls[-1] == ("destroy", HANDLE)


def test_every_function_is_declared_with_the_documented_number_of_parameters():
    counts = {name: len(parameters) for name, parameters in products._PARAMETERS.items()}
    assert (counts["cublasGemmEx"], counts["cublasGemmStridedBatchedEx"]) == (len(GEMM), len(BATCHED))
    wide = [i for i, t in enumerate(products._PARAMETERS["cublasGemmStridedBatchedEx"]) if t is ctypes.c_longlong]
    assert [BATCHED[i] for i in wide] == ["strideA", "strideB", "strideC"]
    pointers = [i for i, t in enumerate(products._PARAMETERS["cublasGemmEx"]) if t is ctypes.c_void_p]
    assert [GEMM[i] for i in pointers] == ["handle", "alpha", "A", "B", "beta", "C"]


# On a card.

on_a_card = pytest.mark.skipif(not CUPY.available, reason=f"cupy: {CUPY.reason}")


def on_device(x):
    """Return an operand as an equal view into device memory."""
    import cupy

    memory = cupy.asarray(x.memory)
    strides = x.view.strides
    return cupy.ndarray(x.view.shape, memory.dtype, memory.data + x.start * memory.itemsize, strides=strides), memory


@pytest.fixture(scope="module")
def stream():
    import cupy

    return cupy.cuda.Stream(non_blocking=True)


@pytest.fixture(scope="module")
def product(stream):
    return Products(stream)


@pytest.mark.gpu
@on_a_card
@given(given=operands(), accumulate=st.booleans())
@settings(max_examples=300, deadline=None)
def test_products_on_a_card(stream, product, given, accumulate):
    import cupy

    a, b, out = given
    before = copied(out)
    want = a.view.astype(np.float64) @ b.view.astype(np.float64) + accumulate * out.view
    (x, _), (y, _), (z, memory) = on_device(a), on_device(b), on_device(out)
    cupy.cuda.Device().synchronize()
    product(x, y, z, accumulate=accumulate)
    stream.synchronize()
    out.memory[...] = memory.get()
    check_memory(out, before, want)  # small integers: exact in every type


TYPES = [("float64", 1e-12), ("float32", 3e-6), ("tf32", 2e-3), ("float16", 1e-3), ("bfloat16", 8e-3)]


@pytest.mark.gpu
@on_a_card
@pytest.mark.parametrize(("kind", "tolerance"), TYPES)
@pytest.mark.parametrize("stack", [(), (7,)])
def test_products_on_a_card_are_as_exact_as_their_type(kind, tolerance, stack, stream):
    import cupy

    dtype = pytest.importorskip("ml_dtypes").bfloat16 if kind == "bfloat16" else "float32" if kind == "tf32" else kind
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(*stack, 64, 300)).astype(dtype), rng.normal(size=(*stack, 300, 48)).astype(dtype)
    want = a.astype(np.float64) @ b.astype(np.float64)
    x, y, out = cupy.asarray(a), cupy.asarray(b), cupy.zeros(want.shape, dtype)
    cupy.cuda.Device().synchronize()
    Products(stream, tf32=kind == "tf32")(x, y, out)
    stream.synchronize()
    error = np.abs(cupy.asnumpy(out).astype(np.float64) - want).max() / np.abs(want).max()
    assert error < tolerance
    if kind == "tf32":
        assert error > 1e-6, "this is float32"


@pytest.mark.gpu
@on_a_card
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_products_are_captured_without_an_allocation(dtype, stream, product):
    import cupy

    rng = np.random.default_rng(0)
    a, b = (cupy.asarray(rng.integers(-8, 9, size=(3, 512, 512)).astype(dtype)) for _ in range(2))
    plain, stacked = cupy.zeros((512, 512), dtype), cupy.zeros((3, 512, 512), dtype)

    def products_of_all_kinds():
        product(a, b, stacked)
        product(a[0].T, b[0], plain)
        product(a[1], b[1].T, plain, accumulate=True)

    cupy.cuda.Device().synchronize()
    products_of_all_kinds()
    stream.synchronize()
    stream.begin_capture()
    try:
        products_of_all_kinds()
    finally:
        graph = stream.end_capture()
    nodes = graph.debug_dot_str()
    assert nodes
    assert "alloc" not in nodes.lower()
    for _ in range(2):
        for x in (a, b):
            x[...] = cupy.asarray(rng.integers(-8, 9, size=(3, 512, 512)).astype(dtype))
        cupy.cuda.Device().synchronize()
        graph.launch(stream)
        stream.synchronize()
        left, right = (cupy.asnumpy(x).astype(np.float64) for x in (a, b))
        np.testing.assert_array_equal(cupy.asnumpy(stacked), (left @ right).astype(dtype))
        first = (left[0].T @ right[0]).astype(dtype).astype(np.float64)
        np.testing.assert_array_equal(cupy.asnumpy(plain), (first + left[1] @ right[1].T).astype(dtype))
