/*
 * Partitions and VPs of the e500 machine come into being: the board, the registers, the state in which a loaded image starts.
 */
#include "hv/boot/host.h"
#include "hv/boot/memory.h"
#include "hv/guest/e500.h"
#include "hv/mmu/booke.h"
#include "hv/ppc/core/sprs.h"
#include "hv/ppc/ground.h"
#include "hv/ppc/vp/ppc.h"
#include "hv/vp/serial.h"

/* Of the emulated machine's clocks; the time base is the processor's own. */
#define PLATFORM_HZ  UINT32_C(400000000)
#define SERIAL_PORTS (BIT64(PARTITION_SERIALS) - 1)

/* The entry that the boot program is to leave: all rights, since its client may go on with it in any state. */
#define INITIAL_RIGHTS                                                                                       \
    (VMMU_MAS3_UX | VMMU_MAS3_SX | VMMU_MAS3_UW | VMMU_MAS3_SW | VMMU_MAS3_UR | VMMU_MAS3_SR)

static const struct config_arch words = { .start = NULL };
const struct config_arch *const arch_config = &words;
const struct mmu_technique *const arch_techniques[] = { &mmu_booke, NULL };

const char *arch_host_start(void)
{
    ppc_sprs_init();
    return NULL;
}

const char *arch_backend_name(void)
{
    return "e500";
}

const char *arch_partition_layout(const struct config *config, struct guest_layout *layout)
{
    const char *error = NULL;

    if (config->vp_count != 1) {
        return "a guest of this machine has one processor";
    }
    if (config->is_parent) {
        return "no partition can be the parent of others on this machine";
    }
    return guest_layout_e500(config->memory_bytes, layout, &error) == VMMU_OK ? NULL : error;
}

/* --- hooks of the board --- */

static uint64_t hook_now_ns(void *context)
{
    return partition_clock_ns(context);
}

static void hook_request(void *context, unsigned vp)
{
    const struct partition *partition = context;
    struct vp_arch *arch = partition->vps[vp]->arch;

    arch->core.pending |= PPC_PENDING_EXTERNAL | PPC_PENDING_CRITICAL;
    ppc_draw_attention(arch->vp);
}

/* It would start again at the reset vector, where the firmware is. */
static void hook_core_reset(void *context, unsigned vp)
{
    (void)vp;
    partition_end(context, PARTITION_RESET, 0, "a core's reset");
}

static void hook_power(void *context, enum e500_power what)
{
    partition_end(context, what == E500_POWER_OFF ? PARTITION_POWER_OFF : PARTITION_RESET, 0, NULL);
}

static void hook_debug_exit(void *context, uint32_t value)
{
    partition_end(context, PARTITION_DEBUG_EXIT, value, NULL);
}

static void hook_serial_write(void *context, unsigned port, uint8_t byte)
{
    serial_write(context, port, byte);
}

bool arch_partition_receive(struct partition *partition, unsigned port, uint8_t byte)
{
    return e500_serial_receive(&partition->arch->board, port, byte);
}

/* --- partitions --- */

const char *arch_partition_create(struct partition *partition)
{
    vmmu_hpa at;

    if (!memory_take(sizeof *partition->arch, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for the devices";
    }
    partition->arch = memory_at(at);
    __builtin_memset(partition->arch, 0, sizeof *partition->arch);
    return NULL;
}

static enum vmmu_status create_board(struct partition *partition)
{
    const struct ppc_core *core = &partition->vps[0]->arch->core;
    const struct e500_hooks hooks = {
        .context = partition,
        .now_ns = hook_now_ns,
        .request = hook_request,
        .core_reset = hook_core_reset,
        .power = hook_power,
        .debug_exit = hook_debug_exit,
        .serial_write = hook_serial_write,
    };
    const struct e500_config config = { .vps = partition->vp_count,
                                        .platform_hz = PLATFORM_HZ,
                                        .pvr = core->pvr,
                                        .svr = core->svr,
                                        .serial_ports = SERIAL_PORTS };

    return e500_init(&partition->arch->board, &config, &hooks);
}

/* --- VPs --- */

const char *arch_vp_create(struct vp *vp)
{
    struct vp_arch *arch;
    vmmu_hpa at;

    if (!memory_take(sizeof *vp->arch, VMMU_PAGE_BYTES, false, &at)) {
        return "no memory is left for a virtual processor";
    }
    arch = memory_at(at);
    __builtin_memset(arch, 0, sizeof *arch);
    arch->vp = vp;
    arch->booke = mmu_booke_of(vp);
    arch->real = mmu_booke_real();
    arch->generation = arch->real->generation;
    arch->due_ns = CLOCK_NEVER;
    arch->core.mmu = (uint32_t)(uintptr_t)arch->booke;
    arch->core.pir = vp->index;
    e500_describe(&arch->core);
    arch->core.tlb0cfg = arch->booke->config.tlbcfg[0];
    arch->core.tlb1cfg = arch->booke->config.tlbcfg[1];
    ppc_core_reset(&arch->core);
    vp->arch = arch;
    return NULL;
}

/* Spec: ePAPR "Boot CPU Initial Register State", "Initial Mapped Areas". */
static void map_initially(struct vmmu_booke *booke, uint32_t bytes)
{
    uint32_t size = 0;

    while (UINT64_C(1024) << 2 * (size + 1) <= bytes) {
        size++;
    }
    vmmu_booke_set(booke, VMMU_BOOKE_MAS0, UINT32_C(1) << VMMU_MAS0_TLBSEL_SHIFT);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS1, VMMU_MAS1_VALID | size << VMMU_MAS1_TSIZE_SHIFT);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS2, 0);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS3, INITIAL_RIGHTS);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS7, 0);
    (void)vmmu_booke_write(booke);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS1, 0);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS3, 0);
    vmmu_booke_set(booke, VMMU_BOOKE_MAS0, 0);
}

static void start(struct vp_arch *arch, const struct e500_start *at)
{
    struct ppc_core *core = &arch->core;

    map_initially(arch->booke, at->map_bytes);
    core->pc = at->entry;
    core->gpr[1] = at->stack;
    core->gpr[3] = at->device_tree;
    core->gpr[6] = at->magic;
    core->gpr[7] = at->map_bytes;
    core->run_msr = e500_run_msr(arch);
    core->timers.seen = 0;
    ppc_look_at_timers(arch);
}

const char *arch_partition_load(struct partition *partition, const struct guest_layout *layout,
                                const struct guest_boot *boot)
{
    const struct e500_machine machine = {
        .device_tree = e500_device_tree,
        .device_tree_bytes = (uint64_t)(e500_device_tree_end - e500_device_tree),
        .timebase_hz = (uint32_t)host_timebase_hz(),
        .clock_hz = PLATFORM_HZ,
        .platform_hz = PLATFORM_HZ,
        .vps = partition->vp_count,
        .serial_ports = SERIAL_PORTS,
    };
    struct e500_start at;
    const char *error = "the guest's image could not be loaded";

    (void)layout; /* the loader's own */
    if (boot->protocol != CONFIG_PROTOCOL_ANY && boot->protocol != CONFIG_PROTOCOL_EPAPR) {
        return "guests of this machine are entered as ePAPR has it";
    }
    if (create_board(partition) != VMMU_OK) {
        return "the processor's clock has a frequency that the devices cannot count";
    }
    if (guest_load_e500(&partition->memory, boot, &machine, &at, &error) != VMMU_OK) {
        return error;
    }
    start(partition->vps[0]->arch, &at);
    return NULL;
}

uint64_t arch_vp_ip(const struct vp *vp)
{
    return vp->arch->core.pc;
}
