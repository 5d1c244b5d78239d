/*
 * A parent and its child: the child's variables found by their linear addresses, read and changed; its registers; another
 * address space by HvSetVpRegisters; its page table by HvWriteGpa, seen after a flush; and a processor that inhibits
 * flushes. TLFS "HvTranslateVirtualAddress", "HvReadGpa", "HvWriteGpa", "HvGetVpRegisters", "HvSetVpRegisters",
 * "Virtual TLB Flush Inhibition"; every status of these calls.
 *
 * Guest: inside only
 * Guest: run child of 64 bits: --parent --partition "kernel={guests}/child64.elf protocol=multiboot mmu={mmu} memory=64M cpus=2" -- child=64
 * Guest: run child of 32 bits: --parent --partition "kernel={guests}/child32.elf protocol=multiboot mmu={mmu} memory=64M cpus=2" -- child=32
 * Guest: run nested child with PAE under shadow: --parent --partition "kernel={guests}/child32.elf protocol=multiboot mmu=nested memory=64M cpus=2 append=pae policy=cr3.cache=ignore,cr0.cd=honor" -- child=pae cr0.cd=honor
 * Guest: run shadowed child with PAE under nested: --parent --partition "kernel={guests}/child32.elf protocol=multiboot mmu=shadow memory=64M cpus=2 append=pae policy=cr3.cache=honor,cr0.cd=honor,sharing=off" -- child=pae cr3.cache=honor cr0.cd=honor
 */
#include "tests/guests/common/calls.h"
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/family.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/smp.h"
#include "tests/guests/common/traps.h"

#define READ_WRITE (TRANSLATE_READ | TRANSLATE_WRITE)

/* Result codes of HvTranslateVirtualAddress. */
enum { FOUND, NOT_PRESENT, NO_PRIVILEGE, INVALID_FLAGS, GPA_UNMAPPED };

/* Result codes of HvReadGpa and HvWriteGpa. */
#define ACCESS_UNMAPPED 1
#define ACCESS_OVERLAY  4

/* --- Translate --- */

static uint32_t code_of(uint64_t control, uint64_t va)
{
    struct translation found;
    const enum status status = translate(child(0), control, va, &found);
    return status == STATUS_SUCCESS ? found.code : ~0U;
}

static void test_variable(void)
{
    report(family_gpa(family_va(PAGE_MAILBOX)) == mail(0, MAIL_GPA),
           "Translate finds where the child's page is");
    const uint64_t va = family_va(PAGE_VARIABLE);
    detail("%q", family_read(va, 4));
    report(family_read(va, 4) == VARIABLE_AT_FIRST, "a variable of the child is read by its linear address");
    family_write(va, 0x12345678, 4);
    detail("%q", command(0, COMMAND_READ, va, 0));
    report(command(0, COMMAND_READ, va, 0) == 0x12345678, "and changed, as the child sees");
    command(0, COMMAND_WRITE, va, VARIABLE_AT_FIRST);
    report(family_read(va, 4) == VARIABLE_AT_FIRST, "what the child writes, the parent reads");
}

static void test_codes(void)
{
    const bool no_execute = family.wide_entries && cpu_has_nx();
    const struct {
        const char *sentence;
        uint64_t control, va;
        uint32_t code;
    } cases[] = {
        { "a page that is not present", TRANSLATE_READ, family_va(PAGE_NONE), NOT_PRESENT },
        { "a page that is not present, to write", READ_WRITE, family_va(PAGE_NONE), NOT_PRESENT },
        { "a read-only page, to read", TRANSLATE_READ, family_va(PAGE_READ_ONLY), FOUND },
        { "a read-only page, to write", TRANSLATE_WRITE, family_va(PAGE_READ_ONLY), NO_PRIVILEGE },
        { "a page without execution, to execute", TRANSLATE_EXECUTE, family_va(PAGE_NO_EXECUTE),
          no_execute ? NO_PRIVILEGE : FOUND },
        { "a page without execution, to write", READ_WRITE, family_va(PAGE_NO_EXECUTE), FOUND },
        { "a page with a reserved bit", TRANSLATE_READ, family_va(PAGE_RESERVED),
          family.has_reserved ? INVALID_FLAGS : FOUND },
        { "a page in no memory", TRANSLATE_READ, family_va(PAGE_BEYOND), GPA_UNMAPPED },
        { "no address at all", TRANSLATE_READ, UINT64_C(0x0000900000000000), NOT_PRESENT },
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint32_t code = code_of(cases[i].control, cases[i].va);
        detail("code %u, not %u", code, cases[i].code);
        report(code == cases[i].code, "Translate of %s: code %u", cases[i].sentence, cases[i].code);
    }
}

