/*
 * A parent that completes its child's instructions: pages of the child taken away, lent with some rights, and given all;
 * messages of memory intercepts and of unsupported features through the SynIC, with its message page, its interrupt and EOM.
 * TLFS "HvMapGpaPages", "HvUnmapGpaPages", "Memory Access Messages", "Unsupported Feature", "SynIC Message Page".
 *
 * Guest: inside only
 * Guest: run child of 64 bits: --parent --partition "kernel={guests}/child64.elf protocol=multiboot mmu={mmu} memory=64M cpus=2 policy=cr0.cd=message" -- mmu={mmu} child=64 cr0.cd=message
 * Guest: run child of 32 bits: --parent --partition "kernel={guests}/child32.elf protocol=multiboot mmu={mmu} memory=64M cpus=2 policy=cr0.cd=message" -- mmu={mmu} child=32 cr0.cd=message
 * Guest: run tables that are told of under shadow: --parent --partition "kernel={guests}/child64.elf protocol=multiboot mmu=shadow memory=64M cpus=2 policy=cr0.cd=message,table.cache=message" -- mmu=shadow child=64 cr0.cd=message table.cache=message
 */
#include "tests/guests/common/calls.h"
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/family.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/smp.h"
#include "tests/guests/common/traps.h"

#define VECTOR_MESSAGE    0xa1

/* Types of messages, and what they hold, by byte offset in their slot. */
#define TYPE_UNMAPPED     0x80000000
#define TYPE_INTERCEPT    0x80000001
#define TYPE_UNSUPPORTED  0x80000022

#define SLOT_TYPE         0
#define SLOT_FLAGS        5
#define SLOT_SENDER       8
#define SLOT_VP           16
#define SLOT_LENGTH       20
#define SLOT_ACCESS       21
#define SLOT_RIP          40
#define SLOT_FETCHED      60
#define SLOT_GVA_VALID    61
#define SLOT_GVA          64
#define SLOT_GPA          72
#define SLOT_INSTRUCTION  80
#define SLOT_FEATURE      20
#define SLOT_PARAMETER    24

#define FLAG_PENDING      1
#define FEATURE_INTERCEPT 1

#define ACCESS_IS_READ    0
#define ACCESS_IS_WRITE   1
#define ACCESS_IS_EXECUTE 2

/* Bytes that no message has time to be late in. */
#define MESSAGE_ROUNDS    200000
#define QUIET_ROUNDS      3000

/* What the parent lends: pages of its own. */
#define LENT(i)           FRAME(40 + (i))
#define LENT_MARKER       UINT32_C(0x1e471e47)
#define MANY              40

/* More than the hypervisor remembers. */
#define SCATTERED         3000

#define MOV_TO_CR0_BYTES  3

/* --- messages --- */

static uint64_t slot(unsigned offset, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)(MESSAGE_PAGE + offset), bytes);
    return value;
}

/* The type of the message that comes; 0 if none does. */
static uint32_t message_await(void)
{
    interrupts_on();
    for (unsigned round = 0; round < MESSAGE_ROUNDS && *(volatile uint32_t *)MESSAGE_PAGE == 0; round++) {
        cpu_pause();
    }
    interrupts_off();
    return *(volatile uint32_t *)MESSAGE_PAGE;
}

static bool message_absent(void)
{
    smp_linger(QUIET_ROUNDS);
    return *(volatile uint32_t *)MESSAGE_PAGE == 0;
}

/* TLFS "SynIC Message Page": the type becomes 0; then EOM if another message waits. */
static void message_done(void)
{
    *(volatile uint32_t *)MESSAGE_PAGE = 0;
    __asm__ volatile("mfence" ::: "memory");
    if (*(volatile uint8_t *)(MESSAGE_PAGE + SLOT_FLAGS) & FLAG_PENDING) {
        msr_write(MSR_EOM, 0);
    }
}

/* The processor that a message is about goes on. */
static void resume(unsigned vp)
{
    register_write(child(vp), REGISTER_INTERCEPT_SUSPEND, 0);
}

static void step_over(unsigned vp, unsigned bytes)
{
    register_write(child(vp), REGISTER_RIP, register_read(child(vp), REGISTER_RIP) + bytes);
}

