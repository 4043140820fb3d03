// Pooling kernels of one element type. Before including: FT_T, the type, and FT_NAME(x), the name of x for it.

#define FT_LARGER(x, m) (((x) > (m)) | ((x) != (x))) ? (x) : (m)

// MARK: planes whose windows separate: down the columns into `line`, then along it

/// y[o] = max(y[o], row[o * stride]).
FT_INLINE void FT_NAME(ft_max_strided)(const FT_T *row, ptrdiff_t stride, FT_T *y, ptrdiff_t count) {
    for (ptrdiff_t o = 0; o < count; o++) {
        const FT_T v = row[o * stride], m = y[o];
        y[o] = FT_LARGER(v, m);
    }
}

/// Windows [begin, end) of one output row, whatever of them lies outside of `line`.
FT_INLINE void FT_NAME(ft_max_line)(const ft_pool_geometry *g, const FT_T *line, FT_T *y, ptrdiff_t begin,
                                    ptrdiff_t end) {
    for (ptrdiff_t o = begin; o < end; o++) {
        const ft_taps columns = ft_window(g, 2, o);
        FT_T m = -(FT_T)INFINITY;
        for (ptrdiff_t t = 0; t < columns.taps; t++) {
            const FT_T v = line[columns.first + t];
            m = FT_LARGER(v, m);
        }
        y[o] = m;
    }
}

FT_CLONES static void FT_NAME(ft_max_pool_separated)(const ft_pool_geometry *g, const FT_T *x, FT_T *y) {
    const ptrdiff_t width = g->input[2], outputs = g->output[2], stride = g->stride[2];
    const ft_run inner = ft_inner_windows(g);
    const ptrdiff_t count = inner.end - inner.begin;
    FT_T line[FT_POOL_ROW];
    for (ptrdiff_t oh = 0; oh < g->output[1]; oh++, y += outputs) {
        const ft_taps rows = ft_window(g, 1, oh);
        for (ptrdiff_t j = 0; j < width; j++) line[j] = -(FT_T)INFINITY;
        for (ptrdiff_t t = 0; t < rows.taps; t++) {
            FT_NAME(ft_max_strided)(x + (rows.first + t) * width, 1, line, width);
        }
        FT_NAME(ft_max_line)(g, line, y, 0, inner.begin);
        FT_NAME(ft_max_line)(g, line, y, inner.end, outputs);
        FT_T *target = y + inner.begin;
        for (ptrdiff_t o = 0; o < count; o++) target[o] = -(FT_T)INFINITY;
        for (ptrdiff_t t = 0; t < g->kernel[2] && count > 0; t++) {
            const FT_T *start = line + inner.begin * stride - g->pad_begin[2] + t;
            // The common strides as constants: only those loops vectorise.
            switch (stride) {
            case 1: FT_NAME(ft_max_strided)(start, 1, target, count); break;
            case 2: FT_NAME(ft_max_strided)(start, 2, target, count); break;
            default: FT_NAME(ft_max_strided)(start, stride, target, count); break;
            }
        }
    }
}

/// As `ft_max_strided` with positions: of equal elements, and of NaNs, the one of the smallest position wins.
FT_INLINE void FT_NAME(ft_max_strided_indices)(const FT_T *row, const int32_t *places, ptrdiff_t stride, FT_T *y,
                                               int32_t *indices, ptrdiff_t count) {
    for (ptrdiff_t o = 0; o < count; o++) {
        const FT_T v = row[o * stride], m = y[o];
        const int32_t p = places[o * stride], best = indices[o];
        const bool earlier = p < best;
        const bool wins = (v > m) | ((v == m) & earlier) | ((v != v) & ((m == m) | earlier));
        y[o] = wins ? v : m;
        indices[o] = wins ? p : best;
    }
}

/// As `ft_max_line` with positions; -1 for a window outside of `line`.
FT_INLINE void FT_NAME(ft_max_line_indices)(const ft_pool_geometry *g, const FT_T *line, const int32_t *places, FT_T *y,
                                            int32_t *indices, ptrdiff_t begin, ptrdiff_t end) {
    for (ptrdiff_t o = begin; o < end; o++) {
        const ft_taps columns = ft_window(g, 2, o);
        y[o] = columns.taps > 0 ? line[columns.first] : -(FT_T)INFINITY;
        indices[o] = columns.taps > 0 ? places[columns.first] : -1;
        for (ptrdiff_t t = 1; t < columns.taps; t++) {
            const ptrdiff_t j = columns.first + t;
            FT_NAME(ft_max_strided_indices)(line + j, places + j, 1, y + o, indices + o, 1);
        }
    }
}

