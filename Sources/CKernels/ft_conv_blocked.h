#ifndef FT_CONV_BLOCKED_H
#define FT_CONV_BLOCKED_H

#include "ft_conv_simd.h"

// Convolutions of images whose channels are blocked: [image][channel block][row][column][FT_BLOCK].

enum { FT_MAX_TAPS = FT_MAX_BLOCKED_TAPS };

/// Where a product's rows are read and written. Row (n, i, j) sums over taps t the input at
/// (i * step[0] + tap[t][0], j * step[1] + tap[t][1]), zero outside, and is stored at
/// (i * out_step[0] + out_origin[0], j * out_step[1] + out_origin[1]) of the output plane.
typedef struct {
    ptrdiff_t batch, in_channels, out_channels;
    ptrdiff_t in_height, in_width, out_height, out_width;
    ptrdiff_t rows, columns;
    ptrdiff_t step[2], out_step[2], out_origin[2];
    int taps;
    ptrdiff_t tap[FT_MAX_TAPS][2];
} ft_direct_shape;

/// How rows are cut into tasks.
typedef struct {
    /// Blocks of 16 inner channels, over all taps, and how many are gathered at a time.
    ptrdiff_t blocks, block_step;
    ft_inner_blocks inner;
    /// Rows per task and number of such tasks, output panels per task and number of such splits.
    ptrdiff_t row_step, row_tasks, panel_step, panel_tasks;
    ptrdiff_t panels, out_padded;
    /// Floats of scratch memory per thread.
    ptrdiff_t scratch;
} ft_direct_plan;

ft_direct_plan ft_direct_plan_make(const ft_direct_shape *shape, const ft_conv_kernels *kernels, int threads);

/// Packed weights: [panel][tap][in channel][columns], the last panel possibly one block wide.
ptrdiff_t ft_direct_weight_floats(const ft_direct_shape *shape);
typedef struct {
    ft_direct_shape shape;
    /// Where the shape's taps are in w's kernel.
    int tap_index[FT_MAX_TAPS];
    float *packed;
} ft_direct_weights;
/// Packs the weights of products that use the same channels and different taps of one kernel:
/// w[out * out_stride + in * in_stride + tap].
void ft_direct_pack(
    const ft_direct_weights *parts, int count, const ft_conv_kernels *kernels, const float *w, ptrdiff_t out_stride,
    ptrdiff_t in_stride, ptrdiff_t kernel_taps, int threads);

void ft_direct_run(
    const ft_direct_shape *shape, const ft_conv_kernels *kernels, const float *x, const float *packed,
    const ft_finish *finish, float *y, float *scratch, int threads);

/// Gradient of the weight, w[out * out_stride + in * in_stride + tap]; `accumulators` holds
/// `ft_direct_grad_weight_floats` floats, `scratch` `ft_direct_grad_weight_scratch` per thread. grad_output is blocked.
/// With `first` the accumulators are overwritten, else added to.
ptrdiff_t ft_direct_grad_weight_floats(const ft_direct_shape *shape);
ptrdiff_t ft_direct_grad_weight_scratch(const ft_direct_shape *shape, int threads);
void ft_direct_grad_weight_add(
    const ft_direct_shape *shape, const ft_conv_kernels *kernels, const float *x, const float *grad_output,
    bool first, float *accumulators, float *scratch, int threads);
void ft_direct_grad_weight_store(
    const ft_direct_shape *shape, const ft_conv_kernels *kernels, const float *accumulators, ptrdiff_t out_stride,
    ptrdiff_t in_stride, float *grad_weight, float *scratch, int threads);

/// Few input channels, which blocks would mostly fill with zeros: columns of the kernel count as channels. The unrolled
/// image [image][block][row][output column][16] holds in channel (c, kw) the input that tap kw meets.
ptrdiff_t ft_unrolled_floats(const ft_conv_shape *shape);
/// Floats of scratch memory per thread.
ptrdiff_t ft_unroll_scratch(const ft_conv_shape *shape);
void ft_unroll(
    const ft_conv_shape *shape, const ft_conv_kernels *kernels, ptrdiff_t batch, const float *x, float *unrolled,
    float *scratch, int threads);
