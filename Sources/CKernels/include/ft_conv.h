#ifndef FT_CONV_H
#define FT_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Channels travel in blocks of this many: a blocked image is [channel block][position][FT_BLOCK], the last block
/// filled up with zeros.
enum { FT_BLOCK = 16 };

/// Sizes of a convolution over three spatial axes (depth, height, width); unused leading axes have size 1, kernel 1,
/// stride 1, dilation 1 and no padding.
/// x: [batch, in_channels, input...], w: [out_channels, in_channels / groups, kernel...],
/// y: [batch, out_channels, output...]. Padding after the last element is implied by `output`.
typedef struct {
    ptrdiff_t batch, in_channels, out_channels, groups;
    ptrdiff_t input[3], kernel[3], stride[3], dilation[3], pad[3], output[3];
} ft_conv_shape;

/// What happens to a convolution's sum before it is stored: y = clip(sum + bias[channel] + residual, low, high).
typedef struct {
    /// [out_channels] or NULL.
    const void *bias;
    /// Laid out as y, or NULL. May be y itself.
    const void *residual;
    bool clip;
    double low, high;
} ft_conv_epilogue;

// Every call below is given scratch memory: 64-byte aligned, of the size that the function of the same name with
// `_workspace` returns for the same shape and number of threads.

/// y = conv(x, w), then the epilogue.
size_t ft_conv_forward_workspace_f32(const ft_conv_shape *shape, int threads);
void ft_conv_forward_f32(
    const ft_conv_shape *shape, const float *x, const float *w, const ft_conv_epilogue *epilogue, float *y,
    void *workspace, int threads);
size_t ft_conv_forward_workspace_f64(const ft_conv_shape *shape, int threads);
void ft_conv_forward_f64(
    const ft_conv_shape *shape, const double *x, const double *w, const ft_conv_epilogue *epilogue, double *y,
    void *workspace, int threads);

/// Gradient of the input, shaped like x, from the gradient of y.
size_t ft_conv_grad_input_workspace_f32(const ft_conv_shape *shape, int threads);
void ft_conv_grad_input_f32(
    const ft_conv_shape *shape, const float *grad_output, const float *w, float *grad_input, void *workspace,
    int threads);
size_t ft_conv_grad_input_workspace_f64(const ft_conv_shape *shape, int threads);
void ft_conv_grad_input_f64(
    const ft_conv_shape *shape, const double *grad_output, const double *w, double *grad_input, void *workspace,
    int threads);

/// Gradient of the weight, shaped like w.
size_t ft_conv_grad_weight_workspace_f32(const ft_conv_shape *shape, int threads);
void ft_conv_grad_weight_f32(
    const ft_conv_shape *shape, const float *x, const float *grad_output, float *grad_weight, void *workspace,
    int threads);
size_t ft_conv_grad_weight_workspace_f64(const ft_conv_shape *shape, int threads);
void ft_conv_grad_weight_f64(
    const ft_conv_shape *shape, const double *x, const double *grad_output, double *grad_weight, void *workspace,
    int threads);

/// grad_bias[channel]: sum of grad_output over images and positions.
void ft_conv_grad_bias_f32(const ft_conv_shape *shape, const float *grad_output, float *grad_bias);
void ft_conv_grad_bias_f64(const ft_conv_shape *shape, const double *grad_output, double *grad_bias);

// MARK: - Weights packed once

/// How a convolution is computed.
typedef enum {
    /// Gathered patches times BLAS: any shape.
    FT_CONV_IM2COL,
    /// Own products over channels in blocks of 16.
    FT_CONV_DIRECT,
    /// The same for few input channels, which are not blocked.
    FT_CONV_FEW_CHANNELS,
    /// Winograd F(4x4, 3x3): 3x3, stride 1.
    FT_CONV_WINOGRAD,
    /// The same with weights transformed when they are needed: many channels.
    FT_CONV_WINOGRAD_WIDE,
    /// One input channel per output channel.
    FT_CONV_DEPTHWISE,
} ft_conv_algorithm;

/// The fastest algorithm for a shape.
ft_conv_algorithm ft_conv_choose(const ft_conv_shape *shape);
/// For people.
const char *ft_conv_algorithm_name(ft_conv_algorithm algorithm);

