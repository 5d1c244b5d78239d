/*
 * The run that lays out a guest's memory and writes its firmware tables, and reads them as a guest would.
 */
#include "hv/guest/firmware.h"
#include "hv/guest/memory.h"

#include "tests/fuzz/config.h"

#define SLOTS     3
#define RSDP_AT   UINT64_C(0xF0000)
#define MP_AT     UINT64_C(0x9FC10)
#define HIGH_PAGE 0x100

/* Slots of pages below 1 MiB, each of a block of its own: whatever the input says, holes too. */
struct memories {
    struct guest_memory memory;
    uint8_t *blocks[SLOTS];
};

static void open_memories(struct memories *memories, struct input *input)
{
    *memories = (struct memories){ 0 };
    for (unsigned i = 0; i < SLOTS; i++) {
        const uint64_t first = input_u8(input);
        const uint64_t pages = i == 0 && first == 0 ? HIGH_PAGE : input_u8(input);
        const struct guest_slot slot = { .gpa = { first * VMMU_PAGE_BYTES },
                                         .size = pages * VMMU_PAGE_BYTES,
                                         .host =
                                             aligned_alloc(VMMU_PAGE_BYTES, (pages + 1) * VMMU_PAGE_BYTES),
                                         .hpa = { (first + 1) * VMMU_PAGE_BYTES } };
        const unsigned count = memories->memory.count;
        const bool above = count == 0 || slot.gpa.v >= memories->memory.slot[count - 1].gpa.v +
                                                           memories->memory.slot[count - 1].size;

        FUZZ_CHECK(slot.host != NULL);
        memories->blocks[i] = slot.host;
        FUZZ_CHECK((guest_memory_add(&memories->memory, &slot) == VMMU_OK) == (above && pages != 0));
    }
}

static void close_memories(struct memories *memories)
{
    for (unsigned i = 0; i < SLOTS; i++)
        free(memories->blocks[i]);
}

static uint64_t field(const uint8_t *bytes, unsigned at, unsigned width)
{
    uint64_t value = 0;

    memcpy(&value, bytes + at, width);
    return value;
}

/* @bytes at @gpa, which add up to zero. */
static const uint8_t *summed(const struct guest_memory *memory, uint64_t gpa, uint64_t bytes)
{
    const uint8_t *at = guest_memory_at(memory, (vmmu_gpa){ gpa }, bytes);
    uint8_t sum = 0;

    FUZZ_CHECK(at != NULL);
    for (uint64_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + at[i]);
    FUZZ_CHECK(sum == 0);
    return at;
}

/* A table with its header, by its own length. Spec: ACPI "System Description Table Header". */
static const uint8_t *table_at(const struct guest_memory *memory, uint64_t gpa, const char *signature)
{
    const uint8_t *at = guest_memory_at(memory, (vmmu_gpa){ gpa }, 36);

    FUZZ_CHECK(at != NULL && memcmp(at, signature, 4) == 0);
    FUZZ_CHECK(gpa >= GUEST_EBDA && gpa + field(at, 4, 4) <= GUEST_EXTENDED);
    return summed(memory, gpa, field(at, 4, 4));
}

/* Spec: ACPI "Multiple APIC Description Table (MADT)". */
static void check_madt(const uint8_t *madt, unsigned vp_count)
{
    const uint64_t bytes = field(madt, 4, 4);
    unsigned processors = 0;
    uint64_t at = 44;

    while (at < bytes) {
        FUZZ_CHECK(bytes - at >= 2 && madt[at + 1] >= 2 && madt[at + 1] <= bytes - at);
        processors += madt[at] == 0;
        at += madt[at + 1];
    }
    FUZZ_CHECK(at == bytes && processors == vp_count);
}

static void check_acpi(const struct guest_memory *memory, uint64_t rsdp_at, unsigned vp_count)
{
    const uint8_t *rsdp = summed(memory, rsdp_at, 20);
    const uint8_t *rsdt;
    const uint8_t *xsdt;
    const uint8_t *fadt;

    (void)summed(memory, rsdp_at, 36);
    FUZZ_CHECK(memcmp(rsdp, "RSD PTR ", 8) == 0);
    rsdt = table_at(memory, field(rsdp, 16, 4), "RSDT");
    xsdt = table_at(memory, field(rsdp, 24, 8), "XSDT");
    FUZZ_CHECK(field(rsdt, 4, 4) == 36 + 4 * 2 && field(xsdt, 4, 4) == 36 + 8 * 2);
    FUZZ_CHECK(field(rsdt, 36, 4) == field(xsdt, 36, 8) && field(rsdt, 40, 4) == field(xsdt, 44, 8));
    fadt = table_at(memory, field(rsdt, 36, 4), "FACP");
    (void)table_at(memory, field(fadt, 40, 4), "DSDT");
    FUZZ_CHECK(field(fadt, 40, 4) == field(fadt, 140, 8) && field(fadt, 36, 4) % 64 == 0);
    check_madt(table_at(memory, field(rsdt, 40, 4), "APIC"), vp_count);
}

