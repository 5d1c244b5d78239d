#include "hv/boot/collect.h"

bool collect_region(struct boot_info *info, uint64_t base, uint64_t size_bytes, enum boot_region_kind kind)
{
    const uint64_t most = UINT64_MAX - base;
    const uint64_t size = size_bytes < most ? size_bytes : most;
    if (size == 0) {
        return true;
    }
    struct boot_region *last = info->region_count != 0 ? &info->regions[info->region_count - 1] : NULL;
    if (last != NULL && last->kind == kind && last->base.v + last->size_bytes == base) {
        last->size_bytes += size;
        return true;
    }
    if (info->region_count == BOOT_REGIONS_MAX) {
        return false;
    }
    info->regions[info->region_count++] = (struct boot_region){ { base }, size, kind };
    return true;
}

const char *collect_text(struct boot_info *info, const void *bytes, uint64_t size_bytes)
{
    const char *const from = bytes;
    char *const text = info->text + info->text_used_bytes;
    const uint64_t room = sizeof(info->text) - info->text_used_bytes;
    for (uint64_t i = 0; i < room; i++) {
        text[i] = '\0';
        if (i < size_bytes) {
            text[i] = from[i];
        }
        if (text[i] == '\0') {
            info->text_used_bytes += (unsigned)i + 1;
            return text;
        }
    }
    return NULL;
}
