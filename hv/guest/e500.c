/*
 * Loading guests of the e500 machine.
 *
 * The image goes where it asks to; what we place ourselves goes behind the first 24 MiB where that is possible, so that a kernel
 * may unpack itself below, and not to the end of memory, where U-Boot moves itself.
 */
#include "hv/guest/e500.h"

#include "hv/guest/bytes.h"
#include "hv/guest/e500_tree.h"
#include "hv/guest/elf.h"
#include "hv/guest/pieces.h"
#include "hv/guest/uimage.h"

#define TREE_FROM   UINT64_C(0x01800000) /* 24 MiB */
#define BLOBS_FROM  UINT64_C(0x02000000) /* 32 MiB */
#define LOWEST      UINT64_C(0x00010000) /* of what we place, if there is no better place */
#define STACK_TOP   UINT64_C(0x01000000) /* where such machines start their stack: below 16 MiB */
#define STACK_GAP   8
#define VPS_MAXIMUM 8

enum vmmu_status guest_layout_e500(uint64_t bytes, struct guest_layout *layout, const char **error)
{
    if (bytes < GUEST_MIN_BYTES) {
        *error = "a guest needs at least 8 MiB of memory";
        return VMMU_INVALID;
    }
    if (bytes > GUEST_E500_MAX_BYTES) {
        *error = "a guest of this machine can have at most 2 GiB of memory";
        return VMMU_INVALID;
    }
    if (!vmmu_is_aligned(bytes, VMMU_2M_BYTES)) {
        *error = "a guest's memory must be a multiple of 2 MiB";
        return VMMU_INVALID;
    }
    *layout = (struct guest_layout){
        .ranges = 1,
        .range = { { { 0 }, bytes } },
        .entries = 1,
        .e820 = { { 0, bytes, GUEST_E820_RAM } },
    };
    return VMMU_OK;
}

/* --- images --- */

static enum vmmu_status load_elf(const struct guest_blob *image, struct pieces *pieces, uint64_t *entry,
                                 const char **error)
{
    struct elf elf;
    struct elf_loaded loaded = { 0 };
    enum vmmu_status status = elf_open(image, &elf, error);

    if (status == VMMU_OK && (elf.is64 || elf.machine != ELF_MACHINE_PPC)) {
        *error = "the ELF file is not for 32-bit PowerPC processors";
        status = VMMU_INVALID;
    }
    status = status != VMMU_OK ? status : elf_load(&elf, pieces, &loaded, error);
    *entry = loaded.entry;
    return status;
}

static enum vmmu_status load_image(const struct guest_blob *image, struct pieces *pieces, uint64_t *entry,
                                   const char **error)
{
    enum vmmu_status status;

    if (image->size == 0) {
        *error = "the image is empty";
        return VMMU_INVALID;
    }
    if (elf_is_image(image)) {
        status = load_elf(image, pieces, entry, error);
    } else if (uimage_is_image(image)) {
        status = uimage_load(image, pieces, entry, error);
    } else {
        *error = "the kernel is neither an ELF file nor a uImage";
        status = VMMU_INVALID;
    }
    if (status == VMMU_OK && (*entry >= GUEST_E500_MAP_BYTES || *entry % 4 != 0)) {
        *error = "the image's entry point is not in the first 64 MiB, which are mapped when it starts";
        status = VMMU_INVALID;
    }
    return status;
}

/* --- what we place --- */

/* Claim @size bytes, if possible not below @from, never at or above @limit. NULL: there is no room. */
static uint8_t *claim(struct pieces *pieces, const struct place *wanted, uint64_t *base)
{
    struct place place = *wanted;
    const char *error;

    if (!pieces_lowest(pieces, &place, base)) {
        place.from = LOWEST;
        if (!pieces_lowest(pieces, &place, base))
            return NULL;
    }
    return pieces_claim(pieces, *base, place.size, &error);
}

/* Modules, one behind the other. @range gets a size of 0 if there is none. */
static bool place_blobs(struct pieces *pieces, const struct guest_blob *blobs, unsigned count,
                        struct fdt_range *range)
{
    struct place place = { .alignment = VMMU_PAGE_BYTES, .from = BLOBS_FROM, .limit = GUEST_E500_MAX_BYTES };
    uint8_t *at;

    *range = (struct fdt_range){ 0 };
    for (unsigned i = 0; i < count; i++) {
        if (blobs[i].size > GUEST_E500_MAX_BYTES - place.size)
            return false;
        place.size += blobs[i].size;
    }
    if (place.size == 0)
        return true;
    at = claim(pieces, &place, &range->base);
    if (at == NULL)
        return false;
    range->size = place.size;
    for (unsigned i = 0; i < count; i++) {
        if (blobs[i].size != 0)
            __builtin_memcpy(at, blobs[i].bytes, blobs[i].size);
        at += blobs[i].size;
    }
    return true;
}

static enum vmmu_status place_tree(struct pieces *pieces, const struct e500_machine *machine,
                                   const struct e500_chosen *chosen, uint64_t *base, const char **error)
{
    const struct place place = {
        .size = e500_tree_room(machine, chosen->command_line),
        .alignment = VMMU_PAGE_BYTES,
        .from = TREE_FROM,
        .limit = GUEST_E500_MAP_BYTES,
    };
    uint8_t *at = place.size < GUEST_E500_MAP_BYTES ? claim(pieces, &place, base) : NULL;

    if (at == NULL) {
        *error = "the guest's memory has no room for the device tree";
        return VMMU_NO_MEMORY;
    }
    return e500_tree_write(machine, chosen, at, (uint32_t)place.size, error);
}

static uint32_t stack_top(uint64_t memory_bytes)
{
    return (uint32_t)((memory_bytes < STACK_TOP ? memory_bytes : STACK_TOP) - STACK_GAP);
}

static bool is_sound(const struct guest_boot *boot, const struct e500_machine *machine, const char **error)
{
    if (machine->vps < 1 || machine->vps > VPS_MAXIMUM || boot->modules > GUEST_MODULES) {
        *error = "there are too many processors or modules";
        return false;
    }
    return true;
}

enum vmmu_status guest_load_e500(const struct guest_memory *memory, const struct guest_boot *boot,
                                 const struct e500_machine *machine, struct e500_start *start,
                                 const char **error)
{
    struct e500_chosen chosen = { .command_line = boot->command_line,
                                  .memory_bytes = guest_memory_bytes(memory) };
    struct guest_layout layout;
    struct pieces pieces;
    uint64_t entry;
    uint64_t tree;
    enum vmmu_status status = guest_layout_e500(chosen.memory_bytes, &layout, error);

    if (status != VMMU_OK || !is_sound(boot, machine, error))
        return VMMU_INVALID;
    pieces_start_empty(&pieces, memory, &layout);
    status = load_image(&boot->kernel, &pieces, &entry, error);
    if (status != VMMU_OK)
        return status;
    if (!place_blobs(&pieces, &boot->payload, 1, &chosen.payload) ||
        !place_blobs(&pieces, boot->module, boot->modules, &chosen.initrd)) {
        *error = "the guest's memory has no room for the modules";
        return VMMU_NO_MEMORY;
    }
    status = place_tree(&pieces, machine, &chosen, &tree, error);
    if (status != VMMU_OK)
        return status;
    *start = (struct e500_start){
        .entry = (uint32_t)entry,
        .stack = stack_top(chosen.memory_bytes),
        .device_tree = (uint32_t)tree,
        .magic = GUEST_E500_MAGIC,
        .map_bytes = GUEST_E500_MAP_BYTES,
    };
    return VMMU_OK;
}
