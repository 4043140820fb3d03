// Convolution as one product per block of output positions: the inputs of these positions are gathered, a block of
// inner channels at a time, into rows that stay in the L2 cache.
#include "ft_conv_blocked.h"

#include <string.h>

/// Rows of a task at most, in tiles of the product kernel.
enum { MAX_TILES = 6 };
/// Inner blocks gathered at a time: with MAX_TILES tiles of 14 rows, 190 KB.
enum { MAX_BLOCKS = 36 };

static const float zeros[FT_BLOCK] __attribute__((aligned(64)));

static ptrdiff_t channel_blocks(ptrdiff_t channels) { return ft_divide_up(channels, FT_BLOCK); }

static ptrdiff_t inner_length(const ft_direct_shape *s) { return s->in_channels * s->taps; }

/// Number of inner elements before a block.
static ptrdiff_t inner_offset(const ft_direct_shape *s, ptrdiff_t block) {
    ptrdiff_t run = channel_blocks(s->in_channels);
    return block / run * s->in_channels + block % run * FT_BLOCK;
}

static ft_inner_blocks inner_blocks(const ft_direct_shape *s) {
    int last = (int)(s->in_channels % FT_BLOCK);
    return (ft_inner_blocks){channel_blocks(s->in_channels), 0, last == 0 ? FT_BLOCK : last};
}

static ptrdiff_t inner_block_count(const ft_direct_shape *s) {
    return channel_blocks(s->in_channels) * s->taps;
}

ft_direct_plan ft_direct_plan_make(const ft_direct_shape *s, const ft_conv_kernels *kernels, int threads) {
    ft_direct_plan p;
    p.blocks = inner_block_count(s);
    p.inner = inner_blocks(s);
    p.block_step = ft_divide_up(p.blocks, ft_max(1, ft_divide_up(p.blocks, MAX_BLOCKS)));
    p.out_padded = ft_round_up(s->out_channels, FT_BLOCK);
    p.panels = ft_divide_up(p.out_padded, kernels->columns);

    ptrdiff_t rows = s->batch * s->rows * s->columns, tile = kernels->rows;
    p.row_step = ft_task_size(rows, tile, tile * MAX_TILES, threads);
    p.row_tasks = ft_divide_up(rows, p.row_step);
    p.panel_tasks = p.row_tasks < threads && p.row_tasks > 0 ? ft_min(p.panels, ft_divide_up(threads, p.row_tasks)) : 1;
    p.panel_step = ft_divide_up(p.panels, p.panel_tasks);
    p.panel_tasks = ft_divide_up(p.panels, p.panel_step);

    p.scratch = p.row_step * (p.block_step * FT_BLOCK + p.panel_step * kernels->columns);
    p.scratch = ft_round_up(p.scratch, FT_BLOCK);
    return p;
}

// MARK: - Weights

ptrdiff_t ft_direct_weight_floats(const ft_direct_shape *s) {
    return inner_length(s) * ft_round_up(s->out_channels, FT_BLOCK);
}

typedef struct {
    const ft_direct_weights *parts;
    int count;
    const ft_conv_kernels *kernels;
    const float *w;
    ptrdiff_t out_stride, in_stride, kernel_taps;
} pack_job;

/// One block of output channels. A block is half a panel where panels are two blocks wide.
static void pack_task(void *context, ptrdiff_t out_block, int thread) {
    (void)thread;
    const pack_job *job = context;
    const ft_direct_shape *s = &job->parts->shape;
    ptrdiff_t columns = job->kernels->columns, per_panel = columns / FT_BLOCK;
    ptrdiff_t panel = out_block / per_panel;
    ptrdiff_t width = ft_min(per_panel, channel_blocks(s->out_channels) - panel * per_panel) * FT_BLOCK;
    ptrdiff_t lanes = ft_min(FT_BLOCK, s->out_channels - out_block * FT_BLOCK);
    const float *w = job->w + out_block * FT_BLOCK * job->out_stride;
    float taps[FT_BLOCK * FT_MAX_TAPS * FT_BLOCK] __attribute__((aligned(64)));
    for (ptrdiff_t first = 0; first < s->in_channels; first += FT_BLOCK) {
        ptrdiff_t inputs = ft_min(FT_BLOCK, s->in_channels - first);
        job->kernels->gather_taps(
            w + first * job->in_stride, job->out_stride, job->in_stride, lanes, inputs, job->kernel_taps, taps);
        for (int i = 0; i < job->count; i++) {
            const ft_direct_weights *part = &job->parts[i];
            float *to = part->packed + panel * columns * inner_length(&part->shape) + out_block % per_panel * FT_BLOCK;
            for (int t = 0; t < part->shape.taps; t++) {
                job->kernels->copy_blocks(
                    taps + part->tap_index[t] * FT_BLOCK, job->kernel_taps * FT_BLOCK,
                    to + (t * s->in_channels + first) * width, width, inputs);
            }
        }
    }
}

