#include "tools/live/tlb.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"
#include "tools/image/link.h"
#include "tools/live/counters.h"
#include "tools/live/request.h"
#include "tools/ui/json.h"
#include "tools/ui/options.h"
#include "tools/ui/paint.h"
#include "tools/ui/table.h"

#define NUMBER_MOST   4095
#define LINE_LETTERS  200
#define DOCUMENT_MOST 0x400000
#define MAS1_IPROT    0x40000000

/* What the hypervisor says by itself begins so, and an answer to `tlb` does not. */
#define UNASKED       "{\"vmmu"

struct tlb_options {
    struct tlb_question question;
    struct ui_options ui;
    bool takes_addresses;
    unsigned vp;
    uint32_t *addresses;
    unsigned address_count;
    struct link link;
};

bool tlb_is_guests(const char *socket, bool *is, struct complaint *complaint)
{
    struct json_object *document = NULL;
    struct json_object *partitions;
    const char *technique = NULL;
    const char *line;
    struct link link;

    if (link_open(&link, socket, complaint) &&
        link_document(&link, "partitions", "{\"vmmu_partitions\"", &line, complaint)) {
        document = counters_parse(line);
        partitions = json_get_array(document, "partitions");
        /* What one of them does all do: it is the processor's way. */
        if (!partitions || json_object_array_length(partitions) == 0 ||
            !json_get_text(json_object_array_get_idx(partitions, 0), "technique", &technique)) {
            (void)complain(complaint, "the hypervisor does not say which guests there are");
        }
    }
    link_close(&link);
    *is = technique && strcmp(technique, TECHNIQUE_BOOKE) == 0;
    json_object_put(document);
    return technique != NULL;
}

/* --- the words --- */

