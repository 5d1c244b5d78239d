/*
 * Raw memory images, from any address on.
 *
 * Input: the address, then the file; at its end, once more, where to look.
 */
#include "tests/fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct image_options options = { .format = IMAGE_RAW };
    struct image *image;

    options.raw_base = input_u64(&input);
    image = fuzz_image_open(input.next, input.left, &options);
    FUZZ_CHECK((image != NULL) ==
               (input.left != 0 && vmmu_range_fits(options.raw_base, input.left, BIT64(52))));
    if (image != NULL)
        fuzz_image_use(image, &input);
    return 0;
}
