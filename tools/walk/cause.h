/*
 * Which bits of which entries stopped a walk.
 */
#ifndef TOOLS_WALK_CAUSE_H
#define TOOLS_WALK_CAUSE_H

#include "tools/walk/model.h"

/* Fill in model->causes from the rest of *model. None if the walk succeeded. */
void walk_find_causes(struct walk_model *model);

/*
 * Why each bit of entry->reserved must be zero, in a few words: the most telling of the reasons. Never NULL.
 */
const char *walk_reserved_words(const struct walk_model *model, const struct walk_entry *entry);

#endif
