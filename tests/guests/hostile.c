/*
 * What a hostile or a broken guest does: every port, every model-specific register, every instruction that is
 * not for it, every hypercall with any input, page tables that point anywhere. Whoever runs it answers, and lives; and
 * whoever runs beside it (`neighbour`) comes to the right results. What the answers are is the other guests' matter.
 *
 * Guest: run alone: --cpus 1
 * Guest: run beside a nested partition under shadow: --partition "kernel={guests}/neighbour64.elf protocol=multiboot mmu=nested memory=64M"
 * Guest: run beside a shadowed partition under nested: --partition "kernel={guests}/neighbour32.elf protocol=multiboot mmu=shadow memory=64M"
 * Guest: run parent of one that it breaks ends 126: --parent --partition "kernel={guests}/child64.elf protocol=multiboot mmu=shadow memory=64M cpus=2" -- calls
 */
#include "tests/guests/common/calls.h"
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

static uint32_t seed = 0x2545f491;

/* Numbers that look random and are the same in every run. George Marsaglia, "Xorshift RNGs". */
static uint32_t random_next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

/* A value or a refusal; anything else is not an answer. */
static bool answered(void)
{
    detail("vector %u", (unsigned)trap_last.vector);
    return trap_last.vector == TRAP_NONE || trap_last.vector == VECTOR_PROTECTION;
}

static bool refused(void)
{
    detail("vector %u", (unsigned)trap_last.vector);
    return trap_last.vector == VECTOR_UNDEFINED || trap_last.vector == VECTOR_PROTECTION;
}

struct ports {
    uint16_t first, last;
};

/*
 * Ports that end the run by their purpose, or by which the guest speaks: console, debug exit, reset, power.
 */
static const struct ports spared[] = { { 0x3f8, 0x3ff }, { 0xf0, 0xf7 },    { 0x64, 0x64 },
                                       { 0x92, 0x92 },   { 0xcf8, 0xcff },  { 0x2f8, 0x2ff },
                                       { 0x400, 0x6ff }, { 0xb000, 0xb0ff } };

static bool is_spared(uint32_t port)
{
    for (unsigned i = 0; i < sizeof(spared) / sizeof(spared[0]); i++) {
        if (port + 3 >= spared[i].first && port <= spared[i].last) {
            return true;
        }
    }
    return false;
}

static void test_ports(void)
{
    for (uint32_t port = 0; port < 0x10000; port++) {
        if (!is_spared(port)) {
            in8((uint16_t)port);
            if ((port & 3) == 0) {
                in16((uint16_t)port);
                in32((uint16_t)port);
            }
        }
    }
    report(true, "every port was read");
    if (runs_bare()) {
        report_skip("on the bare emulator: its disk controllers would write to memory",
                    "every port was written");
        return;
    }
    for (uint32_t port = 0; port < 0x10000; port++) {
        if (!is_spared(port)) {
            const uint32_t value = random_next();
            out8((uint16_t)port, (uint8_t)value);
            if ((port & 3) == 0) {
                out16((uint16_t)port, (uint16_t)value);
                out32((uint16_t)port, value);
            }
        }
    }
    report(true, "every port was written");
}

/*
 * Registers whose change is the guest's own end, by design: its mode, its APIC's place, its overlay pages'
 * places, its reset and crash reports, and the interrupt commands, which may name INIT or NMI.
 */
static bool msr_is_spared(uint32_t index)
{
    static const uint32_t registers[] = { MSR_APIC_BASE, MSR_EFER,   0x830,      0x40000001, 0x40000003,
                                          0x40000021,    0x40000071, 0x40000073, 0x40000082, 0x40000083,
                                          0x40000105,    0xc0000100, 0xc0000101 };
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        if (registers[i] == index) {
            return true;
        }
    }
    return false;
}

