#include "tools/walk/access.h"

#include <string.h>

enum word {
    WORD_READ,
    WORD_WRITE,
    WORD_EXECUTE,
    WORD_USER,
    WORD_SUPERVISOR,
    WORD_IMPLICIT,
    WORD_AC,
    WORDS,
};

static const struct {
    const char *text;
    enum word word;
} spellings[] = {
    { "r", WORD_READ },        { "read", WORD_READ },
    { "w", WORD_WRITE },       { "write", WORD_WRITE },
    { "x", WORD_EXECUTE },     { "execute", WORD_EXECUTE },
    { "fetch", WORD_EXECUTE }, { "user", WORD_USER },
    { "u", WORD_USER },        { "supervisor", WORD_SUPERVISOR },
    { "s", WORD_SUPERVISOR },  { "implicit", WORD_IMPLICIT },
    { "ac", WORD_AC },
};

/* The word of [text, text + length); WORDS if it is none. */
static enum word word_of(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        if (strlen(spellings[i].text) == length && memcmp(spellings[i].text, text, length) == 0) {
            return spellings[i].word;
        }
    }
    return WORDS;
}

bool access_parse(const char *text, struct vmmu_x86_access *access)
{
    bool said[WORDS] = { false };

    for (;;) {
        const size_t length = strcspn(text, ",");
        const enum word word = word_of(text, length);

        if (word == WORDS || said[word]) {
            return false;
        }
        said[word] = true;
        if (text[length] == '\0') {
            break;
        }
        text += length + 1;
    }
    if (said[WORD_READ] + said[WORD_WRITE] + said[WORD_EXECUTE] > 1 ||
        (said[WORD_USER] && (said[WORD_SUPERVISOR] || said[WORD_IMPLICIT]))) {
        return false;
    }
    *access = (struct vmmu_x86_access){
        .kind = said[WORD_WRITE]     ? VMMU_X86_WRITE
                : said[WORD_EXECUTE] ? VMMU_X86_EXECUTE
                                     : VMMU_X86_READ,
        .user = said[WORD_USER],
        .implicit = said[WORD_IMPLICIT],
        .eflags_ac = said[WORD_AC],
    };
    return true;
}
