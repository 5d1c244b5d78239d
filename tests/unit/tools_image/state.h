/*
 * State documents of our hypervisor, and dumps that hold them, made by the tests as docs/dump.md has them.
 */
#ifndef TESTS_UNIT_TOOLS_IMAGE_STATE_H
#define TESTS_UNIT_TOOLS_IMAGE_STATE_H

#include "tests/unit/tools_image/build.h"

/* The machine's memory in dump_of(): @STATE_MEMORY_BYTES from 0 on, in which page N is made of the byte N. */
#define STATE_MEMORY_BYTES 0x40000

/*
 * A sound document of one partition under "nested", with one VP, and pieces of memory at 0 (host 0x10000, 0x8000 bytes, rwx) and at
 * 0x100000 (host 0x20000, 0x4000 bytes, r-x). Free with json_object_put().
 */
struct json_object *sound_state(void);

/* The same under "shadow". */
struct json_object *shadow_state(void);

/* Partition 0 of a document, VP 0 of it, piece 0 of its memory. */
struct json_object *partition_of(struct json_object *state);
struct json_object *vp_of(struct json_object *state);
struct json_object *piece_of(struct json_object *state, unsigned index);

/* Set a member to what the JSON text @value says. */
void set(struct json_object *object, const char *key, const char *value);

/* A dump with the text @state as its note. */
struct bytes dump_of(const char *state);

/* A dump of @state, which is given back, opened; the test fails if it is refused. */
struct image *open_state(struct json_object *state);

#endif
