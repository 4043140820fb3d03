#ifndef FT_LAYOUT_H
#define FT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

/// Most axes, and most operands, of a layout.
#define FT_MAX_RANK 32
#define FT_MAX_OPERANDS 3

/// A shape walked by several operands at once. Strides count elements: 0 along broadcast axes, negative along reversed
/// ones. The last axis is a row.
typedef struct ft_layout {
    int rank;
    int operands;
    ptrdiff_t row_length;
    ptrdiff_t row_count;
    ptrdiff_t shape[FT_MAX_RANK];
    ptrdiff_t strides[FT_MAX_OPERANDS][FT_MAX_RANK];
} ft_layout;

/// Begins a layout of `shape`; operands follow, then `ft_layout_merge`. False for more than FT_MAX_RANK axes.
bool ft_layout_start(ft_layout *layout, int rank, const ptrdiff_t *shape);

/// Adds an operand with these strides.
void ft_layout_add(ft_layout *layout, const ptrdiff_t *strides);

/// Adds a contiguous operand of a shape that broadcasts to the layout's.
void ft_layout_add_broadcast(ft_layout *layout, int rank, const ptrdiff_t *shape);

/// Joins neighbouring axes that every operand walks in one go, so that rows are as long as can be.
void ft_layout_merge(ft_layout *layout);

#endif
