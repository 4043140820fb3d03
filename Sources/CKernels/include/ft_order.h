#ifndef FT_ORDER_H
#define FT_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft_dtype.h"

/// Bytes of scratch that `ft_order` needs for `length` elements.
ptrdiff_t ft_order_scratch(ptrdiff_t length);

/// Positions of the first `count` of `length` elements in order, the largest or the smallest first; NaN is the largest, of equal
/// elements the first comes first. float32, float64 and int64; false for other types.
bool ft_order(ft_dtype dtype, bool largest, const void *x, ptrdiff_t length, ptrdiff_t count, void *scratch,
              int64_t *positions);

#endif