/// The convolution over the unrolled image.
ft_direct_shape ft_unrolled_shape(const ft_conv_shape *shape, ptrdiff_t batch);
void ft_unrolled_pack(const ft_conv_shape *shape, const ft_conv_kernels *kernels, const float *w, float *packed);
void ft_unrolled_grad_weight_store(const ft_conv_shape *shape, const float *accumulators, float *grad_weight);

/// Gradients of a depthwise convolution of images that are not blocked; `scratch` holds `ft_depthwise_grad_scratch`
/// floats per thread.
ptrdiff_t ft_depthwise_grad_scratch(const ft_conv_shape *shape);
void ft_depthwise_grad_input(
    const ft_conv_shape *shape, const ft_conv_kernels *kernels, const float *grad_output, const float *w,
    float *grad_input, float *scratch, int threads);
void ft_depthwise_grad_weight(
    const ft_conv_shape *shape, const ft_conv_kernels *kernels, const float *x, const float *grad_output,
    float *grad_weight, float *scratch, int threads);

/// 3x3, stride 1, dilation 1: Winograd F(4x4, 3x3) over tiles of 4 x 4 outputs.
typedef struct {
    ptrdiff_t batch, in_channels, out_channels;
    ptrdiff_t in_height, in_width, out_height, out_width;
    /// Zero rows above and columns to the left; may be negative.
    ptrdiff_t pad[2];
} ft_winograd_shape;

/// Packed weights: [point][panel][in channel][columns].
ptrdiff_t ft_winograd_weight_floats(const ft_winograd_shape *shape);
void ft_winograd_pack(
    const ft_winograd_shape *shape, const ft_conv_kernels *kernels, const float *w, ptrdiff_t out_stride,
    ptrdiff_t in_stride, bool rotate, float *packed, int threads);
/// Floats of scratch memory per thread.
ptrdiff_t ft_winograd_scratch(const ft_winograd_shape *shape, const ft_conv_kernels *kernels, int threads);
/// x and y are blocked or [image][channel][row][column]; the residual is laid out as y.
void ft_winograd_run(
    const ft_winograd_shape *shape, const ft_conv_kernels *kernels, const float *x, bool x_blocked, const float *packed,
    const ft_finish *finish, float *y, bool y_blocked, float *scratch, int threads);

/// Floats from point to point of `floats` transformed ones. The points of a tile are written together: a stride that is a
/// multiple of a page would put them all into the same few lines of the cache.
static inline ptrdiff_t ft_winograd_point_stride(ptrdiff_t floats) {
    return ft_round_up(floats, 4 * FT_BLOCK) + FT_BLOCK;
}

/// As `ft_winograd_run` with weights w[out * out_stride + in * in_stride + tap], turned by 180 degrees with `rotate`: they
/// are transformed a few output channels at a time, for weights that would not stay in a cache. `scratch` holds
/// `ft_winograd_wide_scratch` floats for all threads.
typedef struct {
    const float *w;
    ptrdiff_t out_stride, in_stride;
    bool rotate;
} ft_winograd_weights;
ptrdiff_t ft_winograd_wide_scratch(const ft_winograd_shape *shape, const ft_conv_kernels *kernels, int threads);
void ft_winograd_wide_run(
    const ft_winograd_shape *shape, const ft_conv_kernels *kernels, const float *x, bool x_blocked,
    const ft_winograd_weights *weights, const ft_finish *finish, float *y, bool y_blocked, float *scratch, int threads);

/// Images of one operand: blocked or [image][channel][row][column].
typedef struct {
    const float *data;
    bool blocked;
    ptrdiff_t channels, height, width;
} ft_winograd_image;

/// Gradient of the weight, [out channel][in channel][3][3]. `scratch` holds `ft_winograd_grad_weight_scratch` floats for
/// all threads.
ptrdiff_t ft_winograd_grad_weight_scratch(const ft_winograd_shape *shape, int threads);
void ft_winograd_grad_weight(
    const ft_winograd_shape *shape, const ft_conv_kernels *kernels, const float *x, bool x_blocked,
    const float *grad_output, bool grad_blocked, float *grad_weight, float *scratch, int threads);
/// Floats of scratch memory per thread of `ft_direct_grad_weight_store`.
ptrdiff_t ft_grad_weight_store_scratch(int taps);

#endif
