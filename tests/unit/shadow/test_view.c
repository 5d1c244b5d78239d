/*
 * The view: guest entry and shadow entry side by side, with the reason for every difference. A sentence for each reason.
 */
#include "tests/unit/shadow/mirror.h"

#include "tests/unit/test.h"
#include <vmmu/shadow_view.h>

#include <stdlib.h>
#include <string.h>

static struct mirror mirror;

#define VA          UINT64_C(0x40000000)
#define ROOT        UINT64_C(0x4000)
#define OTHER       UINT64_C(0x5000)

#define WHY(reason) BIT64(VMMU_SHADOW_##reason)

static void start(enum vmmu_x86_paging paging)
{
    mirror_start(&mirror, 128);
    mirror_page(&mirror, 0, paging, ROOT);
}

static struct vmmu_shadow_view look(uint64_t va)
{
    struct vmmu_shadow_view view;

    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, 0, (vmmu_gva){ va }, &view), VMMU_OK);
    return view;
}

/* The row of @level, which must be there. */
static struct vmmu_shadow_view_row row_at(uint64_t va, unsigned level)
{
    const struct vmmu_shadow_view view = look(va);

    for (unsigned i = 0; i < view.rows; i++) {
        if (view.row[i].level == level) {
            return view.row[i];
        }
    }
    fail_msg("the view of %#llx has no level %u", (unsigned long long)va, level);
    return view.row[0];
}

static uint64_t why(uint64_t va, unsigned level)
{
    return row_at(va, level).reasons;
}

/* Change an entry of the guest's behind the engine's back, as it may while nothing holds it to its word. */
static void poke(uint64_t gpa, uint64_t value)
{
    memcpy(mirror.guest + gpa, &value, sizeof(value));
}

static void clear_write_protect(void)
{
    mirror.registers[0].cr0 &= ~VMMU_X86_CR0_WP;
    mirror_enter(&mirror, 0);
}

/* --- both sides --- */

static void test_both_walks_are_shown_with_addresses_and_values(void **state)
{
    struct vmmu_shadow_view view;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | G_GLOBAL);
    (void)mirror_store(&mirror, 0, VA);
    view = look(VA + 0x123);
    EXPECT_EQ(view.rows, 4);
    EXPECT_EQ(view.reasons, 0);
    EXPECT(view.write_protect && view.dirty);
    for (unsigned i = 0; i < 4; i++) {
        const struct vmmu_shadow_view_row *const row = &view.row[i];

        EXPECT_EQ(row->level, 4 - i);
        EXPECT(row->guest.there && row->guest.present && row->shadow.there && row->shadow.present);
        EXPECT_EQ(row->guest.address, mirror_entry_at(&mirror, 0, VA, 4 - i));
        EXPECT_EQ(row->guest.value, mirror_get(&mirror, row->guest.address));
        EXPECT_EQ(row->guest.leaf, i == 3);
        EXPECT_EQ(row->shadow.leaf, i == 3);
        EXPECT_EQ(row->shadow.bytes, row->guest.bytes);
    }
    EXPECT_EQ(view.row[0].shadow.address & ~UINT64_C(0xFFF), mirror.root[0].cr3);
    EXPECT_EQ(view.row[3].shadow.value & BITS64(51, 12), MIRROR_HPA + 0x7000);
    EXPECT_EQ(view.row[3].guest.rights, VMMU_X86_RIGHTS_ALL);
    EXPECT_EQ(view.guest.address, 0x7123);
    EXPECT_EQ(view.shadow.address, MIRROR_HPA + 0x7123);
    EXPECT_EQ(view.shadow.bytes, VMMU_PAGE_BYTES);
    EXPECT_EQ(view.shadow.rights, VMMU_X86_RIGHTS_ALL);
    EXPECT(view.guest.global && view.shadow.global);
    mirror_finish(&mirror);
}

