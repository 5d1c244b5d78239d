/*
 * The rule of permitted results, sentence by sentence: PCIDs, global pages, control registers.
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches", "Process-Context Identifiers
 * (PCIDs)", "Global Pages", "PDPTE Registers"; APM 2 "TLB Management".
 */
#include "reference_guest.h"
#include "tests/unit/test.h"

static struct guest guest;

#define NO_FLUSH     VMMU_X86_CR3_NO_FLUSH
#define RIGHTS_WRITE (VMMU_X86_PF_PRESENT | VMMU_X86_PF_WRITE)
#define RIGHTS_FETCH (VMMU_X86_PF_PRESENT | VMMU_X86_PF_FETCH)

static const enum guest_vendor vendors[] = { INTEL, AMD };

/* 4-level paging, PCID 0, VA leads to FRAME_1 in space 0 and to FRAME_3 in space 1; nothing stale. */
static void begin(enum guest_vendor vendor)
{
    guest_start(&guest, vendor, VMMU_X86_PAGING_4LEVEL, 1);
    guest_put(&guest, 0, 1, VA, FRAME_1 | E_RW);
    guest_put(&guest, 1, 1, VA, FRAME_3 | E_RW);
    guest_invpcid(&guest, 2, 0, 0);
}

static void leaf(uint64_t value)
{
    guest_put(&guest, 0, 1, VA, value);
}

static void on_both(void (*sentence)(void))
{
    for (unsigned i = 0; i < 2; i++) {
        begin(vendors[i]);
        sentence();
        EXPECT_EQ(reference_given_up(guest.reference), 0);
        guest_stop(&guest);
    }
}

/* --- MOV to CR3 and PCIDs --- */

static void mov_cr3(void)
{
    leaf(FRAME_2 | E_RW);
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_2));
}

static void test_mov_to_cr3_forgets_its_pcid(void **state)
{
    (void)state;
    on_both(mov_cr3);
}

static void without_pcids(void)
{
    guest_toggle_cr4(&guest, VMMU_X86_CR4_PCIDE);
    mov_cr3();
}

static void test_mov_to_cr3_without_pcids_forgets_all(void **state)
{
    (void)state;
    on_both(without_pcids);
}

static void keeping(void)
{
    leaf(FRAME_2 | E_RW);
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0) | NO_FLUSH);
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_2));
}

static void test_mov_to_cr3_with_bit_63_forgets_nothing(void **state)
{
    (void)state;
    on_both(keeping);
}

static void other_pcid(void)
{
    leaf(FRAME_2 | E_RW);
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 1));
    EXPECT(may_read(&guest, VA, FRAME_3));
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT(!may_read(&guest, VA, FRAME_2));
    reference_invlpg(guest.reference, 0, VA);
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0) | NO_FLUSH);
    EXPECT(may_read(&guest, VA, FRAME_1)); /* INVLPG acted on PCID 1 */
    EXPECT(!may_read(&guest, VA, FRAME_3));
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 1));
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    EXPECT(!may_read(&guest, VA, FRAME_1));
}

static void test_what_was_made_under_one_pcid_is_not_used_under_another_but_stays(void **state)
{
    (void)state;
    on_both(other_pcid);
}

static void reused(void)
{
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 0) | NO_FLUSH);
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_3));
    leaf(FRAME_2 | E_RW); /* the old space's tables may still be found, from the root down */
    EXPECT(may_read(&guest, VA, FRAME_2));
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 0));
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT(!may_read(&guest, VA, FRAME_2));
}

static void test_a_pcid_that_is_used_again_without_a_flush_may_show_the_old_space(void **state)
{
    (void)state;
    on_both(reused);
}

static void never_current(void)
{
    guest_put(&guest, 1, 1, VA, FRAME_2 | E_RW); /* while PCID 0 runs, in space 0 */
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 1));
    EXPECT(may_read(&guest, VA, FRAME_2));
    EXPECT(!may_read(&guest, VA, FRAME_3));
}

static void test_tables_are_read_only_while_cr3_leads_to_them(void **state)
{
    (void)state;
    on_both(never_current);
}

/* --- INVPCID --- */

