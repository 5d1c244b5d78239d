/*
 * A machine's memory and registers, from a file or from a hypervisor that runs.
 *
 *   raw     memory from address 0, or another, on
 *   elf     ELF core: QEMU's dump-guest-memory, kdump's vmcore; registers from the notes
 *   kdump   compressed kdump (makedumpfile, QEMU's dump-guest-memory -z), by libkdumpfile
 *   vmmu    a dump of our hypervisor: an ELF core of the host's memory with a note of its state
 *   live    a hypervisor that runs, by the socket of its control port
 *
 * The file is mapped, never read whole. Nothing in it is trusted: whatever is wrong with it is a complaint.
 */
#ifndef TOOLS_IMAGE_IMAGE_H
#define TOOLS_IMAGE_IMAGE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmmu/host.h>
#include <vmmu/insn.h>
#include <vmmu/mode.h>

#include "tools/ui/complain.h"

enum image_format {
    IMAGE_GUESS, /* by what it begins with; raw if by nothing known */
    IMAGE_RAW,
    IMAGE_ELF,
    IMAGE_KDUMP,
    IMAGE_VMMU,
    IMAGE_LIVE,
};

struct image_options {
    enum image_format format;
    uint64_t raw_base; /* physical address of the first byte of a raw image */
};

/* Memory that is there. Ranges ascend and do not overlap. */
struct image_range {
    uint64_t base; /* physical */
    uint64_t size_bytes;
    const uint8_t *mapped; /* NULL if it has to be read by image->ram or image_read */
};

/* The one of @count @ranges that @address is in; NULL if none. */
const struct image_range *image_ranges_find(const struct image_range *ranges, unsigned count,
                                            uint64_t address);

/* What is known about one processor. */
struct image_processor {
    bool has_cpu;       /* @cpu: what it offers */
    bool has_paging;    /* @paging: CR0, CR3, CR4, EFER and the rest */
    bool has_registers; /* @state */
    struct vmmu_x86_cpu cpu;
    struct vmmu_x86_paging_registers paging;
    uint64_t pat; /* 0 if it is not known */
    struct vmmu_x86_state state;
};

struct image {
    const char *path;
    enum image_format format;
    struct vmmu_ram
        ram; /* physical memory, of the host if there is a hypervisor of ours in it; exchange says VMMU_ABSENT */
    const struct image_range *ranges;
    unsigned range_count;
    const struct image_processor *processors; /* of the machine; of VPs see tools/image/partition.h */
    unsigned processor_count;
    struct json_object *state;         /* vmmu and live: docs/dump.md; NULL otherwise */
    const struct image_source *source; /* the rest is this room's own */
    void *private_data;
};

/* Open @path. NULL and *complaint if it cannot be. */
struct image *image_open(const char *path, const struct image_options *options, struct complaint *complaint);

/* Copy [address, address + size_bytes). False, and *to undefined, if any of it is not there. */
bool image_read(const struct image *image, uint64_t address, void *to, size_t size_bytes);

void image_close(struct image *image);

#endif
