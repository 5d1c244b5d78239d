/*
 * The ground's own files to each other: the steps of the start in their order, and the
 * ways in from the assembly.
 */
#ifndef HV_X86_GROUND_H
#define HV_X86_GROUND_H

#include "hv/boot/boot.h"
#include "hv/x86/host.h"
#include "hv/x86/layout.h"

/* Linker and assembly symbols: addresses, not objects. */
extern uint8_t image_text[], image_constants[], image_data[], image_file_end[], image_end[];
extern uint8_t stack_guard[], stack_top[], vector_stubs[];
extern uint64_t page_root[], page_pointers_low[], page_directories[], page_table_window[];

/* Vectors of interrupts. The two 8259s take sixteen. */
enum vector {
    VECTOR_NMI = 2,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_MACHINE_CHECK = 18,
    VECTOR_EXCEPTIONS = 32,
    VECTOR_PIC = 0x30,
    VECTOR_TIMER = 0x40,
    VECTOR_APIC_ERROR = 0xfe,
    VECTOR_APIC_SPURIOUS = 0xff,
};

enum irq {
    IRQ_TIMER = 0,
    IRQ_COM2_COM4 = 3,
    IRQ_COM1_COM3 = 4,
};

/* --- the steps of the start --- */

/* Load GDT, IDT and TR: exceptions are reported from here on. */
void vectors_init(void);

/* Find the serial ports and set them to 115200 8N1, without interrupts yet: host_print works from here on. */
void serial_init(void);

/* Set CR0, CR4, XCR0, PAT and EFER as cpu.h says. */
void processor_init(void);

/**
 * Make the page tables final: the direct map of all RAM, rights of the image's sections, the guard page,
 * nothing at 0. After memory_init; panics if no memory is left for tables.
 */
void paging_init(const struct boot_info *info);

/* Map a page of device registers, uncached, into slot @slot of the devices' window. */
volatile void *paging_map_device(unsigned slot, uint64_t physical);

/* Move the 8259s' vectors out of the exceptions' way and mask all their inputs. */
void host_pic_init(void);
void pic_unmask(enum irq irq);
void pic_mask(enum irq irq);

/* Enable the local APIC, with LINT0 for the 8259s, and mask the I/O APIC. */
void apic_init(void);

/*
 * Measure the counters against the 8254; after this the clock and the timer work. Needs
 * host_pic_init and apic_init.
 */
void clock_init(void);

/* Wait until every port has sent what it was given, or does not send. */
void serial_drain(void);

/* Let the ports interrupt when they receive. Needs host_pic_init. */
void serial_enable_interrupts(void);

/* --- interrupts --- */

/* From vectors.S: an interrupt came. */
void interrupt_handle(uint32_t vector);

/*
 * From there: input @irq of the 8259s, already acknowledged; the serial ports of one line; the APIC's timer.
 */
void serial_interrupt(void);
void timer_interrupt(void);

/* Whether an 8259 really asked for the input @irq; if so, tell it that the interrupt is being handled. */
VMMU_MUST_USE
bool pic_accept(enum irq irq);

/* --- the local APIC --- */

/* Registers, by their offset in the memory-mapped page. Spec: SDM 3A "Local APIC Register Address Map". */
enum apic_register {
    APIC_VERSION = 0x30,
    APIC_TASK_PRIORITY = 0x80,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_ERROR_STATUS = 0x280,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_COUNTERS = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

uint32_t apic_read(enum apic_register index);
void apic_write(enum apic_register index, uint32_t value);

/* Whether the local APIC was found in x2APIC mode and is used so. */
bool apic_is_x2apic(void);

/* --- the end --- */

/* The machine will not do: a sentence that says why, and host_leave(HOST_LEAVE_REFUSED). */
__attribute__((format(printf, 1, 2))) _Noreturn void ground_refuse(const char *format, ...);

/* Print the words on the stack from @stack on that may be return addresses. */
void print_return_addresses(uint64_t stack);

/* Print the control registers. */
void print_control_registers(void);

#endif
