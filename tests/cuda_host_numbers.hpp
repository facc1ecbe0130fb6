// Numbers of CUDA C++ for a host C++ compiler: half and bfloat16, intrinsics, small vectors.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

namespace cuda_host {

template <class To, class From>
To bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "both have the same size");
    To result;
    memcpy(&result, &value, sizeof result);
    return result;
}

// The nearest number of a format of 16 bits, ties to even; `mantissa` bits are stored, and the least exponent of a
// normal number is `least`. Built on exact steps in double, so that a float or a double is rounded once.
static inline uint16_t rounded(double value, int mantissa, int least) {
    uint16_t sign = bits<uint64_t>(value) >> 63 ? 0x8000 : 0, infinity = uint16_t(0x7fff >> mantissa << mantissa);
    if (value != value) return 0x7fff;
    if (isinf(value)) return sign | infinity;
    int exponent = value == 0 ? least : ilogb(value);
    if (exponent < least) exponent = least;
    double units = nearbyint(ldexp(fabs(value), mantissa - exponent));
    // what is carried over the last bit raises the exponent, and beyond the greatest number it gives infinity
    double code = units + ldexp(exponent - least, mantissa);
    return sign | (code < infinity ? uint16_t(code) : infinity);
}

static inline float half_to_float(uint16_t code) {
    int exponent = code >> 10 & 31, fraction = code & 1023;
    uint32_t sign = uint32_t(code & 0x8000) << 16;
    if (exponent == 31) return bits<float>(sign | 0x7f800000u | uint32_t(fraction) << 13);
    float size = exponent ? ldexpf(float(fraction + 1024), exponent - 25) : ldexpf(float(fraction), -24);
    return bits<float>(sign | bits<uint32_t>(size));
}

}  // namespace cuda_host

struct __half {
    uint16_t code;
    __half() = default;
    template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
    __half(T x) : code(cuda_host::rounded(double(x), 10, -14)) {}
    operator float() const { return cuda_host::half_to_float(code); }
};

struct __nv_bfloat16 {
    uint16_t code;
    __nv_bfloat16() = default;
    template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
    __nv_bfloat16(T x) : code(cuda_host::rounded(double(x), 7, -126)) {}
    operator float() const { return cuda_host::bits<float>(uint32_t(code) << 16); }
};

typedef __half half;
typedef __nv_bfloat16 nv_bfloat16;

// float has so many more bits that computing in it and rounding gives the nearest number
#define CUDA_HOST_ARITHMETIC(type, op) \
    static inline type operator op(type a, type b) { return type(float(a) op float(b)); } \
    static inline type& operator op##=(type& a, type b) { return a = a op b; }
#define CUDA_HOST_COMPARISON(type, op) \
    static inline bool operator op(type a, type b) { return float(a) op float(b); }
#define CUDA_HOST_OPERATORS(type) \
    CUDA_HOST_ARITHMETIC(type, +) \
    CUDA_HOST_ARITHMETIC(type, -) \
    CUDA_HOST_ARITHMETIC(type, *) \
    CUDA_HOST_ARITHMETIC(type, /) \
    CUDA_HOST_COMPARISON(type, <) \
    CUDA_HOST_COMPARISON(type, <=) \
    CUDA_HOST_COMPARISON(type, >) \
    CUDA_HOST_COMPARISON(type, >=) \
    CUDA_HOST_COMPARISON(type, ==) \
    CUDA_HOST_COMPARISON(type, !=) \
    static inline type operator-(type a) { return type(-float(a)); }
CUDA_HOST_OPERATORS(__half)
CUDA_HOST_OPERATORS(__nv_bfloat16)

static inline float __half2float(__half x) { return x; }
static inline __half __float2half(float x) { return x; }
static inline __half __float2half_rn(float x) { return x; }
static inline __half __double2half(double x) { return x; }
static inline uint16_t __half_as_ushort(__half x) { return x.code; }
static inline __half __ushort_as_half(uint16_t code) { return cuda_host::bits<__half>(code); }
static inline float __bfloat162float(__nv_bfloat16 x) { return x; }
static inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
static inline __nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
static inline __nv_bfloat16 __double2bfloat16(double x) { return x; }
static inline uint16_t __bfloat16_as_ushort(__nv_bfloat16 x) { return x.code; }
static inline __nv_bfloat16 __ushort_as_bfloat16(uint16_t code) { return cuda_host::bits<__nv_bfloat16>(code); }

// --- intrinsics -----------------------------------------------------------------------------------------------------
static inline int __float_as_int(float x) { return cuda_host::bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return cuda_host::bits<unsigned>(x); }
static inline float __int_as_float(int x) { return cuda_host::bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return cuda_host::bits<float>(x); }
static inline long long __double_as_longlong(double x) { return cuda_host::bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return cuda_host::bits<double>(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
static inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
static inline float __fdividef(float a, float b) { return a / b; }
template <class T>
T __ldg(const T* p) {
    return *p;
}
template <class A, class B>
std::common_type_t<A, B> min(A a, B b) {
    if constexpr (std::is_floating_point_v<std::common_type_t<A, B>>) return fmin(a, b);
    return b < a ? b : a;
}
template <class A, class B>
std::common_type_t<A, B> max(A a, B b) {
    if constexpr (std::is_floating_point_v<std::common_type_t<A, B>>) return fmax(a, b);
    return a < b ? b : a;
}

// the fast forms are the exact ones here; some C libraries have functions of these names, so they are macros
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __powf(x, y) powf(x, y)
#define __exp10f(x) exp10f(x)
#define __frcp_rn(x) (1.0f / (x))
#define __fsqrt_rn(x) sqrtf(x)
#define __fadd_rn(a, b) ((a) + (b))
#define __fsub_rn(a, b) ((a) - (b))
#define __fmul_rn(a, b) ((a) * (b))
#define __fdiv_rn(a, b) ((a) / (b))
#define __fmaf_rn(a, b, c) fmaf(a, b, c)
#define __dadd_rn(a, b) ((a) + (b))
#define __dmul_rn(a, b) ((a) * (b))
#define __fma_rn(a, b, c) fma(a, b, c)

// --- vectors --------------------------------------------------------------------------------------------------------
#define CUDA_HOST_VECTORS(type, name) \
    struct alignas(2 * sizeof(type)) name##2 { \
        type x, y; \
    }; \
    struct alignas(16) name##4 { \
        type x, y, z, w; \
    }; \
    static inline name##2 make_##name##2(type x, type y) { return {x, y}; } \
    static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
CUDA_HOST_VECTORS(float, float)
CUDA_HOST_VECTORS(double, double)
CUDA_HOST_VECTORS(int, int)
CUDA_HOST_VECTORS(unsigned, uint)
CUDA_HOST_VECTORS(long long, longlong)
CUDA_HOST_VECTORS(unsigned long long, ulonglong)
