#ifndef FT_CPU_H
#define FT_CPU_H

#include <stdbool.h>

/// Instruction set that the kernels of this process use. Chosen once, from the CPU and the operating system.
typedef enum { FT_ISA_PORTABLE, FT_ISA_AVX2, FT_ISA_AVX512 } ft_isa;

static inline bool ft_cpu_has_avx512(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

static inline ft_isa ft_cpu_isa(void) {
#if defined(__x86_64__)
    if (ft_cpu_has_avx512()) return FT_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return FT_ISA_AVX2;
#endif
    return FT_ISA_PORTABLE;
}

#define FT_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define FT_TARGET_AVX2 __attribute__((target("avx2,fma")))

#endif
