/*
 * ELF cores: what memory they hold, and headers that lie.
 */
#include "tests/unit/tools_image/build.h"

/* A segment of memory: @count bytes of @value at @physical. */
static struct segment memory_of(uint64_t physical, uint8_t value, size_t count)
{
    struct segment segment = { .type = PT_LOAD, .physical = physical };

    put_fill(&segment.content, value, count);
    return segment;
}

/* A core of 64 bits with @count of @segments, whose contents are dropped. */
static struct bytes core_of(struct segment *segments, size_t count)
{
    struct bytes core = { 0 };

    put_core64(&core, EM_X86_64, segments, count);
    for (size_t i = 0; i < count; i++)
        drop(&segments[i].content);
    return core;
}

static struct bytes one_page(void)
{
    struct segment segment = memory_of(0x10000, 0x42, 0x1000);

    return core_of(&segment, 1);
}

static struct image *opened(struct bytes *core)
{
    struct image *const image = open_sound_bytes(core);

    drop(core);
    return image;
}

static void refused(struct bytes *core, const char *words)
{
    expect_refused(core, IMAGE_GUESS, words);
    drop(core);
}

static void test_segments_are_memory_by_their_physical_addresses(void **state)
{
    struct segment segments[] = { memory_of(0x100000000, 3, 0x1000), memory_of(0x1000, 1, 0x1000),
                                  memory_of(0x9000, 2, 0x2000) };
    struct bytes core = core_of(segments, 3);
    struct image *const image = opened(&core);

    (void)state;
    EXPECT_EQ(image->format, IMAGE_ELF);
    EXPECT_EQ(image->range_count, 3);
    EXPECT_EQ(image->ranges[0].base, 0x1000);
    EXPECT_EQ(image->ranges[1].base, 0x9000);
    EXPECT_EQ(image->ranges[2].base, 0x100000000);
    EXPECT(image->ranges[1].mapped != NULL);
    expect_byte(image, 0xFFF, -1);
    expect_byte(image, 0x1000, 1);
    expect_byte(image, 0xAFFF, 2);
    expect_byte(image, 0x100000FFF, 3);
    expect_byte(image, 0x100001000, -1);
    EXPECT(image->state == NULL);
    image_close(image);
}

static void test_cores_of_32_bits_are_read_too(void **state)
{
    struct segment segments[] = { memory_of(0x1000, 1, 0x1000), memory_of(0xFFFC0000, 2, 0x1000) };
    struct bytes core = { 0 };
    struct image *image;

    (void)state;
    put_core32(&core, EM_386, segments, 2);
    drop(&segments[0].content);
    drop(&segments[1].content);
    image = opened(&core);
    EXPECT_EQ(image->range_count, 2);
    expect_byte(image, 0x1000, 1);
    expect_byte(image, 0xFFFC0FFF, 2);
    image_close(image);
}

static void test_what_was_left_out_of_the_file_is_absent(void **state)
{
    struct segment segment = memory_of(0x1000, 1, 0x1000);
    struct segment nothing = { .type = PT_LOAD, .physical = 0x8000, .more_bytes = 0x1000 };
    struct segment segments[2];
    struct bytes core;
    struct image *image;

    (void)state;
    segment.more_bytes = 0x1000;
    segments[0] = segment;
    segments[1] = nothing;
    core = core_of(segments, 2);
    image = opened(&core);
    EXPECT_EQ(image->range_count, 1);
    expect_byte(image, 0x1FFF, 1);
    expect_byte(image, 0x2000, -1);
    expect_byte(image, 0x8000, -1);
    image_close(image);
}

static void test_memory_that_is_there_twice_is_read_from_the_lower_segment(void **state)
{
    struct segment segments[] = { memory_of(0x2000, 1, 0x1000), memory_of(0x1000, 2, 0x3000),
                                  memory_of(0x3800, 3, 0x1000), memory_of(0x1000, 4, 0x1000) };
    struct bytes core = core_of(segments, 4);
    struct image *const image = opened(&core);

    (void)state;
    expect_byte(image, 0x1000, 2);
    expect_byte(image, 0x2000, 2);
    expect_byte(image, 0x3FFF, 2);
    expect_byte(image, 0x4000, 3);
    expect_byte(image, 0x47FF, 3);
    expect_byte(image, 0x4800, -1);
    image_close(image);
}

