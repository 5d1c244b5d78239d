/*
 * Dumps of our hypervisor, and the partitions that their state describes.
 */
#include "tests/unit/tools_image/state.h"
#include "tools/image/partition.h"

struct opened {
    struct image *image;
    struct partition *partition;
};

static struct opened open_sound(struct json_object *state)
{
    struct complaint complaint = { .text = "" };
    struct opened opened = { .image = open_state(state) };

    opened.partition = partition_open(opened.image, 0, &complaint);
    if (opened.partition == NULL)
        fail_msg("it was refused: %s", complaint.text);
    return opened;
}

static void close_both(struct opened *opened)
{
    partition_close(opened->partition);
    image_close(opened->image);
}

/* Expect that the dump opens, and partition 0 of @state does not, with a sentence that holds @words. */
static void refused(struct json_object *state, const char *words)
{
    struct image *const image = open_state(state);
    struct complaint complaint = { .text = "" };

    if (partition_open(image, 0, &complaint) != NULL)
        fail_msg("it was opened, and not refused with '%s'", words);
    if (strstr(complaint.text, words) == NULL || strncmp(complaint.text, "/proc/self/fd/", 14) != 0)
        fail_msg("'%s' is not about '%s'", complaint.text, words);
    image_close(image);
}

static void test_a_dump_of_ours_is_the_hosts_memory_and_a_state(void **state)
{
    struct image *const image = open_state(sound_state());

    (void)state;
    EXPECT_EQ(image->format, IMAGE_VMMU);
    EXPECT(image->state != NULL);
    expect_byte(image, 0x20000, 0x20);
    expect_byte(image, STATE_MEMORY_BYTES, -1);
    image_close(image);
}

