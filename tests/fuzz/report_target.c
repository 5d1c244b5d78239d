/*
 * Statistics as others may hand them over, made into a page: whatever they say, they are refused with a reason, or come to
 * elements that close in their order, and to no script but the page's own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/input.h"
#include "tools/report/page.h"

#define DOCUMENTS     2
#define DEEPEST       16
#define ELEMENT_BYTES 16

/* Elements that are open, from the outside in. */
struct elements {
    char names[DEEPEST][ELEMENT_BYTES];
    unsigned count;
};

static size_t name_length(const char *text)
{
    return strcspn(text, " />");
}

/* One tag from its < on; where the text goes on behind it. */
static const char *check_tag(struct elements *open, const char *tag)
{
    const bool closes = tag[1] == '/';
    const char *name = tag + 1 + closes;
    const char *end = strchr(tag, '>');
    const size_t length = name_length(name);

    FUZZ_CHECK(end != NULL && length > 0 && length < ELEMENT_BYTES);
    FUZZ_CHECK(memchr(tag + 1, '<', (size_t)(end - tag - 1)) == NULL);
    FUZZ_CHECK(strncmp(name, "script", 6) != 0 && strncmp(name, "img", 3) != 0 && strncmp(name, "!", 1) != 0);
    if (closes) {
        FUZZ_CHECK(open->count > 0 && strncmp(open->names[open->count - 1], name, length) == 0);
        open->count--;
    } else if (end[-1] != '/') {
        FUZZ_CHECK(open->count < DEEPEST);
        memcpy(open->names[open->count], name, length);
        open->names[open->count++][length] = '\0';
    }
    return end + 1;
}

/* What stands between the head and the script, which are always the same. */
static void check_page(const char *page)
{
    const char *at = strstr(page, "<main>"), *script = strstr(page, "<script>");
    struct elements open = { .count = 0 };

    FUZZ_CHECK(at != NULL && script != NULL && strstr(script + 1, "<script") == NULL);
    while ((at = strchr(at, '<')) < script) {
        at = check_tag(&open, at);
    }
    FUZZ_CHECK(open.count == 0);
}

static void render(struct document *documents, unsigned count)
{
    struct report *report = report_make("fuzz", documents, count);
    struct json_object *json = page_json(report);
    size_t length = 0;
    char *page = NULL;
    FILE *to = open_memstream(&page, &length);

    FUZZ_CHECK(to != NULL && json != NULL);
    page_write(to, report);
    FUZZ_CHECK(fclose(to) == 0 && strlen(page) == length);
    check_page(page);
    json_object_put(json);
    free(page);
    report_free(report);
}

/* Up to a byte of 0, or the end, is a document; what follows is another. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char one[] = "one.json", other[] = "other<&>.json";
    const char *const paths[DOCUMENTS] = { one, other };
    struct document documents[DOCUMENTS];
    struct complaint complaint = { .text = "" };
    unsigned count = 0;

    for (unsigned i = 0; i < DOCUMENTS && size; i++) {
        const size_t length = strnlen((const char *)data, size);
        char *text = calloc(1, length + 1);

        FUZZ_CHECK(text != NULL);
        memcpy(text, data, length);
        if (document_parse(paths[i], text, length, &documents[count], &complaint)) {
            count++;
        } else {
            FUZZ_CHECK(strncmp(complaint.text, paths[i], strlen(paths[i])) == 0);
        }
        free(text);
        data += length < size ? length + 1 : length;
        size -= length < size ? length + 1 : length;
    }
    if (count) {
        document_tell_apart(documents, count);
        render(documents, count);
    }
    for (unsigned i = 0; i < count; i++) {
        document_close(&documents[i]);
    }
    return 0;
}
