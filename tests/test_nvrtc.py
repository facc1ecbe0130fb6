"""NVRTC in tests: kernels become machine code for a card that is not there, and mistakes are told."""

import pytest

import nvrtc

pytestmark = pytest.mark.skipif(not nvrtc.available(), reason="needs nvidia-cuda-nvrtc and nvidia-cuda-runtime")

SOURCE = """
#include <cuda_fp16.h>
#include <cuda_bf16.h>
extern "C" __global__ void __launch_bounds__(256) convert(int n, const __half* x, __nv_bfloat16* y) {
    __shared__ float s[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    s[threadIdx.x] = i < n ? __half2float(x[i]) : 0.0f;
    __syncthreads();
    float a = __shfl_xor_sync(0xffffffff, s[255 - threadIdx.x], 1);
    if (i < n) y[i] = __float2bfloat16_rn(erff(a));
}
"""
ELF, CUDA = b"\x7fELF", 190


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_a_kernel_becomes_machine_code(arch):
    cubin = nvrtc.compile(SOURCE, arch)
    assert cubin[:4] == ELF
    assert int.from_bytes(cubin[18:20], "little") == CUDA
    assert b"\0.text.convert\0" in cubin


def test_architectures_differ():
    assert nvrtc.compile(SOURCE, "sm_80") != nvrtc.compile(SOURCE, "sm_90")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (("erff(a)", "wrong_name(a)"), r'kernels.cu\(10\): error: identifier "wrong_name" is undefined'),
        (("cuda_bf16.h", "no_such_header.h"), "no_such_header.h"),
        (("256];", "65536];"), "shared"),
    ],
)
def test_the_log_of_a_mistake_is_in_the_error(change, match):
    assert change[0] in SOURCE
    with pytest.raises(RuntimeError, match=match):
        nvrtc.compile(SOURCE.replace(*change), "sm_90")


def test_an_unknown_architecture_is_refused():
    with pytest.raises(RuntimeError, match="sm_1"):
        nvrtc.compile(SOURCE, "sm_1")


def test_options_reach_the_compiler():
    source = 'extern "C" __global__ void scale(float* x) { x[threadIdx.x] *= FACTOR; }'
    assert nvrtc.compile(source, "sm_90", ["-DFACTOR=2"]) != nvrtc.compile(source, "sm_90", ["-DFACTOR=3"])
