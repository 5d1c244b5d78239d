/*
 * The page tables that a guest has: a walk from the root that its processor has loaded, which finds every table of the
 * kernel's, and of one process.
 *
 * Linux tells the tables of a process by itself (VmPTE in /proc), but not its kernel's; and from outside one cannot tell the
 * tables of a process that does not run from pages that were tables of one that is gone. So bench/benchlib/memory.py takes
 * the kernel's from here and the processes' from there; of the process that runs both tell, and must tell the same.
 */
#include "guest_tables.h"

#include <stdlib.h>
#include <string.h>

#include "hv/x86/svm/svm.h"

#define ENTRY_PRESENT 1u
#define ENTRY_LARGE   0x80u
#define FRAME_MASK    UINT64_C(0x000FFFFFFFFFF000)
#define LEVELS_MOST   5
#define ENTRIES_MOST  1024

struct paging {
    unsigned levels;
    unsigned entry_bytes;
    unsigned entries;
    unsigned root_entries;
    unsigned kernel_from; /* of the root's entries: where Linux's own half begins */
    uint64_t root_mask;
};

static const struct paging paging_32bit = { 2, 4, 1024, 1024, 768, 0xFFFFF000 };
static const struct paging paging_pae = { 3, 8, 512, 4, 3, 0xFFFFFFE0 };
static const struct paging paging_4level = { 4, 8, 512, 512, 256, FRAME_MASK };
static const struct paging paging_5level = { 5, 8, 512, 512, 256, FRAME_MASK };

struct walk {
    const struct paging *paging;
    const struct guest_memory *memory;
    guest_pointer at;
    uint8_t *seen; /* a byte for each guest frame */
    uint64_t frames;
};

static const struct paging *paging_of(const struct svm_vp *svm)
{
    if (!(svm->cr4 & VMMU_X86_CR4_PAE)) {
        return &paging_32bit;
    }
    if (!(svm->efer & VMMU_X86_EFER_LMA)) {
        return &paging_pae;
    }
    return svm->cr4 & VMMU_X86_CR4_LA57 ? &paging_5level : &paging_4level;
}

/* Entry @index of the table at @table; not present where no memory is. */
static uint64_t entry_of(const struct walk *walk, uint64_t table, unsigned index)
{
    const unsigned bytes = walk->paging->entry_bytes;
    const uint64_t gpa = table + (uint64_t)index * bytes;
    uint64_t entry = 0;

    for (unsigned i = 0; i < walk->memory->count; i++) {
        const struct guest_slot *slot = &walk->memory->slot[i];

        if (gpa - slot->gpa.v < slot->size) {
            const void *from = walk->at(slot->host + (gpa - slot->gpa.v), bytes);

            if (from) {
                memcpy(&entry, from, bytes);
            }
        }
    }
    return entry;
}

/* How many tables hang at [from, to) of the root, the root aside. */
static uint64_t count_below(struct walk *walk, uint64_t root, unsigned from, unsigned to)
{
    uint64_t waiting[LEVELS_MOST * ENTRIES_MOST][2]; /* table, level */
    size_t count = 0;
    uint64_t found = 0;

    for (unsigned i = from; i < to; i++) {
        const uint64_t entry = entry_of(walk, root, i);

        if (entry & ENTRY_PRESENT && !(walk->paging->levels == 2 && entry & ENTRY_LARGE)) {
            waiting[count][0] = entry & FRAME_MASK;
            waiting[count++][1] = walk->paging->levels - 1;
        }
    }
    while (count > 0) {
        const uint64_t table = waiting[--count][0];
        const uint64_t level = waiting[count][1];

        if (table / VMMU_PAGE_BYTES >= walk->frames || walk->seen[table / VMMU_PAGE_BYTES]++) {
            continue;
        }
        found++;
        for (unsigned i = 0; level > 1 && i < walk->paging->entries; i++) {
            const uint64_t entry = entry_of(walk, table, i);

            if (entry & ENTRY_PRESENT && !(entry & ENTRY_LARGE)) {
                waiting[count][0] = entry & FRAME_MASK;
                waiting[count++][1] = level - 1;
            }
        }
    }
    return found;
}

void guest_tables_print(FILE *out, const struct partition *partition, const struct vp_arch *arch,
                        guest_pointer at)
{
    const struct svm_vp *svm = at(arch->svm, sizeof *svm);
    struct walk walk = { .memory = &partition->memory, .at = at };
    uint64_t root, user, kernel;

    if (!svm || !svm->own_tables) {
        return;
    }
    walk.paging = paging_of(svm);
    for (unsigned i = 0; i < walk.memory->count; i++) {
        walk.frames += walk.memory->slot[i].size / VMMU_PAGE_BYTES;
    }
    walk.seen = walk.frames ? calloc(1, walk.frames) : NULL;
    if (!walk.seen) {
        return;
    }
    root = svm->cr3 & walk.paging->root_mask;
    kernel = count_below(&walk, root, walk.paging->kernel_from, walk.paging->root_entries);
    user = count_below(&walk, root, 0, walk.paging->kernel_from);
    fprintf(out, "tables kernel=%lu user=%lu root_bytes=%u\n", kernel, user,
            walk.paging->root_entries * walk.paging->entry_bytes);
    free(walk.seen);
}
