/*
 * What guests ask of the Hyper-V interface: CPUID leaves, synthetic MSRs, lazy EOI and hypercalls.
 *
 * One input is a configuration and the actions of one partition's virtual processors.
 */
#include <vmmu/hyperv.h>

#include "input.h"

#define VPS 2

struct guest {
    struct vmmu_hyperv_partition partition;
    struct vmmu_hyperv_vp vp[VPS];
    uint32_t assist_word[VPS];
    uint64_t tsc;
    uint64_t time;
};

static const uint64_t frequencies[] = {
    3000000000, 10000001, 10000000, 1, 0, (UINT64_C(1) << 63), (UINT64_C(1) << 63) - 1
};

static struct vmmu_hyperv_config draw_config(struct input *input)
{
    const uint8_t flags = input_u8(input);

    return (struct vmmu_hyperv_config){
        .tsc_hz = frequencies[input_below(input, sizeof(frequencies) / sizeof(frequencies[0]))],
        .apic_hz = (flags & 0x40) ? 0 : 1000000000,
        .vp_count = (input_u8(input) + 63u) % 66,
        .maxphyaddr = (uint8_t)(52 - input_below(input, 22)),
        .tsc_is_invariant = flags & 1,
        .apic_msrs = flags & 2,
        .second_level = flags & 4,
        .policy.empty_set_is_error = flags & 8,
        .call_instruction = (flags & 16) ? VMMU_HYPERV_VMCALL : VMMU_HYPERV_VMMCALL,
    };
}

/* An MSR that exists, mostly. */
static uint32_t draw_msr(struct input *input)
{
    static const uint32_t known[] = { 0x40000000, 0x40000001, 0x40000002, 0x40000020, 0x40000021, 0x40000022,
                                      0x40000023, 0x40000070, 0x40000071, 0x40000072, 0x40000073, 0x40000100,
                                      0x40000101, 0x40000104, 0x40000105, 0x40000118 };
    const unsigned which = input_below(input, 20);

    return which < 16 ? known[which] : VMMU_HYPERV_MSR_FIRST + (input_u16(input) & 0x1FF);
}

static void check_overlay(const struct guest *guest, const struct vmmu_hyperv_overlay *overlay)
{
    FUZZ_CHECK(overlay->place || overlay->remove);
    FUZZ_CHECK(!overlay->place || (vmmu_is_aligned(overlay->place_at.v, 4096) &&
                                   (overlay->place_at.v >> guest->partition.config.maxphyaddr) == 0));
    FUZZ_CHECK(!(overlay->place && overlay->remove) || overlay->place_at.v != overlay->remove_at.v);
}

/* What an overlay's register says must be what the overlays that were placed and removed come to. */
static bool overlay_stands(const struct guest *guest, const struct vmmu_hyperv_vp *vp,
                           const struct vmmu_hyperv_overlay *overlay)
{
    switch (overlay->kind) {
    case VMMU_HYPERV_OVERLAY_HYPERCALL: return guest->partition.hypercall & 1;
    case VMMU_HYPERV_OVERLAY_REFERENCE_TSC: return guest->partition.reference_tsc & 1;
    case VMMU_HYPERV_OVERLAY_VP_ASSIST: return vp->assist & 1;
    }
    return false;
}

static void write_msr(struct input *input, struct guest *guest, unsigned who)
{
    struct vmmu_hyperv_partition partition;
    struct vmmu_hyperv_vp vp;
    const uint32_t msr = draw_msr(input);
    const unsigned kind = input_below(input, 4);
    const uint64_t drawn = input_u64(input);
    const uint64_t value = kind == 0 ? drawn : kind == 1 ? drawn & 0xFFFFFFF003 : drawn & BITS64(7 * kind, 0);
    struct vmmu_hyperv_msr_outcome outcome;

    memcpy(&partition, &guest->partition, sizeof(partition));
    memcpy(&vp, &guest->vp[who], sizeof(vp));
    outcome = vmmu_hyperv_msr_write(&guest->partition, &guest->vp[who], msr, value);
    switch (outcome.action) {
    case VMMU_HYPERV_MSR_FAULT:
        FUZZ_CHECK(fuzz_same(&partition, &guest->partition, sizeof(partition)));
        FUZZ_CHECK(fuzz_same(&vp, &guest->vp[who], sizeof(vp)));
        break;
    case VMMU_HYPERV_MSR_OVERLAY:
        check_overlay(guest, &outcome.overlay);
        FUZZ_CHECK(overlay_stands(guest, &guest->vp[who], &outcome.overlay) == outcome.overlay.place);
        break;
    case VMMU_HYPERV_MSR_APIC:
        FUZZ_CHECK(outcome.apic_offset % 16 == 0 && outcome.apic_offset < 4096);
        FUZZ_CHECK(guest->partition.config.apic_msrs);
        break;
    case VMMU_HYPERV_MSR_DONE:
    case VMMU_HYPERV_MSR_CRASH: break;
    }
}

