/*
 * batch IMAGE CR0 CR3 CR4 EFER < ADDRESSES: how fast an address of a machine in 4-level paging is translated, by the library's
 * two walks and by libunicorn.
 *
 * IMAGE is the machine's memory from address 0 on, the registers are hexadecimal, and ADDRESSES a line each. Prints a line
 * for each way: its name, nanoseconds for each address by the clock, and nanoseconds of the processor; each the best of
 * several rounds. An address that does not translate is an error.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <vmmu/walk.h>

#include "emulated.h"

#define ROUNDS 7

static struct subject subject;
static struct vmmu_x86_mode mode;
static uint64_t check; /* of what came out: nothing may be optimized away */

_Noreturn void refuse(const char *what)
{
    fprintf(stderr, "bench/batch: %s\n", what);
    exit(1);
}

static double now_seconds(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct subject *machine = context;

    if (address > machine->memory_bytes - width_bytes) {
        return VMMU_ABSENT;
    }
    *value = 0;
    memcpy(value, machine->memory + address, width_bytes);
    return VMMU_OK;
}

static const struct vmmu_ram ram = { .context = &subject, .load = load };
static const struct vmmu_x86_access read_access = { .kind = VMMU_X86_READ, .eflags_ac = true };

static void by_walk(void *unused)
{
    struct vmmu_x86_walk_result found;

    (void)unused;
    for (size_t i = 0; i < subject.count; i++) {
        if (vmmu_x86_walk(&mode, &ram, (vmmu_gva){ subject.addresses[i] }, read_access, &found) != VMMU_OK) {
            refuse("an address does not translate");
        }
        check += found.translation.gpa.v;
    }
}

static void by_translate(void *unused)
{
    struct vmmu_x86_translate_result found;

    (void)unused;
    for (size_t i = 0; i < subject.count; i++) {
        if (vmmu_x86_translate(&mode, &ram, (vmmu_gva){ subject.addresses[i] }, read_access, &found) !=
            VMMU_OK) {
            refuse("an address does not translate");
        }
        check -= found.translation.gpa.v;
    }
}

static void by_emulator(void *emulated)
{
    emulated_run(emulated);
}

static void measure(const char *name, void (*run)(void *), void *with)
{
    double clock = 1e9;
    double processor = 1e9;

    for (unsigned round = 0; round < ROUNDS; round++) {
        const double clock_start = now_seconds(CLOCK_MONOTONIC);
        const double processor_start = now_seconds(CLOCK_PROCESS_CPUTIME_ID);

        run(with);
        const double clock_took = now_seconds(CLOCK_MONOTONIC) - clock_start;
        const double processor_took = now_seconds(CLOCK_PROCESS_CPUTIME_ID) - processor_start;

        clock = clock_took < clock ? clock_took : clock;
        processor = processor_took < processor ? processor_took : processor;
    }
    printf("%s %.2f %.2f\n", name, clock * 1e9 / (double)subject.count,
           processor * 1e9 / (double)subject.count);
}

static void map_image(const char *path)
{
    const int file = open(path, O_RDONLY);
    struct stat status;

    if (file < 0 || fstat(file, &status) != 0 || status.st_size < 4096) {
        refuse("the image cannot be opened");
    }
    subject.memory_bytes = (uint64_t)status.st_size;
    subject.memory = mmap(NULL, subject.memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    close(file);
    if (subject.memory == MAP_FAILED) {
        refuse("the image cannot be mapped");
    }
}

static void read_addresses(void)
{
    uint64_t *addresses = NULL;
    size_t room = 0;
    unsigned long long address;

    while (scanf("%llx", &address) == 1) {
        if (!addresses || subject.count == room) {
            room = room == 0 ? 4096 : room * 2;
            addresses = realloc(addresses, room * sizeof(*addresses));
            if (!addresses) {
                refuse("no memory");
            }
        }
        addresses[subject.count++] = address;
    }
    if (!feof(stdin) || subject.count == 0) {
        refuse("standard input holds something else than addresses");
    }
    subject.addresses = addresses;
}

/* A processor that offers all that Debian's kernel turns on; the emulator's has 40 bits of physical address. */
static void make_mode(void)
{
    struct vmmu_x86_cpu cpu = vmmu_x86_any_cpu;
    const struct vmmu_x86_paging_registers registers = {
        .cr0 = subject.cr0, .cr3 = subject.cr3, .cr4 = subject.cr4, .efer = subject.efer
    };

    cpu.maxphyaddr = 40;
    if (vmmu_mode_make(&cpu, &registers, &mode) != VMMU_OK || mode.paging != VMMU_X86_PAGING_4LEVEL) {
        refuse("the registers are not of 4-level paging");
    }
}

int main(int argc, char **argv)
{
    struct emulated *emulated;

    if (argc != 6) {
        refuse("usage: batch IMAGE CR0 CR3 CR4 EFER < ADDRESSES");
    }
    map_image(argv[1]);
    subject.cr0 = strtoull(argv[2], NULL, 16);
    subject.cr3 = strtoull(argv[3], NULL, 16);
    subject.cr4 = strtoull(argv[4], NULL, 16);
    subject.efer = strtoull(argv[5], NULL, 16);
    if ((subject.cr3 | 4095) >= subject.memory_bytes) {
        refuse("CR3 is not in the image");
    }
    read_addresses();
    make_mode();
    measure("translate", by_translate, NULL);
    measure("walk", by_walk, NULL);
    if (check != 0) {
        refuse("the two walks differ");
    }
    emulated = emulated_open(&subject);
    measure("libunicorn", by_emulator, emulated);
    emulated_close(emulated);
    return 0;
}
