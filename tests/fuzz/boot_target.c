/*
 * What the boot loader hands over: Multiboot information of both versions, the RSDP, sets of ranges, free memory.
 *
 * Input: a byte that says which. Information (0: version 1, 1: version 2) is laid out right from what follows, then
 * bytes of it are changed, then it is read through a window with holes and made into free memory. Sets of ranges (2)
 * and free memory (3) take operations, and are compared with a model that knows each unit, or page, by itself.
 */
#include "tests/unit/boot/direct_map.h"

#include "hv/boot/memory.h"
#include "hv/boot/multiboot.h"
#include "hv/boot/ranges.h"
#include "hv/boot/rsdp.h"

#include "tests/fuzz/input.h"

uintptr_t test_direct_map;

#define MIB          UINT64_C(0x100000)
#define LOADER_BASE  UINT64_C(0x10000)
#define LOADER_BYTES UINT64_C(0x8000)
#define EBDA_BASE    UINT64_C(0x9FC00)
#define ROM_BASE     UINT64_C(0xE0000)
#define ROM_BYTES    UINT64_C(0x20000)
#define MAP_AT       0x1000
#define MODULES_AT   0x3800
#define TEXT_AT      0x4000
#define STRIDE       UINT64_C(0x20000) /* from one entry of a map to the next, where the input says nothing */

/* --- the loader's memory --- */

/* Blocks of their own, so that a step beyond any of them is seen. */
struct machine {
    uint8_t *loader;
    uint64_t loader_bytes;
    uint8_t *ebda;
    uint8_t *rom;
    uint16_t ebda_segment;
};

struct part {
    uint64_t base;
    uint64_t size_bytes;
    const uint8_t *bytes;
};

static const void *reach(void *context, uint64_t address, uint64_t size_bytes)
{
    const struct machine *machine = context;
    const struct part parts[] = {
        { LOADER_BASE, machine->loader_bytes, machine->loader },
        { EBDA_BASE, 1024, machine->ebda },
        { ROM_BASE, ROM_BYTES, machine->rom },
        { 0x40E, 2, (const uint8_t *)&machine->ebda_segment },
    };

    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].bytes != NULL && address >= parts[i].base &&
            vmmu_range_fits(address - parts[i].base, size_bytes, parts[i].size_bytes))
            return parts[i].bytes + (address - parts[i].base);
    }
    return NULL;
}

static void put(struct machine *machine, uint64_t at, uint64_t value, unsigned bytes)
{
    if (vmmu_range_fits(at, bytes, machine->loader_bytes))
        memcpy(machine->loader + at, &value, bytes);
}

/* A text without zeros, from a byte that gives its length; from 0xF0 on in units of 256, of one letter. */
static uint64_t put_text(struct machine *machine, struct input *input, uint64_t at)
{
    const uint8_t code = input_u8(input);
    const uint64_t length = code < 0xF0 ? code : UINT64_C(256) * (code & 15);

    for (uint64_t i = 0; i < length; i++)
        put(machine, at + i, code < 0xF0 ? input_u8(input) | 0x20 : 'x', 1);
    put(machine, at + length, 0, 1);
    return at + length + 1;
}

/* A right RSDP somewhere, but for what the input adds to one of its bytes. */
static void put_rsdp(struct input *input, uint8_t *bytes, uint64_t size_bytes)
{
    const uint64_t at = input_u16(input) * UINT64_C(16) % size_bytes;
    const uint8_t revision = input_u8(input);
    uint8_t rsdp[36] = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' };
    uint8_t sum = 0;

    rsdp[15] = revision & 3;
    for (unsigned i = 0; i < 20; i++)
        sum = (uint8_t)(sum + rsdp[i]);
    rsdp[8] = (uint8_t)-sum;
    rsdp[revision >> 2 & 31] ^= revision >> 7;
    memcpy(bytes + at, rsdp, size_bytes - at < sizeof(rsdp) ? size_bytes - at : sizeof(rsdp));
}

static struct machine open_machine(struct input *input)
{
    const uint8_t options = input_u8(input);
    struct machine machine = { .loader_bytes = LOADER_BYTES, .ebda_segment = EBDA_BASE / 16 };