static void messages_start(void)
{
    irq_start(false);
    irq_count(VECTOR_MESSAGE);
    msr_write(MSR_SIMP, MESSAGE_PAGE | 1);
    msr_write(MSR_SINT0, VECTOR_MESSAGE);
    msr_write(MSR_SCONTROL, 1);
    report(msr_read(MSR_SIMP) == (MESSAGE_PAGE | 1) && msr_read(MSR_SINT0) == VECTOR_MESSAGE,
           "a parent has a synthetic interrupt controller");
    report(slot(0, 8) == 0, "whose message page is empty at first");
}

/* --- what is in a memory intercept's message --- */

static void report_message(const char *what, uint32_t type, unsigned access, uint64_t va)
{
    const uint32_t seen = message_await();
    detail("type %x, from %q, processor %u", seen, slot(SLOT_SENDER, 8), (unsigned)slot(SLOT_VP, 4));
    report(seen == type && slot(SLOT_SENDER, 8) == CHILD_PARTITION && slot(SLOT_VP, 4) == 0,
           "%s: the parent is told which processor of which partition", what);
    detail("access %u, GVA %q, GPA %q", (unsigned)slot(SLOT_ACCESS, 1), slot(SLOT_GVA, 8), slot(SLOT_GPA, 8));
    report(slot(SLOT_ACCESS, 1) == access &&
               (slot(SLOT_GPA, 8) & ~UINT64_C(0xfff)) == FAMILY_FRAME(PAGE_LENT),
           "%s: what was tried, and where", what);
    const bool known = slot(SLOT_GVA_VALID, 1) & 1;
    report(known ? slot(SLOT_GVA, 8) == va : !option("mmu=shadow"),
           "%s: by which linear address, where the hypervisor walks", what);
    report(slot(SLOT_RIP, 8) == register_read(child(0), REGISTER_RIP), "%s: with RIP at the instruction",
           what);
    report(register_read(child(0), REGISTER_INTERCEPT_SUSPEND) == (SUSPENDED | FLUSH_INHIBIT),
           "%s: while the processor is suspended, and inhibits flushes", what);
}

/* --- pages --- */

static enum status take_away(void)
{
    return pages_unmap(CHILD_PARTITION, FAMILY_FRAME(PAGE_LENT) / PAGE_BYTES, 1);
}

static enum status lend(uint32_t rights, unsigned which)
{
    return pages_map(CHILD_PARTITION, FAMILY_FRAME(PAGE_LENT) / PAGE_BYTES, rights, LENT(which) / PAGE_BYTES,
                     1);
}

/* The instruction is done by the parent: what it reads comes from there, and it goes on behind. */
static void test_unmapped_read(uint64_t va)
{
    report(take_away() == STATUS_SUCCESS, "a page of the child is taken away");
    struct translation found;
    translate(child(0), TRANSLATE_READ, va, &found);
    report(found.code == 4, "Translate then says that it is unmapped");
    command_begin(0, COMMAND_READ, va, 0);
    report_message("a read where nothing is", TYPE_UNMAPPED, ACCESS_IS_READ, va);
    detail("%u of %u bytes, %q", (unsigned)slot(SLOT_LENGTH, 1), (unsigned)slot(SLOT_FETCHED, 1),
           slot(SLOT_INSTRUCTION, 8));
    report(slot(SLOT_FETCHED, 1) >= 2 && slot(SLOT_INSTRUCTION, 2) == READ_BYTES,
           "with the instruction's bytes");
    report(family_beats(1), "while the child's other processor runs on");
    register_write(child(0), REGISTER_RAX, 0x600df00d);
    step_over(0, 2);
    message_done();
    resume(0);
    report(command_wait(0) && mail(0, MAIL_ANSWER) == 0x600df00d, "the parent completes the instruction");
}

static void test_unmapped_write(uint64_t va)
{
    command_begin(0, COMMAND_WRITE, va, 0x7e577e57);
    report_message("a write where nothing is", TYPE_UNMAPPED, ACCESS_IS_WRITE, va);
    const uint64_t value = register_read(child(0), REGISTER_RAX) & 0xffffffff;
    report(value == 0x7e577e57, "and what was to be written is in the child's register");
    step_over(0, 2);
    message_done();
    resume(0);
    report(command_wait(0) && mail(0, MAIL_VECTOR) == TRAP_NONE, "the child goes on behind it");
}

