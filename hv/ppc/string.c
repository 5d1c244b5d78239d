/*
 * The four functions of libc that compilers call by themselves. Whole words where both ends allow it, then bytes.
 */
#include <stddef.h>
#include <stdint.h>

#define WORD sizeof(uint32_t)

/* Words that may stand for any other type's bytes. */
typedef uint32_t __attribute__((may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    if ((((uintptr_t)to | (uintptr_t)from) & (WORD - 1)) == 0) {
        for (; bytes >= WORD; bytes -= WORD, target += WORD, source += WORD) {
            *(word *)target = *(const word *)source;
        }
    }
    while (bytes-- > 0) {
        *target++ = *source++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    if ((uintptr_t)to - (uintptr_t)from >= bytes) {
        while (bytes-- > 0) {
            *target++ = *source++;
        }
    } else {
        while (bytes-- > 0) {
            target[bytes] = source[bytes];
        }
    }
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    uint8_t *target = to;
    const uint32_t pattern = (uint8_t)value * UINT32_C(0x01010101);
    while (bytes > 0 && ((uintptr_t)target & (WORD - 1)) != 0) {
        *target++ = (uint8_t)value;
        bytes--;
    }
    for (; bytes >= WORD; bytes -= WORD, target += WORD) {
        *(word *)target = pattern;
    }
    while (bytes-- > 0) {
        *target++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *left = a, *right = b;
    for (size_t i = 0; i < bytes; i++) {
        if (left[i] != right[i]) {
            return left[i] - right[i];
        }
    }
    return 0;
}
