/*
 * partitions GEOMETRY: what a world switch between two partitions on one processor loses of their translations, in a model of
 * the processor's TLB, by how many pages each of them uses and by how its translations are tagged.
 *
 * Two partitions take turns, a slice each. In a slice a partition accesses pages of its own, some much more often than others;
 * between two slices the hypervisor accesses its own. Everything repeats exactly. The rules of invalidation are VT-x's, as
 * lib/x86/invalidate has them, both stages behind one translation.
 *
 * Prints a line for each number of pages and way to tag, averages of a switch.
 */
#include <stdio.h>
#include <stdlib.h>

#include <vmmu/invalidate.h>

#include "bench/vpid/replay.h"

#define PARTITIONS       2
#define WORLDS           (PARTITIONS + 1)
#define HYPERVISOR       PARTITIONS

/* Of each stay: in a slice of 5 ms a guest changes pages some thousand times. */
#define SLICE_ACCESSES   8192U
#define HYPERVISOR_PAGES 37U

#define SLICES           200U
#define WARM_SLICES      40U

#define PHYSICAL_BITS    52
#define PAGE_OF(world)   (UINT64_C(0x100000) * ((world) + 1U))

/* How partitions are told apart. */
enum tagging {
    UNTAGGED, /* no VPIDs: the TLB is empty after each entry and each exit */
    SHARED,   /* one VPID for whoever runs: flushed when that is another partition */
    TAGGED,   /* a VPID for each */
    TAGGINGS,
};

static const char *const tagging_names[TAGGINGS] = { "none", "shared", "own" };

struct counts {
    uint64_t switches;
    uint64_t alive; /* a partition's translations when it was left */
    uint64_t lost;  /* of those, gone when it came back */
    uint64_t walks; /* of partitions */
    uint64_t hypervisor_walks;
};

struct machine {
    enum tagging tagging;
    struct vmmu_tlb first;
    struct vmmu_tlb second;
    void *memory[2];
    struct vmmu_x86_tags guest;
    uint64_t alive[PARTITIONS]; /* when it was left */
    uint32_t random;
    struct counts counts;
};

static void refuse(const char *what)
{
    fprintf(stderr, "partitions: %s\n", what);
    exit(2);
}

static void *make_tlb(struct vmmu_tlb *tlb, const struct vmmu_tlb_config *config)
{
    const size_t bytes = vmmu_tlb_memory_bytes(config);
    void *const memory = bytes != 0 ? malloc(bytes) : NULL;

    if (memory == NULL || vmmu_tlb_init(tlb, config, memory, bytes) != VMMU_OK) {
        refuse("there is no memory for a TLB");
    }
    return memory;
}

static void invalidate(struct machine *machine, const struct vmmu_tlb_scopes *scopes)
{
    vmmu_tlb_invalidate(&machine->first, scopes);
    vmmu_tlb_invalidate(&machine->second, scopes);
}

/* --- accesses --- */

static struct vmmu_x86_cache_key key_of(const struct machine *machine, unsigned world)
{
    const struct vmmu_x86_tags host = { .vendor = VMMU_X86_INTEL };

    return vmmu_invalidate_linear_key(world == HYPERVISOR ? &host : &machine->guest, 0);
}

static void access_page(struct machine *machine, unsigned world, uint64_t page)
{
    const struct vmmu_x86_cache_key key = key_of(machine, world);
    const struct vmmu_tlb_entry entry = {
        .base = page << VMMU_PAGE_SHIFT,
        .tag = key.tag,
        .frame = page << VMMU_PAGE_SHIFT,
        .data = world,
        .kind = key.kind,
        .page_shift = VMMU_PAGE_SHIFT,
    };
    const struct vmmu_tlb_query query = { .address = entry.base, .tag = key.tag, .kind = key.kind };

    if (vmmu_tlb_lookup(&machine->first, &query) != NULL) {
        return;
    }
    if (vmmu_tlb_lookup(&machine->second, &query) == NULL) {
        *(world == HYPERVISOR ? &machine->counts.hypervisor_walks : &machine->counts.walks) += 1;
        (void)vmmu_tlb_insert(&machine->second, &entry);
    }
    (void)vmmu_tlb_insert(&machine->first, &entry);
}

static uint32_t draw(struct machine *machine, uint32_t below)
{
    machine->random = machine->random * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(machine->random >> 8) * below >> 24);
}

