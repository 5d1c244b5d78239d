#include "hv/boot/boot.h"
#include "hv/boot/host.h"
#include "hv/boot/memory.h"
#include "hv/ppc/cpu.h"
void hv_main(const struct boot_info *info)
{
    host_print("loader=%s\nimage=%jx\n", info->loader, info->image_base.v);
    host_print("total=%ju\nfree=%ju\n", memory_total_bytes(), memory_free_bytes());
    for (unsigned i = 0; i < info->module_count; i++) {
        host_print("module=%ju [%s]\n", info->modules[i].size_bytes, info->modules[i].words);
    }
    host_timer_arm(host_clock_ns() + 100000000);
    while (!host_timer_fired()) {
        host_wait();
    }
    host_print("clock=%ju interrupts=%ju\n", host_clock_ns(), host_interrupt_count());
    if (info->command[0] == 'n') {
        *(volatile uint32_t *)8 = 3;
    }
    host_leave(0);
}
