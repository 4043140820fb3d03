// Entry points of convolution: each chooses an algorithm for the shape, brings slices of images into the blocked layout
// where the caller's is not, and back.
#include "ft_conv_common.h"

#include <string.h>

// MARK: - Packed weights

ft_conv_algorithm ft_conv_choose(const ft_conv_shape *s) {
    if (!is_image(s)) return FT_CONV_IM2COL;
    if (s->groups > 1) return is_depthwise(s) ? FT_CONV_DEPTHWISE : FT_CONV_IM2COL;
    if (prefers_winograd(s, true)) return is_wide(s, true) ? FT_CONV_WINOGRAD_WIDE : FT_CONV_WINOGRAD;
    return has_few_channels(s) ? FT_CONV_FEW_CHANNELS : FT_CONV_DIRECT;
}

const char *ft_conv_algorithm_name(ft_conv_algorithm algorithm) {
    switch (algorithm) {
    case FT_CONV_IM2COL: return "patches x BLAS";
    case FT_CONV_DIRECT: return "implicit GEMM";
    case FT_CONV_FEW_CHANNELS: return "implicit GEMM, few channels";
    case FT_CONV_WINOGRAD: return "Winograd F(4x4, 3x3)";
    case FT_CONV_WINOGRAD_WIDE: return "Winograd F(4x4, 3x3), wide";
    case FT_CONV_DEPTHWISE: return "depthwise direct";
    }
    return "unknown";
}

bool ft_conv_reads_blocked(ft_conv_algorithm algorithm) {
    return algorithm != FT_CONV_IM2COL && algorithm != FT_CONV_FEW_CHANNELS;
}

bool ft_conv_writes_blocked(ft_conv_algorithm algorithm) { return algorithm != FT_CONV_IM2COL; }

bool ft_conv_reads_plain_weights(ft_conv_algorithm algorithm) {
    return algorithm == FT_CONV_IM2COL || algorithm == FT_CONV_WINOGRAD_WIDE;
}

size_t ft_conv_packed_floats(const ft_conv_shape *s, ft_conv_algorithm algorithm) {
    ptrdiff_t taps = plane_of(s->kernel);
    ft_winograd_shape winograd = winograd_shape(s, s->batch);
    switch (algorithm) {
    case FT_CONV_IM2COL:
    case FT_CONV_WINOGRAD_WIDE: return (size_t)(s->out_channels * (s->in_channels / s->groups) * taps);
    case FT_CONV_DIRECT:
    case FT_CONV_FEW_CHANNELS: return (size_t)(s->in_channels * taps * ft_round_up(s->out_channels, FT_BLOCK));
    case FT_CONV_WINOGRAD: return (size_t)ft_winograd_weight_floats(&winograd);
    case FT_CONV_DEPTHWISE: return (size_t)(ft_round_up(s->out_channels, FT_BLOCK) * taps);
    }
    return 0;
}

void ft_conv_pack(
    const ft_conv_shape *s, ft_conv_algorithm algorithm, const float *w, float *packed, int threads) {
    const ft_conv_kernels *kernels = ft_conv_kernels_get();
    ptrdiff_t taps = plane_of(s->kernel);
    switch (algorithm) {
    case FT_CONV_IM2COL:
    case FT_CONV_WINOGRAD_WIDE: memcpy(packed, w, ft_conv_packed_floats(s, algorithm) * sizeof(float)); break;
    case FT_CONV_FEW_CHANNELS: ft_unrolled_pack(s, kernels, w, packed); break;
    case FT_CONV_DIRECT: {
        ft_direct_weights all = {.shape = direct_shape(s, s->batch), .packed = packed};
        for (int t = 0; t < all.shape.taps; t++) all.tap_index[t] = t;
        ft_direct_pack(&all, 1, kernels, w, s->in_channels * taps, taps, taps, threads);
        break;
    }
    case FT_CONV_WINOGRAD: {
        ft_winograd_shape winograd = winograd_shape(s, s->batch);
        ft_winograd_pack(&winograd, kernels, w, s->in_channels * TAPS, TAPS, false, packed, threads);
        break;
    }
    case FT_CONV_DEPTHWISE:
        for (ptrdiff_t c = 0; c < s->out_channels; c += FT_BLOCK) {
            kernels->gather_taps(
                w + c * taps, taps, taps, ft_min(FT_BLOCK, s->out_channels - c), 1, taps, packed + c * taps);
        }
        break;
    }
}

