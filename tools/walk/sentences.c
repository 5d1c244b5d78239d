/*
 * What a walk says in words: what entries take from whom, and why an access was stopped.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tools/walk/cause.h"
#include "tools/walk/names.h"
#include "tools/walk/words.h"

/* At the leaf all entries have spoken: what CR4 makes of a user page, and the keys' register of its key. */
static void list_page(const struct walk_model *model, struct words *list)
{
    const struct vmmu_x86_mode *mode = &model->mode;
    const bool user_page = (model->guest.rights & VMMU_X86_RIGHT_USER) != 0;
    const uint32_t refusals = vmmu_format_key_refusals(user_page ? mode->pkru : mode->pkrs, model->guest.key);

    if (user_page && mode->smep) {
        words_add(list, ", ", "supervisor execute (SMEP)");
    }
    if (user_page && mode->smap) {
        words_add(list, ", ", "supervisor data (SMAP)");
    }
    if (!(user_page ? mode->user_keys : mode->system_keys)) {
        return;
    }
    if ((refusals & VMMU_X86_KEY_NO_ACCESS) != 0) {
        words_add(list, ", ", "data (key %u)", model->guest.key);
    } else if ((refusals & VMMU_X86_KEY_NO_WRITE) != 0) {
        words_add(list, ", ", "%swrite (key %u)", mode->write_protect ? "" : "user ", model->guest.key);
    }
}

const char *walk_refusal_text(const struct walk_model *model, const struct walk_entry *entry,
                              char to[WALK_SENTENCE_BYTES])
{
    const bool second = entry->step.stage == VMMU_X86_STAGE_SECOND;
    struct words list = words_in(to, WALK_SENTENCE_BYTES);

    if (!entry->present) {
        words_add(&list, ", ", "everything");
        return to;
    }
    if ((entry->refuses & VMMU_X86_RIGHT_READ) != 0) {
        words_add(&list, ", ", "read");
    }
    if ((entry->refuses & VMMU_X86_RIGHT_USER) != 0) {
        words_add(&list, ", ", "%s", second ? "everything (U/S)" : "user");
    }
    if ((entry->refuses & VMMU_X86_RIGHT_WRITE) != 0) {
        words_add(&list, ", ", "%s", second || model->mode.write_protect ? "write" : "user write");
    }
    if ((entry->refuses & VMMU_X86_RIGHT_EXECUTE) != 0) {
        words_add(&list, ", ", "execute");
    }
    if (!second && entry->leaf && model->translates) {
        list_page(model, &list);
    }
    return to;
}

/* "bit 63", "bits 51:40", "bits 63 51": of @mask. */
static void bits_words(uint64_t mask, char *to, size_t size_bytes)
{
    size_t length = (size_t)snprintf(to, size_bytes, (mask & (mask - 1)) != 0 ? "bits" : "bit");

    for (int high = 63; high >= 0 && length < size_bytes; high--) {
        int low = high;

        if ((mask & BIT64(high)) == 0) {
            continue;
        }
        while (low > 0 && (mask & BIT64(low - 1)) != 0) {
            low--;
        }
        const int written = low == high ? snprintf(to + length, size_bytes - length, " %d", high)
                                        : snprintf(to + length, size_bytes - length, " %d:%d", high, low);

        length += written > 0 ? (size_t)written : 0;
        high = low;
    }
}

const char *walk_entry_name(const struct walk_entry *entry, char to[WALK_SENTENCE_BYTES])
{
    const bool npt = entry->step.stage == VMMU_X86_STAGE_SECOND && entry->format < VMMU_X86_FORMAT_EPT4;

    snprintf(to, WALK_SENTENCE_BYTES, "%s%s", npt ? "NPT " : "",
             entry_name(entry->format, entry->step.level));
    return to;
}

/* "PTE at 0x1234", "EPT PDE at 0x5000". */
static void entry_words(const struct walk_entry *entry, char *to, size_t size_bytes)
{
    char name[WALK_SENTENCE_BYTES];

    snprintf(to, size_bytes, "%.32s at 0x%" PRIx64, walk_entry_name(entry, name), entry->step.address);
}

/* Reasons that an entry alone is enough for. */
static const char *const plain_reasons[] = {
    [WALK_USER] = "U/S is 0: user-mode accesses are not allowed",
    [WALK_WRITE] = "R/W is 0: writes are not allowed",
    [WALK_READ] = "R is 0: reads are not allowed",
    [WALK_EXECUTE] = "XD is 1: instruction fetches are not allowed",
    [WALK_SMEP] = "U/S is 1 in every entry, and CR4.SMEP keeps the supervisor from user code",
    [WALK_SMAP] = "U/S is 1 in every entry, and CR4.SMAP keeps the supervisor from user data",
};

