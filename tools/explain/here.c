/*
 * A dump of our own hypervisor under shadow paging: what its tables hold on the way of each access, and what the access will
 * therefore cost when the guest goes on.
 *
 * A fault fills in one leaf, and each table that is missing on the way to it. A table has a shadow already if one of its role
 * stands in the list of the dump's shadow pages.
 */
#include "tools/explain/story.h"

/* Shadow pages that earlier accesses of the instruction make. */
struct made {
    uint64_t gpa;
    unsigned level;
};

struct look {
    const struct story *story;
    const struct partition *partition;
    struct vmmu_x86_mode hardware;
    struct made made[PIECES_MOST * VMMU_X86_MAX_LEVELS];
    unsigned made_count;
    uint64_t filled[PIECES_MOST]; /* pages of linear addresses that they fill */
    unsigned filled_count;
};

/* --- what the dump holds --- */

static const struct partition_table *shadow_of(const struct partition *partition, uint64_t gpa,
                                               unsigned level)
{
    for (unsigned i = 0; i < partition->table_count; i++) {
        const struct partition_table *table = &partition->tables[i];

        if (!table->ours && table->gpa == gpa && table->level == level) {
            return table;
        }
    }
    return NULL;
}

/* The write-protected table in the page of @gpa, the one of the lowest level if it is several; or NULL. */
static const struct partition_table *protected_table(const struct partition *partition, uint64_t gpa)
{
    const uint64_t page = gpa & ~(VMMU_PAGE_BYTES - 1);
    const struct partition_table *found = NULL;

    for (unsigned i = 0; i < partition->table_count; i++) {
        const struct partition_table *table = &partition->tables[i];

        if (!table->ours && table->closed && table->gpa == page && (!found || table->level < found->level)) {
            found = table;
        }
    }
    return found;
}

/* How many shadows, in several roles, one guest page has that protect it: they are opened together. */
static unsigned count_protected(const struct partition *partition, uint64_t page)
{
    unsigned count = 0;

    for (unsigned i = 0; i < partition->table_count; i++) {
        const struct partition_table *table = &partition->tables[i];

        count += !table->ours && table->closed && table->gpa == page;
    }
    return count;
}

/* --- what a fill makes --- */

static bool is_made(const struct look *look, uint64_t gpa, unsigned level)
{
    for (unsigned i = 0; i < look->made_count; i++) {
        if (look->made[i].gpa == gpa && look->made[i].level == level) {
            return true;
        }
    }
    return false;
}

/* The level of the largest leaf that host memory and write-protected tables around @gpa let ours be. */
static unsigned largest_leaf(const struct look *look, uint64_t gpa)
{
    static const uint64_t sizes[] = { VMMU_1G_BYTES, VMMU_2M_BYTES };
    const struct partition_piece *memory = partition_piece_at(look->partition, gpa);

    for (unsigned i = 0; memory && i < 2; i++) {
        const uint64_t base = gpa & ~(sizes[i] - 1);
        bool fits = base >= memory->gpa && base - memory->gpa <= memory->size_bytes &&
                    sizes[i] <= memory->size_bytes - (base - memory->gpa) &&
                    vmmu_is_aligned(memory->gpa - memory->hpa, sizes[i]);

        for (unsigned t = 0; fits && t < look->partition->table_count; t++) {
            const struct partition_table *table = &look->partition->tables[t];

            fits = table->ours || !table->closed || table->gpa - base >= sizes[i];
        }
        if (fits) {
            return 3 - i;
        }
    }
    return 1;
}

/* Tables of ours that piece a guest's large page together. */
static unsigned count_pieces(const struct look *look, unsigned piece, unsigned missing_level)
{
    const struct vmmu_x86_translation *guest = &look->story->native[piece].guest;
    const unsigned top = guest->level != 0 ? guest->level : 3;
    const unsigned leaf = largest_leaf(look, guest->gpa.v);
    unsigned pages = 0;

    for (unsigned level = leaf < top ? leaf : top; level < top; level++) {
        pages += level < missing_level;
    }
    return pages;
}

/*
 * Tables that get a shadow: those that the guest's walk used below the entry that our walk found missing. A guest's page that
 * is larger than any of ours may be is pieced together by more.
 */
static unsigned count_new_pages(struct look *look, unsigned piece, unsigned entries)
{
    const struct walk_model *walk = &look->story->native[piece];
    const unsigned missing_level = vmmu_format_of(&look->hardware.layout)->levels - entries;
    unsigned pages = count_pieces(look, piece, missing_level);

    for (unsigned i = 0; i < walk->entry_count; i++) {
        const unsigned level = walk->entries[i].step.level;
        const uint64_t table = walk->entries[i].step.address & ~(VMMU_PAGE_BYTES - 1);

        if (walk->entries[i].step.stage == VMMU_X86_STAGE_REGISTER || level >= missing_level ||
            shadow_of(look->partition, table, level) || is_made(look, table, level)) {
            continue;
        }
        look->made[look->made_count++] = (struct made){ .gpa = table, .level = level };
        pages++;
    }
    return pages;
}

/* --- one access --- */

static bool was_filled(const struct look *look, uint64_t linear)
{
    for (unsigned i = 0; i < look->filled_count; i++) {
        if (look->filled[i] == (linear & ~(VMMU_PAGE_BYTES - 1))) {
            return true;
        }
    }
    return false;
}

