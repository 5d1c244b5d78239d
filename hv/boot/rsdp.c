/*
 * ACPI's Root System Description Pointer.
 */
#include "hv/boot/rsdp.h"

#define RSDP_1_BYTES    20
#define RSDP_2_BYTES    36
#define REVISION_OFFSET 15
#define ALIGNMENT       16
#define EBDA_SEGMENT_AT 0x40e
#define EBDA_BYTES      1024
#define ROM_BASE        0xe0000
#define ROM_BYTES       0x20000
#define REAL_MODE_SHIFT 4
#define LOWEST_EBDA     0x400
#define HIGHEST_EBDA    0xa0000

static const char signature[8] = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' };

static bool sums_to_zero(const uint8_t *bytes, unsigned count)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < count; i++) {
        sum += bytes[i];
    }
    return (sum & 0xff) == 0;
}

unsigned rsdp_check(const uint8_t *bytes, uint64_t size_bytes)
{
    if (size_bytes < RSDP_1_BYTES || __builtin_memcmp(bytes, signature, sizeof(signature)) != 0 ||
        !sums_to_zero(bytes, RSDP_1_BYTES)) {
        return 0;
    }
    if (bytes[REVISION_OFFSET] < 2) {
        return RSDP_1_BYTES;
    }
    return size_bytes >= RSDP_2_BYTES && sums_to_zero(bytes, RSDP_2_BYTES) ? RSDP_2_BYTES : 0;
}

static bool search(const struct boot_window *window, uint64_t base, uint64_t size_bytes,
                   struct boot_info *info)
{
    const uint8_t *bytes = window->reach(window->context, base, size_bytes);
    if (bytes == NULL) {
        return false;
    }
    for (uint64_t at = 0; at < size_bytes; at += ALIGNMENT) {
        const unsigned length = rsdp_check(bytes + at, size_bytes - at);
        if (length != 0) {
            __builtin_memcpy(info->rsdp, bytes + at, length);
            info->rsdp_bytes = length;
            return true;
        }
    }
    return false;
}

void rsdp_search(const struct boot_window *window, struct boot_info *info)
{
    uint16_t segment = 0;
    const void *word = window->reach(window->context, EBDA_SEGMENT_AT, sizeof(segment));
    if (word != NULL) {
        __builtin_memcpy(&segment, word, sizeof(segment));
    }
    const uint64_t ebda = (uint64_t)segment << REAL_MODE_SHIFT;
    if (ebda >= LOWEST_EBDA && ebda < HIGHEST_EBDA && search(window, ebda, EBDA_BYTES, info)) {
        return;
    }
    (void)search(window, ROM_BASE, ROM_BYTES, info);
}
