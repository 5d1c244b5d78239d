/* What people and programs see of a VP of the e500 machine and its board. */
#include "hv/mmu/booke.h"
#include "hv/ppc/core/sprs.h"
#include "hv/ppc/vp/ppc.h"

#define CODE_WORDS 4

static const char *const vector_names[VECTOR_LIMIT] = {
    [VECTOR_CRITICAL] = "critical-input",
    [VECTOR_MACHINE_CHECK] = "machine-check",
    [VECTOR_DATA_STORAGE] = "data-storage",
    [VECTOR_INSTRUCTION] = "instruction-storage",
    [VECTOR_EXTERNAL] = "external-input",
    [VECTOR_ALIGNMENT] = "alignment",
    [VECTOR_PROGRAM] = "program",
    [VECTOR_NO_FLOAT] = "no-floating-point",
    [VECTOR_SYSTEM_CALL] = "system-call",
    [VECTOR_NO_AUXILIARY] = "no-auxiliary",
    [VECTOR_DECREMENTER] = "decrementer",
    [VECTOR_FIXED_INTERVAL] = "fixed-interval",
    [VECTOR_WATCHDOG] = "watchdog",
    [VECTOR_DATA_MISS] = "data-tlb-miss",
    [VECTOR_FETCH_MISS] = "instruction-tlb-miss",
    [VECTOR_DEBUG] = "debug",
    [VECTOR_NO_SPE] = "no-spe",
    [VECTOR_SPE_DATA] = "spe-data",
    [VECTOR_SPE_ROUND] = "spe-round",
    [VECTOR_MONITOR] = "performance-monitor",
};

static const char *const privileged_names[PPC_PRIVILEGED_KINDS] = {
    [PPC_OTHER] = "unknown",   [PPC_MFMSR] = "mfmsr", [PPC_MTMSR] = "mtmsr",     [PPC_WRTEE] = "wrtee",
    [PPC_WRTEEI] = "wrteei",   [PPC_MFSPR] = "mfspr", [PPC_MTSPR] = "mtspr",     [PPC_RFI] = "rfi",
    [PPC_RFCI] = "rfci",       [PPC_RFDI] = "rfdi",   [PPC_RFMCI] = "rfmci",     [PPC_TLBWE] = "tlbwe",
    [PPC_TLBRE] = "tlbre",     [PPC_TLBSX] = "tlbsx", [PPC_TLBIVAX] = "tlbivax", [PPC_TLBILX] = "tlbilx",
    [PPC_TLBSYNC] = "tlbsync", [PPC_DCBI] = "dcbi",
};

static const char *const count_names[PPC_COUNTS] = {
    [PPC_COUNT_DATA_FILLED] = "data-tlb-filled",
    [PPC_COUNT_FETCH_FILLED] = "instruction-tlb-filled",
    [PPC_COUNT_ANSWERED] = "tlbwe-filled",
    [PPC_COUNT_SPACES] = "space-changes",
    [PPC_COUNT_INSN_MISSED] = "instructions-translated",
    [PPC_COUNT_FETCHED_NOTHING] = "fetches-of-nothing",
    [PPC_COUNT_SPE] = "spe-switches",
};

/* Kinds that never came are left out. */
static void count(struct json *json, const char *const *names, const uint64_t *counts, unsigned kinds)
{
    for (unsigned i = 0; i < kinds; i++) {
        if (names[i] && counts[i]) {
            json_number(json, names[i], counts[i]);
        }
    }
}

void arch_vp_counters(const struct vp *vp, struct json *json)
{
    e500_add_quick(vp->arch);
    count(json, vector_names, vp->arch->vectors, VECTOR_LIMIT);
    count(json, privileged_names, vp->arch->privileged, PPC_PRIVILEGED_KINDS);
    count(json, count_names, vp->arch->counts, PPC_COUNTS);
}