static void test_looking_changes_nothing(void **state)
{
    const size_t bytes = (size_t)(MIRROR_PAGES + MIRROR_HIGH_PAGES) * VMMU_PAGE_BYTES;
    const size_t account_bytes = vmmu_shadow_memory_bytes(128);
    struct vmmu_shadow_counters counters;
    uint8_t *const guest = malloc(bytes);
    uint8_t *const account = malloc(account_bytes);

    (void)state;
    assert_non_null(guest);
    assert_non_null(account);
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    mirror_map(&mirror, 0, VA + 0x1000, 1, 0x8000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    memcpy(guest, mirror.guest, bytes);
    memcpy(account, mirror.account, account_bytes);
    counters = mirror.shadow.counters;
    (void)look(VA);
    (void)look(VA + 0x1000);
    (void)look(2 * VA);
    EXPECT_EQ(memcmp(guest, mirror.guest, bytes), 0);
    EXPECT_EQ(memcmp(account, mirror.account, account_bytes), 0);
    EXPECT_EQ(memcmp(&counters, &mirror.shadow.counters, sizeof(counters)), 0);
    free(guest);
    free(account);
    mirror_finish(&mirror);
}

static void test_an_address_that_is_not_canonical_has_no_view(void **state)
{
    struct vmmu_shadow_view view;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, 0, (vmmu_gva){ BIT64(47) }, &view), VMMU_GUEST_FAULT);
    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, 2, (vmmu_gva){ VA }, &view), VMMU_INVALID);
    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, VMMU_SHADOW_VPS, (vmmu_gva){ VA }, &view), VMMU_INVALID);
    mirror_finish(&mirror);
}

static void test_every_reason_has_words_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VMMU_SHADOW_REASONS; i++) {
        const char *const words = vmmu_shadow_reason_words((enum vmmu_shadow_reason)i);

        assert_non_null(words);
        for (unsigned j = 0; j < i; j++) {
            EXPECT(strcmp(words, vmmu_shadow_reason_words((enum vmmu_shadow_reason)j)) != 0);
        }
    }
}

/* --- ours is empty --- */

static void test_what_nobody_touched_is_not_filled_and_nothing_below_is_reached(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_5LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | G_ACCESSED);
    EXPECT_EQ(why(VA, 5), WHY(NOT_ACCESSED));
    EXPECT_EQ(why(VA, 4), WHY(NOT_REACHED));
    EXPECT_EQ(why(VA, 1), WHY(NOT_REACHED));
    EXPECT(!row_at(VA, 1).shadow.there);
    mirror_finish(&mirror);
}

static void test_an_entry_that_is_not_accessed_waits_for_its_mark(void **state)
{
    uint64_t entry;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    mirror_map(&mirror, 0, VA + 0x1000, 1, 0x8000 | G_ALL);
    entry = mirror_entry_at(&mirror, 0, VA + 0x1000, 1);
    EXPECT(why(VA + 0x1000, 1) & WHY(NOT_ACCESSED));
    mirror_write(&mirror, entry, 0x8000 | G_ALL | G_ACCESSED);
    EXPECT_EQ(why(VA + 0x1000, 1), WHY(NOT_FILLED));
    mirror_write(&mirror, entry, 0);
    EXPECT_EQ(why(VA + 0x1000, 1), 0);
    mirror_finish(&mirror);
}

static void test_an_entry_with_a_reserved_bit_is_never_filled(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    mirror_map(&mirror, 0, VA + 0x1000, 1, BIT64(45) | 0x8000 | G_ALL | G_ACCESSED);
    EXPECT_EQ(mirror_read(&mirror, 0, VA + 0x1000).answer, VMMU_SHADOW_INJECT);
    EXPECT_EQ(why(VA + 0x1000, 1), WHY(FAULTS));
    mirror_finish(&mirror);
}

static void test_a_page_in_no_memory_is_never_filled(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    mirror_map(&mirror, 0, VA + 0x1000, 1, 0xFEE00000 | G_ALL | G_ACCESSED);
    EXPECT_EQ(mirror_read(&mirror, 0, VA + 0x1000).answer, VMMU_SHADOW_DEVICE);
    EXPECT_EQ(why(VA + 0x1000, 1), WHY(NO_MEMORY));
    EXPECT(look(VA + 0x1000).guest.there && !look(VA + 0x1000).shadow.there);
    mirror_finish(&mirror);
}

static void test_a_table_in_no_memory_ends_the_guests_walk(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_write(&mirror, mirror_entry_at(&mirror, 0, VA, 3), 0xFEE00000 | G_ALL | G_ACCESSED);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_DEVICE);
    EXPECT(why(VA, 2) & WHY(NO_TABLE));
    EXPECT(!row_at(VA, 2).guest.there);
    EXPECT_EQ(look(VA).rows, 3);
    mirror_finish(&mirror);
}

