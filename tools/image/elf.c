/*
 * ELF cores of a machine: QEMU's dump-guest-memory, Linux's vmcore by kdump, and a dump of our hypervisor.
 *
 * What a segment has in the file is memory that is there; what it says to have beyond that was left out by whoever
 * wrote it (pages of zeros, pages of programs), and is absent.
 */
#include <gelf.h>
#include <stdlib.h>

#include "tools/image/notes.h"
#include "tools/image/source.h"
#include "tools/image/state.h"

/* A dump of QEMU's with `paging` has one for each mapping; nothing that is sound comes near this. */
#define SEGMENTS_MOST 0x100000

struct core {
    struct image_opened *opened;
    Elf *elf;
    struct notes notes;
    uint64_t note_bytes; /* of all segments of notes */
    size_t at_zero;   /* segments of memory at physical address 0 that have linear addresses of their own */
    size_t elsewhere; /* all others */
};

/* libelf may refuse; its words are short. */
static bool libelf_complains(struct complaint *complaint, const char *what)
{
    return complain(complaint, "%s: %s", what, elf_errmsg(-1));
}

static bool check_header(struct core *core, struct complaint *complaint)
{
    GElf_Ehdr header;

    if (elf_kind(core->elf) != ELF_K_ELF || gelf_getehdr(core->elf, &header) == NULL)
        return libelf_complains(complaint, "its ELF header makes no sense");
    if (header.e_ident[EI_DATA] != ELFDATA2LSB)
        return complain(complaint, "it is an ELF file of a big-endian machine");
    if (header.e_type != ET_CORE)
        return complain(complaint, "it is an ELF file, but not a core (its type is %u)", header.e_type);
    if (header.e_machine != EM_X86_64 && header.e_machine != EM_386) {
        return complain(complaint, "it is the core of a machine that is not x86 (number %u)",
                        header.e_machine);
    }
    core->notes.long_mode = header.e_machine == EM_X86_64;
    return true;
}

static bool take_memory_segment(struct core *core, size_t index, const GElf_Phdr *segment,
                                struct complaint *complaint)
{
    const uint8_t *const bytes = core->opened->file.bytes + segment->p_offset;

    if (segment->p_filesz > segment->p_memsz) {
        return complain(complaint, "segment %zu has 0x%llx bytes in the file, and says to stand for 0x%llx",
                        index, (unsigned long long)segment->p_filesz, (unsigned long long)segment->p_memsz);
    }
    if (segment->p_filesz == 0)
        return true;
    if (!vmmu_range_fits(segment->p_paddr, segment->p_filesz, IMAGE_ADDRESS_LIMIT)) {
        return complain(complaint,
                        "segment %zu has 0x%llx bytes at 0x%llx, beyond what processors address, 52 bits",
                        index, (unsigned long long)segment->p_filesz, (unsigned long long)segment->p_paddr);
    }
    if (segment->p_paddr == 0 && segment->p_vaddr != 0) {
        core->at_zero++;
    } else {
        core->elsewhere++;
    }
    image_memory_add(&core->opened->memory, segment->p_paddr, segment->p_filesz, bytes);
    return true;
}

static bool take_segment(struct core *core, size_t index, struct complaint *complaint)
{
    const struct image_file *const file = &core->opened->file;
    GElf_Phdr segment;

    if (gelf_getphdr(core->elf, (int)index, &segment) == NULL)
        return libelf_complains(complaint, "a program header cannot be read");
    if (segment.p_type != PT_LOAD && segment.p_type != PT_NOTE)
        return true;
    if (!image_file_holds(file, segment.p_offset, segment.p_filesz)) {
        return complain(
            complaint,
            "segment %zu has 0x%llx bytes at 0x%llx of the file, which ends at 0x%llx: it is cut off, "
            "or its header lies",
            index, (unsigned long long)segment.p_filesz, (unsigned long long)segment.p_offset,
            (unsigned long long)file->size_bytes);
    }
    if (segment.p_type == PT_LOAD)
        return take_memory_segment(core, index, &segment, complaint);
    core->note_bytes += segment.p_filesz;
    if (core->note_bytes > file->size_bytes)
        return complain(complaint, "its segments of notes overlap: they have more bytes than the file");
    return notes_read(&core->notes, file->bytes + segment.p_offset, segment.p_filesz, segment.p_offset,
                      complaint);
}

/* libelf goes by the size that program headers should have, whatever the file says. */
static bool check_header_size(struct core *core, struct complaint *complaint)
{
    const size_t wanted = gelf_fsize(core->elf, ELF_T_PHDR, 1, EV_CURRENT);
    GElf_Ehdr header;

    if (gelf_getehdr(core->elf, &header) == NULL)
        return libelf_complains(complaint, "its ELF header makes no sense");
    if (header.e_phnum == 0)
        return complain(complaint, "it has no program headers: it holds no memory");
    return header.e_phentsize == wanted ||
           complain(complaint, "its program headers have %u bytes, not %zu", header.e_phentsize, wanted);
}

static bool take_segments(struct core *core, struct complaint *complaint)
{
    size_t count;

    if (!check_header_size(core, complaint))
        return false;
    if (elf_getphdrnum(core->elf, &count) != 0)
        return libelf_complains(complaint, "its program headers cannot be counted");
    if (count > SEGMENTS_MOST) {
        return complain(complaint, "it has %zu segments, more than the %u that make sense", count,
                        SEGMENTS_MOST);
    }
    for (size_t i = 0; i < count; i++) {
        if (!take_segment(core, i, complaint))
            return false;
    }
    if (core->opened->memory.count == 0)
        return complain(complaint, "it holds no memory");
    if (core->at_zero > 1 && core->elsewhere == 0)
        return complain(complaint, "it is the core of a program, and says nothing about physical memory");
    return true;
}

static bool read_core(struct core *core, enum image_format format, struct complaint *complaint)
{
    struct image *const image = &core->opened->image;

    if (!check_header(core, complaint) || !take_segments(core, complaint))
        return false;
    notes_infer(&core->notes);
    image->format = IMAGE_ELF;
    if (core->notes.state == NULL || format == IMAGE_ELF)
        return format != IMAGE_VMMU || complain(complaint, "it has no note of our hypervisor's state");
    image->format = IMAGE_VMMU;
    image->state = image_state_parse(core->notes.state, core->notes.state_bytes, complaint);
    return image->state != NULL;
}

static bool open_elf(struct image_opened *opened, const struct image_options *options,
                     struct complaint *complaint)
{
    struct core core = { .opened = opened };
    bool fine;

    if (elf_version(EV_CURRENT) == EV_NONE)
        return libelf_complains(complaint, "libelf");
    core.elf = elf_memory((char *)(uintptr_t)opened->file.bytes, (size_t)opened->file.size_bytes);
    if (core.elf == NULL)
        return libelf_complains(complaint, "it cannot be read as ELF");
    fine = read_core(&core, options->format, complaint);
    (void)elf_end(core.elf);
    opened->processors = core.notes.processors;
    opened->processor_count = core.notes.processor_count;
    return fine;
}

const struct image_source image_source_elf = { .open = open_elf };
