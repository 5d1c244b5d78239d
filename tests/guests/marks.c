/*
 * Accessed and dirty bits: set exactly where and when SDM 3A "Accessed and Dirty Flags" says.
 *
 * Guest: also la57
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define LEVELS_MOST 5

static const struct access reads = { ACCESS_READ, false, false };
static const struct access writes = { ACCESS_WRITE, false, false };
static const struct access fetches = { ACCESS_FETCH, false, false };
static const struct access user_writes = { ACCESS_WRITE, true, false };

/* A page mapped for the test, with every mark clear, in the space that is loaded. */
struct path {
    struct space space;
    uintptr_t va;
    unsigned leaf_level;
    uintptr_t at[LEVELS_MOST + 1]; /* where the entry of each level stands */
};

static unsigned top_level(const struct path *path)
{
    return path->space.paging->levels;
}

/* PAE's PDPTEs have no marks. */
static bool level_has_marks(const struct path *path, unsigned level)
{
    return path->space.paging->long_mode || level < 3;
}

static void path_clear(struct path *path)
{
    for (unsigned level = top_level(path); level >= path->leaf_level; level--) {
        const uint64_t entry = entry_load(&path->space, path->at[level]);
        if (level_has_marks(path, level)) {
            entry_store(&path->space, path->at[level],
                        entry & ~(PTE_A | (level == path->leaf_level ? PTE_D : 0)));
        }
    }
    invlpg(path->va);
}

/*
 * A leaf at @level with @rights beyond P; the frame suits any size below 1 GiB, whose
 * page maps memory from 0.
 */
static void path_make(struct path *path, const struct paging *paging, unsigned level, uint64_t rights)
{
    tables_reset();
    space_make(&path->space, paging);
    path->leaf_level = level;
    path->va = paging->test_va + (level == 3 ? FRAME(0) : 0);
    space_map(&path->space, path->va, level, (level == 3 ? 0 : FRAME(0)) | PTE_P | rights);
    for (unsigned at = paging->levels; at >= level; at--) {
        path->at[at] = space_entry(&path->space, path->va, at);
    }
    frame_mark(FRAME(0), 1);
    space_enter(&path->space, 0, false);
    path_clear(path);
}

/*
 * The level of the first entry whose marks are not: A everywhere, D in the leaf as
 * @dirty. 0 if all are right.
 */
static unsigned wrong_level(const struct path *path, bool dirty)
{
    for (unsigned level = top_level(path); level >= path->leaf_level; level--) {
        const uint64_t entry = entry_load(&path->space, path->at[level]);
        const bool leaf = level == path->leaf_level;
        const uint64_t expected = PTE_A | (leaf && dirty ? PTE_D : 0);
        if (level_has_marks(path, level) && (entry & (PTE_A | (leaf ? PTE_D : 0))) != expected) {
            detail("level %u reads %q", level, entry);
            return level;
        }
    }
    return 0;
}

static uint64_t leaf(const struct path *path)
{
    return entry_load(&path->space, path->at[path->leaf_level]);
}

static void test_success(const struct paging *paging, unsigned level)
{
    struct path path;
    path_make(&path, paging, level, PTE_W);
    probe(path.va, reads);
    report(wrong_level(&path, false) == 0, "%s, leaf at level %u: a read sets A at every level and D nowhere",
           paging->name, level);
    probe(path.va, writes);
    report(wrong_level(&path, true) == 0,
           "%s, leaf at level %u: a write after a read sets D in the leaf alone", paging->name, level);
    path_clear(&path);
    probe(path.va, fetches);
    report(wrong_level(&path, false) == 0,
           "%s, leaf at level %u: a fetch sets A at every level and D nowhere", paging->name, level);
    path_clear(&path);
    probe(path.va, writes);
    report(wrong_level(&path, true) == 0, "%s, leaf at level %u: a first write sets A and D", paging->name,
           level);
    path_clear(&path);
    probe(path.va, reads);
    report(wrong_level(&path, false) == 0, "%s, leaf at level %u: marks cleared, with INVLPG, are set anew",
           paging->name, level);
    space_leave();
}

static void test_faults(const struct paging *paging, unsigned level)
{
    struct path path;
    path_make(&path, paging, level, 0);
    probe(path.va, writes);
    report((leaf(&path) & PTE_D) == 0, "%s, leaf at level %u: a write refused by the leaf does not set D",
           paging->name, level);
    path_clear(&path);
    probe(path.va, user_writes);
    report((leaf(&path) & PTE_D) == 0,
           "%s, leaf at level %u: a user write to a supervisor page does not set D", paging->name, level);
    cr0_write(cr0_read() & ~CR0_WP);
    path_clear(&path);
    probe(path.va, writes);
    report(wrong_level(&path, true) == 0,
           "%s, leaf at level %u: a supervisor write to a read-only page, WP 0, sets D", paging->name, level);
    cr0_write(cr0_read() | CR0_WP);

    const uint64_t absent = leaf(&path) & ~(PTE_P | PTE_A | PTE_D);
    entry_store(&path.space, path.at[level], absent);
    invlpg(path.va);
    probe(path.va, reads);
    probe(path.va, writes);
    detail("%q became %q", absent, leaf(&path));
    report(leaf(&path) == absent, "%s, leaf at level %u: an entry that is not present is never changed",
           paging->name, level);
    space_leave();
}

