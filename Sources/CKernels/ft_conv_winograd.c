// Winograd's convolution F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015):
// 36 products of transformed tiles instead of 144 per 4 x 4 outputs.
//
// V: [point][in block][tile][16], U: [point][panel][in channel][columns], M: [point][tile][out channel]
#include "ft_conv_blocked.h"

#include <string.h>

enum { TILE = 4 };
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
    /// Floats of V, M, and one block's rows of a planar input and output; and of all, per thread.
    ptrdiff_t v, m, in_rows, out_rows, scratch;
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

    // A task's rows may come from as many images.
    p.v = FT_WINOGRAD_POINTS * p.in_blocks * p.tiles * FT_BLOCK;
    p.m = FT_WINOGRAD_POINTS * p.tiles * kernels->columns;
    p.in_rows = p.row_step * (TILE + 2) * s->in_width * FT_BLOCK;
    p.out_rows = p.row_step * TILE * s->out_width * FT_BLOCK;
    p.scratch = p.v + p.m + p.in_rows + p.out_rows;
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
    const float *x, *packed;
    const ft_finish *finish;
    float *y, *scratch;
    bool x_blocked, y_blocked;
} run_job;

/// Rows of tiles [first, last) of one image; `tile` is their first among the task's tiles.
typedef struct {
    ptrdiff_t image, first, last, tile;
} tile_band;

/// The band that begins at row `at` of rows [begin, end), counted through all images.
static tile_band band_at(const winograd_plan *p, ptrdiff_t at, ptrdiff_t begin, ptrdiff_t end) {
    ptrdiff_t image = at / p->tile_rows, first = at % p->tile_rows;
    return (tile_band){image, first, ft_min(p->tile_rows, first + end - at), (at - begin) * p->tile_columns};
}

static void transform_input(const run_job *job, tile_band band, float *v, float *rows) {
    const ft_winograd_shape *s = job->shape;
    const winograd_plan *p = &job->plan;
    ptrdiff_t plane = s->in_height * s->in_width, point_stride = p->in_blocks * p->tiles * FT_BLOCK;
    // The input rows that the band reads; all of them where nothing is copied.
    ptrdiff_t top = 0, height = s->in_height;
    if (!job->x_blocked) {
        top = ft_max(0, band.first * TILE - s->pad[0]);
        height = ft_max(0, ft_min(s->in_height, band.last * TILE + 2 - s->pad[0]) - top);
    }
    for (ptrdiff_t block = 0; block < p->in_blocks; block++) {
        const float *from = rows;
        if (job->x_blocked) {
            from = job->x + (band.image * p->in_blocks + block) * plane * FT_BLOCK;
        } else {
            ptrdiff_t channel = block * FT_BLOCK;
            job->kernels->block(
                job->x + (band.image * s->in_channels + channel) * plane + top * s->in_width, plane,
                ft_min(FT_BLOCK, s->in_channels - channel), height * s->in_width, rows);
        }
        float *to = v + (block * p->tiles + band.tile) * FT_BLOCK;
        for (ptrdiff_t row = band.first; row < band.last; row++) {
            for (ptrdiff_t column = 0; column < p->tile_columns; column++, to += FT_BLOCK) {
                job->kernels->winograd_input(
                    from, height, s->in_width, row * TILE - s->pad[0] - top, column * TILE - s->pad[1], to,
                    point_stride);
            }
        }
    }
}

