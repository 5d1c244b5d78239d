/*
 * A cpio archive read member by member. A header is 110 characters, thirteen numbers of eight hexadecimal digits behind
 * the magic number; the name follows it, then the content, each padded to four bytes from the archive's start.
 */
#include "hv/boot/bundle.h"
#include "hv/boot/collect.h"

#define MAGIC_BYTES    6
#define HEADER_BYTES   110
#define NUMBER_DIGITS  8
#define MODE_FILE_TYPE 0170000
#define MODE_REGULAR   0100000

/* Which number of the header is which. */
enum number {
    NUMBER_MODE = 1,
    NUMBER_CONTENT_BYTES = 6,
    NUMBER_NAME_BYTES = 11, /* its NUL included */
};

static const char trailer[] = "TRAILER!!!";

/* One member: where its parts lie in the archive. */
struct member {
    uint32_t mode;
    uint64_t name, name_bytes;
    uint64_t content, content_bytes;
    uint64_t next;
};

static bool read_number(const uint8_t *header, enum number number, uint32_t *out)
{
    const uint8_t *const digits = header + MAGIC_BYTES + (size_t)number * NUMBER_DIGITS;
    uint32_t value = 0;
    for (unsigned i = 0; i < NUMBER_DIGITS; i++) {
        const uint8_t digit = digits[i];
        const uint8_t letter = digit | 0x20;
        if (digit >= '0' && digit <= '9') {
            value = value << 4 | (uint32_t)(digit - '0');
        } else if (letter >= 'a' && letter <= 'f') {
            value = value << 4 | (uint32_t)(letter - 'a' + 10);
        } else {
            return false;
        }
    }
    *out = value;
    return true;
}

static uint64_t padded(uint64_t offset)
{
    return (offset + 3) & ~UINT64_C(3);
}

/* The member at @at, all of which lies in the archive. */
static bool read_member(const uint8_t *bytes, uint64_t size_bytes, uint64_t at, struct member *member)
{
    uint32_t name_bytes, content_bytes;
    if (!vmmu_range_fits(at, HEADER_BYTES, size_bytes)) {
        return false;
    }
    const uint8_t *const header = bytes + at;
    const bool magic = __builtin_memcmp(header, "070701", MAGIC_BYTES) == 0 ||
                       __builtin_memcmp(header, "070702", MAGIC_BYTES) == 0;
    if (!magic || !read_number(header, NUMBER_MODE, &member->mode) ||
        !read_number(header, NUMBER_CONTENT_BYTES, &content_bytes) ||
        !read_number(header, NUMBER_NAME_BYTES, &name_bytes)) {
        return false;
    }
    member->name = at + HEADER_BYTES;
    member->name_bytes = name_bytes;
    member->content = padded(member->name + name_bytes);
    member->content_bytes = content_bytes;
    member->next = padded(member->content + content_bytes);
    return vmmu_range_fits(member->name, name_bytes, size_bytes) &&
           bytes[member->name + name_bytes - 1] == '\0' &&
           (content_bytes == 0 || vmmu_range_fits(member->content, content_bytes, size_bytes));
}

const char *bundle_read(const void *bytes, uint64_t size_bytes, vmmu_hpa base, struct boot_info *info)
{
    const uint8_t *const archive = bytes;
    struct member member;
    for (uint64_t at = 0; read_member(archive, size_bytes, at, &member); at = member.next) {
        const char *const name = (const char *)archive + member.name;
        if (member.name_bytes == sizeof(trailer) && __builtin_memcmp(name, trailer, sizeof(trailer)) == 0) {
            return NULL;
        }
        if ((member.mode & MODE_FILE_TYPE) != MODE_REGULAR) {
            continue;
        }
        if (info->module_count == BOOT_MODULES_MAX) {
            return "the bundle has more modules than the hypervisor takes";
        }
        const char *const words = collect_text(info, name, member.name_bytes);
        if (words == NULL) {
            return "the names in the bundle are longer than the hypervisor has room for";
        }
        info->modules[info->module_count++] =
            (struct boot_module){ { base.v + member.content }, member.content_bytes, words };
    }
    return "the bundle is no cpio archive of the new ASCII format, or is cut short";
}
