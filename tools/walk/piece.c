/*
 * Lines of addresses to lines of answers.
 */
#include "tools/walk/piece.h"

#include <string.h>

#include "tools/walk/hex.h"
#include "tools/walk/names.h"

#define ANSWER_MOST ((size_t)160) /* bytes of one answer */
#define DIGITS_MOST 16

/* The value of each hexadecimal digit, plus one; zero for what is none. */
static const uint8_t digit_numbers[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static inline const char *skip_blanks(const char *at)
{
    while (is_blank(*at)) {
        at++;
    }
    return at;
}

/* The start of the next line, if nothing but a comment is left of this one. */
static inline const char *end_line(const char *at, const char *end)
{
    at = skip_blanks(at);
    if (*at == '#') {
        at = memchr(at, '\n', (size_t)(end - at));
    }
    return at && *at == '\n' ? at + 1 : NULL;
}

/* Sixteen digits and a newline, as the addresses of a 64-bit kernel are most often written. */
static inline bool parse_plain(const char *at, const char *end, uint64_t *address)
{
    uint32_t high, low;

    if (end - at <= DIGITS_MOST || at[DIGITS_MOST] != '\n' || !hex_parse(at, &high) ||
        !hex_parse(at + HEX_DIGITS, &low)) {
        return false;
    }
    *address = (uint64_t)high << 32 | low;
    return true;
}

const char *piece_parse(const char *at, const char *end, uint64_t *address, bool *found)
{
    uint64_t value = 0;
    uint8_t number;

    if (parse_plain(at, end, address)) {
        *found = true;
        return at + DIGITS_MOST + 1;
    }

    at = skip_blanks(at);
    *found = false;
    if (*at == '\n' || *at == '#') {
        return end_line(at, end);
    }
    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        at += 2;
    }
    const char *first = at;

    while ((number = digit_numbers[(uint8_t)*at]) != 0) {
        value = value << 4 | (number - 1U);
        at++;
    }
    if (at == first || at - first > DIGITS_MOST) {
        return NULL;
    }
    *address = value;
    *found = true;
    return *at == '\n' ? at + 1 : end_line(at, end);
}

/* --- answers --- */

/* One answer. */
struct answer {
    uint64_t pa;
    uint64_t page_bytes;
    uint8_t rights;
    const char *word; /* if it is a fault: NULL for #PF */
    uint64_t error;
    bool has_error;
};

/* Eight digits, or sixteen if @wide. */
static inline char *put_hex(char *to, uint64_t value, bool wide)
{
    if (wide) {
        hex_print(to, (uint32_t)(value >> 32));
        to += HEX_DIGITS;
    }
    hex_print(to, (uint32_t)value);
    return to + HEX_DIGITS;
}

/* The zero behind it is where the next part goes. */
static inline char *put_text(char *to, const char *text)
{
    return stpcpy(to, text);
}

/* Without leading zeros. */
static char *put_short_hex(char *to, uint64_t value)
{
    unsigned shift = 0;

    while (shift < 60 && value >> (shift + 4) != 0) {
        shift += 4;
    }
    for (;; shift -= 4) {
        *to++ = "0123456789abcdef"[(value >> shift) & 15];
        if (shift == 0) {
            return to;
        }
    }
}

static char *put_decimal(char *to, uint64_t value)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        *to++ = digits[--count];
    }
    return to;
}

/* Every size has two characters. */
static inline const char *size_word(uint64_t page_bytes)
{
    switch (page_bytes) {
    case VMMU_PAGE_BYTES: return " 4K ";
    case VMMU_2M_BYTES: return " 2M ";
    case 2 * VMMU_2M_BYTES: return " 4M ";
    case VMMU_1G_BYTES: return " 1G ";
    default: return " 4G ";
    }
}

static char *put_line(const struct piece_task *task, char *to, uint64_t va, const struct answer *answer)
{
    to = put_hex(to, va, task->wide);
    if (answer->word == NULL) {
        *to++ = ' ';
        to = put_hex(to, answer->pa, true);
        memcpy(to, size_word(answer->page_bytes), 4);
        to = rights_put(to + 4, answer->rights);
    } else {
        to = put_text(to, " fault");
        if (answer->word[0] != '\0') {
            *to++ = ' ';
            to = put_text(to, answer->word);
        }
        if (answer->has_error) {
            *to++ = ' ';
            to = put_short_hex(to, answer->error);
        }
    }
    *to++ = '\n';
    return to;
}

