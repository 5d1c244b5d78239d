/*
 * Scripts as text: one line each, words of the form name=value, what is zero left out.
 *
 * One table for the fields of a setting, one for those of an operation; printing and reading both follow them.
 */
#include "tests/model/machine/script.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/machine/engine.h"

struct field {
    const char *name;
    size_t offset;
    uint8_t bytes;
    uint64_t most;
};

#define FIELD(type, member, most_value)                                                                      \
    {                                                                                                        \
        .name = #member, .offset = offsetof(struct type, member),                                            \
        .bytes = sizeof(((struct type *)0)->member), .most = (most_value)                                    \
    }

static const struct field setting_fields[] = {
    FIELD(setting, seed, UINT64_MAX),
    FIELD(setting, vps, MODEL_VPS),
    FIELD(setting, processors, MODEL_PROCESSORS),
    FIELD(setting, intel, 1),
    FIELD(setting, tagged, 1),
    FIELD(setting, tags, 255),
    FIELD(setting, roots, 4),
    FIELD(setting, silent, 1),
    FIELD(setting, private_vps, 1),
    FIELD(setting, calls, 1),
    FIELD(setting, no_empty_set, 1),
    FIELD(setting, second_dirty, 1),
    FIELD(setting, execute_only, 1),
    FIELD(setting, second_levels, 5),
    FIELD(setting, largest, 3),
    FIELD(setting, gib_pages, 1),
    FIELD(setting, la57, 1),
    FIELD(setting, pcid, 1),
    FIELD(setting, pku, 1),
    FIELD(setting, smep, 1),
    FIELD(setting, smap, 1),
    FIELD(setting, nx, 1),
    FIELD(setting, pse36, 1),
    FIELD(setting, table_pages, UINT16_MAX),
    FIELD(setting, given_pages, UINT16_MAX),
    FIELD(setting, tlb_entries, UINT16_MAX),
};

static const struct field op_fields[] = {
    FIELD(op, address, UINT64_MAX), FIELD(op, value, UINT64_MAX), FIELD(op, width, UINT8_MAX),
    FIELD(op, flags, UINT8_MAX),    FIELD(op, luck, UINT32_MAX),
};

static const char *const op_names[OP_KINDS] = {
    [OP_READ] = "read",
    [OP_WRITE] = "write",
    [OP_FETCH] = "fetch",
    [OP_INVLPG] = "invlpg",
    [OP_CR0] = "cr0",
    [OP_CR3] = "cr3",
    [OP_CR4] = "cr4",
    [OP_EFER] = "efer",
    [OP_PKRU] = "pkru",
    [OP_INVPCID] = "invpcid",
    [OP_ELEMENT] = "element",
    [OP_FLUSH] = "flush",
    [OP_SWITCH] = "switch",
    [OP_SPECULATE] = "speculate",
    [OP_EVICT] = "evict",
    [OP_MIGRATE] = "migrate",
    [OP_MAP] = "map",
    [OP_MOVE] = "move",
    [OP_UNMAP] = "unmap",
    [OP_PROTECT] = "protect",
    [OP_SPLIT] = "split",
    [OP_MERGE] = "merge",
    [OP_LOG_START] = "log-start",
    [OP_LOG_COLLECT] = "log-collect",
    [OP_LOG_STOP] = "log-stop",
    [OP_HARVEST] = "harvest",
};

static const char *engine_name(unsigned index)
{
    for (unsigned i = 0; engines[i]; i++) {
        if (i == index) {
            return engines[i]->name;
        }
    }
    return "?";
}

/* The bytes of a field, whatever its width: little-endian hosts only, which is where the model runs. */
static uint64_t field_get(const void *record, const struct field *field)
{
    uint64_t value = 0;

    memcpy(&value, (const char *)record + field->offset, field->bytes);
    return value;
}

static void field_set(void *record, const struct field *field, uint64_t value)
{
    memcpy((char *)record + field->offset, &value, field->bytes);
}

static void print_fields(FILE *out, const void *record, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t value = field_get(record, &fields[i]);

        if (value != 0) {
            fprintf(out, value < 10 ? " %s=%" PRIu64 : " %s=0x%" PRIx64, fields[i].name, value);
        }
    }
    fputc('\n', out);
}

