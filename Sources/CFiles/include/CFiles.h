#ifndef FT_FILES_H
#define FT_FILES_H

#include <stddef.h>
#include <stdint.h>

// Opens `path` for reading relative to the folder `folder`, never leaving it and never following a link
// (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS; Swift cannot call the variadic syscall()).
// Returns a descriptor or -errno; -ENOSYS where the kernel or the platform has no openat2.
int ft_open_beneath(int folder, const char *path);

// SHA-256 (FIPS 180-4). A state is 8 words; `block_count` blocks of 64 bytes are absorbed at a time.
void ft_sha256_blocks(uint32_t state[8], const uint8_t *blocks, size_t block_count);

#endif
