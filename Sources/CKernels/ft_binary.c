#include "ft_elementwise.h"
#include "ft_iterate.h"
#include "ft_vecmath.h"

typedef void (*ft_binary_kernel)(const void *, const void *, void *, ptrdiff_t, ft_operands);

#define FT_BINARY_LOOP(name, T, R, attributes, expression)                                                             \
    attributes static void name(const void *first, const void *second, void *output, ptrdiff_t length,                 \
                                ft_operands operands) {                                                                \
        const T *a = first, *b = second;                                                                               \
        R *target = output;                                                                                            \
        if (operands == FT_BOTH_VECTORS) {                                                                             \
            FT_INDEPENDENT                                                                                             \
            for (ptrdiff_t i = 0; i < length; i++) {                                                                   \
                const T x = a[i], y = b[i];                                                                            \
                target[i] = (R)(expression);                                                                           \
            }                                                                                                          \
        } else if (operands == FT_SECOND_SCALAR) {                                                                     \
            const T y = b[0];                                                                                          \
            FT_INDEPENDENT                                                                                             \
            for (ptrdiff_t i = 0; i < length; i++) {                                                                   \
                const T x = a[i];                                                                                      \
                target[i] = (R)(expression);                                                                           \
            }                                                                                                          \
        } else {                                                                                                       \
            const T x = a[0];                                                                                          \
            FT_INDEPENDENT                                                                                             \
            for (ptrdiff_t i = 0; i < length; i++) {                                                                   \
                const T y = b[i];                                                                                      \
                target[i] = (R)(expression);                                                                           \
            }                                                                                                          \
        }                                                                                                              \
    }

// MARK: arithmetic