void ft_direct_pack(
    const ft_direct_weights *parts, int count, const ft_conv_kernels *kernels, const float *w, ptrdiff_t out_stride,
    ptrdiff_t in_stride, ptrdiff_t kernel_taps, int threads) {
    pack_job job = {parts, count, kernels, w, out_stride, in_stride, kernel_taps};
    ft_parallel_for_threads(threads, channel_blocks(parts->shape.out_channels), pack_task, &job);
}

// MARK: - Gathering

typedef struct {
    ptrdiff_t image, i, j;
} row_index;

static row_index row_at(const ft_direct_shape *s, ptrdiff_t row) {
    ptrdiff_t plane = s->rows * s->columns, rest = row % plane;
    return (row_index){row / plane, rest / s->columns, rest % s->columns};
}

/// Rows [at, at + count) of one line of outputs, for one tap and `length` blocks of its channels. `x` points at the
/// first of these blocks, `to` at the first row's place.
static void gather_run(
    const ft_direct_shape *s, const ft_conv_kernels *kernels, const float *x, row_index at, ptrdiff_t count,
    const ptrdiff_t tap[2], ptrdiff_t length, float *to, ptrdiff_t a_stride) {
    ptrdiff_t plane = s->in_height * s->in_width * FT_BLOCK, step = s->step[1];
    ptrdiff_t h = at.i * s->step[0] + tap[0], w = at.j * step + tap[1];
    // Rows [begin, end) of the run have their column inside the input.
    ptrdiff_t begin = w >= 0 ? 0 : ft_divide_up(-w, step);
    ptrdiff_t end = w >= s->in_width ? 0 : ft_divide_up(s->in_width - w, step);
    bool inside = h >= 0 && h < s->in_height;
    begin = inside ? ft_min(begin, count) : count;
    end = inside ? ft_max(begin, ft_min(end, count)) : count;
    const float *from = x + (h * s->in_width + w) * FT_BLOCK;
    for (ptrdiff_t block = 0; block < length; block++, from += plane, to += a_stride) {
        if (begin > 0) kernels->copy_blocks(zeros, 0, to, FT_BLOCK, begin);
        kernels->copy_blocks(
            from + begin * step * FT_BLOCK, step * FT_BLOCK, to + begin * FT_BLOCK, FT_BLOCK, end - begin);
        if (end < count) kernels->copy_blocks(zeros, 0, to + end * FT_BLOCK, FT_BLOCK, count - end);
    }
}

/// a[block - begin][row][16] of inner blocks [begin, end), `a_stride` from block to block, for `count` rows.
static void gather(
    const ft_direct_shape *s, const ft_conv_kernels *kernels, const float *x, ptrdiff_t row, ptrdiff_t count,
    ptrdiff_t begin, ptrdiff_t end, float *a, ptrdiff_t a_stride) {
    ptrdiff_t blocks = channel_blocks(s->in_channels), plane = s->in_height * s->in_width * FT_BLOCK;
    for (ptrdiff_t done = 0; done < count;) {
        row_index at = row_at(s, row + done);
        ptrdiff_t run = ft_min(s->columns - at.j, count - done);
        for (ptrdiff_t block = begin; block < end;) {
            ptrdiff_t first = block % blocks, length = ft_min(blocks - first, end - block);
            gather_run(
                s, kernels, x + (at.image * blocks + first) * plane, at, run, s->tap[block / blocks], length,
                a + (block - begin) * a_stride + done * FT_BLOCK, a_stride);
            block += length;
        }
        done += run;
    }
}

