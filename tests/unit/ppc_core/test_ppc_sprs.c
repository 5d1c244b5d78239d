/* The table of special purpose registers, and privileged instructions as words. Numbers and codes are the manuals'. */
#include "tests/unit/test.h"

#include "hv/ppc/core/core.h"
#include "hv/ppc/core/privileged.h"
#include "hv/ppc/core/sprs.h"

#include <string.h>
#include <vmmu/booke.h>

/* As an instruction has the number: its halves exchanged. */
static unsigned exchanged(unsigned number)
{
    return (number & 31) << 5 | number >> 5;
}

static void test_registers_are_found_by_the_manuals_numbers(void **state)
{
    static const struct {
        const char *name;
        unsigned number;
        uint8_t rights;
    } rows[] = {
        { "DEC", 22, 3 },      { "SRR0", 26, 3 },      { "SRR1", 27, 3 },    { "PID0", 48, 3 },
        { "DECAR", 54, 2 },    { "CSRR0", 58, 3 },     { "DEAR", 61, 3 },    { "ESR", 62, 3 },
        { "IVPR", 63, 3 },     { "SPRG0", 272, 3 },    { "SPRG7", 279, 3 },  { "TBL", 284, 2 },
        { "PIR", 286, 3 },     { "PVR", 287, 1 },      { "DBSR", 304, 3 },   { "DBCR0", 308, 3 },
        { "TSR", 336, 3 },     { "TCR", 340, 3 },      { "IVOR0", 400, 3 },  { "IVOR15", 415, 3 },
        { "IVOR32", 528, 3 },  { "IVOR35", 531, 3 },   { "MCSRR0", 570, 3 }, { "MCSR", 572, 3 },
        { "MAS0", 624, 3 },    { "MAS4", 628, 3 },     { "MAS6", 630, 3 },   { "PID1", 633, 3 },
        { "TLB0CFG", 688, 1 }, { "EPR", 702, 1 },      { "MAS7", 944, 3 },   { "HID0", 1008, 3 },
        { "L1CSR0", 1010, 3 }, { "MMUCSR0", 1012, 3 }, { "BUCSR", 1013, 3 }, { "MMUCFG", 1015, 1 },
        { "SVR", 1023, 1 },
    };

    (void)state;
    ppc_sprs_init();
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(ppc_spr(rows[i].number)->name, rows[i].name);
        EXPECT_EQ(ppc_spr(rows[i].number)->number, rows[i].number);
        EXPECT_EQ(ppc_spr(rows[i].number)->rights, rows[i].rights);
    }
}

static void test_what_is_not_there_has_no_rights(void **state)
{
    static const uint16_t numbers[] = { 0, 1, 8, 9, 19, 25, 256, 268, 269, 282, 629, 631, 701, 1022 };

    (void)state;
    ppc_sprs_init();
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        EXPECT_EQ(ppc_spr(numbers[i])->home, PPC_SPR_ABSENT);
        EXPECT_EQ(ppc_spr(numbers[i])->rights, 0);
    }
}

static void test_no_two_registers_share_a_number_or_a_place(void **state)
{
    (void)state;
    ppc_sprs_init();
    for (unsigned a = 0; a < PPC_SPRS; a++) {
        for (unsigned b = a + 1; b < PPC_SPRS; b++) {
            const struct ppc_spr *one = ppc_spr(a);
            const struct ppc_spr *other = ppc_spr(b);

            if (one->home == other->home && (one->home == PPC_SPR_WORD || one->home == PPC_SPR_MMU)) {
                EXPECT(one->offset != other->offset);
            }
        }
    }
}

static void test_a_plain_word_is_read_and_written_quickly(void **state)
{
    (void)state;
    ppc_sprs_init();
    EXPECT_EQ(ppc_spr_quick_read[exchanged(26)], offsetof(struct ppc_core, save[0].pc));
    EXPECT_EQ(ppc_spr_quick_write[exchanged(26)], offsetof(struct ppc_core, save[0].pc));
    EXPECT_EQ(ppc_spr_quick_read[exchanged(625)], -(int)offsetof(struct vmmu_booke, mas.mas1));
    EXPECT_EQ(ppc_spr_quick_write[exchanged(625)], -(int)offsetof(struct vmmu_booke, mas.mas1));
}

