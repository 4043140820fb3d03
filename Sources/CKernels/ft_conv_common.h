#ifndef FT_CONV_COMMON_H
#define FT_CONV_COMMON_H

// What forward and gradients share: scratch memory, slices of images, and the shapes of the blocked algorithms.
#include "ft_conv_blocked.h"
#include "ft_conv_im2col.h"
#include "ft_conv_winograd.h"

/// Blocked copies of a slice of images should stay in the caches.
enum { SLICE_BYTES = 6 * 1024 * 1024 };
/// Fewer input channels than this would mostly be filling in the blocked layout.
enum { FEW_CHANNELS = 12 };

static inline ptrdiff_t plane_of(const ptrdiff_t *spatial) { return spatial[0] * spatial[1] * spatial[2]; }

static inline ptrdiff_t blocked_floats(ptrdiff_t channels, ptrdiff_t positions) {
    return ft_round_up(channels, FT_BLOCK) * positions;
}

// MARK: - Scratch memory

/// Hands out pieces of scratch memory; without a base it only counts.
typedef struct {
    char *base;
    size_t used;
} arena;

static inline float *take(arena *a, ptrdiff_t floats) {
    float *piece = a->base == NULL ? NULL : (float *)(a->base + a->used);
    a->used += (size_t)ft_round_up(floats, FT_BLOCK) * sizeof(float);
    return piece;
}

/// Images at a time: as many as fit, in equal slices, at least one per thread.
static inline ptrdiff_t slice_size(ptrdiff_t batch, ptrdiff_t image_floats, ptrdiff_t limit, int threads) {
    ptrdiff_t most = ft_max(limit / ft_max(image_floats * (ptrdiff_t)sizeof(float), 1), threads);
    ptrdiff_t slices = ft_divide_up(ft_max(batch, 1), most);
    return ft_divide_up(ft_max(batch, 1), slices);
}

// MARK: - Shapes of the blocked algorithms

static inline bool is_image(const ft_conv_shape *s) {
    return s->input[0] == 1 && s->kernel[0] == 1 && s->output[0] == 1 && s->pad[0] == 0
        && s->kernel[1] * s->kernel[2] <= FT_MAX_TAPS;
}

static inline bool is_depthwise(const ft_conv_shape *s) {
    return is_image(s) && s->groups > 1 && s->groups == s->in_channels && s->groups == s->out_channels;
}

static inline bool has_few_channels(const ft_conv_shape *s) {
    return s->in_channels < FEW_CHANNELS && s->kernel[2] > 1;
}

static inline bool fits_winograd(const ft_conv_shape *s) {
    for (int axis = 1; axis < 3; axis++) {
        if (s->kernel[axis] != 3 || s->stride[axis] != 1 || s->dilation[axis] != 1) return false;
    }
    return is_image(s) && s->groups == 1 && s->in_channels >= FT_BLOCK && s->out_channels >= FT_BLOCK;
}

/// Floats of transformed weights from which on they are transformed anew at each use, where they are packed once and
/// where they are not.
enum { WIDE_PACKED = 2 << 20, WIDE_UNPACKED = 1 << 20 };

static inline bool is_wide(const ft_conv_shape *s, bool packed) {
    return s->in_channels * s->out_channels * FT_WINOGRAD_POINTS > (packed ? WIDE_PACKED : WIDE_UNPACKED);
}

/// Estimates both algorithms per pair of channels, in nanoseconds of a core with AVX-512; only the ratio matters.
/// Winograd saves products and costs transforms of its weights, unless they are `packed`.
static inline bool prefers_winograd(const ft_conv_shape *s, bool packed) {
    if (!fits_winograd(s)) return false;
    double positions = (double)(s->batch * plane_of(s->output));
    double tiles = (double)(s->batch * ft_divide_up(s->output[1], 4) * ft_divide_up(s->output[2], 4));
    double direct = 0.15 * positions + (packed ? 0 : 5);
    // A product tile has 14 rows even if fewer are needed.
    double winograd = 0.87 * (double)ft_round_up((ptrdiff_t)tiles, 14) + (packed && !is_wide(s, true) ? 0 : 10);
    return winograd < direct;
}

static inline ft_winograd_shape winograd_shape(const ft_conv_shape *s, ptrdiff_t batch) {
    return (ft_winograd_shape){
        batch, s->in_channels, s->out_channels, s->input[1], s->input[2], s->output[1], s->output[2],
        {s->pad[1], s->pad[2]},
    };
}

static inline ft_direct_shape direct_shape(const ft_conv_shape *s, ptrdiff_t batch) {
    ft_direct_shape d = {
        .batch = batch, .in_channels = s->in_channels, .out_channels = s->out_channels, .in_height = s->input[1],
        .in_width = s->input[2], .out_height = s->output[1], .out_width = s->output[2], .rows = s->output[1],
        .columns = s->output[2], .step = {s->stride[1], s->stride[2]}, .out_step = {1, 1},
    };
    for (ptrdiff_t kh = 0; kh < s->kernel[1]; kh++) {
        for (ptrdiff_t kw = 0; kw < s->kernel[2]; kw++, d.taps++) {
            d.tap[d.taps][0] = kh * s->dilation[1] - s->pad[1];
            d.tap[d.taps][1] = kw * s->dilation[2] - s->pad[2];
        }
    }
    bool pointwise = d.taps == 1 && s->stride[1] == 1 && s->stride[2] == 1 && s->pad[1] == 0 && s->pad[2] == 0;
    if (pointwise && s->input[1] == s->output[1] && s->input[2] == s->output[2]) {
        // Lines do not matter: all of an image is one.
        d.columns *= d.rows;
        d.in_width = d.out_width = d.columns;
        d.rows = d.in_height = d.out_height = 1;
    }
    return d;
}

// MARK: - Layouts of the caller's images

/// `ft_unblock_f32` with an epilogue; the residual is laid out as y.
void ft_unblock_finish(
    const float *blocked, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *y, const ft_finish *finish,
    int threads);

/// How the caller's images become blocked ones.
typedef enum { USE_BLOCKED, COPY_BLOCKED, COPY_UNROLLED } input_form;

static inline input_form form_of_input(ft_conv_algorithm algorithm, bool x_blocked) {
    if (algorithm == FT_CONV_FEW_CHANNELS) return COPY_UNROLLED;
    return x_blocked ? USE_BLOCKED : COPY_BLOCKED;
}

/// Floats of a copied image.
static inline ptrdiff_t copied_floats(const ft_conv_shape *s, input_form form) {
    switch (form) {
    case USE_BLOCKED: return 0;
    case COPY_BLOCKED: return blocked_floats(s->in_channels, plane_of(s->input));
    case COPY_UNROLLED: return ft_unrolled_floats(s);
    }
    return 0;
}

static inline const float *blocked_input(
    const ft_conv_shape *s, input_form form, ptrdiff_t batch, const float *x, float *copy, float *scratch,
    int threads) {
    if (form == COPY_BLOCKED) ft_block_f32(x, batch, s->in_channels, plane_of(s->input), copy, threads);
    if (form == COPY_UNROLLED) ft_unroll(s, ft_conv_kernels_get(), batch, x, copy, scratch, threads);
    return form == USE_BLOCKED ? x : copy;
}

static inline ft_direct_shape shape_of_direct(const ft_conv_shape *s, ft_conv_algorithm algorithm, ptrdiff_t batch) {
    return algorithm == FT_CONV_FEW_CHANNELS ? ft_unrolled_shape(s, batch) : direct_shape(s, batch);
}

#endif
