/*
 * What the specification leaves open about caches and page tables, in each setting of each policy: cache bits of CR3, of
 * leaves and of entries above them, CR0.CD, the PAT of each processor, INVD; page tables that are write-protected without
 * anybody noticing; and processors that share page tables but not all of their mode. TLFS "Virtual MMU and Caching".
 *
 * The command line says what to expect. What only a parent can find out, or is told, is in `parent`.
 *
 * Guest: inside only
 * Guest: run defaults under nested: --cpus 2 -- cr3.cache=honor cr0.cd=ignore pat=vp
 * Guest: run defaults under shadow: --cpus 2 -- cr3.cache=ignore cr0.cd=ignore pat=vp
 * Guest: run cr3.cache=ignore, cr0.cd=honor, pat=partition: --cpus 2 --policy cr3.cache=ignore,cr0.cd=honor,pat=partition -- cr3.cache=ignore cr0.cd=honor pat=partition
 * Guest: run cr3.cache=honor, cr0.cd=ignore, pat=vp, sharing=off: --cpus 2 --policy cr3.cache=honor,cr0.cd=ignore,pat=vp,sharing=off -- cr3.cache=honor cr0.cd=ignore pat=vp
 * Guest: run table.cache=honor, sharing=on under shadow: --cpus 2 --policy table.cache=honor,sharing=on -- cr3.cache=ignore cr0.cd=ignore pat=vp
 */
#include "tests/guests/common/calls.h"
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/smp.h"
#include "tests/guests/common/traps.h"
#include "tests/guests/common/views.h"

#define OLD       0x01d01d
#define NEW       0x2e2e2e
#define PAT_RESET UINT64_C(0x0007040600070406)
#define PAT_OURS  UINT64_C(0x0105040600070106)
#define PTE_CACHE (PTE_PWT | PTE_PCD)
#define PAT_SMALL BIT64(7)  /* of a 4 KiB page's entry */
#define PAT_LARGE BIT64(12) /* of a large page's */

static const struct access reads = { ACCESS_READ, false, false };
static const struct access writes = { ACCESS_WRITE, false, false };

static void page_make(struct space *space, const struct paging *paging)
{
    tables_reset();
    space_make(space, paging);
    space_map(space, paging->test_va, 1, FRAME(0) | PTE_P | PTE_W);
    frame_mark(FRAME(0), OLD);
    frame_mark(FRAME(1), NEW);
}

/* --- CR3.PWT and PCD --- */

static void test_cr3(const struct paging *paging)
{
    struct space space;
    unsigned wrong = 0;
    page_make(&space, paging);
    space_enter(&space, 0, false);
    for (uintptr_t bits = 0; bits <= PTE_CACHE; bits += PTE_PWT) {
        const uintptr_t wanted = space.root | (option("cr3.cache=honor") ? bits : 0);
        cr3_write(space.root | bits);
        if (cr3_read() != wanted || marker_read(paging->test_va) != OLD) {
            wrong++;
            detail("wrote %p, read %p", space.root | bits, cr3_read());
        }
    }
    report(wrong == 0, "%s: PWT and PCD that are moved to CR3 read back as the policy says", paging->name);
    cr3_write(space.root);
    space_leave();
}

/* The same by the hypercall. */
static void test_cr3_by_call(const struct paging *paging)
{
    struct space space;
    unsigned wrong = 0;
    page_make(&space, paging);
    space_enter(&space, 0, false);
    for (uintptr_t bits = PTE_PWT; bits <= PTE_CACHE; bits += PTE_PWT) {
        const bool honored = option("cr3.cache=honor");
        const enum status status = status_of(hypercall(CALL_SWITCH_SPACE | CALL_FAST, space.root | bits, 0));
        wrong += status != (honored ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER);
        wrong += cr3_read() != (space.root | (honored ? bits : 0));
    }
    report(wrong == 0, "%s: in HvSwitchVirtualAddressSpace they are an invalid parameter unless honoured",
           paging->name);
    cr3_write(space.root);
    space_leave();
}

