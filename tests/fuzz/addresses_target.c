/*
 * Lists of addresses, as vmmu walk --batch reads them: every line is answered once, in order, or the list is refused at the
 * line that is no address.
 *
 * The first byte of an input chooses the machine and the form of the answers; the rest is the list.
 */
#include <ctype.h>

#include "input.h"
#include "tools/walk/piece.h"

#define TABLES 4

/* Tables that map the first 2 MiB and nothing else, by 4-level paging or 32-bit paging. */
static uint64_t memory[TABLES][512];

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    (void)context;
    if (address > sizeof(memory) - width_bytes) {
        return VMMU_ABSENT;
    }
    *value = 0;
    memcpy(value, (const uint8_t *)memory + address, width_bytes);
    return VMMU_OK;
}

static const struct vmmu_ram ram = { .load = load };

static struct machine make_machine(bool wide)
{
    const struct vmmu_x86_cpu cpu = {
        .maxphyaddr = 36, .pse = true, .pae = true, .nx = true, .long_mode = true
    };
    struct machine machine;

    memset(&machine, 0, sizeof(machine));
    machine.ram = &ram;
    machine.registers = (struct vmmu_x86_paging_registers){
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_PG,
        .cr3 = 0x1000,
        .cr4 = wide ? VMMU_X86_CR4_PAE : VMMU_X86_CR4_PSE,
        .efer = wide ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0,
    };
    FUZZ_CHECK(vmmu_mode_make(&cpu, &machine.registers, &machine.mode) == VMMU_OK);
    memory[1][0] = wide ? 0x2007 : 0x87;
    memory[2][0] = 0x3007;
    memory[3][0] = 0x87;
    return machine;
}

/* What one line is, by the rule once more, one character at a time. */
enum line { LINE_EMPTY, LINE_ADDRESS, LINE_BAD };

static enum line read_line(const char *at, const char *end, uint64_t *address)
{
    unsigned digits = 0;

    while (at < end && strchr(" \t\r", *at) && *at != '\0') {
        at++;
    }
    if (at == end || *at == '#') {
        return LINE_EMPTY;
    }
    if (end - at >= 2 && at[0] == '0' && tolower((unsigned char)at[1]) == 'x') {
        at += 2;
    }
    for (*address = 0; at < end && isxdigit((unsigned char)*at); at++, digits++) {
        const char digit = (char)tolower((unsigned char)*at);

        *address = *address * 16 + (uint64_t)(isdigit((unsigned char)digit) ? digit - '0' : digit - 'a' + 10);
    }
    while (at < end && strchr(" \t\r", *at) && *at != '\0') {
        at++;
    }
    return digits >= 1 && digits <= 16 && (at == end || *at == '#') ? LINE_ADDRESS : LINE_BAD;
}

/* The next answer is of @address; returns where the one behind it begins. */
static const char *check_answer(const struct piece_task *task, const char *answer, const char *end,
                                uint64_t address)
{
    char expected[32];

    if (task->json) {
        snprintf(expected, sizeof(expected), "{\"va\":\"0x%llx\",\"", (unsigned long long)address);
    } else if (task->wide) {
        snprintf(expected, sizeof(expected), "%016llx ", (unsigned long long)address);
    } else {
        snprintf(expected, sizeof(expected), "%08x ", (unsigned)address);
    }
    FUZZ_CHECK((size_t)(end - answer) > strlen(expected));
    FUZZ_CHECK(memcmp(answer, expected, strlen(expected)) == 0);
    const char *newline = memchr(answer, '\n', (size_t)(end - answer));

    FUZZ_CHECK(newline != NULL);
    return newline + 1;
}

static void check(const struct piece_task *task, const struct piece *piece)
{
    const char *line = piece->input;
    const char *answer = piece->output ? piece->output : "";
    const char *const end = answer + piece->output_bytes;
    uint64_t addresses = 0;

    for (uint64_t i = 0; i < piece->lines; i++) {
        const char *newline = memchr(line, '\n', (size_t)(piece->input + piece->input_bytes - line));
        uint64_t address;
        enum line kind;

        FUZZ_CHECK(newline != NULL);
        kind = read_line(line, newline, &address);
        if (kind == LINE_ADDRESS && !task->wide && address > UINT32_MAX) {
            kind = LINE_BAD;
        }
        FUZZ_CHECK((kind == LINE_BAD) == (piece->bad && i + 1 == piece->lines));
        if (kind == LINE_ADDRESS) {
            answer = check_answer(task, answer, end, address);
            addresses++;
        }
        line = newline + 1;
    }
    FUZZ_CHECK(piece->bad || line == piece->input + piece->input_bytes);
    FUZZ_CHECK(answer == end && addresses == piece->translated + piece->faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct piece piece;
    const uint8_t choice = size > 0 ? data[0] : 0;
    const bool wide = (choice & 1) == 0;
    const struct machine machine = make_machine(wide);
    const struct piece_task task = {
        .machine = &machine,
        .mode = machine.mode,
        .access = { .kind = VMMU_X86_READ, .user = (choice & 4) != 0 },
        .json = (choice & 2) != 0,
        .wide = wide,
    };

    if (size < 2 || size - 1 > PIECE_BYTES) {
        return 0;
    }
    memcpy(piece.input, data + 1, size - 1);
    piece.input[size - 1] = '\n';
    piece.input_bytes = size;
    piece_answer(&task, &piece);
    check(&task, &piece);
    free(piece.output);
    piece.output = NULL;
    piece.output_room = 0;
    return 0;
}
