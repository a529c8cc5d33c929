#pragma once
// How kernels share work. Compiled once, for the baseline, so that sources built per instruction
// set may call it.

#include <cstddef>
#include <cstdint>

#include "tercel/dtype.h"

namespace tercel {
class ThreadPool;
}

namespace tercel::kernels {

// body(begin, end) over [0, count); `cost` is about the nanoseconds of one index. Small work stays
// on the calling thread.
using RangeBody = void (*)(const void* context, int64_t begin, int64_t end);
void parallel_ranges(ThreadPool& pool, int64_t count, double cost, const void* context,
                     RangeBody body);

// body(item, slot) for each item in [0, count), one at a time per slot; slots number the pool's
// threads, so that each may own a piece of workspace. `cost` is about the nanoseconds of all items.
using ItemBody = void (*)(const void* context, int64_t item, int64_t slot);
void parallel_items(ThreadPool& pool, int64_t count, double cost, const void* context,
                    ItemBody body);

// Elements of an elementwise kernel that a thread takes at least.
inline constexpr int64_t kChunk = 4096;

int pool_size(const ThreadPool& pool);

// Errors of kernels, raised outside the code built per instruction set.
[[noreturn]] void fail_dtype(const char* kernel, Dtype dtype);
std::size_t checked_bytes(int64_t a, int64_t b, int64_t c);  // a · b · c

}  // namespace tercel::kernels
