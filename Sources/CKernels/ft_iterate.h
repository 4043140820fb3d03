// Private to the kernels: walking the rows of a layout.
#ifndef FT_ITERATE_H
#define FT_ITERATE_H

#include "ft_layout.h"
#include "ft_simd.h"

/// A row's place: the index along each outer axis, and every operand's offset.
typedef struct ft_walk {
    ptrdiff_t index[FT_MAX_RANK];
    ptrdiff_t offset[FT_MAX_OPERANDS];
} ft_walk;

/// Goes to a row by its number.
FT_INLINE void ft_walk_start(ft_walk *walk, const ft_layout *layout, ptrdiff_t row) {
    for (int k = 0; k < layout->operands; k++) walk->offset[k] = 0;
    for (int axis = layout->rank - 2; axis >= 0; axis--) {
        const ptrdiff_t size = layout->shape[axis];
        walk->index[axis] = row % size;
        row /= size;
        for (int k = 0; k < layout->operands; k++) walk->offset[k] += walk->index[axis] * layout->strides[k][axis];
    }
}

FT_INLINE void ft_walk_next(ft_walk *walk, const ft_layout *layout) {
    for (int axis = layout->rank - 2; axis >= 0; axis--) {
        for (int k = 0; k < layout->operands; k++) walk->offset[k] += layout->strides[k][axis];
        if (++walk->index[axis] < layout->shape[axis]) return;
        for (int k = 0; k < layout->operands; k++) {
            walk->offset[k] -= layout->strides[k][axis] * layout->shape[axis];
        }
        walk->index[axis] = 0;
    }
}

#endif
