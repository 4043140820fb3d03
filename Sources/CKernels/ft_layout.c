#include "ft_layout.h"

bool ft_layout_start(ft_layout *layout, int rank, const ptrdiff_t *shape) {
    if (rank > FT_MAX_RANK) return false;
    layout->rank = rank;
    layout->operands = 0;
    for (int axis = 0; axis < rank; axis++) layout->shape[axis] = shape[axis];
    return true;
}

void ft_layout_add(ft_layout *layout, const ptrdiff_t *strides) {
    ptrdiff_t *own = layout->strides[layout->operands++];
    for (int axis = 0; axis < layout->rank; axis++) own[axis] = strides[axis];
}

void ft_layout_add_broadcast(ft_layout *layout, int rank, const ptrdiff_t *shape) {
    ptrdiff_t *own = layout->strides[layout->operands++];
    const int added = layout->rank - rank;
    ptrdiff_t stride = 1;
    for (int axis = layout->rank - 1; axis >= 0; axis--) {
        const ptrdiff_t size = axis < added ? 1 : shape[axis - added];
        own[axis] = size == 1 ? 0 : stride;
        stride *= size;
    }
}

void ft_layout_merge(ft_layout *layout) {
    // Writes from the back: the merged axes end up in the last places, and are then moved to the front.
    int first = layout->rank;
    for (int axis = layout->rank - 1; axis >= 0; axis--) {
        const ptrdiff_t size = layout->shape[axis];
        if (size == 1) continue;
        bool joins = first < layout->rank;
        for (int k = 0; k < layout->operands && joins; k++) {
            joins = layout->strides[k][axis] == layout->strides[k][first] * layout->shape[first];
        }
        if (joins) {
            layout->shape[first] *= size;
            continue;
        }
        first--;
        layout->shape[first] = size;
        for (int k = 0; k < layout->operands; k++) layout->strides[k][first] = layout->strides[k][axis];
    }
    const int rank = layout->rank - first;
    for (int axis = 0; axis < rank; axis++) {
        layout->shape[axis] = layout->shape[first + axis];
        for (int k = 0; k < layout->operands; k++) layout->strides[k][axis] = layout->strides[k][first + axis];
    }
    layout->rank = rank;
    if (rank == 0) {
        // A single element is a row of its own.
        layout->rank = 1;
        layout->shape[0] = 1;
        for (int k = 0; k < layout->operands; k++) layout->strides[k][0] = 1;
    }
    layout->row_length = layout->shape[layout->rank - 1];
    layout->row_count = 1;
    for (int axis = 0; axis + 1 < layout->rank; axis++) layout->row_count *= layout->shape[axis];
}
