// Gradient of a 3x3 convolution's weight by the adjoint of Winograd's algorithm: transformed inputs times transformed
// gradients, summed over tiles, then transformed back.
//
// Some rows of tiles at a time, all blocks are transformed, then each point's product is added to its sums. Of many
// channels some out blocks are summed up at a time.
//
// V: [point][in block][tile][16], M: [point][out block][tile][16], sums: [point][in channel][out channel of the group]
#include "ft_conv_winograd.h"

/// V and M together, and tiles at a time at least: sums are read and written once per this many tiles.
enum { PIECE_BYTES = 8 * 1024 * 1024, MIN_TILES = 128 };
/// In blocks per task of a product.
enum { PRODUCT_BLOCKS = 16 };
/// Sums at a time.
enum { GROUP_BYTES = 10 * 1024 * 1024 };

typedef struct {
    ptrdiff_t tile_rows, tile_columns, in_blocks, out_blocks;
    /// Rows of tiles at a time, counted through all images, and how many tiles these are.
    ptrdiff_t row_step, tiles;
    /// Pieces that a block's rows are cut into, so that every thread transforms.
    ptrdiff_t parts, part_step;
    /// Out blocks whose sums are kept at a time.
    ptrdiff_t group;
    /// Floats from point to point.
    ptrdiff_t v_point, m_point, sums_point;
    /// Floats of one thread's rows of a planar image, and of its kernel taps.
    ptrdiff_t rows, thread_floats;
} gradient_plan;

static gradient_plan make_plan(const ft_winograd_shape *s, int threads) {
    gradient_plan p;
    p.tile_rows = ft_divide_up(s->out_height, TILE);
    p.tile_columns = ft_divide_up(s->out_width, TILE);
    p.in_blocks = ft_divide_up(s->in_channels, FT_BLOCK);
    p.out_blocks = ft_divide_up(s->out_channels, FT_BLOCK);
    ptrdiff_t blocks = p.in_blocks + p.out_blocks, rows = s->batch * p.tile_rows;
    ptrdiff_t tile_bytes = FT_WINOGRAD_POINTS * blocks * FT_BLOCK * (ptrdiff_t)sizeof(float);
    ptrdiff_t most = ft_max(MIN_TILES, PIECE_BYTES / tile_bytes) / ft_max(p.tile_columns, 1);
    p.row_step = ft_max(1, ft_min(rows, most));
    // Equal pieces.
    p.row_step = ft_divide_up(rows, ft_max(1, ft_divide_up(rows, p.row_step)));
    p.tiles = p.row_step * p.tile_columns;
    p.parts = ft_max(1, ft_min(p.row_step, ft_divide_up(4 * threads, blocks)));
    p.part_step = ft_max(1, ft_divide_up(p.row_step, p.parts));
    p.parts = ft_divide_up(p.row_step, p.part_step);
    p.v_point = ft_winograd_point_stride(p.in_blocks * p.tiles * FT_BLOCK);
    p.m_point = ft_winograd_point_stride(p.out_blocks * p.tiles * FT_BLOCK);
    ptrdiff_t block_bytes = FT_WINOGRAD_POINTS * p.in_blocks * FT_BLOCK * FT_BLOCK * (ptrdiff_t)sizeof(float);
    // Two blocks are multiplied together.
    ptrdiff_t groups = ft_divide_up(p.out_blocks, ft_max(2, GROUP_BYTES / block_bytes));
    p.group = ft_round_up(ft_divide_up(p.out_blocks, groups), 2);
    p.sums_point = ft_winograd_point_stride(p.in_blocks * FT_BLOCK * p.group * FT_BLOCK);
    p.rows = band_floats(p.part_step, ft_max(s->in_width, s->out_width));
    p.thread_floats = ft_max(p.rows, FT_BLOCK * TAPS * FT_BLOCK);
    return p;
}

ptrdiff_t ft_winograd_grad_weight_scratch(const ft_winograd_shape *s, int threads) {
    gradient_plan p = make_plan(s, threads);
    return FT_WINOGRAD_POINTS * (p.v_point + p.m_point + p.sums_point) + p.thread_floats * threads;
}

typedef struct {
    const ft_winograd_shape *shape;
    const ft_conv_kernels *kernels;
    gradient_plan plan;
    ft_winograd_image x, grad_output;
    float *grad_weight, *v, *m, *sums, *threads;
    /// The rows of tiles and the out blocks at work.
    ptrdiff_t begin, end, out, out_end;
} gradient_job;

// MARK: - Transforms

static void transform_gradient(const gradient_job *job, tile_band band, ptrdiff_t block, float *rows) {
    const ft_winograd_shape *s = job->shape;
    const gradient_plan *p = &job->plan;
    ptrdiff_t top = band.first * TILE, height = ft_min(s->out_height, band.last * TILE) - top;
    const float *from = rows_of_block(job->kernels, &job->grad_output, band.image, block, top, height, rows);
    float *to = job->m + (block * p->tiles + band.tile) * FT_BLOCK;
    for (ptrdiff_t row = band.first; row < band.last; row++) {
        for (ptrdiff_t column = 0; column < p->tile_columns; column++, to += FT_BLOCK) {
            job->kernels->winograd_output_adjoint(
                from, height, s->out_width, row * TILE - top, column * TILE, to, p->m_point);
        }
    }
}

