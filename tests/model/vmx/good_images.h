/* Images of guests that a processor must enter, one of each kind, and changes to them. */
#ifndef TESTS_MODEL_VMX_GOOD_IMAGES_H
#define TESTS_MODEL_VMX_GOOD_IMAGES_H

#include "tests/model/vmx/entry.h"

enum good_kind {
    GOOD_REAL,       /* real mode, of an unrestricted guest under EPT */
    GOOD_V8086,      /* virtual-8086 mode, likewise */
    GOOD_UNPAGED,    /* flat protected mode without paging, likewise */
    GOOD_32_BIT,     /* 32-bit paging at CPL 3, of a restricted guest without EPT: all below are restricted */
    GOOD_PAE,        /* PAE paging without EPT */
    GOOD_PAE_EPT,    /* PAE paging under EPT */
    GOOD_LONG,       /* 64-bit mode under EPT, unusable data segments */
    GOOD_COMPATIBLE, /* compatibility mode at CPL 3 */
    GOOD_HALTED,     /* 64-bit mode, halted */
    GOOD_KINDS
};

struct change {
    enum { CHANGE_NONE, CHANGE_SET, CHANGE_OR, CHANGE_CLEAR } how;
    unsigned key;
    uint64_t value;
};

#define CHANGES 6
#define SET(name, value)                                                                                     \
    {                                                                                                        \
        CHANGE_SET, name, value                                                                              \
    }
#define OR(name, bits)                                                                                       \
    {                                                                                                        \
        CHANGE_OR, name, bits                                                                                \
    }
#define CLR(name, bits)                                                                                      \
    {                                                                                                        \
        CHANGE_CLEAR, name, bits                                                                             \
    }

/* A good image with changes after which the sentence's rule is the first that it breaks. */
struct mutation {
    const char *sentence;
    enum good_kind kind;
    struct change change[CHANGES];
};

extern const struct mutation control_mutations[];
extern const unsigned control_mutation_count;
extern const struct mutation register_mutations[];
extern const unsigned register_mutation_count;
extern const struct mutation segment_mutations[];
extern const unsigned segment_mutation_count;
extern const struct mutation state_mutations[];
extern const unsigned state_mutation_count;

/* Make *image the good one of @kind. */
void good_image(struct entry_image *image, enum good_kind kind);

/* Apply up to CHANGES changes. */
void change_image(struct entry_image *image, const struct change *change);

#define MSR(number) (ENTRY_KEY_MSR + (number))

#endif
