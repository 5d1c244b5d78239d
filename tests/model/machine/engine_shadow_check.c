/*
 * Live shadow tables, walked in memory as they stand, as each virtual processor's hardware has them.
 *
 * What holds of every page and entry is in tests/unit/shadow/invariants.h. Here is what only a whole walk shows: where all
 * tables on the way are in step, a leaf must be what the guest's tables give now, and no access may go through that they refuse.
 */
#include "tests/model/machine/engine_shadow_internal.h"

#include <inttypes.h>

#include "tests/unit/shadow/invariants.h"

/* Tables of one root that a look takes in. */
#define MOST_TABLES    200U
/* Of its leaves, those that are looked at. */
#define LEAVES_ONCE_IN 4U

struct survey {
    struct engine *engine;
    struct vmmu_ram ram; /* the guest's memory, as the reference has it */
    unsigned vp;
    struct vmmu_x86_mode guest;
    struct vmmu_x86_mode hardware;
    const struct vmmu_x86_format *format;
    unsigned tables_seen;
    uint8_t *
        users; /* of each page of table memory that was met: the virtual processor, counted from 1. NULL: nobody asks */
};

/* What has been gathered on the way down to a table. */
struct way {
    uint64_t base; /* of the addresses below */
    uint64_t grants;
    bool in_step; /* all tables are, so far */
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

/* --- one leaf --- */

/* The guest marked its entries before a leaf was made of them. */
static void check_marks(struct survey *survey, const struct leaf *leaf,
                        const struct vmmu_x86_walk_result *walk)
{
    for (unsigned i = 0; i < walk->step_count; i++) {
        if (walk->steps[i].stage != VMMU_X86_STAGE_REGISTER && walk->steps[i].marks != 0) {
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
    check_marks(survey, leaf, &walk);
}

/* --- all of a root --- */

static uint64_t canonical(const struct survey *survey, uint64_t va)
{
    const unsigned unused = 64U - survey->hardware.address_bits;

    return survey->hardware.address_bits == 32 ? va : (uint64_t)((int64_t)(va << unused) >> unused);
}

/* Where each virtual processor has pages of its own, nobody else has come by this one. */
static void check_user(struct survey *survey, uint64_t table)
{
    uint8_t *user = survey->users ? &survey->users[(table - HOST_TABLES_BASE) / VMMU_PAGE_BYTES] : NULL;

    if (user && *user != 0 && *user != survey->vp + 1) {
        world_report(survey->engine->world, CHECK_TABLES,
                     "the shadow's table at %#" PRIx64 " serves VP %u and VP %u", table, *user - 1U,
                     survey->vp);
    }
    if (user) {
        *user = (uint8_t)(survey->vp + 1);
    }
}

static void look_at_table(struct survey *survey, unsigned number, uint64_t table, struct way way)
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
    check_user(survey, table);
    way.in_step = way.in_step && shadow_is_in_step(&survey->engine->shadow, (vmmu_hpa){ table });
    for (uint64_t i = 0; i < BIT64(level->index_bits) && survey->tables_seen < MOST_TABLES; i++) {
        const uint64_t value = entries[i];

        if (!shadow_leads(&survey->engine->shadow, value)) {
            continue;
        }
        const struct way below = {
            .base = way.base | i << level->shift,
            .grants = way.grants & vmmu_format_grants(survey->format, level, value),
            .in_step = way.in_step,
        };
        const struct leaf leaf = {
            .va = canonical(survey, below.base),
            .value = value,
            .frame = vmmu_format_frame(level, value),
            .size_bytes = vmmu_format_level_bytes(level),
            .level = (uint8_t)number,
            .rights = vmmu_format_rights(survey->format, below.grants),
        };

        if (vmmu_format_is_refused(&survey->hardware.layout, number, vmmu_format_is_leaf(level, value),
                                   value)) {
            complain(survey, &leaf, "it has a reserved bit set");
        } else if (!vmmu_format_is_leaf(level, value)) {
            look_at_table(survey, number - 1, vmmu_format_table(level, value), below);
        } else if (way.in_step && world_once_in(world, LEAVES_ONCE_IN)) {
            look_at_leaf(survey, &leaf);
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
    look_at_table(survey, survey->format->levels, survey->hardware.root.v,
                  (struct way){ .grants = ~UINT64_C(0), .in_step = true });
}

/* --- all --- */

static void look_at_all_vps(struct survey *survey)
{
    uint8_t users[HOST_TABLE_PAGES] = { 0 };

    survey->users = users;
    for (unsigned vp = 0; vp < world_setting(survey->engine->world)->vps; vp++) {
        look_at_vp(survey, vp);
    }
    survey->users = NULL;
}

static void check_accounts(const struct engine *engine)
{
    const struct vmmu_shadow_counters *counters = &engine->shadow.counters;
    const struct vmmu_table_counters *tables = &world_tables(engine->world)->counters;

    if (counters->pages > tables->held_pages || counters->violations != engine->lies) {
        world_report(engine->world, CHECK_TABLES,
                     "the shadow says %" PRIu64 " pages, %" PRIu64 " violations; table memory holds %u",
                     counters->pages, counters->violations, tables->held_pages);
    }
}

static void check_invariants(const struct survey *survey)
{
    const struct shadow_witness witness = {
        .shadow = &survey->engine->shadow,
        .cpu = world_cpu(survey->engine->world),
        .ram = &survey->ram,
    };
    struct shadow_breach where;
    const char *breach = shadow_breach(&witness, &where);

    if (breach) {
        world_report(survey->engine->world, CHECK_TABLES, "not so of shadow page %u, entry %u: %s",
                     where.page, where.index, breach);
    }
}

void shadow_check(struct engine *engine, bool all)
{
    struct survey survey = {
        .engine = engine,
        .ram = { .context = world_reference(engine->world), .load = guest_load },
    };

    if (world_setting(engine->world)->silent) {
        shadow_check_silence(engine, all);
    }
    if (!all) {
        return;
    }
    check_invariants(&survey);
    if (world_setting(engine->world)->private_vps) {
        look_at_all_vps(&survey);
    } else {
        look_at_vp(&survey, world_below(engine->world, world_setting(engine->world)->vps));
    }
    check_accounts(engine);
}
