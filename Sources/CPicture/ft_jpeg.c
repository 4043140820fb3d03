#include "ft_codec_private.h"
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

// One byte of Huffman-coded data holds at most eight codes. In a progressive file the first scan spends at least one
// code on each 8 x 8 block; arithmetic coding has no such floor, only a practical one.
enum { HUFFMAN_PIXELS_PER_BYTE = 8 * 64, ARITHMETIC_PIXELS_PER_BYTE = 64 * 8 * 64 };

typedef struct {
    struct jpeg_error_mgr base;
    jmp_buf escape;
    ft_codec_error *error;
    /// True once the data has ended and an end marker been given in its place.
    bool ended;
} error_manager;

typedef struct {
    struct jpeg_progress_mgr base;
    int max_scans;
} scan_monitor;

static void fail_truncated(error_manager *manager) {
    ft_codec_fail(manager->error, FT_CODEC_TRUNCATED, "the data ends before the picture does");
    longjmp(manager->escape, 1);
}

static void fail(j_common_ptr info, int status) {
    error_manager *manager = (error_manager *)info->err;
    // What is wrong after the end of the data is that it ended.
    if (manager->ended && status == FT_CODEC_CORRUPT) fail_truncated(manager);
    char text[JMSG_LENGTH_MAX];
    manager->base.format_message(info, text);
    ft_codec_fail(manager->error, status, "%s", text);
    longjmp(manager->escape, 1);
}

static void on_error(j_common_ptr info) {
    int code = info->err->msg_code;
    int status = FT_CODEC_CORRUPT;
    if (code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE) status = FT_CODEC_OUT_OF_MEMORY;
    if (code == JERR_BAD_PRECISION || code == JERR_SOF_UNSUPPORTED || code == JERR_ARITH_NOTIMPL ||
        code == JERR_CONVERSION_NOTIMPL)
        status = FT_CODEC_UNSUPPORTED;
    fail(info, status);
}

// libjpeg reports damaged data as a warning and goes on with invented pixels; those warnings are errors here.
// What remains (stray bytes between segments, odd markers) leaves the pixels as they were encoded.
static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
        case JWRN_HIT_MARKER:
        case JWRN_HUFF_BAD_CODE:
        case JWRN_ARITH_BAD_CODE:
        case JWRN_MUST_RESYNC:
        case JWRN_NOT_SEQUENTIAL:
            fail(info, FT_CODEC_CORRUPT);
    }
}

static void on_progress(j_common_ptr info) {
    j_decompress_ptr decoder = (j_decompress_ptr)info;
    scan_monitor *monitor = (scan_monitor *)info->progress;
    if (decoder->input_scan_number <= monitor->max_scans) return;
    error_manager *manager = (error_manager *)info->err;
    ft_codec_fail(manager->error, FT_CODEC_TOO_LARGE, "more than %d scans", monitor->max_scans);
    longjmp(manager->escape, 1);
}

static void source_nothing(j_decompress_ptr decoder) { (void)decoder; }

// Many files lack the end marker alone. It is given once; where coded data is missing, too, libjpeg complains of meeting
// the marker, and what it asks for after it does not exist.
static boolean source_end(j_decompress_ptr decoder) {
    static const JOCTET end[2] = {0xFF, JPEG_EOI};
    error_manager *manager = (error_manager *)decoder->err;
    if (manager->ended) fail_truncated(manager);
    manager->ended = true;
    decoder->src->next_input_byte = end;
    decoder->src->bytes_in_buffer = sizeof end;
    return TRUE;
}

static void source_skip(j_decompress_ptr decoder, long count) {
    if (count <= 0) return;
    if ((size_t)count > decoder->src->bytes_in_buffer) fail_truncated((error_manager *)decoder->err);
    decoder->src->next_input_byte += count;
    decoder->src->bytes_in_buffer -= (size_t)count;
}

