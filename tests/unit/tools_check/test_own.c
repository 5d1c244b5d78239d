/* Tables of our hypervisor: each way in which they could be wrong, beside tables that are right. */
#include <stdlib.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_maps/stage.h"
#include "tools/check/lint.h"

/*
 * The machine is the room. The partition has 16 pages of it: guest-physical 0 is at 0x10000. The guest's tables are 4-level,
 * at its 0x1000 to 0x4000, and map its page 5 at 0x5000, writable, and page 6 at 0x6000, read-only. The hypervisor's tables
 * are at 0x1000 to 0x4000 of the machine, and map the same.
 */
#define BASE        UINT64_C(0x10000)
#define GUEST_PAGES 16
#define EPT_RWX     UINT64_C(7)
#define EPT_PAGE    UINT64_C(0x37)

struct host {
    struct stage *stage;
    struct partition_piece pieces[3];
    struct partition_table tables[4];
    struct partition_vp vp;
    struct partition partition;
    struct check_report report;
    struct lint lint;
};

static enum vmmu_status load_guest(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct room *room = context;

    return address < GUEST_PAGES * VMMU_PAGE_BYTES ? room->ram.load(room, address + BASE, width_bytes, value)
                                                   : VMMU_ABSENT;
}

static struct host *host_new(void)
{
    struct host *host = take_memory(1, sizeof(*host));
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);

    host->stage = stage;
    host->pieces[0] = (struct partition_piece){ .hpa = BASE,
                                                .size_bytes = GUEST_PAGES * VMMU_PAGE_BYTES,
                                                .rights = VMMU_X86_RIGHTS_ALL & ~VMMU_X86_RIGHT_USER };
    host->partition = (struct partition){ .image = &stage->image,
                                          .ram = { .context = stage->room, .load = load_guest },
                                          .pieces = host->pieces,
                                          .piece_count = 1,
                                          .vps = &host->vp,
                                          .vp_count = 1,
                                          .tables = host->tables };
    host->vp.processor = stage->processor;
    host->vp.processor.has_cpu = true;
    host->vp.processor.cpu = full_cpu;
    stage->machine.partition = &host->partition;
    for (unsigned table = 1; table < 4; table++) {
        room_put(stage->room, BASE + table * UINT64_C(0x1000), 0, 8,
                 (table + 1) * UINT64_C(0x1000) | E_ALL | E_A);
    }
    room_put(stage->room, BASE + 0x4000, 5, 8, 0x5000 | E_ALL | E_A | E_D);
    room_put(stage->room, BASE + 0x4000, 6, 8, 0x6000 | E_P | E_US | E_A);
    host->report = (struct check_report){ .examples = 4, .digits = 16 };
    host->lint =
        (struct lint){ .machine = &stage->machine, .space = stage_space(stage), .report = &host->report };
    return host;
}

/* Shadow tables of four levels, of guest tables that are all closed. */
static struct host *shadow_host(void)
{
    struct host *host = host_new();

    stage_chain(host->stage, 0);
    room_put(host->stage->room, 0x4000, 5, 8, (BASE + 0x5000) | E_ALL | E_A | E_D);
    room_put(host->stage->room, 0x4000, 6, 8, (BASE + 0x6000) | E_P | E_US | E_A);
    for (unsigned i = 0; i < 4; i++) {
        host->tables[i] = (struct partition_table){ .hpa = (i + 1) * UINT64_C(0x1000),
                                                    .gpa = (i + 1) * UINT64_C(0x1000),
                                                    .level = (uint8_t)(4 - i),
                                                    .closed = true };
    }
    host->partition.technique = PARTITION_SHADOW;
    host->partition.table_count = 4;
    host->vp.has_shadow = true;
    host->vp.shadow_cr3 = 0x1000;
    host->vp.shadow_format = VMMU_X86_FORMAT_4LEVEL;
    return host;
}

/* EPT of four levels that maps the partition's 16 pages. */
static struct host *nested_host(void)
{
    struct host *host = host_new();

