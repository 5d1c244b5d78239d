/*
 * Device registers in memory, reached by many forms of instructions; and memory that nobody claims. The local
 * APIC's task priority register keeps eight bits; the I/O APIC's window keeps what its index selects.
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/irq.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define IO_APIC_PAGE   0xfec00000
#define IO_APIC_WINDOW (IO_APIC_PAGE + 0x10)
#define TEXT_PAGE      0xb8000
#define START          0x5a

#define FLAG_CARRY     0x01
#define FLAG_ZERO      0x40

/* The general registers of one instruction, before and after. */
struct form_state {
    uintptr_t ax, cx, flags;
};

/* One instruction on the register at BX, with CX = 0x0f and AX = START beforehand. */
struct form {
    const char *name;
    void (*run)(struct form_state *state);
    uint32_t result; /* what the register then reads as */
    uint32_t ax, cx; /* what the general registers then hold */
    uint32_t flags;  /* which of carry and zero are then set; NO_FLAGS: not looked at */
};

#define NO_FLAGS UINT32_MAX

#define FORM(function, code)                                                                                 \
    static void function(struct form_state *s)                                                               \
    {                                                                                                        \
        __asm__ volatile("push %2; popf\n\t" code "\n\tpushf; pop %2"                                        \
                         : "+a"(s->ax), "+c"(s->cx), "+r"(s->flags)                                          \
                         : "b"((uintptr_t)APIC_PAGE + APIC_TPR)                                              \
                         : "memory", "cc");                                                                  \
    }

FORM(form_mov_load, "movl (%%" BASE_TEXT "), %%eax")
FORM(form_mov_store, "movl %%ecx, (%%" BASE_TEXT ")")
FORM(form_mov_immediate, "movl $0x21, (%%" BASE_TEXT ")")
FORM(form_and, "andl %%ecx, (%%" BASE_TEXT ")")
FORM(form_and_load, "andl (%%" BASE_TEXT "), %%ecx")
FORM(form_or, "orl %%ecx, (%%" BASE_TEXT ")")
FORM(form_or_immediate, "orl $0x80, (%%" BASE_TEXT ")")
FORM(form_xor, "xorl %%ecx, (%%" BASE_TEXT ")")
FORM(form_add, "addl %%ecx, (%%" BASE_TEXT ")")
FORM(form_adc, "stc; adcl %%ecx, (%%" BASE_TEXT ")")
FORM(form_sub, "subl %%ecx, (%%" BASE_TEXT ")")
FORM(form_sbb, "stc; sbbl %%ecx, (%%" BASE_TEXT ")")
FORM(form_sub_zero, "subl $0x5a, (%%" BASE_TEXT ")")
FORM(form_cmp_equal, "cmpl $0x5a, (%%" BASE_TEXT ")")
FORM(form_cmp_below, "cmpl $0x70, (%%" BASE_TEXT ")")
FORM(form_test, "testl $0xa5, (%%" BASE_TEXT ")")
FORM(form_inc, "incl (%%" BASE_TEXT ")")
FORM(form_dec, "decl (%%" BASE_TEXT ")")
FORM(form_xchg, "xchgl %%ecx, (%%" BASE_TEXT ")")
FORM(form_cmpxchg_equal, "cmpxchgl %%ecx, (%%" BASE_TEXT ")")
FORM(form_cmpxchg_other, "mov $0x33, %%eax; cmpxchgl %%ecx, (%%" BASE_TEXT ")")
FORM(form_xadd, "xaddl %%ecx, (%%" BASE_TEXT ")")
FORM(form_bts, "btsl $7, (%%" BASE_TEXT ")")
FORM(form_btr, "btrl $1, (%%" BASE_TEXT ")")
FORM(form_btc, "btcl $0, (%%" BASE_TEXT ")")
FORM(form_bt, "btl $4, (%%" BASE_TEXT ")")

