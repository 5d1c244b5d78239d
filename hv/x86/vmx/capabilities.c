/* VT-x's capability registers, read against a table of what guests need. */
#include "hv/x86/vmx/capabilities.h"

#define MSR_VMX_BASIC          0x480u
#define MSR_VMX_PIN            0x481u /* then PROCESSOR, EXIT, ENTRY */
#define MSR_VMX_MISC           0x485u
#define MSR_VMX_CR0_FIXED0     0x486u
#define MSR_VMX_CR0_FIXED1     0x487u
#define MSR_VMX_CR4_FIXED0     0x488u
#define MSR_VMX_CR4_FIXED1     0x489u
#define MSR_VMX_PROCESSOR2     0x48Bu
#define MSR_VMX_EPT_VPID       0x48Cu
#define MSR_VMX_TRUE_PIN       0x48Du /* then PROCESSOR, EXIT, ENTRY */

#define BASIC_REVISION         BITS64(30, 0)
#define BASIC_MEMORY_TYPE(b)   ((b) >> 50 & 15)
#define BASIC_PORT_DETAILS     BIT64(54)
#define BASIC_TRUE_CONTROLS    BIT64(55)
#define MEMORY_TYPE_WRITE_BACK 6

#define MISC_PREEMPTION_SHIFT  BITS64(4, 0)
#define MISC_CR3_TARGETS(m)    ((uint16_t)((m) >> 16 & 0x1FF))

#define EPT_EXECUTE_ONLY       BIT64(0)
#define EPT_FOUR_LEVELS        BIT64(6)
#define EPT_UNCACHED           BIT64(8)
#define EPT_WRITE_BACK         BIT64(14)
#define EPT_2M                 BIT64(16)
#define EPT_1G                 BIT64(17)
#define EPT_INVEPT             BIT64(20)
#define EPT_ACCESSED_DIRTY     BIT64(21)
#define EPT_INVEPT_TYPE(type)  BIT64(24 + (type))
#define EPT_INVVPID            BIT64(32)
#define EPT_INVVPID_TYPE(type) BIT64(40 + (type))

#define FEATURE_CONTROL_LOCKED BIT64(0)
#define FEATURE_CONTROL_VMXON  BIT64(2) /* outside SMX operation */

/* What a use asks of a control. */
enum demand {
    LEAVE, /* clear, unless the processor insists */
    WANT,  /* set where it may be */
    NEED,  /* set */
    OFFER, /* clear, and must be settable */
    SPARE, /* clear, and must be clearable */
};

/* Of several bits, one has to do, and all that may be are set. */
struct control {
    uint8_t group; /* enum vmx_control_group */
    uint8_t demand[VMX_USES];
    uint32_t bits;
    const char *name;
};

