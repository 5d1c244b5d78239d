/*
 * A virtual TLB of Book E beside the processor's own: what one address comes to in both, all entries, the counters. Pure.
 */
#ifndef HV_MONITOR_BOOKE_TEXT_H
#define HV_MONITOR_BOOKE_TEXT_H

#include <vmmu/booke.h>

#include "hv/boot/format.h"
#include "hv/monitor/json.h"

/* Whose TLBs are looked at. */
struct booke_text_view {
    unsigned vp;
    const struct vmmu_booke *booke;
    const struct vmmu_booke_real *real;
    struct vmmu_booke_state state; /* in which the guest is now */
};

/*
 * Send what @ea comes to in the guest's present state, as data and as code, and below that every valid entry of the guest's that
 * maps it, whatever its TID and space, each with the processor's entries that were made of it for that address.
 */
void booke_text_walk(const struct format_sink *sink, const struct booke_text_view *view, uint32_t ea);

/* Send the counters, one a line. */
void booke_text_counters(const struct format_sink *sink, const struct vmmu_booke_real *real);

/* An object: the guest's registers, and the valid entries of both TLBs, of the processor's those that were made for this VP. */
void booke_json_tlb(struct json *json, unsigned vp, const struct vmmu_booke *booke,
                    const struct vmmu_booke_real *real);

/* The counters as members of the object that is open. */
void booke_json_counters(struct json *json, const struct vmmu_booke_real *real);

#endif
