/*
 * The smallest user of KVM that boots the benchmark's guest as our hypervisor does: one virtual processor, 256 MiB touched
 * beforehand, a 16550 at COM1, an MP table at 639 KiB, KVM's own interrupt controllers and timer, its PV clock offered.
 *
 *     vmm KERNEL INITRD COMMAND-LINE
 *
 * It runs as the one process of a Linux that boots on the same emulated processor (bench/benchlib/kvm.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../mark.h"

#define MEMORY_BYTES       (UINT64_C(256) << 20)
#define HUGE_BYTES         (UINT64_C(2) << 20)
#define PAGE_BYTES         UINT64_C(4096)

/* Where things stand in the guest. */
#define AT_GDT             0x6000
#define AT_BOOT_PARAMS     0x7000
#define AT_STACK           0x8000
#define AT_TABLES          0x9000
#define AT_COMMAND_LINE    0x20000
#define COMMAND_LINE_BYTES 2048
#define AT_EBDA            0x9FC00
#define AT_KERNEL          0x1000000
#define ENTRY_64           0x200

#define COM1               0x3F8
#define COM1_IRQ           4
#define KEYBOARD           0x64
#define CMOS_DATA          0x71
#define SYSTEM_PORT        0x61

struct vm {
    int kvm, vm, vcpu;
    struct kvm_run *run;
    uint8_t *memory;
};

struct uart {
    uint8_t ier, lcr, mcr, scratch, divisor[2];
    int transmitter_waits; /* the interrupt "transmitter empty" has not been seen yet */
    int irq;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void control(int fd, unsigned long request, void *argument, const char *what)
{
    if (ioctl(fd, request, argument) < 0) {
        die(what);
    }
}

/* --- the serial port --- */

static void uart_interrupt(struct vm *vm, struct uart *uart)
{
    struct kvm_irq_level level = { .irq = COM1_IRQ, .level = (uart->ier & 2) && uart->transmitter_waits };

    if ((int)level.level != uart->irq) {
        uart->irq = (int)level.level;
        control(vm->vm, KVM_IRQ_LINE, &level, "KVM_IRQ_LINE");
    }
}

static void uart_write(struct uart *uart, unsigned offset, uint8_t value)
{
    switch (offset) {
    case 0:
        if (uart->lcr & 0x80) {
            uart->divisor[0] = value;
        } else {
            putchar(value);
            uart->transmitter_waits = 1;
        }
        break;
    case 1:
        if (uart->lcr & 0x80) {
            uart->divisor[1] = value;
        } else {
            uart->transmitter_waits |= (value & 2) && !(uart->ier & 2);
            uart->ier = value & 15;
        }
        break;
    case 3: uart->lcr = value; break;
    case 4: uart->mcr = value; break;
    case 7: uart->scratch = value; break;
    default: break;
    }
}

static uint8_t uart_read(struct uart *uart, unsigned offset)
{
    switch (offset) {
    case 0: return uart->lcr & 0x80 ? uart->divisor[0] : 0;
    case 1: return uart->lcr & 0x80 ? uart->divisor[1] : uart->ier;
    case 2:
        if ((uart->ier & 2) && uart->transmitter_waits) {
            uart->transmitter_waits = 0;
            return 0xC2;
        }
        return 0xC1;
    case 3: return uart->lcr;
    case 4: return uart->mcr;
    case 5: return 0x60;
    case 6:
        if (uart->mcr & 0x10) { /* loopback */
            return (uint8_t)((uart->mcr & 2) << 3 | (uart->mcr & 1) << 5 | (uart->mcr & 4) << 4 |
                             (uart->mcr & 8) << 4);
        }
        return 0xB0;
    default: return uart->scratch;
    }
}

/* Whether the guest asked to be reset. */
static int port_access(struct vm *vm, struct uart *uart)
{
    struct kvm_run *run = vm->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    const unsigned port = run->io.port;
    const int is_uart = port >= COM1 && port < COM1 + 8;

    for (unsigned i = 0; i < run->io.count; i++, data += run->io.size) {
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            if (is_uart) {
                uart_write(uart, port - COM1, *data);
            } else if (port == KEYBOARD && *data == 0xFE) {
                return 1;
            }
        } else {
            memset(data, port == SYSTEM_PORT || port == CMOS_DATA ? 0 : 0xFF, run->io.size);
            if (is_uart) {
                *data = uart_read(uart, port - COM1);
            }
        }
    }
    if (is_uart) {
        uart_interrupt(vm, uart);
    }
    return 0;
}

