/*
 * Invalidation: what must be seen after INVLPG, MOV to CR3 and MOV to CR4, and what may be seen
 * before. SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches", "Optional
 * Invalidation", "Delayed Invalidation".
 *
 * An access that the manual lets a TLB answer from the past may see the old mapping or the
 * new one, and nothing else.
 *
 * Guest: also la57
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define OLD 0x01d01d
#define NEW 0x2e2e2e

static const struct access reads = { ACCESS_READ, false, false };
static const struct access writes = { ACCESS_WRITE, false, false };

/* One page at the mode's test address, mapped to the frame that reads OLD and already accessed. */
struct page {
    struct space space;
    const char *mode;
    uintptr_t va;
    uintptr_t at;
};

static void page_make(struct page *page, const struct paging *paging, uint64_t bits, uintptr_t cr4)
{
    tables_reset();
    space_make(&page->space, paging);
    page->mode = paging->name;
    page->va = paging->test_va;
    space_map(&page->space, page->va, 1, FRAME(0) | bits);
    page->at = space_entry(&page->space, page->va, 1);
    frame_mark(FRAME(0), OLD);
    frame_mark(FRAME(1), NEW);
    space_enter(&page->space, cr4, cpu_has_nx());
    if (bits & PTE_P) {
        marker_read(page->va);
    }
}

static void page_set(const struct page *page, uint64_t entry)
{
    entry_store(&page->space, page->at, entry);
}

/* The page reads as the old frame or the new one. */
static bool reads_either(const struct page *page)
{
    const uint32_t seen = marker_read(page->va);
    detail("reads %x", seen);
    return seen == OLD || seen == NEW;
}

static bool reads_new(const struct page *page)
{
    const uint32_t seen = marker_read(page->va);
    detail("reads %x", seen);
    return seen == NEW;
}

static void test_invlpg(const struct paging *paging)
{
    struct page page;
    page_make(&page, paging, PTE_P | PTE_W, 0);
    page_set(&page, FRAME(1) | PTE_P | PTE_W);
    report(reads_either(&page), "%s: before INVLPG a page reads as it did, or as it will", page.mode);
    invlpg(page.va);
    report(reads_new(&page), "%s: after INVLPG a page reads as its entry says", page.mode);

    page_set(&page, 0);
    invlpg(page.va);
    report(probe(page.va, reads).fault, "%s: after INVLPG a page that was taken away faults", page.mode);
    page_set(&page, FRAME(1) | PTE_P);
    report(reads_new(&page), "%s: a page that was not present needs no INVLPG", page.mode);

    page_set(&page, FRAME(1) | PTE_P | PTE_W);
    const bool once = probe(page.va, writes).fault;
    report(!once || !probe(page.va, writes).fault, "%s: a page made writable faults once at most", page.mode);
    page_set(&page, FRAME(1) | PTE_P);
    invlpg(page.va);
    report(probe(page.va, writes).fault, "%s: after INVLPG a page made read-only is read-only", page.mode);
    report(reads_new(&page), "%s: and still readable", page.mode);
    space_leave();
}

/* INVLPG drops what is cached of the tables above, whatever its address: change an entry of each level. */
static void test_upper(const struct paging *paging)
{
    for (unsigned level = 2; level <= paging->levels; level++) {
        if (!paging->long_mode && level == 3) {
            continue; /* a PDPTE register: test_pdpte */
        }
        struct page page;
        page_make(&page, paging, PTE_P | PTE_W, 0);
        const struct space other = { paging, table_take() };
        space_map(&other, page.va, 1, FRAME(1) | PTE_P | PTE_W);
        const uintptr_t at = space_entry(&page.space, page.va, level);
        const uint64_t before = entry_load(&page.space, at);
        entry_store(&page.space, at, entry_load(&other, space_entry(&other, page.va, level)));
        const bool either = reads_either(&page);
        invlpg(page.va);
        report(either && reads_new(&page), "%s: after INVLPG another table at level %u counts", page.mode,
               level);
        entry_store(&page.space, at, 0);
        invlpg(page.va);
        report(probe(page.va, reads).fault, "%s: after INVLPG a table gone at level %u is gone", page.mode,
               level);
        entry_store(&page.space, at, before);
        frame_mark(FRAME(1), OLD);
        frame_mark(FRAME(0), NEW);
        report(reads_new(&page), "%s: a table that comes back at level %u needs no INVLPG", page.mode, level);
        space_leave();
    }
}

