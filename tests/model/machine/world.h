/*
 * The model machine: virtual processors on processors, guest memory, a host, an engine, and beside them the
 * reference that says what each access may come to.
 *
 * world_step() runs one operation of a script. The first thing that must not be is a finding, after which
 * nothing runs any more.
 *
 * Host-caused staleness is never legal once an operation of the host has returned. While one is under way, a
 * page in its range may be seen as before or as after, and every other page as always.
 */
#ifndef TESTS_MODEL_MACHINE_WORLD_H
#define TESTS_MODEL_MACHINE_WORLD_H

#include <stdio.h>

#include "tests/model/machine/engine.h"
#include "tests/model/machine/memory.h"
#include "tests/model/machine/processor.h"
#include "tests/model/machine/reference.h"
#include "tests/model/machine/script.h"

/* What can be wrong. Each can be switched off, to prove that something is found by it alone. */
enum check {
    CHECK_TRANSLATION, /* an access reached a guest-physical address that the architecture does not permit */
    CHECK_FAULT,       /* a fault came to the guest that the architecture does not permit */
    CHECK_MARKS,       /* accessed or dirty bits of the guest's are missing after an access */
    CHECK_FRAME, /* an access reached another frame than the host maps, or used a right that the host had taken */
    CHECK_ISOLATION, /* a frame or table was touched that is not the partition's (any more), or violated() was called */
    CHECK_DATA,      /* a read gave another value than was written */
    CHECK_PRESENT,   /* a page that stays mapped was absent between two stores */
    CHECK_SIZES,     /* two sizes of one page with different frames or rights were cached at once */
    CHECK_DIRTY_LOG, /* a written page is missing from the dirty log */
    CHECK_HARVEST,   /* an accessed or written page is missing from a harvest */
    CHECK_EXIT,      /* an exit was judged wrongly: a device where memory is, memory where a device is */
    CHECK_PROGRESS,  /* an access did not end, or an operation of the host failed that cannot */
    CHECK_TABLES,    /* table pages were lost or given back twice, or the engine's own lookup disagrees */
    CHECK_SILENCE, /* an entry of the engine's lets a fault through to the guest that it may have to answer */
    CHECK_SWITCH,  /* an address space was entered that was in step, and the engine asked for a flush */
    CHECK_CALL,    /* a hypercall ended otherwise than the specification has it */
    CHECK_THRIFT,  /* a hypercall flushed what it was told to leave alone */
    CHECKS,
};

extern const char *const check_names[CHECKS];

struct finding {
    bool found;
    enum check check;
    char sentence[400]; /* what happened, what would have been permitted */
};

struct world;

/* @checks is a set of bits by enum check. NULL if the setting cannot be, or there is no memory left. */
struct world *world_create(const struct setting *setting, uint32_t checks);

/* Tear down, checking that nothing is lost. A finding of the teardown is written to *last if it is the first; may be NULL. */
void world_destroy(struct world *world, struct finding *last);

/* Run one operation. Operations that make no sense at the moment do nothing. False once there is a finding. */
bool world_step(struct world *world, const struct op *op);

const struct finding *world_finding(const struct world *world);

/* For engines and generators. */
const struct setting *world_setting(const struct world *world);
const struct vmmu_x86_cpu *world_cpu(const struct world *world); /* the guest's processors */
struct memory *world_memory(struct world *world);
struct reference *world_reference(struct world *world);
struct vmmu_table_memory *
world_tables(struct world *world); /* set up with the store hook, limit and quarantine of the setting */

/* Apply a plan to every processor that must flush, report its epoch: what a hypervisor does. */
void world_apply(struct world *world, const struct vmmu_plan *plan);

/*
 * The plan of an operation that is done. The host applies it now, or later where it does not rely on the effect
 * yet; until then the operation is still under way for its processors.
 */
void world_hand_over(struct world *world, const struct vmmu_plan *plan);

/*
 * For engines: some VP may do something now, as between two stores to tables. And: an entry of a guest's table at @hpa
 * was marked by the host, as a processor marks it.
 */
void world_act(struct world *world);
void world_mark(struct world *world, uint64_t hpa, unsigned width_bytes, uint64_t value);

/* An address space was entered, and nothing had to be flushed for it. */
void world_count_switch(struct world *world);

/* The host asks for what the engine must refuse, or has done so: violated() is what is wanted. */
void world_provoke(struct world *world, bool provoking);

/* Chance of the operation under way: true once in @times. */
bool world_once_in(struct world *world, uint32_t times);
uint32_t world_below(struct world *world, uint32_t limit); /* or a number below @limit */

/* Record a finding, unless the check is switched off or there is one already. */
__attribute__((format(printf, 3, 4))) void world_report(struct world *world, enum check check,
                                                        const char *format, ...);

/* Whether the host maps @gpa now, and with which rights: for generators. */
bool world_host_maps(const struct world *world, uint64_t gpa, uint8_t *rights);

#define COUNTED_ENDS 8
struct world_counters {
    uint64_t ops[OP_KINDS]; /* that did something */
    uint64_t idle;          /* that did nothing */
    uint64_t reached;       /* accesses that reached memory */
    uint64_t guest_faults;
    uint64_t silent_faults; /* of these, those without an exit, though the technique intercepts page faults */
    uint64_t exits;         /* to the engine */
    uint64_t devices;
    uint64_t stale; /* accesses whose result was permitted and differs from what a fresh walk gives */
    uint64_t between_stores; /* actions of processors between two stores of the engine */
    uint64_t switches;       /* of roots that changed nothing, and so had nothing to flush */
    uint64_t goes;           /* of flush hypercalls: one is made in several if its list is long */
    uint64_t ordered;        /* virtual processors that were to flush for them */
};

const struct world_counters *world_counters(const struct world *world);

#endif
