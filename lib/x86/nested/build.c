/*
 * Tables that no processor can reach yet: those that fill what was absent, and those that take
 * the place of a large page.
 *
 * Each is complete, down to its last leaf, before the one store that links it. Its pages were reserved by
 * counts that are taken here too, beside the code that they must agree with.
 */
#include "lib/x86/nested/internal.h"

/*
 * Entry @index of a new table as a spot: what it translates, and which part is in
 * [from, to), which may be none.
 */
static struct nested_spot child_spot(const struct nested_edit *edit, uint8_t level, uint64_t base,
                                     const struct nested_spot *of)
{
    const uint64_t end = base + nested_bytes(edit->nested, level);
    const uint64_t from = base > of->from ? base : of->from;
    const uint64_t to = end < of->to ? end : of->to;

    return (struct nested_spot){ .level = level, .base = base, .from = from, .to = to > from ? to : from };
}

static uint64_t *take(struct nested_edit *edit, vmmu_hpa *at)
{
    return vmmu_table_take(edit->nested->memory, VMMU_PAGE_ANY, at);
}

/* --- filling what was absent --- */

bool vmmu_nested_fits(const struct nested_edit *edit, uint8_t level, uint64_t from, uint64_t to)
{
    const uint64_t bytes = nested_bytes(edit->nested, level);

    return level <= vmmu_nested_largest(edit->nested, edit->wanted.rights) && to - from == bytes &&
           vmmu_is_aligned(nested_wanted_frame(edit, from), bytes);
}

uint32_t vmmu_nested_count_fill(const struct nested_edit *edit, const struct nested_spot *spot)
{
    const uint32_t limit = edit->nested->memory->limit_pages;
    const uint8_t level = spot->level - 1;
    uint32_t count = 1;

    if (vmmu_nested_fits(edit, spot->level, spot->from, spot->to)) {
        return 0;
    }
    if (level == VMMU_NESTED_LEVEL_4K) {
        return 1;
    }
    const uint64_t bytes = nested_bytes(edit->nested, level);

    for (uint64_t base = spot->from & ~(bytes - 1); base < spot->to && count <= limit; base += bytes) {
        const struct nested_spot child = child_spot(edit, level, base, spot);

        count += vmmu_nested_count_fill(edit, &child);
    }
    return count <= limit ? count : limit + 1;
}

/* Leaves from @index on, as many as lie whole in [base, to). How many. */
static unsigned fill_leaves(struct nested_edit *edit, uint8_t level, uint64_t *entry, uint64_t base,
                            uint64_t to)
{
    const uint64_t bytes = nested_bytes(edit->nested, level);
    struct nested_leaf leaf = edit->wanted;
    unsigned count = 0;

    leaf.frame = nested_wanted_frame(edit, base);
    /*
     * The frame is the only difference between two of them, and its bits stand in the entry where they
     * stand in the address.
     */
    for (uint64_t value = vmmu_nested_leaf(edit->nested, level, &leaf); to - base >= bytes; value += bytes) {
        vmmu_table_fill(&entry[count++], value);
        base += bytes;
    }
    edit->nested->counters.leaves[level - 1] += count;
    return count;
}

/* A new table for what @spot translates, mapping the part in range. */
static vmmu_hpa build_fill(struct nested_edit *edit, const struct nested_spot *spot)
{
    const uint8_t level = spot->level - 1;
    const uint64_t bytes = nested_bytes(edit->nested, level);
    vmmu_hpa at;
    uint64_t *const table = take(edit, &at);

    for (unsigned i = 0; i < ENTRIES;) {
        const struct nested_spot child = child_spot(edit, level, spot->base + i * bytes, spot);

        if (child.from == child.to) {
            vmmu_table_fill(&table[i++], 0);
        } else if (vmmu_nested_fits(edit, level, child.from, child.to)) {
            i += fill_leaves(edit, level, &table[i], child.base, spot->to);
        } else {
            const vmmu_hpa below = build_fill(edit, &child);

            vmmu_table_fill(&table[i++], vmmu_nested_link(edit->nested, level, below));
        }
    }
    return at;
}

void vmmu_nested_fill(struct nested_edit *edit, const struct nested_spot *spot)
{
    uint64_t expected = spot->value;
    uint64_t desired;

    if (vmmu_nested_fits(edit, spot->level, spot->from, spot->to)) {
        struct nested_leaf leaf = edit->wanted;

        leaf.frame = nested_wanted_frame(edit, spot->from);
        desired = vmmu_nested_leaf(edit->nested, spot->level, &leaf);
        edit->nested->counters.leaves[spot->level - 1]++;
    } else {
        desired = vmmu_nested_link(edit->nested, spot->level, build_fill(edit, spot));
    }
    /* Processors never change an entry that is not present. */
    const bool stored = vmmu_nested_store(edit, spot, &expected, desired);

    VMMU_ASSERT(stored);
    (void)stored;
}

