/*
 * The decoder: two tables, one of primary opcodes and one of the extended opcodes under primary opcode 31.
 *
 * A missing entry is no instruction of ours. Spec: Power ISA "Instruction Formats", "Fixed-Point Load Instructions" and on.
 */
#include "hv/ppc/insn/insn.h"

#define PRIMARY_X 31

/* Which operands are right: what makes a form invalid. */
enum form {
    FORM_NONE, /* no instruction of ours */
    FORM_PLAIN,
    FORM_UPDATE,        /* RA is neither 0 nor, for loads, RT */
    FORM_LOAD_MULTIPLE, /* RA is not among the registers that are loaded */
    FORM_NO_TARGET,     /* RT means something else */
};

struct opcode {
    uint8_t form; /* enum form */
    uint8_t operation;
    uint8_t width_bytes;
    bool algebraic;
    bool reversed;
};

#define LOAD(bytes)                                                                                          \
    {                                                                                                        \
        FORM_PLAIN, PPC_LOAD, bytes, false, false                                                            \
    }
#define LOAD_UPDATE(bytes)                                                                                   \
    {                                                                                                        \
        FORM_UPDATE, PPC_LOAD, bytes, false, false                                                           \
    }
#define LOAD_SIGNED                                                                                          \
    {                                                                                                        \
        FORM_PLAIN, PPC_LOAD, 2, true, false                                                                 \
    }
#define LOAD_SIGNED_UPDATE                                                                                   \
    {                                                                                                        \
        FORM_UPDATE, PPC_LOAD, 2, true, false                                                                \
    }
#define LOAD_REVERSED(bytes)                                                                                 \
    {                                                                                                        \
        FORM_PLAIN, PPC_LOAD, bytes, false, true                                                             \
    }
#define STORE(bytes)                                                                                         \
    {                                                                                                        \
        FORM_PLAIN, PPC_STORE, bytes, false, false                                                           \
    }
#define STORE_UPDATE(bytes)                                                                                  \
    {                                                                                                        \
        FORM_UPDATE, PPC_STORE, bytes, false, false                                                          \
    }
#define STORE_REVERSED(bytes)                                                                                \
    {                                                                                                        \
        FORM_PLAIN, PPC_STORE, bytes, false, true                                                            \
    }
#define HINT                                                                                                 \
    {                                                                                                        \
        FORM_NO_TARGET, PPC_CACHE_HINT, 1, false, false                                                      \
    }

/* By primary opcode, less 32. */
static const struct opcode primary[] = {
    [32 - 32] = LOAD(4),
    [33 - 32] = LOAD_UPDATE(4),
    [34 - 32] = LOAD(1),
    [35 - 32] = LOAD_UPDATE(1),
    [36 - 32] = STORE(4),
    [37 - 32] = STORE_UPDATE(4),
    [38 - 32] = STORE(1),
    [39 - 32] = STORE_UPDATE(1),
    [40 - 32] = LOAD(2),
    [41 - 32] = LOAD_UPDATE(2),
    [42 - 32] = LOAD_SIGNED,
    [43 - 32] = LOAD_SIGNED_UPDATE,
    [44 - 32] = STORE(2),
    [45 - 32] = STORE_UPDATE(2),
    [46 - 32] = { FORM_LOAD_MULTIPLE, PPC_LOAD_MULTIPLE, 4, false, false },
    [47 - 32] = { FORM_PLAIN, PPC_STORE_MULTIPLE, 4, false, false },
};

/* By extended opcode. */
static const struct extended {
    uint16_t number;
    struct opcode opcode;
} extended[] = {
    { 22, HINT },                                                  /* icbt */
    { 23, LOAD(4) },                                               /* lwzx */
    { 54, HINT },                                                  /* dcbst */
    { 55, LOAD_UPDATE(4) },                                        /* lwzux */
    { 86, HINT },                                                  /* dcbf */
    { 87, LOAD(1) },                                               /* lbzx */
    { 119, LOAD_UPDATE(1) },                                       /* lbzux */
    { 134, HINT },                                                 /* dcbtstls */
    { 151, STORE(4) },                                             /* stwx */
    { 166, HINT },                                                 /* dcbtls */
    { 183, STORE_UPDATE(4) },                                      /* stwux */
    { 215, STORE(1) },                                             /* stbx */
    { 230, HINT },                                                 /* icblc */
    { 246, HINT },                                                 /* dcbtst */
    { 247, STORE_UPDATE(1) },                                      /* stbux */
    { 278, HINT },                                                 /* dcbt */
    { 279, LOAD(2) },                                              /* lhzx */
    { 311, LOAD_UPDATE(2) },                                       /* lhzux */
    { 343, LOAD_SIGNED },                                          /* lhax */
    { 375, LOAD_SIGNED_UPDATE },                                   /* lhaux */
    { 390, HINT },                                                 /* dcblc */
    { 407, STORE(2) },                                             /* sthx */
    { 439, STORE_UPDATE(2) },                                      /* sthux */
    { 470, HINT },                                                 /* dcbi */
    { 486, HINT },                                                 /* icbtls */
    { 534, LOAD_REVERSED(4) },                                     /* lwbrx */
    { 662, STORE_REVERSED(4) },                                    /* stwbrx */
    { 758, HINT },                                                 /* dcba */
    { 790, LOAD_REVERSED(2) },                                     /* lhbrx */
    { 918, STORE_REVERSED(2) },                                    /* sthbrx */
    { 982, HINT },                                                 /* icbi */
    { 1014, { FORM_NO_TARGET, PPC_ZERO_BLOCK, 1, false, false } }, /* dcbz */
};

/* --- fields, by their place from the least significant bit --- */

static unsigned field(uint32_t word, unsigned low, unsigned bits)
{
    return word >> low & ((1U << bits) - 1);
}

static const struct opcode *find_extended(unsigned number)
{
    for (unsigned i = 0; i < sizeof(extended) / sizeof(extended[0]); i++) {
        if (extended[i].number == number)
            return &extended[i].opcode;
    }
    return NULL;
}

static const struct opcode *find(uint32_t word)
{
    const unsigned number = field(word, 26, 6);

    if (number == PRIMARY_X)
        return field(word, 0, 1) == 0 ? find_extended(field(word, 1, 10)) : NULL;
    if (number < 32 || number - 32 >= sizeof(primary) / sizeof(primary[0]))
        return NULL;
    return &primary[number - 32];
}

static bool is_valid(enum form form, const struct ppc_insn *insn)
{
    switch (form) {
    case FORM_NONE: return false;
    case FORM_PLAIN:
    case FORM_NO_TARGET: return true;
    case FORM_UPDATE: return insn->base != 0 && (insn->operation != PPC_LOAD || insn->base != insn->target);
    case FORM_LOAD_MULTIPLE: return insn->base < insn->target;
    }
    return false;
}

bool ppc_insn_decode(uint32_t word, struct ppc_insn *insn)
{
    const struct opcode *opcode = find(word);

    if (opcode == NULL)
        return false;
    *insn = (struct ppc_insn){
        .operation = opcode->operation,
        .width_bytes = opcode->width_bytes,
        .target = (uint8_t)field(word, 21, 5),
        .base = (uint8_t)field(word, 16, 5),
        .indexed = field(word, 26, 6) == PRIMARY_X,
        .update = opcode->form == FORM_UPDATE,
        .algebraic = opcode->algebraic,
        .reversed = opcode->reversed,
    };
    if (insn->indexed) {
        insn->index = (uint8_t)field(word, 11, 5);
    } else {
        insn->displacement = (int16_t)field(word, 0, 16);
    }
    return is_valid(opcode->form, insn);
}
