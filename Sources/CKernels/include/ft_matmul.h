#ifndef FT_MATMUL_H
#define FT_MATMUL_H

#include <stdbool.h>
#include <stddef.h>

#include "ft_dtype.h"

/// c[m, n] = sum over k of a[m, k] b[k, n] for the types that have no GEMM: rows [begin, end) of c: [.., columns].
/// Strides of a and b count elements, so that either may be transposed; integers wrap.
bool ft_matmul(ft_dtype dtype, ptrdiff_t columns, ptrdiff_t depth, const void *a, ptrdiff_t a_row, ptrdiff_t a_column,
               const void *b, ptrdiff_t b_row, ptrdiff_t b_column, void *c, ptrdiff_t begin, ptrdiff_t end);

#endif