FT_CLONES static void FT_NAME(ft_max_pool_separated_indices)(const ft_pool_geometry *g, const FT_T *x, FT_T *y,
                                                             int32_t *indices) {
    const ptrdiff_t width = g->input[2], outputs = g->output[2], stride = g->stride[2];
    const ft_run inner = ft_inner_windows(g);
    const ptrdiff_t count = inner.end - inner.begin;
    FT_T line[FT_POOL_ROW];
    int32_t places[FT_POOL_ROW];
    for (ptrdiff_t oh = 0; oh < g->output[1]; oh++, y += outputs, indices += outputs) {
        const ft_taps rows = ft_window(g, 1, oh);
        for (ptrdiff_t j = 0; j < width; j++) line[j] = -(FT_T)INFINITY;
        for (ptrdiff_t j = 0; j < width; j++) places[j] = -1;
        for (ptrdiff_t t = 0; t < rows.taps; t++) {
            const ptrdiff_t first = (rows.first + t) * width;
            for (ptrdiff_t j = 0; j < width; j++) {
                const FT_T v = x[first + j], m = line[j];
                const bool wins = (v > m) | ((v != v) & (m == m)) | (t == 0);
                line[j] = wins ? v : m;
                places[j] = wins ? (int32_t)(first + j) : places[j];
            }
        }
        FT_NAME(ft_max_line_indices)(g, line, places, y, indices, 0, inner.begin);
        FT_NAME(ft_max_line_indices)(g, line, places, y, indices, inner.end, outputs);
        FT_T *target = y + inner.begin;
        int32_t *target_places = indices + inner.begin;
        for (ptrdiff_t t = 0; t < g->kernel[2] && count > 0; t++) {
            const ptrdiff_t start = inner.begin * stride - g->pad_begin[2] + t;
            const FT_T *from = line + start;
            const int32_t *places_from = places + start;
            if (t == 0) {
                for (ptrdiff_t o = 0; o < count; o++) target[o] = from[o * stride];
                for (ptrdiff_t o = 0; o < count; o++) target_places[o] = places_from[o * stride];
                continue;
            }
            // The common strides as constants: only those loops vectorise.
            switch (stride) {
            case 1: FT_NAME(ft_max_strided_indices)(from, places_from, 1, target, target_places, count); break;
            case 2: FT_NAME(ft_max_strided_indices)(from, places_from, 2, target, target_places, count); break;
            default: FT_NAME(ft_max_strided_indices)(from, places_from, stride, target, target_places, count); break;
            }
        }
    }
}

/// y[o] += row[o * stride].
FT_INLINE void FT_NAME(ft_add_strided)(const FT_T *row, ptrdiff_t stride, FT_T *y, ptrdiff_t count) {
    for (ptrdiff_t o = 0; o < count; o++) y[o] += row[o * stride];
}

/// Windows [begin, end) of one output row, whatever of them lies outside of `line`.
FT_INLINE void FT_NAME(ft_average_line)(const ft_pool_geometry *g, ft_taps depth, ft_taps rows, const FT_T *line,
                                        FT_T *y, ptrdiff_t begin, ptrdiff_t end) {
    for (ptrdiff_t o = begin; o < end; o++) {
        const ft_taps columns = ft_window(g, 2, o);
        FT_T sum = 0;
        for (ptrdiff_t t = 0; t < columns.taps; t++) sum += line[columns.first + t];
        const ptrdiff_t divisor = ft_window_count(g, depth, rows, columns);
        y[o] = divisor > 0 ? sum / (FT_T)divisor : 0;
    }
}

