#include "tools/maps/roots.h"

#include <stdlib.h>
#include <string.h>

#include "tools/ui/progress.h"

/* Entries of each half that are read to make sure of one root. */
#define LOOK_BUDGET        UINT64_C(20000)

/* About as many are read to compare one with the machine's own. */
#define COMPARISON_ENTRIES 1024

/* What roots of this machine look like. */
struct search {
    const struct machine *machine;
    struct space space; /* of the root that is looked at */
    const struct vmmu_x86_format *format;
    const struct vmmu_x86_level *level; /* of the root */
    unsigned entries;
    unsigned root_bytes;
    bool any;           /* roots that have nothing of the machine's own, too */
    const uint8_t *own; /* the root that the machine uses, or NULL */
    uint8_t own_bytes[VMMU_PAGE_BYTES];
    uint64_t budget; /* entries that may still be read */
    struct roots *roots;
    struct progress progress;
};

static uint64_t entry_of(const struct search *search, const uint8_t *root, unsigned index)
{
    uint64_t entry = 0;

    /* x86 in memory and here: little-endian. */
    if (search->format->entry_bytes == 8) {
        memcpy(&entry, root + (size_t)index * 8, 8);
    } else {
        memcpy(&entry, root + (size_t)index * 4, 4);
    }
    /* Some emulators mark PDPTEs of PAE accessed, whose bit is reserved; the bit was not there when they were loaded. */
    return search->level->accessed ? entry : entry & ~search->format->level[1].accessed;
}

static bool is_in_memory(const struct machine *machine, uint64_t table)
{
    return image_ranges_find(machine->ranges, machine->range_count, table) != NULL;
}

/* Whether an entry may stand in a root: zero, or present and leading somewhere. */
static bool is_sound(const struct search *search, uint64_t entry)
{
    const struct vmmu_x86_layout *layout = &search->space.mode.layout;
    const unsigned number = search->format->levels;
    const bool leaf = vmmu_format_is_leaf(search->level, entry);

    if (entry == 0) {
        return true;
    }
    if (!vmmu_format_is_present(search->format, entry) ||
        vmmu_format_is_refused(layout, number, leaf, entry)) {
        return false;
    }
    const uint64_t table = vmmu_format_table(search->level, entry);

    return leaf || (table != 0 && is_in_memory(search->machine, table));
}

/* Count the entries of [from, to); false at the first that cannot be one of a root. */
static bool count_entries(const struct search *search, const uint8_t *root, unsigned from, unsigned to,
                          unsigned *count)
{
    for (unsigned index = from; index < to; index++) {
        const uint64_t entry = entry_of(search, root, index);

        if (!is_sound(search, entry)) {
            return false;
        }
        *count += entry != 0;
    }
    return true;
}

/* Entries of two tables in memory, of the level below the root, that are the same. */
static unsigned count_same_below(const struct search *search, uint64_t one, uint64_t other)
{
    const struct vmmu_x86_level *level = search->level - 1;
    const struct vmmu_ram *ram = search->machine->ram;
    unsigned same = 0;

    for (uint64_t offset = 0; offset < VMMU_PAGE_BYTES; offset += search->format->entry_bytes) {
        uint64_t a;
        uint64_t b;

        same += ram->load(ram->context, one + offset, search->format->entry_bytes, &a) == VMMU_OK &&
                ram->load(ram->context, other + offset, search->format->entry_bytes, &b) == VMMU_OK &&
                a != 0 && ((a ^ b) & ~(level->accessed | level->dirty)) == 0;
    }
    return same;
}

/* Upper entries that the machine's own root has, too. With PAE two roots may have copies of the tables below. */
static unsigned count_shared(const struct search *search, const uint8_t *root)
{
    const bool pae = search->space.mode.paging == VMMU_X86_PAGING_PAE;
    const uint64_t marks = search->level->accessed | search->level->dirty;
    unsigned shared = 0;

    for (unsigned index = search->entries / 2; search->own && index < search->entries; index++) {
        const uint64_t entry = entry_of(search, root, index);
        const uint64_t own = entry_of(search, search->own, index);

        if (pae && entry != 0 && own != 0) {
            shared += count_same_below(search, vmmu_format_table(search->level, entry),
                                       vmmu_format_table(search->level, own));
        } else {
            shared += entry != 0 && ((entry ^ own) & ~marks) == 0;
        }
    }
    return shared;
}

static void charge(struct search *search, uint64_t entries)
{
    search->budget -= entries < search->budget ? entries : search->budget;
}

/* Whether what lies behind the root of search->space, from @first on, is sound; *leaves are counted. */
static bool is_sound_behind(struct search *search, uint64_t first, uint64_t last, uint64_t *leaves)
{
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;
    enum vmmu_x86_scan_found found;

    search->space.first = first;
    search->space.last = last;
    space_scan(&search->space, &scan);
    while ((found = vmmu_scan_next(&scan, &item)) == VMMU_X86_SCAN_LEAF) {
        ++*leaves;
    }
    charge(search, search->space.budget - scan.budget);
    return found == VMMU_X86_SCAN_END || found == VMMU_X86_SCAN_SPENT;
}

