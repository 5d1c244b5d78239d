/*
 * An embedder of vmmu_shadow, and those who look at what it made.
 *
 *   engine_shadow.c        life, running, what hardware is loaded with
 *   engine_shadow_host.c   the backing, the host's changes to it, the dirty log
 *   engine_shadow_check.c  live tables against the guest's tables and the backing
 *   engine_shadow_silence.c  entries that raise faults nobody hears of
 */
#ifndef TESTS_MODEL_MACHINE_ENGINE_SHADOW_INTERNAL_H
#define TESTS_MODEL_MACHINE_ENGINE_SHADOW_INTERNAL_H

#include "tests/model/machine/engine_shadow.h"
#include "tests/model/machine/host_map.h"
#include "tests/model/machine/world.h"
#include <vmmu/shadow.h>

/* What a page is backed by: the bits of host_map.h, and whether it was written since the dirty log was last told. */
#define BACKING_WRITTEN UINT8_C(0x10)

struct hardware_vp {
    struct vmmu_shadow_root root;
    struct vmmu_x86_mode hardware; /* but for what is loaded each time */
    uint64_t cr4;                  /* the hardware's */
    bool intercepts_invlpg;        /* since it entered the guest */
};

struct engine {
    struct world *world;
    struct vmmu_x86_cpu cpu; /* the hardware's */
    struct vmmu_ram ram;     /* the guest's memory, to the library */
    struct vmmu_ram machine; /* all memory */
    struct vmmu_shadow shadow;
    void *account;
    struct hardware_vp vps[MODEL_VPS];
    bool logging;
    bool lying;     /* the backing tells of frames that are somebody else's */
    uint64_t lies;  /* that were seen through */
    bool writing;   /* the access whose fault is dealt with is a write */
    uint64_t asked; /* when the library was asked of a fault; marks of its own count for nothing */
    uint8_t backing[HOST_PAGES];
};

/* Turns of flush and retry that one operation may need: pages are evicted, frames protected, one after the other. */
#define SHADOW_TURNS 64

/* Repeat an operation until it is done. Plans between are applied; of the last one the host may think as it likes. */
#define SHADOW_DO(engine, status, call)                                                                      \
    do {                                                                                                     \
        (status) = VMMU_FLUSH_RETRY;                                                                         \
        for (unsigned turn = 0; turn < SHADOW_TURNS && (status) == VMMU_FLUSH_RETRY; turn++) {               \
            const struct vmmu_outcome outcome = (call);                                                      \
                                                                                                             \
            (status) = outcome.status;                                                                       \
            if ((status) == VMMU_FLUSH_RETRY) {                                                              \
                world_apply((engine)->world, &outcome.plan);                                                 \
            } else {                                                                                         \
                world_hand_over((engine)->world, &outcome.plan);                                             \
            }                                                                                                \
        }                                                                                                    \
    } while (0)

/* --- engine_shadow_host.c --- */

/* For struct vmmu_shadow_config and struct vmmu_ram; @context is the engine. */
enum vmmu_status backing_of(void *context, vmmu_gpa gpa, struct vmmu_shadow_backing *out);
enum vmmu_status backing_load(void *context, uint64_t gpa, unsigned width_bytes, uint64_t *value);
enum vmmu_status backing_exchange(void *context, uint64_t gpa, unsigned width_bytes, uint64_t expected,
                                  uint64_t desired);

/* How the host wants the page cached, whatever a guest says. */
enum vmmu_x86_memory_type backing_type(uint64_t gpa);

/* What the page may be used for now: its own rights, or without writing if that is to be logged. */
uint8_t backing_rights(const struct engine *engine, uint64_t gpa);

/* The page was written, or is about to be: it gets its right back. False if it was not the log that denied it. */
bool backing_log_write(struct engine *engine, uint64_t gpa);

enum vmmu_status backing_map(struct engine *engine, const struct vmmu_nested_mapping *mapping);
enum vmmu_status backing_unmap(struct engine *engine, uint64_t gpa, uint64_t size_bytes);
enum vmmu_status backing_protect(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t rights);
enum vmmu_status backing_split(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t level);
enum vmmu_status backing_merge(struct engine *engine, uint64_t gpa, uint64_t size_bytes);
enum vmmu_status backing_log_start(struct engine *engine, enum vmmu_nested_log log);
enum vmmu_status backing_log_collect(struct engine *engine, uint64_t gpa, uint64_t size_bytes,
                                     uint8_t *bitmap);
enum vmmu_status backing_log_stop(struct engine *engine);

/* --- engine_shadow_check.c --- */

void shadow_check(struct engine *engine, bool all);

/* --- engine_shadow_silence.c --- */

/* What faults of entries that are not present rely on, for some pages or @all. */
void shadow_check_silence(struct engine *engine, bool all);

#endif
