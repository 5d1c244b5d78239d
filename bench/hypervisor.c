/*
 * The emulated machine's memory is a memfd (bench/benchlib/machines.py says so), mapped into the emulator and so into this
 * plugin. The hypervisor's own headers tell what lies in it.
 */
#include "hypervisor.h"

#include <stdlib.h>
#include <string.h>

#include "guest_tables.h"
#include "hv/mmu/x86_state.h"
#include "hv/vp/vp.h"
#include "hv/x86/layout.h"
#include "hv/x86/svm/svm.h"
#include "hv/x86/vp/x86.h"

#define MEMORY_NAME "memory-backend-memfd"
#define COUNTERS    (sizeof(struct vmmu_shadow_counters) / sizeof(uint64_t))
#define REASONS     4096 /* a power of two; many more than there are */

_Static_assert(HYPERVISOR_WINDOW == LAYOUT_WINDOW, "the window is where the hypervisor's layout has it");
_Static_assert(COUNTERS < 64, "a bit for each counter");

/* Exits that are alike: by kind, the hardware's code, a page fault's error code, and what was counted on the way. */
struct reason {
    uint32_t kind;
    uint64_t code;
    uint64_t error;
    uint64_t counted; /* one bit for each member of struct vmmu_shadow_counters that went up */
    uint64_t exits;
    uint64_t instructions;
};

static const uint8_t *memory;
static uint64_t memory_bytes;
static const struct vp *vp;
static const struct mmu_x86 *mmu;
static uint32_t seen; /* exits, of vp->trace_next */
static uint64_t before[COUNTERS];
static struct reason reasons[REASONS];

/* Shadow pages at their peak, but for those that split a large page of the guest's; and of those. */
static uint64_t peak_pages, peak_split_pages;

bool hypervisor_attach(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];

    while (maps && !memory && fgets(line, sizeof line, maps)) {
        unsigned long from, to;

        if (strstr(line, MEMORY_NAME) && sscanf(line, "%lx-%lx", &from, &to) == 2) {
            memory = (const uint8_t *)from; /* NOLINT(performance-no-int-to-ptr) */
            memory_bytes = to - from;
        }
    }
    if (maps) {
        fclose(maps);
    }
    if (!memory) {
        fprintf(stderr, "count: the machine's memory is no memfd\n");
    }
    return memory;
}

const void *hypervisor_memory(uint64_t physical, size_t bytes)
{
    return physical < memory_bytes && bytes <= memory_bytes - physical ? memory + physical : NULL;
}

/* What the hypervisor's pointer @address points to, or NULL if it points to no memory. */
static const void *at(uint64_t address, size_t bytes)
{
    return hypervisor_memory(address - LAYOUT_DIRECT_MAP, bytes);
}

static const void *follow(const void *pointer, size_t bytes)
{
    return at((uint64_t)(uintptr_t)pointer, bytes);
}

/* A virtual processor has pages of its own, and points to a partition that points back. */
static bool find_vp(void)
{
    for (uint64_t page = 0; page + sizeof *vp <= memory_bytes; page += VMMU_PAGE_BYTES) {
        const struct vp *candidate = (const struct vp *)(memory + page);
        const struct partition *partition = follow(candidate->partition, sizeof *partition);

        if (partition && (uintptr_t)partition % VMMU_PAGE_BYTES == 0 && partition->vp_count >= 1 &&
            (uint64_t)(uintptr_t)partition->vps[0] == LAYOUT_DIRECT_MAP + page) {
            mmu = follow(partition->mmu, sizeof *mmu);
            vp = mmu ? candidate : NULL;
            return vp;
        }
    }
    return false;
}

bool hypervisor_switch(struct world_switch *out)
{
    const struct vp_arch *arch;
    const struct svm_vp *svm;

    if (!vp && !find_vp()) {
        return false;
    }
    arch = follow(vp->arch, sizeof *arch);
    svm = arch ? follow(arch->svm, sizeof *svm) : NULL;
    out->vmcb = svm ? follow(svm->vmcb, sizeof *svm->vmcb) : NULL;
    out->flushes = vp->counters.tlb_flushes;
    out->tagged_roots = svm && svm->tagged_roots;
    return out->vmcb;
}

