/*
 * Partitions and VPs of x86 come into being: the board, CPUID and MSRs, the state in
 * which a loaded image starts.
 */
#include "hv/boot/memory.h"
#include "hv/guest/config_x86.h"
#include "hv/guest/firmware.h"
#include "hv/guest/start.h"
#include "hv/mmu/x86.h"
#include "hv/vp/schedule.h"
#include "hv/vp/serial.h"
#include "hv/x86/cpu.h"
#include "hv/x86/host.h"
#include "hv/x86/vp/wall_clock.h"
#include "hv/x86/vp/x86.h"

#define APIC_HZ                 UINT64_C(1000000000)
#define RFLAGS_RESET            2
#define CPUID_EXTENDED_FEATURES 0x80000001u
#define CPUID_RDTSCP            (1u << 27)  /* of EDX */
#define VENDOR_AMD_EBX          0x68747541u /* "Auth" */
#define VENDOR_HYGON_EBX        0x6F677948u /* "Hygo" */

/* What the parent of others has besides. */
#define PARENTS_PRIVILEGES                                                                                   \
    (VMMU_HYPERV_PRIVILEGE_SYNIC | VMMU_HYPERV_PRIVILEGE_CHILDREN | VMMU_HYPERV_PRIVILEGE_VP_REGISTERS)

/* Access rights of flat segments: present, accessed, 4 KiB granularity. */
#define FLAT_CODE64 0xA09B
#define FLAT_CODE32 0xC09B
#define FLAT_DATA   0xC093

static const struct x86_backend *backend;

static bool host_is_amd(void)
{
    const uint32_t ebx = cpuid(0, 0).ebx;

    return ebx == VENDOR_AMD_EBX || ebx == VENDOR_HYGON_EBX;
}

/* VT-x is Intel's, and of those who follow Intel. */
const char *arch_host_start(void)
{
    backend = host_is_amd() ? &x86_svm : &x86_vmx;
    return backend->start();
}

const char *arch_backend_name(void)
{
    return backend->name;
}

const struct config_arch *const arch_config = &config_x86;

const struct mmu_technique *const arch_techniques[] = { &mmu_nested, &mmu_shadow, NULL };

const char *arch_stage2(struct vmmu_nested_config *config)
{
    return backend->stage2(config);
}

const char *arch_shadow(struct vmmu_shadow_config *config)
{
    return backend->shadow(config);
}

bool arch_phase_stage2(struct vmmu_nested_config *config)
{
    return backend->phase_stage2 && !backend->phase_stage2(config);
}

/* --- hooks of the board --- */

static uint64_t hook_now_ns(void *context)
{
    return partition_clock_ns(context);
}

static uint64_t hook_tsc_now(void *context, unsigned vp)
{
    const struct partition *partition = context;

    return x86_tsc(partition->vps[vp]);
}

static void draw_attention(struct vp *vp)
{
    vp->attention |= VP_ATTENTION_EVENT;
    schedule_notice(vp);
}

static void hook_request(void *context, unsigned vp)
{
    const struct partition *partition = context;

    draw_attention(partition->vps[vp]);
}

static void hook_nmi(void *context, unsigned vp)
{
    const struct partition *partition = context;

    partition->vps[vp]->arch->nmi_pending = true;
    draw_attention(partition->vps[vp]);
}

/* The bootstrap VP would run the firmware, which starts the machine anew. */
static void hook_init(void *context, unsigned vp)
{
    struct partition *partition = context;

    if (vp == 0) {
        partition_end(partition, PARTITION_RESET, 0, "INIT");
    } else {
        x86_init(partition->vps[vp]);
    }
}

static void hook_sipi(void *context, unsigned vp, uint8_t vector)
{
    const struct partition *partition = context;

    x86_start_up(partition->vps[vp], vector);
}

static void hook_power(void *context, enum pc_power what)
{
    partition_end(context, what == PC_POWER_OFF ? PARTITION_POWER_OFF : PARTITION_RESET, 0, NULL);
}

static void hook_debug_exit(void *context, uint32_t value)
{
    partition_end(context, PARTITION_DEBUG_EXIT, value, NULL);
}

static void hook_debug_stop(void *context)
{
    const struct partition *partition = context;

    if (partition->config->stop_port) {
        partition_hold(context);
    }
}

static void hook_serial_write(void *context, unsigned port, uint8_t byte)
{
    serial_write(context, port, byte);
}

bool arch_partition_receive(struct partition *partition, unsigned port, uint8_t byte)
{
    return pc_serial_receive(&partition->arch->pc, port, byte);
}

/* --- partitions --- */

static struct x86_cpuid_regs read_host_cpuid(void *context, uint32_t leaf, uint32_t subleaf)
{
    uint32_t out[4];

    (void)context;
    host_cpuid(leaf, subleaf, out);
    return (struct x86_cpuid_regs){ .eax = out[0], .ebx = out[1], .ecx = out[2], .edx = out[3] };
}

