// Gradients of a depthwise convolution: a block of channels of one image at a time is brought into the blocked layout.
#include "ft_conv_common.h"

#include <string.h>

typedef struct {
    const ft_conv_shape *shape;
    const ft_conv_kernels *kernels;
    const float *x, *grad_output, *w;
    float *result, *scratch;
    ptrdiff_t blocks;
} depthwise_job;

/// A thread's memory: both planes of a block, and its kernel taps.
typedef struct {
    float *in, *out, *taps;
} block_memory;

static block_memory memory_of_thread(const ft_conv_shape *s, float *scratch, int thread) {
    ptrdiff_t in = plane_of(s->input) * FT_BLOCK, out = plane_of(s->output) * FT_BLOCK;
    float *base = scratch + thread * ft_depthwise_grad_scratch(s);
    return (block_memory){base, base + in, base + in + out};
}

ptrdiff_t ft_depthwise_grad_scratch(const ft_conv_shape *s) {
    return (plane_of(s->input) + plane_of(s->output) + plane_of(s->kernel)) * FT_BLOCK;
}

static ptrdiff_t lanes_of_block(const ft_conv_shape *s, ptrdiff_t block) {
    return ft_min(FT_BLOCK, s->in_channels - block * FT_BLOCK);
}

/// Copies a block of channels of an image [channels][positions].
static void load_block(
    const depthwise_job *job, const float *images, ptrdiff_t image, ptrdiff_t block, ptrdiff_t positions, float *to) {
    const float *from = images + (image * job->shape->in_channels + block * FT_BLOCK) * positions;
    job->kernels->block(from, positions, lanes_of_block(job->shape, block), positions, to);
}

static void grad_input_task(void *context, ptrdiff_t task, int thread) {
    const depthwise_job *job = context;
    const ft_conv_shape *s = job->shape;
    ptrdiff_t image = task / job->blocks, block = task % job->blocks;
    ptrdiff_t lanes = lanes_of_block(s, block), taps = plane_of(s->kernel), plane = plane_of(s->input);
    block_memory m = memory_of_thread(s, job->scratch, thread);
    job->kernels->gather_taps(job->w + block * FT_BLOCK * taps, taps, taps, lanes, 1, taps, m.taps);
    load_block(job, job->grad_output, image, block, plane_of(s->output), m.out);
    job->kernels->depthwise_grad_input(s, m.out, m.taps, m.in);
    ft_finish none = {0};
    float *to = job->result + (image * s->in_channels + block * FT_BLOCK) * plane;
    job->kernels->unblock(m.in, lanes, plane, to, plane, &none);
}

void ft_depthwise_grad_input(
    const ft_conv_shape *s, const ft_conv_kernels *kernels, const float *grad_output, const float *w,
    float *grad_input, float *scratch, int threads) {
    depthwise_job job = {
        .shape = s, .kernels = kernels, .grad_output = grad_output, .w = w, .result = grad_input, .scratch = scratch,
        .blocks = ft_divide_up(s->in_channels, FT_BLOCK),
    };
    ft_parallel_for_threads(threads, s->batch * job.blocks, grad_input_task, &job);
}

/// The images of one block in their order, whatever thread takes it.
static void grad_weight_task(void *context, ptrdiff_t block, int thread) {
    const depthwise_job *job = context;
    const ft_conv_shape *s = job->shape;
    ptrdiff_t taps = plane_of(s->kernel);
    block_memory m = memory_of_thread(s, job->scratch, thread);
    memset(m.taps, 0, (size_t)(taps * FT_BLOCK) * sizeof(float));
    for (ptrdiff_t image = 0; image < s->batch; image++) {
        load_block(job, job->x, image, block, plane_of(s->input), m.in);
        load_block(job, job->grad_output, image, block, plane_of(s->output), m.out);
        job->kernels->depthwise_grad_weight(s, m.in, m.out, m.taps);
    }
    float *to = job->result + block * FT_BLOCK * taps;
    job->kernels->scatter_taps(m.taps, taps, taps, lanes_of_block(s, block), 1, taps, to);
}

void ft_depthwise_grad_weight(
    const ft_conv_shape *s, const ft_conv_kernels *kernels, const float *x, const float *grad_output,
    float *grad_weight, float *scratch, int threads) {
    depthwise_job job = {
        .shape = s, .kernels = kernels, .x = x, .grad_output = grad_output, .result = grad_weight, .scratch = scratch,
        .blocks = ft_divide_up(s->in_channels, FT_BLOCK),
    };
    ft_parallel_for_threads(threads, job.blocks, grad_weight_task, &job);
}
