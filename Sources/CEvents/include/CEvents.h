#ifndef FT_EVENTS_H
#define FT_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "event.pb-c.h"

// Each function packs one TensorBoard event into `out` and returns its size; with `out` NULL it only returns the size.

/// The first event of a file.
size_t ft_event_version(double wall_time, uint8_t *out);

/// One number under `tag`.
size_t ft_event_scalar(double wall_time, int64_t step, const char *tag, float value, uint8_t *out);

/// One picture under `tag`: the `size` bytes of a PNG file with `channels` samples per pixel, 1 or 3.
size_t ft_event_picture(double wall_time, int64_t step, const char *tag, int32_t width, int32_t height,
                        int32_t channels, const uint8_t *png, size_t size, uint8_t *out);

/// CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected) of `count` bytes.
uint32_t ft_crc32c(const uint8_t *bytes, size_t count);

#endif
