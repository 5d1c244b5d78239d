/*
 * Decoded instructions by their bytes. A guest reaches a device by few instructions, again and again;
 * comparing 15 bytes is an order of magnitude cheaper than decoding them. Since the bytes are the key,
 * nothing is ever stale.
 */
#include <vmmu/insn.h>

_Static_assert(VMMU_X86_INSN_MAX_BYTES == 15, "a key is two loads of 8 bytes that overlap in one");

static uint64_t eight_bytes(const uint8_t *bytes)
{
    uint64_t value;

    __builtin_memcpy(&value, bytes, sizeof(value));
    return value;
}

static struct vmmu_insn_cache_entry *entry_of(struct vmmu_insn_cache *cache, uint64_t first, uint64_t last)
{
    const uint32_t folded = (uint32_t)(first >> 32 ^ first ^ last);

    return &cache->entries[folded * UINT32_C(0x9E3779B1) >> 28];
}

_Static_assert(VMMU_INSN_CACHE_ENTRIES == 16, "the index is 4 bits of the hash");

enum vmmu_status vmmu_insn_decode_cached(struct vmmu_insn_cache *cache, const uint8_t *bytes, unsigned count,
                                         enum vmmu_insn_width width, const struct vmmu_insn **out)
{
    struct vmmu_insn_cache_entry *entry;
    enum vmmu_status status;
    uint64_t first;
    uint64_t last;

    if (count < VMMU_X86_INSN_MAX_BYTES) {
        *out = &cache->uncached;
        return vmmu_insn_decode(bytes, count, width, &cache->uncached);
    }
    first = eight_bytes(bytes);
    last = eight_bytes(bytes + 7);
    entry = entry_of(cache, first, last);
    *out = &entry->insn;
    if (entry->valid && entry->first == first && entry->last == last && entry->insn.width == width)
        return VMMU_OK;
    status = vmmu_insn_decode(bytes, count, width, &entry->insn);
    entry->first = first;
    entry->last = last;
    entry->valid = status == VMMU_OK;
    return status;
}
