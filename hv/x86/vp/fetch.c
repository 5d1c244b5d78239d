/*
 * The instruction at RIP: fetched through the guest's tables, decoded, stepped over.
 *
 * A hypervisor fetches the same few instructions over and over. What a walk found is remembered with the
 * entries that it went through, and used again only while each of them still holds the value that it held:
 * the answer is then what a new walk would give, whatever the guest did to its TLB or its tables meanwhile.
 */
#include "hv/mmu/mmu.h"
#include "hv/x86/vp/x86.h"

#define PAGE_OFFSET(address) ((address) & (VMMU_PAGE_BYTES - 1))
#define FETCH_BYTES          X86_FETCH_BYTES

static struct x86_fetch_memo *memo_of(struct vp *vp, uint64_t page)
{
    const uint64_t root = vp->arch->backend->read_control(vp, 3) >> VMMU_PAGE_SHIFT;

    return &vp->arch->memos[(page >> VMMU_PAGE_SHIFT ^ root ^ root >> 4) & (X86_FETCH_MEMOS - 1)];
}

static bool same_context(struct vp *vp, const struct x86_fetch_memo *memo, uint64_t page)
{
    const struct vmmu_x86_state *state = &vp->arch->state;

    return memo->page == page && memo->cr3 == vp->arch->backend->read_control(vp, 3) &&
           memo->cr0 == state->cr0 && memo->cr4 == state->cr4 && memo->efer == state->efer &&
           memo->cpl == state->cpl;
}

static bool same_entries(const struct x86_fetch_memo *memo)
{
    for (unsigned i = 0; i < memo->count; i++) {
        const void *entry = memo->entries[i].at;
        const uint64_t value = memo->width_bytes == 4
                                   ? __atomic_load_n((const uint32_t *)entry, __ATOMIC_ACQUIRE)
                                   : __atomic_load_n((const uint64_t *)entry, __ATOMIC_ACQUIRE);

        if (value != memo->entries[i].value) {
            return false;
        }
    }
    return true;
}

/* Remember @walk of @page, if all of it stands in memory. */
static void remember(struct vp *vp, struct x86_fetch_memo *memo, uint64_t page,
                     const struct vmmu_x86_walk_result *walk, const uint8_t *code)
{
    const struct vmmu_x86_state *state = &vp->arch->state;
    const enum vmmu_x86_paging paging = vp->arch->mode.paging;

    memo->code = NULL;
    memo->decoded = false;
    memo->width_bytes = paging == VMMU_X86_PAGING_32BIT ? 4 : 8;
    memo->count = 0;
    for (unsigned i = 0; i < walk->step_count; i++) {
        const struct vmmu_x86_step *step = &walk->steps[i];

        if (step->stage == VMMU_X86_STAGE_REGISTER) {
            if (vp->arch->walks_guest) {
                return; /* the guest loads it unseen */
            }
            continue; /* whoever loads it forgets what was remembered */
        }

        memo->entries[memo->count].at = mmu_at(vp->partition, (vmmu_gpa){ step->address }, memo->width_bytes);
        memo->entries[memo->count].value = step->value | step->marks;
        if (!memo->entries[memo->count].at) {
            return;
        }
        memo->count++;
    }
    memo->page = page;
    memo->cr0 = state->cr0;
    memo->cr3 = vp->arch->backend->read_control(vp, 3);
    memo->cr4 = state->cr4;
    memo->efer = state->efer;
    memo->cpl = state->cpl;
    memo->code = code;
}

void x86_forget_fetches(struct vp *vp)
{
    for (unsigned i = 0; i < X86_FETCH_MEMOS; i++) {
        vp->arch->memos[i].code = NULL;
    }
}

void x86_memory_moved(struct partition *partition)
{
    for (unsigned i = 0; i < partition->vp_count; i++) {
        x86_forget_fetches(partition->vps[i]);
    }
}

static bool holds(struct vp *vp, const struct x86_fetch_memo *memo, uint64_t page)
{
    return memo->code && same_context(vp, memo, page) && same_entries(memo);
}

