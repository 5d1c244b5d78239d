/* The JSON of vmmu walk. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tests/unit/walk/second.h"
#include "tools/walk/render.h"
#include "walked.h"

#define VA UINT64_C(0x5000)

static struct world world;
static struct walk_model model;

/* The value at @path, keys and indices with dots between, as compact JSON; "missing" if there is none. */
static const char *at(struct json_object *document, const char *path)
{
    char words[128];
    struct json_object *value = document;

    snprintf(words, sizeof(words), "%s", path);
    for (char *rest = words, *word; value && (word = strsep(&rest, ".")) != NULL;) {
        value = json_object_is_type(value, json_type_array)
                    ? json_object_array_get_idx(value, (size_t)atoi(word))
                    : json_object_object_get(value, word);
    }
    return value ? json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE) : "missing";
}

#define EXPECT_AT(document, path, text) assert_string_equal(at(document, path), text)

static void test_a_translation_has_entries_with_bits_and_the_errors_of_every_access(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);
    struct json_object *document;

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_P | E_US | E_A | E_NX | UINT64_C(4) << 59);
    walk_in_words(&machine, VA + 1, "r,user", &model);
    document = walk_document(&model, NULL);
    EXPECT_AT(document, "va", "\"0x5001\"");
    EXPECT_AT(document, "access.kind", "\"read\"");
    EXPECT_AT(document, "access.user", "true");
    EXPECT_AT(document, "paging", "\"4-level\"");
    EXPECT_AT(document, "references", "4");
    EXPECT_AT(document, "entries.0.name", "\"PML4E\"");
    EXPECT_AT(document, "entries.0.target", "\"0x103000\"");
    EXPECT_AT(document, "entries.3.address", "\"0x101028\"");
    EXPECT_AT(document, "entries.3.value", "\"0xa000000000007025\"");
    EXPECT_AT(document, "entries.3.bits.R/W", "false");
    EXPECT_AT(document, "entries.3.bits.A", "true");
    EXPECT_AT(document, "entries.3.bits.key", "4");
    EXPECT_AT(document, "entries.3.leaf", "true");
    EXPECT_AT(document, "entries.3.forbids", "\"write, execute\"");
    EXPECT_AT(document, "translation.physical", "\"0x7001\"");
    EXPECT_AT(document, "translation.page_bytes", "4096");
    EXPECT_AT(document, "translation.rights", "\"r--u\"");
    EXPECT_AT(document, "translation.memory_type", "\"WB\"");
    EXPECT_AT(document, "translation.key", "4");
    EXPECT_AT(document, "errors.user.write", "7");
    EXPECT_AT(document, "errors.supervisor.execute", "17");
    EXPECT_AT(document, "errors.implicit.read", "0");
    EXPECT_AT(document, "fault", "missing");
    EXPECT_AT(document, "shadow", "missing");
    json_object_put(document);
}

static void test_a_fault_has_its_kind_and_causes(void **state)
{
    const struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);
    struct json_object *document;

    (void)state;
    walk_in_words(&machine, VA, "w", &model);
    document = walk_document(&model, NULL);
    EXPECT_AT(document, "fault.kind", "\"#PF\"");
    EXPECT_AT(document, "fault.error_code", "2");
    EXPECT_AT(document, "fault.cr2", "\"0x5000\"");
    EXPECT_AT(document, "fault.causes.0.entry", "0");
    EXPECT_AT(document, "fault.causes.0.bits", "\"0x1\"");
    EXPECT_AT(document, "fault.causes.0.because", "\"PML4E at 0x1000: P is 0: not present\"");
    EXPECT_AT(document, "translation", "missing");
    EXPECT_AT(document, "entries.0.target", "missing");
    json_object_put(document);
    walk_in_words(&machine, UINT64_C(0x800000000000), "w", &model);
    document = walk_document(&model, NULL);
    EXPECT_AT(document, "fault.kind", "\"#GP\"");
    EXPECT_AT(document, "fault.cr2", "missing");
    EXPECT_AT(document, "fault.causes.0.entry", "missing");
    json_object_put(document);
    world.absent_base = 0x1000;
    world.absent_bytes = 4096;
    walk_in_words(&machine, VA, "w", &model);
    document = walk_document(&model, NULL);
    EXPECT_AT(document, "fault.kind", "\"absent\"");
    EXPECT_AT(document, "fault.causes.0.address", "\"0x1000\"");
    json_object_put(document);
}

static void test_two_stages_have_both_addresses_and_the_rows_of_the_grid(void **state)
{
    struct machine machine = machine_with(&world, VMMU_X86_PAGING_4LEVEL);
    struct second second = second_ept(&world, 4, false);
    struct json_object *document;

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x300000 | E_ALL);
    second_map(&second, 2, 0, 0, VMMU_X86_RIGHTS_ALL);
    second_map(&second, 2, 0x200000, 0x40000000, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_USER);
    machine.has_second = true;
    machine.second = second.stage2;
    walk_in_words(&machine, VA, "r", &model);
    document = walk_document(&model, NULL);
    EXPECT_AT(document, "references", "19");
    EXPECT_AT(document, "entries.0.stage", "\"second\"");
    EXPECT_AT(document, "entries.0.row", "4");
    EXPECT_AT(document, "entries.2.bits.type", "6");
    EXPECT_AT(document, "entries.3.stage", "\"guest\"");
    EXPECT_AT(document, "translation.guest_physical", "\"0x300000\"");
    EXPECT_AT(document, "translation.physical", "\"0x40100000\"");
    EXPECT_AT(document, "translation.second_page_bytes", "2097152");
    EXPECT_AT(document, "translation.second_rights", "\"r--u\"");
    json_object_put(document);
    walk_in_words(&machine, VA, "w", &model);
    document = walk_document(&model, NULL);
    EXPECT_AT(document, "fault.kind", "\"EPT violation\"");
    EXPECT_AT(document, "fault.guest_physical", "\"0x300000\"");
    EXPECT_AT(document, "fault.qualification", "\"0x18a\"");
    json_object_put(document);
}

static void test_registers_have_no_address(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);
    struct json_object *document;

    (void)state;
    registers.pdpte_in_memory = false;
    registers.pdpte[0] = 0x9000 | E_P;
    world_init(&world);
    const struct machine machine = machine_on(&world, &registers);

    walk_in_words(&machine, VA, "r", &model);
    document = walk_document(&model, NULL);
    EXPECT_AT(document, "entries.0.stage", "\"register\"");
    EXPECT_AT(document, "entries.0.address", "missing");
    EXPECT_AT(document, "entries.0.reference", "0");
    json_object_put(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_translation_has_entries_with_bits_and_the_errors_of_every_access),
        cmocka_unit_test(test_a_fault_has_its_kind_and_causes),
        cmocka_unit_test(test_two_stages_have_both_addresses_and_the_rows_of_the_grid),
        cmocka_unit_test(test_registers_have_no_address),
    };

    return RUN_TESTS(tests);
}
