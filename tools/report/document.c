#include "tools/report/document.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"
#include "tools/ui/json.h"

/* Of member "vmmu" of the statistics. */
#define STATS_VERSION 1

/* Of member "vmmu_sim" of a simulation. */
#define SIM_VERSION   1

#define LABEL_LETTERS 60

/* --- what a document is ----------------------------------------------------------------------------------------- */

/* Other commands' JSON has arrays of objects with numbers in them, too: rows are told by what each row of measurements says. */
static bool is_measurement(struct json_object *row)
{
    const char *word = NULL;

    return json_get_text(row, "technique", &word) && json_get_text(row, "workload", &word);
}

static bool is_measurements(struct json_object *root)
{
    const size_t count = json_object_is_type(root, json_type_array) ? json_object_array_length(root) : 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_measurement(json_object_array_get_idx(root, i))) {
            return false;
        }
    }
    return count != 0;
}

static bool judge_version(const struct document *document, const char *what, uint64_t version, uint64_t known,
                          struct complaint *complaint)
{
    return version == known ||
           complain(complaint, "%s: %s of version %llu, and %llu is what is known here", document->path, what,
                    (unsigned long long)version, (unsigned long long)known);
}

static bool judge_stats(struct document *document, uint64_t version, struct complaint *complaint)
{
    document->kind = DOCUMENT_STATS;
    return judge_version(document, "statistics", version, STATS_VERSION, complaint) &&
           (json_get_object(document->root, "outcome") ||
            complain(complaint, "%s: statistics that do not tell the outcome of their run", document->path));
}

static bool judge(struct document *document, struct complaint *complaint)
{
    uint64_t version = 0;

    if (json_get_number(document->root, "vmmu", &version)) {
        return judge_stats(document, version, complaint);
    }
    document->kind = DOCUMENT_ROWS;
    if (json_get_number(document->root, "vmmu_sim", &version)) {
        return judge_version(document, "a simulation", version, SIM_VERSION, complaint) &&
               (json_get_array(document->root, "runs") ||
                complain(complaint, "%s: a simulation without runs", document->path));
    }
    return is_measurements(document->root) ||
           complain(complaint, "%s: JSON, but neither statistics of the hypervisor nor measurements",
                    document->path);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void name_after_path(struct document *document)
{
    const char *name = strrchr(document->path, '/');
    char *dot;

    name = name ? name + 1 : document->path;
    document->label = strndup(strcmp(name, "-") == 0 ? "standard input" : name, LABEL_LETTERS);
    dot = document->label ? strrchr(document->label, '.') : NULL;
    if (dot && dot != document->label) {
        *dot = '\0';
    }
}

bool document_parse(const char *path, const char *text, size_t length, struct document *document,
                    struct complaint *complaint)
{
    struct json_tokener *tokener = json_tokener_new_ex(DOCUMENT_DEPTH);
    enum json_tokener_error error;
    size_t end;

    *document = (struct document){ .path = path };
    if (!tokener || length >= INT_MAX) {
        return complain(complaint, "%s: there is no memory to read it", path);
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    /* With the 0 behind it, which ends a number. */
    document->root = json_tokener_parse_ex(tokener, text, (int)length + 1);
    error = json_tokener_get_error(tokener);
    end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    if (error != json_tokener_success || end < length) {
        const char *why = error == json_tokener_success    ? "something follows the document"
                          : error == json_tokener_continue ? "it ends in the middle"
                                                           : json_tokener_error_desc(error);

        document_close(document);
        return complain(complaint, "%s: this is no JSON: %s, at byte %zu", path, why, end);
    }
    name_after_path(document);
    if (!document->label || !judge(document, complaint)) {
        document_close(document);
        return false;
    }
    return true;
}

/* All of @from, to be freed; NULL and *complaint if it cannot be read or is too much. */
static char *read_all(FILE *from, const char *path, size_t *length, struct complaint *complaint)
{
    size_t room = 1UL << 16, used = 0;
    char *text = take_memory(room, 1);

    for (;;) {
        used += fread(text + used, 1, room - used, from);
        if (used < room) {
            text[used] = '\0';
            break;
        }
        if (room >= DOCUMENT_BYTES) {
            complain(complaint, "%s: more than %lu MiB: this is no document of statistics", path,
                     DOCUMENT_BYTES >> 20);
            free(text);
            return NULL;
        }
        text = grow_memory(text, room, room * 2, 1);
        room *= 2;
    }
    if (ferror(from)) {
        complain(complaint, "%s: %s", path, strerror(errno));
        free(text);
        return NULL;
    }
    *length = used;
    return text;
}

bool document_read(const char *path, struct document *document, struct complaint *complaint)
{
    FILE *from = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    size_t length = 0;
    char *text;
    bool sound;

    if (!from) {
        return complain(complaint, "%s: %s", path, strerror(errno));
    }
    text = read_all(from, path, &length, complaint);
    if (from != stdin) {
        fclose(from);
    }
    sound = text && document_parse(path, text, length, document, complaint);
    free(text);
    return sound;
}

void document_rename(struct document *document, const char *label)
{
    free(document->label);
    document->label = strndup(label, LABEL_LETTERS);
    if (!document->label) {
        give_up(COMMAND_INPUT, "there is no memory for a name");
    }
}

static bool is_taken(const struct document *documents, unsigned count, const char *label)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(documents[i].label, label) == 0) {
            return true;
        }
    }
    return false;
}

void document_tell_apart(struct document *documents, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        char *plain = documents[i].label;

        for (unsigned number = 2; is_taken(documents, i, documents[i].label); number++) {
            char *numbered = NULL;

            if (asprintf(&numbered, "%s (%u)", plain, number) < 0) {
                give_up(COMMAND_INPUT, "there is no memory for a name");
            }
            if (documents[i].label != plain) {
                free(documents[i].label);
            }
            documents[i].label = numbered;
        }
        if (documents[i].label != plain) {
            free(plain);
        }
    }
}

void document_close(struct document *document)
{
    json_object_put(document->root);
    free(document->label);
    document->root = NULL;
    document->label = NULL;
}
