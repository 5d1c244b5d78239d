/*
 * The counters of a running hypervisor: what its requests `counters` and `stats` answer, as a list.
 */
#ifndef TOOLS_LIVE_COUNTERS_H
#define TOOLS_LIVE_COUNTERS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/ui/complain.h"

enum counter_group {
    COUNTER_EXITS, /* by kind */
    COUNTER_TRAPS, /* Book E: by kind, those among them that are served without an exit */
    COUNTER_VPS,   /* what else virtual processors did */
    COUNTER_MMU,
    COUNTER_GROUPS
};

struct counter {
    enum counter_group group;
    bool level;     /* how much there is now; else how often something happened since the start */
    char name[40];  /* fit for a terminal */
    uint64_t value; /* of all virtual processors together */
};

#define COUNTERS_MOST 256

struct counters {
    char backend[16];
    char technique[16];
    char outcome[24]; /* "running", or how the partition ended */
    bool held;
    uint64_t memory_bytes;
    uint64_t run_ns;
    uint64_t entries; /* to the guest */
    uint64_t exits;   /* in all */
    unsigned vps;
    unsigned count;
    struct counter all[COUNTERS_MOST]; /* those of one group stand together */
};

/* The name of the technique that serves guests which fill a TLB themselves: they have no tables. */
#define TECHNIQUE_BOOKE "booke"

/* The heading of a group: "EXITS". */
extern const char *const counter_group_names[COUNTER_GROUPS];

/* A line of JSON in UTF-8 and nothing else, fit for a terminal; NULL if @text is none. */
struct json_object *counters_parse(const char *text);

/* Read @text, a line that begins with a brace. The document, to be put, goes to *document unless that is NULL. */
bool counters_read(const char *text, struct counters *counters, struct json_object **document,
                   struct complaint *complaint);

/* The counter of that name in @counters, or NULL. */
const struct counter *counters_find(const struct counters *counters, enum counter_group group,
                                    const char *name);

/* @text with what a terminal might take for an order replaced, cut to @room, zero included. */
void counters_copy_text(char *to, size_t room, const char *text);

#endif
