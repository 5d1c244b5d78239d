/*
 * The other processors: found by the firmware's tables, started by INIT and start-up messages, and given functions to run.
 *
 * A processor that has nothing to do is halted, interrupts on, until VECTOR_SMP. What it is given runs with interrupts off,
 * in the mode in which the guest was started, and has to leave that mode as it found it.
 *
 * trap_last and trap_resume are one for all: only one processor may be in TRY() at a time.
 *
 * SDM 3A "Multiple-Processor Management"; ACPI Specification "Multiple APIC Description Table (MADT)"; MultiProcessor
 * Specification 1.4 "MP Configuration Table".
 */
#ifndef TESTS_GUESTS_SMP_H
#define TESTS_GUESTS_SMP_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/common/layout.h"

/* By which a halted processor is told to look for work. */
#define VECTOR_SMP 0xf0

/* Identities of local APICs, as a table of the firmware lists them. */
struct smp_list {
    unsigned count;
    uint32_t ids[SMP_CPUS];
};

/* The processors that can be used by the MADT, or by the MP table; none where there is no such table. */
struct smp_list smp_list_madt(void);
struct smp_list smp_list_mp(void);

/* What a processor finds in its registers when it starts: SDM 3A "Processor State After Reset". */
struct smp_first {
    uint32_t cr0, cr3, cr4, edx;
    uint16_t cs, ax;
};

/*
 * Start every processor of @list, with all local APICs as irq_start(@x2) makes them. Processor 0 is the one that calls;
 * the others count in the list's order. False if one of them does not come.
 */
bool smp_start(const struct smp_list *list, bool x2);

/* INIT for all but processor 0, and irq_stop(). */
void smp_stop(void);

/* Processors that were started, processor 0 among them. */
unsigned smp_count(void);

/* The processor that this runs on. */
unsigned smp_here(void);

/* The identity of @cpu's local APIC. */
uint32_t smp_identity(unsigned cpu);

/* The same message to @cpu's local APIC. */
void smp_send(unsigned cpu, uint32_t command);

/* How often @cpu has come by a start-up message. */
unsigned smp_starts(unsigned cpu);

/* INIT and start-up messages for @cpu; what it found. False if it does not come. */
bool smp_restart(unsigned cpu, struct smp_first *first);

/* INIT alone; @cpu is idle when it starts again. */
void smp_reset(unsigned cpu);

/* Start-up messages alone, for a processor that waits for them: whether it comes. */
bool smp_wake(unsigned cpu);

typedef void smp_function(void *argument);

/* Let @cpu, which is idle, run @function. */
void smp_begin(unsigned cpu, smp_function *function, void *argument);

/* Until it has ended; false if it takes too long. */
bool smp_wait(unsigned cpu);

/* Both. Too long ends the guest. */
void smp_run(unsigned cpu, smp_function *function, void *argument);

/* Spin until *word is @value at least; false if it takes too long. */
bool smp_await(const volatile unsigned *word, unsigned value);

/* Give way for about so many rounds of a spin loop. */
void smp_linger(unsigned rounds);

/* Count arrivals of @vector by processor, in smp_counts[vector][cpu]; all start at 0. */
#define SMP_VECTORS 256
extern volatile unsigned smp_counts[SMP_VECTORS][SMP_CPUS];
void smp_count_vector(unsigned vector);

#endif
