#ifndef FT_CODEC_H
#define FT_CODEC_H
#include <stddef.h>
#include <stdint.h>

// libjpeg and libpng report errors by longjmp, which must not pass through Swift frames. Every jump begins and ends
// inside these functions; they return a status and keep nothing.

/// Why a picture was not read or written.
enum {
    FT_CODEC_OK = 0,
    FT_CODEC_CORRUPT,
    FT_CODEC_TRUNCATED,
    FT_CODEC_UNSUPPORTED,
    FT_CODEC_TOO_LARGE,
    FT_CODEC_OUT_OF_MEMORY,
};

typedef struct {
    /// Largest width times height.
    uint64_t max_pixels;
    /// Largest number of scans of a progressive or multi-scan JPEG.
    int max_scans;
    /// Bytes that the decoder may allocate for itself, the pixels not included.
    size_t max_working_bytes;
} ft_codec_limits;

typedef struct {
    uint32_t width, height;
    /// Samples per decoded pixel: 1 for greyscale, 3 for colour.
    uint32_t channels;
} ft_codec_info;

typedef struct {
    int status;
    char message[224];
} ft_codec_error;

/// Reads the header of a JPEG and, unless `pixels` is NULL, decodes it into `pixels` as `height` rows of
/// `width * channels` bytes without gaps. `capacity` is the size of `pixels`. Returns the status also left in `error`.
int ft_jpeg_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                   uint8_t *pixels, size_t capacity, ft_codec_error *error);

/// The same for a PNG; alpha is dropped, 16-bit samples keep their high byte, palettes become colour.
int ft_png_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                  uint8_t *pixels, size_t capacity, ft_codec_error *error);

/// Encodes `height` rows of `width * channels` bytes; channels is 1 or 3. On success `*out` holds `*out_size` bytes to be
/// released with `ft_png_free`.
int ft_png_encode(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, int compression_level,
                  uint8_t **out, size_t *out_size, ft_codec_error *error);

/// Releases what `ft_png_encode` returned.
void ft_png_free(uint8_t *bytes);

/// Encodes `height` rows of `width * channels` bytes as a baseline JPEG; channels is 1 or 3, quality 1 to 100. On success
/// `out` holds `*out_size` bytes; `FT_CODEC_TOO_LARGE` when `capacity` is too small.
int ft_jpeg_encode(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, int quality, uint8_t *out,
                   size_t capacity, size_t *out_size, ft_codec_error *error);

#endif
