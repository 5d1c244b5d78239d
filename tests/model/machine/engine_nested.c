/*
 * Nested paging: the guest's faults and control instructions are its own; what the host does is one call of
 * the library each, repeated while that asks for a flush.
 */
#include "tests/model/machine/engine_nested.h"

#include <stdlib.h>

#include "tests/model/machine/world.h"

#define PHYSICAL_BITS 40

/* WB, WT, UC-, UC, WB, WP, UC-, WC. */
#define HOST_PAT      UINT64_C(0x0107050600070406)

/* Turns of flush and retry that any one operation may need: what is put off, split, flush, change, merge. */
#define TURNS         8

struct engine {
    struct world *world;
    struct vmmu_nested nested;
    struct vmmu_x86_stage2 stage2;
};

/* Repeat an operation until it is done. */
#define UNTIL_DONE(engine, status, call)                                                                     \
    do {                                                                                                     \
        (status) = VMMU_FLUSH_RETRY;                                                                         \
        for (unsigned turn = 0; turn < TURNS && (status) == VMMU_FLUSH_RETRY; turn++) {                      \
            const struct vmmu_outcome outcome = (call);                                                      \
            (status) = conclude((engine), &outcome);                                                         \
        }                                                                                                    \
    } while (0)

/* The next turn needs its flush now; of the last one the host may think as it likes. */
static enum vmmu_status conclude(struct engine *engine, const struct vmmu_outcome *outcome)
{
    if (outcome->status == VMMU_FLUSH_RETRY) {
        world_apply(engine->world, &outcome->plan);
    } else {
        world_hand_over(engine->world, &outcome->plan);
    }
    return outcome->status;
}

/* --- life --- */

static struct vmmu_nested_config config_of(const struct setting *setting, enum vmmu_nested_format format)
{
    const bool ept = format == VMMU_NESTED_EPT;

    return (struct vmmu_nested_config){
        .format = format,
        .levels = setting->second_levels,
        .maxphyaddr = PHYSICAL_BITS,
        .largest_level = setting->largest,
        .largest_execute_level = setting_has_small_code(setting) ? VMMU_NESTED_LEVEL_4K : 0,
        .execute_only = ept && setting->execute_only,
        .accessed_dirty = !ept || setting->second_dirty,
        .pat = HOST_PAT,
        .vps = BIT64(setting->vps) - 1,
    };
}

/* What a processor is told of the tables. */
static enum vmmu_status describe(const struct vmmu_nested *nested, struct vmmu_x86_stage2 *out)
{
    const struct vmmu_x86_limits limits = {
        .physical_bits = PHYSICAL_BITS,
        .nx = true,
        .gib_pages = true,
        .execute_only = nested->config.execute_only,
        .bit8_reserved = true,
    };
    const uint64_t root = vmmu_nested_root(nested);

    if (nested->config.format == VMMU_NESTED_EPT) {
        return vmmu_stage2_ept(root, &limits, NULL, out);
    }
    return vmmu_stage2_npt(nested->config.levels == 5 ? VMMU_X86_FORMAT_5LEVEL : VMMU_X86_FORMAT_4LEVEL,
                           &limits, NULL, (vmmu_hpa){ root }, out);
}

static struct engine *create(struct world *world, enum vmmu_nested_format format)
{
    const struct vmmu_nested_config config = config_of(world_setting(world), format);
    struct engine *engine = calloc(1, sizeof *engine);

    if (!engine) {
        return NULL;
    }
    engine->world = world;
    if (vmmu_nested_init(&engine->nested, &config, world_tables(world)) != VMMU_OK) {
        free(engine);
        return NULL;
    }
    if (describe(&engine->nested, &engine->stage2) != VMMU_OK) {
        vmmu_nested_destroy(&engine->nested);
        free(engine);
        return NULL;
    }
    return engine;
}

static struct engine *create_npt(struct world *world)
{
    return create(world, VMMU_NESTED_NPT);
}

static struct engine *create_ept(struct world *world)
{
    return create(world, VMMU_NESTED_EPT);
}

static void destroy(struct engine *engine)
{
    vmmu_nested_destroy(&engine->nested);
    free(engine);
}

/* --- running --- */

static void load(struct engine *engine, unsigned vp, const struct vmmu_x86_mode *mode,
                 struct guest_state *state)
{
    (void)vp;
    state->mode = *mode;
    state->nested = true;
    state->stage2 = engine->stage2;
}

/* The page as it is now, or split so that only 4 KiB are logged: as much as there is memory for. */
static enum vmmu_status log_write(struct engine *engine, vmmu_gpa gpa)
{
    const bool whole_page = world_once_in(engine->world, 4);
    enum vmmu_status status;

    UNTIL_DONE(engine, status, vmmu_nested_log_fault(&engine->nested, gpa, whole_page));
    if (status == VMMU_NO_MEMORY) {
        UNTIL_DONE(engine, status, vmmu_nested_log_fault(&engine->nested, gpa, true));
    }
    return status;
}