/* Accessed and dirty bits of the child's leaf. */
static uint64_t marks(void)
{
    return family_read_gpa(mail(0, MAIL_MARKED), 4) & (PTE_A | PTE_D);
}

static void test_marks(void)
{
    const uint64_t va = family_va(PAGE_MARKED);
    code_of(READ_WRITE, va);
    report(marks() == 0, "Translate leaves accessed and dirty bits alone");
    code_of(TRANSLATE_READ | TRANSLATE_SET_BITS, va);
    report(marks() == PTE_A, "asked to, it sets the accessed bit");
    code_of(TRANSLATE_WRITE | TRANSLATE_SET_BITS, va);
    report(marks() == (PTE_A | PTE_D), "and for a write the dirty bit");
}

/* What PWT, PCD and PAT select in the PAT of reset: WB, WT, UC-, UC, twice; UC- counts as UC. */
static const uint8_t types_at_reset[8] = { 6, 4, 0, 0, 6, 4, 0, 0 };

static uint8_t type_of(unsigned page)
{
    struct translation found;
    translate(child(0), TRANSLATE_READ, family_va(page), &found);
    return found.cache_type;
}

static unsigned wrong_types(const uint8_t *wanted)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (type_of(PAGE_TYPES + i) != wanted[i]) {
            wrong++;
            detail("page %u is of type %u, not %u", i, type_of(PAGE_TYPES + i), wanted[i]);
        }
    }
    return wrong;
}

static void test_types(void)
{
    static const uint8_t ours[8] = { 6, 4, 0, 1, 5, 4, 0, 0 };
    report(wrong_types(types_at_reset) == 0, "Translate tells the cache type that a leaf's bits select");
    command(0, COMMAND_PAT, UINT64_C(0x0007040501070406), 0);
    command(1, COMMAND_PAT, UINT64_C(0x0007040501070406), 0);
    report(wrong_types(ours) == 0, "and follows the child's PAT");
    command(0, COMMAND_PAT, UINT64_C(0x0007040600070406), 0);
    command(1, COMMAND_PAT, UINT64_C(0x0007040600070406), 0);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 8; i++) {
        wrong += command(0, COMMAND_READ, family_va(PAGE_TYPES + i), 0) != TYPES_MARKER + i;
    }
    report(wrong == 0, "pages of every type are what they are to the child");
    report(command(0, COMMAND_READ, family.base + FAMILY_UNCACHED_TABLE, 0) == TYPES_MARKER + 8,
           "and one behind a table whose entry has PCD");
}

/* --- the child's own bits --- */

