/*
 * Writes to the guest's tables.
 *
 * Whatever was made from an entry that was written is removed, and made anew by the fault that wants it.
 */
#include "lib/x86/shadow/internal.h"

/* So many writes to a table are emulated before it is opened. */
#define EMULATED_WRITES 4U

/*
 * So many in a row that make clean pages present, in a table of the last level: pages of a file are mapped, mostly, and some that
 * nobody has asked for yet go with one that is. Memory that a program writes comes page by page, and dirty.
 */
#define CLEAN_WRITES    2U

/* Entries of a shadow from `first` up to, not including, `end`. */
struct stretch {
    uint32_t first;
    uint32_t end;
};

/* Which entries of @page stand for bytes [from, to) of the guest's table. */
static struct stretch stretch_of(const struct shadow_page *page, uint32_t from, uint32_t to)
{
    const uint32_t bytes = vmmu_x86_formats[page->role.format].entry_bytes;
    struct stretch touched = { from / bytes, (to - 1) / bytes + 1 };
    uint32_t base = 0;

    if (bytes == 4) {
        /* At level 2 an entry of 4 MiB is two of ours. */
        const uint32_t each = page->role.level == 2 ? 2 : 1;

        touched = (struct stretch){ touched.first * each, touched.end * each };
        base = page->role.quadrant * ENTRIES;
    }
    touched.first = touched.first > base ? touched.first - base : 0;
    touched.end = touched.end > base ? touched.end - base : 0;
    touched.end = touched.end < ENTRIES ? touched.end : ENTRIES;
    return touched;
}

/* An entry may have been made at @spot; where there is none, all flags are set. */
static void count_clean(struct shadow_edit *edit, struct shadow_spot spot)
{
    struct shadow_page *const page = &edit->state->pages[spot.page];

    if (page->role.level == 1) {
        const uint64_t dirty = vmmu_x86_formats[page->role.format].level[1].dirty;

        page->writes = shadow_slot_at(edit, spot)->target & dirty ? 0 : page->writes + 1;
    }
}

/*
 * The guest's entry was written that ours at @spot is made from. Where faults of the guest's own cost no exit, one that came to be
 * ready will be used at once: @refill makes ours. What stood there may be cached still.
 */
static void follow_entry(struct shadow_edit *edit, struct shadow_spot spot, struct shadow_prefill *refill)
{
    const struct shadow_page *const page = &edit->state->pages[spot.page];

    if (shadow_slot_at(edit, spot)->target != SHADOW_NO_TARGET) {
        vmmu_shadow_zap(edit, spot);
    } else if (page->firm) {
        if (edit->flush_vps == 0 && edit->shadow->memory->unflushed_count == 0 &&
            vmmu_shadow_may_refill(refill, page)) {
            (void)vmmu_shadow_prefill_entry(refill, spot);
            count_clean(edit, spot);
        }
        vmmu_shadow_speak_at(edit, spot);
    }
}

/* The same for [gpa, gpa + bytes) and all pages of its table but those whose entries have @spared bytes. */
static void follow(struct shadow_edit *edit, uint64_t gpa, uint32_t bytes, unsigned spared,
                   struct shadow_prefill *refill)
{
    const uint32_t from = (uint32_t)(gpa & (VMMU_PAGE_BYTES - 1));
    uint32_t page = vmmu_shadow_first_table(edit, shadow_frame_of(gpa));

    while (page != SHADOW_NONE) {
        const struct shadow_page *const table = &edit->state->pages[page];

        if (vmmu_x86_formats[table->role.format].entry_bytes != spared) {
            const struct stretch touched = stretch_of(table, from, from + bytes);

            for (uint32_t i = touched.first; i < touched.end; i++) {
                follow_entry(edit, (struct shadow_spot){ page, i }, refill);
            }
        }
        page = vmmu_shadow_next_table(edit, page);
    }
}

void vmmu_shadow_follow(struct shadow_edit *edit, uint64_t gpa, uint32_t bytes, unsigned spared)
{
    follow(edit, gpa, bytes, spared, NULL);
}

bool vmmu_shadow_is_silent_at(const struct shadow_edit *edit, uint64_t gpa)
{
    const uint32_t at = (uint32_t)(gpa & (VMMU_PAGE_BYTES - 1));
    uint32_t page = vmmu_shadow_first_table(edit, shadow_frame_of(gpa));

    for (; page != SHADOW_NONE; page = vmmu_shadow_next_table(edit, page)) {
        const struct stretch touched = stretch_of(&edit->state->pages[page], at, at + 1);

        if (touched.first < touched.end &&
            shadow_is_silent(edit, (struct shadow_spot){ page, touched.first })) {
            return true;
        }
    }
    return false;
}

