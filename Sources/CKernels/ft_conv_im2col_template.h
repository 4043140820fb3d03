// Convolution of any geometry through BLAS: patches of a block of output positions are gathered into a matrix that
// stays in the L2 cache, then multiplied. T, NAME(x), GEMM_SERIAL and the public names are defined by the includer.
//
// col: [rows, positions], a row per (input channel, kernel offset), a column per output position.

/// Gathers (or, with `scatter`, adds back) the patches of `channels` input channels for output positions
/// [begin, begin + count). `image` points at the first of these channels.
#define FOR_EACH_PATCH_ROW(shape, channels)                                                                            \
    for (ptrdiff_t c = 0; c < (channels); c++)                                                                         \
        for (ptrdiff_t kd = 0; kd < (shape)->kernel[0]; kd++)                                                          \
            for (ptrdiff_t kh = 0; kh < (shape)->kernel[1]; kh++)                                                      \
                for (ptrdiff_t kw = 0; kw < (shape)->kernel[2]; kw++)

/// Positions of one output row, as a range of one input row: col[at + i] belongs to source[first + i * stride].
typedef struct {
    /// Offset of the input row inside the channel, or -1 when it lies in the padding.
    ptrdiff_t row;
    /// First input column, may be negative.
    ptrdiff_t first;
    /// Number of positions.
    ptrdiff_t length;
    /// Positions [inside_begin, inside_end) have their column inside the input.
    ptrdiff_t inside_begin, inside_end;
} NAME(patch_run);

static NAME(patch_run) NAME(find_run)(
    const ft_conv_shape *s, ptrdiff_t position, ptrdiff_t end, ptrdiff_t kd, ptrdiff_t kh, ptrdiff_t kw) {
    NAME(patch_run) run;
    ptrdiff_t ow = position % s->output[2], rest = position / s->output[2];
    ptrdiff_t id = rest / s->output[1] * s->stride[0] - s->pad[0] + kd * s->dilation[0];
    ptrdiff_t ih = rest % s->output[1] * s->stride[1] - s->pad[1] + kh * s->dilation[1];
    ptrdiff_t stride = s->stride[2], width = s->input[2];
    run.length = s->output[2] - ow < end - position ? s->output[2] - ow : end - position;
    run.first = ow * stride - s->pad[2] + kw * s->dilation[2];
    run.row = id < 0 || id >= s->input[0] || ih < 0 || ih >= s->input[1] ? -1 : (id * s->input[1] + ih) * width;
    ptrdiff_t low = run.first >= 0 ? 0 : (-run.first + stride - 1) / stride;
    ptrdiff_t high = run.first >= width ? 0 : (width - run.first + stride - 1) / stride;
    if (low > run.length) low = run.length;
    if (high > run.length) high = run.length;
    if (high < low) high = low;
    run.inside_begin = run.row < 0 ? 0 : low;
    run.inside_end = run.row < 0 ? 0 : high;
    return run;
}

static void NAME(gather)(
    const ft_conv_shape *s, const T *image, ptrdiff_t channels, ptrdiff_t begin, ptrdiff_t count, T *col) {
    ptrdiff_t plane = s->input[0] * s->input[1] * s->input[2], stride = s->stride[2];
    FOR_EACH_PATCH_ROW(s, channels) {
        for (ptrdiff_t at = begin; at < begin + count;) {
            NAME(patch_run) run = NAME(find_run)(s, at, begin + count, kd, kh, kw);
            const T *source = image + c * plane + run.row + run.first;
            for (ptrdiff_t i = 0; i < run.inside_begin; i++) col[i] = 0;
            if (stride == 1) {
                for (ptrdiff_t i = run.inside_begin; i < run.inside_end; i++) col[i] = source[i];
            } else {
                for (ptrdiff_t i = run.inside_begin; i < run.inside_end; i++) col[i] = source[i * stride];
            }
            for (ptrdiff_t i = run.inside_end; i < run.length; i++) col[i] = 0;
            at += run.length;
            col += run.length;
        }
    }
}

static void NAME(scatter)(
    const ft_conv_shape *s, const T *col, ptrdiff_t channels, ptrdiff_t begin, ptrdiff_t count, T *image) {
    ptrdiff_t plane = s->input[0] * s->input[1] * s->input[2], stride = s->stride[2];
    FOR_EACH_PATCH_ROW(s, channels) {
        for (ptrdiff_t at = begin; at < begin + count;) {
            NAME(patch_run) run = NAME(find_run)(s, at, begin + count, kd, kh, kw);
            T *target = image + c * plane + run.row + run.first;
            for (ptrdiff_t i = run.inside_begin; i < run.inside_end; i++) target[i * stride] += col[i];
            at += run.length;
            col += run.length;
        }
    }
}