enum { KEY_CPU = 'c' };

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct tlb_options *options = state->input;
    uint64_t address;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->ui; return 0;
    case KEY_CPU: options->vp = (unsigned)option_count(state, "--cpu", argument, 0, NUMBER_MOST); return 0;
    case LIVE_KEY_PARTITION: options->question.partition = live_partition(state, argument); return 0;
    case ARGP_KEY_ARG:
        if (!options->takes_addresses) {
            argp_error(state, "tlb shows all entries, and takes no address");
        }
        address = option_address(state, "an address", argument);
        if (address > UINT32_MAX) {
            argp_error(state, "'%s' has more than 32 bits, as no address of this processor", argument);
        }
        options->addresses[options->address_count++] = (uint32_t)address;
        return 0;
    case ARGP_KEY_END:
        if (options->takes_addresses && options->address_count == 0) {
            argp_error(state, "give an address");
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static struct tlb_options options_of(struct tlb_question question, bool takes_addresses)
{
    static const struct argp_option list[] = {
        { "cpu", KEY_CPU, "N", 0, "The virtual processor; 0 unless said", 0 },
        LIVE_OPTION_PARTITION,
        { 0 },
    };
    static const struct argp_child children[] = { { &ui_argp, 0, NULL, 0 }, { 0 } };
    struct tlb_options options = { .question = question, .takes_addresses = takes_addresses };
    const struct argp argp = { .options = list,
                               .parser = parse,
                               .args_doc = takes_addresses ? "ADDRESS..." : NULL,
                               .children = children };
    char **const words = take_memory((unsigned long)question.word_count + 2, sizeof(*words));

    options.addresses = take_memory((unsigned long)question.word_count + 1, sizeof(*options.addresses));
    words[0] = strdup(takes_addresses ? "vmmu live SOCKET walk" : "vmmu live SOCKET tlb");
    for (int i = 0; i < question.word_count; i++) {
        words[i + 1] = question.words[i];
    }
    argp_parse(&argp, question.word_count + 1, words, 0, NULL, &options);
    options.question.json |= options.ui.json;
    free(words[0]);
    free(words);
    return options;
}

/* --- asking --- */

static _Noreturn void give_up_on(const struct tlb_options *options, const char *sentence)
{
    char clean[LINE_LETTERS];

    counters_copy_text(clean, sizeof(clean), sentence);
    give_up(COMMAND_INPUT, "%s: %s", options->question.socket, clean);
}

/* All entries. A line of text in place of them says what there is not: "there is no VP 5". */
static struct json_object *ask_entries(struct tlb_options *options)
{
    struct json_object *document = NULL;
    struct complaint complaint;
    char request[40];
    const char *line = "";

    (void)snprintf(request, sizeof(request), "tlb %u %" PRIu32, options->vp, options->question.partition);
    if (!link_ask(&options->link, request, &complaint)) {
        give_up_on(options, complaint.text);
    }
    do {
        if (!link_line(&options->link, DOCUMENT_MOST, &line, &complaint)) {
            give_up_on(options, complaint.text);
        }
    } while (strncmp(line, UNASKED, strlen(UNASKED)) == 0);
    document = counters_parse(line);
    if (!json_get_array(document, "virtual") || !json_get_array(document, "real")) {
        give_up_on(options, document ? "the hypervisor's document has no entries" : line);
    }
    return document;
}

static void open_link(struct tlb_options *options)
{
    struct complaint complaint;

    if (!link_open(&options->link, options->question.socket, &complaint)) {
        give_up_on(options, complaint.text);
    }
}

static void end_link(struct tlb_options *options)
{
    link_close(&options->link);
    free(options->addresses);
}

/* --- an address --- */

struct walk_text {
    const struct tlb_options *options;
    bool begun;
    bool found; /* an entry of the guest's */
};

static void take_walk_line(void *context, const char *line)
{
    struct walk_text *const text = context;
    char clean[LINE_LETTERS];

    if (!text->begun && strncmp(line, "walk ", strlen("walk ")) != 0) {
        give_up_on(text->options, line);
    }
    text->begun = true;
    text->found |= strncmp(line, "guest ", strlen("guest ")) == 0;
    counters_copy_text(clean, sizeof(clean), line);
    puts(clean);
}

/* Whether the guest's TLB has an entry for @address. */
static bool show_walk(struct tlb_options *options, uint32_t address)
{
    struct walk_text text = { .options = options };
    struct complaint complaint;
    char request[48];

    (void)snprintf(request, sizeof(request), "walk %" PRIx32 " %u %" PRIu32, address, options->vp,
                   options->question.partition);
    if (!link_lines(&options->link, request, take_walk_line, &text, &complaint)) {
        give_up_on(options, complaint.text);
    }
    return text.found;
}

static bool covers(struct json_object *entry, uint32_t address)
{
    uint64_t ea;
    uint64_t bytes;

    return json_get_number(entry, "ea", &ea) && json_get_number(entry, "bytes", &bytes) && address >= ea &&
           address - ea < bytes;
}

/* Leave those of @entries that are about @address; how many these are. */
static size_t keep_covering(struct json_object *entries, uint32_t address)
{
    for (size_t i = json_object_array_length(entries); i-- > 0;) {
        if (!covers(json_object_array_get_idx(entries, i), address)) {
            (void)json_object_array_del_idx(entries, i, 1);
        }
    }
    return json_object_array_length(entries);
}

static struct json_object *walk_document(struct tlb_options *options, uint32_t address, bool *found)
{
    struct json_object *const document = ask_entries(options);

    json_put_hex(document, "va", address);
    *found = keep_covering(json_get_array(document, "virtual"), address) != 0;
    (void)keep_covering(json_get_array(document, "real"), address);
    return document;
}

int tlb_walk(struct tlb_question question)
{
    struct tlb_options options = options_of(question, true);
    struct json_object *const all = json_object_new_array();
    bool found_all = true;

    open_link(&options);
    for (unsigned i = 0; i < options.address_count; i++) {
        bool found;

        if (options.question.json) {
            (void)json_object_array_add(all, walk_document(&options, options.addresses[i], &found));
        } else {
            printf("%s", i != 0 ? "\n" : "");
            found = show_walk(&options, options.addresses[i]);
        }
        found_all &= found;
    }
    if (options.question.json) {
        json_print(json_object_get(options.address_count == 1 ? json_object_array_get_idx(all, 0) : all));
    }
    json_object_put(all);
    end_link(&options);
    return found_all ? COMMAND_OK : COMMAND_NO;
}

/* --- all entries --- */

enum { ENTRY, EA, SIZE, PHYSICAL, USER, SUPER, ATTRIBUTES, SPACE, TID, LAST, COLUMNS };

static uint64_t number_of(struct json_object *entry, const char *key)
{
    uint64_t value = 0;

    (void)json_get_number(entry, key, &value);
    return value;
}

/* The letters of @all whose bits, at @places, are set; a dash for the others. */
static void put_letters(struct table_row *row, unsigned column, const char *all, uint64_t bits,
                        const unsigned *places)
{
    char text[8] = "";

    for (unsigned i = 0; all[i] != '\0'; i++) {
        text[i] = '-';
        if (bits >> places[i] & 1) {
            text[i] = all[i];
        }
    }
    table_cell(row, column, PAINT_PLAIN, "%s", text);
}

static void put_place(struct table_row *row, unsigned column, struct json_object *entry)
{
    const uint64_t way = number_of(entry, "way");

    if (!entry) {
        table_cell(row, column, PAINT_BAD, "none");
    } else if (number_of(entry, "array") != 0) {
        table_cell(row, column, PAINT_PLAIN, "TLB1 %" PRIu64, way);
    } else {
        table_cell(row, column, PAINT_PLAIN, "TLB0 %" PRIu64 ".%" PRIu64, number_of(entry, "set"), way);
    }
}

static void put_size(struct table_row *row, uint64_t bytes)
{
    static const char units[] = "KMGT";
    uint64_t count = bytes >> 10;
    unsigned unit = 0;

    while (count >= 1024 && unit < 3) {
        count >>= 10;
        unit++;
    }
    table_cell(row, SIZE, PAINT_PLAIN, "%" PRIu64 "%c", count, units[unit]);
}

/* An entry of either TLB. */
static void put_entry(struct table_row *row, struct json_object *entry, const char *physical)
{
    static const unsigned user[] = { 1, 3, 5 };  /* UR, UW, UX of MAS3 */
    static const unsigned super[] = { 0, 2, 4 }; /* SR, SW, SX */
    static const unsigned attributes[] = { 4, 3, 2, 1, 0 };
    const uint64_t mas3 = number_of(entry, "mas3");

    put_place(row, ENTRY, entry);
    table_cell(row, EA, PAINT_PLAIN, "%08" PRIx64, number_of(entry, "ea"));
    put_size(row, number_of(entry, "bytes"));
    table_cell(row, PHYSICAL, PAINT_PLAIN, "%09" PRIx64, number_of(entry, physical));
    put_letters(row, USER, "rwx", mas3, user);
    put_letters(row, SUPER, "rwx", mas3, super);
    put_letters(row, ATTRIBUTES, "WIMGE", number_of(entry, "mas2"), attributes);
    table_cell(row, SPACE, PAINT_PLAIN, "%" PRIu64, number_of(entry, "space"));
    table_cell(row, TID, PAINT_PLAIN, "%" PRIu64, number_of(entry, "tid"));
}

static struct table *entry_table(const char *whose, const char *physical, const char *tid, const char *last)
{
    const struct table_column columns[COLUMNS] = {
        [ENTRY] = { whose, TABLE_LEFT },       [EA] = { "ea", TABLE_RIGHT },
        [SIZE] = { "size", TABLE_RIGHT },      [PHYSICAL] = { physical, TABLE_RIGHT },
        [USER] = { "user", TABLE_LEFT },       [SUPER] = { "super", TABLE_LEFT },
        [ATTRIBUTES] = { "type", TABLE_LEFT }, [SPACE] = { "TS", TABLE_RIGHT },
        [TID] = { tid, TABLE_RIGHT },          [LAST] = { last, TABLE_LEFT },
    };

    return table_new(columns, COLUMNS);
}

static void print_virtual(struct json_object *entries)
{
    struct table *const table = entry_table("GUEST", "gpa", "TID", "");

    for (size_t i = 0; i < json_object_array_length(entries); i++) {
        struct json_object *const entry = json_object_array_get_idx(entries, i);
        struct table_row *const row = table_row(table);

        put_entry(row, entry, "gpa");
        table_cell(row, LAST, PAINT_DIM, "%s", number_of(entry, "mas1") & MAS1_IPROT ? "protected" : "");
    }
    table_print(table);
}

/* The guest's entry of that index, or NULL. */
static struct json_object *entry_of(struct json_object *entries, uint64_t index)
{
    for (size_t i = 0; i < json_object_array_length(entries); i++) {
        struct json_object *const entry = json_object_array_get_idx(entries, i);
        uint64_t own;

        if (json_get_number(entry, "index", &own) && own == index) {
            return entry;
        }
    }
    return NULL;
}

static void print_real(struct json_object *entries, struct json_object *guests)
{
    struct table *const table = entry_table("PROCESSOR", "hpa", "shadow", "of the guest's");

    for (size_t i = 0; i < json_object_array_length(entries); i++) {
        struct json_object *const entry = json_object_array_get_idx(entries, i);
        struct table_row *const row = table_row(table);

        put_entry(row, entry, "hpa");
        put_place(row, LAST, entry_of(guests, number_of(entry, "from")));
    }
    table_print(table);
}

static void print_pids(struct json_object *pids)
{
    printf("PID");
    for (size_t i = 0; i < json_object_array_length(pids); i++) {
        uint64_t pid = 0;

        (void)json_number_of(json_object_array_get_idx(pids, i), &pid);
        printf(" %" PRIu64, pid);
    }
    printf("\n\n");
}

int tlb_list(struct tlb_question question)
{
    struct tlb_options options = options_of(question, false);
    struct json_object *document;

    open_link(&options);
    document = ask_entries(&options);
    end_link(&options);
    if (options.question.json) {
        json_print(document);
        return COMMAND_OK;
    }
    if (json_get_array(document, "pid")) {
        print_pids(json_get_array(document, "pid"));
    }
    print_virtual(json_get_array(document, "virtual"));
    printf("\n");
    print_real(json_get_array(document, "real"), json_get_array(document, "virtual"));
    json_object_put(document);
    return COMMAND_OK;
}