void script_print_setting(FILE *out, const struct setting *setting)
{
    fprintf(out, "setting engine=%s", engine_name(setting->engine));
    print_fields(out, setting, setting_fields, sizeof(setting_fields) / sizeof(setting_fields[0]));
}

void script_print_op(FILE *out, const struct op *op)
{
    fprintf(out, "%s vp=%u", op_names[op->kind], op->vp);
    print_fields(out, op, op_fields, sizeof(op_fields) / sizeof(op_fields[0]));
}

/* Read one name=value into @record by @fields; false if it is none of them or out of its range. */
static bool read_field(const char *word, void *record, const struct field *fields, size_t count)
{
    const char *equals = strchr(word, '=');

    for (size_t i = 0; equals && i < count; i++) {
        if (strncmp(word, fields[i].name, (size_t)(equals - word)) == 0 &&
            fields[i].name[equals - word] == '\0') {
            char *end;

            errno = 0;
            const uint64_t value = strtoull(equals + 1, &end, 0);

            if (errno || end == equals + 1 || *end || equals[1] == '-' || value > fields[i].most) {
                return false;
            }
            field_set(record, &fields[i], value);
            return true;
        }
    }
    return false;
}

static bool read_engine(const char *word, struct setting *setting)
{
    if (strncmp(word, "engine=", 7) != 0) {
        return false;
    }
    for (unsigned i = 0; engines[i]; i++) {
        if (strcmp(word + 7, engines[i]->name) == 0) {
            setting->engine = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool read_setting(char *rest, struct setting *setting)
{
    char *save = NULL;

    memset(setting, 0, sizeof(*setting));
    for (char *word = strtok_r(rest, " \t\n", &save); word; word = strtok_r(NULL, " \t\n", &save)) {
        if (!read_engine(word, setting) &&
            !read_field(word, setting, setting_fields, sizeof(setting_fields) / sizeof(setting_fields[0]))) {
            return false;
        }
    }
    return setting->vps > 0 && setting->processors > 0;
}

static bool read_op(const char *first, char *rest, struct op *op)
{
    static const struct field vp_field = FIELD(op, vp, MODEL_VPS - 1);
    char *save = NULL;
    int kind = 0;

    while (kind < OP_KINDS && strcmp(first, op_names[kind]) != 0) {
        kind++;
    }
    if (kind == OP_KINDS) {
        return false;
    }
    memset(op, 0, sizeof(*op));
    op->kind = (enum op_kind)kind;
    for (char *word = strtok_r(rest, " \t\n", &save); word; word = strtok_r(NULL, " \t\n", &save)) {
        if (!read_field(word, op, &vp_field, 1) &&
            !read_field(word, op, op_fields, sizeof(op_fields) / sizeof(op_fields[0]))) {
            return false;
        }
    }
    return true;
}

/* A script being read. */
struct reading {
    struct setting *setting;
    struct op *ops;
    long count;
    long room;
    bool has_setting;
};

/* One line: false if it says nothing that a script can say. */
static bool read_line(struct reading *reading, char *line)
{
    char *rest = NULL;
    const char *first = strtok_r(line, " \t\n", &rest);

    if (!first || first[0] == '#') {
        return true;
    }
    if (!reading->has_setting) {
        reading->has_setting = strcmp(first, "setting") == 0 && read_setting(rest, reading->setting);
        return reading->has_setting;
    }
    if (reading->count == reading->room) {
        reading->room = reading->room * 2 + 64;
        struct op *larger = realloc(reading->ops, (size_t)reading->room * sizeof(*larger));

        if (!larger) {
            return false;
        }
        reading->ops = larger;
    }
    return read_op(first, rest, &reading->ops[reading->count]) && ++reading->count > 0;
}

long script_read(FILE *in, const char *name, struct setting *setting, struct op **ops)
{
    struct reading reading = { .setting = setting };
    char line[512];
    unsigned number = 0;

    *ops = NULL;
    while (fgets(line, sizeof(line), in)) {
        number++;
        if (!read_line(&reading, line)) {
            fprintf(stderr, "%s:%u: this is not a line of a script\n", name, number);
            free(reading.ops);
            return -1;
        }
    }
    if (!reading.has_setting) {
        fprintf(stderr, "%s: a script begins with a line `setting engine=...`\n", name);
        free(reading.ops);
        return -1;
    }
    *ops = reading.ops;
    return reading.count;
}
