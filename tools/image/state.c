#include "tools/image/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ui/json.h"

#define DEPTH_MOST 32
#define BYTES_MOST 0x4000000

static struct json_object *parse(const char *text, size_t size_bytes, struct complaint *complaint)
{
    struct json_tokener *const tokener = json_tokener_new_ex(DEPTH_MOST);
    struct json_object *document = NULL;

    if (tokener == NULL) {
        (void)complain(complaint, "there is no memory to read the hypervisor's state");
        return NULL;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    document = json_tokener_parse_ex(tokener, text, (int)size_bytes);
    if (document == NULL) {
        const enum json_tokener_error error = json_tokener_get_error(tokener);

        (void)complain(complaint, "the hypervisor's state is not JSON: %s, at byte %zu",
                       error == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(error),
                       json_tokener_get_parse_end(tokener));
    }
    json_tokener_free(tokener);
    return document;
}

/* Nobody who reads an image could make anything of a machine without tables: to refuse it here is to say why once. */
static bool has_tables(struct json_object *state, struct complaint *complaint)
{
    const char *backend;

    if (json_get_text(state, "backend", &backend) && strcmp(backend, "e500") == 0) {
        return complain(complaint,
                        "it runs on an e500, where a guest fills a TLB by instructions of its own and "
                        "no processor reads tables: `vmmu live SOCKET walk ADDRESS` and `vmmu live "
                        "SOCKET tlb` show that TLB");
    }
    return true;
}

struct json_object *image_state_parse(const char *text, size_t size_bytes, struct complaint *complaint)
{
    struct json_object *document;
    uint64_t version;

    while (size_bytes != 0 && text[size_bytes - 1] == '\0')
        size_bytes--;
    if (size_bytes > BYTES_MOST) {
        (void)complain(complaint, "the hypervisor's state has %zu bytes, more than makes sense", size_bytes);
        return NULL;
    }
    document = parse(text, size_bytes, complaint);
    if (document == NULL)
        return NULL;
    if (!json_get_number(document, "vmmu_state", &version) || version != 1 ||
        json_get_array(document, "partitions") == NULL) {
        (void)complain(complaint, "the hypervisor's state is not of version 1, or has no partitions");
        json_object_put(document);
        return NULL;
    }
    if (!has_tables(document, complaint)) {
        json_object_put(document);
        return NULL;
    }
    return document;
}

struct json_object *image_state_partition(struct json_object *state, unsigned index,
                                          struct complaint *complaint)
{
    struct json_object *const partitions = json_get_array(state, "partitions");
    const size_t count = json_object_array_length(partitions);
    struct json_object *const found = index < count ? json_object_array_get_idx(partitions, index) : NULL;

    if (index >= count) {
        (void)complain(complaint, "there is no partition %u: it has %zu", index, count);
    } else if (!json_object_is_type(found, json_type_object)) {
        (void)complain(complaint, "partition %u of the hypervisor's state is no object", index);
        return NULL;
    }
    return found;
}

static bool wrong(struct state_place *place, const char *key, const char *what)
{
    return complain(place->complaint, "\"%.32s\" of %s %s", key, place->words, what);
}

static bool to_number(struct json_object *value, uint64_t *number)
{
    const char *text;
    char *end = NULL;

    if (json_object_is_type(value, json_type_int)) {
        *number = json_object_get_uint64(value);
        return json_object_get_int64(value) >= 0;
    }
    if (!json_object_is_type(value, json_type_string))
        return false;
    text = json_object_get_string(value);
    if (strncmp(text, "0x", 2) != 0 || text[2] == '\0' ||
        text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] != '\0')
        return false;
    errno = 0;
    *number = strtoull(text + 2, &end, 16);
    return errno == 0;
}

bool state_number(struct state_place *place, struct json_object *object, const char *key, uint64_t most,
                  uint64_t *value)
{
    struct json_object *found = NULL;

    if (!json_object_object_get_ex(object, key, &found))
        return wrong(place, key, "is missing");
    if (!to_number(found, value))
        return wrong(place, key, "is not a number, or has more than 64 bits");
    return *value <= most || wrong(place, key, "is out of range");
}

bool state_flag(struct state_place *place, struct json_object *object, const char *key, bool *value)
{
    struct json_object *found = NULL;

    if (!json_object_object_get_ex(object, key, &found))
        return wrong(place, key, "is missing");
    if (!json_object_is_type(found, json_type_boolean))
        return wrong(place, key, "is neither true nor false");
    *value = json_object_get_boolean(found);
    return true;
}

bool state_object(struct state_place *place, struct json_object *object, const char *key,
                  struct json_object **value)
{
    *value = json_get_object(object, key);
    return *value != NULL || wrong(place, key, "is missing, or no object");
}

bool state_array(struct state_place *place, struct json_object *object, const char *key,
                 struct json_object **value)
{
    *value = json_get_array(object, key);
    return *value != NULL || wrong(place, key, "is missing, or no array");
}

bool state_numbers(struct state_place *place, struct json_object *object, const char *key, unsigned count,
                   uint64_t *values)
{
    struct json_object *array;

    if (!state_array(place, object, key, &array))
        return false;
    if (json_object_array_length(array) != count)
        return wrong(place, key, "has too few members, or too many");
    for (unsigned i = 0; i < count; i++) {
        if (!to_number(json_object_array_get_idx(array, i), &values[i]))
            return wrong(place, key, "has a member that is not a number, or has more than 64 bits");
    }
    return true;
}

bool state_word(struct state_place *place, struct json_object *object, const char *key,
                const char *const *words, unsigned *index)
{
    const char *text;

    if (!json_get_text(object, key, &text))
        return wrong(place, key, "is missing, or no text");
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *index = i;
            return true;
        }
    }
    return wrong(place, key, "is a word that is not known");
}
