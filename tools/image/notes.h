/*
 * The notes of a core file: registers of the processors, what the kernel says of itself, the state of our hypervisor.
 */
#ifndef TOOLS_IMAGE_NOTES_H
#define TOOLS_IMAGE_NOTES_H

#include "tools/image/image.h"

/* More processors than any machine has that Linux runs on. */
#define NOTES_PROCESSORS_MOST 8192

/* Collected from any number of pieces. Begins zeroed, but for `long_mode`. Texts stand in the notes' own memory. */
struct notes {
    bool long_mode; /* the file's header says so, or a PRSTATUS of x86-64 came */
    struct image_processor *processors;
    unsigned processor_count;
    unsigned qemu_count;
    const char *vmcoreinfo;
    size_t vmcoreinfo_bytes;
    const char *state;
    size_t state_bytes;
};

/* Read [bytes, bytes + size_bytes), notes one behind the other, which is at @offset of the file. */
bool notes_read(struct notes *notes, const uint8_t *bytes, uint64_t size_bytes, uint64_t offset,
                struct complaint *complaint);

/*
 * After the last: where the notes have no control registers, take Linux's own tables by VMCOREINFO: CR3 is the physical
 * address of init_top_pgt, and the rest is as every 64-bit Linux has it.
 */
void notes_infer(struct notes *notes);

#endif