// MARK: - Forward

static const ft_finish no_finish;

/// The algorithm when the weights are packed for one call only.
static ft_conv_algorithm choose_unpacked(const ft_conv_shape *s) {
    ft_conv_algorithm algorithm = ft_conv_choose(s);
    if (algorithm != FT_CONV_WINOGRAD && algorithm != FT_CONV_WINOGRAD_WIDE) return algorithm;
    if (!prefers_winograd(s, false)) return FT_CONV_DIRECT;
    return is_wide(s, false) ? FT_CONV_WINOGRAD_WIDE : FT_CONV_WINOGRAD;
}

typedef struct {
    ptrdiff_t slice;
    float *bias, *x, *y, *scratch;
} run_memory;

static run_memory lay_out_run(
    const ft_conv_shape *s, ft_conv_algorithm algorithm, bool x_blocked, bool y_blocked, int threads, arena *a) {
    const ft_conv_kernels *kernels = ft_conv_kernels_get();
    run_memory m = {0};
    if (algorithm == FT_CONV_IM2COL) {
        m.scratch = take(a, (ptrdiff_t)(ft_im2col_workspace(s, threads, sizeof(float)) / sizeof(float)));
        return m;
    }
    if (algorithm == FT_CONV_WINOGRAD || algorithm == FT_CONV_WINOGRAD_WIDE) {
        ft_winograd_shape winograd = winograd_shape(s, s->batch);
        m.bias = take(a, ft_round_up(s->out_channels, FT_BLOCK));
        bool wide = algorithm == FT_CONV_WINOGRAD_WIDE;
        m.scratch = take(
            a, wide ? ft_winograd_wide_scratch(&winograd, kernels, threads)
                    : ft_winograd_scratch(&winograd, kernels, threads) * threads);
        return m;
    }
    ptrdiff_t in = copied_floats(s, form_of_input(algorithm, x_blocked));
    ptrdiff_t out = y_blocked ? 0 : blocked_floats(s->out_channels, plane_of(s->output));
    m.slice = in + out == 0 ? ft_max(s->batch, 1) : slice_size(s->batch, in + out, SLICE_BYTES, threads);
    m.bias = take(a, ft_round_up(s->out_channels, FT_BLOCK));
    m.x = take(a, in * m.slice);
    m.y = take(a, out * m.slice);
    // A plan for fewer images may need smaller tasks but never more memory per thread than the largest task.
    ptrdiff_t scratch = algorithm == FT_CONV_FEW_CHANNELS ? ft_unroll_scratch(s) : 0;
    for (ptrdiff_t batch = m.slice; batch > 0; batch = batch == m.slice ? s->batch % m.slice : 0) {
        ptrdiff_t size = 0;
        if (algorithm != FT_CONV_DEPTHWISE) {
            ft_direct_shape d = shape_of_direct(s, algorithm, batch);
            size = ft_direct_plan_make(&d, kernels, threads).scratch;
        }
        scratch = ft_max(scratch, size);
    }
    m.scratch = take(a, scratch * threads);
    return m;
}

size_t ft_conv_run_workspace(
    const ft_conv_shape *s, ft_conv_algorithm algorithm, bool x_blocked, bool y_blocked, int threads) {
    arena a = {0};
    lay_out_run(s, algorithm, x_blocked, y_blocked, threads, &a);
    return a.used;
}

typedef struct {
    const ft_conv_shape *shape;
    const float *x, *w;
    const ft_finish *finish;
    float *y;
    ptrdiff_t blocks, bands, band;
} depthwise_job;