    for (unsigned table = 1; table < 4; table++) {
        room_put(host->stage->room, table * UINT64_C(0x1000), 0, 8, (table + 1) * UINT64_C(0x1000) | EPT_RWX);
    }
    for (unsigned page = 0; page < GUEST_PAGES; page++) {
        room_put(host->stage->room, 0x4000, page, 8, (BASE + page * VMMU_PAGE_BYTES) | EPT_PAGE);
    }
    EXPECT_EQ(vmmu_stage2_ept(0x1000 | (3 << 3) | 6, &full_limits, &host->stage->image.ram,
                              &host->partition.second),
              VMMU_OK);
    host->partition.has_second = true;
    host->stage->machine.has_second = true;
    host->stage->machine.second = host->partition.second;
    host->lint.space = space_of_second(&host->stage->machine);
    return host;
}

static void host_free(struct host *host)
{
    capture_begin();
    check_report_end(&host->report, true);
    (void)capture_end();
    stretches_free(&host->lint.tables);
    stage_free(host->stage);
    free(host);
}

static void expect_only(struct host *host, enum check_kind kind, uint64_t count)
{
    for (unsigned other = 0; other < CHECK_KINDS; other++) {
        if (host->report.counts[other] != (other == (unsigned)kind ? count : 0)) {
            fail_msg("%s: %u findings: %s", check_words[other].word, (unsigned)host->report.counts[other],
                     host->report.counts[other] ? host->report.texts[other][0] : "");
        }
    }
}

static void expect_shadow(struct host *host, enum check_kind kind, uint64_t count)
{
    struct complaint complaint;

    EXPECT(lint_shadow(&host->lint, &host->vp, &complaint));
    expect_only(host, kind, count);
    host_free(host);
}

static void expect_second(struct host *host, enum check_kind kind, uint64_t count)
{
    struct complaint complaint;

    EXPECT(lint_second(&host->lint, &complaint));
    expect_only(host, kind, count);
    host_free(host);
}

/* Entry @index of our last table, in place of what is right. */
static struct host *shadow_with(unsigned index, uint64_t entry)
{
    struct host *host = shadow_host();

    room_put(host->stage->room, 0x4000, index, 8, entry);
    return host;
}

static void test_shadow_tables_that_are_right_have_no_findings(void **state)
{
    struct host *host = shadow_host();
    struct complaint complaint;

    (void)state;
    EXPECT(lint_shadow(&host->lint, &host->vp, &complaint));
    expect_only(host, CHECK_KINDS, 0);
    EXPECT(host->report.looked.shadow_pages == 2 && host->report.looked.sure_pages == 2);
    host_free(host);
}

static void test_less_than_the_guest_maps_is_no_finding(void **state)
{
    struct host *host = shadow_with(5, 0);

    (void)state;
    room_put(host->stage->room, 0x4000, 6, 8, (BASE + 0x6000) | E_P | E_NX);
    expect_shadow(host, CHECK_KINDS, 0);
}

static void test_a_shadow_entry_to_memory_of_others_breaks_isolation(void **state)
{
    (void)state;
    expect_shadow(shadow_with(5, (BASE + GUEST_PAGES * VMMU_PAGE_BYTES) | E_ALL), CHECK_FOREIGN, 1);
}

static void test_a_shadow_entry_to_a_table_of_ours_is_an_error(void **state)
{
    struct host *host = shadow_with(5, 0x3000 | E_ALL);
    struct complaint complaint;

    (void)state;
    EXPECT(lint_shadow(&host->lint, &host->vp, &complaint));
    EXPECT(host->report.counts[CHECK_TABLE_MAPPED] == 1 && host->report.counts[CHECK_FOREIGN] == 1);
    host_free(host);
}

static void test_a_large_shadow_page_beyond_the_memorys_end_breaks_isolation(void **state)
{
    struct host *host = shadow_host();

    (void)state;
    room_put(host->stage->room, 0x3000, 1, 8, E_ALL | E_PS); /* 2 MiB at 0, the partition's memory within */
    struct complaint complaint;
    EXPECT(lint_shadow(&host->lint, &host->vp, &complaint));
    EXPECT_EQ(host->report.counts[CHECK_FOREIGN], 1);
    host_free(host);
}