static const struct form forms[] = {
    { "MOV to a register", form_mov_load, 0x5a, 0x5a, 0x0f, NO_FLAGS },
    { "MOV from a register", form_mov_store, 0x0f, 0x5a, 0x0f, NO_FLAGS },
    { "MOV of an immediate", form_mov_immediate, 0x21, 0x5a, 0x0f, NO_FLAGS },
    { "AND to memory", form_and, 0x0a, 0x5a, 0x0f, 0 },
    { "AND from memory", form_and_load, 0x5a, 0x5a, 0x0a, 0 },
    { "OR to memory", form_or, 0x5f, 0x5a, 0x0f, 0 },
    { "OR of an immediate", form_or_immediate, 0xda, 0x5a, 0x0f, 0 },
    { "XOR to memory", form_xor, 0x55, 0x5a, 0x0f, 0 },
    { "ADD to memory", form_add, 0x69, 0x5a, 0x0f, 0 },
    { "ADC to memory", form_adc, 0x6a, 0x5a, 0x0f, 0 },
    { "SUB to memory", form_sub, 0x4b, 0x5a, 0x0f, 0 },
    { "SBB to memory", form_sbb, 0x4a, 0x5a, 0x0f, 0 },
    { "SUB down to zero", form_sub_zero, 0x00, 0x5a, 0x0f, FLAG_ZERO },
    { "CMP of the same", form_cmp_equal, 0x5a, 0x5a, 0x0f, FLAG_ZERO },
    { "CMP of more", form_cmp_below, 0x5a, 0x5a, 0x0f, FLAG_CARRY },
    { "TEST", form_test, 0x5a, 0x5a, 0x0f, FLAG_ZERO },
    { "INC", form_inc, 0x5b, 0x5a, 0x0f, 0 },
    { "DEC", form_dec, 0x59, 0x5a, 0x0f, 0 },
    { "XCHG", form_xchg, 0x0f, 0x5a, 0x5a, NO_FLAGS },
    { "CMPXCHG that matches", form_cmpxchg_equal, 0x0f, 0x5a, 0x0f, FLAG_ZERO },
    { "CMPXCHG that does not", form_cmpxchg_other, 0x5a, 0x5a, 0x0f, NO_FLAGS },
    { "XADD", form_xadd, 0x69, 0x5a, 0x5a, 0 },
    { "BTS", form_bts, 0xda, 0x5a, 0x0f, NO_FLAGS },
    { "BTR", form_btr, 0x58, 0x5a, 0x0f, NO_FLAGS },
    { "BTC", form_btc, 0x5b, 0x5a, 0x0f, NO_FLAGS },
    { "BT", form_bt, 0x5a, 0x5a, 0x0f, NO_FLAGS },
};

static void test_forms(void)
{
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const struct form *form = &forms[i];
        struct form_state state = { START, 0x0f, 2 };
        apic_write(APIC_TPR, START);
        form->run(&state);
        const uint32_t result = apic_read(APIC_TPR);
        const uint32_t flags = (uint32_t)state.flags & (FLAG_CARRY | FLAG_ZERO);
        detail("register %x, AX %p, CX %p, flags %x", result, state.ax, state.cx, flags);
        report(result == form->result && state.ax == form->ax && state.cx == form->cx &&
                   (form->flags == NO_FLAGS || flags == form->flags),
               "%s on a device register", form->name);
    }
    apic_write(APIC_TPR, 0);
}

/* Loads and stores without a general register of their own. */
static void test_strings(void)
{
    uint32_t source[2] = { 0x40, 0x30 }, target[2] = { 0, 0 };
    uintptr_t from = (uintptr_t)source, to = APIC_PAGE + APIC_TPR;
    __asm__ volatile("movsl" : "+S"(from), "+D"(to)::"memory");
    report(apic_read(APIC_TPR) == 0x40 && to == APIC_PAGE + APIC_TPR + 4, "MOVS to a device register");
    from = APIC_PAGE + APIC_TPR;
    to = (uintptr_t)target;
    __asm__ volatile("movsl" : "+S"(from), "+D"(to)::"memory");
    report(target[0] == 0x40 && target[1] == 0, "MOVS from a device register");
    to = APIC_PAGE + APIC_TPR;
    __asm__ volatile("stosl" : "+D"(to) : "a"(0x50) : "memory");
    report(apic_read(APIC_TPR) == 0x50, "STOS to a device register");
    from = APIC_PAGE + APIC_TPR;
    uintptr_t value = 0;
    __asm__ volatile("lodsl" : "+S"(from), "+a"(value)::"memory");
    report(value == 0x50, "LODS from a device register");
    apic_write(APIC_TPR, 0);
    uintptr_t count = 4;
    to = APIC_PAGE + APIC_TPR;
    __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(0) : "memory");
    report(count == 0 && to == APIC_PAGE + APIC_TPR + 16, "REP STOS over device registers goes to its end");
}

