#include "ft_codec_private.h"
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

// A code of twelve bits stands for a string of at most 4096 pixels.
enum { GIF_PIXELS_PER_BYTE = 4096 };

typedef struct {
    const uint8_t *data;
    size_t left;
} reader;

static int read_bytes(GifFileType *gif, GifByteType *out, int count) {
    reader *source = gif->UserData;
    size_t given = (size_t)count < source->left ? (size_t)count : source->left;
    memcpy(out, source->data, given);
    source->data += given;
    source->left -= given;
    return (int)given;
}

static int fail_reading(const GifFileType *gif, const reader *source, int code, ft_codec_error *error) {
    if (gif) code = gif->Error;
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM)
        return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for the GIF decoder");
    if (source->left == 0) return ft_codec_fail(error, FT_CODEC_TRUNCATED, "the data ends before the picture does");
    const char *text = GifErrorString(code);
    return ft_codec_fail(error, FT_CODEC_CORRUPT, "%s", text ? text : "the data is damaged");
}

// Reads up to the description of the first picture; `transparent` becomes the index that stands for no colour.
static int find_picture(GifFileType *gif, const reader *source, int *transparent, ft_codec_error *error) {
    for (;;) {
        GifRecordType record;
        if (DGifGetRecordType(gif, &record) == GIF_ERROR) return fail_reading(gif, source, 0, error);
        if (record == IMAGE_DESC_RECORD_TYPE) {
            if (DGifGetImageDesc(gif) == GIF_ERROR) return fail_reading(gif, source, 0, error);
            return FT_CODEC_OK;
        }
        if (record == TERMINATE_RECORD_TYPE) return ft_codec_fail(error, FT_CODEC_CORRUPT, "the GIF holds no picture");
        if (record != EXTENSION_RECORD_TYPE) continue;
        int code;
        GifByteType *block;
        int status = DGifGetExtension(gif, &code, &block);
        while (status == GIF_OK && block) {
            if (code == GRAPHICS_EXT_FUNC_CODE && block[0] >= 4) *transparent = block[1] & 1 ? block[4] : -1;
            status = DGifGetExtensionNext(gif, &block);
        }
        if (status == GIF_ERROR) return fail_reading(gif, source, 0, error);
    }
}

static void color_of(const ColorMapObject *map, int index, uint8_t *rgb) {
    if (!map) {
        memset(rgb, index, 3);
    } else if (index < map->ColorCount) {
        const GifColorType *color = &map->Colors[index];
        rgb[0] = color->Red, rgb[1] = color->Green, rgb[2] = color->Blue;
    } else {
        memset(rgb, 0, 3);
    }
}

static int read_rows(GifFileType *gif, const reader *source, const uint8_t colors[256][3], const ft_codec_info *info,
                     uint8_t *pixels, ft_codec_error *error) {
    static const int starts[4] = {0, 4, 2, 1}, steps[4] = {8, 8, 4, 2};
    const GifImageDesc *frame = &gif->Image;
    GifPixelType *indices = malloc((size_t)frame->Width);
    if (!indices) return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for a row");
    for (int pass = 0; pass < (frame->Interlace ? 4 : 1); pass++)
        for (int y = frame->Interlace ? starts[pass] : 0; y < frame->Height; y += frame->Interlace ? steps[pass] : 1) {
            if (DGifGetLine(gif, indices, frame->Width) == GIF_ERROR) {
                free(indices);
                return fail_reading(gif, source, 0, error);
            }
            uint8_t *out = pixels + ((size_t)(frame->Top + y) * info->width + (size_t)frame->Left) * 3;
            for (int x = 0; x < frame->Width; x++) memcpy(out + 3 * x, colors[indices[x]], 3);
        }
    free(indices);
    return FT_CODEC_OK;
}

static int read_picture(GifFileType *gif, const reader *source, size_t size, const ft_codec_limits *limits,
                        ft_codec_info *info, uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    int transparent = -1;
    if (find_picture(gif, source, &transparent, error)) return error->status;
    const GifImageDesc *frame = &gif->Image;
    int right = frame->Left + frame->Width, bottom = frame->Top + frame->Height;
    info->width = (uint32_t)(right > gif->SWidth ? right : gif->SWidth);
    info->height = (uint32_t)(bottom > gif->SHeight ? bottom : gif->SHeight);
    info->channels = 3;
    if (ft_codec_check_size((uint64_t)frame->Width, (uint64_t)frame->Height, size, GIF_PIXELS_PER_BYTE, limits, error) ||
        ft_codec_check_size(info->width, info->height, size, FT_CODEC_ANY_PIXELS_PER_BYTE, limits, error))
        return error->status;
    if (!pixels) return FT_CODEC_OK;
    if (ft_codec_check_capacity(info, capacity, error)) return error->status;
    const ColorMapObject *map = frame->ColorMap ? frame->ColorMap : gif->SColorMap;
    uint8_t colors[256][3];
    for (int i = 0; i < 256; i++) color_of(map, i, colors[i]);
    const uint8_t *background = colors[transparent < 0 ? 0 : transparent];
    for (size_t i = 0; i < (size_t)info->width * info->height; i++) memcpy(pixels + 3 * i, background, 3);
    return read_rows(gif, source, colors, info, pixels, error);
}

int ft_gif_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                  uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    ft_codec_begin(info, error);
    reader source = {data, size};
    int code = 0;
    GifFileType *gif = DGifOpen(&source, read_bytes, &code);
    if (!gif) return fail_reading(NULL, &source, code, error);
    read_picture(gif, &source, size, limits, info, pixels, capacity, error);
    DGifCloseFile(gif, &code);
    return error->status;
}
