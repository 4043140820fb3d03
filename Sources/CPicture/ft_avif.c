#include "ft_codec_private.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// libavif (BSD licence, aomedia) is opened at run time, where it is there, so that nothing needs it for building. What is
// used of its structures is declared here: the beginnings of avifDecoder and avifImage are the same from 0.11 to 1.x, and
// avifRGBImage has two forms.

enum { AVIF_OK = 0, AVIF_OUT_OF_MEMORY = 26 };

typedef struct {
    int codec, threads, source, allows_progressive, allows_incremental, ignores_exif, ignores_xmp;
    uint32_t size_limit, dimension_limit, count_limit, strictness;
    void *image;
} avif_decoder;

typedef struct {
    uint32_t width, height, depth;
} avif_image;

// Pixels of four samples, red first, as `set_defaults` chooses.
typedef union {
    struct {
        uint32_t width, height, depth, format;
        int upsampling, downsampling, avoids_libyuv, ignores_alpha, is_premultiplied, is_float;
        uint8_t *pixels;
        uint32_t row_bytes;
    } old;
    struct {
        uint32_t width, height, depth, format;
        int upsampling, downsampling, avoids_libyuv, ignores_alpha, is_premultiplied, is_float, threads;
        uint8_t *pixels;
        uint32_t row_bytes;
    } new;
    uint8_t room[512];
} avif_rgb;

static struct {
    bool is_found, is_old;
    const char *(*version)(void);
    avif_decoder *(*create)(void);
    void (*destroy)(avif_decoder *);
    int (*set_memory)(avif_decoder *, const uint8_t *, size_t);
    int (*parse)(avif_decoder *);
    int (*next)(avif_decoder *);
    void (*set_defaults)(avif_rgb *, const void *);
    int (*to_rgb)(const void *, avif_rgb *);
    const char *(*describe)(int);
} avif;

static void open_library(void) {
    static const char *const names[] = {"libavif.so.16", "libavif.so.15", "libavif.so"};
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    *(void **)&avif.version = dlsym(library, "avifVersion");
    *(void **)&avif.create = dlsym(library, "avifDecoderCreate");
    *(void **)&avif.destroy = dlsym(library, "avifDecoderDestroy");
    *(void **)&avif.set_memory = dlsym(library, "avifDecoderSetIOMemory");
    *(void **)&avif.parse = dlsym(library, "avifDecoderParse");
    *(void **)&avif.next = dlsym(library, "avifDecoderNextImage");
    *(void **)&avif.set_defaults = dlsym(library, "avifRGBImageSetDefaults");
    *(void **)&avif.to_rgb = dlsym(library, "avifImageYUVToRGB");
    *(void **)&avif.describe = dlsym(library, "avifResultToString");
    if (!avif.version || !avif.create || !avif.destroy || !avif.set_memory || !avif.parse || !avif.next ||
        !avif.set_defaults || !avif.to_rgb || !avif.describe)
        return;
    const char *version = avif.version();
    avif.is_old = strncmp(version, "0.11.", 5) == 0;
    avif.is_found = avif.is_old || strncmp(version, "1.", 2) == 0;
}

int ft_avif_is_available(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_library);
    return avif.is_found;
}

static int fail_reading(int result, ft_codec_error *error) {
    int status = result == AVIF_OUT_OF_MEMORY ? FT_CODEC_OUT_OF_MEMORY : FT_CODEC_CORRUPT;
    return ft_codec_fail(error, status, "%s", avif.describe(result));
}

static int read_pixels(const void *image, const ft_codec_limits *limits, const ft_codec_info *info, uint8_t *pixels,
                       ft_codec_error *error) {
    size_t count = (size_t)info->width * info->height;
    if (count > limits->max_working_bytes / 4)
        return ft_codec_fail(error, FT_CODEC_TOO_LARGE, "the AVIF needs more than %zu bytes", limits->max_working_bytes);
    uint8_t *colors = malloc(count * 4);
    if (!colors) return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for the picture");
    avif_rgb rgb;
    memset(&rgb, 0, sizeof rgb);
    avif.set_defaults(&rgb, image);
    rgb.new.depth = 8;
    if (avif.is_old) rgb.old.pixels = colors, rgb.old.row_bytes = info->width * 4;
    else rgb.new.pixels = colors, rgb.new.row_bytes = info->width * 4;
    int result = avif.to_rgb(image, &rgb);
    if (result != AVIF_OK) fail_reading(result, error);
    for (size_t i = 0; result == AVIF_OK && i < count; i++) memcpy(pixels + 3 * i, colors + 4 * i, 3);
    free(colors);
    return error->status;
}

static int read_picture(avif_decoder *decoder, const uint8_t *data, size_t size, const ft_codec_limits *limits,
                        ft_codec_info *info, uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    decoder->threads = 1;
    // A rotation is told, not a part of the pixels; the text around them is of no use.
    decoder->ignores_exif = decoder->ignores_xmp = 1;
    if (limits->max_pixels < decoder->size_limit) decoder->size_limit = (uint32_t)limits->max_pixels;
    int result = avif.set_memory(decoder, data, size);
    if (result == AVIF_OK) result = avif.parse(decoder);
    if (result != AVIF_OK) return fail_reading(result, error);
    const avif_image *image = decoder->image;
    *info = (ft_codec_info){image->width, image->height, 3, 0};
    if (ft_codec_check_size(info->width, info->height, size, FT_CODEC_ANY_PIXELS_PER_BYTE, limits, error) || !pixels)
        return error->status;
    if (ft_codec_check_capacity(info, capacity, error)) return error->status;
    result = avif.next(decoder);
    image = decoder->image;
    if (result != AVIF_OK) return fail_reading(result, error);
    if (image->width != info->width || image->height != info->height)
        return ft_codec_fail(error, FT_CODEC_CORRUPT, "the picture has another size than its header tells");
    return read_pixels(image, limits, info, pixels, error);
}

int ft_avif_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                   uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    ft_codec_begin(info, error);
    if (!ft_avif_is_available())
        return ft_codec_fail(error, FT_CODEC_UNSUPPORTED, "an AVIF picture needs libavif 0.11 or later (apt install libavif15)");
    avif_decoder *decoder = avif.create();
    if (!decoder) return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for the AVIF decoder");
    read_picture(decoder, data, size, limits, info, pixels, capacity, error);
    avif.destroy(decoder);
    return error->status;
}