/// Whether x and y may be blocked: [image, channels / 16, spatial..., 16], filled up with zero channels.
/// Blocked arrays are 64-byte aligned.
bool ft_conv_reads_blocked(ft_conv_algorithm algorithm);
bool ft_conv_writes_blocked(ft_conv_algorithm algorithm);

/// Whether the algorithm takes weights as they are in the place of packed ones.
bool ft_conv_reads_plain_weights(ft_conv_algorithm algorithm);
/// Floats that `ft_conv_pack` writes.
size_t ft_conv_packed_floats(const ft_conv_shape *shape, ft_conv_algorithm algorithm);
void ft_conv_pack(
    const ft_conv_shape *shape, ft_conv_algorithm algorithm, const float *w, float *packed, int threads);

/// `ft_conv_forward_f32` with packed weights; `x_blocked` and `y_blocked` tell the layouts.
size_t ft_conv_run_workspace(
    const ft_conv_shape *shape, ft_conv_algorithm algorithm, bool x_blocked, bool y_blocked, int threads);
void ft_conv_run(
    const ft_conv_shape *shape, ft_conv_algorithm algorithm, const float *x, bool x_blocked, const float *packed,
    const ft_conv_epilogue *epilogue, float *y, bool y_blocked, void *workspace, int threads);

// MARK: - Blocked images, weights that change: two spatial axes, no groups

/// Elements of a kernel at most.
enum { FT_MAX_BLOCKED_TAPS = 64 };

/// `ft_conv_forward_f32` without an epilogue, y blocked; x is blocked or not.
size_t ft_conv_forward_blocked_workspace_f32(const ft_conv_shape *shape, bool x_blocked, int threads);
void ft_conv_forward_blocked_f32(
    const ft_conv_shape *shape, const float *x, bool x_blocked, const float *w, float *y, void *workspace, int threads);
/// The algorithm that runs then.
ft_conv_algorithm ft_conv_choose_blocked(const ft_conv_shape *shape, bool x_blocked);

/// `ft_conv_grad_input_f32` with blocked gradients; with `add` the result is added to grad_input.
size_t ft_conv_grad_input_blocked_workspace_f32(const ft_conv_shape *shape, int threads);
void ft_conv_grad_input_blocked_f32(
    const ft_conv_shape *shape, const float *grad_output, const float *w, bool add, float *grad_input, void *workspace,
    int threads);

/// `ft_conv_grad_weight_f32` with grad_output blocked; x is blocked or not.
size_t ft_conv_grad_weight_blocked_workspace_f32(const ft_conv_shape *shape, bool x_blocked, int threads);
void ft_conv_grad_weight_blocked_f32(
    const ft_conv_shape *shape, const float *x, bool x_blocked, const float *grad_output, float *grad_weight,
    void *workspace, int threads);

// MARK: - Between convolutions, in the blocked layout

/// Largest element of each of the shape's windows over images of `in_channels` channels; NaN is larger than every number.
void ft_max_pool_blocked_f32(const ft_conv_shape *shape, const float *x, float *y, int threads);
/// The same, with the kernel position of each maximum, and the gradient: x = g added up at these places.
/// At most 255 kernel positions.
void ft_max_pool_places_blocked_f32(
    const ft_conv_shape *shape, const float *x, float *y, uint8_t *places, int threads);
void ft_max_pool_gradient_blocked_f32(
    const ft_conv_shape *shape, const uint8_t *places, const float *g, float *x, int threads);
/// y: [images, channels], the mean over positions; not blocked.
void ft_global_average_blocked_f32(
    const float *x, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *y, int threads);
/// Its gradient: x = g / positions, blocked. g: [images, channels].
void ft_global_average_gradient_blocked_f32(
    const float *g, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *x, int threads);
/// y = a + b, limited by `epilogue`; y may be a or b. `count` is a multiple of 16.
void ft_add_blocked_f32(
    const float *a, const float *b, ptrdiff_t count, const ft_conv_epilogue *epilogue, float *y, int threads);

/// [images, channels, positions] to blocked layout and back.
void ft_block_f32(
    const float *x, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *blocked, int threads);
void ft_unblock_f32(
    const float *blocked, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *y, int threads);

#endif
