#ifndef FT_NORM_H
#define FT_NORM_H

#include <stddef.h>
#include <stdint.h>

// Normalisations of x: [batch, channels, inner] (per channel) and x: [rows, width] (per row).

#define FT_DECLARE_NORM(F, T)                                                                                          \
    /* y = x * factor[c] + offset[c], for planes [begin, end) of batch * channels. */                                  \
    void ft_channel_affine_##F(ptrdiff_t channels, ptrdiff_t inner, const T *x, const T *factor, const T *offset,      \
                               T *y, ptrdiff_t begin, ptrdiff_t end);                                                  \
    /* Mean and biased variance of each channel in [begin, end). */                                                    \
    void ft_channel_statistics_##F(ptrdiff_t batch, ptrdiff_t channels, ptrdiff_t inner, const T *x, T *mean,          \
                                   T *variance, ptrdiff_t begin, ptrdiff_t end);                                       \
    /* Gradients of y = (x - mean) * inv_std * scale + bias, mean and inv_std being x's own; for channels */           \
    /* [begin, end). grad_x may be null. */                                                                            \
    void ft_batch_norm_gradient_##F(ptrdiff_t batch, ptrdiff_t channels, ptrdiff_t inner, const T *x,                  \
                                    const T *grad_output, const T *mean, const T *inv_std, const T *scale, T *grad_x,  \
                                    T *grad_scale, T *grad_bias, ptrdiff_t begin, ptrdiff_t end);                      \
    /* y = (x - mean) * inv_std * scale + bias by row; scale: [width], bias: [width] or null; rows [begin, end). */    \
    void ft_layer_norm_##F(ptrdiff_t width, T epsilon, const T *x, const T *scale, const T *bias, T *y, T *mean,       \
                           T *inv_std, ptrdiff_t begin, ptrdiff_t end);                                                \
    /* Gradient with respect to x of the above. */                                                                     \
    void ft_layer_norm_gradient_##F(ptrdiff_t width, const T *x, const T *grad_output, const T *mean,                  \
                                    const T *inv_std, const T *scale, T *grad_x, ptrdiff_t begin, ptrdiff_t end);      \
    /* Gradients with respect to scale and bias, summed over all rows, for columns [begin, end). */                    \
    void ft_layer_norm_parameter_gradient_##F(ptrdiff_t rows, ptrdiff_t width, const T *x, const T *grad_output,       \
                                              const T *mean, const T *inv_std, T *grad_scale, T *grad_bias,            \
                                              ptrdiff_t begin, ptrdiff_t end);                                         \
    /* y = x / (bias + alpha / size * sum of squares over `size` channels around)^beta, for images [begin, end). */    \
    void ft_local_response_norm_##F(ptrdiff_t channels, ptrdiff_t inner, ptrdiff_t size, T alpha, T beta, T bias,      \
                                    const T *x, T *y, ptrdiff_t begin, ptrdiff_t end);

FT_DECLARE_NORM(f32, float)
FT_DECLARE_NORM(f64, double)

#endif