/// As `gather` for a tile of the product kernel; `blocks` receives where each block's rows are, which is the input
/// itself where all rows of a full tile are neighbours there.
static void gather_tile(
    const ft_direct_shape *s, const ft_conv_kernels *kernels, const float *x, ptrdiff_t row, ptrdiff_t count,
    ptrdiff_t begin, ptrdiff_t end, float *a, const float **blocks) {
    ptrdiff_t tile_stride = kernels->rows * FT_BLOCK, per_tap = channel_blocks(s->in_channels);
    ptrdiff_t plane = s->in_height * s->in_width * FT_BLOCK;
    row_index at = row_at(s, row);
    bool one_line = count == kernels->rows && at.j + count <= s->columns && s->step[1] == 1;
    for (ptrdiff_t block = begin; block < end;) {
        ptrdiff_t first = block % per_tap, length = ft_min(per_tap - first, end - block);
        const ptrdiff_t *tap = s->tap[block / per_tap];
        ptrdiff_t h = at.i * s->step[0] + tap[0], w = at.j + tap[1];
        float *to = a + (block - begin) * tile_stride;
        bool direct = one_line && h >= 0 && h < s->in_height && w >= 0 && w + count <= s->in_width;
        const float *from = x + (at.image * per_tap + first) * plane + (h * s->in_width + w) * FT_BLOCK;
        for (ptrdiff_t i = 0; i < length; i++) {
            blocks[block - begin + i] = direct ? from + i * plane : to + i * tile_stride;
        }
        if (!direct) gather(s, kernels, x, row, count, block, block + length, to, tile_stride);
        block += length;
    }
}

// MARK: - Forward

typedef struct {
    const ft_direct_shape *shape;
    const ft_conv_kernels *kernels;
    ft_direct_plan plan;
    const float *x, *packed;
    const ft_finish *finish;
    float *y, *scratch;
} run_job;

/// c[rows][panel_step * columns] = gathered rows times the panels [first, first + count).
static void multiply_rows(
    const run_job *job, ptrdiff_t row, ptrdiff_t count, ptrdiff_t first, ptrdiff_t panels, float *a, float *c) {
    const ft_direct_shape *s = job->shape;
    const ft_conv_kernels *kernels = job->kernels;
    const ft_direct_plan *p = &job->plan;
    ptrdiff_t tile = kernels->rows, columns = kernels->columns, ldc = p->panel_step * columns;
    ptrdiff_t tile_stride = tile * FT_BLOCK;
    for (ptrdiff_t begin = 0; begin < p->blocks; begin += p->block_step) {
        ptrdiff_t end = ft_min(begin + p->block_step, p->blocks), size = (end - begin) * tile_stride;
        const float *blocks[MAX_TILES * MAX_BLOCKS];
        for (ptrdiff_t r = 0; r < count; r += tile) {
            ptrdiff_t valid = ft_min(tile, count - r);
            float *to = a + r / tile * size;
            if (valid < tile) memset(to, 0, (size_t)size * sizeof(float));
            gather_tile(
                s, kernels, job->x, row + r, valid, begin, end, to, blocks + r / tile * (end - begin));
        }
        ft_inner_blocks inner = p->inner;
        inner.phase = begin % inner.run;
        for (ptrdiff_t panel = first; panel < first + panels; panel++) {
            ptrdiff_t width = ft_min(columns, p->out_padded - panel * columns);
            const float *b = job->packed + panel * columns * inner_length(s) + inner_offset(s, begin) * width;
            const float *next = panel + 1 < first + panels ? b + width * inner_length(s) : b;
            for (ptrdiff_t r = 0; r < count; r += tile) {
                kernels->multiply(
                    end - begin, inner, blocks + r / tile * (end - begin), b, (int)width, r == 0 ? next : b,
                    c + r * ldc + (panel - first) * columns, ldc, begin > 0);
            }
        }
    }
}