/* What the hardware says of the access: a table that it reads as if written is both. */
static enum vmmu_x86_access_kind kind_of(const struct engine *engine,
                                         const struct vmmu_x86_stage2_fault *fault)
{
    const bool ept = engine->nested.config.format == VMMU_NESTED_EPT;

    if (ept ? fault->qualification & VMMU_X86_EPT_VIOLATION_WRITE : fault->exitinfo1 & VMMU_X86_PF_WRITE) {
        return VMMU_X86_WRITE;
    }
    if (ept ? fault->qualification & VMMU_X86_EPT_VIOLATION_FETCH : fault->exitinfo1 & VMMU_X86_PF_FETCH) {
        return VMMU_X86_EXECUTE;
    }
    return VMMU_X86_READ;
}

static struct engine_verdict stage2_fault(struct engine *engine, unsigned vp,
                                          const struct vmmu_x86_stage2_fault *fault)
{
    struct engine_verdict verdict = { .answer = ENGINE_RETRY, .gpa = fault->gpa.v };

    (void)vp;
    if (fault->reason == VMMU_X86_STAGE2_MISCONFIGURED || fault->reason == VMMU_X86_STAGE2_RESERVED) {
        verdict.answer = ENGINE_BROKEN;
        return verdict;
    }
    switch (vmmu_nested_resolve(&engine->nested, fault->gpa, kind_of(engine, fault))) {
    case VMMU_NESTED_ABSENT:
    case VMMU_NESTED_DENIED: verdict.answer = ENGINE_DEVICE; break;
    case VMMU_NESTED_SPURIOUS: break;
    case VMMU_NESTED_LOGGED:
        if (log_write(engine, fault->gpa) != VMMU_OK) {
            verdict.answer = ENGINE_BROKEN;
        }
        break;
    }
    return verdict;
}

/* --- the host's changes --- */

static enum vmmu_status map(struct engine *engine, const struct vmmu_nested_mapping *mapping)
{
    enum vmmu_status status;

    UNTIL_DONE(engine, status, vmmu_nested_map(&engine->nested, mapping));
    return status;
}

static enum vmmu_status unmap(struct engine *engine, uint64_t gpa, uint64_t size_bytes)
{
    enum vmmu_status status;

    UNTIL_DONE(engine, status, vmmu_nested_unmap(&engine->nested, (vmmu_gpa){ gpa }, size_bytes));
    return status;
}

static enum vmmu_status protect(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t rights)
{
    enum vmmu_status status;

    UNTIL_DONE(engine, status, vmmu_nested_protect(&engine->nested, (vmmu_gpa){ gpa }, size_bytes, rights));
    return status;
}

static enum vmmu_status split(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t level)
{
    enum vmmu_status status;

    UNTIL_DONE(engine, status, vmmu_nested_split(&engine->nested, (vmmu_gpa){ gpa }, size_bytes, level));
    return status;
}

static enum vmmu_status merge(struct engine *engine, uint64_t gpa, uint64_t size_bytes)
{
    enum vmmu_status status;

    UNTIL_DONE(engine, status, vmmu_nested_merge(&engine->nested, (vmmu_gpa){ gpa }, size_bytes));
    return status;
}

static enum vmmu_status log_start(struct engine *engine, enum vmmu_nested_log log)
{
    enum vmmu_status status;

    UNTIL_DONE(engine, status, vmmu_nested_log_start(&engine->nested, log));
    return status;
}

static enum vmmu_status log_collect(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t *bitmap)
{
    enum vmmu_status status;

    UNTIL_DONE(engine, status,
               vmmu_nested_log_collect(&engine->nested, (vmmu_gpa){ gpa }, size_bytes, bitmap));
    return status;
}

static enum vmmu_status log_stop(struct engine *engine)
{
    enum vmmu_status status;

    UNTIL_DONE(engine, status, vmmu_nested_log_stop(&engine->nested));
    return status;
}

static enum vmmu_status harvest(struct engine *engine, uint64_t gpa, uint64_t size_bytes,
                                const struct vmmu_nested_harvester *harvester)
{
    enum vmmu_status status;

    UNTIL_DONE(engine, status,
               vmmu_nested_harvest(&engine->nested, (vmmu_gpa){ gpa }, size_bytes, harvester));
    return status;
}

static enum vmmu_status lookup(const struct engine *engine, uint64_t gpa, struct vmmu_nested_page *out)
{
    return vmmu_nested_lookup(&engine->nested, (vmmu_gpa){ gpa }, out);
}

/* What both formats have in common. */
#define NESTED_CALLS                                                                                         \
    .destroy = destroy, .load = load, .stage2_fault = stage2_fault, .map = map, .unmap = unmap,              \
    .protect = protect, .split = split, .merge = merge, .log_start = log_start, .log_collect = log_collect,  \
    .log_stop = log_stop, .harvest = harvest, .lookup = lookup

const struct engine_class engine_npt = { .name = "npt", .amd = true, .create = create_npt, NESTED_CALLS };
const struct engine_class engine_ept = { .name = "ept", .intel = true, .create = create_ept, NESTED_CALLS };
