#include "tests/fuzz/image.h"

#include <sys/mman.h>
#include <unistd.h>
#include <vmmu/walk.h>

#include "tools/image/partition.h"

#define LOOKS           8
#define PARTITIONS_MOST 4
#define ADDRESS_LIMIT   BIT64(52)

void fuzz_complaint_check(const struct complaint *complaint)
{
    const size_t length = strnlen(complaint->text, sizeof(complaint->text));

    FUZZ_CHECK(length > 0 && length < sizeof(complaint->text));
    FUZZ_CHECK(strchr(complaint->text, '\n') == NULL);
}

struct image *fuzz_image_open(const void *data, size_t size, const struct image_options *options)
{
    static char path[64];
    struct complaint complaint = { .text = "" };
    const int file = memfd_create("input", MFD_CLOEXEC);
    struct image *image;

    FUZZ_CHECK(file >= 0);
    FUZZ_CHECK(write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    image = image_open(path, options, &complaint);
    FUZZ_CHECK(close(file) == 0);
    if (image == NULL) {
        fuzz_complaint_check(&complaint);
        FUZZ_CHECK(strncmp(complaint.text, path, strlen(path)) == 0);
    }
    return image;
}

static void check_ranges(const struct image_range *ranges, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        FUZZ_CHECK(vmmu_range_fits(ranges[i].base, ranges[i].size_bytes, ADDRESS_LIMIT));
        FUZZ_CHECK(i == 0 || ranges[i - 1].base + ranges[i - 1].size_bytes <= ranges[i].base);
    }
}

/* An address near the beginning or the end of a range, or anywhere. */
static uint64_t take_address(struct input *input, const struct image_range *ranges, unsigned count)
{
    const uint64_t number = input_u64(input);
    const struct image_range *range;

    if (count == 0 || (number & 7) == 7)
        return number >> 3;
    range = &ranges[(number >> 3) % count];
    return range->base + (number & 1 ? range->size_bytes : 0) + ((number >> 32) & 0x1F) - 16;
}

static bool in_ranges(const struct image_range *ranges, unsigned count, uint64_t address, unsigned bytes)
{
    unsigned inside = 0;

    for (unsigned i = 0; i < bytes; i++) {
        for (unsigned range = 0; range < count; range++)
            inside += address + i - ranges[range].base < ranges[range].size_bytes;
    }
    return inside == bytes;
}

/* One look: loads say what image_read() says, and nothing is there that no range has. */
static void look(const struct image *image, uint64_t address)
{
    const uint64_t aligned = address & ~UINT64_C(7);
    uint64_t loaded = 0;
    uint64_t read = 0;
    const enum vmmu_status status = image->ram.load(image->ram.context, aligned, 8, &loaded);
    const bool there = image_read(image, aligned, &read, 8);

    FUZZ_CHECK(status == VMMU_OK || status == VMMU_ABSENT);
    FUZZ_CHECK((status == VMMU_OK) == there);
    FUZZ_CHECK(!there || loaded == read);
    FUZZ_CHECK(!there || in_ranges(image->ranges, image->range_count, aligned, 8));
    FUZZ_CHECK(image->ram.load(image->ram.context, address & ~UINT64_C(3), 4, &loaded) != VMMU_OK ||
               loaded <= UINT32_MAX);
    FUZZ_CHECK(image->ram.exchange(image->ram.context, aligned, 8, loaded, 0) == VMMU_ABSENT);
}

static void walk(const struct image_processor *processor, const struct vmmu_ram *ram, uint64_t va)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_cpu cpu = { .maxphyaddr = 52,
                                .pse = true,
                                .pae = true,
                                .pge = true,
                                .nx = true,
                                .long_mode = true,
                                .la57 = true,
                                .cr4_others = UINT64_MAX };
    struct vmmu_x86_walk_result result;
    struct vmmu_x86_mode mode;

    if (processor->has_cpu)
        cpu = processor->cpu;
    if (processor->has_paging && vmmu_mode_make(&cpu, &processor->paging, &mode) == VMMU_OK) {
        const enum vmmu_status status = vmmu_x86_walk(&mode, ram, (vmmu_gva){ va }, access, &result);

        FUZZ_CHECK(status == VMMU_OK || status == VMMU_GUEST_FAULT || status == VMMU_ABSENT);
    }
}

void fuzz_image_use(struct image *image, struct input *input)
{
    FUZZ_CHECK(image->format != IMAGE_GUESS);
    FUZZ_CHECK((image->format == IMAGE_VMMU || image->format == IMAGE_LIVE) == (image->state != NULL));
    check_ranges(image->ranges, image->range_count);
    for (unsigned i = 0; i < LOOKS; i++)
        look(image, take_address(input, image->ranges, image->range_count));
    for (unsigned i = 0; i < image->processor_count && i < LOOKS; i++) {
        FUZZ_CHECK(image->processors[i].state.cpl <= 3);
        walk(&image->processors[i], &image->ram, input_u64(input));
    }
    image_close(image);
}

static void use_partition(const struct partition *partition, struct input *input)
{
    check_ranges(partition->ranges, partition->piece_count);
    for (unsigned i = 0; i < partition->piece_count; i++) {
        const uint64_t base = partition->pieces[i].gpa;
        uint64_t value = 0;
        uint64_t same = 0;

        FUZZ_CHECK(partition->ranges[i].base == base);
        FUZZ_CHECK(partition->ram.load(partition->ram.context, base, 8, &value) == VMMU_OK);
        FUZZ_CHECK(image_read(partition->image, partition->pieces[i].hpa, &same, 8) && same == value);
    }
    for (unsigned i = 0; i < partition->vp_count && i < LOOKS; i++)
        walk(&partition->vps[i].processor, &partition->ram, input_u64(input));
    for (unsigned i = 0; i < partition->table_count; i++)
        FUZZ_CHECK(partition->tables[i].level >= 1 && partition->tables[i].level <= VMMU_X86_MAX_LEVELS);
    if (partition->has_second) {
        const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_READ };
        struct vmmu_x86_stage2_result result;

        const enum vmmu_status status =
            vmmu_x86_walk_stage2(&partition->second, (vmmu_gpa){ input_u64(input) }, access, &result);

        FUZZ_CHECK(status == VMMU_OK || status == VMMU_STAGE2 || status == VMMU_ABSENT);
    }
}

void fuzz_partitions_use(struct image *image, struct input *input)
{
    for (unsigned i = 0; i < PARTITIONS_MOST; i++) {
        struct complaint complaint = { .text = "" };
        struct partition *const partition = partition_open(image, i, &complaint);

        if (partition == NULL) {
            fuzz_complaint_check(&complaint);
        } else {
            use_partition(partition, input);
            partition_close(partition);
        }
    }
}
