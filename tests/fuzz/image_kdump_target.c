/*
 * Compressed kdump files, flattened or not: headers, maps of pages, pages and notes.
 *
 * Input: a byte of which bit 0 says that the file is flattened, and bit 1 that places and sizes of its pieces are changed by the
 * input's last bytes; how many bytes of the file are cut off at its end; then changes to a sound dump of 256 pages, each a place, a
 * count, and that many bytes.
 */
#include <endian.h>

#include "tests/fuzz/image.h"

#define BLOCK            ((size_t)0x1000)
#define DESCRIPTOR_BYTES ((size_t)24)
#define PAGES            256
#define STORED           3 /* pages that are in the file */
#define FILE_BYTES       (5 * BLOCK + STORED * (BLOCK + DESCRIPTOR_BYTES))
#define CHANGES_MOST     64
#define PIECE_BYTES      0x800
#define PIECES           ((FILE_BYTES + PIECE_BYTES - 1) / PIECE_BYTES)
#define FLAT_BYTES       (BLOCK + FILE_BYTES + 16 * (PIECES + 1))
#define LOOKS_BYTES      64

/* Bits of the first byte. */
#define FLATTENED        1
#define FRAMES_CHANGED   2

struct dump {
    uint8_t bytes[FILE_BYTES];
};

static void put(struct dump *dump, size_t at, uint64_t value, size_t bytes)
{
    memcpy(dump->bytes + at, &value, bytes);
}

/* The headers: version, machine, block size, blocks of the second header and of the maps, pages, processors. */
static void make_headers(struct dump *dump)
{
    memcpy(dump->bytes, "KDUMP   ", 8);
    put(dump, 8, 6, 4);
    memcpy(dump->bytes + 272, "x86_64", 6);
    put(dump, 428, BLOCK, 4);
    put(dump, 432, 1, 4);
    put(dump, 436, 2, 4);
    put(dump, 440, PAGES, 4);
    put(dump, 460, 1, 4);
    put(dump, BLOCK + 96, PAGES, 8);
    /* Room for a note: its header, then what the input puts there. */
    put(dump, BLOCK + 48, BLOCK + 0x200, 8);
    put(dump, BLOCK + 56, 0x200, 8);
}

/* Two maps with the first pages, their descriptors, and the pages as they are. */
static void make_pages(struct dump *dump)
{
    const size_t descriptors = 4 * BLOCK;
    const size_t contents = descriptors + STORED * DESCRIPTOR_BYTES;

    put(dump, 2 * BLOCK, BIT64(STORED) - 1, 8);
    put(dump, 3 * BLOCK, BIT64(STORED) - 1, 8);
    for (unsigned i = 0; i < STORED; i++) {
        put(dump, descriptors + i * DESCRIPTOR_BYTES, contents + i * BLOCK, 8);
        put(dump, descriptors + i * DESCRIPTOR_BYTES + 8, BLOCK, 4);
        memset(dump->bytes + contents + i * BLOCK, (int)(0x10 + i), BLOCK);
    }
}

static void change(struct dump *dump, struct input *input)
{
    for (unsigned i = 0; i < CHANGES_MOST && input_more(input); i++) {
        const size_t at = input_u16(input) % FILE_BYTES;
        const size_t wanted = input_u8(input);

        input_copy(input, dump->bytes + at, wanted < FILE_BYTES - at ? wanted : FILE_BYTES - at);
    }
}

/* Pieces with their places, big-endian, and an end mark; the input may change what frames them. */
static size_t flatten(const struct dump *dump, struct input *input, uint8_t *flat)
{
    uint8_t *to = flat + BLOCK;

    memset(flat, 0, BLOCK);
    memcpy(flat, "makedumpfile", sizeof("makedumpfile"));
    for (unsigned i = 0; i <= PIECES; i++) {
        const size_t at = i * (size_t)PIECE_BYTES;
        const size_t bytes = at >= FILE_BYTES                ? 0
                             : FILE_BYTES - at < PIECE_BYTES ? FILE_BYTES - at
                                                             : PIECE_BYTES;
        const uint64_t frame[2] = { htobe64((i == PIECES ? UINT64_MAX : at) ^ input_u16(input)),
                                    htobe64((i == PIECES ? UINT64_MAX : bytes) ^ input_u16(input)) };

        memcpy(to, frame, sizeof(frame));
        memcpy(to + sizeof(frame), dump->bytes + (bytes == 0 ? 0 : at), bytes);
        to += sizeof(frame) + bytes;
    }
    return (size_t)(to - flat);
}

/* The file that the input makes of a sound dump, in @file, which has room for either form: its size. */
static size_t make_file(struct input *input, struct input *looks, uint8_t *file)
{
    struct dump *const dump = calloc(1, sizeof(*dump));
    struct input no_frames = { 0 };
    const uint8_t form = input_u8(input);
    const size_t cut = input_u16(input);
    size_t bytes = FILE_BYTES;

    FUZZ_CHECK(dump != NULL);
    make_headers(dump);
    make_pages(dump);
    change(dump, input);
    if (form & FLATTENED) {
        bytes = flatten(dump, form & FRAMES_CHANGED ? looks : &no_frames, file);
    } else {
        memcpy(file, dump->bytes, FILE_BYTES);
    }
    free(dump);
    return bytes - cut % bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t skipped = size > LOOKS_BYTES ? size - LOOKS_BYTES : 0;
    struct input looks = input_of(data + skipped, size - skipped);
    struct input input = input_of(data, size);
    uint8_t *const file = malloc(FLAT_BYTES);
    struct image *image;

    FUZZ_CHECK(file != NULL);
    image = fuzz_image_open(file, make_file(&input, &looks, file), &(struct image_options){ 0 });
    free(file);
    if (image != NULL)
        fuzz_image_use(image, &looks);
    return 0;
}
