#include "hv/monitor/json.h"

static void put_text(struct json *json, const char *text)
{
    while (*text) {
        json->put(json->context, *text++);
    }
}

static void put_hex(struct json *json, uint64_t value, unsigned digits)
{
    for (unsigned i = digits; i-- > 0;) {
        json->put(json->context, "0123456789abcdef"[(value >> (4 * i)) & 15]);
    }
}

void json_text_byte(struct json *json, uint8_t byte)
{
    if (byte == '"' || byte == '\\') {
        json->put(json->context, '\\');
        json->put(json->context, (char)byte);
    } else if (byte < 0x20 || byte > 0x7E) {
        put_text(json, "\\u00");
        put_hex(json, byte, 2);
    } else {
        json->put(json->context, (char)byte);
    }
}

static void put_string(struct json *json, const char *text)
{
    json->put(json->context, '"');
    for (; text && *text; text++) {
        json_text_byte(json, (uint8_t)*text);
    }
    json->put(json->context, '"');
}

static void begin_member(struct json *json, const char *key)
{
    if (json->comma) {
        json->put(json->context, ',');
    }
    json->comma = true;
    if (key) {
        put_string(json, key);
        json->put(json->context, ':');
    }
}

void json_object(struct json *json, const char *key)
{
    begin_member(json, key);
    json->put(json->context, '{');
    json->comma = false;
}

void json_array(struct json *json, const char *key)
{
    begin_member(json, key);
    json->put(json->context, '[');
    json->comma = false;
}

void json_end_object(struct json *json)
{
    json->put(json->context, '}');
    json->comma = true;
}

void json_end_array(struct json *json)
{
    json->put(json->context, ']');
    json->comma = true;
}

void json_number(struct json *json, const char *key, uint64_t value)
{
    char digits[20];
    unsigned count = 0;

    begin_member(json, key);
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (count > 0) {
        json->put(json->context, digits[--count]);
    }
}

static unsigned hex_digits(uint64_t value)
{
    unsigned digits = 1;

    while (digits < 16 && value >> (4 * digits)) {
        digits++;
    }
    return digits;
}

void json_hex(struct json *json, const char *key, uint64_t value)
{
    begin_member(json, key);
    put_text(json, "\"0x");
    put_hex(json, value, hex_digits(value));
    json->put(json->context, '"');
}

void json_text(struct json *json, const char *key, const char *value)
{
    begin_member(json, key);
    put_string(json, value);
}

void json_text_begin(struct json *json, const char *key)
{
    begin_member(json, key);
    json->put(json->context, '"');
}

void json_text_end(struct json *json)
{
    json->put(json->context, '"');
}

void json_flag(struct json *json, const char *key, bool value)
{
    begin_member(json, key);
    put_text(json, value ? "true" : "false");
}

void json_bytes(struct json *json, const char *key, const uint8_t *bytes, unsigned count)
{
    begin_member(json, key);
    json->put(json->context, '"');
    for (unsigned i = 0; i < count; i++) {
        put_hex(json, bytes[i], 2);
    }
    json->put(json->context, '"');
}
