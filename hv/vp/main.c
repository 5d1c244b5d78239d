/*
 * The hypervisor's life: read what is asked for, make the partition, run it, say how it ended, leave.
 *
 * One partition today. Nothing below this file knows that: it takes and hands on `struct partition *`.
 */
#include "hv/boot/boot.h"
#include "hv/boot/host.h"
#include "hv/boot/memory.h"
#include "hv/guest/config.h"
#include "hv/guest/start.h"
#include "hv/mmu/mmu.h"
#include "hv/monitor/monitor.h"
#include "hv/vp/arch.h"

/* Statuses of host_leave; scripts/vm knows them. */
enum leave { LEAVE_ORDERLY = 0, LEAVE_REFUSED = 1, LEAVE_STOPPED = 2 };

/* What stands between a module's bytes and a guest. */
struct loading {
    struct config config;
    struct guest_layout layout;
    struct guest_boot boot;
    enum config_protocol protocol;
};

static _Noreturn void refuse(const char *why, const char *about)
{
    unsigned length = 0;

    while (about && about[length] && about[length] != ' ' && length < 60) {
        length++;
    }
    host_print("vmmu: refused: %s%s%.*s\n", why, length ? ": " : "", (int)length, length ? about : "");
    monitor_refused(why);
    host_leave(LEAVE_REFUSED);
}

static void check(const char *why)
{
    if (why) {
        refuse(why, NULL);
    }
}

/* --- what is asked for --- */

static void read_modules(const struct boot_info *info, struct loading *loading)
{
    const char *error;
    const char *at;
    bool has_kernel = false;

    for (unsigned i = 0; i < info->module_count; i++) {
        const struct boot_module *from = &info->modules[i];
        struct config_module module;
        struct guest_blob blob = { .bytes = memory_at(from->base), .size = from->size_bytes };

        if (config_parse_module(from->words, i == 0, &module, &error, &at) != VMMU_OK) {
            refuse(error, at);
        }
        blob.command_line = module.command_line;
        if (module.role == CONFIG_ROLE_KERNEL) {
            if (has_kernel) {
                refuse("two modules call themselves the kernel", from->words);
            }
            has_kernel = true;
            loading->boot.kernel = blob;
            loading->boot.command_line = module.command_line;
            loading->protocol = module.protocol;
        } else if (loading->boot.modules == GUEST_MODULES) {
            refuse("there are too many modules", from->words);
        } else {
            loading->boot.module[loading->boot.modules++] = blob;
        }
    }
    if (!has_kernel) {
        refuse("no module is a kernel; the boot loader must pass one", NULL);
    }
}

static void read_request(const struct boot_info *info, struct loading *loading)
{
    const char *error;
    const char *at = NULL;

    if (config_parse(info->command, &loading->config, &error, &at) != VMMU_OK) {
        refuse(error, at);
    }
    if (!mmu_find(loading->config.technique, loading->config.technique_length)) {
        refuse("there is no such technique", loading->config.technique);
    }
    if (guest_layout_make(loading->config.memory_bytes, &loading->layout, &error) != VMMU_OK) {
        refuse(error, NULL);
    }
    read_modules(info, loading);
}

/* --- making it --- */

/* The alignment that lets the largest pages map a piece of that size. */
static uint64_t best_alignment(uint64_t size_bytes)
{
    return size_bytes >= VMMU_1G_BYTES ? VMMU_1G_BYTES : VMMU_2M_BYTES;
}

static bool take_piece(uint64_t size_bytes, vmmu_hpa *at)
{
    return memory_take(size_bytes, best_alignment(size_bytes), false, at) ||
           memory_take(size_bytes, VMMU_2M_BYTES, false, at);
}

/*
 * Take up to @wanted bytes in one piece: all of it, else the largest piece there is, in whole 2 MiB. The
 * machine's memory has holes (the one below 4 GiB at least), so a large partition may need several. Returns
 * its size; 0: none is left.
 */
static uint64_t take_largest_piece(uint64_t wanted, vmmu_hpa *at)
{
    uint64_t fits = 0;
    uint64_t too_much = wanted / VMMU_2M_BYTES;

    if (take_piece(wanted, at)) {
        return wanted;
    }
    while (too_much - fits > 1) {
        const uint64_t middle = fits + (too_much - fits) / 2;

        if (take_piece(middle * VMMU_2M_BYTES, at)) {
            memory_give(*at, middle * VMMU_2M_BYTES);
            fits = middle;
        } else {
            too_much = middle;
        }
    }
    return fits && take_piece(fits * VMMU_2M_BYTES, at) ? fits * VMMU_2M_BYTES : 0;
}

