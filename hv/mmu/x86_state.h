/* What the techniques of x86 share; private to hv/mmu. */
#ifndef HV_MMU_X86_STATE_H
#define HV_MMU_X86_STATE_H

#include <vmmu/host.h>
#include <vmmu/table.h>

#include "hv/mmu/state.h"
#include "hv/mmu/x86.h"

struct mmu_x86 {
    struct mmu mmu; /* first: struct partition knows only this */
    struct vmmu_host host;
    struct vmmu_table_memory memory;
    struct vmmu_nested nested; /* of the technique `nested`; of `shadow`, for phases, if has_phases */
    bool has_phases;
    struct vmmu_shadow shadow;
    struct vmmu_ram ram; /* the guest's memory, for `shadow` */
};

_Static_assert(offsetof(struct mmu_x86, mmu) == 0, "one is found by the other");

static inline struct mmu_x86 *mmu_x86(const struct partition *partition)
{
    return (struct mmu_x86 *)partition->mmu;
}

/* Start the account of table pages, of which there may be @limit at a time. NULL, or why not. */
const char *mmu_tables_create(struct partition *partition, uint32_t limit);

/* Members of the object "mmu" about them. */
void mmu_tables_report(const struct partition *partition, struct json *json);

/* --- nested.c, for a technique that needs a second stage in phases, too --- */

/* Start the second stage as @offered, and map all of the partition's memory. NULL, or why not. */
const char *mmu_stage2_create(struct partition *partition, const struct vmmu_nested_config *offered);

/* Pages of tables that it may need. */
uint32_t mmu_stage2_pages(const struct partition *partition);

enum mmu_verdict mmu_stage2_fault(struct vp *vp, const struct exit_memory *memory);
bool mmu_stage2_map(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights);
bool mmu_stage2_unmap(struct partition *partition, vmmu_gpa gpa);
bool mmu_stage2_reaches(const struct mmu *mmu, vmmu_gpa gpa);

/* --- plans --- */

/* Turns of flush and retry that any one operation of an engine may need. */
#define MMU_TURNS 64

/* Repeat an operation that returns an outcome until it asks for no more flushes. */
#define MMU_UNTIL_DONE(partition, status, call)                                                              \
    do {                                                                                                     \
        (status) = VMMU_FLUSH_RETRY;                                                                         \
        for (unsigned turn = 0; turn < MMU_TURNS && (status) == VMMU_FLUSH_RETRY; turn++) {                  \
            const struct vmmu_outcome outcome = (call);                                                      \
            mmu_apply((partition), &outcome.plan);                                                           \
            (status) = outcome.status;                                                                       \
        }                                                                                                    \
    } while (0)

/* Have the plan's VPs flush before they enter their guest again, and report its epoch. */
void mmu_apply(struct partition *partition, const struct vmmu_plan *plan);

/* As mmu_at() for an entry of a table, which does not cross pages. */
static inline const void *mmu_entry_at(const struct partition *partition, vmmu_gpa gpa, unsigned width_bytes)
{
    const struct mmu *mmu = partition->mmu;
    const uint64_t offset = gpa.v - mmu->near->gpa.v;

    if (offset < mmu->near->size && !mmu_may_be_covered(mmu, gpa)) {
        return mmu->near->host + offset;
    }
    return mmu_at(partition, gpa, width_bytes);
}

#endif
