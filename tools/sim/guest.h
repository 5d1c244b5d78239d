/*
 * A small guest operating system: address spaces, demand paging, and page tables that really stand in the guest's memory.
 *
 * A page that is touched for the first time faults; the kernel takes a frame, clears it, and writes the entries that lead to it.
 * It reaches all memory through a direct map of pages of 1 GiB, as Linux does: what it writes is written at linear addresses,
 * and goes the way of every access. Pages are never taken away.
 *
 * The upper half of linear addresses is the kernel's, the same in all address spaces, with global pages.
 */
#ifndef TOOLS_SIM_GUEST_H
#define TOOLS_SIM_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <vmmu/mode.h>

#include "tools/engine/memory.h"

#define SIM_SPACES_MOST 4095 /* as many as there are PCIDs but 0 */

/* How the kernel's accesses are made. The context is the machine's. */
struct sim_guest_host {
    void *context;

    /* Store an entry: eight bytes at guest-physical @gpa, which the kernel sees at @va. False and *complaint if that fails. */
    bool (*store)(void *context, uint64_t va, uint64_t gpa, uint64_t value, struct complaint *complaint);

    /* Write one page at @va, whatever to: it is being cleared. */
    bool (*clear)(void *context, uint64_t va, struct complaint *complaint);
};

struct sim_guest_options {
    unsigned levels;       /* of its tables: 4 or 5 */
    unsigned leaf_level;   /* of what it maps: 1, 2, 3 */
    uint64_t memory_bytes; /* of the guest: whole GiB */
    bool pcids;            /* CR4.PCIDE, and a PCID for each address space */
};

struct sim_guest;

/*
 * Boot it in @memory, which is borrowed, all zeros, and has @options->memory_bytes. Until it has booted it writes @memory itself; then
 * through @host, which is copied, if that has callbacks. NULL and *complaint if there is no room.
 */
struct sim_guest *sim_guest_open(struct engine_memory *memory, const struct sim_guest_options *options,
                                 const struct sim_guest_host *host, struct complaint *complaint);

/* What the processor that it runs on offers. */
const struct vmmu_x86_cpu *sim_guest_cpu(void);

/* The address space called @name, which is made if there is none: its number, from 0. False and *complaint: too many. */
bool sim_guest_space(struct sim_guest *guest, uint64_t name, unsigned *number, struct complaint *complaint);

/* The registers in address space @number. */
struct vmmu_x86_paging_registers sim_guest_registers(const struct sim_guest *guest, unsigned number);

/*
 * A page fault at @va in address space @number, because nothing is mapped there: map a page. False and *complaint if memory
 * is used up.
 */
bool sim_guest_fault(struct sim_guest *guest, unsigned number, uint64_t va, bool write,
                     struct complaint *complaint);

/* Whether @va is in the kernel's half. */
bool sim_guest_is_kernel(uint64_t va);

uint64_t sim_guest_table_pages(const struct sim_guest *guest);
uint64_t sim_guest_mapped_bytes(const struct sim_guest *guest);

void sim_guest_close(struct sim_guest *guest);

#endif