/* --- what firmware and boot loader leave --- */

static uint8_t sum_to_zero(const uint8_t *bytes, unsigned count)
{
    uint8_t sum = 0;

    while (count-- > 0) {
        sum = (uint8_t)(sum - *bytes++);
    }
    return sum;
}

static void put16(uint8_t *at, unsigned value)
{
    memcpy(at, &(uint16_t){ (uint16_t)value }, 2);
}

/* A signature or name: characters in a field of fixed width, with no NUL. */
static void put_name(uint8_t *at, const char *name)
{
    while (*name) {
        *at++ = (uint8_t)*name++;
    }
}

static void put32(uint8_t *at, uint64_t value)
{
    memcpy(at, &(uint32_t){ (uint32_t)value }, 4);
}

static uint8_t *mp_interrupt(uint8_t *at, unsigned entry, unsigned type, unsigned apic, unsigned pin)
{
    at[0] = (uint8_t)entry;
    at[1] = (uint8_t)type;
    at[6] = (uint8_t)apic;
    at[7] = (uint8_t)pin;
    return at + 8;
}

/* One processor, one I/O APIC, ISA lines one to one, the 8259s by ExtINT: as our hypervisor's firmware=mp has it. */
static void write_mp_table(uint8_t *memory)
{
    uint8_t *pointer = memory + AT_EBDA;
    uint8_t *table = pointer + 16;
    uint8_t *entry = table + 44;
    unsigned entries = 3;

    memset(pointer, 0, 1024);
    put_name(pointer, "_MP_");
    put32(pointer + 4, AT_EBDA + 16);
    pointer[8] = 1;
    pointer[9] = 4;
    pointer[10] = sum_to_zero(pointer, 16);

    entry[1] = 0;
    entry[2] = 0x14;
    entry[3] = 3; /* enabled, the bootstrap processor */
    put32(entry + 4, 0x600);
    put32(entry + 8, 0x201);
    entry += 20;
    entry[0] = 1;
    put_name(entry + 2, "ISA   ");
    entry += 8;
    entry[0] = 2;
    entry[1] = 1;
    entry[2] = 0x11;
    entry[3] = 1;
    put32(entry + 4, 0xFEC00000);
    entry += 8;
    for (unsigned line = 0; line < 16; line++) {
        if (line != 2) {
            entry[5] = (uint8_t)line;
            entry = mp_interrupt(entry, 3, 0, 1, line);
            entries++;
        }
    }
    entry = mp_interrupt(entry, 4, 3, 0xFF, 0); /* LINT0: ExtINT */
    entry = mp_interrupt(entry, 4, 1, 0xFF, 1); /* LINT1: NMI */
    entries += 2;

    put_name(table, "PCMP");
    put16(table + 4, (unsigned)(entry - table));
    table[6] = 4;
    put_name(table + 8, "BENCH   KVM         ");
    put16(table + 34, entries);
    put32(table + 36, 0xFEE00000);
    table[7] = sum_to_zero(table, (unsigned)(entry - table));
}

struct file {
    uint8_t *bytes;
    size_t size;
};

static struct file read_file(const char *path)
{
    const int fd = open(path, O_RDONLY);
    struct stat info;
    struct file file = { 0 };

