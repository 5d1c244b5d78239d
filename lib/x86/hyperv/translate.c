/*
 * HvTranslateVirtualAddress: the guest's own walk, made for its parent.
 *
 * Invariant: no entry is loaded, and none is marked, that the virtual processor itself could not load or mark.
 */
#include <vmmu/walk.h>

#include "lib/x86/hyperv/call.h"
#include "lib/x86/hyperv/hyperv.h"

/* Walks begun again because the guest changed an entry that was being marked; then its parent makes the call again. */
#define RACES 8

/* The output. */
enum {
    OUTPUT_CODE = 0,
    OUTPUT_CACHE = 4,
    OUTPUT_OVERLAY = 5,
    OUTPUT_PAGE = 8,
    OUTPUT_BYTES = 16,
};

/* A walk: by which rules, what it found, and what that is called. */
struct walk {
    const struct vmmu_hyperv_view *view;
    struct vmmu_x86_mode mode;
    enum vmmu_hyperv_translate_code code; /* of memory that it could not use, while it goes */
    struct vmmu_x86_walk_result found;    /* if the code is success */
};

static enum vmmu_hyperv_translate_code judge_page(const struct vmmu_hyperv_page *page, bool write)
{
    if (!page->mapped) {
        return VMMU_HYPERV_TRANSLATE_GPA_UNMAPPED;
    }
    if (!page->readable) {
        return VMMU_HYPERV_TRANSLATE_GPA_NO_READ;
    }
    return write && !page->writable ? VMMU_HYPERV_TRANSLATE_GPA_NO_WRITE : VMMU_HYPERV_TRANSLATE_SUCCESS;
}

/* A table must be memory of the guest's own. */
static bool may_use(struct walk *walk, uint64_t address, bool write)
{
    const struct vmmu_hyperv_view *view = walk->view;
    const struct vmmu_hyperv_page page = view->page(view->context, (vmmu_gpa){ address });

    walk->code = page.overlay ? VMMU_HYPERV_TRANSLATE_OVERLAY : judge_page(&page, write);
    return walk->code == VMMU_HYPERV_TRANSLATE_SUCCESS;
}

static enum vmmu_status missing(struct walk *walk, enum vmmu_status status)
{
    if (status == VMMU_ABSENT) {
        walk->code = VMMU_HYPERV_TRANSLATE_GPA_UNMAPPED;
    }
    return status;
}

static enum vmmu_status watched_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct walk *walk = context;
    const struct vmmu_ram *ram = walk->view->ram;

    if (!may_use(walk, address, false)) {
        return VMMU_ABSENT;
    }
    return missing(walk, ram->load(ram->context, address, width_bytes, value));
}

static enum vmmu_status watched_exchange(void *context, uint64_t address, unsigned width_bytes,
                                         uint64_t expected, uint64_t desired)
{
    struct walk *walk = context;
    const struct vmmu_ram *ram = walk->view->ram;

    if (!may_use(walk, address, true)) {
        return VMMU_ABSENT;
    }
    return missing(walk, ram->exchange(ram->context, address, width_bytes, expected, desired));
}

/* What the guest's own fault is called here. */
static enum vmmu_hyperv_translate_code code_of(const struct vmmu_x86_fault *fault)
{
    if (fault->vector != VMMU_X86_VECTOR_PF || (fault->error_code & VMMU_X86_PF_PRESENT) == 0) {
        return VMMU_HYPERV_TRANSLATE_NOT_PRESENT; /* no page is where there are no addresses, either */
    }
    return (fault->error_code & VMMU_X86_PF_RESERVED) != 0 ? VMMU_HYPERV_TRANSLATE_INVALID_FLAGS
                                                           : VMMU_HYPERV_TRANSLATE_PRIVILEGE;
}

#define RFLAGS_AC BIT64(18)

