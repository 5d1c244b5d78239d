/*
 * Tables of our hypervisor's, against what its dump says of the partition.
 *
 * Isolation: whatever a processor reaches by them lies in the partition's memory, with no right beyond those of that memory,
 * and is no table. Under shadow paging, too: what an entry maps is what the guest's own walk finds, unless one of the guest's
 * tables on the way is open, and so may have changed since: then it is as a TLB is, and only told.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <vmmu/shadow_view.h>

#include "tools/check/lint.h"
#include "tools/walk/names.h"

/* A tree of the hypervisor's, and all that it is held against. */
struct own {
    const struct lint *lint;
    const struct partition *partition;
    struct stretches memory; /* the partition's pieces, by host-physical address; @address: guest-physical */
    struct stretches tables; /* the hypervisor's */
    struct stretches closed; /* write-protected tables of the guest's, by host-physical address */
    const struct partition_vp *vp;
    struct vmmu_x86_mode guest; /* shadow: the guest's own paging, judged by no keys */
};

static void take_memory_of(struct own *own)
{
    for (unsigned i = 0; i < own->partition->piece_count; i++) {
        const struct partition_piece *piece = &own->partition->pieces[i];

        stretches_add(&own->memory, (struct stretch){ .base = piece->hpa,
                                                      .bytes = piece->size_bytes,
                                                      .address = piece->gpa,
                                                      .rights = piece->rights });
    }
    stretches_sort(&own->memory);
}

/* Where the machine has a guest-physical address; false if nowhere. */
static bool machine_has(const struct partition *partition, uint64_t gpa, uint64_t *hpa)
{
    const struct partition_piece *piece = partition_piece_at(partition, gpa);

    *hpa = piece ? piece->hpa + (gpa - piece->gpa) : 0;
    return piece != NULL;
}

static void take_tables_of(struct own *own)
{
    for (unsigned i = 0; i < own->partition->table_count; i++) {
        const struct partition_table *table = &own->partition->tables[i];
        uint64_t hpa;

        stretches_add(
            &own->tables,
            (struct stretch){ .base = table->hpa, .bytes = VMMU_PAGE_BYTES, .address = table->gpa });
        if (table->closed && !table->ours && machine_has(own->partition, table->gpa, &hpa)) {
            stretches_add(&own->closed, (struct stretch){ .base = hpa & ~(VMMU_PAGE_BYTES - 1),
                                                          .bytes = VMMU_PAGE_BYTES,
                                                          .address = table->gpa });
        }
    }
    stretches_sort(&own->tables);
    stretches_sort(&own->closed);
}

static void end(struct own *own)
{
    stretches_free(&own->memory);
    stretches_free(&own->tables);
    stretches_free(&own->closed);
}

/*
 * How far from @at on, up to @end, the same pieces have the machine's memory; *rights are what any of them allows, for pieces
 * may share memory. 0 if none has it.
 */
static uint64_t owned_from(const struct own *own, uint64_t at, uint64_t end, uint8_t *rights)
{
    const struct stretch *last = own->memory.list + own->memory.count;
    uint64_t limit = end;
    bool any = false;

    *rights = 0;
    for (const struct stretch *piece = stretches_find(&own->memory, at, end - at);
         piece && piece < last && piece->base < limit; piece++) {
        const uint64_t piece_end = piece->base + piece->bytes;

        if (piece->base > at) {
            limit = piece->base;
        } else if (piece_end > at) {
            any = true;
            limit = piece_end < limit ? piece_end : limit;
            *rights |= (uint8_t)(piece->rights | VMMU_X86_RIGHT_USER);
        }
    }
    return any ? limit - at : 0;
}

/* Whether every byte of a page is the partition's; *rights are what all its parts allow. */
static bool is_owned(const struct own *own, uint64_t base, uint64_t bytes, uint8_t *rights)
{
    uint64_t done = 0;

    *rights = VMMU_X86_RIGHTS_ALL;
    while (done < bytes) {
        uint8_t part;
        const uint64_t more = owned_from(own, base + done, base + bytes, &part);

        if (more == 0) {
            return false;
        }
        *rights &= part;
        done += more;
    }
    return true;
}

