// Entry points of convolution's gradients: each chooses an algorithm for the shape.
#include "ft_conv_common.h"

#include <string.h>

static const ft_finish no_finish;

// MARK: - Gradient of the input

/// The gradient of the input is a convolution of grad_output with the kernel turned by 180 degrees.
static ft_winograd_shape winograd_grad_shape(const ft_conv_shape *s, ptrdiff_t batch) {
    return (ft_winograd_shape){
        batch, s->out_channels, s->in_channels, s->output[1], s->output[2], s->input[1], s->input[2],
        {2 - s->pad[1], 2 - s->pad[2]},
    };
}

/// Input positions (phase[0] + stride * i, phase[1] + stride * j) meet the same taps, so that their gradients are a
/// convolution of stride 1 over grad_output. `tap_index` receives the kernel's taps that are met.
static ft_direct_shape phase_shape(
    const ft_conv_shape *s, ptrdiff_t batch, const ptrdiff_t phase[2], int tap_index[FT_MAX_TAPS]) {
    ft_direct_shape d = {
        .batch = batch, .in_channels = s->out_channels, .out_channels = s->in_channels, .in_height = s->output[1],
        .in_width = s->output[2], .out_height = s->input[1], .out_width = s->input[2],
        .rows = ft_divide_up(s->input[1] - phase[0], s->stride[1]),
        .columns = ft_divide_up(s->input[2] - phase[1], s->stride[2]), .step = {1, 1},
        .out_step = {s->stride[1], s->stride[2]}, .out_origin = {phase[0], phase[1]},
    };
    if (d.rows < 0) d.rows = 0;
    if (d.columns < 0) d.columns = 0;
    for (ptrdiff_t kh = 0; kh < s->kernel[1]; kh++) {
        ptrdiff_t h = phase[0] + s->pad[1] - kh * s->dilation[1];
        if (h % s->stride[1] != 0) continue;
        for (ptrdiff_t kw = 0; kw < s->kernel[2]; kw++) {
            ptrdiff_t w = phase[1] + s->pad[2] - kw * s->dilation[2];
            if (w % s->stride[2] != 0) continue;
            d.tap[d.taps][0] = h / s->stride[1];
            d.tap[d.taps][1] = w / s->stride[2];
            tap_index[d.taps++] = (int)(kh * s->kernel[2] + kw);
        }
    }
    return d;
}

typedef struct {
    ptrdiff_t slice;
    float *packed, *grad_output, *grad_input, *scratch;
} grad_input_memory;

static bool blocked_gradients(const ft_conv_shape *s) { return is_image(s) && s->groups == 1; }

static bool input_winograd(const ft_conv_shape *s) { return prefers_winograd(s, false); }

static grad_input_memory lay_out_grad_input(const ft_conv_shape *s, bool blocked, int threads, arena *a) {
    const ft_conv_kernels *kernels = ft_conv_kernels_get();
    grad_input_memory m = {0};
    if (input_winograd(s)) {
        ft_winograd_shape winograd = winograd_grad_shape(s, s->batch);
        if (is_wide(s, false)) {
            m.scratch = take(a, ft_winograd_wide_scratch(&winograd, kernels, threads));
        } else {
            m.packed = take(a, ft_winograd_weight_floats(&winograd));
            m.scratch = take(a, ft_winograd_scratch(&winograd, kernels, threads) * threads);
        }
        return m;
    }
    ptrdiff_t in = blocked ? 0 : blocked_floats(s->in_channels, plane_of(s->input));
    ptrdiff_t out = blocked ? 0 : blocked_floats(s->out_channels, plane_of(s->output));
    m.slice = blocked ? ft_max(s->batch, 1) : slice_size(s->batch, in + out, SLICE_BYTES, threads);
    m.grad_output = take(a, out * m.slice);
    m.grad_input = take(a, in * m.slice);
    ptrdiff_t weights = 0, scratch = 0;
    for (ptrdiff_t batch = m.slice; batch > 0; batch = batch == m.slice ? s->batch % m.slice : 0) {
        weights = 0;
        for (ptrdiff_t phase = 0; phase < s->stride[1] * s->stride[2]; phase++) {
            int index[FT_MAX_TAPS];
            ft_direct_shape d = phase_shape(
                s, batch, (ptrdiff_t[2]){phase / s->stride[2], phase % s->stride[2]}, index);
            weights += ft_direct_weight_floats(&d);
            scratch = ft_max(scratch, ft_direct_plan_make(&d, kernels, threads).scratch);
        }
    }
    m.packed = take(a, weights);
    m.scratch = take(a, scratch * threads);
    return m;
}

