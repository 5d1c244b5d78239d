/*
 * A TCG plugin for QEMU 7.2: counts every instruction that the emulated machine executes, tells those of a guest under
 * SVM from those of its hypervisor, and prints the counts wherever the program under measurement executes a mark.
 *
 * A guest's instructions are those between a VMRUN and the instruction that stands behind it, which is where #VMEXIT
 * resumes. A mark is a long no-operation with a number in its displacement (bench/mark.h): it works at any privilege and
 * causes no exit.
 *
 * A line of output:  mark NUMBER all=INSTRUCTIONS guest=INSTRUCTIONS entries=VMRUNS
 * The mark "entry", number 0, is printed whenever the address given as entry=ADDRESS is executed.
 *
 * Under our own hypervisor it tells more, if asked; bench/benchlib/reasons.py reads it:
 *   reasons=on           behind each mark, exits by reason and the counters of the MMU (hypervisor.h); behind one of them
 *                        the guest's page tables, too
 *   profile=on           behind each mark, how often each of the hypervisor's instructions was executed
 *   trace=MARK+SKIP+MOST each exit behind that mark, one line each: MOST of them, after the first SKIP
 *
 * Debian ships no header for plugins; what is used of the interface (version 1) is declared here.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor.h"
#include "mark.h"

typedef uint64_t qemu_plugin_id_t;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum plugin_registers { PLUGIN_NO_REGISTERS };
enum plugin_operation { PLUGIN_ADD };
typedef void (*translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*executed)(unsigned processor, void *argument);
typedef void (*ended)(qemu_plugin_id_t id, void *argument);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated callback);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed callback,
                                            enum plugin_registers registers, void *argument);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
                                                enum plugin_operation operation, void *counter,
                                                uint64_t amount);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, ended callback, void *argument);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = 1;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count,
                                 char **arguments);

#define VMRUN_PLACES 8
#define VMRUN_BYTES  3
#define MARK_BYTES   8

static const uint8_t vmrun_code[VMRUN_BYTES] = { 0x0F, 0x01, 0xD8 };

static FILE *out;
static uint64_t executed_all;
static uint64_t executed_guest; /* up to the last exit */
static uint64_t entered_at;     /* executed_all at the VMRUN that the guest runs under */
static uint64_t entries;
static bool in_guest;
static uint64_t exited_at; /* executed_all at the last exit */
static uint64_t entry_address;
static uint64_t vmrun_places[VMRUN_PLACES];
static unsigned vmrun_count;

static bool reasons;
static bool profile;
static uint64_t profiled[HYPERVISOR_WINDOW_BYTES]; /* executions, by the instruction's place in the window */
static unsigned trace_mark;
static unsigned trace_skip;
static unsigned trace_left; /* exits still to be printed, once the mark has been seen */
static unsigned trace_most;

static void print_counts(const char *kind, unsigned number)
{
    const uint64_t guest = executed_guest + (in_guest ? executed_all - entered_at : 0);

    fprintf(out, "%s %u all=%lu guest=%lu entries=%lu\n", kind, number, executed_all, guest, entries);
    if (reasons) {
        hypervisor_print(out);
    }
    if (reasons && number == MARK_TABLES) {
        hypervisor_print_tables(out);
    }
    for (unsigned i = 0; profile && i < HYPERVISOR_WINDOW_BYTES; i++) {
        if (profiled[i]) {
            fprintf(out, "at %x %lu\n", i, profiled[i]);
        }
    }
    fflush(out);
}

static void start_trace(unsigned mark)
{
    trace_left = trace_most && mark == trace_mark ? trace_skip + trace_most : 0;
}

static void on_mark(unsigned processor, void *number)
{
    const unsigned mark = (unsigned)(uintptr_t)number;

    (void)processor;
    print_counts("mark", mark);
    start_trace(mark);
}

static void look_at_hypervisor(void)
{
    const struct entry_counts counts = { .hypervisor = executed_all - exited_at,
                                         .guest = exited_at - entered_at };

    hypervisor_entry(out, &counts, trace_left && trace_left <= trace_most);
    trace_left -= trace_left > 0;
}

