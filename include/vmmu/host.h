/*
 * The host seam: all that the library asks of whoever embeds it.
 *
 * Two records of callbacks, both borrowed for as long as the object that was given them lives.
 * `vmmu_ram` reaches memory that holds somebody else's tables (a guest's memory, or a memory image);
 * `vmmu_host` gives the pages in which the library keeps tables of its own. Nothing else is asked: no
 * heap, no clock, no lock, no printing.
 */
#ifndef VMMU_HOST_H
#define VMMU_HOST_H

#include <vmmu/base.h>

/**
 * Memory that holds table entries, reached by physical address: a guest's by guest-physical address, or, for
 * the second stage of a two-dimensional walk, the machine's by host-physical address.
 *
 * Addresses are aligned to @width_bytes, which is 4 or 8. Each callback is one atomic access to that memory,
 * which other processors may be changing right now. Entries are little-endian in memory and native in @value.
 */
struct vmmu_ram {
    void *context;

    /* VMMU_OK and *value, or VMMU_ABSENT where there is no memory. */
    enum vmmu_status (*load)(void *context, uint64_t address, unsigned width_bytes, uint64_t *value);

    /*
     * Store @desired where @expected stands. VMMU_OK, VMMU_RACED if another value stands there, VMMU_ABSENT.
     */
    enum vmmu_status (*exchange)(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                 uint64_t desired);
};

/* What a table page must satisfy beyond being a page. */
enum vmmu_page_zone {
    VMMU_PAGE_ANY,
    VMMU_PAGE_BELOW_4G, /* a PAE root: CR3 holds 32 bits of it */
};

/**
 * The embedder, for one partition.
 *
 * Table pages are 4096 bytes, aligned, mapped at a host pointer for as long as the library holds them, and
 * visible to the processor at their host-physical address. The callbacks may be called under the caller's own
 * lock for the tables; they must not call back into the library.
 */
struct vmmu_host {
    void *context;

    /* Give a page, its content undefined, and its address in *at; NULL if there is none. */
    void *(*page_take)(void *context, enum vmmu_page_zone zone, vmmu_hpa *at);

    /* Take a page back. The library has made sure that no processor can still walk through it. */
    void (*page_give)(void *context, vmmu_hpa at, void *page);

    /* The host pointer of a page that page_take gave. */
    void *(*page_at)(void *context, vmmu_hpa at);

    /* Load or store one entry of a live table, as one atomic access. */
    uint64_t (*entry_load)(void *context, const void *entry, unsigned width_bytes);

    /*
     * Compare and exchange one entry of a live table: whether @desired was stored, else
     * *expected is what stands there.
     */
    bool (*entry_exchange)(void *context, void *entry, unsigned width_bytes, uint64_t *expected,
                           uint64_t desired);

    /*
     * Whether the partition owns every byte of [at, at + size_bytes). Asked before an
     * entry is made that maps it.
     */
    bool (*owns)(void *context, vmmu_hpa at, uint64_t size_bytes);

    /* The isolation invariant would have failed. Stop the partition; @what is a sentence. May return. */
    void (*violated)(void *context, const char *what);
};

#endif
