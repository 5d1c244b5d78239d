/*
 * What a guest is told by CPUID, and what its MSRs accept, on hosts that answer anything.
 *
 * Input: a byte that says which. CPUID (0): the host's way to answer, its answers where they differ, what the guest
 * is given, then leaves to ask for. MSRs (1): the guest's processor, then reads and writes.
 */
#include "hv/x86/policy/cpuid.h"
#include "hv/x86/policy/features.h"
#include "hv/x86/policy/msr_table.h"

#include "tests/fuzz/input.h"

/* --- a host --- */

#define ANSWERS_MOST 48

struct answer {
    uint32_t leaf;
    uint32_t subleaf; /* 0xFF: every one */
    struct x86_cpuid_regs regs;
};

struct host {
    unsigned nature;
    unsigned count;
    struct answer answers[ANSWERS_MOST];
};

/* Of its own: zeros, ones, or something that differs from leaf to leaf; in QEMU's way beyond its last leaf. */
static struct x86_cpuid_regs nature_of(const struct host *host, uint32_t leaf, uint32_t subleaf)
{
    const uint32_t mixed = (leaf * 0x9E3779B9u ^ subleaf * 0x85EBCA6Bu) + host->nature;

    switch (host->nature & 3) {
    case 0: return (struct x86_cpuid_regs){ 0 };
    case 1: return (struct x86_cpuid_regs){ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
    default: return (struct x86_cpuid_regs){ mixed, mixed * 3, mixed * 5, mixed * 7 };
    }
}

static struct x86_cpuid_regs host_read(void *context, uint32_t leaf, uint32_t subleaf)
{
    const struct host *host = context;
    struct x86_cpuid_regs regs = nature_of(host, leaf, subleaf);

    for (unsigned i = 0; i < host->count; i++) {
        if (host->answers[i].leaf == leaf &&
            (host->answers[i].subleaf == subleaf || host->answers[i].subleaf == 0xFF))
            regs = host->answers[i].regs;
    }
    if ((host->nature & 4) != 0 && leaf == 0)
        regs = (struct x86_cpuid_regs){ 0x16, 0x756E6547, 0x6C65746E, 0x49656E69 };
    if ((host->nature & 8) != 0 && leaf == 0)
        regs = (struct x86_cpuid_regs){ 0x10, 0x68747541, 0x444D4163, 0x69746E65 };
    if ((host->nature & 16) != 0 && leaf == 0x80000000u)
        regs.eax = 0x80000021u;
    return regs;
}

/* A leaf by a byte: those that mean something, or any. */
static uint32_t take_leaf(struct input *input)
{
    static const uint32_t leaves[] = {
        0x0,        0x1,        0x2,        0x4,        0x6,        0x7,        0xB,        0xD,
        0x15,       0x16,       0x17,       0x1F,       0x20,       0x40000000, 0x40000001, 0x4000000A,
        0x40000100, 0x80000000, 0x80000001, 0x80000002, 0x80000005, 0x80000006, 0x80000007, 0x80000008,
        0x80000019, 0x8000001A, 0x8000001D, 0x8000001E, 0x80000021, 0x80000022
    };
    const uint8_t which = input_u8(input);

    return which < sizeof(leaves) / sizeof(leaves[0]) ? leaves[which] : input_u32(input);
}

static struct host take_host(struct input *input)
{
    struct host host = { .nature = input_u8(input), .count = input_below(input, ANSWERS_MOST) };

