// Private to the kernels: function multiversioning and lists of element types.
#ifndef FT_SIMD_H
#define FT_SIMD_H

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ft_dtype.h"

#define FT_INLINE static inline __attribute__((always_inline))

// Compiles a function for AVX-512, AVX2 and the baseline; the loader binds the one that the CPU runs (an ELF ifunc, so
// glibc only). Elsewhere, NEON included, the baseline is what the compiler vectorises for.
// A sanitizer would instrument the code that the loader asks before the sanitizer's own runtime is ready.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FT_SANITIZED 1
#endif
#endif
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && !defined(FT_SANITIZED)
#define FT_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FT_CLONES
#endif

// Iterations are independent even when an output is one of the inputs: only equal indices meet. The pragma permits
// vectorisation; a loop around a library call does not take it up, which is no reason to warn.
#pragma clang diagnostic ignored "-Wpass-failed"
#define FT_INDEPENDENT _Pragma("clang loop vectorize(assume_safety) interleave(enable)")

// X(suffix, C type)
#define FT_FLOAT_TYPES(X) X(f32, float) X(f64, double)
#define FT_SIGNED_TYPES(X) X(i8, int8_t) X(i16, int16_t) X(i32, int32_t) X(i64, int64_t)
#define FT_UNSIGNED_TYPES(X) X(u8, uint8_t) X(u16, uint16_t) X(u32, uint32_t) X(u64, uint64_t)
#define FT_INTEGER_TYPES(X) FT_SIGNED_TYPES(X) FT_UNSIGNED_TYPES(X)

// One row of a table indexed by `ft_dtype`; 16-bit floats are computed as float32 by the caller.
#define FT_NUMERIC_ROW(prefix)                                                                                         \
    {                                                                                                                  \
        [FT_FLOAT32] = prefix##_f32, [FT_FLOAT64] = prefix##_f64, [FT_INT8] = prefix##_i8, [FT_INT16] = prefix##_i16,  \
        [FT_INT32] = prefix##_i32, [FT_INT64] = prefix##_i64, [FT_UINT8] = prefix##_u8, [FT_UINT16] = prefix##_u16,    \
        [FT_UINT32] = prefix##_u32, [FT_UINT64] = prefix##_u64, [FT_BOOL] = prefix##_u8,                               \
    }

#endif
