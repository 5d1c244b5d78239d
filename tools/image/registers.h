/*
 * Registers as the notes of core files hold them. Plain layouts in little-endian; sizes are checked before.
 *
 *   PRSTATUS       Linux's struct elf_prstatus of x86-64 and of i386: general registers and selectors
 *   QEMU           the processor state that QEMU adds to its dumps: segments, CR0 to CR4, no MSR
 */
#ifndef TOOLS_IMAGE_REGISTERS_H
#define TOOLS_IMAGE_REGISTERS_H

#include <stddef.h>

#include "tools/image/image.h"

#define REGISTERS_PRSTATUS_64_BYTES 336
#define REGISTERS_PRSTATUS_32_BYTES 144

/* Before it was given the kernel's GS base; a note may be longer than what is known of it. */
#define REGISTERS_QEMU_LEAST_BYTES  432

/* A size that is one of the two. @long_mode: the machine was in long mode, by what else the file says. */
void registers_from_prstatus(struct image_processor *processor, const uint8_t *bytes, size_t size_bytes,
                             bool long_mode);

/*
 * QEMU_LEAST_BYTES or more. EFER, which it does not hold, is inferred: LME and LMA from CS.L, or @long_mode with PAE paging
 * on; NXE wherever the format of the tables has the bit, SCE in long mode.
 */
void registers_from_qemu(struct image_processor *processor, const uint8_t *bytes, bool long_mode);

#endif
