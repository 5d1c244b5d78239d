/* TLFS "HvTranslateVirtualAddress". */
#include "tests/unit/hyperv/calling.h"
#include "tests/unit/test.h"
#include "tests/unit/walk/world.h"

#include <string.h>

/* HV_TRANSLATE_GVA_RESULT_CODE. */
enum {
    OK = 0,
    NOT_PRESENT = 1,
    PRIVILEGE = 2,
    INVALID_FLAGS = 3,
    UNMAPPED = 4,
    NO_READ = 5,
    NO_WRITE = 6,
    OVERLAY = 7,
};

/* HV_TRANSLATE_GVA_CONTROL_FLAGS. */
#define READ     0x01u
#define WRITE    0x02u
#define EXECUTE  0x04u
#define EXEMPT   0x08u
#define SET_BITS 0x10u
#define INHIBIT  0x20u

#define VA       UINT64_C(0x0000123456789000)
#define FRAME    UINT64_C(0x00000000ABCDE000)

#define VP       3u
#define AC       (UINT64_C(1) << 18)

/* One page that is not plain memory. */
struct odd_page {
    uint64_t at;
    struct vmmu_hyperv_page page;
};

struct scene {
    struct world world;
    struct vmmu_x86_paging_registers registers;
    struct vmmu_x86_mode mode;
    struct vmmu_hyperv_pats pats;
    struct odd_page odd;
    enum vmmu_x86_memory_type type;
    struct vmmu_hyperv_view view;
    struct vmmu_hyperv_translation out;
};

static struct scene scene;

static const struct vmmu_hyperv_page plain = { .mapped = true, .readable = true, .writable = true };

static struct vmmu_hyperv_page page_at(void *context, vmmu_gpa gpa)
{
    const struct scene *s = context;
    struct vmmu_hyperv_page page = (gpa.v & ~UINT64_C(0xFFF)) == s->odd.at ? s->odd.page : plain;

    page.type = s->type;
    return page;
}

/* @paging is on, nothing is mapped; the virtual processor runs at level 0. */
static void set_scene(enum vmmu_x86_paging paging)
{
    memset(&scene, 0, sizeof(scene));
    world_init(&scene.world);
    scene.registers = registers_for(paging);
    scene.mode = mode_of(&scene.registers);
    scene.odd.at = 1; /* nowhere */
    scene.type = VMMU_X86_TYPE_WB;
    vmmu_hyperv_pats_init(&scene.pats);
    scene.view = (struct vmmu_hyperv_view){
        .mode = &scene.mode,
        .ram = &scene.world.ram,
        .pats = &scene.pats,
        .second_level = true,
        .vp = VP,
        .context = &scene,
        .page = page_at,
    };
}

/* And VA is mapped by @leaf, all entries above it allowing everything. */
static void set_mapped_scene(uint64_t leaf)
{
    set_scene(VMMU_X86_PAGING_4LEVEL);
    put_chain(&scene.world, &scene.mode, 1, VA, FRAME | leaf);
}

static uint64_t translate(uint64_t control, uint64_t va)
{
    const struct vmmu_hyperv_translate request = { control, { va } };

    memset(&scene.out, 0xEE, sizeof(scene.out));
    EXPECT_EQ(vmmu_hyperv_translate(&scene.view, &request, &scene.out), VMMU_OK);
    if (scene.out.code != VMMU_HYPERV_TRANSLATE_SUCCESS) {
        EXPECT_EQ(scene.out.gpa.v, 0);
        EXPECT(!scene.out.inhibit_flush && !scene.out.overlay);
    }
    return scene.out.code;
}

static uint64_t leaf_now(void)
{
    return world_read(&scene.world, entry_at(&scene.mode, 1, VA), 8);
}

static void test_a_page_is_found_and_nothing_is_marked(void **state)
{
    (void)state;
    set_mapped_scene(E_ALL);
    EXPECT_EQ(translate(READ | WRITE | EXECUTE, VA), OK);
    EXPECT_EQ(scene.out.gpa.v, FRAME);
    EXPECT_EQ(scene.out.cache_type, 6);
    EXPECT(!scene.out.overlay && !scene.out.inhibit_flush);
    EXPECT_EQ(leaf_now(), FRAME | E_ALL);
    EXPECT_EQ(scene.world.exchanges, 0);
}

