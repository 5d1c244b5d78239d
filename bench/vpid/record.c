/*
 * A TCG plugin for QEMU 7.2: writes a trace (trace.h) of the real hypervisor and its guest under SVM.
 *
 *     out=FILE        where to; may be a pipe
 *     entry=ADDRESS   the trace begins at the exit after this was executed, or a mark; it is mark 0
 *
 * Code is told by blocks of instructions, data by each access that succeeded. A VMRUN begins a stay in the guest; the instruction
 * behind it, where #VMEXIT resumes, ends it. What the guest's own MOV to CR3 and INVLPG did is read from the registers
 * when the next block begins; if the next block is the hypervisor's, they were intercepted, and the hypervisor decides.
 *
 * Each translation is walked for in the tables, and compared with where the emulator says that the access went. The last line of
 * standard error tells how many were, and how many differed.
 */
#include <stdlib.h>
#include <string.h>

#include <vmmu/insn.h>

#include "bench/hypervisor.h"
#include "bench/mark.h"
#include "registers.h"
#include "tables.h"
#include "trace.h"

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t plugin_memory_info;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
enum plugin_registers { PLUGIN_NO_REGISTERS };
enum plugin_memory { PLUGIN_READS_AND_WRITES = 3 };
typedef void (*translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*executed)(unsigned processor, void *argument);
typedef void (*accessed)(unsigned processor, plugin_memory_info info, uint64_t address, void *argument);
typedef void (*ended)(qemu_plugin_id_t id, void *argument);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, executed callback,
                                          enum plugin_registers registers, void *argument);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed callback,
                                            enum plugin_registers registers, void *argument);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, accessed callback,
                                      enum plugin_registers registers, enum plugin_memory which,
                                      void *argument);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, ended callback, void *argument);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned qemu_plugin_mem_size_shift(plugin_memory_info info);
bool qemu_plugin_mem_is_store(plugin_memory_info info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(plugin_memory_info info, uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *place);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *place);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = 1;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count,
                                 char **arguments);

#define OUT_BYTES          (1u << 20)
#define VMRUN_BYTES        3
#define MARK_BYTES         8
#define INSN_BYTES_MOST    15

/* What a block's callback is told: the page of its first byte, and in the bits below: */
#define BLOCK_CROSSES      UINT64_C(1) /* it ends in the next page */
#define BLOCK_EXIT         UINT64_C(2) /* it stands behind VMRUN */
#define BLOCK_PAGE         (~(VMMU_PAGE_BYTES - 1))

#define PHYSICAL_PAGES     4

#define SVM_EXIT_WRITE_CR3 0x13u

/* An instruction whose effect is read when the next block begins. */
enum deferred { NOTHING, LOAD_CR3, INVLPG, INVLPGA };

static FILE *out;
static struct trace_sides sides;
static struct trace_pages pages;
static uint64_t entry_address;
static uint64_t behind_vmrun;

static bool started; /* the first mark was passed */
static bool recording;
static bool entering; /* VMRUN is executed */
static bool in_guest;
static struct world_switch now;
static uint64_t flushes; /* asked for up to the last entry */
static uint64_t root;    /* of the last entry */
static enum deferred deferred;
static uint8_t deferred_code[INSN_BYTES_MOST];
static unsigned deferred_bytes;

/* The guest's translations may have changed, as by any exit: those found before this epoch are walked for again. */
static uint32_t epoch = 1;

/* The last access of either side, for leaving out its like. */
static uint64_t last_page[2];
static bool last_dirty;
static uint64_t merged;

/*
 * VMRUN, #VMEXIT and their kin access control blocks by physical address, which the emulator tells as if they were linear. No
 * TLB is asked for those: here are the latest pages of that sort.
 */
static uint64_t physical_pages[PHYSICAL_PAGES];
static unsigned physical_next;

static uint64_t compared, differed, unmapped, lost;

static void put(enum trace_kind kind, uint64_t value, uint64_t more)
{
    const struct trace_record record = { .kind = kind, .value = value, .more = more };
    uint8_t bytes[TRACE_RECORD_BYTES];

    fwrite(bytes, 1, trace_encode(&sides, &record, bytes), out);
}

/* Something else than an access follows. */
static void settle(void)
{
    if (merged) {
        put(TRACE_MERGED, merged, 0);
        merged = 0;
    }
    last_page[0] = last_page[1] = UINT64_MAX;
}

/* --- accesses --- */

