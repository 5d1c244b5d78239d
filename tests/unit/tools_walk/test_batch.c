/* --batch: lines in, lines out. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/walk/second.h"
#include "tools/walk/batch.h"
#include "walked.h"

static struct world world;
static struct batch_result result;
static struct complaint complaint;

/* A file that holds @size_bytes of @text, to be read from its beginning. */
static int file_of(const char *text, size_t size_bytes)
{
    FILE *const file = tmpfile();
    int descriptor;

    EXPECT(file != NULL);
    EXPECT_EQ(fwrite(text, 1, size_bytes, file), size_bytes);
    EXPECT_EQ(fflush(file), 0);
    descriptor = dup(fileno(file));
    fclose(file);
    EXPECT_EQ(lseek(descriptor, 0, SEEK_SET), 0);
    return descriptor;
}

/* What a batch makes of @size_bytes of @text. Free it. @batch: everything but the files. */
static char *answers_of(struct batch batch, const char *text, size_t size_bytes, bool expected)
{
    const int output = file_of("", 0);
    off_t length;
    char *answers;

    batch.name = "addresses";
    batch.input = file_of(text, size_bytes);
    batch.output = output;
    complaint.text[0] = '\0';
    EXPECT_EQ(batch_run(&batch, &result, &complaint), expected);
    length = lseek(output, 0, SEEK_END);
    answers = calloc(1, (size_t)length + 1);
    EXPECT(answers != NULL);
    EXPECT_EQ(pread(output, answers, (size_t)length, 0), length);
    close(batch.input);
    close(output);
    return answers;
}

static void expect_answers(struct batch batch, const char *text, const char *expected)
{
    char *answers = answers_of(batch, text, strlen(text), true);

    assert_string_equal(answers, expected);
    free(answers);
}

/* A user page at 5000 that may be written, a 2 MiB page of the supervisor's at 200000. */
static struct machine small_machine(uint64_t cr4)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);

    registers.cr4 |= cr4;
    world_init(&world);
    const struct machine machine = machine_on(&world, &registers);

    put_chain(&world, &machine.mode, 1, 0x5000, 0x7000 | E_ALL | E_NX);
    put_entry(&world, &machine.mode, 2, 0x200000, UINT64_C(0x12345600000) | E_P | E_PS);
    put_entry(&world, &machine.mode, 2, 0x400000, BIT64(13) | E_P | E_PS);
    return machine;
}

static enum vmmu_status load_mapped(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    if (address > 4 * 4096 - 8 || width_bytes != 8) {
        return VMMU_ABSENT;
    }
    memcpy(value, (const uint8_t *)context + address, 8);
    return VMMU_OK;
}

static void test_an_address_becomes_a_line_of_columns(void **state)
{
    const struct machine machine = small_machine(0);

    (void)state;
    expect_answers((struct batch){ .machine = &machine }, "5123\n0x2abcde\n",
                   "0000000000005123 0000000000007123 4K rw-u\n"
                   "00000000002abcde 00000123456abcde 2M r-xs\n");
    EXPECT_EQ(result.translated, 2);
    EXPECT_EQ(result.faults, 0);
}

static void test_faults_have_their_error_codes(void **state)
{
    const struct machine machine = small_machine(0);

    (void)state;
    expect_answers((struct batch){ .machine = &machine }, "6000\n800000000000\n400000\n",
                   "0000000000006000 fault 0\n"
                   "0000800000000000 fault gp\n"
                   "0000000000400000 fault 9\n");
    EXPECT_EQ(result.translated, 0);
    EXPECT_EQ(result.faults, 3);
}

static void test_only_a_judged_access_can_be_refused(void **state)
{
    const struct machine machine = small_machine(VMMU_X86_CR4_SMAP);
    struct batch batch = { .machine = &machine };

    (void)state;
    expect_answers(batch, "5000\n", "0000000000005000 0000000000007000 4K rw-u\n");
    batch.judged = true;
    expect_answers(batch, "5000\n", "0000000000005000 fault 1\n");
    batch.access = (struct vmmu_x86_access){ .kind = VMMU_X86_EXECUTE, .user = true };
    expect_answers(batch, "5000\n", "0000000000005000 fault 15\n");
}

static void test_tables_outside_memory_are_absent(void **state)
{
    const struct machine machine = small_machine(0);

    (void)state;
    world.absent_base = table_at(&machine.mode, 1);
    world.absent_bytes = 4096;
    expect_answers((struct batch){ .machine = &machine }, "5000\n", "0000000000005000 fault absent\n");
}

static void test_blanks_comments_and_carriage_returns_do_not_count(void **state)
{
    const struct machine machine = small_machine(0);

    (void)state;
    expect_answers((struct batch){ .machine = &machine },
                   "# heading\n\n  \t\n  0X5FFF \t# a page\r\n#\n0000000000005AbC#x\n5000\r\n",
                   "0000000000005fff 0000000000007fff 4K rw-u\n"
                   "0000000000005abc 0000000000007abc 4K rw-u\n"
                   "0000000000005000 0000000000007000 4K rw-u\n");
}