/* --- the guest has no such entry --- */

static void test_without_paging_our_tables_stand_alone(void **state)
{
    (void)state;
    mirror_start(&mirror, 128);
    (void)mirror_store(&mirror, 0, 0x7000);
    EXPECT(why(0x7000, 3) & WHY(UNPAGED));
    EXPECT(why(0x7000, 2) & WHY(UNPAGED));
    EXPECT_EQ(why(0x7000, 1), WHY(UNPAGED));
    EXPECT_EQ(look(0x7000).guest.address, 0x7000);
    EXPECT_EQ(look(0x7000).shadow.address, MIRROR_HPA + 0x7000);
    EXPECT_EQ(row_at(0x7000, 1).table, VMMU_SHADOW_TABLE_OURS);
    mirror_finish(&mirror);
}

static void test_tables_of_two_levels_lie_under_a_root_of_ours(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_32BIT);
    mirror_map(&mirror, 0, VA + 0x200000, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA + 0x200000);
    EXPECT_EQ(why(VA + 0x200000, 3), WHY(EXTRA_LEVEL));
    EXPECT_EQ(why(VA + 0x200000, 2), WHY(HALVES));
    EXPECT_EQ(why(VA + 0x200000, 1), 0);
    EXPECT_EQ(row_at(VA, 2).guest.bytes, 2 * row_at(VA, 2).shadow.bytes);
    mirror_finish(&mirror);
}

/* --- pieces --- */

static void test_a_large_page_is_in_pieces_where_the_host_is(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 2, 0x400000 | G_ALL | G_LARGE);
    (void)mirror_store(&mirror, 0, VA + 0x5000);
    EXPECT_EQ(why(VA + 0x5000, 2), WHY(SPLIT) | WHY(HOST_PIECES));
    EXPECT_EQ(why(VA + 0x5000, 1), WHY(PIECE));
    EXPECT_EQ(look(VA + 0x5000).guest.bytes, VMMU_2M_BYTES);
    EXPECT_EQ(look(VA + 0x5000).shadow.bytes, VMMU_PAGE_BYTES);
    EXPECT_EQ(look(VA + 0x5123).shadow.address, MIRROR_HPA + 0x405123);
    mirror_finish(&mirror);
}

static void test_a_large_page_is_one_where_the_host_is(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror.piece_bytes = VMMU_2M_BYTES;
    mirror_map(&mirror, 0, VA, 2, 0x400000 | G_ALL | G_LARGE);
    (void)mirror_store(&mirror, 0, VA + 0x5000);
    EXPECT_EQ(look(VA).reasons, 0);
    EXPECT_EQ(look(VA).rows, 3);
    EXPECT_EQ(look(VA).shadow.bytes, VMMU_2M_BYTES);
    mirror_finish(&mirror);
}

static void test_a_page_of_4_mib_is_two_of_ours(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_32BIT);
    mirror.piece_bytes = VMMU_2M_BYTES;
    mirror_map(&mirror, 0, VA, 2, 0x400000 | G_ALL | G_LARGE);
    (void)mirror_store(&mirror, 0, VA + 0x300000);
    EXPECT_EQ(why(VA + 0x300000, 2), WHY(HALVES));
    EXPECT_EQ(look(VA + 0x300000).shadow.address, MIRROR_HPA + 0x700000);
    mirror_finish(&mirror);
}

/* --- ours has less --- */

static void test_a_page_that_is_not_dirty_may_not_be_written(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 1), WHY(NOT_DIRTY));
    EXPECT(!look(VA).dirty);
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 1), 0);
    mirror_finish(&mirror);
}

static void test_the_host_may_withhold_rights(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror.rights[7] = VMMU_X86_RIGHT_READ;
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | G_DIRTY);
    (void)mirror_read(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 1), WHY(HOST_RIGHTS));
    EXPECT_EQ(look(VA).guest.rights, VMMU_X86_RIGHTS_ALL);
    EXPECT_EQ(look(VA).shadow.rights, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_USER);
    mirror_finish(&mirror);
}