static void test_pdpte(void)
{
    struct page page;
    page_make(&page, &paging_pae, PTE_P | PTE_W, 0);
    const struct space other = { &paging_pae, table_take() };
    space_map(&other, page.va, 1, FRAME(1) | PTE_P | PTE_W);
    const uintptr_t at = space_entry(&page.space, page.va, 3);
    entry_store(&page.space, at, entry_load(&other, space_entry(&other, page.va, 3)));
    report(reads_either(&page), "PAE: a PDPTE changed in memory counts now, or at the next MOV to CR3");
    cr3_write(page.space.root);
    report(reads_new(&page), "PAE: MOV to CR3 loads the PDPTEs");
    entry_store(&page.space, at, 0);
    cr3_write(page.space.root);
    report(probe(page.va, reads).fault, "PAE: after MOV to CR3 a PDPTE that is not present faults");
    space_leave();
}

static void test_cr3(const struct paging *paging)
{
    struct page page;
    page_make(&page, paging, PTE_P | PTE_W, 0);
    page_set(&page, FRAME(1) | PTE_P | PTE_W);
    cr3_write(page.space.root);
    report(reads_new(&page), "%s: MOV to CR3 drops pages that are not global", page.mode);

    struct space other;
    space_make(&other, paging);
    space_map(&other, page.va, 1, FRAME(0) | PTE_P);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 64; i++) {
        const bool first = i & 1;
        cr3_write(first ? page.space.root : other.root);
        wrong += marker_read(page.va) != (first ? NEW : OLD);
    }
    detail("%u of 64 reads", wrong);
    report(wrong == 0, "%s: two spaces, switched by MOV to CR3, each see their own frame", page.mode);
    cr3_write(page.space.root);
    space_map(&other, page.va, 1, FRAME(1) | PTE_P | PTE_W);
    cr3_write(other.root);
    report(reads_new(&page), "%s: a space changed while another is loaded reads as changed", page.mode);
    space_leave();
}

static void test_global(const struct paging *paging)
{
    struct page page;
    page_make(&page, paging, PTE_P | PTE_W | PTE_G, CR4_PGE);
    page_set(&page, FRAME(1) | PTE_P | PTE_W | PTE_G);
    cr3_write(page.space.root);
    report(reads_either(&page), "%s: MOV to CR3 need not drop a global page", page.mode);
    cr4_write(cr4_read() & ~CR4_PGE);
    report(reads_new(&page), "%s: clearing CR4.PGE drops global pages", page.mode);
    page_set(&page, FRAME(0) | PTE_P | PTE_W | PTE_G);
    frame_mark(FRAME(0), NEW);
    frame_mark(FRAME(1), OLD);
    cr3_write(page.space.root);
    report(reads_new(&page), "%s: without CR4.PGE no page is global", page.mode);

    cr4_write(cr4_read() | CR4_PGE);
    marker_read(page.va);
    page_set(&page, FRAME(1) | PTE_P | PTE_W | PTE_G);
    frame_mark(FRAME(1), NEW);
    frame_mark(FRAME(0), OLD);
    invlpg(page.va);
    report(reads_new(&page), "%s: INVLPG drops a global page", page.mode);
    page_set(&page, 0);
    cr4_write(cr4_read() ^ CR4_PGE);
    report(probe(page.va, reads).fault, "%s: a change of CR4.PGE drops everything", page.mode);
    space_leave();
}

/* Control bits that count at once, with no invalidation by the guest. */
static void test_toggles(const struct paging *paging)
{
    struct page page;
    page_make(&page, paging, PTE_P, 0);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 8; i++) {
        const bool wp = i & 1;
        cr0_write((cr0_read() & ~CR0_WP) | (wp ? CR0_WP : 0));
        wrong += probe(page.va, writes).fault != wp;
    }
    report(wrong == 0, "%s: CR0.WP counts from the instruction that writes it", page.mode);

    page_set(&page, FRAME(0) | PTE_P | PTE_U);
    invlpg(page.va);
    wrong = 0;
    for (unsigned i = 0; i < 8 && cpu_has_smap(); i++) {
        const bool smap = i & 1;
        cr4_write((cr4_read() & ~CR4_SMAP) | (smap ? CR4_SMAP : 0));
        wrong += probe(page.va, reads).fault != smap;
    }
    report(wrong == 0, "%s: CR4.SMAP counts from the instruction that writes it", page.mode);
    wrong = 0;
    for (unsigned i = 0; i < 8 && cpu_has_smep(); i++) {
        const bool smep = i & 1;
        cr4_write((cr4_read() & ~(CR4_SMEP | CR4_SMAP)) | (smep ? CR4_SMEP : 0));
        wrong += probe(page.va, (struct access){ ACCESS_FETCH, false, false }).fault != smep;
    }
    report(wrong == 0, "%s: CR4.SMEP counts from the instruction that writes it", page.mode);
    space_leave();
}

