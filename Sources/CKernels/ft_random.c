#include "ft_random.h"
#include "ft_vecmath.h"

FT_INLINE uint64_t ft_hash(uint64_t seed, uint64_t position) {
    uint64_t z = seed + (position + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

/// sin and cos of 2 pi u for u in [0, 1): the angle's rest after whole quarters, in -pi/4 ... pi/4, by their series.
FT_INLINE void ft_circle_f32(float u, float *sine, float *cosine) {
    const float quarter = ftv_round_f32(u * 4.0f);
    const float r = (u * 4.0f - quarter) * 1.57079633f;
    const float z = r * r;
    const float s = r + r * z * (((-1.9515296e-4f * z + 8.3321609e-3f) * z) - 1.6666655e-1f);
    const float c = 1.0f - 0.5f * z + z * z * ((2.4433157e-5f * z - 1.3887316e-3f) * z + 4.1666646e-2f);
    const int32_t k = (int32_t)quarter;
    const float a = k & 1 ? c : s, b = k & 1 ? s : c;
    *sine = k & 2 ? -a : a;
    *cosine = (k + 1) & 2 ? -b : b;
}

// One hash gives both uniform numbers of a pair of normal ones. 1 - u is never 0. A strip is drawn, then stored in turns: the
// first loop vectorises without a scatter.
FT_CLONES void ft_random_normal_f32(uint64_t seed, float *output, ptrdiff_t begin, ptrdiff_t end) {
    enum { FT_STRIP = 512 };
    float sines[FT_STRIP], cosines[FT_STRIP];
    for (ptrdiff_t pair = begin / 2; 2 * pair < end; pair += FT_STRIP) {
        for (ptrdiff_t i = 0; i < FT_STRIP; i++) {
            const uint64_t bits = ft_hash(seed, (uint64_t)(pair + i));
            const float u = 1.0f - (float)(int32_t)(bits >> 40) * 0x1p-24f;
            const float v = (float)(int32_t)((uint32_t)bits >> 8) * 0x1p-24f;
            const float radius = __builtin_elementwise_sqrt(-2.0f * ftv_log_f32(u));
            float sine, cosine;
            ft_circle_f32(v, &sine, &cosine);
            sines[i] = radius * sine;
            cosines[i] = radius * cosine;
        }
        const ptrdiff_t left = end - 2 * pair, count = left < 2 * FT_STRIP ? left : 2 * FT_STRIP;
        float *target = output + 2 * pair;
        for (ptrdiff_t i = 0; i < count / 2; i++) {
            target[2 * i] = cosines[i];
            target[2 * i + 1] = sines[i];
        }
        if (count % 2) target[count - 1] = cosines[count / 2];
    }
}

void ft_random_normal_f64(uint64_t seed, double *output, ptrdiff_t begin, ptrdiff_t end) {
    for (ptrdiff_t i = begin; i < end; i += 2) {
        const double u = 1.0 - (double)(ft_hash(seed, (uint64_t)i) >> 11) * 0x1p-53;
        const double angle = 6.283185307179586 * ((double)(ft_hash(seed, (uint64_t)i + 1) >> 11) * 0x1p-53);
        const double radius = sqrt(-2.0 * log(u));
        output[i] = radius * cos(angle);
        if (i + 1 < end) output[i + 1] = radius * sin(angle);
    }
}
