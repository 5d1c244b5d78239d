/*
 * Writes one JSON document, character by character, to wherever the caller wants it. No
 * memory but the writer itself.
 */
#ifndef HV_MONITOR_JSON_H
#define HV_MONITOR_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct json {
    void *context;
    void (*put)(void *context, char character);
    bool comma;
};

/* Begin an object or array; @key is NULL inside an array and for the document itself. */
void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_end_array(struct json *json);

void json_number(struct json *json, const char *key, uint64_t value);

/* Addresses and register values: as a string "0x...", since a JSON number holds 53 bits only. */
void json_hex(struct json *json, const char *key, uint64_t value);

/* @value is escaped as needed; bytes outside ASCII become \u00XX. NULL reads as "". */
void json_text(struct json *json, const char *key, const char *value);

/* The same, byte by byte. */
void json_text_begin(struct json *json, const char *key);
void json_text_byte(struct json *json, uint8_t byte);
void json_text_end(struct json *json);

void json_flag(struct json *json, const char *key, bool value);

void json_bytes(struct json *json, const char *key, const uint8_t *bytes, unsigned count);

#endif