static const struct control controls[] = {
    { VMX_GROUP_PIN, { NEED, NEED }, VMX_PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting" },
    { VMX_GROUP_PIN, { NEED, NEED }, VMX_PIN_NMI, "NMI exiting" },
    { VMX_GROUP_PIN, { NEED, NEED }, VMX_PIN_VIRTUAL_NMIS, "virtual NMIs" },
    { VMX_GROUP_PROCESSOR, { OFFER, OFFER }, VMX_PROC_INTERRUPT_WINDOW, "interrupt-window exiting" },
    { VMX_GROUP_PROCESSOR, { OFFER, OFFER }, VMX_PROC_NMI_WINDOW, "NMI-window exiting" },
    { VMX_GROUP_PROCESSOR, { NEED, NEED }, VMX_PROC_TSC_OFFSET, "TSC offsetting" },
    { VMX_GROUP_PROCESSOR, { NEED, NEED }, VMX_PROC_HLT, "HLT exiting" },
    { VMX_GROUP_PROCESSOR, { NEED, NEED }, VMX_PROC_MWAIT, "MWAIT exiting" },
    { VMX_GROUP_PROCESSOR, { NEED, NEED }, VMX_PROC_MONITOR, "MONITOR exiting" },
    { VMX_GROUP_PROCESSOR, { NEED, NEED }, VMX_PROC_RDPMC, "RDPMC exiting" },
    { VMX_GROUP_PROCESSOR, { NEED, NEED }, VMX_PROC_IO_BITMAPS | VMX_PROC_UNCONDITIONAL_IO, "I/O exiting" },
    { VMX_GROUP_PROCESSOR, { NEED, NEED }, VMX_PROC_MSR_BITMAPS, "MSR bitmaps" },
    { VMX_GROUP_PROCESSOR, { OFFER, OFFER }, VMX_PROC_CR8_LOAD, "CR8-load exiting" },
    { VMX_GROUP_PROCESSOR, { OFFER, OFFER }, VMX_PROC_CR8_STORE, "CR8-store exiting" },
    { VMX_GROUP_PROCESSOR, { WANT, WANT }, VMX_PROC_TPR_SHADOW, NULL },
    { VMX_GROUP_PROCESSOR, { LEAVE, OFFER }, VMX_PROC_INVLPG, "INVLPG exiting" },
    { VMX_GROUP_PROCESSOR, { LEAVE, NEED }, VMX_PROC_CR3_LOAD, "CR3-load exiting" },
    { VMX_GROUP_PROCESSOR, { LEAVE, NEED }, VMX_PROC_CR3_STORE, "CR3-store exiting" },
    { VMX_GROUP_PROCESSOR, { NEED, WANT }, VMX_PROC_SECONDARY, "secondary controls" },
    { VMX_GROUP_PROCESSOR2, { NEED, LEAVE }, VMX_PROC2_EPT, "EPT" },
    { VMX_GROUP_PROCESSOR2, { NEED, LEAVE }, VMX_PROC2_UNRESTRICTED_GUEST, "unrestricted guests" },
    { VMX_GROUP_PROCESSOR, { SPARE, LEAVE }, VMX_PROC_CR3_LOAD, "CR3 loads without exits" },
    { VMX_GROUP_PROCESSOR, { SPARE, LEAVE }, VMX_PROC_CR3_STORE, "CR3 stores without exits" },
    { VMX_GROUP_PROCESSOR2, { WANT, WANT }, VMX_PROC2_VPID, NULL },
    { VMX_GROUP_PROCESSOR2, { WANT, WANT }, VMX_PROC2_RDTSCP, NULL },
    { VMX_GROUP_PROCESSOR2, { WANT, LEAVE }, VMX_PROC2_INVPCID, NULL },
    { VMX_GROUP_EXIT, { NEED, NEED }, VMX_EXIT_HOST_64, "64-bit hosts" },
    { VMX_GROUP_EXIT, { NEED, NEED }, VMX_EXIT_SAVE_DEBUG, "saving of debug controls" },
    { VMX_GROUP_EXIT, { NEED, NEED }, VMX_EXIT_LOAD_PAT, "loading of IA32_PAT at exits" },
    { VMX_GROUP_EXIT, { NEED, NEED }, VMX_EXIT_SAVE_EFER, "saving of IA32_EFER" },
    { VMX_GROUP_EXIT, { NEED, NEED }, VMX_EXIT_LOAD_EFER, "loading of IA32_EFER at exits" },
    { VMX_GROUP_ENTRY, { OFFER, OFFER }, VMX_ENTRY_GUEST_64, "64-bit guests" },
    { VMX_GROUP_ENTRY, { NEED, NEED }, VMX_ENTRY_LOAD_DEBUG, "loading of debug controls" },
    { VMX_GROUP_ENTRY, { NEED, NEED }, VMX_ENTRY_LOAD_PAT, "loading of IA32_PAT at entries" },
    { VMX_GROUP_ENTRY, { NEED, NEED }, VMX_ENTRY_LOAD_EFER, "loading of IA32_EFER at entries" },
};

#define CONTROLS (sizeof controls / sizeof controls[0])

/* What a second stage needs besides. Its tables are ordinary, cached memory. */
static const struct {
    uint64_t bit;
    const char *name;
} stage2_needs[] = {
    { EPT_FOUR_LEVELS, "EPT tables of four levels" },
    { EPT_WRITE_BACK, "write-back EPT tables" },
    { EPT_INVEPT, "INVEPT" },
    { EPT_INVEPT_TYPE(VMX_INVEPT_ALL), "INVEPT of all contexts" },
};

/* --- reading --- */

/* Low half: bits that must be set; high half: that may be. */
static struct vmx_bits split(uint64_t msr)
{
    return (struct vmx_bits){ .must = (uint32_t)msr, .may = msr >> 32 };
}

/*
 * The older registers tell of some bits, whose setting used to be the only one, that they must be set; the newer ones
 * tell which of them need not be.
 */
static void read_controls(vmx_read_msr_function *read, void *context, bool true_controls,
                          struct vmx_capabilities *out)
{
    const uint32_t first = true_controls ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN;

    out->controls[VMX_GROUP_PIN] = split(read(context, first));
    out->controls[VMX_GROUP_PROCESSOR] = split(read(context, first + 1));
    out->controls[VMX_GROUP_EXIT] = split(read(context, first + 2));
    out->controls[VMX_GROUP_ENTRY] = split(read(context, first + 3));
    if (out->controls[VMX_GROUP_PROCESSOR].may & VMX_PROC_SECONDARY) {
        out->controls[VMX_GROUP_PROCESSOR2] = split(read(context, MSR_VMX_PROCESSOR2));
    }
    if (out->controls[VMX_GROUP_PROCESSOR2].may & (VMX_PROC2_EPT | VMX_PROC2_VPID)) {
        out->ept_vpid = read(context, MSR_VMX_EPT_VPID);
    }
}

static void read_stage2(struct vmx_capabilities *out)
{
    const uint64_t offered = out->ept_vpid;

    out->invept_single = offered & EPT_INVEPT_TYPE(VMX_INVEPT_SINGLE);
    out->accessed_dirty = offered & EPT_ACCESSED_DIRTY;
    out->execute_only = offered & EPT_EXECUTE_ONLY;
    out->uncached_tables = offered & EPT_UNCACHED;
    out->largest_level = !(offered & EPT_2M) ? 1 : !(offered & EPT_1G) ? 2 : 3;
}

/* A tag is of use only if it can be forgotten: without INVVPID, entries without tags forget everything by themselves. */
static void read_tags(struct vmx_capabilities *out)
{
    const uint64_t needed = EPT_INVVPID | EPT_INVVPID_TYPE(VMX_INVVPID_ALL);

    out->vpid =
        out->controls[VMX_GROUP_PROCESSOR2].may & VMX_PROC2_VPID && (out->ept_vpid & needed) == needed;
    if (out->vpid) {
        out->invvpid_address = out->ept_vpid & EPT_INVVPID_TYPE(VMX_INVVPID_ADDRESS);
        out->invvpid_single = out->ept_vpid & EPT_INVVPID_TYPE(VMX_INVVPID_SINGLE);
        out->invvpid_single_but_globals = out->ept_vpid & EPT_INVVPID_TYPE(VMX_INVVPID_SINGLE_BUT_GLOBALS);
    }
}

void vmx_read_capabilities(vmx_read_msr_function *read, void *context, struct vmx_capabilities *out)
{
    const uint64_t basic = read(context, MSR_VMX_BASIC);
    const uint64_t misc = read(context, MSR_VMX_MISC);

    *out = (struct vmx_capabilities){
        .cr0 = { read(context, MSR_VMX_CR0_FIXED0), read(context, MSR_VMX_CR0_FIXED1) },
        .cr4 = { read(context, MSR_VMX_CR4_FIXED0), read(context, MSR_VMX_CR4_FIXED1) },
        .revision = (uint32_t)(basic & BASIC_REVISION),
        .write_back = BASIC_MEMORY_TYPE(basic) == MEMORY_TYPE_WRITE_BACK,
        .port_details = basic & BASIC_PORT_DETAILS,
        .preemption_shift = (uint8_t)(misc & MISC_PREEMPTION_SHIFT),
        .cr3_targets = MISC_CR3_TARGETS(misc),
    };
    read_controls(read, context, basic & BASIC_TRUE_CONTROLS, out);
    read_stage2(out);
    read_tags(out);
    out->preemption_timer = out->controls[VMX_GROUP_PIN].may & VMX_PIN_PREEMPTION_TIMER;
}

/* --- deciding --- */

static bool satisfied(const struct control *control, enum demand demand, const struct vmx_bits *offered)
{
    switch (demand) {
    case LEAVE:
    case WANT: return true;
    case NEED:
    case OFFER: return offered->may & control->bits;
    case SPARE: return !(offered->must & control->bits);
    }
    return false;
}

const char *vmx_missing(const struct vmx_capabilities *capabilities, enum vmx_use use)
{
    if (!capabilities->write_back) {
        return "write-back control structures";
    }
    for (unsigned i = 0; i < CONTROLS; i++) {
        const struct control *control = &controls[i];
        if (!satisfied(control, (enum demand)control->demand[use], &capabilities->controls[control->group])) {
            return control->name;
        }
    }
    for (unsigned i = 0; use == VMX_DIRECT && i < sizeof stage2_needs / sizeof stage2_needs[0]; i++) {
        if (!(capabilities->ept_vpid & stage2_needs[i].bit)) {
            return stage2_needs[i].name;
        }
    }
    return NULL;
}

struct vmx_controls vmx_controls_of(const struct vmx_capabilities *capabilities, enum vmx_use use)
{
    struct vmx_controls result;

    for (unsigned i = 0; i < VMX_CONTROL_GROUPS; i++) {
        result.value[i] = (uint32_t)capabilities->controls[i].must;
    }
    for (unsigned i = 0; i < CONTROLS; i++) {
        const struct control *control = &controls[i];
        if (control->demand[use] == WANT || control->demand[use] == NEED) {
            result.value[control->group] |=
                control->bits & (uint32_t)capabilities->controls[control->group].may;
        }
    }
    if (!(result.value[VMX_GROUP_PROCESSOR] & VMX_PROC_TPR_SHADOW)) {
        result.value[VMX_GROUP_PROCESSOR] |= VMX_PROC_CR8_LOAD | VMX_PROC_CR8_STORE;
    }
    if (!capabilities->vpid) {
        result.value[VMX_GROUP_PROCESSOR2] &= ~VMX_PROC2_VPID;
    }
    return result;
}

const char *vmx_unlock(uint64_t *value)
{
    if (*value & FEATURE_CONTROL_LOCKED) {
        return *value & FEATURE_CONTROL_VMXON ? NULL
                                              : "the firmware has locked VT-x off (IA32_FEATURE_CONTROL)";
    }
    *value |= FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMXON;
    return NULL;
}

/* --- the MSR bitmap --- */

/* SYSENTER's, FS.base and GS.base are in the VMCS; SYSCALL's and KernelGSbase stay in the processor, and are the guest's. */
static const struct {
    uint32_t first, last;
} direct_msrs[] = {
    { 0x174, 0x176 },           /* SYSENTER_CS, _ESP, _EIP */
    { 0xC0000081, 0xC0000084 }, /* STAR, LSTAR, CSTAR, SFMASK */
    { 0xC0000100, 0xC0000102 }, /* FS.base, GS.base, KernelGSbase */
};

#define BITMAP_HIGH_MSRS  0xC0000000u
#define BITMAP_HIGH_BYTES 0x400u /* where the bits of the high range begin */
#define BITMAP_WRITES     0x800u /* and those of writes */

void vmx_fill_msr_bitmap(uint8_t *bitmap)
{
    __builtin_memset(bitmap, 0xFF, VMMU_PAGE_BYTES);
    for (unsigned i = 0; i < sizeof direct_msrs / sizeof direct_msrs[0]; i++) {
        for (uint32_t msr = direct_msrs[i].first; msr <= direct_msrs[i].last; msr++) {
            const uint32_t at = (msr >= BITMAP_HIGH_MSRS ? BITMAP_HIGH_BYTES : 0) + (msr & 0x1FFF) / 8;
            const uint8_t others = (uint8_t) ~(1u << msr % 8);
            bitmap[at] &= others;
            bitmap[at + BITMAP_WRITES] &= others;
        }
    }
}
