#include "tools/image/notes.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "tools/image/registers.h"

struct note {
    const char *name;
    size_t name_bytes;
    uint32_t type;
    const uint8_t *content;
    size_t content_bytes;
    uint64_t offset; /* in the file, for complaints */
};

static struct image_processor *processor_at(struct notes *notes, unsigned index)
{
    const unsigned count = notes->processor_count;

    if (index == count) {
        /* There is room for the next power of two. */
        if ((count & (count - 1)) == 0) {
            notes->processors =
                grow_memory(notes->processors, count, count == 0 ? 1 : 2 * count, sizeof(*notes->processors));
        }
        notes->processor_count++;
    }
    return &notes->processors[index];
}

static bool take_prstatus(struct notes *notes, const struct note *note, struct complaint *complaint)
{
    if (note->content_bytes != REGISTERS_PRSTATUS_64_BYTES &&
        note->content_bytes != REGISTERS_PRSTATUS_32_BYTES) {
        return complain(
            complaint,
            "the PRSTATUS note at 0x%llx has %zu bytes, and not %u as of x86-64, nor %u as of i386",
            (unsigned long long)note->offset, note->content_bytes, REGISTERS_PRSTATUS_64_BYTES,
            REGISTERS_PRSTATUS_32_BYTES);
    }
    if (notes->processor_count == NOTES_PROCESSORS_MOST)
        return complain(complaint, "it has registers of more than %u processors", NOTES_PROCESSORS_MOST);
    notes->long_mode |= note->content_bytes == REGISTERS_PRSTATUS_64_BYTES;
    registers_from_prstatus(processor_at(notes, notes->processor_count), note->content, note->content_bytes,
                            notes->long_mode);
    return true;
}

/* QEMU writes the PRSTATUS notes of all processors, then these, in the same order. */
static bool take_qemu(struct notes *notes, const struct note *note, struct complaint *complaint)
{
    uint32_t version_and_size[2];

    if (note->content_bytes < REGISTERS_QEMU_LEAST_BYTES) {
        return complain(complaint,
                        "the QEMU note at 0x%llx has %zu bytes, fewer than the %u of its first version",
                        (unsigned long long)note->offset, note->content_bytes, REGISTERS_QEMU_LEAST_BYTES);
    }
    memcpy(version_and_size, note->content, sizeof(version_and_size));
    if (version_and_size[0] != 1 || version_and_size[1] != note->content_bytes) {
        return complain(complaint, "the QEMU note at 0x%llx is of version %u and %u bytes, not 1 and %zu",
                        (unsigned long long)note->offset, version_and_size[0], version_and_size[1],
                        note->content_bytes);
    }
    if (notes->qemu_count == NOTES_PROCESSORS_MOST)
        return complain(complaint, "it has registers of more than %u processors", NOTES_PROCESSORS_MOST);
    registers_from_qemu(processor_at(notes, notes->qemu_count++), note->content, notes->long_mode);
    return true;
}

static bool take_vmcoreinfo(struct notes *notes, const struct note *note, struct complaint *complaint)
{
    (void)complaint;
    notes->vmcoreinfo = (const char *)note->content;
    notes->vmcoreinfo_bytes = note->content_bytes;
    return true;
}

static bool take_state(struct notes *notes, const struct note *note, struct complaint *complaint)
{
    if (notes->state != NULL) {
        return complain(complaint, "there is a second note of the hypervisor's state at 0x%llx",
                        (unsigned long long)note->offset);
    }
    notes->state = (const char *)note->content;
    notes->state_bytes = note->content_bytes;
    return true;
}

static const struct kind {
    const char *name;
    uint32_t type;
    bool (*take)(struct notes *notes, const struct note *note, struct complaint *complaint);
} kinds[] = {
    { "CORE", NT_PRSTATUS, take_prstatus },
    { "QEMU", 0, take_qemu },
    { "VMCOREINFO", 0, take_vmcoreinfo },
    { "VMMU", 1, take_state },
};

/* Names end in a zero that counts; some writers leave it out. */
static bool is_named(const struct note *note, const char *name)
{
    const size_t length = strlen(name);

    return note->name_bytes >= length && note->name_bytes <= length + 1 &&
           memcmp(note->name, name, length) == 0 &&
           (note->name_bytes == length || note->name[length] == '\0');
}

static bool take(struct notes *notes, const struct note *note, struct complaint *complaint)
{
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (note->type == kinds[i].type && is_named(note, kinds[i].name))
            return kinds[i].take(notes, note, complaint);
    }
    return true;
}