static void run_task(void *context, ptrdiff_t task, int thread) {
    const run_job *job = context;
    const ft_direct_shape *s = job->shape;
    const ft_direct_plan *p = &job->plan;
    ptrdiff_t columns = job->kernels->columns, ldc = p->panel_step * columns;
    ptrdiff_t row = task / p->panel_tasks * p->row_step, first = task % p->panel_tasks * p->panel_step;
    ptrdiff_t count = ft_min(p->row_step, s->batch * s->rows * s->columns - row);
    ptrdiff_t panels = ft_min(p->panel_step, p->panels - first);
    float *a = job->scratch + (ptrdiff_t)thread * p->scratch, *c = a + p->row_step * p->block_step * FT_BLOCK;
    multiply_rows(job, row, count, first, panels, a, c);

    ptrdiff_t out_blocks = p->out_padded / FT_BLOCK, first_block = first * columns / FT_BLOCK;
    ptrdiff_t blocks = ft_min(out_blocks - first_block, panels * columns / FT_BLOCK);
    ptrdiff_t plane = s->out_height * s->out_width * FT_BLOCK;
    bool whole_rows = s->out_step[0] == 1 && s->out_step[1] == 1 && s->columns == s->out_width;
    for (ptrdiff_t done = 0; done < count;) {
        row_index at = row_at(s, row + done);
        // Rows that are neighbours in the output: to the end of the image or of the line.
        ptrdiff_t run = whole_rows ? (s->rows - at.i) * s->columns - at.j : s->columns - at.j;
        run = ft_min(run, count - done);
        ptrdiff_t h = at.i * s->out_step[0] + s->out_origin[0], w = at.j * s->out_step[1] + s->out_origin[1];
        ptrdiff_t offset = (at.image * out_blocks + first_block) * plane + (h * s->out_width + w) * FT_BLOCK;
        ft_finish finish = *job->finish;
        if (finish.bias != NULL) finish.bias += first_block * FT_BLOCK;
        if (finish.residual != NULL) finish.residual += offset;
        job->kernels->store_rows(
            c + done * ldc, ldc, run, blocks, job->y + offset, plane, s->out_step[1] * FT_BLOCK, &finish);
        done += run;
    }
}

void ft_direct_run(
    const ft_direct_shape *s, const ft_conv_kernels *kernels, const float *x, const float *packed,
    const ft_finish *finish, float *y, float *scratch, int threads) {
    run_job job = {s, kernels, ft_direct_plan_make(s, kernels, threads), x, packed, finish, y, scratch};
    ft_parallel_for_threads(threads, job.plan.row_tasks * job.plan.panel_tasks, run_task, &job);
}

// MARK: - Gradient of the weight

/// Positions gathered at a time.
enum { GRADIENT_ROWS = 224 };
/// Inner blocks per task at most.
enum { GRADIENT_BLOCKS = 12 };

static ptrdiff_t gradient_block_step(const ft_direct_shape *s, int threads) {
    ptrdiff_t blocks = inner_block_count(s);
    ptrdiff_t tasks = ft_round_up(ft_divide_up(blocks, GRADIENT_BLOCKS), threads);
    return ft_max(1, ft_divide_up(blocks, tasks));
}

ptrdiff_t ft_direct_grad_weight_floats(const ft_direct_shape *s) {
    return inner_block_count(s) * FT_BLOCK * ft_round_up(s->out_channels, FT_BLOCK);
}

ptrdiff_t ft_direct_grad_weight_scratch(const ft_direct_shape *s, int threads) {
    return gradient_block_step(s, threads) * GRADIENT_ROWS * FT_BLOCK;
}

typedef struct {
    const ft_direct_shape *shape;
    const ft_conv_kernels *kernels;
    const float *x, *grad_output;
    bool first;
    float *accumulators, *scratch;
    ptrdiff_t block_step, thread_scratch;
} gradient_job;

