/*
 * With nothing cached, the processor is an ordinary one: over random tables in every paging mode, alone and
 * under every second stage, each access ends as the library's walks say, with the same marks left in memory.
 */
#include "tests/model/machine/processor.h"
#include "tests/unit/test.h"

#include <string.h>

#define WORLDS       100
#define ACCESSES     40

/* Guest pages, by host-physical address: 4 MiB aligned, so that large pages can lead there. */
#define GUEST_BASE   UINT64_C(0x400000)
#define GUEST_PAGES  12U
/* Pages of the second stage's tables: some for each level. */
#define TABLES_BASE  UINT64_C(0x1000000)
#define LEVEL_PAGES  UINT64_C(2)
#define TABLE_PAGES  (LEVEL_PAGES * VMMU_X86_MAX_LEVELS)
#define FOREIGN_PAGE UINT64_C(0x3000000)

enum second { SECOND_NONE, SECOND_NPT, SECOND_EPT };

/* One memory, seen by the library's walks. */
struct view {
    struct memory *memory;
    struct vmmu_ram ram;
};

struct bench {
    struct luck luck;
    struct view ours;
    struct view theirs; /* the library's */
    struct processor *processor;
    struct guest_state state;
    unsigned ends[PROCESSOR_STRAYED + 1];
};

/* --- memory for the library --- */

static enum vmmu_status view_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct view *view = context;

    *value = memory_load(view->memory, address, width_bytes);
    return memory_owner_of(view->memory, address) == OWNER_FOREIGN ? VMMU_ABSENT : VMMU_OK;
}

static enum vmmu_status view_exchange(void *context, uint64_t address, unsigned width_bytes,
                                      uint64_t expected, uint64_t desired)
{
    const struct view *view = context;

    EXPECT_EQ(memory_load(view->memory, address, width_bytes), expected);
    memory_store(view->memory, address, width_bytes, desired);
    return VMMU_OK;
}

static void view_open(struct view *view)
{
    view->memory = memory_create();
    EXPECT(view->memory != NULL);
    view->ram = (struct vmmu_ram){ view, view_load, view_exchange };
    memory_assign(view->memory, GUEST_BASE, GUEST_PAGES * VMMU_PAGE_BYTES, OWNER_GUEST);
    memory_assign(view->memory, TABLES_BASE, TABLE_PAGES * VMMU_PAGE_BYTES, OWNER_TABLES);
}

static void expect_equal_pages(const struct bench *bench, uint64_t base, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++) {
        const uint64_t page = base + i * VMMU_PAGE_BYTES;

        EXPECT(memcmp(memory_page(bench->ours.memory, page), memory_page(bench->theirs.memory, page),
                      VMMU_PAGE_BYTES) == 0);
    }
}

/* --- random content --- */

static uint64_t any_page(struct bench *bench)
{
    return luck_once_in(&bench->luck, 60)
               ? FOREIGN_PAGE
               : GUEST_BASE + luck_below(&bench->luck, GUEST_PAGES) * VMMU_PAGE_BYTES;
}

static void put_word(struct bench *bench, uint64_t at, uint64_t value)
{
    memory_store(bench->ours.memory, at, sizeof value, value);
    memory_store(bench->theirs.memory, at, sizeof value, value);
}

/*
 * The lower half of an entry of a guest's, or of the second stage in NPT formats: it leads to @page, mostly.
 */
static uint64_t any_ordinary_entry(struct bench *bench, uint64_t page)
{
    struct luck *luck = &bench->luck;
    const bool large = luck_once_in(luck, 8);
    uint64_t entry = large ? GUEST_BASE | BIT64(7) : page;

    entry |= luck_once_in(luck, 16) ? 0 : BIT64(0);
    entry |= luck_once_in(luck, 8) ? 0 : BIT64(1);
    entry |= luck_once_in(luck, 8) ? 0 : BIT64(2);
    entry |= luck_next(luck) & (BIT64(3) | BIT64(4) | BIT64(5) | BIT64(6) | BITS64(11, 9));
    entry |= luck_once_in(luck, 3) ? BIT64(8) : 0;
    return entry ^ (luck_once_in(luck, 24) ? BIT64(luck_below(luck, 32)) : 0);
}

/* What stands above bit 31 in formats of eight bytes. */
static uint64_t any_upper_half(struct bench *bench)
{
    struct luck *luck = &bench->luck;

    return (luck_once_in(luck, 10) ? BIT64(63) : 0) |
           (luck_once_in(luck, 24) ? BIT64(32 + luck_below(luck, 32)) : 0) |
           (luck_once_in(luck, 4) ? luck_next(luck) & BITS64(62, 59) : 0);
}