    if ((options & 8) != 0)
        machine.loader_bytes = 1 + input_u16(input) % LOADER_BYTES;
    machine.loader = calloc(1, machine.loader_bytes);
    FUZZ_CHECK(machine.loader != NULL);
    if ((options & 1) != 0) {
        machine.ebda = calloc(1, 1024);
        FUZZ_CHECK(machine.ebda != NULL);
        put_rsdp(input, machine.ebda, 1024);
    }
    if ((options & 2) != 0) {
        machine.rom = calloc(1, ROM_BYTES);
        FUZZ_CHECK(machine.rom != NULL);
        put_rsdp(input, machine.rom, ROM_BYTES);
    }
    if ((options & 4) != 0)
        machine.ebda_segment = input_u16(input);
    return machine;
}

static void close_machine(struct machine *machine)
{
    free(machine->loader);
    free(machine->ebda);
    free(machine->rom);
}

/* --- Multiboot information --- */

static uint64_t take_size(struct input *input)
{
    return input_u64(input) >> (input_u8(input) & 63);
}

static void lay_out_1(struct machine *machine, struct input *input)
{
    const unsigned entries = input_u16(input) % 400;
    const unsigned modules = input_below(input, BOOT_MODULES_MAX + 2);
    uint64_t text = TEXT_AT;

    put(machine, 0, input_u16(input) ^ 0x24D, 4);
    put(machine, 4, input_u32(input), 4);
    put(machine, 8, input_u32(input), 4);
    put(machine, 16, LOADER_BASE + text, 4);
    text = put_text(machine, input, text);
    put(machine, 64, LOADER_BASE + text, 4);
    text = put_text(machine, input, text);
    put(machine, 20, modules, 4);
    put(machine, 24, LOADER_BASE + MODULES_AT, 4);
    for (unsigned i = 0; i < modules; i++) {
        const uint32_t base = input_u32(input) & ~0xFFFu;

        put(machine, MODULES_AT + 16 * i, base, 4);
        put(machine, MODULES_AT + 16 * i + 4, base + input_u16(input), 4);
        put(machine, MODULES_AT + 16 * i + 8, LOADER_BASE + text, 4);
        text = put_text(machine, input, text);
    }
    put(machine, 44, UINT64_C(24) * entries, 4);
    put(machine, 48, LOADER_BASE + MAP_AT, 4);
    for (unsigned i = 0; i < entries; i++) {
        put(machine, MAP_AT + 24 * i, 20, 4);
        put(machine, MAP_AT + 24 * i + 4, take_size(input) + STRIDE * i, 8);
        put(machine, MAP_AT + 24 * i + 12, take_size(input) + entries / 2 % 2, 8);
        put(machine, MAP_AT + 24 * i + 20, input_u8(input) % 7, 4);
    }
}

/* The content of a map: entries of the usual step. */
static uint64_t put_map_2(struct machine *machine, struct input *input, uint64_t at)
{
    const unsigned entries = input_below(input, 200);

    put(machine, at, 24, 4);
    put(machine, at + 4, 0, 4);
    at += 8;
    for (unsigned i = 0; i < entries; i++, at += 24) {
        put(machine, at, take_size(input) + STRIDE * i, 8);
        put(machine, at + 8, take_size(input) + entries / 2 % 2, 8);
        put(machine, at + 16, input_u8(input) % 7, 4);
    }
    return at;
}

static uint64_t put_content_2(struct machine *machine, struct input *input, uint32_t kind, uint64_t at)
{
    uint32_t base;

    switch (kind) {
    case 1:
    case 2: return put_text(machine, input, at);
    case 3:
        base = input_u32(input) & ~0xFFFu;
        put(machine, at, base, 4);
        put(machine, at + 4, base + input_u16(input), 4);
        return put_text(machine, input, at + 8);
    case 4: put(machine, at, input_u64(input), 8); return at + 8;
    case 6: return put_map_2(machine, input, at);
    case 14:
    case 15:
        if (at + 36 <= machine->loader_bytes)
            put_rsdp(input, machine->loader + at, 36);
        return at + (kind == 14 ? 20 : 36);
    default: return put_text(machine, input, at);
    }
}

static void lay_out_2(struct machine *machine, struct input *input)
{
    const unsigned tags = input_below(input, 60);
    uint64_t at = 8;

    for (unsigned i = 0; i < tags && at < LOADER_BYTES; i++) {
        const uint32_t kind = input_below(input, 18);
        const uint64_t end = put_content_2(machine, input, kind, at + 8);

        put(machine, at, kind, 4);
        put(machine, at + 4, end - at, 4);
        at = (end + 7) & ~UINT64_C(7);
    }
    put(machine, at, 0, 4);
    put(machine, at + 4, 8, 4);
    put(machine, 0, at + 8, 4);
}

