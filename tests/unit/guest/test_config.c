/* The hypervisor's command line and its modules' words. */
#include "hv/guest/config.h"

#include <string.h>

#include "tests/unit/test.h"

static const char *error;
static const char *at;

static void test_an_empty_line_gives_the_defaults(void **state)
{
    struct config config;

    (void)state;
    EXPECT_EQ(config_parse("", &config, &error, &at), VMMU_OK);
    EXPECT_EQ(config.memory_bytes, 256u << 20);
    EXPECT(config.enlightenments);
    EXPECT_EQ(config.firmware, GUEST_FIRMWARE_ACPI);
    EXPECT(strncmp(config.technique, "nested", config.technique_length) == 0);
}

static void test_every_word_sets_what_it_names(void **state)
{
    struct config config;

    (void)state;
    EXPECT_EQ(
        config_parse("  memory=2G mmu=shadow\tenlightenments=off firmware=both\n", &config, &error, &at),
        VMMU_OK);
    EXPECT_EQ(config.memory_bytes, UINT64_C(2) << 30);
    EXPECT_EQ(config.technique_length, 6);
    EXPECT(strncmp(config.technique, "shadow", 6) == 0);
    EXPECT(!config.enlightenments);
    EXPECT_EQ(config.firmware, GUEST_FIRMWARE_BOTH);
}

static void test_the_pool_and_its_test_switch_are_counts(void **state)
{
    struct config config;

    (void)state;
    EXPECT_EQ(config_parse("", &config, &error, &at), VMMU_OK);
    EXPECT_EQ(config.pool_pages, 0);
    EXPECT_EQ(config.drop_exits, 0);
    EXPECT_EQ(config.seed, 1);
    EXPECT_EQ(config_parse("mmu=shadow pool=96 drop=5000 seed=4294967295", &config, &error, &at), VMMU_OK);
    EXPECT_EQ(config.pool_pages, 96);
    EXPECT_EQ(config.drop_exits, 5000);
    EXPECT_EQ(config.seed, UINT32_MAX);
}

static void test_counts_that_are_none_are_refused_with_the_word(void **state)
{
    static const char *const lines[] = { "pool=",      "pool=0",    "pool=4K", "pool=-1", "pool=4294967296",
                                         "drop=often", "drop=0x10", "drop=1G", "seed=0",  "seed=:" };
    struct config config;

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(config_parse(lines[i], &config, &error, &at), VMMU_INVALID);
        EXPECT(error && error[0]);
        EXPECT(at == lines[i]);
    }
}

static void test_a_guest_may_have_itself_stopped_only_if_that_is_asked_for(void **state)
{
    struct config config;

    (void)state;
    EXPECT_EQ(config_parse("mmu=shadow", &config, &error, &at), VMMU_OK);
    EXPECT(!config.stop_port);
    EXPECT_EQ(config_parse("stop-port=on mmu=shadow", &config, &error, &at), VMMU_OK);
    EXPECT(config.stop_port);
    EXPECT_EQ(config_parse("stop-port=on stop-port=off", &config, &error, &at), VMMU_OK);
    EXPECT(!config.stop_port);
    EXPECT_EQ(config_parse("stop-port=yes", &config, &error, &at), VMMU_INVALID);
    EXPECT_EQ(strcmp(at, "stop-port=yes"), 0);
}

static void test_entries_are_recorded_if_asked_for_and_nothing_else_can_be(void **state)
{
    struct config config;

    (void)state;
    EXPECT_EQ(config_parse("mmu=shadow", &config, &error, &at), VMMU_OK);
    EXPECT(!config.record_entries);
    EXPECT_EQ(config_parse("mmu=shadow record=entries", &config, &error, &at), VMMU_OK);
    EXPECT(config.record_entries);
    EXPECT_EQ(config_parse("record=exits", &config, &error, &at), VMMU_INVALID);
    EXPECT_EQ(config_parse("record=", &config, &error, &at), VMMU_INVALID);
}

static void test_a_first_word_without_an_equals_sign_is_the_file_name(void **state)
{
    struct config config;

    (void)state;
    EXPECT_EQ(config_parse("/boot/vmmu.elf memory=128M", &config, &error, &at), VMMU_OK);
    EXPECT_EQ(config.memory_bytes, 128u << 20);
    EXPECT_EQ(config_parse("memory=128M /boot/vmmu.elf", &config, &error, &at), VMMU_INVALID);
    EXPECT(strncmp(at, "/boot", 5) == 0);
}