/// Writes one output block of a band. m: [point][tile][columns] of this block's panel.
static void transform_output(const run_job *job, tile_band band, ptrdiff_t block, const float *m, float *rows) {
    const ft_winograd_shape *s = job->shape;
    const winograd_plan *p = &job->plan;
    ptrdiff_t plane = s->out_height * s->out_width, columns = job->kernels->columns;
    ptrdiff_t top = 0, height = s->out_height, channel = block * FT_BLOCK;
    ft_finish finish = *job->finish, none = {0};
    if (finish.bias != NULL) finish.bias += channel;
    float *to = rows;
    if (job->y_blocked) {
        ptrdiff_t offset = (band.image * p->out_blocks + block) * plane * FT_BLOCK;
        if (finish.residual != NULL) finish.residual += offset;
        to = job->y + offset;
    } else {
        top = band.first * TILE;
        height = ft_min(s->out_height, band.last * TILE) - top;
    }
    m += band.tile * columns;
    for (ptrdiff_t row = band.first; row < band.last; row++) {
        for (ptrdiff_t column = 0; column < p->tile_columns; column++, m += columns) {
            job->kernels->winograd_output(
                m, p->tiles * columns, to, height, s->out_width, row * TILE - top, column * TILE,
                job->y_blocked ? &finish : &none);
        }
    }
    if (job->y_blocked) return;
    ptrdiff_t offset = (band.image * s->out_channels + channel) * plane + top * s->out_width;
    if (finish.residual != NULL) finish.residual += offset;
    job->kernels->unblock(
        rows, ft_min(FT_BLOCK, s->out_channels - channel), height * s->out_width, job->y + offset, plane, &finish);
}

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
                a[block] = v + ((point * p->in_blocks + block) * p->tiles + t) * FT_BLOCK;
            }
            kernels->multiply(
                p->in_blocks, inner, a, b, (int)width, t == 0 ? next : b, m + (point * p->tiles + t) * columns,
                columns, false);
        }
    }
}

static void run_task(void *context, ptrdiff_t task, int thread) {
    const run_job *job = context;
    const winograd_plan *p = &job->plan;
    ptrdiff_t begin = task / p->panel_tasks * p->row_step;
    ptrdiff_t end = ft_min(begin + p->row_step, job->shape->batch * p->tile_rows);
    ptrdiff_t first = task % p->panel_tasks * p->panel_step, last = ft_min(first + p->panel_step, p->panels);
    float *v = job->scratch + (ptrdiff_t)thread * p->scratch, *m = v + p->v;
    float *in_rows = m + p->m, *out_rows = in_rows + p->in_rows;
    for (ptrdiff_t at = begin; at < end;) {
        tile_band band = band_at(p, at, begin, end);
        transform_input(job, band, v, in_rows);
        at += band.last - band.first;
    }
    // Rows that only fill up the last tile of the product kernel.
    ptrdiff_t tiles = (end - begin) * p->tile_columns, filled = ft_round_up(tiles, job->kernels->rows);
    for (ptrdiff_t i = 0; i < FT_WINOGRAD_POINTS * p->in_blocks && filled > tiles; i++) {
        memset(v + (i * p->tiles + tiles) * FT_BLOCK, 0, (size_t)((filled - tiles) * FT_BLOCK) * sizeof(float));
    }
    ptrdiff_t per_panel = job->kernels->columns / FT_BLOCK;
    for (ptrdiff_t panel = first; panel < last; panel++) {
        multiply_panel(job, panel, tiles, v, m);
        ptrdiff_t end_block = ft_min((panel + 1) * per_panel, p->out_blocks);
        for (ptrdiff_t block = panel * per_panel; block < end_block; block++) {
            for (ptrdiff_t at = begin; at < end;) {
                tile_band band = band_at(p, at, begin, end);
                transform_output(job, band, block, m + block % per_panel * FT_BLOCK, out_rows);
                at += band.last - band.first;
            }
        }
    }
}

void ft_winograd_run(
    const ft_winograd_shape *s, const ft_conv_kernels *kernels, const float *x, bool x_blocked, const float *packed,
    const ft_finish *finish, float *y, bool y_blocked, float *scratch, int threads) {
    run_job job = {
        s, kernels, make_plan(s, kernels, threads), x, packed, finish, y, scratch, x_blocked, y_blocked,
    };
    ft_parallel_for_threads(threads, job.plan.row_tasks * job.plan.panel_tasks, run_task, &job);
}
