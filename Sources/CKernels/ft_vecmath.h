// Private to the kernels: branch-free float32 functions that the compiler vectorises when inlined into a loop.
//
// Polynomial coefficients are minimax fits made for these intervals; errors stay within 2.5 units in the last place,
// with and without fused multiply-add.
#ifndef FT_VECMATH_H
#define FT_VECMATH_H

#include "ft_simd.h"

FT_INLINE uint32_t ftv_bits_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

FT_INLINE float ftv_from_bits_f32(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/// 2^n for n in [-126, 127].
FT_INLINE float ftv_exp2i_f32(int32_t n) { return ftv_from_bits_f32((uint32_t)(n + 127) << 23); }

/// e^x. Overflows to infinity, underflows gradually, keeps NaN.
FT_INLINE float ftv_exp_f32(float x) {
    // Comparisons written so that NaN passes through.
    const float high = x > 89.0f ? 89.0f : x;
    const float clamped = high < -104.0f ? -104.0f : high;
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
    const float shifter = 12582912.0f;
    const float shifted = clamped * 1.44269504f + shifter;
    const float n = shifted - shifter;
    const int32_t exponent = (int32_t)(ftv_bits_f32(shifted) - 0x4B400000u);
    // ln 2 in two parts; the first has few bits, so that n times it is exact.
    const float r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
    const float p =
        ((((1.991823089e-4f * r + 1.394638151e-3f) * r + 8.333264704e-3f) * r + 4.166626560e-2f) * r + 1.666666686e-1f)
            * r
        + 5.000000079e-1f;
    const float mantissa = (r * r * p + r) + 1.0f;
    // Two factors reach both the largest numbers and the subnormal ones. NaN leaves garbage in `exponent`.
    const int32_t bounded = exponent > 129 ? 129 : (exponent < -151 ? -151 : exponent);
    const int32_t half = bounded >> 1;
    return mantissa * ftv_exp2i_f32(half) * ftv_exp2i_f32(bounded - half);
}

/// Natural logarithm; -infinity at 0, NaN below.
FT_INLINE float ftv_log_f32(float x) {
    const bool subnormal = x < FLT_MIN;
    const float scaled = subnormal ? x * 8388608.0f : x;
    const uint32_t bits = ftv_bits_f32(scaled);
    // Splits x = m * 2^e with m in [sqrt(1/2), sqrt(2)).
    const uint32_t rebased = bits - 0x3F3504F3u;
    const int32_t e = ((int32_t)rebased >> 23) - (subnormal ? 23 : 0);
    const float m = ftv_from_bits_f32((rebased & 0x007FFFFFu) + 0x3F3504F3u);
    const float r = m - 1.0f;
    const float p =
        (((((((6.746684340e-2f * r - 1.167577178e-1f) * r + 1.188820917e-1f) * r - 1.240557378e-1f) * r
            + 1.421954428e-1f) * r - 1.666799634e-1f) * r + 2.000211906e-1f) * r - 2.500000960e-1f) * r
        + 3.333331260e-1f;
    const float n = (float)e;
    const float tail = r * r * (r * p - 0.5f) + n * -2.12194440e-4f;
    const float result = (r + tail) + n * 0.693359375f;
    const float special = x > 0 ? x : (x == 0 ? -INFINITY : NAN);
    return x > 0 && x < INFINITY ? result : special;
}

/// log(1 + x) for x in [0, 1].
FT_INLINE float ftv_log1p_unit_f32(float x) {
    const float y = 1.0f + x;
    return ftv_log_f32(y) + (x - (y - 1.0f)) / y;
}

FT_INLINE float ftv_tanh_f32(float x) {
    const float a = fabsf(x);
    const float z = x * x;
    const float p = (((2.147536861e-3f * z - 8.182673856e-3f) * z + 2.170296710e-2f) * z - 5.394720427e-2f) * z
        + 1.333320976e-1f;
    // A negative zero would lose its sign in the sum.
    const float small = copysignf(x + x * z * (p * z - 3.333333091e-1f), x);
    const float large = copysignf(1.0f - 2.0f / (ftv_exp_f32(a + a) + 1.0f), x);
    return a < 0.625f ? small : (x == x ? large : x);
}

FT_INLINE float ftv_erf_f32(float x) {
    const float a = fabsf(x);
    const float z = x * x;
    const float p =
        (((((8.345224870e-5f * z - 8.137437561e-4f) * z + 5.200634306e-3f) * z - 2.685927078e-2f) * z
            + 1.128369394e-1f) * z - 3.761263370e-1f) * z + 1.128379167f;
    const float b = a > 4.0f ? 4.0f : a;
    const float q =
        ((((((2.082861834e-5f * b - 4.313935649e-4f) * b + 4.156254912e-3f) * b - 2.508061649e-2f) * b
            + 1.082203840e-1f) * b + 6.334008509e-1f) * b + 1.129488406f) * b - 1.692051284e-4f;
    const float large = copysignf(1.0f - ftv_exp_f32(-q), x);
    return a < 0.92f ? x * p : (x == x ? large : x);
}

/// 1 / (1 + e^-x), written so that nothing overflows.
FT_INLINE float ftv_sigmoid_f32(float x) {
    const float e = ftv_exp_f32(-fabsf(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

/// log(1 + e^x) without overflow.
FT_INLINE float ftv_softplus_f32(float x) {
    const float positive = x > 0 ? x : (x == x ? 0.0f : x);
    return positive + ftv_log1p_unit_f32(ftv_exp_f32(-fabsf(x)));
}

/// Nearest integer, ties to even.
FT_INLINE float ftv_round_f32(float x) {
    const float magic = copysignf(8388608.0f, x);
    return fabsf(x) < 8388608.0f ? copysignf((x + magic) - magic, x) : x;
}

FT_INLINE float ftv_floor_f32(float x) {
    const float r = ftv_round_f32(x);
    return r > x ? copysignf(r - 1.0f, x) : r;
}

FT_INLINE float ftv_ceil_f32(float x) {
    const float r = ftv_round_f32(x);
    return r < x ? copysignf(r + 1.0f, x) : r;
}

// MARK: 16-bit formats

FT_INLINE float ftv_f16_to_f32(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t magnitude = (uint32_t)(h & 0x7FFFu) << 13;
    // Multiplying by 2^112 rebases the exponent and normalises subnormal halves.
    const float scaled = ftv_from_bits_f32(magnitude) * 0x1p112f;
    const uint32_t special = magnitude >= 0x0F800000u ? 0x7F800000u : 0u;
    return ftv_from_bits_f32(ftv_bits_f32(scaled) | special | sign);
}

FT_INLINE uint16_t ftv_f32_to_f16(float x) {
    const uint32_t bits = ftv_bits_f32(x);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7FFFFFFFu;
    const uint32_t normal = ((magnitude - 0x38000000u) + 0xFFFu + ((magnitude >> 13) & 1u)) >> 13;
    // Below the smallest normal half, adding 0.5 puts the half's last bit at the float's last bit.
    const uint32_t subnormal = ftv_bits_f32(ftv_from_bits_f32(magnitude) + 0.5f) - 0x3F000000u;
    uint32_t result = magnitude < 0x38800000u ? subnormal : normal;
    result = magnitude >= 0x47800000u ? 0x7C00u : result;
    result = magnitude > 0x7F800000u ? 0x7E00u : result;
    return (uint16_t)(result | sign);
}

FT_INLINE float ftv_bf16_to_f32(uint16_t h) { return ftv_from_bits_f32((uint32_t)h << 16); }

FT_INLINE uint16_t ftv_f32_to_bf16(float x) {
    const uint32_t bits = ftv_bits_f32(x);
    const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    return (uint16_t)(x == x ? rounded : ((bits >> 16) | 0x40u));
}

#endif
