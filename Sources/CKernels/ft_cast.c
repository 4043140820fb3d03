#include "ft_elementwise.h"
#include "ft_vecmath.h"

typedef void (*ft_cast_kernel)(const void *, void *, ptrdiff_t);

#define FT_CAST_LOOP(name, from, to, expression)                                                                       \
    FT_CLONES static void name(const void *input, void *output, ptrdiff_t length) {                                    \
        const from *source = input;                                                                                    \
        to *target = output;                                                                                           \
        for (ptrdiff_t i = 0; i < length; i++) {                                                                       \
            const from x = source[i];                                                                                  \
            target[i] = (to)(expression);                                                                              \
        }                                                                                                              \
    }

// A float beyond an integer's range is undefined in C; it saturates here. The comparison with the upper bound is
// against the bound plus one, a power of two that every float type holds.
#define FT_SATURATE(x, type, minimum, maximum)                                                                         \
    ((x) != (x) ? (type)0                                                                                              \
                : ((x) >= (double)((maximum) / 2 + 1) * 2 ? (type)(maximum)                                            \
                                                          : ((x) <= (double)(minimum) ? (type)(minimum) : (type)(x))))

#define FT_CASTS_FROM_FLOAT(F, from, value)                                                                            \
    FT_CAST_LOOP(ft_cast_##F##_f32, from, float, value)                                                                \
    FT_CAST_LOOP(ft_cast_##F##_f64, from, double, value)                                                               \
    FT_CAST_LOOP(ft_cast_##F##_f16, from, uint16_t, ftv_f32_to_f16((float)(value)))                                     \
    FT_CAST_LOOP(ft_cast_##F##_bf16, from, uint16_t, ftv_f32_to_bf16((float)(value)))                                   \
    FT_CAST_LOOP(ft_cast_##F##_i8, from, int8_t, FT_SATURATE(value, int8_t, INT8_MIN, INT8_MAX))                       \
    FT_CAST_LOOP(ft_cast_##F##_i16, from, int16_t, FT_SATURATE(value, int16_t, INT16_MIN, INT16_MAX))                  \
    FT_CAST_LOOP(ft_cast_##F##_i32, from, int32_t, FT_SATURATE(value, int32_t, INT32_MIN, INT32_MAX))                  \
    FT_CAST_LOOP(ft_cast_##F##_i64, from, int64_t, FT_SATURATE(value, int64_t, INT64_MIN, INT64_MAX))                  \
    FT_CAST_LOOP(ft_cast_##F##_u8, from, uint8_t, FT_SATURATE(value, uint8_t, 0, UINT8_MAX))                           \
    FT_CAST_LOOP(ft_cast_##F##_u16, from, uint16_t, FT_SATURATE(value, uint16_t, 0, UINT16_MAX))                       \
    FT_CAST_LOOP(ft_cast_##F##_u32, from, uint32_t, FT_SATURATE(value, uint32_t, 0, UINT32_MAX))                       \
    FT_CAST_LOOP(ft_cast_##F##_u64, from, uint64_t, FT_SATURATE(value, uint64_t, 0, UINT64_MAX))                       \
    FT_CAST_LOOP(ft_cast_##F##_bool, from, uint8_t, (value) != 0)

FT_CASTS_FROM_FLOAT(f32, float, x)
FT_CASTS_FROM_FLOAT(f64, double, x)
FT_CASTS_FROM_FLOAT(f16, uint16_t, ftv_f16_to_f32(x))
FT_CASTS_FROM_FLOAT(bf16, uint16_t, ftv_bf16_to_f32(x))

#define FT_CASTS_FROM_INTEGER(F, from)                                                                                 \
    FT_CAST_LOOP(ft_cast_##F##_f32, from, float, x)                                                                    \
    FT_CAST_LOOP(ft_cast_##F##_f64, from, double, x)                                                                   \
    FT_CAST_LOOP(ft_cast_##F##_f16, from, uint16_t, ftv_f32_to_f16((float)x))                                           \
    FT_CAST_LOOP(ft_cast_##F##_bf16, from, uint16_t, ftv_f32_to_bf16((float)x))                                         \
    FT_CAST_LOOP(ft_cast_##F##_i8, from, int8_t, x)                                                                    \
    FT_CAST_LOOP(ft_cast_##F##_i16, from, int16_t, x)                                                                  \
    FT_CAST_LOOP(ft_cast_##F##_i32, from, int32_t, x)                                                                  \
    FT_CAST_LOOP(ft_cast_##F##_i64, from, int64_t, x)                                                                  \
    FT_CAST_LOOP(ft_cast_##F##_u8, from, uint8_t, x)                                                                   \
    FT_CAST_LOOP(ft_cast_##F##_u16, from, uint16_t, x)                                                                 \
    FT_CAST_LOOP(ft_cast_##F##_u32, from, uint32_t, x)                                                                 \
    FT_CAST_LOOP(ft_cast_##F##_u64, from, uint64_t, x)                                                                 \
    FT_CAST_LOOP(ft_cast_##F##_bool, from, uint8_t, x != 0)
FT_INTEGER_TYPES(FT_CASTS_FROM_INTEGER)

#define FT_CAST_ROW(F)                                                                                                 \
    {                                                                                                                  \
        [FT_FLOAT32] = ft_cast_##F##_f32, [FT_FLOAT64] = ft_cast_##F##_f64, [FT_FLOAT16] = ft_cast_##F##_f16,          \
        [FT_BFLOAT16] = ft_cast_##F##_bf16, [FT_INT8] = ft_cast_##F##_i8, [FT_INT16] = ft_cast_##F##_i16,              \
        [FT_INT32] = ft_cast_##F##_i32, [FT_INT64] = ft_cast_##F##_i64, [FT_UINT8] = ft_cast_##F##_u8,                 \
        [FT_UINT16] = ft_cast_##F##_u16, [FT_UINT32] = ft_cast_##F##_u32, [FT_UINT64] = ft_cast_##F##_u64,             \
        [FT_BOOL] = ft_cast_##F##_bool,                                                                                \
    }

static const ft_cast_kernel ft_cast_kernels[FT_DTYPE_COUNT][FT_DTYPE_COUNT] = {
    [FT_FLOAT32] = FT_CAST_ROW(f32), [FT_FLOAT64] = FT_CAST_ROW(f64), [FT_FLOAT16] = FT_CAST_ROW(f16),
    [FT_BFLOAT16] = FT_CAST_ROW(bf16), [FT_INT8] = FT_CAST_ROW(i8), [FT_INT16] = FT_CAST_ROW(i16),
    [FT_INT32] = FT_CAST_ROW(i32), [FT_INT64] = FT_CAST_ROW(i64), [FT_UINT8] = FT_CAST_ROW(u8),
    [FT_UINT16] = FT_CAST_ROW(u16), [FT_UINT32] = FT_CAST_ROW(u32), [FT_UINT64] = FT_CAST_ROW(u64),
    [FT_BOOL] = FT_CAST_ROW(u8),
};

void ft_cast(ft_dtype from, ft_dtype to, const void *x, void *output, ptrdiff_t length) {
    ft_cast_kernels[from][to](x, output, length);
}
