/* Fields at any alignment, in images and in the tables that we write: little-endian, and big-endian where the name says so. */
#ifndef HV_GUEST_BYTES_H
#define HV_GUEST_BYTES_H

#include <vmmu/base.h>

static inline uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t get32(const uint8_t *at)
{
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static inline uint64_t get64(const uint8_t *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static inline void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void put32(uint8_t *at, uint32_t value)
{
    put16(at, (uint16_t)value);
    put16(at + 2, (uint16_t)(value >> 16));
}

static inline void put64(uint8_t *at, uint64_t value)
{
    put32(at, (uint32_t)value);
    put32(at + 4, (uint32_t)(value >> 32));
}

static inline uint16_t get_big16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get_big32(const uint8_t *at)
{
    return (uint32_t)get_big16(at) << 16 | get_big16(at + 2);
}

static inline uint64_t get_big64(const uint8_t *at)
{
    return (uint64_t)get_big32(at) << 32 | get_big32(at + 4);
}

static inline void put_big32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static inline void put_big64(uint8_t *at, uint64_t value)
{
    put_big32(at, (uint32_t)(value >> 32));
    put_big32(at + 4, (uint32_t)value);
}

/* The byte that makes all @count bytes at @at add up to zero, if it replaces a zero among them. */
static inline uint8_t checksum(const uint8_t *at, uint64_t count)
{
    unsigned sum = 0;

    for (uint64_t i = 0; i < count; i++) {
        sum += at[i];
    }
    return (uint8_t)(0u - sum);
}

static inline uint64_t text_length(const char *text)
{
    uint64_t length = 0;

    while (text != NULL && text[length] != '\0') {
        length++;
    }
    return length;
}

#endif
