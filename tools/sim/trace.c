/*
 * Opening a trace, and keeping its buffer full.
 */
#include "tools/sim/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/sim/source.h"

static struct sim_trace *new_trace(const char *path, enum sim_trace_format format)
{
    struct sim_trace *trace = take_memory(1, sizeof *trace);

    trace->path = strdup(path);
    trace->fd = -1;
    trace->asked = format;
    trace->format = format;
    trace->buffer = take_memory(SIM_BUFFER_BYTES, 1);
    trace->line = 1;
    trace->record = 1;
    return trace;
}

struct sim_trace *sim_trace_open(const char *path, enum sim_trace_format format, struct complaint *complaint)
{
    const int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct sim_trace *trace;
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0) {
        complain(complaint, "%s cannot be read: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    if (S_ISDIR(status.st_mode)) {
        complain(complaint, "%s is a directory", path);
        close(fd);
        return NULL;
    }
    trace = new_trace(strcmp(path, "-") == 0 ? "standard input" : path, format);
    trace->fd = fd;
    trace->total_bytes = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
    return trace;
}

struct sim_trace *sim_trace_over(const void *bytes, size_t count, enum sim_trace_format format)
{
    struct sim_trace *trace = new_trace("memory", format);

    trace->bytes = bytes;
    trace->byte_count = count;
    trace->total_bytes = count;
    return trace;
}

/* Up to @most bytes; 0 at the end, -1 on failure. */
static ssize_t take_bytes(struct sim_trace *trace, uint8_t *to, size_t most)
{
    size_t left;

    if (trace->fd >= 0) {
        ssize_t got;

        do {
            got = read(trace->fd, to, most);
        } while (got < 0 && errno == EINTR);
        return got;
    }
    left = trace->byte_count - trace->bytes_taken;
    left = left < most ? left : most;
    if (left != 0) {
        memcpy(to, trace->bytes + trace->bytes_taken, left);
        trace->bytes_taken += left;
    }
    return (ssize_t)left;
}

bool sim_source_fill(struct sim_trace *trace, struct complaint *complaint)
{
    if (trace->ended || trace->end - trace->at >= SIM_PIECE_BYTES) {
        return true;
    }
    memmove(trace->buffer, trace->buffer + trace->at, trace->end - trace->at);
    trace->before += trace->at;
    trace->end -= trace->at;
    trace->at = 0;
    while (!trace->ended && trace->end < SIM_BUFFER_BYTES) {
        const ssize_t got = take_bytes(trace, trace->buffer + trace->end, SIM_BUFFER_BYTES - trace->end);

        if (got < 0) {
            return complain(complaint, "%s cannot be read: %s", trace->path, strerror(errno));
        }
        trace->ended = got == 0;
        trace->end += (size_t)got;
    }
    return true;
}

bool sim_trace_read(struct sim_trace *trace, sim_record *records, size_t capacity, size_t *count,
                    struct complaint *complaint)
{
    *count = 0;
    while (*count == 0) {
        bool sound = false;

        if (!sim_source_fill(trace, complaint)) {
            return false;
        }
        if (trace->format == SIM_TRACE_GUESS) {
            trace->format =
                sim_binary_is_head(trace->buffer, trace->end) ? SIM_TRACE_BINARY : SIM_TRACE_LACKEY;
        }
        switch (trace->format) {
        case SIM_TRACE_GUESS:
        case SIM_TRACE_LACKEY: sound = sim_lackey_read(trace, records, capacity, count, complaint); break;
        case SIM_TRACE_BINARY: sound = sim_binary_read(trace, records, capacity, count, complaint); break;
        case SIM_TRACE_HYPERVISOR:
            sound = sim_hypervisor_read(trace, records, capacity, count, complaint);
            break;
        }
        if (!sound) {
            return false;
        }
        if (trace->ended && trace->at == trace->end && !trace->is_waiting) {
            return true;
        }
    }
    return true;
}

bool sim_trace_rewind(struct sim_trace *trace)
{
    if (trace->fd >= 0 && lseek(trace->fd, 0, SEEK_SET) != 0) {
        return false;
    }
    trace->bytes_taken = 0;
    trace->format = trace->asked;
    trace->at = 0;
    trace->end = 0;
    trace->ended = false;
    trace->began = false;
    trace->before = 0;
    trace->line = 1;
    trace->record = 1;
    memset(trace->last_page, 0, sizeof(trace->last_page));
    trace->is_waiting = false;
    return true;
}

uint64_t sim_trace_done_bytes(const struct sim_trace *trace)
{
    return trace->before + trace->at;
}

uint64_t sim_trace_total_bytes(const struct sim_trace *trace)
{
    return trace->total_bytes;
}

const char *sim_trace_path(const struct sim_trace *trace)
{
    return trace->path;
}

enum sim_trace_format sim_trace_format(const struct sim_trace *trace)
{
    return trace->format;
}

void sim_trace_close(struct sim_trace *trace)
{
    if (!trace) {
        return;
    }
    if (trace->fd >= 0) {
        close(trace->fd);
    }
    free(trace->path);
    free(trace->buffer);
    free(trace);
}
