/*
 * memory WORK PROCESSOR: a process of Linux whose address space has something of everything, and that then works for ever.
 *
 * It stands alone, without libc, so that one source is a program of both widths; the dumps of tests/tool are taken while it
 * runs. WORK is `spin`, which stays in user mode, or `call`, which stays in the kernel for almost all of the time.
 *
 * What the kernel refuses is left out: a page there would be more, not less, that the dump holds.
 */
#include <stdint.h>

#ifdef __x86_64__
enum {
    READ = 0,
    WRITE = 1,
    OPEN = 2,
    MPROTECT = 10,
    MMAP = 9,
    MADVISE = 28,
    SETAFFINITY = 203,
    PKEY_MPROTECT = 329,
    PKEY_ALLOC = 330
};
#else
enum {
    READ = 3,
    WRITE = 4,
    OPEN = 5,
    MPROTECT = 125,
    MMAP = 192,
    MADVISE = 219,
    SETAFFINITY = 241,
    PKEY_MPROTECT = 380,
    PKEY_ALLOC = 381
};
#endif

/* Linux's own numbers. */
enum { PROT_NONE = 0, PROT_R = 1, PROT_W = 2, PROT_X = 4 };
enum { MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20 };
enum { MADV_HUGEPAGE = 14, MADV_NOHUGEPAGE = 15 };

#define PAGE_BYTES 4096ul
#define HUGE_BYTES (4096ul << 10)
#define CALL_BYTES (1ul << 20)
#define PAGES      64

static long call(long number, long a, long b, long c, long d)
{
    long result;
#ifdef __x86_64__
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = -1;
    register long sixth __asm__("r9") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
#else
    /* mmap2's file is -1 as well; its sixth argument, which no register is left for, is zero in EBP. */
    __asm__ volatile("pushl %%ebp; xorl %%ebp, %%ebp; int $0x80; popl %%ebp"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(-1)
                     : "memory");
#endif
    return result;
}

/* Memory of its own at @address, or anywhere for 0; every page of it is written. 0 if the kernel refuses. */
static char *memory(uintptr_t address, unsigned long size_bytes, int kind)
{
    const long flags = kind | MAP_ANONYMOUS | (address ? MAP_FIXED : 0);
    const long result = call(MMAP, (long)address, (long)size_bytes, PROT_R | PROT_W, flags);
    if (result < 0 && result > -(long)PAGE_BYTES) {
        return 0;
    }
    char *const first = (char *)result;
    for (unsigned long at = 0; at < size_bytes; at += PAGE_BYTES) {
        first[at] = (char)(at >> 12);
    }
    return first;
}

/* Pages that differ from their neighbours: written and readable, read-only, executable, none at all. */
static void patchwork(void)
{
    static const int rights[] = { PROT_R | PROT_W, PROT_R, PROT_R | PROT_X, PROT_NONE };
    char *const first = memory(0, PAGES * PAGE_BYTES, MAP_PRIVATE);
    for (unsigned page = 0; first && page < PAGES; page++) {
        call(MPROTECT, (long)(first + page * PAGE_BYTES), PAGE_BYTES, rights[(page / 2) % 4], 0);
    }
}

/* Pages with a protection key, where the processor has them. */
static void keyed(void)
{
    char *const first = memory(0, PAGES * PAGE_BYTES, MAP_PRIVATE);
    const long key = call(PKEY_ALLOC, 0, 0, 0, 0);
    if (first && key > 0) {
        call(PKEY_MPROTECT, (long)first, PAGES * PAGE_BYTES / 2, PROT_R | PROT_W, key);
    }
}

/* Large pages. */
static void huge(void)
{
    const long result = call(MMAP, 0, 4 * HUGE_BYTES, PROT_R | PROT_W, MAP_PRIVATE | MAP_ANONYMOUS);
    if (result < 0 && result > -(long)PAGE_BYTES) {
        return;
    }
    call(MADVISE, result, 4 * HUGE_BYTES, MADV_HUGEPAGE, 0);
    char *const first = (char *)(((uintptr_t)result + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
    for (unsigned long at = 0; at < 2 * HUGE_BYTES; at += PAGE_BYTES) {
        first[at] = 1;
    }
}

/* The edges of what user memory can be: the lowest page, the highest, and what only five levels reach. */
static void edges(void)
{
    memory(0x10000, PAGE_BYTES, MAP_PRIVATE);
#ifdef __x86_64__
    memory(0x7fffffffe000, PAGE_BYTES, MAP_PRIVATE);
    memory(0xffffffffffe000, PAGE_BYTES, MAP_PRIVATE);
    memory(0x80000000000000, PAGE_BYTES, MAP_PRIVATE);
#else
    memory(0x40000000, PAGE_BYTES, MAP_PRIVATE);
#endif
}

static long length(const char *text)
{
    long count = 0;
    while (text[count]) {
        count++;
    }
    return count;
}

static void say(const char *text)
{
    call(WRITE, 1, (long)text, length(text), 0);
}

__attribute__((noreturn)) static void work(int in_the_kernel)
{
    static char buffer[CALL_BYTES];
    const long zeros = call(OPEN, (long)"/dev/zero", 0, 0, 0);
    for (;;) {
        if (in_the_kernel) {
            call(READ, zeros, (long)buffer, CALL_BYTES, 0);
        } else {
            __asm__ volatile("pause");
        }
    }
}

__attribute__((noreturn, used)) static void enter(const uintptr_t *stack)
{
    const char *const kind = (const char *)stack[2];
    const unsigned long processors = 1ul << (((const char *)stack[3])[0] - '0');
    call(SETAFFINITY, 0, sizeof processors, (long)&processors, 0);
    memory(0, HUGE_BYTES, MAP_SHARED);
    patchwork();
    keyed();
    huge();
    edges();
    say("ready\n");
    work(kind[0] == 'c');
}

/* The first instruction: the stack holds the count of arguments, then their addresses. */
#ifdef __x86_64__
__asm__(".globl _start\n_start: movq %rsp, %rdi\n andq $-16, %rsp\n call enter\n");
#else
__asm__(".globl _start\n_start: movl %esp, %eax\n andl $-16, %esp\n pushl %eax\n call enter\n");
#endif
