#include "ft_codec_private.h"
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

static int fail_status(VP8StatusCode status, ft_codec_error *error) {
    switch (status) {
        case VP8_STATUS_OUT_OF_MEMORY:
            return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for the WebP decoder");
        case VP8_STATUS_UNSUPPORTED_FEATURE:
            return ft_codec_fail(error, FT_CODEC_UNSUPPORTED, "a kind of WebP that libwebp does not know");
        case VP8_STATUS_SUSPENDED:
        case VP8_STATUS_NOT_ENOUGH_DATA:
            return ft_codec_fail(error, FT_CODEC_TRUNCATED, "the data ends before the picture does");
        default: return ft_codec_fail(error, FT_CODEC_CORRUPT, "libwebp cannot decode the data");
    }
}

// The first picture on its canvas, which is black where the picture leaves it open.
static int read_animation(const uint8_t *data, size_t size, const ft_codec_limits *limits, const ft_codec_info *info,
                          uint8_t *pixels, ft_codec_error *error) {
    size_t count = (size_t)info->width * info->height;
    // Two canvases, red, green, blue and alpha.
    if (count > limits->max_working_bytes / 8)
        return ft_codec_fail(error, FT_CODEC_TOO_LARGE, "the animation needs more than %zu bytes",
                             limits->max_working_bytes);
    WebPAnimDecoderOptions options;
    WebPData bytes = {data, size};
    WebPAnimDecoder *decoder = WebPAnimDecoderOptionsInit(&options) ? WebPAnimDecoderNew(&bytes, &options) : NULL;
    if (!decoder) return ft_codec_fail(error, FT_CODEC_CORRUPT, "libwebp cannot read the animation");
    WebPAnimInfo told;
    uint8_t *canvas = NULL;
    int time = 0;
    if (WebPAnimDecoderGetInfo(decoder, &told) && told.canvas_width == info->width &&
        told.canvas_height == info->height && WebPAnimDecoderGetNext(decoder, &canvas, &time)) {
        for (size_t i = 0; i < count; i++) memcpy(pixels + 3 * i, canvas + 4 * i, 3);
    } else {
        ft_codec_fail(error, FT_CODEC_CORRUPT, "libwebp cannot decode the animation's first picture");
    }
    WebPAnimDecoderDelete(decoder);
    return error->status;
}

int ft_webp_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                   uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    ft_codec_begin(info, error);
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return ft_codec_fail(error, FT_CODEC_UNSUPPORTED, "another libwebp is found");
    VP8StatusCode status = WebPGetFeatures(data, size, &config.input);
    if (status != VP8_STATUS_OK) return fail_status(status, error);
    info->width = (uint32_t)config.input.width;
    info->height = (uint32_t)config.input.height;
    info->channels = 3;
    if (ft_codec_check_size(info->width, info->height, size, FT_CODEC_ANY_PIXELS_PER_BYTE, limits, error))
        return error->status;
    if (!pixels) return FT_CODEC_OK;
    if (ft_codec_check_capacity(info, capacity, error)) return error->status;
    if (config.input.has_animation) return read_animation(data, size, limits, info, pixels, error);
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = (WebPRGBABuffer){pixels, (int)info->width * 3, (size_t)info->width * info->height * 3};
    status = WebPDecode(data, size, &config);
    WebPFreeDecBuffer(&config.output);
    return status == VP8_STATUS_OK ? FT_CODEC_OK : fail_status(status, error);
}