static void test_child_policies(void)
{
    const uint64_t cr0 = command(0, COMMAND_CR0, 0, 0), cr3 = command(0, COMMAND_CR3, 0, 0);
    const bool honors_cd = option("cr0.cd=honor");
    const enum status status = register_write(child(0), REGISTER_CR0, cr0 | CR0_CD);
    report(status == (honors_cd ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER),
           "HvSetVpRegisters of CR0.CD is an invalid parameter unless it is honoured");
    report((register_read(child(0), REGISTER_CR0) & CR0_CD) == (honors_cd ? CR0_CD : 0), "and then is set");
    if (honors_cd) {
        detail("type %u", type_of(PAGE_TYPES));
        report(type_of(PAGE_TYPES) == 0, "with CR0.CD Translate tells that nothing is cached");
        register_write(child(0), REGISTER_CR0, cr0);
        report(type_of(PAGE_TYPES) == 6, "without it, that it is");
    }
    const bool honors_cr3 = option("cr3.cache=honor");
    if (honors_cr3 || option("cr3.cache=ignore")) {
        const enum status refused = register_write(child(0), REGISTER_CR3, cr3 | PTE_PCD);
        report(refused == (honors_cr3 ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER),
               "HvSetVpRegisters of CR3.PCD is an invalid parameter unless it is honoured");
        register_write(child(0), REGISTER_CR3, cr3);
        detail("%q", command(0, COMMAND_CR3, PTE_PCD, 0));
        report(command(0, COMMAND_CR3, PTE_PCD, 0) == (cr3 | (honors_cr3 ? PTE_PCD : 0)),
               "and the child reads it back as the policy says");
    }
}

/* --- registers --- */

static void test_get(void)
{
    const uint64_t cr0 = register_read(child(0), REGISTER_CR0), cr3 = register_read(child(0), REGISTER_CR3);
    const uint64_t efer = register_read(child(0), REGISTER_EFER);
    const uint64_t rip = register_read(child(0), REGISTER_RIP);
    struct value code;
    register_get(child(0), REGISTER_CS, &code);
    detail("CR0 %q CR3 %q EFER %q RIP %q CS %q", cr0, cr3, efer, rip, code.high);
    report((cr0 & (CR0_PG | CR0_PE | CR0_WP)) == (CR0_PG | CR0_PE | CR0_WP),
           "CR0 tells that the child pages");
    report(cr3 == mail(0, MAIL_ROOT), "CR3 tells its space");
    report(((efer & EFER_LMA) != 0) == family.long_mode, "EFER tells its mode");
    report(rip >= 0x400000 && rip < 0x800000, "RIP is in its image");
    report((code.high >> 32 & 0xffff) == KERNEL_CODE && (code.high >> 48 & 0x9b) == 0x9b,
           "CS has the selector and the attributes that its descriptor gives it");
}

/* Several in one call. */
static void test_get_many(void)
{
    static const uint32_t names[] = { REGISTER_CR0, REGISTER_CR3, REGISTER_CR4, REGISTER_RFLAGS,
                                      REGISTER_PAT };
    const unsigned count = sizeof(names) / sizeof(names[0]);
    volatile uint64_t *input = call_input();
    input[0] = CHILD_PARTITION;
    input[1] = 1;
    memcpy((void *)(INPUT_PAGE + 16), names, sizeof(names));
    const uint64_t result = hypercall(CALL_GET_REGISTERS | CALL_REPS(count), INPUT_PAGE, OUTPUT_PAGE);
    const uint64_t cr0 = call_output()[0], cr3 = call_output()[2], pat = call_output()[8];
    report(status_of(result) == STATUS_SUCCESS && reps_of(result) == count,
           "five registers are got by one call");
    detail("%q %q %q", cr0, cr3, pat);
    report((cr0 & CR0_PG) && cr3 == mail(1, MAIL_ROOT) && pat == UINT64_C(0x0007040600070406),
           "each in its place");
}

static void test_set(void)
{
    command_begin(0, COMMAND_SPIN, 0x1111, 0);
    smp_linger(2000);
    const bool spins = !command_ended(0) && register_read(child(0), REGISTER_RAX) == 0x1111;
    report(spins, "a register of a child that spins is read");
    register_write(child(0), REGISTER_RAX, 0x2222);
    report(command_wait(0) && mail(0, MAIL_ANSWER) == 0x2222, "and changed, under its eyes");
}

