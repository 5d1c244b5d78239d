/* What is decoded, and what is not. Opcodes are from the Power ISA's "Opcode Maps". */
#include "tests/unit/ppc_insn/rig.h"
#include "tests/unit/test.h"

static struct ppc_insn decoded(uint32_t word)
{
    struct ppc_insn insn;

    EXPECT(ppc_insn_decode(word, &insn));
    return insn;
}

static bool is_known(uint32_t word)
{
    struct ppc_insn insn;

    return ppc_insn_decode(word, &insn);
}

/* What each opcode is, as the manual's pages of the instructions have it. */
static const struct row {
    const char *name;
    uint16_t opcode;
    uint8_t operation;
    uint8_t width_bytes;
    bool update;
    bool algebraic;
    bool reversed;
} d_rows[] = {
    { "lwz", 32, PPC_LOAD, 4, 0, 0, 0 },  { "lwzu", 33, PPC_LOAD, 4, 1, 0, 0 },
    { "lbz", 34, PPC_LOAD, 1, 0, 0, 0 },  { "lbzu", 35, PPC_LOAD, 1, 1, 0, 0 },
    { "stw", 36, PPC_STORE, 4, 0, 0, 0 }, { "stwu", 37, PPC_STORE, 4, 1, 0, 0 },
    { "stb", 38, PPC_STORE, 1, 0, 0, 0 }, { "stbu", 39, PPC_STORE, 1, 1, 0, 0 },
    { "lhz", 40, PPC_LOAD, 2, 0, 0, 0 },  { "lhzu", 41, PPC_LOAD, 2, 1, 0, 0 },
    { "lha", 42, PPC_LOAD, 2, 0, 1, 0 },  { "lhau", 43, PPC_LOAD, 2, 1, 1, 0 },
    { "sth", 44, PPC_STORE, 2, 0, 0, 0 }, { "sthu", 45, PPC_STORE, 2, 1, 0, 0 },
    { "lmw", 46, PPC_LOAD_MULTIPLE, 4, 0, 0, 0 }, { "stmw", 47, PPC_STORE_MULTIPLE, 4, 0, 0, 0 },
}, x_rows[] = {
    { "lwzx", 23, PPC_LOAD, 4, 0, 0, 0 },    { "lwzux", 55, PPC_LOAD, 4, 1, 0, 0 },
    { "lbzx", 87, PPC_LOAD, 1, 0, 0, 0 },    { "lbzux", 119, PPC_LOAD, 1, 1, 0, 0 },
    { "stwx", 151, PPC_STORE, 4, 0, 0, 0 },  { "stwux", 183, PPC_STORE, 4, 1, 0, 0 },
    { "stbx", 215, PPC_STORE, 1, 0, 0, 0 },  { "stbux", 247, PPC_STORE, 1, 1, 0, 0 },
    { "lhzx", 279, PPC_LOAD, 2, 0, 0, 0 },   { "lhzux", 311, PPC_LOAD, 2, 1, 0, 0 },
    { "lhax", 343, PPC_LOAD, 2, 0, 1, 0 },   { "lhaux", 375, PPC_LOAD, 2, 1, 1, 0 },
    { "sthx", 407, PPC_STORE, 2, 0, 0, 0 },  { "sthux", 439, PPC_STORE, 2, 1, 0, 0 },
    { "lwbrx", 534, PPC_LOAD, 4, 0, 0, 1 },  { "stwbrx", 662, PPC_STORE, 4, 0, 0, 1 },
    { "lhbrx", 790, PPC_LOAD, 2, 0, 0, 1 },  { "sthbrx", 918, PPC_STORE, 2, 0, 0, 1 },
    { "dcbz", 1014, PPC_ZERO_BLOCK, 1, 0, 0, 0 },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void expect_row(const struct row *row, const struct ppc_insn *insn)
{
    EXPECT_EQ(insn->operation, row->operation);
    EXPECT_EQ(insn->width_bytes, row->width_bytes);
    EXPECT_EQ(insn->update, row->update);
    EXPECT_EQ(insn->algebraic, row->algebraic);
    EXPECT_EQ(insn->reversed, row->reversed);
}

static void test_every_displacement_form_is_what_the_manual_says(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(d_rows); i++) {
        const struct ppc_insn insn = decoded(d_form(d_rows[i].opcode, 29, 28, -4));

        expect_row(&d_rows[i], &insn);
        EXPECT_EQ(insn.target, 29);
        EXPECT_EQ(insn.base, 28);
        EXPECT(!insn.indexed);
        EXPECT(insn.displacement == -4);
    }
}

static void test_every_indexed_form_is_what_the_manual_says(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(x_rows); i++) {
        const struct ppc_insn insn = decoded(x_form(x_rows[i].opcode, 29, 28, 27));

        expect_row(&x_rows[i], &insn);
        EXPECT_EQ(insn.target, 29);
        EXPECT_EQ(insn.base, 28);
        EXPECT_EQ(insn.index, 27);
        EXPECT(insn.indexed);
    }
}

