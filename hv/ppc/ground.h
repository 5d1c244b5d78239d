/*
 * The ground's own files to each other, and what hv/ppc's other rooms may ask of it.
 */
#ifndef HV_PPC_GROUND_H
#define HV_PPC_GROUND_H

#include "hv/boot/boot.h"
#include "hv/boot/host.h"
#include "hv/ppc/frame.h"
#include "hv/ppc/layout.h"

/* Linker and assembly symbols: addresses, not objects. */
extern uint8_t image_text[], image_constants[], image_text_end[], image_data[], image_file_end[], image_end[];
extern uint8_t stack_top[], fault_stack_top[];

/* Where each interrupt's code begins: VECTOR_LIMIT addresses, 0 for numbers that there are not. In vectors.S. */
extern const uint32_t vector_addresses[VECTOR_LIMIT];

/* --- what other rooms may ask --- */

/* How many entries of TLB1, from number 0 on, are the guests'; the others are the hypervisor's own. */
unsigned tlb1_guest_entries(void);

/* The time base's frequency in hertz. */
uint64_t host_timebase_hz(void);

/* Time base units of @ns nanoseconds, rounded down; and nanoseconds of so many units. */
uint64_t clock_ticks_of(uint64_t ns);
uint64_t clock_ns_of(uint64_t ticks);

/* What the time base stood at when host_clock_ns was 0. */
uint64_t clock_origin(void);

/* --- the steps of the start --- */

/* Set the interrupt vectors: interrupts of the hypervisor's own code are reported from here on. */
void vectors_init(void);

/* Find the two serial ports and set them to 115200 8N1, without interrupts yet: host_print works from here on. */
void serial_init(uint32_t clock_hz);

/*
 * The hypervisor's entries of TLB1 are all and final: the direct map of the first @memory_bytes of memory, and what start.S
 * made; the loader's go, and all of TLB0.
 */
void tlb_init(uint64_t memory_bytes);

/* The clock and the timer work from here on, by a time base of @hz. */
void clock_init(uint64_t hz);

/* Reset the interrupt controller: nothing comes through until a source is enabled. */
void host_mpic_init(void);

/* Let the serial ports' source through to this processor. */
void host_mpic_enable_serial(void);

/* Let the ports interrupt when they receive. Needs host_mpic_init. */
void serial_enable_interrupts(void);

/* --- interrupts --- */

/* From vectors.S: an interrupt came while the hypervisor's own code ran. */
void ground_interrupt(struct ppc_frame *frame);

/* From there: one that was let in; the frame goes on awake. */
void interrupt_handle(struct ppc_frame *frame);

/* From there: the interrupt controller's; the serial ports'; the decrementer's. True: something had asked for it. */
VMMU_MUST_USE
bool host_mpic_interrupt(void);
void serial_interrupt(void);
void timer_interrupt(void);

/* --- the end --- */

/* Wait until the ports have sent what they were given, or do not send. */
void serial_drain(void);

/* The machine will not do: a sentence that says why, and host_leave(HOST_LEAVE_REFUSED). */
__attribute__((format(printf, 1, 2))) _Noreturn void ground_refuse(const char *format, ...);

/* Print the return addresses of the frames on the stack from @stack on. */
void print_return_addresses(uint32_t stack);

#endif
