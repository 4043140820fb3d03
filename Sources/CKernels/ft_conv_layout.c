// From images with channels apart to blocked ones and back.
#include "ft_conv_common.h"

typedef struct {
    const float *from;
    float *to;
    ptrdiff_t channels, positions, blocks;
    const ft_finish *finish;
} layout_job;

static void block_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const layout_job *job = context;
    ptrdiff_t image = task / job->blocks, block = task % job->blocks;
    ft_conv_kernels_get()->block(
        job->from + (image * job->channels + block * FT_BLOCK) * job->positions, job->positions,
        ft_min(FT_BLOCK, job->channels - block * FT_BLOCK), job->positions,
        job->to + task * job->positions * FT_BLOCK);
}

static void unblock_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const layout_job *job = context;
    ptrdiff_t image = task / job->blocks, block = task % job->blocks;
    ptrdiff_t offset = (image * job->channels + block * FT_BLOCK) * job->positions;
    ft_finish finish = *job->finish;
    if (finish.bias != NULL) finish.bias += block * FT_BLOCK;
    if (finish.residual != NULL) finish.residual += offset;
    ft_conv_kernels_get()->unblock(
        job->from + task * job->positions * FT_BLOCK, ft_min(FT_BLOCK, job->channels - block * FT_BLOCK),
        job->positions, job->to + offset, job->positions, &finish);
}

void ft_block_f32(
    const float *x, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *blocked, int threads) {
    layout_job job = {x, blocked, channels, positions, ft_divide_up(channels, FT_BLOCK), NULL};
    ft_parallel_for_threads(threads, images * job.blocks, block_task, &job);
}

void ft_unblock_finish(
    const float *blocked, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *y, const ft_finish *finish,
    int threads) {
    layout_job job = {blocked, y, channels, positions, ft_divide_up(channels, FT_BLOCK), finish};
    ft_parallel_for_threads(threads, images * job.blocks, unblock_task, &job);
}

static const ft_finish no_finish;

void ft_unblock_f32(
    const float *blocked, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *y, int threads) {
    ft_unblock_finish(blocked, images, channels, positions, y, &no_finish, threads);
}
