"""Dropout's random numbers on the device: source text in CUDA C++, word for word what `mlpx.backends.host` computes.

A thread draws one block of Philox4x64-10, four words for 16 elements, and writes for each element a bit that says
whether it is kept. Whatever multiplies by the factors, forward or backward, makes them from the bits: an eighth of a
byte is read for each element in place of the two to eight of a factor.
"""

from __future__ import annotations

__all__ = ["BITS", "FACTOR", "THREADS", "grid"]

THREADS = 128
"""Threads of a block of the kernel."""

FACTOR = """
// The factor of an element of one member, by its number in row-major order, from that member's bits and words.
template <typename T>
__device__ inline T dropout_factor(const unsigned short* bits, const unsigned long long* words, long long element)
{
    const bool kept = (bits[element >> 4] >> (element & 15)) & 1;
    return kept ? T(__longlong_as_double((long long)words[5])) : T(0.0);
}
"""
"""The function from bits to factors, for the kernels that multiply by them."""

BITS = """
// Philox4x64-10: the block that belongs to a key and a counter, written over the counter.
__device__ inline void philox(unsigned long long key_0, unsigned long long key_1, unsigned long long (&counter)[4])
{
    #pragma unroll
    for (int round = 0; round < 10; ++round) {
        const unsigned long long high_0 = __umul64hi(counter[0], 0xD2E7470EE14C6C93ull);
        const unsigned long long high_1 = __umul64hi(counter[2], 0xCA5A826395121157ull);
        const unsigned long long low_0 = counter[0] * 0xD2E7470EE14C6C93ull;
        const unsigned long long low_1 = counter[2] * 0xCA5A826395121157ull;
        counter[0] = high_1 ^ counter[1] ^ key_0;
        counter[1] = low_1;
        counter[2] = high_0 ^ counter[3] ^ key_1;
        counter[3] = low_0;
        key_0 += 0x9E3779B97F4A7C15ull;
        key_1 += 0xBB67AE8584CAA73Bull;
    }
}

// Bits of 16 elements each, `groups` of these for every member. The words are those of the step number
// *step + first, where a null pointer stands for 0; they lie words_per_step apart.
extern "C" __global__ void dropout_bits(
    const unsigned long long* words, unsigned short* bits, long long groups, long long members,
    const long long* step, long long words_per_step, int first)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= groups * members) {
        return;
    }
    const long long member = i / groups;
    const long long position = (step == nullptr ? 0 : *step) + first;
    const unsigned long long* own = words + position * words_per_step + 6 * member;
    // blocks are counted from 1, since NumPy raises its counter before the first output
    unsigned long long block[4] = {(unsigned long long)(i - member * groups) + 1, own[2], own[3], 0};
    philox(own[0], own[1], block);
    const unsigned long long threshold = own[4];
    unsigned int kept = 0;
    #pragma unroll
    for (int lane = 0; lane < 16; ++lane) {
        const unsigned long long drawn = (block[lane / 4] >> (16 * (lane % 4))) & 0xFFFF;
        kept |= (drawn >= threshold ? 1u : 0u) << lane;
    }
    bits[i] = (unsigned short)kept;
}
"""
"""The generator and its kernel ``dropout_bits``."""


def grid(groups: int, members: int) -> int:
    """Return how many blocks of `THREADS` threads draw some groups of 16 elements for each member."""
    return -(-groups * members // THREADS)
