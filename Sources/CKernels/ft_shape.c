#include "ft_shape.h"
#include "ft_iterate.h"

#define FT_COPY_ROW(name, type)                                                                                        \
    static void name(const void *input, ptrdiff_t source_step, void *output, ptrdiff_t target_step,                    \
                     ptrdiff_t length) {                                                                               \
        const type *source = input;                                                                                    \
        type *target = output;                                                                                         \
        if (source_step == 1 && target_step == 1) {                                                                    \
            memcpy(target, source, (size_t)length * sizeof(type));                                                     \
        } else if (source_step == 0 && target_step == 1) {                                                             \
            const type value = source[0];                                                                              \
            for (ptrdiff_t i = 0; i < length; i++) target[i] = value;                                                  \
        } else {                                                                                                       \
            for (ptrdiff_t i = 0; i < length; i++) target[i * target_step] = source[i * source_step];                  \
        }                                                                                                              \
    }
FT_COPY_ROW(ft_copy_row_8, uint8_t)
FT_COPY_ROW(ft_copy_row_16, uint16_t)
FT_COPY_ROW(ft_copy_row_32, uint32_t)
FT_COPY_ROW(ft_copy_row_64, uint64_t)

typedef void (*ft_copy_row)(const void *, ptrdiff_t, void *, ptrdiff_t, ptrdiff_t);

static ft_copy_row ft_copy_row_of(int size) {
    switch (size) {
    case 1: return ft_copy_row_8;
    case 2: return ft_copy_row_16;
    case 4: return ft_copy_row_32;
    default: return ft_copy_row_64;
    }
}

void ft_copy_rows(int size, const ft_layout *layout, const void *source, void *target, ptrdiff_t begin, ptrdiff_t end) {
    const ft_copy_row copy = ft_copy_row_of(size);
    const ptrdiff_t last = layout->rank - 1;
    ft_walk walk;
    ft_walk_start(&walk, layout, begin);
    for (ptrdiff_t row = begin; row < end; row++) {
        copy((const char *)source + walk.offset[0] * size, layout->strides[0][last],
             (char *)target + walk.offset[1] * size, layout->strides[1][last], layout->row_length);
        ft_walk_next(&walk, layout);
    }
}

// Square tiles keep both the rows read and the rows written in the first-level cache.
#define FT_TILE 16

// Columns [first, last) of one matrix become rows.
#define FT_TRANSPOSE(name, type)                                                                                       \
    FT_CLONES static void name(ptrdiff_t rows, ptrdiff_t columns, const void *input, void *output, ptrdiff_t first,    \
                               ptrdiff_t last) {                                                                       \
        const type *source = input;                                                                                    \
        type *target = output;                                                                                         \
        for (ptrdiff_t r0 = 0; r0 < rows; r0 += FT_TILE) {                                                             \
            const ptrdiff_t r1 = r0 + FT_TILE < rows ? r0 + FT_TILE : rows;                                            \
            for (ptrdiff_t c = first; c < last; c++) {                                                                 \
                for (ptrdiff_t r = r0; r < r1; r++) target[c * rows + r] = source[r * columns + c];                    \
            }                                                                                                          \
        }                                                                                                              \
    }
FT_TRANSPOSE(ft_transpose_8, uint8_t)
FT_TRANSPOSE(ft_transpose_16, uint16_t)
FT_TRANSPOSE(ft_transpose_32, uint32_t)
FT_TRANSPOSE(ft_transpose_64, uint64_t)

ptrdiff_t ft_transpose_tiles(ptrdiff_t columns) { return (columns + FT_TILE - 1) / FT_TILE; }

void ft_transpose(int size, ptrdiff_t rows, ptrdiff_t columns, const void *source, void *target, ptrdiff_t begin,
                  ptrdiff_t end) {
    const ptrdiff_t tiles = ft_transpose_tiles(columns);
    for (ptrdiff_t piece = begin; piece < end; piece++) {
        const ptrdiff_t offset = piece / tiles * rows * columns * size;
        const ptrdiff_t first = piece % tiles * FT_TILE;
        const ptrdiff_t last = first + FT_TILE < columns ? first + FT_TILE : columns;
        const char *from = (const char *)source + offset;
        char *to = (char *)target + offset;
        switch (size) {
        case 1: ft_transpose_8(rows, columns, from, to, first, last); break;
        case 2: ft_transpose_16(rows, columns, from, to, first, last); break;
        case 4: ft_transpose_32(rows, columns, from, to, first, last); break;
        default: ft_transpose_64(rows, columns, from, to, first, last); break;
        }
    }
}

void ft_fill(int size, const void *value, void *target, ptrdiff_t length) {
    ft_copy_row_of(size)(value, 0, target, 1, length);
}

void ft_gather_slices(int size, const void *source, const int64_t *offsets, ptrdiff_t length, void *target,
                      ptrdiff_t begin, ptrdiff_t end) {
    const size_t bytes = (size_t)length * (size_t)size;
    for (ptrdiff_t k = begin; k < end; k++) {
        char *to = (char *)target + (size_t)k * bytes;
        if (offsets[k] < 0) {
            memset(to, 0, bytes);
        } else if (length == 1 && size == 4) {
            memcpy(to, (const char *)source + offsets[k] * 4, 4);
        } else {
            memcpy(to, (const char *)source + offsets[k] * size, bytes);
        }
    }
}

#define FT_SCATTER_ADD(T, type)                                                                                        \
    static void ft_scatter_add_##T(const void *input, const int64_t *offsets, ptrdiff_t count, ptrdiff_t length,       \
                                   void *output) {                                                                     \
        const type *source = input;                                                                                    \
        for (ptrdiff_t k = 0; k < count; k++, source += length) {                                                      \
            if (offsets[k] < 0) continue;                                                                              \
            type *target = (type *)output + offsets[k];                                                                \
            FT_INDEPENDENT                                                                                             \
            for (ptrdiff_t i = 0; i < length; i++) target[i] = (type)(target[i] + source[i]);                          \
        }                                                                                                              \
    }
FT_FLOAT_TYPES(FT_SCATTER_ADD)
FT_UNSIGNED_TYPES(FT_SCATTER_ADD)

bool ft_scatter_add_slices(ft_dtype dtype, const void *source, const int64_t *offsets, ptrdiff_t count,
                           ptrdiff_t length, void *target) {
    switch (dtype) {
    case FT_FLOAT32: ft_scatter_add_f32(source, offsets, count, length, target); return true;
    case FT_FLOAT64: ft_scatter_add_f64(source, offsets, count, length, target); return true;
    // Addition of two's complement numbers is that of unsigned ones.
    case FT_INT8:
    case FT_UINT8: ft_scatter_add_u8(source, offsets, count, length, target); return true;
    case FT_INT16:
    case FT_UINT16: ft_scatter_add_u16(source, offsets, count, length, target); return true;
    case FT_INT32:
    case FT_UINT32: ft_scatter_add_u32(source, offsets, count, length, target); return true;
    case FT_INT64:
    case FT_UINT64: ft_scatter_add_u64(source, offsets, count, length, target); return true;
    default: return false;
    }
}