static void depthwise_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const depthwise_job *job = context;
    const ft_conv_shape *s = job->shape;
    ptrdiff_t band = task % job->bands, index = task / job->bands, block = index % job->blocks;
    ptrdiff_t offset = index * plane_of(s->output) * FT_BLOCK;
    ft_finish finish = *job->finish;
    if (finish.bias != NULL) finish.bias += block * FT_BLOCK;
    if (finish.residual != NULL) finish.residual += offset;
    ft_conv_kernels_get()->depthwise(
        s, job->x + index * plane_of(s->input) * FT_BLOCK, job->w + block * plane_of(s->kernel) * FT_BLOCK,
        band * job->band, ft_min(s->output[1], (band + 1) * job->band), job->y + offset, &finish);
}

static void run_depthwise(
    const ft_conv_shape *s, ptrdiff_t batch, const float *x, const float *w, const ft_finish *finish, float *y,
    int threads) {
    ptrdiff_t blocks = ft_divide_up(s->out_channels, FT_BLOCK);
    ptrdiff_t bands = batch * blocks >= threads ? 1 : ft_min(threads, s->output[1]);
    ptrdiff_t band = ft_divide_up(s->output[1], bands);
    depthwise_job job = {s, x, w, finish, y, blocks, ft_divide_up(s->output[1], band), band};
    ft_parallel_for_threads(threads, batch * blocks * job.bands, depthwise_task, &job);
}

/// One slice of images, y blocked.
static void run_slice(
    const ft_conv_shape *s, ft_conv_algorithm algorithm, ptrdiff_t batch, const float *x, const float *packed,
    const ft_finish *finish, float *y, float *scratch, int threads) {
    const ft_conv_kernels *kernels = ft_conv_kernels_get();
    if (algorithm == FT_CONV_DEPTHWISE) {
        run_depthwise(s, batch, x, packed, finish, y, threads);
    } else {
        ft_direct_shape d = shape_of_direct(s, algorithm, batch);
        ft_direct_run(&d, kernels, x, packed, finish, y, scratch, threads);
    }
}

static ft_finish make_finish(const ft_conv_shape *s, const ft_conv_epilogue *e, float *bias) {
    ft_finish finish = {0};
    if (e == NULL) return finish;
    if (e->bias != NULL) {
        memset(bias, 0, (size_t)ft_round_up(s->out_channels, FT_BLOCK) * sizeof(float));
        memcpy(bias, e->bias, (size_t)s->out_channels * sizeof(float));
        finish.bias = bias;
    }
    finish.residual = e->residual;
    finish.clip = e->clip;
    finish.low = (float)e->low;
    finish.high = (float)e->high;
    return finish;
}

void ft_conv_run(
    const ft_conv_shape *s, ft_conv_algorithm algorithm, const float *x, bool x_blocked, const float *packed,
    const ft_conv_epilogue *epilogue, float *y, bool y_blocked, void *workspace, int threads) {
    arena a = {workspace, 0};
    run_memory m = lay_out_run(s, algorithm, x_blocked, y_blocked, threads, &a);
    if (algorithm == FT_CONV_IM2COL) {
        ft_im2col_forward_f32(s, x, packed, epilogue, y, m.scratch, threads);
        return;
    }
    ft_finish finish = make_finish(s, epilogue, m.bias);
    if (algorithm == FT_CONV_WINOGRAD) {
        ft_winograd_shape winograd = winograd_shape(s, s->batch);
        ft_winograd_run(
            &winograd, ft_conv_kernels_get(), x, x_blocked, packed, &finish, y, y_blocked, m.scratch, threads);
        return;
    }
    if (algorithm == FT_CONV_WINOGRAD_WIDE) {
        ft_winograd_shape winograd = winograd_shape(s, s->batch);
        ft_winograd_weights weights = {packed, s->in_channels * TAPS, TAPS, false};
        ft_winograd_wide_run(
            &winograd, ft_conv_kernels_get(), x, x_blocked, &weights, &finish, y, y_blocked, m.scratch, threads);
        return;
    }
    input_form form = form_of_input(algorithm, x_blocked);
    ptrdiff_t in_plane = plane_of(s->input), out_plane = plane_of(s->output);
    ptrdiff_t in_image = x_blocked ? blocked_floats(s->in_channels, in_plane) : s->in_channels * in_plane;
    ptrdiff_t out_image = y_blocked ? blocked_floats(s->out_channels, out_plane) : s->out_channels * out_plane;
    for (ptrdiff_t image = 0; image < s->batch; image += m.slice) {
        ptrdiff_t batch = ft_min(m.slice, s->batch - image);
        const float *from = blocked_input(s, form, batch, x + image * in_image, m.x, m.scratch, threads);
        float *to = y + image * out_image;
        ft_finish sliced = finish;
        if (finish.residual != NULL) sliced.residual += image * out_image;
        if (y_blocked) {
            run_slice(s, algorithm, batch, from, packed, &sliced, to, m.scratch, threads);
        } else {
            run_slice(s, algorithm, batch, from, packed, &no_finish, m.y, m.scratch, threads);
            ft_unblock_finish(m.y, batch, s->out_channels, out_plane, to, &sliced, threads);
        }
    }
}

