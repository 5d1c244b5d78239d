#include "machine.h"

#include <string.h>

#include <unicorn/unicorn.h>

#include "tests/unit/test.h"

/* Where the machine's own pages lie, physically and linearly. */
#define KERNEL_CODE   0x10000
#define USER_CODE     0x11000
#define GDT           0x12000
#define STACK         0x13000
#define OWN_TABLES    0x4000 /* of level N at OWN_TABLES + N pages */
#define FRAME_OFFSET  0xf00

#define KERNEL_CS     0x08
#define KERNEL_DS     0x10
#define USER_CS       0x1b
#define USER_DS       0x23

#define EFER_LME      0x100
#define EFER_LMA      0x400
#define EFER_NXE      0x800

#define FLAG_RESERVED 0x2
#define FLAG_AC       0x40000

static _Alignas(4096) uint8_t memory[MACHINE_RAM_BYTES];

uint8_t *machine_ram(void)
{
    return memory;
}

static void put(uint64_t address, unsigned bytes, uint64_t value)
{
    memcpy(machine_ram() + address, &value, bytes);
}

/* Entries are marked accessed and dirty beforehand: the machine's own doings change no table. */
static void map_own_pages(const struct machine_case *wanted)
{
    const unsigned bytes = wanted->levels == 2 ? 4 : 8;

    for (unsigned level = wanted->levels; level > 1; level--) {
        const uint64_t table = level == wanted->levels ? MACHINE_ROOT : OWN_TABLES + level * 0x1000;
        const bool pdpte = wanted->levels == 3 && level == 3;

        put(table, bytes, (OWN_TABLES + (level - 1) * 0x1000) | (pdpte ? 0x01 : 0x27));
    }
    for (uint64_t page = KERNEL_CODE; page <= STACK; page += 0x1000) {
        put(OWN_TABLES + 0x1000 + (page >> 12) * bytes, bytes, page | (page == USER_CODE ? 0x67 : 0x63));
    }
}

static void write_gdt(bool long_mode)
{
    put(GDT + KERNEL_CS, 8, long_mode ? UINT64_C(0x00af9b000000ffff) : UINT64_C(0x00cf9b000000ffff));
    put(GDT + KERNEL_DS, 8, UINT64_C(0x00cf93000000ffff));
    put(GDT + (USER_CS & ~7), 8, long_mode ? UINT64_C(0x00affb000000ffff) : UINT64_C(0x00cffb000000ffff));
    put(GDT + (USER_DS & ~7), 8, UINT64_C(0x00cff3000000ffff));
}

/* EFER from EAX by WRMSR; CR4, CR3, CR0 from ESI, EBX, EBP; PKRU from R8D; IRET. */
static void write_kernel_code(const struct machine_case *wanted)
{
    static const uint8_t registers[] = { 0x0f, 0x30, 0x0f, 0x22, 0xe6, 0x0f, 0x22, 0xdb, 0x0f, 0x22, 0xc5 };
    static const uint8_t pkru[] = { 0x31, 0xc9, 0x31, 0xd2, 0x44, 0x89, 0xc0, 0x0f, 0x01, 0xef };
    uint8_t *code = machine_ram() + KERNEL_CODE;

    memcpy(code, registers, sizeof(registers));
    code += sizeof(registers);
    if (wanted->cr4 & (1 << 22)) {
        memcpy(code, pkru, sizeof(pkru));
        code += sizeof(pkru);
    }
    if (wanted->long_mode) {
        *code++ = 0x48;
    }
    *code = 0xcf;
}

