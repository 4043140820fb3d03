// Convolution kernels for AVX2 and FMA: a 16-float vector is two registers, 12 of 16 registers hold sums.
#if defined(__x86_64__)
#include "ft_conv_simd.h"
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define ROWS 6
#define VECTORS 1
#define TN_ROWS 4
#define TABLE ft_conv_kernels_avx2
#include "ft_conv_simd_template.h"
#pragma clang attribute pop
#endif
