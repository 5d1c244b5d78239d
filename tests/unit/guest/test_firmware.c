/*
 * BIOS data area; MultiProcessor Specification 1.4 "MP Configuration Table"; ACPI Specification "ACPI
 * Software Programming Model", "ACPI Machine Language (AML) Specification".
 *
 * Offsets and numbers are the specifications', and the board's as a PC has them (ports by hv/dev/pc.h).
 */
#include "hv/dev/pc.h"
#include "hv/guest/aml.h"
#include "hv/guest/firmware.h"
#include "tests/unit/guest/room.h"
#include "tests/unit/test.h"

#include <string.h>

struct written {
    struct room room;
    vmmu_gpa rsdp;
};

static struct written write_tables(enum guest_firmware_tables tables, unsigned vps)
{
    struct written w = { .room = room_open(8 * MIB) };
    const struct guest_firmware firmware = {
        .tables = tables, .vp_count = vps, .cpu_signature = 0x00B00F21, .cpu_features = 0x0FCBFBFD
    };

    assert_int_equal(guest_firmware_write(&w.room.memory, &firmware, &w.rsdp), VMMU_OK);
    return w;
}

static uint8_t sum(const struct written *w, uint64_t at, uint64_t bytes)
{
    uint8_t total = 0;

    for (uint64_t i = 0; i < bytes; i++) {
        total = (uint8_t)(total + w->room.bytes[at + i]);
    }
    return total;
}

static bool is_at(const struct written *w, uint64_t at, const char *text)
{
    return memcmp(w->room.bytes + at, text, strlen(text)) == 0;
}

/* As a kernel looks for a mark: at each multiple of 16 of the range; 0 if it is not there. */
static uint64_t scan(const struct written *w, uint64_t base, uint64_t bytes, const char *mark)
{
    for (uint64_t at = base; at < base + bytes; at += 16) {
        if (is_at(w, at, mark)) {
            return at;
        }
    }
    return 0;
}

/* --- BIOS data area --- */

static void test_bios_data_names_the_ebda_and_639_kib(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_BOTH, 1);

    (void)state;
    EXPECT_EQ(at16(&w.room, 0x40E), 0x9FC0);
    EXPECT_EQ(at16(&w.room, 0x413), 639);
    EXPECT_EQ(at16(&w.room, 0x400), 0x3F8);
    EXPECT_EQ(w.room.bytes[0x9FC00], 1); /* the EBDA is 1 KiB */
    room_close(&w.room);
}

/* --- MP table --- */

static uint64_t mp_table(const struct written *w)
{
    const uint64_t floating = scan(w, 0x9FC00, 0x400, "_MP_");

    EXPECT(floating != 0); /* in the first KiB of the EBDA, which is at 639 KiB */
    EXPECT_EQ(w->room.bytes[floating + 8], 1);
    EXPECT_EQ(w->room.bytes[floating + 9], 4);
    EXPECT_EQ(sum(w, floating, 16), 0);
    EXPECT_EQ(w->room.bytes[floating + 11], 0); /* no default configuration */
    EXPECT_EQ(w->room.bytes[floating + 12], 0); /* virtual wire, not PIC mode */
    return at32(&w->room, floating + 4);
}

static void test_mp_table_is_well_formed_for_any_number_of_processors(void **state)
{
    (void)state;
    for (unsigned vps = 1; vps <= GUEST_FIRMWARE_VPS; vps++) {
        struct written w = write_tables(GUEST_FIRMWARE_MP, vps);
        const uint64_t table = mp_table(&w);
        uint64_t entry = table + 44;
        unsigned processors = 0;

        EXPECT(is_at(&w, table, "PCMP"));
        EXPECT_EQ(sum(&w, table, at16(&w.room, table + 4)), 0);
        EXPECT_EQ(at32(&w.room, table + 36), 0xFEE00000);
        for (unsigned i = 0; i < at16(&w.room, table + 34); i++) {
            const uint8_t type = w.room.bytes[entry];

            EXPECT(type <= 4);
            processors += type == 0;
            entry += type == 0 ? 20 : 8;
        }
        EXPECT_EQ(entry, table + at16(&w.room, table + 4));
        EXPECT_EQ(processors, vps);
        EXPECT(table >= 0x9FC00 && entry <= 0x100000); /* in memory that is reserved */
        room_close(&w.room);
    }
}

