#include "hv/guest/config_x86.h"

#include "hv/guest/config_policy.h"

static void start(struct config *config)
{
    config->enlightenments = true;
    config->firmware = GUEST_FIRMWARE_ACPI;
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

/* What a policy may be is known only later: settle(). */
static const char *parse(struct word word, struct config *config)
{
    struct word value;

    if (word_sets(word, "policy", &value)) {
        return NULL;
    }
    if (word_sets(word, "enlightenments", &value)) {
        return word_switch(value, &config->enlightenments) ? NULL : "enlightenments= wants on or off";
    }
    if (word_sets(word, "firmware", &value)) {
        return parse_firmware(value, &config->firmware) ? NULL : "firmware= wants acpi, mp or both";
    }
    if (word_sets(word, "pool", &value)) {
        return word_number(value, UINT32_MAX, &config->pool_pages) && config->pool_pages
                   ? NULL
                   : "pool= wants a number of shadow pages";
    }
    if (word_sets(word, "record", &value)) {
        config->record_entries = word_is(value, "entries");
        return config->record_entries ? NULL : "record= wants what is to be recorded: entries";
    }
    if (word_sets(word, "stop-port", &value)) {
        return word_switch(value, &config->stop_port) ? NULL : "stop-port= wants on or off";
    }
    return CONFIG_UNKNOWN_WORD;
}

/* The processor itself walks the tables of such a partition's guest. */
static bool is_nested(const struct config *config)
{
    return !config->technique_length ||
           word_is((struct word){ config->technique, config->technique_length }, "nested");
}

static const char *settle(struct word word, struct config_line *line, unsigned at)
{
    struct config *config = &line->partition[at];
    struct word settings;
    const char *error;

    if (!word.length) {
        config->policy = vmmu_hyperv_policy_default(is_nested(config));
    }
    if (!word_sets(word, "policy", &settings)) {
        return NULL;
    }
    error = config_policy_set(settings, &config->policy);
    if (error) {
        return error;
    }
    return config_policy_check(&config->policy, is_nested(config), at > 0 && line->partition[0].is_parent);
}

const struct config_arch config_x86 = { start, parse, settle };
