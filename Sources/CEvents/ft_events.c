#include "CEvents.h"

static size_t pack(const Tensorboard__Event *event, uint8_t *out) {
    return out ? tensorboard__event__pack(event, out) : tensorboard__event__get_packed_size(event);
}

static size_t pack_value(double wall_time, int64_t step, Tensorboard__Summary__Value *value, uint8_t *out) {
    Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
    summary.n_value = 1;
    summary.value = &value;
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    event.wall_time = wall_time;
    event.step = step;
    event.what_case = TENSORBOARD__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    return pack(&event, out);
}

size_t ft_event_version(double wall_time, uint8_t *out) {
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    event.wall_time = wall_time;
    event.what_case = TENSORBOARD__EVENT__WHAT_FILE_VERSION;
    event.file_version = (char *)"brain.Event:2";
    return pack(&event, out);
}

// Packing only reads, so the casts away from const are safe.
size_t ft_event_scalar(double wall_time, int64_t step, const char *tag, float number, uint8_t *out) {
    Tensorboard__Summary__Value value = TENSORBOARD__SUMMARY__VALUE__INIT;
    value.tag = (char *)tag;
    value.value_case = TENSORBOARD__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
    value.simple_value = number;
    return pack_value(wall_time, step, &value, out);
}

size_t ft_event_picture(double wall_time, int64_t step, const char *tag, int32_t width, int32_t height,
                        int32_t channels, const uint8_t *png, size_t size, uint8_t *out) {
    Tensorboard__Summary__Image image = TENSORBOARD__SUMMARY__IMAGE__INIT;
    image.width = width;
    image.height = height;
    image.colorspace = channels;
    image.encoded_image_string.data = (uint8_t *)png;
    image.encoded_image_string.len = size;
    Tensorboard__Summary__Value value = TENSORBOARD__SUMMARY__VALUE__INIT;
    value.tag = (char *)tag;
    value.value_case = TENSORBOARD__SUMMARY__VALUE__VALUE_IMAGE;
    value.image = &image;
    return pack_value(wall_time, step, &value, out);
}

uint32_t ft_crc32c(const uint8_t *bytes, size_t count) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82F63B78 & -(crc & 1));
    }
    return ~crc;
}
