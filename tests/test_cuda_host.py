"""The host that runs CUDA kernels in tests: barriers, shuffles and numbers mean what they mean on a card."""

import numpy as np
import pytest

import cuda_host
import nvrtc

pytestmark = [
    pytest.mark.kernels,
    pytest.mark.skipif(not cuda_host.available(), reason="needs a C++ compiler on Linux"),
]

SAXPY = """
extern "C" __global__ void __launch_bounds__(256) saxpy(
    int n, float alpha, const float* __restrict__ x, float* __restrict__ y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = fmaf(alpha, x[i], y[i]);
}
"""


def test_saxpy():
    x, y = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
    want = (3 * x.astype(np.float64) + y).astype(np.float32)
    cuda_host.compile(SAXPY).launch("saxpy", 4, 256, [np.int32(1000), np.float32(3), x, y])
    np.testing.assert_array_equal(y, want)


def test_grids_and_blocks_of_three_dimensions():
    source = """
    extern "C" __global__ void where(unsigned* out) {
        unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
        unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
        out[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1000 * block + thread;
    }"""
    out = np.zeros((24, 30), np.uint32)
    cuda_host.compile(source).launch("where", (2, 3, 4), (5, 3, 2), [out])
    np.testing.assert_array_equal(out, 1000 * np.arange(24)[:, None] + np.arange(30))


BLOCK_SUM = """
extern "C" __global__ void block_sum(const double* x, double* out) {
    __shared__ double s[256];
    int t = threadIdx.x;
    s[t] = x[blockIdx.x * 256 + t];
    __syncthreads();
    for (int half = 128; half; half /= 2) {
        if (t < half) s[t] += s[t + half];
        BARRIER
    }
    if (t == 0) out[blockIdx.x] = s[0];
}
"""


@pytest.mark.parametrize("reverse", [False, True])
def test_a_block_reduces_in_shared_memory(reverse):
    x = np.random.default_rng(0).integers(0, 1000, size=(7, 256)).astype(np.float64)
    out = np.zeros(7)
    module = cuda_host.compile(BLOCK_SUM.replace("BARRIER", "__syncthreads();"))
    module.launch("block_sum", 7, 256, [x, out], reverse=reverse)
    np.testing.assert_array_equal(out, x.sum(1))


def test_a_missing_barrier_shows():
    x, out = np.ones((7, 256)), np.zeros(7)
    cuda_host.compile(BLOCK_SUM.replace("BARRIER", "")).launch("block_sum", 7, 256, [x, out])
    assert (out != 256).all()


WARPS = """
extern "C" __global__ void warps(const int* x, int* down, int* both, int* up, int* first, unsigned* votes) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, a = x[i], b = a;
    for (int lanes = 16; lanes; lanes >>= 1) {
        a += __shfl_down_sync(0xffffffff, a, lanes);
        b += __shfl_xor_sync(0xffffffff, b, lanes);
    }
    down[i] = a;
    both[i] = b;
    up[i] = __shfl_up_sync(0xffffffffu, x[i], 3, 8);
    first[i] = __shfl_sync(0xffffffffu, x[i], 2, 16);
    __syncwarp();
    votes[i] = __ballot_sync(0xffffffffu, x[i] % 3 == 0);
}
"""


@pytest.mark.parametrize("reverse", [False, True])
def test_a_warp_exchanges_values(reverse):
    x = np.random.default_rng(0).integers(0, 1000, size=(6, 32)).astype(np.int32)
    down, both, up, first = np.zeros((4, 6, 32), np.int32)
    votes = np.zeros((6, 32), np.uint32)
    cuda_host.compile(WARPS).launch("warps", 2, 96, [x, down, both, up, first, votes], reverse=reverse)
    np.testing.assert_array_equal(down[:, 0], x.sum(1))
    np.testing.assert_array_equal(both, np.repeat(x.sum(1), 32).reshape(6, 32))
    lane = np.arange(32)
    np.testing.assert_array_equal(up, x[:, np.where(lane % 8 < 3, lane, lane - 3)])
    np.testing.assert_array_equal(first, x[:, lane // 16 * 16 + 2])
    np.testing.assert_array_equal(votes[:, 0], ((x % 3 == 0) << lane.astype(np.int64)).sum(1))


def test_a_lane_that_gives_nothing_shows_nothing():
    source = """
    extern "C" __global__ void halves(float* out) {
        unsigned mask = threadIdx.x < 16 ? 0xffffu : 0xffff0000u;
        out[threadIdx.x] = __shfl_xor_sync(mask, float(threadIdx.x), threadIdx.x == 5 ? 16 : 1);
    }"""
    out = np.zeros(32, np.float32)
    cuda_host.compile(source).launch("halves", 1, 32, [out])
    want = (np.arange(32) ^ 1).astype(np.float32)
    want[5] = np.nan
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("if (t > 70) return;\n__syncthreads();", "waits at __syncthreads in line 3, but thread 71 has ended"),
        ("if (t > 70) __syncthreads();\nelse __syncthreads();", "waits at __syncthreads in line"),
        ("if (t > 9) __shfl_down_sync(0xffffffff, t, 1);", "exchange in line 2, but thread 0 has ended"),
        ("__shfl_down_sync(1, t, 1);", "waits for lanes 1"),
        ("__shfl_down_sync(t < 4 ? 15 : 0xffffffff, t, 1);", "exchange in line 2"),
    ],
)
def test_who_waits_for_what_never_comes_is_told(body, match):
    source = (
        f'extern "C" __global__ void stuck(int* out) {{ int t = threadIdx.x; __shared__ int s; \n{body}\nout[t] = 1; }}'
    )
    module = cuda_host.compile(source)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=match):
            module.launch("stuck", 2, 128, [np.zeros(128, np.int32)])


