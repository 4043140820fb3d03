#ifndef FT_RANDOM_H
#define FT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

// Random numbers that are a function of a seed and a position alone, so that any number of threads makes the same ones.
// Each is a hash of seed + position * odd constant (SplitMix64's finaliser; Steele, Lea and Flood, 2014).

/// Normal with mean 0 and variance 1 (Box and Muller, 1958), for positions [begin, end); `begin` is even.
void ft_random_normal_f32(uint64_t seed, float *output, ptrdiff_t begin, ptrdiff_t end);
/// As above in double precision.
void ft_random_normal_f64(uint64_t seed, double *output, ptrdiff_t begin, ptrdiff_t end);

#endif