/* A register that decides about the child's mode becomes @value: the child finds it so, and as it was when it is put back. */
static void test_set_mode(const char *name, uint32_t index, enum look look, uint64_t value)
{
    const uint64_t before = register_read(child(0), index);
    const bool set =
        register_write(child(0), index, value) == STATUS_SUCCESS && register_read(child(0), index) == value;
    const uint64_t seen = command(0, COMMAND_LOOK, look, 0);
    const bool back = register_write(child(0), index, before) == STATUS_SUCCESS;
    detail("%q becomes %q, seen as %q", before, value, seen);
    report(set && seen == value && value != before, "HvSetVpRegisters sets %s, as the child sees", name);
    report(back && command(0, COMMAND_LOOK, look, 0) == before && family_beats(0), "and puts %s back", name);
}

static void test_set_modes(void)
{
    const struct target vp = child(0);
    test_set_mode("CR4.DE", REGISTER_CR4, LOOK_CR4, register_read(vp, REGISTER_CR4) ^ CR4_DE);
    test_set_mode("the PAT", REGISTER_PAT, LOOK_PAT, UINT64_C(0x0007040501070406));
    if (cpu_has_nx()) {
        test_set_mode("EFER.SCE", REGISTER_EFER, LOOK_EFER, register_read(vp, REGISTER_EFER) ^ EFER_SCE);
    }
    struct value before, value;
    register_get(vp, REGISTER_FS, &before);
    value = (struct value){ family_va(PAGE_VARIABLE), before.high };
    const bool set = register_set(vp, REGISTER_FS, value) == STATUS_SUCCESS;
    detail("FS was %q %q", before.low, before.high);
    report(set && command(0, COMMAND_LOOK, LOOK_FS, 0) == VARIABLE_AT_FIRST,
           "HvSetVpRegisters moves a segment of the child");
    report(register_set(vp, REGISTER_FS, before) == STATUS_SUCCESS && family_beats(0), "and puts it back");
}

/* Two elements, of which the second cannot be: neither is. */
static void test_set_together(void)
{
    const uint64_t before = register_read(child(0), REGISTER_DR0);
    const struct {
        const char *sentence;
        uint32_t name;
        uint64_t value;
    } bad[] = {
        { "a register that there is not", 0x00ffffff, 0 },
        { "a reserved bit of CR4", REGISTER_CR4, register_read(child(0), REGISTER_CR4) | BIT(31) },
        { "CR0.PG without PE", REGISTER_CR0, CR0_PG },
        { "a PAT of no known type", REGISTER_PAT, 2 },
        { "a reserved bit of EFER", REGISTER_EFER, BIT64(63) },
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        volatile uint64_t *input = call_input();
        memset((void *)INPUT_PAGE, 0, 128);
        input[0] = CHILD_PARTITION;
        input[2] = REGISTER_DR0;
        input[4] = before ^ 0x1000;
        input[6] = bad[i].name;
        input[8] = bad[i].value;
        const uint64_t result = hypercall(CALL_SET_REGISTERS | CALL_REPS(2), INPUT_PAGE, 0);
        report(status_of(result) == STATUS_INVALID_PARAMETER && reps_of(result) == 0,
               "HvSetVpRegisters of %s is an invalid parameter", bad[i].sentence);
        report(register_read(child(0), REGISTER_DR0) == before, "and what came with it is not set (%s)",
               bad[i].sentence);
    }
    report(family_beats(0), "the child goes on as before");
}

static void test_suspend(void)
{
    report(family_beats(1), "a processor of the child runs");
    register_write(child(1), REGISTER_EXPLICIT_SUSPEND, 1);
    report(!family_beats(1) && register_read(child(1), REGISTER_EXPLICIT_SUSPEND) == 1,
           "suspended explicitly it stands still");
    report(family_beats(0), "while the other runs on");
    register_write(child(1), REGISTER_EXPLICIT_SUSPEND, 0);
    report(family_beats(1), "and runs again");
}

/* --- address spaces --- */