    for (unsigned i = 0; i < host.count; i++) {
        const uint32_t leaf = take_leaf(input);
        const uint8_t subleaf = input_u8(input);

        host.answers[i] = (struct answer){
            leaf, subleaf, { input_u32(input), input_u32(input), input_u32(input), input_u32(input) }
        };
    }
    return host;
}

/* --- CPUID --- */

static bool is_none(struct x86_cpuid_regs regs)
{
    return (regs.eax | regs.ebx | regs.ecx | regs.edx) == 0;
}

/*
 * What a guest must not see in any case: virtualization, monitoring, state that is not switched.
 * Spec: SDM 2A "CPUID"; APM 3 "Obtaining Processor Information Via the CPUID Instruction".
 */
static const struct never {
    uint32_t leaf;
    struct x86_cpuid_regs regs;
} nevers[] = {
    /* DTES64, MONITOR, DS-CPL, VMX, SMX, EST, TM2, PDCM, DCA; DS, ACPI, TM, PBE */
    { 1, { .ecx = 0x000481FCu, .edx = 0xA0600000u } },
    /* TSC_ADJUST, SGX, HLE, RTM, RDT, MPX, PT; WAITPKG, CET, TME, PKS; IBT, IBRS, STIBP, ARCH_CAPABILITIES, SSBD */
    { 7, { .ebx = 0x0200D816u, .ecx = 0x800020A0u, .edx = 0xBC108000u } },
    /* SVM, EXTAPIC, IBS, SKINIT, WDT, LWP */
    { 0x80000001u, { .ecx = 0x0000B40Cu } },
};

static void check_nevers(const struct x86_cpuid *table)
{
    static const struct x86_cpuid_state state;

    for (unsigned i = 0; i < sizeof(nevers) / sizeof(nevers[0]); i++) {
        const struct x86_cpuid_regs regs = x86_cpuid_lookup(table, nevers[i].leaf, 0, &state);

        FUZZ_CHECK((regs.ebx & nevers[i].regs.ebx) == 0);
        FUZZ_CHECK((regs.ecx & nevers[i].regs.ecx) == 0);
        FUZZ_CHECK((regs.edx & nevers[i].regs.edx) == 0);
    }
}

/* Nothing that the host lacks, but for what is ours. */
static void check_host_has_it(const struct x86_cpuid *table, struct host *host)
{
    const uint32_t own_c = F1C_HYPERVISOR | F1C_X2APIC | F1C_TSC_DEADLINE;
    const uint32_t own_d = F1D_APIC | F1D_MTRR | F1D_PAT | F1D_MCE | F1D_MCA | F1D_HTT;
    const uint32_t last = host_read(host, 0, 0).eax;
    const struct x86_cpuid_regs none = { 0 };
    const struct x86_cpuid_regs one = last >= 1 ? host_read(host, 1, 0) : none;
    const struct x86_cpuid_regs seven = last >= 7 ? host_read(host, 7, 0) : none;

    FUZZ_CHECK((table->basic[1].ecx & ~own_c & ~one.ecx) == 0);
    FUZZ_CHECK((table->basic[1].edx & ~own_d & ~one.edx) == 0);
    FUZZ_CHECK((table->basic[7].ebx & ~seven.ebx) == 0);
    FUZZ_CHECK((table->basic[7].ecx & ~seven.ecx) == 0);
    FUZZ_CHECK((table->basic[7].edx & ~seven.edx) == 0);
}

/* Whether "this feature, so that control bit": both or neither. */
static bool agree(uint32_t feature, uint64_t controls, unsigned bit)
{
    return (feature != 0) == ((controls >> bit & 1) != 0);
}

static void check_controls(const struct x86_cpuid *table)
{
    const struct x86_cpuid_regs *one = &table->basic[1];
    const struct x86_cpuid_regs *seven = &table->basic[7];
    const uint64_t cr4 = table->cr4_allowed;
    struct vmmu_x86_cpu cpu;

    FUZZ_CHECK(agree(one->ecx & F1C_XSAVE, cr4, 18) && agree(one->ecx & F1C_PCID, cr4, 17));
    FUZZ_CHECK(agree(seven->ebx & F7B_SMEP, cr4, 20) && agree(seven->ebx & F7B_SMAP, cr4, 21));
    FUZZ_CHECK(agree(seven->ecx & F7C_LA57, cr4, 12) && agree(seven->ecx & F7C_PKU, cr4, 22));
    FUZZ_CHECK((cr4 >> 13 & 7) == 0 && cr4 >> 23 == 0); /* VMXE, SMXE, reserved; CET, PKS and beyond */
    FUZZ_CHECK((table->efer_allowed & ~UINT64_C(0xD01)) == 0);
    x86_cpuid_paging(table, &cpu);
    FUZZ_CHECK(cpu.maxphyaddr >= 32 && cpu.maxphyaddr <= 52);
    FUZZ_CHECK((table->extended[8].eax >> 8 & 0xFF) == (cpu.la57 ? 57u : 48u));
    FUZZ_CHECK(cpu.la57 == ((seven->ecx & F7C_LA57) != 0));
}

static void check_xsave(const struct x86_cpuid *table, uint64_t value)
{
    const bool has = (table->basic[1].ecx & F1C_XSAVE) != 0;

    FUZZ_CHECK(has == (table->xcr0_allowed != 0));
    FUZZ_CHECK(!has || x86_xcr0_is_valid(table, table->xcr0_allowed));
    FUZZ_CHECK((table->xcr0_allowed & ~UINT64_C(0x2E7)) == 0);
    FUZZ_CHECK((table->basic[1].ecx & F1C_AVX) == 0 || (table->xcr0_allowed & XCR0_AVX) != 0);
    FUZZ_CHECK((table->basic[7].ebx & F7B_AVX512F) == 0 ||
               (table->xcr0_allowed & XCR0_AVX512) == XCR0_AVX512);
    if (!x86_xcr0_is_valid(table, value))
        return;
    FUZZ_CHECK((value & ~table->xcr0_allowed) == 0 && (value & XCR0_X87) != 0);
    FUZZ_CHECK((value & XCR0_AVX) == 0 || (value & XCR0_SSE) != 0);
    FUZZ_CHECK(x86_xsave_bytes(table, value, false) >= 576);
}

static void check_withheld(const struct x86_cpuid *table, uint32_t flags)
{
    FUZZ_CHECK((flags & X86_WITHHOLD_LA57) == 0 || (table->basic[7].ecx & F7C_LA57) == 0);
    FUZZ_CHECK((flags & X86_WITHHOLD_PCID) == 0 || (table->basic[1].ecx & F1C_PCID) == 0);
    FUZZ_CHECK((flags & X86_WITHHOLD_PCID) == 0 || (table->basic[7].ebx & F7B_INVPCID) == 0);
    FUZZ_CHECK((flags & X86_WITHHOLD_GIB_PAGES) == 0 || (table->extended[1].edx & FXD_GIB_PAGES) == 0);
    FUZZ_CHECK((flags & X86_WITHHOLD_X2APIC) == 0 || (table->basic[1].ecx & F1C_X2APIC) == 0);
    FUZZ_CHECK((flags & X86_WITHHOLD_PKU) == 0 || (table->basic[7].ecx & F7C_PKU) == 0);
    FUZZ_CHECK((flags & X86_WITHHOLD_XSAVE) == 0 || (table->basic[1].ecx & (F1C_XSAVE | F1C_AVX)) == 0);
    FUZZ_CHECK((flags & X86_WITHHOLD_DEADLINE) == 0 || (table->basic[1].ecx & F1C_TSC_DEADLINE) == 0);
}

/* The leaves that list something end, and an answer beyond the last leaf is none. */
static void ask(const struct x86_cpuid *table, struct input *input)
{
    const uint32_t leaf = take_leaf(input);
    const uint32_t subleaf = input_u32(input) >> (input_u8(input) & 31);
    const struct x86_cpuid_state state = { .cr4 = input_u64(input) & table->cr4_allowed,
                                           .xcr0 = (input_u64(input) & table->xcr0_allowed) | 1 };
    const struct x86_cpuid_regs regs = x86_cpuid_lookup(table, leaf, subleaf, &state);
    const bool is_hypervisor = leaf >= VMMU_HYPERV_CPUID_FIRST && leaf <= VMMU_HYPERV_CPUID_LAST;

    if (leaf > table->max_basic && leaf < 0x80000000u && !(is_hypervisor && table->hyperv != NULL))
        FUZZ_CHECK(is_none(regs));
    if (leaf > table->max_extended)
        FUZZ_CHECK(is_none(regs));
    if (leaf == 1)
        FUZZ_CHECK(agree(regs.ecx & F1C_OSXSAVE, state.cr4, 18));
    if ((leaf == 4 || leaf == 0x8000001Du) && subleaf >= X86_CPUID_CACHES)
        FUZZ_CHECK(is_none(regs));
    if (leaf == 0xB)
        FUZZ_CHECK((regs.ecx & 0xFF) == (subleaf & 0xFF) && (subleaf < 2 || regs.ebx == 0));
}

static void check_identity(const struct x86_cpuid *table, const struct x86_cpuid_config *config)
{
    static const struct x86_cpuid_state state;
    const struct x86_cpuid_regs core = x86_cpuid_lookup(table, 0xB, 1, &state);

    FUZZ_CHECK(table->max_basic < X86_CPUID_BASIC);
    FUZZ_CHECK(table->max_extended - 0x80000000u < X86_CPUID_EXTENDED);
    FUZZ_CHECK(table->basic[0].eax == table->max_basic && table->extended[0].eax == table->max_extended);
    FUZZ_CHECK((table->basic[1].ecx & F1C_HYPERVISOR) != 0);
    FUZZ_CHECK(table->basic[1].ebx >> 24 == config->apic_id && core.edx == config->apic_id);
    FUZZ_CHECK(core.ebx == config->vp_count && UINT64_C(1) << core.eax >= config->vp_count);
}

static void run_cpuid(struct input *input)
{
    struct host host = take_host(input);
    const uint8_t given = input_u8(input);
    struct vmmu_hyperv_partition hyperv;
    const struct vmmu_hyperv_config enlightened = {
        .tsc_hz = 2000000000, .apic_hz = 1000000000, .vp_count = 1, .maxphyaddr = 40, .tsc_is_invariant = true
    };
    struct x86_cpuid_config config = { .host = { .context = &host, .read = host_read },
                                       .vp_count = 1 + input_below(input, 64),
                                       .withhold = given & 0x7F };
    struct x86_cpuid *table = malloc(sizeof(*table));

    FUZZ_CHECK(table != NULL);
    config.apic_id = input_u8(input) % config.vp_count;
    FUZZ_CHECK(vmmu_hyperv_partition_init(&hyperv, &enlightened, 0) == VMMU_OK);
    config.hyperv = (given & 0x80) != 0 ? &hyperv : NULL;
    x86_cpuid_build(table, &config);
    check_identity(table, &config);
    check_nevers(table);
    check_host_has_it(table, &host);
    check_controls(table);
    check_xsave(table, input_u16(input));
    check_withheld(table, config.withhold);
    while (input_more(input))
        ask(table, input);
    free(table);
}

/* --- MSRs --- */

static uint32_t take_index(struct input *input)
{
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);
    const uint8_t which = input_u8(input);