static void test_sizes_that_are_none_are_refused_with_the_word(void **state)
{
    static const char *const lines[] = { "memory=",
                                         "memory=M",
                                         "memory=-5",
                                         "memory=12X",
                                         "memory=1MM",
                                         "memory=0x100",
                                         "memory=999999999999999999999",
                                         "memory=99999999T",
                                         "memory=5 M" };
    struct config config;

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(config_parse(lines[i], &config, &error, &at), VMMU_INVALID);
        EXPECT(error && error[0]);
    }
}

static void test_sizes_know_their_units(void **state)
{
    struct config config;

    (void)state;
    EXPECT_EQ(config_parse("memory=4096", &config, &error, &at), VMMU_OK);
    EXPECT_EQ(config.memory_bytes, 4096);
    EXPECT_EQ(config_parse("memory=8k", &config, &error, &at), VMMU_OK);
    EXPECT_EQ(config.memory_bytes, 8192);
    EXPECT_EQ(config_parse("memory=100T", &config, &error, &at), VMMU_OK);
    EXPECT_EQ(config.memory_bytes, UINT64_C(100) << 40);
}

static void test_unknown_words_and_values_are_refused(void **state)
{
    static const char *const lines[] = {
        "memory=1G cpu=2", "enlightenments=yes", "enlightenments=", "firmware=uefi", "mmu=",
        "memoryx=1G",      "enlightenments=onn"
    };
    struct config config;

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(config_parse(lines[i], &config, &error, &at), VMMU_INVALID);
    }
}

static void test_a_kernel_module_has_protocol_and_command_line(void **state)
{
    struct config_module module;

    (void)state;
    EXPECT_EQ(config_parse_module("vmlinuz kernel protocol=linux -- console=ttyS0  a=b", true, &module,
                                  &error, &at),
              VMMU_OK);
    EXPECT_EQ(module.role, CONFIG_ROLE_KERNEL);
    EXPECT_EQ(module.protocol, CONFIG_PROTOCOL_LINUX);
    EXPECT(strcmp(module.command_line, "console=ttyS0  a=b") == 0);
}

static void test_words_may_come_without_a_file_name(void **state)
{
    struct config_module module;

    (void)state;
    EXPECT_EQ(config_parse_module("kernel protocol=multiboot", false, &module, &error, &at), VMMU_OK);
    EXPECT_EQ(module.role, CONFIG_ROLE_KERNEL);
    EXPECT_EQ(module.protocol, CONFIG_PROTOCOL_MULTIBOOT);
    EXPECT(strcmp(module.command_line, "") == 0);
    EXPECT_EQ(config_parse_module("initrd -- first words", true, &module, &error, &at), VMMU_OK);
    EXPECT_EQ(module.role, CONFIG_ROLE_INITRD);
    EXPECT(strcmp(module.command_line, "first words") == 0);
}

static void test_without_a_role_the_first_module_is_the_kernel(void **state)
{
    struct config_module module;

    (void)state;
    EXPECT_EQ(config_parse_module("", true, &module, &error, &at), VMMU_OK);
    EXPECT_EQ(module.role, CONFIG_ROLE_KERNEL);
    EXPECT_EQ(config_parse_module("file", false, &module, &error, &at), VMMU_OK);
    EXPECT_EQ(module.role, CONFIG_ROLE_INITRD);
}

static void test_unknown_module_words_are_refused(void **state)
{
    static const char *const lines[] = { "file what", "file kernel quiet", "kernel protocol=elf",
                                         "initrd protocol=linux", "kernel protocol=" };
    struct config_module module;

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(config_parse_module(lines[i], true, &module, &error, &at), VMMU_INVALID);
        EXPECT(error && error[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_line_gives_the_defaults),
        cmocka_unit_test(test_every_word_sets_what_it_names),
        cmocka_unit_test(test_the_pool_and_its_test_switch_are_counts),
        cmocka_unit_test(test_counts_that_are_none_are_refused_with_the_word),
        cmocka_unit_test(test_a_guest_may_have_itself_stopped_only_if_that_is_asked_for),
        cmocka_unit_test(test_entries_are_recorded_if_asked_for_and_nothing_else_can_be),
        cmocka_unit_test(test_a_first_word_without_an_equals_sign_is_the_file_name),
        cmocka_unit_test(test_sizes_that_are_none_are_refused_with_the_word),
        cmocka_unit_test(test_sizes_know_their_units),
        cmocka_unit_test(test_unknown_words_and_values_are_refused),
        cmocka_unit_test(test_a_kernel_module_has_protocol_and_command_line),
        cmocka_unit_test(test_words_may_come_without_a_file_name),
        cmocka_unit_test(test_without_a_role_the_first_module_is_the_kernel),
        cmocka_unit_test(test_unknown_module_words_are_refused),
    };

    return RUN_TESTS(tests);
}