static void test_msr_range(uint32_t first, uint32_t last)
{
    unsigned values = 0, wrong = 0;
    for (uint32_t index = first; index <= last; index++) {
        uint32_t low = 0, high = 0;
        TRY("rdmsr", : "+a"(low), "+d"(high) : "c"(index) : "memory");
        wrong += !answered();
        const bool readable = trap_last.vector == TRAP_NONE;
        values += readable;
        if (msr_is_spared(index) || runs_bare()) {
            continue;
        }
        TRY("wrmsr", ::"c"(index), "a"(random_next()), "d"(random_next()) : "memory");
        wrong += !answered();
        TRY("wrmsr", ::"c"(index), "a"(random_next()), "d"(0) : "memory");
        wrong += !answered();
        if (readable) {
            TRY("wrmsr", ::"c"(index), "a"(low), "d"(high) : "memory");
            wrong += !answered();
        }
    }
    comment("registers %x to %x: %u have a value", first, last, values);
    report(wrong == 0, "registers %x to %x give a value or #GP, and take one or #GP", first, last);
}

#define INSTRUCTION(name, bytes)                                                                             \
    {                                                                                                        \
        name, try_##bytes                                                                                    \
    }

#define MAKE_TRY(function, code)                                                                             \
    static void function(void)                                                                               \
    {                                                                                                        \
        TRY(code, ::"a"(0), "b"(0), "c"(0), "d"(0) : "memory", "cc");                                        \
    }

MAKE_TRY(try_vmrun, ".byte 0x0f, 0x01, 0xd8")
MAKE_TRY(try_vmload, ".byte 0x0f, 0x01, 0xda")
MAKE_TRY(try_vmsave, ".byte 0x0f, 0x01, 0xdb")
MAKE_TRY(try_stgi, ".byte 0x0f, 0x01, 0xdc")
MAKE_TRY(try_clgi, ".byte 0x0f, 0x01, 0xdd")
MAKE_TRY(try_skinit, ".byte 0x0f, 0x01, 0xde")
MAKE_TRY(try_invlpga, ".byte 0x0f, 0x01, 0xdf")
MAKE_TRY(try_vmlaunch, ".byte 0x0f, 0x01, 0xc2")
MAKE_TRY(try_vmresume, ".byte 0x0f, 0x01, 0xc3")
MAKE_TRY(try_vmxoff, ".byte 0x0f, 0x01, 0xc4")
MAKE_TRY(try_getsec, ".byte 0x0f, 0x37")
MAKE_TRY(try_rsm, ".byte 0x0f, 0xaa")
MAKE_TRY(try_encls, ".byte 0x0f, 0x01, 0xcf")
MAKE_TRY(try_ud0, ".byte 0x0f, 0xff, 0xc0")
MAKE_TRY(try_ud1, ".byte 0x0f, 0xb9, 0xc0")
MAKE_TRY(try_lock_nop, ".byte 0xf0, 0x90")
MAKE_TRY(try_vmcall, ".byte 0x0f, 0x01, 0xc1")
MAKE_TRY(try_vmmcall, ".byte 0x0f, 0x01, 0xd9")
MAKE_TRY(try_xsetbv, ".byte 0x0f, 0x01, 0xd1")
MAKE_TRY(try_monitor, ".byte 0x0f, 0x01, 0xc8")
MAKE_TRY(try_rdpmc, "rdpmc")
MAKE_TRY(try_long, ".rept 15\n.byte 0x2e\n.endr\nnop")

/* Must be refused: a partition offers no virtualization, no measured launch, no enclaves. */
static const struct {
    const char *name;
    void (*run)(void);
} forbidden[] = {
    { "VMRUN", try_vmrun },   { "VMLOAD", try_vmload },     { "VMSAVE", try_vmsave },     { "STGI", try_stgi },
    { "CLGI", try_clgi },     { "SKINIT", try_skinit },     { "INVLPGA", try_invlpga },   { "VMLAUNCH", try_vmlaunch },
    { "VMRESUME", try_vmresume }, { "VMXOFF", try_vmxoff }, { "GETSEC", try_getsec },     { "RSM", try_rsm },
    { "ENCLS", try_encls },   { "UD0", try_ud0 },           { "UD1", try_ud1 },           { "LOCK NOP", try_lock_nop },
    { "XSETBV of nothing", try_xsetbv }, { "an instruction of 16 bytes", try_long },
},
/* Must be answered: refused, or done. */
  allowed[] = { { "VMCALL", try_vmcall }, { "VMMCALL", try_vmmcall }, { "MONITOR", try_monitor }, { "RDPMC", try_rdpmc } };

