#include "CPicture.h"
#include <string.h>

#if defined(__x86_64__)
#define FT_HAVE_AVX2 1
#include <immintrin.h>
#endif

static inline uint8_t to_byte(int32_t sum) {
    int32_t value = sum >> FT_RESAMPLE_PRECISION;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

static inline int32_t weight(const ft_resample_axis *axis, int i, int tap) {
    size_t at = (size_t)i * axis->taps + tap;
    return (int32_t)axis->high[at] * (1 << FT_RESAMPLE_LOW_BITS) + axis->low[at];
}

static const int32_t half = 1 << (FT_RESAMPLE_PRECISION - 1);

// MARK: Portable

void ft_resample_rows_u8_portable(const uint8_t *src, size_t src_stride, int channels, int rows,
                                  const ft_resample_axis *axis, uint8_t *dst) {
    for (int y = 0; y < rows; y++, src += src_stride)
        for (int x = 0; x < axis->size; x++, dst += channels)
            for (int c = 0; c < channels; c++) {
                const uint8_t *in = src + (size_t)axis->starts[x] * channels + c;
                int32_t sum = half;
                for (int t = 0; t < axis->counts[x]; t++, in += channels) sum += *in * weight(axis, x, t);
                dst[c] = to_byte(sum);
            }
}

static void columns_portable(const uint8_t *src, size_t src_stride, size_t begin, size_t end,
                             const ft_resample_axis *axis, int y, uint8_t *dst) {
    const uint8_t *top = src + (size_t)axis->starts[y] * src_stride;
    enum { BLOCK = 256 };
    int32_t sums[BLOCK];
    for (size_t x = begin; x < end; x += BLOCK) {
        size_t count = end - x < BLOCK ? end - x : BLOCK;
        for (size_t i = 0; i < count; i++) sums[i] = half;
        for (int t = 0; t < axis->counts[y]; t++) {
            const uint8_t *in = top + (size_t)t * src_stride + x;
            int32_t w = weight(axis, y, t);
            for (size_t i = 0; i < count; i++) sums[i] += in[i] * w;
        }
        for (size_t i = 0; i < count; i++) dst[x + i] = to_byte(sums[i]);
    }
}

void ft_resample_columns_u8_portable(const uint8_t *src, size_t src_stride, size_t row_bytes,
                                     const ft_resample_axis *axis, uint8_t *dst) {
    for (int y = 0; y < axis->size; y++, dst += row_bytes)
        columns_portable(src, src_stride, 0, row_bytes, axis, y, dst);
}

// MARK: AVX2

#if FT_HAVE_AVX2

#define FT_AVX2 __attribute__((target("avx2")))

static inline int32_t tap_pair(const int16_t *weights) {
    int32_t pair;
    memcpy(&pair, weights, sizeof pair);
    return pair;
}

FT_AVX2 static inline __m256i combine(__m256i high, __m256i low) {
    __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, FT_RESAMPLE_LOW_BITS), low);
    return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(half)), FT_RESAMPLE_PRECISION);
}

// The sums of one RGB pixel in two rows: lane 0 belongs to `a`, lane 1 to `b`, each R, G, B, unused.
typedef struct {
    __m256i high, low;
} rgb_sums;

// Adds four taps. A load of 16 bytes covers them; the shuffles pair the same channel of neighbouring taps for the
// multiply-add. `weights` holds the taps 0 and 1, then 2 and 3, upper bits before lower.
FT_AVX2 static inline void add_taps(rgb_sums *sums, const uint8_t *a, const uint8_t *b, const __m256i weights[4]) {
    const __m256i first = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i second = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    __m256i in = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)a)),
                                         _mm_loadu_si128((const __m128i *)b), 1);
    __m256i in0 = _mm256_shuffle_epi8(in, first), in1 = _mm256_shuffle_epi8(in, second);
    sums->high = _mm256_add_epi32(sums->high, _mm256_add_epi32(_mm256_madd_epi16(in0, weights[0]),
                                                               _mm256_madd_epi16(in1, weights[1])));
    sums->low = _mm256_add_epi32(sums->low, _mm256_add_epi32(_mm256_madd_epi16(in0, weights[2]),
                                                             _mm256_madd_epi16(in1, weights[3])));
}

