/*
 * JSON for machines, by json-c. Addresses and register values are strings "0x..."; counts are numbers.
 */
#ifndef TOOLS_UI_JSON_H
#define TOOLS_UI_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* Add a member to an object. */
void json_put_hex(struct json_object *object, const char *key, uint64_t value);
void json_put_number(struct json_object *object, const char *key, uint64_t value);
void json_put_text(struct json_object *object, const char *key, const char *value);
void json_put_flag(struct json_object *object, const char *key, bool value);

/* Print to standard output with a newline, and free. */
void json_print(struct json_object *document);

/*
 * Members of a document that came from outside: false if @key is missing or of another type. A number may be a JSON number
 * or a string "0x...".
 */
bool json_get_number(struct json_object *object, const char *key, uint64_t *value);
bool json_get_text(struct json_object *object, const char *key, const char **value);
struct json_object *json_get_object(struct json_object *object, const char *key);
struct json_object *json_get_array(struct json_object *object, const char *key);

/* The same of a value that is not a member: of an array. */
bool json_number_of(struct json_object *found, uint64_t *value);

#endif
