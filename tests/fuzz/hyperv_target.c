/*
 * What guests ask of the Hyper-V interface: CPUID leaves, synthetic MSRs, lazy EOI and hypercalls.
 *
 * One input is a configuration and the actions of one partition's virtual processors.
 */
#include "hyperv.h"

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
        .partition_id = 1,
        .privileges = (flags & 0x20) ? (uint64_t)input_u64(input) : UINT64_MAX,
        .policy.empty_set_is_error = flags & 8,
        .call_instruction = (flags & 16) ? VMMU_HYPERV_VMCALL : VMMU_HYPERV_VMMCALL,
    };
}

/* An MSR that exists, mostly. */
static uint32_t draw_msr(struct input *input)
{
    static const uint32_t known[] = { 0x40000000, 0x40000001, 0x40000002, 0x40000020, 0x40000021, 0x40000022,
                                      0x40000023, 0x40000070, 0x40000071, 0x40000072, 0x40000073, 0x40000100,
                                      0x40000101, 0x40000104, 0x40000105, 0x40000118, 0x40000080, 0x40000081,
                                      0x40000082, 0x40000083, 0x40000084, 0x40000090, 0x4000009F };
    const unsigned which = input_below(input, 28);

    return which < sizeof(known) / sizeof(known[0]) ? known[which]
                                                    : VMMU_HYPERV_MSR_FIRST + (input_u16(input) & 0x1FF);
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
    case VMMU_HYPERV_OVERLAY_MESSAGES: return vp->synic.messages & 1;
    case VMMU_HYPERV_OVERLAY_EVENTS: return vp->synic.events & 1;
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

/* A message for a slot of the message page, and the page that it lies in. */
static void post(struct input *input, struct guest *guest, unsigned who)
{
    const uint8_t flags = input_u8(input);
    const struct vmmu_hyperv_message message =
        vmmu_hyperv_message_unsupported(2, who, (enum vmmu_hyperv_feature)(1 + flags % 3), input_u64(input));
    uint8_t *page = malloc(4096);
    uint8_t *before = malloc(4096);
    struct vmmu_hyperv_post result;
    const unsigned sint = input_below(input, 16);
    vmmu_gpa at;

    FUZZ_CHECK(page && before);
    memset(page, 0, 4096);
    page[256 * (size_t)sint] = flags & 0x80;
    memcpy(before, page, 4096);
    result = vmmu_hyperv_post(&guest->vp[who], sint, &message, page);
    FUZZ_CHECK(!result.written || (vmmu_hyperv_message_page(&guest->vp[who], &at) && !(flags & 0x80)));
    FUZZ_CHECK(result.written || !result.interrupts);
    for (unsigned i = 0; i < 4096; i++) {
        FUZZ_CHECK(page[i] == before[i] || i / 256 == sint);
    }
    free(before);
    free(page);
}

/* IA32_PAT of several processors: what all agree on is what tables are made by, unless one has its caches off. */
static void write_pat(struct input *input, struct guest *guest, unsigned who)
{
    const uint8_t flags = input_u8(input);
    struct vmmu_hyperv_config *config = &guest->partition.config;
    struct vmmu_hyperv_pats *pats = &guest->partition.pats;
    const unsigned vp = who % config->vp_count;
    const uint64_t before = pats->agreed;
    const uint64_t value = input_u8(input);
    bool alike = true;

    config->policy.pat_of_partition = flags & 1;
    config->policy.cr0_cd = (flags & 2) ? VMMU_HYPERV_CACHE_HONOR : VMMU_HYPERV_CACHE_IGNORE;
    if (flags & 4) {
        const uint64_t cr0 = (flags & 8) ? VMMU_X86_CR0_CD : 0;
        const bool was = (pats->uncached >> vp) & 1;

        FUZZ_CHECK(vmmu_hyperv_pat_follow_cr0(pats, &config->policy, vp, cr0) ==
                   (was != vmmu_hyperv_is_uncached(&config->policy, cr0)));
    } else {
        (void)vmmu_hyperv_pat_write(pats, &config->policy, config->vp_count, vp, value);
        FUZZ_CHECK(pats->of_vp[vp] == value);
    }
    for (unsigned i = 1; i < config->vp_count; i++) {
        alike = alike && pats->of_vp[i] == pats->of_vp[0];
    }
    FUZZ_CHECK(pats->agreed == (alike ? pats->of_vp[0] : before));
    FUZZ_CHECK(vmmu_hyperv_pat_of_tables(pats) == (pats->uncached ? VMMU_HYPERV_PAT_UNCACHED : pats->agreed));
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
    for (unsigned i = 0; i < HYPERV_VPS; i++) {
        vmmu_hyperv_vp_init(&guest.vp[i], i);
    }
    struct input nothing = input_of(NULL, 0);

    child_draw(&guest.child, &nothing);
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
        case 5: child_draw(&guest.child, &input); break;
        case 6: action & 0x40 ? write_pat(&input, &guest, who) : post(&input, &guest, who); break;
        default: hyperv_call(&input, &guest, who); break;
        }
    }
    return 0;
}
