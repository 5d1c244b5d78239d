#include "tools/live/counters.h"

#include <limits.h>
#include <string.h>

#include "tools/ui/json.h"

const char *const counter_group_names[COUNTER_GROUPS] = {
    [COUNTER_EXITS] = "EXITS",
    [COUNTER_TRAPS] = "TRAPS",
    [COUNTER_VPS] = "PROCESSORS",
    [COUNTER_MMU] = "MMU",
};

/* What tells how much there is, of the MMU. */
static const char *const levels[] = {
    "table_pages_held", "table_pages_peak", "table_pages_quarantined", "overlays", "pool_pages", "pages",
    "peak_pages",       "split_pages",
};

static bool is_level(enum counter_group group, const char *name)
{
    for (unsigned i = 0; group == COUNTER_MMU && i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(name, levels[i]) == 0) {
            return true;
        }
    }
    return false;
}

void counters_copy_text(char *to, size_t room, const char *text)
{
    size_t length = 0;

    for (; text[length] != '\0' && length + 1 < room; length++) {
        const bool is_plain = text[length] >= ' ' && text[length] < 0x7F;

        to[length] = '?';
        if (is_plain) {
            to[length] = text[length];
        }
    }
    to[length] = '\0';
}

const struct counter *counters_find(const struct counters *counters, enum counter_group group,
                                    const char *name)
{
    for (unsigned i = 0; i < counters->count; i++) {
        if (counters->all[i].group == group && strcmp(counters->all[i].name, name) == 0) {
            return &counters->all[i];
        }
    }
    return NULL;
}

static struct counter *find(struct counters *counters, enum counter_group group, const char *name)
{
    const struct counter *const found = counters_find(counters, group, name);

    return found ? &counters->all[found - counters->all] : NULL;
}

/* Add @value to the counter of that name; a document with more of them than there are is cut. */
static void add(struct counters *counters, enum counter_group group, const char *name, uint64_t value)
{
    struct counter *counter;
    struct counter made = { .group = group };

    counters_copy_text(made.name, sizeof(made.name), name);
    counter = find(counters, group, made.name);
    if (!counter) {
        if (counters->count == COUNTERS_MOST) {
            return;
        }
        counter = &counters->all[counters->count++];
        *counter = made;
        counter->level = is_level(group, made.name);
    }
    counter->value += value;
}

/* Every number in @object but its own place in an array. */
static void add_members(struct counters *counters, enum counter_group group, struct json_object *object)
{
    struct json_object_iterator at;
    struct json_object_iterator end;

    if (!json_object_is_type(object, json_type_object)) {
        return;
    }
    at = json_object_iter_begin(object);
    end = json_object_iter_end(object);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *const name = json_object_iter_peek_name(&at);
        uint64_t value;

        if (strcmp(name, "index") != 0 &&
            json_object_is_type(json_object_iter_peek_value(&at), json_type_int) &&
            json_get_number(object, name, &value)) {
            add(counters, group, name, value);
        }
    }
}

static void copy_member(struct json_object *object, const char *key, char *to, size_t room)
{
    const char *text;

    counters_copy_text(to, room, json_get_text(object, key, &text) ? text : "?");
}

/* The exits of all virtual processors come before the rest, so that groups stay together. */
static void read_vps(struct counters *counters, struct json_object *vps)
{
    const size_t count = json_object_array_length(vps);

    counters->vps = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        struct json_object *const own = json_get_object(json_object_array_get_idx(vps, i), "counters");
        uint64_t entries;

        add_members(counters, COUNTER_EXITS, json_get_object(own, "exits"));
        if (json_get_number(own, "entries", &entries)) {
            counters->entries += entries;
        }
    }
    for (unsigned i = 0; i < counters->count; i++) {
        counters->exits += counters->all[i].value;
    }
    for (size_t i = 0; i < count && strcmp(counters->technique, TECHNIQUE_BOOKE) == 0; i++) {
        add_members(counters, COUNTER_TRAPS, json_object_array_get_idx(vps, i));
    }
    for (size_t i = 0; i < count; i++) {
        add_members(counters, COUNTER_VPS, json_get_object(json_object_array_get_idx(vps, i), "counters"));
    }
}

static bool take(struct json_object *document, struct counters *counters, struct complaint *complaint)
{
    struct json_object *const mmu = json_get_object(document, "mmu");
    struct json_object *const vps = json_get_array(document, "vps");
    struct json_object *held = NULL;

    *counters = (struct counters){ 0 };
    if (json_get_array(document, "partitions")) {
        return complain(complaint, "there are several partitions: say which by --partition");
    }
    if (!mmu || !vps) {
        return complain(complaint, "the hypervisor's document has no \"%s\"", mmu ? "vps" : "mmu");
    }
    copy_member(document, "backend", counters->backend, sizeof(counters->backend));
    copy_member(mmu, "technique", counters->technique, sizeof(counters->technique));
    copy_member(json_get_object(document, "outcome"), "kind", counters->outcome, sizeof(counters->outcome));
    counters->held = json_object_object_get_ex(document, "held", &held) && json_object_get_boolean(held);
    (void)json_get_number(document, "memory_bytes", &counters->memory_bytes);
    (void)json_get_number(document, "run_ns", &counters->run_ns);
    read_vps(counters, vps);
    add_members(counters, COUNTER_MMU, mmu);
    return true;
}

/* Whether a line of JSON has letters only: strings in it have others by their numbers. */
static bool is_plain_line(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7F) {
            return false;
        }
    }
    return true;
}

/* Whatever is printed of it may come to a terminal. */
struct json_object *counters_parse(const char *text)
{
    const size_t length = strlen(text);
    struct json_tokener *const tokener = json_tokener_new();
    struct json_object *parsed = NULL;

    if (tokener && length < INT_MAX && is_plain_line(text)) {
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        parsed = json_tokener_parse_ex(tokener, text, (int)length);
        if (parsed && json_tokener_get_parse_end(tokener) != length) {
            json_object_put(parsed);
            parsed = NULL;
        }
    }
    if (tokener) {
        json_tokener_free(tokener);
    }
    return parsed;
}

bool counters_read(const char *text, struct counters *counters, struct json_object **document,
                   struct complaint *complaint)
{
    struct json_object *const parsed = counters_parse(text);

    if (!parsed) {
        return complain(complaint, "the hypervisor's document is no JSON");
    }
    if (!take(parsed, counters, complaint)) {
        json_object_put(parsed);
        return false;
    }
    if (document) {
        *document = parsed;
    } else {
        json_object_put(parsed);
    }
    return true;
}