static void test_a_page_within_a_large_page_is_named_by_itself(void **state)
{
    (void)state;
    set_scene(VMMU_X86_PAGING_4LEVEL);
    put_chain(&scene.world, &scene.mode, 2, VA, UINT64_C(0xC0000000) | E_ALL | E_PS);
    EXPECT_EQ(translate(READ, VA), OK);
    EXPECT_EQ(scene.out.gpa.v, UINT64_C(0xC0000000) + (VA & 0x1FF000));
}

static void test_what_is_not_present_is_not_present(void **state)
{
    (void)state;
    set_mapped_scene(E_ALL & ~E_P);
    EXPECT_EQ(translate(READ, VA), NOT_PRESENT);
    EXPECT_EQ(translate(READ, VA + 0x8000000000), NOT_PRESENT);
    EXPECT_EQ(translate(READ, UINT64_C(0x0000800000000000)), NOT_PRESENT); /* no address at all */
}

static void test_rights_are_asked_for_one_by_one(void **state)
{
    (void)state;
    set_mapped_scene(E_P | E_US);
    EXPECT_EQ(translate(READ, VA), OK);
    EXPECT_EQ(translate(WRITE, VA), PRIVILEGE);
    EXPECT_EQ(translate(READ | WRITE, VA), PRIVILEGE);
    EXPECT_EQ(translate(EXECUTE, VA), OK);
    set_mapped_scene(E_ALL | E_NX);
    EXPECT_EQ(translate(READ | WRITE, VA), OK);
    EXPECT_EQ(translate(EXECUTE, VA), PRIVILEGE);
    EXPECT_EQ(translate(READ | EXECUTE, VA), PRIVILEGE);
}

static void test_reserved_bits_are_invalid_flags(void **state)
{
    (void)state;
    set_scene(VMMU_X86_PAGING_4LEVEL);
    put_chain(&scene.world, &scene.mode, 2, VA, UINT64_C(0xC0002000) | E_ALL | E_PS); /* bit 13 of 2 MiB */
    EXPECT_EQ(translate(READ, VA), INVALID_FLAGS);
}

static void test_a_user_reaches_user_pages_unless_exempt(void **state)
{
    (void)state;
    set_mapped_scene(E_P | E_RW);
    scene.view.cpl = 3;
    EXPECT_EQ(translate(READ, VA), PRIVILEGE);
    EXPECT_EQ(translate(READ | EXEMPT, VA), OK);
    EXPECT_EQ(translate(WRITE | EXEMPT, VA), OK);
    for (uint8_t cpl = 0; cpl < 3; cpl++) {
        scene.view.cpl = cpl;
        EXPECT_EQ(translate(READ, VA), OK);
    }
}

static void test_smep_and_smap_stop_supervisors_that_are_not_exempt(void **state)
{
    (void)state;
    set_mapped_scene(E_ALL);
    scene.registers.cr4 |= VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP;
    scene.mode = mode_of(&scene.registers);
    EXPECT_EQ(translate(READ, VA), PRIVILEGE);
    EXPECT_EQ(translate(EXECUTE, VA), PRIVILEGE);
    scene.view.rflags = AC;
    EXPECT_EQ(translate(READ, VA), OK);
    EXPECT_EQ(translate(EXECUTE, VA), PRIVILEGE);
    scene.view.rflags = 0;
    EXPECT_EQ(translate(READ | EXECUTE | EXEMPT, VA), OK);
}

/* "Dirty only with write". */
static void test_bits_are_set_if_that_is_asked_for(void **state)
{
    (void)state;
    set_mapped_scene(E_ALL);
    EXPECT_EQ(translate(READ | SET_BITS, VA), OK);
    EXPECT_EQ(leaf_now(), FRAME | E_ALL | E_A);
    EXPECT_EQ(world_read(&scene.world, entry_at(&scene.mode, 4, VA), 8) & E_A, E_A);
    EXPECT_EQ(translate(WRITE | SET_BITS, VA), OK);
    EXPECT_EQ(leaf_now(), FRAME | E_ALL | E_A | E_D);
}