/* The upper half first: that is where a page that is no root shows it soonest. */
static bool leads_somewhere(struct search *search, uint64_t address)
{
    const unsigned bits = search->space.mode.address_bits;
    const uint64_t half = UINT64_C(1) << (bits - 1);
    const uint64_t upper = bits > 32 ? 0 - half : half;
    struct complaint complaint;
    uint64_t upper_leaves = 0;
    uint64_t lower_leaves = 0;

    return space_with_root(search->machine, address, &search->space, &complaint) &&
           is_sound_behind(search, upper, UINT64_MAX, &upper_leaves) && upper_leaves != 0 &&
           is_sound_behind(search, 0, half - 1, &lower_leaves);
}

static void keep(struct roots *roots, struct root root)
{
    if (roots->count == ROOTS_MOST) {
        roots->more = true;
        return;
    }
    if ((roots->count & (roots->count - 1)) == 0) {
        const unsigned room = roots->count ? roots->count * 2 : 1;

        roots->found = grow_memory(roots->found, roots->count, room, sizeof(*roots->found));
    }
    roots->found[roots->count++] = root;
}

/* Most pages are told from a root by their first words, or have no upper entry at all. */
static bool is_blank(const uint8_t *bytes, unsigned count)
{
    uint64_t word;
    uint64_t all = 0;

    for (unsigned offset = 0; offset < count; offset += sizeof(word)) {
        memcpy(&word, bytes + offset, sizeof(word));
        all |= word;
    }
    return all == 0;
}

static void look_at(struct search *search, uint64_t address, const uint8_t *bytes)
{
    const unsigned half = search->entries / 2;
    struct root root = { .cr3 = address };

    if (is_blank(bytes + search->root_bytes / 2, search->root_bytes / 2) ||
        !count_entries(search, bytes, half, search->entries, &root.upper) ||
        !count_entries(search, bytes, 0, half, &root.present)) {
        return;
    }
    root.present += root.upper;
    root.shared = count_shared(search, bytes);
    if ((root.shared || search->any || !search->own) && leads_somewhere(search, address)) {
        keep(search->roots, root);
    }
    charge(search, COMPARISON_ENTRIES);
    search->roots->more |= search->budget == 0;
}

static void look_through_page(struct search *search, uint64_t address, const uint8_t *page)
{
    for (unsigned offset = 0; offset < VMMU_PAGE_BYTES; offset += search->root_bytes) {
        look_at(search, address + offset, page + offset);
    }
    search->roots->bytes_read += VMMU_PAGE_BYTES;
    if (search->roots->bytes_read % (UINT64_C(4096) * VMMU_PAGE_BYTES) == 0) {
        progress_at(&search->progress, search->roots->bytes_read);
    }
}

static void look_through_range(struct search *search, const struct image_range *range)
{
    const uint64_t end = (range->base + range->size_bytes) & ~(VMMU_PAGE_BYTES - 1);
    const uint64_t base = (range->base + VMMU_PAGE_BYTES - 1) & ~(VMMU_PAGE_BYTES - 1);
    const bool narrow = search->space.mode.address_bits == 32;
    uint8_t copy[VMMU_PAGE_BYTES];

    for (uint64_t address = base; address < end && !(narrow && address > UINT32_MAX) && !search->roots->more;
         address += VMMU_PAGE_BYTES) {
        const uint8_t *page = range->mapped ? range->mapped + (address - range->base) : copy;

        if (range->mapped || machine_read_physical(search->machine, address, copy, sizeof(copy))) {
            look_through_page(search, address, page);
        }
    }
}

/* The root that the machine uses, to compare others with. */
static void take_own(struct search *search, const struct machine *machine)
{
    const uint64_t page = machine->mode.root.v & ~(VMMU_PAGE_BYTES - 1);

    if (machine->processor && machine->processor->has_paging &&
        machine_read_physical(machine, page, search->own_bytes, VMMU_PAGE_BYTES)) {
        search->own = search->own_bytes + (machine->mode.root.v - page);
    }
}

bool roots_scan(const struct machine *machine, struct roots_wanted wanted, struct roots *roots,
                struct complaint *complaint)
{
    struct space_memory unused;
    struct search search = {
        .machine = machine, .space = space_of(machine, &unused), .any = wanted.any, .roots = roots
    };
    uint64_t total = 0;

    *roots = (struct roots){ 0 };
    if (machine->mode.paging == VMMU_X86_PAGING_NONE) {
        return complain_usage(complaint, "--scan: paging is off; --mode says what tables to look for");
    }
    search.space.ram = machine->ram;
    search.space.budget = LOOK_BUDGET;
    search.budget = wanted.budget;
    search.format = vmmu_format_of(&machine->mode.layout);
    search.level = &search.format->level[search.format->levels];
    search.entries = vmmu_format_entries(search.level);
    search.root_bytes = search.entries * search.format->entry_bytes;
    take_own(&search, machine);
    for (unsigned i = 0; i < machine->range_count; i++) {
        total += machine->ranges[i].size_bytes;
    }
    progress_begin(&search.progress, "looking for roots", total);
    for (unsigned i = 0; i < machine->range_count; i++) {
        look_through_range(&search, &machine->ranges[i]);
    }
    progress_end(&search.progress);
    return true;
}

void roots_free(struct roots *roots)
{
    free(roots->found);
    *roots = (struct roots){ 0 };
}
