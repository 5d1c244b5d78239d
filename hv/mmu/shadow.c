/*
 * The technique `shadow`: the processor walks tables of ours in place of the guest's, for machines whose
 * processor translates once only.
 *
 * The engine (shadow.h) decides; this file tells it where guest memory is, applies its plans, and ends the
 * partition if it cannot go on. Nothing is mapped beforehand: the guest's faults fill the tables.
 */
#include <vmmu/shadow_view.h>

#include "hv/boot/memory.h"
#include "hv/guest/config.h"
#include "hv/mmu/x86_state.h"
#include "hv/monitor/shadow_text.h"
#include "hv/monitor/text.h"
#include "hv/vp/arch.h"

/*
 * Shadow pages of a partition at most, for each page of its memory: a guest maps its memory some few times
 * over, by tables that each serve 512 pages. What cannot be held at a time is made again when it is used.
 */
#define GUEST_PAGES_FOR_EACH 64
#define POOL_LEAST           1024u
#define POOL_MOST            65536u
#define POOL_BOUND           (1u << 20)

/* A number as a text. */
#define TEXT(number)         #number
#define STRING(number)       TEXT(number)

/* Beside the pool: pages in quarantine. */
#define QUARANTINE_PAGES     64u

/* --- guest memory, as the engine asks for it --- */

/*
 * Where no memory is, table entries read as all ones, as from a bus that nobody drives. Where the parent withholds it they are
 * absent: whose tables these are stops there.
 */
static enum vmmu_status ram_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const void *entry = mmu_entry_at(context, (vmmu_gpa){ address }, width_bytes);

    if (!entry && mmu_grant(context, (vmmu_gpa){ address }, GUEST_READ) != MMU_GRANTED) {
        return VMMU_ABSENT;
    }
    if (!entry) {
        *value = width_bytes == 4 ? UINT32_MAX : UINT64_MAX;
    } else if (width_bytes == 4) {
        *value = __atomic_load_n((const uint32_t *)entry, __ATOMIC_ACQUIRE);
    } else {
        *value = __atomic_load_n((const uint64_t *)entry, __ATOMIC_ACQUIRE);
    }
    return VMMU_OK;
}

static enum vmmu_status ram_exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                     uint64_t desired)
{
    return mmu_exchange_entry(context, (vmmu_gpa){ address }, width_bytes, expected, desired);
}

/*
 * The same where the guest's say in how tables are cached is honoured: no entry stays in a cache. Which of the guest's
 * ask for that is not looked at, for nobody can tell.
 */
static enum vmmu_status uncached_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const void *entry = mmu_entry_at(context, (vmmu_gpa){ address }, width_bytes);

    if (entry) {
        arch_evict(entry);
    }
    return ram_load(context, address, width_bytes, value);
}

static enum vmmu_status uncached_exchange(void *context, uint64_t address, unsigned width_bytes,
                                          uint64_t expected, uint64_t desired)
{
    const enum vmmu_status status = ram_exchange(context, address, width_bytes, expected, desired);
    const void *entry = mmu_entry_at(context, (vmmu_gpa){ address }, width_bytes);

    if (entry) {
        arch_evict(entry);
    }
    return status;
}

static bool is_covered(const struct mmu *mmu, uint64_t base, uint64_t size_bytes)
{
    for (unsigned i = 0; i < mmu->overlay_count; i++) {
        if (mmu->overlays[i].gpa.v - base < size_bytes) {
            return true;
        }
    }
    return guest_patches_touch(&mmu->patches, (vmmu_gpa){ base }, size_bytes);
}

/* The largest page around @gpa that lies in @slot, aligned in both spaces, under no cover. */
static uint64_t piece_bytes(const struct mmu *mmu, const struct guest_slot *slot, vmmu_gpa gpa)
{
    static const uint64_t sizes[] = { VMMU_1G_BYTES, VMMU_2M_BYTES };

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uint64_t base = gpa.v & ~(sizes[i] - 1);

        if (sizes[i] <= slot->size && base - slot->gpa.v <= slot->size - sizes[i] &&
            vmmu_is_aligned(slot->gpa.v - slot->hpa.v, sizes[i]) && !is_covered(mmu, base, sizes[i])) {
            return sizes[i];
        }
    }
    return VMMU_PAGE_BYTES;
}

/* A page that covers what else there would be. What cannot be read is not there. */
static enum vmmu_status backing_of_cover(const struct mmu_cover *cover, vmmu_gpa gpa,
                                         struct vmmu_shadow_backing *out)
{
    const uint8_t rights = cover->overlay ? cover->overlay->rights : cover->patch->rights;

