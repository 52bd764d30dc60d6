// SPDX-License-Identifier: MIT
// A connector: pomelo packages over TCP and WebSocket, and socket.io over WebSocket; within TLS or not, and a WebSocket
// with permessage-deflate or not.
//
//   package  type u8 | length u24 | body          message  flag u8 | id varint | route length u8 | route | body
#include "reference.h"
#include <stdlib.h>
#include <string.h>

enum { HANDSHAKE = 1, ACKNOWLEDGE, HEARTBEAT, DATA };
enum { RESPONSE_FLAG = 4, PUSH_FLAG = 6 };
enum { TCP, WEBSOCKET, DEFLATE, SOCKETIO, TRANSPORTS };
enum { TEXT = 1, BINARY = 2, COMPRESSED = 0x40 };
/// Shorter messages are sent as they are.
enum { LEAST_DEFLATED = 512 };

struct client {
    uv_tcp_t tcp;
    struct rest rest;
    SSL *ssl;
    uint32_t index;
    uint8_t detected, transport, member;
};

static uv_tcp_t listener;
static struct client **clients;
static uint32_t client_count, client_room;
static struct gather out, text, frames[TRANSPORTS];
static struct frontend options;

// ---- clients

static void closed(uv_handle_t *handle) {
    struct client *client = handle->data;
    struct client *last = clients[--client_count];
    clients[client->index] = last;
    last->index = client->index;
    SSL_free(client->ssl);
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

static void put_frame_head(struct gather *to, int opcode, size_t length) {
    uint8_t head[4] = {0x80 | (uint8_t)opcode, (uint8_t)length, 0, 0};
    if (length > 125) {
        head[1] = 126;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
    }
    gather_put(to, head, length > 125 ? 4 : 2);
}

/// What was gathered in `text`.
static void put_text(struct gather *to) {
    put_frame_head(to, TEXT, text.count);
    gather_put(to, text.bytes, text.count);
    text.count = 0;
}

/// What was gathered in `text`, compressed if it gets smaller.
static void put_deflated(struct gather *to) {
    const uint8_t *deflated;
    size_t count = text.count < LEAST_DEFLATED ? 0 : deflate_message(text.bytes, text.count, &deflated);
    put_frame_head(to, count ? COMPRESSED | BINARY : BINARY, count ? count : text.count);
    gather_put(to, count ? deflated : text.bytes, count ? count : text.count);
    text.count = 0;
}

static void put_package(struct gather *to, int transport, int type, const void *head, size_t head_count,
                        const void *body, size_t count) {
    size_t length = head_count + count;
    struct gather *target = transport == DEFLATE ? &text : to;
    if (transport == WEBSOCKET) put_frame_head(to, BINARY, length + 4);
    gather_put_u32(target, (uint32_t)type << 24 | (uint32_t)length);
    gather_put(target, head, head_count);
    gather_put(target, body, count);
    if (transport == DEFLATE) put_deflated(to);
}

static void send_to(struct client *client, struct gather *bytes) {
    if (bytes->count > 0 && client->ssl) {
        tls_seal(client->ssl, bytes->bytes, bytes->count);
        send_gathered((uv_stream_t *)&client->tcp, &tls_sealed);
    } else if (bytes->count > 0) {
        send_bytes((uv_stream_t *)&client->tcp, bytes->bytes, bytes->count);
    }
}

static void send_out(struct client *client) {
    send_to(client, &out);
    out.count = 0;
}

static void respond(struct client *client, uint32_t id, const void *body, size_t count) {
    uint8_t head[6] = {RESPONSE_FLAG};
    size_t used = 1;
    if (client->transport == SOCKETIO) {
        socketio_put_answer(&text, id, body, count);
        return put_text(&out);
    }
    while (id > 0x7F) {
        head[used++] = (uint8_t)(id | 0x80);
        id >>= 7;
    }
    head[used++] = (uint8_t)id;
    put_package(&out, client->transport, DATA, head, used, body, count);
}

void answer_forwarded(uint32_t index, uint32_t id, const uint8_t *body, size_t count) {
    if (index >= client_count) return;
    respond(clients[index], id, body, count);
    send_out(clients[index]);
}

/// One frame, the same for all of a transport, written to every member.
void push_to_members(const uint8_t *body, size_t count) {
    static const char head[] = "\x06\tonMessage";
    for (int transport = 0; transport < TRANSPORTS; transport++) frames[transport].count = 0;
    for (uint32_t index = 0; index < client_count; index++) {
        int transport = clients[index]->transport;
        struct gather *frame = &frames[transport];
        if (!clients[index]->member) continue;
        if (transport == DEFLATE && options.deflates_each) frame->count = 0;
        if (frame->count == 0 && transport == SOCKETIO) {
            socketio_put_push(&text, body, count);
            put_text(frame);
        } else if (frame->count == 0) {
            put_package(frame, transport, DATA, head, sizeof head - 1, body, count);
        }
        send_to(clients[index], frame);
    }
}

// ---- input

static int is_route(const uint8_t *route, size_t count, const char *name) {
    return count == strlen(name) && memcmp(route, name, count) == 0;
}

static void serve(struct client *client, struct request request) {
    static const char done[] = "{\"code\":200}";
    const uint8_t *route = request.route;
    size_t length = request.route_length;
    if (options.forwards && length > 5 && memcmp(route, "chat.", 5) == 0) {
        int kind = is_route(route, length, "chat.chatHandler.send") ? SEND : REQUEST;
        link_forward(kind, client->index, request.id, request.body, request.count);
    } else if (is_route(route, length, "connector.entryHandler.login")) {
        client->member = 1;
        respond(client, request.id, done, sizeof done - 1);
    } else {
        respond(client, request.id, request.body, request.count);
    }
}

static void message(struct client *client, const uint8_t *bytes, size_t count) {
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
    serve(client, (struct request){id, route, length, body, (size_t)(bytes + count - body)});
}

static void package(struct client *client, int type, const uint8_t *body, size_t count) {
    static const char welcome[] = "{\"code\":200,\"sys\":{\"heartbeat\":600}}";
    if (type == HANDSHAKE) put_package(&out, client->transport, HANDSHAKE, "", 0, welcome, sizeof welcome - 1);
    if (type == ACKNOWLEDGE) put_package(&out, client->transport, HEARTBEAT, "", 0, "", 0);
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

static void put_literal(const char *packet) {
    gather_put(&text, packet, strlen(packet));
    put_text(&out);
}

static void packet(struct client *client, const uint8_t *bytes, size_t count) {
    struct request request;
    if (socketio_read(bytes, count, &request)) serve(client, request);
    else if (count == 2 && memcmp(bytes, "40", 2) == 0) put_literal("40{\"sid\":\"client\"}");
}

/// One masked frame with one package or packet; the load generator masks with zero.
static size_t read_frame(struct client *client, const uint8_t *bytes, size_t count) {
    if (count < 4) return 0;
    size_t length = bytes[1] & 0x7F, head = 6;
    if (length == 126) {
        length = (size_t)bytes[2] << 8 | bytes[3];
        head = 8;
    }
    if (count < head + length) return 0;
    const uint8_t *message = bytes + head;
    size_t message_length = length;
    if (bytes[0] & COMPRESSED) message_length = inflate_message(message, length, &message);
    if (client->transport == SOCKETIO) packet(client, message, message_length);
    else read_package(client, message, message_length);
    return head + length;
}

/// The answer to the nonce of RFC 6455 §1.3, which is the only one the load generator sends.
static size_t read_upgrade(struct client *client, const uint8_t *bytes, size_t count) {
    static const char reply[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    static const char agreed[] =
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";
    if (count < 4 || memcmp(bytes + count - 4, "\r\n\r\n", 4) != 0) return 0;
    static const char path[] = "GET /socket.io/";
    int deflates = memmem(bytes, count, "permessage-deflate", 18) != NULL;
    gather_put(&out, reply, sizeof reply - 1);
    if (deflates) gather_put(&out, agreed, sizeof agreed - 1);
    gather_put(&out, "\r\n", 2);
    client->transport = deflates ? DEFLATE : WEBSOCKET;
    if (count < sizeof path || memcmp(bytes, path, sizeof path - 1) != 0) return count;
    client->transport = SOCKETIO;
    put_literal("0{\"sid\":\"session\",\"upgrades\":[],\"pingInterval\":600000,\"pingTimeout\":600000}");
    return count;
}

static void said(void *user, const uint8_t *said, size_t count) {
    struct client *client = user;
    size_t left = count, used = 1;
    const uint8_t *bytes = rest_join(&client->rest, said, &left);
    while (left > 0 && used > 0) {
        if (!client->detected && bytes[0] == 'G') {
            used = read_upgrade(client, bytes, left);
            client->detected = used > 0;
        } else {
            client->detected = 1;
            used = client->transport ? read_frame(client, bytes, left) : read_package(client, bytes, left);
        }
        bytes += used;
        left -= used;
    }
    rest_keep(&client->rest, bytes, left);
}

static void end(struct client *client) {
    if (!uv_is_closing((uv_handle_t *)&client->tcp)) uv_close((uv_handle_t *)&client->tcp, closed);
}

static void did_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    struct client *client = stream->data;
    const uint8_t *bytes = (const uint8_t *)buffer->base;
    if (count < 0) return end(client);
    if (!client->ssl) {
        said(client, bytes, (size_t)count);
        return send_out(client);
    }
    int goes_on = tls_take(client->ssl, bytes, (size_t)count, said, client);
    send_gathered(stream, &tls_sealed);
    if (!goes_on) return end(client);
    send_out(client);
}

static void accepted(uv_stream_t *server, int status) {
    if (status != 0) return;
    struct client *client = calloc(1, sizeof *client);
    if (options.encrypts) client->ssl = tls_accept();
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

void frontend_start(struct frontend given) {
    options = given;
    listen_on(&listener, options.port, accepted);
}
