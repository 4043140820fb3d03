#ifndef FT_CONV_IM2COL_H
#define FT_CONV_IM2COL_H

#include "CKernels.h"

/// How a convolution is cut into tasks when it goes through gathered patches.
typedef struct {
    ptrdiff_t group_in, group_out;
    /// Elements of an input channel, an output channel and a kernel.
    ptrdiff_t plane, positions, taps;
    /// Output positions per block and number of blocks.
    ptrdiff_t block, position_blocks;
    /// Output channels per task, and input channels per task of the gradients.
    ptrdiff_t out_block, out_blocks, in_block, in_blocks;
    /// Elements of scratch memory per thread.
    ptrdiff_t thread_elements;
} ft_im2col_plan;

ft_im2col_plan ft_im2col_plan_make(const ft_conv_shape *shape, int threads, size_t element_size);

/// Bytes of scratch memory for `threads` threads.
size_t ft_im2col_workspace(const ft_conv_shape *shape, int threads, size_t element_size);

void ft_im2col_forward_f32(
    const ft_conv_shape *shape, const float *x, const float *w, const ft_conv_epilogue *epilogue, float *y,
    void *workspace, int threads);
void ft_im2col_forward_f64(
    const ft_conv_shape *shape, const double *x, const double *w, const ft_conv_epilogue *epilogue, double *y,
    void *workspace, int threads);
void ft_im2col_grad_input_f32(
    const ft_conv_shape *shape, const float *grad_output, const float *w, float *grad_input, void *workspace,
    int threads);
void ft_im2col_grad_input_f64(
    const ft_conv_shape *shape, const double *grad_output, const double *w, double *grad_input, void *workspace,
    int threads);
void ft_im2col_grad_weight_f32(
    const ft_conv_shape *shape, const float *x, const float *grad_output, float *grad_weight, void *workspace,
    int threads);
void ft_im2col_grad_weight_f64(
    const ft_conv_shape *shape, const double *x, const double *grad_output, double *grad_weight, void *workspace,
    int threads);

#endif
