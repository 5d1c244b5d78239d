/*
 * Guest instructions that change paging, or what may be cached of it. The reference keeps the registers and
 * says whether the instruction faults; what a processor must forget comes from lib/x86/invalidate.
 */
#include "tests/model/machine/world_internal.h"

/* Registers before the instruction, and where it runs. */
struct instruction {
    const struct op *op;
    struct vmmu_x86_tags tags;
    struct vmmu_x86_mode mode; /* the hardware's */
    struct vmmu_x86_paging_registers before;
    uint64_t page_bytes; /* of the page at its address */
};

/* --- what the instruction does to registers --- */

static enum vmmu_status perform(struct world *world, const struct op *op)
{
    struct reference *reference = world->reference;

    switch (op->kind) {
    case OP_INVLPG: reference_invlpg(reference, op->vp, op->address); return VMMU_OK;
    case OP_CR0: return reference_cr0(reference, op->vp, op->value);
    case OP_CR3: return reference_cr3(reference, op->vp, op->value);
    case OP_CR4: return reference_cr4(reference, op->vp, op->value);
    case OP_EFER: return reference_efer(reference, op->vp, op->value);
    case OP_PKRU: return reference_pkru(reference, op->vp, (uint32_t)op->value);
    case OP_INVPCID: return reference_invpcid(reference, op->vp, op->width, op->value, op->address);
    case OP_READ:
    case OP_WRITE:
    case OP_FETCH:
    case OP_ELEMENT:
    case OP_FLUSH:
    case OP_SWITCH:
    case OP_SPECULATE:
    case OP_EVICT:
    case OP_MIGRATE:
    case OP_MAP:
    case OP_MOVE:
    case OP_UNMAP:
    case OP_PROTECT:
    case OP_SPLIT:
    case OP_MERGE:
    case OP_LOG_START:
    case OP_LOG_COLLECT:
    case OP_LOG_STOP:
    case OP_HARVEST:
    case OP_KINDS: break;
    }
    return VMMU_GUEST_FAULT;
}

/* --- what it makes the processor forget --- */

static struct vmmu_tlb_scopes of_invlpg(struct world *world, const struct instruction *instruction)
{
    const vmmu_gva address = { instruction->op->address };

    (void)world;
    return vmmu_invalidate_invlpg(&instruction->tags, &instruction->before, address, instruction->page_bytes);
}

static struct vmmu_tlb_scopes of_cr0(struct world *world, const struct instruction *instruction)
{
    (void)world;
    return vmmu_invalidate_cr0(&instruction->tags, &instruction->before, instruction->op->value);
}

static struct vmmu_tlb_scopes of_cr3(struct world *world, const struct instruction *instruction)
{
    (void)world;
    return vmmu_invalidate_mov_cr3(&instruction->tags, &instruction->before, instruction->op->value);
}

static struct vmmu_tlb_scopes of_cr4(struct world *world, const struct instruction *instruction)
{
    (void)world;
    return vmmu_invalidate_cr4(&instruction->tags, &instruction->before, instruction->op->value);
}

static struct vmmu_tlb_scopes of_invpcid(struct world *world, const struct instruction *instruction)
{
    const struct op *op = instruction->op;
    /* Fragments are those of the page that the tables map now, which are the current PCID's. */
    const bool current = op->value == vmmu_invalidate_pcid(&instruction->before);
    const struct vmmu_x86_invalidation operands = { .type = op->width,
                                                    .descriptor = { op->value, op->address },
                                                    .page_bytes = current ? instruction->page_bytes : 0 };
    struct vmmu_tlb_scopes scopes = { .count = 0 };

    if (vmmu_invalidate_invpcid(&instruction->tags, &world->cpu, &instruction->before, &operands, &scopes) !=
        VMMU_OK) {
        world_report(world, CHECK_FAULT, "INVPCID of type %u is refused, which the architecture takes",
                     op->width);
    }
    return scopes;
}

/* NULL: it removes nothing, as writes of EFER and PKRU do. */
static struct vmmu_tlb_scopes (*const removes[OP_KINDS])(struct world *, const struct instruction *) = {
    [OP_INVLPG] = of_invlpg, [OP_CR0] = of_cr0,         [OP_CR3] = of_cr3,
    [OP_CR4] = of_cr4,       [OP_INVPCID] = of_invpcid,
};

static void forget(struct world *world, const struct instruction *instruction)
{
    const struct op *op = instruction->op;

    if (removes[op->kind]) {
        const struct vmmu_tlb_scopes scopes = removes[op->kind](world, instruction);

        processor_invalidate(world_processor(world, op->vp)->machine, &scopes);
    }
}

/*
 * What a host does in the place of an INVLPG that it intercepts: the page is gone under the guest's tag. That promises less
 * than the instruction, for links on other ways may stay. Without a tag, the exit was enough.
 */
