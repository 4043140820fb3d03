#include "ft_pool.h"
#include "ft_simd.h"

/// Taps of one window along one axis: positions first + t * dilation for t in [0, taps).
typedef struct ft_taps {
    ptrdiff_t first;
    ptrdiff_t taps;
    /// Taps inside the padded input.
    ptrdiff_t padded;
} ft_taps;

// Number of t >= 0 with start + t * dilation < limit.
FT_INLINE ptrdiff_t ft_taps_below(ptrdiff_t start, ptrdiff_t dilation, ptrdiff_t limit) {
    if (start >= limit) return 0;
    return dilation == 1 ? limit - start : (limit - start + dilation - 1) / dilation;
}

FT_INLINE ft_taps ft_window(const ft_pool_geometry *g, int axis, ptrdiff_t position) {
    const ptrdiff_t start = position * g->stride[axis] - g->pad_begin[axis];
    const ptrdiff_t dilation = g->dilation[axis], kernel = g->kernel[axis];
    const ptrdiff_t padded = ft_taps_below(start, dilation, g->input[axis] + g->pad_end[axis]);
    const ptrdiff_t inside = ft_taps_below(start, dilation, g->input[axis]);
    const ptrdiff_t skipped = ft_taps_below(start, dilation, 0);
    const ptrdiff_t last = inside < kernel ? inside : kernel;
    return (ft_taps){.first = start + skipped * dilation,
                     .taps = last > skipped ? last - skipped : 0,
                     .padded = padded < kernel ? padded : kernel};
}

/// What the sum over a window is divided by.
FT_INLINE ptrdiff_t ft_window_count(const ft_pool_geometry *g, ft_taps depth, ft_taps rows, ft_taps columns) {
    return g->count_include_pad ? depth.padded * rows.padded * columns.padded
                                : depth.taps * rows.taps * columns.taps;
}

FT_INLINE ptrdiff_t ft_volume(const ptrdiff_t size[3]) { return size[0] * size[1] * size[2]; }

// Widest input row that the two-pass kernels hold on the stack.
#define FT_POOL_ROW 1024

// Windows of one plane's rows without dilation separate: first down the columns, then along the row.
static bool ft_pool_separates(const ft_pool_geometry *g) {
    return g->input[0] == 1 && g->kernel[0] == 1 && g->output[0] == 1 && g->pad_begin[0] == 0 && g->dilation[1] == 1
        && g->dilation[2] == 1 && g->input[2] <= FT_POOL_ROW;
}

typedef struct ft_run {
    ptrdiff_t begin;
    ptrdiff_t end;
} ft_run;

/// Windows along the last axis that lie in the input with all their taps.
static ft_run ft_inner_windows(const ft_pool_geometry *g) {
    const ptrdiff_t stride = g->stride[2], room = g->input[2] + g->pad_begin[2] - g->kernel[2];
    const ptrdiff_t end = room < 0 ? 0 : room / stride + 1;
    ft_run run = {.begin = (g->pad_begin[2] + stride - 1) / stride, .end = end < g->output[2] ? end : g->output[2]};
    if (run.end <= run.begin) run.begin = run.end = g->output[2];
    return run;
}

#define FT_T float
#define FT_NAME(x) x##_f32
#include "ft_pool_template.h"
#undef FT_T
#undef FT_NAME

#define FT_T double
#define FT_NAME(x) x##_f64
#include "ft_pool_template.h"
#undef FT_T
#undef FT_NAME
