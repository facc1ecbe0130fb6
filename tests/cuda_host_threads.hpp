// What CUDA C++ kernels need to be compiled and run by a host C++ compiler, one thread at a time.
//
// Every thread of a block is a fiber with a stack of its own. Threads run in turn, each until it waits or ends; who
// waits at a barrier or in a shuffle goes on when all others that it waits for have come. What a kernel may not rely on
// is made visible: before a block, every bit of shared memory is set (a NaN), and a lane that gives nothing shows that
// too.
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <string>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __constant__ static
#define __shared__ static __attribute__((section("cuda_host_shared")))

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
static dim3 gridDim, blockDim, blockIdx, threadIdx;
static const int warpSize = 32;

// --- threads --------------------------------------------------------------------------------------------------------
extern "C" char __start_cuda_host_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cuda_host_shared[] __attribute__((weak, visibility("hidden")));

namespace cuda_host {

enum State { ready, at_barrier, at_shuffle, ended };

struct Thread {
    jmp_buf place;
    dim3 index;
    State state;
    int line;
    unsigned mask;
    unsigned char given[16], shown[16];
};

static std::vector<Thread> threads;
static char* stacks;
static const size_t most_threads = 1024, stack_size = 128 * 1024;
static const size_t stack_stride = stack_size + 1088;  // not a power of two, or all stacks share the same cache lines
static Thread* current;
static jmp_buf scheduler;
static void (*kernel)(void**);
static void** arguments;
static std::string problem;

__attribute__((noinline)) static void leave() {
    if (!_setjmp(current->place)) _longjmp(scheduler, 1);
}

__attribute__((noinline)) static void enter(Thread& thread) {
    current = &thread;
    threadIdx = thread.index;
    if (!_setjmp(scheduler)) _longjmp(thread.place, 1);
}

static void live() {
    for (;;) {
        leave();
        kernel(arguments);
        current->state = ended;
    }
}

__attribute__((noinline)) static void begin(size_t number) {
    static ucontext_t context;
    current = &threads[number];
    getcontext(&context);
    context.uc_stack.ss_sp = stacks + number * stack_stride;
    context.uc_stack.ss_size = stack_size;
    makecontext(&context, live, 0);
    if (!_setjmp(scheduler)) setcontext(&context);
}

static void make_threads(size_t count) {
    if (!stacks) {
        void* memory = mmap(nullptr, most_threads * stack_stride, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) abort();
        stacks = static_cast<char*>(memory);
    }
    // all anew: after a launch that failed, the old ones are somewhere in the middle of a kernel
    if (threads.size() == count && problem.empty()) return;
    threads.assign(count, Thread());
    for (size_t i = 0; i < count; i++) {
        threads[i].index = {unsigned(i % blockDim.x), unsigned(i / blockDim.x % blockDim.y),
                            unsigned(i / blockDim.x / blockDim.y)};
        begin(i);
    }
    problem.clear();
}

static void wait(State state, int line, unsigned mask) {
    current->state = state;
    current->line = line;
    current->mask = mask;
    leave();
}

static std::string place(const Thread& thread) {
    std::string name = "thread " + std::to_string(&thread - threads.data());
    if (thread.state == ended) return name + " has ended";
    const char* where = thread.state == at_barrier ? " waits at __syncthreads" : " waits in a warp's exchange";
    return name + where + " in line " + std::to_string(thread.line);
}

static bool beside(const Thread& a, const Thread& b) {
    return a.state == b.state && a.line == b.line && a.mask == b.mask;
}

// The lanes of a warp that the block has.
static unsigned lanes_of(size_t warp) {
    size_t left = threads.size() - 32 * warp;
    return left >= 32 ? 0xffffffffu : (1u << left) - 1;
}

static void let_go(Thread& thread) {
    memcpy(thread.shown, thread.given, sizeof thread.given);
    thread.state = ready;
}

static bool release_barrier() {
    for (Thread& thread : threads)
        if (thread.state != at_barrier || !beside(thread, threads[0])) return false;
    for (Thread& thread : threads) thread.state = ready;
    return true;
}

static bool release_group(Thread& thread) {
    size_t number = &thread - threads.data(), first = number & ~size_t(31);
    unsigned group = thread.mask & lanes_of(number / 32);
    if (!(group >> (number & 31) & 1)) return false;
    for (unsigned lane = 0; lane < 32; lane++)
        if (group >> lane & 1 && !beside(threads[first + lane], thread)) return false;
    for (unsigned lane = 0; lane < 32; lane++)
        if (group >> lane & 1) let_go(threads[first + lane]);
    return true;
}

// Let go on who can; say what is wrong if nobody can although some wait.
static bool release() {
    if (release_barrier()) return true;
    bool any = false;
    Thread* waiting = nullptr;
    for (Thread& thread : threads) {
        if (thread.state == at_shuffle && release_group(thread)) any = true;
        if (thread.state == at_barrier || thread.state == at_shuffle) waiting = &thread;
    }
    if (any || !waiting) return any;
    problem = place(*waiting);
    for (Thread& thread : threads)
        if (!beside(thread, *waiting)) {
            problem += ", but " + place(thread);
            break;
        }
    problem += " (block " + std::to_string(blockIdx.x) + ", " + std::to_string(blockIdx.y) + ", " +
               std::to_string(blockIdx.z) + "; waits for lanes " + std::to_string(waiting->mask) + ")";
    return false;
}

static void run_block(bool reverse) {
    if (__start_cuda_host_shared)
        memset(__start_cuda_host_shared, 0xff, __stop_cuda_host_shared - __start_cuda_host_shared);
    size_t count = threads.size();
    for (Thread& thread : threads) thread.state = ready;
    do {
        for (size_t i = 0; i < count; i++) {
            Thread& thread = threads[reverse ? count - 1 - i : i];
            if (thread.state == ready) enter(thread);
        }
    } while (release());
}

static const char* launch(void (*call)(void**), void** values, const unsigned* shape, int reverse) {
    gridDim = {shape[0], shape[1], shape[2]};
    dim3 block = {shape[3], shape[4], shape[5]};
    if (block.x != blockDim.x || block.y != blockDim.y || block.z != blockDim.z) threads.clear();
    blockDim = block;
    kernel = call;
    arguments = values;
    make_threads(size_t(block.x) * block.y * block.z);
    uint64_t blocks = uint64_t(gridDim.x) * gridDim.y * gridDim.z;
    for (uint64_t i = 0; i < blocks && problem.empty(); i++) {
        uint64_t b = reverse ? blocks - 1 - i : i;
        blockIdx = {unsigned(b % gridDim.x), unsigned(b / gridDim.x % gridDim.y), unsigned(b / gridDim.x / gridDim.y)};
        run_block(reverse);
    }
    return problem.empty() ? nullptr : problem.c_str();
}

// --- exchange within a warp -----------------------------------------------------------------------------------------
static int own_lane() { return int((current - threads.data()) & 31); }

template <class T>
T shown_by(int lane) {
    static_assert(sizeof(T) <= 16, "a value that is exchanged has at most 16 bytes");
    size_t number = ((current - threads.data()) & ~ptrdiff_t(31)) + lane;
    T value;
    if (number < threads.size() && current->mask >> lane & 1)
        memcpy(&value, threads[number].shown, sizeof value);
    else
        memset(static_cast<void*>(&value), 0xff, sizeof value);
    return value;
}

template <class T>
T exchange(int line, unsigned mask, T value, int lane) {
    memcpy(current->given, &value, sizeof value);
    wait(at_shuffle, line, mask);
    return shown_by<T>(lane);
}

template <class T>
T shuffle(int line, unsigned mask, T value, int lane, int width = 32) {
    return exchange(line, mask, value, (own_lane() & ~(width - 1)) | (lane & (width - 1)));
}

template <class T>
T shuffle_xor(int line, unsigned mask, T value, int lanes, int width = 32) {
    int own = own_lane(), lane = own ^ lanes;
    return exchange(line, mask, value, lane > (own | (width - 1)) ? own : lane);
}

template <class T>
T shuffle_down(int line, unsigned mask, T value, unsigned delta, int width = 32) {
    int own = own_lane(), lane = own + int(delta);
    return exchange(line, mask, value, lane > (own | (width - 1)) ? own : lane);
}

template <class T>
T shuffle_up(int line, unsigned mask, T value, unsigned delta, int width = 32) {
    int own = own_lane(), lane = own - int(delta);
    return exchange(line, mask, value, lane < (own & ~(width - 1)) ? own : lane);
}

static inline unsigned ballot(int line, unsigned mask, bool yes) {
    exchange(line, mask, int(yes), own_lane());
    unsigned votes = 0;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1 && shown_by<int>(lane) == 1) votes |= 1u << lane;
    return votes;
}

static inline void sync_warp(int line, unsigned mask = 0xffffffffu) { ballot(line, mask, false); }

static inline unsigned present(unsigned mask) { return mask & lanes_of((current - threads.data()) / 32); }

}  // namespace cuda_host

#define __syncthreads() cuda_host::wait(cuda_host::at_barrier, __LINE__, 0)
#define __syncwarp(...) cuda_host::sync_warp(__LINE__, ##__VA_ARGS__)
#define __shfl_sync(...) cuda_host::shuffle(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) cuda_host::shuffle_xor(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) cuda_host::shuffle_down(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) cuda_host::shuffle_up(__LINE__, __VA_ARGS__)
#define __ballot_sync(mask, yes) cuda_host::ballot(__LINE__, mask, yes)
#define __any_sync(mask, yes) (cuda_host::ballot(__LINE__, mask, yes) != 0)
#define __all_sync(mask, yes) (cuda_host::ballot(__LINE__, mask, yes) == cuda_host::present(mask))

template <typename T> static inline T atomicAdd(T* place, T more) {
    const T old = *place;
    *place += more;
    return old;
}
#define __threadfence() ((void)0)