    if (!(rights & VMMU_X86_RIGHT_READ)) {
        return VMMU_ABSENT;
    }
    *out = (struct vmmu_shadow_backing){ .size_bytes = VMMU_PAGE_BYTES,
                                         .rights = rights,
                                         .type = VMMU_X86_TYPE_WB };
    out->frame = cover->overlay ? cover->overlay->page
                                : mmu_lent_at(cover->patch, (vmmu_gpa){ gpa.v & ~(VMMU_PAGE_BYTES - 1) });
    return VMMU_OK;
}

static enum vmmu_status backing(void *context, vmmu_gpa gpa, struct vmmu_shadow_backing *out)
{
    const struct partition *partition = context;
    const struct mmu_cover cover = mmu_cover_over(partition->mmu, gpa);
    const struct guest_slot *slot;
    uint64_t size_bytes;

    if (cover.overlay || cover.patch) {
        return backing_of_cover(&cover, gpa, out);
    }
    slot = mmu_slot_of(partition, gpa);
    if (!slot) {
        return VMMU_ABSENT;
    }
    size_bytes = piece_bytes(partition->mmu, slot, gpa);
    *out =
        (struct vmmu_shadow_backing){ .frame = { (slot->hpa.v + (gpa.v - slot->gpa.v)) & ~(size_bytes - 1) },
                                      .size_bytes = size_bytes,
                                      .rights = VMMU_X86_RIGHTS_ALL,
                                      .type = VMMU_X86_TYPE_WB };
    return VMMU_OK;
}

/* --- the technique --- */

static uint32_t pool_pages(const struct partition *partition)
{
    const uint64_t wanted = guest_memory_bytes(&partition->memory) / (VMMU_PAGE_BYTES * GUEST_PAGES_FOR_EACH);

    if (partition->config->pool_pages) {
        return partition->config->pool_pages;
    }
    if (wanted < POOL_LEAST) {
        return POOL_LEAST;
    }
    return wanted < POOL_MOST ? (uint32_t)wanted : POOL_MOST;
}

static uint32_t table_pages(const struct partition *partition)
{
    const uint32_t pages = pool_pages(partition); /* which shadow_create() looks at */

    return (pages < POOL_BOUND ? pages : POOL_BOUND) + QUARANTINE_PAGES + mmu_stage2_pages(partition);
}

static uint32_t floor_pages(const struct partition *partition)
{
    const uint32_t of_vps = partition->vp_count * VMMU_SHADOW_FLOOR_FOR_A_VP;

    return of_vps > VMMU_SHADOW_FLOOR_PAGES ? of_vps : VMMU_SHADOW_FLOOR_PAGES;
}

