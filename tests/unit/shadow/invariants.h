/*
 * What holds of a shadow between any two calls: its account agrees with its tables, no right in them is beyond what guest and
 * host allow, and what is said to be in step is so.
 *
 * The rules are written here once, from the meaning of pages and entries, and by no function of the engine's that makes them.
 */
#ifndef TESTS_UNIT_SHADOW_INVARIANTS_H
#define TESTS_UNIT_SHADOW_INVARIANTS_H

#include <vmmu/host.h>
#include <vmmu/mode.h>
#include <vmmu/shadow.h>

/* Whose shadow it is. */
struct shadow_witness {
    const struct vmmu_shadow *shadow;
    const struct vmmu_x86_cpu *cpu; /* what the guest's processors offer */
    const struct vmmu_ram *ram;     /* the guest's memory; loads change nothing */
};

/* Where something does not hold. */
struct shadow_breach {
    uint32_t page; /* of the account, and an entry of it */
    uint32_t index;
};

/* NULL, or what does not hold: a sentence. */
const char *shadow_account_breach(const struct shadow_witness *witness, struct shadow_breach *where);
const char *shadow_entry_breach(const struct shadow_witness *witness, struct shadow_breach *where);

/* Whether @entry of a table of ours leads to a page or a table: is present, and no trap for want of anything to lead to. */
bool shadow_leads(const struct vmmu_shadow *shadow, uint64_t entry);

/* Both. */
const char *shadow_breach(const struct shadow_witness *witness, struct shadow_breach *where);

/* The same for a virtual processor that has just done what makes all of the guest's tables count: all that it can reach agrees. */
const char *shadow_step_breach(const struct shadow_witness *witness, unsigned vp,
                               struct shadow_breach *where);

/* Whether the table of ours at @table is in step with the guest's; also if it stands for none. */
bool shadow_is_in_step(const struct vmmu_shadow *shadow, vmmu_hpa table);

#endif
