#ifndef FT_POOL_H
#define FT_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Windows over planes of three spatial axes; fewer axes are padded in front with size 1, kernel 1, stride 1.
typedef struct ft_pool_geometry {
    ptrdiff_t input[3];
    ptrdiff_t output[3];
    ptrdiff_t kernel[3];
    ptrdiff_t stride[3];
    ptrdiff_t pad_begin[3];
    ptrdiff_t pad_end[3];
    ptrdiff_t dilation[3];
    bool count_include_pad;
} ft_pool_geometry;

// x and y hold planes of input and output elements; planes [begin, end) are computed.

#define FT_DECLARE_POOL(F, T)                                                                                          \
    /* Largest element of each window; NaN is larger than every number; a window without elements gives -infinity */   \
    /* and index -1. `indices`, when not null, gets the row-major position within the plane. */                        \
    void ft_max_pool_##F(const ft_pool_geometry *geometry, const T *x, T *y, int32_t *indices, ptrdiff_t begin,        \
                         ptrdiff_t end);                                                                               \
    /* grad_input = 0 but for grad_output added at `indices`; -1 adds nowhere. `*stray` becomes 1 when an index is */  \
    /* not below `inputs`, the elements of an input plane; `outputs` are those of an output plane. */                  \
    void ft_max_pool_gradient_##F(ptrdiff_t inputs, ptrdiff_t outputs, const int32_t *indices, const T *grad_output,   \
                                  T *grad_input, int *stray, ptrdiff_t begin, ptrdiff_t end);                          \
    /* The adjoint: y = x at `indices`, 0 at -1. */                                                                    \
    void ft_max_pool_gather_##F(ptrdiff_t inputs, ptrdiff_t outputs, const int32_t *indices, const T *x, T *y,         \
                                int *stray, ptrdiff_t begin, ptrdiff_t end);                                           \
    /* Mean of each window: divided by its elements inside the input, with count_include_pad inside the padded */      \
    /* input. */                                                                                                       \
    void ft_average_pool_##F(const ft_pool_geometry *geometry, const T *x, T *y, ptrdiff_t begin, ptrdiff_t end);      \
    /* Gradient of the mean with respect to the input. */                                                              \
    void ft_average_pool_gradient_##F(const ft_pool_geometry *geometry, const T *grad_output, T *grad_input,           \
                                      ptrdiff_t begin, ptrdiff_t end);

FT_DECLARE_POOL(f32, float)
FT_DECLARE_POOL(f64, double)

#endif