static void test_mp_processors_have_their_ids_and_one_boots(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_MP, 3);
    const uint64_t first = mp_table(&w) + 44;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t entry = first + UINT64_C(20) * i;

        EXPECT_EQ(w.room.bytes[entry + 1], i);
        EXPECT_EQ(w.room.bytes[entry + 2], 0x14);
        EXPECT_EQ(w.room.bytes[entry + 3], i == 0 ? 3 : 1);
        EXPECT_EQ(at32(&w.room, entry + 4), 0x00B00F21);
        EXPECT_EQ(at32(&w.room, entry + 8), 0x0FCBFBFD);
    }
    room_close(&w.room);
}

static void test_mp_interrupts_are_isa_one_to_one_but_the_timer(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_MP, 1);
    const uint64_t table = mp_table(&w);
    uint64_t entry = table + 44 + 20;
    uint32_t seen = 0;

    (void)state;
    EXPECT_EQ(w.room.bytes[entry], 1);
    EXPECT(is_at(&w, entry + 2, "ISA   "));
    entry += 8;
    EXPECT_EQ(w.room.bytes[entry], 2);
    EXPECT_EQ(w.room.bytes[entry + 1], 1); /* no local APIC has this ID */
    EXPECT_EQ(w.room.bytes[entry + 3], 1);
    EXPECT_EQ(at32(&w.room, entry + 4), 0xFEC00000);
    entry += 8;
    for (; w.room.bytes[entry] == 3; entry += 8) {
        const uint8_t irq = w.room.bytes[entry + 5];

        EXPECT_EQ(w.room.bytes[entry + 1], 0);
        EXPECT_EQ(at16(&w.room, entry + 2), irq == 9 ? 0x000D : 0);
        EXPECT_EQ(w.room.bytes[entry + 6], 1);
        EXPECT_EQ(w.room.bytes[entry + 7], irq == 0 ? 2 : irq);
        seen |= UINT32_C(1) << irq;
    }
    EXPECT_EQ(seen, 0xFFFB); /* all but the cascade */
    room_close(&w.room);
}

static void test_mp_local_interrupts_are_extint_and_nmi_of_every_processor(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_MP, 1);
    const uint64_t table = mp_table(&w);
    const uint64_t entry = table + at16(&w.room, table + 4) - 16;

    (void)state;
    for (uint64_t lint = 0; lint < 2; lint++) {
        EXPECT_EQ(w.room.bytes[entry + 8 * lint], 4);
        EXPECT_EQ(w.room.bytes[entry + 8 * lint + 1], lint == 0 ? 3 : 1);
        EXPECT_EQ(w.room.bytes[entry + 8 * lint + 6], 0xFF);
        EXPECT_EQ(w.room.bytes[entry + 8 * lint + 7], lint);
    }
    room_close(&w.room);
}

static void test_acpi_alone_has_no_mp_table_and_mp_alone_no_rsdp(void **state)
{
    struct written acpi = write_tables(GUEST_FIRMWARE_ACPI, 1);
    struct written mp = write_tables(GUEST_FIRMWARE_MP, 1);
    struct written both = write_tables(GUEST_FIRMWARE_BOTH, 1);

    (void)state;
    EXPECT_EQ(scan(&acpi, 0x9FC00, 0x400, "_MP_"), 0);
    EXPECT(scan(&acpi, 0xE0000, 0x20000, "RSD PTR ") != 0);
    EXPECT_EQ(scan(&mp, 0xE0000, 0x20000, "RSD PTR "), 0);
    EXPECT_EQ(mp.rsdp.v, 0);
    EXPECT(scan(&both, 0x9FC00, 0x400, "_MP_") != 0);
    EXPECT_EQ(scan(&both, 0xE0000, 0x20000, "RSD PTR "), both.rsdp.v);
    room_close(&acpi.room);
    room_close(&mp.room);
    room_close(&both.room);
}

