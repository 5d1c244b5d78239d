/*
 * One partition of our hypervisor, in a dump of it or live: its memory as its guest sees it, its virtual processors, and what
 * the hypervisor built for it. From image->state, which docs/dump.md describes.
 */
#ifndef TOOLS_IMAGE_PARTITION_H
#define TOOLS_IMAGE_PARTITION_H

#include <vmmu/walk.h>

#include "tools/image/image.h"

/* Guest-physical memory and where the machine has it. Pieces ascend by gpa and do not overlap. */
struct partition_piece {
    uint64_t gpa;
    uint64_t hpa;
    uint64_t size_bytes;
    uint8_t rights; /* VMMU_X86_RIGHT_* */
};

enum partition_technique {
    PARTITION_NESTED,
    PARTITION_SHADOW,
};

/* What a virtual processor is run with. */
struct partition_vp {
    struct image_processor processor; /* the guest's own registers */
    uint16_t tag;                     /* VPID or ASID */
    bool has_shadow;
    uint64_t shadow_cr3; /* host-physical: what the real CR3 holds while it runs */
    enum vmmu_x86_format_name shadow_format;
};

/* One shadow page. */
struct partition_table {
    uint64_t hpa;
    uint64_t gpa; /* of the guest's table behind it; unless ours alone */
    uint8_t level;
    bool ours;   /* no table of the guest's stands behind it */
    bool closed; /* the guest's table is write-protected */
};

struct partition {
    const struct image *image;
    bool intel; /* VT-x; else SVM */
    enum partition_technique technique;
    struct vmmu_ram ram;        /* by guest-physical address */
    struct image_range *ranges; /* of @ram */
    struct partition_piece *pieces;
    unsigned piece_count; /* of both */
    struct partition_vp *vps;
    unsigned vp_count;
    bool has_second;
    struct vmmu_x86_stage2 second;  /* nested: its tables, in image->ram */
    struct partition_table *tables; /* shadow: its pages */
    unsigned table_count;
};

/* Partition @index of @image, which is borrowed. NULL and *complaint if there is none, or its description makes no sense. */
struct partition *partition_open(const struct image *image, unsigned index, struct complaint *complaint);
void partition_close(struct partition *partition);

/* The piece that a guest-physical address lies in; NULL if none has it. */
const struct partition_piece *partition_piece_at(const struct partition *partition, uint64_t gpa);

#endif
