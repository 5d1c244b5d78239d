/*
 * A hypervisor of nothing but its ground on PowerPC: does the one thing that its command line names, says what came of it, and
 * leaves. tests/ground_ppc/suite boots it on machines of several sizes.
 */
#include "hv/boot/boot.h"
#include "hv/boot/host.h"
#include "hv/boot/memory.h"
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

#include <string.h>

#define MIB          UINT64_C(0x100000)
#define NS_PER_MS    UINT64_C(1000000)
#define TIMER_ROUNDS 5
#define ECHO_MS      20000
#define END_OF_ECHO  0x04
#define FLOOD_BYTES  10000
#define BLOCK_BYTES  64

bool e500_trap(void *guest, unsigned vector);
void e500_quick(void);

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

/* vectors.S knows guests, of which there are none here: what it calls for them. */
bool e500_trap(void *guest, unsigned vector)
{
    host_panic("a guest %p trapped by IVOR%u", guest, vector);
}

void e500_quick(void)
{
    host_panic("a guest trapped");
}

/* --- what the loader said --- */

static uint32_t sum_of(const struct boot_module *module)
{
    const uint8_t *const bytes = memory_at(module->base);
    uint32_t sum = 0;
    for (uint64_t i = 0; i < module->size_bytes; i++) {
        sum = sum * 31 + bytes[i];
    }
    return sum;
}

static void probe_info(const struct boot_info *info)
{
    host_print("loader=%s\nimage=%jx\n", info->loader, info->image_base.v);
    host_print("total=%ju\nfree=%ju\n", memory_total_bytes(), memory_free_bytes());
    host_print("entries=%u\n", tlb1_guest_entries());
    for (unsigned i = 0; i < info->module_count; i++) {
        const struct boot_module *const module = &info->modules[i];
        host_print("module=%ju %08x [%s]\n", module->size_bytes, sum_of(module), module->words);
    }
    for (unsigned i = 0; i < HOST_SERIAL_PORTS; i++) {
        host_print("port%u=%d\n", i + 1, host_serial_present(i));
    }
}

/* --- what must fault --- */

/* The compiler must not know that these addresses are wrong. */
static volatile uint8_t *hidden(uint32_t address)
{
    __asm__ volatile("" : "+r"(address));
    return (volatile uint8_t *)(uintptr_t)address;
}

static void probe_null(const struct boot_info *info)
{
    (void)info;
    (void)*hidden(8);
}

static void probe_loader_map(const struct boot_info *info)
{
    (void)info;
    (void)*hidden(LAYOUT_LOAD_BASE);
}

static void probe_text(const struct boot_info *info)
{
    (void)info;
    *hidden((uintptr_t)image_text) = 0;
}

static void probe_constants(const struct boot_info *info)
{
    (void)info;
    *hidden((uintptr_t)image_constants) = 0;
}

static void call(const void *target)
{
    __asm__ volatile("mtctr %0\n\tbctrl" : : "r"(target) : "memory", "ctr", "lr");
}

static void probe_execute(const struct boot_info *info)
{
    (void)info;
    vmmu_hpa at;
    if (page_take(true, &at)) {
        call(memory_at(at));
    }
}

static void probe_execute_data(const struct boot_info *info)
{
    (void)info;
    call(image_data);
}

static void probe_stack(const struct boot_info *info)
{
    (void)info;
    __asm__ volatile("1: stwu 1, -64(1)\n\tb 1b");
}

static void probe_opcode(const struct boot_info *info)
{
    (void)info;
    __asm__ volatile(".long 0");
}

static void probe_trap(const struct boot_info *info)
{
    (void)info;
    __asm__ volatile("trap");
}

static void probe_panic(const struct boot_info *info)
{
    host_panic("a panic of %u modules", info->module_count);
}

/* --- what must not --- */

static bool load(uint32_t address, uint32_t *value)
{
    uint32_t loaded = 0;
    bool failed = true;
    __asm__ volatile(PPC_FIXUP("1f", "2f") "1: lwz %0, 0(%2)\n\tli %1, 0\n\t2:"
                     : "+&r"(loaded), "+&r"(failed)
                     : "b"(address)
                     : "memory");
    *value = loaded;
    return !failed;
}

static void probe_fixup(const struct boot_info *info)
{
    (void)info;
    uint32_t nothing, image;
    const bool absent = load(4, &nothing);
    const bool present = load((uintptr_t)image_text, &image);
    host_print("absent=%d present=%d same=%d\n", absent, present,
               image == *(const uint32_t *)(uintptr_t)image_text);
}