// One RGB pixel of four rows. Each 32-bit lane of the result holds R, G, B, 0: rows 0, 2, -, - and 1, 3, -, -.
FT_AVX2 static inline __m256i rgb_four_rows(const uint8_t *src, size_t stride, const int16_t *high, const int16_t *low,
                                            int count) {
    const __m256i zero = _mm256_setzero_si256();
    rgb_sums upper = {zero, zero}, lower = {zero, zero};
    for (int t = 0; t < count; t += 4, src += 12) {
        const __m256i weights[4] = {
            _mm256_set1_epi32(tap_pair(high + t)), _mm256_set1_epi32(tap_pair(high + t + 2)),
            _mm256_set1_epi32(tap_pair(low + t)), _mm256_set1_epi32(tap_pair(low + t + 2)),
        };
        add_taps(&upper, src, src + stride, weights);
        add_taps(&lower, src + 2 * stride, src + 3 * stride, weights);
    }
    __m256i words = _mm256_packs_epi32(combine(upper.high, upper.low), combine(lower.high, lower.low));
    return _mm256_packus_epi16(words, words);
}

// Three bytes; the fourth may lie beyond the picture.
static inline void store_rgb(uint8_t *dst, uint32_t pixel) {
    memcpy(dst, &pixel, 2);
    dst[2] = (uint8_t)(pixel >> 16);
}

// `rows` is a multiple of four.
FT_AVX2 static void rgb_rows_avx2(const uint8_t *src, size_t src_stride, int rows, const ft_resample_axis *axis,
                                  uint8_t *dst) {
    size_t dst_stride = (size_t)axis->size * 3;
    for (int y = 0; y < rows; y += 4, src += 4 * src_stride, dst += 4 * dst_stride)
        for (int x = 0; x < axis->size; x++) {
            size_t at = (size_t)x * axis->taps;
            __m256i pixels = rgb_four_rows(src + (size_t)axis->starts[x] * 3, src_stride, axis->high + at,
                                           axis->low + at, axis->counts[x]);
            uint64_t even = (uint64_t)_mm256_extract_epi64(pixels, 0), odd = (uint64_t)_mm256_extract_epi64(pixels, 2);
            uint8_t *out = dst + x * 3;
            store_rgb(out, (uint32_t)even);
            store_rgb(out + dst_stride, (uint32_t)odd);
            store_rgb(out + 2 * dst_stride, (uint32_t)(even >> 32));
            store_rgb(out + 3 * dst_stride, (uint32_t)(odd >> 32));
        }
}

// 32 bytes of one output row. Two input rows at a time are interleaved byte by byte, so that a 16-bit multiply-add
// works on both taps.
FT_AVX2 static inline void columns_block(const uint8_t *in, size_t src_stride, const int16_t *high, const int16_t *low,
                                         int count, uint8_t *dst) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i h0 = zero, h1 = zero, h2 = zero, h3 = zero, l0 = zero, l1 = zero, l2 = zero, l3 = zero;
    for (int t = 0; t < count; t += 2, in += 2 * src_stride) {
        __m256i a = _mm256_loadu_si256((const __m256i *)in);
        // The weight of a tap beyond the last is zero; any readable row serves.
        __m256i b = _mm256_loadu_si256((const __m256i *)(t + 1 < count ? in + src_stride : in));
        __m256i wh = _mm256_set1_epi32(tap_pair(high + t)), wl = _mm256_set1_epi32(tap_pair(low + t));
        __m256i left = _mm256_unpacklo_epi8(a, b), right = _mm256_unpackhi_epi8(a, b);
        __m256i p0 = _mm256_unpacklo_epi8(left, zero), p1 = _mm256_unpackhi_epi8(left, zero);
        __m256i p2 = _mm256_unpacklo_epi8(right, zero), p3 = _mm256_unpackhi_epi8(right, zero);
        h0 = _mm256_add_epi32(h0, _mm256_madd_epi16(p0, wh));
        h1 = _mm256_add_epi32(h1, _mm256_madd_epi16(p1, wh));
        h2 = _mm256_add_epi32(h2, _mm256_madd_epi16(p2, wh));
        h3 = _mm256_add_epi32(h3, _mm256_madd_epi16(p3, wh));
        l0 = _mm256_add_epi32(l0, _mm256_madd_epi16(p0, wl));
        l1 = _mm256_add_epi32(l1, _mm256_madd_epi16(p1, wl));
        l2 = _mm256_add_epi32(l2, _mm256_madd_epi16(p2, wl));
        l3 = _mm256_add_epi32(l3, _mm256_madd_epi16(p3, wl));
    }
    // Both unpacking and packing stay within 128-bit lanes, so the order of the bytes comes out as it went in.
    __m256i left = _mm256_packs_epi32(combine(h0, l0), combine(h1, l1));
    __m256i right = _mm256_packs_epi32(combine(h2, l2), combine(h3, l3));
    _mm256_storeu_si256((__m256i *)dst, _mm256_packus_epi16(left, right));
}

