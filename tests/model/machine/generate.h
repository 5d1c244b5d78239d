/*
 * Where scripts come from: settings and operations drawn at random, with weights that find trouble.
 *
 * A generator looks at the world that its operations run in (registers, tables, what the host maps), so that most of
 * them mean something there; the operations themselves hold nothing but numbers, and need no generator to be run
 * again.
 */
#ifndef TESTS_MODEL_MACHINE_GENERATE_H
#define TESTS_MODEL_MACHINE_GENERATE_H

#include "tests/model/machine/luck.h"
#include "tests/model/machine/script.h"
#include "tests/model/machine/world.h"

/* Draw a setting from @seed for the technique number @engine of engines[]. */
void generate_setting(uint64_t seed, unsigned engine, struct setting *setting);

struct generator;

/* NULL if there is no memory left on this computer. @world is borrowed. */
struct generator *generator_create(struct world *world);
void generator_destroy(struct generator *generator);

/* The next operation. There is always one more. */
struct op generator_next(struct generator *generator);

#endif