static void change_bytes(struct machine *machine, struct input *input)
{
    const unsigned changes = input_below(input, 16);

    for (unsigned i = 0; i < changes; i++) {
        const uint16_t at = input_u16(input);

        put(machine, at & 0x3FFF, input_number(input, 1U << (at >> 14)), 1U << (at >> 14));
    }
}

/* --- what must hold of what was read --- */

static bool is_text_of(const struct boot_info *info, const char *text)
{
    const char *const end = info->text + info->text_used_bytes;

    if (text == NULL)
        return false;
    return *text == '\0' ||
           (text >= info->text && text < end && memchr(text, 0, (size_t)(end - text)) != NULL);
}

static void check_info(const struct boot_info *info)
{
    FUZZ_CHECK(info->text_used_bytes <= BOOT_TEXT_BYTES);
    FUZZ_CHECK(is_text_of(info, info->loader) && is_text_of(info, info->command));
    FUZZ_CHECK(info->region_count <= BOOT_REGIONS_MAX && info->module_count <= BOOT_MODULES_MAX);
    for (unsigned i = 0; i < info->region_count; i++) {
        FUZZ_CHECK(info->regions[i].size_bytes != 0);
        FUZZ_CHECK(info->regions[i].base.v + info->regions[i].size_bytes > info->regions[i].base.v);
        FUZZ_CHECK(info->regions[i].kind <= BOOT_REGION_BAD);
    }
    for (unsigned i = 0; i < info->module_count; i++) {
        FUZZ_CHECK(info->modules[i].base.v % VMMU_PAGE_BYTES == 0 &&
                   is_text_of(info, info->modules[i].words));
        FUZZ_CHECK(info->modules[i].base.v + info->modules[i].size_bytes <= UINT32_MAX);
    }
    if (info->rsdp_bytes != 0)
        FUZZ_CHECK(rsdp_check(info->rsdp, info->rsdp_bytes) == info->rsdp_bytes);
}

static bool overlap(uint64_t base, uint64_t end, uint64_t other_base, uint64_t other_size)
{
    return other_size != 0 && base < other_base + other_size && other_base < end;
}

/* What is given out is usable whatever any region says, and neither image, nor module, nor below 1 MiB. */
static void check_free(const struct boot_info *info, uint64_t base, uint64_t end)
{
    bool usable = false;

    FUZZ_CHECK(base >= MIB && base % VMMU_PAGE_BYTES == 0 && end <= BIT64(46));
    FUZZ_CHECK(!overlap(base, end, info->image_base.v, info->image_bytes));
    for (unsigned i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];

        if (region->kind == BOOT_REGION_USABLE) {
            usable |= overlap(base, end, region->base.v, region->size_bytes);
        } else {
            FUZZ_CHECK(!overlap(base, end, region->base.v, region->size_bytes));
        }
    }
    FUZZ_CHECK(usable);
    for (unsigned i = 0; i < info->module_count; i++)
        FUZZ_CHECK(!overlap(base, end, info->modules[i].base.v, info->modules[i].size_bytes));
}

/* Free memory without touching any of it, for none is there: pieces only. */
static void check_memory(struct boot_info *info, struct input *input)
{
    vmmu_hpa at;

    info->image_base = (vmmu_hpa){ input_u32(input) };
    info->image_bytes = input_u32(input) & 0xFFFFFF;
    memory_init(info);
    FUZZ_CHECK(memory_free_bytes() <= memory_total_bytes());
    for (unsigned i = 0; i < 8; i++) {
        const uint64_t size = VMMU_PAGE_BYTES << input_below(input, 20);
        const uint64_t alignment = VMMU_PAGE_BYTES << input_below(input, 20);
        const bool below_4g = input_flag(input);
        const uint64_t free_before = memory_free_bytes();

        if (!memory_take(size, alignment, below_4g, &at))
            continue;
        FUZZ_CHECK(at.v % alignment == 0 && memory_free_bytes() == free_before - size);
        FUZZ_CHECK(!below_4g || at.v + size <= BIT64(32));
        check_free(info, at.v, at.v + size);
    }
}

