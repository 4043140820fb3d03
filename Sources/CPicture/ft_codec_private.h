#ifndef FT_CODEC_PRIVATE_H
#define FT_CODEC_PRIVATE_H
#include "CPicture.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/// Leaves `status` and a formatted message in `error` and returns `status`.
__attribute__((format(printf, 3, 4)))
static inline int ft_codec_fail(ft_codec_error *error, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

/// Checks the size a header claims before anything of that size is allocated.
///
/// `bits_per_pixel_floor_inverse` is the largest number of pixels that one byte of a valid file of this kind can
/// stand for: a file with fewer bytes than that cannot be whole.
static inline int ft_codec_check_size(uint64_t width, uint64_t height, size_t size, uint64_t pixels_per_byte,
                                      const ft_codec_limits *limits, ft_codec_error *error) {
    if (width == 0 || height == 0) return ft_codec_fail(error, FT_CODEC_CORRUPT, "the picture has no pixels");
    uint64_t pixels = width * height;
    if (pixels > limits->max_pixels)
        return ft_codec_fail(error, FT_CODEC_TOO_LARGE,
                             "%" PRIu64 " x %" PRIu64 " pixels are more than the limit of %" PRIu64, width, height,
                             limits->max_pixels);
    if (pixels / pixels_per_byte > size)
        return ft_codec_fail(error, FT_CODEC_TRUNCATED,
                             "%zu bytes cannot hold the %" PRIu64 " x %" PRIu64 " pixels that the header promises", size,
                             width, height);
    return FT_CODEC_OK;
}

/// For kinds of files where a few bytes may stand for any number of pixels.
enum { FT_CODEC_ANY_PIXELS_PER_BYTE = INT32_MAX };

/// Begins a decoder's work: no error yet, nothing known.
static inline void ft_codec_begin(ft_codec_info *info, ft_codec_error *error) {
    error->status = FT_CODEC_OK;
    error->message[0] = 0;
    *info = (ft_codec_info){0};
}

/// Checks that `pixels` holds what `info` tells.
static inline int ft_codec_check_capacity(const ft_codec_info *info, size_t capacity, ft_codec_error *error) {
    if (capacity / info->height >= (size_t)info->width * info->channels) return FT_CODEC_OK;
    return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "the pixel buffer is too small");
}

/// Inks, 255 for full, to light: (255 - ink) * (255 - black) / 255, rounded as Pillow rounds.
static inline void ft_codec_cmyk_to_rgb(const uint8_t *inks, uint8_t *rgb) {
    unsigned light = 255u - inks[3];
    for (int c = 0; c < 3; c++) {
        unsigned product = inks[c] * light + 128, taken = ((product >> 8) + product) >> 8;
        rgb[c] = (uint8_t)(taken > light ? 0 : light - taken);
    }
}

static inline uint8_t ft_codec_clip(double value) {
    return value >= 255 ? 255 : value > 0 ? (uint8_t)value : 0;
}

static inline uint32_t ft_codec_u16(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8; }
static inline uint32_t ft_codec_u32(const uint8_t *at) { return ft_codec_u16(at) | ft_codec_u16(at + 2) << 16; }

#endif