/* The access itself, at the top half of the code page of its privilege level, and a breakpoint after it. */
static uint64_t write_access(const struct machine_case *wanted)
{
    static const uint8_t read[] = { 0x8a, 0x07, 0xcc };  /* mov al, [edi] */
    static const uint8_t write[] = { 0x88, 0x07, 0xcc }; /* mov [edi], al */
    static const uint8_t jump[] = { 0xff, 0xe7 };        /* jmp edi */
    static const uint8_t descriptor[] = { 0xb8, 0x07, 0x00, 0x00, 0x00, 0x8e, 0xd8, 0xcc }; /* mov ds, 7 */
    const uint64_t at = (wanted->user ? USER_CODE : KERNEL_CODE) + 0x800;
    uint8_t *code = machine_ram() + at;

    switch (wanted->access) {
    case MACHINE_READ: memcpy(code, read, sizeof(read)); break;
    case MACHINE_WRITE: memcpy(code, write, sizeof(write)); break;
    case MACHINE_FETCH: memcpy(code, jump, sizeof(jump)); break;
    case MACHINE_DESCRIPTOR: memcpy(code, descriptor, sizeof(descriptor)); break;
    }
    return at;
}

/* What IRET pops. */
static void write_frame(const struct machine_case *wanted, uint64_t target)
{
    const unsigned bytes = wanted->long_mode ? 8 : 4;
    const uint64_t frame[] = { target, wanted->user ? USER_CS : KERNEL_CS,
                               FLAG_RESERVED | (wanted->ac ? FLAG_AC : 0), STACK + 0x800,
                               wanted->user ? USER_DS : KERNEL_DS };

    for (unsigned i = 0; i < 5; i++) {
        put(STACK + FRAME_OFFSET + i * bytes, bytes, frame[i]);
    }
}

void machine_prepare(const struct machine_case *wanted)
{
    memset(machine_ram(), 0, MACHINE_RAM_BYTES);
    map_own_pages(wanted);
    write_gdt(wanted->long_mode);
    write_kernel_code(wanted);
    write_frame(wanted, write_access(wanted));
}

static void on_interrupt(uc_engine *engine, uint32_t vector, void *context)
{
    unsigned *seen = context;

    *seen = vector;
    uc_emu_stop(engine);
}

static uc_engine *open_engine(uc_mode mode)
{
    uc_engine *engine;

    assert_int_equal(uc_open(UC_ARCH_X86, mode, &engine), UC_ERR_OK);
    assert_int_equal(uc_ctl_set_cpu_model(engine, UC_CPU_X86_ICELAKE_SERVER), UC_ERR_OK);
    assert_int_equal(uc_mem_map_ptr(engine, 0, MACHINE_RAM_BYTES, UC_PROT_ALL, machine_ram()), UC_ERR_OK);
    return engine;
}

static uint64_t word_at(const uc_context *context, size_t offset)
{
    uint64_t word;

    memcpy(&word, (const char *)context + offset, sizeof(word));
    return word;
}

/* The engine knows a register by another name in each mode. */
struct register_names {
    int ax, bx, cx, dx, si, di, bp, sp;
};

static const struct register_names names[2] = {
    { UC_X86_REG_EAX, UC_X86_REG_EBX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_ESI, UC_X86_REG_EDI,
      UC_X86_REG_EBP, UC_X86_REG_ESP },
    { UC_X86_REG_RAX, UC_X86_REG_RBX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RSI, UC_X86_REG_RDI,
      UC_X86_REG_RBP, UC_X86_REG_RSP },
};

static void set(uc_engine *engine, int name, uint64_t value)
{
    assert_int_equal(uc_reg_write(engine, name, &value), UC_ERR_OK);
}

static void set_registers(uc_engine *engine, const struct machine_case *wanted)
{
    const struct register_names *name = &names[wanted->long_mode];
    const uc_x86_mmr gdtr = { .base = GDT, .limit = 0x27 };
    const uc_x86_mmr ldtr = { .selector = 0x28, .base = wanted->va, .limit = 7, .flags = 0x8200 };

    assert_int_equal(uc_reg_write(engine, UC_X86_REG_GDTR, &gdtr), UC_ERR_OK);
    if (wanted->access == MACHINE_DESCRIPTOR) {
        assert_int_equal(uc_reg_write(engine, UC_X86_REG_LDTR, &ldtr), UC_ERR_OK);
    }
    if (!wanted->long_mode) {
        set(engine, UC_X86_REG_SS, KERNEL_DS); /* a 32-bit stack */
    }
    set(engine, name->cx, UINT64_C(0xc0000080));
    set(engine, name->ax, wanted->efer);
    set(engine, name->dx, 0);
    set(engine, name->si, wanted->cr4);
    set(engine, name->bx, MACHINE_ROOT);
    set(engine, name->bp, wanted->cr0);
    set(engine, name->sp, STACK + FRAME_OFFSET);
    set(engine, name->di, wanted->va);
    if (wanted->long_mode) {
        set(engine, UC_X86_REG_R8, wanted->pkru);
    }
}