static bool is_physical(uint64_t address)
{
    for (unsigned i = 0; i < PHYSICAL_PAGES; i++) {
        if (physical_pages[i] == (address & BLOCK_PAGE)) {
            return true;
        }
    }
    return false;
}

/* Where the emulator says that the access went in memory. False: it went to a device. */
static bool place_of(plugin_memory_info info, uint64_t address, uint64_t *physical)
{
    const struct qemu_plugin_hwaddr *place = qemu_plugin_get_hwaddr(info, address);

    if (!place || qemu_plugin_hwaddr_is_io(place)) {
        return false;
    }
    *physical = qemu_plugin_hwaddr_phys_addr(place);
    return hypervisor_memory(*physical, 1);
}

/*
 * Walk for @address, and compare what comes out with where a data access, of which there is @info, has gone. False: nothing is
 * to be told.
 */
static bool find(uint64_t address, const plugin_memory_info *info, struct trace_translation *found)
{
    uint64_t went;
    const bool mapped = tables_walk(in_guest, address, found);

    if (info && place_of(*info, address, &went)) {
        const bool differs = !mapped || found->frame != went / VMMU_PAGE_BYTES;

        if (went == address && differs) {
            physical_pages[physical_next++ % PHYSICAL_PAGES] = address & BLOCK_PAGE;
            return false;
        }
        compared++;
        differed += mapped && differs;
    }
    unmapped += !mapped;
    return mapped;
}

/* The page is walked for, and told of if it is news. */
static bool walk(struct trace_page *page, uint64_t key, uint64_t address, const plugin_memory_info *info)
{
    struct trace_translation found;
    struct trace_record record;

    if (!find(address, info, &found)) {
        return false;
    }
    if (page->key != key || !trace_is_same(&page->translation, &found)) {
        record = trace_translation_record(&found);
        put(record.kind, record.value, record.more);
    }
    *page = (struct trace_page){ .key = key, .translation = found, .epoch = in_guest ? epoch : 0 };
    return true;
}

static void access_page(enum trace_kind kind, uint64_t address, const plugin_memory_info *info)
{
    const uint64_t number = address / VMMU_PAGE_BYTES;
    const unsigned side = kind == TRACE_FETCH ? 0 : 1;
    const uint64_t key = trace_page_key(number, in_guest);
    struct trace_page *page;

    if (info && is_physical(address)) {
        return;
    }
    if (last_page[side] == number && (kind != TRACE_WRITE || last_dirty)) {
        merged++;
        return;
    }
    page = trace_page_at(&pages, key);
    if ((page->key != key || (in_guest && page->epoch != epoch) ||
         (kind == TRACE_WRITE && !page->translation.dirty)) &&
        !walk(page, key, address, info)) {
        return;
    }
    put(kind, number, 0);
    last_page[side] = number;
    if (side == 1) {
        last_dirty = page->translation.dirty;
    }
}

static void on_access(unsigned processor, plugin_memory_info info, uint64_t address, void *argument)
{
    const uint64_t last = address + (UINT64_C(1) << qemu_plugin_mem_size_shift(info)) - 1;
    const enum trace_kind kind = qemu_plugin_mem_is_store(info) ? TRACE_WRITE : TRACE_READ;

    (void)processor;
    (void)argument;
    if (!recording || entering) {
        return;
    }
    access_page(kind, address, &info);
    if ((address ^ last) & BLOCK_PAGE) {
        access_page(kind, last & BLOCK_PAGE, NULL);
    }
}

/* --- what the guest does to its TLB --- */

static uint64_t operand_address(const struct registers *registers)
{
    struct vmmu_x86_state state = { .cr0 = registers->cr0, .cr4 = registers->cr4, .efer = registers->efer };
    struct vmmu_insn insn;

    memcpy(state.gpr, registers->gpr, sizeof state.gpr);
    if (vmmu_insn_decode(deferred_code, deferred_bytes, VMMU_INSN_64, &insn) != VMMU_OK) {
        lost++;
        return 0;
    }
    return vmmu_insn_address(&insn, &state).v;
}

static void guest_loads_root(uint64_t cr3)
{
    if (!tables_load_root(cr3)) {
        lost++;
    }
    settle();
    put(TRACE_LOAD_ROOT, cr3 / VMMU_PAGE_BYTES, 0);
    epoch++;
}