static void test_loads_go_across_segments_that_are_neighbours(void **state)
{
    struct segment segments[] = { memory_of(0x1004, 0x22, 4), memory_of(0x1000, 0x11, 4) };
    struct bytes core = core_of(segments, 2);
    struct image *const image = opened(&core);
    uint64_t value = 0;

    (void)state;
    EXPECT_EQ(image->ram.load(image->ram.context, 0x1000, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x2222222211111111);
    EXPECT_EQ(image->ram.load(image->ram.context, 0x1004, 4, &value), VMMU_OK);
    EXPECT_EQ(value, 0x22222222);
    image_close(image);
}

static void test_a_core_may_be_taken_as_raw_memory(void **state)
{
    struct bytes core = one_page();
    struct complaint complaint;
    struct image *const image = open_bytes(&core, IMAGE_RAW, &complaint);

    (void)state;
    EXPECT_EQ(image->format, IMAGE_RAW);
    expect_byte(image, 0, 0x7F);
    image_close(image);
    drop(&core);
}

static void test_what_is_no_core_of_x86_is_refused(void **state)
{
    struct bytes core = one_page();

    (void)state;
    patch_u16(&core, offsetof(Elf64_Ehdr, e_type), ET_EXEC);
    expect_refused(&core, IMAGE_GUESS, "not a core (its type is 2)");
    patch_u16(&core, offsetof(Elf64_Ehdr, e_type), ET_CORE);
    patch_u16(&core, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
    expect_refused(&core, IMAGE_GUESS, "not x86 (number 183)");
    patch_u16(&core, offsetof(Elf64_Ehdr, e_machine), EM_X86_64);
    core.data[EI_DATA] = ELFDATA2MSB;
    expect_refused(&core, IMAGE_GUESS, "big-endian");
    core.data[EI_DATA] = ELFDATA2LSB;
    expect_refused(&core, IMAGE_VMMU, "no note of our hypervisor's state");
    expect_refused(&core, IMAGE_KDUMP, "header");
    drop(&core);
}

static void test_the_magic_alone_is_no_core(void **state)
{
    struct bytes core = { 0 };

    (void)state;
    put(&core, "\177ELF", 4);
    refused(&core, "ELF");
    core = one_page();
    core.size = 40;
    refused(&core, "ELF");
}

static void test_a_core_without_memory_is_refused(void **state)
{
    struct bytes core = core_of(NULL, 0);

    (void)state;
    refused(&core, "holds no memory");
}

static void test_the_core_of_a_program_is_refused(void **state)
{
    struct segment segments[] = { memory_of(0, 1, 0x1000), memory_of(0, 2, 0x1000) };
    struct bytes core = core_of(segments, 2);

    (void)state;
    patch_u64(&core, header_of(0) + offsetof(Elf64_Phdr, p_vaddr), 0x400000);
    patch_u64(&core, header_of(1) + offsetof(Elf64_Phdr, p_vaddr), 0x7FFF00000000);
    refused(&core, "core of a program");
}

static void test_a_file_that_is_cut_off_is_refused(void **state)
{
    struct bytes core = one_page();

    (void)state;
    core.size -= 1;
    refused(&core, "segment 0 has 0x1000 bytes at 0x78 of the file, which ends at 0x1077");
}

static void test_sizes_and_places_beyond_the_file_are_refused(void **state)
{
    static const struct {
        size_t field;
        uint64_t value;
        const char *words;
    } lies[] = {
        { offsetof(Elf64_Phdr, p_filesz), UINT64_MAX, "cut off, or its header lies" },
        { offsetof(Elf64_Phdr, p_offset), UINT64_MAX, "cut off, or its header lies" },
        { offsetof(Elf64_Phdr, p_offset), UINT64_MAX - 0xFFF, "cut off, or its header lies" },
        { offsetof(Elf64_Phdr, p_memsz), 0xFFF,
          "segment 0 has 0x1000 bytes in the file, and says to stand for 0xfff" },
        { offsetof(Elf64_Phdr, p_paddr), UINT64_MAX - 0xFFE, "beyond what processors address" },
        { offsetof(Elf64_Phdr, p_paddr), (UINT64_C(1) << 52) - 0xFFF, "beyond what processors address" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct bytes core = one_page();

        patch_u64(&core, header_of(0) + lies[i].field, lies[i].value);
        refused(&core, lies[i].words);
    }
}

static void test_the_last_page_that_processors_address_is_memory(void **state)
{
    struct bytes core = one_page();
    struct image *image;

    (void)state;
    patch_u64(&core, header_of(0) + offsetof(Elf64_Phdr, p_paddr), (UINT64_C(1) << 52) - 0x1000);
    image = opened(&core);
    expect_byte(image, (UINT64_C(1) << 52) - 1, 0x42);
    expect_byte(image, UINT64_C(1) << 52, -1);
    image_close(image);
}

static void test_more_headers_than_the_file_has_are_refused(void **state)
{
    struct bytes core = one_page();

    (void)state;
    patch_u16(&core, offsetof(Elf64_Ehdr, e_phnum), 0xFFFE);
    expect_refused(&core, IMAGE_GUESS, "program header");
    patch_u16(&core, offsetof(Elf64_Ehdr, e_phnum), 1);
    patch_u64(&core, offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX);
    expect_refused(&core, IMAGE_GUESS, "");
    patch_u64(&core, offsetof(Elf64_Ehdr, e_phoff), 64);
    patch_u16(&core, offsetof(Elf64_Ehdr, e_phentsize), 8);
    expect_refused(&core, IMAGE_GUESS, "program headers have 8 bytes, not 56");
    drop(&core);
}

/* A core that counts its @count segments in section 0, as one does that has 65535 or more. */
static struct bytes core_of_many(uint32_t count)
{
    const Elf64_Shdr section = { .sh_info = count };
    struct bytes core = { 0 };

    put_core64(&core, EM_X86_64, NULL, 0);
    patch_u16(&core, offsetof(Elf64_Ehdr, e_phnum), PN_XNUM);
    patch_u16(&core, offsetof(Elf64_Ehdr, e_shnum), 1);
    patch_u16(&core, offsetof(Elf64_Ehdr, e_shentsize), sizeof(section));
    patch_u64(&core, offsetof(Elf64_Ehdr, e_shoff), sizeof(Elf64_Ehdr));
    put(&core, &section, sizeof(section));
    patch_u64(&core, offsetof(Elf64_Ehdr, e_phoff), core.size);
    return core;
}

static void test_seventy_thousand_segments_are_read(void **state)
{
    struct bytes core = core_of_many(70000);
    struct image *image;

    (void)state;
    for (uint64_t i = 0; i < 70000; i++) {
        /* every other page; the file's first 16 bytes stand for each */
        const Elf64_Phdr header = { .p_type = PT_LOAD, .p_paddr = 0x2000 * i, .p_filesz = 16, .p_memsz = 16 };

        put(&core, &header, sizeof(header));
    }
    image = opened(&core);
    EXPECT_EQ(image->range_count, 70000);
    expect_byte(image, 0x2000 * UINT64_C(69999), 0x7F);
    expect_byte(image, 0x2000 * UINT64_C(69999) - 0x1000, -1);
    image_close(image);
}

static void test_millions_of_segments_are_refused(void **state)
{
    struct bytes core = core_of_many(3000000);

    (void)state;
    put_zeros_to(&core, core.size + 3000000 * sizeof(Elf64_Phdr));
    refused(&core, "3000000 segments");
}

static void test_notes_that_stand_in_many_segments_are_refused(void **state)
{
    struct segment segments[40] = { memory_of(0x1000, 0, 0x1000) };
    struct bytes core;

    (void)state;
    for (unsigned i = 1; i < 40; i++)
        segments[i].type = PT_NOTE;
    core = core_of(segments, 40);
    for (unsigned i = 1; i < 40; i++) {
        patch_u64(&core, header_of(i) + offsetof(Elf64_Phdr, p_offset), header_of(40));
        patch_u64(&core, header_of(i) + offsetof(Elf64_Phdr, p_filesz), 0x1000);
    }
    refused(&core, "segments of notes overlap");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_are_memory_by_their_physical_addresses),
        cmocka_unit_test(test_cores_of_32_bits_are_read_too),
        cmocka_unit_test(test_what_was_left_out_of_the_file_is_absent),
        cmocka_unit_test(test_memory_that_is_there_twice_is_read_from_the_lower_segment),
        cmocka_unit_test(test_loads_go_across_segments_that_are_neighbours),
        cmocka_unit_test(test_a_core_may_be_taken_as_raw_memory),
        cmocka_unit_test(test_what_is_no_core_of_x86_is_refused),
        cmocka_unit_test(test_the_magic_alone_is_no_core),
        cmocka_unit_test(test_a_core_without_memory_is_refused),
        cmocka_unit_test(test_the_core_of_a_program_is_refused),
        cmocka_unit_test(test_a_file_that_is_cut_off_is_refused),
        cmocka_unit_test(test_sizes_and_places_beyond_the_file_are_refused),
        cmocka_unit_test(test_the_last_page_that_processors_address_is_memory),
        cmocka_unit_test(test_more_headers_than_the_file_has_are_refused),
        cmocka_unit_test(test_seventy_thousand_segments_are_read),
        cmocka_unit_test(test_millions_of_segments_are_refused),
        cmocka_unit_test(test_notes_that_stand_in_many_segments_are_refused),
    };

    return RUN_TESTS(tests);
}
