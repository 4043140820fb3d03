#ifndef FT_CODEC_PRIVATE_H
#define FT_CODEC_PRIVATE_H
#include "CPicture.h"
#include <inttypes.h>
#include <stdarg.h>
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

#endif