FT_CLONES static void FT_NAME(ft_average_pool_separated)(const ft_pool_geometry *g, const FT_T *x, FT_T *y) {
    const ptrdiff_t width = g->input[2], outputs = g->output[2], stride = g->stride[2], kernel = g->kernel[2];
    const ft_run inner = ft_inner_windows(g);
    const ptrdiff_t count = inner.end - inner.begin;
    const ft_taps depth = ft_window(g, 0, 0), whole = {.first = 0, .taps = kernel, .padded = kernel};
    FT_T line[FT_POOL_ROW];
    for (ptrdiff_t oh = 0; oh < g->output[1]; oh++, y += outputs) {
        const ft_taps rows = ft_window(g, 1, oh);
        for (ptrdiff_t j = 0; j < width; j++) line[j] = 0;
        for (ptrdiff_t t = 0; t < rows.taps; t++) {
            FT_NAME(ft_add_strided)(x + (rows.first + t) * width, 1, line, width);
        }
        FT_NAME(ft_average_line)(g, depth, rows, line, y, 0, inner.begin);
        FT_NAME(ft_average_line)(g, depth, rows, line, y, inner.end, outputs);
        FT_T *target = y + inner.begin;
        for (ptrdiff_t o = 0; o < count; o++) target[o] = 0;
        for (ptrdiff_t t = 0; t < kernel && count > 0; t++) {
            const FT_T *start = line + inner.begin * stride - g->pad_begin[2] + t;
            // The common strides as constants: only those loops vectorise.
            switch (stride) {
            case 1: FT_NAME(ft_add_strided)(start, 1, target, count); break;
            case 2: FT_NAME(ft_add_strided)(start, 2, target, count); break;
            default: FT_NAME(ft_add_strided)(start, stride, target, count); break;
            }
        }
        const ptrdiff_t divisor = ft_window_count(g, depth, rows, whole);
        for (ptrdiff_t o = 0; o < count; o++) target[o] = divisor > 0 ? target[o] / (FT_T)divisor : 0;
    }
}

// MARK: any windows

static void FT_NAME(ft_max_pool_plane)(const ft_pool_geometry *g, const FT_T *x, FT_T *y, int32_t *indices) {
    ptrdiff_t o = 0;
    for (ptrdiff_t od = 0; od < g->output[0]; od++) {
        const ft_taps depth = ft_window(g, 0, od);
        for (ptrdiff_t oh = 0; oh < g->output[1]; oh++) {
            const ft_taps rows = ft_window(g, 1, oh);
            for (ptrdiff_t ow = 0; ow < g->output[2]; ow++, o++) {
                const ft_taps columns = ft_window(g, 2, ow);
                FT_T m = -(FT_T)INFINITY;
                ptrdiff_t best = -1;
                for (ptrdiff_t a = 0; a < depth.taps; a++) {
                    const ptrdiff_t d = depth.first + a * g->dilation[0];
                    for (ptrdiff_t b = 0; b < rows.taps; b++) {
                        const ptrdiff_t r = d * g->input[1] + rows.first + b * g->dilation[1];
                        for (ptrdiff_t c = 0; c < columns.taps; c++) {
                            const ptrdiff_t i = r * g->input[2] + columns.first + c * g->dilation[2];
                            if (best < 0 || x[i] > m || (x[i] != x[i] && m == m)) {
                                m = x[i];
                                best = i;
                            }
                        }
                    }
                }
                y[o] = m;
                if (indices) indices[o] = (int32_t)best;
            }
        }
    }
}

void FT_NAME(ft_max_pool)(const ft_pool_geometry *g, const FT_T *x, FT_T *y, int32_t *indices, ptrdiff_t begin,
                          ptrdiff_t end) {
    const ptrdiff_t inputs = ft_volume(g->input), outputs = ft_volume(g->output);
    const bool separates = ft_pool_separates(g);
    for (ptrdiff_t plane = begin; plane < end; plane++) {
        const FT_T *source = x + plane * inputs;
        FT_T *target = y + plane * outputs;
        int32_t *places = indices ? indices + plane * outputs : NULL;
        if (!separates) {
            FT_NAME(ft_max_pool_plane)(g, source, target, places);
        } else if (places) {
            FT_NAME(ft_max_pool_separated_indices)(g, source, target, places);
        } else {
            FT_NAME(ft_max_pool_separated)(g, source, target);
        }
    }
}

void FT_NAME(ft_max_pool_gradient)(ptrdiff_t inputs, ptrdiff_t outputs, const int32_t *indices,
                                   const FT_T *grad_output, FT_T *grad_input, int *stray, ptrdiff_t begin,
                                   ptrdiff_t end) {
    for (ptrdiff_t plane = begin; plane < end; plane++) {
        const int32_t *places = indices + plane * outputs;
        const FT_T *source = grad_output + plane * outputs;
        FT_T *target = grad_input + plane * inputs;
        memset(target, 0, (size_t)inputs * sizeof(FT_T));
        for (ptrdiff_t o = 0; o < outputs; o++) {
            if (places[o] >= inputs) {
                __atomic_store_n(stray, 1, __ATOMIC_RELAXED);
            } else if (places[o] >= 0) {
                target[places[o]] += source[o];
            }
        }
    }
}

