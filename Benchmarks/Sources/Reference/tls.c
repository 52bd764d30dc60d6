// SPDX-License-Identifier: MIT
#include "reference.h"
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// The longest piece of plain text in one record, RFC 8446 section 5.1.
enum { RECORD_BYTES = 16384 };

struct gather tls_sealed;

static SSL_CTX *context;
static BIO_METHOD *method;
static const uint8_t *input;
static size_t input_left;
static uint8_t plain[RECORD_BYTES];

// ---- what OpenSSL calls

static int give(BIO *bio, char *to, int room) {
    BIO_clear_retry_flags(bio);
    if (input_left == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t count = (size_t)room < input_left ? (size_t)room : input_left;
    memcpy(to, input, count);
    input += count;
    input_left -= count;
    return (int)count;
}

static int keep(BIO *bio, const char *bytes, int count) {
    (void)bio;
    gather_put(&tls_sealed, bytes, (size_t)count);
    return count;
}

static long control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

// ---- what we call

static void need(int works, const char *what) {
    if (works) return;
    fprintf(stderr, "reference: %s: %s\n", what, ERR_reason_error_string(ERR_peek_error()));
    exit(1);
}

void tls_start(const char *certificate, const char *key) {
    context = SSL_CTX_new(TLS_server_method());
    need(SSL_CTX_use_certificate_chain_file(context, certificate) == 1, certificate);
    need(SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1, key);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    // What is kept of an idle connection is as little as may be.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "reference");
    BIO_meth_set_read(method, give);
    BIO_meth_set_write(method, keep);
    BIO_meth_set_ctrl(method, control);
}

SSL *tls_accept(void) {
    SSL *ssl = SSL_new(context);
    BIO *bio = BIO_new(method);
    need(ssl && bio, "no memory");
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

int tls_take(SSL *ssl, const uint8_t *bytes, size_t count, said_fn said, void *user) {
    input = bytes;
    input_left = count;
    for (;;) {
        ERR_clear_error();
        int read = SSL_read(ssl, plain, sizeof plain);
        if (read <= 0) return SSL_get_error(ssl, read) == SSL_ERROR_WANT_READ;
        said(user, plain, (size_t)read);
    }
}

void tls_seal(SSL *ssl, const void *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
        ERR_clear_error();
        int written = SSL_write(ssl, (const uint8_t *)bytes + done, (int)(count - done));
        need(written > 0, "SSL_write");
        done += (size_t)written;
    }
}
