/*
 * Live shadow tables, walked in memory as they stand, against the tables of the guests and what backs them.
 *
 * Shadows are in step: so a leaf that is there must be what the guest's tables give now, and allow no access that they
 * or the backing refuse; its guest entries must be marked; and nothing may write to a table that it came from.
 */
#include "tests/model/machine/engine_shadow_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Writable leaves, and tables of one root, that a look takes in. */
#define MOST_LEAVES 4096U
#define MOST_TABLES 2000U
/* Pages of a large leaf that are looked at one by one. */
#define SAMPLES     64U

struct writable {
    uint64_t gpa;
    uint64_t size_bytes;
    uint64_t va;
};

struct survey {
    struct engine *engine;
    struct vmmu_ram ram; /* the guest's memory, as the reference has it */
    unsigned vp;
    struct vmmu_x86_mode guest;
    struct vmmu_x86_mode hardware;
    const struct vmmu_x86_format *format;
    unsigned tables_seen;
    unsigned writable_count;
    struct writable writable[MOST_LEAVES];
    uint8_t tables[HOST_PAGES / 8 + 1]; /* pages of guest memory from which leaves came */
};

/* One leaf of the hardware's tables. */
struct leaf {
    uint64_t va;
    uint64_t value;
    uint64_t frame;
    uint64_t size_bytes;
    uint8_t level;
    uint8_t rights;
};

static enum vmmu_status guest_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    if (!guest_has_memory(address)) {
        return VMMU_ABSENT;
    }
    *value = reference_load(context, address, width_bytes);
    return VMMU_OK;
}

static void complain(struct survey *survey, const struct leaf *leaf, const char *what)
{
    world_report(survey->engine->world, CHECK_TABLES,
                 "VP %u: the shadow's leaf %#" PRIx64 " of level %u at %#" PRIx64 ": %s", survey->vp,
                 leaf->value, leaf->level, leaf->va, what);
}

/* --- rights --- */

/* Whether some access goes through by @rights and @key on the hardware that the guest's own would stop. */
static bool allows_too_much(const struct survey *survey, const struct leaf *leaf,
                            const struct vmmu_x86_translation *guest)
{
    const unsigned key = vmmu_format_key(survey->format, leaf->value);

    for (unsigned i = 0; i < 24; i++) {
        const struct vmmu_x86_access access = {
            .kind = (enum vmmu_x86_access_kind)(i % 3),
            .user = (i / 3) & 1,
            .eflags_ac = (i / 6) & 1,
            .implicit = (i / 12) & 1,
        };

        if ((!access.user || !access.implicit) &&
            vmmu_walk_judge(&survey->hardware, access, leaf->rights, key) == 0 &&
            vmmu_walk_judge(&survey->guest, access, guest->rights, guest->key) != 0) {
            return true;
        }
    }
    return false;
}

static bool is_backed(struct survey *survey, const struct leaf *leaf, uint64_t gpa)
{
    const uint64_t frame = leaf->frame + (gpa - (leaf->frame & (HOST_SIDE_BYTES - 1)));
    const uint32_t page = host_page(gpa);
    const uint8_t wanted = leaf->rights & HOST_RIGHTS;

    return page != HOST_NO_PAGE && host_frame(survey->engine->backing[page], gpa) == frame &&
           (wanted & ~backing_rights(survey->engine, gpa)) == 0;
}

static void check_backing(struct survey *survey, const struct leaf *leaf, uint64_t gpa)
{
    const uint64_t pages = leaf->size_bytes >> VMMU_PAGE_SHIFT;
    const uint64_t stride = pages > SAMPLES ? pages / SAMPLES : 1;

    for (uint64_t page = 0; page < pages; page += stride) {
        if (!is_backed(survey, leaf, gpa + page * VMMU_PAGE_BYTES)) {
            complain(survey, leaf, "it maps what the host does not give, or not so");
            return;
        }
    }
    if (!is_backed(survey, leaf, gpa + leaf->size_bytes - VMMU_PAGE_BYTES)) {
        complain(survey, leaf, "its last page is not the host's to give");
    }
}

/* --- one leaf --- */

static unsigned type_of(uint64_t pat, unsigned index)
{
    const unsigned type = (unsigned)(pat >> (8 * index)) & 7;

    return type == VMMU_X86_TYPE_UC_MINUS ? VMMU_X86_TYPE_UC : type;
}