static void report_general(const struct ppc_core *core, struct json *json)
{
    json_array(json, "gpr");
    for (unsigned i = 0; i < 32; i++) {
        json_hex(json, NULL, core->gpr[i]);
    }
    json_end_array(json);
    json_hex(json, "pc", core->pc);
    json_hex(json, "msr", core->msr);
    json_hex(json, "cr", core->cr);
    json_hex(json, "lr", core->lr);
    json_hex(json, "ctr", core->ctr);
    json_hex(json, "xer", core->xer);
}

/* By the table: all that does not need the processor, nor changes by being looked at. */
static void report_special(const struct vp_arch *arch, struct json *json)
{
    for (unsigned number = 0; number < PPC_SPRS; number++) {
        const struct ppc_spr *spr = ppc_spr(number);

        if (spr->home == PPC_SPR_WORD || spr->home == PPC_SPR_OWN) {
            json_hex(json, spr->name,
                     *(const uint32_t *)((const uint8_t *)&arch->core + spr->offset) & spr->mask);
        } else if (spr->home == PPC_SPR_MMU) {
            json_hex(json, spr->name, *(const uint32_t *)((const uint8_t *)arch->booke + spr->offset));
        }
    }
    json_hex(json, "TSR", arch->core.timers.tsr);
    json_hex(json, "TCR", arch->core.timers.tcr);
    json_hex(json, "DBCR0", arch->core.dbcr0);
    json_hex(json, "DBSR", arch->core.dbsr);
    json_hex(json, "pending", arch->core.pending);
}

static void report_code(struct vp *vp, struct json *json)
{
    const struct ppc_core *core = &vp->arch->core;
    const struct vmmu_booke_access access = { .kind = VMMU_BOOKE_FETCH,
                                              .space = core->msr & MSR_IS,
                                              .problem = core->msr & MSR_PR };
    const struct vmmu_booke_result result = vmmu_booke_translate(vp->arch->booke, core->pc, access);
    const uint32_t left = VMMU_PAGE_BYTES - (core->pc & (VMMU_PAGE_BYTES - 1));
    const unsigned bytes = left < CODE_WORDS * 4 ? left : CODE_WORDS * 4;
    const uint8_t *at = NULL;

    if (result.verdict == VMMU_BOOKE_HIT) {
        at = mmu_at(vp->partition, result.gpa, bytes);
    }
    if (at) {
        json_bytes(json, "code", at, bytes);
    } else {
        json_text(json, "code", result.verdict == VMMU_BOOKE_HIT ? "not in memory" : "not mapped");
    }
}

void arch_vp_report(struct vp *vp, struct json *json)
{
    json_object(json, "registers");
    report_general(&vp->arch->core, json);
    report_special(vp->arch, json);
    report_code(vp, json);
    json_end_object(json);
}

void arch_partition_report(struct partition *partition, struct json *json)
{
    const char *device = "";
    struct dev_counter counter;

    json_object(json, "devices");
    for (unsigned i = 0; e500_counter(&partition->arch->board, i, &counter); i++) {
        if (counter.device != device) {
            if (i) {
                json_end_object(json);
            }
            json_object(json, counter.device);
            device = counter.device;
        }
        json_number(json, counter.name, counter.value);
    }
    if (device[0]) {
        json_end_object(json);
    }
    json_end_object(json);
}

/* --- the state document --- */

void arch_partition_state(struct partition *partition, struct json *json)
{
    const struct ppc_core *core = &partition->vps[0]->arch->core;

    json_object(json, "cpu");
    json_hex(json, "pvr", core->pvr);
    json_hex(json, "svr", core->svr);
    json_hex(json, "tlb0cfg", core->tlb0cfg);
    json_hex(json, "tlb1cfg", core->tlb1cfg);
    json_end_object(json);
}

void arch_vp_state(struct vp *vp, struct json *json)
{
    report_general(&vp->arch->core, json);
    report_special(vp->arch, json);
}

struct vmmu_booke_state arch_vp_space(const struct vp *vp)
{
    return ppc_space(&vp->arch->core);
}