static void test_a_shadow_link_to_no_table_of_ours_is_an_error(void **state)
{
    struct host *host = shadow_host();

    (void)state;
    room_put(host->stage->room, 0x3000, 1, 8, 0x9000 | E_ALL);
    expect_shadow(host, CHECK_TABLE_PLACE, 1);
}

static void test_a_shadow_link_into_the_partitions_memory_is_an_error(void **state)
{
    struct host *host = shadow_host();
    struct complaint complaint;

    (void)state;
    room_put(host->stage->room, 0x3000, 1, 8, (BASE + 0x7000) | E_ALL);
    EXPECT(lint_shadow(&host->lint, &host->vp, &complaint));
    EXPECT(host->report.counts[CHECK_TABLE_MAPPED] == 1 && host->report.counts[CHECK_TABLE_PLACE] == 1);
    host_free(host);
}

static void test_another_frame_than_the_guests_is_an_error_where_its_tables_are_closed(void **state)
{
    (void)state;
    expect_shadow(shadow_with(5, (BASE + 0x7000) | E_ALL), CHECK_SHADOW_FRAME, 1);
    expect_shadow(shadow_with(9, (BASE + 0x7000) | E_ALL), CHECK_SHADOW_FRAME, 1);
}

static void test_the_same_may_be_stale_where_one_of_them_is_open(void **state)
{
    struct host *host = shadow_with(5, (BASE + 0x7000) | E_ALL);

    (void)state;
    host->tables[3].closed = false;
    expect_shadow(host, CHECK_STALE, 1);
    host = shadow_with(9, (BASE + 0x7000) | E_ALL);
    host->tables[1].closed = false;
    expect_shadow(host, CHECK_STALE, 1);
}

static void test_rights_beyond_the_guests_are_an_error_or_may_be_stale(void **state)
{
    (void)state;
    expect_shadow(shadow_with(6, (BASE + 0x6000) | E_ALL), CHECK_SHADOW_RIGHTS, 1);
    struct host *host = shadow_with(6, (BASE + 0x6000) | E_ALL);
    host->tables[3].closed = false;
    expect_shadow(host, CHECK_STALE, 1);
}

static void test_with_wp_clear_supervisors_write_what_is_read_only(void **state)
{
    struct host *host = shadow_with(6, (BASE + 0x6000) | E_P | E_RW);

    (void)state;
    host->vp.processor.paging.cr0 &= ~VMMU_X86_CR0_WP;
    expect_shadow(host, CHECK_KINDS, 0);
    expect_shadow(shadow_with(6, (BASE + 0x6000) | E_P | E_RW), CHECK_SHADOW_RIGHTS, 1);
}

static void test_a_closed_table_that_is_writable_is_an_error(void **state)
{
    struct host *host = shadow_with(7, (BASE + 0x4000) | E_ALL);

    (void)state;
    room_put(host->stage->room, BASE + 0x4000, 7, 8, 0x4000 | E_ALL);
    expect_shadow(host, CHECK_CLOSED_WRITABLE, 1);
    host = shadow_with(7, (BASE + 0x4000) | E_P | E_US);
    room_put(host->stage->room, BASE + 0x4000, 7, 8, 0x4000 | E_ALL);
    expect_shadow(host, CHECK_KINDS, 0);
    host = shadow_with(7, (BASE + 0x4000) | E_ALL);
    room_put(host->stage->room, BASE + 0x4000, 7, 8, 0x4000 | E_ALL);
    host->tables[3].closed = false;
    expect_shadow(host, CHECK_KINDS, 0);
}

static void test_rights_beyond_the_hosts_are_an_error(void **state)
{
    struct host *host = shadow_host();

    (void)state;
    host->pieces[0].rights = VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE;
    expect_shadow(host, CHECK_PIECE_RIGHTS, 1);
}

static void test_traps_are_no_findings(void **state)
{
    struct host *host = shadow_with(9, BITS64(51, 12) | E_P);

    (void)state;
    room_put(host->stage->room, 0x2000, 9, 8, BITS64(51, 12) | E_P);
    expect_shadow(host, CHECK_KINDS, 0);
}

static void test_a_malformed_shadow_entry_is_an_error(void **state)
{
    struct host *host = shadow_host();

    (void)state;
    room_put(host->stage->room, 0x1000, 9, 8, 0x2000 | E_ALL | E_PS);
    expect_shadow(host, CHECK_RESERVED, 1);
}