static void test_space(void)
{
    const uint64_t va = family_va(PAGE_VARIABLE), root = mail(0, MAIL_ROOT), other = mail(0, MAIL_OTHER_ROOT);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 10; i++) {
        wrong += command(0, COMMAND_READ, va, 0) != VARIABLE_AT_FIRST;
        wrong += register_write(child(0), REGISTER_CR3, other) != STATUS_SUCCESS;
        wrong += command(0, COMMAND_READ, va, 0) != OTHER_VARIABLE || family_read(va, 4) != OTHER_VARIABLE;
        wrong += command(1, COMMAND_READ, va, 0) != VARIABLE_AT_FIRST;
        wrong += register_write(child(0), REGISTER_CR3, root) != STATUS_SUCCESS;
    }
    detail("%u wrong", wrong);
    report(wrong == 0, "HvSetVpRegisters moves a processor of the child to another space, and back");
    report(command(0, COMMAND_READ, va, 0) == VARIABLE_AT_FIRST, "where all is as it was");
}

/* The frame that the leaf for PAGE_EDITED names. */
static void edit(bool new)
{
    const uint64_t frame = new ? FAMILY_EDITED_NEW : FAMILY_FRAME(PAGE_EDITED);
    const unsigned bytes = (unsigned)mail(0, MAIL_ENTRY_BYTES);
    family_write_gpa(mail(0, MAIL_ENTRY), frame | PTE_P | PTE_W, bytes);
}

/* TLFS "Virtual MMU": changes by another partition may be unseen until an explicit flush, and then are seen. */
static void test_page_table(void)
{
    const uint64_t va = family_va(PAGE_EDITED);
    unsigned never = 0, late = 0;
    for (unsigned i = 0; i < 20; i++) {
        const bool new = ~i & 1;
        const uint32_t before = new ? EDITED_OLD : EDITED_NEW, after = new ? EDITED_NEW : EDITED_OLD;
        late += command(0, COMMAND_READ, va, 0) != before || command(1, COMMAND_READ, va, 0) != before;
        edit(new);
        const uint64_t seen = command(0, COMMAND_READ, va, 0);
        never += seen != before && seen != after;
        const uint64_t result = command(0, COMMAND_FLUSH, FLUSH_ALL_VPS, 0);
        late += (result & 0xffff) != STATUS_SUCCESS;
        late += command(0, COMMAND_READ, va, 0) != after || command(1, COMMAND_READ, va, 0) != after;
        late += family_read(va, 4) != after;
    }
    detail("%u wrong before, %u after", never, late);
    report(never == 0, "a page table that the parent writes counts now or later");
    report(late == 0, "after a flush it counts on every processor of the child");
    family_write_gpa(mail(0, MAIL_ENTRY), 0, (unsigned)mail(0, MAIL_ENTRY_BYTES));
    command(0, COMMAND_FLUSH, FLUSH_ALL_VPS, 0);
    command(1, COMMAND_READ, va, 0);
    report(mail(1, MAIL_VECTOR) == VECTOR_PAGE, "a page that the parent takes away from the table faults");
    edit(false);
    report(command(1, COMMAND_READ, va, 0) == EDITED_OLD, "and one that it gives back does not");
}

/* --- inhibition --- */

/* Whether the flush that processor 0 of the child has begun does not end, and its RIP stands at the call. */
static bool waits(void)
{
    smp_linger(5000);
    const uint64_t rip = register_read(child(0), REGISTER_RIP);
    detail("ended %u, RIP %q", command_ended(0), rip);
    return !command_ended(0) && rip == CALL_PAGE;
}