static void on_entry(unsigned processor, void *argument)
{
    (void)processor;
    (void)argument;
    print_counts("entry", 0);
    start_trace(0);
}

static void on_vmrun(unsigned processor, void *argument)
{
    (void)processor;
    (void)argument;
    if (reasons) {
        look_at_hypervisor();
    }
    entries++;
    entered_at = executed_all;
    in_guest = true;
}

/* Runs after the instruction behind VMRUN has been counted, which is the hypervisor's. */
static void on_exit_place(unsigned processor, void *argument)
{
    (void)processor;
    (void)argument;
    if (in_guest) {
        exited_at = executed_all - 1;
        executed_guest += exited_at - entered_at;
        in_guest = false;
    }
}

static void note_vmrun(uint64_t address)
{
    for (unsigned i = 0; i < vmrun_count; i++) {
        if (vmrun_places[i] == address) {
            return;
        }
    }
    if (vmrun_count < VMRUN_PLACES) {
        vmrun_places[vmrun_count++] = address;
    }
}

static bool follows_vmrun(uint64_t address)
{
    for (unsigned i = 0; i < vmrun_count; i++) {
        if (vmrun_places[i] + VMRUN_BYTES == address) {
            return true;
        }
    }
    return false;
}

static bool is_mark(const uint8_t *code, size_t bytes)
{
    static const uint8_t head[4] = { 0x0F, 0x1F, 0x84, 0x00 };

    return bytes == MARK_BYTES && memcmp(code, head, sizeof head) == 0 && code[6] == 0x5A && code[7] == 0x5A;
}

static void watch(struct qemu_plugin_insn *insn)
{
    const uint8_t *code = qemu_plugin_insn_data(insn);
    const size_t bytes = qemu_plugin_insn_size(insn);
    const uint64_t address = qemu_plugin_insn_vaddr(insn);

    qemu_plugin_register_vcpu_insn_exec_inline(insn, PLUGIN_ADD, &executed_all, 1);
    if (profile && address - HYPERVISOR_WINDOW < HYPERVISOR_WINDOW_BYTES) {
        qemu_plugin_register_vcpu_insn_exec_inline(insn, PLUGIN_ADD, &profiled[address - HYPERVISOR_WINDOW],
                                                   1);
    }
    if (follows_vmrun(address)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_exit_place, PLUGIN_NO_REGISTERS, NULL);
    }
    if (bytes == VMRUN_BYTES && memcmp(code, vmrun_code, VMRUN_BYTES) == 0) {
        note_vmrun(address);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_vmrun, PLUGIN_NO_REGISTERS, NULL);
    }
    if (entry_address && address == entry_address) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_entry, PLUGIN_NO_REGISTERS, NULL);
    }
    if (is_mark(code, bytes)) {
        void *number = (void *)(uintptr_t)(code[4] | code[5] << 8);

        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, PLUGIN_NO_REGISTERS, number);
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        watch(qemu_plugin_tb_get_insn(block, i));
    }
}

static void on_end(qemu_plugin_id_t id, void *argument)
{
    (void)id;
    (void)argument;
    print_counts("end", 0);
    fclose(out);
}

/* Whether @argument is understood. */
static bool take_argument(const char *argument)
{
    if (strncmp(argument, "out=", 4) == 0) {
        out = fopen(argument + 4, "w");
        if (!out) {
            perror(argument + 4);
        }
        return out;
    }
    if (strncmp(argument, "entry=", 6) == 0) {
        entry_address = strtoull(argument + 6, NULL, 0);
        return true;
    }
    if (strcmp(argument, "reasons=on") == 0) {
        reasons = hypervisor_attach();
        return reasons;
    }
    if (strcmp(argument, "profile=on") == 0) {
        profile = true;
        return true;
    }
    return sscanf(argument, "trace=%u+%u+%u", &trace_mark, &trace_skip, &trace_most) == 3;
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count, char **arguments)
{
    (void)info;
    out = stderr;
    for (int i = 0; i < count; i++) {
        if (!take_argument(arguments[i])) {
            fprintf(stderr, "count: argument %s\n", arguments[i]);
            return -1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
