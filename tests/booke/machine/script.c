/*
 * Scripts as text: see script.h.
 */
#include "tests/booke/machine/script.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 4

const char *const op_names[OP_KINDS] = {
    [OP_SET] = "set",        [OP_ENTRY] = "entry",           [OP_WRITE] = "write",   [OP_READ] = "read",
    [OP_SEARCH] = "search",  [OP_INVALIDATE] = "invalidate", [OP_LOCAL] = "local",   [OP_MODE] = "mode",
    [OP_LOAD] = "load",      [OP_STORE] = "store",           [OP_FETCH] = "fetch",   [OP_HOST_GIVE] = "give",
    [OP_HOST_TAKE] = "take", [OP_HOST_LOSE] = "lose",        [OP_FORGET] = "forget", [OP_MOVE] = "move",
};

/* Members of an operation by their words. */
static const struct {
    const char *name;
    size_t offset;
} members[] = {
    { "vp", offsetof(struct op, vp) },
    { "which", offsetof(struct op, which) },
    { "address", offsetof(struct op, address) },
    { "at", offsetof(struct op, at) },
    { "value", offsetof(struct op, value) },
    { "mas1", offsetof(struct op, word) },
    { "mas2", offsetof(struct op, word) + sizeof(uint32_t) },
    { "mas3", offsetof(struct op, word) + 2 * sizeof(uint32_t) },
    { "mas7", offsetof(struct op, word) + 3 * sizeof(uint32_t) },
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static uint32_t *member(struct op *op, size_t i)
{
    return (uint32_t *)(void *)((char *)op + members[i].offset);
}

void script_print_setting(FILE *out, const struct setting *setting)
{
    fprintf(out, "setting geometry=%s seed=%" PRIu64 "\n", setting->small ? "small" : "true", setting->seed);
}

void script_print_op(FILE *out, const struct op *op)
{
    struct op copy = *op;

    fputs(op_names[op->kind], out);
    for (size_t i = 0; i < MEMBERS; i++) {
        const uint32_t value = *member(&copy, i);

        if (value != 0) {
            fprintf(out, value < 10 ? " %s=%" PRIu32 : " %s=0x%" PRIx32, members[i].name, value);
        }
    }
    fputc('\n', out);
}

static bool read_number(const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    return !errno && end != text && !*end && text[0] != '-';
}

/* One `name=value`; false if it is none. */
static bool read_member(char *word, struct op *op)
{
    char *value = strchr(word, '=');
    uint64_t number;

    if (!value) {
        return false;
    }
    *value++ = 0;
    if (!read_number(value, &number) || number > UINT32_MAX) {
        return false;
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        if (strcmp(word, members[i].name) == 0) {
            *member(op, i) = (uint32_t)number;
            return true;
        }
    }
    return false;
}

static bool read_op(char *line, struct op *op)
{
    char *rest;
    char *word = strtok_r(line, " \n", &rest);

    *op = (struct op){ .kind = OP_KINDS };
    for (unsigned i = 0; word && i < OP_KINDS; i++) {
        if (strcmp(word, op_names[i]) == 0) {
            op->kind = (enum op_kind)i;
        }
    }
    if (op->kind == OP_KINDS) {
        return false;
    }
    while ((word = strtok_r(NULL, " \n", &rest)) != NULL) {
        if (!read_member(word, op)) {
            return false;
        }
    }
    return true;
}

static bool read_setting(const char *line, struct setting *setting)
{
    char geometry[8];
    int end = 0;

    if (sscanf(line, "setting geometry=%7s seed=%" SCNu64 " %n", geometry, &setting->seed, &end) != 2 ||
        line[end] != 0) {
        return false;
    }
    setting->small = strcmp(geometry, "small") == 0;
    return setting->small || strcmp(geometry, "true") == 0;
}

long script_read(FILE *in, const char *name, struct setting *setting, struct op **ops)
{
    char line[256];
    long count = 0;
    long number = 0;
    bool set = false;

    *ops = NULL;
    while (fgets(line, sizeof(line), in)) {
        struct op op;

        number++;
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        if (!(set ? read_op(line, &op) : read_setting(line, setting))) {
            fprintf(stderr, "%s:%ld: not a %s\n", name, number, set ? "line of a script" : "setting");
            free(*ops);
            return -1;
        }
        if (set) {
            struct op *longer = realloc(*ops, (size_t)(count + 1) * sizeof(op));

            if (!longer) {
                free(*ops);
                return -1;
            }
            *ops = longer;
            longer[count++] = op;
        }
        set = true;
    }
    if (!set) {
        fprintf(stderr, "%s:%ld: no setting\n", name, number);
        return -1;
    }
    return count;
}