static void read_msr(struct input *input, struct guest *guest, unsigned who)
{
    const struct vmmu_hyperv_msr_outcome outcome =
        vmmu_hyperv_msr_read(&guest->partition, &guest->vp[who], draw_msr(input), guest->tsc);

    FUZZ_CHECK(outcome.action == VMMU_HYPERV_MSR_DONE || outcome.action == VMMU_HYPERV_MSR_FAULT ||
               (outcome.action == VMMU_HYPERV_MSR_APIC && guest->partition.config.apic_msrs));
}

/* The pages' content, and time, which never goes back. */
static void look(struct input *input, struct guest *guest)
{
    uint8_t *page = malloc(4096);
    uint64_t time;

    FUZZ_CHECK(page);
    vmmu_hyperv_fill_hypercall_page(&guest->partition, page);
    vmmu_hyperv_fill_tsc_page(&guest->partition, page);
    free(page);
    (void)vmmu_hyperv_cpuid_leaf(&guest->partition, VMMU_HYPERV_CPUID_FIRST - 1 + input_below(input, 12));
    guest->tsc += (uint64_t)input_u16(input) << input_below(input, 40);
    time = vmmu_hyperv_reference_time(&guest->partition, guest->tsc);
    FUZZ_CHECK((int64_t)(time - guest->time) >= 0);
    guest->time = time;
}

/* Lazy EOI: an offer that is settled or withdrawn ends, and at most one stands. */
static void end_of_interrupt(struct input *input, struct guest *guest, unsigned who)
{
    struct vmmu_hyperv_vp *vp = &guest->vp[who];
    uint32_t *word = &guest->assist_word[who];
    const bool offered = vp->eoi_offered;
    vmmu_gpa at;

    switch (input_below(input, 4)) {
    case 0:
        FUZZ_CHECK(vmmu_hyperv_eoi_offer(vp, word) ==
                   (!offered && vmmu_hyperv_assist_page(vp, &at) && (*word & 1)));
        break;
    case 1:
        FUZZ_CHECK(vmmu_hyperv_eoi_settle(vp, *word) == (offered && !vp->eoi_offered));
        FUZZ_CHECK(!offered || vp->eoi_offered == (*word & 1));
        break;
    case 2:
        FUZZ_CHECK(vmmu_hyperv_eoi_withdraw(vp, word) == offered);
        FUZZ_CHECK(!vp->eoi_offered);
        break;
    default: *word = input_u32(input); break;
    }
}

static struct vmmu_hyperv_caller draw_caller(struct input *input)
{
    static const uint16_t codes[] = { 2, 3, 8, 0x13, 0x14, 0x40, 0x5D, 0x5C };
    const uint8_t flags = input_u8(input);
    const uint64_t code = (flags & 8) ? input_u16(input) : codes[input_below(input, 8)];
    const uint64_t shape = input_u64(input);
    const uint64_t value = code | (shape & ((flags & 0x80) ? ~BITS64(15, 0) : UINT64_C(0x000F001F00FF0000)));
    const uint64_t parameter = input_u64(input) & ((flags & 0x40) ? UINT64_MAX : ~UINT64_C(7));
    struct vmmu_hyperv_caller caller = {
        .code64 = !(flags & 1),
        .protected_mode = !(flags & 2),
        .cpl = (flags & 4) ? 3 : 0,
        .rbx = parameter >> 32,
    };

    caller.rcx = caller.code64 ? value : (uint32_t)parameter;
    caller.rdx = caller.code64 ? parameter : value >> 32;
    caller.rax = (uint32_t)value;
    caller.r8 = input_u64(input);
    caller.rdi = input_u64(input);
    caller.rsi = input_u64(input);
    return caller;
}

static bool is_result(uint64_t result)
{
    const uint64_t status = result & 0xFFFF;

    return (status == 0 || (status >= 2 && status <= 6)) && (result & (BITS64(31, 16) | BITS64(63, 44))) == 0;
}

