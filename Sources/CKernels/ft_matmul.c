#include "ft_matmul.h"
#include "ft_simd.h"

#define FT_MATMUL(F, T, A)                                                                                             \
    static void ft_matmul_##F(ptrdiff_t columns, ptrdiff_t depth, const void *first, ptrdiff_t a_row,                  \
                              ptrdiff_t a_column, const void *second, ptrdiff_t b_row, ptrdiff_t b_column, void *out,  \
                              ptrdiff_t begin, ptrdiff_t end) {                                                        \
        const T *a = first, *b = second;                                                                               \
        for (ptrdiff_t m = begin; m < end; m++) {                                                                      \
            T *row = (T *)out + m * columns;                                                                           \
            for (ptrdiff_t n = 0; n < columns; n++) row[n] = 0;                                                        \
            for (ptrdiff_t k = 0; k < depth; k++) {                                                                    \
                const A x = (A)a[m * a_row + k * a_column];                                                            \
                const T *source = b + k * b_row;                                                                       \
                for (ptrdiff_t n = 0; n < columns; n++) row[n] = (T)((A)row[n] + x * (A)source[n * b_column]);         \
            }                                                                                                          \
        }                                                                                                              \
    }
FT_MATMUL(f32, float, float)
FT_MATMUL(f64, double, double)
// Products modulo 2^64 are right for signed numbers too.
#define FT_MATMUL_INTEGER(F, T) FT_MATMUL(F, T, uint64_t)
FT_INTEGER_TYPES(FT_MATMUL_INTEGER)

typedef void (*ft_matmul_kernel)(ptrdiff_t, ptrdiff_t, const void *, ptrdiff_t, ptrdiff_t, const void *, ptrdiff_t,
                                 ptrdiff_t, void *, ptrdiff_t, ptrdiff_t);

static const ft_matmul_kernel ft_matmul_kernels[FT_DTYPE_COUNT] = FT_NUMERIC_ROW(ft_matmul);

bool ft_matmul(ft_dtype dtype, ptrdiff_t columns, ptrdiff_t depth, const void *a, ptrdiff_t a_row, ptrdiff_t a_column,
               const void *b, ptrdiff_t b_row, ptrdiff_t b_column, void *c, ptrdiff_t begin, ptrdiff_t end) {
    const ft_matmul_kernel kernel = ft_matmul_kernels[dtype];
    if (!kernel || dtype == FT_BOOL) return false;
    kernel(columns, depth, a, a_row, a_column, b, b_row, b_column, c, begin, end);
    return true;
}
