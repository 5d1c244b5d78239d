/*
 * What the manuals say of access rights, written as they say it: sentence by sentence, over entries as flags
 * and not as bits. Shares no code and no table with the library; it is what the exhaustive enumeration
 * compares walks with.
 *
 * Spec: SDM 3A "Determination of Access Rights", "Protection Keys", "Page-Fault Exceptions".
 */
#ifndef TESTS_MODEL_PERMISSION_MODEL_H
#define TESTS_MODEL_PERMISSION_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum model_kind { MODEL_READ, MODEL_WRITE, MODEL_FETCH };

/* Flags of one paging-structure entry. */
struct model_entry {
    bool present;
    bool writable;
    bool user;
    bool execute_disable;
};

/* The rights registers' word on the key of the leaf. */
struct model_key {
    bool enabled; /* CR4.PKE or CR4.PKS, and long mode */
    bool access_disable;
    bool write_disable;
};

struct model_registers {
    bool wp;
    bool smep;
    bool smap;
    bool nxe;
    bool pae; /* CR4.PAE: also in long mode */
    struct model_key pkru;
    struct model_key pkrs;
};

struct model_access {
    enum model_kind kind;
    bool user;
    bool implicit;
    bool ac;
};

/* No fault: the access is allowed. */
#define MODEL_ALLOWED (-1)

/*
 * The page-fault error code that @access raises, or MODEL_ALLOWED. @entries are those that the walk uses,
 * from the root down, without PDPTEs of PAE paging, which have no rights.
 */
int model_access_outcome(const struct model_registers *registers, const struct model_entry *entries,
                         unsigned count, struct model_access access);

#endif
