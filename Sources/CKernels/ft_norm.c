#include "ft_norm.h"
#include "ft_simd.h"

#define FT_NORM_KERNELS(F, T)                                                                                          \
    FT_CLONES void ft_channel_affine_##F(ptrdiff_t channels, ptrdiff_t inner, const T *x, const T *factor,             \
                                         const T *offset, T *y, ptrdiff_t begin, ptrdiff_t end) {                      \
        for (ptrdiff_t plane = begin; plane < end; plane++) {                                                          \
            const T a = factor[plane % channels], b = offset[plane % channels];                                        \
            const T *source = x + plane * inner;                                                                       \
            T *target = y + plane * inner;                                                                             \
            FT_INDEPENDENT                                                                                             \
            for (ptrdiff_t i = 0; i < inner; i++) target[i] = source[i] * a + b;                                       \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    FT_CLONES void ft_channel_statistics_##F(ptrdiff_t batch, ptrdiff_t channels, ptrdiff_t inner, const T *x,         \
                                             T *mean, T *variance, ptrdiff_t begin, ptrdiff_t end) {                   \
        _Pragma("clang fp reassociate(on)");                                                                           \
        const double count = (double)batch * (double)inner;                                                            \
        for (ptrdiff_t c = begin; c < end; c++) {                                                                      \
            double sum = 0;                                                                                            \
            for (ptrdiff_t n = 0; n < batch; n++) {                                                                    \
                const T *source = x + (n * channels + c) * inner;                                                      \
                for (ptrdiff_t i = 0; i < inner; i++) sum += (double)source[i];                                        \
            }                                                                                                          \
            const double center = sum / count;                                                                         \
            double squares = 0;                                                                                        \
            for (ptrdiff_t n = 0; n < batch; n++) {                                                                    \
                const T *source = x + (n * channels + c) * inner;                                                      \
                for (ptrdiff_t i = 0; i < inner; i++) {                                                                \
                    const double d = (double)source[i] - center;                                                       \
                    squares += d * d;                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
            mean[c] = (T)center;                                                                                       \
            variance[c] = (T)(squares / count);                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    FT_CLONES void ft_batch_norm_gradient_##F(                                                                         \
        ptrdiff_t batch, ptrdiff_t channels, ptrdiff_t inner, const T *x, const T *grad_output, const T *mean,         \
        const T *inv_std, const T *scale, T *grad_x, T *grad_scale, T *grad_bias, ptrdiff_t begin, ptrdiff_t end) {    \
        _Pragma("clang fp reassociate(on)");                                                                           \
        const double count = (double)batch * (double)inner;                                                            \
        for (ptrdiff_t c = begin; c < end; c++) {                                                                      \
            const T center = mean[c];                                                                                  \
            double sum = 0, product = 0;                                                                               \
            for (ptrdiff_t n = 0; n < batch; n++) {                                                                    \
                const ptrdiff_t start = (n * channels + c) * inner;                                                    \
                for (ptrdiff_t i = 0; i < inner; i++) {                                                                \
                    const double g = (double)grad_output[start + i];                                                   \
                    sum += g;                                                                                          \
                    product += g * (double)(x[start + i] - center);                                                    \
                }                                                                                                      \
            }                                                                                                          \
            const double inverse = (double)inv_std[c];                                                                 \
            grad_scale[c] = (T)(product * inverse);                                                                    \
            grad_bias[c] = (T)sum;                                                                                     \
            if (!grad_x) continue;                                                                                     \
            const T factor = (T)((double)scale[c] * inverse), shift = (T)(sum / count);                                \
            const T slope = (T)(product * inverse * inverse / count);                                                  \
            for (ptrdiff_t n = 0; n < batch; n++) {                                                                    \
                const ptrdiff_t start = (n * channels + c) * inner;                                                    \
                FT_INDEPENDENT                                                                                         \
                for (ptrdiff_t i = 0; i < inner; i++) {                                                                \
                    grad_x[start + i] = factor * (grad_output[start + i] - shift - (x[start + i] - center) * slope);   \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    FT_CLONES void ft_layer_norm_##F(ptrdiff_t width, T epsilon, const T *x, const T *scale, const T *bias, T *y,      \
                                     T *mean, T *inv_std, ptrdiff_t begin, ptrdiff_t end) {                            \
        _Pragma("clang fp reassociate(on)");                                                                           \
        for (ptrdiff_t row = begin; row < end; row++) {                                                                \
            const T *source = x + row * width;                                                                         \
            T *target = y + row * width;                                                                               \
            double sum = 0;                                                                                            \
            for (ptrdiff_t i = 0; i < width; i++) sum += (double)source[i];                                            \
            const double center = sum / (double)width;                                                                 \
            double squares = 0;                                                                                        \
            for (ptrdiff_t i = 0; i < width; i++) {                                                                    \
                const double d = (double)source[i] - center;                                                           \
                squares += d * d;                                                                                      \
            }                                                                                                          \
            const T m = (T)center, inverse = (T)(1.0 / sqrt(squares / (double)width + (double)epsilon));               \
            mean[row] = m;                                                                                             \
            inv_std[row] = inverse;                                                                                    \
            if (bias) {                                                                                                \
                FT_INDEPENDENT                                                                                         \
                for (ptrdiff_t i = 0; i < width; i++) target[i] = (source[i] - m) * inverse * scale[i] + bias[i];      \
            } else {                                                                                                   \
                FT_INDEPENDENT                                                                                         \
                for (ptrdiff_t i = 0; i < width; i++) target[i] = (source[i] - m) * inverse * scale[i];                \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    FT_CLONES void ft_layer_norm_gradient_##F(ptrdiff_t width, const T *x, const T *grad_output, const T *mean,        \
                                              const T *inv_std, const T *scale, T *grad_x, ptrdiff_t begin,            \
                                              ptrdiff_t end) {                                                         \
        _Pragma("clang fp reassociate(on)");                                                                           \
        for (ptrdiff_t row = begin; row < end; row++) {                                                                \
            const T *source = x + row * width, *incoming = grad_output + row * width;                                  \
            T *target = grad_x + row * width;                                                                          \
            const T m = mean[row], inverse = inv_std[row];                                                             \
            double sum = 0, product = 0;                                                                               \
            for (ptrdiff_t i = 0; i < width; i++) {                                                                    \
                const double g = (double)(incoming[i] * scale[i]);                                                     \
                sum += g;                                                                                              \
                product += g * (double)((source[i] - m) * inverse);                                                    \
            }                                                                                                          \
            const T shift = (T)(sum / (double)width), slope = (T)(product / (double)width);                            \
            FT_INDEPENDENT                                                                                             \
            for (ptrdiff_t i = 0; i < width; i++) {                                                                    \
                target[i] = inverse * (incoming[i] * scale[i] - shift - (source[i] - m) * inverse * slope);            \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    FT_CLONES void ft_layer_norm_parameter_gradient_##F(ptrdiff_t rows, ptrdiff_t width, const T *x,                   \
                                                        const T *grad_output, const T *mean, const T *inv_std,         \
                                                        T *grad_scale, T *grad_bias, ptrdiff_t begin,                  \
                                                        ptrdiff_t end) {                                               \
        enum { FT_COLUMNS = 256, FT_ROWS = 32 };                                                                       \
        for (ptrdiff_t first = begin; first < end; first += FT_COLUMNS) {                                              \
            const ptrdiff_t columns = end - first < FT_COLUMNS ? end - first : FT_COLUMNS;                             \
            double scales[FT_COLUMNS] = {0}, biases[FT_COLUMNS] = {0};                                                 \
            for (ptrdiff_t start = 0; start < rows; start += FT_ROWS) {                                                \
                T scale[FT_COLUMNS] = {0}, bias[FT_COLUMNS] = {0};                                                     \
                for (ptrdiff_t row = start; row < rows && row < start + FT_ROWS; row++) {                              \
                    const T *source = x + row * width + first, *incoming = grad_output + row * width + first;          \
                    const T m = mean[row], inverse = inv_std[row];                                                     \
                    FT_INDEPENDENT                                                                                     \
                    for (ptrdiff_t i = 0; i < columns; i++) {                                                          \
                        scale[i] += incoming[i] * ((source[i] - m) * inverse);                                         \
                        bias[i] += incoming[i];                                                                        \
                    }                                                                                                  \
                }                                                                                                      \
                for (ptrdiff_t i = 0; i < columns; i++) {                                                              \
                    scales[i] += (double)scale[i];                                                                     \
                    biases[i] += (double)bias[i];                                                                      \
                }                                                                                                      \
            }                                                                                                          \
            for (ptrdiff_t i = 0; i < columns; i++) {                                                                  \
                grad_scale[first + i] = (T)scales[i];                                                                  \
                grad_bias[first + i] = (T)biases[i];                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    FT_CLONES void ft_local_response_norm_##F(ptrdiff_t channels, ptrdiff_t inner, ptrdiff_t size, T alpha, T beta,    \
                                              T bias, const T *x, T *y, ptrdiff_t begin, ptrdiff_t end) {              \
        const ptrdiff_t before = (size - 1) / 2, after = size - 1 - before;                                            \
        for (ptrdiff_t plane = begin * channels; plane < end * channels; plane++) {                                    \
            const ptrdiff_t c = plane % channels, base = plane - c;                                                    \
            const ptrdiff_t first = c - before > 0 ? c - before : 0;                                                   \
            const ptrdiff_t last = c + after < channels - 1 ? c + after : channels - 1;                                \
            T *target = y + plane * inner;                                                                             \
            for (ptrdiff_t i = 0; i < inner; i++) target[i] = 0;                                                       \
            for (ptrdiff_t k = first; k <= last; k++) {                                                                \
                const T *source = x + (base + k) * inner;                                                              \
                for (ptrdiff_t i = 0; i < inner; i++) target[i] += source[i] * source[i];                              \
            }                                                                                                          \
            const T *source = x + plane * inner;                                                                       \
            for (ptrdiff_t i = 0; i < inner; i++) {                                                                    \
                target[i] = (T)(source[i] * pow((double)(bias + alpha / (T)size * target[i]), (double)-beta));         \
            }                                                                                                          \
        }                                                                                                              \
    }
FT_FLOAT_TYPES(FT_NORM_KERNELS)
