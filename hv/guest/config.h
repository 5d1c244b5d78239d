/*
 * What the hypervisor's command line and its modules' words ask for.
 */
#ifndef HV_GUEST_CONFIG_H
#define HV_GUEST_CONFIG_H

#include <vmmu/base.h>

#include <vmmu/hyperv.h>

#include "hv/guest/firmware.h"

enum config_protocol { CONFIG_PROTOCOL_ANY, CONFIG_PROTOCOL_LINUX, CONFIG_PROTOCOL_MULTIBOOT };

/* One partition's configuration. Texts are borrowed from the words that were parsed, and not terminated. */
struct config {
    uint64_t memory_bytes;
    const char *technique;
    unsigned technique_length;
    unsigned vp_count; /* 1 to 8 */
    bool is_parent;    /* of all other partitions; the first only */
    bool enlightenments;
    struct vmmu_hyperv_policy policy;
    enum guest_firmware_tables firmware;
    uint32_t pool_pages; /* of shadow pages; 0: as the technique has it */
    uint32_t drop_exits; /* a test: about every so many exits all shadow pages are dropped; 0: never */
    uint32_t seed;       /* of the intervals */
    bool stop_port;      /* a guest that writes to PC_PORT_DEBUG_STOP is held */
    bool record_entries; /* a test: each entry into a guest is recorded, where the backend can */
};

/**
 * Read the hypervisor's command line: memory=SIZE (with K, M, G or T), mmu=NAME,
 * enlightenments=on|off, firmware=acpi|mp|both, pool=PAGES, drop=EXITS, seed=NUMBER,
 * record=entries, stop-port=on|off. The first word may be the hypervisor's own file name.
 * What is not said has its default.
 *
 * Returns
 *   VMMU_OK       done
 *   VMMU_INVALID  *error is a sentence, and *at the word that it is about
 */
VMMU_MUST_USE
enum vmmu_status config_parse(const char *words, struct config *config, const char **error, const char **at);

enum config_role { CONFIG_ROLE_KERNEL, CONFIG_ROLE_INITRD };

struct config_module {
    enum config_role role;
    enum config_protocol protocol;
    const char *command_line; /* what stands behind "--"; "" if nothing does */
};

/**
 * Read a module's words: [FILE] kernel [protocol=linux|multiboot] [-- COMMAND LINE], or [FILE] initrd
 * [-- WORDS]. Without a role the first module is the kernel and later ones are initrds: @first says which.
 *
 * Returns as config_parse() does.
 */
VMMU_MUST_USE
enum vmmu_status config_parse_module(const char *words, bool first, struct config_module *module,
                                     const char **error, const char **at);

#endif
