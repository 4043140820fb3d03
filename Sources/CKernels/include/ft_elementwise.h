#ifndef FT_ELEMENTWISE_H
#define FT_ELEMENTWISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft_dtype.h"
#include "ft_layout.h"

// Element-wise kernels. Lengths count elements; an output may be one of the inputs, otherwise nothing overlaps. Kernels
// that take a dtype return false when they have none for it: 16-bit floats are computed as float32 by the caller.

/// The values are the raw values of Swift's `UnaryFunction`.
typedef enum ft_unary_function {
    FT_NEG,
    FT_ABS,
    FT_SIGN,
    FT_EXP,
    FT_LOG,
    FT_SQRT,
    FT_RSQRT,
    FT_RECIPROCAL,
    FT_SQUARE,
    FT_SIN,
    FT_COS,
    FT_TANH,
    FT_SIGMOID,
    FT_RELU,
    FT_ERF,
    FT_CEIL,
    FT_FLOOR,
    FT_ROUND,
    FT_SOFTPLUS,
    FT_TAN,
    FT_ASIN,
    FT_ACOS,
    FT_ATAN,
    FT_SINH,
    FT_COSH,
    FT_ASINH,
    FT_ACOSH,
    FT_ATANH,
    FT_EXPM1,
    FT_LOG1P,
    FT_UNARY_COUNT
} ft_unary_function;

/// output = f(x). Integers and bool: neg, abs, sign, square, relu, ceil, floor and round only.
bool ft_unary(ft_dtype dtype, ft_unary_function function, const void *x, void *output, ptrdiff_t length);

/// The values are the raw values of Swift's `BinaryFunction`.
typedef enum ft_binary_function {
    FT_ADD,
    FT_SUB,
    FT_MUL,
    FT_DIV,
    FT_POW,
    FT_MAX,
    FT_MIN,
    FT_MOD,
    FT_FMOD,
    FT_BINARY_COUNT
} ft_binary_function;

/// Which operand, if any, is one number that meets every element of the other.
typedef enum ft_operands { FT_BOTH_VECTORS, FT_FIRST_SCALAR, FT_SECOND_SCALAR } ft_operands;

/// output = f(a, b). Integers wrap, divide towards zero, and give 0 when divided by 0.
bool ft_binary(ft_dtype dtype, ft_binary_function function, ft_operands operands, const void *a, const void *b,
               void *output, ptrdiff_t length);

/// As `ft_binary` over rows [begin, end) of a broadcast of a and b.
bool ft_binary_rows(ft_dtype dtype, ft_binary_function function, const ft_layout *layout, const void *a, const void *b,
                    void *output, ptrdiff_t begin, ptrdiff_t end);

/// The values are the raw values of Swift's `Comparison`.
typedef enum ft_comparison {
    FT_EQUAL,
    FT_NOT_EQUAL,
    FT_LESS,
    FT_LESS_OR_EQUAL,
    FT_GREATER,
    FT_GREATER_OR_EQUAL,
    FT_COMPARISON_COUNT
} ft_comparison;

/// output = a ? b, one byte 0 or 1 each.
bool ft_compare(ft_dtype dtype, ft_comparison comparison, ft_operands operands, const void *a, const void *b,
                void *output, ptrdiff_t length);
bool ft_compare_rows(ft_dtype dtype, ft_comparison comparison, const ft_layout *layout, const void *a, const void *b,
                     void *output, ptrdiff_t begin, ptrdiff_t end);

/// output = condition ? a : b over rows [begin, end) of their broadcast, for elements of `size` bytes (1, 2, 4 or 8).
void ft_select_rows(int size, const ft_layout *layout, const uint8_t *condition, const void *a, const void *b,
                    void *output, ptrdiff_t begin, ptrdiff_t end);

/// output = x limited to [low, high]; NaN stays NaN. Integer limits are rounded by the caller.
void ft_clamp_f32(float low, float high, const float *x, float *output, ptrdiff_t length);
void ft_clamp_f64(double low, double high, const double *x, double *output, ptrdiff_t length);

/// Converts elements: floats to integers towards zero (saturating, NaN to 0), integers wrap, bool is x != 0.
void ft_cast(ft_dtype from, ft_dtype to, const void *x, void *output, ptrdiff_t length);

/// grad_input = y > 0 ? grad_output : 0.
void ft_relu_gradient_f32(const float *grad_output, const float *y, float *grad_input, ptrdiff_t length);
void ft_relu_gradient_f64(const double *grad_output, const double *y, double *grad_input, ptrdiff_t length);

/// y += scale * x.
void ft_axpy_f32(float scale, const float *x, float *y, ptrdiff_t length);
void ft_axpy_f64(double scale, const double *x, double *y, ptrdiff_t length);

/// True when no element is infinite or NaN.
bool ft_all_finite_f32(const float *x, ptrdiff_t length);
bool ft_all_finite_f64(const double *x, ptrdiff_t length);

#endif
