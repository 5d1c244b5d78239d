/*
 * Images made by the tests, byte by byte.
 */
#ifndef TESTS_UNIT_TOOLS_IMAGE_BUILD_H
#define TESTS_UNIT_TOOLS_IMAGE_BUILD_H

#include <elf.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tools/image/image.h"

/* A piece of a file; begins zeroed. */
struct bytes {
    uint8_t *data;
    size_t size;
    size_t room;
};

void put(struct bytes *bytes, const void *from, size_t size);
void put_u32(struct bytes *bytes, uint32_t value);
void put_u64(struct bytes *bytes, uint64_t value);
void put_fill(struct bytes *bytes, uint8_t value, size_t size);
void put_zeros_to(struct bytes *bytes, size_t size);
void drop(struct bytes *bytes);

/* Change what is there already. */
void patch_u16(struct bytes *bytes, size_t at, uint16_t value);
void patch_u32(struct bytes *bytes, size_t at, uint32_t value);
void patch_u64(struct bytes *bytes, size_t at, uint64_t value);

/* One note, padded. */
void put_note(struct bytes *bytes, const char *name, uint32_t type, const struct bytes *content);

/* A segment of a core. */
struct segment {
    uint32_t type;
    uint64_t physical;
    struct bytes content;
    uint64_t more_bytes; /* that it says to have beyond what is in the file */
};

/* An ELF core; the contents stand behind the headers, in order. */
void put_core64(struct bytes *core, uint16_t machine, const struct segment *segments, size_t count);
void put_core32(struct bytes *core, uint16_t machine, const struct segment *segments, size_t count);

/* Where in a 64-bit core the header of segment @index is. */
size_t header_of(unsigned index);

/* The same bytes as a file, which has no name any more; then opened. The path that complaints name ends in "image". */
int file_of(const struct bytes *bytes);
struct image *open_bytes(const struct bytes *bytes, enum image_format format, struct complaint *complaint);

/* @pointer, which the test fails without. */
void *there(void *pointer);

/* The same image, or the test fails and says what is complained of. */
struct image *open_sound_bytes(const struct bytes *bytes);

/* Expect that opening fails with a sentence that holds @words, and names the file. */
void expect_refused(const struct bytes *bytes, enum image_format format, const char *words);

/* Expect @image to have the byte @value at @address; or nothing, if it is negative. */
void expect_byte(const struct image *image, uint64_t address, int value);

#endif