/// Weights packed for one call, where the algorithm does not take them as they are, and the memory of `ft_conv_run`.
static float *lay_out_forward(
    const ft_conv_shape *s, ft_conv_algorithm algorithm, bool x_blocked, bool y_blocked, int threads, arena *a) {
    bool plain = ft_conv_reads_plain_weights(algorithm);
    float *packed = take(a, plain ? 0 : (ptrdiff_t)ft_conv_packed_floats(s, algorithm));
    arena run = *a;
    lay_out_run(s, algorithm, x_blocked, y_blocked, threads, &run);
    if (a->base == NULL) *a = run;
    return packed;
}

static void run_unpacked(
    const ft_conv_shape *s, ft_conv_algorithm algorithm, const float *x, bool x_blocked, const float *w,
    const ft_conv_epilogue *epilogue, float *y, bool y_blocked, void *workspace, int threads) {
    arena a = {workspace, 0};
    float *packed = lay_out_forward(s, algorithm, x_blocked, y_blocked, threads, &a);
    bool plain = ft_conv_reads_plain_weights(algorithm);
    if (!plain) ft_conv_pack(s, algorithm, w, packed, threads);
    ft_conv_run(
        s, algorithm, x, x_blocked, plain ? w : packed, epilogue, y, y_blocked, a.base + a.used, threads);
}

size_t ft_conv_forward_workspace_f32(const ft_conv_shape *s, int threads) {
    arena a = {0};
    lay_out_forward(s, choose_unpacked(s), false, false, threads, &a);
    return a.used;
}

void ft_conv_forward_f32(
    const ft_conv_shape *s, const float *x, const float *w, const ft_conv_epilogue *epilogue, float *y,
    void *workspace, int threads) {
    run_unpacked(s, choose_unpacked(s), x, false, w, epilogue, y, false, workspace, threads);
}

ft_conv_algorithm ft_conv_choose_blocked(const ft_conv_shape *s, bool x_blocked) {
    ft_conv_algorithm algorithm = choose_unpacked(s);
    return algorithm == FT_CONV_FEW_CHANNELS && x_blocked ? FT_CONV_DIRECT : algorithm;
}

size_t ft_conv_forward_blocked_workspace_f32(const ft_conv_shape *s, bool x_blocked, int threads) {
    arena a = {0};
    lay_out_forward(s, ft_conv_choose_blocked(s, x_blocked), x_blocked, true, threads, &a);
    return a.used;
}

void ft_conv_forward_blocked_f32(
    const ft_conv_shape *s, const float *x, bool x_blocked, const float *w, float *y, void *workspace, int threads) {
    run_unpacked(
        s, ft_conv_choose_blocked(s, x_blocked), x, x_blocked, w, NULL, y, true, workspace, threads);
}