/* PCIDs 0 and 1 both have something old at VA; PCID 0 runs, its page global or not. */
static void make_two_old(uint64_t global)
{
    leaf(FRAME_1 | E_RW | global);
    guest_invpcid(&guest, 2, 0, 0);
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 1));
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0) | NO_FLUSH);
    leaf(FRAME_2 | E_RW | global);
    guest_put(&guest, 1, 1, VA, FRAME_4 | E_RW);
}

static bool is_old_0(void)
{
    return may_read(&guest, VA, FRAME_1);
}

static bool is_old_1(void)
{
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 1) | NO_FLUSH);
    const bool old = may_read(&guest, VA, FRAME_3);

    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0) | NO_FLUSH);
    return old;
}

static void invpcid(void)
{
    make_two_old(0);
    EXPECT(is_old_0() && is_old_1());
    guest_invpcid(&guest, 0, 1, VA_NEXT);
    EXPECT(is_old_0() && is_old_1());
    guest_invpcid(&guest, 0, 1, VA);
    EXPECT(is_old_0() && !is_old_1());
    make_two_old(0);
    guest_put(&guest, 1, 1, VA, FRAME_3 | E_RW);
    guest_invpcid(&guest, 1, 0, 0);
    EXPECT(!is_old_0() && is_old_1());
    make_two_old(0);
    guest_invpcid(&guest, 3, 0, 0);
    EXPECT(!is_old_0() && !is_old_1());
}

static void test_invpcid_forgets_an_address_a_pcid_or_all(void **state)
{
    (void)state;
    on_both(invpcid);
}

static void invpcid_and_globals(void)
{
    make_two_old(E_G);
    guest_invpcid(&guest, 0, 0, VA);
    guest_invpcid(&guest, 1, 0, 0);
    guest_invpcid(&guest, 3, 0, 0);
    EXPECT(is_old_0());
    guest_invpcid(&guest, 2, 0, 0);
    EXPECT(!is_old_0());
}

static void test_of_invpcid_only_type_2_forgets_global_translations(void **state)
{
    (void)state;
    on_both(invpcid_and_globals);
}

/* The space's directory stands at two places, so that one of its entries, which changes, serves VA and VA_FAR. */
static void link_twice(void)
{
    guest_put(&guest, 0, 3, VA_FAR, TABLE(0, 2) | E_LINK);
    guest_invpcid(&guest, 2, 0, 0);
    guest_put(&guest, 0, 2, VA, TABLE(1, 1) | E_LINK);
    guest_invpcid(&guest, 0, 0, VA);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA_FAR, FRAME_1));
    leaf(FRAME_2 | E_RW); /* in the old table */
    EXPECT(!may_read(&guest, VA, FRAME_2));
}

static void invpcid_path(void)
{
    link_twice();
    EXPECT(may_read(&guest, VA_FAR, FRAME_2));
    guest_invpcid(&guest, 1, 0, 0);
    EXPECT(!may_read(&guest, VA_FAR, FRAME_1));
    EXPECT(!may_read(&guest, VA_FAR, FRAME_2));
}

static void test_invpcid_of_an_address_keeps_the_table_entries_of_other_paths(void **state)
{
    (void)state;
    begin(INTEL);
    invpcid_path();
    guest_stop(&guest);
    begin(AMD);
    guest_toggle_efer(&guest, BIT64(15));
    invpcid_path();
    guest_stop(&guest);
}

static void test_amd_without_tce_forgets_all_table_entries_of_the_pcid(void **state)
{
    (void)state;
    begin(AMD);
    link_twice();
    EXPECT(!may_read(&guest, VA_FAR, FRAME_2));
    guest_stop(&guest);
}

static void invpcid_fragments(void)
{
    const uint64_t large = GUEST_HIGH_BASE;

    guest_put(&guest, 0, 2, VA, large | E_RW | E_PS);
    guest_invpcid(&guest, 0, 1, VA);
    EXPECT(may_read(&guest, VA, FRAME_1));
    guest_put(&guest, 0, 2, VA, (large + VMMU_2M_BYTES) | E_RW | E_PS);
    EXPECT(may_read(&guest, VA_NEXT, large + 0x2000));
    guest_invpcid(&guest, 0, 0, VA);
    EXPECT(!may_read(&guest, VA_NEXT, large + 0x2000));
}