/* Guest pages are tables of every level at once, and data. */
static void fill_guest(struct bench *bench)
{
    const bool narrow = bench->state.mode.layout.format <= VMMU_X86_FORMAT_32BIT_PSE;
    const bool pae = bench->state.mode.paging == VMMU_X86_PAGING_PAE;

    for (uint64_t at = GUEST_BASE; at < GUEST_BASE + GUEST_PAGES * VMMU_PAGE_BYTES; at += sizeof(uint64_t)) {
        const uint64_t low = any_ordinary_entry(bench, any_page(bench)) & BITS64(31, 0);
        uint64_t high = (any_ordinary_entry(bench, any_page(bench)) & BITS64(31, 0)) << 32;

        if (!narrow) {
            high = pae && !luck_once_in(&bench->luck, 20) ? 0 : any_upper_half(bench);
        }
        put_word(bench, at, low | high);
    }
}

/* Now and then one bit that spoils an entry; never one that makes a page of tables another one, or memory. */
static uint64_t any_flaw(struct luck *luck)
{
    const unsigned bit = luck_below(luck, 64);

    return luck_once_in(luck, 60) && bit != 7 && (bit < 12 || bit > 24) ? BIT64(bit) : 0;
}

static uint64_t any_ept_entry(struct bench *bench, uint64_t page, bool leaf)
{
    struct luck *luck = &bench->luck;
    uint64_t entry = page | 7;

    entry ^= luck_once_in(luck, 12) ? BIT64(luck_below(luck, 3)) : 0;
    entry |= leaf ? (uint64_t)VMMU_X86_TYPE_WB << 3 : 0;
    entry |= luck_next(luck) & (BIT64(8) | BIT64(9));
    entry &= luck_once_in(luck, 60) ? ~BITS64(2, 0) : ~UINT64_C(0);
    return entry ^ any_flaw(luck);
}

static uint64_t any_npt_entry(struct bench *bench, uint64_t page, bool leaf)
{
    struct luck *luck = &bench->luck;
    uint64_t entry = page | 7;

    (void)leaf;
    entry ^= luck_once_in(luck, 12) ? BIT64(1 + luck_below(luck, 2)) : 0;
    entry |= luck_next(luck) & (BIT64(5) | BIT64(6));
    entry |= luck_once_in(luck, 12) ? BIT64(63) : 0;
    entry &= luck_once_in(luck, 60) ? ~BIT64(0) : ~UINT64_C(0);
    return entry ^ any_flaw(luck);
}

static uint64_t table_page(unsigned level, uint64_t number)
{
    return TABLES_BASE + ((level - 1) * LEVEL_PAGES + number) * VMMU_PAGE_BYTES;
}

/* Every guest-physical address translates to some guest page, mostly. */
static uint64_t any_second_entry(struct bench *bench, unsigned level)
{
    struct luck *luck = &bench->luck;
    const bool ept = bench->state.stage2.kind == VMMU_X86_STAGE2_EPT;
    /* Without PSE the bit says nothing, and the entry would be a link. */
    const bool may_be_large = bench->state.stage2.layout.format != VMMU_X86_FORMAT_32BIT;
    const bool large = may_be_large && (level == 2 || level == 3) && luck_once_in(luck, 6);
    uint64_t page =
        level == 1 ? any_page(bench) : table_page(level - 1, luck_below(luck, (uint32_t)LEVEL_PAGES));

    if (level >= 4 && luck_once_in(luck, 60)) {
        page |= BIT64(7); /* reserved here */
    }
    if (large) {
        page = (level == 2 ? GUEST_BASE : 0) | BIT64(7);
    }
    return ept ? any_ept_entry(bench, page, large || level == 1)
               : any_npt_entry(bench, page, large || level == 1);
}

static void fill_second(struct bench *bench)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&bench->state.stage2.layout);

    for (unsigned level = 1; level <= format->levels; level++) {
        for (unsigned i = 0; i < LEVEL_PAGES * VMMU_PAGE_BYTES / sizeof(uint64_t); i++) {
            uint64_t word = any_second_entry(bench, level);

            if (format->entry_bytes == 4) {
                word = (word & BITS64(31, 0)) | any_second_entry(bench, level) << 32;
            } else if (bench->state.stage2.layout.format == VMMU_X86_FORMAT_PAE && level == 3) {
                /* What an ordinary link has set is reserved in a PDPTE. */
                word &= ~(BITS64(8, 5) | BITS64(2, 1) | BITS64(63, 52));
            }
            put_word(bench, table_page(level, 0) + i * sizeof word, word);
        }
    }
}

