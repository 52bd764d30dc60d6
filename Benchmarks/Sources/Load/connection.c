// SPDX-License-Identifier: MIT
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 18 };
enum { TEXT = 1, BINARY = 2, COMPRESSED = 0x40 };

static uint8_t input[READ_BYTES], *output;
static size_t output_count, output_room;

// ---- output

static void put(const void *bytes, size_t count) {
    if (output_count + count > output_room) {
        output_room = (output_count + count) * 2;
        output = realloc(output, output_room);
    }
    memcpy(output + output_count, bytes, count);
    output_count += count;
}

static void put_byte(size_t byte) {
    uint8_t one = (uint8_t)byte;
    put(&one, 1);
}

static void flush_output(struct connection *connection) {
    size_t sent = 0;
    while (sent < output_count) {
        ssize_t count = connection->ssl ? tls_send(connection, output + sent, output_count - sent)
                                        : send(connection->fd, output + sent, output_count - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN && errno != EINTR) fail("send: %s", strerror(errno));
        if (count > 0) sent += (size_t)count;
    }
    output_count = 0;
}

/// Frames are masked with zero, which changes nothing.
static void put_frame_head(int opcode, size_t length) {
    if (length > 0xFFFF) fail("a message of %zu bytes", length);
    put_byte(0x80 | (size_t)opcode);
    put_byte(0x80 | (length > 125 ? 126 : length));
    if (length > 125) {
        put_byte(length >> 8);
        put_byte(length);
    }
    put("\0\0\0", 4);
}

static void put_text(const void *text, size_t length) {
    put_frame_head(TEXT, length);
    put(text, length);
}

static void put_package_head(int type, size_t length) {
    put_byte((size_t)type);
    put_byte(length >> 16);
    put_byte(length >> 8);
    put_byte(length);
}

static void put_package(struct connection *connection, int type, size_t length) {
    if (connection->transport.kind == WEBSOCKET) put_frame_head(BINARY, length + 4);
    put_package_head(type, length);
}

/// What stands in the output from `start` on becomes one compressed message.
static void deflate_output(size_t start) {
    const uint8_t *deflated;
    size_t count = deflate_message(output + start, output_count - start, &deflated);
    output_count = start;
    put_frame_head(COMPRESSED | BINARY, count);
    put(deflated, count);
}

static void put_request(struct connection *connection, const char *route, const void *body, size_t size) {
    uint32_t id = ++connection->last_id;
    if (connection->transport.kind == SOCKETIO) {
        static uint8_t text[1 << 16];
        if (size > sizeof text / 8) fail("a body of %zu bytes", size);
        return put_text(text, socketio_request(text, id, route, body, size));
    }
    size_t route_length = strlen(route), id_length = 1, start = output_count;
    for (uint32_t rest = id >> 7; rest; rest >>= 7) id_length++;
    size_t length = 1 + id_length + 1 + route_length + size;
    if (connection->transport.deflates) put_package_head(DATA, length);
    else put_package(connection, DATA, length);
    put_byte(0);
    for (; id > 0x7F; id >>= 7) put_byte(id | 0x80);
    put_byte(id);
    put_byte(route_length);
    put(route, route_length);
    put(body, size);
    if (connection->transport.deflates) deflate_output(start);
}

void connection_request(struct connection *connection, const char *route, const void *body, size_t size, int count) {
    for (int index = 0; index < count; index++) put_request(connection, route, body, size);
    connection->sent_at = now_ns();
    flush_output(connection);
}

// ---- input

