// SPDX-License-Identifier: MIT
// The programs we compare with: plain C on libuv that answers clients with the same bytes and the same system calls.
//
//   reference frontend PORT [BACKEND_PORT] [tls=CERTIFICATE,KEY] [deflate=each]
//       echoes; with a backend it forwards chat.* requests over one connection; clients come within TLS when it is
//       given a certificate; a WebSocket compresses where a client offers it, a push once for all, or for each member
//   reference backend PORT
//       echoes what frontends forward, and tells them all what to push
#ifndef REFERENCE_H
#define REFERENCE_H

#include <openssl/ssl.h>
#include <stdint.h>
#include <uv.h>

enum { READ_BYTES = 65536 };

/// Bytes that leave together.
struct gather {
    uint8_t *bytes;
    size_t count, room;
};

void gather_put(struct gather *gather, const void *bytes, size_t count);
void gather_put_u32(struct gather *gather, uint32_t value);

/// Writes at once; what the kernel does not take is copied and left to libuv.
void send_bytes(uv_stream_t *stream, const void *bytes, size_t count);
/// Sends what was gathered and empties it.
void send_gathered(uv_stream_t *stream, struct gather *gather);

/// Bytes of a message or frame that is not whole yet; nothing is allocated otherwise.
struct rest {
    uint8_t *bytes;
    uint32_t count;
};

/// Returns the earlier rest and the new bytes as one piece, in a buffer that the next call overwrites.
const uint8_t *rest_join(struct rest *rest, const uint8_t *bytes, size_t *count);
void rest_keep(struct rest *rest, const uint8_t *bytes, size_t count);

void listen_on(uv_tcp_t *listener, int port, uv_connection_cb accepted);
/// One read buffer for all streams.
void give_slab(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
uint32_t read_u32(const uint8_t *bytes);

/// What travels between frontends and backend (link.c).
enum { REQUEST, SEND, ANSWER, PUSH, CONFIRM };

void link_connect(int port);
/// Sends a request on to the backend; the answer comes back by `answer_forwarded`.
void link_forward(int kind, uint32_t client, uint32_t id, const uint8_t *body, size_t count);
void answer_forwarded(uint32_t client, uint32_t id, const uint8_t *body, size_t count);
void push_to_members(const uint8_t *body, size_t count);

/// What a client asks for.
struct request {
    uint32_t id;
    const uint8_t *route;
    size_t route_length;
    const uint8_t *body;
    size_t count;
};

/// Reads an event, which lasts until the next one; 0 when it is something else (socketio.c).
int socketio_read(const uint8_t *bytes, size_t count, struct request *request);
void socketio_put_answer(struct gather *to, uint32_t id, const uint8_t *body, size_t count);
void socketio_put_push(struct gather *to, const uint8_t *body, size_t count);

/// TLS without a socket: what the peer sent goes in, what it is to be sent comes out (tls.c). Neither has memory of its
/// own: what is read is taken where it lies, and what is written is gathered.
void tls_start(const char *certificate, const char *key);
SSL *tls_accept(void);
/// Takes what the peer sent and hands on what it says; 0 when the peer is not to be believed.
typedef void (*said_fn)(void *user, const uint8_t *bytes, size_t count);
int tls_take(SSL *ssl, const uint8_t *bytes, size_t count, said_fn said, void *user);
void tls_seal(SSL *ssl, const void *bytes, size_t count);
/// What is to be sent, of the last calls.
extern struct gather tls_sealed;

/// permessage-deflate without context, RFC 7692 (deflate.c): one state of each kind for everybody. What comes of a
/// message lasts until the next one; 0 when nothing does.
size_t deflate_message(const uint8_t *bytes, size_t count, const uint8_t **deflated);
size_t inflate_message(const uint8_t *bytes, size_t count, const uint8_t **inflated);

struct frontend {
    int port, forwards, encrypts, deflates_each;
};
void frontend_start(struct frontend options);
void backend_start(int port);

#endif