static void test_invpcid_of_an_address_takes_every_fragment_of_the_page(void **state)
{
    (void)state;
    on_both(invpcid_fragments);
}

static void invpcid_faults(void)
{
    struct reference *reference = guest.reference;

    EXPECT_EQ(reference_invpcid(reference, 0, 4, 0, 0), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_invpcid(reference, 0, 2, 0x1000, 0), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_invpcid(reference, 0, 0, 0, BIT64(62)), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_invpcid(reference, 0, 1, 0, BIT64(62)), VMMU_OK);
    guest_toggle_cr4(&guest, VMMU_X86_CR4_PCIDE);
    EXPECT_EQ(reference_invpcid(reference, 0, 0, 1, 0), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_invpcid(reference, 0, 1, 1, 0), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_invpcid(reference, 0, 0, 0, 0), VMMU_OK);
}

static void test_invpcid_faults_for_what_it_cannot_name(void **state)
{
    (void)state;
    on_both(invpcid_faults);
}

/* --- global pages --- */

static void global_stays(void)
{
    leaf(FRAME_1 | E_RW | E_G);
    guest_invpcid(&guest, 2, 0, 0);
    leaf(FRAME_2 | E_RW | E_G);
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    EXPECT(may_read(&guest, VA, FRAME_1));
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 1));
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_2));
    EXPECT(may_read(&guest, VA, FRAME_3));
    reference_invlpg(guest.reference, 0, VA);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    EXPECT(!may_read(&guest, VA, FRAME_1));
}

static void test_global_translations_outlast_cr3_and_serve_every_pcid_until_invlpg(void **state)
{
    (void)state;
    on_both(global_stays);
}

static void page_fault_and_globals(void)
{
    leaf(FRAME_1 | E_RW | E_G);
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 1));
    EXPECT(may_read(&guest, VA, FRAME_1));
    reference_page_fault(guest.reference, 0, VA);
    EXPECT(!may_read(&guest, VA, FRAME_1));
}

static void test_a_page_fault_forgets_the_global_translation_of_another_pcid(void **state)
{
    (void)state;
    on_both(page_fault_and_globals);
}

static void structures_are_not_global(void)
{
    leaf(FRAME_1 | E_RW | E_G);
    guest_invpcid(&guest, 2, 0, 0);
    guest_put(&guest, 0, 2, VA, TABLE(1, 1) | E_LINK);
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    EXPECT(may_read(&guest, VA, FRAME_1));
    leaf(FRAME_2 | E_RW | E_G); /* in the old table: the way to it is forgotten */
    EXPECT(!may_read(&guest, VA, FRAME_2));
}

static void test_table_entries_are_never_global(void **state)
{
    (void)state;
    on_both(structures_are_not_global);
}

static void toggle_pge(void)
{
    leaf(FRAME_1 | E_RW | E_G);
    leaf(FRAME_2 | E_RW | E_G);
    guest_toggle_cr4(&guest, VMMU_X86_CR4_PGE);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    leaf(FRAME_1 | E_RW | E_G); /* G is ignored from now on */
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    EXPECT(!may_read(&guest, VA, FRAME_2));
    leaf(FRAME_3 | E_RW | E_G);
    guest_toggle_cr4(&guest, VMMU_X86_CR4_PGE);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_3));
}

static void test_a_change_of_pge_forgets_all_and_without_it_nothing_is_global(void **state)
{
    (void)state;
    on_both(toggle_pge);
}

/* --- CR0, CR4, EFER --- */

/* A page that SMAP and SMEP do not concern. */
#define E_KERNEL (E_RW & ~E_U)

/* Make something global old under PCID 1, something else under PCID 0, which runs. */
static void make_old(void)
{
    guest_put(&guest, 1, 1, VA, FRAME_3 | E_KERNEL | E_G);
    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 1));
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    leaf(FRAME_2 | E_KERNEL);
}

static bool old_stays(void)
{
    return may_read(&guest, VA, FRAME_1);
}