static void test_bits_already_set_stay_set_if_the_walk_aborts(void **state)
{
    (void)state;
    set_mapped_scene(E_P);
    EXPECT_EQ(translate(READ | WRITE | SET_BITS, VA), PRIVILEGE);
    EXPECT_EQ(world_read(&scene.world, entry_at(&scene.mode, 4, VA), 8) & E_A, E_A);
    EXPECT_EQ(leaf_now() & E_D, 0);
}

static void test_flushes_are_inhibited_on_success_only(void **state)
{
    (void)state;
    set_mapped_scene(E_P);
    EXPECT_EQ(translate(READ | INHIBIT, VA), OK);
    EXPECT(scene.out.inhibit_flush);
    EXPECT_EQ(translate(WRITE | INHIBIT, VA), PRIVILEGE); /* translate() looks */
}

static void test_what_is_at_the_page_decides_of_the_last_access(void **state)
{
    (void)state;
    set_mapped_scene(E_ALL);
    scene.odd = (struct odd_page){ FRAME, { .mapped = false } };
    EXPECT_EQ(translate(READ, VA), UNMAPPED);
    scene.odd.page = (struct vmmu_hyperv_page){ .mapped = true };
    EXPECT_EQ(translate(READ, VA), NO_READ);
    scene.odd.page = (struct vmmu_hyperv_page){ .mapped = true, .readable = true };
    EXPECT_EQ(translate(READ, VA), OK);
    EXPECT_EQ(translate(WRITE, VA), NO_WRITE);
}

static void test_an_overlay_at_the_page_is_told(void **state)
{
    (void)state;
    set_mapped_scene(E_ALL);
    scene.odd = (struct odd_page){ FRAME, { .mapped = true, .readable = true, .overlay = true } };
    EXPECT_EQ(translate(READ, VA), OK);
    EXPECT(scene.out.overlay);
    EXPECT_EQ(scene.out.gpa.v, FRAME);
}

/* The page that holds the table of level @level. */
static uint64_t table_page(unsigned level)
{
    return entry_at(&scene.mode, level, VA) & ~UINT64_C(0xFFF);
}

static void test_tables_must_be_memory_too(void **state)
{
    (void)state;
    for (unsigned level = 1; level <= 4; level++) {
        set_mapped_scene(E_ALL);
        scene.odd = (struct odd_page){ table_page(level), { .mapped = false } };
        EXPECT_EQ(translate(READ, VA), UNMAPPED);
        scene.odd.page = (struct vmmu_hyperv_page){ .mapped = true };
        EXPECT_EQ(translate(READ, VA), NO_READ);
        scene.odd.page = (struct vmmu_hyperv_page){ .mapped = true, .readable = true };
        EXPECT_EQ(translate(READ, VA), OK);
        EXPECT_EQ(translate(READ | SET_BITS, VA), NO_WRITE);
        scene.odd.page =
            (struct vmmu_hyperv_page){ .mapped = true, .readable = true, .writable = true, .overlay = true };
        EXPECT_EQ(translate(READ, VA), OVERLAY);
    }
}

static void test_a_table_where_there_is_no_memory_is_unmapped(void **state)
{
    (void)state;
    set_mapped_scene(E_ALL);
    scene.world.absent_base = table_page(2);
    scene.world.absent_bytes = 4096;
    EXPECT_EQ(translate(READ, VA), UNMAPPED);
}

/* A race is somebody else's write just before ours: the walk begins again, and finds what stands there now. */
static void test_a_walk_that_was_raced_begins_again(void **state)
{
    (void)state;
    set_mapped_scene(E_ALL);
    scene.world.race = true;
    scene.world.race_bits = E_A;
    EXPECT_EQ(translate(READ | SET_BITS, VA), OK);
    EXPECT_EQ(leaf_now(), FRAME | E_ALL | E_A);
}

static enum vmmu_status always_raced(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                     uint64_t desired)
{
    (void)context, (void)address, (void)width_bytes, (void)expected, (void)desired;
    return VMMU_RACED;
}

static void test_a_walk_that_is_raced_for_ever_is_given_up(void **state)
{
    const struct vmmu_hyperv_translate request = { READ | SET_BITS, { VA } };

    (void)state;
    set_mapped_scene(E_ALL);
    scene.world.ram.exchange = always_raced;
    EXPECT_EQ(vmmu_hyperv_translate(&scene.view, &request, &scene.out), VMMU_RACED);
}

