/*
 * ELF images, checked field by field; both classes, both byte orders.
 *
 * Spec: System V ABI "ELF Header", "Program Header".
 */
#ifndef HV_GUEST_ELF_H
#define HV_GUEST_ELF_H

#include "hv/guest/images.h"
#include "hv/guest/pieces.h"

#define ELF_MACHINE_386    3
#define ELF_MACHINE_PPC    20
#define ELF_MACHINE_X86_64 62

struct elf {
    const struct guest_blob *blob;
    bool is64;
    bool is_big_endian;
    uint16_t machine;
    uint16_t segments;
    uint16_t segment_bytes;
    uint64_t segments_at;
    uint64_t entry;
};

/* Whether an image is ELF at all, and of which class. */
bool elf_is_image(const struct guest_blob *blob);
bool elf_is_64bit(const struct guest_blob *blob);

/* Check the ELF header and that the program headers lie in the image. */
VMMU_MUST_USE
enum vmmu_status elf_open(const struct guest_blob *blob, struct elf *elf, const char **error);

/* What has been loaded, by physical address. */
struct elf_loaded {
    uint64_t low;
    uint64_t high;
    uint64_t entry; /* physical: e_entry, which images give as physical or as virtual address */
};

/* Claim, copy and zero every loadable segment. */
VMMU_MUST_USE
enum vmmu_status elf_load(const struct elf *elf, struct pieces *pieces, struct elf_loaded *loaded,
                          const char **error);

#endif