#ifdef __x86_64__
/* INVLPG takes any address, and does nothing about one that is not canonical: SDM 2A INVLPG. */
static void test_not_canonical(const struct paging *paging)
{
    TRY("invlpg (%0)", ::"r"(0x8000000000000000) : "memory");
    report(trap_last.vector == TRAP_NONE, "%s: INVLPG of a non-canonical address does nothing", paging->name);
}
#else
/* Paging off and on again: everything is dropped, and memory is seen as it is in between. */
static void test_paging_off(const struct paging *paging)
{
    struct page page;
    page_make(&page, paging, PTE_P | PTE_W, 0);
    cr0_write(cr0_read() & ~CR0_PG);
    const bool flat = marker_read(FRAME(0)) == OLD;
    page_set(&page, FRAME(1) | PTE_P | PTE_W);
    cr0_write(cr0_read() | CR0_PG);
    report(flat && reads_new(&page), "%s: with paging off and on again, a page reads as its entry says",
           page.mode);
    space_leave();
}
#endif

/* Many pages: more than any TLB holds, all moved at once. */
static void test_many(const struct paging *paging)
{
    const unsigned count = 2048;
    struct space space;
    tables_reset();
    space_make(&space, paging);
    for (unsigned i = 0; i < count; i++) {
        frame_mark(FRAME(i), i);
        space_map(&space, paging->test_va + i * (uintptr_t)PAGE_BYTES, 1, FRAME(i) | PTE_P | PTE_W);
    }
    space_enter(&space, 0, false);
    unsigned wrong = 0;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < count; i++) {
            const unsigned frame = (i + round * 7) % count;
            const uintptr_t va = paging->test_va + i * (uintptr_t)PAGE_BYTES;
            entry_store(&space, space_entry(&space, va, 1), FRAME(frame) | PTE_P | PTE_W);
            if (round & 1) {
                invlpg(va);
            }
        }
        cr3_write(space.root);
        for (unsigned i = 0; i < count; i++) {
            wrong += marker_read(paging->test_va + i * (uintptr_t)PAGE_BYTES) != (i + round * 7) % count;
        }
    }
    detail("%u wrong", wrong);
    report(wrong == 0, "%s: 2048 pages moved three times read right", paging->name);
    space_leave();
}

/* Process-context identifiers. SDM 3A "Process-Context Identifiers (PCIDs)", 2A INVPCID. */
static void invpcid(uintptr_t type, uint64_t pcid, uint64_t address)
{
    const uint64_t descriptor[2] = { pcid, address };
    __asm__ volatile("invpcid %0, %1" ::"m"(descriptor), "r"(type) : "memory");
}

static void test_pcid(const struct paging *paging)
{
    static const char *const sentences[] = { "a CR3 switch that keeps a PCID may show its old page",
                                             "a CR3 switch that does not keep a PCID drops it",
                                             "INVPCID of one address drops it",
                                             "INVPCID of one context drops it" };
    if (!cpu_has_pcid() || !cpu_has_invpcid()) {
        for (unsigned i = 0; i < 4; i++) {
            report_skip("PCID is not offered", "%s: %s", paging->name, sentences[i]);
        }
        return;
    }
    struct page page;
    page_make(&page, paging, PTE_P | PTE_W, 0);
    cr4_write(cr4_read() | CR4_PCIDE);
    for (unsigned i = 0; i < 4; i++) {
        page_set(&page, FRAME(0) | PTE_P);
        cr3_write(page.space.root | 5);
        marker_read(page.va);
        cr3_write(page.space.root | 6);
        page_set(&page, FRAME(1) | PTE_P);
        if (i == 2) {
            invpcid(0, 5, page.va);
        } else if (i == 3) {
            invpcid(1, 5, 0);
        }
        cr3_write((uintptr_t)(page.space.root | 5 | (i == 1 ? 0 : BIT64(63))));
        report(i == 0 ? reads_either(&page) : reads_new(&page), "%s: %s", paging->name, sentences[i]);
    }
    cr3_write(page.space.root);
    cr4_write(cr4_read() & ~CR4_PCIDE);
    space_leave();
}

void guest_main(void)
{
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        test_invlpg(*mode);
        test_upper(*mode);
        test_cr3(*mode);
        test_global(*mode);
        test_toggles(*mode);
        test_many(*mode);
        if (*mode == &paging_pae) {
            test_pdpte();
        }
        if ((*mode)->long_mode) {
            test_pcid(*mode);
        }
#ifdef __x86_64__
        test_not_canonical(*mode);
#else
        test_paging_off(*mode);
#endif
    }
}
