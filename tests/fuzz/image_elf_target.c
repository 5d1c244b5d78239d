/*
 * ELF cores: headers, segments, notes and registers, of any bytes.
 *
 * Input: a byte that says which format is asked for, then the file; where to look comes from its last bytes.
 */
#include "tests/fuzz/image.h"

#define LOOKS_BYTES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum image_format formats[] = { IMAGE_GUESS, IMAGE_ELF, IMAGE_VMMU };
    struct input input = input_of(data, size);
    const struct image_options options = { .format = formats[input_below(&input, 3)] };
    const size_t skipped = input.left > LOOKS_BYTES ? input.left - LOOKS_BYTES : 0;
    struct input looks = input_of(input.next + skipped, input.left - skipped);
    struct image *const image = fuzz_image_open(input.next, input.left, &options);

    if (image == NULL)
        return 0;
    if (image->state != NULL)
        fuzz_partitions_use(image, &looks);
    fuzz_image_use(image, &looks);
    return 0;
}
