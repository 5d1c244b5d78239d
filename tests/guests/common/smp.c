#include "tests/guests/common/smp.h"

#include <stddef.h>

#include "tests/guests/common/cpu.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define IDENTITIES   256
#define BIOS_FIRST   0xe0000
#define BIOS_END     0x100000
#define EBDA_SEGMENT 0x40e
#define EBDA_BYTES   1024

#define WAIT_CYCLES  (UINT64_C(1) << 35)

/* Cycles between two start-up messages: 200 us of a slow processor. */
#define START_CYCLES 1000000

struct smp_cpu {
    uint32_t id;
    volatile unsigned starts;
    smp_function *volatile function; /* NULL: idle */
    void *volatile argument;
};

extern uint8_t smp_page[], smp_page_end[];
extern const struct smp_first smp_first;
void smp_enter(void);

uint8_t smp_index_of[IDENTITIES];
uint8_t smp_stacks[SMP_CPUS][STACK_BYTES] __attribute__((aligned(16)));
volatile unsigned smp_counts[SMP_VECTORS][SMP_CPUS];

static struct smp_cpu cpus[SMP_CPUS];
static unsigned cpu_count;

/* --- what the firmware says --- */

static uint8_t sum(const uint8_t *at, unsigned bytes)
{
    uint8_t total = 0;
    for (unsigned i = 0; i < bytes; i++) {
        total = (uint8_t)(total + at[i]);
    }
    return total;
}