#ifdef __x86_64__
/* SDM 3A "Process-Context Identifiers (PCIDs)": there the bits are the identifier's. */
static void test_cr3_pcid(void)
{
    struct space space;
    if (!cpu_has_pcid()) {
        comment("PCIDs are not offered");
        return;
    }
    page_make(&space, &paging_4);
    space_enter(&space, 0, false);
    cr4_write(cr4_read() | CR4_PCIDE);
    cr3_write(space.root | PTE_CACHE);
    report(cr3_read() == (space.root | PTE_CACHE),
           "with CR4.PCIDE the bits are the PCID's, whatever the policy");
    cr3_write(space.root);
    cr4_write(cr4_read() & ~CR4_PCIDE);
    space_leave();
}
#endif

/* --- cache bits in page tables --- */

/* What the bits select is told to whoever translates; here the page is a page whatever they are. */
static void test_leaves(const struct paging *paging)
{
    struct space space;
    unsigned wrong = 0;
    page_make(&space, paging);
    space_enter(&space, 0, false);
    for (unsigned level = 1; level <= 2 && (level == 1 || paging->large_pages); level++) {
        const uintptr_t va = paging->test_va + (level == 2 ? 8 * level_bytes(paging, 2) : 0);
        const uint64_t pat = level == 1 ? PAT_SMALL : PAT_LARGE;
        for (unsigned i = 0; i < 8; i++) {
            const uint64_t bits = (i & 1 ? PTE_PWT : 0) | (i & 2 ? PTE_PCD : 0) | (i & 4 ? pat : 0);
            frame_mark(LARGE_FRAME(2), i);
            space_map(&space, va, level, LARGE_FRAME(2) | bits | PTE_P | PTE_W);
            invlpg(va);
            wrong += marker_read(va) != i;
            *(volatile uint32_t *)(va + 16) = 100 + i;
            wrong += *(volatile uint32_t *)(LARGE_FRAME(2) + 16) != 100 + i;
            wrong += (entry_load(&space, space_entry(&space, va, level)) & (bits | PTE_A | PTE_D)) !=
                     (bits | PTE_A | PTE_D);
        }
    }
    report(wrong == 0, "%s: pages of every cache type are read and written, and keep their bits",
           paging->name);
    space_leave();
}

static void test_links(const struct paging *paging)
{
    struct space space;
    unsigned wrong = 0;
    page_make(&space, paging);
    const uintptr_t va = paging->test_va;
    const unsigned top = paging->long_mode ? paging->levels : 2;
    space_enter(&space, 0, false);
    for (unsigned level = 2; level <= top; level++) {
        for (uint64_t bits = PTE_PWT; bits <= PTE_CACHE; bits += PTE_PWT) {
            const uintptr_t at = space_entry(&space, va, level);
            const uintptr_t leaf = space_entry(&space, va, 1);
            const uint64_t before = entry_load(&space, at);
            entry_store(&space, at, (before & ~PTE_A) | bits);
            entry_store(&space, leaf, entry_load(&space, leaf) & ~(PTE_A | PTE_D));
            invlpg(va);
            wrong += marker_read(va) != OLD || probe(va, writes).fault;
            wrong += (entry_load(&space, at) & (PTE_A | PTE_CACHE)) != (PTE_A | bits);
            wrong += (entry_load(&space, leaf) & (PTE_A | PTE_D)) != (PTE_A | PTE_D);
            entry_store(&space, at, before);
        }
    }
    report(wrong == 0, "%s: tables under entries with cache bits are walked and marked", paging->name);
    space_leave();
}

/* --- CR0.CD --- */

static void test_cd(void)
{
    const uintptr_t cr0 = cr0_read();
    volatile uint32_t *at = (volatile uint32_t *)FRAME(0);
    const uintptr_t values[] = { cr0 | CR0_CD, cr0 | CR0_CD | CR0_NW };
    unsigned wrong = 0;
    for (unsigned i = 0; i < 2; i++) {
        *at = i;
        cr0_write(values[i]);
        const uintptr_t seen = cr0_read();
        *at += 100;
        __asm__ volatile("wbinvd" ::: "memory");
        cr0_write(cr0);
        if (seen != (option("cr0.cd=honor") ? values[i] : cr0) || *at != 100 + i || cr0_read() != cr0) {
            wrong++;
            detail("wrote %p, read %p", values[i], seen);
        }
    }
    report(wrong == 0, "CR0.CD and NW read back as the policy says, and memory is as it was");
}

