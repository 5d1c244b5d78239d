/*
 * Notes with registers, as Linux and QEMU write them, made by the tests from the layouts that those publish: struct
 * elf_prstatus of Linux (elfcore.h, user_regs_struct of both widths), and QEMU's processor state in its dumps.
 */
#ifndef TESTS_UNIT_TOOLS_IMAGE_REGISTERS_H
#define TESTS_UNIT_TOOLS_IMAGE_REGISTERS_H

#include "tests/unit/tools_image/build.h"

/* In the order of user_regs_struct of x86-64. */
enum user64 {
    USER64_R15,
    USER64_R14,
    USER64_R13,
    USER64_R12,
    USER64_RBP,
    USER64_RBX,
    USER64_R11,
    USER64_R10,
    USER64_R9,
    USER64_R8,
    USER64_RAX,
    USER64_RCX,
    USER64_RDX,
    USER64_RSI,
    USER64_RDI,
    USER64_ORIG_RAX,
    USER64_RIP,
    USER64_CS,
    USER64_EFLAGS,
    USER64_RSP,
    USER64_SS,
    USER64_FS_BASE,
    USER64_GS_BASE,
    USER64_DS,
    USER64_ES,
    USER64_FS,
    USER64_GS,
    USER64_REGISTERS
};

/* Of i386. */
enum user32 {
    USER32_EBX,
    USER32_ECX,
    USER32_EDX,
    USER32_ESI,
    USER32_EDI,
    USER32_EBP,
    USER32_EAX,
    USER32_DS,
    USER32_ES,
    USER32_FS,
    USER32_GS,
    USER32_ORIG_EAX,
    USER32_EIP,
    USER32_CS,
    USER32_EFLAGS,
    USER32_ESP,
    USER32_SS,
    USER32_REGISTERS
};

struct qemu_segment {
    uint32_t selector;
    uint32_t limit;
    uint32_t flags;
    uint32_t gap;
    uint64_t base;
};

struct qemu_state {
    uint32_t version;
    uint32_t size;
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
    uint64_t r8_to_r15[8];
    uint64_t rip, rflags;
    struct qemu_segment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
    uint64_t cr[5];
    uint64_t kernel_gs_base;
};

/* A note of each kind behind what @notes has. */
void put_prstatus64(struct bytes *notes, const uint64_t registers[USER64_REGISTERS]);
void put_prstatus32(struct bytes *notes, const uint32_t registers[USER32_REGISTERS]);
void put_qemu(struct bytes *notes, const struct qemu_state *state);
void put_text_note(struct bytes *notes, const char *name, uint32_t type, const char *text);

/* A processor of 64-bit Linux in its kernel. */
struct qemu_state qemu_in_linux(void);

/* A core with a page of 0x77 at 0x1000, and @notes, which are dropped. */
struct bytes core_with_notes(struct bytes *notes, uint16_t machine);

#endif