/* Spec: MultiProcessor Specification "MP Configuration Table". */
static void check_mp(const struct guest_memory *memory, unsigned vp_count)
{
    const uint8_t *floating = summed(memory, MP_AT, 16);
    const uint64_t at = field(floating, 4, 4);
    const uint8_t *head = guest_memory_at(memory, (vmmu_gpa){ at }, 44);
    const uint8_t *table;
    uint64_t next = 44;
    unsigned processors = 0;

    FUZZ_CHECK(memcmp(floating, "_MP_", 4) == 0 && head != NULL && memcmp(head, "PCMP", 4) == 0);
    table = summed(memory, at, field(head, 4, 2));
    for (uint64_t i = 0; i < field(table, 34, 2); i++) {
        FUZZ_CHECK(next < field(table, 4, 2) && table[next] <= 4);
        processors += table[next] == 0;
        next += table[next] == 0 ? 20 : 8;
    }
    FUZZ_CHECK(next == field(table, 4, 2) && processors == vp_count);
}

/* RAM once only, ascending; as much of it as was asked for, but for what lies between the EBDA and 1 MiB. */
static void check_layout(uint64_t bytes)
{
    struct guest_layout layout;
    const char *error = NULL;
    uint64_t end = 0;
    uint64_t ram = 0;
    uint64_t backed = 0;

    if (guest_layout_make(bytes, &layout, &error) != VMMU_OK) {
        FUZZ_CHECK(error != NULL && strlen(error) > 10);
        FUZZ_CHECK(bytes < GUEST_MIN_BYTES || bytes > GUEST_MAX_BYTES || bytes % VMMU_2M_BYTES != 0);
        return;
    }
    for (unsigned i = 0; i < layout.entries; i++) {
        FUZZ_CHECK(layout.e820[i].base >= end && layout.e820[i].size != 0);
        end = layout.e820[i].base + layout.e820[i].size;
        ram += layout.e820[i].type == GUEST_E820_RAM ? layout.e820[i].size : 0;
    }
    for (unsigned i = 0; i < layout.ranges; i++)
        backed += layout.range[i].size;
    FUZZ_CHECK(backed == bytes && ram == bytes - (GUEST_EXTENDED - GUEST_EBDA));
}

void config_run_tables(struct input *input)
{
    const uint64_t bytes = input_u64(input) >> (input_u8(input) & 63);
    const struct guest_firmware firmware = { .tables = (enum guest_firmware_tables)input_below(input, 3),
                                             .vp_count = input_below(input, GUEST_FIRMWARE_VPS + 2),
                                             .cpu_signature = input_u32(input),
                                             .cpu_features = input_u32(input),
                                             .pm_timer_is_24_bit = input_flag(input) };
    struct memories memories;
    enum vmmu_status status;
    vmmu_gpa rsdp = { 1 };

    check_layout(bytes);
    check_layout(bytes & ~(VMMU_2M_BYTES - 1));
    open_memories(&memories, input);
    status = guest_firmware_write(&memories.memory, &firmware, &rsdp);
    FUZZ_CHECK((status == VMMU_INVALID) == (firmware.vp_count < 1 || firmware.vp_count > GUEST_FIRMWARE_VPS));
    FUZZ_CHECK(status == VMMU_OK || status == VMMU_INVALID || status == VMMU_ABSENT);
    if (status == VMMU_OK) {
        FUZZ_CHECK(rsdp.v == (firmware.tables == GUEST_FIRMWARE_MP ? 0 : RSDP_AT));
        if (rsdp.v != 0)
            check_acpi(&memories.memory, rsdp.v, firmware.vp_count);
        if (firmware.tables != GUEST_FIRMWARE_ACPI)
            check_mp(&memories.memory, firmware.vp_count);
    }
    close_memories(&memories);
}