/*
 * What the guest's PAT and the host's type are together: of write-back memory the PAT decides, and nothing but write
 * combining is more than uncached. Without paging there is no PAT.
 *
 * Spec: SDM 3A "Selecting Memory Types for Pentium III and More Recent Processor Families"; APM 2 "Combining Memory Types".
 */
static unsigned wanted_type(const struct survey *survey, const struct vmmu_x86_walk_result *walk)
{
    const uint64_t pat = survey->engine->shadow.config.guest_pat;
    const unsigned type = survey->guest.paging == VMMU_X86_PAGING_NONE
                              ? VMMU_X86_TYPE_WB
                              : type_of(pat, walk->translation.pat_index);

    if (backing_type(walk->translation.gpa.v) == VMMU_X86_TYPE_WB || type == VMMU_X86_TYPE_WC) {
        return type;
    }
    return VMMU_X86_TYPE_UC;
}

static void check_attributes(struct survey *survey, const struct leaf *leaf,
                             const struct vmmu_x86_walk_result *walk)
{
    const uint64_t pat = survey->engine->shadow.config.pat;
    const struct vmmu_x86_level *level = &survey->format->level[leaf->level];
    const unsigned index = vmmu_format_pat_index(survey->format, level, leaf->value);

    if ((leaf->value & survey->format->global) && !walk->translation.global) {
        complain(survey, leaf, "it is global, and the guest's is not");
    }
    if (type_of(pat, index) != wanted_type(survey, walk)) {
        complain(survey, leaf, "its memory type is not what guest and host make together");
    }
    if ((leaf->value & (level->accessed | level->dirty)) != (level->accessed | level->dirty) &&
        (leaf->rights & VMMU_X86_RIGHT_WRITE)) {
        complain(survey, leaf, "the hardware will have to mark it");
    }
}

/* The tables that the guest's walk went through have shadows: they must be written by nobody. */
static void note_tables(struct survey *survey, const struct leaf *leaf,
                        const struct vmmu_x86_walk_result *walk)
{
    for (unsigned i = 0; i < walk->step_count; i++) {
        const struct vmmu_x86_step *step = &walk->steps[i];
        const uint32_t page = host_page(step->address);

        if (step->stage == VMMU_X86_STAGE_REGISTER || page == HOST_NO_PAGE) {
            continue;
        }
        survey->tables[page / 8] |= (uint8_t)(1U << (page % 8));
        if (step->marks != 0) {
            complain(survey, leaf, "the guest's entries are not all marked accessed");
        }
    }
}

static void look_at_leaf(struct survey *survey, const struct leaf *leaf)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_mode observer = survey->guest;
    struct vmmu_x86_walk_result walk;
    uint64_t gpa;
    bool on_b;

    observer.smap = observer.user_keys = observer.system_keys = false;
    observer.global_pages = true;
    if (vmmu_x86_walk(&observer, &survey->ram, (vmmu_gva){ leaf->va }, access, &walk) != VMMU_OK) {
        complain(survey, leaf, "the guest has nothing there");
        return;
    }
    if (!host_guest_address(leaf->frame, &gpa, &on_b) || gpa != walk.translation.gpa.v) {
        complain(survey, leaf, "the guest's page is another");
        return;
    }
    if (leaf->size_bytes > walk.translation.page_bytes) {
        complain(survey, leaf, "the guest's page is smaller");
    }
    if (allows_too_much(survey, leaf, &walk.translation)) {
        complain(survey, leaf, "it allows what the guest's entries refuse");
    }
    if ((leaf->rights & VMMU_X86_RIGHT_WRITE)) {
        if (!walk.translation.dirty && survey->guest.paging != VMMU_X86_PAGING_NONE) {
            complain(survey, leaf, "it can be written, and the guest's entry is not dirty");
        }
        if (survey->writable_count < MOST_LEAVES) {
            survey->writable[survey->writable_count++] = (struct writable){ gpa, leaf->size_bytes, leaf->va };
        }
    }
    check_backing(survey, leaf, gpa);
    check_attributes(survey, leaf, &walk);
    note_tables(survey, leaf, &walk);
}

/* --- all of a root --- */

static uint64_t canonical(const struct survey *survey, uint64_t va)
{
    const unsigned unused = 64U - survey->hardware.address_bits;

    return survey->hardware.address_bits == 32 ? va : (uint64_t)((int64_t)(va << unused) >> unused);
}

