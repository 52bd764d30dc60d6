// SPDX-License-Identifier: MIT
// The connections between frontends and their backend, both ends:
//
//   length u32 | kind u8 | client u32 | number u32 | body        (big-endian; the length counts what follows it)
//
// REQUEST and SEND name the client and its request; their ANSWER has the same. A SEND becomes one PUSH to each
// frontend, whose CONFIRM has the same number; the ANSWER comes when all have confirmed.
// Frames of one loop turn leave in one system call, as our own servers do it.
#include "reference.h"
#include <stdio.h>
#include <stdlib.h>

enum { HEAD_BYTES = 13, MOST_LINKS = 8, MOST_PUSHES = 256 };

struct link {
    uv_tcp_t tcp;
    struct rest rest;
    struct gather out;
    int ready;
};

/// A push on its way: who asked for it, and how many frontends have not confirmed.
struct pending {
    struct link *origin;
    uint32_t client, request;
    int missing;
};

static struct link links[MOST_LINKS];
static int link_count;
static struct pending pushes[MOST_PUSHES];
static uint32_t last_push;
static uv_prepare_t flush;
static uv_tcp_t listener;

// ---- output

static void put_frame(struct link *link, int kind, uint32_t client, uint32_t number, const void *body, size_t count) {
    uint8_t byte = (uint8_t)kind;
    gather_put_u32(&link->out, (uint32_t)(HEAD_BYTES - 4 + count));
    gather_put(&link->out, &byte, 1);
    gather_put_u32(&link->out, client);
    gather_put_u32(&link->out, number);
    gather_put(&link->out, body, count);
}

static void flush_turn(uv_prepare_t *handle) {
    (void)handle;
    for (int index = 0; index < link_count; index++) {
        if (links[index].ready) send_gathered((uv_stream_t *)&links[index].tcp, &links[index].out);
    }
}

void link_forward(int kind, uint32_t client, uint32_t id, const uint8_t *body, size_t count) {
    put_frame(&links[0], kind, client, id, body, count);
}

// ---- input

static void fan_out(struct link *origin, uint32_t client, uint32_t request, const uint8_t *body, size_t count) {
    uint32_t number = last_push++ % MOST_PUSHES;
    pushes[number] = (struct pending){origin, client, request, link_count};
    for (int index = 0; index < link_count; index++) put_frame(&links[index], PUSH, 0, number, body, count);
}

static void confirm(uint32_t number) {
    static const char done[] = "{\"code\":200}";
    struct pending *push = &pushes[number % MOST_PUSHES];
    if (--push->missing > 0) return;
    put_frame(push->origin, ANSWER, push->client, push->request, done, sizeof done - 1);
}

static void frame(struct link *link, const uint8_t *bytes, size_t length) {
    uint32_t client = read_u32(bytes + 5), number = read_u32(bytes + 9);
    const uint8_t *body = bytes + HEAD_BYTES;
    size_t count = length - HEAD_BYTES;
    switch (bytes[4]) {
    case REQUEST: put_frame(link, ANSWER, client, number, body, count); break;
    case SEND: fan_out(link, client, number, body, count); break;
    case CONFIRM: confirm(number); break;
    case ANSWER: answer_forwarded(client, number, body, count); break;
    case PUSH:
        push_to_members(body, count);
        put_frame(link, CONFIRM, 0, number, "", 0);
        break;
    }
}

static void did_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    struct link *link = stream->data;
    // The driver ends all programs of a run together.
    if (count < 0) exit(0);
    size_t left = (size_t)count;
    const uint8_t *bytes = rest_join(&link->rest, (const uint8_t *)buffer->base, &left);
    while (left >= HEAD_BYTES) {
        size_t length = 4 + (size_t)read_u32(bytes);
        if (left < length) break;
        frame(link, bytes, length);
        bytes += length;
        left -= length;
    }
    rest_keep(&link->rest, bytes, left);
}

// ---- connecting

static struct link *add_link(void) {
    struct link *link = &links[link_count++];
    uv_tcp_init(uv_default_loop(), &link->tcp);
    link->tcp.data = link;
    return link;
}

static void open_link(struct link *link) {
    link->ready = 1;
    uv_tcp_nodelay(&link->tcp, 1);
    uv_read_start((uv_stream_t *)&link->tcp, give_slab, did_read);
}

static void start_flushing(void) {
    uv_prepare_init(uv_default_loop(), &flush);
    uv_prepare_start(&flush, flush_turn);
}

static void did_connect(uv_connect_t *request, int status) {
    if (status != 0) {
        fprintf(stderr, "reference: the backend cannot be reached: %s\n", uv_strerror(status));
        exit(1);
    }
    open_link(request->handle->data);
}

void link_connect(int port) {
    static uv_connect_t request;
    struct sockaddr_in address;
    struct link *link = add_link();
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_connect(&request, &link->tcp, (struct sockaddr *)&address, did_connect);
    start_flushing();
}

static void accepted(uv_stream_t *server, int status) {
    if (status != 0 || link_count == MOST_LINKS) return;
    struct link *link = add_link();
    if (uv_accept(server, (uv_stream_t *)&link->tcp) != 0) exit(1);
    open_link(link);
}

void backend_start(int port) {
    listen_on(&listener, port, accepted);
    start_flushing();
}
