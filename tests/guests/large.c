/*
 * Large pages: 4 MiB of 32-bit paging, 2 MiB and 1 GiB of the others; their frames, rights and reserved bits,
 * and how they are split, joined and invalidated.
 *
 * Guest: also la57
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

static const struct access reads = { ACCESS_READ, false, false };
static const struct access writes = { ACCESS_WRITE, false, false };
static const struct access user_reads = { ACCESS_READ, true, false };

#define MARKER(frame, page) (0x10000U * (unsigned)(frame) + (unsigned)(page))

/*
 * One large page for the tests. A 1 GiB page maps memory from 0, so that its
 * interesting part starts at FRAMES.
 */
struct large {
    struct space space;
    unsigned level;
    uintptr_t va;     /* of the large page */
    uintptr_t offset; /* of the part that is looked at */
    uintptr_t at;
    uintptr_t pages; /* in that part */
};

static uintptr_t page_va(const struct large *large, uintptr_t page)
{
    return large->va + large->offset + page * PAGE_BYTES;
}

/* Every page of large frames 0 and 1 knows its place. */
static void frames_fill(void)
{
    for (unsigned frame = 0; frame < 2; frame++) {
        for (unsigned page = 0; page < 1024; page++) {
            frame_mark(LARGE_FRAME(frame) + page * (uintptr_t)PAGE_BYTES, MARKER(frame, page));
        }
    }
}

static void large_make(struct large *large, const struct paging *paging, unsigned level, uint64_t bits)
{
    tables_reset();
    space_make(&large->space, paging);
    large->level = level;
    large->va = paging->test_va;
    large->offset = level == 3 ? FRAMES : 0;
    large->pages = level == 3 ? 2048 : level_bytes(paging, level) / PAGE_BYTES;
    space_map(&large->space, large->va, level, (level == 3 ? 0 : LARGE_FRAME(0)) | bits);
    large->at = space_entry(&large->space, large->va, level);
    space_enter(&large->space, 0, cpu_has_nx());
}

/*
 * The first page from @page on, by @step, that does not read as that of large frame
 * @frame. `pages` if all do.
 */
static uintptr_t first_wrong(const struct large *large, unsigned frame, uintptr_t page, uintptr_t step)
{
    for (; page < large->pages; page += step) {
        const uint32_t expected = large->level == 3 ? MARKER(page / 1024, page % 1024) : MARKER(frame, page);
        const uint32_t seen = marker_read(page_va(large, page));
        if (seen != expected) {
            detail("page %u reads %x, expected %x", (unsigned)page, seen, expected);
            return page;
        }
    }
    return large->pages;
}

static bool reads_as(const struct large *large, unsigned frame)
{
    return first_wrong(large, frame, 0, 1) == large->pages;
}

static void test_frame(const struct paging *paging, unsigned level)
{
    struct large large;
    large_make(&large, paging, level, PTE_P | PTE_W);
    report(reads_as(&large, 0), "%s, level %u: every page of a large page reads as its part of the frame",
           paging->name, level);
    entry_store(&large.space, large.at, entry_load(&large.space, large.at) | BIT64(12));
    invlpg(large.va);
    report(reads_as(&large, 0), "%s, level %u: bit 12 of a large entry is its PAT bit, and no address",
           paging->name, level);
    space_leave();
}

/* The outcome of one access under other bits in the large entry. */
static bool outcome_is(const struct large *large, uint64_t bits, struct access access, uint32_t error)
{
    const uint64_t before = entry_load(&large->space, large->at);
    entry_store(&large->space, large->at, bits);
    invlpg(large->va);
    const uintptr_t va = page_va(large, 3);
    const struct outcome got = probe(va, access);
    entry_store(&large->space, large->at, before);
    invlpg(large->va);
    detail("entry %q: vector %x error %p cr2 %p", bits, (unsigned)got.vector, got.error, got.cr2);
    return got.fault && got.vector == VECTOR_PAGE &&
           (got.error | (error & FAULT_RSVD ? FAULT_P : 0)) == error && got.cr2 == va;
}

static void test_rights(const struct paging *paging, unsigned level)
{
    struct large large;
    large_make(&large, paging, level, PTE_P | PTE_W);
    const uint64_t frame = entry_load(&large.space, large.at) & ~(PTE_RWU | PTE_A | PTE_D);
    report(outcome_is(&large, frame | PTE_P, writes, FAULT_P | FAULT_W),
           "%s, level %u: a read-only large page is read-only", paging->name, level);
    report(outcome_is(&large, frame | PTE_P | PTE_W, user_reads, FAULT_P | FAULT_U),
           "%s, level %u: a supervisor's large page is the supervisor's", paging->name, level);
    report(outcome_is(&large, frame | PTE_W, reads, 0),
           "%s, level %u: a large page that is not present faults", paging->name, level);
    if (cpu_has_nx() && paging->entry_bytes == 8) {
        report(outcome_is(&large, frame | PTE_P | PTE_NX, (struct access){ ACCESS_FETCH, false, false },
                          FAULT_P | FAULT_I),
               "%s, level %u: a large page with NX does not execute", paging->name, level);
    }
    space_leave();
}