static bool old_global_stays(void)
{
    return may_read(&guest, VA, FRAME_3);
}

/* A bit of CR4, and what its changes remove: nothing, what stands under the current PCID, all. */
enum removes { NOTHING, CONTEXT, ALL };

struct cr4_sentence {
    uint64_t bit;
    enum removes set[2]; /* by vendor */
    enum removes cleared[2];
};

static const struct cr4_sentence cr4_sentences[] = {
    { VMMU_X86_CR4_PGE, { [INTEL] = ALL, [AMD] = ALL }, { [INTEL] = ALL, [AMD] = ALL } },
    { VMMU_X86_CR4_PCIDE, { [INTEL] = NOTHING, [AMD] = NOTHING }, { [INTEL] = ALL, [AMD] = ALL } },
    { VMMU_X86_CR4_SMEP, { [INTEL] = CONTEXT, [AMD] = NOTHING }, { [INTEL] = NOTHING, [AMD] = NOTHING } },
    { VMMU_X86_CR4_SMAP, { [INTEL] = NOTHING, [AMD] = NOTHING }, { [INTEL] = NOTHING, [AMD] = NOTHING } },
    { VMMU_X86_CR4_PKE, { [INTEL] = NOTHING, [AMD] = ALL }, { [INTEL] = NOTHING, [AMD] = NOTHING } },
    { VMMU_X86_CR4_PSE, { [INTEL] = NOTHING, [AMD] = ALL }, { [INTEL] = NOTHING, [AMD] = ALL } },
};

static void check_cr4(const struct cr4_sentence *sentence, enum guest_vendor vendor, bool set)
{
    const enum removes removes = set ? sentence->set[vendor] : sentence->cleared[vendor];

    begin(vendor);
    if (((reference_registers(guest.reference, 0)->cr4 & sentence->bit) != 0) == set) {
        guest_toggle_cr4(&guest, sentence->bit);
    }
    /* While PCIDE or PGE is clear, there is only one PCID, or nothing global. */
    const bool globals = !set || !(sentence->bit & (VMMU_X86_CR4_PGE | VMMU_X86_CR4_PCIDE));

    leaf(FRAME_1 | E_KERNEL);
    if (globals) {
        make_old();
    } else {
        leaf(FRAME_2 | E_KERNEL);
    }
    guest_toggle_cr4(&guest, sentence->bit);
    EXPECT_EQ(old_stays(), removes == NOTHING);
    EXPECT_EQ(old_global_stays(), globals && removes != ALL);
    guest_stop(&guest);
}

static void test_each_bit_of_cr4_forgets_what_the_vendor_says(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(cr4_sentences) / sizeof(cr4_sentences[0]); i++) {
        for (unsigned vendor = 0; vendor < 2; vendor++) {
            check_cr4(&cr4_sentences[i], (enum guest_vendor)vendor, true);
            check_cr4(&cr4_sentences[i], (enum guest_vendor)vendor, false);
        }
    }
}

static void test_smep_forgets_global_translations_of_its_pcid(void **state)
{
    (void)state;
    begin(INTEL);
    leaf(FRAME_1 | E_RW | E_G);
    guest_invpcid(&guest, 2, 0, 0);
    leaf(FRAME_2 | E_RW | E_G);
    EXPECT(may_read(&guest, VA, FRAME_1));
    guest_toggle_cr4(&guest, VMMU_X86_CR4_SMEP);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    guest_stop(&guest);
}

static void paging_off(void)
{
    guest_toggle_cr4(&guest, VMMU_X86_CR4_PCIDE);
    leaf(FRAME_2 | E_RW | E_G);
    leaf(FRAME_3 | E_RW | E_G);
    guest_toggle_cr0(&guest, VMMU_X86_CR0_PG);
    EXPECT(may_read(&guest, VA, VA));
    EXPECT(may_read(&guest, BIT64(32) | VA, VA));
    EXPECT(!may_read(&guest, VA, FRAME_3));
    guest_toggle_cr0(&guest, VMMU_X86_CR0_PG);
    EXPECT(may_read(&guest, VA, FRAME_3));
    EXPECT(!may_read(&guest, VA, FRAME_2));
    EXPECT(!may_read(&guest, VA, VA));
}