static void test_the_last_line_needs_no_newline(void **state)
{
    const struct machine machine = small_machine(0);

    (void)state;
    expect_answers((struct batch){ .machine = &machine }, "5000",
                   "0000000000005000 0000000000007000 4K rw-u\n");
    expect_answers((struct batch){ .machine = &machine }, "", "");
    expect_answers((struct batch){ .machine = &machine }, "# nothing", "");
}

static void test_a_bad_line_is_named_and_what_came_before_is_answered(void **state)
{
    static const char *const bad[] = { "5000\n\nzz\n", "5000\n#\n5000 6000\n",        "5000\n\n0x\n",
                                       "5000\n\n-5\n", "5000\n\n11112222333344445\n", "5000\n\n5\0006\n" };
    const struct machine machine = small_machine(0);

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const size_t size = i == 5 ? 10 : strlen(bad[i]);
        char *answers = answers_of((struct batch){ .machine = &machine }, bad[i], size, false);

        assert_string_equal(answers, "0000000000005000 0000000000007000 4K rw-u\n");
        expect_part(complaint.text, "addresses: line 3 is no address");
        free(answers);
    }
}

static void test_json_is_an_object_a_line(void **state)
{
    const struct machine machine = small_machine(0);

    (void)state;
    expect_answers((struct batch){ .machine = &machine, .json = true }, "5123\n6000\n800000000000\n",
                   "{\"va\":\"0x5123\",\"pa\":\"0x7123\",\"page_bytes\":4096,\"rights\":\"rw-u\"}\n"
                   "{\"va\":\"0x6000\",\"fault\":\"pf\",\"error\":\"0x0\"}\n"
                   "{\"va\":\"0x800000000000\",\"fault\":\"gp\"}\n");
}

static void test_32_bit_addresses_have_eight_digits(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_32BIT);

    (void)state;
    put_entry(&world, &machine.mode, 2, 0xc0400000, 0x800000 | E_P | E_RW | E_PS);
    expect_answers((struct batch){ .machine = &machine }, "c0412345\n",
                   "c0412345 0000000000812345 4M rwxs\n");
}

static void test_without_paging_the_page_has_4_gib(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_NONE);

    (void)state;
    expect_answers((struct batch){ .machine = &machine }, "c0412345\n",
                   "c0412345 00000000c0412345 4G rwxu\n");
}

static void test_two_stages_lead_to_the_machines_memory(void **state)
{
    struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);
    struct second second = second_ept(&world, 4, false);

    (void)state;
    put_chain(&world, &machine.mode, 2, 0x200000, 0x600000 | E_ALL | E_PS);
    second_map(&second, 2, 0x600000, 0x40000000, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_USER);
    machine.has_second = true;
    machine.second = second.stage2;
    /* The tables of the chain are at 0x1000 and above 0x100000: mapped one to one, the page elsewhere. */
    second_map(&second, 2, 0, 0, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_USER);
    expect_answers((struct batch){ .machine = &machine }, "212345\n",
                   "0000000000212345 0000000040012345 2M r--u\n");
    second_put(&second, 2, 0x600000, 0);
    expect_answers((struct batch){ .machine = &machine }, "212345\n", "0000000000212345 fault ept 181\n");
    world.absent_base = SECOND_ROOT;
    world.absent_bytes = 4096;
    expect_answers((struct batch){ .machine = &machine }, "212345\n", "0000000000212345 fault absent\n");
}

static void test_large_inputs_are_answered_line_by_line(void **state)
{
    const size_t lines = 70000;
    const struct machine machine = small_machine(0);
    char *text = malloc(lines * 6 + 1);
    char *answers;
    const char *at;

    (void)state;
    for (size_t i = 0; i < lines; i++) {
        snprintf(text + i * 6, 7, "05%03x\n", (unsigned)i & 0xfff);
    }
    answers = answers_of((struct batch){ .machine = &machine }, text, lines * 6, true);
    EXPECT_EQ(result.translated, lines);
    at = answers;
    for (unsigned i = 0; i < lines; i++, at += 42) {
        char expected[48];

        snprintf(expected, sizeof(expected), "0000000000005%03x 0000000000007%03x 4K rw-u\n", i & 0xfff,
                 i & 0xfff);
        assert_memory_equal(at, expected, 42);
    }
    EXPECT_EQ(*at, '\0');
    free(answers);
    free(text);
}

/*
 * A machine whose memory is mapped: pieces of a batch go to several threads. Linear addresses up to 2 MiB lead to themselves,
 * and above them nowhere.
 */
static struct machine mapped_machine(void)
{
    static uint64_t memory[4][512];
    static struct image_range range = { .size_bytes = sizeof(memory), .mapped = (const uint8_t *)memory };
    static struct image image = { .ranges = &range, .range_count = 1 };
    struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);

    memory[1][0] = 0x2000 | E_ALL;
    memory[2][0] = 0x3000 | E_ALL;
    memory[3][0] = E_ALL | E_PS;
    image.ram = (struct vmmu_ram){ .context = memory, .load = load_mapped };
    machine.image = &image;
    machine.ram = &image.ram;
    return machine;
}