static void run_information(struct input *input, uint32_t magic)
{
    struct machine machine = open_machine(input);
    const struct boot_window window = { &machine, reach };
    struct boot_info *info = malloc(sizeof(*info));
    enum boot_outcome outcome;

    FUZZ_CHECK(info != NULL);
    if (magic == MULTIBOOT1_BOOTED) {
        lay_out_1(&machine, input);
    } else {
        lay_out_2(&machine, input);
    }
    change_bytes(&machine, input);
    outcome = boot_read(magic, LOADER_BASE, &window, info);
    FUZZ_CHECK(boot_outcome_sentence(outcome)[0] != '\0');
    check_info(info);
    if (outcome == BOOT_FOUND)
        check_memory(info, input);
    free(info);
    close_machine(&machine);
}

/* --- sets of ranges --- */

#define UNITS    256
#define CAPACITY 12

/* Units from 0 on, each 1 << shift bytes. */
struct ranges_model {
    struct range_set set;
    bool units[UNITS];
    unsigned shift;
};

static void check_set(const struct ranges_model *model)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < model->set.count; i++) {
        FUZZ_CHECK(model->set.ranges[i].base < model->set.ranges[i].end);
        FUZZ_CHECK(i == 0 || model->set.ranges[i - 1].end < model->set.ranges[i].base);
        total += model->set.ranges[i].end - model->set.ranges[i].base;
    }
    FUZZ_CHECK(model->set.count <= model->set.capacity && range_set_total(&model->set) == total);
}

/* Whether the set holds just the model's units; if only some are @wanted, the model takes the set's word. */
static void agree(struct ranges_model *model, bool may_lose)
{
    bool held[UNITS] = { false };

    check_set(model);
    for (unsigned i = 0; i < model->set.count; i++) {
        for (uint64_t u = model->set.ranges[i].base >> model->shift;
             u < model->set.ranges[i].end >> model->shift; u++)
            held[u] = true;
    }
    for (unsigned u = 0; u < UNITS; u++)
        FUZZ_CHECK(held[u] == model->units[u] || (may_lose && model->units[u]));
    memcpy(model->units, held, sizeof(held));
}

static void ranges_operate(struct ranges_model *model, struct input *input)
{
    const uint8_t kind = input_u8(input);
    const uint64_t base = input_u8(input);
    const uint64_t end = input_u8(input);
    const bool full = model->set.count == model->set.capacity;
    const uint64_t alignment = UINT64_C(1) << (kind >> 4 & 3);
    uint64_t taken = 0;

    switch (kind & 3) {
    case 0:
    case 1:
        if (range_set_add(&model->set, base << model->shift, end << model->shift)) {
            for (uint64_t u = base; u < end; u++)
                model->units[u] = true;
        } else {
            FUZZ_CHECK(full);
        }
        agree(model, false);
        break;
    case 2:
        range_set_remove(&model->set, base << model->shift, end << model->shift);
        for (uint64_t u = base; u < end; u++)
            model->units[u] = false;
        agree(model, full);
        break;
    default:
        if (!range_set_take(&model->set, base << model->shift, alignment << model->shift, end << model->shift,
                            &taken))
            break;
        taken >>= model->shift;
        FUZZ_CHECK(base != 0 && taken % alignment == 0 && taken + base <= end);
        for (uint64_t u = taken; u < taken + base; u++) {
            FUZZ_CHECK(model->units[u]);
            model->units[u] = false;
        }
        agree(model, false);
        break;
    }
}

static void run_ranges(struct input *input)
{
    static const unsigned shifts[] = { 12, 56, 0, 30 };
    struct range *space = malloc(CAPACITY * sizeof(*space));
    struct ranges_model model = { .set = { space, 0, 1 + input_below(input, CAPACITY) } };

    FUZZ_CHECK(space != NULL);
    model.shift = shifts[input_below(input, 4)];
    while (input_more(input))
        ranges_operate(&model, input);
    free(space);
}

/* --- free memory --- */

#define PAGES UINT64_C(192)
#define RAM   MIB

struct memory_model {
    uint8_t *ram;
    bool is_free[PAGES];
    uint64_t free_pages;
};

static uint64_t page_number(vmmu_hpa at)
{
    FUZZ_CHECK(at.v >= RAM && at.v % VMMU_PAGE_BYTES == 0);
    return (at.v - RAM) / VMMU_PAGE_BYTES;
}