    return which < count ? rows[which].index : input_u32(input);
}

static bool is_type(uint64_t type)
{
    return type <= 6 && type != 2 && type != 3;
}

/* Nothing was changed: byte for byte, since one is a copy of the other. */
static bool is_same(const struct x86_msrs *msrs, const struct x86_msrs *copy)
{
    const uint8_t *now = (const uint8_t *)msrs;
    const uint8_t *before = (const uint8_t *)copy;

    return memcmp(now, before, sizeof(*msrs)) == 0;
}

/* A value that a processor would refuse is never held. */
static void check_held(const struct x86_msrs *msrs)
{
    const uint64_t beyond = ~UINT64_C(0) << msrs->config.maxphyaddr;
    const uint64_t dram = msrs->config.is_amd ? 0x18 : 0;

    FUZZ_CHECK(is_type(msrs->mtrr_default & 0xFF) && (msrs->mtrr_default & ~UINT64_C(0xCFF)) == 0);
    for (unsigned i = 0; i < 8; i++) {
        FUZZ_CHECK(is_type(msrs->pat >> (8 * i) & 0xFF) || (msrs->pat >> (8 * i) & 0xFF) == 7);
        FUZZ_CHECK((msrs->mtrr_base[i] & (beyond | 0xF00)) == 0 && is_type(msrs->mtrr_base[i] & 0xFF));
        FUZZ_CHECK((msrs->mtrr_mask[i] & (beyond | 0x7FF)) == 0);
    }
    for (unsigned i = 0; i < X86_MTRR_FIXED; i++) {
        for (unsigned j = 0; j < 8; j++)
            FUZZ_CHECK(is_type(msrs->mtrr_fixed[i] >> (8 * j) & 0xFF & ~dram));
    }
    FUZZ_CHECK(msrs->tsc_aux <= UINT32_MAX && msrs->mcg_status <= 7 && msrs->debug_ctl <= 3);
}