static struct vmmu_x86_access access_of(const struct vmmu_hyperv_view *view, uint64_t control,
                                        enum vmmu_x86_access_kind kind)
{
    return (struct vmmu_x86_access){
        .kind = kind,
        .marks = (control & VMMU_HYPERV_TRANSLATE_SET_BITS) != 0 ? VMMU_X86_MARKS_AS_IT_GOES
                                                                 : VMMU_X86_MARKS_LEAVE,
        .user = view->cpl == 3 && (control & VMMU_HYPERV_TRANSLATE_EXEMPT) == 0,
        .eflags_ac = (view->rflags & RFLAGS_AC) != 0,
    };
}

/* Walk once for one kind of access. VMMU_OK: walk->code, and what was found if that is success; else VMMU_RACED. */
static enum vmmu_status walk_once(struct walk *walk, vmmu_gva gva, struct vmmu_x86_access access)
{
    const struct vmmu_ram ram = { walk, watched_load, watched_exchange };
    enum vmmu_status status = VMMU_RACED;

    for (unsigned i = 0; i < RACES && status == VMMU_RACED; i++) {
        status = vmmu_x86_walk(&walk->mode, &ram, gva, access, &walk->found);
    }
    switch (status) {
    case VMMU_OK: walk->code = VMMU_HYPERV_TRANSLATE_SUCCESS; return VMMU_OK;
    case VMMU_GUEST_FAULT: walk->code = code_of(&walk->found.fault); return VMMU_OK;
    case VMMU_ABSENT: return VMMU_OK;
    case VMMU_RACED:
    case VMMU_STAGE2:
    case VMMU_FLUSH_RETRY:
    case VMMU_NO_MEMORY:
    case VMMU_INVALID:
    case VMMU_UNSUPPORTED:
    case VMMU_VIOLATED: break;
    }
    return VMMU_RACED;
}

/* Where there is no privilege, neither protection keys nor SMEP and SMAP, which ask whose a page is, refuse anything. */
static struct vmmu_x86_mode mode_of(const struct vmmu_hyperv_view *view, uint64_t control)
{
    struct vmmu_x86_mode mode = *view->mode;

    if ((control & VMMU_HYPERV_TRANSLATE_EXEMPT) != 0) {
        mode = vmmu_mode_open(&mode);
        mode.smep = false;
    }
    return mode;
}

/* Every access that was asked for, one after the other, as if the virtual processor made them. */
static enum vmmu_status walk_all(struct walk *walk, const struct vmmu_hyperv_translate *request)
{
    static const struct {
        uint64_t asked;
        enum vmmu_x86_access_kind kind;
    } kinds[] = {
        { VMMU_HYPERV_TRANSLATE_READ, VMMU_X86_READ },
        { VMMU_HYPERV_TRANSLATE_EXECUTE, VMMU_X86_EXECUTE },
        { VMMU_HYPERV_TRANSLATE_WRITE, VMMU_X86_WRITE },
    };
    const bool paging = walk->mode.paging != VMMU_X86_PAGING_NONE;

    if (paging && walk->mode.address_bits == 32 && request->gva.v >= BIT64(32)) {
        walk->code = VMMU_HYPERV_TRANSLATE_NOT_PRESENT;
        return VMMU_OK;
    }
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        enum vmmu_status status;

        if ((request->control & kinds[i].asked) == 0) {
            continue;
        }
        status = walk_once(walk, request->gva, access_of(walk->view, request->control, kinds[i].kind));
        if (status != VMMU_OK || walk->code != VMMU_HYPERV_TRANSLATE_SUCCESS) {
            return status;
        }
    }
    return VMMU_OK;
}

/* --- cache types --- */

#define TYPES 8

/*
 * What MTRRs and PAT make of a page together: by the MTRRs' type, then the PAT's. Types that do not exist stand as UC.
 *
 * Spec: SDM 3A "Effective Page-Level Memory Types for Pentium III and More Recent Processor Families".
 */
