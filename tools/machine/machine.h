/*
 * The machine that a command is asked about: an image, one processor of it, and how that translates, as the file says and as
 * the command line overrides.
 */
#ifndef TOOLS_MACHINE_MACHINE_H
#define TOOLS_MACHINE_MACHINE_H

#include <argp.h>
#include <vmmu/walk.h>

#include "tools/image/image.h"
#include "tools/image/partition.h"
#include "tools/ui/options.h"

struct machine_options {
    struct image_options image;
    unsigned processor; /* --cpu */
    unsigned partition; /* --partition */
    bool host;          /* --host: of a dump of ours look at the machine, not at a guest */
    bool has_cr0, has_cr3, has_cr4, has_efer, has_maxphyaddr, has_mode, has_pat;
    uint64_t cr0, cr3, cr4, efer, pat;
    unsigned maxphyaddr;
    enum vmmu_x86_paging mode;
    bool has_ept, has_ncr3;
    uint64_t ept;  /* EPTP */
    uint64_t ncr3; /* nCR3: 4-level tables; see --nested-levels */
    unsigned nested_levels;
};

/* Child parser; its input is a struct machine_options, zeroed. */
extern const struct argp machine_argp;

/* Whether @options say which paging there is, whatever the image tells: by --mode, or by all registers that decide it. */
bool machine_mode_is_said(const struct machine_options *options);

struct machine {
    struct image *image;
    struct partition *partition;             /* NULL unless a guest of ours is meant */
    const struct image_processor *processor; /* NULL if the image has none */
    const struct partition_vp *vp;           /* NULL unless of a guest of ours */
    struct vmmu_x86_cpu cpu;
    struct vmmu_x86_paging_registers registers;
    struct vmmu_x86_mode mode;
    uint64_t pat;
    bool pat_known;                   /* else @pat is what processors have after a reset */
    const struct vmmu_ram *ram;       /* by the addresses that the tables of @mode hold */
    const struct image_range *ranges; /* of @ram */
    unsigned range_count;
    bool has_second;
    struct vmmu_x86_stage2 second; /* --ept, --ncr3, or what our hypervisor runs the guest with */
};

/* Open @path as @options say. False and *complaint if it cannot be. */
bool machine_open(const char *path, const struct machine_options *options, struct machine *machine,
                  struct complaint *complaint);

/* How @machine would translate with another CR3. False and *complaint if no processor accepts it. */
bool machine_mode_of(const struct machine *machine, uint64_t cr3, struct vmmu_x86_mode *mode,
                     struct complaint *complaint);

/*
 * Bytes at a linear address, with --ept or --ncr3 through the second stage, and whatever rights say. False if any page of them is not
 * mapped.
 */
bool machine_read(const struct machine *machine, uint64_t va, void *to, size_t size_bytes);

/*
 * Bytes at an address of the machine's memory; of a guest of ours at a guest-physical one, within one piece. False if they are
 * not there.
 */
bool machine_read_physical(const struct machine *machine, uint64_t address, void *to, size_t size_bytes);

void machine_close(struct machine *machine);

/*
 * What a MOV to CR3 would load now of the four PDPTEs at @root. QEMU's emulator marks these entries accessed in memory, which
 * have no such bit, and does not mind it later; nor does this. False, and pdpte[] undefined, if they are not there.
 */
bool machine_load_pdptes(const struct vmmu_ram *ram, uint64_t root, uint64_t pdpte[4]);

/*
 * How a processor of @physical_bits translates while it runs @vp of @partition on the shadow tables of our hypervisor's, and the
 * guest translates by @guest.
 *
 * Returns
 *   VMMU_OK           *out; of a PAE root with the PDPTEs in registers
 *   VMMU_ABSENT       *out, which reads PDPTEs in memory: the image does not have them
 *   VMMU_GUEST_FAULT  *out, but no processor loads its PDPTEs: a present one has a reserved bit set
 *   VMMU_INVALID      no processor accepts the root. *out is undefined
 */
VMMU_MUST_USE
enum vmmu_status machine_shadow_mode(const struct partition *partition, const struct partition_vp *vp,
                                     const struct vmmu_x86_mode *guest, unsigned physical_bits,
                                     struct vmmu_x86_mode *out);

#endif