static void test_with_paging_off_every_page_is_itself(void **state)
{
    (void)state;
    set_scene(VMMU_X86_PAGING_NONE);
    scene.odd = (struct odd_page){ 0x5000, { .mapped = false } };
    EXPECT_EQ(translate(READ | WRITE | EXECUTE, 0x5000), OK);
    EXPECT_EQ(scene.out.gpa.v, 0x5000);
    EXPECT_EQ(scene.out.cache_type, 6);
    scene.type = VMMU_X86_TYPE_UC;
    EXPECT_EQ(translate(READ, 0x5000), OK);
    EXPECT_EQ(scene.out.cache_type, 0);
}

static void test_32_bit_paging_has_no_page_beyond_4_gib(void **state)
{
    (void)state;
    set_scene(VMMU_X86_PAGING_32BIT);
    put_chain(&scene.world, &scene.mode, 1, 0x12345000, 0x6000 | E_ALL);
    EXPECT_EQ(translate(READ, 0x12345000), OK);
    EXPECT_EQ(scene.out.gpa.v, 0x6000);
    EXPECT_EQ(translate(READ, UINT64_C(0x112345000)), NOT_PRESENT);
}

/* --- cache types --- */

/* SDM 3A "Effective Page-Level Memory Types": the type of the MTRRs, the PAT, and both. */

static uint64_t effective_type(unsigned mtrr, unsigned pat)
{
    set_mapped_scene(E_ALL);
    scene.type = (enum vmmu_x86_memory_type)mtrr;
    scene.pats.of_vp[VP] = pat; /* entry 0, which the leaf selects */
    EXPECT_EQ(translate(READ, VA), OK);
    return scene.out.cache_type;
}

static void test_cache_types_of_ranges_and_pages_combine(void **state)
{
    enum { UC = 0, WC = 1, WT = 4, WP = 5, WB = 6, UC_MINUS = 7 };
    static const struct {
        uint8_t mtrr;
        uint8_t pat;
        uint8_t effective;
    } rows[] = {
        { UC, UC, UC }, { UC, UC_MINUS, UC }, { UC, WC, WC },       { UC, WT, UC }, { UC, WB, UC },
        { UC, WP, UC }, { WC, UC, UC },       { WC, UC_MINUS, WC }, { WC, WC, WC }, { WC, WB, WC },
        { WT, UC, UC }, { WT, UC_MINUS, UC }, { WT, WC, WC },       { WT, WT, WT }, { WT, WB, WT },
        { WB, UC, UC }, { WB, UC_MINUS, UC }, { WB, WC, WC },       { WB, WT, WT }, { WB, WB, WB },
        { WB, WP, WP }, { WP, UC, UC },       { WP, WC, WC },       { WP, WB, WP }, { WP, WP, WP },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EXPECT_EQ(effective_type(rows[i].mtrr, rows[i].pat), rows[i].effective);
    }
}

static void test_the_leaf_selects_the_entry_of_the_pat(void **state)
{
    (void)state;
    for (unsigned index = 0; index < 8; index++) {
        const uint64_t bits = ((index & 1) ? E_PWT : 0) | ((index & 2) ? E_PCD : 0) |
                              ((index & 4) ? E_PS : 0); /* PAT of 4 KiB */

        set_mapped_scene(E_ALL | bits);
        scene.pats.of_vp[VP] = UINT64_C(0x0606060606060606) & ~(UINT64_C(0xFF) << (8 * index));
        EXPECT_EQ(translate(READ, VA), OK);
        EXPECT_EQ(scene.out.cache_type, 0);
        scene.pats.of_vp[VP] = UINT64_C(0x06) << (8 * index);
        EXPECT_EQ(translate(READ, VA), OK);
        EXPECT_EQ(scene.out.cache_type, 6);
    }
}

