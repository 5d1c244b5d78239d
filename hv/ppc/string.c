/*
 * The four functions of libc that compilers call by themselves. Whole words where both ends allow it, then bytes.
 */
#include <stddef.h>
#include <stdint.h>

#define WORD       sizeof(uint32_t)
#define BLOCK      UINT32_C(32) /* of the caches, of every e500: what dcbz clears */
#define TURN       (8 * BLOCK)  /* what one turn of a loop clears */
#define COPY_WORDS 8            /* what one turn of a loop copies */

/* Words that may stand for any other type's bytes. */
typedef uint32_t __attribute__((may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* All are read before one is written: the compiler need not wait for each. Returns what is behind the target. */
static inline uint8_t *copy_words(uint8_t *target, const uint8_t *source)
{
    word *const to = (word *)target;
    const word *const from = (const word *)source;
    const word first[] = { from[0], from[1], from[2], from[3] };
    const word last[] = { from[4], from[5], from[6], from[7] };

    to[0] = first[0];
    to[1] = first[1];
    to[2] = first[2];
    to[3] = first[3];
    to[4] = last[0];
    to[5] = last[1];
    to[6] = last[2];
    to[7] = last[3];
    return target + COPY_WORDS * WORD;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    if ((((uintptr_t)to | (uintptr_t)from) & (WORD - 1)) == 0) {
        for (; bytes >= COPY_WORDS * WORD; bytes -= COPY_WORDS * WORD) {
            target = copy_words(target, source);
            source += COPY_WORDS * WORD;
        }
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

/* Clear whole turns of @bytes at @target, which stands at a block's beginning. Only for memory, which is cached. Returns where it ended. */
static uint8_t *clear_blocks(uint8_t *target, size_t bytes)
{
    for (size_t turns = bytes / TURN; turns > 0; turns--, target += TURN) {
        __asm__ volatile("dcbz 0, %0; dcbz %0, %1; dcbz %0, %2; dcbz %0, %3\n\t"
                         "dcbz %0, %4; dcbz %0, %5; dcbz %0, %6; dcbz %0, %7"
                         :
                         : "b"(target), "r"(BLOCK), "r"(2 * BLOCK), "r"(3 * BLOCK), "r"(4 * BLOCK),
                           "r"(5 * BLOCK), "r"(6 * BLOCK), "r"(7 * BLOCK)
                         : "memory");
    }
    return target;
}

void *memset(void *to, int value, size_t bytes)
{
    uint8_t *target = to;
    const uint32_t pattern = (uint8_t)value * UINT32_C(0x01010101);
    const size_t ahead = -(uintptr_t)target & (pattern == 0 && bytes >= 2 * TURN ? BLOCK - 1 : WORD - 1);

    for (size_t i = 0; i < ahead && bytes > 0; i++, bytes--) {
        *target++ = (uint8_t)value;
    }
    if (pattern == 0 && bytes >= TURN) {
        uint8_t *const end = ((uintptr_t)target & (BLOCK - 1)) == 0 ? clear_blocks(target, bytes) : target;

        bytes -= (size_t)(end - target);
        target = end;
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