static void check_flush(const struct guest *guest, const struct vmmu_hyperv_call *call,
                        const struct vmmu_hyperv_flush *flush, const uint8_t *bytes)
{
    FUZZ_CHECK(flush->vps != 0 && (flush->vps & ~BITS64(guest->partition.config.vp_count - 1, 0)) == 0);
    FUZZ_CHECK(flush->range_first == call->rep_start);
    FUZZ_CHECK(flush->range_count == call->rep_count - call->rep_start);
    for (uint16_t i = 0; i < flush->range_count; i++) {
        const struct vmmu_hyperv_gva_range range = vmmu_hyperv_flush_range(flush, bytes, i);

        FUZZ_CHECK(vmmu_is_aligned(range.base.v, 4096) && range.pages >= 1 && range.pages <= 4096);
    }
}

/* The input of a call: what the guest wrote there, in a block of just its size. */
static uint8_t *draw_call_input(struct input *input, unsigned bytes)
{
    uint8_t *block = malloc(bytes ? bytes : 1);
    const uint8_t flags = input_u8(input);

    FUZZ_CHECK(block);
    input_copy(input, block, bytes);
    /* Flags that are known, and a set of processors that has the form and the banks that it may have. */
    if (bytes >= 24 && !(flags & 1)) {
        block[8] &= 7;
        memset(block + 9, 0, 7);
    }
    if (bytes >= 32 && !(flags & 2)) {
        block[16] &= 1;
        memset(block + 17, 0, 7);
        memset(block + 25, 0, 7);
    }
    return block;
}

static void call_one(struct input *input, struct guest *guest, unsigned who)
{
    const struct vmmu_hyperv_caller caller = draw_caller(input);
    struct vmmu_hyperv_call call;
    struct vmmu_hyperv_call_outcome outcome = vmmu_hyperv_call_decode(&guest->partition, &caller, &call);

    FUZZ_CHECK((outcome.action == VMMU_HYPERV_CALL_UD) ==
               (!(guest->partition.hypercall & 1) || !caller.protected_mode || caller.cpl != 0));
    if (outcome.action == VMMU_HYPERV_CALL_INPUT) {
        FUZZ_CHECK(call.input_bytes == 0 || (call.input.v & 4095) + call.input_bytes <= 4096);
        FUZZ_CHECK(call.input_bytes == 0 || !call.fast);
        FUZZ_CHECK(is_result(vmmu_hyperv_call_no_memory(&call)));
        uint8_t *block = draw_call_input(input, call.input_bytes);

        outcome = vmmu_hyperv_call_perform(&guest->partition, &guest->vp[who], &call, block);
        if (outcome.action == VMMU_HYPERV_CALL_FLUSH) {
            check_flush(guest, &call, &outcome.flush, block);
            FUZZ_CHECK(outcome.flush.includes_caller == ((outcome.flush.vps >> guest->vp[who].index) & 1));
        }
        free(block);
    }
    FUZZ_CHECK(outcome.action != VMMU_HYPERV_CALL_INPUT);
    if (outcome.action != VMMU_HYPERV_CALL_UD) {
        const struct vmmu_hyperv_result_registers registers =
            vmmu_hyperv_result_registers(call.code64, outcome.result);
        const uint64_t reps = outcome.result >> 32;

        FUZZ_CHECK(is_result(outcome.result));
        FUZZ_CHECK(reps == ((outcome.result & 0xFFFF) == 0 ? call.rep_count : call.rep_start));
        FUZZ_CHECK(registers.writes_rdx == !caller.code64);
        FUZZ_CHECK((registers.rax | (registers.writes_rdx ? registers.rdx << 32 : 0)) == outcome.result);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    const struct vmmu_hyperv_config config = draw_config(&input);
    struct guest guest = { .tsc = input_u64(&input) >> 8 };
    const enum vmmu_status status = vmmu_hyperv_partition_init(&guest.partition, &config, guest.tsc);

    FUZZ_CHECK((status == VMMU_OK) ==
               (config.vp_count >= 1 && config.vp_count <= VMMU_HYPERV_VPS && config.maxphyaddr >= 32 &&
                config.tsc_hz > 10000000 && config.tsc_hz < BIT64(63) && config.apic_hz != 0));
    if (status != VMMU_OK) {
        return 0;
    }
    for (unsigned i = 0; i < VPS; i++) {
        vmmu_hyperv_vp_init(&guest.vp[i], i);
    }
    guest.time = vmmu_hyperv_reference_time(&guest.partition, guest.tsc);
    FUZZ_CHECK(guest.time == 0);
    while (input_more(&input)) {
        const uint8_t action = input_u8(&input);
        const unsigned who = action >> 7;

        switch (action % 8) {
        case 0:
        case 1: write_msr(&input, &guest, who); break;
        case 2: read_msr(&input, &guest, who); break;
        case 3: look(&input, &guest); break;
        case 4: end_of_interrupt(&input, &guest, who); break;
        default: call_one(&input, &guest, who); break;
        }
    }
    return 0;
}