static void test_instructions(void)
{
    for (unsigned i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        forbidden[i].run();
        report(refused(), "%s is refused", forbidden[i].name);
    }
    for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        allowed[i].run();
        report(answered() || refused(), "%s is answered", allowed[i].name);
    }
    if (runs_bare()) {
        report_skip("on the bare emulator: it offers SVM", "EFER.SVME is refused");
    } else {
        TRY("wrmsr", ::"c"(MSR_EFER), "a"((uint32_t)(msr_read(MSR_EFER) | EFER_SVME)), "d"(0) : "memory");
        report(refused(), "EFER.SVME is refused");
    }
}

/* A physical address above the guest's memory and below @bits, in a place where no device lives. */
static uint64_t nowhere(unsigned bits)
{
    for (;;) {
        const uint64_t address =
            ((uint64_t)random_next() << 32 | random_next()) & (BIT64(bits) - 1) & ~(uint64_t)0xfff;
        if (address >= BIT64(32) + BIT64(30)) {
            return address;
        }
    }
}

/* An outcome that a guest can go on from: nothing, or a page fault. */
static bool survived(struct outcome outcome)
{
    detail("vector %u error %p", (unsigned)outcome.vector, outcome.error);
    return !outcome.fault || outcome.vector == VECTOR_PAGE;
}

static const struct access accesses[] = { { ACCESS_READ, false, false }, { ACCESS_WRITE, false, false } };

static void test_leaves(const struct paging *paging)
{
    struct space space;
    tables_reset();
    space_make(&space, paging);
    space_enter(&space, 0, false);
    const uintptr_t va = paging->test_va;
    const unsigned bits = paging->entry_bytes == 4 ? 32 : cpu_physical_bits();
    unsigned wrong = 0;
    for (unsigned i = 0; i < 500; i++) {
        const uint64_t at =
            paging->entry_bytes == 4 ? 0xc0000000 + (random_next() & 0x1ffff000) : nowhere(bits);
        space_map(&space, va, 1, at | PTE_P | PTE_W);
        invlpg(va);
        wrong += !survived(probe(va, accesses[i & 1]));
    }
    report(wrong == 0, "%s: pages mapped to no memory can be touched", paging->name);
    wrong = 0;
    for (unsigned i = 0; i < 2000; i++) {
        const uint64_t entry = (uint64_t)random_next() << 32 | random_next();
        /* Its own memory and devices are out: what they hold would end the guest. */
        const uint64_t frame = paging->entry_bytes == 4 ? 0xc0000000 | (entry & 0x1ffff000)
                                                        : (entry & 0x000ffffffffff000) | BIT64(38);
        space_map(&space, va, 1, (entry & 0xfff0000000000fff) | frame);
        invlpg(va);
        wrong += !survived(probe(va, accesses[i & 1]));
    }
    report(wrong == 0, "%s: entries of any bits can be walked", paging->name);
    space_leave();
}

/* Tables in memory that is not there, in a device, in the image of the program. */
static void test_links(const struct paging *paging)
{
    const unsigned top = paging->long_mode ? paging->levels : 2;
    struct space space;
    tables_reset();
    space_make(&space, paging);
    space_enter(&space, 0, false);
    const uintptr_t va = paging->test_va;
    unsigned wrong = 0;
    for (unsigned level = 2; level <= top; level++) {
        const uintptr_t entry = space_entry(&space, va, level);
        const uint64_t kept = entry_load(&space, entry);
        for (unsigned i = 0; i < 100; i++) {
            const uint64_t at = paging->entry_bytes == 4 ? 0xc0000000 + (random_next() & 0x1ffff000)
                                                         : nowhere(cpu_physical_bits());
            entry_store(&space, entry, at | PTE_RWU);
            invlpg(va);
            wrong += !survived(probe(va, accesses[0]));
        }
        entry_store(&space, entry, kept);
    }
    invlpg(va);
    report(wrong == 0, "%s: tables in no memory end in page faults", paging->name);

    const uintptr_t entry = space_entry(&space, va, 2);
    entry_store(&space, entry, 0xfee00000 | PTE_RWU);
    invlpg(va);
    const bool apic = survived(probe(va, accesses[0]));
    entry_store(&space, entry, 0xfec00000 | PTE_RWU);
    invlpg(va);
    report(apic && survived(probe(va, accesses[0])), "%s: tables in a device end in page faults",
           paging->name);
    for (unsigned i = 0; i < PAGE_BYTES / 4; i++) {
        ((volatile uint32_t *)FRAME(0))[i] = random_next() | 0xc0000000;
    }
    entry_store(&space, entry, FRAME(0) | PTE_RWU);
    cr3_write(space.root);
    wrong = 0;
    for (unsigned i = 0; i < PAGE_BYTES / paging->entry_bytes; i++) {
        wrong += !survived(probe(va + i * (uintptr_t)PAGE_BYTES, accesses[0]));
    }
    report(wrong == 0, "%s: a table full of noise can be read through", paging->name);
    space_leave();
}