static void test_cache_instructions_are_hints(void **state)
{
    static const uint16_t opcodes[] = { 22, 54, 86, 134, 166, 230, 246, 278, 390, 470, 486, 758, 982 };

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(opcodes); i++)
        EXPECT_EQ(decoded(x_form(opcodes[i], 0, 3, 4)).operation, PPC_CACHE_HINT);
}

static bool is_in(unsigned opcode, const struct row *rows, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (rows[i].opcode == opcode)
            return true;
    }
    return false;
}

static void test_nothing_else_is_decoded(void **state)
{
    (void)state;
    for (unsigned opcode = 0; opcode < 64; opcode++) {
        if (opcode != 31 && !is_in(opcode, d_rows, COUNT_OF(d_rows)))
            EXPECT(!is_known(d_form(opcode, 29, 28, -4)));
    }
    for (unsigned extended = 0; extended < 1024; extended++) {
        struct ppc_insn insn;

        if (!is_in(extended, x_rows, COUNT_OF(x_rows)) &&
            ppc_insn_decode(x_form(extended, 29, 28, 27), &insn))
            EXPECT_EQ(insn.operation, PPC_CACHE_HINT);
    }
}

static void test_reservations_strings_and_floating_point_are_not_for_devices(void **state)
{
    (void)state;
    EXPECT(!is_known(x_form(20, 3, 0, 4)));      /* lwarx */
    EXPECT(!is_known(x_form(150, 3, 0, 4) | 1)); /* stwcx. */
    EXPECT(!is_known(x_form(533, 3, 0, 4)));     /* lswx */
    EXPECT(!is_known(x_form(597, 3, 0, 4)));     /* lswi */
    EXPECT(!is_known(x_form(725, 3, 0, 4)));     /* stswi */
    EXPECT(!is_known(d_form(48, 3, 4, 0)));      /* lfs */
    EXPECT(!is_known(d_form(54, 3, 4, 0)));      /* stfd */
    EXPECT(!is_known(UINT32_C(0x10601B01)));     /* evldd */
}

static void test_a_record_bit_makes_it_another_instruction(void **state)
{
    (void)state;
    EXPECT(!is_known(x_form(23, 3, 0, 4) | 1));
}

static void test_invalid_update_forms_are_refused(void **state)
{
    (void)state;
    EXPECT(!is_known(d_form(33, 3, 0, 4))); /* lwzu with RA = 0 */
    EXPECT(!is_known(d_form(33, 3, 3, 4))); /* and with RA = RT */
    EXPECT(!is_known(d_form(37, 3, 0, 4))); /* stwu with RA = 0 */
    EXPECT(is_known(d_form(37, 3, 3, 4)));  /* with RA = RS it stores the old value */
    EXPECT(!is_known(x_form(375, 3, 3, 4)));
    EXPECT(!is_known(x_form(439, 3, 0, 4)));
}

static void test_a_multiple_load_over_its_base_is_refused(void **state)
{
    (void)state;
    EXPECT(is_known(d_form(46, 29, 28, 0)));
    EXPECT(!is_known(d_form(46, 29, 29, 0)));
    EXPECT(!is_known(d_form(46, 29, 31, 0)));
    EXPECT(!is_known(d_form(46, 0, 0, 0)));
    EXPECT(is_known(d_form(47, 29, 31, 0)));
}

static void test_stores_are_what_esr_st_says(void **state)
{
    const struct ppc_insn store = decoded(d_form(36, 3, 4, 0));
    const struct ppc_insn multiple = decoded(d_form(47, 3, 4, 0));
    const struct ppc_insn zero = decoded(x_form(1014, 0, 4, 5));
    const struct ppc_insn load = decoded(d_form(32, 3, 4, 0));
    const struct ppc_insn load_multiple = decoded(d_form(46, 30, 4, 0));
    const struct ppc_insn hint = decoded(x_form(86, 0, 4, 5));

    (void)state;
    EXPECT(ppc_insn_is_store(&store) && ppc_insn_is_store(&multiple) && ppc_insn_is_store(&zero));
    EXPECT(!ppc_insn_is_store(&load) && !ppc_insn_is_store(&load_multiple) && !ppc_insn_is_store(&hint));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_displacement_form_is_what_the_manual_says),
        cmocka_unit_test(test_every_indexed_form_is_what_the_manual_says),
        cmocka_unit_test(test_cache_instructions_are_hints),
        cmocka_unit_test(test_nothing_else_is_decoded),
        cmocka_unit_test(test_reservations_strings_and_floating_point_are_not_for_devices),
        cmocka_unit_test(test_a_record_bit_makes_it_another_instruction),
        cmocka_unit_test(test_invalid_update_forms_are_refused),
        cmocka_unit_test(test_a_multiple_load_over_its_base_is_refused),
        cmocka_unit_test(test_stores_are_what_esr_st_says),
    };

    return RUN_TESTS(tests);
}
