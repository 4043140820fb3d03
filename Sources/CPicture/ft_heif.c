#include "ft_codec_private.h"
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

// libheif (LGPL) is opened at run time, where it is there, so that nothing needs it for building. All of its objects are
// opaque; errors are returned by value.

enum { HEIF_RGB = 1, HEIF_INTERLEAVED_RGB = 10, HEIF_INTERLEAVED = 10, HEIF_OUT_OF_MEMORY = 6 };

typedef struct {
    int code, subcode;
    const char *message;
} heif_error;

static struct {
    bool is_found;
    void *(*create)(void);
    void (*destroy)(void *);
    heif_error (*read)(void *, const void *, size_t, const void *);
    heif_error (*primary)(void *, void **);
    void (*release_handle)(void *);
    int (*width)(const void *), (*height)(const void *);
    heif_error (*decode)(const void *, void **, int, int, const void *);
    void (*release_image)(void *);
    int (*plane_width)(const void *, int), (*plane_height)(const void *, int);
    const uint8_t *(*plane)(const void *, int, int *);
} heif;

static void open_library(void) {
    void *library = dlopen("libheif.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    *(void **)&heif.create = dlsym(library, "heif_context_alloc");
    *(void **)&heif.destroy = dlsym(library, "heif_context_free");
    *(void **)&heif.read = dlsym(library, "heif_context_read_from_memory_without_copy");
    *(void **)&heif.primary = dlsym(library, "heif_context_get_primary_image_handle");
    *(void **)&heif.release_handle = dlsym(library, "heif_image_handle_release");
    *(void **)&heif.width = dlsym(library, "heif_image_handle_get_width");
    *(void **)&heif.height = dlsym(library, "heif_image_handle_get_height");
    *(void **)&heif.decode = dlsym(library, "heif_decode_image");
    *(void **)&heif.release_image = dlsym(library, "heif_image_release");
    *(void **)&heif.plane_width = dlsym(library, "heif_image_get_width");
    *(void **)&heif.plane_height = dlsym(library, "heif_image_get_height");
    *(void **)&heif.plane = dlsym(library, "heif_image_get_plane_readonly");
    heif.is_found = heif.create && heif.destroy && heif.read && heif.primary && heif.release_handle && heif.width &&
                    heif.height && heif.decode && heif.release_image && heif.plane_width && heif.plane_height && heif.plane;
}

int ft_heif_is_available(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_library);
    return heif.is_found;
}

static int fail_reading(heif_error problem, ft_codec_error *error) {
    int status = problem.code == HEIF_OUT_OF_MEMORY ? FT_CODEC_OUT_OF_MEMORY : FT_CODEC_CORRUPT;
    return ft_codec_fail(error, status, "%s", problem.message ? problem.message : "libheif cannot decode the data");
}

// The picture as it is to be shown: libheif turns and cuts it as the file says.
static int read_pixels(const void *handle, const ft_codec_info *info, uint8_t *pixels, ft_codec_error *error) {
    void *image = NULL;
    heif_error problem = heif.decode(handle, &image, HEIF_RGB, HEIF_INTERLEAVED_RGB, NULL);
    if (problem.code != 0 || !image) return fail_reading(problem, error);
    int stride = 0;
    const uint8_t *plane = heif.plane(image, HEIF_INTERLEAVED, &stride);
    size_t row = (size_t)info->width * 3;
    if (plane && stride > 0 && (size_t)stride >= row && heif.plane_width(image, HEIF_INTERLEAVED) == (int)info->width &&
        heif.plane_height(image, HEIF_INTERLEAVED) == (int)info->height) {
        for (uint32_t y = 0; y < info->height; y++) memcpy(pixels + y * row, plane + (size_t)y * (size_t)stride, row);
    } else {
        ft_codec_fail(error, FT_CODEC_CORRUPT, "the picture has another size than its header tells");
    }
    heif.release_image(image);
    return error->status;
}

int ft_heif_decode(const uint8_t *data, size_t size, const ft_codec_limits *limits, ft_codec_info *info,
                   uint8_t *pixels, size_t capacity, ft_codec_error *error) {
    ft_codec_begin(info, error);
    if (!ft_heif_is_available())
        return ft_codec_fail(error, FT_CODEC_UNSUPPORTED, "a HEIC picture needs libheif (apt install libheif1)");
    void *context = heif.create(), *handle = NULL;
    if (!context) return ft_codec_fail(error, FT_CODEC_OUT_OF_MEMORY, "no memory for the HEIC decoder");
    heif_error problem = heif.read(context, data, size, NULL);
    if (problem.code == 0) problem = heif.primary(context, &handle);
    if (problem.code != 0 || !handle) {
        fail_reading(problem, error);
    } else {
        int width = heif.width(handle), height = heif.height(handle);
        *info = (ft_codec_info){(uint32_t)(width > 0 ? width : 0), (uint32_t)(height > 0 ? height : 0), 3, 0};
        if (ft_codec_check_size(info->width, info->height, size, FT_CODEC_ANY_PIXELS_PER_BYTE, limits, error) ==
                FT_CODEC_OK &&
            pixels && ft_codec_check_capacity(info, capacity, error) == FT_CODEC_OK)
            read_pixels(handle, info, pixels, error);
        heif.release_handle(handle);
    }
    heif.destroy(context);
    return error->status;
}