static void test_paging_off_and_on_forgets_all(void **state)
{
    (void)state;
    on_both(paging_off);
}

static void write_protect(void)
{
    leaf(FRAME_1 | E_RO);
    reference_invlpg(guest.reference, 0, VA);
    EXPECT(!may_write(&guest, VA, FRAME_1));
    guest_toggle_cr0(&guest, VMMU_X86_CR0_WP);
    EXPECT(may_write(&guest, VA, FRAME_1));
    EXPECT(!may_fault(&guest, VA, VMMU_X86_WRITE, RIGHTS_WRITE));
    guest_toggle_cr0(&guest, VMMU_X86_CR0_WP);
    EXPECT(!may_write(&guest, VA, FRAME_1));
}

static void test_write_protect_counts_at_once(void **state)
{
    (void)state;
    on_both(write_protect);
}

static void judged_at_use(void)
{
    EXPECT(may_read(&guest, VA, FRAME_1) && may_fetch(&guest, VA, FRAME_1));
    guest_toggle_cr4(&guest, VMMU_X86_CR4_SMAP);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    guest_toggle_cr4(&guest, VMMU_X86_CR4_SMAP);
    guest_toggle_cr4(&guest, VMMU_X86_CR4_SMEP);
    EXPECT(!may_fetch(&guest, VA, FRAME_1));
    EXPECT(may_fault(&guest, VA, VMMU_X86_EXECUTE, RIGHTS_FETCH));
    guest_toggle_cr4(&guest, VMMU_X86_CR4_SMEP);
    EXPECT(may_fetch(&guest, VA, FRAME_1));
    guest_toggle_cr4(&guest, VMMU_X86_CR4_PKE);
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT_EQ(reference_pkru(guest.reference, 0, 1), VMMU_OK);
    EXPECT(!may_read(&guest, VA, FRAME_1));
}

static void test_smap_smep_and_keys_count_at_once(void **state)
{
    (void)state;
    on_both(judged_at_use);
}

/* XD is set, and remembered; then EFER.NXE is cleared. */
static void clear_nxe(void)
{
    leaf(FRAME_1 | E_RW | E_XD);
    reference_invlpg(guest.reference, 0, VA);
    EXPECT(!may_fetch(&guest, VA, FRAME_1));
    guest_toggle_efer(&guest, VMMU_X86_EFER_NXE);
}

#define FRESH_RESERVED (VMMU_X86_PF_PRESENT | VMMU_X86_PF_RESERVED)

static void test_after_nxe_was_cleared_xd_may_count_or_not_or_be_reserved(void **state)
{
    (void)state;
    begin(INTEL);
    clear_nxe();
    EXPECT(may_fetch(&guest, VA, FRAME_1));
    EXPECT(may_fault(&guest, VA, VMMU_X86_EXECUTE, VMMU_X86_PF_PRESENT));
    EXPECT(may_fault(&guest, VA, VMMU_X86_EXECUTE, FRESH_RESERVED));
    EXPECT(may_read(&guest, VA, FRAME_1));
    reference_invlpg(guest.reference, 0, VA);
    EXPECT(!may_fetch(&guest, VA, FRAME_1));
    EXPECT(!may_fault(&guest, VA, VMMU_X86_EXECUTE, VMMU_X86_PF_PRESENT));
    EXPECT(!may_read(&guest, VA, FRAME_1));
    guest_stop(&guest);
}

static void xd_under_nxe(void)
{
    clear_nxe();
    EXPECT(may_read(&guest, VA, FRAME_1));
    reference_invlpg(guest.reference, 0, VA);
    guest_toggle_efer(&guest, VMMU_X86_EFER_NXE);
    EXPECT(!may_fetch(&guest, VA, FRAME_1));
    EXPECT(!may_fault(&guest, VA, VMMU_X86_READ, FRESH_RESERVED));
}

static void test_after_nxe_was_set_nothing_old_is_left_of_an_xd_entry(void **state)
{
    (void)state;
    on_both(xd_under_nxe);
}

