/* U-Boot's legacy images. Everything is checked before a byte is copied. */
#include "hv/guest/uimage.h"

#include "hv/guest/bytes.h"

#define MAGIC            UINT32_C(0x27051956)
#define ARCHITECTURE_PPC 7
#define TYPE_STANDALONE  1
#define TYPE_KERNEL      2
#define COMPRESSION_NONE 0
#define CRC_POLYNOMIAL   UINT32_C(0xEDB88320) /* reversed */

/* Offsets of the header's fields. */
enum {
    HEADER_CRC_AT = 4,
    SIZE_AT = 12,
    LOAD_AT = 16,
    ENTRY_AT = 20,
    DATA_CRC_AT = 24,
    ARCHITECTURE_AT = 29,
    TYPE_AT = 30,
    COMPRESSION_AT = 31,
    HEADER_BYTES = 64,
};

static uint32_t crc_byte(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (unsigned i = 0; i < 8; i++)
        crc = crc >> 1 ^ (CRC_POLYNOMIAL & (0 - (crc & 1)));
    return crc;
}

static uint32_t crc32(const uint8_t *bytes, uint64_t count)
{
    uint32_t crc = UINT32_MAX;

    for (uint64_t i = 0; i < count; i++)
        crc = crc_byte(crc, bytes[i]);
    return ~crc;
}

/* Of the header, as if its own checksum were zero. */
static uint32_t header_crc(const uint8_t *bytes)
{
    uint8_t header[HEADER_BYTES];

    __builtin_memcpy(header, bytes, sizeof(header));
    put_big32(header + HEADER_CRC_AT, 0);
    return crc32(header, sizeof(header));
}

bool uimage_is_image(const struct guest_blob *blob)
{
    return blob->size >= HEADER_BYTES && get_big32(blob->bytes) == MAGIC;
}

static const char *find_fault(const struct guest_blob *blob)
{
    const uint8_t *bytes = blob->bytes;
    const uint8_t type = bytes[TYPE_AT];
    const uint64_t size = get_big32(bytes + SIZE_AT);

    if (header_crc(bytes) != get_big32(bytes + HEADER_CRC_AT))
        return "the uImage's header is damaged: its checksum is wrong";
    if (bytes[ARCHITECTURE_AT] != ARCHITECTURE_PPC || (type != TYPE_KERNEL && type != TYPE_STANDALONE))
        return "the uImage is not a program for PowerPC";
    if (bytes[COMPRESSION_AT] != COMPRESSION_NONE)
        return "the uImage is compressed; have U-Boot load it, or make it without compression";
    if (!vmmu_range_fits(HEADER_BYTES, size, blob->size))
        return "the uImage's data lies outside the file: is it truncated?";
    if (crc32(bytes + HEADER_BYTES, size) != get_big32(bytes + DATA_CRC_AT))
        return "the uImage's data is damaged: its checksum is wrong";
    if (get_big32(bytes + ENTRY_AT) - get_big32(bytes + LOAD_AT) >= size)
        return "the uImage's entry point is outside its data";
    return NULL;
}

enum vmmu_status uimage_load(const struct guest_blob *blob, struct pieces *pieces, uint64_t *entry,
                             const char **error)
{
    const uint32_t size = get_big32(blob->bytes + SIZE_AT);
    uint8_t *at;

    *error = find_fault(blob);
    if (*error != NULL)
        return VMMU_INVALID;
    at = pieces_claim(pieces, get_big32(blob->bytes + LOAD_AT), size, error);
    if (at == NULL)
        return VMMU_INVALID;
    __builtin_memcpy(at, blob->bytes + HEADER_BYTES, size);
    *entry = get_big32(blob->bytes + ENTRY_AT);
    return VMMU_OK;
}