#define UC    VMMU_X86_TYPE_UC
#define WC    VMMU_X86_TYPE_WC
#define WT    VMMU_X86_TYPE_WT
#define WP    VMMU_X86_TYPE_WP
#define WB    VMMU_X86_TYPE_WB

/* clang-format off */
static const uint8_t effective[TYPES][TYPES] = {
    /* PAT:             UC  WC  -   -   WT  WP  WB  UC- */
    [VMMU_X86_TYPE_UC] = { UC, WC, UC, UC, UC, UC, UC, UC },
    [VMMU_X86_TYPE_WC] = { UC, WC, UC, UC, UC, UC, WC, WC },
    [VMMU_X86_TYPE_WT] = { UC, WC, UC, UC, WT, WP, WT, UC },
    [VMMU_X86_TYPE_WP] = { UC, WC, UC, UC, WT, WP, WP, WC },
    [VMMU_X86_TYPE_WB] = { UC, WC, UC, UC, WT, WP, WB, UC },
};
/* clang-format on */

enum vmmu_x86_memory_type vmmu_hyperv_cache_type(const struct vmmu_hyperv_view *view,
                                                 const struct vmmu_x86_translation *found,
                                                 enum vmmu_x86_memory_type ranges)
{
    enum vmmu_x86_memory_type pages = VMMU_X86_TYPE_WB;

    if (found && view->mode->paging != VMMU_X86_PAGING_NONE) {
        pages = vmmu_hyperv_pat_type(view->pats, view->second_level, view->vp, found->pat_index);
    } else if ((view->pats->uncached & BIT64(view->vp)) != 0) {
        pages = VMMU_X86_TYPE_UC;
    }
    return (enum vmmu_x86_memory_type)effective[ranges % TYPES][pages % TYPES];
}

/* --- the call --- */

enum vmmu_status vmmu_hyperv_translate(const struct vmmu_hyperv_view *view,
                                       const struct vmmu_hyperv_translate *request,
                                       struct vmmu_hyperv_translation *out)
{
    const bool write = (request->control & VMMU_HYPERV_TRANSLATE_WRITE) != 0;
    struct walk walk = { .view = view, .mode = mode_of(view, request->control) };
    const enum vmmu_status status = walk_all(&walk, request);

    *out = (struct vmmu_hyperv_translation){ .code = walk.code };
    if (status != VMMU_OK || walk.code != VMMU_HYPERV_TRANSLATE_SUCCESS) {
        return status;
    }
    const vmmu_gpa gpa = { walk.found.translation.gpa.v & ~(VMMU_PAGE_BYTES - 1) };
    const struct vmmu_hyperv_page page = view->page(view->context, gpa);

    /* With paging off the call always succeeds. */
    if (view->mode->paging != VMMU_X86_PAGING_NONE) {
        out->code = judge_page(&page, write);
    }
    if (out->code == VMMU_HYPERV_TRANSLATE_SUCCESS) {
        out->gpa = gpa;
        out->overlay = page.overlay;
        out->cache_type = vmmu_hyperv_cache_type(view, &walk.found.translation, page.type);
        out->inhibit_flush = (request->control & VMMU_HYPERV_TRANSLATE_INHIBIT_FLUSH) != 0;
    }
    return VMMU_OK;
}

void vmmu_hyperv_translate_output(const struct vmmu_hyperv_translation *translation, uint8_t *output)
{
    __builtin_memset(output, 0, OUTPUT_BYTES);
    hv_put_bytes(output + OUTPUT_CODE, translation->code, 4);
    hv_put_bytes(output + OUTPUT_CACHE, translation->cache_type, 1);
    hv_put_bytes(output + OUTPUT_OVERLAY, translation->overlay ? 1 : 0, 1);
    hv_put_bytes(output + OUTPUT_PAGE, translation->gpa.v >> VMMU_PAGE_SHIFT, 8);
}