/* The deferred instruction has been executed by itself; its registers are what they were. */
static void perform_deferred(void)
{
    const enum deferred what = deferred;
    struct registers registers;

    deferred = NOTHING;
    if (!registers_read(&registers)) {
        lost++;
        return;
    }
    switch (what) {
    case NOTHING: break;
    case LOAD_CR3: guest_loads_root(registers.cr3); break;
    case INVLPG:
        settle();
        put(TRACE_INVLPG, operand_address(&registers) / VMMU_PAGE_BYTES, 0);
        epoch++;
        break;
    case INVLPGA:
        settle();
        put(TRACE_FLUSH_PAGE, registers.gpr[0] / VMMU_PAGE_BYTES, (uint32_t)registers.gpr[1]);
        epoch++;
        break;
    }
}

/* --- world switches --- */

/* The guest has exited; what was deferred was intercepted, or came just before another exit. */
static void leave(void)
{
    const uint64_t code = now.vmcb->control.exit_code;

    if (deferred == LOAD_CR3 && code != SVM_EXIT_WRITE_CR3) {
        guest_loads_root(now.vmcb->save.cr3);
    } else if (deferred == INVLPG && code != SVM_EXIT_INVLPG) {
        lost++;
    }
    deferred = NOTHING;
    settle();
    put(TRACE_EXIT, code, 0);
    in_guest = false;
}

/* VMRUN has been executed. */
static void enter(void)
{
    const struct svm_control *const control = &now.vmcb->control;
    const bool told = hypervisor_switch(&now);
    const bool nested = control->nested_enable & 1;
    const uint64_t next_root = nested ? control->nested_root : now.vmcb->save.cr3;
    const bool root_changed = !nested && next_root != root;
    const bool asked = now.flushes - flushes > (root_changed && !now.tagged_roots);

    settle();
    put(TRACE_ENTER, next_root / VMMU_PAGE_BYTES,
        (uint64_t)(uint16_t)control->asid | (uint64_t)control->tlb_control << 16 |
            (asked ? TRACE_ENTER_ASKED : 0) | (nested ? TRACE_ENTER_NESTED : 0));
    if (!told || !tables_of_guest(now.vmcb)) {
        lost++;
    }
    epoch++;
    flushes = now.flushes;
    root = next_root;
    in_guest = true;
}

static void on_vmrun(unsigned processor, void *argument)
{
    (void)processor;
    (void)argument;
    entering = recording;
}

/* The guest begins the phases that are recorded: take the next entry for the first. */
static bool begin(void)
{
    struct registers registers;

    if (!hypervisor_switch(&now) || !registers_read(&registers) || !tables_of_hypervisor(&registers)) {
        return false;
    }
    flushes = now.flushes;
    put(TRACE_MARK, 0, 0);
    return true;
}

static void on_block(unsigned processor, void *argument)
{
    const uint64_t block = (uint64_t)(uintptr_t)argument;

    (void)processor;
    if (!recording) {
        recording = started && block & BLOCK_EXIT && begin();
    }
    if (!recording) {
        return;
    }
    if (entering) {
        entering = false;
        enter();
    }
    if (in_guest && block & BLOCK_EXIT) {
        leave();
    }
    if (deferred) {
        perform_deferred();
    }
    access_page(TRACE_FETCH, block & BLOCK_PAGE, NULL);
    if (block & BLOCK_CROSSES) {
        access_page(TRACE_FETCH, (block & BLOCK_PAGE) + VMMU_PAGE_BYTES, NULL);
    }
}

static void on_mark(unsigned processor, void *number)
{
    (void)processor;
    started = true;
    if (recording) {
        settle();
        put(TRACE_MARK, (uint64_t)(uintptr_t)number, 0);
    }
}

/* --- instructions to watch --- */

struct deferred_insn {
    struct deferred_insn *next;
    enum deferred what;
    unsigned bytes;
    uint8_t code[INSN_BYTES_MOST];
};

static void on_deferred(unsigned processor, void *argument)
{
    const struct deferred_insn *const insn = argument;

    (void)processor;
    if (recording && in_guest == (insn->what != INVLPGA)) {
        deferred = insn->what;
        deferred_bytes = insn->bytes;
        memcpy(deferred_code, insn->code, sizeof deferred_code);
    }
}

