/*
 * What every fuzz target stands on: its input, read as a stream that never ends, and a check that stays.
 *
 * Past its end the input is zeros, so that any input is a whole one, and a short one is a simple one.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What each target defines: do one thing with @data and return zero. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that holds for any input. If it does not, that is a finding. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_found(__FILE__, __LINE__, #condition))

/* Say what did not hold, and end as a crash does. */
static inline _Noreturn void fuzz_found(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* Whether two blocks are the same, padding included: copy what is compared by memcpy. */
static inline bool fuzz_same(const void *one, const void *other, size_t bytes)
{
    return memcmp(one, other, bytes) == 0;
}

/* The part of the input that has not been read. */
struct input {
    const uint8_t *next;
    size_t left;
};

static inline struct input input_of(const uint8_t *data, size_t size)
{
    return (struct input){ data, size };
}

/* Whether anything is left: what loops over the input ask, so that they end. */
static inline bool input_more(const struct input *input)
{
    return input->left != 0;
}

/* Copy the next @bytes bytes to @to, zeros past the end. */
static inline void input_copy(struct input *input, void *to, size_t bytes)
{
    const size_t there = bytes < input->left ? bytes : input->left;

    memset(to, 0, bytes);
    if (there != 0) {
        memcpy(to, input->next, there);
        input->next += there;
        input->left -= there;
    }
}

/* The next @bytes bytes, at most eight, as a little-endian number. */
static inline uint64_t input_number(struct input *input, unsigned bytes)
{
    uint8_t raw[8] = { 0 };
    uint64_t value = 0;

    input_copy(input, raw, bytes);
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)raw[i] << (8 * i);
    }
    return value;
}

static inline uint8_t input_u8(struct input *input)
{
    return (uint8_t)input_number(input, 1);
}

static inline uint16_t input_u16(struct input *input)
{
    return (uint16_t)input_number(input, 2);
}

static inline uint32_t input_u32(struct input *input)
{
    return (uint32_t)input_number(input, 4);
}

static inline uint64_t input_u64(struct input *input)
{
    return input_number(input, 8);
}

/* A number below @limit, which is 1 to 256, of one byte. */
static inline unsigned input_below(struct input *input, unsigned limit)
{
    return input_u8(input) % limit;
}

/* One bit of the next byte. */
static inline bool input_flag(struct input *input)
{
    return input_u8(input) & 1;
}

#endif