/*
 * A table of the last level is opened: many of its entries are written, mostly. So is a root that nobody uses: a process
 * has ended, mostly.
 */
bool vmmu_shadow_prefers_emulation(struct shadow_edit *edit, uint64_t gpa)
{
    uint32_t page = vmmu_shadow_first_table(edit, shadow_frame_of(gpa));

    if (vmmu_shadow_is_silent_at(edit, gpa)) {
        return true;
    }
    for (; page != SHADOW_NONE; page = vmmu_shadow_next_table(edit, page)) {
        struct shadow_page *const table = &edit->state->pages[page];

        if (shadow_is_protecting(table) &&
            (table->role.level == 1 || (shadow_is_root(table) && table->pins == 0) ||
             ++table->writes > EMULATED_WRITES)) {
            return false;
        }
    }
    return true;
}

void vmmu_shadow_remove_tables(struct shadow_edit *edit, uint64_t frame)
{
    uint32_t page = vmmu_shadow_first_table(edit, frame);

    while (page != SHADOW_NONE) {
        const uint32_t removals = edit->state->removals;
        const uint32_t next = vmmu_shadow_next_table(edit, page);

        if (edit->state->pages[page].pins == 0) {
            vmmu_shadow_remove(edit, page);
            page = vmmu_shadow_first_table(edit, frame);
            continue;
        }
        vmmu_shadow_speak(edit, page, false);
        vmmu_shadow_clear(edit, page);
        page = edit->state->removals == removals ? next : vmmu_shadow_first_table(edit, frame);
    }
}

/* Pages are mapped there that nobody has asked for: let the guest write the table. */
static void open_if_mapped_in_runs(struct shadow_edit *edit, uint64_t frame)
{
    uint32_t page = vmmu_shadow_first_table(edit, frame);

    for (; page != SHADOW_NONE; page = vmmu_shadow_next_table(edit, page)) {
        const struct shadow_page *const table = &edit->state->pages[page];

        if (table->firm && table->role.level == 1 && table->writes >= CLEAN_WRITES) {
            if (vmmu_shadow_watch(edit)) {
                vmmu_shadow_open(edit, frame);
            }
            return;
        }
    }
}

struct vmmu_outcome vmmu_shadow_wrote(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint32_t bytes)
{
    struct shadow_edit edit;

    if (bytes == 0 || (gpa.v & (VMMU_PAGE_BYTES - 1)) + bytes > VMMU_PAGE_BYTES) {
        return (struct vmmu_outcome){ .status = VMMU_INVALID };
    }
    if (!vmmu_shadow_begin(&edit, shadow)) {
        return vmmu_shadow_end(&edit, VMMU_FLUSH_RETRY);
    }
    if (vmmu_shadow_first_table(&edit, shadow_frame_of(gpa.v)) != SHADOW_NONE) {
        struct shadow_prefill refill = { .edit = &edit,
                                         .mode = &shadow->state->vps[shadow->state->faulted].mode };

        follow(&edit, gpa.v, bytes, 0, &refill);
        open_if_mapped_in_runs(&edit, shadow_frame_of(gpa.v));
        vmmu_shadow_settle(&edit, shadow->config.vps);
    }
    return vmmu_shadow_end(&edit, VMMU_OK);
}

struct vmmu_outcome vmmu_shadow_drop(struct vmmu_shadow *shadow, vmmu_gpa gpa)
{
    const uint64_t frame = shadow_frame_of(gpa.v);
    struct shadow_edit edit;

    if (!vmmu_shadow_begin(&edit, shadow)) {
        return vmmu_shadow_end(&edit, VMMU_FLUSH_RETRY);
    }
    if (!vmmu_shadow_is_protected(&edit, frame)) {
        shadow->state->excused = frame;
        return vmmu_shadow_end(&edit, VMMU_OK);
    }
    if (!vmmu_shadow_watch(&edit)) {
        return vmmu_shadow_end(&edit, VMMU_FLUSH_RETRY);
    }
    vmmu_shadow_open(&edit, frame);
    shadow->counters.dropped++;
    return vmmu_shadow_end(&edit, VMMU_OK);
}
