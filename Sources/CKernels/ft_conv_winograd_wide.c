// Winograd's convolution F(4x4, 3x3) for weights whose transform would not stay in a cache: inputs of many tiles are
// transformed once, and weights a panel of output channels and some input channels at a time, when they are needed.
//
// V: [point][in block][tile][16], U: [point][in channel of a step][columns], M: [point][tile][columns]
#include "ft_conv_winograd.h"

#include <string.h>

/// V at a time.
enum { PIECE_BYTES = 12 * 1024 * 1024 };
/// In blocks of U at a time: 590 KB with panels of 32 columns.
enum { STEP_BLOCKS = 8 };

typedef struct {
    ptrdiff_t tile_rows, tile_columns, in_blocks, out_blocks;
    /// Rows of tiles at a time, counted through all images, and their tiles, filled up to the product kernel's rows.
    ptrdiff_t row_step, tiles;
    /// Pieces of a block's rows that are transformed as tasks.
    ptrdiff_t parts, part_step;
    /// Output panels: the tasks of the product.
    ptrdiff_t panels;
    /// Floats from point to point.
    ptrdiff_t v_point, u_point, m_point;
    /// Floats of a thread's rows of a planar image, and of all its memory.
    ptrdiff_t rows, thread_floats;
} wide_plan;

static wide_plan make_plan(const ft_winograd_shape *s, const ft_conv_kernels *kernels, int threads) {
    wide_plan p;
    p.tile_rows = ft_divide_up(s->out_height, TILE);
    p.tile_columns = ft_divide_up(s->out_width, TILE);
    p.in_blocks = ft_divide_up(s->in_channels, FT_BLOCK);
    p.out_blocks = ft_divide_up(s->out_channels, FT_BLOCK);
    ptrdiff_t rows = s->batch * p.tile_rows;
    ptrdiff_t row_bytes = FT_WINOGRAD_POINTS * p.in_blocks * FT_BLOCK * (ptrdiff_t)sizeof(float) * p.tile_columns;
    ptrdiff_t most = ft_max(1, PIECE_BYTES / ft_max(row_bytes, 1));
    p.row_step = ft_max(1, ft_divide_up(rows, ft_max(1, ft_divide_up(rows, most))));
    p.tiles = ft_round_up(p.row_step * p.tile_columns, kernels->rows);
    p.parts = ft_max(1, ft_min(p.row_step, ft_divide_up(4 * threads, p.in_blocks)));
    p.part_step = ft_divide_up(p.row_step, p.parts);
    p.panels = ft_divide_up(p.out_blocks * FT_BLOCK, kernels->columns);
    p.v_point = ft_winograd_point_stride(p.in_blocks * p.tiles * FT_BLOCK);
    p.u_point = ft_winograd_point_stride(ft_min(STEP_BLOCKS, p.in_blocks) * FT_BLOCK * kernels->columns);
    p.m_point = ft_winograd_point_stride(p.tiles * kernels->columns);
    p.rows = band_floats(p.row_step, ft_max(s->in_width, s->out_width));
    p.thread_floats = p.rows + FT_WINOGRAD_POINTS * p.u_point + FT_BLOCK * TAPS * FT_BLOCK;
    return p;
}

/// V and every panel's M belong to all threads.
ptrdiff_t ft_winograd_wide_scratch(const ft_winograd_shape *s, const ft_conv_kernels *kernels, int threads) {
    wide_plan p = make_plan(s, kernels, threads);
    return FT_WINOGRAD_POINTS * (p.v_point + p.m_point * threads) + p.thread_floats * threads;
}

typedef struct {
    const ft_winograd_shape *shape;
    const ft_conv_kernels *kernels;
    wide_plan plan;
    ft_winograd_image x;
    const ft_winograd_weights *weights;
    winograd_target y;
    float *v, *m, *threads;
    /// The rows of tiles at work.
    ptrdiff_t begin, end;
} wide_job;

static ptrdiff_t tiles_at_work(const wide_job *job) { return (job->end - job->begin) * job->plan.tile_columns; }

/// V of a part of the rows of one block.
static void transform_task(void *context, ptrdiff_t task, int thread) {
    const wide_job *job = context;
    const wide_plan *p = &job->plan;
    ptrdiff_t block = task / p->parts, part = task % p->parts, at = job->begin + part * p->part_step;
    ptrdiff_t end = ft_min(at + p->part_step, job->end);
    float *v = job->v + block * p->tiles * FT_BLOCK, *rows = job->threads + thread * p->thread_floats;
    while (at < end) {
        tile_band band = band_at(p->tile_rows, p->tile_columns, at, job->begin, end);
        transform_band(
            job->kernels, &job->x, job->shape->pad, p->tile_columns, band, block, v + band.tile * FT_BLOCK, p->v_point,
            rows);
        at += band.last - band.first;
    }
    if (part > 0) return;
    // Rows that only fill up the last tile of the product kernel.
    ptrdiff_t tiles = tiles_at_work(job), filled = ft_round_up(tiles, job->kernels->rows);
    for (ptrdiff_t point = 0; point < FT_WINOGRAD_POINTS; point++) {
        memset(v + point * p->v_point + tiles * FT_BLOCK, 0, (size_t)((filled - tiles) * FT_BLOCK) * sizeof(float));
    }
}