static struct reason *reason_of(const struct reason *key)
{
    uint64_t hash = key->kind * UINT64_C(0x9E3779B97F4A7C15) + key->code * UINT64_C(0xC2B2AE3D27D4EB4F) +
                    key->error * UINT64_C(0x165667B19E3779F9) + key->counted * UINT64_C(0xD6E8FEB86659FD93);

    for (hash >>= 32;; hash++) {
        struct reason *reason = &reasons[hash % REASONS];

        if (!reason->exits) {
            *reason = *key;
            return reason;
        }
        if (reason->kind == key->kind && reason->code == key->code && reason->error == key->error &&
            reason->counted == key->counted) {
            return reason;
        }
    }
}

static void read_counters(uint64_t *now)
{
    memcpy(now, &mmu->shadow.counters, sizeof mmu->shadow.counters);
}

static void note_peaks(void)
{
    const struct vmmu_shadow_counters *counters = &mmu->shadow.counters;
    const uint64_t pages = counters->pages - counters->split_pages;

    peak_pages = pages > peak_pages ? pages : peak_pages;
    peak_split_pages = counters->split_pages > peak_split_pages ? counters->split_pages : peak_split_pages;
}

static uint64_t counted_since(const uint64_t *now)
{
    uint64_t counted = 0;

    for (size_t i = 0; i < COUNTERS; i++) {
        counted |= (uint64_t)(now[i] > before[i]) << i;
    }
    return counted;
}

static void print_exit(FILE *out, const struct vp_trace_entry *exit, const struct entry_counts *counts,
                       const uint64_t *now)
{
    fprintf(
        out, "exit %u kind=%u code=%lx info1=%lx info2=%lx ip=%lx hv=%lu guest=%lu counters=", exit->sequence,
        exit->kind, exit->raw[0], exit->raw[1], exit->raw[2], exit->ip, counts->hypervisor, counts->guest);
    for (size_t i = 0; i < COUNTERS; i++) {
        fprintf(out, "%s%ld", i ? "," : "", (long)(now[i] - before[i]));
    }
    fputc('\n', out);
}

void hypervisor_entry(FILE *out, const struct entry_counts *counts, bool trace)
{
    uint64_t now[COUNTERS];
    const struct vp_trace_entry *exit;
    struct reason *reason;

    if (!vp && !find_vp()) {
        return;
    }
    read_counters(now);
    note_peaks();
    if (vp->trace_next != seen) {
        exit = &vp->trace[(vp->trace_next - 1) % VP_TRACE_ENTRIES];
        reason = reason_of(&(struct reason){ .kind = exit->kind,
                                             .code = exit->raw[0],
                                             .error = exit->kind == EXIT_X86_PAGE_FAULT ? exit->raw[1] : 0,
                                             .counted = counted_since(now) });
        reason->exits++;
        reason->instructions += counts->hypervisor;
        if (trace) {
            print_exit(out, exit, counts, now);
        }
    }
    seen = vp->trace_next;
    memcpy(before, now, sizeof before);
}

void hypervisor_print(FILE *out)
{
    if (!vp) {
        return;
    }
    for (size_t i = 0; i < REASONS; i++) {
        const struct reason *reason = &reasons[i];

        if (reason->exits) {
            fprintf(out, "exits kind=%u code=%lx error=%lx counted=%lx exits=%lu instructions=%lu\n",
                    reason->kind, reason->code, reason->error, reason->counted, reason->exits,
                    reason->instructions);
        }
    }
    fprintf(out, "counters ");
    for (size_t i = 0; i < COUNTERS; i++) {
        fprintf(out, "%s%lu", i ? "," : "", before[i]);
    }
    fprintf(out, "\npeak pages=%lu split=%lu\n", peak_pages, peak_split_pages);
}

void hypervisor_print_tables(FILE *out)
{
    const struct partition *partition = vp ? follow(vp->partition, sizeof *partition) : NULL;
    const struct vp_arch *arch = vp ? follow(vp->arch, sizeof *arch) : NULL;

    if (partition && arch) {
        guest_tables_print(out, partition, arch, follow);
    }
}
