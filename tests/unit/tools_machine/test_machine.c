/* Which memory, which registers, which paging: what an image says, and what the command line says in its place. */
#include "tools/machine/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define FLAGS       (ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP)
#define IMAGE_PAGES 8

/* A raw image with 4-level tables at 0x1000 to 0x4000 that map linear 0x5000 to 0x6000, and 0x6000 to 0x5000. */
struct raw_image {
    char path[32];
};

static void make_image(struct raw_image *image)
{
    static uint64_t memory[IMAGE_PAGES][512];
    FILE *file;

    memset(memory, 0, sizeof(memory));
    memory[1][0] = 0x2003;
    memory[2][0] = 0x3003;
    memory[3][0] = 0x4003;
    memory[4][5] = 0x6003;
    memory[4][6] = 0x5003;
    memset(memory[5], 'b', sizeof(memory[5]));
    memset(memory[6], 'a', sizeof(memory[6]));
    *image = (struct raw_image){ "/tmp/vmmu-machine-XXXXXX" };
    file = fdopen(mkstemp(image->path), "w");
    EXPECT(file != NULL);
    EXPECT_EQ(fwrite(memory, 1, sizeof(memory), file), sizeof(memory));
    fclose(file);
}

/* Open @image as the words of a command line say, up to NULL. */
static bool open_with(const struct raw_image *image, struct machine *machine, struct complaint *complaint,
                      const char *const *words)
{
    struct machine_options options = { 0 };
    char *arguments[16] = { strdup("test") };
    int count = 1;
    error_t status;

    for (; words[count - 1]; count++) {
        arguments[count] = strdup(words[count - 1]);
    }
    status = argp_parse(&machine_argp, count, arguments, FLAGS, NULL, &options);
    for (int i = 0; i < count; i++) {
        free(arguments[i]);
    }
    EXPECT_EQ(status, 0);
    return machine_open(image->path, &options, machine, complaint);
}

static void expect_complaint(const char *const *words, const char *part)
{
    struct raw_image image;
    struct machine machine;
    struct complaint complaint = { .text = "" };

    make_image(&image);
    EXPECT(!open_with(&image, &machine, &complaint, words));
    EXPECT(complaint.usage);
    unlink(image.path);
    if (!strstr(complaint.text, part)) {
        fail_msg("'%s' is not in: %s", part, complaint.text);
    }
}

static void test_a_raw_image_without_cr3_is_refused(void **state)
{
    (void)state;
    expect_complaint((const char *const[]){ NULL }, "--cr3");
}

static void test_a_processor_that_is_not_there_is_refused(void **state)
{
    (void)state;
    expect_complaint((const char *const[]){ "--cr3", "1000", "--cpu", "1", NULL }, "0 processors");
}

static void test_options_for_another_kind_of_image_are_refused(void **state)
{
    (void)state;
    expect_complaint((const char *const[]){ "--cr3", "1000", "--host", NULL }, "--host");
    expect_complaint((const char *const[]){ "--cr3", "1000", "--partition", "1", NULL }, "--partition");
}

static void test_an_eptp_with_a_walk_length_of_two_is_refused(void **state)
{
    (void)state;
    expect_complaint((const char *const[]){ "--cr3", "1000", "--ept", "100e", NULL }, "EPTP");
}

static void test_a_misaligned_ncr3_is_refused(void **state)
{
    (void)state;
    expect_complaint((const char *const[]){ "--cr3", "1000", "--ncr3", "1008", NULL }, "--ncr3");
}

static void test_a_root_beyond_the_width_of_addresses_is_refused(void **state)
{
    (void)state;
    expect_complaint((const char *const[]){ "--cr3", "100000001000", "--maxphyaddr", "40", NULL },
                     "CR3 0x100000001000");
}

static void test_paging_without_protection_is_refused(void **state)
{
    (void)state;
    expect_complaint((const char *const[]){ "--cr3", "1000", "--cr0", "80000000", NULL }, "no processor");
}

static void test_each_mode_can_be_chosen(void **state)
{
    static const char *const words[] = { "none", "32bit", "pae", "4level", "5level" };
    struct raw_image image;

    (void)state;
    make_image(&image);
    for (unsigned mode = 0; mode < sizeof(words) / sizeof(*words); mode++) {
        struct machine machine;
        struct complaint complaint;

        EXPECT(open_with(&image, &machine, &complaint,
                         (const char *const[]){ "--cr3", "1000", "--mode", words[mode], NULL }));
        EXPECT_EQ(machine.mode.paging, mode);
        machine_close(&machine);
    }
    unlink(image.path);
}

