/*
 * Draws operations, with weights that find trouble: addresses come back, entries fit memory that is there, guests answer misses as
 * kernels do; and some make no sense at all.
 */
#ifndef TESTS_BOOKE_MACHINE_GENERATE_H
#define TESTS_BOOKE_MACHINE_GENERATE_H

#include "tests/booke/machine/world.h"

#define RECENT 12

struct generator {
    struct luck luck;
    unsigned vp;             /* who goes on */
    uint64_t misses;         /* until now: a kernel answers one that has just been */
    unsigned mixed_one_in;   /* modes where IS is not DS */
    unsigned pids_one_in;    /* PID1 and PID2 in use */
    unsigned hostile_one_in; /* entries that no kernel would write */
    uint64_t refusals;       /* likewise */
    bool missed;             /* and its handler has begun */
    bool handling;           /* and goes back to `mode` next */
    uint32_t mode;
    uint32_t again; /* where an access went: once more, when something has changed */
    struct op last;
    struct reference_change recent[RECENT]; /* where entries were written */
};

void generator_init(struct generator *generator, uint64_t seed);
void generate(struct generator *generator, const struct world *world, struct op *op);

#endif
