// What stands between convolutions, on blocked images.
#include "ft_conv_simd.h"

#include <string.h>

/// Elements per task of an elementwise operation.
enum { ADD_PIECE = 1 << 15 };

typedef struct {
    const ft_conv_shape *shape;
    const float *x;
    float *y;
} pool_job;

static void pool_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const pool_job *job = context;
    const ft_conv_shape *s = job->shape;
    ft_conv_kernels_get()->max_pool(
        s, job->x + task * s->input[1] * s->input[2] * FT_BLOCK, 0, s->output[1],
        job->y + task * s->output[1] * s->output[2] * FT_BLOCK);
}

void ft_max_pool_blocked_f32(const ft_conv_shape *s, const float *x, float *y, int threads) {
    pool_job job = {s, x, y};
    ft_parallel_for_threads(threads, s->batch * ft_divide_up(s->in_channels, FT_BLOCK), pool_task, &job);
}

typedef struct {
    const ft_conv_shape *shape;
    const float *from;
    float *to;
    uint8_t *places;
} places_job;

static void places_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const places_job *job = context;
    const ft_conv_shape *s = job->shape;
    ptrdiff_t in = s->input[1] * s->input[2] * FT_BLOCK, out = s->output[1] * s->output[2] * FT_BLOCK;
    ft_conv_kernels_get()->max_pool_places(s, job->from + task * in, job->to + task * out, job->places + task * out);
}

void ft_max_pool_places_blocked_f32(
    const ft_conv_shape *s, const float *x, float *y, uint8_t *places, int threads) {
    places_job job = {s, x, y, places};
    ft_parallel_for_threads(threads, s->batch * ft_divide_up(s->in_channels, FT_BLOCK), places_task, &job);
}

static void places_gradient_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const places_job *job = context;
    const ft_conv_shape *s = job->shape;
    ptrdiff_t in = s->input[1] * s->input[2] * FT_BLOCK, out = s->output[1] * s->output[2] * FT_BLOCK;
    ft_conv_kernels_get()->max_pool_gradient(s, job->places + task * out, job->from + task * out, job->to + task * in);
}

void ft_max_pool_gradient_blocked_f32(
    const ft_conv_shape *s, const uint8_t *places, const float *g, float *x, int threads) {
    places_job job = {s, g, x, (uint8_t *)places};
    ft_parallel_for_threads(threads, s->batch * ft_divide_up(s->in_channels, FT_BLOCK), places_gradient_task, &job);
}

typedef struct {
    const float *x;
    ptrdiff_t channels, positions;
    float *y;
} mean_job;

static void mean_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const mean_job *job = context;
    ptrdiff_t blocks = ft_divide_up(job->channels, FT_BLOCK), image = task / blocks, block = task % blocks;
    float means[FT_BLOCK];
    ft_conv_kernels_get()->mean(job->x + task * job->positions * FT_BLOCK, job->positions, means);
    ptrdiff_t valid = ft_min(FT_BLOCK, job->channels - block * FT_BLOCK);
    memcpy(job->y + image * job->channels + block * FT_BLOCK, means, (size_t)valid * sizeof(float));
}

void ft_global_average_blocked_f32(
    const float *x, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *y, int threads) {
    mean_job job = {x, channels, positions, y};
    ft_parallel_for_threads(threads, images * ft_divide_up(channels, FT_BLOCK), mean_task, &job);
}

static void spread_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const mean_job *job = context;
    ptrdiff_t blocks = ft_divide_up(job->channels, FT_BLOCK), image = task / blocks, block = task % blocks;
    ptrdiff_t valid = ft_min(FT_BLOCK, job->channels - block * FT_BLOCK);
    float share[FT_BLOCK] = {0}, *to = job->y + task * job->positions * FT_BLOCK;
    for (ptrdiff_t lane = 0; lane < valid; lane++) {
        share[lane] = job->x[image * job->channels + block * FT_BLOCK + lane] / (float)job->positions;
    }
    ft_conv_kernels_get()->copy_blocks(share, 0, to, FT_BLOCK, job->positions);
}

void ft_global_average_gradient_blocked_f32(
    const float *g, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *x, int threads) {
    mean_job job = {g, channels, positions, x};
    ft_parallel_for_threads(threads, images * ft_divide_up(channels, FT_BLOCK), spread_task, &job);
}

typedef struct {
    const float *a, *b;
    ptrdiff_t count;
    ft_finish finish;
    float *y;
} add_job;

static void add_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const add_job *job = context;
    ptrdiff_t begin = task * ADD_PIECE, count = ft_min(ADD_PIECE, job->count - begin);
    ft_conv_kernels_get()->add(job->a + begin, job->b + begin, count, &job->finish, job->y + begin);
}

void ft_add_blocked_f32(
    const float *a, const float *b, ptrdiff_t count, const ft_conv_epilogue *epilogue, float *y, int threads) {
    add_job job = {a, b, count, {0}, y};
    job.finish.clip = epilogue->clip;
    job.finish.low = (float)epilogue->low;
    job.finish.high = (float)epilogue->high;
    ft_parallel_for_threads(threads, ft_divide_up(count, ADD_PIECE), add_task, &job);
}