static enum vmmu_status create_board(struct partition *partition)
{
    const struct pc_hooks hooks = {
        .context = partition,
        .now_ns = hook_now_ns,
        .tsc_now = hook_tsc_now,
        .request = hook_request,
        .nmi = hook_nmi,
        .init = hook_init,
        .sipi = hook_sipi,
        .power = hook_power,
        .debug_exit = hook_debug_exit,
        .debug_stop = hook_debug_stop,
        .serial_write = hook_serial_write,
    };
    struct pc_config config = {
        .vps = partition->vp_count,
        .tsc_hz = host_tsc_hz(),
        .apic_hz = APIC_HZ,
        .wall_clock_s = x86_wall_clock_s(),
        .physical_address_bits = cpu_maxphyaddr(),
        .serial_ports = BIT64(PARTITION_SERIALS) - 1,
        .x2apic = true,
        .tsc_deadline = true,
    };

    for (unsigned i = 0; i < partition->memory.count; i++) {
        const struct guest_slot *slot = &partition->memory.slot[i];

        if (slot->gpa.v < GUEST_HIGH_BASE) {
            config.memory_below_4g_bytes += slot->size;
        } else {
            config.memory_above_4g_bytes += slot->size;
        }
    }
    return pc_init(&partition->arch->pc, &config, &hooks);
}

static enum vmmu_status create_enlightenments(struct partition *partition)
{
    const struct vmmu_hyperv_config config = {
        .tsc_hz = host_tsc_hz(),
        .apic_hz = APIC_HZ,
        .vp_count = partition->vp_count,
        .maxphyaddr = cpu_maxphyaddr(),
        .tsc_is_invariant = true,
        .apic_msrs = true,
        .partition_id = partition->index + 1,
        .privileges = partition->config->is_parent ? PARENTS_PRIVILEGES : 0,
        .policy = partition->config->policy,
        .call_instruction = backend->call_instruction,
    };

    partition->arch->enlightened = partition->config->enlightenments;
    return vmmu_hyperv_partition_init(&partition->arch->hyperv, &config, 0);
}