static void test_a_right_that_came_back_is_given_when_it_is_asked_for(void **state)
{
    enum vmmu_status status;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    MIRROR_DO(
        &mirror, status,
        vmmu_shadow_protect(&mirror.shadow, (vmmu_gpa){ 0x7000 }, VMMU_PAGE_BYTES, VMMU_X86_RIGHT_READ));
    EXPECT_EQ(status, VMMU_OK);
    EXPECT_EQ(why(VA, 1), WHY(NOT_ASKED));
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 1), 0);
    mirror_finish(&mirror);
}

static void test_half_of_a_page_that_the_other_half_made_dirty_is_given_w_when_it_is_asked_for(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_32BIT);
    mirror_map(&mirror, 0, VA, 2, 0x400000 | G_ALL | G_LARGE);
    (void)mirror_read(&mirror, 0, VA + 0x300000);
    EXPECT_EQ(why(VA + 0x300000, 1), WHY(PIECE) | WHY(NOT_DIRTY));
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(why(VA + 0x300000, 2), WHY(HALVES) | WHY(SPLIT) | WHY(HOST_PIECES));
    EXPECT_EQ(why(VA + 0x300000, 1), WHY(PIECE) | WHY(NOT_ASKED));
    mirror_finish(&mirror);
}

static void test_a_dirty_link_of_a_table_that_maps_itself_means_nothing(void **state)
{
    uint64_t root;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    root = mirror_entry_at(&mirror, 0, VA, 4);
    poke(root, mirror_get(&mirror, root) | G_DIRTY);
    EXPECT_EQ(look(VA).reasons, 0);
    mirror_finish(&mirror);
}

/* --- ours is another --- */

static void test_without_write_protection_supervisors_write_their_pages(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    clear_write_protect();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_PRESENT);
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 1) & ~WHY(SUMMED), WHY(WP_CLEAR));
    EXPECT(look(VA).shadow.rights & VMMU_X86_RIGHT_WRITE);
    mirror_finish(&mirror);
}

static void test_without_write_protection_a_users_page_is_lent(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror.registers[0].cr4 |= VMMU_X86_CR4_SMEP;
    clear_write_protect();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_PRESENT | G_USER);
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 1) & ~WHY(SUMMED), WHY(LENT));
    EXPECT_EQ(look(VA).shadow.rights, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE);
    mirror_finish(&mirror);
}

static void test_without_write_protection_rights_are_summed_in_the_leaf(void **state)
{
    uint64_t directory;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    clear_write_protect();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | G_DIRTY);
    directory = mirror_entry_at(&mirror, 0, VA, 2);
    mirror_write(&mirror, directory, mirror_get(&mirror, directory) & ~G_WRITE);
    (void)mirror_access(&mirror, 0, VA, (struct vmmu_x86_access){ .kind = VMMU_X86_READ, .user = true });
    EXPECT_EQ(why(VA, 2), WHY(SUMMED));
    EXPECT_EQ(why(VA, 1), WHY(SUMMED));
    EXPECT(row_at(VA, 1).guest.rights & VMMU_X86_RIGHT_WRITE);
    EXPECT(!(look(VA).guest.rights & VMMU_X86_RIGHT_WRITE));
    EXPECT(!(look(VA).shadow.rights & VMMU_X86_RIGHT_WRITE));
    mirror_finish(&mirror);
}

static void test_the_hosts_memory_type_counts_too(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror.type = VMMU_X86_TYPE_UC;
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 1), WHY(TYPE_COMBINED));
    EXPECT_EQ(look(VA).guest.type, VMMU_X86_TYPE_WB);
    EXPECT_EQ(look(VA).shadow.type, VMMU_X86_TYPE_UC);
    mirror_finish(&mirror);
}

static void test_a_type_that_the_hosts_pat_lacks_is_uncached(void **state)
{
    struct vmmu_shadow_config config;

    (void)state;
    mirror_start(&mirror, 128);
    vmmu_shadow_destroy(&mirror.shadow);
    config = mirror_config(&mirror, 128);
    config.pat = UINT64_C(0x0606060606060600);
    EXPECT_EQ(vmmu_shadow_init(&mirror.shadow, &config, &mirror.memory, mirror.account,
                               vmmu_shadow_memory_bytes(128)),
              VMMU_OK);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, ROOT);
    /* PWT: entry 1 of the guest's PAT, write-through. */
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | BIT64(3));
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 1), WHY(TYPE_LACKING));
    EXPECT_EQ(look(VA).guest.type, VMMU_X86_TYPE_WT);
    EXPECT_EQ(look(VA).shadow.type, VMMU_X86_TYPE_UC);
    mirror_finish(&mirror);
}

