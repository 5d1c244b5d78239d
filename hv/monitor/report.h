/*
 * Documents about a partition, and parts of them. Each call is made under the partition's lock.
 */
#ifndef HV_MONITOR_REPORT_H
#define HV_MONITOR_REPORT_H

#include "hv/monitor/json.h"
#include "hv/vp/vp.h"

enum report_detail {
    REPORT_COUNTERS, /* without registers, code and the last exits */
    REPORT_EVERYTHING,
};

/* The members that say which document this is, and how a partition ended. */
void report_outcome(struct json *json, enum partition_outcome outcome, uint64_t value, const char *message);

/* The document that requests `stats` and `counters` answer. @key: as of json_object(). */
void report_partition(struct partition *partition, enum report_detail detail, const char *key,
                      struct json *json);

/* The document of a partition that has ended. Beside others it says so itself, and holds what was not seen of the console. */
void report_end(struct partition *partition, struct json *json);

/* Its part of the state document: docs/dump.md. */
void report_state(struct partition *partition, struct json *json);

/* Its row in the list of all. */
void report_row(struct partition *partition, struct json *json);

#endif
