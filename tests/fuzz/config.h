/*
 * What the target of a guest's configuration is made of.
 */
#ifndef TESTS_FUZZ_CONFIG_H
#define TESTS_FUZZ_CONFIG_H

#include "tests/fuzz/input.h"

/* One run: memory is laid out, and firmware tables written and read. */
void config_run_tables(struct input *input);

/* One run: a JSON document is written and read. */
void config_run_json(struct input *input);

#endif