/* What holds for every leaf, whatever the technique. Whether it may be looked at further. */
static bool judge_isolation(struct own *own, const struct vmmu_x86_scan_item *leaf)
{
    struct check_report *report = own->lint->report;
    const struct stretch *table = stretches_find(&own->tables, leaf->frame, leaf->bytes);
    char rights[ENTRY_TEXT_BYTES];
    char allowed_text[ENTRY_TEXT_BYTES];
    uint8_t allowed;

    if (table) {
        check_found(report, CHECK_TABLE_MAPPED, place_of(leaf), "0x%" PRIx64 " holds the table at 0x%" PRIx64,
                    leaf->frame, table->base);
    }
    if (!is_owned(own, leaf->frame, leaf->bytes, &allowed)) {
        check_found(report, CHECK_FOREIGN, place_of(leaf),
                    "leads to 0x%" PRIx64 " by the entry 0x%" PRIx64 " at 0x%" PRIx64, leaf->frame,
                    leaf->entry, leaf->place);
        return false;
    }
    if (own->vp && (leaf->rights & ~(unsigned)allowed) != 0) {
        check_found(report, CHECK_PIECE_RIGHTS, place_of(leaf), "%s, where the memory is %s",
                    rights_text(leaf->rights, rights), rights_text(allowed, allowed_text));
    }
    return true;
}

/* A link must lead to a table of the hypervisor's, which lies outside of the partition's memory. */
static void judge_link(struct own *own, const struct vmmu_x86_scan_item *link, bool known)
{
    if (stretches_find(&own->memory, link->frame, VMMU_PAGE_BYTES)) {
        check_found(own->lint->report, CHECK_TABLE_MAPPED, place_of(link),
                    "the table at 0x%" PRIx64 " lies in the partition's own memory", link->frame);
    }
    if (known && !stretches_find(&own->tables, link->frame, VMMU_PAGE_BYTES)) {
        check_found(own->lint->report, CHECK_TABLE_PLACE, place_of(link),
                    "the entry at 0x%" PRIx64 " leads to 0x%" PRIx64, link->place, link->frame);
    }
}

/* --- under nested paging --- */

/* One leaf, piece by piece of guest-physical memory: each has its own place, and its own rights. */
static void judge_second(struct own *own, const struct vmmu_x86_scan_item *leaf)
{
    char rights[ENTRY_TEXT_BYTES];
    char allowed[ENTRY_TEXT_BYTES];

    own->lint->report->looked.second_pages++;
    if (!judge_isolation(own, leaf)) {
        return;
    }
    for (uint64_t done = 0; done < leaf->bytes;) {
        const uint64_t gpa = leaf->address + done;
        const struct partition_piece *piece = partition_piece_at(own->partition, gpa);
        const uint64_t rest = leaf->bytes - done;
        const uint64_t piece_rest = piece ? piece->size_bytes - (gpa - piece->gpa) : rest;
        const uint64_t bytes = piece_rest < rest ? piece_rest : rest;

        if (!piece || piece->hpa + (gpa - piece->gpa) != leaf->frame + done) {
            check_found(own->lint->report, CHECK_PIECE_FRAME, (struct check_place){ gpa, bytes },
                        "leads to 0x%" PRIx64, leaf->frame + done);
        } else if ((leaf->rights & ~(unsigned)(piece->rights | VMMU_X86_RIGHT_USER)) != 0) {
            check_found(own->lint->report, CHECK_PIECE_RIGHTS, (struct check_place){ gpa, bytes },
                        "%s, where the memory is %s", rights_text(leaf->rights, rights),
                        rights_text(piece->rights | VMMU_X86_RIGHT_USER, allowed));
        }
        done += bytes;
    }
}