/*
 * What lies at the linear address: a breakpoint for a fetch, a present, accessed data
 * segment for a descriptor.
 */
static void map_target(uc_engine *engine, const struct machine_case *wanted)
{
    static _Alignas(4096) uint8_t page[4096];
    const uint64_t descriptor = UINT64_C(0x00cff3000000ffff);

    memset(page, 0xcc, sizeof(page));
    if (wanted->access == MACHINE_DESCRIPTOR) {
        memcpy(page + (wanted->va & 0xfff), &descriptor, sizeof(descriptor));
    }
    assert_int_equal(uc_mem_map_ptr(engine, wanted->va & ~UINT64_C(0xfff), sizeof(page), UC_PROT_ALL, page),
                     UC_ERR_OK);
}

/*
 * None of the engine's processor models has NX, so that WRMSR leaves EFER.NXE alone; but its walker knows
 * it. The bit is set in a saved state, where EFER is found as the one word that holds LME and LMA in
 * 64-bit mode from the start.
 */
static size_t efer_offset(void)
{
    uc_engine *engine = open_engine(UC_MODE_64);
    const size_t bytes = uc_context_size(engine);
    uc_context *context;
    size_t offset = 0;

    assert_int_equal(uc_context_alloc(engine, &context), UC_ERR_OK);
    assert_int_equal(uc_context_save(engine, context), UC_ERR_OK);
    for (size_t i = 0; i + sizeof(uint64_t) <= bytes; i += sizeof(uint64_t)) {
        if (word_at(context, i) == (EFER_LME | EFER_LMA)) {
            assert_int_equal(offset, 0); /* only one such word */
            offset = i;
        }
    }
    assert_int_not_equal(offset, 0);
    uc_context_free(context);
    uc_close(engine);
    return offset;
}

static void enable_nx(uc_engine *engine)
{
    static size_t offset;
    uc_context *context;

    if (offset == 0) {
        offset = efer_offset();
    }
    assert_int_equal(uc_context_alloc(engine, &context), UC_ERR_OK);
    assert_int_equal(uc_context_save(engine, context), UC_ERR_OK);
    const uint64_t efer = word_at(context, offset) | EFER_NXE;

    memcpy((char *)context + offset, &efer, sizeof(efer));
    assert_int_equal(uc_context_restore(engine, context), UC_ERR_OK);
    uc_context_free(context);
}

struct machine_outcome machine_run(const struct machine_case *wanted)
{
    struct machine_outcome outcome = { .vector = MACHINE_LOST };
    const bool nx = (wanted->efer & EFER_NXE) != 0;
    uc_engine *engine = open_engine(wanted->long_mode ? UC_MODE_64 : UC_MODE_32);
    uc_hook hook;

    if (nx) {
        enable_nx(engine);
    }
    assert_int_equal(uc_hook_add(engine, &hook, UC_HOOK_INTR, (void *)on_interrupt, &outcome.vector, 1, 0),
                     UC_ERR_OK);
    map_target(engine, wanted);
    set_registers(engine, wanted);
    /* How it ends, the hook has seen; an end that it has not seen leaves the outcome MACHINE_LOST. */
    (void)uc_emu_start(engine, KERNEL_CODE, 0, 0, 64);
    uc_reg_read(engine, UC_X86_REG_CR2, &outcome.cr2);
    uc_close(engine);
    return outcome;
}