void FT_NAME(ft_max_pool_gather)(ptrdiff_t inputs, ptrdiff_t outputs, const int32_t *indices, const FT_T *x, FT_T *y,
                                 int *stray, ptrdiff_t begin, ptrdiff_t end) {
    for (ptrdiff_t plane = begin; plane < end; plane++) {
        const int32_t *places = indices + plane * outputs;
        const FT_T *source = x + plane * inputs;
        FT_T *target = y + plane * outputs;
        for (ptrdiff_t o = 0; o < outputs; o++) {
            const bool inside = places[o] >= 0 && places[o] < inputs;
            if (places[o] >= inputs) __atomic_store_n(stray, 1, __ATOMIC_RELAXED);
            target[o] = inside ? source[places[o]] : 0;
        }
    }
}

static void FT_NAME(ft_average_pool_plane)(const ft_pool_geometry *g, const FT_T *x, FT_T *y) {
    for (ptrdiff_t od = 0; od < g->output[0]; od++) {
        const ft_taps depth = ft_window(g, 0, od);
        for (ptrdiff_t oh = 0; oh < g->output[1]; oh++) {
            const ft_taps rows = ft_window(g, 1, oh);
            for (ptrdiff_t ow = 0; ow < g->output[2]; ow++) {
                const ft_taps columns = ft_window(g, 2, ow);
                FT_T sum = 0;
                for (ptrdiff_t a = 0; a < depth.taps; a++) {
                    const ptrdiff_t d = depth.first + a * g->dilation[0];
                    for (ptrdiff_t b = 0; b < rows.taps; b++) {
                        const ptrdiff_t r = d * g->input[1] + rows.first + b * g->dilation[1];
                        const FT_T *row = x + r * g->input[2] + columns.first;
                        for (ptrdiff_t c = 0; c < columns.taps; c++) sum += row[c * g->dilation[2]];
                    }
                }
                const ptrdiff_t count = ft_window_count(g, depth, rows, columns);
                *y++ = count > 0 ? sum / (FT_T)count : 0;
            }
        }
    }
}

void FT_NAME(ft_average_pool)(const ft_pool_geometry *g, const FT_T *x, FT_T *y, ptrdiff_t begin, ptrdiff_t end) {
    const ptrdiff_t inputs = ft_volume(g->input), outputs = ft_volume(g->output);
    const bool separates = ft_pool_separates(g);
    for (ptrdiff_t plane = begin; plane < end; plane++) {
        if (separates) {
            FT_NAME(ft_average_pool_separated)(g, x + plane * inputs, y + plane * outputs);
        } else {
            FT_NAME(ft_average_pool_plane)(g, x + plane * inputs, y + plane * outputs);
        }
    }
}

void FT_NAME(ft_average_pool_gradient)(const ft_pool_geometry *g, const FT_T *grad_output, FT_T *grad_input,
                                       ptrdiff_t begin, ptrdiff_t end) {
    const ptrdiff_t inputs = ft_volume(g->input);
    const FT_T *source = grad_output + begin * ft_volume(g->output);
    for (ptrdiff_t plane = begin; plane < end; plane++) {
        FT_T *target = grad_input + plane * inputs;
        memset(target, 0, (size_t)inputs * sizeof(FT_T));
        for (ptrdiff_t od = 0; od < g->output[0]; od++) {
            const ft_taps depth = ft_window(g, 0, od);
            for (ptrdiff_t oh = 0; oh < g->output[1]; oh++) {
                const ft_taps rows = ft_window(g, 1, oh);
                for (ptrdiff_t ow = 0; ow < g->output[2]; ow++) {
                    const ft_taps columns = ft_window(g, 2, ow);
                    const ptrdiff_t count = ft_window_count(g, depth, rows, columns);
                    const FT_T share = count > 0 ? *source / (FT_T)count : 0;
                    source++;
                    for (ptrdiff_t a = 0; a < depth.taps; a++) {
                        const ptrdiff_t d = depth.first + a * g->dilation[0];
                        for (ptrdiff_t b = 0; b < rows.taps; b++) {
                            const ptrdiff_t r = d * g->input[1] + rows.first + b * g->dilation[1];
                            FT_T *row = target + r * g->input[2] + columns.first;
                            for (ptrdiff_t c = 0; c < columns.taps; c++) row[c * g->dilation[2]] += share;
                        }
                    }
                }
            }
        }
    }
}

#undef FT_LARGER