    if (fd < 0 || fstat(fd, &info)) {
        die(path);
    }
    file.size = (size_t)info.st_size;
    file.bytes = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file.bytes == MAP_FAILED) {
        die(path);
    }
    close(fd);
    return file;
}

static void put_range(uint8_t *at, uint64_t base, uint64_t size, uint32_t type)
{
    memcpy(at, &base, 8);
    memcpy(at + 8, &size, 8);
    memcpy(at + 16, &type, 4);
}

/* Linux's 64-bit boot protocol. */
static void load_linux(uint8_t *memory, char **arguments)
{
    const struct file kernel = read_file(arguments[1]), initrd = read_file(arguments[2]);
    uint8_t *params = memory + AT_BOOT_PARAMS;
    const unsigned setup_sectors = kernel.bytes[0x1F1] ? kernel.bytes[0x1F1] : 4;
    const size_t setup_bytes = (setup_sectors + 1) * (size_t)512;
    const uint64_t initrd_at = (MEMORY_BYTES - initrd.size - PAGE_BYTES) & ~(PAGE_BYTES - 1);

    memset(params, 0, PAGE_BYTES);
    memcpy(params + 0x1F1, kernel.bytes + 0x1F1, 0x202 + kernel.bytes[0x201] - 0x1F1);
    params[0x210] = 0xFF;
    params[0x211] = (uint8_t)((params[0x211] & ~0x80) | 0x21); /* loaded high, quiet */
    put32(params + 0x214, AT_KERNEL);
    put32(params + 0x218, initrd_at);
    put32(params + 0x21C, initrd.size);
    put32(params + 0x228, AT_COMMAND_LINE);
    params[0x1E8] = 3;
    put_range(params + 0x2D0, 0, AT_EBDA, 1);
    put_range(params + 0x2E4, AT_EBDA, 0x100000 - AT_EBDA, 2);
    put_range(params + 0x2F8, 0x100000, MEMORY_BYTES - 0x100000, 1);
    memcpy(memory + AT_KERNEL, kernel.bytes + setup_bytes, kernel.size - setup_bytes);
    memcpy(memory + initrd_at, initrd.bytes, initrd.size);
    snprintf((char *)memory + AT_COMMAND_LINE, COMMAND_LINE_BYTES, "%s", arguments[3]);
}

/* Identity tables over 4 GiB, and flat segments. */
static void write_tables(uint8_t *memory)
{
    uint64_t *root = (uint64_t *)(memory + AT_TABLES);
    uint64_t *gdt = (uint64_t *)(memory + AT_GDT);

    root[0] = (AT_TABLES + PAGE_BYTES) | 3;
    for (uint64_t gib = 0; gib < 4; gib++) {
        const uint64_t directory = AT_TABLES + (2 + gib) * PAGE_BYTES;

        root[512 + gib] = directory | 3;
        for (uint64_t i = 0; i < 512; i++) {
            root[(2 + gib) * 512 + i] = (gib * 512 + i) << 21 | 0x83;
        }
    }
    gdt[2] = 0x00AF9B000000FFFF;
    gdt[3] = 0x00CF93000000FFFF;
}

