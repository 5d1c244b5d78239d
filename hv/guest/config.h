/*
 * What the hypervisor's command line and its modules' words ask for.
 */
#ifndef HV_GUEST_CONFIG_H
#define HV_GUEST_CONFIG_H

#include <vmmu/base.h>

#include <vmmu/hyperv_policy.h>

#include "hv/guest/firmware.h"
#include "hv/guest/images.h"
#include "hv/guest/words.h"

#define CONFIG_PARTITIONS 8 /* at most */
#define CONFIG_VPS        8 /* of one partition, at most */

/* One partition's configuration. Texts are borrowed from the words that were parsed, and not terminated. */
struct config {
    uint64_t memory_bytes;
    const char *technique;
    unsigned technique_length; /* 0: none is said */
    unsigned vp_count;         /* 1 to CONFIG_VPS */
    bool is_parent;            /* of all other partitions; the first only */
    bool has_channel; /* the machine's third and fourth serial ports are its own; at most one partition's */
    uint32_t drop_exits; /* a test: about every so many exits all that was made for it is dropped; 0: never */
    uint32_t seed;       /* of the intervals */

    /* Of x86 (config_x86.h). */
    bool enlightenments;
    struct vmmu_hyperv_policy policy;
    enum guest_firmware_tables firmware;
    uint32_t pool_pages; /* of shadow pages; 0: as the technique has it */
    bool stop_port;      /* a guest that writes to PC_PORT_DEBUG_STOP is held */
    bool record_entries; /* a test: each entry into a guest is recorded, where the backend can */
};

/* What the hypervisor's whole line asks for. */
struct config_line {
    unsigned count; /* 1 to CONFIG_PARTITIONS */
    struct config partition[CONFIG_PARTITIONS];
};

#define CONFIG_UNKNOWN_WORD "the hypervisor does not know this word"

/* What one architecture makes of the words. Each may be NULL. */
struct config_arch {
    /* The values of words of its own, before any is read. */
    void (*start)(struct config *config);

    /* A word that not every architecture knows. NULL, or what is wrong with it: CONFIG_UNKNOWN_WORD, or more than that. */
    const char *(*word)(struct word word, struct config *config);

    /*
     * A word again, once every partition's technique and parent are known; @at is its partition. Before the first of a line it is
     * called with an empty word for each partition. NULL, or what is wrong with it.
     */
    const char *(*settle)(struct word word, struct config_line *line, unsigned at);
};

/**
 * Read the hypervisor's command line: the words of one partition, and those of further ones, each behind the word `partition`.
 *
 *   memory=SIZE (with K, M, G or T)   mmu=NAME   cpus=NUMBER   parent=on|off   channel=on|off   drop=EXITS   seed=NUMBER
 *
 * and those that @arch has.
 *
 * The first word may be the hypervisor's own file name. What is not said has its default, and no partition inherits from
 * another. The channel is the first partition's, unless another asks for it.
 *
 * Returns
 *   VMMU_OK       done
 *   VMMU_INVALID  *error is a sentence, and *at the word that it is about
 */
VMMU_MUST_USE
enum vmmu_status config_parse(const char *words, const struct config_arch *arch, struct config_line *line,
                              const char **error, const char **at);

enum config_role {
    CONFIG_ROLE_KERNEL,
    CONFIG_ROLE_INITRD,
    CONFIG_ROLE_PAYLOAD, /* what the kernel, itself a boot loader, is to start */
};

struct config_module {
    enum config_role role;
    enum config_protocol protocol;
    unsigned partition;       /* below CONFIG_PARTITIONS; perhaps of none that there is */
    const char *command_line; /* what stands behind "--"; "" if nothing does */
};

/**
 * Read a module's words: [FILE] kernel [partition=NUMBER] [protocol=linux|multiboot|epapr] [-- COMMAND LINE], or
 * [FILE] initrd|payload [partition=NUMBER] [-- WORDS]. Without a role the first module is the kernel and later ones are
 * initrds: @first says which. Without a number it is partition 0's.
 *
 * Returns as config_parse() does.
 */
VMMU_MUST_USE
enum vmmu_status config_parse_module(const char *words, bool first, struct config_module *module,
                                     const char **error, const char **at);

#endif
