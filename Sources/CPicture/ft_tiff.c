#include "ft_codec_private.h"
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

typedef struct {
    const uint8_t *data;
    uint64_t size, at;
} reader;

static tmsize_t read_bytes(thandle_t handle, void *out, tmsize_t count) {
    reader *source = handle;
    if (count < 0 || source->at >= source->size) return 0;
    uint64_t left = source->size - source->at, given = (uint64_t)count < left ? (uint64_t)count : left;
    memcpy(out, source->data + source->at, given);
    source->at += given;
    return (tmsize_t)given;
}

static tmsize_t write_nothing(thandle_t handle, void *bytes, tmsize_t count) {
    (void)handle, (void)bytes, (void)count;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int from) {
    reader *source = handle;
    source->at = offset + (from == SEEK_CUR ? source->at : from == SEEK_END ? source->size : 0);
    return source->at;
}

static int close_nothing(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle) { return ((reader *)handle)->size; }

static int map(thandle_t handle, void **base, toff_t *size) {
    reader *source = handle;
    *base = (void *)source->data;
    *size = source->size;
    return 1;
}

static void unmap(thandle_t handle, void *base, toff_t size) { (void)handle, (void)base, (void)size; }

// Keeps the first message; who called libtiff decides whether it matters.
static int on_error(TIFF *tiff, void *state, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    ft_codec_error *error = state;
    if (error->message[0] == 0) vsnprintf(error->message, sizeof error->message, format, arguments);
    return 1;
}

static int on_warning(TIFF *tiff, void *state, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)state, (void)module, (void)format, (void)arguments;
    return 1;
}

static int fail_reading(ft_codec_error *error) {
    if (error->message[0] == 0) strcpy(error->message, "libtiff cannot decode the data");
    return error->status = FT_CODEC_CORRUPT;
}

// How samples lie in the file and what they mean.
typedef struct {
    uint32_t width, height;
    uint16_t bits, samples, photometric, format;
    // Samples that make a colour, and those of them to be read: with premultiplied alpha one more.
    uint16_t colors, used;
    bool is_separate, is_premultiplied;
    // libtiff converts what is stored in less than one sample for each pixel.
    bool is_by_libtiff;
    const uint16_t *palette[3];
    // Strips are blocks as wide as the picture.
    uint32_t block_width, block_height;
    size_t block_bytes, row_bytes;
    bool is_tiled;
} layout;

static int read_colors(TIFF *tiff, layout *it, ft_codec_error *error) {
    uint16_t compression = COMPRESSION_NONE, planar = PLANARCONFIG_CONTIG, extra_count = 0, *extras = NULL;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &it->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &it->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &it->format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extra_count, &extras);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &it->photometric)) it->photometric = PHOTOMETRIC_MINISWHITE;
    it->is_separate = planar == PLANARCONFIG_SEPARATE && it->samples > 1;
    if (it->photometric == PHOTOMETRIC_YCBCR) {
        uint16_t across = 2, down = 2;
        TIFFGetFieldDefaulted(tiff, TIFFTAG_YCBCRSUBSAMPLING, &across, &down);
        bool is_plain = compression == COMPRESSION_NONE && across == 1 && down == 1 && it->bits == 8;
        if (it->samples == 1) {
            it->photometric = PHOTOMETRIC_MINISBLACK;
        } else if (compression == COMPRESSION_JPEG && !it->is_separate) {
            TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
            it->photometric = PHOTOMETRIC_RGB;
        } else {
            it->is_by_libtiff = !is_plain;
        }
    }
    switch (it->photometric) {
        case PHOTOMETRIC_MINISWHITE:
        case PHOTOMETRIC_MINISBLACK: it->colors = 1; break;
        case PHOTOMETRIC_PALETTE:
            it->colors = 1;
            if (it->bits > 8 || !TIFFGetField(tiff, TIFFTAG_COLORMAP, &it->palette[0], &it->palette[1], &it->palette[2]))
                return ft_codec_fail(error, FT_CODEC_CORRUPT, "expected a palette of up to 256 colours");
            break;
        case PHOTOMETRIC_RGB:
        case PHOTOMETRIC_YCBCR: it->colors = 3; break;
        case PHOTOMETRIC_SEPARATED: it->colors = 4; break;
        case PHOTOMETRIC_CIELAB:
        case PHOTOMETRIC_ICCLAB:
        case PHOTOMETRIC_ITULAB: return ft_codec_fail(error, FT_CODEC_UNSUPPORTED, "the TIFF uses CIELab colours");
        default: return ft_codec_fail(error, FT_CODEC_UNSUPPORTED, "the TIFF uses colours of kind %u", it->photometric);
    }
    if (it->samples < it->colors)
        return ft_codec_fail(error, FT_CODEC_CORRUPT, "%u samples for a colour of %u", it->samples, it->colors);
    bool has_alpha = extra_count > 0 && extras && extras[0] == EXTRASAMPLE_ASSOCALPHA && it->samples > it->colors;
    it->is_premultiplied = has_alpha && it->photometric == PHOTOMETRIC_RGB;
    it->used = it->colors + it->is_premultiplied;
    bool is_small = it->bits == 1 || it->bits == 2 || it->bits == 4;
    bool is_single = it->samples == 1 || it->is_separate;
    bool is_number = it->bits == 32 && it->colors == 1 && it->photometric != PHOTOMETRIC_PALETTE;
    if (it->is_by_libtiff || it->bits == 8 || it->bits == 16 || is_number || (is_small && it->colors == 1 && is_single))
        return FT_CODEC_OK;
    return ft_codec_fail(error, FT_CODEC_UNSUPPORTED, "a TIFF of %u samples of %u bits", it->samples, it->bits);
}