static size_t depthwise_workspace(const ft_conv_shape *s, int threads) {
    return (size_t)(ft_depthwise_grad_scratch(s) * threads) * sizeof(float);
}

size_t ft_conv_grad_input_workspace_f32(const ft_conv_shape *s, int threads) {
    if (is_depthwise(s)) return depthwise_workspace(s, threads);
    if (!blocked_gradients(s)) return ft_im2col_workspace(s, threads, sizeof(float));
    arena a = {0};
    lay_out_grad_input(s, false, threads, &a);
    return a.used;
}

size_t ft_conv_grad_input_blocked_workspace_f32(const ft_conv_shape *s, int threads) {
    arena a = {0};
    lay_out_grad_input(s, true, threads, &a);
    return a.used;
}

/// Winograd's algorithm for gradients that both are blocked or both are not.
static void run_winograd_grad_input(
    const ft_conv_shape *s, const float *grad_output, const float *w, const ft_finish *finish, float *grad_input,
    bool blocked, const grad_input_memory *m, int threads) {
    const ft_conv_kernels *kernels = ft_conv_kernels_get();
    ft_winograd_shape winograd = winograd_grad_shape(s, s->batch);
    ft_winograd_weights weights = {w, TAPS, s->in_channels * TAPS, true};
    if (is_wide(s, false)) {
        ft_winograd_wide_run(
            &winograd, kernels, grad_output, blocked, &weights, finish, grad_input, blocked, m->scratch, threads);
        return;
    }
    ft_winograd_pack(
        &winograd, kernels, w, weights.out_stride, weights.in_stride, weights.rotate, m->packed, threads);
    ft_winograd_run(
        &winograd, kernels, grad_output, blocked, m->packed, finish, grad_input, blocked, m->scratch, threads);
}

/// Packs the weights of every phase of the strides: they share the kernel's taps out among them.
static void pack_phases(const ft_conv_shape *s, const float *w, float *packed, int threads) {
    ft_direct_weights parts[FT_MAX_TAPS];
    int count = 0;
    for (ptrdiff_t phase = 0; phase < s->stride[1] * s->stride[2]; phase++) {
        ft_direct_weights part = {.packed = packed};
        part.shape = phase_shape(
            s, 1, (ptrdiff_t[2]){phase / s->stride[2], phase % s->stride[2]}, part.tap_index);
        if (part.shape.taps == 0) continue;
        packed += ft_direct_weight_floats(&part.shape);
        parts[count++] = part;
    }
    ptrdiff_t taps = plane_of(s->kernel);
    ft_direct_pack(parts, count, ft_conv_kernels_get(), w, taps, s->in_channels * taps, taps, threads);
}

/// Computes every phase for some images, blocked; with `add` the results are added to grad_input.
static void run_phases(
    const ft_conv_shape *s, ptrdiff_t batch, const float *grad_output, const float *packed, bool add,
    float *grad_input, float *scratch, int threads) {
    ptrdiff_t phases = s->stride[1] * s->stride[2];
    ft_finish finish = {.residual = add ? grad_input : NULL};
    // Positions that no tap meets get no gradient.
    if (phases > 1 && !add) {
        ptrdiff_t floats = batch * blocked_floats(s->in_channels, plane_of(s->input));
        memset(grad_input, 0, (size_t)floats * sizeof(float));
    }
    for (ptrdiff_t phase = 0; phase < phases; phase++) {
        int index[FT_MAX_TAPS];
        ft_direct_shape d = phase_shape(
            s, batch, (ptrdiff_t[2]){phase / s->stride[2], phase % s->stride[2]}, index);
        if (d.taps == 0) continue;
        ft_direct_run(&d, ft_conv_kernels_get(), grad_output, packed, &finish, grad_input, scratch, threads);
        packed += ft_direct_weight_floats(&d);
    }
}

