#ifndef FT_RANDOM_H
#define FT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

// Random numbers that are a function of a seed and a position alone, so that any number of threads makes the same ones.
// Each is a hash of seed + position * odd constant (SplitMix64's finaliser; Steele, Lea and Flood, 2014).

/// Uniform in [0, 1), multiples of 2^-24, for positions [begin, end).
void ft_random_uniform_f32(uint64_t seed, float *output, ptrdiff_t begin, ptrdiff_t end);
/// Uniform in [0, 1), multiples of 2^-53, for positions [begin, end).
void ft_random_uniform_f64(uint64_t seed, double *output, ptrdiff_t begin, ptrdiff_t end);
/// Normal with mean 0 and variance 1 (Box and Muller, 1958), for positions [begin, end); `begin` is even.
void ft_random_normal_f32(uint64_t seed, float *output, ptrdiff_t begin, ptrdiff_t end);
/// As above in double precision.
void ft_random_normal_f64(uint64_t seed, double *output, ptrdiff_t begin, ptrdiff_t end);
/// 0 with probability p, `kept` otherwise, for positions [begin, end).
void ft_random_mask_f32(uint64_t seed, double p, float kept, float *output, ptrdiff_t begin, ptrdiff_t end);

#endif
