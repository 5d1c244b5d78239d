/*
 * struct boot_params, command line and initrds.
 *
 * Spec: Linux "Zero Page", "The Linux/x86 Boot Protocol".
 */
#include "hv/guest/bytes.h"
#include "hv/guest/linux.h"
#include "hv/guest/loaders.h"

enum boot_params {
    PARAMS_EXTENDED_KIB = 0x002, /* memory above 1 MiB, at most 63 MiB */
    PARAMS_RSDP = 0x070,
    PARAMS_ALTERNATIVE_KIB = 0x1E0, /* memory above 1 MiB */
    PARAMS_E820_ENTRIES = 0x1E8,
    PARAMS_E820 = 0x2D0,
    PARAMS_E820_BYTES = 20,
};

#define LOADER_UNASSIGNED 0xFFu
#define LOADER_USES_HEAP  0x80u
#define INITRD_ALIGNMENT  4u
#define BELOW_4G          UINT64_C(0x100000000)

static uint64_t padded(uint64_t bytes)
{
    return (bytes + INITRD_ALIGNMENT - 1) & ~(uint64_t)(INITRD_ALIGNMENT - 1);
}

/* Bytes of all initrds joined, each at a multiple of four; 0 if their sum is beyond any memory. */
static bool initrd_bytes(const struct guest_boot *boot, uint64_t *total)
{
    *total = 0;
    for (unsigned i = 0; i < boot->modules; i++) {
        if (boot->module[i].size >= BELOW_4G || *total >= BELOW_4G) {
            return false;
        }
        *total = padded(*total) + boot->module[i].size;
    }
    return true;
}

static void copy_initrds(const struct guest_boot *boot, uint8_t *at)
{
    uint64_t offset = 0;

    for (unsigned i = 0; i < boot->modules; i++) {
        const uint64_t start = padded(offset);

        __builtin_memset(at + offset, 0, start - offset);
        if (boot->module[i].size != 0) {
            __builtin_memcpy(at + start, boot->module[i].bytes, boot->module[i].size);
        }
        offset = start + boot->module[i].size;
    }
}

/* As high as the kernel allows, so that the kernel has room to grow where it decompresses itself. */
static enum vmmu_status place_initrds(struct pieces *pieces, const struct guest_boot *boot,
                                      const struct linux_params *params, uint8_t *page, const char **error)
{
    struct place place = { 0, VMMU_PAGE_BYTES, params->kernel_end, params->initrd_limit };
    uint64_t base;
    uint8_t *at;

    if (boot->modules > GUEST_MODULES || !initrd_bytes(boot, &place.size)) {
        *error = "the initial ram disks are too many or too large";
        return VMMU_INVALID;
    }
    if (place.size == 0) {
        return VMMU_OK;
    }
    if (!pieces_highest(pieces, &place, &base) || base + place.size > BELOW_4G) {
        *error = "the guest has too little memory for its initial ram disk";
        return VMMU_NO_MEMORY;
    }
    at = pieces_claim(pieces, base, place.size, error);
    if (at == NULL) {
        return VMMU_NO_MEMORY;
    }
    copy_initrds(boot, at);
    put32(page + HEADER_INITRD, (uint32_t)base);
    put32(page + HEADER_INITRD_BYTES, (uint32_t)place.size);
    return VMMU_OK;
}

static enum vmmu_status place_command_line(struct pieces *pieces, const struct guest_boot *boot,
                                           const struct linux_params *params, uint8_t *page,
                                           const char **error)
{
    const uint64_t length = text_length(boot->command_line);
    uint8_t *at =
        guest_memory_at(pieces->memory, (vmmu_gpa){ PLACE_COMMAND_LINE }, PLACE_END - PLACE_COMMAND_LINE);

    if (length > params->command_line_limit || length >= PLACE_END - PLACE_COMMAND_LINE) {
        *error = "the command line is longer than the kernel accepts";
        return VMMU_INVALID;
    }
    if (at == NULL) {
        *error = "the guest has no memory below 192 KiB";
        return VMMU_NO_MEMORY;
    }
    if (length != 0) {
        __builtin_memcpy(at, boot->command_line, length);
    }
    at[length] = 0;
    put32(page + HEADER_COMMAND_LINE, PLACE_COMMAND_LINE);
    return VMMU_OK;
}

static void write_memory_map(const struct guest_layout *layout, uint8_t *page)
{
    uint64_t extended_kib = 0;

    for (unsigned i = 0; i < layout->entries; i++) {
        uint8_t *at = page + PARAMS_E820 + (uint64_t)i * PARAMS_E820_BYTES;

        put64(at, layout->e820[i].base);
        put64(at + 8, layout->e820[i].size);
        put32(at + 16, layout->e820[i].type);
        if (layout->e820[i].base == GUEST_EXTENDED) {
            extended_kib = layout->e820[i].size / 1024;
        }
    }
    page[PARAMS_E820_ENTRIES] = (uint8_t)layout->entries;
    put16(page + PARAMS_EXTENDED_KIB, (uint16_t)(extended_kib < 0xFC00 ? extended_kib : 0xFC00));
    put32(page + PARAMS_ALTERNATIVE_KIB, (uint32_t)extended_kib);
}

enum vmmu_status linux_write_params(struct pieces *pieces, const struct guest_boot *boot,
                                    const struct linux_params *params, uint64_t load_address,
                                    const char **error)
{
    uint8_t *page = guest_memory_at(pieces->memory, (vmmu_gpa){ PLACE_BOOT_PARAMS }, VMMU_PAGE_BYTES);
    enum vmmu_status status;

    if (page == NULL) {
        *error = "the guest has no memory below 192 KiB";
        return VMMU_NO_MEMORY;
    }
    __builtin_memset(page, 0, VMMU_PAGE_BYTES);
    __builtin_memcpy(page + HEADER_START, params->header, params->header_bytes);
    page[HEADER_LOADER] = LOADER_UNASSIGNED;
    page[HEADER_LOADFLAGS] &= (uint8_t)~LOADER_USES_HEAP;
    put32(page + HEADER_CODE32_START, (uint32_t)load_address);
    put32(page + HEADER_INITRD, 0);
    put32(page + HEADER_INITRD_BYTES, 0);
    put16(page + HEADER_HEAP_END, 0);
    put64(page + HEADER_SETUP_DATA, 0);
    put64(page + PARAMS_RSDP, boot->rsdp);
    write_memory_map(pieces->layout, page);
    status = place_command_line(pieces, boot, params, page, error);
    return status != VMMU_OK ? status : place_initrds(pieces, boot, params, page, error);
}