static void test_memory_is_sorted_by_guest_physical_address_and_reached_by_it(void **state)
{
    struct opened opened = open_sound(sound_state());
    const struct partition *const partition = opened.partition;
    uint64_t value = 0;

    (void)state;
    EXPECT_EQ(partition->piece_count, 2);
    EXPECT_EQ(partition->pieces[0].gpa, 0);
    EXPECT_EQ(partition->pieces[0].hpa, 0x10000);
    EXPECT_EQ(partition->pieces[0].rights, VMMU_X86_RIGHTS_ALL);
    EXPECT_EQ(partition->pieces[1].gpa, 0x100000);
    EXPECT_EQ(partition->pieces[1].rights, VMMU_X86_RIGHTS_ALL & ~VMMU_X86_RIGHT_WRITE);
    EXPECT_EQ(partition->ranges[1].base, 0x100000);
    EXPECT_EQ(partition->ranges[1].size_bytes, 0x4000);
    EXPECT_EQ(partition->ranges[1].mapped[0], 0x20);
    EXPECT_EQ(partition->ram.load(partition->ram.context, 0x1008, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x1111111111111111);
    EXPECT_EQ(partition->ram.load(partition->ram.context, 0x103FFC, 4, &value), VMMU_OK);
    EXPECT_EQ(value, 0x23232323);
    EXPECT_EQ(partition->ram.load(partition->ram.context, 0x8000, 8, &value), VMMU_ABSENT);
    EXPECT_EQ(partition->ram.exchange(partition->ram.context, 0, 8, 0, 1), VMMU_ABSENT);
    close_both(&opened);
}

static void test_a_virtual_processor_has_its_registers_and_what_it_offers(void **state)
{
    struct opened opened = open_sound(sound_state());
    const struct partition_vp *const vp = &opened.partition->vps[0];
    const struct image_processor *const processor = &vp->processor;

    (void)state;
    EXPECT_EQ(opened.partition->vp_count, 1);
    EXPECT_EQ(vp->tag, 3);
    EXPECT(!vp->has_shadow);
    EXPECT(processor->has_cpu && processor->has_paging && processor->has_registers);
    EXPECT_EQ(processor->cpu.maxphyaddr, 40);
    EXPECT(processor->cpu.pse && processor->cpu.pcid && processor->cpu.bit8_reserved);
    EXPECT(!processor->cpu.gib_pages && !processor->cpu.la57 && !processor->cpu.pks);
    EXPECT_EQ(processor->cpu.cr4_others, 0x6F);
    EXPECT_EQ(processor->paging.cr3, 0x1000);
    EXPECT_EQ(processor->paging.efer, 0xD01);
    EXPECT_EQ(processor->paging.pdpte[3], 4);
    EXPECT_EQ(processor->paging.pkru, 0x55);
    EXPECT_EQ(processor->paging.pkrs, 0x66);
    EXPECT(processor->paging.pdpte_in_memory);
    EXPECT_EQ(processor->pat, 0x7040600070406);
    EXPECT_EQ(processor->state.gpr[VMMU_X86_RDI], 7);
    EXPECT_EQ(processor->state.gpr[15], UINT64_MAX);
    EXPECT_EQ(processor->state.rip, 0xFFF0);
    EXPECT_EQ(processor->state.cpl, 3);
    EXPECT(processor->state.interrupt_shadow);
    EXPECT_EQ(processor->state.cr0, 0x80050033);
    EXPECT_EQ(processor->state.segment[VMMU_X86_CS].attributes, 0xA09B);
    EXPECT_EQ(processor->state.segment[VMMU_X86_FS].base, 0xFFFFF00000000000);
    EXPECT_EQ(processor->state.segment[VMMU_X86_GS].limit, 1);
    close_both(&opened);
}

static void test_the_second_stage_of_amd_is_the_tables_at_its_root(void **state)
{
    struct opened opened = open_sound(sound_state());

    (void)state;
    EXPECT_EQ(opened.partition->technique, PARTITION_NESTED);
    EXPECT(!opened.partition->intel);
    EXPECT(opened.partition->has_second);
    EXPECT_EQ(opened.partition->second.kind, VMMU_X86_STAGE2_NPT);
    EXPECT_EQ(opened.partition->second.root.v, 0x30000);
    EXPECT_EQ(opened.partition->second.layout.format, VMMU_X86_FORMAT_4LEVEL);
    EXPECT(opened.partition->second.ram == &opened.image->ram);
    EXPECT_EQ(opened.partition->table_count, 0);
    close_both(&opened);
}

static void test_the_second_stage_of_intel_is_what_eptp_says(void **state)
{
    struct json_object *const document = sound_state();
    struct opened opened;

    (void)state;
    set(document, "backend", "\"vmx\"");
    set(partition_of(document), "second", "{\"kind\":\"ept\",\"eptp\":\"0x3005e\",\"maxphyaddr\":39}");
    opened = open_sound(document);
    EXPECT(opened.partition->intel);
    EXPECT_EQ(opened.partition->second.kind, VMMU_X86_STAGE2_EPT);
    EXPECT_EQ(opened.partition->second.root.v, 0x30000);
    EXPECT(opened.partition->second.accessed_dirty);
    close_both(&opened);
}

static void test_shadow_pages_are_what_the_hypervisor_says_of_them(void **state)
{
    struct opened opened = open_sound(shadow_state());
    const struct partition *const partition = opened.partition;

    (void)state;
    EXPECT_EQ(partition->technique, PARTITION_SHADOW);
    EXPECT(!partition->has_second);
    EXPECT(partition->vps[0].has_shadow);
    EXPECT_EQ(partition->vps[0].shadow_cr3, 0x31000);
    EXPECT_EQ(partition->vps[0].shadow_format, VMMU_X86_FORMAT_4LEVEL);
    EXPECT_EQ(partition->table_count, 4);
    EXPECT_EQ(partition->tables[0].hpa, 0x31000);
    EXPECT_EQ(partition->tables[0].gpa, 0x1000);
    EXPECT_EQ(partition->tables[0].level, 4);
    EXPECT(partition->tables[0].closed && !partition->tables[0].ours);
    EXPECT(!partition->tables[1].closed && !partition->tables[1].ours);
    EXPECT(partition->tables[2].closed && !partition->tables[2].ours);
    EXPECT(!partition->tables[3].closed && partition->tables[3].ours);
    close_both(&opened);
}

static void test_a_virtual_processor_may_have_no_shadow_tables_yet(void **state)
{
    struct json_object *const document = shadow_state();
    struct opened opened;

    (void)state;
    json_object_object_del(vp_of(document), "shadow");
    opened = open_sound(document);
    EXPECT(!opened.partition->vps[0].has_shadow);
    close_both(&opened);
}

static void test_one_page_of_the_machine_may_stand_at_two_places_of_the_guests(void **state)
{
    struct json_object *const document = sound_state();
    struct opened opened;
    uint64_t value = 0;

    (void)state;
    set(piece_of(document, 0), "hpa", "\"0x10000\"");
    opened = open_sound(document);
    EXPECT_EQ(opened.partition->ram.load(opened.partition->ram.context, 0x100000, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x1010101010101010);
    close_both(&opened);
}

static void test_there_is_no_partition_beyond_the_last_or_in_other_images(void **state)
{
    struct image *image = open_state(sound_state());
    struct bytes raw = { 0 };
    struct complaint complaint = { .text = "" };

    (void)state;
    EXPECT(partition_open(image, 1, &complaint) == NULL);
    EXPECT(strstr(complaint.text, "there is no partition 1: it has 1") != NULL);
    image_close(image);
    put_fill(&raw, 0, 0x1000);
    image = open_bytes(&raw, IMAGE_RAW, &complaint);
    EXPECT(partition_open(image, 0, &complaint) == NULL);
    EXPECT(strstr(complaint.text, "no image of our hypervisor") != NULL);
    image_close(image);
    drop(&raw);
}

static void test_a_member_that_is_missing_is_named(void **state)
{
    static const char *const of_partition[] = { "technique", "memory", "cpu", "second", "vps" };
    static const char *const of_vp[] = {
        "tag",  "gpr",     "rip",  "rflags", "cpl",   "interrupt_shadow", "cr0",
        "cr3",  "cr4",     "efer", "pat",    "pdpte", "pdpte_in_memory",  "pkru",
        "pkrs", "segments"
    };
    char words[64];

    (void)state;
    for (unsigned i = 0; i < sizeof(of_partition) / sizeof(of_partition[0]); i++) {
        struct json_object *const document = sound_state();

        json_object_object_del(partition_of(document), of_partition[i]);
        (void)snprintf(words, sizeof(words), "\"%s\" of partition 0 is missing", of_partition[i]);
        refused(document, words);
    }
    for (unsigned i = 0; i < sizeof(of_vp) / sizeof(of_vp[0]); i++) {
        struct json_object *const document = sound_state();

        json_object_object_del(vp_of(document), of_vp[i]);
        (void)snprintf(words, sizeof(words), "\"%s\" of VP 0 of partition 0 is missing", of_vp[i]);
        refused(document, words);
    }
}

/* One member of the document's partition, VP or piece of memory, and what it is refused with. */
struct lie {
    const char *key;
    const char *value;
    const char *words;
};

static void test_numbers_out_of_range_and_of_no_sense_are_refused(void **state)
{
    static const struct lie lies[] = {
        { "cr3", "\"0x10000000000000000\"", "has more than 64 bits" },
        { "cr3", "\"4096\"", "is not a number" },
        { "cr3", "\"0x\"", "is not a number" },
        { "cr3", "\"0x 12\"", "is not a number" },
        { "cr3", "\"0x-1\"", "is not a number" },
        { "cr3", "-1", "is not a number" },
        { "cr3", "1.5", "is not a number" },
        { "cr3", "[]", "is not a number" },
        { "tag", "65536", "\"tag\" of VP 0 of partition 0 is out of range" },
        { "cpl", "4", "out of range" },
        { "pkru", "\"0x100000000\"", "out of range" },
        { "gpr", "[\"0x1\"]", "too few members, or too many" },
        { "gpr", "7", "no array" },
        { "pdpte", "[1,2,3,\"x\"]", "has a member that is not a number" },
        { "pdpte_in_memory", "2", "neither true nor false" },
        { "pdpte_in_memory", "\"yes\"", "neither true nor false" },
        { "segments", "[]", "are not 6" },
        { "segments", "[{},{},{},{},{},{}]", "\"selector\"" },
        { "segments", "[1,2,3,4,5,6]", "\"selector\"" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct json_object *const document = sound_state();

        set(vp_of(document), lies[i].key, lies[i].value);
        refused(document, lies[i].words);
    }
}

static void test_a_partition_of_no_sense_is_refused(void **state)
{
    static const struct lie lies[] = {
        { "technique", "\"magic\"", "a word that is not known" },
        { "technique", "3", "no text" },
        { "technique", "\"shadow\"", "\"tables\" of partition 0 is missing" },
        { "vps", "[null]", "\"tag\" of VP 0" },
        { "memory", "[7]", "\"gpa\"" },
        { "memory", "{}", "no array" },
        { "cpu", "[]", "no object" },
        { "cpu", "{\"maxphyaddr\":53}", "out of range" },
        { "cpu", "{\"maxphyaddr\":31}", "below 32" },
        { "cpu", "{\"maxphyaddr\":40}", "\"pse\"" },
        { "second", "{\"kind\":\"xpt\",\"maxphyaddr\":40}", "a word that is not known" },
        { "second", "{\"kind\":\"npt\",\"maxphyaddr\":64}", "out of range" },
        { "second", "{\"kind\":\"npt\",\"maxphyaddr\":40,\"levels\":1,\"root\":\"0x1000\"}", "below 2" },
        { "second", "{\"kind\":\"npt\",\"maxphyaddr\":40,\"levels\":6,\"root\":\"0x1000\"}", "out of range" },
        { "second", "{\"kind\":\"npt\",\"maxphyaddr\":40,\"levels\":4,\"root\":\"0x1001\"}",
          "0x1001 as the root" },
        { "second", "{\"kind\":\"npt\",\"maxphyaddr\":40,\"levels\":4,\"root\":\"0x10000000000\"}",
          "as the root" },
        { "second", "{\"kind\":\"ept\",\"maxphyaddr\":40,\"eptp\":\"0x1007\"}", "0x1007 as the EPTP" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct json_object *const document = sound_state();

        set(partition_of(document), lies[i].key, lies[i].value);
        refused(document, lies[i].words);
    }
}

static void test_memory_that_overlaps_or_lies_outside_is_refused(void **state)
{
    static const struct lie lies[] = {
        { "gpa", "\"0x7000\"", "two pieces of memory of partition 0 have the address 0x7000" },
        { "gpa", "\"0x0\"", "two pieces of memory" },
        { "gpa", "\"0x100\"", "not made of pages" },
        { "gpa", "\"0xfffffffffffff000\"", "beyond 52 bits" },
        { "gpa", "\"0xffffffffff000\"", "beyond 52 bits" },
        { "hpa", "\"0x3d000\"", "outside the machine's memory" },
        { "hpa", "\"0x40000\"", "outside the machine's memory" },
        { "hpa", "\"0xfffffffffffff000\"", "beyond 52 bits" },
        { "bytes", "\"0x0\"", "is empty" },
        { "bytes", "\"0xfffffffffffff000\"", "beyond 52 bits" },
        { "bytes", "\"0x123\"", "not made of pages" },
        { "rights", "\"rwz\"", "not made of r, w, x and -" },
        { "rights", "7", "not made of r, w, x and -" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct json_object *const document = sound_state();

        set(piece_of(document, 0), lies[i].key, lies[i].value);
        refused(document, lies[i].words);
    }
}

static void test_shadow_tables_of_no_sense_are_refused(void **state)
{
    static const struct lie lies[] = {
        { "tables", "[{}]", "\"hpa\"" },
        { "tables", "[{\"hpa\":\"0x1234\",\"gpa\":0,\"level\":1,\"kind\":\"open\"}]", "is not a page" },
        { "tables", "[{\"hpa\":\"0x1000\",\"gpa\":0,\"level\":0,\"kind\":\"open\"}]", "has no level" },
        { "tables", "[{\"hpa\":\"0x1000\",\"gpa\":0,\"level\":6,\"kind\":\"open\"}]", "out of range" },
        { "tables", "[{\"hpa\":\"0x10000000000000\",\"gpa\":0,\"level\":1,\"kind\":\"open\"}]",
          "out of range" },
        { "tables", "[{\"hpa\":\"0x1000\",\"gpa\":0,\"level\":1,\"kind\":\"ajar\"}]",
          "a word that is not known" },
    };
    struct json_object *document;

    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        document = shadow_state();
        set(partition_of(document), lies[i].key, lies[i].value);
        refused(document, lies[i].words);
    }
    document = shadow_state();
    set(vp_of(document), "shadow", "{\"cr3\":\"0x1000\",\"format\":\"2level\"}");
    refused(document, "a word that is not known");
    document = shadow_state();
    set(vp_of(document), "shadow", "5");
    refused(document, "no object");
}

static void test_an_unknown_backend_is_refused(void **state)
{
    struct json_object *const document = sound_state();

    (void)state;
    set(document, "backend", "\"kvm\"");
    refused(document, "\"backend\" of the hypervisor's state is a word that is not known");
}

/* A state that is no document is refused when the dump is opened, and so is one of a machine without tables. */
static void refused_text(const char *text, const char *words)
{
    struct bytes core = dump_of(text);

    expect_refused(&core, IMAGE_GUESS, words);
    drop(&core);
}

static void test_a_state_that_is_not_json_or_of_another_version_is_refused(void **state)
{
    static char deep[100000];

    (void)state;
    refused_text("", "not JSON: it ends too early");
    refused_text("{\"vmmu_state\":1,\"partitions\":[", "it ends too early");
    refused_text("{\"vmmu_state\":1,}", "not JSON");
    refused_text("{\"vmmu_state\":1,\"partitions\":[]} more", "not JSON");
    refused_text("[1]", "not of version 1");
    refused_text("null", "not JSON");
    refused_text("{\"vmmu_state\":2,\"partitions\":[]}", "not of version 1");
    refused_text("{\"vmmu_state\":1}", "no partitions");
    memset(deep, '[', sizeof(deep) - 1);
    refused_text(deep, "not JSON");
    memset(deep, ' ', sizeof(deep) - 1);
    refused_text(deep, "not JSON");
}

static void test_a_machine_whose_guests_fill_a_tlb_is_refused_with_what_shows_it(void **state)
{
    (void)state;
    refused_text("{\"vmmu_state\":1,\"backend\":\"e500\",\"partitions\":[]}", "vmmu live SOCKET tlb");
}

static void test_a_partition_that_is_no_object_is_refused(void **state)
{
    struct json_object *const document = sound_state();

    (void)state;
    set(document, "partitions", "[17]");
    refused(document, "partition 0 of the hypervisor's state is no object");
}

static void test_a_second_state_is_refused(void **state)
{
    struct segment segments[2] = { { .type = PT_NOTE }, { .type = PT_LOAD } };
    struct bytes text = { 0 };
    struct bytes core = { 0 };

    (void)state;
    put(&text, "{}", 2);
    put_note(&segments[0].content, "VMMU", 1, &text);
    put_note(&segments[0].content, "VMMU", 1, &text);
    put_fill(&segments[1].content, 0, 0x1000);
    put_core64(&core, EM_X86_64, segments, 2);
    expect_refused(&core, IMAGE_GUESS, "a second note of the hypervisor's state");
    drop(&text);
    drop(&core);
    drop(&segments[0].content);
    drop(&segments[1].content);
}

static void test_a_dump_of_ours_may_be_read_as_a_mere_core(void **state)
{
    struct bytes core = dump_of("{}");
    struct complaint complaint;
    struct image *const image = open_bytes(&core, IMAGE_ELF, &complaint);

    (void)state;
    EXPECT_EQ(image->format, IMAGE_ELF);
    EXPECT(image->state == NULL);
    image_close(image);
    drop(&core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dump_of_ours_is_the_hosts_memory_and_a_state),
        cmocka_unit_test(test_memory_is_sorted_by_guest_physical_address_and_reached_by_it),
        cmocka_unit_test(test_a_virtual_processor_has_its_registers_and_what_it_offers),
        cmocka_unit_test(test_the_second_stage_of_amd_is_the_tables_at_its_root),
        cmocka_unit_test(test_the_second_stage_of_intel_is_what_eptp_says),
        cmocka_unit_test(test_shadow_pages_are_what_the_hypervisor_says_of_them),
        cmocka_unit_test(test_a_virtual_processor_may_have_no_shadow_tables_yet),
        cmocka_unit_test(test_one_page_of_the_machine_may_stand_at_two_places_of_the_guests),
        cmocka_unit_test(test_there_is_no_partition_beyond_the_last_or_in_other_images),
        cmocka_unit_test(test_a_member_that_is_missing_is_named),
        cmocka_unit_test(test_numbers_out_of_range_and_of_no_sense_are_refused),
        cmocka_unit_test(test_a_partition_of_no_sense_is_refused),
        cmocka_unit_test(test_memory_that_overlaps_or_lies_outside_is_refused),
        cmocka_unit_test(test_shadow_tables_of_no_sense_are_refused),
        cmocka_unit_test(test_an_unknown_backend_is_refused),
        cmocka_unit_test(test_a_state_that_is_not_json_or_of_another_version_is_refused),
        cmocka_unit_test(test_a_machine_whose_guests_fill_a_tlb_is_refused_with_what_shows_it),
        cmocka_unit_test(test_a_partition_that_is_no_object_is_refused),
        cmocka_unit_test(test_a_second_state_is_refused),
        cmocka_unit_test(test_a_dump_of_ours_may_be_read_as_a_mere_core),
    };

    return RUN_TESTS(tests);
}