const char *arch_partition_create(struct partition *partition)
{
    vmmu_hpa at;

    if (!memory_take(sizeof *partition->arch, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for the devices";
    }
    partition->arch = memory_at(at);
    __builtin_memset(partition->arch, 0, sizeof *partition->arch);
    partition->arch->tsc_offset = 0 - rdtsc();
    if (create_enlightenments(partition) != VMMU_OK) {
        return "the processor's clock has a frequency that the guest could not be told";
    }
    return NULL;
}

static enum vmmu_status write_firmware(struct partition *partition, vmmu_gpa *rsdp)
{
    const struct x86_cpuid_regs leaf1 =
        x86_cpuid_lookup(&partition->vps[0]->arch->cpuid, 1, 0, &(struct x86_cpuid_state){ 0 });
    const struct guest_firmware firmware = {
        .tables = partition->config->firmware,
        .vp_count = partition->vp_count,
        .cpu_signature = leaf1.eax,
        .cpu_features = leaf1.edx,
    };

    return guest_firmware_write(&partition->memory, &firmware, rsdp);
}

const char *arch_partition_layout(const struct config *config, struct guest_layout *layout)
{
    const char *error;

    return guest_layout_make(config->memory_bytes, layout, &error) == VMMU_OK ? NULL : error;
}

/* The board comes after the VPs: it looks at their clocks. */
static const char *start_board(struct partition *partition, vmmu_gpa *rsdp)
{
    if (create_board(partition) != VMMU_OK) {
        return "the processor's clock has a frequency that the devices cannot count";
    }
    pc_firmware_handover(&partition->arch->pc);
    if (write_firmware(partition, rsdp) != VMMU_OK) {
        return "the firmware's tables do not fit into the guest's memory";
    }
    return NULL;
}

static void build_cpuid(struct vp *vp)
{
    struct vp_arch *arch = vp->arch;
    const struct x86_cpuid_config cpuid_config = {
        .host = { .read = read_host_cpuid },
        .hyperv = vp->partition->arch->enlightened ? &vp->partition->arch->hyperv : NULL,
        .apic_id = vp->index,
        .vp_count = vp->partition->vp_count,
        .withhold = (x86_has_xsave() ? 0 : X86_WITHHOLD_XSAVE) |
                    (arch->walks_guest ? 0 : X86_WITHHOLD_PCID), /* tables of ours know none */
    };
    const struct x86_msrs_config msrs_config = {
        .maxphyaddr = cpu_maxphyaddr(),
        .is_amd = host_is_amd(),
        .is_bsp = vp->index == 0,
        .hyperv = vp->partition->arch->enlightened,
        .x2apic = true,
        .rdtscp = cpuid(CPUID_EXTENDED_FEATURES, 0).edx & CPUID_RDTSCP,
        .apic_id = vp->index,
    };

    x86_cpuid_build(&arch->cpuid, &cpuid_config);
    x86_cpuid_paging(&arch->cpuid, &arch->cpu);
    x86_msrs_reset(&arch->msrs, &msrs_config);
}

const char *arch_vp_create(struct vp *vp)
{
    const char *why;
    vmmu_hpa at;

    if (!memory_take(sizeof *vp->arch, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for a virtual processor";
    }
    vp->arch = memory_at(at);
    __builtin_memset(vp->arch, 0, sizeof *vp->arch);
    vp->arch->backend = backend;
    vp->arch->walks_guest = mmu_root(vp).nested;
    vp->arch->pdptes_in_memory = vp->arch->walks_guest && !backend->write_pdptes;
    vp->partition->arch->hyperv.config.second_level = vp->arch->walks_guest;
    vmmu_hyperv_vp_init(&vp->arch->hyperv, vp->index);
    build_cpuid(vp);
    if (!x86_extended_create(vp)) {
        return "no memory is left for a virtual processor's extended state";
    }
    why = backend->vp_create(vp);
    if (!why) {
        x86_reset_registers(vp);
        backend->write_tsc_offset(vp, vp->partition->arch->tsc_offset);
    }
    return why;
}

/* Put a VP where a loaded image wants to start. */
static void start_vp(struct vp *vp, const struct guest_start *start)
{
    struct vmmu_x86_state *state = x86_state(vp);
    const uint16_t code = start->kind == GUEST_START_LONG64 ? FLAT_CODE64 : FLAT_CODE32;

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        const bool is_code = i == VMMU_X86_CS;
        const struct vmmu_x86_segment segment = { .limit = UINT32_MAX,
                                                  .selector =
                                                      is_code ? start->code_selector : start->data_selector,
                                                  .attributes = is_code ? code : FLAT_DATA };

        backend->write_segment(vp, (enum vmmu_x86_segment_name)i, &segment);
    }
    backend->write_table(vp, false, start->gdt_base, start->gdt_limit);
    backend->write_table(vp, true, 0, 0);
    backend->write_efer(vp, start->efer);
    backend->write_control(vp, 0, start->cr0);
    backend->write_control(vp, 3, start->cr3);
    backend->write_control(vp, 4, start->cr4);
    __builtin_memset(state->gpr, 0, sizeof state->gpr);
    state->gpr[VMMU_X86_RAX] = start->rax;
    state->gpr[VMMU_X86_RBX] = start->rbx;
    state->gpr[VMMU_X86_RSI] = start->rsi;
    state->gpr[VMMU_X86_RSP] = start->rsp;
    state->rip = start->rip;
    state->rflags = RFLAGS_RESET;
    vp->arch->code_complete = false;
    vp->arch->segments_complete = false;
    x86_paging_changed(vp);
}

const char *arch_partition_load(struct partition *partition, const struct guest_layout *layout,
                                const struct guest_boot *boot)
{
    struct guest_boot with_firmware = *boot;
    vmmu_gpa rsdp = { 0 };
    struct guest_start start;
    const char *error = start_board(partition, &rsdp);

    if (error) {
        return error;
    }
    with_firmware.rsdp = rsdp.v;
    if (guest_load(&partition->memory, layout, &with_firmware, &start, &error) != VMMU_OK) {
        return error ? error : "the guest's image could not be loaded";
    }
    start_vp(partition->vps[0], &start);
    return NULL;
}

/* --- what the neutral loop asks all the time --- */

/* While others could run, whoever waits for them by spinning is better told to stop. */
static void watch_pause(struct vp *vp)
{
    const bool others_wait = schedule_slice_end_ns() != HOST_TIMER_OFF;

    if (others_wait != vp->arch->pause_exits) {
        vp->arch->pause_exits = others_wait;
        backend->watch_pause(vp, others_wait);
    }
}

void arch_vp_enter(struct vp *vp, struct exit *exit)
{
    x86_switch_to(vp);
    watch_pause(vp);
    vp->arch->code_complete = false;
    vp->arch->segments_complete = false;
    backend->enter(vp, exit);
}

void arch_partition_hold(struct partition *partition)
{
    partition->arch->held_tsc = rdtsc();
}

/* The VPs' counters go on where they stood, in step. */
void arch_partition_release(struct partition *partition)
{
    const uint64_t lost = rdtsc() - partition->arch->held_tsc;

    for (unsigned i = 0; i < partition->vp_count; i++) {
        backend->write_tsc_offset(partition->vps[i], backend->tsc_offset(partition->vps[i]) - lost);
    }
}

void arch_vp_flush(struct vp *vp, const struct vmmu_plan *plan)
{
    (void)plan;
    backend->flush_stage2(vp);
}

uint64_t arch_partition_deadline(const struct partition *partition)
{
    uint64_t earliest_ns = UINT64_MAX;

    for (unsigned i = 0; i < partition->vp_count; i++) {
        earliest_ns = clock_earlier(earliest_ns, pc_deadline(&partition->arch->pc, i));
    }
    return earliest_ns;
}

void arch_partition_advance(struct partition *partition, uint64_t now_ns)
{
    for (unsigned i = 0; i < partition->vp_count; i++) {
        x86_settle_eoi(partition->vps[i]);
        pc_advance(&partition->arch->pc, i, now_ns);
    }
}

uint64_t arch_vp_ip(const struct vp *vp)
{
    return vp->arch->state.rip;
}
