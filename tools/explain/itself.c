/*
 * What an instruction does beside its accesses, and whether this project's hypervisor has the processor exit for it: the
 * controls that hv/x86/svm and hv/x86/vmx set for each technique.
 */
#include "tools/explain/story.h"

#define RFLAGS_IOPL_SHIFT 12
#define RFLAGS_VM         BIT64(17)
#define CR4_PVI           BIT64(1)
#define CR0_UNSEEN        (VMMU_X86_CR0_TS | VMMU_X86_CR0_MP) /* that guests write without an exit */
#define CR0_OURS          (VMMU_X86_CR0_PG | VMMU_X86_CR0_WP) /* that are set while tables of ours are walked */
#define CR4_RULES         (VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS)

#define CR4_VMXE          BIT64(13)
#define EFER_SVME         BIT64(12)

/* Whose processors have an instruction. */
enum vendor { EITHER, INTEL, AMD };

struct row {
    ZydisMnemonic mnemonic;
    enum vendor vendor;
    bool virtualizes; /* invalid where the processor's virtualization is off */
    const char *what;
    struct story_exit shadow;
    struct story_exit nested;
};

#define EXITS(words)                                                                                         \
    {                                                                                                        \
        STORY_EXITS, words                                                                                   \
    }
#define STAYS(words)                                                                                         \
    {                                                                                                        \
        STORY_STAYS, words                                                                                   \
    }
#define EXITS_IN_BOTH(words) EXITS(words), EXITS(words)
#define STAYS_IN_BOTH(words) STAYS(words), STAYS(words)

#define UNOFFERED(name, vendor, virtualizes)                                                                 \
    {                                                                                                        \
        ZYDIS_MNEMONIC_##name, vendor, virtualizes, "it is for those to whom the processor belongs",         \
            EXITS_IN_BOTH("guests are not offered it, and get #UD")                                          \
    }

#define PORT(name)                                                                                           \
    {                                                                                                        \
        ZYDIS_MNEMONIC_##name, EITHER, false, "it accesses an I/O port",                                     \
            EXITS_IN_BOTH("every port is the hypervisor's, which has the devices")                           \
    }

static const char held_words[] =
    "the processor holds another value, for the hypervisor's tables, which the guest is not to see";

static const struct row rows[] = {
    { ZYDIS_MNEMONIC_INVLPG,
      EITHER,
      false,
      "it drops what is cached of one page",
      { STORY_EXITS_AT_TIMES, "only while entries that the guest has changed since may stand in the "
                              "hypervisor's tables" },
      STAYS("what is cached is tagged as the guest's") },
    { ZYDIS_MNEMONIC_CPUID, EITHER, false, "it tells what the processor is",
      EXITS_IN_BOTH("the guest is told what the hypervisor offers") },
    { ZYDIS_MNEMONIC_HLT, EITHER, false, "it waits for an interrupt",
      EXITS_IN_BOTH("the virtual processor waits, and others may run") },
    { ZYDIS_MNEMONIC_RDPMC, EITHER, false, "it reads a performance counter",
      EXITS_IN_BOTH("guests have no such counters, and get #GP") },
    { ZYDIS_MNEMONIC_INVD, EITHER, false, "it empties caches without writing back",
      EXITS_IN_BOTH("that would lose what others wrote: the hypervisor writes back") },
    { ZYDIS_MNEMONIC_XSETBV, EITHER, false, "it writes XCR0",
      EXITS_IN_BOTH("the hypervisor checks the value against what it offers") },
    { ZYDIS_MNEMONIC_INVPCID, INTEL, false, "it drops what is cached by PCID",
      STAYS("it is not offered with tables of the hypervisor's, and is #UD"),
      STAYS("what is cached is tagged as the guest's") },
    { ZYDIS_MNEMONIC_INVPCID, AMD, false, "it drops what is cached by PCID",
      EXITS("it is not offered with tables of the hypervisor's, and the guest gets #UD"),
      STAYS("what is cached is tagged as the guest's") },
    { ZYDIS_MNEMONIC_VMCALL, INTEL, true, "it calls the hypervisor",
      EXITS_IN_BOTH("that is what it is for") },
    { ZYDIS_MNEMONIC_VMMCALL, AMD, true, "it calls the hypervisor", EXITS_IN_BOTH("that is what it is for") },
    PORT(IN),
    PORT(OUT),
    PORT(INSB),
    PORT(INSW),
    PORT(INSD),
    PORT(OUTSB),
    PORT(OUTSW),
    PORT(OUTSD),
    UNOFFERED(MONITOR, EITHER, false),
    UNOFFERED(MWAIT, EITHER, false),
    UNOFFERED(VMRUN, AMD, true),
    UNOFFERED(VMLOAD, AMD, true),
    UNOFFERED(VMSAVE, AMD, true),
    UNOFFERED(STGI, AMD, true),
    UNOFFERED(CLGI, AMD, true),
    UNOFFERED(SKINIT, AMD, true),
    UNOFFERED(INVLPGA, AMD, true),
    UNOFFERED(RDPRU, AMD, false),
    UNOFFERED(VMCLEAR, INTEL, true),
    UNOFFERED(VMLAUNCH, INTEL, true),
    UNOFFERED(VMPTRLD, INTEL, true),
    UNOFFERED(VMPTRST, INTEL, true),
    UNOFFERED(VMREAD, INTEL, true),
    UNOFFERED(VMRESUME, INTEL, true),
    UNOFFERED(VMWRITE, INTEL, true),
    UNOFFERED(VMXOFF, INTEL, true),
    UNOFFERED(VMXON, INTEL, true),
    UNOFFERED(INVEPT, INTEL, true),
    UNOFFERED(INVVPID, INTEL, true),
    UNOFFERED(GETSEC, INTEL, false),
};

