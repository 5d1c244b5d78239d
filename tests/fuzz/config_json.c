/*
 * The run that writes a JSON document and reads it by the grammar. Spec: RFC 8259 "JSON Grammar".
 */
#include "hv/monitor/json.h"

#include "tests/fuzz/config.h"

#define DEPTH_MOST    16
#define STRINGS_MOST  4096
#define STRING_LONG   40
#define DOCUMENT_MOST 0x40000

/* What was written: the document, and the texts that its strings stand for, in their order. */
struct document {
    char *text;
    size_t length;
    size_t read;
    char (*strings)[STRING_LONG + 24];
    unsigned count;
    unsigned seen;
};

static void put(void *context, char character)
{
    struct document *document = context;

    FUZZ_CHECK(document->length < DOCUMENT_MOST);
    document->text[document->length++] = character;
}

static const char *keep(struct document *document, const char *string)
{
    snprintf(document->strings[document->count], sizeof(document->strings[0]), "%s", string);
    return document->strings[document->count++];
}

/* A text without zeros, of any other bytes. */
static const char *take_string(struct document *document, struct input *input)
{
    char string[STRING_LONG + 1] = { 0 };
    const unsigned length = input_below(input, STRING_LONG);

    for (unsigned i = 0; i < length; i++)
        string[i] = (char)(input_u8(input) | (i == 0));
    return keep(document, string);
}

static void write_bytes(struct document *document, struct json *json, struct input *input, const char *key)
{
    uint8_t bytes[8];
    char string[17] = { 0 };
    const unsigned count = input_below(input, 9);

    input_copy(input, bytes, count);
    for (unsigned i = 0; i < count; i++)
        snprintf(string + 2 * (size_t)i, 3, "%02x", bytes[i]);
    json_bytes(json, key, bytes, count);
    (void)keep(document, string);
}

/* One member of whatever is open. @kinds has a bit for each open level: 1 is an object. */
static void write_member(struct document *document, struct json *json, struct input *input, uint32_t *kinds)
{
    const uint8_t what = input_u8(input);
    const char *key = (*kinds & 1) != 0 ? take_string(document, input) : NULL;
    char hex[20];
    uint64_t value;

    switch (what & 7) {
    case 0:
    case 1: json_number(json, key, input_u64(input) >> (input_u8(input) & 63)); break;
    case 2:
        value = input_u64(input) >> (input_u8(input) & 63);
        snprintf(hex, sizeof(hex), "0x%llx", (unsigned long long)value);
        json_hex(json, key, value);
        (void)keep(document, hex);
        break;
    case 3:
    case 4: json_text(json, key, take_string(document, input)); break;
    case 5: write_bytes(document, json, input, key); break;
    case 6:
        json_object(json, key);
        *kinds = *kinds << 1 | 1;
        break;
    default:
        json_array(json, key);
        *kinds = *kinds << 1;
        break;
    }
}

static void end_one(struct json *json, uint32_t *kinds)
{
    if ((*kinds & 1) != 0) {
        json_end_object(json);
    } else {
        json_end_array(json);
    }
    *kinds >>= 1;
}

static void write_document(struct document *document, struct input *input)
{
    struct json json = { .context = document, .put = put };
    uint32_t kinds = 3; /* a one above all levels, then the outer object */

    json_object(&json, NULL);
    while (input_more(input) && document->count < STRINGS_MOST - 2 && document->length < DOCUMENT_MOST / 2) {
        if (kinds > 3 && (kinds >> DEPTH_MOST != 0 || input_below(input, 5) == 0)) {
            end_one(&json, &kinds);
        } else {
            write_member(document, &json, input, &kinds);
        }
    }
    while (kinds > 1)
        end_one(&json, &kinds);
}

/* --- reading --- */

static char next(struct document *document)
{
    FUZZ_CHECK(document->read < document->length);
    return document->text[document->read++];
}

static unsigned hexadecimal(char digit)
{
    const char *const digits = "0123456789abcdef";
    const char *const at = strchr(digits, digit);

    FUZZ_CHECK(digit != 0 && at != NULL);
    return (unsigned)(at - digits);
}

static unsigned read_escape(struct document *document)
{
    const char kind = next(document);
    unsigned value = 0;

    if (kind == '"' || kind == '\\')
        return (unsigned)kind;
    FUZZ_CHECK(kind == 'u');
    for (unsigned i = 0; i < 4; i++)
        value = value << 4 | hexadecimal(next(document));
    FUZZ_CHECK(value != 0 && value <= 0xFF);
    return value;
}

static void read_string(struct document *document)
{
    const char *wanted = document->strings[document->seen++];

    FUZZ_CHECK(document->seen <= document->count);
    for (;;) {
        const char character = next(document);
        unsigned byte = (unsigned char)character;

        if (character == '"')
            break;
        FUZZ_CHECK(byte >= 0x20 && byte < 0x7F);
        if (character == '\\')
            byte = read_escape(document);
        FUZZ_CHECK(byte == (unsigned char)*wanted++);
    }
    FUZZ_CHECK(*wanted == '\0');
}

static void read_number(struct document *document, char first)
{
    unsigned digits = 1;

    FUZZ_CHECK(first >= '0' && first <= '9');
    for (; document->text[document->read] >= '0' && document->text[document->read] <= '9'; digits++)
        (void)next(document);
    FUZZ_CHECK(digits <= 20 && (first != '0' || digits == 1));
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the writer's levels, which are few. */
static void read_value(struct document *document)
{
    const char first = next(document);
    const char last = first == '{' ? '}' : ']';

    if (first == '"') {
        read_string(document);
        return;
    }
    if (first != '{' && first != '[') {
        read_number(document, first);
        return;
    }
    if (document->text[document->read] == last) {
        document->read++;
        return;
    }
    for (;;) {
        char separator;

        if (first == '{') {
            FUZZ_CHECK(next(document) == '"');
            read_string(document);
            FUZZ_CHECK(next(document) == ':');
        }
        read_value(document);
        separator = next(document);
        if (separator == last)
            return;
        FUZZ_CHECK(separator == ',');
    }
}

void config_run_json(struct input *input)
{
    struct document document = { .text = malloc(DOCUMENT_MOST) };

    document.strings = malloc(STRINGS_MOST * sizeof(document.strings[0]));
    FUZZ_CHECK(document.text != NULL && document.strings != NULL);
    write_document(&document, input);
    read_value(&document);
    FUZZ_CHECK(document.read == document.length && document.seen == document.count);
    free(document.text);
    free(document.strings);
}