static void probe_registers(const struct boot_info *info)
{
    (void)info;
    host_print("msr=%x pid=%x ivpr=%x tlb1cfg=%x\n", msr_read(), SPR_READ(SPR_PID0), SPR_READ(SPR_IVPR),
               SPR_READ(SPR_TLB1CFG));
}

/* Take every page, each linked to the one before and marked with its own address; then look and give all back. */
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
    host_print("all=%d empty=%d wrong=%ju back=%d\n", taken * VMMU_PAGE_BYTES == free_before, empty, wrong,
               memory_free_bytes() == free_before);
}

/* Copies, moves, fills and comparisons of all lengths at all distances from a word's start. */
static void probe_string(const struct boot_info *info)
{
    (void)info;
    static uint8_t from[BLOCK_BYTES], to[BLOCK_BYTES], moved[BLOCK_BYTES];
    unsigned wrong = 0;
    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        from[i] = (uint8_t)(i * 7 + 1);
    }
    for (unsigned a = 0; a < 5; a++) {
        for (unsigned b = 0; b < 5; b++) {
            for (volatile unsigned length = 0; length < BLOCK_BYTES - 8; length++) {
                memset(to, 0xee, BLOCK_BYTES);
                memcpy(to + a, from + b, length);
                wrong += memcmp(to + a, from + b, length) != 0 || to[a + length] != 0xee;
                memcpy(moved, from, BLOCK_BYTES);
                memmove(moved + a, moved + b, length);
                wrong += memcmp(moved + a, from + b, length) != 0;
                memset(to + a, 0x11, length);
                wrong += (length != 0 && to[a + length - 1] != 0x11) || to[a + length] != 0xee;
            }
        }
    }
    wrong += memcmp("ab", "ac", 2) >= 0 || memcmp("\x80", "\x7f", 1) <= 0;
    host_print("string_wrong=%u\n", wrong);
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
    host_print("early=%u interrupts=%ju ms=%ju\n", early, interrupts, took / NS_PER_MS);

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
    host_print("khz=%ju ns=%ju ticks=%ju\n", host_timebase_hz() / 1000, clock_ns_of(host_timebase_hz() * 100),
               clock_ticks_of(100 * UINT64_C(1000000000)));
}

/* A deadline further away than the decrementer counts. */
static void probe_far(const struct boot_info *info)
{
    (void)info;
    const uint64_t deadline = host_clock_ns() + 12000 * NS_PER_MS;
    host_timer_arm(deadline);
    while (!host_timer_fired()) {
        host_wait();
    }
    host_print("early=%d late_ms=%ju\n", host_clock_ns() < deadline,
               (host_clock_ns() - deadline) / NS_PER_MS);
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
    host_print("echoed=%ju\n", bytes);
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
    host_print("received=%ju wrong=%ju spurious=%ju\n", bytes, wrong, host_interrupt_spurious_count());
}

static void send(enum host_serial port, const char *text)
{
    while (*text != '\0') {
        host_serial_write(port, (uint8_t)*text++);
    }
}

static void probe_channel(const struct boot_info *info)
{
    (void)info;
    send(HOST_SERIAL_CONTROL, "{\"a\":");
    send(HOST_SERIAL_CHANNEL, "one\n");
    send(HOST_SERIAL_CONTROL, " 1}\n");
    send(HOST_SERIAL_CHANNEL2, "two");
    host_print("read=%d pending=%d\n", host_serial_read(HOST_SERIAL_CHANNEL),
               host_serial_pending(HOST_SERIAL_CHANNEL2));
    send(HOST_SERIAL_CHANNEL2, "rest");
}

static const struct probe probes[] = {
    { "info", probe_info },
    { "null", probe_null },
    { "loader", probe_loader_map },
    { "text", probe_text },
    { "constants", probe_constants },
    { "execute", probe_execute },
    { "data", probe_execute_data },
    { "stack", probe_stack },
    { "opcode", probe_opcode },
    { "trap", probe_trap },
    { "panic", probe_panic },
    { "fixup", probe_fixup },
    { "registers", probe_registers },
    { "memory", probe_memory },
    { "string", probe_string },
    { "timer", probe_timer },
    { "far", probe_far },
    { "echo", probe_echo },
    { "flood", probe_flood },
    { "channel", probe_channel },
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
