// Gradient of a 3x3 convolution's weight by the adjoint of Winograd's algorithm: transformed inputs times transformed
// gradients, summed over tiles, then transformed back.
//
// A task owns the gradient of some input blocks and two output blocks, and goes through all images a few rows of tiles
// at a time; its sums, and both transforms of these tiles, stay in the L2 cache.
#include "ft_conv_blocked.h"

enum { TILE = 4, TAPS = 9 };
/// Blocks per task.
enum { IN_GROUP = 4, OUT_GROUP = 2 };
/// Tiles at a time, unless one row of tiles has more.
enum { MAX_TILES = 28 };

typedef struct {
    const ft_winograd_shape *shape;
    const ft_conv_kernels *kernels;
    const float *x, *grad_output;
    float *grad_weight, *scratch;
    ptrdiff_t in_group, in_groups;
} gradient_job;

typedef struct {
    ptrdiff_t tile_rows, tile_columns;
    /// Rows of tiles at a time, and how many tiles these are.
    ptrdiff_t row_step, tiles;
    /// Floats of the pieces of scratch memory.
    ptrdiff_t in_rows, out_rows, v, m, sums;
} gradient_sizes;

static gradient_sizes sizes_of(const ft_winograd_shape *s) {
    gradient_sizes z;
    z.tile_rows = ft_divide_up(s->out_height, TILE);
    z.tile_columns = ft_divide_up(s->out_width, TILE);
    z.row_step = ft_max(1, MAX_TILES / ft_max(z.tile_columns, 1));
    z.tiles = z.row_step * z.tile_columns;
    // Rows of tiles may come from as many images.
    z.in_rows = IN_GROUP * FT_BLOCK * z.row_step * (TILE + 2) * s->in_width;
    z.out_rows = OUT_GROUP * FT_BLOCK * z.row_step * TILE * s->out_width;
    z.v = FT_WINOGRAD_POINTS * IN_GROUP * z.tiles * FT_BLOCK;
    z.m = FT_WINOGRAD_POINTS * OUT_GROUP * z.tiles * FT_BLOCK;
    z.sums = FT_WINOGRAD_POINTS * IN_GROUP * FT_BLOCK * OUT_GROUP * FT_BLOCK;
    return z;
}

ptrdiff_t ft_winograd_grad_weight_scratch(const ft_winograd_shape *s) {
    gradient_sizes z = sizes_of(s);
    ptrdiff_t taps = FT_BLOCK * TAPS * FT_BLOCK;
    return ft_round_up(z.in_rows, FT_BLOCK) + ft_round_up(z.out_rows, FT_BLOCK) + z.v + z.m + z.sums + taps;
}

/// Rows of tiles [first, last) of one image, whose tiles start at `tile` of the `tiles` transformed together.
typedef struct {
    ptrdiff_t image, first, last, tile;
} tile_band;

/// V of `count` input blocks from `block` on.
static void transform_input(
    const gradient_job *job, const gradient_sizes *z, tile_band band, ptrdiff_t block, ptrdiff_t count, float *rows,
    float *v) {
    const ft_winograd_shape *s = job->shape;
    ptrdiff_t top = ft_max(0, band.first * TILE - s->pad[0]);
    ptrdiff_t bottom = ft_max(top, ft_min(s->in_height, (band.last - 1) * TILE + TILE + 2 - s->pad[0]));
    ptrdiff_t plane = s->in_height * s->in_width, height = bottom - top;
    for (ptrdiff_t b = 0; b < count; b++) {
        ptrdiff_t channel = (block + b) * FT_BLOCK;
        job->kernels->block(
            job->x + (band.image * s->in_channels + channel) * plane + top * s->in_width, plane,
            ft_min(FT_BLOCK, s->in_channels - channel), height * s->in_width, rows);
        float *to = v + (b * z->tiles + band.tile) * FT_BLOCK;
        for (ptrdiff_t row = band.first; row < band.last; row++) {
            for (ptrdiff_t column = 0; column < z->tile_columns; column++, to += FT_BLOCK) {
                job->kernels->winograd_input(
                    rows, height, s->in_width, row * TILE - s->pad[0] - top, column * TILE - s->pad[1], to,
                    IN_GROUP * z->tiles * FT_BLOCK);
            }
        }
    }
}

/// M of `count` output blocks from `block` on.
static void transform_gradient(
    const gradient_job *job, const gradient_sizes *z, tile_band band, ptrdiff_t block, ptrdiff_t count, float *rows,
    float *m) {
    const ft_winograd_shape *s = job->shape;
    ptrdiff_t top = band.first * TILE, height = ft_min(s->out_height, band.last * TILE) - top;
    ptrdiff_t plane = s->out_height * s->out_width;
    for (ptrdiff_t b = 0; b < count; b++) {
        ptrdiff_t channel = (block + b) * FT_BLOCK;
        job->kernels->block(
            job->grad_output + (band.image * s->out_channels + channel) * plane + top * s->out_width, plane,
            ft_min(FT_BLOCK, s->out_channels - channel), height * s->out_width, rows);
        float *to = m + (b * z->tiles + band.tile) * FT_BLOCK;
        for (ptrdiff_t row = band.first; row < band.last; row++) {
            for (ptrdiff_t column = 0; column < z->tile_columns; column++, to += FT_BLOCK) {
                job->kernels->winograd_output_adjoint(
                    rows, height, s->out_width, row * TILE - top, column * TILE, to,
                    OUT_GROUP * z->tiles * FT_BLOCK);
            }
        }
    }
}

