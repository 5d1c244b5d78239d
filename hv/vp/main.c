/*
 * The hypervisor's life: read what is asked for, make the partitions, run them, say how each ended, leave.
 */
#include "hv/boot/boot.h"
#include "hv/boot/host.h"
#include "hv/boot/memory.h"
#include "hv/guest/config.h"
#include "hv/mmu/mmu.h"
#include "hv/monitor/monitor.h"
#include "hv/vp/arch.h"
#include "hv/vp/partitions.h"
#include "hv/vp/schedule.h"

/* Statuses of host_leave; scripts/vm knows them. */
enum leave { LEAVE_ORDERLY = 0, LEAVE_REFUSED = 1, LEAVE_STOPPED = 2 };

/* What stands between modules' bytes and one partition's guest. */
struct loading {
    struct guest_layout layout;
    struct guest_boot boot;
    bool has_kernel;
};

/* All that is asked for. */
struct plan {
    struct config_line line;
    struct loading loading[CONFIG_PARTITIONS];
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

static void read_module(const struct boot_module *from, const struct config_module *module,
                        struct loading *loading)
{
    const struct guest_blob blob = { .bytes = memory_at(from->base),
                                     .size = from->size_bytes,
                                     .command_line = module->command_line };

    switch (module->role) {
    case CONFIG_ROLE_KERNEL:
        if (loading->has_kernel) {
            refuse("two modules call themselves the kernel of one partition", from->words);
        }
        loading->has_kernel = true;
        loading->boot.kernel = blob;
        loading->boot.command_line = module->command_line;
        loading->boot.protocol = module->protocol;
        break;
    case CONFIG_ROLE_INITRD:
        if (loading->boot.modules == GUEST_MODULES) {
            refuse("there are too many modules", from->words);
        }
        loading->boot.module[loading->boot.modules++] = blob;
        break;
    case CONFIG_ROLE_PAYLOAD:
        if (loading->boot.payload.size) {
            refuse("two modules are the payload of one partition", from->words);
        }
        loading->boot.payload = blob;
        break;
    }
}

static void read_modules(const struct boot_info *info, struct plan *plan)
{
    const char *error;
    const char *at;

    for (unsigned i = 0; i < info->module_count; i++) {
        const struct boot_module *from = &info->modules[i];
        struct config_module module;

        if (config_parse_module(from->words, i == 0, &module, &error, &at) != VMMU_OK) {
            refuse(error, at);
        }
        if (module.partition >= plan->line.count) {
            refuse("a module is for a partition that there is not", from->words);
        }
        read_module(from, &module, &plan->loading[module.partition]);
    }
    for (unsigned i = 0; i < plan->line.count; i++) {
        if (!plan->loading[i].has_kernel) {
            refuse(plan->line.count == 1 ? "no module is a kernel; the boot loader must pass one"
                                         : "no module is the kernel of one of the partitions",
                   NULL);
        }
    }
}

static void read_request(const struct boot_info *info, struct plan *plan)
{
    const char *error;
    const char *at = NULL;

    if (config_parse(info->command, arch_config, &plan->line, &error, &at) != VMMU_OK) {
        refuse(error, at);
    }
    for (unsigned i = 0; i < plan->line.count; i++) {
        const struct config *config = &plan->line.partition[i];

        if (!mmu_find(config->technique, config->technique_length)) {
            refuse("there is no such technique", config->technique);
        }
        check(arch_partition_layout(config, &plan->loading[i].layout));
    }
    read_modules(info, plan);
}

/* --- making it --- */

static void make_partition(const struct config *config, const struct loading *loading)
{
    const struct mmu_technique *technique = mmu_find(config->technique, config->technique_length);
    struct partition *partition;

    check(partition_make(config, &loading->layout));
    partition = partition_at(partition_count() - 1);
    lock_take(&partition->lock);
    check(arch_partition_load(partition, &loading->layout, &loading->boot));
    lock_release(&partition->lock);
    host_print("vmmu: partition %u: %lu MiB, %u VP%s, %s on %s\n", partition->index,
               (unsigned long)(guest_memory_bytes(&partition->memory) >> 20), partition->vp_count,
               partition->vp_count == 1 ? "" : "s", technique->name, arch_backend_name());
}

/* --- its end --- */

static void tell_end(struct partition *partition)
{
    monitor_obituary(partition);
    monitor_report(partition);
}

/* One that did not end well is what the status tells of. */
static enum leave worst_outcome(void)
{
    for (unsigned i = 0; i < partition_count(); i++) {
        if (partition_at(i)->outcome == PARTITION_STOPPED) {
            return LEAVE_STOPPED;
        }
    }
    return LEAVE_ORDERLY;
}

_Noreturn void hv_main(const struct boot_info *info)
{
    static struct plan plan;

    read_request(info, &plan);
    check(arch_host_start());
    for (unsigned i = 0; i < plan.line.count; i++) {
        make_partition(&plan.line.partition[i], &plan.loading[i]);
    }
    monitor_ready();
    schedule_run(tell_end);
    host_leave(worst_outcome());
}