def test_a_module_works_on_after_an_error():
    source = """extern "C" __global__ void some(int n, int* out) {
        if (threadIdx.x < n) __syncthreads();
        out[threadIdx.x] = threadIdx.x;
    }"""
    module, out = cuda_host.compile(source), np.zeros(64, np.int32)
    with pytest.raises(RuntimeError, match="has ended"):
        module.launch("some", 1, 64, [np.int32(3), out])
    module.launch("some", 1, 64, [np.int32(64), out])
    np.testing.assert_array_equal(out, np.arange(64))


NUMBERS = """
#include <cuda_fp16.h>
#include <cuda_bf16.h>
extern "C" __global__ void from_half(int n, const __half* x, float* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __half2float(x[i]);
}
extern "C" __global__ void to_half(int n, const float* x, __half* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __float2half_rn(x[i]);
}
extern "C" __global__ void double_to_half(int n, const double* x, __half* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __double2half(x[i]);
}
extern "C" __global__ void from_bfloat16(int n, const __nv_bfloat16* x, float* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __bfloat162float(x[i]);
}
extern "C" __global__ void to_bfloat16(int n, const float* x, __nv_bfloat16* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __float2bfloat16_rn(x[i]);
}
extern "C" __global__ void multiply(int n, const __half* x, const __half* y, __half* z) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) z[i] = x[i] * y[i];
}
"""


