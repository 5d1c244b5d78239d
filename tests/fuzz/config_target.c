/*
 * What configures a guest and reports on it: command lines, firmware tables, JSON, formatted text.
 *
 * Input: a byte that says which; then the hypervisor's line (0) or a module's (1) as it is; numbers for memory and
 * tables (2); the members of a JSON document (3); or conversions (4), which must read as those of the host's printf.
 */
#include "hv/boot/format.h"
#include "hv/guest/config_e500.h"
#include "hv/guest/config_x86.h"

#include "tests/fuzz/config.h"

/* --- lines --- */

/* The rest of the input as a text in a block of its own. */
static char *take_line(struct input *input)
{
    const size_t length = input->left;
    char *line = malloc(length + 1);

    FUZZ_CHECK(line != NULL);
    input_copy(input, line, length);
    line[length] = '\0';
    return line;
}

static bool is_in(const char *line, const char *at)
{
    return at >= line && at <= line + strlen(line);
}

static bool is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\n' || character == '\r';
}

/* A refusal names the word that it is about. */
static void check_refusal(const char *line, const char *error, const char *at)
{
    FUZZ_CHECK(error != NULL && strlen(error) > 10);
    FUZZ_CHECK(at != NULL && is_in(line, at) && *at != '\0' && !is_blank(*at));
    FUZZ_CHECK(at == line || is_blank(at[-1]));
}

static void check_config(const char *line, const struct config *config)
{
    FUZZ_CHECK(config->firmware <= GUEST_FIRMWARE_BOTH);
    if (config->technique_length != 0) {
        FUZZ_CHECK(is_in(line, config->technique) && config->technique[-1] == '=');
        FUZZ_CHECK(is_in(line, config->technique + config->technique_length));
    }
    FUZZ_CHECK(strstr(line, "memory=") != NULL || config->memory_bytes == UINT64_C(256) << 20);
    FUZZ_CHECK(config->vp_count >= 1 && config->vp_count <= CONFIG_VPS);
    FUZZ_CHECK(strstr(line, "message") != NULL || config->policy.cr0_cd != VMMU_HYPERV_CACHE_MESSAGE);
    FUZZ_CHECK(config->policy.cr3_cache != VMMU_HYPERV_CACHE_MESSAGE);
}

/* An e500's words, and those that all have. */
static void run_other_line(const char *line)
{
    struct config_line asked;
    const char *error = NULL;
    const char *at = NULL;

    if (config_parse(line, &config_e500, &asked, &error, &at) != VMMU_OK) {
        check_refusal(line, error, at);
        return;
    }
    for (unsigned i = 0; i < asked.count; i++) {
        FUZZ_CHECK(!asked.partition[i].is_parent && asked.partition[i].pool_pages == 0);
    }
}

static void run_line(struct input *input)
{
    char *line = take_line(input);
    struct config_line asked;
    unsigned channels = 0;
    const char *error = NULL;
    const char *at = NULL;

    run_other_line(line);
    if (config_parse(line, &config_x86, &asked, &error, &at) == VMMU_OK) {
        FUZZ_CHECK(asked.count >= 1 && asked.count <= CONFIG_PARTITIONS);
        for (unsigned i = 0; i < asked.count; i++) {
            check_config(line, &asked.partition[i]);
            FUZZ_CHECK(i == 0 || !asked.partition[i].is_parent);
            channels += asked.partition[i].has_channel;
        }
        FUZZ_CHECK(channels == 1);
    } else {
        check_refusal(line, error, at);
    }
    free(line);
}

static void run_module_line(struct input *input)
{
    const bool first = input_flag(input);
    char *line = take_line(input);
    struct config_module module;
    const char *error = NULL;
    const char *at = NULL;

    if (config_parse_module(line, first, &module, &error, &at) == VMMU_OK) {
        const char *words = module.command_line;

        FUZZ_CHECK(module.partition < CONFIG_PARTITIONS);
        FUZZ_CHECK(module.role <= CONFIG_ROLE_PAYLOAD && module.protocol <= CONFIG_PROTOCOL_EPAPR);
        FUZZ_CHECK(module.role == CONFIG_ROLE_KERNEL || module.protocol == CONFIG_PROTOCOL_ANY);
        FUZZ_CHECK(*words == '\0' || (is_in(line, words) && !is_blank(*words)));
        FUZZ_CHECK(*words == '\0' || strstr(line, "--") != NULL);
    } else {
        check_refusal(line, error, at);
    }
    free(line);
}

/* --- formatted text --- */

#define FORMATTED_MOST 512

struct page {
    char text[FORMATTED_MOST];
    unsigned length;
};

