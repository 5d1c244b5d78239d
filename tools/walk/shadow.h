/*
 * The walk that the processor really makes for a guest under shadow paging: through our hypervisor's tables, in the machine's
 * memory.
 */
#ifndef TOOLS_WALK_SHADOW_H
#define TOOLS_WALK_SHADOW_H

#include "tools/walk/model.h"

enum walk_agreement {
    WALK_AGREES,        /* both lead to the same place of the machine */
    WALK_NOT_FILLED,    /* the shadow stops at an entry that is not present: the next access exits */
    WALK_BOTH_STOP,     /* the guest's tables do not translate it, nor do the shadow's */
    WALK_OTHER_PLACE,   /* the shadow leads elsewhere */
    WALK_SHADOW_ALONE,  /* the shadow translates what the guest's tables do not */
    WALK_NOT_OF_MEMORY, /* the guest-physical address is none of the partition's memory */
};

struct walk_shadow {
    uint64_t cr3;
    struct walk_model walk;
    const struct partition_table
        *tables[VMMU_X86_MAX_LEVELS]; /* by entry of @walk: the page it stands in, or NULL */
    bool has_place;                   /* @place: where the guest's page is */
    uint64_t place;
    enum walk_agreement agreement;
};

/*
 * Walk the shadow of @machine's processor at the address of @guest, which was walked on the same machine, with the same
 * access. False, and *shadow undefined, if it has none.
 */
bool walk_make_shadow(const struct machine *machine, const struct walk_model *guest,
                      struct walk_shadow *shadow);

/* One sentence about @agreement, without full stop. */
const char *walk_agreement_words(enum walk_agreement agreement);

#endif
