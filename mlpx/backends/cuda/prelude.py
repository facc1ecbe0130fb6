"""Functions in CUDA C++ with which every module of kernels begins."""

__all__ = ["ACROSS", "ELEMENT"]

ELEMENT = """
template <typename T> __device__ __forceinline__ T larger(T a, T b) { return a > b || a != a ? a : b; }
template <typename T> __device__ __forceinline__ T smaller(T a, T b) { return a < b || a != a ? a : b; }
template <typename T> __device__ __forceinline__ T sign_of(T a) { return a != a ? a : T((a > 0) - (a < 0)); }
template <typename T> __device__ __forceinline__ T remainder_of(T a, T b) {
  const T rest = fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
template <typename T> __device__ __forceinline__ T log_of_sum(T a, T b) {
  return a == b ? a + T(0.693147180559945309) : larger(a, b) + log1p(exp(-fabs(a - b)));
}
template <typename T> __device__ __forceinline__ T sum_of(T a, T b) { return a + b; }
template <typename T> __device__ __forceinline__ T both(T a, T b) { return a && b; }
"""
"""Of one or two numbers; NaN wins in `larger` and `smaller`, as in NumPy."""

ACROSS = """
#define ACROSS(NAME, COMBINE) \\
template <int LANES, typename T> __device__ __forceinline__ T NAME(T value) { \\
  for (int lane = (LANES < 32 ? LANES : 32) / 2; lane > 0; lane /= 2) \\
    value = COMBINE(value, T(__shfl_xor_sync(0xffffffffu, value, lane))); \\
  if (LANES > 32) { \\
    __shared__ T parts[LANES / 32 + 1]; \\
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value; \\
    __syncthreads(); \\
    value = parts[0]; \\
    for (int i = 1; i < LANES / 32; i++) value = COMBINE(value, parts[i]); \\
    __syncthreads(); \\
  } \\
  return value; \\
}
ACROSS(across_sum, sum_of)
ACROSS(across_max, larger)
ACROSS(across_min, smaller)
ACROSS(across_all, both)
template <typename T> struct Place { T value; int index; };
template <typename T> __device__ __forceinline__ Place<T> first_of(Place<T> a, Place<T> b) {
  const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  if (a_nan || b_nan ? a_nan != b_nan : a.value != b.value) return (a_nan || (!b_nan && a.value > b.value)) ? a : b;
  return a.index < b.index ? a : b;
}
template <int LANES, typename T> __device__ __forceinline__ int across_argmax(Place<T> best) {
  for (int lane = (LANES < 32 ? LANES : 32) / 2; lane > 0; lane /= 2) {
    Place<T> other;
    other.value = __shfl_xor_sync(0xffffffffu, best.value, lane);
    other.index = __shfl_xor_sync(0xffffffffu, best.index, lane);
    best = first_of(best, other);
  }
  if (LANES > 32) {
    __shared__ T values[LANES / 32 + 1];
    __shared__ int indices[LANES / 32 + 1];
    if (threadIdx.x % 32 == 0) { values[threadIdx.x / 32] = best.value; indices[threadIdx.x / 32] = best.index; }
    __syncthreads();
    for (int i = 0; i < LANES / 32; i++) best = first_of(best, Place<T>{values[i], indices[i]});
    __syncthreads();
  }
  return best.index;
}
"""
"""What the threads of a row agree on: first within each warp, then over the warps in their order."""