static int read_layout(TIFF *tiff, size_t size, const ft_codec_limits *limits, layout *it, ft_codec_info *info,
                       ft_codec_error *error) {
    uint16_t orientation = ORIENTATION_TOPLEFT;
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &it->width) || !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &it->height))
        return ft_codec_fail(error, FT_CODEC_CORRUPT, "the TIFF does not tell its size");
    if (ft_codec_check_size(it->width, it->height, size, FT_CODEC_ANY_PIXELS_PER_BYTE, limits, error) ||
        read_colors(tiff, it, error))
        return error->status;
    TIFFGetField(tiff, TIFFTAG_ORIENTATION, &orientation);
    bool is_grey = it->colors == 1 && it->photometric != PHOTOMETRIC_PALETTE;
    *info = (ft_codec_info){it->width, it->height, is_grey ? 1 : 3, orientation};
    it->is_tiled = TIFFIsTiled(tiff);
    if (it->is_tiled) {
        TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &it->block_width);
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &it->block_height);
    } else {
        it->block_width = it->width;
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &it->block_height);
        if (it->block_height > it->height) it->block_height = it->height;
    }
    if (it->block_width == 0 || it->block_height == 0) return ft_codec_fail(error, FT_CODEC_CORRUPT, "empty blocks");
    // Blocks may reach beyond the picture; all of them are unpacked.
    uint64_t across = (it->width + (uint64_t)it->block_width - 1) / it->block_width;
    uint64_t down = (it->height + (uint64_t)it->block_height - 1) / it->block_height;
    if (ft_codec_check_size(across * it->block_width, down * it->block_height, size, FT_CODEC_ANY_PIXELS_PER_BYTE, limits,
                            error))
        return error->status;
    it->block_bytes = it->is_tiled ? TIFFTileSize64(tiff) : TIFFVStripSize64(tiff, it->block_height);
    it->row_bytes = it->is_tiled ? TIFFTileRowSize64(tiff) : TIFFScanlineSize64(tiff);
    size_t planes = it->is_separate ? it->used : 1, pixel_bits = it->is_separate ? it->bits : it->bits * it->samples;
    if (it->block_bytes == 0 || it->block_bytes > limits->max_working_bytes / planes)
        return ft_codec_fail(error, FT_CODEC_TOO_LARGE, "the TIFF needs more than %zu bytes", limits->max_working_bytes);
    if (!it->is_by_libtiff && (it->row_bytes < ((size_t)it->block_width * pixel_bits + 7) / 8 ||
                               it->block_bytes / it->block_height < it->row_bytes))
        return ft_codec_fail(error, FT_CODEC_CORRUPT, "the TIFF's rows are too short");
    return FT_CODEC_OK;
}

// Sample `i` of a row as eight bits; an index of a palette as it is.
static uint8_t sample_of(const layout *it, const uint8_t *row, size_t i) {
    if (it->bits == 8) return row[i];
    if (it->bits < 8) {
        unsigned most = (1u << it->bits) - 1, first = (unsigned)(i * it->bits % 8);
        unsigned value = row[i * it->bits / 8] >> (8 - it->bits - first) & most;
        return (uint8_t)(it->photometric == PHOTOMETRIC_PALETTE ? value : value * 255 / most);
    }
    if (it->bits == 16) {
        uint16_t value;
        memcpy(&value, row + 2 * i, sizeof value);
        if (it->format == SAMPLEFORMAT_INT) return ft_codec_clip((int16_t)value);
        return (uint8_t)(value >> 8);
    }
    uint32_t bits;
    memcpy(&bits, row + 4 * i, sizeof bits);
    if (it->format != SAMPLEFORMAT_IEEEFP) return ft_codec_clip((int32_t)bits);
    float value;
    memcpy(&value, &bits, sizeof value);
    return ft_codec_clip(value);
}