/* --- splitting a large page --- */

/* Page @index of the smaller pages that @spot's leaf is made of, as the entry of a new table. */
static struct nested_spot piece(const struct nested_edit *edit, const struct nested_spot *spot,
                                const struct nested_leaf *leaf, unsigned index)
{
    const uint8_t level = spot->level - 1;
    const uint64_t offset = index * nested_bytes(edit->nested, level);
    struct nested_spot child = child_spot(edit, level, spot->base + offset, spot);
    struct nested_leaf smaller = *leaf;

    smaller.frame += offset;
    child.value = vmmu_nested_leaf(edit->nested, level, &smaller);
    return child;
}

static bool must_split(const struct nested_edit *edit, const struct nested_spot *child)
{
    return child->from < child->to && edit->operation->judge(edit, child) == NESTED_SPLIT;
}

uint32_t vmmu_nested_count_split(const struct nested_edit *edit, const struct nested_spot *spot)
{
    const struct nested_leaf leaf = vmmu_nested_parse(edit->nested, spot->level, spot->value);
    uint32_t count = 1;

    for (unsigned i = 0; spot->level - 1 > VMMU_NESTED_LEVEL_4K && i < ENTRIES; i++) {
        const struct nested_spot child = piece(edit, spot, &leaf, i);

        if (must_split(edit, &child)) {
            count += vmmu_nested_count_split(edit, &child);
        }
    }
    return count;
}

static vmmu_hpa build_split(struct nested_edit *edit, const struct nested_spot *spot)
{
    const struct nested_leaf leaf = vmmu_nested_parse(edit->nested, spot->level, spot->value);
    vmmu_hpa at;
    uint64_t *const table = take(edit, &at);

    edit->nested->counters.splits++;
    for (unsigned i = 0; i < ENTRIES; i++) {
        const struct nested_spot child = piece(edit, spot, &leaf, i);

        if (must_split(edit, &child)) {
            vmmu_table_fill(&table[i],
                            vmmu_nested_link(edit->nested, child.level, build_split(edit, &child)));
        } else {
            vmmu_table_fill(&table[i], child.value);
            edit->nested->counters.leaves[child.level - 1]++;
        }
    }
    return at;
}

/* Set @marks, accessed and dirty bits, in every leaf below a table that is not linked yet. */
static void mark_table(const struct nested_edit *edit, uint8_t level_number, vmmu_hpa at, uint64_t marks)
{
    const struct vmmu_x86_level *const level = nested_level(edit->nested, level_number);
    uint64_t *const table = vmmu_table_page(edit->nested->memory, at);

    for (unsigned i = 0; i < ENTRIES; i++) {
        const uint64_t entry = vmmu_table_filled(&table[i]);

        if (vmmu_format_is_leaf(level, entry)) {
            vmmu_table_fill(&table[i], entry | marks);
        } else {
            mark_table(edit, level_number - 1, (vmmu_hpa){ vmmu_format_table(level, entry) }, marks);
        }
    }
}

void vmmu_nested_split_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    const vmmu_hpa table = build_split(edit, spot);
    const uint64_t desired = vmmu_nested_link(edit->nested, spot->level, table);
    uint64_t expected = spot->value;

    /* A processor that marks the large page meanwhile marked all that it is made of. */
    while (!vmmu_nested_store(edit, spot, &expected, desired)) {
        mark_table(edit, spot->level - 1, table, expected & ~spot->value);
    }
    edit->resized = true;
    vmmu_nested_plan_spot(edit, spot);
}

/* --- retiring --- */

void vmmu_nested_retire(struct nested_edit *edit, uint8_t level_number, vmmu_hpa at)
{
    struct vmmu_table_memory *const memory = edit->nested->memory;
    const struct vmmu_x86_format *const format = edit->nested->format;
    const struct vmmu_x86_level *const level = nested_level(edit->nested, level_number);
    const uint64_t *const table = vmmu_table_page(memory, at);

    for (unsigned i = 0; level_number > VMMU_NESTED_LEVEL_4K && i < ENTRIES; i++) {
        const uint64_t entry = vmmu_table_load(memory, &table[i]);

        if (vmmu_format_is_present(format, entry) && !vmmu_format_is_leaf(level, entry)) {
            vmmu_nested_retire(edit, level_number - 1, (vmmu_hpa){ vmmu_format_table(level, entry) });
        }
    }
    vmmu_table_retire(memory, at);
    edit->resized = true;
}
