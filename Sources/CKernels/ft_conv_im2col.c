#include "ft_conv_im2col.h"

#include <string.h>

/// Size that a thread's gathered patches should have: half of a common L2 cache.
#define PATCH_BYTES (512 * 1024)
enum { MIN_POSITIONS = 48 };

static ptrdiff_t divide_up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

ft_im2col_plan ft_im2col_plan_make(const ft_conv_shape *s, int threads, size_t element_size) {
    ft_im2col_plan p;
    p.group_in = s->in_channels / s->groups;
    p.group_out = s->out_channels / s->groups;
    p.plane = s->input[0] * s->input[1] * s->input[2];
    p.positions = s->output[0] * s->output[1] * s->output[2];
    p.taps = s->kernel[0] * s->kernel[1] * s->kernel[2];

    ptrdiff_t rows = p.group_in * p.taps > 0 ? p.group_in * p.taps : 1;
    p.block = (ptrdiff_t)(PATCH_BYTES / element_size) / rows / 16 * 16;
    if (p.block < MIN_POSITIONS) p.block = MIN_POSITIONS;
    if (p.block > p.positions) p.block = p.positions > 0 ? p.positions : 1;
    p.position_blocks = divide_up(p.positions, p.block);

    // Every thread gets work even when there is one image only.
    ptrdiff_t tasks = s->batch * s->groups * p.position_blocks;
    p.out_blocks = tasks >= threads || tasks == 0 ? 1 : divide_up(threads, tasks);
    if (p.out_blocks > p.group_out) p.out_blocks = p.group_out > 0 ? p.group_out : 1;
    p.out_block = divide_up(p.group_out, p.out_blocks);
    if (p.out_block < 1) p.out_block = 1;
    p.out_blocks = divide_up(p.group_out, p.out_block);

    p.in_blocks = s->groups >= 2 * threads ? 1 : divide_up(2 * threads, s->groups);
    if (p.in_blocks > p.group_in) p.in_blocks = p.group_in > 0 ? p.group_in : 1;
    p.in_block = divide_up(p.group_in, p.in_blocks);
    if (p.in_block < 1) p.in_block = 1;
    p.in_blocks = divide_up(p.group_in, p.in_block);

    p.thread_elements = divide_up(rows * p.block, 64) * 64;
    return p;
}

size_t ft_im2col_workspace(const ft_conv_shape *s, int threads, size_t element_size) {
    return (size_t)ft_im2col_plan_make(s, threads, element_size).thread_elements * element_size * (size_t)threads;
}

#define T float
#define NAME(x) x##_f32
#define GEMM_SERIAL ft_sgemm_serial
#include "ft_conv_im2col_template.h"
#undef T
#undef NAME
#undef GEMM_SERIAL

#define T double
#define NAME(x) x##_f64
#define GEMM_SERIAL ft_dgemm_serial
#include "ft_conv_im2col_template.h"

// Double precision always goes this way.

size_t ft_conv_forward_workspace_f64(const ft_conv_shape *s, int threads) {
    return ft_im2col_workspace(s, threads, sizeof(double));
}

size_t ft_conv_grad_input_workspace_f64(const ft_conv_shape *s, int threads) {
    return ft_im2col_workspace(s, threads, sizeof(double));
}

size_t ft_conv_grad_weight_workspace_f64(const ft_conv_shape *s, int threads) {
    return ft_im2col_workspace(s, threads, sizeof(double));
}

void ft_conv_forward_f64(
    const ft_conv_shape *s, const double *x, const double *w, const ft_conv_epilogue *epilogue, double *y,
    void *workspace, int threads) {
    ft_im2col_forward_f64(s, x, w, epilogue, y, workspace, threads);
}

void ft_conv_grad_input_f64(
    const ft_conv_shape *s, const double *grad_output, const double *w, double *grad_input, void *workspace,
    int threads) {
    ft_im2col_grad_input_f64(s, grad_output, w, grad_input, workspace, threads);
}

void ft_conv_grad_weight_f64(
    const ft_conv_shape *s, const double *x, const double *grad_output, double *grad_weight, void *workspace,
    int threads) {
    ft_im2col_grad_weight_f64(s, x, grad_output, grad_weight, workspace, threads);
}