bool lint_second(struct lint *lint, struct complaint *complaint)
{
    struct own own = { .lint = lint, .partition = lint->machine->partition };
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;
    enum vmmu_x86_scan_found found;
    const bool done = lint_tables(lint, complaint);

    take_memory_of(&own);
    take_tables_of(&own);
    for (unsigned i = 0; i < lint->tables.count; i++) {
        stretches_add(&own.tables, lint->tables.list[i]);
    }
    stretches_sort(&own.tables);
    space_scan(&lint->space, &scan);
    scan.tables = true;
    while (done && (found = vmmu_scan_next(&scan, &item)) != VMMU_X86_SCAN_END &&
           found != VMMU_X86_SCAN_SPENT) {
        if (found == VMMU_X86_SCAN_TABLE) {
            judge_link(&own, &item, false);
        } else if (found == VMMU_X86_SCAN_LEAF) {
            judge_second(&own, &item);
        }
    }
    end(&own);
    return done;
}

/* --- under shadow paging --- */

/* Whether every table of the guest's that a walk used is write-protected, so that its entries are what they were. */
static bool is_closed(const struct own *own, const struct vmmu_x86_walk_result *walk)
{
    for (unsigned i = 0; i < walk->step_count; i++) {
        const struct vmmu_x86_step *step = &walk->steps[i];
        uint64_t hpa;

        if (step->stage != VMMU_X86_STAGE_REGISTER &&
            (!machine_has(own->partition, step->address, &hpa) || !stretches_find(&own->closed, hpa, 1))) {
            return false;
        }
    }
    /* Another processor may still write a table that is being closed. */
    return own->partition->vp_count == 1;
}

/* Rights of a shadow leaf beyond those of the guest's page: with CR0.WP clear, supervisors write what is read-only. */
static uint8_t rights_beyond(const struct own *own, const struct vmmu_x86_scan_item *leaf, uint8_t guest)
{
    const bool lent = !own->guest.write_protect && !(leaf->rights & VMMU_X86_RIGHT_USER);

    return (uint8_t)(leaf->rights & ~(unsigned)guest & ~(unsigned)(lent ? VMMU_X86_RIGHT_WRITE : 0));
}

/* The page of the guest's at @address, within a shadow leaf. How many bytes of the leaf it says something about. */
static uint64_t compare_page(struct own *own, const struct vmmu_x86_scan_item *leaf, uint64_t address)
{
    const struct vmmu_x86_access look = { .kind = VMMU_X86_READ, .implicit = true, .eflags_ac = true };
    const uint64_t ours = leaf->frame + (address - leaf->address);
    const uint64_t rest = leaf->bytes - (address - leaf->address);
    struct check_report *report = own->lint->report;
    struct vmmu_x86_walk_result walk;
    char beyond_text[ENTRY_TEXT_BYTES];
    char guest_text[ENTRY_TEXT_BYTES];
    uint64_t hpa = 0;

    const enum vmmu_status status =
        vmmu_x86_walk(&own->guest, &own->partition->ram, (vmmu_gva){ address }, look, &walk);
    const bool closed = is_closed(own, &walk);

    report->looked.shadow_pages++;
    report->looked.sure_pages += closed;
    if (status != VMMU_OK) {
        check_found(report, closed ? CHECK_SHADOW_FRAME : CHECK_STALE,
                    (struct check_place){ address, VMMU_PAGE_BYTES },
                    "ours leads to 0x%" PRIx64 ", the guest maps nothing", ours);
        return VMMU_PAGE_BYTES;
    }
    const struct vmmu_x86_translation *page = &walk.translation;
    const uint64_t bytes = page->page_bytes - (page->gpa.v - page->frame.v);

    if (!machine_has(own->partition, page->gpa.v, &hpa) || hpa != ours) {
        check_found(report, closed ? CHECK_SHADOW_FRAME : CHECK_STALE,
                    (struct check_place){ address, bytes < rest ? bytes : rest },
                    "ours leads to 0x%" PRIx64 ", the guest to its 0x%" PRIx64 ", at 0x%" PRIx64, ours,
                    page->gpa.v, hpa);
    } else if (rights_beyond(own, leaf, page->rights)) {
        check_found(report, closed ? CHECK_SHADOW_RIGHTS : CHECK_STALE,
                    (struct check_place){ address, bytes < rest ? bytes : rest }, "%s, the guest's page %s",
                    rights_text(leaf->rights, beyond_text), rights_text(page->rights, guest_text));
    }
    return bytes;
}