static uint32_t word_at(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint16_t half_at(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

/* @text at a multiple of 16 below @end, with @bytes whose sum is 0. */
static const uint8_t *find(uintptr_t from, uintptr_t end, const char *text, unsigned bytes)
{
    const unsigned length = text[4] ? 8 : 4;
    for (uintptr_t at = from; at + bytes <= end; at += 16) {
        if (memcmp((const void *)at, text, length) == 0 && sum((const uint8_t *)at, bytes) == 0) {
            return (const uint8_t *)at;
        }
    }
    return NULL;
}

/* In the first KiB of the extended BIOS data area, or in the BIOS's own memory. */
static const uint8_t *find_firmware(const char *text, unsigned bytes)
{
    uintptr_t low = EBDA_SEGMENT;
    __asm__("" : "+r"(low)); /* a compiler takes an object at such an address for none */
    const uintptr_t ebda = (uintptr_t)half_at((const uint8_t *)low) << 4;
    const uint8_t *found = ebda != 0 ? find(ebda, ebda + EBDA_BYTES, text, bytes) : NULL;
    return found != NULL ? found : find(BIOS_FIRST, BIOS_END, text, bytes);
}

static void list_add(struct smp_list *list, uint32_t id)
{
    if (list->count == SMP_CPUS) {
        bail_out("more than %u processors", SMP_CPUS);
    }
    list->ids[list->count++] = id;
}

static void list_from_madt(struct smp_list *list, const uint8_t *table)
{
    const uint8_t *const end = table + word_at(table + 4);
    for (const uint8_t *at = table + 44; at + 2 <= end && at[1] >= 2; at += at[1]) {
        if (at[0] == 0 && (word_at(at + 4) & 1)) {
            list_add(list, at[3]);
        } else if (at[0] == 9 && (word_at(at + 8) & 1)) {
            list_add(list, word_at(at + 4));
        }
    }
}

struct smp_list smp_list_madt(void)
{
    struct smp_list list = { 0 };
    const uint8_t *pointer = find_firmware("RSD PTR ", 20);
    if (pointer == NULL) {
        return list;
    }
    const uint8_t *root = (const uint8_t *)(uintptr_t)word_at(pointer + 16);
    const unsigned bytes = word_at(root + 4);
    for (unsigned at = 36; at + 4 <= bytes; at += 4) {
        const uint8_t *table = (const uint8_t *)(uintptr_t)word_at(root + at);
        if (memcmp(table, "APIC", 4) == 0 && sum(table, word_at(table + 4)) == 0) {
            list_from_madt(&list, table);
        }
    }
    return list;
}

struct smp_list smp_list_mp(void)
{
    struct smp_list list = { 0 };
    const uint8_t *pointer = find_firmware("_MP_", 16);
    if (pointer == NULL) {
        return list;
    }
    const uint8_t *table = (const uint8_t *)(uintptr_t)word_at(pointer + 4);
    if (memcmp(table, "PCMP", 4) != 0 || sum(table, half_at(table + 4)) != 0) {
        return list;
    }
    const uint8_t *at = table + 44;
    for (unsigned i = half_at(table + 34); i > 0; i--) {
        if (at[0] == 0 && (at[3] & 1)) {
            list_add(&list, at[1]);
        }
        at += at[0] == 0 ? 20 : 8;
    }
    return list;
}

/* --- starting --- */

unsigned smp_count(void)
{
    return cpu_count;
}

unsigned smp_here(void)
{
    return smp_index_of[cpuid(1, 0).b >> 24];
}

uint32_t smp_identity(unsigned cpu)
{
    return cpus[cpu].id;
}

void smp_send(unsigned cpu, uint32_t command)
{
    apic_send_to(cpus[cpu].id, command);
}

unsigned smp_starts(unsigned cpu)
{
    return cpus[cpu].starts;
}

static void spin(uint64_t cycles)
{
    const uint64_t start = tsc_read();
    while (tsc_read() - start < cycles) {
        cpu_pause();
    }
}

bool smp_await(const volatile unsigned *word, unsigned value)
{
    const uint64_t start = tsc_read();
    while (*word < value) {
        if (tsc_read() - start > WAIT_CYCLES) {
            return false;
        }
        cpu_pause();
    }
    return true;
}

void smp_linger(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        cpu_pause();
    }
}

static void on_smp(struct trap_frame *frame)
{
    (void)frame;
    apic_write(APIC_EOI, 0);
}

/* The life of a processor that was started. */
void smp_enter(void)
{
    struct smp_cpu *cpu = &cpus[smp_here()];
    trap_table_restore();
    irq_join();
    cpu->starts++;
    for (;;) {
        smp_function *function = cpu->function;
        if (function == NULL) {
            __asm__ volatile("sti; hlt; cli" ::: "memory");
            continue;
        }
        function(cpu->argument);
        cpu->function = NULL;
    }
}

bool smp_wake(unsigned cpu)
{
    const unsigned before = cpus[cpu].starts;
    for (unsigned i = 0; i < 2; i++) {
        smp_send(cpu, ICR_START | ICR_ASSERT | SMP_PAGE / 4096);
        spin(START_CYCLES);
    }
    return smp_await(&cpus[cpu].starts, before + 1);
}

void smp_reset(unsigned cpu)
{
    smp_send(cpu, ICR_INIT | ICR_ASSERT);
    spin(START_CYCLES);
    cpus[cpu].function = NULL;
}

bool smp_restart(unsigned cpu, struct smp_first *first)
{
    smp_reset(cpu);
    if (!smp_wake(cpu)) {
        return false;
    }
    memcpy(first, (const void *)(SMP_PAGE + ((uintptr_t)&smp_first - (uintptr_t)smp_page)), sizeof(*first));
    return true;
}

bool smp_start(const struct smp_list *list, bool x2)
{
    irq_start(x2);
    trap_hook_set(VECTOR_SMP, on_smp);
    memcpy((void *)SMP_PAGE, smp_page, (size_t)(smp_page_end - smp_page));
    cpu_count = 1;
    cpus[0].id = apic_identity();
    smp_index_of[cpuid(1, 0).b >> 24] = 0;
    for (unsigned i = 0; i < list->count; i++) {
        if (list->ids[i] != cpus[0].id) {
            struct smp_first first;
            const unsigned cpu = cpu_count++;
            cpus[cpu] = (struct smp_cpu){ .id = list->ids[i] };
            smp_index_of[list->ids[i]] = (uint8_t)cpu;
            if (!smp_restart(cpu, &first)) {
                return false;
            }
        }
    }
    return true;
}

void smp_stop(void)
{
    for (unsigned cpu = 1; cpu < cpu_count; cpu++) {
        smp_reset(cpu);
    }
    irq_stop();
}

/* --- work --- */

void smp_begin(unsigned cpu, smp_function *function, void *argument)
{
    cpus[cpu].argument = argument;
    cpus[cpu].function = function;
    smp_send(cpu, ICR_ASSERT | VECTOR_SMP);
}

bool smp_wait(unsigned cpu)
{
    const uint64_t start = tsc_read();
    while (cpus[cpu].function != NULL) {
        if (tsc_read() - start > WAIT_CYCLES) {
            return false;
        }
        cpu_pause();
    }
    return true;
}

void smp_run(unsigned cpu, smp_function *function, void *argument)
{
    smp_begin(cpu, function, argument);
    if (!smp_wait(cpu)) {
        bail_out("processor %u does not end what it was given", cpu);
    }
}

static void on_counted(struct trap_frame *frame)
{
    smp_counts[frame->vector][smp_here()]++;
    if (frame->vector != VECTOR_NMI) {
        apic_write(APIC_EOI, 0);
    }
}

void smp_count_vector(unsigned vector)
{
    for (unsigned cpu = 0; cpu < SMP_CPUS; cpu++) {
        smp_counts[vector][cpu] = 0;
    }
    trap_hook_set(vector, on_counted);
}