static void not_canonical(void)
{
    const struct reference_access access = { .address = BIT64(60) };
    const struct reference_result fault = {
        .end = END_FAULTS, .fault = { .vector = VMMU_X86_VECTOR_GP, .has_error_code = true }
    };

    EXPECT_EQ(guest_judge(&guest, access, fault), PERMITTED);
    EXPECT_EQ(guest_judge(&guest, access, (struct reference_result){ .gpa = FRAME_1 }), FORBIDDEN);
    leaf(FRAME_2 | E_RW);
    reference_invlpg(guest.reference, 0, VA | BIT64(60)); /* forgets nothing */
    EXPECT(may_read(&guest, VA, FRAME_1));
}

static void test_an_address_that_is_not_canonical_is_never_translated(void **state)
{
    (void)state;
    on_both(not_canonical);
}

/* --- other formats --- */

static void test_32_bit_paging_of_intel_keeps_large_pages_over_a_change_of_pse(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        guest_start(&guest, vendors[i], VMMU_X86_PAGING_32BIT, 1);
        guest_put(&guest, 0, 2, VA, 0x400000 | E_RW | E_PS);
        guest_toggle_cr4(&guest, VMMU_X86_CR4_PGE);
        EXPECT(may_read(&guest, VA, 0x400000 + (VA & 0x3fffff)));
        guest_toggle_cr4(&guest, VMMU_X86_CR4_PSE);
        EXPECT_EQ(may_read(&guest, VA, 0x400000 + (VA & 0x3fffff)), vendors[i] == INTEL);
        EXPECT_EQ(may_read(&guest, BIT64(32) | VA, 0x400000 + (VA & 0x3fffff)), vendors[i] == INTEL);
        guest_stop(&guest);
    }
}

static void start_pae(enum guest_vendor vendor)
{
    guest_start(&guest, vendor, VMMU_X86_PAGING_PAE, 1);
    guest_put(&guest, 0, 1, VA, FRAME_1 | E_RW);
    guest_put(&guest, 1, 1, VA, FRAME_2 | E_RW);
    guest_put(&guest, 0, 3, VA, TABLE(1, 2) | E_P);
    reference_invlpg(guest.reference, 0, VA);
}

static void test_pdpte_registers_stay_as_they_are_until_they_are_loaded(void **state)
{
    (void)state;
    start_pae(INTEL);
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT(!may_read(&guest, VA, FRAME_2));
    guest_toggle_cr0(&guest, VMMU_X86_CR0_CD); /* loads, forgets nothing */
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_2));
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_2));
    guest_stop(&guest);
}

static void test_amd_reads_pdptes_like_other_entries(void **state)
{
    (void)state;
    start_pae(AMD);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_2));
    guest_put(&guest, 0, 3, VA, TABLE(0, 2) | E_P);
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_2));
    guest_stop(&guest);
}

static void test_bad_pdptes_are_refused_where_they_are_loaded(void **state)
{
    const uint64_t bad = guest_cr3(&guest, 2, 0);

    (void)state;
    start_pae(INTEL);
    guest_put(&guest, 2, 3, 0, E_P | E_W);
    EXPECT_EQ(reference_cr3(guest.reference, 0, bad), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_registers(guest.reference, 0)->cr3, guest_cr3(&guest, 0, 0));
    EXPECT(may_read(&guest, VA, FRAME_1));
    guest_stop(&guest);
    start_pae(AMD);
    guest_put(&guest, 2, 3, 0, E_P | E_W);
    EXPECT_EQ(reference_cr3(guest.reference, 0, bad), VMMU_OK);
    guest_stop(&guest);
}

static void test_five_levels_are_walked_and_remembered_alike(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        guest_start(&guest, vendors[i], VMMU_X86_PAGING_5LEVEL, 1);
        guest_put(&guest, 0, 1, VA, FRAME_1 | E_RW);
        guest_put(&guest, 1, 1, VA, FRAME_2 | E_RW);
        guest_put(&guest, 0, 5, VA, TABLE(1, 4) | E_LINK);
        EXPECT(may_read(&guest, VA, FRAME_1));
        EXPECT(may_read(&guest, VA, FRAME_2));
        reference_invlpg(guest.reference, 0, VA);
        EXPECT(!may_read(&guest, VA, FRAME_1));
        guest_stop(&guest);
    }
}