/* --- ACPI --- */

/* The table with @signature, by the XSDT; its RSDT must name the same. Checks its checksum. */
static uint64_t acpi_table(const struct written *w, const char *signature)
{
    const uint64_t rsdt = at32(&w->room, w->rsdp.v + 16);
    const uint64_t xsdt = at64(&w->room, w->rsdp.v + 24);
    const unsigned count = (at32(&w->room, xsdt + 4) - 36) / 8;

    EXPECT(is_at(w, rsdt, "RSDT") && is_at(w, xsdt, "XSDT"));
    EXPECT_EQ(sum(w, rsdt, at32(&w->room, rsdt + 4)), 0);
    EXPECT_EQ(sum(w, xsdt, at32(&w->room, xsdt + 4)), 0);
    EXPECT_EQ((at32(&w->room, rsdt + 4) - 36) / 4, count);
    for (unsigned i = 0; i < count; i++) {
        const uint64_t table = at64(&w->room, xsdt + 36 + UINT64_C(8) * i);

        EXPECT_EQ(table, at32(&w->room, rsdt + 36 + UINT64_C(4) * i));
        if (is_at(w, table, signature)) {
            EXPECT_EQ(sum(w, table, at32(&w->room, table + 4)), 0);
            return table;
        }
    }
    fail();
    return 0;
}

static void test_rsdp_has_both_checksums_and_both_roots(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_ACPI, 1);

    (void)state;
    EXPECT(w.rsdp.v >= 0xE0000 && w.rsdp.v < 0x100000 && w.rsdp.v % 16 == 0);
    EXPECT(is_at(&w, w.rsdp.v, "RSD PTR "));
    EXPECT_EQ(sum(&w, w.rsdp.v, 20), 0);
    EXPECT_EQ(sum(&w, w.rsdp.v, 36), 0);
    EXPECT_EQ(w.room.bytes[w.rsdp.v + 15], 2);
    EXPECT_EQ(at32(&w.room, w.rsdp.v + 20), 36);
    room_close(&w.room);
}

static void expect_io(const struct written *w, uint64_t at, uint16_t port, uint8_t bits)
{
    EXPECT_EQ(w->room.bytes[at], 1); /* system I/O */
    EXPECT_EQ(w->room.bytes[at + 1], bits);
    EXPECT_EQ(w->room.bytes[at + 2], 0);
    EXPECT_EQ(at64(&w->room, at + 4), port);
}

static void test_fadt_names_the_boards_registers(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_ACPI, 1);
    const uint64_t fadt = acpi_table(&w, "FACP");

    (void)state;
    EXPECT_EQ(at32(&w.room, fadt + 4), 244);
    EXPECT_EQ(w.room.bytes[fadt + 8], 4);
    EXPECT_EQ(at16(&w.room, fadt + 46), 9);                    /* SCI_INT */
    EXPECT_EQ(at32(&w.room, fadt + 48), 0);                    /* SMI_CMD: always in ACPI mode */
    EXPECT_EQ(at32(&w.room, fadt + 56), PC_PORT_PM1A_EVENT);   /* PM1a_EVT_BLK */
    EXPECT_EQ(at32(&w.room, fadt + 64), PC_PORT_PM1A_CONTROL); /* PM1a_CNT_BLK */
    EXPECT_EQ(at32(&w.room, fadt + 76), PC_PORT_PM_TIMER);     /* PM_TMR_BLK */
    EXPECT_EQ(w.room.bytes[fadt + 88], 4);
    EXPECT_EQ(w.room.bytes[fadt + 89], 2);
    EXPECT_EQ(w.room.bytes[fadt + 91], 4);
    EXPECT(at16(&w.room, fadt + 96) > 100);  /* no C2 */
    EXPECT(at16(&w.room, fadt + 98) > 1000); /* no C3 */
    EXPECT_EQ(at16(&w.room, fadt + 109), 5); /* ISA devices, no 8042, no VGA */
    expect_io(&w, fadt + 116, PC_PORT_RESET, 8);
    EXPECT_EQ(w.room.bytes[fadt + 128], PC_RESET_VALUE);
    expect_io(&w, fadt + 148, PC_PORT_PM1A_EVENT, 32);
    expect_io(&w, fadt + 172, PC_PORT_PM1A_CONTROL, 16);
    expect_io(&w, fadt + 208, PC_PORT_PM_TIMER, 32);
    EXPECT_EQ(at32(&w.room, fadt + 40), at64(&w.room, fadt + 140)); /* DSDT and X_DSDT */
    room_close(&w.room);
}

