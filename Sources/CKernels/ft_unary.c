#include "ft_elementwise.h"
#include "ft_vecmath.h"

typedef void (*ft_unary_kernel)(const void *, void *, ptrdiff_t);

#define FT_UNARY_LOOP(name, T, attributes, expression)                                                                 \
    attributes static void name(const void *input, void *output, ptrdiff_t length) {                                   \
        const T *source = input;                                                                                       \
        T *target = output;                                                                                            \
        FT_INDEPENDENT                                                                                                 \
        for (ptrdiff_t i = 0; i < length; i++) {                                                                       \
            const T x = source[i];                                                                                     \
            target[i] = (T)(expression);                                                                               \
        }                                                                                                              \
    }

// A float32 and a float64 kernel; the float32 one vectorises.
#define FT_UNARY_FLOATS(name, expression_f32, expression_f64)                                                          \
    FT_UNARY_LOOP(ft_##name##_f32, float, FT_CLONES, expression_f32)                                                   \
    FT_UNARY_LOOP(ft_##name##_f64, double, FT_CLONES, expression_f64)

// Functions that only the C library has.
#define FT_UNARY_LIBRARY(name)                                                                                         \
    FT_UNARY_LOOP(ft_##name##_f32, float, , name##f(x))                                                                \
    FT_UNARY_LOOP(ft_##name##_f64, double, , name(x))

FT_UNARY_FLOATS(neg, -x, -x)
FT_UNARY_FLOATS(abs, fabsf(x), fabs(x))
FT_UNARY_FLOATS(sign, x > 0 ? 1.0f : (x < 0 ? -1.0f : 0.0f), x > 0 ? 1.0 : (x < 0 ? -1.0 : 0.0))
FT_UNARY_FLOATS(exp, ftv_exp_f32(x), exp(x))
FT_UNARY_FLOATS(log, ftv_log_f32(x), log(x))
// The library's sqrt reports negative numbers through errno, which keeps a loop from being vectorised.
FT_UNARY_FLOATS(sqrt, __builtin_elementwise_sqrt(x), __builtin_elementwise_sqrt(x))
FT_UNARY_FLOATS(rsqrt, 1.0f / __builtin_elementwise_sqrt(x), 1.0 / __builtin_elementwise_sqrt(x))
FT_UNARY_FLOATS(reciprocal, 1.0f / x, 1.0 / x)
FT_UNARY_FLOATS(square, x *x, x *x)
FT_UNARY_FLOATS(tanh, ftv_tanh_f32(x), tanh(x))
FT_UNARY_FLOATS(sigmoid, ftv_sigmoid_f32(x), (x < 0 ? exp(x) : 1.0) / (1.0 + exp(-fabs(x))))
FT_UNARY_FLOATS(relu, x < 0 ? 0.0f : x, x < 0 ? 0.0 : x)
FT_UNARY_FLOATS(erf, ftv_erf_f32(x), erf(x))
FT_UNARY_FLOATS(ceil, ftv_ceil_f32(x), ceil(x))
FT_UNARY_FLOATS(floor, ftv_floor_f32(x), floor(x))
FT_UNARY_FLOATS(round, ftv_round_f32(x), rint(x))
FT_UNARY_FLOATS(softplus, ftv_softplus_f32(x), (x > 0 ? x : (x == x ? 0.0 : x)) + log1p(exp(-fabs(x))))
FT_UNARY_LIBRARY(sin)
FT_UNARY_LIBRARY(cos)
FT_UNARY_LIBRARY(tan)
FT_UNARY_LIBRARY(asin)
FT_UNARY_LIBRARY(acos)
FT_UNARY_LIBRARY(atan)
FT_UNARY_LIBRARY(sinh)
FT_UNARY_LIBRARY(cosh)
FT_UNARY_LIBRARY(asinh)
FT_UNARY_LIBRARY(acosh)
FT_UNARY_LIBRARY(atanh)
FT_UNARY_LIBRARY(expm1)
FT_UNARY_LIBRARY(log1p)

// Signed arithmetic goes through uint64_t, where it wraps instead of being undefined.
#define FT_UNARY_SIGNED(T, type)                                                                                       \
    FT_UNARY_LOOP(ft_neg_##T, type, , (uint64_t)0 - (uint64_t)x)                                                       \
    FT_UNARY_LOOP(ft_abs_##T, type, , x < 0 ? (uint64_t)0 - (uint64_t)x : (uint64_t)x)                                 \
    FT_UNARY_LOOP(ft_sign_##T, type, , (x > 0) - (x < 0))                                                              \
    FT_UNARY_LOOP(ft_square_##T, type, , (uint64_t)x *(uint64_t)x)                                                     \
    FT_UNARY_LOOP(ft_relu_##T, type, , x < 0 ? 0 : x)                                                                  \
    FT_UNARY_LOOP(ft_same_##T, type, , x)
FT_SIGNED_TYPES(FT_UNARY_SIGNED)

#define FT_UNARY_UNSIGNED(T, type)                                                                                     \
    FT_UNARY_LOOP(ft_neg_##T, type, , (uint64_t)0 - (uint64_t)x)                                                       \
    FT_UNARY_LOOP(ft_abs_##T, type, , x)                                                                               \
    FT_UNARY_LOOP(ft_sign_##T, type, , x > 0)                                                                          \
    FT_UNARY_LOOP(ft_square_##T, type, , (uint64_t)x *(uint64_t)x)                                                     \
    FT_UNARY_LOOP(ft_relu_##T, type, , x)                                                                              \
    FT_UNARY_LOOP(ft_same_##T, type, , x)
FT_UNSIGNED_TYPES(FT_UNARY_UNSIGNED)

#define FT_UNARY_TABLE(T)                                                                                              \
    {                                                                                                                  \
        [FT_NEG] = ft_neg_##T, [FT_ABS] = ft_abs_##T, [FT_SIGN] = ft_sign_##T, [FT_SQUARE] = ft_square_##T,            \
        [FT_RELU] = ft_relu_##T, [FT_CEIL] = ft_same_##T, [FT_FLOOR] = ft_same_##T, [FT_ROUND] = ft_same_##T,          \
    }

#define FT_UNARY_FLOAT_TABLE(T)                                                                                        \
    {                                                                                                                  \
        [FT_NEG] = ft_neg_##T, [FT_ABS] = ft_abs_##T, [FT_SIGN] = ft_sign_##T, [FT_EXP] = ft_exp_##T,                  \
        [FT_LOG] = ft_log_##T, [FT_SQRT] = ft_sqrt_##T, [FT_RSQRT] = ft_rsqrt_##T,                                     \
        [FT_RECIPROCAL] = ft_reciprocal_##T, [FT_SQUARE] = ft_square_##T, [FT_SIN] = ft_sin_##T,                       \
        [FT_COS] = ft_cos_##T, [FT_TANH] = ft_tanh_##T, [FT_SIGMOID] = ft_sigmoid_##T, [FT_RELU] = ft_relu_##T,        \
        [FT_ERF] = ft_erf_##T, [FT_CEIL] = ft_ceil_##T, [FT_FLOOR] = ft_floor_##T, [FT_ROUND] = ft_round_##T,          \
        [FT_SOFTPLUS] = ft_softplus_##T, [FT_TAN] = ft_tan_##T, [FT_ASIN] = ft_asin_##T, [FT_ACOS] = ft_acos_##T,      \
        [FT_ATAN] = ft_atan_##T, [FT_SINH] = ft_sinh_##T, [FT_COSH] = ft_cosh_##T, [FT_ASINH] = ft_asinh_##T,          \
        [FT_ACOSH] = ft_acosh_##T, [FT_ATANH] = ft_atanh_##T, [FT_EXPM1] = ft_expm1_##T, [FT_LOG1P] = ft_log1p_##T,    \
    }

static const ft_unary_kernel ft_unary_kernels[FT_DTYPE_COUNT][FT_UNARY_COUNT] = {
    [FT_FLOAT32] = FT_UNARY_FLOAT_TABLE(f32), [FT_FLOAT64] = FT_UNARY_FLOAT_TABLE(f64),
    [FT_INT8] = FT_UNARY_TABLE(i8),           [FT_INT16] = FT_UNARY_TABLE(i16),
    [FT_INT32] = FT_UNARY_TABLE(i32),         [FT_INT64] = FT_UNARY_TABLE(i64),
    [FT_UINT8] = FT_UNARY_TABLE(u8),          [FT_UINT16] = FT_UNARY_TABLE(u16),
    [FT_UINT32] = FT_UNARY_TABLE(u32),        [FT_UINT64] = FT_UNARY_TABLE(u64),
};

bool ft_unary(ft_dtype dtype, ft_unary_function function, const void *x, void *output, ptrdiff_t length) {
    const ft_unary_kernel kernel = ft_unary_kernels[dtype][function];
    if (!kernel) return false;
    kernel(x, output, length);
    return true;
}

#define FT_CLAMP(T, type)                                                                                              \
    FT_CLONES void ft_clamp_##T(type low, type high, const type *x, type *output, ptrdiff_t length) {                  \
        FT_INDEPENDENT                                                                                                 \
        for (ptrdiff_t i = 0; i < length; i++) {                                                                       \
            const type raised = x[i] < low ? low : x[i];                                                               \
            output[i] = raised > high ? high : raised;                                                                 \
        }                                                                                                              \
    }
FT_FLOAT_TYPES(FT_CLAMP)

#define FT_AXPY(T, type)                                                                                               \
    FT_CLONES void ft_axpy_##T(type scale, const type *x, type *y, ptrdiff_t length) {                                 \
        FT_INDEPENDENT                                                                                                 \
        for (ptrdiff_t i = 0; i < length; i++) y[i] += scale * x[i];                                                   \
    }
FT_FLOAT_TYPES(FT_AXPY)

#define FT_RELU_GRADIENT(T, type)                                                                                      \
    FT_CLONES void ft_relu_gradient_##T(const type *grad_output, const type *y, type *grad_input, ptrdiff_t length) {  \
        FT_INDEPENDENT                                                                                                 \
        for (ptrdiff_t i = 0; i < length; i++) grad_input[i] = y[i] <= 0 ? 0 : grad_output[i];                          \
    }
FT_FLOAT_TYPES(FT_RELU_GRADIENT)

// x * 0 is 0 for finite numbers and NaN otherwise; the sum keeps one NaN, without a branch per element.
#define FT_ALL_FINITE(T, type)                                                                                         \
    FT_CLONES bool ft_all_finite_##T(const type *x, ptrdiff_t length) {                                                \
        _Pragma("clang fp reassociate(on)") type poison = 0;                                                           \
        for (ptrdiff_t i = 0; i < length; i++) poison += x[i] * 0;                                                     \
        return poison == 0;                                                                                            \
    }
FT_FLOAT_TYPES(FT_ALL_FINITE)