/* The row for the story's vendor; *foreign if only the other one's processors have the instruction. */
static const struct row *row_of(const struct story *story, bool *foreign)
{
    const enum vendor own = story->amd ? AMD : INTEL;

    *foreign = false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].mnemonic != story->code.insn.mnemonic) {
            continue;
        }
        if (rows[i].vendor == EITHER || rows[i].vendor == own) {
            *foreign = false;
            return &rows[i];
        }
        *foreign = true;
    }
    return NULL;
}

/* --- faults of its own --- */

/* The decoder does not count loads of descriptor tables in. */
static bool is_privileged(const struct story *story)
{
    const ZydisMnemonic mnemonic = story->code.insn.mnemonic;

    return (story->code.insn.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0 ||
           mnemonic == ZYDIS_MNEMONIC_LGDT || mnemonic == ZYDIS_MNEMONIC_LIDT ||
           mnemonic == ZYDIS_MNEMONIC_LLDT || mnemonic == ZYDIS_MNEMONIC_LTR;
}

/* Ports that the task-state segment may allow are not judged: the image does not tell where it is. */
static bool is_refused_by_level(const struct story *story)
{
    const struct vmmu_x86_state *state = &story->state;
    const ZydisMnemonic mnemonic = story->code.insn.mnemonic;
    const unsigned iopl = (unsigned)(state->rflags >> RFLAGS_IOPL_SHIFT) & 3;

    if (mnemonic == ZYDIS_MNEMONIC_CLI || mnemonic == ZYDIS_MNEMONIC_STI) {
        return state->cpl > iopl && !(state->rflags & RFLAGS_VM) && !(state->cr4 & CR4_PVI);
    }
    return state->cpl != 0 && is_privileged(story);
}

/* Of the guest's own faults only #PF may be intercepted, and #DB and #AC. */
static void raise(struct story_itself *itself, uint8_t vector, const char *why)
{
    itself->vector = vector;
    itself->what = why;
    itself->shadow = itself->nested =
        (struct story_exit)STAYS("the fault is the guest's own, and not intercepted");
}

/* True if nobody but the processor decides. */
static bool take_fault(struct story *story, const struct row *row, bool foreign)
{
    struct story_itself *itself = &story->itself;
    const ZydisMnemonic mnemonic = story->code.insn.mnemonic;
    const bool waits = mnemonic == ZYDIS_MNEMONIC_MONITOR || mnemonic == ZYDIS_MNEMONIC_MWAIT;

    if (mnemonic == ZYDIS_MNEMONIC_UD0 || mnemonic == ZYDIS_MNEMONIC_UD1 || mnemonic == ZYDIS_MNEMONIC_UD2) {
        raise(itself, STORY_VECTOR_UD, "it is there to be invalid");
    } else if (foreign) {
        raise(itself, STORY_VECTOR_UD, "a processor of this vendor does not have it");
    } else if (waits && story->state.cpl != 0) {
        raise(itself, STORY_VECTOR_UD, "it is the kernel's alone");
    } else if ((!row || !row->virtualizes || story->amd) && is_refused_by_level(story)) {
        raise(itself, VMMU_X86_VECTOR_GP, "this privilege level may not execute it");
    }
    return itself->vector != 0;
}

/* Natively, where nobody has turned virtualization on; in a guest they exit before that is looked at. */
static bool is_off(const struct story *story, const struct row *row)
{
    const bool on = story->amd ? (story->state.efer & EFER_SVME) != 0 : (story->state.cr4 & CR4_VMXE) != 0;
    const bool is_call = row->mnemonic == ZYDIS_MNEMONIC_VMCALL || row->mnemonic == ZYDIS_MNEMONIC_VMMCALL;

    return row->virtualizes && (!on || is_call);
}

/* --- control registers --- */

static void write_cr0(const struct story *story, struct story_itself *itself, uint64_t changed)
{
    itself->shadow = itself->nested =
        (changed & ~CR0_UNSEEN) != 0
            ? (struct story_exit)EXITS("it changes more than TS and MP, which are the guest's own")
            : (struct story_exit)STAYS("it changes nothing but TS and MP, which are the guest's own");
    if (story->amd && (story->state.cr0 & CR0_OURS) != CR0_OURS) {
        itself->shadow = (struct story_exit)EXITS(held_words);
    }
}

static void write_cr4(const struct story *story, struct story_itself *itself, uint64_t changed)
{
    if (story->amd) {
        itself->shadow = itself->nested =
            (struct story_exit)EXITS("the hypervisor follows how the guest's tables are read");
        return;
    }
    itself->shadow = changed != 0
                         ? (struct story_exit)EXITS("the hypervisor follows how the guest's tables are read")
                         : (struct story_exit)STAYS("it changes nothing");
    itself->nested = (changed & ~VMMU_X86_CR4_PGE) != 0
                         ? (struct story_exit)EXITS("it changes more than PGE, which is the guest's own")
                         : (struct story_exit)STAYS("it changes nothing but PGE, which is the guest's own");
}

static void write_control(struct story *story, unsigned number, uint64_t value)
{
    struct story_itself *itself = &story->itself;

    switch (number) {
    case 0:
        itself->what = "it writes CR0";
        write_cr0(story, itself, value ^ story->state.cr0);
        break;
    case 3:
        itself->what = "it writes CR3";
        itself->shadow = (struct story_exit)EXITS("the hypervisor chooses the tables of its own that go with "
                                                  "the guest's new ones");
        itself->nested = (struct story_exit)STAYS("the guest's CR3 is the processor's");
        break;
    case 4:
        itself->what = "it writes CR4";
        write_cr4(story, itself, value ^ story->state.cr4);
        break;
    case 8:
        itself->what = "it writes CR8, the priority below which interrupts wait";
        itself->shadow = itself->nested = (struct story_exit)EXITS("it may let an interrupt in");
        break;
    default:
        itself->what = "it writes a control register";
        itself->shadow = itself->nested = (struct story_exit)STAYS("the register is the guest's");
        break;
    }
}

/* Whether AMD's processors hold a CR4 that is not what the guest wrote. Spec: hv/x86/svm, svm_write_root(). */
static bool holds_another_cr4(const struct story *story)
{
    const uint64_t cr4 = story->state.cr4;
    const bool five = story->machine->mode.paging == VMMU_X86_PAGING_5LEVEL;

    return (cr4 & VMMU_X86_CR4_PCIDE) != 0 || !(cr4 & VMMU_X86_CR4_PAE) ||
           ((cr4 & VMMU_X86_CR4_LA57) != 0 && !five) ||
           (!(story->state.cr0 & VMMU_X86_CR0_PG) && (cr4 & CR4_RULES) != 0);
}

static void read_control(struct story *story, unsigned number)
{
    struct story_itself *itself = &story->itself;

    itself->what = "it reads a control register";
    itself->shadow = itself->nested = (struct story_exit)STAYS("the processor knows the guest's value");
    if (number == 3) {
        itself->shadow = (struct story_exit)EXITS("CR3 holds a root of the hypervisor's; a MOV back to CR3 "
                                                  "right behind is performed with it");
    } else if (story->amd && ((number == 0 && (story->state.cr0 & CR0_OURS) != CR0_OURS) ||
                              (number == 4 && holds_another_cr4(story)))) {
        itself->shadow = (struct story_exit)EXITS(held_words);
    } else if (number == 8 && !story->amd) {
        itself->shadow = itself->nested =
            (struct story_exit){ STORY_EXITS_AT_TIMES, "only where the processor has no TPR shadow" };
    }
}

/* Spec: SDM 3C "Instructions That Cause VM Exits Conditionally"; APM 2 "Selective CR0 Write Intercept". */
static void load_status_word(struct story *story)
{
    struct story_itself *itself = &story->itself;

    itself->what = "it writes the low bits of CR0";
    itself->shadow = itself->nested =
        story->amd ? (struct story_exit)EXITS("the processor does not look at what changes")
                   : (struct story_exit){ STORY_EXITS_AT_TIMES, "only if it sets PE, or changes EM" };
}

static void clear_task_switched(struct story *story)
{
    struct story_itself *itself = &story->itself;

    itself->what = "it clears CR0.TS";
    itself->shadow = itself->nested = (struct story_exit)STAYS("TS is the guest's own");
    if (story->amd && (story->state.cr0 & CR0_OURS) != CR0_OURS) {
        itself->shadow = (struct story_exit)EXITS(held_words);
    }
}

static bool is_control(ZydisRegister name, unsigned *number)
{
    *number = (unsigned)ZydisRegisterGetId(name);
    return ZydisRegisterGetClass(name) == ZYDIS_REGCLASS_CONTROL;
}

static bool take_control(struct story *story)
{
    const ZydisDecodedOperand *operands = story->code.operands;
    struct code_register from;
    unsigned number;

    switch ((int)story->code.insn.mnemonic) {
    case ZYDIS_MNEMONIC_LMSW: load_status_word(story); return true;
    case ZYDIS_MNEMONIC_CLTS: clear_task_switched(story); return true;
    case ZYDIS_MNEMONIC_SMSW: read_control(story, 0); return true;
    case ZYDIS_MNEMONIC_MOV: break;
    default: return false;
    }
    if (is_control(operands[0].reg.value, &number) && code_register_of(operands[1].reg.value, &from)) {
        const uint64_t value = story->state.gpr[from.number];

        write_control(story, number, from.bits == 32 ? (uint32_t)value : value);
        return true;
    }
    if (is_control(operands[1].reg.value, &number)) {
        read_control(story, number);
        return true;
    }
    return false;
}

/* --- MSRs --- */

/* Those of system calls and of segments: both backends' bitmaps let guests have them. */
static bool is_direct_msr(uint32_t index)
{
    return (index >= 0x174 && index <= 0x176) || (index >= 0xc0000081 && index <= 0xc0000084) ||
           (index >= 0xc0000100 && index <= 0xc0000102);
}

static bool take_msr(struct story *story)
{
    struct story_itself *itself = &story->itself;
    const bool writes = story->code.insn.mnemonic == ZYDIS_MNEMONIC_WRMSR;

    if (!writes && story->code.insn.mnemonic != ZYDIS_MNEMONIC_RDMSR) {
        return false;
    }
    itself->what = writes ? "it writes the MSR that ECX names" : "it reads the MSR that ECX names";
    itself->shadow = itself->nested =
        is_direct_msr((uint32_t)story->state.gpr[VMMU_X86_RCX])
            ? (struct story_exit)STAYS("this one is the guest's own")
            : (struct story_exit)EXITS("all but those of system calls, and of the bases of FS and GS, are "
                                       "the hypervisor's to answer for");
    return true;
}

/* Ports of programs: the bitmap in the task-state segment decides before anything exits. */
static bool take_guarded_port(struct story *story)
{
    struct story_itself *itself = &story->itself;
    const ZydisInstructionCategory category = story->code.insn.meta.category;
    const unsigned iopl = (unsigned)(story->state.rflags >> RFLAGS_IOPL_SHIFT) & 3;
    const bool is_port = category == ZYDIS_CATEGORY_IO || category == ZYDIS_CATEGORY_IOSTRINGOP;

    if (!is_port || (story->state.cpl <= iopl && !(story->state.rflags & RFLAGS_VM))) {
        return false;
    }
    itself->what = "it accesses an I/O port";
    itself->shadow = itself->nested =
        (struct story_exit){ STORY_EXITS_AT_TIMES,
                             "only if the task-state segment allows the port, which the image does not tell; "
                             "else it is #GP" };
    return true;
}

/* --- everything --- */

void story_tell_itself(struct story *story)
{
    struct story_itself *itself = &story->itself;
    const struct row *row;
    bool foreign;

    if (!story->decoded) {
        return;
    }
    row = row_of(story, &foreign);
    if (take_fault(story, row, foreign) || take_control(story) || take_msr(story) ||
        take_guarded_port(story)) {
        return;
    }
    if (row) {
        itself->what = row->what;
        itself->shadow = row->shadow;
        itself->nested = row->nested;
        itself->vector = is_off(story, row) ? STORY_VECTOR_UD : 0;
    } else if (is_privileged(story)) {
        itself->what = "it is for kernels alone";
        itself->shadow = itself->nested = (struct story_exit)STAYS("the processor executes it for the guest");
    }
}