static bool is_exact(const struct msr_row *row)
{
    switch ((enum msr_class)row->kind) {
    case MSR_HELD:
    case MSR_APPLIED:
    case MSR_PAT:
    case MSR_FIXED:
    case MSR_BASE:
    case MSR_MASK:
    case MSR_DEFAULT:
    case MSR_BANK: return true;
    case MSR_CONSTANT:
    case MSR_IGNORED:
    case MSR_LENIENT:
    case MSR_BACKEND:
    case MSR_APIC_BASE: break;
    }
    return false;
}

static void check_write(struct x86_msrs *msrs, uint32_t index, uint64_t value)
{
    const struct msr_row *row = msr_row_of(index);
    struct x86_msrs before;
    uint64_t now = 0;
    uint64_t then = 0;
    enum x86_msr_outcome could;
    enum x86_msr_outcome did;

    memcpy(&before, msrs, sizeof(before));
    could = x86_msr_read(msrs, index, &then);
    did = x86_msr_write(msrs, index, value);
    switch (did) {
    case X86_MSR_FAULT: FUZZ_CHECK(is_same(msrs, &before)); break;
    case X86_MSR_DONE:
    case X86_MSR_APPLY:
        FUZZ_CHECK(row != NULL && could == X86_MSR_DONE && x86_msr_read(msrs, index, &now) == X86_MSR_DONE);
        FUZZ_CHECK(!is_exact(row) || now == value);
        FUZZ_CHECK(is_exact(row) || ((now ^ then) & ~row->value) == 0);
        break;
    case X86_MSR_BACKEND:
    case X86_MSR_APIC_BASE:
    case X86_MSR_APIC:
    case X86_MSR_HYPERV: FUZZ_CHECK(could == did && is_same(msrs, &before)); break;
    }
}

static void run_msrs(struct input *input)
{
    const uint8_t flags = input_u8(input);
    const struct x86_msrs_config config = {
        .maxphyaddr = (uint8_t)(32 + input_below(input, 21)),
        .is_amd = (flags & 1) != 0,
        .is_bsp = (flags & 2) != 0,
        .hyperv = (flags & 4) != 0,
        .x2apic = (flags & 8) != 0,
        .rdtscp = (flags & 16) != 0,
        .no_deadline = (flags & 32) != 0,
    };
    struct x86_msrs *msrs = malloc(sizeof(*msrs));

    FUZZ_CHECK(msrs != NULL);
    memset(msrs, 0, sizeof(*msrs));
    x86_msrs_reset(msrs, &config);
    check_held(msrs);
    while (input_more(input)) {
        const uint32_t index = take_index(input);

        check_write(msrs, index, input_u64(input));
        check_held(msrs);
        (void)x86_msr_name(index);
    }
    free(msrs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);

    if (input_flag(&input)) {
        run_msrs(&input);
    } else {
        run_cpuid(&input);
    }
    return 0;
}
