#include "ft_codec_private.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *at, *end;
} reader;

// The next byte that is neither space nor part of a comment, which is left unread; -1 at the end.
static int skip_space(reader *in) {
    for (; in->at < in->end; in->at++) {
        if (*in->at == '#') {
            while (in->at < in->end && *in->at != '\n') in->at++;
            if (in->at == in->end) return -1;
        } else if (!isspace(*in->at)) {
            return *in->at;
        }
    }
    return -1;
}

// A whole number, or -1.
static int64_t read_number(reader *in) {
    int64_t value = 0;
    if (!isdigit(skip_space(in))) return -1;
    while (in->at < in->end && isdigit(*in->at) && value < INT32_MAX) value = value * 10 + (*in->at++ - '0');
    return value;
}

// `value` of `most` as one of 255, ties to even; in more than eight bits of grey the upper byte counts.
static uint8_t scaled(int64_t value, int64_t most, uint32_t channels) {
    if (value > most) value = most;
    if (channels == 1 && most > 255) return (uint8_t)((int64_t)nearbyint((double)value / (double)most * 65535) >> 8);
    return (uint8_t)nearbyint((double)value / (double)most * 255);
}

static bool read_text(reader in, int64_t most, bool is_bits, const ft_codec_info *info, uint8_t *pixels) {
    for (size_t i = 0; i < (size_t)info->width * info->height * info->channels; i++) {
        int digit = skip_space(&in);
        int64_t value = is_bits ? (digit == '0' || digit == '1' ? digit - '0' : -1) : read_number(&in);
        if (value < 0) return false;
        if (is_bits) in.at++;
        pixels[i] = is_bits ? (value ? 0 : 255) : scaled(value, most, info->channels);
    }
    return true;
}

static void read_binary(const uint8_t *in, char kind, int64_t most, const ft_codec_info *info, uint8_t *pixels) {
    size_t row = (size_t)info->width * info->channels, bit_bytes = (row + 7) / 8;
    for (uint32_t y = 0; y < info->height; y++)
        for (size_t x = 0; x < row; x++) {
            size_t i = y * row + x;
            if (kind == '4') {
                pixels[i] = in[y * bit_bytes + x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
            } else if (kind == 'f') {
                // Rows from the bottom; a negative scale says that the lowest byte comes first.
                const uint8_t *bytes = in + ((size_t)(info->height - 1 - y) * row + x) * 4;
                uint32_t bits = ft_codec_u32(bytes);
                if (most > 0) bits = __builtin_bswap32(bits);
                float value;
                memcpy(&value, &bits, sizeof value);
                pixels[i] = ft_codec_clip(value);
            } else {
                int64_t value = most > 255 ? in[2 * i] << 8 | in[2 * i + 1] : in[i];
                pixels[i] = most == 255 ? (uint8_t)value : scaled(value, most, info->channels);
            }
        }
}

int ft_pnm_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                  uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    ft_codec_begin(info, error);
    char kind = size < 3 ? 0 : (char)data[1];
    if (kind != 'f' && (kind < '1' || kind > '6')) return ft_codec_fail(error, FT_CODEC_CORRUPT, "not a PNM picture");
    reader in = {data + 2, data + size};
    int64_t width = read_number(&in), height = read_number(&in);
    bool is_bits = kind == '1' || kind == '4', is_text = kind >= '1' && kind <= '3';
    int64_t most = is_bits ? 1 : kind == 'f' ? (skip_space(&in) == '-' ? -1 : 1) : read_number(&in);
    while (kind == 'f' && in.at < in.end && !isspace(*in.at)) in.at++;
    if (width < 0 || height < 0 || in.at >= in.end)
        return ft_codec_fail(error, FT_CODEC_TRUNCATED, "the header is not complete");
    if (kind != 'f' && (most < 1 || most > 65535))
        return ft_codec_fail(error, FT_CODEC_CORRUPT, "expected a largest sample of 1 to 65535");
    // One byte of space ends the header.
    in.at++;
    *info = (ft_codec_info){(uint32_t)width, (uint32_t)height, kind == '3' || kind == '6' ? 3 : 1, 0};
    if (ft_codec_check_size((uint64_t)width, (uint64_t)height, size, kind == '4' ? 8 : 1, limits, error) || !pixels)
        return error->status;
    if (ft_codec_check_capacity(info, capacity, error)) return error->status;
    size_t row = (size_t)width * info->channels;
    size_t bytes = kind == 'f' ? row * 4 : kind == '4' ? (row + 7) / 8 : most > 255 ? row * 2 : row;
    bool is_whole = is_text || (size_t)(in.end - in.at) / (size_t)height >= bytes;
    if (is_text) is_whole = read_text(in, most, is_bits, info, pixels);
    else if (is_whole) read_binary(in.at, kind, most, info, pixels);
    return is_whole ? FT_CODEC_OK
                    : ft_codec_fail(error, FT_CODEC_TRUNCATED, "the data ends before the picture does");
}