static void refused_registers(void)
{
    struct reference *reference = guest.reference;
    const struct vmmu_x86_paging_registers before = *reference_registers(reference, 0);

    leaf(FRAME_2 | E_RW);
    EXPECT_EQ(reference_cr0(reference, 0, before.cr0 & ~VMMU_X86_CR0_PE), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_cr3(reference, 0, BIT64(41)), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_cr4(reference, 0, before.cr4 & ~VMMU_X86_CR4_PAE), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_efer(reference, 0, 0), VMMU_GUEST_FAULT);
    EXPECT_EQ(reference_registers(reference, 0)->cr0, before.cr0);
    EXPECT_EQ(reference_registers(reference, 0)->cr3, before.cr3);
    EXPECT_EQ(reference_registers(reference, 0)->cr4, before.cr4);
    EXPECT_EQ(reference_registers(reference, 0)->efer, before.efer);
    EXPECT(may_read(&guest, VA, FRAME_1));
}

static void test_an_instruction_that_faults_changes_nothing(void **state)
{
    (void)state;
    on_both(refused_registers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mov_to_cr3_forgets_its_pcid),
        cmocka_unit_test(test_mov_to_cr3_without_pcids_forgets_all),
        cmocka_unit_test(test_mov_to_cr3_with_bit_63_forgets_nothing),
        cmocka_unit_test(test_what_was_made_under_one_pcid_is_not_used_under_another_but_stays),
        cmocka_unit_test(test_a_pcid_that_is_used_again_without_a_flush_may_show_the_old_space),
        cmocka_unit_test(test_tables_are_read_only_while_cr3_leads_to_them),
        cmocka_unit_test(test_invpcid_forgets_an_address_a_pcid_or_all),
        cmocka_unit_test(test_of_invpcid_only_type_2_forgets_global_translations),
        cmocka_unit_test(test_invpcid_of_an_address_keeps_the_table_entries_of_other_paths),
        cmocka_unit_test(test_amd_without_tce_forgets_all_table_entries_of_the_pcid),
        cmocka_unit_test(test_invpcid_of_an_address_takes_every_fragment_of_the_page),
        cmocka_unit_test(test_invpcid_faults_for_what_it_cannot_name),
        cmocka_unit_test(test_global_translations_outlast_cr3_and_serve_every_pcid_until_invlpg),
        cmocka_unit_test(test_a_page_fault_forgets_the_global_translation_of_another_pcid),
        cmocka_unit_test(test_table_entries_are_never_global),
        cmocka_unit_test(test_a_change_of_pge_forgets_all_and_without_it_nothing_is_global),
        cmocka_unit_test(test_each_bit_of_cr4_forgets_what_the_vendor_says),
        cmocka_unit_test(test_smep_forgets_global_translations_of_its_pcid),
        cmocka_unit_test(test_paging_off_and_on_forgets_all),
        cmocka_unit_test(test_write_protect_counts_at_once),
        cmocka_unit_test(test_smap_smep_and_keys_count_at_once),
        cmocka_unit_test(test_after_nxe_was_cleared_xd_may_count_or_not_or_be_reserved),
        cmocka_unit_test(test_after_nxe_was_set_nothing_old_is_left_of_an_xd_entry),
        cmocka_unit_test(test_an_address_that_is_not_canonical_is_never_translated),
        cmocka_unit_test(test_32_bit_paging_of_intel_keeps_large_pages_over_a_change_of_pse),
        cmocka_unit_test(test_pdpte_registers_stay_as_they_are_until_they_are_loaded),
        cmocka_unit_test(test_amd_reads_pdptes_like_other_entries),
        cmocka_unit_test(test_bad_pdptes_are_refused_where_they_are_loaded),
        cmocka_unit_test(test_five_levels_are_walked_and_remembered_alike),
        cmocka_unit_test(test_an_instruction_that_faults_changes_nothing),
    };
    return RUN_TESTS(tests);
}
