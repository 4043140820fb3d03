#include "ft_codec_private.h"
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

// DEFLATE expands one byte to at most 1032, and one byte of a row holds at most eight pixels.
enum { PNG_PIXELS_PER_BYTE = 1032 * 8 };

// What the callbacks of a picture being read share.
typedef struct {
    size_t size;
    const ft_codec_limits *limits;
    ft_codec_info *info;
    uint8_t *pixels;
    size_t capacity;
    int passes;
    bool complete;
    ft_codec_error *error;
} reader;

typedef struct {
    uint8_t *bytes;
    size_t count, capacity;
    ft_codec_error *error;
} writer;

static void on_error(png_structp png, png_const_charp message) {
    ft_codec_error *error = png_get_error_ptr(png);
    if (error->status == FT_CODEC_OK) {
        int status = strstr(message, "Out of memory") || strstr(message, "emory") ? FT_CODEC_OUT_OF_MEMORY
                                                                                  : FT_CODEC_CORRUPT;
        ft_codec_fail(error, status, "%s", message);
    }
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

// Samples become 8-bit grey or RGB: alpha and transparency are dropped (not blended), as a conversion to RGB does.
static void set_transforms(png_structp png, png_infop header, ft_codec_info *info) {
    int color = png_get_color_type(png, header);
    int depth = png_get_bit_depth(png, header);
    if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (color == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (depth == 16) png_set_strip_16(png);
    png_set_strip_alpha(png);
    info->channels = color & PNG_COLOR_MASK_COLOR ? 3 : 1;
}

static void set_limits(png_structp png, const ft_codec_limits *limits) {
    // Text, time and colour profile chunks are passed over unread: nothing here uses them.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(png, limits->max_working_bytes);
}

// Jumps out when only the header was asked for.
static void on_header(png_structp png, png_infop header) {
    reader *state = png_get_progressive_ptr(png);
    ft_codec_info *info = state->info;
    info->width = png_get_image_width(png, header);
    info->height = png_get_image_height(png, header);
    if (ft_codec_check_size(info->width, info->height, state->size, PNG_PIXELS_PER_BYTE, state->limits, state->error))
        png_longjmp(png, 1);
    set_transforms(png, header, info);
    if (!state->pixels) png_longjmp(png, 1);
    state->passes = png_set_interlace_handling(png);
    png_read_update_info(png, header);
    size_t row_bytes = (size_t)info->width * info->channels;
    if (png_get_rowbytes(png, header) != row_bytes) {
        ft_codec_fail(state->error, FT_CODEC_UNSUPPORTED, "unexpected sample layout");
        png_longjmp(png, 1);
    }
    if (ft_codec_check_capacity(info, state->capacity, state->error)) png_longjmp(png, 1);
    // The first pass of an interlaced picture leaves gaps; libpng reads back what later passes keep.
    if (state->passes > 1) memset(state->pixels, 0, row_bytes * info->height);
}

static void on_row(png_structp png, png_bytep row, png_uint_32 y, int pass) {
    reader *state = png_get_progressive_ptr(png);
    const ft_codec_info *info = state->info;
    if (y >= info->height) return;
    if (row) png_progressive_combine_row(png, state->pixels + (size_t)y * info->width * info->channels, row);
    if (y + 1 == info->height && pass + 1 == state->passes) state->complete = true;
}

// libpng's other way of reading unpacks whatever follows the last row.
int ft_png_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                  uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    ft_codec_begin(info, error);
    reader state = {.size = size, .limits = limits, .info = info, .pixels = pixels, .capacity = capacity, .error = error};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, error, on_error, on_warning);
    png_infop header = png ? png_create_info_struct(png) : NULL;
    if (!header) {
        png_destroy_read_struct(&png, NULL, NULL);
        return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for the PNG decoder");
    }
    // `state` is changed between setjmp and longjmp only through the pointer that libpng holds, so it stays in memory.
    if (setjmp(png_jmpbuf(png)) == 0) {
        set_limits(png, limits);
        png_set_progressive_read_fn(png, &state, on_header, on_row, NULL);
        png_process_data(png, header, (png_bytep)data, size);
    }
    png_destroy_read_struct(&png, &header, NULL);
    bool is_enough = pixels ? state.complete : info->width > 0;
    if (error->status == FT_CODEC_OK && !is_enough)
        ft_codec_fail(error, FT_CODEC_TRUNCATED, "the data ends before the picture does");
    return error->status;
}

static void write_bytes(png_structp png, png_bytep bytes, size_t count) {
    writer *sink = png_get_io_ptr(png);
    if (count > sink->capacity - sink->count) {
        size_t capacity = (sink->capacity + count) * 2;
        uint8_t *grown = capacity > sink->count ? realloc(sink->bytes, capacity) : NULL;
        if (!grown) {
            ft_codec_fail(sink->error, FT_CODEC_OUT_OF_MEMORY, "no memory for the encoded picture");
            png_longjmp(png, 1);
        }
        sink->bytes = grown;
        sink->capacity = capacity;
    }
    memcpy(sink->bytes + sink->count, bytes, count);
    sink->count += count;
}

static void flush_bytes(png_structp png) { (void)png; }

static void write_picture(png_structp png, png_infop header, const uint8_t *pixels, uint32_t width, uint32_t height,
                          uint32_t channels, int compression_level) {
    png_set_compression_level(png, compression_level);
    png_set_IHDR(png, header, width, height, 8, channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, header);
    for (uint32_t y = 0; y < height; y++) png_write_row(png, pixels + (size_t)y * width * channels);
    png_write_end(png, header);
}

int ft_png_encode(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, int compression_level,
                  uint8_t **out, size_t *out_size, ft_codec_error *error) {
    error->status = FT_CODEC_OK;
    error->message[0] = 0;
    writer sink = {NULL, 0, 0, error};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, error, on_error, on_warning);
    png_infop header = png ? png_create_info_struct(png) : NULL;
    if (!header) {
        png_destroy_write_struct(&png, NULL);
        return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for the PNG encoder");
    }
    // `sink` is changed between setjmp and longjmp only through the pointer that libpng holds, so it stays in memory.
    if (setjmp(png_jmpbuf(png)) == 0) {
        png_set_write_fn(png, &sink, write_bytes, flush_bytes);
        write_picture(png, header, pixels, width, height, channels, compression_level);
    }
    png_destroy_write_struct(&png, &header);
    if (error->status != FT_CODEC_OK) {
        free(sink.bytes);
        return error->status;
    }
    *out = sink.bytes;
    *out_size = sink.count;
    return FT_CODEC_OK;
}

void ft_png_free(uint8_t *bytes) { free(bytes); }
