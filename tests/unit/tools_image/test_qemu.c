/*
 * Dumps that QEMU writes: one machine, dumped in each form at the same stop, is the same machine.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tools_image/build.h"

#define MEMORY_BYTES 0x1000000

/* Forms of dump-guest-memory: an ELF core, one with linear addresses by the tables, and kdump compressed by zlib. */
static const char *const forms[] = { "", "-p", "-z" };

#define FORMS (sizeof(forms) / sizeof(forms[0]))

/* Have @program run its firmware for a moment on two processors, and dump them as FOLDER/0, FOLDER/1.... */
static void dump(const char *program, const char *folder)
{
    char command[256];
    FILE *monitor;

    (void)snprintf(command, sizeof(command),
                   "timeout 60 %s -m %u -smp 2 -display none -net none -monitor stdio > %s/said 2>&1",
                   program, MEMORY_BYTES >> 20, folder);
    monitor = popen(command, "w");
    EXPECT(monitor != NULL);
    EXPECT_EQ(usleep(700000), 0);
    fprintf(monitor, "stop\n");
    for (unsigned i = 0; i < FORMS; i++)
        fprintf(monitor, "dump-guest-memory %s %s/%u\n", forms[i], folder, i);
    fprintf(monitor, "quit\n");
    EXPECT_EQ(pclose(monitor), 0);
}

static struct image *open_dump(const char *folder, unsigned form)
{
    static char paths[FORMS][64];
    struct complaint complaint = { .text = "" };
    struct image *image;

    (void)snprintf(paths[form], sizeof(paths[form]), "%s/%u", folder, form);
    image = image_open(paths[form], &(struct image_options){ 0 }, &complaint);
    if (image == NULL)
        fail_msg("it was refused: %s", complaint.text);
    EXPECT_EQ(unlink(paths[form]), 0);
    return image;
}

static void expect_same_memory(const struct image *one, const struct image *other)
{
    static uint8_t a[0x10000];
    static uint8_t b[0x10000];

    EXPECT_EQ(one->range_count, other->range_count);
    for (unsigned i = 0; i < one->range_count; i++) {
        const struct image_range *const range = &one->ranges[i];

        EXPECT_EQ(range->base, other->ranges[i].base);
        EXPECT_EQ(range->size_bytes, other->ranges[i].size_bytes);
        EXPECT_EQ(range->size_bytes % sizeof(a), 0);
        for (uint64_t at = 0; at < range->size_bytes; at += sizeof(a)) {
            EXPECT(image_read(one, range->base + at, a, sizeof(a)));
            EXPECT(image_read(other, range->base + at, b, sizeof(b)));
            assert_memory_equal(a, b, sizeof(a));
        }
    }
}

static void expect_same_processors(const struct image *one, const struct image *other)
{
    EXPECT_EQ(one->processor_count, 2);
    EXPECT_EQ(other->processor_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct image_processor *const a = &one->processors[i];
        const struct image_processor *const b = &other->processors[i];

        EXPECT(a->has_paging && a->has_registers && b->has_paging && b->has_registers);
        EXPECT_EQ(a->paging.cr0, b->paging.cr0);
        EXPECT_EQ(a->paging.cr3, b->paging.cr3);
        EXPECT_EQ(a->paging.efer, b->paging.efer);
        EXPECT_EQ(a->state.rip, b->state.rip);
        assert_memory_equal(a->state.gpr, b->state.gpr, sizeof(a->state.gpr));
        assert_memory_equal(a->state.segment, b->state.segment, sizeof(a->state.segment));
    }
}

/* The dumps of @program are one machine, with the firmware's reset vector at the end of the first 4 GiB. */
static void compare_forms(const char *program)
{
    char folder[] = "/tmp/vmmu-unit-XXXXXX";
    char said[64];
    struct image *plain;

    EXPECT(mkdtemp(folder) != NULL);
    dump(program, folder);
    plain = open_dump(folder, 0);
    EXPECT_EQ(plain->format, IMAGE_ELF);
    EXPECT_EQ(plain->ranges[0].base, 0);
    EXPECT_EQ(plain->ranges[1].base + plain->ranges[1].size_bytes, MEMORY_BYTES);
    expect_byte(plain, 0xFFFFFFF0, 0xEA);
    for (unsigned form = 1; form < FORMS; form++) {
        struct image *const packed = open_dump(folder, form);

        EXPECT_EQ(packed->format, forms[form][1] == 'z' ? IMAGE_KDUMP : IMAGE_ELF);
        expect_same_memory(plain, packed);
        expect_same_processors(plain, packed);
        image_close(packed);
    }
    image_close(plain);
    (void)snprintf(said, sizeof(said), "%s/said", folder);
    EXPECT_EQ(unlink(said), 0);
    EXPECT_EQ(rmdir(folder), 0);
}

static void test_all_forms_of_a_64_bit_machine_are_the_same_machine(void **state)
{
    (void)state;
    compare_forms("qemu-system-x86_64");
}

static void test_all_forms_of_a_32_bit_machine_are_the_same_machine(void **state)
{
    (void)state;
    compare_forms("qemu-system-i386");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_forms_of_a_64_bit_machine_are_the_same_machine),
        cmocka_unit_test(test_all_forms_of_a_32_bit_machine_are_the_same_machine),
    };

    return RUN_TESTS(tests);
}
