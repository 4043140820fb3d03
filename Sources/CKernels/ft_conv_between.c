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
