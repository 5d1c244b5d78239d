/*
 * The same instruction words on libunicorn's PowerPC: whatever is decoded here leaves the same registers and the same memory
 * behind. All opcodes with chosen and with random operands; seeds are fixed.
 */
#include "tests/unit/ppc_insn/rig.h"
#include "tests/unit/test.h"

#include <unicorn/unicorn.h>

#include <string.h>

#define CODE       UINT64_C(0x10000)
#define DATA       UINT32_C(0xE0004000) /* the page that RIG_BASE is in */
#define PAGE_BYTES 0x1000
#define TRIES      400 /* of each opcode */

static uc_engine *engine;
static unsigned compared;
static uint64_t state_of_random = UINT64_C(0x9E3779B97F4A7C15);

/* xorshift: any sequence will do, if it is the same each time. */
static uint32_t random32(void)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return (uint32_t)(state_of_random >> 32);
}

static void must(uc_err error)
{
    if (error != UC_ERR_OK)
        fail_msg("libunicorn: %s", uc_strerror(error));
}

static int open_engine(void **state)
{
    (void)state;
    must(uc_open(UC_ARCH_PPC, UC_MODE_PPC32 | UC_MODE_BIG_ENDIAN, &engine));
    must(uc_mem_map(engine, CODE, PAGE_BYTES, UC_PROT_ALL));
    must(uc_mem_map(engine, DATA, PAGE_BYTES, UC_PROT_READ | UC_PROT_WRITE));
    return 0;
}

static int close_engine(void **state)
{
    (void)state;
    return uc_close(engine);
}

/* --- the bus: a copy of the emulator's page --- */

static uint8_t memory[PAGE_BYTES];

static enum vmmu_status bus_read(void *context, uint32_t address, unsigned width_bytes, uint32_t *value)
{
    (void)context;
    EXPECT(address % width_bytes == 0);
    *value = 0;
    for (unsigned i = 0; i < width_bytes; i++)
        *value = *value << 8 | memory[address - DATA + i];
    return VMMU_OK;
}

static enum vmmu_status bus_write(void *context, uint32_t address, unsigned width_bytes, uint32_t value)
{
    (void)context;
    EXPECT(address % width_bytes == 0);
    for (unsigned i = 0; i < width_bytes; i++)
        memory[address - DATA + i] = (uint8_t)(value >> (8 * (width_bytes - 1 - i)));
    return VMMU_OK;
}

/* --- one word on both --- */

/* Registers such that the word's operand lies well inside the page. False: it cannot be had, since fields coincide. */
static bool aim(const struct ppc_insn *insn, uint32_t *gpr)
{
    const uint32_t wanted = RIG_BASE + random32() % 64;

    for (unsigned i = 0; i < 32; i++)
        gpr[i] = random32();
    if (insn->indexed && insn->base == insn->index) {
        gpr[insn->base] = wanted / 2;
    } else if (insn->indexed) {
        gpr[insn->index] = wanted - (insn->base == 0 ? 0 : gpr[insn->base]);
    } else if (insn->base != 0) {
        gpr[insn->base] = wanted - (uint32_t)(int32_t)insn->displacement;
    }
    return ppc_insn_address(insn, gpr) - RIG_BASE < 64;
}

static void emulate(uint32_t word, uint32_t *gpr)
{
    const uint8_t code[4] = { (uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8),
                              (uint8_t)word };

    must(uc_mem_write(engine, CODE, code, sizeof(code)));
    must(uc_ctl_remove_cache(engine, CODE, CODE + sizeof(code)));
    must(uc_mem_write(engine, DATA, memory, sizeof(memory)));
    for (int i = 0; i < 32; i++)
        must(uc_reg_write(engine, UC_PPC_REG_0 + i, &gpr[i]));
    must(uc_emu_start(engine, CODE, CODE + sizeof(code), 0, 1));
    for (int i = 0; i < 32; i++)
        must(uc_reg_read(engine, UC_PPC_REG_0 + i, &gpr[i]));
}

static void compare(uint32_t word)
{
    const struct ppc_bus bus = { .read = bus_read, .write = bus_write };
    static uint8_t emulated[PAGE_BYTES];
    struct ppc_insn insn;
    enum vmmu_status status;
    uint32_t ours[32];
    uint32_t theirs[32];

    if (!ppc_insn_decode(word, &insn) || !aim(&insn, ours))
        return;
    for (unsigned i = 0; i < PAGE_BYTES; i++)
        memory[i] = (uint8_t)random32();
    memcpy(theirs, ours, sizeof(theirs));
    if (insn.operation == PPC_ZERO_BLOCK || insn.operation == PPC_CACHE_HINT)
        return;
    if ((insn.operation == PPC_LOAD_MULTIPLE || insn.operation == PPC_STORE_MULTIPLE) &&
        ppc_insn_address(&insn, ours) % 4 != 0)
        return;
    compared++;
    emulate(word, theirs);
    must(uc_mem_read(engine, DATA, emulated, sizeof(emulated)));
    EXPECT_EQ(ppc_insn_perform(&insn, ours, &bus, &status), PPC_INSN_DONE);
    if (memcmp(ours, theirs, sizeof(ours)) != 0 || memcmp(memory, emulated, sizeof(memory)) != 0)
        fail_msg("%08x differs", word);
}

static void test_displacement_forms_do_what_libunicorns_processor_does(void **state)
{
    (void)state;
    compared = 0;
    for (unsigned opcode = 32; opcode < 48; opcode++) {
        for (unsigned i = 0; i < TRIES; i++)
            compare((uint32_t)opcode << 26 | (random32() & 0x03FFFFFF));
    }
    EXPECT(compared >= 5000);
}

static void test_indexed_forms_do_what_libunicorns_processor_does(void **state)
{
    (void)state;
    compared = 0;
    for (unsigned extended = 0; extended < 1024; extended++) {
        for (unsigned i = 0; i < TRIES / 4; i++)
            compare(x_form(extended, random32() % 32, random32() % 32, random32() % 32));
    }
    EXPECT(compared >= 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_displacement_forms_do_what_libunicorns_processor_does),
        cmocka_unit_test(test_indexed_forms_do_what_libunicorns_processor_does),
    };

    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
