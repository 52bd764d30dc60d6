// SPDX-License-Identifier: MIT
// The connection between a forwarding frontend and its backend, both ends:
//
//   length u32 | client u32 | request id u32 | body        (big-endian; the length counts what follows it)
//
// Frames of one loop turn leave in one system call, as our own servers do it.
#include "reference.h"
#include <stdio.h>
#include <stdlib.h>

enum { HEAD_BYTES = 12 };

static uv_tcp_t peer, listener;
static uv_prepare_t flush;
static struct gather out;
static struct rest rest;
static int connected;

static void flush_turn(uv_prepare_t *handle) {
    (void)handle;
    if (connected) send_gathered((uv_stream_t *)&peer, &out);
}

static void start_flushing(void) {
    uv_prepare_init(uv_default_loop(), &flush);
    uv_prepare_start(&flush, flush_turn);
}

/// Calls `frame` for every whole frame and keeps the rest.
static void read_frames(const uv_buf_t *buffer, ssize_t count, void (*frame)(const uint8_t *, size_t)) {
    if (count < 0) exit(0);
    size_t left = (size_t)count;
    const uint8_t *bytes = rest_join(&rest, (const uint8_t *)buffer->base, &left);
    while (left >= 4) {
        size_t length = 4 + (size_t)read_u32(bytes);
        if (left < length) break;
        frame(bytes, length);
        bytes += length;
        left -= length;
    }
    rest_keep(&rest, bytes, left);
}

// ---- the frontend's end

static void answered(const uint8_t *frame, size_t length) {
    answer_forwarded(read_u32(frame + 4), read_u32(frame + 8), frame + HEAD_BYTES, length - HEAD_BYTES);
}

static void read_answers(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    (void)stream;
    read_frames(buffer, count, answered);
}

static void did_connect(uv_connect_t *request, int status) {
    if (status != 0) {
        fprintf(stderr, "reference: the backend cannot be reached: %s\n", uv_strerror(status));
        exit(1);
    }
    connected = 1;
    uv_tcp_nodelay(&peer, 1);
    uv_read_start(request->handle, give_slab, read_answers);
}

void backend_connect(int port) {
    static uv_connect_t request;
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_init(uv_default_loop(), &peer);
    uv_tcp_connect(&request, &peer, (struct sockaddr *)&address, did_connect);
    start_flushing();
}

void backend_forward(uint32_t client, uint32_t id, const uint8_t *body, size_t count) {
    gather_put_u32(&out, (uint32_t)(HEAD_BYTES - 4 + count));
    gather_put_u32(&out, client);
    gather_put_u32(&out, id);
    gather_put(&out, body, count);
}

// ---- the backend's end

static void echo(const uint8_t *frame, size_t length) { gather_put(&out, frame, length); }

static void read_requests(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    (void)stream;
    read_frames(buffer, count, echo);
}

static void accepted(uv_stream_t *server, int status) {
    if (status != 0 || connected) return;
    uv_tcp_init(uv_default_loop(), &peer);
    if (uv_accept(server, (uv_stream_t *)&peer) != 0) return;
    connected = 1;
    uv_tcp_nodelay(&peer, 1);
    uv_read_start((uv_stream_t *)&peer, give_slab, read_requests);
}

void backend_start(int port) {
    listen_on(&listener, port, accepted);
    start_flushing();
}
