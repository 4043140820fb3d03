// Vector kernels of convolution, compiled once per instruction set. The includer defines
//   ROWS, VECTORS      rows and 16-float vectors of the product tile
//   TN_ROWS            rows of the transposed product's tile, a divisor of 16
//   TABLE              name of the table of kernels
// and the target attribute. A vector is always 16 floats; the compiler splits it where registers are narrower.

#include "ft_conv_simd.h"

#include <string.h>

typedef float vec __attribute__((vector_size(64)));
typedef float vec_any __attribute__((vector_size(64), aligned(4)));
typedef int32_t vec_mask __attribute__((vector_size(64)));

#define UNROLL _Pragma("clang loop unroll(full)")
#define INLINE static inline __attribute__((always_inline))
#define LOAD(p) (*(const vec_any *)(p))
#define STORE(p, value) (*(vec_any *)(p) = (value))

// MARK: - Products

#define DEFINE_MULTIPLY(name, width_vectors)                                                                           \
    static void name(                                                                                                  \
        ptrdiff_t blocks, ft_inner_blocks inner, const float *const *a_blocks, const float *b,                         \
        const float *next, float *c, ptrdiff_t ldc, bool accumulate) {                                                 \
        vec sum[ROWS][width_vectors];                                                                                  \
        UNROLL for (int i = 0; i < ROWS; i++) {                                                                        \
            UNROLL for (int v = 0; v < width_vectors; v++) sum[i][v] = (vec){0};                                       \
        }                                                                                                              \
        ptrdiff_t position = inner.phase;                                                                              \
        for (ptrdiff_t block = 0; block < blocks; block++) {                                                           \
            const float *a = a_blocks[block];                                                                          \
            int length = FT_BLOCK;                                                                                     \
            if (++position == inner.run) {                                                                             \
                position = 0;                                                                                          \
                length = inner.last;                                                                                   \
            }                                                                                                          \
            for (int k = 0; k < length; k++) {                                                                         \
                UNROLL for (int v = 0; v < width_vectors; v++) __builtin_prefetch(next + v * FT_BLOCK, 0, 2);          \
                next += width_vectors * FT_BLOCK;                                                                      \
                vec right[width_vectors];                                                                              \
                UNROLL for (int v = 0; v < width_vectors; v++) right[v] = LOAD(b + v * FT_BLOCK);                    \
                UNROLL for (int i = 0; i < ROWS; i++) {                                                                \
                    float left = a[i * FT_BLOCK + k];                                                                  \
                    UNROLL for (int v = 0; v < width_vectors; v++) sum[i][v] += left * right[v];                       \
                }                                                                                                      \
                b += width_vectors * FT_BLOCK;                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        if (accumulate) {                                                                                              \
            UNROLL for (int i = 0; i < ROWS; i++) {                                                                    \
                UNROLL for (int v = 0; v < width_vectors; v++) {                                                       \
                    float *at = c + i * ldc + v * FT_BLOCK;                                                            \
                    STORE(at, LOAD(at) + sum[i][v]);                                                                   \
                }                                                                                                      \
            }                                                                                                          \
        } else {                                                                                                       \
            UNROLL for (int i = 0; i < ROWS; i++) {                                                                    \
                UNROLL for (int v = 0; v < width_vectors; v++) STORE(c + i * ldc + v * FT_BLOCK, sum[i][v]);           \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_MULTIPLY(multiply_full, VECTORS)
#if VECTORS > 1
DEFINE_MULTIPLY(multiply_one, 1)
#else
#define multiply_one multiply_full
#endif

static void multiply(
    ptrdiff_t blocks, ft_inner_blocks inner, const float *const *a, const float *b, int width, const float *next,
    float *c, ptrdiff_t ldc, bool accumulate) {
    if (width == VECTORS * FT_BLOCK) {
        multiply_full(blocks, inner, a, b, next, c, ldc, accumulate);
    } else {
        multiply_one(blocks, inner, a, b, next, c, ldc, accumulate);
    }
}

#define DEFINE_MULTIPLY_TRANSPOSED(name, width_vectors)                                                                \
    static void name(                                                                                                  \
        ptrdiff_t count, const float *a, const float *b, ptrdiff_t b_stride, float *c, ptrdiff_t ldc,                  \
        bool accumulate) {                                                                                             \
        vec sum[TN_ROWS][width_vectors];                                                                               \
        UNROLL for (int i = 0; i < TN_ROWS; i++) {                                                                     \
            UNROLL for (int v = 0; v < width_vectors; v++) {                                                           \
                sum[i][v] = accumulate ? LOAD(c + i * ldc + v * FT_BLOCK) : (vec){0};                                  \
            }                                                                                                          \
        }                                                                                                              \
        for (ptrdiff_t t = 0; t < count; t++) {                                                                        \
            vec right[width_vectors];                                                                                  \
            UNROLL for (int v = 0; v < width_vectors; v++) right[v] = LOAD(b + v * b_stride + t * FT_BLOCK);           \
            UNROLL for (int i = 0; i < TN_ROWS; i++) {                                                                 \
                float left = a[t * FT_BLOCK + i];                                                                      \
                UNROLL for (int v = 0; v < width_vectors; v++) sum[i][v] += left * right[v];                           \
            }                                                                                                          \
        }                                                                                                              \
        UNROLL for (int i = 0; i < TN_ROWS; i++) {                                                                     \
            UNROLL for (int v = 0; v < width_vectors; v++) STORE(c + i * ldc + v * FT_BLOCK, sum[i][v]);               \
        }                                                                                                              \
    }

DEFINE_MULTIPLY_TRANSPOSED(multiply_transposed_two, 2)
DEFINE_MULTIPLY_TRANSPOSED(multiply_transposed_one, 1)

static void multiply_transposed(
    ptrdiff_t count, int rows, const float *a, const float *b, ptrdiff_t b_stride, int vectors, float *c,
    ptrdiff_t ldc, bool accumulate) {
    for (int i = 0; i < rows; i += TN_ROWS) {
        if (vectors == 2) {
            multiply_transposed_two(count, a + i, b, b_stride, c + i * ldc, ldc, accumulate);
        } else {
            multiply_transposed_one(count, a + i, b, b_stride, c + i * ldc, ldc, accumulate);
        }
    }
}

// MARK: - Layout

/// Swaps rows and columns of 16 vectors: first pairs of single elements, then of two, of four and of eight.
INLINE void transpose(vec *r) {
    vec t[16];
    UNROLL for (int i = 0; i < 16; i += 2) {
        t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
        t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
    }
    UNROLL for (int i = 0; i < 16; i += 4) {
        UNROLL for (int j = 0; j < 2; j++) {
            vec x = t[i + j], y = t[i + j + 2];
            r[i + j] = __builtin_shufflevector(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
            r[i + j + 2] = __builtin_shufflevector(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
        }
    }
    UNROLL for (int i = 0; i < 16; i += 8) {
        UNROLL for (int j = 0; j < 4; j++) {
            vec x = r[i + j], y = r[i + j + 4];
            t[i + j] = __builtin_shufflevector(x, y, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
            t[i + j + 4] = __builtin_shufflevector(x, y, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
        }
    }
    UNROLL for (int j = 0; j < 8; j++) {
        vec x = t[j], y = t[j + 8];
        r[j] = __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        r[j + 8] = __builtin_shufflevector(x, y, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    }
}

static void block(const float *x, ptrdiff_t stride, ptrdiff_t channels, ptrdiff_t positions, float *blocked) {
    ptrdiff_t p = 0;
    if (channels == FT_BLOCK) {
        for (; p + FT_BLOCK <= positions; p += FT_BLOCK) {
            vec r[16];
            UNROLL for (int c = 0; c < 16; c++) r[c] = LOAD(x + c * stride + p);
            transpose(r);
            UNROLL for (int i = 0; i < 16; i++) STORE(blocked + (p + i) * FT_BLOCK, r[i]);
        }
    }
    for (; p < positions; p++) {
        float *to = blocked + p * FT_BLOCK;
        for (ptrdiff_t c = 0; c < channels; c++) to[c] = x[c * stride + p];
        for (ptrdiff_t c = channels; c < FT_BLOCK; c++) to[c] = 0;
    }
}

/// NaN stays NaN: a comparison with it is false.
INLINE void clip(vec *value, float low, float high) {
    vec bound = (vec){0} + low;
    vec_mask below = *value < bound;
    *value = (vec)(((vec_mask)bound & below) | ((vec_mask)*value & ~below));
    bound = (vec){0} + high;
    vec_mask above = *value > bound;
    *value = (vec)(((vec_mask)bound & above) | ((vec_mask)*value & ~above));
}

static void unblock(
    const float *blocked, ptrdiff_t channels, ptrdiff_t positions, float *y, ptrdiff_t stride,
    const ft_finish *finish) {
    const float *bias = finish->bias, *residual = finish->residual;
    ptrdiff_t p = 0;
    for (; p + FT_BLOCK <= positions; p += FT_BLOCK) {
        vec r[16];
        UNROLL for (int i = 0; i < 16; i++) r[i] = LOAD(blocked + (p + i) * FT_BLOCK);
        transpose(r);
        if (channels == FT_BLOCK && bias == NULL && residual == NULL && !finish->clip) {
            UNROLL for (int c = 0; c < 16; c++) STORE(y + c * stride + p, r[c]);
            continue;
        }
        // Unrolled so that vectors stay in registers.
        UNROLL for (int c = 0; c < 16; c++) {
            if (c >= channels) break;
            vec value = r[c];
            if (bias != NULL) value += bias[c];
            if (residual != NULL) value += LOAD(residual + c * stride + p);
            if (finish->clip) clip(&value, finish->low, finish->high);
            STORE(y + c * stride + p, value);
        }
    }
    for (; p < positions; p++) {
        for (ptrdiff_t c = 0; c < channels; c++) {
            float value = blocked[p * FT_BLOCK + c];
            if (bias != NULL) value += bias[c];
            if (residual != NULL) value += residual[c * stride + p];
            if (finish->clip) value = value < finish->low ? finish->low : value > finish->high ? finish->high : value;
            y[c * stride + p] = value;
        }
    }
}

static void store_rows(
    const float *c, ptrdiff_t ldc, ptrdiff_t rows, ptrdiff_t blocks, float *y, ptrdiff_t block_stride,
    ptrdiff_t row_stride, const ft_finish *finish) {
    for (ptrdiff_t b = 0; b < blocks; b++) {
        vec bias = finish->bias != NULL ? LOAD(finish->bias + b * FT_BLOCK) : (vec){0};
        const float *from = c + b * FT_BLOCK;
        float *to = y + b * block_stride;
        for (ptrdiff_t i = 0; i < rows; i++) {
            vec value = LOAD(from + i * ldc) + bias;
            if (finish->residual != NULL) value += LOAD(finish->residual + b * block_stride + i * row_stride);
            if (finish->clip) clip(&value, finish->low, finish->high);
            STORE(to + i * row_stride, value);
        }
    }
}

static void copy_blocks(
    const float *from, ptrdiff_t from_stride, float *to, ptrdiff_t to_stride, ptrdiff_t count) {
    ptrdiff_t i = 0;
    for (; i + 2 <= count; i += 2) {
        vec first = LOAD(from), second = LOAD(from + from_stride);
        STORE(to, first);
        STORE(to + to_stride, second);
        from += 2 * from_stride;
        to += 2 * to_stride;
    }
    if (i < count) STORE(to, LOAD(from));
}

static void interleave(const float *const lines[FT_BLOCK], ptrdiff_t stride, ptrdiff_t count, float *to) {
    for (ptrdiff_t p = 0; p < count; p += FT_BLOCK) {
        vec r[16];
        if (stride == 1) {
            UNROLL for (int lane = 0; lane < 16; lane++) r[lane] = LOAD(lines[lane] + p);
        } else if (stride == 2) {
            UNROLL for (int lane = 0; lane < 16; lane++) {
                vec low = LOAD(lines[lane] + p * 2), high = LOAD(lines[lane] + p * 2 + FT_BLOCK);
                r[lane] = __builtin_shufflevector(
                    low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            }
        } else {
            UNROLL for (int lane = 0; lane < 16; lane++) {
                float picked[FT_BLOCK];
                for (int i = 0; i < FT_BLOCK; i++) picked[i] = lines[lane][(p + i) * stride];
                r[lane] = LOAD(picked);
            }
        }
        transpose(r);
        UNROLL for (int i = 0; i < 16; i++) {
            if (p + i < count) STORE(to + (p + i) * FT_BLOCK, r[i]);
        }
    }
}

// MARK: - Winograd F(4x4, 3x3)

// A tile and a kernel are evaluated, as polynomials, at 0, ±P, ±Q and infinity. With the usual points 1 and 2 the largest
// rounding error is four times as large. Powers of these are exact: P² Q² and so on are what the matrices consist of.
// G has a row (1, p, p²) / n'(p) for each point p, where n(x) = x (x² - P²) (x² - Q²); rows of B^T are n(x) / (x - p).
#define P 0.625f
#define Q 1.5f
#define PP (P * P)
#define QQ (Q * Q)
#define SLOPE_0 (PP * QQ)
#define SLOPE_P (2 * PP * (PP - QQ))
#define SLOPE_Q (2 * QQ * (QQ - PP))

/// t = B^T d for six values.
INLINE void input_transform(const vec *d, vec *t) {
    vec even = d[4] - QQ * d[2], odd = d[3] - QQ * d[1];
    t[1] = even + P * odd;
    t[2] = even - P * odd;
    vec even2 = d[4] - PP * d[2], odd2 = d[3] - PP * d[1];
    t[3] = even2 + Q * odd2;
    t[4] = even2 - Q * odd2;
    t[0] = d[4] - (PP + QQ) * d[2] + SLOPE_0 * d[0];
    t[5] = d[5] - (PP + QQ) * d[3] + SLOPE_0 * d[1];
}

static void winograd_input(
    const float *x, ptrdiff_t height, ptrdiff_t width, ptrdiff_t top, ptrdiff_t left, float *v, ptrdiff_t v_stride) {
    vec half[6][6];
    bool inside = top >= 0 && left >= 0 && top + 6 <= height && left + 6 <= width;
    if (inside) {
        const float *corner = x + (top * width + left) * FT_BLOCK;
        UNROLL for (int j = 0; j < 6; j++) {
            vec d[6], t[6];
            UNROLL for (int i = 0; i < 6; i++) d[i] = LOAD(corner + (i * width + j) * FT_BLOCK);
            input_transform(d, t);
            UNROLL for (int i = 0; i < 6; i++) half[i][j] = t[i];
        }
    } else {
        for (int j = 0; j < 6; j++) {
            vec d[6], t[6];
            UNROLL for (int i = 0; i < 6; i++) {
                ptrdiff_t row = top + i, column = left + j;
                bool valid = row >= 0 && row < height && column >= 0 && column < width;
                d[i] = valid ? LOAD(x + (row * width + column) * FT_BLOCK) : (vec){0};
            }
            input_transform(d, t);
            UNROLL for (int i = 0; i < 6; i++) half[i][j] = t[i];
        }
    }
    UNROLL for (int i = 0; i < 6; i++) {
        vec t[6];
        input_transform(half[i], t);
        UNROLL for (int j = 0; j < 6; j++) STORE(v + (i * 6 + j) * v_stride, t[j]);
    }
}

/// y = A^T m for six values.
INLINE void output_transform(const vec *m, vec *y) {
    vec sum1 = m[1] + m[2], difference1 = m[1] - m[2];
    vec sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum1 + sum2;
    y[1] = P * difference1 + Q * difference2;
    y[2] = PP * sum1 + QQ * sum2;
    y[3] = PP * P * difference1 + QQ * Q * difference2 + m[5];
}

static void winograd_output(
    const float *m, ptrdiff_t m_stride, float *y, ptrdiff_t height, ptrdiff_t width, ptrdiff_t top, ptrdiff_t left,
    const ft_finish *finish) {
    vec half[4][6];
    UNROLL for (int j = 0; j < 6; j++) {
        vec d[6], t[4];
        UNROLL for (int i = 0; i < 6; i++) d[i] = LOAD(m + (i * 6 + j) * m_stride);
        output_transform(d, t);
        UNROLL for (int i = 0; i < 4; i++) half[i][j] = t[i];
    }
    vec bias = finish->bias != NULL ? LOAD(finish->bias) : (vec){0};
    ptrdiff_t rows = ft_min(4, height - top), columns = ft_min(4, width - left);
    for (ptrdiff_t i = 0; i < rows; i++) {
        vec t[4];
        output_transform(half[i], t);
        ptrdiff_t at = ((top + i) * width + left) * FT_BLOCK;
        UNROLL for (int j = 0; j < 4; j++) {
            if (j >= columns) break;
            vec value = t[j] + bias;
            if (finish->residual != NULL) value += LOAD(finish->residual + at + j * FT_BLOCK);
            if (finish->clip) clip(&value, finish->low, finish->high);
            STORE(y + at + j * FT_BLOCK, value);
        }
    }
}

/// m = A y for four values.
INLINE void output_adjoint(const vec *y, vec *m) {
    vec even = y[0] + PP * y[2], odd = y[1] + PP * y[3];
    m[0] = y[0];
    m[1] = even + P * odd;
    m[2] = even - P * odd;
    vec even2 = y[0] + QQ * y[2], odd2 = y[1] + QQ * y[3];
    m[3] = even2 + Q * odd2;
    m[4] = even2 - Q * odd2;
    m[5] = y[3];
}

static void winograd_output_adjoint(
    const float *y, ptrdiff_t height, ptrdiff_t width, ptrdiff_t top, ptrdiff_t left, float *m, ptrdiff_t m_stride) {
    vec half[6][4];
    for (int j = 0; j < 4; j++) {
        vec d[4], t[6];
        UNROLL for (int i = 0; i < 4; i++) {
            bool valid = top + i < height && left + j < width;
            d[i] = valid ? LOAD(y + ((top + i) * width + left + j) * FT_BLOCK) : (vec){0};
        }
        output_adjoint(d, t);
        UNROLL for (int i = 0; i < 6; i++) half[i][j] = t[i];
    }
    UNROLL for (int i = 0; i < 6; i++) {
        vec t[6];
        output_adjoint(half[i], t);
        UNROLL for (int j = 0; j < 6; j++) STORE(m + (i * 6 + j) * m_stride, t[j]);
    }
}

/// u = G g for three values.
INLINE void weight_transform(const vec *g, vec *u) {
    vec even = g[0] + PP * g[2], odd = P * g[1];
    u[0] = g[0] * (1 / SLOPE_0);
    u[1] = (even + odd) * (1 / SLOPE_P);
    u[2] = (even - odd) * (1 / SLOPE_P);
    vec even2 = g[0] + QQ * g[2], odd2 = Q * g[1];
    u[3] = (even2 + odd2) * (1 / SLOPE_Q);
    u[4] = (even2 - odd2) * (1 / SLOPE_Q);
    u[5] = g[2];
}

static void winograd_weight(const float *g, bool rotate, bool streamed, float *u, ptrdiff_t u_stride) {
    vec half[6][3];
    UNROLL for (int j = 0; j < 3; j++) {
        vec d[3], t[6];
        UNROLL for (int i = 0; i < 3; i++) d[i] = LOAD(g + (rotate ? 8 - (i * 3 + j) : i * 3 + j) * FT_BLOCK);
        weight_transform(d, t);
        UNROLL for (int i = 0; i < 6; i++) half[i][j] = t[i];
    }
    UNROLL for (int i = 0; i < 6; i++) {
        vec t[6];
        weight_transform(half[i], t);
        if (streamed) {
            UNROLL for (int j = 0; j < 6; j++) {
                __builtin_nontemporal_store(t[j], (vec *)(u + (i * 6 + j) * u_stride));
            }
        } else {
            UNROLL for (int j = 0; j < 6; j++) STORE(u + (i * 6 + j) * u_stride, t[j]);
        }
    }
}

/// g = G^T u for six values.
INLINE void weight_adjoint(const vec *u, vec *g) {
    vec sum1 = u[1] + u[2], difference1 = u[1] - u[2];
    vec sum2 = u[3] + u[4], difference2 = u[3] - u[4];
    g[0] = u[0] * (1 / SLOPE_0) + sum1 * (1 / SLOPE_P) + sum2 * (1 / SLOPE_Q);
    g[1] = difference1 * (P / SLOPE_P) + difference2 * (Q / SLOPE_Q);
    g[2] = sum1 * (PP / SLOPE_P) + sum2 * (QQ / SLOPE_Q) + u[5];
}

static void winograd_weight_adjoint(const float *u, ptrdiff_t u_stride, float *g) {
    vec half[3][6];
    UNROLL for (int j = 0; j < 6; j++) {
        vec d[6], t[3];
        UNROLL for (int i = 0; i < 6; i++) d[i] = LOAD(u + (i * 6 + j) * u_stride);
        weight_adjoint(d, t);
        UNROLL for (int i = 0; i < 3; i++) half[i][j] = t[i];
    }
    UNROLL for (int i = 0; i < 3; i++) {
        vec t[3];
        weight_adjoint(half[i], t);
        UNROLL for (int j = 0; j < 3; j++) STORE(g + (i * 3 + j) * FT_BLOCK, t[j]);
    }
}

#undef P
#undef Q
#undef PP
#undef QQ
#undef SLOPE_0
#undef SLOPE_P
#undef SLOPE_Q

// MARK: - Weights

static void gather_taps(
    const float *w, ptrdiff_t out_stride, ptrdiff_t in_stride, ptrdiff_t lanes, ptrdiff_t inputs, ptrdiff_t count,
    float *taps) {
    ptrdiff_t length = inputs * count, at = 0;
    // Rows of one output channel are contiguous: transpose 16 at a time.
    if (in_stride == count && lanes == FT_BLOCK) {
        for (; at + FT_BLOCK <= length; at += FT_BLOCK) {
            vec r[16];
            UNROLL for (int i = 0; i < 16; i++) r[i] = LOAD(w + i * out_stride + at);
            transpose(r);
            UNROLL for (int i = 0; i < 16; i++) STORE(taps + (at + i) * FT_BLOCK, r[i]);
        }
    }
    // All taps of 16 output channels are contiguous for each input channel.
    if (out_stride == count && lanes == FT_BLOCK && count < FT_BLOCK) {
        for (; at < length; at += count) {
            float line[FT_BLOCK * FT_BLOCK + FT_BLOCK];
            memcpy(line, w + at / count * in_stride, (size_t)(FT_BLOCK * count) * sizeof(float));
            memset(line + FT_BLOCK * count, 0, FT_BLOCK * sizeof(float));
            vec r[16];
            UNROLL for (int i = 0; i < 16; i++) r[i] = LOAD(line + i * count);
            transpose(r);
            for (ptrdiff_t t = 0; t < count; t++) STORE(taps + (at + t) * FT_BLOCK, r[t]);
        }
    }
    for (; at < length; at++) {
        const float *from = w + at / count * in_stride + at % count;
        for (ptrdiff_t lane = 0; lane < FT_BLOCK; lane++) {
            taps[at * FT_BLOCK + lane] = lane < lanes ? from[lane * out_stride] : 0;
        }
    }
}

static void scatter_taps(
    const float *taps, ptrdiff_t out_stride, ptrdiff_t in_stride, ptrdiff_t lanes, ptrdiff_t inputs, ptrdiff_t count,
    float *w) {
    ptrdiff_t length = inputs * count, at = 0;
    if (in_stride == count && lanes == FT_BLOCK) {
        for (; at + FT_BLOCK <= length; at += FT_BLOCK) {
            vec r[16];
            UNROLL for (int i = 0; i < 16; i++) r[i] = LOAD(taps + (at + i) * FT_BLOCK);
            transpose(r);
            UNROLL for (int i = 0; i < 16; i++) STORE(w + i * out_stride + at, r[i]);
        }
    }
    for (; at < length; at++) {
        float *to = w + at / count * in_stride + at % count;
        for (ptrdiff_t lane = 0; lane < lanes; lane++) to[lane * out_stride] = taps[at * FT_BLOCK + lane];
    }
}

// MARK: - Depthwise

static void depthwise(
    const ft_conv_shape *s, const float *x, const float *w, ptrdiff_t begin, ptrdiff_t end, float *y,
    const ft_finish *finish) {
    ptrdiff_t height = s->input[1], width = s->input[2], out_width = s->output[2];
    vec bias = finish->bias != NULL ? LOAD(finish->bias) : (vec){0};
    for (ptrdiff_t oh = begin; oh < end; oh++) {
        for (ptrdiff_t ow = 0; ow < out_width; ow++) {
            vec sum = bias;
            for (ptrdiff_t kh = 0; kh < s->kernel[1]; kh++) {
                ptrdiff_t ih = oh * s->stride[1] - s->pad[1] + kh * s->dilation[1];
                if (ih < 0 || ih >= height) continue;
                for (ptrdiff_t kw = 0; kw < s->kernel[2]; kw++) {
                    ptrdiff_t iw = ow * s->stride[2] - s->pad[2] + kw * s->dilation[2];
                    if (iw < 0 || iw >= width) continue;
                    sum += LOAD(x + (ih * width + iw) * FT_BLOCK) * LOAD(w + (kh * s->kernel[2] + kw) * FT_BLOCK);
                }
            }
            ptrdiff_t at = (oh * out_width + ow) * FT_BLOCK;
            if (finish->residual != NULL) sum += LOAD(finish->residual + at);
            if (finish->clip) clip(&sum, finish->low, finish->high);
            STORE(y + at, sum);
        }
    }
}

/// Output positions along an axis whose tap, `offset` from the first one's, meets the input.
typedef struct {
    ptrdiff_t begin, end;
} output_range;

INLINE output_range range_of_tap(ptrdiff_t input, ptrdiff_t output, ptrdiff_t stride, ptrdiff_t offset) {
    ptrdiff_t begin = offset >= 0 ? 0 : ft_divide_up(-offset, stride);
    ptrdiff_t end = input > offset ? ft_min(output, (input - 1 - offset) / stride + 1) : 0;
    return (output_range){begin, end};
}

static void depthwise_grad_input(const ft_conv_shape *s, const float *g, const float *w, float *x) {
    ptrdiff_t width = s->input[2], out_width = s->output[2], step = s->stride[2] * FT_BLOCK;
    memset(x, 0, (size_t)(s->input[1] * width * FT_BLOCK) * sizeof(float));
    for (ptrdiff_t kh = 0; kh < s->kernel[1]; kh++) {
        ptrdiff_t top = kh * s->dilation[1] - s->pad[1];
        output_range rows = range_of_tap(s->input[1], s->output[1], s->stride[1], top);
        for (ptrdiff_t kw = 0; kw < s->kernel[2]; kw++, w += FT_BLOCK) {
            ptrdiff_t left = kw * s->dilation[2] - s->pad[2];
            output_range columns = range_of_tap(width, out_width, s->stride[2], left);
            vec weight = LOAD(w);
            for (ptrdiff_t oh = rows.begin; oh < rows.end; oh++) {
                const float *from = g + oh * out_width * FT_BLOCK;
                float *to = x + ((oh * s->stride[1] + top) * width + left) * FT_BLOCK;
                for (ptrdiff_t ow = columns.begin; ow < columns.end; ow++) {
                    STORE(to + ow * step, LOAD(to + ow * step) + weight * LOAD(from + ow * FT_BLOCK));
                }
            }
        }
    }
}

static void depthwise_grad_weight(const ft_conv_shape *s, const float *x, const float *g, float *w) {
    ptrdiff_t width = s->input[2], out_width = s->output[2], step = s->stride[2] * FT_BLOCK;
    for (ptrdiff_t kh = 0; kh < s->kernel[1]; kh++) {
        ptrdiff_t top = kh * s->dilation[1] - s->pad[1];
        output_range rows = range_of_tap(s->input[1], s->output[1], s->stride[1], top);
        for (ptrdiff_t kw = 0; kw < s->kernel[2]; kw++, w += FT_BLOCK) {
            ptrdiff_t left = kw * s->dilation[2] - s->pad[2];
            output_range columns = range_of_tap(width, out_width, s->stride[2], left);
            vec total = LOAD(w);
            for (ptrdiff_t oh = rows.begin; oh < rows.end; oh++) {
                const float *from = x + ((oh * s->stride[1] + top) * width + left) * FT_BLOCK;
                const float *by = g + oh * out_width * FT_BLOCK;
                // A sum of its own for each row keeps the rounding error small.
                vec sum = {0};
                for (ptrdiff_t ow = columns.begin; ow < columns.end; ow++) {
                    sum += LOAD(from + ow * step) * LOAD(by + ow * FT_BLOCK);
                }
                total += sum;
            }
            STORE(w, total);
        }
    }
}

// MARK: - Between convolutions

/// NaN is larger than every number.
INLINE void keep_larger(const float *from, vec *largest) {
    vec value = LOAD(from);
    vec_mask replaces = (value > *largest) | (value != value);
    *largest = (vec)(((vec_mask)value & replaces) | ((vec_mask)*largest & ~replaces));
}

static void max_pool(const ft_conv_shape *s, const float *x, ptrdiff_t begin, ptrdiff_t end, float *y) {
    ptrdiff_t height = s->input[1], width = s->input[2], out_width = s->output[2];
    for (ptrdiff_t oh = begin; oh < end; oh++) {
        for (ptrdiff_t ow = 0; ow < out_width; ow++) {
            vec largest = (vec){0} - __builtin_inff();
            for (ptrdiff_t kh = 0; kh < s->kernel[1]; kh++) {
                ptrdiff_t ih = oh * s->stride[1] - s->pad[1] + kh * s->dilation[1];
                if (ih < 0 || ih >= height) continue;
                for (ptrdiff_t kw = 0; kw < s->kernel[2]; kw++) {
                    ptrdiff_t iw = ow * s->stride[2] - s->pad[2] + kw * s->dilation[2];
                    if (iw >= 0 && iw < width) keep_larger(x + (ih * width + iw) * FT_BLOCK, &largest);
                }
            }
            STORE(y + (oh * out_width + ow) * FT_BLOCK, largest);
        }
    }
}

static void mean(const float *x, ptrdiff_t positions, float *result) {
    vec sum = {0};
    for (ptrdiff_t i = 0; i < positions; i++) sum += LOAD(x + i * FT_BLOCK);
    STORE(result, sum / (float)positions);
}

static void add(const float *a, const float *b, ptrdiff_t count, const ft_finish *finish, float *y) {
    for (ptrdiff_t i = 0; i < count; i += FT_BLOCK) {
        vec value = LOAD(a + i) + LOAD(b + i);
        if (finish->clip) clip(&value, finish->low, finish->high);
        STORE(y + i, value);
    }
}

#include "ft_affine_template.h"

const ft_conv_kernels TABLE = {
    .rows = ROWS,
    .columns = VECTORS * FT_BLOCK,
    .multiply = multiply,
    .multiply_transposed = multiply_transposed,
    .block = block,
    .unblock = unblock,
    .store_rows = store_rows,
    .copy_blocks = copy_blocks,
    .interleave = interleave,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .winograd_output_adjoint = winograd_output_adjoint,
    .gather_taps = gather_taps,
    .scatter_taps = scatter_taps,
    .winograd_weight = winograd_weight,
    .winograd_weight_adjoint = winograd_weight_adjoint,
    .depthwise = depthwise,
    .depthwise_grad_input = depthwise_grad_input,
    .depthwise_grad_weight = depthwise_grad_weight,
    .max_pool = max_pool,
    .mean = mean,
    .add = add,
    .moments = moments,
    .affine_sum = affine_sum,
    .affine_gradient_sums = affine_gradient_sums,
    .affine_gradient = affine_gradient,
    .max_pool_places = max_pool_places,
    .max_pool_gradient = max_pool_gradient,
};