/// U of in blocks [first, last) and the output blocks [out, out_end) of one panel.
static void transform_weights(
    const wide_job *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t out, ptrdiff_t out_end, float *u, float *taps) {
    const ft_winograd_shape *s = job->shape;
    const ft_winograd_weights *w = job->weights;
    ptrdiff_t width = (out_end - out) * FT_BLOCK;
    for (ptrdiff_t block = out; block < out_end; block++) {
        ptrdiff_t lanes = ft_min(FT_BLOCK, s->out_channels - block * FT_BLOCK);
        for (ptrdiff_t in = first; in < last; in++) {
            ptrdiff_t inputs = ft_min(FT_BLOCK, s->in_channels - in * FT_BLOCK);
            job->kernels->gather_taps(
                w->w + block * FT_BLOCK * w->out_stride + in * FT_BLOCK * w->in_stride, w->out_stride, w->in_stride,
                lanes, inputs, TAPS, taps);
            float *to = u + (in - first) * FT_BLOCK * width + (block - out) * FT_BLOCK;
            for (ptrdiff_t c = 0; c < inputs; c++) {
                job->kernels->winograd_weight(
                    taps + c * TAPS * FT_BLOCK, w->rotate, false, to + c * width, job->plan.u_point);
            }
        }
    }
}

/// M (+)= V U of in blocks [first, last).
static void multiply_step(
    const wide_job *job, ptrdiff_t first, ptrdiff_t last, const float *u, ptrdiff_t width, float *m) {
    const wide_plan *p = &job->plan;
    const ft_conv_kernels *kernels = job->kernels;
    ptrdiff_t valid = ft_min(last * FT_BLOCK, job->shape->in_channels) - (last - 1) * FT_BLOCK;
    ft_inner_blocks inner = {last - first, 0, (int)valid};
    for (ptrdiff_t point = 0; point < FT_WINOGRAD_POINTS; point++) {
        const float *b = u + point * p->u_point;
        const float *next = point + 1 < FT_WINOGRAD_POINTS ? b + p->u_point : b;
        for (ptrdiff_t t = 0; t < tiles_at_work(job); t += kernels->rows) {
            const float *a[STEP_BLOCKS];
            for (ptrdiff_t in = first; in < last; in++) {
                a[in - first] = job->v + point * p->v_point + (in * p->tiles + t) * FT_BLOCK;
            }
            kernels->multiply(
                last - first, inner, a, b, (int)width, t == 0 ? next : b,
                m + point * p->m_point + t * kernels->columns, kernels->columns, first > 0);
        }
    }
}

static void panel_task(void *context, ptrdiff_t panel, int thread) {
    const wide_job *job = context;
    const wide_plan *p = &job->plan;
    ptrdiff_t columns = job->kernels->columns, per_panel = columns / FT_BLOCK;
    ptrdiff_t out = panel * per_panel, out_end = ft_min(out + per_panel, p->out_blocks);
    float *rows = job->threads + thread * p->thread_floats, *u = rows + p->rows;
    float *taps = u + FT_WINOGRAD_POINTS * p->u_point, *m = job->m + thread * FT_WINOGRAD_POINTS * p->m_point;
    for (ptrdiff_t first = 0; first < p->in_blocks; first += STEP_BLOCKS) {
        ptrdiff_t last = ft_min(first + STEP_BLOCKS, p->in_blocks);
        transform_weights(job, first, last, out, out_end, u, taps);
        multiply_step(job, first, last, u, (out_end - out) * FT_BLOCK, m);
    }
    for (ptrdiff_t block = out; block < out_end; block++) {
        for (ptrdiff_t at = job->begin; at < job->end;) {
            tile_band band = band_at(p->tile_rows, p->tile_columns, at, job->begin, job->end);
            store_band(
                job->kernels, &job->y, p->tile_columns, band, block,
                m + band.tile * columns + (block - out) * FT_BLOCK, p->m_point, columns, rows);
            at += band.last - band.first;
        }
    }
}

void ft_winograd_wide_run(
    const ft_winograd_shape *s, const ft_conv_kernels *kernels, const float *x, bool x_blocked,
    const ft_winograd_weights *weights, const ft_finish *finish, float *y, bool y_blocked, float *scratch,
    int threads) {
    wide_job job = {
        .shape = s,
        .kernels = kernels,
        .plan = make_plan(s, kernels, threads),
        .x = {x, x_blocked, s->in_channels, s->in_height, s->in_width},
        .weights = weights,
        .y = {y, y_blocked, s->out_channels, s->out_height, s->out_width, finish},
    };
    const wide_plan *p = &job.plan;
    job.v = scratch;
    job.m = job.v + FT_WINOGRAD_POINTS * p->v_point;
    job.threads = job.m + FT_WINOGRAD_POINTS * p->m_point * threads;
    for (ptrdiff_t rows = s->batch * p->tile_rows; job.begin < rows; job.begin += p->row_step) {
        job.end = ft_min(job.begin + p->row_step, rows);
        ft_parallel_for_threads(threads, p->in_blocks * p->parts, transform_task, &job);
        ft_parallel_for_threads(threads, p->panels, panel_task, &job);
    }
}
