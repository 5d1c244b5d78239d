/* What the specification leaves open, and what is chosen where nobody says otherwise. */
#include "lib/x86/hyperv/hyperv.h"

struct vmmu_hyperv_policy vmmu_hyperv_policy_default(bool second_level)
{
    return (struct vmmu_hyperv_policy){
        .cr3_cache = second_level ? VMMU_HYPERV_CACHE_HONOR : VMMU_HYPERV_CACHE_IGNORE,
        .table_cache = second_level ? VMMU_HYPERV_CACHE_HONOR : VMMU_HYPERV_CACHE_IGNORE,
        .cr0_cd = VMMU_HYPERV_CACHE_IGNORE,
        .shadow_sharing = true,
    };
}
