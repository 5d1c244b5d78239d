/*
 * Sizes of TLBs are those that manufacturers publish: Intel 64 and IA-32 Architectures Optimization Reference Manual, "TLB
 * Parameters" of the microarchitectures Skylake Client and Haswell. Of the caches of upper levels, and of guest-physical
 * mappings, they publish the rules and not the sizes (SDM 3A "Paging-Structure Caches", SDM 3C "Information That May Be
 * Cached"): those here are assumptions of the order that measurements found.
 */
#include "tools/sim/geometry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MOST  65536

#define SHIFT_4K      12
#define SHIFT_2M      21
#define SHIFT_1G      30
#define SHIFT_512G    39
#define SHIFT_256T    48

#define SMALL         BIT64(SHIFT_4K)
#define LARGE         BIT64(SHIFT_2M)
#define HUGE          BIT64(SHIFT_1G)
#define EVERY         (SMALL | LARGE | HUGE)
#define UPPER_REGIONS (LARGE | HUGE | BIT64(SHIFT_512G) | BIT64(SHIFT_256T))

#define PAGES(entries, w, shifts)                                                                            \
    {                                                                                                        \
        .sets = (entries) / (w), .ways = (w), .kinds = VMMU_TLB_KINDS, .translations = true,                 \
        .page_shifts = (shifts)                                                                              \
    }
#define TABLES(entries, w, of, shifts)                                                                       \
    {                                                                                                        \
        .sets = (entries) / (w), .ways = (w), .kinds = (of), .structures = true, .page_shifts = (shifts)     \
    }
#define FROM_LINEAR (VMMU_TLB_LINEAR | VMMU_TLB_COMBINED)

/* Entries of level 2, 3, and 4 or 5, that point to tables. */
#define INTEL_UPPER                                                                                          \
    {                                                                                                        \
        .arrays = 3, .array = {                                                                              \
            TABLES(32, 4, FROM_LINEAR, LARGE),                                                               \
            TABLES(4, 4, FROM_LINEAR, HUGE),                                                                 \
            TABLES(2, 2, FROM_LINEAR, BIT64(SHIFT_512G) | BIT64(SHIFT_256T)),                                \
        }                                                                                                    \
    }

#define INTEL_NESTED                                                                                         \
    {                                                                                                        \
        .arrays = 2, .array = {                                                                              \
            PAGES(16, 16, EVERY),                                                                            \
            TABLES(16, 16, VMMU_TLB_GUEST_PHYSICAL, UPPER_REGIONS),                                          \
        }                                                                                                    \
    }

static const struct sim_geometry named[] = {
    {
        .name = "skylake",
        .words = "Intel Skylake: code 128 of 4K, 8 large; data 64 of 4K, 32 large, 4 of 1G; "
                 "second 1536 of 4K and 2M, 16 of 1G",
        .code = { .arrays = 2, .array = { PAGES(128, 8, SMALL), PAGES(8, 8, LARGE | HUGE) } },
        .data = { .arrays = 3, .array = { PAGES(64, 4, SMALL), PAGES(32, 4, LARGE), PAGES(4, 4, HUGE) } },
        .second = { .arrays = 2, .array = { PAGES(1536, 12, SMALL | LARGE), PAGES(16, 4, HUGE) } },
        .upper = INTEL_UPPER,
        .nested = INTEL_NESTED,
    },
    {
        .name = "haswell",
        .words = "Intel Haswell: code 128 of 4K, 8 large; data 64 of 4K, 32 large, 4 of 1G; "
                 "second 1024 of 4K and 2M",
        .code = { .arrays = 2, .array = { PAGES(128, 4, SMALL), PAGES(8, 8, LARGE | HUGE) } },
        .data = { .arrays = 3, .array = { PAGES(64, 4, SMALL), PAGES(32, 4, LARGE), PAGES(4, 4, HUGE) } },
        .second = { .arrays = 1, .array = { PAGES(1024, 8, SMALL | LARGE) } },
        .upper = INTEL_UPPER,
        .nested = INTEL_NESTED,
    },
    {
        .name = "tiny",
        .words = "16 entries of any size for code and data, nothing behind; 4 upper levels, 4 guest-physical",
        .code = { .arrays = 1, .array = { PAGES(16, 4, EVERY) } },
        .upper = { .arrays = 1, .array = { TABLES(4, 4, FROM_LINEAR, UPPER_REGIONS) } },
        .nested = { .arrays = 2,
                    .array = { PAGES(4, 4, EVERY), TABLES(4, 4, VMMU_TLB_GUEST_PHYSICAL, UPPER_REGIONS) } },
    },
};