static void NAME(finish)(
    const ft_conv_epilogue *e, ptrdiff_t first_channel, ptrdiff_t channels, ptrdiff_t count, ptrdiff_t positions,
    ptrdiff_t offset, T *y) {
    if (e == NULL || (e->bias == NULL && e->residual == NULL && !e->clip)) return;
    // A residual in the place of y is already in the sums.
    const T *bias = e->bias, *residual = e->residual == y ? NULL : e->residual;
    T low = e->clip ? (T)e->low : 0, high = e->clip ? (T)e->high : 0;
    for (ptrdiff_t c = 0; c < channels; c++) {
        T *row = y + offset + c * positions;
        T shift = bias == NULL ? 0 : bias[first_channel + c];
        for (ptrdiff_t i = 0; i < count; i++) {
            T value = row[i] + shift;
            if (residual != NULL) value += residual[offset + c * positions + i];
            // Written so that NaN passes through.
            if (e->clip) value = value < low ? low : value > high ? high : value;
            row[i] = value;
        }
    }
}

typedef struct {
    const ft_conv_shape *shape;
    const T *x, *w, *grad_output;
    const ft_conv_epilogue *epilogue;
    T *result;
    T *workspace;
    ft_im2col_plan plan;
} NAME(im2col_job);

static void NAME(forward_task)(void *context, ptrdiff_t task, int thread) {
    const NAME(im2col_job) *job = context;
    const ft_conv_shape *s = job->shape;
    const ft_im2col_plan *p = &job->plan;
    ptrdiff_t out_block = task % p->out_blocks, rest = task / p->out_blocks;
    ptrdiff_t block = rest % p->position_blocks, group = rest / p->position_blocks % s->groups;
    ptrdiff_t image = rest / p->position_blocks / s->groups;
    ptrdiff_t begin = block * p->block, count = p->positions - begin < p->block ? p->positions - begin : p->block;
    ptrdiff_t first = out_block * p->out_block;
    ptrdiff_t channels = p->group_out - first < p->out_block ? p->group_out - first : p->out_block;
    ptrdiff_t rows = p->group_in * p->taps;
    T *col = job->workspace + (ptrdiff_t)thread * p->thread_elements;
    NAME(gather)(
        s, job->x + (image * s->in_channels + group * p->group_in) * p->plane, p->group_in, begin, count, col);
    ptrdiff_t channel = group * p->group_out + first;
    ptrdiff_t offset = (image * s->out_channels + channel) * p->positions + begin;
    bool adds = job->epilogue != NULL && job->epilogue->residual == job->result;
    GEMM_SERIAL(
        false, false, channels, count, rows, 1, job->w + channel * rows, rows, col, count, adds ? 1 : 0,
        job->result + offset, p->positions);
    NAME(finish)(job->epilogue, channel, channels, count, p->positions, offset, job->result);
}

void NAME(ft_im2col_forward)(
    const ft_conv_shape *s, const T *x, const T *w, const ft_conv_epilogue *epilogue, T *y, void *workspace,
    int threads) {
    NAME(im2col_job) job = {s, x, w, NULL, epilogue, y, workspace, ft_im2col_plan_make(s, threads, sizeof(T))};
    const ft_im2col_plan *p = &job.plan;
    if (p->positions == 0) return;
    ft_parallel_for_threads(
        threads, s->batch * s->groups * p->position_blocks * p->out_blocks, NAME(forward_task), &job);
}

static void NAME(grad_input_task)(void *context, ptrdiff_t task, int thread) {
    const NAME(im2col_job) *job = context;
    const ft_conv_shape *s = job->shape;
    const ft_im2col_plan *p = &job->plan;
    ptrdiff_t in_block = task % p->in_blocks, group = task / p->in_blocks % s->groups;
    ptrdiff_t image = task / p->in_blocks / s->groups;
    ptrdiff_t first = in_block * p->in_block;
    ptrdiff_t channels = p->group_in - first < p->in_block ? p->group_in - first : p->in_block;
    T *col = job->workspace + (ptrdiff_t)thread * p->thread_elements;
    T *result = job->result + (image * s->in_channels + group * p->group_in + first) * p->plane;
    memset(result, 0, (size_t)(channels * p->plane) * sizeof(T));
    ptrdiff_t row = p->group_in * p->taps;
    const T *w = job->w + group * p->group_out * row + first * p->taps;
    const T *grad = job->grad_output + (image * s->out_channels + group * p->group_out) * p->positions;
    for (ptrdiff_t begin = 0; begin < p->positions; begin += p->block) {
        ptrdiff_t count = p->positions - begin < p->block ? p->positions - begin : p->block;
        GEMM_SERIAL(
            true, false, channels * p->taps, count, p->group_out, 1, w, row, grad + begin, p->positions, 0, col, count);
        NAME(scatter)(s, col, channels, begin, count, result);
    }
}

