/*
 * Machines for tests of vmmu walk: a world of cells behind a struct machine, without an image.
 */
#ifndef TESTS_UNIT_TOOLS_WALK_WALKED_H
#define TESTS_UNIT_TOOLS_WALK_WALKED_H

#include "tests/unit/walk/world.h"
#include "tools/walk/model.h"

/* A machine on @world's memory with @registers. */
struct machine machine_on(struct world *world, const struct vmmu_x86_paging_registers *registers);

/* The same with the registers that turn on @paging, over an empty world. */
struct machine machine_with(struct world *world, enum vmmu_x86_paging paging);

/* Walk @va; @access in words, as the command line takes them. */
void walk_in_words(const struct machine *machine, uint64_t va, const char *access, struct walk_model *model);

/* The one cause of @model, or the test fails. */
const struct walk_cause *only_cause(const struct walk_model *model);

/* What cause @index says begins, ends or has in its middle @part, or the test fails and prints it. */
void expect_sentence(const struct walk_model *model, unsigned index, const char *part);

/*
 * What @print writes to standard output. Free the text.
 */
char *printed(void (*print)(const void *what), const void *what);

/* @part is in @text, or the test fails and prints both. */
void expect_part(const char *text, const char *part);

#endif
