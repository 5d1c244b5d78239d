/*
 * A hypervisor of nothing but its ground: does the one thing that its command line names, says what came of
 * it, and leaves. tests/ground/suite boots it on machines of many kinds.
 */
#include "hv/boot/boot.h"
#include "hv/boot/memory.h"
#include "hv/x86/cpu.h"
#include "hv/x86/host.h"

#define MIB          UINT64_C(0x100000)
#define NS_PER_MS    UINT64_C(1000000)
#define WINDOW       UINT64_C(0xffffffffffe00000)
#define HSAVE_PA     0xc0010117
#define TIMER_ROUNDS 5
#define ECHO_MS      20000
#define END_OF_ECHO  0x04
#define FLOOD_BYTES  10000

/* Sections of the image, from the linker script. */
extern uint8_t image_text[], image_constants[];

struct probe {
    const char *name;
    void (*run)(const struct boot_info *info);
};

static bool same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* --- what the loader said --- */

static uint32_t sum_of(const struct boot_module *module)
{
    const uint8_t *bytes = memory_at(module->base);
    uint32_t sum = 0;
    for (uint64_t i = 0; i < module->size_bytes; i++) {
        sum = sum * 31 + bytes[i];
    }
    return sum;
}

static void probe_info(const struct boot_info *info)
{
    host_print("loader=%s\nrsdp=%u\nimage=%lx\n", info->loader, info->rsdp_bytes, info->image_base.v);
    host_print("total=%lu\nfree=%lu\n", memory_total_bytes(), memory_free_bytes());
    for (unsigned i = 0; i < info->module_count; i++) {
        const struct boot_module *module = &info->modules[i];
        host_print("module=%lu %08x [%s]\n", module->size_bytes, sum_of(module), module->words);
    }
    for (unsigned i = 0; i < HOST_SERIAL_PORTS; i++) {
        host_print("port%u=%d\n", i + 1, host_serial_present(i));
    }
}

/* --- what must fault --- */

/* The compiler must not know that these addresses are wrong. */
static volatile uint8_t *hidden(uint64_t address)
{
    __asm__ volatile("" : "+r"(address));
    return (volatile uint8_t *)(uintptr_t)address;
}

static void probe_null(const struct boot_info *info)
{
    (void)info;
    (void)*hidden(8);
}

static void probe_text(const struct boot_info *info)
{
    (void)info;
    *hidden((uint64_t)(uintptr_t)image_text) = 0;
}

static void probe_constants(const struct boot_info *info)
{
    (void)info;
    *hidden((uint64_t)(uintptr_t)image_constants) = 0;
}

static void probe_alias(const struct boot_info *info)
{
    const uint64_t offset = (uint64_t)(uintptr_t)image_text - WINDOW;
    *hidden((uint64_t)(uintptr_t)memory_at((vmmu_hpa){ info->image_base.v + offset })) = 0;
}

static void probe_execute(const struct boot_info *info)
{
    (void)info;
    vmmu_hpa at;
    if (page_take(true, &at)) {
        *(uint8_t *)memory_at(at) = 0xc3;
        __asm__ volatile("call *%0" : : "r"(memory_at(at)) : "memory");
    }
}

static void probe_stack(const struct boot_info *info)
{
    (void)info;
    __asm__ volatile("1: push %rax\n\tjmp 1b");
}

static void probe_opcode(const struct boot_info *info)
{
    (void)info;
    __asm__ volatile("ud2");
}

static void probe_panic(const struct boot_info *info)
{
    host_panic("a panic of %u modules", info->module_count);
}

/* --- what must not --- */

static void probe_fixup(const struct boot_info *info)
{
    (void)info;
    uint64_t efer;
    const bool read = rdmsr_safe(0xc0000080, &efer);
    // No page: the address is not aligned. Where there is no SVM, there is no such register.
    const bool written = wrmsr_safe(HSAVE_PA, 1);
    host_print("read=%d efer=%lx written=%d\n", read, efer, written);
}

static void probe_vectors(const struct boot_info *info)
{
    (void)info;
    __asm__ volatile("int $0x80\n\tint $0xff\n\tint $0x37\n\tint $2");
    host_print("spurious=%lu nmi=%lu\n", host_interrupt_spurious_count(), host_nmi_count());
}

static void probe_registers(const struct boot_info *info)
{
    (void)info;
    const uint64_t cr4 = read_cr4();
    host_print("cr0=%lx cr4=%lx xcr0=%lx tr=%x\n", read_cr0(), cr4, cr4 >> 18 & 1 ? xgetbv(0) : 0, str());
}

/*
 * Take every page, each linked to the one before and marked with its own address;
 * then look and give all back.
 */
