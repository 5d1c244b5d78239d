/*
 * Frames of 4 KiB come from the bottom of memory, tables and pages as they are needed; larger ones from the top, aligned.
 *
 * Invariant: a frame that was given out is never given again, and memory that was not is all zeros.
 */
#include "tools/sim/guest.h"

#include <stdlib.h>
#include <vmmu/format.h>

#define ENTRY_BYTES      8
#define FIRST_FRAME      UINT64_C(0x100000)
#define KERNEL_HALF      BIT64(63)

/* The first of the kernel's half, and so entry 256 of a root. */
#define DIRECT_MAP_SLOT  256
#define DIRECT_MAP_LEVEL 3

struct space {
    uint64_t name;
    uint64_t root;
};

struct sim_guest {
    struct engine_memory *memory;
    const struct vmmu_ram *ram;
    struct sim_guest_options options;
    struct sim_guest_host host;
    const struct vmmu_x86_format *format;
    bool booted;
    uint64_t bottom; /* the next small frame */
    uint64_t top;    /* below it is free */
    uint64_t master; /* the kernel's own root: entries of its half are copied from it */
    struct space *spaces;
    unsigned space_count;
    unsigned space_last; /* the one asked for last */
    uint64_t table_pages;
    uint64_t mapped_bytes;
};

const struct vmmu_x86_cpu *sim_guest_cpu(void)
{
    static const struct vmmu_x86_cpu cpu = {
        .maxphyaddr = ENGINE_PHYSICAL_BITS,
        .pse = true,
        .pae = true,
        .pge = true,
        .nx = true,
        .long_mode = true,
        .gib_pages = true,
        .la57 = true,
        .pcid = true,
    };

    return &cpu;
}

bool sim_guest_is_kernel(uint64_t va)
{
    return (va & KERNEL_HALF) != 0;
}

/* --- what the kernel does to memory --- */

static uint64_t direct_map_of(const struct sim_guest *guest, uint64_t gpa)
{
    return (~UINT64_C(0) << (guest->options.levels == 5 ? 56 : 47)) + gpa;
}

static uint64_t load(const struct sim_guest *guest, uint64_t gpa)
{
    uint64_t value = 0;

    (void)guest->ram->load(guest->ram->context, gpa, ENTRY_BYTES, &value);
    return value;
}

static bool store(struct sim_guest *guest, uint64_t gpa, uint64_t value, struct complaint *complaint)
{
    if (guest->booted) {
        return guest->host.store(guest->host.context, direct_map_of(guest, gpa), gpa, value, complaint);
    }
    return engine_memory_store(guest->memory, gpa, ENTRY_BYTES, value) ||
           complain(complaint, "the guest has no memory at %#llx", (unsigned long long)gpa);
}

static bool clear(struct sim_guest *guest, uint64_t gpa, uint64_t size_bytes, struct complaint *complaint)
{
    for (uint64_t at = 0; guest->booted && at < size_bytes; at += VMMU_PAGE_BYTES) {
        if (!guest->host.clear(guest->host.context, direct_map_of(guest, gpa + at), complaint)) {
            return false;
        }
    }
    return true;
}

/* A cleared frame. */
static bool take_frame(struct sim_guest *guest, uint64_t size_bytes, uint64_t *gpa,
                       struct complaint *complaint)
{
    if (size_bytes == VMMU_PAGE_BYTES) {
        *gpa = guest->bottom;
        guest->bottom += size_bytes;
    } else {
        *gpa = (guest->top - size_bytes) & ~(size_bytes - 1);
        guest->top = *gpa;
    }
    if (guest->bottom > guest->top || guest->top > guest->options.memory_bytes) {
        return complain(complaint, "the trace touches more memory than the guest has, %llu GiB: see --memory",
                        (unsigned long long)(guest->options.memory_bytes / VMMU_1G_BYTES));
    }
    return clear(guest, *gpa, size_bytes, complaint);
}

static bool take_table(struct sim_guest *guest, uint64_t *gpa, struct complaint *complaint)
{
    guest->table_pages++;
    return take_frame(guest, VMMU_PAGE_BYTES, gpa, complaint);
}

