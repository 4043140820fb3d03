#ifndef FT_SHAPE_H
#define FT_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft_dtype.h"
#include "ft_layout.h"

// Kernels that move elements without looking at them: `size` is an element's bytes (1, 2, 4 or 8). Strides and offsets
// count elements and may be negative or 0 in the source.

/// target = source over rows [begin, end) of a layout of the two; pointers are to the elements with all indices 0.
void ft_copy_rows(int size, const ft_layout *layout, const void *source, void *target, ptrdiff_t begin, ptrdiff_t end);

/// Pieces of work that transposing one matrix with `columns` columns is made of.
ptrdiff_t ft_transpose_tiles(ptrdiff_t columns);

/// Transposes a batch of matrices [rows, columns]: pieces [begin, end) of batch * ft_transpose_tiles(columns).
void ft_transpose(int size, ptrdiff_t rows, ptrdiff_t columns, const void *source, void *target, ptrdiff_t begin,
                  ptrdiff_t end);

/// Repeats one element.
void ft_fill(int size, const void *value, void *target, ptrdiff_t length);

/// target[k] = source[offsets[k] ..< offsets[k] + length], one slice after another; a negative offset gives zeros.
void ft_gather_slices(int size, const void *source, const int64_t *offsets, ptrdiff_t length, void *target,
                      ptrdiff_t begin, ptrdiff_t end);

/// target[offsets[k] ..< offsets[k] + length] += source[k], in order of k; negative offsets are skipped. Returns false
/// for 16-bit floats, which the caller computes as float32.
bool ft_scatter_add_slices(ft_dtype dtype, const void *source, const int64_t *offsets, ptrdiff_t count,
                           ptrdiff_t length, void *target);

#endif
