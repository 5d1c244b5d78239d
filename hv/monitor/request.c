#include "hv/monitor/request.h"

static const char *past_blanks(const char *at)
{
    while (*at == ' ') {
        at++;
    }
    return at;
}

/* What follows @word at *@at, which stays where it is if another word stands there. */
static bool take_word(const char **at, const char *word)
{
    const char *next = past_blanks(*at);

    while (*word && *next == *word) {
        word++;
        next++;
    }
    if (*word || (*next && *next != ' ')) {
        return false;
    }
    *at = past_blanks(next);
    return true;
}

static unsigned digit_of(char letter)
{
    if (letter >= '0' && letter <= '9') {
        return (unsigned)(letter - '0');
    }
    letter |= 'a' ^ 'A';
    return letter >= 'a' && letter <= 'f' ? (unsigned)(letter - 'a') + 10 : 16;
}

/* A number to @base, 16 at most, up to @most. */
static bool take_number(const char **at, unsigned base, uint64_t most, uint64_t *value)
{
    const char *next = *at;

    *value = 0;
    if (base == 16 && next[0] == '0' && (next[1] == 'x' || next[1] == 'X')) {
        next += 2;
    }
    if (digit_of(*next) >= base) {
        return false;
    }
    for (; digit_of(*next) < base; next++) {
        const unsigned digit = digit_of(*next);

        if (*value > most / base || *value * base > most - digit) {
            return false;
        }
        *value = *value * base + digit;
    }
    if (*next && *next != ' ') {
        return false;
    }
    *at = past_blanks(next);
    return true;
}

/* What is left of a request names a VP: [VP [N]]. */
static struct request read_vp(const char *at, enum request_kind kind)
{
    uint64_t vp = 0;
    uint64_t partition = 0;

    if ((*at && !take_number(&at, 10, UINT32_MAX, &vp)) ||
        (*at && !take_number(&at, 10, REQUEST_ALL - 1, &partition)) || *at) {
        return (struct request){ .kind = REQUEST_UNKNOWN };
    }
    return (struct request){ .kind = kind, .vp = (unsigned)vp, .partition = (uint32_t)partition };
}

static struct request read_walk(const char *at)
{
    vmmu_gva va;
    const bool has_va = take_number(&at, 16, UINT64_MAX, &va.v);
    struct request request = read_vp(at, has_va ? REQUEST_WALK : REQUEST_UNKNOWN);

    request.va = va;
    return request;
}

static struct request read_memory(const char *at, enum request_kind kind)
{
    struct request request = { .kind = REQUEST_UNKNOWN };
    uint64_t count = 0;

    if (take_number(&at, 16, UINT64_MAX, &request.at.v) && take_number(&at, 10, REQUEST_COUNT_MOST, &count) &&
        count && !*at) {
        request.kind = kind;
        request.count = (unsigned)count;
    }
    return request;
}

/* The number of a partition, where the request takes one. */
enum whose { WHOSE_NONE, WHOSE_ANY, WHOSE_ONE };

static struct request read_plain(const char *at, enum request_kind kind, enum whose whose)
{
    uint64_t partition = REQUEST_ALL;
    const bool named = whose != WHOSE_NONE && *at && take_number(&at, 10, REQUEST_ALL - 1, &partition);

    if (*at || (whose == WHOSE_ONE && !named)) {
        return (struct request){ .kind = REQUEST_UNKNOWN };
    }
    return (struct request){ .kind = kind, .partition = (uint32_t)partition };
}

static struct request read_line(const char *at)
{
    static const struct {
        const char *word;
        enum request_kind kind;
        enum whose whose;
    } plain[] = {
        { "stats", REQUEST_STATS, WHOSE_ANY },
        { "counters", REQUEST_COUNTERS, WHOSE_ANY },
        { "shadow", REQUEST_SHADOW, WHOSE_ANY },
        { "stop", REQUEST_STOP, WHOSE_ANY },
        { "go", REQUEST_GO, WHOSE_ANY },
        { "state", REQUEST_STATE, WHOSE_NONE },
        { "partitions", REQUEST_PARTITIONS, WHOSE_NONE },
        { "console", REQUEST_CONSOLE, WHOSE_ONE },
        { "console-read", REQUEST_CONSOLE_READ, WHOSE_ONE },
    };

    if (take_word(&at, "walk")) {
        return read_walk(at);
    }
    if (take_word(&at, "tlb")) {
        return read_vp(at, REQUEST_TLB);
    }
    if (take_word(&at, "read")) {
        return read_memory(at, REQUEST_READ);
    }
    if (take_word(&at, "pages")) {
        return read_memory(at, REQUEST_PAGES);
    }
    for (unsigned i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (take_word(&at, plain[i].word)) {
            return read_plain(at, plain[i].kind, plain[i].whose);
        }
    }
    return (struct request){ .kind = REQUEST_UNKNOWN };
}

bool request_take(struct request_line *line, char letter, struct request *request)
{
    if (letter == '\r') {
        return false;
    }
    if (letter != '\n') {
        if (line->letters < REQUEST_LETTERS) {
            line->text[line->letters] = letter;
        }
        line->letters += line->letters <= REQUEST_LETTERS;
        return false;
    }
    if (line->letters > REQUEST_LETTERS) {
        *request = (struct request){ .kind = REQUEST_UNKNOWN };
    } else {
        line->text[line->letters] = '\0';
        *request = read_line(line->text);
    }
    line->letters = 0;
    return *past_blanks(line->text) != '\0';
}
