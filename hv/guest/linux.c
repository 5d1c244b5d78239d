/*
 * The Linux boot protocol.
 *
 * Invariant: the setup header is copied once into zeroed bytes, no further than the image says it reaches;
 * fields of versions that the image does not have thus read as zero.
 *
 * Spec: Linux "The Linux/x86 Boot Protocol".
 */
#include "hv/guest/linux.h"
#include "hv/guest/bytes.h"
#include "hv/guest/elf.h"
#include "hv/guest/loaders.h"

/* Version 2.xx of the protocol, in which a field appeared. */
enum {
    VERSION_INITRD_LIMIT = 0x0203,
    VERSION_RELOCATABLE = 0x0205,
    VERSION_COMMAND_BYTES = 0x0206,
    VERSION_INIT_BYTES = 0x020A,
    VERSION_ENTRIES = 0x020C,
};

#define SECTOR_BYTES          512u
#define SETUP_SECTORS_DEFAULT 4u
#define BOOT_FLAG             0xAA55u
#define ENTRY64_OFFSET        0x200u
#define LOAD_ADDRESS_FIXED    0x100000u
#define COMMAND_BYTES_DEFAULT 255u
#define INITRD_LIMIT_DEFAULT  0x38000000u
#define INIT_BYTES_UNKNOWN    (UINT64_C(8) << 20) /* what an old kernel may use beyond its own size */
#define BELOW_4G              UINT64_C(0x100000000)

#define LOADED_HIGH           0x01u
#define XLOAD_KERNEL_64       0x0001u

bool linux_is_image(const struct guest_blob *kernel)
{
    return kernel->size >= HEADER_MAGIC + 6 && get16(kernel->bytes + HEADER_BOOT_FLAG) == BOOT_FLAG &&
           __builtin_memcmp(kernel->bytes + HEADER_MAGIC, "HdrS", 4) == 0;
}

/* What an image says of itself. */
struct linux_image {
    uint8_t header[HEADER_END]; /* at the same offsets as in the image and in the boot parameters */
    unsigned header_bytes;      /* from HEADER_START on */
    unsigned version;
    const uint8_t *payload;
    uint64_t payload_bytes;
    /* what the kernel uses from its load address on, before it looks at the memory map */
    uint64_t memory_bytes;
    uint64_t alignment;
    uint64_t preferred;
    bool relocatable;
    bool has_64bit_entry;
};

static enum vmmu_status copy_header(const struct guest_blob *kernel, struct linux_image *image,
                                    const char **error)
{
    uint64_t end;

    *image = (struct linux_image){ 0 };
    if (!linux_is_image(kernel)) {
        *error = "the kernel has no Linux setup header";
        return VMMU_INVALID;
    }
    end = HEADER_MAGIC + (uint64_t)kernel->bytes[HEADER_JUMP + 1];
    if (end > HEADER_END || end > kernel->size || end < HEADER_LOADFLAGS + 1) {
        *error = "the Linux setup header's length is impossible";
        return VMMU_INVALID;
    }
    image->header_bytes = (unsigned)(end - HEADER_START);
    __builtin_memcpy(image->header + HEADER_START, kernel->bytes + HEADER_START, image->header_bytes);
    image->version = get16(image->header + HEADER_VERSION);
    if (image->version < 0x0200 || (image->header[HEADER_LOADFLAGS] & LOADED_HIGH) == 0) {
        *error = "the kernel is a zImage, or of a boot protocol before 2.00: only bzImages can be loaded";
        return VMMU_INVALID;
    }
    return VMMU_OK;
}

static enum vmmu_status find_payload(const struct guest_blob *kernel, struct linux_image *image,
                                     const char **error)
{
    const unsigned sectors =
        image->header[HEADER_START] != 0 ? image->header[HEADER_START] : SETUP_SECTORS_DEFAULT;
    const uint64_t start = (uint64_t)(sectors + 1) * SECTOR_BYTES;
    const uint64_t said = (uint64_t)get32(image->header + HEADER_PAYLOAD_PARAGRAPHS) * 16;

    if (start >= kernel->size) {
        *error = "the kernel image ends in its setup sectors: is it truncated?";
        return VMMU_INVALID;
    }
    image->payload = kernel->bytes + start;
    image->payload_bytes = kernel->size - start;
    if (said > image->payload_bytes + 15) {
        *error = "the kernel image is shorter than its header says: is it truncated?";
        return VMMU_INVALID;
    }
    return VMMU_OK;
}

