#include "tools/ui/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_put_hex(struct json_object *object, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "0x%" PRIx64, value);
    json_object_object_add(object, key, json_object_new_string(text));
}

void json_put_number(struct json_object *object, const char *key, uint64_t value)
{
    json_object_object_add(object, key, json_object_new_uint64(value));
}

void json_put_text(struct json_object *object, const char *key, const char *value)
{
    json_object_object_add(object, key, value ? json_object_new_string(value) : NULL);
}

void json_put_flag(struct json_object *object, const char *key, bool value)
{
    json_object_object_add(object, key, json_object_new_boolean(value));
}

void json_print(struct json_object *document)
{
    puts(json_object_to_json_string_ext(document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(document);
}

static struct json_object *member(struct json_object *object, const char *key, enum json_type type)
{
    struct json_object *found = NULL;

    if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &found) ||
        !json_object_is_type(found, type)) {
        return NULL;
    }
    return found;
}

static bool number_of_text(const char *text, uint64_t *value)
{
    const size_t digits = strncmp(text, "0x", 2) == 0 ? strspn(text + 2, "0123456789abcdefABCDEF") : 0;

    if (digits == 0 || digits > 16 || text[2 + digits] != '\0') {
        return false;
    }
    *value = strtoull(text + 2, NULL, 16);
    return true;
}

bool json_number_of(struct json_object *found, uint64_t *value)
{
    if (json_object_is_type(found, json_type_int)) {
        if (json_object_get_int64(found) < 0) {
            return false;
        }
        *value = json_object_get_uint64(found);
        return true;
    }
    return json_object_is_type(found, json_type_string) &&
           number_of_text(json_object_get_string(found), value);
}

bool json_get_number(struct json_object *object, const char *key, uint64_t *value)
{
    struct json_object *found = NULL;

    return json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, key, &found) &&
           json_number_of(found, value);
}

bool json_get_text(struct json_object *object, const char *key, const char **value)
{
    struct json_object *found = member(object, key, json_type_string);

    *value = found ? json_object_get_string(found) : NULL;
    return found != NULL;
}

struct json_object *json_get_object(struct json_object *object, const char *key)
{
    return member(object, key, json_type_object);
}

struct json_object *json_get_array(struct json_object *object, const char *key)
{
    return member(object, key, json_type_array);
}
