/*
 * From entry.S to hv_main: every part of the ground in the order in which they lean on each other.
 */
#include "hv/boot/memory.h"
#include "hv/boot/multiboot.h"
#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define LIMIT_4G       (UINT64_C(1) << 32)
#define MIB            UINT64_C(0x100000)
#define LEAST_BYTES    (8 * MIB)
#define BRAND_LEAF     0x80000002
#define BRAND_LEAVES   3
#define WORDS_PER_LEAF 4
#define SIZES_LEAF     0x80000008

_Noreturn void machine_start(uint32_t magic, uint32_t information, uint32_t image_base);

static struct boot_info info;

/* What entry.S has mapped: the first 4 GiB. */
static const void *reach(void *context, uint64_t address, uint64_t size_bytes)
{
    (void)context;
    return vmmu_range_fits(address, size_bytes, LIMIT_4G) ? memory_at((vmmu_hpa){ address }) : NULL;
}

static void read_boot_information(uint32_t magic, uint32_t information, uint32_t image_base)
{
    static const struct boot_window window = { NULL, reach };
    const enum boot_outcome outcome = boot_read(magic, information, &window, &info);
    if (outcome != BOOT_FOUND) {
        ground_refuse("%s (magic number 0x%x)", boot_outcome_sentence(outcome), magic);
    }
    info.image_base = (vmmu_hpa){ image_base };
    info.image_bytes = (uint64_t)(uintptr_t)image_end - LAYOUT_WINDOW;
}

/* The processor's name as it gives it, without the blanks that some pad it with. */
static const char *brand(char text[BRAND_LEAVES * WORDS_PER_LEAF * 4 + 1])
{
    if (cpuid(0x80000000, 0).eax < BRAND_LEAF + BRAND_LEAVES - 1) {
        return "unnamed";
    }
    uint32_t words[WORDS_PER_LEAF];
    for (uint32_t i = 0; i < BRAND_LEAVES; i++) {
        host_cpuid(BRAND_LEAF + i, 0, words);
        __builtin_memcpy(text + i * sizeof(words), words, sizeof(words));
    }
    text[BRAND_LEAVES * sizeof(words)] = '\0';
    while (*text == ' ') {
        text++;
    }
    return text;
}

static unsigned physical_bits(void)
{
    return cpuid(0x80000000, 0).eax >= SIZES_LEAF ? cpuid(SIZES_LEAF, 0).eax & 0xff : 36;
}

static void print_mhz(const char *what, uint64_t hz)
{
    host_print("%s %lu.%03lu MHz", what, hz / 1000000, hz / 1000 % 1000);
}

static void introduce(uint32_t magic)
{
    char text[BRAND_LEAVES * WORDS_PER_LEAF * 4 + 1];
    host_print("vmmu: the hypervisor starts\n");
    host_print("  loader     %s (multiboot %d)\n", info.loader[0] != '\0' ? info.loader : "unnamed",
               magic == MULTIBOOT2_BOOTED ? 2 : 1);
    if (info.command[0] != '\0') {
        host_print("  command    %s\n", info.command);
    }
    host_print("  image      0x%lx, %lu KiB, of these %lu KiB from the file\n", info.image_base.v,
               info.image_bytes / 1024, ((uint64_t)(uintptr_t)image_file_end - LAYOUT_WINDOW) / 1024);
    host_print("  modules    %u\n", info.module_count);
    host_print("  memory     %lu MiB, %lu MiB of it free\n", memory_total_bytes() / MIB,
               memory_free_bytes() / MIB);
    host_print("  processor  %s, %u bits of physical address\n", brand(text), physical_bits());
    print_mhz("  clock      time-stamp counter", host_tsc_hz());
    print_mhz(apic_is_x2apic() ? ", x2APIC" : ", APIC", host_apic_hz());
    host_print("\n");
}

void machine_start(uint32_t magic, uint32_t information, uint32_t image_base)
{
    vectors_init();
    serial_init();
    read_boot_information(magic, information, image_base);
    processor_init();
    memory_init(&info);
    if (memory_free_bytes() < LEAST_BYTES) {
        ground_refuse("not enough memory: %lu KiB free, %lu MiB needed", memory_free_bytes() / 1024,
                      LEAST_BYTES / MIB);
    }
    paging_init(&info);
    host_pic_init();
    apic_init();
    clock_init();
    serial_enable_interrupts();
    introduce(magic);
    hv_main(&info);
}