static void test_fadt_flags_say_reset_register_and_timer_width(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_ACPI, 1);
    const struct guest_firmware narrow = { .tables = GUEST_FIRMWARE_ACPI,
                                           .vp_count = 1,
                                           .pm_timer_is_24_bit = true };
    const uint32_t flags = at32(&w.room, acpi_table(&w, "FACP") + 112);

    (void)state;
    EXPECT(flags & 1u << 0);     /* WBINVD */
    EXPECT(flags & 1u << 10);    /* RESET_REG_SUP */
    EXPECT(flags & 1u << 8);     /* TMR_VAL_EXT */
    EXPECT(!(flags & 1u << 4));  /* the power button is a fixed one */
    EXPECT(!(flags & 1u << 20)); /* not hardware-reduced */
    EXPECT_EQ(guest_firmware_write(&w.room.memory, &narrow, &w.rsdp), VMMU_OK);
    EXPECT(!(at32(&w.room, acpi_table(&w, "FACP") + 112) & 1u << 8));
    room_close(&w.room);
}

static void test_facs_is_64_bytes_at_a_multiple_of_64(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_ACPI, 1);
    const uint64_t facs = at32(&w.room, acpi_table(&w, "FACP") + 36);

    (void)state;
    EXPECT(is_at(&w, facs, "FACS"));
    EXPECT_EQ(at32(&w.room, facs + 4), 64);
    EXPECT_EQ(facs % 64, 0);
    room_close(&w.room);
}

static void test_madt_lists_processors_ioapic_overrides_and_nmi(void **state)
{
    (void)state;
    for (unsigned vps = 1; vps <= GUEST_FIRMWARE_VPS; vps += 9) {
        struct written w = write_tables(GUEST_FIRMWARE_ACPI, vps);
        const uint64_t madt = acpi_table(&w, "APIC");
        uint64_t at = madt + 44;
        const uint8_t *bytes = w.room.bytes;

        EXPECT_EQ(at32(&w.room, madt + 36), 0xFEE00000);
        EXPECT_EQ(at32(&w.room, madt + 40), 1); /* two 8259s as well */
        for (unsigned i = 0; i < vps; i++, at += 8) {
            EXPECT(bytes[at] == 0 && bytes[at + 1] == 8 && bytes[at + 3] == i);
            EXPECT_EQ(at32(&w.room, at + 4), 1);
        }
        EXPECT(bytes[at] == 1 && bytes[at + 1] == 12 && bytes[at + 2] == vps);
        EXPECT_EQ(at32(&w.room, at + 4), 0xFEC00000);
        EXPECT_EQ(at32(&w.room, at + 8), 0);
        at += 12;
        EXPECT(bytes[at] == 2 && bytes[at + 1] == 10 && bytes[at + 2] == 0 && bytes[at + 3] == 0);
        EXPECT_EQ(at32(&w.room, at + 4), 2); /* IRQ 0 is pin 2 */
        EXPECT_EQ(at16(&w.room, at + 8), 0);
        at += 10;
        EXPECT(bytes[at] == 2 && bytes[at + 3] == 9);
        EXPECT_EQ(at32(&w.room, at + 4), 9);
        EXPECT_EQ(at16(&w.room, at + 8), 0x000D); /* the SCI: level, active high */
        at += 10;
        EXPECT(bytes[at] == 4 && bytes[at + 1] == 6 && bytes[at + 2] == 0xFF && bytes[at + 5] == 1);
        at += 6;
        EXPECT_EQ(at, madt + at32(&w.room, madt + 4));
        room_close(&w.room);
    }
}