static uint8_t shifted(int sum) {
    int value = sum >> 6;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

// ITU-R 601 in steps of 1/64, as Pillow has it.
static int weighted(double weight, int chroma) { return (int)(weight * 64 * (chroma - 128) + 0.5); }

static void write_pixel(const layout *it, const uint8_t *in, uint8_t *out) {
    switch (it->photometric) {
        case PHOTOMETRIC_MINISBLACK: out[0] = in[0]; break;
        case PHOTOMETRIC_MINISWHITE: out[0] = it->bits > 16 ? in[0] : 255 - in[0]; break;
        case PHOTOMETRIC_PALETTE:
            for (int c = 0; c < 3; c++) out[c] = (uint8_t)(it->palette[c][in[0]] >> 8);
            break;
        case PHOTOMETRIC_SEPARATED: ft_codec_cmyk_to_rgb(in, out); break;
        case PHOTOMETRIC_YCBCR:
            out[0] = shifted(in[0] * 64 + weighted(1.402, in[2]));
            out[1] = shifted(in[0] * 64 + weighted(-0.34414, in[1]) + weighted(-0.71414, in[2]));
            out[2] = shifted(in[0] * 64 + weighted(1.772, in[1]));
            break;
        default:
            for (int c = 0; c < 3; c++)
                out[c] = !it->is_premultiplied || in[3] == 255 ? in[c] : in[3] ? ft_codec_clip(in[c] * 255 / in[3]) : 0;
    }
}

static void write_block(const layout *it, const uint8_t *block, uint32_t left, uint32_t top, uint32_t channels,
                        uint8_t *pixels) {
    uint32_t width = it->width - left < it->block_width ? it->width - left : it->block_width;
    uint32_t height = it->height - top < it->block_height ? it->height - top : it->block_height;
    for (uint32_t y = 0; y < height; y++) {
        const uint8_t *row = block + y * it->row_bytes;
        uint8_t *out = pixels + ((size_t)(top + y) * it->width + left) * channels;
        for (uint32_t x = 0; x < width; x++, out += channels) {
            uint8_t in[4];
            for (uint16_t c = 0; c < it->used; c++)
                in[c] = it->is_separate ? sample_of(it, row + c * it->block_bytes, x)
                                        : sample_of(it, row, (size_t)x * it->samples + c);
            write_pixel(it, in, out);
        }
    }
}

static int read_blocks(TIFF *tiff, const layout *it, uint32_t channels, uint8_t *pixels, ft_codec_error *error) {
    uint16_t planes = it->is_separate ? it->used : 1;
    uint8_t *block = calloc(planes, it->block_bytes);
    if (!block) return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for %zu bytes", it->block_bytes);
    for (uint32_t top = 0; top < it->height && error->status == FT_CODEC_OK; top += it->block_height)
        for (uint32_t left = 0; left < it->width && error->status == FT_CODEC_OK; left += it->block_width) {
            for (uint16_t plane = 0; plane < planes && error->status == FT_CODEC_OK; plane++) {
                uint8_t *out = block + plane * it->block_bytes;
                uint32_t number = it->is_tiled ? TIFFComputeTile(tiff, left, top, 0, plane)
                                               : TIFFComputeStrip(tiff, top, plane);
                tmsize_t count = it->is_tiled ? TIFFReadEncodedTile(tiff, number, out, (tmsize_t)it->block_bytes)
                                              : TIFFReadEncodedStrip(tiff, number, out, (tmsize_t)it->block_bytes);
                if (count < 0) fail_reading(error);
            }
            if (error->status == FT_CODEC_OK) write_block(it, block, left, top, channels, pixels);
        }
    free(block);
    return error->status;
}

static int read_by_libtiff(TIFF *tiff, const layout *it, const ft_codec_limits *limits, uint8_t *pixels,
                           ft_codec_error *error) {
    size_t count = (size_t)it->width * it->height;
    if (count > limits->max_working_bytes / sizeof(uint32_t))
        return ft_codec_fail(error, FT_CODEC_TOO_LARGE, "the TIFF needs more than %zu bytes", limits->max_working_bytes);
    uint32_t *raster = malloc(count * sizeof *raster);
    if (!raster) return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for the picture");
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    if (!TIFFReadRGBAImageOriented(tiff, it->width, it->height, raster, ORIENTATION_TOPLEFT, 1)) fail_reading(error);
    for (size_t i = 0; error->status == FT_CODEC_OK && i < count; i++) {
        pixels[3 * i] = (uint8_t)TIFFGetR(raster[i]);
        pixels[3 * i + 1] = (uint8_t)TIFFGetG(raster[i]);
        pixels[3 * i + 2] = (uint8_t)TIFFGetB(raster[i]);
    }
    free(raster);
    return error->status;
}

int ft_tiff_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                   uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    ft_codec_begin(info, error);
    reader source = {data, size, 0};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for the TIFF decoder");
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)limits->max_working_bytes);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, error);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, NULL);
    TIFF *tiff = TIFFClientOpenExt("picture", "r", &source, read_bytes, write_nothing, seek, close_nothing, size_of, map,
                                   unmap, options);
    TIFFOpenOptionsFree(options);
    if (!tiff) return fail_reading(error);
    layout it = {0};
    if (read_layout(tiff, size, limits, &it, info, error) == FT_CODEC_OK && pixels &&
        ft_codec_check_capacity(info, capacity, error) == FT_CODEC_OK) {
        if (it.is_by_libtiff) read_by_libtiff(tiff, &it, limits, pixels, error);
        else read_blocks(tiff, &it, info->channels, pixels, error);
    }
    TIFFClose(tiff);
    return error->status;
}