/*
 * PDPTEs have no marks. The emulated processor sets A there all the same: docs/caveats.md, "The emulators".
 */
static void test_pdpte(void)
{
    struct path path;
    path_make(&path, &paging_pae, 1, PTE_W);
    const uint64_t before = entry_load(&path.space, path.at[3]);
    probe(path.va, writes);
    const uint64_t after = entry_load(&path.space, path.at[3]);
    report((before ^ after) == 0 || (before ^ after) == PTE_A, "PAE: an access changes no right of a PDPTE");
    if (before != after) {
        comment("the processor marked a PDPTE: %q became %q", before, after);
    }
    space_leave();
}

/* The bits that belong to software, and the marks of other entries of the same table. */
static void test_neighbours(const struct paging *paging)
{
    struct path path;
    path_make(&path, paging, 1, PTE_W | 0xe00);
    const uintptr_t next = space_entry(&path.space, path.va + PAGE_BYTES, 1);
    entry_store(&path.space, next, FRAME(1) | PTE_P | PTE_W);
    const uint64_t before = entry_load(&path.space, next);
    probe(path.va, writes);
    report((leaf(&path) & 0xe00) == 0xe00, "%s: marking keeps the bits that are the software's own",
           paging->name);
    detail("%q became %q", before, entry_load(&path.space, next));
    report(entry_load(&path.space, next) == before, "%s: marking one entry leaves its neighbour",
           paging->name);
    space_leave();
}

/* A locked access to the page itself, and one that only might write. */
static void test_other_writes(const struct paging *paging)
{
    struct path path;
    path_make(&path, paging, 1, PTE_W);
    TRY("lock addb $0, (%0)", ::"r"(path.va) : "memory");
    report(wrong_level(&path, true) == 0, "%s: a locked read-modify-write sets D", paging->name);
    path_clear(&path);
    TRY("cmpxchgb %%cl, (%0)", ::"r"(path.va), "a"(0x77), "c"(0x11) : "memory", "cc");
    report(wrong_level(&path, true) == 0, "%s: a CMPXCHG that does not match writes all the same, and sets D",
           paging->name);
    space_leave();
}

/* Implicit accesses: the descriptor tables, by an instruction of user mode. */
extern const uint8_t user_load_segment[];
extern const uint64_t gdt[];

#define GDT_ENTRIES (CODE32 / 8 + 1)

struct table_pointer {
    uint16_t limit;
    uintptr_t base;
} __attribute__((packed));

/*
 * A GDT that ends with one more descriptor, the only one on its second page; the rest is
 * needed to deliver a fault.
 */
static struct table_pointer gdt_across_pages(uintptr_t va)
{
    volatile uint64_t *at = (volatile uint64_t *)(FRAME(1) - sizeof(uint64_t) * GDT_ENTRIES);
    for (unsigned i = 0; i < GDT_ENTRIES; i++) {
        at[i] = gdt[i];
    }
    at[GDT_ENTRIES] = gdt[USER_DATA / 8];
    return (struct table_pointer){ 8 * (GDT_ENTRIES + 1) - 1,
                                   va + PAGE_BYTES - sizeof(uint64_t) * GDT_ENTRIES };
}

static void test_implicit(const struct paging *paging)
{
    struct path path;
    path_make(&path, paging, 1, PTE_W);
    space_map(&path.space, path.va + PAGE_BYTES, 1, FRAME(1) | PTE_P | PTE_W);
    const uintptr_t second = space_entry(&path.space, path.va + PAGE_BYTES, 1);
    const struct table_pointer pointer = gdt_across_pages(path.va);
    struct table_pointer old;
    __asm__ volatile("sgdt %0" : "=m"(old)::"memory");
    __asm__ volatile("lgdt %0" ::"m"(pointer) : "memory");

    user_run(user_address(user_load_segment), 0, 8 * GDT_ENTRIES + 3);
    detail("vector %x error %p", (unsigned)trap_last.vector, trap_last.error);
    const bool loaded = trap_last.vector == VECTOR_DONE;
    const uint64_t marked = entry_load(&path.space, second);

    entry_store(&path.space, second, FRAME(1) | PTE_W);
    invlpg(path.va + PAGE_BYTES);
    user_run(user_address(user_load_segment), 0, 8 * GDT_ENTRIES + 3);
    __asm__ volatile("lgdt %0" ::"m"(old) : "memory");

    report(loaded, "%s: user code loads a segment from a table in a supervisor page", paging->name);
    report((marked & PTE_A) != 0, "%s: a descriptor-table access sets A", paging->name);
    detail("vector %x error %p cr2 %p", (unsigned)trap_last.vector, trap_last.error, trap_last.cr2);
    report(trap_last.vector == VECTOR_PAGE && trap_last.error == 0 && trap_last.cr2 == path.va + PAGE_BYTES,
           "%s: an implicit access from user mode faults as a supervisor's, U 0", paging->name);
    space_leave();
}

void guest_main(void)
{
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        for (unsigned level = 1; level_has_leaves(*mode, level); level++) {
            test_success(*mode, level);
            test_faults(*mode, level);
        }
        if (*mode == &paging_pae) {
            test_pdpte();
        }
        test_neighbours(*mode);
        test_other_writes(*mode);
        test_implicit(*mode);
    }
}
