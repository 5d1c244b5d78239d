/*
 * The state document of our hypervisor, docs/dump.md: parsed once, and its members taken one by one. A member that is
 * missing, of another type or out of range is a complaint that says where.
 */
#ifndef TOOLS_IMAGE_STATE_H
#define TOOLS_IMAGE_STATE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/ui/complain.h"

/*
 * JSON text of @size_bytes, zeros behind it allowed. NULL and *complaint if it is not such a document, or one of a machine
 * without page tables.
 */
struct json_object *image_state_parse(const char *text, size_t size_bytes, struct complaint *complaint);

/* Member @index of the array `partitions`; NULL and *complaint if there is none. */
struct json_object *image_state_partition(struct json_object *state, unsigned index,
                                          struct complaint *complaint);

/* Where in the document we are, for complaints: "VP 1 of partition 0". */
struct state_place {
    char words[96];
    struct complaint *complaint;
};

/* The member itself, a number up to @most, a flag, an object, an array: false and a complaint otherwise. */
bool state_number(struct state_place *place, struct json_object *object, const char *key, uint64_t most,
                  uint64_t *value);
bool state_flag(struct state_place *place, struct json_object *object, const char *key, bool *value);
bool state_object(struct state_place *place, struct json_object *object, const char *key,
                  struct json_object **value);
bool state_array(struct state_place *place, struct json_object *object, const char *key,
                 struct json_object **value);

/* An array of just @count numbers. */
bool state_numbers(struct state_place *place, struct json_object *object, const char *key, unsigned count,
                   uint64_t *values);

/* The index of a text in @words, which ends in NULL. */
bool state_word(struct state_place *place, struct json_object *object, const char *key,
                const char *const *words, unsigned *index);

#endif