static void test_inhibit(void)
{
    register_write(child(1), REGISTER_INTERCEPT_SUSPEND, FLUSH_INHIBIT);
    report(register_read(child(1), REGISTER_INTERCEPT_SUSPEND) == FLUSH_INHIBIT && family_beats(1),
           "a processor that inhibits flushes runs on");
    command_begin(0, COMMAND_FLUSH, FLUSH_ALL_VPS, 0);
    report(waits(), "a flush of all waits for it, with RIP at the call");
    register_write(child(1), REGISTER_INTERCEPT_SUSPEND, 0);
    report(command_wait(0) && (mail(0, MAIL_ANSWER) & 0xffff) == STATUS_SUCCESS,
           "and succeeds when it inhibits no more");
    register_write(child(1), REGISTER_INTERCEPT_SUSPEND, FLUSH_INHIBIT);
    report((command(0, COMMAND_FLUSH, 0, 1) & 0xffff) == STATUS_SUCCESS,
           "a flush of others than that processor does not wait");
    command_begin(0, COMMAND_FLUSH, 0, 2);
    const bool waited = waits();
    edit(true);
    register_write(child(1), REGISTER_INTERCEPT_SUSPEND, 0);
    report(waited && command_wait(0), "one of that processor alone does");
    report(command(1, COMMAND_READ, family_va(PAGE_EDITED), 0) == EDITED_NEW,
           "and what the parent changed meanwhile is seen");
    edit(false);
    command(0, COMMAND_FLUSH, FLUSH_ALL_VPS, 0);
    const uint32_t code = code_of(TRANSLATE_READ | TRANSLATE_INHIBIT, family_va(PAGE_VARIABLE));
    report(code == FOUND && register_read(child(0), REGISTER_INTERCEPT_SUSPEND) == FLUSH_INHIBIT,
           "Translate inhibits flushes if it is asked to");
    register_write(child(0), REGISTER_INTERCEPT_SUSPEND, 0);
}

/* --- flushes of guest-physical addresses --- */

/* The frame of ours that the child has its table in. */
#define TABLE FRAME(40)

/* The child's table of leaves moves, as it is, into a page of ours, which we write without a call. */
static bool table_lend(void)
{
    const uint64_t table = mail(0, MAIL_ENTRY) & ~UINT64_C(0xfff);
    for (unsigned at = 0; at < PAGE_BYTES; at += 8) {
        *(volatile uint64_t *)(TABLE + at) = family_read_gpa(table + at, 8);
    }
    return pages_map(CHILD_PARTITION, table / PAGE_BYTES, MAP_READ | MAP_WRITE | MAP_EXECUTE,
                     TABLE / PAGE_BYTES, 1) == STATUS_SUCCESS;
}

/* As edit(), but with nobody told. */
static void edit_unseen(bool new)
{
    const uint32_t frame = (uint32_t)(new ? FAMILY_EDITED_NEW : FAMILY_FRAME(PAGE_EDITED));
    *(volatile uint32_t *)(TABLE + (uintptr_t)(mail(0, MAIL_ENTRY) & 0xfff)) = frame | PTE_P | PTE_W;
}

/* What the call @value makes of changes that are unseen, on both processors of the child. */
static void test_flush_physical(const char *name, uint64_t value)
{
    const uint64_t va = family_va(PAGE_EDITED);
    unsigned old = 0, wrong = 0;
    family_write_gpa(INPUT_PAGE, 0, 8);
    family_write_gpa(INPUT_PAGE + 8, 0, 8);
    family_write_gpa(INPUT_PAGE + 16, FAMILY_FRAME(PAGE_EDITED), 8);
    family_write_gpa(INPUT_PAGE + 24, FAMILY_EDITED_NEW, 8);
    for (unsigned i = 0; i < 10; i++) {
        const bool new = ~i & 1;
        const uint32_t before = new ? EDITED_OLD : EDITED_NEW, after = new ? EDITED_NEW : EDITED_OLD;
        wrong += command(0, COMMAND_READ, va, 0) != before || command(1, COMMAND_READ, va, 0) != before;
        edit_unseen(new);
        const uint64_t seen = command(1, COMMAND_READ, va, 0);
        old += seen == before;
        wrong += seen != before && seen != after;
        wrong += (command(0, COMMAND_CALL, value, INPUT_PAGE) & 0xffff) != STATUS_SUCCESS;
        wrong += command(0, COMMAND_READ, va, 0) != after || command(1, COMMAND_READ, va, 0) != after;
    }
    comment("%s: %u of 10 changes were unseen before", name, old);
    detail("%u wrong", wrong);
    report(wrong == 0, "%s by the child shows what its parent wrote into a lent table", name);
}

