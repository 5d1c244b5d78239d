/*
 * Reading a record of entries: what hv/x86/vmx/record.c writes, with whatever else the machine printed between its lines.
 */
#ifndef TESTS_MODEL_VMX_RECORD_H
#define TESTS_MODEL_VMX_RECORD_H

#include "tests/model/vmx/entry.h"

#define ENTRY_RECORD_VPS 8

/* Where a record stands: the image of each VP's last entry, and a number that tells distinct images apart. */
struct entry_record {
    struct entry_image image[ENTRY_RECORD_VPS];
    uint64_t digest[ENTRY_RECORD_VPS];
};

enum entry_line {
    ENTRY_LINE_OTHER,  /* not of the record */
    ENTRY_LINE_ENTRY,  /* an entry: *vp is whose */
    ENTRY_LINE_BROKEN, /* of the record, and cannot be read */
};

/* Take one line without its end. */
enum entry_line entry_record_line(struct entry_record *record, const char *line, unsigned *vp);

#endif
