// SPDX-License-Identifier: MIT
// A connector: pomelo packages over TCP, or over WebSocket far enough to compare memory.
//
//   package  type u8 | length u24 | body          message  flag u8 | id varint | route length u8 | route | body
#include "reference.h"
#include <stdlib.h>
#include <string.h>

enum { HANDSHAKE = 1, ACKNOWLEDGE, HEARTBEAT, DATA };
enum { RESPONSE_FLAG = 4, PUSH_FLAG = 6 };

struct client {
    uv_tcp_t tcp;
    struct rest rest;
    uint32_t index;
    uint8_t detected, websocket, member;
};

static uv_tcp_t listener;
static struct client **clients;
static uint32_t client_count, client_room;
static struct gather out, frame;
static int forwarding;

// ---- clients

static void closed(uv_handle_t *handle) {
    struct client *client = handle->data;
    struct client *last = clients[--client_count];
    clients[client->index] = last;
    last->index = client->index;
    free(client->rest.bytes);
    free(client);
}

static void add_client(struct client *client) {
    if (client_count == client_room) {
        client_room = client_room ? client_room * 2 : 64;
        clients = realloc(clients, client_room * sizeof *clients);
    }
    client->index = client_count;
    clients[client_count++] = client;
}

// ---- output

static void put_frame_head(struct gather *to, size_t length) {
    uint8_t head[4] = {0x82, (uint8_t)length, 0, 0};
    if (length > 125) {
        head[1] = 126;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
    }
    gather_put(to, head, length > 125 ? 4 : 2);
}

static void put_package(struct gather *to, int websocket, int type, const void *head, size_t head_count,
                        const void *body, size_t count) {
    size_t length = head_count + count;
    if (websocket) put_frame_head(to, length + 4);
    gather_put_u32(to, (uint32_t)type << 24 | (uint32_t)length);
    gather_put(to, head, head_count);
    gather_put(to, body, count);
}

static void respond(struct client *client, uint32_t id, const void *body, size_t count) {
    uint8_t head[6] = {RESPONSE_FLAG};
    size_t used = 1;
    while (id > 0x7F) {
        head[used++] = (uint8_t)(id | 0x80);
        id >>= 7;
    }
    head[used++] = (uint8_t)id;
    put_package(&out, client->websocket, DATA, head, used, body, count);
}

void answer_forwarded(uint32_t index, uint32_t id, const uint8_t *body, size_t count) {
    if (index >= client_count) return;
    respond(clients[index], id, body, count);
    send_gathered((uv_stream_t *)&clients[index]->tcp, &out);
}

/// One frame, the same for all, written to every member.
void push_to_members(const uint8_t *body, size_t count) {
    static const char head[] = "\x06\tonMessage";
    frame.count = 0;
    put_package(&frame, 0, DATA, head, sizeof head - 1, body, count);
    for (uint32_t index = 0; index < client_count; index++) {
        if (clients[index]->member) send_bytes((uv_stream_t *)&clients[index]->tcp, frame.bytes, frame.count);
    }
}

// ---- input

static int is_route(const uint8_t *route, size_t count, const char *name) {
    return count == strlen(name) && memcmp(route, name, count) == 0;
}

static void message(struct client *client, const uint8_t *bytes, size_t count) {
    static const char done[] = "{\"code\":200}";
    size_t used = 1;
    uint32_t id = 0;
    for (int shift = 0; used < count; shift += 7) {
        uint8_t byte = bytes[used++];
        id |= (uint32_t)(byte & 0x7F) << shift;
        if (byte < 0x80) break;
    }
    if (used >= count || used + 1 + bytes[used] > count) return;
    const uint8_t *route = bytes + used + 1;
    size_t length = bytes[used];
    const uint8_t *body = route + length;
    size_t left = (size_t)(bytes + count - body);
    if (forwarding && length > 5 && memcmp(route, "chat.", 5) == 0) {
        int kind = is_route(route, length, "chat.chatHandler.send") ? SEND : REQUEST;
        link_forward(kind, client->index, id, body, left);
    } else if (is_route(route, length, "connector.entryHandler.login")) {
        client->member = 1;
        respond(client, id, done, sizeof done - 1);
    } else {
        respond(client, id, body, left);
    }
}

static void package(struct client *client, int type, const uint8_t *body, size_t count) {
    static const char welcome[] = "{\"code\":200,\"sys\":{\"heartbeat\":600}}";
    if (type == HANDSHAKE) put_package(&out, client->websocket, HANDSHAKE, "", 0, welcome, sizeof welcome - 1);
    if (type == ACKNOWLEDGE) put_package(&out, client->websocket, HEARTBEAT, "", 0, "", 0);
    if (type == DATA) message(client, body, count);
}

/// Returns the bytes of one package, or 0 when it is not whole.
static size_t read_package(struct client *client, const uint8_t *bytes, size_t count) {
    if (count < 4) return 0;
    size_t length = read_u32(bytes) & 0xFFFFFF;
    if (count < 4 + length) return 0;
    package(client, bytes[0], bytes + 4, length);
    return 4 + length;
}

/// One masked frame with one package; the load generator masks with zero.
static size_t read_frame(struct client *client, const uint8_t *bytes, size_t count) {
    if (count < 4) return 0;
    size_t length = bytes[1] & 0x7F, head = 6;
    if (length == 126) {
        length = (size_t)bytes[2] << 8 | bytes[3];
        head = 8;
    }
    if (count < head + length) return 0;
    read_package(client, bytes + head, length);
    return head + length;
}

/// The answer to the nonce of RFC 6455 §1.3, which is the only one the load generator sends.
static size_t read_upgrade(struct client *client, const uint8_t *bytes, size_t count) {
    static const char reply[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    if (count < 4 || memcmp(bytes + count - 4, "\r\n\r\n", 4) != 0) return 0;
    client->websocket = 1;
    gather_put(&out, reply, sizeof reply - 1);
    return count;
}

static void did_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    struct client *client = stream->data;
    if (count < 0) {
        if (!uv_is_closing((uv_handle_t *)stream)) uv_close((uv_handle_t *)stream, closed);
        return;
    }
    size_t left = (size_t)count, used = 1;
    const uint8_t *bytes = rest_join(&client->rest, (const uint8_t *)buffer->base, &left);
    while (left > 0 && used > 0) {
        if (!client->detected && bytes[0] == 'G') {
            used = read_upgrade(client, bytes, left);
            client->detected = used > 0;
        } else {
            client->detected = 1;
            used = client->websocket ? read_frame(client, bytes, left) : read_package(client, bytes, left);
        }
        bytes += used;
        left -= used;
    }
    rest_keep(&client->rest, bytes, left);
    send_gathered(stream, &out);
}

static void accepted(uv_stream_t *server, int status) {
    if (status != 0) return;
    struct client *client = calloc(1, sizeof *client);
    uv_tcp_init(uv_default_loop(), &client->tcp);
    client->tcp.data = client;
    add_client(client);
    if (uv_accept(server, (uv_stream_t *)&client->tcp) != 0) {
        uv_close((uv_handle_t *)&client->tcp, closed);
        return;
    }
    uv_tcp_nodelay(&client->tcp, 1);
    uv_read_start((uv_stream_t *)&client->tcp, give_slab, did_read);
}

void frontend_start(int port, int forwards) {
    forwarding = forwards;
    listen_on(&listener, port, accepted);
}