/// sums[point][in channel][out channel] += V^T M over `tiles` tiles.
static void add_products(
    const gradient_job *job, const gradient_sizes *z, ptrdiff_t tiles, ptrdiff_t in_count, ptrdiff_t out_count,
    const float *v, const float *m, float *sums, bool first) {
    ptrdiff_t block = z->tiles * FT_BLOCK, ldc = OUT_GROUP * FT_BLOCK;
    for (ptrdiff_t point = 0; point < FT_WINOGRAD_POINTS; point++) {
        for (ptrdiff_t b = 0; b < in_count; b++) {
            job->kernels->multiply_transposed(
                tiles, FT_BLOCK, v + (point * IN_GROUP + b) * block, m + point * OUT_GROUP * block, block,
                (int)out_count, sums + (point * IN_GROUP + b) * FT_BLOCK * ldc, ldc, !first);
        }
    }
}

static void store_sums(
    const gradient_job *job, ptrdiff_t in, ptrdiff_t in_count, ptrdiff_t out, ptrdiff_t out_count, const float *sums,
    float *taps) {
    const ft_winograd_shape *s = job->shape;
    ptrdiff_t ldc = OUT_GROUP * FT_BLOCK;
    for (ptrdiff_t b = 0; b < in_count; b++) {
        ptrdiff_t channel = (in + b) * FT_BLOCK, inputs = ft_min(FT_BLOCK, s->in_channels - channel);
        for (ptrdiff_t o = 0; o < out_count; o++) {
            ptrdiff_t out_channel = (out + o) * FT_BLOCK;
            for (ptrdiff_t c = 0; c < inputs; c++) {
                job->kernels->winograd_weight_adjoint(
                    sums + (b * FT_BLOCK + c) * ldc + o * FT_BLOCK, IN_GROUP * FT_BLOCK * ldc,
                    taps + c * TAPS * FT_BLOCK);
            }
            job->kernels->scatter_taps(
                taps, s->in_channels * TAPS, TAPS, ft_min(FT_BLOCK, s->out_channels - out_channel), inputs, TAPS,
                job->grad_weight + (out_channel * s->in_channels + channel) * TAPS);
        }
    }
}

static void gradient_task(void *context, ptrdiff_t task, int thread) {
    const gradient_job *job = context;
    const ft_winograd_shape *s = job->shape;
    gradient_sizes z = sizes_of(s);
    ptrdiff_t in = task % job->in_groups * job->in_group, out = task / job->in_groups * OUT_GROUP;
    ptrdiff_t in_count = ft_min(job->in_group, ft_divide_up(s->in_channels, FT_BLOCK) - in);
    ptrdiff_t out_count = ft_min(OUT_GROUP, ft_divide_up(s->out_channels, FT_BLOCK) - out);
    float *in_rows = job->scratch + (ptrdiff_t)thread * ft_winograd_grad_weight_scratch(s);
    float *out_rows = in_rows + ft_round_up(z.in_rows, FT_BLOCK), *v = out_rows + ft_round_up(z.out_rows, FT_BLOCK);
    float *m = v + z.v, *sums = m + z.m, *taps = sums + z.sums;
    ptrdiff_t rows = s->batch * z.tile_rows;
    for (ptrdiff_t row = 0; row < rows; row += z.row_step) {
        ptrdiff_t end = ft_min(row + z.row_step, rows);
        for (ptrdiff_t at = row; at < end;) {
            ptrdiff_t image = at / z.tile_rows, first = at % z.tile_rows;
            ptrdiff_t last = ft_min(z.tile_rows, first + end - at);
            tile_band band = {image, first, last, (at - row) * z.tile_columns};
            transform_input(job, &z, band, in, in_count, in_rows, v);
            transform_gradient(job, &z, band, out, out_count, out_rows, m);
            at += last - first;
        }
        add_products(job, &z, (end - row) * z.tile_columns, in_count, out_count, v, m, sums, row == 0);
    }
    store_sums(job, in, in_count, out, out_count, sums, taps);
}

void ft_winograd_grad_weight(
    const ft_winograd_shape *s, const ft_conv_kernels *kernels, const float *x, const float *grad_output,
    float *grad_weight, float *scratch, int threads) {
    ptrdiff_t in_blocks = ft_divide_up(s->in_channels, FT_BLOCK), out_blocks = ft_divide_up(s->out_channels, FT_BLOCK);
    ptrdiff_t out_groups = ft_divide_up(out_blocks, OUT_GROUP);
    // Smaller groups repeat more transforms, but every thread gets one.
    ptrdiff_t in_group = IN_GROUP;
    while (in_group > 1 && ft_divide_up(in_blocks, in_group) * out_groups < threads) in_group /= 2;
    gradient_job job = {
        s, kernels, x, grad_output, grad_weight, scratch, in_group, ft_divide_up(in_blocks, in_group),
    };
    ft_parallel_for_threads(threads, job.in_groups * out_groups, gradient_task, &job);
}
