/*
 * A builder of the little AML that the DSDT needs.
 *
 * Spec: ACPI Specification "ACPI Machine Language (AML) Specification".
 */
#ifndef HV_GUEST_AML_H
#define HV_GUEST_AML_H

#include <vmmu/base.h>

/* Bytes are appended at `at`; none beyond `limit`, which then sets `overflow`. */
struct aml {
    uint8_t *at;
    uint32_t bytes;
    uint32_t limit;
    bool overflow;
};

void aml_bytes(struct aml *aml, const void *bytes, uint32_t count);
void aml_byte(struct aml *aml, uint8_t byte);

/* Name(@name, ...): a value must follow. @name has four characters. */
void aml_name(struct aml *aml, const char *name);

/* An integer constant, in its shortest form. */
void aml_integer(struct aml *aml, uint32_t value);

/* A compressed EISA identifier, as "PNP0501". */
void aml_eisa_id(struct aml *aml, const char *id);

/* A resource template: a buffer that holds @count bytes of descriptors and gets its end tag here. */
void aml_resources(struct aml *aml, const uint8_t *descriptors, uint32_t count);

/* Open a block that has a length; what lies between belongs to it. Returns what aml_close() wants. */
uint32_t aml_open_scope(struct aml *aml, const char *path);
uint32_t aml_open_device(struct aml *aml, const char *name);
uint32_t aml_open_package(struct aml *aml, uint8_t elements);
void aml_close(struct aml *aml, uint32_t block);

#endif