/* The other side of a copy, which @name points at: where it is in the child's memory. The register goes on. */
static uint64_t copy_operand(uint32_t name, uint64_t control)
{
    struct translation found;
    const uint64_t va = register_read(child(0), name);
    if (translate(child(0), control, va, &found) != STATUS_SUCCESS || found.code != 0) {
        return 0;
    }
    register_write(child(0), REGISTER_RSI, register_read(child(0), REGISTER_RSI) + 4);
    register_write(child(0), REGISTER_RDI, register_read(child(0), REGISTER_RDI) + 4);
    return found.page * PAGE_BYTES + va % PAGE_BYTES;
}

/* An instruction with an operand in the child's memory and another in none, in either direction. */
static void test_copy(uint64_t va)
{
    const uint64_t variable = family_va(PAGE_VARIABLE);
    command_begin(0, COMMAND_COPY, va, variable + 8);
    report_message("a copy from where nothing is", TYPE_UNMAPPED, ACCESS_IS_READ, va);
    family_write_gpa(copy_operand(REGISTER_RDI, TRANSLATE_WRITE | TRANSLATE_SET_BITS), 0x5eed5eed, 4);
    step_over(0, COPY_BYTES);
    message_done();
    resume(0);
    report(command_wait(0) && mail(0, MAIL_ANSWER) == 4 &&
               command(0, COMMAND_READ, variable + 8, 0) == 0x5eed5eed,
           "the parent completes it by Translate and WriteGpa");
    command_begin(0, COMMAND_COPY, variable + 8, va);
    report_message("a copy to where nothing is", TYPE_UNMAPPED, ACCESS_IS_WRITE, va);
    const uint64_t value = family_read_gpa(copy_operand(REGISTER_RSI, TRANSLATE_READ), 4);
    step_over(0, COPY_BYTES);
    message_done();
    resume(0);
    report(command_wait(0) && mail(0, MAIL_ANSWER) == 4 && value == 0x5eed5eed,
           "and by Translate and ReadGpa");
}

/* Resumed where it stands, the processor tries again. */
static void test_restart(uint64_t va)
{
    command_begin(0, COMMAND_READ, va, 0);
    bool again = message_await() == TYPE_UNMAPPED;
    message_done();
    resume(0);
    again = message_await() == TYPE_UNMAPPED && again;
    report(again, "resumed where it stands, the processor tries again, and is told of again");
    *(volatile uint32_t *)LENT(0) = LENT_MARKER;
    const enum status status = lend(MAP_READ, 0);
    message_done();
    resume(0);
    report(status == STATUS_SUCCESS && command_wait(0) && mail(0, MAIL_ANSWER) == LENT_MARKER,
           "once the parent lends a page of its own, the access succeeds there");
}

static void test_lent(uint64_t va)
{
    *(volatile uint32_t *)LENT(0) = LENT_MARKER + 1;
    report(command(0, COMMAND_READ, va, 0) == LENT_MARKER + 1 &&
               command(1, COMMAND_READ, va, 0) == LENT_MARKER + 1,
           "what the parent writes into a lent page, every processor of the child reads");
    struct translation found;
    translate(child(0), TRANSLATE_WRITE, va, &found);
    report(found.code == 6, "Translate says that it cannot be written");
    command_begin(0, COMMAND_WRITE, va, 0x0ddba11);
    report_message("a write without the right", TYPE_INTERCEPT, ACCESS_IS_WRITE, va);
    const bool unchanged = *(volatile uint32_t *)LENT(0) == LENT_MARKER + 1;
    const enum status status = lend(MAP_READ | MAP_WRITE | MAP_EXECUTE, 0);
    message_done();
    resume(0);
    report(unchanged && status == STATUS_SUCCESS && command_wait(0) &&
               *(volatile uint32_t *)LENT(0) == 0x0ddba11,
           "with the right given, the write comes about, in the parent's page");
    *(volatile uint32_t *)LENT(1) = LENT_MARKER + 2;
    report(lend(MAP_READ | MAP_WRITE, 1) == STATUS_SUCCESS &&
               command(0, COMMAND_READ, va, 0) == LENT_MARKER + 2 &&
               command(1, COMMAND_READ, va, 0) == LENT_MARKER + 2,
           "another page in its place is seen at once, by all");
    report(lend(0, 1) == STATUS_SUCCESS, "a page is lent with no right");
    translate(child(0), TRANSLATE_READ, va, &found);
    report(found.code == 5, "Translate says that it cannot be read");
    command_begin(0, COMMAND_READ, va, 0);
    report_message("a read without the right", TYPE_INTERCEPT, ACCESS_IS_READ, va);
    lend(MAP_READ, 1);
    message_done();
    resume(0);
    report(command_wait(0) && mail(0, MAIL_ANSWER) == LENT_MARKER + 2, "with the right given, it is read");
}

