#include "hv/guest/config.h"

#include "hv/guest/words.h"

#define MEMORY_DEFAULT (UINT64_C(256) << 20)

/* A number from 1 that fits in 32 bits, with no unit. */
static bool parse_count(struct word word, uint32_t *count)
{
    return word_number(word, UINT32_MAX, count) && *count;
}

static bool parse_cpus(struct word word, struct config *config)
{
    return parse_count(word, &config->vp_count) && config->vp_count <= CONFIG_VPS;
}

/* NULL, or what is wrong with @word. */
static const char *parse_option(struct word word, const struct config_arch *arch, struct config *config)
{
    struct word value;

    if (word_sets(word, "memory", &value)) {
        return word_size(value, &config->memory_bytes) ? NULL : "memory= wants a size such as 512M";
    }
    if (word_sets(word, "mmu", &value)) {
        config->technique = value.text;
        config->technique_length = value.length;
        return value.length ? NULL : "mmu= wants the name of a technique, such as nested";
    }
    if (word_sets(word, "cpus", &value)) {
        return parse_cpus(value, config) ? NULL : "cpus= wants a number of processors from 1 to 8";
    }
    if (word_sets(word, "parent", &value)) {
        return word_switch(value, &config->is_parent) ? NULL : "parent= wants on or off";
    }
    if (word_sets(word, "channel", &value)) {
        return word_switch(value, &config->has_channel) ? NULL : "channel= wants on or off";
    }
    if (word_sets(word, "drop", &value)) {
        return parse_count(value, &config->drop_exits) ? NULL : "drop= wants a number of exits";
    }
    if (word_sets(word, "seed", &value)) {
        return parse_count(value, &config->seed) ? NULL : "seed= wants a number from 1";
    }
    return arch->word ? arch->word(word, config) : CONFIG_UNKNOWN_WORD;
}

static void add_partition(const struct config_arch *arch, struct config_line *line)
{
    struct config *config = &line->partition[line->count++];

    *config = (struct config){ .memory_bytes = MEMORY_DEFAULT, .technique = "", .vp_count = 1, .seed = 1 };
    if (arch->start) {
        arch->start(config);
    }
}

/* The partition that has the channel, or the one behind the last. */
static unsigned channel_of(const struct config_line *line)
{
    unsigned at = 0;

    while (at < line->count && !line->partition[at].has_channel) {
        at++;
    }
    return at;
}

/* NULL, or what is wrong with @word. */
static const char *parse_word(struct word word, const struct config_arch *arch, struct config_line *line)
{
    struct config *config = &line->partition[line->count - 1];
    const char *error;

    if (word_is(word, "partition")) {
        if (line->count == CONFIG_PARTITIONS) {
            return "there can be no more than 8 partitions";
        }
        add_partition(arch, line);
        return NULL;
    }
    error = parse_option(word, arch, config);
    if (!error && config->is_parent && line->count > 1) {
        return "only the first partition can be the parent of others";
    }
    if (!error && config->has_channel && channel_of(line) != line->count - 1) {
        return "the channel can belong to one partition only";
    }
    return error;
}

/* All words again, now that techniques and parents are known. NULL, or what is wrong with *at. */
static const char *settle(const char *words, const struct config_arch *arch, struct config_line *line,
                          const char **at)
{
    unsigned partition = 0;
    const char *error = NULL;

    for (unsigned i = 0; i < line->count && !error; i++) {
        error = arch->settle((struct word){ words, 0 }, line, i);
    }
    for (struct word word = word_next(&words); word.length && !error; word = word_next(&words)) {
        *at = word.text;
        if (word_is(word, "partition")) {
            partition++;
        } else {
            error = arch->settle(word, line, partition);
        }
    }
    return error;
}

/* Some loaders pass the file name first. */
static const char *skip_file_name(const char *words)
{
    const char *rest = words;
    const struct word first = word_next(&rest);

    return first.length && !word_has(first, '=') && !word_is(first, "partition") ? rest : words;
}

enum vmmu_status config_parse(const char *words, const struct config_arch *arch, struct config_line *line,
                              const char **error, const char **at)
{
    const char *const start = skip_file_name(words);
    struct word word;

    line->count = 0;
    add_partition(arch, line);
    for (words = start, word = word_next(&words); word.length; word = word_next(&words)) {
        *error = parse_word(word, arch, line);
        if (*error) {
            *at = word.text;
            return VMMU_INVALID;
        }
    }
    if (channel_of(line) == line->count) {
        line->partition[0].has_channel = true;
    }
    *error = arch->settle ? settle(start, arch, line, at) : NULL;
    return *error ? VMMU_INVALID : VMMU_OK;
}

static bool parse_role(struct word word, enum config_role *role)
{
    static const char *const names[] = {
        [CONFIG_ROLE_KERNEL] = "kernel",
        [CONFIG_ROLE_INITRD] = "initrd",
        [CONFIG_ROLE_PAYLOAD] = "payload",
    };

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (word_is(word, names[i])) {
            *role = (enum config_role)i;
            return true;
        }
    }
    return false;
}

static const char *parse_module_option(struct word word, struct config_module *module)
{
    struct word value;

    if (word_sets(word, "partition", &value)) {
        return word_number(value, CONFIG_PARTITIONS - 1, &module->partition)
                   ? NULL
                   : "partition= wants the number of a partition, from 0 to 7";
    }
    if (module->role != CONFIG_ROLE_KERNEL || !word_sets(word, "protocol", &value)) {
        return "a module does not know this word; its own words stand behind --";
    }
    if (word_is(value, "linux")) {
        module->protocol = CONFIG_PROTOCOL_LINUX;
    } else if (word_is(value, "multiboot")) {
        module->protocol = CONFIG_PROTOCOL_MULTIBOOT;
    } else if (word_is(value, "epapr")) {
        module->protocol = CONFIG_PROTOCOL_EPAPR;
    } else {
        return "protocol= wants linux, multiboot or epapr";
    }
    return NULL;
}

static const char *skip_blanks(const char *text)
{
    while (word_is_blank(*text)) {
        text++;
    }
    return text;
}

enum vmmu_status config_parse_module(const char *words, bool first, struct config_module *module,
                                     const char **error, const char **at)
{
    const char *rest = words;
    struct word word = word_next(&rest);

    *module =
        (struct config_module){ .role = first ? CONFIG_ROLE_KERNEL : CONFIG_ROLE_INITRD, .command_line = "" };
    if (!parse_role(word, &module->role)) {
        /* The file name, as some loaders pass it; then a role, if one is given. */
        word = word_next(&rest);
        if (word.length && !parse_role(word, &module->role)) {
            *error = "a module's words begin with kernel, initrd or payload";
            *at = word.text;
            return VMMU_INVALID;
        }
    }
    for (word = word_next(&rest); word.length && !word_is(word, "--"); word = word_next(&rest)) {
        *error = parse_module_option(word, module);
        if (*error) {
            *at = word.text;
            return VMMU_INVALID;
        }
    }
    module->command_line = skip_blanks(rest);
    return VMMU_OK;
}