static enum vmmu_status read_placement(struct linux_image *image, const char **error)
{
    const uint8_t *header = image->header;

    image->alignment = VMMU_PAGE_BYTES;
    image->preferred = LOAD_ADDRESS_FIXED;
    image->memory_bytes = image->payload_bytes + INIT_BYTES_UNKNOWN;
    if (image->version >= VERSION_RELOCATABLE) {
        image->relocatable = header[HEADER_RELOCATABLE] != 0;
        image->alignment = image->relocatable ? get32(header + HEADER_ALIGNMENT) : VMMU_PAGE_BYTES;
    }
    if (image->version >= VERSION_INIT_BYTES) {
        image->preferred = get64(header + HEADER_PREFERRED);
        image->memory_bytes = get32(header + HEADER_INIT_BYTES);
    }
    if (image->memory_bytes < image->payload_bytes) {
        image->memory_bytes = image->payload_bytes;
    }
    image->has_64bit_entry = image->version >= VERSION_ENTRIES &&
                             (get16(header + HEADER_XLOADFLAGS) & XLOAD_KERNEL_64) != 0 &&
                             image->payload_bytes > ENTRY64_OFFSET;
    if (image->alignment < VMMU_PAGE_BYTES || (image->alignment & (image->alignment - 1)) != 0) {
        *error = "the kernel asks for an alignment that is not a power of two, or less than a page";
        return VMMU_INVALID;
    }
    return VMMU_OK;
}

/* Where the kernel likes to be, or, if it can move and that is taken, the lowest place that fits. */
static enum vmmu_status place_kernel(struct pieces *pieces, const struct linux_image *image,
                                     uint64_t *address, const char **error)
{
    const struct place place = { image->memory_bytes, image->alignment, LOAD_ADDRESS_FIXED, BELOW_4G };
    uint8_t *at = NULL;

    *error = NULL;
    *address = image->preferred;
    if (image->memory_bytes < BELOW_4G && image->preferred < BELOW_4G - image->memory_bytes &&
        vmmu_is_aligned(image->preferred, VMMU_PAGE_BYTES)) {
        at = pieces_claim(pieces, image->preferred, image->memory_bytes, error);
    }
    if (at == NULL && image->relocatable && pieces_lowest(pieces, &place, address)) {
        at = pieces_claim(pieces, *address, image->memory_bytes, error);
    }
    if (at == NULL) {
        *error = "the guest has too little memory for this kernel, or none where the kernel must be";
        return VMMU_NO_MEMORY;
    }
    __builtin_memcpy(at, image->payload, image->payload_bytes);
    return VMMU_OK;
}

static enum vmmu_status choose_entry(const struct guest_boot *boot, const struct linux_image *image,
                                     enum guest_start_kind *kind, const char **error)
{
    const bool wants64 = boot->linux_entry != GUEST_LINUX_32BIT && image->has_64bit_entry;

    if (boot->linux_entry == GUEST_LINUX_64BIT && !image->has_64bit_entry) {
        *error = "the kernel has no 64-bit entry point";
        return VMMU_INVALID;
    }
    *kind = wants64 ? GUEST_START_LONG64 : GUEST_START_PROTECTED32;
    return VMMU_OK;
}

static enum vmmu_status write_params(struct pieces *pieces, const struct guest_boot *boot,
                                     const struct linux_image *image, uint64_t address, const char **error)
{
    const uint8_t *header = image->header;
    struct linux_params params = {
        .header = header + HEADER_START,
        .header_bytes = image->header_bytes,
        .command_line_limit = COMMAND_BYTES_DEFAULT,
        .initrd_limit = INITRD_LIMIT_DEFAULT,
        .kernel_end = address + image->memory_bytes,
    };

    if (image->version >= VERSION_COMMAND_BYTES) {
        params.command_line_limit = get32(header + HEADER_COMMAND_BYTES);
    }
    if (image->version >= VERSION_INITRD_LIMIT) {
        params.initrd_limit = (uint64_t)get32(header + HEADER_INITRD_MAXIMUM) + 1;
    }
    return linux_write_params(pieces, boot, &params, address, error);
}