#define NAMED (sizeof(named) / sizeof(named[0]))

const struct sim_geometry *sim_geometry_named(unsigned index)
{
    return index < NAMED ? &named[index] : NULL;
}

enum part { PART_CODE, PART_DATA, PART_SECOND, PART_UPPER, PART_NESTED, PARTS };

static const char *const part_names[PARTS] = { "code", "data", "second", "upper", "nested" };

static const struct vmmu_tlb_config templates[PARTS] = {
    [PART_CODE] = { .arrays = 1, .array = { PAGES(1, 1, EVERY) } },
    [PART_DATA] = { .arrays = 1, .array = { PAGES(1, 1, EVERY) } },
    [PART_SECOND] = { .arrays = 1, .array = { PAGES(1, 1, EVERY) } },
    [PART_UPPER] = { .arrays = 1, .array = { TABLES(1, 1, FROM_LINEAR, UPPER_REGIONS) } },
    [PART_NESTED] = { .arrays = 2,
                      .array = { PAGES(1, 1, EVERY), TABLES(1, 1, VMMU_TLB_GUEST_PHYSICAL, UPPER_REGIONS) } },
};

static struct vmmu_tlb_config *config_of(struct sim_geometry *geometry, enum part part)
{
    struct vmmu_tlb_config *const configs[PARTS] = { &geometry->code, &geometry->data, &geometry->second,
                                                     &geometry->upper, &geometry->nested };

    return configs[part];
}

/* Of `nested` so many are translations, and as many upper levels, like those that have names. */
static void describe(struct vmmu_tlb_config *config, enum part part, uint32_t sets, uint16_t ways)
{
    *config = templates[part];
    for (unsigned i = 0; i < config->arrays; i++) {
        config->array[i].sets = sets;
        config->array[i].ways = ways;
    }
}

/* One `name=entries/ways` at *at, which goes past it. */
static bool parse_part(const char **at, struct sim_geometry *geometry, struct complaint *complaint)
{
    for (unsigned part = 0; part < PARTS; part++) {
        const size_t length = strlen(part_names[part]);
        unsigned entries, ways;
        int used = 0;

        if (strncmp(*at, part_names[part], length) != 0 || (*at)[length] != '=') {
            continue;
        }
        if (sscanf(*at + length, "=%5u/%5u%n", &entries, &ways, &used) != 2 || used == 0) {
            return complain(complaint, "%s wants ENTRIES/WAYS", part_names[part]);
        }
        if (entries == 0 || entries > ENTRIES_MOST || ways == 0 || entries % ways != 0 ||
            !vmmu_is_aligned(entries / ways, entries / ways)) {
            return complain(complaint,
                            "%s=%u/%u: entries are 1 to %u, and a power of two of sets of so many ways",
                            part_names[part], entries, ways, ENTRIES_MOST);
        }
        describe(config_of(geometry, (enum part)part), (enum part)part, entries / ways, (uint16_t)ways);
        *at += length + (size_t)used;
        return true;
    }
    return complain(complaint,
                    "'%s': no TLB of that name; named are skylake, haswell, tiny; or describe one: "
                    "code=128/8,data=64/4,second=1536/12,upper=32/4,nested=16/16",
                    *at);
}

bool sim_geometry_find(const char *text, struct sim_geometry *geometry, struct complaint *complaint)
{
    const char *at = text;

    for (unsigned i = 0; i < NAMED; i++) {
        if (strcmp(text, named[i].name) == 0) {
            *geometry = named[i];
            return true;
        }
    }
    *geometry = (struct sim_geometry){ .name = text, .words = "as described" };
    for (;;) {
        if (!parse_part(&at, geometry, complaint)) {
            return false;
        }
        if (*at == '\0') {
            break;
        }
        if (*at++ != ',') {
            return complain(complaint, "'%s': parts of a TLB are divided by commas", text);
        }
    }
    return geometry->code.arrays != 0 || complain(complaint, "'%s': a TLB needs code=ENTRIES/WAYS", text);
}
