/*
 * One pass over the input in large pieces. A line is parsed, walked and answered before the next is looked at; nothing is
 * kept but what both buffers hold.
 */
#include "tools/walk/batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/walk/hex.h"
#include "tools/walk/model.h"

#define INPUT_BYTES  ((size_t)1 << 18)
#define OUTPUT_BYTES ((size_t)1 << 18)
#define ANSWER_MOST  ((size_t)160) /* bytes of one answer */

#define DIGITS_MOST  16

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

const char *batch_parse(const char *at, const char *end, uint64_t *address, bool *found)
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

/* What a batch works with. */
struct work {
    const struct batch *batch;
    struct batch_result *result;
    struct vmmu_x86_mode mode;
    bool wide;     /* linear addresses have more than 32 bits */
    uint64_t line; /* that is looked at, from 1 */
    size_t used;   /* of output */
    char input[INPUT_BYTES + 1];
    char output[OUTPUT_BYTES];
};

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

static inline char *put_text(char *to, const char *text)
{
    const size_t length = strlen(text);

    memcpy(to, text, length);
    return to + length;
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

static inline char *put_rights(char *to, uint8_t rights)
{
    to[0] = (rights & VMMU_X86_RIGHT_READ) ? 'r' : '-';
    to[1] = (rights & VMMU_X86_RIGHT_WRITE) ? 'w' : '-';
    to[2] = (rights & VMMU_X86_RIGHT_EXECUTE) ? 'x' : '-';
    to[3] = (rights & VMMU_X86_RIGHT_USER) ? 'u' : 's';
    return to + 4;
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

static char *put_line(const struct work *work, char *to, uint64_t va, const struct answer *answer)
{
    to = put_hex(to, va, work->wide);
    if (answer->word == NULL) {
        *to++ = ' ';
        to = put_hex(to, answer->pa, true);
        memcpy(to, size_word(answer->page_bytes), 4);
        to = put_rights(to + 4, answer->rights);
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
        to = put_rights(put_text(to, ",\"rights\":\""), answer->rights);
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

static inline void walk_one_stage(const struct work *work, uint64_t va, struct answer *answer)
{
    struct vmmu_x86_translate_result found;
    const enum vmmu_status status = vmmu_x86_translate(&work->mode, work->batch->machine->ram,
                                                       (vmmu_gva){ va }, work->batch->access, &found);

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

static void walk_two_stages(const struct work *work, uint64_t va, struct answer *answer)
{
    const struct vmmu_x86_stage2 *second = &work->batch->machine->second;
    const bool ept = second->kind == VMMU_X86_STAGE2_EPT;
    struct vmmu_x86_nested_result found;
    const enum vmmu_status status =
        vmmu_x86_walk_nested(&work->mode, second, (vmmu_gva){ va }, work->batch->access, &found);

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

static inline void answer_address(struct work *work, uint64_t va)
{
    char *const to = work->output + work->used;
    struct answer answer;
    char *end;

    if (work->batch->machine->has_second) {
        walk_two_stages(work, va, &answer);
    } else {
        walk_one_stage(work, va, &answer);
    }
    if (answer.word == NULL) {
        work->result->translated++;
    } else {
        work->result->faults++;
    }
    end = work->batch->json ? put_json(to, va, &answer) : put_line(work, to, va, &answer);
    work->used += (size_t)(end - to);
}

/* --- input and output --- */

static bool flush(struct work *work, struct complaint *complaint)
{
    for (size_t done = 0; done < work->used;) {
        const ssize_t written = write(work->batch->output, work->output + done, work->used - done);

        if (written < 0 && errno != EINTR) {
            return complain(complaint, "the output cannot be written: %s", strerror(errno));
        }
        done += written > 0 ? (size_t)written : 0;
    }
    work->used = 0;
    return true;
}

/* Every line of [at, end), which ends in a newline. */
static bool answer_lines(struct work *work, const char *at, const char *end, struct complaint *complaint)
{
    while (at < end) {
        uint64_t va;
        bool found;

        at = batch_parse(at, end, &va, &found);
        work->line++;
        if (!at) {
            return complain(complaint,
                            "%s: line %" PRIu64 " is no address: give hexadecimal digits, 16 at most",
                            work->batch->name, work->line);
        }
        if (!found) {
            continue;
        }
        answer_address(work, va);
        if (work->used > OUTPUT_BYTES - ANSWER_MOST && !flush(work, complaint)) {
            return false;
        }
    }
    return true;
}

/* Read behind what is @held already: bytes, 0 at the end, -1 and *complaint. */
static ssize_t read_more(struct work *work, size_t held, struct complaint *complaint)
{
    ssize_t count;

    do {
        count = read(work->batch->input, work->input + held, INPUT_BYTES - held);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        complain(complaint, "%s: %s", work->batch->name, strerror(errno));
    }
    return count;
}

static bool answer_input(struct work *work, struct complaint *complaint)
{
    size_t held = 0; /* bytes of a line that has not ended */

    for (;;) {
        const ssize_t count = read_more(work, held, complaint);

        if (count < 0) {
            return false;
        }
        if (count == 0) {
            work->input[held] = '\n'; /* of a last line without one */
            return held == 0 || answer_lines(work, work->input, work->input + held + 1, complaint);
        }
        const char *const end = work->input + held + (size_t)count;
        const char *const newline = memrchr(work->input, '\n', held + (size_t)count);

        held += (size_t)count;
        if (newline) {
            if (!answer_lines(work, work->input, newline + 1, complaint)) {
                return false;
            }
            held = (size_t)(end - (newline + 1));
            memmove(work->input, newline + 1, held);
            /* Whoever writes an address and waits for its answer must get it. */
            if ((size_t)count < INPUT_BYTES / 2 && !flush(work, complaint)) {
                return false;
            }
        } else if (held == INPUT_BYTES) {
            return complain(complaint, "%s: line %" PRIu64 " is too long", work->batch->name, work->line + 1);
        }
    }
}

bool batch_run(const struct batch *batch, struct batch_result *result, struct complaint *complaint)
{
    const struct vmmu_x86_mode *mode = &batch->machine->mode;
    struct work *work = take_memory(1, sizeof(*work));
    struct complaint ignored;
    bool done;

    *result = (struct batch_result){ 0 };
    work->batch = batch;
    work->result = result;
    work->mode = batch->judged ? *mode : walk_open_mode(mode);
    work->wide = mode->address_bits != 32;
    done = answer_input(work, complaint);
    /* The lines before a bad one have been answered; only the first complaint counts. */
    done = flush(work, done ? complaint : &ignored) && done;
    free(work);
    return done;
}
