/*
 * Memory in one piece, as both sides of the host seam: for embedders whose tables no processor walks while the library edits
 * them. Simulators, tools, teaching, tests.
 *
 * Accesses are plain, not atomic: one thread at a time may use what was made from one object. Everything is borrowed, and
 * nothing is allocated.
 */
#ifndef VMMU_FLAT_H
#define VMMU_FLAT_H

#include <vmmu/base.h>
#include <vmmu/host.h>

/* Memory from physical address @base on, at host pointer @bytes: an array, or a file that was mapped. */
struct vmmu_flat {
    void *bytes;
    uint64_t base;
    uint64_t size_bytes;
    bool
        writable; /* else no accessed or dirty bit can be set in it: VMMU_ABSENT, as where there is no memory */
};

/* Reach @flat by physical address. It is borrowed as long as the result is used. */
struct vmmu_ram vmmu_flat_ram(const struct vmmu_flat *flat);

/*
 * A host that gives the pages of @pages for tables, and whose partition owns [owned_base, owned_base + owned_bytes). Set the
 * members of the first part; the rest begins as zeros.
 */
struct vmmu_flat_host {
    struct vmmu_flat pages; /* whole pages, aligned at @bytes and at @base; writable */
    uint64_t owned_base;
    uint64_t owned_bytes;

    const char
        *violated; /* for reading: what the library said when the isolation invariant would have failed */
    uint64_t given_bytes; /* from here on pages were never given */
    void *returned;       /* those that came back, each holding the link to the next */
};

/*
 * The seam over @host, which is borrowed as long as the result is used. A page below 4 GiB is given only if all of @host's
 * pages lie there.
 */
struct vmmu_host vmmu_flat_host(struct vmmu_flat_host *host);

#endif