/* What the instruction is, behind its REX prefix if it has one. */
static enum deferred kind_of(const uint8_t *code, size_t bytes)
{
    if (bytes > 1 && (code[0] & 0xF0) == 0x40) {
        code++;
        bytes--;
    }
    if (bytes < 3 || code[0] != 0x0F) {
        return NOTHING;
    }
    if (code[1] == 0x22 && (code[2] >> 3 & 7) == 3) {
        return LOAD_CR3;
    }
    if (code[1] == 0x01 && code[2] == 0xDF) {
        return INVLPGA;
    }
    return code[1] == 0x01 && (code[2] >> 3 & 7) == 7 && code[2] < 0xC0 ? INVLPG : NOTHING;
}

/* Its effect will be read later: keep what it is, for as long as the emulator runs. */
static void defer(struct qemu_plugin_insn *insn, enum deferred what, const uint8_t *code, size_t bytes)
{
    static struct deferred_insn *all;
    struct deferred_insn *const kept = calloc(1, sizeof *kept);

    if (kept && bytes <= sizeof kept->code) {
        *kept = (struct deferred_insn){ .next = all, .what = what, .bytes = (unsigned)bytes };
        memcpy(kept->code, code, bytes);
        all = kept;
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_deferred, PLUGIN_NO_REGISTERS, kept);
    } else {
        free(kept);
        lost++;
    }
}

static bool is_mark(const uint8_t *code, size_t bytes)
{
    static const uint8_t head[4] = { 0x0F, 0x1F, 0x84, 0x00 };

    return bytes == MARK_BYTES && memcmp(code, head, sizeof head) == 0 && code[6] == 0x5A && code[7] == 0x5A;
}

static void watch(struct qemu_plugin_insn *insn)
{
    static const uint8_t vmrun[VMRUN_BYTES] = { 0x0F, 0x01, 0xD8 };
    const uint8_t *const code = qemu_plugin_insn_data(insn);
    const size_t bytes = qemu_plugin_insn_size(insn);
    const uint64_t address = qemu_plugin_insn_vaddr(insn);
    const enum deferred what = kind_of(code, bytes);

    qemu_plugin_register_vcpu_mem_cb(insn, on_access, PLUGIN_NO_REGISTERS, PLUGIN_READS_AND_WRITES, NULL);
    if (bytes == VMRUN_BYTES && memcmp(code, vmrun, VMRUN_BYTES) == 0) {
        behind_vmrun = address + VMRUN_BYTES;
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_vmrun, PLUGIN_NO_REGISTERS, NULL);
    }
    if (what != NOTHING) {
        defer(insn, what, code, bytes);
    }
    if (entry_address && address == entry_address) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, PLUGIN_NO_REGISTERS, NULL);
    }
    if (is_mark(code, bytes)) {
        void *const number =
            (void *)(uintptr_t)(code[4] | code[5] << 8); /* NOLINT(performance-no-int-to-ptr) */

        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, PLUGIN_NO_REGISTERS, number);
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    const size_t count = qemu_plugin_tb_n_insns(block);
    const struct qemu_plugin_insn *const last = qemu_plugin_tb_get_insn(block, count - 1);
    const uint64_t begin = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, 0));
    const uint64_t end = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last) - 1;
    const uint64_t told = (begin & BLOCK_PAGE) | ((begin ^ end) & BLOCK_PAGE ? BLOCK_CROSSES : 0) |
                          (begin == behind_vmrun ? BLOCK_EXIT : 0);

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, PLUGIN_NO_REGISTERS,
                                         (void *)(uintptr_t)told); /* NOLINT(performance-no-int-to-ptr) */
    for (size_t i = 0; i < count; i++) {
        watch(qemu_plugin_tb_get_insn(block, i));
    }
}

static void on_end(qemu_plugin_id_t id, void *argument)
{
    (void)id;
    (void)argument;
    settle();
    fclose(out);
    fprintf(stderr, "vpid-record: compared=%lu differed=%lu unmapped=%lu lost=%lu\n", compared, differed,
            unmapped, lost);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count, char **arguments)
{
    (void)info;
    for (int i = 0; i < count; i++) {
        if (strncmp(arguments[i], "out=", 4) == 0) {
            out = fopen(arguments[i] + 4, "w");
        } else if (strncmp(arguments[i], "entry=", 6) == 0) {
            entry_address = strtoull(arguments[i] + 6, NULL, 0);
        }
    }
    if (!out || !hypervisor_attach()) {
        fprintf(stderr, "vpid-record: no file to write to, or no memory to look into\n");
        return -1;
    }
    setvbuf(out, NULL, _IOFBF, OUT_BYTES);
    settle();
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