static void test_g_stands_in_ours_whatever_global_pages_are(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror.registers[0].cr4 &= ~VMMU_X86_CR4_PGE;
    mirror_enter(&mirror, 0);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | G_GLOBAL);
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 1), 0);
    EXPECT(look(VA).guest.global && look(VA).shadow.global);
    mirror_finish(&mirror);
}

static void test_pdptes_stand_in_registers_until_they_are_loaded(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_PAE);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(why(VA, 3), 0);
    EXPECT(row_at(VA, 3).in_register);
    EXPECT_EQ(row_at(VA, 3).guest.address, 1);
    mirror_write(&mirror, ROOT + 8, 0);
    EXPECT_EQ(why(VA, 3), WHY(REGISTER));
    EXPECT_EQ(why(VA, 1), 0);
    mirror_enter(&mirror, 0);
    EXPECT_EQ(look(VA).rows, 1);
    EXPECT_EQ(look(VA).reasons, 0);
    mirror_finish(&mirror);
}

/* --- tables that the guest writes unseen --- */

static void test_an_entry_that_the_guest_changed_is_stale_until_it_flushes(void **state)
{
    struct vmmu_shadow_view view;
    uint64_t entry;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(row_at(VA, 1).table, VMMU_SHADOW_TABLE_OPEN);
    entry = mirror_entry_at(&mirror, 0, VA, 1);
    poke(entry, 0x8000 | G_ALL | G_ACCESSED | G_DIRTY);
    EXPECT_EQ(why(VA, 1), WHY(STALE));
    EXPECT_EQ(look(VA).guest.address, 0x8000);
    EXPECT_EQ(look(VA).shadow.address, MIRROR_HPA + 0x7000);
    mirror_enter(&mirror, 0);
    view = look(VA);
    EXPECT_EQ(view.reasons & ~WHY(NOT_FILLED), 0);
    EXPECT(!view.shadow.there || view.shadow.address == MIRROR_HPA + 0x8000);
    mirror_finish(&mirror);
}

static void test_a_right_or_a_mark_that_the_guest_took_is_stale_too(void **state)
{
    static const uint64_t leaves[] = {
        0,                                                   /* gone */
        0x7000 | G_PRESENT | G_USER | G_ACCESSED | G_DIRTY,  /* not writable */
        0x7000 | G_ALL | G_ACCESSED,                         /* not dirty */
        0x7000 | G_ALL | G_DIRTY,                            /* not accessed */
        0x7000 | G_PRESENT | G_WRITE | G_ACCESSED | G_DIRTY, /* no user's */
        0x7000 | G_ALL | G_ACCESSED | G_DIRTY | G_NX,        /* not executable */
        0x7000 | G_ALL | G_ACCESSED | G_DIRTY | G_GLOBAL,    /* global */
        0x7000 | G_ALL | G_ACCESSED | G_DIRTY | BIT64(4),    /* uncached */
        0x7000 | G_ALL | G_ACCESSED | G_DIRTY | BIT64(59),   /* of another key */
        BIT64(45) | 0x7000 | G_ALL | G_ACCESSED | G_DIRTY,   /* with a reserved bit */
        UINT64_C(0xFEE00000) | G_ALL | G_ACCESSED | G_DIRTY, /* in no memory */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        start(VMMU_X86_PAGING_4LEVEL);
        mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
        (void)mirror_store(&mirror, 0, VA);
        poke(mirror_entry_at(&mirror, 0, VA, 1), leaves[i]);
        EXPECT_EQ(why(VA, 1), WHY(STALE));
        mirror_finish(&mirror);
    }
}