void ft_conv_grad_input_f32(
    const ft_conv_shape *s, const float *grad_output, const float *w, float *grad_input, void *workspace,
    int threads) {
    if (is_depthwise(s)) {
        ft_depthwise_grad_input(s, ft_conv_kernels_get(), grad_output, w, grad_input, workspace, threads);
        return;
    }
    if (!blocked_gradients(s)) {
        ft_im2col_grad_input_f32(s, grad_output, w, grad_input, workspace, threads);
        return;
    }
    arena a = {workspace, 0};
    grad_input_memory m = lay_out_grad_input(s, false, threads, &a);
    ptrdiff_t in_plane = plane_of(s->input), out_plane = plane_of(s->output);
    if (input_winograd(s)) {
        run_winograd_grad_input(s, grad_output, w, &no_finish, grad_input, false, &m, threads);
        return;
    }
    pack_phases(s, w, m.packed, threads);
    for (ptrdiff_t image = 0; image < s->batch; image += m.slice) {
        ptrdiff_t batch = ft_min(m.slice, s->batch - image);
        ft_block_f32(
            grad_output + image * s->out_channels * out_plane, batch, s->out_channels, out_plane, m.grad_output,
            threads);
        run_phases(s, batch, m.grad_output, m.packed, false, m.grad_input, m.scratch, threads);
        ft_unblock_f32(
            m.grad_input, batch, s->in_channels, in_plane, grad_input + image * s->in_channels * in_plane, threads);
    }
}

void ft_conv_grad_input_blocked_f32(
    const ft_conv_shape *s, const float *grad_output, const float *w, bool add, float *grad_input, void *workspace,
    int threads) {
    arena a = {workspace, 0};
    grad_input_memory m = lay_out_grad_input(s, true, threads, &a);
    if (input_winograd(s)) {
        ft_finish finish = {.residual = add ? grad_input : NULL};
        run_winograd_grad_input(s, grad_output, w, &finish, grad_input, true, &m, threads);
        return;
    }
    pack_phases(s, w, m.packed, threads);
    run_phases(s, s->batch, grad_output, m.packed, add, grad_input, m.scratch, threads);
}

// MARK: - Gradient of the weight

typedef struct {
    ptrdiff_t slice;
    float *x, *grad_output, *accumulators, *scratch;
} grad_weight_memory;

static ft_conv_algorithm gradient_algorithm(const ft_conv_shape *s, bool x_blocked) {
    if (fits_winograd(s)) return FT_CONV_WINOGRAD;
    return has_few_channels(s) && !x_blocked ? FT_CONV_FEW_CHANNELS : FT_CONV_DIRECT;
}

/// Which operands are blocked already.
typedef struct {
    bool x, grad_output;
} blocked_operands;

static grad_weight_memory lay_out_grad_weight(
    const ft_conv_shape *s, blocked_operands blocked, int threads, arena *a) {
    grad_weight_memory m = {0};
    ft_conv_algorithm algorithm = gradient_algorithm(s, blocked.x);
    if (algorithm == FT_CONV_WINOGRAD) {
        ft_winograd_shape winograd = winograd_shape(s, s->batch);
        m.scratch = take(a, ft_winograd_grad_weight_scratch(&winograd, threads));
        return m;
    }
    ptrdiff_t in = copied_floats(s, form_of_input(algorithm, blocked.x));
    ptrdiff_t out = blocked.grad_output ? 0 : blocked_floats(s->out_channels, plane_of(s->output));
    ptrdiff_t taps = plane_of(s->kernel), scratch = ft_grad_weight_store_scratch((int)taps) * threads;
    ft_direct_shape d = shape_of_direct(s, algorithm, 1);
    if (algorithm == FT_CONV_FEW_CHANNELS) scratch = ft_max(scratch, ft_unroll_scratch(s) * threads);
    m.slice = in + out == 0 ? ft_max(s->batch, 1) : slice_size(s->batch, in + out, SLICE_BYTES, 1);
    scratch = ft_max(scratch, ft_direct_grad_weight_scratch(&d, threads) * threads);
    m.accumulators = take(a, ft_direct_grad_weight_floats(&d));
    m.x = take(a, in * m.slice);
    m.grad_output = take(a, out * m.slice);
    m.scratch = take(a, scratch);
    return m;
}