static uint64_t entry_at(const struct sim_guest *guest, uint64_t table, unsigned level, uint64_t va)
{
    return table + (uint64_t)vmmu_format_index(&guest->format->level[level], va) * ENTRY_BYTES;
}

static bool is_present(const struct sim_guest *guest, uint64_t entry)
{
    return vmmu_format_is_present(guest->format, entry);
}

/* Where the entry at @at leads; a table is taken for it if it leads nowhere. */
static bool follow(struct sim_guest *guest, uint64_t at, unsigned level, uint64_t *table,
                   struct complaint *complaint)
{
    const struct vmmu_x86_level *const record = &guest->format->level[level];
    const uint64_t entry = load(guest, at);

    if (is_present(guest, entry)) {
        *table = vmmu_format_table(record, entry);
        return !vmmu_format_is_leaf(record, entry) ||
               complain(complaint, "the guest's tables lead to a page where a table is wanted");
    }
    return take_table(guest, table, complaint) &&
           store(guest, at, vmmu_format_link(guest->format, record, *table) | record->accessed, complaint);
}

/* --- booting --- */

static bool make_direct_map(struct sim_guest *guest, struct complaint *complaint)
{
    const struct vmmu_x86_level *const record = &guest->format->level[DIRECT_MAP_LEVEL];
    const uint64_t va = direct_map_of(guest, 0);
    uint64_t table = guest->master;

    for (unsigned level = guest->options.levels; level > DIRECT_MAP_LEVEL; level--) {
        if (!follow(guest, entry_at(guest, table, level, va), level, &table, complaint)) {
            return false;
        }
    }
    for (uint64_t gpa = 0; gpa < guest->options.memory_bytes; gpa += VMMU_1G_BYTES) {
        const uint64_t leaf =
            vmmu_format_leaf(guest->format, record, gpa, VMMU_X86_RIGHTS_ALL & (uint8_t)~VMMU_X86_RIGHT_USER);

        if (!store(guest, table + gpa / VMMU_1G_BYTES * ENTRY_BYTES,
                   leaf | record->accessed | record->dirty | guest->format->global, complaint)) {
            return false;
        }
    }
    return true;
}

static bool boot(struct sim_guest *guest, struct complaint *complaint)
{
    unsigned first;

    if (!take_table(guest, &guest->master, complaint) || !make_direct_map(guest, complaint) ||
        !sim_guest_space(guest, 0, &first, complaint)) {
        return false;
    }
    guest->booted = guest->host.store != NULL;
    return true;
}

struct sim_guest *sim_guest_open(struct engine_memory *memory, const struct sim_guest_options *options,
                                 const struct sim_guest_host *host, struct complaint *complaint)
{
    struct sim_guest *guest = take_memory(1, sizeof *guest);

    guest->memory = memory;
    guest->ram = engine_memory_ram(memory);
    guest->options = *options;
    guest->host = *host;
    guest->format = &vmmu_x86_formats[options->levels == 5 ? VMMU_X86_FORMAT_5LEVEL : VMMU_X86_FORMAT_4LEVEL];
    guest->bottom = FIRST_FRAME;
    guest->top = options->memory_bytes;
    guest->spaces = take_memory(SIM_SPACES_MOST, sizeof *guest->spaces);
    if (!boot(guest, complaint)) {
        sim_guest_close(guest);
        return NULL;
    }
    return guest;
}

void sim_guest_close(struct sim_guest *guest)
{
    if (guest) {
        free(guest->spaces);
        free(guest);
    }
}

/* --- address spaces --- */

/* A root with all that the kernel has in its own by now. */
static bool make_space(struct sim_guest *guest, uint64_t name, struct complaint *complaint)
{
    struct space *const space = &guest->spaces[guest->space_count];
    const unsigned entries = vmmu_format_entries(&guest->format->level[guest->options.levels]);

    space->name = name;
    if (!take_table(guest, &space->root, complaint)) {
        return false;
    }
    for (unsigned i = DIRECT_MAP_SLOT; i < entries; i++) {
        const uint64_t entry = load(guest, guest->master + (uint64_t)i * ENTRY_BYTES);

        if (is_present(guest, entry) &&
            !store(guest, space->root + (uint64_t)i * ENTRY_BYTES, entry, complaint)) {
            return false;
        }
    }
    guest->space_count++;
    return true;
}

