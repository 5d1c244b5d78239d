/*
 * Shadow tables as text: a walk with the guest's entries beside ours, and the counters. Pure.
 */
#ifndef HV_MONITOR_SHADOW_TEXT_H
#define HV_MONITOR_SHADOW_TEXT_H

#include <vmmu/shadow_view.h>

#include "hv/boot/format.h"

/* Send @view of @va, which virtual processor @vp would walk: a line for each level, and what the two walks come to. */
void shadow_text_view(const struct format_sink *sink, unsigned vp, vmmu_gva va,
                      const struct vmmu_shadow_view *view);

/* Send @counters, one a line. */
void shadow_text_counters(const struct format_sink *sink, const struct vmmu_shadow_counters *counters);

#endif
