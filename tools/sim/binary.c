/*
 * The project's own form: a head of sixteen bytes, then records of eight, all little-endian. docs/sim.md describes it.
 */
#include <string.h>

#include "tools/sim/source.h"

#define HEAD_BYTES      16
#define MAGIC_BYTES     8
#define VERSION         1
#define RECORD_BYTES    8
#define RECORD_RESERVED UINT64_C(0xfe0)
#define WRITE_RECORDS   512

static const uint8_t magic[MAGIC_BYTES] = { 'V', 'M', 'M', 'U', 'T', 'R', 'C', '\n' };

static uint64_t number_at(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = count; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static void put_number(uint8_t *bytes, uint64_t value, unsigned count)
{
    for (unsigned i = 0; i < count; i++, value >>= 8) {
        bytes[i] = (uint8_t)value;
    }
}

bool sim_binary_is_head(const uint8_t *bytes, size_t count)
{
    return count >= MAGIC_BYTES && memcmp(bytes, magic, MAGIC_BYTES) == 0;
}

static bool read_head(struct sim_trace *trace, struct complaint *complaint)
{
    const uint8_t *const head = trace->buffer + trace->at;
    const size_t left = trace->end - trace->at;

    if (!sim_binary_is_head(head, left)) {
        return complain(complaint, "%s does not begin as a binary trace does", trace->path);
    }
    if (left < HEAD_BYTES) {
        return complain(complaint, "%s is cut off in its head", trace->path);
    }
    if (number_at(head + MAGIC_BYTES, 4) != VERSION) {
        return complain(complaint, "%s: a binary trace of version %llu; known is %u", trace->path,
                        (unsigned long long)number_at(head + MAGIC_BYTES, 4), VERSION);
    }
    if (number_at(head + MAGIC_BYTES + 4, 4) != 0) {
        return complain(complaint, "%s: a binary trace with flags %#llx; none are known", trace->path,
                        (unsigned long long)number_at(head + MAGIC_BYTES + 4, 4));
    }
    trace->at += HEAD_BYTES;
    trace->began = true;
    return true;
}

static bool is_sound(sim_record record)
{
    return sim_record_kind(record) < SIM_RECORD_KINDS && (record & RECORD_RESERVED) == 0 &&
           ((record & SIM_RECORD_CROSSES) == 0 || sim_record_is_reference(record));
}

bool sim_binary_read(struct sim_trace *trace, sim_record *records, size_t capacity, size_t *count,
                     struct complaint *complaint)
{
    if (!trace->began && !read_head(trace, complaint)) {
        return false;
    }
    while (*count < capacity && sim_source_has_piece(trace)) {
        const size_t left = trace->end - trace->at;

        if (left < RECORD_BYTES) {
            return complain(complaint, "%s is cut off in record %llu", trace->path,
                            (unsigned long long)trace->record);
        }
        records[*count] = number_at(trace->buffer + trace->at, RECORD_BYTES);
        if (!is_sound(records[*count])) {
            return complain(complaint, "%s: record %llu is none of this form: %#llx", trace->path,
                            (unsigned long long)trace->record, (unsigned long long)records[*count]);
        }
        trace->at += RECORD_BYTES;
        trace->record++;
        (*count)++;
    }
    return true;
}

bool sim_trace_write_head(FILE *to)
{
    uint8_t head[HEAD_BYTES];

    memcpy(head, magic, MAGIC_BYTES);
    put_number(head + MAGIC_BYTES, VERSION, 4);
    put_number(head + MAGIC_BYTES + 4, 0, 4);
    return fwrite(head, sizeof(head), 1, to) == 1;
}

bool sim_trace_write(FILE *to, const sim_record *records, size_t count)
{
    uint8_t bytes[WRITE_RECORDS * RECORD_BYTES];

    while (count != 0) {
        const size_t part = count < WRITE_RECORDS ? count : WRITE_RECORDS;

        for (size_t i = 0; i < part; i++) {
            put_number(bytes + i * RECORD_BYTES, records[i], RECORD_BYTES);
        }
        if (fwrite(bytes, RECORD_BYTES, part, to) != part) {
            return false;
        }
        records += part;
        count -= part;
    }
    return true;
}
