// SPDX-License-Identifier: MIT
#include "reference.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t slab[READ_BYTES];
static uint8_t *joined;
static size_t joined_room;

uint32_t read_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void give_slab(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle, (void)suggested;
    *buffer = uv_buf_init((char *)slab, sizeof slab);
}

// ---- output

void gather_put(struct gather *gather, const void *bytes, size_t count) {
    if (gather->count + count > gather->room) {
        gather->room = (gather->count + count) * 2;
        gather->bytes = realloc(gather->bytes, gather->room);
    }
    memcpy(gather->bytes + gather->count, bytes, count);
    gather->count += count;
}

void gather_put_u32(struct gather *gather, uint32_t value) {
    uint32_t big = htonl(value);
    gather_put(gather, &big, sizeof big);
}

static void written(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

void send_bytes(uv_stream_t *stream, const void *bytes, size_t count) {
    uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)count);
    int done = uv_stream_get_write_queue_size(stream) == 0 ? uv_try_write(stream, &buffer, 1) : 0;
    if (done == (int)count) return;
    if (done < 0) done = 0;
    size_t left = count - (size_t)done;
    uv_write_t *request = malloc(sizeof *request + left);
    memcpy(request + 1, (const uint8_t *)bytes + done, left);
    buffer = uv_buf_init((char *)(request + 1), (unsigned)left);
    if (uv_write(request, stream, &buffer, 1, written) != 0) free(request);
}

void send_gathered(uv_stream_t *stream, struct gather *gather) {
    if (gather->count > 0) send_bytes(stream, gather->bytes, gather->count);
    gather->count = 0;
}

// ---- input

const uint8_t *rest_join(struct rest *rest, const uint8_t *bytes, size_t *count) {
    if (rest->count == 0) return bytes;
    size_t sum = rest->count + *count;
    if (sum > joined_room) {
        joined_room = sum * 2;
        joined = realloc(joined, joined_room);
    }
    memcpy(joined, rest->bytes, rest->count);
    memcpy(joined + rest->count, bytes, *count);
    free(rest->bytes);
    rest->bytes = NULL;
    rest->count = 0;
    *count = sum;
    return joined;
}

void rest_keep(struct rest *rest, const uint8_t *bytes, size_t count) {
    if (count == 0) return;
    rest->bytes = malloc(count);
    memcpy(rest->bytes, bytes, count);
    rest->count = (uint32_t)count;
}

// ---- listening

void listen_on(uv_tcp_t *listener, int port, uv_connection_cb accepted) {
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_init(uv_default_loop(), listener);
    int status = uv_tcp_bind(listener, (struct sockaddr *)&address, 0);
    if (status == 0) status = uv_listen((uv_stream_t *)listener, 1024, accepted);
    if (status != 0) {
        fprintf(stderr, "reference: port %d: %s\n", port, uv_strerror(status));
        exit(1);
    }
}