/* --- random machines --- */

static void make_second(struct bench *bench, enum second kind)
{
    static const enum vmmu_x86_format_name formats[] = { VMMU_X86_FORMAT_32BIT, VMMU_X86_FORMAT_32BIT_PSE,
                                                         VMMU_X86_FORMAT_PAE, VMMU_X86_FORMAT_4LEVEL,
                                                         VMMU_X86_FORMAT_5LEVEL };
    struct luck *luck = &bench->luck;
    const struct vmmu_x86_limits limits = {
        .physical_bits = luck_once_in(luck, 2) ? 52 : 40,
        .nx = !luck_once_in(luck, 4),
        .pse36 = luck_once_in(luck, 2),
        .gib_pages = !luck_once_in(luck, 4),
        .execute_only = luck_once_in(luck, 2),
        .bit8_reserved = luck_once_in(luck, 2),
    };
    const unsigned levels = 4 + luck_below(luck, 2);
    enum vmmu_x86_format_name format = formats[luck_below(luck, 5)];
    enum vmmu_status status;

    if (kind == SECOND_EPT) {
        const uint64_t eptp =
            table_page(levels, 0) | 6 | (levels - 1) << 3 | (luck_once_in(luck, 2) ? BIT64(6) : 0);

        status = vmmu_stage2_ept(eptp, &limits, &bench->theirs.ram, &bench->state.stage2);
        bench->state.tags.stage2 = vmmu_invalidate_ep4ta(eptp);
    } else {
        status = vmmu_stage2_npt(format, &limits, &bench->theirs.ram,
                                 (vmmu_hpa){ table_page(vmmu_x86_formats[format].levels, 0) },
                                 &bench->state.stage2);
    }
    EXPECT_EQ(status, VMMU_OK);
    bench->state.nested = true;
    bench->state.tags.nested = true;
    fill_second(bench);
}

static struct vmmu_x86_cpu any_cpu(struct luck *luck)
{
    return (struct vmmu_x86_cpu){
        .maxphyaddr = luck_once_in(luck, 2) ? 52 : 40,
        .pse = true,
        .pse36 = luck_once_in(luck, 2),
        .pae = true,
        .pge = true,
        .nx = true,
        .long_mode = true,
        .gib_pages = luck_once_in(luck, 2),
        .la57 = true,
        .smep = true,
        .smap = true,
        .pku = true,
        .pks = true,
        .pcid = true,
        .bit8_reserved = luck_once_in(luck, 2),
    };
}

/* Which paging, by the bits that choose it. */
static const struct {
    uint64_t cr0;
    uint64_t cr4;
    uint64_t efer;
} pagings[] = {
    [VMMU_X86_PAGING_NONE] = { 0, 0, 0 },
    [VMMU_X86_PAGING_32BIT] = { VMMU_X86_CR0_PG, 0, 0 },
    [VMMU_X86_PAGING_PAE] = { VMMU_X86_CR0_PG, VMMU_X86_CR4_PAE, 0 },
    [VMMU_X86_PAGING_4LEVEL] = { VMMU_X86_CR0_PG, VMMU_X86_CR4_PAE, VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA },
    [VMMU_X86_PAGING_5LEVEL] = { VMMU_X86_CR0_PG, VMMU_X86_CR4_PAE | VMMU_X86_CR4_LA57,
                                 VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA },
};

/* One refusal in four. */
static uint32_t any_keys(struct luck *luck)
{
    const uint64_t both = luck_next(luck);

    return (uint32_t)(both & (both >> 32));
}

static void make_mode(struct bench *bench, enum vmmu_x86_paging paging)
{
    const uint64_t others = VMMU_X86_CR4_PSE | VMMU_X86_CR4_PGE | VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP |
                            VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS;
    struct luck *luck = &bench->luck;
    const struct vmmu_x86_cpu cpu = any_cpu(luck);
    struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_ET | pagings[paging].cr0 | (luck_next(luck) & VMMU_X86_CR0_WP),
        .cr3 = GUEST_BASE + luck_below(luck, GUEST_PAGES) * VMMU_PAGE_BYTES,
        .cr4 = pagings[paging].cr4 | (luck_next(luck) & others),
        .efer = pagings[paging].efer | (luck_next(luck) & VMMU_X86_EFER_NXE),
        .pkru = any_keys(luck),
        .pkrs = any_keys(luck),
        .pdpte_in_memory = luck_once_in(luck, 2),
    };

    for (unsigned i = 0; i < 4; i++) {
        registers.pdpte[i] = luck_once_in(luck, 6) ? 0 : (any_page(bench) | 1);
    }
    EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &bench->state.mode), VMMU_OK);
}

