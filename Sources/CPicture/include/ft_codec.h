#ifndef FT_CODEC_H
#define FT_CODEC_H
#include <stddef.h>
#include <stdint.h>

// libjpeg and libpng report errors by longjmp, which must not pass through Swift frames. Every jump begins and ends
// inside these functions; they return a status and keep nothing.
//
// Every decoder checks the size that a header claims against the limits before it allocates anything of that size, and
// never unpacks more bytes than the picture has rows for.

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
    /// How a TIFF says it is to be turned, as EXIF counts (1 to 8); 0 elsewhere.
    uint32_t orientation;
} ft_codec_info;

typedef struct {
    int status;
    char message[224];
} ft_codec_error;

/// Reads the header of a picture and, unless `pixels` is NULL, decodes it into `pixels` as `height` rows of
/// `width * channels` bytes without gaps. `capacity` is the size of `pixels`. Returns the status also left in `error`.
typedef int ft_codec_decoder(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                             uint8_t *pixels, size_t capacity, ft_codec_error *error);

/// Baseline and progressive; CMYK and YCCK become RGB.
ft_codec_decoder ft_jpeg_decode;
/// Alpha is dropped, 16-bit samples keep their high byte, palettes become colour.
ft_codec_decoder ft_png_decode;
/// Lossy and lossless, of an animation the first picture; alpha is dropped.
ft_codec_decoder ft_webp_decode;
/// The first picture, on the colour of the transparent index where it leaves the screen open.
ft_codec_decoder ft_gif_decode;
/// Strips and tiles of every compression that libtiff knows; alpha is dropped, 16-bit samples keep their high byte.
ft_codec_decoder ft_tiff_decode;
/// 1 to 32 bits, palettes, run lengths and masks.
ft_codec_decoder ft_bmp_decode;
/// P1 to P6 and the greyscale Pf.
ft_codec_decoder ft_pnm_decode;
/// By libavif, see `ft_avif_is_available`.
ft_codec_decoder ft_avif_decode;
/// By libheif, see `ft_heif_is_available`.
ft_codec_decoder ft_heif_decode;

/// 1 when the libraries are found at run time.
int ft_avif_is_available(void);
int ft_heif_is_available(void);

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
