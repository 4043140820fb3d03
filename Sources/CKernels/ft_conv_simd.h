#ifndef FT_CONV_SIMD_H
#define FT_CONV_SIMD_H

#include "CKernels.h"
#include "ft_cpu.h"

#include <stdint.h>

/// Elements of V and M per tile in Winograd F(4x4, 3x3): 6 x 6 points.
enum { FT_WINOGRAD_POINTS = 36 };

static inline ptrdiff_t ft_divide_up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }
static inline ptrdiff_t ft_round_up(ptrdiff_t a, ptrdiff_t b) { return ft_divide_up(a, b) * b; }
static inline ptrdiff_t ft_min(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t ft_max(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/// The size of tasks, a multiple of `multiple` and at most `most`, that finishes `total` rows soonest on `threads`
/// threads; the largest of those that do.
static inline ptrdiff_t ft_task_size(ptrdiff_t total, ptrdiff_t multiple, ptrdiff_t most, int threads) {
    ptrdiff_t best = multiple, best_rows = PTRDIFF_MAX;
    for (ptrdiff_t size = ft_max(most / multiple, 1) * multiple; size >= multiple; size -= multiple) {
        ptrdiff_t rows = ft_divide_up(ft_divide_up(total, size), threads) * size;
        if (rows < best_rows) {
            best = size;
            best_rows = rows;
        }
        // Smaller tasks reread the weights more often than they balance better.
        if (size * 2 <= most && best_rows < PTRDIFF_MAX && best_rows * threads <= total + total / 16) break;
    }
    return best;
}

/// Which of a block's inner indices take part in a product: blocks come in runs of `run`, the last of each run has
/// `last` valid channels, the others 16. `phase` is the position of the first block inside its run.
typedef struct {
    ptrdiff_t run, phase;
    int last;
} ft_inner_blocks;

/// Bias, residual and limits that a kernel applies before it stores; see `ft_conv_epilogue`.
typedef struct {
    /// Filled up to whole blocks, or NULL.
    const float *bias;
    const float *residual;
    bool clip;
    float low, high;
} ft_finish;

/// One set of vector kernels. Matrices of columns are rows of whole blocks.
typedef struct {
    /// Rows and columns of the product kernel's tile; `columns` is a multiple of FT_BLOCK.
    int rows, columns;

    /// c[rows][width] (+)= a * b. a[block]: [rows][16], b: [inner][width], c: row stride ldc.
    /// `width` is `columns` or FT_BLOCK. `next` is the b of a later call, to be fetched meanwhile, or this call's.
    void (*multiply)(
        ptrdiff_t blocks, ft_inner_blocks inner, const float *const *a, const float *b, int width, const float *next,
        float *c, ptrdiff_t ldc, bool accumulate);

    /// c[rows][16 * vectors] (+)= a^T * b over `count` rows. a: [count][16]; b: `vectors` (1 or 2) arrays [count][16],
    /// b_stride apart; c: 16 rows of stride ldc, of which those after `rows` (1 to 16) may be left as they are.
    void (*multiply_transposed)(
        ptrdiff_t count, int rows, const float *a, const float *b, ptrdiff_t b_stride, int vectors, float *c,
        ptrdiff_t ldc, bool accumulate);

    /// [channels][positions] -> [positions][16], missing channels zero. `stride` is the distance of channels.
    void (*block)(const float *x, ptrdiff_t stride, ptrdiff_t channels, ptrdiff_t positions, float *blocked);
    /// The reverse, with the epilogue; `finish->bias` points at this block's channels, `finish->residual` is laid out
    /// as y.
    void (*unblock)(
        const float *blocked, ptrdiff_t channels, ptrdiff_t positions, float *y, ptrdiff_t stride,
        const ft_finish *finish);

    /// c: [rows][16 * blocks] of row stride ldc -> y[block * block_stride + row * row_stride], with the epilogue;
    /// `finish->residual` is laid out as y.
    void (*store_rows)(
        const float *c, ptrdiff_t ldc, ptrdiff_t rows, ptrdiff_t blocks, float *y, ptrdiff_t block_stride,
        ptrdiff_t row_stride, const ft_finish *finish);

    /// to[i] = from[i] for `count` blocks of 16, `from_stride` and `to_stride` floats apart.
    void (*copy_blocks)(
        const float *from, ptrdiff_t from_stride, float *to, ptrdiff_t to_stride, ptrdiff_t count);

    /// to[i][lane] = lines[lane][i * stride] for `count` positions. Lines are readable up to
    /// stride * (`count` rounded up to 16) elements.
    void (*interleave)(const float *const lines[FT_BLOCK], ptrdiff_t stride, ptrdiff_t count, float *to);

    /// V = B^T d B for the 6 x 6 patch of a [height][width][16] plane whose corner is (top, left), zero outside.
    /// Point p is stored at v + p * v_stride.
    void (*winograd_input)(
        const float *x, ptrdiff_t height, ptrdiff_t width, ptrdiff_t top, ptrdiff_t left, float *v, ptrdiff_t v_stride);
    /// y = A^T m A, the 4 x 4 outputs from (top, left) of a [height][width][16] plane as far as they lie in it, with
    /// the epilogue.
    /// Point p is read at m + p * m_stride.
    void (*winograd_output)(
        const float *m, ptrdiff_t m_stride, float *y, ptrdiff_t height, ptrdiff_t width, ptrdiff_t top, ptrdiff_t left,
        const ft_finish *finish);
    /// A y A^T of the 4 x 4 gradients from (top, left), zero outside: the adjoint of `winograd_output`.
    void (*winograd_output_adjoint)(
        const float *y, ptrdiff_t height, ptrdiff_t width, ptrdiff_t top, ptrdiff_t left, float *m, ptrdiff_t m_stride);

    /// Weights of 16 output channels and `inputs` (at most 16) input channels: taps[(c * count + t) * 16 + lane] is
    /// w[lane * out_stride + c * in_stride + t] for `lanes` output channels, zero for the others.
    void (*gather_taps)(
        const float *w, ptrdiff_t out_stride, ptrdiff_t in_stride, ptrdiff_t lanes, ptrdiff_t inputs, ptrdiff_t count,
        float *taps);
    /// The reverse: adds nothing, overwrites.
    void (*scatter_taps)(
        const float *taps, ptrdiff_t out_stride, ptrdiff_t in_stride, ptrdiff_t lanes, ptrdiff_t inputs,
        ptrdiff_t count, float *w);
    /// U = G g G^T for one input channel and 16 output channels; g: [9][16] (in reverse order when `rotate`), point p
    /// is stored at u + p * u_stride, past the caches when `streamed`, and then 64-byte aligned.
    void (*winograd_weight)(const float *g, bool rotate, bool streamed, float *u, ptrdiff_t u_stride);
    /// g = G^T u G: the adjoint of `winograd_weight`.
    void (*winograd_weight_adjoint)(const float *u, ptrdiff_t u_stride, float *g);

    /// Depthwise convolution of one block of 16 channels: output rows [begin, end). w: [taps][16].
    void (*depthwise)(
        const ft_conv_shape *shape, const float *x, const float *w, ptrdiff_t begin, ptrdiff_t end, float *y,
        const ft_finish *finish);

    /// Gradients of `depthwise` for a whole plane: the input's, and the weight's, which is added to w.
    void (*depthwise_grad_input)(const ft_conv_shape *shape, const float *g, const float *w, float *x);
    void (*depthwise_grad_weight)(const ft_conv_shape *shape, const float *x, const float *g, float *w);

    /// Largest of each window's elements, for one block of 16 channels: output rows [begin, end).
    void (*max_pool)(const ft_conv_shape *shape, const float *x, ptrdiff_t begin, ptrdiff_t end, float *y);
    /// mean[lane] over [positions][16].
    void (*mean)(const float *x, ptrdiff_t positions, float *mean);
    /// y = clip(a + b), `count` a multiple of 16.
    void (*add)(const float *a, const float *b, ptrdiff_t count, const ft_finish *finish, float *y);

    /// Mean over [positions][16], and the sum of squared distances from it.
    void (*moments)(const float *x, ptrdiff_t positions, float *mean, float *squares);
    /// The functions of ft_affine.h for one block: `sum` points at its images and channels.
    void (*affine_sum)(const ft_affine_sum *sum, ptrdiff_t positions, float *y);
    void (*affine_gradient_sums)(
        const ft_affine_sum *sum, float *g, bool store, const float *mean, ptrdiff_t positions, float *total,
        float *product);
    void (*affine_gradient)(
        const ft_affine_sum *sum, const float *g, const float *mean, const float *shift, const float *slope,
        ptrdiff_t positions, float *x0);

    /// As `max_pool` for a whole plane, and the kernel position of each maximum.
    void (*max_pool_places)(const ft_conv_shape *shape, const float *x, float *y, uint8_t *places);
    /// x = g added up at the places, zero elsewhere.
    void (*max_pool_gradient)(const ft_conv_shape *shape, const uint8_t *places, const float *g, float *x);
} ft_conv_kernels;

/// The kernels for this CPU.
const ft_conv_kernels *ft_conv_kernels_get(void);

extern const ft_conv_kernels ft_conv_kernels_portable;
#if defined(__x86_64__)
extern const ft_conv_kernels ft_conv_kernels_avx2;
extern const ft_conv_kernels ft_conv_kernels_avx512;
#endif

#endif
