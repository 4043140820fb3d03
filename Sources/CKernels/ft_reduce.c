#include "ft_reduce.h"
#include "ft_vecmath.h"

// Columns are reduced in strips whose accumulators live on the stack.
#define FT_STRIP 256
// Independent accumulators of a row: enough to hide the latency of addition in the widest vectors.
#define FT_LANES 32

// `start` is the neutral element of `combine(accumulator, element)`; `merge` joins two accumulators; `finish` makes the
// result.
#define FT_REDUCE_KERNEL(name, T, A, R, attributes, start, combine, merge, finish)                                     \
    attributes static void name(const void *input, ptrdiff_t reduced, ptrdiff_t inner, int64_t divisor, void *output,  \
                                ptrdiff_t begin, ptrdiff_t end) {                                                      \
        const T *source = (const T *)input + begin * reduced * inner;                                                  \
        R *target = (R *)output + begin * inner;                                                                       \
        (void)divisor;                                                                                                 \
        for (ptrdiff_t outer = begin; outer < end; outer++, source += reduced * inner, target += inner) {              \
            if (inner == 1) {                                                                                          \
                A lanes[FT_LANES];                                                                                     \
                for (int l = 0; l < FT_LANES; l++) lanes[l] = start;                                                   \
                ptrdiff_t i = 0;                                                                                       \
                for (; i + FT_LANES <= reduced; i += FT_LANES) {                                                       \
                    for (int l = 0; l < FT_LANES; l++) {                                                               \
                        const A a = lanes[l];                                                                          \
                        const A x = (A)source[i + l];                                                                  \
                        lanes[l] = combine;                                                                            \
                    }                                                                                                  \
                }                                                                                                      \
                for (int l = 0; i < reduced; i++, l++) {                                                               \
                    const A a = lanes[l];                                                                              \
                    const A x = (A)source[i];                                                                          \
                    lanes[l] = combine;                                                                                \
                }                                                                                                      \
                for (int width = FT_LANES / 2; width > 0; width /= 2) {                                                \
                    for (int l = 0; l < width; l++) {                                                                  \
                        const A a = lanes[l];                                                                          \
                        const A x = lanes[l + width];                                                                  \
                        lanes[l] = merge;                                                                              \
                    }                                                                                                  \
                }                                                                                                      \
                const A a = lanes[0];                                                                                  \
                target[0] = (R)(finish);                                                                               \
                continue;                                                                                              \
            }                                                                                                          \
            for (ptrdiff_t first = 0; first < inner; first += FT_STRIP) {                                              \
                const ptrdiff_t width = inner - first < FT_STRIP ? inner - first : FT_STRIP;                           \
                A strip[FT_STRIP];                                                                                     \
                for (ptrdiff_t j = 0; j < width; j++) strip[j] = start;                                                \
                for (ptrdiff_t i = 0; i < reduced; i++) {                                                              \
                    const T *row = source + i * inner + first;                                                         \
                    for (ptrdiff_t j = 0; j < width; j++) {                                                            \
                        const A a = strip[j];                                                                          \
                        const A x = (A)row[j];                                                                         \
                        strip[j] = combine;                                                                            \
                    }                                                                                                  \
                }                                                                                                      \
                for (ptrdiff_t j = 0; j < width; j++) {                                                                \
                    const A a = strip[j];                                                                              \
                    target[first + j] = (R)(finish);                                                                   \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

// Once an accumulator is NaN no comparison replaces it.
#define FT_LARGER ((x > a) | (x != x)) ? x : a
#define FT_SMALLER ((x < a) | (x != x)) ? x : a

#define FT_REDUCE_FLOAT(F, T, R)                                                                                       \
    FT_REDUCE_KERNEL(ft_sum_##F, T, double, R, FT_CLONES, 0.0, a + x, a + x, a / (double)divisor)                      \
    FT_REDUCE_KERNEL(ft_sum_of_squares_##F, T, double, R, FT_CLONES, 0.0, a + x * x, a + x, a / (double)divisor)       \
    FT_REDUCE_KERNEL(ft_prod_##F, T, double, R, FT_CLONES, 1.0, a *x, a *x, a)
FT_REDUCE_FLOAT(f32, float, float)
FT_REDUCE_FLOAT(f64, double, double)
FT_REDUCE_FLOAT(f32_f64, float, double)

#define FT_REDUCE_FLOAT_EXTREME(F, T)                                                                                  \
    FT_REDUCE_KERNEL(ft_max_##F, T, T, T, FT_CLONES, -(T)INFINITY, FT_LARGER, FT_LARGER, a)                            \
    FT_REDUCE_KERNEL(ft_min_##F, T, T, T, FT_CLONES, (T)INFINITY, FT_SMALLER, FT_SMALLER, a)
FT_FLOAT_TYPES(FT_REDUCE_FLOAT_EXTREME)

// Unsigned accumulators wrap where signed ones would be undefined.
#define FT_REDUCE_INTEGER(F, T, quotient, minimum, maximum)                                                            \
    FT_REDUCE_KERNEL(ft_sum_##F, T, uint64_t, T, , 0, a + x, a + x, quotient)                                          \
    FT_REDUCE_KERNEL(ft_sum_of_squares_##F, T, uint64_t, T, , 0, a + x * x, a + x, quotient)                           \
    FT_REDUCE_KERNEL(ft_prod_##F, T, uint64_t, T, , 1, a *x, a *x, a)                                                  \
    FT_REDUCE_KERNEL(ft_max_##F, T, T, T, , minimum, x > a ? x : a, x > a ? x : a, a)                                  \
    FT_REDUCE_KERNEL(ft_min_##F, T, T, T, , maximum, x < a ? x : a, x < a ? x : a, a)
#define FT_SIGNED_QUOTIENT ((int64_t)a / divisor)
#define FT_UNSIGNED_QUOTIENT (a / (uint64_t)divisor)
FT_REDUCE_INTEGER(i8, int8_t, FT_SIGNED_QUOTIENT, INT8_MIN, INT8_MAX)
FT_REDUCE_INTEGER(i16, int16_t, FT_SIGNED_QUOTIENT, INT16_MIN, INT16_MAX)
FT_REDUCE_INTEGER(i32, int32_t, FT_SIGNED_QUOTIENT, INT32_MIN, INT32_MAX)
FT_REDUCE_INTEGER(i64, int64_t, FT_SIGNED_QUOTIENT, INT64_MIN, INT64_MAX)
FT_REDUCE_INTEGER(u8, uint8_t, FT_UNSIGNED_QUOTIENT, 0, UINT8_MAX)
FT_REDUCE_INTEGER(u16, uint16_t, FT_UNSIGNED_QUOTIENT, 0, UINT16_MAX)
FT_REDUCE_INTEGER(u32, uint32_t, FT_UNSIGNED_QUOTIENT, 0, UINT32_MAX)
FT_REDUCE_INTEGER(u64, uint64_t, FT_UNSIGNED_QUOTIENT, 0, UINT64_MAX)

typedef void (*ft_reduce_kernel)(const void *, ptrdiff_t, ptrdiff_t, int64_t, void *, ptrdiff_t, ptrdiff_t);

static const ft_reduce_kernel ft_reduce_kernels[FT_REDUCTION_COUNT][FT_DTYPE_COUNT] = {
    [FT_REDUCE_SUM] = FT_NUMERIC_ROW(ft_sum),
    [FT_REDUCE_SUM_OF_SQUARES] = FT_NUMERIC_ROW(ft_sum_of_squares),
    [FT_REDUCE_PROD] = FT_NUMERIC_ROW(ft_prod),
    [FT_REDUCE_MAX] = FT_NUMERIC_ROW(ft_max),
    [FT_REDUCE_MIN] = FT_NUMERIC_ROW(ft_min),
};

bool ft_reduce(ft_dtype dtype, ft_reduction reduction, const void *x, ptrdiff_t reduced, ptrdiff_t inner,
               int64_t divisor, void *output, ptrdiff_t begin, ptrdiff_t end) {
    const ft_reduce_kernel kernel = ft_reduce_kernels[reduction][dtype];
    if (!kernel) return false;
    kernel(x, reduced, inner, divisor, output, begin, end);
    return true;
}

void ft_reduce_f32_f64(ft_reduction reduction, const float *x, ptrdiff_t reduced, ptrdiff_t inner, double *output,
                       ptrdiff_t begin, ptrdiff_t end) {
    switch (reduction) {
    case FT_REDUCE_SUM_OF_SQUARES: ft_sum_of_squares_f32_f64(x, reduced, inner, 1, output, begin, end); break;
    case FT_REDUCE_PROD: ft_prod_f32_f64(x, reduced, inner, 1, output, begin, end); break;
    default: ft_sum_f32_f64(x, reduced, inner, 1, output, begin, end); break;
    }
}

// `better` compares a candidate x with the best so far, m.
#define FT_ARG_LOOP(T, better)                                                                                         \
    for (ptrdiff_t outer = begin; outer < end; outer++) {                                                              \
        const T *source = (const T *)input + outer * reduced * inner;                                                  \
        for (ptrdiff_t j = 0; j < inner; j++) {                                                                        \
            T m = source[j];                                                                                           \
            int64_t best = 0;                                                                                          \
            for (ptrdiff_t i = 1; i < reduced; i++) {                                                                  \
                const T x = source[i * inner + j];                                                                     \
                if (better) {                                                                                          \
                    m = x;                                                                                             \
                    best = i;                                                                                          \
                }                                                                                                      \
            }                                                                                                          \
            output[outer * inner + j] = best;                                                                          \
        }                                                                                                              \
    }

// x != x holds for NaN alone: it beats every number, and among NaNs the first or the last wins as among equals.
#define FT_ARG_KERNEL(F, T)                                                                                            \
    static void ft_arg_##F(bool largest, bool last, const void *input, ptrdiff_t reduced, ptrdiff_t inner,             \
                           int64_t *output, ptrdiff_t begin, ptrdiff_t end) {                                          \
        if (largest && last) {                                                                                         \
            FT_ARG_LOOP(T, x != x || (m == m && x >= m))                                                               \
        } else if (largest) {                                                                                          \
            FT_ARG_LOOP(T, m == m && (x != x || x > m))                                                                \
        } else if (last) {                                                                                             \
            FT_ARG_LOOP(T, x != x || (m == m && x <= m))                                                               \
        } else {                                                                                                       \
            FT_ARG_LOOP(T, m == m && (x != x || x < m))                                                                \
        }                                                                                                              \
    }
FT_FLOAT_TYPES(FT_ARG_KERNEL)
#pragma clang diagnostic push
// For integers the tests for NaN are constant.
#pragma clang diagnostic ignored "-Wtautological-compare"
FT_INTEGER_TYPES(FT_ARG_KERNEL)
#pragma clang diagnostic pop

typedef void (*ft_arg_kernel)(bool, bool, const void *, ptrdiff_t, ptrdiff_t, int64_t *, ptrdiff_t, ptrdiff_t);

static const ft_arg_kernel ft_arg_kernels[FT_DTYPE_COUNT] = FT_NUMERIC_ROW(ft_arg);

bool ft_arg_extreme(ft_dtype dtype, bool largest, bool select_last, const void *x, ptrdiff_t reduced, ptrdiff_t inner,
                    int64_t *output, ptrdiff_t begin, ptrdiff_t end) {
    const ft_arg_kernel kernel = ft_arg_kernels[dtype];
    if (!kernel) return false;
    kernel(largest, select_last, x, reduced, inner, output, begin, end);
    return true;
}