static void test_pdptes_that_an_emulator_marked_are_sound(void **state)
{
    struct host *host = shadow_host();

    (void)state;
    /* A PAE root at 0x5000 over the last two levels. */
    room_put(host->stage->room, 0x5000, 0, 8, 0x3000 | E_P | E_A);
    host->tables[0] = (struct partition_table){ .hpa = 0x5000, .level = 3, .ours = true };
    host->vp.shadow_cr3 = 0x5000;
    host->vp.shadow_format = VMMU_X86_FORMAT_PAE;
    host->tables[1].closed = true;
    expect_shadow(host, CHECK_KINDS, 0);
}

static void test_a_second_stage_that_is_right_has_no_findings(void **state)
{
    struct host *host = nested_host();
    struct complaint complaint;

    (void)state;
    EXPECT(lint_second(&host->lint, &complaint));
    expect_only(host, CHECK_KINDS, 0);
    EXPECT_EQ(host->report.looked.second_pages, GUEST_PAGES);
    host_free(host);
}

static void test_a_second_stage_to_memory_of_others_breaks_isolation(void **state)
{
    struct host *host = nested_host();

    (void)state;
    room_put(host->stage->room, 0x4000, 3, 8, 0x30000 | EPT_PAGE);
    expect_second(host, CHECK_FOREIGN, 1);
}

static void test_a_second_stage_that_maps_its_own_table_is_an_error(void **state)
{
    struct host *host = nested_host();
    struct complaint complaint;

    (void)state;
    room_put(host->stage->room, 0x4000, 3, 8, 0x4000 | EPT_PAGE);
    EXPECT(lint_second(&host->lint, &complaint));
    EXPECT_EQ(host->report.counts[CHECK_TABLE_MAPPED], 1);
    host_free(host);
}

static void test_a_table_of_the_second_stage_within_the_partition_is_an_error(void **state)
{
    struct host *host = nested_host();

    (void)state;
    room_put(host->stage->room, 0x3000, 1, 8, (BASE + 0x8000) | EPT_RWX);
    struct complaint complaint;
    EXPECT(lint_second(&host->lint, &complaint));
    EXPECT(host->report.counts[CHECK_TABLE_MAPPED] >= 1);
    host_free(host);
}

static void test_pages_in_each_others_place_are_an_error(void **state)
{
    struct host *host = nested_host();

    (void)state;
    room_put(host->stage->room, 0x4000, 3, 8, (BASE + 0x4000) | EPT_PAGE);
    room_put(host->stage->room, 0x4000, 4, 8, (BASE + 0x3000) | EPT_PAGE);
    expect_second(host, CHECK_PIECE_FRAME, 2);
}

static void test_rights_of_the_second_stage_are_those_of_the_memory(void **state)
{
    struct host *host = nested_host();

    (void)state;
    host->pieces[0].rights = VMMU_X86_RIGHT_READ;
    expect_second(host, CHECK_PIECE_RIGHTS, GUEST_PAGES);
}

/* Guest-physical 0x100000 on is the same memory as 0x5000 on, read-only; and a page of it once more. */
static void share_memory(struct host *host)
{
    host->pieces[1] = (struct partition_piece){
        .gpa = 0x100000, .hpa = BASE + 0x5000, .size_bytes = 0x4000, .rights = VMMU_X86_RIGHT_READ
    };
    host->pieces[2] = (struct partition_piece){
        .gpa = 0x200000, .hpa = BASE + 0x1000, .size_bytes = 0x1000, .rights = VMMU_X86_RIGHT_READ
    };
    host->partition.piece_count = 3;
}

static void test_pieces_that_share_memory_allow_what_any_of_them_does(void **state)
{
    struct host *host = shadow_host();

    (void)state;
    share_memory(host);
    expect_shadow(host, CHECK_KINDS, 0);

    host = shadow_with(9, (BASE + GUEST_PAGES * VMMU_PAGE_BYTES) | E_ALL);
    share_memory(host);
    expect_shadow(host, CHECK_FOREIGN, 1);
}