static void gradient_task(void *context, ptrdiff_t task, int thread) {
    const gradient_job *job = context;
    const ft_direct_shape *s = job->shape;
    const ft_conv_kernels *kernels = job->kernels;
    ptrdiff_t begin = task * job->block_step, end = ft_min(begin + job->block_step, inner_block_count(s));
    ptrdiff_t out_blocks = channel_blocks(s->out_channels), ldc = out_blocks * FT_BLOCK;
    ptrdiff_t positions = s->rows * s->columns, plane = positions * FT_BLOCK;
    float *a = job->scratch + (ptrdiff_t)thread * job->thread_scratch;
    ptrdiff_t a_stride = GRADIENT_ROWS * FT_BLOCK;
    ft_inner_blocks inner = inner_blocks(s);
    bool first = job->first;
    for (ptrdiff_t image = 0; image < s->batch; image++) {
        for (ptrdiff_t at = 0; at < positions; at += GRADIENT_ROWS, first = false) {
            ptrdiff_t count = ft_min(GRADIENT_ROWS, positions - at), row = image * positions + at;
            gather(s, kernels, job->x, row, count, begin, end, a, a_stride);
            const float *grad = job->grad_output + image * out_blocks * plane + at * FT_BLOCK;
            for (ptrdiff_t out = 0; out < out_blocks; out += 2) {
                int vectors = (int)ft_min(2, out_blocks - out);
                for (ptrdiff_t block = begin; block < end; block++) {
                    int valid = block % inner.run + 1 == inner.run ? inner.last : FT_BLOCK;
                    kernels->multiply_transposed(
                        count, valid, a + (block - begin) * a_stride, grad + out * plane, plane, vectors,
                        job->accumulators + block * FT_BLOCK * ldc + out * FT_BLOCK, ldc, !first);
                }
            }
        }
    }
}

void ft_direct_grad_weight_add(
    const ft_direct_shape *s, const ft_conv_kernels *kernels, const float *x, const float *grad_output, bool first,
    float *accumulators, float *scratch, int threads) {
    gradient_job job = {
        s, kernels, x, grad_output, first, accumulators, scratch, gradient_block_step(s, threads),
        ft_direct_grad_weight_scratch(s, threads),
    };
    ft_parallel_for_threads(threads, ft_divide_up(inner_block_count(s), job.block_step), gradient_task, &job);
}

ptrdiff_t ft_grad_weight_store_scratch(int taps) { return (ptrdiff_t)FT_BLOCK * taps * FT_BLOCK; }

typedef struct {
    const ft_direct_shape *shape;
    const ft_conv_kernels *kernels;
    const float *accumulators;
    ptrdiff_t out_stride, in_stride;
    float *grad_weight, *scratch;
} store_job;

static void store_task(void *context, ptrdiff_t task, int thread) {
    const store_job *job = context;
    const ft_direct_shape *s = job->shape;
    ptrdiff_t out_blocks = channel_blocks(s->out_channels), ldc = out_blocks * FT_BLOCK;
    ptrdiff_t out = task % out_blocks, in = task / out_blocks, run = channel_blocks(s->in_channels);
    ptrdiff_t inputs = ft_min(FT_BLOCK, s->in_channels - in * FT_BLOCK);
    float *taps = job->scratch + (ptrdiff_t)thread * ft_grad_weight_store_scratch(s->taps);
    for (int t = 0; t < s->taps; t++) {
        job->kernels->copy_blocks(
            job->accumulators + (t * run + in) * FT_BLOCK * ldc + out * FT_BLOCK, ldc, taps + t * FT_BLOCK,
            s->taps * FT_BLOCK, inputs);
    }
    job->kernels->scatter_taps(
        taps, job->out_stride, job->in_stride, ft_min(FT_BLOCK, s->out_channels - out * FT_BLOCK), inputs, s->taps,
        job->grad_weight + out * FT_BLOCK * job->out_stride + in * FT_BLOCK * job->in_stride);
}

void ft_direct_grad_weight_store(
    const ft_direct_shape *s, const ft_conv_kernels *kernels, const float *accumulators, ptrdiff_t out_stride,
    ptrdiff_t in_stride, float *grad_weight, float *scratch, int threads) {
    store_job job = {s, kernels, accumulators, out_stride, in_stride, grad_weight, scratch};
    ft_parallel_for_threads(
        threads, channel_blocks(s->out_channels) * channel_blocks(s->in_channels), store_task, &job);
}