static void take_pages(struct memory_model *model, vmmu_hpa at, uint64_t pages)
{
    const uint64_t first = page_number(at);

    FUZZ_CHECK(first + pages <= PAGES);
    for (uint64_t page = first; page < first + pages; page++) {
        FUZZ_CHECK(model->is_free[page]);
        model->is_free[page] = false;
        memset(model->ram + page * VMMU_PAGE_BYTES, 0xEE, 64);
    }
    model->free_pages -= pages;
}

/* Give back what is taken from page @first on, @pages at most. */
static void give_pages(struct memory_model *model, uint64_t first, uint64_t pages, bool one)
{
    uint64_t count = 0;

    while (first + count < PAGES && count < pages && !model->is_free[first + count])
        model->is_free[first + count++] = true;
    if (count == 0)
        return;
    if (one && count == 1) {
        page_give((vmmu_hpa){ RAM + first * VMMU_PAGE_BYTES });
    } else {
        memory_give((vmmu_hpa){ RAM + first * VMMU_PAGE_BYTES }, count * VMMU_PAGE_BYTES - (first & 0xFFF));
    }
    model->free_pages += count;
}

static bool fits_anywhere(const struct memory_model *model, uint64_t pages, uint64_t alignment)
{
    uint64_t run = 0;

    for (uint64_t page = PAGES; page-- > 0;) {
        run = model->is_free[page] ? run + 1 : 0;
        if (run >= pages && (RAM + page * VMMU_PAGE_BYTES) % alignment == 0)
            return true;
    }
    return false;
}

static void memory_operate(struct memory_model *model, struct input *input)
{
    const uint8_t kind = input_u8(input);
    const uint64_t pages = input_u8(input) % PAGES;
    const uint64_t alignment = VMMU_PAGE_BYTES << (kind >> 4 & 7);
    vmmu_hpa at;

    switch (kind & 3) {
    case 0:
        if (memory_take(pages * VMMU_PAGE_BYTES - (pages != 0), alignment, (kind & 4) != 0, &at)) {
            FUZZ_CHECK(at.v % alignment == 0);
            take_pages(model, at, pages);
        } else {
            FUZZ_CHECK(pages == 0 || !fits_anywhere(model, pages, alignment));
        }
        break;
    case 1:
        if (page_take((kind & 4) != 0, &at)) {
            take_pages(model, at, 1);
            FUZZ_CHECK((kind & 4) == 0 || model->ram[page_number(at) * VMMU_PAGE_BYTES + 64] == 0);
        } else {
            FUZZ_CHECK(model->free_pages == 0);
        }
        break;
    default: give_pages(model, pages, 1 + (kind >> 3), (kind & 1) != 0); break;
    }
    FUZZ_CHECK(memory_free_bytes() == model->free_pages * VMMU_PAGE_BYTES);
}

static void run_memory(struct input *input)
{
    static struct boot_info info;
    struct memory_model model = { .ram = aligned_alloc(VMMU_PAGE_BYTES, PAGES * VMMU_PAGE_BYTES),
                                  .free_pages = PAGES };
    vmmu_hpa at;

    FUZZ_CHECK(model.ram != NULL);
    memset(model.is_free, true, sizeof(model.is_free));
    test_direct_map = (uintptr_t)model.ram - RAM;
    info.region_count = 1;
    info.regions[0] = (struct boot_region){ { RAM }, PAGES * VMMU_PAGE_BYTES, BOOT_REGION_USABLE };
    memory_init(&info);
    while (input_more(input))
        memory_operate(&model, input);
    for (uint64_t page = 0; page < PAGES; page++)
        give_pages(&model, page, PAGES, page % 2 != 0);
    FUZZ_CHECK(memory_free_bytes() == memory_total_bytes());
    FUZZ_CHECK(memory_take(PAGES * VMMU_PAGE_BYTES, VMMU_PAGE_BYTES, true, &at) && at.v == RAM);
    free(model.ram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);

    switch (input_below(&input, 4)) {
    case 0: run_information(&input, MULTIBOOT1_BOOTED); break;
    case 1: run_information(&input, MULTIBOOT2_BOOTED); break;
    case 2: run_ranges(&input); break;
    default: run_memory(&input); break;
    }
    return 0;
}