enum vmmu_status guest_load_linux(const struct guest_memory *memory, const struct guest_layout *layout,
                                  const struct guest_boot *boot, struct guest_start *start,
                                  const char **error)
{
    struct linux_image image;
    struct pieces pieces;
    enum guest_start_kind kind;
    uint64_t address;
    enum vmmu_status status = copy_header(&boot->kernel, &image, error);

    pieces_start(&pieces, memory, layout);
    status = status != VMMU_OK ? status : find_payload(&boot->kernel, &image, error);
    status = status != VMMU_OK ? status : read_placement(&image, error);
    status = status != VMMU_OK ? status : choose_entry(boot, &image, &kind, error);
    status = status != VMMU_OK ? status : place_kernel(&pieces, &image, &address, error);
    status = status != VMMU_OK ? status : write_params(&pieces, boot, &image, address, error);
    status = status != VMMU_OK ? status : guest_start_make(memory, start, kind, error);
    if (status == VMMU_OK) {
        start->rip = address + (kind == GUEST_START_LONG64 ? ENTRY64_OFFSET : 0);
        start->rsi = PLACE_BOOT_PARAMS;
    }
    return status;
}

/*
 * The header that a vmlinux, which has none, is given: protocol 2.15, by a loader without an assigned number.
 */
static void make_header(uint8_t *header)
{
    __builtin_memset(header, 0, HEADER_END);
    put16(header + HEADER_BOOT_FLAG, BOOT_FLAG);
    __builtin_memcpy(header + HEADER_MAGIC, "HdrS", 4);
    put16(header + HEADER_VERSION, 0x020F);
    header[HEADER_LOADFLAGS] = LOADED_HIGH;
    put32(header + HEADER_ALIGNMENT, VMMU_2M_BYTES);
    put32(header + HEADER_INITRD_MAXIMUM, 0x7FFFFFFF);
    put32(header + HEADER_COMMAND_BYTES, 2047);
}

enum vmmu_status guest_load_vmlinux(const struct guest_memory *memory, const struct guest_layout *layout,
                                    const struct guest_boot *boot, struct guest_start *start,
                                    const char **error)
{
    uint8_t header[HEADER_END];
    struct elf_loaded loaded;
    struct pieces pieces;
    struct elf elf;
    enum vmmu_status status = elf_open(&boot->kernel, &elf, error);

    if (status == VMMU_OK && (!elf.is64 || elf.machine != ELF_MACHINE_X86_64)) {
        *error = "the ELF file is not a 64-bit x86 kernel";
        status = VMMU_INVALID;
    }
    pieces_start(&pieces, memory, layout);
    status = status != VMMU_OK ? status : elf_load(&elf, &pieces, &loaded, error);
    if (status == VMMU_OK && loaded.high > BELOW_4G) {
        *error = "the kernel must be loaded below 4 GiB";
        status = VMMU_INVALID;
    }
    if (status == VMMU_OK) {
        const struct linux_params params = {
            .header = header + HEADER_START,
            .header_bytes = HEADER_END - HEADER_START,
            .command_line_limit = 2047,
            .initrd_limit = 0x80000000u,
            .kernel_end = loaded.high,
        };

        make_header(header);
        put32(header + HEADER_INIT_BYTES, (uint32_t)(loaded.high - loaded.low));
        put64(header + HEADER_PREFERRED, loaded.low);
        status = linux_write_params(&pieces, boot, &params, loaded.low, error);
    }
    status = status != VMMU_OK ? status : guest_start_make(memory, start, GUEST_START_LONG64, error);
    if (status == VMMU_OK) {
        start->rip = loaded.entry;
        start->rsi = PLACE_BOOT_PARAMS;
    }
    return status;
}
