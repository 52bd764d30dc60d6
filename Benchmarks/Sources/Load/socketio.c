// SPDX-License-Identifier: MIT
#include "load.h"
#include <stdio.h>
#include <string.h>

static const char event[] = "42[\"message\",\"", end[] = "\"]", answer[] = "{\\\"id\\\":", body_key[] = "\"body\":";

/// A character below U+0100 inside a JSON string.
static size_t put_character(uint8_t *to, uint8_t character) {
    if (character < 0x20) return (size_t)sprintf((char *)to, "\\u%04x", character);
    if (character == '"' || character == '\\') {
        to[0] = '\\';
        to[1] = character;
        return 2;
    }
    if (character < 0x80) {
        to[0] = character;
        return 1;
    }
    to[0] = (uint8_t)(0xC0 | character >> 6);
    to[1] = 0x80 | (character & 0x3F);
    return 2;
}

size_t socketio_request(uint8_t *to, uint32_t id, const char *route, const uint8_t *body, size_t size) {
    size_t length = strlen(route), used = sizeof event - 1;
    uint8_t head[] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)length};
    memcpy(to, event, used);
    for (size_t index = 0; index < sizeof head; index++) used += put_character(to + used, head[index]);
    for (size_t index = 0; index < length; index++) used += put_character(to + used, (uint8_t)route[index]);
    for (size_t index = 0; index < size; index++) used += put_character(to + used, body[index]);
    memcpy(to + used, end, sizeof end - 1);
    return used + sizeof end - 1;
}

struct arrival socketio_arrival(const uint8_t *text, size_t count) {
    static uint8_t message[1 << 16];
    struct arrival arrival = {DATA, 0, text, count};
    size_t start = sizeof event - 1, length = 0, stop = count - (sizeof end - 1);
    if (count < start + sizeof end || memcmp(text, event, start) != 0) {
        arrival.type = count >= 2 && memcmp(text, "40", 2) == 0 ? HANDSHAKE : NOT_WHOLE;
        return arrival;
    }
    arrival.response = count - start > sizeof answer && memcmp(text + start, answer, sizeof answer - 1) == 0;
    // Of a push nothing is looked at.
    if (!arrival.response) return arrival;
    for (size_t index = start; index < stop; index++) {
        if (text[index] == '\\') index++;
        message[length++] = text[index];
    }
    arrival.body = memmem(message, length, body_key, sizeof body_key - 1);
    if (!arrival.body) fail("an answer without a body: %.*s", (int)count, text);
    arrival.body += sizeof body_key - 1;
    arrival.count = (size_t)(message + length - 1 - arrival.body);
    return arrival;
}