static void test_cd_paged(const struct paging *paging)
{
    struct space space;
    page_make(&space, paging);
    space_enter(&space, 0, false);
    const uintptr_t cr0 = cr0_read();
    cr0_write(cr0 | CR0_CD);
    bool good = marker_read(paging->test_va) == OLD;
    space_map(&space, paging->test_va, 1, FRAME(1) | PTE_P | PTE_W);
    invlpg(paging->test_va);
    good = marker_read(paging->test_va) == NEW && good;
    cr0_write(cr0);
    report(good && marker_read(paging->test_va) == NEW, "%s: with CR0.CD set pages are where the tables say",
           paging->name);
    space_leave();
}

/* --- the PAT --- */

struct pat {
    uint64_t write, seen;
};

static void pat_write(void *argument)
{
    struct pat *pat = argument;
    msr_write(MSR_PAT, pat->write);
    pat->seen = msr_read(MSR_PAT);
}

static void pat_read(void *argument)
{
    ((struct pat *)argument)->seen = msr_read(MSR_PAT);
}

static void test_pat(void)
{
    const bool one = option("pat=partition");
    struct pat here = { PAT_OURS, 0 }, there = { 0, 0 };
    smp_run(1, pat_read, &there);
    report(msr_read(MSR_PAT) == PAT_RESET && there.seen == PAT_RESET,
           "at first every processor's PAT is that of reset");
    pat_write(&here);
    smp_run(1, pat_read, &there);
    detail("%q here, %q there", here.seen, there.seen);
    report(here.seen == PAT_OURS && there.seen == (one ? PAT_OURS : PAT_RESET),
           "a processor's write to its PAT %s", one ? "is seen by the other" : "is its own");
    there.write = PAT_RESET ^ 2;
    smp_run(1, pat_write, &there);
    pat_read(&here);
    detail("%q here, %q there", here.seen, there.seen);
    report(there.seen == (PAT_RESET ^ 2) && here.seen == (one ? PAT_RESET ^ 2 : PAT_OURS),
           "and so is the other's");
    struct space space;
    page_make(&space, *paging_modes());
    views_enter(views_all(), &space, 0);
    report(views_see(views_all(), (*paging_modes())->test_va, OLD, OLD), "pages are there all the same");
    views_leave(views_all());
    TRY("wrmsr", ::"c"(MSR_PAT), "a"(2), "d"(0) : "memory");
    pat_read(&here);
    report(trap_last.vector == VECTOR_PROTECTION && here.seen == (one ? PAT_RESET ^ 2 : PAT_OURS),
           "a type that there is not is refused, and changes nothing");
    here.write = there.write = PAT_RESET;
    smp_run(1, pat_write, &there);
    pat_write(&here);
    report(here.seen == PAT_RESET && there.seen == PAT_RESET, "once all agree, all have it");
}

/* --- INVD --- */

static void invalidate(void *argument)
{
    (void)argument;
    __asm__ volatile("invd" ::: "memory");
}

static void test_invd(void)
{
    volatile uint32_t *at = (volatile uint32_t *)FRAME(0);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 1024; i++) {
        at[i] = i ^ 0x5a5a5a5a;
    }
    invalidate(0);
    smp_run(1, invalidate, 0);
    for (unsigned i = 0; i < 1024; i++) {
        wrong += at[i] != (i ^ 0x5a5a5a5a);
    }
    report(wrong == 0, "INVD on any processor loses nothing that was written");
}

/* --- write protection of the hypervisor's own --- */

/*
 * A page table can be written where the guest's tables let it be, and not where they do not; a write that faults tells the
 * guest's reason, and no fault comes that the guest has no reason for.
 */