/* Names and contents are padded to this. */
#define PADDING UINT64_C(4)

static uint64_t padded(uint64_t size_bytes)
{
    return (size_bytes + PADDING - 1) & ~(PADDING - 1);
}

/* How much of a part that claims @size_bytes is there; false if that is not all. The padding of the last may be missing. */
static bool cut(uint64_t *at, uint64_t size_bytes, uint64_t limit)
{
    if (size_bytes > limit - *at)
        return false;
    *at = padded(size_bytes) > limit - *at ? limit : *at + padded(size_bytes);
    return true;
}

bool notes_read(struct notes *notes, const uint8_t *bytes, uint64_t size_bytes, uint64_t offset,
                struct complaint *complaint)
{
    uint64_t at = 0;

    while (size_bytes - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr header;
        struct note note = { .offset = offset + at };

        memcpy(&header, bytes + at, sizeof(header));
        at += sizeof(header);
        if (header.n_namesz == 0 && header.n_descsz == 0)
            break; /* what kernels fill the rest of a page with */
        note.name = (const char *)bytes + at;
        note.name_bytes = header.n_namesz;
        note.type = header.n_type;
        if (!cut(&at, header.n_namesz, size_bytes)) {
            return complain(complaint,
                            "the note at 0x%llx says that its name has %u bytes, more than there are",
                            (unsigned long long)note.offset, header.n_namesz);
        }
        note.content = bytes + at;
        note.content_bytes = header.n_descsz;
        if (!cut(&at, header.n_descsz, size_bytes)) {
            return complain(complaint, "the note at 0x%llx says that it has %u bytes, more than there are",
                            (unsigned long long)note.offset, header.n_descsz);
        }
        if (!take(notes, &note, complaint))
            return false;
    }
    return true;
}

/* --- what the kernel says of itself: lines of KEY=VALUE --- */

static bool find(const struct notes *notes, const char *key, int base, uint64_t *value)
{
    const size_t length = strlen(key);
    const char *at = notes->vmcoreinfo;
    size_t left = notes->vmcoreinfo_bytes;

    while (left > length) {
        const char *const end = memchr(at, '\n', left);
        const size_t line = end == NULL ? left : (size_t)(end - at);

        if (line > length && memcmp(at, key, length) == 0) {
            char text[32] = { 0 };
            char *behind = NULL;

            memcpy(text, at + length, line - length < sizeof(text) - 1 ? line - length : sizeof(text) - 1);
            *value = strtoull(text, &behind, base);
            return behind != text;
        }
        if (end == NULL)
            return false;
        at = end + 1;
        left -= line + 1;
    }
    return false;
}

/* Where Linux maps its image: the tables that it begins with are part of that. */
#define LINUX_IMAGE_BASE UINT64_C(0xFFFFFFFF80000000)

void notes_infer(struct notes *notes)
{
    uint64_t table;
    uint64_t physical_base;
    uint64_t five_levels = 0;

    if (notes->qemu_count != 0 || !notes->long_mode || notes->vmcoreinfo == NULL ||
        !find(notes, "SYMBOL(swapper_pg_dir)=", 16, &table) || table < LINUX_IMAGE_BASE ||
        !find(notes, "NUMBER(phys_base)=", 10, &physical_base)) {
        return;
    }
    (void)find(notes, "NUMBER(pgtable_l5_enabled)=", 10, &five_levels);
    if (notes->processor_count == 0)
        (void)processor_at(notes, 0);
    for (unsigned i = 0; i < notes->processor_count; i++) {
        struct image_processor *const processor = &notes->processors[i];

        processor->has_paging = true;
        processor->paging = (struct vmmu_x86_paging_registers){
            .cr0 = VMMU_X86_CR0_PG | VMMU_X86_CR0_WP | VMMU_X86_CR0_NE | VMMU_X86_CR0_ET | VMMU_X86_CR0_PE,
            .cr3 = table - LINUX_IMAGE_BASE + physical_base,
            .cr4 = VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE | (five_levels != 0 ? VMMU_X86_CR4_LA57 : 0),
            .efer = VMMU_X86_EFER_SCE | VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE,
            .pdpte_in_memory = true,
        };
        processor->state.cr0 = processor->paging.cr0;
        processor->state.cr4 = processor->paging.cr4;
        processor->state.efer = processor->paging.efer;
    }
}