static void test_below_a_stale_entry_the_two_walks_go_different_ways(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    mirror_map(&mirror, 0, 2 * VA, 1, 0x8000 | G_ALL | G_ACCESSED);
    (void)mirror_store(&mirror, 0, VA);
    poke(mirror_entry_at(&mirror, 0, VA, 2),
         mirror_get(&mirror, mirror_entry_at(&mirror, 0, 2 * VA, 2)) | G_ACCESSED);
    EXPECT_EQ(why(VA, 3), 0);
    EXPECT_EQ(why(VA, 2), WHY(STALE));
    EXPECT_EQ(why(VA, 1), WHY(ABOVE_STALE));
    EXPECT_EQ(look(VA).guest.address, 0x8000);
    EXPECT_EQ(look(VA).shadow.address, MIRROR_HPA + 0x7000);
    mirror_finish(&mirror);
}

static void test_a_large_page_in_a_tables_place_is_stale_and_so_is_a_table_in_its(void **state)
{
    uint64_t entry;
    uint64_t link;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror.piece_bytes = VMMU_2M_BYTES;
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    entry = mirror_entry_at(&mirror, 0, VA, 2);
    link = mirror_get(&mirror, entry);
    poke(entry, 0x400000 | G_ALL | G_LARGE | G_ACCESSED | G_DIRTY);
    EXPECT_EQ(why(VA, 2), WHY(STALE));
    EXPECT_EQ(why(VA, 1), WHY(ABOVE_STALE));
    mirror_enter(&mirror, 0);
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(look(VA).reasons, 0);
    poke(entry, link);
    EXPECT_EQ(why(VA, 2), WHY(STALE));
    EXPECT_EQ(why(VA, 1), WHY(ABOVE_STALE));
    mirror_finish(&mirror);
}

static void test_a_right_that_a_link_lost_is_stale_with_write_protection_and_without(void **state)
{
    uint64_t root;

    (void)state;
    for (unsigned lax = 0; lax < 2; lax++) {
        start(VMMU_X86_PAGING_4LEVEL);
        if (lax) {
            clear_write_protect();
        }
        mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
        (void)mirror_store(&mirror, 0, VA);
        root = mirror_entry_at(&mirror, 0, VA, 4);
        poke(root, mirror_get(&mirror, root) & ~G_WRITE);
        EXPECT_EQ(why(VA, 4), WHY(STALE));
        EXPECT_EQ(why(VA, 1), WHY(ABOVE_STALE));
        mirror_finish(&mirror);
    }
}

/* --- tables that are write-protected --- */

/* Give the guest's table of @level for @va the time to be closed. */
static void close_table(uint64_t va, unsigned level)
{
    for (unsigned turn = 0; turn < 64 && row_at(va, level).table != VMMU_SHADOW_TABLE_CLOSED; turn++) {
        mirror_enter(&mirror, 0);
        (void)mirror_read(&mirror, 0, va);
    }
    EXPECT_EQ(row_at(va, level).table, VMMU_SHADOW_TABLE_CLOSED);
}

static void test_a_page_that_holds_a_protected_table_may_not_be_written(void **state)
{
    uint64_t table;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    table = mirror_entry_at(&mirror, 0, VA, 1);
    mirror_map(&mirror, 0, 2 * VA, 1, table | G_ALL | G_DIRTY);
    (void)mirror_read(&mirror, 0, 2 * VA);
    (void)mirror_read(&mirror, 0, VA);
    close_table(VA, 1);
    (void)mirror_read(&mirror, 0, 2 * VA);
    EXPECT_EQ(why(2 * VA, 1), WHY(HOLDS_TABLE));
    mirror_finish(&mirror);
}

static void test_a_large_page_is_in_pieces_where_a_protected_table_lies_inside(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror.piece_bytes = VMMU_2M_BYTES;
    mirror.next_table = 0x400000;
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    close_table(VA, 1);
    mirror_map(&mirror, 0, 2 * VA, 2, 0x400000 | G_ALL | G_LARGE);
    (void)mirror_store(&mirror, 0, 2 * VA + 0x100000);
    EXPECT_EQ(why(2 * VA + 0x100000, 2), WHY(SPLIT) | WHY(TABLE_INSIDE));
    EXPECT_EQ(why(2 * VA + 0x100000, 1), WHY(PIECE));
    mirror_finish(&mirror);
}