static const char *shadow_create(struct partition *partition)
{
    const struct vmmu_hyperv_policy *policy = &partition->config->policy;
    struct mmu_x86 *mmu = mmu_x86(partition);
    struct vmmu_shadow_config config = { .ram = &mmu->ram,
                                         .context = partition,
                                         .backing = backing,
                                         .pool_pages = pool_pages(partition),
                                         .vps = BIT64(partition->vp_count) - 1,
                                         .private_vps = !policy->shadow_sharing,
                                         .heeds_table_cache =
                                             policy->table_cache == VMMU_HYPERV_CACHE_MESSAGE };
    const size_t bytes = vmmu_shadow_memory_bytes(config.pool_pages);
    struct vmmu_nested_config phases;
    const char *missing;
    vmmu_hpa at;

    mmu->ram = policy->table_cache == VMMU_HYPERV_CACHE_HONOR
                   ? (struct vmmu_ram){ partition, uncached_load, uncached_exchange }
                   : (struct vmmu_ram){ partition, ram_load, ram_exchange };
    missing = mmu_tables_create(partition, table_pages(partition));
    if (missing) {
        return missing;
    }
    missing = arch_shadow(&config);
    if (missing) {
        return missing;
    }
    if (config.pool_pages < floor_pages(partition)) {
        return "the pool is below its floor: pool= wants " STRING(
            VMMU_SHADOW_FLOOR_PAGES) " shadow pages or "
                                     "more, and " STRING(
                                         VMMU_SHADOW_FLOOR_FOR_A_VP) " for each virtual processor";
    }
    if (!bytes) {
        return "the pool is larger than any guest can use: pool= wants 1048576 shadow pages at most";
    }
    if (!memory_take(bytes, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for the account of shadow pages";
    }
    if (memory_free_bytes() < (uint64_t)(floor_pages(partition) + QUARANTINE_PAGES) * VMMU_PAGE_BYTES) {
        return "no memory is left for the least pool of shadow pages";
    }
    if (vmmu_shadow_init(&mmu->shadow, &config, &mmu->memory, memory_at(at), bytes) != VMMU_OK) {
        return "the shadow tables could not be started";
    }
    mmu->has_phases = arch_phase_stage2(&phases);
    return mmu->has_phases ? mmu_stage2_create(partition, &phases) : NULL;
}

/* Whether the engine has done what it was asked for; else the partition ends. */
static bool went_well(struct partition *partition, enum vmmu_status status)
{
    switch (status) {
    case VMMU_OK:
    case VMMU_RACED: return true;
    case VMMU_NO_MEMORY:
        partition_end(partition, PARTITION_STOPPED, 0, "no memory is left for shadow pages");
        return false;
    case VMMU_FLUSH_RETRY:
        partition_end(partition, PARTITION_STOPPED, 0, "the shadow tables make no progress");
        return false;
    case VMMU_GUEST_FAULT:
    case VMMU_STAGE2:
    case VMMU_ABSENT:
    case VMMU_INVALID:
    case VMMU_UNSUPPORTED:
    case VMMU_VIOLATED: break;
    }
    partition_end(partition, PARTITION_STOPPED, 0, "the shadow tables could not follow the guest");
    return false;
}

bool mmu_enter(struct vp *vp, const struct vmmu_x86_mode *mode, struct vmmu_shadow_root *root)
{
    struct partition *partition = vp->partition;
    enum vmmu_status status;

    MMU_UNTIL_DONE(partition, status, vmmu_shadow_enter(&mmu_x86(partition)->shadow, vp->index, mode, root));
    return went_well(partition, status);
}

bool mmu_linear_fault(struct vp *vp, vmmu_gva va, struct vmmu_x86_access access,
                      struct vmmu_shadow_verdict *verdict)
{
    struct partition *partition = vp->partition;
    struct mmu_x86 *mmu = mmu_x86(partition);
    enum vmmu_status status;

    mmu->mmu.faults++;
    MMU_UNTIL_DONE(partition, status, vmmu_shadow_fault(&mmu->shadow, vp->index, va, access, verdict));
    if (status == VMMU_RACED) {
        verdict->answer = VMMU_SHADOW_RETRY;
    }
    return went_well(partition, status);
}

void mmu_set_keys(struct vp *vp, uint32_t pkru, uint32_t pkrs)
{
    vmmu_shadow_set_keys(&mmu_x86(vp->partition)->shadow, vp->index, pkru, pkrs);
}

void mmu_invlpg(struct vp *vp, vmmu_gva va)
{
    struct partition *partition = vp->partition;
    enum vmmu_status status;

    MMU_UNTIL_DONE(partition, status, vmmu_shadow_invlpg(&mmu_x86(partition)->shadow, vp->index, va));
    (void)went_well(partition, status);
}

static void shadow_wrote(struct partition *partition, vmmu_gpa gpa, uint32_t bytes)
{
    enum vmmu_status status;

    MMU_UNTIL_DONE(partition, status, vmmu_shadow_wrote(&mmu_x86(partition)->shadow, gpa, bytes));
    (void)went_well(partition, status);
}

void mmu_drop(struct partition *partition, vmmu_gpa gpa)
{
    enum vmmu_status status;

    MMU_UNTIL_DONE(partition, status, vmmu_shadow_drop(&mmu_x86(partition)->shadow, gpa));
    (void)went_well(partition, status);
}

void mmu_set_guest_pat(struct partition *partition, uint64_t pat)
{
    enum vmmu_status status;

    MMU_UNTIL_DONE(partition, status, vmmu_shadow_set_guest_pat(&mmu_x86(partition)->shadow, pat));
    (void)went_well(partition, status);
}

/* Every frame that there may be. */
static void shadow_drop_all(struct partition *partition)
{
    enum vmmu_status status;

    MMU_UNTIL_DONE(partition, status,
                   vmmu_shadow_forget(&mmu_x86(partition)->shadow, (vmmu_gpa){ 0 }, BIT64(52)));
    (void)went_well(partition, status);
}

/* The list of overlays says it already: what was made from what stood there goes, translations and tables. */
static bool forget_page(struct partition *partition, vmmu_gpa gpa)
{
    enum vmmu_status status;

    MMU_UNTIL_DONE(partition, status, vmmu_shadow_forget(&mmu_x86(partition)->shadow, gpa, VMMU_PAGE_BYTES));
    return went_well(partition, status);
}

static bool shadow_unmap(struct partition *partition, vmmu_gpa gpa)
{
    return (!mmu_x86(partition)->has_phases || mmu_stage2_unmap(partition, gpa)) &&
           forget_page(partition, gpa);
}

static bool shadow_map(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights)
{
    return (!mmu_x86(partition)->has_phases || mmu_stage2_map(partition, gpa, page, rights)) &&
           forget_page(partition, gpa);
}

static bool shadow_reaches(const struct mmu *mmu, vmmu_gpa gpa)
{
    return !((const struct mmu_x86 *)mmu)->has_phases || mmu_stage2_reaches(mmu, gpa);
}

/* --- for people --- */

static void shadow_report(const struct partition *partition, struct json *json)
{
    const struct vmmu_shadow_counters *counters = &mmu_x86(partition)->shadow.counters;

    mmu_tables_report(partition, json);
    json_number(json, "faults", partition->mmu->faults);
    json_number(json, "pool_pages", mmu_x86(partition)->shadow.config.pool_pages);
    json_number(json, "all_dropped", partition->mmu->upsets);
    json_number(json, "fills", counters->fills);
    json_number(json, "prefills", counters->prefills);
    json_number(json, "reflected", counters->reflected);
    json_number(json, "spurious_faults", counters->spurious);
    json_number(json, "write_traps", counters->write_traps);
    json_number(json, "dropped", counters->dropped);
    json_number(json, "syncs", counters->syncs);
    json_number(json, "opened", counters->opened);
    json_number(json, "closed", counters->closed);
    json_number(json, "invlpgs", counters->invlpgs);
    json_number(json, "evicted", counters->evicted);
    json_number(json, "pages", counters->pages);
    json_number(json, "peak_pages", counters->peak_pages);
    json_number(json, "split_pages", counters->split_pages);
    json_number(json, "silenced", counters->silenced);
    json_number(json, "zapped", counters->zapped);
    json_number(json, "stores", counters->stores);
    json_number(json, "roots_found", counters->roots_found);
    json_number(json, "roots_made", counters->roots_made);
    json_number(json, "violations", counters->violations);
}

static void shadow_state(const struct partition *partition, struct json *json)
{
    static const char *const kinds[] = {
        [VMMU_SHADOW_TABLE_OURS] = "ours",
        [VMMU_SHADOW_TABLE_OPEN] = "open",
        [VMMU_SHADOW_TABLE_CLOSING] = "closing",
        [VMMU_SHADOW_TABLE_CLOSED] = "closed",
    };
    struct vmmu_shadow_view_table table;

    json_array(json, "tables");
    for (uint32_t next = 0; vmmu_shadow_view_table(&mmu_x86(partition)->shadow, &next, &table);) {
        json_object(json, NULL);
        json_hex(json, "hpa", table.at.v);
        json_hex(json, "gpa", table.gpa.v);
        json_number(json, "level", table.level);
        json_text(json, "kind", kinds[table.kind]);
        json_end_object(json);
    }
    json_end_array(json);
}

static bool shadow_has_table(const struct mmu *mmu, vmmu_hpa page)
{
    const struct mmu_x86 *x86 = (const struct mmu_x86 *)mmu;
    struct vmmu_shadow_view_table table;

    for (uint32_t next = 0; vmmu_shadow_view_table(&x86->shadow, &next, &table);) {
        if (table.at.v == page.v) {
            return true;
        }
    }
    return x86->has_phases && vmmu_nested_has_table(&x86->nested, page);
}

static void shadow_walk(const struct vp *vp, vmmu_gva va, const struct format_sink *sink)
{
    struct vmmu_shadow_view view;
    const enum vmmu_status status = vmmu_shadow_view(&mmu_x86(vp->partition)->shadow, vp->index, va, &view);

    if (status == VMMU_OK) {
        shadow_text_view(sink, vp->index, va, &view);
    } else if (status == VMMU_GUEST_FAULT) {
        text_say(sink, "%016lx is not canonical\n", (unsigned long)va.v);
    } else {
        text_say(sink, "VP %u has not run yet\n", vp->index);
    }
}

static void shadow_counters(const struct partition *partition, const struct format_sink *sink)
{
    shadow_text_counters(sink, &mmu_x86(partition)->shadow.counters);
}

const struct mmu_technique mmu_shadow = {
    .name = "shadow",
    .state_bytes = sizeof(struct mmu_x86),
    .create = shadow_create,
    .fault = mmu_stage2_fault,
    .map = shadow_map,
    .unmap = shadow_unmap,
    .reaches = shadow_reaches,
    .wrote = shadow_wrote,
    .drop_all = shadow_drop_all,
    .report = shadow_report,
    .state = shadow_state,
    .walk = shadow_walk,
    .counters = shadow_counters,
    .has_table = shadow_has_table,
};
