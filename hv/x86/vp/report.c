/* What people and programs see of an x86 VP and its board. */
#include "hv/mmu/mmu.h"
#include "hv/x86/vp/x86.h"

#define CODE_BYTES 32

static const char *const gpr_names[VMMU_X86_GPRS] = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"
};
static const char *const segment_names[VMMU_X86_SEGMENTS] = { "es", "cs", "ss", "ds", "fs", "gs" };

static void put_segment(const struct vmmu_x86_segment *segment, struct json *json)
{
    json_hex(json, "selector", segment->selector);
    json_hex(json, "base", segment->base);
    json_hex(json, "limit", segment->limit);
    json_hex(json, "attributes", segment->attributes);
}

static void report_segments(const struct vmmu_x86_state *state, struct json *json)
{
    json_object(json, "segments");
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        json_object(json, segment_names[i]);
        put_segment(&state->segment[i], json);
        json_end_object(json);
    }
    json_end_object(json);
}

/* The code at RIP, as an observer: no accessed bit is set by looking. */
static void report_code(struct vp *vp, struct json *json)
{
    const struct vmmu_x86_state *state = x86_state(vp);
    const struct vmmu_x86_mode *mode = x86_mode(vp, false);
    const struct vmmu_ram ram = x86_ram(vp);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_EXECUTE, .user = state->cpl == 3 };
    const uint64_t base = vmmu_insn_mode(state) == VMMU_INSN_64 ? 0 : state->segment[VMMU_X86_CS].base;
    struct vmmu_x86_walk_result walk;
    const uint8_t *at;
    uint64_t left;

    if (!mode || vmmu_x86_walk(mode, &ram, (vmmu_gva){ base + state->rip }, access, &walk) != VMMU_OK) {
        json_text(json, "code", "not mapped");
        return;
    }
    left = VMMU_PAGE_BYTES - (walk.translation.gpa.v & (VMMU_PAGE_BYTES - 1));
    left = left < CODE_BYTES ? left : CODE_BYTES;
    at = mmu_at(vp->partition, walk.translation.gpa, left);
    if (at) {
        json_bytes(json, "code", at, (unsigned)left);
    } else {
        json_text(json, "code", "not in memory");
    }
}

void arch_vp_counters(const struct vp *vp, struct json *json)
{
    x86_report_calls(vp, json);
    json_number(json, "ipis", pc_lapic(x86_pc(vp), vp->index)->counters.ipis_sent);
    json_number(json, "messages", vp->arch->messages);
}

void arch_vp_report(struct vp *vp, struct json *json)
{
    const struct vmmu_x86_state *state = x86_state(vp);

    json_object(json, "registers");
    json_hex(json, "rip", state->rip);
    json_hex(json, "rflags", state->rflags);
    for (unsigned i = 0; i < VMMU_X86_GPRS; i++) {
        json_hex(json, gpr_names[i], state->gpr[i]);
    }
    json_hex(json, "cr0", state->cr0);
    json_hex(json, "cr2", vp->arch->backend->read_control(vp, 2));
    json_hex(json, "cr3", vp->arch->backend->read_control(vp, 3));
    json_hex(json, "cr4", state->cr4);
    json_hex(json, "efer", state->efer);
    json_hex(json, "xcr0", x86_xcr0(vp));
    json_number(json, "cpl", state->cpl);
    report_segments(state, json);
    report_code(vp, json);
    json_end_object(json);
    vp->arch->backend->report(vp, json);
}

void arch_partition_report(struct partition *partition, struct json *json)
{
    const char *device = "";
    struct dev_counter counter;

    json_object(json, "devices");
    for (unsigned i = 0; pc_counter(&partition->arch->pc, i, &counter); i++) {
        if (counter.device != device) {
            if (i) {
                json_end_object(json);
            }
            json_object(json, counter.device);
            device = counter.device;
        }
        json_number(json, counter.name, counter.value);
    }
    if (device[0]) {
        json_end_object(json);
    }
    json_end_object(json);
}

/* --- the state document --- */