static void test_a_protected_table_that_was_changed_unseen_has_no_reason(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    close_table(VA, 1);
    poke(mirror_entry_at(&mirror, 0, VA, 1), 0x8000 | G_ALL | G_ACCESSED | G_DIRTY);
    EXPECT_EQ(why(VA, 1), WHY(UNEXPLAINED));
    mirror_finish(&mirror);
}

/* --- defects --- */

/* One of a few pages: small ones, a large one, and a page of tables, at addresses under every kind of paging. */
static uint64_t some_address(uint32_t luck)
{
    return VA + (luck & 3) * VMMU_PAGE_BYTES + ((luck >> 2) & 1) * VMMU_2M_BYTES * 2;
}

/* The guest writes an entry by itself, through a page of its own that it maps the table by. */
static void guest_writes(uint64_t at, const uint64_t *value, unsigned bytes)
{
    const uint64_t window = 3 * VA + (at & VMMU_PAGE_BYTES);
    const uint64_t leaf = (at & ~(VMMU_PAGE_BYTES - 1)) | G_PRESENT | G_WRITE;
    enum vmmu_status status;

    mirror_map(&mirror, 0, window, 1, leaf | G_ACCESSED | G_DIRTY);
    switch (mirror_store(&mirror, 0, window).answer) {
    case VMMU_SHADOW_RETRY: memcpy(mirror.guest + at, value, bytes); return;
    case VMMU_SHADOW_EMULATE:
        memcpy(mirror.guest + at, value, bytes);
        MIRROR_DO(&mirror, status, vmmu_shadow_wrote(&mirror.shadow, (vmmu_gpa){ at }, bytes));
        EXPECT_EQ(status, VMMU_OK);
        return;
    case VMMU_SHADOW_INJECT:
    case VMMU_SHADOW_DEVICE:
    case VMMU_SHADOW_DENIED: break;
    }
    fail_msg("the guest cannot write its table");
}

static void some_event(uint32_t luck)
{
    const uint64_t va = some_address(luck);
    const uint64_t entry = mirror_entry_at(&mirror, 0, va, 1);
    const unsigned bytes = mirror_entry_at(&mirror, 0, va + VMMU_PAGE_BYTES, 1) - entry == 4 ? 4 : 8;
    const uint64_t leaf = ((luck >> 12) & 7) * VMMU_PAGE_BYTES + 0x7000 + ((luck >> 16) & 0x1E7);
    enum vmmu_status status;

    switch ((luck >> 8) & 15) {
    case 0: guest_writes(entry, &leaf, bytes); break;
    case 1: mirror_map(&mirror, 0, va, 1, leaf | G_PRESENT); break;
    case 2: mirror_enter(&mirror, 0); break;
    case 3:
        MIRROR_DO(&mirror, status, vmmu_shadow_invlpg(&mirror.shadow, 0, (vmmu_gva){ va }));
        EXPECT_EQ(status, VMMU_OK);
        break;
    case 4:
        mirror.registers[0].cr0 ^= VMMU_X86_CR0_WP;
        mirror_enter(&mirror, 0);
        break;
    case 5:
        mirror.registers[0].cr4 ^= VMMU_X86_CR4_PGE;
        mirror_enter(&mirror, 0);
        break;
    case 6:
        MIRROR_DO(
            &mirror, status,
            vmmu_shadow_protect(&mirror.shadow, (vmmu_gpa){ 0x7000 }, VMMU_PAGE_BYTES, VMMU_X86_RIGHT_READ));
        EXPECT_EQ(status, VMMU_OK);
        break;
    case 7:
    case 8:
    case 9: (void)mirror_store(&mirror, 0, va); break;
    default: (void)mirror_read(&mirror, 0, va); break;
    }
}

static void test_nothing_that_happens_makes_a_difference_without_a_reason(void **state)
{
    static const enum vmmu_x86_paging pagings[] = { VMMU_X86_PAGING_32BIT, VMMU_X86_PAGING_PAE,
                                                    VMMU_X86_PAGING_4LEVEL, VMMU_X86_PAGING_5LEVEL };
    uint32_t luck = 1;

    (void)state;
    for (unsigned i = 0; i < sizeof(pagings) / sizeof(pagings[0]); i++) {
        uint64_t seen = 0;

        start(pagings[i]);
        for (unsigned turn = 0; turn < 2000; turn++) {
            luck = luck * 1664525 + 1013904223;
            some_event(luck >> 3);
            for (uint32_t address = 0; address < 8; address++) {
                const struct vmmu_shadow_view view = look(some_address(address));

                EXPECT_EQ(view.reasons & WHY(UNEXPLAINED), 0);
                seen |= view.reasons;
            }
        }
        EXPECT((seen & WHY(STALE)) && (seen & WHY(NOT_DIRTY)) && (seen & WHY(WP_CLEAR)) &&
               (seen & WHY(LENT)));
        mirror_finish(&mirror);
    }
}

