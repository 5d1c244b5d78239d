/*
 * Eight hexadecimal digits at a time, all of them in one word: what parsing and printing millions of addresses is made of.
 */
#ifndef TOOLS_WALK_HEX_H
#define TOOLS_WALK_HEX_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define HEX_DIGITS     8

/* The byte @value in each byte of a word. */
#define HEX_ALL(value) (UINT64_C(0x0101010101010101) * (value))

/*
 * A bit in the top of each byte of @word that lies in [low, high]. The bytes of @word are below 0x80, so that no sum carries
 * into the next.
 */
static inline uint64_t hex_within(uint64_t word, uint8_t low, uint8_t high)
{
    return (word + HEX_ALL(0x80U - low)) & ~(word + HEX_ALL(0x7fU - high)) & HEX_ALL(0x80);
}

/* Eight bytes of text as a word, the first of them on top. */
static inline uint64_t hex_load(const char *text)
{
    uint64_t word;

    memcpy(&word, text, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The eight characters at @text as a number; false, and *value undefined, unless all are hexadecimal digits. */
static inline bool hex_parse(const char *text, uint32_t *value)
{
    const uint64_t word = hex_load(text);
    const uint64_t decimal = hex_within(word & HEX_ALL(0x7f), '0', '9');
    const uint64_t letter = hex_within((word & HEX_ALL(0x7f)) | HEX_ALL(0x20), 'a', 'f');
    uint64_t digits = (word & HEX_ALL(0x0f)) + 9 * ((word >> 6) & HEX_ALL(0x01));

    digits = (digits | digits >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits | digits >> 8) & UINT64_C(0x0000ffff0000ffff);
    *value = (uint32_t)(digits | digits >> 16);
    return (decimal | letter) == HEX_ALL(0x80) && (word & HEX_ALL(0x80)) == 0;
}

/* Write @value as eight digits, in lower case. */
static inline void hex_print(char *to, uint32_t value)
{
    uint64_t digits = value;
    uint64_t letters;

    digits = (digits | digits << 16) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits | digits << 8) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits | digits << 4) & HEX_ALL(0x0f);
    letters = ((digits + HEX_ALL(6)) >> 4) & HEX_ALL(0x01);
    digits += HEX_ALL('0') + letters * ('a' - '0' - 10);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    digits = __builtin_bswap64(digits);
#endif
    memcpy(to, &digits, sizeof(digits));
}

#endif
