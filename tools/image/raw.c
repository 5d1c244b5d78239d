/*
 * Memory and nothing else: the first byte of the file is at the address that the caller gives.
 */
#include "tools/image/source.h"

static bool open_raw(struct image_opened *opened, const struct image_options *options,
                     struct complaint *complaint)
{
    const struct image_file *const file = &opened->file;

    if (!vmmu_range_fits(options->raw_base, file->size_bytes, IMAGE_ADDRESS_LIMIT)) {
        return complain(complaint,
                        "0x%llx bytes from address 0x%llx on end beyond what a processor addresses, 52 bits",
                        (unsigned long long)file->size_bytes, (unsigned long long)options->raw_base);
    }
    image_memory_add(&opened->memory, options->raw_base, file->size_bytes, file->bytes);
    opened->image.format = IMAGE_RAW;
    return true;
}

const struct image_source image_source_raw = { .open = open_raw };