/* The instruction at linear @va, if it was the last of its page to be fetched, and the same bytes stand there. */
static const struct vmmu_insn *fetched_before(struct vp *vp, vmmu_gva va, enum vmmu_insn_width width)
{
    const uint64_t offset = PAGE_OFFSET(va.v);
    const struct x86_fetch_memo *memo = memo_of(vp, va.v - offset);
    uint64_t bytes[FETCH_BYTES / 8];

    if (!memo->decoded || memo->offset != offset || memo->insn.width != width ||
        !holds(vp, memo, va.v - offset)) {
        return NULL;
    }
    __builtin_memcpy(bytes, memo->code + offset, sizeof bytes);
    return bytes[0] == memo->bytes[0] && bytes[1] == memo->bytes[1] ? &memo->insn : NULL;
}

/* @insn was decoded from all of @bytes, which stand at linear @va, on one page. */
static void remember_insn(struct vp *vp, vmmu_gva va, const uint8_t *bytes, const struct vmmu_insn *insn)
{
    const uint64_t offset = PAGE_OFFSET(va.v);
    struct x86_fetch_memo *memo = memo_of(vp, va.v - offset);

    if (memo->code && memo->page == va.v - offset) {
        __builtin_memcpy(memo->bytes, bytes, sizeof memo->bytes);
        memo->offset = offset;
        memo->insn = *insn;
        memo->decoded = true;
    }
}

/* The guest's code page at linear @page in *code, NULL where no memory is. */
static enum vmmu_status code_page(struct vp *vp, uint64_t page, const uint8_t **code,
                                  struct vmmu_x86_fault *fault)
{
    struct x86_fetch_memo *memo = memo_of(vp, page);
    struct vmmu_x86_walk_result walk;
    enum vmmu_status status;

    if (holds(vp, memo, page)) {
        *code = memo->code;
        return VMMU_OK;
    }
    status = x86_walk(vp, (vmmu_gva){ page }, VMMU_X86_EXECUTE, &walk);
    if (status == VMMU_GUEST_FAULT) {
        *fault = walk.fault;
    }
    if (status == VMMU_OK) {
        *code = mmu_at(vp->partition, walk.translation.gpa, VMMU_PAGE_BYTES);
        remember(vp, memo, page, &walk, *code);
    }
    return status;
}

/* Copy code from linear @va to the end of its page, or until *count bytes; *count says how many. */
static enum vmmu_status fetch_bytes(struct vp *vp, vmmu_gva va, uint8_t *bytes, unsigned *count,
                                    struct vmmu_x86_fault *fault)
{
    const uint64_t offset = PAGE_OFFSET(va.v);
    const unsigned left = (unsigned)(VMMU_PAGE_BYTES - offset);
    const uint8_t *code;
    const enum vmmu_status status = code_page(vp, va.v - offset, &code, fault);

    if (status != VMMU_OK) {
        if (status == VMMU_GUEST_FAULT && fault->vector == VMMU_X86_VECTOR_PF) {
            fault->cr2 = va.v;
        }
        return status;
    }
    if (code && left >= FETCH_BYTES && *count == FETCH_BYTES) {
        __builtin_memcpy(bytes, code + offset, FETCH_BYTES);
        return VMMU_OK;
    }
    *count = left < *count ? left : *count;
    for (unsigned i = 0; i < *count; i++) {
        bytes[i] = code ? code[offset + i] : 0xFF;
    }
    return VMMU_OK;
}

/* Linear address of RIP, or so many bytes behind it. */
static vmmu_gva linear_rip(const struct vmmu_x86_state *state, enum vmmu_insn_width width, unsigned ahead)
{
    if (width == VMMU_INSN_64) {
        return (vmmu_gva){ state->rip + ahead };
    }
    return (vmmu_gva){ (uint32_t)(state->segment[VMMU_X86_CS].base + state->rip + ahead) };
}

unsigned x86_code_at_rip(struct vp *vp, uint8_t *bytes, unsigned limit)
{
    const struct vmmu_x86_state *state = x86_code(vp);
    const struct vmmu_x86_mode *mode = x86_mode(vp, false);
    const struct vmmu_ram ram = x86_ram(vp);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_EXECUTE, .user = state->cpl == 3 };
    unsigned count = 0;

    while (mode && count < limit) {
        const vmmu_gva va = linear_rip(state, vmmu_insn_mode(state), count);
        const unsigned left = (unsigned)(VMMU_PAGE_BYTES - PAGE_OFFSET(va.v));
        const unsigned some = left < limit - count ? left : limit - count;
        struct vmmu_x86_translate_result result;
        const void *at;

        if (vmmu_x86_translate(mode, &ram, va, access, &result) != VMMU_OK) {
            break;
        }
        at = mmu_at(vp->partition, result.translation.gpa, some);
        if (!at) {
            break;
        }
        __builtin_memcpy(bytes + count, at, some);
        count += some;
    }
    return count;
}

