/*
 * Images that are damaged at random. Nothing may be read beyond the image or written outside the guest's
 * memory (the sanitizers watch), a refusal comes with a sentence, and what is accepted starts inside memory.
 */
#include "tests/unit/guest/room.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 3000

static uint64_t seed = 0x853C49E6748FEA9B;

static uint64_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 11;
}

/* Values that break arithmetic more often than random ones do. */
static uint64_t nasty_value(void)
{
    static const uint64_t values[] = { 0,
                                       1,
                                       0x7F,
                                       0x80,
                                       0xFF,
                                       0xFFFF,
                                       0x10000,
                                       0x7FFFFFFF,
                                       0x80000000,
                                       0xFFFFFFFF,
                                       UINT64_C(0x7FFFFFFFFFFFFFFF),
                                       UINT64_C(0x8000000000000000),
                                       UINT64_MAX,
                                       UINT64_C(0xFFFFFFFFFFFFF000),
                                       0x100000,
                                       0x1000 };
    const uint64_t value = values[next_random() % (sizeof(values) / sizeof(values[0]))];

    return next_random() % 2 != 0 ? value : value - next_random() % 4096;
}

/* Damage up to four fields of 1, 2, 4 or 8 bytes among the first @reach bytes; sometimes cut the file. */
static struct image damaged(const struct image *image, uint64_t reach)
{
    const bool cut = next_random() % 8 == 0;
    struct image copy = image_cut(image, cut ? next_random() % image->size : image->size);

    for (unsigned i = 0; i < 1 + next_random() % 4; i++) {
        const unsigned bytes = 1u << next_random() % 4;
        const uint64_t value = next_random() % 3 == 0 ? next_random() : nasty_value();
        const uint64_t at = next_random() % reach;

        if (at + bytes <= copy.size) {
            memcpy(copy.bytes + at, &value, bytes);
        }
    }
    return copy;
}

/* Returns how many of the damaged images were loaded all the same. */
static unsigned try_all(const struct image *image, uint64_t reach)
{
    struct room room = room_open(8 * MIB);
    unsigned accepted = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct image copy = damaged(image, reach);
        const char *error = NULL;
        struct guest_start start;
        struct guest_boot boot = { .kernel = blob_of(&copy), .command_line = "quiet", .modules = 1 };
        enum vmmu_status status;

        boot.module[0] = (struct guest_blob){ .bytes = image->bytes, .size = 100 + next_random() % 1000 };
        status = guest_load(&room.memory, &room.layout, &boot, &start, &error);
        if (status == VMMU_OK) {
            EXPECT(start.rip < room.size);
            EXPECT(start.rip >= 0x30000);
            accepted++;
        } else {
            EXPECT(status == VMMU_INVALID || status == VMMU_NO_MEMORY);
            EXPECT(error != NULL && strlen(error) > 10);
        }
        image_free(&copy);
    }
    room_close(&room);
    return accepted;
}

static void test_damaged_bzimages_are_loaded_or_refused(void **state)
{
    struct image image = bzimage();
    const unsigned accepted = try_all(&image, 0x290);

    (void)state;
    EXPECT(accepted > 0 && accepted < ROUNDS);
    image_free(&image);
}

static void test_damaged_vmlinuxes_are_loaded_or_refused(void **state)
{
    static const struct segment_spec segments[2] = { { 0x200000, 0x200000, 0x400, 0x1000 },
                                                     { 0x300000, 0x300000, 0x400, 0x3000 } };
    struct image image = elf_image(true, 0x200010, segments, 2);
    const unsigned accepted = try_all(&image, elf_header_at(true, 2));

    (void)state;
    EXPECT(accepted > 0 && accepted < ROUNDS);
    image_free(&image);
}

static void test_damaged_multiboot_elfs_are_loaded_or_refused(void **state)
{
    static const struct segment_spec segments[2] = { { 0x200000, 0x200000, 0x400, 0x1000 },
                                                     { 0x300000, 0x300000, 0x400, 0x3000 } };
    struct image image = elf_image(false, 0x200010, segments, 2);
    unsigned accepted;

    (void)state;
    set_multiboot(&image, elf_header_at(false, 2), 0, NULL);
    accepted = try_all(&image, elf_header_at(false, 2) + 12);
    EXPECT(accepted > 0 && accepted < ROUNDS);
    image_free(&image);
}

static void test_damaged_flat_multiboot_images_are_loaded_or_refused(void **state)
{
    static const struct segment_spec filler = { 0, 0, 0x600 - 84, 0x600 };
    static const uint32_t addresses[5] = { 0x300008, 0x300000, 0x300500, 0x300700, 0x300100 };
    struct image image = elf_image(false, 0, &filler, 1);
    unsigned accepted;

    (void)state;
    memset(image.bytes, 0, image.size);
    set_multiboot(&image, 8, 0x10000, addresses);
    accepted = try_all(&image, 64);
    EXPECT(accepted > 0 && accepted < ROUNDS);
    image_free(&image);
}

static void test_random_bytes_are_refused(void **state)
{
    struct room room = room_open(8 * MIB);

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint64_t size = next_random() % 600;
        uint8_t *bytes = malloc(size + (size == 0));
        struct guest_boot boot = { .kernel = { .bytes = bytes, .size = size } };
        const char *error = NULL;
        struct guest_start start;

        for (uint64_t j = 0; j < size; j++) {
            bytes[j] = (uint8_t)next_random();
        }
        EXPECT_EQ(guest_load(&room.memory, &room.layout, &boot, &start, &error), VMMU_INVALID);
        EXPECT(error != NULL);
        EXPECT_EQ(guest_load_vmlinux(&room.memory, &room.layout, &boot, &start, &error), VMMU_INVALID);
        EXPECT_EQ(guest_load_multiboot(&room.memory, &room.layout, &boot, &start, &error), VMMU_INVALID);
        EXPECT_EQ(guest_load_linux(&room.memory, &room.layout, &boot, &start, &error), VMMU_INVALID);
        free(bytes);
    }
    room_close(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_bzimages_are_loaded_or_refused),
        cmocka_unit_test(test_damaged_vmlinuxes_are_loaded_or_refused),
        cmocka_unit_test(test_damaged_multiboot_elfs_are_loaded_or_refused),
        cmocka_unit_test(test_damaged_flat_multiboot_images_are_loaded_or_refused),
        cmocka_unit_test(test_random_bytes_are_refused),
    };

    return RUN_TESTS(tests);
}
