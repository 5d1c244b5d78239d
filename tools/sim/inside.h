/*
 * This room's own: a machine from the inside.
 */
#ifndef TOOLS_SIM_INSIDE_H
#define TOOLS_SIM_INSIDE_H

#include <vmmu/invalidate.h>

#include "tools/engine/nested.h"
#include "tools/engine/shadow.h"
#include "tools/sim/guest.h"
#include "tools/sim/machine.h"
#include "tools/sim/processor.h"

#define SIM_TAGS       8
#define SIM_VPID_OF_VP 1 /* and of the first root */

/* An address space of the hypervisor's: its own tables, in memory of its own. */
struct sim_host {
    struct engine_memory *memory;
    struct sim_guest *kernel;
    struct vmmu_x86_mode mode;
};

/* VPIDs of roots: see docs/vpid.md. */
struct sim_tags {
    uint64_t root[SIM_TAGS];
    uint64_t used[SIM_TAGS];
    uint64_t turn;
};

struct sim_machine {
    struct sim_config config;
    struct engine_memory *memory;
    struct sim_guest *guest;
    struct engine_nested *nested;
    struct engine_shadow *shadow;
    struct sim_host host;
    struct sim_processor processor;
    struct vmmu_x86_tags tags; /* while the guest runs */
    struct sim_tags of_roots;
    unsigned space;
    bool space_is_set;
    struct vmmu_x86_paging_registers registers;
    struct vmmu_x86_mode mode; /* the guest's */
    bool in_host;              /* the trace says that the hypervisor runs */
    bool is_left;              /* the same, though there may be none */
    sim_record last;           /* what a repeat repeats */
    uint64_t next_exit;        /* accesses[SIM_USER] at the next exit */
    struct sim_counts counts;
};

struct sim_access {
    enum sim_world world;
    enum sim_side side;
    uint64_t va;
    bool write;
};

/* Tags outside any guest. */
extern const struct vmmu_x86_tags sim_bare_tags;

/* An access of the guest's, or of the hypervisor's: until it has its translation. */
bool sim_access_guest(struct sim_machine *machine, const struct sim_access *access,
                      struct complaint *complaint);
bool sim_access_host(struct sim_machine *machine, const struct sim_access *access,
                     struct complaint *complaint);

/* What the guest's kernel does: struct sim_guest_host. */
bool sim_kernel_store(void *context, uint64_t va, uint64_t gpa, uint64_t value, struct complaint *complaint);
bool sim_kernel_clear(void *context, uint64_t va, struct complaint *complaint);

/* Cross from one world to the other. */
void sim_leave_guest(struct sim_machine *machine);
void sim_enter_guest(struct sim_machine *machine);

/* One exit: there, the hypervisor's pages, and back. */
bool sim_world_switch(struct sim_machine *machine, enum sim_exit reason, struct complaint *complaint);

/* Shadow paging: everything under a VPID goes. */
void sim_flush_vpid(struct sim_machine *machine, uint16_t vpid);

#endif
