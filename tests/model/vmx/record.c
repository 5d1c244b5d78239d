/* See record.h. */
#include <stdlib.h>
#include <string.h>

#include "tests/model/vmx/record.h"

/* Spreads the bits of a key and its value, so that the sum over an image's keys tells images apart. */
static uint64_t mixed(unsigned key, uint64_t value)
{
    uint64_t x = value ^ ((uint64_t)key + 1) * UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static bool set(struct entry_record *record, unsigned vp, unsigned key, uint64_t value)
{
    uint64_t old;

    if (entry_image_get(&record->image[vp], key, &old)) {
        record->digest[vp] -= mixed(key, old);
    }
    record->digest[vp] += mixed(key, value);
    return entry_image_set(&record->image[vp], key, value);
}

/* A hexadecimal number that @end follows; *at moves behind that. */
static bool number(const char **at, const char *ends, uint64_t *value)
{
    char *end;

    if (!strchr("0123456789abcdef", **at) || !**at) {
        return false;
    }
    *value = strtoull(*at, &end, 16);
    if (end - *at > 16 || !*end || !strchr(ends, *end)) {
        return false;
    }
    *at = end + 1;
    return true;
}

/* "VP KEY:VALUE... ." */
static bool read_entry(struct entry_record *record, const char *at, unsigned *vp)
{
    uint64_t index;

    if (!number(&at, " ", &index) || index >= ENTRY_RECORD_VPS) {
        return false;
    }
    *vp = (unsigned)index;
    while (*at != '.') {
        uint64_t key;
        uint64_t value;

        if (!number(&at, ":", &key) || !number(&at, " ", &value) || key > UINT16_MAX ||
            !set(record, *vp, (unsigned)key, value)) {
            return false;
        }
    }
    return at[1] == '\0' || (at[1] == '\r' && at[2] == '\0');
}

enum entry_line entry_record_line(struct entry_record *record, const char *line, unsigned *vp)
{
    if (line[0] != '~') {
        return ENTRY_LINE_OTHER;
    }
    return read_entry(record, line + 1, vp) ? ENTRY_LINE_ENTRY : ENTRY_LINE_BROKEN;
}