static void test_unseen(const struct paging *paging)
{
    struct space space;
    page_make(&space, paging);
    const uintptr_t va = paging->test_va, window = va + 8 * PAGE_BYTES;
    const uintptr_t at = space_entry(&space, va, 1), table = at & ~(PAGE_BYTES - 1);
    space_map(&space, window, 1, table | PTE_P | PTE_W);
    space_enter(&space, 0, false);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 40; i++) {
        const uintptr_t entry = window + (at & (PAGE_BYTES - 1));
        marker_read(va);
        TRY("mov %1, (%0)", ::"r"(entry), "r"((uintptr_t)(FRAME(i & 1) | PTE_P | PTE_W)) : "memory");
        wrong += trap_last.vector != TRAP_NONE;
        invlpg(va);
        wrong += marker_read(va) != (i & 1 ? NEW : OLD);
    }
    report(wrong == 0, "%s: a table in use is written without a fault", paging->name);
    space_map(&space, window, 1, table | PTE_P);
    invlpg(window);
    const struct outcome outcome = probe(window, writes);
    report(outcome.fault && outcome.vector == VECTOR_PAGE && outcome.error == (FAULT_P | FAULT_W) &&
               outcome.cr2 == window && !probe(window, reads).fault,
           "%s: one that the guest itself protects faults for the guest's reason", paging->name);
    space_leave();
}

/* --- processors that share tables, but not all of their mode --- */

struct
try {
    uintptr_t va;
    struct outcome outcome;
};

static void write_protected(void *argument)
{
    struct try *try = argument;
    try->outcome = probe(try->va, writes);
}

/* With CR0.WP clear a supervisor may write what is read-only. */
static void write_unprotected(void *argument)
{
    const uintptr_t cr0 = cr0_read();
    cr0_write(cr0 & ~CR0_WP);
    write_protected(argument);
    cr0_write(cr0);
}

static void test_modes(const struct paging *paging)
{
    struct space space;
    page_make(&space, paging);
    struct try try = { paging->test_va, { 0 } };
    space_map(&space, try.va, 1, FRAME(0) | PTE_P);
    views_enter(views_all(), &space, 0);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 10; i++) {
        write_protected(&try);
        wrong += !try.outcome.fault;
        smp_run(1, write_unprotected, &try);
        wrong += try.outcome.fault;
        smp_run(1, write_protected, &try);
        wrong += !try.outcome.fault;
        write_unprotected(&try);
        wrong += try.outcome.fault;
    }
    detail("%u wrong", wrong);
    report(wrong == 0, "%s: processors in one space have each its own CR0.WP", paging->name);
    views_leave(views_all());
}

/* One processor's access may fill what the other then uses; both see what the tables say. */
static void test_sharing(const struct paging *paging)
{
    struct space space;
    unsigned wrong = 0;
    page_make(&space, paging);
    views_enter(views_all(), &space, 0);
    for (unsigned i = 0; i < 64; i++) {
        const uintptr_t va = paging->test_va + i * PAGE_BYTES;
        space_map(&space, va, 1, FRAME(i & 1) | PTE_P | PTE_W);
        const unsigned first = i >> 1 & 1;
        wrong += view_of(first, va) != (i & 1 ? NEW : OLD) || view_of(!first, va) != (i & 1 ? NEW : OLD);
    }
    report(wrong == 0, "%s: what one processor has looked at, the other sees as well", paging->name);
    wrong = 0;
    for (unsigned i = 0; i < 64; i++) {
        const uintptr_t va = paging->test_va + i * PAGE_BYTES;
        const uintptr_t at = space_entry(&space, va, 1);
        entry_store(&space, at, entry_load(&space, at) & ~(PTE_A | PTE_D));
    }
    cr3_write(space.root);
    for (unsigned i = 0; i < 64; i++) {
        const uintptr_t va = paging->test_va + i * PAGE_BYTES;
        wrong += probe(va, writes).fault;
        wrong += (entry_load(&space, space_entry(&space, va, 1)) & (PTE_A | PTE_D)) != (PTE_A | PTE_D);
    }
    report(wrong == 0, "%s: and marks that were cleared are set again by the next access", paging->name);
    views_leave(views_all());
}

void guest_main(void)
{
    if (!calls_offered()) {
        report_skip_all("no hypervisor");
    }
    const struct smp_list list = smp_list_madt();
    if (!smp_start(&list, false) || smp_count() != 2) {
        bail_out("the other processor does not start");
    }
    calls_start();
    test_cd();
    test_pat();
    test_invd();
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        test_cr3(*mode);
        test_cr3_by_call(*mode);
        test_leaves(*mode);
        test_links(*mode);
        test_cd_paged(*mode);
        test_unseen(*mode);
        test_modes(*mode);
        test_sharing(*mode);
    }
#ifdef __x86_64__
    test_cr3_pcid();
#endif
    calls_stop();
    smp_stop();
}
