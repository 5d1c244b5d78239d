/*
 * The technique `nested`: the processor walks the guest's own tables, and ours behind them.
 *
 * Guest memory is static: it is mapped once, by the largest pages that fit, before the guest starts. What
 * faults afterwards is a device, or nothing at all.
 */
#include "hv/guest/config.h"
#include "hv/mmu/x86_state.h"
#include "hv/monitor/text.h"
#include "hv/vp/arch.h"

/* Of an address, that choose an entry of a table. */
#define INDEX_BITS 9u

static enum vmmu_status map_range(struct partition *partition, const struct vmmu_nested_mapping *mapping)
{
    enum vmmu_status status;

    MMU_UNTIL_DONE(partition, status, vmmu_nested_map(&mmu_x86(partition)->nested, mapping));
    return status;
}

bool mmu_stage2_map(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights)
{
    return map_range(partition, &(struct vmmu_nested_mapping){ .gpa = gpa,
                                                               .hpa = page,
                                                               .size_bytes = VMMU_PAGE_BYTES,
                                                               .rights = rights,
                                                               .type = VMMU_X86_TYPE_WB }) == VMMU_OK;
}

bool mmu_stage2_unmap(struct partition *partition, vmmu_gpa gpa)
{
    enum vmmu_status status;

    MMU_UNTIL_DONE(partition, status, vmmu_nested_unmap(&mmu_x86(partition)->nested, gpa, VMMU_PAGE_BYTES));
    return status == VMMU_OK;
}

/*
 * Room for a table over every 2 MiB of memory, should all of it be split, for the levels
 * above, and for overlays.
 */
uint32_t mmu_stage2_pages(const struct partition *partition)
{
    const uint64_t leaves = guest_memory_bytes(&partition->memory) / VMMU_2M_BYTES;

    return (uint32_t)(leaves + leaves / 512 + 64);
}

const char *mmu_stage2_create(struct partition *partition, const struct vmmu_nested_config *offered)
{
    struct mmu_x86 *mmu = mmu_x86(partition);
    struct vmmu_nested_config config = *offered;

    config.vps = BIT64(partition->vp_count) - 1;
    if (vmmu_nested_init(&mmu->nested, &config, &mmu->memory) != VMMU_OK) {
        return "the nested tables could not be started";
    }
    for (unsigned i = 0; i < partition->memory.count; i++) {
        const struct guest_slot *slot = &partition->memory.slot[i];
        const struct vmmu_nested_mapping mapping = { .gpa = slot->gpa,
                                                     .hpa = slot->hpa,
                                                     .size_bytes = slot->size,
                                                     .rights = VMMU_X86_RIGHTS_ALL,
                                                     .type = VMMU_X86_TYPE_WB };

        if (map_range(partition, &mapping) != VMMU_OK) {
            vmmu_nested_destroy(&mmu->nested);
            return "the partition's memory could not be mapped";
        }
    }
    return NULL;
}

static const char *nested_create(struct partition *partition)
{
    struct vmmu_nested_config config;
    const char *missing = arch_stage2(&config);

    if (missing) {
        return missing;
    }
    missing = mmu_tables_create(partition, mmu_stage2_pages(partition));
    if (missing) {
        return missing;
    }
    if (partition->config->pool_pages) {
        return "pool= is for mmu=shadow: nested paging has no shadow pages";
    }
    return mmu_stage2_create(partition, &config);
}

static enum guest_access access_kind(const struct exit_memory *memory)
{
    if (memory->execute) {
        return GUEST_EXECUTE;
    }
    return memory->write ? GUEST_WRITE : GUEST_READ;
}

enum mmu_verdict mmu_stage2_fault(struct vp *vp, const struct exit_memory *memory)
{
    struct mmu_x86 *x86 = mmu_x86(vp->partition);
    struct mmu *mmu = &x86->mmu;
    enum vmmu_status status;