static void test_each_piece_has_its_own_rights_under_a_second_stage(void **state)
{
    struct host *host = nested_host();

    (void)state;
    share_memory(host);
    expect_second(host, CHECK_KINDS, 0);

    /* 0x100000 is entry 256: readable there, and writable in vain. */
    host = nested_host();
    share_memory(host);
    room_put(host->stage->room, 0x4000, 256, 8, (BASE + 0x5000) | 0x31);
    room_put(host->stage->room, 0x4000, 257, 8, (BASE + 0x6000) | 0x33);
    expect_second(host, CHECK_PIECE_RIGHTS, 1);
}

static void test_a_large_page_may_span_pieces_that_follow_each_other(void **state)
{
    struct host *host = nested_host();

    (void)state;
    /* 2 MiB at guest-physical 2 MiB, in two pieces; the second has a gap in the machine in the other case. */
    host->pieces[1] = (struct partition_piece){
        .gpa = 0x200000, .hpa = 0x400000, .size_bytes = 0x100000, .rights = VMMU_X86_RIGHTS_ALL
    };
    host->pieces[2] = (struct partition_piece){
        .gpa = 0x300000, .hpa = 0x500000, .size_bytes = 0x100000, .rights = VMMU_X86_RIGHTS_ALL
    };
    host->partition.piece_count = 3;
    room_put(host->stage->room, 0x3000, 1, 8, 0x400000 | EPT_PAGE | BIT64(7));
    expect_second(host, CHECK_KINDS, 0);

    host = nested_host();
    host->pieces[1] = (struct partition_piece){
        .gpa = 0x200000, .hpa = 0x400000, .size_bytes = 0x100000, .rights = VMMU_X86_RIGHTS_ALL
    };
    host->partition.piece_count = 2;
    room_put(host->stage->room, 0x3000, 1, 8, 0x400000 | EPT_PAGE | BIT64(7));
    expect_second(host, CHECK_FOREIGN, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shadow_tables_that_are_right_have_no_findings),
        cmocka_unit_test(test_less_than_the_guest_maps_is_no_finding),
        cmocka_unit_test(test_a_shadow_entry_to_memory_of_others_breaks_isolation),
        cmocka_unit_test(test_a_shadow_entry_to_a_table_of_ours_is_an_error),
        cmocka_unit_test(test_a_large_shadow_page_beyond_the_memorys_end_breaks_isolation),
        cmocka_unit_test(test_a_shadow_link_to_no_table_of_ours_is_an_error),
        cmocka_unit_test(test_a_shadow_link_into_the_partitions_memory_is_an_error),
        cmocka_unit_test(test_another_frame_than_the_guests_is_an_error_where_its_tables_are_closed),
        cmocka_unit_test(test_the_same_may_be_stale_where_one_of_them_is_open),
        cmocka_unit_test(test_rights_beyond_the_guests_are_an_error_or_may_be_stale),
        cmocka_unit_test(test_with_wp_clear_supervisors_write_what_is_read_only),
        cmocka_unit_test(test_a_closed_table_that_is_writable_is_an_error),
        cmocka_unit_test(test_rights_beyond_the_hosts_are_an_error),
        cmocka_unit_test(test_traps_are_no_findings),
        cmocka_unit_test(test_a_malformed_shadow_entry_is_an_error),
        cmocka_unit_test(test_pdptes_that_an_emulator_marked_are_sound),
        cmocka_unit_test(test_pieces_that_share_memory_allow_what_any_of_them_does),
        cmocka_unit_test(test_each_piece_has_its_own_rights_under_a_second_stage),
        cmocka_unit_test(test_a_large_page_may_span_pieces_that_follow_each_other),
        cmocka_unit_test(test_a_second_stage_that_is_right_has_no_findings),
        cmocka_unit_test(test_a_second_stage_to_memory_of_others_breaks_isolation),
        cmocka_unit_test(test_a_second_stage_that_maps_its_own_table_is_an_error),
        cmocka_unit_test(test_a_table_of_the_second_stage_within_the_partition_is_an_error),
        cmocka_unit_test(test_pages_in_each_others_place_are_an_error),
        cmocka_unit_test(test_rights_of_the_second_stage_are_those_of_the_memory),
    };
    return RUN_TESTS(tests);
}