static void test_dsdt_holds_s5_and_the_serial_port(void **state)
{
    static const uint8_t s5[] = {
        0x08, '_', 'S', '5', '_', 0x12, 0x49, 0x00, 0x04, 0x0A, PC_SLEEP_TYPE_S5, 0x0A, PC_SLEEP_TYPE_S5,
        0x00, 0x00
    };
    static const uint8_t com1[] = { 0x47, 0x01, 0xF8, 0x03, 0xF8, 0x03, 0x01,
                                    0x08, 0x22, 0x10, 0x00, 0x79, 0x00 };
    static const uint8_t pnp0501[] = { 0x0C, 0x41, 0xD0, 0x05, 0x01 };
    struct written w = write_tables(GUEST_FIRMWARE_ACPI, 1);
    const uint64_t dsdt = at32(&w.room, acpi_table(&w, "FACP") + 40);
    const uint64_t length = at32(&w.room, dsdt + 4);
    const uint8_t *aml = w.room.bytes + dsdt + 36;

    (void)state;
    EXPECT(is_at(&w, dsdt, "DSDT"));
    EXPECT_EQ(sum(&w, dsdt, length), 0);
    EXPECT(memmem(aml, length - 36, s5, sizeof(s5)) == aml);
    EXPECT(memmem(aml, length - 36, com1, sizeof(com1)) != NULL);
    EXPECT(memmem(aml, length - 36, pnp0501, sizeof(pnp0501)) != NULL);
    EXPECT(memmem(aml, length - 36, "\\_SB_", 5) != NULL);
    room_close(&w.room);
}

/* Blocks nest: the scope ends with the table, and each device within the scope. */
static void test_dsdt_blocks_end_where_their_lengths_say(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_ACPI, 1);
    const uint64_t dsdt = at32(&w.room, acpi_table(&w, "FACP") + 40);
    const uint64_t end = dsdt + at32(&w.room, dsdt + 4);
    const uint8_t *bytes = w.room.bytes;
    uint64_t at = dsdt + 36 + 15; /* after _S5 */
    unsigned devices = 0;

    (void)state;
    EXPECT_EQ(bytes[at], 0x10);
    EXPECT_EQ(at + 1 + (bytes[at + 1] & 0xFu) + bytes[at + 2] * UINT64_C(16), end);
    at += 3 + 5;
    while (at < end) {
        EXPECT(bytes[at] == 0x5B && bytes[at + 1] == 0x82);
        at += 2 + (bytes[at + 2] & 0xFu) + bytes[at + 3] * UINT64_C(16);
        devices++;
    }
    EXPECT_EQ(at, end);
    EXPECT_EQ(devices, 2);
    room_close(&w.room);
}

