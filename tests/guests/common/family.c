#include "tests/guests/common/family.h"

#include <stddef.h>

#include "tests/guests/common/report.h"
#include "tests/guests/common/smp.h"

#define WAIT_ROUNDS 200000
#define BEAT_ROUNDS 3000

/* As paging.c has them; a parent of either width may have a child of either. */
#define BASE_32     UINT64_C(0x40000000)
#define BASE_PAE    UINT64_C(0x80000000)
#define BASE_64     UINT64_C(0x0000700040000000)

struct family family;

/* Where its mailboxes are: found once, because they do not move. */
static uint64_t mailboxes[CHILD_VPS];

struct target child(unsigned vp)
{
    return (struct target){ CHILD_PARTITION, vp };
}

uint64_t family_va(unsigned page)
{
    return family.base + page * (uint64_t)PAGE_BYTES;
}

uint64_t family_gpa(uint64_t va)
{
    struct translation found;
    const enum status status = translate(child(0), TRANSLATE_READ, va, &found);
    if (status != STATUS_SUCCESS || found.code != 0) {
        bail_out("%q cannot be translated: status %u, code %u", va, (unsigned)status, found.code);
    }
    return found.page * PAGE_BYTES + (va & (PAGE_BYTES - 1));
}

uint64_t family_read_gpa(uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;
    uint32_t code = 0;
    const enum status status = gpa_read(child(0), gpa, &value, bytes, &code);
    if (status != STATUS_SUCCESS || code != 0) {
        bail_out("%q cannot be read: status %u, code %u", gpa, (unsigned)status, code);
    }
    return value;
}

void family_write_gpa(uint64_t gpa, uint64_t value, unsigned bytes)
{
    uint32_t code = 0;
    const enum status status = gpa_write(child(0), gpa, &value, bytes, &code);
    if (status != STATUS_SUCCESS || code != 0) {
        bail_out("%q cannot be written: status %u, code %u", gpa, (unsigned)status, code);
    }
}

uint64_t family_read(uint64_t va, unsigned bytes)
{
    return family_read_gpa(family_gpa(va), bytes);
}

void family_write(uint64_t va, uint64_t value, unsigned bytes)
{
    family_write_gpa(family_gpa(va), value, bytes);
}

/* Whether the mailbox of @vp can be reached, and is ready. While the child has no paging yet, anything may be there. */
static bool find_mailbox(unsigned vp)
{
    struct translation found;
    uint64_t magic = 0;
    uint32_t code = 0;
    if (translate(child(0), TRANSLATE_READ, family_va(PAGE_MAILBOX + vp), &found) != STATUS_SUCCESS ||
        found.code != 0) {
        return false;
    }
    mailboxes[vp] = found.page * PAGE_BYTES;
    return gpa_read(child(0), mailboxes[vp], &magic, sizeof(magic), &code) == STATUS_SUCCESS && code == 0 &&
           magic == FAMILY_MAGIC;
}

bool family_find(void)
{
    const bool pae = option("child=pae");
    family.long_mode = option("child=64");
    family.wide_entries = family.long_mode || pae;
    family.has_reserved = family.wide_entries;
    family.base = family.long_mode ? BASE_64 : pae ? BASE_PAE : BASE_32;
    for (unsigned vp = 0; vp < CHILD_VPS; vp++) {
        unsigned round = 0;
        while (!find_mailbox(vp)) {
            if (round++ == WAIT_ROUNDS) {
                return false;
            }
            smp_linger(10);
        }
    }
    return true;
}

uint64_t mail(unsigned vp, enum mail word)
{
    return family_read_gpa(mailboxes[vp] + 8 * (uint64_t)word, 8);
}

static void post(unsigned vp, enum mail word, uint64_t value)
{
    family_write_gpa(mailboxes[vp] + 8 * (uint64_t)word, value, 8);
}

void command_begin(unsigned vp, enum command command, uint64_t first, uint64_t second)
{
    post(vp, MAIL_FIRST, first);
    post(vp, MAIL_SECOND, second);
    post(vp, MAIL_COMMAND, (uint64_t)command);
}

bool command_ended(unsigned vp)
{
    return mail(vp, MAIL_COMMAND) == COMMAND_NONE;
}

bool command_wait(unsigned vp)
{
    for (unsigned round = 0; round < WAIT_ROUNDS; round++) {
        if (command_ended(vp)) {
            return true;
        }
        smp_linger(5);
    }
    return false;
}

uint64_t command(unsigned vp, enum command command, uint64_t first, uint64_t second)
{
    command_begin(vp, command, first, second);
    if (!command_wait(vp)) {
        bail_out("processor %u of the child does not end command %u", vp, (unsigned)command);
    }
    return mail(vp, MAIL_ANSWER);
}

bool family_beats(unsigned vp)
{
    const uint64_t before = mail(vp, MAIL_BEATS);
    for (unsigned round = 0; round < BEAT_ROUNDS; round++) {
        if (mail(vp, MAIL_BEATS) != before) {
            return true;
        }
        cpu_pause();
    }
    return false;
}

enum status family_leave(void)
{
    struct value value;
    enum status status = STATUS_SUCCESS;
    command_begin(0, COMMAND_LEAVE, 0, 0);
    for (unsigned round = 0; round < WAIT_ROUNDS && status == STATUS_SUCCESS; round++) {
        status = register_get(child(1), REGISTER_CR3, &value);
        smp_linger(5);
    }
    return status;
}