/* --- the hypervisor's interface --- */

#define CALL_ROUNDS    4000
#define OVERLAY_ROUNDS 400

/* Codes that there are, in TLFS if not here, and one that there is not. */
static const uint16_t codes[] = {
    CALL_FLUSH_SPACE,
    CALL_FLUSH_LIST,
    CALL_LONG_SPIN,
    CALL_FLUSH_SPACE_EX,
    CALL_FLUSH_LIST_EX,
    CALL_MAP_PAGES,
    CALL_UNMAP_PAGES,
    CALL_GET_REGISTERS,
    CALL_SET_REGISTERS,
    CALL_TRANSLATE,
    CALL_READ_GPA,
    CALL_WRITE_GPA,
    0x40,
    0x42,
    0x46,
    0x48,
    0x57,
    0x5b,
    0x5c,
    0x5d,
    CALL_SWITCH_SPACE,
    0x7fff,
    CALL_FLUSH_PHYSICAL_SPACE,
    CALL_FLUSH_PHYSICAL_LIST,
};

static uint64_t random_wide(void)
{
    const uint64_t high = random_next();
    return high << 32 | random_next();
}

/* Where a list might be: in memory that nobody misses, over the end of a page, in a device, in no memory, nowhere at all. */
static uint64_t random_place(void)
{
    const uint32_t choice = random_next();
    const uint64_t offset = random_next() & 0xff8;
    switch (choice & 7) {
    case 0: return random_wide();
    case 1: return 0xfee00000 + offset;
    case 2: return nowhere(cpu_physical_bits()) + offset;
    case 3: return FRAME(16 + (choice >> 8 & 63)) + (random_next() & 0xfff);
    default: return FRAME(16 + (choice >> 8 & 63)) + (choice & 0x100 ? offset : 0);
    }
}

/* One of @count numbers, or a word without meaning. */
static uint64_t pick(const uint64_t *likely, unsigned count)
{
    const uint32_t choice = random_next();
    return choice & 7 ? likely[(choice >> 8) % count] : random_wide();
}

/* Mostly words that mean something at their place, so that more than the first check is met. */
static void fill_input(volatile uint64_t *input)
{
    static const uint64_t partitions[] = { 1, 2, 3, PARTITION_SELF, 0 };
    static const uint64_t processors[] = { 0, 1, 2, VP_SELF, UINT64_C(8) << 32, UINT64_C(16) << 32 | 1 };
    static const uint64_t words[] = {
        0, 1, 2, 3, 4, 7, 16, 0xfffff, 0x40000, 0x40003, 0x20000, FRAMES, 4096
    };
    input[0] = pick(partitions, sizeof(partitions) / sizeof(partitions[0]));
    input[1] = pick(processors, sizeof(processors) / sizeof(processors[0]));
    for (unsigned i = 2; i < 12; i++) {
        input[i] = pick(words, sizeof(words) / sizeof(words[0]));
    }
}

static uint64_t random_value(void)
{
    const uint32_t choice = random_next();
    uint64_t value = codes[(choice >> 8) % (sizeof(codes) / sizeof(codes[0]))];
    value |= (choice & 0x700000) == 0 ? CALL_FAST : 0;
    value |= choice & 2 ? CALL_REPS(random_next() & (choice & 4 ? 0xfff : 3)) : 0;
    value |= (choice & 0x30) == 0 ? CALL_START(random_next() & 0xff) : 0;
    value |= (choice & 0xc0) == 0 ? CALL_HEADER_WORDS(random_next() & 3) : 0;
    value |= (choice & 0x1f000000) == 0 ? random_wide() & ~UINT64_C(0xffff) : 0;
    return value;
}

