/*
 * The AML builder. Every block uses the two-byte form of its length, so that the length can
 * be filled in at its end.
 */
#include "hv/guest/aml.h"

#include "hv/guest/bytes.h"

enum opcode {
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_NAME = 0x08,
    AML_BYTE = 0x0A,
    AML_WORD = 0x0B,
    AML_DWORD = 0x0C,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_EXTENDED = 0x5B,
    AML_DEVICE = 0x82,
    AML_END_TAG = 0x79,
};

#define LENGTH_BYTES 2u
#define LENGTH_TWO                                                                                           \
    0x40u /* in the lead byte: one byte follows; the lead byte has the length's low four bits */
#define LENGTH_MAXIMUM 0xFFFu

void aml_bytes(struct aml *aml, const void *bytes, uint32_t count)
{
    if (aml->overflow || count > aml->limit - aml->bytes) {
        aml->overflow = true;
        return;
    }
    __builtin_memcpy(aml->at + aml->bytes, bytes, count);
    aml->bytes += count;
}

void aml_byte(struct aml *aml, uint8_t byte)
{
    aml_bytes(aml, &byte, 1);
}

void aml_name(struct aml *aml, const char *name)
{
    aml_byte(aml, AML_NAME);
    aml_bytes(aml, name, 4);
}

void aml_integer(struct aml *aml, uint32_t value)
{
    uint8_t bytes[4];

    put32(bytes, value);
    if (value <= 1) {
        aml_byte(aml, value == 0 ? AML_ZERO : AML_ONE);
    } else if (value <= 0xFF) {
        aml_byte(aml, AML_BYTE);
        aml_bytes(aml, bytes, 1);
    } else if (value <= 0xFFFF) {
        aml_byte(aml, AML_WORD);
        aml_bytes(aml, bytes, 2);
    } else {
        aml_byte(aml, AML_DWORD);
        aml_bytes(aml, bytes, 4);
    }
}

static uint32_t hexadecimal(char digit)
{
    return digit <= '9' ? (uint32_t)(digit - '0') : (uint32_t)(digit - 'A') + 10;
}

/* Three letters of five bits, then four digits; the most significant byte first. */
void aml_eisa_id(struct aml *aml, const char *id)
{
    uint32_t value = 0;
    uint8_t bytes[5] = { AML_DWORD };

    for (unsigned i = 0; i < 3; i++) {
        value = value << 5 | (uint32_t)(id[i] - '@');
    }
    for (unsigned i = 3; i < 7; i++) {
        value = value << 4 | hexadecimal(id[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        bytes[1 + i] = (uint8_t)(value >> (24 - 8 * i));
    }
    aml_bytes(aml, bytes, sizeof(bytes));
}

static uint32_t open_block(struct aml *aml)
{
    static const uint8_t room[LENGTH_BYTES];
    const uint32_t block = aml->bytes;

    aml_bytes(aml, room, sizeof(room));
    return block;
}

void aml_close(struct aml *aml, uint32_t block)
{
    const uint32_t length = aml->bytes - block;

    if (aml->overflow || length > LENGTH_MAXIMUM) {
        aml->overflow = true;
        return;
    }
    aml->at[block] = (uint8_t)(LENGTH_TWO | (length & 0xF));
    aml->at[block + 1] = (uint8_t)(length >> 4);
}

uint32_t aml_open_scope(struct aml *aml, const char *path)
{
    uint32_t block;

    aml_byte(aml, AML_SCOPE);
    block = open_block(aml);
    aml_bytes(aml, path, (uint32_t)text_length(path));
    return block;
}

uint32_t aml_open_device(struct aml *aml, const char *name)
{
    uint32_t block;

    aml_byte(aml, AML_EXTENDED);
    aml_byte(aml, AML_DEVICE);
    block = open_block(aml);
    aml_bytes(aml, name, 4);
    return block;
}

uint32_t aml_open_package(struct aml *aml, uint8_t elements)
{
    uint32_t block;

    aml_byte(aml, AML_PACKAGE);
    block = open_block(aml);
    aml_byte(aml, elements);
    return block;
}

void aml_resources(struct aml *aml, const uint8_t *descriptors, uint32_t count)
{
    uint32_t block;

    aml_byte(aml, AML_BUFFER);
    block = open_block(aml);
    aml_integer(aml, count + 2);
    aml_bytes(aml, descriptors, count);
    aml_byte(aml, AML_END_TAG);
    aml_byte(aml, 0); /* no checksum */
    aml_close(aml, block);
}