static void test_bytes_across_two_pages_come_from_both(void **state)
{
    struct raw_image image;
    struct machine machine;
    struct complaint complaint;
    char bytes[5] = "";

    (void)state;
    make_image(&image);
    EXPECT(open_with(&image, &machine, &complaint, (const char *const[]){ "--cr3", "1000", NULL }));
    EXPECT(machine_read(&machine, 0x5ffe, bytes, 4));
    assert_string_equal(bytes, "aabb");
    EXPECT(!machine_read(&machine, 0x6ffe, bytes, 4));
    EXPECT(!machine_read(&machine, UINT64_C(0x8000000000000000), bytes, 1));
    machine_close(&machine);
    unlink(image.path);
}

static void test_memory_counts_from_the_base(void **state)
{
    struct raw_image image;
    struct machine machine;
    struct complaint complaint;
    char byte = 0;

    (void)state;
    make_image(&image);
    EXPECT(open_with(&image, &machine, &complaint,
                     (const char *const[]){ "--mode", "none", "--base", "100000", NULL }));
    EXPECT(!machine_read(&machine, 0x5000, &byte, 1));
    EXPECT(machine_read(&machine, 0x105000, &byte, 1));
    EXPECT_EQ(byte, 'b');
    machine_close(&machine);
    unlink(image.path);
}

/* QEMU leaves bit 5 in PDPTEs, which are reserved there: what the processor had loaded is meant. */
static void test_pdptes_that_an_emulator_marked_accessed_are_as_they_were_loaded(void **state)
{
    static uint64_t memory[IMAGE_PAGES][512];
    struct raw_image image = { "/tmp/vmmu-machine-XXXXXX" };
    const int file = mkstemp(image.path);
    struct machine machine;
    struct complaint complaint;
    char byte = 0;

    (void)state;
    memory[1][0] = 0x2021;
    memory[2][0] = 0x3023;
    memory[3][5] = 0x6023;
    memset(memory[6], 'a', sizeof(memory[6]));
    EXPECT_EQ(write(file, memory, sizeof(memory)), sizeof(memory));
    close(file);
    EXPECT(open_with(&image, &machine, &complaint,
                     (const char *const[]){ "--cr3", "1000", "--mode", "pae", NULL }));
    EXPECT(!machine.mode.pdpte_in_memory);
    EXPECT_EQ(machine.mode.pdpte[0], 0x2001);
    EXPECT(machine_read(&machine, 0x5123, &byte, 1));
    EXPECT_EQ(byte, 'a');
    machine_close(&machine);
    unlink(image.path);
}

static void test_another_cr3_keeps_the_mode(void **state)
{
    struct raw_image image;
    struct machine machine;
    struct complaint complaint;
    struct vmmu_x86_mode mode;

    (void)state;
    make_image(&image);
    EXPECT(open_with(&image, &machine, &complaint, (const char *const[]){ "--cr3", "1000", NULL }));
    EXPECT(machine_mode_of(&machine, 0x2000, &mode, &complaint));
    EXPECT_EQ(mode.paging, VMMU_X86_PAGING_4LEVEL);
    EXPECT_EQ(mode.root.v, 0x2000);
    EXPECT(!machine_mode_of(&machine, BIT64(60), &mode, &complaint));
    machine_close(&machine);
    unlink(image.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_raw_image_without_cr3_is_refused),
        cmocka_unit_test(test_a_processor_that_is_not_there_is_refused),
        cmocka_unit_test(test_options_for_another_kind_of_image_are_refused),
        cmocka_unit_test(test_an_eptp_with_a_walk_length_of_two_is_refused),
        cmocka_unit_test(test_a_misaligned_ncr3_is_refused),
        cmocka_unit_test(test_a_root_beyond_the_width_of_addresses_is_refused),
        cmocka_unit_test(test_paging_without_protection_is_refused),
        cmocka_unit_test(test_each_mode_can_be_chosen),
        cmocka_unit_test(test_bytes_across_two_pages_come_from_both),
        cmocka_unit_test(test_memory_counts_from_the_base),
        cmocka_unit_test(test_pdptes_that_an_emulator_marked_accessed_are_as_they_were_loaded),
        cmocka_unit_test(test_another_cr3_keeps_the_mode),
    };

    return RUN_TESTS(tests);
}
