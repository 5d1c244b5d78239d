#include "registers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct emulated_processor;

struct emulated_processor *qemu_get_cpu(int index);
void cpu_dump_state(struct emulated_processor *processor, FILE *out, int flags);

#define TEXT_BYTES 8192

static const char *const gpr_names[16] = { "AX=",  "CX=",  "DX=",  "BX=",  "SP=",  "BP=",  "SI=",  "DI=",
                                           "R8 =", "R9 =", "R10=", "R11=", "R12=", "R13=", "R14=", "R15=" };

/* The number behind @name; 32-bit code has no R8 and its like, which read as 0. */
static bool number_behind(const char *text, const char *name, uint64_t *number)
{
    const char *const at = strstr(text, name);

    *number = at ? strtoull(at + strlen(name), NULL, 16) : 0;
    return at;
}

bool registers_read(struct registers *registers)
{
    static char text[TEXT_BYTES];
    FILE *out = fmemopen(text, sizeof text, "w");
    bool found = out;

    if (!out) {
        return false;
    }
    cpu_dump_state(qemu_get_cpu(0), out, 0);
    fclose(out);
    for (unsigned i = 0; i < 16; i++) {
        found = number_behind(text, gpr_names[i], &registers->gpr[i]) || i >= 8 ? found : false;
    }
    return number_behind(text, "CR0=", &registers->cr0) && number_behind(text, "CR3=", &registers->cr3) &&
           number_behind(text, "CR4=", &registers->cr4) && number_behind(text, "EFER=", &registers->efer) &&
           found;
}
