// Convolution of few input channels, a network's first one: (channel, kernel column) take the place of channels.
#include "ft_conv_blocked.h"

#include <string.h>

static ptrdiff_t unrolled_channels(const ft_conv_shape *s) { return s->in_channels * s->kernel[2]; }

static ptrdiff_t unrolled_blocks(const ft_conv_shape *s) { return ft_divide_up(unrolled_channels(s), FT_BLOCK); }

ptrdiff_t ft_unrolled_floats(const ft_conv_shape *s) {
    return unrolled_blocks(s) * FT_BLOCK * s->input[1] * s->output[2];
}

/// Elements of an input row with its padding and what `interleave` reads beyond.
static ptrdiff_t line_length(const ft_conv_shape *s) {
    ptrdiff_t reach = (s->kernel[2] - 1) * s->dilation[2] + s->stride[2] * ft_round_up(s->output[2], FT_BLOCK);
    return ft_round_up(ft_max(reach, s->pad[2] + s->input[2]) + FT_BLOCK, FT_BLOCK);
}

/// A line per channel, and one of zeros.
ptrdiff_t ft_unroll_scratch(const ft_conv_shape *s) { return (s->in_channels + 1) * line_length(s); }

typedef struct {
    const ft_conv_shape *shape;
    const ft_conv_kernels *kernels;
    const float *x;
    float *unrolled, *scratch;
} unroll_job;

/// One input row of one image.
static void unroll_task(void *context, ptrdiff_t task, int thread) {
    const unroll_job *job = context;
    const ft_conv_shape *s = job->shape;
    ptrdiff_t image = task / s->input[1], row = task % s->input[1], length = line_length(s), width = s->input[2];
    float *lines = job->scratch + (ptrdiff_t)thread * ft_unroll_scratch(s);
    memset(lines, 0, (size_t)ft_unroll_scratch(s) * sizeof(float));
    for (ptrdiff_t c = 0; c < s->in_channels; c++) {
        const float *from = job->x + ((image * s->in_channels + c) * s->input[1] + row) * width;
        memcpy(lines + c * length + s->pad[2], from, (size_t)width * sizeof(float));
    }
    for (ptrdiff_t block = 0; block < unrolled_blocks(s); block++) {
        const float *starts[FT_BLOCK];
        for (ptrdiff_t lane = 0; lane < FT_BLOCK; lane++) {
            ptrdiff_t channel = block * FT_BLOCK + lane;
            ptrdiff_t c = ft_min(channel / s->kernel[2], s->in_channels);
            ptrdiff_t offset = c < s->in_channels ? channel % s->kernel[2] * s->dilation[2] : 0;
            starts[lane] = lines + c * length + offset;
        }
        ptrdiff_t at = ((image * unrolled_blocks(s) + block) * s->input[1] + row) * s->output[2] * FT_BLOCK;
        job->kernels->interleave(starts, s->stride[2], s->output[2], job->unrolled + at);
    }
}

void ft_unroll(
    const ft_conv_shape *s, const ft_conv_kernels *kernels, ptrdiff_t batch, const float *x, float *unrolled,
    float *scratch, int threads) {
    unroll_job job = {s, kernels, x, unrolled, scratch};
    ft_parallel_for_threads(threads, batch * s->input[1], unroll_task, &job);
}

ft_direct_shape ft_unrolled_shape(const ft_conv_shape *s, ptrdiff_t batch) {
    ft_direct_shape d = {
        .batch = batch, .in_channels = unrolled_channels(s), .out_channels = s->out_channels,
        .in_height = s->input[1], .in_width = s->output[2], .out_height = s->output[1], .out_width = s->output[2],
        .rows = s->output[1], .columns = s->output[2], .step = {s->stride[1], 1}, .out_step = {1, 1},
        .taps = (int)s->kernel[1],
    };
    for (int t = 0; t < d.taps; t++) d.tap[t][0] = t * s->dilation[1] - s->pad[1];
    return d;
}

void ft_unrolled_pack(const ft_conv_shape *s, const ft_conv_kernels *kernels, const float *w, float *packed) {
    ptrdiff_t out_padded = ft_round_up(s->out_channels, FT_BLOCK), columns = kernels->columns;
    ptrdiff_t height = s->kernel[1], width = s->kernel[2];
    for (ptrdiff_t first = 0; first < out_padded; first += columns) {
        ptrdiff_t lanes = ft_min(columns, out_padded - first);
        for (ptrdiff_t kh = 0; kh < height; kh++) {
            for (ptrdiff_t c = 0; c < unrolled_channels(s); c++) {
                ptrdiff_t offset = (c / width * height + kh) * width + c % width;
                for (ptrdiff_t lane = 0; lane < lanes; lane++) {
                    ptrdiff_t out = first + lane;
                    *packed++ = out < s->out_channels ? w[out * s->in_channels * height * width + offset] : 0;
                }
            }
        }
    }
}

void ft_unrolled_grad_weight_store(const ft_conv_shape *s, const float *accumulators, float *grad_weight) {
    ptrdiff_t ldc = ft_round_up(s->out_channels, FT_BLOCK), rows = unrolled_blocks(s) * FT_BLOCK;
    ptrdiff_t height = s->kernel[1], width = s->kernel[2];
    for (ptrdiff_t out = 0; out < s->out_channels; out++) {
        for (ptrdiff_t c = 0; c < s->in_channels; c++) {
            for (ptrdiff_t kh = 0; kh < height; kh++) {
                for (ptrdiff_t kw = 0; kw < width; kw++) {
                    *grad_weight++ = accumulators[(kh * rows + c * width + kw) * ldc + out];
                }
            }
        }
    }
}