/* Operands in other addressing forms. */
static void test_addressing(void)
{
    uint32_t value = 0;
    apic_write(APIC_TPR, START);
    __asm__ volatile("movl 0x80(%1), %0" : "=r"(value) : "r"((uintptr_t)APIC_PAGE));
    report(value == START, "a device register by base and displacement");
    value = 0;
    __asm__ volatile("movl (%1, %2, 4), %0"
                     : "=r"(value)
                     : "r"((uintptr_t)APIC_PAGE), "r"((uintptr_t)APIC_TPR / 4));
    report(value == START, "a device register by base and scaled index");
    value = 0;
    __asm__ volatile("movl -0x80(, %1, 2), %0"
                     : "=r"(value)
                     : "r"((uintptr_t)(APIC_PAGE + APIC_TPR + 0x80) / 2));
    report(value == START, "a device register by scaled index and displacement alone");
    value = 0;
#ifdef __x86_64__
    __asm__ volatile("movabsl 0xfee00080, %0" : "=a"(value)::"memory");
    report(value == START, "a device register by a 64-bit offset");
    __asm__ volatile("movl %1, %%r13d; movl (%%r13), %%r9d; movl %%r9d, %0"
                     : "=r"(value)
                     : "r"(APIC_PAGE + APIC_TPR)
                     : "r9", "r13");
    report(value == START, "a device register by the upper general registers");
    uint64_t wide = UINT64_MAX;
    __asm__ volatile("movl (%1), %k0" : "+r"(wide) : "r"((uintptr_t)APIC_PAGE + APIC_TPR));
    report(wide == START, "a load of 32 bits clears the upper half");
#else
    __asm__ volatile("movl 0xfee00080, %0" : "=a"(value)::"memory");
    report(value == START, "a device register by a 32-bit offset");
    value = 0;
    __asm__ volatile("pushl (%1); pop %0" : "=r"(value) : "r"((uintptr_t)APIC_PAGE + APIC_TPR) : "memory");
    report(value == START, "PUSH of a device register");
#endif
}

static void test_io_apic(void)
{
    volatile uint32_t *index = (volatile uint32_t *)IO_APIC_PAGE;
    volatile uint32_t *window = (volatile uint32_t *)IO_APIC_WINDOW;
    *index = 1;
    const uint32_t version = *window;
    detail("version register %x", version);
    report((version & 0xff) >= 0x11 && (version >> 16 & 0xff) == 23, "the I/O APIC has 24 lines");
    *(volatile uint8_t *)IO_APIC_PAGE = 0x11;
    *window = 0x07000000;
    __asm__ volatile("orl $0x08000000, (%0)" ::"r"(window) : "memory", "cc");
    detail("reads %x", *window);
    report(*window == 0x0f000000, "its index takes a byte; its window is read, changed and written");
    *(volatile uint8_t *)IO_APIC_PAGE = 0x91;
    uint32_t zero_extended, sign_extended;
    __asm__ volatile("movzbl (%1), %0" : "=r"(zero_extended) : "r"(index) : "memory");
    __asm__ volatile("movsbl (%1), %0" : "=r"(sign_extended) : "r"(index) : "memory");
    detail("%x and %x", zero_extended, sign_extended);
    report(zero_extended == 0x91 && sign_extended == 0xffffff91, "MOVZX and MOVSX load a byte of its index");
    *index = 0x10;
    *window = LVT_MASKED | 0x77;
    uint32_t expected = LVT_MASKED | 0x77;
    __asm__ volatile("lock cmpxchgl %1, (%2)"
                     : "+a"(expected)
                     : "r"(LVT_MASKED | 0x78), "r"(window)
                     : "memory", "cc");
    report(*window == (LVT_MASKED | 0x78), "a locked CMPXCHG works on its window");
    *index = 0x11;
    report(*window == 0x0f000000, "each index keeps its own");
    *window = 0;
}

/* The text page is memory in a partition, and an adapter's memory on the bare emulator. */
static void test_text(void)
{
    static uint16_t image[2000];
    for (unsigned i = 0; i < 2000; i++) {
        image[i] = (uint16_t)(0x0700 | ('a' + i % 26));
    }
    uintptr_t from = (uintptr_t)image, to = TEXT_PAGE, count = 1000;
    __asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count)::"memory");
    report(memcmp((void *)TEXT_PAGE, image, sizeof(image)) == 0, "REP MOVS writes the text page");
    from = TEXT_PAGE + 160;
    to = TEXT_PAGE;
    count = 3840;
    __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count)::"memory");
    report(memcmp((void *)TEXT_PAGE, image + 80, 3840) == 0, "REP MOVS within it scrolls it");
    to = TEXT_PAGE;
    count = 2000;
    __asm__ volatile("rep stosw" : "+D"(to), "+c"(count) : "a"(0x0720) : "memory");
    report(*(volatile uint16_t *)(TEXT_PAGE + 3998) == 0x0720, "REP STOS clears it");
}

/* Nobody's addresses: the emulator's own bus answers 0 there, real ones all ones. */
static void test_unclaimed(void)
{
    static const uintptr_t places[] = { 0xc0000000, 0xd0001000, 0xfea00000 };
    bool good = true;
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]) && good; i++) {
        *(volatile uint32_t *)places[i] = 0x12345678;
        const uint32_t seen = *(volatile uint32_t *)places[i];
        const uint8_t byte = *(volatile uint8_t *)(places[i] + 3);
        detail("%p reads %x, and %x", places[i], seen, byte);
        good = seen == UINT32_MAX && byte == UINT8_MAX;
    }
    report_inside(good, "memory that nobody claims reads as all ones, and keeps nothing");
}

void guest_main(void)
{
    irq_start(false);
    test_forms();
    test_strings();
    test_addressing();
    test_io_apic();
    test_text();
    test_unclaimed();
    irq_stop();
}