static void read_header(j_decompress_ptr decoder, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                        error_manager *manager) {
    jpeg_read_header(decoder, TRUE);
    const char *unsupported = NULL;
    switch (decoder->jpeg_color_space) {
        case JCS_GRAYSCALE: decoder->out_color_space = JCS_GRAYSCALE; break;
        case JCS_RGB:
        case JCS_YCbCr: decoder->out_color_space = JCS_RGB; break;
        case JCS_CMYK:
        case JCS_YCCK: decoder->out_color_space = JCS_CMYK; break;
        default: unsupported = "a colour space that is neither grey, RGB, YCbCr, CMYK nor YCCK"; break;
    }
    if (unsupported) {
        ft_codec_fail(manager->error, FT_CODEC_UNSUPPORTED, "the JPEG uses %s", unsupported);
        longjmp(manager->escape, 1);
    }
    uint64_t pixels_per_byte = decoder->arith_code ? ARITHMETIC_PIXELS_PER_BYTE : HUFFMAN_PIXELS_PER_BYTE;
    if (ft_codec_check_size(decoder->image_width, decoder->image_height, size, pixels_per_byte, limits, manager->error))
        longjmp(manager->escape, 1);
    info->width = decoder->image_width;
    info->height = decoder->image_height;
    info->channels = decoder->out_color_space == JCS_GRAYSCALE ? 1 : 3;
}

// Without an end marker the scans that refine a picture, or hold further components, may be missing as a whole.
static bool lacks_scans(j_decompress_ptr decoder) {
    if (!jpeg_has_multiple_scans(decoder)) return false;
    if (!decoder->coef_bits) return true;
    for (int c = 0; c < decoder->num_components; c++)
        for (int k = 0; k < DCTSIZE2; k++)
            if (decoder->coef_bits[c][k] != 0) return true;
    return false;
}

// Adobe's programs store inks inverted, and with them everybody else.
static void read_inks(j_decompress_ptr decoder, uint8_t *pixels, size_t row_bytes) {
    size_t width = decoder->output_width;
    JSAMPARRAY row = decoder->mem->alloc_sarray((j_common_ptr)decoder, JPOOL_IMAGE, (JDIMENSION)(width * 4), 1);
    while (decoder->output_scanline < decoder->output_height) {
        uint8_t *out = pixels + decoder->output_scanline * row_bytes;
        jpeg_read_scanlines(decoder, row, 1);
        for (size_t x = 0; x < width; x++) {
            const JSAMPLE *in = row[0] + 4 * x;
            const uint8_t inks[4] = {255 - in[0], 255 - in[1], 255 - in[2], 255 - in[3]};
            ft_codec_cmyk_to_rgb(inks, out + 3 * x);
        }
    }
}

static void read_pixels(j_decompress_ptr decoder, uint8_t *pixels, size_t row_bytes) {
    decoder->dct_method = JDCT_ISLOW;
    decoder->do_fancy_upsampling = TRUE;
    jpeg_start_decompress(decoder);
    error_manager *manager = (error_manager *)decoder->err;
    if (manager->ended && lacks_scans(decoder)) fail_truncated(manager);
    if (decoder->out_color_space == JCS_CMYK) read_inks(decoder, pixels, row_bytes);
    enum { ROWS = 8 };
    while (decoder->output_scanline < decoder->output_height) {
        JSAMPROW rows[ROWS];
        JDIMENSION left = decoder->output_height - decoder->output_scanline;
        JDIMENSION count = left < ROWS ? left : ROWS;
        for (JDIMENSION i = 0; i < count; i++) rows[i] = pixels + (decoder->output_scanline + i) * row_bytes;
        jpeg_read_scanlines(decoder, rows, count);
    }
    jpeg_finish_decompress(decoder);
}

int ft_jpeg_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                   uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    struct jpeg_decompress_struct decoder;
    error_manager manager;
    scan_monitor monitor = {.base = {.progress_monitor = on_progress}, .max_scans = limits->max_scans};
    struct jpeg_source_mgr source = {
        .next_input_byte = data,
        .bytes_in_buffer = size,
        .init_source = source_nothing,
        .fill_input_buffer = source_end,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nothing,
    };
    memset(&decoder, 0, sizeof decoder);
    ft_codec_begin(info, error);
    manager.error = error;
    manager.ended = false;
    decoder.err = jpeg_std_error(&manager.base);
    manager.base.error_exit = on_error;
    manager.base.emit_message = on_message;
    if (setjmp(manager.escape)) {
        jpeg_destroy_decompress(&decoder);
        return error->status;
    }
    jpeg_create_decompress(&decoder);
    decoder.src = &source;
    decoder.progress = &monitor.base;
    decoder.mem->max_memory_to_use = (long)limits->max_working_bytes;
    read_header(&decoder, size, limits, info, &manager);
    if (pixels) {
        size_t row_bytes = (size_t)info->width * info->channels;
        if (ft_codec_check_capacity(info, capacity, error)) longjmp(manager.escape, 1);
        read_pixels(&decoder, pixels, row_bytes);
    }
    jpeg_destroy_decompress(&decoder);
    return FT_CODEC_OK;
}