/* On VMMU_GUEST_FAULT @fault is what the guest is owed. */
static enum vmmu_status fetch_and_decode(struct vp *vp, const struct vmmu_insn **insn,
                                         struct vmmu_x86_fault *fault)
{
    const struct vmmu_x86_state *state = x86_code(vp);
    const enum vmmu_insn_width width = vmmu_insn_mode(state);
    struct vmmu_insn_cache *cache = &vp->arch->insn_cache;
    uint8_t bytes[FETCH_BYTES] __attribute__((aligned(8)));
    const vmmu_gva va = linear_rip(state, width, 0);
    unsigned count = sizeof bytes;
    enum vmmu_status status;

    vp->counters.insn_fetches++;
    *insn = fetched_before(vp, va, width);
    if (*insn) {
        return VMMU_OK;
    }
    status = fetch_bytes(vp, va, bytes, &count, fault);
    if (status != VMMU_OK) {
        return status;
    }
    status = vmmu_insn_decode_cached(cache, bytes, count, width, insn);
    if (status == VMMU_OK && count == sizeof bytes) {
        remember_insn(vp, va, bytes, *insn);
        return VMMU_OK;
    }
    if (status == VMMU_ABSENT && count < sizeof bytes) {
        unsigned more = (unsigned)sizeof bytes - count;

        status = fetch_bytes(vp, linear_rip(state, width, count), bytes + count, &more, fault);
        if (status != VMMU_OK) {
            return status;
        }
        status = vmmu_insn_decode_cached(cache, bytes, count + more, width, insn);
    }
    if (status == VMMU_GUEST_FAULT) {
        *fault = (*insn)->fault;
    }
    return status;
}

enum vmmu_status x86_fetch(struct vp *vp, const struct vmmu_insn **insn)
{
    struct vmmu_x86_fault fault;
    const enum vmmu_status status = fetch_and_decode(vp, insn, &fault);

    if (status == VMMU_GUEST_FAULT) {
        x86_raise_fault(vp, &fault);
    }
    return status;
}

enum vmmu_status x86_peek(struct vp *vp, const struct vmmu_insn **insn)
{
    struct vmmu_x86_fault fault;

    return fetch_and_decode(vp, insn, &fault);
}

void x86_single_step(struct vp *vp)
{
    vp->arch->backend->raise_debug(vp, X86_DR6_BS);
    x86_raise(vp, X86_VECTOR_DB, false, 0);
}

void x86_retire_to(struct vp *vp, uint64_t next_rip)
{
    struct vmmu_x86_state *state = &vp->arch->state;

    /* EIP ends at 4 GiB, though the last instruction may end there too. In 16-bit code it counts on: only jumps cut it. */
    if (state->rip <= UINT32_MAX && next_rip > UINT32_MAX && vmmu_insn_mode(x86_code(vp)) != VMMU_INSN_64) {
        next_rip = (uint32_t)next_rip;
    }
    state->rip = next_rip;
    state->interrupt_shadow = false;
    state->rflags &= ~X86_RFLAGS_RF;
    if (state->rflags & X86_RFLAGS_TF) {
        x86_single_step(vp);
    }
}

void x86_retire(struct vp *vp, unsigned bytes)
{
    x86_retire_to(vp, vp->arch->state.rip + bytes);
}

unsigned x86_length(struct vp *vp, const struct exit *exit)
{
    const struct vmmu_insn *insn;

    if (exit->insn_bytes) {
        return exit->insn_bytes;
    }
    return x86_fetch(vp, &insn) == VMMU_OK ? insn->length : 0;
}

bool x86_skip(struct vp *vp, const struct exit *exit)
{
    const unsigned bytes = x86_length(vp, exit);

    if (bytes) {
        x86_retire(vp, bytes);
    }
    return bytes != 0;
}

bool x86_may_go_on(struct vp *vp)
{
    return !vp->attention && !(vp->arch->state.rflags & X86_RFLAGS_TF) && !x86_has_breakpoints(vp);
}
