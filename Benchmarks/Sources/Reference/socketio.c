// SPDX-License-Identifier: MIT
// socket.io on a WebSocket, Engine.IO 4, as far as the load generator speaks it.
//
//   0{…}  open      40  connect      2 / 3  ping / pong      42["message","…"]  event
//
// A client's text is five characters (id u32, route length u8), the route and the body; a server's is JSON, and its
// bodies are ASCII.
#include "reference.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char event[] = "42[\"message\",\"", end[] = "\"]";
static uint8_t text[READ_BYTES];

/// Takes a JSON string of characters below U+0100 apart, as their bytes; returns how many, up to its closing quote.
static size_t unescape(const uint8_t *bytes, size_t count) {
    size_t used = 0, index = 0;
    while (index < count && bytes[index] != '"') {
        uint8_t byte = bytes[index++];
        if (byte == '\\' && index + 5 <= count && bytes[index] == 'u') {
            char digits[3] = {(char)bytes[index + 3], (char)bytes[index + 4], 0};
            byte = (uint8_t)strtoul(digits, NULL, 16);
            index += 5;
        } else if (byte == '\\' && index < count) {
            byte = bytes[index++];
        } else if (byte >= 0x80 && index < count) {
            byte = (uint8_t)(byte << 6 | (bytes[index++] & 0x3F));
        }
        text[used++] = byte;
    }
    return used;
}

int socketio_read(const uint8_t *bytes, size_t count, struct request *request) {
    size_t start = sizeof event - 1;
    if (count < start + 5 || count > sizeof text || memcmp(bytes, event, start) != 0) return 0;
    size_t used = unescape(bytes + start, count - start);
    if (used < 5 || used < 5 + (size_t)text[4]) return 0;
    size_t length = text[4];
    *request = (struct request){read_u32(text), text + 5, length, text + 5 + length, used - 5 - length};
    return 1;
}

static void put_escaped(struct gather *to, const uint8_t *bytes, size_t count) {
    size_t start = 0;
    for (size_t index = 0; index < count; index++) {
        if (bytes[index] != '"' && bytes[index] != '\\') continue;
        gather_put(to, bytes + start, index - start);
        gather_put(to, "\\", 1);
        start = index;
    }
    gather_put(to, bytes + start, count - start);
}

static void put_message(struct gather *to, const char *head, const uint8_t *body, size_t count) {
    gather_put(to, event, sizeof event - 1);
    gather_put(to, head, strlen(head));
    put_escaped(to, body, count);
    gather_put(to, "}", 1);
    gather_put(to, end, sizeof end - 1);
}

void socketio_put_answer(struct gather *to, uint32_t id, const uint8_t *body, size_t count) {
    char head[64];
    snprintf(head, sizeof head, "{\\\"id\\\":%u,\\\"body\\\":", id);
    put_message(to, head, body, count);
}

void socketio_put_push(struct gather *to, const uint8_t *body, size_t count) {
    put_message(to, "{\\\"route\\\":\\\"onMessage\\\",\\\"body\\\":", body, count);
}
