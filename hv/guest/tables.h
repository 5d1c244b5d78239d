/* Where firmware tables are, between their writers. All in memory that the layout calls reserved. */
#ifndef HV_GUEST_TABLES_H
#define HV_GUEST_TABLES_H

#include "hv/guest/firmware.h"

enum {
    TABLES_RSDP = 0xF0000,
    TABLES_ACPI = 0xF0040,
    TABLES_ACPI_END = 0xF8000,
    TABLES_MP_FLOATING = 0x9FC10, /* in the first KiB of the EBDA, past the word that holds the EBDA's size */
    TABLES_MP = 0x9FC20,
    TABLES_MP_END = 0xA0000,
    TABLES_MP_LARGE = 0xF8000, /* where the MP table is if the EBDA is too small for it */
    TABLES_MP_LARGE_END = 0x100000,
};

/* Write the tables; false if the guest has no memory there. */
bool mp_write(const struct guest_memory *memory, const struct guest_firmware *firmware);
bool acpi_write(const struct guest_memory *memory, const struct guest_firmware *firmware);

#endif
