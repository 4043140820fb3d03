#ifndef FT_REDUCE_H
#define FT_REDUCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft_dtype.h"

// Reductions of x: [outer, reduced, inner] over the middle axis, for outer indices [begin, end).

typedef enum ft_reduction { FT_REDUCE_SUM, FT_REDUCE_SUM_OF_SQUARES, FT_REDUCE_PROD, FT_REDUCE_MAX, FT_REDUCE_MIN,
                            FT_REDUCTION_COUNT } ft_reduction;

/// output: [outer, inner] in x's dtype, divided by `divisor` (1 but for means; integers truncate). Float sums and
/// products accumulate in double, integers in 64 bits; NaN is the largest and the smallest number. Returns false when
/// there is no kernel for the dtype: 16-bit floats are computed as float32 by the caller.
bool ft_reduce(ft_dtype dtype, ft_reduction reduction, const void *x, ptrdiff_t reduced, ptrdiff_t inner,
               int64_t divisor, void *output, ptrdiff_t begin, ptrdiff_t end);

/// As `ft_reduce` from float32 to float64, undivided: a step of a reduction over several separate axes.
void ft_reduce_f32_f64(ft_reduction reduction, const float *x, ptrdiff_t reduced, ptrdiff_t inner, double *output,
                       ptrdiff_t begin, ptrdiff_t end);

/// Index of the largest (or smallest) element; NaN wins; of equal ones the first, or the last.
bool ft_arg_extreme(ft_dtype dtype, bool largest, bool select_last, const void *x, ptrdiff_t reduced, ptrdiff_t inner,
                    int64_t *output, ptrdiff_t begin, ptrdiff_t end);

/// Softmax, or its logarithm, along the middle axis; output may be x.
void ft_softmax_f32(bool logarithm, const float *x, ptrdiff_t reduced, ptrdiff_t inner, float *output, ptrdiff_t begin,
                    ptrdiff_t end);
void ft_softmax_f64(bool logarithm, const double *x, ptrdiff_t reduced, ptrdiff_t inner, double *output,
                    ptrdiff_t begin, ptrdiff_t end);

/// Gradient of softmax: y (g - sum(g y)); of log-softmax: g - exp(y) sum(g).
void ft_softmax_gradient_f32(bool logarithm, const float *y, const float *gradient, ptrdiff_t reduced, ptrdiff_t inner,
                             float *output, ptrdiff_t begin, ptrdiff_t end);
void ft_softmax_gradient_f64(bool logarithm, const double *y, const double *gradient, ptrdiff_t reduced,
                             ptrdiff_t inner, double *output, ptrdiff_t begin, ptrdiff_t end);

#endif
