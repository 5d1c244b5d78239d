/* The processor's state at a guest's first instruction, and the choice of a loader. */
#include "hv/guest/start.h"

#include "hv/guest/elf.h"
#include "hv/guest/loaders.h"
#include "hv/guest/pieces.h"

#define GDT_ENTRIES    4
#define GDT_CODE       2
#define GDT_DATA       3

/* Flat segments, present, accessed, 4 GiB. Spec: SDM 3A "Segment Descriptors". */
#define CODE64         UINT64_C(0x00AF9B000000FFFF)
#define CODE32         UINT64_C(0x00CF9B000000FFFF)
#define DATA           UINT64_C(0x00CF93000000FFFF)

#define CR0_PE         BIT64(0)
#define CR0_ET         BIT64(4)
#define CR0_NE         BIT64(5)
#define CR0_PG         BIT64(31)
#define CR4_PAE        BIT64(5)
#define EFER_LME       BIT64(8)
#define EFER_LMA       BIT64(10)

#define ENTRY_TABLE    0x003u /* present, writable */
#define ENTRY_LARGE    0x083u /* present, writable, page size */
#define IDENTITY_GIBS  4
#define IDENTITY_PAGES (2 + IDENTITY_GIBS)

_Static_assert(PLACE_PAGE_TABLES + IDENTITY_PAGES * 0x1000 <= PLACE_MULTIBOOT,
               "page tables end before other places");

static bool write_gdt(const struct guest_memory *memory, struct guest_start *start)
{
    const uint64_t gdt[GDT_ENTRIES] = {
        [GDT_CODE] = start->kind == GUEST_START_LONG64 ? CODE64 : CODE32,
        [GDT_DATA] = DATA,
    };
    uint8_t *at = guest_memory_at(memory, (vmmu_gpa){ PLACE_GDT }, sizeof(gdt));

    if (at == NULL) {
        return false;
    }
    __builtin_memcpy(at, gdt, sizeof(gdt));
    start->gdt_base = PLACE_GDT;
    start->gdt_limit = sizeof(gdt) - 1;
    start->code_selector = GDT_CODE * sizeof(gdt[0]);
    start->data_selector = GDT_DATA * sizeof(gdt[0]);
    return true;
}

/* The first 4 GiB at their own addresses, by pages of 2 MiB, which every processor in long mode has. */
static bool write_identity(const struct guest_memory *memory)
{
    uint8_t *at = guest_memory_at(memory, (vmmu_gpa){ PLACE_PAGE_TABLES }, IDENTITY_PAGES * VMMU_PAGE_BYTES);
    uint64_t entry;

    if (at == NULL) {
        return false;
    }
    __builtin_memset(at, 0, IDENTITY_PAGES * VMMU_PAGE_BYTES);
    entry = (PLACE_PAGE_TABLES + VMMU_PAGE_BYTES) | ENTRY_TABLE;
    __builtin_memcpy(at, &entry, sizeof(entry));
    for (unsigned i = 0; i < IDENTITY_GIBS; i++) {
        entry = (PLACE_PAGE_TABLES + (2 + i) * VMMU_PAGE_BYTES) | ENTRY_TABLE;
        __builtin_memcpy(at + VMMU_PAGE_BYTES + i * sizeof(entry), &entry, sizeof(entry));
    }
    for (unsigned i = 0; i < IDENTITY_GIBS * 512; i++) {
        entry = i * VMMU_2M_BYTES | ENTRY_LARGE;
        __builtin_memcpy(at + 2 * VMMU_PAGE_BYTES + i * sizeof(entry), &entry, sizeof(entry));
    }
    return true;
}

enum vmmu_status guest_start_make(const struct guest_memory *memory, struct guest_start *start,
                                  enum guest_start_kind kind, const char **error)
{
    *start = (struct guest_start){ .kind = kind, .rsp = PLACE_STACK_TOP, .cr0 = CR0_PE | CR0_ET };
    if (kind == GUEST_START_LONG64) {
        start->cr0 |= CR0_PG | CR0_NE;
        start->cr3 = PLACE_PAGE_TABLES;
        start->cr4 = CR4_PAE;
        start->efer = EFER_LME | EFER_LMA;
    }
    if (!write_gdt(memory, start) || (kind == GUEST_START_LONG64 && !write_identity(memory))) {
        *error = "the guest has no memory below 192 KiB";
        return VMMU_NO_MEMORY;
    }
    return VMMU_OK;
}

enum guest_format guest_format_of(const struct guest_blob *kernel)
{
    if (linux_is_image(kernel)) {
        return GUEST_FORMAT_LINUX;
    }
    if (multiboot_is_image(kernel)) {
        return GUEST_FORMAT_MULTIBOOT;
    }
    return elf_is_64bit(kernel) ? GUEST_FORMAT_VMLINUX : GUEST_FORMAT_UNKNOWN;
}

static enum vmmu_status load_by_format(const struct guest_memory *memory, const struct guest_layout *layout,
                                       const struct guest_boot *boot, struct guest_start *start,
                                       const char **error)
{
    switch (guest_format_of(&boot->kernel)) {
    case GUEST_FORMAT_LINUX: return guest_load_linux(memory, layout, boot, start, error);
    case GUEST_FORMAT_VMLINUX: return guest_load_vmlinux(memory, layout, boot, start, error);
    case GUEST_FORMAT_MULTIBOOT: return guest_load_multiboot(memory, layout, boot, start, error);
    case GUEST_FORMAT_UNKNOWN: break;
    }
    *error = "the kernel is neither a bzImage, nor an ELF64 vmlinux, nor a multiboot 1 image";
    return VMMU_INVALID;
}

enum vmmu_status guest_load(const struct guest_memory *memory, const struct guest_layout *layout,
                            const struct guest_boot *boot, struct guest_start *start, const char **error)
{
    if (boot->payload.size != 0) {
        *error = "no guest of this machine takes a payload";
        return VMMU_INVALID;
    }
    switch (boot->protocol) {
    case CONFIG_PROTOCOL_ANY: return load_by_format(memory, layout, boot, start, error);
    case CONFIG_PROTOCOL_MULTIBOOT: return guest_load_multiboot(memory, layout, boot, start, error);
    case CONFIG_PROTOCOL_LINUX:
        return guest_format_of(&boot->kernel) == GUEST_FORMAT_VMLINUX
                   ? guest_load_vmlinux(memory, layout, boot, start, error)
                   : guest_load_linux(memory, layout, boot, start, error);
    case CONFIG_PROTOCOL_EPAPR: break;
    }
    *error = "no guest of this machine starts by protocol=epapr";
    return VMMU_INVALID;
}