static void look_at_table(struct survey *survey, unsigned number, uint64_t table, uint64_t base,
                          uint64_t grants)
{
    const struct vmmu_x86_level *level = &survey->format->level[number];
    struct world *world = survey->engine->world;
    const uint64_t *entries;

    if (memory_owner_of(world_memory(world), table) != OWNER_TABLES) {
        world_report(world, CHECK_ISOLATION,
                     "VP %u: the shadow's table at %#" PRIx64 " is none of the library's", survey->vp, table);
        return;
    }
    entries = memory_page(world_memory(world), table & ~(VMMU_PAGE_BYTES - 1));
    entries += (table & (VMMU_PAGE_BYTES - 1)) / sizeof *entries;
    survey->tables_seen++;
    for (uint64_t i = 0; i < BIT64(level->index_bits) && survey->tables_seen < MOST_TABLES; i++) {
        const uint64_t value = entries[i];

        if (!vmmu_format_is_present(survey->format, value)) {
            continue;
        }
        const uint64_t below = grants & vmmu_format_grants(survey->format, level, value);
        const struct leaf leaf = {
            .va = canonical(survey, base | i << level->shift),
            .value = value,
            .frame = vmmu_format_frame(level, value),
            .size_bytes = vmmu_format_level_bytes(level),
            .level = (uint8_t)number,
            .rights = vmmu_format_rights(survey->format, below),
        };

        if (vmmu_format_is_refused(&survey->hardware.layout, number, vmmu_format_is_leaf(level, value),
                                   value)) {
            complain(survey, &leaf, "it has a reserved bit set");
        } else if (vmmu_format_is_leaf(level, value)) {
            look_at_leaf(survey, &leaf);
        } else {
            look_at_table(survey, number - 1, vmmu_format_table(level, value), base | i << level->shift,
                          below);
        }
    }
}

static void look_at_vp(struct survey *survey, unsigned vp)
{
    struct engine *engine = survey->engine;
    const struct vmmu_x86_mode *guest = reference_mode(world_reference(engine->world), vp);

    survey->vp = vp;
    survey->guest = *guest;
    survey->hardware = engine->vps[vp].hardware;
    survey->hardware.pkru = guest->pkru;
    survey->format = vmmu_format_of(&survey->hardware.layout);
    survey->tables_seen = 0;
    look_at_table(survey, survey->format->levels, survey->hardware.root.v, 0, ~UINT64_C(0));
}

/* --- what can be written --- */

static void check_writable(struct survey *survey, const struct writable *writable)
{
    const uint32_t first = host_page(writable->gpa);
    const uint32_t pages = (uint32_t)(writable->size_bytes >> VMMU_PAGE_SHIFT);

    for (uint32_t page = first; page < first + pages; page++) {
        if (page % 8 == 0 && survey->tables[page / 8] == 0) {
            page += 7;
        } else if (survey->tables[page / 8] >> (page % 8) & 1) {
            world_report(survey->engine->world, CHECK_TABLES,
                         "a leaf at %#" PRIx64 " lets the guest write gpa %#" PRIx64
                         ", whose table is being shadowed",
                         writable->va, host_page_gpa(page));
            return;
        }
    }
}

static void check_accounts(const struct engine *engine)
{
    const struct vmmu_shadow_counters *counters = &engine->shadow.counters;
    const struct vmmu_table_counters *tables = &world_tables(engine->world)->counters;

    if (counters->pages > engine->shadow.config.pool_pages || counters->pages > tables->held_pages ||
        counters->split_pages > counters->pages || counters->violations != engine->lies) {
        world_report(engine->world, CHECK_TABLES,
                     "the shadow says %" PRIu64 " pages, %" PRIu64 " of them splitting, %" PRIu64
                     " violations; table memory holds %u",
                     counters->pages, counters->split_pages, counters->violations, tables->held_pages);
    }
}

void shadow_check(struct engine *engine)
{
    struct survey *survey = calloc(1, sizeof *survey);

    if (!survey) {
        abort();
    }
    survey->engine = engine;
    survey->ram = (struct vmmu_ram){ .context = world_reference(engine->world), .load = guest_load };
    for (unsigned vp = 0; vp < world_setting(engine->world)->vps; vp++) {
        look_at_vp(survey, vp);
    }
    for (unsigned i = 0; i < survey->writable_count; i++) {
        check_writable(survey, &survey->writable[i]);
    }
    check_accounts(engine);
    free(survey);
}