static void probe_memory(const struct boot_info *info)
{
    (void)info;
    const uint64_t free_before = memory_free_bytes();
    uint64_t last = 0;
    uint64_t taken = 0, wrong = 0;
    vmmu_hpa at;
    while (page_take(false, &at)) {
        uint64_t *const words = memory_at(at);
        words[0] = last;
        words[1] = at.v ^ UINT64_MAX;
        last = at.v;
        taken++;
    }
    const bool empty = memory_free_bytes() == 0 && !memory_take(1, VMMU_PAGE_BYTES, false, &at);
    while (last != 0) {
        const uint64_t *const words = memory_at((vmmu_hpa){ last });
        const uint64_t next = words[0];
        wrong += words[1] != (last ^ UINT64_MAX);
        page_give((vmmu_hpa){ last });
        last = next;
    }
    host_print("all=%d empty=%d wrong=%lu back=%d\n", taken * VMMU_PAGE_BYTES == free_before, empty, wrong,
               memory_free_bytes() == free_before);
    host_print("large=%d low=%d\n", memory_take(64 * MIB, 2 * MIB, false, &at),
               memory_take(1, 4096, true, &at));
}

/* --- time --- */

static void probe_timer(const struct boot_info *info)
{
    (void)info;
    unsigned early = 0;
    uint64_t interrupts = host_interrupt_count();
    const uint64_t start = host_clock_ns();
    for (unsigned i = 0; i < TIMER_ROUNDS; i++) {
        const uint64_t deadline = host_clock_ns() + 20 * NS_PER_MS;
        host_timer_arm(deadline);
        while (!host_timer_fired()) {
            host_wait();
        }
        early += host_clock_ns() < deadline;
    }
    const uint64_t took = host_clock_ns() - start;
    interrupts = host_interrupt_count() - interrupts;
    host_print("early=%u interrupts=%lu ms=%lu\n", early, interrupts, took / NS_PER_MS);

    // A deadline that is past fires at once, and one that was taken back never.
    host_timer_arm(1);
    while (!host_timer_fired()) {
        host_wait();
    }
    host_timer_arm(host_clock_ns() + NS_PER_MS);
    host_timer_arm(HOST_TIMER_OFF);
    const uint64_t until = host_clock_ns() + 5 * NS_PER_MS;
    while (host_clock_ns() < until) {
        host_interrupts_take();
    }
    host_print("taken_back=%d\n", host_timer_fired());
    host_print("tsc_khz=%lu apic_khz=%lu\n", host_tsc_hz() / 1000, host_apic_hz() / 1000);
}

/* --- serial ports --- */

/* Send back what comes in on the second port, until it is the end, or nothing came for a long time. */
static void probe_echo(const struct boot_info *info)
{
    (void)info;
    host_serial_write(HOST_SERIAL_CONTROL, '!');
    host_timer_arm(host_clock_ns() + ECHO_MS * NS_PER_MS);
    uint64_t bytes = 0;
    for (int byte = 0; byte != END_OF_ECHO && !host_timer_fired();) {
        byte = host_serial_read(HOST_SERIAL_CONTROL);
        if (byte < 0) {
            host_wait();
            continue;
        }
        host_serial_write(HOST_SERIAL_CONTROL, (uint8_t)byte);
        bytes++;
    }
    host_print("echoed=%lu\n", bytes);
}

/* Read nothing while more comes in than a ring holds; then all of it must still be there. */
static void probe_flood(const struct boot_info *info)
{
    (void)info;
    host_serial_write(HOST_SERIAL_CONTROL, '!');
    host_timer_arm(host_clock_ns() + 1000 * NS_PER_MS);
    while (!host_timer_fired()) {
        host_wait();
    }
    host_timer_arm(host_clock_ns() + ECHO_MS * NS_PER_MS);
    uint64_t bytes = 0, wrong = 0;
    while (bytes < FLOOD_BYTES && !host_timer_fired()) {
        const int byte = host_serial_read(HOST_SERIAL_CONTROL);
        if (byte < 0) {
            host_wait();
            continue;
        }
        wrong += (uint8_t)byte != (uint8_t)(bytes % 251);
        bytes++;
    }
    host_print("received=%lu wrong=%lu\n", bytes, wrong);
}

static const struct probe probes[] = {
    { "info", probe_info },     { "null", probe_null },           { "text", probe_text },
    { "alias", probe_alias },   { "constants", probe_constants }, { "execute", probe_execute },
    { "stack", probe_stack },   { "opcode", probe_opcode },       { "panic", probe_panic },
    { "fixup", probe_fixup },   { "vectors", probe_vectors },     { "registers", probe_registers },
    { "memory", probe_memory }, { "timer", probe_timer },         { "echo", probe_echo },
    { "flood", probe_flood },
};

void hv_main(const struct boot_info *info)
{
    for (unsigned i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        if (same(info->command, probes[i].name)) {
            probes[i].run(info);
            host_print("ground: done\n");
            host_leave(HOST_LEAVE_DONE);
        }
    }
    host_print("ground: no probe is called '%s'\n", info->command);
    host_leave(HOST_LEAVE_REFUSED);
}