static void put(void *context, char character)
{
    struct page *page = context;

    FUZZ_CHECK(page->length < FORMATTED_MOST - 1);
    page->text[page->length++] = character;
    page->text[page->length] = '\0';
}

/* By ours and by the host's: the same. */
__attribute__((format(printf, 1, 2))) static void check_same(const char *format, ...)
{
    struct page page = { .length = 0 };
    const struct format_sink sink = { &page, put };
    char wanted[FORMATTED_MOST];
    va_list values;

    va_start(values, format);
    format_text(&sink, format, values);
    va_end(values);
    va_start(values, format);
    vsnprintf(wanted, sizeof(wanted), format, values);
    va_end(values);
    FUZZ_CHECK(strcmp(page.text, wanted) == 0);
}

struct conversion {
    char format[40];
    size_t length;
    bool is_starred;
    int width;
};

static void add(struct conversion *conversion, char character)
{
    FUZZ_CHECK(conversion->length < sizeof(conversion->format) - 1);
    conversion->format[conversion->length++] = character;
}

/* "<%", flags, width, and what the caller adds. Flags that printf leaves undefined are left out. */
static struct conversion begin(struct input *input, bool is_number)
{
    struct conversion conversion = { .format = "<%", .length = 2 };
    const uint8_t flags = input_u8(input);

    if ((flags & 1) != 0)
        add(&conversion, '-');
    if ((flags & 2) != 0 && is_number)
        add(&conversion, '0');
    conversion.width = flags >> 4;
    conversion.is_starred = (flags & 4) != 0;
    if (conversion.is_starred) {
        add(&conversion, '*');
    } else if ((flags & 8) != 0 && conversion.width != 0) {
        add(&conversion, (char)('0' + conversion.width / 10 + (conversion.width < 10)));
        add(&conversion, (char)('0' + conversion.width % 10));
    }
    return conversion;
}

static void finish(struct conversion *conversion, const char *rest)
{
    for (; *rest != '\0'; rest++)
        add(conversion, *rest);
    add(conversion, '>');
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void check_number(struct input *input)
{
    static const char *const narrow[] = { "", "h", "hh" };
    static const char *const wide[] = { "l", "ll", "z", "j", "t" };
    struct conversion conversion = begin(input, true);
    const uint8_t which = input_u8(input);
    const uint64_t value = input_u64(input);
    const bool is_wide = (which & 0x80) != 0;
    const char letter[2] = { "diuxX"[which % 5], '\0' };
    const char *length = is_wide ? wide[which / 5 % 5] : narrow[which / 5 % 3];

    for (; *length != '\0'; length++)
        add(&conversion, *length);
    finish(&conversion, letter);
    if (is_wide && conversion.is_starred) {
        check_same(conversion.format, conversion.width, value);
    } else if (is_wide) {
        check_same(conversion.format, value);
    } else if (conversion.is_starred) {
        check_same(conversion.format, conversion.width, (unsigned)value);
    } else {
        check_same(conversion.format, (unsigned)value);
    }
}

/* Without a precision the text ends at its zero; with one it need not. */
static void check_string(struct input *input)
{
    struct conversion conversion = begin(input, false);
    const bool has_precision = input_flag(input);
    const unsigned length = input_below(input, 100);
    const int precision = (int)length;
    char *text = malloc(length + !has_precision);

    FUZZ_CHECK(text != NULL || length == 0);
    for (unsigned i = 0; i < length; i++)
        text[i] = (char)(input_u8(input) | 1);
    if (!has_precision)
        text[length] = '\0';
    finish(&conversion, has_precision ? ".*s" : "s");
    if (has_precision && conversion.is_starred) {
        check_same(conversion.format, conversion.width, precision, text);
    } else if (has_precision) {
        check_same(conversion.format, precision, text);
    } else if (conversion.is_starred) {
        check_same(conversion.format, conversion.width, text);
    } else {
        check_same(conversion.format, text);
    }
    free(text);
}

static void check_character(struct input *input)
{
    struct conversion conversion = begin(input, false);
    const int character = input_u8(input) | 1;

    finish(&conversion, "c%%");
    if (conversion.is_starred) {
        check_same(conversion.format, conversion.width, character);
    } else {
        check_same(conversion.format, character);
    }
}

#pragma GCC diagnostic pop

static void run_format(struct input *input)
{
    while (input_more(input)) {
        switch (input_below(input, 4)) {
        case 0: check_string(input); break;
        case 1: check_character(input); break;
        default: check_number(input); break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);

    switch (input_below(&input, 5)) {
    case 0: run_line(&input); break;
    case 1: run_module_line(&input); break;
    case 2: config_run_tables(&input); break;
    case 3: config_run_json(&input); break;
    default: run_format(&input); break;
    }
    return 0;
}
