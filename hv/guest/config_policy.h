/*
 * Policies of the virtual MMU by their names. Pure.
 */
#ifndef HV_GUEST_CONFIG_POLICY_H
#define HV_GUEST_CONFIG_POLICY_H

#include <vmmu/hyperv.h>

#include "hv/guest/words.h"

/**
 * Change @policy as @settings says: names of config.h, separated by commas; of two that contradict each other the later counts.
 * NULL, or the sentence that says what is wrong.
 */
VMMU_MUST_USE
const char *config_policy_set(struct word settings, struct vmmu_hyperv_policy *policy);

/**
 * Whether a partition can have @policy. @second_level: the processor walks its tables by itself. @has_parent: somebody
 * hears messages about it. NULL, or the sentence that says why not.
 */
VMMU_MUST_USE
const char *config_policy_check(const struct vmmu_hyperv_policy *policy, bool second_level, bool has_parent);

#endif
