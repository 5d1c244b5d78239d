/*
 * Dumps of our hypervisor: the state document, and the partitions that it describes.
 *
 * Input: the text of the document, which the target puts into a sound dump of 64 KiB of memory.
 */
#include <elf.h>

#include "tests/fuzz/image.h"

#define MEMORY_BYTES 0x10000
#define NAME_BYTES   8 /* with what it is padded by */

/* The text follows right behind. */
struct dump {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
    uint8_t memory[MEMORY_BYTES];
    Elf64_Nhdr note;
    char name[NAME_BYTES];
} __attribute__((packed));

static void make_dump(struct dump *dump, size_t text_bytes)
{
    const size_t note_at = offsetof(struct dump, note);

    dump->header = (Elf64_Ehdr){ .e_ident = { 0x7F, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                                 .e_type = ET_CORE,
                                 .e_machine = EM_X86_64,
                                 .e_version = EV_CURRENT,
                                 .e_phoff = offsetof(struct dump, segments),
                                 .e_ehsize = sizeof(Elf64_Ehdr),
                                 .e_phentsize = sizeof(Elf64_Phdr),
                                 .e_phnum = 2 };
    dump->segments[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
                                      .p_offset = offsetof(struct dump, memory),
                                      .p_filesz = MEMORY_BYTES,
                                      .p_memsz = MEMORY_BYTES };
    dump->segments[1] = (Elf64_Phdr){ .p_type = PT_NOTE,
                                      .p_offset = note_at,
                                      .p_filesz = sizeof(*dump) - note_at + text_bytes };
    /* Entries that lead on, so that walks have somewhere to go. */
    for (unsigned i = 0; i < MEMORY_BYTES; i += 8)
        dump->memory[i] = 7, dump->memory[i + 1] = (uint8_t)(i >> 8);
    dump->note = (Elf64_Nhdr){ .n_namesz = 5, .n_descsz = (uint32_t)text_bytes, .n_type = 1 };
    memcpy(dump->name, "VMMU", 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dump *const dump = calloc(1, sizeof(*dump) + size);
    struct input looks = input_of(data, size);
    struct image *image;

    FUZZ_CHECK(dump != NULL);
    make_dump(dump, size);
    if (size != 0)
        memcpy((char *)dump + sizeof(*dump), data, size);
    image = fuzz_image_open(dump, sizeof(*dump) + size, &(struct image_options){ .format = IMAGE_VMMU });
    free(dump);
    if (image != NULL) {
        fuzz_partitions_use(image, &looks);
        fuzz_image_use(image, &looks);
    }
    return 0;
}