static void judge_shadow(struct own *own, const struct vmmu_x86_scan_item *leaf)
{
    if (!judge_isolation(own, leaf)) {
        return;
    }
    const struct stretch *last = own->closed.list + own->closed.count;

    if (leaf->rights & VMMU_X86_RIGHT_WRITE) {
        for (const struct stretch *table = stretches_find(&own->closed, leaf->frame, leaf->bytes);
             table && table < last && table->base - leaf->frame < leaf->bytes; table++) {
            check_found(own->lint->report, CHECK_CLOSED_WRITABLE,
                        (struct check_place){ leaf->address + (table->base - leaf->frame), VMMU_PAGE_BYTES },
                        "the guest's table at its 0x%" PRIx64, table->address);
        }
    }
    for (uint64_t done = 0; done < leaf->bytes;) {
        done += compare_page(own, leaf, leaf->address + done);
    }
}

/* Everything that @scan comes to. */
static enum vmmu_x86_scan_found look_through(struct own *own, struct vmmu_x86_scan *scan)
{
    struct vmmu_x86_scan_item item;
    enum vmmu_x86_scan_found found;

    scan->tables = true;
    while ((found = vmmu_scan_next(scan, &item)) != VMMU_X86_SCAN_END && found != VMMU_X86_SCAN_SPENT) {
        if (vmmu_shadow_is_trap(item.entry)) {
            if (found == VMMU_X86_SCAN_TABLE) {
                vmmu_scan_skip(scan);
            }
        } else if (found == VMMU_X86_SCAN_TABLE) {
            judge_link(own, &item, true);
        } else if (found == VMMU_X86_SCAN_LEAF) {
            judge_shadow(own, &item);
        } else {
            check_found(own->lint->report, found == VMMU_X86_SCAN_REFUSED ? CHECK_RESERVED : CHECK_ABSENT,
                        place_of(&item), "the hypervisor's entry 0x%" PRIx64 " at 0x%" PRIx64, item.entry,
                        item.place);
        }
    }
    return found;
}

static bool complain_of_root(const struct partition_vp *vp, struct complaint *complaint)
{
    return complain(complaint, "the shadow root 0x%" PRIx64 ", or what the guest's registers are, cannot be",
                    vp->shadow_cr3);
}

bool lint_shadow(const struct lint *lint, const struct partition_vp *vp, struct complaint *complaint)
{
    struct own own = { .lint = lint, .partition = lint->machine->partition, .vp = vp };
    const struct image_processor *processor = &vp->processor;
    struct vmmu_x86_mode guest;
    struct vmmu_x86_mode ours;
    struct vmmu_x86_scan scan;

    if (vmmu_mode_make(&processor->cpu, &processor->paging, &guest) != VMMU_OK) {
        return complain_of_root(vp, complaint);
    }
    own.guest = vmmu_mode_open(&guest);
    /* Of the widest addresses: traps are reserved in others, and are not to be told as such. */
    if (machine_shadow_mode(own.partition, vp, &own.guest, vmmu_x86_any_cpu.maxphyaddr, &ours) != VMMU_OK) {
        return complain_of_root(vp, complaint);
    }
    lint->report->looked.shadow_roots++;
    take_memory_of(&own);
    take_tables_of(&own);
    vmmu_scan_begin(&scan, &ours, &lint->machine->image->ram, lint->space.budget);
    const enum vmmu_x86_scan_found found = look_through(&own, &scan);

    end(&own);
    return found == VMMU_X86_SCAN_END ||
           complain(complaint, "no end of the shadow tables of root 0x%" PRIx64 " after %" PRIu64 " entries",
                    vp->shadow_cr3, lint->space.budget);
}
