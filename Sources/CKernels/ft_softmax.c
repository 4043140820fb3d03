#include "ft_reduce.h"
#include "ft_vecmath.h"

// Columns are taken in strips whose maxima and sums live on the stack.
#define FT_STRIP 64

FT_INLINE double ftv_exp_f64(double x) { return exp(x); }
FT_INLINE double ftv_log_f64(double x) { return log(x); }

#define FT_SOFTMAX(F, T)                                                                                               \
    FT_CLONES void ft_softmax_##F(bool logarithm, const T *x, ptrdiff_t reduced, ptrdiff_t inner, T *output,           \
                                  ptrdiff_t begin, ptrdiff_t end) {                                                    \
        _Pragma("clang fp reassociate(on)");                                                                           \
        for (ptrdiff_t row = begin; inner == 1 && row < end; row++) {                                                  \
            const T *source = x + row * reduced;                                                                       \
            T *target = output + row * reduced;                                                                        \
            T maximum = -(T)INFINITY;                                                                                  \
            for (ptrdiff_t i = 0; i < reduced; i++) {                                                                  \
                maximum = ((source[i] > maximum) | (source[i] != source[i])) ? source[i] : maximum;                    \
            }                                                                                                          \
            T sum = 0;                                                                                                 \
            for (ptrdiff_t i = 0; i < reduced; i++) {                                                                  \
                const T shifted = source[i] - maximum;                                                                 \
                const T e = ftv_exp_##F(shifted);                                                                      \
                sum += e;                                                                                              \
                target[i] = logarithm ? shifted : e;                                                                   \
            }                                                                                                          \
            const T offset = ftv_log_##F(sum);                                                                         \
            for (ptrdiff_t i = 0; i < reduced; i++) target[i] = logarithm ? target[i] - offset : target[i] / sum;      \
        }                                                                                                              \
        if (inner == 1) return;                                                                                        \
        for (ptrdiff_t row = begin; row < end; row++) {                                                                \
            for (ptrdiff_t first = 0; first < inner; first += FT_STRIP) {                                              \
                const ptrdiff_t width = inner - first < FT_STRIP ? inner - first : FT_STRIP;                           \
                const T *source = x + row * reduced * inner + first;                                                   \
                T *target = output + row * reduced * inner + first;                                                    \
                T maximum[FT_STRIP], sum[FT_STRIP];                                                                    \
                for (ptrdiff_t j = 0; j < width; j++) maximum[j] = -(T)INFINITY;                                       \
                for (ptrdiff_t j = 0; j < width; j++) sum[j] = 0;                                                      \
                for (ptrdiff_t i = 0; i < reduced; i++) {                                                              \
                    for (ptrdiff_t j = 0; j < width; j++) {                                                            \
                        const T v = source[i * inner + j];                                                             \
                        maximum[j] = ((v > maximum[j]) | (v != v)) ? v : maximum[j];                                   \
                    }                                                                                                  \
                }                                                                                                      \
                for (ptrdiff_t i = 0; i < reduced; i++) {                                                              \
                    FT_INDEPENDENT                                                                                     \
                    for (ptrdiff_t j = 0; j < width; j++) {                                                            \
                        const T shifted = source[i * inner + j] - maximum[j];                                          \
                        const T e = ftv_exp_##F(shifted);                                                              \
                        sum[j] += e;                                                                                   \
                        target[i * inner + j] = logarithm ? shifted : e;                                               \
                    }                                                                                                  \
                }                                                                                                      \
                if (logarithm) {                                                                                       \
                    for (ptrdiff_t j = 0; j < width; j++) sum[j] = ftv_log_##F(sum[j]);                                \
                }                                                                                                      \
                for (ptrdiff_t i = 0; i < reduced; i++) {                                                              \
                    FT_INDEPENDENT                                                                                     \
                    for (ptrdiff_t j = 0; j < width; j++) {                                                            \
                        const T v = target[i * inner + j];                                                             \
                        target[i * inner + j] = logarithm ? v - sum[j] : v / sum[j];                                   \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
FT_FLOAT_TYPES(FT_SOFTMAX)

#define FT_SOFTMAX_GRADIENT(F, T)                                                                                      \
    FT_CLONES void ft_softmax_gradient_##F(bool logarithm, const T *y, const T *gradient, ptrdiff_t reduced,           \
                                           ptrdiff_t inner, T *output, ptrdiff_t begin, ptrdiff_t end) {               \
        for (ptrdiff_t row = begin; row < end; row++) {                                                                \
            for (ptrdiff_t first = 0; first < inner; first += FT_STRIP) {                                              \
                const ptrdiff_t width = inner - first < FT_STRIP ? inner - first : FT_STRIP;                           \
                const ptrdiff_t start = row * reduced * inner + first;                                                 \
                const T *values = y + start, *incoming = gradient + start;                                             \
                T *target = output + start;                                                                            \
                T sum[FT_STRIP];                                                                                       \
                for (ptrdiff_t j = 0; j < width; j++) sum[j] = 0;                                                      \
                for (ptrdiff_t i = 0; i < reduced; i++) {                                                              \
                    for (ptrdiff_t j = 0; j < width; j++) {                                                            \
                        const T g = incoming[i * inner + j];                                                           \
                        sum[j] += logarithm ? g : g * values[i * inner + j];                                           \
                    }                                                                                                  \
                }                                                                                                      \
                for (ptrdiff_t i = 0; i < reduced; i++) {                                                              \
                    FT_INDEPENDENT                                                                                     \
                    for (ptrdiff_t j = 0; j < width; j++) {                                                            \
                        const T g = incoming[i * inner + j], v = values[i * inner + j];                                \
                        target[i * inner + j] = logarithm ? g - ftv_exp_##F(v) * sum[j] : v * (g - sum[j]);            \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
FT_FLOAT_TYPES(FT_SOFTMAX_GRADIENT)
