// Winograd's convolution F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015):
// 36 products of transformed tiles instead of 144 per 4 x 4 outputs.
//
// V: [point][in block][tile][16], U: [point][panel][in channel][columns], M: [point][tile][out channel]
#include "ft_conv_winograd.h"

#include <string.h>

/// V of a task should fit into half of the L2 cache.
enum { TASK_BYTES = 600 * 1024 };
/// Tiles per task at least, so that transformed weights, which come from further away, are used often enough.
enum { MIN_TILES = 56 };
/// Larger transformed weights do not stay in a cache until they are used.
enum { STREAMED_FLOATS = 1 << 20 };

static ptrdiff_t channel_blocks(ptrdiff_t channels) { return ft_divide_up(channels, FT_BLOCK); }

typedef struct {
    ptrdiff_t tile_rows, tile_columns;
    /// Rows of tiles, counted through all images, per task; number of such tasks; the tiles of a task, filled up to the
    /// product kernel's rows.
    ptrdiff_t row_step, row_tasks, tiles;
    /// Output panels per task and number of such splits.
    ptrdiff_t panel_step, panel_tasks, panels;
    ptrdiff_t in_blocks, out_blocks;
    /// Floats from point to point of V and M.
    ptrdiff_t v_point, m_point;
    /// Floats of V, M, and one block's rows of a planar image; and of all, per thread.
    ptrdiff_t v, m, rows, scratch;
} winograd_plan;

static ptrdiff_t common_divisor(ptrdiff_t a, ptrdiff_t b) { return b == 0 ? a : common_divisor(b, a % b); }

static winograd_plan make_plan(const ft_winograd_shape *s, const ft_conv_kernels *kernels, int threads) {
    winograd_plan p;
    p.tile_rows = ft_divide_up(s->out_height, TILE);
    p.tile_columns = ft_divide_up(s->out_width, TILE);
    p.in_blocks = channel_blocks(s->in_channels);
    p.out_blocks = channel_blocks(s->out_channels);
    p.panels = ft_divide_up(p.out_blocks * FT_BLOCK, kernels->columns);

    ptrdiff_t bytes_per_tile = FT_WINOGRAD_POINTS * p.in_blocks * FT_BLOCK * (ptrdiff_t)sizeof(float);
    ptrdiff_t most = ft_max(MIN_TILES, TASK_BYTES / bytes_per_tile) / ft_max(p.tile_columns, 1);
    // So many rows that their tiles fill the product kernel's rows, if that is not too much.
    ptrdiff_t whole = kernels->rows / common_divisor(kernels->rows, ft_max(p.tile_columns, 1));
    p.row_step = ft_task_size(s->batch * p.tile_rows, whole <= most ? whole : 1, ft_max(most, 1), threads);
    p.row_tasks = ft_divide_up(s->batch * p.tile_rows, p.row_step);
    p.tiles = ft_round_up(p.row_step * p.tile_columns, kernels->rows);

    p.panel_tasks = p.row_tasks < threads && p.row_tasks > 0 ? ft_min(p.panels, ft_divide_up(threads, p.row_tasks)) : 1;
    p.panel_step = ft_divide_up(p.panels, p.panel_tasks);
    p.panel_tasks = ft_divide_up(p.panels, p.panel_step);

    p.v_point = ft_winograd_point_stride(p.in_blocks * p.tiles * FT_BLOCK);
    p.m_point = ft_winograd_point_stride(p.tiles * kernels->columns);
    p.v = FT_WINOGRAD_POINTS * p.v_point;
    p.m = FT_WINOGRAD_POINTS * p.m_point;
    p.rows = band_floats(p.row_step, ft_max(s->in_width, s->out_width));
    p.scratch = p.v + p.m + p.rows;
    return p;
}

ptrdiff_t ft_winograd_scratch(const ft_winograd_shape *s, const ft_conv_kernels *kernels, int threads) {
    return make_plan(s, kernels, threads).scratch;
}

// MARK: - Weights

ptrdiff_t ft_winograd_weight_floats(const ft_winograd_shape *s) {
    return FT_WINOGRAD_POINTS * s->in_channels * ft_round_up(s->out_channels, FT_BLOCK);
}

typedef struct {
    const ft_winograd_shape *shape;
    const ft_conv_kernels *kernels;
    const float *w;
    ptrdiff_t out_stride, in_stride;
    bool rotate;
    float *packed;
} pack_job;

static void pack_task(void *context, ptrdiff_t out_block, int thread) {
    (void)thread;
    const pack_job *job = context;
    const ft_winograd_shape *s = job->shape;
    ptrdiff_t columns = job->kernels->columns, per_panel = columns / FT_BLOCK;
    ptrdiff_t blocks = channel_blocks(s->out_channels), panel = out_block / per_panel;
    ptrdiff_t width = ft_min(per_panel, blocks - panel * per_panel) * FT_BLOCK;
    ptrdiff_t point = s->in_channels * blocks * FT_BLOCK;
    float *to = job->packed + panel * columns * s->in_channels + out_block % per_panel * FT_BLOCK;
    ptrdiff_t lanes = ft_min(FT_BLOCK, s->out_channels - out_block * FT_BLOCK);
    float taps[FT_BLOCK * 9 * FT_BLOCK] __attribute__((aligned(64)));
    bool streamed = ft_winograd_weight_floats(s) > STREAMED_FLOATS && (uintptr_t)job->packed % 64 == 0;
    for (ptrdiff_t first = 0; first < s->in_channels; first += FT_BLOCK) {
        ptrdiff_t inputs = ft_min(FT_BLOCK, s->in_channels - first);
        job->kernels->gather_taps(
            job->w + out_block * FT_BLOCK * job->out_stride + first * job->in_stride, job->out_stride, job->in_stride,
            lanes, inputs, 9, taps);
        for (ptrdiff_t c = 0; c < inputs; c++) {
            job->kernels->winograd_weight(
                taps + c * 9 * FT_BLOCK, job->rotate, streamed, to + (first + c) * width, point);
        }
    }
#if defined(__x86_64__)
    // Streamed stores are not ordered by what tells the other threads that this task is done.
    if (streamed) __builtin_ia32_sfence();
#endif
}

