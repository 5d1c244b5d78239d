/*
 * A boot loader for tests.
 */
#include "tests/unit/boot/loader.h"

#include <stdlib.h>
#include <string.h>

static const void *reach(void *context, uint64_t address, uint64_t size_bytes)
{
    const struct loader *loader = context;
    if (address < LOADER_BASE || !vmmu_range_fits(address, size_bytes, LOADER_BASE + LOADER_BYTES)) {
        return NULL;
    }
    return loader->memory + (address - LOADER_BASE);
}

void loader_open(struct loader *loader)
{
    *loader = (struct loader){ .memory = calloc(1, LOADER_BYTES), .text = TEXT_BASE };
    if (loader->memory == NULL) {
        abort();
    }
}

void loader_close(struct loader *loader)
{
    free(loader->memory);
}

struct boot_window loader_window(struct loader *loader)
{
    return (struct boot_window){ loader, reach };
}

void loader_put8(struct loader *loader, uint32_t address, uint8_t value)
{
    loader->memory[address - LOADER_BASE] = value;
}

void loader_put32(struct loader *loader, uint32_t address, uint32_t value)
{
    memcpy(loader->memory + (address - LOADER_BASE), &value, sizeof(value));
}

void loader_put64(struct loader *loader, uint32_t address, uint64_t value)
{
    memcpy(loader->memory + (address - LOADER_BASE), &value, sizeof(value));
}

uint32_t loader_text(struct loader *loader, const char *text)
{
    const uint32_t address = loader->text;
    memcpy(loader->memory + (address - LOADER_BASE), text, strlen(text) + 1);
    loader->text += (uint32_t)strlen(text) + 1;
    return address;
}

void loader_begin2(struct loader *loader)
{
    loader->used = 8;
}

uint32_t loader_tag(struct loader *loader, uint32_t kind, uint32_t size_bytes)
{
    const uint32_t at = LOADER_BASE + loader->used;
    loader_put32(loader, at, kind);
    loader_put32(loader, at + 4, size_bytes + 8);
    loader->used += (size_bytes + 8 + 7) & ~7U;
    return at + 8;
}

void loader_tag_text(struct loader *loader, uint32_t kind, const char *text)
{
    const uint32_t at = loader_tag(loader, kind, (uint32_t)strlen(text) + 1);
    memcpy(loader->memory + (at - LOADER_BASE), text, strlen(text) + 1);
}

void loader_end2(struct loader *loader)
{
    loader_tag(loader, 0, 0);
    loader_put32(loader, LOADER_BASE, loader->used);
}

uint32_t loader_tag_map(struct loader *loader, uint32_t count, uint32_t step)
{
    const uint32_t at = loader_tag(loader, 6, 8 + count * step);
    loader_put32(loader, at, step);
    return at + 8;
}

void loader_put_map2(struct loader *loader, uint32_t entry, uint64_t base, uint64_t size_bytes, uint32_t type)
{
    loader_put64(loader, entry, base);
    loader_put64(loader, entry + 8, size_bytes);
    loader_put32(loader, entry + 16, type);
}

void loader_put_map1(struct loader *loader, uint32_t entry, uint64_t base, uint64_t size_bytes, uint32_t type)
{
    loader_put32(loader, entry, 20);
    loader_put64(loader, entry + 4, base);
    loader_put64(loader, entry + 12, size_bytes);
    loader_put32(loader, entry + 20, type);
}

static void put_checksum(struct loader *loader, uint32_t address, uint32_t size_bytes, uint32_t where)
{
    uint8_t *bytes = loader->memory + (address - LOADER_BASE);
    uint8_t sum = 0;
    bytes[where] = 0;
    for (uint32_t i = 0; i < size_bytes; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    bytes[where] = (uint8_t)(0U - sum);
}

void loader_put_rsdp(struct loader *loader, uint32_t address, uint8_t revision)
{
    memcpy(loader->memory + (address - LOADER_BASE), "RSD PTR ", 8);
    memcpy(loader->memory + (address - LOADER_BASE) + 9, "VMMU  ", 6);
    loader_put8(loader, address + 15, revision);
    loader_put32(loader, address + 16, 0x12345678);
    put_checksum(loader, address, 20, 8);
    if (revision >= 2) {
        loader_put32(loader, address + 20, 36);
        loader_put64(loader, address + 24, UINT64_C(0x123456789));
        put_checksum(loader, address, 36, 32);
    }
}