static char *put_json(char *to, uint64_t va, const struct answer *answer)
{
    to = put_short_hex(put_text(to, "{\"va\":\"0x"), va);
    if (answer->word == NULL) {
        to = put_short_hex(put_text(to, "\",\"pa\":\"0x"), answer->pa);
        to = put_decimal(put_text(to, "\",\"page_bytes\":"), answer->page_bytes);
        to = rights_put(put_text(to, ",\"rights\":\""), answer->rights);
        return put_text(to, "\"}\n");
    }
    to = put_text(put_text(to, "\",\"fault\":\""), answer->word[0] != '\0' ? answer->word : "pf");
    *to++ = '"';
    if (answer->has_error) {
        to = put_short_hex(put_text(to, ",\"error\":\"0x"), answer->error);
        *to++ = '"';
    }
    return put_text(to, "}\n");
}

/* --- walks --- */

static void answer_guest_fault(const struct vmmu_x86_fault *fault, struct answer *answer)
{
    const bool page_fault = fault->vector == VMMU_X86_VECTOR_PF;

    *answer = (struct answer){ .word = page_fault ? "" : "gp",
                               .has_error = page_fault,
                               .error = fault->error_code };
}

static inline void walk_one_stage(const struct piece_task *task, uint64_t va, struct answer *answer)
{
    struct vmmu_x86_translate_result found;
    const enum vmmu_status status =
        vmmu_x86_translate(&task->mode, task->machine->ram, (vmmu_gva){ va }, task->access, &found);

    if (status == VMMU_OK) {
        answer->pa = found.translation.gpa.v;
        answer->page_bytes = found.translation.page_bytes;
        answer->rights = found.translation.rights;
        answer->word = NULL;
    } else if (status == VMMU_GUEST_FAULT) {
        answer_guest_fault(&found.fault, answer);
    } else {
        *answer = (struct answer){ .word = "absent" };
    }
}

static void walk_two_stages(const struct piece_task *task, uint64_t va, struct answer *answer)
{
    const struct vmmu_x86_stage2 *second = &task->machine->second;
    const bool ept = second->kind == VMMU_X86_STAGE2_EPT;
    struct vmmu_x86_nested_result found;
    const enum vmmu_status status =
        vmmu_x86_walk_nested(&task->mode, second, (vmmu_gva){ va }, task->access, &found);

    if (status == VMMU_GUEST_FAULT) {
        answer_guest_fault(&found.fault, answer);
    } else if (status == VMMU_STAGE2) {
        const struct vmmu_x86_stage2_fault *fault = &found.stage2_fault;

        *answer = (struct answer){ .word = ept ? "ept" : "npf",
                                   .has_error = true,
                                   .error = ept ? fault->qualification : fault->exitinfo1 };
    } else if (status != VMMU_OK) {
        *answer = (struct answer){ .word = "absent" };
    } else {
        const uint64_t guest_bytes = found.guest.page_bytes;
        const uint64_t host_bytes = found.host.page_bytes;

        *answer = (struct answer){ .pa = found.host.hpa.v,
                                   .page_bytes = guest_bytes < host_bytes ? guest_bytes : host_bytes,
                                   .rights = found.guest.rights & found.host.rights };
    }
}

static inline void answer_address(const struct piece_task *task, uint64_t va, struct piece *piece)
{
    char *const to = piece->output + piece->output_bytes;
    struct answer answer;
    char *end;

    if (task->machine->has_second) {
        walk_two_stages(task, va, &answer);
    } else {
        walk_one_stage(task, va, &answer);
    }
    if (answer.word == NULL) {
        piece->translated++;
    } else {
        piece->faults++;
    }
    end = task->json ? put_json(to, va, &answer) : put_line(task, to, va, &answer);
    piece->output_bytes += (size_t)(end - to);
}

void piece_answer(const struct piece_task *task, struct piece *piece)
{
    const char *at = piece->input;
    const char *const end = piece->input + piece->input_bytes;

    piece->output_bytes = 0;
    piece->lines = 0;
    piece->translated = 0;
    piece->faults = 0;
    piece->bad = false;
    while (at < end) {
        uint64_t va;
        bool found;

        at = piece_parse(at, end, &va, &found);
        piece->lines++;
        if (!at || (found && !task->wide && va > UINT32_MAX)) {
            piece->bad = true;
            return;
        }
        if (!found) {
            continue;
        }
        if (piece->output_room - piece->output_bytes < ANSWER_MOST) {
            const size_t room = piece->output_room + 16 * PIECE_BYTES;

            piece->output = grow_memory(piece->output, piece->output_room, room, 1);
            piece->output_room = room;
        }
        answer_address(task, va, piece);
    }
}
