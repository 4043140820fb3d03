#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CFiles.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#if defined(__linux__) && defined(SYS_openat2)

// Declared here because older kernel headers lack <linux/openat2.h>; the layout is the kernel's ABI.
struct ft_open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

enum {
    FT_RESOLVE_NO_MAGICLINKS = 0x02,
    FT_RESOLVE_NO_SYMLINKS = 0x04,
    FT_RESOLVE_BENEATH = 0x08,
};

int ft_open_beneath(int folder, const char *path) {
    struct ft_open_how how = {
        // O_NONBLOCK: opening a FIFO must not wait for a writer.
        .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK,
        .mode = 0,
        .resolve = FT_RESOLVE_BENEATH | FT_RESOLVE_NO_SYMLINKS | FT_RESOLVE_NO_MAGICLINKS,
    };
    for (;;) {
        long descriptor = syscall(SYS_openat2, folder, path, &how, sizeof how);
        if (descriptor >= 0) return (int)descriptor;
        if (errno != EINTR && errno != EAGAIN) return -errno;
    }
}

#else

int ft_open_beneath(int folder, const char *path) {
    (void)folder;
    (void)path;
    return -ENOSYS;
}

#endif
