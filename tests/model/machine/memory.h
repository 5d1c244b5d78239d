/*
 * The machine's memory, by host-physical address: sparse pages, each with an owner.
 *
 * A page that was never written reads as zeros. The owner says who may reach it now: whatever the processor
 * touches, walking or accessing, must belong to the guest or to the engine's tables.
 */
#ifndef TESTS_MODEL_MACHINE_MEMORY_H
#define TESTS_MODEL_MACHINE_MEMORY_H

#include "tests/model/machine/geometry.h"
#include <vmmu/host.h>

enum memory_owner {
    OWNER_FOREIGN, /* another partition, or nobody */
    OWNER_GUEST,   /* memory of this partition */
    OWNER_TABLES,  /* a page that the engine has taken for tables and not given back */
};

struct memory;

/* NULL if there is no memory left on this computer. */
struct memory *memory_create(void);
void memory_destroy(struct memory *memory);

/* Pages [hpa, hpa + size) belong to @owner from now on. Foreign pages of tables are filled with
 * entries that lead astray: whoever still walks through them lands on a foreign page with every right. */
void memory_assign(struct memory *memory, uint64_t hpa, uint64_t size_bytes, enum memory_owner owner);

enum memory_owner memory_owner_of(const struct memory *memory, uint64_t hpa);

/* Whether @owner owns all of [hpa, hpa + size). */
bool memory_is_owned(const struct memory *memory, uint64_t hpa, uint64_t size_bytes, enum memory_owner owner);

/*
 * Width is 1, 2, 4 or 8 bytes, aligned; any address below HOST_LIMIT; elsewhere reads give zero and writes
 * vanish.
 */
uint64_t memory_load(const struct memory *memory, uint64_t hpa, unsigned width_bytes);
void memory_store(struct memory *memory, uint64_t hpa, unsigned width_bytes, uint64_t value);

/* Copy the content of one 4 KiB page, as a host does that moves it. */
void memory_copy_page(struct memory *memory, uint64_t to, uint64_t from);

/* The host pointer of a page, which stays where it is for as long as the memory lives: for table pages. */
void *memory_page(struct memory *memory, uint64_t hpa);

/* Visit every 8-byte word of the page that is not zero. */
void memory_each_word(const struct memory *memory, uint64_t page,
                      void (*visit)(void *context, uint64_t hpa, uint64_t value), void *context);

#endif
