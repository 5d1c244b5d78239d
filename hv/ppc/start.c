/*
 * From start.S to hv_main: every part of the ground in the order in which they lean on each other.
 */
#include "hv/boot/bundle.h"
#include "hv/boot/fdt_boot.h"
#include "hv/boot/memory.h"
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

#define MIB               UINT64_C(0x100000)
#define LEAST_BYTES       (8 * MIB)
#define MAPPED_AT_FIRST   0x10000000u /* of memory, by start.S */
#define TIMEBASE_LEAST_HZ 1000000
#define MHZ               1000000

_Noreturn void machine_start(uint32_t tree, uint32_t magic, uint32_t mapped_bytes);

static struct boot_info info;
static struct fdt_boot machine;

static void read_tree(uint32_t tree, uint32_t magic, uint32_t mapped_bytes)
{
    if (magic != EPAPR_MAGIC) {
        ground_refuse("the loader does not speak ePAPR (magic number 0x%x)", magic);
    }
    const uint32_t end = mapped_bytes < MAPPED_AT_FIRST ? mapped_bytes : MAPPED_AT_FIRST;
    if (tree >= end) {
        ground_refuse("the device tree at 0x%x lies outside the loader's map of %u bytes", tree,
                      mapped_bytes);
    }
    const char *const error = fdt_boot_read(memory_at((vmmu_hpa){ tree }), end - tree, &info, &machine);
    if (error != NULL) {
        ground_refuse("%s", error);
    }
    if (machine.timebase_hz < TIMEBASE_LEAST_HZ) {
        ground_refuse("a time base of %u Hz is too slow", machine.timebase_hz);
    }
    info.loader = "ePAPR";
    info.image_base = (vmmu_hpa){ LAYOUT_LOAD_BASE };
    info.image_bytes = (uintptr_t)image_end - LAYOUT_WINDOW - LAYOUT_LOAD_BASE;
}

/* Needs all of memory mapped. */
static void read_bundle(void)
{
    if (machine.bundle_bytes == 0) {
        return;
    }
    const vmmu_hpa base = { machine.bundle_base };
    if (!vmmu_range_fits(base.v, machine.bundle_bytes,
                         machine.memory_bytes < MEMORY_MAPPED_BYTES ? machine.memory_bytes
                                                                    : MEMORY_MAPPED_BYTES)) {
        ground_refuse("the bundle of modules lies outside memory");
    }
    const char *const error = bundle_read(memory_at(base), machine.bundle_bytes, base, &info);
    if (error != NULL) {
        ground_refuse("%s", error);
    }
}

static void introduce(void)
{
    host_print("vmmu: the hypervisor starts\n");
    host_print("  loader     %s, on a %s\n", info.loader,
               machine.model[0] != '\0' ? machine.model : "machine without a name");
    if (info.command[0] != '\0') {
        host_print("  command    %s\n", info.command);
    }
    host_print("  image      0x%jx, %u KiB of code, %u KiB of data\n", info.image_base.v,
               (unsigned)(image_text_end - image_text) / 1024, (unsigned)(image_end - image_data) / 1024);
    host_print("  modules    %u\n", info.module_count);
    host_print("  memory     %ju MiB, %ju MiB of it free\n", memory_total_bytes() / MIB,
               memory_free_bytes() / MIB);
    host_print("  processor  version %08x, %u of %u large translations for guests\n", SPR_READ(SPR_PVR),
               tlb1_guest_entries(), TLB1_ENTRIES);
    host_print("  clock      time base %u.%03u MHz\n", machine.timebase_hz / MHZ,
               machine.timebase_hz / 1000 % 1000);
}

void machine_start(uint32_t tree, uint32_t magic, uint32_t mapped_bytes)
{
    vectors_init();
    serial_init(0);
    read_tree(tree, magic, mapped_bytes);
    serial_init(machine.serial_clock_hz);
    tlb_init(machine.memory_bytes);
    read_bundle();
    memory_init(&info);
    if (memory_free_bytes() < LEAST_BYTES) {
        ground_refuse("not enough memory: %ju KiB free, %ju MiB needed", memory_free_bytes() / 1024,
                      LEAST_BYTES / MIB);
    }
    host_mpic_init();
    clock_init(machine.timebase_hz);
    serial_enable_interrupts();
    introduce();
    hv_main(&info);
}
