#include "hv/guest/config.h"

#define MEMORY_DEFAULT (UINT64_C(256) << 20)

/* A word of a line: not terminated. */
struct word {
    const char *text;
    unsigned length;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next word behind *line, which moves on. Length 0 at the end. */
static struct word next_word(const char **line)
{
    struct word word = { .text = *line };

    while (is_blank(*word.text)) {
        word.text++;
    }
    while (word.text[word.length] && !is_blank(word.text[word.length])) {
        word.length++;
    }
    *line = word.text + word.length;
    return word;
}

static bool word_is(struct word word, const char *text)
{
    unsigned i = 0;

    while (i < word.length && text[i] && word.text[i] == text[i]) {
        i++;
    }
    return i == word.length && !text[i];
}

/* Whether @word is "NAME=...": *value is then what follows. */
static bool word_sets(struct word word, const char *name, struct word *value)
{
    unsigned i = 0;

    while (name[i] && i < word.length && word.text[i] == name[i]) {
        i++;
    }
    if (name[i] || i == word.length || word.text[i] != '=') {
        return false;
    }
    *value = (struct word){ .text = word.text + i + 1, .length = word.length - i - 1 };
    return true;
}

static unsigned unit_shift(char unit)
{
    switch (unit) {
    case 'K':
    case 'k': return 10;
    case 'M':
    case 'm': return 20;
    case 'G':
    case 'g': return 30;
    case 'T':
    case 't': return 40;
    default: return 0;
    }
}

/* A number with an optional unit. False if it is none, or does not fit in 64 bits. */
static bool parse_size(struct word word, uint64_t *size)
{
    uint64_t value = 0;
    unsigned digits = 0;
    unsigned shift;

    while (digits < word.length && word.text[digits] >= '0' && word.text[digits] <= '9') {
        const unsigned digit = (unsigned)(word.text[digits++] - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (digits == 0 || word.length - digits > 1) {
        return false;
    }
    shift = digits < word.length ? unit_shift(word.text[digits]) : 0;
    if ((digits < word.length && !shift) || value > UINT64_MAX >> shift) {
        return false;
    }
    *size = value << shift;
    return true;
}

/* A number from 1 that fits in 32 bits, with no unit. */
static bool parse_count(struct word word, uint32_t *count)
{
    uint64_t value = 0;

    if (word.length == 0 || word.text[word.length - 1] > '9' || !parse_size(word, &value) || value == 0 ||
        value > UINT32_MAX) {
        return false;
    }
    *count = (uint32_t)value;
    return true;
}

static bool parse_switch(struct word word, bool *on)
{
    *on = word_is(word, "on");
    return *on || word_is(word, "off");
}

static bool parse_firmware(struct word word, enum guest_firmware_tables *tables)
{
    if (word_is(word, "acpi")) {
        *tables = GUEST_FIRMWARE_ACPI;
    } else if (word_is(word, "mp")) {
        *tables = GUEST_FIRMWARE_MP;
    } else if (word_is(word, "both")) {
        *tables = GUEST_FIRMWARE_BOTH;
    } else {
        return false;
    }
    return true;
}

/* NULL, or what is wrong with @word. */
static const char *parse_option(struct word word, struct config *config)
{
    struct word value;

    if (word_sets(word, "memory", &value)) {
        return parse_size(value, &config->memory_bytes) ? NULL : "memory= wants a size such as 512M";
    }
    if (word_sets(word, "mmu", &value)) {
        config->technique = value.text;
        config->technique_length = value.length;
        return value.length ? NULL : "mmu= wants the name of a technique, such as nested";
    }
    if (word_sets(word, "enlightenments", &value)) {
        return parse_switch(value, &config->enlightenments) ? NULL : "enlightenments= wants on or off";
    }
    if (word_sets(word, "firmware", &value)) {
        return parse_firmware(value, &config->firmware) ? NULL : "firmware= wants acpi, mp or both";
    }
    if (word_sets(word, "pool", &value)) {
        return parse_count(value, &config->pool_pages) ? NULL : "pool= wants a number of shadow pages";
    }
    if (word_sets(word, "drop", &value)) {
        return parse_count(value, &config->drop_exits) ? NULL : "drop= wants a number of exits";
    }
    if (word_sets(word, "seed", &value)) {
        return parse_count(value, &config->seed) ? NULL : "seed= wants a number from 1";
    }
    if (word_sets(word, "record", &value)) {
        config->record_entries = word_is(value, "entries");
        return config->record_entries ? NULL : "record= wants what is to be recorded: entries";
    }
    if (word_sets(word, "stop-port", &value)) {
        return parse_switch(value, &config->stop_port) ? NULL : "stop-port= wants on or off";
    }
    return "the hypervisor does not know this word";
}

static bool word_has(struct word word, char wanted)
{
    for (unsigned i = 0; i < word.length; i++) {
        if (word.text[i] == wanted) {
            return true;
        }
    }
    return false;
}

enum vmmu_status config_parse(const char *words, struct config *config, const char **error, const char **at)
{
    struct word word = next_word(&words);

    *config = (struct config){ .memory_bytes = MEMORY_DEFAULT,
                               .technique = "nested",
                               .technique_length = sizeof "nested" - 1,
                               .vp_count = 1,
                               .enlightenments = true,
                               .policy = vmmu_hyperv_policy_default(true),
                               .firmware = GUEST_FIRMWARE_ACPI,
                               .seed = 1 };
    if (word.length && !word_has(word, '=')) {
        word = next_word(&words); /* the file name, as some loaders pass it */
    }
    for (; word.length; word = next_word(&words)) {
        *error = parse_option(word, config);
        if (*error) {
            *at = word.text;
            return VMMU_INVALID;
        }
    }
    return VMMU_OK;
}

static bool parse_role(struct word word, enum config_role *role)
{
    if (word_is(word, "kernel")) {
        *role = CONFIG_ROLE_KERNEL;
        return true;
    }
    if (word_is(word, "initrd")) {
        *role = CONFIG_ROLE_INITRD;
        return true;
    }
    return false;
}

static const char *parse_module_option(struct word word, struct config_module *module)
{
    struct word value;

    if (module->role != CONFIG_ROLE_KERNEL || !word_sets(word, "protocol", &value)) {
        return "a module does not know this word; its own words stand behind --";
    }
    if (word_is(value, "linux")) {
        module->protocol = CONFIG_PROTOCOL_LINUX;
    } else if (word_is(value, "multiboot")) {
        module->protocol = CONFIG_PROTOCOL_MULTIBOOT;
    } else {
        return "protocol= wants linux or multiboot";
    }
    return NULL;
}

static const char *skip_blanks(const char *text)
{
    while (is_blank(*text)) {
        text++;
    }
    return text;
}

enum vmmu_status config_parse_module(const char *words, bool first, struct config_module *module,
                                     const char **error, const char **at)
{
    const char *rest = words;
    struct word word = next_word(&rest);

    *module =
        (struct config_module){ .role = first ? CONFIG_ROLE_KERNEL : CONFIG_ROLE_INITRD, .command_line = "" };
    if (!parse_role(word, &module->role)) {
        /* The file name, as some loaders pass it; then a role, if one is given. */
        word = next_word(&rest);
        if (word.length && !parse_role(word, &module->role)) {
            *error = "a module's words begin with kernel or initrd";
            *at = word.text;
            return VMMU_INVALID;
        }
    }
    for (word = next_word(&rest); word.length && !word_is(word, "--"); word = next_word(&rest)) {
        *error = parse_module_option(word, module);
        if (*error) {
            *at = word.text;
            return VMMU_INVALID;
        }
    }
    module->command_line = skip_blanks(rest);
    return VMMU_OK;
}
