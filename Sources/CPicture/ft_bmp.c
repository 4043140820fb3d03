#include "ft_codec_private.h"
#include <string.h>

enum { PLAIN = 0, RUNS_OF_8 = 1, RUNS_OF_4 = 2, MASKS = 3, ALPHA_MASKS = 6, FILE_HEADER = 14, OLD_HEADER = 12 };

typedef struct {
    uint32_t bits, compression, masks[3];
    bool is_top_down;
    const uint8_t *data, *end;
    uint8_t colors[256][3];
} bitmap;

static int read_header(bitmap *it, const uint8_t *data, size_t size, ft_codec_info *info, ft_codec_error *error) {
    uint32_t header = size < 26 ? 0 : ft_codec_u32(data + FILE_HEADER), offset = size < 26 ? 0 : ft_codec_u32(data + 10);
    bool is_old = header == OLD_HEADER;
    if (header == 0 || (size_t)header + FILE_HEADER > size || offset > size)
        return ft_codec_fail(error, FT_CODEC_TRUNCATED, "the data ends before the pixels");
    if (!is_old && header < 40) return ft_codec_fail(error, FT_CODEC_UNSUPPORTED, "a BMP header of %u bytes", header);
    const uint8_t *at = data + FILE_HEADER, *palette = at + header;
    int32_t height = is_old ? (int32_t)ft_codec_u16(at + 6) : (int32_t)ft_codec_u32(at + 8);
    it->is_top_down = height < 0;
    *info = (ft_codec_info){is_old ? ft_codec_u16(at + 4) : ft_codec_u32(at + 4),
                            it->is_top_down ? 0u - (uint32_t)height : (uint32_t)height, 3, 0};
    it->bits = ft_codec_u16(at + (is_old ? 10 : 14));
    it->compression = is_old ? PLAIN : ft_codec_u32(at + 16);
    bool has_masks = it->compression == MASKS || it->compression == ALPHA_MASKS;
    if (has_masks && size < FILE_HEADER + 52) return ft_codec_fail(error, FT_CODEC_TRUNCATED, "the masks are cut off");
    for (int c = 0; c < 3; c++)
        it->masks[c] = has_masks ? ft_codec_u32(at + 40 + 4 * c) : it->bits == 16 ? 0x7C00u >> 5 * c : 0xFF0000u >> 8 * c;
    uint32_t used = is_old ? 0 : ft_codec_u32(at + 32);
    size_t entry = is_old ? 3 : 4, count = it->bits > 8 ? 0 : used > 0 && used < 256 ? used : 1u << it->bits;
    for (size_t i = 0; i < count && (size_t)(palette - data) + (i + 1) * entry <= size; i++)
        for (int c = 0; c < 3; c++) it->colors[i][c] = palette[i * entry + 2 - c];
    it->data = data + offset;
    it->end = data + size;
    return FT_CODEC_OK;
}

static void read_row(const bitmap *it, const uint8_t *in, uint32_t width, uint8_t *out) {
    for (uint32_t x = 0; x < width; x++, out += 3) {
        const uint8_t *at = in + (size_t)x * it->bits / 8;
        if (it->bits <= 8) memcpy(out, it->colors[*at >> (8 - it->bits - x * it->bits % 8) & ((1u << it->bits) - 1)], 3);
        uint32_t pixel = it->bits < 16 ? 0 : ft_codec_u16(at) | (it->bits < 24 ? 0 : (uint32_t)at[2] << 16);
        if (it->bits == 32) pixel |= (uint32_t)at[3] << 24;
        for (int c = 0; c < 3 && it->bits > 8; c++)
            out[c] = it->masks[c] ? (uint8_t)((uint64_t)(pixel & it->masks[c]) * 255 / it->masks[c]) : 0;
    }
}

// Pairs of a count and an index; a count of 0 begins an escape: 0 ends the row, 1 the picture, 2 moves on, and more is so
// many indices as they are. False when the data ends.
static bool read_runs(const bitmap *it, const ft_codec_info *info, uint8_t *pixels) {
    const uint8_t *in = it->data;
    uint64_t x = 0, y = 0;
    while (it->end - in >= 2) {
        uint32_t count = in[0], value = in[1];
        bool is_plain = count == 0 && value > 2;
        in += 2;
        if (count == 0 && value == 1) return true;
        if (count == 0 && value == 0) x = 0, y++;
        if (count == 0 && value == 2) {
            if (it->end - in < 2) return false;
            x += in[0], y += in[1], in += 2;
        }
        if (is_plain) count = value;
        size_t bytes = is_plain ? it->bits == 4 ? (count + 1) / 2 : count : 0;
        if ((size_t)(it->end - in) < bytes) return false;
        for (uint32_t i = 0; i < count; i++, x++) {
            uint32_t byte = !is_plain ? value : it->bits == 4 ? in[i / 2] : in[i];
            uint32_t index = it->bits == 8 ? byte : i % 2 ? byte & 15 : byte >> 4;
            uint64_t row = it->is_top_down ? y : info->height - 1 - y;
            if (x < info->width && y < info->height) memcpy(pixels + (row * info->width + x) * 3, it->colors[index], 3);
        }
        in += bytes + (bytes % 2 && it->end - in > (ptrdiff_t)bytes);
        if (y >= info->height) return true;
    }
    return false;
}

int ft_bmp_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                  uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    ft_codec_begin(info, error);
    bitmap it = {0};
    if (read_header(&it, data, size, info, error)) return error->status;
    bool is_run = (it.compression == RUNS_OF_8 && it.bits == 8) || (it.compression == RUNS_OF_4 && it.bits == 4);
    bool is_masked = (it.compression == MASKS || it.compression == ALPHA_MASKS) && (it.bits == 16 || it.bits == 32);
    bool is_depth = it.bits == 24 || (it.bits > 0 && it.bits <= 32 && (it.bits & (it.bits - 1)) == 0);
    if (!is_depth || !(is_run || is_masked || it.compression == PLAIN))
        return ft_codec_fail(error, FT_CODEC_UNSUPPORTED, "a BMP of %u bits and compression %u", it.bits, it.compression);
    if (ft_codec_check_size(info->width, info->height, size, is_run ? FT_CODEC_ANY_PIXELS_PER_BYTE : 8, limits, error))
        return error->status;
    if (!pixels || ft_codec_check_capacity(info, capacity, error)) return error->status;
    for (size_t i = 0; is_run && i < (size_t)info->width * info->height; i++) memcpy(pixels + 3 * i, it.colors[0], 3);
    size_t stride = ((size_t)info->width * it.bits + 31) / 32 * 4;
    if (is_run ? !read_runs(&it, info, pixels) : (size_t)(it.end - it.data) / info->height < stride)
        return ft_codec_fail(error, FT_CODEC_TRUNCATED, "the data ends before the picture does");
    for (uint32_t y = 0; !is_run && y < info->height; y++)
        read_row(&it, it.data + (it.is_top_down ? y : info->height - 1 - y) * stride, info->width,
                 pixels + (size_t)y * info->width * 3);
    return FT_CODEC_OK;
}