/* A leaf that is filled for one access serves others; for writes only once the guest's page is dirty. */
static bool is_granted_at_once(const struct look *look, unsigned piece)
{
    const struct walk_model *native = &look->story->native[piece];

    return native->status == VMMU_OK && (native->access.kind != VMMU_X86_WRITE || native->guest.dirty);
}

/* Whether faults of what our entry behind @gpa says is absent go to the guest unseen: then its store must be seen. */
static bool is_silent_at(const struct look *look, const struct partition_table *table, uint64_t gpa)
{
    const struct vmmu_ram *ram = &look->partition->image->ram;
    uint64_t ours;

    return look->partition->intel &&
           ram->load(ram->context, table->hpa + gpa % VMMU_PAGE_BYTES / sizeof ours * sizeof ours,
                     sizeof ours, &ours) == VMMU_OK &&
           (ours & 1) == 0;
}

/* The library opens tables of the last level, of which many entries are written, mostly, and roots that nobody uses. */
static bool is_opened(const struct look *look, const struct partition_table *table, uint64_t gpa)
{
    const bool is_root = table->level == vmmu_format_of(&look->hardware.layout)->levels;

    return !is_silent_at(look, table, gpa) &&
           (table->level == 1 || (is_root && table->hpa != look->hardware.root.v));
}

/* The hardware's walk stops: what the hypervisor makes of it. */
static void judge_exit(struct look *look, unsigned piece, struct story_here_piece *out)
{
    const struct walk_model *native = &look->story->native[piece];
    const uint64_t gpa = native->guest.gpa.v;
    const struct partition_table *table =
        native->access.kind == VMMU_X86_WRITE ? protected_table(look->partition, gpa) : NULL;

    out->exits = 1;
    if (native->status == VMMU_GUEST_FAULT) {
        out->end = STORY_FAULT;
        out->reflected = 1;
    } else if (native->status != VMMU_OK || !partition_piece_at(look->partition, gpa)) {
        out->end = STORY_DEVICE;
    } else if (table && !is_opened(look, table, gpa)) {
        out->end = STORY_EMULATED;
        out->write_traps = 1;
    } else {
        out->opened = table ? count_protected(look->partition, table->gpa) : 0;
        out->write_traps = table != NULL;
        out->fills = 1;
        out->new_pages = count_new_pages(look, piece, out->entries);
        look->filled[look->filled_count++] = look->story->list.pieces[piece].linear & ~(VMMU_PAGE_BYTES - 1);
    }
}

static void look_at(struct look *look, unsigned piece, struct story_here_piece *out)
{
    const uint64_t linear = look->story->list.pieces[piece].linear;
    struct vmmu_x86_walk_result walk;
    const enum vmmu_status status =
        vmmu_x86_walk(&look->hardware, &look->partition->image->ram, (vmmu_gva){ linear },
                      story_access(look->story, piece), &walk);

    out->levels = vmmu_format_of(&look->hardware.layout)->levels;
    out->loads = walk.loads;
    out->entries = walk.step_count;
    if (status == VMMU_OK) {
        out->filled = true;
        return;
    }
    if (status != VMMU_GUEST_FAULT) {
        out->end = STORY_NOT_KNOWN;
        return;
    }
    out->entries = walk.step_count != 0 ? walk.step_count - 1U : 0;
    if (walk.fault.vector != VMMU_X86_VECTOR_PF ||
        (look->partition->intel &&
         engine_shadow_is_silent(&look->story->machine->mode, walk.fault.error_code))) {
        out->end = STORY_FAULT;
    } else if (was_filled(look, linear) && is_granted_at_once(look, piece)) {
        out->filled = true;
    } else {
        judge_exit(look, piece, out);
    }
}

static void add_total(struct story_here_piece *total, const struct story_here_piece *piece)
{
    total->loads += piece->loads;
    total->exits += piece->exits;
    total->fills += piece->fills;
    total->new_pages += piece->new_pages;
    total->write_traps += piece->write_traps;
    total->opened += piece->opened;
    total->reflected += piece->reflected;
    total->end = piece->end;
}

static void count_tables(struct story_here *here, const struct partition *partition)
{
    here->pages = partition->table_count;
    for (unsigned i = 0; i < partition->table_count; i++) {
        here->closed += partition->tables[i].closed;
    }
}

void story_tell_here(struct story *story)
{
    const struct machine *machine = story->machine;
    const struct partition_vp *vp = machine->vp;
    struct story_here *here = &story->here;
    struct look look = { .story = story, .partition = machine->partition };
    enum vmmu_status status;

    if (!machine->partition || !vp || !vp->has_shadow) {
        complain(&here->why_not, "the image holds no shadow tables");
        return;
    }
    status =
        machine_shadow_mode(machine->partition, vp, &machine->mode, machine->cpu.maxphyaddr, &look.hardware);
    /* PDPTEs with reserved bits are as the dump has them, and walked. */
    if (status != VMMU_OK && status != VMMU_GUEST_FAULT) {
        complain(&here->why_not, "no processor accepts the shadow's CR3 0x%llx",
                 (unsigned long long)vp->shadow_cr3);
        return;
    }
    here->there = true;
    count_tables(here, machine->partition);
    for (unsigned i = 0; i < story->reached && here->total.end == STORY_GOES_ON; i++) {
        if (access_of(story, i)->refused != 0) {
            here->pieces[i].end = STORY_FAULT;
        } else {
            look_at(&look, i, &here->pieces[i]);
        }
        add_total(&here->total, &here->pieces[i]);
    }
}