FT_AVX2 static void columns_avx2(const uint8_t *src, size_t src_stride, size_t row_bytes, const ft_resample_axis *axis,
                                 uint8_t *dst) {
    for (int y = 0; y < axis->size; y++, dst += row_bytes) {
        const uint8_t *top = src + (size_t)axis->starts[y] * src_stride;
        size_t at = (size_t)y * axis->taps;
        size_t x = 0;
        for (; x + 32 <= row_bytes; x += 32)
            columns_block(top + x, src_stride, axis->high + at, axis->low + at, axis->counts[y], dst + x);
        if (x < row_bytes && row_bytes >= 32) {
            x = row_bytes - 32;
            columns_block(top + x, src_stride, axis->high + at, axis->low + at, axis->counts[y], dst + x);
        } else {
            columns_portable(src, src_stride, x, row_bytes, axis, y, dst);
        }
    }
}

// Rows from the first on whose 16-byte loads stay inside the readable bytes.
static int rows_with_room(size_t src_bytes, size_t src_stride, int rows, const ft_resample_axis *axis) {
    size_t reach = 0;
    for (int x = 0; x < axis->size; x++) {
        size_t groups = ((size_t)axis->counts[x] + 3) / 4;
        size_t end = (size_t)axis->starts[x] * 3 + groups * 12 + 4;
        if (end > reach) reach = end;
    }
    if (reach > src_bytes) return 0;
    size_t room = src_stride == 0 ? 0 : (src_bytes - reach) / src_stride + 1;
    return room < (size_t)rows ? (int)room : rows;
}

#endif

void ft_resample_rows_u8(const uint8_t *src, size_t src_bytes, size_t src_stride, int channels, int rows,
                         const ft_resample_axis *axis, uint8_t *dst) {
    int done = 0;
#if FT_HAVE_AVX2
    if (channels == 3 && __builtin_cpu_supports("avx2")) {
        done = rows_with_room(src_bytes, src_stride, rows, axis) & ~3;
        rgb_rows_avx2(src, src_stride, done, axis, dst);
    }
#endif
    (void)src_bytes;
    ft_resample_rows_u8_portable(src + done * src_stride, src_stride, channels, rows - done, axis,
                                 dst + (size_t)done * axis->size * channels);
}

void ft_resample_columns_u8(const uint8_t *src, size_t src_stride, size_t row_bytes, const ft_resample_axis *axis,
                            uint8_t *dst) {
#if FT_HAVE_AVX2
    if (__builtin_cpu_supports("avx2")) {
        columns_avx2(src, src_stride, row_bytes, axis, dst);
        return;
    }
#endif
    ft_resample_columns_u8_portable(src, src_stride, row_bytes, axis, dst);
}

// MARK: Conversions

void ft_planes_f32(const uint8_t *src, size_t src_stride, int width, int height, int channels, int mirror,
                   int reverse, const float *table, float *dst) {
    size_t plane = (size_t)width * height;
    ptrdiff_t step = mirror ? -channels : channels;
    for (int y = 0; y < height; y++, src += src_stride, dst += width) {
        const uint8_t *in = mirror ? src + (size_t)(width - 1) * channels : src;
        if (channels == 3) {
            float *red = dst + (reverse ? 2 * plane : 0), *green = dst + plane, *blue = dst + (reverse ? 0 : 2 * plane);
            for (int x = 0; x < width; x++, in += step) {
                red[x] = table[in[0]];
                green[x] = table[256 + in[1]];
                blue[x] = table[512 + in[2]];
            }
        } else {
            for (int x = 0; x < width; x++, in += step)
                for (int c = 0; c < channels; c++)
                    dst[x + (reverse ? channels - 1 - c : c) * plane] = table[c * 256 + in[c]];
        }
    }
}

void ft_grey_from_rgb_u8(const uint8_t *src, size_t pixels, uint8_t *dst) {
    for (size_t i = 0; i < pixels; i++, src += 3)
        dst[i] = (uint8_t)((src[0] * 19595u + src[1] * 38470u + src[2] * 7471u + 0x8000u) >> 16);
}