/* A page that may not be executed: the child's code there. */
static void test_execute(uint64_t va)
{
    *(volatile uint16_t *)LENT(0) = PROBE_CODE;
    lend(MAP_READ | MAP_WRITE, 0);
    command_begin(0, COMMAND_FETCH, va, 0);
    report_message("execution without the right", TYPE_INTERCEPT, ACCESS_IS_EXECUTE, va);
    lend(MAP_READ | MAP_WRITE | MAP_EXECUTE, 0);
    message_done();
    resume(0);
    report(command_wait(0) && mail(0, MAIL_VECTOR) == VECTOR_DONE, "with the right given, it is executed");
}

/* Two processors of the child at once: one message at a time, the other waits for EOM. */
static void test_two(uint64_t va)
{
    take_away();
    command_begin(0, COMMAND_READ, va, 0);
    const bool first = message_await() == TYPE_UNMAPPED && slot(SLOT_VP, 4) == 0;
    command_begin(1, COMMAND_READ, va, 0);
    smp_linger(QUIET_ROUNDS);
    report(first && slot(SLOT_VP, 4) == 0, "while a message stands in its slot, no other comes");
    report(*(volatile uint8_t *)(MESSAGE_PAGE + SLOT_FLAGS) & FLAG_PENDING,
           "but the slot says that one waits");
    message_done();
    report(message_await() == TYPE_UNMAPPED && slot(SLOT_VP, 4) == 1, "it comes after EOM");
    *(volatile uint32_t *)LENT(0) = LENT_MARKER;
    lend(MAP_READ | MAP_WRITE | MAP_EXECUTE, 0);
    message_done();
    resume(0);
    resume(1);
    report(command_wait(0) && command_wait(1) && mail(0, MAIL_ANSWER) == LENT_MARKER &&
               mail(1, MAIL_ANSWER) == LENT_MARKER,
           "and both go on");
}

static void test_map_parameters(void)
{
    const uint64_t page = FAMILY_FRAME(PAGE_LENT) / PAGE_BYTES, ours = LENT(0) / PAGE_BYTES;
    report(pages_map(CHILD_PARTITION, page, 8, ours, 1) == STATUS_INVALID_PARAMETER,
           "HvMapGpaPages with an unknown right is an invalid parameter");
    report(pages_map(CHILD_PARTITION, page, MAP_WRITE, ours, 1) == STATUS_INVALID_PARAMETER,
           "and with writing but not reading");
    report(pages_map(CHILD_PARTITION, BIT64(40), MAP_READ, ours, 1) == STATUS_INVALID_PARAMETER,
           "and at an address that no processor has");
    report(pages_map(CHILD_PARTITION, page, MAP_READ, UINT64_C(0x3f00000), 1) == STATUS_INVALID_PARAMETER,
           "and with a page that the parent does not have");
}

/* More pages by one call than the hypervisor does at a go. */
static void test_many(void)
{
    const uintptr_t unused = FRAME(200);
    unsigned wrong = 0;
    for (unsigned i = 0; i < MANY; i++) {
        *(volatile uint32_t *)LENT(i) = LENT_MARKER + i;
    }
    report(pages_map(CHILD_PARTITION, unused / PAGE_BYTES, MAP_READ | MAP_WRITE, LENT(0) / PAGE_BYTES,
                     MANY) == STATUS_SUCCESS,
           "many pages are lent by one call");
    for (unsigned i = 0; i < MANY; i++) {
        wrong += command(i & 1, COMMAND_READ, unused + i * PAGE_BYTES, 0) != LENT_MARKER + i;
    }
    detail("%u wrong", wrong);
    report(wrong == 0, "and the child finds each in its place");
    report(pages_unmap(CHILD_PARTITION, unused / PAGE_BYTES, MANY) == STATUS_SUCCESS,
           "they are taken away by one call");
    wrong = 0;
    for (unsigned i = 0; i < MANY; i++) {
        struct translation found;
        translate(child(0), TRANSLATE_READ, unused + i * PAGE_BYTES, &found);
        wrong += found.code != 4;
    }
    detail("%u wrong", wrong);
    report(wrong == 0, "and each is gone");
}