void arch_partition_state(struct partition *partition, struct json *json)
{
    const struct vmmu_x86_cpu *cpu = &partition->vps[0]->arch->cpu;
    const struct {
        const char *name;
        bool offered;
    } features[] = {
        { "pse", cpu->pse },
        { "pse36", cpu->pse36 },
        { "pae", cpu->pae },
        { "pge", cpu->pge },
        { "nx", cpu->nx },
        { "long_mode", cpu->long_mode },
        { "gib_pages", cpu->gib_pages },
        { "la57", cpu->la57 },
        { "smep", cpu->smep },
        { "smap", cpu->smap },
        { "pku", cpu->pku },
        { "pks", cpu->pks },
        { "pcid", cpu->pcid },
        { "bit8_reserved", cpu->bit8_reserved },
    };

    json_object(json, "cpu");
    json_number(json, "maxphyaddr", cpu->maxphyaddr);
    for (unsigned i = 0; i < sizeof features / sizeof features[0]; i++) {
        json_flag(json, features[i].name, features[i].offered);
    }
    json_hex(json, "cr4_others", cpu->cr4_others);
    json_hex(json, "efer_others", cpu->efer_others);
    json_end_object(json);
}

static void state_segments(const struct vmmu_x86_state *state, struct json *json)
{
    json_array(json, "segments");
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        json_object(json, NULL);
        put_segment(&state->segment[i], json);
        json_end_object(json);
    }
    json_end_array(json);
}

/* The root that it would walk is not in use in a phase, and before it has run there may be none. */
static void state_shadow(const struct vp *vp, struct json *json)
{
    static const char *const formats[] = {
        [VMMU_X86_FORMAT_PAE] = "pae",
        [VMMU_X86_FORMAT_4LEVEL] = "4level",
        [VMMU_X86_FORMAT_5LEVEL] = "5level",
    };
    const struct vp_arch *arch = vp->arch;

    if (arch->walks_guest) {
        return;
    }
    if (!arch->root.cr3 || (arch->backend->is_in_phase && arch->backend->is_in_phase(vp))) {
        json_flag(json, "direct", true);
    } else {
        json_object(json, "shadow");
        json_hex(json, "cr3", arch->root.cr3);
        json_text(json, "format", formats[arch->root.format]);
        json_end_object(json);
    }
}

static void state_paging(struct vp *vp, struct json *json)
{
    struct vmmu_x86_paging_registers registers = x86_paging_registers(vp);

    x86_read_keys(vp, registers.cr4, &registers.pkru, &registers.pkrs);
    json_hex(json, "cr0", registers.cr0);
    json_hex(json, "cr2", vp->arch->backend->read_control(vp, 2));
    json_hex(json, "cr3", registers.cr3);
    json_hex(json, "cr4", registers.cr4);
    json_hex(json, "efer", registers.efer);
    json_hex(json, "pat", vp->arch->msrs.pat);
    json_array(json, "pdpte");
    for (unsigned i = 0; i < 4; i++) {
        json_hex(json, NULL, registers.pdpte[i]);
    }
    json_end_array(json);
    json_flag(json, "pdpte_in_memory", registers.pdpte_in_memory);
    json_hex(json, "pkru", registers.pkru);
    json_hex(json, "pkrs", registers.pkrs);
}

void arch_vp_state(struct vp *vp, struct json *json)
{
    const struct vmmu_x86_state *state = x86_state(vp);

    json_number(json, "tag", vp->arch->backend->tag(vp));
    json_array(json, "gpr");
    for (unsigned i = 0; i < VMMU_X86_GPRS; i++) {
        json_hex(json, NULL, state->gpr[i]);
    }
    json_end_array(json);
    json_hex(json, "rip", state->rip);
    json_hex(json, "rflags", state->rflags);
    json_number(json, "cpl", state->cpl);
    json_flag(json, "interrupt_shadow", state->interrupt_shadow);
    state_paging(vp, json);
    state_segments(state, json);
    state_shadow(vp, json);
}
