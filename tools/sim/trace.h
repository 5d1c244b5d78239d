/*
 * Traces of memory references, from whoever recorded them: read once from front to back, from a file or a pipe, however long.
 *
 *   lackey      text of `valgrind --tool=lackey --trace-mem=yes`
 *   binary      this project's own, eight bytes a record: docs/sim.md
 *   hypervisor  what bench/vpid records: world switches and pages; docs/sim.md
 *
 * All come as the same records. A simulator of TLBs needs pages, not bytes: a record of a reference holds the address of its page.
 */
#ifndef TOOLS_SIM_TRACE_H
#define TOOLS_SIM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/ui/complain.h"

enum sim_record_kind {
    SIM_FETCH,  /* an instruction's bytes are read. Value: page number */
    SIM_READ,   /* the same, of data */
    SIM_WRITE,  /* the same */
    SIM_MODIFY, /* read and written by one instruction */
    SIM_REPEAT, /* value: so many more references like the last one to the same page */
    SIM_SPACE,  /* another address space. Value: its name, any number */
    SIM_EXIT, /* the hypervisor goes on: references are its own until it enters. Value: the reason, as the hardware has it */
    SIM_ENTER,  /* the guest goes on */
    SIM_INVLPG, /* the guest's own. Value: page number */
    SIM_RECORD_KINDS,
};

/*
 * One record, as the binary form has it: the kind in bits 3:0; bit 4: the reference goes on in the next page; bits 11:5 zero;
 * the value in bits 63:12. So a reference is the address of its page, and what it is in the bits below.
 */
typedef uint64_t sim_record;

#define SIM_RECORD_KIND          UINT64_C(0xf)
#define SIM_RECORD_CROSSES       UINT64_C(0x10)
#define SIM_RECORD_VALUE         (~UINT64_C(0xfff))
#define SIM_RECORD_SHIFT         12

/* The longest reference that a trace may hold, in bytes: of an instruction that saves a processor's state. */
#define SIM_REFERENCE_BYTES_MOST 4096

static inline sim_record sim_record_of(enum sim_record_kind kind, uint64_t value)
{
    return value << SIM_RECORD_SHIFT | (sim_record)kind;
}

static inline enum sim_record_kind sim_record_kind(sim_record record)
{
    return (enum sim_record_kind)(record & SIM_RECORD_KIND);
}

static inline uint64_t sim_record_value(sim_record record)
{
    return record >> SIM_RECORD_SHIFT;
}

static inline bool sim_record_is_reference(sim_record record)
{
    return sim_record_kind(record) <= SIM_MODIFY;
}

/* No record of a trace's: nothing that could be repeated. */
#define SIM_NO_REFERENCE ((sim_record)SIM_REPEAT)

/*
 * What a repeat behind @record repeats, if it was @last before. The hypervisor's references are none of the guest's.
 */
static inline sim_record sim_record_after(sim_record last, sim_record record)
{
    const enum sim_record_kind kind = sim_record_kind(record);

    return kind == SIM_EXIT || kind == SIM_ENTER ? SIM_NO_REFERENCE : kind <= SIM_MODIFY ? record : last;
}

enum sim_trace_format {
    SIM_TRACE_GUESS, /* binary by its first bytes, else lackey */
    SIM_TRACE_LACKEY,
    SIM_TRACE_BINARY,
    SIM_TRACE_HYPERVISOR,
};

struct sim_trace;

/* Open @path, or standard input if that is "-". NULL and *complaint if it cannot be. */
struct sim_trace *sim_trace_open(const char *path, enum sim_trace_format format, struct complaint *complaint);

/* The same over bytes in memory, which are borrowed. */
struct sim_trace *sim_trace_over(const void *bytes, size_t count, enum sim_trace_format format);

/*
 * The next records, up to @capacity of them, to @records. *count is 0 at the end only. False and *complaint, which names the
 * line, record or byte, if the trace is not what it should be.
 */
bool sim_trace_read(struct sim_trace *trace, sim_record *records, size_t capacity, size_t *count,
                    struct complaint *complaint);

/* Back to the beginning. False if it is a pipe. */
bool sim_trace_rewind(struct sim_trace *trace);

uint64_t sim_trace_done_bytes(const struct sim_trace *trace);
uint64_t sim_trace_total_bytes(const struct sim_trace *trace); /* 0 if it is not known */
const char *sim_trace_path(const struct sim_trace *trace);
enum sim_trace_format sim_trace_format(const struct sim_trace *trace); /* known once something was read */

void sim_trace_close(struct sim_trace *trace);

/* Write the head of a trace in the binary form, and records. False if that fails. */
bool sim_trace_write_head(FILE *to);
bool sim_trace_write(FILE *to, const sim_record *records, size_t count);

#endif