static void set_registers(struct vm *vm)
{
    const struct kvm_segment code = {
        .limit = ~0u, .selector = 0x10, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
    };
    const struct kvm_segment data = {
        .limit = ~0u, .selector = 0x18, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
    };
    struct kvm_regs regs = {
        .rip = AT_KERNEL + ENTRY_64, .rsi = AT_BOOT_PARAMS, .rsp = AT_STACK, .rflags = 2
    };
    struct kvm_sregs sregs;

    control(vm->vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
    sregs.gdt.base = AT_GDT;
    sregs.gdt.limit = 31;
    sregs.cr0 = 0x80000031;
    sregs.cr3 = AT_TABLES;
    sregs.cr4 = 0x20;
    sregs.efer = 0x500;
    control(vm->vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
    control(vm->vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

/* --- the virtual machine --- */

/* On huge pages, and touched: none of the figures is about the host's demand paging. */
static uint8_t *make_memory(void)
{
    uint8_t *at =
        mmap(NULL, MEMORY_BYTES + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED) {
        die("guest memory");
    }
    at = (uint8_t *)(((uintptr_t)at + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
    if (madvise(at, MEMORY_BYTES, MADV_HUGEPAGE)) {
        die("huge pages");
    }
    for (uint64_t i = 0; i < MEMORY_BYTES; i += PAGE_BYTES) {
        at[i] = 0;
    }
    return at;
}

static void offer_cpuid(struct vm *vm)
{
    enum { ENTRIES = 128 };
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + ENTRIES * sizeof cpuid->entries[0]);

    cpuid->nent = ENTRIES;
    control(vm->kvm, KVM_GET_SUPPORTED_CPUID, cpuid, "KVM_GET_SUPPORTED_CPUID");
    for (unsigned i = 0; i < cpuid->nent; i++) {
        if (cpuid->entries[i].function == 1) {
            cpuid->entries[i].ecx |= 1u << 31;
        } else if (cpuid->entries[i].function == 0x80000001) {
            cpuid->entries[i].ecx &= ~4u; /* no SVM within */
        }
    }
    control(vm->vcpu, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2");
    free(cpuid);
}

static void make_vm(struct vm *vm)
{
    struct kvm_pit_config pit = { 0 };
    struct kvm_userspace_memory_region region = { .memory_size = MEMORY_BYTES };
    int run_bytes;

    vm->kvm = open("/dev/kvm", O_RDWR);
    if (vm->kvm < 0) {
        die("/dev/kvm");
    }
    vm->vm = ioctl(vm->kvm, KVM_CREATE_VM, 0);
    if (vm->vm < 0) {
        die("KVM_CREATE_VM");
    }
    control(vm->vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
    control(vm->vm, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2");
    vm->memory = make_memory();
    region.userspace_addr = (uintptr_t)vm->memory;
    control(vm->vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
    vm->vcpu = ioctl(vm->vm, KVM_CREATE_VCPU, 0);
    run_bytes = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (vm->vcpu < 0 || run_bytes < 0) {
        die("KVM_CREATE_VCPU");
    }
    vm->run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
    if (vm->run == MAP_FAILED) {
        die("kvm_run");
    }
    offer_cpuid(vm);
}

static void run_vm(struct vm *vm)
{
    struct uart uart = { .divisor = { 1, 0 } };

    for (;;) {
        if (ioctl(vm->vcpu, KVM_RUN, 0) < 0 && errno != EINTR && errno != EAGAIN) {
            die("KVM_RUN");
        }
        switch (vm->run->exit_reason) {
        case KVM_EXIT_IO:
            if (port_access(vm, &uart)) {
                return;
            }
            break;
        case KVM_EXIT_MMIO:
            if (!vm->run->mmio.is_write) {
                memset(vm->run->mmio.data, 0xFF, sizeof vm->run->mmio.data);
            }
            break;
        case KVM_EXIT_SHUTDOWN: return;
        case KVM_EXIT_HLT:
        case KVM_EXIT_INTR: break;
        default: fprintf(stderr, "vmm: exit %u is not known\n", vm->run->exit_reason); exit(1);
        }
    }
}

int main(int count, char **arguments)
{
    struct vm vm = { 0 };

    if (count != 4) {
        fprintf(stderr, "usage: vmm KERNEL INITRD COMMAND-LINE\n");
        return 2;
    }
    make_vm(&vm);
    load_linux(vm.memory, arguments);
    write_mp_table(vm.memory);
    write_tables(vm.memory);
    set_registers(&vm);
    MARK(MARK_GUEST_START);
    run_vm(&vm);
    fflush(stdout);
    return 0;
}