/* --- statuses --- */

static void test_targets(void)
{
    static const struct {
        const char *name;
        uint64_t value;
        bool has_vp;
    } calls[] = {
        { "HvGetVpRegisters", CALL_GET_REGISTERS | CALL_REPS(1), true },
        { "HvSetVpRegisters", CALL_SET_REGISTERS | CALL_REPS(1), true },
        { "HvTranslateVirtualAddress", CALL_TRANSLATE, true },
        { "HvReadGpa", CALL_READ_GPA, true },
        { "HvWriteGpa", CALL_WRITE_GPA, true },
        { "HvMapGpaPages", CALL_MAP_PAGES | CALL_REPS(1), false },
        { "HvUnmapGpaPages", CALL_UNMAP_PAGES | CALL_REPS(1), false },
    };
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        volatile uint64_t *input = call_input();
        memset((void *)INPUT_PAGE, 0, 64);
        input[0] = 77;
        report(status_of(hypercall(calls[i].value, INPUT_PAGE, OUTPUT_PAGE)) == STATUS_INVALID_PARTITION,
               "%s in a partition that there is not is an invalid partition ID", calls[i].name);
        if (calls[i].has_vp) {
            input[0] = CHILD_PARTITION;
            input[1] = CHILD_VPS;
            report(status_of(hypercall(calls[i].value, INPUT_PAGE, OUTPUT_PAGE)) == STATUS_INVALID_VP,
                   "%s of a processor that there is not is an invalid VP index", calls[i].name);
        }
        if (calls[i].value != (CALL_GET_REGISTERS | CALL_REPS(1))) {
            input[0] = PARTITION_SELF;
            input[1] = 0;
            report(status_of(hypercall(calls[i].value, INPUT_PAGE, OUTPUT_PAGE)) == STATUS_ACCESS_DENIED,
                   "%s in the parent itself is denied", calls[i].name);
        }
    }
}

static void test_places(void)
{
    call_input()[0] = CHILD_PARTITION;
    call_input()[1] = 0;
    const struct {
        const char *sentence;
        uint64_t value, input, output;
    } calls[] = {
        { "output at an odd multiple of 4", CALL_READ_GPA, INPUT_PAGE, OUTPUT_PAGE + 4 },
        { "output over the end of a page", CALL_TRANSLATE, INPUT_PAGE, OUTPUT_PAGE + PAGE_BYTES - 8 },
        { "output in no memory", CALL_READ_GPA, INPUT_PAGE, UINT64_C(0x3f00000000) },
        { "output over the input", CALL_TRANSLATE, INPUT_PAGE, INPUT_PAGE + 8 },
    };
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        report(status_of(hypercall(calls[i].value, calls[i].input, calls[i].output)) ==
                   STATUS_INVALID_ALIGNMENT,
               "%s is invalid alignment", calls[i].sentence);
    }
    report(status_of(hypercall(CALL_READ_GPA | CALL_FAST, 0, 0)) == STATUS_INVALID_INPUT,
           "a call with output cannot be fast");
}

