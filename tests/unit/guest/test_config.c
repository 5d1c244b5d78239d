/* The hypervisor's command line and its modules' words. */
#include "hv/guest/config_e500.h"
#include "hv/guest/config_x86.h"

#include <string.h>

#include "tests/unit/test.h"

static const char *error;
static const char *at;

static void test_an_empty_line_gives_the_defaults(void **state)
{
    struct config_line line;
    const struct config *config = &line.partition[0];

    (void)state;
    EXPECT_EQ(config_parse("", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(config->memory_bytes, 256u << 20);
    EXPECT(config->enlightenments);
    EXPECT_EQ(config->firmware, GUEST_FIRMWARE_ACPI);
    EXPECT_EQ(config->technique_length, 0);
}

static void test_every_word_sets_what_it_names(void **state)
{
    struct config_line line;
    const struct config *config = &line.partition[0];

    (void)state;
    EXPECT_EQ(config_parse("  memory=2G mmu=shadow\tenlightenments=off firmware=both\n", &config_x86, &line,
                           &error, &at),
              VMMU_OK);
    EXPECT_EQ(config->memory_bytes, UINT64_C(2) << 30);
    EXPECT_EQ(config->technique_length, 6);
    EXPECT(strncmp(config->technique, "shadow", 6) == 0);
    EXPECT(!config->enlightenments);
    EXPECT_EQ(config->firmware, GUEST_FIRMWARE_BOTH);
}

static void test_the_pool_and_its_test_switch_are_counts(void **state)
{
    struct config_line line;
    const struct config *config = &line.partition[0];

    (void)state;
    EXPECT_EQ(config_parse("", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(config->pool_pages, 0);
    EXPECT_EQ(config->drop_exits, 0);
    EXPECT_EQ(config->seed, 1);
    EXPECT_EQ(config_parse("mmu=shadow pool=96 drop=5000 seed=4294967295", &config_x86, &line, &error, &at),
              VMMU_OK);
    EXPECT_EQ(config->pool_pages, 96);
    EXPECT_EQ(config->drop_exits, 5000);
    EXPECT_EQ(config->seed, UINT32_MAX);
}

static void test_counts_that_are_none_are_refused_with_the_word(void **state)
{
    static const char *const lines[] = { "pool=",      "pool=0",    "pool=4K", "pool=-1", "pool=4294967296",
                                         "drop=often", "drop=0x10", "drop=1G", "seed=0",  "seed=:" };
    struct config_line line;

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(config_parse(lines[i], &config_x86, &line, &error, &at), VMMU_INVALID);
        EXPECT(error && error[0]);
        EXPECT(at == lines[i]);
    }
}

static void test_a_guest_may_have_itself_stopped_only_if_that_is_asked_for(void **state)
{
    struct config_line line;
    const struct config *config = &line.partition[0];

    (void)state;
    EXPECT_EQ(config_parse("mmu=shadow", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT(!config->stop_port);
    EXPECT_EQ(config_parse("stop-port=on mmu=shadow", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT(config->stop_port);
    EXPECT_EQ(config_parse("stop-port=on stop-port=off", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT(!config->stop_port);
    EXPECT_EQ(config_parse("stop-port=yes", &config_x86, &line, &error, &at), VMMU_INVALID);
    EXPECT_EQ(strcmp(at, "stop-port=yes"), 0);
}

static void test_entries_are_recorded_if_asked_for_and_nothing_else_can_be(void **state)
{
    struct config_line line;
    const struct config *config = &line.partition[0];

    (void)state;
    EXPECT_EQ(config_parse("mmu=shadow", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT(!config->record_entries);
    EXPECT_EQ(config_parse("mmu=shadow record=entries", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT(config->record_entries);
    EXPECT_EQ(config_parse("record=exits", &config_x86, &line, &error, &at), VMMU_INVALID);
    EXPECT_EQ(config_parse("record=", &config_x86, &line, &error, &at), VMMU_INVALID);
}

static void test_a_first_word_without_an_equals_sign_is_the_file_name(void **state)
{
    struct config_line line;
    const struct config *config = &line.partition[0];

    (void)state;
    EXPECT_EQ(config_parse("/boot/vmmu.elf memory=128M", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(config->memory_bytes, 128u << 20);
    EXPECT_EQ(config_parse("memory=128M /boot/vmmu.elf", &config_x86, &line, &error, &at), VMMU_INVALID);
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
    struct config_line line;

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(config_parse(lines[i], &config_x86, &line, &error, &at), VMMU_INVALID);
        EXPECT(error && error[0]);
    }
}

static void test_sizes_know_their_units(void **state)
{
    struct config_line line;
    const struct config *config = &line.partition[0];

    (void)state;
    EXPECT_EQ(config_parse("memory=4096", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(config->memory_bytes, 4096);
    EXPECT_EQ(config_parse("memory=8k", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(config->memory_bytes, 8192);
    EXPECT_EQ(config_parse("memory=100T", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(config->memory_bytes, UINT64_C(100) << 40);
}

static void test_unknown_words_and_values_are_refused(void **state)
{
    static const char *const lines[] = {
        "memory=1G cpu=2", "enlightenments=yes", "enlightenments=", "firmware=uefi", "mmu=",
        "memoryx=1G",      "enlightenments=onn"
    };
    struct config_line line;

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(config_parse(lines[i], &config_x86, &line, &error, &at), VMMU_INVALID);
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

/* --- processors, partitions, policies --- */

static void test_processors_are_counted_from_1_to_8(void **state)
{
    static const char *const wrong[] = { "cpus=0", "cpus=9", "cpus=", "cpus=two", "cpus=2K", "cpus=-1" };
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("mmu=shadow", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(line.partition[0].vp_count, 1);
    EXPECT_EQ(config_parse("cpus=8", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(line.partition[0].vp_count, 8);
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EXPECT_EQ(config_parse(wrong[i], &config_x86, &line, &error, &at), VMMU_INVALID);
        EXPECT(at == wrong[i]);
    }
}

static void test_the_word_partition_begins_the_next_ones_words(void **state)
{
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("vmmu.elf memory=64M cpus=4 partition mmu=shadow partition memory=32M",
                           &config_x86, &line, &error, &at),
              VMMU_OK);
    EXPECT_EQ(line.count, 3);
    EXPECT_EQ(line.partition[0].memory_bytes, 64u << 20);
    EXPECT_EQ(line.partition[0].vp_count, 4);
    EXPECT_EQ(line.partition[1].memory_bytes, 256u << 20);
    EXPECT_EQ(line.partition[1].vp_count, 1);
    EXPECT(strncmp(line.partition[1].technique, "shadow", line.partition[1].technique_length) == 0);
    EXPECT_EQ(line.partition[2].memory_bytes, 32u << 20);
    EXPECT(strncmp(line.partition[2].technique, "nested", line.partition[2].technique_length) == 0);
    EXPECT_EQ(config_parse("memory=64M", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(line.count, 1);
}

static void test_a_line_may_begin_with_the_word_partition(void **state)
{
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("partition memory=32M", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(line.count, 2);
    EXPECT_EQ(line.partition[0].memory_bytes, 256u << 20);
    EXPECT_EQ(line.partition[1].memory_bytes, 32u << 20);
}

static void test_there_are_no_more_than_8_partitions(void **state)
{
    static const char most[] = "x partition partition partition partition partition partition partition";
    static const char more[] =
        "x partition partition partition partition partition partition partition partition";
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse(most, &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(line.count, 8);
    EXPECT_EQ(config_parse(more, &config_x86, &line, &error, &at), VMMU_INVALID);
    EXPECT(at == more + sizeof more - sizeof "partition");
}

static void test_only_the_first_partition_may_be_the_parent(void **state)
{
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("parent=on partition", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT(line.partition[0].is_parent);
    EXPECT(!line.partition[1].is_parent);
    EXPECT_EQ(config_parse("memory=64M partition parent=off", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT(!line.partition[0].is_parent);
    EXPECT_EQ(config_parse("memory=64M partition parent=on", &config_x86, &line, &error, &at), VMMU_INVALID);
    EXPECT_EQ(strcmp(at, "parent=on"), 0);
    EXPECT_EQ(config_parse("parent=yes", &config_x86, &line, &error, &at), VMMU_INVALID);
}

static void test_the_channel_is_the_first_partitions_unless_another_asks_for_it(void **state)
{
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("memory=64M partition", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT(line.partition[0].has_channel);
    EXPECT(!line.partition[1].has_channel);
    EXPECT_EQ(config_parse("memory=64M partition channel=on", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT(!line.partition[0].has_channel);
    EXPECT(line.partition[1].has_channel);
    EXPECT_EQ(config_parse("channel=on partition channel=on memory=64M", &config_x86, &line, &error, &at),
              VMMU_INVALID);
    EXPECT_EQ(strcmp(at, "channel=on memory=64M"), 0);
}

/* Spec: TLFS "Virtual MMU and Caching". */
static void test_policies_not_named_are_the_techniques_own(void **state)
{
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("memory=64M partition mmu=shadow", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(line.partition[0].policy.cr3_cache, VMMU_HYPERV_CACHE_HONOR);
    EXPECT_EQ(line.partition[0].policy.table_cache, VMMU_HYPERV_CACHE_HONOR);
    EXPECT_EQ(line.partition[1].policy.cr3_cache, VMMU_HYPERV_CACHE_IGNORE);
    EXPECT_EQ(line.partition[1].policy.table_cache, VMMU_HYPERV_CACHE_IGNORE);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQ(line.partition[i].policy.cr0_cd, VMMU_HYPERV_CACHE_IGNORE);
        EXPECT(!line.partition[i].policy.pat_of_partition);
        EXPECT(line.partition[i].policy.shadow_sharing);
        EXPECT(!line.partition[i].policy.empty_set_is_error);
    }
}

static void test_every_policy_has_its_name(void **state)
{
    struct config_line line;
    const struct vmmu_hyperv_policy *const policy = &line.partition[1].policy;

    (void)state;
    EXPECT_EQ(config_parse("parent=on partition mmu=shadow policy=cr3.cache=honor,table.cache=message,"
                           "cr0.cd=message,pat=partition,sharing=off,flush.empty=error",
                           &config_x86, &line, &error, &at),
              VMMU_OK);
    EXPECT_EQ(policy->cr3_cache, VMMU_HYPERV_CACHE_HONOR);
    EXPECT_EQ(policy->table_cache, VMMU_HYPERV_CACHE_MESSAGE);
    EXPECT_EQ(policy->cr0_cd, VMMU_HYPERV_CACHE_MESSAGE);
    EXPECT(policy->pat_of_partition);
    EXPECT(!policy->shadow_sharing);
    EXPECT(policy->empty_set_is_error);
    EXPECT_EQ(config_parse("partition policy=table.cache=honor,cr0.cd=honor,pat=vp mmu=shadow "
                           "policy=sharing=on,cr3.cache=ignore,flush.empty=all",
                           &config_x86, &line, &error, &at),
              VMMU_OK);
    EXPECT_EQ(policy->cr3_cache, VMMU_HYPERV_CACHE_IGNORE);
    EXPECT_EQ(policy->table_cache, VMMU_HYPERV_CACHE_HONOR);
    EXPECT_EQ(policy->cr0_cd, VMMU_HYPERV_CACHE_HONOR);
    EXPECT(!policy->pat_of_partition);
    EXPECT(policy->shadow_sharing);
    EXPECT(!policy->empty_set_is_error);
    EXPECT_EQ(config_parse("mmu=shadow policy=table.cache=write-back,cr0.cd=ignore", &config_x86, &line,
                           &error, &at),
              VMMU_OK);
    EXPECT_EQ(line.partition[0].policy.table_cache, VMMU_HYPERV_CACHE_IGNORE);
    EXPECT_EQ(line.partition[0].policy.cr0_cd, VMMU_HYPERV_CACHE_IGNORE);
}

static void test_policies_that_there_are_not_are_refused_with_the_word(void **state)
{
    static const char *const lines[] = {
        "policy=",           "policy=cr0.cd",         "policy=cr0.cd=",
        "policy=pat=vp,",    "policy=,pat=vp",        "policy=cr3.cache=message",
        "policy=pat=shared", "policy=sharing=on;pat", "policy=cr0.cd=honorr"
    };
    struct config_line line;

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(config_parse(lines[i], &config_x86, &line, &error, &at), VMMU_INVALID);
        EXPECT(error && error[0]);
        EXPECT(at == lines[i]);
    }
}

static void test_messages_want_a_parent(void **state)
{
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("partition policy=cr0.cd=message", &config_x86, &line, &error, &at), VMMU_INVALID);
    EXPECT_EQ(strcmp(at, "policy=cr0.cd=message"), 0);
    EXPECT_EQ(
        config_parse("partition mmu=shadow policy=table.cache=message", &config_x86, &line, &error, &at),
        VMMU_INVALID);
    EXPECT_EQ(config_parse("parent=on policy=cr0.cd=message partition", &config_x86, &line, &error, &at),
              VMMU_INVALID);
    EXPECT_EQ(config_parse("parent=on partition policy=cr0.cd=message", &config_x86, &line, &error, &at),
              VMMU_OK);
}

/* The processor takes what the tables say, and the hypervisor does not see it do so. */
static void test_a_processor_that_walks_the_guests_tables_honours_their_caching(void **state)
{
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("policy=table.cache=write-back mmu=nested", &config_x86, &line, &error, &at),
              VMMU_INVALID);
    EXPECT_EQ(config_parse("parent=on partition policy=table.cache=message", &config_x86, &line, &error, &at),
              VMMU_INVALID);
    EXPECT_EQ(config_parse("policy=table.cache=honor", &config_x86, &line, &error, &at), VMMU_OK);
    EXPECT_EQ(config_parse("policy=table.cache=write-back mmu=shadow", &config_x86, &line, &error, &at),
              VMMU_OK);
}

static void test_a_module_names_its_partition(void **state)
{
    static const char *const wrong[] = { "kernel partition=8", "kernel partition=", "kernel partition=one" };
    struct config_module module;

    (void)state;
    EXPECT_EQ(config_parse_module("vmlinuz kernel", true, &module, &error, &at), VMMU_OK);
    EXPECT_EQ(module.partition, 0);
    EXPECT_EQ(
        config_parse_module("kernel partition=7 protocol=linux -- partition=3", true, &module, &error, &at),
        VMMU_OK);
    EXPECT_EQ(module.partition, 7);
    EXPECT_EQ(strcmp(module.command_line, "partition=3"), 0);
    EXPECT_EQ(config_parse_module("f initrd partition=1", true, &module, &error, &at), VMMU_OK);
    EXPECT_EQ(module.role, CONFIG_ROLE_INITRD);
    EXPECT_EQ(module.partition, 1);
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EXPECT_EQ(config_parse_module(wrong[i], true, &module, &error, &at), VMMU_INVALID);
        EXPECT(at == wrong[i] + sizeof "kernel");
    }
}

static void test_words_of_x86_are_unknown_to_an_e500(void **state)
{
    static const char *const of_x86[] = { "policy=pat=vp", "enlightenments=off", "firmware=mp",
                                          "pool=96",       "record=entries",     "stop-port=on" };
    struct config_line line;

    (void)state;
    for (unsigned i = 0; i < sizeof of_x86 / sizeof of_x86[0]; i++) {
        EXPECT_EQ(config_parse(of_x86[i], &config_e500, &line, &error, &at), VMMU_INVALID);
        EXPECT_EQ(strcmp(error, CONFIG_UNKNOWN_WORD), 0);
        EXPECT(at == of_x86[i]);
    }
}

static void test_an_e500_has_the_words_that_all_have(void **state)
{
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("memory=64M mmu=booke cpus=2 drop=7 seed=3 partition channel=on", &config_e500,
                           &line, &error, &at),
              VMMU_OK);
    EXPECT_EQ(line.count, 2);
    EXPECT_EQ(line.partition[0].memory_bytes, 64u << 20);
    EXPECT_EQ(line.partition[0].vp_count, 2);
    EXPECT_EQ(line.partition[0].drop_exits, 7);
    EXPECT_EQ(line.partition[0].seed, 3);
    EXPECT(line.partition[1].has_channel);
}

static void test_an_e500_has_no_parents(void **state)
{
    struct config_line line;

    (void)state;
    EXPECT_EQ(config_parse("parent=on partition", &config_e500, &line, &error, &at), VMMU_INVALID);
    EXPECT_EQ(strcmp(at, "parent=on partition"), 0);
    EXPECT_EQ(config_parse("parent=off partition", &config_e500, &line, &error, &at), VMMU_OK);
}

static void test_a_module_may_be_what_the_kernel_starts(void **state)
{
    struct config_module module;

    (void)state;
    EXPECT_EQ(config_parse_module("payload", true, &module, &error, &at), VMMU_OK);
    EXPECT_EQ(module.role, CONFIG_ROLE_PAYLOAD);
    EXPECT_EQ(module.partition, 0);
    EXPECT_EQ(config_parse_module("uImage payload partition=1", false, &module, &error, &at), VMMU_OK);
    EXPECT_EQ(module.role, CONFIG_ROLE_PAYLOAD);
    EXPECT_EQ(module.partition, 1);
    EXPECT_EQ(config_parse_module("payload protocol=epapr", false, &module, &error, &at), VMMU_INVALID);
    EXPECT_EQ(config_parse_module("kernel protocol=epapr", false, &module, &error, &at), VMMU_OK);
    EXPECT_EQ(module.protocol, CONFIG_PROTOCOL_EPAPR);
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
        cmocka_unit_test(test_processors_are_counted_from_1_to_8),
        cmocka_unit_test(test_the_word_partition_begins_the_next_ones_words),
        cmocka_unit_test(test_a_line_may_begin_with_the_word_partition),
        cmocka_unit_test(test_there_are_no_more_than_8_partitions),
        cmocka_unit_test(test_only_the_first_partition_may_be_the_parent),
        cmocka_unit_test(test_the_channel_is_the_first_partitions_unless_another_asks_for_it),
        cmocka_unit_test(test_policies_not_named_are_the_techniques_own),
        cmocka_unit_test(test_every_policy_has_its_name),
        cmocka_unit_test(test_policies_that_there_are_not_are_refused_with_the_word),
        cmocka_unit_test(test_messages_want_a_parent),
        cmocka_unit_test(test_a_processor_that_walks_the_guests_tables_honours_their_caching),
        cmocka_unit_test(test_a_module_names_its_partition),
        cmocka_unit_test(test_words_of_x86_are_unknown_to_an_e500),
        cmocka_unit_test(test_an_e500_has_the_words_that_all_have),
        cmocka_unit_test(test_an_e500_has_no_parents),
        cmocka_unit_test(test_a_module_may_be_what_the_kernel_starts),
    };

    return RUN_TESTS(tests);
}