static void forget_page_of_guest(struct world *world, const struct instruction *instruction)
{
    const struct vmmu_x86_tags *tags = &instruction->tags;
    const vmmu_gva address = { instruction->op->address };
    const struct vmmu_x86_invalidation operands = { .type = VMMU_X86_INVVPID_ADDRESS,
                                                    .descriptor = { tags->space, address.v } };
    struct vmmu_tlb_scopes scopes;

    if (!tags->tagged || !vmmu_walk_is_canonical(&instruction->mode, address)) {
        return;
    }
    if (tags->vendor == VMMU_X86_AMD) {
        scopes = vmmu_invalidate_invlpga(address, tags->space, instruction->page_bytes);
    } else if (vmmu_invalidate_invvpid(&world->cpu, &operands, &scopes) != VMMU_OK) {
        world_report(world, CHECK_PROGRESS, "INVVPID fails for VPID %u", tags->space);
        return;
    }
    processor_invalidate(world_processor(world, instruction->op->vp)->machine, &scopes);
}

/* --- the instruction --- */

static bool is_intercepted(const struct world *world, uint8_t vp, enum op_kind kind)
{
    return world->class->intercepts && world->class->intercepts(world->engine, vp, kind);
}

/*
 * An instruction that loads PDPTEs exits where the host maps none of the memory that they are in, and a host
 * has nothing to say to that.
 */
bool world_can_load_pdptes(const struct world *world, const struct op *op)
{
    const struct vmmu_x86_paging_registers *now = reference_registers(world->reference, op->vp);
    const bool to_cr3 = op->kind == OP_CR3 || op->kind == OP_SWITCH;
    const uint64_t cr3 = to_cr3 ? op->value : now->cr3;
    const uint64_t cr4 = op->kind == OP_CR4 ? op->value : now->cr4;

    if (op->kind != OP_CR0 && !to_cr3 && op->kind != OP_CR4) {
        return true;
    }
    if (!(cr4 & VMMU_X86_CR4_PAE) || (now->efer & VMMU_X86_EFER_LME)) {
        return true;
    }
    return host_grants(&world->map, vmmu_mode_root(VMMU_X86_PAGING_PAE, cr3).v, VMMU_X86_RIGHT_READ);
}

/* Where the hardware is, and what its registers were: under shadows not the guest's. */
static void describe(struct world *world, struct instruction *instruction)
{
    const struct op *op = instruction->op;
    const struct guest_state state = world_state(world, op->vp);

    instruction->tags = state.tags;
    instruction->mode = state.mode;
    if (is_shadowed(world)) {
        instruction->before = processor_registers(&state.mode);
        instruction->page_bytes = world_hardware_page_bytes(world, &state.mode, op->address);
    } else {
        instruction->before = *reference_registers(world->reference, op->vp);
        instruction->page_bytes = reference_page_bytes(world->reference, op->vp, op->address);
    }
}

/* Linear addresses outside 64-bit modes have 32 bits. */
static uint64_t linear_address(const struct world *world, const struct op *op)
{
    const bool long_mode = reference_registers(world->reference, op->vp)->efer & VMMU_X86_EFER_LMA;

    return long_mode ? op->address : op->address & BITS64(31, 0);
}

/*
 * Who switches by hypercall does not have PCIDs until its next MOV to CR3: what of its spaces would be whose is nowhere
 * said.
 */
static bool mixes_spaces(const struct world *world, const struct op *op)
{
    return op->kind == OP_CR4 && (op->value & VMMU_X86_CR4_PCIDE) &&
           reference_is_switched(world->reference, op->vp);
}

/* What reaches all address spaces, of which the processor knows the one in use, exits once a guest has switched by hypercall. */
static bool is_watched(const struct world *world, const struct op *op)
{
    return world->vps[op->vp].by_space && op->kind != OP_EFER && op->kind != OP_PKRU;
}

bool world_step_control(struct world *world, const struct op *op)
{
    struct op asked = *op;
    struct instruction instruction = { .op = &asked };

    if (!world_can_load_pdptes(world, op) || mixes_spaces(world, op)) {
        return false;
    }
    world_enter(world, op->vp);
    if (is_watched(world, op)) {
        world_exit(world, op->vp);
        world_merge_spaces(world, op->vp);
        world_resume(world, op->vp);
    }
    asked.address = linear_address(world, op);
    describe(world, &instruction);
    if (perform(world, &asked) != VMMU_OK) {
        return false;
    }
    if (is_intercepted(world, op->vp, op->kind)) {
        const struct engine_event event = {
            .kind = op->kind,
            .address = asked.address,
            .value = op->value,
            .type = op->width,
        };

        world_exit(world, op->vp);
        world->class->control(world->engine, op->vp, &event);
        if (op->kind == OP_INVLPG) {
            forget_page_of_guest(world, &instruction);
        }
        world_resume(world, op->vp);
    } else {
        forget(world, &instruction);
    }
    return true;
}

void world_invlpg_between(struct world *world, uint8_t vp, uint64_t address)
{
    struct op asked = { .kind = OP_INVLPG, .vp = vp, .address = address };
    struct instruction instruction = { .op = &asked };

    if (world->emulating || is_watched(world, &asked) || is_intercepted(world, vp, OP_INVLPG)) {
        world_exit(world, vp);
        return;
    }
    asked.address = linear_address(world, &asked);
    describe(world, &instruction);
    (void)perform(world, &asked);
    forget(world, &instruction);
}