/* The lower a page's number, the more often it is used: six accesses in ten go to a quarter of the pages. */
static void run_slice(struct machine *machine, unsigned partition, uint32_t pages)
{
    for (unsigned i = 0; i < SLICE_ACCESSES; i++) {
        const uint32_t limit = 1 + draw(machine, pages);

        access_page(machine, partition, PAGE_OF(partition) + draw(machine, limit));
    }
}

static void run_hypervisor(struct machine *machine)
{
    for (unsigned i = 0; i < HYPERVISOR_PAGES; i++) {
        access_page(machine, HYPERVISOR, PAGE_OF(HYPERVISOR) + i);
    }
}

/* --- switches --- */

struct census {
    unsigned world;
    uint64_t count;
};

/* Condemns nobody. */
static bool count_one(void *context, const struct vmmu_tlb_entry *entry)
{
    struct census *const census = context;

    census->count += entry->data == census->world;
    return false;
}

static uint64_t count_alive(struct machine *machine, unsigned world)
{
    struct census census = { .world = world };

    (void)vmmu_tlb_remove_if(&machine->second, count_one, &census);
    return census.count;
}

static void cross(struct machine *machine)
{
    const struct vmmu_tlb_scopes scopes = vmmu_invalidate_vm_transition(&machine->guest);

    invalidate(machine, &scopes);
}

static void flush_tag(struct machine *machine, uint16_t tag)
{
    const struct vmmu_x86_cpu cpu = { .maxphyaddr = PHYSICAL_BITS, .long_mode = true };
    const struct vmmu_x86_invalidation operands = { .type = VMMU_X86_INVVPID_CONTEXT, .descriptor = { tag } };
    struct vmmu_tlb_scopes scopes;

    if (vmmu_invalidate_invvpid(&cpu, &operands, &scopes) != VMMU_OK) {
        refuse("INVVPID fails");
    }
    invalidate(machine, &scopes);
}

static void enter(struct machine *machine, unsigned partition)
{
    const bool tagged = machine->tagging != UNTAGGED;
    const uint16_t own = (uint16_t)(partition + 1);

    machine->guest = (struct vmmu_x86_tags){
        .vendor = VMMU_X86_INTEL,
        .tagged = tagged,
        .nested = true,
        .space = machine->tagging == TAGGED ? own : tagged,
        .stage2 = (uint64_t)own << VMMU_PAGE_SHIFT,
    };
    if (machine->tagging == SHARED) {
        flush_tag(machine, 1);
    }
    cross(machine);
}

/* A slice of @partition, between the hypervisor's work on entry and exit. @counted: it is not there to warm the TLB. */
static void take_turn(struct machine *machine, unsigned partition, uint32_t pages, bool counted)
{
    struct counts *const counts = &machine->counts;

    if (!counted) {
        *counts = (struct counts){ 0 };
    }
    run_hypervisor(machine);
    enter(machine, partition);
    counts->switches++;
    counts->alive += machine->alive[partition];
    counts->lost += machine->alive[partition] - count_alive(machine, partition);
    run_slice(machine, partition, pages);
    machine->alive[partition] = count_alive(machine, partition);
    cross(machine);
}

static void measure(const struct replay_geometry *geometry, enum tagging tagging, uint32_t pages)
{
    struct machine machine = { .tagging = tagging, .random = 1 };

    machine.memory[0] = make_tlb(&machine.first, &geometry->data);
    machine.memory[1] = make_tlb(&machine.second, &geometry->second);
    for (unsigned slice = 0; slice < WARM_SLICES + SLICES; slice++) {
        take_turn(&machine, slice % PARTITIONS, pages, slice >= WARM_SLICES);
    }
    const double switches = (double)machine.counts.switches;

    printf("%u %s %.1f %.1f %.1f %.1f\n", pages, tagging_names[tagging],
           (double)machine.counts.alive / switches, (double)machine.counts.lost / switches,
           (double)machine.counts.walks / switches, (double)machine.counts.hypervisor_walks / switches);
    free(machine.memory[0]);
    free(machine.memory[1]);
}

int main(int count, char **arguments)
{
    static const uint32_t pages[] = { 64, 256, 512, 1024, 2048, 4096 };
    const struct replay_geometry *const geometry = count == 2 ? replay_find_geometry(arguments[1]) : NULL;

    if (geometry == NULL) {
        refuse("usage: partitions skylake|haswell");
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        for (unsigned tagging = 0; tagging < TAGGINGS; tagging++) {
            measure(geometry, (enum tagging)tagging, pages[i]);
        }
    }
    return 0;
}