void NAME(ft_im2col_grad_input)(
    const ft_conv_shape *s, const T *grad_output, const T *w, T *grad_input, void *workspace, int threads) {
    NAME(im2col_job) job = {
        s, NULL, w, grad_output, NULL, grad_input, workspace, ft_im2col_plan_make(s, threads, sizeof(T))};
    if (job.plan.plane == 0) return;
    ft_parallel_for_threads(threads, s->batch * s->groups * job.plan.in_blocks, NAME(grad_input_task), &job);
}

static void NAME(grad_weight_task)(void *context, ptrdiff_t task, int thread) {
    const NAME(im2col_job) *job = context;
    const ft_conv_shape *s = job->shape;
    const ft_im2col_plan *p = &job->plan;
    ptrdiff_t in_block = task % p->in_blocks, group = task / p->in_blocks;
    ptrdiff_t first = in_block * p->in_block;
    ptrdiff_t channels = p->group_in - first < p->in_block ? p->group_in - first : p->in_block;
    T *col = job->workspace + (ptrdiff_t)thread * p->thread_elements;
    ptrdiff_t row = p->group_in * p->taps, rows = channels * p->taps;
    T *result = job->result + group * p->group_out * row + first * p->taps;
    for (ptrdiff_t c = 0; c < p->group_out; c++) memset(result + c * row, 0, (size_t)rows * sizeof(T));
    for (ptrdiff_t image = 0; image < s->batch; image++) {
        const T *x = job->x + (image * s->in_channels + group * p->group_in + first) * p->plane;
        const T *grad = job->grad_output + (image * s->out_channels + group * p->group_out) * p->positions;
        for (ptrdiff_t begin = 0; begin < p->positions; begin += p->block) {
            ptrdiff_t count = p->positions - begin < p->block ? p->positions - begin : p->block;
            NAME(gather)(s, x, channels, begin, count, col);
            GEMM_SERIAL(
                false, true, p->group_out, rows, count, 1, grad + begin, p->positions, col, count, 1, result, row);
        }
    }
}

void NAME(ft_im2col_grad_weight)(
    const ft_conv_shape *s, const T *x, const T *grad_output, T *grad_weight, void *workspace, int threads) {
    NAME(im2col_job) job = {
        s, x, NULL, grad_output, NULL, grad_weight, workspace, ft_im2col_plan_make(s, threads, sizeof(T))};
    ft_parallel_for_threads(threads, s->groups * job.plan.in_blocks, NAME(grad_weight_task), &job);
}

typedef struct {
    const ft_conv_shape *shape;
    const T *grad_output;
    T *grad_bias;
    ptrdiff_t positions;
} NAME(bias_job);

static void NAME(grad_bias_task)(void *context, ptrdiff_t channel, int thread) {
    (void)thread;
    const NAME(bias_job) *job = context;
    // Sixteen partial sums: a fixed order of additions that the compiler may keep in vector registers.
    double total = 0;
    for (ptrdiff_t image = 0; image < job->shape->batch; image++) {
        const T *row = job->grad_output + (image * job->shape->out_channels + channel) * job->positions;
        T partial[16] = {0};
        ptrdiff_t i = 0;
        for (; i + 16 <= job->positions; i += 16) {
            for (int lane = 0; lane < 16; lane++) partial[lane] += row[i + lane];
        }
        for (; i < job->positions; i++) total += row[i];
        for (int lane = 0; lane < 16; lane++) total += partial[lane];
    }
    job->grad_bias[channel] = (T)total;
}

void NAME(ft_conv_grad_bias)(const ft_conv_shape *s, const T *grad_output, T *grad_bias) {
    NAME(bias_job) job = {s, grad_output, grad_bias, s->output[0] * s->output[1] * s->output[2]};
    ft_parallel_for(s->out_channels, NAME(grad_bias_task), &job);
}

#undef FOR_EACH_PATCH_ROW
