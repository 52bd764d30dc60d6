// SPDX-License-Identifier: MIT
#include "load.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *shared(void) {
    static SSL_CTX *context;
    if (context) return context;
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    // One system call for a record, and not two.
    SSL_CTX_set_read_ahead(context, 1);
    return context;
}

static void broken(const struct connection *connection, const char *what) {
    fail("port %d: %s: %s", connection->port, what, ERR_reason_error_string(ERR_peek_error()));
}

void tls_open(struct connection *connection) {
    connection->ssl = SSL_new(shared());
    SSL_set_fd(connection->ssl, connection->fd);
    if (SSL_connect(connection->ssl) != 1) broken(connection, "no TLS");
}

void tls_forget(struct connection *connection) {
    SSL_free(connection->ssl);
    connection->ssl = NULL;
}

ssize_t tls_send(struct connection *connection, const void *bytes, size_t count) {
    int sent = SSL_write(connection->ssl, bytes, (int)count);
    if (sent > 0) return sent;
    if (SSL_get_error(connection->ssl, sent) != SSL_ERROR_WANT_WRITE) broken(connection, "SSL_write");
    errno = EAGAIN;
    return -1;
}

/// Of a connection that is polled all there is: OpenSSL may have read more than it gives at once.
ssize_t tls_receive(struct connection *connection, void *to, size_t room) {
    size_t sum = 0;
    do {
        int got = SSL_read(connection->ssl, (char *)to + sum, (int)(room - sum));
        if (got <= 0) {
            int reason = SSL_get_error(connection->ssl, got);
            if (reason == SSL_ERROR_ZERO_RETURN) return 0;
            if (reason != SSL_ERROR_WANT_READ) broken(connection, "SSL_read");
            break;
        }
        sum += (size_t)got;
        if (connection->polled && sum == room) fail("more than %zu bytes at once", room);
    } while (connection->polled);
    if (sum > 0) return (ssize_t)sum;
    errno = EAGAIN;
    return -1;
}
