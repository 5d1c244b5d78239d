#include "hv/guest/config_policy.h"

#include <stddef.h>

enum setting_field {
    SETTING_CR3_CACHE,
    SETTING_TABLE_CACHE,
    SETTING_CR0_CD,
    SETTING_PAT,
    SETTING_SHARING,
    SETTING_FLUSH_EMPTY,
};

static const struct setting {
    const char *text;
    enum setting_field field;
    unsigned value;
} settings_known[] = {
    { "cr3.cache=ignore", SETTING_CR3_CACHE, VMMU_HYPERV_CACHE_IGNORE },
    { "cr3.cache=honor", SETTING_CR3_CACHE, VMMU_HYPERV_CACHE_HONOR },
    { "table.cache=write-back", SETTING_TABLE_CACHE, VMMU_HYPERV_CACHE_IGNORE },
    { "table.cache=message", SETTING_TABLE_CACHE, VMMU_HYPERV_CACHE_MESSAGE },
    { "table.cache=honor", SETTING_TABLE_CACHE, VMMU_HYPERV_CACHE_HONOR },
    { "cr0.cd=ignore", SETTING_CR0_CD, VMMU_HYPERV_CACHE_IGNORE },
    { "cr0.cd=message", SETTING_CR0_CD, VMMU_HYPERV_CACHE_MESSAGE },
    { "cr0.cd=honor", SETTING_CR0_CD, VMMU_HYPERV_CACHE_HONOR },
    { "pat=vp", SETTING_PAT, false },
    { "pat=partition", SETTING_PAT, true },
    { "sharing=on", SETTING_SHARING, true },
    { "sharing=off", SETTING_SHARING, false },
    { "flush.empty=all", SETTING_FLUSH_EMPTY, false },
    { "flush.empty=error", SETTING_FLUSH_EMPTY, true },
};

static const struct setting *find_setting(struct word part)
{
    for (unsigned i = 0; i < sizeof settings_known / sizeof settings_known[0]; i++) {
        if (word_is(part, settings_known[i].text)) {
            return &settings_known[i];
        }
    }
    return NULL;
}

static void apply(const struct setting *setting, struct vmmu_hyperv_policy *policy)
{
    switch (setting->field) {
    case SETTING_CR3_CACHE: policy->cr3_cache = (enum vmmu_hyperv_cache_policy)setting->value; break;
    case SETTING_TABLE_CACHE: policy->table_cache = (enum vmmu_hyperv_cache_policy)setting->value; break;
    case SETTING_CR0_CD: policy->cr0_cd = (enum vmmu_hyperv_cache_policy)setting->value; break;
    case SETTING_PAT: policy->pat_of_partition = setting->value; break;
    case SETTING_SHARING: policy->shadow_sharing = setting->value; break;
    case SETTING_FLUSH_EMPTY: policy->empty_set_is_error = setting->value; break;
    }
}

const char *config_policy_set(struct word settings, struct vmmu_hyperv_policy *policy)
{
    struct word part;

    while (word_next_part(&settings, &part)) {
        const struct setting *setting = find_setting(part);

        if (!setting) {
            return "policy= wants settings that there are, such as cr0.cd=honor,pat=partition";
        }
        apply(setting, policy);
    }
    return NULL;
}

const char *config_policy_check(const struct vmmu_hyperv_policy *policy, bool second_level, bool has_parent)
{
    switch (vmmu_hyperv_policy_check(policy, second_level, has_parent)) {
    case VMMU_HYPERV_POLICY_GOOD: break;
    case VMMU_HYPERV_POLICY_NO_PARENT:
        return "a policy of messages wants a parent that hears them: parent=on of the first partition";
    case VMMU_HYPERV_POLICY_UNSEEN_WALKS:
        return "table.cache= can only be honor where the processor walks the guest's own tables";
    case VMMU_HYPERV_POLICY_CR3_MESSAGE: return "cr3.cache= can be ignore or honor";
    }
    return NULL;
}