static void test_a_write_that_does_more_is_not_quick(void **state)
{
    static const uint16_t numbers[] = { 22,  48,  275, 279, 284,  287,  304, 308,
                                        336, 340, 633, 634, 1008, 1012, 999 };

    (void)state;
    ppc_sprs_init();
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        EXPECT_EQ(ppc_spr_quick_write[exchanged(numbers[i])], 0);
    }
}

static void test_a_read_of_bits_or_of_what_runs_is_not_quick(void **state)
{
    static const uint16_t numbers[] = { 22, 54, 63, 336, 400, 1010, 1012, 1013, 999 };

    (void)state;
    ppc_sprs_init();
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        EXPECT_EQ(ppc_spr_quick_read[exchanged(numbers[i])], 0);
    }
}

static void test_flash_operations_read_back_as_done(void **state)
{
    (void)state;
    ppc_sprs_init();
    EXPECT_EQ(ppc_spr(1010)->mask & 0x102, 0); /* L1CSR0[CLFR, CFI] */
    EXPECT_EQ(ppc_spr(1011)->mask & 0x102, 0); /* L1CSR1[ICLFR, ICFI] */
    EXPECT_EQ(ppc_spr(1013)->mask & 0x200, 0); /* BUCSR[BBFI] */
    EXPECT_EQ(ppc_spr(1010)->mask & 1, 1);     /* L1CSR0[CE] */
    EXPECT_EQ(ppc_spr(1013)->mask & 1, 1);     /* BUCSR[BPEN] */
}

/* As an assembler encodes them. */
static void test_privileged_instructions_are_known_by_their_words(void **state)
{
    static const struct {
        uint32_t word;
        enum ppc_privileged kind;
    } rows[] = {
        { 0x7C6000A6, PPC_MFMSR },  { 0x7C600124, PPC_MTMSR },   { 0x7C600106, PPC_WRTEE },
        { 0x7C008146, PPC_WRTEEI }, { 0x7C000146, PPC_WRTEEI },  { 0x7C7A02A6, PPC_MFSPR },
        { 0x7C7A03A6, PPC_MTSPR },  { 0x4C000064, PPC_RFI },     { 0x4C000066, PPC_RFCI },
        { 0x4C00004E, PPC_RFDI },   { 0x4C00004C, PPC_RFMCI },   { 0x7C0007A4, PPC_TLBWE },
        { 0x7C000764, PPC_TLBRE },  { 0x7C002724, PPC_TLBSX },   { 0x7C002624, PPC_TLBIVAX },
        { 0x7C002024, PPC_TLBILX }, { 0x7C00046C, PPC_TLBSYNC }, { 0x7C001BAC, PPC_DCBI },
        { 0x60000000, PPC_OTHER },  { 0x44000002, PPC_OTHER },   { 0x4C000020, PPC_OTHER },
        { 0x7C0004AC, PPC_OTHER },  { 0x00000000, PPC_OTHER },   { 0xFFFFFFFF, PPC_OTHER },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        EXPECT_EQ(ppc_privileged_of(rows[i].word), rows[i].kind);
    }
}

static void test_operands_are_where_the_forms_have_them(void **state)
{
    uint32_t gpr[32] = { [0] = 1000, [4] = 0x100, [5] = 0x20 };

    (void)state;
    EXPECT_EQ(ppc_field_t(0x7C7A02A6), 3); /* mfspr r3, 26 */
    EXPECT_EQ(ppc_field_spr(0x7C7A02A6), 26);
    EXPECT_EQ(ppc_field_spr(0x7D109AA6), 624);      /* mfspr r8, 624 */
    EXPECT_EQ(ppc_indexed(0x7C042F24, gpr), 0x120); /* tlbsx r4, r5 */
    EXPECT_EQ(ppc_indexed(0x7C002F24, gpr), 0x20);  /* tlbsx 0, r5: no register */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_are_found_by_the_manuals_numbers),
        cmocka_unit_test(test_what_is_not_there_has_no_rights),
        cmocka_unit_test(test_no_two_registers_share_a_number_or_a_place),
        cmocka_unit_test(test_a_plain_word_is_read_and_written_quickly),
        cmocka_unit_test(test_a_write_that_does_more_is_not_quick),
        cmocka_unit_test(test_a_read_of_bits_or_of_what_runs_is_not_quick),
        cmocka_unit_test(test_flash_operations_read_back_as_done),
        cmocka_unit_test(test_privileged_instructions_are_known_by_their_words),
        cmocka_unit_test(test_operands_are_where_the_forms_have_them),
    };
    return RUN_TESTS(tests);
}
