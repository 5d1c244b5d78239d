/*
 * Linux' KPTI: each process has two roots in one aligned pair of pages. With the first the kernel runs, with the second user
 * mode, which has all of the lower half, and of the upper only what is needed to enter the kernel.
 */
#include <inttypes.h>

#include "tools/check/lint.h"
#include "tools/maps/diff.h"
#include "tools/walk/names.h"

/* Both roots, entry by entry. */
struct pair {
    uint64_t kernel;
    uint64_t user;
    const struct vmmu_x86_format *format;
    const struct vmmu_x86_level *level;
    unsigned half; /* the first entry of the upper half */
};

static struct pair pair_of(const struct lint *lint)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&lint->space.mode.layout);
    const struct vmmu_x86_level *level = &format->level[format->levels];

    return (struct pair){
        .kernel = lint->space.mode.root.v & ~VMMU_PAGE_BYTES,
        .user = lint->space.mode.root.v | VMMU_PAGE_BYTES,
        .format = format,
        .level = level,
        .half = vmmu_format_entries(level) / 2,
    };
}

/* An entry of a root; zero where no memory is. Marks do not count. */
static uint64_t entry_of(const struct lint *lint, const struct pair *pair, uint64_t root, unsigned index)
{
    const struct vmmu_ram *ram = lint->space.ram;
    uint64_t entry = 0;

    if (ram->load(ram->context, root + (uint64_t)index * pair->format->entry_bytes, pair->format->entry_bytes,
                  &entry)) {
        return 0;
    }
    return vmmu_format_is_present(pair->format, entry) ? entry & ~(pair->level->accessed | pair->level->dirty)
                                                       : 0;
}

/*
 * The kernel's root has a full upper half; the user's has a few entries of it, some of which are the kernel's own; and below
 * they lead to the same tables. Two roots of unrelated processes, side by side, both have a full upper half.
 */
bool lint_has_pair(const struct lint *lint)
{
    const struct pair pair = pair_of(lint);
    unsigned kernel = 0;
    unsigned user = 0;
    unsigned same = 0;
    unsigned same_below = 0;
    unsigned below = 0;

    if (lint->space.second || lint->space.mode.paging < VMMU_X86_PAGING_4LEVEL) {
        return false;
    }
    for (unsigned index = 0; index < 2 * pair.half; index++) {
        const uint64_t one = entry_of(lint, &pair, pair.kernel, index);
        const uint64_t other = entry_of(lint, &pair, pair.user, index);

        if (index < pair.half) {
            below += other != 0;
            same_below +=
                other != 0 && vmmu_format_table(pair.level, one) == vmmu_format_table(pair.level, other);
        } else {
            kernel += one != 0;
            user += other != 0;
            same += one != 0 && one == other;
        }
    }
    return same != 0 && 2 * user < kernel && 2 * same_below >= below;
}

static void compare_lower(struct lint *lint, const struct pair *pair)
{
    const uint64_t nx = pair->format->inverted;

    for (unsigned index = 0; index < pair->half; index++) {
        const uint64_t kernel = entry_of(lint, pair, pair->kernel, index);
        const uint64_t user = entry_of(lint, pair, pair->user, index);

        /* What is not user mode's at all (an identity mapping of the kernel's own) is in one root only. */
        if (((kernel ^ user) & ~nx) == 0 || (user == 0 && !(kernel & pair->format->user))) {
            continue;
        }
        check_found(lint->report, CHECK_PAIR_LOWER,
                    (struct check_place){ (uint64_t)index << pair->level->shift,
                                          vmmu_format_level_bytes(pair->level) },
                    "entry %u is 0x%" PRIx64 " in the kernel's root, 0x%" PRIx64 " in the user's", index,
                    kernel, user);
    }
}

static void tell_piece(struct lint *lint, const struct diff_piece *piece)
{
    char first[ENTRY_TEXT_BYTES];
    char second[ENTRY_TEXT_BYTES];

    if (piece->kind == DIFF_ONLY_SECOND) {
        check_found(lint->report, CHECK_PAIR_UPPER, (struct check_place){ piece->start, piece->bytes },
                    "the kernel's root does not map it");
    } else if (piece->kind == DIFF_RIGHTS) {
        check_found(lint->report, CHECK_PAIR_UPPER, (struct check_place){ piece->start, piece->bytes },
                    "%s in the kernel's root, %s in the user's", rights_text(piece->first_rights, first),
                    rights_text(piece->second_rights, second));
    } else if (piece->kind == DIFF_MEMORY || piece->kind == DIFF_TYPE) {
        check_found(lint->report, CHECK_PAIR_UPPER, (struct check_place){ piece->start, piece->bytes }, "%s",
                    diff_words[piece->kind]);
    }
}

bool lint_pair(struct lint *lint, struct complaint *complaint)
{
    const struct pair pair = pair_of(lint);
    struct space kernel = lint->space;
    struct space user = lint->space;
    struct diff diff;
    struct diff_piece piece;
    enum vmmu_x86_scan_found found;

    if (!space_with_root(lint->machine, pair.kernel, &kernel, complaint) ||
        !space_with_root(lint->machine, pair.user, &user, complaint)) {
        return false;
    }
    lint->report->looked.pair = true;
    compare_lower(lint, &pair);
    kernel.first = user.first = lint->upper_half;
    diff_begin(&diff, &kernel, &user);
    while ((found = diff_next(&diff, &piece)) == VMMU_X86_SCAN_LEAF) {
        tell_piece(lint, &piece);
    }
    return found == VMMU_X86_SCAN_END || space_spent(&kernel, &diff.first.scan, complaint);
}