static void test_a_right_that_the_host_does_not_give_has_no_reason(void **state)
{
    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    /* Nobody told the engine. */
    mirror.rights[7] = VMMU_X86_RIGHT_READ;
    EXPECT(why(VA, 1) & WHY(UNEXPLAINED));
    mirror_finish(&mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_walks_are_shown_with_addresses_and_values),
        cmocka_unit_test(test_looking_changes_nothing),
        cmocka_unit_test(test_an_address_that_is_not_canonical_has_no_view),
        cmocka_unit_test(test_every_reason_has_words_of_its_own),
        cmocka_unit_test(test_what_nobody_touched_is_not_filled_and_nothing_below_is_reached),
        cmocka_unit_test(test_an_entry_that_is_not_accessed_waits_for_its_mark),
        cmocka_unit_test(test_an_entry_with_a_reserved_bit_is_never_filled),
        cmocka_unit_test(test_a_page_in_no_memory_is_never_filled),
        cmocka_unit_test(test_a_table_in_no_memory_ends_the_guests_walk),
        cmocka_unit_test(test_without_paging_our_tables_stand_alone),
        cmocka_unit_test(test_tables_of_two_levels_lie_under_a_root_of_ours),
        cmocka_unit_test(test_a_large_page_is_in_pieces_where_the_host_is),
        cmocka_unit_test(test_a_large_page_is_one_where_the_host_is),
        cmocka_unit_test(test_a_page_of_4_mib_is_two_of_ours),
        cmocka_unit_test(test_a_page_that_is_not_dirty_may_not_be_written),
        cmocka_unit_test(test_the_host_may_withhold_rights),
        cmocka_unit_test(test_a_right_that_came_back_is_given_when_it_is_asked_for),
        cmocka_unit_test(test_half_of_a_page_that_the_other_half_made_dirty_is_given_w_when_it_is_asked_for),
        cmocka_unit_test(test_a_dirty_link_of_a_table_that_maps_itself_means_nothing),
        cmocka_unit_test(test_without_write_protection_supervisors_write_their_pages),
        cmocka_unit_test(test_without_write_protection_a_users_page_is_lent),
        cmocka_unit_test(test_without_write_protection_rights_are_summed_in_the_leaf),
        cmocka_unit_test(test_the_hosts_memory_type_counts_too),
        cmocka_unit_test(test_a_type_that_the_hosts_pat_lacks_is_uncached),
        cmocka_unit_test(test_g_stands_in_ours_whatever_global_pages_are),
        cmocka_unit_test(test_pdptes_stand_in_registers_until_they_are_loaded),
        cmocka_unit_test(test_an_entry_that_the_guest_changed_is_stale_until_it_flushes),
        cmocka_unit_test(test_a_right_or_a_mark_that_the_guest_took_is_stale_too),
        cmocka_unit_test(test_below_a_stale_entry_the_two_walks_go_different_ways),
        cmocka_unit_test(test_a_large_page_in_a_tables_place_is_stale_and_so_is_a_table_in_its),
        cmocka_unit_test(test_a_right_that_a_link_lost_is_stale_with_write_protection_and_without),
        cmocka_unit_test(test_a_page_that_holds_a_protected_table_may_not_be_written),
        cmocka_unit_test(test_a_large_page_is_in_pieces_where_a_protected_table_lies_inside),
        cmocka_unit_test(test_a_protected_table_that_was_changed_unseen_has_no_reason),
        cmocka_unit_test(test_nothing_that_happens_makes_a_difference_without_a_reason),
        cmocka_unit_test(test_a_right_that_the_host_does_not_give_has_no_reason),
    };

    return RUN_TESTS(tests);
}
