// Batch normalisation, sums and ReLU between convolutions, on blocked images.
#include "ft_conv_simd.h"

/// Planes of one task: small planes are taken together.
enum { TASK_FLOATS = 1 << 14 };

typedef struct {
    const ft_affine_sum *sum;
    ptrdiff_t planes, blocks, positions, step;
    const float *from, *mean, *shift, *slope;
    float *to;
    bool store;
    /// Two numbers per channel of every plane: [plane][2][16].
    float *partial;
} affine_job;

static affine_job make_job(const ft_affine_sum *sum, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions) {
    ptrdiff_t blocks = ft_divide_up(channels, FT_BLOCK);
    return (affine_job){
        .sum = sum,
        .planes = images * blocks,
        .blocks = blocks,
        .positions = positions,
        .step = ft_max(1, TASK_FLOATS / ft_max(positions * FT_BLOCK, 1)),
    };
}

static void run(affine_job *job, ft_task task, int threads) {
    ft_parallel_for_threads(threads, ft_divide_up(job->planes, job->step), task, job);
}

/// The sum's operands for one plane.
static ft_affine_sum plane_of_sum(const affine_job *job, ptrdiff_t plane) {
    ft_affine_sum sum = *job->sum;
    for (int i = 0; i < 2; i++) {
        ft_affine_operand *operand = &sum.operand[i];
        if (operand->x != NULL) operand->x += plane * job->positions * FT_BLOCK;
        if (operand->factor == NULL) continue;
        operand->factor += plane % job->blocks * FT_BLOCK;
        operand->offset += plane % job->blocks * FT_BLOCK;
    }
    return sum;
}

#define FOR_EACH_PLANE(job, task, plane)                                                                               \
    for (ptrdiff_t plane = (task) * (job)->step; plane < ft_min(((task) + 1) * (job)->step, (job)->planes); plane++)

size_t ft_affine_workspace_f32(ptrdiff_t images, ptrdiff_t channels) {
    return (size_t)(images * ft_divide_up(channels, FT_BLOCK) * 2 * FT_BLOCK) * sizeof(float);
}

static void moments_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const affine_job *job = context;
    FOR_EACH_PLANE(job, task, plane) {
        float *partial = job->partial + plane * 2 * FT_BLOCK;
        ft_conv_kernels_get()->moments(
            job->from + plane * job->positions * FT_BLOCK, job->positions, partial, partial + FT_BLOCK);
    }
}

void ft_channel_moments_blocked_f32(
    const float *x, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *mean, float *variance,
    void *workspace, int threads) {
    affine_job job = make_job(NULL, images, channels, positions);
    job.from = x;
    job.partial = workspace;
    run(&job, moments_task, threads);
    ptrdiff_t padded = job.blocks * FT_BLOCK;
    for (ptrdiff_t c = 0; c < padded; c++) {
        const float *partial = job.partial + c / FT_BLOCK * 2 * FT_BLOCK + c % FT_BLOCK;
        ptrdiff_t stride = 2 * padded;
        double sum = 0, squares = 0;
        for (ptrdiff_t n = 0; n < images; n++) sum += (double)partial[n * stride];
        double center = sum / (double)images;
        for (ptrdiff_t n = 0; n < images; n++) {
            double distance = (double)partial[n * stride] - center;
            squares += (double)partial[n * stride + FT_BLOCK] + distance * distance * (double)positions;
        }
        mean[c] = (float)center;
        variance[c] = (float)(squares / (double)(images * positions));
    }
}

static void sum_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const affine_job *job = context;
    FOR_EACH_PLANE(job, task, plane) {
        ft_affine_sum sum = plane_of_sum(job, plane);
        ft_conv_kernels_get()->affine_sum(&sum, job->positions, job->to + plane * job->positions * FT_BLOCK);
    }
}

void ft_affine_sum_f32(
    const ft_affine_sum *sum, ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *y, int threads) {
    affine_job job = make_job(sum, images, channels, positions);
    job.to = y;
    run(&job, sum_task, threads);
}

static void gradient_sums_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const affine_job *job = context;
    FOR_EACH_PLANE(job, task, plane) {
        ft_affine_sum sum = plane_of_sum(job, plane);
        float *partial = job->partial + plane * 2 * FT_BLOCK;
        ft_conv_kernels_get()->affine_gradient_sums(
            &sum, job->to + plane * job->positions * FT_BLOCK, job->store,
            job->mean == NULL ? NULL : job->mean + plane % job->blocks * FT_BLOCK, job->positions, partial,
            partial + FT_BLOCK);
    }
}

void ft_affine_gradient_sums_f32(
    const ft_affine_sum *sum, float *g, bool store, const float *mean, ptrdiff_t images, ptrdiff_t channels,
    ptrdiff_t positions, float *total, float *product, void *workspace, int threads) {
    affine_job job = make_job(sum, images, channels, positions);
    job.to = g;
    job.store = store;
    job.mean = mean;
    job.partial = workspace;
    run(&job, gradient_sums_task, threads);
    if (mean == NULL) return;
    ptrdiff_t padded = job.blocks * FT_BLOCK;
    for (ptrdiff_t c = 0; c < padded; c++) {
        const float *partial = job.partial + c / FT_BLOCK * 2 * FT_BLOCK + c % FT_BLOCK;
        double sums[2] = {0};
        for (ptrdiff_t n = 0; n < images; n++) {
            for (int i = 0; i < 2; i++) sums[i] += (double)partial[n * 2 * padded + i * FT_BLOCK];
        }
        total[c] = (float)sums[0];
        product[c] = (float)sums[1];
    }
}

static void gradient_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const affine_job *job = context;
    FOR_EACH_PLANE(job, task, plane) {
        ft_affine_sum sum = plane_of_sum(job, plane);
        ptrdiff_t offset = plane * job->positions * FT_BLOCK, channel = plane % job->blocks * FT_BLOCK;
        ft_conv_kernels_get()->affine_gradient(
            &sum, job->from + offset, job->mean + channel, job->shift + channel, job->slope + channel, job->positions,
            job->to + offset);
    }
}

void ft_affine_gradient_f32(
    const ft_affine_sum *sum, const float *g, const float *mean, const float *shift, const float *slope,
    ptrdiff_t images, ptrdiff_t channels, ptrdiff_t positions, float *x0, int threads) {
    affine_job job = make_job(sum, images, channels, positions);
    job.from = g;
    job.mean = mean;
    job.shift = shift;
    job.slope = slope;
    job.to = x0;
    run(&job, gradient_task, threads);
}