/* --- comparing --- */

static void expect_equal_faults(const struct vmmu_x86_fault *actual, const struct vmmu_x86_fault *expected)
{
    EXPECT_EQ(actual->vector, expected->vector);
    EXPECT_EQ(actual->has_error_code, expected->has_error_code);
    EXPECT_EQ(actual->error_code, expected->error_code);
    EXPECT_EQ(actual->cr2, expected->cr2);
}

static void expect_equal_refusals(const struct vmmu_x86_stage2_fault *actual,
                                  const struct vmmu_x86_stage2_fault *expected)
{
    EXPECT_EQ(actual->gpa.v, expected->gpa.v);
    EXPECT_EQ(actual->reason, expected->reason);
    EXPECT_EQ(actual->access.kind, expected->access.kind);
    EXPECT_EQ(actual->access.guest_table, expected->access.guest_table);
    EXPECT_EQ(actual->level, expected->level);
    EXPECT_EQ(actual->rights, expected->rights);
    EXPECT_EQ(actual->exitinfo1, expected->exitinfo1);
    EXPECT_EQ(actual->qualification, expected->qualification);
}

/* What the library makes of an access, with its marks in its own memory. */
struct expected {
    enum vmmu_status status;
    uint64_t hpa;
    struct vmmu_x86_fault fault;
    struct vmmu_x86_stage2_fault refusal;
};

static struct expected expected_end(struct bench *bench, uint64_t va, struct vmmu_x86_access access)
{
    struct vmmu_x86_walk_result flat;
    struct vmmu_x86_nested_result nested;
    struct expected expected = { 0 };

    access.marks = VMMU_X86_MARKS_AS_IT_GOES;
    if (bench->state.nested) {
        expected.status =
            vmmu_x86_walk_nested(&bench->state.mode, &bench->state.stage2, (vmmu_gva){ va }, access, &nested);
        expected.fault = nested.fault;
        expected.refusal = nested.stage2_fault;
        expected.hpa = expected.status == VMMU_OK ? nested.host.hpa.v : 0;
    } else {
        expected.status =
            vmmu_x86_walk(&bench->state.mode, &bench->theirs.ram, (vmmu_gva){ va }, access, &flat);
        expected.fault = flat.fault;
        expected.hpa = expected.status == VMMU_OK ? flat.translation.gpa.v : 0;
    }
    return expected;
}

static void compare(struct bench *bench, uint64_t va, struct vmmu_x86_access access)
{
    const struct expected expected = expected_end(bench, va, access);
    const struct processor_result actual =
        processor_access(bench->processor, &bench->state, va, access, &bench->luck);

    bench->ends[actual.end]++;
    switch (actual.end) {
    case PROCESSOR_REACHED:
        EXPECT_EQ(expected.status, VMMU_OK);
        EXPECT_EQ(actual.hpa, expected.hpa);
        break;
    case PROCESSOR_GUEST_FAULT:
        EXPECT_EQ(expected.status, VMMU_GUEST_FAULT);
        expect_equal_faults(&actual.fault, &expected.fault);
        break;
    case PROCESSOR_STAGE2:
        EXPECT_EQ(expected.status, VMMU_STAGE2);
        expect_equal_refusals(&actual.stage2, &expected.refusal);
        break;
    case PROCESSOR_STRAYED:
        EXPECT(expected.status == VMMU_ABSENT || expected.status == VMMU_OK);
        EXPECT(expected.status == VMMU_ABSENT || actual.hpa == expected.hpa);
        EXPECT(memory_owner_of(bench->ours.memory, actual.hpa) != OWNER_GUEST);
        break;
    }
}

static uint64_t any_address(struct bench *bench)
{
    struct luck *luck = &bench->luck;
    const uint64_t address = luck_next(luck);
    const unsigned bits = bench->state.mode.address_bits;

    if (luck_once_in(luck, 30)) {
        return address;
    }
    if (bench->state.mode.paging == VMMU_X86_PAGING_NONE) {
        return luck_once_in(luck, 2) ? address & BITS64(31, 0) : GUEST_BASE + (address & 0x1FFFF);
    }
    return (address & BIT64(bits - 1)) && bits > 32 ? address | ~BITS64(bits - 1, 0)
                                                    : address & BITS64(bits - 1, 0);
}