bool sim_guest_space(struct sim_guest *guest, uint64_t name, unsigned *number, struct complaint *complaint)
{
    unsigned i = guest->space_last;

    if (i >= guest->space_count || guest->spaces[i].name != name) {
        for (i = 0; i < guest->space_count && guest->spaces[i].name != name; i++) {
        }
    }
    if (i == guest->space_count) {
        if (i == SIM_SPACES_MOST) {
            return complain(complaint, "the trace has more than %u address spaces", SIM_SPACES_MOST);
        }
        if (!make_space(guest, name, complaint)) {
            return false;
        }
    }
    guest->space_last = i;
    *number = i;
    return true;
}

struct vmmu_x86_paging_registers sim_guest_registers(const struct sim_guest *guest, unsigned number)
{
    const uint64_t pcid = guest->options.pcids ? 1 + (uint64_t)number : 0;

    return (struct vmmu_x86_paging_registers){
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_ET | VMMU_X86_CR0_WP | VMMU_X86_CR0_PG,
        .cr3 = guest->spaces[number].root | pcid,
        .cr4 = VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE | (guest->options.levels == 5 ? VMMU_X86_CR4_LA57 : 0) |
               (guest->options.pcids ? VMMU_X86_CR4_PCIDE : 0),
        .efer = VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE,
    };
}

/* --- page faults --- */

/*
 * The table below the root for @va. Those of the kernel's half hang in its own root, and a root that was made before lacks
 * them.
 */
static bool follow_root(struct sim_guest *guest, uint64_t root, uint64_t va, uint64_t *table,
                        struct complaint *complaint)
{
    const unsigned level = guest->options.levels;
    const uint64_t at = entry_at(guest, root, level, va);
    const uint64_t masters = entry_at(guest, guest->master, level, va);

    if (!sim_guest_is_kernel(va)) {
        return follow(guest, at, level, table, complaint);
    }
    return follow(guest, masters, level, table, complaint) &&
           (is_present(guest, load(guest, at)) || store(guest, at, load(guest, masters), complaint));
}

static bool map_page(struct sim_guest *guest, uint64_t at, uint64_t va, bool write,
                     struct complaint *complaint)
{
    const struct vmmu_x86_level *const record = &guest->format->level[guest->options.leaf_level];
    const bool kernel = sim_guest_is_kernel(va);
    const uint64_t bytes = vmmu_format_level_bytes(record);
    uint64_t frame;

    if (is_present(guest, load(guest, at))) {
        return true;
    }
    guest->mapped_bytes += bytes;
    return take_frame(guest, bytes, &frame, complaint) &&
           store(guest, at,
                 vmmu_format_leaf(guest->format, record, frame,
                                  kernel ? VMMU_X86_RIGHTS_ALL & (uint8_t)~VMMU_X86_RIGHT_USER
                                         : VMMU_X86_RIGHTS_ALL) |
                     record->accessed | (write ? record->dirty : 0) | (kernel ? guest->format->global : 0),
                 complaint);
}

bool sim_guest_fault(struct sim_guest *guest, unsigned number, uint64_t va, bool write,
                     struct complaint *complaint)
{
    uint64_t table;

    if (!follow_root(guest, guest->spaces[number].root, va, &table, complaint)) {
        return false;
    }
    for (unsigned level = guest->options.levels - 1; level > guest->options.leaf_level; level--) {
        if (!follow(guest, entry_at(guest, table, level, va), level, &table, complaint)) {
            return false;
        }
    }
    return map_page(guest, entry_at(guest, table, guest->options.leaf_level, va), va, write, complaint);
}

uint64_t sim_guest_table_pages(const struct sim_guest *guest)
{
    return guest->table_pages;
}

uint64_t sim_guest_mapped_bytes(const struct sim_guest *guest)
{
    return guest->mapped_bytes;
}
