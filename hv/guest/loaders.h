/* What the loaders share among themselves. */
#ifndef HV_GUEST_LOADERS_H
#define HV_GUEST_LOADERS_H

#include "hv/guest/pieces.h"
#include "hv/guest/start.h"

/* Whether an image carries the Linux setup header's marks. */
bool linux_is_image(const struct guest_blob *kernel);

/* Whether an image carries a multiboot 1 header with a right checksum in its first 8 KiB. */
bool multiboot_is_image(const struct guest_blob *kernel);

/*
 * Fill @start but for what the protocol puts into RIP, RSI, RAX, RBX; write the GDT,
 * and page tables for LONG64.
 */
VMMU_MUST_USE
enum vmmu_status guest_start_make(const struct guest_memory *memory, struct guest_start *start,
                                  enum guest_start_kind kind, const char **error);

/* What a kernel that follows the Linux boot protocol is to find in its boot parameters. */
struct linux_params {
    const uint8_t *header; /* of the image, from 0x1F1 on; or one of our own */
    unsigned header_bytes;
    uint64_t command_line_limit; /* bytes without the final zero */
    uint64_t initrd_limit;       /* first address that the initrd may not reach */
    uint64_t kernel_end;
};

/* Place initrds and command line, write boot parameters. @pieces holds the kernel already. */
VMMU_MUST_USE
enum vmmu_status linux_write_params(struct pieces *pieces, const struct guest_boot *boot,
                                    const struct linux_params *params, uint64_t load_address,
                                    const char **error);

#endif
