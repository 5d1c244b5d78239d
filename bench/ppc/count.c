/*
 * A TCG plugin for QEMU 7.2: counts every instruction that an emulated e500 executes, tells the hypervisor's from its guests', and
 * prints the counts wherever the program under measurement executes a mark (mark.h).
 *
 * The hypervisor's are those in its window of addresses, where no guest that is measured executes anything: its text lies there,
 * and guests that are measured are Linux without modules and small images far below. A trap is a passage from outside the window
 * into it. Natively there is no hypervisor, and all is the guest's.
 *
 * A line of output:  mark NUMBER all=INSTRUCTIONS hv=INSTRUCTIONS traps=TRAPS
 *
 * Debian ships no header for plugins; what is used of the interface (version 1) is declared here.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

typedef uint64_t qemu_plugin_id_t;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum plugin_registers { PLUGIN_NO_REGISTERS };
typedef void (*translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*executed)(unsigned processor, void *argument);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated callback);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed callback,
                                            enum plugin_registers registers, void *argument);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = 1;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count,
                                 char **arguments);

static FILE *out;
static uint64_t window_first,
    window_last; /* of the hypervisor's text; an empty one: there is no hypervisor */
static uint64_t executed_guest, executed_hypervisor, traps;
static bool in_hypervisor;

static void on_guest(unsigned processor, void *argument)
{
    (void)processor;
    (void)argument;
    executed_guest++;
    in_hypervisor = false;
}

static void on_hypervisor(unsigned processor, void *argument)
{
    (void)processor;
    (void)argument;
    executed_hypervisor++;
    traps += !in_hypervisor;
    in_hypervisor = true;
}

static void on_mark(unsigned processor, void *number)
{
    (void)processor;
    fprintf(out, "mark %u all=%lu hv=%lu traps=%lu\n", (unsigned)(uintptr_t)number,
            executed_guest + executed_hypervisor, executed_hypervisor, traps);
    fflush(out);
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        const uint64_t at = qemu_plugin_insn_vaddr(insn);
        const uint32_t code = big_endian(qemu_plugin_insn_data(insn));
        const bool ours = at >= window_first && at < window_last;

        qemu_plugin_register_vcpu_insn_exec_cb(insn, ours ? on_hypervisor : on_guest, PLUGIN_NO_REGISTERS,
                                               NULL);
        if ((code & MARK_CODE_MASK) == MARK_CODE) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, PLUGIN_NO_REGISTERS,
                                                   (void *)(uintptr_t)(code & ~MARK_CODE_MASK));
        }
    }
}

/* The value of @argument if it is that of @name, or NULL. */
static const char *value_of(const char *argument, const char *name)
{
    const size_t length = strlen(name);

    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count, char **arguments)
{
    (void)info;
    out = stderr;
    for (int i = 0; i < count; i++) {
        const char *path = value_of(arguments[i], "out");
        const char *first = value_of(arguments[i], "first");
        const char *last = value_of(arguments[i], "last");

        if (path) {
            out = fopen(path, "w");
        }
        window_first = first ? strtoull(first, NULL, 0) : window_first;
        window_last = last ? strtoull(last, NULL, 0) : window_last;
    }
    if (!out) {
        perror("count");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
