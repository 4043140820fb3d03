// Convolution kernels in portable vector code: what every compiler target has, NEON on arm64.
#include "ft_conv_simd.h"
#if defined(__aarch64__)
#define ROWS 6
#else
#define ROWS 3
#endif
#define VECTORS 1
#define TN_ROWS 4
#define TABLE ft_conv_kernels_portable
#include "ft_conv_simd_template.h"

const ft_conv_kernels *ft_conv_kernels_get(void) {
#if defined(__x86_64__)
    switch (ft_cpu_isa()) {
    case FT_ISA_AVX512: return &ft_conv_kernels_avx512;
    case FT_ISA_AVX2: return &ft_conv_kernels_avx2;
    case FT_ISA_PORTABLE: break;
    }
#endif
    return &ft_conv_kernels_portable;
}
