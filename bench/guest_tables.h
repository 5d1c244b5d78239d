/* The page tables of a guest whose memory can be seen: see guest_tables.c. */
#ifndef BENCH_GUEST_TABLES_H
#define BENCH_GUEST_TABLES_H

#include <stdio.h>

#include "hv/vp/vp.h"

struct vp_arch;

/* What the hypervisor's @pointer points to, in this process; NULL if that is no memory. */
typedef const void *(*guest_pointer)(const void *pointer, size_t bytes);

/* Print a line "tables" about the root that the VP of @arch has loaded; nothing unless it runs on shadow tables. */
void guest_tables_print(FILE *out, const struct partition *partition, const struct vp_arch *arch,
                        guest_pointer at);

#endif