def convert(kernel, x, dtype):
    out = np.zeros(x.size, dtype)
    cuda_host.compile(NUMBERS).launch(kernel, -(-x.size // 256), 256, [np.int32(x.size), x, out], guard=True)
    return out


def format_of(name):
    return np.dtype(np.float16 if name == "half" else pytest.importorskip("ml_dtypes").bfloat16)


@pytest.mark.parametrize("name", ["half", "bfloat16"])
def test_every_number_of_16_bits_is_read(name):
    x = np.arange(2**16, dtype=np.uint16).view(format_of(name))
    np.testing.assert_array_equal(convert(f"from_{name}", x, np.float32), x.astype(np.float32))


def hard_floats(dtype):
    """Return floats of all sizes, and all numbers of a 16-bit format, the ties between them, and their neighbours."""
    codes = np.arange(2**16, dtype=np.uint16).view(dtype).astype(np.float32)
    numbers = np.sort(codes[np.isfinite(codes)])
    ties = (numbers[1:].astype(np.float64) + numbers[:-1]) / 2
    exact = np.concatenate([numbers, ties, [65519.0, 65520.0, 3.3961776e38, 1e-45, np.inf, -np.inf]]).astype(np.float32)
    random = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    near = [np.nextafter(exact, side, dtype=np.float32) for side in (np.float32(-np.inf), np.float32(np.inf))]
    return np.concatenate([codes, exact, *near, random])


@pytest.mark.parametrize("name", ["half", "bfloat16"])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_floats_are_rounded_to_16_bits_as_numpy_rounds(name):
    dtype = format_of(name)
    with np.errstate(invalid="ignore"):
        x = hard_floats(dtype)
        got, want = convert(f"to_{name}", x, dtype), x.astype(dtype)
    number = ~np.isnan(x)
    assert np.isnan(got[~number].astype(np.float32)).all()
    np.testing.assert_array_equal(got[number].view(np.uint16), want[number].view(np.uint16))


def test_a_double_is_rounded_once():
    x = np.asarray([1 + 2**-11 + 2**-40, 1 + 2**-11 - 2**-40, 1 + 2**-11, -(1 + 3 * 2**-11 + 2**-50)])
    np.testing.assert_array_equal(convert("double_to_half", x, np.float16), x.astype(np.float16))


def test_arithmetic_of_16_bits_is_rounded():
    x, y = np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float16)
    z = np.zeros_like(x)
    cuda_host.compile(NUMBERS).launch("multiply", 20, 256, [np.int32(5000), x, y, z])
    np.testing.assert_array_equal(z, x * y)


def test_the_words_of_philox_come_out():
    source = """
    extern "C" __global__ void philox(unsigned long long k0, unsigned long long k1, unsigned long long* out) {
        unsigned long long c[4] = {threadIdx.x + 1ull, 0, 0, 0};
        for (int round = 0; round < 10; round++) {
            unsigned long long a = c[0] * 0xD2E7470EE14C6C93ull, b = c[2] * 0xCA5A826395121157ull;
            unsigned long long high = __umul64hi(c[2], 0xCA5A826395121157ull);
            unsigned long long low = __umul64hi(c[0], 0xD2E7470EE14C6C93ull);
            c[0] = high ^ c[1] ^ k0;
            c[2] = low ^ c[3] ^ k1;
            c[1] = b;
            c[3] = a;
            k0 += 0x9E3779B97F4A7C15ull;
            k1 += 0xBB67AE8584CAA73Bull;
        }
        for (int i = 0; i < 4; i++) out[4 * threadIdx.x + i] = c[i];
    }"""
    key, out = np.asarray([7, 2**63 + 5], np.uint64), np.zeros(400, np.uint64)
    cuda_host.compile(source).launch("philox", 1, 100, [*key, out])
    np.testing.assert_array_equal(out, np.random.Philox(key=key, counter=0).random_raw(400))


def test_a_write_beside_an_array_is_found():
    y = np.zeros(1000, np.float32)
    arguments = [np.int32(1001), np.float32(1), np.ones(1000, np.float32), y]
    with pytest.raises(RuntimeError, match=r"argument 3 of `saxpy` was written . bytes after its end"):
        cuda_host.compile(SAXPY).launch("saxpy", 4, 256, arguments, guard=True)


READ_ONLY = np.zeros(10, np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({0: 10}, TypeError, "argument 0 of `saxpy` must be a NumPy scalar of type int32, got 10"),
        ({0: np.int64(10)}, TypeError, "must be a NumPy scalar of type int32"),
        ({1: np.float64(10)}, TypeError, "must be a NumPy scalar of type float32"),
        ({2: np.zeros(10)}, TypeError, "argument 2 of `saxpy` must be an array of float32, got float64"),
        ({3: READ_ONLY}, TypeError, "argument 3 of `saxpy` is written to, but the array is read-only"),
        ({"args": []}, TypeError, "takes 4 arguments"),
        ({"block": 1025}, ValueError, "`block`"),
        ({"block": (64, 32)}, ValueError, "1024 threads"),
        ({"grid": 0}, ValueError, "`grid`"),
        ({"grid": (1, 65536)}, ValueError, "`grid`"),
    ],
)
def test_wrong_arguments_are_refused(change, error, match):
    args = [np.int32(10), np.float32(1), READ_ONLY, np.zeros(10, np.float32)]
    args = [change.get(i, a) for i, a in enumerate(args)]
    with pytest.raises(error, match=match):
        cuda_host.compile(SAXPY).launch(
            "saxpy", change.get("grid", 1), change.get("block", 32), change.get("args", args)
        )


def test_addresses_are_taken_as_integers():
    x, y = np.ones(10, np.float32), np.zeros(10, np.float32)
    args = [np.int32(10), np.float32(2), x.ctypes.data, np.uint64(y.ctypes.data)]
    cuda_host.compile(SAXPY).launch("saxpy", 1, 32, args)
    assert (y == 2).all()


def test_a_mistake_in_the_source_is_told():
    with pytest.raises(RuntimeError, match="undeclared_name"):
        cuda_host.compile('extern "C" __global__ void wrong(float* x) { x[0] = undeclared_name; }')


@pytest.mark.skipif(not nvrtc.available(), reason="needs nvidia-cuda-nvrtc and nvidia-cuda-runtime")
@pytest.mark.parametrize("source", [SAXPY, BLOCK_SUM.replace("BARRIER", "__syncthreads();"), WARPS, NUMBERS])
def test_what_runs_here_is_cuda(source):
    assert nvrtc.compile(source, "sm_80")