static void test_aml_integers_take_their_shortest_form(void **state)
{
    uint8_t bytes[32];
    struct aml aml = { bytes, 0, sizeof(bytes), false };
    static const uint8_t expected[] = { 0x00, 0x01, 0x0A, 0x02, 0x0A, 0xFF, 0x0B, 0x00, 0x01,
                                        0x0B, 0xFF, 0xFF, 0x0C, 0x00, 0x00, 0x01, 0x00 };

    (void)state;
    aml_integer(&aml, 0);
    aml_integer(&aml, 1);
    aml_integer(&aml, 2);
    aml_integer(&aml, 0xFF);
    aml_integer(&aml, 0x100);
    aml_integer(&aml, 0xFFFF);
    aml_integer(&aml, 0x10000);
    EXPECT_EQ(aml.bytes, sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
}

static void test_aml_that_does_not_fit_overflows_and_writes_nothing_beyond(void **state)
{
    uint8_t bytes[8] = { [6] = 0xEE, [7] = 0xEE };
    struct aml aml = { bytes, 0, 6, false };
    uint32_t block;

    (void)state;
    block = aml_open_scope(&aml, "\\_SB_");
    EXPECT(aml.overflow);
    aml_close(&aml, block);
    aml_byte(&aml, 1);
    EXPECT(bytes[6] == 0xEE && bytes[7] == 0xEE);
}

static void test_too_many_or_no_processors_are_refused(void **state)
{
    struct room room = room_open(8 * MIB);
    struct guest_firmware firmware = { .tables = GUEST_FIRMWARE_BOTH };
    vmmu_gpa rsdp;

    (void)state;
    EXPECT_EQ(guest_firmware_write(&room.memory, &firmware, &rsdp), VMMU_INVALID);
    firmware.vp_count = GUEST_FIRMWARE_VPS + 1;
    EXPECT_EQ(guest_firmware_write(&room.memory, &firmware, &rsdp), VMMU_INVALID);
    room_close(&room);
}

static void test_memory_without_a_first_mebibyte_is_refused(void **state)
{
    static const uint64_t ends[] = { 0x400, 0x9F000, 0xA0000, 0xF0000 };
    struct room room = room_open(8 * MIB);

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        const struct guest_firmware firmware = { .tables = GUEST_FIRMWARE_BOTH, .vp_count = 1 };
        struct guest_memory memory = room.memory;
        vmmu_gpa rsdp;

        memory.slot[0].size = ends[i];
        EXPECT_EQ(guest_firmware_write(&memory, &firmware, &rsdp), VMMU_ABSENT);
    }
    room_close(&room);
}

static void test_tables_lie_in_memory_that_is_not_ram_to_the_guest(void **state)
{
    struct written w = write_tables(GUEST_FIRMWARE_BOTH, 8);
    struct room fresh = room_open(8 * MIB);

    (void)state;
    for (unsigned i = 0; i < w.room.layout.entries; i++) {
        const struct guest_e820 *entry = &w.room.layout.e820[i];
        const uint64_t from = entry->base < 0x500 ? 0x500 : entry->base;

        if (entry->type == GUEST_E820_RAM && entry->base < 4 * MIB) {
            const uint64_t end = entry->base + entry->size < 4 * MIB ? entry->base + entry->size : 4 * MIB;

            assert_memory_equal(w.room.bytes + from, fresh.bytes + from, end - from);
        }
    }
    room_close(&w.room);
    room_close(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bios_data_names_the_ebda_and_639_kib),
        cmocka_unit_test(test_mp_table_is_well_formed_for_any_number_of_processors),
        cmocka_unit_test(test_mp_processors_have_their_ids_and_one_boots),
        cmocka_unit_test(test_mp_interrupts_are_isa_one_to_one_but_the_timer),
        cmocka_unit_test(test_mp_local_interrupts_are_extint_and_nmi_of_every_processor),
        cmocka_unit_test(test_acpi_alone_has_no_mp_table_and_mp_alone_no_rsdp),
        cmocka_unit_test(test_rsdp_has_both_checksums_and_both_roots),
        cmocka_unit_test(test_fadt_names_the_boards_registers),
        cmocka_unit_test(test_fadt_flags_say_reset_register_and_timer_width),
        cmocka_unit_test(test_facs_is_64_bytes_at_a_multiple_of_64),
        cmocka_unit_test(test_madt_lists_processors_ioapic_overrides_and_nmi),
        cmocka_unit_test(test_dsdt_holds_s5_and_the_serial_port),
        cmocka_unit_test(test_dsdt_blocks_end_where_their_lengths_say),
        cmocka_unit_test(test_aml_integers_take_their_shortest_form),
        cmocka_unit_test(test_aml_that_does_not_fit_overflows_and_writes_nothing_beyond),
        cmocka_unit_test(test_too_many_or_no_processors_are_refused),
        cmocka_unit_test(test_memory_without_a_first_mebibyte_is_refused),
        cmocka_unit_test(test_tables_lie_in_memory_that_is_not_ram_to_the_guest),
    };

    return RUN_TESTS(tests);
}
