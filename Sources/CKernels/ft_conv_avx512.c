// Convolution kernels for AVX-512: 28 sums, 2 right-hand vectors and a broadcast fill the 32 registers.
#if defined(__x86_64__)
#include "ft_conv_simd.h"
#include <string.h>
#pragma clang attribute push(                                                                                          \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define ROWS 14
#define VECTORS 2
#define TN_ROWS 8
#define TABLE ft_conv_kernels_avx512
#include "ft_conv_simd_template.h"
#pragma clang attribute pop
#endif
