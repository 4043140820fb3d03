#ifndef FT_DTYPE_H
#define FT_DTYPE_H

/// Element types; the values are the raw values of Swift's `DType`.
typedef enum ft_dtype {
    FT_FLOAT32,
    FT_FLOAT64,
    FT_FLOAT16,
    FT_BFLOAT16,
    FT_INT8,
    FT_INT16,
    FT_INT32,
    FT_INT64,
    FT_UINT8,
    FT_UINT16,
    FT_UINT32,
    FT_UINT64,
    FT_BOOL,
    FT_DTYPE_COUNT
} ft_dtype;

#endif