/* Holes that touch no others, until the hypervisor can remember no more of them. */
static void test_scattered(void)
{
    const uintptr_t first = FRAME(300);
    enum status status = STATUS_SUCCESS;
    unsigned holes = 0;
    while (status == STATUS_SUCCESS && holes < SCATTERED) {
        status = pages_unmap(CHILD_PARTITION, (first + (uintptr_t)holes * 2 * PAGE_BYTES) / PAGE_BYTES, 1);
        holes += status == STATUS_SUCCESS;
    }
    detail("status %u after %u", (unsigned)status, holes);
    report(status == STATUS_NO_MEMORY && holes > 100,
           "HvUnmapGpaPages of too many pages far from each other is insufficient memory");
    const uintptr_t refused = first + (uintptr_t)holes * 2 * PAGE_BYTES;
    report(command(0, COMMAND_WRITE, refused, 0x0ddba11) == 0x0ddba11 &&
               command(1, COMMAND_READ, refused, 0) == 0x0ddba11,
           "and leaves the page that was refused to the child");
    report(pages_map(CHILD_PARTITION, refused / PAGE_BYTES, MAP_READ, LENT(0) / PAGE_BYTES, 1) ==
               STATUS_NO_MEMORY,
           "HvMapGpaPages there, too");
}

/* --- features --- */

static void test_cache_disable(void)
{
    if (!option("cr0.cd=message")) {
        return;
    }
    command_begin(0, COMMAND_CR0, CR0_CD, 0);
    const uint32_t type = message_await();
    detail("type %x, feature %q, parameter %q", type, slot(SLOT_FEATURE, 4), slot(SLOT_PARAMETER, 8));
    report(type == TYPE_UNSUPPORTED && slot(SLOT_SENDER, 8) == CHILD_PARTITION && slot(SLOT_VP, 4) == 0 &&
               slot(SLOT_FEATURE, 4) == FEATURE_INTERCEPT,
           "a child that sets CR0.CD: the parent is told of an unsupported feature");
    report((register_read(child(0), REGISTER_CR0) & CR0_CD) == 0 &&
               register_read(child(0), REGISTER_INTERCEPT_SUSPEND) == SUSPENDED,
           "CR0 is as it was, and the processor suspended");
    step_over(0, MOV_TO_CR0_BYTES);
    message_done();
    resume(0);
    report(command_wait(0) && (mail(0, MAIL_ANSWER) & CR0_CD) == 0,
           "the parent lets it go on behind the instruction");
    report(register_write(child(0), REGISTER_CR0, register_read(child(0), REGISTER_CR0) | CR0_CD) ==
               STATUS_INVALID_PARAMETER,
           "HvSetVpRegisters of CR0.CD is an invalid parameter");
}

static void test_table_cache(void)
{
    if (!option("table.cache=message")) {
        return;
    }
    const uint64_t va = family.base + FAMILY_UNCACHED_TABLE;
    command_begin(0, COMMAND_READ, va, 0);
    const uint32_t type = message_await();
    detail("type %x, feature %q, parameter %q", type, slot(SLOT_FEATURE, 4), slot(SLOT_PARAMETER, 8));
    report(type == TYPE_UNSUPPORTED && slot(SLOT_FEATURE, 4) == FEATURE_INTERCEPT &&
               (slot(SLOT_PARAMETER, 8) & ~UINT64_C(0xfff)) == va,
           "an access by a table entry with PCD: the parent is told of an unsupported feature");
    register_write(child(0), REGISTER_RAX, TYPES_MARKER + 8);
    step_over(0, 2);
    message_done();
    resume(0);
    report(command_wait(0) && mail(0, MAIL_ANSWER) == TYPES_MARKER + 8, "and completes it");
    report(command(0, COMMAND_READ, family_va(PAGE_TYPES + 2), 0) == TYPES_MARKER + 2,
           "an access by a leaf with PCD is not told of");
}

void guest_main(void)
{
    if (!calls_offered()) {
        report_skip_all("no hypervisor");
    }
    calls_start();
    messages_start();
    if (!report(family_find(), "the parent finds its child's mailboxes")) {
        return;
    }
    const uint64_t va = family_va(PAGE_LENT);
    test_unmapped_read(va);
    test_unmapped_write(va);
    test_copy(va);
    test_restart(va);
    test_lent(va);
    test_execute(va);
    test_two(va);
    test_map_parameters();
    test_many();
    report(irq_counts[VECTOR_MESSAGE] != 0, "messages came with interrupts");
    test_cache_disable();
    test_table_cache();
    test_scattered();
    report(message_absent(), "no message is left");
    family_leave();
    irq_stop();
    calls_stop();
}
