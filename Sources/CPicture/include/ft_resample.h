#ifndef FT_RESAMPLE_H
#define FT_RESAMPLE_H
#include <stddef.h>
#include <stdint.h>

// Two-pass separable resampling of 8-bit pictures in 22-bit fixed point, as Pillow does it: each pass sums
// weight * sample, adds one half, shifts and clips to 8 bits. All versions give the same bits.

/// Bits after the binary point of a weight.
enum { FT_RESAMPLE_PRECISION = 22, FT_RESAMPLE_LOW_BITS = 11 };

/// Weights of one axis.
///
/// Output i is the sum over t < counts[i] of weight(i, t) * input[starts[i] + t]. A weight w, |w| < 2^23, is stored
/// as w = high * 2^11 + low, 0 <= low < 2^11, so that pairs of taps multiply in 16 bits. `taps` is the row length of `high` and `low`, a
/// multiple of four; weights from counts[i] on are zero.
typedef struct {
    const int32_t *starts, *counts;
    const int16_t *high, *low;
    int taps, size;
} ft_resample_axis;

/// Resamples `rows` rows of interleaved pixels along x into `axis->size` pixels each, without gaps.
///
/// `src_bytes` is the number of readable bytes at `src`; `src_stride` the distance between rows.
void ft_resample_rows_u8(const uint8_t *src, size_t src_bytes, size_t src_stride, int channels, int rows,
                         const ft_resample_axis *axis, uint8_t *dst);

/// Resamples along y: `dst` gets `axis->size` rows of `row_bytes` bytes without gaps.
void ft_resample_columns_u8(const uint8_t *src, size_t src_stride, size_t row_bytes, const ft_resample_axis *axis,
                            uint8_t *dst);

/// The same without SIMD; what other CPUs run and what the SIMD versions are tested against.
void ft_resample_rows_u8_portable(const uint8_t *src, size_t src_stride, int channels, int rows,
                                  const ft_resample_axis *axis, uint8_t *dst);
void ft_resample_columns_u8_portable(const uint8_t *src, size_t src_stride, size_t row_bytes,
                                     const ft_resample_axis *axis, uint8_t *dst);

/// Interleaved bytes to planes of floats: dst[c][y][x] = table[c * 256 + src[y][x][c]], mirrored left to right on
/// request; reversed, the last channel's plane comes first.
void ft_planes_f32(const uint8_t *src, size_t src_stride, int width, int height, int channels, int mirror,
                   int reverse, const float *table, float *dst);

/// RGB to greyscale with the weights of ITU-R 601 in 16-bit fixed point, rounded: (19595 R + 38470 G + 7471 B) / 65536.
void ft_grey_from_rgb_u8(const uint8_t *src, size_t pixels, uint8_t *dst);

#endif