static void test_disabled_caches_are_told(void **state)
{
    const struct vmmu_hyperv_policy honor = { .cr0_cd = VMMU_HYPERV_CACHE_HONOR };

    (void)state;
    set_mapped_scene(E_ALL);
    (void)vmmu_hyperv_pat_follow_cr0(&scene.pats, &honor, VP, VMMU_X86_CR0_CD | 0x80000001);
    EXPECT_EQ(translate(READ, VA), OK);
    EXPECT_EQ(scene.out.cache_type, 0);
    set_scene(VMMU_X86_PAGING_NONE);
    (void)vmmu_hyperv_pat_follow_cr0(&scene.pats, &honor, VP, VMMU_X86_CR0_CD | 1);
    EXPECT_EQ(translate(READ, 0x5000), OK);
    EXPECT_EQ(scene.out.cache_type, 0);
}

static void test_the_type_of_a_page_whose_translation_is_not_known_is_that_of_the_ranges(void **state)
{
    const struct vmmu_hyperv_policy honor = { .cr0_cd = VMMU_HYPERV_CACHE_HONOR };

    (void)state;
    set_mapped_scene(E_ALL);
    scene.pats.of_vp[VP] = 0;
    EXPECT_EQ(vmmu_hyperv_cache_type(&scene.view, NULL, VMMU_X86_TYPE_WT), VMMU_X86_TYPE_WT);
    scene.view.mode = NULL;
    EXPECT_EQ(vmmu_hyperv_cache_type(&scene.view, NULL, VMMU_X86_TYPE_WB), VMMU_X86_TYPE_WB);
    (void)vmmu_hyperv_pat_follow_cr0(&scene.pats, &honor, VP, VMMU_X86_CR0_CD | 0x80000001);
    EXPECT_EQ(vmmu_hyperv_cache_type(&scene.view, NULL, VMMU_X86_TYPE_WB), VMMU_X86_TYPE_UC);
}

static void test_the_output_is_code_cache_type_overlay_and_page(void **state)
{
    const struct vmmu_hyperv_translation success = { .cache_type = VMMU_X86_TYPE_WB,
                                                     .overlay = true,
                                                     .gpa = { 0x123456000 } };
    const struct vmmu_hyperv_translation failure = { .code = VMMU_HYPERV_TRANSLATE_INVALID_FLAGS };
    uint8_t output[17];

    (void)state;
    memset(output, 0xEE, sizeof(output));
    vmmu_hyperv_translate_output(&success, output);
    assert_memory_equal(output, "\0\0\0\0\6\1\0\0\x56\x34\x12\0\0\0\0\0\xEE", 17);
    vmmu_hyperv_translate_output(&failure, output);
    assert_memory_equal(output, "\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xEE", 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_is_found_and_nothing_is_marked),
        cmocka_unit_test(test_a_page_within_a_large_page_is_named_by_itself),
        cmocka_unit_test(test_what_is_not_present_is_not_present),
        cmocka_unit_test(test_rights_are_asked_for_one_by_one),
        cmocka_unit_test(test_reserved_bits_are_invalid_flags),
        cmocka_unit_test(test_a_user_reaches_user_pages_unless_exempt),
        cmocka_unit_test(test_smep_and_smap_stop_supervisors_that_are_not_exempt),
        cmocka_unit_test(test_bits_are_set_if_that_is_asked_for),
        cmocka_unit_test(test_bits_already_set_stay_set_if_the_walk_aborts),
        cmocka_unit_test(test_flushes_are_inhibited_on_success_only),
        cmocka_unit_test(test_what_is_at_the_page_decides_of_the_last_access),
        cmocka_unit_test(test_an_overlay_at_the_page_is_told),
        cmocka_unit_test(test_tables_must_be_memory_too),
        cmocka_unit_test(test_a_table_where_there_is_no_memory_is_unmapped),
        cmocka_unit_test(test_a_walk_that_was_raced_begins_again),
        cmocka_unit_test(test_a_walk_that_is_raced_for_ever_is_given_up),
        cmocka_unit_test(test_with_paging_off_every_page_is_itself),
        cmocka_unit_test(test_32_bit_paging_has_no_page_beyond_4_gib),
        cmocka_unit_test(test_cache_types_of_ranges_and_pages_combine),
        cmocka_unit_test(test_the_leaf_selects_the_entry_of_the_pat),
        cmocka_unit_test(test_disabled_caches_are_told),
        cmocka_unit_test(test_the_type_of_a_page_whose_translation_is_not_known_is_that_of_the_ranges),
        cmocka_unit_test(test_the_output_is_code_cache_type_overlay_and_page),
    };

    return RUN_TESTS(tests);
}