static size_t read_package(struct connection *connection, const uint8_t *bytes, size_t count, arrival_fn arrived) {
    if (count < 4) return 0;
    size_t length = (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    if (count < 4 + length) return 0;
    struct arrival arrival = {bytes[0], 0, bytes + 4, length};
    if (arrival.type == KICK) fail("kicked: %.*s", (int)length, bytes + 4);
    if (arrival.type == DATA && length > 1) {
        arrival.response = (bytes[4] >> 1) == 2;
        if (arrival.response) {
            size_t used = 1;
            while (used < length && bytes[4 + used++] & 0x80) continue;
            arrival.body += used;
            arrival.count -= used;
        }
    }
    arrived(connection, arrival);
    return 4 + length;
}

/// What is asked is answered at once.
static void read_text(struct connection *connection, const uint8_t *text, size_t count, arrival_fn arrived) {
    if (count == 0) return;
    if (text[0] == '0') put_text("40", 2);
    if (text[0] == '2') put_text("3", 1);
    if (output_count > 0) flush_output(connection);
    else arrived(connection, socketio_arrival(text, count));
}

/// Frames of a server are not masked; each holds whole packages or the first part of one, so its head alone goes.
static size_t read_frame(struct connection *connection, const uint8_t *bytes, size_t count, arrival_fn arrived) {
    if (count < 2) return 0;
    size_t length = bytes[1], head = 2;
    if (length == 127) fail("a frame of more than 64 KiB");
    if (length == 126) {
        if (count < 4) return 0;
        length = (size_t)bytes[2] << 8 | bytes[3];
        head = 4;
    }
    if (count < head + length) return 0;
    int opcode = bytes[0] & 0x0F;
    const uint8_t *message = bytes + head;
    size_t message_length = length;
    if (bytes[0] & COMPRESSED) message_length = inflate_message(message, length, &message);
    if (opcode == BINARY) read_package(connection, message, message_length, arrived);
    if (opcode == TEXT) read_text(connection, message, message_length, arrived);
    return head + length;
}

static ssize_t receive(struct connection *connection, void *to, size_t room) {
    return connection->ssl ? tls_receive(connection, to, room) : recv(connection->fd, to, room, 0);
}

void connection_read(struct connection *connection, arrival_fn arrived) {
    size_t held = connection->held;
    if (held > 0) {
        memcpy(input, connection->rest, held);
        free(connection->rest);
        connection->rest = NULL;
        connection->held = 0;
    }
    ssize_t got = receive(connection, input + held, sizeof input - held);
    if (got == 0) fail("the server closed a connection to port %d", connection->port);
    if (got < 0 && errno != EAGAIN && errno != EINTR) fail("recv: %s", strerror(errno));
    size_t left = held + (got > 0 ? (size_t)got : 0), used = 1;
    const uint8_t *bytes = input;
    while (left > 0 && used > 0) {
        used = connection->transport.kind ? read_frame(connection, bytes, left, arrived)
                                     : read_package(connection, bytes, left, arrived);
        bytes += used;
        left -= used;
    }
    if (left == 0) return;
    connection->rest = malloc(left);
    memcpy(connection->rest, bytes, left);
    connection->held = (uint32_t)left;
}

// ---- opening

static int awaited_type, awaited_found;

static void await_arrival(struct connection *connection, struct arrival arrival) {
    if (arrival.type != awaited_type) return;
    if (arrival.type == DATA && !arrival.response) return;
    awaited_found = 1;
    if (connection->transport.kind == SOCKETIO && arrival.type == HANDSHAKE) return;
    if (arrival.count < 11 || memmem(arrival.body, arrival.count, "\"code\":200", 10) == NULL) {
        fail("refused: %.*s", (int)arrival.count, arrival.body);
    }
}

static void await_type(struct connection *connection, int type) {
    awaited_type = type;
    awaited_found = 0;
    while (!awaited_found) connection_read(connection, await_arrival);
}

static void upgrade(struct connection *connection, const char *path) {
    static const char deflates[] = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    static const char head[] =
        " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    char reply[1024];
    size_t count = 0;
    put("GET ", 4);
    put(path, strlen(path));
    put(head, sizeof head - 1);
    if (connection->transport.deflates) put(deflates, sizeof deflates - 1);
    put("\r\n", 2);
    flush_output(connection);
    // One byte at a time: what stands behind it is the first frame.
    while (count < 4 || memcmp(reply + count - 4, "\r\n\r\n", 4) != 0) {
        if (count == sizeof reply || receive(connection, reply + count, 1) <= 0) fail("no answer to the upgrade");
        count++;
    }
    if (connection->transport.deflates && memmem(reply, count, "client_no_context_takeover", 26) == NULL) {
        fail("permessage-deflate was not agreed on: %.*s", (int)count, reply);
    }
}

static void connect_to(struct connection *connection) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int yes = 1;
    address.sin_port = htons((uint16_t)connection->port);
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0) fail("socket: %s", strerror(errno));
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fail("port %d: %s", connection->port, strerror(errno));
    }
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

void connection_open(struct connection *connection, int port, struct transport transport, const char *room, int user) {
    static const char hello[] = "{\"sys\":{\"type\":\"load\",\"version\":\"1.0.0\"},\"user\":{}}";
    memset(connection, 0, sizeof *connection);
    connection->port = port;
    connection->transport = transport;
    connect_to(connection);
    if (transport.encrypts) tls_open(connection);
    if (transport.kind == WEBSOCKET) upgrade(connection, "/");
    if (transport.kind == SOCKETIO) {
        upgrade(connection, "/socket.io/?EIO=4&transport=websocket");
        await_type(connection, HANDSHAKE);
    } else {
        put_package(connection, HANDSHAKE, sizeof hello - 1);
        put(hello, sizeof hello - 1);
        flush_output(connection);
        await_type(connection, HANDSHAKE);
        put_package(connection, ACKNOWLEDGE, 0);
        flush_output(connection);
    }
    if (room) {
        char body[256];
        int size = snprintf(body, sizeof body, "{\"userId\":\"u%d\",\"room\":\"%s\"}", user, room);
        connection_request(connection, "connector.entryHandler.login", body, (size_t)size, 1);
        await_type(connection, DATA);
    }
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    connection->polled = 1;
}

void connection_close(struct connection *connection) {
    struct linger now = {1, 0};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(connection->fd);
    tls_forget(connection);
    free(connection->rest);
}