void ft_winograd_pack(
    const ft_winograd_shape *s, const ft_conv_kernels *kernels, const float *w, ptrdiff_t out_stride,
    ptrdiff_t in_stride, bool rotate, float *packed, int threads) {
    pack_job job = {s, kernels, w, out_stride, in_stride, rotate, packed};
    ft_parallel_for_threads(threads, channel_blocks(s->out_channels), pack_task, &job);
}

// MARK: - Forward

typedef struct {
    const ft_winograd_shape *shape;
    const ft_conv_kernels *kernels;
    winograd_plan plan;
    ft_winograd_image x;
    const float *packed;
    winograd_target y;
    float *scratch;
} run_job;

/// m[point][tile][columns] = V times one panel of U.
static void multiply_panel(const run_job *job, ptrdiff_t panel, ptrdiff_t tiles, const float *v, float *m) {
    const ft_winograd_shape *s = job->shape;
    const winograd_plan *p = &job->plan;
    const ft_conv_kernels *kernels = job->kernels;
    ptrdiff_t out_padded = p->out_blocks * FT_BLOCK, columns = kernels->columns;
    ptrdiff_t width = ft_min(columns, out_padded - panel * columns);
    ft_inner_blocks inner = {p->in_blocks, 0, (int)(s->in_channels - (p->in_blocks - 1) * FT_BLOCK)};
    for (ptrdiff_t point = 0; point < FT_WINOGRAD_POINTS; point++) {
        const float *b = job->packed + (point * out_padded + panel * columns) * s->in_channels;
        const float *next = point + 1 < FT_WINOGRAD_POINTS ? b + out_padded * s->in_channels : b;
        for (ptrdiff_t t = 0; t < tiles; t += kernels->rows) {
            const float *a[p->in_blocks];
            for (ptrdiff_t block = 0; block < p->in_blocks; block++) {
                a[block] = v + point * p->v_point + (block * p->tiles + t) * FT_BLOCK;
            }
            kernels->multiply(
                p->in_blocks, inner, a, b, (int)width, t == 0 ? next : b, m + point * p->m_point + t * columns, columns,
                false);
        }
    }
}

static void run_task(void *context, ptrdiff_t task, int thread) {
    const run_job *job = context;
    const winograd_plan *p = &job->plan;
    ptrdiff_t begin = task / p->panel_tasks * p->row_step;
    ptrdiff_t end = ft_min(begin + p->row_step, job->shape->batch * p->tile_rows);
    ptrdiff_t first = task % p->panel_tasks * p->panel_step, last = ft_min(first + p->panel_step, p->panels);
    float *v = job->scratch + (ptrdiff_t)thread * p->scratch, *m = v + p->v, *rows = m + p->m;
    for (ptrdiff_t at = begin; at < end;) {
        tile_band band = band_at(p->tile_rows, p->tile_columns, at, begin, end);
        for (ptrdiff_t block = 0; block < p->in_blocks; block++) {
            transform_band(
                job->kernels, &job->x, job->shape->pad, p->tile_columns, band, block,
                v + (block * p->tiles + band.tile) * FT_BLOCK, p->v_point, rows);
        }
        at += band.last - band.first;
    }
    // Rows that only fill up the last tile of the product kernel.
    ptrdiff_t tiles = (end - begin) * p->tile_columns, filled = ft_round_up(tiles, job->kernels->rows);
    for (ptrdiff_t i = 0; i < FT_WINOGRAD_POINTS * p->in_blocks && filled > tiles; i++) {
        float *fill = v + i / p->in_blocks * p->v_point + (i % p->in_blocks * p->tiles + tiles) * FT_BLOCK;
        memset(fill, 0, (size_t)((filled - tiles) * FT_BLOCK) * sizeof(float));
    }
    ptrdiff_t columns = job->kernels->columns, per_panel = columns / FT_BLOCK;
    for (ptrdiff_t panel = first; panel < last; panel++) {
        multiply_panel(job, panel, tiles, v, m);
        ptrdiff_t end_block = ft_min((panel + 1) * per_panel, p->out_blocks);
        for (ptrdiff_t block = panel * per_panel; block < end_block; block++) {
            for (ptrdiff_t at = begin; at < end;) {
                tile_band band = band_at(p->tile_rows, p->tile_columns, at, begin, end);
                store_band(
                    job->kernels, &job->y, p->tile_columns, band, block,
                    m + band.tile * columns + block % per_panel * FT_BLOCK, p->m_point, columns, rows);
                at += band.last - band.first;
            }
        }
    }
}

void ft_winograd_run(
    const ft_winograd_shape *s, const ft_conv_kernels *kernels, const float *x, bool x_blocked, const float *packed,
    const ft_finish *finish, float *y, bool y_blocked, float *scratch, int threads) {
    run_job job = {
        .shape = s,
        .kernels = kernels,
        .plan = make_plan(s, kernels, threads),
        .x = {x, x_blocked, s->in_channels, s->in_height, s->in_width},
        .packed = packed,
        .y = {y, y_blocked, s->out_channels, s->out_height, s->out_width, finish},
        .scratch = scratch,
    };
    ft_parallel_for_threads(threads, job.plan.row_tasks * job.plan.panel_tasks, run_task, &job);
}
