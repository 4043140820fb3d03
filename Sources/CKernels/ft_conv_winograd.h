#ifndef FT_CONV_WINOGRAD_H
#define FT_CONV_WINOGRAD_H

// What Winograd's convolutions and their gradient share: tiles of 4 x 4 outputs, whose inputs are transformed a block of
// channels and some rows of tiles at a time.
#include "ft_conv_blocked.h"

enum { TILE = 4, TAPS = 9 };

/// Rows of tiles [first, last) of one image; their tiles are stored from `tile` on.
typedef struct {
    ptrdiff_t image, first, last, tile;
} tile_band;

/// The band that begins at row `at` of rows [begin, end), counted through all images.
static inline tile_band band_at(
    ptrdiff_t tile_rows, ptrdiff_t tile_columns, ptrdiff_t at, ptrdiff_t begin, ptrdiff_t end) {
    ptrdiff_t image = at / tile_rows, first = at % tile_rows;
    return (tile_band){image, first, ft_min(tile_rows, first + end - at), (at - begin) * tile_columns};
}

/// Rows [top, top + height) of a block of an image, blocked: where they are, or in `rows`.
static inline const float *rows_of_block(
    const ft_conv_kernels *kernels, const ft_winograd_image *image, ptrdiff_t index, ptrdiff_t block, ptrdiff_t top,
    ptrdiff_t height, float *rows) {
    ptrdiff_t plane = image->height * image->width, channel = block * FT_BLOCK;
    if (image->blocked) {
        ptrdiff_t blocks = ft_divide_up(image->channels, FT_BLOCK);
        return image->data + ((index * blocks + block) * plane + top * image->width) * FT_BLOCK;
    }
    kernels->block(
        image->data + (index * image->channels + channel) * plane + top * image->width, plane,
        ft_min(FT_BLOCK, image->channels - channel), height * image->width, rows);
    return rows;
}

/// Floats that `rows_of_block` needs for a band of `rows` rows of tiles.
static inline ptrdiff_t band_floats(ptrdiff_t rows, ptrdiff_t width) {
    return rows * (TILE + 2) * width * FT_BLOCK;
}

/// V of a band of one block; `v` is where its first tile goes.
static inline void transform_band(
    const ft_conv_kernels *kernels, const ft_winograd_image *x, const ptrdiff_t pad[2], ptrdiff_t tile_columns,
    tile_band band, ptrdiff_t block, float *v, ptrdiff_t point_stride, float *rows) {
    ptrdiff_t top = ft_max(0, band.first * TILE - pad[0]);
    ptrdiff_t bottom = ft_max(top, ft_min(x->height, band.last * TILE + 2 - pad[0]));
    const float *from = rows_of_block(kernels, x, band.image, block, top, bottom - top, rows);
    for (ptrdiff_t row = band.first; row < band.last; row++) {
        for (ptrdiff_t column = 0; column < tile_columns; column++, v += FT_BLOCK) {
            kernels->winograd_input(
                from, bottom - top, x->width, row * TILE - pad[0] - top, column * TILE - pad[1], v, point_stride);
        }
    }
}

/// Where outputs go.
typedef struct {
    float *data;
    bool blocked;
    ptrdiff_t channels, height, width;
    const ft_finish *finish;
} winograd_target;

/// Writes a band of one output block. m: where the band's first tile is, tiles `columns` floats apart.
static inline void store_band(
    const ft_conv_kernels *kernels, const winograd_target *y, ptrdiff_t tile_columns, tile_band band, ptrdiff_t block,
    const float *m, ptrdiff_t point_stride, ptrdiff_t columns, float *rows) {
    ptrdiff_t plane = y->height * y->width, top = 0, height = y->height, channel = block * FT_BLOCK;
    ft_finish finish = *y->finish, none = {0};
    if (finish.bias != NULL) finish.bias += channel;
    float *to = rows;
    if (y->blocked) {
        ptrdiff_t offset = (band.image * ft_divide_up(y->channels, FT_BLOCK) + block) * plane * FT_BLOCK;
        if (finish.residual != NULL) finish.residual += offset;
        to = y->data + offset;
    } else {
        top = band.first * TILE;
        height = ft_min(y->height, band.last * TILE) - top;
    }
    for (ptrdiff_t row = band.first; row < band.last; row++) {
        for (ptrdiff_t column = 0; column < tile_columns; column++, m += columns) {
            kernels->winograd_output(
                m, point_stride, to, height, y->width, row * TILE - top, column * TILE, y->blocked ? &finish : &none);
        }
    }
    if (y->blocked) return;
    ptrdiff_t offset = (band.image * y->channels + channel) * plane + top * y->width;
    if (finish.residual != NULL) finish.residual += offset;
    kernels->unblock(
        rows, ft_min(FT_BLOCK, y->channels - channel), height * y->width, y->data + offset, plane, &finish);
}

#endif
