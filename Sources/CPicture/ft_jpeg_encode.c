#include "ft_codec_private.h"
#include <setjmp.h>

#include <jpeglib.h>
#include <jerror.h>

typedef struct {
    struct jpeg_error_mgr base;
    jmp_buf escape;
    ft_codec_error *error;
} error_manager;

static void on_error(j_common_ptr info) {
    error_manager *manager = (error_manager *)info->err;
    char text[JMSG_LENGTH_MAX];
    manager->base.format_message(info, text);
    int status = info->err->msg_code == JERR_OUT_OF_MEMORY ? FT_CODEC_OUT_OF_MEMORY : FT_CODEC_UNSUPPORTED;
    ft_codec_fail(manager->error, status, "%s", text);
    longjmp(manager->escape, 1);
}

static void on_message(j_common_ptr info, int level) {
    (void)info;
    (void)level;
}

static void nothing(j_compress_ptr encoder) { (void)encoder; }

static boolean on_full(j_compress_ptr encoder) {
    error_manager *manager = (error_manager *)encoder->err;
    ft_codec_fail(manager->error, FT_CODEC_TOO_LARGE, "the encoded picture does not fit into its buffer");
    longjmp(manager->escape, 1);
}

static void write_picture(j_compress_ptr encoder, const uint8_t *pixels, uint32_t width, uint32_t height,
                          uint32_t channels, int quality) {
    encoder->image_width = width;
    encoder->image_height = height;
    encoder->input_components = (int)channels;
    encoder->in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(encoder);
    jpeg_set_quality(encoder, quality, TRUE);
    encoder->optimize_coding = TRUE;
    jpeg_start_compress(encoder, TRUE);
    while (encoder->next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(pixels + (size_t)encoder->next_scanline * width * channels);
        jpeg_write_scanlines(encoder, &row, 1);
    }
    jpeg_finish_compress(encoder);
}

int ft_jpeg_encode(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, int quality, uint8_t *out,
                   size_t capacity, size_t *out_size, ft_codec_error *error) {
    error->status = FT_CODEC_OK;
    error->message[0] = 0;
    struct jpeg_compress_struct encoder = {0};
    struct jpeg_destination_mgr target = {out, capacity, nothing, on_full, nothing};
    error_manager manager = {.error = error};
    encoder.err = jpeg_std_error(&manager.base);
    manager.base.error_exit = on_error;
    manager.base.emit_message = on_message;
    if (setjmp(manager.escape) == 0) {
        jpeg_create_compress(&encoder);
        encoder.dest = &target;
        write_picture(&encoder, pixels, width, height, channels, quality);
    }
    jpeg_destroy_compress(&encoder);
    // libjpeg counts the free bytes down in `target`, whose address it holds, so the count lies in memory across a jump.
    *out_size = capacity - target.free_in_buffer;
    return error->status;
}