static void test_parameters(void)
{
    struct translation found;
    uint8_t bytes[16] = { 0 };
    uint32_t code = 0;
    const uint64_t gpa = family_gpa(family_va(PAGE_VARIABLE));
    report(translate(child(0), 0, family.base, &found) == STATUS_INVALID_PARAMETER,
           "Translate without an access to validate is an invalid parameter");
    report(translate(child(0), TRANSLATE_READ | BIT64(20), family.base, &found) == STATUS_INVALID_PARAMETER,
           "with an unknown flag, too");
    report(gpa_read(child(0), gpa, bytes, 0, &code) == STATUS_INVALID_PARAMETER, "ReadGpa of nothing, too");
    report(gpa_read(child(0), gpa, bytes, 17, &code) == STATUS_INVALID_PARAMETER, "and of 17 bytes");
    report(gpa_read(child(0), gpa + PAGE_BYTES - 8, bytes, 16, &code) == STATUS_INVALID_PARAMETER,
           "and over the end of a page");
    report(gpa_write(child(0), gpa, bytes, 17, &code) == STATUS_INVALID_PARAMETER,
           "WriteGpa of 17 bytes, too");
    report(gpa_write(child(0), gpa + PAGE_BYTES - 1, bytes, 2, &code) == STATUS_INVALID_PARAMETER,
           "and over the end of a page");
    report(gpa_read(child(0), FAMILY_BEYOND, bytes, 8, &code) == STATUS_SUCCESS && code == ACCESS_UNMAPPED,
           "ReadGpa in no memory succeeds with a code that says so");
    report(gpa_write(child(0), FAMILY_BEYOND, bytes, 8, &code) == STATUS_SUCCESS && code == ACCESS_UNMAPPED,
           "and so does WriteGpa");
    report(gpa_read(child(0), gpa, bytes, 16, &code) == STATUS_SUCCESS && code == 0 && bytes[0] == 0xfe,
           "sixteen bytes are read at once");
}

/* A child may not do to its parent, or to itself, what a parent may. */
static void test_child_calls(void)
{
    static const struct {
        const char *name;
        uint64_t value;
    } calls[] = { { "HvSetVpRegisters", CALL_SET_REGISTERS | CALL_REPS(1) },
                  { "HvTranslateVirtualAddress", CALL_TRANSLATE },
                  { "HvWriteGpa", CALL_WRITE_GPA },
                  { "HvMapGpaPages", CALL_MAP_PAGES | CALL_REPS(1) } };
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        report((command(0, COMMAND_CALL, calls[i].value, INPUT_PAGE) & 0xffff) == STATUS_ACCESS_DENIED,
               "%s is denied to the child", calls[i].name);
    }
}

static void test_overlay(void)
{
    struct translation found;
    uint8_t bytes[4] = { 0 };
    uint32_t code = 0;
    translate(child(0), TRANSLATE_READ, CALL_PAGE, &found);
    report(found.code == FOUND && found.overlay,
           "Translate tells of the child's hypercall page that it is an overlay");
    report(gpa_write(child(0), CALL_PAGE, bytes, 4, &code) == STATUS_SUCCESS && code == ACCESS_OVERLAY,
           "WriteGpa does not write to it");
}

/* With the child's end all that is about it ends, but its ID stays known. */
static void test_end(void)
{
    report(family_leave() == STATUS_INVALID_STATE,
           "a call about a child that has ended is an invalid partition state");
}

void guest_main(void)
{
    if (!calls_offered()) {
        report_skip_all("no hypervisor");
    }
    calls_start();
    if (!report(family_find(), "the parent finds its child's mailboxes")) {
        return;
    }
    test_variable();
    test_codes();
    test_marks();
    test_types();
    test_child_policies();
    test_get();
    test_get_many();
    test_set();
    test_set_modes();
    test_set_together();
    test_suspend();
    test_space();
    test_page_table();
    test_inhibit();
    report(table_lend(), "a page table of the child moves into a page of its parent's");
    test_flush_physical("HvFlushGuestPhysicalAddressSpace", CALL_FLUSH_PHYSICAL_SPACE);
    test_flush_physical("HvFlushGuestPhysicalAddressList", CALL_FLUSH_PHYSICAL_LIST | CALL_REPS(2));
    test_targets();
    test_places();
    test_parameters();
    test_child_calls();
    test_overlay();
    test_end();
    calls_stop();
}