/* Memory that another guest may have had is cleared before this one sees it. */
static void take_range(struct partition *partition, const struct guest_range *range)
{
    uint64_t taken = 0;

    while (taken < range->size) {
        struct guest_slot slot = { .gpa = { range->gpa.v + taken } };

        slot.size = take_largest_piece(range->size - taken, &slot.hpa);
        if (!slot.size) {
            host_print("vmmu: %lu MiB are missing\n", (unsigned long)((range->size - taken) >> 20));
            refuse("the machine has not enough memory for the partition", NULL);
        }
        slot.host = memory_at(slot.hpa);
        __builtin_memset(slot.host, 0, slot.size);
        if (guest_memory_add(&partition->memory, &slot) != VMMU_OK) {
            refuse("the machine's memory is in too many pieces for the partition", NULL);
        }
        taken += slot.size;
    }
}

static struct partition *make_partition(const struct loading *loading)
{
    struct partition *partition;
    vmmu_hpa at;

    if (!memory_take(sizeof *partition, VMMU_PAGE_BYTES, false, &at)) {
        refuse("no memory is left for a partition", NULL);
    }
    partition = memory_at(at);
    __builtin_memset(partition, 0, sizeof *partition);
    partition->config = &loading->config;
    partition->vp_count = 1;
    for (unsigned i = 0; i < PARTITION_SERIALS; i++) {
        partition->held_bytes[i] = -1;
    }
    for (unsigned i = 0; i < loading->layout.ranges; i++) {
        take_range(partition, &loading->layout.range[i]);
    }
    check(arch_partition_create(partition));
    check(mmu_create(partition, mmu_find(loading->config.technique, loading->config.technique_length)));
    for (unsigned i = 0; i < partition->vp_count; i++) {
        struct vp *vp;

        if (!memory_take(sizeof *vp, VMMU_PAGE_BYTES, false, &at)) {
            refuse("no memory is left for a virtual processor", NULL);
        }
        vp = memory_at(at);
        __builtin_memset(vp, 0, sizeof *vp);
        vp->partition = partition;
        vp->index = i;
        partition->vps[i] = vp;
        check(arch_vp_create(vp));
    }
    return partition;
}

static void load_guest(struct partition *partition, struct loading *loading)
{
    struct guest_start start;
    enum vmmu_status status = VMMU_INVALID;
    const char *error = NULL;
    vmmu_gpa rsdp = { 0 };

    check(arch_partition_start(partition, &rsdp));
    loading->boot.rsdp = rsdp.v;
    switch (loading->protocol) {
    case CONFIG_PROTOCOL_ANY:
        status = guest_load(&partition->memory, &loading->layout, &loading->boot, &start, &error);
        break;
    case CONFIG_PROTOCOL_MULTIBOOT:
        status = guest_load_multiboot(&partition->memory, &loading->layout, &loading->boot, &start, &error);
        break;
    case CONFIG_PROTOCOL_LINUX:
        status =
            guest_format_of(&loading->boot.kernel) == GUEST_FORMAT_VMLINUX
                ? guest_load_vmlinux(&partition->memory, &loading->layout, &loading->boot, &start, &error)
                : guest_load_linux(&partition->memory, &loading->layout, &loading->boot, &start, &error);
        break;
    }
    if (status != VMMU_OK) {
        refuse(error ? error : "the guest's image could not be loaded", NULL);
    }
    arch_vp_start(partition->vps[0], &start);
}

_Noreturn void hv_main(const struct boot_info *info)
{
    static struct loading loading;
    struct partition *partition;

    read_request(info, &loading);
    check(arch_host_start());
    partition = make_partition(&loading);
    load_guest(partition, &loading);
    host_print("vmmu: partition 0: %lu MiB, %u VP, %.*s on %s\n",
               (unsigned long)(guest_memory_bytes(&partition->memory) >> 20), partition->vp_count,
               (int)loading.config.technique_length, loading.config.technique, arch_backend_name());
    monitor_ready();

    partition_run(partition);

    monitor_obituary(partition);
    monitor_report(partition);
    host_leave(partition->outcome == PARTITION_STOPPED ? LEAVE_STOPPED : LEAVE_ORDERLY);
}