static void test_answers_of_several_threads_come_in_the_order_of_the_questions(void **state)
{
    const size_t lines = 200000;
    const struct machine machine = mapped_machine();
    char *text = malloc(lines * 7 + 1);
    char *answers;
    const char *at;

    (void)state;
    for (size_t i = 0; i < lines; i++) {
        snprintf(text + i * 7, 8, "%06x\n", (unsigned)i);
    }
    answers = answers_of((struct batch){ .machine = &machine }, text, lines * 7, true);
    EXPECT_EQ(result.translated, lines);
    at = answers;
    for (unsigned i = 0; i < lines; i++, at += 42) {
        char expected[48];

        snprintf(expected, sizeof(expected), "0000000000%06x 0000000000%06x 2M rwxu\n", i, i);
        assert_memory_equal(at, expected, 42);
    }
    EXPECT_EQ(*at, '\0');
    free(answers);
    free(text);
}

static void test_a_bad_line_far_into_the_input_is_counted_over_all_pieces(void **state)
{
    const size_t lines = 100000;
    const size_t bad = 77777;
    const struct machine machine = mapped_machine();
    char *text = malloc(lines * 7 + 1);
    char *answers;

    (void)state;
    for (size_t i = 0; i < lines; i++) {
        snprintf(text + i * 7, 8, "%06x\n", (unsigned)i);
    }
    text[(bad - 1) * 7] = 'z';
    answers = answers_of((struct batch){ .machine = &machine }, text, lines * 7, false);
    EXPECT_EQ(strlen(answers), (bad - 1) * 42);
    expect_part(complaint.text, "addresses: line 77777 is no address");
    free(answers);
    free(text);
}

static void test_the_answers_need_more_room_than_the_questions(void **state)
{
    const size_t lines = 60000;
    const struct machine machine = mapped_machine();
    char *text = malloc(lines * 2 + 1);
    char *answers;

    (void)state;
    for (size_t i = 0; i < lines; i++) {
        text[i * 2] = '5';
        text[i * 2 + 1] = '\n';
    }
    answers = answers_of((struct batch){ .machine = &machine, .json = true }, text, lines * 2, true);
    EXPECT_EQ(strlen(answers),
              lines * strlen("{\"va\":\"0x5\",\"pa\":\"0x5\",\"page_bytes\":2097152,\"rights\":\"rwxu\"}\n"));
    free(answers);
    free(text);
}

static void test_a_line_longer_than_the_buffer_is_refused(void **state)
{
    const size_t size = (size_t)1 << 20;
    const struct machine machine = small_machine(0);
    char *text = malloc(size);

    (void)state;
    memset(text, ' ', size);
    free(answers_of((struct batch){ .machine = &machine }, text, size, false));
    expect_part(complaint.text, "addresses: a line has more than 65536 bytes");
    free(text);
}

static void test_an_output_that_cannot_be_written_is_a_complaint(void **state)
{
    const struct machine machine = small_machine(0);
    struct batch batch = { .machine = &machine, .name = "addresses", .output = -1 };

    (void)state;
    batch.input = file_of("5000\n", 5);
    EXPECT(!batch_run(&batch, &result, &complaint));
    expect_part(complaint.text, "the output cannot be written");
    close(batch.input);
    batch.input = -1;
    EXPECT(!batch_run(&batch, &result, &complaint));
    expect_part(complaint.text, "addresses: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_becomes_a_line_of_columns),
        cmocka_unit_test(test_faults_have_their_error_codes),
        cmocka_unit_test(test_only_a_judged_access_can_be_refused),
        cmocka_unit_test(test_tables_outside_memory_are_absent),
        cmocka_unit_test(test_blanks_comments_and_carriage_returns_do_not_count),
        cmocka_unit_test(test_the_last_line_needs_no_newline),
        cmocka_unit_test(test_a_bad_line_is_named_and_what_came_before_is_answered),
        cmocka_unit_test(test_json_is_an_object_a_line),
        cmocka_unit_test(test_32_bit_addresses_have_eight_digits),
        cmocka_unit_test(test_without_paging_the_page_has_4_gib),
        cmocka_unit_test(test_two_stages_lead_to_the_machines_memory),
        cmocka_unit_test(test_large_inputs_are_answered_line_by_line),
        cmocka_unit_test(test_answers_of_several_threads_come_in_the_order_of_the_questions),
        cmocka_unit_test(test_a_bad_line_far_into_the_input_is_counted_over_all_pieces),
        cmocka_unit_test(test_the_answers_need_more_room_than_the_questions),
        cmocka_unit_test(test_a_line_longer_than_the_buffer_is_refused),
        cmocka_unit_test(test_an_output_that_cannot_be_written_is_a_complaint),
    };

    return RUN_TESTS(tests);
}