// The remainder with the divisor's sign, as Python's %.
FT_INLINE double ft_floored_mod_f64(double x, double y) {
    const double r = fmod(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

FT_INLINE float ft_floored_mod_f32(float x, float y) {
    const float r = fmodf(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

// Common exponents without the library's rounding analysis, as PyTorch does.
#define FT_POW(T, type, power, root)                                                                                   \
    FT_INLINE type ft_pow_number_##T(type x, type y) {                                                                 \
        if (y == 2) return x * x;                                                                                      \
        if (y == 1) return x;                                                                                          \
        if (y == (type)0.5) return root(x);                                                                            \
        if (y == 3) return x * x * x;                                                                                  \
        if (y == -1) return 1 / x;                                                                                     \
        if (y == -2) return 1 / (x * x);                                                                               \
        return power(x, y);                                                                                            \
    }
FT_POW(f32, float, powf, sqrtf)
FT_POW(f64, double, pow, sqrt)

// Comparisons written so that a NaN on either side is the result.
#define FT_BINARY_FLOATS(T, type)                                                                                      \
    FT_BINARY_LOOP(ft_add_##T, type, type, FT_CLONES, x + y)                                                           \
    FT_BINARY_LOOP(ft_sub_##T, type, type, FT_CLONES, x - y)                                                           \
    FT_BINARY_LOOP(ft_mul_##T, type, type, FT_CLONES, x *y)                                                            \
    FT_BINARY_LOOP(ft_div_##T, type, type, FT_CLONES, x / y)                                                           \
    FT_BINARY_LOOP(ft_pow_##T, type, type, , ft_pow_number_##T(x, y))                                                  \
    FT_BINARY_LOOP(ft_max_##T, type, type, FT_CLONES, ((x > y) | (x != x)) ? x : y)                                    \
    FT_BINARY_LOOP(ft_min_##T, type, type, FT_CLONES, ((x < y) | (x != x)) ? x : y)                                    \
    FT_BINARY_LOOP(ft_mod_##T, type, type, , ft_floored_mod_##T(x, y))                                                 \
    FT_BINARY_LOOP(ft_fmod_##T, type, type, , (type)fmod((double)x, (double)y))
FT_FLOAT_TYPES(FT_BINARY_FLOATS)

// x^y modulo 2^64; negative exponents leave a whole number only for a base of 1 or -1.
FT_INLINE uint64_t ft_integer_power(uint64_t x, int64_t y, bool is_signed) {
    if (is_signed && y < 0) {
        if (x == 1) return 1;
        return x == UINT64_MAX ? ((y & 1) ? UINT64_MAX : 1) : 0;
    }
    uint64_t result = 1;
    for (uint64_t exponent = (uint64_t)y; exponent != 0; exponent >>= 1) {
        if (exponent & 1) result *= x;
        x *= x;
    }
    return result;
}

FT_INLINE int64_t ft_quotient_signed(int64_t x, int64_t y) {
    if (y == 0) return 0;
    // The one quotient that overflows wraps.
    return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

FT_INLINE int64_t ft_remainder_signed(int64_t x, int64_t y) { return y == 0 || y == -1 ? 0 : x % y; }

FT_INLINE int64_t ft_floored_remainder_signed(int64_t x, int64_t y) {
    const int64_t r = ft_remainder_signed(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

// Sums and products go through uint64_t, where they wrap instead of being undefined.
#define FT_BINARY_INTEGERS(T, type)                                                                                    \
    FT_BINARY_LOOP(ft_add_##T, type, type, , (uint64_t)x + (uint64_t)y)                                                \
    FT_BINARY_LOOP(ft_sub_##T, type, type, , (uint64_t)x - (uint64_t)y)                                                \
    FT_BINARY_LOOP(ft_mul_##T, type, type, , (uint64_t)x *(uint64_t)y)                                                 \
    FT_BINARY_LOOP(ft_max_##T, type, type, , x > y ? x : y)                                                            \
    FT_BINARY_LOOP(ft_min_##T, type, type, , x < y ? x : y)
FT_INTEGER_TYPES(FT_BINARY_INTEGERS)

#define FT_BINARY_SIGNED(T, type)                                                                                      \
    FT_BINARY_LOOP(ft_div_##T, type, type, , ft_quotient_signed(x, y))                                                 \
    FT_BINARY_LOOP(ft_pow_##T, type, type, , ft_integer_power((uint64_t)(int64_t)x, y, true))                          \
    FT_BINARY_LOOP(ft_mod_##T, type, type, , ft_floored_remainder_signed(x, y))                                        \
    FT_BINARY_LOOP(ft_fmod_##T, type, type, , ft_remainder_signed(x, y))
FT_SIGNED_TYPES(FT_BINARY_SIGNED)

#define FT_BINARY_UNSIGNED(T, type)                                                                                    \
    FT_BINARY_LOOP(ft_div_##T, type, type, , y == 0 ? 0 : x / y)                                                       \
    FT_BINARY_LOOP(ft_pow_##T, type, type, , ft_integer_power(x, (int64_t)y, false))                                   \
    FT_BINARY_LOOP(ft_mod_##T, type, type, , y == 0 ? 0 : x % y)                                                       \
    FT_BINARY_LOOP(ft_fmod_##T, type, type, , y == 0 ? 0 : x % y)
FT_UNSIGNED_TYPES(FT_BINARY_UNSIGNED)

static const ft_binary_kernel ft_binary_kernels[FT_BINARY_COUNT][FT_DTYPE_COUNT] = {
    [FT_ADD] = FT_NUMERIC_ROW(ft_add), [FT_SUB] = FT_NUMERIC_ROW(ft_sub), [FT_MUL] = FT_NUMERIC_ROW(ft_mul),
    [FT_DIV] = FT_NUMERIC_ROW(ft_div), [FT_POW] = FT_NUMERIC_ROW(ft_pow), [FT_MAX] = FT_NUMERIC_ROW(ft_max),
    [FT_MIN] = FT_NUMERIC_ROW(ft_min), [FT_MOD] = FT_NUMERIC_ROW(ft_mod), [FT_FMOD] = FT_NUMERIC_ROW(ft_fmod),
};

// MARK: comparison

#define FT_COMPARISONS(T, type)                                                                                        \
    FT_BINARY_LOOP(ft_equal_##T, type, uint8_t, FT_CLONES, x == y)                                                     \
    FT_BINARY_LOOP(ft_not_equal_##T, type, uint8_t, FT_CLONES, x != y)                                                 \
    FT_BINARY_LOOP(ft_less_##T, type, uint8_t, FT_CLONES, x < y)                                                       \
    FT_BINARY_LOOP(ft_less_or_equal_##T, type, uint8_t, FT_CLONES, x <= y)                                             \
    FT_BINARY_LOOP(ft_greater_##T, type, uint8_t, FT_CLONES, x > y)                                                    \
    FT_BINARY_LOOP(ft_greater_or_equal_##T, type, uint8_t, FT_CLONES, x >= y)
FT_FLOAT_TYPES(FT_COMPARISONS)
FT_INTEGER_TYPES(FT_COMPARISONS)

static const ft_binary_kernel ft_comparison_kernels[FT_COMPARISON_COUNT][FT_DTYPE_COUNT] = {
    [FT_EQUAL] = FT_NUMERIC_ROW(ft_equal),
    [FT_NOT_EQUAL] = FT_NUMERIC_ROW(ft_not_equal),
    [FT_LESS] = FT_NUMERIC_ROW(ft_less),
    [FT_LESS_OR_EQUAL] = FT_NUMERIC_ROW(ft_less_or_equal),
    [FT_GREATER] = FT_NUMERIC_ROW(ft_greater),
    [FT_GREATER_OR_EQUAL] = FT_NUMERIC_ROW(ft_greater_or_equal),
};

// MARK: entry points

static const int ft_sizes[FT_DTYPE_COUNT] = {
    [FT_FLOAT32] = 4, [FT_FLOAT64] = 8, [FT_FLOAT16] = 2, [FT_BFLOAT16] = 2, [FT_INT8] = 1, [FT_INT16] = 2,
    [FT_INT32] = 4,   [FT_INT64] = 8,   [FT_UINT8] = 1,   [FT_UINT16] = 2,   [FT_UINT32] = 4, [FT_UINT64] = 8,
    [FT_BOOL] = 1,
};

static void ft_run_rows(ft_binary_kernel kernel, int size, int output_size, const ft_layout *layout, const char *a,
                        const char *b, char *output, ptrdiff_t begin, ptrdiff_t end) {
    const ptrdiff_t length = layout->row_length, last = layout->rank - 1;
    const ft_operands operands = layout->strides[0][last] == 0   ? FT_FIRST_SCALAR
                                 : layout->strides[1][last] == 0 ? FT_SECOND_SCALAR
                                                                 : FT_BOTH_VECTORS;
    ft_walk walk;
    ft_walk_start(&walk, layout, begin);
    for (ptrdiff_t row = begin; row < end; row++) {
        kernel(a + walk.offset[0] * size, b + walk.offset[1] * size, output + row * length * output_size, length,
               operands);
        ft_walk_next(&walk, layout);
    }
}

bool ft_binary(ft_dtype dtype, ft_binary_function function, ft_operands operands, const void *a, const void *b,
               void *output, ptrdiff_t length) {
    const ft_binary_kernel kernel = ft_binary_kernels[function][dtype];
    if (!kernel) return false;
    kernel(a, b, output, length, operands);
    return true;
}

bool ft_binary_rows(ft_dtype dtype, ft_binary_function function, const ft_layout *layout, const void *a, const void *b,
                    void *output, ptrdiff_t begin, ptrdiff_t end) {
    const ft_binary_kernel kernel = ft_binary_kernels[function][dtype];
    if (!kernel) return false;
    ft_run_rows(kernel, ft_sizes[dtype], ft_sizes[dtype], layout, a, b, output, begin, end);
    return true;
}

bool ft_compare(ft_dtype dtype, ft_comparison comparison, ft_operands operands, const void *a, const void *b,
                void *output, ptrdiff_t length) {
    const ft_binary_kernel kernel = ft_comparison_kernels[comparison][dtype];
    if (!kernel) return false;
    kernel(a, b, output, length, operands);
    return true;
}

bool ft_compare_rows(ft_dtype dtype, ft_comparison comparison, const ft_layout *layout, const void *a, const void *b,
                     void *output, ptrdiff_t begin, ptrdiff_t end) {
    const ft_binary_kernel kernel = ft_comparison_kernels[comparison][dtype];
    if (!kernel) return false;
    ft_run_rows(kernel, ft_sizes[dtype], 1, layout, a, b, output, begin, end);
    return true;
}

#define FT_SELECT(name, type)                                                                                          \
    static void name(const uint8_t *condition, ptrdiff_t condition_step, const void *first, ptrdiff_t a_step,          \
                     const void *second, ptrdiff_t b_step, void *output, ptrdiff_t length) {                           \
        const type *a = first, *b = second;                                                                            \
        type *target = output;                                                                                         \
        for (ptrdiff_t i = 0; i < length; i++) {                                                                       \
            target[i] = condition[i * condition_step] ? a[i * a_step] : b[i * b_step];                                 \
        }                                                                                                              \
    }
FT_SELECT(ft_select_8, uint8_t)
FT_SELECT(ft_select_16, uint16_t)
FT_SELECT(ft_select_32, uint32_t)
FT_SELECT(ft_select_64, uint64_t)

void ft_select_rows(int size, const ft_layout *layout, const uint8_t *condition, const void *a, const void *b,
                    void *output, ptrdiff_t begin, ptrdiff_t end) {
    const ptrdiff_t length = layout->row_length, last = layout->rank - 1;
    const ptrdiff_t cs = layout->strides[0][last], xs = layout->strides[1][last], ys = layout->strides[2][last];
    ft_walk walk;
    ft_walk_start(&walk, layout, begin);
    for (ptrdiff_t row = begin; row < end; row++) {
        const uint8_t *c = condition + walk.offset[0];
        const char *x = (const char *)a + walk.offset[1] * size, *y = (const char *)b + walk.offset[2] * size;
        char *target = (char *)output + row * length * size;
        switch (size) {
        case 1: ft_select_8(c, cs, x, xs, y, ys, target, length); break;
        case 2: ft_select_16(c, cs, x, xs, y, ys, target, length); break;
        case 4: ft_select_32(c, cs, x, xs, y, ys, target, length); break;
        default: ft_select_64(c, cs, x, xs, y, ys, target, length); break;
        }
        ft_walk_next(&walk, layout);
    }
}