static struct vmmu_x86_access any_access(struct luck *luck)
{
    return (struct vmmu_x86_access){
        .kind = (enum vmmu_x86_access_kind)luck_below(luck, 3),
        .user = luck_once_in(luck, 2),
        .implicit = luck_once_in(luck, 8),
        .eflags_ac = luck_once_in(luck, 2),
    };
}

/* --- witness of no one --- */

static void on_marked(void *context, uint64_t hpa, unsigned width_bytes, uint64_t value)
{
    const struct bench *bench = context;

    EXPECT_EQ(memory_load(bench->ours.memory, hpa, width_bytes), value);
    EXPECT(width_bytes == 4 || width_bytes == 8);
}

static void on_used(void *context, uint64_t gpa, bool written)
{
    const struct bench *bench = context;

    (void)gpa, (void)written;
    EXPECT(bench->state.nested);
}

static void run_world(struct bench *bench, enum vmmu_x86_paging paging, enum second second)
{
    const struct processor_witness witness = { bench, on_marked, on_used };

    memset(&bench->state, 0, sizeof bench->state);
    bench->state.tags.vendor = second == SECOND_NPT ? VMMU_X86_AMD : VMMU_X86_INTEL;
    bench->state.tags.tagged = true;
    bench->state.tags.space = 1;
    view_open(&bench->ours);
    view_open(&bench->theirs);
    bench->processor = processor_create(bench->ours.memory, &witness, 128);
    EXPECT(bench->processor != NULL);
    make_mode(bench, paging);
    if (second != SECOND_NONE) {
        make_second(bench, second);
    }
    fill_guest(bench);
    for (unsigned i = 0; i < ACCESSES; i++) {
        processor_evict(bench->processor, 256, &bench->luck);
        compare(bench, any_address(bench), any_access(&bench->luck));
    }
    expect_equal_pages(bench, GUEST_BASE, GUEST_PAGES);
    expect_equal_pages(bench, TABLES_BASE, (unsigned)TABLE_PAGES);
    processor_destroy(bench->processor);
    memory_destroy(bench->ours.memory);
    memory_destroy(bench->theirs.memory);
}

/* Random worlds of one kind of paging under one second stage; every end that can be must have been. */
static void run(enum vmmu_x86_paging paging, enum second second)
{
    static struct bench bench;

    bench = (struct bench){ .luck = luck_from(paging * 10 + second) };
    for (unsigned i = 0; i < WORLDS; i++) {
        run_world(&bench, paging, second);
    }
    EXPECT(bench.ends[PROCESSOR_REACHED] > 20);
    EXPECT(bench.ends[PROCESSOR_STRAYED] > 5);
    EXPECT(paging == VMMU_X86_PAGING_NONE || bench.ends[PROCESSOR_GUEST_FAULT] > 100);
    EXPECT(second == SECOND_NONE || bench.ends[PROCESSOR_STAGE2] > 100);
}

static void test_alone_it_walks_as_the_manuals_say(void **state)
{
    (void)state;
    run(VMMU_X86_PAGING_NONE, SECOND_NONE);
    run(VMMU_X86_PAGING_32BIT, SECOND_NONE);
    run(VMMU_X86_PAGING_PAE, SECOND_NONE);
    run(VMMU_X86_PAGING_4LEVEL, SECOND_NONE);
    run(VMMU_X86_PAGING_5LEVEL, SECOND_NONE);
}

static void test_under_npt_it_walks_as_the_manuals_say(void **state)
{
    (void)state;
    run(VMMU_X86_PAGING_NONE, SECOND_NPT);
    run(VMMU_X86_PAGING_32BIT, SECOND_NPT);
    run(VMMU_X86_PAGING_PAE, SECOND_NPT);
    run(VMMU_X86_PAGING_4LEVEL, SECOND_NPT);
    run(VMMU_X86_PAGING_5LEVEL, SECOND_NPT);
}

static void test_under_ept_it_walks_as_the_manuals_say(void **state)
{
    (void)state;
    run(VMMU_X86_PAGING_NONE, SECOND_EPT);
    run(VMMU_X86_PAGING_32BIT, SECOND_EPT);
    run(VMMU_X86_PAGING_PAE, SECOND_EPT);
    run(VMMU_X86_PAGING_4LEVEL, SECOND_EPT);
    run(VMMU_X86_PAGING_5LEVEL, SECOND_EPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_it_walks_as_the_manuals_say),
        cmocka_unit_test(test_under_npt_it_walks_as_the_manuals_say),
        cmocka_unit_test(test_under_ept_it_walks_as_the_manuals_say),
    };

    return RUN_TESTS(tests);
}
