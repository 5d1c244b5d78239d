/*
 * Accesses in words: "w,user".
 */
#ifndef TOOLS_WALK_ACCESS_H
#define TOOLS_WALK_ACCESS_H

#include <stdbool.h>
#include <vmmu/mode.h>

/*
 * r, w or x, and any of user, supervisor, implicit and ac, in any order, with commas between; letters of one kind may be
 * written out (read, write, execute, fetch). A read by the supervisor where a part is not said. False if a word is none of
 * these, or contradicts another; *access is unchanged then.
 */
bool access_parse(const char *text, struct vmmu_x86_access *access);

#endif
