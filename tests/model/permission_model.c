#include "permission_model.h"

enum {
    FLAG_P = 1 << 0,
    FLAG_WR = 1 << 1,
    FLAG_US = 1 << 2,
    FLAG_RSVD = 1 << 3,
    FLAG_ID = 1 << 4,
    FLAG_PK = 1 << 5
};

struct page {
    bool user_mode_address; /* U/S is 1 in every entry */
    bool writable;          /* R/W is 1 in every entry */
    bool execute_disabled;  /* XD is 1 in some entry */
};

static struct page combine(const struct model_entry *entries, unsigned count)
{
    struct page page = { .user_mode_address = true, .writable = true, .execute_disabled = false };

    for (unsigned i = 0; i < count; i++) {
        if (!entries[i].user) {
            page.user_mode_address = false;
        }
        if (!entries[i].writable) {
            page.writable = false;
        }
        if (entries[i].execute_disable) {
            page.execute_disabled = true;
        }
    }
    return page;
}

/* "Determination of Access Rights", the part on supervisor-mode accesses. */
static bool supervisor_may(const struct model_registers *registers, struct page page,
                           struct model_access access)
{
    switch (access.kind) {
    case MODEL_READ:
        if (!page.user_mode_address) {
            return true;
        }
        if (!registers->smap) {
            return true;
        }
        return access.ac && !access.implicit;
    case MODEL_WRITE:
        if (!page.user_mode_address) {
            return registers->wp ? page.writable : true;
        }
        if (!registers->smap) {
            return registers->wp ? page.writable : true;
        }
        if (!access.ac || access.implicit) {
            return false;
        }
        return registers->wp ? page.writable : true;
    case MODEL_FETCH:
        if (!page.user_mode_address) {
            return !page.execute_disabled;
        }
        return !registers->smep && !page.execute_disabled;
    }
    return false;
}

/* The same, on user-mode accesses. */
static bool user_may(struct page page, struct model_access access)
{
    if (!page.user_mode_address) {
        return false;
    }
    switch (access.kind) {
    case MODEL_READ: return true;
    case MODEL_WRITE: return page.writable;
    case MODEL_FETCH: return !page.execute_disabled;
    }
    return false;
}

/* "Protection Keys": whether the key's rights alone disallow the access. */
static bool key_disallows(const struct model_registers *registers, struct page page,
                          struct model_access access, bool user_access)
{
    const struct model_key key = page.user_mode_address ? registers->pkru : registers->pkrs;

    if (access.kind == MODEL_FETCH || !key.enabled) {
        return false;
    }
    if (key.access_disable) {
        return true;
    }
    if (access.kind != MODEL_WRITE || !key.write_disable) {
        return false;
    }
    if (page.user_mode_address && user_access) {
        return true;
    }
    return registers->wp;
}

int model_access_outcome(const struct model_registers *registers, const struct model_entry *entries,
                         unsigned count, struct model_access access)
{
    const bool user_access = access.user && !access.implicit;
    int code = 0;

    if (access.kind == MODEL_WRITE) {
        code += FLAG_WR;
    }
    if (user_access) {
        code += FLAG_US;
    }
    if (access.kind == MODEL_FETCH && (registers->smep || (registers->pae && registers->nxe))) {
        code += FLAG_ID;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!entries[i].present) {
            return code;
        }
        if (entries[i].execute_disable && !registers->nxe) {
            return code + FLAG_P + FLAG_RSVD;
        }
    }
    const struct page page = combine(entries, count);
    const bool allowed = user_access ? user_may(page, access) : supervisor_may(registers, page, access);
    const bool key_fault = key_disallows(registers, page, access, user_access);

    if (allowed && !key_fault) {
        return MODEL_ALLOWED;
    }
    return code + FLAG_P + (key_fault ? FLAG_PK : 0);
}
