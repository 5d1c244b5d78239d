/*
 * The lines of README.md that show the library: they compile, and do what the text beside them says.
 *
 * scripts/front.mk cuts them out of the text; they are linked with this program as they stand there.
 */
#include "tests/unit/table/table_host.h"
#include "tests/unit/test.h"

#include <vmmu/nested.h>
#include <vmmu/walk.h>

/* README.md defines these two. */
enum vmmu_status look(const struct vmmu_x86_cpu *cpu, const struct vmmu_x86_paging_registers *registers,
                      const struct vmmu_ram *memory, vmmu_gva address, struct vmmu_x86_walk_result *found);
enum vmmu_status give(struct vmmu_nested *nested, struct vmmu_table_memory *tables, vmmu_hpa machine);

#define TABLE_ENTRIES 512UL
#define MEMORY_WORDS  (5 * TABLE_ENTRIES)
#define PRESENT       BIT64(0)
#define WRITABLE      BIT64(1)
#define USER          BIT64(2)

/*
 * Five pages from zero on: PML4, page-directory-pointer table, page directory, page
 * table, and the page it maps.
 */
static uint64_t words[MEMORY_WORDS];

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    (void)context;
    if (width_bytes != sizeof(words[0]) || address / sizeof(words[0]) >= MEMORY_WORDS)
        return VMMU_ABSENT;
    *value = words[address / sizeof(words[0])];
    return VMMU_OK;
}

static const struct vmmu_x86_cpu cpu = { .maxphyaddr = 40, .pae = true, .long_mode = true };
static const struct vmmu_x86_paging_registers registers = {
    .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_ET | VMMU_X86_CR0_PG,
    .cr3 = 0,
    .cr4 = VMMU_X86_CR4_PAE,
    .efer = VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA,
};
static const struct vmmu_ram memory = { .load = load };

/* The page at linear 0x1000 is the fifth of memory, with @rights in its entry. */
static void map_page(uint64_t rights)
{
    for (unsigned level = 0; level < 3; level++)
        words[level * TABLE_ENTRIES] = (level + 1) * VMMU_PAGE_BYTES | PRESENT | WRITABLE | USER;
    words[3 * TABLE_ENTRIES + 1] = 4 * VMMU_PAGE_BYTES | rights;
}

static void test_the_walk_of_the_readme_finds_where_an_address_leads(void **state)
{
    struct vmmu_x86_walk_result found;
    (void)state;

    map_page(PRESENT | WRITABLE | USER);
    EXPECT_EQ(look(&cpu, &registers, &memory, (vmmu_gva){ 0x1234 }, &found), VMMU_OK);
    EXPECT_EQ(found.translation.gpa.v, 0x4234);
    EXPECT_EQ(found.loads, 4);
}

static void test_the_walk_of_the_readme_gives_the_fault_that_a_processor_would_raise(void **state)
{
    struct vmmu_x86_walk_result found;
    (void)state;

    map_page(PRESENT | WRITABLE);
    EXPECT_EQ(look(&cpu, &registers, &memory, (vmmu_gva){ 0x1234 }, &found), VMMU_GUEST_FAULT);
    EXPECT_EQ(found.fault.vector, VMMU_X86_VECTOR_PF);
    /* Present, a write, by user code. */
    EXPECT_EQ(found.fault.error_code, 7);
    EXPECT_EQ(found.fault.cr2, 0x1234);
}

static void test_the_second_stage_of_the_readme_maps_a_gigabyte_by_one_page(void **state)
{
    static struct table_host host;
    static struct vmmu_table_retired quarantine[64];
    const vmmu_hpa machine = { 0x140000000 };
    struct vmmu_table_memory tables;
    struct vmmu_nested nested;
    struct vmmu_nested_page page;
    (void)state;

    table_host_init(&host);
    vmmu_table_init(&tables, &host.seam, quarantine, 64, 0);
    EXPECT_EQ(give(&nested, &tables, machine), VMMU_OK);
    EXPECT_EQ(vmmu_nested_lookup(&nested, (vmmu_gpa){ 0x7F234 }, &page), VMMU_OK);
    EXPECT_EQ(page.frame.v, machine.v);
    EXPECT_EQ(page.size_bytes, VMMU_1G_BYTES);
    EXPECT_EQ(vmmu_nested_lookup(&nested, (vmmu_gpa){ VMMU_1G_BYTES }, &page), VMMU_ABSENT);
    vmmu_nested_destroy(&nested);
    vmmu_table_drain(&tables);
    table_host_finish(&host, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_walk_of_the_readme_finds_where_an_address_leads),
        cmocka_unit_test(test_the_walk_of_the_readme_gives_the_fault_that_a_processor_would_raise),
        cmocka_unit_test(test_the_second_stage_of_the_readme_maps_a_gigabyte_by_one_page),
    };
    return RUN_TESTS(tests);
}