static const char *const plain_reasons_ept[] = {
    [WALK_WRITE] = "W is 0: writes are not allowed",
    [WALK_READ] = "R is 0: reads are not allowed",
    [WALK_EXECUTE] = "X is 0: instruction fetches are not allowed",
};

static const char *plain_words(const struct walk_entry *entry, enum walk_reason reason)
{
    const bool ept = entry->format >= VMMU_X86_FORMAT_EPT4;

    return ept && reason < sizeof(plain_reasons_ept) / sizeof(plain_reasons_ept[0]) &&
                   plain_reasons_ept[reason]
               ? plain_reasons_ept[reason]
               : plain_reasons[reason];
}

static void key_text(const struct walk_model *model, char *to)
{
    const bool user_page = (model->guest.rights & VMMU_X86_RIGHT_USER) != 0;
    const char *name = user_page ? "PKRU" : "PKRS";
    const unsigned key = model->guest.key;
    const uint32_t refusals = vmmu_format_key_refusals(user_page ? model->mode.pkru : model->mode.pkrs, key);
    const bool all = (refusals & VMMU_X86_KEY_NO_ACCESS) != 0;

    snprintf(to, WALK_SENTENCE_BYTES, "the page's protection key is %u, and %s.%s%u is 1: %s", key, name,
             all ? "AD" : "WD", key, all ? "no data access is allowed" : "writes are not allowed");
}

static void configuration_text(const struct walk_entry *entry, const char *where, uint64_t bits, char *to)
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[entry->format];
    const unsigned type = vmmu_format_memory_type(format, entry->step.value);

    if (bits == format->memory_type) {
        snprintf(to, WALK_SENTENCE_BYTES, "%s: memory type %u is reserved", where, type);
    } else if ((entry->step.value & format->write) != 0) {
        snprintf(to, WALK_SENTENCE_BYTES, "%s: W is 1 and R is 0, which cannot be together", where);
    } else {
        snprintf(to, WALK_SENTENCE_BYTES, "%s: X without R, which this processor does not offer", where);
    }
}

/* Causes that are in no entry. */
static void elsewhere_text(const struct walk_model *model, const struct walk_cause *cause, char *to)
{
    char bits[64];

    if (cause->reason == WALK_NOT_CANONICAL) {
        bits_words(cause->bits, bits, sizeof(bits));
        snprintf(to, WALK_SENTENCE_BYTES, "%s of the address are not all the same: it is not canonical",
                 bits);
    } else if (cause->reason == WALK_TOO_WIDE) {
        snprintf(to, WALK_SENTENCE_BYTES,
                 "guest-physical address 0x%" PRIx64 " has more bits than the second stage translates",
                 cause->address);
    } else if (cause->entry < 0) {
        snprintf(to, WALK_SENTENCE_BYTES, "the root table is not in the image: nothing at 0x%" PRIx64,
                 cause->address);
    } else {
        char where[64];

        entry_words(&model->entries[cause->entry], where, sizeof(where));
        snprintf(to, WALK_SENTENCE_BYTES, "%s points out of the image: nothing at 0x%" PRIx64, where,
                 cause->address);
    }
}

const char *walk_cause_text(const struct walk_model *model, const struct walk_cause *cause,
                            char to[WALK_SENTENCE_BYTES])
{
    char where[64];
    char bits[64];

    if (cause->entry < 0 || cause->reason == WALK_ABSENT) {
        elsewhere_text(model, cause, to);
        return to;
    }
    const struct walk_entry *entry = &model->entries[cause->entry];

    entry_words(entry, where, sizeof(where));
    bits_words(cause->bits, bits, sizeof(bits));
    switch (cause->reason) {
    case WALK_NOT_PRESENT:
        snprintf(to, WALK_SENTENCE_BYTES, "%s: %s: not present", where,
                 entry->format >= VMMU_X86_FORMAT_EPT4 ? "R, W and X are 0" : "P is 0");
        break;
    case WALK_RESERVED:
        snprintf(to, WALK_SENTENCE_BYTES, "%s: %s must be 0 (%s)", where, bits,
                 walk_reserved_words(model, entry));
        break;
    case WALK_MISCONFIGURED: configuration_text(entry, where, cause->bits, to); break;
    case WALK_KEY: key_text(model, to); break;
    case WALK_USER:
    case WALK_WRITE:
    case WALK_READ:
    case WALK_EXECUTE:
    case WALK_SMEP:
    case WALK_SMAP:
        snprintf(to, WALK_SENTENCE_BYTES, "%s: %s", where, plain_words(entry, cause->reason));
        break;
    case WALK_NOT_CANONICAL:
    case WALK_ABSENT:
    case WALK_TOO_WIDE: break;
    }
    return to;
}