    mmu->faults++;
    switch (vmmu_nested_resolve(&x86->nested, memory->gpa, (enum vmmu_x86_access_kind)access_kind(memory))) {
    case VMMU_NESTED_ABSENT:
    case VMMU_NESTED_DENIED:
        if (mmu_grant(vp->partition, memory->gpa, access_kind(memory)) != MMU_GRANTED) {
            mmu->intercepts++;
        } else {
            mmu->device_faults++;
        }
        return MMU_DEVICE;
    case VMMU_NESTED_SPURIOUS: mmu->spurious_faults++; return MMU_RETRY;
    case VMMU_NESTED_LOGGED: break;
    }
    MMU_UNTIL_DONE(vp->partition, status, vmmu_nested_log_fault(&x86->nested, memory->gpa, false));
    if (status == VMMU_NO_MEMORY) {
        MMU_UNTIL_DONE(vp->partition, status, vmmu_nested_log_fault(&x86->nested, memory->gpa, true));
    }
    if (status != VMMU_OK) {
        partition_end(vp->partition, PARTITION_STOPPED, 0, "the dirty log could not record a write");
        return MMU_STOP;
    }
    return MMU_RETRY;
}

bool mmu_stage2_reaches(const struct mmu *mmu, vmmu_gpa gpa)
{
    const struct mmu_x86 *x86 = (const struct mmu_x86 *)mmu;

    return gpa.v < BIT64(VMMU_PAGE_SHIFT + INDEX_BITS * x86->nested.config.levels);
}

static void nested_report(const struct partition *partition, struct json *json)
{
    const struct mmu *mmu = partition->mmu;
    const struct vmmu_nested_counters *counters = &mmu_x86(partition)->nested.counters;

    mmu_tables_report(partition, json);
    json_number(json, "faults", mmu->faults);
    json_number(json, "device_faults", mmu->device_faults);
    json_number(json, "spurious_faults", mmu->spurious_faults);
    json_number(json, "leaves_4k", counters->leaves[0]);
    json_number(json, "leaves_2m", counters->leaves[1]);
    json_number(json, "leaves_1g", counters->leaves[2]);
    json_number(json, "stores", counters->stores);
    json_number(json, "splits", counters->splits);
    json_number(json, "merges", counters->merges);
    json_number(json, "retries", counters->retries);
    json_number(json, "log_faults", counters->log_faults);
    json_number(json, "violations", counters->violations);
}

static void nested_state(const struct partition *partition, struct json *json)
{
    const struct vmmu_nested *nested = &mmu_x86(partition)->nested;
    const bool npt = nested->config.format == VMMU_NESTED_NPT;

    json_object(json, "second");
    json_text(json, "kind", npt ? "npt" : "ept");
    json_hex(json, npt ? "root" : "eptp", vmmu_nested_root(nested));
    json_number(json, "levels", nested->config.levels);
    json_number(json, "maxphyaddr", nested->config.maxphyaddr);
    json_end_object(json);
}

static bool nested_has_table(const struct mmu *mmu, vmmu_hpa page)
{
    return vmmu_nested_has_table(&((const struct mmu_x86 *)mmu)->nested, page);
}

static void nested_walk(const struct vp *vp, vmmu_gva va, const struct format_sink *sink)
{
    (void)vp;
    (void)va;
    text_say(sink, "the processor walks the guest's own tables\n");
}

static void nested_counters(const struct partition *partition, const struct format_sink *sink)
{
    (void)partition;
    text_say(sink, "the processor walks the guest's own tables\n");
}

const struct mmu_technique mmu_nested = {
    .name = "nested",
    .state_bytes = sizeof(struct mmu_x86),
    .create = nested_create,
    .fault = mmu_stage2_fault,
    .map = mmu_stage2_map,
    .unmap = mmu_stage2_unmap,
    .reaches = mmu_stage2_reaches,
    .report = nested_report,
    .state = nested_state,
    .walk = nested_walk,
    .counters = nested_counters,
    .has_table = nested_has_table,
};
