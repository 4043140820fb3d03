#ifndef FT_AFFINE_H
#define FT_AFFINE_H

#include <stdbool.h>
#include <stddef.h>

// What stands between convolutions while training, on blocked images (see ft_conv.h): batch normalisation, sums and ReLU
// as one function y = relu(x0 * factor0 + offset0 + x1 * factor1 + offset1), and its gradients.
//
// Arrays per channel are filled up to whole blocks; `channels` of images are rounded up likewise.

/// One operand; without a factor it is taken as it is.
typedef struct {
    const float *x, *factor, *offset;
} ft_affine_operand;

/// Sum of one or two operands (the second one's x may be NULL), no less than 0 with `relu`.
typedef struct {
    ft_affine_operand operand[2];
    bool relu;
} ft_affine_sum;

/// Bytes of workspace for the functions that sum over images.
size_t ft_affine_workspace_f32(ptrdiff_t images, ptrdiff_t channels);

/// Mean and biased variance of each channel.
void ft_channel_moments_blocked_f32(
    const float *x, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *mean, float *variance,
    void *workspace, int threads);

void ft_affine_sum_f32(
    const ft_affine_sum *sum, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *y, int threads);

/// With g' = g where the sum is larger than 0 (everywhere without `relu`): total = Σ g' and product = Σ g' (x0 - mean)
/// of each channel. With `store`, g becomes g'. Without a mean only that is done.
void ft_affine_gradient_sums_f32(
    const ft_affine_sum *sum, float *g, bool store, const float *mean, ptrdiff_t images, ptrdiff_t channels,
    ptrdiff_t positions, float *total, float *product, void *workspace, int threads);

/// x0 = factor0 * (g' - shift - (x0 - mean) * slope): the gradient of x0, where it lies.
void ft_affine_gradient_f32(
    const ft_affine_sum *sum, const float *g, const float *mean, const float *shift, const float *slope,
    ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *x0, int threads);

#endif