/// Adds the images' products to the accumulators, some images at a time.
static void accumulate_grad_weight(
    const ft_conv_shape *s, const float *x, const float *grad_output, blocked_operands blocked,
    const grad_weight_memory *m, int threads) {
    ft_conv_algorithm algorithm = gradient_algorithm(s, blocked.x);
    input_form form = form_of_input(algorithm, blocked.x);
    ptrdiff_t in_plane = plane_of(s->input), out_plane = plane_of(s->output);
    ptrdiff_t in_image = blocked.x ? blocked_floats(s->in_channels, in_plane) : s->in_channels * in_plane;
    ptrdiff_t out_channels = blocked.grad_output ? ft_round_up(s->out_channels, FT_BLOCK) : s->out_channels;
    for (ptrdiff_t image = 0; image < s->batch; image += m->slice) {
        ptrdiff_t batch = ft_min(m->slice, s->batch - image);
        const float *from = blocked_input(s, form, batch, x + image * in_image, m->x, m->scratch, threads);
        const float *grad = grad_output + image * out_channels * out_plane;
        if (!blocked.grad_output) {
            ft_block_f32(grad, batch, s->out_channels, out_plane, m->grad_output, threads);
            grad = m->grad_output;
        }
        ft_direct_shape d = shape_of_direct(s, algorithm, batch);
        ft_direct_grad_weight_add(
            &d, ft_conv_kernels_get(), from, grad, image == 0, m->accumulators, m->scratch, threads);
    }
}

static void run_grad_weight(
    const ft_conv_shape *s, const float *x, const float *grad_output, blocked_operands blocked, float *grad_weight,
    void *workspace, int threads) {
    const ft_conv_kernels *kernels = ft_conv_kernels_get();
    arena a = {workspace, 0};
    grad_weight_memory m = lay_out_grad_weight(s, blocked, threads, &a);
    ptrdiff_t taps = plane_of(s->kernel);
    ft_conv_algorithm algorithm = gradient_algorithm(s, blocked.x);
    if (s->batch == 0) {
        memset(grad_weight, 0, (size_t)(s->out_channels * s->in_channels * taps) * sizeof(float));
        return;
    }
    if (algorithm == FT_CONV_WINOGRAD) {
        ft_winograd_shape winograd = winograd_shape(s, s->batch);
        ft_winograd_grad_weight(
            &winograd, kernels, x, blocked.x, grad_output, blocked.grad_output, grad_weight, m.scratch, threads);
        return;
    }
    accumulate_grad_weight(s, x, grad_output, blocked, &m, threads);
    if (algorithm == FT_CONV_FEW_CHANNELS) {
        ft_unrolled_grad_weight_store(s, m.accumulators, grad_weight);
    } else {
        ft_direct_shape d = direct_shape(s, 1);
        ft_direct_grad_weight_store(
            &d, kernels, m.accumulators, s->in_channels * taps, taps, grad_weight, m.scratch, threads);
    }
}

size_t ft_conv_grad_weight_workspace_f32(const ft_conv_shape *s, int threads) {
    if (is_depthwise(s)) return depthwise_workspace(s, threads);
    if (!blocked_gradients(s)) return ft_im2col_workspace(s, threads, sizeof(float));
    arena a = {0};
    lay_out_grad_weight(s, (blocked_operands){false, false}, threads, &a);
    return a.used;
}

void ft_conv_grad_weight_f32(
    const ft_conv_shape *s, const float *x, const float *grad_output, float *grad_weight, void *workspace,
    int threads) {
    if (is_depthwise(s)) {
        ft_depthwise_grad_weight(s, ft_conv_kernels_get(), x, grad_output, grad_weight, workspace, threads);
        return;
    }
    if (!blocked_gradients(s)) {
        ft_im2col_grad_weight_f32(s, x, grad_output, grad_weight, workspace, threads);
        return;
    }
    run_grad_weight(s, x, grad_output, (blocked_operands){false, false}, grad_weight, workspace, threads);
}

size_t ft_conv_grad_weight_blocked_workspace_f32(const ft_conv_shape *s, bool x_blocked, int threads) {
    arena a = {0};
    lay_out_grad_weight(s, (blocked_operands){x_blocked, true}, threads, &a);
    return a.used;
}

void ft_conv_grad_weight_blocked_f32(
    const ft_conv_shape *s, const float *x, bool x_blocked, const float *grad_output, float *grad_weight,
    void *workspace, int threads) {
    run_grad_weight(s, x, grad_output, (blocked_operands){x_blocked, true}, grad_weight, workspace, threads);
}
