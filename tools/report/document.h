/*
 * The documents that a report is made of: statistics of the hypervisor, and tables of measurements. Nothing in them is trusted.
 */
#ifndef TOOLS_REPORT_DOCUMENT_H
#define TOOLS_REPORT_DOCUMENT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/ui/complain.h"

enum document_kind {
    DOCUMENT_STATS, /* {"vmmu": 1, ...}: what scripts/vm run --stats writes, and request `stats` answers */
    DOCUMENT_ROWS, /* build/bench.json: an array of objects that tell a technique and a workload; vmmu sim --json */
};

#define DOCUMENT_BYTES (8UL << 20)
#define DOCUMENT_DEPTH 24

struct document {
    const char *path;
    char *label; /* what it is called in tables, unlike the others */
    enum document_kind kind;
    struct json_object *root;
};

/* Read @path; "-" is standard input. False and *complaint if it is no such document. */
bool document_read(const char *path, struct document *document, struct complaint *complaint);

/* The same of a text of @length bytes, and a 0 behind them. */
bool document_parse(const char *path, const char *text, size_t length, struct document *document,
                    struct complaint *complaint);

/* Call it @label. */
void document_rename(struct document *document, const char *label);

/* Make every label unlike the others. */
void document_tell_apart(struct document *documents, unsigned count);

void document_close(struct document *document);

#endif