/// A part of the rows of one block of x or, after these, of grad_output.
static void transform_task(void *context, ptrdiff_t task, int thread) {
    const gradient_job *job = context;
    const gradient_plan *p = &job->plan;
    ptrdiff_t block = task / p->parts, at = job->begin + task % p->parts * p->part_step;
    ptrdiff_t end = ft_min(at + p->part_step, job->end);
    float *rows = job->threads + thread * p->thread_floats;
    while (at < end) {
        tile_band band = band_at(p->tile_rows, p->tile_columns, at, at, end);
        band.tile = (at - job->begin) * p->tile_columns;
        if (block < p->in_blocks) {
            transform_band(
                job->kernels, &job->x, job->shape->pad, p->tile_columns, band, block,
                job->v + (block * p->tiles + band.tile) * FT_BLOCK, p->v_point, rows);
        } else {
            transform_gradient(job, band, block - p->in_blocks, rows);
        }
        at += band.last - band.first;
    }
}

// MARK: - Products

/// Adds V^T M of one point, for up to PRODUCT_BLOCKS in blocks, to its sums.
static void product_task(void *context, ptrdiff_t task, int thread) {
    (void)thread;
    const gradient_job *job = context;
    const gradient_plan *p = &job->plan;
    ptrdiff_t point = task % FT_WINOGRAD_POINTS, first = task / FT_WINOGRAD_POINTS * PRODUCT_BLOCKS;
    ptrdiff_t last = ft_min(first + PRODUCT_BLOCKS, p->in_blocks);
    ptrdiff_t tiles = (job->end - job->begin) * p->tile_columns, block = p->tiles * FT_BLOCK;
    ptrdiff_t ldc = p->group * FT_BLOCK;
    for (ptrdiff_t out = job->out; out < job->out_end; out += 2) {
        const float *m = job->m + point * p->m_point + out * block;
        float *sums = job->sums + point * p->sums_point + (out - job->out) * FT_BLOCK;
        int vectors = (int)ft_min(2, job->out_end - out);
        for (ptrdiff_t in = first; in < last; in++) {
            job->kernels->multiply_transposed(
                tiles, FT_BLOCK, job->v + point * p->v_point + in * block, m, block, vectors,
                sums + in * FT_BLOCK * ldc, ldc, job->begin > 0);
        }
    }
}

/// Transforms the sums of one pair of blocks back.
static void store_task(void *context, ptrdiff_t task, int thread) {
    const gradient_job *job = context;
    const ft_winograd_shape *s = job->shape;
    const gradient_plan *p = &job->plan;
    ptrdiff_t in = task % p->in_blocks * FT_BLOCK, place = task / p->in_blocks * FT_BLOCK;
    ptrdiff_t out = job->out * FT_BLOCK + place, ldc = p->group * FT_BLOCK, inputs = ft_min(FT_BLOCK, s->in_channels - in);
    float *taps = job->threads + thread * p->thread_floats;
    for (ptrdiff_t c = 0; c < inputs; c++) {
        job->kernels->winograd_weight_adjoint(
            job->sums + (in + c) * ldc + place, p->sums_point, taps + c * TAPS * FT_BLOCK);
    }
    job->kernels->scatter_taps(
        taps, s->in_channels * TAPS, TAPS, ft_min(FT_BLOCK, s->out_channels - out), inputs, TAPS,
        job->grad_weight + (out * s->in_channels + in) * TAPS);
}

void ft_winograd_grad_weight(
    const ft_winograd_shape *s, const ft_conv_kernels *kernels, const float *x, bool x_blocked,
    const float *grad_output, bool grad_blocked, float *grad_weight, float *scratch, int threads) {
    gradient_job job = {
        .shape = s,
        .kernels = kernels,
        .plan = make_plan(s, threads),
        .x = {x, x_blocked, s->in_channels, s->in_height, s->in_width},
        .grad_output = {grad_output, grad_blocked, s->out_channels, s->out_height, s->out_width},
        .grad_weight = grad_weight,
    };
    const gradient_plan *p = &job.plan;
    job.v = scratch;
    job.m = job.v + FT_WINOGRAD_POINTS * p->v_point;
    job.sums = job.m + FT_WINOGRAD_POINTS * p->m_point;
    job.threads = job.sums + FT_WINOGRAD_POINTS * p->sums_point;
    ptrdiff_t rows = s->batch * p->tile_rows, blocks = p->in_blocks + p->out_blocks;
    bool one_piece = p->row_step >= rows;
    for (; job.out < p->out_blocks; job.out += p->group) {
        job.out_end = ft_min(job.out + p->group, p->out_blocks);
        for (job.begin = 0; job.begin < rows; job.begin += p->row_step) {
            job.end = ft_min(job.begin + p->row_step, rows);
            // What is there for all tiles serves every group.
            if (!one_piece || job.out == 0) {
                ft_parallel_for_threads(threads, blocks * p->parts, transform_task, &job);
            }
            ft_parallel_for_threads(
                threads, FT_WINOGRAD_POINTS * ft_divide_up(p->in_blocks, PRODUCT_BLOCKS), product_task, &job);
        }
        ft_parallel_for_threads(threads, p->in_blocks * (job.out_end - job.out), store_task, &job);
    }
}