/* What CR3 cannot hold, or holds already: any other value would be this guest's own end. */
static uint64_t random_space(void)
{
    return random_next() & 1 ? cr3_read() : random_wide() | BIT64(62);
}

/* The statuses that these calls have; and how much was done is no more than there can be. */
static bool is_status(uint64_t result)
{
    static const uint8_t known[] = { STATUS_SUCCESS,           STATUS_INVALID_CODE,
                                     STATUS_INVALID_INPUT,     STATUS_INVALID_ALIGNMENT,
                                     STATUS_INVALID_PARAMETER, STATUS_ACCESS_DENIED,
                                     STATUS_INVALID_STATE,     STATUS_NO_MEMORY,
                                     STATUS_INVALID_PARTITION, STATUS_INVALID_VP };
    for (unsigned i = 0; i < sizeof(known); i++) {
        if ((result & ~CALL_REPS(0xfff)) == known[i]) {
            return true;
        }
    }
    return false;
}

static void test_calls(void)
{
    unsigned succeeded = 0, wrong = 0;
    calls_start();
    for (unsigned i = 0; i < CALL_ROUNDS; i++) {
        uint64_t value = random_value(), input = random_place();
        const uint64_t output = random_place();
        if (input >= FRAME(16) && input < FRAME(80)) {
            fill_input((volatile uint64_t *)(uintptr_t)(input & ~UINT64_C(7)));
        }
        if ((value & 0xffff) == CALL_SWITCH_SPACE) {
            value = CALL_SWITCH_SPACE | CALL_FAST;
            input = random_space();
        }
        const uint64_t result = hypercall(value, input, output);
        succeeded += (result & 0xffff) == STATUS_SUCCESS;
        if (!is_status(result)) {
            wrong++;
            detail("value %q, input %q, output %q: result %q", value, input, output, result);
        }
    }
    comment("%u of %u calls succeeded", succeeded, CALL_ROUNDS);
    report(wrong == 0, "hypercalls with any input are answered by a status");
    detail("%u", succeeded);
    report(succeeded > CALL_ROUNDS / 50, "and some of them succeed");
    unsigned known = 0;
    for (uint32_t code = 0; code < 0x10000; code += code < 0x200 ? 1 : 0x55) {
        known += code != CALL_SWITCH_SPACE &&
                 (hypercall(code, INPUT_PAGE, OUTPUT_PAGE) & 0xffff) != STATUS_INVALID_CODE;
    }
    detail("%u", known);
    report(known > 5 && known < 64, "of all call codes a few are known");
    calls_stop();
}

/* The hypervisor's pages, wherever a guest may want them: over each other, in no memory, over a device, over page tables. */
static void test_overlays(void)
{
    static const uint32_t registers[] = { MSR_HYPERCALL, 0x40000021, 0x40000073, MSR_SIMP, 0x40000082 };
    unsigned wrong = 0;
    for (unsigned i = 0; i < OVERLAY_ROUNDS; i++) {
        const uint32_t index = registers[random_next() % (sizeof(registers) / sizeof(registers[0]))];
        const uint64_t at = (random_place() & ~UINT64_C(0xfff)) | (random_next() & 1);
        TRY("wrmsr", ::"c"(index), "a"((uint32_t)at), "d"((uint32_t)(at >> 32)) : "memory");
        wrong += !answered();
        if (at < FRAMES_END && at >= FRAMES) {
            TRY("movb (%0), %%al; movb %%al, (%0)", ::"r"((uintptr_t)at & ~(uintptr_t)0xfff)
                : "eax", "memory");
        }
    }
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        TRY("wrmsr", ::"c"(registers[i]), "a"(0), "d"(0) : "memory");
    }
    report(wrong == 0, "overlay pages are put anywhere, or refused");
}

void guest_main(void)
{
    if (calls_offered()) {
        test_calls();
        test_overlays();
    }
    if (option("calls")) {
        return;
    }
    test_instructions();
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        test_leaves(*mode);
        test_links(*mode);
    }
    test_msr_range(0, 0x2000);
    test_msr_range(0x40000000, 0x40000200);
    test_msr_range(0xc0000000, 0xc0002000);
    test_msr_range(0xc0010000, 0xc0010200);
    test_ports();
}