/*
 * Address bits below the page's size, PAT's apart. In 32-bit paging bits 20 to 13 are address bits by PSE-36.
 */
static void test_reserved(const struct paging *paging, unsigned level)
{
    struct large large;
    large_make(&large, paging, level, PTE_P | PTE_W);
    const uint64_t entry = entry_load(&large.space, large.at);
    const unsigned first = paging->entry_bytes == 4 ? 21 : 13;
    bool good = true;
    for (unsigned bit = first; BIT64(bit) < level_bytes(paging, level) && good; bit++) {
        good = outcome_is(&large, entry | BIT64(bit), reads, FAULT_P | FAULT_RSVD);
    }
    report(good, "%s, level %u: each address bit below a large page's size is reserved", paging->name, level);
    space_leave();
}

/* A table that maps what the large page maps. The level below a 1 GiB page is of 2 MiB pages. */
static uint64_t split_table(const struct large *large)
{
    const struct paging *paging = large->space.paging;
    const uintptr_t table = table_take();
    const uint64_t whole = entry_load(&large->space, large->at);
    const uint64_t bits = (whole & 0xfff & ~(large->level == 2 ? PTE_PS : 0));
    const uintptr_t step = level_bytes(paging, large->level - 1);
    const uintptr_t base =
        (uintptr_t)(whole & 0xfffff000 & ~(uint64_t)(level_bytes(paging, large->level) - 1));
    for (uintptr_t i = 0; i < BIT(paging->index_bits); i++) {
        entry_store(&large->space, table + i * paging->entry_bytes, (base + i * step) | bits);
    }
    return table;
}

static void test_split(const struct paging *paging, unsigned level)
{
    struct large large;
    large_make(&large, paging, level, PTE_P | PTE_W);
    const uint64_t whole = entry_load(&large.space, large.at);
    const bool before = reads_as(&large, 0);
    const uint64_t table = split_table(&large);
    entry_store(&large.space, large.at, table | PTE_P | PTE_W);
    invlpg(large.va);
    report(before && reads_as(&large, 0), "%s, level %u: a large page that was split reads as before",
           paging->name, level);

    const uintptr_t victim = page_va(&large, level == 3 ? 512 : 5);
    const uintptr_t at = space_entry(&large.space, victim, level - 1);
    const uint64_t part = entry_load(&large.space, at);
    entry_store(&large.space, at, 0);
    invlpg(victim);
    const struct outcome gone = probe(victim, reads);
    const struct outcome stays = probe(page_va(&large, level == 3 ? 1024 : 6), reads);
    detail("fault %u, neighbour fault %u", gone.fault, stays.fault);
    report(gone.fault && !stays.fault, "%s, level %u: one part of a split page can go alone", paging->name,
           level);
    entry_store(&large.space, at, part);

    entry_store(&large.space, large.at, whole);
    invlpg(large.va);
    report(reads_as(&large, 0), "%s, level %u: joined again, it reads as before", paging->name, level);
    space_leave();
}

/* INVLPG of any address in a large page drops all of it: SDM 3A "Operations that Invalidate TLBs". */
static void test_invalidate(const struct paging *paging, unsigned level)
{
    struct large large;
    large_make(&large, paging, level, PTE_P | PTE_W);
    const bool before = reads_as(&large, 0);
    const uint64_t moved = (entry_load(&large.space, large.at) & ~(uint64_t)LARGE_FRAME(0)) | LARGE_FRAME(1);
    entry_store(&large.space, large.at, moved);
    invlpg(page_va(&large, large.pages / 2));
    report(before && reads_as(&large, 1), "%s, level %u: INVLPG of one address drops the whole large page",
           paging->name, level);

    entry_store(&large.space, large.at, 0);
    invlpg(page_va(&large, 1));
    const struct outcome first = probe(page_va(&large, 0), reads);
    const struct outcome last = probe(page_va(&large, large.pages - 1), reads);
    report(first.fault && last.fault,
           "%s, level %u: a large page that was taken away is away in all its parts", paging->name, level);
    space_leave();
}

/* Bit 7 of a PDE without CR4.PSE: SDM 3A "32-Bit Paging". */
static void test_without_pse(void)
{
    struct space space;
    tables_reset();
    space_make(&space, &paging_32_small);
    space_map(&space, paging_32_small.test_va, 1, LARGE_FRAME(2) | PTE_P);
    const uintptr_t at = space_entry(&space, paging_32_small.test_va, 2);
    entry_store(&space, at, entry_load(&space, at) | PTE_PS);
    frame_mark(LARGE_FRAME(2), 0x1234);
    space_enter(&space, 0, false);
    const uint32_t seen = marker_read(paging_32_small.test_va);
    detail("reads %x", seen);
    report(seen == 0x1234, "32-bit without PSE: bit 7 of a PDE is ignored");
    space_leave();
}

void guest_main(void)
{
    frames_fill();
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        for (unsigned level = 2; level_has_leaves(*mode, level); level++) {
            test_frame(*mode, level);
            test_rights(*mode, level);
            test_reserved(*mode, level);
            test_split(*mode, level);
            if (level == 2) {
                test_invalidate(*mode, level);
            }
        }
        if (*mode == &paging_32_small) {
            test_without_pse();
        }
    }
}
